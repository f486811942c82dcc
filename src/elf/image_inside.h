/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of image.h's implementation share; nobody else includes this. */
#ifndef IMAGE_INSIDE_H
#define IMAGE_INSIDE_H

#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"

#define SEGMENTS_MAX 32

/* The part of a loaded segment that is in the file. */
struct segment {
	uint64_t vaddr;
	uint64_t offset;
	uint64_t len;
	bool exec;
};

/* An address that the user has given. */
struct given {
	const char *name;
	uint64_t vaddr;
};

/* Where to look for the debug file once a symbol is missing. */
struct debug_source {
	int root;
	char *path;
	struct image *found; /* NULL: none, or not looked for yet */
	bool looked;
};

struct image {
	Elf *elf;
	int fd; /* -1: in memory */
	uint64_t len;
	uint16_t machine;
	bool fixed;
	size_t segment_count;
	struct segment segment[SEGMENTS_MAX];
	const uint8_t *memory; /* the whole file; NULL when it is read from fd */
	struct image *debug;   /* its symbols count as well; NULL: none */
	struct debug_source *source;
	struct given given[IMAGE_GIVEN_MAX];
	size_t given_count;
};

/* A bounded view of one section's bytes; they may be unaligned. */
struct bytes {
	const char *data;
	size_t len;
};

/* Is a section of at most max bytes, and all of them in the file? */
bool section_inside(const struct image *image, const GElf_Shdr *shdr, uint64_t max);
/* Reads such a section; the bytes live as long as the image. */
bool section_read(const struct image *image, Elf_Scn *scn, const GElf_Shdr *shdr, uint64_t max,
		  struct bytes *ret_bytes);
/* The first symbol table of a type, SHT_..., and its strings, which end with a NUL. */
bool table_read(const struct image *image, uint32_t type, struct bytes *ret_symbols,
		struct bytes *ret_strings);

#endif

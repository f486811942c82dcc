/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ELF file. The file is hostile input: every address is checked against the segments and the
 * file's size before a byte is read. The parts that are asked for are read into memory and never
 * mapped: whoever shortens a mapped file kills its readers with SIGBUS.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stddef.h>
#include <stdint.h>

struct image;

/* Larger files are refused. */
#define IMAGE_FILE_MAX (UINT64_C(4) << 30)
/* More code than this is not handed out at once. */
#define IMAGE_CODE_MAX 65536

/*
 * Errors of all three: -ENOEXEC (not a regular file, not ELF, not 64 bit little endian, not an
 * executable or shared object, or damaged), -EOPNOTSUPP (another architecture than x86-64 or
 * arm64), -EFBIG, -EISDIR, -ENOMEM and what open(2) and pread(2) say.
 */
int image_open(const char *path, struct image **ret_image);
/* Reads from fd, which stays the caller's and may be closed. */
int image_open_fd(int fd, struct image **ret_image);
/* Borrows data, which must outlive the image. For tests and fuzzers. */
int image_open_memory(const void *data, size_t len, struct image **ret_image);
void image_free(struct image *image);

/* EM_X86_64 or EM_AARCH64. */
uint16_t image_machine(const struct image *image);

/*
 * File offset of a virtual address inside an executable segment: what a uprobe wants.
 * -EADDRNOTAVAIL when no executable segment has it in the file.
 */
int image_offset(const struct image *image, uint64_t vaddr, uint64_t *ret_offset);

/*
 * Code at vaddr: the bytes in the file, and how many of them are in that executable segment, at
 * most IMAGE_CODE_MAX. NULL when vaddr is in none or reading fails. Valid until image_free.
 */
const uint8_t *image_code(const struct image *image, uint64_t vaddr, size_t *ret_len);

/* As image_code, but at most max bytes: cheaper where only the first few count. */
const uint8_t *image_code_part(const struct image *image, uint64_t vaddr, size_t max,
			       size_t *ret_len);

/*
 * How much code there is from vaddr, where a function must begin, to the beginning of the next
 * function, as the table for unwinding the stack says. -ENOENT when it does not say so.
 */
int image_function_len(const struct image *image, uint64_t vaddr, uint64_t *ret_len);

/*
 * The pointer at vaddr after loading, where that is an address in this file itself. -ENOENT when
 * there is no relocation of that kind. x86-64 only.
 */
int image_pointer(const struct image *image, uint64_t vaddr, uint64_t *ret_target);

/*
 * Addresses of pointers that the loader sets to the function of one of the names (NULL-
 * terminated). Returns how many were stored, at most max; max + 1 when there are more. x86-64
 * only.
 */
size_t image_imports(const struct image *image, const char *const *names, uint64_t *ret_vaddrs,
		     size_t max);

/* Where a symbol was found: rungs of the ladder in docs/design. */
enum rung {
	RUNG_NONE,
	RUNG_SYMTAB,
	RUNG_DYNSYM,
	RUNG_CODE, /* followed from an exported function's code */
};
const char *rung_name(enum rung rung);

struct symbol {
	uint64_t vaddr;
	uint64_t size; /* 0: not known */
	enum rung rung;
};

/*
 * Looks for defined functions by name, all in one pass: in .dynsym, then in .symtab. The first
 * one of a name counts. Only functions with code in an executable segment are found.
 * names: count of them, no two the same; ret_symbols: as many, rung RUNG_NONE where not found.
 * Returns the number found, or -ENOMEM. Damaged tables count as "not found".
 */
int image_symbols(const struct image *image, const char *const *names, size_t count,
		  struct symbol *ret_symbols);

#endif

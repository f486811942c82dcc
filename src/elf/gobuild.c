/* SPDX-License-Identifier: Apache-2.0 */
/* The format: Go's src/debug/buildinfo/buildinfo.go. */
#include "elf/gobuild.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define MAGIC	   "\xff Go buildinf:"
#define MAGIC_LEN  14
#define ALIGN	   16
#define HEADER_LEN 32
/* Flags, in the byte behind the length of a pointer. */
#define FLAG_BIG_ENDIAN 1
#define FLAG_INLINE	2

struct gostring {
	uint64_t data;
	uint64_t len;
};

static int window(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	const uint8_t *at = p;

	while ((at = memmem(at, len - (size_t)(at - p), MAGIC, MAGIC_LEN))) {
		uint64_t found = vaddr + (uint64_t)(at - p);

		if (found % ALIGN == 0) {
			*(uint64_t *)arg = found;
			return 1;
		}
		at++;
	}
	return 0;
}

static bool has_section(const struct image *image, const char *name, uint64_t *ret_vaddr)
{
	uint64_t offset, len;

	return !image_section(image, name, ret_vaddr, &offset, &len);
}

static int header_find(const struct image *image, uint64_t *ret_vaddr)
{
	uint64_t vaddr;

	if (has_section(image, ".go.buildinfo", ret_vaddr))
		return 0;
	if (has_section(image, ".text", &vaddr))
		return -ENOENT;
	return image_walk(image, false, HEADER_LEN, window, ret_vaddr) == 1 ? 0 : -ENOENT;
}

bool gobuild_is_go(const struct image *image)
{
	uint64_t vaddr;

	return has_section(image, ".gopclntab", &vaddr) ||
	       has_section(image, ".note.go.buildid", &vaddr) || !header_find(image, &vaddr);
}

/* A number in groups of seven bits, lowest first, and the string of that many bytes. */
static int inline_string(const struct image *image, uint64_t vaddr, struct gostring *ret_string)
{
	uint8_t byte;

	ret_string->len = 0;
	/* No version has more characters than fit into two groups. */
	for (unsigned int shift = 0; shift < 14; shift += 7) {
		if (image_read(image, vaddr++, &byte, 1))
			break;
		ret_string->len |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		ret_string->data = vaddr;
		return 0;
	}
	return -ENOENT;
}

/* The file has the address, or its relocation does. */
static int pointer_read(const struct image *image, uint64_t vaddr, uint64_t *ret_target)
{
	int err = image_read(image, vaddr, ret_target, sizeof(*ret_target));

	return err || *ret_target ? err : image_pointer(image, vaddr, ret_target);
}

static int pointed_string(const struct image *image, uint64_t vaddr, struct gostring *ret_string)
{
	uint64_t string;

	if (pointer_read(image, vaddr, &string) || pointer_read(image, string, &ret_string->data) ||
	    image_read(image, string + 8, &ret_string->len, sizeof(ret_string->len)))
		return -ENOENT;
	return 0;
}

int gobuild_version(const struct image *image, char *ret_version, size_t size)
{
	uint8_t header[HEADER_LEN];
	struct gostring string;
	uint64_t vaddr;
	int err;

	if (header_find(image, &vaddr) || image_read(image, vaddr, header, sizeof(header)) ||
	    memcmp(header, MAGIC, MAGIC_LEN) || header[15] & FLAG_BIG_ENDIAN)
		return -ENOENT;
	if (header[15] & FLAG_INLINE)
		err = inline_string(image, vaddr + HEADER_LEN, &string);
	else
		err = pointed_string(image, vaddr + ALIGN, &string);
	if (err || !string.len || !size)
		return -ENOENT;
	if (string.len >= size)
		string.len = size - 1;
	/* Checked before anything is written: a part of a version is none. */
	if (string.len > image_loaded(image, string.data))
		return -ENOENT;
	err = image_read(image, string.data, ret_version, string.len);
	ret_version[err ? 0 : string.len] = '\0';
	return err ? -ENOENT : 0;
}

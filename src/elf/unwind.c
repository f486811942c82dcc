// SPDX-License-Identifier: Apache-2.0
/* Where functions begin and end, from the table for unwinding the stack. */
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "elf/image_inside.h"

/* .eh_frame_hdr with the encodings that all linkers use. LSB Core, section 10.6.2. */
#define UNWIND_ENCODINGS "\x01\x1b\x03\x3b"

struct unwind_header {
	uint8_t encodings[4];
	int32_t frames;
	uint32_t count;
};

/* Where a function begins, and its entry, both from the header's address on. */
struct unwind_entry {
	int32_t start;
	int32_t frame;
};

/* The table: where it is in the file, and the address that all in it counts from. */
struct unwind {
	uint64_t offset;
	uint64_t vaddr;
	uint32_t count;
};

static bool unwind_find(const struct image *image, struct unwind *ret_unwind)
{
	struct unwind_header header;
	GElf_Phdr phdr;
	size_t count, i;

	if (elf_getphdrnum(image->elf, &count))
		return false;
	for (i = 0; i < count; i++) {
		if (gelf_getphdr(image->elf, (int)i, &phdr) && phdr.p_type == PT_GNU_EH_FRAME)
			break;
	}
	if (i == count || phdr.p_filesz < sizeof(header) || phdr.p_offset > image->len ||
	    phdr.p_filesz > image->len - phdr.p_offset ||
	    image_read_at(image, phdr.p_offset, &header, sizeof(header)) ||
	    memcmp(header.encodings, UNWIND_ENCODINGS, sizeof(header.encodings)) ||
	    header.count > (phdr.p_filesz - sizeof(header)) / sizeof(struct unwind_entry))
		return false;
	ret_unwind->offset = phdr.p_offset + sizeof(header);
	ret_unwind->vaddr = phdr.p_vaddr;
	ret_unwind->count = header.count;
	return true;
}

static bool unwind_entry(const struct image *image, const struct unwind *unwind, uint32_t index,
			 struct unwind_entry *ret_entry)
{
	return !image_read_at(image, unwind->offset + (uint64_t)index * sizeof(*ret_entry),
			      ret_entry, sizeof(*ret_entry));
}

/*
 * The entry with the last function that begins at or before vaddr. The last one of all has no
 * known end. Only what is looked at is read: tables have megabytes and are asked often.
 */
static bool unwind_search(const struct image *image, const struct unwind *unwind, int64_t vaddr,
			  struct unwind_entry *ret_entry, int64_t *ret_end)
{
	struct unwind_entry entry;
	uint32_t low = 0, high;

	for (high = unwind->count; low < high;) {
		uint32_t middle = low + (high - low) / 2;

		if (!unwind_entry(image, unwind, middle, &entry))
			return false;
		if (entry.start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || low == unwind->count || !unwind_entry(image, unwind, low - 1, ret_entry) ||
	    !unwind_entry(image, unwind, low, &entry))
		return false;
	*ret_end = entry.start;
	return ret_entry->start < *ret_end;
}

/*
 * Some linkers leave out whole parts of the code: then the last function before such a part must
 * not seem to reach through it. What is understood is the usual form of an entry in .eh_frame, whose
 * addresses count from where they stand; any other says nothing.
 */
static bool frame_ends(const struct image *image, uint64_t frame, uint64_t start, uint64_t vaddr)
{
	struct {
		uint32_t len;
		uint32_t common;
		int32_t start;
		uint32_t range;
	} fde;

	if (image_read(image, frame, &fde, sizeof(fde)) || fde.len == UINT32_MAX ||
	    fde.len < sizeof(fde) - sizeof(fde.len) || !fde.common ||
	    frame + offsetof(typeof(fde), start) + (uint64_t)(int64_t)fde.start != start)
		return false;
	return vaddr - start >= fde.range;
}

int image_function_at(const struct image *image, uint64_t vaddr, uint64_t *ret_start,
		      uint64_t *ret_len)
{
	struct unwind_entry entry;
	struct unwind unwind;
	uint64_t base, start;
	int64_t end;

	if (!unwind_find(image, &unwind))
		return -ENOENT;
	base = unwind.vaddr;
	if (!unwind_search(image, &unwind, (int64_t)(vaddr - base), &entry, &end))
		return -ENOENT;
	start = base + (uint64_t)(int64_t)entry.start;
	if (frame_ends(image, base + (uint64_t)(int64_t)entry.frame, start, vaddr))
		return -ENOENT;
	*ret_start = start;
	*ret_len = (uint64_t)(end - entry.start);
	return 0;
}

int image_function_len(const struct image *image, uint64_t vaddr, uint64_t *ret_len)
{
	uint64_t start, len;
	int err = image_function_at(image, vaddr, &start, &len);

	if (!err && start != vaddr)
		err = -ENOENT;
	if (!err)
		*ret_len = len;
	return err;
}

int image_function_starts(const struct image *image, uint64_t vaddr)
{
	struct unwind_entry entry;
	struct unwind unwind;
	uint32_t low = 0, high;
	int64_t distance;

	if (!unwind_find(image, &unwind))
		return -ENOENT;
	distance = (int64_t)(vaddr - unwind.vaddr);
	for (high = unwind.count; low < high;) {
		uint32_t middle = low + (high - low) / 2;

		if (!unwind_entry(image, &unwind, middle, &entry))
			return -ENOENT;
		if (entry.start == distance)
			return 1;
		if (entry.start < distance)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

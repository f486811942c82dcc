// SPDX-License-Identifier: Apache-2.0
/* Where functions begin and end, from the table for unwinding the stack. */
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "elf/image_inside.h"

#define UNWIND_MAX (UINT64_C(32) << 20)

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

static const char *unwind_find(const struct image *image, uint64_t *ret_vaddr, uint32_t *ret_count)
{
	struct unwind_header header;
	GElf_Phdr phdr;
	Elf_Data *data;
	size_t count, i;

	if (elf_getphdrnum(image->elf, &count))
		return NULL;
	for (i = 0; i < count; i++) {
		if (gelf_getphdr(image->elf, (int)i, &phdr) && phdr.p_type == PT_GNU_EH_FRAME)
			break;
	}
	if (i == count || phdr.p_filesz < sizeof(header) || phdr.p_filesz > UNWIND_MAX ||
	    phdr.p_offset > image->len || phdr.p_filesz > image->len - phdr.p_offset)
		return NULL;
	data = elf_getdata_rawchunk(image->elf, (int64_t)phdr.p_offset, phdr.p_filesz, ELF_T_BYTE);
	if (!data || !data->d_buf || data->d_size != phdr.p_filesz)
		return NULL;
	memcpy(&header, data->d_buf, sizeof(header));
	if (memcmp(header.encodings, UNWIND_ENCODINGS, sizeof(header.encodings)) ||
	    header.count > (phdr.p_filesz - sizeof(header)) / sizeof(struct unwind_entry))
		return NULL;
	*ret_vaddr = phdr.p_vaddr;
	*ret_count = header.count;
	return (const char *)data->d_buf + sizeof(header);
}

/*
 * The entry with the last function that begins at or before vaddr. The last one of all has no
 * known end.
 */
static bool unwind_search(const char *table, uint32_t count, int64_t vaddr,
			  struct unwind_entry *ret_entry, int64_t *ret_end)
{
	struct unwind_entry entry;
	uint32_t low = 0, high;

	for (high = count; low < high;) {
		uint32_t middle = low + (high - low) / 2;

		memcpy(&entry, table + (size_t)middle * sizeof(entry), sizeof(entry));
		if (entry.start <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || low == count)
		return false;
	memcpy(ret_entry, table + (size_t)(low - 1) * sizeof(entry), sizeof(entry));
	memcpy(&entry, table + (size_t)low * sizeof(entry), sizeof(entry));
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
	uint64_t base, start;
	uint32_t count;
	const char *table;
	int64_t end;

	table = unwind_find(image, &base, &count);
	if (!table || !unwind_search(table, count, (int64_t)(vaddr - base), &entry, &end))
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
	uint32_t count, low = 0, high;
	const char *table;
	uint64_t base;

	table = unwind_find(image, &base, &count);
	if (!table)
		return -ENOENT;
	for (high = count; low < high;) {
		uint32_t middle = low + (high - low) / 2;

		memcpy(&entry, table + (size_t)middle * sizeof(entry), sizeof(entry));
		if (entry.start == (int64_t)(vaddr - base))
			return 1;
		if (entry.start < (int64_t)(vaddr - base))
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

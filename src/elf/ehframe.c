// SPDX-License-Identifier: Apache-2.0
#include "elf/ehframe.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define LEN_MAX (UINT64_C(32) << 20)
/* DW_EH_PE_pcrel | DW_EH_PE_sdata4: what compilers write */
#define POINTER 0x1b
#define LEN_64	0xffffffffU

struct frames {
	uint8_t *data;
	size_t len;
	uint64_t vaddr;
	/* The last CIE looked at: one serves many functions. */
	size_t cie;
	bool cie_good;
};

static uint32_t word(const struct frames *f, size_t pos)
{
	uint32_t value;

	memcpy(&value, f->data + pos, sizeof(value));
	return value;
}

/* Behind a number in LEB128. */
static size_t leb_end(const struct frames *f, size_t pos, size_t end)
{
	while (pos < end && f->data[pos] & 0x80)
		pos++;
	return pos + 1;
}

/* Do the functions of this CIE begin where a pointer of the usual kind says? */
static bool cie_check(const struct frames *f, size_t pos)
{
	size_t end, letter, data;

	if (f->len - pos < 9 || word(f, pos) == LEN_64 || word(f, pos) > f->len - pos - 4 ||
	    word(f, pos) < 6 || word(f, pos + 4) || f->data[pos + 8] != 1)
		return false;
	end = pos + 4 + word(f, pos);
	letter = pos + 9;
	data = letter + strnlen((char *)f->data + letter, end - letter) + 1;
	if (data >= end || f->data[letter] != 'z')
		return false;
	data = leb_end(f, data, end);	  /* alignment of code */
	data = leb_end(f, data, end);	  /* and of data */
	data = leb_end(f, data + 1, end); /* return register; length of what follows */
	for (letter++; data < end && f->data[letter]; letter++) {
		if (f->data[letter] == 'R')
			return f->data[data] == POINTER;
		if (f->data[letter] == 'L')
			data++;
		else if (f->data[letter] == 'P')
			/* Its format is in the low bits: 4 bytes, or 8 as an address has. */
			data += (f->data[data] & 0x7) == 0x3 ? 5 : 9;
		else if (f->data[letter] != 'S' && f->data[letter] != 'B')
			return false;
	}
	return false;
}

/* 1 when the entry at pos is the function's. */
static int fde_starts(struct frames *f, size_t pos, uint64_t vaddr)
{
	uint32_t back = word(f, pos + 4);
	int32_t distance;

	if (!back)
		return 0;
	if (back > pos + 4)
		return -ENOENT;
	if (f->cie != pos + 4 - back) {
		f->cie = pos + 4 - back;
		f->cie_good = cie_check(f, f->cie);
	}
	if (!f->cie_good)
		return -ENOENT;
	distance = (int32_t)word(f, pos + 8);
	return f->vaddr + pos + 8 + (uint64_t)(int64_t)distance == vaddr;
}

static int search(struct frames *f, uint64_t vaddr)
{
	size_t pos = 0;

	while (f->len - pos >= 4 && word(f, pos)) {
		uint32_t len = word(f, pos);
		int r;

		if (len == LEN_64 || len > f->len - pos - 4 || len < 8)
			return -ENOENT;
		r = fde_starts(f, pos, vaddr);
		if (r)
			return r;
		pos += 4 + (size_t)len;
	}
	return 0;
}

int ehframe_starts(const struct image *image, uint64_t vaddr)
{
	struct frames f = { .cie = SIZE_MAX };
	uint64_t offset, len;
	int r;

	if (image_section(image, ".eh_frame", &f.vaddr, &offset, &len) || len > LEN_MAX)
		return -ENOENT;
	f.data = malloc(len + 1);
	f.len = len;
	if (!f.data)
		return -ENOMEM;
	r = image_read_at(image, offset, f.data, len) ? -ENOENT : search(&f, vaddr);
	free(f.data);
	return r;
}

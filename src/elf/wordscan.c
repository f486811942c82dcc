/* SPDX-License-Identifier: Apache-2.0 */
/*
 * S. Wu, U. Manber: A fast algorithm for multi-pattern searching (1994), with blocks of two bytes:
 * a table says how far the next word's end can be from the two bytes looked at, so most bytes are
 * never looked at.
 */
#include "elf/wordscan.h"

#include <errno.h>
#include <string.h>

#define BLOCKS 65536

struct scan {
	const struct image *image;
	const char *const *words;
	size_t len[WORDS_MAX];
	size_t count;
	size_t len_min;
	size_t len_max;
	word_fn fn;
	void *arg;
	uint8_t shift[BLOCKS];
};

static unsigned int block(const void *p)
{
	uint16_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static int scan_init(struct scan *scan)
{
	size_t i, pos;

	scan->len_min = WORD_LEN_MAX;
	for (i = 0; i < scan->count; i++) {
		if (!scan->words[i])
			continue;
		scan->len[i] = strlen(scan->words[i]);
		if (scan->len[i] < WORD_LEN_MIN || scan->len[i] > WORD_LEN_MAX)
			return -EINVAL;
		if (scan->len[i] < scan->len_min)
			scan->len_min = scan->len[i];
		if (scan->len[i] > scan->len_max)
			scan->len_max = scan->len[i];
	}
	memset(scan->shift, (int)scan->len_min - 1, sizeof(scan->shift));
	for (i = 0; i < scan->count; i++) {
		for (pos = 0; scan->words[i] && pos + 2 <= scan->len_min; pos++) {
			uint8_t *shift = &scan->shift[block(scan->words[i] + pos)];
			uint8_t left = (uint8_t)(scan->len_min - 2 - pos);

			if (left < *shift)
				*shift = left;
		}
	}
	return 0;
}

/* The words that begin at p; left bytes are there. */
static int match(struct scan *scan, uint64_t vaddr, const uint8_t *p, size_t left)
{
	size_t i;
	int r = 0;

	for (i = 0; i < scan->count && !r; i++) {
		size_t len = scan->len[i];

		if (len && len <= left && !memcmp(p, scan->words[i], len))
			r = scan->fn(scan->arg, vaddr, (unsigned int)i, len < left && !p[len]);
	}
	return r;
}

/* So that each word is whole, with the byte behind it, in one window. */
static size_t overlap(const struct scan *scan)
{
	return scan->len_max + 1;
}

static int window(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	struct scan *scan = arg;
	size_t pos = 0, end = len;
	int r = 0;

	/* What begins further on is seen in the next window. */
	if (image_loaded(scan->image, vaddr) > len)
		end -= overlap(scan);
	while (!r && pos < end && pos + scan->len_min <= len) {
		unsigned int shift = scan->shift[block(p + pos + scan->len_min - 2)];

		if (!shift)
			r = match(scan, vaddr + pos, p + pos, len - pos);
		pos += shift ? shift : 1;
	}
	return r;
}

int wordscan(const struct image *image, const char *const *words, size_t count, word_fn fn,
	     void *arg)
{
	struct scan scan = { .image = image, .words = words, .count = count, .fn = fn, .arg = arg };
	int err;

	if (!count || count > WORDS_MAX)
		return -EINVAL;
	err = scan_init(&scan);
	return err ? err : image_walk(image, false, overlap(&scan), window, &scan);
}

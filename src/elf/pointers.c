/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/pointers.h"

#include <stdlib.h>
#include <string.h>

struct search {
	const uint64_t *targets;
	size_t count;
	struct pointers *pointers;
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int note(void *arg, uint64_t vaddr, uint64_t target)
{
	struct search *search = arg;
	struct pointers *pointers = search->pointers;

	if (target < search->targets[0] || target > search->targets[search->count - 1] ||
	    pointers->count == POINTERS_MAX ||
	    !bsearch(&target, search->targets, search->count, sizeof(target), compare))
		return 0;
	pointers->item[pointers->count].vaddr = vaddr;
	pointers->item[pointers->count++].target = target;
	return 0;
}

static int window(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	const struct search *search = arg;
	uint64_t low = search->targets[0], span = search->targets[search->count - 1] - low, value;
	size_t i;

	/* Every word of the file comes by here. */
	for (i = -vaddr & 7; i + 8 <= len; i += 8) {
		memcpy(&value, p + i, sizeof(value));
		if (value - low <= span)
			note(arg, vaddr + i, value);
	}
	return 0;
}

int pointers_find(const struct image *image, const uint64_t *targets, size_t count,
		  struct pointers *ret_pointers)
{
	struct search search = { targets, count, ret_pointers };
	int err;

	ret_pointers->count = 0;
	if (!count)
		return 0;
	err = image_pointers(image, note, &search);
	return err || ret_pointers->count ? err : image_walk(image, false, 7, window, &search);
}

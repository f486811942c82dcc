/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/relr.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#define ENTRIES	    512
#define ENTRIES_MAX (1 << 20)
#define MAP_BITS    63 /* of an entry that is a map; the lowest one says that it is one */

/* gABI, "Relative Relocation Table". base: what a map's first bit stands for. */
static bool covers(uint64_t entry, uint64_t vaddr, uint64_t *base)
{
	uint64_t first = *base, place;

	if (!(entry & 1)) {
		*base = entry + 8;
		return entry == vaddr;
	}
	*base += MAP_BITS * 8;
	place = (vaddr - first) / 8;
	return vaddr >= first && !((vaddr - first) % 8) && place < MAP_BITS &&
	       entry >> (place + 1) & 1;
}

static bool is_listed(const struct image *image, uint64_t vaddr)
{
	uint64_t entry[ENTRIES], base = 0, at, offset, len;
	size_t pos, i, n;

	if (image_section(image, ".relr.dyn", &at, &offset, &len) || len / 8 > ENTRIES_MAX)
		return false;
	for (pos = 0; pos < len / 8; pos += n) {
		n = len / 8 - pos < ENTRIES ? len / 8 - pos : ENTRIES;
		if (image_read_at(image, offset + 8 * pos, entry, 8 * n))
			return false;
		for (i = 0; i < n; i++) {
			if (covers(entry[i], vaddr, &base))
				return true;
		}
	}
	return false;
}

int relr_pointer(const struct image *image, uint64_t vaddr, uint64_t *ret_target)
{
	uint64_t target;

	if (!is_listed(image, vaddr) || image_read(image, vaddr, &target, sizeof(target)))
		return -ENOENT;
	*ret_target = target;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an ELF file: opened, and searched for functions and a TLS library. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "elf/ehframe.h"
#include "elf/entry.h"
#include "elf/image.h"
#include "tls/library.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Inside of code, which is in the file. */
static void check_offset(const struct image *image, uint64_t offset)
{
	uint64_t vaddr;

	if (image_vaddr(image, offset, &vaddr))
		abort();
}

static void check_place(const struct place *place)
{
	if (place->width && (place->width > 8 || place->reg >= 32 || place->loads > PLACE_LOADS))
		abort();
}

static void check_secret(const struct image *image, const struct tls_secret *secret)
{
	check_offset(image, secret->offset);
	check_place(&secret->handle);
	check_place(&secret->label);
	check_place(&secret->label_len);
	check_place(&secret->random);
	check_place(&secret->secret);
	check_place(&secret->len);
}

static void check(const struct image *image, const struct tls_sites *sites)
{
	size_t i;

	for (i = 0; i < sites->count; i++)
		check_offset(image, sites->site[i].offset);
	for (i = 0; i < sites->record_count; i++) {
		check_offset(image, sites->record[i].offset);
		check_place(&sites->record[i].handle);
		check_place(&sites->record[i].type);
		check_place(&sites->record[i].peek);
	}
	for (i = 0; i < sites->secret_count; i++)
		check_secret(image, &sites->secret[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tls_sites *found;
	struct image *image;
	size_t count, i;

	if (image_open_memory(data, len, &image))
		return 0;
	for (i = 0; i < len; i += 1 + len / 16) {
		uint64_t vaddr, offset;

		if (!entry_check(image, i, &vaddr) &&
		    (image_offset(image, vaddr, &offset) || offset >= len))
			abort();
		(void)ehframe_starts(image, i);
	}
	if (!tls_resolve(image, &found, &count)) {
		for (i = 0; i < count; i++)
			check(image, &found[i]);
		free(found);
	}
	image_free(image);
	return 0;
}

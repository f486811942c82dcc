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

static void check(const struct tls_sites *sites, size_t len)
{
	size_t i;

	for (i = 0; i < sites->count; i++) {
		if (sites->site[i].offset >= len)
			abort();
	}
	for (i = 0; i < sites->record_count; i++) {
		if (sites->record[i].offset >= len)
			abort();
	}
	for (i = 0; i < sites->secret_count; i++) {
		if (sites->secret[i].offset >= len)
			abort();
	}
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
			check(&found[i], len);
		free(found);
	}
	image_free(image);
	return 0;
}

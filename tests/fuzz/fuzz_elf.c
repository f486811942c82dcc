/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an ELF file: opened, and searched for a TLS library. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "elf/image.h"
#include "tls/library.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct tls_library *library;
	struct tls_sites sites;
	struct image *image;
	size_t i;

	if (image_open_memory(data, len, &image))
		return 0;
	if (!tls_resolve(image, &library, &sites)) {
		for (i = 0; i < sites.count; i++) {
			if (sites.site[i].offset >= len)
				abort();
		}
		for (i = 0; i < sites.record_count; i++) {
			if (sites.record[i].offset >= len)
				abort();
		}
	}
	image_free(image);
	return 0;
}

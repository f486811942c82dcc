/* SPDX-License-Identifier: Apache-2.0 */
/* What was found in a file, as bytes that can be kept, and back again. */
#ifndef TLS_STORE_H
#define TLS_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "tls/library.h"

/* More than this is not made and not read. */
#define STORE_LEN_MAX 65536

/* count may be 0: nothing was found. ret_data is to be freed. -ENOMEM, -E2BIG. */
int store_encode(const struct tls_sites *found, size_t count, uint8_t **ret_data, size_t *ret_len);

/*
 * data may be anything: what comes out names libraries that there are, registers and enums in their
 * range and offsets in a file of file_len bytes. ret_found is freed with free(), strings and all;
 * NULL when nothing was found. -EBADMSG, -ENOMEM.
 */
int store_decode(const uint8_t *data, size_t len, uint64_t file_len, struct tls_sites **ret_found,
		 size_t *ret_count);

#endif

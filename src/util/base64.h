/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 with padding (RFC 4648 section 4). */
#ifndef BASE64_H
#define BASE64_H

#include <stddef.h>
#include <stdint.h>

/* Characters that len bytes need, padding included; no NUL. */
#define BASE64_LEN(len) (((len) + 2) / 3 * 4)

/*
 * Writes BASE64_LEN(len) characters to out and returns their number; adds no NUL.
 * Pieces of one value can be encoded one after the other when all but the last are a multiple
 * of 3 bytes long.
 */
size_t base64_encode(const uint8_t *p, size_t len, char *out);

#endif

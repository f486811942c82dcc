/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 encoder (RFC 4648 section 4). */
#include "util/base64.h"

static const char digits[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(const uint8_t *p, size_t len, char *out)
{
	char *q = out;

	for (; len >= 3; len -= 3, p += 3) {
		uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		*q++ = digits[v >> 18];
		*q++ = digits[v >> 12 & 63];
		*q++ = digits[v >> 6 & 63];
		*q++ = digits[v & 63];
	}
	if (len) {
		uint32_t v = (uint32_t)p[0] << 16 | (len == 2 ? (uint32_t)p[1] << 8 : 0);

		*q++ = digits[v >> 18];
		*q++ = digits[v >> 12 & 63];
		*q++ = len == 2 ? digits[v >> 6 & 63] : '=';
		*q++ = '=';
	}
	return q - out;
}

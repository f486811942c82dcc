/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming writer of JSON objects (RFC 8259). */
#include "out/json.h"

#include <inttypes.h>
#include <string.h>

#include "out/writer.h"
#include "util/base64.h"
#include "util/utf8.h"

#define LONG_RUN    32 /* from here memcpy is faster than a loop that escapes on the way */
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Printable ASCII but for the quotation mark and the backslash. */
static const uint8_t plain[256] = {
	[0x20] = 1,
	[0x21] = 1,
	[0x23 ... 0x5b] = 1,
	[0x5d ... 0x7e] = 1,
};

/* The escapes of two characters (RFC 8259 section 7). */
static const char shorts[256] = {
	['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
	['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't',
};

void json_begin(struct json *json, struct writer *w)
{
	json->writer = w;
	json->more = false;
	writer_put(w, "{", 1);
}

void json_end(struct json *json)
{
	writer_put(json->writer, "}", 1);
	json->more = true;
}

static void put_key(struct json *json, const char *key)
{
	writer_puts(json->writer, json->more ? ",\"" : "\"");
	writer_puts(json->writer, key);
	writer_put(json->writer, "\":", 2);
	json->more = true;
}

void json_object(struct json *json, const char *key)
{
	put_key(json, key);
	writer_put(json->writer, "{", 1);
	json->more = false;
}

void json_array(struct json *json, const char *key)
{
	put_key(json, key);
	writer_put(json->writer, "[", 1);
	json->more = false;
}

void json_item(struct json *json)
{
	writer_puts(json->writer, json->more ? ",{" : "{");
	json->more = false;
}

void json_array_end(struct json *json)
{
	writer_put(json->writer, "]", 1);
	json->more = true;
}

void json_bool(struct json *json, const char *key, bool value)
{
	put_key(json, key);
	writer_puts(json->writer, value ? "true" : "false");
}

void json_u64(struct json *json, const char *key, uint64_t value)
{
	char buf[20], *p = buf + sizeof(buf);

	do {
		*--p = '0' + value % 10;
		value /= 10;
	} while (value);
	put_key(json, key);
	writer_put(json->writer, p, buf + sizeof(buf) - p);
}

static void put_escape(struct writer *w, uint32_t cp)
{
	if (cp < 0x80 && shorts[cp]) {
		char buf[2] = { '\\', shorts[cp] };

		writer_put(w, buf, sizeof(buf));
	} else if (cp < 0x10000) {
		writer_printf(w, "\\u%04" PRIx32, cp);
	} else {
		cp -= 0x10000;
		writer_printf(w, "\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + (cp >> 10),
			      0xdc00 + (cp & 0x3ff));
	}
}

/*
 * Up to len plain characters and those with short escapes. Returns how many of them there were.
 * The loop has no branch that depends on the text: JSON inside JSON is all quotation marks.
 */
static size_t put_short(struct writer *w, const uint8_t *p, size_t len)
{
	enum { PIECE = 256 };
	char buf[2 * PIECE + 1], *q = buf;
	size_t i;

	if (len > PIECE)
		len = PIECE;
	for (i = 0; i < len && (plain[p[i]] || shorts[p[i]]); i++) {
		*q = '\\';
		q += !plain[p[i]];
		*q++ = plain[p[i]] ? (char)p[i] : shorts[p[i]];
	}
	writer_put(w, buf, q - buf);
	return i;
}

/* One character that is neither. Returns its length. */
static size_t put_one(struct writer *w, const uint8_t *p, size_t len)
{
	uint32_t cp;
	int n = utf8_decode(p, len, &cp);

	if (n < 0) {
		writer_put(w, REPLACEMENT, strlen(REPLACEMENT));
		return 1;
	}
	if (n > 1 && utf8_printable(cp))
		writer_put(w, p, n);
	else
		put_escape(w, cp);
	return n;
}

void json_text(struct json *json, const char *key, const uint8_t *p, size_t len)
{
	struct writer *w = json->writer;

	put_key(json, key);
	writer_put(w, "\"", 1);
	while (len) {
		size_t n = utf8_printable_run(p, len, plain);

		if (n >= LONG_RUN || (n && p[0] >= 0x80))
			writer_put(w, p, n);
		else
			n = put_short(w, p, len);
		if (!n)
			n = put_one(w, p, len);
		p += n;
		len -= n;
	}
	writer_put(w, "\"", 1);
}

void json_name(struct json *json, const char *key, const char *s, size_t len)
{
	json_text(json, key, (const uint8_t *)s, strnlen(s, len));
}

void json_base64(struct json *json, const char *key, const uint8_t *p, size_t len)
{
	enum { PIECE = 3 * 1024 }; /* a multiple of 3: no padding in the middle */
	char buf[BASE64_LEN(PIECE)];

	put_key(json, key);
	writer_put(json->writer, "\"", 1);
	while (len) {
		size_t n = len < PIECE ? len : PIECE;

		writer_put(json->writer, buf, base64_encode(p, n, buf));
		p += n;
		len -= n;
	}
	writer_put(json->writer, "\"", 1);
}

void json_hex(struct json *json, const char *key, const uint8_t *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	put_key(json, key);
	writer_put(json->writer, "\"", 1);
	for (size_t i = 0; i < len; i++) {
		char pair[2] = { digits[p[i] >> 4], digits[p[i] & 15] };

		writer_put(json->writer, pair, sizeof(pair));
	}
	writer_put(json->writer, "\"", 1);
}

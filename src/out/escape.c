/* SPDX-License-Identifier: Apache-2.0 */
/* Shows hostile bytes on a terminal. */
#include "out/escape.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "out/sgr.h"
#include "out/writer.h"

static const uint8_t plain[256] = { ['\t'] = 1, ['\n'] = 1, [0x20 ... 0x7e] = 1 };
static const uint8_t plain_name[256] = { [0x20 ... 0x7e] = 1 };

static void light(struct escape *esc, bool on)
{
	if (!esc->colour || esc->lit == on)
		return;
	esc->lit = on;
	writer_puts(esc->writer, on ? SGR_ESCAPE : SGR_RESET);
}

static void put_plain(struct escape *esc, const uint8_t *p, size_t len)
{
	if (!len)
		return;
	light(esc, false);
	writer_put(esc->writer, p, len);
	esc->at_start = p[len - 1] == '\n';
}

static void put_byte(struct escape *esc, uint8_t byte)
{
	static const char digits[] = "0123456789abcdef";
	char buf[4] = { '\\', 'x', digits[byte >> 4], digits[byte & 15] };

	light(esc, true);
	if (byte == '\r')
		writer_put(esc->writer, "\\r", 2);
	else
		writer_put(esc->writer, buf, sizeof(buf));
	esc->at_start = false;
}

static void put_hidden(struct escape *esc, uint32_t cp)
{
	light(esc, true);
	writer_printf(esc->writer, "\\u{%04" PRIX32 "}", cp);
	esc->at_start = false;
}

/* One character that is not plain. Returns its length, or 0 when its rest is missing. */
static size_t put_one(struct escape *esc, const uint8_t *p, size_t len)
{
	uint32_t cp;
	int n;

	if (p[0] == '\r') {
		if (len == 1)
			return 0;
		if (p[1] != '\n')
			put_byte(esc, p[0]);
		/* The newline of CR LF follows as a plain byte. */
		return 1;
	}
	n = utf8_decode(p, len, &cp);
	if (n == -EAGAIN)
		return 0;
	if (n < 0 || cp < 0x80) {
		put_byte(esc, p[0]);
		return 1;
	}
	if (utf8_printable(cp))
		put_plain(esc, p, n);
	else
		put_hidden(esc, cp);
	return n;
}

/* Surely to be escaped: controls, DEL, and what begins no character. False: look closer. */
static bool no_character(const uint8_t *p, size_t len)
{
	if (p[0] < 0x7f)
		return !plain[p[0]] && p[0] != '\r';
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return true;
	return len > 1 && (p[1] & 0xc0) != 0x80;
}

/*
 * Binary data changes between the two all the time; one by one they would cost several times as
 * much. Returns how many bytes are done, up to the first that needs a closer look.
 */
static size_t put_mixed(struct escape *esc, const uint8_t *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char buf[1024];
	size_t i, out = 0;

	for (i = 0; i < len && out + 4 <= sizeof(buf); i++) {
		if (plain[p[i]]) {
			buf[out++] = (char)p[i];
		} else if (no_character(p + i, len - i)) {
			buf[out++] = '\\';
			buf[out++] = 'x';
			buf[out++] = digits[p[i] >> 4];
			buf[out++] = digits[p[i] & 15];
		} else {
			break;
		}
	}
	if (out) {
		writer_put(esc->writer, buf, out);
		esc->at_start = buf[out - 1] == '\n';
	}
	return i;
}

static void hold(struct escape *esc, const uint8_t *p, size_t len)
{
	memmove(esc->held, p, len);
	esc->held_len = len;
}

/*
 * Prints the held bytes together with the first ones of the chunk.
 * Returns how many bytes of the chunk are done.
 */
static size_t put_held(struct escape *esc, const uint8_t *p, size_t len)
{
	uint8_t joint[2 * UTF8_MAX];
	size_t held = esc->held_len, used = 0;
	size_t add = len < UTF8_MAX ? len : UTF8_MAX;

	memcpy(joint, esc->held, held);
	memcpy(joint + held, p, add);
	esc->held_len = 0;
	while (used < held) {
		size_t n = put_one(esc, joint + used, held + add - used);

		if (!n) {
			/* Still incomplete: then the whole chunk is in joint. */
			hold(esc, joint + used, held + add - used);
			return len;
		}
		used += n;
	}
	return used - held;
}

void escape_put(struct escape *esc, const uint8_t *p, size_t len)
{
	if (esc->held_len && len) {
		size_t n = put_held(esc, p, len);

		p += n;
		len -= n;
	}
	while (len) {
		size_t n = utf8_printable_run(p, len, plain);

		put_plain(esc, p, n);
		p += n;
		len -= n;
		if (!len)
			break;
		if (!esc->colour && n < 16) {
			n = put_mixed(esc, p, len);
			p += n;
			len -= n;
			if (n)
				continue;
		}
		n = put_one(esc, p, len);
		if (!n) {
			hold(esc, p, len);
			break;
		}
		p += n;
		len -= n;
	}
	light(esc, false);
}

void escape_release(struct escape *esc)
{
	for (size_t i = 0; i < esc->held_len; i++)
		put_byte(esc, esc->held[i]);
	esc->held_len = 0;
	light(esc, false);
}

void escape_end_line(struct escape *esc)
{
	escape_release(esc);
	if (!esc->at_start)
		writer_put(esc->writer, "\n", 1);
	esc->at_start = true;
}

void escape_name(struct writer *w, const char *s, size_t len)
{
	struct escape esc = { .writer = w };
	const uint8_t *p = (const uint8_t *)s;

	len = strnlen(s, len);
	while (len) {
		size_t n = utf8_printable_run(p, len, plain_name);

		put_plain(&esc, p, n);
		p += n;
		len -= n;
		if (!len)
			break;
		n = p[0] >= 0x80 ? put_one(&esc, p, len) : 0;
		if (!n) {
			put_byte(&esc, p[0]);
			n = 1;
		}
		p += n;
		len -= n;
	}
}

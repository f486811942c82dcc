/* SPDX-License-Identifier: Apache-2.0 */
/* Strict UTF-8 decoder (RFC 3629) and the list of characters that a terminal must not get. */
#include "util/utf8.h"

#include <errno.h>
#include <string.h>

struct range {
	uint32_t first;
	uint32_t last;
};

/* Sorted. Unicode 15.1: category Cc, Cf, Zl, Zp, Co, and what is invisible by design. */
static const struct range hidden[] = {
	{ 0x0000, 0x001f },   { 0x007f, 0x009f },   { 0x00ad, 0x00ad },	     { 0x034f, 0x034f },
	{ 0x0600, 0x0605 },   { 0x061c, 0x061c },   { 0x06dd, 0x06dd },	     { 0x070f, 0x070f },
	{ 0x0890, 0x0891 },   { 0x08e2, 0x08e2 },   { 0x115f, 0x1160 },	     { 0x17b4, 0x17b5 },
	{ 0x180b, 0x180f },   { 0x200b, 0x200f },   { 0x2028, 0x202e },	     { 0x2060, 0x206f },
	{ 0x3164, 0x3164 },   { 0xd800, 0xf8ff },   { 0xfdd0, 0xfdef },	     { 0xfeff, 0xfeff },
	{ 0xffa0, 0xffa0 },   { 0xfff0, 0xfffb },   { 0xfffe, 0xffff },	     { 0x110bd, 0x110bd },
	{ 0x110cd, 0x110cd }, { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 },    { 0x1d173, 0x1d17a },
	{ 0x1fffe, 0x1ffff }, { 0x2fffe, 0x2ffff }, { 0x3fffe, 0xffffffff },
};

static const uint8_t text[256] = {
	['\t'] = 1,
	['\n'] = 1,
	['\r'] = 1,
	[0x20 ... 0x7e] = 1,
};

int utf8_decode(const uint8_t *p, size_t len, uint32_t *ret_cp)
{
	uint8_t lo = 0x80, hi = 0xbf;
	uint32_t cp;
	size_t n;

	if (!len)
		return -EAGAIN;
	if (p[0] < 0x80) {
		*ret_cp = p[0];
		return 1;
	}
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return -EILSEQ;

	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	cp = p[0] & (0x7fU >> n);

	/* Only the second byte tells overlong forms, surrogates and too large values. */
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;

	for (size_t i = 1; i < n; i++) {
		if (i >= len)
			return -EAGAIN;
		if (p[i] < lo || p[i] > hi)
			return -EILSEQ;
		cp = cp << 6 | (p[i] & 0x3f);
		lo = 0x80;
		hi = 0xbf;
	}
	*ret_cp = cp;
	return n;
}

bool utf8_printable(uint32_t cp)
{
	size_t lo = 0, hi = sizeof(hidden) / sizeof(hidden[0]);

	/* CJK and Hangul, the bulk of text outside ASCII, need no search. */
	if (cp >= 0x3165 && cp < 0xd800)
		return true;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (cp > hidden[mid].last)
			lo = mid + 1;
		else if (cp < hidden[mid].first)
			hi = mid;
		else
			return false;
	}
	return true;
}

/* Number of bytes at the start of p whose entry in the table is not 0. */
#define BYTES(b) (0x0101010101010101ULL * (b))

/* Nonzero when one of eight bytes is zero; bytes above the first such one may be wrong. */
static uint64_t has_zero(uint64_t word)
{
	return (word - BYTES(1)) & ~word & BYTES(0x80);
}

/*
 * Eight bytes at once that need no table: printable ASCII, without those that JSON escapes. Bytes
 * that fail here are looked up one by one, so a false alarm costs time only.
 */
static bool plain_word(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return !(((w - BYTES(0x20)) & ~w & BYTES(0x80)) | ((w | (w + BYTES(1))) & BYTES(0x80)) |
		 has_zero(w ^ BYTES('"')) | has_zero(w ^ BYTES('\\')));
}

static size_t plain_run(const uint8_t *p, size_t len, const uint8_t plain[256])
{
	size_t i = 0;

	for (;;) {
		size_t end;

		while (len - i >= 8 && plain_word(p + i))
			i += 8;
		end = len - i >= 8 ? i + 8 : len;
		while (i < end && plain[p[i]])
			i++;
		if (i < end || i == len)
			return i;
	}
}

size_t utf8_printable_run(const uint8_t *p, size_t len, const uint8_t plain[256])
{
	size_t i = 0;

	for (;;) {
		uint32_t cp;
		int n;

		i += plain_run(p + i, len - i, plain);
		if (i == len || p[i] < 0x80)
			return i;
		n = utf8_decode(p + i, len - i, &cp);
		if (n < 0 || !utf8_printable(cp))
			return i;
		i += n;
	}
}

bool utf8_is_text(const uint8_t *p, size_t len)
{
	uint32_t cp;

	for (;;) {
		size_t run = plain_run(p, len, text);
		int n;

		p += run;
		len -= run;
		if (!len)
			return true;
		n = utf8_decode(p, len, &cp);
		if (n < 0 || cp < 0xa0)
			return false;
		p += n;
		len -= n;
	}
}

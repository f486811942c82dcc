/* SPDX-License-Identifier: Apache-2.0 */
/* The strict UTF-8 decoder, and which characters count as printable. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/utf8.h"

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

struct sample {
	const char *bytes;
	int ret;
	uint32_t cp;
};

static void check(const struct sample *samples, size_t cnt)
{
	for (size_t i = 0; i < cnt; i++) {
		uint32_t cp = 0;
		const char *s = samples[i].bytes;

		assert_int_equal(utf8_decode((const uint8_t *)s, strlen(s), &cp), samples[i].ret);
		assert_int_equal(cp, samples[i].cp);
	}
}

static void decodes_valid(void **state)
{
	static const struct sample samples[] = {
		{ "A", 1, 'A' },
		{ "\x7f", 1, 0x7f },
		{ "\xc2\x80", 2, 0x80 },
		{ "\xdf\xbfz", 2, 0x7ff },
		{ "\xe0\xa0\x80", 3, 0x800 },
		{ "\xed\x9f\xbf", 3, 0xd7ff },
		{ "\xee\x80\x80", 3, 0xe000 },
		{ "\xef\xbf\xbf", 3, 0xffff },
		{ "\xf0\x90\x80\x80", 4, 0x10000 },
		{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
	};

	(void)state;
	check(samples, LEN(samples));
}

static void refuses_invalid(void **state)
{
	static const struct sample samples[] = {
		{ "\x80", -EILSEQ, 0 },
		{ "\xbf", -EILSEQ, 0 },
		{ "\xc0\xaf", -EILSEQ, 0 },
		{ "\xc1\xbf", -EILSEQ, 0 },
		{ "\xe0\x9f\xbf", -EILSEQ, 0 },
		{ "\xed\xa0\x80", -EILSEQ, 0 },
		{ "\xf0\x8f\xbf\xbf", -EILSEQ, 0 },
		{ "\xf4\x90\x80\x80", -EILSEQ, 0 },
		{ "\xf5\x80\x80\x80", -EILSEQ, 0 },
		{ "\xff", -EILSEQ, 0 },
		{ "\xc3(", -EILSEQ, 0 },
		{ "\xe2\x82(", -EILSEQ, 0 },
		{ "\xf0\x9f\x98(", -EILSEQ, 0 },
	};

	(void)state;
	check(samples, LEN(samples));
}

static void tells_incomplete(void **state)
{
	static const struct sample samples[] = {
		{ "", -EAGAIN, 0 },
		{ "\xc3", -EAGAIN, 0 },
		{ "\xe2", -EAGAIN, 0 },
		{ "\xe2\x82", -EAGAIN, 0 },
		{ "\xf0\x9f", -EAGAIN, 0 },
		{ "\xf0\x9f\x98", -EAGAIN, 0 },
		/* Nothing that follows could make these valid. */
		{ "\xe0\x80", -EILSEQ, 0 },
		{ "\xed\xa0", -EILSEQ, 0 },
		{ "\xf4\x90", -EILSEQ, 0 },
	};

	(void)state;
	check(samples, LEN(samples));
}

/* Every character encoded by the book must decode to itself; all else of that length must not. */
static void decodes_all(void **state)
{
	(void)state;
	for (uint32_t cp = 0x80; cp < 0x110000; cp++) {
		uint8_t p[4];
		uint32_t got = 0;
		int n = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
		int want = cp >= 0xd800 && cp < 0xe000 ? -EILSEQ : n;
		uint32_t rest = cp;

		for (int i = n - 1; i > 0; i--, rest >>= 6)
			p[i] = 0x80 | (rest & 0x3f);
		p[0] = (uint8_t)(0xf00U >> n) | rest;
		if (utf8_decode(p, n, &got) != want || (want > 0 && got != cp))
			fail_msg("U+%04X", cp);
	}
}

static void knows_printable(void **state)
{
	static const uint32_t yes[] = { ' ',	'~',	0xa0,	 0xac,	     0xae,
					0x301,	0x20ac, 0x2027,	 0x202f,     0x2065 - 6,
					0x3042, 0xac00, 0xd7ff,	 0xf900,     0xfe0f,
					0xfffc, 0xfffd, 0x1f600, 0x2ffff - 2 };
	static const uint32_t no[] = { 0,      0x1b,	0x7f,	 0x80,	  0x9b,	   0x9f,    0xad,
				       0x61c,  0x200b,	0x200e,	 0x200f,  0x2028,  0x2029,  0x202a,
				       0x202e, 0x2066,	0x2069,	 0xe000,  0xfeff,  0xfff9,  0xfffb,
				       0xffff, 0xe0000, 0xe0041, 0xe007f, 0xf0000, 0x10ffff };

	(void)state;
	for (size_t i = 0; i < LEN(yes); i++)
		if (!utf8_printable(yes[i]))
			fail_msg("U+%04X is printable", yes[i]);
	for (size_t i = 0; i < LEN(no); i++)
		if (utf8_printable(no[i]))
			fail_msg("U+%04X is not printable", no[i]);
}

static void is_text(void **state)
{
	static const char *const yes[] = { "", "abc", "a\tb\r\nc", "gr\xc3\xbc\xc3\x9f",
					   "\xe2\x80\xae" };
	static const char *const no[] = { "\x01",     "abcd\x1b", "abcdefgh\x7f", "\xc2\x80",
					  "\xc2\x9f", "abc\xc3",  "\xff" };

	(void)state;
	for (size_t i = 0; i < LEN(yes); i++)
		assert_true(utf8_is_text((const uint8_t *)yes[i], strlen(yes[i])));
	for (size_t i = 0; i < LEN(no); i++)
		assert_false(utf8_is_text((const uint8_t *)no[i], strlen(no[i])));
	assert_false(utf8_is_text((const uint8_t *)"a\0b", 3));
}

static void finds_runs(void **state)
{
	static const uint8_t plain[256] = { [0x20 ... 0x7e] = 1 };
	static const struct {
		const char *s;
		size_t run;
	} samples[] = {
		{ "", 0 },	     { "abc", 3 },   { "abcdefg\n", 7 }, { "\nabc", 0 },
		{ "a\xc3\xbcz", 4 }, { "a\xc3", 1 }, { "ab\xff", 2 },	 { "a\xe2\x80\xae", 1 },
	};

	(void)state;
	for (size_t i = 0; i < LEN(samples); i++)
		assert_int_equal(utf8_printable_run((const uint8_t *)samples[i].s,
						    strlen(samples[i].s), plain),
				 samples[i].run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_valid),    cmocka_unit_test(refuses_invalid),
		cmocka_unit_test(tells_incomplete), cmocka_unit_test(decodes_all),
		cmocka_unit_test(knows_printable),  cmocka_unit_test(is_text),
		cmocka_unit_test(finds_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

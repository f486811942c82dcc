/* SPDX-License-Identifier: Apache-2.0 */
/* The test vectors of RFC 4648 section 10, and encoding in pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "util/base64.h"

static void check(const char *in, size_t len, const char *want)
{
	char out[64];
	size_t n = base64_encode((const uint8_t *)in, len, out);

	assert_int_equal(n, BASE64_LEN(len));
	assert_int_equal(n, strlen(want));
	assert_memory_equal(out, want, n);
}

static void rfc_vectors(void **state)
{
	(void)state;
	check("", 0, "");
	check("f", 1, "Zg==");
	check("fo", 2, "Zm8=");
	check("foo", 3, "Zm9v");
	check("foob", 4, "Zm9vYg==");
	check("fooba", 5, "Zm9vYmE=");
	check("foobar", 6, "Zm9vYmFy");
}

static void high_bytes(void **state)
{
	(void)state;
	check("\xff\xff\xff", 3, "////");
	check("\xfb\xef\xbe", 3, "++++");
	check("\xff", 1, "/w==");
	check("\0\0", 2, "AAA=");
}

static void in_pieces(void **state)
{
	const uint8_t *p = (const uint8_t *)"foobarbaz!";
	char whole[16], pieces[16];
	size_t n = base64_encode(p, 10, whole), m;

	(void)state;
	m = base64_encode(p, 6, pieces);
	m += base64_encode(p + 6, 4, pieces + m);
	assert_int_equal(n, m);
	assert_memory_equal(whole, pieces, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_vectors),
		cmocka_unit_test(high_bytes),
		cmocka_unit_test(in_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "event/secret.h"

/* As RFC 9850 has them. */
static const char *const names[LABEL_MAX] = {
	"",
	"CLIENT_RANDOM",
	"CLIENT_EARLY_TRAFFIC_SECRET",
	"CLIENT_HANDSHAKE_TRAFFIC_SECRET",
	"SERVER_HANDSHAKE_TRAFFIC_SECRET",
	"CLIENT_TRAFFIC_SECRET_0",
	"SERVER_TRAFFIC_SECRET_0",
	"EARLY_EXPORTER_SECRET",
	"EXPORTER_SECRET",
};

static void test_names(void **state)
{
	char longer[64];
	int i;

	(void)state;
	for (i = 1; i < LABEL_MAX; i++) {
		size_t len = strlen(names[i]);

		assert_string_equal(secret_label_name(i), names[i]);
		assert_int_equal(secret_label_find(names[i], len), i);
		assert_int_equal(secret_label_find(names[i], len - 1), LABEL_NONE);
		assert_int_equal(secret_label_find(names[i] + 1, len - 1), LABEL_NONE);
		strcpy(longer, names[i]);
		strcat(longer, " ");
		assert_int_equal(secret_label_find(longer, len + 1), LABEL_NONE);
		longer[0] ^= 0x20;
		assert_int_equal(secret_label_find(longer, len), LABEL_NONE);
		/* The NUL is no part of a name. */
		assert_int_equal(secret_label_find(names[i], len + 1), LABEL_NONE);
	}
	assert_string_equal(secret_label_name(LABEL_NONE), "");
	assert_string_equal(secret_label_name(LABEL_MAX), "");
	assert_string_equal(secret_label_name(-1), "");
	assert_int_equal(secret_label_find("", 0), LABEL_NONE);
}

static void test_lengths(void **state)
{
	size_t len;
	int i;

	(void)state;
	for (i = -1; i <= LABEL_MAX; i++) {
		for (len = 0; len <= 2 * SECRET_LEN_MAX; len++) {
			bool fits = len == 48 || (len == 32 && i != LABEL_CLIENT_RANDOM);

			if (i <= LABEL_NONE || i == LABEL_MAX)
				fits = false;
			assert_int_equal(secret_len_fits(i, len), fits);
		}
		assert_false(secret_len_fits(i, SIZE_MAX));
	}
}

static void test_blank(void **state)
{
	uint8_t bytes[SECRET_LEN_MAX];
	size_t i;

	(void)state;
	memset(bytes, 0, sizeof(bytes));
	assert_true(secret_is_blank(bytes, sizeof(bytes)));
	assert_true(secret_is_blank(bytes, 0));
	memset(bytes, 0xa5, sizeof(bytes));
	assert_true(secret_is_blank(bytes, sizeof(bytes)));
	for (i = 0; i < sizeof(bytes); i++) {
		bytes[i] ^= 1;
		assert_false(secret_is_blank(bytes, sizeof(bytes)));
		bytes[i] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_blank),
	};

	return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a record's place says about the stream before it, and the list of those that wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/stream.h"

static void keep(struct stream *s, uint64_t off, uint64_t len, const char *text)
{
	assert_int_equal(stream_keep(s, off, len, text, strlen(text) + 1), 0);
}

static void assert_takes(struct stream *s, uint64_t upto, const char *text)
{
	struct stream_piece *piece = stream_take(s, upto);

	assert_non_null(piece);
	assert_string_equal((char *)piece->record, text);
	assert_int_equal(piece->size, strlen(text) + 1);
	free(piece);
}

static void places(void **state)
{
	struct stream s = { .next = 100 };

	(void)state;
	assert_int_equal(stream_look(&s, 100, 0), STREAM_NEXT);
	assert_int_equal(stream_look(&s, 100, 50), STREAM_NEXT);
	assert_int_equal(stream_look(&s, 99, 0), STREAM_OLD);
	assert_int_equal(stream_look(&s, 0, 1000), STREAM_OLD);
	assert_int_equal(stream_look(&s, 110, 0), STREAM_WAIT);
	assert_int_equal(stream_look(&s, 110, 9), STREAM_WAIT);
	assert_int_equal(stream_look(&s, 110, 10), STREAM_HOLE);
	assert_int_equal(stream_look(&s, 110, 11), STREAM_HOLE);
	assert_int_equal(stream_look(&s, UINT64_MAX, 0), STREAM_WAIT);
}

static void losses_count_once(void **state)
{
	struct stream s = { .next = 100, .lost = 30 };

	(void)state;
	assert_int_equal(stream_look(&s, 110, 30), STREAM_WAIT);
	assert_int_equal(stream_look(&s, 110, 39), STREAM_WAIT);
	assert_int_equal(stream_look(&s, 110, 40), STREAM_HOLE);
	/* A count from before the last gap. */
	assert_int_equal(stream_look(&s, 110, 0), STREAM_WAIT);
}

/* What waits before a record is not missing. */
static void waiting_is_not_lost(void **state)
{
	struct stream s = { 0 };

	(void)state;
	keep(&s, 100, 10, "a");
	keep(&s, 120, 5, "b");
	keep(&s, 300, 50, "behind");
	assert_int_equal(stream_look(&s, 110, 99), STREAM_WAIT);
	assert_int_equal(stream_look(&s, 110, 100), STREAM_HOLE);
	assert_int_equal(stream_look(&s, 130, 114), STREAM_WAIT);
	assert_int_equal(stream_look(&s, 130, 115), STREAM_HOLE);
	stream_done(&s);
}

static void keeps_by_offset(void **state)
{
	struct stream s = { 0 };
	char text[] = "copied";

	(void)state;
	keep(&s, 30, 5, "third");
	keep(&s, 10, 5, text);
	keep(&s, 20, 5, "second");
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(s.waiting_bytes, 6 + 7 + 7);
	assert_null(stream_take(&s, 0));
	assert_null(stream_take(&s, 10));
	assert_takes(&s, 11, "copied");
	s.next = 20;
	assert_takes(&s, 0, "second");
	assert_null(stream_take(&s, 30));
	/* Its place has been passed: it goes, for the caller to drop. */
	s.next = 31;
	assert_takes(&s, 0, "third");
	assert_null(stream_take(&s, STREAM_ALL));
	assert_int_equal(s.waiting_bytes, 0);
	stream_done(&s);
}

static void waits_within_bounds(void **state)
{
	struct stream s = { 0 };
	char *big = calloc(1, STREAM_WAITING_MAX);

	(void)state;
	assert_non_null(big);
	assert_int_equal(stream_keep(&s, 10, 1, big, STREAM_WAITING_MAX - 1), 0);
	assert_int_equal(stream_look(&s, 20, 0), STREAM_WAIT);
	assert_int_equal(stream_keep(&s, 20, 1, big, 1), 0);
	assert_int_equal(stream_look(&s, 30, 0), STREAM_HOLE);
	assert_int_equal(stream_look(&s, 0, 0), STREAM_NEXT);
	stream_done(&s);
	assert_null(s.waiting);
	assert_int_equal(s.waiting_bytes, 0);
	assert_int_equal(stream_look(&s, 30, 0), STREAM_WAIT);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places),
		cmocka_unit_test(losses_count_once),
		cmocka_unit_test(waiting_is_not_lost),
		cmocka_unit_test(keeps_by_offset),
		cmocka_unit_test(waits_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

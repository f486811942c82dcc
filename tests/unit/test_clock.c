/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's clocks as wall-clock time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "util/clock.h"

#define NS_PER_SECOND 1000000000ULL

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;

	assert_int_equal(clock_gettime(id, &ts), 0);
	return (uint64_t)ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

static void adds_the_distance(void **state)
{
	struct clock clock = { .mono_ns = 1600000000000000007, .boot_ns = 5 };

	(void)state;
	assert_int_equal(clock_from_mono(&clock, 11), 1600000000000000018);
	assert_int_equal(clock_from_boot(&clock, 11), 16);
	/* A wall clock set to before the machine's start. */
	clock.mono_ns = -7;
	clock.boot_ns = -11;
	assert_int_equal(clock_from_mono(&clock, 11), 4);
	assert_int_equal(clock_from_boot(&clock, 11), 0);
}

/* A wrong clock is wrong by years: minutes are allowed for a busy machine. */
static void measures_the_distance(void **state)
{
	uint64_t real = read_ns(CLOCK_REALTIME), boot = read_ns(CLOCK_BOOTTIME);
	uint64_t mono = clock_now(), slack = 600 * NS_PER_SECOND;
	struct clock clock;

	(void)state;
	clock_measure(&clock);
	assert_in_range(clock_from_mono(&clock, mono), real - slack, real + slack);
	assert_in_range(clock_from_boot(&clock, boot), real - slack, real + slack);
}

static void now_is_monotonic(void **state)
{
	uint64_t before = read_ns(CLOCK_MONOTONIC), now = clock_now();

	(void)state;
	assert_in_range(now, before, read_ns(CLOCK_MONOTONIC));
	for (int i = 0; i < 1000; i++) {
		before = now;
		now = clock_now();
		assert_true(now >= before);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_the_distance),
		cmocka_unit_test(measures_the_distance),
		cmocka_unit_test(now_is_monotonic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

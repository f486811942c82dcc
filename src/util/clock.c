// SPDX-License-Identifier: Apache-2.0
#include "util/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Of several readings the one taken in the shortest time is the least disturbed. */
static int64_t distance(clockid_t id)
{
	int64_t best = INT64_MAX, ret = 0;

	for (int i = 0; i < 8; i++) {
		int64_t before = read_ns(id);
		int64_t real = read_ns(CLOCK_REALTIME);
		int64_t after = read_ns(id);

		if (after - before < best) {
			best = after - before;
			ret = real - (before + (after - before) / 2);
		}
	}
	return ret;
}

void clock_measure(struct clock *clock)
{
	clock->mono_ns = distance(CLOCK_MONOTONIC);
	clock->boot_ns = distance(CLOCK_BOOTTIME);
}

uint64_t clock_from_mono(const struct clock *clock, uint64_t mono_ns)
{
	return mono_ns + (uint64_t)clock->mono_ns;
}

uint64_t clock_from_boot(const struct clock *clock, uint64_t boot_ns)
{
	return boot_ns + (uint64_t)clock->boot_ns;
}

uint64_t clock_now(void)
{
	return (uint64_t)read_ns(CLOCK_MONOTONIC);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the kernel's clocks into wall-clock time. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

struct clock {
	int64_t mono_ns; /* add to CLOCK_MONOTONIC to get CLOCK_REALTIME */
	int64_t boot_ns; /* add to CLOCK_BOOTTIME to get CLOCK_REALTIME */
};

/* Measures the distances between the clocks; they move when the wall clock is set. */
void clock_measure(struct clock *clock);
uint64_t clock_from_mono(const struct clock *clock, uint64_t mono_ns);
uint64_t clock_from_boot(const struct clock *clock, uint64_t boot_ns);
/* CLOCK_MONOTONIC in ns. */
uint64_t clock_now(void);

#endif

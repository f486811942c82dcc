/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a value is when a probe is hit: in a register, or in memory that a register leads to.
 *
 *	v = the register; loads times: v = *(v + off[i]); v += add; the lowest width bytes count
 */
#ifndef PLACE_H
#define PLACE_H

#include <stdbool.h>
#include <stdint.h>

#define PLACE_LOADS 3

struct place {
	uint8_t reg;   /* as the decoder numbers them */
	uint8_t width; /* bytes that are there, lowest first; 0: it is nowhere */
	uint8_t loads;
	int32_t off[PLACE_LOADS];
	int32_t add;
};

static inline struct place place_reg(uint8_t reg)
{
	return (struct place) { .reg = reg, .width = 8 };
}

/* What is in memory, width bytes, off behind where reg points. */
static inline struct place place_memory(uint8_t reg, int32_t off, uint8_t width)
{
	return (struct place) { .reg = reg, .width = width, .loads = 1, .off = { off } };
}

#endif

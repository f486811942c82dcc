/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the AArch64 decoder share. */
#ifndef INSN_ARM64_H
#define INSN_ARM64_H

#include <stdbool.h>
#include <stdint.h>

#include "elf/insn.h"

#define ARM64_SP   31
#define ARM64_ZERO 31 /* the same number: which of both depends on the instruction */

/* Bits low to high of an instruction. */
static inline unsigned int bits(uint32_t word, unsigned int high, unsigned int low)
{
	return word >> low & ((2U << (high - low)) - 1);
}

static inline int64_t signed_bits(uint32_t word, unsigned int high, unsigned int low)
{
	return (int64_t)((uint64_t)bits(word, high, low) << (63 - high + low)) >> (63 - high + low);
}

/* The operand is a general register or zero. */
static inline uint8_t reg_or_none(unsigned int reg)
{
	return reg == ARM64_ZERO ? INSN_REG_NONE : (uint8_t)reg;
}

static inline void writes_reg(struct insn *insn, unsigned int reg)
{
	if (reg != ARM64_ZERO)
		insn->writes |= 1U << reg;
}

/* Loads and stores, SIMD's as well; not SVE's. */
int arm64_decode_access(uint32_t word, uint64_t vaddr, struct insn *insn);

#endif

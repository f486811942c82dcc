/* SPDX-License-Identifier: Apache-2.0 */
/* The opcodes of x86-64 in 64-bit mode: what follows each one and what it writes. */
#ifndef OPCODES_X86_H
#define OPCODES_X86_H

#include <stdint.h>

/* Attributes of an opcode. The low bits say which constant follows. */
enum {
	IMM_NONE,
	IMM_8,
	IMM_16,
	IMM_24,	   /* enter: 16 and 8 bits */
	IMM_Z,	   /* 16 bits after 0x66, else 32 */
	IMM_V,	   /* as IMM_Z, 64 with REX.W */
	IMM_32,	   /* always */
	IMM_MOFFS, /* an address: 64 bits, 32 after 0x67 */
	IMM_MASK = 7,
	MODRM = 1 << 3,
	BYTE = 1 << 4,	/* registers are 8 bits wide */
	W_REG = 1 << 5, /* writes ModRM.reg */
	W_RM = 1 << 6,	/* writes ModRM.rm if that is a register */
	W_OP = 1 << 7,	/* writes the register in the opcode's low bits */
	W_AX = 1 << 8,
	W_CX = 1 << 9,
	W_DX = 1 << 10,
	W_SI = 1 << 11,
	W_DI = 1 << 12,
	W_ALL = 1 << 13, /* may write any register */
	BAD = 1 << 14,
	W_SP = 1 << 15,
};

/* Of 0f 38 and 0f 3a, where no table is worth it: both operands may be registers. */
#define MAP_0F38 (MODRM | W_REG | W_RM)
#define MAP_0F3A (MODRM | IMM_8 | W_REG | W_RM | W_CX)

/* Attributes by opcode; after 0x0f the second table. */
extern const uint16_t opcodes_x86_one_byte[256];
extern const uint16_t opcodes_x86_two_byte[256];

#endif

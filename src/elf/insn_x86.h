/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the x86-64 decoder share: an instruction's fields as they are encoded. */
#ifndef INSN_X86_H
#define INSN_X86_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/insn.h"

enum { AX, CX, DX, BX, SP, BP, SI, DI, REGS = 16 };

#define ALL_REGS ((1U << REGS) - 1)

enum map { MAP_ONE_BYTE, MAP_0F = 1, MAP_38 = 2, MAP_3A = 3 };

struct decoder {
	const uint8_t *code;
	size_t len;
	size_t pos;
	bool opsize;   /* 0x66 */
	bool addrsize; /* 0x67 */
	bool repeat;   /* 0xf3 */
	bool segment;  /* fs or gs: the address is not what its registers say */
	bool vector;   /* VEX, EVEX or XOP */
	/* REX bits, of the prefix or of VEX and its kin. */
	bool rex; /* a REX prefix is there */
	bool rex_w;
	uint8_t rex_r; /* 8 or 0, as the next two */
	uint8_t rex_x;
	uint8_t rex_b;
	uint8_t vvvv;	    /* VEX and its kin: one more register */
	uint8_t vector_len; /* bytes, for VEX and its kin */
	enum map map;
	uint8_t opcode;
	uint16_t attr;
	uint8_t mod;
	uint8_t reg;
	uint8_t rm;
	int64_t imm;
};

/*
 * Opcodes of which ModRM.reg selects the operation: before the constant is taken, which depends on
 * it. -EILSEQ.
 */
int x86_refine_group(struct decoder *d, struct insn *insn);
/* What the instruction does, from all of its fields. -EILSEQ. */
int x86_classify(const struct decoder *d, uint64_t vaddr, struct insn *insn);

#endif

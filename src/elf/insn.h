/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding of single instructions: exact length, where control goes, and which general registers
 * are written. Enough to follow a call's arguments through compiled code; not a disassembler.
 * To add a machine: write insn_NAME.c with one decode function and call it from insn.c.
 */
#ifndef INSN_H
#define INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum insn_kind {
	INSN_OTHER,
	INSN_NOP, /* no effect on registers or memory, endbr64 included */
	INSN_CALL,
	INSN_CALL_INDIRECT,
	INSN_JMP,
	INSN_JMP_INDIRECT,
	INSN_JCC, /* conditional: may go on at target or after the instruction */
	INSN_RET,
	INSN_STOP, /* traps: never goes on */
	INSN_MOV,  /* dst = src; see width */
	INSN_ZERO, /* dst = 0 */
	INSN_LEA,  /* dst = src + disp, 64 bit wide */
	INSN_PUSH, /* of register src */
	INSN_POP,  /* into register dst */
};

#define INSN_LEN_MAX  15
#define INSN_REGS_MAX 32
/* Not a register: no such operand, or one that is none of the general registers. */
#define INSN_REG_NONE 0xff
/* base of an address that counts from the instruction. */
#define INSN_REG_PC 0xfe

struct insn {
	enum insn_kind kind;
	uint8_t len;
	uint8_t width; /* MOV: bytes moved, 8 or 4; with 4 the upper half of dst becomes 0 */
	uint8_t dst;   /* MOV, ZERO, LEA, POP */
	uint8_t src;   /* MOV, PUSH; LEA when the address is one register and a constant */
	uint8_t base;  /* base register of the address; INSN_REG_NONE: no such */
	uint8_t index; /* index register of the address; INSN_REG_NONE: no such */
	bool memory;   /* has an explicit memory operand: false for LEA and NOP */
	int32_t disp;  /* constant in the address */
	/* CALL, JMP, JCC: where to. The address when base is INSN_REG_PC. */
	uint64_t target;
	/*
	 * General registers that may be written, 1U << number: never too few. Without what a
	 * called function writes and without the stack pointer in calls, pushes and pops.
	 */
	uint32_t writes;
};

/*
 * Decodes the instruction at code, which runs at vaddr. machine: EM_... of the file.
 * -EOPNOTSUPP: no decoder for the machine. -EILSEQ: not a valid instruction, or one that compilers
 * do not emit. -ENODATA: it goes on after len bytes.
 */
int insn_decode(uint16_t machine, const uint8_t *code, size_t len, uint64_t vaddr,
		struct insn *ret_insn);

/* x86-64: registers are numbered as in the encoding, 4 is the stack pointer. */
int insn_decode_x86(const uint8_t *code, size_t len, uint64_t vaddr, struct insn *ret_insn);

#endif

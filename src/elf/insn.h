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
	/*
	 * No effect on registers or memory, endbr64 included; signing the return address counts as
	 * none, its register is in writes.
	 */
	INSN_NOP,
	INSN_CALL,
	INSN_CALL_INDIRECT,
	INSN_JMP,
	INSN_JMP_INDIRECT,
	INSN_JCC, /* conditional: may go on at target or after the instruction */
	INSN_RET,
	INSN_STOP,  /* traps: never goes on */
	INSN_MOV,   /* dst = src; see width */
	INSN_ZERO,  /* dst = 0 */
	INSN_CONST, /* dst = value, all of it */
	/*
	 * 64 bit wide: dst = src + disp, add and sub of a constant as well. Without src: dst = target
	 * if base is INSN_REG_PC, else the sum of base, index, which may be scaled, and disp.
	 */
	INSN_LEA,
	INSN_ADD,	  /* dst += src, or memory without src; 64 bit wide */
	INSN_LOAD,	  /* dst = memory, zero extended, then dst2 from behind it; see width */
	INSN_STORE,	  /* memory = the low width bytes of src, then those of src2 */
	INSN_COMPARE,	  /* src with value; nothing changes but the flags */
	INSN_STORE_CONST, /* memory = the low width bytes of value */
	/* 8 bytes: register src; without one memory if there is an operand, else value */
	INSN_PUSH,
	INSN_POP, /* into register dst */
};

#define INSN_LEN_MAX  15
#define INSN_REGS_MAX 32
/* Not a register: no such operand, or one that is none of the general registers. */
#define INSN_REG_NONE 0xff
/* stores: from the address on, no limit known. */
#define INSN_STORES_ANY 0xff
/* base of an address that counts from the instruction. */
#define INSN_REG_PC 0xfe

struct insn {
	enum insn_kind kind;
	uint8_t len;
	/*
	 * MOV, LOAD: bytes moved; with less than 8 the rest of dst becomes 0. Of MOV 8 or 4. STORE: any.
	 * ADD: 8.
	 */
	uint8_t width;
	uint8_t dst; /* MOV, ZERO, CONST, LEA, ADD, LOAD, POP */
	/*
	 * MOV, ADD, PUSH; STORE: INSN_REG_NONE is no register's value; LEA: when the address is it
	 * and a constant; CALL_INDIRECT, JMP_INDIRECT: when it holds the address.
	 */
	uint8_t src;
	uint8_t dst2;  /* LOAD: INSN_REG_NONE: no such */
	uint8_t src2;  /* STORE: INSN_REG_NONE: no such, or no register's value */
	uint8_t base;  /* base register of the address; INSN_REG_NONE: no such */
	uint8_t index; /* index register of the address; INSN_REG_NONE: no such */
	uint8_t scale; /* index counts so many times; 0: not known */
	bool memory;   /* has an explicit memory operand: false for LEA and NOP */
	/*
	 * Bytes that may be written at the memory operand, never too few; without an operand: that
	 * something is written where a register points. Calls and pushes are not counted.
	 */
	uint8_t stores;
	int32_t disp; /* constant in the address; the address when base is INSN_REG_PC is target */
	/* Added to base once the address is made. Base is in writes; when this is 0 too, not known. */
	int32_t step;
	/* CALL, JMP, JCC: where to. The address when base is INSN_REG_PC. */
	uint64_t target;
	uint64_t value; /* CONST, STORE_CONST, PUSH, COMPARE */
	/*
	 * General registers that may be written, 1U << number: never too few. Without what a
	 * called function writes and without the stack pointer in CALL, PUSH and POP.
	 */
	uint32_t writes;
};

/*
 * Decodes the instruction at code, which runs at vaddr. machine: EM_... of the file.
 * -EOPNOTSUPP: no decoder for the machine. -EILSEQ: not a valid instruction, or one that compilers
 * do not emit, or not at such an address. -ENODATA: it goes on after len bytes.
 */
int insn_decode(uint16_t machine, const uint8_t *code, size_t len, uint64_t vaddr,
		struct insn *ret_insn);

/* x86-64: registers are numbered as in the encoding, 4 is the stack pointer. */
int insn_decode_x86(const uint8_t *code, size_t len, uint64_t vaddr, struct insn *ret_insn);

/* AArch64: x0 to x30 are 0 to 30, 31 is the stack pointer; the zero register is none. */
int insn_decode_arm64(const uint8_t *code, size_t len, uint64_t vaddr, struct insn *ret_insn);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What registers and the frame hold at one point of a function, and what an instruction does to
 * that.
 *
 * Stack addresses count from the stack pointer at the function's entry, where the return address
 * is; the frame is below. As long as no address of the frame has left the stack pointer and the
 * frame pointer, nobody else can write to it; from then on every call and every store through a
 * pointer may change all of it.
 */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "elf/callee.h"
#include "elf/insn.h"

#define STATE_REGS  INSN_REGS_MAX
#define STATE_SLOTS 24

enum kind {
	KIND_UNKNOWN,
	KIND_ARG,     /* the lowest bytes are an argument's */
	KIND_DERIVED, /* an argument and something */
	KIND_STACK,   /* an address in the frame */
};

struct val {
	uint8_t kind;
	uint8_t arg;   /* ARG, DERIVED */
	uint8_t width; /* ARG: how many bytes */
	int32_t off;   /* STACK */
};

/* Memory in the frame. What is not listed is not known. */
struct slot {
	int32_t off;
	uint8_t width;
	struct val val;
};

struct state {
	struct val reg[STATE_REGS];
	struct slot slot[STATE_SLOTS];
	uint8_t slot_count;
	bool leaked; /* others may know an address in the frame */
};

struct val state_value(const struct state *state, uint8_t reg);
bool state_is_stack(const struct state *state, uint8_t reg);
/* An argument or a place behind it. */
bool val_is_based_on(struct val val, unsigned int arg);
/* Is the memory operand at a place in the frame that is known? */
bool state_frame_offset(const struct state *state, const struct insn *insn, int32_t *ret_off);
/* Keeps what holds in both. True when into loses something. */
bool state_meet(struct state *into, const struct state *from);
/*
 * An instruction's effect but for where it jumps. dst_arg: the argument that counts as the pointer
 * when two are added.
 */
void state_apply(const struct abi *abi, unsigned int dst_arg, struct state *state,
		 const struct insn *insn);
/* What a called function does. copies: it is memcpy, or like it. */
void state_call(const struct abi *abi, struct state *state, bool copies);

#endif

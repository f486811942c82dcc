/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows code forward on all ways, and knows at each instruction which registers and places in the
 * frame hold constants, addresses in the frame, or what an argument leads to.
 *
 * Ways are not joined: each is walked with what it knows itself, and a place in the code at most a
 * few times. So what is seen is possible, not certain, and not complete; whoever asks compares all
 * sightings and refuses when they differ. Memory that is read through an argument counts as not
 * changing.
 */
#ifndef TRACE_H
#define TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/callee.h"
#include "elf/image.h"
#include "elf/insn.h"
#include "elf/value.h"

struct trace;

/*
 * Called before each instruction takes effect, on each way. A nonzero result ends the walk and is
 * returned. TRACE_CUT: ends only this way.
 */
#define TRACE_CUT 1
typedef int (*trace_fn)(void *arg, const struct trace *trace, uint64_t vaddr,
			const struct insn *insn);

struct trace_start {
	uint64_t vaddr;
	uint64_t low; /* jumps out of low to high are calls that do not return here */
	uint64_t high;
	bool entry; /* vaddr is a function's: the arguments are in their registers */
	/*
	 * Registers, 1U << number, whose values are followed as those of arguments are, arg being
	 * the register. With any of them:
	 * - What is in the frame at the start is a path from the stack pointer.
	 * - Where a called function obviously does nothing but to return what it computes, its code
	 *   is followed as well. trace_surprises() tells of the others.
	 */
	uint32_t follow;
	/* Else, if known, a register holds a constant. */
	bool known;
	uint8_t reg;
	uint64_t num;
	/* How many instructions may be looked at, for several walks together; NULL: no such limit. */
	size_t *steps;
};

/* The bounds of the function that vaddr is in, or a guess when the file does not tell. */
void trace_bounds(const struct image *image, uint64_t vaddr, uint64_t *ret_low, uint64_t *ret_high);

/* 0; what fn returned; -EOPNOTSUPP: not for this machine. */
int trace_walk(const struct image *image, const struct trace_start *start, trace_fn fn, void *arg);

/* For fn: what is known before the instruction. */
struct value_of trace_reg(const struct trace *trace, uint8_t reg);
/*
 * Argument n (from 0) if the instruction is a call: those that have no register are on the stack, in
 * order, 8 bytes each. System V ABI, x86-64 supplement, 3.2.3; AAPCS64, 6.8.2.
 */
struct value_of trace_arg(const struct trace *trace, unsigned int n);
/* Where that argument is, as pointer or size_t, when the probe is on the call. */
struct place trace_arg_place(uint16_t machine, unsigned int n);
/* The address of the instruction's memory operand. */
struct value_of trace_address(const struct trace *trace, const struct insn *insn);
/* Is the constant in any register or place in the frame? */
bool trace_holds(const struct trace *trace, int64_t num);
/* Does the instruction leave the function for good? */
bool trace_leaves(const struct trace *trace, const struct insn *insn);

/* What a place holds that starts from a register at the instruction. */
struct value_of trace_eval(const struct trace *trace, const struct place *place);
/*
 * Has there been anything on this way, with follow, that may have changed memory which paths lead to:
 * a call, or a store elsewhere than in the frame?
 */
bool trace_surprises(const struct trace *trace);
/* Has there been a store to the len bytes at that address, if it is one in the frame? */
bool trace_stored(const struct trace *trace, struct value_of address, uint8_t len);

/*
 * With follow: the place of any value that is the address of something in the frame, or a path.
 * Width 0: it is none.
 */
struct place trace_place(const struct trace *trace, struct value_of value);

#endif

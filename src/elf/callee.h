/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which functions a function calls, and with what: for each call, which of the caller's own
 * arguments are in the registers of the callee's arguments.
 *
 * The code is walked from the entry until nothing new is learned; where paths meet only what holds
 * on all of them is kept. Code that only a jump table reaches counts as knowing nothing.
 */
#ifndef CALLEE_H
#define CALLEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"

#define ABI_ARGS_MAX	 8
#define CALLEE_ARGS_MAX	 6 /* what is looked at of a call */
#define CALLEE_CALLS_MAX 32

/* How a machine passes arguments. */
struct abi {
	uint16_t machine;
	uint8_t arg[ABI_ARGS_MAX];
	uint8_t args; /* that many of them have a register */
	uint8_t result;
	uint8_t stack;	    /* the stack pointer */
	uint8_t frame;	    /* the register that may hold a frame's address throughout */
	uint32_t clobbered; /* registers that a called function may change */
};

/* NULL: not for this machine. */
const struct abi *abi_find(uint16_t machine);

/* What a register holds. VALUE_ARG0 + n: the function's argument n, unchanged. */
enum value {
	VALUE_ARG0,
	VALUE_STACK = CALLEE_ARGS_MAX, /* an address in the function's own stack frame */
	VALUE_OTHER,
};

struct call {
	uint64_t target;
	uint8_t arg[CALLEE_ARGS_MAX]; /* enum value of the callee's arguments */
	bool tail;		      /* a jump: the callee returns to the function's caller */
};

struct callees {
	struct call call[CALLEE_CALLS_MAX];
	size_t count;
	/* Calls or jumps to an address from memory or a register; not through the GOT. */
	bool indirect;
	/* Uses argument 0 as an address itself. */
	bool derefs_arg0;
};

/*
 * Lists the direct calls and tail jumps of a function. A tail jump is followed into its target,
 * whose calls are then the function's own, once.
 * -EOPNOTSUPP: not for this machine. -EADDRNOTAVAIL: no code there. -EILSEQ: something in it is
 * no instruction, or it does not end where the symbol says. -E2BIG: too many calls or branches.
 */
int callees_list(const struct image *image, const struct symbol *function,
		 struct callees *ret_callees);

#endif

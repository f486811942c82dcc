/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that asks for a callback before it calls a function, x86-64: where the question is, and the
 * way from there when there is a callback.
 */
#ifndef GUARD_H
#define GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"
#include "elf/insn.h"

#define WAY_LEN_MAX 64

/* A function's code. */
struct code {
	uint8_t *bytes;
	uint64_t low;
	uint64_t high;
};

/* cmpq $0,slot(%reg), moves, and the jump. */
struct guard {
	uint64_t compare;
	uint64_t jump;
	uint64_t with;	  /* where it goes on when there is a callback */
	uint64_t without; /* and when there is none */
	int32_t slot;
};

/* Instructions on the way with a callback, behind the jump. */
struct way {
	uint64_t vaddr[WAY_LEN_MAX];
	size_t count;
};

/* The function that vaddr is in, to be freed with code_done() even when it could not be read. */
bool code_load(const struct image *image, uint64_t vaddr, struct code *ret_code);
void code_done(struct code *code);

/*
 * The next guard in the code from *vaddr on, which is moved on behind it. False when there is none
 * any more.
 */
bool guard_next(const struct code *code, uint64_t *vaddr, struct guard *ret_guard);

/*
 * The one guard that a call has: nothing but moves is between them, and no other branch leads to
 * what is between question and call.
 */
bool guard_find(const struct image *image, const struct code *code, uint64_t call,
		struct guard *ret_guard);

/*
 * From the jump to where it does not matter any more whether there is a callback: there may be more
 * guards of the same slot on it, and calls of the function behind them. False when that is not
 * certain.
 */
bool way_find(const struct code *code, const struct guard *guard, uint64_t function,
	      struct way *ret_way);

#endif

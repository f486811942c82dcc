/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a function copies memory to the buffer that it was given, and where its arguments are at
 * that point: in which register, or where on the stack.
 *
 * A value either is an argument on all ways that lead to a point, or counts as not known. What
 * the analysis does not understand makes it fail; it never guesses.
 */
#ifndef DATAFLOW_H
#define DATAFLOW_H

#include <stddef.h>
#include <stdint.h>

#include "elf/callee.h"
#include "elf/image.h"
#include "elf/place.h"

/* A direct call of memcpy or memmove; nothing of it has been executed yet. */
struct copy {
	uint64_t vaddr;
	struct place arg[CALLEE_ARGS_MAX]; /* the function's own arguments */
};

#define COPIES_MAX 8

struct copies {
	struct copy copy[COPIES_MAX];
	size_t count;
};

/*
 * Lists all copies of the function at vaddr whose destination is its argument dst_arg, or a place
 * behind it. Only places that outlive calls are given: registers that calls preserve, and memory in
 * the function's frame that it reads itself. One byte at a time is not a copy.
 * -EOPNOTSUPP: not for this machine, or a jump that cannot be followed. -EADDRNOTAVAIL: no code
 * there. -EILSEQ: something in it is no instruction. -E2BIG: too large. -ENOTUNIQ: a copy may have
 * that destination, or has it where a probe is no use. -ENOENT: where the function ends is not
 * known. -ENOMEM.
 */
int copies_list(const struct image *image, uint64_t vaddr, unsigned int dst_arg,
		struct copies *ret_copies);

#endif

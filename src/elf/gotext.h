/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where runtime.text is, from which Go's table of functions counts since Go 1.18. The table has its
 * address up to Go 1.25, relocated in position independent programs; later only data that has to
 * be found first has it. The code itself shows it in every version: nearly all Go functions begin
 * with a check of the stack's size, so there is one place for runtime.text where most functions of
 * the table begin like that.
 */
#ifndef GOTEXT_H
#define GOTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"

#define GOTEXT_SAMPLES 64

/* How a function gets its arguments. */
enum gotext_abi {
	GOTEXT_ABI_NONE, /* does not begin with a check of the stack's size */
	GOTEXT_ABI_STACK,
	GOTEXT_ABI_REGISTERS,
};

/* As the first instructions of a function show it; p: len bytes of code. */
enum gotext_abi gotext_abi(uint16_t machine, const uint8_t *p, size_t len);

/*
 * offsets: those of some functions, in no order: the first ones must be like all; end: that of the
 * end of the last function. -ENOENT when there is no place that fits, or more than one.
 */
int gotext_find(const struct image *image, const uint32_t *offsets, size_t count, uint64_t end,
		uint64_t *ret_text);

#endif

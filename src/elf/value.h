/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a value in code that is followed: see trace.h. */
#ifndef VALUE_H
#define VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "elf/place.h"

enum value_kind {
	VALUE_UNKNOWN,
	VALUE_CONST, /* num */
	VALUE_FRAME, /* num behind the stack pointer at the start */
	VALUE_PATH,  /* from an argument, by loads, and num added; see place.h */
	VALUE_TABLE, /* an address: argument arg counted times scale, and num added */
	VALUE_ENTRY, /* the 8 bytes at such an address */
};

struct value_of {
	uint8_t kind;
	uint8_t arg; /* PATH, TABLE, ENTRY: number of the argument, or the register's; see start */
	uint8_t loads;
	uint8_t scale;
	uint8_t width; /* PATH: bytes that are its own, the others 0 */
	int32_t off[PLACE_LOADS];
	int64_t num;
};

bool value_is(struct value_of value, int64_t num);
bool value_same(struct value_of a, struct value_of b);
/* The place of a path that starts from what register reg holds. */
struct place value_place(struct value_of value, uint8_t reg);

struct value_of value_const(uint64_t num);
/* The value with num added; unknown when that is not certain. */
struct value_of value_plus(struct value_of value, int64_t num);
struct value_of value_sum(struct value_of a, struct value_of b);
/* What a load of width bytes from a path's end gets. */
struct value_of value_behind(struct value_of value, uint8_t width);
/* The lowest width bytes. */
struct value_of value_narrow(struct value_of value, uint8_t width);
/* The address of an entry of a table at base, whose number is index. */
struct value_of value_table(struct value_of base, struct value_of index, uint8_t scale);

#endif

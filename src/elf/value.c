/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/value.h"

#include <string.h>

/* No frame reaches further; sums with what is within do not overflow. */
#define FRAME_MAX (INT64_C(1) << 40)

static const struct value_of unknown;

bool value_is(struct value_of value, int64_t num)
{
	return value.kind == VALUE_CONST && value.num == num;
}

bool value_same(struct value_of a, struct value_of b)
{
	return a.kind == b.kind && a.arg == b.arg && a.loads == b.loads && a.width == b.width &&
	       a.num == b.num && a.scale == b.scale && !memcmp(a.off, b.off, sizeof(a.off));
}

struct place value_place(struct value_of value, uint8_t reg)
{
	struct place place = { .reg = reg, .loads = value.loads, .add = (int32_t)value.num };

	if (value.kind != VALUE_PATH)
		return place;
	place.width = value.width;
	memcpy(place.off, value.off, sizeof(place.off));
	return place;
}

struct value_of value_const(uint64_t num)
{
	return (struct value_of) { .kind = VALUE_CONST, .num = (int64_t)num };
}

struct value_of value_plus(struct value_of value, int64_t num)
{
	value.num = (int64_t)((uint64_t)value.num + (uint64_t)num);
	if (value.kind == VALUE_UNKNOWN || (value.kind == VALUE_PATH && value.width < 8) ||
	    (value.kind == VALUE_PATH && value.num != (int32_t)value.num) ||
	    (value.kind == VALUE_FRAME && (value.num < -FRAME_MAX || value.num > FRAME_MAX)))
		return unknown;
	return value;
}

struct value_of value_sum(struct value_of a, struct value_of b)
{
	if (b.kind == VALUE_CONST)
		return value_plus(a, b.num);
	return a.kind == VALUE_CONST ? value_plus(b, a.num) : unknown;
}

struct value_of value_behind(struct value_of value, uint8_t width)
{
	if (value.kind != VALUE_PATH || value.loads == PLACE_LOADS || value.width < 8)
		return unknown;
	value.off[value.loads++] = (int32_t)value.num;
	value.num = 0;
	value.width = width;
	return value;
}

struct value_of value_narrow(struct value_of value, uint8_t width)
{
	if (width >= 8)
		return value;
	if (value.kind == VALUE_CONST)
		return value_const((uint64_t)value.num & ((UINT64_C(1) << 8 * width) - 1));
	if (value.kind != VALUE_PATH || value.num)
		return unknown;
	if (value.width > width)
		value.width = width;
	return value;
}

struct value_of value_table(struct value_of base, struct value_of index, uint8_t scale)
{
	if (base.kind != VALUE_CONST || index.kind != VALUE_PATH || index.loads || index.num ||
	    index.width < 8)
		return unknown;
	return (struct value_of) {
		.kind = VALUE_TABLE, .arg = index.arg, .scale = scale, .num = base.num
	};
}

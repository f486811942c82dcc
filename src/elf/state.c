/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/state.h"

#define FRAME_MAX 65536

static const struct val unknown;

struct val state_value(const struct state *state, uint8_t reg)
{
	return reg < STATE_REGS ? state->reg[reg] : unknown;
}

bool state_is_stack(const struct state *state, uint8_t reg)
{
	return state_value(state, reg).kind == KIND_STACK;
}

bool val_is_based_on(struct val val, unsigned int arg)
{
	return val.arg == arg &&
	       (val.kind == KIND_DERIVED || (val.kind == KIND_ARG && val.width == 8));
}

/* The lowest bytes of a value. */
static struct val val_narrow(struct val val, uint8_t width)
{
	if (width >= 8)
		return val;
	if (val.kind != KIND_ARG)
		return unknown;
	if (val.width > width)
		val.width = width;
	return val;
}

static struct val val_plus(struct val val, int64_t distance)
{
	int64_t off = val.off + distance;

	if (!distance)
		return val;
	switch (val.kind) {
	case KIND_ARG:
		if (val.width < 8)
			return unknown;
		val.kind = KIND_DERIVED;
		val.width = 0;
		return val;
	case KIND_STACK:
		if (off < -FRAME_MAX || off > FRAME_MAX)
			return unknown;
		val.off = (int32_t)off;
		return val;
	default:
		return val;
	}
}

/* Sums of two pointers do not occur: one of them is a distance. */
static struct val val_sum(unsigned int dst_arg, struct val a, struct val b)
{
	struct val sum = { .kind = KIND_DERIVED };

	if (val_is_based_on(a, dst_arg) || val_is_based_on(b, dst_arg))
		sum.arg = (uint8_t)dst_arg;
	else if (val_is_based_on(a, a.arg) && !val_is_based_on(b, b.arg))
		sum.arg = a.arg;
	else if (val_is_based_on(b, b.arg) && !val_is_based_on(a, a.arg))
		sum.arg = b.arg;
	else
		return unknown;
	return sum;
}

/* What holds for both. */
static struct val val_meet(struct val a, struct val b)
{
	if (a.kind == KIND_ARG && b.kind == KIND_ARG && a.arg == b.arg) {
		a.width = a.width < b.width ? a.width : b.width;
		return a;
	}
	if (val_is_based_on(a, a.arg) && val_is_based_on(b, a.arg)) {
		a.kind = KIND_DERIVED;
		a.width = 0;
		return a;
	}
	return a.kind == KIND_STACK && b.kind == KIND_STACK && a.off == b.off ? a : unknown;
}

static bool val_same(struct val a, struct val b)
{
	return a.kind == b.kind && a.arg == b.arg && a.width == b.width && a.off == b.off;
}

/* Forgets what is in the frame from low to high. */
static void slots_forget(struct state *state, int64_t low, int64_t high)
{
	size_t i = 0;

	while (i < state->slot_count) {
		const struct slot *slot = &state->slot[i];

		if (slot->off < high && slot->off + slot->width > low)
			state->slot[i] = state->slot[--state->slot_count];
		else
			i++;
	}
}

static const struct slot *slot_find(const struct state *state, int32_t off)
{
	size_t i;

	for (i = 0; i < state->slot_count; i++) {
		if (state->slot[i].off == off)
			return &state->slot[i];
	}
	return NULL;
}

bool state_meet(struct state *into, const struct state *from)
{
	bool leaked = into->leaked, changed = false;
	size_t i = 0;

	into->leaked |= from->leaked;
	while (i < into->slot_count) {
		struct slot *slot = &into->slot[i];
		const struct slot *other = slot_find(from, slot->off);
		struct val val = unknown;

		if (other && other->width == slot->width)
			val = val_meet(slot->val, other->val);
		changed |= !val_same(val, slot->val);
		slot->val = val;
		if (val.kind == KIND_UNKNOWN)
			*slot = into->slot[--into->slot_count];
		else
			i++;
	}
	for (i = 0; i < STATE_REGS; i++) {
		struct val val = val_meet(into->reg[i], from->reg[i]);

		/* Where stores through it go is not known any more. */
		if (val.kind != KIND_STACK &&
		    (into->reg[i].kind == KIND_STACK || from->reg[i].kind == KIND_STACK))
			into->leaked = true;
		changed |= !val_same(val, into->reg[i]);
		into->reg[i] = val;
	}
	return changed || into->leaked != leaked;
}

static uint32_t reg_bit(uint8_t reg)
{
	return reg < STATE_REGS ? 1U << reg : 0;
}

static void reg_set(const struct abi *abi, struct state *state, uint8_t reg, struct val val)
{
	bool lost = reg == abi->stack && val.kind != KIND_STACK;

	if (reg >= STATE_REGS)
		return;
	if (lost || (val.kind == KIND_STACK && reg != abi->stack && reg != abi->frame))
		state->leaked = true;
	if (lost)
		state->slot_count = 0;
	state->reg[reg] = val;
}

static void regs_forget(const struct abi *abi, struct state *state, uint32_t regs)
{
	uint8_t i;

	for (i = 0; i < STATE_REGS; i++) {
		if (regs & (1U << i))
			reg_set(abi, state, i, unknown);
	}
}

bool state_frame_offset(const struct state *state, const struct insn *insn, int32_t *ret_off)
{
	struct val base = state_value(state, insn->base);
	struct val sum = val_plus(base, insn->disp);

	if (!insn->memory || insn->index != INSN_REG_NONE || sum.kind != KIND_STACK)
		return false;
	*ret_off = sum.off;
	return true;
}

/* What a load gets from behind bytes of its place. */
static struct val load(const struct state *state, const struct insn *insn, uint8_t behind)
{
	const struct slot *slot;
	int32_t off;

	if (!state_frame_offset(state, insn, &off))
		return unknown;
	slot = slot_find(state, off + behind);
	if (!slot || slot->width < insn->width)
		return unknown;
	return val_narrow(slot->val, insn->width);
}

static void slot_add(struct state *state, struct slot slot)
{
	if ((slot.val.kind == KIND_ARG || slot.val.kind == KIND_DERIVED) &&
	    slot.off + slot.width <= 0 && state->slot_count < STATE_SLOTS)
		state->slot[state->slot_count++] = slot;
}

static void store(struct state *state, const struct insn *insn)
{
	struct slot slot = { .width = insn->width }, slot2 = slot;
	int64_t high;

	if (insn->kind == INSN_STORE) {
		slot.val = val_narrow(state_value(state, insn->src), insn->width);
		slot2.val = val_narrow(state_value(state, insn->src2), insn->width);
		if (state_is_stack(state, insn->src) || state_is_stack(state, insn->src2))
			state->leaked = true;
	}
	if (!insn->stores)
		return;
	if (!state_frame_offset(state, insn, &slot.off)) {
		if (state->leaked || state_is_stack(state, insn->base) ||
		    state_is_stack(state, insn->index))
			state->slot_count = 0;
		return;
	}
	high = insn->stores == INSN_STORES_ANY ? INT32_MAX : (int64_t)slot.off + insn->stores;
	slots_forget(state, slot.off, high);
	slot2.off = slot.off + slot.width;
	slot_add(state, slot);
	slot_add(state, slot2);
}

/* A push or pop. */
static void stack_move(const struct abi *abi, struct state *state, const struct insn *insn)
{
	uint8_t stack = abi->stack;
	int distance = insn->kind == INSN_PUSH ? -8 : 8;

	if (!state_is_stack(state, stack)) {
		state->slot_count = 0;
	} else if (insn->kind == INSN_PUSH) {
		/* May be an argument, which belongs to the called function: not kept. */
		slots_forget(state, state->reg[stack].off - 8, state->reg[stack].off);
		state->leaked |= state_is_stack(state, insn->src);
	}
	reg_set(abi, state, stack, val_plus(state_value(state, stack), distance));
	regs_forget(abi, state, insn->writes);
}

void state_call(const struct abi *abi, struct state *state, bool copies)
{
	struct val dst = state_value(state, abi->arg[0]);

	regs_forget(abi, state, abi->clobbered);
	if (copies && dst.kind != KIND_STACK)
		state->reg[abi->result] = dst;
	if (state->leaked || !state_is_stack(state, abi->stack))
		state->slot_count = 0;
	else
		slots_forget(state, INT32_MIN, state->reg[abi->stack].off);
}

static struct val val_lea(unsigned int dst_arg, struct state *state, const struct insn *insn)
{
	if (insn->src != INSN_REG_NONE)
		return val_plus(state_value(state, insn->src), insn->disp);
	if (state_is_stack(state, insn->base) || state_is_stack(state, insn->index)) {
		state->leaked = true;
		return unknown;
	}
	return val_sum(dst_arg, state_value(state, insn->base), state_value(state, insn->index));
}

void state_apply(const struct abi *abi, unsigned int dst_arg, struct state *state,
		 const struct insn *insn)
{
	struct val base = val_plus(state_value(state, insn->base), insn->step);
	struct val val = unknown, val2 = unknown, src;
	uint8_t dst = INSN_REG_NONE;

	store(state, insn);
	switch (insn->kind) {
	case INSN_PUSH:
	case INSN_POP:
		stack_move(abi, state, insn);
		return;
	case INSN_MOV:
		val = val_narrow(state_value(state, insn->src), insn->width);
		dst = insn->dst;
		break;
	case INSN_LOAD:
		val = load(state, insn, 0);
		val2 = load(state, insn, insn->width);
		dst = insn->dst;
		break;
	case INSN_LEA:
		val = val_lea(dst_arg, state, insn);
		dst = insn->dst;
		break;
	case INSN_ADD:
		src = insn->memory ? load(state, insn, 0) : state_value(state, insn->src);
		if (state_is_stack(state, insn->dst) || src.kind == KIND_STACK)
			state->leaked = true;
		else
			val = val_sum(dst_arg, state_value(state, insn->dst), src);
		dst = insn->dst;
		break;
	default:
		break;
	}
	/* The stack pointer must not be forgotten where it is known: the frame would be, too. */
	if (insn->step)
		reg_set(abi, state, insn->base, base);
	regs_forget(abi, state,
		    insn->writes & ~(reg_bit(dst) | (insn->step ? reg_bit(insn->base) : 0)));
	reg_set(abi, state, dst, val);
	reg_set(abi, state, insn->dst2, val2);
}

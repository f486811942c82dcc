/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/trace.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX  32
#define FORKS_MAX  256
#define VISITS_MAX 4 /* of one fork: a loop's second round knows what the first one changed */
#define STEPS_MAX  16384
#define CODE_PART  4096
/* Without a table of functions: a function is smaller, a jump further than this leaves it. */
#define NEAR_MAX 16384
/* What a called function may change behind an address that it got. */
#define CHANGED_MAX 8
/* In the middle of a function the frame pointer, if it is one, is somewhere else in the frame. */
#define FRAME_APART (INT64_C(1) << 32)
/* No frame reaches further; sums with what is within do not overflow. */
#define FRAME_MAX (INT64_C(1) << 40)

static const struct value_of unknown;

/* Something in the frame; off is that of a VALUE_FRAME. */
struct slot {
	int64_t off;
	uint8_t width;
	struct value_of value;
};

struct trace {
	const struct abi *abi;
	struct value_of reg[INSN_REGS_MAX];
	struct slot slot[SLOTS_MAX];
	size_t slot_count;
	uint64_t vaddr;
	uint64_t low;
	uint64_t high;
};

struct fork {
	uint64_t vaddr;
	unsigned int visits;
};

struct walk {
	const struct image *image;
	trace_fn fn;
	void *arg;
	struct trace way[FORKS_MAX]; /* still to be walked */
	size_t way_count;
	struct fork fork[FORKS_MAX];
	size_t fork_count;
	size_t steps;	/* left */
	size_t *shared; /* left, for other walks as well; may be NULL */
	/* Code that was read last. */
	uint8_t code[CODE_PART];
	uint64_t code_vaddr;
	size_t code_len;
};

bool value_is(struct value_of value, int64_t num)
{
	return value.kind == VALUE_CONST && value.num == num;
}

bool value_same(struct value_of a, struct value_of b)
{
	return a.kind == b.kind && a.arg == b.arg && a.loads == b.loads && a.width == b.width &&
	       a.num == b.num && !memcmp(a.off, b.off, sizeof(a.off));
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

static struct value_of constant(uint64_t num)
{
	return (struct value_of) { .kind = VALUE_CONST, .num = (int64_t)num };
}

struct value_of trace_reg(const struct trace *trace, uint8_t reg)
{
	return reg < INSN_REGS_MAX ? trace->reg[reg] : unknown;
}

static void reg_set(struct trace *trace, uint8_t reg, struct value_of value)
{
	if (reg < INSN_REGS_MAX)
		trace->reg[reg] = value;
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

static struct value_of sum(struct value_of a, struct value_of b)
{
	if (b.kind == VALUE_CONST)
		return value_plus(a, b.num);
	return a.kind == VALUE_CONST ? value_plus(b, a.num) : unknown;
}

/* What a load of width bytes from a path's end gets. */
static struct value_of behind(struct value_of value, uint8_t width)
{
	if (value.kind != VALUE_PATH || value.loads == PLACE_LOADS || value.width < 8)
		return unknown;
	value.off[value.loads++] = (int32_t)value.num;
	value.num = 0;
	value.width = width;
	return value;
}

static struct value_of narrow(struct value_of value, uint8_t width)
{
	if (width >= 8)
		return value;
	if (value.kind == VALUE_CONST)
		return constant((uint64_t)value.num & ((UINT64_C(1) << 8 * width) - 1));
	if (value.kind != VALUE_PATH || value.num)
		return unknown;
	if (value.width > width)
		value.width = width;
	return value;
}

struct value_of trace_address(const struct trace *trace, const struct insn *insn)
{
	struct value_of base = constant(0), index = constant(0);

	if (insn->base == INSN_REG_PC)
		return constant(insn->target);
	if (insn->base != INSN_REG_NONE)
		base = trace_reg(trace, insn->base);
	if (insn->index != INSN_REG_NONE) {
		index = trace_reg(trace, insn->index);
		if (index.kind == VALUE_CONST && (insn->scale || !index.num))
			index.num = (int64_t)((uint64_t)index.num * insn->scale);
		else if (insn->scale != 1)
			index = unknown;
	}
	return value_plus(sum(base, index), insn->disp);
}

static void slots_forget(struct trace *trace, int64_t low, int64_t high)
{
	size_t i = 0;

	while (i < trace->slot_count) {
		if (trace->slot[i].off < high && trace->slot[i].off + trace->slot[i].width > low)
			trace->slot[i] = trace->slot[--trace->slot_count];
		else
			i++;
	}
}

static void slot_set(struct trace *trace, int64_t off, uint8_t width, struct value_of value)
{
	slots_forget(trace, off, off + width);
	if (value.kind != VALUE_UNKNOWN && trace->slot_count < SLOTS_MAX)
		trace->slot[trace->slot_count++] = (struct slot) { off, width, value };
}

/* width 0: as much as is there. */
static struct value_of slot_get(const struct trace *trace, int64_t off, uint8_t width)
{
	size_t i;

	for (i = 0; i < trace->slot_count; i++) {
		if (trace->slot[i].off == off && trace->slot[i].width >= width)
			return narrow(trace->slot[i].value, width ? width : trace->slot[i].width);
	}
	return unknown;
}

/* width bytes that begin further behind the instruction's operand. */
static struct value_of load(const struct trace *trace, const struct insn *insn, uint8_t width,
			    int64_t further)
{
	struct value_of address = value_plus(trace_address(trace, insn), further);

	if (address.kind == VALUE_FRAME)
		return slot_get(trace, address.num, width);
	return behind(address, width);
}

struct value_of trace_arg(const struct trace *trace, unsigned int n)
{
	struct value_of stack = trace_reg(trace, trace->abi->stack);

	if (n < trace->abi->args)
		return trace_reg(trace, trace->abi->arg[n]);
	if (stack.kind != VALUE_FRAME)
		return unknown;
	return slot_get(trace, stack.num + 8 * (int64_t)(n - trace->abi->args), 0);
}

struct place trace_arg_place(uint16_t machine, unsigned int n)
{
	const struct abi *abi = abi_find(machine);

	if (!abi)
		return (struct place) { 0 };
	if (n < abi->args)
		return place_reg(abi->arg[n]);
	return place_memory(abi->stack, 8 * (int32_t)(n - abi->args), 8);
}

bool trace_holds(const struct trace *trace, int64_t num)
{
	size_t i;

	for (i = 0; i < INSN_REGS_MAX; i++) {
		if (value_is(trace->reg[i], num))
			return true;
	}
	for (i = 0; i < trace->slot_count; i++) {
		if (value_is(trace->slot[i].value, num))
			return true;
	}
	return false;
}

bool trace_leaves(const struct trace *trace, const struct insn *insn)
{
	if (insn->kind == INSN_JMP)
		return insn->target < trace->low || insn->target >= trace->high;
	return insn->kind == INSN_JMP_INDIRECT && insn->index == INSN_REG_NONE;
}

static void regs_forget(struct trace *trace, uint32_t regs)
{
	uint8_t i;

	for (i = 0; i < INSN_REGS_MAX; i++) {
		if (regs & 1U << i)
			trace->reg[i] = unknown;
	}
}

static void store(struct trace *trace, const struct insn *insn)
{
	struct value_of address = trace_address(trace, insn), value = unknown, value2 = unknown;

	if (!insn->stores || address.kind != VALUE_FRAME)
		return;
	if (insn->kind == INSN_STORE) {
		value = narrow(trace_reg(trace, insn->src), insn->width);
		value2 = narrow(trace_reg(trace, insn->src2), insn->width);
	} else if (insn->kind == INSN_STORE_CONST) {
		value = narrow(constant(insn->value), insn->width);
	}
	slots_forget(trace, address.num,
		     insn->stores == INSN_STORES_ANY ? INT64_MAX : address.num + insn->stores);
	slot_set(trace, address.num, insn->width, value);
	if (insn->src2 != INSN_REG_NONE)
		slot_set(trace, address.num + insn->width, insn->width, value2);
}

/* A push or pop of 8 bytes. */
static void stack_move(struct trace *trace, const struct insn *insn)
{
	uint8_t stack = trace->abi->stack;
	struct value_of top = trace_reg(trace, stack), value = trace_reg(trace, insn->src);

	if (insn->kind == INSN_PUSH && insn->src == INSN_REG_NONE)
		value = insn->memory ? load(trace, insn, 8, 0) : constant(insn->value);
	if (insn->kind == INSN_PUSH) {
		top = value_plus(top, -8);
		reg_set(trace, stack, top);
		if (top.kind == VALUE_FRAME)
			slot_set(trace, top.num, 8, value);
		return;
	}
	regs_forget(trace, insn->writes);
	if (insn->dst != INSN_REG_NONE)
		reg_set(trace, insn->dst,
			top.kind == VALUE_FRAME ? slot_get(trace, top.num, 8) : unknown);
	reg_set(trace, stack, value_plus(top, 8));
}

static void called(struct trace *trace)
{
	unsigned int i;

	for (i = 0; i < trace->abi->args; i++) {
		struct value_of value = trace_arg(trace, i);

		if (value.kind == VALUE_FRAME)
			slots_forget(trace, value.num, value.num + CHANGED_MAX);
	}
	regs_forget(trace, trace->abi->clobbered);
}

static struct value_of result(const struct trace *trace, const struct insn *insn)
{
	switch (insn->kind) {
	case INSN_MOV:
		return narrow(trace_reg(trace, insn->src), insn->width);
	case INSN_ZERO:
		return constant(0);
	case INSN_CONST:
		return constant(insn->value);
	case INSN_LEA:
		return insn->src != INSN_REG_NONE
			       ? value_plus(trace_reg(trace, insn->src), insn->disp)
			       : trace_address(trace, insn);
	case INSN_ADD:
		return sum(trace_reg(trace, insn->dst),
			   insn->memory ? load(trace, insn, 8, 0) : trace_reg(trace, insn->src));
	case INSN_LOAD:
		return load(trace, insn, insn->width, 0);
	default:
		return unknown;
	}
}

static void apply(struct trace *trace, const struct insn *insn)
{
	struct value_of value = result(trace, insn), value2 = unknown, base = unknown;

	if (insn->kind == INSN_CALL || insn->kind == INSN_CALL_INDIRECT) {
		called(trace);
		return;
	}
	if (insn->kind == INSN_PUSH || insn->kind == INSN_POP) {
		stack_move(trace, insn);
		return;
	}
	store(trace, insn);
	if (insn->kind == INSN_LOAD && insn->dst2 != INSN_REG_NONE)
		value2 = load(trace, insn, insn->width, insn->width);
	if (insn->step)
		base = value_plus(trace_reg(trace, insn->base), insn->step);
	regs_forget(trace, insn->writes);
	if (insn->step)
		reg_set(trace, insn->base, base);
	reg_set(trace, insn->dst, value);
	if (value2.kind != VALUE_UNKNOWN)
		reg_set(trace, insn->dst2, value2);
}

/* Control may also go on at vaddr. */
static void fork_add(struct walk *walk, const struct trace *trace, uint64_t vaddr)
{
	struct trace *way = &walk->way[walk->way_count];
	size_t i;

	if (vaddr < trace->low || vaddr >= trace->high)
		return;
	for (i = 0; i < walk->fork_count && walk->fork[i].vaddr != vaddr; i++)
		;
	if (i == FORKS_MAX || walk->way_count == FORKS_MAX)
		return;
	if (i == walk->fork_count)
		walk->fork[walk->fork_count++] = (struct fork) { vaddr, 0 };
	if (walk->fork[i].visits++ >= VISITS_MAX)
		return;
	*way = *trace;
	way->vaddr = vaddr;
	walk->way_count++;
}

static bool step_left(struct walk *walk)
{
	if (!walk->steps || (walk->shared && !*walk->shared))
		return false;
	walk->steps--;
	if (walk->shared)
		--*walk->shared;
	return true;
}

static int decode(struct walk *walk, const struct trace *trace, struct insn *ret_insn)
{
	uint64_t pos = trace->vaddr - walk->code_vaddr;

	if (pos >= walk->code_len || walk->code_len - pos < INSN_LEN_MAX) {
		walk->code_vaddr = trace->vaddr;
		walk->code_len = image_code_copy(walk->image, trace->vaddr, walk->code, CODE_PART);
		pos = 0;
	}
	return insn_decode(trace->abi->machine, walk->code + pos, walk->code_len - pos,
			   trace->vaddr, ret_insn);
}

static int walk_way(struct walk *walk, struct trace *trace)
{
	struct insn insn;
	int r;

	while (trace->vaddr >= trace->low && trace->vaddr < trace->high && step_left(walk)) {
		if (decode(walk, trace, &insn))
			return 0;
		r = walk->fn(walk->arg, trace, trace->vaddr, &insn);
		if (r)
			return r == TRACE_CUT ? 0 : r;
		apply(trace, &insn);
		if (insn.kind == INSN_JCC || insn.kind == INSN_JMP)
			fork_add(walk, trace, insn.target);
		if (insn.kind == INSN_JMP || insn.kind == INSN_JMP_INDIRECT ||
		    insn.kind == INSN_RET || insn.kind == INSN_STOP)
			return 0;
		trace->vaddr += insn.len;
	}
	return 0;
}

void trace_bounds(const struct image *image, uint64_t vaddr, uint64_t *ret_low, uint64_t *ret_high)
{
	uint64_t len;

	if (!image_function_at(image, vaddr, ret_low, &len) && len <= 16 * NEAR_MAX) {
		*ret_high = *ret_low + len;
		return;
	}
	*ret_low = vaddr > NEAR_MAX ? vaddr - NEAR_MAX : 0;
	*ret_high = vaddr + NEAR_MAX;
}

static void start_state(const struct trace_start *start, struct trace *trace)
{
	uint8_t i;

	trace->vaddr = start->vaddr;
	trace->low = start->low;
	trace->high = start->high;
	trace->reg[trace->abi->stack] = (struct value_of) { .kind = VALUE_FRAME };
	for (i = 0; start->entry && i < trace->abi->args; i++)
		trace->reg[trace->abi->arg[i]] =
			(struct value_of) { .kind = VALUE_PATH, .arg = i, .width = 8 };
	if (start->entry)
		return;
	trace->reg[trace->abi->frame] =
		(struct value_of) { .kind = VALUE_FRAME, .num = FRAME_APART };
	if (start->known)
		reg_set(trace, start->reg, constant(start->num));
}

int trace_walk(const struct image *image, const struct trace_start *start, trace_fn fn, void *arg)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	int r = 0;

	if (!walk)
		return -ENOMEM;
	walk->image = image;
	walk->fn = fn;
	walk->arg = arg;
	walk->steps = STEPS_MAX;
	walk->shared = start->steps;
	walk->way[0].abi = abi_find(image_machine(image));
	if (walk->way[0].abi) {
		start_state(start, &walk->way[0]);
		walk->way_count = 1;
	} else {
		r = -EOPNOTSUPP;
	}
	while (walk->way_count && !r) {
		struct trace trace = walk->way[--walk->way_count];

		r = walk_way(walk, &trace);
	}
	free(walk);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/trace.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX 32
/* What is followed of a called function: an accessor that checks a bound. */
#define LEAF_STEPS 64
#define LEAF_FORKS 4
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
	bool follow;	/* see trace_start */
	bool surprises; /* as trace_surprises() */
	bool lost;	/* what is in the frame is not known any more */
};

struct fork {
	uint64_t vaddr;
	unsigned int visits;
};

struct walk {
	const struct image *image;
	trace_fn fn;
	void *arg;
	size_t way_count;
	size_t fork_count;
	size_t steps;	/* left */
	size_t *shared; /* left, for other walks as well; may be NULL */
	uint64_t code_vaddr;
	size_t code_len;
	/* Half a megabyte from here on that is only set as far as it is used: most walks are short. */
	struct trace way[FORKS_MAX]; /* still to be walked */
	struct fork fork[FORKS_MAX];
	uint8_t code[CODE_PART]; /* that was read last */
};

struct value_of trace_reg(const struct trace *trace, uint8_t reg)
{
	return reg < INSN_REGS_MAX ? trace->reg[reg] : unknown;
}

static void reg_set(struct trace *trace, uint8_t reg, struct value_of value)
{
	if (reg < INSN_REGS_MAX)
		trace->reg[reg] = value;
}

struct value_of trace_address(const struct trace *trace, const struct insn *insn)
{
	struct value_of base = value_const(0), index = value_const(0);

	if (insn->base == INSN_REG_PC)
		return value_const(insn->target);
	if (insn->base != INSN_REG_NONE)
		base = trace_reg(trace, insn->base);
	if (insn->index != INSN_REG_NONE) {
		index = trace_reg(trace, insn->index);
		if (index.kind == VALUE_CONST && (insn->scale || !index.num))
			index.num = (int64_t)((uint64_t)index.num * insn->scale);
		else if (insn->scale != 1)
			return value_plus(value_table(base, index, insn->scale), insn->disp);
	}
	return value_plus(value_sum(base, index), insn->disp);
}

/*
 * With follow, what nothing was stored to is known as well: so what becomes unknown is remembered.
 */
static void slots_forget(struct trace *trace, int64_t low, int64_t high)
{
	size_t i = 0;

	while (i < trace->slot_count) {
		struct slot *slot = &trace->slot[i];
		int64_t end = slot->off + slot->width;

		if (slot->off >= high || end <= low) {
			i++;
		} else if (trace->follow && (slot->off < low || end > high)) {
			slot->value = unknown;
			i++;
		} else {
			*slot = trace->slot[--trace->slot_count];
		}
	}
}

static void slot_set(struct trace *trace, int64_t off, uint8_t width, struct value_of value)
{
	slots_forget(trace, off, off + width);
	if (!width || (value.kind == VALUE_UNKNOWN && !trace->follow))
		return;
	if (trace->slot_count < SLOTS_MAX)
		trace->slot[trace->slot_count++] = (struct slot) { off, width, value };
	else
		trace->lost = true;
}

bool trace_stored(const struct trace *trace, struct value_of address, uint8_t len)
{
	size_t i;

	if (address.kind != VALUE_FRAME)
		return false;
	for (i = 0; i < trace->slot_count; i++) {
		if (trace->slot[i].off < address.num + len &&
		    trace->slot[i].off + trace->slot[i].width > address.num)
			return true;
	}
	return trace->lost;
}

/* What was in the frame at the start. */
static struct value_of slot_old(const struct trace *trace, int64_t off, uint8_t width)
{
	struct value_of stack = { .kind = VALUE_PATH, .arg = trace->abi->stack, .width = 8 };
	struct value_of address = { .kind = VALUE_FRAME, .num = off };

	if (trace_stored(trace, address, width))
		return unknown;
	return value_behind(value_plus(stack, off), width);
}

/* width 0: as much as is there. */
static struct value_of slot_get(const struct trace *trace, int64_t off, uint8_t width)
{
	size_t i;

	for (i = 0; i < trace->slot_count; i++) {
		if (trace->slot[i].off == off && trace->slot[i].width >= width)
			return value_narrow(trace->slot[i].value,
					    width ? width : trace->slot[i].width);
	}
	return trace->follow ? slot_old(trace, off, width ? width : 8) : unknown;
}

/* width bytes that begin further behind the instruction's operand. */
static struct value_of load(const struct trace *trace, const struct insn *insn, uint8_t width,
			    int64_t further)
{
	struct value_of address = value_plus(trace_address(trace, insn), further);

	if (address.kind == VALUE_FRAME)
		return slot_get(trace, address.num, width);
	if (address.kind == VALUE_TABLE && width == 8) {
		address.kind = VALUE_ENTRY;
		return address;
	}
	return value_behind(address, width);
}

struct value_of trace_eval(const struct trace *trace, const struct place *place)
{
	struct value_of value = trace_reg(trace, place->reg);
	uint8_t i, width;

	for (i = 0; i < place->loads; i++) {
		width = i + 1 == place->loads ? place->width : 8;
		value = value_plus(value, place->off[i]);
		if (value.kind == VALUE_FRAME)
			value = slot_get(trace, value.num, width);
		else
			value = value_behind(value, width);
	}
	return place->add ? value_plus(value, place->add) : value;
}

bool trace_surprises(const struct trace *trace)
{
	return trace->surprises;
}

struct place trace_place(const struct trace *trace, struct value_of value)
{
	struct place place = { .reg = trace->abi->stack, .width = 8, .add = (int32_t)value.num };

	if (value.kind == VALUE_FRAME && value.num == (int32_t)value.num)
		return place;
	return value.kind == VALUE_PATH ? value_place(value, value.arg) : (struct place) { 0 };
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

	if (!insn->stores)
		return;
	if (address.kind != VALUE_FRAME) {
		trace->surprises = true;
		return;
	}
	if (insn->kind == INSN_STORE) {
		value = value_narrow(trace_reg(trace, insn->src), insn->width);
		value2 = value_narrow(trace_reg(trace, insn->src2), insn->width);
	} else if (insn->kind == INSN_STORE_CONST) {
		value = value_narrow(value_const(insn->value), insn->width);
	}
	if (insn->stores == INSN_STORES_ANY) {
		slots_forget(trace, address.num, INT64_MAX);
		trace->lost = true;
		return;
	}
	slot_set(trace, address.num, insn->stores, unknown);
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
		value = insn->memory ? load(trace, insn, 8, 0) : value_const(insn->value);
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
			slot_set(trace, value.num, CHANGED_MAX, unknown);
	}
	trace->surprises = true;
	regs_forget(trace, trace->abi->clobbered);
}

static struct value_of result(const struct trace *trace, const struct insn *insn)
{
	switch (insn->kind) {
	case INSN_MOV:
		return value_narrow(trace_reg(trace, insn->src), insn->width);
	case INSN_ZERO:
		return value_const(0);
	case INSN_CONST:
		return value_const(insn->value);
	case INSN_LEA:
		return insn->src != INSN_REG_NONE
			       ? value_plus(trace_reg(trace, insn->src), insn->disp)
			       : trace_address(trace, insn);
	case INSN_ADD:
		return value_sum(trace_reg(trace, insn->dst),
				 insn->memory ? load(trace, insn, 8, 0)
					      : trace_reg(trace, insn->src));
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

/* A called function: its ways that are still to be walked. */
struct leaf {
	struct trace way[LEAF_FORKS];
	size_t count;
	unsigned int steps;
	bool lost; /* too many of them, or not understood */
};

/* The next instruction of a function that is followed, to be applied. False: not understood. */
static bool leaf_insn(const struct walk *walk, const struct trace *trace, struct insn *ret_insn)
{
	uint8_t code[INSN_LEN_MAX];
	size_t len = image_code_copy(walk->image, trace->vaddr, code, sizeof(code));

	return !insn_decode(trace->abi->machine, code, len, trace->vaddr, ret_insn);
}

/*
 * One way through a called function, up to its return. True when it gets there; others are added. A
 * way that calls is on its way to a panic: it does not return either.
 */
static bool leaf_way(struct walk *walk, struct trace *trace, struct leaf *leaf)
{
	struct insn insn;

	while (leaf->steps < LEAF_STEPS && step_left(walk) && leaf_insn(walk, trace, &insn)) {
		leaf->steps++;
		if (insn.kind == INSN_CALL || insn.kind == INSN_CALL_INDIRECT ||
		    insn.kind == INSN_JMP_INDIRECT || insn.kind == INSN_STOP)
			return false;
		if (insn.kind == INSN_RET)
			return true;
		apply(trace, &insn);
		trace->vaddr += insn.len;
		if (insn.kind == INSN_JCC && leaf->count == LEAF_FORKS)
			break;
		if (insn.kind == INSN_JCC) {
			leaf->way[leaf->count] = *trace;
			leaf->way[leaf->count++].vaddr = insn.target;
		}
		if (insn.kind == INSN_JMP)
			trace->vaddr = insn.target;
	}
	leaf->lost = true;
	return false;
}

/*
 * Follows a call of a function that has one way only to return, and on it touches nothing but its
 * own frame. False, and nothing changed, when it is not like that.
 */
static bool leaf_call(struct walk *walk, struct trace *trace, uint64_t target)
{
	uint8_t stack = trace->abi->stack;
	struct value_of top = trace->reg[stack];
	struct leaf leaf = { .count = 1 };
	struct trace done;
	size_t returns = 0;

	/* The return address. */
	if (top.kind != VALUE_FRAME || trace->abi->machine != EM_X86_64)
		return false;
	leaf.way[0] = *trace;
	leaf.way[0].vaddr = target;
	leaf.way[0].surprises = false;
	leaf.way[0].reg[stack] = value_plus(top, -8);
	slot_set(&leaf.way[0], top.num - 8, 8, unknown);
	while (leaf.count && !leaf.lost) {
		struct trace way = leaf.way[--leaf.count];

		if (!leaf_way(walk, &way, &leaf))
			continue;
		if (way.surprises || !value_same(way.reg[stack], value_plus(top, -8)))
			return false;
		done = way;
		returns++;
	}
	if (leaf.lost || returns != 1)
		return false;
	done.reg[stack] = top;
	done.vaddr = trace->vaddr;
	done.surprises = trace->surprises;
	*trace = done;
	return true;
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
		if (!trace->follow || insn.kind != INSN_CALL ||
		    !leaf_call(walk, trace, insn.target))
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
	trace->follow = start->follow != 0;
	for (i = 0; i < INSN_REGS_MAX; i++) {
		if (start->follow & 1U << i)
			reg_set(trace, i,
				(struct value_of) { .kind = VALUE_PATH, .arg = i, .width = 8 });
	}
	if (start->entry || start->follow)
		return;
	trace->reg[trace->abi->frame] =
		(struct value_of) { .kind = VALUE_FRAME, .num = FRAME_APART };
	if (start->known)
		reg_set(trace, start->reg, value_const(start->num));
}

int trace_walk(const struct image *image, const struct trace_start *start, trace_fn fn, void *arg)
{
	struct walk *walk = malloc(sizeof(*walk));
	int r = 0;

	if (!walk)
		return -ENOMEM;
	memset(walk, 0, offsetof(struct walk, way[1]));
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

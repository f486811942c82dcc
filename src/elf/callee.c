/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/callee.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "elf/insn.h"

/* A wrapper is much smaller; what reaches these limits is not worth a proof. */
#define SIZE_MAX_KNOWN	 16384
#define SIZE_MAX_UNKNOWN 4096
#define LABELS_MAX	 128
#define PASSES_MAX	 16

static const struct abi abis[] = {
	{
		.machine = EM_X86_64,
		.arg = { 7, 6, 2, 1, 8, 9 }, /* rdi, rsi, rdx, rcx, r8, r9 */
		.args = 6,
		.result = 0,
		.stack = 4,
		.frame = 5,
		.clobbered = 0x0fc7, /* rax, rcx, rdx, rsi, rdi, r8 to r11 */
	},
	{
		.machine = EM_AARCH64,
		.arg = { 0, 1, 2, 3, 4, 5, 6, 7 },
		.args = 8,
		.result = 0,
		.stack = 31,
		.frame = 29,
		.clobbered = 0x4007ffff, /* x0 to x18, x30 */
	},
};

/* What the registers hold at one point of the code. */
struct state {
	uint8_t reg[INSN_REGS_MAX];
};

/* A jump's target inside the function, with what holds on all ways that lead there. */
struct label {
	uint64_t vaddr;
	struct state state;
};

struct walk {
	const struct abi *abi;
	const uint8_t *code;
	uint64_t start;
	uint64_t end;
	bool size_known;
	struct label label[LABELS_MAX];
	size_t label_count;
	bool changed; /* this pass learned something that an earlier part of it lacked */
	struct callees *callees;
	size_t first_call; /* the calls before it are another function's */
};

const struct abi *abi_find(uint16_t machine)
{
	size_t i;

	for (i = 0; i < sizeof(abis) / sizeof(abis[0]); i++) {
		if (abis[i].machine == machine)
			return &abis[i];
	}
	return NULL;
}

static void state_forget(const struct abi *abi, struct state *state)
{
	memset(state->reg, VALUE_OTHER, sizeof(state->reg));
	state->reg[abi->stack] = VALUE_STACK;
}

static void state_forget_regs(const struct abi *abi, struct state *state, uint32_t regs)
{
	unsigned int i;

	for (i = 0; i < INSN_REGS_MAX; i++) {
		if (regs & (1U << i))
			state->reg[i] = VALUE_OTHER;
	}
	state->reg[abi->stack] = VALUE_STACK;
}

/* Keeps what holds in both. True when into loses something. */
static bool state_merge(struct state *into, const struct state *from)
{
	bool changed = false;
	unsigned int i;

	for (i = 0; i < INSN_REGS_MAX; i++) {
		if (into->reg[i] == from->reg[i] || into->reg[i] == VALUE_OTHER)
			continue;
		into->reg[i] = VALUE_OTHER;
		changed = true;
	}
	return changed;
}

static uint8_t state_value(const struct state *state, uint8_t reg)
{
	return reg < INSN_REGS_MAX ? state->reg[reg] : VALUE_OTHER;
}

static void state_apply(const struct abi *abi, struct state *state, const struct insn *insn)
{
	uint8_t value = VALUE_OTHER;

	switch (insn->kind) {
	case INSN_CALL:
	case INSN_CALL_INDIRECT:
		state_forget_regs(abi, state, abi->clobbered);
		return;
	case INSN_MOV:
		if (insn->width == 8)
			value = state_value(state, insn->src);
		break;
	case INSN_LEA:
		if (state_value(state, insn->src) == VALUE_STACK)
			value = VALUE_STACK;
		break;
	default:
		break;
	}
	state_forget_regs(abi, state, insn->writes);
	if ((insn->kind == INSN_MOV || insn->kind == INSN_LEA) && insn->dst != abi->stack)
		state->reg[insn->dst] = value;
}

static struct label *label_find(struct walk *walk, uint64_t vaddr)
{
	size_t i;

	for (i = 0; i < walk->label_count; i++) {
		if (walk->label[i].vaddr == vaddr)
			return &walk->label[i];
	}
	return NULL;
}

/* The nearest label behind vaddr, or the end. */
static uint64_t label_next(const struct walk *walk, uint64_t vaddr)
{
	uint64_t next = walk->end;
	size_t i;

	for (i = 0; i < walk->label_count; i++) {
		if (walk->label[i].vaddr > vaddr && walk->label[i].vaddr < next)
			next = walk->label[i].vaddr;
	}
	return next;
}

static int label_add(struct walk *walk, uint64_t vaddr, const struct state *state)
{
	struct label *label = label_find(walk, vaddr);

	if (label) {
		walk->changed |= state_merge(&label->state, state);
		return 0;
	}
	if (walk->label_count == LABELS_MAX)
		return -E2BIG;
	label = &walk->label[walk->label_count++];
	label->vaddr = vaddr;
	label->state = *state;
	walk->changed = true;
	return 0;
}

static int call_add(struct walk *walk, uint64_t target, const struct state *state, bool tail)
{
	struct callees *callees = walk->callees;
	struct call *call;
	size_t i;

	if (callees->count == CALLEE_CALLS_MAX)
		return -E2BIG;
	call = &callees->call[callees->count++];
	call->target = target;
	call->tail = tail;
	for (i = 0; i < CALLEE_ARGS_MAX; i++)
		call->arg[i] = state->reg[walk->abi->arg[i]];
	return 0;
}

static bool is_inside(const struct walk *walk, uint64_t vaddr)
{
	return vaddr >= walk->start && vaddr < walk->end;
}

/* Notes where an instruction goes. */
static int walk_branch(struct walk *walk, const struct insn *insn, const struct state *state)
{
	switch (insn->kind) {
	case INSN_CALL:
		return call_add(walk, insn->target, state, false);
	case INSN_JMP:
		if (!is_inside(walk, insn->target))
			return call_add(walk, insn->target, state, true);
		return label_add(walk, insn->target, state);
	case INSN_JCC:
		/* Outside is the function's cold part: error handling. */
		return is_inside(walk, insn->target) ? label_add(walk, insn->target, state) : 0;
	case INSN_CALL_INDIRECT:
	case INSN_JMP_INDIRECT:
		/* Relative to the instruction is the GOT: a function of another file. */
		if (!insn->memory || insn->base != INSN_REG_PC)
			walk->callees->indirect = true;
		return 0;
	default:
		return 0;
	}
}

static bool insn_ends(const struct insn *insn)
{
	switch (insn->kind) {
	case INSN_JMP:
	case INSN_JMP_INDIRECT:
	case INSN_RET:
	case INSN_STOP:
		return true;
	default:
		return false;
	}
}

static void note_memory(struct walk *walk, const struct insn *insn, const struct state *state)
{
	if (insn->memory && (state_value(state, insn->base) == VALUE_ARG0 ||
			     state_value(state, insn->index) == VALUE_ARG0))
		walk->callees->derefs_arg0 = true;
}

/* Goes through the code once, from the first byte to the last. */
static int walk_pass(struct walk *walk, const struct state *entry)
{
	struct state state = *entry;
	uint64_t vaddr = walk->start;
	bool live = true; /* the instruction before goes on here */

	walk->callees->count = walk->first_call;
	while (vaddr < walk->end) {
		struct label *label = label_find(walk, vaddr);
		struct insn insn;
		int err;

		if (label) {
			if (live)
				walk->changed |= state_merge(&label->state, &state);
			state = label->state;
			live = true;
		} else if (!live && !walk->size_known) {
			vaddr = label_next(walk, vaddr);
			continue;
		}
		err = insn_decode(walk->abi->machine, walk->code + (vaddr - walk->start),
				  walk->end - vaddr, vaddr, &insn);
		if (err)
			return err == -ENODATA ? -EILSEQ : err;
		vaddr += insn.len;
		/* Padding is not reached; other code may be, from a jump table. */
		if (!live && insn.kind == INSN_NOP)
			continue;
		if (!live)
			state_forget(walk->abi, &state);
		note_memory(walk, &insn, &state);
		err = walk_branch(walk, &insn, &state);
		if (err)
			return err;
		state_apply(walk->abi, &state, &insn);
		live = !insn_ends(&insn);
	}
	/* A function of unknown size was cut off. Calls that never return end the others. */
	return live && !walk->size_known ? -E2BIG : 0;
}

static int walk_function(const struct image *image, const struct abi *abi, uint64_t vaddr,
			 uint64_t size, const struct state *entry, struct callees *callees)
{
	struct walk walk = {
		.abi = abi,
		.start = vaddr,
		.size_known = size > 0,
		.callees = callees,
		.first_call = callees->count,
	};
	size_t len, pass;
	int err;

	walk.code = image_code(image, vaddr, &len);
	if (!walk.code)
		return -EADDRNOTAVAIL;
	if (size > SIZE_MAX_KNOWN)
		return -E2BIG;
	if (size > len)
		return -EILSEQ;
	if (size)
		len = size;
	else if (len > SIZE_MAX_UNKNOWN)
		len = SIZE_MAX_UNKNOWN;
	walk.end = vaddr + len;
	for (pass = 0; pass < PASSES_MAX; pass++) {
		walk.changed = false;
		err = walk_pass(&walk, entry);
		if (err || !walk.changed)
			return err;
	}
	return -E2BIG;
}

/* Adds the calls of functions that were jumped to. Without them the list is still right. */
static void follow_tails(const struct image *image, const struct abi *abi, struct callees *callees)
{
	size_t count = callees->count, i, j;

	for (i = 0; i < count; i++) {
		const struct call *call = &callees->call[i];
		struct callees longer = *callees;
		struct state entry;

		if (!call->tail)
			continue;
		state_forget(abi, &entry);
		for (j = 0; j < CALLEE_ARGS_MAX; j++)
			entry.reg[abi->arg[j]] = call->arg[j];
		if (!walk_function(image, abi, call->target, 0, &entry, &longer))
			*callees = longer;
	}
}

int callees_list(const struct image *image, const struct symbol *function,
		 struct callees *ret_callees)
{
	const struct abi *abi = abi_find(image_machine(image));
	struct callees callees = { 0 };
	struct state entry;
	size_t i;
	int err;

	if (!abi)
		return -EOPNOTSUPP;
	state_forget(abi, &entry);
	for (i = 0; i < CALLEE_ARGS_MAX; i++)
		entry.reg[abi->arg[i]] = (uint8_t)(VALUE_ARG0 + i);
	err = walk_function(image, abi, function->vaddr, function->size, &entry, &callees);
	if (err)
		return err;
	follow_tails(image, abi, &callees);
	*ret_callees = callees;
	return 0;
}

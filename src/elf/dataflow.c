/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stack addresses count from the stack pointer at the function's entry, where the return address
 * is; the frame is below. As long as no address of the frame has left the stack pointer and the
 * frame pointer, nobody else can write to it; from then on every call and every store through a
 * pointer may change all of it.
 */
#include "elf/dataflow.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "elf/insn.h"

/* OpenSSL's function has 300 labels and less than 1000 instructions. */
#define LABELS_MAX  1024
#define BUCKETS	    2048 /* a power of two, more than labels */
#define STEPS_MAX   100000
#define CHUNKS_MAX  32
#define CHUNK_LEN   4096
#define TARGETS_MAX 256
#define IMPORTS_MAX 16
#define REGS	    16
#define SLOTS_MAX   24
#define READS_MAX   64
#define FRAME_MAX   65536
#define STUB_LEN    32

enum kind {
	KIND_UNKNOWN,
	KIND_ARG,     /* the lowest bytes are an argument's */
	KIND_DERIVED, /* an argument and something */
	KIND_STACK,   /* an address in the frame */
};

struct val {
	uint8_t kind;
	uint8_t arg;   /* ARG, DERIVED */
	uint8_t width; /* ARG: how many bytes */
	int32_t off;   /* STACK */
};

/* Memory in the frame. What is not listed is not known. */
struct slot {
	int32_t off;
	uint8_t width;
	struct val val;
};

struct state {
	struct val reg[REGS];
	struct slot slot[SLOTS_MAX];
	uint8_t slot_count;
	bool leaked; /* others may know an address in the frame */
};

struct label {
	uint64_t vaddr;
	bool reached;
	bool dirty; /* its code has to be walked again */
	struct state state;
};

struct chunk {
	const uint8_t *code;
	uint64_t vaddr;
	size_t len;
};

/* A called function: does it copy memory? */
struct target {
	uint64_t vaddr;
	bool copies;
};

enum phase { PHASE_LABELS, PHASE_VALUES, PHASE_COPIES };

struct walk {
	const struct image *image;
	const struct abi *abi;
	unsigned int dst_arg;
	uint64_t start;
	uint64_t end;
	enum phase phase;
	size_t steps;
	struct label label[LABELS_MAX];
	size_t label_count;
	uint16_t bucket[BUCKETS]; /* index of a label and 1 */
	struct chunk chunk[CHUNKS_MAX];
	size_t chunk_count;
	struct target target[TARGETS_MAX];
	size_t target_count;
	uint64_t import[IMPORTS_MAX];
	size_t import_count;
	int32_t read[READS_MAX]; /* places in the frame that are read */
	size_t read_count;
	struct copies copies;
};

static const struct val unknown;

static struct val val_of(const struct state *state, uint8_t reg)
{
	return reg < REGS ? state->reg[reg] : unknown;
}

static bool is_stack(const struct state *state, uint8_t reg)
{
	return val_of(state, reg).kind == KIND_STACK;
}

static bool is_based_on(struct val val, unsigned int arg)
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
static struct val val_sum(const struct walk *walk, struct val a, struct val b)
{
	struct val sum = { .kind = KIND_DERIVED };

	if (is_based_on(a, walk->dst_arg) || is_based_on(b, walk->dst_arg))
		sum.arg = (uint8_t)walk->dst_arg;
	else if (is_based_on(a, a.arg) && !is_based_on(b, b.arg))
		sum.arg = a.arg;
	else if (is_based_on(b, b.arg) && !is_based_on(a, a.arg))
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
	if (is_based_on(a, a.arg) && is_based_on(b, a.arg)) {
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

/* True when into loses something. */
static bool state_meet(struct state *into, const struct state *from)
{
	bool changed = from->leaked && !into->leaked;
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
	for (i = 0; i < REGS; i++) {
		struct val val = val_meet(into->reg[i], from->reg[i]);

		if (val_same(val, into->reg[i]))
			continue;
		/* Where stores through it go is not known any more. */
		into->leaked |= into->reg[i].kind == KIND_STACK;
		into->reg[i] = val;
		changed = true;
	}
	return changed;
}

static void reg_set(const struct walk *walk, struct state *state, uint8_t reg, struct val val)
{
	bool lost = reg == walk->abi->stack && val.kind != KIND_STACK;

	if (reg >= REGS)
		return;
	if (lost || (val.kind == KIND_STACK && reg != walk->abi->stack && reg != walk->abi->frame))
		state->leaked = true;
	if (lost)
		state->slot_count = 0;
	state->reg[reg] = val;
}

static void regs_forget(const struct walk *walk, struct state *state, uint32_t regs)
{
	uint8_t i;

	for (i = 0; i < REGS; i++) {
		if (regs & (1U << i))
			reg_set(walk, state, i, unknown);
	}
}

/* Is the memory operand at a place in the frame that is known? */
static bool frame_offset(const struct state *state, const struct insn *insn, int32_t *ret_off)
{
	struct val base = val_of(state, insn->base);
	struct val sum = val_plus(base, insn->disp);

	if (!insn->memory || insn->index != INSN_REG_NONE || sum.kind != KIND_STACK)
		return false;
	*ret_off = sum.off;
	return true;
}

static struct val load(const struct state *state, const struct insn *insn)
{
	const struct slot *slot;
	int32_t off;

	if (!frame_offset(state, insn, &off))
		return unknown;
	slot = slot_find(state, off);
	if (!slot || slot->width < insn->width)
		return unknown;
	return val_narrow(slot->val, insn->width);
}

static void store(struct state *state, const struct insn *insn)
{
	struct slot slot = { .width = insn->width };
	int64_t high;

	if (insn->kind == INSN_STORE)
		slot.val = val_narrow(val_of(state, insn->src), insn->width);
	if (insn->kind == INSN_STORE && is_stack(state, insn->src))
		state->leaked = true;
	if (!insn->stores)
		return;
	if (!frame_offset(state, insn, &slot.off)) {
		if (state->leaked || is_stack(state, insn->base) || is_stack(state, insn->index))
			state->slot_count = 0;
		return;
	}
	high = insn->stores == INSN_STORES_ANY ? INT32_MAX : (int64_t)slot.off + insn->stores;
	slots_forget(state, slot.off, high);
	if ((slot.val.kind == KIND_ARG || slot.val.kind == KIND_DERIVED) &&
	    slot.off + slot.width <= 0 && state->slot_count < SLOTS_MAX)
		state->slot[state->slot_count++] = slot;
}

/* A push or pop. */
static void stack_move(const struct walk *walk, struct state *state, const struct insn *insn)
{
	uint8_t stack = walk->abi->stack;
	int distance = insn->kind == INSN_PUSH ? -8 : 8;

	if (!is_stack(state, stack)) {
		state->slot_count = 0;
	} else if (insn->kind == INSN_PUSH) {
		/* May be an argument, which belongs to the called function: not kept. */
		slots_forget(state, state->reg[stack].off - 8, state->reg[stack].off);
		state->leaked |= is_stack(state, insn->src);
	}
	reg_set(walk, state, stack, val_plus(val_of(state, stack), distance));
	regs_forget(walk, state, insn->writes);
}

static void state_call(const struct walk *walk, struct state *state, bool copies)
{
	struct val dst = val_of(state, walk->abi->arg[0]);

	regs_forget(walk, state, walk->abi->clobbered);
	if (copies && dst.kind != KIND_STACK)
		state->reg[walk->abi->result] = dst;
	if (state->leaked || !is_stack(state, walk->abi->stack))
		state->slot_count = 0;
	else
		slots_forget(state, INT32_MIN, state->reg[walk->abi->stack].off);
}

static struct val val_lea(const struct walk *walk, struct state *state, const struct insn *insn)
{
	if (insn->src != INSN_REG_NONE)
		return val_plus(val_of(state, insn->src), insn->disp);
	if (is_stack(state, insn->base) || is_stack(state, insn->index)) {
		state->leaked = true;
		return unknown;
	}
	return val_sum(walk, val_of(state, insn->base), val_of(state, insn->index));
}

static void state_apply(const struct walk *walk, struct state *state, const struct insn *insn)
{
	struct val val = unknown, src;

	store(state, insn);
	switch (insn->kind) {
	case INSN_PUSH:
	case INSN_POP:
		stack_move(walk, state, insn);
		return;
	case INSN_MOV:
		val = val_narrow(val_of(state, insn->src), insn->width);
		break;
	case INSN_LOAD:
		val = load(state, insn);
		break;
	case INSN_LEA:
		val = val_lea(walk, state, insn);
		break;
	case INSN_ADD:
		src = insn->memory ? load(state, insn) : val_of(state, insn->src);
		if (is_stack(state, insn->dst) || src.kind == KIND_STACK)
			state->leaked = true;
		else
			val = val_sum(walk, val_of(state, insn->dst), src);
		break;
	default:
		regs_forget(walk, state, insn->writes);
		return;
	}
	regs_forget(walk, state, insn->writes & ~(1U << insn->dst));
	reg_set(walk, state, insn->dst, val);
}

static struct label *label_find(struct walk *walk, uint64_t vaddr)
{
	size_t i = (vaddr * UINT64_C(0x9e3779b97f4a7c15)) >> 53;

	for (; walk->bucket[i]; i = (i + 1) % BUCKETS) {
		struct label *label = &walk->label[walk->bucket[i] - 1];

		if (label->vaddr == vaddr)
			return label;
	}
	return NULL;
}

static int label_add(struct walk *walk, uint64_t vaddr)
{
	size_t i = (vaddr * UINT64_C(0x9e3779b97f4a7c15)) >> 53;

	if (label_find(walk, vaddr))
		return 0;
	if (walk->label_count == LABELS_MAX)
		return -E2BIG;
	while (walk->bucket[i])
		i = (i + 1) % BUCKETS;
	walk->label[walk->label_count++].vaddr = vaddr;
	walk->bucket[i] = (uint16_t)walk->label_count;
	return 0;
}

/* Control gets to vaddr with that state. */
static int flow_to(struct walk *walk, uint64_t vaddr, const struct state *state)
{
	struct label *label;

	if (walk->phase == PHASE_LABELS)
		return label_add(walk, vaddr);
	label = label_find(walk, vaddr);
	if (!label)
		return -EILSEQ;
	if (!label->reached) {
		label->state = *state;
		label->reached = label->dirty = true;
	} else if (state_meet(&label->state, state)) {
		label->dirty = true;
	}
	return 0;
}

static int decode(struct walk *walk, uint64_t vaddr, struct insn *ret_insn)
{
	struct chunk *chunk = walk->chunk;
	int err;

	if (++walk->steps > STEPS_MAX)
		return -E2BIG;
	for (; chunk < walk->chunk + walk->chunk_count; chunk++) {
		uint64_t pos = vaddr - chunk->vaddr;

		if (pos >= chunk->len)
			continue;
		err = insn_decode(walk->abi->machine, chunk->code + pos, chunk->len - pos, vaddr,
				  ret_insn);
		if (err != -ENODATA)
			return err;
	}
	if (walk->chunk_count == CHUNKS_MAX)
		return -E2BIG;
	chunk->code = image_code_part(walk->image, vaddr, CHUNK_LEN, &chunk->len);
	if (!chunk->code)
		return -EADDRNOTAVAIL;
	chunk->vaddr = vaddr;
	walk->chunk_count++;
	err = insn_decode(walk->abi->machine, chunk->code, chunk->len, vaddr, ret_insn);
	return err == -ENODATA ? -EILSEQ : err;
}

static bool is_import(const struct walk *walk, const struct insn *insn)
{
	size_t i;

	for (i = 0; insn->memory && insn->base == INSN_REG_PC && i < walk->import_count; i++) {
		if (walk->import[i] == insn->target)
			return true;
	}
	return false;
}

/* Is there a stub of the PLT that leads to a function that copies? */
static bool is_copying_stub(const struct walk *walk, uint64_t vaddr)
{
	const uint8_t *code;
	struct insn insn;
	size_t len, pos = 0;

	code = image_code_part(walk->image, vaddr, STUB_LEN, &len);
	if (!code)
		return false;
	do {
		if (insn_decode(walk->abi->machine, code + pos, len - pos, vaddr + pos, &insn))
			return false;
		pos += insn.len;
	} while (insn.kind == INSN_NOP);
	return insn.kind == INSN_JMP_INDIRECT && is_import(walk, &insn);
}

/* 1: that call or jump goes to a function that copies. */
static int is_copying(struct walk *walk, const struct insn *insn)
{
	struct target *target = walk->target;

	if (insn->kind == INSN_CALL_INDIRECT || insn->kind == INSN_JMP_INDIRECT)
		return is_import(walk, insn);
	for (; target < walk->target + walk->target_count; target++) {
		if (target->vaddr == insn->target)
			return target->copies;
	}
	if (walk->target_count == TARGETS_MAX)
		return -E2BIG;
	target->vaddr = insn->target;
	target->copies = is_copying_stub(walk, insn->target);
	walk->target_count++;
	return target->copies;
}

/* Where an argument is. Memory that is never read may be the argument of a call, not a variable. */
static struct place place_find(const struct walk *walk, const struct state *state, uint8_t arg)
{
	uint8_t stack = walk->abi->stack, reg;
	size_t i, j;

	for (reg = 0; reg < REGS; reg++) {
		struct val val = state->reg[reg];

		if (val.kind == KIND_ARG && val.arg == arg && val.width >= 4 &&
		    !(walk->abi->clobbered & (1U << reg)))
			return (struct place){ .reg = reg, .width = val.width };
	}
	for (i = 0; i < state->slot_count && is_stack(state, stack); i++) {
		const struct slot *slot = &state->slot[i];
		int32_t disp = slot->off - state->reg[stack].off;

		if (slot->val.kind != KIND_ARG || slot->val.arg != arg || disp < 0)
			continue;
		for (j = 0; j < walk->read_count; j++) {
			if (walk->read[j] == slot->off)
				return (struct place){ PLACE_STACK, slot->val.width, disp };
		}
	}
	return (struct place){ 0 };
}

static int note_copy(struct walk *walk, uint64_t vaddr, const struct insn *insn,
		     const struct state *state)
{
	struct val dst = val_of(state, walk->abi->arg[0]);
	bool inside = vaddr >= walk->start && vaddr < walk->end;
	struct copy *copy;
	uint8_t i;

	if (dst.kind == KIND_UNKNOWN || (dst.kind == KIND_ARG && dst.width < 8))
		return inside ? -ENOTUNIQ : 0;
	if (!is_based_on(dst, walk->dst_arg))
		return 0;
	/* Code outside may be another function's as well. */
	if (!inside || insn->kind != INSN_CALL)
		return -ENOTUNIQ;
	if (walk->copies.count == COPIES_MAX)
		return -E2BIG;
	copy = &walk->copies.copy[walk->copies.count++];
	copy->vaddr = vaddr;
	for (i = 0; i < CALLEE_ARGS_MAX; i++)
		copy->arg[i] = place_find(walk, state, i);
	return 0;
}

static void note_read(struct walk *walk, const struct insn *insn, const struct state *state)
{
	int32_t off;
	size_t i;

	if (insn->kind == INSN_STORE || !frame_offset(state, insn, &off))
		return;
	for (i = 0; i < walk->read_count; i++) {
		if (walk->read[i] == off)
			return;
	}
	if (walk->read_count < READS_MAX)
		walk->read[walk->read_count++] = off;
}

/* The effect of one instruction. ret_live: it goes on behind it. */
static int walk_insn(struct walk *walk, uint64_t vaddr, const struct insn *insn,
		     struct state *state, bool *ret_live)
{
	bool jump = insn->kind == INSN_JMP || insn->kind == INSN_JMP_INDIRECT;
	bool call = insn->kind == INSN_CALL || insn->kind == INSN_CALL_INDIRECT;
	/* String instructions without an operand. */
	bool copies = insn->stores && !insn->memory;
	int r;

	*ret_live = !jump && insn->kind != INSN_RET && insn->kind != INSN_STOP;
	if (jump || call) {
		r = is_copying(walk, insn);
		if (r < 0)
			return r;
		copies = r;
	}
	if (copies && walk->phase == PHASE_COPIES) {
		r = note_copy(walk, vaddr, insn, state);
		if (r)
			return r;
	}
	if (walk->phase == PHASE_VALUES)
		note_read(walk, insn, state);
	/* A table of jumps; a method or a function of another file is no part of this one. */
	if (insn->kind == INSN_JMP_INDIRECT &&
	    (!insn->memory || insn->index != INSN_REG_NONE || insn->base == INSN_REG_NONE))
		return -EOPNOTSUPP;
	if (walk->phase != PHASE_LABELS)
		state_apply(walk, state, insn);
	if (call && walk->phase != PHASE_LABELS)
		state_call(walk, state, copies);
	if (insn->kind == INSN_JMP || insn->kind == INSN_JCC)
		return flow_to(walk, insn->target, state);
	return 0;
}

/* From a label to the next or to the end of the way. */
static int walk_label(struct walk *walk, size_t index)
{
	struct state state = walk->label[index].state;
	uint64_t vaddr = walk->label[index].vaddr;
	struct insn insn;
	bool live = true;
	int err;

	walk->label[index].dirty = false;
	while (live) {
		err = decode(walk, vaddr, &insn);
		if (err)
			return err;
		err = walk_insn(walk, vaddr, &insn, &state, &live);
		if (err)
			return err;
		vaddr += insn.len;
		/* Behind the end is what follows a call that does not return. */
		if (!live || vaddr == walk->end)
			return 0;
		if (label_find(walk, vaddr))
			return flow_to(walk, vaddr, &state);
	}
	return 0;
}

static int walk_all(struct walk *walk)
{
	bool changed = true;
	size_t i;
	int err;

	for (i = 0; i < walk->label_count; i++) {
		err = walk_label(walk, i);
		if (err)
			return err;
	}
	walk->phase = PHASE_VALUES;
	walk->label[0].dirty = true;
	while (changed) {
		changed = false;
		for (i = 0; i < walk->label_count; i++) {
			if (!walk->label[i].dirty)
				continue;
			changed = true;
			err = walk_label(walk, i);
			if (err)
				return err;
		}
	}
	walk->phase = PHASE_COPIES;
	for (i = 0; i < walk->label_count; i++) {
		err = walk->label[i].reached ? walk_label(walk, i) : 0;
		if (err)
			return err;
	}
	return 0;
}

static int walk_init(struct walk *walk)
{
	static const char *const names[] = { "memcpy", "memmove", "__memcpy_chk", "__memmove_chk",
					     NULL };
	struct label *label = &walk->label[0];
	uint64_t len;
	uint8_t i;
	int err;

	err = image_function_len(walk->image, walk->start, &len);
	if (err)
		return err;
	walk->end = walk->start + len;
	walk->import_count = image_imports(walk->image, names, walk->import, IMPORTS_MAX);
	if (walk->import_count > IMPORTS_MAX)
		return -E2BIG;
	err = label_add(walk, walk->start);
	if (err)
		return err;
	label->reached = true;
	label->state.reg[walk->abi->stack].kind = KIND_STACK;
	for (i = 0; i < CALLEE_ARGS_MAX; i++)
		label->state.reg[walk->abi->arg[i]] =
			(struct val){ .kind = KIND_ARG, .arg = i, .width = 8 };
	return 0;
}

int copies_list(const struct image *image, uint64_t vaddr, unsigned int dst_arg,
		struct copies *ret_copies)
{
	const struct abi *abi = abi_find(image_machine(image));
	struct walk *walk;
	int err;

	if (!abi)
		return -EOPNOTSUPP;
	walk = calloc(1, sizeof(*walk));
	if (!walk)
		return -ENOMEM;
	walk->image = image;
	walk->abi = abi;
	walk->dst_arg = dst_arg;
	walk->start = vaddr;
	err = walk_init(walk);
	if (!err)
		err = walk_all(walk);
	if (!err)
		*ret_copies = walk->copies;
	free(walk);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/dataflow.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "elf/insn.h"
#include "elf/state.h"

/* OpenSSL's function has 300 labels and less than 1000 instructions. */
#define LABELS_MAX  1024
#define BUCKETS	    2048 /* a power of two, more than labels */
#define STEPS_MAX   100000
#define CHUNKS_MAX  32
#define CHUNK_LEN   4096
#define TARGETS_MAX 256
#define IMPORTS_MAX 16
#define READS_MAX   64
#define STUB_LEN    32

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

	for (reg = 0; reg < STATE_REGS; reg++) {
		struct val val = state->reg[reg];

		if (val.kind == KIND_ARG && val.arg == arg && val.width >= 4 &&
		    !(walk->abi->clobbered & (1U << reg)))
			return (struct place) { .reg = reg, .width = val.width };
	}
	for (i = 0; i < state->slot_count && state_is_stack(state, stack); i++) {
		const struct slot *slot = &state->slot[i];
		int32_t disp = slot->off - state->reg[stack].off;

		if (slot->val.kind != KIND_ARG || slot->val.arg != arg || disp < 0)
			continue;
		for (j = 0; j < walk->read_count; j++) {
			if (walk->read[j] == slot->off)
				return place_memory(stack, disp, slot->val.width);
		}
	}
	return (struct place) { 0 };
}

static int note_copy(struct walk *walk, uint64_t vaddr, const struct insn *insn,
		     const struct state *state)
{
	struct val dst = state_value(state, walk->abi->arg[0]);
	bool inside = vaddr >= walk->start && vaddr < walk->end;
	struct copy *copy;
	uint8_t i;

	if (dst.kind == KIND_UNKNOWN || (dst.kind == KIND_ARG && dst.width < 8))
		return inside ? -ENOTUNIQ : 0;
	if (!val_is_based_on(dst, walk->dst_arg))
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

static void note_read_at(struct walk *walk, int32_t off)
{
	size_t i;

	for (i = 0; i < walk->read_count; i++) {
		if (walk->read[i] == off)
			return;
	}
	if (walk->read_count < READS_MAX)
		walk->read[walk->read_count++] = off;
}

static void note_read(struct walk *walk, const struct insn *insn, const struct state *state)
{
	int32_t off;

	if (insn->kind == INSN_STORE || !state_frame_offset(state, insn, &off))
		return;
	note_read_at(walk, off);
	if (insn->dst2 != INSN_REG_NONE)
		note_read_at(walk, off + insn->width);
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
		state_apply(walk->abi, walk->dst_arg, state, insn);
	if (call && walk->phase != PHASE_LABELS)
		state_call(walk->abi, state, copies);
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
			(struct val) { .kind = KIND_ARG, .arg = i, .width = 8 };
	return 0;
}

int copies_list(const struct image *image, uint64_t vaddr, unsigned int dst_arg,
		struct copies *ret_copies)
{
	const struct abi *abi = abi_find(image_machine(image));
	struct walk *walk;
	int err;

	/* Stubs of the PLT are only known of x86-64: elsewhere copies would not be seen. */
	if (!abi || abi->machine != EM_X86_64)
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

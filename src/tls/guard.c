/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/guard.h"

#include <stdlib.h>
#include <string.h>

#define CODE_MAX   65536
#define BRANCH_LEN 6 /* of jcc with a distance of 4 bytes */
/* Registers of x86-64. */
#define RAX   (1U << 0)
#define STACK 4
/* From a jump to its call. */
#define MOVES_MAX 32
/* Jumps that lead to jumps. */
#define JUMPS_MAX 4
/* A branch was found. */
#define ENTERED 2

bool code_load(const struct image *image, uint64_t vaddr, struct code *ret_code)
{
	uint64_t len;

	*ret_code = (struct code) { 0 };
	if (image_function_at(image, vaddr, &ret_code->low, &len) || !len || len > CODE_MAX)
		return false;
	ret_code->high = ret_code->low + len;
	ret_code->bytes = malloc(len);
	return ret_code->bytes && !image_read(image, ret_code->low, ret_code->bytes, len);
}

void code_done(struct code *code)
{
	free(code->bytes);
	code->bytes = NULL;
}

static const uint8_t *code_insn(const struct code *code, uint64_t vaddr, struct insn *ret_insn)
{
	const uint8_t *bytes = code->bytes + (vaddr - code->low);

	if (vaddr < code->low || vaddr >= code->high ||
	    insn_decode_x86(bytes, code->high - vaddr, vaddr, ret_insn))
		return NULL;
	return bytes;
}

static bool keeps_flags(const uint8_t *bytes, const struct insn *insn)
{
	/* Others of that kind are additions. */
	bool lea = insn->kind == INSN_LEA && (bytes[0] & 0xf0) == 0x40 && bytes[1] == 0x8d;

	return lea || insn->kind == INSN_CONST || insn->kind == INSN_MOV ||
	       insn->kind == INSN_LOAD || insn->kind == INSN_STORE ||
	       insn->kind == INSN_STORE_CONST || insn->kind == INSN_NOP;
}

static bool is_move(const uint8_t *bytes, const struct insn *insn)
{
	return keeps_flags(bytes, insn) || insn->kind == INSN_LEA || insn->kind == INSN_ZERO;
}

static bool is_end(const struct insn *insn)
{
	return insn->kind == INSN_JMP || insn->kind == INSN_JMP_INDIRECT ||
	       insn->kind == INSN_RET || insn->kind == INSN_STOP;
}

/* cmpq $0,disp(%reg) */
static bool is_question(const uint8_t *bytes, const struct insn *insn)
{
	return insn->len > 3 && (bytes[0] & 0xfe) == 0x48 && bytes[1] == 0x83 &&
	       (bytes[2] >> 3 & 7) == 7 && insn->memory && insn->base < INSN_REGS_MAX &&
	       insn->base != STACK && insn->index == INSN_REG_NONE && !bytes[insn->len - 1];
}

/* je, jne: where does it go on when what was compared is not equal? */
static bool unequal(const uint8_t *bytes, uint64_t vaddr, const struct insn *insn,
		    uint64_t *ret_unequal, uint64_t *ret_equal)
{
	uint64_t next = vaddr + insn->len;
	uint8_t opcode;

	if (insn->kind != INSN_JCC)
		return false;
	opcode = bytes[0] == 0x0f ? (uint8_t)(bytes[1] - 0x10) : bytes[0];
	*ret_unequal = opcode == 0x74 ? next : insn->target;
	*ret_equal = opcode == 0x74 ? insn->target : next;
	return opcode == 0x74 || opcode == 0x75;
}

/* Where it really goes on, behind jumps. */
static uint64_t settled(const struct code *code, uint64_t vaddr)
{
	struct insn insn;
	int jumps = 0;

	while (jumps++ < JUMPS_MAX && code_insn(code, vaddr, &insn) && insn.kind == INSN_JMP)
		vaddr = insn.target;
	return vaddr;
}

bool guard_next(const struct code *code, uint64_t *vaddr, struct guard *ret_guard)
{
	struct guard guard = { 0 };
	const uint8_t *bytes;
	struct insn insn;
	bool asked = false;

	while ((bytes = code_insn(code, *vaddr, &insn))) {
		guard.jump = *vaddr;
		*vaddr += insn.len;
		if (asked && unequal(bytes, guard.jump, &insn, &guard.with, &guard.without)) {
			guard.without = settled(code, guard.without);
			*ret_guard = guard;
			return true;
		}
		if (is_question(bytes, &insn)) {
			asked = true;
			guard.compare = guard.jump;
			guard.slot = insn.disp;
		} else if (!keeps_flags(bytes, &insn)) {
			asked = false;
		}
	}
	return false;
}

/* Do nothing but moves lead there? */
static bool leads(const struct code *code, uint64_t vaddr, uint64_t call)
{
	const uint8_t *bytes;
	struct insn insn;
	int steps = 0;

	while (vaddr < call && steps++ < MOVES_MAX && (bytes = code_insn(code, vaddr, &insn)) &&
	       is_move(bytes, &insn))
		vaddr += insn.len;
	return vaddr == call;
}

/* The code that has to be entered by the guard alone. */
struct inside {
	const struct guard *guard;
	uint64_t call;
};

static bool is_inside(const struct inside *inside, uint64_t vaddr)
{
	const struct guard *guard = inside->guard;

	return (vaddr > guard->compare && vaddr <= guard->jump) ||
	       (vaddr >= guard->with && vaddr <= inside->call);
}

/* Branches from other functions, which may be parts of this one. Short ones there are none. */
static int window(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	const struct inside *inside = arg;
	size_t i;

	for (i = 1; i + 4 <= len; i++) {
		bool jcc = i > 1 && p[i - 2] == 0x0f && (p[i - 1] & 0xf0) == 0x80;
		int32_t distance;

		if (!jcc && p[i - 1] != 0xe9)
			continue;
		memcpy(&distance, p + i, sizeof(distance));
		if (is_inside(inside, vaddr + i + 4 + (uint64_t)(int64_t)distance) &&
		    vaddr + i - 2 != inside->guard->jump)
			return ENTERED;
	}
	return 0;
}

static bool is_entered(const struct image *image, const struct code *code, struct inside *inside)
{
	uint64_t vaddr = code->low;
	struct insn insn;
	bool falls = false;

	for (; vaddr < code->high; vaddr += insn.len) {
		if (!code_insn(code, vaddr, &insn) || (vaddr == inside->guard->with && falls))
			return true;
		if (vaddr == inside->guard->jump)
			falls = false;
		else if (insn.kind != INSN_NOP)
			falls = !is_end(&insn);
		if ((insn.kind == INSN_JMP || insn.kind == INSN_JCC) &&
		    vaddr != inside->guard->jump && is_inside(inside, insn.target))
			return true;
	}
	return image_walk(image, true, BRANCH_LEN - 1, window, inside);
}

bool guard_find(const struct image *image, const struct code *code, uint64_t call,
		struct guard *ret_guard)
{
	struct guard guard, only = { 0 };
	struct inside inside = { &only, call };
	uint64_t vaddr = code->low;
	bool found = false;

	while (guard_next(code, &vaddr, &guard)) {
		if (!leads(code, guard.with, call))
			continue;
		if (found)
			return false;
		only = guard;
		found = true;
	}
	if (!found || is_entered(image, code, &inside))
		return false;
	*ret_guard = only;
	return true;
}

/* What the flags on the way say. */
struct flags {
	bool result; /* rax is what the call returned */
	bool tested; /* of that */
	bool asked;  /* for the callback */
	int32_t slot;
	bool called;
};

static void flags_apply(struct flags *flags, const uint8_t *bytes, const struct insn *insn)
{
	if (is_question(bytes, insn) || !keeps_flags(bytes, insn))
		flags->tested = flags->asked = false;
	if (is_question(bytes, insn)) {
		flags->asked = true;
		flags->slot = insn->disp;
	}
	if (insn->len == 2 && bytes[0] == 0x85 && bytes[1] == 0xc0) /* test %eax,%eax */
		flags->tested = flags->result;
	if (insn->writes & RAX)
		flags->result = false;
}

/* The way goes on behind an instruction. False: where is not certain. */
static bool way_next(const struct code *code, uint64_t function, const struct guard *guard,
		     struct flags *flags, const uint8_t *bytes, const struct insn *insn,
		     uint64_t *vaddr)
{
	uint64_t with = insn->target, without = guard->without;

	if (insn->kind == INSN_CALL) {
		*flags = (struct flags) { .result = true, .called = true };
		*vaddr += insn->len;
		return insn->target == function;
	}
	if (insn->kind == INSN_JCC) {
		if (!unequal(bytes, *vaddr, insn, &with, &without))
			return false;
		*vaddr = with;
		/* The call has done it; there is a callback. */
		return flags->tested || (flags->asked && flags->slot == guard->slot &&
					 settled(code, without) == guard->without);
	}
	flags_apply(flags, bytes, insn);
	*vaddr = insn->kind == INSN_JMP ? insn->target : *vaddr + insn->len;
	return is_move(bytes, insn) || insn->kind == INSN_POP || insn->kind == INSN_JMP ||
	       flags->tested || flags->asked;
}

bool way_find(const struct code *code, const struct guard *guard, uint64_t function,
	      struct way *ret_way)
{
	uint64_t vaddr = guard->with;
	struct flags flags = { 0 };
	struct way way = { 0 };

	while (way.count < WAY_LEN_MAX) {
		const uint8_t *bytes;
		struct insn insn;

		bytes = code_insn(code, vaddr, &insn);
		if (!bytes)
			return false;
		if (flags.called && (vaddr == guard->without || insn.kind == INSN_RET)) {
			*ret_way = way;
			return true;
		}
		way.vaddr[way.count++] = vaddr;
		if (!way_next(code, function, guard, &flags, bytes, &insn, &vaddr))
			return false;
	}
	return false;
}

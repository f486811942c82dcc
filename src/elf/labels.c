/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/labels.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elf/callee.h"
#include "elf/insn.h"
#include "elf/wordscan.h"

/* How far a string is followed: instructions, and places where ways part. */
#define STEPS_MAX 512
#define FORKS_MAX 32
#define CODE_PART 256
/* Without a table of functions a jump further than this leaves the function. */
#define NEAR_MAX 32768

/* Appends one item to an array that has a ceiling. */
static void *array_add(void **items, size_t *count, size_t max, size_t size)
{
	void *longer;

	if (*count == max)
		return NULL;
	/* At powers of two. */
	if (!(*count & (*count - 1))) {
		longer = reallocarray(*items, *count ? 2 * *count : 1, size);
		if (!longer)
			return NULL;
		*items = longer;
	}
	return (char *)*items + (*count)++ * size;
}

static int array_error(size_t count, size_t max)
{
	return count == max ? -E2BIG : -ENOMEM;
}

static int add_place(void *arg, uint64_t vaddr, unsigned int word, bool ends)
{
	struct labels *labels = arg;
	struct label_place *place;

	place = array_add((void **)&labels->place, &labels->place_count, LABEL_PLACES_MAX,
			  sizeof(*place));
	if (!place)
		return array_error(labels->place_count, LABEL_PLACES_MAX);
	*place = (struct label_place) { vaddr, (uint8_t)word, ends };
	labels->found |= 1U << word;
	return 0;
}

static int place_compare(const void *a, const void *b)
{
	const struct label_place *x = a, *y = b;

	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

/* The search for references: what is looked for, and what arm64 has in its registers. */
struct search {
	struct labels *labels;
	uint64_t low; /* first and last address of a place */
	uint64_t span;
	uint64_t last; /* the reference before; windows overlap */
	uint64_t page[32];
	uint64_t page_at[32]; /* address of the instruction that set it */
};

static int add_ref(struct search *search, uint64_t vaddr, size_t len, uint8_t reg, uint64_t target)
{
	struct label_place key = { .vaddr = target }, *place;
	struct labels *labels = search->labels;
	struct label_ref *ref;

	place = bsearch(&key, labels->place, labels->place_count, sizeof(key), place_compare);
	if (!place || vaddr <= search->last)
		return 0;
	ref = array_add((void **)&labels->ref, &labels->ref_count, LABEL_REFS_MAX, sizeof(*ref));
	if (!ref)
		return array_error(labels->ref_count, LABEL_REFS_MAX);
	*ref = (struct label_ref) {
		.vaddr = vaddr,
		.next = vaddr + len,
		.label = place->label,
		.reg = reg,
		.ends = place->ends,
	};
	search->last = vaddr;
	return 0;
}

static int32_t load32(const uint8_t *p)
{
	int32_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

/* lea disp32(%rip), reg; p is where disp32 is. */
static int x86_relative(struct search *search, uint64_t vaddr, const uint8_t *p, uint64_t target)
{
	if (p[-2] != 0x8d || (p[-1] & 0xc7) != 5 || (p[-3] & 0xfb) != 0x48)
		return 0;
	return add_ref(search, vaddr - 3, 7, (p[-1] >> 3 & 7) | (p[-3] & 4 ? 8 : 0), target);
}

/* mov $imm32, reg, in its two forms; p is where imm32 is. */
static int x86_absolute(struct search *search, uint64_t vaddr, const uint8_t *p, uint64_t target)
{
	if ((p[-1] & 0xf8) == 0xb8) {
		bool rex = p[-2] == 0x41;

		return add_ref(search, vaddr - 1 - rex, 5 + (size_t)rex,
			       (p[-1] & 7) | (rex ? 8 : 0), target);
	}
	if (p[-2] == 0xc7 && (p[-1] & 0xf8) == 0xc0 && (p[-3] & 0xfe) == 0x48)
		return add_ref(search, vaddr - 3, 7, (p[-1] & 7) | (p[-3] & 1 ? 8 : 0), target);
	return 0;
}

#define X86_BEFORE 3 /* bytes of an instruction in front of its constant */
#define X86_CONST  4

static int x86_window(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	struct search *search = arg;
	size_t i;
	int r = 0;

	/* Every byte of the file comes by here: two comparisons are what it may cost. */
	for (i = X86_BEFORE; i + X86_CONST <= len && !r; i++) {
		int32_t value = load32(p + i);
		uint64_t relative = vaddr + i + X86_CONST + (uint64_t)(int64_t)value;
		uint64_t absolute = (uint32_t)value;

		if (relative - search->low <= search->span)
			r = x86_relative(search, vaddr + i, p + i, relative);
		if (absolute - search->low <= search->span)
			r = r ? r : x86_absolute(search, vaddr + i, p + i, absolute);
	}
	return r;
}

/* adrp keeps the page; this many instructions further on it may be another way's. */
#define ARM64_REACH (64 * 4)

/* C6.2.12, C6.2.13, C6.2.4 of the Arm Architecture Reference Manual: ADR, ADRP, ADD (immediate). */
static int arm64_insn(struct search *search, uint64_t vaddr, uint32_t word)
{
	uint8_t dst = word & 31, src = word >> 5 & 31;
	int64_t imm = (int64_t)((uint64_t)(word >> 5 & 0x7ffff) << 45) >> 43 | (word >> 29 & 3);
	uint64_t target;

	if ((word & 0x9f000000) == 0x90000000) {
		search->page[dst] = (vaddr & ~UINT64_C(4095)) + ((uint64_t)imm << 12);
		search->page_at[dst] = vaddr;
		return 0;
	}
	if ((word & 0x9f000000) == 0x10000000)
		target = vaddr + (uint64_t)imm;
	else if ((word & 0xffc00000) == 0x91000000 && vaddr - search->page_at[src] <= ARM64_REACH)
		target = search->page[src] + (word >> 10 & 0xfff);
	else
		return 0;
	return target - search->low <= search->span ? add_ref(search, vaddr, 4, dst, target) : 0;
}

static int arm64_window(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	size_t i;
	int r = 0;

	for (i = -vaddr & 3; i + 4 <= len && !r; i += 4)
		r = arm64_insn(arg, vaddr + i, (uint32_t)load32(p + i));
	return r;
}

static int refs_find(const struct image *image, struct labels *labels)
{
	struct search search = { .labels = labels };

	qsort(labels->place, labels->place_count, sizeof(*labels->place), place_compare);
	search.low = labels->place[0].vaddr;
	search.span = labels->place[labels->place_count - 1].vaddr - search.low;
	if (image_machine(image) == EM_X86_64)
		return image_walk(image, true, X86_BEFORE + X86_CONST - 1, x86_window, &search);
	return image_walk(image, true, 0, arm64_window, &search);
}

/* A way through the code that is still to be followed. */
struct way {
	uint64_t vaddr;
	uint32_t regs; /* registers that hold the string's address */
};

struct follow {
	const struct image *image;
	const struct abi *abi;
	struct labels *labels;
	struct label_ref *ref;
	uint64_t start; /* of the function */
	uint64_t end;
	struct way way[FORKS_MAX];
	size_t way_count;
	uint64_t fork[FORKS_MAX]; /* where ways have begun: each is followed once */
	size_t fork_count;
	size_t steps;
};

static bool is_inside(const struct follow *follow, uint64_t vaddr)
{
	return vaddr >= follow->start && vaddr < follow->end;
}

static int add_call(struct follow *follow, uint64_t vaddr, const struct insn *insn, uint32_t regs)
{
	struct labels *labels = follow->labels;
	bool direct = insn->kind == INSN_CALL || insn->kind == INSN_JMP;
	uint8_t arg;

	for (arg = 0; arg < CALLEE_ARGS_MAX; arg++) {
		struct label_call *call;

		if (!(regs & 1U << follow->abi->arg[arg]))
			continue;
		call = array_add((void **)&labels->call, &labels->call_count, LABEL_CALLS_MAX,
				 sizeof(*call));
		if (!call)
			return array_error(labels->call_count, LABEL_CALLS_MAX);
		*call = (struct label_call) {
			.vaddr = vaddr,
			.target = direct ? insn->target : 0,
			.ref = follow->ref->vaddr,
			.label = follow->ref->label,
			.arg = arg,
			.ends = follow->ref->ends,
			.tail = insn->kind == INSN_JMP || insn->kind == INSN_JMP_INDIRECT,
			.base = direct ? INSN_REG_NONE : insn->base,
			.slot = direct ? 0 : insn->disp,
		};
		follow->ref->calls = true;
	}
	return 0;
}

static void way_add(struct follow *follow, uint64_t vaddr, uint32_t regs)
{
	size_t i;

	if (!regs || !is_inside(follow, vaddr))
		return;
	for (i = 0; i < follow->fork_count; i++) {
		if (follow->fork[i] == vaddr)
			return;
	}
	if (follow->fork_count == FORKS_MAX)
		return;
	follow->fork[follow->fork_count++] = vaddr;
	follow->way[follow->way_count++] = (struct way) { vaddr, regs };
}

/* The registers that hold the address behind an instruction that is no jump. */
static uint32_t regs_after(const struct follow *follow, const struct insn *insn, uint32_t regs)
{
	bool copied = insn->kind == INSN_MOV && insn->src < INSN_REGS_MAX && regs & 1U << insn->src;

	if (insn->kind == INSN_CALL || insn->kind == INSN_CALL_INDIRECT)
		return regs & ~follow->abi->clobbered;
	regs &= ~insn->writes;
	return copied ? regs | 1U << insn->dst : regs;
}

/* One instruction. ret_regs 0: the way ends here. */
static int follow_insn(struct follow *follow, uint64_t vaddr, const struct insn *insn,
		       uint32_t *regs)
{
	bool leaves = insn->kind == INSN_JMP && !is_inside(follow, insn->target);
	int r = 0;

	if (insn->kind == INSN_CALL || insn->kind == INSN_CALL_INDIRECT || leaves ||
	    (insn->kind == INSN_JMP_INDIRECT && insn->index == INSN_REG_NONE))
		r = add_call(follow, vaddr, insn, *regs);
	if (insn->kind == INSN_JCC || (insn->kind == INSN_JMP && !leaves))
		way_add(follow, insn->target, *regs);
	switch (insn->kind) {
	case INSN_JMP:
	case INSN_JMP_INDIRECT:
	case INSN_RET:
	case INSN_STOP:
		*regs = 0;
		break;
	default:
		*regs = regs_after(follow, insn, *regs);
	}
	return r;
}

static int follow_way(struct follow *follow, struct way way)
{
	const uint8_t *code = NULL;
	size_t pos = 0, len = 0;
	struct insn insn;
	int r = 0;

	while (!r && way.regs && follow->steps++ < STEPS_MAX && is_inside(follow, way.vaddr)) {
		if (len - pos < INSN_LEN_MAX) {
			code = image_code_part(follow->image, way.vaddr, CODE_PART, &len);
			pos = 0;
		}
		/* Not code, or the reference was none: then it leads nowhere. */
		if (!code ||
		    insn_decode(follow->abi->machine, code + pos, len - pos, way.vaddr, &insn))
			return 0;
		r = follow_insn(follow, way.vaddr, &insn, &way.regs);
		way.vaddr += insn.len;
		pos += insn.len;
	}
	return r;
}

static int follow_ref(struct follow *follow)
{
	uint64_t vaddr = follow->ref->vaddr, len;
	int r = 0;

	if (image_function_at(follow->image, vaddr, &follow->start, &len)) {
		follow->start = vaddr > NEAR_MAX ? vaddr - NEAR_MAX : 0;
		len = 2 * NEAR_MAX;
	}
	follow->end = follow->start + len;
	way_add(follow, follow->ref->next, 1U << follow->ref->reg);
	while (follow->way_count && !r)
		r = follow_way(follow, follow->way[--follow->way_count]);
	return r;
}

static int calls_find(const struct image *image, struct labels *labels)
{
	const struct abi *abi = abi_find(image_machine(image));
	size_t i;
	int r = 0;

	for (i = 0; abi && i < labels->ref_count && !r; i++) {
		struct follow follow = {
			.image = image,
			.abi = abi,
			.labels = labels,
			.ref = &labels->ref[i],
		};

		r = follow_ref(&follow);
	}
	return r;
}

int labels_find(const struct image *image, const char *const *names, size_t count,
		struct labels *ret_labels)
{
	struct labels labels = { 0 };
	int r;

	r = wordscan(image, names, count, add_place, &labels);
	if (!r && labels.place_count)
		r = refs_find(image, &labels);
	if (!r)
		r = calls_find(image, &labels);
	if (r) {
		labels_done(&labels);
		return r;
	}
	*ret_labels = labels;
	return 0;
}

void labels_done(struct labels *labels)
{
	free(labels->place);
	free(labels->ref);
	free(labels->call);
	memset(labels, 0, sizeof(*labels));
}

/* Labels that target gets as that argument. */
static uint32_t votes_for(const struct labels *labels, uint32_t among, uint8_t arg, uint64_t target)
{
	uint32_t votes = 0;
	size_t i;

	for (i = 0; i < labels->call_count; i++) {
		const struct label_call *call = &labels->call[i];

		if (call->target == target && call->arg == arg)
			votes |= 1U << call->label;
	}
	return votes & among;
}

void labels_vote(const struct labels *labels, uint32_t among, uint8_t arg,
		 struct label_vote *ret_vote)
{
	struct label_vote vote = { 0 };
	size_t i;

	for (i = 0; i < labels->call_count; i++) {
		const struct label_call *call = &labels->call[i];
		uint32_t votes;

		if (!call->target || call->arg != arg || call->target == vote.target)
			continue;
		votes = votes_for(labels, among, arg, call->target);
		if (__builtin_popcount(votes) > __builtin_popcount(vote.labels)) {
			vote.target = call->target;
			vote.labels = votes;
		}
	}
	for (i = 0; i < labels->call_count; i++) {
		const struct label_call *call = &labels->call[i];

		if (call->arg == arg && call->target && call->target != vote.target)
			vote.others |= 1U << call->label & among;
	}
	*ret_vote = vote;
}

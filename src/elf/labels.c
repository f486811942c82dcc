/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/labels.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elf/insn.h"
#include "elf/trace.h"
#include "elf/wordscan.h"

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

struct places {
	struct labels *labels;
	unsigned int count[LABELS_MAX];
};

static int place_add(struct labels *labels, uint64_t vaddr, unsigned int word, bool ends)
{
	struct label_place *place;

	place = array_add((void **)&labels->place, &labels->place_count, LABEL_PLACES_MAX,
			  sizeof(*place));
	if (!place)
		return array_error(labels->place_count, LABEL_PLACES_MAX);
	*place = (struct label_place) { vaddr, (uint8_t)word, ends };
	labels->found |= 1U << word;
	return 0;
}

static int add_place(void *arg, uint64_t vaddr, unsigned int word, bool ends)
{
	struct places *places = arg;

	if (word >= places->labels->refs && places->count[word]++ >= LABEL_PLACES_EACH)
		return 0;
	return place_add(places->labels, vaddr, word, ends);
}

static int place_compare(const void *a, const void *b)
{
	const struct label_place *x = a, *y = b;

	return (x->vaddr > y->vaddr) - (x->vaddr < y->vaddr);
}

#define FILTER_BITS 65536U

/* The search for references: what is looked for, and what arm64 has in its registers. */
struct search {
	struct labels *labels;
	size_t refs;
	bool fixed;   /* the file runs at its own addresses: they may be constants in the code */
	uint64_t low; /* first and last address of a place */
	uint64_t span;
	size_t tries; /* what looked like references */
	/* Lowest bits of the places' addresses: between strings and tables there is a lot else. */
	uint8_t low_bits[FILTER_BITS / 8];
	uint64_t page[32];
	uint64_t page_at[32]; /* address of the instruction that set it */
};

/* The string at an address, if code that refers to it is of interest. */
static const struct label_place *place_at(const struct search *search, uint64_t vaddr)
{
	struct label_place key = { .vaddr = vaddr };
	const struct label_place *place;

	uint64_t bit = vaddr % FILTER_BITS;

	if (vaddr - search->low > search->span || !(search->low_bits[bit / 8] & 1U << bit % 8))
		return NULL;
	place = bsearch(&key, search->labels->place, search->labels->place_count, sizeof(key),
			place_compare);
	return place && place->label < search->refs ? place : NULL;
}

static int add_ref(struct search *search, uint64_t vaddr, const struct label_place *place,
		   uint8_t reg, uint64_t page)
{
	struct labels *labels = search->labels;
	struct label_ref *ref;

	ref = array_add((void **)&labels->ref, &labels->ref_count, LABEL_REFS_MAX, sizeof(*ref));
	if (!ref)
		return array_error(labels->ref_count, LABEL_REFS_MAX);
	*ref = (struct label_ref) {
		.vaddr = vaddr,
		.target = place->vaddr,
		.page = page,
		.reg = reg,
		.label = place->label,
		.ends = place->ends,
	};
	return 0;
}

static int32_t load32(const uint8_t *p)
{
	int32_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static bool is_address(const struct insn *insn, uint64_t target)
{
	if (insn->kind == INSN_LEA)
		return insn->base == INSN_REG_PC && insn->target == target;
	/* An entry of a table, in a program with fixed addresses. */
	if (insn->kind == INSN_LOAD && insn->base != INSN_REG_PC)
		return (insn->base != INSN_REG_NONE || insn->index != INSN_REG_NONE) &&
		       (uint64_t)(int64_t)insn->disp == target;
	return (insn->kind == INSN_CONST || insn->kind == INSN_STORE_CONST) &&
	       insn->value == target;
}

#define X86_CONST 4
/* Before the constant: prefix, opcode, ModRM, SIB and a displacement. */
#define X86_BEFORE 8
#define X86_BLOCK  64

/*
 * Four bytes at p are the address of a string, or the distance to it: is there an instruction that
 * ends with them? A REX prefix belongs to it if there may be one.
 */
static int x86_ref(struct search *search, uint64_t vaddr, const uint8_t *p,
		   const struct label_place *place)
{
	uint64_t found = 0;
	size_t len;

	if (search->tries++ == LABEL_TRIES_MAX)
		return -E2BIG;
	for (len = 1; len <= X86_BEFORE; len++) {
		bool rex = (p[-(ptrdiff_t)len] & 0xf0) == 0x40;
		struct insn insn;

		if (insn_decode_x86(p - len, len + X86_CONST, vaddr - len, &insn) ||
		    insn.len != len + X86_CONST || !is_address(&insn, place->vaddr) ||
		    (found && !rex))
			continue;
		found = vaddr - len;
	}
	return found ? add_ref(search, found, place, 0, 0) : 0;
}

/* Do the opcode of lea and an operand that counts from the instruction end before p? */
static bool x86_lea(const uint8_t *p)
{
	return p[-2] == 0x8d && (p[-1] & 0xc7) == 0x05;
}

static int x86_try(struct search *search, uint64_t vaddr, const uint8_t *p)
{
	int32_t value = load32(p);
	const struct label_place *place;
	int r = 0;

	if (x86_lea(p)) {
		place = place_at(search, vaddr + X86_CONST + (uint64_t)(int64_t)value);
		if (place)
			r = x86_ref(search, vaddr, p, place);
	}
	if (r || !search->fixed)
		return r;
	place = place_at(search, (uint32_t)value);
	return place ? x86_ref(search, vaddr, p, place) : 0;
}

/*
 * May one of the X86_BLOCK constants that begin at p refer to a string? Every byte of the file comes
 * by here, so it is written as loops that compilers make vector instructions of.
 */
static bool x86_block(const struct search *search, const uint8_t *p)
{
	uint32_t low = (uint32_t)search->low, word[X86_BLOCK / 4], any = 0;
	uint32_t span = search->span < UINT32_MAX ? (uint32_t)search->span : UINT32_MAX;
	const uint8_t *before = p - 2;
	uint8_t lea = 0;
	size_t i, k;

	/* As x86_lea(). */
	for (i = 0; i < X86_BLOCK; i++)
		lea |= (before[i] == 0x8d) & ((before[i + 1] & 0xc7) == 0x05);
	if (lea || !search->fixed)
		return lea;
	for (k = 0; k < sizeof(word[0]); k++) {
		memcpy(word, p + k, sizeof(word));
		for (i = 0; i < X86_BLOCK / 4; i++)
			any |= word[i] - low <= span;
	}
	return any;
}

static int x86_window(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	struct search *search = arg;
	size_t i = X86_BEFORE, end;
	int r = 0;

	while (i + X86_CONST <= len && !r) {
		bool whole = len - i >= X86_BLOCK + X86_CONST;

		end = whole ? i + X86_BLOCK : len - X86_CONST + 1;
		if (whole && !x86_block(search, p + i))
			i = end;
		for (; i < end && !r; i++)
			r = x86_try(search, vaddr + i, p + i);
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
	const struct label_place *place;
	uint64_t target, page = 0;

	if ((word & 0x9f000000) == 0x90000000) {
		search->page[dst] = (vaddr & ~UINT64_C(4095)) + ((uint64_t)imm << 12);
		search->page_at[dst] = vaddr;
		return 0;
	}
	if ((word & 0x9f000000) == 0x10000000)
		target = vaddr + (uint64_t)imm;
	else if ((word & 0xffc00000) == 0x91000000 && vaddr - search->page_at[src] <= ARM64_REACH)
		page = search->page[src], target = page + (word >> 10 & 0xfff);
	else
		return 0;
	place = place_at(search, target);
	return place ? add_ref(search, vaddr, place, src, page) : 0;
}

static int arm64_window(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	size_t i;
	int r = 0;

	for (i = -vaddr & 3; i + 4 <= len && !r; i += 4)
		r = arm64_insn(arg, vaddr + i, (uint32_t)load32(p + i));
	return r;
}

static int refs_find(const struct image *image, struct labels *labels, size_t refs)
{
	struct search search = {
		.labels = labels,
		.refs = refs,
		.fixed = image_fixed(image),
		.low = UINT64_MAX,
	};
	uint64_t high = 0;
	size_t i;

	qsort(labels->place, labels->place_count, sizeof(*labels->place), place_compare);
	for (i = 0; i < labels->place_count; i++) {
		if (labels->place[i].label >= refs)
			continue;
		if (labels->place[i].vaddr < search.low)
			search.low = labels->place[i].vaddr;
		high = labels->place[i].vaddr;
		search.low_bits[high % FILTER_BITS / 8] |= 1U << high % 8;
	}
	search.span = high - search.low;
	if (image_machine(image) == EM_X86_64)
		return image_walk(image, true, X86_BEFORE + X86_CONST - 1, x86_window, &search);
	return image_walk(image, true, 3, arm64_window, &search);
}

struct follow {
	struct labels *labels;
	struct label_ref *ref;
};

static int add_call(struct follow *follow, uint64_t vaddr, const struct insn *insn, uint8_t arg)
{
	bool direct = insn->kind == INSN_CALL || insn->kind == INSN_JMP;
	struct labels *labels = follow->labels;
	struct label_call *call;
	size_t i;

	for (i = 0; i < labels->call_count; i++) {
		call = &labels->call[i];
		if (call->vaddr == vaddr && call->ref == follow->ref->vaddr && call->arg == arg)
			return 0;
	}
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
	return 0;
}

static int on_insn(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct follow *follow = arg;
	uint8_t i;
	int r = 0;

	/* From the reference on, and as long as the string is still somewhere. */
	if (vaddr != follow->ref->vaddr && !trace_holds(trace, (int64_t)follow->ref->target))
		return TRACE_CUT;
	if (insn->kind != INSN_CALL && insn->kind != INSN_CALL_INDIRECT &&
	    !trace_leaves(trace, insn))
		return 0;
	for (i = 0; i < CALLEE_ARGS_MAX && !r; i++) {
		if (value_is(trace_arg(trace, i), (int64_t)follow->ref->target))
			r = add_call(follow, vaddr, insn, i);
	}
	return r;
}

static int calls_find(const struct image *image, struct labels *labels)
{
	size_t i, steps = LABEL_STEPS_MAX;
	int r = 0;

	for (i = 0; i < labels->ref_count && !r; i++) {
		struct label_ref *ref = &labels->ref[i];
		struct trace_start start = {
			.vaddr = ref->vaddr,
			.known = ref->page,
			.reg = ref->reg,
			.num = ref->page,
			.steps = &steps,
		};
		struct follow follow = { labels, ref };

		trace_bounds(image, ref->vaddr, &start.low, &start.high);
		r = trace_walk(image, &start, on_insn, &follow);
		if (r == -EOPNOTSUPP)
			return 0;
		if (!r && !steps)
			r = -E2BIG;
	}
	return r;
}

int labels_find(const struct image *image, const char *const *names, size_t count, size_t refs,
		struct labels *ret_labels)
{
	struct labels labels = { .refs = refs };
	struct places places = { .labels = &labels };
	int r;

	r = wordscan(image, names, count, add_place, &places);
	if (r) {
		labels_done(&labels);
		return r;
	}
	*ret_labels = labels;
	return 0;
}

int labels_add(struct labels *labels, uint64_t vaddr, unsigned int label)
{
	return place_add(labels, vaddr, label, false);
}

int labels_follow(const struct image *image, struct labels *labels)
{
	int r = 0;

	if (labels->found & ((UINT64_C(1) << labels->refs) - 1))
		r = refs_find(image, labels, labels->refs);
	return r ? r : calls_find(image, labels);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/keylog.h"

#include <errno.h>
#include <string.h>

#include "elf/trace.h"

/* Of the eight labels; some are only passed in ways that are hard to follow. */
#define VOTES_MIN   3
#define PATHS_MAX   32
#define RANDOM_SIZE SECRET_RANDOM_LEN

enum { ARG_HANDLE, ARG_LABEL, ARG_SECRET, ARG_LEN };

/* Places that were seen, each once. */
struct paths {
	struct value_of path[PATHS_MAX];
	size_t count;
	bool overflow;
};

/* A function behind: it gets all that the first one has and the client random. */
struct inner {
	uint64_t target;
	int handle, label, random, secret, len; /* which argument; handle -1: none */
};

/* What the function's code shows. */
struct evidence {
	struct paths passed;  /* with 32 behind them as arguments of a call */
	struct paths walked;  /* read byte by byte */
	struct paths reached; /* addresses that were made */
	bool bound;	      /* something is compared with 32 */
	struct inner inner;
	bool inner_differs;
	bool avoids_inner; /* there are ways on which it is not called */
	uint64_t leaves;   /* a function that is jumped to */
	int64_t member;	   /* as in the recipe */
	bool has_member;   /* it is read */
};

static void paths_add(struct paths *paths, struct value_of path)
{
	size_t i;

	for (i = 0; i < paths->count; i++) {
		if (value_same(paths->path[i], path))
			return;
	}
	if (paths->count == PATHS_MAX)
		paths->overflow = true;
	else
		paths->path[paths->count++] = path;
}

static bool paths_have(const struct paths *paths, struct value_of path)
{
	size_t i;

	for (i = 0; i < paths->count; i++) {
		if (value_same(paths->path[i], path))
			return true;
	}
	return false;
}

/* An address inside of what the handle leads to. */
static bool is_inside(struct value_of value)
{
	return value.kind == VALUE_PATH && value.arg == ARG_HANDLE && value.width == 8 &&
	       (value.loads || value.num);
}

static bool is_arg(struct value_of value, unsigned int arg)
{
	return value.kind == VALUE_PATH && value.arg == arg && !value.loads && !value.num;
}

/* Argument of a call that is the function's own argument arg; -1: none. */
static int passes(const struct trace *trace, unsigned int arg)
{
	unsigned int i;

	for (i = 0; i < CALLEE_ARGS_MAX; i++) {
		if (is_arg(trace_arg(trace, i), arg))
			return (int)i;
	}
	return -1;
}

/* Not memcmp(): what is between the fields is anything. */
static bool inner_same(const struct inner *a, const struct inner *b)
{
	return a->target == b->target && a->handle == b->handle && a->label == b->label &&
	       a->random == b->random && a->secret == b->secret && a->len == b->len;
}

static void inner_note(const struct trace *trace, const struct insn *insn, unsigned int random,
		       struct evidence *evidence)
{
	struct inner inner = {
		.target = insn->target,
		.handle = passes(trace, ARG_HANDLE),
		.label = passes(trace, ARG_LABEL),
		.random = (int)random,
		.secret = passes(trace, ARG_SECRET),
		.len = passes(trace, ARG_LEN),
	};

	if (inner.label < 0 || inner.secret < 0 || inner.len < 0)
		return;
	if (evidence->inner.target && !inner_same(&evidence->inner, &inner))
		evidence->inner_differs = true;
	evidence->inner = inner;
}

/* What a call or jump passes on. True when it goes to the inner function. */
static bool call_note(const struct trace *trace, const struct insn *insn, struct evidence *evidence)
{
	unsigned int i;

	for (i = 0; i + 1 < CALLEE_ARGS_MAX; i++) {
		struct value_of value = trace_arg(trace, i);

		if (!is_inside(value) || !value_is(trace_arg(trace, i + 1), RANDOM_SIZE))
			continue;
		paths_add(&evidence->passed, value);
		if (insn->kind == INSN_CALL || insn->kind == INSN_JMP)
			inner_note(trace, insn, i, evidence);
	}
	return evidence->inner.target && evidence->inner.target == insn->target;
}

static void read_note(const struct trace *trace, const struct insn *insn, struct evidence *evidence)
{
	struct value_of address = trace_address(trace, insn);

	if (is_inside(address) && !address.loads && address.num == evidence->member && insn->memory)
		evidence->has_member = true;
	if (insn->kind == INSN_COMPARE && insn->value == RANDOM_SIZE)
		evidence->bound = true;
	if (insn->kind == INSN_LEA && insn->src != INSN_REG_NONE) {
		address = value_plus(trace_reg(trace, insn->src), insn->disp);
		if (is_inside(address))
			paths_add(&evidence->reached, address);
	} else if (insn->kind == INSN_LOAD && insn->width == 1 && is_inside(address)) {
		paths_add(&evidence->walked, address);
	}
}

static int on_insn(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	bool call = insn->kind == INSN_CALL || insn->kind == INSN_CALL_INDIRECT;
	struct evidence *evidence = arg;

	(void)vaddr;
	if (call || trace_leaves(trace, insn)) {
		if (call_note(trace, insn, evidence))
			return TRACE_CUT;
	} else {
		read_note(trace, insn, evidence);
	}
	/* Where its arguments could not be followed it may be the inner function all the same. */
	if (insn->kind == INSN_JMP && trace_leaves(trace, insn) &&
	    (!evidence->leaves || evidence->leaves == insn->target))
		evidence->leaves = insn->target;
	else if (insn->kind == INSN_RET || trace_leaves(trace, insn))
		evidence->avoids_inner = true;
	return 0;
}

/* All that is needed is in the inner function's arguments, on every way. */
static bool inner_usable(const struct evidence *evidence)
{
	return evidence->inner.target && !evidence->inner_differs && !evidence->avoids_inner &&
	       (!evidence->leaves || evidence->leaves == evidence->inner.target);
}

/*
 * A loop that reads from the handle's memory byte by byte: the client random is the only thing there
 * that goes into the line. bound: whether 32 of them shows as well. False when there are several.
 */
static bool walked_path(const struct evidence *evidence, struct value_of *ret_path, bool *ret_bound)
{
	const struct paths *walked = &evidence->walked;
	bool found = false;
	size_t i;

	for (i = 0; i < walked->count; i++) {
		struct value_of first = walked->path[i], next = first, end = first, before = first;

		next.num++;
		before.num--;
		end.num += RANDOM_SIZE;
		if (!paths_have(walked, next) || paths_have(walked, before))
			continue;
		if (found)
			return false;
		found = true;
		*ret_bound = evidence->bound || paths_have(&evidence->reached, end);
		*ret_path = first;
	}
	return found && !walked->overflow;
}

/* An accessor's code: where it takes from what it gives. */
struct access {
	bool pointer;
	struct paths paths;
};

static int on_access(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct access *access = arg;
	struct value_of value = trace_arg(trace, 1);

	(void)vaddr;
	if (access->pointer) {
		if (insn->kind != INSN_STORE || insn->width != 8 ||
		    !is_arg(trace_address(trace, insn), 1))
			return 0;
		value = trace_reg(trace, insn->src);
	} else if (insn->kind == INSN_LEA && insn->src != INSN_REG_NONE) {
		/* Short copies are done in place. */
		value = value_plus(trace_reg(trace, insn->src), insn->disp);
	} else if ((insn->kind != INSN_CALL && !trace_leaves(trace, insn)) ||
		   !is_arg(trace_arg(trace, 0), 1)) {
		return 0;
	}
	if (is_inside(value))
		paths_add(&access->paths, value);
	return 0;
}

static void read_accessor(const struct image *image, const char *name, bool pointer,
			  struct access *access)
{
	struct trace_start start = { .entry = true };
	struct symbol symbol;

	access->pointer = pointer;
	if (!name || image_symbols(image, &name, 1, &symbol) != 1)
		return;
	start.vaddr = start.low = symbol.vaddr;
	if (symbol.size)
		start.high = symbol.vaddr + symbol.size;
	else
		trace_bounds(image, symbol.vaddr, &start.low, &start.high);
	(void)trace_walk(image, &start, on_access, access);
}

bool keylog_pointer(const struct image *image, const char *name, struct value_of *ret_path)
{
	struct access access = { 0 };

	read_accessor(image, name, true, &access);
	if (access.paths.count != 1)
		return false;
	*ret_path = access.paths.path[0];
	return true;
}

/*
 * Where the client random is. What the function itself shows and what others do has to be the same;
 * either may be missing. NULL, or why it is not certain.
 */
static const char *random_path(const struct evidence *evidence, const struct paths *others,
			       struct value_of *ret_path, bool *ret_accessor)
{
	bool bound = true;

	*ret_accessor = false;
	if (evidence->passed.count == 1) {
		*ret_path = evidence->passed.path[0];
	} else if (evidence->passed.count > 1) {
		return "no secrets: the function that gets them uses several client randoms";
	} else if (!walked_path(evidence, ret_path, &bound)) {
		if (others->count != 1)
			return "no secrets: where the client random is could not be found";
		*ret_path = others->path[0];
		*ret_accessor = true;
	}
	if (!bound && !others->count)
		return "no secrets: what looks like the client random may be something else";
	if (others->count && !paths_have(others, *ret_path))
		return "no secrets: two functions disagree about where the client random is";
	return NULL;
}

/* The function by the votes of the labels, or by its name. */
static bool function_find(const struct tls_input *input, const struct keylog_recipe *recipe,
			  uint64_t *ret_vaddr, enum rung *ret_rung)
{
	struct label_vote vote;
	struct symbol symbol;
	uint64_t start, len;
	bool named;

	named = image_symbols(input->image, &recipe->function, 1, &symbol) == 1;
	labels_vote(input->labels, STRINGS_LABELS, ARG_LABEL, &vote);
	if (!(vote.labels & 1U << STRING_CLIENT_RANDOM) ||
	    __builtin_popcount(vote.labels) < VOTES_MIN ||
	    2 * __builtin_popcount(vote.others) > __builtin_popcount(vote.labels))
		vote.target = 0;
	/* In the middle of a function. Some linkers leave parts of the code out of the table. */
	if (vote.target && !image_function_at(input->image, vote.target, &start, &len) &&
	    start != vote.target)
		vote.target = 0;
	if (named && (!vote.target || symbol.rung == RUNG_USER || symbol.vaddr == vote.target)) {
		*ret_vaddr = symbol.vaddr;
		*ret_rung = symbol.rung;
		return true;
	}
	*ret_vaddr = vote.target;
	*ret_rung = RUNG_STRINGS;
	return vote.target != 0;
}

static void inner_site(uint16_t machine, const struct inner *inner, struct tls_secret *secret)
{
	if (inner->handle >= 0)
		secret->handle = trace_arg_place(machine, (unsigned int)inner->handle);
	secret->label = trace_arg_place(machine, (unsigned int)inner->label);
	secret->random = trace_arg_place(machine, (unsigned int)inner->random);
	secret->secret = trace_arg_place(machine, (unsigned int)inner->secret);
	secret->len = trace_arg_place(machine, (unsigned int)inner->len);
}

static const char *make_site(const struct tls_input *input, const struct keylog_recipe *recipe,
			     const struct value_of *random, uint64_t vaddr,
			     struct tls_secret *secret)
{
	uint16_t machine = image_machine(input->image);
	struct trace_start start = { .vaddr = vaddr, .entry = true };
	struct access access = { 0 };
	struct evidence evidence = { .member = recipe->member };
	struct value_of path;
	const char *doubt;
	bool accessor;

	trace_bounds(input->image, vaddr, &start.low, &start.high);
	if (trace_walk(input->image, &start, on_insn, &evidence))
		return "no secrets: the code of this machine is not understood";
	if (recipe->member && !evidence.has_member)
		return "no secrets: the function that gets them does not read the key log's "
		       "callback";
	if (inner_usable(&evidence) &&
	    !image_offset(input->image, evidence.inner.target, &secret->offset)) {
		inner_site(machine, &evidence.inner, secret);
		if (recipe->inner)
			secret->function = recipe->inner;
		return NULL;
	}
	read_accessor(input->image, recipe->copier, false, &access);
	read_accessor(input->image, recipe->pointer, true, &access);
	if (random)
		paths_add(&access.paths, *random);
	doubt = random_path(&evidence, &access.paths, &path, &accessor);
	if (doubt)
		return doubt;
	if (image_offset(input->image, vaddr, &secret->offset))
		return "no secrets: the function that gets them is not in the file";
	secret->handle = trace_arg_place(machine, ARG_HANDLE);
	secret->label = trace_arg_place(machine, ARG_LABEL);
	secret->secret = trace_arg_place(machine, ARG_SECRET);
	secret->len = trace_arg_place(machine, ARG_LEN);
	secret->random = value_place(path, secret->handle.reg);
	if (accessor)
		secret->rung = RUNG_ACCESSOR;
	return NULL;
}

bool keylog_add(const struct tls_input *input, const struct keylog_recipe *recipe,
		const struct value_of *random, struct tls_sites *sites)
{
	struct tls_secret secret = { .function = recipe->function };
	const char *doubt;
	uint64_t vaddr;

	if (sites->secret_count == TLS_SECRETS_MAX)
		return false;
	if (!function_find(input, recipe, &vaddr, &secret.rung)) {
		tls_problem(sites, "no secrets: the labels of the key log lead to no one function");
		return false;
	}
	doubt = make_site(input, recipe, random, vaddr, &secret);
	if (doubt) {
		tls_problem(sites, doubt);
		return false;
	}
	secret.len.width = recipe->len_width;
	sites->secret[sites->secret_count++] = secret;
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What leads from the jump to the call shows where everything is, from what registers and frame
 * hold at the jump. It has to be moves only, and nothing else may lead there.
 *
 * Compilers let the way on which a callback is known to be there go on differently from the one on
 * which there is none: then one jump skips several calls. So from a call the way is followed until
 * it meets the one without it, and what is called in between belongs to the same jump.
 */
#include "tls/guarded.h"

#include <elf.h>
#include <string.h>

#include "elf/trace.h"
#include "tls/guard.h"

/* Arguments of nss_keylog_int. */
enum { ARG_LABEL, ARG_HANDLE, ARG_RANDOM, ARG_RANDOM_LEN, ARG_SECRET, ARG_LEN };

#define VOTES_MIN    3
#define VOTES_13_MIN 4
#define SITES_MAX    16
#define STACK	     4 /* register of x86-64 */
/* A walk has done what it was for. */
#define DONE 2

#define BIT(label) (1U << ((label)-1))
#define LABELS_12  BIT(LABEL_CLIENT_RANDOM)
#define LABELS_13  (STRINGS_LABELS & ~LABELS_12)
/* Without all of them nothing can be decrypted. */
#define LABELS_NEEDED                                                                            \
	(BIT(LABEL_CLIENT_HANDSHAKE) | BIT(LABEL_SERVER_HANDSHAKE) | BIT(LABEL_CLIENT_TRAFFIC) | \
	 BIT(LABEL_SERVER_TRAFFIC))

struct search {
	const struct tls_input *input;
	const struct value_of *random;
	uint64_t function;
	size_t calls;
	uint64_t call[SITES_MAX];
	uint32_t labels[SITES_MAX]; /* of that call; bit n: string n */
	size_t count;
	struct guard guard[SITES_MAX]; /* that are understood */
	struct way way;
	size_t pos; /* how far it has been walked */
	struct tls_secret secret[TLS_SECRETS_MAX];
	size_t secret_count;
	bool refused;
	bool agreed; /* the client random is at path random */
};

/* The called function may change memory, but not its caller's frame. */
static bool place_take(const struct trace *trace, unsigned int arg, struct place *ret_place)
{
	*ret_place = trace_place(trace, trace_arg(trace, arg));
	return ret_place->width == 8 && (!trace_surprises(trace) || !ret_place->loads ||
					 (ret_place->loads == 1 && ret_place->reg == STACK));
}

static bool label_take(const struct search *search, const struct trace *trace,
		       struct tls_secret *secret)
{
	const struct labels *labels = search->input->labels;
	struct value_of label = trace_arg(trace, ARG_LABEL);
	size_t i;

	if (label.kind != VALUE_CONST)
		return place_take(trace, ARG_LABEL, &secret->label);
	for (i = 0; i < labels->place_count; i++) {
		const struct label_place *place = &labels->place[i];

		if (value_is(label, (int64_t)place->vaddr) && place->ends &&
		    place->label < STRING_KEY_EXPANSION)
			secret->fixed = (enum secret_label)(place->label + 1);
	}
	return secret->fixed != LABEL_NONE;
}

/*
 * Is the client random where the other function has it? Its address may have been made long before
 * the jump; then others have to show it.
 */
static bool random_agrees(struct search *search, const struct trace *trace)
{
	struct value_of value = trace_arg(trace, ARG_HANDLE);
	struct value_of random = trace_arg(trace, ARG_RANDOM);
	const struct value_of *path = search->random;
	uint8_t i;

	if (!path || random.kind != VALUE_PATH || random.arg != value.arg)
		return true;
	for (i = 0; i < path->loads; i++)
		value = value_behind(value_plus(value, path->off[i]), 8);
	search->agreed = true;
	return value_same(value_plus(value, path->num), random);
}

static bool secret_take(struct search *search, const struct trace *trace)
{
	struct tls_secret *secret = &search->secret[search->secret_count];

	if (search->secret_count == TLS_SECRETS_MAX)
		return false;
	*secret = (struct tls_secret) { .function = "ssl_log_secret (in its callers)",
					.rung = RUNG_STRINGS };
	search->secret_count++;
	/* What is stored on the way is not there yet at the jump. */
	return !trace_stored(trace, trace_arg(trace, ARG_SECRET), SECRET_LEN_MAX) &&
	       !trace_stored(trace, trace_arg(trace, ARG_RANDOM), SECRET_RANDOM_LEN) &&
	       value_is(trace_arg(trace, ARG_RANDOM_LEN), SECRET_RANDOM_LEN) &&
	       random_agrees(search, trace) && label_take(search, trace, secret) &&
	       place_take(trace, ARG_HANDLE, &secret->handle) &&
	       place_take(trace, ARG_RANDOM, &secret->random) &&
	       place_take(trace, ARG_SECRET, &secret->secret) &&
	       place_take(trace, ARG_LEN, &secret->len);
}

/* Only the way that was found is walked. */
static int on_way(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct search *search = arg;

	if (search->pos == search->way.count || search->way.vaddr[search->pos] != vaddr)
		return TRACE_CUT;
	search->pos++;
	if (insn->kind != INSN_CALL || secret_take(search, trace))
		return 0;
	search->refused = true;
	return DONE;
}

static bool way_walk(struct search *search, const struct code *code, const struct guard *guard)
{
	struct trace_start start = {
		.vaddr = guard->with, .low = code->low, .high = code->high, .follow = ~(1U << STACK)
	};
	size_t i = search->secret_count;

	search->pos = 0;
	search->refused = false;
	(void)trace_walk(search->input->image, &start, on_way, search);
	if (search->refused || search->pos != search->way.count)
		return false;
	for (; i < search->secret_count; i++) {
		if (image_offset(search->input->image, guard->jump, &search->secret[i].offset))
			return false;
	}
	return true;
}

/* Is each question for the callback one whose answer is understood? */
static bool guards_known(const struct search *search, const struct code *code)
{
	int32_t slot = search->guard[0].slot;
	uint64_t vaddr = code->low;
	struct guard guard;
	size_t i;

	while (guard_next(code, &vaddr, &guard)) {
		for (i = 0; i < search->count && search->guard[i].jump != guard.jump; i++)
			;
		if (guard.slot == slot && i == search->count)
			return false;
	}
	return true;
}

static bool site_read(struct search *search, const struct code *code, uint64_t call)
{
	const struct image *image = search->input->image;
	struct guard *guard = &search->guard[search->count];

	if (!guard_find(image, code, call, guard) ||
	    (search->count && guard->slot != search->guard[0].slot) ||
	    !way_find(code, guard, search->function, &search->way) ||
	    !way_walk(search, code, guard))
		return false;
	search->count++;
	return true;
}

/* The function that is called with a callback only: is that what it calls? */
static int on_function(void *arg, const struct trace *trace, uint64_t vaddr,
		       const struct insn *insn)
{
	const struct search *search = arg;
	struct value_of target = trace_reg(trace, insn->src);

	(void)vaddr;
	if (insn->kind != INSN_CALL_INDIRECT && insn->kind != INSN_JMP_INDIRECT)
		return 0;
	if (insn->memory)
		target = value_behind(trace_address(trace, insn), 8);
	return target.kind == VALUE_PATH && target.arg == ARG_HANDLE && target.loads &&
			       target.off[target.loads - 1] == search->guard[0].slot
		       ? DONE
		       : 0;
}

static bool calls_slot(struct search *search)
{
	struct trace_start start = { .vaddr = search->function, .entry = true };

	trace_bounds(search->input->image, search->function, &start.low, &start.high);
	return trace_walk(search->input->image, &start, on_function, search) == DONE;
}

static bool call_read(struct search *search, uint64_t call, bool again)
{
	struct code code;
	bool good;

	good = code_load(search->input->image, call, &code) &&
	       (again ? guards_known(search, &code) : site_read(search, &code, call));
	code_done(&code);
	return good;
}

/* All calls for TLS 1.3, or those for others. */
static bool calls_read(struct search *search, bool tls13, uint32_t *ret_labels)
{
	uint32_t labels = 0;
	size_t i, n;

	for (n = 0; n < 2 * search->calls; n++) {
		i = n % search->calls;
		if (!(search->labels[i] & LABELS_13) == tls13)
			continue;
		if (!call_read(search, search->call[i], n >= search->calls))
			return false;
		labels |= search->labels[i];
	}
	if (!labels || !calls_slot(search) || (search->random && !search->agreed))
		return false;
	*ret_labels |= labels;
	return true;
}

/* The function by the votes of the labels. */
static bool function_find(struct search *search)
{
	struct label_vote vote;
	uint64_t start, len;
	uint32_t labels13;

	labels_vote(search->input->labels, STRINGS_LABELS, ARG_LABEL, &vote);
	labels13 = vote.labels & LABELS_13;
	if (!((vote.labels & LABELS_12) && __builtin_popcount(vote.labels) >= VOTES_MIN) &&
	    __builtin_popcount(labels13) < VOTES_13_MIN)
		return false;
	if (2 * __builtin_popcount(vote.others) > __builtin_popcount(vote.labels) ||
	    image_function_at(search->input->image, vote.target, &start, &len) ||
	    start != vote.target)
		return false;
	search->function = vote.target;
	return true;
}

/* Its calls, each once. */
static bool calls_list(struct search *search)
{
	const struct labels *labels = search->input->labels;
	size_t i, k;

	for (i = 0; i < labels->call_count; i++) {
		const struct label_call *call = &labels->call[i];

		if (call->target != search->function || call->arg != ARG_LABEL ||
		    !(1U << call->label & STRINGS_LABELS))
			continue;
		for (k = 0; k < search->calls && search->call[k] != call->vaddr; k++)
			;
		if (k == SITES_MAX || call->tail)
			return false;
		if (k == search->calls)
			search->call[search->calls++] = call->vaddr;
		search->labels[k] |= 1U << call->label;
	}
	return true;
}

bool guarded_add(const struct tls_input *input, const struct value_of *random,
		 struct tls_sites *sites, uint32_t *ret_labels)
{
	struct search search = { .input = input, .random = random };
	uint32_t labels = 0, seen = 0;
	size_t i;

	if (image_machine(input->image) != EM_X86_64 || !function_find(&search) ||
	    !calls_list(&search))
		return false;
	if (calls_read(&search, true, &labels) && (labels & LABELS_NEEDED) == LABELS_NEEDED)
		seen = labels;
	else
		search.count = search.secret_count = 0;
	i = search.secret_count;
	if (!random && !calls_read(&search, false, &seen))
		search.secret_count = i;
	for (i = 0; i < search.secret_count && sites->secret_count < TLS_SECRETS_MAX; i++)
		sites->secret[sites->secret_count++] = search.secret[i];
	*ret_labels = seen;
	return true;
}

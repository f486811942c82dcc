/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GnuTLS. What shows where a session has its callback is exported from 3.6.13 on.
 *
 * All secrets pass _gnutls_call_keylog_func. Where the compiler has copied it into its callers, they
 * pass the calls of the session's callback there; every session has one. The master secret of TLS up
 * to 1.2 passes there in full handshakes only; in all of them it passes the call of _gnutls_prf_raw
 * that makes keys of it, together with both randoms.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "elf/insn.h"
#include "elf/trace.h"
#include "tls/keylog.h"
#include "tls/library.h"

enum function {
	FREE,
	HANDSHAKE,
	RECIPES_MAX,
	/* Looked up, but no sites themselves. */
	RANDOM = RECIPES_MAX,
	PRF,
	FUNCTIONS_MAX,
};

static const struct tls_recipe recipes[RECIPES_MAX] = {
	[FREE] = {
		.function = "gnutls_deinit",
		.role = ROLE_FREE,
		.costs = "connections seem to last until their process ends",
	},
	[HANDSHAKE] = {
		.function = "gnutls_handshake",
		.role = ROLE_HANDSHAKE,
		.costs = "connections have no addresses",
	},
};

#define GET_RANDOM   "gnutls_session_get_random"
#define GET_MASTER   "gnutls_session_get_master_secret"
#define GET_CALLBACK "gnutls_session_get_keylog_function"
#define PRF_RAW	     "_gnutls_prf_raw"

/* What an exported function f(session) returns from the session. */
struct member {
	struct value_of value;
	bool found;
	bool differs;
};

static int on_getter(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct member *member = arg;
	struct value_of value;

	(void)vaddr;
	if (insn->kind != INSN_LOAD || insn->width != 8)
		return 0;
	value = trace_address(trace, insn);
	if (value.kind != VALUE_PATH || value.arg || value.loads || value.width != 8)
		return 0;
	member->differs |= member->found && member->value.num != value.num;
	member->value = value;
	member->found = true;
	return 0;
}

/* Where in the session the key log's callback is. */
static bool callback_member(const struct image *image, int64_t *ret_off)
{
	struct trace_start start = { .entry = true };
	const char *name = GET_CALLBACK;
	struct member member = { 0 };
	struct symbol symbol;

	if (image_symbols(image, &name, 1, &symbol) != 1)
		return false;
	start.vaddr = start.low = symbol.vaddr;
	start.high = symbol.vaddr + symbol.size;
	if (trace_walk(image, &start, on_getter, &member) || !member.found || member.differs)
		return false;
	*ret_off = member.value.num;
	return true;
}

/*
 * Calls of the session's callback, callback(session, label, datum): there are six, under conditions.
 * gnutls_datum_t is a pointer and behind it an unsigned int.
 */
#define CALLBACKS_MIN 5
#define DATUM_SIZE    8
/* Instructions that are looked at for them, in all functions. */
#define CALLBACK_STEPS_MAX (1U << 20)

struct callbacks {
	int64_t member;
	uint64_t vaddr[TLS_SECRETS_MAX];
	size_t count;
	bool overflow;
};

/* Is the called address what the session, argument 0 of the call, has in that member? */
static bool calls_member(const struct trace *trace, const struct insn *insn, int64_t member)
{
	struct value_of session = trace_arg(trace, 0), callee;
	unsigned int last = session.loads;

	if (insn->kind != INSN_CALL_INDIRECT || insn->src == INSN_REG_NONE)
		return false;
	callee = trace_reg(trace, insn->src);
	if (session.kind != VALUE_PATH || session.num || callee.kind != VALUE_PATH || callee.num ||
	    callee.arg != session.arg || callee.loads != last + 1 || callee.width != 8)
		return false;
	return callee.off[last] == member &&
	       !memcmp(callee.off, session.off, last * sizeof(callee.off[0]));
}

static int on_callback(void *arg, const struct trace *trace, uint64_t vaddr,
		       const struct insn *insn)
{
	struct callbacks *callbacks = arg;
	size_t i;

	if (!calls_member(trace, insn, callbacks->member) ||
	    trace_arg(trace, 2).kind != VALUE_FRAME)
		return 0;
	for (i = 0; i < callbacks->count; i++) {
		if (callbacks->vaddr[i] == vaddr)
			return 0;
	}
	if (callbacks->count == TLS_SECRETS_MAX)
		callbacks->overflow = true;
	else
		callbacks->vaddr[callbacks->count++] = vaddr;
	return 0;
}

/* Looks through all functions that refer to labels. */
static void callbacks_find(const struct tls_input *input, struct callbacks *callbacks)
{
	size_t i, steps = CALLBACK_STEPS_MAX;
	uint64_t last = 0, len;

	for (i = 0; i < input->labels->ref_count && steps; i++) {
		const struct label_ref *ref = &input->labels->ref[i];
		struct trace_start start = { .entry = true, .steps = &steps };

		/* References come in the order of their addresses. */
		if (!(STRINGS_LABELS & 1U << ref->label) ||
		    image_function_at(input->image, ref->vaddr, &start.low, &len) ||
		    start.low == last)
			continue;
		last = start.vaddr = start.low;
		start.high = start.low + len;
		(void)trace_walk(input->image, &start, on_callback, callbacks);
	}
}

/* Labels that are referred to in functions with such calls. */
static uint32_t callbacks_labels(const struct tls_input *input, const struct callbacks *callbacks)
{
	uint64_t start, len;
	uint32_t labels = 0;
	size_t i, k;

	for (i = 0; i < input->labels->ref_count; i++) {
		const struct label_ref *ref = &input->labels->ref[i];

		if (image_function_at(input->image, ref->vaddr, &start, &len))
			continue;
		for (k = 0; k < callbacks->count; k++) {
			if (callbacks->vaddr[k] - start < len)
				labels |= 1U << ref->label;
		}
	}
	return labels & STRINGS_LABELS;
}

static bool callbacks_add(const struct tls_input *input, int64_t member,
			  const struct value_of *random, struct tls_sites *sites)
{
	uint16_t machine = image_machine(input->image);
	struct callbacks callbacks = { .member = member };
	size_t i;

	callbacks_find(input, &callbacks);
	if (callbacks.overflow || callbacks.count < CALLBACKS_MIN ||
	    sites->secret_count + callbacks.count > TLS_SECRETS_MAX ||
	    callbacks_labels(input, &callbacks) != STRINGS_LABELS)
		return false;
	for (i = 0; i < callbacks.count; i++) {
		struct tls_secret *secret = &sites->secret[sites->secret_count + i];
		struct place datum = trace_arg_place(machine, 2);

		*secret = (struct tls_secret) {
			.function = "call of the key log's callback",
			.rung = RUNG_STRINGS,
			.handle = trace_arg_place(machine, 0),
			.label = trace_arg_place(machine, 1),
			.secret = place_memory(datum.reg, 0, 8),
			.len = place_memory(datum.reg, DATUM_SIZE, 4),
		};
		secret->random = value_place(*random, secret->handle.reg);
		if (image_offset(input->image, callbacks.vaddr[i], &secret->offset))
			return false;
	}
	sites->secret_count += callbacks.count;
	return true;
}

static void keylog_sites(const struct tls_input *input, struct tls_sites *sites)
{
	struct keylog_recipe recipe = {
		.function = "_gnutls_call_keylog_func",
		.pointer = GET_RANDOM,
		.len_width = 4,
	};
	struct value_of random;
	struct tls_sites doubt = { 0 };

	if (!callback_member(input->image, &recipe.member)) {
		tls_problem(sites, "no secrets of TLS 1.3: where a session has its key log's "
				   "callback could not be found");
		return;
	}
	if (!keylog_pointer(input->image, GET_RANDOM, &random)) {
		tls_problem(sites, "no secrets of TLS 1.3: where a session has the client random "
				   "could not be found");
		return;
	}
	if (keylog_add(input, &recipe, NULL, &doubt))
		sites->secret[sites->secret_count++] = doubt.secret[0];
	else if (!callbacks_add(input, recipe.member, &random, sites))
		tls_problem(sites, "no secrets of TLS 1.3: neither the function of the key log nor "
				   "all calls of its callback could be found");
}

/*
 * _gnutls_prf_raw(mac, master_size, master, label_size, label, seed_size, seed, ...). The seed for
 * keys is the server's random, then the client's (RFC 5246, section 6.3).
 */
enum { PRF_MASTER_SIZE = 1, PRF_MASTER, PRF_LABEL_SIZE, PRF_LABEL, PRF_SEED_SIZE, PRF_SEED };
#define LABEL_LEN   13 /* "key expansion" */
#define MASTER_SIZE 48
#define RANDOM_SIZE SECRET_RANDOM_LEN

struct prf {
	uint64_t label;
	uint64_t vaddr; /* of the call; 0: none */
	uint64_t target;
	struct value_of master;
	bool differs;
};

static bool fits_prf(const struct trace *trace)
{
	return value_is(trace_arg(trace, PRF_MASTER_SIZE), MASTER_SIZE) &&
	       value_is(trace_arg(trace, PRF_LABEL_SIZE), LABEL_LEN) &&
	       value_is(trace_arg(trace, PRF_SEED_SIZE), 2 * RANDOM_SIZE) &&
	       trace_arg(trace, PRF_SEED).kind == VALUE_FRAME;
}

static int on_prf(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct prf *prf = arg;
	struct value_of master;

	if ((insn->kind != INSN_CALL && insn->kind != INSN_CALL_INDIRECT) ||
	    !value_is(trace_arg(trace, PRF_LABEL), (int64_t)prf->label))
		return 0;
	if (!fits_prf(trace) || insn->kind != INSN_CALL || (prf->vaddr && prf->vaddr != vaddr)) {
		prf->differs = true;
		return 0;
	}
	master = trace_arg(trace, PRF_MASTER);
	if (prf->vaddr && !value_same(prf->master, master))
		master = (struct value_of) { 0 };
	prf->master = master;
	prf->vaddr = vaddr;
	prf->target = insn->target;
	return 0;
}

/* Is it _gnutls_prf_raw, or the stub that leads there? Of another machine's stubs nothing is known. */
static bool is_prf(const struct image *image, uint64_t target, const struct symbol *symbol)
{
	const char *const names[] = { PRF_RAW, NULL };
	uint64_t slot[2];
	struct insn insn;
	const uint8_t *code;
	size_t len, pos = 0;

	if (target == symbol->vaddr || image_machine(image) != EM_X86_64)
		return true;
	code = image_code_part(image, target, 4 * INSN_LEN_MAX, &len);
	do {
		if (!code || insn_decode_x86(code + pos, len - pos, target + pos, &insn))
			return false;
		pos += insn.len;
	} while (insn.kind == INSN_NOP);
	return insn.kind == INSN_JMP_INDIRECT && insn.base == INSN_REG_PC &&
	       image_imports(image, names, slot, 1) == 1 && insn.target == slot[0];
}

/* The one reference to the label has to lead to the one call. */
static bool prf_find(const struct tls_input *input, const struct symbol *symbol, struct prf *prf)
{
	struct trace_start start = { .entry = true };
	const struct label_ref *found = NULL;
	uint64_t len;
	size_t i;

	for (i = 0; i < input->labels->ref_count; i++) {
		const struct label_ref *ref = &input->labels->ref[i];

		if (ref->label != STRING_KEY_EXPANSION)
			continue;
		if (found)
			return false;
		found = ref;
	}
	if (!found || image_function_at(input->image, found->vaddr, &start.low, &len))
		return false;
	prf->label = found->target;
	start.vaddr = start.low;
	start.high = start.low + len;
	if (trace_walk(input->image, &start, on_prf, prf) || !prf->vaddr || prf->differs)
		return false;
	return is_prf(input->image, prf->target, symbol);
}

/*
 * Where the master secret is a part of the session, as GET_MASTER says, the session is found from
 * it: so this secret and those of the key log belong to one connection.
 */
static struct place prf_handle(const struct image *image, const struct prf *prf)
{
	struct place handle = trace_arg_place(image_machine(image), PRF_MASTER);
	struct value_of master;

	if (!keylog_pointer(image, GET_MASTER, &master) || !value_same(master, prf->master))
		return (struct place) { 0 };
	/* Not INT32_MIN, which has no opposite. */
	if (master.num <= INT32_MIN)
		return (struct place) { 0 };
	handle.add = -(int32_t)master.num;
	return handle;
}

static void prf_add(const struct tls_input *input, const struct symbol *symbol,
		    struct tls_sites *sites)
{
	uint16_t machine = image_machine(input->image);
	struct tls_secret secret = {
		.function = "call of " PRF_RAW " for keys",
		.rung = RUNG_STRINGS,
		.fixed = LABEL_CLIENT_RANDOM,
		.random = trace_arg_place(machine, PRF_SEED),
		.secret = trace_arg_place(machine, PRF_MASTER),
		.len = trace_arg_place(machine, PRF_MASTER_SIZE),
	};
	struct prf prf = { 0 };

	if (symbol->rung == RUNG_NONE || sites->secret_count == TLS_SECRETS_MAX ||
	    !prf_find(input, symbol, &prf) ||
	    image_offset(input->image, prf.vaddr, &secret.offset)) {
		tls_problem(sites,
			    "no secrets of TLS 1.2 where a session is resumed: the call that "
			    "makes keys of them could not be found");
		return;
	}
	secret.random.add = RANDOM_SIZE;
	secret.handle = prf_handle(input->image, &prf);
	sites->secret[sites->secret_count++] = secret;
}

static void site_add(const struct image *image, const struct symbol *symbol,
		     const struct tls_recipe *recipe, struct tls_sites *sites)
{
	struct tls_site site = {
		.recipe = recipe,
		.function = recipe->function,
		.rung = symbol->rung,
	};

	if (symbol->rung == RUNG_NONE || image_offset(image, symbol->vaddr, &site.offset))
		sites->missing[sites->missing_count++] = recipe;
	else
		sites->site[sites->count++] = site;
}

static int gnutls_resolve(const struct tls_input *input, struct tls_sites *sites)
{
	const char *names[FUNCTIONS_MAX] = { [RANDOM] = GET_RANDOM, [PRF] = PRF_RAW };
	struct symbol symbols[FUNCTIONS_MAX];
	size_t i;
	int found;

	for (i = 0; i < RECIPES_MAX; i++)
		names[i] = recipes[i].function;
	found = image_symbols(input->image, names, FUNCTIONS_MAX, symbols);
	if (found < 0)
		return found;
	if (symbols[RANDOM].rung == RUNG_NONE || symbols[FREE].rung == RUNG_NONE)
		return -ENOENT;
	sites->recognised = "by its symbols " GET_RANDOM " and gnutls_deinit";
	/* "Enabled GnuTLS 3.7.9 logging..." */
	if (tls_version(input, STRING_GNUTLS, sites))
		sites->version[strcspn(sites->version, " ")] = '\0';
	keylog_sites(input, sites);
	prf_add(input, &symbols[PRF], sites);
	for (i = 0; i < RECIPES_MAX; i++)
		site_add(input->image, &symbols[i], &recipes[i], sites);
	return 0;
}

static const char *const sonames[] = { "libgnutls.so", "libgnutls-", NULL };

const struct tls_library gnutls = {
	.name = "gnutls",
	.soname = sonames,
	.resolve = gnutls_resolve,
};

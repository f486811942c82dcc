/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NSS, the library of Firefox. Distributions build it without a key log, so no function gets both
 * the label and the secret. Two files have a half each:
 *
 * libssl3.so derives each secret of TLS 1.3 in one function that gets the connection and the name
 * that a key log would have for the secret. It sees a handle of the secret only.
 *
 * libsoftokn3.so, the module that it asks, has the bytes: C_DeriveKey stores them as the attribute
 * CKA_VALUE of a new object, before that function returns, in the same thread, and once.
 *
 * The master secret of TLS up to 1.2 and both randoms are together in libsoftokn3.so, where keys are
 * made of them.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "elf/insn.h"
#include "elf/trace.h"
#include "tls/library.h"
#include "tls/randoms.h"

#define EXPORTER "SSL_ExportKeyingMaterial"
#define TABLE	 "NSC_GetFunctionList"

/* Of the seven labels of TLS 1.3. */
#define VOTES_MIN     5
#define LABELS_TLS1_3 (STRINGS_LABELS & ~(1U << STRING_CLIENT_RANDOM))

/* tls13_HkdfExpandLabel...(connection, base, suffix, hash, name, ...) */
enum { DERIVE_HANDLE, DERIVE_NAME = 4 };

static bool is_start(const struct image *image, uint64_t vaddr)
{
	uint64_t start, len;

	return !image_function_at(image, vaddr, &start, &len) && start == vaddr;
}

static void derive_add(const struct tls_input *input, const struct symbol *exporter,
		       struct tls_sites *sites)
{
	uint16_t machine = image_machine(input->image);
	struct tls_secret secret = {
		.function = "derivation of a secret (its bytes come out of libsoftokn3.so)",
		.rung = RUNG_STRINGS,
		.step = STEP_BEGIN,
		.handle = trace_arg_place(machine, DERIVE_HANDLE),
		.label = trace_arg_place(machine, DERIVE_NAME),
		.random = trace_arg_place(machine, DERIVE_HANDLE),
	};
	struct label_vote vote;

	labels_vote(input->labels, LABELS_TLS1_3, DERIVE_NAME, &vote);
	if (__builtin_popcount(vote.labels) < VOTES_MIN || __builtin_popcount(vote.others) > 1 ||
	    !is_start(input->image, vote.target) ||
	    image_offset(input->image, vote.target, &secret.offset)) {
		tls_problem(sites, "no secrets of TLS 1.3: the labels of the key log lead to no "
				   "one function");
		return;
	}
	if (!randoms_find(input->image, exporter, &secret.random.add)) {
		tls_problem(sites, "no secrets of TLS 1.3: where a connection has the client "
				   "random could not be found in " EXPORTER);
		return;
	}
	sites->secret[sites->secret_count++] = secret;
}

/* PKCS #11, CK_FUNCTION_LIST: a version, then pointers in this order. */
#define ENTRIES_OFF		8
#define ENTRIES			68
#define ENTRY_GET_FUNCTION_LIST 3
#define ENTRY_DERIVE_KEY	62

struct table {
	uint64_t vaddr;
	bool differs;
};

static int on_table(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct value_of address = trace_address(trace, insn), value;
	struct table *table = arg;

	(void)vaddr;
	if (insn->kind != INSN_STORE || insn->width != 8 || address.kind != VALUE_PATH ||
	    address.arg || address.loads || address.num)
		return 0;
	value = trace_reg(trace, insn->src);
	if (value.kind != VALUE_CONST || (table->vaddr && table->vaddr != (uint64_t)value.num))
		table->differs = true;
	table->vaddr = (uint64_t)value.num;
	return 0;
}

/* The function list that NSC_GetFunctionList gives. False when it does not look like one. */
static bool derive_key_find(const struct image *image, const struct symbol *getter,
			    uint64_t *ret_vaddr)
{
	struct trace_start start = { .vaddr = getter->vaddr, .entry = true };
	struct table table = { 0 };
	uint64_t entry[ENTRIES];
	size_t i;

	trace_bounds(image, getter->vaddr, &start.low, &start.high);
	if (trace_walk(image, &start, on_table, &table) || !table.vaddr || table.differs)
		return false;
	for (i = 0; i < ENTRIES; i++) {
		if (image_pointer(image, table.vaddr + ENTRIES_OFF + 8 * i, &entry[i]))
			return false;
	}
	*ret_vaddr = entry[ENTRY_DERIVE_KEY];
	return entry[ENTRY_GET_FUNCTION_LIST] == getter->vaddr &&
	       is_start(image, entry[ENTRY_DERIVE_KEY]);
}

/* sftk_forceAttribute(object, type, value, size) */
enum { FORCE_TYPE = 1, FORCE_VALUE, FORCE_SIZE };
#define CKA_CLASS	  0x00
#define CKA_VALUE	  0x11
#define CLASS_SIZE	  8 /* of a CK_OBJECT_CLASS */
#define FORCED_VALUES_MIN 2
#define FORCE_TARGETS_MAX 256
#define FORCE_CALLS_MAX	  64

struct force_target {
	uint64_t vaddr;
	uint64_t value_call[FORCED_VALUES_MIN]; /* that set CKA_VALUE */
	size_t values;
	bool sets_class;
};

struct force {
	struct force_target target[FORCE_TARGETS_MAX];
	size_t count;
};

static struct force_target *target_get(struct force *force, uint64_t vaddr)
{
	size_t i;

	for (i = 0; i < force->count; i++) {
		if (force->target[i].vaddr == vaddr)
			return &force->target[i];
	}
	if (force->count == FORCE_TARGETS_MAX)
		return NULL;
	force->target[force->count] = (struct force_target) { .vaddr = vaddr };
	return &force->target[force->count++];
}

static int on_force(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct value_of type = trace_arg(trace, FORCE_TYPE);
	struct force_target *target;

	if (insn->kind != INSN_CALL || type.kind != VALUE_CONST)
		return 0;
	target = target_get(arg, insn->target);
	if (!target)
		return -E2BIG;
	if (type.num == CKA_CLASS && value_is(trace_arg(trace, FORCE_SIZE), CLASS_SIZE) &&
	    trace_arg(trace, FORCE_VALUE).kind == VALUE_FRAME)
		target->sets_class = true;
	if (type.num == CKA_VALUE && target->values < FORCED_VALUES_MIN &&
	    (!target->values || target->value_call[0] != vaddr))
		target->value_call[target->values++] = vaddr;
	return 0;
}

/* The one function that C_DeriveKey sets the new object's class and values with. */
static bool force_find(const struct image *image, uint64_t derive_key, uint64_t *ret_vaddr)
{
	struct trace_start start = { .vaddr = derive_key, .entry = true };
	struct force force = { 0 };
	uint64_t found = 0;
	size_t i;

	trace_bounds(image, derive_key, &start.low, &start.high);
	if (trace_walk(image, &start, on_force, &force))
		return false;
	for (i = 0; i < force.count; i++) {
		const struct force_target *target = &force.target[i];

		if (!target->sets_class || target->values < FORCED_VALUES_MIN)
			continue;
		if (found)
			return false;
		found = target->vaddr;
	}
	*ret_vaddr = found;
	return found && is_start(image, found);
}

static void force_add(const struct tls_input *input, const struct symbol *getter,
		      struct tls_sites *sites)
{
	uint16_t machine = image_machine(input->image);
	struct tls_secret secret = {
		.function = "sftk_forceAttribute",
		.rung = RUNG_CODE,
		.step = STEP_END,
		.check = trace_arg_place(machine, FORCE_TYPE),
		.expect = CKA_VALUE,
		.secret = trace_arg_place(machine, FORCE_VALUE),
		.len = trace_arg_place(machine, FORCE_SIZE),
	};
	uint64_t derive_key, vaddr;

	secret.check.width = 4;
	secret.len.width = 4;
	if (!derive_key_find(input->image, getter, &derive_key)) {
		tls_problem(sites, "no secrets of TLS 1.3: what " TABLE " returns does not look "
				   "like a list of functions");
		return;
	}
	if (!force_find(input->image, derive_key, &vaddr) ||
	    image_offset(input->image, vaddr, &secret.offset)) {
		tls_problem(sites, "no secrets of TLS 1.3: how C_DeriveKey stores what it has "
				   "derived is not understood");
		return;
	}
	sites->secret[sites->secret_count++] = secret;
}

/*
 * TLS_P_hash(hash, secret, label, seed, ...) in TLS 1.2, TLS_PRF(secret, label, seed, ...) before.
 * Secret and seed are SECItem *: type, pointer, unsigned int. The seed for keys is the server's
 * random, then the client's.
 */
#define ITEM_DATA   8
#define ITEM_LEN    16
#define SEED_LEN    (2 * SECRET_RANDOM_LEN)
#define LABEL_FIRST 1
#define LABEL_LAST  2

/* The call that gets the label as that argument; 0: none, or not one for each reference. */
static uint64_t expansion_find(const struct labels *labels, uint8_t arg)
{
	const struct label_call *found = NULL;
	size_t i;

	for (i = 0; i < labels->call_count; i++) {
		const struct label_call *call = &labels->call[i];

		if (call->label != STRING_KEY_EXPANSION || call->arg != arg)
			continue;
		if (found || !call->target || call->tail)
			return 0;
		found = call;
	}
	return found ? found->vaddr : 0;
}

static size_t expansion_count(const struct labels *labels, bool calls)
{
	size_t i, count = 0;

	for (i = 0; i < (calls ? labels->call_count : labels->ref_count); i++)
		count += (calls ? labels->call[i].label : labels->ref[i].label) ==
			 STRING_KEY_EXPANSION;
	return count;
}

static void expansions_add(const struct tls_input *input, struct tls_sites *sites)
{
	uint16_t machine = image_machine(input->image);
	unsigned int arg;

	for (arg = LABEL_FIRST; arg <= LABEL_LAST; arg++) {
		uint8_t item = trace_arg_place(machine, arg - 1).reg;
		uint8_t seed = trace_arg_place(machine, arg + 1).reg;
		uint64_t vaddr = expansion_find(input->labels, (uint8_t)arg);
		struct tls_secret secret = {
			.function = arg == LABEL_FIRST ? "call of TLS_PRF for keys"
						       : "call of TLS_P_hash for keys",
			.rung = RUNG_STRINGS,
			.fixed = LABEL_CLIENT_RANDOM,
			.check = place_memory(seed, ITEM_LEN, 4),
			.expect = SEED_LEN,
			.random = place_memory(seed, ITEM_DATA, 8),
			.secret = place_memory(item, ITEM_DATA, 8),
			.len = place_memory(item, ITEM_LEN, 4),
		};

		secret.random.add = SECRET_RANDOM_LEN;
		/* One reference leads to each, and nowhere else. */
		if (!vaddr || expansion_count(input->labels, false) != 2 ||
		    expansion_count(input->labels, true) != 2 ||
		    image_offset(input->image, vaddr, &secret.offset)) {
			tls_problem(sites, "no secrets of TLS 1.2: the calls that make keys of "
					   "them could not be found");
			return;
		}
		sites->secret[sites->secret_count + arg - LABEL_FIRST] = secret;
	}
	sites->secret_count += 2;
}

static int nss_resolve(const struct tls_input *input, struct tls_sites *sites)
{
	const char *const names[] = { EXPORTER, TABLE };
	struct symbol symbols[2];
	int found;

	found = image_symbols(input->image, names, 2, symbols);
	if (found <= 0)
		return found ? found : -ENOENT;
	sites->recognised = "by its symbol " TABLE;
	/* "Version: NSS 3.87.1 Basic ECC" */
	if (tls_version(input, STRING_NSS, sites))
		sites->version[strcspn(sites->version, " ")] = '\0';
	if (symbols[1].rung != RUNG_NONE) {
		force_add(input, &symbols[1], sites);
		expansions_add(input, sites);
	}
	if (symbols[0].rung != RUNG_NONE) {
		sites->recognised = "by its symbol " EXPORTER;
		derive_add(input, &symbols[0], sites);
	}
	return 0;
}

static const char *const sonames[] = { "libssl3.so", "libsoftokn3.so", NULL };
static const char *const companions[] = { "libsoftokn3.so", "nss/libsoftokn3.so", NULL };

const struct tls_library nss = {
	.name = "nss",
	.soname = sonames,
	.companions = companions,
	.resolve = nss_resolve,
};

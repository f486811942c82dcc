/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rustls hands secrets to an object of the program, whose type it does not know: KeyLog::log(self,
 * label, client random, secret), of which all but self are slices, pointer and length. So there is
 * no function to probe, but the calls.
 *
 * Secrets of TLS 1.2 are logged whether somebody listens or not: the probe is on the call. For
 * those of TLS 1.3 see rustls13.c.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elf/leadin.h"
#include "elf/pointers.h"
#include "elf/trace.h"
#include "tls/rustls.h"

/* Arguments of KeyLog::log. */
enum { ARG_LABEL = 1, ARG_LABEL_LEN, ARG_RANDOM, ARG_RANDOM_LEN, ARG_SECRET, ARG_LEN };

#define LABEL_LEN  13 /* "CLIENT_RANDOM" */
#define MASTER_LEN 48
#define STEPS_MAX  256
/* For the whole file, and what a reference costs at least: where to begin is looked for. */
#define STEPS_ALL (1U << 18)
#define STEPS_REF 1024
/* A walk has done what it was for. */
#define DONE 2
/* Addresses of labels; more of them are a trap. */
#define STRINGS_EACH 128

const enum secret_label rustls_labels[RUSTLS_LABELS] = {
	LABEL_CLIENT_EARLY,   LABEL_CLIENT_HANDSHAKE, LABEL_SERVER_HANDSHAKE,
	LABEL_CLIENT_TRAFFIC, LABEL_SERVER_TRAFFIC,   LABEL_EXPORTER,
};

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool is_label(const struct labels *labels, uint64_t vaddr, enum secret_label label)
{
	size_t i;

	for (i = 0; i < labels->place_count; i++) {
		if (labels->place[i].vaddr == vaddr && labels->place[i].label == label - 1)
			return true;
	}
	return false;
}

/* Does the pointer at vaddr lead to that label? */
static bool points(const struct labels *labels, const struct pointers *pointers, uint64_t vaddr,
		   enum secret_label label)
{
	size_t i;

	for (i = 0; i < pointers->count; i++) {
		if (pointers->item[i].vaddr == vaddr &&
		    is_label(labels, pointers->item[i].target, label))
			return true;
	}
	return false;
}

int rustls_tables(const struct image *image, struct labels *labels)
{
	uint64_t targets[STRINGS_EACH], vaddr;
	size_t count = 0, i, k, places = labels->place_count;
	struct pointers pointers;
	int r;

	if (image_machine(image) != EM_X86_64 ||
	    !(labels->found & 1U << (LABEL_CLIENT_HANDSHAKE - 1)))
		return 0;
	for (i = 0; i < places && count < STRINGS_EACH; i++) {
		if (labels->place[i].label < STRING_KEY_EXPANSION)
			targets[count++] = labels->place[i].vaddr;
	}
	qsort(targets, count, sizeof(*targets), compare);
	r = pointers_find(image, targets, count, &pointers);
	for (i = 0; i < pointers.count && !r; i++) {
		vaddr = pointers.item[i].vaddr;
		for (k = 0; k < RUSTLS_LABELS; k++) {
			if (!points(labels, &pointers, vaddr + 8 * k, rustls_labels[k]))
				break;
		}
		for (count = 0; k == RUSTLS_LABELS && count <= RUSTLS_BEFORE && !r; count++)
			r = labels_add(labels, vaddr - 8 * count, STRING_RUSTLS_TABLE);
	}
	return r;
}

void rustls_add(const struct image *image, uint64_t vaddr, struct tls_secret secret,
		struct tls_sites *sites)
{
	size_t i;

	if (image_offset(image, vaddr, &secret.offset))
		return;
	for (i = 0; i < sites->secret_count; i++) {
		if (sites->secret[i].offset == secret.offset)
			return;
	}
	if (sites->secret_count == TLS_SECRETS_MAX) {
		tls_problem(sites, "some secrets are not seen: rustls is in this file very often");
		return;
	}
	secret.rung = RUNG_STRINGS;
	sites->secret[sites->secret_count++] = secret;
}

/* The search for one call. */
struct seek {
	uint64_t ref;
	uint64_t label;	    /* address of "CLIENT_RANDOM" */
	unsigned int steps; /* of this walk */
	unsigned int *left; /* of all */
	uint64_t call;	    /* 0: not found */
};

static bool is_log(const struct seek *seek, const struct trace *trace)
{
	return value_is(trace_arg(trace, ARG_LABEL), (int64_t)seek->label) &&
	       value_is(trace_arg(trace, ARG_LABEL_LEN), LABEL_LEN) &&
	       value_is(trace_arg(trace, ARG_RANDOM_LEN), SECRET_RANDOM_LEN) &&
	       value_is(trace_arg(trace, ARG_LEN), MASTER_LEN);
}

static int on_insn(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct seek *seek = arg;

	if (!*seek->left || seek->steps++ == STEPS_MAX)
		return DONE;
	--*seek->left;
	if (insn->kind == INSN_CALL_INDIRECT && is_log(seek, trace)) {
		seek->call = vaddr;
		return DONE;
	}
	if ((insn->kind == INSN_CALL || insn->kind == INSN_CALL_INDIRECT) && vaddr > seek->ref)
		return TRACE_CUT;
	return 0;
}

/* The call of log that a reference to "CLIENT_RANDOM" is for; 0: none. */
static uint64_t log_call(const struct image *image, const struct label_ref *ref, unsigned int *left)
{
	uint64_t starts[LEADIN_MAX];
	struct seek seek = { .ref = ref->vaddr, .label = ref->target, .left = left };
	struct trace_start start = { 0 };
	size_t count, i;

	*left -= *left < STEPS_REF ? *left : STEPS_REF;
	trace_bounds(image, ref->vaddr, &start.low, &start.high);
	count = leadin_list(image, ref->vaddr, starts);
	for (i = 0; i < count && !seek.call && *left; i++) {
		start.vaddr = starts[i];
		seek.steps = 0;
		(void)trace_walk(image, &start, on_insn, &seek);
	}
	return seek.call;
}

/* A method gets the label as log does, but it was not understood how. */
static bool is_unread(const struct tls_input *input, const struct label_ref *ref)
{
	const struct labels *labels = input->labels;
	size_t i;

	for (i = 0; i < labels->call_count; i++) {
		const struct label_call *call = &labels->call[i];

		if (call->ref == ref->vaddr && call->arg == ARG_LABEL && !call->target &&
		    !call->tail)
			return true;
	}
	return false;
}

static void rustls12_add(const struct tls_input *input, struct tls_sites *sites)
{
	uint16_t machine = image_machine(input->image);
	struct tls_secret secret = {
		.function = "KeyLog::log (TLS 1.2)",
		.label = trace_arg_place(machine, ARG_LABEL),
		.label_len = trace_arg_place(machine, ARG_LABEL_LEN),
		.random = trace_arg_place(machine, ARG_RANDOM),
		.secret = trace_arg_place(machine, ARG_SECRET),
		.len = trace_arg_place(machine, ARG_LEN),
	};
	unsigned int left = STEPS_ALL;
	bool unread = false;
	size_t i;

	for (i = 0; i < input->labels->ref_count; i++) {
		const struct label_ref *ref = &input->labels->ref[i];
		uint64_t call;

		if (ref->label != STRING_CLIENT_RANDOM)
			continue;
		call = log_call(input->image, ref, &left);
		if (call)
			rustls_add(input->image, call, secret, sites);
		else
			unread |= is_unread(input, ref);
	}
	if (unread && sites->secret_count)
		tls_problem(sites, "some secrets of TLS 1.2 are not seen: a call of KeyLog::log is "
				   "not understood");
}

/* Those that lack a place, when others have one. */
static const char *const missing[LABEL_MAX] = {
	[LABEL_CLIENT_EARLY] = "no CLIENT_EARLY_TRAFFIC_SECRET: early data is not readable",
	[LABEL_CLIENT_HANDSHAKE] = "no CLIENT_HANDSHAKE_TRAFFIC_SECRET: what TLS 1.3 clients send "
				   "in the handshake is not readable",
	[LABEL_SERVER_HANDSHAKE] = "no SERVER_HANDSHAKE_TRAFFIC_SECRET: what TLS 1.3 servers send "
				   "in the handshake is not readable",
	[LABEL_CLIENT_TRAFFIC] = "no CLIENT_TRAFFIC_SECRET_0: what TLS 1.3 clients send is not "
				 "readable",
	[LABEL_SERVER_TRAFFIC] = "no SERVER_TRAFFIC_SECRET_0: what TLS 1.3 servers send is not "
				 "readable",
	[LABEL_EXPORTER] = "no EXPORTER_SECRET: keying material exported from TLS 1.3 is not known",
};

/* Does that version make secrets late? */
static bool is_old(const char *version)
{
	return !strncmp(version, "0.19.", 5) || !strncmp(version, "0.20.", 5) ||
	       !strncmp(version, "0.21.", 5);
}

static void missing_tell(const struct tls_input *input, const struct rustls13 *result,
			 struct tls_sites *sites)
{
	bool old = is_old(sites->version) || (!sites->version[0] && result->late);
	size_t i;

	if (old && !result->found) {
		tls_problem(sites, "no secrets of TLS 1.3: rustls 0.19 to 0.21 make them only when "
				   "somebody listens");
		return;
	}
	if (!result->found) {
		tls_problem(sites, result->unread || result->late
					   ? "no secrets of TLS 1.3: where they are between "
					     "KeyLog::will_log and KeyLog::log is not understood"
					   : "no secrets of TLS 1.3: its labels lead to no call of "
					     "KeyLog::will_log (is it a debug build?)");
		return;
	}
	for (i = 0; i < RUSTLS_LABELS; i++) {
		enum secret_label label = rustls_labels[i];

		if (input->labels->found & 1U << (label - 1) && !(result->found & 1U << label))
			tls_problem(sites, missing[label]);
	}
}

static int rustls_resolve(const struct tls_input *input, struct tls_sites *sites)
{
	bool labels = input->labels->found & 1U << STRING_CLIENT_RANDOM;
	struct rustls13 result = { 0 };
	bool version, calls;

	version = tls_version(input, STRING_RUSTLS, sites);
	if (!labels)
		return -ENOENT;
	if (image_machine(input->image) != EM_X86_64) {
		sites->recognised = "by the paths of its source";
		tls_problem(sites, "no secrets: where rustls has them is known for x86-64 only");
		return version ? 0 : -ENOENT;
	}
	rustls12_add(input, sites);
	rustls13_add(input, sites, &result);
	calls = sites->secret_count || result.late || result.unread;
	if (!calls && !version)
		return -ENOENT;
	sites->recognised = calls ? "by its calls of KeyLog" : "by the paths of its source";
	if (!(input->labels->found & 1U << (LABEL_CLIENT_HANDSHAKE - 1)))
		return 0;
	missing_tell(input, &result, sites);
	return 0;
}

static const char *const sonames[] = { NULL };

const struct tls_library rustls = {
	.name = "rustls",
	.soname = sonames,
	.resolve = rustls_resolve,
};

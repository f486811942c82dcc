/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rustls asks before it logs a secret of TLS 1.3:
 *
 *	secret = derive(...);
 *	if (self->will_log(label))
 *		self->log(label, client_random, secret);
 *
 * and mostly there is nobody who wants to know, so log is not called. The probe is on the
 * conditional jump behind the question. There the secret exists already, and what it would take to
 * get to the call of log shows where everything is: from what registers and frame hold at the jump.
 *
 * That is taken only when the same self and label go into both calls, and nothing between the jump
 * and log changes memory that is read here. The label is a constant, or one entry of the two
 * tables of labels and of their lengths.
 */
#include <stdlib.h>
#include <string.h>

#include "elf/leadin.h"
#include "elf/trace.h"
#include "tls/rustls.h"

/* Arguments of KeyLog::log; will_log has the first three. */
enum { ARG_SELF, ARG_LABEL, ARG_LABEL_LEN, ARG_RANDOM, ARG_RANDOM_LEN, ARG_SECRET, ARG_LEN };

#define STEPS_MAX 2048
/* For the whole file, and what a reference costs at least: where to begin is looked for. */
#define STEPS_ALL (1U << 19)
#define STEPS_REF 1024
/* From will_log's return to the jump. */
#define GAP_MAX 32
/* How code is looked for where there may be none. */
#define GUESS_STEP 64
/* A walk has done what it was for. */
#define DONE 2

/* Registers of x86-64 that a called function leaves as they are. */
#define KEPT  (1U << 3 | 1U << 5 | 0xfU << 12)
#define STACK 4
/* rax has will_log's answer. */
#define ANSWER 1U

/* The question, and what goes into it. */
struct question {
	uint64_t call; /* 0: none yet */
	uint64_t next; /* instruction behind it */
	bool tested;
	struct value_of self, label, label_len;
	uint32_t labels; /* bit n: label n */
};

struct seek {
	const struct tls_input *input;
	uint64_t low;
	uint64_t high;
	unsigned int steps; /* of this walk */
	unsigned int *left; /* of all */
	struct question question;
	const struct trace *jump; /* what is known there */
	uint64_t vaddr;		  /* of the jump */
	bool found;
	bool late;
	bool differs; /* two calls of log, and they do not agree */
	bool asked;
	struct tls_secret secret;
};

/* A label as a constant, with its exact length. */
static uint32_t constant_label(const struct labels *labels, struct value_of label,
			       struct value_of len)
{
	size_t i;

	for (i = 0; i < labels->place_count; i++) {
		const struct label_place *place = &labels->place[i];
		const char *name;

		if (place->label >= STRING_KEY_EXPANSION || place->label == STRING_CLIENT_RANDOM ||
		    !value_is(label, (int64_t)place->vaddr))
			continue;
		name = secret_label_name(place->label + 1);
		if (value_is(len, (int64_t)strlen(name)))
			return 1U << (place->label + 1);
	}
	return 0;
}

static bool is_table(const struct labels *labels, uint64_t vaddr)
{
	size_t i;

	for (i = 0; i < labels->place_count; i++) {
		if (labels->place[i].label == STRING_RUSTLS_TABLE &&
		    labels->place[i].vaddr == vaddr)
			return true;
	}
	return false;
}

/* The number of the entry is in a register: where does the table begin? */
static bool entry(struct value_of value, uint64_t *ret_vaddr, uint8_t *ret_scale)
{
	bool path = value.kind == VALUE_PATH && value.loads == 1 && !value.num && value.width == 8;

	*ret_scale = path ? 1 : value.scale;
	*ret_vaddr = path ? (uint64_t)(int64_t)value.off[0] : (uint64_t)value.num;
	return path || value.kind == VALUE_ENTRY;
}

/* Are these the six lengths? */
static bool is_lengths(const struct image *image, uint64_t vaddr)
{
	uint64_t len[RUSTLS_LABELS];
	size_t i;

	if (image_read(image, vaddr, len, sizeof(len)))
		return false;
	for (i = 0; i < RUSTLS_LABELS; i++) {
		if (len[i] != strlen(secret_label_name(rustls_labels[i])))
			return false;
	}
	return true;
}

/* The same entry of the table of labels and of that of lengths. */
static uint32_t table_label(const struct tls_input *input, struct value_of label,
			    struct value_of len)
{
	uint64_t labels_at, lens_at;
	uint8_t scale, len_scale;
	uint32_t labels = 0;
	size_t i;

	if (!entry(label, &labels_at, &scale) || !entry(len, &lens_at, &len_scale) ||
	    label.arg != len.arg || scale != len_scale || !is_table(input->labels, labels_at))
		return 0;
	for (i = 0; i < RUSTLS_BEFORE && is_table(input->labels, labels_at + 8); i++) {
		labels_at += 8;
		lens_at += 8;
	}
	if (!is_lengths(input->image, lens_at))
		return 0;
	for (i = 0; i < RUSTLS_LABELS; i++)
		labels |= 1U << rustls_labels[i];
	return labels;
}

/* The same value as at the question: a constant, or what a place at the jump held. */
static bool same(const struct seek *seek, const struct trace *trace, struct value_of value,
		 struct value_of asked)
{
	struct place place = trace_place(trace, value);

	if (value.kind == VALUE_CONST)
		return value_same(value, asked);
	return place.width == 8 && asked.kind != VALUE_UNKNOWN &&
	       value_same(trace_eval(seek->jump, &place), asked);
}

static bool step(struct seek *seek)
{
	if (!*seek->left || seek->steps == STEPS_MAX)
		return false;
	--*seek->left;
	seek->steps++;
	return true;
}

static bool is_log(const struct seek *seek, const struct trace *trace)
{
	const struct question *question = &seek->question;

	return value_is(trace_arg(trace, ARG_RANDOM_LEN), SECRET_RANDOM_LEN) &&
	       same(seek, trace, trace_arg(trace, ARG_SELF), question->self) &&
	       same(seek, trace, trace_arg(trace, ARG_LABEL), question->label) &&
	       same(seek, trace, trace_arg(trace, ARG_LABEL_LEN), question->label_len);
}

static bool place_same(const struct place *a, const struct place *b)
{
	return a->reg == b->reg && a->width == b->width && a->loads == b->loads &&
	       a->add == b->add && !memcmp(a->off, b->off, sizeof(a->off));
}

static bool secret_same(const struct tls_secret *a, const struct tls_secret *b)
{
	return place_same(&a->label, &b->label) && place_same(&a->label_len, &b->label_len) &&
	       place_same(&a->random, &b->random) && place_same(&a->secret, &b->secret) &&
	       place_same(&a->len, &b->len);
}

static bool secret_set(const struct seek *seek, const struct trace *trace,
		       struct tls_secret *secret)
{
	secret->random = trace_place(trace, trace_arg(trace, ARG_RANDOM));
	secret->secret = trace_place(trace, trace_arg(trace, ARG_SECRET));
	secret->len = trace_place(trace, trace_arg(trace, ARG_LEN));
	if (seek->question.label.kind == VALUE_CONST) {
		secret->fixed = (enum secret_label)__builtin_ctz(seek->question.labels);
	} else {
		secret->label = trace_place(trace, trace_arg(trace, ARG_LABEL));
		secret->label_len = trace_place(trace, trace_arg(trace, ARG_LABEL_LEN));
		if (secret->label.width != 8 || secret->label_len.width != 8)
			return false;
	}
	return secret->random.width == 8 && secret->secret.width == 8 && secret->len.width == 8;
}

/* On the ways on which somebody wants the secret. */
static int on_way(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct seek *seek = arg;
	struct tls_secret secret = { .function = "KeyLog::will_log (TLS 1.3)" };

	(void)vaddr;
	if (!step(seek))
		return DONE;
	if (insn->kind != INSN_CALL_INDIRECT || !is_log(seek, trace))
		return 0;
	if (trace_surprises(trace) || !secret_set(seek, trace, &secret) ||
	    trace_stored(trace, trace_arg(trace, ARG_SECRET), SECRET_LEN_MAX) ||
	    trace_stored(trace, trace_arg(trace, ARG_RANDOM), SECRET_RANDOM_LEN)) {
		seek->late = true;
		return TRACE_CUT;
	}
	if (seek->found && !secret_same(&secret, &seek->secret))
		seek->differs = true;
	seek->secret = secret;
	seek->found = true;
	return TRACE_CUT;
}

/* Decodes all of a function. Is there a jump to low or behind, up to high? */
static bool jumps_to(const uint8_t *code, size_t len, uint64_t vaddr, uint64_t low, uint64_t high)
{
	struct insn insn;
	size_t pos = 0;

	while (pos < len) {
		if (insn_decode_x86(code + pos, len - pos, vaddr + pos, &insn)) {
			pos++;
			continue;
		}
		/* Here at least an instruction begins. */
		if (vaddr + pos < low && vaddr + pos + insn.len > low) {
			pos = low - vaddr;
			continue;
		}
		if ((insn.kind == INSN_JMP || insn.kind == INSN_JCC) && insn.target >= low &&
		    insn.target <= high)
			return true;
		pos += insn.len;
	}
	return false;
}

/* May the jump be reached otherwise than from the question? */
static bool is_entered(const struct seek *seek)
{
	const struct image *image = seek->input->image;
	uint64_t low = seek->low, len, left;
	bool entered = true;
	uint8_t *code;

	/* Where functions begin may have been a guess. */
	while (low < seek->question.call && !image_loaded(image, low))
		low += GUESS_STEP;
	if (low > seek->question.call)
		low = seek->question.call;
	left = image_loaded(image, low);
	len = seek->high - low < left ? seek->high - low : left;
	code = malloc(len ? len : 1);
	if (code && !image_read(image, low, code, len))
		entered = jumps_to(code, len, low, seek->question.next, seek->vaddr);
	free(code);
	return entered;
}

/* Two bytes tell je from jne, and where the answer is tested. */
static bool code_at(const struct tls_input *input, uint64_t vaddr, uint8_t ret_code[2])
{
	return !image_read(input->image, vaddr, ret_code, 2);
}

static bool is_test(const struct tls_input *input, uint64_t vaddr)
{
	uint8_t code[2];

	return code_at(input, vaddr, code) && code[0] == 0x84 && code[1] == 0xc0; /* test al,al */
}

/* Where it goes on when the answer is yes. False: neither je nor jne. */
static bool yes(const struct tls_input *input, uint64_t vaddr, const struct insn *insn,
		uint64_t *ret_vaddr)
{
	uint8_t code[2], condition;

	if (!code_at(input, vaddr, code))
		return false;
	condition = code[0] == 0x0f ? code[1] & 0xf : (code[0] & 0xf0) == 0x70 ? code[0] & 0xf : 0;
	*ret_vaddr = condition == 4 ? vaddr + insn->len : insn->target;
	return condition == 4 || condition == 5;
}

/* The jump: what is behind it? */
static int jump_read(struct seek *seek, const struct trace *trace, uint64_t vaddr,
		     const struct insn *insn)
{
	struct trace_start start = { .low = seek->low, .high = seek->high, .follow = KEPT };

	if (!seek->question.tested || !yes(seek->input, vaddr, insn, &start.vaddr))
		return TRACE_CUT;
	seek->asked = true;
	seek->vaddr = vaddr;
	seek->jump = trace;
	seek->steps = 0;
	(void)trace_walk(seek->input->image, &start, on_way, seek);
	if (seek->differs || (seek->found && is_entered(seek)))
		seek->found = false;
	return DONE;
}

/* Between question and jump: the answer is tested, and registers are moved. */
static int on_gap(struct seek *seek, const struct trace *trace, uint64_t vaddr,
		  const struct insn *insn)
{
	struct question *question = &seek->question;

	if (insn->kind == INSN_JCC)
		return jump_read(seek, trace, vaddr, insn);
	if (!question->tested && is_test(seek->input, vaddr)) {
		question->tested = true;
		return 0;
	}
	/* None of them changes flags. */
	if ((insn->kind == INSN_MOV || insn->kind == INSN_LOAD || insn->kind == INSN_STORE) &&
	    (question->tested || !(insn->writes & ANSWER)))
		return 0;
	return TRACE_CUT;
}

static int on_insn(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct seek *seek = arg;
	struct question *question = &seek->question;
	struct value_of label = trace_arg(trace, ARG_LABEL), len = trace_arg(trace, ARG_LABEL_LEN);

	if (!step(seek))
		return DONE;
	if (question->call && vaddr > question->call && vaddr < question->next + GAP_MAX)
		return on_gap(seek, trace, vaddr, insn);
	if (insn->kind == INSN_CALL)
		return TRACE_CUT;
	if (insn->kind != INSN_CALL_INDIRECT)
		return 0;
	*question = (struct question) { .call = vaddr, .next = vaddr + insn->len };
	question->self = trace_arg(trace, ARG_SELF);
	question->label = label;
	question->label_len = len;
	question->labels = constant_label(seek->input->labels, label, len);
	if (!question->labels)
		question->labels = table_label(seek->input, label, len);
	if (question->labels)
		return 0;
	question->call = 0;
	return TRACE_CUT;
}

/* What one reference to a label or to the table of labels is for. */
static void ref_read(const struct tls_input *input, const struct label_ref *ref, unsigned int *left,
		     struct tls_sites *sites, struct rustls13 *result)
{
	struct trace_start start = { .follow = ~(1U << STACK) };
	uint64_t starts[LEADIN_MAX];
	size_t count, i;

	*left -= *left < STEPS_REF ? *left : STEPS_REF;
	trace_bounds(input->image, ref->vaddr, &start.low, &start.high);
	count = leadin_list(input->image, ref->vaddr, starts);
	for (i = 0; i < count; i++) {
		struct seek seek = {
			.input = input, .low = start.low, .high = start.high, .left = left
		};

		start.vaddr = starts[i];
		(void)trace_walk(input->image, &start, on_insn, &seek);
		if (!seek.asked)
			continue;
		if (seek.found) {
			rustls_add(input->image, seek.vaddr, seek.secret, sites);
			result->found |= seek.question.labels;
			return;
		}
		*(seek.late ? &result->late : &result->unread) |= seek.question.labels;
	}
}

void rustls13_add(const struct tls_input *input, struct tls_sites *sites,
		  struct rustls13 *ret_result)
{
	unsigned int left = STEPS_ALL;
	struct rustls13 result = { 0 };
	size_t i;

	for (i = 0; i < input->labels->ref_count && left; i++) {
		const struct label_ref *ref = &input->labels->ref[i];

		if (ref->label < STRING_KEY_EXPANSION ? ref->label != STRING_CLIENT_RANDOM
						      : ref->label == STRING_RUSTLS_TABLE)
			ref_read(input, ref, &left, sites, &result);
	}
	/* Some ways of reading the code show more than others. */
	result.late &= ~result.found;
	result.unread &= ~result.found;
	*ret_result = result;
}

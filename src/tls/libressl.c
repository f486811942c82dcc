/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two functions derive the secrets of TLS 1.3, each by several calls of
 *
 *	derive(&secrets->one, digest, &secrets->another, label, context)
 *
 * and are called by f(ctx, ...) as derive_handshake(ctx->hs->secrets, ...), once for each handshake.
 * Behind the jump that tests what they return the secrets are there, and nobody has changed them.
 * Secrets are { data, length }, which shows where one is the salt of the next step.
 *
 * That ctx leads to the SSL is shown by what makes it, new(mode, ssl), which the connect method calls:
 * it stores the SSL, and the address inside of *(ssl + s3) that f takes for hs. s3 is where the code
 * that makes keys for TLS 1.2 has the client random.
 *
 * The same functions serve servers, whose s3 has no client random: the probe only counts where what
 * SSL_is_server() returns is 0.
 */
#include "tls/libressl.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#include "elf/insn.h"

#define SECRET_LABEL 3 /* argument of derive */
#define ARGS_SEEN    8
#define CALLERS_MAX  2 /* client and server */
#define SLOTS_LEN    0x120
#define STEPS_MAX    (1U << 17)
#define OFF_MAX	     0x10000
#define STACK	     4
#define CALL_LEN     5

enum { C_HS, S_HS, C_AP, S_AP, EXPORTER, DERIVED, WORDS };

static const char *const words[WORDS] = { "c hs traffic", "s hs traffic", "c ap traffic",
					  "s ap traffic", "exp master",	  "derived" };

static const enum secret_label names[DERIVED] = {
	LABEL_CLIENT_HANDSHAKE, LABEL_SERVER_HANDSHAKE, LABEL_CLIENT_TRAFFIC,
	LABEL_SERVER_TRAFFIC,	LABEL_EXPORTER,
};

/* A function that derives. */
struct derives {
	const struct labels *labels;
	uint64_t vaddr;
	uint64_t target; /* derive */
	int64_t off[WORDS];
	uint32_t wanted;
	uint32_t seen;
	bool differs;
	int64_t salt; /* the secret of the step before, */
	bool salted;  /* whose bytes and length go into this one */
};

/* A call of such a function. */
struct caller {
	uint64_t call;
	uint64_t target;
	uint64_t probe;
	struct value_of secrets; /* argument 0 */
	uint32_t regs;		 /* hold the caller's argument 0 at probe */
	bool called;
	bool reached;
	bool differs;
};

struct callers {
	uint64_t target;
	uint64_t call[CALLERS_MAX];
	size_t count;
};

/* What is stored in a new object. */
struct stores {
	int32_t s3;
	uint8_t base[2];
	int32_t off[2]; /* of the SSL, of the address in s3 */
	uint32_t have;
	int32_t found[2];
	bool any;
	bool differs;
};

struct makers {
	uint64_t target;
	bool differs;
};

struct shape {
	struct derives handshake, application;
	struct value_of secrets;
	int32_t ssl;	/* in ctx */
	int32_t s3;	/* in ssl */
	int32_t random; /* in s3 */
	int32_t server; /* in ssl */
};

static bool is_off(int64_t off)
{
	return off >= 0 && off < OFF_MAX;
}

/* The argument itself, or an address that is num behind what so many loads from it give. */
static bool is_path(struct value_of value, uint8_t arg, uint8_t loads)
{
	return value.kind == VALUE_PATH && value.arg == arg && value.loads == loads &&
	       value.width == 8;
}

static bool is_arg(struct value_of value, uint8_t arg)
{
	return is_path(value, arg, 0) && !value.num;
}

/* WORDS: it is none. */
static unsigned int word_at(const struct labels *labels, struct value_of value)
{
	size_t i;

	for (i = 0; value.kind == VALUE_CONST && i < labels->place_count; i++) {
		const struct label_place *place = &labels->place[i];

		if (place->ends && place->vaddr == (uint64_t)value.num)
			return place->label;
	}
	return WORDS;
}

static void salt_note(struct derives *derives, const struct trace *trace)
{
	unsigned int i;

	for (i = 0; i + 1 < ARGS_SEEN; i++) {
		struct value_of data = trace_arg(trace, i), len = trace_arg(trace, i + 1);

		if (is_path(data, 0, 1) && is_path(len, 0, 1) && !data.num && !len.num &&
		    data.off[0] == derives->salt && len.off[0] == derives->salt + 8)
			derives->salted = true;
	}
}

static int on_derive(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct value_of out = trace_arg(trace, 0), from = trace_arg(trace, 2);
	struct derives *derives = arg;
	unsigned int word;

	(void)vaddr;
	if (insn->kind != INSN_CALL && insn->kind != INSN_JMP)
		return 0;
	word = word_at(derives->labels, trace_arg(trace, SECRET_LABEL));
	if (word == WORDS) {
		salt_note(derives, trace);
		return 0;
	}
	if (insn->kind != INSN_CALL || !is_path(out, 0, 0) || !is_path(from, 0, 0) ||
	    !is_off(out.num) || (derives->target && derives->target != insn->target) ||
	    (derives->seen & 1U << word && derives->off[word] != out.num))
		derives->differs = true;
	derives->target = insn->target;
	derives->off[word] = out.num;
	derives->seen |= 1U << word;
	return 0;
}

/* The one function that refers to all of these words, and derives a secret with each. */
static bool derives_find(const struct image *image, const struct labels *labels, int64_t salt,
			 size_t *steps, struct derives *derives)
{
	struct trace_start start = { .entry = true, .steps = steps };
	uint64_t at, len = 0;
	size_t i;

	derives->labels = labels;
	derives->salt = salt;
	for (i = 0; i < labels->ref_count; i++) {
		if (!(derives->wanted & 1U << labels->ref[i].label))
			continue;
		if (image_function_at(image, labels->ref[i].vaddr, &at, &len) ||
		    (derives->vaddr && derives->vaddr != at))
			return false;
		derives->vaddr = at;
	}
	if (!derives->vaddr)
		return false;
	start.vaddr = start.low = derives->vaddr;
	start.high = start.low + len;
	return !trace_walk(image, &start, on_derive, derives) && !derives->differs &&
	       (derives->seen & derives->wanted) == derives->wanted;
}

static int on_window(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	struct callers *callers = arg;
	int32_t distance;
	size_t i;

	for (i = 0; i + CALL_LEN <= len; i++) {
		if (p[i] != 0xe8)
			continue;
		memcpy(&distance, p + i + 1, sizeof(distance));
		if (vaddr + i + CALL_LEN + (uint64_t)(int64_t)distance != callers->target)
			continue;
		if (callers->count == CALLERS_MAX)
			return -E2BIG;
		callers->call[callers->count++] = vaddr + i;
	}
	return 0;
}

static int on_caller(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct value_of secrets = trace_arg(trace, 0);
	struct caller *caller = arg;
	uint8_t reg;

	if (vaddr == caller->call) {
		if (insn->kind != INSN_CALL || insn->target != caller->target ||
		    !is_path(secrets, 0, 2) || secrets.num ||
		    (caller->called && !value_same(secrets, caller->secrets)))
			caller->differs = true;
		caller->secrets = secrets;
		caller->called = true;
	}
	/* Nobody comes in from elsewhere. */
	if ((insn->kind == INSN_JMP || insn->kind == INSN_JCC) && insn->target > caller->call &&
	    insn->target <= caller->probe)
		caller->differs = true;
	if (vaddr != caller->probe)
		return 0;
	caller->reached = true;
	for (reg = 0; reg < 16; reg++) {
		if (reg == STACK || !is_arg(trace_reg(trace, reg), 0))
			caller->regs &= ~(1U << reg);
	}
	return 0;
}

/* test %eax,%eax; je: what is behind is reached when the call has returned something else than 0. */
static bool probe_find(const struct image *image, struct caller *caller)
{
	uint8_t code[4];

	if (image_read(image, caller->call + CALL_LEN, code, sizeof(code)) || code[0] != 0x85 ||
	    code[1] != 0xc0)
		return false;
	if (code[2] == 0x74)
		caller->probe = caller->call + CALL_LEN + 4;
	else if (code[2] == 0x0f && code[3] == 0x84)
		caller->probe = caller->call + CALL_LEN + 8;
	return caller->probe;
}

static bool caller_read(const struct image *image, size_t *steps, struct caller *caller)
{
	struct trace_start start = { .entry = true, .steps = steps };
	uint64_t len;

	caller->regs = (1U << 16) - 1;
	if (!probe_find(image, caller) || image_function_at(image, caller->call, &start.low, &len))
		return false;
	start.vaddr = start.low;
	start.high = start.low + len;
	return caller->probe < start.high && !trace_walk(image, &start, on_caller, caller) &&
	       caller->called && caller->reached && !caller->differs && caller->regs;
}

static int on_store(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct stores *stores = arg;
	struct value_of value;
	int which;

	(void)vaddr;
	if (insn->kind == INSN_CALL || insn->kind == INSN_CALL_INDIRECT)
		stores->have = 0;
	for (which = 0; which < 2; which++) {
		if (stores->base[which] < 16 && insn->writes & 1U << stores->base[which])
			stores->have &= ~(1U << which);
	}
	if (insn->kind != INSN_STORE || insn->width != 8 || insn->src == INSN_REG_NONE ||
	    insn->base >= 16 || insn->base == STACK || insn->index != INSN_REG_NONE ||
	    trace_address(trace, insn).kind != VALUE_UNKNOWN)
		return 0;
	value = trace_reg(trace, insn->src);
	if (is_arg(value, 1))
		which = 0;
	else if (is_path(value, 1, 1) && value.off[0] == stores->s3 && value.num > 0)
		which = 1;
	else
		return 0;
	stores->base[which] = insn->base;
	stores->off[which] = insn->disp;
	stores->have |= 1U << which;
	if (stores->have != 3 || stores->base[0] != stores->base[1])
		return 0;
	stores->differs |= stores->any && memcmp(stores->found, stores->off, sizeof(stores->off));
	stores->any = true;
	memcpy(stores->found, stores->off, sizeof(stores->off));
	return 0;
}

/* new(mode, ssl) */
static int on_maker(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct makers *makers = arg;

	(void)vaddr;
	if (insn->kind != INSN_CALL || trace_arg(trace, 0).kind != VALUE_CONST ||
	    !is_arg(trace_arg(trace, 1), 0))
		return 0;
	makers->differs |= makers->target && makers->target != insn->target;
	makers->target = insn->target;
	return 0;
}

static bool walk(const struct image *image, uint64_t vaddr, size_t *steps, trace_fn fn, void *arg)
{
	struct trace_start start = { .vaddr = vaddr, .entry = true, .steps = steps };

	trace_bounds(image, vaddr, &start.low, &start.high);
	return !trace_walk(image, &start, fn, arg);
}

/* lea table(%rip),%rax; ret */
static bool table_find(const struct image *image, uint64_t vaddr, uint64_t *ret_table)
{
	struct insn insn;
	uint8_t code[32];
	size_t len = image_code_copy(image, vaddr, code, sizeof(code)), pos = 0;

	do {
		if (insn_decode_x86(code + pos, len - pos, vaddr + pos, &insn))
			return false;
		pos += insn.len;
	} while (insn.kind == INSN_NOP);
	*ret_table = insn.target;
	return insn.kind == INSN_LEA && insn.base == INSN_REG_PC && insn.dst == 0 && pos < len &&
	       code[pos] == 0xc3;
}

/* Where an object that one of the methods makes has the SSL, and where the address in s3. */
static bool object_find(const struct image *image, uint64_t method, size_t *steps,
			struct shape *shape)
{
	struct stores stores = { .s3 = shape->s3 };
	uint64_t table, slot, vaddr;

	if (!table_find(image, method, &table))
		return false;
	for (slot = 0; slot < SLOTS_LEN; slot += 8) {
		struct makers makers = { 0 };

		if (image_pointer(image, table + slot, &vaddr) ||
		    image_function_starts(image, vaddr) != 1 ||
		    !walk(image, vaddr, steps, on_maker, &makers) || !makers.target ||
		    makers.differs)
			continue;
		stores.have = 0;
		memset(stores.base, INSN_REG_NONE, sizeof(stores.base));
		if (!walk(image, makers.target, steps, on_store, &stores))
			return false;
	}
	shape->ssl = stores.found[0];
	return stores.any && !stores.differs && stores.found[1] == shape->secrets.off[0];
}

static int on_return(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct value_of value = trace_reg(trace, 0);
	int32_t *off = arg;

	(void)vaddr;
	if (insn->kind != INSN_RET)
		return 0;
	if (*off || value.kind != VALUE_PATH || value.arg || value.loads != 1 || value.num ||
	    value.width != 4)
		return -ENOTUNIQ;
	*off = value.off[0];
	return 0;
}

/* From ctx in a register. */
static struct place place_from(uint8_t reg, int32_t first, int32_t second, int64_t add)
{
	return (struct place) {
		.reg = reg,
		.width = 8,
		.loads = 2,
		.off = { first, second },
		.add = (int32_t)add,
	};
}

static bool site_add(const struct image *image, const struct shape *shape,
		     const struct derives *derives, const struct caller *caller, unsigned int word,
		     struct tls_sites *sites)
{
	uint8_t reg = (uint8_t)__builtin_ctz(caller->regs);
	struct tls_secret secret = {
		.function = "TLS 1.3 secrets of clients",
		.rung = RUNG_STRINGS,
		.fixed = names[word],
		.check = place_from(reg, shape->ssl, shape->server, 0),
		.random = place_from(reg, shape->ssl, shape->s3, shape->random),
		.secret = value_place(shape->secrets, reg),
	};

	if (sites->secret_count == TLS_SECRETS_MAX ||
	    image_offset(image, caller->probe, &secret.offset))
		return false;
	secret.check.width = 4;
	secret.handle = place_memory(reg, shape->ssl, 8);
	secret.secret.loads = 3;
	secret.secret.off[2] = (int32_t)derives->off[word];
	secret.len = secret.secret;
	secret.len.off[2] += 8;
	sites->secret[sites->secret_count++] = secret;
	return true;
}

/* All that call it, which have to find the secrets in the same place. */
static bool callers_find(const struct image *image, uint64_t target, size_t *steps,
			 struct value_of *secrets, struct caller *callers, size_t *count)
{
	struct callers calls = { .target = target };
	size_t i;

	if (image_walk(image, true, CALL_LEN - 1, on_window, &calls) || !calls.count)
		return false;
	for (i = 0; i < calls.count; i++) {
		struct caller *caller = &callers[(*count)++];

		*caller = (struct caller) { .call = calls.call[i], .target = target };
		if (!caller_read(image, steps, caller) ||
		    (secrets->kind != VALUE_UNKNOWN && !value_same(*secrets, caller->secrets)))
			return false;
		*secrets = caller->secrets;
	}
	return true;
}

/* What all connections of TLS 1.3 have in the same place. */
static bool shape_find(const struct image *image, const struct keyblock *keyblock, size_t *steps,
		       struct shape *shape)
{
	static const char *const functions[] = { "TLS_client_method", "SSL_is_server" };
	struct symbol symbols[2];

	if (image_symbols(image, functions, 2, symbols) != 2 || !is_path(keyblock->random, 0, 1) ||
	    !is_off(keyblock->random.num))
		return false;
	shape->s3 = keyblock->random.off[0];
	shape->random = (int32_t)keyblock->random.num;
	return walk(image, symbols[1].vaddr, steps, on_return, &shape->server) && shape->server &&
	       object_find(image, symbols[0].vaddr, steps, shape);
}

static bool sites_add(const struct image *image, const struct shape *shape,
		      const struct caller *callers, size_t count, struct tls_sites *sites)
{
	unsigned int word;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct derives *derives = &shape->handshake;

		if (callers[i].target != derives->vaddr)
			derives = &shape->application;
		for (word = 0; word < DERIVED; word++) {
			if (derives->wanted & 1U << word &&
			    !site_add(image, shape, derives, &callers[i], word, sites))
				return false;
		}
	}
	return true;
}

static bool read_all(const struct tls_input *input, const struct labels *labels,
		     const struct keyblock *keyblock, struct tls_sites *sites)
{
	struct shape shape = { .handshake.wanted = 1U << C_HS | 1U << S_HS };
	struct caller callers[2 * CALLERS_MAX];
	size_t before = sites->secret_count, count = 0, steps = STEPS_MAX;
	const struct image *image = input->image;

	shape.application.wanted = 1U << C_AP | 1U << S_AP | 1U << EXPORTER;
	if (!derives_find(image, labels, 0, &steps, &shape.handshake) ||
	    !(shape.handshake.seen & 1U << DERIVED) ||
	    !derives_find(image, labels, shape.handshake.off[DERIVED], &steps,
			  &shape.application) ||
	    !shape.application.salted || shape.application.vaddr == shape.handshake.vaddr ||
	    shape.application.target != shape.handshake.target ||
	    !callers_find(image, shape.handshake.vaddr, &steps, &shape.secrets, callers, &count) ||
	    !callers_find(image, shape.application.vaddr, &steps, &shape.secrets, callers,
			  &count) ||
	    !shape_find(image, keyblock, &steps, &shape) || !steps)
		return false;
	if (sites_add(image, &shape, callers, count, sites))
		return true;
	sites->secret_count = before;
	return false;
}

bool libressl_add(const struct tls_input *input, const struct keyblock *keyblock,
		  struct tls_sites *sites)
{
	struct labels labels;
	bool added = false;

	if (image_machine(input->image) != EM_X86_64 ||
	    labels_find(input->image, words, WORDS, WORDS, &labels))
		return false;
	if (!labels_follow(input->image, &labels))
		added = read_all(input, &labels, keyblock, sites);
	labels_done(&labels);
	return added;
}

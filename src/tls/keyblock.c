/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/keyblock.h"

#include <errno.h>
#include <string.h>

#define ARGS_SEEN   16
#define PAIRS_MAX   8
#define LABEL_LEN   13 /* "key expansion" */
#define RANDOM_SIZE SECRET_RANDOM_LEN
#define STEPS_MAX   (1U << 18) /* in all functions that use the label; it is one, or two */

/*
 * struct ssl_session_st: the length is before the secret, from OpenSSL 1.1.1 on with 64 bytes of
 * another one between them.
 */
#define LEN_BEFORE_MAX 0x50

/* What the calls of a function pass: addresses inside the connection, with their lengths. */
struct passed {
	uint64_t label; /* address of the string */
	bool used;	/* some call gets it, with its length */
	struct value_of random[PAIRS_MAX];
	size_t random_count;
	struct value_of secret[PAIRS_MAX];
	struct value_of len[PAIRS_MAX];
	size_t secret_count;
	bool overflow;
};

static bool is_inside(struct value_of value)
{
	return value.kind == VALUE_PATH && value.arg == 0 && value.width == 8 &&
	       (value.loads || value.num);
}

/* Is len what the memory shortly before secret holds? */
static bool is_length_of(struct value_of len, struct value_of secret)
{
	unsigned int last = secret.loads;

	if (!is_inside(secret) || len.kind != VALUE_PATH || len.arg || len.num ||
	    len.loads != last + 1 || memcmp(len.off, secret.off, last * sizeof(len.off[0])))
		return false;
	return len.off[last] < secret.num && secret.num - len.off[last] <= LEN_BEFORE_MAX;
}

static void random_note(struct passed *passed, struct value_of value)
{
	size_t i;

	for (i = 0; i < passed->random_count; i++) {
		if (value_same(passed->random[i], value))
			return;
	}
	if (passed->random_count == PAIRS_MAX)
		passed->overflow = true;
	else
		passed->random[passed->random_count++] = value;
}

static void secret_note(struct passed *passed, struct value_of secret, struct value_of len)
{
	size_t i;

	/* The same field may be loaded with 4 bytes here and 8 there. */
	for (i = 0; i < passed->secret_count; i++) {
		if (value_same(passed->secret[i], secret) && value_same(passed->len[i], len))
			return;
	}
	if (passed->secret_count == PAIRS_MAX) {
		passed->overflow = true;
		return;
	}
	passed->secret[passed->secret_count] = secret;
	passed->len[passed->secret_count++] = len;
}

/* Address and length stand side by side, in this order or the other. */
static void pair_note(struct passed *passed, struct value_of a, struct value_of b)
{
	if (is_inside(a) && value_is(b, RANDOM_SIZE))
		random_note(passed, a);
	if (is_length_of(b, a))
		secret_note(passed, a, b);
	if (value_is(a, (int64_t)passed->label) && value_is(b, LABEL_LEN))
		passed->used = true;
}

static int on_insn(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct passed *passed = arg;
	struct value_of value[ARGS_SEEN];
	unsigned int i;

	(void)vaddr;
	if (insn->kind != INSN_CALL && insn->kind != INSN_CALL_INDIRECT)
		return 0;
	for (i = 0; i < ARGS_SEEN; i++)
		value[i] = trace_arg(trace, i);
	for (i = 0; i + 1 < ARGS_SEEN; i++) {
		pair_note(passed, value[i], value[i + 1]);
		pair_note(passed, value[i + 1], value[i]);
	}
	return 0;
}

/* struct ssl3_state_st: the server's random, then the client's. */
static bool client_random(const struct passed *passed, struct value_of *ret_random)
{
	struct value_of next;

	if (passed->random_count != 2)
		return false;
	next = passed->random[0];
	next.num += RANDOM_SIZE;
	*ret_random = next;
	if (value_same(next, passed->random[1]))
		return true;
	next = passed->random[1];
	next.num += RANDOM_SIZE;
	*ret_random = next;
	return value_same(next, passed->random[0]);
}

static bool function_read(const struct image *image, uint64_t ref, uint64_t label, size_t *steps,
			  struct keyblock *ret_keyblock)
{
	struct passed passed = { .label = label };
	struct trace_start start = { .entry = true, .steps = steps };
	uint64_t len;

	if (image_function_at(image, ref, &start.low, &len))
		return false;
	start.vaddr = start.low;
	start.high = start.low + len;
	if (trace_walk(image, &start, on_insn, &passed))
		return false;
	if (!passed.used || passed.overflow || passed.secret_count != 1 ||
	    !client_random(&passed, &ret_keyblock->random))
		return false;
	ret_keyblock->vaddr = start.vaddr;
	ret_keyblock->secret = passed.secret[0];
	ret_keyblock->len = passed.len[0];
	return true;
}

int keyblock_find(const struct tls_input *input, struct keyblock *ret_keyblock)
{
	const struct labels *labels = input->labels;
	struct keyblock found;
	bool any = false;
	size_t i, steps = STEPS_MAX;

	for (i = 0; i < labels->ref_count && steps; i++) {
		const struct label_ref *ref = &labels->ref[i];
		struct keyblock one;

		if (ref->label != STRING_KEY_EXPANSION ||
		    !function_read(input->image, ref->vaddr, ref->target, &steps, &one))
			continue;
		if (any && one.vaddr != found.vaddr)
			return -ENOENT;
		found = one;
		any = true;
	}
	if (!any || !steps)
		return -ENOENT;
	*ret_keyblock = found;
	return 0;
}

void keyblock_add(const struct tls_input *input, const struct keyblock *keyblock,
		  struct tls_sites *sites)
{
	struct tls_secret secret = {
		.function = "tls1_setup_key_block",
		.rung = RUNG_STRINGS,
		.fixed = LABEL_CLIENT_RANDOM,
	};

	if (sites->secret_count == TLS_SECRETS_MAX ||
	    image_offset(input->image, keyblock->vaddr, &secret.offset))
		return;
	secret.handle = trace_arg_place(image_machine(input->image), 0);
	secret.random = value_place(keyblock->random, secret.handle.reg);
	secret.secret = value_place(keyblock->secret, secret.handle.reg);
	secret.len = value_place(keyblock->len, secret.handle.reg);
	sites->secret[sites->secret_count++] = secret;
}

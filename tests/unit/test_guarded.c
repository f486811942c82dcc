/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL that asks for a key log's callback before it calls the function that writes the line. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf_library.h"

enum { R10 = 10, R12 = 12 };
enum { JE = 0x84, JNE };

/* Where things are. */
#define CIPHER	 0   /* tls13_change_cipher_state */
#define EXPORTER 400 /* in it: what has only that label, and SERVER_TRAFFIC_SECRET_0 behind it */
#define COMMON	 600 /* what all labels but that one get to */
#define ASIDE	 740 /* out of line */
#define FAILED	 800
#define SKIP	 820 /* there is no callback */
#define FINISH	 900 /* tls_construct_finished */
#define DONE	 1000
#define FUNCTION 1100 /* nss_keylog_int */
#define OTHER	 1160
#define KEYS	 1200 /* tls1_setup_key_block */
#define TEXTS	 1400 /* strings */

enum damage {
	DAMAGE_NONE,
	OUT_OF_LINE,	  /* good as well: jne to the call */
	MISSING_LABEL,	  /* SERVER_TRAFFIC_SECRET_0 is passed to another function */
	NO_QUESTION,	  /* another register is tested before the jump */
	OTHER_CONDITION,  /* ja */
	BRANCH_INSIDE,	  /* another branch leads to between jump and call */
	BRANCH_BEFORE,	  /* between question and jump */
	BRANCH_OUTSIDE,	  /* from another function */
	CALL_BETWEEN,	  /* of another function, between jump and call */
	STORE_ELSEWHERE,  /* may change the secret's address in memory */
	NARROW_SECRET,	  /* 4 bytes of its address */
	STORED_BETWEEN,	  /* a part of the secret, between jump and call */
	OTHER_RANDOM_LEN, /* not 32 */
	OTHER_RANDOM,	  /* not where the other function has it */
	OTHER_SLOT,	  /* one of them asks for something else */
	OTHER_TARGET,	  /* the function calls something else */
	UNKNOWN_QUESTION, /* for the same callback, and no call behind it */
	OTHER_SKIP,	  /* the second guard on a way goes elsewhere than the first one */
	CALL_BEHIND,	  /* of another function, before it meets the way without callback */
	LOAD_BEHIND_CALL, /* what the second call gets is in memory that the first may change */
	CONDITION_BEHIND, /* something unknown decides whether there is a second call */
	NOT_A_START,	  /* the labels lead into the middle of a function */
	OTHER_FUNCTION,	  /* two functions get labels */
	DAMAGES,
};

/* jcc with a distance of 4 bytes. */
static void jcc(struct elf_file *f, uint8_t condition, size_t target)
{
	CODE(f, "\x0f");
	elf_branch(f, condition, target);
}

static void label(struct elf_file *f, uint8_t reg, int which)
{
	elf_lea(f, reg, elf_vaddr(text_of(TEXTS, which)));
}

/* mov 0x9a8(%rbp),%rax; cmpq $0,0x3d0(%rax) */
static void question(struct elf_file *f, bool other_slot)
{
	CODE(f, "\x48\x8b\x85\xa8\x09\x00\x00");
	if (other_slot)
		CODE(f, "\x48\x83\xb8\xd8\x03\x00\x00\x00");
	else
		CODE(f, "\x48\x83\xb8\xd0\x03\x00\x00\x00");
}

static size_t called(enum damage damage)
{
	return damage == NOT_A_START ? FUNCTION + 4 : FUNCTION;
}

/* Labels other than EXPORTER_SECRET, in 0x30(%rsp). */
static void add_labels(struct elf_file *f, bool chain, enum damage damage)
{
	static const int labels[] = { LABEL_CLIENT_EARLY, LABEL_CLIENT_HANDSHAKE,
				      LABEL_SERVER_HANDSHAKE, LABEL_CLIENT_TRAFFIC };
	size_t i;

	f->text_len = CIPHER;
	CODE(f, "\x48\x83\xec\x68\x48\x89\xfd"); /* sub $0x68,%rsp; mov %rdi,%rbp */
	for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		CODE(f, "\x83\xfe"); /* cmp $i,%esi */
		elf_code(f, &(uint8_t) { (uint8_t)i }, 1);
		CODE(f, "\x75\x11"); /* jne over the next three */
		label(f, RAX, labels[i]);
		CODE(f, "\x48\x89\x44\x24\x30"); /* mov %rax,0x30(%rsp) */
		elf_branch(f, X86_JMP, COMMON);
	}
	if (!chain)
		jcc(f, JE, EXPORTER);
	label(f, RDI, LABEL_SERVER_TRAFFIC);
	if (damage == MISSING_LABEL)
		elf_branch(f, X86_CALL, OTHER);
	else
		CODE(f, "\x48\x89\x7c\x24\x30"); /* mov %rdi,0x30(%rsp) */
	if (damage == OTHER_FUNCTION) {
		for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
			label(f, RDI, labels[i]);
			elf_branch(f, X86_CALL, OTHER);
		}
	}
	if (damage == UNKNOWN_QUESTION) {
		question(f, false);
		jcc(f, JE, FAILED);
	}
	if (damage == BRANCH_INSIDE)
		jcc(f, JE, COMMON + 42);
	if (damage == BRANCH_BEFORE)
		jcc(f, JE, COMMON + 27);
	elf_branch(f, X86_JMP, chain ? EXPORTER : COMMON);
	assert_true(f->text_len <= EXPORTER);
}

/* What is behind EXPORTER_SECRET's call. */
static void add_behind(struct elf_file *f, bool chain, enum damage damage)
{
	/* mov 0x60(%rsp),%r9, or from %rbp; mov 0x10(%rsp),%r10 */
	if (damage == LOAD_BEHIND_CALL)
		CODE(f, "\x4c\x8b\x4d\x60");
	else
		CODE(f, "\x4c\x8b\x4c\x24\x60");
	CODE(f, "\x4c\x8b\x54\x24\x10");
	if (damage == CALL_BEHIND)
		elf_branch(f, X86_CALL, OTHER);
	/* test %eax,%eax or cmp $5,%ecx */
	if (damage == CONDITION_BEHIND)
		CODE(f, "\x83\xf9\x05");
	else
		CODE(f, "\x85\xc0");
	jcc(f, JE, FAILED);
	elf_branch(f, X86_JMP, chain ? COMMON + 12 : SKIP);
}

static void add_exporter(struct elf_file *f, bool chain, enum damage damage)
{
	f->text_len = EXPORTER;
	CODE(f, "\x4c\x8b\x4c\x24\x60"); /* mov 0x60(%rsp),%r9 */
	question(f, damage == OTHER_SLOT);
	jcc(f, JE, damage == OTHER_SKIP ? FAILED : SKIP);
	/* lea 0x160(%rbp),%r10 */
	if (damage == OTHER_RANDOM)
		CODE(f, "\x4c\x8d\x95\x68\x01\x00\x00");
	else
		CODE(f, "\x4c\x8d\x95\x60\x01\x00\x00");
	/* mov %rax,(%rbx); mov 0x20(%rbp),%r8; or mov 0x20(%rsp),%r8 or %r8d */
	if (damage == STORE_ELSEWHERE)
		CODE(f, "\x48\x89\x03\x4c\x8b\x45\x20");
	else if (damage == STORED_BETWEEN) /* mov %rax,0x28(%rsp); lea 0x20(%rsp),%r8 */
		CODE(f, "\x48\x89\x44\x24\x28\x4c\x8d\x44\x24\x20");
	else if (damage == NARROW_SECRET)
		CODE(f, "\x44\x8b\x44\x24\x20");
	else
		CODE(f, "\x4c\x8b\x44\x24\x20");
	if (damage == OTHER_RANDOM_LEN)
		CODE(f, "\xb9\x08\x00\x00\x00");
	else
		CODE(f, "\xb9\x20\x00\x00\x00");
	CODE(f, "\x48\x89\xee\x4c\x89\xd2"); /* mov %rbp,%rsi; mov %r10,%rdx */
	label(f, RDI, LABEL_EXPORTER);
	CODE(f, "\x4c\x89\x54\x24\x10"); /* mov %r10,0x10(%rsp) */
	elf_branch(f, X86_CALL, called(damage));
	add_behind(f, chain, damage);
	assert_true(f->text_len <= COMMON);
}

/* From the jump to the call, and behind it. */
static void add_call(struct elf_file *f, enum damage damage)
{
	CODE(f, "\x48\x8b\x7c\x24\x30"); /* mov 0x30(%rsp),%rdi */
	if (damage == CALL_BETWEEN)
		elf_branch(f, X86_CALL, OTHER);
	/* mov %r12,%r8; mov $32,%ecx; mov %r10,%rdx; mov %rbp,%rsi */
	CODE(f, "\x4d\x89\xe0\xb9\x20\x00\x00\x00\x4c\x89\xd2\x48\x89\xee");
	elf_branch(f, X86_CALL, called(damage));
	CODE(f, "\x85\xc0"); /* test %eax,%eax */
	jcc(f, JNE, SKIP);
	elf_branch(f, X86_JMP, FAILED);
}

static void add_common(struct elf_file *f, enum damage damage)
{
	f->text_len = COMMON;
	CODE(f, "\x4c\x8d\x95\x60\x01\x00\x00\x4c\x8b\x4c\x24\x60"); /* lea; mov: as above */
	question(f, false);
	if (damage == NO_QUESTION)
		CODE(f, "\x85\xf6"); /* test %esi,%esi */
	if (damage == OUT_OF_LINE) {
		jcc(f, JNE, ASIDE);
		elf_branch(f, X86_JMP, SKIP);
		f->text_len = ASIDE;
	} else {
		jcc(f, damage == OTHER_CONDITION ? 0x87 : JE, SKIP);
	}
	add_call(f, damage);
	f->text_len = FAILED;
	CODE(f, "\x31\xc0\x48\x83\xc4\x68\xc3"); /* xor %eax,%eax; add $0x68,%rsp; ret */
	f->text_len = SKIP;
	elf_branch(f, X86_CALL, OTHER);
	CODE(f, "\x48\x83\xc4\x68\xc3"); /* add $0x68,%rsp; ret */
}

/* CLIENT_RANDOM, with moves between question and jump. */
static void add_finish(struct elf_file *f, enum damage damage)
{
	f->text_len = FINISH;
	/* push %rbp; mov %rdi,%rbp; mov 0x918(%rbp),%rcx */
	CODE(f, "\x55\x48\x89\xfd\x48\x8b\x8d\x18\x09\x00\x00");
	question(f, false);
	CODE(f, "\x4c\x8b\x49\x08"); /* mov 8(%rcx),%r9 */
	jcc(f, JE, DONE);
	/* lea 0x160(%rbp),%rdx; lea 0x50(%rcx),%r8; mov $32,%ecx; mov %rbp,%rsi */
	CODE(f, "\x48\x8d\x95\x60\x01\x00\x00\x4c\x8d\x41\x50\xb9\x20\x00\x00\x00\x48\x89\xee");
	label(f, RDI, LABEL_CLIENT_RANDOM);
	elf_branch(f, X86_CALL, called(damage));
	CODE(f, "\x85\xc0"); /* test %eax,%eax */
	jcc(f, JNE, DONE);
	CODE(f, "\x5d\xc3"); /* pop %rbp; ret */
	assert_true(f->text_len <= DONE);
	f->text_len = DONE;
	if (damage == BRANCH_OUTSIDE)
		elf_branch(f, X86_JMP, COMMON + 42);
	CODE(f, "\x5d\xc3");
}

/* nss_keylog_int(label, ssl, client random, 32, secret, length) */
static void add_function(struct elf_file *f, enum damage damage)
{
	f->text_len = FUNCTION;
	CODE(f, "\x48\x83\xec\x08\x48\x8b\x86\xa8\x09\x00\x00"); /* sub; mov 0x9a8(%rsi),%rax */
	/* call *0x3d0(%rax) */
	if (damage == OTHER_TARGET)
		CODE(f, "\xff\x90\xd8\x03\x00\x00");
	else
		CODE(f, "\xff\x90\xd0\x03\x00\x00");
	CODE(f, "\x48\x83\xc4\x08\xc3"); /* add $8,%rsp; ret */
}

static void add_keys(struct elf_file *f)
{
	f->text_len = KEYS;
	/* mov 0x918(%rdi),%rax; lea 0x140(%rdi),%rcx; lea 0x160(%rdi),%r9; mov $32,%r8d */
	CODE(f, "\x48\x8b\x87\x18\x09\x00\x00\x48\x8d\x8f\x40\x01\x00\x00");
	CODE(f, "\x4c\x8d\x8f\x60\x01\x00\x00\x41\xb8\x20\x00\x00\x00");
	/* push 8(%rax); add $0x50,%rax; push %rax; push $0 twice; push $0x20; mov $13,%edx */
	CODE(f, "\xff\x70\x08\x48\x83\xc0\x50\x50\x6a\x00\x6a\x00\x6a\x20\xba\x0d\x00\x00\x00");
	label(f, RSI, LABEL_MAX);
	elf_branch(f, X86_CALL, OTHER);
	CODE(f, "\x48\x83\xc4\x28\xc3"); /* add $0x28,%rsp; ret */
}

/* keys: with tls1_setup_key_block. chain: EXPORTER_SECRET's jump skips two calls. */
static void build(struct elf_file *f, bool keys, bool chain, enum damage damage)
{
	static const size_t starts[] = { CIPHER, FINISH, FUNCTION, OTHER, KEYS, TEXTS };

	elf_init(f, EM_X86_64);
	memset(f->text, 0xc3, TEXTS);
	add_texts(f, TEXTS, keys ? "key expansion" : "");
	add_labels(f, chain, damage);
	add_exporter(f, chain, damage);
	add_common(f, damage);
	add_finish(f, damage);
	add_function(f, damage);
	if (keys)
		add_keys(f);
	elf_unwind(f, starts, sizeof(starts) / sizeof(starts[0]));
}

static int resolve(const struct elf_file *f, struct tls_sites *ret_sites)
{
	return resolve_file(f, &openssl, ret_sites);
}

static void assert_place(struct place place, uint8_t reg, int loads, int32_t off, int32_t add)
{
	assert_int_equal(place.width, 8);
	assert_int_equal(place.reg, reg);
	assert_int_equal(place.loads, loads);
	if (loads)
		assert_int_equal(place.off[0], off);
	assert_int_equal(place.add, add);
}

/* Any label, at the jump to the common call. */
static void assert_common(const struct tls_secret *secret)
{
	assert_int_equal(secret->offset, elf_offset(COMMON + 27));
	assert_int_equal(secret->fixed, LABEL_NONE);
	assert_place(secret->handle, RBP, 0, 0, 0);
	assert_place(secret->label, RSP, 1, 0x30, 0);
	assert_place(secret->random, R10, 0, 0, 0);
	assert_place(secret->secret, R12, 0, 0, 0);
	assert_place(secret->len, R9, 0, 0, 0);
}

/* EXPORTER_SECRET. */
static void assert_exporter(const struct tls_secret *secret)
{
	assert_int_equal(secret->offset, elf_offset(EXPORTER + 20));
	assert_int_equal(secret->fixed, LABEL_EXPORTER);
	assert_place(secret->handle, RBP, 0, 0, 0);
	assert_place(secret->random, RBP, 0, 0, 0x160);
	assert_place(secret->secret, RSP, 1, 0x20, 0);
	assert_place(secret->len, R9, 0, 0, 0);
}

/* And what the same jump skips as well. */
static void assert_second(const struct tls_secret *secret)
{
	assert_int_equal(secret->offset, elf_offset(EXPORTER + 20));
	assert_int_equal(secret->fixed, LABEL_NONE);
	assert_place(secret->handle, RBP, 0, 0, 0);
	assert_place(secret->label, RSP, 1, 0x30, 0);
	assert_place(secret->random, RBP, 0, 0, 0x160);
	assert_place(secret->secret, R12, 0, 0, 0);
	assert_place(secret->len, RSP, 1, 0x60, 0);
}

static const struct tls_secret *secret_at(const struct tls_sites *sites, size_t pos,
					  enum secret_label fixed)
{
	size_t i;

	for (i = 0; i < sites->secret_count; i++) {
		if (sites->secret[i].offset == elf_offset(pos) && sites->secret[i].fixed == fixed)
			return &sites->secret[i];
	}
	fail_msg("nothing at %zu", pos);
	return NULL;
}

/* Master secrets pass tls1_setup_key_block. */
static void test_keys(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	build(&f, true, true, DAMAGE_NONE);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.problem_count, 0);
	assert_int_equal(sites.secret_count, 4);
	assert_common(secret_at(&sites, COMMON + 27, LABEL_NONE));
	assert_exporter(secret_at(&sites, EXPORTER + 20, LABEL_EXPORTER));
	assert_second(secret_at(&sites, EXPORTER + 20, LABEL_NONE));
	assert_place(secret_at(&sites, KEYS, LABEL_CLIENT_RANDOM)->random, RDI, 0, 0, 0x160);
	assert_memory_equal(f.text + COMMON + 27, "\x0f\x84", 2);
	assert_memory_equal(f.text + EXPORTER + 20, "\x0f\x84", 2);
}

/* Without that function they are found in the same way as the others. */
static void test_no_keys(void **state)
{
	const struct tls_secret *secret;
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	build(&f, false, true, DAMAGE_NONE);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.problem_count, 0);
	assert_int_equal(sites.secret_count, 4);
	secret = secret_at(&sites, FINISH + 30, LABEL_CLIENT_RANDOM);
	assert_place(secret->handle, RBP, 0, 0, 0);
	assert_place(secret->random, RBP, 0, 0, 0x160);
	assert_place(secret->secret, RCX, 0, 0, 0x50);
	assert_place(secret->len, R9, 0, 0, 0);
	assert_memory_equal(f.text + FINISH + 30, "\x0f\x84", 2);
}

static void test_out_of_line(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	build(&f, true, true, OUT_OF_LINE);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.problem_count, 0);
	assert_int_equal(sites.secret_count, 4);
	assert_common(secret_at(&sites, COMMON + 27, LABEL_NONE));
	assert_second(secret_at(&sites, EXPORTER + 20, LABEL_NONE));
	assert_memory_equal(f.text + COMMON + 27, "\x0f\x85", 2);
}

static void test_no_chain(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	build(&f, true, false, DAMAGE_NONE);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.problem_count, 0);
	assert_int_equal(sites.secret_count, 3);
	assert_common(secret_at(&sites, COMMON + 27, LABEL_NONE));
	assert_exporter(secret_at(&sites, EXPORTER + 20, LABEL_EXPORTER));
}

/* All secrets of TLS 1.3 or none, and a sentence says so. */
static void test_doubt(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	int i;

	(void)state;
	for (i = 0; i < 2 * DAMAGES; i++) {
		enum damage damage = i / 2;
		bool chain = i % 2;

		/* Nothing is called behind that call. */
		if (damage < MISSING_LABEL || (damage == LOAD_BEHIND_CALL && !chain))
			continue;
		build(&f, true, chain, damage);
		assert_int_equal(resolve(&f, &sites), 0);
		if (sites.secret_count != 1 || sites.problem_count != 1 ||
		    sites.secret[0].fixed != LABEL_CLIENT_RANDOM)
			fail_msg("case %d, chain %d: %zu secrets, %zu problems", damage, chain,
				 sites.secret_count, sites.problem_count);
	}
}

/* Whatever is damaged, it must end, and what it finds must be in the file. */
static void test_damaged(void **state)
{
	struct elf_file f;
	size_t pos;

	(void)state;
	for (pos = 0; pos < ELF_FILE_LEN; pos += 3) {
		build(&f, pos % 2, pos % 5, DAMAGE_NONE);
		resolve_damaged(&f, pos);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),	    cmocka_unit_test(test_no_keys),
		cmocka_unit_test(test_out_of_line), cmocka_unit_test(test_no_chain),
		cmocka_unit_test(test_doubt),	    cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests_name("guarded", tests, NULL, NULL);
}

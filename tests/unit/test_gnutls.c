/* SPDX-License-Identifier: Apache-2.0 */
/* GnuTLS in small files made here, and in the system's own. */
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

#define LABELS (LABEL_MAX - 1)

/* Where things are. */
#define USER   0   /* passes the labels on */
#define KEYLOG 320 /* _gnutls_call_keylog_func */
#define KEYS   352 /* calls _gnutls_prf_raw */
#define PRF    440
#define STUB   448
#define SMALL  460 /* the small exported functions */
#define GOT    600
#define TEXTS  608 /* strings */

enum damage {
	DAMAGE_NONE,
	NO_RANDOM_OFFSET, /* gnutls_session_get_random shows nothing */
	NO_CALLBACK,	  /* gnutls_session_get_keylog_function is not there */
	OTHER_CALLBACK,	  /* the function reads another member than that one returns */
	FEW_LABELS,	  /* two of them lead to the function */
	TWO_TARGETS,	  /* half of them to another one */
	NOT_A_START,	  /* they lead into the middle of a function */
	OTHER_LENGTH,	  /* of the master secret */
	OTHER_LABEL_LENGTH,
	OTHER_SEED_LENGTH,
	SEED_ELSEWHERE,	  /* not in the caller's frame */
	SECOND_REFERENCE, /* to "key expansion" */
	OTHER_FUNCTION,	  /* gets it */
	MASTER_ELSEWHERE, /* not where the session has it */
	FEW_CALLBACKS,	  /* four calls of the callback */
	MISSING_LABEL,	  /* a label is used elsewhere */
	OTHER_MEMBER,	  /* is what is called */
	DATUM_ELSEWHERE,  /* not in the caller's frame */
	DAMAGES,
};

/* f(session, label, secret, size), called with each label. */
static void add_keylog(struct elf_file *f, enum damage damage)
{
	int i, labels = damage == FEW_LABELS ? 2 : LABELS;

	f->text_len = USER;
	CODE(f, "\x53\x48\x89\xfb"); /* push %rbx; mov %rdi,%rbx */
	for (i = 1; i <= labels; i++) {
		CODE(f, "\x48\x89\xdf"); /* mov %rbx,%rdi */
		elf_lea(f, RSI, elf_vaddr(text_of(TEXTS, i)));
		if (damage == TWO_TARGETS && i % 2)
			elf_branch(f, X86_CALL, PRF);
		else
			elf_branch(f, X86_CALL, damage == NOT_A_START ? KEYLOG + 4 : KEYLOG);
	}
	CODE(f, "\x5b\xc3"); /* pop %rbx; ret */
	f->text_len = KEYLOG;
	CODE(f, "\x48\x83\xec\x08"); /* sub $8,%rsp */
	/* mov 0x660(%rdi),%rax, or another offset; call *%rax */
	if (damage == OTHER_CALLBACK)
		CODE(f, "\x48\x8b\x87\x68\x06\x00\x00");
	else
		CODE(f, "\x48\x8b\x87\x60\x06\x00\x00");
	CODE(f, "\xff\xd0\x48\x83\xc4\x08\xc3");
}

/* The same copied into its callers: the callback is called six times. */
static void add_callbacks(struct elf_file *f, enum damage damage)
{
	static const uint8_t labels[6] = { 1, 2, 3, 5, 7, 8 };
	int i, calls = damage == FEW_CALLBACKS ? 4 : 6;

	f->text_len = USER;
	CODE(f, "\x53\x48\x83\xec\x20\x48\x89\xfb"); /* push; sub $0x20,%rsp; mov %rdi,%rbx */
	for (i = 0; i < calls; i++) {
		/* mov 0x660(%rbx),%rax; test %rax,%rax; je over the rest */
		if (damage == OTHER_MEMBER)
			CODE(f, "\x48\x8b\x83\x68\x06\x00\x00");
		else
			CODE(f, "\x48\x8b\x83\x60\x06\x00\x00");
		CODE(f, "\x48\x85\xc0\x74\x11");
		elf_lea(f, RSI, elf_vaddr(text_of(TEXTS, labels[i])));
		/* lea 8(%rsp),%rdx, or of %rbx; mov %rbx,%rdi; call *%rax */
		if (damage == DATUM_ELSEWHERE)
			CODE(f, "\x48\x8d\x53\x08\x90");
		else
			CODE(f, "\x48\x8d\x54\x24\x08");
		CODE(f, "\x48\x89\xdf\xff\xd0");
	}
	for (i = 0; damage == FEW_CALLBACKS && i < 6; i++)
		elf_lea(f, RSI, elf_vaddr(text_of(TEXTS, labels[i])));
	elf_lea(f, RSI, elf_vaddr(text_of(TEXTS, LABEL_SERVER_HANDSHAKE)));
	if (damage != MISSING_LABEL)
		elf_lea(f, RSI, elf_vaddr(text_of(TEXTS, LABEL_SERVER_TRAFFIC)));
	CODE(f, "\x48\x83\xc4\x20\x5b\xc3"); /* add $0x20,%rsp; pop %rbx; ret */
	assert_true(f->text_len < KEYLOG);
}

static void add_keys(struct elf_file *f, enum damage damage)
{
	f->text_len = KEYS;
	CODE(f, "\x48\x83\xec\x58"); /* sub $0x58,%rsp */
	/* lea 0x20(%rdi),%rdx; lea 0x10(%rsp),%rax; mov $48,%esi; mov $64,%r9d */
	if (damage == MASTER_ELSEWHERE)
		CODE(f, "\x48\x8d\x57\x28");
	else
		CODE(f, "\x48\x8d\x57\x20");
	if (damage == SEED_ELSEWHERE)
		CODE(f, "\x48\x8d\x47\x10\x90");
	else
		CODE(f, "\x48\x8d\x44\x24\x10");
	elf_code(f, damage == OTHER_LENGTH ? "\xbe\x20\0\0\0" : "\xbe\x30\0\0\0", 5);
	elf_code(f, damage == OTHER_SEED_LENGTH ? "\x41\xb9\x20\0\0\0" : "\x41\xb9\x40\0\0\0", 6);
	elf_lea(f, R8, elf_vaddr(text_of(TEXTS, LABEL_MAX)));
	if (damage == SECOND_REFERENCE)
		elf_lea(f, R8, elf_vaddr(text_of(TEXTS, LABEL_MAX)));
	/* push three; mov $13,%ecx */
	CODE(f, "\x50\x50\x50");
	elf_code(f, damage == OTHER_LABEL_LENGTH ? "\xb9\x0e\0\0\0" : "\xb9\x0d\0\0\0", 5);
	elf_branch(f, X86_CALL, damage == OTHER_FUNCTION ? KEYLOG : STUB);
	CODE(f, "\x48\x83\xc4\x70\xc3"); /* add $0x70,%rsp; ret */
	assert_true(f->text_len <= PRF);
}

static void add_function(struct elf_file *f, const char *name, const char *code, size_t len)
{
	size_t pos = elf_code(f, code, len);

	elf_symbol(f, SECTION_DYNSYM, name, pos, len);
}
#define FUNCTION(f, name, code) add_function(f, name, code, sizeof(code) - 1)

static void build(struct elf_file *f, bool inlined, enum damage damage)
{
	static const size_t starts[] = { USER, KEYLOG, KEYS, PRF, STUB, SMALL, GOT };

	elf_init(f, EM_X86_64);
	memset(f->text, 0xc3, TEXTS);
	add_texts(f, TEXTS, "key expansion");
	strcpy((char *)f->text + text_of(TEXTS, LABEL_MAX) + 14, "Enabled GnuTLS 3.9.1 logging...");
	if (inlined)
		add_callbacks(f, damage);
	else
		add_keylog(f, damage);
	add_keys(f, damage);
	f->text_len = SMALL;
	/* lea or mov; movl $0x20,8(%rsi); mov %rax,(%rsi); ret */
	if (damage == NO_RANDOM_OFFSET)
		FUNCTION(f, "gnutls_session_get_random", "\x48\x8b\x47\x50\x48\x8b\x06\xc3");
	else
		FUNCTION(f, "gnutls_session_get_random",
			 "\x48\x8d\x47\x50\xc7\x46\x08\x20\0\0\0\x48\x89\x06\xc3");
	/* add $0x20,%rdi; mov %rdi,(%rsi); ret */
	FUNCTION(f, "gnutls_session_get_master_secret", "\x48\x83\xc7\x20\x48\x89\x3e\xc3");
	/* mov 0x660(%rdi),%rax; ret */
	FUNCTION(f, damage == NO_CALLBACK ? "g" : "gnutls_session_get_keylog_function",
		 "\x48\x8b\x87\x60\x06\0\0\xc3");
	FUNCTION(f, "gnutls_deinit", "\x90\xc3");
	FUNCTION(f, "gnutls_handshake", "\x90\xc3");
	elf_symbol(f, SECTION_DYNSYM, "_gnutls_prf_raw", PRF, 1);
	elf_unwind(f, starts, sizeof(starts) / sizeof(starts[0]));
	elf_stub(f, STUB, GOT, "_gnutls_prf_raw");
}

static int resolve(const struct elf_file *f, struct tls_sites *ret_sites)
{
	return resolve_file(f, &gnutls, ret_sites);
}

static void assert_place(const struct place *place, uint8_t reg, uint8_t width, int32_t add)
{
	assert_int_equal(place->reg, reg);
	assert_int_equal(place->width, width);
	assert_int_equal(place->add, add);
}

static void assert_prf(const struct tls_secret *secret)
{
	assert_int_equal(secret->fixed, LABEL_CLIENT_RANDOM);
	assert_int_equal(secret->offset, elf_offset(KEYS + 39));
	assert_place(&secret->handle, RDX, 8, -0x20);
	assert_place(&secret->secret, RDX, 8, 0);
	assert_place(&secret->len, RSI, 8, 0);
	assert_place(&secret->random, RSP, 8, 32);
	assert_int_equal(secret->random.loads, 1);
	assert_int_equal(secret->random.off[0], 0);
}

static void test_function(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	build(&f, false, DAMAGE_NONE);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_string_equal(sites.version, "3.9.1");
	assert_int_equal(sites.problem_count, 0);
	assert_int_equal(sites.secret_count, 2);
	assert_int_equal(sites.secret[0].offset, elf_offset(KEYLOG));
	assert_int_equal(sites.secret[0].fixed, LABEL_NONE);
	assert_place(&sites.secret[0].handle, RDI, 8, 0);
	assert_place(&sites.secret[0].label, RSI, 8, 0);
	assert_place(&sites.secret[0].random, RDI, 8, 0x50);
	assert_place(&sites.secret[0].secret, RDX, 8, 0);
	assert_place(&sites.secret[0].len, RCX, 4, 0);
	assert_prf(&sites.secret[1]);
	assert_int_equal(f.text[KEYS + 39], X86_CALL);
	assert_int_equal(sites.count, 2);
	assert_int_equal(sites.site[0].recipe->role, ROLE_FREE);
	assert_int_equal(sites.site[1].recipe->role, ROLE_HANDSHAKE);
}

static void test_callbacks(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	size_t i;

	(void)state;
	build(&f, true, DAMAGE_NONE);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.problem_count, 0);
	assert_int_equal(sites.secret_count, 7);
	for (i = 0; i < 6; i++) {
		const struct tls_secret *secret = &sites.secret[i];

		assert_memory_equal((uint8_t *)&f + secret->offset, "\xff\xd0", 2);
		assert_place(&secret->handle, RDI, 8, 0);
		assert_place(&secret->label, RSI, 8, 0);
		assert_place(&secret->random, RDI, 8, 0x50);
		assert_place(&secret->secret, RDX, 8, 0);
		assert_int_equal(secret->secret.loads, 1);
		assert_place(&secret->len, RDX, 4, 0);
		assert_int_equal(secret->len.loads, 1);
		assert_int_equal(secret->len.off[0], 8);
	}
	assert_prf(&sites.secret[6]);
}

/* Each leaves out what depends on it, and says so. */
static void test_doubt(void **state)
{
	static const struct {
		bool inlined;
		enum damage damage;
		size_t secrets;
	} cases[] = {
		{ false, NO_RANDOM_OFFSET, 1 },	 { false, NO_CALLBACK, 1 },
		{ false, OTHER_CALLBACK, 1 },	 { false, FEW_LABELS, 1 },
		{ false, TWO_TARGETS, 1 },	 { false, NOT_A_START, 1 },
		{ false, OTHER_LENGTH, 1 },	 { false, OTHER_LABEL_LENGTH, 1 },
		{ false, OTHER_SEED_LENGTH, 1 }, { false, SEED_ELSEWHERE, 1 },
		{ false, SECOND_REFERENCE, 1 },	 { false, OTHER_FUNCTION, 1 },
		{ true, FEW_CALLBACKS, 1 },	 { true, MISSING_LABEL, 1 },
		{ true, OTHER_MEMBER, 1 },	 { true, DATUM_ELSEWHERE, 1 },
		{ true, NO_RANDOM_OFFSET, 1 },	 { true, NO_CALLBACK, 1 },
		{ true, OTHER_LENGTH, 6 },
	};
	struct tls_sites sites;
	struct elf_file f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build(&f, cases[i].inlined, cases[i].damage);
		assert_int_equal(resolve(&f, &sites), 0);
		if (sites.secret_count != cases[i].secrets || sites.problem_count != 1)
			fail_msg("case %zu: %zu secrets, %zu problems", i, sites.secret_count,
				 sites.problem_count);
	}
}

/* The secret comes without its connection then. */
static void test_no_handle(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	build(&f, false, MASTER_ELSEWHERE);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.secret_count, 2);
	assert_int_equal(sites.secret[1].handle.width, 0);
}

static void test_other_files(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	build(&f, false, DAMAGE_NONE);
	f.shdr[SECTION_DYNSYM].sh_size = sizeof(Elf64_Sym);
	assert_int_equal(resolve(&f, &sites), -ENOENT);
	/* Without tables the exported functions are known, and nothing is certain of the code. */
	build(&f, false, DAMAGE_NONE);
	f.ehdr.e_phnum = 1;
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.count, 2);
	assert_ptr_equal(tls_by_soname("libgnutls.so.30"), &gnutls);
	assert_ptr_equal(tls_by_soname("libgnutls-4f2a.so.30.28.2"), &gnutls);
	assert_null(tls_by_soname("libgnutlsxx.so.30"));
}

/* Whatever is damaged, it must end, and what it finds must be in the file. */
static void test_damaged(void **state)
{
	struct elf_file f;
	size_t pos;

	(void)state;
	for (pos = 0; pos < ELF_FILE_LEN; pos += 3) {
		build(&f, pos % 2, DAMAGE_NONE);
		resolve_damaged(&f, pos);
	}
}

/* The library of this system. */
static void test_system_library(void **state)
{
	struct tls_sites sites;
	struct image *image;

	(void)state;
	if (image_open("/usr/lib/x86_64-linux-gnu/libgnutls.so.30", &image))
		skip();
	assert_int_equal(resolve_image(image, &gnutls, &sites), 0);
	assert_int_equal(sites.version[0], '3');
	assert_int_equal(sites.problem_count, 0);
	assert_in_range(sites.secret_count, 2, 8);
	assert_int_equal(sites.secret[sites.secret_count - 1].fixed, LABEL_CLIENT_RANDOM);
	assert_int_equal(sites.secret[sites.secret_count - 1].handle.width, 8);
	assert_int_equal(sites.missing_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_function),       cmocka_unit_test(test_callbacks),
		cmocka_unit_test(test_doubt),	       cmocka_unit_test(test_no_handle),
		cmocka_unit_test(test_other_files),    cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_system_library),
	};

	return cmocka_run_group_tests_name("gnutls", tests, NULL, NULL);
}

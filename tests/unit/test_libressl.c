/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf_tls.h"
#include "tls/library.h"

/* Where the functions begin. */
#define HANDSHAKE   0
#define APPLICATION 128
#define CLIENT	    320
#define SERVER	    400
#define FINISHED    448
#define METHOD	    512
#define CONNECT	    544
#define NEW	    576
#define IS_SERVER   624
#define TABLE	    1024

static struct tls_sites sites;

/* derive(&secrets->out, secrets->digest, &secrets->from, label, context) */
static void derive(struct elf_file *f, uint8_t out, uint8_t from, const char *label)
{
	CODE(f, "\x48\x8b\x33"); /* mov (%rbx),%rsi */
	CODE(f, "\x48\x8d\xbb"); /* lea out(%rbx),%rdi */
	elf_code(f, (uint8_t[4]) { out }, 4);
	CODE(f, "\x48\x8d\x93"); /* lea from(%rbx),%rdx */
	elf_code(f, (uint8_t[4]) { from }, 4);
	elf_lea(f, RCX, elf_string(f, label));
	elf_branch(f, X86_CALL, OTHER);
}

static void add_derives(struct elf_file *f)
{
	f->text_len = HANDSHAKE;
	CODE(f, "\x53\x48\x89\xfb"); /* push %rbx; mov %rdi,%rbx */
	derive(f, 0xa0, 0x90, "c hs traffic");
	derive(f, 0xb0, 0x90, "s hs traffic");
	derive(f, 0xc0, 0x90, "derived");
	CODE(f, "\x5b\xc3"); /* pop %rbx; ret */
	f->text_len = APPLICATION;
	CODE(f, "\x53\x48\x89\xfb");
	CODE(f, "\x4c\x8b\x8b\xc8\x00\x00\x00"); /* mov 0xc8(%rbx),%r9 */
	CODE(f, "\x4c\x8b\x83\xc0\x00\x00\x00"); /* mov 0xc0(%rbx),%r8 */
	elf_branch(f, X86_CALL, COPY);
	derive(f, 0xe0, 0xd0, "c ap traffic");
	derive(f, 0xf0, 0xd0, "s ap traffic");
	derive(f, 0x10, 0xd0, "exp master");
	CODE(f, "\x5b\xc3");
}

/* int f(ctx): derives with ctx->hs->secrets. */
static void add_caller(struct elf_file *f, size_t pos, size_t derives)
{
	f->text_len = pos;
	CODE(f, "\x53\x48\x89\xfb");		 /* push %rbx; mov %rdi,%rbx */
	CODE(f, "\x48\x8b\x43\x30");		 /* mov 0x30(%rbx),%rax */
	CODE(f, "\x48\x8b\xb8\x80\x01\x00\x00"); /* mov 0x180(%rax),%rdi */
	elf_branch(f, X86_CALL, derives);
	CODE(f, "\x85\xc0\x74\x09"); /* test %eax,%eax; je to the end */
	CODE(f, "\x48\x8b\x7b\x70"); /* mov 0x70(%rbx),%rdi */
	elf_branch(f, X86_CALL, OTHER);
	CODE(f, "\x5b\xc3");
}

/* new(mode, ssl), and who calls it. */
static void add_object(struct elf_file *f)
{
	size_t table;

	f->text_len = METHOD;
	table = elf_lea(f, RAX, elf_vaddr(TABLE));
	CODE(f, "\xc3");
	elf_symbol(f, SECTION_DYNSYM, "TLS_client_method", table, 8);
	f->text_len = CONNECT;
	CODE(f, "\x48\x89\xfe\xbf\x01\x00\x00\x00"); /* mov %rdi,%rsi; mov $1,%edi */
	elf_branch(f, X86_CALL, NEW);
	CODE(f, "\xc3");
	f->text_len = NEW;
	CODE(f, "\x55\x48\x89\xf5"); /* push %rbp; mov %rsi,%rbp */
	elf_branch(f, X86_CALL, OTHER);
	CODE(f, "\x48\x89\xc3");	     /* mov %rax,%rbx */
	CODE(f, "\x48\x8b\x45\x38");	     /* mov 0x38(%rbp),%rax */
	CODE(f, "\x48\x89\x6b\x28");	     /* mov %rbp,0x28(%rbx) */
	CODE(f, "\x48\x05\x18\x01\x00\x00"); /* add $0x118,%rax */
	CODE(f, "\x48\x89\x43\x30");	     /* mov %rax,0x30(%rbx) */
	CODE(f, "\x5d\xc3");
	f->text_len = IS_SERVER;
	CODE(f, "\x8b\x47\x34\xc3"); /* mov 0x34(%rdi),%eax; ret */
	elf_symbol(f, SECTION_DYNSYM, "SSL_is_server", IS_SERVER, 4);
	elf_rela(f, elf_vaddr(TABLE + 0x30), R_X86_64_RELATIVE, 0, elf_vaddr(CONNECT));
}

/* The randoms are behind a pointer, as in all libraries that have TLS 1.3 and no key log. */
static void add_keys(struct elf_file *f)
{
	f->text_len = KEYS;
	CODE(f, "\x48\x83\xec\x10");		 /* sub $0x10,%rsp */
	CODE(f, "\x48\x8b\x47\x38");		 /* mov 0x38(%rdi),%rax */
	CODE(f, "\x48\x8b\xb7\x88\x00\x00\x00"); /* mov 0x88(%rdi),%rsi */
	CODE(f, "\x4c\x8d\x48\x08");		 /* lea 8(%rax),%r9 */
	CODE(f, "\x48\x8b\x56\x08");		 /* mov 8(%rsi),%rdx */
	CODE(f, "\x48\x83\xc6\x10");		 /* add $0x10,%rsi */
	CODE(f, "\x41\xb8\x0d\x00\x00\x00");	 /* mov $13,%r8d */
	CODE(f, "\x48\x8d\x48\x28");		 /* lea 0x28(%rax),%rcx */
	CODE(f, "\x6a\x00\x6a\x00\x6a\x20\x51"); /* push $0, twice; push $0x20; push %rcx */
	elf_lea(f, RCX, elf_string(f, "key expansion"));
	CODE(f, "\x6a\x20"); /* push $0x20 */
	elf_branch(f, X86_CALL, OTHER);
	CODE(f, "\x48\x83\xc4\x38\xc3"); /* add $0x38,%rsp; ret */
}

static void build(struct elf_file *f)
{
	static const size_t starts[] = { HANDSHAKE, APPLICATION, CLIENT, SERVER,    FINISHED,
					 METHOD,    CONNECT,	 NEW,	 IS_SERVER, KEYS,
					 ACCESSOR,  COPY,	 OTHER,	 END };

	elf_init(f, EM_X86_64);
	elf_unwind(f, starts, sizeof(starts) / sizeof(starts[0]));
	add_derives(f);
	add_caller(f, CLIENT, HANDSHAKE);
	add_caller(f, SERVER, HANDSHAKE);
	add_caller(f, FINISHED, APPLICATION);
	add_object(f);
	add_keys(f);
	elf_symbol(f, SECTION_DYNSYM, "SSL_read", ACCESSOR, 4);
	elf_symbol(f, SECTION_DYNSYM, "SSL_CTX_load_verify_mem", ACCESSOR, 4);
}

static int resolve(const struct elf_file *f)
{
	struct tls_sites *found = NULL;
	struct image *image;
	size_t count;
	int r;

	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	r = tls_resolve(image, &found, &count);
	if (!r)
		sites = found[0];
	free(found);
	image_free(image);
	return r;
}

static bool problem(const char *text)
{
	size_t i;

	for (i = 0; i < sites.problem_count; i++) {
		if (strstr(sites.problem[i], text))
			return true;
	}
	return false;
}

/* The site of a secret behind a call; NULL: none. */
static const struct tls_secret *secret_at(size_t function, enum secret_label label)
{
	size_t i;

	/* From the function's beginning to the jump's end. */
	for (i = 0; i < sites.secret_count; i++) {
		if (sites.secret[i].offset == elf_offset(function + 24) &&
		    sites.secret[i].fixed == label)
			return &sites.secret[i];
	}
	return NULL;
}

static void check_place(const struct tls_secret *secret, int32_t data)
{
	assert_non_null(secret);
	assert_int_equal(secret->step, STEP_WHOLE);
	assert_int_equal(secret->secret.reg, RBX);
	assert_int_equal(secret->secret.width, 8);
	assert_int_equal(secret->secret.loads, 3);
	assert_int_equal(secret->secret.off[0], 0x30);
	assert_int_equal(secret->secret.off[1], 0x180);
	assert_int_equal(secret->secret.off[2], data);
	assert_int_equal(secret->secret.add, 0);
	assert_int_equal(secret->len.loads, 3);
	assert_int_equal(secret->len.off[2], data + 8);
	assert_int_equal(secret->random.reg, RBX);
	assert_int_equal(secret->random.loads, 2);
	assert_int_equal(secret->random.off[0], 0x28);
	assert_int_equal(secret->random.off[1], 0x38);
	assert_int_equal(secret->random.add, 0x28);
	/* Clients only. */
	assert_int_equal(secret->check.width, 4);
	assert_int_equal(secret->check.loads, 2);
	assert_int_equal(secret->check.off[0], 0x28);
	assert_int_equal(secret->check.off[1], 0x34);
	assert_int_equal(secret->check.add, 0);
	assert_int_equal(secret->expect, 0);
	assert_int_equal(secret->handle.loads, 1);
	assert_int_equal(secret->handle.off[0], 0x28);
}

static void test_found(void **state)
{
	struct elf_file f;

	(void)state;
	build(&f);
	assert_int_equal(resolve(&f), 0);
	assert_string_equal(tls_name(&sites), "libressl");
	assert_int_equal(sites.secret_count, 8);
	assert_int_equal(sites.secret[0].offset, elf_offset(KEYS));
	assert_int_equal(sites.secret[0].random.loads, 1);
	check_place(secret_at(CLIENT, LABEL_CLIENT_HANDSHAKE), 0xa0);
	check_place(secret_at(CLIENT, LABEL_SERVER_HANDSHAKE), 0xb0);
	check_place(secret_at(SERVER, LABEL_CLIENT_HANDSHAKE), 0xa0);
	check_place(secret_at(FINISHED, LABEL_CLIENT_TRAFFIC), 0xe0);
	check_place(secret_at(FINISHED, LABEL_SERVER_TRAFFIC), 0xf0);
	check_place(secret_at(FINISHED, LABEL_EXPORTER), 0x10);
	assert_true(problem("no secrets of TLS 1.3 of servers"));
}

static void test_name(void **state)
{
	struct elf_file f;

	(void)state;
	build(&f);
	/* Its libcrypto says which version; a program may have both in one file. */
	elf_string(&f, "LibreSSL 4.2.1");
	assert_int_equal(resolve(&f), 0);
	assert_string_equal(sites.version, "4.2.1");
	build(&f);
	f.dynsym_count--;
	memset(&f.dynsym[f.dynsym_count], 0, sizeof(f.dynsym[0]));
	assert_int_equal(resolve(&f), 0);
	assert_string_equal(tls_name(&sites), "openssl");
	assert_int_equal(sites.secret_count, 1);
	assert_true(problem("if it has that at all"));
}

/* Each takes away one part of the proof: then there is nothing of TLS 1.3. */
static void test_doubt(void **state)
{
	static const struct {
		size_t pos;
		const char *from, *to;
		size_t len;
	} cases[] = {
#define CASE(pos, from, to) { pos, from, to, sizeof(from) - 1 }
		/* The label goes elsewhere. */
		CASE(HANDSHAKE, "\x48\x8d\xbb\xa0", "\x48\x8d\xb9\xa0"),
		/* From another object. */
		CASE(HANDSHAKE, "\x48\x8d\x93\x90", "\x48\x8d\x91\x90"),
		/* Bytes and length are not side by side. */
		CASE(APPLICATION, "\x4c\x8b\x8b\xc8", "\x4c\x8b\x8b\xd0"),
		/* They are those of another secret. */
		CASE(APPLICATION, "\x4c\x8b\x83\xc0", "\x4c\x8b\x83\xc4"),
		/* Nothing is tested. */
		CASE(CLIENT, "\x85\xc0\x74", "\x85\xdb\x74"),
		CASE(SERVER, "\x85\xc0\x74", "\x85\xc0\x75"),
		/* The secrets are in two places. */
		CASE(SERVER, "\xb8\x80\x01", "\xb8\x88\x01"),
		CASE(FINISHED, "\x43\x30\x48", "\x43\x38\x48"),
		/* No register has the connection. */
		CASE(FINISHED, "\x53\x48\x89\xfb\x48\x8b\x43\x30",
		     "\x53\x48\x31\xdb\x48\x8b\x47\x30"),
		/* Not the table of methods. */
		CASE(METHOD, "\x48\x8d\x05", "\x48\x8d\x0d"),
		/* What makes the object does not get the SSL. */
		CASE(CONNECT, "\x48\x89\xfe", "\x48\x89\xc6"),
		/* It stores it in another object, */
		CASE(NEW, "\x48\x89\x6b\x28", "\x48\x89\x69\x28"),
		/* stores something else, */
		CASE(NEW, "\x48\x89\x6b\x28", "\x48\x89\x73\x28"),
		/* something of another pointer, */
		CASE(NEW, "\x48\x8b\x45\x38", "\x48\x8b\x45\x40"),
		/* or that elsewhere. */
		CASE(NEW, "\x48\x89\x43\x30", "\x48\x89\x43\x40"),
		/* Who is a server is not known. */
		CASE(IS_SERVER, "\x8b\x47\x34", "\x8b\x46\x34"),
#undef CASE
	};
	struct elf_file f;
	uint8_t *p;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		build(&f);
		p = memmem(f.text + cases[i].pos, 128, cases[i].from, cases[i].len);
		assert_non_null(p);
		memcpy(p, cases[i].to, cases[i].len);
		assert_int_equal(resolve(&f), 0);
		assert_int_equal(sites.secret_count, 1);
		assert_true(problem("the code that derives them is not understood"));
	}
}

/* A third caller: which one is what is not certain. */
static void test_callers(void **state)
{
	struct elf_file f;

	(void)state;
	build(&f);
	f.text_len = OTHER;
	elf_branch(&f, X86_CALL, HANDSHAKE);
	assert_int_equal(resolve(&f), 0);
	assert_int_equal(sites.secret_count, 1);
	/* Nobody calls one of them. */
	build(&f);
	memset(f.text + FINISHED, 0x90, METHOD - FINISHED);
	assert_int_equal(resolve(&f), 0);
	assert_int_equal(sites.secret_count, 1);
	/* A jump to behind the call. */
	build(&f);
	memcpy(f.text + CLIENT + 4, "\xeb\x12", 2);
	assert_int_equal(resolve(&f), 0);
	assert_int_equal(sites.secret_count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_callers),
	};

	return cmocka_run_group_tests_name("libressl", tests, NULL, NULL);
}

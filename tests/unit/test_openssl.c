/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf_build.h"
#include "tls/library.h"

#define CODE(f, bytes) elf_code(f, bytes, sizeof(bytes) - 1)
#define CALL	       0xe8
/* Where the functions behind the exported ones are. */
#define READ_INTERNAL  700
#define WRITE_INTERNAL 720
#define PEEK_INTERNAL  740
#define QUIC_READ      760

/* Calls with a local variable for the number of bytes, in rcx or r8. */
static void add_plain(struct elf_file *f, const char *name, size_t internal, bool in_r8)
{
	size_t pos = CODE(f, "\x48\x83\xec\x18"); /* sub $0x18,%rsp */

	CODE(f, "\x48\x63\xd2"); /* movslq %edx,%rdx */
	if (in_r8)
		CODE(f, "\x31\xc9\x49\x89\xe0"); /* xor %ecx,%ecx; mov %rsp,%r8 */
	else
		CODE(f, "\x48\x89\xe1"); /* mov %rsp,%rcx */
	elf_branch(f, CALL, internal);
	CODE(f, "\x48\x83\xc4\x18\xc3"); /* add $0x18,%rsp; ret */
	elf_symbol(f, SECTION_DYNSYM, name, pos, f->text_len - pos);
}

/* Hands all arguments on. */
static void add_ex(struct elf_file *f, const char *name, size_t internal)
{
	size_t pos = CODE(f, "\x48\x83\xec\x08"); /* sub $8,%rsp */

	elf_branch(f, CALL, internal);
	CODE(f, "\x48\x83\xc4\x08\xc3"); /* add $8,%rsp; ret */
	elf_symbol(f, SECTION_DYNSYM, name, pos, f->text_len - pos);
}

/* As above, but the internal function is in it: a method call, and one for QUIC. */
static void add_inlined(struct elf_file *f, const char *name, bool ex)
{
	size_t pos = CODE(f, "\x48\x83\xec\x18"); /* sub $0x18,%rsp */

	CODE(f, "\x48\x8b\x47\x18");	 /* mov 0x18(%rdi),%rax */
	CODE(f, "\x85\xc0\x74\x08");	 /* test %eax,%eax; je over the next three */
	CODE(f, "\xff\x50\x38");	 /* call *0x38(%rax) */
	CODE(f, "\x48\x83\xc4\x18\xc3"); /* add $0x18,%rsp; ret */
	if (!ex)
		CODE(f, "\x48\x89\xe1"); /* mov %rsp,%rcx */
	elf_branch(f, CALL, QUIC_READ);
	CODE(f, "\x48\x83\xc4\x18\xc3"); /* add $0x18,%rsp; ret */
	elf_symbol(f, SECTION_DYNSYM, name, pos, f->text_len - pos);
}

static void add_rest(struct elf_file *f)
{
	size_t pos = CODE(f, "\xc3");

	memset(f->text + READ_INTERNAL, 0xc3, ELF_TEXT_LEN - READ_INTERNAL);
	elf_symbol(f, SECTION_DYNSYM, "SSL_free", pos, 1);
	pos = CODE(f, "\xc3");
	elf_symbol(f, SECTION_DYNSYM, "SSL_clear", pos, 1);
}

static void build_reads(struct elf_file *f)
{
	add_plain(f, "SSL_read", READ_INTERNAL, false);
	add_ex(f, "SSL_read_ex", READ_INTERNAL);
	add_plain(f, "SSL_peek", PEEK_INTERNAL, false);
}

static void build_writes(struct elf_file *f)
{
	add_plain(f, "SSL_write", WRITE_INTERNAL, false);
	add_ex(f, "SSL_write_ex", WRITE_INTERNAL);
}

static int resolve(const struct elf_file *f, struct tls_sites *ret_sites)
{
	const struct tls_library *library = NULL;
	struct image *image;
	int err;

	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	err = tls_resolve(image, &library, ret_sites);
	image_free(image);
	if (!err)
		assert_ptr_equal(library, &openssl);
	return err;
}

static const struct tls_site *site(const struct tls_sites *sites, const char *function)
{
	size_t i;

	for (i = 0; i < sites->count; i++) {
		if (!strcmp(sites->site[i].function, function))
			return &sites->site[i];
	}
	return NULL;
}

static bool missing(const struct tls_sites *sites, const char *function)
{
	size_t i;

	for (i = 0; i < sites->missing_count; i++) {
		if (!strcmp(sites->missing[i]->function, function))
			return true;
	}
	return false;
}

#define READ_SITE  "ssl_read_internal (behind SSL_read)"
#define WRITE_SITE "ssl_write_internal (behind SSL_write)"

static void test_internal(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	build_reads(&f);
	build_writes(&f);
	add_rest(&f);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_true(sites.internal);
	assert_int_equal(sites.count, 4);
	assert_int_equal(site(&sites, READ_SITE)->offset, elf_offset(READ_INTERNAL));
	assert_int_equal(site(&sites, READ_SITE)->out_arg, 3);
	assert_int_equal(site(&sites, READ_SITE)->rung, RUNG_CODE);
	assert_int_equal(site(&sites, READ_SITE)->recipe->dir, DIR_IN);
	assert_int_equal(site(&sites, WRITE_SITE)->offset, elf_offset(WRITE_INTERNAL));
	assert_int_equal(site(&sites, WRITE_SITE)->recipe->dir, DIR_OUT);
	assert_int_equal(site(&sites, "SSL_free")->recipe->role, ROLE_FREE);
	assert_non_null(site(&sites, "SSL_clear"));
	/* Only what is lost is missing: not what the internal functions make up for. */
	assert_int_equal(sites.missing_count, 1);
	assert_true(missing(&sites, "SSL_sendfile"));
}

/* OpenSSL 3.3: ssl_write_internal has flags before the pointer. */
static void test_write_flags(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	build_reads(&f);
	add_plain(&f, "SSL_write", WRITE_INTERNAL, true);
	/* Its code is not looked at: it may jump through the PLT. */
	elf_symbol(&f, SECTION_DYNSYM, "SSL_write_ex", CODE(&f, "\xff\x25\0\0\0\0"), 6);
	add_ex(&f, "SSL_write_ex2", WRITE_INTERNAL);
	add_rest(&f);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_true(sites.internal);
	assert_int_equal(site(&sites, READ_SITE)->out_arg, 3);
	assert_int_equal(site(&sites, WRITE_SITE)->offset, elf_offset(WRITE_INTERNAL));
	assert_int_equal(site(&sites, WRITE_SITE)->out_arg, 4);
}

/* Builds with the internal function inlined, as Node.js: symbol and QUIC call mislead. */
static void test_inlined(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	add_inlined(&f, "SSL_read", false);
	add_inlined(&f, "SSL_read_ex", true);
	build_writes(&f);
	add_rest(&f);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_false(sites.internal);
	assert_null(site(&sites, READ_SITE));
	assert_int_equal(site(&sites, "SSL_read")->rung, RUNG_DYNSYM);
	assert_int_equal(site(&sites, "SSL_read")->recipe->result, RESULT_COUNT);
	assert_int_equal(site(&sites, "SSL_read_ex")->out_arg, 3);
	assert_true(missing(&sites, "SSL_read_early_data"));
	assert_non_null(site(&sites, WRITE_SITE));
	elf_symbol(&f, SECTION_SYMTAB, "ssl_read_internal", READ_INTERNAL, 8);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_null(site(&sites, READ_SITE));
	assert_non_null(site(&sites, "SSL_read"));
}

static void test_symbol(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	Elf64_Sym *sym;

	(void)state;
	elf_init(&f, EM_X86_64);
	build_reads(&f);
	build_writes(&f);
	add_rest(&f);
	sym = elf_symbol(&f, SECTION_SYMTAB, "ssl_read_internal", READ_INTERNAL, 8);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(site(&sites, READ_SITE)->rung, RUNG_SYMTAB);
	sym->st_value++;
	assert_int_equal(resolve(&f, &sites), 0);
	assert_null(site(&sites, READ_SITE));
	assert_non_null(site(&sites, "SSL_read"));
}

/* Each takes away one part of the proof; SSL_read is probed then. */
static void test_doubt(void **state)
{
	static const struct {
		size_t plain, ex, peek;
		bool in_r8;
	} cases[] = {
		{ READ_INTERNAL, QUIC_READ, PEEK_INTERNAL, false },	/* they do not meet */
		{ READ_INTERNAL, READ_INTERNAL, READ_INTERNAL, false }, /* SSL_peek calls it too */
		{ WRITE_INTERNAL, WRITE_INTERNAL, PEEK_INTERNAL, false }, /* SSL_write as well */
		{ READ_INTERNAL, READ_INTERNAL, PEEK_INTERNAL, true },	  /* another argument */
	};
	struct tls_sites sites;
	struct elf_file f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		elf_init(&f, EM_X86_64);
		add_plain(&f, "SSL_read", cases[i].plain, cases[i].in_r8);
		add_ex(&f, "SSL_read_ex", cases[i].ex);
		add_plain(&f, "SSL_peek", cases[i].peek, false);
		build_writes(&f);
		add_rest(&f);
		assert_int_equal(resolve(&f, &sites), 0);
		assert_null(site(&sites, READ_SITE));
		assert_non_null(site(&sites, "SSL_read"));
		assert_non_null(site(&sites, "SSL_read_ex"));
	}
}

static void test_stub(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	build_reads(&f);
	build_writes(&f);
	add_rest(&f);
	/* endbr64; bnd jmp *0x100(%rip) */
	memcpy(f.text + READ_INTERNAL, "\xf3\x0f\x1e\xfa\xf2\xff\x25\x00\x01\x00\x00", 11);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_null(site(&sites, READ_SITE));
	assert_non_null(site(&sites, "SSL_read"));
}

static void test_other_files(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	add_rest(&f);
	assert_int_equal(resolve(&f, &sites), -ENOENT);
	/* Without a decoder the exported functions remain; merged ones are one site. */
	elf_init(&f, EM_AARCH64);
	build_reads(&f);
	elf_symbol(&f, SECTION_DYNSYM, "SSL_write", 32, 4);
	elf_symbol(&f, SECTION_DYNSYM, "SSL_write_ex", 32, 4);
	add_rest(&f);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_false(sites.internal);
	assert_non_null(site(&sites, "SSL_read"));
	assert_non_null(site(&sites, "SSL_write"));
	assert_null(site(&sites, "SSL_write_ex"));
	assert_false(missing(&sites, "SSL_write_ex"));
	assert_true(missing(&sites, "SSL_write_ex2"));
}

static void test_soname(void **state)
{
	(void)state;
	assert_ptr_equal(tls_by_soname("libssl.so.3"), &openssl);
	assert_ptr_equal(tls_by_soname("libssl.so.1.1"), &openssl);
	assert_ptr_equal(tls_by_soname("libssl-8bd944e8.so.3"), &openssl);
	assert_null(tls_by_soname("libssl3.so")); /* NSS */
	assert_null(tls_by_soname("libcrypto.so.3"));
	assert_null(tls_by_soname(""));
}

/* The library of this system, if it is one whose layout is known. */
static void test_system_library(void **state)
{
	struct tls_sites sites;
	const struct tls_library *library;
	struct image *image;

	(void)state;
	if (image_open("/usr/lib/x86_64-linux-gnu/libssl.so.3", &image))
		skip();
	assert_int_equal(tls_resolve(image, &library, &sites), 0);
	image_free(image);
	assert_true(sites.internal);
	assert_int_equal(sites.count, 5);
	assert_int_equal(sites.missing_count, 0);
	assert_int_equal(site(&sites, READ_SITE)->out_arg, 3);
	assert_in_range(site(&sites, WRITE_SITE)->out_arg, 3, 4);
	assert_non_null(site(&sites, "SSL_sendfile"));
	assert_non_null(site(&sites, "SSL_free"));
	assert_non_null(site(&sites, "SSL_clear"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_internal),       cmocka_unit_test(test_write_flags),
		cmocka_unit_test(test_inlined),	       cmocka_unit_test(test_symbol),
		cmocka_unit_test(test_doubt),	       cmocka_unit_test(test_stub),
		cmocka_unit_test(test_other_files),    cmocka_unit_test(test_soname),
		cmocka_unit_test(test_system_library),
	};

	return cmocka_run_group_tests_name("openssl", tests, NULL, NULL);
}

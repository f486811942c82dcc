/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf_library.h"

/* Where the functions behind the exported ones are. */
#define READ_INTERNAL  700
#define WRITE_INTERNAL 720
#define PEEK_INTERNAL  740
#define QUIC_READ      760
/* ssl_read_bytes and two more methods, memcpy, its pointer, and the table of methods. */
#define READ_BYTES  800
#define WRITE_BYTES 860
#define COPY_STUB   900
#define GOT	    920
#define METHODS	    4096

/* Calls with a local variable for the number of bytes, in rcx or r8. */
static void add_plain(struct elf_file *f, const char *name, size_t internal, bool in_r8)
{
	size_t pos = CODE(f, "\x48\x83\xec\x18"); /* sub $0x18,%rsp */

	CODE(f, "\x48\x63\xd2"); /* movslq %edx,%rdx */
	if (in_r8)
		CODE(f, "\x31\xc9\x49\x89\xe0"); /* xor %ecx,%ecx; mov %rsp,%r8 */
	else
		CODE(f, "\x48\x89\xe1"); /* mov %rsp,%rcx */
	elf_branch(f, X86_CALL, internal);
	CODE(f, "\x48\x83\xc4\x18\xc3"); /* add $0x18,%rsp; ret */
	elf_symbol(f, SECTION_DYNSYM, name, pos, f->text_len - pos);
}

/* Hands all arguments on. */
static void add_ex(struct elf_file *f, const char *name, size_t internal)
{
	size_t pos = CODE(f, "\x48\x83\xec\x08"); /* sub $8,%rsp */

	elf_branch(f, X86_CALL, internal);
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
	elf_branch(f, X86_CALL, QUIC_READ);
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
	return resolve_file(f, &openssl, ret_sites);
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
	assert_int_equal(sites.missing_count, 2);
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

/* Copies to its argument 3; without peek in the frame it is some other function. */
static void add_read_bytes(struct elf_file *f, size_t pos, bool peek)
{
	size_t len = f->text_len;

	f->text_len = pos;
	CODE(f, "\x53\x48\x83\xec\x10\x48\x89\xfb"); /* push %rbx; sub $0x10,%rsp; mov %rdi,%rbx */
	CODE(f, "\x40\x88\x74\x24\x0f");	     /* mov %sil,0xf(%rsp) */
	if (peek)
		CODE(f, "\x44\x89\x4c\x24\x08"); /* mov %r9d,8(%rsp) */
	CODE(f, "\x48\x89\xcf\x48\x89\xd6");	 /* mov %rcx,%rdi; mov %rdx,%rsi */
	elf_branch(f, X86_CALL, COPY_STUB);
	CODE(f, "\x8b\x44\x24\x08\x8a\x4c\x24\x0f"); /* mov 8(%rsp),%eax; mov 0xf(%rsp),%cl */
	CODE(f, "\x48\x83\xc4\x10\x5b\xc3");	     /* add $0x10,%rsp; pop %rbx; ret */
	f->text_len = len;
}

static void build_methods(struct elf_file *f)
{
	static const size_t starts[] = { READ_BYTES, WRITE_BYTES, COPY_STUB, GOT };
	uint64_t table = elf_vaddr(METHODS);
	int32_t distance;
	size_t pos;

	elf_init(f, EM_X86_64);
	build_reads(f);
	build_writes(f);
	pos = CODE(f, "\xf3\x0f\x1e\xfa\x48\x8d\x05\0\0\0\0\xc3"); /* endbr64; lea; ret */
	distance = (int32_t)(METHODS - (pos + 11));
	memcpy(f->text + pos + 7, &distance, sizeof(distance));
	elf_symbol(f, SECTION_DYNSYM, "TLS_method", pos, 12);
	add_rest(f);
	elf_unwind(f, starts, 4);
	elf_stub(f, COPY_STUB, GOT, "memcpy");
	elf_rela(f, table + 0x10, R_X86_64_RELATIVE, 0, elf_vaddr(WRITE_INTERNAL));
	elf_rela(f, table + 0x68, R_X86_64_RELATIVE, 0, elf_vaddr(READ_BYTES));
	elf_rela(f, table + 0x70, R_X86_64_RELATIVE, 0, elf_vaddr(WRITE_BYTES));
	elf_rela(f, table + 0x78, R_X86_64_RELATIVE, 0, elf_vaddr(READ_BYTES));
	add_read_bytes(f, READ_BYTES, true);
}

static void test_records(void **state)
{
	struct tls_sites sites;
	const struct tls_site *record = &sites.record[0];
	struct elf_file f;

	(void)state;
	build_methods(&f);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_true(sites.internal);
	assert_int_equal(sites.count, 4);
	assert_int_equal(sites.record_count, 1);
	assert_int_equal(record->recipe->role, ROLE_RECORD);
	assert_int_equal(record->recipe->dir, DIR_IN);
	assert_int_equal(record->rung, RUNG_CODE);
	assert_int_equal(record->offset, elf_offset(READ_BYTES + 24));
	assert_int_equal(f.text[READ_BYTES + 24], X86_CALL);
	assert_int_equal(record->handle.reg, 3);
	assert_int_equal(record->handle.width, 8);
	assert_int_equal(record->type.reg, 4);
	assert_int_equal(record->type.loads, 1);
	assert_int_equal(record->type.off[0], 0xf);
	assert_int_equal(record->type.width, 1);
	assert_int_equal(record->peek.reg, 4);
	assert_int_equal(record->peek.loads, 1);
	assert_int_equal(record->peek.off[0], 8);
	assert_int_equal(record->peek.width, 4);
}

/* Each leaves no site; all else stays. */
static void test_no_records(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	int i;

	(void)state;
	for (i = 0; i < 5; i++) {
		build_methods(&f);
		if (i == 0) /* two methods fit */
			add_read_bytes(&f, WRITE_BYTES, true);
		else if (i == 1) /* an argument's place is not known */
			add_read_bytes(&f, READ_BYTES, false);
		else if (i == 2) /* the method is not in the table */
			f.shdr[SECTION_SYMTAB].sh_size = 2 * sizeof(Elf64_Rela);
		else if (i == 3) /* another function than memcpy */
			memcpy(f.strings + f.dynsym[f.dynsym_count - 1].st_name, "strcpy", 6);
		else /* where functions end is not known */
			f.ehdr.e_phnum = 1;
		assert_int_equal(resolve(&f, &sites), 0);
		assert_int_equal(sites.record_count, 0);
		assert_true(sites.internal);
		assert_int_equal(sites.count, 4);
	}
	/* A second function that does not fit is none of our business. */
	build_methods(&f);
	add_read_bytes(&f, WRITE_BYTES, false);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.record_count, 1);
}

static void test_soname(void **state)
{
	(void)state;
	assert_ptr_equal(tls_by_soname("libssl.so.3"), &openssl);
	assert_ptr_equal(tls_by_soname("libssl.so.1.1"), &openssl);
	assert_ptr_equal(tls_by_soname("libssl-8bd944e8.so.3"), &openssl);
	assert_ptr_equal(tls_by_soname("libssl3.so"), &nss);
	assert_null(tls_by_soname("libcrypto.so.3"));
	assert_null(tls_by_soname(""));
}

/* The library of this system, if it is one whose layout is known. */
static void test_system_library(void **state)
{
	struct tls_sites sites, *found;
	struct image *image;
	size_t count, i;

	(void)state;
	if (image_open("/usr/lib/x86_64-linux-gnu/libssl.so.3", &image))
		skip();
	assert_int_equal(tls_resolve(image, &found, &count), 0);
	image_free(image);
	sites = *found;
	free(found);
	assert_true(sites.internal);
	assert_int_equal(sites.count, 6);
	assert_int_equal(sites.missing_count, 0);
	assert_int_equal(site(&sites, READ_SITE)->out_arg, 3);
	assert_in_range(site(&sites, WRITE_SITE)->out_arg, 3, 4);
	assert_non_null(site(&sites, "SSL_sendfile"));
	assert_non_null(site(&sites, "SSL_free"));
	assert_non_null(site(&sites, "SSL_clear"));
	for (i = 0; i < sites.record_count; i++) {
		assert_int_equal(sites.record[i].recipe->role, ROLE_RECORD);
		assert_int_equal(sites.record[i].handle.width, 8);
		assert_in_range(sites.record[i].type.width, 1, 4);
		assert_in_range(sites.record[i].peek.width, 1, 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_internal),       cmocka_unit_test(test_write_flags),
		cmocka_unit_test(test_inlined),	       cmocka_unit_test(test_symbol),
		cmocka_unit_test(test_doubt),	       cmocka_unit_test(test_stub),
		cmocka_unit_test(test_other_files),    cmocka_unit_test(test_soname),
		cmocka_unit_test(test_records),	       cmocka_unit_test(test_no_records),
		cmocka_unit_test(test_system_library),
	};

	return cmocka_run_group_tests_name("openssl", tests, NULL, NULL);
}

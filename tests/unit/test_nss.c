/* SPDX-License-Identifier: Apache-2.0 */
/* NSS in small files made here, and in the system's own. */
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

enum damage {
	DAMAGE_NONE,
	/* libssl3.so */
	FEW_LABELS,	   /* four lead to the function */
	TWO_TARGETS,	   /* two of them elsewhere */
	NOT_A_START,	   /* they lead into the middle of a function */
	SERVER_FAR,	   /* the randoms are not side by side */
	MIXED_BASES,	   /* they come from two places */
	BASE_CHANGED,	   /* in the middle of the copy */
	VECTOR_CHANGED,	   /* before it is stored */
	CALL_BETWEEN,	   /* the copy */
	SHORT_COPY,	   /* three quarters of it */
	TWO_COPIES_DIFFER, /* from two places */
	OTHER_EXPORTER,	   /* no such symbol */
	/* libsoftokn3.so */
	TABLE_HOLE,	 /* a pointer is missing */
	TABLE_OTHER,	 /* the entry of the getter is another function */
	TABLE_TWO,	 /* there are two lists */
	TABLE_NOT_GIVEN, /* but something else */
	DERIVE_MIDDLE,	 /* C_DeriveKey is in the middle of a function */
	NO_CLASS,	 /* no object's class is set */
	CLASS_NO_LOCAL,	 /* or from somewhere else */
	ONE_VALUE,	 /* its value is set once */
	TWO_FORCES,	 /* two functions set both */
	FORCE_MIDDLE,	 /* in the middle of a function */
	ONE_EXPANSION,	 /* keys are made once */
	SAME_ARGUMENT,	 /* both calls get the label in the same place */
	THREE_REFERENCES,
	DAMAGES,
};

/* libssl3.so: where things are. */
#define USER	 0
#define DERIVE	 160
#define EXPORTER 192
#define REST	 384
#define TEXTS	 640

static void add_users(struct elf_file *f, enum damage damage)
{
	int i, first = damage == FEW_LABELS ? 5 : 2;

	f->text_len = USER;
	CODE(f, "\x53\x48\x89\xfb"); /* push %rbx; mov %rdi,%rbx */
	for (i = first; i <= LABELS; i++) {
		CODE(f, "\x48\x89\xdf"); /* mov %rbx,%rdi */
		elf_lea(f, R8, elf_vaddr(text_of(TEXTS, i)));
		if (damage == TWO_TARGETS && i < 4)
			elf_branch(f, X86_CALL, REST);
		else
			elf_branch(f, X86_CALL, damage == NOT_A_START ? DERIVE + 1 : DERIVE);
	}
	CODE(f, "\x5b\xc3"); /* pop %rbx; ret */
	assert_true(f->text_len <= DERIVE);
}

/* movdqu off(%rdi),%xmm0; movups %xmm0,at(%rax) */
static void add_piece(struct elf_file *f, int32_t off, uint8_t at, enum damage damage)
{
	elf_code(f, damage == MIXED_BASES && at ? "\xf3\x0f\x6f\x82" : "\xf3\x0f\x6f\x87", 4);
	elf_code(f, &off, sizeof(off));
	if (damage == VECTOR_CHANGED && at == 32)
		CODE(f, "\x66\x0f\xef\xc0"); /* pxor %xmm0,%xmm0 */
	CODE(f, "\x0f\x11\x40");
	elf_code(f, &at, 1);
}

static void add_exporter(struct elf_file *f, enum damage damage)
{
	int32_t server = damage == SERVER_FAR ? 0x700 : 0x600;

	f->text_len = EXPORTER;
	add_piece(f, 0x620, 0, damage);
	add_piece(f, 0x630, 16, damage);
	if (damage == BASE_CHANGED)
		CODE(f, "\x48\x89\xf7"); /* mov %rsi,%rdi */
	if (damage == CALL_BETWEEN)
		elf_branch(f, X86_CALL, REST);
	add_piece(f, server, 32, damage);
	if (damage != SHORT_COPY)
		add_piece(f, server + 16, 48, damage);
	if (damage == TWO_COPIES_DIFFER) {
		add_piece(f, 0x720, 0, damage);
		add_piece(f, 0x730, 16, damage);
		add_piece(f, 0x700, 32, damage);
		add_piece(f, 0x710, 48, damage);
	}
	CODE(f, "\xc3");
	assert_true(f->text_len <= REST);
	elf_symbol(f, SECTION_DYNSYM,
		   damage == OTHER_EXPORTER ? "SSL_OtherSymbol" : "SSL_ExportKeyingMaterial",
		   EXPORTER, f->text_len - EXPORTER);
}

static void build_ssl(struct elf_file *f, enum damage damage)
{
	static const size_t starts[] = { USER, DERIVE, EXPORTER, REST, TEXTS };

	elf_init(f, EM_X86_64);
	memset(f->text, 0xc3, TEXTS);
	add_texts(f, TEXTS, "Version: NSS 3.99");
	add_users(f, damage);
	add_exporter(f, damage);
	elf_unwind(f, starts, sizeof(starts) / sizeof(starts[0]));
}

/* libsoftokn3.so: where things are. */
#define TABLE	   0 /* of pointers; elf_vaddr() makes it even */
#define POINTERS   68
#define GETTER	   560
#define DERIVE_KEY 592
#define FORCE	   752
#define FORCE2	   760
#define EXPAND	   768
#define PRF	   848
#define KEY_TEXT   880

static void set_pointer(struct elf_file *f, size_t n, size_t pos)
{
	uint64_t vaddr = elf_vaddr(pos);

	memcpy(f->text + TABLE + 8 + 8 * n, &vaddr, sizeof(vaddr));
}

static void add_table(struct elf_file *f, enum damage damage)
{
	size_t i;

	for (i = 0; i < POINTERS; i++)
		set_pointer(f, i, PRF);
	set_pointer(f, 3, damage == TABLE_OTHER ? PRF : GETTER);
	set_pointer(f, 62, damage == DERIVE_MIDDLE ? DERIVE_KEY + 4 : DERIVE_KEY);
	elf_relr(f, elf_vaddr(TABLE + 8));
	elf_relr(f, damage == TABLE_HOLE ? UINT64_MAX & ~(UINT64_C(1) << 9) : UINT64_MAX);
	elf_relr(f, 0x1f);
	f->text_len = GETTER;
	elf_lea(f, RAX, elf_vaddr(damage == TABLE_NOT_GIVEN ? PRF : TABLE));
	CODE(f, "\x48\x89\x07"); /* mov %rax,(%rdi) */
	if (damage == TABLE_TWO) {
		elf_lea(f, RAX, elf_vaddr(TABLE + 8));
		CODE(f, "\x48\x89\x07");
	}
	CODE(f, "\xc3");
	elf_symbol(f, SECTION_DYNSYM, "NSC_GetFunctionList", GETTER, f->text_len - GETTER);
}

/* A call of (object, type, address, size). */
static void add_force(struct elf_file *f, uint8_t type, bool local, uint8_t size, size_t target)
{
	CODE(f, "\x48\x89\xdf"); /* mov %rbx,%rdi */
	CODE(f, "\xbe");	 /* mov $type,%esi */
	elf_code(f, &type, 1);
	CODE(f, "\0\0\0");
	/* lea 8(%rsp),%rdx or mov %rbx,%rdx */
	elf_code(f, local ? "\x48\x8d\x54\x24\x08" : "\x48\x89\xda\x90\x90", 5);
	CODE(f, "\xb9"); /* mov $size,%ecx */
	elf_code(f, &size, 1);
	CODE(f, "\0\0\0");
	elf_branch(f, X86_CALL, target);
}

static void add_derive_key(struct elf_file *f, enum damage damage)
{
	size_t force = damage == FORCE_MIDDLE ? FORCE + 4 : FORCE;

	f->text_len = DERIVE_KEY;
	CODE(f, "\x53\x48\x83\xec\x20\x48\x89\xfb"); /* push; sub $0x20,%rsp; mov %rdi,%rbx */
	if (damage != NO_CLASS)
		add_force(f, 0, damage != CLASS_NO_LOCAL, 8, force);
	add_force(f, 0x11, true, 32, force);
	if (damage != ONE_VALUE)
		add_force(f, 0x11, false, 48, force);
	if (damage == TWO_FORCES) {
		add_force(f, 0, true, 8, FORCE2);
		add_force(f, 0x11, true, 32, FORCE2);
		add_force(f, 0x11, true, 32, FORCE2);
	}
	CODE(f, "\x48\x83\xc4\x20\x5b\xc3"); /* add $0x20,%rsp; pop %rbx; ret */
	assert_true(f->text_len <= FORCE);
}

static void add_expansions(struct elf_file *f, enum damage damage)
{
	f->text_len = EXPAND;
	CODE(f, "\x48\x83\xec\x08"); /* sub $8,%rsp */
	elf_lea(f, RDX, elf_vaddr(KEY_TEXT));
	elf_branch(f, X86_CALL, PRF);
	if (damage != ONE_EXPANSION) {
		elf_lea(f, damage == SAME_ARGUMENT ? RDX : RSI, elf_vaddr(KEY_TEXT));
		elf_branch(f, X86_CALL, PRF);
	}
	if (damage == THREE_REFERENCES)
		elf_lea(f, RDX, elf_vaddr(KEY_TEXT));
	CODE(f, "\x48\x83\xc4\x08\xc3");
	assert_true(f->text_len <= PRF);
}

static void build_softoken(struct elf_file *f, enum damage damage)
{
	static const size_t starts[] = { TABLE, GETTER, DERIVE_KEY, FORCE, FORCE2, EXPAND, PRF };

	elf_init(f, EM_X86_64);
	memset(f->text, 0xc3, KEY_TEXT);
	strcpy((char *)f->text + KEY_TEXT, "key expansion");
	strcpy((char *)f->text + KEY_TEXT + 16, "Version: NSS 3.99.1 Basic ECC");
	add_table(f, damage);
	add_derive_key(f, damage);
	add_expansions(f, damage);
	elf_unwind(f, starts, sizeof(starts) / sizeof(starts[0]));
}

static int resolve(const struct elf_file *f, struct tls_sites *ret_sites)
{
	return resolve_file(f, &nss, ret_sites);
}

static void assert_reg(const struct place *place, uint8_t reg, uint8_t width, int32_t add)
{
	assert_int_equal(place->reg, reg);
	assert_int_equal(place->width, width);
	assert_int_equal(place->loads, 0);
	assert_int_equal(place->add, add);
}

static void assert_item(const struct place *place, uint8_t reg, int32_t off, uint8_t width,
			int32_t add)
{
	assert_int_equal(place->reg, reg);
	assert_int_equal(place->width, width);
	assert_int_equal(place->loads, 1);
	assert_int_equal(place->off[0], off);
	assert_int_equal(place->add, add);
}

static void test_ssl(void **state)
{
	const struct tls_secret *secret;
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	build_ssl(&f, DAMAGE_NONE);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_string_equal(sites.version, "3.99");
	assert_int_equal(sites.problem_count, 0);
	assert_int_equal(sites.count, 0);
	assert_int_equal(sites.secret_count, 1);
	secret = &sites.secret[0];
	assert_int_equal(secret->offset, elf_offset(DERIVE));
	assert_int_equal(secret->step, STEP_BEGIN);
	assert_int_equal(secret->check.width, 0);
	assert_reg(&secret->handle, RDI, 8, 0);
	assert_reg(&secret->label, R8, 8, 0);
	assert_reg(&secret->random, RDI, 8, 0x620);
}

static void test_softoken(void **state)
{
	const struct tls_secret *secret;
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	build_softoken(&f, DAMAGE_NONE);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_string_equal(sites.version, "3.99.1");
	assert_int_equal(sites.problem_count, 0);
	assert_int_equal(sites.secret_count, 3);
	secret = &sites.secret[0];
	assert_int_equal(secret->offset, elf_offset(FORCE));
	assert_int_equal(secret->step, STEP_END);
	assert_reg(&secret->check, RSI, 4, 0);
	assert_int_equal(secret->expect, 0x11);
	assert_reg(&secret->secret, RDX, 8, 0);
	assert_reg(&secret->len, RCX, 4, 0);
	/* The older function has the label second, the newer one third. */
	secret = &sites.secret[1];
	assert_int_equal(secret->offset, elf_offset(EXPAND + 23));
	assert_int_equal(secret->step, STEP_WHOLE);
	assert_int_equal(secret->fixed, LABEL_CLIENT_RANDOM);
	assert_item(&secret->check, RDX, 16, 4, 0);
	assert_int_equal(secret->expect, 64);
	assert_item(&secret->random, RDX, 8, 8, 32);
	assert_item(&secret->secret, RDI, 8, 8, 0);
	assert_item(&secret->len, RDI, 16, 4, 0);
	secret = &sites.secret[2];
	assert_int_equal(secret->offset, elf_offset(EXPAND + 11));
	assert_item(&secret->check, RCX, 16, 4, 0);
	assert_item(&secret->random, RCX, 8, 8, 32);
	assert_item(&secret->secret, RSI, 8, 8, 0);
	assert_item(&secret->len, RSI, 16, 4, 0);
}

/* Each leaves out what depends on it, and says so. */
static void test_doubt(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	size_t expected;
	int i;

	(void)state;
	for (i = FEW_LABELS; i < DAMAGES; i++) {
		if (i == OTHER_EXPORTER)
			continue;
		if (i < OTHER_EXPORTER)
			build_ssl(&f, i);
		else
			build_softoken(&f, i);
		expected = i < OTHER_EXPORTER ? 0 : i < ONE_EXPANSION ? 2 : 1;
		assert_int_equal(resolve(&f, &sites), 0);
		if (sites.secret_count != expected || sites.problem_count != 1)
			fail_msg("damage %d: %zu secrets, %zu problems", i, sites.secret_count,
				 sites.problem_count);
	}
}

static void test_other_files(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	/* Not taken for another library by its labels either. */
	build_ssl(&f, OTHER_EXPORTER);
	assert_int_equal(resolve(&f, &sites), -ENOENT);
	/* Without the table of functions nothing is certain. */
	build_ssl(&f, DAMAGE_NONE);
	f.ehdr.e_phnum = 1;
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.secret_count, 0);
	build_ssl(&f, DAMAGE_NONE);
	f.ehdr.e_machine = EM_AARCH64;
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.secret_count, 0);
	assert_ptr_equal(tls_by_soname("libssl3.so"), &nss);
	assert_ptr_equal(tls_by_soname("libsoftokn3.so"), &nss);
	assert_null(tls_by_soname("libnss3.so"));
}

/* Whatever is damaged, it must end, and what it finds must be in the file. */
static void test_damaged(void **state)
{
	struct elf_file f;
	size_t pos;

	(void)state;
	for (pos = 0; pos < ELF_FILE_LEN; pos += 3) {
		if (pos % 2)
			build_ssl(&f, DAMAGE_NONE);
		else
			build_softoken(&f, DAMAGE_NONE);
		resolve_damaged(&f, pos);
	}
}

static bool system_file(const char *path, struct tls_sites *ret_sites)
{
	struct image *image;

	if (image_open(path, &image))
		return false;
	assert_int_equal(resolve_image(image, &nss, ret_sites), 0);
	assert_int_equal(ret_sites->problem_count, 0);
	return true;
}

/* The libraries of this system, and Firefox's. */
static void test_system_libraries(void **state)
{
	static const char *const folders[] = { "/usr/lib/x86_64-linux-gnu",
					       "/usr/lib/firefox-esr" };
	struct tls_sites sites;
	bool any = false;
	char path[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		strcpy(stpcpy(path, folders[i]), "/libssl3.so");
		if (system_file(path, &sites)) {
			assert_int_equal(sites.secret_count, 1);
			assert_int_equal(sites.secret[0].label.reg, R8);
			any = true;
		}
		strcpy(stpcpy(path, folders[i]), "/libsoftokn3.so");
		if (system_file(path, &sites))
			assert_int_equal(sites.secret_count, 3);
	}
	if (!any)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ssl),	cmocka_unit_test(test_softoken),
		cmocka_unit_test(test_doubt),	cmocka_unit_test(test_other_files),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_system_libraries),
	};

	return cmocka_run_group_tests_name("nss", tests, NULL, NULL);
}

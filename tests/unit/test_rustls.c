/* SPDX-License-Identifier: Apache-2.0 */
/* rustls in small files made here: what is probed, and that each missing part of the proof counts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf_text.h"
#include "tls/rustls.h"

/* Functions: the call of log, what asks first, an accessor. */
#define LOG12	 0
#define LOG13	 128
#define ACCESSOR 448
#define OTHER	 512
#define LENGTHS	 640 /* the six lengths */
#define POINTERS 704 /* the table, if it is in the file */
#define TABLE	 8192

enum damage {
	DAMAGE_NONE,
	/* In what is asked. */
	TABLE_ORDER,
	TABLE_LENGTHS,
	OTHER_INDEX,
	LOST_LABEL, /* a constant instead */
	DIRECT_QUESTION,
	/* Between question and jump. */
	NO_TEST,
	OTHER_TEST,
	OTHER_JUMP,
	FLAGS_CHANGE,
	ENTERED,
	/* Between jump and log. */
	STORE_BETWEEN,
	STORE_TO_SECRET,
	CALL_BETWEEN,
	LEAF_STORES,
	LEAF_TWO_WAYS,
	OTHER_SELF,
	OTHER_LABEL,
	OTHER_LABEL_LEN,
	OTHER_RANDOM_LEN,
	UNKNOWN_SECRET,
	DIRECT_LOG,
	TWO_LOGS, /* that differ */
	DAMAGES,
};

/* How the label and the secret are got. */
enum shape { SHAPE_SLOTS, SHAPE_SCALED, SHAPE_CONSTANT, SHAPE_ACCESSOR, SHAPE_OPPOSITE, SHAPES };

static uint64_t labels[LABEL_MAX];

static void start(struct elf_file *f, const char *version)
{
	int i;

	elf_init(f, EM_X86_64);
	memset(f->text, 0xcc, sizeof(f->text));
	for (i = 1; i < LABEL_MAX; i++)
		labels[i] = elf_string(f, secret_label_name(i));
	if (version)
		elf_string(f, version);
}

/* Behind a register's number and a constant; short as optimised for size. */
static void add_log12(struct elf_file *f, bool small, const char *damaged)
{
	uint8_t len = damaged[0] == 'l' ? 12 : 13, random = damaged[0] == 'r' ? 31 : 32;
	uint8_t secret = damaged[0] == 's' ? 47 : 48;
	uint8_t longer[] = { 0xba, len,	 0,    0,    0,	   0x41,   0xb8, random, 0, 0,
			     0,	   0x48, 0xc7, 0x04, 0x24, secret, 0,	 0,	 0 };
	uint8_t shorter[] = { 0x6a, len,  0x5a, 0x6a, random, 0x41,  0x58,
			      0x48, 0x83, 0xec, 0x08, 0x6a,   secret };

	f->text_len = LOG12;
	CODE(f, "\x53\x48\x8b\x07\x4c\x89\xf1"); /* push %rbx; mov (%rdi),%rax; mov %r14,%rcx */
	if (small)
		elf_code(f, shorter, sizeof(shorter));
	elf_lea(f, RSI, labels[damaged[0] == 'n' ? LABEL_EXPORTER : LABEL_CLIENT_RANDOM]);
	if (!small)
		elf_code(f, longer, sizeof(longer));
	if (damaged[0] == 'd')
		elf_branch(f, X86_CALL, OTHER);
	else
		CODE(f, "\xff\x50\x20"); /* call *0x20(%rax) */
	CODE(f, "\x5b\xc3");
}

static size_t log12_call(bool small)
{
	return LOG12 + 7 + (small ? 13 : 0) + 7 + (small ? 0 : 19);
}

/* The table of labels by relocations, and that of their lengths. */
static void add_tables(struct elf_file *f, enum damage damage, bool in_file)
{
	uint64_t len[RUSTLS_LABELS], pointer[RUSTLS_LABELS];
	size_t i;

	for (i = 0; i < RUSTLS_LABELS; i++) {
		size_t which = damage == TABLE_ORDER ? RUSTLS_LABELS - 1 - i : i;

		len[i] = strlen(secret_label_name(rustls_labels[i])) + (damage == TABLE_LENGTHS);
		pointer[i] = labels[rustls_labels[which]];
		if (!in_file)
			elf_rela(f, ELF_BASE + TABLE + 8 * i, R_X86_64_RELATIVE, 0, pointer[i]);
	}
	memcpy(f->text + LENGTHS, len, sizeof(len));
	if (in_file)
		memcpy(f->text + POINTERS, pointer, sizeof(pointer));
}

/* mov label, %r15 and its length, %r12 */
static void add_label(struct elf_file *f, enum shape shape, enum damage damage, uint64_t table)
{
	if (shape == SHAPE_CONSTANT)
		return;
	elf_lea(f, RAX, shape == SHAPE_SCALED ? table - 8 : table);
	if (shape == SHAPE_SCALED)
		CODE(f, "\x4e\x8b\x3c\xf0"); /* mov (%rax,%r14,8),%r15 */
	else
		CODE(f, "\x4d\x8b\x3c\x06"); /* mov (%r14,%rax),%r15 */
	elf_lea(f, RAX, elf_vaddr(LENGTHS) - (shape == SHAPE_SCALED ? 8 : 0));
	if (damage == OTHER_INDEX)
		CODE(f, "\x4c\x8b\x24\x03"); /* mov (%rbx,%rax),%r12 */
	else if (shape == SHAPE_SCALED)
		CODE(f, "\x4e\x8b\x24\xf0"); /* mov (%rax,%r14,8),%r12 */
	else
		CODE(f, "\x4d\x8b\x24\x06"); /* mov (%r14,%rax),%r12 */
}

/* rsi and rdx; rdi is r14. */
static void pass_label(struct elf_file *f, enum shape shape, enum damage damage)
{
	CODE(f, "\x4c\x89\xf7"); /* mov %r14,%rdi */
	if (shape != SHAPE_CONSTANT) {
		CODE(f, "\x4c\x89\xfe\x4c\x89\xe2"); /* mov %r15,%rsi; mov %r12,%rdx */
		return;
	}
	elf_lea(f, RSI, labels[LABEL_EXPORTER]);
	CODE(f, "\xba\x0f\0\0\0"); /* mov $15,%edx */
	(void)damage;
}

/* From the jump to log; in SHAPE_ACCESSOR rbx points to the secret. */
static void add_way(struct elf_file *f, enum shape shape, enum damage damage)
{
	if (damage == STORE_BETWEEN)
		CODE(f, "\x48\x89\x03"); /* mov %rax,(%rbx) */
	if (damage == STORE_TO_SECRET)
		CODE(f, "\x48\x89\x84\x24\xb8\0\0\0"); /* mov %rax,0xb8(%rsp) */
	if (damage == CALL_BETWEEN)
		CODE(f, "\xff\xd3"); /* call *%rbx */
	if (shape == SHAPE_ACCESSOR) {
		CODE(f, "\x48\x89\xdf"); /* mov %rbx,%rdi */
		elf_branch(f, X86_CALL, ACCESSOR);
		CODE(f, "\x48\x89\x14\x24\x49\x89\xc1"); /* mov %rdx,(%rsp); mov %rax,%r9 */
	} else {
		CODE(f, "\x48\x8b\xb4\x24\xc0\0\0\0"); /* mov 0xc0(%rsp),%rsi */
		CODE(f, "\x48\x83\xfe\x41\x73\x3c");   /* cmp $0x41,%rsi; jae away */
		CODE(f, "\x48\x89\x34\x24");	       /* mov %rsi,(%rsp) */
		CODE(f, "\x4c\x8d\x8c\x24\x80\0\0\0"); /* lea 0x80(%rsp),%r9 */
	}
	if (damage == UNKNOWN_SECRET)
		CODE(f, "\x49\xc1\xe1\x03");	 /* shl $3,%r9 */
	CODE(f, "\x48\x8b\x8c\x24\x18\x01\0\0"); /* mov 0x118(%rsp),%rcx */
	CODE(f, "\x48\x8b\x84\x24\x08\x01\0\0"); /* mov 0x108(%rsp),%rax */
	pass_label(f, shape, damage);
	if (damage == OTHER_SELF)
		CODE(f, "\x48\x89\xdf"); /* mov %rbx,%rdi */
	if (damage == OTHER_LABEL)
		CODE(f, "\x48\x89\xde"); /* mov %rbx,%rsi */
	if (damage == OTHER_LABEL_LEN)
		CODE(f, "\x48\x89\xda"); /* mov %rbx,%rdx */
	if (damage == OTHER_RANDOM_LEN)
		CODE(f, "\x6a\x1f\x41\x58"); /* push $31; pop %r8 */
	else
		CODE(f, "\x6a\x20\x41\x58"); /* push $32; pop %r8 */
	if (damage == DIRECT_LOG)
		elf_branch(f, X86_CALL, OTHER);
	else
		CODE(f, "\xff\xd0"); /* call *%rax */
}

/* Returns where the jump is. */
static size_t add_log13(struct elf_file *f, enum shape shape, enum damage damage, uint64_t table)
{
	size_t jump, behind;

	f->text_len = LOG13;
	CODE(f, "\x53\x48\x83\xec\x60"); /* push %rbx; sub $0x60,%rsp */
	add_label(f, shape, damage, table);
	CODE(f, "\x4c\x8b\xb4\x24\0\x01\0\0"); /* mov 0x100(%rsp),%r14 */
	pass_label(f, shape, damage);
	if (damage == LOST_LABEL)
		CODE(f, "\xbe\0\0\x04\0"); /* mov $0x40000,%esi */
	if (damage == DIRECT_QUESTION)
		elf_branch(f, X86_CALL, OTHER);
	else
		CODE(f, "\xff\x94\x24\x10\x01\0\0"); /* call *0x110(%rsp) */
	if (damage != NO_TEST)
		elf_code(f, damage == OTHER_TEST ? "\x84\xdb" : "\x84\xc0", 2); /* test %al,%al */
	if (damage == FLAGS_CHANGE)
		CODE(f, "\x48\x83\xc3\x01"); /* add $1,%rbx */
	else
		CODE(f, "\x48\x8b\x5c\x24\x58"); /* mov 0x58(%rsp),%rbx */
	jump = f->text_len;
	if (shape == SHAPE_OPPOSITE) {
		CODE(f, "\x75\x02\xeb\0"); /* jne over; jmp behind */
		behind = f->text_len;
	} else {
		elf_code(f, damage == OTHER_JUMP ? "\x78\0" : "\x74\0", 2); /* je behind */
		behind = f->text_len;
	}
	if (damage == TWO_LOGS) {
		CODE(f, "\x48\x85\xdb\x74\0"); /* test %rbx,%rbx; je to the second */
		add_way(f, shape, DAMAGE_NONE);
		CODE(f, "\xc3");
		f->text[behind + 4] = (uint8_t)(f->text_len - behind - 5);
		CODE(f, "\x48\x83\xc4\x08"); /* add $8,%rsp */
	}
	add_way(f, shape, damage);
	f->text[behind - 1] = (uint8_t)(f->text_len - behind);
	CODE(f, "\x48\x83\xc4\x60\x5b\xc3"); /* add $0x60,%rsp; pop %rbx; ret */
	if (damage == ENTERED) {
		CODE(f, "\xeb\0");
		f->text[f->text_len - 1] = (uint8_t)(jump - f->text_len);
	}
	assert_true(f->text_len <= ACCESSOR);
	return jump;
}

/* Checks a bound and returns rdi and 0x40(rdi). */
static void add_accessor(struct elf_file *f, enum damage damage)
{
	f->text_len = ACCESSOR;
	CODE(f,
	     "\x55\x48\x89\xe5\x48\x8b\x77\x40"); /* push %rbp; mov %rsp,%rbp; mov 0x40(%rdi),%rsi */
	if (damage == LEAF_STORES)
		CODE(f, "\x48\x89\x37");     /* mov %rsi,(%rdi) */
	CODE(f, "\x48\x83\xfe\x41\x73\x08"); /* cmp $0x41,%rsi; jae over the next */
	CODE(f,
	     "\x48\x89\xf8\x48\x89\xf2\x5d\xc3"); /* mov %rdi,%rax; mov %rsi,%rdx; pop %rbp; ret */
	if (damage == LEAF_TWO_WAYS) /* lea 8(%rdi),%rax; mov %rsi,%rdx; pop %rbp; ret */
		CODE(f, "\x48\x8d\x47\x08\x48\x89\xf2\x5d\xc3");
	else
		elf_branch(f, X86_CALL, OTHER);
}

static size_t build(struct elf_file *f, enum shape shape, enum damage damage)
{
	static const size_t starts[] = { LOG12, LOG13, ACCESSOR, OTHER };
	size_t jump;

	start(f, "/src/tokio-rustls-0.26.1/src/lib.rs /src/rustls-0.23.46/src/key_log.rs");
	add_log12(f, false, "-");
	add_tables(f, damage, false);
	jump = add_log13(f, shape, damage, ELF_BASE + TABLE);
	add_accessor(f, damage);
	elf_unwind(f, starts, 4);
	return jump;
}

static int resolve_bytes(const void *data, size_t len, struct tls_sites *ret_sites)
{
	struct tls_sites *found;
	struct image *image;
	size_t count, i;
	int err;

	assert_int_equal(image_open_memory(data, len, &image), 0);
	err = tls_resolve(image, &found, &count);
	image_free(image);
	if (err)
		return err;
	err = -ENOENT;
	for (i = 0; i < count; i++) {
		if (found[i].library == &rustls) {
			*ret_sites = found[i];
			err = 0;
		}
	}
	free(found);
	return err;
}

static int resolve(const struct elf_file *f, struct tls_sites *ret_sites)
{
	return resolve_bytes(f, ELF_FILE_LEN, ret_sites);
}

static const struct tls_secret *secret_at(const struct tls_sites *sites, size_t pos)
{
	size_t i;

	for (i = 0; i < sites->secret_count; i++) {
		if (sites->secret[i].offset == elf_offset(pos))
			return &sites->secret[i];
	}
	return NULL;
}

static bool has_problem(const struct tls_sites *sites, const char *part)
{
	size_t i;

	for (i = 0; i < sites->problem_count; i++) {
		if (strstr(sites->problem[i], part))
			return true;
	}
	return false;
}

static void assert_place(const struct place *place, uint8_t reg, int loads, int32_t off)
{
	assert_int_equal(place->width, 8);
	assert_int_equal(place->reg, reg);
	assert_int_equal(place->loads, loads);
	assert_int_equal(loads ? place->off[0] : place->add, off);
	assert_int_equal(loads ? place->add : 0, 0);
}

static void test_tls12(void **state)
{
	const struct tls_secret *secret;
	struct tls_sites sites;
	struct elf_file f;
	int small;

	(void)state;
	for (small = 0; small < 2; small++) {
		start(&f, NULL);
		add_log12(&f, small, "-");
		assert_int_equal(resolve(&f, &sites), 0);
		assert_int_equal(sites.secret_count, 1);
		secret = secret_at(&sites, log12_call(small));
		assert_non_null(secret);
		assert_int_equal(secret->fixed, LABEL_NONE);
		assert_place(&secret->label, RSI, 0, 0);
		assert_place(&secret->label_len, RDX, 0, 0);
		assert_place(&secret->random, RCX, 0, 0);
		assert_place(&secret->secret, R9, 0, 0);
		assert_place(&secret->len, RSP, 1, 0);
		assert_int_equal(secret->handle.width, 0);
		assert_true(has_problem(&sites, "no secrets of TLS 1.3"));
	}
}

/* Lengths of label, client random and secret; another label; a direct call. */
static void test_tls12_damaged(void **state)
{
	static const char *const damages[] = { "l", "r", "s", "n", "d" };
	struct tls_sites sites;
	struct elf_file f;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * sizeof(damages) / sizeof(damages[0]); i++) {
		start(&f, NULL);
		add_log12(&f, i & 1, damages[i / 2]);
		assert_int_equal(resolve(&f, &sites), -ENOENT);
	}
}

static void test_shapes(void **state)
{
	const struct tls_secret *secret;
	struct tls_sites sites;
	struct elf_file f;
	int shape;

	(void)state;
	for (shape = 0; shape < SHAPES; shape++) {
		size_t jump = build(&f, shape, DAMAGE_NONE);

		assert_int_equal(resolve(&f, &sites), 0);
		assert_string_equal(sites.version, "0.23.46");
		assert_int_equal(sites.secret_count, 2);
		assert_non_null(secret_at(&sites, log12_call(false)));
		secret = secret_at(&sites, jump);
		assert_non_null(secret);
		assert_int_equal(secret->rung, RUNG_STRINGS);
		assert_place(&secret->random, RSP, 1, 0x118);
		if (shape == SHAPE_CONSTANT) {
			assert_int_equal(secret->fixed, LABEL_EXPORTER);
			assert_true(has_problem(&sites, "no SERVER_TRAFFIC_SECRET_0"));
			assert_false(has_problem(&sites, "no EXPORTER_SECRET"));
		} else {
			assert_int_equal(secret->fixed, LABEL_NONE);
			assert_place(&secret->label, 15, 0, 0);
			assert_place(&secret->label_len, 12, 0, 0);
			assert_int_equal(sites.problem_count, 0);
		}
		if (shape == SHAPE_ACCESSOR) {
			assert_place(&secret->secret, RBX, 0, 0);
			assert_place(&secret->len, RBX, 1, 0x40);
		} else {
			assert_place(&secret->secret, RSP, 0, 0x80);
			assert_place(&secret->len, RSP, 1, 0xc0);
		}
	}
}

/* Fixed addresses, or relocations that are packed: the pointers are in the file. */
static void test_pointers_in_file(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	size_t jump;

	(void)state;
	start(&f, NULL);
	add_log12(&f, false, "-");
	add_tables(&f, DAMAGE_NONE, true);
	jump = add_log13(&f, SHAPE_SLOTS, DAMAGE_NONE, elf_vaddr(POINTERS));
	assert_int_equal(elf_vaddr(POINTERS) % 8, 0);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_non_null(secret_at(&sites, jump));
	assert_string_equal(sites.version, "");
}

/* Code without a table of functions; the accessor is not needed. */
static void test_no_functions(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	size_t jump;

	(void)state;
	jump = build(&f, SHAPE_ACCESSOR, DAMAGE_NONE);
	f.ehdr.e_phnum = 1;
	assert_int_equal(resolve(&f, &sites), 0);
	assert_non_null(secret_at(&sites, jump));
}

/* Each takes away one part of the proof: nothing of TLS 1.3 is probed then, and that is said. */
static void test_damages(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	int damage;

	(void)state;
	for (damage = 1; damage < DAMAGES; damage++) {
		bool leaf = damage == LEAF_STORES || damage == LEAF_TWO_WAYS;

		build(&f, leaf ? SHAPE_ACCESSOR : SHAPE_SLOTS, damage);
		assert_int_equal(resolve(&f, &sites), 0);
		if (sites.secret_count != 1 || !has_problem(&sites, "no secrets of TLS 1.3"))
			fail_msg("damage %d: %zu places", damage, sites.secret_count);
		assert_int_equal(has_problem(&sites, "is not understood"), damage >= ENTERED);
	}
}

/* Versions that make secrets only for somebody who listens. */
static void test_late(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	start(&f, "/rustls-0.21.12/src/");
	add_log12(&f, false, "-");
	add_tables(&f, DAMAGE_NONE, false);
	add_log13(&f, SHAPE_SLOTS, CALL_BETWEEN, ELF_BASE + TABLE);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_string_equal(sites.version, "0.21.12");
	assert_int_equal(sites.secret_count, 1);
	assert_true(has_problem(&sites, "rustls 0.19 to 0.21"));
}

static void test_other_files(void **state)
{
	struct tls_sites sites;
	struct elf_file f;

	(void)state;
	start(&f, NULL);
	assert_int_equal(resolve(&f, &sites), -ENOENT);
	start(&f, "x86_64/rustls-0.23.46/src/lib.rs");
	f.ehdr.e_machine = EM_AARCH64;
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.secret_count, 0);
	assert_true(has_problem(&sites, "x86-64 only"));
	start(&f, NULL);
	f.ehdr.e_machine = EM_AARCH64;
	assert_int_equal(resolve(&f, &sites), -ENOENT);
}

/* Its version is in the path of every source file, more often than any string whose users count. */
static void test_many_paths(void **state)
{
	static const char path[] = "/rustls-0.";
	size_t len = ELF_FILE_LEN + (LABEL_PLACES_MAX + 1) * (sizeof(path) - 1), i;
	struct tls_sites sites;
	struct elf_file f;
	uint8_t *file = malloc(len);

	(void)state;
	build(&f, SHAPE_SLOTS, DAMAGE_NONE);
	f.phdr[1] = f.phdr[0];
	f.phdr[1].p_offset = ELF_FILE_LEN;
	f.phdr[1].p_vaddr = ELF_BASE + 0x100000;
	f.phdr[1].p_filesz = len - ELF_FILE_LEN;
	memcpy(file, &f, ELF_FILE_LEN);
	for (i = ELF_FILE_LEN; i < len; i += sizeof(path) - 1)
		memcpy(file + i, path, sizeof(path) - 1);
	assert_int_equal(resolve_bytes(file, len, &sites), 0);
	free(file);
	assert_int_equal(sites.secret_count, 2);
	assert_string_equal(sites.version, "0.23.46");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tls12),	     cmocka_unit_test(test_tls12_damaged),
		cmocka_unit_test(test_shapes),	     cmocka_unit_test(test_pointers_in_file),
		cmocka_unit_test(test_no_functions), cmocka_unit_test(test_damages),
		cmocka_unit_test(test_late),	     cmocka_unit_test(test_other_files),
		cmocka_unit_test(test_many_paths),
	};

	return cmocka_run_group_tests_name("rustls", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is probed in Go programs, and where its values are. */
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
#include "go_build.h"

/* Of Go alone, and nothing but secrets. */
static int resolve(const struct elf_file *f, struct tls_sites *ret_sites)
{
	int r = resolve_file(f, &golang, ret_sites);

	if (!r)
		assert_int_equal(ret_sites->count, 0);
	return r;
}

static void assert_place(const struct place *place, int reg, int off)
{
	assert_int_equal(place->width, 8);
	assert_int_equal(place->reg, reg);
	assert_int_equal(place->loads, off ? 1 : 0);
	assert_int_equal(place->off[0], off);
	assert_int_equal(place->add, 0);
}

/* Registers, or offsets from the stack pointer. */
struct places {
	int label, label_len, random, secret, len;
	int keys_random, keys_secret, keys_len;
};

static void assert_secrets(const struct tls_sites *sites, const struct go_file *go, int sp,
			   const struct places *p)
{
	const struct tls_secret *log = &sites->secret[0], *keys = &sites->secret[2];

	assert_int_equal(sites->secret_count, 3);
	assert_int_equal(sites->problem_count, 0);
	assert_string_equal(log->function, "(*Config).writeKeyLog");
	assert_int_equal(log->offset, elf_offset(go->code + go_starts[GO_KEY_LOG] * GO_ALIGN));
	assert_int_equal(log->rung, RUNG_PCLNTAB);
	assert_int_equal(log->fixed, LABEL_NONE);
	assert_int_equal(log->handle.width, 0);
	assert_place(&log->label, sp < 0 ? p->label : sp, sp < 0 ? 0 : p->label);
	assert_place(&log->label_len, sp < 0 ? p->label_len : sp, sp < 0 ? 0 : p->label_len);
	assert_place(&log->random, sp < 0 ? p->random : sp, sp < 0 ? 0 : p->random);
	assert_place(&log->secret, sp < 0 ? p->secret : sp, sp < 0 ? 0 : p->secret);
	assert_place(&log->len, sp < 0 ? p->len : sp, sp < 0 ? 0 : p->len);
	assert_string_equal(keys->function, "keysFromMasterSecret");
	assert_int_equal(keys->fixed, LABEL_CLIENT_RANDOM);
	assert_place(&keys->random, sp < 0 ? p->keys_random : sp, sp < 0 ? 0 : p->keys_random);
	assert_place(&keys->secret, sp < 0 ? p->keys_secret : sp, sp < 0 ? 0 : p->keys_secret);
	assert_place(&keys->len, sp < 0 ? p->keys_len : sp, sp < 0 ? 0 : p->keys_len);
}

static void test_places(void **state)
{
	/* Numbers as in the instructions: BX is 3, CX 1, DI 7, SI 6, R8 to R10 are 8 to 10. */
	static const struct places x86 = { 3, 1, 7, 9, 10, 8, 1, 7 };
	static const struct places arm64 = { 1, 2, 3, 6, 7, 5, 2, 3 };
	static const struct places stack = { 16, 24, 32, 56, 64, 48, 24, 32 };
	struct tls_sites sites;
	struct elf_file f;
	struct go_file go;

	(void)state;
	go_init(&f, &go, EM_X86_64, GO_1_20, true, "go1.26.8");
	assert_int_equal(resolve(&f, &sites), 0);
	assert_string_equal(sites.version, "go1.26.8");
	assert_secrets(&sites, &go, -1, &x86);
	go_init(&f, &go, EM_X86_64, GO_1_16, true, "go1.17");
	assert_int_equal(resolve(&f, &sites), 0);
	assert_secrets(&sites, &go, -1, &x86);
	go_init(&f, &go, EM_X86_64, GO_1_2, false, "go1.15.15");
	assert_int_equal(resolve(&f, &sites), 0);
	assert_string_equal(sites.version, "go1.15.15");
	assert_secrets(&sites, &go, 4, &stack);
	go_init(&f, &go, EM_AARCH64, GO_1_18, true, "go1.18");
	assert_int_equal(resolve(&f, &sites), 0);
	assert_secrets(&sites, &go, -1, &arm64);
	go_init(&f, &go, EM_AARCH64, GO_1_16, false, "go1.17.13");
	assert_int_equal(resolve(&f, &sites), 0);
	assert_secrets(&sites, &go, 31, &stack);
}

/* Nothing is probed when the code and the version do not agree. */
static void test_contradictions(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	struct go_file go;

	(void)state;
	go_init(&f, &go, EM_X86_64, GO_1_16, true, "go1.16.15");
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.secret_count, 0);
	assert_true(sites.problem_count > 0);
	go_init(&f, &go, EM_X86_64, GO_1_16, false, "go1.17");
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.secret_count, 0);
	/* Of an unreleased version only the code is known. */
	go_init(&f, &go, EM_X86_64, GO_1_20, true, "devel +1234");
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.secret_count, 3);
}

static void test_unknown_beginning(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	struct go_file go;

	(void)state;
	go_init(&f, &go, EM_X86_64, GO_1_20, true, "go1.26.8");
	f.text[go.code + go_starts[GO_MASTER_SECRET] * GO_ALIGN] = 0x90;
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.secret_count, 2);
	assert_int_equal(sites.problem_count, 2);
}

static void test_without_table(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	struct go_file go;

	(void)state;
	go_init(&f, &go, EM_X86_64, GO_1_20, true, "go1.26.8");
	memset(f.text + go.table, 0, 8);
	assert_int_equal(resolve(&f, &sites), 0);
	assert_int_equal(sites.secret_count, 0);
	assert_int_equal(sites.problem_count, 1);
	assert_string_equal(sites.version, "go1.26.8");
	/* Without build information it is not even Go. */
	memset(f.text + go.build, 0, 16);
	assert_int_equal(resolve(&f, &sites), -ENOENT);
}

static void test_other_go_programs(void **state)
{
	struct tls_sites sites;
	struct elf_file f;
	struct go_file go;

	(void)state;
	/* Without a label there is no TLS in it ... */
	go_init(&f, &go, EM_X86_64, GO_1_20, true, "go1.26.8");
	f.text[f.text_len - sizeof("CLIENT_RANDOM")] = 'X';
	assert_int_equal(resolve(&f, &sites), -ENOENT);
	/* ... and with one it may still be another program's. */
	go_init(&f, &go, EM_X86_64, GO_1_20, true, "go1.26.8");
	for (size_t i = go.names; i < go.names_end; i++) {
		if (f.text[i] == '.')
			f.text[i] = '_';
	}
	assert_int_equal(resolve(&f, &sites), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_unknown_beginning),
		cmocka_unit_test(test_without_table),
		cmocka_unit_test(test_other_go_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

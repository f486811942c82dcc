/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that get all secrets: found, read, and refused when anything is in doubt. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf_tls.h"
#include "tls/keylog.h"

static const struct keylog_recipe recipe = {
	.function = "ssl_log_secret",
	.copier = "get_client_random",
	.pointer = "point_to_client_random",
	.len_width = 8,
};

static struct tls_sites sites;

static bool add_with(const struct elf_file *f, const struct value_of *random)
{
	const char *words[LABEL_MAX - 1];
	struct labels labels;
	struct tls_input input = { .labels = &labels };
	struct image *image;
	bool added;
	int i;

	for (i = 1; i < LABEL_MAX; i++)
		words[i - 1] = secret_label_name(i);
	memset(&sites, 0, sizeof(sites));
	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	assert_int_equal(labels_find(image, words, LABEL_MAX - 1, LABEL_MAX - 1, &labels), 0);
	assert_int_equal(labels_follow(image, &labels), 0);
	input.image = image;
	added = keylog_add(&input, &recipe, random, &sites);
	labels_done(&labels);
	image_free(image);
	assert_int_equal(sites.secret_count, added);
	assert_int_equal(sites.problem_count, !added);
	return added;
}

static bool add(const struct elf_file *f)
{
	return add_with(f, NULL);
}

static void assert_reg(struct place place, uint8_t reg)
{
	assert_int_equal(place.width, 8);
	assert_int_equal(place.reg, reg);
	assert_int_equal(place.loads, 0);
	assert_int_equal(place.add, 0);
}

/* It is refused, with this sentence. */
static void assert_refused(const struct elf_file *f, const char *sentence)
{
	assert_false(add(f));
	assert_string_equal(sites.problem[0], sentence);
}

#define NO_FUNCTION "no secrets: the labels of the key log lead to no one function"
#define NO_RANDOM   "no secrets: where the client random is could not be found"
#define DISAGREE    "no secrets: two functions disagree about where the client random is"
#define SEVERAL	    "no secrets: the function that gets them uses several client randoms"
#define NO_BOUND    "no secrets: what looks like the client random may be something else"

/* It does nothing but jump: the other function has it all in its arguments. */
static void test_jumps(void **state)
{
	const struct tls_secret *secret = &sites.secret[0];
	struct elf_file f;

	(void)state;
	tls_file(&f, EM_X86_64, LOG_JUMPS);
	assert_true(add(&f));
	assert_int_equal(secret->offset, elf_offset(INNER));
	assert_int_equal(secret->rung, RUNG_STRINGS);
	assert_int_equal(secret->fixed, LABEL_NONE);
	assert_reg(secret->handle, RSI);
	assert_reg(secret->label, RDI);
	assert_int_equal(secret->label_len.width, 0);
	assert_reg(secret->random, RDX);
	assert_reg(secret->secret, R8);
	assert_reg(secret->len, R9);
	tls_file(&f, EM_AARCH64, LOG_JUMPS);
	assert_true(add(&f));
	assert_int_equal(secret->offset, elf_offset(INNER));
	assert_reg(secret->handle, 1);
	assert_reg(secret->label, 0);
	assert_reg(secret->random, 2);
	assert_reg(secret->secret, 4);
	assert_reg(secret->len, 5);
}

static void assert_entry(int32_t add, unsigned int loads, int32_t off)
{
	const struct tls_secret *secret = &sites.secret[0];

	assert_int_equal(secret->offset, elf_offset(LOG));
	assert_reg(secret->handle, RDI);
	assert_reg(secret->label, RSI);
	assert_reg(secret->secret, RDX);
	assert_reg(secret->len, RCX);
	assert_int_equal(secret->random.reg, RDI);
	assert_int_equal(secret->random.width, 8);
	assert_int_equal(secret->random.loads, loads);
	assert_int_equal(secret->random.off[0], off);
	assert_int_equal(secret->random.add, add);
}

/* Without a callback it does not get to the other one: its own entry, and a path. */
static void test_checks(void **state)
{
	struct elf_file f;

	(void)state;
	tls_file(&f, EM_X86_64, LOG_CHECKS);
	assert_true(add(&f));
	assert_entry(RANDOM_AT, 0, 0);
	assert_int_equal(sites.secret[0].rung, RUNG_STRINGS);
}

static void test_loops(void **state)
{
	struct elf_file f;

	(void)state;
	tls_file(&f, EM_X86_64, LOG_LOOPS);
	assert_true(add(&f));
	assert_entry(0x48, 1, 0x30);
	/* Without the bound it may be anything, unless somebody else says the same. */
	tls_file(&f, EM_X86_64, LOG_LOOPS_UNBOUND);
	assert_refused(&f, NO_BOUND);
	tls_accessor(&f, "get_client_random", 0x48);
	assert_true(add(&f));
	assert_entry(0x48, 1, 0x30);
	assert_int_equal(sites.secret[0].rung, RUNG_STRINGS);
}

static void test_accessor(void **state)
{
	struct value_of random = { .kind = VALUE_PATH, .width = 8, .loads = 1, .off = { 0x30 } };
	struct elf_file f;

	(void)state;
	tls_file(&f, EM_X86_64, LOG_LOOPS);
	tls_accessor(&f, "get_client_random", 0x50);
	assert_refused(&f, DISAGREE);
	tls_file(&f, EM_X86_64, LOG_CHECKS);
	tls_accessor(&f, "get_client_random", 0x50);
	assert_refused(&f, DISAGREE);
	/* It alone is enough. */
	tls_file(&f, EM_X86_64, LOG_NOTHING);
	assert_refused(&f, NO_RANDOM);
	tls_accessor(&f, "get_client_random", 0x50);
	assert_true(add(&f));
	assert_entry(0x50, 1, 0x30);
	assert_int_equal(sites.secret[0].rung, RUNG_ACCESSOR);
	/* What the code that makes keys shows is as good, and must not be another place. */
	random.num = 0x50;
	assert_true(add_with(&f, &random));
	random.num = 0x70;
	assert_false(add_with(&f, &random));
	assert_string_equal(sites.problem[0], NO_RANDOM);
	tls_file(&f, EM_X86_64, LOG_NOTHING);
	assert_true(add_with(&f, &random));
	assert_entry(0x70, 1, 0x30);
}

/* One that stores the address where its argument 1 points to. */
static void test_pointer(void **state)
{
	struct elf_file f;

	(void)state;
	tls_file(&f, EM_X86_64, LOG_NOTHING);
	f.text_len = ACCESSOR;
	CODE(&f, "\x48\x8b\x47\x30\x48\x83\xc0\x50"); /* mov 0x30(%rdi),%rax; add $0x50,%rax */
	CODE(&f, "\x48\x89\x06\xc3");		      /* mov %rax,(%rsi); ret */
	elf_symbol(&f, SECTION_DYNSYM, "point_to_client_random", ACCESSOR, 0);
	assert_true(add(&f));
	assert_entry(0x50, 1, 0x30);
	assert_int_equal(sites.secret[0].rung, RUNG_ACCESSOR);
}

static void test_several(void **state)
{
	struct elf_file f;

	(void)state;
	tls_file(&f, EM_X86_64, LOG_TWO_RANDOMS);
	assert_refused(&f, SEVERAL);
}

/* The other function gets the client random from two places: its arguments are still right. */
static void test_inner_twice(void **state)
{
	struct elf_file f;

	(void)state;
	tls_file(&f, EM_X86_64, LOG_JUMPS);
	f.text_len = LOG;
	CODE(&f, "\x85\xd2\x74\x20"); /* test %edx,%edx; je to the second one */
	tls_log_jumps(&f);
	assert_int_equal(f.text_len, LOG + 4 + 32);
	tls_log_jumps(&f);
	assert_true(add(&f));
	assert_int_equal(sites.secret[0].offset, elf_offset(INNER));
	/* A second function is one too many. */
	f.text_len -= 5;
	elf_branch(&f, X86_JMP, OTHER);
	assert_true(add(&f));
	assert_entry(RANDOM_AT, 0, 0);
}

static void test_votes(void **state)
{
	static const char wrong[] = "XLIENT";
	struct elf_file f;
	size_t i, kept;

	(void)state;
	/* All but some labels are spoiled; the first is CLIENT_RANDOM. */
	for (kept = 0; kept < LABEL_MAX; kept++) {
		size_t pos = 1;

		tls_file(&f, EM_X86_64, LOG_JUMPS);
		for (i = 1; i < LABEL_MAX; i++) {
			if (i > kept)
				memcpy(f.strings + pos, wrong, 6);
			pos += strlen(secret_label_name((int)i)) + 1;
		}
		if (kept >= 3)
			assert_true(add(&f));
		else
			assert_refused(&f, NO_FUNCTION);
	}
	/* Without the one of TLS 1.2 it is another library. */
	tls_file(&f, EM_X86_64, LOG_JUMPS);
	memcpy(f.strings + 1, wrong, 6);
	assert_refused(&f, NO_FUNCTION);
	/* Half of them go elsewhere: to two functions in turn. */
	tls_file(&f, EM_X86_64, LOG_JUMPS);
	for (i = 1; i < 8; i += 2) {
		f.text_len = CALLERS + 12 * i + 7;
		elf_branch(&f, X86_CALL, i % 4 == 1 ? OTHER : COPY);
	}
	assert_refused(&f, NO_FUNCTION);
	/* A function that gets them as well does no harm when it gets few. */
	tls_file(&f, EM_X86_64, LOG_JUMPS);
	f.text_len = CALLERS + 12 * 7 + 7;
	elf_branch(&f, X86_CALL, OTHER);
	assert_true(add(&f));
}

static void test_middle_of_function(void **state)
{
	static const size_t starts[] = { CALLERS, LOG - 16, INNER, END };
	struct elf_file f;

	(void)state;
	tls_file(&f, EM_X86_64, LOG_JUMPS);
	elf_unwind(&f, starts, 4);
	assert_refused(&f, NO_FUNCTION);
	/* Where functions begin is not known: the votes count, but not where a jump leads. */
	f.ehdr.e_phnum = 1;
	assert_refused(&f, NO_RANDOM);
	tls_file(&f, EM_X86_64, LOG_LOOPS);
	f.ehdr.e_phnum = 1;
	assert_true(add(&f));
	assert_entry(0x48, 1, 0x30);
}

static void test_symbols(void **state)
{
	struct elf_file f;

	(void)state;
	tls_file(&f, EM_X86_64, LOG_CHECKS);
	elf_symbol(&f, SECTION_SYMTAB, "ssl_log_secret", LOG, 64);
	assert_true(add(&f));
	assert_entry(RANDOM_AT, 0, 0);
	assert_int_equal(sites.secret[0].rung, RUNG_SYMTAB);
	/* The votes are for another function: they win. */
	tls_file(&f, EM_X86_64, LOG_CHECKS);
	elf_symbol(&f, SECTION_SYMTAB, "ssl_log_secret", COPY, 16);
	assert_true(add(&f));
	assert_entry(RANDOM_AT, 0, 0);
	assert_int_equal(sites.secret[0].rung, RUNG_STRINGS);
	/* There are no votes: the symbol is enough. */
	elf_init(&f, EM_X86_64);
	tls_bounds(&f);
	tls_log(&f, LOG_CHECKS);
	assert_refused(&f, NO_FUNCTION);
	elf_symbol(&f, SECTION_DYNSYM, "ssl_log_secret", LOG, 64);
	assert_true(add(&f));
	assert_entry(RANDOM_AT, 0, 0);
	assert_int_equal(sites.secret[0].rung, RUNG_DYNSYM);
}

static void test_full(void **state)
{
	struct labels labels = { 0 };
	struct tls_input input = { .labels = &labels };

	(void)state;
	memset(&sites, 0, sizeof(sites));
	sites.secret_count = TLS_SECRETS_MAX;
	assert_false(keylog_add(&input, &recipe, NULL, &sites));
	assert_int_equal(sites.secret_count, TLS_SECRETS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_loops),
		cmocka_unit_test(test_accessor),
		cmocka_unit_test(test_pointer),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_inner_twice),
		cmocka_unit_test(test_votes),
		cmocka_unit_test(test_middle_of_function),
		cmocka_unit_test(test_symbols),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("tls_keylog", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf_tls.h"
#include "tls/keyblock.h"

static struct tls_sites sites;

/* Looks for it, and adds it to sites when it is there. */
static int find(const struct elf_file *f, struct keyblock *ret_keyblock)
{
	const char *words[STRINGS_FOLLOWED] = { NULL };
	struct labels labels;
	struct tls_input input = { .labels = &labels };
	struct image *image;
	int r, i;

	for (i = 1; i < LABEL_MAX; i++)
		words[i - 1] = secret_label_name(i);
	words[STRING_KEY_EXPANSION] = "key expansion";
	memset(&sites, 0, sizeof(sites));
	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	assert_int_equal(labels_find(image, words, STRINGS_FOLLOWED, STRINGS_FOLLOWED, &labels), 0);
	assert_int_equal(labels_follow(image, &labels), 0);
	input.image = image;
	r = keyblock_find(&input, ret_keyblock);
	if (!r)
		keyblock_add(&input, ret_keyblock, &sites);
	labels_done(&labels);
	image_free(image);
	return r;
}

static void build(struct elf_file *f, enum keys_form form)
{
	elf_init(f, EM_X86_64);
	tls_bounds(f);
	tls_keys(f, form);
}

static void test_forms(void **state)
{
	const struct tls_secret *secret = &sites.secret[0];
	struct keyblock keyblock;
	struct elf_file f;
	int form;

	(void)state;
	for (form = KEYS_STACK; form <= KEYS_CTRL; form++) {
		build(&f, form);
		assert_int_equal(find(&f, &keyblock), 0);
		assert_int_equal(keyblock.vaddr, elf_vaddr(KEYS));
		assert_int_equal(sites.secret_count, 1);
		assert_int_equal(secret->offset, elf_offset(KEYS));
		assert_int_equal(secret->fixed, LABEL_CLIENT_RANDOM);
		assert_int_equal(secret->rung, RUNG_STRINGS);
		assert_int_equal(secret->handle.reg, RDI);
		assert_int_equal(secret->label.width, 0);
		assert_int_equal(secret->random.reg, RDI);
		assert_int_equal(secret->random.loads, 0);
		assert_int_equal(secret->random.add, RANDOM_AT);
		assert_int_equal(secret->secret.loads, 1);
		assert_int_equal(secret->secret.off[0], SESSION_AT);
		assert_int_equal(secret->secret.add, 0x50);
		assert_int_equal(secret->len.loads, 2);
		assert_int_equal(secret->len.off[0], SESSION_AT);
		assert_int_equal(secret->len.off[1], 8);
		assert_int_equal(secret->len.add, 0);
		assert_int_equal(secret->len.width, form == KEYS_CTRL ? 4 : 8);
	}
}

/* Replaces some bytes of the function. */
static void patch(struct elf_file *f, const char *from, const char *to, size_t len)
{
	uint8_t *p = memmem(f->text + KEYS, ACCESSOR - KEYS, from, len);

	assert_non_null(p);
	memcpy(p, to, len);
}

#define PATCH(f, from, to) patch(f, from, to, sizeof(from) - 1)

/* Each is refused for one thing that is not as it should be. */
static void test_missing(void **state)
{
	struct keyblock keyblock = { .vaddr = 42 };
	struct elf_file f;
	int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		build(&f, KEYS_STACK);
		if (i == 0) /* the label's length */
			PATCH(&f, "\xba\x0d", "\xba\x0e");
		else if (i == 1) /* the length of a random */
			PATCH(&f, "\x41\xb8\x20", "\x41\xb8\x1c");
		else if (i == 2) /* they are not side by side */
			PATCH(&f, "\x4c\x8d\x8f\x60", "\x4c\x8d\x8f\x61");
		else if (i == 3) /* the length is not in front of the secret */
			PATCH(&f, "\x48\x8b\x48\x08", "\x48\x8b\x48\x58");
		else if (i == 4) /* too far in front */
			PATCH(&f, "\x48\x83\xc0\x50", "\x48\x83\xc0\x60");
		else if (i == 5) /* another object's */
			PATCH(&f, "\x48\x8b\x87\x00\x09", "\x48\x8b\x86\x00\x09");
		else if (i == 6) /* the secret is not passed */
			PATCH(&f, "\x48\x89\x44\x24\x28", "\x48\x89\x44\x24\x78");
		else if (i == 7) /* where the function begins is not known */
			f.ehdr.e_phnum = 1;
		else if (i == 8) /* it is none */
			f.text[KEYS] = 0x06;
		else /* nobody refers to the label */
			PATCH(&f, "\x48\x8d\x35", "\x48\x8b\x35");
		assert_int_equal(find(&f, &keyblock), -ENOENT);
		assert_int_equal(keyblock.vaddr, 42);
	}
}

/* A copy of the function: which one it is cannot be told. */
static void test_two(void **state)
{
	static const size_t starts[] = { KEYS, ACCESSOR, ACCESSOR + 200, ACCESSOR + 300 };
	struct keyblock keyblock;
	struct elf_file f;

	(void)state;
	build(&f, KEYS_STACK);
	elf_unwind(&f, starts, 4);
	f.text_len = ACCESSOR;
	assert_int_equal(find(&f, &keyblock), 0);
	tls_keys_push(&f, elf_string(&f, "key expansion"));
	assert_int_equal(find(&f, &keyblock), -ENOENT);
	/* One that uses the label for something else is none. */
	f.text_len = ACCESSOR;
	CODE(&f, "\xc3\x90\x90");
	assert_int_equal(find(&f, &keyblock), 0);
}

static void test_several_randoms(void **state)
{
	struct keyblock keyblock;
	struct elf_file f;

	(void)state;
	build(&f, KEYS_CTRL);
	f.text_len -= 2; /* pop %rbx; ret */
	CODE(&f, "\x4c\x8d\x8b\x80\x01\x00\x00\x41\xb8\x20\x00\x00\x00");
	elf_branch(&f, X86_CALL, OTHER);
	CODE(&f, "\x5b\xc3");
	assert_int_equal(find(&f, &keyblock), -ENOENT);
}

static void test_full(void **state)
{
	struct keyblock keyblock = { .vaddr = elf_vaddr(KEYS) };
	struct labels labels = { 0 };
	struct tls_input input = { .labels = &labels };
	struct elf_file f;
	struct image *image;

	(void)state;
	build(&f, KEYS_STACK);
	assert_int_equal(image_open_memory(&f, ELF_FILE_LEN, &image), 0);
	input.image = image;
	sites.secret_count = TLS_SECRETS_MAX;
	keyblock_add(&input, &keyblock, &sites);
	assert_int_equal(sites.secret_count, TLS_SECRETS_MAX);
	sites.secret_count = 0;
	keyblock.vaddr = 1; /* not in the file */
	keyblock_add(&input, &keyblock, &sites);
	assert_int_equal(sites.secret_count, 0);
	image_free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms), cmocka_unit_test(test_missing),
		cmocka_unit_test(test_two),   cmocka_unit_test(test_several_randoms),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("keyblock", tests, NULL, NULL);
}

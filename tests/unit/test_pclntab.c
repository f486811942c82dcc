/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/gobuild.h"
#include "elf/gotext.h"
#include "elf/pclntab.h"
#include "go_build.h"

#define MAX 4

static const char *const suffixes[] = { ".(*Config).writeKeyLog", ".keysFromMasterSecret" };

static int search(const struct elf_file *f, struct pclntab_function *ret_functions, size_t max)
{
	struct image *image;
	int r;

	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	r = pclntab_functions(image, suffixes, 2, ret_functions, max);
	image_free(image);
	return r;
}

static void assert_function(const struct go_file *go, const struct pclntab_function *function,
			    size_t index, unsigned int suffix)
{
	assert_int_equal(function->suffix, suffix);
	assert_int_equal(function->symbol.vaddr, elf_vaddr(go->code + go_starts[index] * GO_ALIGN));
	assert_int_equal(function->symbol.size,
			 (go_starts[index + 1] - go_starts[index]) * GO_ALIGN);
	assert_int_equal(function->symbol.rung, RUNG_PCLNTAB);
}

static void test_every_version(void **state)
{
	static const uint16_t machines[] = { EM_X86_64, EM_AARCH64 };
	struct pclntab_function found[MAX];
	struct elf_file f;
	struct go_file go;

	(void)state;
	for (int i = 0; i < 2; i++) {
		for (int version = 0; version < GO_VERSIONS; version++) {
			go_init(&f, &go, machines[i], version, version >= GO_1_18, "go1.1");
			assert_int_equal(search(&f, found, MAX), 3);
			assert_function(&go, &found[0], GO_KEY_LOG, 0);
			assert_function(&go, &found[1], GO_FORK, 0);
			assert_function(&go, &found[2], GO_MASTER_SECRET, 1);
			assert_int_equal(search(&f, found, 1), 1);
			/* The other machine has instructions of another length. */
			f.text[go.table + 6] ^= 5;
			assert_int_equal(search(&f, found, MAX), -ENOENT);
		}
	}
}

/* A function that was inlined everywhere has a name only, and a name has an end. */
static void test_names(void **state)
{
	struct pclntab_function found[MAX];
	struct elf_file f;
	struct go_file go;
	size_t pos;

	(void)state;
	go_init(&f, &go, EM_X86_64, GO_1_20, true, "go1.20");
	pos = go.records + GO_KEY_LOG * 8 + 4;
	go_put(&f, &pos, 0, 4);
	assert_int_equal(search(&f, found, MAX), 2);
	assert_function(&go, &found[0], GO_FORK, 0);
	go_init(&f, &go, EM_X86_64, GO_1_20, true, "go1.20");
	/* One letter takes the place of the NUL behind the last of the three. */
	f.text[go.names + sizeof("main.a") + sizeof("runtime.asm") + strlen(go_names[GO_KEY_LOG])] =
		'x';
	assert_int_equal(search(&f, found, MAX), 2);
	assert_function(&go, &found[0], GO_FORK, 0);
}

static void test_sections_of_that_name(void **state)
{
	struct pclntab_function found[MAX];
	struct elf_file f, decoy;
	struct go_file go;

	(void)state;
	go_init(&f, &go, EM_X86_64, GO_1_16, false, "go1.16");
	decoy = f;
	decoy.shdr[SECTION_DYNSYM].sh_name = (uint32_t)f.strings_len;
	strcpy(decoy.strings + f.strings_len, ".gopclntab");
	decoy.ehdr.e_shstrndx = SECTION_STRTAB;
	decoy.shdr[SECTION_DYNSYM].sh_type = SHT_PROGBITS;
	decoy.shdr[SECTION_DYNSYM].sh_addr = elf_vaddr(go.table);
	decoy.shdr[SECTION_DYNSYM].sh_offset = elf_offset(go.table);
	decoy.shdr[SECTION_DYNSYM].sh_size = go.end - go.table;
	assert_int_equal(search(&decoy, found, MAX), 3);
	/* A section that does not have what its name says is passed over. */
	decoy.shdr[SECTION_DYNSYM].sh_addr = elf_vaddr(go.code);
	assert_int_equal(search(&decoy, found, MAX), 3);
	decoy.shdr[SECTION_DYNSYM].sh_addr = UINT64_MAX - 8;
	assert_int_equal(search(&decoy, found, MAX), 3);
	/* A second table is not looked at, but no harm either. */
	memset(decoy.text + go.table, 0, 8);
	assert_int_equal(search(&decoy, found, MAX), -ENOENT);
}

/* What is found in a damaged file may be wrong, but has code. */
static void search_damaged(const struct elf_file *f)
{
	struct pclntab_function found[MAX];
	int r = search(f, found, MAX);

	assert_true(r == -ENOENT || r == -EFBIG || (r >= 0 && r <= MAX));
	for (int i = 0; i < r; i++)
		assert_in_range(found[i].symbol.vaddr, ELF_BASE, ELF_BASE + ELF_FILE_LEN - 1);
}

static void test_damaged(void **state)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	struct elf_file good, f;
	struct go_file go;

	(void)state;
	for (int version = 0; version < GO_VERSIONS; version++) {
		go_init(&good, &go, EM_X86_64, version, version >= GO_1_18, "go1.1");
		for (size_t pos = go.table; pos < go.end; pos++) {
			for (size_t i = 0; i < sizeof(values); i++) {
				f = good;
				f.text[pos] = values[i];
				search_damaged(&f);
			}
		}
	}
}

static void test_truncated(void **state)
{
	struct elf_file f;
	struct go_file go;

	(void)state;
	for (int version = 0; version < GO_VERSIONS; version++) {
		go_init(&f, &go, EM_X86_64, version, version >= GO_1_18, "go1.1");
		for (uint64_t end = go.end; end > go.code; end--) {
			f.phdr[0].p_filesz = elf_offset(end);
			search_damaged(&f);
		}
	}
}

static void test_numbers_of_functions(void **state)
{
	static const uint64_t counts[] = { 0,	       GO_FUNCTIONS + 99, UINT32_MAX,
					   1ULL << 60, 1ULL << 63,	  UINT64_MAX };
	struct pclntab_function found[MAX];
	struct elf_file f;
	struct go_file go;

	(void)state;
	for (int version = 0; version < GO_VERSIONS; version++) {
		go_init(&f, &go, EM_X86_64, version, version >= GO_1_18, "go1.1");
		for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			memcpy(f.text + go.table + 8, &counts[i], 8);
			assert_int_equal(search(&f, found, MAX), -ENOENT);
		}
	}
}

static void test_nothing_but_headers(void **state)
{
	struct pclntab_function found[MAX];
	struct elf_file f;
	struct go_file go;
	size_t pos;

	(void)state;
	go_init(&f, &go, EM_X86_64, GO_1_2, false, "go1.15");
	for (pos = go.table % 16; pos + 16 <= sizeof(f.text); pos += 16)
		memmove(f.text + pos, f.text + go.table, 16);
	assert_int_equal(search(&f, found, MAX), -EFBIG);
}

/* Without code that agrees with the table, and with two places that do, it is not guessed. */
static void test_text_is_not_guessed(void **state)
{
	struct pclntab_function found[MAX];
	struct elf_file f;
	struct go_file go;
	size_t second;

	(void)state;
	go_init(&f, &go, EM_X86_64, GO_1_20, true, "go1.20");
	go_align(&f, GO_ALIGN);
	second = f.text_len;
	assert_true(second + GO_CODE_LEN <= sizeof(f.text));
	memcpy(f.text + second, f.text + go.code, GO_CODE_LEN);
	assert_int_equal(search(&f, found, MAX), -ENOENT);
	memset(f.text + second, 0, GO_CODE_LEN);
	assert_int_equal(search(&f, found, MAX), 3);
	memset(f.text + go.code, 0, GO_CODE_LEN);
	assert_int_equal(search(&f, found, MAX), -ENOENT);
}

static void test_conventions(void **state)
{
	static const uint8_t far[] = { 0x4c, 0x8d, 0xa4, 0x24, 0,    0xff,
				       0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10 };
	static const uint8_t shared[] = { 0x48, 0x8b, 0x0d, 1, 2, 3, 4, 0x64, 0x48, 0x8b, 0x09 };
	static const uint8_t arm[] = { 0x90, 0x0b, 0x40, 0xf9 };

	(void)state;
	assert_int_equal(gotext_abi(EM_X86_64, far, sizeof(far)), GOTEXT_ABI_REGISTERS);
	assert_int_equal(gotext_abi(EM_X86_64, far, sizeof(far) - 1), GOTEXT_ABI_NONE);
	assert_int_equal(gotext_abi(EM_X86_64, shared, sizeof(shared)), GOTEXT_ABI_STACK);
	assert_int_equal(gotext_abi(EM_X86_64, shared, sizeof(shared) - 1), GOTEXT_ABI_NONE);
	assert_int_equal(gotext_abi(EM_X86_64, arm, sizeof(arm)), GOTEXT_ABI_NONE);
	assert_int_equal(gotext_abi(EM_AARCH64, arm, sizeof(arm)), GOTEXT_ABI_REGISTERS);
	assert_int_equal(gotext_abi(EM_AARCH64, far, sizeof(far)), GOTEXT_ABI_NONE);
	assert_int_equal(gotext_abi(EM_AARCH64, arm, 0), GOTEXT_ABI_NONE);
}

static int version_of(const struct elf_file *f, char *ret_version, size_t size)
{
	struct image *image;
	int r;

	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	r = gobuild_version(image, ret_version, size);
	image_free(image);
	return r;
}

static void test_build_information(void **state)
{
	char version[16];
	struct elf_file f;
	struct go_file go;

	(void)state;
	go_init(&f, &go, EM_X86_64, GO_1_16, false, "go1.16.15");
	assert_int_equal(version_of(&f, version, sizeof(version)), 0);
	assert_string_equal(version, "go1.16.15");
	memset(f.text + go.build + 40, 0xff, 8); /* the string's length */
	assert_int_equal(version_of(&f, version, sizeof(version)), 0);
	assert_int_equal(strlen(version), sizeof(version) - 1);
	memset(f.text + go.build + 16, 0xff, 8); /* its address */
	assert_int_equal(version_of(&f, version, sizeof(version)), -ENOENT);
	go_init(&f, &go, EM_X86_64, GO_1_20, true, "go1.26.8");
	assert_int_equal(version_of(&f, version, 7), 0);
	assert_string_equal(version, "go1.26");
	assert_int_equal(version_of(&f, version, 0), -ENOENT);
	memset(f.text + go.build + 32, 0xff, 2);
	assert_int_equal(version_of(&f, version, sizeof(version)), -ENOENT);
	f.text[go.build] = 0;
	assert_int_equal(version_of(&f, version, sizeof(version)), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_version),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_sections_of_that_name),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_numbers_of_functions),
		cmocka_unit_test(test_nothing_but_headers),
		cmocka_unit_test(test_text_is_not_guessed),
		cmocka_unit_test(test_conventions),
		cmocka_unit_test(test_build_information),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Sections, notes, the table of functions and the debug file's symbols. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/image.h"
#include "elf_text.h"

#define NAMES 3
static const char *const names[NAMES] = { "ssl_second", "SSL_first", "third" };

static void test_section(void **state)
{
	uint64_t vaddr, offset, len;
	struct elf_file f;
	struct image *image;
	int i;

	(void)state;
	for (i = 0; i < 8; i++) {
		int expected = i < 2 ? 0 : -ENOENT;

		elf_init(&f, EM_X86_64);
		f.ehdr.e_shstrndx = SECTION_STRTAB;
		f.shdr[SECTION_SYMTAB].sh_name = (uint32_t)f.strings_len;
		elf_string(&f, i == 1 ? "x.name" : ".name");
		f.shdr[SECTION_SYMTAB].sh_name += i == 1;
		f.shdr[SECTION_SYMTAB].sh_addr = 0x1234;
		if (i == 2) /* it ends with the section of names, without a NUL */
			f.shdr[SECTION_STRTAB].sh_size = f.strings_len - 1;
		else if (i == 3)
			f.shdr[SECTION_SYMTAB].sh_name = UINT32_MAX;
		else if (i == 4)
			f.shdr[SECTION_SYMTAB].sh_size = ELF_FILE_LEN;
		else if (i == 5)
			f.shdr[SECTION_SYMTAB].sh_type = SHT_NOBITS;
		else if (i == 6)
			f.ehdr.e_shstrndx = 200;
		else if (i == 7)
			f.ehdr.e_shoff = 0;
		assert_int_equal(image_open_memory(&f, ELF_FILE_LEN, &image), 0);
		assert_int_equal(image_section(image, ".name", &vaddr, &offset, &len), expected);
		assert_int_equal(image_section(image, ".nam", &vaddr, &offset, &len), -ENOENT);
		if (!expected) {
			assert_int_equal(vaddr, 0x1234);
			assert_int_equal(offset, offsetof(struct elf_file, symtab));
			assert_int_equal(len, sizeof(f.symtab));
		}
		image_free(image);
	}
}

/* A note in the code, and a program header for len bytes of it. */
static void add_note(struct elf_file *f, uint32_t namesz, uint32_t descsz, uint32_t type,
		     const char *name, size_t len)
{
	Elf64_Nhdr note = { namesz, descsz, type };

	f->ehdr.e_phnum = 2;
	f->phdr[1].p_type = PT_NOTE;
	f->phdr[1].p_offset = elf_offset(0);
	elf_code(f, &note, sizeof(note));
	elf_code(f, name, 4);
	while (f->text_len % 256)
		elf_code(f, "i", 1);
	f->phdr[1].p_filesz = len;
}

static int build_id(const struct elf_file *f, size_t *ret_len)
{
	uint8_t id[IMAGE_BUILD_ID_MAX];
	struct image *image;
	int err;

	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	err = image_build_id(image, id, ret_len);
	if (!err)
		assert_int_equal(id[0], 'i');
	image_free(image);
	return err;
}

static void test_build_id(void **state)
{
	static const struct {
		uint32_t namesz, descsz, type;
		const char *name;
		size_t len, id_len;
	} notes[] = {
		{ 4, 20, NT_GNU_BUILD_ID, "GNU", 36, 20 },
		{ 4, IMAGE_BUILD_ID_MAX, NT_GNU_BUILD_ID, "GNU", 256, IMAGE_BUILD_ID_MAX },
		{ 4, 19, NT_GNU_BUILD_ID, "GNU", 36, 19 }, /* not a multiple of 4 */
		{ 4, 20, NT_GNU_BUILD_ID, "GNU", 35, 0 },  /* cut off */
		{ 4, 20, NT_GNU_BUILD_ID, "GNU", 11, 0 },
		{ 4, 20, NT_GNU_BUILD_ID, "GNU", 0, 0 },
		{ 4, IMAGE_BUILD_ID_MAX + 1, NT_GNU_BUILD_ID, "GNU", 256, 0 },
		{ 4, 0, NT_GNU_BUILD_ID, "GNU", 36, 0 },
		{ 4, UINT32_MAX, NT_GNU_BUILD_ID, "GNU", 256, 0 },
		{ UINT32_MAX, 20, NT_GNU_BUILD_ID, "GNU", 256, 0 },
		{ 4, 20, NT_GNU_BUILD_ID, "GNX", 36, 0 },
		{ 3, 20, NT_GNU_BUILD_ID, "GNU", 36, 0 },
		{ 4, 20, NT_GNU_ABI_TAG, "GNU", 36, 0 },
		{ 4, 20, NT_GNU_BUILD_ID, "GNU", 5000, 0 }, /* too many notes */
	};
	struct elf_file f;
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		elf_init(&f, EM_X86_64);
		add_note(&f, notes[i].namesz, notes[i].descsz, notes[i].type, notes[i].name,
			 notes[i].len);
		len = 0;
		assert_int_equal(build_id(&f, &len), notes[i].id_len ? 0 : -ENOENT);
		assert_int_equal(len, notes[i].id_len);
	}
	/* Behind another one. */
	elf_init(&f, EM_X86_64);
	add_note(&f, 4, 240, NT_GNU_ABI_TAG, "GNU", 512);
	add_note(&f, 4, 20, NT_GNU_BUILD_ID, "GNU", 512);
	assert_int_equal(build_id(&f, &len), 0);
	assert_int_equal(len, 20);
	/* It is not in the file. */
	f.phdr[1].p_offset = UINT64_MAX - 16;
	assert_int_equal(build_id(&f, &len), -ENOENT);
	f.ehdr.e_phnum = 1;
	assert_int_equal(build_id(&f, &len), -ENOENT);
}

#define FRAME 1000 /* where in the code an entry of .eh_frame is */

/* The entry of the function number index in the table, which covers range bytes. */
static void add_frame(struct elf_file *f, size_t index, size_t start, uint32_t range)
{
	uint64_t table = offsetof(struct elf_file, phdr[ELF_UNWIND_PHDR]);
	int32_t fde[4] = { 20, 24, (int32_t)(start - (FRAME + 8)), (int32_t)range };
	int32_t distance = (int32_t)(elf_offset(FRAME) - table);

	memcpy(f->text + FRAME, fde, sizeof(fde));
	memcpy((uint8_t *)f + table + 12 + 8 * index + 4, &distance, sizeof(distance));
}

static int function_at(const struct elf_file *f, size_t pos, size_t *ret_start, uint64_t *ret_len)
{
	struct image *image;
	uint64_t start;
	int err;

	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	err = image_function_at(image, elf_vaddr(pos), &start, ret_len);
	if (!err)
		*ret_start = (size_t)(start - elf_vaddr(0));
	image_free(image);
	return err;
}

static void test_functions(void **state)
{
	static const size_t starts[] = { 16, 64, 128, 256 };
	struct image *image;
	struct elf_file f;
	uint64_t len;
	size_t start;

	(void)state;
	elf_init(&f, EM_X86_64);
	elf_unwind(&f, starts, 4);
	assert_int_equal(function_at(&f, 15, &start, &len), -ENOENT);
	assert_int_equal(function_at(&f, 16, &start, &len), 0);
	assert_int_equal(start, 16);
	assert_int_equal(len, 48);
	assert_int_equal(function_at(&f, 255, &start, &len), 0);
	assert_int_equal(start, 128);
	assert_int_equal(len, 128);
	assert_int_equal(function_at(&f, 256, &start, &len), -ENOENT);
	/* Code that the table leaves out is behind the function's end. */
	add_frame(&f, 2, 128, 100);
	assert_int_equal(function_at(&f, 227, &start, &len), 0);
	assert_int_equal(function_at(&f, 228, &start, &len), -ENOENT);
	/* An entry of another function says nothing. */
	add_frame(&f, 2, 129, 100);
	assert_int_equal(function_at(&f, 228, &start, &len), 0);
	add_frame(&f, 2, 128, 0);
	assert_int_equal(function_at(&f, 128, &start, &len), -ENOENT);
	memset(f.text + FRAME, 0xff, 4);
	assert_int_equal(function_at(&f, 128, &start, &len), 0);
	assert_int_equal(image_open_memory(&f, ELF_FILE_LEN, &image), 0);
	assert_int_equal(image_function_len(image, elf_vaddr(64), &len), 0);
	assert_int_equal(len, 64);
	assert_int_equal(image_function_len(image, elf_vaddr(65), &len), -ENOENT);
	assert_int_equal(image_function_starts(image, elf_vaddr(64)), 1);
	assert_int_equal(image_function_starts(image, elf_vaddr(256)), 1);
	assert_int_equal(image_function_starts(image, elf_vaddr(65)), 0);
	image_free(image);
}

static void test_functions_damaged(void **state)
{
	static const size_t starts[] = { 16, 64, 128, 256 }, unsorted[] = { 256, 64, 128, 16 };
	uint8_t *table;
	struct elf_file f;
	uint64_t len;
	size_t start;
	int i;

	(void)state;
	for (i = 0; i < 9; i++) {
		elf_init(&f, EM_X86_64);
		elf_unwind(&f, starts, 4);
		table = (uint8_t *)&f.phdr[ELF_UNWIND_PHDR];
		if (i < 4) /* another encoding */
			table[i] ^= 1;
		else if (i == 4) /* more entries than there is room for */
			f.phdr[1].p_filesz--;
		else if (i == 5)
			memset(table + 8, 0xff, 4);
		else if (i == 6)
			f.phdr[1].p_filesz = 11;
		else if (i == 7)
			f.phdr[1].p_offset = UINT64_MAX;
		else
			f.phdr[1].p_offset = ELF_FILE_LEN - 20;
		assert_int_equal(function_at(&f, 64, &start, &len), -ENOENT);
	}
	/* Not in order: found or not, but never with a length below 1. */
	elf_unwind(&f, unsorted, 4);
	for (i = 0; i < 300; i++) {
		if (!function_at(&f, (size_t)i, &start, &len))
			assert_in_range(len, 1, 256);
	}
}

/* The names of a separate file, for the code of this one. */
static void test_debug_file(void **state)
{
	struct symbol symbols[NAMES];
	struct image *image, *debug;
	struct elf_file f, g;

	(void)state;
	elf_init(&f, EM_X86_64);
	elf_symbol(&f, SECTION_DYNSYM, "SSL_first", 16, 10);
	elf_init(&g, EM_X86_64);
	elf_symbol(&g, SECTION_SYMTAB, "SSL_first", 32, 10);
	elf_symbol(&g, SECTION_SYMTAB, "ssl_second", 48, 10);
	elf_symbol(&g, SECTION_SYMTAB, "third", 64, 10)->st_value = 1; /* no code there */
	assert_int_equal(image_open_memory(&f, ELF_FILE_LEN, &image), 0);
	assert_int_equal(image_symbols(image, names, NAMES, symbols), 1);
	assert_false(image_has_debug(image));
	assert_int_equal(image_open_memory(&g, ELF_FILE_LEN, &debug), 0);
	image_set_debug(image, debug);
	assert_true(image_has_debug(image));
	assert_int_equal(image_symbols(image, names, NAMES, symbols), 2);
	assert_int_equal(symbols[0].rung, RUNG_DEBUG_FILE);
	assert_int_equal(symbols[0].vaddr, elf_vaddr(48));
	assert_int_equal(symbols[1].rung, RUNG_DYNSYM);
	assert_int_equal(symbols[2].rung, RUNG_NONE);
	image_set_debug(image, NULL);
	assert_int_equal(image_symbols(image, names, NAMES, symbols), 1);
	image_free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_section),	   cmocka_unit_test(test_build_id),
		cmocka_unit_test(test_functions),  cmocka_unit_test(test_functions_damaged),
		cmocka_unit_test(test_debug_file),
	};

	return cmocka_run_group_tests_name("image_tables", tests, NULL, NULL);
}

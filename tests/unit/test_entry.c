/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that a user gives: taken where a function begins, refused elsewhere. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/ehframe.h"
#include "elf/entry.h"
#include "elf_build.h"

enum { EH_FRAME = SECTIONS_MAX, SHSTRTAB, ALL_MAX };

#define FIRST  16
#define SECOND 40
#define NAMES  "\0.eh_frame"

struct fde {
	uint32_t len;
	uint32_t back;
	int32_t start;
	uint32_t range;
	uint32_t rest;
};

struct framed_file {
	struct elf_file file;
	Elf64_Shdr shdr[ALL_MAX];
	char shstrtab[16];
	struct {
		uint8_t cie[24];
		struct fde fde[2];
		uint32_t end;
	} frame;
};

static const uint8_t cie[24] = { 20, 0,	   0,	 0, 0,	  0,	0, 0, 1,    'z', 'R', 0,
				 1,  0x78, 0x10, 1, 0x1b, 0x0c, 7, 8, 0x90, 1,	 0,   0 };

static void fde_set(struct framed_file *f, int index, size_t pos)
{
	struct fde *fde = &f->frame.fde[index];
	uint64_t at = (uint64_t)((const char *)&fde->start - (const char *)f);

	fde->len = sizeof(*fde) - 4;
	fde->back = (uint32_t)((const char *)&fde->back - (const char *)&f->frame);
	fde->start = (int32_t)(elf_vaddr(pos) - (ELF_BASE + at));
	fde->range = 8;
}

static void framed_init(struct framed_file *f)
{
	memset(f, 0, sizeof(*f));
	elf_init(&f->file, EM_X86_64);
	memset(f->file.text, 0xc3, sizeof(f->file.text));
	memcpy(f->shdr, f->file.shdr, sizeof(f->file.shdr));
	memcpy(f->shstrtab, NAMES, sizeof(NAMES));
	memcpy(f->frame.cie, cie, sizeof(cie));
	fde_set(f, 0, FIRST);
	fde_set(f, 1, SECOND);
	f->shdr[SHSTRTAB].sh_type = SHT_STRTAB;
	f->shdr[SHSTRTAB].sh_offset = offsetof(struct framed_file, shstrtab);
	f->shdr[SHSTRTAB].sh_size = sizeof(NAMES);
	f->shdr[EH_FRAME].sh_name = 1;
	f->shdr[EH_FRAME].sh_type = SHT_PROGBITS;
	f->shdr[EH_FRAME].sh_addr = ELF_BASE + offsetof(struct framed_file, frame);
	f->shdr[EH_FRAME].sh_offset = offsetof(struct framed_file, frame);
	f->shdr[EH_FRAME].sh_size = sizeof(f->frame);
	f->file.ehdr.e_shoff = offsetof(struct framed_file, shdr);
	f->file.ehdr.e_shnum = ALL_MAX;
	f->file.ehdr.e_shstrndx = SHSTRTAB;
}

static int check(const struct framed_file *f, size_t pos)
{
	struct image *image;
	uint64_t vaddr;
	int r;

	assert_int_equal(image_open_memory(f, sizeof(*f), &image), 0);
	r = entry_check(image, elf_offset(pos), &vaddr);
	if (!r)
		assert_int_equal(vaddr, elf_vaddr(pos));
	image_free(image);
	return r;
}

static void test_places(void **state)
{
	struct framed_file f;

	(void)state;
	framed_init(&f);
	assert_int_equal(check(&f, FIRST), 0);
	assert_int_equal(check(&f, SECOND), 0);
	assert_int_equal(check(&f, FIRST + 1), -ENOENT);
	assert_int_equal(check(&f, SECOND - 1), -ENOENT);
	f.file.text[FIRST] = 0x06; /* no instruction in 64-bit code */
	assert_int_equal(check(&f, FIRST), -EILSEQ);
	f.file.phdr[0].p_filesz = elf_offset(SECOND);
	assert_int_equal(check(&f, SECOND), -EADDRNOTAVAIL);
	f.file.phdr[0].p_flags = PF_R;
	assert_int_equal(check(&f, FIRST), -EADDRNOTAVAIL);
}

/* What can't be understood can't say no. */
static void test_no_table(void **state)
{
	struct framed_file good, f;

	(void)state;
	framed_init(&good);
	f = good;
	f.shstrtab[1] = 'x';
	assert_int_equal(check(&f, FIRST + 1), 0);
	f = good;
	f.frame.cie[16] = 0; /* absolute addresses */
	assert_int_equal(check(&f, FIRST + 1), 0);
	f = good;
	f.frame.cie[9] = 'x'; /* another kind of augmentation */
	assert_int_equal(check(&f, FIRST + 1), 0);
	f = good;
	f.frame.fde[0].len = UINT32_MAX;
	assert_int_equal(check(&f, FIRST + 1), 0);
	f = good;
	f.frame.fde[0].back = 4096;
	assert_int_equal(check(&f, FIRST + 1), 0);
	f = good;
	f.shdr[EH_FRAME].sh_size = UINT64_MAX;
	assert_int_equal(check(&f, FIRST + 1), 0);
}

/* Each byte of the table to several values, each length: an answer, and no read outside. */
static void test_damaged(void **state)
{
	static const uint8_t values[] = { 0, 1, 4, 0x7f, 0x80, 0xff };
	struct framed_file good;
	struct image *image;
	uint8_t *data;
	int r;

	(void)state;
	framed_init(&good);
	for (size_t i = 0; i < sizeof(good.frame); i++) {
		for (size_t v = 0; v < sizeof(values); v++) {
			size_t begin = offsetof(struct framed_file, frame);
			size_t len = begin + (v ? sizeof(good.frame) : i);

			good.shdr[EH_FRAME].sh_size = len - begin;
			/* In memory of the very size. */
			data = malloc(len);
			memcpy(data, &good, len);
			if (v)
				data[begin + i] = values[v];
			assert_int_equal(image_open_memory(data, len, &image), 0);
			r = ehframe_starts(image, elf_vaddr(SECOND));
			assert_true(r == 0 || r == 1 || r == -ENOENT);
			image_free(image);
			free(data);
		}
	}
}

static void test_wins(void **state)
{
	static const char *const names[] = { "SSL_read", "SSL_write" };
	struct symbol symbols[2];
	struct framed_file f;
	struct image *image;

	(void)state;
	framed_init(&f);
	elf_symbol(&f.file, SECTION_DYNSYM, "SSL_read", SECOND, 8);
	elf_symbol(&f.file, SECTION_DYNSYM, "SSL_write", SECOND, 8);
	assert_int_equal(image_open_memory(&f, sizeof(f), &image), 0);
	assert_int_equal(image_add_symbol(image, "SSL_read", elf_vaddr(FIRST)), 0);
	assert_int_equal(image_symbols(image, names, 2, symbols), 2);
	assert_int_equal(symbols[0].rung, RUNG_USER);
	assert_int_equal(symbols[0].vaddr, elf_vaddr(FIRST));
	assert_int_equal(symbols[1].rung, RUNG_DYNSYM);
	for (int i = 1; i < IMAGE_GIVEN_MAX; i++)
		assert_int_equal(image_add_symbol(image, "other", elf_vaddr(FIRST)), 0);
	assert_int_equal(image_add_symbol(image, "other", elf_vaddr(FIRST)), -E2BIG);
	image_free(image);
}

/* A debug file that says functions are where none begins. */
static void test_forged(void **state)
{
	static const char *const names[] = { "SSL_read", "SSL_write" };
	struct image *image, *debug;
	struct symbol symbols[2];
	struct framed_file f;
	struct elf_file forged;

	(void)state;
	framed_init(&f);
	elf_init(&forged, EM_X86_64);
	elf_symbol(&forged, SECTION_SYMTAB, "SSL_read", FIRST + 1, 8);
	elf_symbol(&forged, SECTION_SYMTAB, "SSL_write", SECOND, 8);
	assert_int_equal(image_open_memory(&f, sizeof(f), &image), 0);
	assert_int_equal(image_open_memory(&forged, ELF_FILE_LEN, &debug), 0);
	image_set_debug(image, debug);
	assert_int_equal(image_symbols(image, names, 2, symbols), 1);
	assert_int_equal(symbols[0].rung, RUNG_NONE);
	assert_int_equal(symbols[1].rung, RUNG_DEBUG_FILE);
	image_free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),	cmocka_unit_test(test_no_table),
		cmocka_unit_test(test_damaged), cmocka_unit_test(test_wins),
		cmocka_unit_test(test_forged),
	};

	return cmocka_run_group_tests_name("entry", tests, NULL, NULL);
}

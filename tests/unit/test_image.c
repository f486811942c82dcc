/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/image.h"
#include "elf_flow.h"

static int open_error(const struct elf_file *f, size_t len)
{
	struct image *image = NULL;
	int err = image_open_memory(f, len, &image);

	image_free(image);
	return err;
}

static void test_opens(void **state)
{
	struct elf_file f;
	struct image *image;
	uint64_t offset;
	size_t len;

	(void)state;
	elf_init(&f, EM_X86_64);
	assert_int_equal(image_open_memory(&f, ELF_FILE_LEN, &image), 0);
	assert_int_equal(image_machine(image), EM_X86_64);
	assert_int_equal(image_offset(image, elf_vaddr(5), &offset), 0);
	assert_int_equal(offset, elf_offset(5));
	assert_ptr_equal(image_code(image, elf_vaddr(5), &len), f.text + 5);
	assert_int_equal(len, ELF_FILE_LEN - elf_offset(5));
	assert_int_equal(image_offset(image, ELF_BASE + ELF_FILE_LEN, &offset), -EADDRNOTAVAIL);
	assert_int_equal(image_offset(image, ELF_BASE - 1, &offset), -EADDRNOTAVAIL);
	assert_null(image_code(image, ELF_BASE + ELF_FILE_LEN, &len));
	image_free(image);
	image_free(NULL);
	elf_init(&f, EM_AARCH64);
	assert_int_equal(open_error(&f, ELF_FILE_LEN), 0);
	f.ehdr.e_type = ET_EXEC;
	assert_int_equal(open_error(&f, ELF_FILE_LEN), 0);
}

static void test_refuses_other_files(void **state)
{
	struct elf_file good, f;

	(void)state;
	elf_init(&good, EM_X86_64);
	f = good;
	f.ehdr.e_ident[0] = '#';
	assert_int_equal(open_error(&f, ELF_FILE_LEN), -ENOEXEC);
	f = good;
	f.ehdr.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(open_error(&f, ELF_FILE_LEN), -ENOEXEC);
	f = good;
	f.ehdr.e_ident[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(open_error(&f, ELF_FILE_LEN), -ENOEXEC);
	f = good;
	f.ehdr.e_type = ET_REL;
	assert_int_equal(open_error(&f, ELF_FILE_LEN), -ENOEXEC);
	f = good;
	f.ehdr.e_machine = EM_RISCV;
	assert_int_equal(open_error(&f, ELF_FILE_LEN), -EOPNOTSUPP);
	assert_int_equal(open_error(&good, 0), -ENOEXEC);
	assert_int_equal(open_error(&good, sizeof(good.ehdr) - 1), -ENOEXEC);
}

static void test_refuses_damaged_segments(void **state)
{
	struct elf_file good, f;
	size_t i;

	(void)state;
	elf_init(&good, EM_X86_64);
	f = good;
	f.ehdr.e_phoff = UINT64_MAX - 8;
	assert_int_equal(open_error(&f, ELF_FILE_LEN), -ENOEXEC);
	f = good;
	f.phdr[0].p_filesz = ELF_FILE_LEN + 1;
	assert_int_equal(open_error(&f, ELF_FILE_LEN), -ENOEXEC);
	f = good;
	f.phdr[0].p_offset = UINT64_MAX;
	assert_int_equal(open_error(&f, ELF_FILE_LEN), -ENOEXEC);
	f = good;
	f.phdr[0].p_vaddr = UINT64_MAX - 1;
	assert_int_equal(open_error(&f, ELF_FILE_LEN), -ENOEXEC);
	/* More executable segments than any linker makes. */
	f = good;
	f.ehdr.e_phnum = ELF_PHDRS;
	for (i = 1; i < ELF_PHDRS; i++)
		f.phdr[i] = f.phdr[0];
	assert_int_equal(open_error(&f, ELF_FILE_LEN), -ENOEXEC);
	/* The number of sections would be a 64-bit field of the first one. */
	f = good;
	f.ehdr.e_shnum = 0;
	f.shdr[0].sh_size = SECTIONS_MAX;
	assert_int_equal(open_error(&f, ELF_FILE_LEN), -ENOEXEC);
}

#define NAMES 3
static const char *const names[NAMES] = { "ssl_second", "SSL_first", "third" };

static int find(const struct elf_file *f, struct symbol *ret_symbols)
{
	struct image *image;
	int found;

	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	found = image_symbols(image, names, NAMES, ret_symbols);
	image_free(image);
	return found;
}

static void build_symbols(struct elf_file *f)
{
	elf_init(f, EM_X86_64);
	elf_symbol(f, SECTION_DYNSYM, "SSL_first", 16, 10);
	elf_symbol(f, SECTION_DYNSYM, "SSL_firs", 20, 10);
	elf_symbol(f, SECTION_SYMTAB, "SSL_first", 32, 10);
	elf_symbol(f, SECTION_SYMTAB, "ssl_second", 48, 0);
	elf_symbol(f, SECTION_SYMTAB, "ssl_second", 64, 0);
}

static void test_symbols(void **state)
{
	struct symbol symbols[NAMES];
	struct elf_file f;

	(void)state;
	build_symbols(&f);
	assert_int_equal(find(&f, symbols), 2);
	assert_int_equal(symbols[0].rung, RUNG_SYMTAB);
	assert_int_equal(symbols[0].vaddr, elf_vaddr(48));
	assert_int_equal(symbols[0].size, 0);
	assert_int_equal(symbols[1].rung, RUNG_DYNSYM);
	assert_int_equal(symbols[1].vaddr, elf_vaddr(16));
	assert_int_equal(symbols[1].size, 10);
	assert_int_equal(symbols[2].rung, RUNG_NONE);
	assert_string_equal(rung_name(RUNG_DYNSYM), "dynsym");
	assert_string_equal(rung_name(RUNG_NONE), "none");
}

/* Symbols of that name that are no place to probe. */
static void test_symbols_unusable(void **state)
{
	struct symbol symbols[NAMES];
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	elf_symbol(&f, SECTION_DYNSYM, "third", 16, 10)->st_shndx = SHN_UNDEF;
	elf_symbol(&f, SECTION_DYNSYM, "third", 16, 10)->st_info = ELF64_ST_INFO(STB_GLOBAL, 1);
	elf_symbol(&f, SECTION_DYNSYM, "third", 16, 10)->st_value = 1;
	elf_symbol(&f, SECTION_DYNSYM, "third", 16, 10)->st_value = UINT64_MAX;
	elf_symbol(&f, SECTION_DYNSYM, "third", 16, 10)->st_name = UINT32_MAX;
	assert_int_equal(find(&f, symbols), 0);
	elf_symbol(&f, SECTION_DYNSYM, "third", 16, 10);
	assert_int_equal(find(&f, symbols), 1);
	f.phdr[0].p_flags = PF_R;
	assert_int_equal(find(&f, symbols), 0);
}

/* A damaged table has nothing in it; the other one still counts. */
static void test_symbols_damaged(void **state)
{
	struct symbol symbols[NAMES];
	struct elf_file good, f;

	(void)state;
	build_symbols(&good);
	f = good;
	f.shdr[SECTION_DYNSYM].sh_offset = UINT64_MAX - 16;
	assert_int_equal(find(&f, symbols), 2);
	assert_int_equal(symbols[1].vaddr, elf_vaddr(32));
	f = good;
	f.shdr[SECTION_SYMTAB].sh_size = UINT64_MAX;
	assert_int_equal(find(&f, symbols), 1);
	f = good;
	f.shdr[SECTION_SYMTAB].sh_entsize = 1;
	assert_int_equal(find(&f, symbols), 1);
	f = good;
	f.shdr[SECTION_SYMTAB].sh_link = SECTION_SYMTAB;
	assert_int_equal(find(&f, symbols), 1);
	f = good;
	f.shdr[SECTION_SYMTAB].sh_link = UINT32_MAX;
	assert_int_equal(find(&f, symbols), 1);
	/* Half a symbol at the end is none. */
	f = good;
	f.shdr[SECTION_SYMTAB].sh_size = 3 * sizeof(Elf64_Sym) - 1;
	assert_int_equal(find(&f, symbols), 1);
	/* The last name has no end. */
	f = good;
	elf_symbol(&f, SECTION_DYNSYM, "third", 80, 0);
	assert_int_equal(find(&f, symbols), 3);
	f.shdr[SECTION_STRTAB].sh_size = f.strings_len - 1;
	assert_int_equal(find(&f, symbols), 2);
	assert_int_equal(symbols[2].rung, RUNG_NONE);
	f.shdr[SECTION_STRTAB].sh_size = 0;
	assert_int_equal(find(&f, symbols), 0);
}

static int write_file(char *path, const struct elf_file *f)
{
	int fd;

	strcpy(path, "/tmp/test_image.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, f, ELF_FILE_LEN), ELF_FILE_LEN);
	return fd;
}

static void test_file(void **state)
{
	struct symbol symbols[NAMES];
	struct image *image;
	struct elf_file f;
	char path[32];
	size_t len;
	int fd;

	(void)state;
	build_symbols(&f);
	fd = write_file(path, &f);
	assert_int_equal(image_open(path, &image), 0);
	assert_int_equal(image_symbols(image, names, NAMES, symbols), 2);
	assert_memory_equal(image_code(image, elf_vaddr(0), &len), f.text, 16);
	image_free(image);
	/* Somebody shortens the file while it is open: a read that fails, no signal. */
	assert_int_equal(image_open_fd(fd, &image), 0);
	assert_int_equal(ftruncate(fd, sizeof(f.ehdr)), 0);
	assert_int_equal(image_symbols(image, names, NAMES, symbols), 0);
	assert_null(image_code(image, elf_vaddr(0), &len));
	image_free(image);
	close(fd);
	unlink(path);
}

static void test_not_files(void **state)
{
	struct image *image;
	char path[32];
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	assert_int_equal(image_open("/", &image), -EISDIR);
	assert_int_equal(image_open("/nonexistent", &image), -ENOENT);
	assert_int_equal(image_open("/dev/null", &image), -ENOEXEC);
	close(write_file(path, &f));
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(image_open(path, &image), -ENOEXEC);
	unlink(path);
}

#define POINTERS 512

/* The place of a pointer in the text, and what it holds before loading. */
static uint64_t pointer_at(struct elf_file *f, size_t n)
{
	uint64_t value = ELF_BASE + 0x1000 + n;

	memcpy(f->text + POINTERS + 8 * n, &value, sizeof(value));
	return elf_vaddr(POINTERS + 8 * n);
}

static int pointer(const struct elf_file *f, size_t n, uint64_t *ret_target)
{
	struct image *image;
	int err;

	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	err = image_pointer(image, elf_vaddr(POINTERS + 8 * n), ret_target);
	image_free(image);
	return err;
}

static void test_pointers(void **state)
{
	struct elf_file f;
	uint64_t target;

	(void)state;
	elf_init(&f, EM_X86_64);
	elf_symbol(&f, SECTION_DYNSYM, "here", 16, 1);
	elf_symbol(&f, SECTION_DYNSYM, "elsewhere", 0, 0)->st_shndx = SHN_UNDEF;
	elf_rela(&f, pointer_at(&f, 0), R_X86_64_RELATIVE, 0, 4711);
	elf_rela(&f, pointer_at(&f, 1), R_X86_64_64, 1, 2);
	elf_rela(&f, pointer_at(&f, 2), R_X86_64_64, 2, 2);
	elf_rela(&f, pointer_at(&f, 3), R_X86_64_64, 4711, 2);
	elf_rela(&f, pointer_at(&f, 4), R_X86_64_GLOB_DAT, 1, 0);
	assert_int_equal(pointer(&f, 0, &target), 0);
	assert_int_equal(target, 4711);
	assert_int_equal(pointer(&f, 1, &target), 0);
	assert_int_equal(target, elf_vaddr(18));
	assert_int_equal(pointer(&f, 2, &target), -ENOENT);
	assert_int_equal(pointer(&f, 3, &target), -ENOENT);
	assert_int_equal(pointer(&f, 4, &target), -ENOENT);
	assert_int_equal(pointer(&f, 5, &target), -ENOENT);
}

/* Each bit of a map stands for the next 8 bytes. */
static void test_dense_pointers(void **state)
{
	struct elf_file f;
	uint64_t target;
	size_t i;

	(void)state;
	elf_init(&f, EM_X86_64);
	elf_relr(&f, pointer_at(&f, 0));
	elf_relr(&f, 1 | 1 << 1 | UINT64_C(1) << 63); /* the 2nd and the 64th */
	elf_relr(&f, 1 | 1 << 1);		      /* the 65th */
	for (i = 0; i < 64; i++)
		pointer_at(&f, i);
	for (i = 0; i < 64; i++) {
		bool listed = i < 2 || i == 63;

		assert_int_equal(pointer(&f, i, &target), listed ? 0 : -ENOENT);
		if (listed)
			assert_int_equal(target, ELF_BASE + 0x1000 + i);
	}
	/* Behind the end of what is loaded. */
	f.phdr[0].p_filesz = f.phdr[0].p_memsz = elf_offset(POINTERS + 8);
	assert_int_equal(pointer(&f, 0, &target), 0);
	assert_int_equal(pointer(&f, 1, &target), -ENOENT);
	f.ehdr.e_machine = EM_AARCH64;
	assert_int_equal(pointer(&f, 0, &target), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens),
		cmocka_unit_test(test_refuses_other_files),
		cmocka_unit_test(test_refuses_damaged_segments),
		cmocka_unit_test(test_symbols),
		cmocka_unit_test(test_symbols_unusable),
		cmocka_unit_test(test_symbols_damaged),
		cmocka_unit_test(test_pointers),
		cmocka_unit_test(test_dense_pointers),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_not_files),
	};

	return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}

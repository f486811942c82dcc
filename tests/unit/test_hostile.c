/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that were cut off or damaged somewhere: whatever is still found in them has to be in code
 * and readable by a probe.
 */
#include <errno.h>
#include <fcntl.h>
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

#include "elf_tls.h"
#include "tls/library.h"

#define LIBRARY "/usr/lib/x86_64-linux-gnu/libssl.so.3"
#define REGS	32

/* The same numbers each time: xorshift, by George Marsaglia. */
static uint64_t random_state;

static size_t random_below(size_t limit)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % limit;
}

static void check_place(struct place place)
{
	if (!place.width)
		return;
	assert_true(place.width <= 8);
	assert_true(place.reg < REGS);
	assert_true(place.loads <= PLACE_LOADS);
}

static void check_offset(const struct image *image, uint64_t offset)
{
	uint64_t vaddr, back;

	assert_int_equal(image_vaddr(image, offset, &vaddr), 0);
	/* Other addresses may lead to the same code, not to other code. */
	assert_int_equal(image_offset(image, vaddr, &back), 0);
}

static void check_sites(const struct image *image, const struct tls_sites *sites)
{
	size_t i;

	assert_true(sites->count <= TLS_SITES_MAX && sites->record_count <= TLS_RECORDS_MAX);
	assert_true(sites->secret_count <= TLS_SECRETS_MAX);
	assert_true(sites->problem_count <= TLS_PROBLEMS_MAX);
	for (i = 0; i < sites->count; i++)
		check_offset(image, sites->site[i].offset);
	for (i = 0; i < sites->record_count; i++) {
		check_offset(image, sites->record[i].offset);
		check_place(sites->record[i].handle);
		check_place(sites->record[i].type);
		check_place(sites->record[i].peek);
	}
	for (i = 0; i < sites->secret_count; i++) {
		const struct tls_secret *secret = &sites->secret[i];

		check_offset(image, secret->offset);
		check_place(secret->handle);
		check_place(secret->label);
		check_place(secret->label_len);
		check_place(secret->random);
		check_place(secret->secret);
		check_place(secret->len);
	}
}

/* Returns how many secret places there are. */
static size_t resolve(const uint8_t *data, size_t len)
{
	struct tls_sites *found;
	struct image *image;
	size_t count, i, secrets = 0;

	if (image_open_memory(data, len, &image))
		return 0;
	if (!tls_resolve(image, &found, &count)) {
		for (i = 0; i < count; i++) {
			check_sites(image, &found[i]);
			secrets += found[i].secret_count;
		}
		free(found);
	}
	image_free(image);
	return secrets;
}

/* A copy of its exact size: reading behind it is noticed by those who look for that. */
static void resolve_cut(const uint8_t *data, size_t len)
{
	uint8_t *copy = malloc(len + !len);

	assert_non_null(copy);
	memcpy(copy, data, len);
	(void)resolve(copy, len);
	free(copy);
}

/* Changes up to four bytes between low and high, and puts them back. */
static void resolve_damaged(uint8_t *data, size_t len, size_t low, size_t high)
{
	size_t count = 1 + random_below(4), at[4], i;
	uint8_t old[4];

	for (i = 0; i < count; i++) {
		at[i] = low + random_below(high - low);
		old[i] = data[at[i]];
		/* Extremes are worth more than others. */
		switch (random_below(4)) {
		case 0:
			data[at[i]] = 0xff;
			break;
		case 1:
			data[at[i]] = 0;
			break;
		case 2:
			data[at[i]] ^= (uint8_t)(1 << random_below(8));
			break;
		default:
			data[at[i]] = (uint8_t)random_below(256);
			break;
		}
	}
	(void)resolve(data, len);
	while (i--)
		data[at[i]] = old[i];
}

static void build(struct elf_file *f, int variant)
{
	tls_file(f, variant == 5 ? EM_AARCH64 : EM_X86_64,
		 variant < LOG_NOTHING ? (enum log_form)variant : LOG_JUMPS);
	if (variant == 5)
		return;
	tls_keys(f, variant % 3);
	tls_accessor(f, "SSL_get_client_random", 0x48);
	f->ehdr.e_type = variant % 2 ? ET_EXEC : ET_DYN;
}

#define VARIANTS 6

static void test_built_cut(void **state)
{
	struct elf_file f;
	size_t len;
	int i;

	(void)state;
	for (i = 0; i < VARIANTS; i++) {
		build(&f, i);
		if (i != LOG_TWO_RANDOMS)
			assert_int_equal(resolve((uint8_t *)&f, ELF_FILE_LEN), 1);
		for (len = 0; len < ELF_FILE_LEN; len += 1 + random_below(64)) {
			struct elf_file cut = f;

			resolve_cut((uint8_t *)&f, len);
			/* The segment knows that it is shorter. */
			cut.phdr[0].p_filesz = len;
			if (len > offsetof(struct elf_file, phdr[1]))
				resolve_cut((uint8_t *)&cut, len);
		}
	}
}

static void test_built_damaged(void **state)
{
	/* Headers; sections and symbols; code and strings; the table for unwinding. */
	static const size_t ranges[][2] = {
		{ 0, offsetof(struct elf_file, phdr[2]) },
		{ offsetof(struct elf_file, shdr), offsetof(struct elf_file, text) },
		{ offsetof(struct elf_file, text), ELF_FILE_LEN },
		{ offsetof(struct elf_file, phdr[2]), offsetof(struct elf_file, phdr[4]) },
		{ offsetof(struct elf_file, text), offsetof(struct elf_file, text) + END },
	};
	struct elf_file f;
	size_t r;
	int i, n;

	(void)state;
	for (i = 0; i < VARIANTS; i++) {
		build(&f, i);
		for (r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++) {
			for (n = 0; n < 100; n++)
				resolve_damaged((uint8_t *)&f, ELF_FILE_LEN, ranges[r][0],
						ranges[r][1]);
		}
	}
}

/* Of a library as it is installed. */
struct library {
	uint8_t *data;
	size_t len;
	uint64_t code; /* of the function that was found, in the file */
	Elf64_Ehdr ehdr;
};

static struct library library;

static int library_read(void **state)
{
	struct library *l = &library;
	struct tls_sites *found;
	struct image *image;
	struct stat st;
	size_t count;
	int fd;

	(void)state;
	fd = open(LIBRARY, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (!fstat(fd, &st)) {
		l->len = (size_t)st.st_size;
		l->data = malloc(l->len);
	}
	if (!l->data || read(fd, l->data, l->len) != (ssize_t)l->len)
		return -1;
	close(fd);
	memcpy(&l->ehdr, l->data, sizeof(l->ehdr));
	if (image_open_memory(l->data, l->len, &image) || tls_resolve(image, &found, &count))
		return -1;
	l->code = found->secret[0].offset;
	free(found);
	image_free(image);
	return 0;
}

static int library_free(void **state)
{
	(void)state;
	free(library.data);
	return 0;
}

static void test_library_cut(void **state)
{
	int i;

	(void)state;
	if (!library.data)
		skip();
	assert_true(resolve(library.data, library.len));
	for (i = 0; i < 60; i++)
		resolve_cut(library.data, i * library.len / 60);
	for (i = 0; i < 60; i++)
		resolve_cut(library.data, random_below(library.len));
}

/* The part of the file that a program header or a section is about. */
static void damage_part(uint64_t offset, uint64_t len, int times)
{
	if (!len || offset > library.len || len > library.len - offset)
		return;
	while (times--)
		resolve_damaged(library.data, library.len, offset, offset + len);
}

static void test_library_damaged(void **state)
{
	Elf64_Phdr phdr;
	Elf64_Shdr shdr;
	int i;

	(void)state;
	if (!library.data)
		skip();
	damage_part(0, sizeof(library.ehdr), 40);
	damage_part(library.ehdr.e_phoff, library.ehdr.e_phnum * sizeof(phdr), 60);
	damage_part(library.ehdr.e_shoff, library.ehdr.e_shnum * sizeof(shdr), 60);
	damage_part(library.code > 64 ? library.code - 64 : 0, 256, 40);
	for (i = 0; i < library.ehdr.e_phnum; i++) {
		memcpy(&phdr, library.data + library.ehdr.e_phoff + i * sizeof(phdr), sizeof(phdr));
		if (phdr.p_type == PT_GNU_EH_FRAME)
			damage_part(phdr.p_offset, 256, 20);
	}
	for (i = 0; i < library.ehdr.e_shnum; i++) {
		memcpy(&shdr, library.data + library.ehdr.e_shoff + i * sizeof(shdr), sizeof(shdr));
		if (shdr.sh_type == SHT_DYNSYM || shdr.sh_type == SHT_RELA)
			damage_part(shdr.sh_offset, shdr.sh_size, 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_built_cut),
		cmocka_unit_test(test_built_damaged),
		cmocka_unit_test(test_library_cut),
		cmocka_unit_test(test_library_damaged),
	};

	random_state = 20260101;
	return cmocka_run_group_tests_name("hostile", tests, library_read, library_free);
}

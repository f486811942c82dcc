/* SPDX-License-Identifier: Apache-2.0 */
/* Reading parts of a file, and walking through all of it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/image.h"
#include "elf_big.h"

static void test_read(void **state)
{
	uint8_t buf[64];
	struct image *image;
	struct big_file big;
	uint64_t vaddr, offset, end;

	(void)state;
	big_init(&big, EM_X86_64, ET_DYN);
	memset(big_segment(&big, PF_R, 32), 'a', 32);
	memset(big_segment(&big, PF_R | PF_X, 32), 'b', 32);
	vaddr = big.phdr[0].p_vaddr;
	end = vaddr + 64;
	assert_int_equal(image_open_memory(big.data, big.len, &image), 0);
	assert_false(image_fixed(image));
	assert_int_equal(image_read(image, vaddr, buf, 32), 0);
	assert_int_equal(buf[31], 'a');
	assert_int_equal(image_read(image, vaddr + 32, buf, 32), 0);
	assert_int_equal(buf[0], 'b');
	/* Not across a border, even if there is something behind it. */
	assert_int_equal(image_read(image, vaddr + 1, buf, 32), -EADDRNOTAVAIL);
	assert_int_equal(image_read(image, end - 1, buf, 1), 0);
	assert_int_equal(image_read(image, end - 1, buf, 2), -EADDRNOTAVAIL);
	assert_int_equal(image_read(image, end, buf, 1), -EADDRNOTAVAIL);
	assert_int_equal(image_read(image, vaddr - 1, buf, 1), -EADDRNOTAVAIL);
	assert_int_equal(image_read(image, UINT64_MAX, buf, 64), -EADDRNOTAVAIL);
	assert_int_equal(image_read(image, vaddr, buf, SIZE_MAX), -EADDRNOTAVAIL);
	assert_int_equal(image_loaded(image, vaddr + 8), 24);
	assert_int_equal(image_loaded(image, end), 0);
	/* By the place in the file segments do not matter. */
	assert_int_equal(image_read_at(image, big.len - 64, buf, 64), 0);
	assert_int_equal(image_read_at(image, big.len, buf, 0), 0);
	assert_int_equal(image_read_at(image, big.len, buf, 1), -ENODATA);
	assert_int_equal(image_read_at(image, big.len - 63, buf, 64), -ENODATA);
	assert_int_equal(image_read_at(image, UINT64_MAX, buf, 64), -ENODATA);
	assert_int_equal(image_read_at(image, 0, buf, SIZE_MAX), -ENODATA);
	/* Code, as much of it as there is. */
	assert_int_equal(image_code_copy(image, end - 8, buf, sizeof(buf)), 8);
	assert_int_equal(image_code_copy(image, end - 8, buf, 3), 3);
	assert_int_equal(image_code_copy(image, end, buf, 3), 0);
	assert_int_equal(image_code_copy(image, vaddr, buf, 3), 0);
	assert_int_equal(image_vaddr(image, big.len - 1, &offset), 0);
	assert_int_equal(offset, end - 1);
	assert_int_equal(image_vaddr(image, big.len - 33, &offset), -EADDRNOTAVAIL);
	assert_int_equal(image_vaddr(image, big.len, &offset), -EADDRNOTAVAIL);
	image_free(image);
	free(big.data);
}

/* What a walk has passed. */
struct passed {
	const struct big_file *big;
	uint64_t overlap;
	uint64_t next; /* where the next window has to begin */
	uint64_t bytes;
	size_t windows;
	int result;
};

static int on_window(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	struct passed *passed = arg;

	assert_true(len <= IMAGE_WINDOW);
	if (passed->windows && vaddr == passed->next - passed->overlap)
		passed->bytes -= passed->overlap;
	else
		assert_true(vaddr >= passed->next);
	assert_memory_equal(p, passed->big->data + (vaddr - BIG_BASE), len);
	passed->next = vaddr + len;
	passed->bytes += len;
	passed->windows++;
	return passed->result;
}

static int walk(const struct big_file *big, bool exec, size_t overlap, struct passed *passed)
{
	struct image *image;
	int r;

	passed->big = big;
	passed->overlap = overlap;
	passed->next = passed->bytes = passed->windows = 0;
	assert_int_equal(image_open_memory(big->data, big->len, &image), 0);
	r = image_walk(image, exec, overlap, on_window, passed);
	image_free(image);
	return r;
}

static void test_walk(void **state)
{
	static const size_t lens[] = { 1,
				       IMAGE_WINDOW - 1,
				       IMAGE_WINDOW,
				       IMAGE_WINDOW + 1,
				       2 * IMAGE_WINDOW - 40,
				       3 * IMAGE_WINDOW + 7 };
	struct passed passed = { 0 };
	struct big_file big;
	size_t i, j;
	uint8_t *p;

	(void)state;
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		big_init(&big, EM_X86_64, ET_DYN);
		p = big_segment(&big, PF_R, lens[i]);
		for (j = 0; j < lens[i]; j += 97)
			p[j] = (uint8_t)(j / 97);
		assert_int_equal(walk(&big, false, 0, &passed), 0);
		assert_int_equal(passed.bytes, lens[i]);
		assert_int_equal(passed.windows, (lens[i] + IMAGE_WINDOW - 1) / IMAGE_WINDOW);
		assert_int_equal(walk(&big, false, 40, &passed), 0);
		assert_int_equal(passed.bytes, lens[i]);
		assert_int_equal(walk(&big, true, 40, &passed), 0);
		assert_int_equal(passed.windows, 0);
		passed.result = -42;
		assert_int_equal(walk(&big, false, 0, &passed), -42);
		assert_int_equal(passed.windows, 1);
		passed.result = 0;
		free(big.data);
	}
}

static int count_windows(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	(void)vaddr;
	(void)p;
	(void)len;
	++*(int *)arg;
	return 0;
}

/* The same part of the file again and again was made to waste time. */
static void test_walk_refuses(void **state)
{
	struct passed passed = { 0 };
	struct big_file big;
	struct image *image;
	int count = 0;
	size_t i;

	(void)state;
	big_init(&big, EM_X86_64, ET_DYN);
	big_segment(&big, PF_R, 4096);
	big_segment(&big, PF_R | PF_X, 4096);
	assert_int_equal(walk(&big, true, 0, &passed), 0);
	assert_int_equal(passed.bytes, 4096);
	assert_int_equal(walk(&big, false, IMAGE_WINDOW / 2, &passed), -EINVAL);
	big.ehdr->e_phnum = BIG_SEGMENTS;
	for (i = 0; i < BIG_SEGMENTS; i++) {
		big.phdr[i] = big.phdr[1];
		big.phdr[i].p_offset = 0;
		big.phdr[i].p_filesz = big.len;
	}
	assert_int_equal(image_open_memory(big.data, big.len, &image), 0);
	assert_int_equal(image_walk(image, false, 0, count_windows, &count), -EFBIG);
	assert_int_equal(count, 2);
	image_free(image);
	free(big.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_walk_refuses),
	};

	return cmocka_run_group_tests_name("image_read", tests, NULL, NULL);
}

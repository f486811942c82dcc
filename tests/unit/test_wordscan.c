/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/wordscan.h"
#include "elf_big.h"

#define HITS_MAX 16
#define STOPPED	 77

struct hit {
	uint64_t vaddr;
	unsigned int word;
	bool ends;
};

struct hits {
	struct hit hit[HITS_MAX];
	size_t count;
	size_t max; /* the search is stopped then */
};

static int on_word(void *arg, uint64_t vaddr, unsigned int word, bool ends)
{
	struct hits *hits = arg;

	assert_true(hits->count < HITS_MAX);
	hits->hit[hits->count++] = (struct hit) { vaddr, word, ends };
	return hits->count == hits->max ? STOPPED : 0;
}

static int scan(const struct big_file *big, const char *const *words, size_t count,
		struct hits *hits)
{
	struct image *image;
	int r;

	hits->count = 0;
	assert_int_equal(image_open_memory(big->data, big->len, &image), 0);
	r = wordscan(image, words, count, on_word, hits);
	image_free(image);
	return r;
}

static void assert_hit(const struct hits *hits, size_t index, uint64_t vaddr, unsigned int word,
		       bool ends)
{
	assert_true(index < hits->count);
	assert_int_equal(hits->hit[index].vaddr, vaddr);
	assert_int_equal(hits->hit[index].word, word);
	assert_int_equal(hits->hit[index].ends, ends);
}

/* The address of the first segment's byte. */
static uint64_t at(const struct big_file *big, size_t pos)
{
	return big->phdr[0].p_vaddr + pos;
}

static void test_words(void **state)
{
	static const char *const words[] = { "SECRET", "TRAFFIC_SECRET", "SECRET_0", "CRET" };
	struct hits hits = { 0 };
	struct big_file big;
	uint8_t *p;

	(void)state;
	big_init(&big, EM_X86_64, ET_DYN);
	p = big_segment(&big, PF_R, 64);
	/* Inside of each other, with one end for all or for some. */
	memcpy(p, "TRAFFIC_SECRET_0", 16);
	memcpy(p + 32, "TRAFFIC_SECRET", 14);
	assert_int_equal(scan(&big, words, 4, &hits), 0);
	assert_int_equal(hits.count, 7);
	assert_hit(&hits, 0, at(&big, 0), 1, false);
	assert_hit(&hits, 1, at(&big, 8), 0, false);
	assert_hit(&hits, 2, at(&big, 8), 2, true);
	assert_hit(&hits, 3, at(&big, 10), 3, false);
	assert_hit(&hits, 4, at(&big, 32), 1, true);
	assert_hit(&hits, 5, at(&big, 40), 0, true);
	assert_hit(&hits, 6, at(&big, 42), 3, true);
	hits.max = 3;
	assert_int_equal(scan(&big, words, 4, &hits), STOPPED);
	assert_int_equal(hits.count, 3);
	free(big.data);
}

static void test_overlaps(void **state)
{
	static const char *const words[] = { "aaaa", "abab" };
	struct hits hits = { 0 };
	struct big_file big;
	uint8_t *p;

	(void)state;
	big_init(&big, EM_X86_64, ET_DYN);
	p = big_segment(&big, PF_R, 32);
	memcpy(p, "aaaaaa\0ababab", 13);
	assert_int_equal(scan(&big, words, 2, &hits), 0);
	assert_int_equal(hits.count, 5);
	assert_hit(&hits, 0, at(&big, 0), 0, false);
	assert_hit(&hits, 1, at(&big, 1), 0, false);
	assert_hit(&hits, 2, at(&big, 2), 0, true);
	assert_hit(&hits, 3, at(&big, 7), 1, false);
	assert_hit(&hits, 4, at(&big, 9), 1, true);
	free(big.data);
}

/* At both ends of a segment: nothing behind it says that it ends. */
static void test_segment_ends(void **state)
{
	static const char *const words[] = { "word", "longer word" };
	struct hits hits = { 0 };
	struct big_file big;
	size_t len;

	(void)state;
	for (len = 4; len < 40; len++) {
		uint8_t *p;

		big_init(&big, EM_X86_64, ET_DYN);
		p = big_segment(&big, PF_R, len);
		memcpy(p, "word", 4);
		memcpy(p + len - 4, "word", 4);
		/* What is in the file behind it is not loaded. */
		big_segment(&big, PF_R, 16);
		assert_int_equal(scan(&big, words, 2, &hits), 0);
		assert_int_equal(hits.count, len == 4 ? 1 : len < 8 ? 1 : 2);
		assert_hit(&hits, hits.count - 1, at(&big, len - 4), 0, false);
		free(big.data);
	}
	big_init(&big, EM_X86_64, ET_DYN);
	memcpy(big_segment(&big, PF_R, 3), "wor", 3);
	memcpy(big_segment(&big, PF_R, 1), "d", 1);
	assert_int_equal(scan(&big, words, 2, &hits), 0);
	assert_int_equal(hits.count, 0);
	free(big.data);
}

/* On, before and behind the border of two windows: each once, and with the byte behind it. */
static void test_windows(void **state)
{
	static const char *const words[] = { "word", "a longer word" };
	struct hits hits = { 0 };
	struct big_file big;
	int shift, ends;

	(void)state;
	big_init(&big, EM_X86_64, ET_DYN);
	big_segment(&big, PF_R, 2 * IMAGE_WINDOW + 100);
	for (shift = -32; shift <= 32; shift++) {
		for (ends = 0; ends < 2; ends++) {
			uint8_t *p = big.data + big.phdr[0].p_offset + IMAGE_WINDOW + shift;

			memcpy(p, ends ? "a longer word" : "a longer word!", 14);
			assert_int_equal(scan(&big, words, 2, &hits), 0);
			assert_int_equal(hits.count, 2);
			assert_hit(&hits, 0, at(&big, IMAGE_WINDOW + (size_t)shift), 1, ends);
			assert_hit(&hits, 1, at(&big, IMAGE_WINDOW + (size_t)shift + 9), 0, ends);
			memset(p, 0, 14);
		}
	}
	/* The file ends with a word right where a window does. */
	big.phdr[0].p_filesz = IMAGE_WINDOW;
	memcpy(big.data + big.phdr[0].p_offset + IMAGE_WINDOW - 4, "word", 4);
	assert_int_equal(scan(&big, words, 2, &hits), 0);
	assert_int_equal(hits.count, 1);
	assert_hit(&hits, 0, at(&big, IMAGE_WINDOW - 4), 0, false);
	free(big.data);
}

static void test_segments(void **state)
{
	static const char *const words[] = { "word" };
	struct hits hits = { 0 };
	struct big_file big;

	(void)state;
	big_init(&big, EM_AARCH64, ET_EXEC);
	memcpy(big_segment(&big, PF_R | PF_X, 16), "word", 4);
	memcpy(big_segment(&big, PF_R | PF_W, 16), "word", 4);
	big.phdr[1].p_vaddr += 0x1000;
	assert_int_equal(scan(&big, words, 1, &hits), 0);
	assert_int_equal(hits.count, 2);
	assert_hit(&hits, 1, big.phdr[1].p_vaddr, 0, true);
	/* In the other order. */
	big.phdr[1].p_vaddr = 0x1000;
	assert_int_equal(scan(&big, words, 1, &hits), 0);
	assert_int_equal(hits.count, 2);
	assert_hit(&hits, 0, at(&big, 0), 0, true);
	assert_hit(&hits, 1, 0x1000, 0, true);
	free(big.data);
}

static void test_refuses(void **state)
{
	static const char *const short_words[] = { "word", "abc" };
	const char *many[WORDS_MAX + 1];
	char longest[WORD_LEN_MAX + 2];
	struct hits hits = { 0 };
	struct big_file big;
	uint8_t *p;
	size_t i;

	(void)state;
	big_init(&big, EM_X86_64, ET_DYN);
	p = big_segment(&big, PF_R, 200);
	memset(longest, 'x', sizeof(longest));
	longest[WORD_LEN_MAX] = '\0';
	memcpy(p + 10, longest, WORD_LEN_MAX);
	for (i = 0; i <= WORDS_MAX; i++)
		many[i] = longest;
	assert_int_equal(scan(&big, many, 0, &hits), -EINVAL);
	assert_int_equal(scan(&big, short_words, 2, &hits), -EINVAL);
	assert_int_equal(scan(&big, many, WORDS_MAX + 1, &hits), -EINVAL);
	assert_int_equal(scan(&big, many, 8, &hits), 0);
	assert_int_equal(hits.count, 8);
	longest[WORD_LEN_MAX] = 'x';
	longest[WORD_LEN_MAX + 1] = '\0';
	assert_int_equal(scan(&big, many, 1, &hits), -EINVAL);
	free(big.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),	     cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_segment_ends), cmocka_unit_test(test_windows),
		cmocka_unit_test(test_segments),     cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests_name("wordscan", tests, NULL, NULL);
}

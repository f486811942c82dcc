/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for many words at once in everything that a file loads into memory. */
#ifndef WORDSCAN_H
#define WORDSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"

#define WORDS_MAX    32
#define WORD_LEN_MIN 4
#define WORD_LEN_MAX 64

/* word: its index; ends: a NUL follows. A nonzero result ends the search and is returned. */
typedef int (*word_fn)(void *arg, uint64_t vaddr, unsigned int word, bool ends);

/*
 * Calls fn for every place of every word (NUL-terminated, WORD_LEN_MIN to WORD_LEN_MAX characters,
 * at most WORDS_MAX; NULL is none), also inside of other words. -EINVAL for other words; what image_walk() says.
 */
int wordscan(const struct image *image, const char *const *words, size_t count, word_fn fn,
	     void *arg);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What is found in a small file that stands for a TLS library, and the labels that are in it. */
#ifndef ELF_LIBRARY_H
#define ELF_LIBRARY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf_text.h"
#include "event/secret.h"
#include "tls/library.h"

/* Where a label is in the texts that begin at first; LABEL_MAX: what is behind them. */
static inline size_t text_of(size_t first, int label)
{
	size_t pos = first;
	int i;

	for (i = 1; i < label; i++)
		pos += strlen(secret_label_name(i)) + 1;
	return pos;
}

/* All labels, and one more text behind them. */
static inline void add_texts(struct elf_file *f, size_t first, const char *behind)
{
	int i;

	for (i = 1; i < LABEL_MAX; i++)
		strcpy((char *)f->text + text_of(first, i), secret_label_name(i));
	strcpy((char *)f->text + text_of(first, LABEL_MAX), behind);
}

/*
 * Frees the image. The library must be the only one that is found in it. Not inline, where gcc takes
 * *ret_sites for uninitialized behind an assertion of success, as it can't know that one ends a test.
 */
static int __attribute__((noinline))
resolve_image(struct image *image, const struct tls_library *library, struct tls_sites *ret_sites)
{
	struct tls_sites *found;
	size_t count;
	int err;

	err = tls_resolve(image, &found, &count);
	image_free(image);
	if (err)
		return err;
	assert_int_equal(count, 1);
	assert_ptr_equal(found->library, library);
	*ret_sites = *found;
	free(found);
	return 0;
}

static inline int resolve_file(const struct elf_file *f, const struct tls_library *library,
			       struct tls_sites *ret_sites)
{
	struct image *image;

	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	return resolve_image(image, library, ret_sites);
}

/* With that byte damaged, and sometimes cut there: it must end, and find only what is in the file. */
static inline void resolve_damaged(struct elf_file *f, size_t pos)
{
	size_t len = pos % 7 ? ELF_FILE_LEN : pos, count, i;
	struct tls_sites *found;
	struct image *image;

	((uint8_t *)f)[pos] ^= (uint8_t)(1 + pos % 255);
	if (image_open_memory(f, len, &image))
		return;
	if (!tls_resolve(image, &found, &count)) {
		for (i = 0; i < found->secret_count; i++)
			assert_true(found->secret[i].offset < len);
		free(found);
	}
	image_free(image);
}

#endif

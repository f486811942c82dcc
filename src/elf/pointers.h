/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pointers in a file's data that will hold one of some addresses once it is loaded: set by
 * relocations, or in the file as they are, where it has fixed addresses or packed relocations.
 */
#ifndef POINTERS_H
#define POINTERS_H

#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"

/* Those above are not noted. */
#define POINTERS_MAX 256

struct pointers {
	struct {
		uint64_t vaddr;
		uint64_t target;
	} item[POINTERS_MAX];
	size_t count;
};

/* targets: count of them, ascending. -ENOMEM, what image_walk() says. x86-64 only. */
int pointers_find(const struct image *image, const uint64_t *targets, size_t count,
		  struct pointers *ret_pointers);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Go's table of functions, which the runtime needs for its own stack traces: it is there, with all
 * names, however a program was stripped. Go 1.2 and later; x86-64 and arm64.
 */
#ifndef PCLNTAB_H
#define PCLNTAB_H

#include <stddef.h>

#include "elf/image.h"

struct pclntab_function {
	unsigned int suffix; /* the index of that which its name ends in */
	struct symbol symbol;
};

/*
 * Functions with code whose name ends in one of count suffixes, in the order of the table. Returns
 * how many were stored, at most max. -ENOENT when the file has no such table, or a damaged one;
 * -ENOMEM, and what image_walk() says.
 */
#define PCLNTAB_SUFFIXES_MAX   8
#define PCLNTAB_SUFFIX_LEN_MAX 64
int pclntab_functions(const struct image *image, const char *const *suffixes, size_t count,
		      struct pclntab_function *ret_functions, size_t max);

#endif

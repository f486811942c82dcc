/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks through one symbol table of a file for a few names, a window at a time: the tables of a
 * file with debug symbols may have hundreds of megabytes.
 */
#ifndef SYMTAB_H
#define SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"

/* Where a table and its strings are in the file, all of it inside. */
struct symtab {
	uint64_t symbols;
	uint64_t symbols_len;
	uint64_t strings;
	uint64_t strings_len;
};

/* Called for each defined function of one of the names, in the table's order. */
typedef void (*symtab_fn)(void *arg, size_t name, uint64_t vaddr, uint64_t size);

/* -E2BIG when the strings hold the names absurdly often; -ENOMEM; what reading says. */
int symtab_search(const struct image *image, const struct symtab *table, const char *const *names,
		  size_t count, symtab_fn fn, void *arg);

#endif

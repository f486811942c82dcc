/* SPDX-License-Identifier: Apache-2.0 */
/* Is an address that somebody gave us one where a probe does no harm? */
#ifndef ENTRY_H
#define ENTRY_H

#include <stdint.h>

#include "elf/image.h"

/*
 * The address of the function whose first instruction is at offset in the file. -EADDRNOTAVAIL:
 * there is no code in the file at that place. -EILSEQ: it is no instruction. -ENOENT: what is
 * there for unwinding the stack says that no function begins there.
 */
int entry_check(const struct image *image, uint64_t offset, uint64_t *ret_vaddr);

/* Does a function begin at vaddr, as far as the file says? 1, 0; negative: it does not say. */
int entry_starts(const struct image *image, uint64_t vaddr);

#endif

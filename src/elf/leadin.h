/* SPDX-License-Identifier: Apache-2.0 */
/* Where to begin so that an instruction in the middle of a function is met on the way. */
#ifndef LEADIN_H
#define LEADIN_H

#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"

#define LEADIN_MAX 24

/*
 * Instructions in front of vaddr from which the code leads there in a straight line, nearest first and
 * vaddr itself before all. Without a table of functions some of them may be in the middle of
 * another instruction: what is found from there has to prove itself.
 */
size_t leadin_list(const struct image *image, uint64_t vaddr, uint64_t ret_starts[LEADIN_MAX]);

#endif

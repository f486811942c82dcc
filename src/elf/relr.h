/* SPDX-License-Identifier: Apache-2.0 */
/* Relative relocations in the dense form that newer linkers make: addresses, then maps of bits. */
#ifndef RELR_H
#define RELR_H

#include <stdint.h>

#include "elf/image.h"

/* The address that is at vaddr, if the section says that the loader moves it. -ENOENT. */
int relr_pointer(const struct image *image, uint64_t vaddr, uint64_t *ret_target);

#endif

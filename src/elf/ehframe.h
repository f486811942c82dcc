/* SPDX-License-Identifier: Apache-2.0 */
/*
 * .eh_frame without the sorted table that .eh_frame_hdr is: static programs have it so.
 * LSB Core, section 10.6.1.
 */
#ifndef EHFRAME_H
#define EHFRAME_H

#include <stdint.h>

#include "elf/image.h"

/* Does a function begin at vaddr? 1, 0, or -ENOENT when that can't be told. -ENOMEM. */
int ehframe_starts(const struct image *image, uint64_t vaddr);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What Go's linker writes into every program since Go 1.13 about how it was built. */
#ifndef GOBUILD_H
#define GOBUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "elf/image.h"

/*
 * Is it a Go program, or does it have Go code in it? Files without sections are looked through;
 * with sections it costs next to nothing.
 */
bool gobuild_is_go(const struct image *image);

/* The version of Go, "go1.19.8", cut to size. -ENOENT when there is none. */
int gobuild_version(const struct image *image, char *ret_version, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as the kernel side reports them. */
#ifndef FLOW_PATH_H
#define FLOW_PATH_H

#include <stddef.h>

/* Components come last one first, each ended by a NUL. To be freed; NULL without memory. */
char *path_join(const char *parts, size_t len);

#endif

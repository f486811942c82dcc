/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a connection has both randoms, as a function shows that copies them to a buffer, the
 * client's and behind it the server's, 16 bytes at a time: RFC 5705, section 4.
 */
#ifndef RANDOMS_H
#define RANDOMS_H

#include <stdbool.h>
#include <stdint.h>

#include "elf/image.h"

/*
 * How far behind the connection's address the client random is. False when there is no such copy in
 * the function, or several that differ. x86-64 only.
 */
bool randoms_find(const struct image *image, const struct symbol *function, int32_t *ret_off);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Lines as hexdump -C writes them. */
#ifndef HEX_H
#define HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writer;

/*
 * Dumps len bytes; offset is that of the first byte and starts the first line whatever its
 * alignment (as hexdump -s does). Unlike hexdump, equal lines are not folded into "*".
 * Errors stay in the writer.
 */
void hex_dump(struct writer *w, uint64_t offset, const uint8_t *p, size_t len, bool colour);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows hostile bytes on a terminal: text stays readable, nothing of it can steer the terminal.
 *
 * Printable UTF-8, tab and newline are written as they are; CR LF becomes a newline. Everything
 * else is escaped: \r for another CR, \xNN for other control bytes, DEL and bytes that are not
 * valid UTF-8, \u{XXXX} for valid characters that are not printable (see utf8_printable()).
 */
#ifndef ESCAPE_H
#define ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/utf8.h"

struct writer;

/* Zero, but for the first two members, is the initial state except that at_start must be true. */
struct escape {
	struct writer *writer;
	bool colour;   /* make escapes stand out */
	bool lit;      /* the colour is switched on at the moment */
	bool at_start; /* the last byte written was a newline */
	uint8_t held_len;
	uint8_t held
		[UTF8_MAX]; /* CR or a part of a character, whose rest may be in the next chunk */
};

/* One chunk of a stream. Errors stay in the writer. */
void escape_put(struct escape *esc, const uint8_t *p, size_t len);
/* Prints what was held back, escaped: the next chunk does not continue it. */
void escape_release(struct escape *esc);
/* escape_release, and a newline unless the cursor is at the start of a line already. */
void escape_end_line(struct escape *esc);

/* A name such as comm or a path, up to NUL or len bytes. Tab and newline are escaped as well. */
void escape_name(struct writer *w, const char *s, size_t len);

#endif

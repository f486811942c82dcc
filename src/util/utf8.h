/* SPDX-License-Identifier: Apache-2.0 */
/* Strict UTF-8 (RFC 3629), and which characters are safe to show on a terminal. */
#ifndef UTF8_H
#define UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTF8_MAX 4 /* bytes of the longest character */

/*
 * Decodes the first character of p. Returns its length in bytes, 1 to 4.
 * -EILSEQ: p[0] starts no valid character; skip one byte and go on. Overlong forms, surrogates
 * and everything above U+10FFFF are invalid (RFC 3629 section 4).
 * -EAGAIN: all bytes so far are valid, but the character is cut off (or len is 0).
 */
int utf8_decode(const uint8_t *p, size_t len, uint32_t *ret_cp);

/*
 * False for every character that could steer a terminal, hide, or change the order of what is
 * around it: controls, bidi marks, zero-width and other format characters (Unicode category Cf),
 * line separators, invisible fillers, tags, private use and noncharacters.
 */
bool utf8_printable(uint32_t cp);

/*
 * Length of the run at the start of p that needs no escaping: ASCII bytes whose entry in plain is
 * not 0, and printable characters above ASCII (whose entries must be 0). Most payload is one run.
 */
size_t utf8_printable_run(const uint8_t *p, size_t len, const uint8_t plain[256]);

/* Valid UTF-8 throughout, and no control character (C0, DEL, C1) except tab, CR and LF. */
bool utf8_is_text(const uint8_t *p, size_t len);

#endif

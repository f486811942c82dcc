/* SPDX-License-Identifier: Apache-2.0 */
/* Lines as hexdump -C writes them. */
#include "out/hex.h"

#include <string.h>

#include "out/sgr.h"
#include "out/writer.h"

#define WIDTH	16
#define HEX_COL 2 /* of the first hex digit, behind the offset */
/* Two spaces, 16 times "xx ", the space between the groups, one more space. */
#define ASCII_COL (HEX_COL + 3 * WIDTH + 2)

static const char digits[16] = "0123456789abcdef";

/* Everything of a line behind the offset; n is 1 to WIDTH. Returns its length. */
static size_t hex_line(char *line, const uint8_t *p, size_t n)
{
	char *ascii = line + ASCII_COL;

	memset(line, ' ', ASCII_COL);
	*ascii++ = '|';
	for (size_t i = 0; i < n; i++) {
		char *hex = line + HEX_COL + 3 * i + (i >= WIDTH / 2);

		hex[0] = digits[p[i] >> 4];
		hex[1] = digits[p[i] & 15];
		*ascii++ = p[i] >= 0x20 && p[i] < 0x7f ? (char)p[i] : '.';
	}
	*ascii++ = '|';
	*ascii++ = '\n';
	return ascii - line;
}

/* At least 8 digits, as hexdump. Returns their number. */
static size_t hex_offset(char buf[static 16], uint64_t offset)
{
	size_t n = 8;

	while (n < 16 && offset >> (4 * n))
		n++;
	for (size_t i = n; i-- > 0; offset >>= 4)
		buf[i] = digits[offset & 15];
	return n;
}

void hex_dump(struct writer *w, uint64_t offset, const uint8_t *p, size_t len, bool colour)
{
	char line[ASCII_COL + WIDTH + 3], buf[16];

	while (len) {
		size_t n = len < WIDTH ? len : WIDTH;

		if (colour)
			writer_puts(w, SGR_QUIET);
		writer_put(w, buf, hex_offset(buf, offset));
		if (colour)
			writer_puts(w, SGR_RESET);
		writer_put(w, line, hex_line(line, p, n));
		offset += n;
		p += n;
		len -= n;
	}
}

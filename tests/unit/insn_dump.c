/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes ranges of a file's code. Reads "START END" (hexadecimal addresses) from each line of
 * standard input, prints "ADDRESS LENGTH" for each instruction; length 0 is the end of a range
 * that cannot be decoded further. tests/e2e/decoder_check.py compares that with objdump.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/image.h"
#include "elf/insn.h"

static void dump_range(const struct image *image, uint64_t vaddr, uint64_t end)
{
	const uint8_t *code = NULL;
	struct insn insn;
	size_t len = 0;

	while (vaddr < end) {
		if (len < INSN_LEN_MAX)
			code = image_code(image, vaddr, &len);
		if (!code || insn_decode(image_machine(image), code, len, vaddr, &insn)) {
			printf("%" PRIx64 " 0\n", vaddr);
			return;
		}
		printf("%" PRIx64 " %u\n", vaddr, insn.len);
		code += insn.len;
		len -= insn.len;
		vaddr += insn.len;
	}
}

int main(int argc, char **argv)
{
	struct image *image;
	uint64_t start, end;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: insn_dump FILE <RANGES\n");
		return EXIT_FAILURE;
	}
	err = image_open(argv[1], &image);
	if (err) {
		fprintf(stderr, "insn_dump: %s: %s\n", argv[1], strerror(-err));
		return EXIT_FAILURE;
	}
	while (scanf("%" SCNx64 " %" SCNx64, &start, &end) == 2)
		dump_range(image, start, end);
	image_free(image);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

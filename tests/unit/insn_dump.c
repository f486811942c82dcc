/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decodes ranges of a file's code. Reads "START END" (hexadecimal addresses) from each line of
 * standard input, prints "ADDRESS LENGTH" for each instruction, then its kind and the members of
 * struct insn that are not 0 or nothing; length 0 is the end of a range that cannot be decoded
 * further. tests/e2e/decoder_check.py compares that with objdump.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/image.h"
#include "elf/insn.h"

static const char *const kinds[] = {
	[INSN_OTHER] = "other",	    [INSN_NOP] = "nop",
	[INSN_CALL] = "call",	    [INSN_CALL_INDIRECT] = "call_indirect",
	[INSN_JMP] = "jmp",	    [INSN_JMP_INDIRECT] = "jmp_indirect",
	[INSN_JCC] = "jcc",	    [INSN_RET] = "ret",
	[INSN_STOP] = "stop",	    [INSN_MOV] = "mov",
	[INSN_ZERO] = "zero",	    [INSN_CONST] = "const",
	[INSN_LEA] = "lea",	    [INSN_ADD] = "add",
	[INSN_LOAD] = "load",	    [INSN_STORE] = "store",
	[INSN_PUSH] = "push",	    [INSN_POP] = "pop",
	[INSN_COMPARE] = "compare", [INSN_STORE_CONST] = "store_const",
};

static void dump_register(const char *name, uint8_t reg)
{
	if (reg != INSN_REG_NONE)
		printf(" %s=%u", name, reg);
}

static void dump_number(const char *name, uint64_t value)
{
	if (value)
		printf(" %s=%" PRIu64, name, value);
}

static void dump(uint64_t vaddr, const struct insn *insn)
{
	printf("%" PRIx64 " %u kind=%s", vaddr, insn->len, kinds[insn->kind]);
	dump_register("dst", insn->dst);
	dump_register("src", insn->src);
	dump_register("dst2", insn->dst2);
	dump_register("src2", insn->src2);
	dump_register("base", insn->base);
	dump_register("index", insn->index);
	dump_number("width", insn->width);
	dump_number("memory", insn->memory);
	dump_number("stores", insn->stores);
	dump_number("writes", insn->writes);
	dump_number("target", insn->target);
	dump_number("value", insn->value);
	if (insn->disp)
		printf(" disp=%" PRId32, insn->disp);
	if (insn->step)
		printf(" step=%" PRId32, insn->step);
	putchar('\n');
}

/* A part of the file's code; many ranges are in the same one. */
struct part {
	const uint8_t *code;
	uint64_t vaddr;
	size_t len;
};

static void dump_range(const struct image *image, uint64_t vaddr, uint64_t end, struct part *part)
{
	while (vaddr < end) {
		uint64_t pos = vaddr - part->vaddr;
		struct insn insn;

		if (pos >= part->len || part->len - pos < INSN_LEN_MAX) {
			pos = 0;
			part->vaddr = vaddr;
			part->code = image_code(image, vaddr, &part->len);
			if (!part->code)
				part->len = 0;
		}
		if (!part->len || insn_decode(image_machine(image), part->code + pos,
					      part->len - pos, vaddr, &insn)) {
			printf("%" PRIx64 " 0\n", vaddr);
			return;
		}
		dump(vaddr, &insn);
		vaddr += insn.len;
	}
}

int main(int argc, char **argv)
{
	struct part part = { 0 };
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
		dump_range(image, start, end, &part);
	image_free(image);
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

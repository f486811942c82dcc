/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/leadin.h"

#include <stdlib.h>
#include <string.h>

#include "elf/insn.h"

/* Further up than this nothing is looked for. */
#define REACH	     96
#define FUNCTION_MAX 65536

static bool is_end(const struct insn *insn)
{
	return insn->kind == INSN_JMP || insn->kind == INSN_JMP_INDIRECT ||
	       insn->kind == INSN_RET || insn->kind == INSN_STOP;
}

/* Instructions on the way from the function's first one, the last ones, in order; 0: not met. */
static size_t decode(uint16_t machine, const uint8_t *code, uint64_t low, uint64_t vaddr,
		     uint64_t *starts)
{
	struct insn insn;
	size_t count = 0;
	uint64_t pos;

	for (pos = low; pos < vaddr; pos += insn.len) {
		if (insn_decode(machine, code + (pos - low), vaddr - pos, pos, &insn))
			return 0;
		if (count == LEADIN_MAX)
			memmove(starts, starts + 1, --count * sizeof(*starts));
		starts[count++] = pos;
		if (is_end(&insn))
			count = 0;
	}
	return count;
}

static size_t from_function(const struct image *image, uint64_t vaddr, uint64_t *starts)
{
	uint64_t low, len;
	uint8_t *code;
	size_t count = 0;

	if (image_function_at(image, vaddr, &low, &len) || vaddr - low > FUNCTION_MAX)
		return 0;
	code = malloc(vaddr - low + 1);
	if (code && !image_read(image, low, code, vaddr - low))
		count = decode(image_machine(image), code, low, vaddr, starts);
	free(code);
	return count;
}

size_t leadin_list(const struct image *image, uint64_t vaddr, uint64_t ret_starts[LEADIN_MAX])
{
	uint64_t starts[LEADIN_MAX], trial[LEADIN_MAX];
	uint8_t code[REACH];
	size_t count, i, back;

	count = from_function(image, vaddr, starts);
	ret_starts[0] = vaddr;
	for (i = 1; i < LEADIN_MAX && i <= count; i++)
		ret_starts[i] = starts[count - i];
	if (count || vaddr < REACH || image_read(image, vaddr - REACH, code, REACH))
		return i;
	for (back = 1; back <= REACH && i < LEADIN_MAX; back++) {
		if (decode(image_machine(image), code + REACH - back, vaddr - back, vaddr, trial))
			ret_starts[i++] = vaddr - back;
	}
	return i;
}

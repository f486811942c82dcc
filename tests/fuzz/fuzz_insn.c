/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as code. What is decoded has to be the same when cut off right behind it. */
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elf/insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool is_register(uint16_t machine, uint8_t reg)
{
	return reg < (machine == EM_X86_64 ? 16 : 32);
}

static void check(uint16_t machine, const uint8_t *code, size_t len, uint64_t vaddr,
		  const struct insn *insn)
{
	struct insn again;

	if (!insn->len || insn->len > len || insn->len > INSN_LEN_MAX)
		abort();
	if (machine == EM_AARCH64 && (insn->len != 4 || vaddr % 4))
		abort();
	if (insn_decode(machine, code, insn->len, vaddr, &again) || again.len != insn->len)
		abort();
	if (insn_decode(machine, code, insn->len - 1U, vaddr, &again) != -ENODATA)
		abort();
	if (insn->kind == INSN_MOV &&
	    (!is_register(machine, insn->dst) || !is_register(machine, insn->src)))
		abort();
	if ((insn->kind == INSN_MOV || insn->kind == INSN_LEA || insn->kind == INSN_POP ||
	     insn->kind == INSN_ZERO || insn->kind == INSN_CONST || insn->kind == INSN_ADD ||
	     insn->kind == INSN_LOAD) &&
	    (!is_register(machine, insn->dst) || !(insn->writes & (1U << insn->dst))))
		abort();
	if (insn->dst2 != INSN_REG_NONE && !(insn->writes & (1U << insn->dst2)))
		abort();
	if (insn->step && !(insn->writes & (1U << insn->base)))
		abort();
}

static void decode_all(uint16_t machine, const uint8_t *code, size_t len)
{
	struct insn insn;
	size_t pos = 0;
	int err;

	for (;;) {
		err = insn_decode(machine, code + pos, len - pos, pos, &insn);
		if (!err)
			check(machine, code + pos, len - pos, pos, &insn);
		else if (err == -EILSEQ && machine == EM_AARCH64)
			insn.len = 4; /* goes on behind it: all have the same length */
		else
			return;
		pos += insn.len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* A copy of its own exact size: reading beyond it is an error that is noticed. */
	uint8_t *code = malloc(len ? len : 1);

	if (!code)
		return 0;
	memcpy(code, data, len);
	decode_all(EM_X86_64, code, len);
	decode_all(EM_AARCH64, code, len);
	free(code);
	return 0;
}

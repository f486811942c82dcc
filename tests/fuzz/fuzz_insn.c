/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as code. What is decoded has to be the same when cut off right behind it. */
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elf/insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const uint8_t *code, size_t len, const struct insn *insn)
{
	struct insn again;

	if (!insn->len || insn->len > len || insn->len > INSN_LEN_MAX)
		abort();
	if (insn_decode(EM_X86_64, code, insn->len, 0, &again) || again.len != insn->len)
		abort();
	if (insn_decode(EM_X86_64, code, insn->len - 1U, 0, &again) != -ENODATA)
		abort();
	if (insn->kind == INSN_MOV && (insn->dst >= 16 || insn->src >= 16))
		abort();
	if ((insn->kind == INSN_MOV || insn->kind == INSN_LEA || insn->kind == INSN_POP ||
	     insn->kind == INSN_ZERO) &&
	    !(insn->writes & (1U << insn->dst)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	/* A copy of its own exact size: reading beyond it is an error that is noticed. */
	uint8_t *code = malloc(len ? len : 1);
	struct insn insn;
	size_t pos = 0;

	if (!code)
		return 0;
	memcpy(code, data, len);
	while (!insn_decode(EM_X86_64, code + pos, len - pos, pos, &insn)) {
		check(code + pos, len - pos, &insn);
		pos += insn.len;
	}
	free(code);
	return 0;
}

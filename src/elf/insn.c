/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/insn.h"

#include <elf.h>
#include <errno.h>

int insn_decode(uint16_t machine, const uint8_t *code, size_t len, uint64_t vaddr,
		struct insn *ret_insn)
{
	switch (machine) {
	case EM_X86_64:
		return insn_decode_x86(code, len, vaddr, ret_insn);
	case EM_AARCH64:
		return insn_decode_arm64(code, len, vaddr, ret_insn);
	default:
		return -EOPNOTSUPP;
	}
}

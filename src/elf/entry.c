// SPDX-License-Identifier: Apache-2.0
#include "elf/entry.h"

#include <errno.h>

#include "elf/ehframe.h"
#include "elf/insn.h"

int entry_starts(const struct image *image, uint64_t vaddr)
{
	int r = image_function_starts(image, vaddr);

	return r < 0 ? ehframe_starts(image, vaddr) : r;
}

int entry_check(const struct image *image, uint64_t offset, uint64_t *ret_vaddr)
{
	const uint8_t *code;
	struct insn insn;
	uint64_t vaddr;
	size_t len;
	int r;

	if (image_vaddr(image, offset, &vaddr))
		return -EADDRNOTAVAIL;
	code = image_code_part(image, vaddr, INSN_LEN_MAX, &len);
	if (!code)
		return -EADDRNOTAVAIL;
	r = insn_decode(image_machine(image), code, len, vaddr, &insn);
	/* Where there is no decoder the rest still holds. */
	if ((r && r != -EOPNOTSUPP) || (r == -EOPNOTSUPP && vaddr % 4))
		return -EILSEQ;
	/* Who has no table can't be helped. */
	if (!entry_starts(image, vaddr))
		return -ENOENT;
	*ret_vaddr = vaddr;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "probe/regs.h"

#include <errno.h>
#include <stddef.h>

#include <asm/ptrace.h>

#if defined(__x86_64__)
static const uint8_t offsets[] = {
	offsetof(struct pt_regs, rax), offsetof(struct pt_regs, rcx), offsetof(struct pt_regs, rdx),
	offsetof(struct pt_regs, rbx), offsetof(struct pt_regs, rsp), offsetof(struct pt_regs, rbp),
	offsetof(struct pt_regs, rsi), offsetof(struct pt_regs, rdi), offsetof(struct pt_regs, r8),
	offsetof(struct pt_regs, r9),  offsetof(struct pt_regs, r10), offsetof(struct pt_regs, r11),
	offsetof(struct pt_regs, r12), offsetof(struct pt_regs, r13), offsetof(struct pt_regs, r14),
	offsetof(struct pt_regs, r15),
};

int regs_offset(uint8_t reg)
{
	return reg < sizeof(offsets) ? offsets[reg] : -EINVAL;
}
#elif defined(__aarch64__)
/* struct user_pt_regs: x0 to x30, then the stack pointer. */
int regs_offset(uint8_t reg)
{
	return reg < 32 ? 8 * reg : -EINVAL;
}
#else
#error "how are registers passed to BPF programs on this machine?"
#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Where the kernel keeps a register when a probe is hit. */
#ifndef REGS_H
#define REGS_H

#include <stdint.h>

/*
 * Offset in the kernel's struct pt_regs; -EINVAL when this machine has no such register. They are
 * numbered as instructions have them: on x86-64 rax is 0, rcx 1, rdx 2, rbx 3, rsp 4 ...; on AArch64
 * 31 is the stack pointer.
 */
int regs_offset(uint8_t reg);

#endif

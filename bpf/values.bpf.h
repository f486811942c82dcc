/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Values of a program at a probe: see struct value_at. */
#ifndef VALUES_BPF_H
#define VALUES_BPF_H

#include "state.bpf.h"

/* 0 when there is no such value or it can't be read. */
static __noinline __u64 value_read(struct pt_regs *ctx, struct value_at *at)
{
	__u64 value = 0, addr;
	__u32 size;

	if (!at || !at->width)
		return 0;
	bpf_probe_read_kernel(&value, sizeof(value), (void *)ctx + at->reg_off);
	for (int i = 0; i < VALUE_LOADS; i++) {
		if (i >= at->loads)
			break;
		addr = value + at->off[i];
		value = 0;
		/* Behind the last field of a page there may be nothing. */
		size = i + 1 == at->loads ? at->width : 8;
		barrier_var(size);
		if (size > 8 || bpf_probe_read_user(&value, size, (void *)addr))
			return 0;
	}
	value += at->add;
	if (at->width < 8)
		value &= (1ULL << (at->width * 8 & 63)) - 1;
	return value;
}

#endif

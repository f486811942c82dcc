/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* The calling thread: is it to be tapped, and what is known of it. */
#ifndef THREADS_BPF_H
#define THREADS_BPF_H

#include "state.bpf.h"

/* Is the exact key in filters? Its parts come one by one to keep the stack small. */
__noinline bool filter_has(__u64 kind, __u64 a, __u64 b)
{
	struct filter_key key = { .kind = kind, .a = a, .b = b };

	return bpf_map_lookup_elem(&filters, &key) != NULL;
}

__noinline bool exe_passes(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);

	return filter_has(FILTER_EXE, BPF_CORE_READ(inode, i_sb, s_dev),
			  BPF_CORE_READ(inode, i_ino));
}

__noinline bool comm_passes(void)
{
	struct task_struct *task;
	struct {
		__u64 a, b;
	} comm;

	bpf_get_current_comm(&comm, sizeof(comm));
	if (filter_has(FILTER_COMM, comm.a, comm.b))
		return true;
	/* A thread may have a name of its own; the process is known by its leader's. */
	task = (void *)bpf_get_current_task();
	task = BPF_CORE_READ(task, group_leader);
	bpf_probe_read_kernel(&comm, sizeof(comm), &task->comm);
	return filter_has(FILTER_COMM, comm.a, comm.b);
}

/* Kinds of filters are joined by "and", several of one kind by "or". */
__noinline bool passes(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (tgid == cfg_self)
		return false;
	if ((cfg_filters & (1U << FILTER_EXCLUDE)) && filter_has(FILTER_EXCLUDE, tgid, 0))
		return false;
	if ((cfg_filters & (1U << FILTER_PID)) && !filter_has(FILTER_PID, tgid, 0))
		return false;
	if ((cfg_filters & (1U << FILTER_EXE)) && !exe_passes())
		return false;
	return true;
}

/* The calling thread, new or known; NULL when it is filtered out or there is no room. */
static __always_inline struct thread *thread_get(void)
{
	__u32 tid = bpf_get_current_pid_tgid();
	struct thread *t = bpf_map_lookup_elem(&threads, &tid);

	if (!t) {
		bpf_map_update_elem(&threads, &tid, &new_thread, BPF_NOEXIST);
		t = bpf_map_lookup_elem(&threads, &tid);
		if (!t) {
			if (passes())
				count(CNT_MISSED_CALLS, 1);
			return NULL;
		}
	}
	if (t->verdict == VERDICT_NONE)
		t->verdict = passes() ? VERDICT_TAP : VERDICT_SKIP;
	if (t->verdict != VERDICT_TAP)
		return NULL;
	/* What can change in a program's life is asked each time. */
	if ((cfg_filters & (1U << FILTER_UID)) &&
	    !filter_has(FILTER_UID, (__u32)bpf_get_current_uid_gid(), 0))
		return NULL;
	if ((cfg_filters & (1U << FILTER_COMM)) && !comm_passes())
		return NULL;
	return t;
}

static __always_inline struct thread *thread_find(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&threads, &tid);
}

/* The innermost call in progress, NULL when there is none. */
static __always_inline struct frame *frame_top(struct thread *t)
{
	__u32 depth;

	if (!t || !t->depth)
		return NULL;
	depth = t->depth - 1;
	barrier_var(depth); /* the mask is for the verifier and must stay */
	return &t->frame[depth & (FRAMES - 1)];
}

#endif

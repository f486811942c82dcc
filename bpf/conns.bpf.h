/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Connections and their processes, and how user space is told of them. */
#ifndef CONNS_BPF_H
#define CONNS_BPF_H

#include "state.bpf.h"
#include "threads.bpf.h"

/* The connection of the transfer under way. */
static __noinline struct conn *conn_find(struct thread *t)
{
	if (!t)
		return NULL;
	return bpf_map_lookup_elem(&conns, &t->key);
}

/* The connection that bytes have been moved on, new or known. NULL when there is no room. */
static __noinline struct conn *conn_of(struct thread *t, __u64 handle, __u64 cookie,
				       struct rec_addr *addr)
{
	struct conn *c;

	if (!t || !addr)
		return NULL;
	t->key.handle = handle;
	t->key.tgid = bpf_get_current_pid_tgid() >> 32;
	c = bpf_map_lookup_elem(&conns, &t->key);
	if (!c) {
		bpf_map_update_elem(&conns, &t->key, &new_conn, BPF_NOEXIST);
		c = bpf_map_lookup_elem(&conns, &t->key);
		if (!c)
			return NULL;
		/* Two threads may be here at once. */
		__sync_val_compare_and_swap(&c->id, 0, __sync_fetch_and_add(&next_conn, 1) + 1);
		c->tgid = t->key.tgid;
		c->cookie = cookie;
	}
	if (addr->family && c->addr.protocol != IPPROTO_TCP)
		c->addr = *addr;
	return c;
}

/* cleartap may itself run under another root: paths are as /proc shows them to it. */
static __noinline bool is_own_root(struct dentry *dentry)
{
	return BPF_CORE_READ(dentry, d_inode, i_ino) == cfg_root_ino &&
	       BPF_CORE_READ(dentry, d_sb, s_dev) == cfg_root_dev;
}

/*
 * Writes the path of the running executable into the record, last component first. As d_path()
 * does, a mount's root is left through its mount point.
 */
static __noinline int path_fill(struct rec_proc *r)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct mount *mnt;
	__u32 pos = 0;

	if (!r)
		return 0;
	mnt = (void *)BPF_CORE_READ(file, f_path.mnt) - bpf_core_field_offset(struct mount, mnt);
	for (int i = 0; i < ABI_PATH_DEEP; i++) {
		struct dentry *parent;
		long n;

		if (is_own_root(dentry))
			goto whole;
		if (dentry == BPF_CORE_READ(mnt, mnt.mnt_root)) {
			parent = (void *)BPF_CORE_READ(mnt, mnt_parent);
			if ((void *)parent == mnt)
				goto whole;
			dentry = BPF_CORE_READ(mnt, mnt_mountpoint);
			mnt = (void *)parent;
			continue;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry)
			goto whole;
		if (pos >= ABI_PATH_LEN)
			break;
		/* Older verifiers forget the comparison when pos goes through the stack. */
		barrier_var(pos);
		n = bpf_probe_read_kernel_str(r->path + (pos & (ABI_PATH_LEN - 1)), ABI_NAME_LEN,
					      BPF_CORE_READ(dentry, d_name.name));
		if (n < 0)
			break;
		pos += n;
		dentry = parent;
	}
	/* Too deep, or a name could not be read: better none than one that is not right. */
	pos = 0;
whole:
	r->path_len = pos;
	return 0;
}

static __always_inline __u64 start_time(struct task_struct *task)
{
	struct task_struct___old *old = (void *)task;

	if (bpf_core_field_exists(task->start_boottime))
		return BPF_CORE_READ(task, start_boottime);
	return BPF_CORE_READ(old, real_start_time);
}

/* Tells user space about the calling process, once. 0 when it knows. */
__noinline int proc_announce(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;
	struct task_struct *task;
	struct rec_proc *r;
	__u64 ids;

	if (bpf_map_lookup_elem(&procs, &tgid))
		return 0;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r)
		return -1;
	rec_fill(&r->h, REC_PROC, 0);
	task = (void *)bpf_get_current_task();
	task = BPF_CORE_READ(task, group_leader);
	r->ppid = BPF_CORE_READ(task, real_parent, tgid);
	r->start_ns = start_time(task);
	ids = bpf_get_current_uid_gid();
	r->uid = ids;
	r->gid = ids >> 32;
	r->cgroup_id = bpf_get_current_cgroup_id();
	path_fill(r);
	bpf_ringbuf_submit(r, wake_flags());
	bpf_map_update_elem(&procs, &tgid, &one, BPF_ANY);
	return 0;
}

/* Tells user space about a connection, again when its address has become known. */
__noinline int conn_announce(struct conn *c, __u64 handle)
{
	struct rec_conn *r;
	__u8 state;

	if (!c)
		return -1;
	state = c->addr.family ? ANNOUNCED_ADDR : ANNOUNCED_BARE;
	if (c->announced >= state)
		return 0;
	if (!c->proc_known) {
		if (proc_announce())
			return -1;
		c->proc_known = 1;
	}
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r)
		return -1;
	rec_fill(&r->h, REC_CONN, c->id);
	r->handle = handle;
	r->cookie = c->cookie;
	r->addr = c->addr;
	bpf_ringbuf_submit(r, BPF_RB_NO_WAKEUP);
	c->announced = state;
	return 0;
}

#endif

// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Plaintext of TLS calls: what a library reads and writes, by connection, exactly accounted.
 *
 * Every byte gets its place in its stream (conn.off) before it is copied, so a record that finds
 * the ring full leaves a hole that shows by itself.
 *
 * Each program stays below 64 bytes of stack, callees included: from 6.13 on x86-64 a program with
 * more runs on a per-CPU stack although it can be preempted, and another thread overwrites it.
 * That is why state lives in map values, and why tests/unit/test_bpf.c reads the verifier's figure.
 */
#include "kernel.bpf.h"

#include "abi.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#if defined(__TARGET_ARCH_x86)
#define RETURN_SP(ctx) (PT_REGS_SP(ctx) - 8) /* ret has taken the return address */
#else
#define RETURN_SP(ctx) PT_REGS_SP(ctx)
#endif

/* Set by user space before loading. */
const volatile __u32 cfg_self;	     /* own tgid */
const volatile __u32 cfg_filters;    /* bit n: filter_kind n has entries */
const volatile bool cfg_children;    /* forked processes join FILTER_PID */
const volatile __u64 cfg_root_ino;   /* own root directory, where paths begin */
const volatile __u32 cfg_root_dev;   /* its device, in the kernel's form */
const volatile __u64 cfg_wake_bytes; /* backlog at which the reader is woken */

/* The reader is waiting without a timeout worth mentioning: wake it for the next record. */
__u32 reader_idle;
__u64 next_conn;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct thread);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct conn_key);
	__type(value, struct conn);
} conns SEC(".maps");

/* Connections whose REC_CLOSE found the ring full: final state by id, for user space to fetch. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct conn);
} orphans SEC(".maps");

/* Processes that REC_PROC has been sent for. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, __u32);
} procs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct filter_key);
	__type(value, __u32);
} filters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, CNT_MAX);
	__type(key, __u32);
	__type(value, __u64);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, RECORD_SITES_MAX);
	__type(key, __u32);
	__type(value, struct record_site);
} sites SEC(".maps");

/* Templates of new map values: too large for the stack. */
static const struct thread new_thread;
static const struct conn new_conn;
static const __u32 one = 1;

static __always_inline void count(__u32 which, __u64 n)
{
	__u64 *value = bpf_map_lookup_elem(&counters, &which);

	if (value)
		__sync_fetch_and_add(value, n); /* programs can be preempted */
}

static __always_inline void untracked(__u64 len)
{
	count(CNT_UNTRACKED_CALLS, 1);
	count(CNT_UNTRACKED_BYTES, len);
}

/*
 * A wake-up is the dearest part of a small record, so the reader is woken by backlog, and for the
 * first record after it went idle; otherwise it looks by itself every few milliseconds.
 */
static __always_inline __u64 wake_flags(void)
{
	if (reader_idle) {
		reader_idle = 0;
		return BPF_RB_FORCE_WAKEUP;
	}
	if (bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= cfg_wake_bytes)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

static __always_inline void rec_fill(struct rec *h, __u16 type, __u64 conn)
{
	__u64 id = bpf_get_current_pid_tgid();

	h->type = type;
	h->dir = 0;
	h->reason = 0;
	h->tid = id;
	h->pid = id >> 32;
	h->pad = 0;
	h->time_ns = bpf_ktime_get_ns();
	h->conn = conn;
}

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

static __always_inline void data_fill(struct rec_data *r, struct conn *c, __u32 dir, __u64 off,
				      __u64 len)
{
	rec_fill(&r->h, REC_DATA, c->id);
	r->h.dir = dir;
	r->off = off;
	r->len = len;
	r->lost = c->lost[dir & 1];
	bpf_get_current_comm(r->comm, sizeof(r->comm));
}

/* These bytes found the ring full: their place stays empty. */
static __always_inline void bytes_lost(struct conn *c, __u32 dir, __u64 len)
{
	dir &= 1;
	__sync_fetch_and_add(&c->off[dir], len);
	__sync_fetch_and_add(&c->lost[dir], len);
	count(CNT_LOST_BYTES, len);
	__sync_fetch_and_add(&c->done[dir], len);
}

/* Reports len bytes that can't be had. 0, or -1 when the ring is full. */
__noinline int gap_send(struct conn *c, __u32 dir, __u64 len, __u32 reason)
{
	struct rec_data *r;
	__u64 off;

	if (!c)
		return -1;
	dir &= 1;
	off = __sync_fetch_and_add(&c->off[dir], len);
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (r) {
		data_fill(r, c, dir, off, len);
		r->h.type = REC_GAP;
		r->h.reason = reason;
		bpf_ringbuf_submit(r, wake_flags());
	} else {
		__sync_fetch_and_add(&c->lost[dir], len);
		count(CNT_LOST_BYTES, len);
	}
	__sync_fetch_and_add(&c->done[dir], len);
	return 0;
}

/*
 * Reserves size (constant: the verifier wants it) and copies n <= size bytes from buf.
 * 0: in the ring; 1: the ring is full; -1: the memory can't be read, nothing was used up.
 */
static __always_inline int piece_copy(struct conn *c, __u32 dir, __u64 buf, __u64 n, __u32 size)
{
	struct rec_data *r = bpf_ringbuf_reserve(&ring, sizeof(*r) + size, 0);

	if (!r)
		return 1;
	/* A comparison in C may be done on another register than the one that is used. */
	asm volatile("if %0 <= %1 goto +1; %0 = %1" : "+r"(n) : "i"(size));
	if (bpf_probe_read_user(r->data, n, (void *)buf)) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return -1;
	}
	data_fill(r, c, dir, __sync_fetch_and_add(&c->off[dir & 1], n), n);
	bpf_ringbuf_submit(r, wake_flags());
	return 0;
}

/* A slot of the next size up: records are about as long as their data. */
__noinline int piece_send(struct conn *c, __u32 dir, __u64 buf, __u64 n)
{
	if (!c)
		return 0;
	dir &= 1;
	if (n <= 256)
		return piece_copy(c, dir, buf, n, 256);
	if (n <= 1024)
		return piece_copy(c, dir, buf, n, 1024);
	if (n <= 2048)
		return piece_copy(c, dir, buf, n, 2048);
	if (n <= 4096)
		return piece_copy(c, dir, buf, n, 4096);
	if (n <= 8192)
		return piece_copy(c, dir, buf, n, 8192);
	return piece_copy(c, dir, buf, n, ABI_CHUNK);
}

/*
 * Sends the next piece of t's transfer. Returns 1 when nothing is left.
 * A piece that can't be read is tried again page by page, so that one missing page costs a page.
 */
__noinline int transfer_step(struct thread *t, struct conn *c)
{
	__u64 n, room;
	__u32 dir;
	int r;

	if (!t || !c || !t->len)
		return 1;
	dir = t->dir & 1;
	n = t->len;
	/* Pieces end where pages end, so that a piece tried again is in one page. */
	room = t->step - (t->buf & 4095);
	if (n > room && (n > t->step || t->step == 4096))
		n = room;
	r = conn_announce(c, t->key.handle) ? 1 : piece_send(c, dir, t->buf, n);
	if (r < 0 && t->step > 4096) {
		t->step = 4096;
		return 0;
	}
	if (r < 0) {
		gap_send(c, dir, n, REASON_FAULT);
	} else if (r > 0) {
		bytes_lost(c, dir, n);
	} else {
		__sync_fetch_and_add(&c->done[dir], n);
	}
	t->buf += n;
	t->len -= n;
	return t->len == 0;
}

static long transfer_loop(__u32 i, void *ctx)
{
	struct thread *t = thread_find();

	return transfer_step(t, conn_find(t)) ? 1 : 0;
}

/* Sends len bytes at buf as the next ones of t->key's stream in direction dir. */
static __always_inline void transfer(struct thread *t, struct conn *c, __u64 buf, __u64 len)
{
	t->buf = buf;
	t->len = len;
	t->step = ABI_CHUNK;
	if (!transfer_step(t, c))
		bpf_loop(1 << 23, transfer_loop, NULL, 0);
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

/* A write ended unseen: the next one is not its continuation. */
static __noinline int ahead_forget(struct thread *t, __u64 handle)
{
	struct conn *c;

	if (!t)
		return 0;
	t->key.handle = handle;
	t->key.tgid = bpf_get_current_pid_tgid() >> 32;
	c = bpf_map_lookup_elem(&conns, &t->key);
	if (c) {
		c->ahead = 0;
		c->sent = 0;
		c->sends = 0;
	}
	return 0;
}

/*
 * Calls that are still under way when one begins at this stack pointer: those further up the
 * stack. The others were left by longjmp() or an exception, with a result that nobody saw; except
 * the very same call, when one file is probed under two names.
 */
static __always_inline __u32 frames_alive(struct thread *t, __u64 sp, __u64 handle, __u64 buf)
{
	__u32 depth = t->depth;

	for (__u32 i = FRAMES; i > 0; i--) {
		struct frame *f = &t->frame[i - 1];

		if (i != depth || f->sp > sp)
			continue;
		depth = i - 1;
		if (f->sp == sp && f->handle == handle && f->buf == buf)
			continue;
		count(CNT_MISSED_CALLS, 1);
		if (f->sent)
			ahead_forget(t, f->handle);
	}
	return depth;
}

SEC("uprobe")
int call_enter(struct pt_regs *ctx)
{
	struct thread *t = thread_get();
	struct frame *f;
	__u64 cookie;
	__u32 depth;

	if (!t)
		return 0;
	depth = frames_alive(t, PT_REGS_SP(ctx), PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx));
	if (depth >= FRAMES) {
		count(CNT_MISSED_CALLS, 1);
		return 0;
	}
	f = &t->frame[depth & (FRAMES - 1)];
	cookie = bpf_get_attach_cookie(ctx);
	f->sp = PT_REGS_SP(ctx);
	f->handle = PT_REGS_PARM1(ctx);
	f->buf = PT_REGS_PARM2(ctx);
	f->num = PT_REGS_PARM3(ctx);
	f->out = PT_REGS_PARM4(ctx);
	barrier(); /* or clang selects the offset in ctx, which the verifier refuses */
	if (((cookie >> COOKIE_ARG_SHIFT) & 0xff) == 4)
		f->out = PT_REGS_PARM5(ctx);
	f->cookie = cookie;
	f->addr.family = 0;
	f->addr.protocol = 0;
	f->sent = 0;
	t->early = 0;
	t->depth = depth + 1;
	return 0;
}

/*
 * Takes the frame with this stack pointer, and those above it, which will not return any more.
 * NULL when the call was under way before the probe was there.
 */
static __always_inline struct frame *frame_pop(struct thread *t, __u64 sp)
{
	for (__u32 i = FRAMES; i > 0; i--) {
		if (i <= t->depth && t->frame[i - 1].sp == sp) {
			if (t->depth > i)
				count(CNT_MISSED_CALLS, t->depth - i);
			t->depth = i - 1;
			return &t->frame[i - 1];
		}
	}
	return NULL;
}

/* Bytes that the call moved; 0 when it failed. */
static __always_inline __u64 call_result(struct pt_regs *ctx, struct frame *f)
{
	__u64 n = 0;

	if (f->cookie & COOKIE_SENDFILE) /* ssize_t */
		return (__s64)PT_REGS_RC(ctx) > 0 ? PT_REGS_RC(ctx) : 0;
	if ((__s32)PT_REGS_RC(ctx) <= 0)
		return 0;
	if (!(f->cookie & COOKIE_OUT_ARG))
		return (__u32)PT_REGS_RC(ctx);
	if (bpf_probe_read_user(&n, sizeof(n), (void *)f->out)) {
		count(CNT_MISSED_CALLS, 1);
		return 0;
	}
	return n < f->num ? n : f->num;
}

/* One exported function may be built on another; the inner one has told it all. */
static __always_inline void outer_mark(struct thread *t, struct frame *f)
{
	struct frame *outer;

	outer = frame_top(t);
	if (!outer)
		return;
	if (outer->handle == f->handle && !((outer->cookie ^ f->cookie) & COOKIE_DIR_OUT))
		outer->cookie |= COOKIE_REPORTED;
}

/* A call has moved n bytes. */
static __noinline int call_report(struct thread *t, struct frame *f, __u64 n)
{
	struct conn *c;
	__u64 skip = 0;

	if (!t || !f)
		return 0;
	c = conn_of(t, f->handle, f->cookie, &f->addr);
	if (!c) {
		untracked(n);
		return 0;
	}
	if (f->cookie & COOKIE_SENDFILE) {
		if (conn_announce(c, f->handle) == 0)
			gap_send(c, ABI_OUT, n, REASON_SENDFILE);
		else
			bytes_lost(c, ABI_OUT, n);
		return 0;
	}
	t->dir = f->cookie & COOKIE_DIR_OUT ? ABI_OUT : ABI_IN;
	if (t->dir == ABI_OUT) {
		skip = c->ahead < n ? c->ahead : n;
		c->ahead -= skip;
		c->sent = 0;
		c->sends = 0;
	}
	transfer(t, c, f->buf + skip, n - skip);
	return 0;
}

SEC("uretprobe")
int call_return(struct pt_regs *ctx)
{
	struct thread *t = thread_find();
	struct frame *f;
	__u64 n;

	if (!t || !t->depth)
		return 0;
	f = frame_pop(t, RETURN_SP(ctx));
	if (!f)
		return 0;
	if (f->cookie & COOKIE_HANDSHAKE) {
		/* Some programs do all their receiving in here. */
		if (f->addr.family)
			conn_of(t, f->handle, f->cookie, &f->addr);
		return 0;
	}
	n = call_result(ctx, f);
	if (!n)
		return 0;
	outer_mark(t, f);
	if (!(f->cookie & COOKIE_REPORTED))
		call_report(t, f, n);
	return 0;
}

/* Up to 8 bytes that are at a place; 0 when it can't be read. */
static __noinline __u64 place_read(struct pt_regs *ctx, struct place_at *place)
{
	__u64 value = 0;

	if (!place)
		return 0;
	bpf_probe_read_kernel(&value, sizeof(value), (void *)ctx + place->reg_off);
	if (place->on_stack &&
	    bpf_probe_read_user(&value, sizeof(value), (void *)value + place->disp))
		return 0;
	return value;
}

/*
 * Inside the read function, where decrypted bytes are copied to the caller. Only for calls that
 * were under way when the probes came: others were seen at their entry and will be at their return.
 */
SEC("uprobe")
int record_move(struct pt_regs *ctx)
{
	__u32 index = bpf_get_attach_cookie(ctx);
	struct record_site *site = bpf_map_lookup_elem(&sites, &index);
	struct thread *t = site ? thread_get() : NULL;
	__u64 handle, len = PT_REGS_PARM3(ctx);
	struct conn *c;

	if (!t || t->depth || !len)
		return 0;
	if ((__u8)place_read(ctx, &site->type) != 23 || (__u32)place_read(ctx, &site->peek))
		return 0;
	handle = place_read(ctx, &site->handle);
	if (!handle)
		return 0;
	t->dir = ABI_IN;
	c = conn_of(t, handle, site->cookie, &t->early_addr);
	if (c)
		transfer(t, c, PT_REGS_PARM2(ctx), len);
	else
		untracked(len);
	return 0;
}

/* The library frees or clears a handle: whatever comes under this address is another connection. */
SEC("uprobe")
int handle_free(struct pt_regs *ctx)
{
	struct conn_key key = { .handle = PT_REGS_PARM1(ctx),
				.tgid = bpf_get_current_pid_tgid() >> 32 };
	struct conn *c = bpf_map_lookup_elem(&conns, &key);
	struct rec_state *r;

	if (!c)
		return 0;
	if (!c->off[0] && !c->off[1])
		goto forget;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (r) {
		rec_fill(&r->h, REC_CLOSE, c->id);
		r->handle = key.handle;
		r->off[0] = c->off[0];
		r->off[1] = c->off[1];
		bpf_ringbuf_submit(r, wake_flags());
	} else {
		bpf_map_update_elem(&orphans, &c->id, c, BPF_ANY);
		count(CNT_LOST_NOTES, 1);
	}
forget:
	bpf_map_delete_elem(&conns, &key);
	return 0;
}

static __noinline int addr_fill(struct rec_addr *a, struct sock *sk)
{
	__u16 family, lport, rport, protocol;

	if (!a || !sk)
		return 0;
	/* A name server may be asked inside of a call, before the connection is made. */
	protocol = BPF_CORE_READ(sk, sk_protocol);
	if (a->protocol == IPPROTO_TCP && protocol != IPPROTO_TCP)
		return 0;
	family = BPF_CORE_READ(sk, __sk_common.skc_family);
	lport = BPF_CORE_READ(sk, __sk_common.skc_num);
	rport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (!lport || !rport)
		return 0;
	if (family == AF_INET) {
		bpf_probe_read_kernel(a->laddr, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_probe_read_kernel(a->raddr, 4, &sk->__sk_common.skc_daddr);
	} else if (family == AF_INET6) {
		bpf_probe_read_kernel(a->laddr, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_probe_read_kernel(a->raddr, 16, &sk->__sk_common.skc_v6_daddr);
	} else {
		return 0;
	}
	a->lport = lport;
	a->rport = rport;
	a->protocol = protocol;
	a->family = family;
	return 0;
}

/* Socket I/O of a thread that is inside a TLS call tells the connection's addresses. */
static __always_inline int received(struct bpf_raw_tracepoint_args *ctx)
{
	struct thread *t = thread_find();
	struct frame *f = frame_top(t);

	if (f && f->addr.protocol != IPPROTO_TCP)
		addr_fill(&f->addr, (void *)ctx->args[0]);
	else if (t && t->early)
		addr_fill(&t->early_addr, (void *)ctx->args[0]);
	return 0;
}

SEC("raw_tp/sock_recv_length")
int socket_receive(struct bpf_raw_tracepoint_args *ctx)
{
	return received(ctx);
}

/*
 * A write of megabytes is encrypted and sent record by record inside one call. Each send lets that
 * part of the buffer out which the library must have used up by now: the ring is filled at the pace
 * of the encryption, and not with everything at once at the return.
 *
 * "Must have" takes off more than a record's overhead for each record or send, whichever are more,
 * and what a handshake or the messages behind it may need. So what is reported has been sent even if the call
 * fails in the end.
 */
__noinline int write_pace(__u64 sent)
{
	/* Looked up again: 6.1 takes map values as keys, but no memory passed as an argument. */
	struct thread *t = thread_find();
	struct frame *f = frame_top(t);
	struct conn *c;
	__u64 records;
	__s64 used;

	if (!t || !f)
		return 0;
	c = conn_of(t, f->handle, f->cookie, &f->addr);
	if (!c)
		return 0;
	c->sent += sent;
	c->sends++;
	records = c->sent / ABI_CHUNK;
	if (records < c->sends)
		records = c->sends;
	used = (__s64)c->sent - 96 * (__s64)records;
	used -= c->off[0] || c->off[1] ? 2048 : ABI_CHUNK;
	if (used > (__s64)f->num)
		used = f->num;
	if (used < (__s64)c->ahead + ABI_CHUNK / 2)
		return 0;
	used -= c->ahead;
	t->dir = ABI_OUT;
	transfer(t, c, f->buf + c->ahead, used);
	c->ahead += used;
	return 0;
}

SEC("raw_tp/sock_send_length")
int socket_send(struct bpf_raw_tracepoint_args *ctx)
{
	struct thread *t = thread_find();
	struct frame *f = frame_top(t);
	__s32 sent = ctx->args[1];

	if (!f)
		return 0;
	if (f->addr.protocol != IPPROTO_TCP)
		addr_fill(&f->addr, (void *)ctx->args[0]);
	if (sent <= 0 || !(f->cookie & COOKIE_DIR_OUT) || (f->cookie & COOKIE_SENDFILE))
		return 0;
	f->sent = 1;
	if (f->num >= 2 * ABI_CHUNK)
		write_pace(sent);
	return 0;
}

/* Before 6.3 there are no socket tracepoints; this one sees receives only. */
SEC("raw_tp/tcp_rcv_space_adjust")
int socket_adjust(struct bpf_raw_tracepoint_args *ctx)
{
	return received(ctx);
}

static __always_inline void proc_gone(__u32 tgid)
{
	struct rec *r;

	if (!bpf_map_lookup_elem(&procs, &tgid))
		return;
	bpf_map_delete_elem(&procs, &tgid);
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		count(CNT_LOST_NOTES, 1);
		return;
	}
	rec_fill(r, REC_EXIT, 0);
	bpf_ringbuf_submit(r, wake_flags());
}

__noinline int filter_drop(__u32 tgid)
{
	struct filter_key key = { .kind = FILTER_PID, .a = tgid };

	return bpf_map_delete_elem(&filters, &key);
}

/* A thread that ends inside of a write: part of it may have gone out, and nobody can tell. */
static __always_inline void calls_cut(struct thread *t)
{
	for (__u32 i = 0; i < FRAMES; i++) {
		if (i < t->depth && t->frame[i].sent)
			count(CNT_MISSED_CALLS, 1);
	}
}

SEC("raw_tp/sched_process_exit")
int process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 id = bpf_get_current_pid_tgid();
	struct thread *t = thread_find();
	__u32 tid = id;

	if (t)
		calls_cut(t);
	bpf_map_delete_elem(&threads, &tid);
	/* The leader may end before other threads do: only the last one ends the process. */
	if (BPF_CORE_READ(task, signal, live.counter) > 0)
		return 0;
	proc_gone(id >> 32);
	if (cfg_children)
		filter_drop(id >> 32);
	return 0;
}

SEC("raw_tp/sched_process_exec")
int process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	__u32 tid = (__u32)ctx->args[1]; /* the thread's id before it became the leader */

	bpf_map_delete_elem(&threads, &tid);
	tid = id;
	bpf_map_delete_elem(&threads, &tid);
	proc_gone(id >> 32);
	return 0;
}

__noinline int filter_add(__u32 tgid)
{
	struct filter_key key = { .kind = FILTER_PID, .a = tgid };

	return bpf_map_update_elem(&filters, &key, &one, BPF_ANY);
}

SEC("raw_tp/sched_process_fork")
int process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *child = (void *)ctx->args[1];
	__u32 tgid = BPF_CORE_READ(child, tgid);

	if (tgid != (__u32)BPF_CORE_READ(child, pid))
		return 0;
	if (filter_has(FILTER_PID, bpf_get_current_pid_tgid() >> 32, 0))
		filter_add(tgid);
	return 0;
}

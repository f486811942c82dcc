// SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only)
/*
 * Plaintext of TLS calls: what a library reads and writes, by connection, exactly accounted.
 *
 * Every byte gets its place in its stream (conn.off) before it is copied, so a record that finds
 * the ring full leaves a hole that shows by itself.
 *
 * Each function stays below 64 bytes of stack: from 6.13 on x86-64 one with more runs on a per-CPU
 * stack although it can be preempted, and another thread overwrites it. That is why state lives in
 * map values, and why tests/unit/test_bpf.c reads the verifier's figures.
 */
#include "conns.bpf.h"
#include "secrets.bpf.h"
#include "state.bpf.h"
#include "threads.bpf.h"
#include "transfer.bpf.h"
#include "values.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#if defined(__TARGET_ARCH_x86)
#define RETURN_SP(ctx) (PT_REGS_SP(ctx) - 8) /* ret has taken the return address */
#else
#define RETURN_SP(ctx) PT_REGS_SP(ctx)
#endif

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
	if ((__u8)value_read(ctx, &site->type) != 23 || value_read(ctx, &site->peek))
		return 0;
	handle = value_read(ctx, &site->handle);
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

SEC("uprobe.s")
int secret_handed(struct pt_regs *ctx)
{
	__u32 index = bpf_get_attach_cookie(ctx);
	struct secret_site *site = bpf_map_lookup_elem(&secret_sites, &index);
	struct thread *t = site ? thread_get() : NULL;

	if (t && secret_report(ctx, t, site))
		count(CNT_LOST_SECRETS, 1);
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
	/* Nobody has heard of it, and it has not lost anything either. */
	if (!c->announced && !c->off[0] && !c->off[1])
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

/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Bytes into the ring: in pieces, each with its place in the stream. */
#ifndef TRANSFER_BPF_H
#define TRANSFER_BPF_H

#include "conns.bpf.h"
#include "state.bpf.h"
#include "threads.bpf.h"

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

#endif

/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* Secrets that a library hands over: which handshake they belong to, and how they are reported. */
#ifndef SECRETS_BPF_H
#define SECRETS_BPF_H

#include "conns.bpf.h"
#include "state.bpf.h"
#include "threads.bpf.h"
#include "values.bpf.h"

/* The connection of a handle whose end will be seen. */
static __noinline __u64 secret_conn(struct thread *t, __u64 handle, __u64 cookie)
{
	struct frame *f = frame_top(t);
	struct conn *c;

	if (!t)
		return 0;
	/* In a call of another handle the socket is that one's. */
	if (f && f->handle == handle)
		c = conn_of(t, handle, cookie, &f->addr);
	else
		c = conn_of(t, handle, cookie, &t->early_addr);
	if (!c || conn_announce(c, handle))
		return 0;
	return c->id;
}

/*
 * A number for the handshake with t->random. A handle may be used again by another connection:
 * another client random is another one.
 */
static __noinline __u64 secret_handshake(struct thread *t, __u64 handle)
{
	struct handshake *h;

	if (!t || proc_announce())
		return 0;
	t->key.handle = handle;
	t->key.tgid = bpf_get_current_pid_tgid() >> 32;
	h = bpf_map_lookup_elem(&handshakes, &t->key);
	if (!h) {
		bpf_map_update_elem(&handshakes, &t->key, &new_handshake, BPF_NOEXIST);
		h = bpf_map_lookup_elem(&handshakes, &t->key);
		if (!h)
			return 0;
	}
	for (int i = 0; i < ABI_RANDOM_LEN / 8; i++) {
		__u64 *now = (__u64 *)t->random + i, *last = (__u64 *)h->random + i;

		if (*now == *last && h->id)
			continue;
		*last = *now;
		h->id = 0;
	}
	if (!h->id)
		h->id = __sync_fetch_and_add(&next_conn, 1) + 1;
	return h->id;
}

/*
 * The label to t->label. Its characters are read by whoever wants a key log, so in a program without
 * one their page may not be there yet: then it is brought in, for which the program may sleep. The
 * longest label ends within 32 bytes.
 */
static __noinline int secret_label(struct pt_regs *ctx, struct thread *t, struct secret_site *site)
{
	__u64 addr, len;

	if (!t || !site)
		return -1;
	t->label[0] = 0;
	if (site->fixed)
		return 0;
	addr = site->step == SECRET_END ? t->begun_label : value_read(ctx, &site->label);
	if (!site->label_len.width) {
		if (bpf_probe_read_user_str(t->label, sizeof(t->label), (void *)addr) > 0)
			return 0;
		t->label[32] = 0;
		return bpf_copy_from_user(t->label, 32, (void *)addr) != 0;
	}
	len = value_read(ctx, &site->label_len);
	if (len >= sizeof(t->label))
		return -1;
	barrier_var(len);
	len &= ABI_LABEL_LEN - 1;
	t->label[len] = 0;
	if (!bpf_probe_read_user(t->label, len, (void *)addr))
		return 0;
	return bpf_copy_from_user(t->label, len, (void *)addr) != 0;
}

static __noinline int secret_bytes(struct pt_regs *ctx, struct secret_site *site,
				   struct rec_secret *r)
{
	__u64 len;

	if (!site || !r)
		return -1;
	len = site->len.width ? value_read(ctx, &site->len) : ABI_MASTER_LEN;
	r->len = len > ABI_SECRET_LEN ? ABI_SECRET_LEN + 1 : len;
	if (len > ABI_SECRET_LEN)
		return 0;
	barrier_var(len);
	len &= 2 * ABI_SECRET_LEN - 1;
	if (len > ABI_SECRET_LEN)
		return -1;
	return bpf_probe_read_user(r->secret, len, (void *)value_read(ctx, &site->secret)) != 0;
}

/* Keeps what is known of a secret until its bytes are. -1 when the one before has no bytes. */
static __noinline int secret_begin(struct pt_regs *ctx, struct thread *t, struct secret_site *site)
{
	bool pending;

	if (!t || !site)
		return -1;
	pending = t->begun_sp != 0;
	t->begun_sp = 0;
	t->begun_label = value_read(ctx, &site->label);
	if (!t->begun_label)
		return -pending;
	t->begun_handle = value_read(ctx, &site->handle);
	if (bpf_probe_read_user(t->begun_random, sizeof(t->begun_random),
				(void *)value_read(ctx, &site->random)))
		return -1;
	t->begun_sp = PT_REGS_SP(ctx);
	return -pending;
}

/* Is this the end of what has begun? Secrets of TLS 1.3 are as long as a hash. */
static __noinline bool secret_ends(struct pt_regs *ctx, struct thread *t, struct secret_site *site)
{
	__u64 len;

	/* The stack grows down: above, the function that began is over. */
	if (!t || !site || !t->begun_sp || PT_REGS_SP(ctx) >= t->begun_sp)
		return false;
	len = value_read(ctx, &site->len);
	return len == ABI_HASH_LEN_MIN || len == ABI_HASH_LEN_MAX;
}

/* Handle and client random; the latter to t->random. False when that could not be read. */
static __noinline bool secret_whose(struct pt_regs *ctx, struct thread *t, struct secret_site *site,
				    __u64 *ret_handle)
{
	if (!t || !site || !ret_handle)
		return false;
	if (site->step == SECRET_END) {
		__builtin_memcpy(t->random, t->begun_random, sizeof(t->random));
		*ret_handle = t->begun_handle;
		t->begun_sp = 0;
		return true;
	}
	if (bpf_probe_read_user(t->random, sizeof(t->random),
				(void *)value_read(ctx, &site->random)))
		return false;
	*ret_handle = site->handle.width ? value_read(ctx, &site->handle) : *(__u64 *)t->random;
	return true;
}

/* 0, or -1 when a secret could not be reported. */
static __noinline int secret_report(struct pt_regs *ctx, struct thread *t, struct secret_site *site)
{
	struct rec_secret *r;
	__u64 handle, id;
	bool named;

	if (!t || !site)
		return -1;
	if (site->check.width && value_read(ctx, &site->check) != site->expect)
		return 0;
	if (site->step == SECRET_BEGIN)
		return secret_begin(ctx, t, site);
	if (site->step == SECRET_END && !secret_ends(ctx, t, site))
		return 0;
	if (!secret_whose(ctx, t, site, &handle))
		return -1;
	id = site->cookie & COOKIE_NO_FREE ? secret_handshake(t, handle)
					   : secret_conn(t, handle, site->cookie);
	if (!id)
		return -1;
	/* It may sleep, which is not for somebody who holds a part of the ring. */
	named = secret_label(ctx, t, site) == 0;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r)
		return -1;
	rec_fill(&r->h, REC_SECRET, id);
	__builtin_memcpy(r->label, t->label, sizeof(r->label));
	r->cookie = site->cookie;
	r->fixed = site->fixed;
	__builtin_memcpy(r->random, t->random, sizeof(r->random));
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	/* The reader learns of it all the same: a secret is missing. */
	if (!named || secret_bytes(ctx, site, r))
		r->len = 0;
	bpf_ringbuf_submit(r, wake_flags());
	return 0;
}

#endif

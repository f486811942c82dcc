/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/* What the programs keep: settings, maps, counters; and how a record begins. */
#ifndef STATE_BPF_H
#define STATE_BPF_H

#include "kernel.bpf.h"

#include "abi.h"

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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SECRET_SITES_MAX);
	__type(key, __u32);
	__type(value, struct secret_site);
} secret_sites SEC(".maps");

/* The oldest ones make room: a handshake is over in seconds. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct conn_key);
	__type(value, struct handshake);
} handshakes SEC(".maps");

/* Templates of new map values: too large for the stack. */
static const struct thread new_thread;
static const struct conn new_conn;
static const struct handshake new_handshake;
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

#endif

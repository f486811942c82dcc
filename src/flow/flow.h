/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns ring records into events: gives each its connection and process, puts the bytes of a
 * stream in order, finds what is missing, and checks secrets. Pure: no I/O; what it needs from
 * outside comes through struct flow_ops.
 */
#ifndef FLOW_H
#define FLOW_H

#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "event/event.h"

struct flow;

struct flow_ops {
	/* Gets each event. A negative result is kept and returned by flow_record(). */
	int (*event)(void *arg, const struct event *ev);
	/* Wall-clock time, ns since the epoch. */
	uint64_t (*from_mono)(void *arg, uint64_t mono_ns);
	uint64_t (*from_boot)(void *arg, uint64_t boot_ns);
	/* Name of the file with this number in a cookie, "" when there is none. */
	const char *(*file_name)(void *arg, uint32_t file);
	/* Path of a cgroup, "" when it is not known. Valid until the next call. */
	const char *(*cgroup_path)(void *arg, uint64_t id);
	/* Final state of a connection whose process is gone. 0 or -ENOENT. */
	int (*conn_state)(void *arg, uint32_t pid, uint64_t handle, struct conn *ret_conn);
	/* The connection will not be heard of again: the kernel may forget it. */
	void (*conn_drop)(void *arg, uint32_t pid, uint64_t handle);
};

/* ops is borrowed. -ENOMEM. */
int flow_new(const struct flow_ops *ops, void *arg, struct flow **ret_flow);
void flow_free(struct flow *flow);

/*
 * Takes one record. 0; -EBADMSG when it is not a record (nothing happens then); -ENOMEM; or what
 * the event function returned.
 */
int flow_record(struct flow *flow, const void *data, size_t len);

/*
 * Ends the run: closes every connection. Call it when the final state of all connections has come
 * as REC_STATE records.
 */
int flow_end(struct flow *flow, uint64_t now_mono_ns);

/* For bytes of which no record says anything: they are counted as gaps without a connection. */
void flow_untracked(struct flow *flow, uint64_t calls, uint64_t bytes);
void flow_missed(struct flow *flow, uint64_t calls);
void flow_secrets_lost(struct flow *flow, uint64_t secrets);
/*
 * After flow_end(): the kernel's sum of bytes that found the ring full. What no connection's gaps
 * explain, because their end was lost as well, becomes a gap without a place.
 */
void flow_lost(struct flow *flow, uint64_t bytes);

/* Counted so far. */
const struct stats *flow_stats(const struct flow *flow);

#endif

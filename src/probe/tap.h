/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side of a run: the BPF object, its probes, its ring and its maps.
 * Nothing outside this folder includes libbpf. One thread uses the ring; tap_conn_*() may be
 * called from another.
 */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/abi.h"

struct tap;

struct tap_config {
	uint64_t ring_bytes; /* power of two, at least 4096 */
	uint32_t filters;    /* bit n: enum filter_kind n will have entries */
	bool children;	     /* processes forked by those in FILTER_PID join them */
};

/*
 * Loads the programs. -EPERM: not allowed; -EOPNOTSUPP: this kernel lacks something, see
 * feature.h; -ENOMEM.
 */
int tap_new(const struct tap_config *config, struct tap **ret_tap);
/* Detaches everything and frees. NULL is allowed. */
void tap_free(struct tap *tap);

/* A device number as the kernel has it inside (include/linux/kdev_t.h), for FILTER_EXE. */
uint32_t tap_kernel_dev(dev_t dev);

/* -E2BIG when there is no more room. */
int tap_filter(struct tap *tap, enum filter_kind kind, uint64_t a, uint64_t b);

enum tap_program {
	TAP_CALL,   /* entry and return of a function that moves plaintext */
	TAP_FREE,   /* entry of a function that ends a connection */
	TAP_RECORD, /* an instruction that copies a decrypted record */
	TAP_SECRET, /* an instruction where a secret is handed over */
	TAP_PROGRAM_MAX,
};

struct tap_site {
	enum tap_program program;
	uint64_t offset;	   /* in the file */
	uint64_t cookie;	   /* COOKIE_... */
	struct record_site record; /* TAP_RECORD, but for its cookie */
	struct secret_site secret; /* TAP_SECRET, but for its cookie */
};

/*
 * Plants probes on the file behind fd (which may be closed afterwards).
 * pid 0: in all processes that map it, now and later; else in that process alone.
 * Negative errno of the kernel: -ESRCH no such process, -EPERM, ...
 */
int tap_attach(struct tap *tap, int fd, pid_t pid, const struct tap_site *sites, size_t count);

/*
 * A thread that may be inside a TLS call now: the first socket that it uses before it makes
 * another call is that call's. Before tap_attach().
 */
void tap_early_thread(struct tap *tap, pid_t tid);

/* Starts the tracepoints: before tap_attach(), so that no call goes without its socket. */
int tap_start(struct tap *tap);

/* How the connections' addresses are learnt. */
enum tap_sockets {
	TAP_SOCKETS_NONE,
	TAP_SOCKETS_RECEIVE, /* tcp_rcv_space_adjust: when data is received */
	TAP_SOCKETS_BOTH,    /* sock_send_length and sock_recv_length, Linux 6.3 */
};
enum tap_sockets tap_sockets(const struct tap *tap);

/* Removes all probes; when it returns no program runs any more and the ring gets nothing new. */
void tap_detach(struct tap *tap);

/* For poll(2): readable when the kernel wants the ring to be read. */
int tap_fd(const struct tap *tap);

/* Gets one record; data is valid during the call. Nonzero: read no further for now. */
typedef int (*tap_record_fn)(void *arg, const void *data, size_t len);

/* Reads all that is in the ring. Returns the number of records. */
size_t tap_consume(struct tap *tap, tap_record_fn fn, void *arg);

/*
 * Says that the reader is about to wait: the next record will wake it at once. Look into the ring
 * once more after it. Otherwise the reader has to look by itself every few milliseconds.
 */
void tap_idle(struct tap *tap, bool idle);

/*
 * After tap_detach(): threads that are inside of a write which has sent something already. What
 * part of it, the calls' ends would have told.
 */
uint64_t tap_calls_cut(struct tap *tap);

uint64_t tap_counter(struct tap *tap, enum counter which);

/* State of a connection; -ENOENT. */
int tap_conn_get(struct tap *tap, uint32_t tgid, uint64_t handle, struct conn *ret_conn);
void tap_conn_drop(struct tap *tap, uint32_t tgid, uint64_t handle);

/* Calls fn for each connection that the kernel knows. A nonzero result ends the walk. */
typedef int (*tap_conn_fn)(void *arg, const struct conn_key *key, const struct conn *conn);
int tap_conns_each(struct tap *tap, tap_conn_fn fn, void *arg);
/* Takes out those connections whose end found the ring full; key->handle is 0. */
int tap_orphans_take(struct tap *tap, tap_conn_fn fn, void *arg);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a sink receives: one struct event for everything that happened on a TLS connection.
 * Events are borrowed: everything they point at is valid during the call only.
 */
#ifndef EVENT_H
#define EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/secret.h"

#define EVENT_COMM_LEN 16

/* Direction as the tapped process sees it. The values are bpf/abi.h's. */
enum event_dir {
	DIR_IN = 0,  /* received by this process */
	DIR_OUT = 1, /* sent by this process */
	DIR_MAX = 2,
};

enum event_type {
	EVENT_OPEN,   /* a connection is seen for the first time */
	EVENT_DATA,   /* plaintext */
	EVENT_GAP,    /* bytes that the library handled and cleartap could not get */
	EVENT_CLOSE,  /* no more will come of this connection */
	EVENT_SECRET, /* a secret of the connection's handshake */
	EVENT_STATS,  /* the summary, last event of a run */
};

enum gap_reason {
	GAP_RING_FULL, /* the ring buffer was full: cleartap was too slow */
	GAP_FAULT,     /* the target's memory could not be read */
	GAP_SENDFILE,  /* SSL_sendfile: the kernel sends the file, no plaintext passes by */
	GAP_UNTRACKED, /* more connections than cleartap's table holds */
	GAP_REASON_MAX,
};

enum close_reason {
	CLOSE_FREED, /* the library freed or cleared the connection */
	CLOSE_EXIT,  /* the process ended or executed another program */
	CLOSE_END,   /* cleartap stopped; the connection goes on */
};

/* One address and port. family 0: not known; it is then left out of every output. */
struct endpoint {
	uint16_t family; /* AF_INET or AF_INET6 */
	uint16_t port;	 /* host byte order */
	uint8_t addr[16];
};

/* The program at the end of a connection. Strings are hostile and never NULL ("" = not known). */
struct process {
	uint32_t pid;
	uint32_t ppid;
	uint32_t uid;
	uint32_t gid;
	uint64_t start_ns;  /* wall clock, ns since the epoch; 0: not known */
	uint64_t cgroup_id; /* cgroup v2 id; 0: not known */
	const char *cgroup; /* path below the cgroup v2 mount */
	const char *exe;
};

/* A connection as sinks see it. */
struct connection {
	uint64_t id; /* unique in one run, never reused */
	const struct process *process;
	const char *library; /* file that the TLS functions are in; "" = not known */
	struct endpoint local;
	struct endpoint remote;
};

/* Everything counted in a run. Bytes handled by the libraries = bytes + sum of gap_bytes. */
struct stats {
	uint64_t events; /* events of all types printed before this one */
	uint64_t connections;
	uint64_t bytes[DIR_MAX];
	uint64_t gaps[GAP_REASON_MAX];
	uint64_t gap_bytes[GAP_REASON_MAX];
	uint64_t calls_missed; /* TLS calls of which not even the length is known */
	uint64_t secrets;
	uint64_t secret_connections; /* that secrets came from */
	uint64_t secrets_lost;	     /* found the ring full, or their memory could not be read */
	uint64_t secrets_refused;    /* what was found in their place can't be right */
};

struct event {
	enum event_type type;
	uint64_t time_ns; /* wall clock, ns since the epoch */
	uint32_t pid;	  /* 0 in EVENT_STATS only */
	uint32_t tid;	  /* thread that made the call; of OPEN: that caused the first event */
	char comm[EVENT_COMM_LEN];     /* that thread's name, NUL-padded; hostile */
	const struct connection *conn; /* NULL in EVENT_STATS only (and untracked gaps) */

	/* EVENT_DATA and EVENT_GAP */
	enum event_dir dir;
	uint64_t offset; /* of the first byte, in its direction of the connection */
	uint64_t len;
	const uint8_t *data; /* EVENT_DATA: len bytes, hostile */
	enum gap_reason gap; /* EVENT_GAP */

	enum close_reason close; /* EVENT_CLOSE */
	uint64_t total[DIR_MAX]; /* EVENT_CLOSE: bytes handled in each direction, gaps included */

	/* EVENT_SECRET */
	enum secret_label label;
	const uint8_t *client_random; /* SECRET_RANDOM_LEN bytes */
	const uint8_t *secret;
	size_t secret_len; /* at most SECRET_LEN_MAX */

	const struct stats *stats; /* EVENT_STATS */
};

#endif

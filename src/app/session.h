/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of the tap, wired together: targets and filters into the kernel, records out of the ring
 * into the queue (main thread), from the queue through flow into the sinks (output thread).
 */
#ifndef SESSION_H
#define SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "util/options.h"

/* What the user asked for. */
struct session_request {
	struct option_list libraries; /* --libssl */
	struct option_list probes;    /* --probe */
	bool no_cache;
	struct option_list pids;
	struct option_list uids;
	struct option_list comms;
	struct option_list exes;
	bool children;
	const char *output; /* NULL or "-": stdout; with keys, a file is added to */
	bool plaintext;
	const char *keylog; /* NULL: none; else a file that gets the secrets */
	bool keys;	    /* the output is a key log itself */
	bool json;
	bool hex;
	uint64_t duration_ns; /* 0: no end */
	uint64_t ring_bytes;
	uint64_t queue_bytes;
	int64_t ready_fd; /* -1: none */
	char **command;	  /* NULL, or NULL-terminated: run this, end with it */
};

/* Runs until it is told to stop. Returns the exit status; messages have been printed. */
int session_run(const struct session_request *request);

#endif

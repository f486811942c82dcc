/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The printing half of a session: a thread that takes records from the queue, through flow, into
 * the sinks. It may block on a slow terminal or disk; the reading half goes on meanwhile.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"

struct outlet;
struct output;
struct queue;
struct tap;
struct targets;

#define OUTPUT_OUTLETS_MAX 2

struct output_config {
	struct outlet *outlet; /* borrowed, but the thread's while it runs; up to _OUTLETS_MAX */
	size_t outlets;
	struct queue *queue;	       /* borrowed */
	struct tap *tap;	       /* borrowed, for the state of connections */
	const struct targets *targets; /* borrowed, for the names of files */
	int notify;		       /* eventfd, written to when a sink fails */
};

/* -ENOMEM. */
int output_new(const struct output_config *config, struct output **ret_output);
/* Starts the thread. Negative errno. */
int output_start(struct output *output);

/* What records do not say. */
struct output_missing {
	uint64_t untracked_calls;
	uint64_t untracked_bytes;
	uint64_t missed_calls;
	uint64_t lost_bytes;
	uint64_t lost_secrets;
};

/* Before queue_close(). */
void output_missing(struct output *output, const struct output_missing *missing);

/* Has the thread open again, by their paths, the files that are added to. From any thread. */
void output_reopen(struct output *output);

/* Has the thread printed everything? From any thread. */
bool output_finished(const struct output *output);
/* Waits for the thread, which ends when the queue is closed and empty. */
void output_join(struct output *output);
/* 0 or what a sink said first; after output_join() also which one: NULL when it was none. */
int output_error(const struct output *output, const struct outlet **ret_outlet);
/* After output_join(). */
const struct stats *output_stats(const struct output *output);
void output_free(struct output *output);

#endif

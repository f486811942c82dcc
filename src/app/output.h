/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The printing half of a session: a thread that takes records from the queue, through flow, into
 * the sink. It may block on a slow terminal or disk; the reading half goes on meanwhile.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "event/event.h"

struct output;
struct queue;
struct tap;
struct targets;

struct output_config {
	int fd; /* borrowed */
	bool json;
	bool hex;
	bool colour;
	struct queue *queue;	       /* borrowed */
	struct tap *tap;	       /* borrowed, for the state of connections */
	const struct targets *targets; /* borrowed, for the names of files */
	int notify;		       /* eventfd, written to when the sink fails */
};

/* -ENOMEM. */
int output_new(const struct output_config *config, struct output **ret_output);
/* Starts the thread. Negative errno. */
int output_start(struct output *output);

/* What records do not say; before queue_close(). */
void output_missing(struct output *output, uint64_t untracked_calls, uint64_t untracked_bytes,
		    uint64_t missed_calls, uint64_t lost_bytes);

/* Has the thread printed everything? From any thread. */
bool output_finished(const struct output *output);
/* Waits for the thread, which ends when the queue is closed and empty. */
void output_join(struct output *output);
/* 0 or what the sink said first; from any thread. */
int output_error(const struct output *output);
/* After output_join(). */
const struct stats *output_stats(const struct output *output);
void output_free(struct output *output);

#endif

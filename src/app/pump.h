/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reading half of a session: empties the ring into the queue until a signal, the end of the
 * command or of the time says stop; then detaches and accounts for what is left.
 */
#ifndef PUMP_H
#define PUMP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct command;
struct output;
struct queue;
struct tap;

/* Everything is borrowed. */
struct pump_config {
	struct tap *tap;
	struct queue *queue;
	struct output *output;
	struct command *command; /* NULL: none */
	const sigset_t *signals; /* blocked by the caller */
	int notify;		 /* eventfd: the output has failed */
	bool reopens;		 /* SIGHUP is for files to be opened again */
	uint64_t duration_ns;	 /* 0: no end */
	const pid_t *pids;	 /* when all of these have ended, so does the run; count 0: no */
	size_t pid_count;
};

/* Returns when all has been printed. */
void pump_run(const struct pump_config *config);

#endif

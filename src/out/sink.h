/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sink turns events into one kind of output. It never asks who made the events.
 * To add one: write out/NAME.c with a sink_ops and a constructor, and list it in app/outlet.c.
 */
#ifndef SINK_H
#define SINK_H

#include "event/event.h"

struct sink;
struct writer;

struct sink_ops {
	const char *name;
	/* Takes one event. 0, or the writer's negative errno. */
	int (*event)(struct sink *sink, const struct event *ev);
	/*
	 * Prints what is held back (for example half of a UTF-8 character) and hands everything
	 * to the kernel. Called when the pipeline is idle and at the end.
	 */
	int (*flush)(struct sink *sink);
	void (*free)(struct sink *sink);
};

/* Embedded as the first member of each sink's own struct. */
struct sink {
	const struct sink_ops *ops;
};

struct text_options {
	bool hex;    /* hexdump -C style instead of text */
	bool colour; /* the caller has looked at isatty() and NO_COLOR */
	bool utc;    /* times in UTC: golden tests must not depend on the zone */
};

/* Each constructor borrows the writer, which must outlive the sink. -ENOMEM. */
int text_new(struct writer *writer, const struct text_options *opts, struct sink **ret_sink);
int ndjson_new(struct writer *writer, struct sink **ret_sink);
int keylog_new(struct writer *writer, struct sink **ret_sink);

#endif

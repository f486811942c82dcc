/* SPDX-License-Identifier: Apache-2.0 */
/* One place that events go to: a sink with its writer and its file. */
#ifndef OUTLET_H
#define OUTLET_H

#include <stdbool.h>

#include "event/event.h"
#include "out/sink.h"
#include "out/writer.h"

enum outlet_format {
	OUTLET_TEXT,
	OUTLET_HEX,
	OUTLET_JSON,
	OUTLET_KEYLOG,
};

struct outlet {
	enum outlet_format format;
	const char *path; /* borrowed; NULL: the standard output */
	bool append;	  /* the file is added to, and may be opened again */
	int fd;		  /* -1: not open */
	struct writer writer;
	struct sink *sink;
};

/* The name for messages. */
const char *outlet_name(const struct outlet *outlet);

/* Opens the file of an outlet that is set up so far, with fd -1. An exit status, told about. */
int outlet_open(struct outlet *outlet);
/* Makes the sink. -ENOMEM. */
int outlet_start(struct outlet *outlet);
/* Negative errno, that of the writer. */
int outlet_event(struct outlet *outlet, const struct event *ev);
/* Hands to the kernel what is complete; with flush also what is held back. */
int outlet_push(struct outlet *outlet, bool flush);
/*
 * Opens the file by its path again, if it is one that is added to. When that fails it says so and
 * goes on with the old one.
 */
void outlet_reopen(struct outlet *outlet);
void outlet_done(struct outlet *outlet);

/* Does opening it again need root? */
bool outlet_needs_root(const struct outlet *outlet);
/* Is its file, a regular one, the one at path? */
bool outlet_is_at(const struct outlet *outlet, const char *path);

#endif

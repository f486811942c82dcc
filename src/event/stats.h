/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the event enums, and the summary of a run in words. */
#ifndef STATS_H
#define STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/event.h"

/* Words of the NDJSON schema (cleartap-events(5)): never change one. "unknown" if out of range. */
const char *event_type_name(enum event_type type);
const char *event_dir_name(enum event_dir dir);
const char *gap_reason_name(enum gap_reason reason);
const char *close_reason_name(enum close_reason reason);

/* The same for people: parts of a sentence, such as "ring buffer full". */
const char *gap_reason_text(enum gap_reason reason);
const char *close_reason_text(enum close_reason reason);

/* Sums over all reasons. */
uint64_t stats_gaps(const struct stats *stats);
uint64_t stats_gap_bytes(const struct stats *stats);

#define STATS_STRLEN 768 /* enough for the longest summary */

/* What was asked for: the summary speaks of nothing else. */
struct stats_scope {
	bool plaintext;
	bool secrets;
};

/*
 * The summary in one line without a newline, such as "5 events, 1 connection, 78 bytes received,
 * 910 bytes sent, no gaps; 5 secrets of 1 connection". Cut off when len is too small; always
 * NUL-terminated when len > 0.
 */
void stats_describe(const struct stats *stats, struct stats_scope scope, char *buf, size_t len);
/* Was there something that could not be got? */
bool stats_incomplete(const struct stats *stats, struct stats_scope scope);

#endif

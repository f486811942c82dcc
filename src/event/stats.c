/* SPDX-License-Identifier: Apache-2.0 */
/* Names of the event enums, and the summary of a run in words. */
#include "event/stats.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define LEN(array) (sizeof(array) / sizeof((array)[0]))

static const char *const types[] = {
	[EVENT_OPEN] = "open",	 [EVENT_DATA] = "data",	    [EVENT_GAP] = "gap",
	[EVENT_CLOSE] = "close", [EVENT_SECRET] = "secret", [EVENT_STATS] = "stats",
};

static const char *const dirs[DIR_MAX] = {
	[DIR_IN] = "in",
	[DIR_OUT] = "out",
};

static const char *const gap_names[GAP_REASON_MAX] = {
	[GAP_RING_FULL] = "ring-full",
	[GAP_FAULT] = "fault",
	[GAP_SENDFILE] = "sendfile",
	[GAP_UNTRACKED] = "untracked",
};

static const char *const gap_texts[GAP_REASON_MAX] = {
	[GAP_RING_FULL] = "ring buffer full",
	[GAP_FAULT] = "memory not readable",
	[GAP_SENDFILE] = "sent by SSL_sendfile",
	[GAP_UNTRACKED] = "too many connections",
};

static const char *const close_names[] = {
	[CLOSE_FREED] = "freed",
	[CLOSE_EXIT] = "exit",
	[CLOSE_END] = "end",
};

static const char *const close_texts[] = {
	[CLOSE_FREED] = "connection freed",
	[CLOSE_EXIT] = "process ended",
	[CLOSE_END] = "cleartap stopped",
};

static const char *lookup(const char *const *names, size_t cnt, size_t i)
{
	return i < cnt ? names[i] : "unknown";
}

const char *event_type_name(enum event_type type)
{
	return lookup(types, LEN(types), type);
}

const char *event_dir_name(enum event_dir dir)
{
	return lookup(dirs, LEN(dirs), dir);
}

const char *gap_reason_name(enum gap_reason reason)
{
	return lookup(gap_names, LEN(gap_names), reason);
}

const char *gap_reason_text(enum gap_reason reason)
{
	return lookup(gap_texts, LEN(gap_texts), reason);
}

const char *close_reason_name(enum close_reason reason)
{
	return lookup(close_names, LEN(close_names), reason);
}

const char *close_reason_text(enum close_reason reason)
{
	return lookup(close_texts, LEN(close_texts), reason);
}

uint64_t stats_gaps(const struct stats *stats)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < GAP_REASON_MAX; i++)
		sum += stats->gaps[i];
	return sum;
}

uint64_t stats_gap_bytes(const struct stats *stats)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < GAP_REASON_MAX; i++)
		sum += stats->gap_bytes[i];
	return sum;
}

/* What is left of the caller's buffer. */
struct rest {
	char *p;
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) add(struct rest *rest, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(rest->p, rest->len, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= rest->len)
		n = rest->len ? (int)rest->len - 1 : 0;
	rest->p += n;
	rest->len -= n;
}

static void add_count(struct rest *rest, uint64_t n, const char *noun)
{
	add(rest, "%" PRIu64 " %s%s", n, noun, n == 1 ? "" : "s");
}

static void add_gaps(struct rest *rest, const struct stats *stats)
{
	uint64_t gaps = stats_gaps(stats);
	const char *sep = ": ";

	if (!gaps) {
		add(rest, ", no gaps");
		return;
	}
	add(rest, ", ");
	add_count(rest, gaps, "gap");
	add(rest, ", ");
	add_count(rest, stats_gap_bytes(stats), "byte");
	add(rest, " lost");
	for (int i = 0; i < GAP_REASON_MAX; i++) {
		if (!stats->gaps[i])
			continue;
		add(rest, "%s%" PRIu64 " (", sep, stats->gaps[i]);
		add_count(rest, stats->gap_bytes[i], "byte");
		add(rest, ") %s", gap_reason_text(i));
		sep = ", ";
	}
}

static void add_plaintext(struct rest *rest, const struct stats *stats)
{
	add_count(rest, stats->events, "event");
	add(rest, ", ");
	add_count(rest, stats->connections, "connection");
	add(rest, ", ");
	add_count(rest, stats->bytes[DIR_IN], "byte");
	add(rest, " received, ");
	add_count(rest, stats->bytes[DIR_OUT], "byte");
	add(rest, " sent");
	add_gaps(rest, stats);
	if (stats->calls_missed) {
		add(rest, "; ");
		add_count(rest, stats->calls_missed, "call");
		add(rest, " missed");
	}
}

static void add_secrets(struct rest *rest, const struct stats *stats)
{
	add_count(rest, stats->secrets, "secret");
	add(rest, " of ");
	add_count(rest, stats->secret_connections, "connection");
	if (stats->secrets_lost) {
		add(rest, ", ");
		add_count(rest, stats->secrets_lost, "secret");
		add(rest, " lost");
	}
	if (stats->secrets_refused) {
		add(rest, ", ");
		add_count(rest, stats->secrets_refused, "secret");
		add(rest, " refused");
	}
}

void stats_describe(const struct stats *stats, struct stats_scope scope, char *buf, size_t len)
{
	struct rest rest = { buf, len };

	/* Nothing asked for and nothing to say. */
	if (len)
		*buf = '\0';
	if (scope.plaintext)
		add_plaintext(&rest, stats);
	if (scope.plaintext && scope.secrets)
		add(&rest, "; ");
	if (scope.secrets)
		add_secrets(&rest, stats);
}

bool stats_incomplete(const struct stats *stats, struct stats_scope scope)
{
	if (scope.plaintext && (stats_gaps(stats) || stats->calls_missed))
		return true;
	return scope.secrets && (stats->secrets_lost || stats->secrets_refused);
}

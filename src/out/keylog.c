// SPDX-License-Identifier: Apache-2.0
/*
 * NSS key log lines (RFC 9850): label, client random, secret. Each is one write(2), at once, so that
 * whoever follows the file never sees half a line.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* uthash ends the program on allocation failure unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "out/sink.h"
#include "out/writer.h"

/* Handshakes whose lines are remembered; the oldest leave first. */
#define SEEN_MAX  16384
#define LABEL_LEN 64
#define LINE_LEN  (LABEL_LEN + 1 + 2 * SECRET_RANDOM_LEN + 1 + 2 * SECRET_LEN_MAX + 1)

/* A connection within the machine has two ends that know the same secrets. */
struct seen {
	uint8_t random[SECRET_RANDOM_LEN];
	uint32_t labels; /* printed, a bit each */
	UT_hash_handle hh;
};

struct keylog {
	struct sink sink;
	struct writer *writer;
	struct seen *seen; /* the oldest one first */
};

static char *put_hex(char *out, const uint8_t *p, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[p[i] >> 4];
		*out++ = digits[p[i] & 15];
	}
	return out;
}

static struct seen *seen_get(struct keylog *keylog, const uint8_t *random)
{
	struct seen *seen;

	HASH_FIND(hh, keylog->seen, random, SECRET_RANDOM_LEN, seen);
	if (seen)
		return seen;
	seen = calloc(1, sizeof(*seen));
	if (!seen)
		return NULL;
	memcpy(seen->random, random, sizeof(seen->random));
	HASH_ADD(hh, keylog->seen, random, sizeof(seen->random), seen);
	if (!seen->hh.tbl) {
		free(seen);
		return NULL;
	}
	if (HASH_COUNT(keylog->seen) > SEEN_MAX) {
		struct seen *oldest = keylog->seen;

		HASH_DEL(keylog->seen, oldest);
		free(oldest);
	}
	return seen;
}

static int put_line(struct keylog *keylog, const struct event *ev)
{
	const char *label = secret_label_name(ev->label);
	char line[LINE_LEN], *out = stpncpy(line, label, LABEL_LEN);

	*out++ = ' ';
	out = put_hex(out, ev->client_random, SECRET_RANDOM_LEN);
	*out++ = ' ';
	out = put_hex(out, ev->secret, ev->secret_len);
	*out++ = '\n';
	(void)writer_put(keylog->writer, line, out - line);
	explicit_bzero(line, sizeof(line));
	return writer_flush(keylog->writer);
}

static int keylog_event(struct sink *sink, const struct event *ev)
{
	struct keylog *keylog = (struct keylog *)sink;
	struct seen *seen;

	if (ev->type != EVENT_SECRET || !secret_len_fits(ev->label, ev->secret_len))
		return 0;
	seen = seen_get(keylog, ev->client_random);
	if (!seen)
		return -ENOMEM;
	if (seen->labels & 1U << ev->label)
		return 0;
	seen->labels |= 1U << ev->label;
	return put_line(keylog, ev);
}

static int keylog_flush(struct sink *sink)
{
	return writer_flush(((struct keylog *)sink)->writer);
}

static void keylog_free(struct sink *sink)
{
	struct keylog *keylog = (struct keylog *)sink;

	while (keylog->seen) {
		struct seen *seen = keylog->seen;

		HASH_DEL(keylog->seen, seen);
		free(seen);
	}
	free(keylog);
}

static const struct sink_ops keylog_ops = {
	.name = "keylog",
	.event = keylog_event,
	.flush = keylog_flush,
	.free = keylog_free,
};

int keylog_new(struct writer *writer, struct sink **ret_sink)
{
	struct keylog *keylog = calloc(1, sizeof(*keylog));

	if (!keylog)
		return -ENOMEM;
	keylog->sink.ops = &keylog_ops;
	keylog->writer = writer;
	*ret_sink = &keylog->sink;
	return 0;
}

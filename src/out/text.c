/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for people: a header line whenever the connection or direction changes, then the plaintext
 * or its hex dump.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event/endpoint.h"
#include "event/stats.h"
#include "out/escape.h"
#include "out/hex.h"
#include "out/sgr.h"
#include "out/sink.h"
#include "out/writer.h"

#define NSEC_PER_SEC  1000000000ULL
#define NSEC_PER_USEC 1000U
/* After a pause of this length the reader is told the time again. */
#define PAUSE_NSEC NSEC_PER_SEC

struct text {
	struct sink sink;
	struct writer *writer;
	struct text_options opts;
	struct escape esc;

	/* The stream whose data was printed last; valid unless something came in between. */
	bool streaming;
	uint64_t conn_id;
	uint32_t pid;
	enum event_dir dir;
	uint64_t next;	  /* offset that continues it */
	uint64_t last_ns; /* time of its last data */

	/* The second that was printed last: it is the same for thousands of lines. */
	time_t second;
	char second_text[32];
};

static void put_time(struct text *text, uint64_t time_ns)
{
	time_t sec = time_ns / NSEC_PER_SEC;
	unsigned int usec = time_ns % NSEC_PER_SEC / NSEC_PER_USEC;
	char digits[] = ".000000 ";
	struct tm tm = { 0 };

	if (sec != text->second || !text->second_text[0]) {
		if (text->opts.utc)
			gmtime_r(&sec, &tm);
		else
			localtime_r(&sec, &tm);
		strftime(text->second_text, sizeof(text->second_text), "%Y-%m-%d %H:%M:%S", &tm);
		text->second = sec;
	}
	for (int i = 6; i > 0; i--, usec /= 10)
		digits[i] = (char)('0' + usec % 10);
	writer_puts(text->writer, text->second_text);
	writer_puts(text->writer, digits);
}

/* What all our lines begin with: "TIME COMM[PID] #CONNECTION ". Ends the line before. */
static void line_begin(struct text *text, const struct event *ev, const char *colour)
{
	struct writer *w = text->writer;

	escape_end_line(&text->esc);
	text->streaming = false;
	if (text->opts.colour)
		writer_puts(w, colour);
	put_time(text, ev->time_ns);
	if (ev->pid) {
		if (ev->comm[0])
			escape_name(w, ev->comm, sizeof(ev->comm));
		else
			writer_put(w, "?", 1);
		writer_printf(w, "[%" PRIu32 "] ", ev->pid);
	}
	if (ev->conn)
		writer_printf(w, "#%" PRIu64 " ", ev->conn->id);
}

static void line_end(struct text *text)
{
	writer_puts(text->writer, text->opts.colour ? SGR_RESET "\n" : "\n");
}

/* Prints nothing and returns false when neither end is known. */
static bool put_endpoints(struct text *text, const struct connection *conn, const char *before,
			  char arrow, const char *after)
{
	char local[ENDPOINT_STRLEN], remote[ENDPOINT_STRLEN];

	if (!endpoint_known(&conn->local) && !endpoint_known(&conn->remote))
		return false;
	writer_printf(text->writer, "%s%s %c %s%s", before, endpoint_format(&conn->local, local),
		      arrow, endpoint_format(&conn->remote, remote), after);
	return true;
}

/* sep is what goes before the path, and before the next one afterwards. */
static void put_path(struct text *text, const char **sep, const char *what, const char *path)
{
	if (!path || !path[0])
		return;
	writer_printf(text->writer, "%s%s ", *sep, what);
	escape_name(text->writer, path, SIZE_MAX);
	*sep = ", ";
}

static void on_open(struct text *text, const struct event *ev)
{
	const struct connection *conn = ev->conn;
	const char *sep = ": ";

	line_begin(text, ev, SGR_QUIET);
	writer_puts(text->writer, "--- open");
	if (put_endpoints(text, conn, sep, '-', ""))
		sep = ", ";
	if (conn->process)
		put_path(text, &sep, "exe", conn->process->exe);
	put_path(text, &sep, "library", conn->library);
	writer_puts(text->writer, " ---");
	line_end(text);
}

static void put_bytes(struct text *text, uint64_t n, const char *kind)
{
	writer_printf(text->writer, "%" PRIu64 " %s%sbyte%s", n, kind, *kind ? " " : "",
		      n == 1 ? "" : "s");
}

static void on_gap(struct text *text, const struct event *ev)
{
	line_begin(text, ev, SGR_GAP);
	writer_puts(text->writer, "--- gap: ");
	put_bytes(text, ev->len, ev->dir == DIR_OUT ? "sent" : "received");
	writer_puts(text->writer, " lost");
	/* Without a connection there is nothing that the offset could count from. */
	if (ev->conn)
		writer_printf(text->writer, " at offset %" PRIu64, ev->offset);
	writer_printf(text->writer, ", %s ---", gap_reason_text(ev->gap));
	line_end(text);
}

static void on_close(struct text *text, const struct event *ev)
{
	line_begin(text, ev, SGR_QUIET);
	writer_printf(text->writer, "--- close: %s, ", close_reason_text(ev->close));
	put_bytes(text, ev->total[DIR_IN], "");
	writer_puts(text->writer, " received, ");
	put_bytes(text, ev->total[DIR_OUT], "");
	writer_puts(text->writer, " sent ---");
	line_end(text);
}

static bool continues(const struct text *text, const struct event *ev)
{
	return text->streaming && ev->conn && text->conn_id == ev->conn->id &&
	       text->dir == ev->dir && text->pid == ev->pid && text->next == ev->offset &&
	       ev->time_ns - text->last_ns < PAUSE_NSEC;
}

static void data_header(struct text *text, const struct event *ev)
{
	bool out = ev->dir == DIR_OUT;

	line_begin(text, ev, out ? SGR_OUT : SGR_IN);
	if (ev->conn)
		put_endpoints(text, ev->conn, "", out ? '>' : '<', " ");
	writer_puts(text->writer, event_dir_name(ev->dir));
	line_end(text);

	text->streaming = true;
	text->conn_id = ev->conn ? ev->conn->id : 0;
	text->pid = ev->pid;
	text->dir = ev->dir;
}

static void on_data(struct text *text, const struct event *ev)
{
	if (!ev->len)
		return;
	if (!continues(text, ev))
		data_header(text, ev);
	text->next = ev->offset + ev->len;
	text->last_ns = ev->time_ns;
	if (text->opts.hex)
		hex_dump(text->writer, ev->offset, ev->data, ev->len, text->opts.colour);
	else
		escape_put(&text->esc, ev->data, ev->len);
}

static int text_event(struct sink *sink, const struct event *ev)
{
	struct text *text = (struct text *)sink;

	switch (ev->type) {
	case EVENT_OPEN:
		on_open(text, ev);
		break;
	case EVENT_DATA:
		on_data(text, ev);
		break;
	case EVENT_GAP:
		on_gap(text, ev);
		break;
	case EVENT_CLOSE:
		on_close(text, ev);
		break;
	case EVENT_SECRET:
		break;
	case EVENT_STATS:
		/* The summary goes to stderr; the last line must be complete before it. */
		escape_end_line(&text->esc);
		text->streaming = false;
		break;
	}
	return text->writer->err;
}

static int text_flush(struct sink *sink)
{
	struct text *text = (struct text *)sink;

	escape_release(&text->esc);
	return writer_flush(text->writer);
}

static void text_free(struct sink *sink)
{
	free(sink);
}

static const struct sink_ops text_ops = {
	.name = "text",
	.event = text_event,
	.flush = text_flush,
	.free = text_free,
};

int text_new(struct writer *writer, const struct text_options *opts, struct sink **ret_sink)
{
	struct text *text = calloc(1, sizeof(*text));

	if (!text)
		return -ENOMEM;
	text->sink.ops = &text_ops;
	text->writer = writer;
	text->opts = *opts;
	text->esc = (struct escape) { .writer = writer, .colour = opts->colour, .at_start = true };
	/* localtime_r need not read TZ by itself. */
	tzset();
	*ret_sink = &text->sink;
	return 0;
}

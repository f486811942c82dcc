/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a fixed list of events in the format named by argv[1], for run.py to compare. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "event/event.h"
#include "out/sink.h"
#include "out/writer.h"

#define START_NS 1795350781123456789ULL /* 2026-11-22 12:33:01 UTC */
#define STEP_NS	 100234567ULL
#define BYTES(s) (s), sizeof(s) - 1

struct script {
	struct sink *sink;
	uint64_t time_ns;
	uint64_t events;
	int err;
};

static const struct process curl = {
	.pid = 1234,
	.ppid = 1200,
	.uid = 1000,
	.gid = 1000,
	.start_ns = START_NS - 5000000000ULL,
	.cgroup_id = 4711,
	.cgroup = "/user.slice/user-1000.slice",
	.exe = "/usr/bin/curl",
};

static const struct process nginx = { .pid = 99, .ppid = 1, .cgroup = "", .exe = "" };

/* A program that does its best to disturb whoever looks at it. */
static const struct process hostile = {
	.pid = 666,
	.ppid = 1,
	.cgroup = "/a\nb\xff",
	.exe = "/tmp/\033]0;title\007\xe2\x80\xae"
	       "gpj.exe",
};

static const struct connection plain = {
	.id = 1,
	.process = &curl,
	.library = "/usr/lib/x86_64-linux-gnu/libssl.so.3",
	.local = { AF_INET, 54321, { 192, 0, 2, 1 } },
	.remote = { AF_INET, 443, { 198, 51, 100, 7 } },
};

static const struct connection unknown = { .id = 2, .process = &nginx, .library = "" };

static const struct connection v6 = {
	.id = 3,
	.process = &curl,
	.library = "/opt/lib/libssl.so.1.1",
	.local = { AF_INET6, 40000, { [15] = 1 } },
	.remote = { AF_INET6, 8443, { 0x20, 0x01, 0x0d, 0xb8, [15] = 0x42 } },
};

static const struct connection mapped = {
	.id = 4,
	.process = &nginx,
	.library = "/usr/sbin/nginx",
	.local = { AF_INET6, 443, { [10] = 0xff, 0xff, 203, 0, 113, 5 } },
	.remote = { AF_INET6, 50000, { [10] = 0xff, 0xff, 203, 0, 113, 9 } },
};

/* Bound to any address, not connected: as good as not known. */
static const struct connection half = {
	.id = 5,
	.process = &hostile,
	.library = "/tmp/lib\r\n.so",
	.local = { AF_INET, 0, { 0 } },
	.remote = { AF_INET, 443, { 192, 0, 2, 80 } },
};

static struct event event(struct script *s, enum event_type type, const struct connection *conn,
			  const char *comm)
{
	struct event ev = {
		.type = type,
		.time_ns = s->time_ns,
		.pid = conn ? conn->process->pid : 0,
		.tid = conn ? conn->process->pid + 1 : 0,
		.conn = conn,
	};

	memcpy(ev.comm, comm, strnlen(comm, sizeof(ev.comm)));
	s->time_ns += STEP_NS;
	return ev;
}

static void emit(struct script *s, const struct event *ev)
{
	int r = s->sink->ops->event(s->sink, ev);

	if (!s->err)
		s->err = r;
	s->events++;
}

static void open_conn(struct script *s, const struct connection *conn, const char *comm)
{
	struct event ev = event(s, EVENT_OPEN, conn, comm);

	emit(s, &ev);
}

static void data(struct script *s, const struct connection *conn, enum event_dir dir,
		 uint64_t offset, const char *bytes, size_t len)
{
	struct event ev = event(s, EVENT_DATA, conn, "worker");

	ev.dir = dir;
	ev.offset = offset;
	ev.len = len;
	ev.data = (const uint8_t *)bytes;
	emit(s, &ev);
}

static void gap(struct script *s, const struct connection *conn, enum event_dir dir,
		uint64_t offset, uint64_t len, enum gap_reason reason)
{
	struct event ev = event(s, EVENT_GAP, conn, conn ? "worker" : "");

	ev.dir = dir;
	ev.offset = offset;
	ev.len = len;
	ev.gap = reason;
	emit(s, &ev);
}

static void close_conn(struct script *s, const struct connection *conn, enum close_reason reason,
		       uint64_t in, uint64_t out)
{
	struct event ev = event(s, EVENT_CLOSE, conn, "worker");

	ev.close = reason;
	ev.total[DIR_IN] = in;
	ev.total[DIR_OUT] = out;
	emit(s, &ev);
}

static void play_http(struct script *s)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n";
	static const char response[] =
		"HTTP/1.1 200 OK\r\nContent-Length: 26\r\n\r\n{\"greeting\":";
	static const char rest[] = "\"hello\\n\"}\n\tend";

	open_conn(s, &plain, "curl");
	data(s, &plain, DIR_OUT, 0, BYTES(request));
	/* The second chunk continues the first one: no header in between. */
	data(s, &plain, DIR_IN, 0, BYTES(response));
	data(s, &plain, DIR_IN, sizeof(response) - 1, BYTES(rest));
	data(s, &plain, DIR_OUT, sizeof(request) - 1, "", 0);
	close_conn(s, &plain, CLOSE_FREED, sizeof(response) + sizeof(rest) - 2,
		   sizeof(request) - 1);
}

static void play_controls(struct script *s)
{
	open_conn(s, &unknown, "");
	data(s, &unknown, DIR_IN, 0,
	     BYTES("clear \033[2J, title \033]0;x\007, back \b\b, nul \0, del \177, vt \v\n"));
	data(s, &unknown, DIR_OUT, 0, BYTES("harmless\rOVERWRITTEN\r\r\n"));
	data(s, &unknown, DIR_IN, 60,
	     BYTES("C1 \xc2\x9b"
		   "31m, raw C1 \x9b, nel \xc2\x85, nbsp \xc2\xa0.\n"));
	data(s, &unknown, DIR_OUT, 24,
	     BYTES("bidi \xe2\x80\xae"
		   "abc\xe2\x80\xac \xe2\x81\xa6x\xe2\x81\xa9 \xd8\x9c, "
		   "zero width a\xe2\x80\x8b"
		   "b\xe2\x80\x8d"
		   "c\xef\xbb\xbf, ls \xe2\x80\xa8, "
		   "tag \xf3\xa0\x81\x81, anno \xef\xbf\xb9, private \xee\x80\x80\n"));
	data(s, &unknown, DIR_IN, 100,
	     BYTES("overlong \xc0\xaf \xe0\x80\xaf, surrogate \xed\xa0\x80, "
		   "high \xf4\x90\x80\x80, alone \x80, cut \xe2\x82 x\n"));
	data(s, &unknown, DIR_OUT, 200,
	     BYTES("gr\xc3\xbc\xc3\x9f"
		   "e \xe2\x82\xac \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80\n"));
	close_conn(s, &unknown, CLOSE_EXIT, 180, 221);
}

static void play_split(struct script *s)
{
	open_conn(s, &v6, "curl");
	/* A character, and CR LF, in two and three chunks. */
	data(s, &v6, DIR_IN, 0, BYTES("price 5 \xe2"));
	data(s, &v6, DIR_IN, 9, BYTES("\x82"));
	data(s, &v6, DIR_IN, 10, BYTES("\xac\r"));
	data(s, &v6, DIR_IN, 12, BYTES("\nnext line \xf0\x9f"));
	/* The other direction comes in between: the rest of the character is escaped. */
	data(s, &v6, DIR_OUT, 0, BYTES("ping\r"));
	data(s, &v6, DIR_IN, 25, BYTES("\x98\x80!\xc3"));
	/* Idle: what is held back must be seen. */
	s->sink->ops->flush(s->sink);
	data(s, &v6, DIR_IN, 29, BYTES("\xa9 the same line\n"));
}

static void play_interleaved(struct script *s)
{
	open_conn(s, &mapped, "nginx");
	data(s, &mapped, DIR_IN, 0, BYTES("first connection, "));
	data(s, &v6, DIR_IN, 46, BYTES("second connection"));
	data(s, &mapped, DIR_IN, 18, BYTES("first again"));
	close_conn(s, &v6, CLOSE_END, 63, 5);
}

static void play_gaps(struct script *s)
{
	gap(s, &mapped, DIR_IN, 29, 16384, GAP_RING_FULL);
	data(s, &mapped, DIR_IN, 16413, BYTES("after the gap\n"));
	/* Later in the same stream: the time is told again. */
	s->time_ns += 5000000000ULL;
	data(s, &mapped, DIR_IN, 16427, BYTES("after a pause\n"));
	gap(s, &mapped, DIR_OUT, 0, 1, GAP_FAULT);
	gap(s, &mapped, DIR_OUT, 1, 1000000, GAP_SENDFILE);
	gap(s, NULL, DIR_IN, 0, 512, GAP_UNTRACKED);
	/* Far into a stream: more than 8 hex digits, not aligned. */
	data(s, &mapped, DIR_OUT, 0x12345678fULL, BYTES("0123456789abcdefghij"));
	close_conn(s, &mapped, CLOSE_FREED, 16441, 0x1234567a3ULL);
}

static void play_binary(struct script *s)
{
	char bytes[256];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)i;
	open_conn(s, &half, "e\033vil\n\xff[1] #9 x");
	data(s, &half, DIR_OUT, 0, bytes, sizeof(bytes));
	data(s, &half, DIR_OUT, sizeof(bytes), BYTES("no newline at the end"));
	close_conn(s, &half, CLOSE_EXIT, 0, 277);
}

static void secret(struct script *s, const struct connection *conn, enum secret_label label,
		   uint8_t first, size_t len)
{
	struct event ev = event(s, EVENT_SECRET, conn, "worker");
	uint8_t random[SECRET_RANDOM_LEN], bytes[SECRET_LEN_MAX];

	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(conn->id + 16 * i);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(first + i);
	ev.label = label;
	ev.client_random = random;
	ev.secret = bytes;
	ev.secret_len = len;
	emit(s, &ev);
}

static void play_secrets(struct script *s)
{
	secret(s, &plain, LABEL_CLIENT_RANDOM, 0xf0, 48);
	/* Text and hex know nothing of them: what comes behind continues what was before. */
	open_conn(s, &v6, "curl");
	data(s, &v6, DIR_IN, 0, BYTES("before, "));
	for (int label = LABEL_CLIENT_EARLY; label < LABEL_MAX; label++)
		secret(s, &v6, label, (uint8_t)(label << 4), label % 2 ? 32 : 48);
	data(s, &v6, DIR_IN, 8, BYTES("behind\n"));
	/* The other end: in a key log it is there already. */
	secret(s, &v6, LABEL_CLIENT_EARLY, 0x20, 48);
	secret(s, &unknown, LABEL_EXPORTER, 0x80, 32);
	close_conn(s, &v6, CLOSE_END, 15, 0);
}

static void play_stats(struct script *s)
{
	struct stats stats = {
		.events = s->events,
		.connections = 5,
		.bytes = { 601, 800 },
		.gaps = { [GAP_RING_FULL] = 1, [GAP_FAULT] = 1, [GAP_SENDFILE] = 1, 1 },
		.gap_bytes = { 16384, 1, 1000000, 512 },
		.calls_missed = 3,
		.secrets = 10,
		.secret_connections = 3,
		.secrets_lost = 1,
		.secrets_refused = 2,
	};
	struct event ev = event(s, EVENT_STATS, NULL, "");

	ev.stats = &stats;
	emit(s, &ev);
}

static int make_sink(const char *format, struct writer *writer, struct sink **ret_sink)
{
	struct text_options opts = {
		.hex = !strcmp(format, "hex"),
		.colour = !strcmp(format, "text-colour"),
		.utc = true,
	};

	if (!strcmp(format, "json"))
		return ndjson_new(writer, ret_sink);
	if (!strcmp(format, "keylog"))
		return keylog_new(writer, ret_sink);
	return text_new(writer, &opts, ret_sink);
}

int main(int argc, char **argv)
{
	struct script script = { .time_ns = START_NS };
	struct writer writer;
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: render text|text-colour|hex|json|keylog\n");
		return 2;
	}
	r = writer_init(&writer, STDOUT_FILENO, 4096);
	if (r)
		return 1;
	r = make_sink(argv[1], &writer, &script.sink);
	if (r)
		goto out;

	play_http(&script);
	play_controls(&script);
	play_split(&script);
	play_interleaved(&script);
	play_gaps(&script);
	play_binary(&script);
	play_secrets(&script);
	play_stats(&script);

	r = script.sink->ops->flush(script.sink);
	if (!r)
		r = script.err;
	script.sink->ops->free(script.sink);
out:
	writer_done(&writer);
	return r ? 1 : 0;
}

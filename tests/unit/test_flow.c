/* SPDX-License-Identifier: Apache-2.0 */
/* Records in, events out: order, fields, and every byte accounted for. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "event/endpoint.h"
#include "event/stats.h"
#include "flow/flow.h"

#define MONO_AHEAD 1000000
#define BOOT_AHEAD 5000000
#define PID	   100
#define HANDLE(id) (0x1000 + (id))

/* A flow whose events are written down, a line each. */
struct rig {
	struct flow *flow;
	struct event last;
	uint64_t time_ns; /* of the next record */
	uint32_t tid;	  /* of the next record */
	const char *comm; /* of the next record */
	char log[4096];
	size_t len;
	char drops[256];
	bool quiet;  /* only count events */
	int fail_at; /* this event, counted from 1, fails with -EIO */
	int events;
	struct conn conns[4]; /* what the kernel has; id 0: empty */
};

static void __attribute__((format(printf, 2, 3))) note(struct rig *rig, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	rig->len += vsnprintf(rig->log + rig->len, sizeof(rig->log) - rig->len, fmt, ap);
	va_end(ap);
	assert_true(rig->len < sizeof(rig->log));
}

static int on_event(void *arg, const struct event *ev)
{
	struct rig *rig = arg;

	rig->last = *ev;
	rig->events++;
	if (rig->quiet)
		return 0;
	note(rig, "%s %" PRIu64, event_type_name(ev->type), ev->conn->id);
	switch (ev->type) {
	case EVENT_OPEN:
		note(rig, " pid %" PRIu32 " %s\n", ev->conn->process->pid, ev->conn->library);
		break;
	case EVENT_DATA:
		note(rig, " %s %" PRIu64 " %.*s\n", event_dir_name(ev->dir), ev->offset,
		     (int)ev->len, ev->data);
		break;
	case EVENT_GAP:
		note(rig, " %s %" PRIu64 " +%" PRIu64 " %s\n", event_dir_name(ev->dir), ev->offset,
		     ev->len, gap_reason_name(ev->gap));
		break;
	case EVENT_CLOSE:
		note(rig, " %s in %" PRIu64 " out %" PRIu64 "\n", close_reason_name(ev->close),
		     ev->total[DIR_IN], ev->total[DIR_OUT]);
		break;
	case EVENT_SECRET:
		break;
	case EVENT_STATS:
		break;
	}
	return rig->events == rig->fail_at ? -EIO : 0;
}

static uint64_t from_mono(void *arg, uint64_t mono_ns)
{
	(void)arg;
	return mono_ns + MONO_AHEAD;
}

static uint64_t from_boot(void *arg, uint64_t boot_ns)
{
	(void)arg;
	return boot_ns + BOOT_AHEAD;
}

static const char *file_name(void *arg, uint32_t file)
{
	static const char *const names[] = { "/lib/first", "/lib/second" };

	(void)arg;
	return file < 2 ? names[file] : "";
}

static const char *cgroup_path(void *arg, uint64_t id)
{
	(void)arg;
	return id == 7 ? "/seven" : "";
}

static struct conn *kernel_find(struct rig *rig, uint32_t pid, uint64_t handle)
{
	for (size_t i = 0; i < 4; i++) {
		struct conn *conn = &rig->conns[i];

		if (conn->id && conn->tgid == pid && HANDLE(conn->id) == handle)
			return conn;
	}
	return NULL;
}

static int conn_state(void *arg, uint32_t pid, uint64_t handle, struct conn *ret_conn)
{
	struct conn *conn = kernel_find(arg, pid, handle);

	if (!conn)
		return -ENOENT;
	*ret_conn = *conn;
	return 0;
}

static void conn_drop(void *arg, uint32_t pid, uint64_t handle)
{
	struct rig *rig = arg;
	struct conn *conn = kernel_find(rig, pid, handle);
	size_t len = strlen(rig->drops);

	snprintf(rig->drops + len, sizeof(rig->drops) - len, "%" PRIu32 ":%" PRIu64 " ", pid,
		 handle - HANDLE(0));
	if (conn)
		conn->id = 0;
}

static const struct flow_ops ops = {
	.event = on_event,
	.from_mono = from_mono,
	.from_boot = from_boot,
	.file_name = file_name,
	.cgroup_path = cgroup_path,
	.conn_state = conn_state,
	.conn_drop = conn_drop,
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig)
		return -1;
	rig->tid = PID;
	rig->comm = "main";
	*state = rig;
	return flow_new(&ops, rig, &rig->flow);
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	flow_free(rig->flow);
	free(rig);
	return 0;
}

/* A state that the kernel has: slot 0 to 3. */
static void kernel_has(struct rig *rig, int slot, uint32_t pid, uint64_t id, uint64_t in,
		       uint64_t out)
{
	rig->conns[slot] = (struct conn) { .id = id, .tgid = pid, .off = { in, out } };
}

/* The record in memory of its very size, so that a sanitizer sees what is read behind it. */
static int feed(struct rig *rig, const void *rec, size_t len)
{
	void *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, rec, len);
	r = flow_record(rig->flow, copy, len);
	memset(copy, 0xee, len);
	free(copy);
	return r;
}

static struct rec head(struct rig *rig, uint16_t type, uint32_t pid, uint64_t conn)
{
	return (struct rec) {
		.type = type,
		.pid = pid,
		.tid = rig->tid,
		.time_ns = ++rig->time_ns,
		.conn = conn,
	};
}

static int put_data(struct rig *rig, uint64_t conn, int dir, uint64_t off, uint64_t lost,
		    const void *bytes, size_t len)
{
	struct rec_data *rec = calloc(1, sizeof(*rec) + len);
	int r;

	assert_non_null(rec);
	rec->h = head(rig, REC_DATA, PID, conn);
	rec->h.dir = dir;
	rec->off = off;
	rec->len = len;
	rec->lost = lost;
	memcpy(rec->comm, rig->comm, strlen(rig->comm));
	memcpy(rec->data, bytes, len);
	r = feed(rig, rec, sizeof(*rec) + len);
	free(rec);
	return r;
}

static int put_text(struct rig *rig, uint64_t conn, int dir, uint64_t off, uint64_t lost,
		    const char *text)
{
	return put_data(rig, conn, dir, off, lost, text, strlen(text));
}

static int put_gap(struct rig *rig, uint64_t conn, int dir, uint64_t off, uint64_t lost,
		   uint64_t len, int reason)
{
	struct rec_data rec = {
		.h = head(rig, REC_GAP, PID, conn), .off = off, .len = len, .lost = lost
	};

	rec.h.dir = dir;
	rec.h.reason = reason;
	return feed(rig, &rec, sizeof(rec));
}

static int put_conn(struct rig *rig, uint32_t pid, uint64_t conn, uint64_t file)
{
	struct rec_conn rec = { .h = head(rig, REC_CONN, pid, conn),
				.handle = HANDLE(conn),
				.cookie = file << COOKIE_FILE_SHIFT | COOKIE_DIR_OUT };

	return feed(rig, &rec, sizeof(rec));
}

static int put_state(struct rig *rig, uint16_t type, uint32_t pid, uint64_t conn, uint64_t in,
		     uint64_t out)
{
	struct rec_state rec = { .h = head(rig, type, pid, conn),
				 .handle = HANDLE(conn),
				 .off = { in, out } };

	return feed(rig, &rec, sizeof(rec));
}

static int put_exit(struct rig *rig, uint32_t pid)
{
	struct rec rec = head(rig, REC_EXIT, pid, 0);

	return feed(rig, &rec, sizeof(rec));
}

static int put_proc(struct rig *rig, uint32_t pid, uint64_t start_ns, const char *parts,
		    uint32_t len)
{
	struct rec_proc rec = { .h = head(rig, REC_PROC, pid, 0),
				.ppid = 1,
				.uid = 1000,
				.gid = 1001,
				.start_ns = start_ns,
				.cgroup_id = 7,
				.path_len = len };

	if (len <= sizeof(rec.path))
		memcpy(rec.path, parts, len);
	return feed(rig, &rec, sizeof(rec));
}

#define PARTS(text) text, sizeof(text) /* with its last NUL */

/* Compares the events since the last call. */
static void expect(struct rig *rig, const char *log)
{
	assert_string_equal(rig->log, log);
	rig->len = 0;
	rig->log[0] = '\0';
}

static void open_data_close(void **state)
{
	struct rig *rig = *state;
	const struct stats *stats = flow_stats(rig->flow);

	assert_int_equal(put_proc(rig, PID, 50, PARTS("prog\0bin\0usr")), 0);
	assert_int_equal(put_conn(rig, PID, 1, 1), 0);
	/* A connection without a byte stays unseen. */
	expect(rig, "");
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "GET"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "200 OK"), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 3, 0, "more"), 0);
	expect(rig, "open 1 pid 100 /lib/second\ndata 1 out 0 GET\ndata 1 in 0 200 OK\n"
		    "data 1 out 3 more\n");
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 1, 6, 7), 0);
	expect(rig, "close 1 freed in 6 out 7\n");
	assert_int_equal(stats->events, 5);
	assert_int_equal(stats->connections, 1);
	assert_int_equal(stats->bytes[DIR_IN], 6);
	assert_int_equal(stats->bytes[DIR_OUT], 7);
	assert_int_equal(stats_gaps(stats), 0);
	/* It is over: what comes for it now is no record of anything. */
	assert_int_equal(put_text(rig, 1, ABI_OUT, 7, 0, "late"), -EBADMSG);
	expect(rig, "");
}

static void fields(void **state)
{
	struct rig *rig = *state;
	const struct connection *conn;

	assert_int_equal(put_proc(rig, PID, 50, PARTS("prog\0bin\0usr")), 0);
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	rig->tid = 101;
	rig->comm = "sixteen letters!";
	rig->time_ns = 776;
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "x"), 0);
	assert_int_equal(rig->last.type, EVENT_DATA);
	assert_int_equal(rig->last.time_ns, 777 + MONO_AHEAD);
	assert_int_equal(rig->last.pid, PID);
	assert_int_equal(rig->last.tid, 101);
	assert_memory_equal(rig->last.comm, "sixteen letters!", EVENT_COMM_LEN);
	assert_int_equal(rig->last.dir, DIR_OUT);
	conn = rig->last.conn;
	assert_int_equal(conn->local.family, 0);
	assert_string_equal(conn->library, "/lib/first");
	assert_int_equal(conn->process->pid, PID);
	assert_int_equal(conn->process->ppid, 1);
	assert_int_equal(conn->process->uid, 1000);
	assert_int_equal(conn->process->gid, 1001);
	assert_int_equal(conn->process->start_ns, 50 + BOOT_AHEAD);
	assert_int_equal(conn->process->cgroup_id, 7);
	assert_string_equal(conn->process->cgroup, "/seven");
	assert_string_equal(conn->process->exe, "/usr/bin/prog");
	/* Another thread goes on. */
	rig->tid = 102;
	rig->comm = "two";
	assert_int_equal(put_gap(rig, 1, ABI_OUT, 1, 0, 9, REASON_FAULT), 0);
	assert_int_equal(rig->last.type, EVENT_GAP);
	assert_int_equal(rig->last.tid, 102);
	assert_int_equal(rig->last.pid, PID);
	assert_int_equal(rig->last.time_ns, 778 + MONO_AHEAD);
}

/* The thread that made the first bytes is the one that opened the connection. */
static void opened_by(void **state)
{
	struct rig *rig = *state;

	rig->fail_at = 1; /* so that OPEN is the last event */
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	rig->tid = 105;
	rig->comm = "worker";
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "x"), -EIO);
	assert_int_equal(rig->last.type, EVENT_OPEN);
	assert_int_equal(rig->last.tid, 105);
	assert_string_equal(rig->last.comm, "worker");
	assert_null(rig->last.data);
	assert_int_equal(rig->last.len, 0);
}

static void address_later(void **state)
{
	struct rig *rig = *state;
	struct rec_conn rec = {
		.handle = HANDLE(1),
		.addr = { .family = AF_INET,
			  .lport = 4000,
			  .rport = 443,
			  .laddr = { 192, 0, 2, 1 },
			  .raddr = { 198, 51, 100, 2 } },
	};
	char text[ENDPOINT_STRLEN];

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "a"), 0);
	assert_false(endpoint_known(&rig->last.conn->remote));
	rec.h = head(rig, REC_CONN, PID, 1);
	assert_int_equal(feed(rig, &rec, sizeof(rec)), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 out 0 a\n");
	assert_int_equal(put_text(rig, 1, ABI_OUT, 1, 0, "b"), 0);
	assert_string_equal(endpoint_format(&rig->last.conn->local, text), "192.0.2.1:4000");
	assert_string_equal(endpoint_format(&rig->last.conn->remote, text), "198.51.100.2:443");
	expect(rig, "data 1 out 1 b\n");
	assert_int_equal(flow_stats(rig->flow)->connections, 1);
}

static void hole_that_the_kernel_counted(void **state)
{
	struct rig *rig = *state;
	const struct stats *stats = flow_stats(rig->flow);

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 10, 10, "abc"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 113, 110, "def"), 0);
	/* The losses of one direction explain nothing in the other. */
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "out"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 116, 110, "ghi"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ngap 1 in 0 +10 ring-full\ndata 1 in 10 abc\n"
		    "gap 1 in 13 +100 ring-full\ndata 1 in 113 def\ndata 1 out 0 out\n"
		    "data 1 in 116 ghi\n");
	assert_int_equal(stats->gaps[GAP_RING_FULL], 2);
	assert_int_equal(stats->gap_bytes[GAP_RING_FULL], 110);
	assert_int_equal(stats->bytes[DIR_IN], 9);
	/* Counted before: these five are only late. */
	assert_int_equal(put_text(rig, 1, ABI_IN, 124, 110, "y"), 0);
	expect(rig, "");
	assert_int_equal(put_text(rig, 1, ABI_IN, 119, 110, "12345"), 0);
	expect(rig, "data 1 in 119 12345\ndata 1 in 124 y\n");
}

static void out_of_order(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	rig->comm = "three";
	assert_int_equal(put_text(rig, 1, ABI_OUT, 6, 0, "ghi"), 0);
	rig->comm = "two";
	assert_int_equal(put_text(rig, 1, ABI_OUT, 3, 0, "def"), 0);
	/* The other direction does not wait. */
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "in"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 in 0 in\n");
	rig->comm = "one";
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "abc"), 0);
	expect(rig, "data 1 out 0 abc\ndata 1 out 3 def\ndata 1 out 6 ghi\n");
	/* Each with the name and the time of its own record. */
	assert_string_equal(rig->last.comm, "three");
	assert_int_equal(rig->last.time_ns, 2 + MONO_AHEAD);
	assert_int_equal(stats_gaps(flow_stats(rig->flow)), 0);
}

static void gap_records_wait_too(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_gap(rig, 1, ABI_OUT, 3, 0, 100, REASON_SENDFILE), 0);
	assert_int_equal(put_gap(rig, 1, ABI_OUT, 103, 0, 10, REASON_FAULT), 0);
	expect(rig, "");
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "abc"), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 113, 0, "end"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 out 0 abc\ngap 1 out 3 +100 sendfile\n"
		    "gap 1 out 103 +10 fault\ndata 1 out 113 end\n");
	assert_int_equal(flow_stats(rig->flow)->gap_bytes[GAP_SENDFILE], 100);
	assert_int_equal(flow_stats(rig->flow)->gap_bytes[GAP_FAULT], 10);
	assert_int_equal(flow_stats(rig->flow)->gaps[GAP_RING_FULL], 0);
}

/* The kernel's count explains the hole before a record; others wait on both sides of it. */
static void gap_between_waiting(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 100, 0, "first"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 300, 0, "third"), 0);
	expect(rig, "");
	assert_int_equal(put_text(rig, 1, ABI_IN, 200, 195, "second"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ngap 1 in 0 +100 ring-full\ndata 1 in 100 first\n"
		    "gap 1 in 105 +95 ring-full\ndata 1 in 200 second\n");
	assert_int_equal(put_data(rig, 1, ABI_IN, 206, 195, rig->log, 94), 0);
	assert_int_equal(rig->last.offset, 300);
	assert_int_equal(flow_stats(rig->flow)->bytes[DIR_IN], 5 + 5 + 6 + 94);
}

/* One thread has lost its bytes and not yet said so when the next ones pass. */
static void count_comes_late(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 100, 0, "a"), 0);
	expect(rig, "");
	assert_int_equal(put_text(rig, 1, ABI_IN, 101, 100, "b"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ngap 1 in 0 +100 ring-full\ndata 1 in 100 a\n"
		    "data 1 in 101 b\n");
}

static void late_record_dropped(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 5, 5, "fghij"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ngap 1 in 0 +5 ring-full\ndata 1 in 5 fghij\n");
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "abcde"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 5, 5, "fghij"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 10, 5, "k"), 0);
	expect(rig, "data 1 in 10 k\n");
	assert_int_equal(flow_stats(rig->flow)->bytes[DIR_IN], 6);
}

/* A record that comes twice while it waits is reported once. */
static void twice_waiting(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 5, 0, "fgh"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 5, 0, "fgh"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "abcde"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 in 0 abcde\ndata 1 in 5 fgh\n");
	/* It begins inside one that waits. */
	assert_int_equal(put_text(rig, 1, ABI_IN, 10, 0, "klm"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 11, 2, "lm"), 0);
	expect(rig, "gap 1 in 8 +2 ring-full\ndata 1 in 10 klm\n");
	assert_int_equal(put_text(rig, 1, ABI_IN, 13, 2, "n"), 0);
	expect(rig, "data 1 in 13 n\n");
}

/* What waits does so within bounds, and is given up in order. */
static void waits_within_bounds(void **state)
{
	static char chunk[ABI_CHUNK];
	struct rig *rig = *state;
	const struct stats *stats = flow_stats(rig->flow);
	uint64_t off = 10;

	memset(chunk, 'x', sizeof(chunk));
	rig->quiet = true;
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	while (!stats->events && off < 1 << 22) {
		assert_int_equal(put_data(rig, 1, ABI_IN, off, 0, chunk, sizeof(chunk)), 0);
		off += sizeof(chunk);
	}
	assert_in_range(off, 1 << 19, 1 << 21);
	assert_int_equal(stats->gaps[GAP_RING_FULL], 1);
	assert_int_equal(stats->gap_bytes[GAP_RING_FULL], 10);
	assert_int_equal(stats->bytes[DIR_IN], off - 10);
	assert_int_equal(rig->last.offset, off - sizeof(chunk));
}

static void close_with_trailing_gap(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "abc"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 8, 0, "waits"), 0);
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 1, 20, 40), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 in 0 abc\ngap 1 in 3 +5 ring-full\n"
		    "data 1 in 8 waits\ngap 1 in 13 +7 ring-full\ngap 1 out 0 +40 ring-full\n"
		    "close 1 freed in 20 out 40\n");
	assert_int_equal(stats_gap_bytes(flow_stats(rig->flow)), 52);
	/* Without a byte: nobody hears of it. */
	assert_int_equal(put_conn(rig, PID, 2, 0), 0);
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 2, 0, 0), 0);
	expect(rig, "");
	/* All its records found the ring full, the first one too. */
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 3, 9, 0), 0);
	expect(rig, "open 3 pid 100 \ngap 3 in 0 +9 ring-full\nclose 3 freed in 9 out 0\n");
}

static void exit_settles(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_proc(rig, PID, 50, PARTS("prog")), 0);
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_conn(rig, PID, 2, 0), 0);
	assert_int_equal(put_conn(rig, PID, 3, 0), 0);
	assert_int_equal(put_conn(rig, PID + 1, 4, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "abc"), 0);
	assert_int_equal(put_text(rig, 2, ABI_IN, 0, 0, "def"), 0);
	assert_int_equal(put_text(rig, 4, ABI_IN, 0, 0, "other"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 out 0 abc\n"
		    "open 2 pid 100 /lib/first\ndata 2 in 0 def\n"
		    "open 4 pid 101 /lib/first\ndata 4 in 0 other\n");
	kernel_has(rig, 0, PID, 1, 0, 3);
	kernel_has(rig, 1, PID, 2, 13, 2);
	kernel_has(rig, 2, PID, 3, 0, 0);
	kernel_has(rig, 3, PID + 1, 4, 5, 0);
	assert_int_equal(put_exit(rig, PID), 0);
	expect(rig, "close 1 exit in 0 out 3\n"
		    "gap 2 in 3 +10 ring-full\ngap 2 out 0 +2 ring-full\n"
		    "close 2 exit in 13 out 2\n");
	assert_string_equal(rig->drops, "100:1 100:2 100:3 ");
	/* Again, and one that nobody knows. */
	assert_int_equal(put_exit(rig, PID), 0);
	assert_int_equal(put_exit(rig, 999), 0);
	expect(rig, "");
	assert_int_equal(put_text(rig, 4, ABI_IN, 5, 0, "goes on"), 0);
	expect(rig, "data 4 in 5 goes on\n");
}

/* The connection was freed before the process ended; only the note of it is late. */
static void exit_before_lost_close(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_proc(rig, PID, 50, PARTS("prog")), 0);
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "abc"), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 10, 0, "waits"), 0);
	assert_int_equal(put_exit(rig, PID), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 out 0 abc\n");
	assert_string_equal(rig->drops, "");
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 1, 0, 20), 0);
	expect(rig, "gap 1 out 3 +7 ring-full\ndata 1 out 10 waits\ngap 1 out 15 +5 ring-full\n"
		    "close 1 freed in 0 out 20\n");
	assert_int_equal(flow_stats(rig->flow)->connections, 1);
}

static void exec(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_proc(rig, PID, 50, PARTS("old")), 0);
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "a"), 0);
	assert_string_equal(rig->last.conn->process->exe, "/old");
	kernel_has(rig, 0, PID, 1, 0, 1);
	assert_int_equal(put_exit(rig, PID), 0);
	assert_int_equal(put_proc(rig, PID, 50, PARTS("new")), 0);
	assert_int_equal(put_conn(rig, PID, 2, 1), 0);
	assert_int_equal(put_text(rig, 2, ABI_OUT, 0, 0, "b"), 0);
	assert_string_equal(rig->last.conn->process->exe, "/new");
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 out 0 a\nclose 1 exit in 0 out 1\n"
		    "open 2 pid 100 /lib/second\ndata 2 out 0 b\n");
}

/* The note of the first one's end was lost. */
static void pid_reused(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_proc(rig, PID, 50, PARTS("one")), 0);
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "a"), 0);
	kernel_has(rig, 0, PID, 1, 4, 0);
	assert_int_equal(put_proc(rig, PID, 60, PARTS("two")), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 in 0 a\ngap 1 in 1 +3 ring-full\n"
		    "close 1 exit in 4 out 0\n");
	assert_string_equal(rig->drops, "100:1 ");
	assert_int_equal(put_conn(rig, PID, 2, 0), 0);
	assert_int_equal(put_text(rig, 2, ABI_IN, 0, 0, "b"), 0);
	assert_string_equal(rig->last.conn->process->exe, "/two");
	assert_int_equal(rig->last.conn->process->start_ns, 60 + BOOT_AHEAD);
	/* The same, the program executed another one: the time of its start stays. */
	kernel_has(rig, 0, PID, 2, 1, 0);
	assert_int_equal(put_proc(rig, PID, 60, PARTS("three")), 0);
	expect(rig, "open 2 pid 100 /lib/first\ndata 2 in 0 b\nclose 2 exit in 1 out 0\n");
}

/* Two threads that begin at once may both report their process. */
static void process_reported_twice(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_proc(rig, PID, 50, PARTS("prog")), 0);
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "a"), 0);
	kernel_has(rig, 0, PID, 1, 1, 0);
	assert_int_equal(put_proc(rig, PID, 50, PARTS("prog")), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 1, 0, "b"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 in 0 a\ndata 1 in 1 b\n");
	assert_string_equal(rig->drops, "");
	assert_string_equal(rig->last.conn->process->exe, "/prog");
}

/* The first thing heard of a process may be the state of a connection whose bytes were lost. */
static void process_follows(void **state)
{
	struct rig *rig = *state;

	kernel_has(rig, 0, PID, 1, 10, 0);
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 10, 0), 0);
	assert_int_equal(rig->last.pid, PID);
	assert_string_equal(rig->last.conn->process->exe, "");
	assert_string_equal(rig->last.conn->process->cgroup, "");
	assert_int_equal(put_proc(rig, PID, 50, PARTS("prog")), 0);
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 10, 10, "b"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ngap 1 in 0 +10 ring-full\ndata 1 in 10 b\n");
	assert_string_equal(rig->last.conn->process->exe, "/prog");
	assert_int_equal(rig->last.conn->process->uid, 1000);
	assert_string_equal(rig->drops, "");
}

static void state_known(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "abc"), 0);
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 0, 3), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 out 0 abc\n");
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 5, 8), 0);
	expect(rig, "gap 1 in 0 +5 ring-full\ngap 1 out 3 +5 ring-full\n");
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 5, 8), 0);
	/* An older state takes nothing back. */
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 0, 2), 0);
	expect(rig, "");
	/* The kernel's count of what has been settled explains no further hole. */
	assert_int_equal(put_text(rig, 1, ABI_OUT, 10, 5, "later"), 0);
	expect(rig, "");
	assert_int_equal(put_text(rig, 1, ABI_OUT, 8, 5, "ab"), 0);
	expect(rig, "data 1 out 8 ab\ndata 1 out 10 later\n");
}

static void state_unknown(void **state)
{
	struct rig *rig = *state;
	char text[ENDPOINT_STRLEN];

	kernel_has(rig, 0, PID, 1, 10, 20);
	rig->conns[0].cookie = 1ULL << COOKIE_FILE_SHIFT;
	rig->conns[0].addr = (struct rec_addr) { .family = AF_INET,
						 .lport = 1,
						 .rport = 443,
						 .laddr = { 127, 0, 0, 1 },
						 .raddr = { 127, 0, 0, 2 } };
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 10, 20), 0);
	expect(rig, "open 1 pid 100 /lib/second\ngap 1 in 0 +10 ring-full\n"
		    "gap 1 out 0 +20 ring-full\n");
	assert_string_equal(endpoint_format(&rig->last.conn->remote, text), "127.0.0.2:443");
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 1, 10, 20), 0);
	expect(rig, "close 1 freed in 10 out 20\n");
}

static void state_of_an_ended_one(void **state)
{
	struct rig *rig = *state;
	struct rec_state rec = { .handle = HANDLE(2), .off = { 0, 3 } };

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "abc"), 0);
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 1, 0, 3), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 out 0 abc\nclose 1 freed in 0 out 3\n");
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 0, 3), 0);
	expect(rig, "");
	/* Its handle has a new connection by now. */
	kernel_has(rig, 0, PID, 2, 0, 9);
	rec.h = head(rig, REC_STATE, PID, 1);
	assert_int_equal(feed(rig, &rec, sizeof(rec)), 0);
	expect(rig, "");
	assert_int_equal(flow_stats(rig->flow)->connections, 1);
}

/* The handle of a freed connection belongs to another one when the process ends. */
static void handle_reused(void **state)
{
	struct rig *rig = *state;
	struct rec_conn rec = { .handle = HANDLE(2) };

	rec.h = head(rig, REC_CONN, PID, 1);
	assert_int_equal(feed(rig, &rec, sizeof(rec)), 0);
	assert_int_equal(put_conn(rig, PID, 2, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "first"), 0);
	assert_int_equal(put_text(rig, 2, ABI_OUT, 0, 0, "second"), 0);
	kernel_has(rig, 0, PID, 2, 0, 6);
	assert_int_equal(put_exit(rig, PID), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 out 0 first\n"
		    "open 2 pid 100 /lib/first\ndata 2 out 0 second\n"
		    "close 2 exit in 0 out 6\n");
	assert_string_equal(rig->drops, "100:2 ");
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 1, 0, 5), 0);
	expect(rig, "close 1 freed in 0 out 5\n");
}

static void run_ends(void **state)
{
	struct rig *rig = *state;
	const struct stats *stats = flow_stats(rig->flow);

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_conn(rig, PID, 2, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 5, 0, "waits"), 0);
	flow_untracked(rig->flow, 2, 300);
	flow_missed(rig->flow, 4);
	assert_int_equal(flow_end(rig->flow, 1234), 0);
	expect(rig, "open 1 pid 100 /lib/first\ngap 1 in 0 +5 ring-full\ndata 1 in 5 waits\n"
		    "close 1 end in 10 out 0\n");
	assert_int_equal(rig->last.time_ns, 1234 + MONO_AHEAD);
	assert_int_equal(stats->gaps[GAP_UNTRACKED], 2);
	assert_int_equal(stats->gap_bytes[GAP_UNTRACKED], 300);
	assert_int_equal(stats->calls_missed, 4);
	assert_int_equal(stats->events, 4);
	assert_int_equal(flow_end(rig->flow, 1235), 0);
	expect(rig, "");
}

static const char *exe_of(struct rig *rig, uint64_t id, const char *parts, uint32_t len)
{
	assert_int_equal(put_proc(rig, (uint32_t)id, 50, parts, len), 0);
	assert_int_equal(put_conn(rig, (uint32_t)id, id, 0), 0);
	assert_int_equal(put_text(rig, id, ABI_IN, 0, 0, "x"), 0);
	return rig->last.conn->process->exe;
}

static void paths(void **state)
{
	char full[ABI_PATH_LEN + ABI_NAME_LEN];
	struct rig *rig = *state;
	const char *exe;

	assert_string_equal(exe_of(rig, 1, PARTS("curl\0bin\0usr")), "/usr/bin/curl");
	assert_string_equal(exe_of(rig, 2, PARTS("init")), "/init");
	assert_string_equal(exe_of(rig, 3, "", 0), "");
	/* Not ended by a NUL, empty components, nothing but NULs. */
	assert_string_equal(exe_of(rig, 4, "curl", 4), "");
	assert_string_equal(exe_of(rig, 5, "a\0b", 3), "");
	assert_string_equal(exe_of(rig, 6, PARTS("a\0\0b")), "/b//a");
	assert_string_equal(exe_of(rig, 7, "\0\0\0", 3), "///");
	memset(full, 'p', sizeof(full));
	assert_string_equal(exe_of(rig, 8, full, sizeof(full)), "");
	full[sizeof(full) - 1] = '\0';
	exe = exe_of(rig, 9, full, sizeof(full));
	assert_int_equal(strlen(exe), sizeof(full));
	memset(full, '\0', sizeof(full));
	assert_int_equal(strlen(exe_of(rig, 10, full, sizeof(full))), sizeof(full));
}

static void hostile_path_len(void **state)
{
	struct rig *rig = *state;

	assert_string_equal(exe_of(rig, PID, PARTS("good")), "/good");
	rig->len = 0;
	rig->log[0] = '\0';
	assert_int_equal(put_proc(rig, PID, 60, "bad", ABI_PATH_LEN + ABI_NAME_LEN + 1), -EBADMSG);
	assert_int_equal(put_proc(rig, PID, 60, "bad", UINT32_MAX), -EBADMSG);
	assert_int_equal(put_text(rig, PID, ABI_IN, 1, 0, "y"), 0);
	expect(rig, "data 100 in 1 y\n");
	assert_string_equal(rig->last.conn->process->exe, "/good");
}

/* Every length below the one a record has. */
static void assert_refused_when_cut(struct rig *rig, const void *rec, size_t len)
{
	for (size_t n = 0; n < len; n++)
		assert_int_equal(feed(rig, rec, n), -EBADMSG);
}

static void garbage(void **state)
{
	struct rig *rig = *state;
	union {
		char bytes[sizeof(struct rec_data) + 8];
		struct rec_data rec;
	} data = { .rec = { .h = head(rig, REC_DATA, PID, 1), .len = 8 } };
	struct rec_proc proc = { .h = head(rig, REC_PROC, PID, 0) };
	struct rec_conn conn = { .h = head(rig, REC_CONN, PID, 1), .handle = HANDLE(1) };
	struct rec_state ended = { .h = head(rig, REC_CLOSE, PID, 1), .handle = HANDLE(1) };
	struct rec rec = head(rig, REC_EXIT, PID, 0);
	const struct stats *stats = flow_stats(rig->flow);
	struct stats before;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "abc"), 0);
	before = *stats;
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 in 0 abc\n");
	assert_refused_when_cut(rig, &data, sizeof(data));
	assert_refused_when_cut(rig, &proc, sizeof(proc));
	assert_refused_when_cut(rig, &conn, sizeof(conn));
	assert_refused_when_cut(rig, &ended, sizeof(ended));
	ended.h.type = REC_STATE;
	assert_refused_when_cut(rig, &ended, sizeof(ended));
	assert_refused_when_cut(rig, &rec, sizeof(rec));
	rec.type = 0;
	assert_int_equal(feed(rig, &rec, sizeof(rec)), -EBADMSG);
	rec.type = REC_STATE + 1;
	assert_int_equal(feed(rig, &rec, sizeof(rec)), -EBADMSG);
	rec.type = UINT16_MAX;
	assert_int_equal(feed(rig, &rec, sizeof(rec)), -EBADMSG);
	/* No bytes; more than there are; beyond the end of all offsets; of no connection. */
	data.rec.len = 0;
	assert_int_equal(feed(rig, &data, sizeof(data)), -EBADMSG);
	data.rec.len = 9;
	assert_int_equal(feed(rig, &data, sizeof(data)), -EBADMSG);
	data.rec.len = UINT64_MAX;
	assert_int_equal(feed(rig, &data, sizeof(data)), -EBADMSG);
	data.rec.len = 8;
	data.rec.off = UINT64_MAX - 3;
	assert_int_equal(feed(rig, &data, sizeof(data)), -EBADMSG);
	assert_int_equal(put_gap(rig, 1, ABI_IN, 3, 0, 0, REASON_FAULT), -EBADMSG);
	assert_int_equal(put_gap(rig, 1, ABI_IN, 3, 0, UINT64_MAX, REASON_FAULT), -EBADMSG);
	assert_int_equal(put_text(rig, 2, ABI_IN, 0, 0, "x"), -EBADMSG);
	expect(rig, "");
	assert_memory_equal(stats, &before, sizeof(before));
	assert_int_equal(put_text(rig, 1, ABI_IN, 3, 0, "def"), 0);
	expect(rig, "data 1 in 3 def\n");
}

/* A record may have more room than bytes. */
static void room_behind_the_bytes(void **state)
{
	struct rig *rig = *state;
	union {
		char bytes[sizeof(struct rec_data) + 16];
		struct rec_data rec;
	} data = { .rec = { .h = head(rig, REC_DATA, PID, 1), .len = 3 } };

	memcpy(data.bytes + sizeof(data.rec), "abcSECRET", 10);
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(feed(rig, &data, sizeof(data)), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 in 0 abc\n");
	assert_int_equal(flow_stats(rig->flow)->bytes[DIR_IN], 3);
}

/* Each event of this run fails once: its error must come back. */
static void errors_come_back(void **state)
{
	int fail_at = 0, r;

	(void)state;
	do {
		struct rig *rig = NULL;

		assert_int_equal(setup((void **)&rig), 0);
		rig->fail_at = ++fail_at;
		assert_int_equal(put_conn(rig, PID, 1, 0), 0);
		assert_int_equal(put_conn(rig, PID, 2, 0), 0);
		kernel_has(rig, 0, PID, 2, 0, 20);
		r = put_text(rig, 1, ABI_IN, 0, 0, "data");
		r = r ? r : put_text(rig, 1, ABI_IN, 10, 0, "waits");
		r = r ? r : put_text(rig, 1, ABI_IN, 4, 0, "fills!");
		r = r ? r : put_text(rig, 1, ABI_IN, 20, 5, "hole");
		r = r ? r : put_gap(rig, 1, ABI_IN, 24, 5, 6, REASON_FAULT);
		r = r ? r : put_text(rig, 1, ABI_IN, 40, 5, "waits");
		r = r ? r : put_state(rig, REC_CLOSE, PID, 1, 50, 50);
		r = r ? r : put_text(rig, 2, ABI_OUT, 0, 0, "x");
		r = r ? r : put_exit(rig, PID);
		r = r ? r : put_conn(rig, PID, 3, 0);
		r = r ? r : put_text(rig, 3, ABI_OUT, 9, 0, "x");
		r = r ? r : flow_end(rig->flow, 1);
		assert_int_equal(r, fail_at <= 20 ? -EIO : 0);
		assert_in_range(rig->events, fail_at <= 20 ? fail_at : 20, 20);
		teardown((void **)&rig);
	} while (r);
	assert_int_equal(fail_at, 21);
}

/*
 * A model of the kernel side: connections that get bytes from several threads, a ring that is full
 * at times, and records that leave it in another order than their bytes have.
 */
#define CONNS	   5
#define IDS	   4096
#define RING	   64
#define RECORD_MAX 40

struct slot {
	size_t len;
	_Alignas(8) uint8_t bytes[sizeof(struct rec_data) + RECORD_MAX];
};

struct model {
	struct flow *flow;
	uint64_t random;
	bool drops, reorders;
	struct conn kernel[CONNS];	 /* id 0: not in use */
	uint64_t late_lost[CONNS];	 /* lost in direction 0, not yet counted */
	uint64_t reported[IDS][DIR_MAX]; /* by id: end of what has been reported */
	bool closed[IDS];
	uint64_t next_id;
	struct slot ring[RING];
	size_t used;
	uint64_t handled, lost, faults; /* of all connections */
	uint64_t seen, gaps;		/* the same in events */
};

static uint64_t below(struct model *m, uint64_t n)
{
	/* xorshift64* */
	m->random ^= m->random >> 12;
	m->random ^= m->random << 25;
	m->random ^= m->random >> 27;
	return (m->random * 0x2545f4914f6cdd1dULL >> 33) % n;
}

/* The byte at a place in a stream. */
static uint8_t pattern(uint64_t id, int dir, uint64_t off)
{
	return (uint8_t)(id * 31 + dir * 17 + off * 7 + (off >> 8));
}

static int model_event(void *arg, const struct event *ev)
{
	struct model *m = arg;
	uint64_t id = ev->conn->id;

	assert_in_range(id, 1, m->next_id);
	assert_false(m->closed[id]);
	if (ev->type == EVENT_CLOSE) {
		m->closed[id] = true;
		assert_int_equal(ev->total[DIR_IN], m->reported[id][DIR_IN]);
		assert_int_equal(ev->total[DIR_OUT], m->reported[id][DIR_OUT]);
	}
	if (ev->type != EVENT_DATA && ev->type != EVENT_GAP)
		return 0;
	assert_true(ev->len > 0);
	assert_int_equal(ev->offset, m->reported[id][ev->dir]);
	m->reported[id][ev->dir] += ev->len;
	if (ev->type == EVENT_GAP) {
		m->gaps += ev->len;
		return 0;
	}
	m->seen += ev->len;
	for (uint64_t i = 0; i < ev->len; i++)
		assert_int_equal(ev->data[i], pattern(id, ev->dir, ev->offset + i));
	return 0;
}

static int model_state(void *arg, uint32_t pid, uint64_t handle, struct conn *ret_conn)
{
	struct model *m = arg;

	if (handle >= CONNS || !m->kernel[handle].id || m->kernel[handle].tgid != pid)
		return -ENOENT;
	*ret_conn = m->kernel[handle];
	return 0;
}

static void model_drop(void *arg, uint32_t pid, uint64_t handle)
{
	struct model *m = arg;

	assert_int_equal(m->kernel[handle].tgid, pid);
	m->kernel[handle].id = 0;
}

static const struct flow_ops model_ops = {
	.event = model_event,
	.from_mono = from_mono,
	.from_boot = from_boot,
	.file_name = file_name,
	.cgroup_path = cgroup_path,
	.conn_state = model_state,
	.conn_drop = model_drop,
};

/* Each handle has a process of its own. */
static uint32_t pid_of(size_t handle)
{
	return PID + (uint32_t)handle;
}

static void model_send(struct model *m, const void *rec, size_t len)
{
	assert_int_equal(flow_record(m->flow, rec, len), 0);
}

/* Empties the ring. Records of different threads may have changed places. */
static void model_drain(struct model *m)
{
	if (m->reorders && m->used > 1) {
		for (size_t i = 0; i < m->used; i++) {
			size_t k = below(m, m->used);
			struct slot tmp = m->ring[i];

			m->ring[i] = m->ring[k];
			m->ring[k] = tmp;
		}
	}
	for (size_t i = 0; i < m->used; i++)
		model_send(m, m->ring[i].bytes, m->ring[i].len);
	m->used = 0;
}

static void model_open(struct model *m, size_t handle)
{
	struct rec_conn rec = { .handle = handle };
	struct conn *c = &m->kernel[handle];

	assert_true(m->next_id + 1 < IDS);
	*c = (struct conn) { .id = ++m->next_id, .tgid = pid_of(handle) };
	m->late_lost[handle] = 0;
	rec.h = (struct rec) { .type = REC_CONN, .pid = c->tgid, .conn = c->id };
	/* Now and then its announcement, and with it all it ever does, is lost. */
	if (!m->drops || below(m, 4))
		model_send(m, &rec, sizeof(rec));
	else
		c->announced = UINT8_MAX;
}

/* A call that moves bytes. */
static void model_call(struct model *m, size_t handle)
{
	struct conn *c = &m->kernel[handle];
	uint64_t len = 1 + below(m, RECORD_MAX);
	int dir = (int)below(m, DIR_MAX);
	struct slot *slot;
	struct rec_data *rec;

	m->handled += len;
	if (m->used == RING && !m->drops)
		model_drain(m);
	if (m->used == RING || c->announced || (m->drops && !below(m, 4))) {
		c->off[dir] += len;
		m->lost += len;
		if (dir == DIR_IN && m->drops && below(m, 2))
			m->late_lost[handle] += len; /* counted a little later */
		else
			c->lost[dir] += len;
		return;
	}
	slot = &m->ring[m->used++];
	rec = (void *)slot->bytes;
	*rec = (struct rec_data) {
		.h = { .type = REC_DATA, .dir = dir, .pid = c->tgid, .conn = c->id },
		.off = c->off[dir],
		.len = len,
		.lost = c->lost[dir],
	};
	slot->len = sizeof(*rec);
	if (!below(m, 10)) {
		rec->h.type = REC_GAP;
		rec->h.reason = REASON_FAULT;
		m->faults += len;
	} else {
		slot->len += len;
		for (uint64_t i = 0; i < len; i++)
			rec->data[i] = pattern(c->id, dir, c->off[dir] + i);
	}
	c->off[dir] += len;
	c->lost[DIR_IN] += m->late_lost[handle];
	m->late_lost[handle] = 0;
}

static void model_note(struct model *m, size_t handle, uint16_t type)
{
	struct conn *c = &m->kernel[handle];
	struct rec_state rec = {
		.h = { .type = type, .pid = c->tgid, .conn = c->id },
		.handle = handle,
		.off = { c->off[0], c->off[1] },
	};
	struct rec rec_exit = { .type = REC_EXIT, .pid = c->tgid };

	/* No thread is at work on it, and its records are out of the ring. */
	c->lost[DIR_IN] += m->late_lost[handle];
	m->late_lost[handle] = 0;
	model_drain(m);
	if (type == REC_CLOSE)
		c->id = 0;
	if (type == REC_EXIT)
		model_send(m, &rec_exit, sizeof(rec_exit));
	else
		model_send(m, &rec, sizeof(rec));
	/* A process of which nothing was heard leaves its connection to the next look. */
	if (type == REC_EXIT && c->id) {
		rec.h.type = REC_CLOSE;
		model_send(m, &rec, sizeof(rec));
		c->id = 0;
	}
}

static void model_run(struct model *m)
{
	for (int step = 0; step < 20000; step++) {
		size_t handle = below(m, CONNS);
		uint64_t what = below(m, 100);

		if (!m->kernel[handle].id)
			model_open(m, handle);
		else if (what < 85)
			model_call(m, handle);
		else if (what < 97)
			model_drain(m);
		else
			model_note(m, handle,
				   what == 97	? REC_STATE
				   : what == 98 ? REC_CLOSE
						: REC_EXIT);
	}
	for (size_t handle = 0; handle < CONNS; handle++) {
		if (m->kernel[handle].id)
			model_note(m, handle, REC_STATE);
	}
	assert_int_equal(flow_end(m->flow, 1), 0);
	for (size_t handle = 0; handle < CONNS; handle++) {
		const struct conn *c = &m->kernel[handle];

		if (c->id) {
			assert_int_equal(m->reported[c->id][0], c->off[0]);
			assert_int_equal(m->reported[c->id][1], c->off[1]);
		}
	}
}

/* Bytes + gaps = offsets, whatever is dropped and however records are mixed. */
static void random_run(uint64_t seed, bool drops, bool reorders)
{
	struct model *m = calloc(1, sizeof(*m));
	const struct stats *stats;

	assert_non_null(m);
	m->random = seed;
	m->drops = drops;
	m->reorders = reorders;
	assert_int_equal(flow_new(&model_ops, m, &m->flow), 0);
	model_run(m);
	stats = flow_stats(m->flow);
	assert_true(m->seen > 0 && m->handled > 100000);
	assert_int_equal(m->seen + m->gaps, m->handled);
	assert_int_equal(stats->bytes[DIR_IN] + stats->bytes[DIR_OUT], m->seen);
	assert_int_equal(stats_gap_bytes(stats), m->gaps);
	/* Without both at once it is known which bytes are missing. */
	if (!drops || !reorders) {
		assert_int_equal(stats->gap_bytes[GAP_FAULT], m->faults);
		assert_int_equal(stats->gap_bytes[GAP_RING_FULL], m->lost);
	}
	if (drops)
		assert_true(m->lost > 0 && stats->gap_bytes[GAP_RING_FULL] >= m->lost);
	flow_free(m->flow);
	free(m);
}

static void random_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++)
		random_run(seed, false, true);
}

static void random_drops(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++)
		random_run(seed, true, false);
}

static void random_drops_and_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		random_run(seed, true, true);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(open_data_close),
		RIG_TEST(fields),
		RIG_TEST(opened_by),
		RIG_TEST(address_later),
		RIG_TEST(hole_that_the_kernel_counted),
		RIG_TEST(out_of_order),
		RIG_TEST(gap_records_wait_too),
		RIG_TEST(gap_between_waiting),
		RIG_TEST(count_comes_late),
		RIG_TEST(late_record_dropped),
		RIG_TEST(twice_waiting),
		RIG_TEST(waits_within_bounds),
		RIG_TEST(close_with_trailing_gap),
		RIG_TEST(exit_settles),
		RIG_TEST(exit_before_lost_close),
		RIG_TEST(exec),
		RIG_TEST(pid_reused),
		RIG_TEST(process_reported_twice),
		RIG_TEST(process_follows),
		RIG_TEST(state_known),
		RIG_TEST(state_unknown),
		RIG_TEST(state_of_an_ended_one),
		RIG_TEST(handle_reused),
		RIG_TEST(run_ends),
		RIG_TEST(paths),
		RIG_TEST(hostile_path_len),
		RIG_TEST(garbage),
		RIG_TEST(room_behind_the_bytes),
		cmocka_unit_test(errors_come_back),
		cmocka_unit_test(random_order),
		cmocka_unit_test(random_drops),
		cmocka_unit_test(random_drops_and_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

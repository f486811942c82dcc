/* SPDX-License-Identifier: Apache-2.0 */
/* Records in, events out: connections, processes, order and fields. */
#include <sys/socket.h>

#include "event/endpoint.h"
#include "flow_scene.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(open_data_close),
		RIG_TEST(fields),
		RIG_TEST(opened_by),
		RIG_TEST(address_later),
		RIG_TEST(out_of_order),
		RIG_TEST(exit_settles),
		RIG_TEST(exec),
		RIG_TEST(pid_reused),
		RIG_TEST(process_reported_twice),
		RIG_TEST(process_follows),
		RIG_TEST(state_of_an_ended_one),
		RIG_TEST(handle_reused),
		RIG_TEST(run_ends),
		RIG_TEST(paths),
		RIG_TEST(hostile_path_len),
		RIG_TEST(garbage),
		RIG_TEST(room_behind_the_bytes),
		cmocka_unit_test(errors_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

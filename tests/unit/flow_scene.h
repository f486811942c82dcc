/* SPDX-License-Identifier: Apache-2.0 */
/* A flow to be fed with records, for tests: each RIG_TEST has one of its own. */
#ifndef FLOW_SCENE_H
#define FLOW_SCENE_H

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
/* cmocka.h needs the headers above. */
#include <cmocka.h>

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

static inline void __attribute__((format(printf, 2, 3))) note(struct rig *rig, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	rig->len += vsnprintf(rig->log + rig->len, sizeof(rig->log) - rig->len, fmt, ap);
	va_end(ap);
	assert_true(rig->len < sizeof(rig->log));
}

static inline int on_event(void *arg, const struct event *ev)
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

static inline uint64_t from_mono(void *arg, uint64_t mono_ns)
{
	(void)arg;
	return mono_ns + MONO_AHEAD;
}

static inline uint64_t from_boot(void *arg, uint64_t boot_ns)
{
	(void)arg;
	return boot_ns + BOOT_AHEAD;
}

static inline const char *file_name(void *arg, uint32_t file)
{
	static const char *const names[] = { "/lib/first", "/lib/second" };

	(void)arg;
	return file < 2 ? names[file] : "";
}

static inline const char *cgroup_path(void *arg, uint64_t id)
{
	(void)arg;
	return id == 7 ? "/seven" : "";
}

static inline struct conn *kernel_find(struct rig *rig, uint32_t pid, uint64_t handle)
{
	for (size_t i = 0; i < 4; i++) {
		struct conn *conn = &rig->conns[i];

		if (conn->id && conn->tgid == pid && HANDLE(conn->id) == handle)
			return conn;
	}
	return NULL;
}

static inline int conn_state(void *arg, uint32_t pid, uint64_t handle, struct conn *ret_conn)
{
	struct conn *conn = kernel_find(arg, pid, handle);

	if (!conn)
		return -ENOENT;
	*ret_conn = *conn;
	return 0;
}

static inline void conn_drop(void *arg, uint32_t pid, uint64_t handle)
{
	struct rig *rig = arg;
	struct conn *conn = kernel_find(rig, pid, handle);
	size_t len = strlen(rig->drops);

	snprintf(rig->drops + len, sizeof(rig->drops) - len, "%" PRIu32 ":%" PRIu64 " ", pid,
		 handle - HANDLE(0));
	if (conn)
		conn->id = 0;
}

static inline int setup(void **state)
{
	static const struct flow_ops ops = {
		.event = on_event,
		.from_mono = from_mono,
		.from_boot = from_boot,
		.file_name = file_name,
		.cgroup_path = cgroup_path,
		.conn_state = conn_state,
		.conn_drop = conn_drop,
	};
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig)
		return -1;
	rig->tid = PID;
	rig->comm = "main";
	*state = rig;
	return flow_new(&ops, rig, &rig->flow);
}

static inline int teardown(void **state)
{
	struct rig *rig = *state;

	flow_free(rig->flow);
	free(rig);
	return 0;
}

/* A state that the kernel has: slot 0 to 3. */
static inline void kernel_has(struct rig *rig, int slot, uint32_t pid, uint64_t id, uint64_t in,
			      uint64_t out)
{
	rig->conns[slot] = (struct conn) { .id = id, .tgid = pid, .off = { in, out } };
}

/* The record in memory of its very size, so that a sanitizer sees what is read behind it. */
static inline int feed(struct rig *rig, const void *rec, size_t len)
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

static inline struct rec head(struct rig *rig, uint16_t type, uint32_t pid, uint64_t conn)
{
	return (struct rec) {
		.type = type,
		.pid = pid,
		.tid = rig->tid,
		.time_ns = ++rig->time_ns,
		.conn = conn,
	};
}

static inline int put_data(struct rig *rig, uint64_t conn, int dir, uint64_t off, uint64_t lost,
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

static inline int put_text(struct rig *rig, uint64_t conn, int dir, uint64_t off, uint64_t lost,
			   const char *text)
{
	return put_data(rig, conn, dir, off, lost, text, strlen(text));
}

static inline int put_gap(struct rig *rig, uint64_t conn, int dir, uint64_t off, uint64_t lost,
			  uint64_t len, int reason)
{
	struct rec_data rec = {
		.h = head(rig, REC_GAP, PID, conn), .off = off, .len = len, .lost = lost
	};

	rec.h.dir = dir;
	rec.h.reason = reason;
	return feed(rig, &rec, sizeof(rec));
}

static inline int put_conn(struct rig *rig, uint32_t pid, uint64_t conn, uint64_t file)
{
	struct rec_conn rec = { .h = head(rig, REC_CONN, pid, conn),
				.handle = HANDLE(conn),
				.cookie = file << COOKIE_FILE_SHIFT | COOKIE_DIR_OUT };

	return feed(rig, &rec, sizeof(rec));
}

static inline int put_state(struct rig *rig, uint16_t type, uint32_t pid, uint64_t conn,
			    uint64_t in, uint64_t out)
{
	struct rec_state rec = { .h = head(rig, type, pid, conn),
				 .handle = HANDLE(conn),
				 .off = { in, out } };

	return feed(rig, &rec, sizeof(rec));
}

static inline int put_exit(struct rig *rig, uint32_t pid)
{
	struct rec rec = head(rig, REC_EXIT, pid, 0);

	return feed(rig, &rec, sizeof(rec));
}

static inline int put_proc(struct rig *rig, uint32_t pid, uint64_t start_ns, const char *parts,
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
static inline void expect(struct rig *rig, const char *log)
{
	assert_string_equal(rig->log, log);
	rig->len = 0;
	rig->log[0] = '\0';
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

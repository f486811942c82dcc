// SPDX-License-Identifier: Apache-2.0
#include "flow/flow.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* uthash ends the program on allocation failure unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "flow/process.h"
#include "flow/secrets.h"
#include "flow/stream.h"

/* Names no file. */
#define NO_COOKIE UINT64_MAX

struct flow_conn {
	struct connection c;
	struct flow_proc *proc;
	uint64_t handle;
	char *library;
	bool opened; /* EVENT_OPEN has been sent */
	bool secret; /* EVENT_SECRET has been sent */
	uint32_t tid;
	char comm[EVENT_COMM_LEN];
	struct stream stream[DIR_MAX];
	struct flow_conn *prev, *next; /* in proc->conns */
	UT_hash_handle hh;
};

struct flow {
	const struct flow_ops *ops;
	void *arg;
	struct flow_proc *procs;
	struct flow_conn *conns;
	struct secrets *secrets;
	struct stats stats;
};

int flow_new(const struct flow_ops *ops, void *arg, struct flow **ret_flow)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return -ENOMEM;
	if (secrets_new(&flow->secrets)) {
		free(flow);
		return -ENOMEM;
	}
	flow->ops = ops;
	flow->arg = arg;
	*ret_flow = flow;
	return 0;
}

const struct stats *flow_stats(const struct flow *flow)
{
	return &flow->stats;
}

void flow_untracked(struct flow *flow, uint64_t calls, uint64_t bytes)
{
	flow->stats.gaps[GAP_UNTRACKED] += calls;
	flow->stats.gap_bytes[GAP_UNTRACKED] += bytes;
}

void flow_missed(struct flow *flow, uint64_t calls)
{
	flow->stats.calls_missed += calls;
}

void flow_secrets_lost(struct flow *flow, uint64_t secrets)
{
	flow->stats.secrets_lost += secrets;
}

void flow_lost(struct flow *flow, uint64_t bytes)
{
	uint64_t *known = &flow->stats.gap_bytes[GAP_RING_FULL];

	if (bytes <= *known)
		return;
	flow->stats.gaps[GAP_RING_FULL]++;
	*known = bytes;
}

static void proc_release(struct flow_proc *proc)
{
	if (proc->gone && !proc->conns)
		proc_free(proc);
}

static void proc_remove(struct flow *flow, struct flow_proc *proc)
{
	HASH_DEL(flow->procs, proc);
	proc->gone = true;
	proc_release(proc);
}

static struct flow_proc *proc_find(struct flow *flow, uint32_t pid)
{
	struct flow_proc *proc;

	HASH_FIND(hh, flow->procs, &pid, sizeof(pid), proc);
	return proc;
}

/* A process of which nothing but the number is known. */
static struct flow_proc *proc_add(struct flow *flow, uint32_t pid)
{
	struct flow_proc *proc = calloc(1, sizeof(*proc));

	if (!proc)
		return NULL;
	proc->p.pid = pid;
	proc->p.exe = proc->p.cgroup = "";
	HASH_ADD(hh, flow->procs, p.pid, sizeof(proc->p.pid), proc);
	if (!proc->hh.tbl) {
		proc_free(proc);
		return NULL;
	}
	return proc;
}

static struct flow_conn *conn_find(struct flow *flow, uint64_t id)
{
	struct flow_conn *conn;

	HASH_FIND(hh, flow->conns, &id, sizeof(id), conn);
	return conn;
}

static void conn_free(struct flow_conn *conn)
{
	for (int dir = 0; dir < DIR_MAX; dir++)
		stream_done(&conn->stream[dir]);
	free(conn->library);
	free(conn);
}

static struct flow_conn *conn_add(struct flow *flow, uint64_t id, struct flow_proc *proc,
				  uint64_t handle, uint64_t cookie)
{
	const char *library = flow->ops->file_name(flow->arg, (uint32_t)(cookie >> 32));
	struct flow_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->c.id = id;
	conn->c.process = &proc->p;
	conn->c.library = conn->library = strdup(library);
	conn->proc = proc;
	conn->handle = handle;
	if (conn->library)
		HASH_ADD(hh, flow->conns, c.id, sizeof(conn->c.id), conn);
	if (!conn->hh.tbl) {
		conn_free(conn);
		return NULL;
	}
	DL_APPEND(proc->conns, conn);
	return conn;
}

static void conn_remove(struct flow *flow, struct flow_conn *conn)
{
	struct flow_proc *proc = conn->proc;

	HASH_DEL(flow->conns, conn);
	DL_DELETE(proc->conns, conn);
	conn_free(conn);
	proc_release(proc);
}

static int emit(struct flow *flow, struct event *ev)
{
	flow->stats.events++;
	return flow->ops->event(flow->arg, ev);
}

static void event_init(struct flow *flow, struct event *ev, enum event_type type,
		       const struct flow_conn *conn, uint64_t mono_ns)
{
	memset(ev, 0, sizeof(*ev));
	ev->type = type;
	ev->time_ns = flow->ops->from_mono(flow->arg, mono_ns);
	ev->conn = &conn->c;
	ev->pid = conn->proc->p.pid;
	ev->tid = conn->tid;
	memcpy(ev->comm, conn->comm, sizeof(ev->comm));
}

/* A connection is announced with its first bytes, so that one without any stays unseen. */
static int open_once(struct flow *flow, struct flow_conn *conn, uint64_t mono_ns)
{
	struct event ev;

	if (conn->opened)
		return 0;
	conn->opened = true;
	flow->stats.connections++;
	event_init(flow, &ev, EVENT_OPEN, conn, mono_ns);
	return emit(flow, &ev);
}

static int emit_gap(struct flow *flow, struct flow_conn *conn, enum event_dir dir, uint64_t len,
		    enum gap_reason reason, uint64_t mono_ns)
{
	struct stream *s = &conn->stream[dir];
	struct event ev;
	int r = open_once(flow, conn, mono_ns);

	event_init(flow, &ev, EVENT_GAP, conn, mono_ns);
	ev.dir = dir;
	ev.offset = s->next;
	ev.len = len;
	ev.gap = reason;
	s->next += len;
	if (reason == GAP_RING_FULL)
		s->lost += len;
	flow->stats.gaps[reason]++;
	flow->stats.gap_bytes[reason] += len;
	return r ? r : emit(flow, &ev);
}

static int emit_data(struct flow *flow, struct flow_conn *conn, const struct rec_data *rec)
{
	enum event_dir dir = rec->h.dir ? DIR_OUT : DIR_IN;
	struct event ev;
	int r;

	conn->tid = rec->h.tid;
	memcpy(conn->comm, rec->comm, sizeof(conn->comm));
	if (rec->h.type == REC_GAP)
		return emit_gap(flow, conn, dir, rec->len,
				rec->h.reason == REASON_SENDFILE ? GAP_SENDFILE : GAP_FAULT,
				rec->h.time_ns);
	r = open_once(flow, conn, rec->h.time_ns);
	event_init(flow, &ev, EVENT_DATA, conn, rec->h.time_ns);
	ev.dir = dir;
	ev.offset = rec->off;
	ev.len = rec->len;
	ev.data = rec->data;
	conn->stream[dir].next += rec->len;
	flow->stats.bytes[dir] += rec->len;
	return r ? r : emit(flow, &ev);
}

/* Reports what has waited and can go now; and all before upto, with gaps between. */
static int emit_waiting(struct flow *flow, struct flow_conn *conn, enum event_dir dir,
			uint64_t upto)
{
	struct stream *s = &conn->stream[dir];
	struct stream_piece *piece;
	int r = 0;

	while (!r && (piece = stream_take(s, upto))) {
		const struct rec_data *rec = (const void *)piece->record;

		if (rec->off > s->next)
			r = emit_gap(flow, conn, dir, rec->off - s->next, GAP_RING_FULL,
				     rec->h.time_ns);
		if (!r && rec->off == s->next)
			r = emit_data(flow, conn, rec);
		free(piece);
	}
	return r;
}

static int on_data(struct flow *flow, struct flow_conn *conn, const struct rec_data *rec,
		   size_t size)
{
	enum event_dir dir = rec->h.dir ? DIR_OUT : DIR_IN;
	struct stream *s = &conn->stream[dir];
	int r = 0;

	switch (stream_look(s, rec->off, rec->lost)) {
	case STREAM_WAIT:
		return stream_keep(s, rec->off, rec->len, rec, size);
	case STREAM_OLD:
		return 0;
	case STREAM_HOLE:
		r = emit_waiting(flow, conn, dir, rec->off);
		if (!r && rec->off > s->next)
			r = emit_gap(flow, conn, dir, rec->off - s->next, GAP_RING_FULL,
				     rec->h.time_ns);
		break;
	case STREAM_NEXT:
		break;
	}
	if (!r && rec->off == s->next)
		r = emit_data(flow, conn, rec);
	return r ? r : emit_waiting(flow, conn, dir, 0);
}

/* Everything up to off has been handled: what is not here by now is lost. */
static int settle(struct flow *flow, struct flow_conn *conn, const uint64_t off[DIR_MAX],
		  uint64_t mono_ns)
{
	for (int dir = 0; dir < DIR_MAX; dir++) {
		int r = emit_waiting(flow, conn, dir, STREAM_ALL);

		if (!r && off[dir] > conn->stream[dir].next)
			r = emit_gap(flow, conn, dir, off[dir] - conn->stream[dir].next,
				     GAP_RING_FULL, mono_ns);
		if (r)
			return r;
	}
	return 0;
}

static int conn_close(struct flow *flow, struct flow_conn *conn, enum close_reason reason,
		      uint64_t mono_ns)
{
	struct event ev;
	int r = 0;

	if (conn->opened) {
		event_init(flow, &ev, EVENT_CLOSE, conn, mono_ns);
		ev.close = reason;
		ev.total[DIR_IN] = conn->stream[DIR_IN].next;
		ev.total[DIR_OUT] = conn->stream[DIR_OUT].next;
		r = emit(flow, &ev);
	}
	conn_remove(flow, conn);
	return r;
}

static int proc_exit(struct flow *flow, struct flow_proc *proc, uint64_t mono_ns)
{
	struct flow_conn *conn, *tmp;
	struct conn state;
	int r = 0;

	DL_FOREACH_SAFE(proc->conns, conn, tmp)
	{
		int one;

		/* Freed before, but the note of it found the ring full: it is made up for. */
		if (flow->ops->conn_state(flow->arg, proc->p.pid, conn->handle, &state) ||
		    state.id != conn->c.id)
			continue;
		one = settle(flow, conn, (uint64_t *)state.off, mono_ns);
		flow->ops->conn_drop(flow->arg, proc->p.pid, conn->handle);
		r = r ? r : one;
		one = conn_close(flow, conn, CLOSE_EXIT, mono_ns);
		r = r ? r : one;
	}
	proc_remove(flow, proc);
	return r;
}

static int on_proc(struct flow *flow, const struct rec_proc *rec)
{
	struct flow_proc *proc = proc_find(flow, rec->h.pid);
	uint64_t start_ns;
	char *exe;
	int r = 0, one;

	if (rec->path_len > sizeof(rec->path))
		return -EBADMSG;
	exe = path_join(rec->path, rec->path_len);
	/* The note of the old one's end found the ring full. */
	if (proc && !proc_same_program(proc, rec, exe)) {
		r = proc_exit(flow, proc, rec->h.time_ns);
		proc = NULL;
	}
	if (!proc)
		proc = proc_add(flow, rec->h.pid);
	if (!proc) {
		free(exe);
		return -ENOMEM;
	}
	start_ns = rec->start_ns ? flow->ops->from_boot(flow->arg, rec->start_ns) : 0;
	one = proc_fill(proc, rec, start_ns, exe,
			strdup(flow->ops->cgroup_path(flow->arg, rec->cgroup_id)));
	return r ? r : one;
}

/* The process of a record; made up from what the record has when its own was lost. */
static struct flow_proc *proc_get(struct flow *flow, const struct rec *h)
{
	struct flow_proc *proc = proc_find(flow, h->pid);

	return proc ? proc : proc_add(flow, h->pid);
}

static void endpoint_set(struct endpoint *ep, uint16_t family, uint16_t port, const uint8_t *addr)
{
	ep->family = family;
	ep->port = port;
	memcpy(ep->addr, addr, sizeof(ep->addr));
}

static void addr_set(struct flow_conn *conn, const struct rec_addr *addr)
{
	endpoint_set(&conn->c.local, addr->family, addr->lport, addr->laddr);
	endpoint_set(&conn->c.remote, addr->family, addr->rport, addr->raddr);
}

static int on_conn(struct flow *flow, const struct rec_conn *rec)
{
	struct flow_conn *conn = conn_find(flow, rec->h.conn);
	struct flow_proc *proc;

	if (!conn) {
		proc = proc_get(flow, &rec->h);
		conn = proc ? conn_add(flow, rec->h.conn, proc, rec->handle, rec->cookie) : NULL;
		if (!conn)
			return -ENOMEM;
		conn->tid = rec->h.tid;
	}
	addr_set(conn, &rec->addr);
	return 0;
}

/* A connection that not one record of has arrived. */
static struct flow_conn *conn_unseen(struct flow *flow, const struct rec_state *rec,
				     uint64_t cookie)
{
	struct flow_proc *proc = proc_get(flow, &rec->h);

	return proc ? conn_add(flow, rec->h.conn, proc, rec->handle, cookie) : NULL;
}

static int on_state(struct flow *flow, const struct rec_state *rec)
{
	struct flow_conn *conn = conn_find(flow, rec->h.conn);
	struct conn now;

	if (!conn) {
		/* Ended and reported between the look into the map and this record. */
		if (flow->ops->conn_state(flow->arg, rec->h.pid, rec->handle, &now) ||
		    now.id != rec->h.conn)
			return 0;
		conn = conn_unseen(flow, rec, now.cookie);
		if (!conn)
			return -ENOMEM;
		addr_set(conn, &now.addr);
	}
	return settle(flow, conn, (const uint64_t *)rec->off, rec->h.time_ns);
}

static int on_close(struct flow *flow, const struct rec_state *rec)
{
	struct flow_conn *conn = conn_find(flow, rec->h.conn);
	int r;

	if (!conn)
		conn = conn_unseen(flow, rec, NO_COOKIE);
	if (!conn)
		return -ENOMEM;
	r = settle(flow, conn, (const uint64_t *)rec->off, rec->h.time_ns);
	return r ? r : conn_close(flow, conn, CLOSE_FREED, rec->h.time_ns);
}

/* first: of its connection in this handshake. */
static void count_secret(struct flow *flow, struct flow_conn *conn, bool first)
{
	flow->stats.secrets++;
	if (first && !conn->secret)
		flow->stats.secret_connections++;
	conn->secret = true;
}

static int emit_secret(struct flow *flow, struct flow_conn *conn, const struct rec_secret *rec,
		       const struct secrets_found *found)
{
	struct event ev;

	conn->tid = rec->h.tid;
	memcpy(conn->comm, rec->comm, sizeof(conn->comm));
	count_secret(flow, conn, found->first);
	event_init(flow, &ev, EVENT_SECRET, conn, rec->h.time_ns);
	ev.label = found->label;
	ev.client_random = rec->random;
	ev.secret = rec->secret;
	ev.secret_len = rec->len;
	return emit(flow, &ev);
}

/* Without probes at its end a connection is a number and a process, and nothing is kept of it. */
static int on_secret(struct flow *flow, const struct rec_secret *rec)
{
	struct flow_conn *conn = conn_find(flow, rec->h.conn), passing = { 0 };
	struct secrets_found found;
	int r = secrets_look(flow->secrets, rec, &found);

	flow->stats.secrets_lost += r == SECRETS_LOST;
	flow->stats.secrets_refused += r == SECRETS_REFUSED;
	if (r != SECRETS_NEW)
		return r < 0 ? r : 0;
	if (conn)
		return emit_secret(flow, conn, rec, &found);
	passing.proc = proc_get(flow, &rec->h);
	if (!passing.proc)
		return -ENOMEM;
	passing.c = (struct connection) {
		.id = rec->h.conn,
		.process = &passing.proc->p,
		.library = flow->ops->file_name(flow->arg, (uint32_t)(rec->cookie >> 32)),
	};
	return emit_secret(flow, &passing, rec, &found);
}

int flow_record(struct flow *flow, const void *data, size_t len)
{
	const struct rec *h = data;
	const struct rec_data *rec = data;
	struct flow_conn *conn;
	struct flow_proc *proc;

	if (len < sizeof(*h))
		return -EBADMSG;
	switch (h->type) {
	case REC_DATA:
	case REC_GAP:
		if (len < sizeof(*rec) || !rec->len || rec->off + rec->len < rec->off ||
		    (h->type == REC_DATA && rec->len > len - sizeof(*rec)))
			return -EBADMSG;
		conn = conn_find(flow, h->conn);
		return conn ? on_data(flow, conn, rec, len) : -EBADMSG;
	case REC_CONN:
		return len < sizeof(struct rec_conn) ? -EBADMSG : on_conn(flow, data);
	case REC_PROC:
		return len < sizeof(struct rec_proc) ? -EBADMSG : on_proc(flow, data);
	case REC_STATE:
		return len < sizeof(struct rec_state) ? -EBADMSG : on_state(flow, data);
	case REC_CLOSE:
		return len < sizeof(struct rec_state) ? -EBADMSG : on_close(flow, data);
	case REC_SECRET:
		return len < sizeof(struct rec_secret) ? -EBADMSG : on_secret(flow, data);
	case REC_EXIT:
		proc = proc_find(flow, h->pid);
		return proc ? proc_exit(flow, proc, h->time_ns) : 0;
	}
	return -EBADMSG;
}

int flow_end(struct flow *flow, uint64_t now_mono_ns)
{
	struct flow_conn *conn, *tmp;
	int r = 0;

	HASH_ITER(hh, flow->conns, conn, tmp) {
		uint64_t none[DIR_MAX] = { 0 };
		int one = settle(flow, conn, none, now_mono_ns);

		r = r ? r : one;
		one = conn_close(flow, conn, CLOSE_END, now_mono_ns);
		r = r ? r : one;
	}
	return r;
}

void flow_free(struct flow *flow)
{
	struct flow_conn *conn, *tmp;
	struct flow_proc *proc, *ptmp;

	if (!flow)
		return;
	HASH_ITER(hh, flow->conns, conn, tmp)
		conn_remove(flow, conn);
	HASH_ITER(hh, flow->procs, proc, ptmp)
		proc_remove(flow, proc);
	secrets_free(flow->secrets);
	free(flow);
}

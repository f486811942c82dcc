/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary records through the flow: whatever they say, each stream's events are contiguous, their
 * data lies in a record, and connections open and close once.
 *
 * Input: one byte says which kind of record and how much of it is given, then that many bytes of
 * it; the rest is made up to be plausible. So most records are taken, and some are garbage.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event/stats.h"
#include "flow/flow.h"

#define KIND_MASK 0x07 /* kind(); 0: the bytes are the record */
#define FLAG_DIR  0x08
#define FLAG_CUT  0x10 /* the last byte is missing */
#define ID_SHIFT  5    /* which connection, 0 to 7 */

#define CONNS	8
#define PID(id) (100 + ((id) >> 1))

#define CHECK(cond)              \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

/* A connection that has been announced, by address: ids may be anything. */
struct seen {
	uint64_t id;
	uint64_t next[DIR_MAX];
	int open;
};

struct run {
	struct flow *flow;
	struct seen *seen;
	size_t count;
	struct stats sums;
	uint64_t off[CONNS][DIR_MAX];
	uint64_t lost[CONNS][DIR_MAX];
	uint8_t sum; /* of all data, so that it is read */
};

static struct seen *seen_find(struct run *run, uint64_t id)
{
	for (size_t i = run->count; i > 0; i--) {
		if (run->seen[i - 1].id == id && run->seen[i - 1].open)
			return &run->seen[i - 1];
	}
	return NULL;
}

static void on_open(struct run *run, uint64_t id)
{
	CHECK(!seen_find(run, id));
	run->seen = reallocarray(run->seen, run->count + 1, sizeof(*run->seen));
	CHECK(run->seen);
	run->seen[run->count++] = (struct seen) { .id = id, .open = 1 };
	run->sums.connections++;
}

static void check_conn(const struct event *ev)
{
	const struct connection *conn = ev->conn;

	CHECK(conn && conn->process && ev->pid == conn->process->pid);
	CHECK(strlen(conn->library) < 64);
	CHECK(strlen(conn->process->exe) <= ABI_PATH_LEN + ABI_NAME_LEN);
	CHECK(strlen(conn->process->cgroup) < 64);
	CHECK(!conn->process->exe[0] || conn->process->exe[0] == '/');
}

/* A connection may have secrets and never be announced. */
static void on_secret(struct run *run, const struct event *ev)
{
	CHECK(ev->label > LABEL_NONE && ev->label < LABEL_MAX);
	CHECK(secret_len_fits(ev->label, ev->secret_len));
	CHECK(!secret_is_blank(ev->client_random, SECRET_RANDOM_LEN));
	CHECK(!secret_is_blank(ev->secret, ev->secret_len));
	run->sums.secrets++;
}

static int on_event(void *arg, const struct event *ev)
{
	struct run *run = arg;
	struct seen *seen;

	check_conn(ev);
	run->sums.events++;
	if (ev->type == EVENT_OPEN) {
		on_open(run, ev->conn->id);
		return 0;
	}
	seen = seen_find(run, ev->conn->id);
	if (ev->type == EVENT_SECRET) {
		on_secret(run, ev);
		return 0;
	}
	CHECK(seen);
	if (ev->type == EVENT_CLOSE) {
		CHECK(ev->close <= CLOSE_END);
		CHECK(ev->total[0] == seen->next[0] && ev->total[1] == seen->next[1]);
		seen->open = 0;
		return 0;
	}
	CHECK(ev->dir == DIR_IN || ev->dir == DIR_OUT);
	CHECK(ev->len && ev->offset == seen->next[ev->dir]);
	seen->next[ev->dir] += ev->len;
	CHECK(seen->next[ev->dir] >= ev->len);
	if (ev->type == EVENT_GAP) {
		CHECK(ev->gap < GAP_UNTRACKED && !ev->data);
		run->sums.gaps[ev->gap]++;
		run->sums.gap_bytes[ev->gap] += ev->len;
		return 0;
	}
	CHECK(ev->type == EVENT_DATA && ev->data);
	run->sums.bytes[ev->dir] += ev->len;
	for (uint64_t i = 0; i < ev->len; i++)
		run->sum += ev->data[i];
	return 0;
}

static uint64_t same_time(void *arg, uint64_t ns)
{
	(void)arg;
	return ns;
}

static const char *file_name(void *arg, uint32_t file)
{
	(void)arg;
	return file ? "" : "/lib/libssl.so.3";
}

static const char *cgroup_path(void *arg, uint64_t id)
{
	(void)arg;
	return id ? "/group" : "";
}

/* Handles are indices; the kernel knows every second one's connection. */
static int conn_state(void *arg, uint32_t pid, uint64_t handle, struct conn *ret_conn)
{
	struct run *run = arg;

	if (handle >= CONNS || handle % 2 || pid != PID(handle))
		return -ENOENT;
	*ret_conn = (struct conn) { .id = handle,
				    .tgid = pid,
				    .off = { run->off[handle][0], run->off[handle][1] } };
	return 0;
}

static void conn_drop(void *arg, uint32_t pid, uint64_t handle)
{
	(void)arg;
	CHECK(handle < CONNS && pid == PID(handle));
}

static const struct flow_ops ops = {
	.event = on_event,
	.from_mono = same_time,
	.from_boot = same_time,
	.file_name = file_name,
	.cgroup_path = cgroup_path,
	.conn_state = conn_state,
	.conn_drop = conn_drop,
};

/* All kinds begin alike; the longest with no payload is rec_proc. */
union any {
	struct rec h;
	struct rec_data data;
	struct rec_conn conn;
	struct rec_proc proc;
	struct rec_state state;
	struct rec_secret secret;
	uint8_t bytes[sizeof(struct rec_proc)];
};

static const size_t sizes[] = {
	[REC_DATA] = sizeof(struct rec_data),	[REC_GAP] = sizeof(struct rec_data),
	[REC_CONN] = sizeof(struct rec_conn),	[REC_PROC] = sizeof(struct rec_proc),
	[REC_CLOSE] = sizeof(struct rec_state), [REC_EXIT] = sizeof(struct rec),
	[REC_STATE] = sizeof(struct rec_state), [REC_SECRET] = sizeof(struct rec_secret),
};

/* Three bytes of the input: a loss before it, how far it jumps ahead, and its length. */
static size_t fill_data(struct run *run, union any *any, unsigned int id, const uint8_t *p)
{
	uint64_t *off = &run->off[id][any->h.dir], *lost = &run->lost[id][any->h.dir];
	size_t len = p[2];

	*off += p[0] & 0x7f;
	*lost += p[0] & 0x7f;
	/* The loss is told later. */
	any->data.lost = p[0] & 0x80 ? 0 : *lost;
	/* It comes before or after its turn. */
	any->data.off = *off + (p[1] & 0x0f) - (p[1] >> 4 > *off ? *off : p[1] >> 4);
	any->data.len = len;
	any->h.reason = p[1] & 3;
	if (!(p[1] & 0x80))
		*off += len;
	return any->h.type == REC_DATA ? len : 0;
}

/* The record in memory of its very size. */
static void feed(struct run *run, const void *rec, size_t len)
{
	const struct stats before = *flow_stats(run->flow);
	void *copy = malloc(len ? len : 1);
	int r;

	CHECK(copy);
	memcpy(copy, rec, len);
	r = flow_record(run->flow, copy, len);
	CHECK(r == 0 || r == -EBADMSG);
	if (r)
		CHECK(!memcmp(flow_stats(run->flow), &before, sizeof(before)));
	free(copy);
}

/*
 * Four bytes of the input: label, length, client random, secret. Few of each, so that they meet.
 */
static void fill_secret(struct rec_secret *rec, const uint8_t *p)
{
	const char *name = secret_label_name(p[0] & 0x0f);

	rec->fixed = p[0] & 0x10 ? p[0] & 0x0f : 0;
	memset(rec->label, 'x', sizeof(rec->label));
	if (!(p[0] & 0x20))
		strcpy(rec->label, name);
	rec->len = p[1] & 0x80 ? p[1] : p[1] & 1 ? 32 : 48;
	rec->cookie = p[1] & 2 ? COOKIE_NO_FREE : 0;
	memset(rec->random, p[2] & 3, sizeof(rec->random));
	rec->random[0] = p[2] >> 4;
	/* Each part of it differs from blank, unless the input wants it. */
	memset(rec->secret, p[3] & 3, sizeof(rec->secret));
	for (size_t i = 0; i < sizeof(rec->secret); i += 16)
		rec->secret[i] = p[3] >> 4;
}

/* The one type too many for three bits has no direction. */
static uint16_t kind(uint8_t byte)
{
	if ((byte & KIND_MASK) == REC_SECRET)
		return byte & FLAG_DIR ? REC_SECRET : REC_STATE;
	return byte & KIND_MASK;
}

/* Returns how much of the input it took. */
static size_t record(struct run *run, const uint8_t *p, size_t size)
{
	union any any = { .h = { .type = kind(p[0]) } };
	unsigned int id = p[0] >> ID_SHIFT;
	uint8_t buf[sizeof(struct rec_data) + 256] = { 0 };
	size_t len, used = 1, payload = 0;

	any.h.dir = !!(p[0] & FLAG_DIR);
	any.h.conn = id;
	any.h.pid = PID(id);
	if (!any.h.type) {
		/* Raw: a length and the bytes. */
		if (size < 2)
			return size;
		len = p[1] < size - 2 ? p[1] : size - 2;
		feed(run, p + 2, len);
		return 2 + len;
	}
	len = sizes[any.h.type];
	switch (any.h.type) {
	case REC_DATA:
	case REC_GAP:
		if (size < 4)
			return size;
		payload = fill_data(run, &any, id, p + 1);
		used = 4;
		break;
	case REC_CONN:
		any.conn.handle = id;
		break;
	case REC_PROC:
		if (size < 3)
			return size;
		any.proc.start_ns = p[1] & 3;
		any.proc.cgroup_id = p[1] & 4;
		any.proc.path_len = p[1] & 8 ? (uint32_t)p[2] << 8 : p[2];
		used = 3;
		for (size_t i = 0; i < p[2] && used < size && i < 32; i++)
			any.proc.path[i] = (char)p[used++];
		break;
	case REC_SECRET:
		if (size < 5)
			return size;
		fill_secret(&any.secret, p + 1);
		used = 5;
		break;
	case REC_CLOSE:
	case REC_STATE:
		any.state.handle = id;
		any.state.off[0] = run->off[id][0];
		any.state.off[1] = run->off[id][1];
		break;
	}
	if (p[0] & FLAG_CUT)
		len--;
	if (!payload) {
		feed(run, &any, len);
		return used;
	}
	memcpy(buf, &any, sizeof(any.data));
	memset(buf + sizeof(any.data), 'x', payload);
	feed(run, buf, len + payload);
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stats stats;
	struct run run = { 0 };

	CHECK(!flow_new(&ops, &run, &run.flow));
	while (size) {
		size_t n = record(&run, data, size);

		data += n;
		size -= n;
	}
	/* Half of the inputs end with connections waiting in the middle of something. */
	if (run.sums.events % 2)
		CHECK(!flow_end(run.flow, 1));
	stats = *flow_stats(run.flow);
	CHECK(stats.secret_connections <= stats.secrets &&
	      !stats.secrets == !stats.secret_connections);
	/* Of these no event tells. */
	stats.secret_connections = stats.secrets_lost = stats.secrets_refused = 0;
	CHECK(!memcmp(&stats, &run.sums, sizeof(stats)));
	flow_free(run.flow);
	free(run.seen);
	return 0;
}

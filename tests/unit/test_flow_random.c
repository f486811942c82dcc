/* SPDX-License-Identifier: Apache-2.0 */
/* Every byte is in an event, whatever a random run drops and mixes. */
#include "flow_scene.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_order),
		cmocka_unit_test(random_drops),
		cmocka_unit_test(random_drops_and_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets through the flow: which become events, which are refused, and for whom. */
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

#include <cmocka.h>

#include "event/stats.h"
#include "flow/flow.h"
#include "flow/secrets.h"

#define PID	     100
#define LIBRARY	     (1ULL << COOKIE_FILE_SHIFT)
#define LIBRARY_BARE (LIBRARY | COOKIE_NO_FREE)
#define REFUSED	     "refused\n"
#define LOST	     "lost\n"

/* A flow whose events are written down, a line each. */
struct rig {
	struct flow *flow;
	struct stats seen;
	char log[4096];
	size_t len;
	bool quiet;
	bool fails;
	uint64_t cookie; /* of the next secret */
	uint32_t pid;	 /* the same */
};

static void __attribute__((format(printf, 2, 3))) note(struct rig *rig, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	rig->len += vsnprintf(rig->log + rig->len, sizeof(rig->log) - rig->len, fmt, ap);
	va_end(ap);
	assert_true(rig->len < sizeof(rig->log));
}

/* A random and a secret are told by their first byte; the others are made from it. */
static void fill(uint8_t *p, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(first + i);
}

static void assert_filled(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(p[i], (uint8_t)(p[0] + i));
}

static int on_event(void *arg, const struct event *ev)
{
	struct rig *rig = arg;

	if (rig->quiet)
		return 0;
	note(rig, "%s %" PRIu64, event_type_name(ev->type), ev->conn->id);
	if (ev->type == EVENT_SECRET) {
		assert_filled(ev->client_random, SECRET_RANDOM_LEN);
		assert_filled(ev->secret, ev->secret_len);
		note(rig, " %s %x %x+%zu", secret_label_name(ev->label), ev->client_random[0],
		     ev->secret[0], ev->secret_len);
		assert_int_equal(ev->pid, ev->conn->process->pid);
		assert_int_equal(ev->tid, ev->pid + 1);
		assert_string_equal(ev->comm, "main");
		assert_string_equal(ev->conn->library, "/lib/tls");
	}
	note(rig, "\n");
	return rig->fails ? -EIO : 0;
}

static uint64_t same_time(void *arg, uint64_t ns)
{
	(void)arg;
	return ns;
}

static const char *file_name(void *arg, uint32_t file)
{
	(void)arg;
	return file == 1 ? "/lib/tls" : "";
}

static const char *cgroup_path(void *arg, uint64_t id)
{
	(void)arg;
	(void)id;
	return "";
}

/* The kernel has the connections of PID, by their handles. */
static int conn_state(void *arg, uint32_t pid, uint64_t handle, struct conn *ret_conn)
{
	(void)arg;
	if (pid != PID)
		return -ENOENT;
	*ret_conn = (struct conn) { .id = handle, .tgid = pid };
	return 0;
}

static void conn_drop(void *arg, uint32_t pid, uint64_t handle)
{
	(void)arg;
	(void)pid;
	(void)handle;
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

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	if (!rig)
		return -1;
	rig->cookie = LIBRARY_BARE;
	rig->pid = PID;
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

/* The record in memory of its very size, so that a sanitizer sees what is read behind it. */
static int feed(struct rig *rig, const void *rec, size_t len)
{
	void *copy = malloc(len);
	int r;

	assert_non_null(copy);
	memcpy(copy, rec, len);
	r = flow_record(rig->flow, copy, len);
	free(copy);
	return r;
}

static struct rec head(struct rig *rig, uint16_t type, uint64_t conn)
{
	return (struct rec) {
		.type = type, .pid = rig->pid, .tid = rig->pid + 1, .time_ns = 1, .conn = conn
	};
}

static struct rec_secret make(struct rig *rig, uint64_t conn, const char *label, uint8_t random,
			      uint8_t secret, uint32_t len)
{
	struct rec_secret rec = {
		.h = head(rig, REC_SECRET, conn), .cookie = rig->cookie, .len = len, .comm = "main"
	};

	memset(rec.label, 'x', sizeof(rec.label));
	memcpy(rec.label, label, strlen(label) + 1);
	fill(rec.random, sizeof(rec.random), random);
	fill(rec.secret, sizeof(rec.secret), secret);
	return rec;
}

/* What was counted and made no event stands in the log as well. */
static int put(struct rig *rig, const struct rec_secret *rec)
{
	int r = feed(rig, rec, sizeof(*rec));
	const struct stats *stats = flow_stats(rig->flow);

	if (stats->secrets_lost != rig->seen.secrets_lost)
		note(rig, LOST);
	if (stats->secrets_refused != rig->seen.secrets_refused)
		note(rig, REFUSED);
	rig->seen = *stats;
	return r;
}

static void secret(struct rig *rig, uint64_t conn, const char *label, uint8_t random, uint8_t first,
		   uint32_t len)
{
	struct rec_secret rec = make(rig, conn, label, random, first, len);

	assert_int_equal(put(rig, &rec), 0);
}

static void known_conn(struct rig *rig, uint64_t id)
{
	struct rec_conn rec = { .h = head(rig, REC_CONN, id), .handle = id, .cookie = LIBRARY };

	assert_int_equal(feed(rig, &rec, sizeof(rec)), 0);
}

static void state_of(struct rig *rig, uint16_t type, uint64_t id, uint64_t in)
{
	struct rec_state rec = { .h = head(rig, type, id), .handle = id, .off = { in, 0 } };

	assert_int_equal(feed(rig, &rec, sizeof(rec)), 0);
}

/* Compares what has been logged since the last call. */
static void expect(struct rig *rig, const char *log)
{
	assert_string_equal(rig->log, log);
	rig->len = 0;
	rig->log[0] = '\0';
}

static void all_labels(void **state)
{
	static const char *const early[] = { "CLIENT_EARLY_TRAFFIC_SECRET",
					     "EARLY_EXPORTER_SECRET" };
	static const char *const rest[] = {
		"CLIENT_HANDSHAKE_TRAFFIC_SECRET",
		"SERVER_HANDSHAKE_TRAFFIC_SECRET",
		"CLIENT_TRAFFIC_SECRET_0",
		"SERVER_TRAFFIC_SECRET_0",
		"EXPORTER_SECRET",
	};
	struct rig *rig = *state;

	/* A session of another hash was resumed. */
	for (uint8_t i = 0; i < 2; i++)
		secret(rig, 1, early[i], 0x10, i, 32);
	for (uint8_t i = 0; i < 5; i++)
		secret(rig, 1, rest[i], 0x10, 0x40 + i, 48);
	expect(rig, "secret 1 CLIENT_EARLY_TRAFFIC_SECRET 10 0+32\n"
		    "secret 1 EARLY_EXPORTER_SECRET 10 1+32\n"
		    "secret 1 CLIENT_HANDSHAKE_TRAFFIC_SECRET 10 40+48\n"
		    "secret 1 SERVER_HANDSHAKE_TRAFFIC_SECRET 10 41+48\n"
		    "secret 1 CLIENT_TRAFFIC_SECRET_0 10 42+48\n"
		    "secret 1 SERVER_TRAFFIC_SECRET_0 10 43+48\n"
		    "secret 1 EXPORTER_SECRET 10 44+48\n");
	secret(rig, 2, "CLIENT_RANDOM", 0x20, 0x80, 48);
	expect(rig, "secret 2 CLIENT_RANDOM 20 80+48\n");
	assert_int_equal(flow_stats(rig->flow)->secrets, 8);
	assert_int_equal(flow_stats(rig->flow)->secret_connections, 2);
	assert_int_equal(flow_stats(rig->flow)->events, 8);
	/* Nothing was opened, so nothing closes. */
	assert_int_equal(flow_end(rig->flow, 2), 0);
	expect(rig, "");
	assert_int_equal(flow_stats(rig->flow)->connections, 0);
}

static void labels_passed_over(void **state)
{
	static const char *const labels[] = {
		"RSA",
		"CLIENT_RANDOM_",
		"CLIENT_RANDO",
		"client_random",
		"CLIENT_TRAFFIC_SECRET_N",
		"CLIENT_TRAFFIC_SECRET_1",
		"ECH_SECRET",
		"\033[2J",
	};
	struct rig *rig = *state;
	struct rec_secret rec;

	for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
		secret(rig, 1, labels[i], 0x10, 0x20, 48);
		secret(rig, 1, labels[i], 0x10, 0x20, 8);
		secret(rig, 1, labels[i], 0x10, 0x20, 0);
	}
	/* No NUL: longer than any label, whatever it begins with. */
	rec = make(rig, 1, "", 0x10, 0x20, 48);
	memset(rec.label, 'C', sizeof(rec.label));
	assert_int_equal(put(rig, &rec), 0);
	rec = make(rig, 1, "CLIENT_RANDOM", 0x10, 0x20, 48);
	rec.fixed = LABEL_MAX;
	assert_int_equal(put(rig, &rec), 0);
	rec.fixed = UINT32_MAX;
	assert_int_equal(put(rig, &rec), 0);
	expect(rig, "");
	assert_int_equal(flow_stats(rig->flow)->events, 0);
}

static void fixed_label(void **state)
{
	struct rig *rig = *state;
	struct rec_secret rec = make(rig, 1, "whatever", 0x10, 0x20, 48);

	rec.fixed = LABEL_CLIENT_RANDOM;
	assert_int_equal(put(rig, &rec), 0);
	expect(rig, "secret 1 CLIENT_RANDOM 10 20+48\n");
}

static void lost(void **state)
{
	struct rig *rig = *state;
	struct rec_secret rec = make(rig, 1, "", 0x10, 0x20, 0);

	secret(rig, 1, "CLIENT_RANDOM", 0x10, 0x20, 0);
	expect(rig, LOST);
	/* Not even its label could be read. */
	assert_int_equal(put(rig, &rec), 0);
	expect(rig, LOST);
	flow_secrets_lost(rig->flow, 3);
	assert_int_equal(flow_stats(rig->flow)->secrets_lost, 5);
}

static void wrong_lengths(void **state)
{
	static const uint32_t master[] = { 1, 16, 32, 47, 49, 64, 65, UINT32_MAX };
	static const uint32_t traffic[] = { 1, 31, 33, 47, 49, 64, 65, UINT32_MAX };
	struct rig *rig = *state;

	for (size_t i = 0; i < sizeof(master) / sizeof(*master); i++) {
		secret(rig, 1, "CLIENT_RANDOM", 0x10, 0x20, master[i]);
		expect(rig, REFUSED);
		secret(rig, 1, "CLIENT_TRAFFIC_SECRET_0", 0x30, 0x20, traffic[i]);
		expect(rig, REFUSED);
	}
	/* None of them left a trace. */
	secret(rig, 1, "CLIENT_RANDOM", 0x10, 0x21, 48);
	secret(rig, 1, "CLIENT_TRAFFIC_SECRET_0", 0x30, 0x21, 32);
	expect(rig, "secret 1 CLIENT_RANDOM 10 21+48\nsecret 1 CLIENT_TRAFFIC_SECRET_0 30 21+32\n");
}

static void blank(void **state)
{
	struct rig *rig = *state;
	struct rec_secret rec = make(rig, 1, "CLIENT_RANDOM", 0x10, 0x20, 48);

	memset(rec.secret, 0, 48);
	assert_int_equal(put(rig, &rec), 0);
	expect(rig, REFUSED);
	memset(rec.secret, 0xff, 48);
	assert_int_equal(put(rig, &rec), 0);
	expect(rig, REFUSED);
	/* One of 32 bytes, taken for one of 48; and one that is not all there yet. */
	fill(rec.secret, 32, 0x20);
	memset(rec.secret + 32, 0, 16);
	assert_int_equal(put(rig, &rec), 0);
	expect(rig, REFUSED);
	memset(rec.secret, 0, 16);
	fill(rec.secret + 16, 32, 0x20);
	assert_int_equal(put(rig, &rec), 0);
	expect(rig, REFUSED);
	rec = make(rig, 1, "CLIENT_RANDOM", 0x10, 0x20, 48);
	memset(rec.random, 0, sizeof(rec.random));
	assert_int_equal(put(rig, &rec), 0);
	expect(rig, REFUSED);
}

/* The hash is one for the handshake, and another one perhaps for the session that is resumed. */
static void one_length(void **state)
{
	struct rig *rig = *state;

	secret(rig, 1, "CLIENT_HANDSHAKE_TRAFFIC_SECRET", 0x10, 0x20, 32);
	secret(rig, 1, "SERVER_HANDSHAKE_TRAFFIC_SECRET", 0x10, 0x21, 48);
	secret(rig, 1, "SERVER_HANDSHAKE_TRAFFIC_SECRET", 0x10, 0x22, 32);
	secret(rig, 1, "CLIENT_EARLY_TRAFFIC_SECRET", 0x10, 0x23, 48);
	secret(rig, 1, "EARLY_EXPORTER_SECRET", 0x10, 0x24, 32);
	secret(rig, 1, "EARLY_EXPORTER_SECRET", 0x10, 0x25, 48);
	expect(rig, "secret 1 CLIENT_HANDSHAKE_TRAFFIC_SECRET 10 20+32\n" REFUSED
		    "secret 1 SERVER_HANDSHAKE_TRAFFIC_SECRET 10 22+32\n"
		    "secret 1 CLIENT_EARLY_TRAFFIC_SECRET 10 23+48\n" REFUSED
		    "secret 1 EARLY_EXPORTER_SECRET 10 25+48\n");
	/* Another handshake, another hash. */
	secret(rig, 1, "SERVER_HANDSHAKE_TRAFFIC_SECRET", 0x11, 0x26, 48);
	expect(rig, "secret 1 SERVER_HANDSHAKE_TRAFFIC_SECRET 11 26+48\n");
}

static void one_version(void **state)
{
	struct rig *rig = *state;

	secret(rig, 1, "CLIENT_RANDOM", 0x10, 0x20, 48);
	secret(rig, 1, "CLIENT_TRAFFIC_SECRET_0", 0x10, 0x21, 48);
	expect(rig, "secret 1 CLIENT_RANDOM 10 20+48\n" REFUSED);
	secret(rig, 2, "CLIENT_TRAFFIC_SECRET_0", 0x11, 0x21, 48);
	secret(rig, 2, "CLIENT_RANDOM", 0x11, 0x20, 48);
	expect(rig, "secret 2 CLIENT_TRAFFIC_SECRET_0 11 21+48\n" REFUSED);
	/* Early data for a server that turned out to know nothing of it. */
	secret(rig, 3, "CLIENT_EARLY_TRAFFIC_SECRET", 0x12, 0x22, 32);
	secret(rig, 3, "CLIENT_RANDOM", 0x12, 0x23, 48);
	expect(rig, "secret 3 CLIENT_EARLY_TRAFFIC_SECRET 12 22+32\n"
		    "secret 3 CLIENT_RANDOM 12 23+48\n");
}

/* Two names, one secret: one of the two names is wrong. */
static void one_name(void **state)
{
	struct rig *rig = *state;

	secret(rig, 1, "CLIENT_TRAFFIC_SECRET_0", 0x10, 0x20, 32);
	secret(rig, 1, "SERVER_TRAFFIC_SECRET_0", 0x10, 0x20, 32);
	expect(rig, "secret 1 CLIENT_TRAFFIC_SECRET_0 10 20+32\n" REFUSED);
	/* A session that is resumed in TLS 1.2 has the master secret of the one before. */
	secret(rig, 2, "CLIENT_RANDOM", 0x11, 0x30, 48);
	secret(rig, 3, "CLIENT_RANDOM", 0x12, 0x30, 48);
	expect(rig, "secret 2 CLIENT_RANDOM 11 30+48\nsecret 3 CLIENT_RANDOM 12 30+48\n");
}

/* A key update, or a place that was taken for another: the first one stands. */
static void first_one_stands(void **state)
{
	struct rig *rig = *state;

	secret(rig, 1, "CLIENT_TRAFFIC_SECRET_0", 0x10, 0x20, 32);
	secret(rig, 1, "CLIENT_TRAFFIC_SECRET_0", 0x10, 0x20, 32);
	expect(rig, "secret 1 CLIENT_TRAFFIC_SECRET_0 10 20+32\n");
	secret(rig, 1, "CLIENT_TRAFFIC_SECRET_0", 0x10, 0x21, 32);
	expect(rig, REFUSED);
	secret(rig, 1, "CLIENT_TRAFFIC_SECRET_0", 0x10, 0x20, 48);
	expect(rig, REFUSED);
	secret(rig, 1, "CLIENT_TRAFFIC_SECRET_0", 0x10, 0x20, 32);
	expect(rig, "");
}

/* Both ends within the machine: an event for each, and they have to agree. */
static void two_ends(void **state)
{
	struct rig *rig = *state;

	secret(rig, 1, "CLIENT_RANDOM", 0x10, 0x20, 48);
	secret(rig, 2, "CLIENT_RANDOM", 0x10, 0x20, 48);
	secret(rig, 1, "CLIENT_RANDOM", 0x10, 0x20, 48);
	secret(rig, 2, "CLIENT_RANDOM", 0x10, 0x20, 48);
	expect(rig, "secret 1 CLIENT_RANDOM 10 20+48\nsecret 2 CLIENT_RANDOM 10 20+48\n");
	secret(rig, 3, "CLIENT_RANDOM", 0x10, 0x21, 48);
	expect(rig, REFUSED);
	assert_int_equal(flow_stats(rig->flow)->secrets, 2);
	assert_int_equal(flow_stats(rig->flow)->secret_connections, 2);
}

/* A connection whose end is seen: its secrets open nothing. */
static void of_a_known_connection(void **state)
{
	struct rig *rig = *state;

	rig->cookie = LIBRARY;
	known_conn(rig, 7);
	secret(rig, 7, "CLIENT_RANDOM", 0x10, 0x20, 48);
	/* A renegotiation. */
	secret(rig, 7, "CLIENT_RANDOM", 0x11, 0x21, 48);
	expect(rig, "secret 7 CLIENT_RANDOM 10 20+48\nsecret 7 CLIENT_RANDOM 11 21+48\n");
	assert_int_equal(flow_stats(rig->flow)->secret_connections, 1);
	state_of(rig, REC_STATE, 7, 0);
	state_of(rig, REC_CLOSE, 7, 0);
	expect(rig, "");
	/* Bytes open one, whenever they come; here they were lost. */
	known_conn(rig, 8);
	secret(rig, 8, "CLIENT_RANDOM", 0x12, 0x22, 48);
	state_of(rig, REC_CLOSE, 8, 5);
	expect(rig, "secret 8 CLIENT_RANDOM 12 22+48\nopen 8\ngap 8\nclose 8\n");
	/* One that was never heard of ends. */
	state_of(rig, REC_CLOSE, 9, 0);
	expect(rig, "");
}

static void process_ends(void **state)
{
	struct rig *rig = *state;
	struct rec rec;

	rig->cookie = LIBRARY;
	known_conn(rig, 7);
	secret(rig, 7, "CLIENT_RANDOM", 0x10, 0x20, 48);
	rig->pid = 200;
	rig->cookie = LIBRARY_BARE;
	secret(rig, 8, "CLIENT_RANDOM", 0x11, 0x21, 48);
	expect(rig, "secret 7 CLIENT_RANDOM 10 20+48\nsecret 8 CLIENT_RANDOM 11 21+48\n");
	for (rig->pid = PID; rig->pid <= 200; rig->pid += 100) {
		rec = head(rig, REC_EXIT, 0);
		assert_int_equal(feed(rig, &rec, sizeof(rec)), 0);
	}
	expect(rig, "");
	/* What was in the ring behind the end is still a secret. */
	rig->pid = PID;
	secret(rig, 9, "CLIENT_RANDOM", 0x12, 0x22, 48);
	expect(rig, "secret 9 CLIENT_RANDOM 12 22+48\n");
}

static void garbage(void **state)
{
	struct rig *rig = *state;
	struct rec_secret rec = make(rig, 1, "CLIENT_RANDOM", 0x10, 0x20, 48);

	assert_int_equal(feed(rig, &rec, sizeof(rec) - 1), -EBADMSG);
	assert_int_equal(feed(rig, &rec, sizeof(rec.h)), -EBADMSG);
	expect(rig, "");
	rig->fails = true;
	assert_int_equal(feed(rig, &rec, sizeof(rec)), -EIO);
}

/* The oldest handshakes are forgotten, so a repeat of theirs is news. */
static void bounded(void **state)
{
	struct rig *rig = *state;
	struct rec_secret rec = make(rig, 1, "CLIENT_RANDOM", 0x10, 0x20, 48);

	rig->quiet = true;
	for (uint32_t i = 0; i <= SECRETS_HANDSHAKES_MAX; i++) {
		memcpy(rec.random, &i, sizeof(i));
		rec.h.conn = i;
		assert_int_equal(feed(rig, &rec, sizeof(rec)), 0);
	}
	assert_int_equal(flow_stats(rig->flow)->secrets, SECRETS_HANDSHAKES_MAX + 1);
	/* The second one is remembered, the first one is not. */
	memcpy(rec.random, &(uint32_t) { 1 }, 4);
	rec.h.conn = 1;
	assert_int_equal(feed(rig, &rec, sizeof(rec)), 0);
	assert_int_equal(flow_stats(rig->flow)->secrets, SECRETS_HANDSHAKES_MAX + 1);
	memcpy(rec.random, &(uint32_t) { 0 }, 4);
	rec.h.conn = 0;
	assert_int_equal(feed(rig, &rec, sizeof(rec)), 0);
	assert_int_equal(flow_stats(rig->flow)->secrets, SECRETS_HANDSHAKES_MAX + 2);
	assert_int_equal(flow_stats(rig->flow)->secrets_refused, 0);
}

#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(all_labels),	 RIG_TEST(labels_passed_over),
		RIG_TEST(fixed_label),	 RIG_TEST(lost),
		RIG_TEST(wrong_lengths), RIG_TEST(blank),
		RIG_TEST(one_length),	 RIG_TEST(one_version),
		RIG_TEST(one_name),	 RIG_TEST(first_one_stands),
		RIG_TEST(two_ends),	 RIG_TEST(of_a_known_connection),
		RIG_TEST(process_ends),	 RIG_TEST(garbage),
		RIG_TEST(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One JSON object a line, without loss. The schema is in cleartap-events(5). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event/endpoint.h"
#include "event/stats.h"
#include "out/json.h"
#include "out/sink.h"
#include "out/writer.h"
#include "util/utf8.h"

/* Goes up when a field is removed or changes its meaning, not when one is added. */
#define SCHEMA_VERSION 1

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_COL     20 /* of the first digit behind the point */
#define TIME_STRLEN  sizeof("2026-01-01T00:00:00.000000000Z")

struct ndjson {
	struct sink sink;
	struct writer *writer;

	/* The last time written, "" at first: most events share their second with the one before. */
	time_t sec;
	char time[TIME_STRLEN];
};

/* RFC 3339 in UTC with nanoseconds. */
static void put_time(struct ndjson *ndjson, struct json *json, const char *key, uint64_t time_ns)
{
	time_t sec = time_ns / NSEC_PER_SEC;
	uint32_t nsec = time_ns % NSEC_PER_SEC;
	struct tm tm = { 0 };

	if (!ndjson->time[0] || sec != ndjson->sec) {
		gmtime_r(&sec, &tm);
		strftime(ndjson->time, TIME_STRLEN, "%Y-%m-%dT%H:%M:%S.000000000Z", &tm);
		ndjson->sec = sec;
	}
	for (int i = 9; i > 0; i--, nsec /= 10)
		ndjson->time[NSEC_COL + i - 1] = '0' + nsec % 10;
	json_name(json, key, ndjson->time, TIME_STRLEN);
}

static void put_known(struct json *json, const char *key, const char *s, size_t len)
{
	if (s && len && s[0])
		json_name(json, key, s, len);
}

static void put_endpoint(struct json *json, const char *key, const struct endpoint *ep)
{
	char buf[ENDPOINT_STRLEN];

	if (endpoint_known(ep))
		json_name(json, key, endpoint_format(ep, buf), sizeof(buf));
}

/* The fields that all types share. */
static void put_common(struct ndjson *ndjson, struct json *json, const struct event *ev)
{
	const struct connection *conn = ev->conn;

	json_name(json, "type", event_type_name(ev->type), SIZE_MAX);
	put_time(ndjson, json, "time", ev->time_ns);
	if (ev->pid)
		json_u64(json, "pid", ev->pid);
	if (ev->tid)
		json_u64(json, "tid", ev->tid);
	put_known(json, "comm", ev->comm, sizeof(ev->comm));
	if (!conn)
		return;
	if (conn->process)
		put_known(json, "exe", conn->process->exe, SIZE_MAX);
	json_u64(json, "conn", conn->id);
	put_endpoint(json, "local", &conn->local);
	put_endpoint(json, "remote", &conn->remote);
}

static void put_open(struct ndjson *ndjson, struct json *json, const struct event *ev)
{
	const struct connection *conn = ev->conn;
	const struct process *process = conn ? conn->process : NULL;

	json_u64(json, "version", SCHEMA_VERSION);
	if (process) {
		json_u64(json, "ppid", process->ppid);
		json_u64(json, "uid", process->uid);
		json_u64(json, "gid", process->gid);
		if (process->start_ns)
			put_time(ndjson, json, "start", process->start_ns);
		put_known(json, "cgroup", process->cgroup, SIZE_MAX);
		if (process->cgroup_id)
			json_u64(json, "cgroup_id", process->cgroup_id);
	}
	if (conn)
		put_known(json, "library", conn->library, SIZE_MAX);
}

static void put_data(struct json *json, const struct event *ev)
{
	json_name(json, "dir", event_dir_name(ev->dir), SIZE_MAX);
	json_u64(json, "offset", ev->offset);
	json_u64(json, "len", ev->len);
	if (utf8_is_text(ev->data, ev->len))
		json_text(json, "text", ev->data, ev->len);
	else
		json_base64(json, "base64", ev->data, ev->len);
}

static void put_gap(struct json *json, const struct event *ev)
{
	json_name(json, "dir", event_dir_name(ev->dir), SIZE_MAX);
	/* Without a connection there is nothing that the offset could count from. */
	if (ev->conn)
		json_u64(json, "offset", ev->offset);
	json_u64(json, "len", ev->len);
	json_name(json, "reason", gap_reason_name(ev->gap), SIZE_MAX);
}

static void put_close(struct json *json, const struct event *ev)
{
	json_name(json, "reason", close_reason_name(ev->close), SIZE_MAX);
	json_u64(json, "in", ev->total[DIR_IN]);
	json_u64(json, "out", ev->total[DIR_OUT]);
}

static void put_secret(struct json *json, const struct event *ev)
{
	json_name(json, "label", secret_label_name(ev->label), SIZE_MAX);
	json_hex(json, "client_random", ev->client_random, SECRET_RANDOM_LEN);
	json_hex(json, "secret", ev->secret, ev->secret_len);
	if (ev->conn)
		put_known(json, "library", ev->conn->library, SIZE_MAX);
}

static void put_stats(struct json *json, const struct stats *stats)
{
	json_u64(json, "version", SCHEMA_VERSION);
	json_u64(json, "events", stats->events);
	json_u64(json, "connections", stats->connections);
	json_u64(json, "bytes_in", stats->bytes[DIR_IN]);
	json_u64(json, "bytes_out", stats->bytes[DIR_OUT]);
	json_object(json, "gaps");
	for (int i = 0; i < GAP_REASON_MAX; i++) {
		if (!stats->gaps[i] && !stats->gap_bytes[i])
			continue;
		json_object(json, gap_reason_name(i));
		json_u64(json, "count", stats->gaps[i]);
		json_u64(json, "bytes", stats->gap_bytes[i]);
		json_end(json);
	}
	json_end(json);
	json_u64(json, "gap_bytes", stats_gap_bytes(stats));
	json_u64(json, "calls_missed", stats->calls_missed);
	json_u64(json, "secrets", stats->secrets);
	json_u64(json, "secrets_lost", stats->secrets_lost);
	json_u64(json, "secrets_refused", stats->secrets_refused);
}

static int ndjson_event(struct sink *sink, const struct event *ev)
{
	struct ndjson *ndjson = (struct ndjson *)sink;
	struct json json;

	json_begin(&json, ndjson->writer);
	put_common(ndjson, &json, ev);
	switch (ev->type) {
	case EVENT_OPEN:
		put_open(ndjson, &json, ev);
		break;
	case EVENT_DATA:
		put_data(&json, ev);
		break;
	case EVENT_GAP:
		put_gap(&json, ev);
		break;
	case EVENT_CLOSE:
		put_close(&json, ev);
		break;
	case EVENT_SECRET:
		put_secret(&json, ev);
		break;
	case EVENT_STATS:
		put_stats(&json, ev->stats);
		break;
	}
	json_end(&json);
	return writer_put(ndjson->writer, "\n", 1);
}

static int ndjson_flush(struct sink *sink)
{
	return writer_flush(((struct ndjson *)sink)->writer);
}

static void ndjson_free(struct sink *sink)
{
	free(sink);
}

static const struct sink_ops ndjson_ops = {
	.name = "ndjson",
	.event = ndjson_event,
	.flush = ndjson_flush,
	.free = ndjson_free,
};

int ndjson_new(struct writer *writer, struct sink **ret_sink)
{
	struct ndjson *ndjson = calloc(1, sizeof(*ndjson));

	if (!ndjson)
		return -ENOMEM;
	ndjson->sink.ops = &ndjson_ops;
	ndjson->writer = writer;
	*ret_sink = &ndjson->sink;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "probe/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "plain.skel.h"
#include "probe/link.h"

struct tap {
	struct plain_bpf *skel;
	struct ring_buffer *ring;
	struct bpf_link *tracepoints[8];
	size_t tracepoint_count;
	struct probe_links links;
	bool multi;
	enum tap_sockets sockets;
	tap_record_fn fn;
	void *arg;
	size_t taken;	       /* records in this tap_consume() */
	uint32_t record_sites; /* places taken in the map sites */
	uint32_t secret_sites; /* and in secret_sites */
};

static int on_record(void *ctx, void *data, size_t len)
{
	struct tap *tap = ctx;

	tap->taken++;
	return tap->fn(tap->arg, data, len) ? -EAGAIN : 0;
}

uint32_t tap_kernel_dev(dev_t dev)
{
	return major(dev) << 20 | minor(dev);
}

static void configure(struct tap *tap, const struct tap_config *config)
{
	struct plain_bpf *skel = tap->skel;
	uint64_t wake = config->ring_bytes / 8;

	struct stat root;

	if (!stat("/", &root)) {
		skel->rodata->cfg_root_ino = root.st_ino;
		skel->rodata->cfg_root_dev = tap_kernel_dev(root.st_dev);
	}
	skel->rodata->cfg_self = (uint32_t)getpid();
	skel->rodata->cfg_filters = config->filters;
	skel->rodata->cfg_children = config->children;
	skel->rodata->cfg_wake_bytes = wake < (1 << 20) ? wake : 1 << 20;
	bpf_map__set_max_entries(skel->maps.ring, (uint32_t)config->ring_bytes);
	bpf_program__set_autoload(skel->progs.process_fork, config->children);
	if (tap->multi) {
		probe_multi_prepare(skel->progs.call_enter);
		probe_multi_prepare(skel->progs.call_return);
		probe_multi_prepare(skel->progs.handle_free);
		probe_multi_prepare(skel->progs.record_move);
		probe_multi_prepare(skel->progs.secret_handed);
	}
}

/* The kernel says EINVAL and EACCES for programs that it does not understand. */
static int load_error(int r)
{
	return r == -EPERM || r == -ENOMEM ? r : -EOPNOTSUPP;
}

int tap_new(const struct tap_config *config, struct tap **ret_tap)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int r;

	if (!tap)
		return -ENOMEM;
	tap->multi = probe_multi_supported();
	tap->skel = plain_bpf__open();
	if (!tap->skel) {
		r = load_error(-errno);
		goto fail;
	}
	configure(tap, config);
	r = plain_bpf__load(tap->skel);
	if (r) {
		r = load_error(r);
		goto fail;
	}
	tap->ring = ring_buffer__new(bpf_map__fd(tap->skel->maps.ring), on_record, tap, NULL);
	if (!tap->ring) {
		r = -errno;
		goto fail;
	}
	*ret_tap = tap;
	return 0;
fail:
	tap_free(tap);
	return r;
}

void tap_free(struct tap *tap)
{
	if (!tap)
		return;
	tap_detach(tap);
	ring_buffer__free(tap->ring);
	plain_bpf__destroy(tap->skel);
	free(tap);
}

int tap_filter(struct tap *tap, enum filter_kind kind, uint64_t a, uint64_t b)
{
	struct filter_key key = { .kind = kind, .a = a, .b = b };
	uint32_t one = 1;

	return bpf_map__update_elem(tap->skel->maps.filters, &key, sizeof(key), &one, sizeof(one),
				    BPF_ANY);
}

static int attach_tracepoint(struct tap *tap, struct bpf_program *prog)
{
	struct bpf_link *link = bpf_program__attach(prog);

	if (!link)
		return -errno;
	tap->tracepoints[tap->tracepoint_count++] = link;
	return 0;
}

int tap_start(struct tap *tap)
{
	int r;

	r = attach_tracepoint(tap, tap->skel->progs.process_exit);
	if (!r)
		r = attach_tracepoint(tap, tap->skel->progs.process_exec);
	if (!r && tap->skel->rodata->cfg_children)
		r = attach_tracepoint(tap, tap->skel->progs.process_fork);
	if (r)
		return r;
	if (!attach_tracepoint(tap, tap->skel->progs.socket_send) &&
	    !attach_tracepoint(tap, tap->skel->progs.socket_receive))
		tap->sockets = TAP_SOCKETS_BOTH;
	else if (!attach_tracepoint(tap, tap->skel->progs.socket_adjust))
		tap->sockets = TAP_SOCKETS_RECEIVE;
	return 0;
}

enum tap_sockets tap_sockets(const struct tap *tap)
{
	return tap->sockets;
}

void tap_early_thread(struct tap *tap, pid_t tid)
{
	struct thread thread = { .early = 1 };
	uint32_t key = (uint32_t)tid;

	(void)bpf_map__update_elem(tap->skel->maps.threads, &key, sizeof(key), &thread,
				   sizeof(thread), BPF_NOEXIST);
}

/* What is more than a cookie can hold gets a place in a map, whose number is the cookie then. */
static int place_take(struct bpf_map *map, uint32_t *taken, const void *value, size_t size,
		      uint64_t *ret_cookie)
{
	int r;

	if (*taken == bpf_map__max_entries(map))
		return -E2BIG;
	r = bpf_map__update_elem(map, taken, sizeof(*taken), value, size, BPF_ANY);
	if (!r)
		*ret_cookie = (*taken)++;
	return r;
}

static int site_cookie(struct tap *tap, const struct tap_site *site, uint64_t *ret_cookie)
{
	struct record_site record = site->record;
	struct secret_site secret = site->secret;

	record.cookie = secret.cookie = *ret_cookie = site->cookie;
	if (site->program == TAP_RECORD)
		return place_take(tap->skel->maps.sites, &tap->record_sites, &record,
				  sizeof(record), ret_cookie);
	if (site->program == TAP_SECRET)
		return place_take(tap->skel->maps.secret_sites, &tap->secret_sites, &secret,
				  sizeof(secret), ret_cookie);
	return 0;
}

static int attach_program(struct tap *tap, struct bpf_program *prog, bool retprobe, int fd,
			  pid_t pid, const struct tap_site *sites, size_t count,
			  enum tap_program which)
{
	uint64_t offsets[PROBE_SITES_MAX], cookies[PROBE_SITES_MAX];
	size_t n = 0;
	int r;

	for (size_t i = 0; i < count; i++) {
		if (sites[i].program != which)
			continue;
		if (n == PROBE_SITES_MAX)
			return -E2BIG;
		offsets[n] = sites[i].offset;
		r = site_cookie(tap, &sites[i], &cookies[n]);
		if (r)
			return r;
		n++;
	}
	if (!n)
		return 0;
	if (tap->multi)
		return probe_attach_multi(&tap->links, prog, retprobe, fd, pid, offsets, cookies,
					  n);
	return probe_attach_perf(&tap->links, prog, retprobe, fd, pid, offsets, cookies, n);
}

int tap_attach(struct tap *tap, int fd, pid_t pid, const struct tap_site *sites, size_t count)
{
	int r;

	/* The return first: an entry without its return would leave its frame behind. */
	r = attach_program(tap, tap->skel->progs.call_return, true, fd, pid, sites, count,
			   TAP_CALL);
	if (!r)
		r = attach_program(tap, tap->skel->progs.handle_free, false, fd, pid, sites, count,
				   TAP_FREE);
	if (!r)
		r = attach_program(tap, tap->skel->progs.record_move, false, fd, pid, sites, count,
				   TAP_RECORD);
	if (!r)
		r = attach_program(tap, tap->skel->progs.secret_handed, false, fd, pid, sites,
				   count, TAP_SECRET);
	if (!r)
		r = attach_program(tap, tap->skel->progs.call_enter, false, fd, pid, sites, count,
				   TAP_CALL);
	return r;
}

void tap_detach(struct tap *tap)
{
	probe_links_done(&tap->links);
	for (size_t i = 0; i < tap->tracepoint_count; i++)
		bpf_link__destroy(tap->tracepoints[i]);
	tap->tracepoint_count = 0;
}

int tap_fd(const struct tap *tap)
{
	return ring_buffer__epoll_fd(tap->ring);
}

size_t tap_consume(struct tap *tap, tap_record_fn fn, void *arg)
{
	tap->fn = fn;
	tap->arg = arg;
	tap->taken = 0;
	/* Its result is the number of records only when none of them said stop. */
	(void)ring_buffer__consume(tap->ring);
	return tap->taken;
}

void tap_idle(struct tap *tap, bool idle)
{
	__atomic_store_n(&tap->skel->bss->reader_idle, idle, __ATOMIC_SEQ_CST);
}

uint64_t tap_counter(struct tap *tap, enum counter which)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t sum = 0, *values;
	uint32_t key = which;

	values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	if (!values)
		return 0;
	if (!bpf_map__lookup_elem(tap->skel->maps.counters, &key, sizeof(key), values,
				  (size_t)cpus * sizeof(*values), 0)) {
		for (int i = 0; i < cpus; i++)
			sum += values[i];
	}
	free(values);
	return sum;
}

int tap_conn_get(struct tap *tap, uint32_t tgid, uint64_t handle, struct conn *ret_conn)
{
	struct conn_key key = { .handle = handle, .tgid = tgid };

	return bpf_map__lookup_elem(tap->skel->maps.conns, &key, sizeof(key), ret_conn,
				    sizeof(*ret_conn), 0);
}

void tap_conn_drop(struct tap *tap, uint32_t tgid, uint64_t handle)
{
	struct conn_key key = { .handle = handle, .tgid = tgid };

	(void)bpf_map__delete_elem(tap->skel->maps.conns, &key, sizeof(key), 0);
}

/*
 * Keys are collected before anything is done with them: a walk over a hash map starts anew when
 * the key it stands on is deleted.
 */
static size_t keys_collect(struct bpf_map *map, size_t key_size, void **ret_keys)
{
	size_t max = bpf_map__max_entries(map), n = 0;
	char *keys = calloc(max, key_size);
	const void *prev = NULL;

	*ret_keys = keys;
	if (!keys)
		return 0;
	while (n < max && !bpf_map__get_next_key(map, prev, keys + n * key_size, key_size)) {
		prev = keys + n * key_size;
		n++;
	}
	return n;
}

uint64_t tap_calls_cut(struct tap *tap)
{
	struct bpf_map *map = tap->skel->maps.threads;
	struct thread thread;
	uint64_t cut = 0;
	uint32_t *tids;
	size_t count;

	count = keys_collect(map, sizeof(*tids), (void **)&tids);
	for (size_t i = 0; i < count; i++) {
		if (bpf_map__lookup_elem(map, &tids[i], sizeof(tids[i]), &thread, sizeof(thread),
					 0))
			continue;
		for (uint32_t depth = 0; depth < thread.depth && depth < FRAMES; depth++)
			cut += thread.frame[depth].sent != 0;
	}
	free(tids);
	return cut;
}

int tap_conns_each(struct tap *tap, tap_conn_fn fn, void *arg)
{
	struct bpf_map *map = tap->skel->maps.conns;
	struct conn_key *keys;
	struct conn conn;
	size_t count;
	int r = 0;

	count = keys_collect(map, sizeof(*keys), (void **)&keys);
	if (!keys)
		return -ENOMEM;
	for (size_t i = 0; i < count && !r; i++) {
		if (!bpf_map__lookup_elem(map, &keys[i], sizeof(keys[i]), &conn, sizeof(conn), 0))
			r = fn(arg, &keys[i], &conn);
	}
	free(keys);
	return r;
}

int tap_orphans_take(struct tap *tap, tap_conn_fn fn, void *arg)
{
	struct bpf_map *map = tap->skel->maps.orphans;
	struct conn_key key = { 0 };
	struct conn conn;
	uint64_t *ids;
	size_t count;
	int r = 0;

	count = keys_collect(map, sizeof(*ids), (void **)&ids);
	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < count && !r; i++) {
		if (bpf_map__lookup_elem(map, &ids[i], sizeof(ids[i]), &conn, sizeof(conn), 0))
			continue;
		(void)bpf_map__delete_elem(map, &ids[i], sizeof(ids[i]), 0);
		key.tgid = conn.tgid;
		r = fn(arg, &key, &conn);
	}
	free(ids);
	return r;
}

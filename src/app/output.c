// SPDX-License-Identifier: Apache-2.0
#include "app/output.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/outlet.h"
#include "app/targets.h"
#include "flow/flow.h"
#include "probe/tap.h"
#include "proc/cgroup.h"
#include "util/clock.h"
#include "util/queue.h"

/* How long the first part of a character waits for the rest before it is shown as bytes. */
#define HOLD_MS 250
/* The wall clock may be set while we run. */
#define CLOCK_AGE_NS 1000000000ULL

struct output {
	struct output_config config;
	struct flow *flow;
	struct cgroups *cgroups;
	struct clock clock;
	uint64_t clock_read_ns;
	struct output_missing missing;
	atomic_int error;
	const struct outlet *failed; /* whose error it is; the thread's */
	atomic_bool reopen;
	atomic_bool finished;
	pthread_t thread;
	bool started;
};

static void notify(struct output *output)
{
	uint64_t one = 1;

	(void)!write(output->config.notify, &one, sizeof(one));
}

static void fail(struct output *output, const struct outlet *outlet, int error)
{
	int none = 0;

	if (!error || !atomic_compare_exchange_strong(&output->error, &none, error))
		return;
	output->failed = outlet;
	notify(output);
}

static int on_event(void *arg, const struct event *ev)
{
	struct output *output = arg;
	struct outlet *outlet = output->config.outlet;

	/* After an error the rest is counted, not written. */
	for (size_t i = 0; i < output->config.outlets && !output->error; i++)
		fail(output, &outlet[i], outlet_event(&outlet[i], ev));
	return 0;
}

static void push(struct output *output, bool flush)
{
	struct outlet *outlet = output->config.outlet;

	for (size_t i = 0; i < output->config.outlets && !output->error; i++)
		fail(output, &outlet[i], outlet_push(&outlet[i], flush));
}

static void reopen(struct output *output)
{
	/* Asked before each record: a plain load. */
	if (!atomic_load_explicit(&output->reopen, memory_order_relaxed))
		return;
	output->reopen = false;
	if (output->error)
		return;
	for (size_t i = 0; i < output->config.outlets; i++)
		outlet_reopen(&output->config.outlet[i]);
}

static uint64_t from_mono(void *arg, uint64_t mono_ns)
{
	struct output *output = arg;

	if (mono_ns > output->clock_read_ns + CLOCK_AGE_NS) {
		clock_measure(&output->clock);
		output->clock_read_ns = mono_ns;
	}
	return clock_from_mono(&output->clock, mono_ns);
}

static uint64_t from_boot(void *arg, uint64_t boot_ns)
{
	return clock_from_boot(&((struct output *)arg)->clock, boot_ns);
}

static const char *target_name(void *arg, uint32_t file)
{
	const struct targets *targets = ((struct output *)arg)->config.targets;

	return file < targets->count ? targets->items[file].path : "";
}

static const char *cgroup_path(void *arg, uint64_t id)
{
	return cgroups_path(((struct output *)arg)->cgroups, id);
}

static int conn_state(void *arg, uint32_t pid, uint64_t handle, struct conn *ret_conn)
{
	return tap_conn_get(((struct output *)arg)->config.tap, pid, handle, ret_conn);
}

static void conn_drop(void *arg, uint32_t pid, uint64_t handle)
{
	tap_conn_drop(((struct output *)arg)->config.tap, pid, handle);
}

static const struct flow_ops ops = {
	.event = on_event,
	.from_mono = from_mono,
	.from_boot = from_boot,
	.file_name = target_name,
	.cgroup_path = cgroup_path,
	.conn_state = conn_state,
	.conn_drop = conn_drop,
};

int output_new(const struct output_config *config, struct output **ret_output)
{
	struct output *output = calloc(1, sizeof(*output));
	int r = 0;

	if (!output)
		return -ENOMEM;
	output->config = *config;
	clock_measure(&output->clock);
	output->clock_read_ns = clock_now();
	for (size_t i = 0; i < config->outlets && !r; i++)
		r = outlet_start(&config->outlet[i]);
	if (!r)
		r = cgroups_new(&output->cgroups);
	if (!r)
		r = flow_new(&ops, output, &output->flow);
	if (r) {
		output_free(output);
		return r;
	}
	*ret_output = output;
	return 0;
}

void output_free(struct output *output)
{
	if (!output)
		return;
	flow_free(output->flow);
	cgroups_free(output->cgroups);
	free(output);
}

static int on_record(void *arg, const void *record, size_t len)
{
	struct output *output = arg;
	int r;

	reopen(output);
	r = flow_record(output->flow, record, len);

	/* Not a record of ours: nothing can be said about it, the stream's offsets will tell. */
	if (r != -EBADMSG)
		fail(output, NULL, r);
	return 0;
}

static void finish(struct output *output)
{
	struct event ev = { .type = EVENT_STATS };
	const struct output_missing *missing = &output->missing;

	flow_untracked(output->flow, missing->untracked_calls, missing->untracked_bytes);
	flow_missed(output->flow, missing->missed_calls);
	flow_secrets_lost(output->flow, missing->lost_secrets);
	(void)flow_end(output->flow, clock_now());
	flow_lost(output->flow, missing->lost_bytes);
	ev.time_ns = from_mono(output, clock_now());
	ev.stats = flow_stats(output->flow);
	(void)on_event(output, &ev);
	push(output, true);
}

/* As queue_read(); a poke ends one wait, and the next one begins with what it was for. */
static int take(struct output *output, int timeout_ms)
{
	reopen(output);
	return queue_read(output->config.queue, timeout_ms, on_record, output);
}

static void *work(void *arg)
{
	struct output *output = arg;

	/* Printing may wait; what session.c gave to the reading thread is not for this one. */
	(void)setpriority(PRIO_PROCESS, 0, 0);
	for (;;) {
		int r = take(output, 0);

		/* Nothing waits: show what there is, half characters a little later. */
		if (r == 0)
			push(output, false);
		if (r == 0)
			r = take(output, HOLD_MS);
		if (r == 0)
			push(output, true);
		if (r == 0)
			r = take(output, -1);
		if (r == -EPIPE)
			break;
	}
	finish(output);
	output->finished = true;
	notify(output);
	return NULL;
}

int output_start(struct output *output)
{
	int r = pthread_create(&output->thread, NULL, work, output);

	output->started = r == 0;
	return -r;
}

void output_missing(struct output *output, const struct output_missing *missing)
{
	output->missing = *missing;
}

void output_reopen(struct output *output)
{
	output->reopen = true;
	queue_poke(output->config.queue);
}

bool output_finished(const struct output *output)
{
	return output->finished;
}

void output_join(struct output *output)
{
	if (output->started)
		pthread_join(output->thread, NULL);
	output->started = false;
}

int output_error(const struct output *output, const struct outlet **ret_outlet)
{
	*ret_outlet = output->failed;
	return output->error;
}

const struct stats *output_stats(const struct output *output)
{
	return flow_stats(output->flow);
}

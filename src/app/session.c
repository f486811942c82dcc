// SPDX-License-Identifier: Apache-2.0
#include "app/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/attach.h"
#include "app/command.h"
#include "app/log.h"
#include "app/outlet.h"
#include "app/output.h"
#include "app/pump.h"
#include "app/selection.h"
#include "app/targets.h"
#include "event/stats.h"
#include "probe/tap.h"
#include "proc/reader.h"
#include "util/exitcode.h"
#include "util/privs.h"
#include "util/queue.h"

/* include/linux/proc_ns.h: PROC_PID_INIT_INO */
#define PID_NAMESPACE_FIRST 0xEFFFFFFC

struct session {
	const struct session_request *request;
	struct selection selection;
	struct command command;
	struct targets targets;
	struct tap *tap;
	struct queue *queue;
	struct output *output;
	struct outlet outlet[OUTPUT_OUTLETS_MAX];
	size_t outlets;
	int notify;
	sigset_t signals; /* blocked; read by the pump */
};

static enum outlet_format format_of(const struct session_request *request)
{
	if (request->json)
		return OUTLET_JSON;
	if (request->hex)
		return OUTLET_HEX;
	return request->keys ? OUTLET_KEYLOG : OUTLET_TEXT;
}

static int open_outlets(struct session *s)
{
	const struct session_request *request = s->request;
	const char *path = request->output;
	struct outlet *out = &s->outlet[0], *keylog = &s->outlet[1];
	int r = 0;

	*out = (struct outlet) {
		.format = format_of(request),
		.path = path && strcmp(path, "-") ? path : NULL,
		.append = request->keys,
		.fd = -1,
	};
	*keylog = (struct outlet) {
		.format = OUTLET_KEYLOG,
		.path = request->keylog,
		.append = true,
		.fd = -1,
	};
	s->outlets = request->keylog ? 2 : 1;
	/* First, because the output may be emptied when it is opened. */
	if (request->keylog)
		r = outlet_open(keylog);
	if (!r && out->path && outlet_is_at(keylog, out->path)) {
		log_error("-o and -k name the same file; give the key log its own");
		return EXITCODE_USAGE;
	}
	return r ? r : outlet_open(out);
}

static int check_ready_fd(const struct session_request *request)
{
	/* A command that kept it open would hide from the other end that we have closed it. */
	if (request->ready_fd < 0 || !fcntl((int)request->ready_fd, F_SETFD, FD_CLOEXEC))
		return 0;
	log_error("--ready-fd %lld: no such descriptor is open", (long long)request->ready_fd);
	return EXITCODE_USAGE;
}

/* From here on signals wait for the pump, in every thread that is started later. */
static void block_signals(struct session *s)
{
	sigemptyset(&s->signals);
	sigaddset(&s->signals, SIGINT);
	sigaddset(&s->signals, SIGTERM);
	sigaddset(&s->signals, SIGHUP);
	sigaddset(&s->signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &s->signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would not come, and no status be kept */
}

static int start_command(struct session *s)
{
	int r;

	if (!s->request->command)
		return 0;
	r = command_hold(&s->command, s->request->command);
	if (!r)
		r = selection_add_pid(&s->selection, s->command.pid);
	if (!r)
		return 0;
	log_error("can't start %s: %s", s->request->command[0], strerror(-r));
	return EXITCODE_FAILURE;
}

static int load(struct session *s)
{
	struct tap_config config = {
		.ring_bytes = s->request->ring_bytes,
		.filters = selection_kinds(&s->selection) | 1U << FILTER_EXCLUDE,
		.children = s->request->children || s->request->command,
	};
	int r = tap_new(&config, &s->tap);

	if (r == -EPERM) {
		log_error("not permitted: start it as root, for example with sudo "
			  "('cleartap doctor' says what is missing)");
		return EXITCODE_DENIED;
	}
	if (r == -EOPNOTSUPP) {
		log_error("this kernel lacks something: 'cleartap doctor' says what");
		return EXITCODE_DENIED;
	}
	if (!r)
		r = selection_apply(&s->selection, s->tap);
	if (!r)
		r = tap_start(s->tap);
	/* Children that were started before the kernel told us of forks. */
	if (!r && s->request->children)
		r = selection_add_children(&s->selection);
	if (!r)
		r = selection_apply(&s->selection, s->tap);
	if (!r)
		return 0;
	log_error("can't set up the kernel side: %s", strerror(-r));
	return EXITCODE_FAILURE;
}

static bool asked_for(const struct session *s, pid_t pid)
{
	for (size_t i = 0; i < s->selection.pid_count; i++) {
		if (s->selection.pids[i] == pid)
			return true;
	}
	return false;
}

/* Programs that pass our output on would make us record it, print it, record it ... */
static void exclude_readers(struct session *s, int fd)
{
	struct readers readers;

	readers_find(fd, &readers);
	for (size_t i = 0; i < readers.count; i++) {
		if (asked_for(s, readers.pids[i]))
			continue;
		if (tap_filter(s->tap, FILTER_EXCLUDE, (uint64_t)readers.pids[i], 0))
			continue;
		if (targets_used_by(&s->targets, readers.pids[i]))
			log_error("process %d reads this output, so it is not tapped; name it with "
				  "--pid to tap it all the same",
				  readers.pids[i]);
	}
}

static int start_output(struct session *s)
{
	struct output_config config = {
		.outlet = s->outlet,
		.outlets = s->outlets,
		.tap = s->tap,
		.targets = &s->targets,
	};
	int r;

	s->notify = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = s->notify < 0 ? -errno : queue_new(s->request->queue_bytes, &s->queue);
	config.queue = s->queue;
	config.notify = s->notify;
	if (!r)
		r = output_new(&config, &s->output);
	if (!r)
		r = output_start(s->output);
	if (!r)
		return 0;
	log_error("can't start printing: %s", strerror(-r));
	return EXITCODE_FAILURE;
}

static int drop_privileges(struct session *s)
{
	struct privs_keep keep = { .bpf = true, .kill = s->request->command != NULL };
	int r;

	for (size_t i = 0; i < s->outlets; i++)
		keep.root |= outlet_needs_root(&s->outlet[i]);
	/* The ring must be emptied in time also when the targets take all CPUs: it is little work. */
	(void)setpriority(PRIO_PROCESS, 0, -10);
	r = privs_drop(&keep);
	if (!r)
		return 0;
	log_error("can't give up privileges: %s", strerror(-r));
	return EXITCODE_FAILURE;
}

static void say_ready(struct session *s, size_t probes)
{
	fprintf(stderr, "ready: %zu probe%s in %zu file%s\n", probes, probes == 1 ? "" : "s",
		s->targets.count, s->targets.count == 1 ? "" : "s");
	if (s->request->ready_fd < 0)
		return;
	(void)!write((int)s->request->ready_fd, "\n", 1);
	if (s->request->ready_fd > STDERR_FILENO)
		close((int)s->request->ready_fd);
}

static bool reopens(const struct session *s)
{
	for (size_t i = 0; i < s->outlets; i++) {
		if (s->outlet[i].append && s->outlet[i].path)
			return true;
	}
	return false;
}

static void run(struct session *s)
{
	struct pump_config config = {
		.tap = s->tap,
		.queue = s->queue,
		.output = s->output,
		.command = s->request->command ? &s->command : NULL,
		.signals = &s->signals,
		.notify = s->notify,
		.reopens = reopens(s),
		.duration_ns = s->request->duration_ns,
	};

	/* The end of all processes that were asked for is the end; their children go on. */
	if (!s->request->children && !s->request->command) {
		config.pids = s->selection.pids;
		config.pid_count = s->selection.pid_count;
	}
	pump_run(&config);
}

static int finish(struct session *s)
{
	const struct stats *stats = output_stats(s->output);
	const struct stats_scope scope = { s->targets.plaintext, s->targets.secrets };
	const struct outlet *failed;
	char line[STATS_STRLEN];
	int r = output_error(s->output, &failed);

	stats_describe(stats, scope, line, sizeof(line));
	log_error("%s", line);
	if (r) {
		log_error("can't write to %s: %s", outlet_name(failed ? failed : &s->outlet[0]),
			  r == -EPIPE ? "its reader has gone away" : strerror(-r));
		return EXITCODE_FAILURE;
	}
	if (s->request->command && s->command.status)
		return s->command.status;
	return stats_incomplete(stats, scope) ? EXITCODE_LOST : EXITCODE_OK;
}

/* The kernel side knows processes by their ids in the first namespace only. */
static int check_namespace(void)
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st) || st.st_ino == PID_NAMESPACE_FIRST)
		return 0;
	log_error(
		"this is a PID namespace of its own, where process ids mean something else: start "
		"cleartap on the host, or the container with the host's PID namespace");
	return EXITCODE_DENIED;
}

static int check_probes(struct session *s)
{
	const struct session_request *request = s->request;

	if (request->probes.count && request->libraries.count != 1) {
		log_error("--probe goes with one --libssl: an offset means a place in one file");
		return EXITCODE_USAGE;
	}
	return resolve_init(&s->targets.resolve, &request->probes, !request->no_cache);
}

static int start(struct session *s, size_t *ret_probes)
{
	int r = check_ready_fd(s->request);

	if (!r)
		r = check_probes(s);
	if (!r)
		r = check_namespace();
	if (!r)
		r = selection_init(&s->selection, s->request);
	if (!r)
		r = open_outlets(s);
	if (r)
		return r;
	block_signals(s);
	r = start_command(s);
	if (!r)
		r = load(s);
	if (!r)
		r = attach_find(&s->targets, &s->selection, s->request);
	if (r)
		return r;
	for (size_t i = 0; i < s->outlets; i++)
		exclude_readers(s, s->outlet[i].fd);
	r = attach_all(s->tap, &s->targets, &s->selection, s->request, ret_probes);
	if (!r)
		r = drop_privileges(s);
	return r ? r : start_output(s);
}

int session_run(const struct session_request *request)
{
	struct session s = {
		.request = request,
		.notify = -1,
		.targets = { .plaintext = request->plaintext,
			     .secrets = request->keys || request->keylog },
	};
	size_t probes;
	int r;

	s.command.gate = -1;
	r = start(&s, &probes);
	if (!r) {
		say_ready(&s, probes);
		command_release(&s.command);
		run(&s);
		r = finish(&s);
	}
	command_done(&s.command);
	output_free(s.output);
	queue_free(s.queue);
	tap_free(s.tap);
	targets_done(&s.targets);
	selection_done(&s.selection);
	if (s.notify >= 0)
		close(s.notify);
	for (size_t i = 0; i < s.outlets; i++)
		outlet_done(&s.outlet[i]);
	return r;
}

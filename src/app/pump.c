// SPDX-License-Identifier: Apache-2.0
#include "app/pump.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "app/command.h"
#include "app/output.h"
#include "probe/tap.h"
#include "util/clock.h"
#include "util/exitcode.h"
#include "util/queue.h"

/* While records come, the ring is looked into this often without being told. */
#define BUSY_MS	     5
#define BUSY_ROUNDS  4
#define IDLE_MS	     1000
#define SETTLE_NS    1000000000ULL
#define SWEEP_NS     30000000000ULL
#define NS_PER_MS    1000000ULL
#define RECORD_SPACE (sizeof(struct rec_data) + ABI_CHUNK)

struct pump {
	const struct pump_config *c;
	int epoll;
	int signal_fd;
	bool stop;
	uint64_t end_ns; /* 0: no end */
	size_t pids_left;
	unsigned int empty_rounds;
	bool interrupted;   /* once: the next one leaves at once */
	uint64_t settle_ns; /* when the accounts were looked at last */
	uint64_t sweep_ns;  /* when places of dead processes were last looked for */
	uint64_t lost_bytes, settled_bytes, lost_notes;
	struct rec_state *notes; /* on their way to the queue */
	size_t note_count;
};

static int put(void *arg, const void *data, size_t len)
{
	const struct rec_data *rec = data;
	struct pump *p = arg;

	/* In the ring a record has the size of its class; what is behind its bytes stays there. */
	if (rec->h.type == REC_DATA && len > sizeof(*rec) && rec->len < len - sizeof(*rec))
		len = sizeof(*rec) + rec->len;
	/* A record that was taken out has room: it was asked for before. */
	if (queue_put(p->c->queue, data, len))
		return -1;
	return queue_has_room(p->c->queue, RECORD_SPACE) ? 0 : -1;
}

static size_t consume(struct pump *p)
{
	size_t n = 0;

	if (queue_has_room(p->c->queue, RECORD_SPACE))
		n = tap_consume(p->c->tap, put, p);
	if (n)
		queue_publish(p->c->queue);
	return n;
}

static int watch(struct pump *p, int fd, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.fd = fd };

	return epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &ev) ? -errno : 0;
}

static void watch_pids(struct pump *p)
{
	for (size_t i = 0; i < p->c->pid_count; i++) {
		int fd = (int)syscall(SYS_pidfd_open, p->c->pids[i], 0);

		/* Ended already, or a kernel before 5.3: then a signal ends the run. */
		if (fd >= 0 && !watch(p, fd, EPOLLIN))
			p->pids_left++;
	}
}

static void on_signal(struct pump *p)
{
	struct command *cmd = p->c->command;
	struct signalfd_siginfo info;

	if (read(p->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCHLD) {
		if (cmd)
			command_reap(cmd);
		p->stop |= cmd && cmd->ended;
		return;
	}
	/* logrotate's way, or a script's; from the kernel it means that the terminal is gone. */
	if (info.ssi_signo == SIGHUP && p->c->reopens && info.ssi_code != SI_KERNEL) {
		output_reopen(p->c->output);
		return;
	}
	/* Told twice: whoever is there does not want to wait for a slow output. */
	if (p->interrupted && p->stop)
		_exit(EXITCODE_FAILURE);
	/* The terminal sends Ctrl-C to the command as well; kill(1) does not. */
	if (cmd && !cmd->ended && !p->interrupted) {
		if (info.ssi_code == SI_USER || info.ssi_signo != SIGINT)
			kill(cmd->pid, (int)info.ssi_signo);
	} else {
		p->stop = true;
	}
	p->interrupted = true;
}

static void dispatch(struct pump *p, int fd)
{
	if (fd == p->signal_fd) {
		on_signal(p);
	} else if (fd == p->c->notify) {
		p->stop = true;
	} else if (fd != tap_fd(p->c->tap)) {
		close(fd); /* a process has ended */
		if (--p->pids_left == 0)
			p->stop = true;
	}
}

static void wait_for(struct pump *p, int timeout_ms)
{
	struct epoll_event events[8];
	int n = epoll_wait(p->epoll, events, 8, timeout_ms);

	for (int i = 0; i < n; i++)
		dispatch(p, events[i].data.fd);
}

/* Keeps what the kernel's maps say until the ring has been emptied up to that moment. */
static int note(struct pump *p, uint16_t type, const struct conn_key *key, const struct conn *conn)
{
	struct rec_state *notes = reallocarray(p->notes, p->note_count + 1, sizeof(*notes));

	if (!notes)
		return -ENOMEM;
	p->notes = notes;
	notes[p->note_count++] = (struct rec_state) {
		.h = { .type = type,
		       .pid = key->tgid,
		       .tid = key->tgid,
		       .time_ns = clock_now(),
		       .conn = conn->id },
		.handle = key->handle,
		.off = { conn->off[0], conn->off[1] },
	};
	return 0;
}

static int note_final(void *arg, const struct conn_key *key, const struct conn *conn)
{
	return note(arg, REC_STATE, key, conn);
}

/* Only what no program is working on: its bytes are in the ring, or never will be. */
static int note_settled(void *arg, const struct conn_key *key, const struct conn *conn)
{
	if (conn->off[0] != conn->done[0] || conn->off[1] != conn->done[1])
		return 0;
	return note(arg, REC_STATE, key, conn);
}

static int note_closed(void *arg, const struct conn_key *key, const struct conn *conn)
{
	return note(arg, REC_CLOSE, key, conn);
}

/*
 * A handshake that came to nothing leaves a place behind when its process just ends. One that was
 * announced is for the output thread to drop, which knows it.
 */
static int drop_dead(void *arg, const struct conn_key *key, const struct conn *conn)
{
	struct pump *p = arg;

	if (!conn->announced && !conn->off[0] && !conn->off[1] && kill((pid_t)key->tgid, 0) &&
	    errno == ESRCH)
		tap_conn_drop(p->c->tap, key->tgid, key->handle);
	return 0;
}

static int note_exited(void *arg, const struct conn_key *key, const struct conn *conn)
{
	if (!kill((pid_t)key->tgid, 0) || errno != ESRCH)
		return 0;
	return note(arg, REC_EXIT, key, conn);
}

/* After a look into the ring that was not cut short, so that nothing of before comes later. */
static void notes_send(struct pump *p)
{
	for (size_t i = 0; i < p->note_count; i++) {
		while (queue_put(p->c->queue, &p->notes[i], sizeof(p->notes[i])) == -ENOBUFS)
			wait_for(p, BUSY_MS);
	}
	queue_publish(p->c->queue);
	free(p->notes);
	p->notes = NULL;
	p->note_count = 0;
}

/*
 * Losses at the end of a burst show by no later record. When it has been quiet for a second, the
 * kernel's accounts are compared with what has arrived; and notes of ends that found the ring
 * full are made up for.
 */
static void settle(struct pump *p)
{
	uint64_t now = clock_now(), lost, lost_notes;

	if (now < p->settle_ns + SETTLE_NS)
		return;
	p->settle_ns = now;
	lost = tap_counter(p->c->tap, CNT_LOST_BYTES);
	lost_notes = tap_counter(p->c->tap, CNT_LOST_NOTES);
	/*
	 * Notes of the last time: since then even a record that was reserved and not yet written has
	 * been finished, so a look into the ring that is not cut short gets all that was before.
	 */
	if (p->note_count) {
		(void)consume(p);
		if (queue_has_room(p->c->queue, RECORD_SPACE))
			notes_send(p);
	}
	if (lost == p->lost_bytes && lost != p->settled_bytes) {
		(void)tap_conns_each(p->c->tap, note_settled, p);
		(void)tap_conns_each(p->c->tap, note_exited, p);
		p->settled_bytes = lost;
	}
	p->lost_bytes = lost;
	if (lost_notes != p->lost_notes) {
		(void)tap_orphans_take(p->c->tap, note_closed, p);
		(void)tap_conns_each(p->c->tap, note_exited, p);
		p->lost_notes = lost_notes;
	}
	if (now >= p->sweep_ns + SWEEP_NS) {
		(void)tap_conns_each(p->c->tap, drop_dead, p);
		p->sweep_ns = now;
	}
}

/* How long to wait: not beyond the end of the run. */
static int timeout(const struct pump *p, int wanted_ms)
{
	uint64_t now = clock_now(), left;

	if (!p->end_ns)
		return wanted_ms;
	if (now >= p->end_ns)
		return 0;
	left = (p->end_ns - now + NS_PER_MS - 1) / NS_PER_MS;
	return left < (uint64_t)wanted_ms ? (int)left : wanted_ms;
}

static void round_trip(struct pump *p)
{
	bool full = !queue_has_room(p->c->queue, RECORD_SPACE);

	settle(p);
	if (consume(p) || full) {
		p->empty_rounds = 0;
		wait_for(p, timeout(p, BUSY_MS));
		return;
	}
	if (++p->empty_rounds < BUSY_ROUNDS) {
		wait_for(p, timeout(p, BUSY_MS));
		return;
	}
	/* The look after the flag catches what came just before it. */
	tap_idle(p->c->tap, true);
	if (!consume(p))
		wait_for(p, timeout(p, IDLE_MS));
	else
		p->empty_rounds = 0;
	tap_idle(p->c->tap, false);
}

static void drain(struct pump *p)
{
	/* Nothing new comes, so an empty round is the end; a full queue only needs time. */
	for (;;) {
		bool full = !queue_has_room(p->c->queue, RECORD_SPACE);

		if (full)
			wait_for(p, BUSY_MS);
		else if (!consume(p))
			break;
	}
}

static void finish(struct pump *p)
{
	struct tap *tap = p->c->tap;
	struct output_missing missing;

	tap_detach(tap);
	drain(p);
	(void)tap_orphans_take(tap, note_closed, p);
	(void)tap_conns_each(tap, note_final, p);
	notes_send(p);
	missing = (struct output_missing) {
		.untracked_calls = tap_counter(tap, CNT_UNTRACKED_CALLS),
		.untracked_bytes = tap_counter(tap, CNT_UNTRACKED_BYTES),
		.missed_calls = tap_counter(tap, CNT_MISSED_CALLS) + tap_calls_cut(tap),
		.lost_bytes = tap_counter(tap, CNT_LOST_BYTES),
		.lost_secrets = tap_counter(tap, CNT_LOST_SECRETS),
	};
	output_missing(p->c->output, &missing);
	queue_close(p->c->queue);
}

void pump_run(const struct pump_config *config)
{
	struct pump p = { .c = config, .settle_ns = clock_now(), .sweep_ns = clock_now() };

	p.epoll = epoll_create1(EPOLL_CLOEXEC);
	p.signal_fd = signalfd(-1, config->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (config->duration_ns)
		p.end_ns = clock_now() + config->duration_ns;
	/* Edge-triggered: only a wake-up counts, not that there is something. */
	if (watch(&p, tap_fd(config->tap), EPOLLIN | EPOLLET) || watch(&p, p.signal_fd, EPOLLIN) ||
	    watch(&p, config->notify, EPOLLIN | EPOLLET))
		p.stop = true;
	watch_pids(&p);
	if (config->pid_count && !p.pids_left)
		p.stop = true;
	while (!p.stop && (!p.end_ns || clock_now() < p.end_ns))
		round_trip(&p);
	p.stop = true;
	finish(&p);
	/* A stalled output must not keep a second signal from being heard. */
	while (!output_finished(config->output))
		wait_for(&p, IDLE_MS);
	output_join(config->output);
	close(p.signal_fd);
	close(p.epoll);
}

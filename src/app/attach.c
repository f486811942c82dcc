// SPDX-License-Identifier: Apache-2.0
#include "app/attach.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "app/command.h"
#include "app/log.h"
#include "app/resolve.h"
#include "app/selection.h"
#include "app/session.h"
#include "app/targets.h"
#include "probe/regs.h"
#include "probe/tap.h"
#include "proc/procfs.h"
#include "util/exitcode.h"

static int add_given(struct targets *targets, const struct option_list *paths)
{
	for (size_t i = 0; i < paths->count; i++) {
		int r = targets_add_path(targets, paths->items[i]);

		if (!r)
			continue;
		if (r == RESOLVE_REFUSED)
			return EXITCODE_USAGE;
		if (r == -ESRCH && !targets->plaintext)
			log_error("--libssl %s: no place was found in it where it has secrets in "
				  "its hands",
				  paths->items[i]);
		else if (r == -ENOMSG)
			log_error("--libssl %s: its plaintext can't be read, only its secrets: "
				  "'cleartap keys' does",
				  paths->items[i]);
		else
			log_error("--libssl %s: %s", paths->items[i],
				  r == -ENOENT ? strerror(ENOENT) : resolve_error(r));
		return r == -EACCES || r == -EPERM ? EXITCODE_DENIED : EXITCODE_NOTHING;
	}
	return 0;
}

static int add_selected(struct targets *targets, const struct selection *sel)
{
	for (size_t i = 0; i < sel->pid_count; i++) {
		int r = targets_add_process(targets, sel->pids[i]);

		if (r == -EACCES || r == -EPERM)
			log_verbose("can't look into process %d: %s", sel->pids[i], strerror(-r));
		else if (r == -ENOMEM)
			return r;
	}
	return 0;
}

/* A command may be a program with TLS linked in, such as Node. */
static void add_command(struct targets *targets, char **command)
{
	char path[4096];

	if (command_find(command[0], path, sizeof(path)))
		(void)targets_add_path(targets, path);
}

/* Probes wait for a library that a process may load later; that is worth a word. */
static void warn_without_tls(const struct targets *targets, const struct option_list *pids)
{
	for (size_t i = 0; i < pids->count; i++) {
		if (!targets_used_by(targets, atoi(pids->items[i])))
			log_error("process %s has not loaded a TLS library that can be tapped; of "
				  "those it loads later, only the system's are seen",
				  pids->items[i]);
	}
}

static int find(struct targets *targets, const struct selection *sel,
		const struct session_request *request)
{
	int r = 0;

	if (request->libraries.count)
		return add_given(targets, &request->libraries);
	if (request->command)
		add_command(targets, request->command);
	if (request->pids.count)
		r = add_selected(targets, sel);
	else if (!request->command)
		r = targets_add_all(targets);
	/* A process may load the library later. */
	if (!r)
		r = targets_add_system(targets);
	if (!r && !request->pids.count)
		r = targets_add_programs(targets);
	if (!r && targets->count) {
		warn_without_tls(targets, &request->pids);
		return 0;
	}
	if (r)
		log_error("can't look for TLS libraries: %s", strerror(-r));
	else if (!targets->plaintext)
		log_error("found no TLS library whose secrets can be read; name a library or "
			  "program with --libssl PATH ('-v' says what was passed over)");
	else
		log_error("found no TLS library: install OpenSSL, or name the library or program "
			  "with --libssl PATH");
	return r ? EXITCODE_FAILURE : EXITCODE_NOTHING;
}

int attach_find(struct targets *targets, const struct selection *sel,
		const struct session_request *request)
{
	int r = find(targets, sel, request);

	/* Now, because we are root no longer than this. */
	resolve_save(&targets->resolve);
	return r;
}

static uint64_t cookie_of(const struct tls_site *site, size_t file)
{
	uint64_t cookie = (uint64_t)file << COOKIE_FILE_SHIFT;

	if (site->recipe->dir == DIR_OUT)
		cookie |= COOKIE_DIR_OUT;
	if (site->recipe->role == ROLE_SENDFILE)
		cookie |= COOKIE_SENDFILE;
	if (site->recipe->role == ROLE_HANDSHAKE)
		cookie |= COOKIE_HANDSHAKE;
	if (site->recipe->result == RESULT_OUT_ARG)
		cookie |= COOKIE_OUT_ARG | (uint64_t)site->out_arg << COOKIE_ARG_SHIFT;
	return cookie;
}

/* False when it is in a register that this machine does not have. No place is fine. */
static bool value_at(const struct place *place, struct value_at *ret_at)
{
	int off = regs_offset(place->reg);

	*ret_at = (struct value_at) {
		.reg_off = (uint16_t)off,
		.width = place->width,
		.loads = place->loads,
		.off = { place->off[0], place->off[1], place->off[2] },
		.add = place->add,
	};
	return !place->width || off >= 0;
}

/* All record sites of a file or none: a part of them would see a part of the bytes. */
static size_t make_records(const struct tls_sites *found, size_t file, struct tap_site *sites)
{
	for (size_t i = 0; i < found->record_count; i++) {
		const struct tls_site *site = &found->record[i];
		struct record_site *record = &sites[i].record;

		sites[i].program = TAP_RECORD;
		sites[i].offset = site->offset;
		sites[i].cookie = cookie_of(site, file);
		if (!value_at(&site->handle, &record->handle) ||
		    !value_at(&site->type, &record->type) || !value_at(&site->peek, &record->peek))
			return 0;
	}
	return found->record_count;
}

static bool has_free(const struct tls_sites *found)
{
	for (size_t i = 0; i < found->count; i++) {
		if (found->site[i].recipe->role == ROLE_FREE)
			return true;
	}
	return false;
}

static uint32_t step_of(enum tls_step step)
{
	switch (step) {
	case STEP_BEGIN:
		return SECRET_BEGIN;
	case STEP_END:
		return SECRET_END;
	default:
		return SECRET_WHOLE;
	}
}

static size_t make_secrets(const struct tls_sites *found, size_t file, struct tap_site *sites)
{
	size_t count = 0;

	for (size_t i = 0; i < found->secret_count; i++) {
		const struct tls_secret *secret = &found->secret[i];
		struct tap_site *site = &sites[count];

		site->program = TAP_SECRET;
		site->offset = secret->offset;
		site->cookie = (uint64_t)file << COOKIE_FILE_SHIFT;
		/* What stands for the handshake alone has no end either. */
		if (!has_free(found) || !secret->handle.width)
			site->cookie |= COOKIE_NO_FREE;
		site->secret.fixed = secret->fixed;
		site->secret.step = step_of(secret->step);
		site->secret.expect = secret->expect;
		if (value_at(&secret->check, &site->secret.check) &&
		    value_at(&secret->handle, &site->secret.handle) &&
		    value_at(&secret->label, &site->secret.label) &&
		    value_at(&secret->label_len, &site->secret.label_len) &&
		    value_at(&secret->random, &site->secret.random) &&
		    value_at(&secret->secret, &site->secret.secret) &&
		    value_at(&secret->len, &site->secret.len))
			count++;
	}
	return count;
}

/* What moves plaintext is left out when only secrets are wanted. */
static size_t make_calls(const struct tls_sites *found, size_t file, bool plaintext,
			 struct tap_site *sites)
{
	size_t count = 0;

	for (size_t i = 0; i < found->count; i++) {
		enum tls_role role = found->site[i].recipe->role;

		if (!plaintext && role != ROLE_FREE && role != ROLE_HANDSHAKE)
			continue;
		sites[count].program = role == ROLE_FREE ? TAP_FREE : TAP_CALL;
		sites[count].offset = found->site[i].offset;
		sites[count].cookie = cookie_of(&found->site[i], file);
		count++;
	}
	return count;
}

#define SITES_MAX (TLS_SITES_MAX + TLS_RECORDS_MAX + TLS_SECRETS_MAX)

static size_t make_sites(const struct tls_sites *found, size_t file, const struct targets *targets,
			 struct tap_site *sites)
{
	size_t count = 0;

	if (targets->secrets)
		count = make_secrets(found, file, sites);
	/* Without secrets to follow, the end of a connection is of no interest. */
	if (targets->plaintext || count)
		count += make_calls(found, file, targets->plaintext, sites + count);
	if (targets->plaintext)
		count += make_records(found, file, sites + count);
	return count;
}

/* Probes one library for everybody, or once for each process that was asked for. */
static int attach_sites(struct tap *tap, int fd, const struct selection *sel, bool each_pid,
			const struct tap_site *sites, size_t count)
{
	int r = -ESRCH;

	if (!each_pid)
		return tap_attach(tap, fd, 0, sites, count);
	for (size_t i = 0; i < sel->pid_count; i++) {
		int one = tap_attach(tap, fd, sel->pids[i], sites, count);

		if (!one || r == -ESRCH)
			r = one;
	}
	return r;
}

static int attach_target(struct tap *tap, const struct targets *targets, size_t file,
			 const struct selection *sel, bool each_pid, size_t *probes)
{
	const struct target *target = &targets->items[file];
	struct tap_site *sites = calloc(SITES_MAX, sizeof(*sites));
	int r = sites ? 0 : -ENOMEM;

	for (size_t i = 0; i < target->found_count && !r; i++) {
		size_t count = make_sites(&target->found[i], file, targets, sites);

		r = attach_sites(tap, target->fd, sel, each_pid, sites, count);
		if (!r)
			*probes += count;
	}
	free(sites);
	return r;
}

static int early_thread(void *arg, pid_t tid)
{
	tap_early_thread(arg, tid);
	return 0;
}

struct early {
	struct tap *tap;
	const struct targets *targets;
};

static int early_process(void *arg, pid_t pid)
{
	const struct early *early = arg;

	if (targets_used_by(early->targets, pid))
		(void)procfs_threads(pid, early_thread, early->tap);
	return 0;
}

static bool has_step(const struct tls_sites *found, enum tls_step step)
{
	for (size_t i = 0; i < found->secret_count; i++) {
		if (found->secret[i].step == step)
			return true;
	}
	return false;
}

/* The file of the first library that has such a place; NULL: none has. */
static const struct target *step_find(const struct targets *targets, enum tls_step step,
				      const struct tls_library **ret_library)
{
	for (size_t i = 0; i < targets->count; i++) {
		const struct target *target = &targets->items[i];

		for (size_t k = 0; k < target->found_count; k++) {
			if (!has_step(&target->found[k], step))
				continue;
			*ret_library = target->found[k].library;
			return target;
		}
	}
	return NULL;
}

/* Secrets may come in two halves, from two files. */
static void warn_of_halves(const struct targets *targets)
{
	const struct tls_library *library;
	const struct target *begin = step_find(targets, STEP_BEGIN, &library);

	if (begin && library->companions && !step_find(targets, STEP_END, &library))
		log_error("%s: its secrets come out of %s, which was not found: there will be none",
			  begin->path, library->companions[0]);
}

static bool has_secrets(const struct targets *targets)
{
	for (size_t i = 0; i < targets->count; i++) {
		for (size_t k = 0; k < targets->items[i].found_count; k++) {
			const struct tls_sites *found = &targets->items[i].found[k];

			if (has_step(found, STEP_WHOLE) || has_step(found, STEP_END))
				return true;
		}
	}
	return false;
}

int attach_all(struct tap *tap, const struct targets *targets, const struct selection *sel,
	       const struct session_request *request, size_t *ret_probes)
{
	/* Children start with their parent's memory but not with its probes. */
	bool each_pid = request->pids.count && !request->children && !request->command;
	struct early early = { tap, targets };
	size_t probes = 0;
	int last = 0;

	(void)procfs_each(early_process, &early);
	for (size_t i = 0; i < targets->count; i++) {
		int r = attach_target(tap, targets, i, sel, each_pid, &probes);

		if (!r)
			continue;
		last = r;
		log_error("can't probe %s: %s", targets->items[i].path, strerror(-r));
	}
	*ret_probes = probes;
	if (targets->secrets)
		warn_of_halves(targets);
	if (probes && targets->secrets && !has_secrets(targets))
		log_error("no place was found where a library has secrets in its hands: there will "
			  "be "
			  "none");
	if (probes)
		return 0;
	return last == -EPERM || last == -EACCES ? EXITCODE_DENIED : EXITCODE_NOTHING;
}

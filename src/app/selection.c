// SPDX-License-Identifier: Apache-2.0
#include "app/selection.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/log.h"
#include "app/session.h"
#include "proc/procfs.h"
#include "util/exitcode.h"

static int add_key(struct selection *sel, enum filter_kind kind, uint64_t a, uint64_t b)
{
	struct filter_key *keys = reallocarray(sel->keys, sel->count + 1, sizeof(*keys));

	if (!keys)
		return -ENOMEM;
	sel->keys = keys;
	keys[sel->count++] = (struct filter_key) { .kind = kind, .a = a, .b = b };
	return 0;
}

int selection_add_pid(struct selection *sel, pid_t pid)
{
	pid_t *pids;

	/* Named twice it would be probed twice. */
	for (size_t i = 0; i < sel->pid_count; i++) {
		if (sel->pids[i] == pid)
			return 0;
	}
	pids = reallocarray(sel->pids, sel->pid_count + 1, sizeof(*pids));
	if (!pids)
		return -ENOMEM;
	sel->pids = pids;
	pids[sel->pid_count++] = pid;
	return add_key(sel, FILTER_PID, (uint64_t)pid, 0);
}

static int add_pid(struct selection *sel, const char *text)
{
	uint64_t pid;

	if (number_parse(text, 1, INT32_MAX, &pid)) {
		log_error("--pid wants a process id, not '%s'", text);
		return EXITCODE_USAGE;
	}
	if (kill((pid_t)pid, 0) && errno == ESRCH) {
		log_error("there is no process %s; look for the right one with ps", text);
		return EXITCODE_NOTHING;
	}
	return selection_add_pid(sel, (pid_t)pid) ? EXITCODE_FAILURE : 0;
}

/* Processes in the order in which they are found may name their parents later: look again. */
static int add_child(void *arg, pid_t pid)
{
	struct selection *sel = arg;
	pid_t parent = procfs_parent(pid);
	bool wanted = false;

	for (size_t i = 0; i < sel->pid_count; i++) {
		if (sel->pids[i] == pid)
			return 0;
		wanted = wanted || sel->pids[i] == parent;
	}
	return wanted ? selection_add_pid(sel, pid) : 0;
}

int selection_add_children(struct selection *sel)
{
	size_t before;
	int r;

	do {
		before = sel->pid_count;
		r = procfs_each(add_child, sel);
	} while (!r && sel->pid_count > before);
	return r;
}

static int add_uid(struct selection *sel, const char *text)
{
	struct passwd *user;
	uint64_t uid;

	if (number_parse(text, 0, UINT32_MAX - 1, &uid)) {
		user = getpwnam(text);
		if (!user) {
			log_error("--uid: there is no user '%s'", text);
			return EXITCODE_USAGE;
		}
		uid = user->pw_uid;
	}
	return add_key(sel, FILTER_UID, uid, 0) ? EXITCODE_FAILURE : 0;
}

static int add_comm(struct selection *sel, const char *text)
{
	uint64_t name[2] = { 0 };
	size_t len = strlen(text);

	if (len > ABI_COMM_LEN - 1) {
		log_error("--comm: the kernel keeps 15 bytes of a name: '%.15s'", text);
		return EXITCODE_USAGE;
	}
	memcpy(name, text, len);
	return add_key(sel, FILTER_COMM, name[0], name[1]) ? EXITCODE_FAILURE : 0;
}

static int add_exe(struct selection *sel, const char *path)
{
	struct stat st;

	if (stat(path, &st)) {
		log_error("--exe %s: %s", path, strerror(errno));
		return EXITCODE_NOTHING;
	}
	if (!S_ISREG(st.st_mode)) {
		log_error("--exe %s: this is not a file", path);
		return EXITCODE_NOTHING;
	}
	return add_key(sel, FILTER_EXE, tap_kernel_dev(st.st_dev), st.st_ino) ? EXITCODE_FAILURE
									      : 0;
}

static int add_all(struct selection *sel, const struct option_list *list,
		   int (*add)(struct selection *sel, const char *text))
{
	int r = 0;

	for (size_t i = 0; i < list->count && !r; i++)
		r = add(sel, list->items[i]);
	return r;
}

int selection_init(struct selection *sel, const struct session_request *request)
{
	int r;

	memset(sel, 0, sizeof(*sel));
	r = add_all(sel, &request->pids, add_pid);
	if (!r && request->children)
		r = selection_add_children(sel) ? EXITCODE_FAILURE : 0;
	if (!r)
		r = add_all(sel, &request->uids, add_uid);
	if (!r)
		r = add_all(sel, &request->comms, add_comm);
	if (!r)
		r = add_all(sel, &request->exes, add_exe);
	return r;
}

void selection_done(struct selection *sel)
{
	free(sel->keys);
	free(sel->pids);
	memset(sel, 0, sizeof(*sel));
}

uint32_t selection_kinds(const struct selection *sel)
{
	uint32_t kinds = 0;

	for (size_t i = 0; i < sel->count; i++)
		kinds |= 1U << sel->keys[i].kind;
	return kinds;
}

int selection_apply(const struct selection *sel, struct tap *tap)
{
	int r = 0;

	for (size_t i = 0; i < sel->count && !r; i++)
		r = tap_filter(tap, sel->keys[i].kind, sel->keys[i].a, sel->keys[i].b);
	return r;
}

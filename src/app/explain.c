// SPDX-License-Identifier: Apache-2.0
#include "app/explain.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/log.h"
#include "app/resolve.h"
#include "out/escape.h"
#include "out/json.h"
#include "out/writer.h"
#include "proc/procfs.h"
#include "tls/library.h"
#include "util/exitcode.h"

struct file_id {
	dev_t dev;
	ino_t ino;
};

struct explain {
	const struct explain_request *request;
	struct resolve resolve;
	struct writer writer;
	pid_t pid; /* 0: a file */
	char comm[PROCFS_COMM_LEN];
	char exe[PATH_MAX]; /* "": not known */
	struct file_id *seen;
	size_t seen_count;
	size_t libraries;
	int err; /* of the last file that could not be looked into */
};

/* One file with the libraries in it. */
struct subject {
	const char *path;
	struct resolved resolved;
};

static bool is_digits(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

/* --- text: a heading for each library, then a keyword at the start of each line */

static void put_line(struct writer *w, const char *key, const char *value)
{
	writer_printf(w, "  %-11s ", key);
	escape_name(w, value, strlen(value));
	writer_puts(w, "\n");
}

static void put_place(struct writer *w, const char *key, uint64_t offset, enum rung rung,
		      const char *function)
{
	writer_printf(w, "  %-11s 0x%08llx  %-10s  ", key, (unsigned long long)offset,
		      rung_name(rung));
	escape_name(w, function, strlen(function));
	writer_puts(w, "\n");
}

static const char *role_key(enum tls_role role)
{
	switch (role) {
	case ROLE_FREE:
		return "end";
	case ROLE_HANDSHAKE:
		return "handshake";
	case ROLE_RECORD:
		return "record";
	case ROLE_TRANSFER:
	case ROLE_SENDFILE:
		break;
	}
	return "plaintext";
}

static void put_process(struct explain *e)
{
	struct writer *w = &e->writer;

	writer_printf(w, "process %d ", e->pid);
	escape_name(w, e->comm, sizeof(e->comm));
	if (e->exe[0]) {
		writer_puts(w, " ");
		escape_name(w, e->exe, sizeof(e->exe));
	}
	writer_puts(w, "\n\n");
}

static void put_text(struct explain *e, const struct subject *subject, const struct tls_sites *s)
{
	struct writer *w = &e->writer;

	if (e->libraries)
		writer_puts(w, "\n");
	else if (e->pid)
		put_process(e);
	escape_name(w, subject->path, strlen(subject->path));
	writer_puts(w, "\n");
	put_line(w, "library", tls_name(s));
	if (s->version[0])
		put_line(w, "version", s->version);
	if (s->recognised)
		put_line(w, "recognised", s->recognised);
	for (size_t i = 0; i < s->count; i++)
		put_place(w, role_key(s->site[i].recipe->role), s->site[i].offset, s->site[i].rung,
			  s->site[i].function);
	for (size_t i = 0; i < s->record_count; i++)
		put_place(w, "record", s->record[i].offset, s->record[i].rung,
			  s->record[i].function);
	for (size_t i = 0; i < s->secret_count; i++)
		put_place(w, "secret", s->secret[i].offset, s->secret[i].rung,
			  s->secret[i].function);
	for (size_t i = 0; i < s->missing_count; i++) {
		writer_printf(w, "  %-11s %s: %s\n", "missing", s->missing[i]->function,
			      s->missing[i]->costs);
	}
	for (size_t i = 0; i < s->problem_count; i++)
		put_line(w, "problem", s->problem[i]);
}

/* --- JSON: an object a line for each library */

static void put_function(struct json *json, const char *use, uint64_t offset, enum rung rung,
			 const char *function)
{
	json_item(json);
	json_name(json, "name", function, SIZE_MAX);
	json_name(json, "use", use, SIZE_MAX);
	json_u64(json, "offset", offset);
	json_name(json, "rung", rung_name(rung), SIZE_MAX);
	json_end(json);
}

static void put_functions(struct json *json, const struct tls_sites *s)
{
	json_array(json, "functions");
	for (size_t i = 0; i < s->count; i++)
		put_function(json, role_key(s->site[i].recipe->role), s->site[i].offset,
			     s->site[i].rung, s->site[i].function);
	for (size_t i = 0; i < s->record_count; i++)
		put_function(json, "record", s->record[i].offset, s->record[i].rung,
			     s->record[i].function);
	for (size_t i = 0; i < s->secret_count; i++)
		put_function(json, "secret", s->secret[i].offset, s->secret[i].rung,
			     s->secret[i].function);
	json_array_end(json);
}

static void put_missing(struct json *json, const struct tls_sites *s)
{
	json_array(json, "missing");
	for (size_t i = 0; i < s->missing_count; i++) {
		json_item(json);
		json_name(json, "name", s->missing[i]->function, SIZE_MAX);
		if (s->missing[i]->costs)
			json_name(json, "costs", s->missing[i]->costs, SIZE_MAX);
		json_end(json);
	}
	json_array_end(json);
	json_array(json, "problems");
	for (size_t i = 0; i < s->problem_count; i++) {
		json_item(json);
		json_name(json, "text", s->problem[i], SIZE_MAX);
		json_end(json);
	}
	json_array_end(json);
}

static void put_json(struct explain *e, const struct subject *subject, const struct tls_sites *s)
{
	struct json json;

	json_begin(&json, &e->writer);
	json_name(&json, "type", "library", SIZE_MAX);
	json_name(&json, "file", subject->path, SIZE_MAX);
	if (e->pid) {
		json_u64(&json, "pid", (uint64_t)e->pid);
		json_name(&json, "comm", e->comm, sizeof(e->comm));
		if (e->exe[0])
			json_name(&json, "exe", e->exe, sizeof(e->exe));
	}
	json_name(&json, "library", tls_name(s), SIZE_MAX);
	if (s->version[0])
		json_name(&json, "version", s->version, sizeof(s->version));
	if (s->recognised)
		json_name(&json, "recognised", s->recognised, SIZE_MAX);
	json_bool(&json, "cached", subject->resolved.cached);
	put_functions(&json, s);
	put_missing(&json, s);
	json_end(&json);
	writer_puts(&e->writer, "\n");
}

/* --- what to look into */

/* Nothing of TLS in it is no error. Prints what there is. */
static int look_into(struct explain *e, int fd, const char *path)
{
	struct subject subject = { .path = path };
	int r = resolve_file(&e->resolve, fd, e->pid, &subject.resolved);

	if (r)
		return r == -ENOENT ? 0 : r;
	for (size_t i = 0; i < subject.resolved.count; i++) {
		if (e->request->json)
			put_json(e, &subject, &subject.resolved.found[i]);
		else
			put_text(e, &subject, &subject.resolved.found[i]);
		e->libraries++;
	}
	free(subject.resolved.found);
	return 0;
}

static int explain_file(struct explain *e)
{
	const char *path = e->request->subject;
	/* O_NONBLOCK: opening a FIFO must not hang. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	const char *why;
	int r;

	if (fd < 0) {
		r = -errno;
		why = strerror(-r);
	} else {
		r = look_into(e, fd, path);
		why = resolve_error(r ? r : -ENOENT);
		close(fd);
	}
	if (r == RESOLVE_REFUSED)
		return EXITCODE_USAGE;
	if (r == -ENOMEM)
		return r;
	if (r || !e->libraries)
		log_error("%s: %s", path, why);
	if (r == -EACCES || r == -EPERM)
		return EXITCODE_DENIED;
	return e->libraries ? 0 : EXITCODE_NOTHING;
}

static int see(struct explain *e, int fd)
{
	struct file_id *seen;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	for (size_t i = 0; i < e->seen_count; i++) {
		if (e->seen[i].dev == st.st_dev && e->seen[i].ino == st.st_ino)
			return -EEXIST;
	}
	seen = reallocarray(e->seen, e->seen_count + 1, sizeof(*seen));
	if (!seen)
		return -ENOMEM;
	e->seen = seen;
	seen[e->seen_count++] = (struct file_id) { st.st_dev, st.st_ino };
	return 0;
}

/* One that can't be looked into does not keep us from the others. */
static int explain_map(void *arg, pid_t pid, const struct procfs_map *map)
{
	struct explain *e = arg;
	int fd = procfs_open_map(pid, map);
	int r = fd < 0 ? fd : see(e, fd);

	if (!r)
		r = look_into(e, fd, map->path);
	if (fd >= 0)
		close(fd);
	if (r == -ENOMEM)
		return r;
	if (r && r != -EEXIST && r != -ENOEXEC) {
		log_verbose("%s: %s", map->path, resolve_error(r));
		e->err = r;
	}
	return 0;
}

static void find_exe(struct explain *e)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", e->pid);
	n = readlink(link, e->exe, sizeof(e->exe) - 1);
	e->exe[n > 0 ? n : 0] = '\0';
	procfs_comm(e->pid, e->comm);
}

static int explain_process(struct explain *e)
{
	int r;

	find_exe(e);
	r = procfs_maps(e->pid, explain_map, e);
	if (r == -ENOMEM)
		return r;
	if (r == -ESRCH)
		log_error("there is no process %d", e->pid);
	else if (r)
		log_error("can't look into process %d: %s", e->pid, strerror(-r));
	else if (!e->libraries && e->err)
		log_error("can't look into the files of process %d: %s", e->pid,
			  resolve_error(e->err));
	else if (!e->libraries)
		log_error("process %d (%s) has no TLS library that can be tapped", e->pid, e->comm);
	r = r ? r : e->err;
	if (e->libraries)
		return 0;
	return r == -EACCES || r == -EPERM ? EXITCODE_DENIED : EXITCODE_NOTHING;
}

static int explain_subject(struct explain *e)
{
	const char *subject = e->request->subject;
	uint64_t pid;

	if (!is_digits(subject))
		return explain_file(e);
	if (number_parse(subject, 1, INT32_MAX, &pid)) {
		log_error("%s is no process id; a file of that name is ./%s", subject, subject);
		return EXITCODE_USAGE;
	}
	if (e->request->probes.count) {
		log_error("--probe goes with a file: an offset means a place in one file");
		return EXITCODE_USAGE;
	}
	e->pid = (pid_t)pid;
	return explain_process(e);
}

int explain_run(const struct explain_request *request)
{
	struct explain e = { .request = request };
	int r = writer_init(&e.writer, STDOUT_FILENO, 65536);

	if (!r)
		r = resolve_init(&e.resolve, &request->probes, !request->no_cache);
	if (!r)
		r = explain_subject(&e);
	if (r < 0) {
		log_error("%s", strerror(-r));
		r = EXITCODE_FAILURE;
	}
	resolve_save(&e.resolve);
	if (writer_flush(&e.writer)) {
		log_error("can't write to the standard output: %s", strerror(-e.writer.err));
		r = EXITCODE_FAILURE;
	}
	resolve_done(&e.resolve);
	writer_done(&e.writer);
	free(e.seen);
	return r;
}

// SPDX-License-Identifier: Apache-2.0
#include "app/targets.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "app/log.h"
#include "proc/procfs.h"

struct seen_file {
	dev_t dev;
	ino_t ino;
};

/*
 * Where ld.so looks: Debian's multiarch folders, then what others use. Then programs that bring NSS
 * along.
 */
static const char *const folders[] = {
	"/lib/*-linux-gnu*",
	"/usr/lib/*-linux-gnu*",
	"/lib64",
	"/usr/lib64",
	"/lib",
	"/usr/lib",
	"/usr/local/lib*",
	"/usr/lib/firefox*",
	"/usr/lib64/firefox*",
	"/opt/firefox*",
	"/usr/lib/thunderbird*",
	"/usr/lib64/thunderbird*",
};

/* Programs with TLS linked in are in these, and larger than most others. */
static const char *const program_folders[] = {
	"/usr/bin",   "/usr/sbin",	    "/bin",
	"/sbin",      "/usr/local/bin",	    "/usr/local/sbin",
	"/opt/*/bin", "/usr/lib/chromium*", "/usr/lib64/chromium*",
};

#define PROGRAM_SIZE_MIN (1 << 20)

void targets_done(struct targets *targets)
{
	for (size_t i = 0; i < targets->count; i++) {
		close(targets->items[i].fd);
		free(targets->items[i].path);
		free(targets->items[i].found);
	}
	free(targets->items);
	free(targets->seen);
	resolve_done(&targets->resolve);
	targets->items = NULL;
	targets->seen = NULL;
	targets->count = targets->seen_count = 0;
}

static bool is_seen(const struct targets *targets, dev_t dev, ino_t ino)
{
	for (size_t i = 0; i < targets->seen_count; i++) {
		if (targets->seen[i].ino == ino && targets->seen[i].dev == dev)
			return true;
	}
	return false;
}

static int see(struct targets *targets, dev_t dev, ino_t ino)
{
	struct seen_file *seen =
		reallocarray(targets->seen, targets->seen_count + 1, sizeof(*seen));

	if (!seen)
		return -ENOMEM;
	targets->seen = seen;
	seen[targets->seen_count++] = (struct seen_file) { dev, ino };
	return 0;
}

static void describe(const struct target *t, const struct tls_sites *s)
{
	log_verbose("%s: %s, %s", t->path, s->library->name, s->recognised);
	for (size_t i = 0; i < s->secret_count; i++)
		log_verbose("%s: %s at 0x%llx (%s)", t->path, s->secret[i].function,
			    (unsigned long long)s->secret[i].offset, rung_name(s->secret[i].rung));
	for (size_t i = 0; i < s->problem_count; i++)
		log_verbose("%s: %s", t->path, s->problem[i]);
	for (size_t i = 0; i < s->count; i++)
		log_verbose("%s: %s at 0x%llx (%s)", t->path, s->site[i].function,
			    (unsigned long long)s->site[i].offset, rung_name(s->site[i].rung));
	for (size_t i = 0; i < s->record_count; i++)
		log_verbose("%s: record copied at 0x%llx (%s)", t->path,
			    (unsigned long long)s->record[i].offset, rung_name(s->record[i].rung));
	for (size_t i = 0; i < s->missing_count; i++)
		log_verbose("%s: no %s: %s", t->path, s->missing[i]->function,
			    s->missing[i]->costs);
}

/* Where a connection ends or uses its socket is no use by itself. */
static bool moves_plaintext(const struct tls_sites *found)
{
	for (size_t i = 0; i < found->count; i++) {
		enum tls_role role = found->site[i].recipe->role;

		if (role == ROLE_TRANSFER || role == ROLE_SENDFILE)
			return true;
	}
	return false;
}

static bool has_secrets(const struct target *t)
{
	for (size_t i = 0; i < t->found_count; i++) {
		if (t->found[i].secret_count)
			return true;
	}
	return false;
}

static bool is_wanted(const struct targets *targets, const struct target *t)
{
	if (targets->secrets && has_secrets(t))
		return true;
	for (size_t i = 0; i < t->found_count; i++) {
		if (targets->plaintext && moves_plaintext(&t->found[i]))
			return true;
	}
	return false;
}

/* A library that was recognised, and why there is nothing to do with it. */
static void describe_unwanted(const struct target *t, const char *path)
{
	for (size_t i = 0; i < t->found_count; i++) {
		for (size_t k = 0; k < t->found[i].problem_count; k++)
			log_verbose("%s: %s", path, t->found[i].problem[k]);
	}
}

/* The name behind links, as the kernel has it; the one given when there is no other. */
static char *real_path(int fd, const char *path)
{
	char link[32], target[4096];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, target, sizeof(target) - 1);
	if (n <= 0)
		return strdup(path);
	target[n] = '\0';
	return strdup(target);
}

/*
 * Takes fd over. pid: as in resolve_file(). 0; -EEXIST when the file has been looked at before; else
 * as targets_add_path().
 */
static int add_fd(struct targets *targets, int fd, pid_t pid, const char *path)
{
	struct target t = { .fd = fd }, *items;
	struct resolved resolved;
	struct stat st;
	int r;

	if (fstat(fd, &st)) {
		r = -errno;
		goto fail;
	}
	r = is_seen(targets, st.st_dev, st.st_ino) ? -EEXIST : see(targets, st.st_dev, st.st_ino);
	if (r)
		goto fail;
	r = resolve_file(&targets->resolve, fd, pid, &resolved);
	if (!r) {
		t.found = resolved.found;
		t.found_count = resolved.count;
	}
	if (!r && !is_wanted(targets, &t)) {
		describe_unwanted(&t, path);
		r = targets->plaintext && has_secrets(&t) ? -ENOMSG : -ENOENT;
	}
	if (r) {
		r = r == -ENOENT ? -ESRCH : r;
		goto fail;
	}
	items = reallocarray(targets->items, targets->count + 1, sizeof(*items));
	t.path = real_path(fd, path);
	if (items)
		targets->items = items;
	if (!items || !t.path) {
		r = -ENOMEM;
		goto fail;
	}
	t.dev = st.st_dev;
	t.ino = st.st_ino;
	items[targets->count++] = t;
	for (size_t i = 0; i < t.found_count; i++)
		describe(&t, &t.found[i]);
	return 0;
fail:
	free(t.path);
	free(t.found);
	close(fd);
	return r;
}

/* O_NONBLOCK: opening a FIFO must not hang. */
static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* What can't be used is passed over: nobody asked for this very file. */
static int add_found(struct targets *targets, int fd, pid_t pid, const char *path)
{
	int r;

	if (fd < 0)
		return 0;
	r = add_fd(targets, fd, pid, path);
	if (r == -ENOMSG)
		log_verbose("%s: passed over: only its secrets can be read", path);
	else if (r && r != -EEXIST && r != -ENOMEM)
		log_verbose("%s: passed over: %s", path,
			    r == -ESRCH ? "no TLS function in it" : strerror(-r));
	return r == -ENOMEM ? r : 0;
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The files that a library loads later, beside it; pid as in add_fd(), root: before all paths. */
static int add_companions(struct targets *targets, pid_t pid, const char *root, const char *path)
{
	const char *name = file_name(path), *const * companion;
	const struct tls_library *library = tls_by_soname(name);
	int r = 0;

	if (!library || !library->companions)
		return 0;
	for (companion = library->companions; *companion && !r; companion++) {
		char *beside;

		if (asprintf(&beside, "%s%.*s%s", root, (int)(name - path), path, *companion) < 0)
			return -ENOMEM;
		r = add_found(targets, open_file(beside), pid, beside);
		free(beside);
	}
	return r;
}

int targets_add_path(struct targets *targets, const char *path)
{
	int fd = open_file(path), r;

	if (fd < 0)
		return fd;
	r = add_fd(targets, fd, 0, path);
	if (r && r != -EEXIST)
		return r;
	return add_companions(targets, 0, "", path);
}

/* What is in the folders and fits the pattern; to be freed with globfree(). */
static void list(const char *const *names, size_t count, const char *pattern, glob_t *ret_found)
{
	memset(ret_found, 0, sizeof(*ret_found));
	for (size_t i = 0; i < count; i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", names[i], pattern);
		(void)glob(path, (i ? GLOB_APPEND : 0) | GLOB_NOSORT, NULL, ret_found);
	}
}

int targets_add_system(struct targets *targets)
{
	glob_t found;
	int r = 0;

	list(folders, sizeof(folders) / sizeof(*folders), "*.so*", &found);
	for (size_t i = 0; i < found.gl_pathc && !r; i++) {
		const char *path = found.gl_pathv[i];

		if (!tls_by_soname(file_name(path)))
			continue;
		r = add_found(targets, open_file(path), 0, path);
		if (!r)
			r = add_companions(targets, 0, "", path);
	}
	globfree(&found);
	return r;
}

int targets_add_programs(struct targets *targets)
{
	glob_t found;
	int r = 0;

	list(program_folders, sizeof(program_folders) / sizeof(*program_folders), "*", &found);
	for (size_t i = 0; i < found.gl_pathc && !r; i++) {
		const char *path = found.gl_pathv[i];
		struct stat st;
		int fd, one;

		if (stat(path, &st) || !S_ISREG(st.st_mode) || st.st_size < PROGRAM_SIZE_MIN ||
		    is_seen(targets, st.st_dev, st.st_ino))
			continue;
		fd = open_file(path);
		one = fd < 0 ? 0 : add_fd(targets, fd, 0, path);
		/* Most of them have nothing to do with TLS: not worth a word. */
		if (one == -ENOMEM)
			r = one;
	}
	globfree(&found);
	return r;
}

static int add_map(void *arg, pid_t pid, const struct procfs_map *map)
{
	struct targets *targets = arg;
	/* Secrets are found without symbols: in a module of Python or of the JVM as well. */
	bool known = targets->secrets || tls_by_soname(file_name(map->path));
	char root[32];
	int r;

	if (!known || is_seen(targets, makedev(map->major, map->minor), map->inode))
		return 0;
	r = add_found(targets, procfs_open_map(pid, map), pid, map->path);
	snprintf(root, sizeof(root), "/proc/%d/root", pid);
	return r ? r : add_companions(targets, pid, root, map->path);
}

/* Programs with TLS linked in: Node and its like. Most executables have no such function. */
static int add_exe(struct targets *targets, pid_t pid)
{
	int fd = procfs_open_exe(pid), r;

	if (fd < 0)
		return 0;
	r = add_fd(targets, fd, pid, "");
	return r == -ENOMEM ? r : 0;
}

int targets_add_process(struct targets *targets, pid_t pid)
{
	int r = procfs_maps(pid, add_map, targets);

	return r ? r : add_exe(targets, pid);
}

static int add_any(void *arg, pid_t pid)
{
	int r = targets_add_process(arg, pid);

	/* Processes end while we look, kernel threads have nothing. */
	return r == -ENOMEM ? r : 0;
}

int targets_add_all(struct targets *targets)
{
	return procfs_each(add_any, targets);
}

static int is_target(void *arg, pid_t pid, const struct procfs_map *map)
{
	const struct targets *targets = arg;

	(void)pid;
	for (size_t i = 0; i < targets->count; i++) {
		if (targets->items[i].ino == map->inode &&
		    targets->items[i].dev == makedev(map->major, map->minor))
			return 1;
	}
	return 0;
}

bool targets_used_by(const struct targets *targets, pid_t pid)
{
	return procfs_maps(pid, is_target, (void *)targets) == 1;
}

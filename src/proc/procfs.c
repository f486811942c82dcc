// SPDX-License-Identifier: Apache-2.0
#include "proc/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/options.h"

static int each_number(const char *path, procfs_pid_fn fn, void *arg)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!r && (entry = readdir(dir))) {
		uint64_t pid;

		if (!number_parse(entry->d_name, 1, INT32_MAX, &pid))
			r = fn(arg, (pid_t)pid);
	}
	closedir(dir);
	return r;
}

int procfs_each(procfs_pid_fn fn, void *arg)
{
	return each_number("/proc", fn, arg);
}

int procfs_threads(pid_t pid, procfs_pid_fn fn, void *arg)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return each_number(path, fn, arg);
}

pid_t procfs_parent(pid_t pid)
{
	char name[32], line[512];
	pid_t parent = 0;
	char *end;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	f = fopen(name, "re");
	if (!f)
		return 0;
	/* "PID (COMM) STATE PPID ...": the name may hold anything, parentheses too. */
	if (fgets(line, sizeof(line), f) && (end = strrchr(line, ')')) &&
	    sscanf(end, ") %*c %d", &parent) != 1)
		parent = 0;
	fclose(f);
	return parent;
}

bool procfs_map_parse(char *line, struct procfs_map *ret_map)
{
	struct procfs_map map;
	char perms[5] = "";
	int path = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %x:%x %" SCNu64 " %n", &map.start,
		   &map.end, perms, &map.major, &map.minor, &map.inode, &path) != 6 ||
	    !path)
		return false;
	if (perms[2] != 'x' || !map.inode || line[path] != '/')
		return false;
	line += path;
	line[strcspn(line, "\n")] = '\0';
	map.path = line;
	*ret_map = map;
	return true;
}

int procfs_maps(pid_t pid, procfs_map_fn fn, void *arg)
{
	char name[32], *line = NULL;
	size_t size = 0;
	int r = 0;
	FILE *f;

	snprintf(name, sizeof(name), "/proc/%d/maps", pid);
	f = fopen(name, "re");
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!r && getline(&line, &size, f) > 0) {
		struct procfs_map map;

		if (procfs_map_parse(line, &map))
			r = fn(arg, pid, &map);
	}
	free(line);
	fclose(f);
	return r;
}

int procfs_open_map(pid_t pid, const struct procfs_map *map)
{
	char name[96 + 4096];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, map->start,
		 map->end);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	/* Without CAP_CHECKPOINT_RESTORE there is only the path. */
	snprintf(name, sizeof(name), "/proc/%d/root%s", pid, map->path);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int procfs_open_exe(pid_t pid)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/exe", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void procfs_comm(pid_t pid, char ret_comm[PROCFS_COMM_LEN])
{
	char name[32];
	ssize_t n = 0;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/comm", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, ret_comm, PROCFS_COMM_LEN - 1);
		close(fd);
	}
	/* The newline is the kernel's; one before it would be the name's own. */
	ret_comm[n > 0 ? n - 1 : 0] = '\0';
}

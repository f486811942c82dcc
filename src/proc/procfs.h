/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc says about processes. Every name read from there is hostile. */
#ifndef PROCFS_H
#define PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Calls fn for each process; a nonzero result ends the walk and is returned. */
typedef int (*procfs_pid_fn)(void *arg, pid_t pid);
int procfs_each(procfs_pid_fn fn, void *arg);

/* Calls fn for each thread of a process, as procfs_each(). -ESRCH. */
int procfs_threads(pid_t pid, procfs_pid_fn fn, void *arg);

/* Parent of a process; 0 when it has none or is gone. */
pid_t procfs_parent(pid_t pid);

/* One executable mapping of a file. */
struct procfs_map {
	uint64_t start;
	uint64_t end;
	uint64_t inode;
	unsigned int major;
	unsigned int minor;
	const char *path; /* as the process sees it; valid during the call */
};

/*
 * Calls fn for each executable mapping of a file of pid. -ESRCH no such process; -EACCES;
 * or fn's nonzero result.
 */
typedef int (*procfs_map_fn)(void *arg, pid_t pid, const struct procfs_map *map);
int procfs_maps(pid_t pid, procfs_map_fn fn, void *arg);

/* Reads one line of /proc/PID/maps; false when it is not an executable mapping of a file. */
bool procfs_map_parse(char *line, struct procfs_map *ret_map);

/*
 * Opens the very file that is mapped, even if it is deleted or in another root.
 * Descriptor with O_CLOEXEC, or a negative errno.
 */
int procfs_open_map(pid_t pid, const struct procfs_map *map);
int procfs_open_exe(pid_t pid);

/* Name of a process, hostile; "" when it is gone. */
#define PROCFS_COMM_LEN 64
void procfs_comm(pid_t pid, char ret_comm[PROCFS_COMM_LEN]);

#endif

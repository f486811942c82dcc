// SPDX-License-Identifier: Apache-2.0
#include "proc/reader.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "proc/procfs.h"

/* Documentation/admin-guide/devices.txt: slaves of Unix98 terminals; /dev/ptmx. */
#define PTS_MAJOR_FIRST 136
#define PTS_MAJOR_LAST	143
#define PTMX_DEV	makedev(5, 2)

enum end_kind {
	END_NONE,
	END_PIPE,   /* id: inode of the pipe */
	END_SOCKET, /* id: inode of the peer's socket */
	END_PTY,    /* id: number of the terminal */
};

struct end {
	enum end_kind kind;
	uint64_t id;
};

static uint64_t pts_number(dev_t dev)
{
	return (uint64_t)(major(dev) - PTS_MAJOR_FIRST) * 256 + minor(dev);
}

/* Inode of the socket at the other end of a Unix socket pair; 0 when there is none. */
static uint64_t unix_peer(uint64_t inode)
{
	struct {
		struct nlmsghdr h;
		struct unix_diag_req r;
	} req = {
		.h = { .nlmsg_len = sizeof(req),
		       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		       .nlmsg_flags = NLM_F_REQUEST },
		.r = { .sdiag_family = AF_UNIX,
		       .udiag_states = UINT32_MAX,
		       .udiag_ino = (uint32_t)inode,
		       .udiag_cookie = { UINT32_MAX, UINT32_MAX },
		       .udiag_show = UDIAG_SHOW_PEER },
	};
	_Alignas(struct nlmsghdr) char buf[512];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	uint64_t peer = 0;
	ssize_t n = -1;

	if (fd < 0)
		return 0;
	if (send(fd, &req, sizeof(req), 0) == (ssize_t)sizeof(req))
		n = recv(fd, buf, sizeof(buf), 0);
	close(fd);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct unix_diag_msg)) ||
	    ((struct nlmsghdr *)buf)->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return 0;
	for (size_t at = NLMSG_LENGTH(sizeof(struct unix_diag_msg));
	     at + sizeof(struct nlattr) + 4 <= (size_t)n;) {
		const struct nlattr *a = (const void *)(buf + at);
		uint32_t value;

		if (a->nla_len < sizeof(*a))
			break;
		memcpy(&value, a + 1, sizeof(value));
		if (a->nla_type == UNIX_DIAG_PEER)
			peer = value;
		at += NLA_ALIGN(a->nla_len);
	}
	return peer;
}

static struct end end_of(const struct stat *st)
{
	struct end end = { END_NONE, 0 };

	if (S_ISFIFO(st->st_mode))
		end = (struct end) { END_PIPE, st->st_ino };
	else if (S_ISSOCK(st->st_mode))
		end = (struct end) { END_SOCKET, unix_peer(st->st_ino) };
	else if (S_ISCHR(st->st_mode) && major(st->st_rdev) >= PTS_MAJOR_FIRST &&
		 major(st->st_rdev) <= PTS_MAJOR_LAST)
		end = (struct end) { END_PTY, pts_number(st->st_rdev) };
	if (end.kind == END_SOCKET && !end.id)
		end.kind = END_NONE;
	return end;
}

/* A field of /proc/PID/fdinfo/FD, in the given base; false when it is not there. */
static bool fdinfo_field(pid_t pid, const char *fd, const char *name, int base, uint64_t *ret_value)
{
	char path[64 + NAME_MAX], line[128];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, fd);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, strlen(name)))
			continue;
		*ret_value = strtoull(line + strlen(name), NULL, base);
		found = true;
	}
	fclose(f);
	return found;
}

static bool reads(pid_t pid, const char *fd, const struct stat *st, const struct end *end)
{
	uint64_t value;

	switch (end->kind) {
	case END_PIPE:
		return S_ISFIFO(st->st_mode) && st->st_ino == end->id &&
		       fdinfo_field(pid, fd, "flags:", 8, &value) &&
		       (value & O_ACCMODE) != O_WRONLY;
	case END_SOCKET:
		return S_ISSOCK(st->st_mode) && st->st_ino == end->id;
	case END_PTY:
		return S_ISCHR(st->st_mode) && st->st_rdev == PTMX_DEV &&
		       fdinfo_field(pid, fd, "tty-index:", 10, &value) && value == end->id;
	case END_NONE:
		break;
	}
	return false;
}

struct search {
	struct readers *readers;
	struct end end;
};

static void reader_add(struct readers *readers, pid_t pid)
{
	for (size_t i = 0; i < readers->count; i++) {
		if (readers->pids[i] == pid)
			return;
	}
	if (readers->count < READERS_MAX && pid != getpid())
		readers->pids[readers->count++] = pid;
}

static int look_at(void *arg, pid_t pid)
{
	struct search *search = arg;
	struct dirent *entry;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		struct stat st;

		if (fstatat(dirfd(dir), entry->d_name, &st, 0))
			continue;
		if (reads(pid, entry->d_name, &st, &search->end)) {
			reader_add(search->readers, pid);
			break;
		}
	}
	closedir(dir);
	return 0;
}

static void follow(const struct stat *st, struct readers *readers)
{
	struct search search = { .readers = readers, .end = end_of(st) };

	if (search.end.kind != END_NONE)
		(void)procfs_each(look_at, &search);
}

/* A terminal within a terminal (tmux, sudo, script) and a pipeline: on from what they write to. */
static void follow_process(pid_t pid, struct readers *readers)
{
	struct dirent *entry;
	char path[32];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		struct stat st;

		if (fstatat(dirfd(dir), entry->d_name, &st, 0))
			continue;
		if (S_ISCHR(st.st_mode) || !strcmp(entry->d_name, "1"))
			follow(&st, readers);
	}
	closedir(dir);
}

void readers_find(int fd, struct readers *ret_readers)
{
	struct stat st;

	ret_readers->count = 0;
	if (fstat(fd, &st))
		return;
	follow(&st, ret_readers);
	/* The list grows while it is walked. */
	for (size_t i = 0; i < ret_readers->count; i++)
		follow_process(ret_readers->pids[i], ret_readers);
}

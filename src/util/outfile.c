// SPDX-License-Identifier: Apache-2.0
#include "util/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/options.h"

/* Who called sudo. */
static bool sudo_id(const char *name, uint64_t *ret_id)
{
	const char *text = getenv(name);

	return text && !number_parse(text, 0, UINT32_MAX, ret_id);
}

static bool owner_allowed(uid_t owner)
{
	uint64_t uid;

	if (owner == geteuid())
		return true;
	return sudo_id("SUDO_UID", &uid) && owner == uid;
}

static int check(int fd, struct stat *ret_st)
{
	struct stat st;
	int flags;

	if (fstat(fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	/* Whoever made the file before us could have kept it open or linked it. */
	if ((S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode)) && !owner_allowed(st.st_uid))
		return -EPERM;
	if (S_ISREG(st.st_mode)) {
		if (st.st_nlink > 1)
			return -EMLINK;
		if (fchmod(fd, 0600))
			return -errno;
	}
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK))
		return -errno;
	*ret_st = st;
	return 0;
}

/* O_NONBLOCK: a FIFO without a reader is an error and not a hang. */
static int open_checked(const char *path, int flags, struct stat *ret_st)
{
	int fd = open(path,
		      flags | O_WRONLY | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC,
		      0600);
	int r;

	if (fd < 0)
		return -errno;
	r = check(fd, ret_st);
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

int outfile_open(const char *path)
{
	struct stat st;
	int fd = open_checked(path, 0, &st);
	int r;

	if (fd < 0 || !S_ISREG(st.st_mode) || !ftruncate(fd, 0))
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static int stat_folder(const char *path, struct stat *ret_st)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, slash - path + 1) : strdup(".");
	int r = folder ? stat(folder, ret_st) : -1;

	free(folder);
	return r;
}

bool outfile_in_root_folder(const char *path)
{
	struct stat st;

	return !stat_folder(path, &st) && st.st_uid == 0;
}

static int give_to_user(int fd, const char *path, const struct stat *st)
{
	uint64_t uid, gid;
	struct stat folder;

	if (geteuid() != 0 || !S_ISREG(st->st_mode) || st->st_size || st->st_uid ||
	    !sudo_id("SUDO_UID", &uid) || !sudo_id("SUDO_GID", &gid) ||
	    stat_folder(path, &folder) || folder.st_uid == 0 || folder.st_uid != uid)
		return 0;
	return fchown(fd, uid, gid) ? -errno : 0;
}

/* A full disk may have left half a line: the next one must not continue it. */
static void end_line(int fd, const struct stat *st)
{
	char link[32], last = '\n';
	int reader;

	if (!S_ISREG(st->st_mode) || !st->st_size)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	reader = open(link, O_RDONLY | O_CLOEXEC);
	if (reader < 0)
		return;
	if (pread(reader, &last, 1, st->st_size - 1) == 1 && last != '\n')
		(void)!write(fd, "\n", 1);
	close(reader);
}

int outfile_append(const char *path)
{
	struct stat st;
	int fd = open_checked(path, O_APPEND, &st), r;

	if (fd < 0)
		return fd;
	r = give_to_user(fd, path, &st);
	if (r) {
		close(fd);
		return r;
	}
	end_line(fd, &st);
	return fd;
}

// SPDX-License-Identifier: Apache-2.0
#include "util/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/options.h"

static int owner_allowed(uid_t owner)
{
	const char *sudo = getenv("SUDO_UID");
	uint64_t uid;

	if (owner == geteuid())
		return 1;
	return sudo && !number_parse(sudo, 0, UINT32_MAX, &uid) && owner == uid;
}

static int check(int fd)
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
		if (fchmod(fd, 0600) || ftruncate(fd, 0))
			return -errno;
	}
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK))
		return -errno;
	return 0;
}

int outfile_open(const char *path)
{
	/* O_NONBLOCK: a FIFO without a reader is an error and not a hang. */
	int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK | O_CLOEXEC,
		      0600);
	int r;

	if (fd < 0)
		return -errno;
	r = check(fd);
	if (r) {
		close(fd);
		return r;
	}
	return fd;
}

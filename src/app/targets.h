/* SPDX-License-Identifier: Apache-2.0 */
/* The files to probe: given by the user, mapped by processes, or in the system's folders. */
#ifndef TARGETS_H
#define TARGETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "app/resolve.h"
#include "tls/library.h"

struct target {
	int fd;
	dev_t dev;
	ino_t ino;
	char *path;		 /* for people; the file may be deleted or in another root */
	struct tls_sites *found; /* one for each library in it */
	size_t found_count;
};

/* Zero is not enough: say what is wanted. */
struct targets {
	bool plaintext; /* files with plaintext functions count */
	bool secrets;	/* files where secrets are handed over count */
	struct resolve resolve;
	struct target *items;
	size_t count;
	struct seen_file *seen; /* files looked at, tapped or not */
	size_t seen_count;
};

void targets_done(struct targets *targets);

/*
 * A file that the user named. -ENOENT when open(2) says so; -ENOEXEC, -EOPNOTSUPP ... as
 * resolve_file(); -ESRCH when there is no TLS function in it; -ENOMSG when only secrets could be
 * read from it, and those are not wanted.
 */
int targets_add_path(struct targets *targets, const char *path);
/* Libraries in the folders of the dynamic linker. */
int targets_add_system(struct targets *targets);
/* Programs with TLS linked in, in the system's folders: somebody may start one later. */
int targets_add_programs(struct targets *targets);
/* Libraries mapped by a process, and its executable if TLS is linked into it. -ESRCH, -EACCES. */
int targets_add_process(struct targets *targets, pid_t pid);
/* The same for every process there is. */
int targets_add_all(struct targets *targets);

/* Does a process map one of the files? */
bool targets_used_by(const struct targets *targets, pid_t pid);

#endif

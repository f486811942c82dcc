/* SPDX-License-Identifier: Apache-2.0 */
/* Privileges: what this process has, and giving up what it needs no more. */
#ifndef PRIVS_H
#define PRIVS_H

#include <stdbool.h>

/* Is a capability (CAP_... of linux/capability.h) effective? */
bool privs_has(int cap);

struct privs_keep {
	bool bpf;  /* maps are still to be read on kernels that ask for CAP_BPF each time */
	bool kill; /* signals go to a command that was started with more rights */
	bool root; /* files of root's are still to be opened: stay root, without what makes it special */
};

/*
 * Drops every capability that is not kept, from all sets and the bounding set, forbids new ones
 * (no_new_privs), and leaves root, if that is not kept, for the user who called sudo, or for nobody.
 * Descriptors that are open stay open. 0 or a negative errno.
 */
int privs_drop(const struct privs_keep *keep);

#endif

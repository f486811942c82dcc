/* SPDX-License-Identifier: Apache-2.0 */
/* Names of cgroups (v2) by their ids. */
#ifndef CGROUP_H
#define CGROUP_H

#include <stdint.h>

struct cgroups;

/* -ENOMEM. Without a cgroup v2 mount no name is ever found. */
int cgroups_new(struct cgroups **ret_cgroups);
void cgroups_free(struct cgroups *cgroups);

/*
 * Path below the mount ("/" is the root), "" when not known. The id is the inode number of the
 * group's directory (kernel: cgroup_id()). Valid until the next call.
 */
const char *cgroups_path(struct cgroups *cgroups, uint64_t id);

#endif

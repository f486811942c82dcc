// SPDX-License-Identifier: Apache-2.0
#include "proc/cgroup.h"

#include <errno.h>
#include <fts.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Groups come and go; a hierarchy is walked again for an id that is new. */
#define CACHE_SIZE 64
#define WALK_MAX   100000

struct cgroups {
	char *mount;
	struct {
		uint64_t id;
		char *path;
	} cache[CACHE_SIZE];
	unsigned int next;
};

static char *find_mount(void)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	char *found = NULL;

	if (!f)
		return NULL;
	while (!found && (m = getmntent(f))) {
		if (!strcmp(m->mnt_type, "cgroup2"))
			found = strdup(m->mnt_dir);
	}
	endmntent(f);
	return found;
}

int cgroups_new(struct cgroups **ret_cgroups)
{
	struct cgroups *cgroups = calloc(1, sizeof(*cgroups));

	if (!cgroups)
		return -ENOMEM;
	cgroups->mount = find_mount();
	*ret_cgroups = cgroups;
	return 0;
}

void cgroups_free(struct cgroups *cgroups)
{
	if (!cgroups)
		return;
	for (int i = 0; i < CACHE_SIZE; i++)
		free(cgroups->cache[i].path);
	free(cgroups->mount);
	free(cgroups);
}

static char *search(const char *mount, uint64_t id)
{
	char *roots[] = { (char *)mount, NULL }, *found = NULL;
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
	unsigned int seen = 0;
	FTSENT *entry;

	if (!fts)
		return NULL;
	while (!found && seen < WALK_MAX && (entry = fts_read(fts))) {
		if (entry->fts_info != FTS_D)
			continue;
		seen++;
		if (entry->fts_statp->st_ino == id)
			found = strdup(entry->fts_path + strlen(mount));
	}
	fts_close(fts);
	if (found && !*found) {
		free(found);
		found = strdup("/");
	}
	return found;
}

const char *cgroups_path(struct cgroups *cgroups, uint64_t id)
{
	unsigned int slot;

	if (!id || !cgroups->mount)
		return "";
	for (int i = 0; i < CACHE_SIZE; i++) {
		if (cgroups->cache[i].id == id)
			return cgroups->cache[i].path ? cgroups->cache[i].path : "";
	}
	slot = cgroups->next++ % CACHE_SIZE;
	free(cgroups->cache[slot].path);
	cgroups->cache[slot].id = id;
	cgroups->cache[slot].path = search(cgroups->mount, id);
	return cgroups->cache[slot].path ? cgroups->cache[slot].path : "";
}

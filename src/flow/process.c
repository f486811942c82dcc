// SPDX-License-Identifier: Apache-2.0
#include "flow/process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void proc_free(struct flow_proc *proc)
{
	free(proc->exe);
	free(proc->cgroup);
	free(proc);
}

int proc_fill(struct flow_proc *proc, const struct rec_proc *rec, uint64_t start_ns, char *exe,
	      char *cgroup)
{
	if (!exe || !cgroup) {
		free(exe);
		free(cgroup);
		return -ENOMEM;
	}
	free(proc->exe);
	free(proc->cgroup);
	proc->exe = exe;
	proc->cgroup = cgroup;
	proc->known = true;
	proc->start_boot_ns = rec->start_ns;
	proc->p = (struct process) {
		.pid = rec->h.pid,
		.ppid = rec->ppid,
		.uid = rec->uid,
		.gid = rec->gid,
		.start_ns = start_ns,
		.cgroup_id = rec->cgroup_id,
		.cgroup = cgroup,
		.exe = exe,
	};
	return 0;
}

bool proc_same_program(const struct flow_proc *proc, const struct rec_proc *rec, const char *exe)
{
	return !proc->known ||
	       (proc->start_boot_ns == rec->start_ns && exe && !strcmp(proc->exe, exe));
}

char *path_join(const char *parts, size_t len)
{
	char *path = malloc(len + 2), *out = path;
	size_t end = len;

	if (!path)
		return NULL;
	while (end > 0 && parts[end - 1] == '\0') {
		size_t start = end - 1;

		while (start > 0 && parts[start - 1] != '\0')
			start--;
		*out++ = '/';
		memcpy(out, parts + start, end - 1 - start);
		out += end - 1 - start;
		end = start;
	}
	*out = '\0';
	return path;
}

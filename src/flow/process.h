/* SPDX-License-Identifier: Apache-2.0 */
/* A process as the kernel side describes it. */
#ifndef FLOW_PROCESS_H
#define FLOW_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* uthash ends the program on allocation failure unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "bpf/abi.h"
#include "event/event.h"

struct flow_conn;

struct flow_proc {
	struct process p;
	char *exe;
	char *cgroup;
	struct flow_conn *conns;
	uint64_t start_boot_ns;
	bool known; /* REC_PROC has come */
	bool gone;  /* ended or replaced; freed with its last connection */
	UT_hash_handle hh;
};

void proc_free(struct flow_proc *proc);

/* Takes over exe and cgroup, also on failure. -ENOMEM when one of them is NULL. */
int proc_fill(struct flow_proc *proc, const struct rec_proc *rec, uint64_t start_ns, char *exe,
	      char *cgroup);

/* Two threads may both report their process; and it may follow its first connection. */
bool proc_same_program(const struct flow_proc *proc, const struct rec_proc *rec, const char *exe);

/* Components come last one first, each ended by a NUL. To be freed; NULL without memory. */
char *path_join(const char *parts, size_t len);

#endif

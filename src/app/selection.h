/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes to tap: the user's filters, checked and turned into what the kernel compares. */
#ifndef SELECTION_H
#define SELECTION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/abi.h"
#include "probe/tap.h"

struct session_request;

struct selection {
	struct filter_key *keys;
	size_t count;
	pid_t *pids;
	size_t pid_count;
};

/* Prints what is wrong. 0 or an exit status. */
int selection_init(struct selection *sel, const struct session_request *request);
void selection_done(struct selection *sel);

/* Children of the processes that are in already, and theirs. Negative errno. */
int selection_add_children(struct selection *sel);
/* One more process, unless it is in already; -ENOMEM. */
int selection_add_pid(struct selection *sel, pid_t pid);

/* Bit n: there are keys of enum filter_kind n. */
uint32_t selection_kinds(const struct selection *sel);
/* Negative errno of tap_filter(). */
int selection_apply(const struct selection *sel, struct tap *tap);

#endif

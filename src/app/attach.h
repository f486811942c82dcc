/* SPDX-License-Identifier: Apache-2.0 */
/* From what the user asked for to probes: finds the files, plants the probes, says what failed. */
#ifndef ATTACH_H
#define ATTACH_H

#include <stddef.h>

struct selection;
struct session_request;
struct tap;
struct targets;

/* Prints what is wrong. 0 or an exit status. */
int attach_find(struct targets *targets, const struct selection *sel,
		const struct session_request *request);
/* ret_probes: sites that are probed now. Prints what is wrong. 0 or an exit status. */
int attach_all(struct tap *tap, const struct targets *targets, const struct selection *sel,
	       const struct session_request *request, size_t *ret_probes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to probe in one file or in those of one process, printed. */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include <stdbool.h>

#include "util/options.h"

struct explain_request {
	const char *subject; /* a process id, or a path */
	struct option_list probes;
	bool no_cache;
	bool json;
};

/* Returns the exit status; messages have been printed. */
int explain_run(const struct explain_request *request);

#endif

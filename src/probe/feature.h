/* SPDX-License-Identifier: Apache-2.0 */
/* What this kernel and this user allow, found by trying and never by version. */
#ifndef FEATURE_H
#define FEATURE_H

#include <stdbool.h>
#include <stddef.h>

struct feature {
	const char *name;
	bool needed;	     /* cleartap does not run without it */
	const char *without; /* what happens instead, as a sentence */
	bool (*present)(void);
};

/* All features, ended by an entry without a name. */
extern const struct feature features[];

/* Silences libbpf: callers say in one sentence what went wrong. verbose: to stderr as it comes. */
void feature_quiet(bool verbose);

#endif

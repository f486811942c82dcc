/* SPDX-License-Identifier: Apache-2.0 */
/* What there is to probe in a file: kept from an earlier start, or found in it now. */
#ifndef RESOLVE_H
#define RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tls/library.h"
#include "util/options.h"

struct cache;

/* --probe FUNCTION=OFFSET */
struct resolve_probe {
	char *function;
	uint64_t offset;
};

/* Zero: no cache and no addresses from the user. */
struct resolve {
	struct cache *cache;
	struct resolve_probe *probe;
	size_t probe_count;
};

/* Prints what is wrong with the probes. 0 or an exit status. */
int resolve_init(struct resolve *resolve, const struct option_list *probes, bool use_cache);
/* Keeps what was found for the next start; after that there is no cache any more. */
void resolve_save(struct resolve *resolve);
void resolve_done(struct resolve *resolve);

struct resolved {
	struct tls_sites *found; /* to be freed; NULL when there is nothing */
	size_t count;
	bool cached;
};

/* An address of the user's is none to probe; that has been said. */
#define RESOLVE_REFUSED (-EDOM)

/*
 * pid: the process that uses the file, whose root has the debug file; 0: none. -ENOENT when there
 * is nothing of TLS in it, errors of image_open() and tls_resolve(), RESOLVE_REFUSED.
 */
int resolve_file(struct resolve *resolve, int fd, pid_t pid, struct resolved *ret_resolved);

/* Such an error as the end of a sentence. */
const char *resolve_error(int r);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was found in files, kept for the next start. One file in a folder that root alone can write
 * to; what is in it is checked all the same, and what does not hold is left out and replaced.
 */
#ifndef CACHE_H
#define CACHE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "tls/library.h"

#define CACHE_FOLDER	  "/var/cache/cleartap"
#define CACHE_ENTRIES_MAX 10000
#define CACHE_BYTES_MAX	  (4U << 20)

struct cache;

/*
 * A file as it is now. Device numbers and times alone could be another file's: read-only file
 * systems have times of long ago, and numbers change when they are mounted again. The beginning
 * has the build ID.
 */
struct cache_key {
	uint64_t dev;
	uint64_t ino;
	uint64_t len;
	int64_t changed_s;
	uint64_t changed_ns;
	uint64_t head; /* hash of the file's beginning */
};

/*
 * NULL when there can't be one: not root, or the folder is not a good one. It is made when it is
 * not there.
 */
struct cache *cache_open(const char *folder);
void cache_close(struct cache *cache);

/* Negative errno of fstat(2) and pread(2). */
int cache_key_read(int fd, struct cache_key *ret_key);

/* As store_decode(). -ENOENT: not there. */
int cache_get(struct cache *cache, const struct cache_key *key, struct tls_sites **ret_found,
	      size_t *ret_count);
/*
 * Keeps what was found, unless the file has changed since the key was read, or so short a time
 * before that a change could have the same time. count may be 0.
 */
void cache_put(struct cache *cache, int fd, const struct cache_key *key,
	       const struct tls_sites *found, size_t count);

/* Writes what is new, together with what others have written since. 0 or a negative errno. */
int cache_save(struct cache *cache);

#endif

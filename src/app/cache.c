// SPDX-License-Identifier: Apache-2.0
#include "app/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "elf/image.h"
#include "tls/store.h"

#define FILE_NAME "files"
#define TEMP_NAME "files.new"
#define MAGIC	  "cleartap"
#define FORMAT	  1
#define HEAD_LEN  4096
/* File systems tell times apart by some milliseconds at least, but clocks are set. */
#define RECENT_S 2
/* Somebody who writes takes no longer. */
#define STALE_S 60
/* The time of the last use is not worth a write each time. */
#define DAY_S 86400

struct header {
	char magic[8];
	uint64_t sum; /* of everything behind it */
	uint32_t format;
	uint32_t count;
	/* Another program may find other things in the same file: its build ID. */
	uint8_t program[IMAGE_BUILD_ID_MAX];
};

struct entry_header {
	struct cache_key key;
	uint64_t used; /* seconds */
	uint32_t len;  /* of what follows */
	uint32_t pad;
};

_Static_assert(sizeof(struct header) == 88, "header");
_Static_assert(sizeof(struct entry_header) == 64, "entry_header");

struct entry {
	struct entry_header h;
	const uint8_t *data; /* in struct content; of a fresh one its own */
	bool changed;
};

/* One file's content, or none. */
struct content {
	uint8_t *data;
	struct entry *entry; /* by key */
	size_t count;
};

struct cache {
	int folder;
	uint8_t program[IMAGE_BUILD_ID_MAX];
	struct content content;
	struct entry *fresh;
	size_t fresh_count;
	bool touched; /* an entry's time of use is out of date by more than a day */
};

/* FNV-1a: finds accidents. Whoever can write here on purpose is root. */
static uint64_t hash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t sum = UINT64_C(0xcbf29ce484222325);

	while (len--)
		sum = (sum ^ *p++) * UINT64_C(0x100000001b3);
	return sum;
}

/* Each build has its own, also where two call themselves the same version. */
static bool program_id(uint8_t *ret_id)
{
	struct image *image;
	size_t len;
	bool good;

	memset(ret_id, 0, IMAGE_BUILD_ID_MAX);
	if (image_open("/proc/self/exe", &image))
		return false;
	good = !image_build_id(image, ret_id, &len);
	image_free(image);
	return good;
}

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

static int key_compare(const void *a, const void *b)
{
	return memcmp(&((const struct entry *)a)->h.key, &((const struct entry *)b)->h.key,
		      sizeof(struct cache_key));
}

static int open_folder(const char *path)
{
	struct stat st;
	int fd;

	if (mkdir(path, 0700) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!fstat(fd, &st) && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH)))
		return fd;
	close(fd);
	return -EPERM;
}

static ssize_t read_all(int fd, uint8_t *buf, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pread(fd, buf + done, len - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static void content_done(struct content *content)
{
	free(content->data);
	free(content->entry);
	*content = (struct content) { NULL };
}

static bool content_parse(const struct cache *cache, size_t len, struct content *content)
{
	struct header h;
	size_t pos = sizeof(h);

	if (len < sizeof(h))
		return false;
	memcpy(&h, content->data, sizeof(h));
	if (memcmp(h.magic, MAGIC, sizeof(h.magic)) || h.format != FORMAT ||
	    h.count > CACHE_ENTRIES_MAX || memcmp(h.program, cache->program, sizeof(h.program)) ||
	    h.sum != hash(content->data + 16, len - 16))
		return false;
	content->entry = calloc(h.count + 1, sizeof(*content->entry));
	if (!content->entry)
		return false;
	while (content->count < h.count) {
		struct entry *e = &content->entry[content->count++];

		if (len - pos < sizeof(e->h))
			return false;
		memcpy(&e->h, content->data + pos, sizeof(e->h));
		pos += sizeof(e->h);
		if (e->h.len > len - pos)
			return false;
		e->data = content->data + pos;
		pos += e->h.len;
	}
	return pos == len;
}

/* What is wrong with the file is the same as no file. */
static void content_load(const struct cache *cache, struct content *ret_content)
{
	struct content content = { NULL };
	struct stat st;
	int fd = openat(cache->folder, FILE_NAME,
			O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_uid == 0 &&
	    !(st.st_mode & (S_IWGRP | S_IWOTH)) && st.st_size <= CACHE_BYTES_MAX)
		content.data = malloc((size_t)st.st_size + 1);
	if (content.data && read_all(fd, content.data, (size_t)st.st_size) == st.st_size &&
	    content_parse(cache, (size_t)st.st_size, &content)) {
		qsort(content.entry, content.count, sizeof(*content.entry), key_compare);
		*ret_content = content;
	} else {
		content_done(&content);
	}
	close(fd);
}

struct cache *cache_open(const char *folder)
{
	struct cache *cache;

	if (geteuid() != 0)
		return NULL;
	cache = calloc(1, sizeof(*cache));
	if (!cache)
		return NULL;
	cache->folder = open_folder(folder);
	if (cache->folder < 0 || !program_id(cache->program)) {
		cache_close(cache);
		return NULL;
	}
	content_load(cache, &cache->content);
	return cache;
}

void cache_close(struct cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < cache->fresh_count; i++)
		free((uint8_t *)cache->fresh[i].data);
	free(cache->fresh);
	content_done(&cache->content);
	if (cache->folder >= 0)
		close(cache->folder);
	free(cache);
}

static void key_stat(const struct stat *st, struct cache_key *key)
{
	key->dev = st->st_dev;
	key->ino = st->st_ino;
	key->len = (uint64_t)st->st_size;
	key->changed_s = st->st_ctim.tv_sec;
	key->changed_ns = (uint64_t)st->st_ctim.tv_nsec;
}

int cache_key_read(int fd, struct cache_key *ret_key)
{
	struct cache_key key = { 0 };
	uint8_t head[HEAD_LEN];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -ENOEXEC;
	key_stat(&st, &key);
	n = read_all(fd, head, sizeof(head));
	if (n < 0)
		return (int)n;
	key.head = hash(head, (size_t)n);
	*ret_key = key;
	return 0;
}

int cache_get(struct cache *cache, const struct cache_key *key, struct tls_sites **ret_found,
	      size_t *ret_count)
{
	struct entry wanted = { .h = { .key = *key } }, *e;
	uint64_t now = now_s();
	int r;

	if (!cache->content.count)
		return -ENOENT;
	e = bsearch(&wanted, cache->content.entry, cache->content.count, sizeof(*e), key_compare);
	if (!e)
		return -ENOENT;
	r = store_decode(e->data, e->h.len, key->len, ret_found, ret_count);
	if (!r && (e->h.used > now || now - e->h.used > DAY_S)) {
		e->h.used = now;
		e->changed = cache->touched = true;
	}
	return r;
}

/* The file is what it was when the key was read, and not just now changed. */
static bool is_settled(int fd, const struct cache_key *key)
{
	struct cache_key now_key = { .head = key->head };
	struct timespec now;
	struct stat st;

	if (fstat(fd, &st) || clock_gettime(CLOCK_REALTIME, &now))
		return false;
	key_stat(&st, &now_key);
	return !memcmp(&now_key, key, sizeof(*key)) && now.tv_sec - key->changed_s > RECENT_S;
}

void cache_put(struct cache *cache, int fd, const struct cache_key *key,
	       const struct tls_sites *found, size_t count)
{
	struct entry *fresh, e = { .h = { .key = *key, .used = now_s() } };
	uint8_t *data;
	size_t len;

	if (!is_settled(fd, key) || cache->fresh_count == CACHE_ENTRIES_MAX)
		return;
	fresh = reallocarray(cache->fresh, cache->fresh_count + 1, sizeof(*fresh));
	if (!fresh)
		return;
	cache->fresh = fresh;
	if (store_encode(found, count, &data, &len))
		return;
	e.h.len = (uint32_t)len;
	e.data = realloc(data, len);
	if (!e.data)
		e.data = data;
	e.changed = true;
	fresh[cache->fresh_count++] = e;
}

/* By file; ours, then the one used last, first. */
static int file_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = memcmp(&x->h.key, &y->h.key, offsetof(struct cache_key, len));

	if (!r)
		r = y->changed - x->changed;
	return r ? r : (x->h.used < y->h.used) - (x->h.used > y->h.used);
}

static int used_compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->h.used < y->h.used) - (x->h.used > y->h.used);
}

static void append(struct entry *all, size_t *n, const struct entry *from, size_t count,
		   bool changed_only)
{
	for (size_t i = 0; i < count; i++) {
		if (!changed_only || from[i].changed)
			all[(*n)++] = from[i];
	}
}

/* One entry for each file, the last used first. Returns how many. */
static size_t merge(struct entry *all, size_t count)
{
	size_t kept = 0;

	qsort(all, count, sizeof(*all), file_compare);
	for (size_t i = 0; i < count; i++) {
		if (!kept ||
		    memcmp(&all[kept - 1].h.key, &all[i].h.key, offsetof(struct cache_key, len)))
			all[kept++] = all[i];
	}
	qsort(all, kept, sizeof(*all), used_compare);
	return kept;
}

static uint8_t *content_make(const struct cache *cache, const struct entry *all, size_t count,
			     size_t *ret_len)
{
	struct header h = { .format = FORMAT };
	uint8_t *data = malloc(CACHE_BYTES_MAX);
	size_t len = sizeof(h);

	if (!data)
		return NULL;
	for (size_t i = 0; i < count && h.count < CACHE_ENTRIES_MAX; i++) {
		const struct entry *e = &all[i];

		if (e->h.len + sizeof(e->h) > CACHE_BYTES_MAX - len)
			break;
		memcpy(data + len, &e->h, sizeof(e->h));
		memcpy(data + len + sizeof(e->h), e->data, e->h.len);
		len += sizeof(e->h) + e->h.len;
		h.count++;
	}
	memcpy(h.magic, MAGIC, sizeof(h.magic));
	memcpy(h.program, cache->program, sizeof(h.program));
	memcpy(data, &h, sizeof(h));
	h.sum = hash(data + 16, len - 16);
	memcpy(data, &h, sizeof(h));
	*ret_len = len;
	return data;
}

/* The name is the lock: whoever makes the file may write it. */
static int open_temp(const struct cache *cache)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(cache->folder, TEMP_NAME, flags, 0600);
	struct stat st;

	if (fd < 0 && errno == EEXIST &&
	    !fstatat(cache->folder, TEMP_NAME, &st, AT_SYMLINK_NOFOLLOW) &&
	    (uint64_t)st.st_mtime + STALE_S < now_s() && !unlinkat(cache->folder, TEMP_NAME, 0))
		fd = openat(cache->folder, TEMP_NAME, flags, 0600);
	return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int content_write(const struct cache *cache, int fd)
{
	struct content others = { NULL };
	struct entry *all;
	uint8_t *data = NULL;
	size_t count = 0, len = 0;
	int r;

	content_load(cache, &others);
	all = calloc(others.count + cache->content.count + cache->fresh_count + 1, sizeof(*all));
	if (all) {
		append(all, &count, others.entry, others.count, false);
		append(all, &count, cache->content.entry, cache->content.count, true);
		append(all, &count, cache->fresh, cache->fresh_count, true);
		count = merge(all, count);
		data = content_make(cache, all, count, &len);
	}
	r = data ? write_all(fd, data, len) : -ENOMEM;
	free(data);
	free(all);
	content_done(&others);
	return r;
}

int cache_save(struct cache *cache)
{
	int fd, r;

	if (!cache->fresh_count && !cache->touched)
		return 0;
	fd = open_temp(cache);
	if (fd < 0)
		return fd;
	r = content_write(cache, fd);
	close(fd);
	if (!r && renameat(cache->folder, TEMP_NAME, cache->folder, FILE_NAME))
		r = -errno;
	if (r)
		(void)unlinkat(cache->folder, TEMP_NAME, 0);
	return r;
}

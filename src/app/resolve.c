// SPDX-License-Identifier: Apache-2.0
#include "app/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/cache.h"
#include "app/log.h"
#include "elf/debugfile.h"
#include "elf/entry.h"
#include "elf/image.h"
#include "util/exitcode.h"

/* A line of a terminal or ten. */
#define NAMES_LEN 2048

static int say_unknown(const char *function)
{
	char names[NAMES_LEN] = "";
	size_t len = 0;
	const char *name;

	for (size_t i = 0; (name = tls_function_name(i)) && len < sizeof(names); i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
					name);
	log_error("--probe %s: no such function is looked for; known are %s", function, names);
	return EXITCODE_USAGE;
}

static bool is_known(const char *function)
{
	const char *name;

	for (size_t i = 0; (name = tls_function_name(i)); i++) {
		if (!strcmp(name, function))
			return true;
	}
	return false;
}

static int offset_parse(const char *text, uint64_t *ret_offset)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? "0123456789abcdefABCDEF" : "0123456789";
	unsigned long long value;

	text += hex ? 2 : 0;
	if (!*text || text[strspn(text, digits)])
		return -EINVAL;
	errno = 0;
	value = strtoull(text, NULL, hex ? 16 : 10);
	if (errno)
		return -EINVAL;
	*ret_offset = value;
	return 0;
}

/* FUNCTION=OFFSET. 0 or an exit status. */
static int probe_add(struct resolve *resolve, const char *text)
{
	const char *equals = strrchr(text, '=');
	struct resolve_probe *probe = &resolve->probe[resolve->probe_count];

	if (!equals || equals == text || offset_parse(equals + 1, &probe->offset)) {
		log_error("--probe wants FUNCTION=OFFSET, for example SSL_read=0x3a5f0, not '%s'",
			  text);
		return EXITCODE_USAGE;
	}
	probe->function = strndup(text, (size_t)(equals - text));
	if (!probe->function)
		return EXITCODE_FAILURE;
	resolve->probe_count++;
	if (!is_known(probe->function))
		return say_unknown(probe->function);
	for (size_t i = 0; i + 1 < resolve->probe_count; i++) {
		if (!strcmp(resolve->probe[i].function, probe->function)) {
			log_error("--probe %s is given twice", probe->function);
			return EXITCODE_USAGE;
		}
	}
	return 0;
}

int resolve_init(struct resolve *resolve, const struct option_list *probes, bool use_cache)
{
	int r = 0;

	if (probes->count > IMAGE_GIVEN_MAX) {
		log_error("--probe can be given %d times at most", IMAGE_GIVEN_MAX);
		return EXITCODE_USAGE;
	}
	resolve->probe = calloc(probes->count + 1, sizeof(*resolve->probe));
	if (!resolve->probe)
		return EXITCODE_FAILURE;
	for (size_t i = 0; i < probes->count && !r; i++)
		r = probe_add(resolve, probes->items[i]);
	/* What a user gives holds for this run only. */
	if (!r && use_cache && !probes->count)
		resolve->cache = cache_open(CACHE_FOLDER);
	return r;
}

void resolve_save(struct resolve *resolve)
{
	int r = resolve->cache ? cache_save(resolve->cache) : 0;

	if (r && r != -EEXIST)
		log_verbose("can't keep what was found in " CACHE_FOLDER ": %s", strerror(-r));
	cache_close(resolve->cache);
	resolve->cache = NULL;
}

void resolve_done(struct resolve *resolve)
{
	cache_close(resolve->cache);
	for (size_t i = 0; i < resolve->probe_count; i++)
		free(resolve->probe[i].function);
	free(resolve->probe);
	*resolve = (struct resolve) { NULL };
}

static int apply_probes(const struct resolve *resolve, struct image *image)
{
	for (size_t i = 0; i < resolve->probe_count; i++) {
		const struct resolve_probe *probe = &resolve->probe[i];
		const char *wrong;
		uint64_t vaddr;
		int r = entry_check(image, probe->offset, &vaddr);

		if (!r)
			r = image_add_symbol(image, probe->function, vaddr);
		if (!r)
			continue;
		wrong = r == -EADDRNOTAVAIL ? "there is no code at this place of the file"
			: r == -EILSEQ	    ? "there is no instruction at this place of the file"
			: r == -ENOENT	    ? "no function begins at this place of the file"
					    : strerror(-r);
		log_error("--probe %s=0x%llx: %s", probe->function,
			  (unsigned long long)probe->offset, wrong);
		return RESOLVE_REFUSED;
	}
	return 0;
}

static int open_root(pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	return open(pid ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Where an open file is, as we see it. */
static bool path_of(int fd, char ret_path[PATH_MAX])
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret_path, PATH_MAX - 1);
	ret_path[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* A debug file is a help that may be missing for any reason. */
static void set_debug_source(struct image *image, int fd, int root)
{
	char path[PATH_MAX], top[PATH_MAX];
	size_t len;

	if (root < 0 || !path_of(fd, path) || !path_of(root, top))
		return;
	/* After chroot(2) we see more of the path than the process does. */
	len = strlen(top);
	if (strncmp(path, top, len) || path[len] != '/')
		len = 0;
	(void)image_debug_from(image, root, path + len);
}

static int look_into(const struct resolve *resolve, int fd, int root, struct resolved *resolved,
		     bool *ret_debug)
{
	struct image *image;
	int r = image_open_fd(fd, &image);

	if (r)
		return r;
	set_debug_source(image, fd, root);
	r = apply_probes(resolve, image);
	if (!r)
		r = tls_resolve(image, &resolved->found, &resolved->count);
	*ret_debug = image_has_debug(image);
	image_free(image);
	return r;
}

static int cached_or_new(struct resolve *resolve, int fd, int root, struct resolved *resolved)
{
	bool keep = false, debug = false;
	struct cache_key key;
	int r;

	/* What is found with a debug file is not kept: that may be replaced at any time. */
	if (resolve->cache && (root < 0 || !debugfile_installed(root, fd)))
		keep = !cache_key_read(fd, &key);
	if (keep && !cache_get(resolve->cache, &key, &resolved->found, &resolved->count)) {
		resolved->cached = true;
		return 0;
	}
	r = look_into(resolve, fd, root, resolved, &debug);
	if (keep && !debug && (!r || r == -ENOENT))
		cache_put(resolve->cache, fd, &key, resolved->found, resolved->count);
	return r;
}

int resolve_file(struct resolve *resolve, int fd, pid_t pid, struct resolved *ret_resolved)
{
	struct resolved resolved = { NULL };
	int root = open_root(pid);
	int r = cached_or_new(resolve, fd, root, &resolved);

	if (root >= 0)
		close(root);
	if (!r && !resolved.count)
		r = -ENOENT;
	if (!r)
		*ret_resolved = resolved;
	return r;
}

const char *resolve_error(int r)
{
	switch (-r) {
	case ENOEXEC:
		return "this is not an ELF library or program";
	case EOPNOTSUPP:
		return "this is for another architecture";
	case ENOENT:
	case ESRCH:
		return "there are no TLS functions in it (a stripped static program has no "
		       "symbols)";
	case EFBIG:
	case E2BIG:
		return "this is too large";
	}
	return strerror(-r);
}

// SPDX-License-Identifier: Apache-2.0
#include "elf/debugfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FOLDER	      "usr/lib/debug"
#define LINK_NAME_MAX 256
/* A larger file without a build ID is not worth the time that its checksum takes. */
#define CRC_FILE_MAX (UINT64_C(1) << 30)
#define CRC_BLOCK    (64 << 10)
/* Linkers put the build ID there. */
#define HEAD_LEN 4096

/* What tells that a debug file is the right one. */
struct identity {
	uint8_t id[IMAGE_BUILD_ID_MAX];
	size_t id_len; /* 0: none */
	char name[LINK_NAME_MAX];
	uint32_t crc;
	bool linked; /* name and crc are known */
};

/* .gnu_debuglink: a file name, zeros up to a multiple of 4, and a CRC-32. */
static bool link_read(const struct image *image, struct identity *identity)
{
	uint8_t data[LINK_NAME_MAX + 4];
	uint64_t vaddr, offset, len;
	size_t name;

	if (image_section(image, ".gnu_debuglink", &vaddr, &offset, &len) || len > sizeof(data) ||
	    image_read_at(image, offset, data, len))
		return false;
	name = strnlen((char *)data, len);
	if (!name || name >= LINK_NAME_MAX || ((name + 4) & ~(size_t)3) + 4 > len)
		return false;
	if (memchr(data, '/', name) || !strcmp((char *)data, ".") || !strcmp((char *)data, ".."))
		return false;
	memcpy(identity->name, data, name + 1);
	memcpy(&identity->crc, data + ((name + 4) & ~(size_t)3), sizeof(identity->crc));
	return true;
}

/* As zlib's crc32(). */
static void crc_table(uint32_t *table)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
		table[i] = crc;
	}
}

static int crc_file(const struct image *image, uint32_t *ret_crc)
{
	uint64_t len = image_len(image), pos, n;
	uint32_t table[256], crc = UINT32_MAX;
	uint8_t *buf;
	int err = 0;

	if (len > CRC_FILE_MAX)
		return -EFBIG;
	buf = malloc(CRC_BLOCK);
	if (!buf)
		return -ENOMEM;
	crc_table(table);
	for (pos = 0; pos < len && !err; pos += n) {
		n = len - pos < CRC_BLOCK ? len - pos : CRC_BLOCK;
		err = image_read_at(image, pos, buf, n);
		for (size_t i = 0; i < n && !err; i++)
			crc = crc >> 8 ^ table[(crc ^ buf[i]) & 0xff];
	}
	free(buf);
	if (!err)
		*ret_crc = ~crc;
	return err;
}

/* by_link: the file is where the debug link said. */
static bool belongs(const struct image *image, const struct identity *identity,
		    const struct image *debug, bool by_link)
{
	uint8_t id[IMAGE_BUILD_ID_MAX];
	uint32_t crc;
	size_t len;

	if (image_machine(debug) != image_machine(image) || !image_has_symtab(debug))
		return false;
	if (identity->id_len && !image_build_id(debug, id, &len))
		return len == identity->id_len && !memcmp(id, identity->id, len);
	return by_link && !crc_file(debug, &crc) && crc == identity->crc;
}

static int open_inside(int root, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

struct search {
	const struct image *image;
	const struct identity *identity;
	int root;
};

static int try(const struct search *s, bool by_link, struct image **ret_debug, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int try(const struct search *s, bool by_link, struct image **ret_debug, const char *fmt, ...)
{
	struct image *debug = NULL;
	char path[PATH_MAX];
	va_list args;
	int fd, len, r;

	va_start(args, fmt);
	len = vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(path))
		return -ENOENT;
	fd = open_inside(s->root, path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -ENOENT;
	r = image_open_debug_fd(fd, &debug);
	close(fd);
	if (r)
		return r == -ENOMEM ? r : -ENOENT;
	if (!belongs(s->image, s->identity, debug, by_link)) {
		image_free(debug);
		return -ENOENT;
	}
	*ret_debug = debug;
	return 0;
}

#define ID_PATH_LEN (sizeof(FOLDER "/.build-id/xx/.debug") + 2 * IMAGE_BUILD_ID_MAX)

static void id_path(const uint8_t *id, size_t len, char ret_path[ID_PATH_LEN])
{
	char hex[2 * IMAGE_BUILD_ID_MAX + 1];

	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", id[i]);
	snprintf(ret_path, ID_PATH_LEN, FOLDER "/.build-id/%.2s/%s.debug", hex, hex + 2);
}

static int try_build_id(const struct search *s, struct image **ret_debug)
{
	char path[ID_PATH_LEN];

	if (s->identity->id_len < 2)
		return -ENOENT;
	id_path(s->identity->id, s->identity->id_len, path);
	return try(s, false, ret_debug, "%s", path);
}

static int try_link(const struct search *s, const char *path, struct image **ret_debug)
{
	const char *name = s->identity->name, *slash = path ? strrchr(path, '/') : NULL;
	int len, r;

	if (!s->identity->linked || !slash)
		return -ENOENT;
	len = (int)(slash - path);
	r = try(s, true, ret_debug, "%.*s/%s", len, path, name);
	if (r == -ENOENT)
		r = try(s, true, ret_debug, "%.*s/.debug/%s", len, path, name);
	if (r == -ENOENT)
		r = try(s, true, ret_debug, FOLDER "%s%.*s/%s", *path == '/' ? "" : "/", len, path,
			name);
	return r;
}

int debugfile_find(const struct image *image, int root, const char *path, struct image **ret_debug)
{
	struct identity identity = { .id_len = 0 };
	struct search s = { image, &identity, root };
	int r;

	(void)image_build_id(image, identity.id, &identity.id_len);
	identity.linked = link_read(image, &identity);
	r = try_build_id(&s, ret_debug);
	return r == -ENOENT ? try_link(&s, path, ret_debug) : r;
}

bool debugfile_installed(int root, int fd)
{
	/* Length of the name, of the build ID (set below), type, name. */
	static const char before[] = "\4\0\0\0", behind[] = "\0\0\0\3\0\0\0GNU";
	uint8_t head[HEAD_LEN], *note = head;
	ssize_t n = pread(fd, head, sizeof(head), 0);
	char path[ID_PATH_LEN];

	if (n < 0)
		return false;
	while ((note = memmem(note, (size_t)(head + n - note), behind, sizeof(behind)))) {
		uint8_t *id = note + sizeof(behind);

		note++;
		if (id - head < 16 || memcmp(id - 16, before, 4))
			continue;
		if (id[-12] < 2 || id[-12] > IMAGE_BUILD_ID_MAX || id[-12] > head + n - id)
			continue;
		id_path(id, id[-12], path);
		fd = open_inside(root, path, O_PATH);
		if (fd >= 0)
			close(fd);
		return fd >= 0;
	}
	return false;
}

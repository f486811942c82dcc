/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary lines as /proc/PID/maps could have them: what is read lies in the line, and is what a
 * mapping of a file has to be.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proc/procfs.h"

#define CHECK(cond)              \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

/* A line in memory of its very size. */
static void try_line(const uint8_t *data, size_t len)
{
	struct procfs_map map = { 0 };
	char *line = malloc(len + 1), *copy;

	CHECK(line);
	memcpy(line, data, len);
	line[len] = '\0';
	len = strlen(line);
	copy = strdup(line);
	CHECK(copy);
	if (!procfs_map_parse(line, &map)) {
		CHECK(!map.path && !map.inode);
		CHECK(!strcmp(line, copy));
	} else {
		CHECK(map.path > line && map.path < line + len);
		CHECK(map.path[0] == '/' && !strchr(map.path, '\n'));
		CHECK(map.inode);
		/* Nothing was changed but the newline. */
		copy[strcspn(copy + (map.path - line), "\n") + (map.path - line)] = '\0';
		CHECK(!strcmp(map.path, copy + (map.path - line)));
		CHECK(!memcmp(line, copy, map.path - line));
	}
	free(copy);
	free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* The whole, and line by line. */
	try_line(data, size);
	while (size) {
		const uint8_t *end = memchr(data, '\n', size);
		size_t len = end ? (size_t)(end - data) + 1 : size;

		try_line(data, len);
		data += len;
		size -= len;
	}
	return 0;
}

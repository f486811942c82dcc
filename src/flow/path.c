// SPDX-License-Identifier: Apache-2.0
#include "flow/path.h"

#include <stdlib.h>
#include <string.h>

char *path_join(const char *parts, size_t len)
{
	char *path = malloc(len + 2), *out = path;
	size_t end = len;

	if (!path)
		return NULL;
	while (end > 0 && parts[end - 1] == '\0') {
		size_t start = end - 1;

		while (start > 0 && parts[start - 1] != '\0')
			start--;
		*out++ = '/';
		memcpy(out, parts + start, end - 1 - start);
		out += end - 1 - start;
		end = start;
	}
	*out = '\0';
	return path;
}

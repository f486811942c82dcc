/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/library.h"

#include <errno.h>
#include <string.h>

const struct tls_library *const tls_libraries[] = {
	&openssl,
	NULL,
};

int tls_resolve(const struct image *image, const struct tls_library **ret_library,
		struct tls_sites *ret_sites)
{
	size_t i;
	int err;

	for (i = 0; tls_libraries[i]; i++) {
		err = tls_libraries[i]->resolve(image, ret_sites);
		if (err == -ENOENT)
			continue;
		if (!err)
			*ret_library = tls_libraries[i];
		return err;
	}
	return -ENOENT;
}

const struct tls_library *tls_by_soname(const char *filename)
{
	const char *const *prefix;
	size_t i;

	for (i = 0; tls_libraries[i]; i++) {
		for (prefix = tls_libraries[i]->soname; *prefix; prefix++) {
			if (!strncmp(filename, *prefix, strlen(*prefix)))
				return tls_libraries[i];
		}
	}
	return NULL;
}

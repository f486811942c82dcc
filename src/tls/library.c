/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/library.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct tls_library *const tls_libraries[] = {
	&openssl,
	&golang,
	NULL,
};

void tls_problem(struct tls_sites *sites, const char *sentence)
{
	if (sites->problem_count < TLS_PROBLEMS_MAX)
		sites->problem[sites->problem_count++] = sentence;
}

static int resolve_all(const struct tls_input *input, struct tls_sites *items, size_t *ret_count)
{
	size_t i, count = 0;

	for (i = 0; tls_libraries[i] && count < TLS_LIBRARIES_MAX; i++) {
		int err;

		memset(&items[count], 0, sizeof(items[count]));
		items[count].library = tls_libraries[i];
		err = tls_libraries[i]->resolve(input, &items[count]);
		if (err == -ENOENT)
			continue;
		if (err)
			return err;
		count++;
	}
	*ret_count = count;
	return count ? 0 : -ENOENT;
}

int tls_resolve(const struct image *image, struct tls_sites **ret_sites, size_t *ret_count)
{
	const char *names[LABEL_MAX - 1];
	struct labels labels;
	struct tls_input input = { image, &labels };
	struct tls_sites *items;
	int err;
	int i;

	for (i = LABEL_NONE + 1; i < LABEL_MAX; i++)
		names[i - 1] = secret_label_name(i);
	err = labels_find(image, names, LABEL_MAX - 1, &labels);
	if (err)
		return err;
	items = calloc(TLS_LIBRARIES_MAX, sizeof(*items));
	err = items ? resolve_all(&input, items, ret_count) : -ENOMEM;
	labels_done(&labels);
	if (err) {
		free(items);
		return err;
	}
	*ret_sites = items;
	return 0;
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

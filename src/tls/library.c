/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/library.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tls/rustls.h"

const struct tls_library *const tls_libraries[] = {
	&gnutls,
	&golang,
	&nss,
	&rustls,
	/* The last one: it is also known by what others have as well. */
	&openssl,
	NULL,
};

void tls_problem(struct tls_sites *sites, const char *sentence)
{
	if (sites->problem_count < TLS_PROBLEMS_MAX)
		sites->problem[sites->problem_count++] = sentence;
}

static const char *const strings[STRINGS_MAX] = {
	[STRING_KEY_EXPANSION] = "key expansion", [STRING_OPENSSL_0] = "OpenSSL 0.",
	[STRING_OPENSSL_1] = "OpenSSL 1.",	  [STRING_OPENSSL_3] = "OpenSSL 3.",
	[STRING_OPENSSL_4] = "OpenSSL 4.",	  [STRING_LIBRESSL] = "LibreSSL ",
	[STRING_BORINGSSL] = "BoringSSL",	  [STRING_GNUTLS] = "Enabled GnuTLS ",
	[STRING_NSS] = "Version: NSS 3.",	  [STRING_RUSTLS] = "rustls-0.",
};

const char *tls_name(const struct tls_sites *sites)
{
	return sites->name ? sites->name : sites->library->name;
}

/*
 * "3.5.8 25 Aug 2026", "0.23.40/src/": numbers with dots, then what dates and suffixes consist of. A
 * path ends it.
 */
static size_t version_len(const char *text, size_t len, size_t dots_min)
{
	size_t i, dots = 0;

	for (i = 0; i < len && text[i] && text[i] != ' ' && text[i] != '/'; i++) {
		if (!isalnum((unsigned char)text[i]) && !strchr(".-+", text[i]))
			return 0;
		dots += text[i] == '.';
	}
	if (dots < dots_min || !isdigit((unsigned char)text[0]))
		return 0;
	while (i < len && (isalnum((unsigned char)text[i]) || text[i] == ' '))
		i++;
	return i < len ? i : 0;
}

bool tls_version(const struct tls_input *input, enum tls_string string, struct tls_sites *sites)
{
	size_t i, skip = strcspn(strings[string], "0123456789"), len;
	char text[TLS_VERSION_LEN];

	for (i = 0; i < input->labels->place_count; i++) {
		const struct label_place *place = &input->labels->place[i];

		/* tokio-rustls has its own versions. */
		if (place->label != string ||
		    (!image_read(input->image, place->vaddr - 1, text, 1) && text[0] == '-') ||
		    image_read(input->image, place->vaddr + skip, text, sizeof(text)))
			continue;
		len = version_len(text, sizeof(text), string == STRING_NSS ? 1 : 2);
		if (!len)
			continue;
		memcpy(sites->version, text, len);
		sites->version[len] = '\0';
		return true;
	}
	return false;
}

static int resolve_all(struct tls_input *input, struct tls_sites *items, size_t *ret_count)
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
		/* rustls gives labels to methods, with their lengths: nobody else does. */
		if (tls_libraries[i] != &rustls)
			input->taken = true;
		count++;
	}
	*ret_count = count;
	return count ? 0 : -ENOENT;
}

static int strings_find(const struct image *image, struct labels *labels)
{
	const char *names[STRINGS_MAX];
	int err, i;

	for (i = 0; i < STRINGS_MAX; i++)
		names[i] = i < STRING_KEY_EXPANSION ? secret_label_name(i + 1) : strings[i];
	err = labels_find(image, names, STRINGS_MAX, STRINGS_FOLLOWED, labels);
	if (!err)
		err = rustls_tables(image, labels);
	if (!err)
		err = labels_follow(image, labels);
	if (err)
		labels_done(labels);
	return err;
}

int tls_resolve(const struct image *image, struct tls_sites **ret_sites, size_t *ret_count)
{
	struct labels labels = { .refs = STRINGS_FOLLOWED };
	struct tls_input input = { .image = image, .labels = &labels };
	struct tls_sites *items;
	size_t i, count;
	int err;

	err = strings_find(image, &labels);
	input.crowded = err == -E2BIG;
	if (err && !input.crowded)
		return err;
	items = calloc(TLS_LIBRARIES_MAX, sizeof(*items));
	err = items ? resolve_all(&input, items, &count) : -ENOMEM;
	labels_done(&labels);
	if (err) {
		free(items);
		return err;
	}
	for (i = 0; i < count && input.crowded; i++)
		tls_problem(&items[i],
			    "no secrets: it has more strings of a key log, or more code that "
			    "uses them, than a TLS library has");
	*ret_sites = items;
	*ret_count = count;
	return 0;
}

const char *tls_function_name(size_t index)
{
	for (size_t i = 0; tls_libraries[i]; i++) {
		const struct tls_library *library = tls_libraries[i];
		const char *const *name = library->secret_functions;

		if (index < library->recipe_count)
			return library->recipes[index].function;
		index -= library->recipe_count;
		for (; name && *name; name++) {
			if (!index--)
				return *name;
		}
	}
	return NULL;
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

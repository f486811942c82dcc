/* SPDX-License-Identifier: Apache-2.0 */
#include "event/secret.h"

#include <string.h>

static const char *const names[LABEL_MAX] = {
	[LABEL_NONE] = "",
	[LABEL_CLIENT_RANDOM] = "CLIENT_RANDOM",
	[LABEL_CLIENT_EARLY] = "CLIENT_EARLY_TRAFFIC_SECRET",
	[LABEL_CLIENT_HANDSHAKE] = "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
	[LABEL_SERVER_HANDSHAKE] = "SERVER_HANDSHAKE_TRAFFIC_SECRET",
	[LABEL_CLIENT_TRAFFIC] = "CLIENT_TRAFFIC_SECRET_0",
	[LABEL_SERVER_TRAFFIC] = "SERVER_TRAFFIC_SECRET_0",
	[LABEL_EARLY_EXPORTER] = "EARLY_EXPORTER_SECRET",
	[LABEL_EXPORTER] = "EXPORTER_SECRET",
};

const char *secret_label_name(enum secret_label label)
{
	return (unsigned int)label < LABEL_MAX ? names[label] : "";
}

enum secret_label secret_label_find(const char *name, size_t len)
{
	int label;

	for (label = LABEL_NONE + 1; label < LABEL_MAX; label++) {
		if (strlen(names[label]) == len && !memcmp(names[label], name, len))
			return label;
	}
	return LABEL_NONE;
}

bool secret_len_fits(enum secret_label label, size_t len)
{
	if (label <= LABEL_NONE || label >= LABEL_MAX)
		return false;
	return len == 48 || (len == 32 && label != LABEL_CLIENT_RANDOM);
}

bool secret_is_blank(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 1; i < len; i++) {
		if (p[i] != p[0])
			return false;
	}
	return true;
}

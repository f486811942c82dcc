/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what was found in a file: what is taken is written the same way again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tls/store.h"

#define FILE_LEN (UINT64_C(1) << 32)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct tls_sites *s)
{
	size_t i, sum = strlen(tls_name(s)) + strlen(s->version);

	for (i = 0; i < s->problem_count; i++)
		sum += strlen(s->problem[i]);
	for (i = 0; i < s->count; i++)
		sum += strlen(s->site[i].function) + strlen(s->site[i].recipe->function);
	for (i = 0; i < s->missing_count; i++)
		sum += strlen(s->missing[i]->function);
	for (i = 0; i < s->secret_count; i++) {
		sum += strlen(s->secret[i].function);
		if (s->secret[i].offset >= FILE_LEN)
			abort();
	}
	if (sum > STORE_LEN_MAX * 2)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tls_sites *found;
	size_t count, again, i;
	uint8_t *copy;

	if (store_decode(data, len, FILE_LEN, &found, &count))
		return 0;
	for (i = 0; i < count; i++)
		check(&found[i]);
	if (!store_encode(found, count, &copy, &again)) {
		if (again != len || memcmp(copy, data, len))
			abort();
		free(copy);
	}
	free(found);
	return 0;
}

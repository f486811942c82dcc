/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The labels of the NSS key log format, and what is certain about a secret under each of them.
 * Format: RFC 9850; the first three columns of a line are label, client random, secret.
 */
#ifndef SECRET_H
#define SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_RANDOM_LEN 32
#define SECRET_LEN_MAX	  64

enum secret_label {
	LABEL_NONE, /* not one of them */
	LABEL_CLIENT_RANDOM,
	LABEL_CLIENT_EARLY,
	LABEL_CLIENT_HANDSHAKE,
	LABEL_SERVER_HANDSHAKE,
	LABEL_CLIENT_TRAFFIC,
	LABEL_SERVER_TRAFFIC,
	LABEL_EARLY_EXPORTER,
	LABEL_EXPORTER,
	LABEL_MAX,
};

/* "CLIENT_RANDOM"; "" for LABEL_NONE and beyond the last one. */
const char *secret_label_name(enum secret_label label);
/* The label whose name is exactly len characters at name, or LABEL_NONE. */
enum secret_label secret_label_find(const char *name, size_t len);

/*
 * Can a secret of that length be right? A master secret has 48 bytes (RFC 5246 section 8.1); those
 * of TLS 1.3 are as long as the output of the cipher suite's hash (RFC 8446 section 7.1): 32 or
 * 48 bytes.
 */
bool secret_len_fits(enum secret_label label, size_t len);

/* Memory that was never written: no random number and no secret looks like that. */
bool secret_is_blank(const uint8_t *p, size_t len);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of the search for rustls. */
#ifndef RUSTLS_H
#define RUSTLS_H

#include "elf/labels.h"
#include "tls/library.h"

#define RUSTLS_LABELS 6

/* Labels of TLS 1.3 in the order of rustls's table of them. */
extern const enum secret_label rustls_labels[RUSTLS_LABELS];

/*
 * Adds to labels the tables of pointers to labels, as STRING_RUSTLS_TABLE, so that the code that uses
 * them is found. Code may count from up to RUSTLS_BEFORE entries in front of one. Errors as those
 * of labels_add().
 */
#define RUSTLS_BEFORE 3
int rustls_tables(const struct image *image, struct labels *labels);

/* What came of the search for secrets of TLS 1.3; bit n: label n of enum secret_label. */
struct rustls13 {
	uint32_t found;
	uint32_t late;	 /* the secret is made only when it is logged */
	uint32_t unread; /* asked about, but it was not understood where what is */
};

/* Adds the places of secrets of TLS 1.3. */
void rustls13_add(const struct tls_input *input, struct tls_sites *sites,
		  struct rustls13 *ret_result);

/* Adds a place, once. */
void rustls_add(const struct image *image, uint64_t vaddr, struct tls_secret secret,
		struct tls_sites *sites);

#endif

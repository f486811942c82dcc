/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The function of OpenSSL and its kin that makes the keys of TLS up to 1.2 from the master secret
 * ("key expansion", RFC 5246 section 6.3). It runs once for each full and each resumed handshake,
 * and what it passes on shows where the connection keeps both randoms and the master secret.
 */
#ifndef KEYBLOCK_H
#define KEYBLOCK_H

#include "elf/trace.h"
#include "tls/library.h"

struct keyblock {
	uint64_t vaddr; /* of the function; its argument 0 is the connection */
	/* From there: */
	struct value_of random; /* address of the client random */
	struct value_of secret; /* address of the master secret */
	struct value_of len;	/* its length */
};

/* -ENOENT when there is none or anything about it is not certain. */
int keyblock_find(const struct tls_input *input, struct keyblock *ret_keyblock);

/* Adds its entry as a place where master secrets pass. */
void keyblock_add(const struct tls_input *input, const struct keyblock *keyblock,
		  struct tls_sites *sites);

#endif

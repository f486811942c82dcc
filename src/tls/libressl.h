/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.3 in LibreSSL, which has no key log: the secrets of clients, where they have been derived. A
 * server does not keep the client random, so of servers there are none.
 */
#ifndef LIBRESSL_H
#define LIBRESSL_H

#include "tls/keyblock.h"
#include "tls/library.h"

/* Adds the places, from the same object as keyblock's; false when anything is not certain. x86-64. */
bool libressl_add(const struct tls_input *input, const struct keyblock *keyblock,
		  struct tls_sites *sites);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL whose ssl_log_secret was copied into its callers, with the question whether there is a
 * callback:
 *
 *	if (ssl->ctx->keylog_callback)
 *		nss_keylog_int(label, ssl, client_random, 32, secret, len);
 *
 * Mostly there is none, so no function is called. The probe is on the conditional jump behind the
 * question.
 */
#ifndef GUARDED_H
#define GUARDED_H

#include "elf/value.h"
#include "tls/library.h"

/*
 * Adds the places where secrets of TLS 1.3 pass: all or none. random: where another function finds
 * the client random, from the handle, which serves TLS up to 1.2 as well; NULL: not known, then
 * secrets of those are looked for here, too.
 * ret_labels: what is seen; bit n: string n.
 * False when no function is called like that.
 */
bool guarded_add(const struct tls_input *input, const struct value_of *random,
		 struct tls_sites *sites, uint32_t *ret_labels);

#endif

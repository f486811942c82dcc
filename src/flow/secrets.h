/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides which of the secrets that were found are right and new. One that can't be right, alone or
 * together with the others of its handshake, is refused: a key log with a wrong line is worse than
 * one with a line missing.
 */
#ifndef FLOW_SECRETS_H
#define FLOW_SECRETS_H

#include <stdbool.h>

#include "bpf/abi.h"
#include "event/secret.h"

/* Handshakes that are remembered; the oldest leave first. */
#define SECRETS_HANDSHAKES_MAX 16384

enum secrets_verdict {
	SECRETS_PASS, /* has no place in a key log, or this connection has reported it before */
	SECRETS_NEW,
	SECRETS_LOST,	 /* could not be read */
	SECRETS_REFUSED, /* can't be right */
};

/* Of SECRETS_NEW. The bytes are the record's. */
struct secrets_found {
	enum secret_label label;
	bool first; /* this connection's first one in this handshake */
};

struct secrets;

/* -ENOMEM. */
int secrets_new(struct secrets **ret_secrets);
void secrets_free(struct secrets *secrets);

/* A verdict, or -ENOMEM. */
int secrets_look(struct secrets *secrets, const struct rec_secret *rec,
		 struct secrets_found *ret_found);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "flow/secrets.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* uthash ends the program on allocation failure unless told otherwise. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* The longest that secret_len_fits() lets pass. */
#define KEPT_LEN 48
/* A connection within the machine has two ends, and each may be seen. */
#define ENDS_MAX 4

/* Secrets that come from one hash, and so have one length. */
enum group {
	GROUP_MASTER, /* TLS 1.2 and before */
	GROUP_EARLY,  /* the hash is the one of the session that is resumed */
	GROUP_REST,
};

struct end {
	uint64_t conn;
	uint32_t labels; /* reported, a bit each */
};

/* What is known of one client random. Key logs have no other name for a handshake. */
struct known {
	uint8_t random[ABI_RANDOM_LEN];
	uint8_t len[LABEL_MAX]; /* 0: that one has not come */
	uint8_t secret[LABEL_MAX][KEPT_LEN];
	struct end end[ENDS_MAX];
	unsigned int ends;
	UT_hash_handle hh;
};

struct secrets {
	struct known *known; /* the oldest one first */
};

int secrets_new(struct secrets **ret_secrets)
{
	struct secrets *secrets = calloc(1, sizeof(*secrets));

	if (!secrets)
		return -ENOMEM;
	*ret_secrets = secrets;
	return 0;
}

static void known_remove(struct secrets *secrets, struct known *known)
{
	HASH_DEL(secrets->known, known);
	explicit_bzero(known, sizeof(*known));
	free(known);
}

void secrets_free(struct secrets *secrets)
{
	if (!secrets)
		return;
	while (secrets->known)
		known_remove(secrets, secrets->known);
	free(secrets);
}

static struct known *known_get(struct secrets *secrets, const uint8_t *random)
{
	struct known *known;

	HASH_FIND(hh, secrets->known, random, ABI_RANDOM_LEN, known);
	if (known)
		return known;
	known = calloc(1, sizeof(*known));
	if (!known)
		return NULL;
	memcpy(known->random, random, sizeof(known->random));
	HASH_ADD(hh, secrets->known, random, sizeof(known->random), known);
	if (!known->hh.tbl) {
		free(known);
		return NULL;
	}
	if (HASH_COUNT(secrets->known) > SECRETS_HANDSHAKES_MAX)
		known_remove(secrets, secrets->known);
	return known;
}

static struct end *end_get(struct known *known, uint64_t conn)
{
	unsigned int i, count = known->ends < ENDS_MAX ? known->ends : ENDS_MAX;
	struct end *end;

	for (i = 0; i < count; i++) {
		if (known->end[i].conn == conn)
			return &known->end[i];
	}
	end = &known->end[known->ends++ % ENDS_MAX];
	*end = (struct end) { .conn = conn };
	return end;
}

static enum secret_label label_of(const struct rec_secret *rec)
{
	if (rec->fixed)
		return rec->fixed < LABEL_MAX ? (enum secret_label)rec->fixed : LABEL_NONE;
	return secret_label_find(rec->label, strnlen(rec->label, sizeof(rec->label)));
}

static enum group group_of(enum secret_label label)
{
	switch (label) {
	case LABEL_CLIENT_RANDOM:
		return GROUP_MASTER;
	case LABEL_CLIENT_EARLY:
	case LABEL_EARLY_EXPORTER:
		return GROUP_EARLY;
	default:
		return GROUP_REST;
	}
}

static bool same(const struct known *known, int label, const struct rec_secret *rec)
{
	return known->len[label] == rec->len &&
	       !memcmp(known->secret[label], rec->secret, rec->len);
}

/* Can this one and those that are known belong to one handshake? */
static bool fits_others(const struct known *known, enum secret_label label,
			const struct rec_secret *rec)
{
	enum group group = group_of(label);
	int other;

	for (other = LABEL_NONE + 1; other < LABEL_MAX; other++) {
		enum group its = group_of(other);

		if (!known->len[other])
			continue;
		if (its == group && known->len[other] != rec->len)
			return false;
		/* Early data may have been refused by a server that knows TLS 1.2 only. */
		if (its != group && its != GROUP_EARLY && group != GROUP_EARLY)
			return false;
		/* Each is derived under its own name. */
		if (same(known, other, rec))
			return false;
	}
	return true;
}

/*
 * Memory that was never written, or only in part: a secret that was taken for longer than it is ends
 * with zeros.
 */
static bool is_blank(const struct rec_secret *rec)
{
	const size_t part = 16;

	return secret_is_blank(rec->random, sizeof(rec->random)) ||
	       secret_is_blank(rec->secret, part) ||
	       secret_is_blank(rec->secret + rec->len - part, part);
}

int secrets_look(struct secrets *secrets, const struct rec_secret *rec,
		 struct secrets_found *ret_found)
{
	enum secret_label label = label_of(rec);
	struct known *known;
	struct end *end;

	/* With nothing of it read, nobody knows what it would have been. */
	if (label == LABEL_NONE && (rec->len || rec->fixed || rec->label[0]))
		return SECRETS_PASS;
	if (!rec->len)
		return SECRETS_LOST;
	if (!secret_len_fits(label, rec->len) || rec->len > KEPT_LEN || is_blank(rec))
		return SECRETS_REFUSED;
	known = known_get(secrets, rec->random);
	if (!known)
		return -ENOMEM;
	if (known->len[label] ? !same(known, label, rec) : !fits_others(known, label, rec))
		return SECRETS_REFUSED;
	known->len[label] = (uint8_t)rec->len;
	memcpy(known->secret[label], rec->secret, rec->len);
	end = end_get(known, rec->h.conn);
	if (end->labels & 1U << label)
		return SECRETS_PASS;
	*ret_found = (struct secrets_found) { .label = label, .first = !end->labels };
	end->labels |= 1U << label;
	return SECRETS_NEW;
}

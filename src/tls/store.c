// SPDX-License-Identifier: Apache-2.0
/*
 * One function for each struct serves both directions, so that they can't differ. Numbers are
 * written as they are in memory: nobody but this program on this machine reads them.
 */
#include "tls/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elf/insn.h"

/* A field that is added to one of these has to be written below, and checked. */
_Static_assert(sizeof(struct place) == 20, "place");
_Static_assert(sizeof(struct tls_recipe) == 32, "tls_recipe");
_Static_assert(sizeof(struct tls_site) == 96, "tls_site");
_Static_assert(sizeof(struct tls_secret) == 176, "tls_secret");
_Static_assert(sizeof(struct tls_sites) == 5448, "tls_sites");

#define STRING_MAX   1024
#define RECIPES_EACH (2 * TLS_SITES_MAX + TLS_RECORDS_MAX)

struct codec {
	bool reading;
	uint8_t *data; /* reading: a copy that outlives us, because strings point into it */
	size_t len;    /* of data */
	size_t pos;
	uint64_t file_len;
	struct tls_recipe *recipe; /* reading: where the next one goes */
	int err;
};

static void fail(struct codec *c)
{
	c->err = c->reading ? -EBADMSG : -E2BIG;
}

static void bytes(struct codec *c, void *p, size_t len)
{
	if (c->err || len > c->len - c->pos) {
		fail(c);
		return;
	}
	if (c->reading)
		memcpy(p, c->data + c->pos, len);
	else
		memcpy(c->data + c->pos, p, len);
	c->pos += len;
}

/* A number that is below limit when it was read. */
static void number(struct codec *c, void *p, size_t size, uint64_t limit)
{
	uint64_t value = 0;

	bytes(c, p, size);
	memcpy(&value, p, size);
	if (c->reading && value >= limit)
		fail(c);
}

#define NUMBER(c, field, limit) number(c, &(field), sizeof(field), limit)

/* A length, the characters and a NUL. NULL is the length 0 without them. */
static void string(struct codec *c, const char **s)
{
	uint16_t len = 0;

	if (!c->reading && *s)
		len = (uint16_t)(strnlen(*s, STRING_MAX) + 1);
	NUMBER(c, len, STRING_MAX + 1);
	if (c->err || len > c->len - c->pos || len > STRING_MAX) {
		fail(c);
		return;
	}
	if (!c->reading)
		memcpy(c->data + c->pos, *s ? *s : "", len);
	else if (len && strnlen((char *)c->data + c->pos, len) + 1U != len)
		fail(c);
	else
		*s = len ? (const char *)c->data + c->pos : NULL;
	c->pos += len;
}

static void text(struct codec *c, const char **s)
{
	string(c, s);
	if (c->reading && !c->err && !*s)
		fail(c);
}

static void place(struct codec *c, struct place *p)
{
	NUMBER(c, p->reg, INSN_REGS_MAX);
	NUMBER(c, p->width, 9);
	NUMBER(c, p->loads, PLACE_LOADS + 1);
	bytes(c, p->off, sizeof(p->off));
	bytes(c, &p->add, sizeof(p->add));
}

static void recipe(struct codec *c, const struct tls_recipe **ret_recipe)
{
	struct tls_recipe r = { .function = NULL };

	if (!c->reading)
		r = **ret_recipe;
	text(c, &r.function);
	NUMBER(c, r.role, ROLE_RECORD + 1);
	NUMBER(c, r.dir, DIR_OUT + 1);
	NUMBER(c, r.result, RESULT_OUT_ARG + 1);
	NUMBER(c, r.out_arg, CALLEE_ARGS_MAX);
	string(c, &r.costs);
	if (!c->reading || c->err)
		return;
	*c->recipe = r;
	*ret_recipe = c->recipe++;
}

static void site(struct codec *c, struct tls_site *s)
{
	recipe(c, &s->recipe);
	text(c, &s->function);
	NUMBER(c, s->offset, c->file_len);
	NUMBER(c, s->rung, RUNG_USER + 1);
	NUMBER(c, s->out_arg, CALLEE_ARGS_MAX);
	place(c, &s->handle);
	place(c, &s->type);
	place(c, &s->peek);
}

static void secret(struct codec *c, struct tls_secret *s)
{
	text(c, &s->function);
	NUMBER(c, s->offset, c->file_len);
	NUMBER(c, s->rung, RUNG_USER + 1);
	NUMBER(c, s->step, STEP_END + 1);
	place(c, &s->check);
	bytes(c, &s->expect, sizeof(s->expect));
	NUMBER(c, s->fixed, LABEL_MAX);
	place(c, &s->handle);
	place(c, &s->label);
	place(c, &s->label_len);
	place(c, &s->random);
	place(c, &s->secret);
	place(c, &s->len);
}

static void library(struct codec *c, const struct tls_library **ret_library)
{
	const char *name = c->reading ? NULL : (*ret_library)->name;

	text(c, &name);
	if (!c->reading || c->err)
		return;
	for (size_t i = 0; tls_libraries[i]; i++) {
		if (!strcmp(tls_libraries[i]->name, name)) {
			*ret_library = tls_libraries[i];
			return;
		}
	}
	fail(c);
}

static void version(struct codec *c, char *buf)
{
	const char *s = buf;

	text(c, &s);
	if (!c->reading || c->err)
		return;
	if (strlen(s) >= TLS_VERSION_LEN)
		fail(c);
	else
		strcpy(buf, s);
}

static size_t length(struct codec *c, size_t *n, size_t max)
{
	NUMBER(c, *n, max + 1);
	return c->err ? 0 : *n;
}

static void sites(struct codec *c, struct tls_sites *s)
{
	size_t i, n;

	library(c, &s->library);
	string(c, &s->name);
	version(c, s->version);
	string(c, &s->recognised);
	NUMBER(c, s->internal, 2);
	for (i = 0, n = length(c, &s->problem_count, TLS_PROBLEMS_MAX); i < n; i++)
		text(c, &s->problem[i]);
	for (i = 0, n = length(c, &s->secret_count, TLS_SECRETS_MAX); i < n; i++)
		secret(c, &s->secret[i]);
	for (i = 0, n = length(c, &s->count, TLS_SITES_MAX); i < n; i++)
		site(c, &s->site[i]);
	for (i = 0, n = length(c, &s->missing_count, TLS_SITES_MAX); i < n; i++)
		recipe(c, &s->missing[i]);
	for (i = 0, n = length(c, &s->record_count, TLS_RECORDS_MAX); i < n; i++)
		site(c, &s->record[i]);
}

int store_encode(const struct tls_sites *found, size_t count, uint8_t **ret_data, size_t *ret_len)
{
	struct codec c = { .data = malloc(STORE_LEN_MAX), .len = STORE_LEN_MAX };

	if (!c.data)
		return -ENOMEM;
	NUMBER(&c, count, TLS_LIBRARIES_MAX + 1);
	/* The const is safe: in this direction everything is only read. */
	for (size_t i = 0; i < count; i++)
		sites(&c, (struct tls_sites *)&found[i]);
	if (c.err) {
		free(c.data);
		return c.err;
	}
	*ret_data = c.data;
	*ret_len = c.pos;
	return 0;
}

/* What was found, its recipes, and the bytes with its strings: one block. */
static struct tls_sites *block_new(const uint8_t *data, size_t len, size_t count, struct codec *c)
{
	struct tls_sites *items;
	size_t recipes = count * RECIPES_EACH;

	items = calloc(1, count * sizeof(*items) + recipes * sizeof(*c->recipe) + len);
	if (!items)
		return NULL;
	c->recipe = (struct tls_recipe *)(items + count);
	c->data = (uint8_t *)(c->recipe + recipes);
	memcpy(c->data, data, len);
	return items;
}

int store_decode(const uint8_t *data, size_t len, uint64_t file_len, struct tls_sites **ret_found,
		 size_t *ret_count)
{
	struct codec c = { .reading = true, .len = len, .file_len = file_len };
	struct tls_sites *items = NULL;
	size_t count;

	if (len < sizeof(count) || len > STORE_LEN_MAX)
		return -EBADMSG;
	memcpy(&count, data, sizeof(count));
	if (count > TLS_LIBRARIES_MAX)
		return -EBADMSG;
	c.pos = sizeof(count);
	if (count) {
		items = block_new(data, len, count, &c);
		if (!items)
			return -ENOMEM;
	}
	for (size_t i = 0; i < count && !c.err; i++)
		sites(&c, &items[i]);
	if (c.err || c.pos != len) {
		free(items);
		return -EBADMSG;
	}
	*ret_found = items;
	*ret_count = count;
	return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "util/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_SECOND 1000000000ULL

/* Digits at the start of text; ret_end is what follows. */
static int digits(const char *text, uint64_t *ret_value, const char **ret_end)
{
	uint64_t value = 0;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	for (; isdigit((unsigned char)*text); text++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -EINVAL;
	}
	*ret_value = value;
	*ret_end = text;
	return 0;
}

int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;
	const char *end;

	if (digits(text, &value, &end) || *end || value < min || value > max)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int size_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;
	const char *end;
	int shift = 0;

	if (digits(text, &value, &end))
		return -EINVAL;
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	}
	if (shift)
		end++;
	if (*end || value > (UINT64_MAX >> shift))
		return -EINVAL;
	value <<= shift;
	if (value < min || value > max)
		return -EINVAL;
	*ret_value = value;
	return 0;
}

int seconds_parse(const char *text, uint64_t *ret_ns)
{
	uint64_t seconds, fraction = 0, unit = NS_PER_SECOND;
	const char *end;

	if (digits(text, &seconds, &end) || seconds > UINT32_MAX)
		return -EINVAL;
	if (*end == '.') {
		for (end++; isdigit((unsigned char)*end) && unit > 1; end++) {
			unit /= 10;
			fraction += (uint64_t)(*end - '0') * unit;
		}
	}
	if (*end)
		return -EINVAL;
	*ret_ns = seconds * NS_PER_SECOND + fraction;
	return *ret_ns < 1000000 ? -EINVAL : 0;
}

static int list_add(struct option_list *list, const char *value)
{
	const char **items = reallocarray(list->items, list->count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	list->items = items;
	list->items[list->count++] = value;
	return 0;
}

static int store(const struct option_def *def, void *target, const char *value)
{
	void *field = (char *)target + def->offset;
	uint64_t number;
	int r;

	switch (def->kind) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_COUNT:
		++*(unsigned int *)field;
		return 0;
	case OPTION_ARGUMENT:
	case OPTION_STRING:
		*(const char **)field = value;
		return *value ? 0 : -EINVAL;
	case OPTION_LIST:
		return *value ? list_add(field, value) : -EINVAL;
	case OPTION_NUMBER:
		r = number_parse(value, def->min, def->max, &number);
		if (!r)
			*(int64_t *)field = (int64_t)number;
		return r;
	case OPTION_SIZE:
		return size_parse(value, def->min, def->max, field);
	case OPTION_SECONDS:
		return seconds_parse(value, field);
	case OPTION_END:
		break;
	}
	return -EINVAL;
}

static bool takes_value(const struct option_def *def)
{
	return def->kind != OPTION_FLAG && def->kind != OPTION_COUNT;
}

static const struct option_def *find_long(const struct option_def *defs, const char *name,
					  size_t len)
{
	for (; defs->kind != OPTION_END; defs++) {
		if (defs->kind != OPTION_ARGUMENT && strlen(defs->name) == len &&
		    !memcmp(defs->name, name, len))
			return defs;
	}
	return NULL;
}

static const struct option_def *find_short(const struct option_def *defs, char letter)
{
	for (; defs->kind != OPTION_END; defs++) {
		if (defs->letter && defs->letter == letter)
			return defs;
	}
	return NULL;
}

static bool takes_argument(const struct option_def *defs)
{
	while (defs->kind != OPTION_END && defs->kind != OPTION_ARGUMENT)
		defs++;
	return defs->kind == OPTION_ARGUMENT;
}

/* The place for an argument, if it is still empty. */
static const struct option_def *find_argument(const struct option_def *defs, const void *target)
{
	for (; defs->kind != OPTION_END; defs++) {
		if (defs->kind == OPTION_ARGUMENT &&
		    !*(const char *const *)((const char *)target + defs->offset))
			return defs;
	}
	return NULL;
}

struct parse {
	const struct option_def *defs;
	void *target;
	int argc;
	char **argv;
	int i;
	char *reterr;
	size_t reterr_len;
};

static int store_or_explain(struct parse *p, const struct option_def *def, const char *value)
{
	int r = store(def, p->target, value);

	if (r != -EINVAL)
		return r;
	if (def->kind == OPTION_NUMBER)
		snprintf(p->reterr, p->reterr_len,
			 "--%s wants a number from %llu to %llu, not '%s'", def->name,
			 (unsigned long long)def->min, (unsigned long long)def->max, value);
	else if (def->kind == OPTION_SIZE)
		snprintf(p->reterr, p->reterr_len,
			 "--%s wants a size from %lluK to %lluM, for example 64M, not '%s'",
			 def->name, (unsigned long long)def->min >> 10,
			 (unsigned long long)def->max >> 20, value);
	else if (def->kind == OPTION_SECONDS)
		snprintf(p->reterr, p->reterr_len,
			 "--%s wants seconds, for example 10 or 0.5, not '%s'", def->name, value);
	else
		snprintf(p->reterr, p->reterr_len, "--%s wants a value that is not empty",
			 def->name);
	return r;
}

static int parse_long(struct parse *p, const char *arg)
{
	const char *equals = strchr(arg, '=');
	size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
	const struct option_def *def = find_long(p->defs, arg, len);

	if (!def) {
		snprintf(p->reterr, p->reterr_len, "there is no option --%.*s", (int)len, arg);
		return -EINVAL;
	}
	if (!takes_value(def)) {
		if (equals) {
			snprintf(p->reterr, p->reterr_len, "--%s takes no value", def->name);
			return -EINVAL;
		}
		return store(def, p->target, NULL);
	}
	if (equals)
		return store_or_explain(p, def, equals + 1);
	if (p->i + 1 >= p->argc) {
		snprintf(p->reterr, p->reterr_len, "--%s needs a value: --%s %s", def->name,
			 def->name, def->metavar);
		return -EINVAL;
	}
	return store_or_explain(p, def, p->argv[++p->i]);
}

/* "-vo FILE" and "-vFILE" as getopt(3) has them. */
static int parse_short(struct parse *p, const char *letters)
{
	int r;

	for (; *letters; letters++) {
		const struct option_def *def = find_short(p->defs, *letters);

		if (!def) {
			snprintf(p->reterr, p->reterr_len, "there is no option -%c",
				 isprint((unsigned char)*letters) ? *letters : '?');
			return -EINVAL;
		}
		if (takes_value(def)) {
			if (letters[1])
				return store_or_explain(p, def, letters + 1);
			if (p->i + 1 < p->argc)
				return store_or_explain(p, def, p->argv[++p->i]);
			snprintf(p->reterr, p->reterr_len, "-%c needs a value: -%c %s", *letters,
				 *letters, def->metavar);
			return -EINVAL;
		}
		r = store(def, p->target, NULL);
		if (r)
			return r;
	}
	return 0;
}

int options_parse(const struct option_def *defs, void *target, int argc, char **argv, int *ret_rest,
		  char *reterr, size_t reterr_len)
{
	struct parse p = { defs, target, argc, argv, 1, reterr, reterr_len };
	int r;

	for (; p.i < argc; p.i++) {
		const char *arg = argv[p.i];

		if (!strcmp(arg, "--")) {
			*ret_rest = p.i + 1;
			return 0;
		}
		if (arg[0] != '-' || !arg[1]) {
			const struct option_def *def = find_argument(defs, target);

			if (def && !store(def, target, arg))
				continue;
			snprintf(reterr, reterr_len,
				 takes_argument(defs)
					 ? "'%s' is one argument too many"
					 : "'%s' is not an option; a command goes behind --",
				 arg);
			return -EINVAL;
		}
		r = arg[1] == '-' ? parse_long(&p, arg + 2) : parse_short(&p, arg + 1);
		if (r)
			return r;
	}
	*ret_rest = argc;
	return 0;
}

void options_done(const struct option_def *defs, void *target)
{
	for (; defs->kind != OPTION_END; defs++) {
		if (defs->kind == OPTION_LIST) {
			struct option_list *list = (void *)((char *)target + defs->offset);

			free(list->items);
			memset(list, 0, sizeof(*list));
		}
	}
}

void options_help(const struct option_def *defs, FILE *out)
{
	for (; defs->kind != OPTION_END; defs++) {
		char left[64];

		if (defs->kind == OPTION_ARGUMENT)
			continue;
		snprintf(left, sizeof(left), "%c%c%c --%s%s%s", defs->letter ? '-' : ' ',
			 defs->letter ? defs->letter : ' ', defs->letter ? ',' : ' ', defs->name,
			 takes_value(defs) ? " " : "", takes_value(defs) ? defs->metavar : "");
		fprintf(out, "  %-26s %s\n", left, defs->help);
	}
}

// SPDX-License-Identifier: Apache-2.0
#include "elf/symtab.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Linkers write each string once; the same characters may end a few others. */
#define HITS_MAX 4096
#define LAST_MAX 256

/* A place in the strings that reads as one of the names. */
struct hit {
	uint64_t offset;
	size_t name;
};

struct search {
	const struct image *image;
	const struct symtab *table;
	const char *const *names;
	size_t *len;	       /* of each name */
	size_t *next;	       /* another name with the same last character, plus 1 */
	size_t last[LAST_MAX]; /* the first of those, plus 1 */
	size_t longest;
	struct hit *hit;
	size_t hit_count;
	uint8_t *buf; /* IMAGE_WINDOW */
};

static void search_done(struct search *s)
{
	free(s->len);
	free(s->next);
	free(s->hit);
	free(s->buf);
}

static int search_init(struct search *s, size_t count)
{
	s->len = calloc(count, sizeof(*s->len));
	s->next = calloc(count, sizeof(*s->next));
	s->hit = calloc(HITS_MAX, sizeof(*s->hit));
	s->buf = malloc(IMAGE_WINDOW);
	if (!s->len || !s->next || !s->hit || !s->buf)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		size_t *first;

		s->len[i] = strlen(s->names[i]);
		if (!s->len[i])
			continue;
		first = &s->last[(uint8_t)s->names[i][s->len[i] - 1]];
		s->next[i] = *first;
		*first = i + 1;
		if (s->len[i] > s->longest)
			s->longest = s->len[i];
	}
	return s->longest < IMAGE_WINDOW / 2 ? 0 : -EINVAL;
}

/* Names that end before the NUL at buf[end]. */
static int hits_at(struct search *s, uint64_t start, size_t end)
{
	size_t i = end ? s->last[s->buf[end - 1]] : 0;

	for (; i; i = s->next[i - 1]) {
		size_t len = s->len[i - 1];

		if (len > end || memcmp(s->buf + end - len, s->names[i - 1], len))
			continue;
		if (s->hit_count == HITS_MAX)
			return -E2BIG;
		s->hit[s->hit_count++] = (struct hit) { start + end - len, i - 1 };
	}
	return 0;
}

static int strings_scan(struct search *s)
{
	uint64_t start = 0, done = 0;

	for (;;) {
		uint64_t len = s->table->strings_len - start;
		const uint8_t *p;
		int err;

		if (len > IMAGE_WINDOW)
			len = IMAGE_WINDOW;
		err = image_read_at(s->image, s->table->strings + start, s->buf, len);
		for (p = s->buf + (done - start); !err; p++) {
			p = memchr(p, '\0', len - (size_t)(p - s->buf));
			if (!p)
				break;
			err = hits_at(s, start, (size_t)(p - s->buf));
		}
		if (err || start + len == s->table->strings_len)
			return err;
		done = start + len;
		start = done - s->longest;
	}
}

static int hit_compare(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

static void symbol_check(const struct search *s, const Elf64_Sym *sym, symtab_fn fn, void *arg)
{
	struct hit key = { .offset = sym->st_name };
	const struct hit *hit;

	if (ELF64_ST_TYPE(sym->st_info) != STT_FUNC || sym->st_shndx == SHN_UNDEF)
		return;
	hit = bsearch(&key, s->hit, s->hit_count, sizeof(key), hit_compare);
	if (hit)
		fn(arg, hit->name, sym->st_value, sym->st_size);
}

static int symbols_scan(struct search *s, symtab_fn fn, void *arg)
{
	uint64_t pos = 0, left = s->table->symbols_len;
	Elf64_Sym sym;
	int err;

	for (; left >= sizeof(sym);) {
		size_t len = IMAGE_WINDOW / sizeof(sym) * sizeof(sym);

		if (len > left)
			len = left / sizeof(sym) * sizeof(sym);
		err = image_read_at(s->image, s->table->symbols + pos, s->buf, len);
		if (err)
			return err;
		for (size_t i = 0; i < len; i += sizeof(sym)) {
			memcpy(&sym, s->buf + i, sizeof(sym));
			symbol_check(s, &sym, fn, arg);
		}
		pos += len;
		left -= len;
	}
	return 0;
}

int symtab_search(const struct image *image, const struct symtab *table, const char *const *names,
		  size_t count, symtab_fn fn, void *arg)
{
	struct search s = { .image = image, .table = table, .names = names };
	int err = 0;

	if (!count)
		return 0;
	err = search_init(&s, count);
	if (!err)
		err = strings_scan(&s);
	if (!err && s.hit_count) {
		qsort(s.hit, s.hit_count, sizeof(*s.hit), hit_compare);
		err = symbols_scan(&s, fn, arg);
	}
	search_done(&s);
	return err;
}

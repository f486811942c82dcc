/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout, from the comments in Go's src/runtime/symtab.go and src/cmd/link/internal/ld/pcln.go:
 *
 *	header		magic and sizes; from Go 1.16 on, offsets of the parts
 *	names		strings; up to Go 1.15 somewhere in the table
 *	functab		pairs of a function's address and where its record is, sorted by address
 *	records		begin with the function's address again and the offset of its name
 *
 * Up to Go 1.17 addresses are 64 bits wide, and relocated in position independent programs. From
 * Go 1.18 on they are 32 bits wide and count from runtime.text (elf/gotext.h).
 */
#include "elf/pclntab.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "elf/gotext.h"

#define MAGIC_1_2  0xfffffffb
#define MAGIC_1_16 0xfffffffa
#define MAGIC_1_18 0xfffffff0
#define MAGIC_1_20 0xfffffff1

#define HEADER_LEN   72
#define HEADER_ALIGN 8
/* Go's linker does not get there: programs have some hundred thousand functions. */
#define FUNCTIONS_MAX (UINT64_C(4) << 20)
#define TABLE_MAX     (UINT64_C(1) << 30)
#define WINDOW	      65536
/* Places of suffixes: functions, and those that were inlined everywhere. */
#define HITS_MAX 64
#define NAME_MAX 512
/* Files with more of these were made to waste time. */
#define HEADERS_MAX 64
#define NAMES_MAX   4096
#define MATCHES_MAX 64
/* Has no divisor in common with GOTEXT_SAMPLES. */
#define SAMPLES_STRIDE 37

struct window {
	uint64_t pos;
	size_t len;
	uint8_t data[WINDOW];
};

struct table {
	const struct image *image;
	uint64_t vaddr;
	uint64_t len; /* from the header to the end of its segment; the table may be shorter */
	uint64_t
		budget; /* bytes that may still be read: records that lie about made to waste time */
	uint64_t count; /* of functions */
	uint64_t names;
	uint64_t names_len;
	uint64_t functab;
	uint64_t records; /* what the offsets of records count from */
	uint64_t text;
	unsigned int field;   /* bytes of a field of the functab and of an address */
	unsigned int headers; /* how many were looked at */
	unsigned int names_read;
	struct window *window[2];
};

enum { WINDOW_FUNCTAB, WINDOW_RECORDS };

struct hit {
	uint64_t pos; /* of the suffix, among the names */
	unsigned int suffix;
};

struct search {
	const char *const *suffixes;
	size_t count;
	size_t hit_count;
	struct hit hit[HITS_MAX];
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static int window_fill(struct table *table, struct window *window, uint64_t pos)
{
	uint64_t len = table->len - pos;
	int err;

	if (len > sizeof(window->data))
		len = sizeof(window->data);
	if (len > table->budget)
		return -ENOENT;
	table->budget -= len;
	window->len = 0;
	err = image_read(table->image, table->vaddr + pos, window->data, len);
	if (err)
		return err;
	window->pos = pos;
	window->len = len;
	return 0;
}

/* len bytes of the table at pos; NULL when they are not there. Valid until the next call. */
static const uint8_t *table_at(struct table *table, int which, uint64_t pos, size_t len)
{
	struct window *window = table->window[which];

	if (pos > table->len || len > table->len - pos)
		return NULL;
	if (pos >= window->pos && pos - window->pos <= window->len &&
	    len <= window->len - (pos - window->pos))
		return window->data + (pos - window->pos);
	return window_fill(table, window, pos) ? NULL : window->data;
}

/* --- the header */

static bool header_check(uint16_t machine, const uint8_t *p)
{
	uint32_t magic = get32(p);

	if (magic != MAGIC_1_2 && magic != MAGIC_1_16 && magic != MAGIC_1_18 && magic != MAGIC_1_20)
		return false;
	/* Two zeros, the length of the shortest instruction, that of a pointer. */
	return !p[4] && !p[5] && p[6] == (machine == EM_AARCH64 ? 4 : 1) && p[7] == 8;
}

static bool parts_check(const struct table *table, uint64_t names_end)
{
	uint64_t functab_len = (2 * table->count + 1) * table->field;

	return table->names <= names_end && names_end <= table->len &&
	       table->functab <= table->len && functab_len <= table->len - table->functab;
}

/* p: HEADER_LEN bytes. */
static bool header_parse(struct table *table, const uint8_t *p)
{
	bool has_text = get32(p) == MAGIC_1_18 || get32(p) == MAGIC_1_20;
	/* Offsets come behind the numbers of functions and files, and runtime.text. */
	const uint8_t *offsets = p + (has_text ? 32 : 24);
	uint64_t end;

	table->count = get64(p + 8);
	if (!table->count || table->count > FUNCTIONS_MAX)
		return false;
	table->field = has_text ? 4 : 8;
	if (get32(p) == MAGIC_1_2) {
		table->functab = 16;
		end = table->len;
	} else {
		table->names = get64(offsets);
		end = get64(offsets + 8);
		table->functab = table->records = get64(offsets + 32);
	}
	if (!parts_check(table, end))
		return false;
	table->names_len = end - table->names;
	return true;
}

/* Where record i is, and the two fields of the functab that it belongs to. */
static const uint8_t *record_at(struct table *table, uint64_t i, uint64_t *ret_pc)
{
	uint64_t pos = table->functab + 2 * i * table->field;
	const uint8_t *p = table_at(table, WINDOW_FUNCTAB, pos, 2 * table->field);
	uint64_t off;

	if (!p)
		return NULL;
	*ret_pc = table->field == 4 ? get32(p) : get64(p);
	off = table->field == 4 ? get32(p + 4) : get64(p + 8);
	if (off > table->len)
		return NULL;
	return table_at(table, WINDOW_RECORDS, table->records + off, table->field + 4);
}

/* Do the first and the last function's record agree with the functab? */
static bool records_check(struct table *table)
{
	uint64_t pc, index[] = { 0, table->count - 1 };
	const uint8_t *record;

	for (size_t i = 0; i < 2; i++) {
		record = record_at(table, index[i], &pc);
		if (!record || (table->field == 4 ? get32(record) : get64(record)) != pc)
			return false;
	}
	return true;
}

/* A whole table at vaddr? len: bytes that are there. */
static bool table_open(struct table *table, uint64_t vaddr, uint64_t len)
{
	const uint8_t *p;

	table->vaddr = vaddr;
	table->len = len < TABLE_MAX ? len : TABLE_MAX;
	table->budget = 4 * table->len + 64 * WINDOW;
	table->names = table->records = 0;
	table->window[WINDOW_FUNCTAB]->len = table->window[WINDOW_RECORDS]->len = 0;
	p = table_at(table, WINDOW_FUNCTAB, 0, HEADER_LEN);
	return p && header_check(image_machine(table->image), p) && header_parse(table, p) &&
	       records_check(table);
}

/* --- finding it */

static int window_search(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	struct table *table = arg;
	size_t i = -vaddr % HEADER_ALIGN;

	for (; i + HEADER_LEN <= len; i += HEADER_ALIGN) {
		if (!header_check(image_machine(table->image), p + i))
			continue;
		if (table->headers++ == HEADERS_MAX)
			return -EFBIG;
		if (table_open(table, vaddr + i, image_loaded(table->image, vaddr + i)))
			return 1;
	}
	return 0;
}

/* 0 or negative errno. */
static int table_find(struct table *table)
{
	static const char *const sections[] = { ".gopclntab", ".data.rel.ro.gopclntab" };
	uint64_t vaddr, offset, len;
	int r;

	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (image_section(table->image, sections[i], &vaddr, &offset, &len))
			continue;
		if (len > image_loaded(table->image, vaddr))
			len = image_loaded(table->image, vaddr);
		if (table_open(table, vaddr, len))
			return 0;
	}
	r = image_walk(table->image, false, HEADER_LEN + HEADER_ALIGN, window_search, table);
	if (r < 0)
		return r;
	return r ? 0 : -ENOENT;
}

/* --- names */

static void hits_add(struct search *search, uint64_t pos, const uint8_t *p, size_t len)
{
	for (unsigned int i = 0; i < search->count; i++) {
		const uint8_t *at = p, *end = p + len;
		/* With its NUL. */
		size_t word = strlen(search->suffixes[i]) + 1;

		while ((at = memmem(at, (size_t)(end - at), search->suffixes[i], word))) {
			if (search->hit_count == HITS_MAX)
				return;
			search->hit[search->hit_count++] =
				(struct hit) { pos + (uint64_t)(at - p), i };
			at++;
		}
	}
}

static void names_search(struct table *table, struct search *search)
{
	struct window *window = table->window[WINDOW_RECORDS];
	/* What of a suffix may be at the end of a window. */
	const size_t overlap = PCLNTAB_SUFFIX_LEN_MAX;
	uint64_t pos = 0;

	while (table->names_len - pos > overlap || !pos) {
		uint64_t len = table->names_len - pos;

		if (window_fill(table, window, table->names + pos))
			return;
		if (len > window->len)
			len = window->len;
		hits_add(search, pos, window->data, len);
		if (len <= overlap)
			return;
		pos += len - overlap;
	}
}

/* The suffix that the name ends in; -1 when none. */
static int name_match(struct table *table, const struct search *search, uint64_t name)
{
	char prefix[NAME_MAX];

	for (size_t i = 0; i < search->hit_count; i++) {
		uint64_t len = search->hit[i].pos - name;

		if (name > search->hit[i].pos || len > sizeof(prefix) ||
		    table->names_read++ >= NAMES_MAX ||
		    image_read(table->image, table->vaddr + table->names + name, prefix, len))
			continue;
		/* Else it is the end of another name. */
		if (!memchr(prefix, '\0', len))
			return (int)search->hit[i].suffix;
	}
	return -1;
}

/* --- functions */

/* Where function i begins. Where the file does not have a pointer, its relocation does. */
static bool function_start(struct table *table, uint64_t i, uint64_t *ret_vaddr)
{
	uint64_t pos = table->functab + 2 * i * table->field;
	const uint8_t *p = table_at(table, WINDOW_FUNCTAB, pos, table->field);

	if (!p)
		return false;
	if (table->field == 4) {
		*ret_vaddr = table->text + get32(p);
		return true;
	}
	*ret_vaddr = get64(p);
	return *ret_vaddr || !image_pointer(table->image, table->vaddr + pos, ret_vaddr);
}

static bool function_add(struct table *table, uint64_t i, struct symbol *ret_symbol)
{
	uint64_t start, end, offset;

	if (!function_start(table, i, &start) || image_offset(table->image, start, &offset))
		return false;
	/* There is one address more than functions. */
	if (!function_start(table, i + 1, &end) || end < start)
		end = start;
	*ret_symbol = (struct symbol) { start, end - start, RUNG_PCLNTAB };
	return true;
}

static int functions_search(struct table *table, const struct search *search,
			    struct pclntab_function *ret_functions, size_t max)
{
	size_t stored = 0, matches = 0;

	for (uint64_t i = 0; i < table->count && stored < max && matches < MATCHES_MAX; i++) {
		struct pclntab_function *function = &ret_functions[stored];
		const uint8_t *record;
		uint64_t pc;
		int suffix;

		record = record_at(table, i, &pc);
		/* A hole in the table: whatever is behind it may be anything. */
		if (!record)
			break;
		suffix = name_match(table, search, get32(record + table->field));
		if (suffix < 0)
			continue;
		matches++;
		if (!function_add(table, i, &function->symbol))
			continue;
		function->suffix = (unsigned int)suffix;
		stored++;
	}
	return (int)stored;
}

/*
 * The addresses of functions that are far from each other, for finding runtime.text. Mixed: C code
 * that was linked in, such as the race detector, comes first in the table.
 */
static size_t sample(struct table *table, uint32_t *ret_offsets, uint64_t *ret_end)
{
	uint64_t step = table->count / GOTEXT_SAMPLES + 1;
	const uint8_t *p;
	size_t count = 0;

	for (uint64_t i = 0; i < GOTEXT_SAMPLES; i++) {
		uint64_t index = i * SAMPLES_STRIDE % GOTEXT_SAMPLES * step;

		if (index >= table->count)
			continue;
		p = table_at(table, WINDOW_FUNCTAB, table->functab + 8 * index, 4);
		if (p)
			ret_offsets[count++] = get32(p);
	}
	p = table_at(table, WINDOW_FUNCTAB, table->functab + 8 * table->count, 4);
	*ret_end = p ? get32(p) : 0;
	return p ? count : 0;
}

static int text_set(struct table *table)
{
	uint32_t offsets[GOTEXT_SAMPLES];
	uint64_t end;
	size_t count = sample(table, offsets, &end);

	return gotext_find(table->image, offsets, count, end, &table->text);
}

static int table_search(struct table *table, struct search *search,
			struct pclntab_function *ret_functions, size_t max)
{
	int err = table_find(table);

	if (err)
		return err;
	names_search(table, search);
	if (!search->hit_count)
		return 0;
	err = table->field == 4 ? text_set(table) : 0;
	return err ? err : functions_search(table, search, ret_functions, max);
}

int pclntab_functions(const struct image *image, const char *const *suffixes, size_t count,
		      struct pclntab_function *ret_functions, size_t max)
{
	struct search search = { .suffixes = suffixes, .count = count };
	struct table table = { .image = image };
	struct window *windows;
	int r;

	windows = calloc(2, sizeof(*windows));
	if (!windows)
		return -ENOMEM;
	table.window[WINDOW_FUNCTAB] = &windows[0];
	table.window[WINDOW_RECORDS] = &windows[1];
	r = table_search(&table, &search, ret_functions, max);
	free(windows);
	return r;
}

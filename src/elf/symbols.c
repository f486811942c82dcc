// SPDX-License-Identifier: Apache-2.0
/* Symbols by name: from the file's tables, its debug file, and the user. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf/debugfile.h"
#include "elf/entry.h"
#include "elf/image_inside.h"
#include "elf/symtab.h"

/* Ceilings. Real files stay far below; a file above them was made to waste memory. */
#define SYMTAB_MAX (UINT64_C(256) << 20)
#define STRTAB_MAX (UINT64_C(512) << 20)
/* Of tables that are read as a whole, and not in parts. */
#define WHOLE_SYMTAB_MAX (UINT64_C(8) << 20)
#define WHOLE_STRTAB_MAX (UINT64_C(16) << 20)

struct table {
	Elf_Scn *symbols;
	Elf_Scn *strings;
	GElf_Shdr symbols_shdr;
	GElf_Shdr strings_shdr;
};

/* The first section of a type, and the string table that belongs to it. */
static bool table_find(const struct image *image, uint32_t type, struct table *ret_table)
{
	struct table t = { NULL };

	while ((t.symbols = elf_nextscn(image->elf, t.symbols))) {
		if (gelf_getshdr(t.symbols, &t.symbols_shdr) && t.symbols_shdr.sh_type == type)
			break;
	}
	if (!t.symbols || t.symbols_shdr.sh_entsize != sizeof(Elf64_Sym))
		return false;
	t.strings = elf_getscn(image->elf, t.symbols_shdr.sh_link);
	if (!t.strings || !gelf_getshdr(t.strings, &t.strings_shdr) ||
	    t.strings_shdr.sh_type != SHT_STRTAB ||
	    !section_inside(image, &t.symbols_shdr, SYMTAB_MAX) ||
	    !section_inside(image, &t.strings_shdr, STRTAB_MAX))
		return false;
	*ret_table = t;
	return true;
}

bool table_read(const struct image *image, uint32_t type, struct bytes *ret_symbols,
		struct bytes *ret_strings)
{
	struct table t;
	const char *end;

	if (!table_find(image, type, &t) ||
	    !section_read(image, t.symbols, &t.symbols_shdr, WHOLE_SYMTAB_MAX, ret_symbols) ||
	    !section_read(image, t.strings, &t.strings_shdr, WHOLE_STRTAB_MAX, ret_strings))
		return false;
	/* Everything before the last NUL is terminated: names need no further check. */
	end = memrchr(ret_strings->data, '\0', ret_strings->len);
	ret_strings->len = end ? (size_t)(end - ret_strings->data) + 1 : 0;
	return true;
}

bool image_has_symtab(const struct image *image)
{
	struct table t;

	return table_find(image, SHT_SYMTAB, &t);
}

/* Symbols on their way from a table, which may be a debug file's, to the caller. */
struct wanted {
	const struct image *image; /* has the code */
	enum rung rung;
	struct symbol *symbols;
	size_t found;
};

static void wanted_take(void *arg, size_t name, uint64_t vaddr, uint64_t size)
{
	struct wanted *wanted = arg;
	struct symbol *symbol = &wanted->symbols[name];
	uint64_t offset;

	if (symbol->rung != RUNG_NONE || image_offset(wanted->image, vaddr, &offset))
		return;
	/*
	 * A container may have a forged debug file for a library that it shares with others, and a
	 * probe in the middle of an instruction would end their programs as well.
	 */
	if (wanted->rung == RUNG_DEBUG_FILE && !entry_starts(wanted->image, vaddr))
		return;
	*symbol = (struct symbol) { .vaddr = vaddr, .size = size, .rung = wanted->rung };
	wanted->found++;
}

static int table_search(const struct image *table, const char *const *names, size_t count,
			enum rung rung, struct wanted *wanted)
{
	struct table t;
	struct symtab where;
	int err;

	if (wanted->found == count ||
	    !table_find(table, rung == RUNG_DYNSYM ? SHT_DYNSYM : SHT_SYMTAB, &t))
		return 0;
	where = (struct symtab) {
		.symbols = t.symbols_shdr.sh_offset,
		.symbols_len = t.symbols_shdr.sh_size,
		.strings = t.strings_shdr.sh_offset,
		.strings_len = t.strings_shdr.sh_size,
	};
	wanted->rung = rung;
	err = symtab_search(table, &where, names, count, wanted_take, wanted);
	return err == -ENOMEM ? err : 0;
}

void image_set_debug(struct image *image, struct image *debug)
{
	image_free(image->debug);
	image->debug = debug;
}

int image_debug_from(struct image *image, int root, const char *path)
{
	struct debug_source *source = calloc(1, sizeof(*source));

	if (!source)
		return -ENOMEM;
	source->path = strdup(path);
	source->root = fcntl(root, F_DUPFD_CLOEXEC, 0);
	if (!source->path || source->root < 0 || image->source) {
		int err = !source->path ? -ENOMEM : source->root < 0 ? -errno : -EEXIST;

		if (source->root >= 0)
			close(source->root);
		free(source->path);
		free(source);
		return err;
	}
	image->source = source;
	return 0;
}

bool image_has_debug(const struct image *image)
{
	return image->debug || (image->source && image->source->found);
}

/* A file with a symbol table of its own has not been stripped: there is nothing to look for. */
static const struct image *debug_image(const struct image *image)
{
	struct debug_source *source = image->source;

	if (image->debug || !source)
		return image->debug;
	if (!source->looked && !image_has_symtab(image))
		(void)debugfile_find(image, source->root, source->path, &source->found);
	source->looked = true;
	return source->found;
}

int image_add_symbol(struct image *image, const char *name, uint64_t vaddr)
{
	if (image->given_count == IMAGE_GIVEN_MAX)
		return -E2BIG;
	image->given[image->given_count++] = (struct given) { name, vaddr };
	return 0;
}

static void given_take(const struct image *image, const char *const *names, size_t count,
		       struct wanted *wanted)
{
	wanted->rung = RUNG_USER;
	for (size_t i = 0; i < image->given_count; i++) {
		for (size_t j = 0; j < count; j++) {
			if (!strcmp(image->given[i].name, names[j]))
				wanted_take(wanted, j, image->given[i].vaddr, 0);
		}
	}
}

int image_symbols(const struct image *image, const char *const *names, size_t count,
		  struct symbol *ret_symbols)
{
	struct wanted wanted = { .image = image, .symbols = ret_symbols };
	const struct image *debug;
	int err;

	memset(ret_symbols, 0, count * sizeof(*ret_symbols));
	given_take(image, names, count, &wanted);
	err = table_search(image, names, count, RUNG_DYNSYM, &wanted);
	if (!err)
		err = table_search(image, names, count, RUNG_SYMTAB, &wanted);
	if (!err && wanted.found < count) {
		debug = debug_image(image);
		if (debug)
			err = table_search(debug, names, count, RUNG_DEBUG_FILE, &wanted);
	}
	return err ? err : (int)wanted.found;
}

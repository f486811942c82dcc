/* SPDX-License-Identifier: Apache-2.0 */
/* What the loader puts into a file's pointers. */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "elf/image_inside.h"
#include "elf/relr.h"

/* Of all sections together; real files stay far below. */
#define RELA_MAX   (UINT64_C(64) << 20)
#define RELAS_PART 512

/* Goes through the relocations of all sections, RELA_MAX bytes of them at most. */
struct relas {
	Elf_Scn *scn;
	uint64_t offset; /* of those of this section that are not in rela[] yet */
	uint64_t left;
	uint64_t total;
	Elf64_Rela rela[RELAS_PART];
	size_t count;
	size_t pos;
};

static bool relas_section(const struct image *image, struct relas *relas)
{
	GElf_Shdr shdr;

	while ((relas->scn = elf_nextscn(image->elf, relas->scn))) {
		if (!gelf_getshdr(relas->scn, &shdr) || shdr.sh_type != SHT_RELA ||
		    shdr.sh_entsize != sizeof(Elf64_Rela) || shdr.sh_offset > image->len ||
		    shdr.sh_size > image->len - shdr.sh_offset ||
		    shdr.sh_size > RELA_MAX - relas->total)
			continue;
		relas->offset = shdr.sh_offset;
		relas->left = shdr.sh_size;
		relas->total += shdr.sh_size;
		return true;
	}
	return false;
}

static bool relas_next(const struct image *image, struct relas *relas, Elf64_Rela *ret_rela)
{
	while (relas->pos == relas->count) {
		uint64_t count = relas->left / sizeof(*ret_rela);

		if (!count) {
			if (!relas_section(image, relas))
				return false;
			continue;
		}
		if (count > RELAS_PART)
			count = RELAS_PART;
		relas->pos = relas->count = 0;
		relas->left -= count * sizeof(*ret_rela);
		if (!image_read_at(image, relas->offset, relas->rela, count * sizeof(*ret_rela)))
			relas->count = count;
		relas->offset += count * sizeof(*ret_rela);
	}
	*ret_rela = relas->rela[relas->pos++];
	return true;
}

/* The address of a symbol that the file itself defines. */
static bool symbol_value(const struct image *image, uint64_t index, uint64_t *ret_value)
{
	struct bytes symbols, strings;
	Elf64_Sym sym;

	if (!table_read(image, SHT_DYNSYM, &symbols, &strings) ||
	    index >= symbols.len / sizeof(sym))
		return false;
	memcpy(&sym, symbols.data + index * sizeof(sym), sizeof(sym));
	*ret_value = sym.st_value;
	return sym.st_shndx != SHN_UNDEF;
}

int image_pointer(const struct image *image, uint64_t vaddr, uint64_t *ret_target)
{
	struct relas relas = { 0 };
	uint64_t symbol;
	Elf64_Rela rela;

	if (image->machine != EM_X86_64)
		return -ENOENT;
	while (relas_next(image, &relas, &rela)) {
		if (rela.r_offset != vaddr)
			continue;
		if (ELF64_R_TYPE(rela.r_info) == R_X86_64_RELATIVE)
			symbol = 0;
		else if (ELF64_R_TYPE(rela.r_info) != R_X86_64_64 ||
			 !symbol_value(image, ELF64_R_SYM(rela.r_info), &symbol))
			return -ENOENT;
		*ret_target = symbol + (uint64_t)rela.r_addend;
		return 0;
	}
	return relr_pointer(image, vaddr, ret_target);
}

int image_pointers(const struct image *image, image_pointer_fn fn, void *arg)
{
	struct relas relas = { 0 };
	Elf64_Rela rela;
	int r = 0;

	if (image->machine != EM_X86_64)
		return 0;
	while (!r && relas_next(image, &relas, &rela)) {
		if (ELF64_R_TYPE(rela.r_info) == R_X86_64_RELATIVE)
			r = fn(arg, rela.r_offset, (uint64_t)rela.r_addend);
	}
	return r;
}

static bool is_named(const struct bytes *symbols, const struct bytes *strings, uint64_t index,
		     const char *const *names)
{
	Elf64_Sym sym;
	size_t i;

	if (index >= symbols->len / sizeof(sym))
		return false;
	memcpy(&sym, symbols->data + index * sizeof(sym), sizeof(sym));
	if (sym.st_name >= strings->len)
		return false;
	for (i = 0; names[i]; i++) {
		if (!strcmp(strings->data + sym.st_name, names[i]))
			return true;
	}
	return false;
}

size_t image_imports(const struct image *image, const char *const *names, uint64_t *ret_vaddrs,
		     size_t max)
{
	struct bytes symbols, strings;
	struct relas relas = { 0 };
	Elf64_Rela rela;
	size_t count = 0;

	if (image->machine != EM_X86_64 || !table_read(image, SHT_DYNSYM, &symbols, &strings))
		return 0;
	while (count <= max && relas_next(image, &relas, &rela)) {
		uint64_t type = ELF64_R_TYPE(rela.r_info);

		if ((type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) ||
		    !is_named(&symbols, &strings, ELF64_R_SYM(rela.r_info), names))
			continue;
		if (count < max)
			ret_vaddrs[count] = rela.r_offset;
		count++;
	}
	return count;
}

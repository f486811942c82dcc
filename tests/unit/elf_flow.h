/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What elf_build.h lacks for following data: relocations, imported functions, and where functions
 * begin. The relocations take the place of .symtab.
 */
#ifndef ELF_FLOW_H
#define ELF_FLOW_H

#include "elf_build.h"

/* SHT_RELR, which older headers lack. */
#define ELF_SHT_RELR 19

/* Where the tables are in place of program headers. */
#define ELF_UNWIND_PHDR 2

static inline void elf_rela(struct elf_file *f, uint64_t vaddr, uint32_t type, uint32_t sym,
			    uint64_t addend)
{
	Elf64_Rela rela = {
		.r_offset = vaddr,
		.r_info = ELF64_R_INFO(sym, type),
		.r_addend = (int64_t)addend,
	};

	elf_section(f, SECTION_SYMTAB, SHT_RELA, offsetof(struct elf_file, symtab),
		    f->symtab_count * sizeof(rela));
	f->symtab_count++;
	memcpy((uint8_t *)f->symtab + f->shdr[SECTION_SYMTAB].sh_size - sizeof(rela), &rela,
	       sizeof(rela));
}

/* An entry of .relr.dyn, which takes the place of .symtab as well. */
static inline void elf_relr(struct elf_file *f, uint64_t entry)
{
	size_t pos = 8 * (f->symtab_count - 1);

	if (!pos) {
		f->shdr[SECTION_SYMTAB].sh_name = (uint32_t)f->strings_len;
		f->ehdr.e_shstrndx = SECTION_STRTAB;
		strcpy(f->strings + f->strings_len, ".relr.dyn");
		f->strings_len += sizeof(".relr.dyn");
	}
	memcpy((uint8_t *)f->symtab + pos, &entry, sizeof(entry));
	elf_section(f, SECTION_SYMTAB, ELF_SHT_RELR, offsetof(struct elf_file, symtab), pos + 8);
	f->symtab_count++;
}

/* A stub of the PLT at pos and its pointer at got: the function of that name. */
static inline void elf_stub(struct elf_file *f, size_t pos, size_t got, const char *name)
{
	uint32_t sym = (uint32_t)f->dynsym_count;
	uint8_t code[6] = { 0xff, 0x25 }; /* jmp *got(%rip) */
	int32_t distance = (int32_t)(got - pos - sizeof(code));

	memcpy(code + 2, &distance, sizeof(distance));
	memcpy(f->text + pos, code, sizeof(code));
	elf_symbol(f, SECTION_DYNSYM, name, 0, 0)->st_shndx = SHN_UNDEF;
	elf_rela(f, elf_vaddr(got), R_X86_64_JUMP_SLOT, sym, 0);
}

/* Functions begin at these places, in order. */
static inline void elf_unwind(struct elf_file *f, const size_t *start, size_t count)
{
	uint64_t offset = offsetof(struct elf_file, phdr[ELF_UNWIND_PHDR]);
	uint8_t *table = (uint8_t *)f + offset;
	uint32_t entries = (uint32_t)count;
	size_t i;

	f->ehdr.e_phnum = 2;
	f->phdr[1].p_type = PT_GNU_EH_FRAME;
	f->phdr[1].p_offset = offset;
	f->phdr[1].p_vaddr = ELF_BASE + offset;
	f->phdr[1].p_filesz = 12 + 8 * count;
	memcpy(table, "\x01\x1b\x03\x3b", 4);
	memcpy(table + 8, &entries, sizeof(entries));
	for (i = 0; i < count; i++) {
		int32_t distance = (int32_t)(elf_offset(start[i]) - offset);

		memcpy(table + 12 + 8 * i, &distance, sizeof(distance));
	}
}

#endif

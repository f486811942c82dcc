/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small ELF file in memory, for tests: one executable segment that holds all of it, code, and
 * two symbol tables with one string table. Tests damage the fields they want damaged.
 */
#ifndef ELF_BUILD_H
#define ELF_BUILD_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ELF_BASE     0x400000
#define ELF_TEXT_LEN 2048
#define ELF_SYMS_MAX 16
#define ELF_PHDRS    36

enum { SECTION_NULL, SECTION_DYNSYM, SECTION_SYMTAB, SECTION_STRTAB, SECTIONS_MAX };

struct elf_file {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr[ELF_PHDRS]; /* the first is used */
	Elf64_Shdr shdr[SECTIONS_MAX];
	Elf64_Sym dynsym[ELF_SYMS_MAX];
	Elf64_Sym symtab[ELF_SYMS_MAX];
	uint8_t text[ELF_TEXT_LEN];
	char strings[512];
	/* Not in the file: where the next code, symbols and names go. */
	size_t text_len;
	size_t dynsym_count;
	size_t symtab_count;
	size_t strings_len;
};

#define ELF_FILE_LEN offsetof(struct elf_file, text_len)

static inline uint64_t elf_offset(size_t pos)
{
	return offsetof(struct elf_file, text) + pos;
}

static inline uint64_t elf_vaddr(size_t pos)
{
	return ELF_BASE + elf_offset(pos);
}

static inline void elf_section(struct elf_file *f, int index, uint32_t type, uint64_t offset,
			       uint64_t len)
{
	f->shdr[index].sh_type = type;
	f->shdr[index].sh_offset = offset;
	f->shdr[index].sh_size = len;
	f->shdr[index].sh_link = SECTION_STRTAB;
	f->shdr[index].sh_entsize = type == SHT_STRTAB ? 0 : sizeof(Elf64_Sym);
	f->shdr[index].sh_addralign = 1;
}

static inline void elf_init(struct elf_file *f, uint16_t machine)
{
	memset(f, 0, sizeof(*f));
	memcpy(f->ehdr.e_ident, ELFMAG, SELFMAG);
	f->ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	f->ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	f->ehdr.e_ident[EI_VERSION] = EV_CURRENT;
	f->ehdr.e_type = ET_DYN;
	f->ehdr.e_machine = machine;
	f->ehdr.e_version = EV_CURRENT;
	f->ehdr.e_ehsize = sizeof(f->ehdr);
	f->ehdr.e_phoff = offsetof(struct elf_file, phdr);
	f->ehdr.e_phentsize = sizeof(f->phdr[0]);
	f->ehdr.e_phnum = 1;
	f->ehdr.e_shoff = offsetof(struct elf_file, shdr);
	f->ehdr.e_shentsize = sizeof(f->shdr[0]);
	f->ehdr.e_shnum = SECTIONS_MAX;
	f->phdr[0].p_type = PT_LOAD;
	f->phdr[0].p_flags = PF_R | PF_X;
	f->phdr[0].p_vaddr = ELF_BASE;
	f->phdr[0].p_filesz = ELF_FILE_LEN;
	f->phdr[0].p_memsz = ELF_FILE_LEN;
	elf_section(f, SECTION_DYNSYM, SHT_DYNSYM, offsetof(struct elf_file, dynsym),
		    sizeof(f->dynsym));
	elf_section(f, SECTION_SYMTAB, SHT_SYMTAB, offsetof(struct elf_file, symtab),
		    sizeof(f->symtab));
	elf_section(f, SECTION_STRTAB, SHT_STRTAB, offsetof(struct elf_file, strings),
		    sizeof(f->strings));
	f->dynsym_count = f->symtab_count = f->strings_len = 1;
}

/* Appends code; returns where it begins. */
static inline size_t elf_code(struct elf_file *f, const void *code, size_t len)
{
	size_t pos = f->text_len;

	memcpy(f->text + pos, code, len);
	f->text_len += len;
	return pos;
}

/* Appends opcode and the distance to target, as call and jmp have it. */
static inline size_t elf_branch(struct elf_file *f, uint8_t opcode, size_t target)
{
	uint8_t code[5] = { opcode };
	int32_t distance = (int32_t)target - (int32_t)(f->text_len + sizeof(code));

	memcpy(code + 1, &distance, sizeof(distance));
	return elf_code(f, code, sizeof(code));
}

static inline Elf64_Sym *elf_symbol(struct elf_file *f, int section, const char *name, size_t pos,
				    size_t len)
{
	Elf64_Sym *sym = section == SECTION_DYNSYM ? &f->dynsym[f->dynsym_count++]
						   : &f->symtab[f->symtab_count++];

	sym->st_name = (uint32_t)f->strings_len;
	sym->st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
	sym->st_shndx = 1;
	sym->st_value = elf_vaddr(pos);
	sym->st_size = len;
	strcpy(f->strings + f->strings_len, name);
	f->strings_len += strlen(name) + 1;
	return sym;
}

#endif

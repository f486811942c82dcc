/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF files with segments of any size, in memory: for what takes more room than elf_build.h has.
 * Segments follow each other in the file and in memory, and begin with nothing but zeros.
 */
#ifndef ELF_BIG_H
#define ELF_BIG_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BIG_BASE     0x10000
#define BIG_SEGMENTS 4

struct big_file {
	uint8_t *data;
	size_t len;
	Elf64_Ehdr *ehdr;
	Elf64_Phdr *phdr;
};

static inline void big_init(struct big_file *big, uint16_t machine, uint16_t type)
{
	big->len = sizeof(*big->ehdr) + BIG_SEGMENTS * sizeof(*big->phdr);
	big->data = calloc(1, big->len);
	big->ehdr = (Elf64_Ehdr *)big->data;
	memcpy(big->ehdr->e_ident, ELFMAG, SELFMAG);
	big->ehdr->e_ident[EI_CLASS] = ELFCLASS64;
	big->ehdr->e_ident[EI_DATA] = ELFDATA2LSB;
	big->ehdr->e_ident[EI_VERSION] = EV_CURRENT;
	big->ehdr->e_type = type;
	big->ehdr->e_machine = machine;
	big->ehdr->e_version = EV_CURRENT;
	big->ehdr->e_ehsize = sizeof(*big->ehdr);
	big->ehdr->e_phoff = sizeof(*big->ehdr);
	big->ehdr->e_phentsize = sizeof(*big->phdr);
}

/* Returns the first byte; a later segment may move it. */
static inline uint8_t *big_segment(struct big_file *big, uint32_t flags, size_t len)
{
	Elf64_Phdr *phdr;

	big->data = realloc(big->data, big->len + len);
	memset(big->data + big->len, 0, len);
	big->ehdr = (Elf64_Ehdr *)big->data;
	big->phdr = (Elf64_Phdr *)(big->data + sizeof(*big->ehdr));
	phdr = &big->phdr[big->ehdr->e_phnum++];
	phdr->p_type = PT_LOAD;
	phdr->p_flags = flags;
	phdr->p_offset = big->len;
	phdr->p_vaddr = BIG_BASE + big->len;
	phdr->p_filesz = phdr->p_memsz = len;
	big->len += len;
	return big->data + big->len - len;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the only segment of a Go program: the first one chooses the machine. */
#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elf/gobuild.h"
#include "elf/pclntab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define VADDR 0x400000
#define MAX   8

struct file {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
	uint8_t data[];
};

static struct file *file_new(const uint8_t *data, size_t len)
{
	struct file *f = calloc(1, sizeof(*f) + len);

	if (!f)
		abort();
	memcpy(f->ehdr.e_ident, ELFMAG, SELFMAG);
	f->ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	f->ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	f->ehdr.e_ident[EI_VERSION] = EV_CURRENT;
	f->ehdr.e_type = ET_EXEC;
	f->ehdr.e_machine = data[0] & 1 ? EM_AARCH64 : EM_X86_64;
	f->ehdr.e_version = EV_CURRENT;
	f->ehdr.e_ehsize = sizeof(f->ehdr);
	f->ehdr.e_phoff = offsetof(struct file, phdr);
	f->ehdr.e_phentsize = sizeof(f->phdr);
	f->ehdr.e_phnum = 1;
	f->phdr.p_type = PT_LOAD;
	f->phdr.p_flags = PF_R | PF_X;
	f->phdr.p_offset = sizeof(*f);
	f->phdr.p_vaddr = VADDR;
	f->phdr.p_filesz = f->phdr.p_memsz = len;
	memcpy(f->data, data, len);
	return f;
}

static void search(const struct image *image, size_t len)
{
	static const char *const suffixes[] = { ".(*Config).writeKeyLog", "Secret", "" };
	struct pclntab_function found[MAX];
	char version[16];
	int r;

	if (!gobuild_version(image, version, sizeof(version)) && strlen(version) >= sizeof(version))
		abort();
	r = pclntab_functions(image, suffixes, 3, found, MAX);
	for (int i = 0; i < r; i++) {
		if (found[i].suffix > 2 || found[i].symbol.rung != RUNG_PCLNTAB ||
		    found[i].symbol.vaddr < VADDR || found[i].symbol.vaddr >= VADDR + len)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct image *image;
	struct file *f;

	if (!len)
		return 0;
	f = file_new(data, len);
	if (image_open_memory(f, sizeof(*f) + len, &image))
		abort();
	search(image, len);
	image_free(image);
	free(f);
	return 0;
}

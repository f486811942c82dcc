/* SPDX-License-Identifier: Apache-2.0 */
/* What Go's linker writes, in a small ELF file: functions, their table and the build information. */
#ifndef GO_BUILD_H
#define GO_BUILD_H

#include "elf_build.h"

enum go_version { GO_1_2, GO_1_16, GO_1_18, GO_1_20, GO_VERSIONS };

#define GO_FUNCTIONS 7
#define GO_ALIGN     16

/*
 * Where functions begin, and the last one ends, in units of GO_ALIGN: a Golomb ruler. No two
 * functions are as far from each other as two others are, so there is one place only where all fit.
 */
static const size_t go_starts[GO_FUNCTIONS + 1] = { 0, 1, 4, 10, 18, 23, 25, 27 };
#define GO_CODE_LEN (27 * GO_ALIGN)

/* An odd one out is among them: a function without a check of the stack's size. */
static const char *const go_names[GO_FUNCTIONS] = {
	"main.a",
	"runtime.asm",
	"crypto/tls.(*Config).writeKeyLog",
	"main.b",
	"example.org/fork.(*Config).writeKeyLog",
	"crypto/tls.keysFromMasterSecret",
	"crypto/tls.(*Conn).Handshake",
};

enum { GO_ASM = 1, GO_KEY_LOG, GO_FORK = 4, GO_MASTER_SECRET, GO_HANDSHAKE };

/* Places in f->text. */
struct go_file {
	enum go_version version;
	size_t code;
	size_t table;
	size_t names;
	size_t names_end;
	size_t functab;
	size_t records;
	size_t end;
	size_t build;
};

static inline void go_put(struct elf_file *f, size_t *pos, uint64_t value, size_t len)
{
	memcpy(f->text + *pos, &value, len);
	*pos += len;
}

/* So that addresses are multiples of it: f->text itself is at any place. */
static inline void go_align(struct elf_file *f, size_t to)
{
	while (elf_vaddr(f->text_len) % to)
		f->text_len++;
}

/* The check of the stack's size, as the calling convention has it. */
static inline void go_code(struct elf_file *f, struct go_file *go, bool registers)
{
	static const uint8_t checks[2][2][9] = {
		{ { 0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff },
		  { 0x49, 0x3b, 0x66, 0x10 } },
		{ { 0x81, 0x0b, 0x40, 0xf9 }, { 0x90, 0x0b, 0x40, 0xf9 } },
	};
	const uint8_t *check = checks[f->ehdr.e_machine == EM_AARCH64][registers];

	go_align(f, GO_ALIGN);
	/* runtime.text is where the first function is. */
	go->code = f->text_len;
	for (size_t i = 0; i < GO_FUNCTIONS; i++) {
		if (i != GO_ASM)
			memcpy(f->text + go->code + go_starts[i] * GO_ALIGN, check,
			       sizeof(checks[0][0]));
	}
	f->text_len += GO_CODE_LEN;
}

static inline void go_names_put(struct elf_file *f, struct go_file *go, size_t offsets[])
{
	go->names = f->text_len;
	for (size_t i = 0; i < GO_FUNCTIONS; i++) {
		offsets[i] = f->text_len;
		strcpy((char *)f->text + f->text_len, go_names[i]);
		f->text_len += strlen(go_names[i]) + 1;
	}
	go->names_end = f->text_len;
}

static inline void go_functab_put(struct elf_file *f, struct go_file *go, const size_t offsets[])
{
	size_t field = go->version < GO_1_18 ? 8 : 4, record = 2 * field;
	uint64_t start = go->version < GO_1_18 ? elf_vaddr(go->code) : 0;
	uint64_t records = go->version == GO_1_2 ? go->table : go->functab;
	uint64_t names = go->version == GO_1_2 ? go->table : go->names;
	size_t pos = go->functab, i;

	go->records = go->functab + (2 * GO_FUNCTIONS + 1) * field;
	for (i = 0; i < GO_FUNCTIONS; i++) {
		go_put(f, &pos, start + go_starts[i] * GO_ALIGN, field);
		go_put(f, &pos, go->records + i * record - records, field);
	}
	go_put(f, &pos, start + go_starts[i] * GO_ALIGN, field);
	for (i = 0; i < GO_FUNCTIONS; i++) {
		go_put(f, &pos, start + go_starts[i] * GO_ALIGN, field);
		go_put(f, &pos, offsets[i] - names, field);
	}
	go->end = f->text_len = pos;
}

static inline void go_header_put(struct elf_file *f, const struct go_file *go)
{
	static const uint32_t magics[] = { 0xfffffffb, 0xfffffffa, 0xfffffff0, 0xfffffff1 };
	size_t pos = go->table;

	go_put(f, &pos, magics[go->version], 6);
	go_put(f, &pos, f->ehdr.e_machine == EM_AARCH64 ? 4 : 1, 1);
	go_put(f, &pos, 8, 1);
	go_put(f, &pos, GO_FUNCTIONS, 8);
	if (go->version == GO_1_2)
		return;
	go_put(f, &pos, 1, 8);
	/* Before it is loaded, nothing may be relied on there. */
	if (go->version >= GO_1_18)
		go_put(f, &pos, 0x1234560, 8);
	go_put(f, &pos, go->names - go->table, 8);
	for (int i = 0; i < 3; i++)
		go_put(f, &pos, go->names_end - go->table, 8);
	go_put(f, &pos, go->functab - go->table, 8);
}

static inline void go_table(struct elf_file *f, struct go_file *go, enum go_version version)
{
	size_t offsets[GO_FUNCTIONS];

	go->version = version;
	go_align(f, 16);
	go->table = f->text_len;
	if (version == GO_1_2) {
		go->functab = go->table + 16;
		/* Functab, records, and a number that is not looked at; then the names. */
		f->text_len = go->functab + (4 * GO_FUNCTIONS + 1) * 8 + 4;
		go_names_put(f, go, offsets);
		go_functab_put(f, go, offsets);
		f->text_len = go->end = go->names_end;
	} else {
		f->text_len += version == GO_1_16 ? 64 : 72;
		go_names_put(f, go, offsets);
		go_align(f, 8);
		go->functab = f->text_len;
		go_functab_put(f, go, offsets);
	}
	go_header_put(f, go);
}

/* The version of Go, inline as from 1.18 on or by pointers. */
static inline void go_build(struct elf_file *f, struct go_file *go, const char *version)
{
	size_t pos, string;

	go_align(f, 16);
	go->build = pos = f->text_len;
	memcpy(f->text + pos, "\xff Go buildinf:", 14);
	f->text[pos + 14] = 8;
	if (go->version >= GO_1_18) {
		f->text[pos + 15] = 2;
		f->text[pos + 32] = (uint8_t)strlen(version);
		memcpy(f->text + pos + 33, version, strlen(version));
		f->text_len = pos + 33 + strlen(version);
		return;
	}
	string = pos + 32;
	pos += 16;
	go_put(f, &pos, elf_vaddr(string), 8);
	pos = string;
	go_put(f, &pos, elf_vaddr(string + 16), 8);
	go_put(f, &pos, strlen(version), 8);
	memcpy(f->text + pos, version, strlen(version));
	f->text_len = pos + strlen(version);
}

/* All of it, and a label, by which files with TLS in them are told apart. */
static inline void go_init(struct elf_file *f, struct go_file *go, uint16_t machine,
			   enum go_version version, bool registers, const char *name)
{
	elf_init(f, machine);
	go_code(f, go, registers);
	go_table(f, go, version);
	go_build(f, go, name);
	strcpy((char *)f->text + f->text_len, "CLIENT_RANDOM");
	f->text_len += sizeof("CLIENT_RANDOM");
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What elf_build.h lacks for code that hands strings over: strings, and instructions with addresses. */
#ifndef ELF_TEXT_H
#define ELF_TEXT_H

#include <assert.h>

#include "elf_flow.h"

#define CODE(f, bytes) elf_code(f, bytes, sizeof(bytes) - 1)

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9 };
enum { X86_CALL = 0xe8, X86_JMP = 0xe9 };

/* Puts a string where symbols have their names; returns its address. */
static inline uint64_t elf_string(struct elf_file *f, const char *text)
{
	size_t pos = f->strings_len;

	assert(pos + strlen(text) + 1 <= sizeof(f->strings));
	strcpy(f->strings + pos, text);
	f->strings_len += strlen(text) + 1;
	return ELF_BASE + offsetof(struct elf_file, strings) + pos;
}

/* lea vaddr(%rip),%reg */
static inline size_t elf_lea(struct elf_file *f, uint8_t reg, uint64_t vaddr)
{
	uint8_t code[7] = { (uint8_t)(reg < 8 ? 0x48 : 0x4c), 0x8d,
			    (uint8_t)(0x05 | (reg & 7) << 3) };
	int32_t distance = (int32_t)(vaddr - elf_vaddr(f->text_len + sizeof(code)));

	memcpy(code + 3, &distance, sizeof(distance));
	return elf_code(f, code, sizeof(code));
}

/* Bytes, and behind them the address. */
static inline size_t elf_constant(struct elf_file *f, const char *bytes, size_t len, uint64_t vaddr)
{
	uint32_t value = (uint32_t)vaddr;
	size_t pos = elf_code(f, bytes, len);

	elf_code(f, &value, sizeof(value));
	return pos;
}

static inline size_t elf_word(struct elf_file *f, uint32_t word)
{
	return elf_code(f, &word, sizeof(word));
}

/* adr xN, vaddr */
static inline size_t arm64_adr(struct elf_file *f, uint32_t reg, uint64_t vaddr)
{
	uint32_t distance = (uint32_t)(vaddr - elf_vaddr(f->text_len));

	return elf_word(f,
			0x10000000 | (distance & 3) << 29 | (distance >> 2 & 0x7ffff) << 5 | reg);
}

/* adrp xN, vaddr */
static inline size_t arm64_adrp(struct elf_file *f, uint32_t reg, uint64_t vaddr)
{
	uint32_t pages = (uint32_t)((vaddr >> 12) - (elf_vaddr(f->text_len) >> 12));

	return elf_word(f, 0x90000000 | (pages & 3) << 29 | (pages >> 2 & 0x7ffff) << 5 | reg);
}

/* add xN, xM, #constant */
static inline size_t arm64_add(struct elf_file *f, uint32_t reg, uint32_t src, uint32_t constant)
{
	return elf_word(f, 0x91000000 | constant << 10 | src << 5 | reg);
}

/* mov xN, xM */
static inline size_t arm64_mov(struct elf_file *f, uint32_t reg, uint32_t src)
{
	return elf_word(f, 0xaa0003e0 | src << 16 | reg);
}

/* mov xN, #constant */
static inline size_t arm64_const(struct elf_file *f, uint32_t reg, uint32_t constant)
{
	return elf_word(f, 0xd2800000 | constant << 5 | reg);
}

/* ldr xN, [xM, #off] */
static inline size_t arm64_ldr(struct elf_file *f, uint32_t reg, uint32_t base, uint32_t off)
{
	return elf_word(f, 0xf9400000 | off / 8 << 10 | base << 5 | reg);
}

#define ARM64_BL  0x94000000
#define ARM64_B	  0x14000000
#define ARM64_RET 0xd65f03c0

static inline size_t arm64_branch(struct elf_file *f, uint32_t opcode, size_t target)
{
	int32_t words = ((int32_t)target - (int32_t)f->text_len) / 4;

	return elf_word(f, opcode | ((uint32_t)words & 0x3ffffff));
}

#endif

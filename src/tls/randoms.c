/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/randoms.h"

#include <elf.h>
#include <stddef.h>
#include <string.h>

#include "elf/insn.h"
#include "elf/trace.h"

#define VECTORS 16
#define PIECE	16
#define PIECES	4 /* two randoms */
#define STACK	4 /* the stack pointer's number */
#define OFF_MAX 65536

/* 16 bytes of memory, off behind what a register points to. */
struct piece {
	bool known;
	uint8_t base;
	int32_t off;
};

struct scan {
	struct piece vector[VECTORS];		    /* where vector registers were loaded from */
	struct piece stored[INSN_REGS_MAX][PIECES]; /* and where that went, by base register */
	bool found;
	bool differs;
	int32_t off;
};

enum move { MOVE_NOT, MOVE_LOAD, MOVE_STORE, MOVE_UNKNOWN };

/*
 * Moves of 16 bytes between memory and a vector register; MOVE_UNKNOWN: may change any of these
 * registers. Intel SDM volume 2: MOVUPS, MOVUPD, MOVAPS, MOVAPD, MOVDQA, MOVDQU.
 */
static enum move vector_move(const uint8_t *p, const struct insn *insn, uint8_t *ret_vector)
{
	uint8_t prefix = 0, rex = 0, opcode;
	size_t i = 0;

	if (p[i] == 0x66 || p[i] == 0xf2 || p[i] == 0xf3)
		prefix = p[i++];
	if ((p[i] & 0xf0) == 0x40)
		rex = p[i++];
	if (p[i] == 0x62 || p[i] == 0xc4 || p[i] == 0xc5)
		return MOVE_UNKNOWN;
	if (p[i] != 0x0f || insn->kind == INSN_JCC || insn->kind == INSN_NOP || i + 2 >= insn->len)
		return MOVE_NOT;
	opcode = p[i + 1];
	*ret_vector = (uint8_t)((p[i + 2] >> 3 & 7) | (rex & 4) << 1);
	if (!insn->memory || insn->index != INSN_REG_NONE)
		return MOVE_UNKNOWN;
	if ((opcode == 0x10 || opcode == 0x28) && (!prefix || prefix == 0x66))
		return MOVE_LOAD;
	if ((opcode == 0x11 || opcode == 0x29) && (!prefix || prefix == 0x66))
		return MOVE_STORE;
	if (prefix == 0x66 || prefix == 0xf3) {
		if (opcode == 0x6f)
			return MOVE_LOAD;
		if (opcode == 0x7f)
			return MOVE_STORE;
	}
	return MOVE_UNKNOWN;
}

static void vectors_forget(struct scan *scan)
{
	memset(scan->vector, 0, sizeof(scan->vector));
}

/* A general register has a new value: what was known by it is something else. */
static void base_forget(struct scan *scan, uint8_t reg)
{
	size_t i, k;

	for (i = 0; i < VECTORS; i++) {
		if (scan->vector[i].base == reg)
			scan->vector[i].known = false;
	}
	memset(scan->stored[reg], 0, sizeof(scan->stored[reg]));
	for (i = 0; i < INSN_REGS_MAX; i++) {
		for (k = 0; k < PIECES; k++) {
			if (scan->stored[i][k].base == reg)
				scan->stored[i][k].known = false;
		}
	}
}

/* Are the four pieces of a buffer two randoms side by side? */
static void buffer_look(struct scan *scan, const struct piece *piece)
{
	int64_t between;
	size_t i;

	for (i = 0; i < PIECES; i++) {
		if (!piece[i].known || piece[i].base != piece[0].base)
			return;
	}
	between = (int64_t)piece[2].off - piece[0].off;
	if (piece[1].off != piece[0].off + PIECE || piece[3].off != piece[2].off + PIECE ||
	    (between != 2 * PIECE && between != -2 * PIECE))
		return;
	scan->differs |= scan->found && scan->off != piece[0].off;
	scan->found = true;
	scan->off = piece[0].off;
}

static void store(struct scan *scan, const struct insn *insn, const struct piece *vector)
{
	struct piece *buffer = scan->stored[insn->base];

	if (insn->disp < 0 || insn->disp >= PIECE * PIECES || insn->disp % PIECE)
		return;
	buffer[insn->disp / PIECE] = *vector;
	buffer_look(scan, buffer);
}

static void step(struct scan *scan, const uint8_t *p, const struct insn *insn)
{
	enum move move;
	uint8_t vector, reg;

	if (insn->kind == INSN_CALL || insn->kind == INSN_CALL_INDIRECT || insn->kind == INSN_JMP ||
	    insn->kind == INSN_JMP_INDIRECT || insn->kind == INSN_RET) {
		vectors_forget(scan);
		memset(scan->stored, 0, sizeof(scan->stored));
		return;
	}
	move = vector_move(p, insn, &vector);
	if (move == MOVE_UNKNOWN)
		vectors_forget(scan);
	if (move == MOVE_LOAD)
		scan->vector[vector] = (struct piece) {
			.known = insn->base < INSN_REGS_MAX && insn->base != STACK &&
				 insn->disp > 0 && insn->disp < OFF_MAX,
			.base = insn->base,
			.off = insn->disp,
		};
	if (move == MOVE_STORE && insn->base < INSN_REGS_MAX)
		store(scan, insn, &scan->vector[vector]);
	for (reg = 0; reg < INSN_REGS_MAX; reg++) {
		if (insn->writes & 1U << reg)
			base_forget(scan, reg);
	}
}

bool randoms_find(const struct image *image, const struct symbol *function, int32_t *ret_off)
{
	uint64_t low, high, pos = 0;
	struct scan scan = { 0 };
	const uint8_t *code;
	struct insn insn;
	size_t len;

	if (image_machine(image) != EM_X86_64)
		return false;
	trace_bounds(image, function->vaddr, &low, &high);
	code = image_code(image, function->vaddr, &len);
	if (!code)
		return false;
	if (len > high - function->vaddr)
		len = high - function->vaddr;
	while (pos < len && !insn_decode_x86(code + pos, len - pos, function->vaddr + pos, &insn)) {
		step(&scan, code + pos, &insn);
		pos += insn.len;
	}
	if (!scan.found || scan.differs)
		return false;
	*ret_off = scan.off;
	return true;
}

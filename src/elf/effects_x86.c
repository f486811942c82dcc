/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an x86-64 instruction does: its kind, where control goes, what is written. Intel SDM volume
 * 2, appendix A. Where only some registers of an operation are known, writes has more than enough of
 * them.
 */
#include <errno.h>

#include "elf/insn_x86.h"
#include "elf/opcodes_x86.h"

int x86_refine_group(struct decoder *d, struct insn *insn)
{
	uint8_t op = d->reg & 7;

	switch (d->opcode) {
	case 0x80:
	case 0x81:
	case 0x83:
		if (op != 7)
			return 0;
		d->attr &= ~W_RM;
		if (d->mod == 3 && d->opcode != 0x80) {
			insn->kind = INSN_COMPARE;
			insn->src = d->rm;
		}
		return 0;
	case 0xc6:
	case 0xc7:
		if (op == 7) /* xabort, xbegin */
			return d->mod == 3 && d->rm == 0 ? 0 : -EILSEQ;
		d->attr &= ~W_AX;
		return op == 0 ? 0 : -EILSEQ;
	case 0xf6:
	case 0xf7:
		if (op < 2) { /* test */
			d->attr &= ~(IMM_MASK | W_RM | W_AX | W_DX);
			d->attr |= d->opcode == 0xf6 ? IMM_8 : IMM_Z;
		} else if (op < 4) { /* not, neg */
			d->attr &= ~(W_AX | W_DX);
		}
		return 0;
	case 0xfe:
		return op < 2 ? 0 : -EILSEQ;
	case 0xff:
		if (op == 7)
			return -EILSEQ;
		if (op < 2 && d->mod == 3 && d->rex_w) { /* inc, dec */
			insn->kind = INSN_LEA;
			insn->src = insn->dst = d->rm;
			insn->disp = op ? -1 : 1;
		}
		if (op >= 2)
			d->attr &= ~W_RM;
		if (op == 2 || op == 3)
			insn->kind = INSN_CALL_INDIRECT;
		else if (op == 4 || op == 5)
			insn->kind = INSN_JMP_INDIRECT;
		else if (op == 6)
			insn->kind = INSN_PUSH;
		if (op >= 2 && op <= 5 && d->mod == 3)
			insn->src = d->rm;
		return 0;
	default:
		return 0;
	}
}

static uint32_t byte_register(const struct decoder *d, uint8_t reg)
{
	/* Without REX 4 to 7 are the second bytes of 0 to 3. */
	return 1U << (!d->rex && reg >= 4 && reg < 8 ? reg - 4 : reg);
}

static uint32_t writes(const struct decoder *d)
{
	uint32_t regs = 0;
	uint8_t low = (d->opcode & 7) | d->rex_b;

	if (d->attr & W_ALL)
		return ALL_REGS;
	if (d->attr & W_REG)
		regs |= d->attr & BYTE ? byte_register(d, d->reg) : 1U << d->reg;
	if ((d->attr & W_RM) && d->mod == 3)
		regs |= d->attr & BYTE ? byte_register(d, d->rm) : 1U << d->rm;
	if (d->attr & W_OP)
		regs |= d->attr & BYTE ? byte_register(d, low) : 1U << low;
	if (d->vector)
		regs |= 1U << d->vvvv;
	regs |= d->attr & W_AX ? 1U << AX : 0;
	regs |= d->attr & W_CX ? 1U << CX : 0;
	regs |= d->attr & W_DX ? 1U << DX : 0;
	regs |= d->attr & W_SI ? 1U << SI : 0;
	regs |= d->attr & W_DI ? 1U << DI : 0;
	regs |= d->attr & W_SP ? 1U << SP : 0;
	return regs;
}

static uint8_t stores_one_byte(const struct decoder *d)
{
	if (d->opcode >= 0xd8 && d->opcode <= 0xdf)
		return INSN_STORES_ANY;
	if (!(d->attr & W_RM))
		return 0;
	if (d->attr & BYTE)
		return 1;
	return d->rex_w || d->opcode == 0x8f ? 8 : 4;
}

/* Only what compilers emit a lot is told apart. */
static uint8_t stores_two_byte(const struct decoder *d)
{
	switch (d->opcode) {
	case 0x0d:
	case 0x10:
	case 0x18:
	case 0x28:
	case 0x2a:
	case 0x2c ... 0x2f:
	case 0x40 ... 0x4f:
	case 0x51 ... 0x6f:
	case 0x74 ... 0x76:
	case 0xaf:
	case 0xb6 ... 0xb8:
	case 0xbc ... 0xbf:
		return 0;
	case 0x90 ... 0x9f:
		return 1;
	case 0x11:
	case 0x13:
	case 0x17:
	case 0x29:
	case 0x2b:
	case 0x7e:
	case 0x7f:
	case 0xd6:
	case 0xe7:
		return 16;
	default:
		return INSN_STORES_ANY;
	}
}

static uint8_t stores(const struct decoder *d, const struct insn *insn)
{
	bool plain = !d->vector && d->map == MAP_ONE_BYTE;
	uint8_t size;

	if (!insn->memory) {
		/* String instructions, and those of SSE that have rdi for an operand. */
		if (plain && ((d->opcode & 0xfe) == 0xa4 || (d->opcode & 0xfe) == 0xaa))
			return INSN_STORES_ANY;
		return !plain && d->opcode == 0xf7 ? INSN_STORES_ANY : 0;
	}
	if (plain)
		return stores_one_byte(d);
	if (d->map != MAP_0F)
		return INSN_STORES_ANY;
	size = stores_two_byte(d);
	return d->vector && size == 16 ? d->vector_len : size;
}

/* dst = src between registers: 89, 8b, and what xor and sub of a register with itself give. */
static void classify_move(const struct decoder *d, struct insn *insn)
{
	bool to_rm = d->opcode == 0x89;

	/* 16-bit forms change a part of the register. */
	if (d->mod != 3 || (d->opsize && !d->rex_w))
		return;
	if (d->opcode == 0x89 || d->opcode == 0x8b) {
		insn->kind = INSN_MOV;
		insn->dst = to_rm ? d->rm : d->reg;
		insn->src = to_rm ? d->reg : d->rm;
		insn->width = d->rex_w ? 8 : 4;
	} else if (d->reg == d->rm) {
		insn->kind = INSN_ZERO;
		insn->dst = d->reg;
	}
}

/* 88, 89 and 8b with memory. Without REX byte registers 4 to 7 are parts of others. */
static void classify_access(const struct decoder *d, struct insn *insn)
{
	uint8_t width = d->rex_w ? 8 : d->opsize ? 2 : 4;

	if (d->mod == 3 || d->segment || d->addrsize)
		return;
	if (d->opcode == 0x8b && width >= 4) {
		insn->kind = INSN_LOAD;
		insn->dst = d->reg;
		insn->width = width;
	} else if (d->opcode == 0x89 || (d->opcode == 0x88 && (d->rex || d->reg < 4))) {
		insn->kind = INSN_STORE;
		insn->src = d->reg;
		insn->width = d->opcode == 0x88 ? 1 : width;
	}
}

/* 01, 03; and 81, 83 of a register, which is the same as lea. */
static void classify_add(const struct decoder *d, struct insn *insn)
{
	uint8_t op = d->reg & 7;
	bool constant = d->opcode >= 0x80;

	if (!d->rex_w || (d->mod != 3 && (d->opcode != 0x03 || d->segment || d->addrsize)))
		return;
	if (!constant) {
		insn->kind = INSN_ADD;
		insn->width = 8;
		insn->dst = d->opcode == 0x03 ? d->reg : d->rm;
		if (d->mod == 3)
			insn->src = d->opcode == 0x03 ? d->rm : d->reg;
	} else if ((op == 0 || op == 5) && d->imm > INT32_MIN) {
		insn->kind = INSN_LEA;
		insn->dst = insn->src = d->rm;
		insn->disp = (int32_t)(op == 5 ? -d->imm : d->imm);
	}
}

/* 05 and 2d: the short forms for rax. */
static void classify_add_ax(const struct decoder *d, struct insn *insn)
{
	if (!d->rex_w || d->imm <= INT32_MIN)
		return;
	insn->kind = INSN_LEA;
	insn->dst = insn->src = 0;
	insn->disp = (int32_t)(d->opcode == 0x2d ? -d->imm : d->imm);
}

static void classify_lea(const struct decoder *d, struct insn *insn)
{
	insn->memory = false;
	if (!d->rex_w || d->addrsize)
		return;
	insn->kind = INSN_LEA;
	insn->dst = d->reg;
	if (insn->index == INSN_REG_NONE && insn->base != INSN_REG_PC)
		insn->src = insn->base;
}

/* b8 to bf, and c7. 16-bit forms change a part of a register. */
static void classify_const(const struct decoder *d, struct insn *insn)
{
	bool mov = d->opcode == 0xc7;

	if ((mov && (d->reg & 7)) || (d->opsize && !d->rex_w))
		return;
	insn->kind = mov && d->mod != 3 ? INSN_STORE_CONST : INSN_CONST;
	if (insn->kind == INSN_CONST)
		insn->dst = mov ? d->rm : (d->opcode & 7) | d->rex_b;
	insn->width = d->rex_w ? 8 : 4;
	insn->value = d->rex_w ? (uint64_t)d->imm : (uint32_t)d->imm;
}

static void classify_one_byte(const struct decoder *d, struct insn *insn)
{
	switch (d->opcode) {
	case 0x05:
	case 0x2d:
		classify_add_ax(d, insn);
		break;
	case 0x01:
	case 0x03:
	case 0x81:
	case 0x83:
		insn->value = (uint64_t)d->imm;
		classify_add(d, insn);
		break;
	case 0x29:
	case 0x2b:
	case 0x31:
	case 0x33:
		classify_move(d, insn);
		break;
	case 0x88:
	case 0x89:
	case 0x8b:
		if (d->opcode != 0x88)
			classify_move(d, insn);
		classify_access(d, insn);
		break;
	case 0x50 ... 0x57:
		insn->kind = INSN_PUSH;
		insn->src = (d->opcode & 7) | d->rex_b;
		break;
	case 0x68:
	case 0x6a:
		insn->kind = INSN_PUSH;
		insn->value = (uint64_t)d->imm;
		break;
	case 0x58 ... 0x5f:
		insn->kind = INSN_POP;
		insn->dst = (d->opcode & 7) | d->rex_b;
		break;
	case 0x70 ... 0x7f:
	case 0xe0 ... 0xe3:
		insn->kind = INSN_JCC;
		break;
	case 0x8d:
		classify_lea(d, insn);
		break;
	case 0x90:
		if (!d->rex_b)
			insn->kind = INSN_NOP;
		break;
	case 0xb8 ... 0xbf:
	case 0xc7:
		classify_const(d, insn);
		break;
	case 0xc2 ... 0xc3:
	case 0xca ... 0xcb:
	case 0xcf:
		insn->kind = INSN_RET;
		break;
	case 0xcc:
	case 0xf1:
	case 0xf4:
		insn->kind = INSN_STOP;
		break;
	case 0xe8:
		insn->kind = INSN_CALL;
		break;
	case 0xe9:
	case 0xeb:
		insn->kind = INSN_JMP;
		break;
	default:
		break;
	}
}

static void classify_two_byte(const struct decoder *d, struct insn *insn)
{
	switch (d->opcode) {
	case 0x0b:
	case 0xb9:
	case 0xff:
		insn->kind = INSN_STOP; /* ud2, ud1, ud0 */
		break;
	case 0x1e:
		/* f3 0f 1e fa is endbr64; shadow stack instructions share the opcode. */
		if (d->mod == 3 && d->repeat && (d->reg & 7) == 1)
			break;
		insn->kind = INSN_NOP;
		break;
	case 0x1f:
		insn->kind = INSN_NOP;
		break;
	case 0x80 ... 0x8f:
		insn->kind = INSN_JCC;
		break;
	case 0xb6 ... 0xb7: /* movzx */
		if (d->mod == 3 || d->segment || d->addrsize || d->opsize)
			break;
		insn->kind = INSN_LOAD;
		insn->dst = d->reg;
		insn->width = d->opcode == 0xb6 ? 1 : 2;
		break;
	default:
		break;
	}
	if (insn->kind == INSN_NOP)
		insn->memory = false;
}

int x86_classify(const struct decoder *d, uint64_t vaddr, struct insn *insn)
{
	if (!d->vector && d->map == MAP_ONE_BYTE)
		classify_one_byte(d, insn);
	else if (!d->vector && d->map == MAP_0F)
		classify_two_byte(d, insn);
	insn->writes = insn->kind == INSN_NOP ? 0 : writes(d);
	insn->stores = stores(d, insn);
	/* Of 16 bits; compilers do not. */
	if ((insn->kind == INSN_PUSH || insn->kind == INSN_POP) && d->opsize && !d->rex_w)
		insn->writes |= 1U << SP;
	switch (insn->kind) {
	case INSN_CALL:
	case INSN_JMP:
	case INSN_JCC:
		/* AMD reads 16 bits of distance here, Intel 32; compilers avoid it. */
		if ((d->attr & IMM_MASK) == IMM_32 && d->opsize && !d->rex_w)
			return -EILSEQ;
		insn->target = vaddr + d->pos + (uint64_t)d->imm;
		break;
	default:
		if (insn->base == INSN_REG_PC)
			insn->target = vaddr + d->pos + (uint64_t)(int64_t)insn->disp;
		break;
	}
	return 0;
}

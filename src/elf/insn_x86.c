/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64, 64-bit mode: the fields of an instruction. Opcode maps: Intel SDM volume 2, appendix A;
 * EVEX: section 2.7; XOP: AMD64 manual volume 6.
 */
#include "elf/insn_x86.h"

#include <errno.h>

#include "elf/opcodes_x86.h"

/* Takes the next count bytes, little endian, sign extended. */
static int take(struct decoder *d, size_t count, int64_t *ret_value)
{
	uint64_t value = 0;
	size_t i;

	if (d->pos + count > INSN_LEN_MAX)
		return -EILSEQ;
	if (d->pos + count > d->len)
		return -ENODATA;
	for (i = 0; i < count; i++)
		value |= (uint64_t)d->code[d->pos + i] << (8 * i);
	d->pos += count;
	if (count && count < 8 && value >> (8 * count - 1))
		value |= UINT64_MAX << (8 * count);
	*ret_value = (int64_t)value;
	return 0;
}

static int take_byte(struct decoder *d, uint8_t *ret_byte)
{
	int64_t value;
	int err;

	err = take(d, 1, &value);
	if (!err)
		*ret_byte = (uint8_t)value;
	return err;
}

static int take_prefixes(struct decoder *d)
{
	int err;

	for (;;) {
		err = take_byte(d, &d->opcode);
		if (err)
			return err;
		switch (d->opcode) {
		case 0x66:
			d->opsize = true;
			continue;
		case 0x67:
			d->addrsize = true;
			continue;
		case 0xf3:
			d->repeat = true;
			continue;
		case 0x64:
		case 0x65:
			d->segment = true;
			continue;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0xf0:
		case 0xf2:
			continue;
		default:
			break;
		}
		break;
	}
	if ((d->opcode & 0xf0) != 0x40)
		return 0;
	d->rex = true;
	d->rex_w = d->opcode & 8;
	d->rex_r = d->opcode & 4 ? 8 : 0;
	d->rex_x = d->opcode & 2 ? 8 : 0;
	d->rex_b = d->opcode & 1 ? 8 : 0;
	return take_byte(d, &d->opcode);
}

/* The constant after a vector instruction of these maps; XOP's maps are 8 to 10. */
static uint16_t vector_imm(unsigned int map, uint8_t opcode)
{
	switch (map) {
	case MAP_0F:
		return (opcodes_x86_two_byte[opcode] & MODRM)
			       ? (opcodes_x86_two_byte[opcode] & IMM_MASK)
			       : IMM_NONE;
	case MAP_3A:
	case 8:
		return IMM_8;
	case 10:
		return IMM_32;
	default:
		return IMM_NONE;
	}
}

/* VEX (c4, c5), EVEX (62) and XOP (8f), whose bits are stored inverted. */
static int take_vector(struct decoder *d)
{
	uint8_t lead = d->opcode, p0 = 0, p1, p2;
	unsigned int map = MAP_0F;
	int err;

	d->vector = true;
	/* Invalid after these prefixes. */
	if (d->rex || d->opsize || d->repeat)
		return -EILSEQ;
	err = take_byte(d, &p1);
	if (err)
		return err;
	d->rex_r = p1 & 0x80 ? 0 : 8;
	if (lead != 0xc5) {
		p0 = p1;
		map = lead == 0x62 ? p0 & 0x0f : p0 & 0x1f;
		d->rex_x = p0 & 0x40 ? 0 : 8;
		d->rex_b = p0 & 0x20 ? 0 : 8;
		err = take_byte(d, &p1);
		if (err)
			return err;
		d->rex_w = p1 & 0x80;
	}
	d->vvvv = ~p1 >> 3 & 0x0f;
	d->vector_len = p1 & 4 ? 32 : 16;
	if (lead == 0x62) {
		d->vector_len = 64; /* or less */
		/* Half-precision arithmetic is in maps 5 and 6. */
		if (map < 1 || map == 4 || map > 6 || !(p1 & 4))
			return -EILSEQ;
		err = take_byte(d, &p2);
		if (err)
			return err;
	} else if (lead == 0x8f ? map > 10 : map < 1 || map > 3) {
		return -EILSEQ;
	}
	if (map <= MAP_3A)
		d->map = map;
	err = take_byte(d, &d->opcode);
	if (err)
		return err;
	d->attr = MODRM | W_REG | W_RM | vector_imm(map, d->opcode);
	if (map == MAP_0F && d->opcode == 0x77)
		d->attr = IMM_NONE; /* vzeroupper */
	else if (map == MAP_3A)
		d->attr |= W_CX;
	return 0;
}

static bool is_vector(const struct decoder *d)
{
	switch (d->opcode) {
	case 0x62:
	case 0xc4:
	case 0xc5:
		return true;
	case 0x8f:
		/* pop with a ModRM byte has less than 8 in these bits. */
		return d->pos < d->len && (d->code[d->pos] & 0x1f) >= 8;
	default:
		return false;
	}
}

static int take_opcode(struct decoder *d)
{
	int err;

	if (is_vector(d))
		return take_vector(d);
	if (d->opcode != 0x0f) {
		d->attr = opcodes_x86_one_byte[d->opcode];
		return 0;
	}
	d->map = MAP_0F;
	err = take_byte(d, &d->opcode);
	if (err)
		return err;
	switch (d->opcode) {
	case 0x38:
		d->map = MAP_38;
		d->attr = MAP_0F38;
		return take_byte(d, &d->opcode);
	case 0x3a:
		d->map = MAP_3A;
		d->attr = MAP_0F3A;
		return take_byte(d, &d->opcode);
	default:
		d->attr = opcodes_x86_two_byte[d->opcode];
		return 0;
	}
}

/* The ModRM byte, and with it SIB and displacement. SDM volume 2, tables 2-2 and 2-3. */
static int take_modrm(struct decoder *d, struct insn *insn)
{
	uint8_t modrm, sib, low;
	size_t disp_len;
	int64_t disp;
	int err;

	err = take_byte(d, &modrm);
	if (err)
		return err;
	d->mod = modrm >> 6;
	d->reg = (modrm >> 3 & 7) | d->rex_r;
	low = modrm & 7;
	d->rm = low | d->rex_b;
	/* The processor ignores mod in moves to and from control and debug registers. */
	if (!d->vector && d->map == MAP_0F && d->opcode >= 0x20 && d->opcode <= 0x23)
		d->mod = 3;
	if (d->mod == 3)
		return 0;
	insn->memory = true;
	insn->base = d->rm;
	if (low == SP) {
		err = take_byte(d, &sib);
		if (err)
			return err;
		low = sib & 7;
		insn->base = low | d->rex_b;
		insn->index = (sib >> 3 & 7) | d->rex_x;
		insn->scale = (uint8_t)(1 << (sib >> 6));
		if (insn->index == SP)
			insn->index = INSN_REG_NONE;
		if (low == BP && d->mod == 0)
			insn->base = INSN_REG_NONE;
	} else if (low == BP && d->mod == 0) {
		insn->base = INSN_REG_PC;
	}
	disp_len = d->mod == 1 ? 1 : d->mod == 2 || (low == BP && d->mod == 0) ? 4 : 0;
	err = take(d, disp_len, &disp);
	insn->disp = err ? 0 : (int32_t)disp;
	return err;
}

static int take_imm(struct decoder *d)
{
	size_t z = d->opsize && !d->rex_w ? 2 : 4;

	switch (d->attr & IMM_MASK) {
	case IMM_8:
		return take(d, 1, &d->imm);
	case IMM_16:
		return take(d, 2, &d->imm);
	case IMM_24:
		return take(d, 3, &d->imm);
	case IMM_Z:
		return take(d, z, &d->imm);
	case IMM_V:
		return take(d, d->rex_w ? 8 : z, &d->imm);
	case IMM_32:
		return take(d, 4, &d->imm);
	case IMM_MOFFS:
		return take(d, d->addrsize ? 4 : 8, &d->imm);
	default:
		return 0;
	}
}

int insn_decode_x86(const uint8_t *code, size_t len, uint64_t vaddr, struct insn *ret_insn)
{
	struct insn insn = {
		.dst = INSN_REG_NONE,
		.src = INSN_REG_NONE,
		.dst2 = INSN_REG_NONE,
		.src2 = INSN_REG_NONE,
		.base = INSN_REG_NONE,
		.index = INSN_REG_NONE,
	};
	struct decoder d = { .code = code, .len = len };
	int err;

	err = take_prefixes(&d);
	if (!err)
		err = take_opcode(&d);
	if (!err && (d.attr & BAD))
		err = -EILSEQ;
	if (!err && (d.attr & MODRM))
		err = take_modrm(&d, &insn);
	if (!err && !d.vector && d.map == MAP_ONE_BYTE && (d.attr & MODRM))
		err = x86_refine_group(&d, &insn);
	if (!err)
		err = take_imm(&d);
	if (!err)
		err = x86_classify(&d, vaddr, &insn);
	if (err)
		return err;
	insn.len = (uint8_t)d.pos;
	*ret_insn = insn;
	return 0;
}

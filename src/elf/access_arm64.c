/* SPDX-License-Identifier: Apache-2.0 */
/* AArch64 loads and stores: Arm ARM (DDI 0487), C4.1, "Loads and Stores". */
#include <errno.h>

#include "elf/insn_arm64.h"

enum mode { MODE_OFFSET, MODE_POST, MODE_PRE };

static void set_base(struct insn *insn, unsigned int base)
{
	insn->memory = true;
	insn->base = (uint8_t)base;
}

static void set_address(struct insn *insn, unsigned int base, int64_t disp, enum mode mode)
{
	set_base(insn, base);
	if (mode != MODE_POST)
		insn->disp = (int32_t)disp;
	if (mode == MODE_OFFSET)
		return;
	insn->step = (int32_t)disp;
	insn->writes |= 1U << base;
}

/* Below the address that base holds as well: as if a register were added, that says so. */
static void stores_around(struct insn *insn, unsigned int base)
{
	set_base(insn, base);
	insn->index = (uint8_t)base;
	insn->stores = INSN_STORES_ANY;
}

static void set_nop(struct insn *insn)
{
	insn->kind = INSN_NOP;
	insn->memory = false;
	insn->base = insn->index = INSN_REG_NONE;
	insn->disp = 0;
}

static void set_store(struct insn *insn, unsigned int rt, unsigned int width)
{
	insn->kind = INSN_STORE;
	insn->src = reg_or_none(rt);
	insn->width = insn->stores = (uint8_t)width;
}

/* Zero extended. */
static void set_load(struct insn *insn, unsigned int rt, unsigned int width)
{
	writes_reg(insn, rt);
	if (rt == ARM64_ZERO)
		return;
	insn->kind = INSN_LOAD;
	insn->dst = (uint8_t)rt;
	insn->width = (uint8_t)width;
}

/* One register, a general or a SIMD one; the address is set. */
static int one_register(uint32_t word, bool may_prefetch, struct insn *insn)
{
	unsigned int size = bits(word, 31, 30), opc = bits(word, 23, 22), rt = bits(word, 4, 0);

	if (bits(word, 26, 26)) {
		if (opc >= 2 && size)
			return -EILSEQ;
		if (!(opc & 1))
			insn->stores = opc ? 16 : 1U << size;
		return 0;
	}
	switch (opc) {
	case 0:
		set_store(insn, rt, 1U << size);
		return 0;
	case 1:
		set_load(insn, rt, 1U << size);
		return 0;
	default:
		if (size == 3 && opc == 2 && may_prefetch) {
			set_nop(insn);
			return 0;
		}
		if (size == 3 || (size == 2 && opc == 3))
			return -EILSEQ;
		writes_reg(insn, rt);
		return 0;
	}
}

/* Bits 11 and 10 tell four ways of using the 9 bits of distance apart. */
static int decode_unscaled(uint32_t word, struct insn *insn)
{
	static const enum mode modes[] = { MODE_OFFSET, MODE_POST, MODE_OFFSET, MODE_PRE };
	unsigned int way = bits(word, 11, 10), rn = bits(word, 9, 5);
	bool simd = bits(word, 26, 26);

	if (simd && way == 2) /* as an unprivileged process would do it */
		return -EILSEQ;
	/* What happens then depends on the processor. */
	if (!simd && (way & 1) && rn == bits(word, 4, 0) && rn != ARM64_SP)
		return -EILSEQ;
	set_address(insn, rn, signed_bits(word, 20, 12), modes[way]);
	return one_register(word, way == 0, insn);
}

static int decode_scaled(uint32_t word, struct insn *insn)
{
	unsigned int scale = bits(word, 31, 30);

	if (bits(word, 26, 26) && bits(word, 23, 23))
		scale = 4;
	set_address(insn, bits(word, 9, 5), bits(word, 21, 10) << scale, MODE_OFFSET);
	return one_register(word, true, insn);
}

static int decode_indexed(uint32_t word, struct insn *insn)
{
	if (!bits(word, 14, 14))
		return -EILSEQ;
	set_base(insn, bits(word, 9, 5));
	insn->index = reg_or_none(bits(word, 20, 16));
	if (bits(word, 15, 13) == 3) /* all of it, shifted by the width or not */
		insn->scale = bits(word, 12, 12) ? 1 << bits(word, 31, 30) : 1;
	return one_register(word, true, insn);
}

/* Read, change and write back at once. */
static int decode_atomic(uint32_t word, struct insn *insn)
{
	unsigned int size = bits(word, 31, 30), rs = bits(word, 20, 16), rt = bits(word, 4, 0);
	unsigned int order = bits(word, 23, 22), opc = bits(word, 14, 12), i;

	if (bits(word, 26, 26))
		return -EILSEQ;
	set_base(insn, bits(word, 9, 5));
	if (!bits(word, 15, 15) || opc == 0) {
		insn->stores = (uint8_t)(1U << size);
		writes_reg(insn, rt);
		return 0;
	}
	if (opc == 4 && order == 2 && rs == 31) { /* ldapr */
		writes_reg(insn, rt);
		return 0;
	}
	/* 64 bytes from or to eight registers. */
	if (size != 3 || order || (rt & 1) || rt > 22)
		return -EILSEQ;
	switch (opc) {
	case 2: /* st64bv0, st64bv */
	case 3:
		writes_reg(insn, rs);
		insn->stores = 64;
		return 0;
	case 1:
		insn->stores = 64;
		return rs == 31 ? 0 : -EILSEQ;
	case 5:
		for (i = 0; i < 8; i++)
			writes_reg(insn, rt + i);
		return rs == 31 ? 0 : -EILSEQ;
	default:
		return -EILSEQ;
	}
}

/* ldraa, ldrab: the base register is not yet the address. */
static int decode_authenticated(uint32_t word, struct insn *insn)
{
	unsigned int rt = bits(word, 4, 0), rn = bits(word, 9, 5);
	bool writeback = bits(word, 11, 11);

	if (bits(word, 31, 30) != 3 || bits(word, 26, 26) || (writeback && rt == rn && rn != 31))
		return -EILSEQ;
	set_base(insn, rn);
	writes_reg(insn, rt);
	if (writeback)
		insn->writes |= 1U << rn;
	return 0;
}

static int decode_one(uint32_t word, struct insn *insn)
{
	if (bits(word, 24, 24))
		return decode_scaled(word, insn);
	if (!bits(word, 21, 21))
		return decode_unscaled(word, insn);
	switch (bits(word, 11, 10)) {
	case 0:
		return decode_atomic(word, insn);
	case 2:
		return decode_indexed(word, insn);
	default:
		return decode_authenticated(word, insn);
	}
}

static void load_pair(uint32_t word, unsigned int width, struct insn *insn)
{
	unsigned int rt = bits(word, 4, 0), rt2 = bits(word, 14, 10);

	set_load(insn, rt, width);
	writes_reg(insn, rt2);
	if (insn->kind == INSN_LOAD)
		insn->dst2 = reg_or_none(rt2);
}

static void store_pair(uint32_t word, unsigned int width, struct insn *insn)
{
	set_store(insn, bits(word, 4, 0), width);
	insn->src2 = reg_or_none(bits(word, 14, 10));
	insn->stores = (uint8_t)(2 * width);
}

static int decode_pair(uint32_t word, struct insn *insn)
{
	static const enum mode modes[] = { MODE_OFFSET, MODE_POST, MODE_OFFSET, MODE_PRE };
	unsigned int opc = bits(word, 31, 30), way = bits(word, 24, 23);
	unsigned int rt = bits(word, 4, 0), rt2 = bits(word, 14, 10), rn = bits(word, 9, 5);
	bool simd = bits(word, 26, 26), load = bits(word, 22, 22), plain;
	unsigned int scale = simd ? 2 + opc : opc == 2 ? 3 : 2;

	/* ldpsw and stgp, which stores a tag as well */
	plain = simd || opc != 1;
	if (opc == 3 || (!plain && way == 0))
		return -EILSEQ;
	if (!plain && !load)
		scale = 4;
	else if (!simd &&
		 ((load && rt == rt2) || ((way & 1) && rn != ARM64_SP && (rn == rt || rn == rt2))))
		return -EILSEQ;
	set_address(insn, rn, signed_bits(word, 21, 15) * (1 << scale), modes[way]);
	if (!plain && load) {
		writes_reg(insn, rt);
		writes_reg(insn, rt2);
	} else if (!simd && plain) {
		(load ? load_pair : store_pair)(word, 1U << scale, insn);
	} else if (!load) {
		insn->stores = (uint8_t)(plain ? 2U << scale : 16);
	}
	return 0;
}

static int decode_literal(uint32_t word, uint64_t vaddr, struct insn *insn)
{
	unsigned int opc = bits(word, 31, 30), rt = bits(word, 4, 0);
	bool simd = bits(word, 26, 26);

	if (simd && opc == 3)
		return -EILSEQ;
	if (!simd && opc == 3) {
		set_nop(insn);
		return 0;
	}
	set_base(insn, INSN_REG_PC);
	insn->target = vaddr + (uint64_t)(signed_bits(word, 23, 5) * 4);
	if (simd)
		return 0;
	if (opc == 2)
		writes_reg(insn, rt);
	else
		set_load(insn, rt, 4U << opc);
	return 0;
}

/* casp: pairs of registers that begin with an even one. */
static int decode_compare_pair(uint32_t word, struct insn *insn)
{
	unsigned int rs = bits(word, 20, 16);

	if (bits(word, 14, 10) != 31 || (rs & 1) || (word & 1))
		return -EILSEQ;
	insn->writes |= 1U << rs;
	writes_reg(insn, rs + 1);
	insn->stores = bits(word, 30, 30) ? 16 : 8;
	return 0;
}

/* Exclusive, with acquire or release, compare and swap. */
static int decode_ordered(uint32_t word, struct insn *insn)
{
	unsigned int size = bits(word, 31, 30), rs = bits(word, 20, 16), rt = bits(word, 4, 0);
	bool exclusive = !bits(word, 23, 23), load = bits(word, 22, 22), two = bits(word, 21, 21);

	set_base(insn, bits(word, 9, 5));
	if (exclusive && two && size < 2)
		return decode_compare_pair(word, insn);
	/* Registers that are not there must be 31. */
	if ((bits(word, 14, 10) != 31 && !(exclusive && two)) ||
	    (rs != 31 && (exclusive ? load : !two)))
		return -EILSEQ;
	if (!exclusive && two) { /* cas */
		writes_reg(insn, rs);
		insn->stores = (uint8_t)(1U << size);
		return 0;
	}
	if (load) {
		writes_reg(insn, rt);
		if (two)
			writes_reg(insn, bits(word, 14, 10));
		return 0;
	}
	if (exclusive)
		writes_reg(insn, rs);
	insn->stores = (uint8_t)((two ? 2U : 1U) << size);
	return 0;
}

/* ldapur, stlur */
static int decode_ordered_unscaled(uint32_t word, struct insn *insn)
{
	set_address(insn, bits(word, 9, 5), signed_bits(word, 20, 12), MODE_OFFSET);
	return bits(word, 26, 26) ? -EILSEQ : one_register(word, false, insn);
}

/* cpy and set: bytes by the thousand, upwards or downwards. */
static int decode_copy(uint32_t word, struct insn *insn)
{
	unsigned int rd = bits(word, 4, 0), rn = bits(word, 9, 5), rs = bits(word, 20, 16);
	bool set = bits(word, 23, 22) == 3;

	if (bits(word, 31, 30) || rd == 31 || rn == 31 || (rs == 31 && !set) || rd == rn ||
	    rd == rs || rn == rs || (set && bits(word, 15, 14) == 3))
		return -EILSEQ;
	stores_around(insn, rd);
	insn->writes = 1U << rd | 1U << rn;
	if (!set)
		writes_reg(insn, rs);
	return 0;
}

/* Memory tags; some of the instructions set memory to zero as well. */
static int decode_tags(uint32_t word, struct insn *insn)
{
	static const enum mode modes[] = { MODE_OFFSET, MODE_POST, MODE_OFFSET, MODE_PRE };
	unsigned int opc = bits(word, 23, 22), way = bits(word, 11, 10);

	/* Whole blocks of tags are for kernels. */
	if (bits(word, 31, 30) != 3 || bits(word, 26, 26) || (way == 0 && opc != 1))
		return -EILSEQ;
	set_address(insn, bits(word, 9, 5), signed_bits(word, 20, 12) * 16, modes[way]);
	if (way == 0)
		writes_reg(insn, bits(word, 4, 0)); /* ldg */
	else
		insn->stores = 32;
	return 0;
}

/* Registers of ld1 to ld4 and st1 to st4 with whole registers; 0: unallocated. */
static unsigned int structure_regs(unsigned int opcode)
{
	static const uint8_t regs[16] = {
		[0] = 4, [2] = 4, [4] = 3, [6] = 3, [7] = 1, [8] = 2, [10] = 2
	};

	return regs[opcode];
}

/* Bytes of those with one element of each register; 0: unallocated. */
static unsigned int element_bytes(uint32_t word)
{
	unsigned int opcode = bits(word, 15, 13), size = bits(word, 11, 10);
	unsigned int regs = ((opcode & 1) << 1 | bits(word, 21, 21)) + 1;
	bool s = bits(word, 12, 12);

	switch (opcode >> 1) {
	case 0:
		return regs;
	case 1:
		return size & 1 ? 0 : 2 * regs;
	case 2:
		return size == 0 ? 4 * regs : size == 1 && !s ? 8 * regs : 0;
	default:
		return bits(word, 22, 22) && !s ? regs << size : 0;
	}
}

static int decode_structures(uint32_t word, struct insn *insn)
{
	unsigned int rn = bits(word, 9, 5), rm = bits(word, 20, 16), opcode = bits(word, 15, 12);
	bool single = bits(word, 24, 24), post = bits(word, 23, 23), q = bits(word, 30, 30);
	unsigned int bytes;

	if (bits(word, 31, 31) || (!post && rm) || (!single && bits(word, 21, 21)))
		return -EILSEQ;
	bytes = single ? element_bytes(word) : structure_regs(opcode) * (q ? 16 : 8);
	/* Elements of which a register has only one are of no use to ld2 to ld4. */
	if (!bytes || (!single && !(opcode & 2) && !q && bits(word, 11, 10) == 3))
		return -EILSEQ;
	set_address(insn, rn, bytes, post ? MODE_POST : MODE_OFFSET);
	insn->disp = 0;
	if (post && rm != 31)
		insn->step = 0;
	if (!bits(word, 22, 22))
		insn->stores = (uint8_t)bytes;
	return 0;
}

/* Bits 29 and 28 are 01, bit 24 is 1. */
static int decode_newer(uint32_t word, struct insn *insn)
{
	if (bits(word, 21, 21))
		return decode_tags(word, insn);
	switch (bits(word, 11, 10)) {
	case 0:
		return decode_ordered_unscaled(word, insn);
	case 1:
		return decode_copy(word, insn);
	default:
		return -EILSEQ;
	}
}

int arm64_decode_access(uint32_t word, uint64_t vaddr, struct insn *insn)
{
	switch (bits(word, 29, 28)) {
	case 0:
		if (bits(word, 26, 26))
			return decode_structures(word, insn);
		return bits(word, 24, 24) ? -EILSEQ : decode_ordered(word, insn);
	case 1:
		if (bits(word, 24, 24))
			return decode_newer(word, insn);
		return decode_literal(word, vaddr, insn);
	case 2:
		return decode_pair(word, insn);
	default:
		return decode_one(word, insn);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AArch64. Encodings: Arm ARM (DDI 0487), C4.1. Everything that names general registers is decoded
 * and refused when it is not allocated; of SIMD, floating point, SVE and SME only the effect on
 * general registers and memory is found.
 */
#include "elf/insn_arm64.h"

#include <errno.h>

#define ALL_BUT_SP 0x7fffffffU
#define LINK	   30
#define INSN_LEN   4
#define LOW(size)  ((size) >= 64 ? UINT64_MAX : (UINT64_C(1) << (size)) - 1)

/* Arm ARM, DecodeBitMasks: a run of ones, rotated, in equal elements. False: no such constant. */
static bool bitmask(uint32_t word, uint64_t *ret_value)
{
	unsigned int imms = bits(word, 15, 10), immr = bits(word, 21, 16);
	unsigned int shape = bits(word, 22, 22) << 6 | (~imms & 0x3f);
	unsigned int size, ones, rotate;
	uint64_t value;

	if (shape < 2)
		return false;
	size = 1U << (31 - __builtin_clz(shape));
	ones = (imms & (size - 1)) + 1;
	rotate = immr & (size - 1);
	if (ones == size)
		return false;
	value = LOW(ones);
	if (rotate)
		value = (value >> rotate | value << (size - rotate)) & LOW(size);
	for (; size < 64; size *= 2)
		value |= value << size;
	*ret_value = value;
	return true;
}

static void set_const(struct insn *insn, unsigned int rd, uint64_t value, bool wide)
{
	insn->kind = INSN_CONST;
	insn->dst = (uint8_t)rd;
	insn->value = wide ? value : (uint32_t)value;
}

static void set_mov(struct insn *insn, unsigned int rd, unsigned int rs, bool wide)
{
	insn->kind = INSN_MOV;
	insn->dst = (uint8_t)rd;
	insn->src = (uint8_t)rs;
	insn->width = wide ? 8 : 4;
}

/* adr, adrp */
static int decode_address(uint32_t word, uint64_t vaddr, struct insn *insn)
{
	unsigned int rd = bits(word, 4, 0);
	int64_t distance = signed_bits(word, 23, 5) * 4 + bits(word, 30, 29);

	writes_reg(insn, rd);
	if (rd == ARM64_ZERO)
		return 0;
	insn->kind = INSN_LEA;
	insn->dst = (uint8_t)rd;
	insn->base = INSN_REG_PC;
	if (bits(word, 31, 31))
		insn->target = (vaddr & ~UINT64_C(0xfff)) + (uint64_t)(distance * 4096);
	else
		insn->target = vaddr + (uint64_t)distance;
	return 0;
}

static int decode_add_constant(uint32_t word, struct insn *insn)
{
	unsigned int rd = bits(word, 4, 0), rn = bits(word, 9, 5);
	bool wide = bits(word, 31, 31), flags = bits(word, 29, 29);
	int32_t value = (int32_t)(bits(word, 21, 10) << (bits(word, 22, 22) ? 12 : 0));

	/* Of those that set flags 31 is the zero register. */
	if (flags && rd == ARM64_ZERO) {
		if (bits(word, 30, 30) && rn != ARM64_SP) { /* cmp */
			insn->kind = INSN_COMPARE;
			insn->src = (uint8_t)rn;
			insn->value = (uint32_t)value;
		}
		return 0;
	}
	insn->writes |= 1U << rd;
	if (!value) {
		set_mov(insn, rd, rn, wide);
	} else if (wide) {
		insn->kind = INSN_LEA;
		insn->dst = (uint8_t)rd;
		insn->base = insn->src = (uint8_t)rn;
		insn->disp = bits(word, 30, 30) ? -value : value;
	}
	return 0;
}

/* addg and subg; smax, umax, smin and umin with a constant */
static int decode_tag_or_limit(uint32_t word, struct insn *insn)
{
	unsigned int rd = bits(word, 4, 0);

	if (bits(word, 22, 22)) {
		writes_reg(insn, rd);
		return bits(word, 30, 29) || bits(word, 21, 20) ? -EILSEQ : 0;
	}
	insn->writes |= 1U << rd;
	return !bits(word, 31, 31) || bits(word, 29, 29) || bits(word, 15, 14) ? -EILSEQ : 0;
}

static int decode_logical_constant(uint32_t word, struct insn *insn)
{
	unsigned int opc = bits(word, 30, 29), rd = bits(word, 4, 0);
	bool wide = bits(word, 31, 31);
	uint64_t value;

	if ((!wide && bits(word, 22, 22)) || !bitmask(word, &value))
		return -EILSEQ;
	if (opc == 3) { /* ands */
		writes_reg(insn, rd);
		return 0;
	}
	insn->writes |= 1U << rd;
	if (opc == 1 && bits(word, 9, 5) == ARM64_ZERO)
		set_const(insn, rd, value, wide);
	return 0;
}

static int decode_move_wide(uint32_t word, struct insn *insn)
{
	unsigned int opc = bits(word, 30, 29), shift = 16 * bits(word, 22, 21);
	unsigned int rd = bits(word, 4, 0);
	bool wide = bits(word, 31, 31);
	uint64_t value = (uint64_t)bits(word, 20, 5) << shift;

	if (opc == 1 || (!wide && shift >= 32))
		return -EILSEQ;
	writes_reg(insn, rd);
	if (opc == 3 || rd == ARM64_ZERO) /* movk changes a part */
		return 0;
	set_const(insn, rd, opc == 0 ? ~value : value, wide);
	if (!insn->value)
		insn->kind = INSN_ZERO;
	return 0;
}

static int decode_bitfield(uint32_t word, struct insn *insn)
{
	bool wide = bits(word, 31, 31);

	if (bits(word, 30, 29) == 3 || bits(word, 22, 22) != wide ||
	    (!wide && (bits(word, 21, 21) || bits(word, 15, 15))))
		return -EILSEQ;
	writes_reg(insn, bits(word, 4, 0));
	return 0;
}

static int decode_extract(uint32_t word, struct insn *insn)
{
	bool wide = bits(word, 31, 31);

	if (bits(word, 30, 29) || bits(word, 22, 22) != wide || bits(word, 21, 21) ||
	    (!wide && bits(word, 15, 15)))
		return -EILSEQ;
	writes_reg(insn, bits(word, 4, 0));
	return 0;
}

static int decode_constant(uint32_t word, uint64_t vaddr, struct insn *insn)
{
	switch (bits(word, 25, 23)) {
	case 0 ... 1:
		return decode_address(word, vaddr, insn);
	case 2:
		return decode_add_constant(word, insn);
	case 3:
		return decode_tag_or_limit(word, insn);
	case 4:
		return decode_logical_constant(word, insn);
	case 5:
		return decode_move_wide(word, insn);
	case 6:
		return decode_bitfield(word, insn);
	default:
		return decode_extract(word, insn);
	}
}

static int set_branch(struct insn *insn, enum insn_kind kind, uint64_t vaddr, int64_t words)
{
	insn->kind = kind;
	insn->target = vaddr + (uint64_t)(words * 4);
	return 0;
}

static int decode_exception(uint32_t word, struct insn *insn)
{
	unsigned int opc = bits(word, 23, 21), level = bits(word, 1, 0);

	if (bits(word, 4, 2))
		return -EILSEQ;
	if (opc == 0 && level) { /* svc and its kin */
		insn->writes = ALL_BUT_SP;
		return 0;
	}
	/* brk, hlt, dcps1 to dcps3 */
	if (((opc == 1 || opc == 2) && !level) || (opc == 5 && level)) {
		insn->kind = INSN_STOP;
		return 0;
	}
	return opc == 3 && !level ? 0 : -EILSEQ; /* tcancel */
}

/* Those that no processor knows are no-operations. */
static int decode_hint(uint32_t word, struct insn *insn)
{
	switch (bits(word, 11, 5)) {
	case 7:		/* xpaclri */
	case 24 ... 31: /* paciaz to autibsp */
		insn->writes = 1U << LINK;
		break;
	case 8: /* pacia1716, pacib1716, autia1716, autib1716 */
	case 10:
	case 12:
	case 14:
		insn->writes = 1U << 17;
		return 0;
	case 40: /* chkfeat */
		insn->writes = 1U << 16;
		return 0;
	default:
		break;
	}
	insn->kind = INSN_NOP;
	return 0;
}

static int decode_barrier(uint32_t word)
{
	unsigned int crm = bits(word, 11, 8);

	if (bits(word, 4, 0) != 31)
		return -EILSEQ;
	switch (bits(word, 7, 5)) {
	case 1: /* dsb without waiting for other accesses */
		return (crm & 3) == 2 ? 0 : -EILSEQ;
	case 2:
	case 4:
	case 5:
	case 6:
		return 0;
	case 3: /* tcommit */
	case 7: /* sb */
		return crm ? -EILSEQ : 0;
	default:
		return -EILSEQ;
	}
}

/* sys and sysl: dc zva and those like it set a whole block of memory. */
static void decode_sys(uint32_t word, struct insn *insn)
{
	unsigned int rt = bits(word, 4, 0), op2 = bits(word, 7, 5);

	if (bits(word, 21, 21)) {
		writes_reg(insn, rt);
	} else if (bits(word, 18, 8) == 0x374 && (op2 == 1 || op2 == 3 || op2 == 4)) {
		insn->memory = true;
		/* It begins below the address: as if a register were added, that says so. */
		insn->base = insn->index = reg_or_none(rt);
		insn->stores = INSN_STORES_ANY;
	}
}

static int decode_system(uint32_t word, struct insn *insn)
{
	unsigned int rt = bits(word, 4, 0), crm = bits(word, 11, 8), op2 = bits(word, 7, 5);

	switch (bits(word, 23, 12)) {
	case 0x031: /* wfet, wfit */
		return crm || op2 > 1 ? -EILSEQ : 0;
	case 0x032:
		return rt == 31 ? decode_hint(word, insn) : -EILSEQ;
	case 0x033:
		return decode_barrier(word);
	case 0x233: /* tstart, ttest */
		writes_reg(insn, rt);
		return crm > 1 || op2 != 3 ? -EILSEQ : 0;
	default:
		break;
	}
	if (bits(word, 23, 22))
		return -EILSEQ;
	switch (bits(word, 21, 19)) {
	case 0: /* flags and the like: msr with a constant */
		return bits(word, 15, 12) == 4 && rt == 31 ? 0 : -EILSEQ;
	case 1:
	case 5:
		decode_sys(word, insn);
		return 0;
	case 2:
	case 3: /* msr */
		return 0;
	case 6:
	case 7: /* mrs */
		writes_reg(insn, rt);
		return 0;
	default:
		return -EILSEQ;
	}
}

/* br, blr and ret, with authentication of the address or without. */
static int decode_branch_register(uint32_t word, struct insn *insn)
{
	static const enum insn_kind kinds[] = { INSN_JMP_INDIRECT, INSN_CALL_INDIRECT, INSN_RET };
	unsigned int opc = bits(word, 24, 21), op3 = bits(word, 15, 10), op4 = bits(word, 4, 0);
	unsigned int rn = bits(word, 9, 5), kind = opc & 7;
	bool modified = opc & 8, plain = op3 == 0 && op4 == 0 && !modified;

	if (bits(word, 20, 16) != 31 || (op3 != 0 && op3 != 2 && op3 != 3))
		return -EILSEQ;
	/* eret, eretaa, eretab, drps */
	if ((opc == 4 && rn == 31 && (plain || (op3 && op4 == 31))) ||
	    (opc == 5 && rn == 31 && plain)) {
		insn->kind = INSN_RET;
		return 0;
	}
	if (kind > 2 || (!plain && !op3) || (op3 && !modified && op4 != 31) ||
	    (kind == 2 && (modified || (op3 && rn != 31))))
		return -EILSEQ;
	insn->kind = kinds[kind];
	if (kind < 2)
		insn->src = reg_or_none(rn);
	if (kind == 1)
		insn->writes = 1U << LINK;
	return 0;
}

static int decode_branch(uint32_t word, uint64_t vaddr, struct insn *insn)
{
	switch (bits(word, 31, 29)) {
	case 0:
		return set_branch(insn, INSN_JMP, vaddr, signed_bits(word, 25, 0));
	case 4:
		insn->writes = 1U << LINK;
		return set_branch(insn, INSN_CALL, vaddr, signed_bits(word, 25, 0));
	case 1:
	case 5:
		if (bits(word, 25, 25)) /* tbz, tbnz */
			return set_branch(insn, INSN_JCC, vaddr, signed_bits(word, 18, 5));
		return set_branch(insn, INSN_JCC, vaddr, signed_bits(word, 23, 5));
	case 2:
		if (bits(word, 25, 24))
			return -EILSEQ;
		return set_branch(insn, INSN_JCC, vaddr, signed_bits(word, 23, 5));
	case 6:
		if (bits(word, 25, 25))
			return decode_branch_register(word, insn);
		return bits(word, 24, 24) ? decode_system(word, insn)
					  : decode_exception(word, insn);
	default:
		return -EILSEQ;
	}
}

static int decode_logical(uint32_t word, struct insn *insn)
{
	unsigned int rd = bits(word, 4, 0), rm = bits(word, 20, 16);
	bool wide = bits(word, 31, 31), plain = !bits(word, 23, 21) && !bits(word, 15, 10);

	if (!wide && bits(word, 15, 15))
		return -EILSEQ;
	writes_reg(insn, rd);
	if (rd == ARM64_ZERO || bits(word, 30, 29) != 1 || !plain || bits(word, 9, 5) != ARM64_ZERO)
		return 0;
	if (rm != ARM64_ZERO) {
		set_mov(insn, rd, rm, wide);
	} else {
		insn->kind = INSN_ZERO;
		insn->dst = (uint8_t)rd;
	}
	return 0;
}

/* dst = rn + rm, 64 bit wide, rm shifted to the left perhaps; neither is the zero register. */
static void set_sum(struct insn *insn, unsigned int rd, unsigned int rn, unsigned int rm,
		    bool shifted)
{
	insn->dst = (uint8_t)rd;
	if (!shifted && (rd == rn || rd == rm)) {
		insn->kind = INSN_ADD;
		insn->width = 8;
		insn->src = (uint8_t)(rd == rn ? rm : rn);
	} else {
		insn->kind = INSN_LEA;
		insn->base = (uint8_t)rn;
		insn->index = (uint8_t)rm;
	}
}

static int decode_add_shifted(uint32_t word, struct insn *insn)
{
	unsigned int rd = bits(word, 4, 0), rn = bits(word, 9, 5), rm = bits(word, 20, 16);
	unsigned int shift = bits(word, 23, 22), amount = bits(word, 15, 10);
	bool wide = bits(word, 31, 31);

	if (shift == 3 || (!wide && amount >= 32))
		return -EILSEQ;
	writes_reg(insn, rd);
	if (wide && !bits(word, 30, 30) && shift == 0 && rd != 31 && rn != 31 && rm != 31)
		set_sum(insn, rd, rn, rm, amount);
	return 0;
}

static int decode_add_extended(uint32_t word, struct insn *insn)
{
	unsigned int rd = bits(word, 4, 0), rn = bits(word, 9, 5), rm = bits(word, 20, 16);
	unsigned int option = bits(word, 15, 13), amount = bits(word, 12, 10);
	bool wide = bits(word, 31, 31), flags = bits(word, 29, 29);

	if (bits(word, 23, 22) || amount > 4)
		return -EILSEQ;
	if (flags)
		writes_reg(insn, rd);
	else
		insn->writes |= 1U << rd;
	/* Other options take a part of rm. */
	if (insn->writes && wide && !bits(word, 30, 30) && (option & 3) == 3 && rm != ARM64_ZERO)
		set_sum(insn, rd, rn, rm, amount);
	return 0;
}

/* adc and sbc; rmif, setf8 and setf16, which write flags only */
static int decode_with_carry(uint32_t word, struct insn *insn)
{
	bool wide = bits(word, 31, 31), to_flags = bits(word, 30, 29) == 1;

	if (!bits(word, 15, 10)) {
		writes_reg(insn, bits(word, 4, 0));
		return 0;
	}
	if (to_flags && wide && bits(word, 14, 10) == 1 && !bits(word, 4, 4))
		return 0;
	if (to_flags && !wide && !bits(word, 20, 15) && bits(word, 13, 10) == 2 &&
	    bits(word, 4, 0) == 13)
		return 0;
	return -EILSEQ;
}

static int decode_two_sources(uint32_t word, struct insn *insn)
{
	unsigned int opcode = bits(word, 15, 10), rd = bits(word, 4, 0);
	bool wide = bits(word, 31, 31);

	writes_reg(insn, rd);
	if (bits(word, 29, 29))
		return opcode || !wide ? -EILSEQ : 0; /* subps */
	switch (opcode) {
	case 2 ... 3:	/* udiv, sdiv */
	case 8 ... 11:	/* shifts */
	case 24 ... 27: /* smax and its kin */
		return 0;
	case 4: /* irg */
		insn->writes |= 1U << rd;
		return wide ? 0 : -EILSEQ;
	case 0:	 /* subp */
	case 5:	 /* gmi */
	case 12: /* pacga */
		return wide ? 0 : -EILSEQ;
	case 16 ... 23: /* crc32 */
		return wide == ((opcode & 3) == 3) ? 0 : -EILSEQ;
	default:
		return -EILSEQ;
	}
}

static int decode_one_source(uint32_t word, struct insn *insn)
{
	unsigned int opcode = bits(word, 15, 10);
	bool wide = bits(word, 31, 31);

	writes_reg(insn, bits(word, 4, 0));
	if (bits(word, 29, 29))
		return -EILSEQ;
	switch (bits(word, 20, 16)) {
	case 0:
		return opcode <= 8 && (wide || opcode != 3) ? 0 : -EILSEQ;
	case 1: /* signing and authentication; from 8 on without a second operand */
		if (!wide || opcode > 17 || (opcode >= 8 && bits(word, 9, 5) != 31))
			return -EILSEQ;
		return 0;
	default:
		return -EILSEQ;
	}
}

static int decode_three_sources(uint32_t word, struct insn *insn)
{
	unsigned int op = bits(word, 23, 21);
	bool high = op == 2 || op == 6;

	if (bits(word, 30, 29) || op == 3 || op == 4 || op == 7 || (op && !bits(word, 31, 31)) ||
	    (high && bits(word, 15, 15)))
		return -EILSEQ;
	writes_reg(insn, bits(word, 4, 0));
	return 0;
}

static int decode_registers(uint32_t word, struct insn *insn)
{
	if (!bits(word, 28, 28)) {
		if (!bits(word, 24, 24))
			return decode_logical(word, insn);
		return bits(word, 21, 21) ? decode_add_extended(word, insn)
					  : decode_add_shifted(word, insn);
	}
	switch (bits(word, 24, 21)) {
	case 0:
		return decode_with_carry(word, insn);
	case 2: /* ccmp, ccmn */
		return !bits(word, 29, 29) || bits(word, 10, 10) || bits(word, 4, 4) ? -EILSEQ : 0;
	case 4: /* csel and its kin */
		writes_reg(insn, bits(word, 4, 0));
		return bits(word, 29, 29) || bits(word, 11, 11) ? -EILSEQ : 0;
	case 6:
		return bits(word, 30, 30) ? decode_one_source(word, insn)
					  : decode_two_sources(word, insn);
	case 8 ... 15:
		return decode_three_sources(word, insn);
	default:
		return -EILSEQ;
	}
}

/* Floating point and SIMD: only few have a general register for their result. */
static void decode_simd(uint32_t word, struct insn *insn)
{
	unsigned int opcode = bits(word, 18, 16);
	bool scalar = !bits(word, 30, 30) && bits(word, 28, 24) == 0x1e;
	bool to_general = false;

	if (scalar && bits(word, 21, 21) && !bits(word, 15, 10)) /* fcvt..., fmov */
		to_general = opcode != 2 && opcode != 3 && opcode != 7;
	else if (scalar && !bits(word, 21, 21)) /* to fixed point */
		to_general = opcode != 2 && opcode != 3;
	else if (bits(word, 31, 31) == 0 && bits(word, 29, 21) == 0x070) /* smov, umov */
		to_general = bits(word, 15, 10) == 0x0b || bits(word, 15, 10) == 0x0f;
	if (to_general)
		writes_reg(insn, bits(word, 4, 0));
}

/*
 * SVE and SME: whatever has a general register for its result has it in these bits. Distances may
 * be in multiples of a length that only the processor knows, and negative.
 */
static void decode_scalable(uint32_t word, bool memory, bool store, struct insn *insn)
{
	unsigned int rd = bits(word, 4, 0);

	if (memory) {
		insn->memory = true;
		insn->base = insn->index = (uint8_t)bits(word, 9, 5);
		insn->stores = store ? INSN_STORES_ANY : 0;
		return;
	}
	writes_reg(insn, rd);
	if ((word & 0xffa0f000) == 0x04205000) /* addvl and its kin: to the stack pointer, too */
		insn->writes |= 1U << rd;
}

static int decode_word(uint32_t word, uint64_t vaddr, struct insn *insn)
{
	switch (bits(word, 28, 25)) {
	case 0:
		if (!bits(word, 31, 31)) {
			insn->kind = INSN_STOP; /* udf */
			return bits(word, 31, 16) ? -EILSEQ : 0;
		}
		decode_scalable(word, bits(word, 29, 29), true, insn);
		return 0;
	case 2:
		decode_scalable(word, bits(word, 31, 31), bits(word, 31, 29) == 7, insn);
		return 0;
	case 8 ... 9:
		return decode_constant(word, vaddr, insn);
	case 10 ... 11:
		return decode_branch(word, vaddr, insn);
	case 4:
	case 6:
	case 12:
	case 14:
		return arm64_decode_access(word, vaddr, insn);
	case 5:
	case 13:
		return decode_registers(word, insn);
	case 7:
	case 15:
		decode_simd(word, insn);
		return 0;
	default:
		return -EILSEQ;
	}
}

int insn_decode_arm64(const uint8_t *code, size_t len, uint64_t vaddr, struct insn *ret_insn)
{
	struct insn insn = {
		.len = INSN_LEN,
		.dst = INSN_REG_NONE,
		.src = INSN_REG_NONE,
		.dst2 = INSN_REG_NONE,
		.src2 = INSN_REG_NONE,
		.base = INSN_REG_NONE,
		.index = INSN_REG_NONE,
	};
	uint32_t word;
	int err;

	if (vaddr % INSN_LEN)
		return -EILSEQ;
	if (len < INSN_LEN)
		return -ENODATA;
	word = (uint32_t)code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 |
	       (uint32_t)code[3] << 24;
	err = decode_word(word, vaddr, &insn);
	if (!err)
		*ret_insn = insn;
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/insn.h"

#define VADDR  UINT64_C(0x401ff8)
#define BIT(n) (1U << (n))
#define SP     31
#define LINK   BIT(30)
#define R(n)   ((n) + 1)
#define PC     R(INSN_REG_PC)
#define ANY    INSN_STORES_ANY
#define ALL    0x7fffffff

/* Registers are their number and 1, see R(): 0 is none. All that is not named must be 0. */
struct sample {
	uint32_t word;
	enum insn_kind kind;
	unsigned int dst, src, dst2, src2, base, index, width, stores;
	bool memory;
	int32_t disp, step;
	uint64_t target, value;
	uint32_t writes;
};

static const struct sample branches[] = {
	{ 0x97ffffff, INSN_CALL, .target = VADDR - 4, .writes = LINK },	 /* bl .-4 */
	{ 0x14000040, INSN_JMP, .target = VADDR + 0x100 },		 /* b .+0x100 */
	{ 0x54ffffc1, INSN_JCC, .target = VADDR - 8 },			 /* b.ne .-8 */
	{ 0x54ffffd1, INSN_JCC, .target = VADDR - 8 },			 /* bc.ne .-8 */
	{ 0x34000080, INSN_JCC, .target = VADDR + 16 },			 /* cbz w0, .+16 */
	{ 0xb747ff03, INSN_JCC, .target = VADDR - 32 },			 /* tbnz x3, #40 */
	{ 0xd61f0220, INSN_JMP_INDIRECT, .src = R(17) },		 /* br x17 */
	{ 0xd71f0822, INSN_JMP_INDIRECT, .src = R(1) },			 /* braa x1, x2 */
	{ 0xd63f0100, INSN_CALL_INDIRECT, .src = R(8), .writes = LINK }, /* blr x8 */
	{ 0xd63f093f, INSN_CALL_INDIRECT, .src = R(9), .writes = LINK }, /* blraaz x9 */
	{ 0xd65f03c0, INSN_RET },					 /* ret */
	{ 0xd65f0bff, INSN_RET },					 /* retaa */
	{ 0xd65f0fff, INSN_RET },					 /* retab */
	{ 0x00000000, INSN_STOP },					 /* udf #0 */
	{ 0xd4200020, INSN_STOP },					 /* brk #1 */
	{ 0xd4400000, INSN_STOP },					 /* hlt #0 */
	{ 0xd4000001, INSN_OTHER, .writes = ALL },			 /* svc #0 */
	{ 0xd503201f, INSN_NOP },					 /* nop */
	{ 0xd503245f, INSN_NOP },					 /* bti c */
	{ 0xd503233f, INSN_NOP, .writes = LINK },			 /* paciasp */
	{ 0xd50323bf, INSN_NOP, .writes = LINK },			 /* autiasp */
	{ 0xd503211f, INSN_OTHER, .writes = BIT(17) },			 /* pacia1716 */
	{ 0xf9800000, INSN_NOP },					 /* prfm [x0] */
};

static const struct sample values[] = {
	{ 0xaa0103e0, INSN_MOV, R(0), R(1), .width = 8, .writes = BIT(0) },    /* mov x0, x1 */
	{ 0x2a0303e2, INSN_MOV, R(2), R(3), .width = 4, .writes = BIT(2) },    /* mov w2, w3 */
	{ 0x910003fd, INSN_MOV, R(29), R(SP), .width = 8, .writes = BIT(29) }, /* mov x29, sp */
	{ 0x910003bf, INSN_MOV, R(SP), R(29), .width = 8, .writes = BIT(SP) }, /* mov sp, x29 */
	{ 0xaa1f03e4, INSN_ZERO, R(4), .writes = BIT(4) },		       /* mov x4, xzr */
	{ 0x52800005, INSN_ZERO, R(5), .writes = BIT(5) },		       /* mov w5, #0 */
	/* mov x0, #0x12340000 */
	{ 0xd2a24680, INSN_CONST, R(0), .value = 0x12340000, .writes = BIT(0) },
	/* mov w1, #-1; mov x1, #-2 */
	{ 0x12800001, INSN_CONST, R(1), .value = UINT32_MAX, .writes = BIT(1) },
	{ 0x92800021, INSN_CONST, R(1), .value = UINT64_MAX - 1, .writes = BIT(1) },
	/* mov x2, #0xff00ff00ff00ff00; mov w2 has the lower half */
	{ 0xb2089fe2, INSN_CONST, R(2), .value = 0xff00ff00ff00ff00, .writes = BIT(2) },
	{ 0x32089fe2, INSN_CONST, R(2), .value = 0xff00ff00, .writes = BIT(2) },
	{ 0xf2800022, INSN_OTHER, .writes = BIT(2) }, /* movk x2, #1 */
	{ 0x9a820020, INSN_OTHER, .writes = BIT(0) }, /* csel x0, x1, x2, eq */
	/* add x0, x1, #16; sub sp, sp, #0x1000 */
	{ 0x91004020, INSN_LEA, R(0), R(1), .base = R(1), .disp = 16, .writes = BIT(0) },
	{ 0xd14007ff, INSN_LEA, R(SP), R(SP), .base = R(SP), .disp = -4096, .writes = BIT(SP) },
	{ 0x31000420, INSN_OTHER, .writes = BIT(0) },	   /* adds w0, w1, #1 */
	{ 0xf100041f, INSN_COMPARE, 0, R(0), .value = 1 }, /* cmp x0, #1 */
	/* adr x0, .+12; adrp x0 of the page before */
	{ 0x10000060, INSN_LEA, R(0), .base = PC, .target = VADDR + 12, .writes = BIT(0) },
	{ 0xf0ffffe0, INSN_LEA, R(0), .base = PC, .target = 0x400000, .writes = BIT(0) },
	{ 0x8b010000, INSN_ADD, R(0), R(1), .width = 8, .writes = BIT(0) }, /* add x0, x0, x1 */
	/* add x0, x1, x2, lsl #3; add x0, sp, x2; add x0, x1, w2, uxtw */
	{ 0x8b020c20, INSN_LEA, R(0), .base = R(1), .index = R(2), .writes = BIT(0) },
	{ 0x8b2263e0, INSN_LEA, R(0), .base = R(SP), .index = R(2), .writes = BIT(0) },
	{ 0x8b224020, INSN_OTHER, .writes = BIT(0) },
	{ 0x9b057c83, INSN_OTHER, .writes = BIT(3) },  /* mul x3, x4, x5 */
	{ 0xd53bd054, INSN_OTHER, .writes = BIT(20) }, /* mrs x20, tpidr_el0 */
	{ 0x9e660000, INSN_OTHER, .writes = BIT(0) },  /* fmov x0, d0 */
	{ 0x9e670000, INSN_OTHER },		       /* fmov d0, x0 */
	{ 0x0e013c20, INSN_OTHER, .writes = BIT(0) },  /* umov w0, v1.b[0] */
	{ 0x043f57ff, INSN_OTHER, .writes = BIT(SP) }, /* addvl sp, sp, #-1 */
	{ 0x04e0e3e0, INSN_OTHER, .writes = BIT(0) },  /* cntd x0 */
};

#define MEMORY(reg) .memory = true, .base = (reg)

static const struct sample accesses[] = {
	/* ldr x0, [x1, #8]; ldur w0, [x1, #-4]; ldr x0, [x1, x2, lsl #3] */
	{ 0xf9400420, INSN_LOAD, R(0), MEMORY(R(1)), .width = 8, .disp = 8, .writes = BIT(0) },
	{ 0xb85fc020, INSN_LOAD, R(0), MEMORY(R(1)), .width = 4, .disp = -4, .writes = BIT(0) },
	{ 0xf8627820, INSN_LOAD, R(0), MEMORY(R(1)), .index = R(2), .width = 8, .writes = BIT(0) },
	/* ldr x30, [sp], #16; ldr x0, .+64 */
	{ 0xf84107fe, INSN_LOAD, R(30), MEMORY(R(SP)), .width = 8, .step = 16,
	  .writes = LINK | BIT(SP) },
	{ 0x58000200, INSN_LOAD, R(0), MEMORY(PC), .width = 8, .target = VADDR + 64,
	  .writes = BIT(0) },
	{ 0xb9800020, INSN_OTHER, MEMORY(R(1)), .writes = BIT(0) }, /* ldrsw x0, [x1] */
	{ 0x39400020, INSN_LOAD, R(0), MEMORY(R(1)), .width = 1,
	  .writes = BIT(0) },				      /* ldrb w0, [x1] */
	{ 0xf940003f, INSN_OTHER, MEMORY(R(1)) },	      /* ldr xzr, [x1] */
	{ 0x3dc00820, INSN_OTHER, MEMORY(R(1)), .disp = 32 }, /* ldr q0, [x1, #32] */
	/* str x0, [sp, #24]; strh w3, [x4]; str wzr, [x0]; str q0, [x0], #16 */
	{ 0xf9000fe0, INSN_STORE, 0, R(0), MEMORY(R(SP)), .width = 8, .stores = 8, .disp = 24 },
	{ 0x79000083, INSN_STORE, 0, R(3), MEMORY(R(4)), .width = 2, .stores = 2 },
	{ 0xb900001f, INSN_STORE, MEMORY(R(0)), .width = 4, .stores = 4 },
	{ 0x3c810400, INSN_OTHER, MEMORY(R(0)), .stores = 16, .step = 16, .writes = BIT(0) },
	/* stp x29, x30, [sp, #-64]!; stp xzr, x1, [x0] */
	{ 0xa9bc7bfd, INSN_STORE, 0, R(29), 0, R(30), MEMORY(R(SP)), .width = 8, .stores = 16,
	  .disp = -64, .step = -64, .writes = BIT(SP) },
	{ 0xa900041f, INSN_STORE, .src2 = R(1), MEMORY(R(0)), .width = 8, .stores = 16 },
	/* ldp x29, x30, [sp], #64; ldp w0, w1, [x2, #-8]; ldpsw x0, x1, [x2] */
	{ 0xa8c47bfd, INSN_LOAD, R(29), 0, R(30), MEMORY(R(SP)), .width = 8, .step = 64,
	  .writes = BIT(29) | LINK | BIT(SP) },
	{ 0x297f0440, INSN_LOAD, R(0), 0, R(1), MEMORY(R(2)), .width = 4, .disp = -8,
	  .writes = BIT(0) | BIT(1) },
	{ 0x69400440, INSN_OTHER, MEMORY(R(2)), .writes = BIT(0) | BIT(1) },
	/* stxr w3, x0, [x1]; ldaxr x0, [x1]; cas x0, x1, [x2]; caspal x2, x3, x4, x5, [x6] */
	{ 0xc8037c20, INSN_OTHER, MEMORY(R(1)), .stores = 8, .writes = BIT(3) },
	{ 0xc85ffc20, INSN_OTHER, MEMORY(R(1)), .writes = BIT(0) },
	{ 0xc8a07c41, INSN_OTHER, MEMORY(R(2)), .stores = 8, .writes = BIT(0) },
	{ 0x4862fcc4, INSN_OTHER, MEMORY(R(6)), .stores = 16, .writes = BIT(2) | BIT(3) },
	/* ldadd x1, x2, [x3]; ldraa x0, [x1, #8]! */
	{ 0xf8210062, INSN_OTHER, MEMORY(R(3)), .stores = 8, .writes = BIT(2) },
	{ 0xf8201c20, INSN_OTHER, MEMORY(R(1)), .writes = BIT(0) | BIT(1) },
	/* st2g x0, [x1], #16; dc zva, x0; ldr z0, [x0] */
	{ 0xd9a01420, INSN_OTHER, MEMORY(R(1)), .stores = 32, .step = 16, .writes = BIT(1) },
	{ 0xd50b7420, INSN_OTHER, MEMORY(R(0)), .index = R(0), .stores = ANY },
	{ 0x85804000, INSN_OTHER, MEMORY(R(0)), .index = R(0) },
	/* st1 {v0.16b, v1.16b}, [x2], x3: what is added is not known */
	{ 0x4c83a040, INSN_OTHER, MEMORY(R(2)), .stores = 32, .writes = BIT(2) },
};

static int decode(uint32_t word, uint64_t vaddr, struct insn *ret_insn)
{
	uint8_t code[4] = { (uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16),
			    (uint8_t)(word >> 24) };

	return insn_decode(EM_AARCH64, code, sizeof(code), vaddr, ret_insn);
}

static void check_register(uint8_t reg, unsigned int expected)
{
	assert_int_equal(reg, expected ? expected - 1 : INSN_REG_NONE);
}

static void check(const struct sample *sample)
{
	struct insn insn;

	assert_int_equal(decode(sample->word, VADDR, &insn), 0);
	assert_int_equal(insn.kind, sample->kind);
	assert_int_equal(insn.len, 4);
	check_register(insn.dst, sample->dst);
	check_register(insn.src, sample->src);
	check_register(insn.dst2, sample->dst2);
	check_register(insn.src2, sample->src2);
	check_register(insn.base, sample->base);
	check_register(insn.index, sample->index);
	assert_int_equal(insn.width, sample->width);
	assert_int_equal(insn.memory, sample->memory);
	assert_int_equal(insn.stores, sample->stores);
	assert_int_equal(insn.disp, sample->disp);
	assert_int_equal(insn.step, sample->step);
	assert_int_equal(insn.target, sample->target);
	assert_int_equal(insn.value, sample->value);
	assert_int_equal(insn.writes, sample->writes);
}

#define CHECK_ALL(samples)                                                   \
	do {                                                                 \
		size_t i;                                                    \
		for (i = 0; i < sizeof(samples) / sizeof((samples)[0]); i++) \
			check(&(samples)[i]);                                \
	} while (0)

static void test_branches(void **state)
{
	(void)state;
	CHECK_ALL(branches);
}

static void test_values(void **state)
{
	(void)state;
	CHECK_ALL(values);
}

static void test_accesses(void **state)
{
	(void)state;
	CHECK_ALL(accesses);
}

static void test_invalid(void **state)
{
	static const uint32_t words[] = {
		0x00010000,	       /* behind udf */
		0x12400000,	       /* and w0, w0 with a 64-bit constant */
		0x9240fc00,	       /* a constant of ones only */
		0x52c00000,	       /* movz w0 with a shift of 32 */
		0x32800000,	       /* move wide has no operation 1 */
		0x8bc00000,	       /* add with the fourth kind of shift */
		0x0b208000 | 5 << 10,  /* extended and shifted by 5 */
		0xd61f0001,	       /* br with something behind */
		0xf8408400,	       /* ldr x0, [x0], #8 */
		0xa9400000,	       /* ldp x0, x0, [x0] */
		0xa9c10400 | 1 << 5,   /* ldp x0, x1, [x1, #16]! */
		0xf8a02800,	       /* with an index of 16 bits */
		0x6d000000 | 3U << 30, /* pairs have no size 3 */
		0xd4200001,	       /* brk of another level */
	};
	struct insn insn = { .len = 42 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_int_equal(decode(words[i], VADDR, &insn), -EILSEQ);
	assert_int_equal(decode(0xd503201f, VADDR + 2, &insn), -EILSEQ);
	assert_int_equal(insn_decode(EM_AARCH64, (const uint8_t *)"\x1f\x20\x03", 3, VADDR, &insn),
			 -ENODATA);
	assert_int_equal(insn.len, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_branches),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_accesses),
		cmocka_unit_test(test_invalid),
	};

	return cmocka_run_group_tests_name("insn_arm64", tests, NULL, NULL);
}

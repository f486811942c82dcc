/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/state.h"

#define SP 31
#define FP 29

static void begin(struct state *state)
{
	uint8_t i;

	*state = (struct state) { 0 };
	state->reg[SP].kind = KIND_STACK;
	for (i = 0; i < CALLEE_ARGS_MAX; i++)
		state->reg[i] = (struct val) { .kind = KIND_ARG, .arg = i, .width = 8 };
}

/* One AArch64 instruction. */
static void apply(struct state *state, uint32_t word)
{
	const struct abi *abi = abi_find(EM_AARCH64);
	uint8_t code[4] = { (uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16),
			    (uint8_t)(word >> 24) };
	struct insn insn;

	assert_non_null(abi);
	assert_int_equal(insn_decode(EM_AARCH64, code, sizeof(code), 0, &insn), 0);
	state_apply(abi, 0, state, &insn);
	if (insn.kind == INSN_CALL)
		state_call(abi, state, false);
}

static void assert_stack(const struct state *state, uint8_t reg, int32_t off)
{
	assert_int_equal(state->reg[reg].kind, KIND_STACK);
	assert_int_equal(state->reg[reg].off, off);
}

static void assert_arg(const struct state *state, uint8_t reg, uint8_t arg, uint8_t width)
{
	assert_int_equal(state->reg[reg].kind, KIND_ARG);
	assert_int_equal(state->reg[reg].arg, arg);
	assert_int_equal(state->reg[reg].width, width);
}

static void test_frame(void **unused)
{
	struct state state;

	(void)unused;
	begin(&state);
	apply(&state, 0xa9bd7bfd); /* stp x29, x30, [sp, #-48]! */
	assert_stack(&state, SP, -48);
	apply(&state, 0x910003fd); /* mov x29, sp */
	assert_stack(&state, FP, -48);
	apply(&state, 0xa90207e0); /* stp x0, x1, [sp, #32] */
	assert_int_equal(state.slot_count, 2);
	apply(&state, 0x94000000); /* bl */
	assert_int_equal(state.reg[0].kind, KIND_UNKNOWN);
	apply(&state, 0xa94253f3); /* ldp x19, x20, [sp, #32] */
	assert_arg(&state, 19, 0, 8);
	assert_arg(&state, 20, 1, 8);
	apply(&state, 0xb9402be2); /* ldr w2, [sp, #40] */
	assert_arg(&state, 2, 1, 4);
	apply(&state, 0xf90013bf); /* str xzr, [x29, #32] */
	apply(&state, 0xa94213e3); /* ldp x3, x4, [sp, #32] */
	assert_int_equal(state.reg[3].kind, KIND_UNKNOWN);
	assert_arg(&state, 4, 1, 8);
	apply(&state, 0xf8408665); /* ldr x5, [x19], #8 */
	assert_int_equal(state.reg[19].kind, KIND_DERIVED);
	apply(&state, 0xa8c37bfd); /* ldp x29, x30, [sp], #48 */
	assert_stack(&state, SP, 0);
	assert_int_equal(state.reg[FP].kind, KIND_UNKNOWN);
	assert_false(state.leaked);
}

/* The second register of a pair gets out as the first one does. */
static void test_leak(void **unused)
{
	struct state state;

	(void)unused;
	begin(&state);
	apply(&state, 0x910003fd); /* mov x29, sp */
	assert_false(state.leaked);
	apply(&state, 0xa9007661); /* stp x1, x29, [x19] */
	assert_true(state.leaked);
	begin(&state);
	apply(&state, 0x4c9fa3e0); /* st1 {v0.16b, v1.16b}, [sp], #32 */
	assert_stack(&state, SP, 32);
	apply(&state, 0x4c83a3e0); /* st1 {v0.16b, v1.16b}, [sp], x3 */
	assert_int_equal(state.reg[SP].kind, KIND_UNKNOWN);
	assert_true(state.leaked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame),
		cmocka_unit_test(test_leak),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/callee.h"
#include "elf_build.h"

#define CODE(f, bytes) elf_code(f, bytes, sizeof(bytes) - 1)
#define CALL	       0xe8
#define JMP	       0xe9
/* Where the called functions are; the walked one begins at 0. */
#define CALLEE 512
#define OTHER  640

/* Walks the code built so far, as a function of known size or not. */
static int list(const struct elf_file *f, bool size_known, struct callees *ret_callees)
{
	struct symbol function = {
		.vaddr = elf_vaddr(0),
		.size = size_known ? f->text_len : 0,
		.rung = RUNG_DYNSYM,
	};
	struct image *image;
	int err;

	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	err = callees_list(image, &function, ret_callees);
	image_free(image);
	return err;
}

static void assert_args(const struct call *call, size_t target, uint8_t a0, uint8_t a1, uint8_t a2,
			uint8_t a3)
{
	assert_int_equal(call->target, elf_vaddr(target));
	assert_int_equal(call->arg[0], a0);
	assert_int_equal(call->arg[1], a1);
	assert_int_equal(call->arg[2], a2);
	assert_int_equal(call->arg[3], a3);
}

static void test_passes_arguments(void **state)
{
	struct callees callees;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\xf3\x0f\x1e\xfa");	  /* endbr64 */
	CODE(&f, "\x48\x83\xec\x18");	  /* sub $0x18,%rsp */
	CODE(&f, "\x48\x8d\x4c\x24\x08"); /* lea 8(%rsp),%rcx */
	CODE(&f, "\x48\x63\xd2");	  /* movslq %edx,%rdx */
	elf_branch(&f, CALL, CALLEE);
	CODE(&f, "\x48\x83\xc4\x18\xc3"); /* add $0x18,%rsp; ret */
	assert_int_equal(list(&f, true, &callees), 0);
	assert_int_equal(callees.count, 1);
	assert_args(&callees.call[0], CALLEE, 0, 1, VALUE_OTHER, VALUE_STACK);
	assert_int_equal(callees.call[0].arg[4], 4);
	assert_false(callees.call[0].tail);
	assert_false(callees.indirect);
	assert_false(callees.derefs_arg0);
	assert_int_equal(list(&f, false, &callees), 0);
	assert_int_equal(callees.count, 1);
}

/* Arguments survive a call in the registers that it preserves, and in no others. */
static void test_calls_clobber(void **state)
{
	struct callees callees;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x55\x48\x89\xe5\x53"); /* push %rbp; mov %rsp,%rbp; push %rbx */
	CODE(&f, "\x48\x89\xfb");	  /* mov %rdi,%rbx */
	elf_branch(&f, CALL, OTHER);
	CODE(&f, "\x48\x89\xdf");     /* mov %rbx,%rdi */
	CODE(&f, "\x48\x8d\x4d\xf0"); /* lea -0x10(%rbp),%rcx */
	elf_branch(&f, CALL, CALLEE);
	CODE(&f, "\x5b\x5d\xc3"); /* pop %rbx; pop %rbp; ret */
	assert_int_equal(list(&f, true, &callees), 0);
	assert_int_equal(callees.count, 2);
	assert_args(&callees.call[0], OTHER, 0, 1, 2, 3);
	assert_args(&callees.call[1], CALLEE, 0, VALUE_OTHER, VALUE_OTHER, VALUE_STACK);
}

/* The upper half of a pointer is lost on the way. */
static void test_narrow_move(void **state)
{
	struct callees callees;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x89\xff"); /* mov %edi,%edi */
	elf_branch(&f, CALL, CALLEE);
	CODE(&f, "\xc3");
	assert_int_equal(list(&f, true, &callees), 0);
	assert_args(&callees.call[0], CALLEE, VALUE_OTHER, 1, 2, 3);
}

/* What only one of two ways does is not known where they meet. */
static void test_paths_meet(void **state)
{
	struct callees callees;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x85\xd2");	  /* test %edx,%edx */
	CODE(&f, "\x78\x03");	  /* js over the next */
	CODE(&f, "\x48\x89\xf7"); /* mov %rsi,%rdi */
	elf_branch(&f, CALL, CALLEE);
	CODE(&f, "\xc3");
	assert_int_equal(list(&f, true, &callees), 0);
	assert_int_equal(callees.count, 1);
	assert_args(&callees.call[0], CALLEE, VALUE_OTHER, 1, 2, 3);
}

static void test_loop(void **state)
{
	struct callees callees;
	struct elf_file f;
	size_t top;

	(void)state;
	elf_init(&f, EM_X86_64);
	top = elf_branch(&f, CALL, CALLEE);
	CODE(&f, "\x85\xc0"); /* test %eax,%eax */
	CODE(&f, "\x75\xf7"); /* jne to the call: rdi is lost there */
	CODE(&f, "\xc3");
	assert_int_equal(top, 0);
	assert_int_equal(list(&f, true, &callees), 0);
	assert_int_equal(callees.count, 1);
	assert_args(&callees.call[0], CALLEE, VALUE_OTHER, VALUE_OTHER, VALUE_OTHER, VALUE_OTHER);
}

/* Code behind a jump keeps what the jump that leads there had, across padding. */
static void test_behind_return(void **state)
{
	struct callees callees;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x85\xd2");		  /* test %edx,%edx */
	CODE(&f, "\x79\x08");		  /* jns over ret and padding */
	CODE(&f, "\x31\xff\xc3");	  /* xor %edi,%edi; ret */
	CODE(&f, "\x0f\x1f\x44\x00\x00"); /* nop */
	elf_branch(&f, CALL, CALLEE);
	CODE(&f, "\xc3");
	elf_branch(&f, CALL, OTHER); /* from a jump table at best */
	CODE(&f, "\xc3");
	assert_int_equal(list(&f, true, &callees), 0);
	assert_int_equal(callees.count, 2);
	assert_args(&callees.call[0], CALLEE, 0, 1, 2, 3);
	assert_args(&callees.call[1], OTHER, VALUE_OTHER, VALUE_OTHER, VALUE_OTHER, VALUE_OTHER);
	/* Of unknown size the function ends where no jump leads further. */
	assert_int_equal(list(&f, false, &callees), 0);
	assert_int_equal(callees.count, 1);
}

static void test_tail_jump(void **state)
{
	struct callees callees;
	struct elf_file f;
	size_t len;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x49\x89\xc8"); /* mov %rcx,%r8 */
	CODE(&f, "\x31\xc9");	  /* xor %ecx,%ecx */
	elf_branch(&f, JMP, OTHER);
	len = f.text_len;
	f.text_len = OTHER;
	CODE(&f, "\x48\x83\xec\x08"); /* sub $8,%rsp */
	elf_branch(&f, CALL, CALLEE);
	CODE(&f, "\x48\x83\xc4\x08\xc3"); /* add $8,%rsp; ret */
	f.text_len = len;
	assert_int_equal(list(&f, true, &callees), 0);
	assert_int_equal(callees.count, 2);
	assert_true(callees.call[0].tail);
	assert_int_equal(callees.call[0].target, elf_vaddr(OTHER));
	assert_args(&callees.call[1], CALLEE, 0, 1, 2, VALUE_OTHER);
	assert_int_equal(callees.call[1].arg[4], 3);
	/* A target that is no code leaves the jump itself in the list. */
	memset(f.text + OTHER, 0x06, 16);
	assert_int_equal(list(&f, true, &callees), 0);
	assert_int_equal(callees.count, 1);
}

static void test_flags(void **state)
{
	struct callees callees;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\xff\x15\x00\x01\x00\x00\xc3"); /* call *0x100(%rip), through the GOT; ret */
	assert_int_equal(list(&f, true, &callees), 0);
	assert_false(callees.indirect);
	elf_init(&f, EM_X86_64);
	CODE(&f, "\xff\x50\x38\xc3"); /* call *0x38(%rax); ret */
	assert_int_equal(list(&f, true, &callees), 0);
	assert_true(callees.indirect);
	assert_false(callees.derefs_arg0);
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x48\x89\xfb");	      /* mov %rdi,%rbx */
	CODE(&f, "\x48\x83\x7b\x30\x00\xc3"); /* cmpq $0,0x30(%rbx); ret */
	assert_int_equal(list(&f, true, &callees), 0);
	assert_true(callees.derefs_arg0);
	assert_false(callees.indirect);
}

static void test_refuses(void **state)
{
	struct callees callees = { .count = 42 };
	struct elf_file f;
	size_t i;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x06\xc3"); /* no instruction */
	assert_int_equal(list(&f, true, &callees), -EILSEQ);
	elf_init(&f, EM_X86_64);
	CODE(&f, "\xe8\x00\x00"); /* the symbol ends inside of one */
	assert_int_equal(list(&f, true, &callees), -EILSEQ);
	elf_init(&f, EM_X86_64);
	for (i = 0; i <= CALLEE_CALLS_MAX; i++)
		elf_branch(&f, CALL, CALLEE);
	CODE(&f, "\xc3");
	assert_int_equal(list(&f, true, &callees), -E2BIG);
	elf_init(&f, EM_X86_64);
	memset(f.text, 0x90, sizeof(f.text)); /* never returns */
	memset(f.strings, 0x90, sizeof(f.strings));
	assert_int_equal(list(&f, false, &callees), -E2BIG);
	assert_int_equal(callees.count, 42);
}

static void test_arm64(void **state)
{
	struct callees callees;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_AARCH64);
	CODE(&f, "\xfd\x7b\xbe\xa9"); /* stp x29, x30, [sp, #-32]! */
	CODE(&f, "\xfd\x03\x00\x91"); /* mov x29, sp */
	CODE(&f, "\xe3\x63\x00\x91"); /* add x3, sp, #24 */
	CODE(&f, "\xe2\x03\x02\x2a"); /* mov w2, w2 */
	CODE(&f, "\x3c\x00\x00\x94"); /* bl .+240 */
	CODE(&f, "\xfd\x7b\xc2\xa8"); /* ldp x29, x30, [sp], #32 */
	CODE(&f, "\xc0\x03\x5f\xd6"); /* ret */
	assert_int_equal(list(&f, true, &callees), 0);
	assert_int_equal(callees.count, 1);
	assert_args(&callees.call[0], 256, VALUE_ARG0, VALUE_ARG0 + 1, VALUE_OTHER, VALUE_STACK);
	assert_false(callees.indirect);
	assert_false(callees.derefs_arg0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passes_arguments),
		cmocka_unit_test(test_calls_clobber),
		cmocka_unit_test(test_narrow_move),
		cmocka_unit_test(test_paths_meet),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_behind_return),
		cmocka_unit_test(test_tail_jump),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_arm64),
	};

	return cmocka_run_group_tests_name("callee", tests, NULL, NULL);
}

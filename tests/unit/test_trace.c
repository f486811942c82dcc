/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/trace.h"
#include "elf_big.h"
#include "elf_text.h"

#define CALLEE	       1024
#define OTHER_FUNCTION 1100
#define SEEN_MAX       16
#define ARGS	       10
#define STOPPED	       77

/* What calls and jumps out of the function had for arguments. */
struct seen {
	struct value_of arg[SEEN_MAX][ARGS];
	uint64_t vaddr[SEEN_MAX];
	size_t count;
	size_t steps;
	uint64_t cut; /* the way ends at this address */
	size_t stop;  /* the walk ends after so many instructions */
};

static int on_insn(void *arg, const struct trace *trace, uint64_t vaddr, const struct insn *insn)
{
	struct seen *seen = arg;
	unsigned int i;

	if (++seen->steps == seen->stop)
		return STOPPED;
	if (vaddr == seen->cut)
		return TRACE_CUT;
	if (insn->kind != INSN_CALL && insn->kind != INSN_CALL_INDIRECT &&
	    !trace_leaves(trace, insn))
		return 0;
	assert_true(seen->count < SEEN_MAX);
	for (i = 0; i < ARGS; i++)
		seen->arg[seen->count][i] = trace_arg(trace, i);
	seen->vaddr[seen->count++] = vaddr;
	return 0;
}

static int walk_from(const struct elf_file *f, const struct trace_start *start, struct seen *seen)
{
	struct image *image;
	int r;

	seen->count = seen->steps = 0;
	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	r = trace_walk(image, start, on_insn, seen);
	image_free(image);
	return r;
}

/* As a function that is the code built so far. */
static int walk(const struct elf_file *f, struct seen *seen)
{
	struct trace_start start = {
		.vaddr = elf_vaddr(0),
		.low = elf_vaddr(0),
		.high = elf_vaddr(f->text_len),
		.entry = true,
	};

	return walk_from(f, &start, seen);
}

static void assert_path(struct value_of value, unsigned int arg, unsigned int width,
			unsigned int loads, int32_t off0, int32_t off1, int64_t num)
{
	assert_int_equal(value.kind, VALUE_PATH);
	assert_int_equal(value.arg, arg);
	assert_int_equal(value.width, width);
	assert_int_equal(value.loads, loads);
	assert_int_equal(value.off[0], off0);
	assert_int_equal(value.off[1], off1);
	assert_int_equal(value.num, num);
}

static void test_constants(void **state)
{
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\xbf\xff\xff\xff\xff");		      /* mov $0xffffffff,%edi */
	CODE(&f, "\x48\xc7\xc6\xff\xff\xff\xff");	      /* mov $-1,%rsi */
	CODE(&f, "\x48\xba\x88\x77\x66\x55\x44\x33\x22\x11"); /* movabs $...,%rdx */
	CODE(&f, "\x31\xc9");				      /* xor %ecx,%ecx */
	CODE(&f, "\x49\x89\xd0");			      /* mov %rdx,%r8 */
	CODE(&f, "\x41\x89\xd1");			      /* mov %edx,%r9d */
	CODE(&f, "\x49\x83\xc0\x08");			      /* add $8,%r8 */
	elf_branch(&f, X86_CALL, CALLEE);
	elf_lea(&f, RDI, elf_vaddr(100));
	CODE(&f, "\x66\xbe\x01\x00"); /* mov $1,%si: the rest of rsi stays */
	elf_branch(&f, X86_CALL, CALLEE);
	CODE(&f, "\xc3");
	assert_int_equal(walk(&f, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_true(value_is(seen.arg[0][0], 0xffffffff));
	assert_true(value_is(seen.arg[0][1], -1));
	assert_true(value_is(seen.arg[0][2], 0x1122334455667788));
	assert_true(value_is(seen.arg[0][3], 0));
	assert_true(value_is(seen.arg[0][4], 0x1122334455667790));
	assert_true(value_is(seen.arg[0][5], 0x55667788));
	assert_true(value_is(seen.arg[1][0], (int64_t)elf_vaddr(100)));
	assert_int_equal(seen.arg[1][1].kind, VALUE_UNKNOWN);
	/* A call leaves nothing in the registers that it may change. */
	assert_int_equal(seen.arg[1][2].kind, VALUE_UNKNOWN);
	assert_int_equal(seen.arg[1][5].kind, VALUE_UNKNOWN);
}

static void test_paths(void **state)
{
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x48\x8b\x47\x30");		  /* mov 0x30(%rdi),%rax */
	CODE(&f, "\x48\x8b\xb0\x00\x01\x00\x00"); /* mov 0x100(%rax),%rsi */
	CODE(&f, "\x48\x83\xee\x10");		  /* sub $0x10,%rsi */
	CODE(&f, "\x8b\x50\x08");		  /* mov 8(%rax),%edx */
	CODE(&f, "\x0f\xb6\x48\x09");		  /* movzbl 9(%rax),%ecx */
	CODE(&f, "\x4c\x8b\x00");		  /* mov (%rax),%r8 */
	CODE(&f, "\x4d\x8b\x00");		  /* mov (%r8),%r8 */
	CODE(&f, "\x4d\x8b\x00");		  /* mov (%r8),%r8: one load too many */
	CODE(&f, "\x4c\x8b\x0a");		  /* mov (%rdx),%r9: no pointer */
	elf_branch(&f, X86_CALL, CALLEE);
	CODE(&f, "\xc3");
	assert_int_equal(walk(&f, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_path(seen.arg[0][0], 0, 8, 0, 0, 0, 0);
	assert_path(seen.arg[0][1], 0, 8, 2, 0x30, 0x100, -0x10);
	assert_path(seen.arg[0][2], 0, 4, 2, 0x30, 8, 0);
	assert_path(seen.arg[0][3], 0, 1, 2, 0x30, 9, 0);
	assert_int_equal(seen.arg[0][4].kind, VALUE_UNKNOWN);
	assert_int_equal(seen.arg[0][5].kind, VALUE_UNKNOWN);
	assert_true(value_same(seen.arg[0][0], seen.arg[0][0]));
	assert_false(value_same(seen.arg[0][0], seen.arg[0][1]));
	assert_int_equal(value_place(seen.arg[0][1], 7).loads, 2);
	assert_int_equal(value_place(seen.arg[0][1], 7).off[1], 0x100);
	assert_int_equal(value_place(seen.arg[0][1], 7).add, -0x10);
	assert_int_equal(value_place(seen.arg[0][4], 7).width, 0);
}

/* Sums that do not fit are not known; nothing overflows. */
static void test_hostile_sums(void **state)
{
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x48\xb8\xff\xff\xff\xff\xff\xff\xff\x7f"); /* movabs $INT64_MAX,%rax */
	CODE(&f, "\x48\x8d\x74\x04\x00");		      /* lea (%rsp,%rax),%rsi */
	CODE(&f, "\x48\x89\x3e");			      /* mov %rdi,(%rsi) */
	CODE(&f, "\x48\x8d\x14\x07");			      /* lea (%rdi,%rax),%rdx */
	CODE(&f, "\x48\x89\xc1");			      /* mov %rax,%rcx */
	CODE(&f, "\x48\x83\xc1\x01");			      /* add $1,%rcx */
	CODE(&f, "\x4c\x8d\x84\xc8\xff\xff\xff\x7f");	      /* lea 0x7fffffff(%rax,%rcx,8),%r8 */
	CODE(&f, "\x48\x01\xc4");			      /* add %rax,%rsp */
	CODE(&f, "\x48\x89\x3c\x24\x50");		      /* mov %rdi,(%rsp); push %rax */
	elf_branch(&f, X86_CALL, CALLEE);
	CODE(&f, "\xc3");
	assert_int_equal(walk(&f, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.arg[0][1].kind, VALUE_UNKNOWN);
	assert_int_equal(seen.arg[0][2].kind, VALUE_UNKNOWN);
	assert_true(value_is(seen.arg[0][3], INT64_MIN));
	assert_int_equal(seen.arg[0][6].kind, VALUE_UNKNOWN);
}

static void test_stack(void **state)
{
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x57\x56\x6a\x20");			  /* push %rdi; push %rsi; push $0x20 */
	CODE(&f, "\x48\xc7\x44\x24\xf8\x07\x00\x00\x00"); /* movq $7,-8(%rsp) */
	CODE(&f, "\x48\x83\xec\x08");			  /* sub $8,%rsp */
	CODE(&f, "\x31\xf6\x31\xff");			  /* xor %esi,%esi; xor %edi,%edi */
	elf_branch(&f, X86_CALL, CALLEE);
	CODE(&f, "\x58\x59\x5e\x5f");	  /* pop %rax; pop %rcx; pop %rsi; pop %rdi */
	CODE(&f, "\x48\x8d\x54\x24\xf0"); /* lea -0x10(%rsp),%rdx */
	CODE(&f, "\x4c\x8b\x02");	  /* mov (%rdx),%r8 */
	elf_branch(&f, X86_CALL, CALLEE);
	CODE(&f, "\xc3");
	assert_int_equal(walk(&f, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_true(value_is(seen.arg[0][0], 0));
	assert_true(value_is(seen.arg[0][6], 7));
	assert_true(value_is(seen.arg[0][7], 0x20));
	assert_path(seen.arg[0][8], 1, 8, 0, 0, 0, 0);
	assert_path(seen.arg[0][9], 0, 8, 0, 0, 0, 0);
	assert_path(seen.arg[1][0], 0, 8, 0, 0, 0, 0);
	assert_path(seen.arg[1][1], 1, 8, 0, 0, 0, 0);
	assert_int_equal(seen.arg[1][2].kind, VALUE_FRAME);
	assert_int_equal(seen.arg[1][2].num, -0x10);
	assert_path(seen.arg[1][4], 1, 8, 0, 0, 0, 0);
	assert_true(value_is(seen.arg[1][3], 0x20));
}

/* What a called function may write to is not known any more; what is beside it is. */
static void test_stack_changes(void **state)
{
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x48\x83\xec\x18");	  /* sub $0x18,%rsp */
	CODE(&f, "\x48\x89\x3c\x24");	  /* mov %rdi,(%rsp) */
	CODE(&f, "\x48\x89\x74\x24\x08"); /* mov %rsi,8(%rsp) */
	CODE(&f, "\x48\x89\x54\x24\x10"); /* mov %rdx,0x10(%rsp) */
	CODE(&f, "\x48\x8d\x7c\x24\x08"); /* lea 8(%rsp),%rdi */
	elf_branch(&f, X86_CALL, CALLEE);
	CODE(&f, "\xc6\x44\x24\x13\x00"); /* movb $0,0x13(%rsp): a part */
	elf_branch(&f, X86_CALL, CALLEE);
	CODE(&f, "\xc3");
	assert_int_equal(walk(&f, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_path(seen.arg[0][7], 1, 8, 0, 0, 0, 0);
	assert_path(seen.arg[0][8], 2, 8, 0, 0, 0, 0);
	assert_path(seen.arg[1][6], 0, 8, 0, 0, 0, 0);
	assert_int_equal(seen.arg[1][7].kind, VALUE_UNKNOWN);
	assert_int_equal(seen.arg[1][8].kind, VALUE_UNKNOWN);
}

/* Both ways are walked, each with what it knows. */
static void test_forks(void **state)
{
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x31\xf6\x85\xff");	  /* xor %esi,%esi; test %edi,%edi */
	CODE(&f, "\x74\x05");		  /* je over the next */
	CODE(&f, "\xbe\x01\x00\x00\x00"); /* mov $1,%esi */
	elf_branch(&f, X86_CALL, CALLEE);
	CODE(&f, "\xc3");
	assert_int_equal(walk(&f, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_true(value_is(seen.arg[0][1], 1));
	assert_true(value_is(seen.arg[1][1], 0));
	/* Only one of them. */
	seen.cut = elf_vaddr(6);
	assert_int_equal(walk(&f, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_true(value_is(seen.arg[0][1], 0));
	/* All of it. */
	seen.stop = 3;
	assert_int_equal(walk(&f, &seen), STOPPED);
	assert_int_equal(seen.count, 0);
}

static void test_loops_end(void **state)
{
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\xeb\xfe"); /* jmp to itself */
	assert_int_equal(walk(&f, &seen), 0);
	assert_in_range(seen.steps, 1, 8);
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x31\xf6");		  /* xor %esi,%esi */
	CODE(&f, "\x48\x83\xc6\x01");	  /* add $1,%rsi */
	CODE(&f, "\x75\xfa");		  /* jne to the add */
	elf_branch(&f, X86_CALL, CALLEE); /* the first rounds are seen */
	CODE(&f, "\xc3");
	assert_int_equal(walk(&f, &seen), 0);
	assert_in_range(seen.count, 2, 8);
	assert_true(value_is(seen.arg[0][1], 1));
	assert_true(value_is(seen.arg[1][1], 2));
}

/* More ways than are kept, more steps than are walked. */
static void test_limits(void **state)
{
	struct trace_start start = { .entry = true };
	struct seen seen = { 0 };
	struct big_file big;
	struct image *image;
	size_t steps, i;
	uint8_t *p;

	(void)state;
	big_init(&big, EM_X86_64, ET_DYN);
	p = big_segment(&big, PF_R | PF_X, 70000);
	for (i = 0; i < 60000; i += 4)
		memcpy(p + i, "\x74\x00\x75\xfc", 4); /* je further; jne back */
	assert_int_equal(image_open_memory(big.data, big.len, &image), 0);
	start.vaddr = start.low = big.phdr[0].p_vaddr;
	start.high = start.low + 60000;
	assert_int_equal(trace_walk(image, &start, on_insn, &seen), 0);
	assert_in_range(seen.steps, 1, 16384);
	/* One limit for several walks. */
	steps = 1000;
	start.steps = &steps;
	seen.steps = 0;
	assert_int_equal(trace_walk(image, &start, on_insn, &seen), 0);
	assert_int_equal(seen.steps, 1000);
	assert_int_equal(steps, 0);
	assert_int_equal(trace_walk(image, &start, on_insn, &seen), 0);
	assert_int_equal(seen.steps, 1000);
	memset(p, 0x90, 60000);
	start.steps = NULL;
	seen.steps = 0;
	assert_int_equal(trace_walk(image, &start, on_insn, &seen), 0);
	assert_int_equal(seen.steps, 16384);
	image_free(image);
	free(big.data);
}

/* The code of a called function that is followed counts as well. */
static void test_leaf_steps(void **state)
{
	size_t steps = 100;
	struct trace_start start = { .follow = 1U << RBX, .steps = &steps };
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	elf_branch(&f, X86_CALL, CALLEE);
	CODE(&f, "\x48\x89\xdf"); /* mov %rbx,%rdi */
	elf_branch(&f, X86_JMP, OTHER_FUNCTION);
	start.vaddr = start.low = elf_vaddr(0);
	start.high = elf_vaddr(f.text_len);
	memset(f.text + CALLEE, 0x90, 10);
	f.text[CALLEE + 10] = 0xc3;
	assert_int_equal(walk_from(&f, &start, &seen), 0);
	assert_int_equal(seen.steps, 3);
	assert_int_equal(seen.count, 2);
	assert_path(seen.arg[1][0], RBX, 8, 0, 0, 0, 0);
	assert_int_equal(steps, 100 - 3 - 11);
	/* It is not followed to its end. */
	steps = 5;
	assert_int_equal(walk_from(&f, &start, &seen), 0);
	assert_int_equal(seen.steps, 1);
	assert_int_equal(steps, 0);
}

/* Where a way ends: at bytes that are none, at the end of the code, and where nothing is. */
static void test_ends(void **state)
{
	struct trace_start start = { .low = 0, .high = UINT64_MAX, .entry = true };
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x90\x06"); /* no instruction */
	elf_branch(&f, X86_CALL, CALLEE);
	assert_int_equal(walk(&f, &seen), 0);
	assert_int_equal(seen.steps, 1);
	start.vaddr = ELF_BASE + ELF_FILE_LEN - 2;
	memset((uint8_t *)&f + ELF_FILE_LEN - 2, 0x90, 2);
	assert_int_equal(walk_from(&f, &start, &seen), 0);
	assert_int_equal(seen.steps, 2);
	((uint8_t *)&f)[ELF_FILE_LEN - 1] = 0xe8; /* its distance is not there */
	assert_int_equal(walk_from(&f, &start, &seen), 0);
	assert_int_equal(seen.steps, 1);
	start.vaddr = UINT64_MAX - 1;
	assert_int_equal(walk_from(&f, &start, &seen), 0);
	assert_int_equal(seen.steps, 0);
	start.vaddr = elf_vaddr(0);
	start.low = start.vaddr + 1; /* not even inside */
	assert_int_equal(walk_from(&f, &start, &seen), 0);
	assert_int_equal(seen.steps, 0);
}

/* A jump out of the function is a call that does not come back. */
static void test_leaves(void **state)
{
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x48\x89\xfe\x74\x05"); /* mov %rdi,%rsi; je over the next */
	elf_branch(&f, X86_JMP, CALLEE);
	CODE(&f, "\xff\x60\x08"); /* jmp *8(%rax) */
	assert_int_equal(walk(&f, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.vaddr[0], elf_vaddr(5));
	assert_int_equal(seen.vaddr[1], elf_vaddr(10));
	assert_path(seen.arg[1][1], 0, 8, 0, 0, 0, 0);
	elf_init(&f, EM_X86_64);
	CODE(&f, "\xff\x24\xc5\x00\x00\x00\x00"); /* jmp *(,%rax,8): a jump table */
	assert_int_equal(walk(&f, &seen), 0);
	assert_int_equal(seen.count, 0);
}

/* In the middle of a function: only the frame, and a register that is given. */
static void test_middle(void **state)
{
	struct trace_start start = { .known = true, .reg = RSI, .num = 4711 };
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	CODE(&f, "\x48\x89\x75\xf0"); /* mov %rsi,-0x10(%rbp) */
	CODE(&f, "\x48\x89\x34\x24"); /* mov %rsi,(%rsp) */
	CODE(&f, "\x31\xf6");	      /* xor %esi,%esi */
	CODE(&f, "\x48\x8b\x55\xf0"); /* mov -0x10(%rbp),%rdx */
	elf_branch(&f, X86_CALL, CALLEE);
	CODE(&f, "\xc3");
	start.vaddr = start.low = elf_vaddr(0);
	start.high = elf_vaddr(f.text_len);
	assert_int_equal(walk_from(&f, &start, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_int_equal(seen.arg[0][0].kind, VALUE_UNKNOWN);
	assert_true(value_is(seen.arg[0][1], 0));
	assert_true(value_is(seen.arg[0][2], 4711));
	assert_true(value_is(seen.arg[0][6], 4711));
	start.reg = 200; /* there is none */
	assert_int_equal(walk_from(&f, &start, &seen), 0);
	assert_int_equal(seen.arg[0][2].kind, VALUE_UNKNOWN);
}

static void test_arm64(void **state)
{
	struct seen seen = { 0 };
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_AARCH64);
	elf_word(&f, 0xa9be7bfd);    /* stp x29, x30, [sp, #-32]! */
	elf_word(&f, 0xa90107e0);    /* stp x0, x1, [sp, #16] */
	arm64_ldr(&f, 9, 0, 0x30);   /* ldr x9, [x0, #0x30] */
	arm64_add(&f, 2, 9, 0x40);   /* add x2, x9, #0x40 */
	arm64_const(&f, 3, 32);	     /* mov x3, #32 */
	arm64_mov(&f, 4, 1);	     /* mov x4, x1 */
	arm64_adrp(&f, 5, 0x403000); /* adrp x5, 0x403000 */
	arm64_add(&f, 5, 5, 0x123);  /* add x5, x5, #0x123 */
	elf_word(&f, 0xf9000be2);    /* str x2, [sp, #16] */
	elf_word(&f, 0xa9411be7);    /* ldp x7, x6, [sp, #16] */
	arm64_branch(&f, ARM64_BL, CALLEE);
	elf_word(&f, ARM64_RET);
	assert_int_equal(walk(&f, &seen), 0);
	assert_int_equal(seen.count, 1);
	assert_path(seen.arg[0][0], 0, 8, 0, 0, 0, 0);
	assert_path(seen.arg[0][2], 0, 8, 1, 0x30, 0, 0x40);
	assert_true(value_is(seen.arg[0][3], 32));
	assert_path(seen.arg[0][4], 1, 8, 0, 0, 0, 0);
	assert_true(value_is(seen.arg[0][5], 0x403123));
	assert_path(seen.arg[0][6], 1, 8, 0, 0, 0, 0);
	assert_path(seen.arg[0][7], 0, 8, 1, 0x30, 0, 0x40);
	assert_int_equal(trace_arg_place(EM_AARCH64, 7).loads, 0);
	assert_int_equal(trace_arg_place(EM_AARCH64, 8).loads, 1);
	assert_int_equal(trace_arg_place(EM_X86_64, 7).off[0], 8);
	assert_int_equal(trace_arg_place(EM_X86_64, 7).reg, RSP);
	assert_int_equal(trace_arg_place(EM_RISCV, 0).width, 0);
}

static void test_bounds(void **state)
{
	static const size_t starts[] = { 16, 64, 128 };
	uint64_t low, high;
	struct image *image;
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	elf_unwind(&f, starts, 3);
	assert_int_equal(image_open_memory(&f, ELF_FILE_LEN, &image), 0);
	trace_bounds(image, elf_vaddr(70), &low, &high);
	assert_int_equal(low, elf_vaddr(64));
	assert_int_equal(high, elf_vaddr(128));
	/* Behind the last one, and before the first: a guess. */
	trace_bounds(image, elf_vaddr(130), &low, &high);
	assert_int_equal(high - low, 2 * 16384);
	trace_bounds(image, 100, &low, &high);
	assert_int_equal(low, 0);
	image_free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_constants),     cmocka_unit_test(test_paths),
		cmocka_unit_test(test_hostile_sums),  cmocka_unit_test(test_stack),
		cmocka_unit_test(test_stack_changes), cmocka_unit_test(test_forks),
		cmocka_unit_test(test_loops_end),     cmocka_unit_test(test_limits),
		cmocka_unit_test(test_ends),	      cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_middle),	      cmocka_unit_test(test_arm64),
		cmocka_unit_test(test_bounds),	      cmocka_unit_test(test_leaf_steps),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/dataflow.h"
#include "elf_flow.h"

#define CODE(f, bytes) elf_code(f, bytes, sizeof(bytes) - 1)
#define CALL	       0xe8
#define JMP	       0xe9
#define RBX	       3
#define BUF	       3 /* the argument that is the destination */
/* Where the walked function ends, another one, and what leads to memcpy. */
#define OTHER	   600
#define COPY_STUB  700
#define OTHER_STUB 720
#define GOT	   900

static void begin(struct elf_file *f)
{
	static const size_t starts[] = { 0, OTHER, COPY_STUB };

	elf_init(f, EM_X86_64);
	memset(f->text, 0xc3, sizeof(f->text));
	elf_unwind(f, starts, 3);
	elf_stub(f, COPY_STUB, GOT, "memcpy");
	elf_stub(f, OTHER_STUB, GOT + 8, "memcmp");
}

static int list(const struct elf_file *f, struct copies *ret_copies)
{
	struct image *image;
	int err;

	assert_int_equal(image_open_memory(f, ELF_FILE_LEN, &image), 0);
	err = copies_list(image, elf_vaddr(0), BUF, ret_copies);
	image_free(image);
	return err;
}

static void assert_stack(const struct place *place, int disp, int width)
{
	assert_int_equal(place->width, width);
	assert_int_equal(place->reg, 4);
	assert_int_equal(place->loads, 1);
	assert_int_equal(place->off[0], disp);
}

static void assert_reg(const struct place *place, int reg, int width)
{
	assert_int_equal(place->width, width);
	assert_int_equal(place->reg, reg);
}

/* Argument 0, 1 and 5 into the frame, 3 into rbx. */
static void prologue(struct elf_file *f)
{
	CODE(f, "\x53\x48\x83\xec\x20"); /* push %rbx; sub $0x20,%rsp */
	CODE(f, "\x48\x89\x7c\x24\x10"); /* mov %rdi,0x10(%rsp) */
	CODE(f, "\x89\x74\x24\x04");	 /* mov %esi,4(%rsp) */
	CODE(f, "\x44\x89\x0c\x24");	 /* mov %r9d,(%rsp) */
	CODE(f, "\x48\x89\xcb");	 /* mov %rcx,%rbx */
}

/* Reads what is in the frame, and returns. */
static void epilogue(struct elf_file *f)
{
	CODE(f, "\x48\x8b\x44\x24\x10");     /* mov 0x10(%rsp),%rax */
	CODE(f, "\x83\x7c\x24\x04\x17");     /* cmpl $0x17,4(%rsp) */
	CODE(f, "\x8b\x0c\x24");	     /* mov (%rsp),%ecx */
	CODE(f, "\x48\x83\xc4\x20\x5b\xc3"); /* add $0x20,%rsp; pop %rbx; ret */
}

static size_t copy(struct elf_file *f)
{
	CODE(f, "\x48\x89\xdf"); /* mov %rbx,%rdi */
	return elf_branch(f, CALL, COPY_STUB);
}

static void test_places(void **state)
{
	struct copies copies;
	struct elf_file f;
	size_t site;

	(void)state;
	begin(&f);
	prologue(&f);
	elf_branch(&f, CALL, OTHER_STUB);
	elf_branch(&f, CALL, OTHER);
	CODE(&f,
	     "\x48\x89\x07"); /* mov %rax,(%rdi): not into the frame, whose address nobody has */
	site = copy(&f);
	epilogue(&f);
	assert_int_equal(list(&f, &copies), 0);
	assert_int_equal(copies.count, 1);
	assert_int_equal(copies.copy[0].vaddr, elf_vaddr(site));
	assert_stack(&copies.copy[0].arg[0], 0x10, 8);
	assert_stack(&copies.copy[0].arg[1], 4, 4);
	assert_int_equal(copies.copy[0].arg[2].width, 0);
	assert_reg(&copies.copy[0].arg[3], RBX, 8);
	assert_int_equal(copies.copy[0].arg[4].width, 0);
	assert_stack(&copies.copy[0].arg[5], 0, 4);
}

/* The places move when something is pushed; what is pushed may change. */
static void test_push(void **state)
{
	struct copies copies;
	struct elf_file f;

	(void)state;
	begin(&f);
	prologue(&f);
	CODE(&f, "\x6a\x00\xff\x73\x08"); /* push $0; push 8(%rbx) */
	copy(&f);
	CODE(&f, "\x5a\x5a"); /* pop %rdx twice */
	copy(&f);
	epilogue(&f);
	assert_int_equal(list(&f, &copies), 0);
	assert_int_equal(copies.count, 2);
	assert_stack(&copies.copy[0].arg[0], 0x20, 8);
	assert_stack(&copies.copy[0].arg[5], 0x10, 4);
	assert_stack(&copies.copy[1].arg[0], 0x10, 8);
}

/* The destination goes on in a loop, and memcpy returns it. */
static void test_derived(void **state)
{
	struct copies copies;
	struct elf_file f;
	size_t top;

	(void)state;
	begin(&f);
	prologue(&f);
	top = copy(&f);
	CODE(&f, "\x48\x89\xc7"); /* mov %rax,%rdi */
	elf_branch(&f, CALL, COPY_STUB);
	CODE(&f, "\x48\x8d\x3c\x03"); /* lea (%rbx,%rax),%rdi */
	elf_branch(&f, CALL, COPY_STUB);
	CODE(&f, "\x48\x01\xc3\x85\xd2"); /* add %rax,%rbx; test %edx,%edx */
	CODE(&f, "\x75\x05");		  /* jne over the next */
	elf_branch(&f, JMP, top - 3);	  /* to the first copy */
	epilogue(&f);
	assert_int_equal(list(&f, &copies), 0);
	assert_int_equal(copies.count, 3);
	assert_stack(&copies.copy[0].arg[0], 0x10, 8);
	assert_int_equal(copies.copy[0].arg[3].width, 0);
}

/* A register that has a frame address on one way only: what is stored through it may be anywhere. */
static void test_frame_address_or_not(void **state)
{
	struct copies copies;
	struct elf_file f;

	(void)state;
	begin(&f);
	CODE(&f, "\x55\x48\x8b\x2a"); /* push %rbp; mov (%rdx),%rbp */
	prologue(&f);
	CODE(&f, "\x85\xd2\x75\x03");	  /* test %edx,%edx; jne over the next */
	CODE(&f, "\x48\x89\xe5");	  /* mov %rsp,%rbp */
	CODE(&f, "\x48\x89\x45\x10\x90"); /* mov %rax,0x10(%rbp); nop */
	copy(&f);
	epilogue(&f);
	assert_int_equal(list(&f, &copies), 0);
	assert_int_equal(copies.count, 1);
	assert_int_equal(copies.copy[0].arg[0].width, 0);
	assert_reg(&copies.copy[0].arg[3], RBX, 8);
}

/* The buffer's address from the frame, and a distance. */
static void test_sum_from_frame(void **state)
{
	struct copies copies;
	struct elf_file f;

	(void)state;
	begin(&f);
	prologue(&f);
	CODE(&f, "\x48\x89\x5c\x24\x18"); /* mov %rbx,0x18(%rsp) */
	elf_branch(&f, CALL, OTHER);
	CODE(&f, "\x48\x89\xc7");	  /* mov %rax,%rdi */
	CODE(&f, "\x48\x03\x7c\x24\x18"); /* add 0x18(%rsp),%rdi */
	elf_branch(&f, CALL, COPY_STUB);
	epilogue(&f);
	assert_int_equal(list(&f, &copies), 0);
	assert_int_equal(copies.count, 1);
}

/* A copy to where argument 0 points is another matter. */
static void test_other_destination(void **state)
{
	struct copies copies;
	struct elf_file f;

	(void)state;
	begin(&f);
	prologue(&f);
	CODE(&f, "\x48\x8d\xbf\x00\x01\x00\x00"); /* lea 0x100(%rdi),%rdi */
	elf_branch(&f, CALL, COPY_STUB);
	epilogue(&f);
	assert_int_equal(list(&f, &copies), 0);
	assert_int_equal(copies.count, 0);
}

/* Each takes one place away. */
static void test_doubt(void **state)
{
	static const struct {
		const char *code;
		size_t len;
		int lost; /* argument */
	} cases[] = {
		/* test %edx,%edx; je over mov %eax,4(%rsp) */
		{ "\x85\xd2\x74\x04\x89\x44\x24\x04", 8, 1 },
		/* lea 8(%rsp),%rdi; call *0x38(%rax) */
		{ "\x48\x8d\x7c\x24\x08\xff\x50\x38", 8, 0 },
		/* lea 8(%rsp),%rdi; mov %rax,(%rdx) */
		{ "\x48\x8d\x7c\x24\x08\x48\x89\x02", 8, 1 },
		/* movl $0,0x14(%rsp) */
		{ "\xc7\x44\x24\x14\x00\x00\x00\x00", 8, 0 },
		/* movups %xmm0,(%rsp) */
		{ "\x0f\x11\x04\x24", 4, 5 },
		/* add $8,%rsp; push %rax; nop */
		{ "\x48\x83\xc4\x08\x50\x90", 6, 5 },
		/* add $0x18,%rsp; call *0x38(%rax); sub $0x18,%rsp */
		{ "\x48\x83\xc4\x18\xff\x50\x38\x48\x83\xec\x18", 11, 0 },
		/* sub %rax,%rsp */
		{ "\x48\x29\xc4", 3, 0 },
	};
	struct copies copies;
	struct elf_file f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&f);
		prologue(&f);
		elf_code(&f, cases[i].code, cases[i].len);
		copy(&f);
		epilogue(&f);
		assert_int_equal(list(&f, &copies), 0);
		assert_int_equal(copies.count, 1);
		assert_int_equal(copies.copy[0].arg[cases[i].lost].width, 0);
		assert_reg(&copies.copy[0].arg[3], RBX, 8);
	}
}

/* Memory that is only written may be the stack argument of a call. */
static void test_not_read(void **state)
{
	struct copies copies;
	struct elf_file f;

	(void)state;
	begin(&f);
	prologue(&f);
	copy(&f);
	CODE(&f, "\x48\x83\xc4\x20\x5b\xc3"); /* add $0x20,%rsp; pop %rbx; ret */
	assert_int_equal(list(&f, &copies), 0);
	assert_int_equal(copies.count, 1);
	assert_int_equal(copies.copy[0].arg[0].width, 0);
	assert_int_equal(copies.copy[0].arg[5].width, 0);
}

static void test_frame_pointer(void **state)
{
	struct copies copies;
	struct elf_file f;

	(void)state;
	begin(&f);
	CODE(&f, "\x55\x48\x89\xe5");	  /* push %rbp; mov %rsp,%rbp */
	CODE(&f, "\x53\x48\x83\xec\x18"); /* push %rbx; sub $0x18,%rsp */
	CODE(&f, "\x48\x89\xcb");	  /* mov %rcx,%rbx */
	CODE(&f, "\x40\x88\x75\xe4");	  /* mov %sil,-0x1c(%rbp) */
	CODE(&f, "\x80\x7d\xe4\x17");	  /* cmpb $0x17,-0x1c(%rbp) */
	elf_branch(&f, CALL, OTHER);
	copy(&f);
	CODE(&f, "\xc9\xc3"); /* leave; ret */
	assert_int_equal(list(&f, &copies), 0);
	assert_int_equal(copies.count, 1);
	assert_stack(&copies.copy[0].arg[1], 4, 1);
	assert_int_equal(copies.copy[0].arg[0].width, 0);
}

static void test_refuses(void **state)
{
	static const struct {
		const char *code;
		size_t len;
		int err;
	} cases[] = {
		{ "\x06", 1, -EILSEQ },
		{ "\xff\xe0", 2, -EOPNOTSUPP },			      /* jmp *%rax */
		{ "\xff\x24\xc2", 3, -EOPNOTSUPP },		      /* jmp *(%rdx,%rax,8) */
		{ "\x48\x89\xcf\xf3\xa4", 5, -ENOTUNIQ },	      /* mov %rcx,%rdi; rep movsb */
		{ "\x48\x8b\x3f\xe8\xb4\x02\x00\x00", 8, -ENOTUNIQ }, /* memcpy somewhere */
		{ "\x48\x89\xcf\xe9\xb4\x02\x00\x00", 8, -ENOTUNIQ }, /* as a tail call */
		{ "\x48\x89\xcf\xff\x15\x7b\x03\x00\x00", 9, -ENOTUNIQ }, /* through the GOT */
		{ "\x48\x89\xcf\xe9\x50\x02\x00\x00", 8, -ENOTUNIQ },	  /* in OTHER */
	};
	struct copies copies = { .count = 42 };
	struct elf_file f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&f);
		f.text_len = OTHER;
		elf_branch(&f, CALL, COPY_STUB);
		f.text_len = 0;
		elf_code(&f, cases[i].code, cases[i].len);
		assert_int_equal(list(&f, &copies), cases[i].err);
	}
	begin(&f);
	CODE(&f, "\x48\x89\xcb"); /* mov %rcx,%rbx */
	for (i = 0; i <= COPIES_MAX; i++)
		copy(&f);
	assert_int_equal(list(&f, &copies), -E2BIG);
	assert_int_equal(copies.count, 42);
}

static void test_function_end(void **state)
{
	struct copies copies = { .count = 42 };
	struct elf_file f;

	(void)state;
	begin(&f);
	f.ehdr.e_phnum = 1;
	assert_int_equal(list(&f, &copies), -ENOENT);
	begin(&f);
	f.phdr[1].p_filesz = 20; /* less than the table says it has */
	assert_int_equal(list(&f, &copies), -ENOENT);
	begin(&f);
	f.phdr[1].p_vaddr++;
	assert_int_equal(list(&f, &copies), -ENOENT);
	assert_int_equal(copies.count, 42);
	/* What follows a call that does not return is not the function's. */
	begin(&f);
	memset(f.text, 0x90, OTHER);
	f.text[OTHER] = 0x06;
	assert_int_equal(list(&f, &copies), 0);
	assert_int_equal(copies.count, 0);
	elf_init(&f, EM_AARCH64);
	assert_int_equal(list(&f, &copies), -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),	       cmocka_unit_test(test_push),
		cmocka_unit_test(test_derived),	       cmocka_unit_test(test_other_destination),
		cmocka_unit_test(test_doubt),	       cmocka_unit_test(test_not_read),
		cmocka_unit_test(test_frame_pointer),  cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_function_end),   cmocka_unit_test(test_frame_address_or_not),
		cmocka_unit_test(test_sum_from_frame),
	};

	return cmocka_run_group_tests_name("dataflow", tests, NULL, NULL);
}

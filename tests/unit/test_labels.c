/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/labels.h"
#include "elf_big.h"
#include "elf_text.h"

#define FIRST  1024 /* the functions that are called */
#define SECOND 1040

static const char *const names[] = { "LABEL_ONE", "LABEL_TWO", "not followed" };

static struct labels labels;

static int teardown(void **state)
{
	(void)state;
	labels_done(&labels);
	return 0;
}

static int find_in(const void *data, size_t len)
{
	struct image *image;
	int r;

	labels_done(&labels);
	assert_int_equal(image_open_memory(data, len, &image), 0);
	r = labels_find(image, names, 3, 2, &labels);
	if (!r)
		r = labels_follow(image, &labels);
	if (r)
		labels_done(&labels);
	image_free(image);
	return r;
}

static int find(const struct elf_file *f)
{
	return find_in(f, ELF_FILE_LEN);
}

/* Functions begin at 0 and where they are called. */
static void add_bounds(struct elf_file *f)
{
	static const size_t starts[] = { 0, FIRST, SECOND, SECOND + 16 };

	elf_unwind(f, starts, 4);
}

/* A file with these bounds and a first string, whose address it returns. */
static uint64_t start(struct elf_file *f, uint16_t machine)
{
	elf_init(f, machine);
	add_bounds(f);
	return elf_string(f, "LABEL_ONE");
}

static void assert_call(size_t index, size_t pos, size_t target, uint8_t label, uint8_t arg)
{
	assert_true(index < labels.call_count);
	assert_int_equal(labels.call[index].vaddr, elf_vaddr(pos));
	assert_int_equal(labels.call[index].target, elf_vaddr(target));
	assert_int_equal(labels.call[index].label, label);
	assert_int_equal(labels.call[index].arg, arg);
}

static void test_lea(void **state)
{
	struct elf_file f;
	uint64_t one, two;
	size_t pos;

	(void)state;
	one = start(&f, EM_X86_64);
	two = elf_string(&f, "LABEL_TWO more");
	elf_lea(&f, RSI, one);
	pos = elf_branch(&f, X86_CALL, FIRST);
	elf_lea(&f, R8, two);
	elf_branch(&f, X86_CALL, SECOND);
	elf_lea(&f, RDI, elf_string(&f, "not followed"));
	elf_branch(&f, X86_CALL, SECOND);
	CODE(&f, "\xc3");
	assert_int_equal(find(&f), 0);
	assert_int_equal(labels.found, 7);
	assert_int_equal(labels.place_count, 3);
	assert_int_equal(labels.ref_count, 2);
	assert_int_equal(labels.ref[0].target, one);
	assert_true(labels.ref[0].calls);
	assert_int_equal(labels.call_count, 2);
	assert_call(0, pos, FIRST, 0, 1);
	assert_true(labels.call[0].ends);
	assert_false(labels.call[0].tail);
	assert_call(1, pos + 12, SECOND, 1, 4);
	assert_false(labels.call[1].ends);
}

/* Addresses as constants are for files that run where they say. */
static void test_constants(void **state)
{
	struct elf_file f;
	uint64_t one, two;
	size_t pos;

	(void)state;
	one = start(&f, EM_X86_64);
	two = elf_string(&f, "LABEL_TWO");
	elf_constant(&f, "\xbe", 1, one); /* mov $one,%esi */
	pos = elf_branch(&f, X86_CALL, FIRST);
	elf_constant(&f, "\x41\xb8", 2, two); /* mov $two,%r8d */
	elf_branch(&f, X86_CALL, FIRST);
	elf_constant(&f, "\x48\xc7\xc2", 3, one); /* mov $one,%rdx */
	elf_branch(&f, X86_CALL, FIRST);
	elf_constant(&f, "\x48\xc7\x44\x24\x08", 5, two); /* movq $two,8(%rsp) */
	CODE(&f, "\x31\xc9\x48\x8b\x4c\x24\x08");	  /* xor %ecx,%ecx; mov 8(%rsp),%rcx */
	elf_branch(&f, X86_CALL, SECOND);
	CODE(&f, "\xc3");
	assert_int_equal(find(&f), 0);
	assert_int_equal(labels.ref_count, 0);
	f.ehdr.e_type = ET_EXEC;
	assert_int_equal(find(&f), 0);
	assert_int_equal(labels.ref_count, 4);
	assert_int_equal(labels.ref[1].vaddr, elf_vaddr(pos + 5)); /* with its prefix */
	/* 8(%rsp) is also the second argument on the stack, number 7 is not looked at. */
	assert_int_equal(labels.call_count, 4);
	assert_call(0, pos, FIRST, 0, 1);
	assert_call(1, pos + 11, FIRST, 1, 4);
	assert_call(2, pos + 23, FIRST, 0, 2);
	assert_call(3, pos + 44, SECOND, 1, 3);
}

static void test_arm64(void **state)
{
	struct elf_file f;
	uint64_t one, two;
	size_t pos;

	(void)state;
	one = start(&f, EM_AARCH64);
	two = elf_string(&f, "LABEL_TWO");
	arm64_adrp(&f, 1, one);
	arm64_mov(&f, 19, 0);
	arm64_add(&f, 1, 1, one & 0xfff);
	pos = arm64_branch(&f, ARM64_BL, FIRST);
	arm64_adr(&f, 2, two);
	arm64_branch(&f, ARM64_BL, FIRST);
	arm64_adrp(&f, 20, two);
	arm64_add(&f, 3, 20, two & 0xfff);
	arm64_add(&f, 0, 20, one & 0xfff); /* one page for both */
	arm64_branch(&f, ARM64_B, SECOND);
	assert_int_equal(find(&f), 0);
	assert_int_equal(labels.ref_count, 4);
	assert_int_equal(labels.call_count, 4);
	assert_call(0, pos, FIRST, 0, 1);
	assert_call(1, pos + 8, FIRST, 1, 2);
	assert_call(2, pos + 24, SECOND, 1, 3);
	assert_true(labels.call[2].tail);
	assert_call(3, pos + 24, SECOND, 0, 0);
	/* adrp is too far away to be believed. */
	f.text_len = 0;
	arm64_adrp(&f, 1, one);
	while (f.text_len < 65 * 4)
		elf_word(&f, 0xd503201f); /* nop */
	arm64_add(&f, 1, 1, one & 0xfff);
	elf_word(&f, ARM64_RET);
	assert_int_equal(find(&f), 0);
	assert_int_equal(labels.ref_count, 0);
}

static void test_tail_calls(void **state)
{
	struct elf_file f;
	uint64_t one;
	size_t pos;

	(void)state;
	one = start(&f, EM_X86_64);
	CODE(&f, "\x85\xff\x74\x0c"); /* test %edi,%edi; je over the next two */
	elf_lea(&f, RSI, one);
	pos = elf_branch(&f, X86_JMP, FIRST);
	elf_lea(&f, RDX, one);
	CODE(&f, "\xff\x60\x30"); /* jmp *0x30(%rax) */
	assert_int_equal(find(&f), 0);
	assert_int_equal(labels.call_count, 2);
	assert_call(0, pos, FIRST, 0, 1);
	assert_true(labels.call[0].tail);
	assert_int_equal(labels.call[1].target, 0);
	assert_true(labels.call[1].tail);
	assert_int_equal(labels.call[1].base, RAX);
	assert_int_equal(labels.call[1].slot, 0x30);
}

/* Several references share one call, before them in the code. */
static void test_shared_call(void **state)
{
	struct elf_file f;
	uint64_t one, two;
	size_t pos;

	(void)state;
	one = start(&f, EM_X86_64);
	two = elf_string(&f, "LABEL_TWO");
	CODE(&f, "\x85\xff\x75\x06"); /* test %edi,%edi; jne over the next two */
	pos = elf_branch(&f, X86_CALL, FIRST);
	CODE(&f, "\xc3");
	elf_lea(&f, RSI, one);
	elf_branch(&f, X86_JMP, pos);
	elf_lea(&f, RSI, two);
	elf_branch(&f, X86_JMP, pos);
	assert_int_equal(find(&f), 0);
	assert_int_equal(labels.call_count, 2);
	assert_call(0, pos, FIRST, 0, 1);
	assert_call(1, pos, FIRST, 1, 1);
}

/* An argument's register keeps nothing across a call, and another value ends it. */
static void test_stale(void **state)
{
	struct elf_file f;
	uint64_t one;
	size_t pos;

	(void)state;
	one = start(&f, EM_X86_64);
	elf_lea(&f, RSI, one);
	pos = elf_branch(&f, X86_CALL, FIRST);
	elf_branch(&f, X86_CALL, SECOND);
	elf_lea(&f, RDX, one);
	CODE(&f, "\x31\xd2"); /* xor %edx,%edx */
	elf_branch(&f, X86_CALL, SECOND);
	elf_lea(&f, RCX, one);
	CODE(&f, "\xb1\x01"); /* mov $1,%cl */
	elf_branch(&f, X86_CALL, SECOND);
	elf_lea(&f, RDI, one);
	CODE(&f, "\xc3");
	elf_branch(&f, X86_CALL, SECOND);
	assert_int_equal(find(&f), 0);
	assert_int_equal(labels.ref_count, 4);
	assert_int_equal(labels.call_count, 1);
	assert_call(0, pos, FIRST, 0, 1);
	assert_true(labels.ref[0].calls);
	assert_false(labels.ref[1].calls);
	assert_false(labels.ref[2].calls);
	assert_false(labels.ref[3].calls);
}

/* In registers that calls keep, and in the frame. */
static void test_kept(void **state)
{
	struct elf_file f;
	uint64_t one, two;
	size_t pos;

	(void)state;
	one = start(&f, EM_X86_64);
	two = elf_string(&f, "LABEL_TWO");
	elf_lea(&f, RBX, one);
	elf_lea(&f, RAX, two);
	CODE(&f, "\x48\x89\x44\x24\x18"); /* mov %rax,0x18(%rsp) */
	CODE(&f, "\x48\x89\x45\xe0");	  /* mov %rax,-0x20(%rbp) */
	elf_branch(&f, X86_CALL, FIRST);
	CODE(&f, "\x48\x89\xde");	  /* mov %rbx,%rsi */
	CODE(&f, "\x48\x8b\x54\x24\x18"); /* mov 0x18(%rsp),%rdx */
	CODE(&f, "\x48\x8b\x4d\xe0");	  /* mov -0x20(%rbp),%rcx */
	pos = elf_branch(&f, X86_CALL, SECOND);
	CODE(&f, "\xc3");
	assert_int_equal(find(&f), 0);
	assert_int_equal(labels.call_count, 3);
	assert_call(0, pos, SECOND, 0, 1);
	assert_call(1, pos, SECOND, 1, 2);
	assert_call(2, pos, SECOND, 1, 3);
}

/* The address of a table, which is no string but added, and no name that is looked for. */
static void test_table(void **state)
{
	static const char *const some[] = { "LABEL_ONE", NULL };
	struct image *image;
	struct elf_file f;
	size_t pos;

	(void)state;
	elf_init(&f, EM_X86_64);
	f.ehdr.e_type = ET_EXEC;
	add_bounds(&f);
	elf_constant(&f, "\x48\x8b\x34\xc5", 4, elf_vaddr(800)); /* mov table(,%rax,8),%rsi */
	elf_constant(&f, "\x48\x8b\x34\x25", 4, elf_vaddr(800)); /* mov table,%rsi */
	elf_lea(&f, RDX, elf_vaddr(800));
	pos = elf_branch(&f, X86_CALL, FIRST);
	CODE(&f, "\xc3");
	labels_done(&labels);
	assert_int_equal(image_open_memory(&f, ELF_FILE_LEN, &image), 0);
	assert_int_equal(labels_find(image, some, 2, 2, &labels), 0);
	assert_int_equal(labels.place_count, 0);
	assert_int_equal(labels_follow(image, &labels), 0);
	assert_int_equal(labels.ref_count, 0);
	assert_int_equal(labels_add(&labels, elf_vaddr(800), 1), 0);
	assert_int_equal(labels_follow(image, &labels), 0);
	image_free(image);
	assert_int_equal(labels.ref_count, 2);
	assert_int_equal(labels.ref[0].vaddr, elf_vaddr(0));
	assert_int_equal(labels.ref[1].vaddr, elf_vaddr(16));
	assert_int_equal(labels.call_count, 1);
	assert_call(0, pos, FIRST, 1, 2);
}

/* Bytes that have a distance to a string in them and are no such instruction. */
static void test_false_patterns(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} patterns[] = {
		{ "\x8d\x35", 2 },	   /* lea distance(%rip),%esi: half an address */
		{ "\x48\x8b\x35", 3 },	   /* mov distance(%rip),%rsi */
		{ "\x48\x8d\xb6", 3 },	   /* lea distance(%rsi),%rsi */
		{ "\x48\x8d\x34\x25", 4 }, /* lea distance,%rsi */
		{ "\xe8", 1 },		   /* call */
		{ "\x0f\x84", 2 },	   /* je */
		{ "\x62\x8d\x35", 3 },	   /* no instruction */
	};
	struct elf_file f;
	uint64_t one;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		elf_init(&f, EM_X86_64);
		one = elf_string(&f, "LABEL_ONE");
		elf_constant(&f, patterns[i].bytes, patterns[i].len,
			     one - elf_vaddr(patterns[i].len + 4));
		CODE(&f, "\xc3");
		assert_int_equal(find(&f), 0);
		assert_int_equal(labels.place_count, 1);
		assert_int_equal(labels.ref_count, 0);
	}
}

static void test_nothing(void **state)
{
	struct elf_file f;

	(void)state;
	elf_init(&f, EM_X86_64);
	assert_int_equal(find(&f), 0);
	assert_int_equal(labels.found, 0);
	/* A string alone, and the code around it is none. */
	elf_string(&f, "LABEL_TWO");
	assert_int_equal(find(&f), 0);
	assert_int_equal(labels.found, 2);
	assert_int_equal(labels.ref_count, 0);
}

/* A file with code of that many bytes and a string behind it. */
static uint8_t *big_new(struct big_file *big, size_t code_len, uint64_t *ret_one)
{
	big_init(big, EM_X86_64, ET_EXEC);
	big_segment(big, PF_R | PF_X, code_len);
	strcpy((char *)big_segment(big, PF_R, 16), "LABEL_ONE");
	*ret_one = big->phdr[1].p_vaddr;
	return big->data + big->phdr[0].p_offset;
}

static int big_find(const struct big_file *big)
{
	return find_in(big->data, big->len);
}

static size_t put_lea(const struct big_file *big, size_t pos, uint8_t modrm, uint64_t target)
{
	uint8_t *p = big->data + big->phdr[0].p_offset + pos;
	int32_t distance = (int32_t)(target - (big->phdr[0].p_vaddr + pos + 7));

	memcpy(p, "\x48\x8d", 2);
	p[2] = modrm;
	memcpy(p + 3, &distance, sizeof(distance));
	return pos + 7;
}

/* Wherever the borders of windows and of the blocks that are looked at are: each once. */
static void test_windows(void **state)
{
	struct big_file big;
	uint64_t one;
	uint8_t *p;
	size_t pos;

	(void)state;
	p = big_new(&big, 2 * IMAGE_WINDOW, &one);
	for (pos = IMAGE_WINDOW - 100; pos < IMAGE_WINDOW + 100; pos++) {
		memcpy(p + put_lea(&big, pos, 0x35, one), "\xff\xd0\xc3", 3); /* call *%rax; ret */
		assert_int_equal(big_find(&big), 0);
		assert_int_equal(labels.ref_count, 1);
		assert_int_equal(labels.ref[0].vaddr, big.phdr[0].p_vaddr + pos);
		assert_int_equal(labels.call_count, 1);
		memset(p + pos, 0, 10);
	}
	for (pos = 1; pos < 100; pos++) {
		uint32_t absolute = (uint32_t)one;

		p[pos] = 0xbe; /* mov $one,%esi */
		memcpy(p + pos + 1, &absolute, sizeof(absolute));
		assert_int_equal(big_find(&big), 0);
		/* Too near to the segment's beginning for the longest form. */
		assert_int_equal(labels.ref_count, pos + 1 >= 8);
		memset(p + pos, 0, 10);
	}
	free(big.data);
}

static void test_limit_places(void **state)
{
	struct big_file big;
	size_t i;
	uint8_t *p;

	(void)state;
	big_init(&big, EM_X86_64, ET_DYN);
	p = big_segment(&big, PF_R, 16 * (LABEL_PLACES_MAX + 1));
	for (i = 0; i < LABEL_PLACES_MAX; i++)
		memcpy(p + 16 * i, "LABEL_ONE", 9);
	assert_int_equal(big_find(&big), 0);
	assert_int_equal(labels.place_count, LABEL_PLACES_MAX);
	memcpy(p + 16 * i, "LABEL_TWO", 9);
	assert_int_equal(big_find(&big), -E2BIG);
	assert_int_equal(labels.place_count, 0);
	/* Of others only the first ones are noted. */
	for (i = 0; i <= LABEL_PLACES_MAX; i++)
		memcpy(p + 16 * i, "not followed", 12);
	assert_int_equal(big_find(&big), 0);
	assert_int_equal(labels.place_count, LABEL_PLACES_EACH);
	free(big.data);
}

static void test_limit_refs(void **state)
{
	struct big_file big;
	uint64_t one;
	size_t i;
	uint8_t *p;

	(void)state;
	p = big_new(&big, 16 * (LABEL_REFS_MAX + 2), &one);
	for (i = 1; i <= LABEL_REFS_MAX; i++)
		p[put_lea(&big, 16 * i, 0x35, one)] = 0xc3;
	assert_int_equal(big_find(&big), 0);
	assert_int_equal(labels.ref_count, LABEL_REFS_MAX);
	p[put_lea(&big, 16 * i, 0x35, one)] = 0xc3;
	assert_int_equal(big_find(&big), -E2BIG);
	assert_int_equal(labels.ref_count, 0);
	free(big.data);
}

/* mov %rbx to all six registers of arguments, and a call. */
static const char all_args[] = "\x48\x89\xdf\x48\x89\xde\x48\x89\xda\x48\x89\xd9\x49\x89\xd8\x49"
			       "\x89\xd9\xe8\0\0\0\0";

static void test_limit_calls(void **state)
{
	size_t len = sizeof(all_args) - 1, i;
	struct big_file big;
	uint64_t one;
	uint8_t *p;

	(void)state;
	p = big_new(&big, 16 + 683 * len + 100, &one);
	put_lea(&big, 9, 0x1d, one); /* to rbx */
	for (i = 0; i < 682; i++)
		memcpy(p + 16 + i * len, all_args, len);
	assert_int_equal(big_find(&big), 0);
	assert_int_equal(labels.call_count, 6 * 682);
	memcpy(p + 16 + i * len, all_args, len);
	assert_int_equal(big_find(&big), -E2BIG);
	free(big.data);
}

/* Each reference is followed through all of the code behind it. */
static void test_limit_steps(void **state)
{
	struct big_file big;
	uint64_t one;
	size_t i, pos;
	uint8_t *p;

	(void)state;
	p = big_new(&big, 20000, &one);
	memset(p, 0x90, 20000);
	for (i = 0, pos = 9; i < 60; i++)
		pos = put_lea(&big, pos, 0x1d, one);
	assert_int_equal(big_find(&big), 0);
	assert_int_equal(labels.ref_count, 60);
	for (; i < 70; i++)
		pos = put_lea(&big, pos, 0x1d, one);
	assert_int_equal(big_find(&big), -E2BIG);
	free(big.data);
}

/* Nothing but the address, which is no instruction. */
static void test_limit_tries(void **state)
{
	struct big_file big;
	uint64_t one;
	uint32_t word;
	uint8_t *p;
	size_t i;

	(void)state;
	p = big_new(&big, 4 * (LABEL_TRIES_MAX + 100), &one);
	word = (uint32_t)one;
	for (i = 0; i < LABEL_TRIES_MAX / 2; i++)
		memcpy(p + 4 * i, &word, sizeof(word));
	assert_int_equal(big_find(&big), 0);
	assert_int_equal(labels.ref_count, 0);
	for (; i < LABEL_TRIES_MAX + 100; i++)
		memcpy(p + 4 * i, &word, sizeof(word));
	assert_int_equal(big_find(&big), -E2BIG);
	free(big.data);
}

static void test_vote(void **state)
{
	struct label_call call[] = {
		{ .target = 100, .label = 0, .arg = 1 }, { .target = 200, .label = 0, .arg = 1 },
		{ .target = 200, .label = 1, .arg = 1 }, { .target = 200, .label = 1, .arg = 1 },
		{ .target = 200, .label = 2, .arg = 2 }, { .target = 0, .label = 3, .arg = 1 },
		{ .target = 0, .label = 4, .arg = 1 },	 { .target = 0, .label = 5, .arg = 1 },
		{ .target = 300, .label = 4, .arg = 1 }, { .target = 300, .label = 31, .arg = 1 },
	};
	struct labels some = { .call = call, .call_count = sizeof(call) / sizeof(call[0]) };
	struct label_vote vote;

	(void)state;
	labels_vote(&some, 0xff, 1, &vote);
	assert_int_equal(vote.target, 200);
	assert_int_equal(vote.labels, 3);
	assert_int_equal(vote.others, 1 << 0 | 1 << 4);
	/* As many as another one: the first counts. */
	labels_vote(&some, UINT32_MAX, 1, &vote);
	assert_int_equal(vote.target, 200);
	assert_int_equal(vote.others, 1U << 0 | 1U << 4 | 1U << 31);
	labels_vote(&some, 1U << 31, 1, &vote);
	assert_int_equal(vote.target, 300);
	assert_int_equal(vote.labels, 1U << 31);
	assert_int_equal(vote.others, 0);
	labels_vote(&some, 0xff, 2, &vote);
	assert_int_equal(vote.target, 200);
	assert_int_equal(vote.labels, 4);
	labels_vote(&some, 0xff, 3, &vote);
	assert_int_equal(vote.target, 0);
	some.call_count = 0;
	labels_vote(&some, 0xff, 1, &vote);
	assert_int_equal(vote.target, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lea),	    cmocka_unit_test(test_constants),
		cmocka_unit_test(test_arm64),	    cmocka_unit_test(test_tail_calls),
		cmocka_unit_test(test_shared_call), cmocka_unit_test(test_stale),
		cmocka_unit_test(test_kept),	    cmocka_unit_test(test_false_patterns),
		cmocka_unit_test(test_table),	    cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_windows),	    cmocka_unit_test(test_limit_places),
		cmocka_unit_test(test_limit_refs),  cmocka_unit_test(test_limit_calls),
		cmocka_unit_test(test_limit_steps), cmocka_unit_test(test_limit_tries),
		cmocka_unit_test(test_vote),
	};

	return cmocka_run_group_tests_name("labels", tests, NULL, teardown);
}

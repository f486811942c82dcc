/* SPDX-License-Identifier: Apache-2.0 */
#include "elf/gotext.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Go's linker aligns functions to this or more. */
#define ALIGN 16
/* Longest check of the stack's size that is recognised. */
#define CHECK_LEN 16
/* Programs have a tenth of that. */
#define CODE_MAX (UINT64_C(512) << 20)
/* So many samples tell places apart that are certainly wrong. */
#define SAMPLES_FIRST 16

/* One executable segment: which of its places are the beginning of a function. */
struct code {
	const struct image *image;
	const uint32_t *offsets;
	size_t count;
	uint64_t end;
	uint64_t vaddr;
	uint64_t len; /* 0: none yet */
	uint8_t *starts;
	uint64_t text;
	size_t found;
};

struct pattern {
	uint8_t len;
	uint8_t any; /* so many bytes behind them may be anything */
	uint8_t bytes[11];
	uint8_t next_len;
	uint8_t next[4];
};

/* Go's cmd/internal/obj/x86/obj6.go, stacksplit(): R14 is the goroutine ... */
static const struct pattern registers_x86[] = {
	/* cmp 16(%r14), %rsp */
	{ .len = 4, .bytes = { 0x49, 0x3b, 0x66, 0x10 } },
	/* lea -N(%rsp), %r12; cmp 16(%r14), %r12 */
	{ 4, 1, { 0x4c, 0x8d, 0x64, 0x24 }, 4, { 0x4d, 0x3b, 0x66, 0x10 } },
	{ 4, 4, { 0x4c, 0x8d, 0xa4, 0x24 }, 4, { 0x4d, 0x3b, 0x66, 0x10 } },
};

/* ... and before there was a register for it, it came from the thread's memory. */
static const struct pattern stack_x86[] = {
	/* mov %fs:-8, %rcx */
	{ .len = 9, .bytes = { 0x64, 0x48, 0x8b, 0x0c, 0x25, 0xf8, 0xff, 0xff, 0xff } },
	/* mov $-8, %rcx; mov %fs:(%rcx), %rcx */
	{ .len = 11,
	  .bytes = { 0x48, 0xc7, 0xc1, 0xf8, 0xff, 0xff, 0xff, 0x64, 0x48, 0x8b, 0x09 } },
	/* mov N(%rip), %rcx; mov %fs:(%rcx), %rcx */
	{ 3, 4, { 0x48, 0x8b, 0x0d }, 4, { 0x64, 0x48, 0x8b, 0x09 } },
};

/* ldr x16, [x28, #16], and before arguments were in registers, ldr x1, [x28, #16] */
static const struct pattern registers_arm64 = { .len = 4, .bytes = { 0x90, 0x0b, 0x40, 0xf9 } };
static const struct pattern stack_arm64 = { .len = 4, .bytes = { 0x81, 0x0b, 0x40, 0xf9 } };

static bool pattern_fits(const struct pattern *pattern, const uint8_t *p, size_t len)
{
	size_t behind = pattern->len + pattern->any;

	return len >= behind + pattern->next_len && !memcmp(p, pattern->bytes, pattern->len) &&
	       !memcmp(p + behind, pattern->next, pattern->next_len);
}

static bool any_fits(const struct pattern *patterns, size_t count, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		if (pattern_fits(&patterns[i], p, len))
			return true;
	}
	return false;
}

enum gotext_abi gotext_abi(uint16_t machine, const uint8_t *p, size_t len)
{
	bool arm = machine == EM_AARCH64;

	if (arm ? any_fits(&registers_arm64, 1, p, len) : any_fits(registers_x86, 3, p, len))
		return GOTEXT_ABI_REGISTERS;
	if (arm ? any_fits(&stack_arm64, 1, p, len) : any_fits(stack_x86, 3, p, len))
		return GOTEXT_ABI_STACK;
	return GOTEXT_ABI_NONE;
}

static size_t hits(const struct code *code, uint64_t text, size_t from, size_t to)
{
	size_t count = 0;

	for (size_t i = from; i < to; i++) {
		uint64_t slot = (text - code->vaddr + code->offsets[i]) / ALIGN;

		if (code->offsets[i] < code->end && !(code->offsets[i] % ALIGN))
			count += code->starts[slot / 8] >> (slot % 8) & 1;
	}
	return count;
}

/* A wrong place hits one function in ten. */
static bool text_fits(const struct code *code, uint64_t text)
{
	size_t first = code->count < SAMPLES_FIRST ? code->count : SAMPLES_FIRST;
	size_t count = hits(code, text, 0, first);

	if (count * 5 < first)
		return false;
	count += hits(code, text, first, code->count);
	return count * 5 >= code->count * 2;
}

static void segment_done(struct code *code)
{
	uint64_t text = (code->vaddr + ALIGN - 1) / ALIGN * ALIGN;

	if (!code->len || code->end > code->len)
		return;
	for (; text - code->vaddr <= code->len - code->end && code->found < 2; text += ALIGN) {
		if (!text_fits(code, text))
			continue;
		code->text = text;
		code->found++;
	}
}

static int segment_begin(struct code *code, uint64_t vaddr)
{
	segment_done(code);
	free(code->starts);
	code->vaddr = vaddr;
	code->len = image_loaded(code->image, vaddr);
	code->starts = NULL;
	if (code->len > CODE_MAX)
		return -EFBIG;
	code->starts = calloc(1, code->len / ALIGN / 8 + 1);
	return code->starts ? 0 : -ENOMEM;
}

static int window(void *arg, uint64_t vaddr, const uint8_t *p, size_t len)
{
	struct code *code = arg;
	uint16_t machine = image_machine(code->image);
	int err;

	if (!code->len || vaddr < code->vaddr || vaddr - code->vaddr >= code->len) {
		err = segment_begin(code, vaddr);
		if (err)
			return err;
	}
	for (size_t i = -vaddr % ALIGN; i < len; i += ALIGN) {
		uint64_t slot = (vaddr + i - code->vaddr) / ALIGN;

		/* Another segment may begin inside of this one. */
		if (slot >= code->len / ALIGN)
			break;
		if (gotext_abi(machine, p + i, len - i) == GOTEXT_ABI_REGISTERS)
			code->starts[slot / 8] |= (uint8_t)(1 << slot % 8);
	}
	return 0;
}

int gotext_find(const struct image *image, const uint32_t *offsets, size_t count, uint64_t end,
		uint64_t *ret_text)
{
	struct code code = { .image = image, .offsets = offsets, .count = count, .end = end };
	int err;

	if (!count || !end)
		return -ENOENT;
	err = image_walk(image, true, CHECK_LEN, window, &code);
	if (!err) {
		segment_done(&code);
		err = code.found == 1 ? 0 : -ENOENT;
	}
	free(code.starts);
	if (!err)
		*ret_text = code.text;
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a TLS library that handle secrets, as compilers make them: the callers of the function
 * that logs secrets, that function, and the one that makes keys from the master secret.
 */
#ifndef ELF_TLS_H
#define ELF_TLS_H

#include "elf_text.h"
#include "event/secret.h"

/* Where the functions begin. */
#define CALLERS	 0
#define LOG	 256
#define INNER	 512
#define KEYS	 640
#define ACCESSOR 896
#define COPY	 960
#define OTHER	 976
#define END	 992

/* In the connection. */
#define RANDOM_AT  0x160
#define SESSION_AT 0x900

enum log_form {
	LOG_JUMPS,  /* to another function, with the client random */
	LOG_CHECKS, /* whether somebody wants the secrets, and then the same */
	LOG_LOOPS,  /* through the 32 bytes of the client random */
	LOG_LOOPS_UNBOUND,
	LOG_TWO_RANDOMS,
	LOG_NOTHING,
};

enum keys_form { KEYS_STACK, KEYS_PUSH, KEYS_CTRL };

static inline void tls_bounds(struct elf_file *f)
{
	static const size_t starts[] = { CALLERS, LOG, INNER, KEYS, ACCESSOR, COPY, OTHER, END };

	elf_unwind(f, starts, sizeof(starts) / sizeof(starts[0]));
}

/* One function that passes all labels, as argument 1. */
static inline void tls_callers(struct elf_file *f, size_t log)
{
	bool arm64 = f->ehdr.e_machine == EM_AARCH64;
	int i;

	f->text_len = CALLERS;
	for (i = 1; i < LABEL_MAX; i++) {
		uint64_t label = elf_string(f, secret_label_name(i));

		if (arm64) {
			arm64_adrp(f, 1, label);
			arm64_add(f, 1, 1, label & 0xfff);
			arm64_branch(f, ARM64_BL, log);
		} else {
			elf_lea(f, RSI, label);
			elf_branch(f, X86_CALL, log);
		}
	}
	if (arm64)
		elf_word(f, ARM64_RET);
	else
		CODE(f, "\xc3");
}

static inline void tls_log_jumps(struct elf_file *f)
{
	CODE(f, "\x49\x89\xc9\x49\x89\xd0");		 /* mov %rcx,%r9; mov %rdx,%r8 */
	CODE(f, "\x48\x8d\x97\x60\x01\x00\x00");	 /* lea 0x160(%rdi),%rdx */
	CODE(f, "\xb9\x20\x00\x00\x00");		 /* mov $0x20,%ecx */
	CODE(f, "\x48\x89\xf0\x48\x89\xfe\x48\x89\xc7"); /* rdi and rsi change places */
	elf_branch(f, X86_JMP, INNER);
}

static inline void tls_log_x86(struct elf_file *f, enum log_form form)
{
	switch (form) {
	case LOG_CHECKS:
		CODE(f, "\x48\x8b\x47\x08");		 /* mov 8(%rdi),%rax */
		CODE(f, "\x48\x83\x78\x40\x00\x75\x06"); /* cmpq $0,0x40(%rax); jne */
		CODE(f, "\xb8\x01\x00\x00\x00\xc3");	 /* mov $1,%eax; ret */
		tls_log_jumps(f);
		break;
	case LOG_JUMPS:
		tls_log_jumps(f);
		break;
	case LOG_LOOPS:
	case LOG_LOOPS_UNBOUND:
		CODE(f, "\x48\x8b\x5f\x30\x31\xc9"); /* mov 0x30(%rdi),%rbx; xor %ecx,%ecx */
		CODE(f, "\x0f\xb6\x44\x0b\x48");     /* movzbl 0x48(%rbx,%rcx),%eax */
		CODE(f, "\x48\x83\xc1\x01");	     /* add $1,%rcx */
		if (form == LOG_LOOPS)
			CODE(f, "\x48\x83\xf9\x20\x75\xf1\xc3"); /* cmp $0x20,%rcx; jne; ret */
		else
			CODE(f, "\x48\x39\xd1\x75\xf2\xc3"); /* cmp %rdx,%rcx; jne; ret */
		break;
	case LOG_TWO_RANDOMS:
		CODE(f, "\x48\x89\xfb\x48\x8d\x7b\x10"); /* mov %rdi,%rbx; lea 0x10(%rbx),%rdi */
		CODE(f, "\xbe\x20\x00\x00\x00");	 /* mov $0x20,%esi */
		elf_branch(f, X86_CALL, COPY);
		CODE(f, "\x48\x8d\x7b\x30\xbe\x20\x00\x00\x00"); /* lea 0x30(%rbx),%rdi; mov */
		elf_branch(f, X86_CALL, COPY);
		CODE(f, "\xc3");
		break;
	case LOG_NOTHING:
		CODE(f, "\xc3");
		break;
	}
}

static inline void tls_log_arm64(struct elf_file *f)
{
	arm64_mov(f, 5, 3);
	arm64_mov(f, 4, 2);
	arm64_const(f, 3, 32);
	arm64_add(f, 2, 0, RANDOM_AT);
	arm64_mov(f, 6, 1);
	arm64_mov(f, 1, 0);
	arm64_mov(f, 0, 6);
	arm64_branch(f, ARM64_B, INNER);
}

static inline void tls_log(struct elf_file *f, enum log_form form)
{
	f->text_len = LOG;
	if (f->ehdr.e_machine == EM_AARCH64)
		tls_log_arm64(f);
	else
		tls_log_x86(f, form);
}

/* int f(ssl, out, len): copies the client random, which is at *(ssl + 0x30) + at. */
static inline void tls_accessor(struct elf_file *f, const char *name, uint8_t at)
{
	f->text_len = ACCESSOR;
	CODE(f, "\x48\x8b\x47\x30");	     /* mov 0x30(%rdi),%rax */
	CODE(f, "\x48\x89\xf7\x48\x8d\x70"); /* mov %rsi,%rdi; lea at(%rax),%rsi */
	elf_code(f, &at, 1);
	elf_branch(f, X86_CALL, COPY);
	CODE(f, "\xc3");
	elf_symbol(f, SECTION_DYNSYM, name, ACCESSOR, f->text_len - ACCESSOR);
}

/* The label, both randoms of 32 bytes, and the master secret, whose length is at *session + 8. */
static inline void tls_keys_stack(struct elf_file *f, uint64_t label)
{
	CODE(f, "\x48\x83\xec\x38");		     /* sub $0x38,%rsp */
	CODE(f, "\x48\x8b\x87\x00\x09\x00\x00");     /* mov 0x900(%rdi),%rax */
	CODE(f, "\x48\x8b\x48\x08");		     /* mov 8(%rax),%rcx */
	CODE(f, "\x48\x83\xc0\x50");		     /* add $0x50,%rax */
	CODE(f, "\x48\x89\x44\x24\x28");	     /* mov %rax,0x28(%rsp) */
	CODE(f, "\x48\x89\x4c\x24\x30");	     /* mov %rcx,0x30(%rsp) */
	CODE(f, "\x48\xc7\x04\x24\x20\x00\x00\x00"); /* movq $0x20,(%rsp) */
	CODE(f, "\x48\x8d\x8f\x40\x01\x00\x00");     /* lea 0x140(%rdi),%rcx */
	CODE(f, "\x4c\x8d\x8f\x60\x01\x00\x00");     /* lea 0x160(%rdi),%r9 */
	CODE(f, "\x41\xb8\x20\x00\x00\x00");	     /* mov $0x20,%r8d */
	CODE(f, "\xba\x0d\x00\x00\x00");	     /* mov $13,%edx */
	elf_lea(f, RSI, label);
	elf_branch(f, X86_CALL, OTHER);
	CODE(f, "\x48\x83\xc4\x38\xc3"); /* add $0x38,%rsp; ret */
}

static inline void tls_keys_push(struct elf_file *f, uint64_t label)
{
	CODE(f, "\x48\x8b\x87\x00\x09\x00\x00");     /* mov 0x900(%rdi),%rax */
	CODE(f, "\xff\x70\x08");		     /* push 8(%rax) */
	CODE(f, "\x48\x83\xc0\x50\x50");	     /* add $0x50,%rax; push %rax */
	CODE(f, "\x6a\x00\x6a\x00\x6a\x00\x6a\x00"); /* push $0, four times */
	CODE(f, "\x6a\x20");			     /* push $0x20 */
	CODE(f, "\x48\x8d\x8f\x40\x01\x00\x00");     /* lea 0x140(%rdi),%rcx */
	CODE(f, "\x4c\x8d\x8f\x60\x01\x00\x00");     /* lea 0x160(%rdi),%r9 */
	CODE(f, "\x41\xb8\x20\x00\x00\x00");	     /* mov $0x20,%r8d */
	CODE(f, "\xba\x0d\x00\x00\x00");	     /* mov $13,%edx */
	elf_lea(f, RSI, label);
	elf_branch(f, X86_CALL, OTHER);
	CODE(f, "\x48\x83\xc4\x38\xc3"); /* add $0x38,%rsp; ret */
}

/* One call for each: f(ctx, -, -, -, length, address). */
static inline void tls_keys_ctrl(struct elf_file *f, uint64_t label)
{
	CODE(f, "\x53\x48\x89\xfb");		     /* push %rbx; mov %rdi,%rbx */
	CODE(f, "\x48\x8b\x83\x00\x09\x00\x00");     /* mov 0x900(%rbx),%rax */
	CODE(f, "\x4c\x8d\x48\x50\x44\x8b\x40\x08"); /* lea 0x50(%rax),%r9; mov 8(%rax),%r8d */
	elf_branch(f, X86_CALL, OTHER);
	elf_lea(f, R9, label);
	CODE(f, "\x41\xb8\x0d\x00\x00\x00"); /* mov $13,%r8d */
	elf_branch(f, X86_CALL, OTHER);
	CODE(f, "\x4c\x8d\x8b\x60\x01\x00\x00\x41\xb8\x20\x00\x00\x00"); /* lea; mov $0x20,%r8d */
	elf_branch(f, X86_CALL, OTHER);
	CODE(f, "\x4c\x8d\x8b\x40\x01\x00\x00\x41\xb8\x20\x00\x00\x00");
	elf_branch(f, X86_CALL, OTHER);
	CODE(f, "\x5b\xc3"); /* pop %rbx; ret */
}

static inline void tls_keys(struct elf_file *f, enum keys_form form)
{
	uint64_t label = elf_string(f, "key expansion");

	f->text_len = KEYS;
	if (form == KEYS_STACK)
		tls_keys_stack(f, label);
	else if (form == KEYS_PUSH)
		tls_keys_push(f, label);
	else
		tls_keys_ctrl(f, label);
}

static inline void tls_file(struct elf_file *f, uint16_t machine, enum log_form form)
{
	elf_init(f, machine);
	tls_bounds(f);
	tls_callers(f, LOG);
	tls_log(f, form);
}

#endif

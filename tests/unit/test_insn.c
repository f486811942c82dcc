/* SPDX-License-Identifier: Apache-2.0 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "elf/insn.h"

#define VADDR  0x401000
#define RAX    0
#define RCX    1
#define RDX    2
#define RBX    3
#define RSP    4
#define RSI    6
#define RDI    7
#define BIT(n) (1U << (n))

/* The bytes are one instruction, no more and no less. */
static const char *const lengths[] = {
	/* one-byte opcodes and constants */
	"\x01\x90",					/* nop */
	"\x02\x66\x90",					/* xchg %ax,%ax */
	"\x02\x04\x7f",					/* add $0x7f,%al */
	"\x05\x05\x78\x56\x34\x12",			/* add $0x12345678,%eax */
	"\x04\x66\x05\x34\x12",				/* add $0x1234,%ax */
	"\x06\x48\x05\x78\x56\x34\x12",			/* add $0x12345678,%rax */
	"\x05\xb8\x78\x56\x34\x12",			/* mov $0x12345678,%eax */
	"\x04\x66\xb8\x34\x12",				/* mov $0x1234,%ax */
	"\x0a\x48\xb8\x08\x07\x06\x05\x04\x03\x02\x01", /* movabs $0x102030405060708,%rax */
	"\x09\xa0\x08\x07\x06\x05\x04\x03\x02\x01",	/* movabs 0x102030405060708,%al */
	"\x06\x67\xa1\x04\x03\x02\x01",			/* addr32 mov 0x1020304,%eax */
	"\x02\x6a\x01",					/* push $1 */
	"\x05\x68\x04\x03\x02\x01",			/* push $0x1020304 */
	"\x04\xc8\x10\x20\x01",				/* enter $0x2010,$1 */
	"\x03\xc2\x08\x04",				/* ret $0x408 */
	"\x02\xf3\xc3",					/* repz ret */
	/* ModRM, SIB and displacements */
	"\x03\x48\x8b\x07",			    /* mov (%rdi),%rax */
	"\x04\x48\x8b\x47\x08",			    /* mov 8(%rdi),%rax */
	"\x07\x48\x8b\x87\x04\x03\x02\x01",	    /* mov 0x1020304(%rdi),%rax */
	"\x07\x48\x8b\x05\x04\x03\x02\x01",	    /* mov 0x1020304(%rip),%rax */
	"\x04\x48\x8b\x04\x24",			    /* mov (%rsp),%rax */
	"\x05\x48\x8b\x44\x24\x08",		    /* mov 8(%rsp),%rax */
	"\x08\x48\x8b\x04\x25\x04\x03\x02\x01",	    /* mov 0x1020304,%rax */
	"\x04\x4b\x8b\x04\xf4",			    /* mov (%r12,%r14,8),%rax */
	"\x05\x49\x8b\x44\x25\x08",		    /* mov 8(%r13),%rax */
	"\x09\x64\x48\x8b\x04\x25\x28\x01\x01\x01", /* mov %fs:0x1010128,%rax */
	/* groups with a constant in some of their members */
	"\x03\xf6\xc1\x01",		    /* test $1,%cl */
	"\x02\xf6\xd1",			    /* not %cl */
	"\x06\xf7\xc1\x04\x03\x02\x01",	    /* test $0x1020304,%ecx */
	"\x05\x66\xf7\xc1\x02\x01",	    /* test $0x102,%cx */
	"\x07\x48\xf7\xc1\x04\x03\x02\x01", /* test $0x1020304,%rcx */
	"\x03\x48\xf7\xd9",		    /* neg %rcx */
	"\x07\x48\xc7\xc0\x04\x03\x02\x01", /* mov $0x1020304,%rax */
	"\x05\x66\xc7\x07\x02\x01",	    /* movw $0x102,(%rdi) */
	"\x06\x69\xc1\x04\x03\x02\x01",	    /* imul $0x1020304,%ecx,%eax */
	/* 0f, 0f 38, 0f 3a */
	"\x04\xf3\x0f\x1e\xfa",			    /* endbr64 */
	"\x09\x66\x0f\x1f\x84\xc1\x04\x03\x02\x01", /* nopw 0x1020304(%rcx,%rax,8) */
	"\x03\x0f\xb6\xc1",			    /* movzbl %cl,%eax */
	"\x05\x48\x0f\xba\xe0\x3f",		    /* bt $63,%rax */
	"\x05\x66\x0f\x70\xc1\x1b",		    /* pshufd $0x1b,%xmm1,%xmm0 */
	"\x05\x66\x0f\x38\xdc\xc1",		    /* aesenc %xmm1,%xmm0 */
	"\x06\x66\x0f\x3a\x0f\xc1\x08",		    /* palignr $8,%xmm1,%xmm0 */
	"\x02\x0f\xa2",				    /* cpuid */
	/* VEX, EVEX, XOP */
	"\x03\xc5\xf8\x77",		    /* vzeroupper */
	"\x04\xc5\xf9\xef\xc1",		    /* vpxor %xmm1,%xmm0,%xmm0 */
	"\x05\xc5\xf9\x70\xc1\x1b",	    /* vpshufd $0x1b,%xmm1,%xmm0 */
	"\x05\xc4\xe2\xf3\xf6\xc1",	    /* mulx %rcx,%rcx,%rax */
	"\x06\xc4\xe3\xfb\xf0\xc1\x12",	    /* rorx $0x12,%rcx,%rax */
	"\x06\x62\xf1\xfd\x48\xef\xc1",	    /* vpxorq %zmm1,%zmm0,%zmm0 */
	"\x07\x62\xf3\xfd\x48\x25\xc1\x55", /* vpternlogq $0x55,%zmm1,%zmm0,%zmm0 */
	"\x07\x62\xf1\x7c\x48\x10\x47\x01", /* vmovups 0x40(%rdi),%zmm0 */
	"\x05\x8f\xe9\x78\x01\xc9",	    /* XOP: blcfill %ecx,%eax */
	"\x06\x8f\xe8\x78\xc2\xc1\x07",	    /* vprotd $7,%xmm1,%xmm0 */
	"\x02\x8f\x07",			    /* pop (%rdi) */
};

static int decode(const char *bytes, size_t len, struct insn *ret_insn)
{
	return insn_decode(EM_X86_64, (const uint8_t *)bytes, len, VADDR, ret_insn);
}

#define DECODE(bytes, insn) assert_int_equal(decode(bytes, sizeof(bytes) - 1, insn), 0)

static void test_lengths(void **state)
{
	struct insn insn;
	size_t i, len, cut;

	(void)state;
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		len = (size_t)lengths[i][0];
		assert_int_equal(decode(lengths[i] + 1, len, &insn), 0);
		assert_int_equal(insn.len, len);
		for (cut = 0; cut < len; cut++)
			assert_int_equal(decode(lengths[i] + 1, cut, &insn), -ENODATA);
	}
}

static void test_branches(void **state)
{
	struct insn insn;

	(void)state;
	DECODE("\xe8\xfb\xff\xff\xff", &insn);
	assert_int_equal(insn.kind, INSN_CALL);
	assert_int_equal(insn.target, VADDR);
	DECODE("\xe9\x10\x00\x00\x00", &insn);
	assert_int_equal(insn.kind, INSN_JMP);
	assert_int_equal(insn.target, VADDR + 0x15);
	DECODE("\xeb\xfe", &insn);
	assert_int_equal(insn.kind, INSN_JMP);
	assert_int_equal(insn.target, VADDR);
	DECODE("\x78\x80", &insn);
	assert_int_equal(insn.kind, INSN_JCC);
	assert_int_equal(insn.target, VADDR + 2 - 0x80);
	DECODE("\x0f\x84\x00\x01\x00\x00", &insn);
	assert_int_equal(insn.kind, INSN_JCC);
	assert_int_equal(insn.target, VADDR + 6 + 0x100);
	/* What a linker leaves of a call through the GOT. */
	DECODE("\x67\xe8\x00\x00\x00\x00", &insn);
	assert_int_equal(insn.kind, INSN_CALL);
	assert_int_equal(insn.target, VADDR + 6);
	DECODE("\xf2\xff\x25\x10\x00\x00\x00", &insn);
	assert_int_equal(insn.kind, INSN_JMP_INDIRECT);
	assert_int_equal(insn.base, INSN_REG_PC);
	assert_int_equal(insn.target, VADDR + 7 + 0x10);
	DECODE("\xff\x50\x38", &insn);
	assert_int_equal(insn.kind, INSN_CALL_INDIRECT);
	assert_int_equal(insn.base, RAX);
	assert_int_equal(insn.disp, 0x38);
	DECODE("\xff\xe0", &insn);
	assert_int_equal(insn.kind, INSN_JMP_INDIRECT);
	assert_int_equal(insn.src, RAX);
	assert_false(insn.memory);
	DECODE("\xc3", &insn);
	assert_int_equal(insn.kind, INSN_RET);
	DECODE("\x0f\x0b", &insn);
	assert_int_equal(insn.kind, INSN_STOP);
}

static void test_moves(void **state)
{
	struct insn insn;

	(void)state;
	DECODE("\x48\x89\xe1", &insn); /* mov %rsp,%rcx */
	assert_int_equal(insn.kind, INSN_MOV);
	assert_int_equal(insn.width, 8);
	assert_int_equal(insn.dst, RCX);
	assert_int_equal(insn.src, RSP);
	DECODE("\x4c\x8b\xc1", &insn); /* mov %rcx,%r8 */
	assert_int_equal(insn.kind, INSN_MOV);
	assert_int_equal(insn.dst, 8);
	assert_int_equal(insn.src, RCX);
	DECODE("\x89\xd2", &insn); /* mov %edx,%edx */
	assert_int_equal(insn.kind, INSN_MOV);
	assert_int_equal(insn.width, 4);
	DECODE("\x66\x89\xd2", &insn); /* mov %dx,%dx */
	assert_int_equal(insn.kind, INSN_OTHER);
	assert_int_equal(insn.writes, BIT(RDX));
	DECODE("\x31\xc9", &insn); /* xor %ecx,%ecx */
	assert_int_equal(insn.kind, INSN_ZERO);
	assert_int_equal(insn.dst, RCX);
	DECODE("\x31\xd1", &insn); /* xor %edx,%ecx */
	assert_int_equal(insn.kind, INSN_OTHER);
	DECODE("\x48\x8d\x4d\xa8", &insn); /* lea -0x58(%rbp),%rcx */
	assert_int_equal(insn.kind, INSN_LEA);
	assert_int_equal(insn.dst, RCX);
	assert_int_equal(insn.src, 5);
	assert_int_equal(insn.disp, -0x58);
	assert_false(insn.memory);
	DECODE("\x48\x8d\x0c\x18", &insn); /* lea (%rax,%rbx,1),%rcx */
	assert_int_equal(insn.kind, INSN_LEA);
	assert_int_equal(insn.src, INSN_REG_NONE);
	DECODE("\x48\x8d\x3d\x10\x00\x00\x00", &insn); /* lea 0x10(%rip),%rdi */
	assert_int_equal(insn.kind, INSN_LEA);
	assert_int_equal(insn.dst, RDI);
	assert_int_equal(insn.src, INSN_REG_NONE);
	assert_int_equal(insn.base, INSN_REG_PC);
	assert_int_equal(insn.target, VADDR + 7 + 0x10);
	DECODE("\x48\x0f\x44\xc8", &insn); /* cmove %rax,%rcx */
	assert_int_equal(insn.kind, INSN_OTHER);
	DECODE("\x41\x54", &insn);
	assert_int_equal(insn.kind, INSN_PUSH);
	assert_int_equal(insn.src, 12);
	DECODE("\x41\x5c", &insn);
	assert_int_equal(insn.kind, INSN_POP);
	assert_int_equal(insn.dst, 12);
}

static void test_constants(void **state)
{
	struct insn insn;

	(void)state;
	DECODE("\xb8\xff\xff\xff\xff", &insn); /* mov $-1,%eax */
	assert_int_equal(insn.kind, INSN_CONST);
	assert_int_equal(insn.dst, RAX);
	assert_int_equal(insn.value, UINT32_MAX);
	assert_int_equal(insn.writes, BIT(RAX));
	DECODE("\x49\xb8\x08\x07\x06\x05\x04\x03\x02\x01", &insn); /* movabs to %r8 */
	assert_int_equal(insn.kind, INSN_CONST);
	assert_int_equal(insn.dst, 8);
	assert_int_equal(insn.value, 0x102030405060708);
	DECODE("\x48\xc7\xc1\xfe\xff\xff\xff", &insn); /* mov $-2,%rcx */
	assert_int_equal(insn.kind, INSN_CONST);
	assert_int_equal(insn.dst, RCX);
	assert_int_equal(insn.value, UINT64_MAX - 1);
	DECODE("\xc7\xc1\xfe\xff\xff\xff", &insn); /* mov $-2,%ecx */
	assert_int_equal(insn.kind, INSN_CONST);
	assert_int_equal(insn.value, UINT32_MAX - 1);
	DECODE("\x66\xb8\x01\x00", &insn); /* mov $1,%ax */
	assert_int_equal(insn.kind, INSN_OTHER);
	DECODE("\x66\xc7\xc1\x01\x00", &insn); /* mov $1,%cx */
	assert_int_equal(insn.kind, INSN_OTHER);
	DECODE("\xc7\x01\x01\x00\x00\x00", &insn); /* movl $1,(%rcx) */
	assert_int_equal(insn.kind, INSN_STORE_CONST);
	assert_int_equal(insn.width, 4);
	assert_int_equal(insn.value, 1);
	DECODE("\x48\x83\xf8\x20", &insn); /* cmp $32,%rax */
	assert_int_equal(insn.kind, INSN_COMPARE);
	assert_int_equal(insn.src, RAX);
	assert_int_equal(insn.value, 32);
	assert_int_equal(insn.writes, 0);
	DECODE("\x6a\x20", &insn); /* push $32 */
	assert_int_equal(insn.kind, INSN_PUSH);
	assert_int_equal(insn.value, 32);
	DECODE("\x48\xff\xc0", &insn); /* inc %rax */
	assert_int_equal(insn.kind, INSN_LEA);
	assert_int_equal(insn.disp, 1);
	DECODE("\x41\x0f\xb6\x54\x04\x30", &insn); /* movzbl 0x30(%r12,%rax,1),%edx */
	assert_int_equal(insn.kind, INSN_LOAD);
	assert_int_equal(insn.width, 1);
	assert_int_equal(insn.scale, 1);
	DECODE("\xc7\xf8\x01\x00\x00\x00", &insn); /* xbegin */
	assert_int_equal(insn.kind, INSN_OTHER);
}

static void test_accesses(void **state)
{
	struct insn insn;

	(void)state;
	DECODE("\x48\x8b\x44\x24\x10", &insn); /* mov 0x10(%rsp),%rax */
	assert_int_equal(insn.kind, INSN_LOAD);
	assert_int_equal(insn.width, 8);
	assert_int_equal(insn.dst, RAX);
	assert_int_equal(insn.base, RSP);
	assert_int_equal(insn.disp, 0x10);
	assert_int_equal(insn.stores, 0);
	DECODE("\x44\x89\x0c\x24", &insn); /* mov %r9d,(%rsp) */
	assert_int_equal(insn.kind, INSN_STORE);
	assert_int_equal(insn.width, 4);
	assert_int_equal(insn.src, 9);
	assert_int_equal(insn.stores, 4);
	DECODE("\x40\x88\x74\x24\x0f", &insn); /* mov %sil,0xf(%rsp) */
	assert_int_equal(insn.kind, INSN_STORE);
	assert_int_equal(insn.width, 1);
	assert_int_equal(insn.src, RSI);
	DECODE("\x88\x74\x24\x0f", &insn); /* mov %dh,0xf(%rsp) */
	assert_int_equal(insn.kind, INSN_OTHER);
	assert_int_equal(insn.stores, 1);
	DECODE("\x64\x48\x8b\x04\x25\x28\x00\x00\x00", &insn); /* mov %fs:0x28,%rax */
	assert_int_equal(insn.kind, INSN_OTHER);
	DECODE("\x83\x7c\x24\x04\x17", &insn); /* cmpl $0x17,4(%rsp) */
	assert_int_equal(insn.stores, 0);
	DECODE("\x48\xc7\x04\x24\x00\x00\x00\x00", &insn); /* movq $0,(%rsp) */
	assert_int_equal(insn.stores, 8);
	DECODE("\x0f\x11\x04\x24", &insn); /* movups %xmm0,(%rsp) */
	assert_int_equal(insn.stores, 16);
	DECODE("\x0f\x10\x04\x24", &insn); /* movups (%rsp),%xmm0 */
	assert_int_equal(insn.stores, 0);
	DECODE("\xdd\x34\x24", &insn); /* fnsave (%rsp) */
	assert_int_equal(insn.stores, INSN_STORES_ANY);
	DECODE("\xf3\xa4", &insn); /* rep movsb */
	assert_int_equal(insn.stores, INSN_STORES_ANY);
	assert_false(insn.memory);
}

static void test_sums(void **state)
{
	struct insn insn;

	(void)state;
	DECODE("\x48\x83\xec\x18", &insn); /* sub $0x18,%rsp */
	assert_int_equal(insn.kind, INSN_LEA);
	assert_int_equal(insn.dst, RSP);
	assert_int_equal(insn.src, RSP);
	assert_int_equal(insn.disp, -0x18);
	DECODE("\x48\x81\xc4\x00\x01\x00\x00", &insn); /* add $0x100,%rsp */
	assert_int_equal(insn.disp, 0x100);
	DECODE("\x48\x05\x18\x01\x00\x00", &insn); /* add $0x118,%rax */
	assert_int_equal(insn.kind, INSN_LEA);
	assert_int_equal(insn.dst, RAX);
	assert_int_equal(insn.src, RAX);
	assert_int_equal(insn.disp, 0x118);
	DECODE("\x48\x2d\x18\x01\x00\x00", &insn); /* sub $0x118,%rax */
	assert_int_equal(insn.kind, INSN_LEA);
	assert_int_equal(insn.disp, -0x118);
	DECODE("\x48\x2d\x00\x00\x00\x80", &insn); /* sub $-0x80000000,%rax */
	assert_int_equal(insn.kind, INSN_OTHER);
	DECODE("\x05\x18\x01\x00\x00", &insn); /* add $0x118,%eax */
	assert_int_equal(insn.kind, INSN_OTHER);
	DECODE("\x48\x83\xe4\xf0", &insn); /* and $-16,%rsp */
	assert_int_equal(insn.kind, INSN_OTHER);
	assert_int_equal(insn.writes, BIT(RSP));
	DECODE("\x83\xc7\x01", &insn); /* add $1,%edi */
	assert_int_equal(insn.kind, INSN_OTHER);
	DECODE("\x48\x01\xc3", &insn); /* add %rax,%rbx */
	assert_int_equal(insn.kind, INSN_ADD);
	assert_int_equal(insn.dst, RBX);
	assert_int_equal(insn.src, RAX);
	DECODE("\x48\x03\x5f\x08", &insn); /* add 8(%rdi),%rbx */
	assert_int_equal(insn.kind, INSN_ADD);
	assert_int_equal(insn.dst, RBX);
	assert_int_equal(insn.src, INSN_REG_NONE);
	DECODE("\xff\x73\x08", &insn); /* push 8(%rbx) */
	assert_int_equal(insn.kind, INSN_PUSH);
	assert_int_equal(insn.src, INSN_REG_NONE);
	DECODE("\x6a\x00", &insn);
	assert_int_equal(insn.kind, INSN_PUSH);
	DECODE("\x9c", &insn); /* pushf */
	assert_int_equal(insn.writes, BIT(RSP));
}

static void test_writes(void **state)
{
	struct insn insn;

	(void)state;
	DECODE("\x48\x63\xd2", &insn); /* movslq %edx,%rdx */
	assert_int_equal(insn.writes, BIT(RDX));
	DECODE("\x48\x8b\x47\x08", &insn); /* mov 8(%rdi),%rax */
	assert_int_equal(insn.writes, BIT(RAX));
	assert_true(insn.memory);
	DECODE("\x48\x89\x47\x08", &insn); /* mov %rax,8(%rdi) */
	assert_int_equal(insn.writes, 0);
	DECODE("\x48\x83\xff\x01", &insn); /* cmp $1,%rdi */
	assert_int_equal(insn.writes, 0);
	DECODE("\x48\x83\xc7\x01", &insn); /* add $1,%rdi */
	assert_int_equal(insn.writes, BIT(RDI));
	DECODE("\xb6\x01", &insn); /* mov $1,%dh */
	assert_int_equal(insn.writes, BIT(RDX));
	DECODE("\x40\xb6\x01", &insn); /* mov $1,%sil */
	assert_int_equal(insn.writes, BIT(RSI));
	DECODE("\x48\x87\xf7", &insn); /* xchg %rsi,%rdi */
	assert_int_equal(insn.writes, BIT(RSI) | BIT(RDI));
	DECODE("\x0f\x48\xc2", &insn); /* cmovs %edx,%eax */
	assert_int_equal(insn.writes, BIT(RAX));
	DECODE("\xf7\xf1", &insn); /* div %ecx */
	assert_int_equal(insn.writes & (BIT(RAX) | BIT(RDX)), BIT(RAX) | BIT(RDX));
	DECODE("\xf3\x48\xab", &insn); /* rep stos */
	assert_int_equal(insn.writes, BIT(RDI) | BIT(RCX));
	DECODE("\x0f\x05", &insn); /* syscall */
	assert_int_equal(insn.writes & (BIT(RAX) | BIT(RCX) | BIT(11)),
			 BIT(RAX) | BIT(RCX) | BIT(11));
	DECODE("\xc4\xe2\xe3\xf6\xc1", &insn); /* mulx %rcx,%rbx,%rax */
	assert_int_equal(insn.writes & (BIT(RAX) | BIT(RBX)), BIT(RAX) | BIT(RBX));
	DECODE("\x66\x0f\x6f\xc8", &insn); /* movdqa %xmm0,%xmm1 */
	assert_int_equal(insn.writes, 0);
}

static void test_nops(void **state)
{
	struct insn insn;

	(void)state;
	DECODE("\x0f\x1f\x40\x00", &insn);
	assert_int_equal(insn.kind, INSN_NOP);
	assert_int_equal(insn.writes, 0);
	assert_false(insn.memory);
	DECODE("\xf3\x0f\x1e\xfa", &insn);
	assert_int_equal(insn.kind, INSN_NOP);
	DECODE("\x41\x90", &insn); /* xchg %r8d,%eax */
	assert_int_equal(insn.kind, INSN_OTHER);
	DECODE("\xf3\x48\x0f\x1e\xc8", &insn); /* rdsspq %rax */
	assert_int_equal(insn.kind, INSN_OTHER);
	assert_int_equal(insn.writes, BIT(RAX));
}

#define REFUSE(bytes) assert_int_equal(decode(bytes, sizeof(bytes) - 1, &insn), -EILSEQ)

static void test_invalid(void **state)
{
	struct insn insn = { .len = 42 };

	(void)state;
	REFUSE("\x06");				/* push %es: not in 64-bit mode */
	REFUSE("\x9a\x01\x02\x03\x04\x05\x06"); /* lcall */
	REFUSE("\xd6");				/* salc */
	REFUSE("\x0f\x04");			/* no such opcode */
	REFUSE("\xff\xf8");			/* group 5 has no seventh member */
	REFUSE("\xc7\xc8\x01\x02\x03\x04");	/* nor has mov */
	REFUSE("\x48\x48\x89\xe1");		/* REX twice */
	REFUSE("\x66\xe8\x01\x02\x03\x04");	/* processors differ about its length */
	REFUSE("\x48\xc5\xf8\x77");		/* REX before VEX */
	REFUSE("\xc4\xe0\x78\x10\xc0");		/* VEX map 0 */
	REFUSE("\x62\xf4\x7c\x08\x01\xc0");	/* EVEX map 4 */
	REFUSE("\x66\x66\x66\x66\x66\x66\x66\x66"
	       "\x66\x66\x66\x66\x66\x66\x66\x90"); /* 16 bytes */
	assert_int_equal(decode("", 0, &insn), -ENODATA);
	assert_int_equal(insn.len, 42);
	assert_int_equal(insn_decode(EM_RISCV, (const uint8_t *)"\x13\x00\x00\x00", 4, 0, &insn),
			 -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),	  cmocka_unit_test(test_branches),
		cmocka_unit_test(test_moves),	  cmocka_unit_test(test_writes),
		cmocka_unit_test(test_accesses),  cmocka_unit_test(test_sums),
		cmocka_unit_test(test_nops),	  cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_constants),
	};

	return cmocka_run_group_tests_name("insn", tests, NULL, NULL);
}

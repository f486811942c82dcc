/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel's verifier says about the programs: bytes of stack of each function, and how
 * much there was to verify. It is meant to fail, not to be skipped, where BPF can't be used.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/abi.h"
#include "plain.skel.h"

#define LOG_SIZE  (1 << 16)
#define LOG_STATS 4 /* BPF_LOG_STATS of the kernel's include/linux/bpf_verifier.h */

/*
 * The kernel rounds up to 16 and gives a function with 64 or more a private stack for each CPU, on
 * x86-64 from 6.13 on. A uprobe program can be preempted: another one would overwrite it.
 */
#define STACK_MAX 48

/* Instructions verified, on Linux 6.18. Compilers and kernels differ; twice that is a change. */
static const struct {
	const char *name;
	unsigned int insns;
} today[] = {
	{ "call_enter", 520 },	   { "call_return", 161000 },	{ "handle_free", 95 },
	{ "socket_send", 161000 }, { "socket_receive", 195 },	{ "socket_adjust", 195 },
	{ "process_exit", 234 },   { "process_exec", 80 },	{ "process_fork", 59 },
	{ "record_move", 161000 }, { "secret_handed", 161000 },
};

#define PROGRAMS (sizeof(today) / sizeof(today[0]))

static struct plain_bpf *skel;
static char *logs[PROGRAMS];
static int load_result = -ENODEV;

/* Index in the table; PROGRAMS when it is not there. */
static size_t index_of(const char *name)
{
	size_t i = 0;

	while (i < PROGRAMS && strcmp(today[i].name, name))
		i++;
	return i;
}

static int load(void **state)
{
	struct bpf_program *prog;

	(void)state;
	skel = plain_bpf__open();
	if (!skel)
		return 0;
	/* All of the code is to be verified: the verifier leaves out what can't be reached. */
	skel->rodata->cfg_self = (uint32_t)getpid();
	skel->rodata->cfg_filters = (1U << FILTER_MAX) - 1;
	skel->rodata->cfg_children = true;
	skel->rodata->cfg_wake_bytes = 1 << 20;
	bpf_map__set_max_entries(skel->maps.ring, 1 << 20);
	bpf_object__for_each_program(prog, skel->obj)
	{
		size_t i = index_of(bpf_program__name(prog));

		if (i == PROGRAMS)
			continue;
		logs[i] = calloc(1, LOG_SIZE);
		bpf_program__set_log_buf(prog, logs[i], LOG_SIZE);
		bpf_program__set_log_level(prog, LOG_STATS);
	}
	load_result = plain_bpf__load(skel);
	return 0;
}

static int unload(void **state)
{
	(void)state;
	plain_bpf__destroy(skel);
	for (size_t i = 0; i < PROGRAMS; i++)
		free(logs[i]);
	return 0;
}

/* What follows a key in the verifier's log; the test ends when it is not there. */
static const char *log_value(size_t i, const char *key)
{
	const char *at = logs[i] ? strstr(logs[i], key) : NULL;

	if (!at)
		fail_msg("%s: no \"%s\" in the verifier's log", today[i].name, key);
	return at + strlen(key);
}

static void loads(void **state)
{
	(void)state;
	if (load_result)
		fail_msg("BPF can't be used here: %s", strerror(-load_result));
}

static void table_is_complete(void **state)
{
	struct bpf_program *prog;
	size_t count = 0;

	(void)state;
	assert_int_equal(load_result, 0);
	bpf_object__for_each_program(prog, skel->obj)
	{
		if (index_of(bpf_program__name(prog)) == PROGRAMS)
			fail_msg("%s is not in the table", bpf_program__name(prog));
		assert_true(bpf_program__fd(prog) >= 0);
		count++;
	}
	assert_int_equal(count, PROGRAMS);
}

/* "stack depth 40+16+0": a figure for each function. Returns the largest. */
static unsigned long deepest(const char *figures)
{
	unsigned long max = 0;
	char *end;

	for (;; figures = end + 1) {
		unsigned long depth = strtoul(figures, &end, 10);

		assert_true(end > figures);
		if (depth > max)
			max = depth;
		if (*end != '+')
			return max;
	}
}

static void stack_is_small(void **state)
{
	bool good = true;

	(void)state;
	assert_int_equal(load_result, 0);
	for (size_t i = 0; i < PROGRAMS; i++) {
		const char *at = log_value(i, "stack depth ");
		unsigned long max = deepest(at);

		print_message("# %s: stack %.*s%s\n", today[i].name, (int)strcspn(at, " \n"), at,
			      max > STACK_MAX ? ", too much" : "");
		good &= max <= STACK_MAX;
	}
	assert_true(good);
}

/* "processed 1234 insns (limit ...". */
static void little_to_verify(void **state)
{
	bool good = true;

	(void)state;
	assert_int_equal(load_result, 0);
	for (size_t i = 0; i < PROGRAMS; i++) {
		unsigned long insns = strtoul(log_value(i, "processed "), NULL, 10);

		print_message("# %s: %lu instructions verified, limit %u\n", today[i].name, insns,
			      2 * today[i].insns);
		good &= insns > 0 && insns <= 2 * today[i].insns;
	}
	assert_true(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads),
		cmocka_unit_test(table_is_complete),
		cmocka_unit_test(stack_is_small),
		cmocka_unit_test(little_to_verify),
	};

	return cmocka_run_group_tests(tests, load, unload);
}

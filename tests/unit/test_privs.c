/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of root after privileges are dropped. Each test does it in a child. */
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/capability.h>

#include "util/privs.h"

#define BIT(cap) (1ULL << (cap))
#define NOBODY	 65534

/* As the kernel sees the child. */
struct seen {
	int r;
	uint64_t inherited, permitted, effective, bounding, ambient;
	unsigned int no_new_privs;
	uid_t uid[3];
	gid_t gid[3];
	int groups;
	int root_again; /* errno of setuid(0) */
	int has_bpf, has_kill;
};

static void read_status(struct seen *seen)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		(void)sscanf(line, "CapInh: %" SCNx64, &seen->inherited);
		(void)sscanf(line, "CapPrm: %" SCNx64, &seen->permitted);
		(void)sscanf(line, "CapEff: %" SCNx64, &seen->effective);
		(void)sscanf(line, "CapBnd: %" SCNx64, &seen->bounding);
		(void)sscanf(line, "CapAmb: %" SCNx64, &seen->ambient);
		(void)sscanf(line, "NoNewPrivs: %u", &seen->no_new_privs);
	}
	if (f)
		fclose(f);
}

static void drop(const struct privs_keep *keep, int out)
{
	gid_t groups[2] = { 0, 27 };
	struct seen seen;

	memset(&seen, 0xff, sizeof(seen));
	(void)setgroups(2, groups);
	seen.r = privs_drop(keep);
	read_status(&seen);
	(void)getresuid(&seen.uid[0], &seen.uid[1], &seen.uid[2]);
	(void)getresgid(&seen.gid[0], &seen.gid[1], &seen.gid[2]);
	seen.groups = getgroups(0, NULL);
	seen.has_bpf = privs_has(CAP_BPF);
	seen.has_kill = privs_has(CAP_KILL);
	seen.root_again = setuid(0) ? errno : 0;
	(void)!write(out, &seen, sizeof(seen));
}

static struct seen dropped(const struct privs_keep *keep, const char *uid, const char *gid)
{
	struct seen seen;
	int fds[2], status;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_return_code(pid, errno);
	if (!pid) {
		unsetenv("SUDO_UID");
		unsetenv("SUDO_GID");
		if (uid)
			setenv("SUDO_UID", uid, 1);
		if (gid)
			setenv("SUDO_GID", gid, 1);
		drop(keep, fds[1]);
		_exit(0);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &seen, sizeof(seen)), sizeof(seen));
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return seen;
}

static void assert_left(const struct seen *seen, uint64_t caps, uid_t uid, gid_t gid)
{
	assert_int_equal(seen->r, 0);
	assert_int_equal(seen->permitted, caps);
	assert_int_equal(seen->effective, caps);
	assert_int_equal(seen->inherited, 0);
	assert_int_equal(seen->ambient, 0);
	assert_int_equal(seen->bounding, 0);
	assert_int_equal(seen->no_new_privs, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(seen->uid[i], uid);
		assert_int_equal(seen->gid[i], gid);
	}
	assert_int_equal(seen->groups, 0);
	assert_int_equal(seen->root_again, EPERM);
	assert_int_equal(seen->has_bpf, (caps & BIT(CAP_BPF)) != 0);
	assert_int_equal(seen->has_kill, (caps & BIT(CAP_KILL)) != 0);
}

static void keeps_nothing(void **state)
{
	struct privs_keep keep = { 0 };
	struct seen seen = dropped(&keep, NULL, NULL);

	(void)state;
	assert_left(&seen, 0, NOBODY, NOBODY);
}

static void keeps_what_is_asked_for(void **state)
{
	struct privs_keep keep = { .bpf = true };
	struct seen seen;

	(void)state;
	/* Without it there is nothing to keep. */
	if (geteuid() == 0)
		assert_true(privs_has(CAP_BPF) && privs_has(CAP_KILL) && privs_has(CAP_SETPCAP));
	seen = dropped(&keep, NULL, NULL);
	assert_left(&seen, BIT(CAP_BPF), NOBODY, NOBODY);
	keep = (struct privs_keep) { .kill = true };
	seen = dropped(&keep, NULL, NULL);
	assert_left(&seen, BIT(CAP_KILL), NOBODY, NOBODY);
	keep.bpf = true;
	seen = dropped(&keep, NULL, NULL);
	assert_left(&seen, BIT(CAP_BPF) | BIT(CAP_KILL), NOBODY, NOBODY);
}

static void becomes_the_user(void **state)
{
	struct privs_keep keep = { .bpf = true };
	struct seen seen = dropped(&keep, "1000", "1001");

	(void)state;
	assert_left(&seen, BIT(CAP_BPF), 1000, 1001);
}

/* Whatever the environment says, it is not root. */
static void never_root(void **state)
{
	static const char *const ids[] = {
		"0", "", "x", "-1", "4294967295", "4294967296", "1000 "
	};
	struct privs_keep keep = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct seen seen = dropped(&keep, ids[i], ids[i]);

		assert_left(&seen, 0, NOBODY, NOBODY);
	}
}

/* Root without what makes it special: files of root's can be opened by their owner. */
static void stays_root(void **state)
{
	struct privs_keep keep = { .bpf = true, .root = true };
	struct seen seen = dropped(&keep, "1000", "1001");

	(void)state;
	seen.root_again = seen.root_again ? seen.root_again : EPERM;
	assert_left(&seen, BIT(CAP_BPF), 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_nothing),    cmocka_unit_test(keeps_what_is_asked_for),
		cmocka_unit_test(becomes_the_user), cmocka_unit_test(never_root),
		cmocka_unit_test(stays_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

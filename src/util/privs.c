// SPDX-License-Identifier: Apache-2.0
#include "util/privs.h"

#include <errno.h>
#include <grp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "util/options.h"

#define NOBODY 65534

/* Debian 12's libcap knows it; older kernel headers may not. */
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

bool privs_has(int cap)
{
	cap_flag_value_t value = CAP_CLEAR;
	cap_t caps = cap_get_proc();

	if (caps) {
		(void)cap_get_flag(caps, cap, CAP_EFFECTIVE, &value);
		cap_free(caps);
	}
	return value == CAP_SET;
}

static unsigned int id_from_env(const char *name)
{
	const char *text = getenv(name);
	uint64_t id;

	if (text && !number_parse(text, 1, INT32_MAX, &id))
		return id;
	return NOBODY;
}

static int leave_root(bool keep)
{
	gid_t gid = keep ? 0 : id_from_env("SUDO_GID");
	uid_t uid = keep ? 0 : id_from_env("SUDO_UID");

	if (geteuid() != 0)
		return 0;
	if (prctl(PR_SET_KEEPCAPS, 1))
		return -errno;
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

static int keep_only(const struct privs_keep *keep)
{
	cap_value_t wanted[2];
	int count = 0, r = 0;
	cap_t caps = cap_init();

	if (!caps)
		return -errno;
	if (keep->bpf && privs_has(CAP_BPF))
		wanted[count++] = CAP_BPF;
	if (keep->kill && privs_has(CAP_KILL))
		wanted[count++] = CAP_KILL;
	if (count && (cap_set_flag(caps, CAP_PERMITTED, count, wanted, CAP_SET) ||
		      cap_set_flag(caps, CAP_EFFECTIVE, count, wanted, CAP_SET)))
		r = -errno;
	if (!r && cap_set_proc(caps))
		r = -errno;
	cap_free(caps);
	return r;
}

int privs_drop(const struct privs_keep *keep)
{
	struct privs_keep now = *keep;
	cap_t caps;
	int r;

	/* Without CAP_SETPCAP the bounding set stays; no_new_privs then does the same work. */
	if (privs_has(CAP_SETPCAP)) {
		for (int cap = 0; cap <= cap_max_bits() - 1; cap++)
			(void)cap_drop_bound(cap);
	}
	/* Leaving uid 0 clears the effective set, also with PR_SET_KEEPCAPS: note it before. */
	now.bpf = keep->bpf && privs_has(CAP_BPF);
	now.kill = keep->kill && privs_has(CAP_KILL);
	r = leave_root(keep->root);
	if (r)
		return r;
	caps = cap_get_proc();
	if (!caps)
		return -errno;
	/* Effective follows permitted for a moment, so that keep_only() sees what there is. */
	(void)cap_fill(caps, CAP_EFFECTIVE, CAP_PERMITTED);
	(void)cap_set_proc(caps);
	cap_free(caps);
	r = keep_only(&now);
	if (r)
		return r;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

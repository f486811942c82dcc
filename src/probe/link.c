// SPDX-License-Identifier: Apache-2.0
#include "probe/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* Linux 6.6, include/uapi/linux/bpf.h; the headers and libbpf of Debian 12 are older. */
#define TRACE_UPROBE_MULTI  48
#define UPROBE_MULTI_RETURN 1

struct multi_attr {
	uint32_t prog_fd;
	uint32_t target_fd;
	uint32_t attach_type;
	uint32_t flags;
	uint64_t path;
	uint64_t offsets;
	uint64_t ref_ctr_offsets;
	uint64_t cookies;
	uint32_t count;
	uint32_t multi_flags;
	uint32_t pid;
	uint32_t pad;
};

static int multi_link(int prog_fd, const char *path, uint32_t flags, pid_t pid,
		      const uint64_t *offsets, const uint64_t *cookies, size_t count)
{
	struct multi_attr attr = {
		.prog_fd = (uint32_t)prog_fd,
		.attach_type = TRACE_UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)offsets,
		.cookies = (uintptr_t)cookies,
		.count = (uint32_t)count,
		.multi_flags = flags,
		.pid = (uint32_t)pid,
	};
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : (int)fd;
}

bool probe_multi_supported(void)
{
	/* r0 = 0; exit */
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = TRACE_UPROBE_MULTI);
	uint64_t offset = UINT64_MAX;
	int prog, r;

	prog = bpf_prog_load(BPF_PROG_TYPE_KPROBE, "multi", "GPL", insns, 2, &opts);
	if (prog < 0)
		return false;
	/* "/" is no regular file: a kernel that gets as far as looking at it says EBADF. */
	r = multi_link(prog, "/", 0, 0, &offset, NULL, 1);
	/* Kernels that check the pid filter it by process; before, it was by thread. */
	if (r == -EBADF && multi_link(prog, "/", 0, -1, &offset, NULL, 1) != -EINVAL)
		r = -EOPNOTSUPP;
	if (r >= 0)
		close(r);
	close(prog);
	return r == -EBADF;
}

void probe_multi_prepare(struct bpf_program *prog)
{
	bpf_program__set_expected_attach_type(prog, TRACE_UPROBE_MULTI);
}

/* The kernel takes paths only; this one leads to the very file that has been looked at. */
static void fd_path(int fd, char *path, size_t len)
{
	snprintf(path, len, "/proc/self/fd/%d", fd);
}

int probe_attach_multi(struct probe_links *links, const struct bpf_program *prog, bool retprobe,
		       int file, pid_t pid, const uint64_t *offsets, const uint64_t *cookies,
		       size_t count)
{
	int *fds = reallocarray(links->fds, links->fd_count + 1, sizeof(*fds));
	char path[32];
	int fd;

	if (!fds)
		return -ENOMEM;
	links->fds = fds;
	fd_path(file, path, sizeof(path));
	fd = multi_link(bpf_program__fd(prog), path, retprobe ? UPROBE_MULTI_RETURN : 0, pid,
			offsets, cookies, count);
	if (fd < 0)
		return fd;
	links->fds[links->fd_count++] = fd;
	return 0;
}

int probe_attach_perf(struct probe_links *links, const struct bpf_program *prog, bool retprobe,
		      int file, pid_t pid, const uint64_t *offsets, const uint64_t *cookies,
		      size_t count)
{
	struct bpf_link **all = reallocarray(links->links, links->link_count + count, sizeof(*all));
	char path[32];

	if (!all)
		return -ENOMEM;
	links->links = all;
	fd_path(file, path, sizeof(path));
	for (size_t i = 0; i < count; i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .retprobe = retprobe, .bpf_cookie = cookies[i]);
		struct bpf_link *link = bpf_program__attach_uprobe_opts(prog, pid ? pid : -1, path,
									offsets[i], &opts);

		if (!link)
			return -errno;
		links->links[links->link_count++] = link;
	}
	return 0;
}

void probe_links_done(struct probe_links *links)
{
	/* Last one first: probes at entries, which came last, go before those at returns. */
	while (links->fd_count)
		close(links->fds[--links->fd_count]);
	while (links->link_count)
		bpf_link__destroy(links->links[--links->link_count]);
	free(links->fds);
	free(links->links);
	memset(links, 0, sizeof(*links));
}

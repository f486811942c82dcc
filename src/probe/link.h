/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uprobes on a file: one link for many sites where the kernel has uprobe_multi (6.6), else one
 * perf event each.
 */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROBE_SITES_MAX 64

struct bpf_link;
struct bpf_program;

/* Everything attached, to be detached together. */
struct probe_links {
	int *fds; /* uprobe_multi */
	size_t fd_count;
	struct bpf_link **links; /* perf events */
	size_t link_count;
};

/* Found by trying. */
bool probe_multi_supported(void);
/* Before loading: such a program can only be attached by probe_attach_multi(). */
void probe_multi_prepare(struct bpf_program *prog);

/*
 * file: descriptor of the ELF file. pid 0: every process. offsets and cookies: count each, at
 * most PROBE_SITES_MAX. Negative errno of the kernel.
 */
int probe_attach_multi(struct probe_links *links, const struct bpf_program *prog, bool retprobe,
		       int file, pid_t pid, const uint64_t *offsets, const uint64_t *cookies,
		       size_t count);
int probe_attach_perf(struct probe_links *links, const struct bpf_program *prog, bool retprobe,
		      int file, pid_t pid, const uint64_t *offsets, const uint64_t *cookies,
		      size_t count);
void probe_links_done(struct probe_links *links);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "probe/feature.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "probe/link.h"

static bool has_bpf(void)
{
	return libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_KPROBE, NULL) == 1;
}

static bool has_uprobes(void)
{
	return access("/sys/bus/event_source/devices/uprobe/type", R_OK) == 0;
}

static bool has_btf(void)
{
	struct btf *btf = btf__load_vmlinux_btf();

	btf__free(btf);
	return btf != NULL;
}

static bool has_ringbuf(void)
{
	return libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL) == 1;
}

static bool has_loop(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_loop, NULL) == 1;
}

static bool has_cookie(void)
{
	return libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_attach_cookie, NULL) == 1;
}

/* A tracepoint exists when the kernel's BTF has the type of its handler. */
static bool has_tracepoint(const char *name)
{
	struct btf *btf = btf__load_vmlinux_btf();
	char type[64];
	bool found;

	if (!btf)
		return false;
	snprintf(type, sizeof(type), "btf_trace_%s", name);
	found = btf__find_by_name_kind(btf, type, BTF_KIND_TYPEDEF) > 0;
	btf__free(btf);
	return found;
}

static bool has_socket_points(void)
{
	return has_tracepoint("sock_send_length") && has_tracepoint("sock_recv_length");
}

static bool has_adjust_point(void)
{
	return has_tracepoint("tcp_rcv_space_adjust");
}

const struct feature features[] = {
	{ "BPF programs for probes", true, "not permitted, or not in this kernel", has_bpf },
	{ "uprobes", true, "nothing can be probed (CONFIG_UPROBE_EVENTS)", has_uprobes },
	{ "BTF of the kernel", true, "kernel fields can't be found (CONFIG_DEBUG_INFO_BTF)",
	  has_btf },
	{ "ring buffer (5.8)", true, "there is no way to carry data out of the kernel",
	  has_ringbuf },
	{ "probe cookies (5.15)", true, "probes can't tell the functions apart", has_cookie },
	{ "bpf_loop (5.17)", true, "large buffers can't be copied", has_loop },
	{ "uprobe_multi links (6.6)", false,
	  "one perf event for each probe; attaching and ending take longer",
	  probe_multi_supported },
	{ "socket tracepoints (6.3)", false,
	  "addresses are learnt from received data only, and a write of megabytes reaches the ring "
	  "at once instead of record by record: give it room with --ring",
	  has_socket_points },
	{ "tcp_rcv_space_adjust", false, "without the one above connections have no addresses",
	  has_adjust_point },
	{ 0 },
};

static int print_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int print_all(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : vfprintf(stderr, format, args);
}

void feature_quiet(bool verbose)
{
	libbpf_set_print(verbose ? print_all : print_nothing);
}

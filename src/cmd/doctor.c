// SPDX-License-Identifier: Apache-2.0
/* cleartap doctor: what this kernel and this user allow, and what is used instead. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "app/log.h"
#include "app/targets.h"
#include "cmd/command.h"
#include "probe/feature.h"
#include "probe/tap.h"
#include "util/exitcode.h"

static void line(const char *state, const char *name, const char *detail)
{
	printf("%-8s %s%s%s\n", state, name, *detail ? ": " : "", detail);
}

/* First line of a small file under /proc or /sys, "" when it can't be read. */
static void read_line(const char *path, char *buf, int len)
{
	FILE *f = fopen(path, "re");

	*buf = '\0';
	if (!f)
		return;
	if (!fgets(buf, len, f))
		*buf = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	fclose(f);
}

static void show_system(void)
{
	struct utsname name;
	char text[128];

	if (!uname(&name)) {
		snprintf(text, sizeof(text), "%.60s, %.60s", name.release, name.machine);
		line("info", "kernel", text);
	}
	snprintf(text, sizeof(text), "uid %u", geteuid());
	line("info", "user", text);
	read_line("/sys/kernel/security/lockdown", text, sizeof(text));
	if (*text)
		line("info", "lockdown", text);
	read_line("/proc/sys/kernel/unprivileged_bpf_disabled", text, sizeof(text));
	if (*text)
		line("info", "kernel.unprivileged_bpf_disabled", text);
}

static bool show_features(void)
{
	bool good = true;

	for (const struct feature *f = features; f->name; f++) {
		if (f->present()) {
			line("ok", f->name, "");
			continue;
		}
		line(f->needed ? "MISSING" : "without", f->name, f->without);
		good = good && !f->needed;
	}
	return good;
}

/* The real thing, with a small ring: tells more than any single feature. */
static bool show_load(void)
{
	struct tap_config config = { .ring_bytes = 64 << 10 };
	struct tap *tap = NULL;
	int r = tap_new(&config, &tap);

	if (r)
		line("MISSING", "loading cleartap's programs", strerror(-r));
	else
		line("ok", "loading cleartap's programs", "");
	tap_free(tap);
	return r == 0;
}

static void show_library(const struct target *t, const struct tls_sites *s)
{
	char text[128];

	snprintf(text, sizeof(text), "%s, %zu function%s to probe%s%s", s->library->name, s->count,
		 s->count == 1 ? "" : "s",
		 !s->count || s->internal ? "" : ", by exported names: BIO_f_ssl is not seen",
		 s->secret_count ? ", secrets" : "");
	line("ok", t->path, text);
	for (size_t i = 0; i < s->missing_count; i++) {
		snprintf(text, sizeof(text), "no %.40s", s->missing[i]->function);
		printf("%-8s   %s: %s\n", "without", text, s->missing[i]->costs);
	}
}

static bool show_targets(void)
{
	struct targets targets = { .plaintext = true, .secrets = true };
	bool found;

	(void)targets_add_system(&targets);
	(void)targets_add_all(&targets);
	for (size_t i = 0; i < targets.count; i++) {
		for (size_t j = 0; j < targets.items[i].found_count; j++)
			show_library(&targets.items[i], &targets.items[i].found[j]);
	}
	found = targets.count > 0;
	if (!found)
		line("MISSING", "TLS libraries", "none found");
	targets_done(&targets);
	return found;
}

int cmd_doctor(int argc, char **argv)
{
	bool good;

	if (argc > 1) {
		if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
			printf("usage: cleartap doctor\n\nSays what this kernel and this user "
			       "allow, what is used instead of what is missing,\nand which TLS "
			       "libraries there are. Exit status: 0 all is there, 3 something that "
			       "is\n"
			       "needed is missing, 4 there is no TLS library.\n");
			return EXITCODE_OK;
		}
		log_error("doctor takes no options, not '%s'", argv[1]);
		return EXITCODE_USAGE;
	}
	feature_quiet(false);
	show_system();
	good = show_features();
	good = show_load() && good;
	if (!good)
		return EXITCODE_DENIED;
	return show_targets() ? EXITCODE_OK : EXITCODE_NOTHING;
}

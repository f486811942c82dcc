// SPDX-License-Identifier: Apache-2.0
/* cleartap: what goes through TLS on this machine. Finds the subcommand and runs it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/command.h"
#include "util/exitcode.h"
#include "version.h"

static const struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} subcommands[] = {
	{ "tls", cmd_tls, "print the plaintext of TLS connections" },
	{ "keys", cmd_keys, "print the secrets of TLS connections as a key log" },
	{ "explain", cmd_explain, "say what is probed in a file or process, and how it was found" },
	{ "doctor", cmd_doctor, "say what this kernel and this user allow" },
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(*subcommands))

static int usage(FILE *out, int status)
{
	fprintf(out, "usage: cleartap SUBCOMMAND [OPTIONS]\n"
		     "       cleartap -- COMMAND [ARGS]    run a command and tap it\n\n");
	for (size_t i = 0; i < SUBCOMMANDS; i++)
		fprintf(out, "  %-8s %s\n", subcommands[i].name, subcommands[i].help);
	fprintf(out,
		"\n'cleartap SUBCOMMAND --help' lists its options; the manual is cleartap(8).\n"
		"To begin: sudo cleartap tls\n");
	return status;
}

static int run(int argc, char **argv)
{
	if (argc < 2)
		return usage(stderr, EXITCODE_USAGE);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return usage(stdout, EXITCODE_OK);
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("cleartap %s\n", CLEARTAP_VERSION);
		return EXITCODE_OK;
	}
	/* "cleartap -- COMMAND": the name in front makes room for tls's own argv[0]. */
	if (!strcmp(argv[1], "--"))
		return cmd_tls(argc, argv);
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		if (!strcmp(argv[1], subcommands[i].name))
			return subcommands[i].run(argc - 1, argv + 1);
	}
	if (argv[1][0] == '-')
		fprintf(stderr, "cleartap: options come behind a subcommand: cleartap tls %s ...\n",
			argv[1]);
	else
		fprintf(stderr,
			"cleartap: there is no subcommand '%s'; 'cleartap --help' lists them\n",
			argv[1]);
	return EXITCODE_USAGE;
}

int main(int argc, char **argv)
{
	int status, fd;

	/*
	 * With one of these closed, the next file opened would get what is meant for it. Read only,
	 * so that writing fails as it should.
	 */
	do {
		fd = open("/dev/null", O_RDONLY);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	status = run(argc, argv);

	/* Help and lists go through stdio: a full disk must not pass unseen. */
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "cleartap: can't write to the standard output\n");
		return status ? status : EXITCODE_FAILURE;
	}
	return status;
}

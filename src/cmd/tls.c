// SPDX-License-Identifier: Apache-2.0
/* cleartap tls: prints the plaintext of TLS connections. */
#include "cmd/command.h"
#include "cmd/tap.h"

static const struct option_def options[] = {
	{ OPTION_FLAG, "hex", 'x', TAP_FIELD(request.hex), NULL, "bytes as hexdump -C prints them",
	  0, 0 },
	{ OPTION_STRING, "output", 'o', TAP_FIELD(request.output), "FILE",
	  "write to FILE (mode 0600) instead of the standard output", 0, 0 },
	{ 0 },
};

static const struct tap_command command = {
	.name = "tls",
	.about = "Prints what programs that use OpenSSL say over TLS, as it happens. With a "
		 "COMMAND\n"
		 "only that and its children, from the first instruction to its end.\n",
	.plaintext = true,
	.options = options,
};

int cmd_tls(int argc, char **argv)
{
	return tap_main(&command, argc, argv);
}

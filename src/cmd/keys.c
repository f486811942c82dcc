// SPDX-License-Identifier: Apache-2.0
/* cleartap keys: prints the secrets of TLS connections as an NSS key log. */
#include "cmd/command.h"
#include "cmd/tap.h"

static const struct option_def options[] = {
	{ OPTION_STRING, "output", 'o', TAP_FIELD(request.output), "FILE",
	  "add to FILE (mode 0600) instead of printing; SIGHUP opens it again", 0, 0 },
	{ 0 },
};

static const struct tap_command command = {
	.name = "keys",
	.about =
		"Prints the secrets of TLS connections, a line each, as SSLKEYLOGFILE would have\n"
		"them: Wireshark and tshark decrypt captured packets with it. With a COMMAND only\n"
		"those of it and its children.\n",
	.keys = true,
	.options = options,
};

int cmd_keys(int argc, char **argv)
{
	return tap_main(&command, argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the subcommands that tap have in common: most options, and the way to a session. */
#ifndef CMD_TAP_H
#define CMD_TAP_H

#include <stdbool.h>
#include <stddef.h>

#include "app/session.h"
#include "util/options.h"

struct tap_options {
	struct session_request request;
	unsigned int verbose;
	bool help;
};

#define TAP_FIELD(name) offsetof(struct tap_options, name)

struct tap_command {
	const char *name;
	const char *about; /* for the help: what it does, whole lines */
	bool plaintext;
	bool keys;
	const struct option_def *options; /* its own ones, ended by an empty one */
};

/* Parses, checks and runs. Returns the exit status. */
int tap_main(const struct tap_command *command, int argc, char **argv);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The subcommands: each gets its own argv (argv[0] is its name) and returns the exit status. */
#ifndef CMD_COMMAND_H
#define CMD_COMMAND_H

int cmd_tls(int argc, char **argv);
int cmd_keys(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_explain(int argc, char **argv);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A command that is started, held before its first instruction, and let go when all is ready. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

struct command {
	pid_t pid;
	int gate; /* write end of a pipe that the child waits on */
	bool ended;
	int status; /* exit status as a shell has it: 128 + signal */
};

/* Forks; the child waits. Call it while no other thread runs. Negative errno. */
int command_hold(struct command *cmd, char **argv);
/* Lets the child go on to execvp(). */
void command_release(struct command *cmd);
/* After SIGCHLD: notes the end. */
void command_reap(struct command *cmd);
/* Ends a child that was never let go. */
void command_done(struct command *cmd);
/* The file that execvp() would run, for looking into it; false when there is none. */
bool command_find(const char *name, char *path, unsigned int len);

#endif

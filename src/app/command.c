// SPDX-License-Identifier: Apache-2.0
#include "app/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What shells say: 127 not found, 126 found but not to be run. */
static void __attribute__((noreturn)) run(char **argv, int gate)
{
	sigset_t none;
	char go;

	/* If cleartap dies, the command must not wait for ever. */
	if (read(gate, &go, 1) != 1)
		_exit(126);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], argv);
	dprintf(STDERR_FILENO, "cleartap: can't run %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

int command_hold(struct command *cmd, char **argv)
{
	int gate[2];

	memset(cmd, 0, sizeof(*cmd));
	cmd->gate = -1;
	if (pipe2(gate, O_CLOEXEC))
		return -errno;
	cmd->pid = fork();
	if (cmd->pid < 0) {
		int r = -errno;

		cmd->pid = 0;
		close(gate[0]);
		close(gate[1]);
		return r;
	}
	if (!cmd->pid) {
		close(gate[1]);
		run(argv, gate[0]);
	}
	close(gate[0]);
	cmd->gate = gate[1];
	return 0;
}

void command_release(struct command *cmd)
{
	if (cmd->gate < 0)
		return;
	(void)!write(cmd->gate, "", 1);
	close(cmd->gate);
	cmd->gate = -1;
}

void command_reap(struct command *cmd)
{
	int status;

	if (!cmd->pid || cmd->ended || waitpid(cmd->pid, &status, WNOHANG) != cmd->pid)
		return;
	cmd->ended = true;
	cmd->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void command_done(struct command *cmd)
{
	if (cmd->gate >= 0) {
		close(cmd->gate);
		cmd->gate = -1;
		if (cmd->pid && !cmd->ended)
			(void)waitpid(cmd->pid, NULL, 0);
	}
}

bool command_find(const char *name, char *path, unsigned int len)
{
	const char *dirs = getenv("PATH");

	if (strchr(name, '/'))
		return (unsigned int)snprintf(path, len, "%s", name) < len;
	for (; dirs && *dirs; dirs += strcspn(dirs, ":"), dirs += *dirs == ':') {
		int dir = (int)strcspn(dirs, ":");
		/* An empty one is the current directory. */
		int n = snprintf(path, len, "%.*s/%s", dir ? dir : 1, dir ? dirs : ".", name);

		if (n > 0 && (unsigned int)n < len && !access(path, X_OK))
			return true;
	}
	return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A command is held, let go, and its end told as a shell would. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/command.h"

#define HANG_MS 60000

/* Waits for the end without taking it. */
static void wait_for_end(const struct command *cmd)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, cmd->pid, &info, WEXITED | WNOWAIT), 0);
}

static int run(char **argv)
{
	struct command cmd;

	assert_int_equal(command_hold(&cmd, argv), 0);
	assert_true(cmd.pid > 0);
	command_release(&cmd);
	assert_int_equal(cmd.gate, -1);
	wait_for_end(&cmd);
	assert_false(cmd.ended);
	command_reap(&cmd);
	assert_true(cmd.ended);
	/* There is nothing left to reap or to end. */
	command_reap(&cmd);
	command_release(&cmd);
	command_done(&cmd);
	assert_int_equal(waitpid(cmd.pid, NULL, WNOHANG), -1);
	return cmd.status;
}

static int run_shell(const char *script)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };

	return run(argv);
}

/* What was printed on descriptor 2 while a command ran. */
static int run_heard(char **argv, char *heard, size_t len)
{
	int saved = dup(STDERR_FILENO), fds[2], status;
	ssize_t n;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	dup2(fds[1], STDERR_FILENO);
	status = run(argv);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	n = read(fds[0], heard, len - 1);
	heard[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	return status;
}

static void held_until_released(void **state)
{
	char *argv[] = { (char *)"sh", (char *)"-c", NULL, NULL }, script[64], buf[8];
	struct pollfd poll_fd = { .events = POLLIN };
	struct command cmd;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	snprintf(script, sizeof(script), "echo run >&%d", fds[1]);
	argv[2] = script;
	assert_int_equal(command_hold(&cmd, argv), 0);
	close(fds[1]);
	/* However long it takes, it is silent and does not end. */
	poll_fd.fd = fds[0];
	assert_int_equal(poll(&poll_fd, 1, 100), 0);
	command_reap(&cmd);
	assert_false(cmd.ended);
	assert_int_equal(kill(cmd.pid, 0), 0);
	command_release(&cmd);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "run\n", 4);
	wait_for_end(&cmd);
	command_reap(&cmd);
	assert_true(cmd.ended);
	assert_int_equal(cmd.status, 0);
	command_done(&cmd);
	close(fds[0]);
}

static void exit_status(void **state)
{
	(void)state;
	assert_int_equal(run_shell("exit 0"), 0);
	assert_int_equal(run_shell("exit 1"), 1);
	assert_int_equal(run_shell("exit 255"), 255);
}

static void signal_status(void **state)
{
	(void)state;
	assert_int_equal(run_shell("kill -KILL $$"), 128 + SIGKILL);
	assert_int_equal(run_shell("kill -TERM $$"), 128 + SIGTERM);
}

/* What cleartap blocks and ignores is not left to the command. */
static void signals_as_usual(void **state)
{
	sigset_t blocked, before;
	int term, broken;

	(void)state;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	signal(SIGPIPE, SIG_IGN);
	term = run_shell("kill -TERM $$; exit 7");
	broken = run_shell("kill -PIPE $$; exit 7");
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_int_equal(term, 128 + SIGTERM);
	assert_int_equal(broken, 128 + SIGPIPE);
}

static void not_found(void **state)
{
	char *nowhere[] = { (char *)"cleartap-no-such-command", NULL };
	char *no_file[] = { (char *)"/nonexistent/command", NULL };
	char *folder[] = { (char *)"/tmp", NULL };
	char heard[256];

	(void)state;
	assert_int_equal(run_heard(nowhere, heard, sizeof(heard)), 127);
	assert_string_equal(heard, "cleartap: can't run cleartap-no-such-command: "
				   "No such file or directory\n");
	assert_int_equal(run_heard(no_file, heard, sizeof(heard)), 127);
	assert_int_equal(run_heard(folder, heard, sizeof(heard)), 126);
	assert_string_equal(heard, "cleartap: can't run /tmp: Permission denied\n");
}

/* A command that was never let go ends without having run. */
static void never_released(void **state)
{
	char *argv[] = { (char *)"sh", (char *)"-c", NULL, NULL }, script[64], buf[8];
	struct command cmd;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	snprintf(script, sizeof(script), "echo run >&%d", fds[1]);
	argv[2] = script;
	assert_int_equal(command_hold(&cmd, argv), 0);
	close(fds[1]);
	close(cmd.gate);
	cmd.gate = -1;
	wait_for_end(&cmd);
	command_reap(&cmd);
	assert_true(cmd.ended);
	assert_int_equal(cmd.status, 126);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 0);
	close(fds[0]);
	/* command_done() does the same, and waits for it. */
	assert_int_equal(command_hold(&cmd, argv), 0);
	command_done(&cmd);
	assert_int_equal(waitpid(cmd.pid, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* Whoever holds it dies: nobody will let it go. */
static void holder_dies(void **state)
{
	char *argv[] = { (char *)"true", NULL }, c;
	struct pollfd poll_fd = { .events = POLLIN };
	int fds[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_return_code(pid, errno);
	if (!pid) {
		struct command cmd;

		_exit(command_hold(&cmd, argv) ? 1 : 0);
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* The last one to have the pipe open is the command. */
	poll_fd.fd = fds[0];
	assert_int_equal(poll(&poll_fd, 1, HANG_MS), 1);
	assert_int_equal(read(fds[0], &c, 1), 0);
	close(fds[0]);
}

static void make(const char *name, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);

	assert_return_code(fd, errno);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void finds_its_file(void **state)
{
	char dir[] = "/tmp/test_command.XXXXXX", path[256], want[64];
	char *before = getenv("PATH") ? strdup(getenv("PATH")) : NULL;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(mkdir("a", 0700), 0);
	assert_int_equal(mkdir("b", 0700), 0);
	make("a/plain", 0600);
	make("b/plain", 0700);
	make("here", 0700);
	snprintf(want, sizeof(want), "%s/a:%s/b", dir, dir);
	setenv("PATH", want, 1);
	snprintf(want, sizeof(want), "%s/b/plain", dir);
	assert_true(command_find("plain", path, sizeof(path)));
	assert_string_equal(path, want);
	/* Just long enough, and not. */
	assert_true(command_find("plain", path, strlen(want) + 1));
	assert_string_equal(path, want);
	assert_false(command_find("plain", path, strlen(want)));
	assert_false(command_find("here", path, sizeof(path)));
	assert_false(command_find("missing", path, sizeof(path)));
	assert_true(command_find("./missing", path, sizeof(path)));
	assert_string_equal(path, "./missing");
	assert_false(command_find("./missing", path, 9));
	setenv("PATH", "a::b", 1);
	assert_true(command_find("here", path, sizeof(path)));
	assert_string_equal(path, "./here");
	setenv("PATH", "", 1);
	assert_false(command_find("plain", path, sizeof(path)));
	unsetenv("PATH");
	assert_false(command_find("plain", path, sizeof(path)));
	if (before)
		setenv("PATH", before, 1);
	free(before);
	assert_int_equal(unlink("a/plain") | unlink("b/plain") | unlink("here"), 0);
	assert_int_equal(rmdir("a") | rmdir("b") | chdir("/") | rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_until_released), cmocka_unit_test(exit_status),
		cmocka_unit_test(signal_status),       cmocka_unit_test(signals_as_usual),
		cmocka_unit_test(not_found),	       cmocka_unit_test(never_released),
		cmocka_unit_test(holder_dies),	       cmocka_unit_test(finds_its_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Who is found behind pipes, socket pairs and terminals. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/reader.h"

/* In a child: keeps these descriptors only, the second one as its standard output. */
static void __attribute__((noreturn)) hold(int keep, int out, int ready)
{
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (out >= 0)
		dup2(out, STDOUT_FILENO);
	for (int fd = 3; fd < 256; fd++) {
		if (fd != keep && fd != ready)
			close(fd);
	}
	(void)!write(ready, "", 1);
	close(ready);
	for (;;)
		pause();
}

/* A process that has nothing but the descriptor keep, and out as its standard output (or -1). */
static pid_t holder(int keep, int out)
{
	int ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_return_code(pid, errno);
	if (!pid)
		hold(keep, out, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void assert_readers(int fd, size_t count, pid_t first, pid_t second)
{
	struct readers readers = { .count = 99 };

	readers_find(fd, &readers);
	assert_int_equal(readers.count, count);
	if (count > 0)
		assert_int_equal(readers.pids[0], first);
	if (count > 1)
		assert_int_equal(readers.pids[1], second);
}

static void of_a_pipe(void **state)
{
	int fds[2], other[2];
	pid_t reader, writer;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(pipe2(other, O_CLOEXEC), 0);
	/* We ourselves do not count. */
	assert_readers(fds[1], 0, 0, 0);
	writer = holder(fds[1], -1);
	assert_readers(fds[1], 0, 0, 0);
	reader = holder(fds[0], -1);
	assert_readers(fds[1], 1, reader, 0);
	assert_readers(other[1], 0, 0, 0);
	end(reader);
	assert_readers(fds[1], 0, 0, 0);
	end(writer);
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
		close(other[i]);
	}
}

/* "| grep | openssl s_client": the reader's output has a reader. */
static void of_a_pipeline(void **state)
{
	int first[2], second[2], third[2];
	pid_t a, b;

	(void)state;
	assert_int_equal(pipe2(first, O_CLOEXEC), 0);
	assert_int_equal(pipe2(second, O_CLOEXEC), 0);
	assert_int_equal(pipe2(third, O_CLOEXEC), 0);
	a = holder(first[0], second[1]);
	b = holder(second[0], third[1]);
	assert_readers(first[1], 2, a, b);
	assert_readers(second[1], 1, b, 0);
	assert_readers(third[1], 0, 0, 0);
	end(a);
	end(b);
	for (int i = 0; i < 2; i++) {
		close(first[i]);
		close(second[i]);
		close(third[i]);
	}
}

/* Two that write to each other: the search comes to an end. */
static void of_a_circle(void **state)
{
	int first[2], second[2];
	pid_t a, b;

	(void)state;
	assert_int_equal(pipe2(first, O_CLOEXEC), 0);
	assert_int_equal(pipe2(second, O_CLOEXEC), 0);
	a = holder(first[0], second[1]);
	b = holder(second[0], first[1]);
	assert_readers(first[1], 2, a, b);
	end(a);
	end(b);
	for (int i = 0; i < 2; i++) {
		close(first[i]);
		close(second[i]);
	}
}

static void of_a_socket_pair(void **state)
{
	int fds[2], other[2];
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other), 0);
	pid = holder(fds[1], -1);
	assert_readers(fds[0], 1, pid, 0);
	/* It does not hold what it could write to. */
	assert_readers(fds[1], 0, 0, 0);
	assert_readers(other[0], 0, 0, 0);
	end(pid);
	for (int i = 0; i < 2; i++) {
		close(fds[i]);
		close(other[i]);
	}
}

static void of_a_terminal(void **state)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave, other, other_slave;
	pid_t pid;

	(void)state;
	assert_return_code(master, errno);
	other = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_return_code(other, errno);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(unlockpt(other), 0);
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_return_code(slave, errno);
	other_slave = open(ptsname(other), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_return_code(other_slave, errno);
	pid = holder(master, -1);
	assert_readers(slave, 1, pid, 0);
	assert_readers(other_slave, 0, 0, 0);
	end(pid);
	/* One that has the slave open as we do is no reader. */
	pid = holder(slave, -1);
	assert_readers(slave, 0, 0, 0);
	end(pid);
	close(slave);
	close(master);
	close(other_slave);
	close(other);
}

/* A terminal within a terminal. */
static void of_two_terminals(void **state)
{
	int outer = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), outer_slave, inner, inner_slave;
	pid_t emulator, multiplexer;

	(void)state;
	assert_return_code(outer, errno);
	inner = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_return_code(inner, errno);
	assert_int_equal(unlockpt(outer), 0);
	assert_int_equal(unlockpt(inner), 0);
	outer_slave = open(ptsname(outer), O_RDWR | O_NOCTTY | O_CLOEXEC);
	inner_slave = open(ptsname(inner), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(outer_slave >= 0 && inner_slave >= 0);
	emulator = holder(outer, -1);
	multiplexer = holder(inner, outer_slave);
	assert_readers(inner_slave, 2, multiplexer, emulator);
	end(emulator);
	end(multiplexer);
	close(outer);
	close(inner);
	close(outer_slave);
	close(inner_slave);
}

static void of_nothing_else(void **state)
{
	char name[] = "/tmp/test_reader.XXXXXX";
	int file = mkstemp(name), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	(void)state;
	assert_return_code(file, errno);
	assert_return_code(null, errno);
	assert_return_code(tcp, errno);
	assert_int_equal(unlink(name), 0);
	pid = holder(file, null);
	assert_readers(file, 0, 0, 0);
	assert_readers(null, 0, 0, 0);
	end(pid);
	pid = holder(tcp, -1);
	assert_readers(tcp, 0, 0, 0);
	end(pid);
	assert_readers(-1, 0, 0, 0);
	close(file);
	close(null);
	close(tcp);
}

/* More than there is room for. */
static void too_many(void **state)
{
	pid_t pids[READERS_MAX + 6];
	struct readers readers;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	for (size_t i = 0; i < READERS_MAX + 6; i++)
		pids[i] = holder(fds[0], -1);
	readers_find(fds[1], &readers);
	assert_int_equal(readers.count, READERS_MAX);
	for (size_t i = 0; i < READERS_MAX + 6; i++)
		end(pids[i]);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_pipe),	   cmocka_unit_test(of_a_pipeline),
		cmocka_unit_test(of_a_circle),	   cmocka_unit_test(of_a_socket_pair),
		cmocka_unit_test(of_a_terminal),   cmocka_unit_test(of_two_terminals),
		cmocka_unit_test(of_nothing_else), cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

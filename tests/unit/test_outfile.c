/* SPDX-License-Identifier: Apache-2.0 */
/* Files for captured data: private, empty, and none that somebody else has prepared. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/outfile.h"

#define SOMEBODY 1000

/* Each test has a folder of its own and is in it. */
static int setup(void **state)
{
	char *dir = strdup("/tmp/test_outfile.XXXXXX");

	*state = dir;
	unsetenv("SUDO_UID");
	return !dir || !mkdtemp(dir) || chdir(dir) ? -1 : 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "file", "other", "target", "link", "fifo" };
	int r;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(names[i]);
	(void)rmdir("dir");
	r = chdir("/");
	r |= rmdir(*state);
	free(*state);
	return r;
}

static void make(const char *name, mode_t mode, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_return_code(fd, errno);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_return_code(fchmod(fd, mode), errno);
	close(fd);
}

static off_t size_of(const char *name)
{
	struct stat st;

	assert_return_code(stat(name, &st), errno);
	return st.st_size;
}

static void assert_good(const char *name)
{
	int fd = outfile_open(name);
	struct stat st;

	assert_return_code(fd, -fd);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(write(fd, "new", 3), 3);
	close(fd);
}

static void created(void **state)
{
	mode_t mask = umask(0);

	(void)state;
	assert_good("file");
	assert_int_equal(size_of("file"), 3);
	umask(mask);
}

static void emptied(void **state)
{
	(void)state;
	make("file", 0666, "somewhat more than before");
	assert_good("file");
	assert_int_equal(size_of("file"), 3);
}

static void symlink_refused(void **state)
{
	(void)state;
	make("target", 0600, "kept");
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(outfile_open("link"), -ELOOP);
	assert_int_equal(size_of("target"), 4);
	/* One that leads nowhere creates nothing. */
	assert_int_equal(unlink("target"), 0);
	assert_int_equal(outfile_open("link"), -ELOOP);
	assert_int_equal(access("target", F_OK), -1);
}

static void hard_link_refused(void **state)
{
	(void)state;
	make("file", 0644, "kept");
	assert_int_equal(link("file", "other"), 0);
	assert_int_equal(outfile_open("file"), -EMLINK);
	assert_int_equal(outfile_open("other"), -EMLINK);
	assert_int_equal(size_of("file"), 4);
	assert_int_equal(unlink("other"), 0);
	assert_good("file");
}

static void directory_refused(void **state)
{
	(void)state;
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_int_equal(outfile_open("dir"), -EISDIR);
	assert_int_equal(outfile_open("missing/file"), -ENOENT);
	assert_int_equal(outfile_open("file/"), -EISDIR);
	assert_int_equal(outfile_open(""), -ENOENT);
}

static void fifo(void **state)
{
	char buf[8];
	int fd, reader;

	(void)state;
	assert_int_equal(mkfifo("fifo", 0644), 0);
	assert_int_equal(outfile_open("fifo"), -ENXIO);
	reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_return_code(reader, errno);
	fd = outfile_open("fifo");
	assert_return_code(fd, -fd);
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_int_equal(write(fd, "new", 3), 3);
	assert_int_equal(read(reader, buf, sizeof(buf)), 3);
	close(fd);
	close(reader);
}

static void device(void **state)
{
	struct stat before, after;
	int fd;

	(void)state;
	assert_int_equal(stat("/dev/null", &before), 0);
	fd = outfile_open("/dev/null");
	assert_return_code(fd, -fd);
	assert_int_equal(write(fd, "new", 3), 3);
	close(fd);
	assert_int_equal(stat("/dev/null", &after), 0);
	assert_int_equal(after.st_mode, before.st_mode);
}

/* Whoever owns the file can read what is captured. */
static void owner(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	make("file", 0600, "kept");
	assert_int_equal(chown("file", SOMEBODY, SOMEBODY), 0);
	assert_int_equal(outfile_open("file"), -EPERM);
	setenv("SUDO_UID", "1001", 1);
	assert_int_equal(outfile_open("file"), -EPERM);
	setenv("SUDO_UID", "1000x", 1);
	assert_int_equal(outfile_open("file"), -EPERM);
	setenv("SUDO_UID", "", 1);
	assert_int_equal(outfile_open("file"), -EPERM);
	assert_int_equal(size_of("file"), 4);
	setenv("SUDO_UID", "1000", 1);
	assert_good("file");
	unsetenv("SUDO_UID");
}

static void assert_holds(const char *name, const char *text)
{
	char buf[64];
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	assert_return_code(n, errno);
	close(fd);
	buf[n] = '\0';
	assert_string_equal(buf, text);
}

static int append(const char *name, const char *text)
{
	int fd = outfile_append(name);

	assert_return_code(fd, -fd);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK),
			 O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static void appended(void **state)
{
	struct stat st;
	int fd, other;

	(void)state;
	make("file", 0666, "kept\n");
	fd = append("file", "one\n");
	assert_int_equal(stat("file", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* Somebody else adds to it as well. */
	other = append("file", "two\n");
	assert_int_equal(write(fd, "three\n", 6), 6);
	close(fd);
	close(other);
	assert_holds("file", "kept\none\ntwo\nthree\n");
	close(append("other", "new\n"));
	assert_holds("other", "new\n");
	assert_int_equal(stat("other", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* What a full disk has left is not continued. */
static void half_a_line(void **state)
{
	(void)state;
	make("file", 0600, "whole\nha");
	close(append("file", "new\n"));
	assert_holds("file", "whole\nha\nnew\n");
}

/* The same checks as for the other kind. */
static void append_refused(void **state)
{
	(void)state;
	make("target", 0644, "kept");
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(outfile_append("link"), -ELOOP);
	assert_int_equal(link("target", "other"), 0);
	assert_int_equal(outfile_append("target"), -EMLINK);
	assert_holds("target", "kept");
	assert_int_equal(mkdir("dir", 0700), 0);
	assert_int_equal(outfile_append("dir"), -EISDIR);
	assert_int_equal(outfile_append("missing/file"), -ENOENT);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(outfile_append("fifo"), -ENXIO);
	if (geteuid() != 0)
		return;
	make("file", 0600, "kept");
	assert_int_equal(chown("file", SOMEBODY, SOMEBODY), 0);
	assert_int_equal(outfile_append("file"), -EPERM);
}

static void assert_owner(const char *name, uid_t uid)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_uid, uid);
}

/* Where the user who called sudo is at home, new files are that user's. */
static void given_to_the_user(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	setenv("SUDO_UID", "1000", 1);
	setenv("SUDO_GID", "1000", 1);
	assert_true(outfile_in_root_folder("file"));
	close(append("file", ""));
	assert_owner("file", 0);
	assert_int_equal(unlink("file"), 0);
	assert_int_equal(chown(".", SOMEBODY, SOMEBODY), 0);
	assert_false(outfile_in_root_folder("file"));
	assert_false(outfile_in_root_folder("missing/file"));
	assert_true(outfile_in_root_folder("/file"));
	close(append("file", ""));
	assert_owner("file", SOMEBODY);
	/* One of root's with something in it stays root's. */
	make("other", 0600, "secret of root's\n");
	close(append("other", "more\n"));
	assert_owner("other", 0);
	setenv("SUDO_UID", "1001", 1);
	close(append("target", ""));
	assert_owner("target", 0);
	unsetenv("SUDO_UID");
	unsetenv("SUDO_GID");
}

#define DIR_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		DIR_TEST(created),
		DIR_TEST(emptied),
		DIR_TEST(symlink_refused),
		DIR_TEST(hard_link_refused),
		DIR_TEST(directory_refused),
		DIR_TEST(fifo),
		DIR_TEST(device),
		DIR_TEST(owner),
		DIR_TEST(appended),
		DIR_TEST(half_a_line),
		DIR_TEST(append_refused),
		DIR_TEST(given_to_the_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of /proc/PID/maps, real and hostile, and the file behind a mapping. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/procfs.h"

/* In memory of the line's very size. */
static char *line_of(const char *text)
{
	char *line = strdup(text);

	assert_non_null(line);
	return line;
}

static void assert_no_map(const char *text)
{
	struct procfs_map map = { .inode = 77 };
	char *line = line_of(text);

	assert_false(procfs_map_parse(line, &map));
	assert_int_equal(map.inode, 77);
	assert_string_equal(line, text);
	free(line);
}

/* A line with this path, as it is to be read. */
static void assert_path(const char *text, const char *path)
{
	char whole[512], *line;
	struct procfs_map map;

	snprintf(whole, sizeof(whole), "7f00-7f10 r-xp 00002000 fe:01 42 %s", text);
	line = line_of(whole);
	assert_true(procfs_map_parse(line, &map));
	assert_string_equal(map.path, path);
	assert_int_equal(map.inode, 42);
	free(line);
}

static void a_library(void **state)
{
	char *line = line_of("7f1c2a400000-7f1c2a4d5000 r-xp 00028000 103:0a 1835037"
			     "                    /usr/lib/x86_64-linux-gnu/libc.so.6\n");
	struct procfs_map map;

	(void)state;
	assert_true(procfs_map_parse(line, &map));
	assert_int_equal(map.start, 0x7f1c2a400000);
	assert_int_equal(map.end, 0x7f1c2a4d5000);
	assert_int_equal(map.major, 0x103);
	assert_int_equal(map.minor, 0x0a);
	assert_int_equal(map.inode, 1835037);
	assert_string_equal(map.path, "/usr/lib/x86_64-linux-gnu/libc.so.6");
	free(line);
}

static void permissions(void **state)
{
	char *line = line_of("1000-2000 --xs 00000000 00:01 5 /dev/shm/x\n");
	struct procfs_map map;

	(void)state;
	assert_true(procfs_map_parse(line, &map));
	free(line);
	assert_no_map("1000-2000 r--p 00000000 fe:01 5 /lib/x\n");
	assert_no_map("1000-2000 rw-p 00000000 fe:01 5 /lib/x\n");
	assert_no_map("1000-2000 ---p 00000000 fe:01 5 /lib/x\n");
	assert_no_map("1000-2000 r 00000000 fe:01 5 /lib/x\n");
	assert_no_map("1000-2000 rx 00000000 fe:01 5 /lib/x\n");
	assert_no_map("1000-2000 r-xpp 00000000 fe:01 5 /lib/x\n");
	assert_no_map("1000-2000  00000000 fe:01 5 /lib/x\n");
}

static void no_file(void **state)
{
	(void)state;
	assert_no_map("7ffc-7ffd r-xp 00000000 00:00 0                  [vdso]\n");
	assert_no_map("7ffc-7ffd --xp 00000000 00:00 0                  [vsyscall]\n");
	assert_no_map("7ffc-7ffd r-xp 00000000 00:00 0 \n");
	assert_no_map("7ffc-7ffd r-xp 00000000 00:00 0");
	assert_no_map("7ffc-7ffd r-xp 00000000 fe:01 5");
	assert_no_map("7ffc-7ffd r-xp 00000000 fe:01 5 \n");
	assert_no_map("7ffc-7ffd r-xp 00000000 00:0e 5 anon_inode:[perf_event]\n");
	assert_no_map("7ffc-7ffd r-xp 00000000 00:0e 5 socket:[5]\n");
	assert_no_map("7ffc-7ffd r-xp 00000000 00:00 0 /looks/like/one\n");
}

static void paths(void **state)
{
	(void)state;
	assert_path("/a\n", "/a");
	assert_path("/a", "/a");
	assert_path("/\n", "/");
	assert_path("           /opt/with  two spaces/lib x.so\n",
		    "/opt/with  two spaces/lib x.so");
	assert_path("/opt/ends in a space \n", "/opt/ends in a space ");
	assert_path("/tmp/gone.so (deleted)\n", "/tmp/gone.so (deleted)");
	assert_path("/tmp/new\\012line\n", "/tmp/new\\012line");
	assert_path("/tmp/%s%n%d\n", "/tmp/%s%n%d");
	assert_path("/tmp/\033[31m\xff\xfe\n", "/tmp/\033[31m\xff\xfe");
	assert_path("/tmp/7f00-7f10 r-xp 00000000 fe:01 43 /lib/x\n",
		    "/tmp/7f00-7f10 r-xp 00000000 fe:01 43 /lib/x");
	/* The kernel writes no second line, and none would be believed. */
	assert_path("/tmp/a\n1000-2000 r-xp 0 fe:01 5 /b\n", "/tmp/a");
}

/* The line ends where its path does, whatever is before. */
static void newline_before(void **state)
{
	char *line = line_of("\n1000-2000 r-xp 00000000 fe:01 5 /lib/x\n");
	struct procfs_map map;

	(void)state;
	assert_true(procfs_map_parse(line, &map));
	assert_string_equal(map.path, "/lib/x");
	free(line);
}

static void garbage(void **state)
{
	static const char full[] = "1000-2000 r-xp 00000000 fe:01 5 /";
	char *line;

	(void)state;
	for (size_t n = 0; n < sizeof(full) - 1; n++) {
		char cut[sizeof(full)] = "";

		memcpy(cut, full, n);
		assert_no_map(cut);
	}
	assert_no_map("\n");
	assert_no_map("x");
	assert_no_map("-2000 r-xp 00000000 fe:01 5 /lib/x\n");
	assert_no_map("1000 2000 r-xp 00000000 fe:01 5 /lib/x\n");
	assert_no_map("1000-2000 r-xp 00000000 fe01 5 /lib/x\n");
	assert_no_map("1000-2000 r-xp 00000000 fe:01 x /lib/x\n");
	assert_no_map("1000-2000 r-xp zzz fe:01 5 /lib/x\n");
	assert_no_map("1000-2000 r-xp 00000000 fe:01 5 lib/x\n");
	/* Whitespace of four thousand. */
	line = malloc(4097);
	assert_non_null(line);
	memset(line, ' ', 4096);
	line[4096] = '\0';
	assert_no_map(line);
	free(line);
}

static void huge_numbers(void **state)
{
	char *line = line_of("ffffffffff600000-ffffffffffffffff r-xp ffffffffffffffff "
			     "fff:fffff 18446744073709551615 /x\n");
	struct procfs_map map;

	(void)state;
	assert_true(procfs_map_parse(line, &map));
	assert_true(map.start == 0xffffffffff600000 && map.end == UINT64_MAX);
	assert_true(map.inode == UINT64_MAX);
	assert_int_equal(map.major, 0xfff);
	assert_int_equal(map.minor, 0xfffff);
	free(line);
	/* More than there can be: whatever is made of it, it does no harm. */
	line = line_of("99999999999999999999999999-99999999999999999999999999 r-xp "
		       "99999999999999999999999999 999999999999999999:999999999999999999999 "
		       "99999999999999999999999999999999 /x\n");
	(void)procfs_map_parse(line, &map);
	free(line);
}

struct search {
	const char *part; /* of the path */
	uint64_t inode;
	struct procfs_map map;
	char path[512];
	int found;
	int seen;
};

static int look(void *arg, pid_t pid, const struct procfs_map *map)
{
	struct search *search = arg;

	assert_int_equal(pid, getpid());
	assert_true(map->start < map->end);
	search->seen++;
	if (!strstr(map->path, search->part) || (search->inode && map->inode != search->inode))
		return 0;
	search->map = *map;
	snprintf(search->path, sizeof(search->path), "%s", map->path);
	search->map.path = search->path;
	search->found++;
	return 0;
}

static void finds_libc(void **state)
{
	struct search search = { .part = "/libc.so.6" };
	struct stat st, of_path;
	int fd;

	(void)state;
	assert_int_equal(procfs_maps(getpid(), look, &search), 0);
	assert_int_equal(search.found, 1);
	assert_true(search.seen > 1);
	fd = procfs_open_map(getpid(), &search.map);
	assert_return_code(fd, -fd);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(stat(search.path, &of_path), 0);
	assert_int_equal(st.st_ino, search.map.inode);
	assert_int_equal(st.st_ino, of_path.st_ino);
	close(fd);
}

static int stop(void *arg, pid_t pid, const struct procfs_map *map)
{
	(void)pid;
	(void)map;
	return ++*(int *)arg == 2 ? 123 : 0;
}

static void walk_ends(void **state)
{
	int calls = 0;

	(void)state;
	assert_int_equal(procfs_maps(getpid(), stop, &calls), 123);
	assert_int_equal(calls, 2);
	/* A number that no process ever has. */
	calls = 0;
	assert_int_equal(procfs_maps(INT32_MAX, stop, &calls), -ESRCH);
	assert_int_equal(calls, 0);
	assert_int_equal(procfs_open_exe(INT32_MAX), -ENOENT);
	assert_int_equal(procfs_parent(INT32_MAX), 0);
}

/* The name leads nowhere, then to another file; the mapping leads to the right one. */
static void deleted_file(void **state)
{
	char dir[] = "/tmp/test_procfs.XXXXXX", name[64], buf[8] = "";
	struct search search = { .part = "/test_procfs." };
	long page = sysconf(_SC_PAGESIZE);
	struct stat st, opened;
	void *code;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof(name), "%s/a b\nc", dir);
	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_return_code(fd, errno);
	assert_int_equal(write(fd, "right", 5), 5);
	assert_int_equal(ftruncate(fd, page), 0);
	assert_int_equal(fstat(fd, &st), 0);
	code = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	assert_true(code != MAP_FAILED);
	close(fd);
	assert_int_equal(unlink(name), 0);
	fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_return_code(fd, errno);
	assert_int_equal(write(fd, "wrong", 5), 5);
	close(fd);

	search.inode = st.st_ino;
	assert_int_equal(procfs_maps(getpid(), look, &search), 0);
	assert_int_equal(search.found, 1);
	assert_int_equal(search.map.start, (uintptr_t)code);
	assert_int_equal(search.map.end, (uintptr_t)code + page);
	assert_non_null(strstr(search.path, "/a b\\012c (deleted)"));
	fd = procfs_open_map(getpid(), &search.map);
	assert_return_code(fd, -fd);
	assert_int_equal(fstat(fd, &opened), 0);
	assert_int_equal(opened.st_ino, st.st_ino);
	assert_int_equal(opened.st_dev, st.st_dev);
	assert_int_equal(pread(fd, buf, 5, 0), 5);
	assert_string_equal(buf, "right");
	close(fd);
	/* Not mapped any more, and no such path. */
	assert_int_equal(munmap(code, page), 0);
	assert_int_equal(procfs_open_map(getpid(), &search.map), -ENOENT);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(rmdir(dir), 0);
}

static int find_self(void *arg, pid_t pid)
{
	++*(int *)arg;
	return pid == getpid() ? 9 : 0;
}

static void each_process(void **state)
{
	struct stat st, self;
	int calls = 0, fd;

	(void)state;
	assert_int_equal(procfs_each(find_self, &calls), 9);
	assert_true(calls > 0);
	assert_int_equal(procfs_parent(getpid()), getppid());
	assert_int_equal(procfs_parent(1), 0);
	fd = procfs_open_exe(getpid());
	assert_return_code(fd, -fd);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(stat("/proc/self/exe", &self), 0);
	assert_int_equal(st.st_ino, self.st_ino);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_library),	  cmocka_unit_test(permissions),
		cmocka_unit_test(no_file),	  cmocka_unit_test(paths),
		cmocka_unit_test(newline_before), cmocka_unit_test(garbage),
		cmocka_unit_test(huge_numbers),	  cmocka_unit_test(finds_libc),
		cmocka_unit_test(walk_ends),	  cmocka_unit_test(deleted_file),
		cmocka_unit_test(each_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

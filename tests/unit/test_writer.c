/* SPDX-License-Identifier: Apache-2.0 */
/* Buffering, short writes, and errors that stick. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "out/writer.h"

#define TOTAL 1000000

static void memory_grows(void **state)
{
	struct writer w;

	(void)state;
	assert_int_equal(writer_init(&w, -1, 4), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(writer_printf(&w, "%04d,", i), 0);
	assert_int_equal(writer_puts(&w, "end"), 0);
	assert_int_equal(writer_flush(&w), 0);
	assert_int_equal(w.len, 5003);
	assert_memory_equal(w.buf, "0000,0001,", 10);
	assert_memory_equal(w.buf + 4995, "0999,end", 8);
	writer_done(&w);
	writer_done(&w);
}

static void keeps_order(void **state)
{
	char got[128] = "", big[40];
	struct writer w;
	int fds[2];

	(void)state;
	memset(big, 'B', sizeof(big));
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(writer_init(&w, fds[1], 16), 0);
	assert_int_equal(writer_puts(&w, "small,"), 0);
	assert_int_equal(w.written, 0);
	/* Larger than the buffer: must not overtake what is in it. */
	assert_int_equal(writer_put(&w, big, sizeof(big)), 0);
	assert_int_equal(writer_printf(&w, ",%s,%030d,", "text", 7), 0);
	assert_int_equal(writer_put(&w, "", 0), 0);
	assert_int_equal(writer_puts(&w, "end"), 0);
	assert_int_equal(writer_flush(&w), 0);
	assert_int_equal(w.written, 86);
	assert_int_equal(read(fds[0], got, sizeof(got)), 86);
	assert_memory_equal(got, "small,BBBBB", 11);
	assert_string_equal(got + 46, ",text,000000000000000000000000000007,end");
	writer_done(&w);
	close(fds[0]);
	close(fds[1]);
}

/* Reads slowly and in odd pieces, so that the pipe is full most of the time. */
static void *slow_reader(void *arg)
{
	int fd = *(int *)arg;
	unsigned char buf[777];
	uintptr_t total = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != (total + i) % 251)
				return NULL;
		total += n;
	}
	return (void *)total;
}

static void writes_all(int flags)
{
	static unsigned char data[TOTAL];
	struct writer w;
	pthread_t thread;
	void *total;
	int fds[2];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = i % 251;
	assert_int_equal(pipe(fds), 0);
	assert_return_code(fcntl(fds[1], F_SETFL, flags), 0);
	assert_int_equal(pthread_create(&thread, NULL, slow_reader, &fds[0]), 0);
	assert_int_equal(writer_init(&w, fds[1], 5000), 0);
	assert_int_equal(writer_put(&w, data, 100), 0);
	assert_int_equal(writer_put(&w, data + 100, sizeof(data) - 200), 0);
	assert_int_equal(writer_put(&w, data + sizeof(data) - 100, 100), 0);
	assert_int_equal(writer_flush(&w), 0);
	close(fds[1]);
	pthread_join(thread, &total);
	assert_int_equal((uintptr_t)total, TOTAL);
	assert_int_equal(w.written, TOTAL);
	writer_done(&w);
	close(fds[0]);
}

static void short_writes(void **state)
{
	(void)state;
	writes_all(0);
}

static void nonblocking(void **state)
{
	(void)state;
	writes_all(O_NONBLOCK);
}

static void disk_full(void **state)
{
	struct writer w;
	char big[100] = "";
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_return_code(fd, errno);
	assert_int_equal(writer_init(&w, fd, 64), 0);
	assert_int_equal(writer_puts(&w, "fits"), 0);
	assert_int_equal(writer_flush(&w), -ENOSPC);
	assert_int_equal(w.err, -ENOSPC);
	assert_int_equal(writer_puts(&w, "x"), -ENOSPC);
	assert_int_equal(writer_put(&w, big, sizeof(big)), -ENOSPC);
	assert_int_equal(writer_printf(&w, "%d", 1), -ENOSPC);
	assert_int_equal(writer_flush(&w), -ENOSPC);
	assert_int_equal(w.written, 0);
	writer_done(&w);
	close(fd);
}

static void pipe_closed(void **state)
{
	struct writer w;
	int fds[2];

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(fds), 0);
	close(fds[0]);
	assert_int_equal(writer_init(&w, fds[1], 8), 0);
	assert_int_equal(writer_puts(&w, "1234567"), 0);
	assert_int_equal(writer_puts(&w, "890"), -EPIPE);
	assert_int_equal(writer_flush(&w), -EPIPE);
	writer_done(&w);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_grows), cmocka_unit_test(keeps_order),
		cmocka_unit_test(short_writes), cmocka_unit_test(nonblocking),
		cmocka_unit_test(disk_full),	cmocka_unit_test(pipe_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The key log sink: its lines, that none stands twice, and that each is one write. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "out/sink.h"
#include "out/writer.h"

#define HEX16(d)                                                                               \
#d "0" #d "1" #d "2" #d "3" #d "4" #d "5" #d "6" #d "7" #d "8" #d "9" #d "a" #d "b" #d \
	   "c" #d "d" #d "e" #d "f"
#define RANDOM_HEX HEX16(1) HEX16(2)
#define MASTER_HEX HEX16(a) HEX16(b) HEX16(c)
#define SEEN_MAX   16384

/* Sends packets: what one write(2) has written is what one read(2) gets. */
struct fixture {
	struct writer w;
	struct sink *sink;
	int fd[2];
};

static struct fixture fixture;

static int setup(void **state)
{
	struct fixture *f = &fixture;

	*state = f;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, f->fd))
		return -1;
	return writer_init(&f->w, f->fd[0], 1024) || keylog_new(&f->w, &f->sink);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->sink->ops->free(f->sink);
	writer_done(&f->w);
	close(f->fd[0]);
	close(f->fd[1]);
	return 0;
}

static void fill(uint8_t *p, size_t len, uint8_t first)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(first + i);
}

static int put(struct fixture *f, enum secret_label label, uint8_t random, uint8_t secret,
	       size_t len)
{
	uint8_t r[SECRET_RANDOM_LEN], s[SECRET_LEN_MAX];
	struct event ev = { .type = EVENT_SECRET,
			    .label = label,
			    .client_random = r,
			    .secret = s,
			    .secret_len = len };

	fill(r, sizeof(r), random);
	fill(s, sizeof(s), secret);
	return f->sink->ops->event(f->sink, &ev);
}

/* The next write; "" when there was none. */
static void expect(struct fixture *f, const char *line)
{
	char buf[512];
	ssize_t n = read(f->fd[1], buf, sizeof(buf) - 1);

	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
		n = 0;
	}
	buf[n] = '\0';
	assert_string_equal(buf, line);
}

static void lines(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(put(f, LABEL_CLIENT_RANDOM, 0x10, 0xa0, 48), 0);
	/* At once, nobody has flushed. */
	expect(f, "CLIENT_RANDOM " RANDOM_HEX " " MASTER_HEX "\n");
	assert_int_equal(put(f, LABEL_CLIENT_HANDSHAKE, 0x10, 0xb0, 32), 0);
	assert_int_equal(put(f, LABEL_SERVER_HANDSHAKE, 0x10, 0xa0, 48), 0);
	expect(f, "CLIENT_HANDSHAKE_TRAFFIC_SECRET " RANDOM_HEX " " HEX16(b) HEX16(c) "\n");
	expect(f, "SERVER_HANDSHAKE_TRAFFIC_SECRET " RANDOM_HEX " " MASTER_HEX "\n");
	expect(f, "");
}

static void once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(put(f, LABEL_CLIENT_RANDOM, 0x10, 0xa0, 48), 0);
	expect(f, "CLIENT_RANDOM " RANDOM_HEX " " MASTER_HEX "\n");
	assert_int_equal(put(f, LABEL_CLIENT_RANDOM, 0x10, 0xa0, 48), 0);
	assert_int_equal(put(f, LABEL_CLIENT_RANDOM, 0x10, 0xa1, 48), 0);
	expect(f, "");
	/* The same secret for another handshake: a session was resumed. */
	assert_int_equal(put(f, LABEL_CLIENT_RANDOM, 0x20, 0xa0, 48), 0);
	expect(f, "CLIENT_RANDOM " HEX16(2) HEX16(3) " " MASTER_HEX "\n");
}

static void nothing_else(void **state)
{
	static const enum event_type types[] = { EVENT_OPEN, EVENT_DATA, EVENT_GAP, EVENT_CLOSE,
						 EVENT_STATS };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		struct event ev = { .type = types[i] };

		assert_int_equal(f->sink->ops->event(f->sink, &ev), 0);
	}
	/* What can't be right is not printed, whoever lets it come this far. */
	assert_int_equal(put(f, LABEL_NONE, 0x10, 0xa0, 48), 0);
	assert_int_equal(put(f, LABEL_MAX, 0x10, 0xa0, 48), 0);
	assert_int_equal(put(f, LABEL_CLIENT_RANDOM, 0x10, 0xa0, 32), 0);
	assert_int_equal(put(f, LABEL_EXPORTER, 0x10, 0xa0, 64), 0);
	assert_int_equal(f->sink->ops->flush(f->sink), 0);
	expect(f, "");
}

static void bounded(void **state)
{
	struct fixture *f = *state;
	uint8_t random[SECRET_RANDOM_LEN] = { 0 }, secret[48] = { 1 };
	struct event ev = { .type = EVENT_SECRET,
			    .label = LABEL_CLIENT_RANDOM,
			    .client_random = random,
			    .secret = secret,
			    .secret_len = 48 };

	f->w.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_return_code(f->w.fd, errno);
	for (uint32_t i = 0; i <= SEEN_MAX; i++) {
		memcpy(random, &i, sizeof(i));
		assert_int_equal(f->sink->ops->event(f->sink, &ev), 0);
	}
	close(f->w.fd);
	f->w.fd = f->fd[0];
	memcpy(random, &(uint32_t) { 1 }, 4);
	assert_int_equal(f->sink->ops->event(f->sink, &ev), 0);
	expect(f, "");
	memcpy(random, &(uint32_t) { 0 }, 4);
	assert_int_equal(f->sink->ops->event(f->sink, &ev), 0);
	assert_true(read(f->fd[1], secret, sizeof(secret)) > 0);
}

static void error_sticks(void **state)
{
	struct fixture *f = *state;

	f->w.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_return_code(f->w.fd, errno);
	assert_int_equal(put(f, LABEL_CLIENT_RANDOM, 0x10, 0xa0, 48), -ENOSPC);
	assert_int_equal(put(f, LABEL_CLIENT_RANDOM, 0x20, 0xa0, 48), -ENOSPC);
	assert_int_equal(f->sink->ops->flush(f->sink), -ENOSPC);
	close(f->w.fd);
}

#define SINK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SINK_TEST(lines),   SINK_TEST(once),	     SINK_TEST(nothing_else),
		SINK_TEST(bounded), SINK_TEST(error_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

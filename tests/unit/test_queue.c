/* SPDX-License-Identifier: Apache-2.0 */
/* Order, the ceiling, blocks, the end, and two threads. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/queue.h"

#define BLOCK	   (1 << 20)
#define RECORD_MAX (1 << 16)

/* What the reader got. */
struct got {
	uint64_t count;
	uint64_t bytes;
	uint64_t stop_at; /* -EIO at this one, counted from 1 */
	bool bad;
};

/* Record number n: its length, and bytes that depend on n. */
static size_t size_of(uint64_t n)
{
	static const size_t sizes[] = { 0, 1, 7, 8, 9, 88, 255, 4096, 16456, RECORD_MAX };

	return n % 3 ? sizes[n * 7 % 10] : n * 7919 % 2000;
}

static void fill(unsigned char *buf, uint64_t n)
{
	memset(buf, (int)(n * 31 % 251), size_of(n));
}

static int on_record(void *arg, const void *record, size_t len)
{
	static unsigned char want[RECORD_MAX];
	struct got *got = arg;

	fill(want, got->count);
	if (len != size_of(got->count) || memcmp(record, want, len) || (uintptr_t)record % 8)
		got->bad = true;
	got->bytes += len;
	return ++got->count == got->stop_at ? -EIO : 0;
}

static int put(struct queue *queue, uint64_t n)
{
	static unsigned char buf[RECORD_MAX];

	fill(buf, n);
	return queue_put(queue, buf, size_of(n));
}

static void keeps_order(void **state)
{
	struct got got = { 0 };
	struct queue *queue;

	(void)state;
	assert_int_equal(queue_new(64 << 20, &queue), 0);
	for (uint64_t n = 0; n < 1000; n++) {
		assert_int_equal(put(queue, n), 0);
		if (n % 100 == 99)
			queue_publish(queue);
	}
	queue_close(queue);
	while (queue_read(queue, -1, on_record, &got) == 1)
		;
	assert_false(got.bad);
	assert_int_equal(got.count, 1000);
	assert_int_equal(queue_read(queue, -1, on_record, &got), -EPIPE);
	assert_int_equal(queue_read(queue, 0, on_record, &got), -EPIPE);
	queue_free(queue);
	queue_free(NULL);
}

static void read_in_turn(void **state)
{
	struct got got = { 0 };
	struct queue *queue;

	(void)state;
	assert_int_equal(queue_new(4 << 20, &queue), 0);
	assert_int_equal(queue_read(queue, 0, on_record, &got), 0);
	assert_int_equal(put(queue, 0), 0);
	assert_int_equal(put(queue, 1), 0);
	queue_publish(queue);
	assert_int_equal(queue_read(queue, 0, on_record, &got), 1);
	assert_int_equal(got.count, 2);
	assert_int_equal(queue_read(queue, 0, on_record, &got), 0);
	assert_int_equal(queue_read(queue, 1, on_record, &got), 0);
	/* What has not been read is freed with the queue. */
	assert_int_equal(put(queue, 2), 0);
	queue_publish(queue);
	assert_int_equal(put(queue, 3), 0);
	queue_free(queue);
}

/* A slow reader is woken for each small record: that must not use up blocks. */
static void blocks_fill_up(void **state)
{
	static unsigned char record[1000];
	struct queue *queue;
	size_t n = 0;

	(void)state;
	assert_int_equal(queue_new(2 * BLOCK, &queue), 0);
	while (queue_has_room(queue, sizeof(record))) {
		assert_int_equal(queue_put(queue, record, sizeof(record)), 0);
		queue_publish(queue);
		n++;
	}
	assert_true(n >= 2 * (BLOCK / 1008 - 1));
	queue_free(queue);
}

/* Records of 64 KiB until there is no room: how many. */
static size_t fill_up(struct queue *queue)
{
	static unsigned char record[RECORD_MAX];
	size_t n = 0;

	while (queue_has_room(queue, sizeof(record))) {
		assert_int_equal(queue_put(queue, record, sizeof(record)), 0);
		n++;
		assert_true(n < 1000);
	}
	assert_int_equal(queue_put(queue, record, sizeof(record)), -ENOBUFS);
	return n;
}

static int count_record(void *arg, const void *record, size_t len)
{
	(void)record;
	(void)len;
	++*(size_t *)arg;
	return 0;
}

static void ceiling(void **state)
{
	size_t total, seen = 0;
	struct queue *queue;

	(void)state;
	assert_int_equal(queue_new(3 * BLOCK - 1, &queue), 0);
	total = fill_up(queue);
	/* Each block has fifteen of them and a rest. */
	assert_int_equal(total, 45);
	assert_true(queue_has_room(queue, 8));
	assert_int_equal(queue_put(queue, "small", 5), 0);
	queue_publish(queue);
	/* Read: one block comes back, and no more than one. */
	assert_int_equal(queue_read(queue, 0, count_record, &seen), 1);
	assert_int_equal(seen, 15);
	assert_int_equal(fill_up(queue), 15);
	queue_close(queue);
	while (queue_read(queue, 0, count_record, &seen) == 1)
		;
	assert_int_equal(seen, total + 1 + 15);
	assert_int_equal(fill_up(queue), 45);
	queue_free(queue);
}

/* Blocks beyond those that are kept for reuse. */
static void many_blocks(void **state)
{
	struct queue *queue;
	size_t seen = 0;

	(void)state;
	assert_int_equal(queue_new(40 * BLOCK, &queue), 0);
	for (size_t i = 1; i <= 3; i++) {
		assert_int_equal(fill_up(queue), 600);
		queue_publish(queue);
		while (queue_read(queue, 0, count_record, &seen) == 1)
			;
		assert_int_equal(seen, i * 600);
	}
	queue_free(queue);
}

/* Less than two blocks would stop a writer whose reader is at work. */
static void smallest(void **state)
{
	struct queue *queue;

	(void)state;
	assert_int_equal(queue_new(0, &queue), 0);
	assert_int_equal(fill_up(queue), 30);
	queue_free(queue);
}

static void too_long(void **state)
{
	static unsigned char record[RECORD_MAX + 1];
	struct queue *queue;

	(void)state;
	assert_int_equal(queue_new(4 << 20, &queue), 0);
	assert_int_equal(queue_put(queue, record, sizeof(record)), -EMSGSIZE);
	assert_int_equal(queue_put(queue, record, RECORD_MAX), 0);
	queue_free(queue);
}

static void reader_fails(void **state)
{
	struct got got = { .stop_at = 2 };
	struct queue *queue;
	size_t seen = 0;

	(void)state;
	assert_int_equal(queue_new(4 << 20, &queue), 0);
	for (uint64_t n = 0; n < 5; n++)
		assert_int_equal(put(queue, n), 0);
	queue_close(queue);
	assert_int_equal(queue_read(queue, 0, on_record, &got), -EIO);
	assert_int_equal(got.count, 2);
	/* The rest of that block is dropped. */
	assert_int_equal(queue_read(queue, 0, count_record, &seen), -EPIPE);
	queue_free(queue);
}

#define RECORDS 50000

static void *writer(void *arg)
{
	struct queue *queue = arg;

	for (uint64_t n = 0; n < RECORDS;) {
		int r = put(queue, n);

		if (!r)
			n++;
		if (r == -ENOBUFS)
			sched_yield();
		else if (r)
			break;
		if (r || n % 17 == 0)
			queue_publish(queue);
	}
	queue_close(queue);
	return NULL;
}

static void two_threads(void **state)
{
	struct got got = { 0 };
	struct queue *queue;
	uint64_t bytes = 0;
	pthread_t thread;
	int r;

	(void)state;
	for (uint64_t n = 0; n < RECORDS; n++)
		bytes += size_of(n);
	assert_int_equal(queue_new(3 * BLOCK, &queue), 0);
	assert_int_equal(pthread_create(&thread, NULL, writer, queue), 0);
	/* Waits for ever, with a timeout, and not at all. */
	do {
		r = queue_read(queue, (int)(got.count % 3) - 1, on_record, &got);
	} while (r >= 0);
	assert_int_equal(r, -EPIPE);
	pthread_join(thread, NULL);
	assert_false(got.bad);
	assert_int_equal(got.count, RECORDS);
	assert_int_equal(got.bytes, bytes);
	queue_free(queue);
}

static void *closer(void *arg)
{
	queue_close(arg);
	return NULL;
}

static void close_wakes(void **state)
{
	struct queue *queue;
	pthread_t thread;
	size_t seen = 0;

	(void)state;
	assert_int_equal(queue_new(4 << 20, &queue), 0);
	assert_int_equal(pthread_create(&thread, NULL, closer, queue), 0);
	assert_int_equal(queue_read(queue, -1, count_record, &seen), -EPIPE);
	assert_int_equal(seen, 0);
	pthread_join(thread, NULL);
	queue_free(queue);
}

static void *poker(void *arg)
{
	queue_poke(arg);
	return NULL;
}

/* Wakes a reader that would wait for ever, once, and is no record. */
static void poke_wakes(void **state)
{
	struct queue *queue;
	pthread_t thread;

	(void)state;
	assert_int_equal(queue_new(1, &queue), 0);
	assert_int_equal(pthread_create(&thread, NULL, poker, queue), 0);
	assert_int_equal(queue_read(queue, -1, NULL, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	/* Before the reader came: it does not wait. */
	queue_poke(queue);
	queue_poke(queue);
	assert_int_equal(queue_read(queue, -1, NULL, NULL), 0);
	queue_poke(queue);
	queue_close(queue);
	assert_int_equal(queue_read(queue, -1, NULL, NULL), -EPIPE);
	queue_free(queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order),	  cmocka_unit_test(read_in_turn),
		cmocka_unit_test(blocks_fill_up), cmocka_unit_test(ceiling),
		cmocka_unit_test(many_blocks),	  cmocka_unit_test(smallest),
		cmocka_unit_test(too_long),	  cmocka_unit_test(reader_fails),
		cmocka_unit_test(two_threads),	  cmocka_unit_test(close_wakes),
		cmocka_unit_test(poke_wakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

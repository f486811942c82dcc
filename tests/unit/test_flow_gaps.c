/* SPDX-License-Identifier: Apache-2.0 */
/* Lost and late records: what becomes a gap, when, and what does not. */
#include <sys/socket.h>

#include "event/endpoint.h"
#include "flow_scene.h"

static void hole_that_the_kernel_counted(void **state)
{
	struct rig *rig = *state;
	const struct stats *stats = flow_stats(rig->flow);

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 10, 10, "abc"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 113, 110, "def"), 0);
	/* The losses of one direction explain nothing in the other. */
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "out"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 116, 110, "ghi"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ngap 1 in 0 +10 ring-full\ndata 1 in 10 abc\n"
		    "gap 1 in 13 +100 ring-full\ndata 1 in 113 def\ndata 1 out 0 out\n"
		    "data 1 in 116 ghi\n");
	assert_int_equal(stats->gaps[GAP_RING_FULL], 2);
	assert_int_equal(stats->gap_bytes[GAP_RING_FULL], 110);
	assert_int_equal(stats->bytes[DIR_IN], 9);
	/* Counted before: these five are only late. */
	assert_int_equal(put_text(rig, 1, ABI_IN, 124, 110, "y"), 0);
	expect(rig, "");
	assert_int_equal(put_text(rig, 1, ABI_IN, 119, 110, "12345"), 0);
	expect(rig, "data 1 in 119 12345\ndata 1 in 124 y\n");
}

static void gap_records_wait_too(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_gap(rig, 1, ABI_OUT, 3, 0, 100, REASON_SENDFILE), 0);
	assert_int_equal(put_gap(rig, 1, ABI_OUT, 103, 0, 10, REASON_FAULT), 0);
	expect(rig, "");
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "abc"), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 113, 0, "end"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 out 0 abc\ngap 1 out 3 +100 sendfile\n"
		    "gap 1 out 103 +10 fault\ndata 1 out 113 end\n");
	assert_int_equal(flow_stats(rig->flow)->gap_bytes[GAP_SENDFILE], 100);
	assert_int_equal(flow_stats(rig->flow)->gap_bytes[GAP_FAULT], 10);
	assert_int_equal(flow_stats(rig->flow)->gaps[GAP_RING_FULL], 0);
}

/* The kernel's count explains the hole before a record; others wait on both sides of it. */
static void gap_between_waiting(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 100, 0, "first"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 300, 0, "third"), 0);
	expect(rig, "");
	assert_int_equal(put_text(rig, 1, ABI_IN, 200, 195, "second"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ngap 1 in 0 +100 ring-full\ndata 1 in 100 first\n"
		    "gap 1 in 105 +95 ring-full\ndata 1 in 200 second\n");
	assert_int_equal(put_data(rig, 1, ABI_IN, 206, 195, rig->log, 94), 0);
	assert_int_equal(rig->last.offset, 300);
	assert_int_equal(flow_stats(rig->flow)->bytes[DIR_IN], 5 + 5 + 6 + 94);
}

/* One thread has lost its bytes and not yet said so when the next ones pass. */
static void count_comes_late(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 100, 0, "a"), 0);
	expect(rig, "");
	assert_int_equal(put_text(rig, 1, ABI_IN, 101, 100, "b"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ngap 1 in 0 +100 ring-full\ndata 1 in 100 a\n"
		    "data 1 in 101 b\n");
}

static void late_record_dropped(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 5, 5, "fghij"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ngap 1 in 0 +5 ring-full\ndata 1 in 5 fghij\n");
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "abcde"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 5, 5, "fghij"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 10, 5, "k"), 0);
	expect(rig, "data 1 in 10 k\n");
	assert_int_equal(flow_stats(rig->flow)->bytes[DIR_IN], 6);
}

/* A record that comes twice while it waits is reported once. */
static void twice_waiting(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 5, 0, "fgh"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 5, 0, "fgh"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "abcde"), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 in 0 abcde\ndata 1 in 5 fgh\n");
	/* It begins inside one that waits. */
	assert_int_equal(put_text(rig, 1, ABI_IN, 10, 0, "klm"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 11, 2, "lm"), 0);
	expect(rig, "gap 1 in 8 +2 ring-full\ndata 1 in 10 klm\n");
	assert_int_equal(put_text(rig, 1, ABI_IN, 13, 2, "n"), 0);
	expect(rig, "data 1 in 13 n\n");
}

/* What waits does so within bounds, and is given up in order. */
static void waits_within_bounds(void **state)
{
	static char chunk[ABI_CHUNK];
	struct rig *rig = *state;
	const struct stats *stats = flow_stats(rig->flow);
	uint64_t off = 10;

	memset(chunk, 'x', sizeof(chunk));
	rig->quiet = true;
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	while (!stats->events && off < 1 << 22) {
		assert_int_equal(put_data(rig, 1, ABI_IN, off, 0, chunk, sizeof(chunk)), 0);
		off += sizeof(chunk);
	}
	assert_in_range(off, 1 << 19, 1 << 21);
	assert_int_equal(stats->gaps[GAP_RING_FULL], 1);
	assert_int_equal(stats->gap_bytes[GAP_RING_FULL], 10);
	assert_int_equal(stats->bytes[DIR_IN], off - 10);
	assert_int_equal(rig->last.offset, off - sizeof(chunk));
}

static void close_with_trailing_gap(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 0, 0, "abc"), 0);
	assert_int_equal(put_text(rig, 1, ABI_IN, 8, 0, "waits"), 0);
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 1, 20, 40), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 in 0 abc\ngap 1 in 3 +5 ring-full\n"
		    "data 1 in 8 waits\ngap 1 in 13 +7 ring-full\ngap 1 out 0 +40 ring-full\n"
		    "close 1 freed in 20 out 40\n");
	assert_int_equal(stats_gap_bytes(flow_stats(rig->flow)), 52);
	/* Without a byte: nobody hears of it. */
	assert_int_equal(put_conn(rig, PID, 2, 0), 0);
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 2, 0, 0), 0);
	expect(rig, "");
	/* All its records found the ring full, the first one too. */
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 3, 9, 0), 0);
	expect(rig, "open 3 pid 100 \ngap 3 in 0 +9 ring-full\nclose 3 freed in 9 out 0\n");
}

/* The connection was freed before the process ended; only the note of it is late. */
static void exit_before_lost_close(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_proc(rig, PID, 50, PARTS("prog")), 0);
	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "abc"), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 10, 0, "waits"), 0);
	assert_int_equal(put_exit(rig, PID), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 out 0 abc\n");
	assert_string_equal(rig->drops, "");
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 1, 0, 20), 0);
	expect(rig, "gap 1 out 3 +7 ring-full\ndata 1 out 10 waits\ngap 1 out 15 +5 ring-full\n"
		    "close 1 freed in 0 out 20\n");
	assert_int_equal(flow_stats(rig->flow)->connections, 1);
}

static void state_known(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(put_conn(rig, PID, 1, 0), 0);
	assert_int_equal(put_text(rig, 1, ABI_OUT, 0, 0, "abc"), 0);
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 0, 3), 0);
	expect(rig, "open 1 pid 100 /lib/first\ndata 1 out 0 abc\n");
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 5, 8), 0);
	expect(rig, "gap 1 in 0 +5 ring-full\ngap 1 out 3 +5 ring-full\n");
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 5, 8), 0);
	/* An older state takes nothing back. */
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 0, 2), 0);
	expect(rig, "");
	/* The kernel's count of what has been settled explains no further hole. */
	assert_int_equal(put_text(rig, 1, ABI_OUT, 10, 5, "later"), 0);
	expect(rig, "");
	assert_int_equal(put_text(rig, 1, ABI_OUT, 8, 5, "ab"), 0);
	expect(rig, "data 1 out 8 ab\ndata 1 out 10 later\n");
}

static void state_unknown(void **state)
{
	struct rig *rig = *state;
	char text[ENDPOINT_STRLEN];

	kernel_has(rig, 0, PID, 1, 10, 20);
	rig->conns[0].cookie = 1ULL << COOKIE_FILE_SHIFT;
	rig->conns[0].addr = (struct rec_addr) { .family = AF_INET,
						 .lport = 1,
						 .rport = 443,
						 .laddr = { 127, 0, 0, 1 },
						 .raddr = { 127, 0, 0, 2 } };
	assert_int_equal(put_state(rig, REC_STATE, PID, 1, 10, 20), 0);
	expect(rig, "open 1 pid 100 /lib/second\ngap 1 in 0 +10 ring-full\n"
		    "gap 1 out 0 +20 ring-full\n");
	assert_string_equal(endpoint_format(&rig->last.conn->remote, text), "127.0.0.2:443");
	assert_int_equal(put_state(rig, REC_CLOSE, PID, 1, 10, 20), 0);
	expect(rig, "close 1 freed in 10 out 20\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(hole_that_the_kernel_counted),
		RIG_TEST(gap_records_wait_too),
		RIG_TEST(gap_between_waiting),
		RIG_TEST(count_comes_late),
		RIG_TEST(late_record_dropped),
		RIG_TEST(twice_waiting),
		RIG_TEST(waits_within_bounds),
		RIG_TEST(close_with_trailing_gap),
		RIG_TEST(exit_before_lost_close),
		RIG_TEST(state_known),
		RIG_TEST(state_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

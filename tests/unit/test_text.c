/* SPDX-License-Identifier: Apache-2.0 */
/* The text sink: escaping, what is held back between chunks, headers, hex lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "out/escape.h"
#include "out/hex.h"
#include "out/sink.h"
#include "out/writer.h"

#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

static void check_output(struct writer *w, const char *want)
{
	assert_int_equal(writer_put(w, "", 1), 0);
	assert_string_equal(w->buf, want);
	w->len = 0;
}

/* One stream, cut before each "|" of input; "!" is a release. */
static void check_escape(const char *input, const char *want)
{
	struct writer w;
	struct escape esc = { .writer = &w, .at_start = true };

	assert_int_equal(writer_init(&w, -1, 16), 0);
	for (;;) {
		size_t n = strcspn(input, "|!");

		escape_put(&esc, (const uint8_t *)input, n);
		if (input[n] == '!')
			escape_release(&esc);
		if (!input[n])
			break;
		input += n + 1;
	}
	escape_end_line(&esc);
	check_output(&w, want);
	writer_done(&w);
}

static void escapes(void **state)
{
	(void)state;
	check_escape("", "");
	check_escape("plain\ttext\n", "plain\ttext\n");
	check_escape("no newline", "no newline\n");
	check_escape("\x1b[2J\x07\x7f", "\\x1b[2J\\x07\\x7f\n");
	check_escape("a\r\nb\rc\n", "a\nb\\rc\n");
	check_escape("\r\r\n", "\\r\n");
	check_escape("\n\r", "\n\\r\n");
	check_escape("\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81", "\\u{009B}\\u{202E}\\u{E0041}\n");
	check_escape("\x9b\xc0\xaf\xed\xa0\x80", "\\x9b\\xc0\\xaf\\xed\\xa0\\x80\n");
	check_escape("\xe2\x82\xac", "\xe2\x82\xac\n");
}

static void holds_back(void **state)
{
	(void)state;
	check_escape("\xe2|\x82|\xac", "\xe2\x82\xac\n");
	check_escape("\xf0|\x9f|\x98|\x80.", "\xf0\x9f\x98\x80.\n");
	check_escape("\xf0\x9f|\x98\x80 and \xf0\x9f\x98|\x80",
		     "\xf0\x9f\x98\x80 and \xf0\x9f\x98\x80\n");
	check_escape("a\r|\nb", "a\nb\n");
	check_escape("a\r||\nb", "a\nb\n");
	check_escape("a\r|b", "a\\rb\n");
	check_escape("a\r|\r|\n", "a\\r\n");
	/* The promise is not kept: each byte is escaped, what follows is seen. */
	check_escape("\xe2\x82|x", "\\xe2\\x82x\n");
	check_escape("\xe2|\xe2\x82|\xac", "\\xe2\xe2\x82\xac\n");
	check_escape("\xf0\x9f|\r|\n.", "\\xf0\\x9f\n.\n");
	check_escape("\xf0\x9f\x98|\xf0\x9f\x98\x80", "\\xf0\\x9f\\x98\xf0\x9f\x98\x80\n");
	check_escape("\xe2\x80|\xae.", "\\u{202E}.\n");
}

static void releases(void **state)
{
	(void)state;
	check_escape("\xe2\x82!\xac", "\\xe2\\x82\\xac\n");
	check_escape("a\r!\nb", "a\\r\nb\n");
	check_escape("a!b!!c", "abc\n");
	check_escape("\xc3", "\\xc3\n");
}

static void colours(void **state)
{
	struct writer w;
	struct escape esc = { .writer = &w, .at_start = true, .colour = true };

	(void)state;
	assert_int_equal(writer_init(&w, -1, 16), 0);
	/* One switch for neighbours, and never left on behind a chunk. */
	escape_put(&esc, BYTES("a\x01\x02"
			       "b\x03"));
	check_output(&w, "a\033[35m\\x01\\x02\033[0mb\033[35m\\x03\033[0m");
	escape_put(&esc, BYTES("\x04\nc\r"));
	escape_end_line(&esc);
	check_output(&w, "\033[35m\\x04\033[0m\nc\033[35m\\r\033[0m\n");
	writer_done(&w);
}

static void names(void **state)
{
	static const char comm[4] = { 'a', '\t', '\n', 'b' };
	struct writer w;

	(void)state;
	assert_int_equal(writer_init(&w, -1, 16), 0);
	escape_name(&w, comm, sizeof(comm));
	check_output(&w, "a\\x09\\x0ab");
	escape_name(&w, "x\r\ny\xe2\x82", SIZE_MAX);
	check_output(&w, "x\\r\\x0ay\\xe2\\x82");
	escape_name(&w,
		    "gr\xc3\xbc\xc3\x9f"
		    "e \xe2\x80\xae\x1b",
		    100);
	check_output(&w, "gr\xc3\xbc\xc3\x9f"
			 "e \\u{202E}\\x1b");
	escape_name(&w, "", 0);
	check_output(&w, "");
	writer_done(&w);
}

static void hex_lines(void **state)
{
	struct writer w;

	(void)state;
	assert_int_equal(writer_init(&w, -1, 16), 0);
	hex_dump(&w, 5, BYTES("0123456789abcdef~\x7f"), false);
	check_output(&w, "00000005  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  "
			 "|0123456789abcdef|\n"
			 "00000015  7e 7f                                             |~.|\n");
	hex_dump(&w, 0xffffffffULL, BYTES("\xff"), true);
	check_output(&w, "\033[2mffffffff\033[0m  ff                                             "
			 "   |.|\n");
	hex_dump(&w, UINT64_MAX, BYTES("a"), false);
	assert_memory_equal(w.buf, "ffffffffffffffff  61 ", 21);
	writer_done(&w);
}

struct fixture {
	struct writer w;
	struct sink *sink;
	struct connection conn;
	struct event ev;
};

static const struct process process = { .pid = 7, .cgroup = "", .exe = "" };

static int setup(void **state)
{
	static const struct text_options opts = { .utc = true };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	f->conn = (struct connection) { .id = 1, .process = &process, .library = "" };
	f->ev = (struct event) { .pid = 7, .comm = "sixteen letters!", .conn = &f->conn };
	assert_int_equal(writer_init(&f->w, -1, 16), 0);
	return text_new(&f->w, &opts, &f->sink);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->sink->ops->free(f->sink);
	writer_done(&f->w);
	free(f);
	return 0;
}

static void send(struct fixture *f, enum event_dir dir, uint64_t offset, const char *s)
{
	f->ev.type = EVENT_DATA;
	f->ev.dir = dir;
	f->ev.offset = offset;
	f->ev.len = strlen(s);
	f->ev.data = (const uint8_t *)s;
	assert_int_equal(f->sink->ops->event(f->sink, &f->ev), 0);
}

#define HEAD "1970-01-01 00:00:00.000000 sixteen letters![7] #1 "

static void continues(void **state)
{
	struct fixture *f = *state;

	send(f, DIR_IN, 0, "one ");
	send(f, DIR_IN, 4, "line \xc3");
	send(f, DIR_IN, 9, "");
	send(f, DIR_IN, 10, "\xa9");
	check_output(&f->w, HEAD "in\none line \xc3\xa9");
	/* Not contiguous: never shown as if it were. */
	send(f, DIR_IN, 20, "later");
	check_output(&f->w, "\n" HEAD "in\nlater");
	send(f, DIR_OUT, 25, "other\n");
	check_output(&f->w, "\n" HEAD "out\nother\n");
	f->ev.type = EVENT_CLOSE;
	f->ev.total[DIR_OUT] = 1;
	assert_int_equal(f->sink->ops->event(f->sink, &f->ev), 0);
	check_output(&f->w,
		     HEAD "--- close: connection freed, 0 bytes received, 1 byte sent ---\n");
	send(f, DIR_OUT, 31, "x\r");
	check_output(&f->w, HEAD "out\nx");
	f->ev.type = EVENT_STATS;
	assert_int_equal(f->sink->ops->event(f->sink, &f->ev), 0);
	check_output(&f->w, "\\r\n");
}

static void flushes(void **state)
{
	struct fixture *f = *state;

	send(f, DIR_IN, 0, "a\xe2\x82");
	assert_int_equal(f->sink->ops->flush(f->sink), 0);
	check_output(&f->w, HEAD "in\na\\xe2\\x82");
	send(f, DIR_IN, 3, "b");
	check_output(&f->w, "b");
}

static void local_time(void **state)
{
	static const struct text_options opts = { 0 };
	struct fixture *f = *state;

	setenv("TZ", "XXX-5:30", 1);
	f->sink->ops->free(f->sink);
	assert_int_equal(text_new(&f->w, &opts, &f->sink), 0);
	f->ev.time_ns = 86400000001999ULL;
	send(f, DIR_IN, 0, "a");
	check_output(&f->w, "1970-01-02 05:30:00.000001 sixteen letters![7] #1 in\na");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escapes),
		cmocka_unit_test(holds_back),
		cmocka_unit_test(releases),
		cmocka_unit_test(colours),
		cmocka_unit_test(names),
		cmocka_unit_test(hex_lines),
		cmocka_unit_test_setup_teardown(continues, setup, teardown),
		cmocka_unit_test_setup_teardown(flushes, setup, teardown),
		cmocka_unit_test_setup_teardown(local_time, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer, and what the NDJSON sink puts in or leaves out. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "out/json.h"
#include "out/sink.h"
#include "out/writer.h"

#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1
#define BIG	 (16U << 20)

static void check_output(struct writer *w, const char *want)
{
	assert_int_equal(writer_put(w, "", 1), 0);
	assert_string_equal(w->buf, want);
	w->len = 0;
}

static void check_text(const uint8_t *p, size_t len, const char *want)
{
	struct json json = { 0 };
	struct writer w;

	assert_int_equal(writer_init(&w, -1, 16), 0);
	json_begin(&json, &w);
	json_text(&json, "k", p, len);
	json_end(&json);
	check_output(&w, want);
	writer_done(&w);
}

static void strings(void **state)
{
	(void)state;
	check_text(BYTES(""), "{\"k\":\"\"}");
	check_text(BYTES("\"\\/\b\f\n\r\t"), "{\"k\":\"\\\"\\\\/\\b\\f\\n\\r\\t\"}");
	check_text(BYTES("\0\x1b\x7f"), "{\"k\":\"\\u0000\\u001b\\u007f\"}");
	check_text(BYTES("\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80"),
		   "{\"k\":\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"}");
	/* Not printable: escaped, but not lost. */
	check_text(BYTES("\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81"),
		   "{\"k\":\"\\u009b\\u202e\\udb40\\udc41\"}");
	check_text(BYTES("a\xff\xe2\x82z\xed\xa0\x80\xc3"),
		   "{\"k\":\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd"
		   "\xef\xbf\xbd\xef\xbf\xbd\"}");
	check_text(BYTES("a run of more than thirty-two plain characters \"and\" \xc3\xbc.\n"),
		   "{\"k\":\"a run of more than thirty-two plain characters \\\"and\\\" "
		   "\xc3\xbc.\\n\"}");
}

/* Escapes at every position around the sizes at which the code works in pieces. */
static void positions(void **state)
{
	static const size_t lens[] = { 1, 3, 31, 32, 33, 255, 256, 257, 600 };
	char in[600], want[640];

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		for (size_t pos = 0; pos < lens[i]; pos++) {
			memset(in, 'x', lens[i]);
			in[pos] = '"';
			strcpy(want, "{\"k\":\"");
			memset(want + 6, 'x', lens[i] + 1);
			memcpy(want + 6 + pos, "\\\"", 2);
			strcpy(want + 6 + lens[i] + 1, "\"}");
			check_text((const uint8_t *)in, lens[i], want);
		}
	}
}

static void objects(void **state)
{
	struct json json;
	struct writer w;

	(void)state;
	assert_int_equal(writer_init(&w, -1, 16), 0);
	json_begin(&json, &w);
	json_u64(&json, "zero", 0);
	json_u64(&json, "max", UINT64_MAX);
	json_object(&json, "empty");
	json_end(&json);
	json_object(&json, "two");
	json_name(&json, "a", "sixteen letters!x", 16);
	json_base64(&json, "b", BYTES("\xff\xfe"));
	json_end(&json);
	json_u64(&json, "last", 10);
	json_end(&json);
	check_output(&w, "{\"zero\":0,\"max\":18446744073709551615,\"empty\":{},"
			 "\"two\":{\"a\":\"sixteen letters!\",\"b\":\"//4=\"},\"last\":10}");
	writer_done(&w);
}

static void arrays(void **state)
{
	struct json json;
	struct writer w;

	(void)state;
	assert_int_equal(writer_init(&w, -1, 16), 0);
	json_begin(&json, &w);
	json_array(&json, "none");
	json_array_end(&json);
	json_array(&json, "two");
	json_item(&json);
	json_bool(&json, "a", true);
	json_bool(&json, "b", false);
	json_end(&json);
	json_item(&json);
	json_end(&json);
	json_array_end(&json);
	json_u64(&json, "last", 1);
	json_end(&json);
	check_output(&w, "{\"none\":[],\"two\":[{\"a\":true,\"b\":false},{}],\"last\":1}");
	writer_done(&w);
}

struct fixture {
	struct writer w;
	struct sink *sink;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	assert_int_equal(writer_init(&f->w, -1, 16), 0);
	return ndjson_new(&f->w, &f->sink);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->sink->ops->free(f->sink);
	writer_done(&f->w);
	free(f);
	return 0;
}

static const struct process nothing = { .cgroup = "", .exe = "" };
static const struct connection bare = { .id = 5, .process = &nothing, .library = "" };

static void open_full(void **state)
{
	const struct process process = {
		.pid = 10,
		.ppid = 9,
		.uid = 8,
		.gid = 7,
		.start_ns = 1,
		.cgroup_id = UINT64_MAX,
		.cgroup = "/a",
		.exe = "/e",
	};
	const struct connection conn = {
		.id = 3,
		.process = &process,
		.library = "/l",
		.local = { AF_INET, 80, { 192, 0, 2, 1 } },
		.remote = { AF_INET6, 81, { [15] = 1 } },
	};
	struct event ev = { .type = EVENT_OPEN, .pid = 10, .tid = 11, .comm = "c", .conn = &conn };
	struct fixture *f = *state;

	ev.time_ns = 951782399999999999ULL;
	assert_int_equal(f->sink->ops->event(f->sink, &ev), 0);
	check_output(&f->w,
		     "{\"type\":\"open\",\"time\":\"2000-02-28T23:59:59.999999999Z\",\"pid\":10,"
		     "\"tid\":11,\"comm\":\"c\",\"exe\":\"/e\",\"conn\":3,"
		     "\"local\":\"192.0.2.1:80\",\"remote\":\"[::1]:81\",\"version\":1,\"ppid\":9,"
		     "\"uid\":8,\"gid\":7,\"start\":\"1970-01-01T00:00:00.000000001Z\","
		     "\"cgroup\":\"/a\",\"cgroup_id\":18446744073709551615,\"library\":\"/l\"}\n");
}

static void leaves_out_unknown(void **state)
{
	struct event ev = { .type = EVENT_OPEN, .pid = 1, .conn = &bare };
	struct fixture *f = *state;

	assert_int_equal(f->sink->ops->event(f->sink, &ev), 0);
	check_output(&f->w, "{\"type\":\"open\",\"time\":\"1970-01-01T00:00:00.000000000Z\","
			    "\"pid\":1,\"conn\":5,\"version\":1,\"ppid\":0,\"uid\":0,\"gid\":0}\n");

	ev = (struct event) { .type = EVENT_GAP, .len = 3, .gap = GAP_UNTRACKED };
	assert_int_equal(f->sink->ops->event(f->sink, &ev), 0);
	check_output(&f->w, "{\"type\":\"gap\",\"time\":\"1970-01-01T00:00:00.000000000Z\","
			    "\"dir\":\"in\",\"len\":3,\"reason\":\"untracked\"}\n");
}

static void check_data(struct fixture *f, const uint8_t *p, size_t len, const char *want)
{
	struct event ev = { .type = EVENT_DATA, .pid = 1, .conn = &bare, .data = p, .len = len };
	const char *got;

	assert_int_equal(f->sink->ops->event(f->sink, &ev), 0);
	assert_int_equal(writer_put(&f->w, "", 1), 0);
	got = strstr(f->w.buf, "\"len\":");
	assert_non_null(got);
	got = strchr(got, ',');
	assert_non_null(got);
	assert_string_equal(got, want);
	f->w.len = 0;
}

static void text_or_base64(void **state)
{
	struct fixture *f = *state;

	check_data(f, BYTES(""), ",\"text\":\"\"}\n");
	check_data(f, BYTES("a\tb\r\nc\r"), ",\"text\":\"a\\tb\\r\\nc\\r\"}\n");
	check_data(f, BYTES("\xe2\x80\xae"), ",\"text\":\"\\u202e\"}\n");
	check_data(f, BYTES("\x1b"), ",\"base64\":\"Gw==\"}\n");
	check_data(f, BYTES("\x7f"), ",\"base64\":\"fw==\"}\n");
	check_data(f, BYTES("\xc2\x9b"), ",\"base64\":\"wps=\"}\n");
	check_data(f, BYTES("ab\xe2\x82"), ",\"base64\":\"YWLigg==\"}\n");
}

static void secret(void **state)
{
	const struct connection conn = {
		.id = 5,
		.process = &nothing,
		.library = "/l",
		.local = { AF_INET, 80, { 192, 0, 2, 1 } },
	};
	const uint8_t random[SECRET_RANDOM_LEN] = { 0x01, 0xfe }, bytes[48] = { 0xa0, 0x0b };
	struct event ev = { .type = EVENT_SECRET,
			    .pid = 1,
			    .tid = 2,
			    .comm = "c",
			    .conn = &conn,
			    .label = LABEL_CLIENT_RANDOM,
			    .client_random = random,
			    .secret = bytes,
			    .secret_len = 48 };
	struct fixture *f = *state;

	assert_int_equal(f->sink->ops->event(f->sink, &ev), 0);
	check_output(&f->w,
		     "{\"type\":\"secret\",\"time\":\"1970-01-01T00:00:00.000000000Z\",\"pid\":1,"
		     "\"tid\":2,\"comm\":\"c\",\"conn\":5,\"local\":\"192.0.2.1:80\","
		     "\"label\":\"CLIENT_RANDOM\",\"client_random\":"
		     "\"01fe000000000000000000000000000000000000000000000000000000000000\","
		     "\"secret\":\"a00b0000000000000000000000000000"
		     "0000000000000000000000000000000000000000000000000000000000000000\","
		     "\"library\":\"/l\"}\n");
}

static void large(void **state)
{
	struct fixture *f = *state;
	uint8_t *p = malloc(BIG);
	struct event ev = { .type = EVENT_DATA, .pid = 1, .conn = &bare, .data = p, .len = BIG };

	assert_non_null(p);
	memset(p, 'x', BIG);
	assert_int_equal(f->sink->ops->event(f->sink, &ev), 0);
	assert_true(f->w.len > BIG && f->w.len < BIG + 200);
	f->w.len = 0;
	memset(p, 0xff, BIG);
	assert_int_equal(f->sink->ops->event(f->sink, &ev), 0);
	assert_true(f->w.len > BIG / 3 * 4 && f->w.len < BIG / 3 * 4 + 200);
	assert_memory_equal(f->w.buf + f->w.len - 7, "/w==\"}\n", 7);
	free(p);
}

static void error_sticks(void **state)
{
	struct event ev = { .type = EVENT_CLOSE, .pid = 1, .conn = &bare };
	struct writer w;
	struct sink *sink;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_return_code(fd, errno);
	assert_int_equal(writer_init(&w, fd, 1000), 0);
	assert_int_equal(ndjson_new(&w, &sink), 0);
	assert_int_equal(sink->ops->event(sink, &ev), 0);
	assert_int_equal(sink->ops->flush(sink), -ENOSPC);
	assert_int_equal(sink->ops->event(sink, &ev), -ENOSPC);
	sink->ops->free(sink);
	writer_done(&w);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings),
		cmocka_unit_test(positions),
		cmocka_unit_test(objects),
		cmocka_unit_test(arrays),
		cmocka_unit_test_setup_teardown(open_full, setup, teardown),
		cmocka_unit_test_setup_teardown(leaves_out_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(text_or_base64, setup, teardown),
		cmocka_unit_test_setup_teardown(secret, setup, teardown),
		cmocka_unit_test_setup_teardown(large, setup, teardown),
		cmocka_unit_test(error_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

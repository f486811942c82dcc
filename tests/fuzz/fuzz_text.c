/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arbitrary payload, cut at arbitrary points, through the text and NDJSON sinks: nothing may reach
 * the terminal that steers it, and NDJSON must give the same bytes back.
 *
 * Input: one byte says how many bytes the chunk has and what comes before it (flags), then the
 * chunk, and so on.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event/event.h"
#include "out/sink.h"
#include "out/writer.h"
#include "util/utf8.h"

#define CHUNK_MASK 0x1f /* length of the chunk; all bits set: the rest of the input */
#define FLAG_OTHER 0x20 /* the other direction */
#define FLAG_FLUSH 0x40 /* flush first */
#define FLAG_GAP   0x80 /* a gap first */

#define CHECK(cond)              \
	do {                     \
		if (!(cond))     \
			abort(); \
	} while (0)

struct run {
	struct writer writer;
	struct sink *sink;
	uint64_t offset[DIR_MAX];
	struct process process;
	struct connection conn;
	struct event ev;
};

/* Value of a character in Base64 (RFC 4648 section 4). */
static int base64_value(uint8_t c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;

	CHECK(p);
	return p - digits;
}

static void check_base64(const char *s, const uint8_t *want, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const char *q = s + i / 3 * 4;
		uint32_t v = 0;

		for (int k = 0; k < 4; k++)
			v = v << 6 | (q[k] == '=' ? 0 : base64_value(q[k]));
		CHECK((uint8_t)(v >> (16 - 8 * (i % 3))) == want[i]);
	}
	CHECK(s[(len + 2) / 3 * 4] == '"');
}

static uint32_t hex4(const char *s)
{
	char buf[5] = { s[0], s[1], s[2], s[3] };
	char *end;
	uint32_t v = strtoul(buf, &end, 16);

	CHECK(end == buf + 4);
	return v;
}

static size_t encode_utf8(uint32_t cp, uint8_t out[4])
{
	size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

	if (n == 1) {
		out[0] = cp;
		return 1;
	}
	for (size_t i = n; --i > 0; cp >>= 6)
		out[i] = 0x80 | (cp & 0x3f);
	out[0] = (uint8_t)(0xf00U >> n) | cp;
	return n;
}

/* One escape behind its backslash. Returns its length, and the character as UTF-8. */
static size_t unescape(const char *s, uint8_t out[4], size_t *ret_n)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *p = *s ? strchr(from, *s) : NULL;
	uint32_t cp;

	if (p) {
		out[0] = to[p - from];
		*ret_n = 1;
		return 1;
	}
	CHECK(*s == 'u');
	cp = hex4(s + 1);
	if (cp < 0xd800 || cp > 0xdfff) {
		*ret_n = encode_utf8(cp, out);
		return 5;
	}
	CHECK(cp < 0xdc00 && s[5] == '\\' && s[6] == 'u');
	cp = 0x10000 + ((cp - 0xd800) << 10) + (hex4(s + 7) - 0xdc00);
	*ret_n = encode_utf8(cp, out);
	return 11;
}

static void check_string(const char *s, const uint8_t *want, size_t len)
{
	while (*s != '"') {
		uint8_t buf[4] = { *s };
		size_t n = 1;

		if (*s++ == '\\')
			s += unescape(s, buf, &n);
		CHECK(n <= len && !memcmp(buf, want, n));
		want += n;
		len -= n;
	}
	CHECK(!len);
}

/* The bytes that the terminal gets. */
static void check_bytes(const struct writer *w, bool colour)
{
	const uint8_t *p = (const uint8_t *)w->buf;
	size_t len = w->len;

	while (len) {
		uint32_t cp;
		int n = utf8_decode(p, len, &cp);

		CHECK(n > 0);
		if (colour && *p == 0x1b) {
			static const char *const ours[] = { "\033[0m", "\033[1;36m", "\033[1;32m",
							    "\033[2m", "\033[1;31m", "\033[35m" };
			size_t i = 0;

			while (i < 6 &&
			       (strlen(ours[i]) > len || memcmp(p, ours[i], strlen(ours[i]))))
				i++;
			CHECK(i < 6);
			n = strlen(ours[i]);
		} else {
			CHECK(cp == '\t' || cp == '\n' || utf8_printable(cp));
		}
		p += n;
		len -= n;
	}
}

/* The last line: one event, whose payload must come back. */
static void check_json(const struct run *run, size_t start)
{
	const struct event *ev = &run->ev;
	const char *line, *value;

	CHECK(run->writer.len > start && run->writer.buf[run->writer.len - 1] == '\n');
	run->writer.buf[run->writer.len - 1] = '\0';
	line = run->writer.buf + start;
	CHECK(strlen(line) == run->writer.len - start - 1 && !strchr(line, '\n'));
	/* Keys come behind "len" only once: quotation marks in values are escaped. */
	value = strstr(line, ",\"text\":\"");
	if (value) {
		check_string(value + 9, ev->data, ev->len);
	} else {
		value = strstr(line, ",\"base64\":\"");
		CHECK(value);
		check_base64(value + 11, ev->data, ev->len);
	}
	run->writer.buf[run->writer.len - 1] = '\n';
}

static void chunk(struct run *run, uint8_t flags, const uint8_t *p, size_t len, bool json)
{
	const struct sink_ops *ops = run->sink->ops;
	struct event *ev = &run->ev;
	size_t start;

	ev->dir = flags & FLAG_OTHER ? DIR_OUT : DIR_IN;
	if (flags & FLAG_FLUSH)
		CHECK(!ops->flush(run->sink));
	if (flags & FLAG_GAP) {
		ev->type = EVENT_GAP;
		ev->offset = run->offset[ev->dir];
		ev->len = len;
		CHECK(!ops->event(run->sink, ev));
		run->offset[ev->dir] += len;
	}
	start = run->writer.len;
	ev->type = EVENT_DATA;
	ev->offset = run->offset[ev->dir];
	ev->data = p;
	ev->len = len;
	CHECK(!ops->event(run->sink, ev));
	run->offset[ev->dir] += len;
	if (json)
		check_json(run, start);
}

static void play(struct run *run, const uint8_t *p, size_t len, bool json)
{
	char *name = strndup((const char *)p, len < 64 ? len : 64);

	CHECK(name);
	run->process = (struct process) { .exe = name, .cgroup = name };
	run->conn = (struct connection) { .id = 1, .process = &run->process, .library = name };
	run->ev = (struct event) { .type = EVENT_OPEN, .pid = 1, .conn = &run->conn };
	strncpy(run->ev.comm, name, sizeof(run->ev.comm));
	CHECK(!run->sink->ops->event(run->sink, &run->ev));
	while (len) {
		uint8_t flags = *p++;
		size_t n = flags & CHUNK_MASK;

		len--;
		if (n > len || n == CHUNK_MASK)
			n = len;
		chunk(run, flags, p, n, json);
		p += n;
		len -= n;
	}
	run->ev.type = EVENT_CLOSE;
	CHECK(!run->sink->ops->event(run->sink, &run->ev));
	CHECK(!run->sink->ops->flush(run->sink));
	run->sink->ops->free(run->sink);
	free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct text_options opts[] = {
		{ .utc = true },
		{ .utc = true, .colour = true },
		{ .utc = true, .hex = true },
		{ .utc = true, .hex = true, .colour = true },
	};

	for (size_t i = 0; i < 5; i++) {
		struct run run = { 0 };
		bool json = i == 4;

		CHECK(!writer_init(&run.writer, -1, 4096));
		if (json)
			CHECK(!ndjson_new(&run.writer, &run.sink));
		else
			CHECK(!text_new(&run.writer, &opts[i], &run.sink));
		play(&run, data, size, json);
		check_bytes(&run.writer, !json && opts[i].colour);
		CHECK(run.writer.buf[run.writer.len - 1] == '\n');
		writer_done(&run.writer);
	}
	return 0;
}

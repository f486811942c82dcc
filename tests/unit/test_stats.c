/* SPDX-License-Identifier: Apache-2.0 */
/* The summary in words, the names of the enums, and addresses. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "event/endpoint.h"
#include "event/stats.h"

static const struct stats_scope plaintext = { .plaintext = true };
static const struct stats_scope secrets = { .secrets = true };
static const struct stats_scope both = { true, true };

static void check_scope(const struct stats *stats, struct stats_scope scope, const char *want)
{
	char buf[STATS_STRLEN];

	stats_describe(stats, scope, buf, sizeof(buf));
	assert_string_equal(buf, want);
}

static void check(const struct stats *stats, const char *want)
{
	check_scope(stats, plaintext, want);
}

static void describes(void **state)
{
	const struct stats none = { 0 };
	const struct stats plain = {
		.events = 123,
		.connections = 4,
		.bytes = { [DIR_IN] = 5678, [DIR_OUT] = 910 },
	};
	const struct stats ones = {
		.events = 1,
		.connections = 1,
		.bytes = { 1, 1 },
		.gaps = { [GAP_SENDFILE] = 1 },
		.gap_bytes = { [GAP_SENDFILE] = 1 },
		.calls_missed = 1,
	};
	const struct stats gaps = {
		.events = 9,
		.connections = 2,
		.gaps = { [GAP_RING_FULL] = 2, [GAP_FAULT] = 1 },
		.gap_bytes = { [GAP_RING_FULL] = 32768, [GAP_FAULT] = 16384 },
		.calls_missed = 5,
	};

	(void)state;
	check(&none, "0 events, 0 connections, 0 bytes received, 0 bytes sent, no gaps");
	check(&plain, "123 events, 4 connections, 5678 bytes received, 910 bytes sent, no gaps");
	check(&ones, "1 event, 1 connection, 1 byte received, 1 byte sent, 1 gap, 1 byte lost: "
		     "1 (1 byte) sent by SSL_sendfile; 1 call missed");
	check(&gaps, "9 events, 2 connections, 0 bytes received, 0 bytes sent, 3 gaps, "
		     "49152 bytes lost: 2 (32768 bytes) ring buffer full, "
		     "1 (16384 bytes) memory not readable; 5 calls missed");
}

/* What was not asked for is not mentioned. */
static void describes_secrets(void **state)
{
	const struct stats none = { 0 };
	const struct stats many = {
		.events = 15,
		.secrets = 12,
		.secret_connections = 4,
		.secrets_lost = 2,
		.secrets_refused = 3,
	};
	const struct stats ones = {
		.events = 1,
		.secrets = 1,
		.secret_connections = 1,
		.secrets_lost = 1,
		.secrets_refused = 1,
	};

	(void)state;
	check_scope(&none, secrets, "0 secrets of 0 connections");
	check_scope(&many, secrets,
		    "12 secrets of 4 connections, 2 secrets lost, 3 secrets refused");
	check_scope(&ones, secrets, "1 secret of 1 connection, 1 secret lost, 1 secret refused");
	check_scope(&many, plaintext,
		    "15 events, 0 connections, 0 bytes received, 0 bytes sent, no gaps");
	check_scope(&ones, both,
		    "1 event, 0 connections, 0 bytes received, 0 bytes sent, no gaps; "
		    "1 secret of 1 connection, 1 secret lost, 1 secret refused");
	check_scope(&ones, (struct stats_scope) { 0 }, "");
}

static void incomplete(void **state)
{
	const struct stats none = { .secrets = 1 };
	const struct stats gap = { .gaps = { [GAP_FAULT] = 1 } };
	const struct stats missed = { .calls_missed = 1 };
	const struct stats lost = { .secrets_lost = 1 };
	const struct stats refused = { .secrets_refused = 1 };

	(void)state;
	assert_false(stats_incomplete(&none, both));
	assert_true(stats_incomplete(&gap, both));
	assert_false(stats_incomplete(&gap, secrets));
	assert_true(stats_incomplete(&missed, plaintext));
	assert_false(stats_incomplete(&missed, secrets));
	assert_true(stats_incomplete(&lost, secrets));
	assert_false(stats_incomplete(&lost, plaintext));
	assert_true(stats_incomplete(&refused, both));
	assert_false(stats_incomplete(&refused, plaintext));
}

static void fits(void **state)
{
	struct stats stats;
	char buf[STATS_STRLEN], cut[32];

	(void)state;
	memset(&stats, 0xff, sizeof(stats));
	stats_describe(&stats, both, buf, sizeof(buf));
	assert_string_equal(buf + strlen(buf) - strlen("secrets refused"), "secrets refused");

	for (size_t len = 0; len <= sizeof(cut); len++) {
		memset(cut, 'x', sizeof(cut));
		stats_describe(&stats, both, cut, len);
		if (len) {
			assert_int_equal(strlen(cut), len - 1);
			assert_memory_equal(cut, buf, len - 1);
		}
		for (size_t i = len; i < sizeof(cut); i++)
			assert_int_equal(cut[i], 'x');
	}
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(event_type_name(EVENT_OPEN), "open");
	assert_string_equal(event_type_name(EVENT_SECRET), "secret");
	assert_string_equal(event_type_name(EVENT_STATS), "stats");
	assert_string_equal(event_type_name(99), "unknown");
	assert_string_equal(event_dir_name(DIR_IN), "in");
	assert_string_equal(event_dir_name(DIR_OUT), "out");
	assert_string_equal(gap_reason_name(GAP_RING_FULL), "ring-full");
	assert_string_equal(gap_reason_name(GAP_FAULT), "fault");
	assert_string_equal(gap_reason_name(GAP_SENDFILE), "sendfile");
	assert_string_equal(gap_reason_name(GAP_UNTRACKED), "untracked");
	assert_string_equal(gap_reason_name(GAP_REASON_MAX), "unknown");
	assert_string_equal(close_reason_name(CLOSE_FREED), "freed");
	assert_string_equal(close_reason_name(CLOSE_EXIT), "exit");
	assert_string_equal(close_reason_name(CLOSE_END), "end");
	for (int i = 0; i < GAP_REASON_MAX; i++)
		assert_string_not_equal(gap_reason_text(i), "unknown");
	for (int i = 0; i <= CLOSE_END; i++)
		assert_string_not_equal(close_reason_text(i), "unknown");
}

static void check_endpoint(int family, const char *addr, uint16_t port, const char *want)
{
	struct endpoint ep = { .family = family, .port = port };
	char buf[ENDPOINT_STRLEN];

	if (addr)
		assert_int_equal(inet_pton(family, addr, ep.addr), 1);
	assert_int_equal(endpoint_known(&ep), strcmp(want, "?") != 0);
	assert_string_equal(endpoint_format(&ep, buf), want);
}

static void endpoints(void **state)
{
	(void)state;
	check_endpoint(AF_INET, "192.0.2.1", 443, "192.0.2.1:443");
	check_endpoint(AF_INET6, "::1", 443, "[::1]:443");
	check_endpoint(AF_INET6, "::ffff:192.0.2.1", 65535, "192.0.2.1:65535");
	check_endpoint(AF_INET6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
		       "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	check_endpoint(AF_INET, "0.0.0.0", 443, "?");
	check_endpoint(AF_INET6, "::", 443, "?");
	check_endpoint(AF_INET6, "::ffff:0.0.0.0", 443, "?");
	check_endpoint(AF_UNSPEC, NULL, 0, "?");
	check_endpoint(AF_UNIX, NULL, 1, "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(describes),  cmocka_unit_test(describes_secrets),
		cmocka_unit_test(incomplete), cmocka_unit_test(fits),
		cmocka_unit_test(names),      cmocka_unit_test(endpoints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines, good and bad; numbers, sizes and durations at their limits; the help text. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "util/options.h"

struct values {
	bool flag;
	bool other;
	unsigned int count;
	const char *string;
	struct option_list list;
	int64_t number;
	uint64_t size;
	uint64_t ns;
};

#define FIELD(name) offsetof(struct values, name)

static const struct option_def defs[] = {
	{ OPTION_FLAG, "flag", 'f', FIELD(flag), NULL, "a flag", 0, 0 },
	{ OPTION_FLAG, "other", 0, FIELD(other), NULL, "no letter", 0, 0 },
	{ OPTION_COUNT, "verbose", 'v', FIELD(count), NULL, "more", 0, 0 },
	{ OPTION_STRING, "output", 'o', FIELD(string), "FILE", "where to", 0, 0 },
	{ OPTION_LIST, "pid", 'p', FIELD(list), "PID", "one of several", 0, 0 },
	{ OPTION_NUMBER, "number", 'n', FIELD(number), "N", "a number", 3, 1000 },
	{ OPTION_SIZE, "size", 's', FIELD(size), "SIZE", "a size", 4096, 1 << 30 },
	{ OPTION_SECONDS, "duration", 'd', FIELD(ns), "SECONDS", "how long", 0, 0 },
	{ OPTION_END },
};

struct parsed {
	struct values v;
	char err[160];
	int rest;
	int r;
};

#define ARGS_MAX 16

static void parse(struct parsed *p, ...)
{
	char *argv[ARGS_MAX + 1] = { (char *)"cleartap" };
	int argc = 1;
	va_list ap;

	memset(p, 0, sizeof(*p));
	p->rest = -1;
	va_start(ap, p);
	while (argc < ARGS_MAX && (argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	p->r = options_parse(defs, &p->v, argc, argv, &p->rest, p->err, sizeof(p->err));
}

#define PARSE(p, ...) parse(p, __VA_ARGS__, (char *)NULL)

static void nothing(void **state)
{
	struct values none = { 0 };
	struct parsed p;

	(void)state;
	parse(&p, (char *)NULL);
	assert_int_equal(p.r, 0);
	assert_int_equal(p.rest, 1);
	assert_memory_equal(&p.v, &none, sizeof(none));
}

static void every_kind(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "--flag", "--verbose", "--output", "file", "--pid=1", "--pid", "2", "--number=3",
	      "--size", "4k", "--duration=0.5");
	assert_int_equal(p.r, 0);
	assert_int_equal(p.rest, 12);
	assert_true(p.v.flag);
	assert_false(p.v.other);
	assert_int_equal(p.v.count, 1);
	assert_string_equal(p.v.string, "file");
	assert_int_equal(p.v.list.count, 2);
	assert_string_equal(p.v.list.items[0], "1");
	assert_string_equal(p.v.list.items[1], "2");
	assert_int_equal(p.v.number, 3);
	assert_int_equal(p.v.size, 4096);
	assert_int_equal(p.v.ns, 500000000);
	options_done(defs, &p.v);
	assert_null(p.v.list.items);
	assert_int_equal(p.v.list.count, 0);
	options_done(defs, &p.v);
}

static void letters(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "-vfv", "-ofile", "-vn", "17", "-s64K", "-d", "2", "-p1", "-p", "2");
	assert_int_equal(p.r, 0);
	assert_int_equal(p.v.count, 3);
	assert_true(p.v.flag);
	assert_string_equal(p.v.string, "file");
	assert_int_equal(p.v.number, 17);
	assert_int_equal(p.v.size, 65536);
	assert_int_equal(p.v.ns, 2000000000);
	assert_int_equal(p.v.list.count, 2);
	options_done(defs, &p.v);
}

/* What looks like an option is a value where one is due. */
static void values_with_dashes(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "--output", "--flag", "-p", "--", "--pid=a=b", "--output=-");
	assert_int_equal(p.r, 0);
	assert_false(p.v.flag);
	assert_string_equal(p.v.string, "-");
	assert_string_equal(p.v.list.items[0], "--");
	assert_string_equal(p.v.list.items[1], "a=b");
	options_done(defs, &p.v);
}

static void command_behind(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "-f", "--", "curl", "--other", "-x");
	assert_int_equal(p.r, 0);
	assert_int_equal(p.rest, 3);
	assert_true(p.v.flag);
	assert_false(p.v.other);
	PARSE(&p, "--");
	assert_int_equal(p.r, 0);
	assert_int_equal(p.rest, 2);
}

static void assert_refused(const struct parsed *p, const char *sentence)
{
	assert_int_equal(p->r, -EINVAL);
	assert_string_equal(p->err, sentence);
}

static void one_argument(void **state)
{
	static const struct option_def with_argument[] = {
		{ OPTION_ARGUMENT, "", 0, FIELD(string), "FILE", "", 0, 0 },
		{ OPTION_FLAG, "flag", 'f', FIELD(flag), NULL, "a flag", 0, 0 },
		{ OPTION_END },
	};
	char *argv[] = { (char *)"x", (char *)"-f", (char *)"file", (char *)"more", NULL };
	struct parsed p = { .rest = -1 };

	(void)state;
	assert_int_equal(options_parse(with_argument, &p.v, 3, argv, &p.rest, p.err, sizeof(p.err)),
			 0);
	assert_string_equal(p.v.string, "file");
	assert_true(p.v.flag);
	p.v.string = NULL;
	p.r = options_parse(with_argument, &p.v, 4, argv, &p.rest, p.err, sizeof(p.err));
	assert_refused(&p, "'more' is one argument too many");
	argv[1] = (char *)"--=x";
	p.r = options_parse(with_argument, &p.v, 2, argv, &p.rest, p.err, sizeof(p.err));
	assert_refused(&p, "there is no option --");
}

static void bad_lines(void **state)
{
	struct parsed p;

	(void)state;
	PARSE(&p, "curl");
	assert_refused(&p, "'curl' is not an option; a command goes behind --");
	PARSE(&p, "-");
	assert_refused(&p, "'-' is not an option; a command goes behind --");
	PARSE(&p, "");
	assert_refused(&p, "'' is not an option; a command goes behind --");
	PARSE(&p, "--fla");
	assert_refused(&p, "there is no option --fla");
	PARSE(&p, "--flags");
	assert_refused(&p, "there is no option --flags");
	PARSE(&p, "--nothing=5");
	assert_refused(&p, "there is no option --nothing");
	PARSE(&p, "--=5");
	assert_refused(&p, "there is no option --");
	PARSE(&p, "-fx");
	assert_refused(&p, "there is no option -x");
	PARSE(&p, "-\033");
	assert_refused(&p, "there is no option -?");
	PARSE(&p, "--flag=yes");
	assert_refused(&p, "--flag takes no value");
	PARSE(&p, "--verbose=");
	assert_refused(&p, "--verbose takes no value");
	PARSE(&p, "-f", "--output");
	assert_refused(&p, "--output needs a value: --output FILE");
	PARSE(&p, "-fo");
	assert_refused(&p, "-o needs a value: -o FILE");
	PARSE(&p, "--output=");
	assert_refused(&p, "--output wants a value that is not empty");
	PARSE(&p, "--pid", "");
	assert_refused(&p, "--pid wants a value that is not empty");
	PARSE(&p, "-n", "1001");
	assert_refused(&p, "--number wants a number from 3 to 1000, not '1001'");
	PARSE(&p, "--size=4097G");
	assert_refused(&p, "--size wants a size from 4K to 1024M, for example 64M, not '4097G'");
	PARSE(&p, "--duration", "1s");
	assert_refused(&p, "--duration wants seconds, for example 10 or 0.5, not '1s'");
}

static void long_argument_is_cut(void **state)
{
	char *argv[] = { (char *)"cleartap", (char *)"--number=12345678901234567890" }, err[8];
	struct values v = { 0 };
	int rest;

	(void)state;
	memset(err, 'x', sizeof(err));
	assert_int_equal(options_parse(defs, &v, 2, argv, &rest, err, 4), -EINVAL);
	assert_memory_equal(err, "--n\0xxxx", 8);
	assert_int_equal(v.number, 0);
}

static int number(const char *text, uint64_t *ret_value)
{
	return number_parse(text, 5, UINT64_MAX, ret_value);
}

static void numbers(void **state)
{
	static const char *const bad[] = { "",
					   " 7",
					   "7 ",
					   "+7",
					   "-7",
					   "0x7",
					   "7.0",
					   "7K",
					   "4",
					   "\xd9\xa7",
					   "1e3",
					   "\n",
					   "18446744073709551616",
					   "99999999999999999999999999" };
	uint64_t value = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(number(bad[i], &value), -EINVAL);
	assert_int_equal(value, 77);
	assert_int_equal(number("5", &value), 0);
	assert_int_equal(value, 5);
	assert_int_equal(number("0000000000000000000000012", &value), 0);
	assert_int_equal(value, 12);
	assert_int_equal(number("18446744073709551615", &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(number_parse("10", 1, 10, &value), 0);
	assert_int_equal(number_parse("11", 1, 10, &value), -EINVAL);
	assert_int_equal(number_parse("0", 0, 10, &value), 0);
}

static void sizes(void **state)
{
	static const char *const bad[] = {
		"",	"K",  "1KB", "1 K",	     "1T",
		"1.5M", "-1", "1KK", "17179869184G", "18014398509481984K"
	};
	uint64_t value = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(size_parse(bad[i], 0, UINT64_MAX, &value), -EINVAL);
	assert_int_equal(size_parse("0", 1, 10, &value), -EINVAL);
	assert_int_equal(size_parse("1K", 1, 1023, &value), -EINVAL);
	assert_int_equal(value, 77);
	assert_int_equal(size_parse("1K", 1024, 1024, &value), 0);
	assert_int_equal(value, 1024);
	assert_int_equal(size_parse("3k", 0, UINT64_MAX, &value), 0);
	assert_int_equal(value, 3 << 10);
	assert_int_equal(size_parse("3M", 0, UINT64_MAX, &value), 0);
	assert_int_equal(value, 3 << 20);
	assert_int_equal(size_parse("3m", 0, UINT64_MAX, &value), 0);
	assert_int_equal(value, 3 << 20);
	assert_int_equal(size_parse("3G", 0, UINT64_MAX, &value), 0);
	assert_int_equal(value, 3LL << 30);
	assert_int_equal(size_parse("3g", 0, UINT64_MAX, &value), 0);
	assert_int_equal(value, 3LL << 30);
	assert_int_equal(size_parse("123", 0, UINT64_MAX, &value), 0);
	assert_int_equal(value, 123);
	assert_int_equal(size_parse("17179869183G", 0, UINT64_MAX, &value), 0);
	assert_true(value == 17179869183ULL << 30);
}

static void seconds(void **state)
{
	static const char *const bad[] = { "",		 "0",		"0.0",
					   ".5",	 "1.2.3",	"1,5",
					   "-1",	 "1e3",		"0.000999999",
					   "4294967296", "1.1234567890" };
	uint64_t ns = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(seconds_parse(bad[i], &ns), -EINVAL);
	assert_int_equal(seconds_parse("0.001", &ns), 0);
	assert_int_equal(ns, 1000000);
	assert_int_equal(seconds_parse("1.5", &ns), 0);
	assert_int_equal(ns, 1500000000);
	assert_int_equal(seconds_parse("10.123456789", &ns), 0);
	assert_int_equal(ns, 10123456789);
	assert_int_equal(seconds_parse("4294967295", &ns), 0);
	assert_int_equal(ns, 4294967295000000000);
}

static void help(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	assert_non_null(f);
	options_help(defs, f);
	fclose(f);
	assert_string_equal(text, "  -f, --flag                 a flag\n"
				  "      --other                no letter\n"
				  "  -v, --verbose              more\n"
				  "  -o, --output FILE          where to\n"
				  "  -p, --pid PID              one of several\n"
				  "  -n, --number N             a number\n"
				  "  -s, --size SIZE            a size\n"
				  "  -d, --duration SECONDS     how long\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing),	  cmocka_unit_test(every_kind),
		cmocka_unit_test(letters),	  cmocka_unit_test(values_with_dashes),
		cmocka_unit_test(command_behind), cmocka_unit_test(one_argument),
		cmocka_unit_test(bad_lines),	  cmocka_unit_test(long_argument_is_cut),
		cmocka_unit_test(numbers),	  cmocka_unit_test(sizes),
		cmocka_unit_test(seconds),	  cmocka_unit_test(help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command-line options as a table: it drives the parser and the help text, and each entry writes
 * straight into the caller's struct.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum option_kind {
	OPTION_END = 0,
	OPTION_FLAG,	 /* bool */
	OPTION_COUNT,	 /* unsigned, one more for each time */
	OPTION_STRING,	 /* const char * */
	OPTION_LIST,	 /* struct option_list: may be given several times */
	OPTION_NUMBER,	 /* int64_t, min to max */
	OPTION_SIZE,	 /* uint64_t bytes, min to max, with K, M or G behind */
	OPTION_SECONDS,	 /* uint64_t ns; fractions allowed, at least 1 ms */
	OPTION_ARGUMENT, /* const char *: the one that is not an option; has only a metavar */
};

/* Values stay the argument vector's; the array is freed by options_done(). */
struct option_list {
	const char **items;
	size_t count;
};

struct option_def {
	enum option_kind kind;
	const char *name; /* without the dashes */
	char letter;	  /* 0: none */
	size_t offset;	  /* in the target struct */
	const char *metavar;
	const char *help;
	uint64_t min;
	uint64_t max;
};

/*
 * Parses argv[1..argc-1] until "--" or the end. Arguments that are not options are an error,
 * except for one where the table has OPTION_ARGUMENT, and behind "--": ret_rest is their index in
 * argv (argc when there are none).
 * 0, or -EINVAL with one sentence in reterr, or -ENOMEM.
 */
int options_parse(const struct option_def *defs, void *target, int argc, char **argv, int *ret_rest,
		  char *reterr, size_t reterr_len);
/* Frees the lists in target. */
void options_done(const struct option_def *defs, void *target);
/* One line or more for each option, aligned. */
void options_help(const struct option_def *defs, FILE *out);

/* Whole decimal number between min and max; -EINVAL. */
int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);
/* The same with K, M, G (powers of 1024) behind it. */
int size_parse(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);
/* Seconds with up to nine decimals, as ns. */
int seconds_parse(const char *text, uint64_t *ret_ns);

#endif

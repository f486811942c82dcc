// SPDX-License-Identifier: Apache-2.0
/* cleartap explain: what is probed in a file or process, how it was found, what is missing. */
#include "app/explain.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "app/log.h"
#include "cmd/command.h"
#include "util/exitcode.h"
#include "util/options.h"

struct explain_options {
	struct explain_request request;
	unsigned int verbose;
	bool help;
};

#define FIELD(name) offsetof(struct explain_options, name)

static const struct option_def options[] = {
	{ OPTION_ARGUMENT, "", 0, FIELD(request.subject), "FILE|PID", "", 0, 0 },
	{ OPTION_LIST, "probe", 0, FIELD(request.probes), "FUNCTION=OFFSET",
	  "with a file: where FUNCTION is in it (repeatable)", 0, 0 },
	{ OPTION_FLAG, "json", 'j', FIELD(request.json), NULL, "one JSON object for each library",
	  0, 0 },
	{ OPTION_FLAG, "no-cache", 0, FIELD(request.no_cache), NULL, "look into all files again", 0,
	  0 },
	{ OPTION_COUNT, "verbose", 'v', FIELD(verbose), NULL, "say which files are passed over", 0,
	  0 },
	{ OPTION_FLAG, "help", 'h', FIELD(help), NULL, "this text", 0, 0 },
	{ 0 },
};

static int help(void)
{
	printf("usage: cleartap explain [OPTIONS] FILE|PID\n\n"
	       "Says what is probed in a program or library, or in everything that a process has\n"
	       "mapped: each function with its offset in the file and how it was found, what is\n"
	       "missing and what that costs. A number is a process; a file of that name is ./123.\n"
	       "\n");
	options_help(options, stdout);
	printf("\nExit status: 0 good, 2 usage, 3 not permitted, 4 no TLS library or no such file\n"
	       "or process. More in cleartap(8).\n");
	return EXITCODE_OK;
}

static int parse(struct explain_options *opts, int argc, char **argv)
{
	char error[256];
	int rest;
	int r = options_parse(options, opts, argc, argv, &rest, error, sizeof(error));

	if (!r && rest < argc && !opts->request.subject)
		opts->request.subject = argv[rest++];
	if (!r && !opts->help && (rest < argc || !opts->request.subject)) {
		snprintf(error, sizeof(error), "explain wants one file or process id");
		r = -EINVAL;
	}
	if (!r)
		return 0;
	log_error("%s; 'cleartap explain --help' lists the options",
		  r == -EINVAL ? error : strerror(-r));
	return EXITCODE_USAGE;
}

int cmd_explain(int argc, char **argv)
{
	struct explain_options opts = { .request = { .subject = NULL } };
	int r = parse(&opts, argc, argv);

	log_set_level(opts.verbose);
	if (!r)
		r = opts.help ? help() : explain_run(&opts.request);
	options_done(options, &opts);
	return r;
}

// SPDX-License-Identifier: Apache-2.0
#include "cmd/tap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "app/log.h"
#include "probe/feature.h"
#include "util/exitcode.h"

#define RING_DEFAULT  (64ULL << 20)
#define RING_KEYS     (8ULL << 20) /* room for 36,000 secrets */
#define QUEUE_DEFAULT (256ULL << 20)

#define FIELD TAP_FIELD

static const struct option_def select_options[] = {
	{ OPTION_LIST, "libssl", 0, FIELD(request.libraries), "PATH",
	  "probe this library or static program only (repeatable)", 0, 0 },
	{ OPTION_LIST, "probe", 0, FIELD(request.probes), "FUNCTION=OFFSET",
	  "with --libssl: where FUNCTION is in the file (repeatable)", 0, 0 },
	{ OPTION_LIST, "pid", 'p', FIELD(request.pids), "PID",
	  "tap this process only (repeatable); others do not feel the probes", 0, 0 },
	{ OPTION_FLAG, "children", 0, FIELD(request.children), NULL,
	  "with --pid: also the processes it starts", 0, 0 },
	{ OPTION_LIST, "uid", 'u', FIELD(request.uids), "USER",
	  "tap processes of this user (name or number, repeatable)", 0, 0 },
	{ OPTION_LIST, "comm", 0, FIELD(request.comms), "NAME",
	  "tap processes or threads of this name (repeatable)", 0, 0 },
	{ OPTION_LIST, "exe", 0, FIELD(request.exes), "PATH",
	  "tap processes that run this file (repeatable)", 0, 0 },
	{ OPTION_FLAG, "json", 'j', FIELD(request.json), NULL,
	  "one JSON object a line: see cleartap-events(5)", 0, 0 },
	{ 0 },
};

static const struct option_def run_options[] = {
	{ OPTION_STRING, "keylog", 'k', FIELD(request.keylog), "FILE",
	  "add the secrets to FILE (mode 0600), as Wireshark reads them", 0, 0 },
	{ OPTION_SECONDS, "duration", 'd', FIELD(request.duration_ns), "SECONDS",
	  "end after this time", 0, 0 },
	{ OPTION_SIZE, "ring", 0, FIELD(request.ring_bytes), "SIZE",
	  "ring buffer in the kernel, a power of two (default 64M, of keys 8M)", 64ULL << 10,
	  1ULL << 30 },
	{ OPTION_SIZE, "queue", 0, FIELD(request.queue_bytes), "SIZE",
	  "memory for what a slow output has not taken yet (default 256M)", 2ULL << 20,
	  64ULL << 30 },
	{ OPTION_FLAG, "no-cache", 0, FIELD(request.no_cache), NULL, "look into all files again", 0,
	  0 },
	{ OPTION_NUMBER, "ready-fd", 0, FIELD(request.ready_fd), "N",
	  "write a newline to descriptor N when all is attached", 0, INT32_MAX },
	{ OPTION_COUNT, "verbose", 'v', FIELD(verbose), NULL,
	  "say what is probed and what is missing; twice: libbpf's messages too", 0, 0 },
	{ OPTION_FLAG, "help", 'h', FIELD(help), NULL, "this text", 0, 0 },
	{ 0 },
};

#define OPTIONS_MAX 32

static size_t add(struct option_def *table, size_t count, const struct option_def *more)
{
	while (more->kind != OPTION_END && count < OPTIONS_MAX - 1)
		table[count++] = *more++;
	table[count] = (struct option_def) { 0 };
	return count;
}

static int help(const struct tap_command *command, const struct option_def *options)
{
	printf("usage: cleartap %s [OPTIONS] [-- COMMAND [ARGS]]\n\n%s\n", command->name,
	       command->about);
	options_help(options, stdout);
	printf("\nEnd it with Ctrl-C. Exit status: 0 good, 1 failure, 2 usage, 3 not permitted,\n"
	       "4 nothing to attach to, 5 finished but data was lost; that of COMMAND if it is\n"
	       "not 0. More in cleartap(8).\n");
	return EXITCODE_OK;
}

static int check(const struct session_request *request)
{
	const char *wrong = NULL;

	if (request->children && !request->pids.count)
		wrong = "--children goes with --pid";
	else if (request->command && request->pids.count)
		wrong = "--pid and a command exclude each other";
	else if (request->json && request->hex)
		wrong = "--json and --hex exclude each other";
	else if (request->ring_bytes & (request->ring_bytes - 1))
		wrong = "--ring wants a power of two, for example 64M";
	else if (request->keylog && !strcmp(request->keylog, "-"))
		wrong = "--keylog wants a file; 'cleartap keys' prints to the standard output";
	if (!wrong)
		return 0;
	log_error("%s", wrong);
	return EXITCODE_USAGE;
}

static int run(const struct tap_command *command, const struct option_def *options,
	       struct tap_options *opts, int argc, char **argv)
{
	char error[256];
	int rest, r;

	r = options_parse(options, opts, argc, argv, &rest, error, sizeof(error));
	if (r) {
		log_error("%s; 'cleartap %s --help' lists the options",
			  r == -EINVAL ? error : strerror(-r), command->name);
		return EXITCODE_USAGE;
	}
	if (opts->help)
		return help(command, options);
	log_set_level(opts->verbose);
	feature_quiet(opts->verbose > 1);
	if (rest < argc) {
		opts->request.command = argv + rest;
	} else if (!strcmp(argv[argc - 1], "--")) {
		log_error("there is no command behind --");
		return EXITCODE_USAGE;
	}
	r = check(&opts->request);
	return r ? r : session_run(&opts->request);
}

int tap_main(const struct tap_command *command, int argc, char **argv)
{
	struct tap_options opts = { .request = { .plaintext = command->plaintext,
						 .keys = command->keys,
						 .ring_bytes = command->plaintext ? RING_DEFAULT
										  : RING_KEYS,
						 .queue_bytes = QUEUE_DEFAULT,
						 .ready_fd = -1 } };
	struct option_def options[OPTIONS_MAX];
	size_t count;
	int r;

	count = add(options, 0, select_options);
	count = add(options, count, command->options);
	add(options, count, run_options);
	r = run(command, options, &opts, argc, argv);
	options_done(options, &opts);
	return r;
}

// SPDX-License-Identifier: Apache-2.0
#include "app/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/log.h"
#include "util/exitcode.h"
#include "util/outfile.h"

#define WRITE_SIZE (256 << 10)

const char *outlet_name(const struct outlet *outlet)
{
	return outlet->path ? outlet->path : "the standard output";
}

static int open_file(const struct outlet *outlet)
{
	return outlet->append ? outfile_append(outlet->path) : outfile_open(outlet->path);
}

static const char *explain(int r)
{
	switch (-r) {
	case ELOOP:
		return "it is a symbolic link; captured data goes to real files only";
	case EMLINK:
		return "it has other names too; captured data goes to files with one name";
	case EPERM:
		return "it belongs to somebody else, who could read what is captured";
	}
	return strerror(-r);
}

int outlet_open(struct outlet *outlet)
{
	outlet->fd = outlet->path ? open_file(outlet) : STDOUT_FILENO;
	if (outlet->fd < 0)
		log_error("can't write to %s: %s", outlet->path, explain(outlet->fd));
	else if (outlet->path || fcntl(STDOUT_FILENO, F_GETFD) >= 0)
		return 0;
	else
		log_error("there is no standard output to print to; give a file with -o");
	outlet->fd = -1;
	return EXITCODE_FAILURE;
}

int outlet_start(struct outlet *outlet)
{
	const char *no_color = getenv("NO_COLOR"); /* no-color.org: empty means nothing */
	struct text_options text = {
		.hex = outlet->format == OUTLET_HEX,
		.colour = isatty(outlet->fd) && !(no_color && *no_color),
	};
	int r = writer_init(&outlet->writer, outlet->fd, WRITE_SIZE);

	if (r)
		return r;
	switch (outlet->format) {
	case OUTLET_JSON:
		return ndjson_new(&outlet->writer, &outlet->sink);
	case OUTLET_KEYLOG:
		return keylog_new(&outlet->writer, &outlet->sink);
	default:
		return text_new(&outlet->writer, &text, &outlet->sink);
	}
}

int outlet_event(struct outlet *outlet, const struct event *ev)
{
	return outlet->sink->ops->event(outlet->sink, ev);
}

int outlet_push(struct outlet *outlet, bool flush)
{
	return flush ? outlet->sink->ops->flush(outlet->sink) : writer_flush(&outlet->writer);
}

static void close_file(struct outlet *outlet)
{
	if (outlet->fd > STDERR_FILENO)
		close(outlet->fd);
	outlet->fd = -1;
}

void outlet_reopen(struct outlet *outlet)
{
	int fd;

	/* What waits belongs to the old file; that it could not be written shows later. */
	if (!outlet->append || !outlet->path || outlet_push(outlet, true))
		return;
	fd = open_file(outlet);
	if (fd < 0) {
		log_error("can't open %s again, so the old file goes on: %s", outlet->path,
			  explain(fd));
		return;
	}
	log_verbose("opened %s again", outlet->path);
	close_file(outlet);
	outlet->fd = outlet->writer.fd = fd;
}

void outlet_done(struct outlet *outlet)
{
	if (outlet->sink)
		outlet->sink->ops->free(outlet->sink);
	outlet->sink = NULL;
	writer_done(&outlet->writer);
	close_file(outlet);
}

static bool is_regular(const struct outlet *outlet, struct stat *ret_st)
{
	return outlet->path && outlet->fd >= 0 && !fstat(outlet->fd, ret_st) &&
	       S_ISREG(ret_st->st_mode);
}

bool outlet_needs_root(const struct outlet *outlet)
{
	struct stat st;

	return outlet->append && is_regular(outlet, &st) && outfile_in_root_folder(outlet->path);
}

bool outlet_is_at(const struct outlet *outlet, const char *path)
{
	struct stat ours, its;

	return is_regular(outlet, &ours) && !stat(path, &its) && ours.st_dev == its.st_dev &&
	       ours.st_ino == its.st_ino;
}

// SPDX-License-Identifier: Apache-2.0
#include "app/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "out/escape.h"
#include "out/writer.h"

static unsigned int level;

void log_set_level(unsigned int new_level)
{
	level = new_level;
}

unsigned int log_level(void)
{
	return level;
}

static void print(const char *fmt, va_list args) __attribute__((format(printf, 1, 0)));

/* Paths and names in a message come from outside: they must not drive the terminal either. */
static void print(const char *fmt, va_list args)
{
	struct writer w;
	char line[4096];

	vsnprintf(line, sizeof(line), fmt, args);
	if (writer_init(&w, STDERR_FILENO, 2 * sizeof(line)))
		return;
	writer_puts(&w, "cleartap: ");
	escape_name(&w, line, strlen(line));
	writer_puts(&w, "\n");
	(void)writer_flush(&w);
	writer_done(&w);
}

void log_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print(fmt, args);
	va_end(args);
}

void log_verbose(const char *fmt, ...)
{
	va_list args;

	if (level < 1)
		return;
	va_start(args, fmt);
	print(fmt, args);
	va_end(args);
}

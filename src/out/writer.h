/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Buffered output to a file descriptor. The first error sticks: after a full disk or a closed
 * pipe every call returns that error again, and nothing is written in the middle of a line later.
 */
#ifndef WRITER_H
#define WRITER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct writer {
	int fd;	 /* borrowed; -1: memory only (tests), never flushed */
	int err; /* 0 or the first negative errno */
	char *buf;
	size_t len;
	size_t size;
	uint64_t written; /* bytes that the kernel has taken */
};

/* size: bytes to collect before write(2). With fd -1 the buffer grows instead. -ENOMEM. */
int writer_init(struct writer *w, int fd, size_t size);
/* Frees the buffer; does not flush, does not close the fd. */
void writer_done(struct writer *w);
/* writer_put when the buffer is too small or an error stuck. */
int writer_put_slow(struct writer *w, const void *data, size_t len);

/* Inline: the sinks put many pieces of a few bytes, often of a constant length. */
static inline int writer_put(struct writer *w, const void *data, size_t len)
{
	if (w->err || len > w->size - w->len)
		return writer_put_slow(w, data, len);
	memcpy(w->buf + w->len, data, len);
	w->len += len;
	return 0;
}

int writer_puts(struct writer *w, const char *s);
int writer_printf(struct writer *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Hands everything to the kernel; loops over short writes and EINTR. Returns w->err. */
int writer_flush(struct writer *w);

#endif

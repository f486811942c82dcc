/* SPDX-License-Identifier: Apache-2.0 */
/* Buffered output to a file descriptor, with an error that sticks. */
#include "out/writer.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int writer_init(struct writer *w, int fd, size_t size)
{
	*w = (struct writer) { .fd = fd, .size = size ? size : 1 };
	w->buf = malloc(w->size);
	if (!w->buf) {
		w->size = 0;
		w->err = -ENOMEM;
	}
	return w->err;
}

void writer_done(struct writer *w)
{
	free(w->buf);
	w->buf = NULL;
	w->len = 0;
	w->size = 0;
}

static int fail(struct writer *w, int err)
{
	w->err = err;
	w->len = 0;
	return err;
}

/* Somebody else may have made the open file non-blocking: stdout is often shared. */
static int wait_writable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	if (poll(&pfd, 1, -1) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static int write_all(struct writer *w, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(w->fd, p, len);
		int r;

		if (n > 0) {
			p += n;
			len -= n;
			w->written += n;
			continue;
		}
		if (n == 0)
			return fail(w, -EIO);
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return fail(w, -errno);
		r = wait_writable(w->fd);
		if (r)
			return fail(w, r);
	}
	return 0;
}

/* Makes room for len more bytes behind the present ones. */
static int grow(struct writer *w, size_t len)
{
	size_t size = w->size;
	char *buf;

	if (len > SIZE_MAX / 2 - w->len)
		return fail(w, -ENOMEM);
	while (size - w->len < len)
		size *= 2;
	buf = realloc(w->buf, size);
	if (!buf)
		return fail(w, -ENOMEM);
	w->buf = buf;
	w->size = size;
	return 0;
}

int writer_flush(struct writer *w)
{
	int r;

	if (w->err || w->fd < 0 || !w->len)
		return w->err;
	r = write_all(w, w->buf, w->len);
	w->len = 0;
	return r;
}

int writer_put_slow(struct writer *w, const void *data, size_t len)
{
	if (w->err)
		return w->err;
	if (w->fd < 0) {
		if (grow(w, len))
			return w->err;
	} else {
		if (writer_flush(w))
			return w->err;
		if (len >= w->size)
			return write_all(w, data, len);
	}
	memcpy(w->buf + w->len, data, len);
	w->len += len;
	return 0;
}

int writer_puts(struct writer *w, const char *s)
{
	return writer_put(w, s, strlen(s));
}

int writer_printf(struct writer *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (w->err)
		return w->err;
	va_start(ap, fmt);
	n = vsnprintf(w->buf + w->len, w->size - w->len, fmt, ap);
	va_end(ap);
	if (n < 0)
		return fail(w, -EINVAL);
	if ((size_t)n < w->size - w->len)
		goto out;

	/* vsnprintf wants room for its NUL as well. */
	if (writer_flush(w))
		return w->err;
	if ((size_t)n >= w->size - w->len && grow(w, (size_t)n + 1))
		return w->err;
	va_start(ap, fmt);
	n = vsnprintf(w->buf + w->len, w->size - w->len, fmt, ap);
	va_end(ap);
out:
	w->len += n;
	return 0;
}

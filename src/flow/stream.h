/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of a connection: which byte comes next, what waits for bytes before it, and what
 * is known to be lost.
 *
 * Records of one stream may leave the ring in another order than their bytes have (two threads
 * share the handle and one is interrupted between taking its place and its space). So a hole is a
 * gap only when the kernel's count of lost bytes explains it, or when nothing more can come.
 */
#ifndef STREAM_H
#define STREAM_H

#include <stddef.h>
#include <stdint.h>

/* A record that came before its turn. */
struct stream_piece {
	struct stream_piece *next;
	uint64_t off;
	uint64_t len;
	size_t size;
	uint8_t record[];
};

struct stream {
	uint64_t next;		      /* offset of the next byte to report */
	uint64_t lost;		      /* bytes reported as lost */
	struct stream_piece *waiting; /* by offset */
	size_t waiting_bytes;
};

/* Above this a hole is taken for a gap. */
#define STREAM_WAITING_MAX (1 << 20)

enum stream_verdict {
	STREAM_NEXT, /* the record continues the stream */
	STREAM_HOLE, /* what is missing before it is lost; then it continues the stream */
	STREAM_WAIT, /* bytes before it are still to come: stream_keep() it */
	STREAM_OLD,  /* a gap has been reported in its place */
};

/* lost: the kernel's count at the time of the record. */
enum stream_verdict stream_look(const struct stream *s, uint64_t off, uint64_t lost);
/* Copies the record. -ENOMEM. */
int stream_keep(struct stream *s, uint64_t off, uint64_t len, const void *record, size_t size);
/*
 * The first waiting record if it continues the stream, or if it starts before upto: to be freed by
 * the caller. STREAM_ALL: any.
 */
#define STREAM_ALL UINT64_MAX
struct stream_piece *stream_take(struct stream *s, uint64_t upto);
void stream_done(struct stream *s);

#endif

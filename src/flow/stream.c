// SPDX-License-Identifier: Apache-2.0
#include "flow/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes before off that are neither reported nor waiting. */
static uint64_t missing(const struct stream *s, uint64_t off)
{
	uint64_t n = off - s->next;

	for (struct stream_piece *piece = s->waiting; piece && piece->off < off;
	     piece = piece->next)
		n -= piece->len;
	return n;
}

enum stream_verdict stream_look(const struct stream *s, uint64_t off, uint64_t lost)
{
	if (off == s->next)
		return STREAM_NEXT;
	if (off < s->next)
		return STREAM_OLD;
	if (lost > s->lost && lost - s->lost >= missing(s, off))
		return STREAM_HOLE;
	if (s->waiting_bytes >= STREAM_WAITING_MAX)
		return STREAM_HOLE;
	return STREAM_WAIT;
}

int stream_keep(struct stream *s, uint64_t off, uint64_t len, const void *record, size_t size)
{
	struct stream_piece *piece = malloc(sizeof(*piece) + size), **at = &s->waiting;

	if (!piece)
		return -ENOMEM;
	piece->off = off;
	piece->len = len;
	piece->size = size;
	memcpy(piece->record, record, size);
	while (*at && (*at)->off < off)
		at = &(*at)->next;
	piece->next = *at;
	*at = piece;
	s->waiting_bytes += size;
	return 0;
}

struct stream_piece *stream_take(struct stream *s, uint64_t upto)
{
	struct stream_piece *piece = s->waiting;

	if (!piece || (piece->off > s->next && piece->off >= upto))
		return NULL;
	s->waiting = piece->next;
	s->waiting_bytes -= piece->size;
	return piece;
}

void stream_done(struct stream *s)
{
	struct stream_piece *piece;

	while ((piece = stream_take(s, STREAM_ALL)))
		free(piece);
}

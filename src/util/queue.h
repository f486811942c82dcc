/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records on their way from the thread that empties the ring to the thread that prints them, in
 * order, in blocks of memory with a ceiling for all of them.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;

/* max_bytes: ceiling, rounded up to whole blocks of 1 MiB. -ENOMEM. */
int queue_new(uint64_t max_bytes, struct queue **ret_queue);
void queue_free(struct queue *queue);

/* Writer. Room for one record of len bytes? */
bool queue_has_room(struct queue *queue, size_t len);
/* Copies a record of at most 64 KiB. -ENOBUFS without room or memory. */
int queue_put(struct queue *queue, const void *record, size_t len);
/* Wakes the reader for what has been put: once for many records. */
void queue_publish(struct queue *queue);
/* Wakes the reader without a record: queue_read() returns 0 once. From any thread. */
void queue_poke(struct queue *queue);
/* Wakes the reader and says that nothing follows. */
void queue_close(struct queue *queue);

/*
 * Reader. Calls fn for a block's worth of records, waiting for the first one.
 * timeout_ms < 0: for ever. Returns 1 when it has called fn, 0 after the timeout
 * or queue_poke(), -EPIPE when the
 * queue is closed and empty, or fn's negative result (the rest of that block is dropped).
 */
typedef int (*queue_fn)(void *arg, const void *record, size_t len);
int queue_read(struct queue *queue, int timeout_ms, queue_fn fn, void *arg);

#endif

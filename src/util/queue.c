// SPDX-License-Identifier: Apache-2.0
#include "util/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK_SIZE (1 << 20)
#define RECORD_MAX (1 << 16)
#define BLOCK_DATA (BLOCK_SIZE - sizeof(struct block))
/* Blocks kept for reuse, so that a steady stream allocates nothing. */
#define SPARE_MAX 16

struct block {
	struct block *next;
	size_t used;
	_Alignas(8) unsigned char data[];
};

struct queue {
	pthread_mutex_t lock; /* for everything but max_blocks */
	pthread_cond_t cond;
	struct block *first; /* the reader takes whole blocks from here */
	struct block *last;  /* the writer fills this one, also while it waits to be taken */
	struct block *spare;
	size_t spare_count;
	size_t blocks; /* in use, the one that is being read included */
	bool closed;
	bool poked;
	size_t max_blocks;
};

int queue_new(uint64_t max_bytes, struct queue **ret_queue)
{
	struct queue *queue = calloc(1, sizeof(*queue));
	pthread_condattr_t attr;

	if (!queue)
		return -ENOMEM;
	queue->max_blocks = (max_bytes + BLOCK_SIZE - 1) / BLOCK_SIZE;
	if (queue->max_blocks < 2)
		queue->max_blocks = 2;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->cond, &attr);
	pthread_condattr_destroy(&attr);
	*ret_queue = queue;
	return 0;
}

static void chain_free(struct block *block)
{
	while (block) {
		struct block *next = block->next;

		free(block);
		block = next;
	}
}

void queue_free(struct queue *queue)
{
	if (!queue)
		return;
	chain_free(queue->first);
	chain_free(queue->spare);
	pthread_cond_destroy(&queue->cond);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

/* A record is its length in eight bytes, then itself, padded to eight. */
static size_t space(size_t len)
{
	return 8 + ((len + 7) & ~(size_t)7);
}

static bool fits(const struct block *block, size_t len)
{
	return block && block->used + space(len) <= BLOCK_DATA;
}

bool queue_has_room(struct queue *queue, size_t len)
{
	bool room;

	pthread_mutex_lock(&queue->lock);
	room = fits(queue->last, len) || queue->blocks < queue->max_blocks;
	pthread_mutex_unlock(&queue->lock);
	return room;
}

/* The block for a record of len bytes; NULL without room or memory. Under the lock. */
static struct block *block_for(struct queue *queue, size_t len)
{
	struct block *block = queue->spare;

	if (fits(queue->last, len))
		return queue->last;
	if (queue->blocks >= queue->max_blocks)
		return NULL;
	if (block) {
		queue->spare = block->next;
		queue->spare_count--;
	} else {
		block = malloc(BLOCK_SIZE);
	}
	if (!block)
		return NULL;
	block->next = NULL;
	block->used = 0;
	queue->blocks++;
	if (queue->last)
		queue->last->next = block;
	else
		queue->first = block;
	queue->last = block;
	return block;
}

int queue_put(struct queue *queue, const void *record, size_t len)
{
	uint64_t size = len;
	struct block *block;

	if (len > RECORD_MAX)
		return -EMSGSIZE;
	pthread_mutex_lock(&queue->lock);
	block = block_for(queue, len);
	if (block) {
		memcpy(block->data + block->used, &size, sizeof(size));
		memcpy(block->data + block->used + 8, record, len);
		block->used += space(len);
	}
	pthread_mutex_unlock(&queue->lock);
	return block ? 0 : -ENOBUFS;
}

void queue_publish(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	pthread_cond_signal(&queue->cond);
	pthread_mutex_unlock(&queue->lock);
}

void queue_poke(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->poked = true;
	pthread_cond_signal(&queue->cond);
	pthread_mutex_unlock(&queue->lock);
}

void queue_close(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	pthread_cond_signal(&queue->cond);
	pthread_mutex_unlock(&queue->lock);
}

static void block_put(struct queue *queue, struct block *block)
{
	pthread_mutex_lock(&queue->lock);
	queue->blocks--;
	if (queue->spare_count < SPARE_MAX) {
		block->next = queue->spare;
		queue->spare = block;
		queue->spare_count++;
		block = NULL;
	}
	pthread_mutex_unlock(&queue->lock);
	free(block);
}

static void deadline(struct timespec *ts, int ms)
{
	clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_sec += ms / 1000;
	ts->tv_nsec += (ms % 1000) * 1000000L;
	if (ts->tv_nsec >= 1000000000L) {
		ts->tv_nsec -= 1000000000L;
		ts->tv_sec++;
	}
}

/* The first block, or 0 after the timeout or a poke, or -EPIPE. */
static int block_take(struct queue *queue, int timeout_ms, struct block **ret_block)
{
	struct timespec until;
	int r = 0;

	if (timeout_ms >= 0)
		deadline(&until, timeout_ms);
	pthread_mutex_lock(&queue->lock);
	while (!queue->first && !queue->closed && !queue->poked && r != ETIMEDOUT) {
		if (timeout_ms < 0)
			r = pthread_cond_wait(&queue->cond, &queue->lock);
		else
			r = pthread_cond_timedwait(&queue->cond, &queue->lock, &until);
	}
	queue->poked = false;
	*ret_block = queue->first;
	if (queue->first) {
		queue->first = queue->first->next;
		if (!queue->first)
			queue->last = NULL;
		r = 1;
	} else {
		r = queue->closed ? -EPIPE : 0;
	}
	pthread_mutex_unlock(&queue->lock);
	return r;
}

int queue_read(struct queue *queue, int timeout_ms, queue_fn fn, void *arg)
{
	struct block *block;
	int r = block_take(queue, timeout_ms, &block);

	if (r <= 0)
		return r;
	for (size_t at = 0; at < block->used;) {
		uint64_t len;

		memcpy(&len, block->data + at, sizeof(len));
		r = fn(arg, block->data + at + 8, len);
		if (r < 0)
			break;
		at += space(len);
	}
	block_put(queue, block);
	return r < 0 ? r : 1;
}

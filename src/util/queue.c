// SPDX-License-Identifier: Apache-2.0
#include "util/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
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
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct block *first; /* handed over; under lock */
	struct block *last;
	struct block *spare;
	size_t spare_count;
	bool closed;
	struct block *open; /* the writer's own */
	atomic_size_t blocks;
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
	free(queue->open);
	pthread_cond_destroy(&queue->cond);
	pthread_mutex_destroy(&queue->lock);
	free(queue);
}

/* A record is its length in eight bytes, then itself, padded to eight. */
static size_t space(size_t len)
{
	return 8 + ((len + 7) & ~(size_t)7);
}

bool queue_has_room(const struct queue *queue, size_t len)
{
	if (queue->open && queue->open->used + space(len) <= BLOCK_DATA)
		return true;
	return queue->blocks < queue->max_blocks;
}

static struct block *block_get(struct queue *queue)
{
	struct block *block;

	pthread_mutex_lock(&queue->lock);
	block = queue->spare;
	if (block) {
		queue->spare = block->next;
		queue->spare_count--;
	}
	pthread_mutex_unlock(&queue->lock);
	if (!block)
		block = malloc(BLOCK_SIZE);
	if (block) {
		block->next = NULL;
		block->used = 0;
		queue->blocks++;
	}
	return block;
}

static void block_put(struct queue *queue, struct block *block)
{
	queue->blocks--;
	pthread_mutex_lock(&queue->lock);
	if (queue->spare_count < SPARE_MAX) {
		block->next = queue->spare;
		queue->spare = block;
		queue->spare_count++;
		block = NULL;
	}
	pthread_mutex_unlock(&queue->lock);
	free(block);
}

int queue_put(struct queue *queue, const void *record, size_t len)
{
	uint64_t size = len;
	struct block *block;

	if (len > RECORD_MAX)
		return -EMSGSIZE;
	if (!queue_has_room(queue, len))
		return -ENOBUFS;
	if (queue->open && queue->open->used + space(len) > BLOCK_DATA)
		queue_publish(queue);
	if (!queue->open)
		queue->open = block_get(queue);
	block = queue->open;
	if (!block)
		return -ENOMEM;
	memcpy(block->data + block->used, &size, sizeof(size));
	memcpy(block->data + block->used + 8, record, len);
	block->used += space(len);
	return 0;
}

void queue_publish(struct queue *queue)
{
	if (!queue->open)
		return;
	pthread_mutex_lock(&queue->lock);
	if (queue->first)
		queue->last->next = queue->open;
	else
		queue->first = queue->open;
	queue->last = queue->open;
	queue->open = NULL;
	pthread_cond_signal(&queue->cond);
	pthread_mutex_unlock(&queue->lock);
}

void queue_close(struct queue *queue)
{
	queue_publish(queue);
	pthread_mutex_lock(&queue->lock);
	queue->closed = true;
	pthread_cond_signal(&queue->cond);
	pthread_mutex_unlock(&queue->lock);
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

/* The first block, or 0 after the timeout, or -EPIPE. */
static int block_take(struct queue *queue, int timeout_ms, struct block **ret_block)
{
	struct timespec until;
	int r = 0;

	if (timeout_ms >= 0)
		deadline(&until, timeout_ms);
	pthread_mutex_lock(&queue->lock);
	while (!queue->first && !queue->closed && r != ETIMEDOUT) {
		if (timeout_ms < 0)
			r = pthread_cond_wait(&queue->cond, &queue->lock);
		else
			r = pthread_cond_timedwait(&queue->cond, &queue->lock, &until);
	}
	*ret_block = queue->first;
	if (queue->first) {
		queue->first = queue->first->next;
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

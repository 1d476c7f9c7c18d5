/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * head and tail count bytes for ever and are taken modulo the size, so that full and empty differ
 * without a spare slot. A record is a word with its length, then its bytes, rounded up to 8. One
 * that would cross the end of the memory starts at the beginning instead, and the rest is covered
 * by a word that says "skip". The producer keeps the last tail it saw and reads the consumer's
 * cache line only when the ring looks full. Mirrored mappings, which make the skip needless, were
 * rejected: two mappings and a file descriptor a ring, to save one branch.
 */
#include "lib/base/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RING_MIN ((size_t)4096)
#define WORD sizeof(uint64_t)
#define LENGTH_SKIP UINT64_MAX /* the rest up to the end of the memory holds no record */

bool ring_init(struct ring *ring, size_t size_bytes)
{
	size_t size = RING_MIN;
	while (size < size_bytes && size <= SIZE_MAX / 4)
		size *= 2;
	memset(ring, 0, sizeof(*ring));
	if (size < size_bytes)
		return false;
	ring->bytes = malloc(size);
	if (!ring->bytes)
		return false;
	ring->size = size;
	return true;
}

void ring_deinit(struct ring *ring)
{
	free(ring->bytes);
	ring->bytes = NULL;
	ring->size = 0;
}

static inline size_t record_size(size_t length)
{
	return WORD + ((length + WORD - 1) & ~(WORD - 1));
}

static inline uint64_t load_word(const struct ring *ring, size_t at)
{
	uint64_t word;
	memcpy(&word, ring->bytes + (at & (ring->size - 1)), WORD);
	return word;
}

static inline void store_word(struct ring *ring, size_t at, uint64_t word)
{
	memcpy(ring->bytes + (at & (ring->size - 1)), &word, WORD);
}

/* Bytes to skip so that a record of whole bytes at head does not cross the end. */
static inline size_t skip_before(const struct ring *ring, size_t head, size_t whole)
{
	size_t to_end = ring->size - (head & (ring->size - 1));
	return whole > to_end ? to_end : 0;
}

static void *refuse(struct ring *ring)
{
	uint64_t dropped = atomic_load_explicit(&ring->dropped, memory_order_relaxed);
	atomic_store_explicit(&ring->dropped, dropped + 1, memory_order_relaxed);
	return NULL;
}

void *ring_reserve(struct ring *ring, size_t length)
{
	if (length > ring->size / 4)
		return refuse(ring);
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	size_t whole = record_size(length);
	size_t skip = skip_before(ring, head, whole);
	if (ring->size - (head - ring->tail_seen) < skip + whole) {
		ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
		if (ring->size - (head - ring->tail_seen) < skip + whole)
			return refuse(ring);
	}
	if (skip)
		store_word(ring, head, LENGTH_SKIP);
	ring->reserved = length;
	return ring->bytes + ((head + skip) & (ring->size - 1)) + WORD;
}

void ring_commit(struct ring *ring, size_t length)
{
	assert(length <= ring->reserved);
	size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	/* Where the record begins was decided by what was reserved, not by what it was cut to. */
	head += skip_before(ring, head, record_size(ring->reserved));
	store_word(ring, head, length);
	ring->reserved = 0;
	atomic_store_explicit(&ring->head, head + record_size(length), memory_order_release);
}

const void *ring_peek(struct ring *ring, size_t *length)
{
	size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	if (head == tail)
		return NULL;
	uint64_t word = load_word(ring, tail);
	if (word == LENGTH_SKIP) {
		tail += ring->size - (tail & (ring->size - 1));
		atomic_store_explicit(&ring->tail, tail, memory_order_release);
		word = load_word(ring, tail);
	}
	*length = (size_t)word;
	return ring->bytes + (tail & (ring->size - 1)) + WORD;
}

void ring_release(struct ring *ring)
{
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
	uint64_t length = load_word(ring, tail);
	assert(length != LENGTH_SKIP);
	atomic_store_explicit(
		&ring->tail, tail + record_size((size_t)length), memory_order_release);
}

size_t ring_used(const struct ring *ring)
{
	/* The tail first: read the other way round, a busy consumer could make the difference
	 * negative. */
	size_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	size_t used = head - tail;
	return used < ring->size ? used : ring->size;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pointers through byte rings, and the bell. The order of "give, then look whether it sleeps"
 * against "say so, then look whether there is something" is kept by one full fence on each side:
 * one of the two always sees the other.
 */
#include "resolver/telemetry/handover.h"

#include <assert.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define POINTER_RING_BYTES 4096

bool bell_init(struct bell *bell)
{
	atomic_init(&bell->asleep, false);
	bell->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return bell->fd >= 0;
}

void bell_deinit(struct bell *bell)
{
	if (bell->fd >= 0)
		close(bell->fd);
	bell->fd = -1;
}

void bell_ring_hard(struct bell *bell)
{
	uint64_t one = 1;
	ssize_t written = write(bell->fd, &one, sizeof(one));

	(void)written; /* it fails only when the counter is full: then the bell rings already */
}

void bell_ring(struct bell *bell)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&bell->asleep, memory_order_relaxed) &&
		atomic_exchange(&bell->asleep, false))
		bell_ring_hard(bell);
}

void bell_sleep(struct bell *bell)
{
	atomic_store(&bell->asleep, true);
	atomic_thread_fence(memory_order_seq_cst);
}

void bell_wake(struct bell *bell)
{
	atomic_store(&bell->asleep, false);
}

bool handover_init(struct handover *handover, struct tally *tallies, size_t records_bytes)
{
	memset(handover, 0, sizeof(*handover));
	atomic_init(&handover->urged, false);
	atomic_init(&handover->lines_lost, 0);
	atomic_init(&handover->taps_lost, 0);
	if (!ring_init(&handover->full, POINTER_RING_BYTES) ||
		!ring_init(&handover->empty, POINTER_RING_BYTES) ||
		!ring_init(&handover->records, records_bytes))
		return false;
	for (size_t i = 0; i < HANDOVER_TALLIES; i++)
		handover_give(&handover->empty, &tallies[i]);
	return true;
}

void handover_deinit(struct handover *handover)
{
	ring_deinit(&handover->full);
	ring_deinit(&handover->empty);
	ring_deinit(&handover->records);
	memset(handover, 0, sizeof(*handover));
}

void handover_give(struct ring *ring, struct tally *tally)
{
	void *room = ring_reserve(ring, sizeof(tally));

	assert(room); /* the ring has room for many times all tallies */
	memcpy(room, &tally, sizeof(tally));
	ring_commit(ring, sizeof(tally));
}

struct tally *handover_take(struct ring *ring)
{
	struct tally *tally = NULL;
	size_t length;
	const void *record = ring_peek(ring, &length);

	if (!record)
		return NULL;
	memcpy(&tally, record, sizeof(tally));
	ring_release(ring);
	return tally;
}

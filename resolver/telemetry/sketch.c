/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A binary heap. Rejected: the list of buckets of the original paper, which is made for weights of
 * one: here a name comes with all that a worker counted for it in a second, so an item would walk
 * over many buckets.
 */
#include "resolver/telemetry/sketch.h"

#include <stdlib.h>

#include "resolver/telemetry/pending.h"

#define FIRST_CAPACITY 64

uint64_t sketch_estimate(const struct pending_item *item)
{
	return item->counts[PENDING_COUNT_QUERIES] + item->counts[PENDING_COUNT_ERROR];
}

static void put(struct sketch *sketch, size_t place, struct pending_item *item)
{
	sketch->heap[place] = item;
	item->place = place;
}

static void sift_up(struct sketch *sketch, size_t place, struct pending_item *item)
{
	while (place > 0) {
		size_t parent = (place - 1) / 2;
		if (sketch_estimate(sketch->heap[parent]) <= sketch_estimate(item))
			break;
		put(sketch, place, sketch->heap[parent]);
		place = parent;
	}
	put(sketch, place, item);
}

static void sift_down(struct sketch *sketch, size_t place, struct pending_item *item)
{
	for (size_t child = 2 * place + 1; child < sketch->count; child = 2 * place + 1) {
		if (child + 1 < sketch->count && sketch_estimate(sketch->heap[child + 1]) <
							 sketch_estimate(sketch->heap[child]))
			child++;
		if (sketch_estimate(item) <= sketch_estimate(sketch->heap[child]))
			break;
		put(sketch, place, sketch->heap[child]);
		place = child;
	}
	put(sketch, place, item);
}

void sketch_init(struct sketch *sketch, size_t limit)
{
	*sketch = (struct sketch){.limit = limit};
}

void sketch_deinit(struct sketch *sketch)
{
	free(sketch->heap);
	*sketch = (struct sketch){.limit = sketch->limit};
}

bool sketch_is_full(const struct sketch *sketch)
{
	return sketch->count >= sketch->limit;
}

static bool grow(struct sketch *sketch)
{
	size_t capacity = sketch->capacity ? 2 * sketch->capacity : FIRST_CAPACITY;
	struct pending_item **heap =
		realloc(sketch->heap, capacity * sizeof(struct pending_item *));

	if (!heap)
		return false;
	sketch->heap = heap;
	sketch->capacity = capacity;
	return true;
}

bool sketch_push(struct sketch *sketch, struct pending_item *item)
{
	if (sketch_is_full(sketch) || (sketch->count == sketch->capacity && !grow(sketch)))
		return false;
	sketch->count++;
	sift_up(sketch, sketch->count - 1, item);
	return true;
}

struct pending_item *sketch_pop(struct sketch *sketch)
{
	if (sketch->count == 0)
		return NULL;
	struct pending_item *least = sketch->heap[0], *last = sketch->heap[--sketch->count];
	if (sketch->count > 0)
		sift_down(sketch, 0, last);
	return least;
}

void sketch_raised(struct sketch *sketch, struct pending_item *item)
{
	sift_down(sketch, item->place, item);
}

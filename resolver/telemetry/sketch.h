/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The order of a weighted Space-Saving sketch (Metwally et al. 2005; Berinde et al. 2010 for
 * weights): a min-heap of pending items by estimate, that is, what was counted for a name for
 * certain plus what it may have been counted before it had a place. The items are the owner's; an
 * item knows its place. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pending_item;

struct sketch {
	struct pending_item **heap; /* smallest estimate first */
	size_t count, capacity;
	size_t limit; /* names */
};

void sketch_init(struct sketch *sketch, size_t limit);
void sketch_deinit(struct sketch *sketch); /* not the items */

/* True when a newcomer has to take the place of another. */
bool sketch_is_full(const struct sketch *sketch);

/* False when out of memory or full. */
bool sketch_push(struct sketch *sketch, struct pending_item *item);

/* The one with the smallest estimate, taken out; NULL when empty. */
struct pending_item *sketch_pop(struct sketch *sketch);

/* Its estimate has grown. */
void sketch_raised(struct sketch *sketch, struct pending_item *item);

uint64_t sketch_estimate(const struct pending_item *item);

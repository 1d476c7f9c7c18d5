/* SPDX-License-Identifier: BSD-3-Clause */
/* What pending.c (what waits, in which order, in which bounds) and pending_merge.c (what comes in)
 * share. The collector's thread. */
#pragma once

#include "resolver/telemetry/pending.h"

/* The item was seen from first to last: its times are widened. */
void pending_item_seen(struct pending_item *item, int64_t first_us, int64_t last_us);

/* The item of this key, made if it is new; NULL when its class is full (unless forced) or memory
 * ran out. */
struct pending_item *pending_upsert(
	struct pending *pending, const struct pending_key *key, bool force);

/* NULL when the queries could not be counted under the name. */
struct pending_item *pending_add_top(
	struct pending *pending, const struct pending_key *key, uint64_t queries);

/* To "*other" of the day; unnamed: of those, what may have been any name's. */
void pending_add_other(struct pending *pending, uint32_t day, uint64_t queries, uint64_t unnamed);

/* "*other" of the day, made if it is new. NULL: out of memory. */
struct pending_item *pending_other_of(struct pending *pending, uint32_t day);

/* And not of the generation before: an item of a queue has its `next` where others have `place`. */
static inline bool pending_is_in_sketch(
	const struct pending *pending, const struct pending_item *item)
{
	return item->place < pending->sketch.count && pending->sketch.heap[item->place] == item;
}

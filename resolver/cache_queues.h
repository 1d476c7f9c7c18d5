/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which entry of a full cache goes next: S3-FIFO. What is new waits in a small queue, a tenth of
 * the bytes. What was asked again while it waited moves to the main queue; the rest leaves, and a
 * table of ghosts remembers its hash for a while, so that what comes back goes to the main queue at
 * once. A scan of names that are asked once passes through the small queue and touches nothing
 * else. No clock and no lock: the caller passes the time and holds the lock of its shard.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Steps of one choice: after these the oldest goes, asked or not, so that the lock is held for
 * bounded work. */
#define QUEUES_STEPS_MAX 16

/* First in an entry. */
struct queue_item {
	struct queue_item *next, *previous; /* next: newer */
	uint64_t hash;
	uint32_t size;      /* octets of memory, all in all */
	uint32_t expires_s; /* mono */
	uint32_t hits;      /* a hit adds one here and does nothing else */
	uint32_t passed;    /* of these, what the queues have seen */
	bool in_main;
	bool is_cursor; /* a walker's place (cache_walk.c), no entry */
};

struct cache_queues {
	struct queue_item small, main; /* heads: next is the oldest */
	size_t small_bytes, main_bytes;
	uint32_t *ghosts;  /* sets of fingerprints, the newest first */
	size_t ghost_sets; /* a power of two; 0: nothing is remembered */
};

/* bytes: of the cache, which sets how much is remembered. Without memory for that it goes without.
 */
void queues_init(struct cache_queues *queues, size_t bytes);
void queues_refit(
	struct cache_queues *queues, size_t bytes); /* another size; ghosts are forgotten */
void queues_deinit(struct cache_queues *queues);    /* not the items */

/* Memory of the ghosts. */
size_t queues_overhead(const struct cache_queues *queues);

/* A new item with hash, size and expires_s set. proven: for the main queue. */
void queues_add(struct cache_queues *queues, struct queue_item *item, bool proven);

/* Another size in the same place. */
void queues_resize(struct cache_queues *queues, struct queue_item *item, uint32_t size);

/* Takes it out. forgotten: its hash is not remembered. */
void queues_remove(struct cache_queues *queues, struct queue_item *item, bool forgotten);

/* Takes out what is to go, or NULL when there is nothing. Of two that were asked as little, one
 * that has expired at now_s goes before one that has not. */
struct queue_item *queues_evict(struct cache_queues *queues, uint32_t now_s);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A hit must stay one increment, so an entry counts its hits and the queues subtract what they have
 * seen; uses are what is left, at most three. CLOCK over one queue was here before: it gives a new
 * name a whole round, so a scan as long as the cache makes every entry that was not asked during
 * that round leave (tests/bench/cache shows both, and LRU). W-TinyLFU does as well, for a sketch
 * that every hit has to write to.
 *
 * Ghosts are sets of eight fingerprints in FIFO order, chosen by the hash: no list, no allocation,
 * one cache line. A wrong match (8 in 2^32) moves one entry to the wrong queue.
 */
#include "resolver/cache_queues.h"

#include <stdlib.h>
#include <string.h>

#define SMALL_SHARE 10
#define USES_MAX 3
#define GHOSTS_IN_SET 8
#define ENTRY_TYPICAL 512 /* octets: as many ghosts as there are entries */
#define EXPIRED_WINDOW 4  /* how far from the oldest an expired one is looked for */

static void list_init(struct queue_item *head)
{
	head->next = head->previous = head;
}

static void list_append(struct queue_item *head, struct queue_item *item)
{
	item->next = head;
	item->previous = head->previous;
	item->previous->next = item;
	head->previous = item;
}

static void list_unlink(struct queue_item *item)
{
	item->previous->next = item->next;
	item->next->previous = item->previous;
}

/* The oldest that is an entry; NULL when there is none. */
static struct queue_item *list_from(const struct queue_item *head, struct queue_item *item)
{
	while (item->is_cursor)
		item = item->next;
	return item == head ? NULL : item;
}

static struct queue_item *list_oldest(const struct queue_item *head)
{
	return list_from(head, head->next);
}

/* --- ghosts --- */

static uint32_t *ghost_set(const struct cache_queues *queues, uint64_t hash)
{
	return &queues->ghosts[((hash >> 32) & (queues->ghost_sets - 1)) * GHOSTS_IN_SET];
}

/* Zero is no ghost. */
static uint32_t fingerprint(uint64_t hash)
{
	return (uint32_t)hash ? (uint32_t)hash : 1;
}

static void ghost_add(struct cache_queues *queues, uint64_t hash)
{
	uint32_t *set;

	if (queues->ghost_sets == 0)
		return;
	set = ghost_set(queues, hash);
	memmove(set + 1, set, (GHOSTS_IN_SET - 1) * sizeof *set);
	set[0] = fingerprint(hash);
}

static bool ghost_take(struct cache_queues *queues, uint64_t hash)
{
	uint32_t *set = queues->ghost_sets ? ghost_set(queues, hash) : NULL;

	for (size_t i = 0; set && i < GHOSTS_IN_SET; i++) {
		if (set[i] != fingerprint(hash))
			continue;
		memmove(set + i, set + i + 1, (GHOSTS_IN_SET - 1 - i) * sizeof *set);
		set[GHOSTS_IN_SET - 1] = 0;
		return true;
	}
	return false;
}

/* --- uses --- */

static uint32_t uses(const struct queue_item *item)
{
	uint32_t since = item->hits - item->passed;

	return since < USES_MAX ? since : USES_MAX;
}

static bool is_expired(const struct queue_item *item, uint32_t now_s)
{
	return item->expires_s <= now_s;
}

/* An expired one has one use less. */
static bool is_used(const struct queue_item *item, uint32_t now_s)
{
	return uses(item) > (is_expired(item, now_s) ? 1u : 0u);
}

/* --- moving --- */

static void enter(struct cache_queues *queues, struct queue_item *item, bool in_main)
{
	item->in_main = in_main;
	list_append(in_main ? &queues->main : &queues->small, item);
	*(in_main ? &queues->main_bytes : &queues->small_bytes) += item->size;
}

static void leave(struct cache_queues *queues, struct queue_item *item)
{
	list_unlink(item);
	*(item->in_main ? &queues->main_bytes : &queues->small_bytes) -= item->size;
}

/* The item, or an expired one that is as little used and nearly as old. */
static struct queue_item *prefer_expired(
	const struct queue_item *head, struct queue_item *oldest, uint32_t now_s)
{
	struct queue_item *item = oldest;

	for (unsigned i = 0; i < EXPIRED_WINDOW && item; i++) {
		if (is_expired(item, now_s) && !is_used(item, now_s))
			return item;
		item = list_from(head, item->next);
	}
	return oldest;
}

static size_t sets_for(size_t bytes)
{
	size_t sets = 1;

	while (sets * 2 * GHOSTS_IN_SET * ENTRY_TYPICAL <= bytes)
		sets *= 2;
	return sets;
}

static void ghosts_new(struct cache_queues *queues, size_t sets)
{
	queues->ghosts = calloc(sets * GHOSTS_IN_SET, sizeof *queues->ghosts);
	queues->ghost_sets = queues->ghosts ? sets : 0;
}

void queues_init(struct cache_queues *queues, size_t bytes)
{
	*queues = (struct cache_queues){.small_bytes = 0};
	list_init(&queues->small);
	list_init(&queues->main);
	ghosts_new(queues, sets_for(bytes));
}

void queues_refit(struct cache_queues *queues, size_t bytes)
{
	size_t sets = sets_for(bytes);

	if (sets == queues->ghost_sets)
		return;
	free(queues->ghosts);
	ghosts_new(queues, sets);
}

void queues_deinit(struct cache_queues *queues)
{
	free(queues->ghosts);
	queues->ghosts = NULL;
	queues->ghost_sets = 0;
}

size_t queues_overhead(const struct cache_queues *queues)
{
	return queues->ghost_sets * GHOSTS_IN_SET * sizeof *queues->ghosts;
}

void queues_add(struct cache_queues *queues, struct queue_item *item, bool proven)
{
	bool known = ghost_take(queues, item->hash);

	item->passed = item->hits;
	item->is_cursor = false;
	enter(queues, item, known || proven);
}

void queues_resize(struct cache_queues *queues, struct queue_item *item, uint32_t size)
{
	size_t *bytes = item->in_main ? &queues->main_bytes : &queues->small_bytes;

	*bytes = *bytes - item->size + size;
	item->size = size;
}

void queues_remove(struct cache_queues *queues, struct queue_item *item, bool forgotten)
{
	leave(queues, item);
	if (!forgotten)
		ghost_add(queues, item->hash);
}

static bool small_is_due(const struct cache_queues *queues)
{
	return queues->main_bytes == 0 ||
	       queues->small_bytes > (queues->small_bytes + queues->main_bytes) / SMALL_SHARE;
}

struct queue_item *queues_evict(struct cache_queues *queues, uint32_t now_s)
{
	for (unsigned step = 1;; step++) {
		bool in_main = !small_is_due(queues);
		struct queue_item *head = in_main ? &queues->main : &queues->small;
		struct queue_item *item = list_oldest(head);
		if (!item)
			return NULL;
		if (step < QUEUES_STEPS_MAX && is_used(item, now_s)) {
			item->passed = item->hits - (in_main ? uses(item) - 1 : 0);
			leave(queues, item);
			enter(queues, item, true);
			continue;
		}
		if (step < QUEUES_STEPS_MAX)
			item = prefer_expired(head, item, now_s);
		leave(queues, item);
		if (!in_main)
			ghost_add(queues, item->hash);
		return item;
	}
}

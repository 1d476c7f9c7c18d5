/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A walk's place in a shard is a cursor in its queues: an item that is no entry, which eviction
 * steps over. Entries only ever move to the newer end of the main queue, and a walk goes from the
 * small queue to the main one and from old to new, so none slips past it. The slots of the hash
 * table were rejected: a removal moves what follows it backwards, behind a walker's back.
 */
#include "resolver/cache_walk.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/cache_private.h"

struct place {
	struct queue_item cursor;
	bool begun, done;
};

struct cache_walk {
	struct cache *cache;
	size_t turn; /* the shard whose slice is next */
	size_t left; /* shards that are not done */
	struct place places[];
};

/* Called under the shard's lock: short, and it takes no other. */
typedef void visit_fn(struct shard *shard, struct entry *entry, void *context);

/* --- the cursor --- */

static void cursor_insert(struct queue_item *cursor, struct queue_item *before)
{
	cursor->next = before;
	cursor->previous = before->previous;
	cursor->previous->next = cursor;
	before->previous = cursor;
}

static void cursor_unlink(struct queue_item *cursor)
{
	cursor->previous->next = cursor->next;
	cursor->next->previous = cursor->previous;
}

/* The entry behind the cursor, which steps over it; NULL at the end of the shard, where the cursor
 * has left the queues. */
static struct entry *place_next(struct shard *shard, struct place *place)
{
	struct cache_queues *queues = &shard->queues;

	for (;;) {
		struct queue_item *item = place->cursor.next;
		cursor_unlink(&place->cursor);
		if (item == &queues->main)
			return NULL;
		cursor_insert(
			&place->cursor, item == &queues->small ? queues->main.next : item->next);
		if (item != &queues->small && !item->is_cursor)
			return (struct entry *)item;
	}
}

static void place_begin(struct shard *shard, struct place *place)
{
	place->begun = true;
	place->cursor.is_cursor = true;
	cursor_insert(&place->cursor, shard->queues.small.next);
}

/* --- the walk --- */

struct cache_walk *cache_walk_new(struct cache *cache)
{
	size_t count = cache_shard_count(cache);
	struct cache_walk *walk = calloc(1, sizeof *walk + count * sizeof walk->places[0]);

	if (!walk)
		return NULL;
	walk->cache = cache;
	walk->left = count;
	return walk;
}

void cache_walk_free(struct cache_walk *walk)
{
	if (!walk)
		return;
	for (size_t i = 0; i < cache_shard_count(walk->cache); i++) {
		struct shard *shard = &walk->cache->shards[i];
		pthread_mutex_lock(&shard->lock);
		if (walk->places[i].begun && !walk->places[i].done)
			cursor_unlink(&walk->places[i].cursor);
		pthread_mutex_unlock(&shard->lock);
	}
	free(walk);
}

/* A slice of one shard. False: there is none left. */
static bool walk_slice(struct cache_walk *walk, visit_fn *visit, void *context)
{
	if (walk->left == 0)
		return false;
	while (walk->places[walk->turn].done)
		walk->turn = (walk->turn + 1) % cache_shard_count(walk->cache);
	struct shard *shard = &walk->cache->shards[walk->turn];
	struct place *place = &walk->places[walk->turn];
	walk->turn = (walk->turn + 1) % cache_shard_count(walk->cache);
	pthread_mutex_lock(&shard->lock);
	if (!place->begun)
		place_begin(shard, place);
	for (unsigned i = 0; i < CACHE_SLICE && !place->done; i++) {
		struct entry *entry = place_next(shard, place);
		if (entry)
			visit(shard, entry, context);
		else
			place->done = true;
	}
	walk->left -= place->done;
	pthread_mutex_unlock(&shard->lock);
	return true;
}

/* All of it at once. False: out of memory. */
static bool walk_all(struct cache *cache, visit_fn *visit, void *context)
{
	struct cache_walk *walk = cache_walk_new(cache);

	if (!walk)
		return false;
	while (walk_slice(walk, visit, context))
		;
	cache_walk_free(walk);
	return true;
}

/* --- filters --- */

static uint16_t key_type(const uint8_t *key, size_t length)
{
	return (uint16_t)(key[length - 3] << 8 | key[length - 2]);
}

/* True when the name ends with the filter's, at the border of a label. */
static bool is_below(const struct cache_filter *filter, const uint8_t *name, size_t length)
{
	size_t at = 0;

	if (length < filter->length ||
		memcmp(name + length - filter->length, filter->name, filter->length) != 0)
		return false;
	while (at < length - filter->length)
		at += 1u + name[at];
	return at == length - filter->length;
}

static bool is_meant(const struct cache_filter *filter, const uint8_t *key, size_t key_length)
{
	size_t length = key_length - 3;

	if (filter->qtype != 0 && filter->qtype != key_type(key, key_length))
		return false;
	if (!filter->name)
		return true;
	if (filter->below)
		return is_below(filter, key, length);
	return length == filter->length && memcmp(key, filter->name, length) == 0;
}

/* --- flush --- */

struct flush {
	const struct cache_filter *filter;
	uint64_t count;
};

static void visit_flush(struct shard *shard, struct entry *entry, void *context)
{
	struct flush *flush = context;

	if (!is_meant(flush->filter, entry->key, entry->key_length))
		return;
	shard_remove(shard, entry, true);
	shard->flushed++;
	flush->count++;
}

static bool choose_failure(void *context, const uint8_t *octets, size_t length)
{
	return is_meant(context, octets, length);
}

static uint64_t flush_failures(struct cache *cache, const struct cache_filter *filter)
{
	uint64_t count = 0;

	for (size_t i = 0; i < cache_shard_count(cache); i++) {
		struct shard *shard = &cache->shards[i];
		struct cache_filter copy = *filter;
		pthread_mutex_lock(&shard->lock);
		count += failures_forget_chosen(&shard->failures, choose_failure, &copy);
		pthread_mutex_unlock(&shard->lock);
	}
	return count;
}

enum td_error cache_flush(
	struct cache *cache, const struct cache_filter *filter, struct cache_flushed *out)
{
	struct flush flush = {.filter = filter};

	atomic_fetch_add(&cache->epoch, 1);
	if (!walk_all(cache, visit_flush, &flush))
		return TD_NOMEM;
	*out = (struct cache_flushed){flush.count, flush_failures(cache, filter)};
	return TD_OK;
}

/* --- count --- */

struct count {
	struct cache_kinds kinds;
	int64_t now_us;
};

static void visit_count(struct shard *shard, struct entry *entry, void *context)
{
	const struct answer *answer = entry->answer;
	struct count *count = context;

	(void)shard;
	if (answer->expires_us <= count->now_us)
		count->kinds.stale++;
	else if ((answer->flags & DNS_FLAG_RCODE) == RCODE_NXDOMAIN)
		count->kinds.nxdomain++;
	else if (answer->positive)
		count->kinds.positive++;
	else
		count->kinds.nodata++;
}

struct cache_kinds cache_count(struct cache *cache, int64_t now_us)
{
	struct count count = {.now_us = now_us};

	walk_all(cache, visit_count, &count);
	return count.kinds;
}

/* --- copies --- */

struct copies {
	const struct cache_filter *filter; /* NULL: all */
	struct cache_copy *out;
	size_t count, most;
	bool more;
};

static void visit_copy(struct shard *shard, struct entry *entry, void *context)
{
	struct copies *copies = context;
	struct answer *answer;

	(void)shard;
	if (copies->filter && !is_meant(copies->filter, entry->key, entry->key_length))
		return;
	if (copies->count == copies->most) {
		copies->more = true;
		return;
	}
	answer = answer_copy(entry->answer);
	if (!answer)
		return;
	copies->out[copies->count++] = (struct cache_copy){.answer = answer,
		.qtype = key_type(entry->key, entry->key_length),
		.flags = entry->key[entry->key_length - 1],
		.hits = entry->item.hits,
		.proven = entry->item.in_main};
}

size_t cache_find(struct cache *cache, const struct cache_filter *filter, struct cache_copy *out,
	size_t most, bool *more)
{
	struct copies copies = {.filter = filter, .out = out, .most = most};

	walk_all(cache, visit_copy, &copies);
	*more = copies.more;
	return copies.count;
}

struct failed {
	const struct cache_filter *filter;
	uint16_t *types;
	size_t count, most;
};

/* Chooses none, but notes those that are meant. */
static bool note_failure(void *context, const uint8_t *octets, size_t length)
{
	struct failed *failed = context;

	if (is_meant(failed->filter, octets, length) && failed->count < failed->most)
		failed->types[failed->count++] = key_type(octets, length);
	return false;
}

size_t cache_find_failures(
	struct cache *cache, const struct cache_filter *filter, uint16_t *types, size_t most)
{
	struct failed failed = {.filter = filter, .types = types, .most = most};

	for (size_t i = 0; i < cache_shard_count(cache); i++) {
		struct shard *shard = &cache->shards[i];
		pthread_mutex_lock(&shard->lock);
		failures_forget_chosen(&shard->failures, note_failure, &failed);
		pthread_mutex_unlock(&shard->lock);
	}
	return failed.count;
}

bool cache_walk_copy(struct cache_walk *walk, struct cache_copy out[CACHE_SLICE], size_t *count)
{
	struct copies copies = {.out = out, .most = CACHE_SLICE};
	bool going = walk_slice(walk, visit_copy, &copies);

	*count = copies.count;
	return going;
}

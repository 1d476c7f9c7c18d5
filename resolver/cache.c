/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shards by the upper bits of the key's hash. Eviction is CLOCK: a list in order of arrival, a bit
 * for "asked since"; the hand gives an entry with the bit a second round, so a scan of names asked
 * once pushes out only its like. An LRU list was rejected: it would move an entry, and dirty three
 * cache lines, at every hit.
 */
#include "resolver/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/table.h"

#define ENTRY_OVERHEAD 96 /* malloc's headers and the table's slot, about */
#define ENTRIES_LIMIT (1u << 24)
#define MARKS_LIMIT 4096 /* pending questions of one shard */

/* First in an entry; a shard's own is the list's head. */
struct clock_link {
	struct clock_link *next, *previous;
};

struct entry {
	struct clock_link link;
	struct answer *answer;
	bool asked;
	uint16_t key_length;
	uint8_t key[];
};

struct mark {
	unsigned owner;
	uint16_t key_length;
	uint8_t key[];
};

struct shard {
	_Alignas(64) pthread_mutex_t lock;
	struct table entries;
	struct table marks;
	struct clock_link clock; /* next: the oldest */
	size_t bytes, limit;
	uint64_t evicted, expired;
};

struct cache {
	struct hash_seed seed;
	unsigned shard_bits;
	struct shard *shards;
};

static struct shard *shard_of(const struct cache *cache, uint64_t hash)
{
	return &cache->shards[cache->shard_bits ? hash >> (64 - cache->shard_bits) : 0];
}

static bool entry_equal(const void *item, const void *key)
{
	const struct entry *entry = item;
	const struct cache_key *wanted = key;

	return entry->key_length == wanted->length &&
	       memcmp(entry->key, wanted->octets, wanted->length) == 0;
}

static bool mark_equal(const void *item, const void *key)
{
	const struct mark *mark = item;
	const struct cache_key *wanted = key;

	return mark->key_length == wanted->length &&
	       memcmp(mark->key, wanted->octets, wanted->length) == 0;
}

static size_t entry_cost(const struct entry *entry)
{
	return sizeof *entry + entry->key_length + answer_memory(entry->answer) + ENTRY_OVERHEAD;
}

static void clock_append(struct clock_link *clock, struct clock_link *link)
{
	link->next = clock;
	link->previous = clock->previous;
	link->previous->next = link;
	clock->previous = link;
}

static void clock_unlink(struct clock_link *link)
{
	link->previous->next = link->next;
	link->next->previous = link->previous;
}

static void entry_free(struct entry *entry)
{
	free(entry->answer);
	free(entry);
}

/* Takes the entry out of the shard; its key is rebuilt because the table finds by key. */
static void entry_remove(struct cache *cache, struct shard *shard, struct entry *entry)
{
	struct cache_key key = {.length = entry->key_length};

	memcpy(key.octets, entry->key, entry->key_length);
	key.hash = hash_bytes(&cache->seed, key.octets, key.length);
	table_remove(&shard->entries, key.hash, entry_equal, &key);
	clock_unlink(&entry->link);
	shard->bytes -= entry_cost(entry);
	entry_free(entry);
}

static void evict(struct cache *cache, struct shard *shard)
{
	while (shard->bytes > shard->limit && shard->clock.next != &shard->clock) {
		struct entry *oldest = (struct entry *)shard->clock.next;
		if (oldest->asked) {
			oldest->asked = false;
			clock_unlink(&oldest->link);
			clock_append(&shard->clock, &oldest->link);
			continue;
		}
		entry_remove(cache, shard, oldest);
		shard->evicted++;
	}
}

struct cache *cache_new(size_t limit_bytes, unsigned shards, const struct hash_seed *seed)
{
	struct cache *cache = calloc(1, sizeof *cache);
	size_t count;

	if (!cache)
		return NULL;
	while (1u << cache->shard_bits < shards && cache->shard_bits < 8)
		cache->shard_bits++;
	count = (size_t)1 << cache->shard_bits;
	cache->seed = *seed;
	cache->shards = aligned_alloc(64, count * sizeof cache->shards[0]);
	if (!cache->shards) {
		free(cache);
		return NULL;
	}
	memset(cache->shards, 0, count * sizeof cache->shards[0]);
	for (size_t i = 0; i < count; i++) {
		struct shard *shard = &cache->shards[i];
		pthread_mutex_init(&shard->lock, NULL);
		table_init(&shard->entries, ENTRIES_LIMIT);
		table_init(&shard->marks, MARKS_LIMIT);
		shard->clock.next = shard->clock.previous = &shard->clock;
		shard->limit = limit_bytes / count;
	}
	return cache;
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < (size_t)1 << cache->shard_bits; i++) {
		struct shard *shard = &cache->shards[i];
		void *item;
		while ((item = table_take_any(&shard->entries)))
			entry_free(item);
		while ((item = table_take_any(&shard->marks)))
			free(item);
		table_deinit(&shard->entries);
		table_deinit(&shard->marks);
		pthread_mutex_destroy(&shard->lock);
	}
	free(cache->shards);
	free(cache);
}

void cache_key_make(const struct cache *cache, struct cache_key *key, const uint8_t *folded,
	size_t length, uint16_t qtype, uint8_t flags)
{
	memcpy(key->octets, folded, length);
	key->octets[length] = (uint8_t)(qtype >> 8);
	key->octets[length + 1] = (uint8_t)qtype;
	key->octets[length + 2] = flags;
	key->length = (uint16_t)(length + 3);
	key->hash = hash_bytes(&cache->seed, key->octets, key->length);
}

static enum cache_result claim_mark(
	struct shard *shard, const struct cache_key *key, unsigned worker)
{
	struct mark *mark = malloc(sizeof *mark + key->length);

	if (!mark)
		return CACHE_FULL;
	mark->owner = worker;
	mark->key_length = key->length;
	memcpy(mark->key, key->octets, key->length);
	if (table_insert(&shard->marks, key->hash, mark) != TD_OK) {
		free(mark);
		return CACHE_FULL;
	}
	return CACHE_MISS;
}

static void copy_hit(const struct answer *answer, int64_t now_us, uint8_t *out, size_t capacity,
	struct cache_hit *hit)
{
	hit->length = answer_write(answer, now_us, out, capacity, &hit->truncated);
	hit->flags = answer->flags;
	hit->answer_id = answer->id;
	hit->generation = answer->generation;
	hit->match_count = answer->match_count;
	memcpy(hit->matches, answer->matches, answer->match_count * sizeof hit->matches[0]);
}

enum cache_result cache_lookup(struct cache *cache, const struct cache_key *key, int64_t now_us,
	bool claim, unsigned worker, uint8_t *out, size_t capacity, struct cache_hit *hit,
	unsigned *owner)
{
	struct shard *shard = shard_of(cache, key->hash);
	enum cache_result result = CACHE_MISS;

	pthread_mutex_lock(&shard->lock);
	struct entry *entry = table_find(&shard->entries, key->hash, entry_equal, key);
	if (entry && entry->answer->expires_us <= now_us) {
		entry_remove(cache, shard, entry);
		shard->expired++;
		entry = NULL;
	}
	if (entry) {
		entry->asked = true;
		copy_hit(entry->answer, now_us, out, capacity, hit);
		result = CACHE_HIT;
	} else if (claim) {
		const struct mark *mark = table_find(&shard->marks, key->hash, mark_equal, key);
		if (mark) {
			*owner = mark->owner;
			result = CACHE_PENDING;
		} else {
			result = claim_mark(shard, key, worker);
		}
	}
	pthread_mutex_unlock(&shard->lock);
	return result;
}

static struct entry *entry_new(const struct cache_key *key, struct answer *answer)
{
	struct entry *entry = malloc(sizeof *entry + key->length);

	if (!entry)
		return NULL;
	*entry = (struct entry){.answer = answer, .key_length = key->length};
	memcpy(entry->key, key->octets, key->length);
	return entry;
}

void cache_put(
	struct cache *cache, const struct cache_key *key, struct answer *answer, int64_t now_us)
{
	struct shard *shard = shard_of(cache, key->hash);
	struct entry *entry = answer->expires_us > now_us ? entry_new(key, answer) : NULL;

	if (!entry) {
		free(answer);
		return;
	}
	pthread_mutex_lock(&shard->lock);
	struct entry *older = table_find(&shard->entries, key->hash, entry_equal, key);
	if (older)
		entry_remove(cache, shard, older);
	if (table_insert(&shard->entries, key->hash, entry) == TD_OK) {
		clock_append(&shard->clock, &entry->link);
		shard->bytes += entry_cost(entry);
		evict(cache, shard);
	} else {
		entry_free(entry);
	}
	pthread_mutex_unlock(&shard->lock);
}

void cache_release(struct cache *cache, const struct cache_key *key)
{
	struct shard *shard = shard_of(cache, key->hash);

	pthread_mutex_lock(&shard->lock);
	void *mark = table_remove(&shard->marks, key->hash, mark_equal, key);
	pthread_mutex_unlock(&shard->lock);
	free(mark);
}

void cache_status(struct cache *cache, struct cache_status *out)
{
	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < (size_t)1 << cache->shard_bits; i++) {
		struct shard *shard = &cache->shards[i];
		pthread_mutex_lock(&shard->lock);
		out->entries += shard->entries.count;
		out->bytes += shard->bytes;
		out->limit += shard->limit;
		out->evicted += shard->evicted;
		out->expired += shard->expired;
		out->pending += shard->marks.count;
		out->pending_refused += shard->marks.dropped;
		pthread_mutex_unlock(&shard->lock);
	}
}

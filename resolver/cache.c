/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shards by the upper bits of the key's hash. Eviction is CLOCK: a list in order of arrival, a bit
 * for "asked since"; the hand gives an entry with the bit a second round, so a scan of names asked
 * once pushes out only its like. An LRU list was rejected: it would move an entry, and dirty three
 * cache lines, at every hit.
 */
#include "resolver/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/table.h"

#define ENTRY_OVERHEAD 96 /* malloc's headers and the table's slot, about */
#define ENTRIES_LIMIT (1u << 24)
#define MARKS_LIMIT 4096   /* pending questions of one shard */
#define FAILURES_LIMIT 512 /* of one shard; with the longest names 170 kB */

#define REFRESH_LIFE_MIN_US (10 * US_PER_S) /* shorter lives are not worth asking before their end */
#define REFRESH_AGAIN_MIN_US US_PER_S
#define FAILURE_LIMIT_US (30 * US_PER_S) /* of one that comes again, unless the option says more */
#define FAILURE_OUTAGE_US US_PER_S

/* First in an entry; a shard's own is the list's head. */
struct clock_link {
	struct clock_link *next, *previous;
};

struct entry {
	struct clock_link link;
	struct answer *answer;
	int64_t due_us; /* from then on a look-up has more to decide than that it is a hit */
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
	struct failures failures;
	struct clock_link clock; /* next: the oldest */
	size_t bytes, limit;
	uint64_t evicted, expired;
};

struct cache {
	struct hash_seed seed;
	unsigned shard_bits;
	struct shard *shards;
	_Atomic int64_t stale_us, failure_us; /* struct cache_settings */
	atomic_bool prefetch;
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

static void evict(struct cache *cache, struct shard *shard, int64_t now_us)
{
	while (shard->bytes > shard->limit && shard->clock.next != &shard->clock) {
		struct entry *oldest = (struct entry *)shard->clock.next;
		if (oldest->asked && oldest->answer->expires_us > now_us) {
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
		failures_init(&shard->failures, FAILURES_LIMIT);
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
		failures_deinit(&shard->failures);
		pthread_mutex_destroy(&shard->lock);
	}
	free(cache->shards);
	free(cache);
}

void cache_set(struct cache *cache, const struct cache_settings *settings)
{
	atomic_store_explicit(&cache->stale_us, settings->stale_us, memory_order_relaxed);
	atomic_store_explicit(&cache->failure_us, settings->failure_us, memory_order_relaxed);
	atomic_store_explicit(&cache->prefetch, settings->prefetch, memory_order_relaxed);
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

static enum cache_result look_at_mark(
	struct shard *shard, const struct cache_key *key, unsigned worker, unsigned *owner)
{
	const struct mark *mark = table_find(&shard->marks, key->hash, mark_equal, key);

	if (!mark)
		return claim_mark(shard, key, worker);
	*owner = mark->owner;
	return CACHE_PENDING;
}

static void note_hit(const struct answer *answer, struct cache_hit *hit)
{
	hit->flags = answer->flags;
	hit->answer_id = answer->id;
	hit->generation = answer->generation;
	hit->match_count = answer->match_count;
	memcpy(hit->matches, answer->matches, answer->match_count * sizeof hit->matches[0]);
}

static void copy_hit(const struct answer *answer, int64_t now_us, uint8_t *out, size_t capacity,
	struct cache_hit *hit)
{
	hit->length = answer_write(answer, now_us, out, capacity, &hit->truncated);
	note_hit(answer, hit);
}

/* What was validated was true then: nobody says that it is now. */
static void copy_stale(
	const struct answer *answer, uint8_t *out, size_t capacity, struct cache_hit *hit)
{
	hit->length = answer_write_stale(answer, out, capacity, &hit->truncated);
	note_hit(answer, hit);
	hit->flags &= (uint16_t)~DNS_FLAG_AD;
}

/* A hit in the last part of its life: true when somebody should ask anew. */
static bool entry_wants_refresh(const struct cache *cache, struct entry *entry, int64_t now_us)
{
	int64_t left_us = entry->answer->expires_us - now_us;

	if (!entry->asked || !atomic_load_explicit(&cache->prefetch, memory_order_relaxed))
		return false;
	entry->due_us =
		now_us + (left_us / 2 > REFRESH_AGAIN_MIN_US ? left_us / 2 : REFRESH_AGAIN_MIN_US);
	return true;
}

static struct failure_key failure_key(const struct cache_key *key)
{
	return (struct failure_key){key->hash, key->octets, key->length};
}

/* True when the entry is of no use any more and was taken out. */
static bool entry_is_over(
	struct cache *cache, struct shard *shard, struct entry *entry, int64_t now_us)
{
	if (now_us < entry->answer->expires_us +
			     atomic_load_explicit(&cache->stale_us, memory_order_relaxed))
		return false;
	entry_remove(cache, shard, entry);
	shard->expired++;
	return true;
}

enum cache_result cache_lookup(struct cache *cache, const struct cache_key *key, int64_t now_us,
	bool claim, unsigned worker, uint8_t *out, size_t capacity, struct cache_hit *hit,
	unsigned *owner)
{
	struct shard *shard = shard_of(cache, key->hash);
	enum cache_result result = CACHE_MISS;

	pthread_mutex_lock(&shard->lock);
	struct entry *entry = table_find(&shard->entries, key->hash, entry_equal, key);
	if (entry && entry->due_us > now_us) {
		entry->asked = true;
		copy_hit(entry->answer, now_us, out, capacity, hit);
		result = CACHE_HIT;
	} else if (entry && entry->answer->expires_us > now_us) {
		result = entry_wants_refresh(cache, entry, now_us) ? CACHE_HIT_DUE : CACHE_HIT;
		entry->asked = true;
		copy_hit(entry->answer, now_us, out, capacity, hit);
	} else {
		const struct failure_key failed = failure_key(key);
		hit->failing = failures_find(&shard->failures, &failed, now_us, &hit->failure);
		if (entry && entry_is_over(cache, shard, entry, now_us))
			entry = NULL;
		if (entry && !claim) {
			entry->asked = true;
			copy_stale(entry->answer, out, capacity, hit);
			result = CACHE_STALE;
		} else if (hit->failing && hit->failure.held) {
			result = CACHE_FAILED;
		} else if (claim) {
			result = look_at_mark(shard, key, worker, owner);
		}
	}
	pthread_mutex_unlock(&shard->lock);
	return result;
}

enum cache_result cache_claim(
	struct cache *cache, const struct cache_key *key, unsigned worker, unsigned *owner)
{
	struct shard *shard = shard_of(cache, key->hash);

	pthread_mutex_lock(&shard->lock);
	enum cache_result result = look_at_mark(shard, key, worker, owner);
	pthread_mutex_unlock(&shard->lock);
	return result;
}

void cache_fail(struct cache *cache, const struct cache_key *key, const struct failure *failure,
	bool outage, int64_t now_us)
{
	struct shard *shard = shard_of(cache, key->hash);
	const struct failure_key failed = failure_key(key);
	int64_t first_us = atomic_load_explicit(&cache->failure_us, memory_order_relaxed);
	int64_t again_max_us = outage ? 0 : FAILURE_LIMIT_US;

	if (first_us == 0)
		return;
	if (outage && first_us > FAILURE_OUTAGE_US)
		first_us = FAILURE_OUTAGE_US;
	pthread_mutex_lock(&shard->lock);
	failures_note(&shard->failures, &failed, failure, first_us, again_max_us, now_us);
	pthread_mutex_unlock(&shard->lock);
}

static int64_t answer_due_us(const struct answer *answer)
{
	int64_t life_us = answer->expires_us - answer->stored_us;

	return answer->expires_us - (life_us < REFRESH_LIFE_MIN_US ? 0 : life_us / 10);
}

static struct entry *entry_new(const struct cache_key *key, struct answer *answer)
{
	struct entry *entry = malloc(sizeof *entry + key->length);

	if (!entry)
		return NULL;
	*entry = (struct entry){
		.answer = answer, .due_us = answer_due_us(answer), .key_length = key->length};
	memcpy(entry->key, key->octets, key->length);
	return entry;
}

void cache_put(
	struct cache *cache, const struct cache_key *key, struct answer *answer, int64_t now_us)
{
	struct shard *shard = shard_of(cache, key->hash);
	const struct failure_key failed = failure_key(key);
	struct entry *entry = answer->expires_us > now_us ? entry_new(key, answer) : NULL;

	if (!entry)
		free(answer);
	pthread_mutex_lock(&shard->lock);
	failures_forget(&shard->failures, &failed);
	struct entry *older = table_find(&shard->entries, key->hash, entry_equal, key);
	if (older)
		entry_remove(cache, shard, older);
	if (entry && table_insert(&shard->entries, key->hash, entry) == TD_OK) {
		clock_append(&shard->clock, &entry->link);
		shard->bytes += entry_cost(entry);
		evict(cache, shard, now_us);
	} else if (entry) {
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
		out->failing += shard->failures.table.count;
		out->failing_displaced += shard->failures.displaced;
		pthread_mutex_unlock(&shard->lock);
	}
}

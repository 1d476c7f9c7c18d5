/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shards by the upper bits of the key's hash. What an entry costs is what malloc takes for it, by
 * glibc's rule (a header of eight octets, chunks of sixteen), and the tables count as well, so that
 * cache-size is what the daemon really uses. Asking malloc_usable_size at every insert was
 * rejected: it is glibc's own and looks at memory that nothing else touches then.
 */
#include "resolver/cache.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "resolver/cache_private.h"

#define ENTRIES_LIMIT (1u << 24)
#define MARKS_LIMIT 4096     /* pending questions of one shard */
#define FAILURES_LIMIT 512   /* of one shard; with the longest names 170 kB */
#define EVICTIONS_A_PUT 64   /* one of 64 KB may leave a shard that much above its limit */
#define EVICTIONS_A_SLICE 64 /* of a resize */

#define REFRESH_LIFE_MIN_US \
	(10 * US_PER_S) /* shorter lives are not worth asking before their end */
#define REFRESH_AGAIN_MIN_US US_PER_S
#define FAILURE_LIMIT_US                                                        \
	(30 * US_PER_S) /* of one that comes again, unless the option says more \
			 */
#define FAILURE_SILENCE_US US_PER_S

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

/* What malloc takes for so many octets. */
static size_t memory_of(size_t octets)
{
	size_t chunk = (octets + 8 + 15) & ~(size_t)15;

	return chunk < 32 ? 32 : chunk;
}

static uint32_t entry_size(const struct entry *entry)
{
	return (uint32_t)(memory_of(sizeof *entry + entry->key_length) +
			  memory_of(answer_memory(entry->answer)));
}

static uint32_t seconds_of(int64_t us)
{
	return us < 0 ? 0 : us / US_PER_S > UINT32_MAX ? UINT32_MAX : (uint32_t)(us / US_PER_S);
}

static void entry_free(struct entry *entry)
{
	free(entry->answer);
	free(entry);
}

struct entry *shard_find(const struct shard *shard, const struct cache_key *key)
{
	return table_find(&shard->entries, key->hash, entry_equal, key);
}

size_t shard_bytes(const struct shard *shard)
{
	return shard->queues.small_bytes + shard->queues.main_bytes +
	       queues_overhead(&shard->queues) +
	       shard->entries.capacity * sizeof(struct table_slot);
}

static bool entry_is(const void *item, const void *key)
{
	return item == key;
}

static void drop(struct shard *shard, struct entry *entry)
{
	table_remove(&shard->entries, entry->item.hash, entry_is, entry);
	entry_free(entry);
}

void shard_remove(struct shard *shard, struct entry *entry, bool forgotten)
{
	queues_remove(&shard->queues, &entry->item, forgotten);
	drop(shard, entry);
}

bool shard_evict(struct shard *shard, int64_t now_us, unsigned most)
{
	for (unsigned i = 0; shard_bytes(shard) > shard->limit; i++) {
		struct queue_item *item =
			i < most ? queues_evict(&shard->queues, seconds_of(now_us)) : NULL;
		if (!item)
			return i < most;
		drop(shard, (struct entry *)item);
		shard->evicted++;
	}
	return true;
}

struct cache *cache_new(size_t limit_bytes, unsigned shards, const struct hash_seed *seed)
{
	struct cache *cache = calloc(1, sizeof *cache);
	size_t count;

	if (!cache)
		return NULL;
	while (1u << cache->shard_bits < shards && cache->shard_bits < 8)
		cache->shard_bits++;
	count = cache_shard_count(cache);
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
		shard->limit = limit_bytes / count;
		queues_init(&shard->queues, shard->limit);
	}
	return cache;
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < cache_shard_count(cache); i++) {
		struct shard *shard = &cache->shards[i];
		void *item;
		while ((item = table_take_any(&shard->entries)))
			entry_free(item);
		while ((item = table_take_any(&shard->marks)))
			free(item);
		table_deinit(&shard->entries);
		table_deinit(&shard->marks);
		failures_deinit(&shard->failures);
		queues_deinit(&shard->queues);
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

	if (entry->item.hits == entry->hits_before ||
		!atomic_load_explicit(&cache->prefetch, memory_order_relaxed))
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
	const struct cache *cache, struct shard *shard, struct entry *entry, int64_t now_us)
{
	if (now_us < entry->answer->expires_us +
			     atomic_load_explicit(&cache->stale_us, memory_order_relaxed))
		return false;
	shard_remove(shard, entry, false);
	shard->expired++;
	return true;
}

enum cache_result cache_lookup(struct cache *cache, const struct cache_key *key, int64_t now_us,
	bool claim, unsigned worker, uint8_t *out, size_t capacity, struct cache_hit *hit,
	unsigned *owner)
{
	struct shard *shard = cache_shard_of(cache, key->hash);
	enum cache_result result = CACHE_MISS;

	pthread_mutex_lock(&shard->lock);
	struct entry *entry = shard_find(shard, key);
	if (entry && entry->due_us > now_us) {
		entry->item.hits++;
		copy_hit(entry->answer, now_us, out, capacity, hit);
		result = CACHE_HIT;
	} else if (entry && entry->answer->expires_us > now_us) {
		result = entry_wants_refresh(cache, entry, now_us) ? CACHE_HIT_DUE : CACHE_HIT;
		entry->item.hits++;
		copy_hit(entry->answer, now_us, out, capacity, hit);
	} else {
		const struct failure_key failed = failure_key(key);
		hit->failing = failures_find(&shard->failures, &failed, now_us, &hit->failure);
		if (entry && entry_is_over(cache, shard, entry, now_us))
			entry = NULL;
		if (entry && !claim) {
			entry->item.hits++;
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

bool cache_is_pending(struct cache *cache, const struct cache_key *key)
{
	struct shard *shard = cache_shard_of(cache, key->hash);

	pthread_mutex_lock(&shard->lock);
	bool pending = table_find(&shard->marks, key->hash, mark_equal, key) != NULL;
	pthread_mutex_unlock(&shard->lock);
	return pending;
}

enum cache_result cache_claim(
	struct cache *cache, const struct cache_key *key, unsigned worker, unsigned *owner)
{
	struct shard *shard = cache_shard_of(cache, key->hash);

	pthread_mutex_lock(&shard->lock);
	enum cache_result result = look_at_mark(shard, key, worker, owner);
	pthread_mutex_unlock(&shard->lock);
	return result;
}

void cache_fail(struct cache *cache, const struct cache_key *key, const struct failure *failure,
	enum cache_failure kind, int64_t now_us)
{
	struct shard *shard = cache_shard_of(cache, key->hash);
	const struct failure_key failed = failure_key(key);
	int64_t first_us = atomic_load_explicit(&cache->failure_us, memory_order_relaxed);
	bool again = kind == CACHE_FAILURE_NAME || kind == CACHE_FAILURE_SILENCE;

	if (first_us == 0)
		return;
	if (kind == CACHE_FAILURE_SLOW)
		first_us = 0;
	else if (kind != CACHE_FAILURE_NAME && first_us > FAILURE_SILENCE_US)
		first_us = FAILURE_SILENCE_US;
	pthread_mutex_lock(&shard->lock);
	if (failure->epoch == cache_epoch(cache))
		failures_note(&shard->failures, &failed, failure, first_us,
			again ? FAILURE_LIMIT_US : 0, now_us);
	pthread_mutex_unlock(&shard->lock);
}

void cache_forget_failures(struct cache *cache, bool silence_only)
{
	for (size_t i = 0; i < cache_shard_count(cache); i++) {
		struct shard *shard = &cache->shards[i];
		pthread_mutex_lock(&shard->lock);
		if (silence_only)
			failures_forget_silence(&shard->failures);
		else
			failures_forget_chosen(&shard->failures, NULL, NULL);
		pthread_mutex_unlock(&shard->lock);
	}
}

void cache_sweep_failures(struct cache *cache, int64_t now_us)
{
	for (size_t i = 0; i < cache_shard_count(cache); i++) {
		struct shard *shard = &cache->shards[i];
		pthread_mutex_lock(&shard->lock);
		failures_sweep(&shard->failures, now_us);
		pthread_mutex_unlock(&shard->lock);
	}
}

static int64_t answer_due_us(const struct answer *answer)
{
	int64_t life_us = answer->expires_us - answer->stored_us;

	return answer->expires_us - (life_us < REFRESH_LIFE_MIN_US ? 0 : life_us / 10);
}

static struct entry *entry_new(const struct cache_key *key)
{
	struct entry *entry = calloc(1, sizeof *entry + key->length);

	if (!entry)
		return NULL;
	entry->item.hash = key->hash;
	entry->key_length = key->length;
	memcpy(entry->key, key->octets, key->length);
	return entry;
}

static void give(struct entry *entry, struct answer *answer)
{
	free(entry->answer);
	entry->answer = answer;
	entry->due_us = answer_due_us(answer);
	entry->hits_before = entry->item.hits;
	entry->item.expires_s = seconds_of(answer->expires_us);
}

/* In the same place: what is asked again and again does not start anew with each TTL. */
static void replace(struct shard *shard, struct entry *entry, struct answer *answer)
{
	give(entry, answer);
	queues_resize(&shard->queues, &entry->item, entry_size(entry));
	shard->refreshed++;
}

/* Takes entry and answer; NULL, both freed, without memory. */
static struct entry *insert(struct shard *shard, const struct cache_key *key, struct answer *answer,
	uint32_t hits, bool proven)
{
	struct entry *entry = entry_new(key);

	if (!entry) {
		free(answer);
		return NULL;
	}
	entry->item.hits = hits;
	give(entry, answer);
	if (table_insert(&shard->entries, key->hash, entry) != TD_OK) {
		entry_free(entry);
		return NULL;
	}
	entry->item.size = entry_size(entry);
	queues_add(&shard->queues, &entry->item, proven);
	return entry;
}

uint32_t cache_epoch(const struct cache *cache)
{
	return atomic_load(&cache->epoch);
}

static void keep(struct shard *shard, const struct cache_key *key, struct answer *answer,
	bool outdated, int64_t now_us)
{
	struct entry *older = shard_find(shard, key);

	if (!outdated && answer->expires_us > now_us) {
		if (older)
			replace(shard, older, answer);
		else
			insert(shard, key, answer, 0, false);
		return;
	}
	free(answer);
	shard->outdated += outdated;
	if (older && !outdated)
		shard_remove(shard, older, false);
}

void cache_put(
	struct cache *cache, const struct cache_key *key, struct answer *answer, int64_t now_us)
{
	struct shard *shard = cache_shard_of(cache, key->hash);
	const struct failure_key failed = failure_key(key);

	pthread_mutex_lock(&shard->lock);
	failures_forget(&shard->failures, &failed);
	keep(shard, key, answer, answer->epoch != cache_epoch(cache), now_us);
	shard_evict(shard, now_us, EVICTIONS_A_PUT);
	pthread_mutex_unlock(&shard->lock);
}

/* Whether there is a reason to take it and room for it. */
static bool may_restore(const struct cache *cache, const struct shard *shard,
	const struct cache_key *key, const struct answer *answer, int64_t now_us)
{
	int64_t stale_us = atomic_load_explicit(&cache->stale_us, memory_order_relaxed);
	size_t size = memory_of(sizeof(struct entry) + key->length) +
		      memory_of(answer_memory(answer)) + 2 * sizeof(struct table_slot);

	return answer->expires_us > answer->stored_us && now_us < answer->expires_us + stale_us &&
	       answer->epoch == cache_epoch(cache) && shard_bytes(shard) + size <= shard->limit &&
	       !shard_find(shard, key);
}

bool cache_restore(struct cache *cache, const struct cache_key *key, struct answer *answer,
	uint32_t hits, bool proven, int64_t now_us)
{
	struct shard *shard = cache_shard_of(cache, key->hash);
	bool kept = false;

	pthread_mutex_lock(&shard->lock);
	if (may_restore(cache, shard, key, answer, now_us))
		kept = insert(shard, key, answer, hits, proven) != NULL;
	else
		free(answer);
	shard_evict(shard, now_us, EVICTIONS_A_PUT);
	pthread_mutex_unlock(&shard->lock);
	return kept;
}

void cache_release(struct cache *cache, const struct cache_key *key)
{
	struct shard *shard = cache_shard_of(cache, key->hash);

	pthread_mutex_lock(&shard->lock);
	void *mark = table_remove(&shard->marks, key->hash, mark_equal, key);
	pthread_mutex_unlock(&shard->lock);
	free(mark);
}

/* A step of a smaller limit; true when it holds. */
static bool resize_slice(struct shard *shard, size_t limit, int64_t now_us)
{
	pthread_mutex_lock(&shard->lock);
	shard->limit = limit;
	queues_refit(&shard->queues, limit);
	bool done = shard_evict(shard, now_us, EVICTIONS_A_SLICE);
	if (table_shrink(&shard->entries))
		done = shard_bytes(shard) <= limit;
	pthread_mutex_unlock(&shard->lock);
	return done;
}

void cache_resize(struct cache *cache, size_t limit_bytes, int64_t now_us)
{
	size_t limit = limit_bytes / cache_shard_count(cache);

	for (size_t i = 0; i < cache_shard_count(cache); i++)
		while (!resize_slice(&cache->shards[i], limit, now_us))
			;
}

void cache_status(struct cache *cache, struct cache_status *out)
{
	memset(out, 0, sizeof *out);
	for (size_t i = 0; i < cache_shard_count(cache); i++) {
		struct shard *shard = &cache->shards[i];
		pthread_mutex_lock(&shard->lock);
		out->entries += shard->entries.count;
		out->bytes += shard_bytes(shard);
		out->limit += shard->limit;
		out->evicted += shard->evicted;
		out->expired += shard->expired;
		out->refreshed += shard->refreshed;
		out->flushed += shard->flushed;
		out->outdated += shard->outdated;
		out->pending += shard->marks.count;
		out->pending_refused += shard->marks.dropped;
		out->failing += shard->failures.table.count;
		out->failing_displaced += shard->failures.displaced;
		pthread_mutex_unlock(&shard->lock);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What the cache's own files share: entries, shards, and the steps that are made under a shard's
 * lock. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/table.h"
#include "resolver/cache.h"
#include "resolver/cache_queues.h"

struct entry {
	struct queue_item item; /* first */
	struct answer *answer;
	int64_t due_us;       /* from then on a look-up has more to decide than that it is a hit */
	uint32_t hits_before; /* of its hits, those of answers before this one */
	uint16_t key_length;
	uint8_t key[];
};

/* A question that is pending upstream. */
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
	struct cache_queues queues;
	size_t limit;
	uint64_t evicted, expired, refreshed, flushed, outdated;
};

struct cache {
	struct hash_seed seed;
	unsigned shard_bits;
	struct shard *shards;
	_Atomic int64_t stale_us, failure_us; /* struct cache_settings */
	atomic_bool prefetch;
	atomic_uint epoch; /* counts flushes; raised before the first entry goes */
};

static inline size_t cache_shard_count(const struct cache *cache)
{
	return (size_t)1 << cache->shard_bits;
}

static inline struct shard *cache_shard_of(const struct cache *cache, uint64_t hash)
{
	return &cache->shards[cache->shard_bits ? hash >> (64 - cache->shard_bits) : 0];
}

/* --- with the shard's lock held --- */

struct entry *shard_find(const struct shard *shard, const struct cache_key *key);

/* Memory that counts against the limit. */
size_t shard_bytes(const struct shard *shard);

/* Takes the entry out and frees it. forgotten: as if it had never been here. */
void shard_remove(struct shard *shard, struct entry *entry, bool forgotten);

/* Makes room, at most so many entries; false: there is still too much. */
bool shard_evict(struct shard *shard, int64_t now_us, unsigned most);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One cache for all workers, in shards, and beside the entries the marks of questions that are
 * pending upstream, so that a question goes out once for the whole process.
 *
 * Locking: each shard has one mutex, which guards its entries, its marks and its eviction list. It
 * is held for one look-up and the copy of one message, never across a callback or a system call
 * other than malloc's. Any thread may call everything here. Bound: bytes over all shards; the
 * entries that were not asked again since they came, or since the hand passed them, go first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "resolver/answer.h"

struct cache;

#define CACHE_DNSSEC_OK 0x01
#define CACHE_CHECKING_DISABLED 0x02
#define CACHE_KEY_MAX (NAME_WIRE_MAX + 3)

/* Folded name, type and flags as one string of octets, with its hash. */
struct cache_key {
	uint64_t hash;
	uint16_t length;
	uint8_t octets[CACHE_KEY_MAX];
};

enum cache_result {
	CACHE_HIT,
	CACHE_MISS, /* nobody is asking; with claim: the question is now marked as this worker's */
	CACHE_PENDING, /* the worker *owner is asking */
	CACHE_FULL,    /* a miss that could not be marked (bound): ask without coalescing */
};

/* What a hit tells besides the message. */
struct cache_hit {
	size_t length; /* of the message copied out */
	bool truncated;
	uint16_t flags;
	uint64_t answer_id;
	uint64_t generation;
	uint8_t match_count;
	struct policy_match matches[POLICY_MATCHES_MAX];
};

struct cache_status {
	uint64_t entries, bytes, limit, evicted, expired, pending, pending_refused;
};

/* shards is rounded up to a power of two. NULL: out of memory. */
struct cache *cache_new(size_t limit_bytes, unsigned shards, const struct hash_seed *seed);
void cache_free(struct cache *cache); /* NULL is fine */

void cache_key_make(const struct cache *cache, struct cache_key *key, const uint8_t *folded,
	size_t length, uint16_t qtype, uint8_t flags);

/* On a hit copies the message, TTLs aged, into out. claim: mark a miss as pending, owned by worker.
 */
enum cache_result cache_lookup(struct cache *cache, const struct cache_key *key, int64_t now_us,
	bool claim, unsigned worker, uint8_t *out, size_t capacity, struct cache_hit *hit,
	unsigned *owner);

/* Takes the answer over (frees it when it cannot be kept) in place of an older one. An expired one
 * is freed at once. */
void cache_put(
	struct cache *cache, const struct cache_key *key, struct answer *answer, int64_t now_us);

/* The owner has ended: takes the mark away. */
void cache_release(struct cache *cache, const struct cache_key *key);

void cache_status(struct cache *cache, struct cache_status *out);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One cache for all workers, in shards, and beside the entries the marks of questions that are
 * pending upstream, so that a question goes out once for the whole process.
 *
 * Locking: each shard has one mutex, which guards its entries, its marks and its queues. It is held
 * for one look-up and the copy of one message, or for as much work as a constant bounds, never
 * across a system call other than malloc's. Any thread may call everything here. Bound: memory over
 * all shards, malloc's overhead and the tables counted; who goes first is said in cache_queues.h.
 *
 * An entry's life: a hit until it expires, in the last tenth of that (of 10 s or more) also a
 * reason to ask anew where it was asked before; then stale for cache_settings.stale_us (RFC 8767),
 * and gone. Failures to get an answer are kept beside the entries (failures.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "resolver/answer.h"
#include "resolver/failures.h"

struct cache;

#define CACHE_DNSSEC_OK 0x01
#define CACHE_CHECKING_DISABLED 0x02
#define CACHE_KEY_MAX (NAME_WIRE_MAX + 3 + 8) /* 8: for flights that nobody joins (flight.c) */

/* Folded name, type and flags as one string of octets, with its hash. */
struct cache_key {
	uint64_t hash;
	uint16_t length;
	uint8_t octets[CACHE_KEY_MAX];
};

/* What a reload can change. */
struct cache_settings {
	int64_t stale_us;   /* how long expired entries are of use; 0: not at all */
	int64_t failure_us; /* how long a failure is held, the first time */
	bool prefetch;
};

enum cache_result {
	CACHE_HIT,
	CACHE_HIT_DUE, /* a hit, and time to ask anew; not told again soon */
	CACHE_STALE,   /* without claim: expired, and copied out as a stale answer (RFC 8767) */
	CACHE_FAILED,  /* not to be asked now: hit->failure; an expired answer may be there */
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
	bool failing; /* with CACHE_STALE, CACHE_FAILED: the next is set, the question failed lately
		       */
	struct failure failure;
};

struct cache_status {
	uint64_t entries, bytes, limit;
	uint64_t evicted;   /* for want of room */
	uint64_t expired;   /* found dead when they were asked for */
	uint64_t refreshed; /* replaced by a newer answer */
	uint64_t flushed;   /* by cache_flush */
	uint64_t outdated;  /* answers whose question was asked before a flush: not kept */
	uint64_t pending, pending_refused;
	uint64_t failing, failing_displaced; /* failures kept, and those the bound pushed out */
};

/* shards is rounded up to a power of two. NULL: out of memory. */
struct cache *cache_new(size_t limit_bytes, unsigned shards, const struct hash_seed *seed);
void cache_free(struct cache *cache); /* NULL is fine */

/* A new cache keeps nothing stale, holds no failures and never asks to be refreshed. */
void cache_set(struct cache *cache, const struct cache_settings *settings);

void cache_key_make(const struct cache *cache, struct cache_key *key, const uint8_t *folded,
	size_t length, uint16_t qtype, uint8_t flags);

/*
 * On a hit copies the message, TTLs aged, into out. claim: an expired entry is a miss, and a miss
 * is marked as pending, owned by worker.
 */
enum cache_result cache_lookup(struct cache *cache, const struct cache_key *key, int64_t now_us,
	bool claim, unsigned worker, uint8_t *out, size_t capacity, struct cache_hit *hit,
	unsigned *owner);

/*
 * Marks the question as pending, whether there is an entry or not, to refresh it: CACHE_MISS (it is
 * marked now), CACHE_PENDING, CACHE_FULL.
 */
enum cache_result cache_claim(
	struct cache *cache, const struct cache_key *key, unsigned worker, unsigned *owner);

/* Whether somebody is asking this question. */
bool cache_is_pending(struct cache *cache, const struct cache_key *key);

/* How many flushes there were: what an answer's epoch is to be, read before its question is asked.
 */
uint32_t cache_epoch(const struct cache *cache);

/*
 * Takes the answer over (frees it when it cannot be kept) in place of an older one, whose use it
 * inherits. One that expires at once is freed, and so is the older one; one of another epoch is
 * freed: what was on its way when the cache was flushed does not come back. The question is not
 * failing any more.
 */
void cache_put(
	struct cache *cache, const struct cache_key *key, struct answer *answer, int64_t now_us);

/* Why a question got no answer says how long that is held. */
enum cache_failure {
	CACHE_FAILURE_NAME,    /* servers say so: the option's time, and longer when it comes again */
	CACHE_FAILURE_SILENCE, /* none answered this one: a second, and longer when it comes again */
	CACHE_FAILURE_OUTAGE,  /* none answers at all: a second, so that it ends soon after one is
				  back */
	CACHE_FAILURE_SLOW,    /* not yet, and a client had to be content with a stale answer: it
				  may be asked, but nobody else has to wait for it */
};
/* One of another epoch is not kept, like an answer of one. */
void cache_fail(struct cache *cache, const struct cache_key *key, const struct failure *failure,
	enum cache_failure kind, int64_t now_us);

/* An outage is over, or there are other servers: the failures that came of silence, or all, are
 * forgotten. */
void cache_forget_failures(struct cache *cache, bool silence_only);

/* Failures are taken out when they are met; this takes out those that are over, so that what is left
 * can be counted and shown. */
void cache_sweep_failures(struct cache *cache, int64_t now_us);

/* The owner has ended: takes the mark away. */
void cache_release(struct cache *cache, const struct cache_key *key);

/*
 * Puts an answer of an earlier life back (taken over), an expired one too while it is of use as a
 * stale one. Never in place of another, nor does another entry make room for it. False: it was freed.
 */
bool cache_restore(struct cache *cache, const struct cache_key *key, struct answer *answer,
	uint32_t hits, bool proven, int64_t now_us);

/* Another limit. What is too much goes in steps, between which the shard's lock is free. */
void cache_resize(struct cache *cache, size_t limit_bytes, int64_t now_us);

void cache_status(struct cache *cache, struct cache_status *out);

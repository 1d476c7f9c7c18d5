/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is asked of the whole cache: flushing, looking, counting, copying it out. A walk takes the
 * shards in turn, a slice of each under its lock, so that a cache of a million entries keeps no
 * worker waiting for longer than a slice takes. Any thread; several walks may be under way.
 *
 * A walk sees every entry that was there when it began and still is, wherever eviction moves it
 * meanwhile; an entry may be seen twice, and those that come meanwhile may be seen or not.
 */
#pragma once

#include "resolver/cache.h"

/* Which entries are meant. A name is in wire format, in lower case. */
struct cache_filter {
	const uint8_t *name; /* NULL: all names */
	size_t length;
	bool below;     /* and the names below it */
	uint16_t qtype; /* 0: all types */
};

struct cache_flushed {
	uint64_t entries, failures;
};

/*
 * Takes them out, failures too. When it returns nobody is served any more what was there before,
 * and answers to questions that were asked before are not kept when they come. TD_NOMEM: nothing
 * was taken out.
 */
enum td_error cache_flush(
	struct cache *cache, const struct cache_filter *filter, struct cache_flushed *out);

/* What the cache holds, by kind; an expired entry counts as stale and as nothing else. */
struct cache_kinds {
	uint64_t positive, nodata, nxdomain, stale;
};
struct cache_kinds cache_count(struct cache *cache, int64_t now_us);

/* A copy of an entry. */
struct cache_copy {
	struct answer *answer; /* the caller frees it */
	uint16_t qtype;
	uint8_t flags; /* CACHE_… */
	uint32_t hits;
	bool proven; /* it was asked again; to be put back so */
};

/* Copies at most `most` entries out; returns how many. *more: there were others. */
size_t cache_find(struct cache *cache, const struct cache_filter *filter, struct cache_copy *out,
	size_t most, bool *more);

/* The types of such questions that failed lately, each as often as it has variants; how many. */
size_t cache_find_failures(struct cache *cache, const struct cache_filter *filter, uint16_t *types,
	size_t most);

/* All entries, a few at a time. */
struct cache_walk;
struct cache_walk *cache_walk_new(struct cache *cache); /* NULL: out of memory */
void cache_walk_free(struct cache_walk *walk);          /* NULL is fine */

#define CACHE_SLICE 64
/* Copies the next slice; false at the end. *count may be 0 before that. Entries for whose copy
 * there is no memory are left out. */
bool cache_walk_copy(struct cache_walk *walk, struct cache_copy out[CACHE_SLICE], size_t *count);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An hour is a block of rows. Most of its members stand in other hours as well: each text is kept
 * once for all of them, with the number of rows that have it. Blocks never change; a thread that
 * walks over one holds a reference and no lock, and the one that drops the last reference frees it.
 * Blocks of hours that could have half of a batch in them (the figures of the
 * hour are there, the names are not yet) are not kept while such a batch may come: the sum of the
 * rows says that, but for details that are never told, so after two hours the figures alone decide.
 *
 * Redis was asked to say what changed by way of keyspace notifications: they are off by default,
 * get lost with a connection, and a reading user may not subscribe.
 */
#include "resolver/control/hour_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "lib/base/hash.h"
#include "lib/base/table.h"

#define HOURS_MAX 65536 /* entries, of all resolvers */
#define MEMBERS_MAX ((size_t)1 << 28)
#define SETTLED_HOURS 2 /* until an hour has all that will come in time */
#define KEY_MAX 320

struct member {
	uint64_t references; /* of rows; within the lock */
	uint64_t hash, number;
	size_t bytes;
	char text[];
};

struct row {
	struct member *member;
	uint64_t count;
};

struct block {
	TAILQ_ENTRY(block) next; /* in the order of use; within the lock */
	unsigned references;     /* within the lock; one is the table's */
	char key[KEY_MAX];
	struct reader_hour_stamp stamp;
	struct row *rows;
	size_t count, capacity;
	size_t bytes; /* without the members; 0: it was made in this walk */
};

struct hour_cache {
	pthread_mutex_t lock; /* guards all below */
	struct table table;
	struct table members; /* of all blocks, also those that are not kept */
	struct hash_seed seed;
	TAILQ_HEAD(, block) order; /* used longest ago first */
	size_t bytes, member_bytes, bytes_max;
	uint64_t read, reused; /* hours */
	uint64_t numbers;      /* that members were given */
};

/* --- members --- */

static bool is_text(const void *item, const void *key)
{
	return strcmp(((const struct member *)item)->text, key) == 0;
}

static bool is_item(const void *item, const void *key)
{
	return item == key;
}

/* Within the lock. */
static struct member *member_new(struct hour_cache *cache, const char *text, uint64_t hash)
{
	size_t bytes = sizeof(struct member) + strlen(text) + 1;
	struct member *member = malloc(bytes);

	if (!member)
		return NULL;
	*member = (struct member){.hash = hash, .number = ++cache->numbers, .bytes = bytes};
	memcpy(member->text, text, bytes - sizeof(*member));
	if (table_insert(&cache->members, hash, member) != TD_OK) {
		free(member);
		return NULL;
	}
	cache->member_bytes += bytes;
	return member;
}

/* With a reference more; NULL when out of memory. */
static struct member *member_take(struct hour_cache *cache, const char *text)
{
	uint64_t hash = hash_bytes(&cache->seed, text, strlen(text));

	pthread_mutex_lock(&cache->lock);
	struct member *member = table_find(&cache->members, hash, is_text, text);
	if (!member)
		member = member_new(cache, text, hash);
	if (member)
		member->references++;
	pthread_mutex_unlock(&cache->lock);
	return member;
}

/* Within the lock. */
static void member_release(struct hour_cache *cache, struct member *member)
{
	if (--member->references)
		return;
	table_remove(&cache->members, member->hash, is_item, member);
	cache->member_bytes -= member->bytes;
	free(member);
}

uint64_t hour_cache_member(const char *member)
{
	return ((const struct member *)(const void *)(member - offsetof(struct member, text)))
		->number;
}

/* --- blocks --- */

static void block_free(struct hour_cache *cache, struct block *block)
{
	for (size_t i = 0; i < block->count; i++)
		member_release(cache, block->rows[i].member);
	free(block->rows);
	free(block);
}

static bool has_key(const void *item, const void *key)
{
	return strcmp(((const struct block *)item)->key, key) == 0;
}

static uint64_t hash_of(const struct hour_cache *cache, const char *key)
{
	return hash_bytes(&cache->seed, key, strlen(key));
}

/* Within the lock. */
static void release(struct hour_cache *cache, struct block *block)
{
	if (--block->references == 0)
		block_free(cache, block);
}

static size_t bytes_of(const struct hour_cache *cache)
{
	return TAILQ_EMPTY(&cache->order) ? 0 : cache->bytes + cache->member_bytes;
}

static void take_out(struct hour_cache *cache, struct block *block)
{
	table_remove(&cache->table, hash_of(cache, block->key), has_key, block->key);
	TAILQ_REMOVE(&cache->order, block, next);
	cache->bytes -= block->bytes;
	release(cache, block);
}

/* Within the lock: the block takes the place of an older one, where there is room for it. */
static void keep(struct hour_cache *cache, struct block *block)
{
	struct block *older =
		table_find(&cache->table, hash_of(cache, block->key), has_key, block->key);

	if (older)
		take_out(cache, older);
	while (cache->bytes + cache->member_bytes + block->bytes > cache->bytes_max &&
		!TAILQ_EMPTY(&cache->order))
		take_out(cache, TAILQ_FIRST(&cache->order));
	if (cache->bytes + cache->member_bytes + block->bytes > cache->bytes_max ||
		table_insert(&cache->table, hash_of(cache, block->key), block) != TD_OK)
		return;
	TAILQ_INSERT_TAIL(&cache->order, block, next);
	cache->bytes += block->bytes;
	block->references++;
}

/* --- the cache --- */

struct hour_cache *hour_cache_new(size_t bytes_max)
{
	struct hour_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	pthread_mutex_init(&cache->lock, NULL);
	table_init(&cache->table, HOURS_MAX);
	table_init(&cache->members, MEMBERS_MAX);
	if (getrandom(&cache->seed, sizeof(cache->seed), 0) != sizeof(cache->seed))
		cache->seed = (struct hash_seed){(uint64_t)(uintptr_t)cache, 0};
	TAILQ_INIT(&cache->order);
	cache->bytes_max = bytes_max;
	return cache;
}

void hour_cache_free(struct hour_cache **cache)
{
	if (!*cache)
		return;
	while (!TAILQ_EMPTY(&(*cache)->order))
		take_out(*cache, TAILQ_FIRST(&(*cache)->order));
	table_deinit(&(*cache)->table);
	table_deinit(&(*cache)->members);
	pthread_mutex_destroy(&(*cache)->lock);
	free(*cache);
	*cache = NULL;
}

struct hour_cache_figures hour_cache_figures(struct hour_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	struct hour_cache_figures figures = {
		cache->read, cache->reused, bytes_of(cache), cache->table.count};
	pthread_mutex_unlock(&cache->lock);
	return figures;
}

/* --- one walk --- */

struct walk {
	struct hour_cache *cache;
	struct reader *reader;
	const char *resolver;
	struct reader_span span;
	struct reader_hour_stamp *stamps;
	struct block **blocks; /* of each hour */
	size_t first;          /* hour of the span that is being read */
};

static void make_key(const struct walk *walk, size_t hour, char key[KEY_MAX])
{
	snprintf(key, KEY_MAX, "%lld %s", (long long)(walk->span.first + (int64_t)hour),
		walk->resolver);
}

static bool is_same(const struct reader_hour_stamp *a, const struct reader_hour_stamp *b)
{
	return a->answers == b->answers && a->rows == b->rows && a->other == b->other;
}

static void find_kept(struct walk *walk)
{
	struct hour_cache *cache = walk->cache;
	char key[KEY_MAX];

	pthread_mutex_lock(&cache->lock);
	for (size_t i = 0; i < walk->span.count; i++) {
		make_key(walk, i, key);
		struct block *block = table_find(&cache->table, hash_of(cache, key), has_key, key);
		if (!block || !is_same(&block->stamp, &walk->stamps[i]))
			continue;
		block->references++;
		walk->blocks[i] = block;
		TAILQ_REMOVE(&cache->order, block, next);
		TAILQ_INSERT_TAIL(&cache->order, block, next);
		cache->reused++;
	}
	pthread_mutex_unlock(&cache->lock);
}

static struct block *block_new(const struct walk *walk, size_t hour)
{
	struct block *block = calloc(1, sizeof(*block));

	if (!block)
		return NULL;
	block->references = 1;
	block->stamp = walk->stamps[hour];
	make_key(walk, hour, block->key);
	return block;
}

static enum td_error add_row(void *context, size_t hour, const char *member, uint64_t count)
{
	struct walk *walk = context;
	struct block *block = walk->blocks[walk->first + hour];

	if (block->count == block->capacity) {
		size_t capacity = block->capacity ? 2 * block->capacity : 64;
		struct row *rows = realloc(block->rows, capacity * sizeof(*rows));
		if (!rows)
			return TD_NOMEM;
		block->rows = rows;
		block->capacity = capacity;
	}
	struct member *kept = member_take(walk->cache, member);
	if (!kept)
		return TD_NOMEM;
	block->rows[block->count++] = (struct row){kept, count};
	return TD_OK;
}

static bool is_missing(const struct walk *walk, size_t hour)
{
	return !walk->blocks[hour] && walk->stamps[hour].rows > 0;
}

/* Hours that lie together are asked for together. */
static enum td_error read_missing(struct walk *walk, bool *cut)
{
	enum td_error error = TD_OK;

	for (size_t from = 0, end; from < walk->span.count && error == TD_OK; from = end) {
		end = from + 1;
		if (!is_missing(walk, from))
			continue;
		while (end < walk->span.count && is_missing(walk, end))
			end++;
		for (size_t i = from; i < end && error == TD_OK; i++) {
			walk->blocks[i] = block_new(walk, i);
			error = walk->blocks[i] ? TD_OK : TD_NOMEM;
		}
		walk->first = from;
		struct reader_span span = {walk->span.first + (int64_t)from, end - from};
		bool more = false;
		if (error == TD_OK)
			error = reader_hour_rows(walk->reader, READER_HOUR_WATCHED_NAMES, span,
				add_row, walk, &more);
		*cut = *cut || more;
	}
	return error;
}

static enum td_error visit_rows(const struct walk *walk, reader_hour_fn *visit, void *context)
{
	enum td_error error = TD_OK;

	for (size_t hour = 0; hour < walk->span.count; hour++) {
		const struct block *block = walk->blocks[hour];
		for (size_t i = 0; block && i < block->count && error == TD_OK; i++)
			error = visit(context, hour, block->rows[i].member->text,
				block->rows[i].count);
	}
	return error;
}

/* All that the figures speak of has come, or as much as ever will. */
static bool is_whole(const struct walk *walk, size_t hour)
{
	const struct block *block = walk->blocks[hour];
	uint64_t sum = 0;

	for (size_t i = 0; i < block->count; i++)
		sum += block->rows[i].count;
	return sum == block->stamp.answers || hour + SETTLED_HOURS < walk->span.count;
}

/* Gives all blocks back, and the new ones to the cache where they were read to the end. */
static void finish(struct walk *walk, bool good)
{
	struct hour_cache *cache = walk->cache;

	pthread_mutex_lock(&cache->lock);
	for (size_t i = 0; i < walk->span.count; i++) {
		struct block *block = walk->blocks[i];
		if (!block)
			continue;
		if (!block->bytes && good) {
			block->bytes = sizeof(*block) + block->capacity * sizeof(*block->rows);
			cache->read++;
			if (is_whole(walk, i))
				keep(cache, block);
		}
		release(cache, block);
	}
	if (4 * cache->members.count < cache->members.capacity)
		table_shrink(&cache->members);
	pthread_mutex_unlock(&cache->lock);
}

enum td_error hour_cache_rows(struct hour_cache *cache, struct reader *reader, const char *resolver,
	struct reader_span span, reader_hour_fn *visit, void *context, bool *cut)
{
	struct walk walk = {.cache = cache, .reader = reader, .resolver = resolver, .span = span};

	*cut = false;
	walk.stamps = calloc(span.count + 1, sizeof(*walk.stamps));
	walk.blocks = calloc(span.count + 1, sizeof(*walk.blocks));
	enum td_error error = walk.stamps && walk.blocks ? TD_OK : TD_NOMEM;
	if (error == TD_OK)
		error = reader_hour_stamps(reader, span, walk.stamps);
	if (error == TD_OK) {
		find_kept(&walk);
		error = read_missing(&walk, cut);
		bool good = error == TD_OK && !*cut;
		if (error == TD_OK)
			error = visit_rows(&walk, visit, context);
		finish(&walk, good);
	}
	free(walk.stamps);
	free(walk.blocks);
	return error;
}

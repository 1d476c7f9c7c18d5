/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries of a stream never change, have growing ids, and go from its begin; now and then somebody
 * is forgotten, and one goes from its middle. So what is kept and at least as new as the first
 * entry of now, with all that came behind it, is the stream itself if both are as long: else it is
 * read anew. An answer that was made while both an entry went and another came may be wrong by that
 * one; the next question finds the lengths apart.
 *
 * What one resolver has is one piece that does not change, made anew with what came: to copy it
 * takes less than a reply of Redis, and threads that walk over it need no lock.
 */
#include "resolver/control/samples.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/base/arena.h"
#include "lib/dns/name.h"
#include "resolver/control/drop_member.h"
#include "resolver/control/json_view.h"
#include "resolver/telemetry/redis/schema.h"

#define PAGE 500
#define ENTRIES_MAX (2 * (size_t)SCHEMA_STREAM_MAX) /* it is trimmed loosely */
#define ID_MAX 64

struct kept {
	TAILQ_ENTRY(kept) next; /* used longest ago first */
	struct samples *samples;
	size_t bytes;
};

struct sample_cache {
	pthread_mutex_t lock; /* guards all below, and the references of samples */
	TAILQ_HEAD(, kept) order;
	size_t bytes, bytes_max;
	uint64_t read;
};

/* --- one entry --- */

static struct sample_id parse_id(const char *text)
{
	char *end;
	struct sample_id id = {strtoull(text, &end, 10), 0};

	if (*end == '-')
		id.sequence = strtoull(end + 1, NULL, 10);
	return id;
}

static bool is_before(struct sample_id a, struct sample_id b)
{
	return a.ms != b.ms ? a.ms < b.ms : a.sequence < b.sequence;
}

static uint32_t keep_text(struct samples *samples, const char *text)
{
	size_t at = samples->texts.length;

	strbuf_append(&samples->texts, text, strlen(text) + 1);
	return (uint32_t)at;
}

static struct sample_row *add_row(struct samples *samples)
{
	if (samples->count == samples->capacity) {
		size_t capacity = samples->capacity ? 2 * samples->capacity : PAGE;
		struct sample_row *rows = realloc(samples->rows, capacity * sizeof(*rows));
		if (!rows)
			return NULL;
		samples->rows = rows;
		samples->capacity = capacity;
	}
	return &samples->rows[samples->count++];
}

/* Sets the time, unless the record lacks something. */
static void read_record(
	struct samples *samples, const struct reader_record *record, struct sample_row *row)
{
	struct json_wanted wanted[] = {
		{.key = "ts"}, {.key = "client"}, {.key = "query"}, {.key = "type"}};
	char client[MEMBER_CLIENT_MAX], name[NAME_TEXT_MAX];

	json_find_each(record->json, record->json_length, wanted, 4);
	if (!wanted[0].value.start || !wanted[1].value.start || !wanted[2].value.start)
		return;
	if (wanted[3].value.start)
		json_text(wanted[3].value, row->type, sizeof(row->type));
	row->ms = json_value_time(wanted[0].value);
	row->client = keep_text(samples, json_text(wanted[1].value, client, sizeof(client)));
	row->name = keep_text(samples, json_text(wanted[2].value, name, sizeof(name)));
}

static enum td_error add_record(struct samples *samples, const struct reader_record *record)
{
	struct sample_row *row = add_row(samples);

	if (!row)
		return TD_NOMEM;
	*row = (struct sample_row){.id = parse_id(record->id)};
	read_record(samples, record, row);
	return samples->texts.failed ? TD_NOMEM : TD_OK;
}

/* --- one stream --- */

static void samples_free(struct samples *samples)
{
	if (!samples)
		return;
	strbuf_deinit(&samples->texts);
	free(samples->rows);
	free(samples->resolver);
	free(samples);
}

static struct samples *samples_new(const char *resolver)
{
	struct samples *samples = calloc(1, sizeof(*samples));

	if (!samples)
		return NULL;
	samples->references = 1;
	strbuf_init(&samples->texts);
	samples->resolver = strdup(resolver);
	if (samples->resolver)
		return samples;
	samples_free(samples);
	return NULL;
}

/* One page behind id, which moves on; *more is false at the end. */
static enum td_error read_page(
	struct samples *samples, struct reader *reader, char id[ID_MAX], bool *more)
{
	struct reader_records records;
	struct arena arena;

	arena_init(&arena);
	enum td_error error =
		reader_next_records(reader, &arena, READER_TRANSACTIONS, id, 0, PAGE, &records);
	for (size_t i = 0; i < records.count && error == TD_OK; i++)
		error = add_record(samples, &records.rows[i]);
	*more = error == TD_OK && records.count == PAGE && samples->count < ENTRIES_MAX;
	if (*more)
		snprintf(id, ID_MAX, "%s", records.rows[records.count - 1].id);
	arena_deinit(&arena);
	return error;
}

/* All entries behind this one. */
static enum td_error read_on(struct samples *samples, struct reader *reader, struct sample_id last)
{
	enum td_error error = TD_OK;
	char id[ID_MAX];

	snprintf(id, sizeof(id), "%" PRIu64 "-%" PRIu64, last.ms, last.sequence);
	for (bool more = true; more && error == TD_OK;)
		error = read_page(samples, reader, id, &more);
	return error;
}

static struct sample_id last_id(const struct samples *samples)
{
	return samples->count ? samples->rows[samples->count - 1].id : (struct sample_id){0, 0};
}

/* What of `from` is not older than first, behind what is there. */
static enum td_error copy_rows(
	struct samples *to, const struct samples *from, struct sample_id first)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct sample_row *row = &from->rows[i];
		if (is_before(row->id, first) || to->count >= ENTRIES_MAX)
			continue;
		struct sample_row *copy = add_row(to);
		if (!copy)
			return TD_NOMEM;
		*copy = *row;
		if (row->ms) {
			copy->client = keep_text(to, from->texts.data + row->client);
			copy->name = keep_text(to, from->texts.data + row->name);
		}
	}
	return to->texts.failed ? TD_NOMEM : TD_OK;
}

static enum td_error read_all(struct reader *reader, const char *resolver, struct samples **out)
{
	*out = samples_new(resolver);
	enum td_error error = *out ? read_on(*out, reader, (struct sample_id){0, 0}) : TD_NOMEM;

	if (error == TD_OK)
		return TD_OK;
	samples_free(*out);
	*out = NULL;
	return error;
}

/* Those that are kept and still there, and the fresh ones; false in *is_whole where something went
 * from their middle. */
static enum td_error join(struct samples *whole, struct reader *reader, const struct samples *kept,
	const struct samples *fresh, bool *is_whole)
{
	struct reader_extent extent;
	enum td_error error = reader_extent(reader, READER_TRANSACTIONS, &extent);
	struct sample_id first = parse_id(extent.first);

	if (error == TD_OK)
		error = copy_rows(whole, kept, first);
	if (error == TD_OK)
		error = copy_rows(whole, fresh, first);
	*is_whole = error == TD_OK && whole->count <= extent.length;
	return error;
}

/* *out is NULL where what is kept is no part of the stream any more. */
static enum td_error read_new(
	struct reader *reader, const struct samples *kept, struct samples **out)
{
	struct samples *fresh = samples_new(kept->resolver), *whole = samples_new(kept->resolver);
	enum td_error error = fresh && whole ? TD_OK : TD_NOMEM;
	bool is_whole = false;

	if (error == TD_OK)
		error = read_on(fresh, reader, last_id(kept));
	if (error == TD_OK)
		error = join(whole, reader, kept, fresh, &is_whole);
	samples_free(fresh);
	*out = is_whole ? whole : NULL;
	if (!is_whole)
		samples_free(whole);
	return error;
}

/* --- the cache --- */

struct sample_cache *sample_cache_new(size_t bytes_max)
{
	struct sample_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	pthread_mutex_init(&cache->lock, NULL);
	TAILQ_INIT(&cache->order);
	cache->bytes_max = bytes_max;
	return cache;
}

/* Within the lock. */
static void release(struct samples *samples)
{
	if (--samples->references == 0)
		samples_free(samples);
}

static void take_out(struct sample_cache *cache, struct kept *kept)
{
	TAILQ_REMOVE(&cache->order, kept, next);
	cache->bytes -= kept->bytes;
	release(kept->samples);
	free(kept);
}

void sample_cache_free(struct sample_cache **cache)
{
	if (!*cache)
		return;
	while (!TAILQ_EMPTY(&(*cache)->order))
		take_out(*cache, TAILQ_FIRST(&(*cache)->order));
	pthread_mutex_destroy(&(*cache)->lock);
	free(*cache);
	*cache = NULL;
}

static struct kept *find(struct sample_cache *cache, const char *resolver)
{
	struct kept *kept;

	TAILQ_FOREACH(kept, &cache->order, next)
	if (strcmp(kept->samples->resolver, resolver) == 0)
		return kept;
	return NULL;
}

static struct samples *take_kept(struct sample_cache *cache, const char *resolver)
{
	pthread_mutex_lock(&cache->lock);
	struct kept *kept = find(cache, resolver);
	struct samples *samples = kept ? kept->samples : NULL;
	if (samples) {
		samples->references++;
		TAILQ_REMOVE(&cache->order, kept, next);
		TAILQ_INSERT_TAIL(&cache->order, kept, next);
	}
	pthread_mutex_unlock(&cache->lock);
	return samples;
}

/* In place of what is kept of that resolver, where there is room. */
static void keep(struct sample_cache *cache, struct samples *samples, uint64_t read)
{
	struct kept *kept = calloc(1, sizeof(*kept));
	size_t bytes = sizeof(*samples) + samples->capacity * sizeof(*samples->rows) +
		       samples->texts.capacity;

	pthread_mutex_lock(&cache->lock);
	cache->read += read;
	struct kept *older = find(cache, samples->resolver);
	if (older)
		take_out(cache, older);
	while (cache->bytes + bytes > cache->bytes_max && !TAILQ_EMPTY(&cache->order))
		take_out(cache, TAILQ_FIRST(&cache->order));
	if (kept && cache->bytes + bytes <= cache->bytes_max) {
		*kept = (struct kept){.samples = samples, .bytes = bytes};
		samples->references++;
		TAILQ_INSERT_TAIL(&cache->order, kept, next);
		cache->bytes += bytes;
		kept = NULL;
	}
	pthread_mutex_unlock(&cache->lock);
	free(kept);
}

/* How many came behind those that were kept (NULL: none). */
static uint64_t count_newer(const struct samples *samples, const struct samples *kept)
{
	struct sample_id last = kept ? last_id(kept) : (struct sample_id){0, 0};
	size_t count = 0;

	while (count < samples->count &&
		is_before(last, samples->rows[samples->count - 1 - count].id))
		count++;
	return count;
}

enum td_error samples_take(struct sample_cache *cache, struct reader *reader, const char *resolver,
	struct samples **out)
{
	struct samples *kept = cache ? take_kept(cache, resolver) : NULL;
	enum td_error error = TD_OK;

	*out = NULL;
	if (kept)
		error = read_new(reader, kept, out);
	bool again = error == TD_OK && !*out;
	if (again)
		error = read_all(reader, resolver, out);
	if (error == TD_OK && cache)
		keep(cache, *out, count_newer(*out, again ? NULL : kept));
	if (kept)
		samples_release(cache, &kept);
	return error;
}

void samples_release(struct sample_cache *cache, struct samples **samples)
{
	if (!*samples)
		return;
	if (cache)
		pthread_mutex_lock(&cache->lock);
	release(*samples);
	if (cache)
		pthread_mutex_unlock(&cache->lock);
	*samples = NULL;
}

struct sample_cache_figures sample_cache_figures(struct sample_cache *cache)
{
	pthread_mutex_lock(&cache->lock);
	struct sample_cache_figures figures = {cache->read, cache->bytes};
	pthread_mutex_unlock(&cache->lock);
	return figures;
}

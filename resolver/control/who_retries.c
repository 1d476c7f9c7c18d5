/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When clients ask again. Two things in Redis tell it: the stream of transactions, whose entries
 * have a time each but reach back only as far as its bound, and the sets of (client, watched name)
 * of each hour. Both are read once, reduced to small samples of what was asked for, and sorted; a
 * period is then a look at neighbours. The stream is read forwards in pages with an arena of their
 * own: its entries are large and hardly any of them is kept.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/control/drop_member.h"
#include "resolver/control/fleet_hours.h"
#include "resolver/control/json_view.h"
#include "resolver/control/who.h"
#include "resolver/telemetry/redis/schema.h"

#define SAMPLES_MAX 400000
#define HOURS_ROWS_MAX 400000
#define PAGE 500
#define TYPE_MAX 12

struct sample {
	const char *client, *name;
	char type[TYPE_MAX];
	int64_t ms;
};

struct collection {
	struct who *who;
	const char *client;       /* of this one only; NULL: any */
	const char *const *names; /* sorted; of these only, unless there is a client */
	size_t name_count;
	struct sample *samples; /* malloc'd, as are the hours while they grow */
	size_t sample_count, sample_capacity;
	struct who_hour *hours;
	size_t hour_count, hour_capacity;
	bool cut;
};

static int compare_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static int compare_key(
	const char *client, const char *name, const char *other_client, const char *other_name)
{
	int order = strcmp(client, other_client);
	return order ? order : strcmp(name, other_name);
}

/* The name as it is kept, or NULL when it is of no interest. */
static const char *wanted_name(struct collection *collection, const char *name)
{
	if (collection->client)
		return arena_copy(&collection->who->cli->arena, name, strlen(name) + 1);
	const char *const *found = bsearch(&name, collection->names, collection->name_count,
		sizeof(*collection->names), compare_text);
	return found ? *found : NULL;
}

static const char *wanted_client(struct collection *collection, const char *client)
{
	if (!collection->client)
		return arena_copy(&collection->who->cli->arena, client, strlen(client) + 1);
	return strcmp(client, collection->client) == 0 ? collection->client : NULL;
}

/* Room for one more, or false. */
static bool grow(void **rows, size_t *capacity, size_t count, size_t size)
{
	if (count < *capacity)
		return true;
	size_t more = *capacity ? 2 * *capacity : 1024;
	void *grown = realloc(*rows, more * size);
	if (!grown)
		return false;
	*rows = grown;
	*capacity = more;
	return true;
}

/* --- the stream --- */

/* "2026-11-21T20:52:11.123456Z"; 0 when it is no time. */
static int64_t parse_time(const char *text)
{
	struct tm parts = {.tm_isdst = 0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);

	if (!rest)
		return 0;
	int64_t ms = (int64_t)timegm(&parts) * 1000;
	if (*rest++ == '.')
		for (int weight = 100; weight > 0 && *rest >= '0' && *rest <= '9'; weight /= 10)
			ms += weight * (*rest++ - '0');
	return ms > 0 ? ms : 0;
}

static enum td_error add_sample(struct collection *collection, const struct reader_record *record)
{
	char client[MEMBER_CLIENT_MAX], name[NAME_TEXT_MAX], ts[40];
	struct sample sample;

	if (!json_field(record->json, record->json_length, "query", name, sizeof(name)) ||
		!json_field(record->json, record->json_length, "client", client, sizeof(client)) ||
		!json_field(record->json, record->json_length, "ts", ts, sizeof(ts)))
		return TD_OK;
	json_field(record->json, record->json_length, "type", sample.type, sizeof(sample.type));
	sample.ms = parse_time(ts);
	if (collection->client && strcmp(client, collection->client) != 0)
		return TD_OK;
	sample.name = wanted_name(collection, name);
	if (!sample.name || sample.ms == 0)
		return TD_OK;
	sample.client = wanted_client(collection, client);
	if (!sample.client)
		return TD_NOMEM;
	if (collection->sample_count == SAMPLES_MAX) {
		collection->cut = true;
		return TD_OK;
	}
	if (!grow((void **)&collection->samples, &collection->sample_capacity,
		    collection->sample_count, sizeof(sample)))
		return TD_NOMEM;
	collection->samples[collection->sample_count++] = sample;
	return TD_OK;
}

/* One page behind id, which moves on; *more is false at the end. */
static enum td_error read_page(
	struct collection *collection, struct reader *reader, char id[64], size_t *left, bool *more)
{
	struct reader_records records;
	struct arena arena;

	arena_init(&arena);
	enum td_error error =
		reader_next_records(reader, &arena, READER_TRANSACTIONS, id, 1, PAGE, &records);
	for (size_t i = 0; i < records.count && error == TD_OK; i++)
		error = add_sample(collection, &records.rows[i]);
	*more = error == TD_OK && records.count > 0 && *left > records.count;
	if (*more) {
		snprintf(id, 64, "%s", records.rows[records.count - 1].id);
		*left -= records.count;
	}
	arena_deinit(&arena);
	return error;
}

static enum td_error read_stream(void *context, struct fleet_member *member)
{
	enum td_error error = TD_OK;
	char id[64] = "0";
	size_t left = 2 * SCHEMA_STREAM_MAX; /* it is trimmed loosely, and goes on growing */

	for (bool more = true; more && error == TD_OK;)
		error = read_page(context, member->reader, id, &left, &more);
	return error;
}

/* --- hours --- */

static enum td_error add_hour(void *context, size_t hour, const char *member, uint64_t count)
{
	struct collection *collection = context;
	char client[MEMBER_CLIENT_MAX];
	struct who_hour row = {.hour = hour, .count = count};
	const char *name;

	if (!watched_member_parse(member, client, &name) || !*name) {
		collection->cut = collection->cut || strcmp(member, SCHEMA_OTHER) == 0;
		return TD_OK;
	}
	if (collection->client && strcmp(client, collection->client) != 0)
		return TD_OK;
	row.name = wanted_name(collection, name);
	if (!row.name)
		return TD_OK;
	row.client = wanted_client(collection, client);
	if (!row.client)
		return TD_NOMEM;
	if (collection->hour_count == HOURS_ROWS_MAX) {
		collection->cut = true;
		return TD_OK;
	}
	if (!grow((void **)&collection->hours, &collection->hour_capacity, collection->hour_count,
		    sizeof(row)))
		return TD_NOMEM;
	collection->hours[collection->hour_count++] = row;
	return TD_OK;
}

static int compare_hours(const void *left, const void *right)
{
	const struct who_hour *a = left, *b = right;
	int order = compare_key(a->client, a->name, b->client, b->name);

	return order ? order : (a->hour > b->hour) - (a->hour < b->hour);
}

/* Of a fleet the same hour may come from several resolvers. */
static void sort_hours(struct collection *collection)
{
	size_t kept = 0;

	if (collection->hour_count == 0)
		return;
	qsort(collection->hours, collection->hour_count, sizeof(*collection->hours), compare_hours);
	for (size_t i = 1; i < collection->hour_count; i++) {
		if (compare_hours(&collection->hours[kept], &collection->hours[i]) == 0)
			collection->hours[kept].count += collection->hours[i].count;
		else
			collection->hours[++kept] = collection->hours[i];
	}
	collection->hour_count = kept + 1;
}

/* --- from samples to periods --- */

int64_t who_earlier(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

static int compare_samples(const void *left, const void *right)
{
	const struct sample *a = left, *b = right;
	int order = compare_key(a->client, a->name, b->client, b->name);

	order = order ? order : strcmp(a->type, b->type);
	return order ? order : (a->ms > b->ms) - (a->ms < b->ms);
}

/* The end of the rows of the same client and name, and for samples of the same type. */
static size_t end_of_samples(const struct collection *collection, size_t from)
{
	const struct sample *rows = collection->samples;
	size_t end = from + 1;

	while (end < collection->sample_count &&
		compare_key(rows[from].client, rows[from].name, rows[end].client, rows[end].name) ==
			0 &&
		strcmp(rows[from].type, rows[end].type) == 0)
		end++;
	return end;
}

static size_t end_of_hours(const struct collection *collection, size_t from)
{
	const struct who_hour *rows = collection->hours;
	size_t end = from + 1;

	while (end < collection->hour_count && compare_key(rows[from].client, rows[from].name,
						       rows[end].client, rows[end].name) == 0)
		end++;
	return end;
}

/* The first and the last hour of a client are not whole. */
static void use_hours(const struct collection *collection, size_t from, size_t end,
	uint64_t *scratch, struct who_retry *row)
{
	size_t whole = 0;

	*row = (struct who_retry){
		.client = collection->hours[from].client, .name = collection->hours[from].name};
	for (size_t i = from; i < end; i++) {
		row->watched += collection->hours[i].count;
		if (i > from && i + 1 < end)
			scratch[whole++] = collection->hours[i].count;
	}
	row->period = period_from_hours(scratch, whole);
}

static void use_samples(const struct collection *collection, size_t from, size_t end,
	int64_t *scratch, struct who_retry *row)
{
	*row = (struct who_retry){
		.client = collection->samples[from].client, .name = collection->samples[from].name};
	row->first_ms = collection->samples[from].ms;
	row->last_ms = collection->samples[end - 1].ms;
	for (size_t i = from; i < end; i++)
		scratch[i - from] = collection->samples[i].ms;
	row->period = period_from_times(scratch, end - from);
}

static int compare_retries(const void *left, const void *right)
{
	const struct who_retry *a = left, *b = right;
	return compare_key(a->client, a->name, b->client, b->name);
}

static void merge_retries(struct who_retries *out)
{
	size_t kept = 0;

	if (out->count == 0)
		return;
	qsort(out->rows, out->count, sizeof(*out->rows), compare_retries);
	for (size_t i = 1; i < out->count; i++) {
		if (compare_retries(&out->rows[kept], &out->rows[i]) != 0) {
			out->rows[++kept] = out->rows[i];
			continue;
		}
		struct who_retry *row = &out->rows[kept];
		row->watched += out->rows[i].watched;
		row->first_ms = who_earlier(row->first_ms, out->rows[i].first_ms);
		if (out->rows[i].last_ms > row->last_ms)
			row->last_ms = out->rows[i].last_ms;
		row->period = period_better(row->period, out->rows[i].period);
	}
	out->count = kept + 1;
}

static enum td_error make_retries(struct collection *collection, struct who_retries *out)
{
	struct arena *arena = &collection->who->cli->arena;
	size_t most = collection->sample_count + collection->hour_count;
	int64_t *scratch = malloc((most + 1) * sizeof(*scratch));

	out->rows = arena_alloc(arena, (most + 1) * sizeof(*out->rows));
	out->hours = arena_alloc(arena, (collection->hour_count + 1) * sizeof(*out->hours));
	if (!scratch || !out->rows || !out->hours) {
		free(scratch);
		return TD_NOMEM;
	}
	if (collection->hour_count)
		memcpy(out->hours, collection->hours, collection->hour_count * sizeof(*out->hours));
	out->hour_count = collection->hour_count;
	out->cut = collection->cut;
	for (size_t i = 0, end; i < collection->sample_count; i = end) {
		end = end_of_samples(collection, i);
		use_samples(collection, i, end, scratch, &out->rows[out->count++]);
	}
	for (size_t i = 0, end; i < collection->hour_count; i = end) {
		end = end_of_hours(collection, i);
		use_hours(collection, i, end, (uint64_t *)scratch, &out->rows[out->count++]);
	}
	free(scratch);
	merge_retries(out);
	return TD_OK;
}

/* --- the interface --- */

static enum td_error collect(struct collection *collection)
{
	struct who *who = collection->who;
	bool cut = false;
	enum td_error error = fleet_each(who->fleet, read_stream, collection);

	if (error == TD_OK)
		error = fleet_hour_rows(who->fleet, READER_HOUR_WATCHED_NAMES, who->hours, add_hour,
			collection, &cut);
	collection->cut = collection->cut || cut;
	return error;
}

enum td_error who_load_retries(
	struct who *who, const char *client, const struct who_list *names, struct who_retries *out)
{
	struct collection collection = {.who = who, .client = client};
	const char **sorted = arena_alloc(&who->cli->arena, (names->count + 1) * sizeof(*sorted));

	*out = (struct who_retries){.count = 0};
	if (!sorted)
		return TD_NOMEM;
	for (size_t i = 0; i < names->count; i++)
		sorted[i] = names->words[i];
	if (names->count)
		qsort(sorted, names->count, sizeof(*sorted), compare_text);
	collection.names = sorted;
	collection.name_count = names->count;
	enum td_error error = collect(&collection);
	if (error == TD_OK && collection.sample_count)
		qsort(collection.samples, collection.sample_count, sizeof(*collection.samples),
			compare_samples);
	if (error == TD_OK)
		sort_hours(&collection);
	if (error == TD_OK)
		error = make_retries(&collection, out);
	free(collection.samples);
	free(collection.hours);
	return error;
}

struct period who_period(const struct who_retries *retries, const char *client, const char *name,
	const struct reader_pair *pair)
{
	const struct who_retry key = {.client = client, .name = name};
	const struct who_retry *row = retries->count
					      ? bsearch(&key, retries->rows, retries->count,
							sizeof(*retries->rows), compare_retries)
					      : NULL;
	struct period period = row ? row->period : (struct period){.source = PERIOD_UNKNOWN};

	if (pair)
		period = period_better(
			period, period_from_mean(pair->first_ms, pair->last_ms, pair->count));
	return period;
}

uint64_t who_lookups_between(const struct who *who, const struct who_retries *retries,
	const char *client, int64_t first, int64_t last)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < retries->hour_count; i++) {
		int64_t hour = who->hours.first + (int64_t)retries->hours[i].hour;
		if (hour >= first && hour <= last &&
			(!client || strcmp(retries->hours[i].client, client) == 0))
			sum += retries->hours[i].count;
	}
	return sum;
}

void who_period_cell(const struct period *period, char *out, size_t size)
{
	static const char *const signs[] = {[PERIOD_UNKNOWN] = "",
		[PERIOD_MEAN] = "avg ",
		[PERIOD_HOURLY] = "~",
		[PERIOD_TIMES] = ""};
	struct strbuf text;

	snprintf(out, size, "-");
	if (period->source == PERIOD_UNKNOWN)
		return;
	strbuf_init(&text);
	if (period->ms < 120000)
		strbuf_printf(
			&text, "%" PRId64 " s", period->ms < 1000 ? 1 : (period->ms + 500) / 1000);
	else
		output_span(&text, period->ms / 1000);
	if (!text.failed)
		snprintf(out, size, "%s%s", signs[period->source], text.data);
	strbuf_deinit(&text);
}

void who_append_period_json(struct strbuf *out, const struct period *period)
{
	strbuf_json_key(out, "period_ms");
	if (period->source == PERIOD_UNKNOWN)
		strbuf_append_text(out, "null");
	else
		strbuf_append_u64(out, (uint64_t)period->ms);
	strbuf_json_text(out, "period_of", period_source_name(period->source));
	if (period->source == PERIOD_UNKNOWN)
		return;
	strbuf_json_u64(out, "period_evidence", period->evidence);
	if (period->source == PERIOD_MEAN)
		return;
	strbuf_json_u64(out, "period_low_ms", (uint64_t)period->low_ms);
	strbuf_json_u64(out, "period_high_ms", (uint64_t)period->high_ms);
}

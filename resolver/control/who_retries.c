/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * When clients ask again. Two things in Redis tell it: the stream of transactions (samples.h), whose
 * entries have a time each but reach back only as far as its bound, and the sets of (client, watched
 * name) of each hour. Both are reduced to what was asked for, and sorted; a period is then a look at
 * neighbours.
 *
 * Hours can bring some hundred thousand rows of a few thousand clients and names. So each text is
 * kept once and has a number, and rows are put in order by counting numbers: comparing the texts of
 * rows took longer than all the rest of an answer. A dashboard keeps the hours (hour_cache.h), with a
 * number for each member: what a member is, is found out once for all of its hours.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/drop_member.h"
#include "resolver/control/fleet_hours.h"
#include "resolver/control/hour_cache.h"
#include "resolver/control/memo.h"
#include "resolver/control/samples.h"
#include "resolver/control/who.h"
#include "resolver/control/words.h"
#include "resolver/telemetry/redis/schema.h"

#define SAMPLES_MAX 400000
#define HOURS_ROWS_MAX 400000

/* Clients and names are numbers of words, later their places in the order of the alphabet. */
struct sample {
	uint32_t client, name;
	int64_t ms;
	char type[SAMPLE_TYPE_MAX];
};

/* A row of an hour. */
struct cell {
	uint32_t client, name;
	uint32_t hour;
	uint64_t count;
};

struct collection {
	struct who *who;
	const char *client;    /* of this one only; NULL: any */
	struct words names;    /* of these only, unless there is a client */
	struct words clients;
	struct word **client_order, **name_order; /* by place; the arena's */
	struct sample *samples; /* malloc'd, as are the cells */
	size_t sample_count, sample_capacity;
	struct cell *cells;
	size_t cell_count, cell_capacity;
	struct who_hour *hours; /* the arena's */
	size_t hour_count;
	bool has_numbers; /* members of hours have some */
	struct memo memo; /* by them: where the pair is, behind UNWANTED */
	struct pair {
		uint32_t client, name;
	} * pairs; /* malloc'd */
	size_t pair_count, pair_capacity;
	bool cut;
};
#define UNWANTED 0

/* Texts are the same where they are in the same place, as those of words are. */
static int compare_text(const char *text, const char *other)
{
	return text == other ? 0 : strcmp(text, other);
}

static int compare_key(
	const char *client, const char *name, const char *other_client, const char *other_name)
{
	int order = compare_text(client, other_client);
	return order ? order : compare_text(name, other_name);
}

/* TD_OK and NULL: it is of no interest, or there are too many. */
static enum td_error take_word(
	struct collection *collection, struct words *words, const char *text, struct word **out)
{
	enum td_error error = words_put(words, text, out);

	if (error != TD_FULL)
		return error;
	*out = NULL;
	collection->cut = true;
	return TD_OK;
}

static enum td_error wanted(struct collection *collection, const char *client_text,
	const char *name_text, struct word **client, struct word **name)
{
	*client = *name = NULL;
	if (collection->client && strcmp(client_text, collection->client) != 0)
		return TD_OK;
	enum td_error error = TD_OK;
	if (collection->client)
		error = take_word(collection, &collection->names, name_text, name);
	else
		*name = words_find(&collection->names, name_text);
	if (error == TD_OK && *name)
		error = take_word(collection, &collection->clients, client_text, client);
	return error;
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

static enum td_error add_sample(
	struct collection *collection, const struct samples *from, const struct sample_row *row)
{
	struct word *client, *name;

	if (row->ms == 0)
		return TD_OK;
	enum td_error error = wanted(collection, from->texts.data + row->client,
		from->texts.data + row->name, &client, &name);
	if (error != TD_OK || !client)
		return error;
	if (collection->sample_count == SAMPLES_MAX) {
		collection->cut = true;
		return TD_OK;
	}
	if (!grow((void **)&collection->samples, &collection->sample_capacity,
		    collection->sample_count, sizeof(struct sample)))
		return TD_NOMEM;
	struct sample *sample = &collection->samples[collection->sample_count++];
	*sample = (struct sample){client->number, name->number, row->ms, ""};
	memcpy(sample->type, row->type, sizeof(sample->type));
	return TD_OK;
}

static enum td_error read_stream(void *context, struct fleet_member *member)
{
	struct collection *collection = context;
	struct sample_cache *cache = collection->who->fleet->samples;
	struct samples *samples;
	enum td_error error = samples_take(cache, member->reader, member->resolver, &samples);

	for (size_t i = 0; error == TD_OK && i < samples->count; i++)
		error = add_sample(collection, samples, &samples->rows[i]);
	samples_release(cache, &samples);
	return error;
}

/* --- hours --- */

/* *client is NULL where the member is of no interest. */
static enum td_error read_member(struct collection *collection, const char *member,
	struct word **client, struct word **name)
{
	char client_text[MEMBER_CLIENT_MAX];
	const char *name_text;

	*client = NULL;
	if (watched_member_parse(member, client_text, &name_text) && *name_text)
		return wanted(collection, client_text, name_text, client, name);
	collection->cut = collection->cut || strcmp(member, SCHEMA_OTHER) == 0;
	return TD_OK;
}

static enum td_error add_cell(struct collection *collection, const struct pair *pair, size_t hour,
	uint64_t count)
{
	if (collection->cell_count == HOURS_ROWS_MAX) {
		collection->cut = true;
		return TD_OK;
	}
	if (!grow((void **)&collection->cells, &collection->cell_capacity, collection->cell_count,
		    sizeof(struct cell)))
		return TD_NOMEM;
	collection->cells[collection->cell_count++] =
		(struct cell){pair->client, pair->name, (uint32_t)hour, count};
	return TD_OK;
}

/* Without memory for it the member is read again in the next hour. */
static enum td_error remember(struct collection *collection, const char *member, bool is_wanted,
	struct pair pair)
{
	uint32_t at = UNWANTED;

	if (!collection->has_numbers)
		return TD_OK;
	if (is_wanted) {
		if (!grow((void **)&collection->pairs, &collection->pair_capacity,
			    collection->pair_count, sizeof(pair)))
			return TD_NOMEM;
		collection->pairs[collection->pair_count++] = pair;
		at = (uint32_t)collection->pair_count;
	}
	memo_put(&collection->memo, hour_cache_member(member), at);
	return TD_OK;
}

static enum td_error add_hour(void *context, size_t hour, const char *member, uint64_t count)
{
	struct collection *collection = context;
	struct word *client, *name;
	uint32_t at;

	if (collection->has_numbers &&
		memo_find(&collection->memo, hour_cache_member(member), &at))
		return at == UNWANTED ? TD_OK
				      : add_cell(collection, &collection->pairs[at - 1], hour,
						count);
	enum td_error error = read_member(collection, member, &client, &name);
	struct pair pair = {client ? client->number : 0, client ? name->number : 0};
	if (error == TD_OK)
		error = remember(collection, member, client != NULL, pair);
	return error == TD_OK && client ? add_cell(collection, &pair, hour, count) : error;
}

static int compare_words(const void *left, const void *right)
{
	return strcmp((*(struct word *const *)left)->text, (*(struct word *const *)right)->text);
}

/* The words in the order of the alphabet, and the place of each by its number. */
static struct word **order_words(struct arena *arena, const struct words *words, uint32_t **places)
{
	struct word **order = arena_alloc(arena, (words->count + 1) * sizeof(struct word *));

	*places = arena_alloc(arena, (words->count + 1) * sizeof(**places));
	if (!order || !*places)
		return NULL;
	if (words->count) {
		memcpy(order, words->rows, words->count * sizeof(struct word *));
		qsort(order, words->count, sizeof(struct word *), compare_words);
	}
	for (size_t i = 0; i < words->count; i++)
		(*places)[order[i]->number] = (uint32_t)i;
	return order;
}

/* Numbers become places. */
static enum td_error place_words(struct collection *collection)
{
	struct arena *arena = &collection->who->cli->arena;
	uint32_t *client_places, *name_places;

	collection->client_order = order_words(arena, &collection->clients, &client_places);
	collection->name_order = order_words(arena, &collection->names, &name_places);
	if (!collection->client_order || !collection->name_order)
		return TD_NOMEM;
	for (size_t i = 0; i < collection->cell_count; i++) {
		struct cell *cell = &collection->cells[i];
		cell->client = client_places[cell->client];
		cell->name = name_places[cell->name];
	}
	for (size_t i = 0; i < collection->sample_count; i++) {
		struct sample *sample = &collection->samples[i];
		sample->client = client_places[sample->client];
		sample->name = name_places[sample->name];
	}
	return TD_OK;
}

/* Cells in the order of one of their numbers; those that are equal stay as they stand. */
static bool sort_by(struct cell *from, struct cell *to, size_t count, size_t member, size_t most)
{
	size_t *starts = calloc(most + 2, sizeof(*starts));

	if (!starts)
		return false;
#define KEY(cell) (*(const uint32_t *)(const void *)((const char *)(cell) + member))
	for (size_t i = 0; i < count; i++)
		starts[KEY(&from[i]) + 1]++;
	for (size_t i = 1; i <= most; i++)
		starts[i] += starts[i - 1];
	for (size_t i = 0; i < count; i++)
		to[starts[KEY(&from[i])]++] = from[i];
#undef KEY
	free(starts);
	return true;
}

/* By client, name, hour. */
static bool sort_cells(struct collection *collection)
{
	struct cell *cells = collection->cells;
	size_t count = collection->cell_count;
	struct cell *other = malloc((count + 1) * sizeof(*other));
	bool good = other && sort_by(cells, other, count, offsetof(struct cell, hour),
				     collection->who->hours.count) &&
		    sort_by(other, cells, count, offsetof(struct cell, name),
			    collection->names.count) &&
		    sort_by(cells, other, count, offsetof(struct cell, client),
			    collection->clients.count);

	if (!good) {
		free(other);
		return false;
	}
	free(cells);
	collection->cells = other;
	return true;
}

/* The cells in order, as rows; of a fleet the same hour may come from several resolvers. */
static enum td_error make_hours(struct collection *collection)
{
	struct arena *arena = &collection->who->cli->arena;
	struct word **clients = collection->client_order, **names = collection->name_order;
	struct who_hour *last = NULL;

	collection->hours =
		arena_alloc(arena, (collection->cell_count + 1) * sizeof(*collection->hours));
	if (!collection->hours || !sort_cells(collection))
		return TD_NOMEM;
	for (size_t i = 0; i < collection->cell_count; i++) {
		const struct cell *cell = &collection->cells[i];
		struct who_hour row = {clients[cell->client]->text, names[cell->name]->text,
			cell->hour, cell->count};
		if (last && last->client == row.client && last->name == row.name &&
			last->hour == row.hour) {
			last->count += row.count;
			continue;
		}
		last = &collection->hours[collection->hour_count++];
		*last = row;
	}
	return TD_OK;
}

/* --- from samples to periods --- */

int64_t who_earlier(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

/* By client, name and type. */
static int compare_askers(const struct sample *a, const struct sample *b)
{
	if (a->client != b->client)
		return a->client < b->client ? -1 : 1;
	if (a->name != b->name)
		return a->name < b->name ? -1 : 1;
	return strcmp(a->type, b->type);
}

static int compare_samples(const void *left, const void *right)
{
	const struct sample *a = left, *b = right;
	int order = compare_askers(a, b);

	return order ? order : (a->ms > b->ms) - (a->ms < b->ms);
}

/* The end of the rows of the same client, name and type. */
static size_t end_of_samples(const struct collection *collection, size_t from)
{
	const struct sample *rows = collection->samples;
	size_t end = from + 1;

	while (end < collection->sample_count && compare_askers(&rows[from], &rows[end]) == 0)
		end++;
	return end;
}

static size_t end_of_hours(const struct collection *collection, size_t from)
{
	const struct who_hour *rows = collection->hours;
	size_t end = from + 1;

	while (end < collection->hour_count && rows[from].client == rows[end].client &&
		rows[from].name == rows[end].name)
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
	const struct sample *sample = &collection->samples[from];

	*row = (struct who_retry){.client = collection->client_order[sample->client]->text,
		.name = collection->name_order[sample->name]->text};
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

/* What the hours say of a client and name, and what the stream does. */
static void add_retry(struct who_retries *out, const struct who_retry *row)
{
	struct who_retry *last = out->count ? &out->rows[out->count - 1] : NULL;

	if (!last || compare_retries(last, row) != 0) {
		out->rows[out->count++] = *row;
		return;
	}
	last->watched += row->watched;
	last->first_ms = who_earlier(last->first_ms, row->first_ms);
	if (row->last_ms > last->last_ms)
		last->last_ms = row->last_ms;
	last->period = period_better(last->period, row->period);
}

/* Both are in order. */
static void merge_retries(struct who_retries *out, const struct who_retry *left, size_t left_count,
	const struct who_retry *right, size_t right_count)
{
	for (size_t l = 0, r = 0; l < left_count || r < right_count;) {
		bool take_left = r == right_count ||
				 (l < left_count && compare_retries(&left[l], &right[r]) <= 0);
		add_retry(out, take_left ? &left[l++] : &right[r++]);
	}
}

static enum td_error make_retries(struct collection *collection, struct who_retries *out)
{
	struct arena *arena = &collection->who->cli->arena;
	size_t samples = collection->sample_count, hours = collection->hour_count;
	size_t most = samples > hours ? samples : hours, sample_rows = 0, hour_rows = 0;
	int64_t *scratch = malloc((most + 1) * sizeof(*scratch));
	struct who_retry *rows = malloc((samples + hours + 1) * sizeof(*rows));

	out->rows = arena_alloc(arena, (samples + hours + 1) * sizeof(*out->rows));
	if (!scratch || !rows || !out->rows) {
		free(scratch);
		free(rows);
		return TD_NOMEM;
	}
	out->hours = collection->hours;
	out->hour_count = hours;
	out->cut = collection->cut;
	for (size_t i = 0, end; i < samples; i = end) {
		end = end_of_samples(collection, i);
		use_samples(collection, i, end, scratch, &rows[sample_rows++]);
	}
	for (size_t i = 0, end; i < hours; i = end) {
		end = end_of_hours(collection, i);
		use_hours(collection, i, end, (uint64_t *)scratch, &rows[samples + hour_rows++]);
	}
	merge_retries(out, rows, sample_rows, rows + samples, hour_rows);
	free(scratch);
	free(rows);
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

static enum td_error begin(struct collection *collection, const struct who_list *names)
{
	enum td_error error = TD_OK;
	struct word *word;

	words_init(&collection->names, &collection->who->cli->arena, HOURS_ROWS_MAX);
	words_init(&collection->clients, &collection->who->cli->arena, HOURS_ROWS_MAX);
	for (size_t i = 0; i < names->count && error == TD_OK; i++)
		error = words_put(&collection->names, names->words[i], &word);
	return error;
}

enum td_error who_load_retries(
	struct who *who, const char *client, const struct who_list *names, struct who_retries *out)
{
	struct collection collection = {
		.who = who, .client = client, .has_numbers = who->fleet->hours != NULL};

	*out = (struct who_retries){.count = 0};
	enum td_error error = begin(&collection, names);
	if (error == TD_OK)
		error = collect(&collection);
	if (error == TD_OK)
		error = place_words(&collection);
	if (error == TD_OK && collection.sample_count)
		qsort(collection.samples, collection.sample_count, sizeof(*collection.samples),
			compare_samples);
	if (error == TD_OK)
		error = make_hours(&collection);
	if (error == TD_OK)
		error = make_retries(&collection, out);
	words_deinit(&collection.names);
	words_deinit(&collection.clients);
	memo_deinit(&collection.memo);
	free(collection.pairs);
	free(collection.samples);
	free(collection.cells);
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

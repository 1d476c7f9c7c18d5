/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A week of (client, name) pairs is read once for all zones and becomes cells of numbers; names get
 * their zones, and the cells are added up twice: by zone and hour, and by name. What cannot be
 * placed (a bound of an hour took it, or nobody knows the zone of the name) is counted and said,
 * because a sum that is quietly too small is worse than none.
 */
#include "resolver/control/dashboard/watch.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/control/drop_member.h"
#include "resolver/control/fleet_hours.h"
#include "resolver/control/memo.h"
#include "resolver/control/words.h"

#define CELLS_MAX 2000000
#define TEXTS_MAX 200000 /* different names, or clients */
#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
#define CACHE_BYTES ((size_t)64 << 20)
#define CACHE_NAMES 50000
#define CACHE_SAMPLE_BYTES ((size_t)32 << 20)

struct watch_cache *watch_cache_new(void)
{
	struct watch_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->hours = hour_cache_new(CACHE_BYTES);
	cache->names = name_zones_new(CACHE_NAMES);
	cache->samples = sample_cache_new(CACHE_SAMPLE_BYTES);
	if (!cache->hours || !cache->names || !cache->samples)
		watch_cache_free(&cache);
	return cache;
}

void watch_cache_free(struct watch_cache **cache)
{
	if (!*cache)
		return;
	hour_cache_free(&(*cache)->hours);
	name_zones_free(&(*cache)->names);
	sample_cache_free(&(*cache)->samples);
	free(*cache);
	*cache = NULL;
}

/* --- cells --- */

struct cell {
	uint32_t name, client;
	uint32_t hour;
	uint64_t count;
};

struct week {
	struct cli *cli;
	struct words names, clients;
	struct cell *cells; /* malloc'd */
	size_t count, capacity;
	struct memo memo;  /* by the number of a member: where its place is, behind UNKNOWN */
	struct place {
		struct word *name;
		uint32_t client;
	} * places; /* malloc'd */
	size_t place_count, place_capacity;
	uint64_t other; /* without a name */
	bool cut;
};
#define UNKNOWN 0

static void week_init(struct week *week, struct cli *cli)
{
	*week = (struct week){.cli = cli};
	memo_init(&week->memo);
	words_init(&week->names, &cli->arena, TEXTS_MAX);
	words_init(&week->clients, &cli->arena, TEXTS_MAX);
}

static void week_deinit(struct week *week)
{
	words_deinit(&week->names);
	words_deinit(&week->clients);
	memo_deinit(&week->memo);
	free(week->places);
	free(week->cells);
}

static enum td_error add_cell(struct week *week, struct cell cell)
{
	if (week->count == week->capacity) {
		size_t capacity = week->capacity ? 2 * week->capacity : 4096;
		struct cell *cells = realloc(week->cells, capacity * sizeof(*cells));
		if (!cells)
			return TD_NOMEM;
		week->cells = cells;
		week->capacity = capacity;
	}
	week->cells[week->count++] = cell;
	return TD_OK;
}

/* place->name is NULL where it has none, or is one too many. */
static enum td_error find_place(struct week *week, const char *member, struct place *place)
{
	char client_text[MEMBER_CLIENT_MAX];
	struct word *name, *client = NULL;
	const char *text;

	*place = (struct place){NULL, 0};
	if (!watched_member_parse(member, client_text, &text) || !*text)
		return TD_OK;
	enum td_error error = words_put(&week->names, text, &name);
	if (error == TD_OK)
		error = words_put(&week->clients, client_text, &client);
	if (error == TD_OK)
		*place = (struct place){name, client->number};
	week->cut = week->cut || error == TD_FULL;
	return error == TD_FULL ? TD_OK : error;
}

/* Without memory for it the place is found again in the next hour. */
static void remember(struct week *week, const char *member, const struct place *place)
{
	uint32_t at = UNKNOWN;

	if (place->name) {
		if (week->place_count == week->place_capacity) {
			size_t capacity = week->place_capacity ? 2 * week->place_capacity : 1024;
			struct place *places = realloc(week->places, capacity * sizeof(*places));
			if (!places)
				return;
			week->places = places;
			week->place_capacity = capacity;
		}
		week->places[week->place_count++] = *place;
		at = (uint32_t)week->place_count;
	}
	memo_put(&week->memo, hour_cache_member(member), at);
}

static enum td_error add_row(void *context, size_t hour, const char *member, uint64_t count)
{
	struct week *week = context;
	struct place place = {NULL, 0};
	enum td_error error = TD_OK;
	uint32_t at;

	if (!memo_find(&week->memo, hour_cache_member(member), &at)) {
		error = find_place(week, member, &place);
		if (error == TD_OK)
			remember(week, member, &place);
	} else if (at != UNKNOWN) {
		place = week->places[at - 1];
	}
	if (error != TD_OK)
		return error;
	if (place.name && week->count == CELLS_MAX) {
		week->cut = true;
		place.name = NULL;
	}
	if (!place.name) {
		week->other += count;
		return TD_OK;
	}
	place.name->count += count;
	return add_cell(week,
		(struct cell){place.name->number, place.client, (uint32_t)hour, count});
}

static enum td_error read_week(struct week *week, struct fleet *fleet, int64_t first_hour)
{
	struct reader_span span = {first_hour, WATCH_HOURS};
	bool cut = false;
	enum td_error error =
		fleet_hour_rows(fleet, READER_HOUR_WATCHED_NAMES, span, add_row, week, &cut);

	week->cut = week->cut || cut;
	return error;
}

/* --- pairs of a name and a client, each once --- */

struct pair_set {
	uint64_t *slots; /* 0: free */
	size_t mask;
};

static bool pair_set_init(struct pair_set *set, size_t most)
{
	size_t capacity = 1024;

	while (capacity < 2 * most)
		capacity *= 2;
	set->mask = capacity - 1;
	set->slots = calloc(capacity, sizeof(*set->slots));
	return set->slots != NULL;
}

/* False: it was in there. The numbers are ours, so nobody chooses where they collide. */
static bool pair_set_add(struct pair_set *set, uint32_t name, uint32_t client)
{
	uint64_t key = ((uint64_t)name << 32 | client) + 1;
	size_t at = (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & set->mask;

	while (set->slots[at] && set->slots[at] != key)
		at = (at + 1) & set->mask;
	if (set->slots[at])
		return false;
	set->slots[at] = key;
	return true;
}

/* --- names and their zones --- */

struct names {
	struct watch_name *rows; /* most hits first */
	uint32_t *place;         /* by number of the word: which row */
	uint16_t *zone;          /* of each row */
	size_t count;
};

static int compare_names(const void *left, const void *right)
{
	const struct watch_name *a = left, *b = right;

	if (a->hits != b->hits)
		return a->hits < b->hits ? 1 : -1;
	return strcmp(a->name, b->name);
}

/* Sorted, and each word told its place by way of its count. */
static enum td_error make_names(struct week *week, struct names *out)
{
	struct arena *arena = &week->cli->arena;
	size_t count = week->names.count;
	struct word *word;

	out->count = count;
	out->rows = arena_alloc(arena, (count + 1) * sizeof(*out->rows));
	out->place = arena_alloc(arena, (count + 1) * sizeof(*out->place));
	out->zone = arena_alloc(arena, (count + 1) * sizeof(*out->zone));
	if (!out->rows || !out->place || !out->zone)
		return TD_NOMEM;
	for (size_t i = 0; i < count; i++) {
		word = week->names.rows[i];
		out->rows[i] = (struct watch_name){.name = word->text, .hits = word->count};
	}
	if (count)
		qsort(out->rows, count, sizeof(*out->rows), compare_names);
	for (size_t i = 0; i < count; i++)
		out->place[words_find(&week->names, out->rows[i].name)->number] = (uint32_t)i;
	return TD_OK;
}

static enum td_error place_names(struct watch_cache *cache, struct cli *cli, struct fleet *fleet,
	const struct watch *watch, bool ours, struct names *names)
{
	const char **zones = arena_alloc(&cli->arena, (watch->count + 1) * sizeof(*zones));
	const char **texts = arena_alloc(&cli->arena, (names->count + 1) * sizeof(*texts));
	struct name_zones_question question = {.zones = zones,
		.zone_count = watch->count,
		.names = texts,
		.name_count = names->count,
		.ours = ours};

	if (!zones || !texts)
		return TD_NOMEM;
	for (size_t i = 0; i < watch->count; i++)
		zones[i] = watch->zones[i].state->zone;
	for (size_t i = 0; i < names->count; i++)
		texts[i] = names->rows[i].name;
	return name_zones_find(cache->names, cli, fleet, &question, names->zone);
}

static enum td_error list_names(struct cli *cli, const struct names *names, struct watch *watch)
{
	for (size_t i = 0; i < names->count; i++)
		if (names->zone[i] != NAME_ZONE_NONE)
			watch->zones[names->zone[i]].name_count++;
	for (size_t z = 0; z < watch->count; z++) {
		struct watch_zone *zone = &watch->zones[z];
		zone->names =
			arena_alloc(&cli->arena, (zone->name_count + 1) * sizeof(*zone->names));
		if (!zone->names)
			return TD_NOMEM;
		zone->name_count = 0;
	}
	for (size_t i = 0; i < names->count; i++) {
		if (names->zone[i] == NAME_ZONE_NONE)
			continue;
		struct watch_zone *zone = &watch->zones[names->zone[i]];
		zone->names[zone->name_count++] = names->rows[i];
	}
	return TD_OK;
}

/* --- sums --- */

/* Hours since 1970 in which the local day began, and the one before. */
static void find_days(int64_t now_ms, int64_t *today, int64_t *yesterday)
{
	time_t now = (time_t)(now_ms / 1000);
	struct tm parts;

	localtime_r(&now, &parts);
	parts.tm_hour = parts.tm_min = parts.tm_sec = 0;
	parts.tm_isdst = -1;
	struct tm before = parts;
	before.tm_mday--;
	*today = (int64_t)mktime(&parts) / 3600;
	*yesterday = (int64_t)mktime(&before) / 3600;
}

static void add_days(struct watch *watch, int64_t now_ms)
{
	int64_t today, yesterday;

	find_days(now_ms, &today, &yesterday);
	for (size_t z = 0; z < watch->count; z++) {
		struct watch_zone *zone = &watch->zones[z];
		for (size_t h = 0; h < WATCH_HOURS; h++) {
			int64_t hour = watch->first_hour + (int64_t)h;
			if (hour >= today)
				zone->today += zone->trend[h];
			else if (hour >= yesterday)
				zone->yesterday += zone->trend[h];
		}
	}
}

static enum td_error add_up(const struct week *week, struct names *names, struct watch *watch)
{
	struct pair_set pairs;

	if (!pair_set_init(&pairs, week->count))
		return TD_NOMEM;
	for (size_t i = 0; i < week->count; i++) {
		const struct cell *cell = &week->cells[i];
		uint32_t row = names->place[cell->name];
		if (pair_set_add(&pairs, cell->name, cell->client))
			names->rows[row].clients++;
		if (names->zone[row] == NAME_ZONE_NONE)
			watch->unplaced += cell->count;
		else
			watch->zones[names->zone[row]].trend[cell->hour] += cell->count;
	}
	free(pairs.slots);
	watch->unplaced += week->other;
	return TD_OK;
}

static enum td_error load_week(struct watch_cache *cache, struct cli *cli, struct fleet *fleet,
	bool ours, struct watch *watch)
{
	struct names names;
	struct week week;

	fleet->hours = cache->hours; /* members have numbers there */
	week_init(&week, cli);
	enum td_error error = read_week(&week, fleet, watch->first_hour);
	if (error == TD_OK)
		error = make_names(&week, &names);
	if (error == TD_OK)
		error = place_names(cache, cli, fleet, watch, ours, &names);
	if (error == TD_OK)
		error = add_up(&week, &names, watch);
	if (error == TD_OK)
		error = list_names(cli, &names, watch);
	watch->cut = watch->cut || week.cut || watch->unplaced > 0;
	week_deinit(&week);
	return error;
}

/* --- new clients --- */

static enum td_error add_fresh(struct cli *cli, struct fleet *fleet,
	const struct watch_firsts *firsts, struct watch_zone *zone)
{
	zone->fresh = arena_alloc(&cli->arena, (firsts->count + 1) * sizeof(*zone->fresh));
	if (!zone->fresh)
		return TD_NOMEM;
	for (size_t i = 0; i < firsts->count; i++)
		if (strcmp(firsts->rows[i].zone, zone->state->zone) == 0)
			zone->fresh[zone->fresh_count++] = (struct watch_client){
				.client = firsts->rows[i].client, .first_ms = firsts->rows[i].ms};
	size_t named = zone->fresh_count < WATCH_NEW_MAX ? zone->fresh_count : WATCH_NEW_MAX;
	return watch_know_clients(cli, fleet, zone->fresh, named);
}

static enum td_error load_fresh(struct cli *cli, struct fleet *fleet, struct watch *watch)
{
	struct watch_firsts firsts;
	enum td_error error = watch_firsts_load(cli, fleet, cli->now_ms - DAY_MS, &firsts);

	for (size_t z = 0; z < watch->count && error == TD_OK; z++)
		error = add_fresh(cli, fleet, &firsts, &watch->zones[z]);
	watch->cut = watch->cut || (error == TD_OK && firsts.cut);
	return error;
}

/* --- all of it --- */

static bool is_shown(const struct watch_zone *zone)
{
	const char *mode = zone->state->mode, *kind = zone->state->kind;

	if (strcmp(kind, "local") == 0)
		return false;
	return strcmp(kind, "tunnel") == 0 || zone->totals.hits > 0 ||
	       (mode && (strcmp(mode, "watch") == 0 || strcmp(mode, "block") == 0));
}

static enum td_error choose_zones(
	struct cli *cli, struct fleet *fleet, const struct zones *zones, struct watch *out)
{
	enum td_error error = TD_OK;

	out->zones = arena_alloc(&cli->arena, (zones->count + 1) * sizeof(*out->zones));
	if (!out->zones)
		return TD_NOMEM;
	for (size_t i = 0; i < zones->count && error == TD_OK; i++) {
		struct watch_zone *zone = &out->zones[out->count];
		*zone = (struct watch_zone){.state = &zones->rows[i]};
		error = zone_totals_load(cli, fleet, zone->state->zone, &zone->totals);
		if (error != TD_OK || !is_shown(zone))
			continue;
		zone->trend = arena_alloc(&cli->arena, WATCH_HOURS * sizeof(*zone->trend));
		if (!zone->trend)
			return TD_NOMEM;
		memset(zone->trend, 0, WATCH_HOURS * sizeof(*zone->trend));
		out->count++;
	}
	return error;
}

static enum td_error load_once(struct watch_cache *cache, struct cli *cli, struct fleet *fleet,
	const struct zones *zones, bool ours, struct watch *out)
{
	*out = (struct watch){.first_hour = cli->now_ms / HOUR_MS + 1 - WATCH_HOURS};
	enum td_error error = choose_zones(cli, fleet, zones, out);
	if (error == TD_OK)
		error = load_week(cache, cli, fleet, ours, out);
	if (error == TD_OK)
		error = load_fresh(cli, fleet, out);
	if (error == TD_OK)
		add_days(out, cli->now_ms);
	return error;
}

/* What a resolver said before it went away in the middle is in some of the sums and not in the
 * others: they are made again without it. */
enum td_error watch_load(struct watch_cache *cache, struct cli *cli, struct fleet *fleet,
	const struct zones *zones, bool ours, struct watch *out)
{
	enum td_error error;
	size_t missing;

	do {
		missing = fleet_missing(fleet);
		error = load_once(cache, cli, fleet, zones, ours, out);
	} while (error == TD_OK && fleet_missing(fleet) != missing);
	return error;
}

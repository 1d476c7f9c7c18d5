/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients of watched zones: when each had its first hit, which the stream of events tells, and what
 * is known of them. Many clients are asked about in one pipeline.
 */
#include <stdlib.h>
#include <string.h>

#include "resolver/control/dashboard/watch.h"
#include "resolver/control/json_view.h"
#include "resolver/telemetry/redis/reader_clients.h"
#include "resolver/telemetry/redis/schema.h"

#define EVENTS_FEW 1000  /* read first: mostly they reach back far enough */
#define EVENTS_ALL 50000 /* of all resolvers */
#define FIELD_MAX 300
#define BETWEEN " in zone "

/* --- first hits --- */

struct first_search {
	struct cli *cli;
	int64_t since_ms;
	size_t few, all; /* events read of a resolver, at first and at most */
	struct watch_firsts *out;
};

/* False: it is no first hit. *ms is the time of any event, 0 of what has none. */
static bool parse_first(
	struct cli *cli, const struct reader_record *record, int64_t *ms, struct watch_first *out)
{
	char text[FIELD_MAX], kind[40];

	*ms = json_time(record->json, record->json_length, "ts");
	json_field(record->json, record->json_length, "kind", kind, sizeof(kind));
	if (!*ms || strcmp(kind, "new-client") != 0)
		return false;
	json_field(record->json, record->json_length, "text", text, sizeof(text));
	char *between = strstr(text, BETWEEN);
	if (!between || between == text)
		return false;
	const char *zone = between + strlen(BETWEEN);
	*between = '\0';
	*out = (struct watch_first){.client = arena_copy(&cli->arena, text, strlen(text) + 1),
		.zone = arena_copy(&cli->arena, zone, strlen(zone) + 1),
		.ms = *ms};
	return out->client && out->zone;
}

/* Reads as many events; *whole when they reach back to since_ms, or to the first there is. */
static enum td_error read_events(
	struct first_search *search, struct reader *reader, size_t depth, bool *whole)
{
	struct reader_records records;
	struct watch_firsts *out = search->out;
	size_t before = out->count;
	struct watch_first *rows;
	int64_t oldest_ms = INT64_MAX;

	enum td_error error =
		reader_last_records(reader, &search->cli->arena, READER_EVENTS, depth, &records);
	rows = arena_alloc(&search->cli->arena, (before + records.count + 1) * sizeof(*rows));
	if (error != TD_OK || !rows)
		return error != TD_OK ? error : TD_NOMEM;
	if (before)
		memcpy(rows, out->rows, before * sizeof(*rows));
	for (size_t i = 0; i < records.count; i++) {
		int64_t ms;
		bool first = parse_first(search->cli, &records.rows[i], &ms, &rows[out->count]);
		if (ms && ms < oldest_ms)
			oldest_ms = ms;
		out->count += first && ms >= search->since_ms;
	}
	*whole = records.count < depth || oldest_ms < search->since_ms;
	if (*whole || depth >= search->all)
		out->rows = rows;
	else
		out->count = before;
	return TD_OK;
}

static enum td_error add_firsts(void *context, struct fleet_member *member)
{
	struct first_search *search = context;
	bool whole;

	enum td_error error = read_events(search, member->reader, search->few, &whole);
	if (error == TD_OK && !whole && search->few < search->all)
		error = read_events(search, member->reader, search->all, &whole);
	search->out->cut = search->out->cut || (error == TD_OK && !whole);
	return error;
}

static int compare_who(const struct watch_first *a, const struct watch_first *b)
{
	int order = strcmp(a->client, b->client);

	return order ? order : strcmp(a->zone, b->zone);
}

static int compare_by_who(const void *left, const void *right)
{
	const struct watch_first *a = left, *b = right;
	int order = compare_who(a, b);

	return order ? order : (a->ms > b->ms) - (a->ms < b->ms);
}

static int compare_by_time(const void *left, const void *right)
{
	const struct watch_first *a = left, *b = right;

	if (a->ms != b->ms)
		return a->ms < b->ms ? 1 : -1;
	return compare_who(a, b);
}

/* Of a client that was folded into others and came back, or of several resolvers, the earliest. */
static void unite(struct watch_firsts *firsts)
{
	size_t kept = 0;

	if (firsts->count == 0)
		return;
	qsort(firsts->rows, firsts->count, sizeof(*firsts->rows), compare_by_who);
	for (size_t i = 1; i < firsts->count; i++)
		if (compare_who(&firsts->rows[kept], &firsts->rows[i]) != 0)
			firsts->rows[++kept] = firsts->rows[i];
	firsts->count = kept + 1;
	qsort(firsts->rows, firsts->count, sizeof(*firsts->rows), compare_by_time);
}

enum td_error watch_firsts_load(
	struct cli *cli, struct fleet *fleet, int64_t since_ms, struct watch_firsts *out)
{
	size_t each = EVENTS_ALL / (fleet->count + 1);
	struct first_search search = {.cli = cli, .since_ms = since_ms, .out = out};

	*out = (struct watch_firsts){.count = 0};
	search.all = each < 2 * SCHEMA_STREAM_MAX ? each : 2 * SCHEMA_STREAM_MAX;
	search.few = search.all < EVENTS_FEW ? search.all : EVENTS_FEW;
	enum td_error error = fleet_each(fleet, add_firsts, &search);
	if (error == TD_OK)
		unite(out);
	return error;
}

/* --- what is known of them --- */

struct known_search {
	struct cli *cli;
	struct watch_client *rows;
	size_t count;
};

static void take_known(struct watch_client *row, const struct reader_client_row *known)
{
	row->name = known->name && *known->name ? known->name : row->name;
	if (known->told_ms <= 0)
		return;
	if (!row->told_ms || known->told_ms < row->told_ms)
		row->told_ms = known->told_ms;
	if (known->told_last_ms < row->told_last_ms)
		return;
	row->told_last_ms = known->told_last_ms;
	row->server = known->told_server;
}

static enum td_error know_clients(void *context, struct fleet_member *member)
{
	struct known_search *search = context;
	struct arena *arena = &search->cli->arena;
	struct reader_client_row *known = arena_alloc(arena, (search->count + 1) * sizeof(*known));

	if (!known)
		return TD_NOMEM;
	for (size_t i = 0; i < search->count; i++)
		known[i] = (struct reader_client_row){.client = search->rows[i].client};
	enum td_error error = reader_client_rows(member->reader, arena, known, search->count);
	for (size_t i = 0; i < search->count && error == TD_OK; i++)
		take_known(&search->rows[i], &known[i]);
	return error;
}

enum td_error watch_know_clients(
	struct cli *cli, struct fleet *fleet, struct watch_client *rows, size_t count)
{
	struct known_search search = {cli, rows, count};

	return count ? fleet_each(fleet, know_clients, &search) : TD_OK;
}

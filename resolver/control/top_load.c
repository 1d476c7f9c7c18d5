/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tables of `teredown top`: a function a view. Printed once, a table is the first rows of a
 * ranking that Redis keeps; on a screen all clients are read and kept (client_table.h), since
 * people sort by any column and search, and what is not among the first rows should be found as
 * well.
 */
#include "resolver/control/top_load.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/control/client_table.h"
#include "resolver/control/clock.h"
#include "resolver/control/rule_hits.h"
#include "resolver/control/told_teredo.h"
#include "resolver/telemetry/redis/schema.h"

static const struct {
	const char *name, *title;
} views[] = {
	[TOP_CLIENTS] = {"clients", "Clients by queries"},
	[TOP_NAMES] = {"names", "Names by queries"},
	[TOP_WATCHED] = {"watched", "Clients by hits of watched and blocked zones"},
	[TOP_RULES] = {"rules", "Rules of watched and blocked zones by hits"},
	[TOP_CLIENT] = {"client", "Names asked by"},
	[TOP_NAME] = {"name", "Clients that asked"},
};

enum top_view top_view_from_text(const char *text)
{
	for (int view = 0; view < TOP_RANKINGS; view++)
		if (strcmp(views[view].name, text) == 0)
			return (enum top_view)view;
	return TOP_NOTHING;
}

const char *top_view_name(enum top_view view)
{
	return views[view].name;
}

const char *top_view_title(enum top_view view)
{
	return views[view].title;
}

/* --- making a table --- */

static bool is_other(const char *member)
{
	return strcmp(member, SCHEMA_OTHER) == 0;
}

/* Leads to what is known of this client or name, unless a bound took which one it is. */
static void row_opens(struct top_row *row, enum top_view view, const char *of)
{
	if (!is_other(of)) {
		row->opens = view;
		row->of = of;
	}
}

/* What was written, in the arena; NULL: out of memory. */
static const char *keep_text(struct cli *cli, struct strbuf *text)
{
	const char *copy = "";

	if (text->failed)
		copy = NULL;
	else if (text->length)
		copy = arena_copy(&cli->arena, text->data, text->length + 1);
	strbuf_deinit(text);
	return copy;
}

/* --- clients --- */

/* Its name, whether it looks like a forwarder, and since when it knows a Teredo server: never in
 * place of the client. */
static const char *client_words(struct cli *cli, const struct reader_client_row *client)
{
	const struct told_teredo told = {
		client->told_ms, client->told_last_ms, client->told_server};
	struct strbuf words;

	strbuf_init(&words);
	strbuf_append_text(&words, client->name ? client->name : "");
	if (client->forwarder)
		strbuf_printf(&words, "%s(looks like a forwarder)", words.length ? " " : "");
	told_teredo_words(&told, words.length ? " (" : "(", ")", &words);
	return keep_text(cli, &words);
}

static const char *client_json(struct cli *cli, const struct reader_client_row *client)
{
	const struct told_teredo told = {
		client->told_ms, client->told_last_ms, client->told_server};
	struct strbuf json;

	strbuf_init(&json);
	if (client->name)
		strbuf_json_text(&json, "name", client->name);
	if (client->forwarder)
		strbuf_json_text(&json, "forwarder", client->forwarder);
	told_teredo_json(&told, &json);
	return keep_text(cli, &json);
}

/* In the order of the columns of client_table.h, so that a column here is one there. */
static const enum client_column client_sorts[] = {CLIENT_BY_CLIENT, CLIENT_BY_QUERIES,
	CLIENT_BY_WATCHED, CLIENT_BY_BLOCKED, CLIENT_BY_NXDOMAIN, CLIENT_BY_CACHED, CLIENT_BY_LAST,
	CLIENT_BY_NAME};
#define CLIENT_COLUMNS (sizeof(client_sorts) / sizeof(client_sorts[0]))
#define CLIENT_QUERIES_COLUMN 1

static enum td_error fill_clients(struct cli *cli, struct top_table *table,
	const struct reader_client_row *clients, size_t count)
{
	if (!top_table_init(table, &cli->arena, count))
		return TD_NOMEM;
	top_table_column(table, "CLIENT", "client", TOP_TEXT);
	top_table_column(table, "QUERIES", "queries", TOP_NUMBER);
	top_table_column(table, "WATCHED", "watched", TOP_NUMBER);
	top_table_column(table, "BLOCKED", "blocked", TOP_NUMBER);
	top_table_column(table, "NXDOMAIN", "nxdomain", TOP_NUMBER);
	top_table_column(table, "CACHED", "cached", TOP_NUMBER);
	top_table_column(table, "LAST SEEN", "last", TOP_TIME);
	top_table_column(table, "NAME", NULL, TOP_TEXT);
	for (size_t i = 0; i < count; i++) {
		const struct reader_client_row *client = &clients[i];
		struct top_row *row = &table->rows[i];
		const char *words = client_words(cli, client);
		row->json = client_json(cli, client);
		if (!words || !row->json)
			return TD_NOMEM;
		const struct top_cell cells[CLIENT_COLUMNS] = {top_cell_text(client->client),
			top_cell_number(client->queries), top_cell_number(client->watched),
			top_cell_number(client->blocked), top_cell_number(client->nxdomain),
			top_cell_number(client->cached), top_cell_time(client->last_ms),
			top_cell_text(words)};
		memcpy(row->cells, cells, sizeof(cells));
		row_opens(row, TOP_CLIENT, client->client);
	}
	return TD_OK;
}

static void client_of_fields(const struct reader_fields *fields, struct reader_client_row *client)
{
	const struct told_teredo told = told_teredo_of(fields);

	*client = (struct reader_client_row){
		.client = client->client,
		.queries = (uint64_t)reader_field_i64(fields, "queries", 0),
		.watched = (uint64_t)reader_field_i64(fields, "watched", 0),
		.blocked = (uint64_t)reader_field_i64(fields, "blocked", 0),
		.cached = (uint64_t)reader_field_i64(fields, "cached", 0),
		.nxdomain = (uint64_t)reader_field_i64(fields, "nxdomain", 0),
		.last_ms = reader_field_i64(fields, "last_seen", 0),
		.told_ms = told.since_ms,
		.told_last_ms = told.last_ms,
		.told_server = told.server,
		.name = reader_field_text(fields, "name"),
		.forwarder = reader_field_text(fields, "forwarder"),
	};
}

static enum td_error load_first_clients(
	struct cli *cli, struct fleet *fleet, const struct top_wish *wish, struct top_table *table)
{
	struct reader_ranks ranks;
	bool exact;
	enum td_error error = fleet_ranks(
		fleet, &cli->arena, READER_CLIENTS, "queries", wish->limit, &ranks, &exact);

	if (error != TD_OK)
		return error;
	struct reader_client_row *clients =
		arena_alloc(&cli->arena, (ranks.count + 1) * sizeof(*clients));
	if (!clients)
		return TD_NOMEM;
	for (size_t i = 0; i < ranks.count && error == TD_OK; i++) {
		struct reader_fields fields;
		clients[i].client = ranks.rows[i].member;
		error = fleet_client(fleet, &cli->arena, clients[i].client, &fields);
		if (error == TD_OK)
			client_of_fields(&fields, &clients[i]);
	}
	if (error == TD_OK)
		error = fill_clients(cli, table, clients, ranks.count);
	table->sorted = CLIENT_QUERIES_COLUMN;
	table->total = ranks.total;
	table->exact = exact;
	return error;
}

static enum td_error load_all_clients(struct cli *cli, struct fleet *fleet,
	struct client_tables *tables, const struct top_wish *wish, struct top_table *table)
{
	size_t column = wish->column < CLIENT_COLUMNS ? wish->column : CLIENT_QUERIES_COLUMN;
	const struct client_query query = {.column = client_sorts[column],
		.ascending = wish->ascending,
		.search = wish->search,
		.limit = wish->limit};
	struct client_page page;
	enum td_error error = client_table_page(
		tables, fleet, &query, clock_mono_ms(), cli->now_ms, &cli->arena, &page);

	if (error == TD_OK)
		error = page.failed ? TD_IO : fill_clients(cli, table, page.rows, page.count);
	if (error != TD_OK)
		return error;
	table->total = page.total;
	table->matching = page.matching;
	table->sorted = column;
	table->ascending = wish->ascending;
	table->whole = true;
	table->exact = page.beyond == 0;
	return TD_OK;
}

static enum td_error load_clients(struct cli *cli, struct fleet *fleet,
	struct client_tables *tables, const struct top_wish *wish, struct top_table *table)
{
	return tables ? load_all_clients(cli, fleet, tables, wish, table)
		      : load_first_clients(cli, fleet, wish, table);
}

/* --- names --- */

static void day_text(const struct cli *cli, size_t days_ago, char out[16])
{
	time_t then = (time_t)(cli->now_ms / 1000) - (time_t)days_ago * 86400;
	struct tm parts;

	gmtime_r(&then, &parts);
	strftime(out, 16, "%Y%m%d", &parts);
}

static enum td_error append_ranks(
	struct cli *cli, struct reader_ranks *all, const struct reader_ranks *more)
{
	struct reader_rank *rows =
		arena_alloc(&cli->arena, (all->count + more->count + 1) * sizeof(*rows));

	if (!rows)
		return TD_NOMEM;
	if (all->count)
		memcpy(rows, all->rows, all->count * sizeof(*rows));
	if (more->count)
		memcpy(rows + all->count, more->rows, more->count * sizeof(*rows));
	all->rows = rows;
	all->count += more->count;
	all->total = more->total > all->total ? more->total : all->total;
	return TD_OK;
}

/* Of several days the whole list of each is read, so that the sums are right below the first rows
 * too. */
static enum td_error rank_names(struct cli *cli, struct fleet *fleet, const struct top_wish *wish,
	struct reader_ranks *all, bool *exact)
{
	size_t limit = wish->days == 1 ? wish->limit : READER_ROWS_MAX;
	enum td_error error = TD_OK;

	*all = (struct reader_ranks){NULL, 0, 0};
	for (size_t d = 0; d < wish->days && error == TD_OK; d++) {
		struct reader_ranks day;
		bool day_exact;
		char date[16];
		day_text(cli, d, date);
		error = fleet_ranks(
			fleet, &cli->arena, READER_DAY_NAMES, date, limit, &day, &day_exact);
		*exact = *exact && day_exact;
		if (error == TD_OK)
			error = append_ranks(cli, all, &day);
	}
	if (error != TD_OK)
		return error;
	if (wish->days > 1)
		fleet_merge_ranks(all, false);
	if (all->count > wish->limit)
		all->count = wish->limit;
	return TD_OK;
}

/* The most that each can have been asked. */
static enum td_error most_of_names(struct cli *cli, struct fleet *fleet,
	const struct top_wish *wish, const struct reader_ranks *names, struct reader_rank **out)
{
	struct reader_rank *most = arena_alloc(&cli->arena, (names->count + 1) * sizeof(*most));
	enum td_error error = TD_OK;

	if (!most)
		return TD_NOMEM;
	for (size_t i = 0; i < names->count; i++)
		most[i] = (struct reader_rank){names->rows[i].member, 0};
	for (size_t d = 0; d < wish->days && error == TD_OK && names->count; d++) {
		char date[16];
		day_text(cli, d, date);
		error = fleet_at_most(fleet, READER_DAY_NAMES, date, most, names->count);
	}
	*out = most;
	return error;
}

/* The list of a day is bounded; where it lost something of a name, that is said. "*other" is what
 * has no name, and certain. */
static bool is_doubtful(const struct reader_rank *row, const struct reader_rank *most)
{
	return !is_other(row->member) && most->value > row->value;
}

static enum td_error load_names(struct cli *cli, struct fleet *fleet, struct client_tables *tables,
	const struct top_wish *wish, struct top_table *table)
{
	struct reader_ranks names;
	struct reader_rank *most;
	bool doubtful = false, exact = true;
	enum td_error error = rank_names(cli, fleet, wish, &names, &exact);

	(void)tables;
	if (error == TD_OK)
		error = most_of_names(cli, fleet, wish, &names, &most);
	if (error == TD_OK && !top_table_init(table, &cli->arena, names.count))
		error = TD_NOMEM;
	if (error != TD_OK)
		return error;
	for (size_t i = 0; i < names.count; i++)
		doubtful = doubtful || is_doubtful(&names.rows[i], &most[i]);
	top_table_column(table, "QUERIES", "queries", TOP_NUMBER);
	if (doubtful)
		top_table_column(table, "AT MOST", "at_most", TOP_NUMBER);
	top_table_column(table, "NAME", "name", TOP_TEXT);
	for (size_t i = 0; i < names.count; i++) {
		struct top_row *row = &table->rows[i];
		row->cells[0] = top_cell_number((uint64_t)names.rows[i].value);
		row->cells[1] = top_cell_number((uint64_t)most[i].value);
		row->cells[1].empty = !is_doubtful(&names.rows[i], &most[i]);
		row->cells[table->column_count - 1] = top_cell_text(names.rows[i].member);
		row_opens(row, TOP_NAME, names.rows[i].member);
	}
	table->total = names.total;
	table->exact = exact;
	return TD_OK;
}

/* --- watched --- */

struct watched_row {
	const char *zone;
	struct fleet_hit hit;
};

static int compare_watched(const void *left, const void *right)
{
	const struct watched_row *a = left, *b = right;

	if (a->hit.hits != b->hit.hits)
		return a->hit.hits < b->hit.hits ? 1 : -1;
	int order = strcmp(a->hit.client, b->hit.client);
	return order ? order : strcmp(a->zone, b->zone);
}

/* The zones are those of our own configuration: Redis has no list of them. */
static enum td_error load_hits(
	struct cli *cli, struct fleet *fleet, size_t limit, struct watched_row **out, size_t *count)
{
	size_t zones = cli->options->zone_count;
	struct watched_row *rows = arena_alloc(&cli->arena, (zones * limit + 1) * sizeof(*rows));
	enum td_error error = rows ? TD_OK : TD_NOMEM;

	*count = 0;
	for (size_t z = 0; z < zones && error == TD_OK; z++) {
		const char *zone = cli->options->zones[z].name;
		struct fleet_hits hits;
		error = fleet_zone_hits(fleet, &cli->arena, zone, limit, &hits);
		for (size_t i = 0; error == TD_OK && i < hits.count; i++)
			rows[(*count)++] = (struct watched_row){zone, hits.rows[i]};
	}
	if (error == TD_OK && *count)
		qsort(rows, *count, sizeof(*rows), compare_watched);
	*out = rows;
	return error;
}

static enum td_error load_watched(struct cli *cli, struct fleet *fleet,
	struct client_tables *tables, const struct top_wish *wish, struct top_table *table)
{
	struct watched_row *hits;
	size_t count;
	enum td_error error = load_hits(cli, fleet, wish->limit, &hits, &count);

	(void)tables;
	if (error == TD_OK &&
		!top_table_init(table, &cli->arena, count < wish->limit ? count : wish->limit))
		error = TD_NOMEM;
	if (error != TD_OK)
		return error;
	top_table_column(table, "CLIENT", "client", TOP_TEXT);
	top_table_column(table, "ZONE", "zone", TOP_TEXT);
	top_table_column(table, "HITS", "hits", TOP_NUMBER);
	top_table_column(table, "LAST HIT", "last", TOP_TIME);
	for (size_t i = 0; i < table->count; i++) {
		const struct fleet_hit *hit = &hits[i].hit;
		struct top_row *row = &table->rows[i];
		row->cells[0] = top_cell_text(hit->client);
		row->cells[1] = top_cell_text(hits[i].zone);
		row->cells[2] = top_cell_number(hit->hits);
		row->cells[3] = top_cell_time(hit->last_ms);
		row_opens(row, TOP_CLIENT, hit->client);
	}
	table->sorted = 2;
	table->total = count;
	return TD_OK;
}

/* --- rules --- */

static enum td_error load_rules(struct cli *cli, struct fleet *fleet, struct client_tables *tables,
	const struct top_wish *wish, struct top_table *table)
{
	struct rule_hits hits;
	enum td_error error = rule_hits_load(cli, fleet, NULL, wish->limit, &hits);

	(void)tables;
	return error == TD_OK ? rule_hits_table(cli, &hits, table) : error;
}

/* --- what a row leads to --- */

static enum td_error fill_ranks(struct cli *cli, struct top_table *table, const char *header,
	const char *key, enum top_view opens, const struct reader_ranks *ranks)
{
	if (!top_table_init(table, &cli->arena, ranks->count))
		return TD_NOMEM;
	top_table_column(table, "QUERIES", "queries", TOP_NUMBER);
	top_table_column(table, header, key, TOP_TEXT);
	for (size_t i = 0; i < ranks->count; i++) {
		struct top_row *row = &table->rows[i];
		row->cells[0] = top_cell_number((uint64_t)ranks->rows[i].value);
		row->cells[1] = top_cell_text(ranks->rows[i].member);
		row_opens(row, opens, ranks->rows[i].member);
	}
	table->total = ranks->total;
	return TD_OK;
}

/* Its figures, since when it is known, and the zones it hit. */
static enum td_error note_client(
	struct cli *cli, struct fleet *fleet, const char *client, struct strbuf *notes)
{
	struct reader_fields fields;
	struct reader_client_row row = {.client = client};
	enum td_error error = fleet_client(fleet, &cli->arena, client, &fields);

	if (error != TD_OK)
		return error;
	client_of_fields(&fields, &row);
	const char *words = client_words(cli, &row);
	output_text(notes, words ? words : "");
	strbuf_printf(notes, "%s%llu queries, %llu watched, %llu blocked; ",
		words && *words ? ": " : "", (unsigned long long)row.queries,
		(unsigned long long)row.watched, (unsigned long long)row.blocked);
	strbuf_append_text(notes, "first seen ");
	output_time(notes, reader_field_i64(&fields, "first_seen", 0));
	strbuf_append_text(notes, ", last ");
	output_time(notes, row.last_ms);
	strbuf_append_char(notes, '\n');
	for (size_t z = 0; z < cli->options->zone_count && error == TD_OK; z++) {
		struct fleet_hit hit;
		error = fleet_client_hits(
			fleet, &cli->arena, cli->options->zones[z].name, client, &hit);
		if (error != TD_OK || !hit.hits)
			continue;
		strbuf_printf(notes, "%s: %llu hits, the last ", cli->options->zones[z].name,
			(unsigned long long)hit.hits);
		output_time(notes, hit.last_ms);
		strbuf_append_char(notes, '\n');
	}
	return error;
}

#define NOTE_ADDRESSES 8

static enum td_error note_name(
	struct cli *cli, struct fleet *fleet, const char *name, struct strbuf *notes)
{
	struct reader_ranks addresses;
	enum td_error error = fleet_ranks(
		fleet, &cli->arena, READER_NAME_ADDRESSES, name, NOTE_ADDRESSES, &addresses, NULL);

	if (error != TD_OK)
		return error;
	strbuf_append_text(notes, addresses.count ? "It led to " : "It led to no address");
	for (size_t i = 0; i < addresses.count; i++) {
		strbuf_append_text(notes, i ? ", " : "");
		output_text(notes, addresses.rows[i].member);
		strbuf_append_text(notes, " (");
		output_time(notes, addresses.rows[i].value);
		strbuf_append_char(notes, ')');
	}
	strbuf_append_text(notes, addresses.total > addresses.count ? " and others\n" : "\n");
	return TD_OK;
}

static enum td_error load_one(struct cli *cli, struct fleet *fleet, struct client_tables *tables,
	const struct top_wish *wish, struct top_table *table)
{
	bool client = wish->view == TOP_CLIENT, exact;
	struct reader_ranks ranks;
	struct strbuf words;

	(void)tables;
	strbuf_init(&words);
	enum td_error error = client ? note_client(cli, fleet, wish->of, &words)
				     : note_name(cli, fleet, wish->of, &words);
	const char *notes = keep_text(cli, &words);
	if (error == TD_OK && !notes)
		error = TD_NOMEM;
	if (error == TD_OK)
		error = fleet_ranks(fleet, &cli->arena,
			client ? READER_CLIENT_NAMES : READER_NAME_CLIENTS, wish->of, wish->limit,
			&ranks, &exact);
	if (error == TD_OK)
		error = client ? fill_ranks(cli, table, "NAME", "name", TOP_NAME, &ranks)
			       : fill_ranks(cli, table, "CLIENT", "client", TOP_CLIENT, &ranks);
	if (error != TD_OK)
		return error;
	table->notes = notes;
	table->exact = exact;
	return TD_OK;
}

enum td_error top_load(struct cli *cli, struct fleet *fleet, struct client_tables *tables,
	const struct top_wish *wish, struct top_table *out)
{
	static enum td_error (*const loaders[])(struct cli *, struct fleet *,
		struct client_tables *, const struct top_wish *, struct top_table *) = {
		[TOP_CLIENTS] = load_clients,
		[TOP_NAMES] = load_names,
		[TOP_WATCHED] = load_watched,
		[TOP_RULES] = load_rules,
		[TOP_CLIENT] = load_one,
		[TOP_NAME] = load_one,
	};

	enum td_error error = loaders[wish->view](cli, fleet, tables, wish, out);
	if (error == TD_OK && !out->whole)
		out->matching = out->total;
	return error;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Redis has three orders of clients (queries, watched, blocked) and people sort by eight, so all
 * clients are kept here. What has changed is told by the last-seen times of `clients`, of which
 * only the newest are read; whether that was all is told by a sum: the queries of all clients
 * together are those of the resolver. Counts that come late, for clients that were seen long ago,
 * do not escape that, nor does who was forgotten.
 *
 * Reading every client each time was rejected (10,000 of them are 60 ms of Redis), as was a sorted
 * set for each column, which every batch would have to write.
 */
#include "resolver/control/client_table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/client_set.h"
#include "resolver/control/clock.h"
#include "resolver/telemetry/redis/schema.h"

#define NAME_MAX_SIZE 256
#define OVERLAP_MS                                                                     \
	15000 /* what is read again: last-seen times come out of order by some seconds \
	       */
#define FULL_EVERY_MS 300000 /* names come without a query */
#define FULL_COST 20         /* a complete reading is to take no more than this part of the time */

/* What was seen of a resolver when it was read last. */
struct source {
	char resolver[NAME_MAX_SIZE];
	struct reader_clients_mark mark;
	int64_t newest_ms;
};

struct client_table {
	char name[NAME_MAX_SIZE];
	struct client_set set; /* changed by who has `reading`, under the lock */
	bool loaded, reading, failed;
	unsigned users;                            /* who may not lose it */
	uint64_t used;                             /* when last, in calls */
	int64_t checked_ms, full_ms, full_took_ms; /* monotonic */
	int64_t as_of_ms;
	uint64_t beyond; /* rows that the last complete reading had no room for */
	/* Of who has `reading`, without the lock: */
	bool doubtful; /* the sums do not fit */
	struct source *sources;
	size_t source_count;
};

struct client_tables {
	pthread_mutex_t mutex; /* guards the rest, but for what `reading` guards */
	pthread_cond_t done;   /* somebody has read */
	struct hash_seed seed;
	size_t most;
	uint64_t calls;
	struct client_table *tables[CLIENT_TABLES_MAX];
};

bool client_column_from_text(const char *text, enum client_column *out)
{
	static const char *const words[CLIENT_COLUMN_COUNT] = {
		"queries", "watched", "blocked", "cached", "nxdomain", "last", "client", "name"};

	for (int c = 0; c < CLIENT_COLUMN_COUNT; c++)
		if (strcmp(text, words[c]) == 0) {
			*out = (enum client_column)c;
			return true;
		}
	return false;
}

const char *client_table_name(const struct fleet *fleet)
{
	return fleet->whole ? "*" : fleet->members[0].resolver;
}

/* --- tables --- */

struct client_tables *client_tables_new(struct hash_seed seed, size_t most)
{
	struct client_tables *tables = calloc(1, sizeof(*tables));

	if (!tables)
		return NULL;
	tables->seed = seed;
	tables->most = most + 1; /* and "*other" */
	pthread_mutex_init(&tables->mutex, NULL);
	pthread_cond_init(&tables->done, NULL);
	return tables;
}

static void table_end(struct client_table **table)
{
	if (!*table)
		return;
	client_set_deinit(&(*table)->set);
	free((*table)->sources);
	free(*table);
	*table = NULL;
}

void client_tables_free(struct client_tables **tables)
{
	if (!*tables)
		return;
	for (size_t i = 0; i < CLIENT_TABLES_MAX; i++)
		table_end(&(*tables)->tables[i]);
	pthread_cond_destroy(&(*tables)->done);
	pthread_mutex_destroy(&(*tables)->mutex);
	free(*tables);
	*tables = NULL;
}

static struct client_table *find_table(struct client_tables *tables, const char *name)
{
	for (size_t i = 0; i < CLIENT_TABLES_MAX; i++)
		if (tables->tables[i] && strcmp(tables->tables[i]->name, name) == 0)
			return tables->tables[i];
	return NULL;
}

/* A free place, or that of what was used least recently. NULL: all are in use. */
static struct client_table **place_for_table(struct client_tables *tables)
{
	struct client_table **place = NULL;

	for (size_t i = 0; i < CLIENT_TABLES_MAX; i++) {
		struct client_table **one = &tables->tables[i];
		if (!*one)
			return one;
		if ((*one)->users == 0 && (!place || (*one)->used < (*place)->used))
			place = one;
	}
	return place;
}

static struct client_table *take_table(struct client_tables *tables, const char *name)
{
	struct client_table *table = find_table(tables, name);

	if (!table) {
		struct client_table **place = place_for_table(tables);
		if (!place || strlen(name) >= NAME_MAX_SIZE)
			return NULL;
		table_end(place);
		*place = table = calloc(1, sizeof(*table));
		if (!table)
			return NULL;
		memcpy(table->name, name, strlen(name) + 1);
		client_set_init(&table->set, tables->seed, tables->most);
	}
	table->used = ++tables->calls;
	table->users++;
	return table;
}

/* --- reading --- */

struct gathering {
	struct fleet *fleet;
	struct client_table *table;
	struct client_set rows; /* who is read */
	struct source *sources; /* one a member */
	bool full;
	bool may_be_full;                    /* there is time for it */
	bool gone;                           /* somebody was folded into "*other", or forgotten */
	int64_t queries_least, queries_most; /* what the sum may be */
	uint64_t clients_least, clients_most;
	uint64_t beyond; /* clients that were not even listed */
};

static const struct source *source_before(const struct client_table *table, const char *resolver)
{
	for (size_t i = 0; i < table->source_count; i++)
		if (strcmp(table->sources[i].resolver, resolver) == 0)
			return &table->sources[i];
	return NULL;
}

static enum td_error ignore_full(enum td_error error)
{
	return error == TD_FULL ? TD_OK : error;
}

static enum td_error sum_rows(struct gathering *gathering, struct fleet_member *member,
	struct arena *arena, struct reader_client_row *rows, size_t count)
{
	enum td_error error = reader_client_rows(member->reader, arena, rows, count);

	for (size_t i = 0; i < count && error == TD_OK; i++)
		error = ignore_full(client_set_sum(&gathering->rows, &rows[i]));
	return error;
}

/* Those that a resolver lists, and its "*other"; once each. */
static enum td_error read_listed(struct gathering *gathering, struct fleet_member *member,
	struct arena *arena, const struct reader_ranks *seen)
{
	struct reader_client_row *rows = arena_alloc(arena, (seen->count + 1) * sizeof(*rows));
	struct client_set once;
	enum td_error error = TD_OK;
	size_t count = 0;

	if (!rows)
		return TD_NOMEM;
	client_set_init(&once, gathering->rows.seed, seen->count + 1);
	for (size_t i = 0; i < seen->count && error == TD_OK; i++) {
		if (strcmp(seen->rows[i].member, SCHEMA_OTHER) == 0 ||
			client_set_find(&once, seen->rows[i].member))
			continue;
		error = client_set_add(&once, seen->rows[i].member);
		rows[count++].client = seen->rows[i].member;
	}
	if (seen->count == READER_ROWS_MAX && seen->total > count)
		gathering->beyond += seen->total - count;
	rows[count++].client = SCHEMA_OTHER;
	if (error == TD_OK)
		error = sum_rows(gathering, member, arena, rows, count);
	client_set_deinit(&once);
	return error;
}

static enum td_error add_seen(struct gathering *gathering, const struct reader_ranks *seen)
{
	enum td_error error = ignore_full(client_set_add(&gathering->rows, SCHEMA_OTHER));

	for (size_t i = 0; i < seen->count && error == TD_OK; i++)
		error = ignore_full(client_set_add(&gathering->rows, seen->rows[i].member));
	return error;
}

static bool is_gone(const struct reader_clients_mark *before, const struct reader_clients_mark *now)
{
	return now->clients < before->clients || now->other != before->other;
}

/* Whom this resolver has seen since, and of a complete reading their rows too. */
static enum td_error list_member(void *context, struct fleet_member *member)
{
	struct gathering *gathering = context;
	struct source *source = &gathering->sources[member - gathering->fleet->members];
	const struct source *before = source_before(gathering->table, member->resolver);
	struct reader_ranks seen;
	struct arena arena;
	enum td_error error = reader_clients_mark(member->reader, &source->mark);

	if (error != TD_OK || strlen(member->resolver) >= NAME_MAX_SIZE)
		return error;
	memcpy(source->resolver, member->resolver, strlen(member->resolver) + 1);
	if (!gathering->full)
		gathering->gone = gathering->gone || is_gone(&before->mark, &source->mark);
	if (!gathering->full && memcmp(&before->mark, &source->mark, sizeof(source->mark)) == 0) {
		source->newest_ms = before->newest_ms;
		return TD_OK;
	}
	arena_init(&arena);
	error = reader_clients_seen(member->reader, &arena,
		gathering->full ? 0 : before->newest_ms - OVERLAP_MS, READER_ROWS_MAX, &seen);
	if (error == TD_OK)
		source->newest_ms = seen.count ? seen.rows[0].value : 0;
	if (error == TD_OK)
		error = gathering->full ? read_listed(gathering, member, &arena, &seen)
					: add_seen(gathering, &seen);
	arena_deinit(&arena);
	return error;
}

/* Of those that have changed somewhere, what this resolver has. */
static enum td_error read_member(void *context, struct fleet_member *member)
{
	struct gathering *gathering = context;
	size_t count = 0, at = 0;
	struct arena arena;

	arena_init(&arena);
	struct reader_client_row *rows =
		arena_alloc(&arena, (gathering->rows.by_client.count + 1) * sizeof(*rows));
	struct client_entry *entry;
	while (rows && (entry = table_next(&gathering->rows.by_client, &at)) != NULL)
		rows[count++].client = entry->client;
	enum td_error error = rows ? sum_rows(gathering, member, &arena, rows, count) : TD_NOMEM;
	arena_deinit(&arena);
	return error;
}

/* What the sums were before and after, between which they have to be now. */
static enum td_error weigh_member(void *context, struct fleet_member *member)
{
	struct gathering *gathering = context;
	const struct source *source = &gathering->sources[member - gathering->fleet->members];
	struct reader_clients_mark after;
	enum td_error error = reader_clients_mark(member->reader, &after);
	uint64_t low = source->mark.clients, high = after.clients;

	gathering->queries_least += (int64_t)source->mark.queries;
	gathering->queries_most += (int64_t)after.queries;
	gathering->clients_least += low < high ? low : high;
	gathering->clients_most += low < high ? high : low;
	return error;
}

/* Once through. *again: a resolver went away in the middle, and what it had said is in the sums; or
 * a client is gone, and who it was does not show in what has changed. */
static enum td_error gather_once(struct gathering *gathering, bool *again)
{
	struct fleet *fleet = gathering->fleet;
	size_t missing = fleet_missing(fleet);

	gathering->gone = false;
	enum td_error error = fleet_each(fleet, list_member, gathering);
	*again = error == TD_OK && gathering->gone && !gathering->full && gathering->may_be_full;
	if (*again)
		return TD_OK;

	if (error == TD_OK && !gathering->full)
		error = fleet_each(fleet, read_member, gathering);
	if (error == TD_OK)
		error = fleet_each(fleet, weigh_member, gathering);
	*again = error == TD_OK && fleet_missing(fleet) != missing;
	return error;
}

static enum td_error gather(struct gathering *gathering)
{
	enum td_error error;
	bool again;

	do {
		client_set_deinit(&gathering->rows);
		memset(gathering->sources, 0,
			(gathering->fleet->count + 1) * sizeof(*gathering->sources));
		gathering->queries_least = gathering->queries_most = 0;
		gathering->clients_least = gathering->clients_most = 0;
		gathering->beyond = 0;
		error = gather_once(gathering, &again);
		gathering->full = gathering->full || again;
	} while (again);
	return error;
}

/* Other resolvers than the last time, or more of them. */
static bool has_other_sources(const struct client_table *table, const struct fleet *fleet)
{
	size_t readable = 0;

	for (size_t i = 0; i < fleet->count; i++) {
		if (!fleet->members[i].reader)
			continue;
		readable++;
		if (!source_before(table, fleet->members[i].resolver))
			return true;
	}
	for (size_t i = 0; i < table->source_count; i++)
		readable -= table->sources[i].resolver[0] != '\0';
	return readable != 0;
}

static bool may_be_full(const struct client_table *table, int64_t mono_ms)
{
	return mono_ms - table->full_ms >= FULL_COST * table->full_took_ms;
}

static bool is_full_due(
	const struct client_table *table, const struct fleet *fleet, int64_t mono_ms)
{
	return !table->loaded || has_other_sources(table, fleet) ||
	       mono_ms - table->full_ms >= FULL_EVERY_MS ||
	       (table->doubtful && may_be_full(table, mono_ms));
}

/* The sums are told by each resolver, so those of a fleet say nothing of how many clients it has.
 */
static bool is_doubtful(const struct gathering *gathering, const struct client_set *set)
{
	int64_t queries = (int64_t)client_set_queries(set);
	uint64_t clients = set->by_client.count - (client_set_find(set, SCHEMA_OTHER) != NULL);

	if (queries < gathering->queries_least || queries > gathering->queries_most)
		return true;
	return !gathering->fleet->whole &&
	       (clients < gathering->clients_least || clients > gathering->clients_most);
}

/* All rows are exchanged at once, some of them under the lock too, which then takes microseconds.
 */
static enum td_error put_rows(struct client_tables *tables, struct gathering *gathering)
{
	struct client_table *table = gathering->table;
	struct client_set whole, before;
	uint64_t beyond = gathering->beyond + gathering->rows.by_client.dropped;
	enum td_error error = TD_OK;

	client_set_init(&whole, tables->seed, tables->most);
	if (gathering->full)
		error = client_set_move(&whole, &gathering->rows);
	pthread_mutex_lock(&tables->mutex);
	before = table->set;
	if (gathering->full && error == TD_OK) {
		table->beyond = beyond;
		table->set = whole;
		whole = before;
	} else if (error == TD_OK) {
		error = client_set_move(&table->set, &gathering->rows);
	}
	pthread_mutex_unlock(&tables->mutex);
	client_set_deinit(&whole);
	return error;
}

/* By who has `reading`, without the lock. */
static enum td_error read_table(struct client_tables *tables, struct client_table *table,
	struct fleet *fleet, int64_t mono_ms)
{
	struct gathering gathering = {.fleet = fleet, .table = table};
	int64_t began_ms = clock_mono_ms();

	gathering.full = is_full_due(table, fleet, mono_ms);
	gathering.may_be_full = may_be_full(table, mono_ms);
	gathering.sources = calloc(fleet->count + 1, sizeof(*gathering.sources));
	client_set_init(&gathering.rows, tables->seed, tables->most);
	enum td_error error = gathering.sources ? gather(&gathering) : TD_NOMEM;
	if (error == TD_OK)
		error = put_rows(tables, &gathering);
	client_set_deinit(&gathering.rows);
	if (error != TD_OK) {
		free(gathering.sources);
		return error;
	}
	free(table->sources);
	table->sources = gathering.sources;
	table->source_count = fleet->count;
	table->doubtful = is_doubtful(&gathering, &table->set);
	if (gathering.full) {
		table->full_ms = mono_ms;
		table->full_took_ms = clock_mono_ms() - began_ms + 1;
	}
	return TD_OK;
}

/* With the lock, which is given up meanwhile. Waits for somebody else's reading only where there is
 * nothing to be shown yet. */
static enum td_error refresh(struct client_tables *tables, struct client_table *table,
	struct fleet *fleet, int64_t fresh_ms, int64_t mono_ms, int64_t wall_ms)
{
	while (table->reading && !table->loaded)
		pthread_cond_wait(&tables->done, &tables->mutex);
	if (table->reading || (table->loaded && mono_ms - table->checked_ms < fresh_ms))
		return TD_OK;
	table->reading = true;
	pthread_mutex_unlock(&tables->mutex);
	enum td_error error = read_table(tables, table, fleet, mono_ms);
	pthread_mutex_lock(&tables->mutex);
	table->reading = false;
	table->failed = error != TD_OK;
	table->checked_ms = mono_ms;
	if (error == TD_OK) {
		table->loaded = true;
		table->as_of_ms = wall_ms;
	}
	pthread_cond_broadcast(&tables->done);
	return error;
}

/* --- a page --- */

static bool is_wanted(const struct client_entry *entry, const char *search)
{
	return !*search || strcasestr(entry->client, search) ||
	       (entry->row.name && strcasestr(entry->row.name, search));
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static bool is_other(const struct client_entry *entry)
{
	return strcmp(entry->client, SCHEMA_OTHER) == 0;
}

static int compare_clients(const struct client_entry *a, const struct client_entry *b)
{
	bool ip_a = address_is_ip(&a->address), ip_b = address_is_ip(&b->address);

	if (ip_a && ip_b && a->address.family != b->address.family)
		return a->address.family < b->address.family ? -1 : 1;
	if (ip_a && ip_b)
		return memcmp(a->address.octets, b->address.octets, sizeof(a->address.octets));
	if (ip_a != ip_b)
		return ip_a ? -1 : 1;
	return strcmp(a->client, b->client);
}

static int compare_column(
	const struct client_entry *a, const struct client_entry *b, enum client_column column)
{
	const struct reader_client_row *x = &a->row, *y = &b->row;

	switch (column) {
	case CLIENT_BY_QUERIES:
		return compare_numbers(x->queries, y->queries);
	case CLIENT_BY_WATCHED:
		return compare_numbers(x->watched, y->watched);
	case CLIENT_BY_BLOCKED:
		return compare_numbers(x->blocked, y->blocked);
	case CLIENT_BY_CACHED:
		return compare_numbers(x->cached, y->cached);
	case CLIENT_BY_NXDOMAIN:
		return compare_numbers(x->nxdomain, y->nxdomain);
	case CLIENT_BY_LAST:
		return compare_numbers((uint64_t)x->last_ms, (uint64_t)y->last_ms);
	case CLIENT_BY_NAME:
		return x->name && y->name ? strcasecmp(x->name, y->name) : 0;
	default:
		return compare_clients(a, b);
	}
}

/* Whose place does not depend on the order: 0 before 1. */
static int rank_of(const struct client_entry *entry, enum client_column column)
{
	if (column == CLIENT_BY_NAME)
		return entry->row.name == NULL;
	return column == CLIENT_BY_CLIENT && is_other(entry);
}

static int compare_entries(const void *left, const void *right, void *context)
{
	const struct client_entry *a = *(const struct client_entry *const *)left;
	const struct client_entry *b = *(const struct client_entry *const *)right;
	const struct client_query *query = context;
	int rank = rank_of(a, query->column) - rank_of(b, query->column);

	if (rank)
		return rank;
	int order = compare_column(a, b, query->column);
	if (order)
		return query->ascending ? order : -order;
	return compare_clients(a, b);
}

static bool keep_text(struct arena *arena, const char **text)
{
	if (!*text)
		return true;
	*text = arena_copy(arena, *text, strlen(*text) + 1);
	return *text != NULL;
}

static bool keep_row(
	struct arena *arena, const struct client_entry *entry, struct reader_client_row *row)
{
	*row = entry->row;
	return keep_text(arena, &row->client) && keep_text(arena, &row->name) &&
	       keep_text(arena, &row->forwarder) && keep_text(arena, &row->told_server);
}

/* With the lock. */
static enum td_error cut_page(const struct client_table *table, const struct client_query *query,
	struct arena *arena, struct client_page *out)
{
	const struct table *clients = &table->set.by_client;
	const struct client_entry **found = malloc((clients->count + 1) * sizeof(void *));
	const struct client_entry *entry;
	size_t count = 0, at = 0;

	*out = (struct client_page){.total = clients->count,
		.beyond = table->beyond,
		.as_of_ms = table->as_of_ms,
		.stale = table->failed};
	while (found && (entry = table_next(clients, &at)) != NULL)
		if (is_wanted(entry, query->search))
			found[count++] = entry;
	if (found && count)
		qsort_r(found, count, sizeof(*found), compare_entries, (void *)query);
	out->matching = count;
	size_t first = query->offset < count ? query->offset : count;
	size_t rows = count - first < query->limit ? count - first : query->limit;
	out->rows = arena_alloc(arena, (rows + 1) * sizeof(*out->rows));
	bool good = found && out->rows;
	for (size_t i = 0; i < rows && good; i++) {
		good = keep_row(arena, found[first + i], &out->rows[i]);
		out->count += good;
	}
	free(found);
	return good ? TD_OK : TD_NOMEM;
}

static void give_back(struct client_tables *tables, struct client_table *table)
{
	table->users--;
	pthread_mutex_unlock(&tables->mutex);
}

enum td_error client_table_page(struct client_tables *tables, struct fleet *fleet,
	const struct client_query *query, int64_t mono_ms, int64_t wall_ms, struct arena *arena,
	struct client_page *out)
{
	*out = (struct client_page){.count = 0};
	pthread_mutex_lock(&tables->mutex);
	struct client_table *table = take_table(tables, client_table_name(fleet));
	if (!table) {
		pthread_mutex_unlock(&tables->mutex);
		return TD_NOMEM;
	}
	enum td_error error =
		refresh(tables, table, fleet, CLIENT_TABLE_FRESH_MS, mono_ms, wall_ms);
	bool failed = error != TD_OK;
	if (table->loaded)
		error = cut_page(table, query, arena, out);
	out->failed = failed;
	give_back(tables, table);
	return error;
}

bool client_table_last_page(struct client_tables *tables, const char *name,
	const struct client_query *query, struct arena *arena, struct client_page *out)
{
	pthread_mutex_lock(&tables->mutex);
	struct client_table *table = find_table(tables, name);
	bool good = table && table->loaded && cut_page(table, query, arena, out) == TD_OK;
	pthread_mutex_unlock(&tables->mutex);
	out->stale = true;
	return good;
}

enum td_error client_table_since(struct client_tables *tables, struct fleet *fleet,
	int64_t since_ms, int64_t fresh_ms, int64_t mono_ms, int64_t wall_ms, uint64_t *out)
{
	const struct client_entry *entry;
	size_t at = 0;

	*out = 0;
	pthread_mutex_lock(&tables->mutex);
	struct client_table *table = take_table(tables, client_table_name(fleet));
	if (!table) {
		pthread_mutex_unlock(&tables->mutex);
		return TD_NOMEM;
	}
	enum td_error error = refresh(tables, table, fleet, fresh_ms, mono_ms, wall_ms);
	while ((entry = table_next(&table->set.by_client, &at)) != NULL)
		*out += !is_other(entry) && entry->row.last_ms >= since_ms;
	give_back(tables, table);
	return error;
}

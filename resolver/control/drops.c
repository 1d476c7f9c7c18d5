/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The sets of an hour are bounded, so a destination may have a part of its packets under *other
 * there. Its timeline has no such bound and says how many there were in truth: for the rows that
 * are shown the larger figure counts, and what it adds is taken from *other, so the sum stays the
 * same.
 *
 * Names come from pairs, client by client: a name that led another client to the same address is
 * not behind the drops of this one.
 */
#include "resolver/control/drops.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/redis/reader_imports.h"
#include "resolver/telemetry/redis/schema.h"

#define MEMBERS_MAX 1000000 /* different (client, address, kind); further ones count as others */
#define LOGGED_MAX 10000    /* rows of such a log, of an address and resolver */
#define LOGGED_NAMES_MAX 1000
#define TIMELINES_MIN 100 /* destinations whose timeline is read before they are ranked */

/* One member of the sets, summed over the hours. */
struct part {
	const char *address, *client;
	enum drop_kind kind;
	uint64_t drops;
};

/* --- sums over the hours --- */

struct collect {
	struct drops *drops;
	struct words members;
};

static enum td_error collect_member(void *context, size_t hour, const char *member, uint64_t count)
{
	struct collect *collect = context;
	struct drop_member parsed;
	struct word *word;

	(void)hour;
	if (!drop_member_parse(&parsed, member))
		return TD_OK;
	collect->drops->total += count;
	if (parsed.other) {
		collect->drops->others += count;
		return TD_OK;
	}
	enum td_error error = words_put(&collect->members, member, &word);
	if (error == TD_OK)
		word->count += count;
	if (error != TD_FULL)
		return error;
	collect->drops->others += count;
	collect->drops->cut = true;
	return TD_OK;
}

static int compare_parts(const void *left, const void *right)
{
	const struct part *a = left, *b = right;
	int order = strcmp(a->address, b->address);

	return order ? order : strcmp(a->client, b->client);
}

static const char *keep(struct arena *arena, const char *text)
{
	return arena_copy(arena, text, strlen(text) + 1);
}

/* Members as parts, sorted by destination and client. NULL: out of memory. */
static struct part *parts_of(struct drops *drops, const struct words *members)
{
	struct part *parts = arena_alloc(drops->arena, (members->count + 1) * sizeof(*parts));
	struct drop_member member;

	for (size_t i = 0; parts && i < members->count; i++) {
		drop_member_parse(&member, members->rows[i]->text);
		parts[i] = (struct part){keep(drops->arena, member.address),
			keep(drops->arena, member.client), member.kind, members->rows[i]->count};
		if (!parts[i].address || !parts[i].client)
			return NULL;
	}
	if (parts)
		qsort(parts, members->count, sizeof(*parts), compare_parts);
	return parts;
}

/* --- destinations --- */

static int compare_clients(const void *left, const void *right)
{
	const struct drops_client *a = left, *b = right;

	if (a->drops != b->drops)
		return a->drops < b->drops ? 1 : -1;
	return strcmp(a->client, b->client);
}

static int compare_destinations(const void *left, const void *right)
{
	const struct drops_destination *a = left, *b = right;

	if (a->drops != b->drops)
		return a->drops < b->drops ? 1 : -1;
	return strcmp(a->address, b->address);
}

static void add_part(struct drops_destination *row, const struct part *part)
{
	struct drops_client *last = row->client_count ? &row->clients[row->client_count - 1] : NULL;

	if (!last || strcmp(last->client, part->client) != 0) {
		last = &row->clients[row->client_count++];
		*last = (struct drops_client){.client = part->client};
	}
	last->drops += part->drops;
	row->drops += part->drops;
	row->udp3544 += part->kind == DROP_UDP3544 ? part->drops : 0;
	row->proto41 += part->kind == DROP_PROTO41 ? part->drops : 0;
}

/* Parts of one destination follow each other; its clients are a range of one array of all. */
static enum td_error make_rows(struct drops *drops, const struct part *parts, size_t count)
{
	struct drops_client *clients = arena_alloc(drops->arena, (count + 1) * sizeof(*clients));

	drops->rows = arena_alloc(drops->arena, (count + 1) * sizeof(*drops->rows));
	drops->count = 0;
	if (!clients || !drops->rows)
		return TD_NOMEM;
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || strcmp(parts[i].address, parts[i - 1].address) != 0)
			drops->rows[drops->count++] = (struct drops_destination){
				.address = parts[i].address, .clients = &clients[i]};
		add_part(&drops->rows[drops->count - 1], &parts[i]);
	}
	for (size_t i = 0; i < drops->count; i++)
		qsort(drops->rows[i].clients, drops->rows[i].client_count, sizeof(*clients),
			compare_clients);
	qsort(drops->rows, drops->count, sizeof(*drops->rows), compare_destinations);
	return TD_OK;
}

static enum td_error read_members(struct drops *drops)
{
	struct collect collect = {.drops = drops};
	bool cut = false;

	words_init(&collect.members, drops->arena, MEMBERS_MAX);
	enum td_error error = fleet_hour_rows(
		drops->fleet, READER_HOUR_DROPS, drops->hours, collect_member, &collect, &cut);
	struct part *parts = error == TD_OK ? parts_of(drops, &collect.members) : NULL;
	if (error == TD_OK)
		error = parts ? make_rows(drops, parts, collect.members.count) : TD_NOMEM;
	drops->cut = drops->cut || cut;
	words_deinit(&collect.members);
	return error;
}

/* --- what else is known of one --- */

static void take_timeline(
	struct drops *drops, struct drops_destination *row, const uint64_t *counts)
{
	uint64_t dropped = 0;

	for (size_t h = 0; h < drops->hours.count; h++) {
		row->lookups += counts[h * SOURCE_COUNT + SOURCE_DNS];
		dropped += counts[h * SOURCE_COUNT + SOURCE_DROP];
	}
	uint64_t more = dropped > row->drops ? dropped - row->drops : 0;
	more = more < drops->others ? more : drops->others;
	row->drops += more;
	drops->others -= more;
}

static enum td_error read_timelines(struct drops *drops, size_t count)
{
	uint64_t *counts =
		arena_alloc(drops->arena, drops->hours.count * SOURCE_COUNT * sizeof(*counts) + 1);
	enum td_error error = counts ? TD_OK : TD_NOMEM;

	for (size_t i = 0; i < count && i < drops->count && error == TD_OK; i++) {
		struct drops_destination *row = &drops->rows[i];
		error = fleet_timeline(drops->fleet, row->address, drops->hours, counts);
		if (error == TD_OK)
			take_timeline(drops, row, counts);
	}
	if (drops->count)
		qsort(drops->rows, drops->count, sizeof(*drops->rows), compare_destinations);
	return error;
}

static int compare_words(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The different names of the pairs, but for what a bound took. NULL: out of memory. */
static const char **names_of(
	struct arena *arena, const struct reader_pair *pairs, size_t count, size_t *out)
{
	const char **names = arena_alloc(arena, (count + 1) * sizeof(*names));
	size_t kept = 0, named = 0;

	*out = 0;
	for (size_t i = 0; names && i < count; i++)
		if (strcmp(pairs[i].name, SCHEMA_OTHER) != 0)
			names[named++] = pairs[i].name;
	if (!names)
		return NULL;
	qsort(names, named, sizeof(*names), compare_words);
	for (size_t i = 0; i < named; i++)
		if (i == 0 || strcmp(names[i], names[kept - 1]) != 0)
			names[kept++] = names[i];
	*out = kept;
	return names;
}

struct log_walk {
	struct drops *drops;
	struct drops_destination *row;
	struct words names;
};

static enum td_error add_logged(void *context, struct fleet_member *member)
{
	struct log_walk *walk = context;
	const struct reader_history_wanted wanted = {
		.address = walk->row->address, .limit = LOGGED_MAX};
	struct reader_histories history;
	enum td_error error = reader_history(member->reader, walk->drops->arena, &wanted, &history);
	bool cut = history.cut;

	for (size_t i = 0; i < history.count && error == TD_OK; i++) {
		struct word *unused;
		error = words_put(&walk->names, history.rows[i].name, &unused);
		walk->row->log_ambiguous = walk->row->log_ambiguous || !history.rows[i].certain;
		if (error == TD_FULL) {
			cut = true;
			error = TD_OK;
		}
	}
	walk->drops->cut = walk->drops->cut || cut;
	return error;
}

/* What logs of other DNS servers say: less certain than pairs, and never mixed with them. */
static enum td_error read_logged(struct drops *drops, struct drops_destination *row)
{
	struct log_walk walk = {.drops = drops, .row = row};

	words_init(&walk.names, drops->arena, LOGGED_NAMES_MAX);
	enum td_error error = fleet_each(drops->fleet, add_logged, &walk);
	row->logged = arena_alloc(drops->arena, (walk.names.count + 1) * sizeof(*row->logged));
	if (!row->logged && error == TD_OK)
		error = TD_NOMEM;
	for (size_t i = 0; i < walk.names.count && error == TD_OK; i++)
		row->logged[row->logged_count++] = walk.names.rows[i]->text;
	if (error == TD_OK)
		qsort(row->logged, row->logged_count, sizeof(*row->logged), compare_words);
	words_deinit(&walk.names);
	return error;
}

static enum td_error read_names(struct drops *drops, struct drops_destination *row)
{
	struct pair_index index;
	bool own = false;
	enum td_error error = pair_index_load(&index, drops->fleet, drops->arena, &row->address, 1);

	if (error != TD_OK)
		return error;
	drops->cut = drops->cut || index.cut;
	row->names = names_of(drops->arena, index.rows, index.count, &row->name_count);
	if (!row->names)
		return TD_NOMEM;
	for (size_t i = 0; i < row->client_count; i++) {
		struct drops_client *client = &row->clients[i];
		size_t count;
		const struct reader_pair *pairs =
			pair_index_find(&index, row->address, client->client, &count);
		client->names = names_of(drops->arena, pairs, count, &client->name_count);
		if (!client->names)
			return TD_NOMEM;
		own = own || client->name_count;
	}
	row->others_only = index.count > 0 && !own;
	error = read_logged(drops, row);
	row->hard_coded = index.count == 0 && row->lookups == 0 && row->logged_count == 0;
	return error;
}

static enum td_error load_once(struct drops *drops, size_t detailed)
{
	drops->total = drops->others = 0;
	drops->cut = false;
	enum td_error error = read_members(drops);
	if (error == TD_OK)
		error = read_timelines(drops, detailed > TIMELINES_MIN ? detailed : TIMELINES_MIN);
	for (size_t i = 0; i < drops->count && i < detailed && error == TD_OK; i++)
		error = read_names(drops, &drops->rows[i]);
	return error;
}

/* A resolver that fails in the middle is not to leave a part of its counts behind. */
enum td_error drops_load(struct drops *drops, size_t detailed)
{
	enum td_error error;
	size_t missing;

	do {
		missing = fleet_missing(drops->fleet);
		error = load_once(drops, detailed);
	} while (error == TD_OK && fleet_missing(drops->fleet) != missing);
	return error;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a timeline counts. Redis keeps three things by the hour: of an address how often it was told
 * and what logs say of it; of a client how much it asked; and the sets of (client, watched name)
 * and (client, address, kind of drop). All else is joined here by pairs: a drop of a client belongs
 * to the name for which this client was told the address. Where that were two names, neither is
 * chosen.
 *
 * What is read becomes cells (group, bucket, source, count), and only then series, because which
 * groups are the largest is known at the end. A matrix of all groups was rejected: thousands of
 * clients times thousands of hours would be mostly zeros.
 */
#include <stdlib.h>
#include <string.h>

#include "resolver/control/drop_member.h"
#include "resolver/control/timeline.h"
#include "resolver/telemetry/redis/schema.h"

#define CELLS_MAX ((size_t)4 << 20)
#define GROUPS_MAX 200000
#define ADDRESSES_MAX 1000 /* whose pairs are read for one answer */
#define NAMES_MAX 1000     /* behind one address */
#define OTHERS "(others)"

static const char no_lookup[] = "(no lookup here)";
static const char several[] = "(several names)";

/* --- cells --- */

static enum td_error grow_cells(struct timeline *timeline)
{
	size_t capacity = timeline->cell_capacity ? 2 * timeline->cell_capacity : 1024;
	struct timeline_cell *cells = realloc(timeline->cells, capacity * sizeof(*cells));

	if (!cells)
		return TD_NOMEM;
	timeline->cells = cells;
	timeline->cell_capacity = capacity;
	return TD_OK;
}

static enum td_error add(
	struct timeline *timeline, const char *group, int source, size_t hour, uint64_t count)
{
	struct word *word;

	if (count == 0)
		return TD_OK;
	enum td_error error = words_put(&timeline->groups, group, &word);
	if (error == TD_FULL || timeline->cell_count == CELLS_MAX) {
		timeline->cut = true;
		return TD_OK;
	}
	if (error == TD_OK && timeline->cell_count == timeline->cell_capacity)
		error = grow_cells(timeline);
	if (error != TD_OK)
		return error;
	/* A client's watched questions are among its questions, which are counted already. */
	word->count += source == TIMELINE_WATCHED ? 0 : count;
	timeline->drops += source == SOURCE_DROP ? count : 0;
	timeline->lookups +=
		source == (timeline->kind == TIMELINE_CLIENT && !timeline->by ? TIMELINE_WATCHED
									      : SOURCE_DNS)
			? count
			: 0;
	timeline->cells[timeline->cell_count++] = (struct timeline_cell){
		word->number, timeline->buckets.of_hour[hour], source, count};
	return TD_OK;
}

/* --- timelines of addresses --- */

static uint64_t *new_counts(struct timeline *timeline, size_t width)
{
	return arena_alloc(
		&timeline->cli->arena, timeline->buckets.hours.count * width * sizeof(uint64_t));
}

/* sources: a bit each */
static enum td_error add_timeline(
	struct timeline *timeline, const char *address, unsigned sources, uint64_t *counts)
{
	enum td_error error =
		fleet_timeline(timeline->fleet, address, timeline->buckets.hours, counts);

	for (size_t h = 0; h < timeline->buckets.hours.count; h++)
		for (int s = 0; s < SOURCE_COUNT && error == TD_OK; s++)
			if (sources & 1u << s)
				error = add(
					timeline, "", s, h, counts[h * SOURCE_COUNT + (size_t)s]);
	return error;
}

/* --- rows of an hour --- */

/* Calls for each row of a set; what it returns ends it. */
typedef enum td_error row_fn(struct timeline *timeline, size_t hour, const char *client,
	const char *what, uint64_t count, void *context);

struct walk {
	struct timeline *timeline;
	row_fn *visit;
	void *context;
};

static enum td_error visit_watched(void *context, size_t hour, const char *member, uint64_t count)
{
	const struct walk *walk = context;
	char client[MEMBER_CLIENT_MAX];
	const char *name;

	if (!watched_member_parse(member, client, &name))
		return TD_OK;
	if (!*name) {
		walk->timeline->others = true;
		return TD_OK;
	}
	return walk->visit(walk->timeline, hour, client, name, count, walk->context);
}

static enum td_error visit_drop(void *context, size_t hour, const char *member, uint64_t count)
{
	const struct walk *walk = context;
	struct drop_member drop;

	if (!drop_member_parse(&drop, member))
		return TD_OK;
	if (drop.other) {
		walk->timeline->others = true;
		return TD_OK;
	}
	return walk->visit(walk->timeline, hour, drop.client, drop.address, count, walk->context);
}

static enum td_error walk_rows(
	struct timeline *timeline, enum reader_hour_set set, row_fn *visit, void *context)
{
	struct walk walk = {timeline, visit, context};
	bool cut = false;
	enum td_error error = fleet_hour_rows(timeline->fleet, set, timeline->buckets.hours,
		set == READER_HOUR_DROPS ? visit_drop : visit_watched, &walk, &cut);

	timeline->cut = timeline->cut || cut;
	return error;
}

/* --- an address --- */

/* The name for which the client was told the address. */
static const char *name_behind(
	const struct pair_index *index, const char *address, const char *client)
{
	size_t count;
	const struct reader_pair *rows = pair_index_find(index, address, client, &count);

	return count == 0 ? no_lookup : count > 1 ? several : rows->name;
}

static enum td_error address_lookup(struct timeline *timeline, size_t hour, const char *client,
	const char *name, uint64_t count, void *context)
{
	if (!pair_index_has(context, timeline->word, client, name))
		return TD_OK;
	return add(timeline, timeline->by == TIMELINE_BY_CLIENT ? client : name, SOURCE_DNS, hour,
		count);
}

static enum td_error address_drop(struct timeline *timeline, size_t hour, const char *client,
	const char *address, uint64_t count, void *context)
{
	if (strcmp(address, timeline->word) != 0)
		return TD_OK;
	return add(timeline,
		timeline->by == TIMELINE_BY_CLIENT ? client : name_behind(context, address, client),
		SOURCE_DROP, hour, count);
}

/* A proxy's log often has the name of a request and no address: then it is counted under the name.
 */
static enum td_error add_requests_by_name(
	struct timeline *timeline, const struct pair_index *index, uint64_t *counts)
{
	struct words names;
	struct word *unused;
	enum td_error error = TD_OK;

	words_init(&names, &timeline->cli->arena, NAMES_MAX);
	for (size_t i = 0; i < index->count && error == TD_OK; i++)
		if (strcmp(index->rows[i].name, SCHEMA_OTHER) != 0)
			error = words_put(&names, index->rows[i].name, &unused);
	if (error == TD_FULL) {
		timeline->cut = true;
		error = TD_OK;
	}
	for (size_t i = 0; i < names.count && error == TD_OK; i++)
		error = add_timeline(timeline, names.rows[i]->text, 1u << SOURCE_PROXY, counts);
	words_deinit(&names);
	return error;
}

static enum td_error load_address(struct timeline *timeline)
{
	uint64_t *counts = new_counts(timeline, SOURCE_COUNT);
	struct pair_index index;

	if (!counts)
		return TD_NOMEM;
	enum td_error error =
		pair_index_load(&index, timeline->fleet, &timeline->cli->arena, &timeline->word, 1);
	if (error == TD_OK && timeline->by == TIMELINE_BY_SOURCE) {
		error = add_timeline(timeline, timeline->word, ~0u, counts);
		return error == TD_OK ? add_requests_by_name(timeline, &index, counts) : error;
	}
	timeline->cut = timeline->cut || index.cut;
	if (error == TD_OK)
		error = walk_rows(timeline, READER_HOUR_WATCHED_NAMES, address_lookup, &index);
	if (error == TD_OK)
		error = walk_rows(timeline, READER_HOUR_DROPS, address_drop, &index);
	return error;
}

/* --- a name --- */

static enum td_error name_lookup(struct timeline *timeline, size_t hour, const char *client,
	const char *name, uint64_t count, void *context)
{
	(void)context;
	if (strcmp(name, timeline->word) != 0)
		return TD_OK;
	return add(timeline, timeline->by == TIMELINE_BY_CLIENT ? client : "", SOURCE_DNS, hour,
		count);
}

static enum td_error name_drop(struct timeline *timeline, size_t hour, const char *client,
	const char *address, uint64_t count, void *context)
{
	if (!pair_index_has(context, address, client, timeline->word))
		return TD_OK;
	return add(timeline, client, SOURCE_DROP, hour, count);
}

/* The addresses to which the name led, with their pairs. */
static enum td_error name_addresses(
	struct timeline *timeline, const char ***out, size_t *count, struct pair_index *index)
{
	struct arena *arena = &timeline->cli->arena;
	struct reader_ranks ranks;
	enum td_error error = fleet_ranks(timeline->fleet, arena, READER_NAME_ADDRESSES,
		timeline->word, ADDRESSES_MAX, &ranks, NULL);

	*count = 0;
	*out = arena_alloc(arena, (ranks.count + 1) * sizeof(**out));
	if (error == TD_OK && !*out)
		error = TD_NOMEM;
	for (size_t i = 0; error == TD_OK && i < ranks.count; i++)
		(*out)[(*count)++] = ranks.rows[i].member;
	timeline->cut = timeline->cut || ranks.total > ranks.count;
	if (error == TD_OK)
		error = pair_index_load(index, timeline->fleet, arena, *out, *count);
	return error;
}

static bool is_shared(const struct timeline *timeline, const struct pair_index *index)
{
	for (size_t i = 0; i < index->count; i++)
		if (strcmp(index->rows[i].name, timeline->word) != 0)
			return true;
	return false;
}

static enum td_error load_name(struct timeline *timeline)
{
	uint64_t *counts = new_counts(timeline, SOURCE_COUNT);
	struct pair_index index = {.count = 0};
	const char **addresses = NULL;
	size_t count = 0;

	enum td_error error = counts ? TD_OK : TD_NOMEM;
	if (error == TD_OK)
		error = walk_rows(timeline, READER_HOUR_WATCHED_NAMES, name_lookup, NULL);
	if (error == TD_OK)
		error = name_addresses(timeline, &addresses, &count, &index);
	timeline->cut = timeline->cut || index.cut;
	if (error != TD_OK)
		return error;
	if (timeline->by == TIMELINE_BY_CLIENT)
		return walk_rows(timeline, READER_HOUR_DROPS, name_drop, &index);
	timeline->unwatched = timeline->cell_count == 0 && count > 0;
	timeline->shared = is_shared(timeline, &index);
	unsigned sources = timeline->unwatched ? ~0u : ~(1u << SOURCE_DNS);
	for (size_t i = 0; i < count && error == TD_OK; i++)
		error = add_timeline(timeline, addresses[i], sources, counts);
	if (error == TD_OK) /* requests of a log that has their names only */
		error = add_timeline(timeline, timeline->word, 1u << SOURCE_PROXY, counts);
	return error;
}

/* --- a client --- */

static enum td_error client_counter(
	struct timeline *timeline, const char *counter, int source, uint64_t *counts)
{
	enum td_error error = fleet_hour_client(
		timeline->fleet, counter, timeline->word, timeline->buckets.hours, counts);

	for (size_t h = 0; h < timeline->buckets.hours.count && error == TD_OK; h++)
		error = add(timeline, "", source, h, counts[h]);
	return error;
}

static enum td_error client_lookup(struct timeline *timeline, size_t hour, const char *client,
	const char *name, uint64_t count, void *context)
{
	(void)context;
	return strcmp(client, timeline->word) == 0 ? add(timeline, name, SOURCE_DNS, hour, count)
						   : TD_OK;
}

static enum td_error client_drop(struct timeline *timeline, size_t hour, const char *client,
	const char *address, uint64_t count, void *context)
{
	const struct pair_index *index = context;

	if (strcmp(client, timeline->word) != 0)
		return TD_OK;
	return add(timeline, index ? name_behind(index, address, client) : "", SOURCE_DROP, hour,
		count);
}

static enum td_error note_address(struct timeline *timeline, size_t hour, const char *client,
	const char *address, uint64_t count, void *context)
{
	struct word *unused;

	(void)hour;
	(void)count;
	if (strcmp(client, timeline->word) != 0)
		return TD_OK;
	enum td_error error = words_put(context, address, &unused);
	timeline->cut = timeline->cut || error == TD_FULL;
	return error == TD_FULL ? TD_OK : error;
}

/* The drops are read twice: first for the addresses whose pairs are needed. */
static enum td_error load_client_names(struct timeline *timeline)
{
	struct arena *arena = &timeline->cli->arena;
	struct pair_index index = {.count = 0};
	struct words addresses;

	words_init(&addresses, arena, ADDRESSES_MAX);
	enum td_error error = walk_rows(timeline, READER_HOUR_WATCHED_NAMES, client_lookup, NULL);
	if (error == TD_OK)
		error = walk_rows(timeline, READER_HOUR_DROPS, note_address, &addresses);
	const char **list = arena_alloc(arena, (addresses.count + 1) * sizeof(*list));
	for (size_t i = 0; list && i < addresses.count; i++)
		list[i] = addresses.rows[i]->text;
	if (error == TD_OK)
		error = list ? pair_index_load(
				       &index, timeline->fleet, arena, list, addresses.count)
			     : TD_NOMEM;
	if (error == TD_OK)
		error = walk_rows(timeline, READER_HOUR_DROPS, client_drop, &index);
	timeline->cut = timeline->cut || index.cut;
	words_deinit(&addresses);
	return error;
}

static enum td_error load_client(struct timeline *timeline)
{
	uint64_t *counts = new_counts(timeline, SOURCE_COUNT);

	if (!counts)
		return TD_NOMEM;
	if (timeline->by == TIMELINE_BY_NAME)
		return load_client_names(timeline);
	enum td_error error = client_counter(timeline, "queries", SOURCE_DNS, counts);
	if (error == TD_OK)
		error = client_counter(timeline, "watched", TIMELINE_WATCHED, counts);
	if (error == TD_OK)
		error = client_counter(timeline, "blocked", TIMELINE_WATCHED, counts);
	if (error == TD_OK)
		error = walk_rows(timeline, READER_HOUR_DROPS, client_drop, NULL);
	return error;
}

/* --- all --- */

static void begin(struct timeline *timeline)
{
	timeline_deinit(timeline);
	words_init(&timeline->groups, &timeline->cli->arena, GROUPS_MAX);
	timeline->lookups = timeline->drops = 0;
	timeline->cut = timeline->others = timeline->shared = timeline->unwatched = false;
}

/* A resolver that fails in the middle is not to leave a part of its counts behind. */
enum td_error timeline_load(struct timeline *timeline)
{
	static enum td_error (*const loads[])(struct timeline *) = {
		[TIMELINE_ADDRESS] = load_address,
		[TIMELINE_NAME] = load_name,
		[TIMELINE_CLIENT] = load_client,
	};
	enum td_error error;
	size_t missing;

	do {
		missing = fleet_missing(timeline->fleet);
		begin(timeline);
		error = loads[timeline->kind](timeline);
	} while (error == TD_OK && fleet_missing(timeline->fleet) != missing);
	return error;
}

void timeline_deinit(struct timeline *timeline)
{
	words_deinit(&timeline->groups);
	free(timeline->cells);
	timeline->cells = NULL;
	timeline->cell_count = timeline->cell_capacity = 0;
}

/* --- series --- */

const char *timeline_source_name(int source)
{
	return source == TIMELINE_WATCHED ? "dns-watched"
					  : reader_source_name((enum reader_source)source);
}

static int compare_groups(const void *left, const void *right)
{
	const struct word *a = *(const struct word *const *)left;
	const struct word *b = *(const struct word *const *)right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return strcmp(a->text, b->text);
}

/* Which sources each group has: a bit each, by number. */
static unsigned *sources_of(struct timeline *timeline)
{
	unsigned *out =
		arena_alloc(&timeline->cli->arena, (timeline->groups.count + 1) * sizeof(*out));

	if (!out)
		return NULL;
	memset(out, 0, (timeline->groups.count + 1) * sizeof(*out));
	for (size_t i = 0; i < timeline->cell_count; i++)
		out[timeline->cells[i].group] |= 1u << timeline->cells[i].source;
	return out;
}

static size_t bits(unsigned set)
{
	return (size_t)__builtin_popcount(set);
}

/* How many of the groups, which are sorted, have a place; with what is left over as one more. */
static size_t groups_shown(const struct timeline *timeline, struct word *const *sorted,
	const unsigned *sources, size_t most)
{
	size_t columns = 0, shown = 0, all = timeline->groups.count;
	unsigned left;

	while (shown < all &&
		(shown == 0 || columns + bits(sources[sorted[shown]->number]) <= most))
		columns += bits(sources[sorted[shown++]->number]);
	for (; shown > 1 && shown < all; shown--) {
		left = 0;
		for (size_t i = shown; i < all; i++)
			left |= sources[sorted[i]->number];
		if (columns + bits(left) <= most)
			break;
		columns -= bits(sources[sorted[shown - 1]->number]);
	}
	return shown;
}

struct series_set {
	struct timeline_series *rows;
	size_t count;
	uint32_t *first; /* by number of the group: where its first series is; UINT32_MAX: others */
};

static bool add_series(
	struct timeline *timeline, struct series_set *set, const char *group, unsigned sources)
{
	for (int s = 0; s < TIMELINE_SOURCES; s++) {
		if (!(sources & 1u << s))
			continue;
		size_t size = timeline->buckets.count * sizeof(uint64_t);
		uint64_t *counts = arena_alloc(&timeline->cli->arena, size + 1);
		if (!counts)
			return false;
		memset(counts, 0, size);
		set->rows[set->count++] = (struct timeline_series){group, s, 0, counts};
	}
	return true;
}

static void fill_series(struct timeline *timeline, struct series_set *set)
{
	for (size_t i = 0; i < timeline->cell_count; i++) {
		const struct timeline_cell *cell = &timeline->cells[i];
		struct timeline_series *series = &set->rows[set->first[cell->group]];
		while (series->source != cell->source)
			series++;
		series->counts[cell->bucket] += cell->count;
		series->sum += cell->count;
	}
}

/* Dns always has a place, so that an empty one is seen to be empty. */
static struct timeline_series *series_by_source(
	struct timeline *timeline, struct series_set *set, unsigned sources, bool every_source)
{
	unsigned all = timeline->kind == TIMELINE_CLIENT
			       ? 1u << SOURCE_DNS | 1u << SOURCE_DROP | 1u << TIMELINE_WATCHED
			       : (1u << SOURCE_COUNT) - 1;

	if (!add_series(timeline, set, "", every_source ? all : sources | 1u << SOURCE_DNS))
		return NULL;
	if (timeline->groups.count)
		set->first[0] = 0;
	fill_series(timeline, set);
	return set->rows;
}

struct timeline_series *timeline_series(
	struct timeline *timeline, size_t most, bool every_source, size_t *count)
{
	struct arena *arena = &timeline->cli->arena;
	size_t groups = timeline->groups.count;
	struct word **sorted = arena_alloc(arena, (groups + 1) * sizeof(struct word *));
	unsigned *sources = sources_of(timeline), left = 0;
	struct series_set set = {.first = arena_alloc(arena, (groups + 1) * sizeof(uint32_t))};

	*count = 0;
	if (!sorted || !sources || !set.first)
		return NULL;
	if (groups)
		memcpy(sorted, timeline->groups.rows, groups * sizeof(struct word *));
	qsort(sorted, groups, sizeof(struct word *), compare_groups);
	size_t shown = groups_shown(timeline, sorted, sources, most);
	set.rows = arena_alloc(arena, (shown + 2) * TIMELINE_SOURCES * sizeof(*set.rows));
	if (!set.rows)
		return NULL;
	if (timeline->by == TIMELINE_BY_SOURCE) {
		if (!series_by_source(timeline, &set, groups ? sources[0] : 0, every_source))
			return NULL;
		*count = set.count;
		return set.rows;
	}
	for (size_t i = 0; i < shown; i++) {
		set.first[sorted[i]->number] = (uint32_t)set.count;
		if (!add_series(timeline, &set, sorted[i]->text, sources[sorted[i]->number]))
			return NULL;
	}
	for (size_t i = shown; i < groups; i++) {
		set.first[sorted[i]->number] = (uint32_t)set.count;
		left |= sources[sorted[i]->number];
	}
	if (!add_series(timeline, &set, OTHERS, left))
		return NULL;
	fill_series(timeline, &set);
	*count = set.count;
	return set.rows;
}

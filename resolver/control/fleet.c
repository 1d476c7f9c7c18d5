/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sums over resolvers. Each query is asked of every member in turn, over its own connection; what
 * comes back is merged here. One Redis connection for all was rejected: in a Cluster the keys of
 * two resolvers are on two nodes, and one that is stopped must not hold up what the others know.
 *
 * The head of a sum cannot be read off the heads of its parts: a client that is 30th everywhere may
 * be 3rd in all. So lists are read to a depth, the candidates' missing values are looked up, and
 * the depth grows until the last row shown is at least the sum of what the lists end with: nobody
 * below can come up then (Fagin's threshold algorithm).
 */
#include "resolver/control/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/transaction.h"

/* --- opening --- */

static bool add_member(struct fleet *fleet, const char *resolver)
{
	struct fleet_member *member = &fleet->members[fleet->count];

	*member = (struct fleet_member){.resolver = strdup(resolver)};
	fleet->count += member->resolver != NULL;
	return member->resolver != NULL;
}

static struct fleet *fleet_new(size_t count)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));

	if (fleet)
		fleet->members = calloc(count + 1, sizeof(*fleet->members));
	if (fleet && !fleet->members) {
		free(fleet);
		fleet = NULL;
	}
	return fleet;
}

void fleet_close(struct fleet **fleet)
{
	if (!*fleet)
		return;
	for (size_t i = 0; i < (*fleet)->count; i++) {
		reader_close(&(*fleet)->members[i].reader);
		free((*fleet)->members[i].resolver);
	}
	free((*fleet)->members);
	free(*fleet);
	*fleet = NULL;
}

/* All that registered, each with a reader or the reason why it has none. NULL: the list of them
 * cannot be read, or memory ran out. */
static struct fleet *open_whole(const char *url, const struct redis_access *access, int timeout_ms,
	char *words, enum td_error *error, struct arena *arena)
{
	struct reader *reader = reader_open(url, access, "", timeout_ms, words, error);
	struct reader_ranks names;

	if (!reader)
		return NULL;
	*error = reader_resolvers(reader, arena, FLEET_MAX, &names);
	if (*error != TD_OK)
		snprintf(words, READER_WORDS_MAX, "%s", reader_words(reader));
	reader_close(&reader);
	if (*error != TD_OK)
		return NULL;
	struct fleet *fleet = fleet_new(names.count);
	for (size_t i = 0; fleet && i < names.count; i++)
		if (!add_member(fleet, names.rows[i].member))
			fleet_close(&fleet);
	if (!fleet) {
		*error = TD_NOMEM;
		return NULL;
	}
	fleet->whole = true;
	fleet->beyond = names.total - names.count;
	for (size_t i = 0; i < fleet->count; i++) {
		struct fleet_member *member = &fleet->members[i];
		enum td_error unused;
		member->reader = reader_open(
			url, access, member->resolver, timeout_ms, member->words, &unused);
	}
	return fleet;
}

static struct fleet *open_one(const char *url, const struct redis_access *access,
	const char *resolver, int timeout_ms, char *words, enum td_error *error)
{
	struct fleet *fleet = fleet_new(1);

	*error = TD_NOMEM;
	if (!fleet || !add_member(fleet, resolver)) {
		fleet_close(&fleet);
		return NULL;
	}
	fleet->members[0].reader =
		reader_open(url, access, resolver, timeout_ms, words, error);
	if (!fleet->members[0].reader)
		fleet_close(&fleet);
	return fleet;
}

struct fleet *fleet_open(const char *url, const struct redis_access *access, const char *resolver,
	int timeout_ms, char *words, enum td_error *error)
{
	struct arena arena;

	snprintf(words, READER_WORDS_MAX, "%s", error_text(TD_NOMEM));
	if (resolver)
		return open_one(url, access, resolver, timeout_ms, words, error);
	arena_init(&arena);
	struct fleet *fleet = open_whole(url, access, timeout_ms, words, error, &arena);
	arena_deinit(&arena);
	return fleet;
}

const char *fleet_words(const struct fleet *fleet)
{
	return fleet->words;
}

size_t fleet_missing(const struct fleet *fleet)
{
	size_t missing = 0;

	for (size_t i = 0; i < fleet->count; i++)
		missing += fleet->members[i].reader == NULL;
	return missing;
}

/* --- asking each --- */

static void set_aside(struct fleet_member *member)
{
	snprintf(member->words, sizeof(member->words), "%s", reader_words(member->reader));
	reader_close(&member->reader);
}

enum td_error fleet_each(struct fleet *fleet, fleet_visit_fn *visit, void *context)
{
	enum td_error error = TD_OK, last = TD_IO;
	size_t asked = 0;

	for (size_t i = 0; i < fleet->count; i++) {
		struct fleet_member *member = &fleet->members[i];
		if (!member->reader)
			continue;
		error = visit(context, member);
		asked += error == TD_OK;
		if (error == TD_OK)
			continue;
		last = error;
		snprintf(fleet->words, sizeof(fleet->words), "%s", reader_words(member->reader));
		if (error != TD_IO && error != TD_REFUSED)
			return error;
		if (fleet->whole)
			set_aside(member);
	}
	return asked || fleet->count == 0 ? TD_OK : last;
}

/* --- a client --- */

struct client_sum {
	struct arena *arena;
	const char *client;
	struct reader_fields fields; /* of the last member that knows it */
	size_t known;
	int64_t counters[CLIENT_COUNTER_COUNT];
	int64_t first_ms, last_ms;
	int64_t told_ms, told_last_ms; /* 0: never */
	const char *name, *forwarder, *server;
};

static void add_told(struct client_sum *sum, const struct reader_fields *fields)
{
	int64_t first = reader_field_i64(fields, "told_teredo", 0);
	int64_t last = reader_field_i64(fields, "told_teredo_last", 0);

	if (first > 0 && (!sum->told_ms || first < sum->told_ms))
		sum->told_ms = first;
	if (first <= 0 || last < sum->told_last_ms)
		return;
	sum->told_last_ms = last;
	sum->server = reader_field_text(fields, "told_teredo_server");
}

static enum td_error add_client(void *context, struct fleet_member *member)
{
	struct client_sum *sum = context;
	struct reader_fields fields;
	enum td_error error = reader_client(member->reader, sum->arena, sum->client, &fields);

	if (error != TD_OK || fields.count == 0)
		return error;
	for (int c = 0; c < CLIENT_COUNTER_COUNT; c++)
		sum->counters[c] +=
			reader_field_i64(&fields, client_counter_name((enum client_counter)c), 0);
	int64_t first = reader_field_i64(&fields, "first_seen", 0);
	int64_t last = reader_field_i64(&fields, "last_seen", 0);
	const char *name = reader_field_text(&fields, "name");
	if (first && (!sum->first_ms || first < sum->first_ms))
		sum->first_ms = first;
	if (name && *name && (!sum->name || last >= sum->last_ms))
		sum->name = name;
	if (!sum->forwarder)
		sum->forwarder = reader_field_text(&fields, "forwarder");
	if (last > sum->last_ms)
		sum->last_ms = last;
	add_told(sum, &fields);
	sum->fields = fields;
	sum->known++;
	return TD_OK;
}

static bool put_number(
	struct arena *arena, struct reader_fields *out, const char *name, int64_t value)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "%lld", (long long)value);
	const char *copy = arena_copy(arena, text, (size_t)length + 1);

	if (copy)
		out->rows[out->count++] = (struct reader_field){name, copy};
	return copy != NULL;
}

static enum td_error write_sum(const struct client_sum *sum, struct reader_fields *out)
{
	out->rows = arena_alloc(sum->arena, (CLIENT_COUNTER_COUNT + 7) * sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	bool ok = true;
	for (int c = 0; c < CLIENT_COUNTER_COUNT; c++)
		ok = ok && put_number(sum->arena, out, client_counter_name((enum client_counter)c),
				   sum->counters[c]);
	ok = ok && put_number(sum->arena, out, "first_seen", sum->first_ms) &&
	     put_number(sum->arena, out, "last_seen", sum->last_ms);
	if (ok && sum->told_ms)
		ok = put_number(sum->arena, out, "told_teredo", sum->told_ms) &&
		     put_number(sum->arena, out, "told_teredo_last", sum->told_last_ms);
	if (ok && sum->told_ms && sum->server)
		out->rows[out->count++] = (struct reader_field){"told_teredo_server", sum->server};
	if (ok && sum->name)
		out->rows[out->count++] = (struct reader_field){"name", sum->name};
	if (ok && sum->forwarder)
		out->rows[out->count++] = (struct reader_field){"forwarder", sum->forwarder};
	return ok ? TD_OK : TD_NOMEM;
}

enum td_error fleet_client(
	struct fleet *fleet, struct arena *arena, const char *client, struct reader_fields *out)
{
	struct client_sum sum = {.arena = arena, .client = client};
	enum td_error error = fleet_each(fleet, add_client, &sum);

	*out = (struct reader_fields){NULL, 0};
	if (error != TD_OK || sum.known == 0)
		return error;
	if (sum.known == 1) {
		*out = sum.fields;
		return TD_OK;
	}
	return write_sum(&sum, out);
}

/* --- rankings --- */

static int compare_members(const void *left, const void *right)
{
	return strcmp(((const struct reader_rank *)left)->member,
		((const struct reader_rank *)right)->member);
}

static int compare_values(const void *left, const void *right)
{
	const struct reader_rank *a = left, *b = right;
	if (a->value != b->value)
		return a->value < b->value ? 1 : -1;
	return strcmp(a->member, b->member);
}

static int64_t together(int64_t a, int64_t b, bool newest)
{
	if (newest)
		return a > b ? a : b;
	return a + b;
}

/* Sorted by member. */
static void unite(struct reader_ranks *ranks, bool newest)
{
	size_t kept = 0;

	if (ranks->count == 0)
		return;
	qsort(ranks->rows, ranks->count, sizeof(*ranks->rows), compare_members);
	for (size_t i = 1; i < ranks->count; i++) {
		struct reader_rank *last = &ranks->rows[kept];
		if (strcmp(last->member, ranks->rows[i].member) == 0)
			last->value = together(last->value, ranks->rows[i].value, newest);
		else
			ranks->rows[++kept] = ranks->rows[i];
	}
	ranks->count = kept + 1;
}

void fleet_merge_ranks(struct reader_ranks *ranks, bool newest)
{
	unite(ranks, newest);
	if (ranks->count)
		qsort(ranks->rows, ranks->count, sizeof(*ranks->rows), compare_values);
}

struct ranking_sum {
	struct arena *arena;
	enum reader_ranking ranking;
	const char *of;
	bool newest;
	size_t depth;
	struct reader_ranks *lists; /* of each member that could be read, with its member */
	struct fleet_member **members;
	size_t count;
};

static enum td_error read_list(void *context, struct fleet_member *member)
{
	struct ranking_sum *sum = context;
	struct reader_ranks *list = &sum->lists[sum->count];
	enum td_error error =
		reader_ranks(member->reader, sum->arena, sum->ranking, sum->of, sum->depth, list);

	if (error == TD_OK)
		sum->members[sum->count++] = member;
	return error;
}

/* Adds the values that a list which goes on does not show of the candidates, which are sorted by
 * member. */
static enum td_error add_hidden(struct ranking_sum *sum, size_t at, struct reader_ranks *all)
{
	const struct reader_ranks *list = &sum->lists[at];
	struct reader_rank *shown = arena_alloc(sum->arena, (list->count + 1) * sizeof(*shown));
	struct reader_rank *hidden = arena_alloc(sum->arena, (all->count + 1) * sizeof(*hidden));
	size_t count = 0;

	if (!shown || !hidden)
		return TD_NOMEM;
	if (list->count)
		memcpy(shown, list->rows, list->count * sizeof(*shown));
	qsort(shown, list->count, sizeof(*shown), compare_members);
	for (size_t i = 0; i < all->count; i++)
		if (!bsearch(&all->rows[i], shown, list->count, sizeof(*shown), compare_members))
			hidden[count++] = all->rows[i];
	enum td_error error =
		reader_scores(sum->members[at]->reader, sum->ranking, sum->of, hidden, count);
	if (error != TD_OK)
		return error;
	for (size_t i = 0, h = 0; h < count; i++)
		if (strcmp(all->rows[i].member, hidden[h].member) == 0)
			all->rows[i].value =
				together(all->rows[i].value, hidden[h++].value, sum->newest);
	return TD_OK;
}

static enum td_error sum_lists(struct ranking_sum *sum, struct reader_ranks *all)
{
	size_t room = 0;

	*all = (struct reader_ranks){NULL, 0, 0};
	for (size_t i = 0; i < sum->count; i++)
		room += sum->lists[i].count;
	all->rows = arena_alloc(sum->arena, (room + 1) * sizeof(*all->rows));
	if (!all->rows)
		return TD_NOMEM;
	for (size_t i = 0; i < sum->count; i++) {
		const struct reader_ranks *list = &sum->lists[i];
		if (list->count)
			memcpy(all->rows + all->count, list->rows,
				list->count * sizeof(*list->rows));
		all->count += list->count;
	}
	unite(all, sum->newest);
	return TD_OK;
}

/* The most that a member which no list shows can have. */
static int64_t threshold(const struct ranking_sum *sum, bool *complete)
{
	int64_t most = 0;

	*complete = true;
	for (size_t i = 0; i < sum->count; i++) {
		const struct reader_ranks *list = &sum->lists[i];
		if (list->total <= list->count || list->count == 0)
			continue;
		*complete = false;
		most = together(most, list->rows[list->count - 1].value, sum->newest);
	}
	return most;
}

/* One pass at this depth. *again: a member failed in the middle and was set aside, so its list has
 * to go too. */
static enum td_error sum_at_depth(
	struct fleet *fleet, struct ranking_sum *sum, struct reader_ranks *out, bool *again)
{
	*again = false;
	sum->count = 0;
	enum td_error error = fleet_each(fleet, read_list, sum);
	if (error == TD_OK)
		error = sum_lists(sum, out);
	for (size_t i = 0; i < sum->count && error == TD_OK; i++) {
		if (sum->lists[i].total <= sum->lists[i].count)
			continue;
		error = add_hidden(sum, i, out);
		if (error != TD_IO && error != TD_REFUSED)
			continue;
		set_aside(sum->members[i]);
		*again = fleet_missing(fleet) < fleet->count;
	}
	return error;
}

static enum td_error rank_at_depth(struct fleet *fleet, struct ranking_sum *sum, size_t limit,
	struct reader_ranks *out, bool *exact)
{
	enum td_error error;
	bool again, complete;

	do
		error = sum_at_depth(fleet, sum, out, &again);
	while (again);
	if (error != TD_OK)
		return error;
	if (out->count)
		qsort(out->rows, out->count, sizeof(*out->rows), compare_values);
	int64_t most = threshold(sum, &complete);
	*exact = complete || (out->count >= limit && out->rows[limit - 1].value >= most);
	out->total = out->count;
	for (size_t i = 0; i < sum->count; i++)
		if (sum->lists[i].total > out->total)
			out->total = sum->lists[i].total;
	if (out->count > limit)
		out->count = limit;
	return TD_OK;
}

static enum td_error rank_one(struct fleet_member *member, struct ranking_sum *sum, size_t limit,
	struct fleet *fleet, struct reader_ranks *out)
{
	enum td_error error =
		reader_ranks(member->reader, sum->arena, sum->ranking, sum->of, limit, out);

	if (error != TD_OK)
		snprintf(fleet->words, sizeof(fleet->words), "%s", reader_words(member->reader));
	return error;
}

enum td_error fleet_ranks(struct fleet *fleet, struct arena *arena, enum reader_ranking ranking,
	const char *of, size_t limit, struct reader_ranks *out, bool *exact)
{
	struct ranking_sum sum = {.arena = arena,
		.ranking = ranking,
		.of = of,
		.newest = ranking == READER_NAME_ADDRESSES || ranking == READER_ZONE_LAST};
	bool unused;

	exact = exact ? exact : &unused;
	*exact = true;
	limit = limit == 0 ? 1 : limit > READER_ROWS_MAX ? READER_ROWS_MAX : limit;
	if (!fleet->whole)
		return rank_one(&fleet->members[0], &sum, limit, fleet, out);
	*out = (struct reader_ranks){NULL, 0, 0};
	sum.lists = arena_alloc(arena, (fleet->count + 1) * sizeof(*sum.lists));
	sum.members = arena_alloc(arena, (fleet->count + 1) * sizeof(*sum.members));
	if (!sum.lists || !sum.members)
		return TD_NOMEM;
	for (sum.depth = limit;; sum.depth = sum.depth * 4) {
		if (sum.depth > READER_ROWS_MAX)
			sum.depth = READER_ROWS_MAX;
		enum td_error error = rank_at_depth(fleet, &sum, limit, out, exact);
		if (error != TD_OK || *exact || sum.depth == READER_ROWS_MAX)
			return error;
	}
}

struct bounded_list {
	enum reader_ranking ranking;
	const char *of;
	struct reader_rank *rows;
	size_t count;
};

static enum td_error add_at_most(void *context, struct fleet_member *member)
{
	const struct bounded_list *list = context;

	return reader_at_most(member->reader, list->ranking, list->of, list->rows, list->count);
}

enum td_error fleet_at_most(struct fleet *fleet, enum reader_ranking ranking, const char *of,
	struct reader_rank *rows, size_t count)
{
	struct bounded_list list = {ranking, of, rows, count};

	return fleet_each(fleet, add_at_most, &list);
}

/* --- hits of zones --- */

struct score_sum {
	struct arena *arena;
	enum reader_ranking ranking;
	const char *of;
	bool newest;
	struct reader_rank *rows; /* values are added to */
	size_t count;
};

static enum td_error add_scores(void *context, struct fleet_member *member)
{
	struct score_sum *sum = context;
	struct reader_rank *scores = arena_alloc(sum->arena, (sum->count + 1) * sizeof(*scores));

	if (!scores)
		return TD_NOMEM;
	if (sum->count)
		memcpy(scores, sum->rows, sum->count * sizeof(*scores));
	enum td_error error =
		reader_scores(member->reader, sum->ranking, sum->of, scores, sum->count);
	for (size_t i = 0; error == TD_OK && i < sum->count; i++)
		sum->rows[i].value = together(sum->rows[i].value, scores[i].value, sum->newest);
	return error;
}

enum td_error fleet_score(struct fleet *fleet, struct arena *arena, enum reader_ranking ranking,
	const char *of, const char *member, int64_t *value)
{
	struct reader_rank row = {member, 0};
	struct score_sum sum = {arena, ranking, of, false, &row, 1};
	enum td_error error = fleet_each(fleet, add_scores, &sum);

	*value = row.value;
	return error;
}

enum td_error fleet_zone_hits(struct fleet *fleet, struct arena *arena, const char *zone,
	size_t limit, struct fleet_hits *out)
{
	struct reader_ranks ranks;
	enum td_error error =
		fleet_ranks(fleet, arena, READER_ZONE_CLIENTS, zone, limit, &ranks, NULL);

	*out = (struct fleet_hits){NULL, 0, 0};
	if (error != TD_OK)
		return error;
	out->rows = arena_alloc(arena, (ranks.count + 1) * sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (size_t i = 0; i < ranks.count; i++) {
		out->rows[i] =
			(struct fleet_hit){ranks.rows[i].member, (uint64_t)ranks.rows[i].value, 0};
		ranks.rows[i].value = 0;
	}
	struct score_sum last = {arena, READER_ZONE_LAST, zone, true, ranks.rows, ranks.count};
	error = fleet_each(fleet, add_scores, &last);
	for (size_t i = 0; i < ranks.count; i++)
		out->rows[i].last_ms = ranks.rows[i].value;
	out->count = error == TD_OK ? ranks.count : 0;
	out->total = ranks.total;
	return error;
}

enum td_error fleet_client_hits(struct fleet *fleet, struct arena *arena, const char *zone,
	const char *client, struct fleet_hit *out)
{
	struct reader_rank hits = {client, 0}, last = {client, 0};
	struct score_sum hit_sum = {arena, READER_ZONE_CLIENTS, zone, false, &hits, 1};
	struct score_sum last_sum = {arena, READER_ZONE_LAST, zone, true, &last, 1};
	enum td_error error = fleet_each(fleet, add_scores, &hit_sum);

	if (error == TD_OK)
		error = fleet_each(fleet, add_scores, &last_sum);
	*out = (struct fleet_hit){client, 0, 0};
	if (error == TD_OK)
		*out = (struct fleet_hit){client, (uint64_t)hits.value, last.value};
	return error;
}

/* --- pairs --- */

enum td_error fleet_append_pairs(struct arena *arena, struct reader_pairs *all,
	const struct reader_pairs *more, const struct fleet_member *member)
{
	struct reader_pair *rows =
		arena_alloc(arena, (all->count + more->count + 1) * sizeof(*rows));

	if (!rows)
		return TD_NOMEM;
	if (all->count)
		memcpy(rows, all->rows, all->count * sizeof(*rows));
	if (more->count)
		memcpy(rows + all->count, more->rows, more->count * sizeof(*rows));
	for (size_t i = 0; i < more->count; i++)
		rows[all->count + i].resolver = member->resolver;
	all->rows = rows;
	all->count += more->count;
	all->cut |= more->cut;
	return TD_OK;
}

struct pair_list {
	struct arena *arena;
	const char *address;
	size_t limit;
	struct reader_pairs *all;
};

static enum td_error add_pairs(void *context, struct fleet_member *member)
{
	struct pair_list *list = context;
	struct reader_pairs pairs;
	enum td_error error = reader_address_pairs(
		member->reader, list->arena, list->address, list->limit, &pairs);

	return error == TD_OK ? fleet_append_pairs(list->arena, list->all, &pairs, member) : error;
}

enum td_error fleet_address_pairs(struct fleet *fleet, struct arena *arena, const char *address,
	size_t limit, struct reader_pairs *out)
{
	struct pair_list list = {arena, address, limit, out};

	*out = (struct reader_pairs){NULL, 0, false};
	return fleet_each(fleet, add_pairs, &list);
}

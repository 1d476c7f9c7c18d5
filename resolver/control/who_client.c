/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `who CLIENT`: its counters, its hits in policy zones, what it asked, every address it was told by
 * way of the names it asked, and what logs say of it.
 */
#include <string.h>

#include "resolver/control/told_teredo.h"
#include "resolver/control/who.h"

struct client_pairs {
	struct who *who;
	const char *client;
	struct reader_pairs *all;
};

/* Every address that the client was told by this resolver, by way of the names it asked. */
static enum td_error find_client_pairs(struct who *who, struct fleet_member *member,
	const char *client, const struct reader_ranks *names, struct reader_pairs *out)
{
	struct arena *arena = &who->cli->arena;
	struct reader_pair *rows = arena_alloc(arena, WHO_ASKS_MAX * sizeof(*rows));
	size_t count = 0;
	bool cut = names->total > names->count || who_has_other(names);

	*out = (struct reader_pairs){NULL, 0, false};
	if (!rows)
		return TD_NOMEM;
	for (size_t n = 0; n < names->count && count < WHO_ASKS_MAX; n++) {
		struct reader_ranks addresses;
		const char *name = names->rows[n].member;
		enum td_error error = reader_ranks(member->reader, arena, READER_NAME_ADDRESSES,
			name, WHO_ADDRESSES_MAX, &addresses);
		if (error != TD_OK)
			return error;
		cut = cut || addresses.total > addresses.count ||
		      count + addresses.count >= WHO_ASKS_MAX;
		for (size_t a = 0; a < addresses.count && count < WHO_ASKS_MAX; a++)
			rows[count++] = (struct reader_pair){.address = addresses.rows[a].member,
				.client = client,
				.name = name};
	}
	enum td_error error = reader_find_pairs(member->reader, arena, rows, count, out);
	out->cut = cut;
	return error;
}

static enum td_error add_client_pairs(void *context, struct fleet_member *member)
{
	struct client_pairs *client_pairs = context;
	struct who *who = client_pairs->who;
	struct reader_ranks names;
	struct reader_pairs pairs;

	enum td_error error = reader_ranks(member->reader, &who->cli->arena, READER_CLIENT_NAMES,
		client_pairs->client, READER_ROWS_MAX, &names);
	if (error == TD_OK)
		error = find_client_pairs(who, member, client_pairs->client, &names, &pairs);
	return error == TD_OK
		       ? fleet_append_pairs(&who->cli->arena, client_pairs->all, &pairs, member)
		       : error;
}

struct client_view {
	const char *client;
	struct reader_fields fields;
	struct reader_ranks names;
	struct reader_pairs pairs;
	struct {
		const char *zone;
		struct fleet_hit hit;
	} * hits;
	size_t hit_count;
	struct who_facts facts;
	struct who_retries retries;
	struct who_rules rules;
	struct who_drops drops;
	struct reader_histories history;
	struct who_hosts hosts;
};

static enum td_error load_hits(struct who *who, struct client_view *view)
{
	const struct options *options = who->cli->options;
	enum td_error error = TD_OK;

	view->hit_count = 0;
	view->hits = arena_alloc(&who->cli->arena, (options->zone_count + 1) * sizeof(*view->hits));
	if (!view->hits)
		return TD_NOMEM;
	for (size_t z = 0; z < options->zone_count && error == TD_OK; z++) {
		struct fleet_hit hit;
		error = fleet_client_hits(
			who->fleet, &who->cli->arena, options->zones[z].name, view->client, &hit);
		if (error != TD_OK || hit.hits == 0)
			continue;
		view->hits[view->hit_count].zone = options->zones[z].name;
		view->hits[view->hit_count++].hit = hit;
	}
	return error;
}

/* --- what stands beside it --- */

/* The names that it asked and a rule watched or blocked, most often first. */
static enum td_error list_watched(struct who *who, struct client_view *view)
{
	const struct who_retries *retries = &view->retries;
	struct reader_pairs rows = {.cut = retries->cut};

	rows.rows = arena_alloc(&who->cli->arena, (retries->count + 1) * sizeof(*rows.rows));
	if (!rows.rows)
		return TD_NOMEM;
	for (size_t i = 0; i < retries->count; i++)
		rows.rows[rows.count++] = (struct reader_pair){
			.name = retries->rows[i].name, .count = retries->rows[i].watched};
	return who_rank(&who->cli->arena, &rows, COLUMN_NAME, &view->facts.names);
}

static enum td_error load_questions(struct who *who, struct client_view *view)
{
	const struct who_list all = {.count = 0};

	enum td_error error = who_load_retries(who, view->client, &all, &view->retries);
	if (error == TD_OK)
		error = list_watched(who, view);
	/* What the bound of an hour took may be of anybody. */
	view->facts.names.cut = false;
	if (error == TD_OK)
		error = who_load_rules(
			who, &view->facts.names, &view->pairs, view->client, &view->rules);
	return error;
}

static enum td_error load_logs(struct who *who, struct client_view *view)
{
	struct who_logs *logs = &view->facts.logs;

	enum td_error error = who_load_drops(who, view->client, NULL, &view->drops);
	if (error == TD_OK)
		error = who_name_drops(who, &view->drops, &view->pairs);
	for (size_t i = 0; i < view->drops.count; i++) {
		const struct who_drop *drop = &view->drops.rows[i];
		logs->dropped += drop->packets;
		logs->first_hour = who_earlier(logs->first_hour, drop->first_hour);
		if (drop->last_hour > logs->last_hour)
			logs->last_hour = drop->last_hour;
	}
	logs->lookups = who_lookups_between(
		who, &view->retries, view->client, logs->first_hour, logs->last_hour);
	return error == TD_OK ? who_load_sources(who, view->facts.sources) : error;
}

static enum td_error load_imports(struct who *who, struct client_view *view)
{
	const struct reader_history_wanted wanted = {
		.client = view->client, .limit = READER_ROWS_MAX};
	const char *const words[] = {view->client};
	const struct who_list self = {.words = words, .count = 1};
	enum td_error error = TD_OK;

	view->history = (struct reader_histories){NULL, 0, false};
	if (view->facts.sources[WHO_LOG_DNS].files)
		error = who_load_history(who, &wanted, &view->history);
	return error == TD_OK ? who_load_hosts(who, &self, &view->hosts) : error;
}

static bool is_watched(const struct client_view *view, const char *name)
{
	for (size_t i = 0; i < view->facts.names.count; i++)
		if (strcmp(view->facts.names.words[i], name) == 0)
			return true;
	return false;
}

static void set_facts(struct who *who, struct client_view *view)
{
	struct who_facts *facts = &view->facts;
	struct reader_pairs none = {.count = 0};

	facts->kind = WHO_CLIENT;
	facts->subject = view->client;
	facts->now_ms = who->cli->now_ms;
	for (size_t i = 0; i < view->hit_count; i++) {
		facts->lookups += view->hits[i].hit.hits;
		if (view->hits[i].hit.last_ms > facts->last_ms)
			facts->last_ms = view->hits[i].hit.last_ms;
	}
	for (size_t i = 0; i < view->retries.count; i++) {
		const struct who_retry *retry = &view->retries.rows[i];
		facts->lookups += view->hit_count ? 0 : retry->watched;
		facts->first_ms = who_earlier(facts->first_ms, retry->first_ms);
	}
	for (size_t i = 0; i < view->pairs.count; i++)
		if (is_watched(view, view->pairs.rows[i].name))
			facts->first_ms =
				who_earlier(facts->first_ms, view->pairs.rows[i].first_ms);
	facts->rules = view->rules.rows;
	facts->rule_count = view->rules.known ? view->rules.count : 0;
	who_set_periods(facts, &none, &view->retries);
}

/* --- out --- */

static void append_counters(struct who *who, const struct reader_fields *fields)
{
	struct strbuf *out = &who->cli->out;
	const char *before = "  ";

	for (int c = 0; c < CLIENT_COUNTER_COUNT; c++) {
		const char *name = client_counter_name((enum client_counter)c);
		int64_t value = reader_field_i64(fields, name, 0);
		if (value <= 0)
			continue;
		strbuf_printf(out, "%s%s %lld", before, name, (long long)value);
		before = ", ";
	}
	strbuf_append_char(out, '\n');
}

static void append_hits(struct who *who, const struct client_view *view)
{
	struct strbuf *out = &who->cli->out;
	struct grid grid;

	grid_init(&grid, "ZONE|>HITS|LAST HIT");
	for (size_t i = 0; i < view->hit_count; i++) {
		grid_cell(&grid, view->hits[i].zone);
		grid_cell_u64(&grid, view->hits[i].hit.hits);
		grid_cell_time(&grid, view->hits[i].hit.last_ms);
	}
	if (view->hit_count)
		strbuf_append_text(out, "\nHits of watched and blocked zones:\n");
	grid_print(&grid, out, 0, who->cli->colour);
	grid_deinit(&grid);
}

/* Who it is, and what it counted for. */
static void append_client(struct who *who, const struct client_view *view)
{
	struct strbuf *out = &who->cli->out;
	struct summary seen = {reader_field_i64(&view->fields, "first_seen", 0),
		reader_field_i64(&view->fields, "last_seen", 0), 0};
	const char *name = reader_field_text(&view->fields, "name");

	who_append_bold(who, view->client);
	if (view->fields.count == 0) {
		strbuf_append_text(out, " asked nothing here, but is known otherwise.\n");
		return;
	}
	if (name && *name) {
		strbuf_append_text(out, " (");
		output_text(out, name);
		strbuf_append_char(out, ')');
	}
	strbuf_append_text(out, " is a client: ");
	const char *forwarder = reader_field_text(&view->fields, "forwarder");
	if (forwarder) {
		strbuf_append_text(out, "it looks like a forwarder (");
		output_text(out, forwarder);
		strbuf_append_text(out, "); ");
	}
	who_append_period(who, &seen);
	append_counters(who, &view->fields);
	const struct told_teredo told = told_teredo_of(&view->fields);
	told_teredo_words(&told, "  It was ", "\n", out);
}

static void client_text(struct who *who, const struct client_view *view)
{
	struct strbuf *out = &who->cli->out;

	append_client(who, view);
	who_append_story(who, &view->facts);
	append_hits(who, view);
	who_append_ranks(who, &view->names, "Names it asked:", "NAME|>QUERIES");
	if (view->pairs.count)
		strbuf_append_text(out, "\nAddresses it was told:\n");
	who_append_pairs(who, &view->pairs, &view->retries,
		"ADDRESS|NAME ASKED|>TIMES|EVERY|FIRST|LAST|BY WAY OF");
	who_append_rules(who, &view->rules);
	who_append_drops(who, &view->drops);
	who_append_history(who, &view->history);
	who_append_hosts(who, &view->hosts);
	strbuf_append_char(out, '\n');
	cli_coverage_text(who->cli, who->fleet, &who->coverage, out);
	who_append_sources(who, &view->facts);
}

static void client_json(struct who *who, const struct client_view *view)
{
	struct strbuf *out = &who->cli->out;
	const struct who_series none = {.count = 0}; /* other clients go there, too */
	const struct who_total totals[] = {{"names", view->names.count},
		{"watched_names", view->facts.names.count}, {"drops", view->drops.count},
		{"history", view->history.count}, {"pairs", view->pairs.count}};

	strbuf_json_text(out, "client", view->client);
	const char *called = reader_field_text(&view->fields, "name");
	const char *forwarder = reader_field_text(&view->fields, "forwarder");
	if (called)
		strbuf_json_text(out, "name", called);
	if (forwarder)
		strbuf_json_text(out, "forwarder", forwarder);
	const struct told_teredo told = told_teredo_of(&view->fields);
	told_teredo_json(&told, out);
	strbuf_json_key(out, "counters");
	strbuf_append_char(out, '{');
	for (int c = 0; c < CLIENT_COUNTER_COUNT; c++) {
		const char *name = client_counter_name((enum client_counter)c);
		strbuf_json_u64(out, name, (uint64_t)reader_field_i64(&view->fields, name, 0));
	}
	strbuf_append_char(out, '}');
	output_json_time(out, "first_seen", reader_field_i64(&view->fields, "first_seen", 0));
	output_json_time(out, "last_seen", reader_field_i64(&view->fields, "last_seen", 0));
	strbuf_json_key(out, "hits");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < view->hit_count; i++) {
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "zone", view->hits[i].zone);
		strbuf_json_u64(out, "hits", view->hits[i].hit.hits);
		output_json_time(out, "last", view->hits[i].hit.last_ms);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
	who_append_story_json(who, &view->facts);
	who_append_words_json(who, "watched_names", &view->facts.names);
	who_append_rules_json(who, &view->rules);
	who_append_logs_json(who, &view->facts, &none, &view->drops);
	who_append_history_json(who, &view->history);
	who_append_hosts_json(who, &view->hosts);
	who_append_ranks_json(who, "names", "name", &view->names);
	who_append_totals_json(who, totals, sizeof(totals) / sizeof(totals[0]));
	who_append_pairs_json(who, &view->pairs, &view->retries);
}

/* A name is no client, and need not be looked for in every hour. */
enum td_error who_find_in_logs(struct who *who, const char *client, bool *found)
{
	const char *const words[] = {client};
	const struct who_list self = {.words = words, .count = 1};
	struct who_hosts hosts;
	struct who_drops drops;
	struct address address;

	*found = false;
	if (!client_from_text(&address, client))
		return TD_OK;
	enum td_error error = who_load_hosts(who, &self, &hosts);
	if (error == TD_OK)
		error = who_load_drops(who, client, NULL, &drops);
	if (error != TD_OK)
		return error;
	*found = drops.count > 0 || (hosts.count && (hosts.rows[0].event_ms > 0 ||
							   hosts.rows[0].remediated_ms > 0));
	return TD_OK;
}

enum td_error who_show_client(struct who *who, const char *client, bool *found)
{
	struct client_view view = {.client = client};
	struct arena *arena = &who->cli->arena;
	struct client_pairs client_pairs = {who, client, &view.pairs};

	enum td_error error = fleet_client(who->fleet, arena, client, &view.fields);
	if (error != TD_OK)
		return error;
	*found = true;
	error = fleet_ranks(
		who->fleet, arena, READER_CLIENT_NAMES, client, READER_ROWS_MAX, &view.names, NULL);
	if (error == TD_OK)
		error = fleet_each(who->fleet, add_client_pairs, &client_pairs);
	if (error == TD_OK)
		error = load_hits(who, &view);
	if (error == TD_OK)
		error = load_questions(who, &view);
	if (error == TD_OK)
		error = load_logs(who, &view);
	if (error == TD_OK)
		error = load_imports(who, &view);
	if (error != TD_OK)
		return error;
	who_sort(&view.pairs);
	set_facts(who, &view);
	(who->cli->json ? client_json : client_text)(who, &view);
	return TD_OK;
}

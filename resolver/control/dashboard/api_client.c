/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET clients/{client}: its row and counters, its group, its zones with the modes that hold for it,
 * its names and a week of hours.
 * Whether a rule matched a name is told by what was recorded (the watched names of the hours in
 * which the client had hits, and the rules of that very name), not by asking the daemon name by
 * name: it costs two pipelines, and holds for resolvers elsewhere too.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/dns/address.h"
#include "policy/groups.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/zones.h"
#include "resolver/control/fleet_hours.h"
#include "resolver/control/told_teredo.h"
#include "resolver/feeds.h"
#include "resolver/telemetry/redis/reader_clients.h"
#include "resolver/telemetry/redis/schema.h"

#define HOUR_MS INT64_C(3600000)
#define HOURS 168
#define NAMES_MISSING 100
#define NAMES_MAX 1001 /* all that Redis keeps of a client, and "*other" */

struct view {
	struct api_context *context;
	struct fleet *fleet;
	const char *client;
	struct reader_fields fields;
	uint64_t limit;
	struct reader_ranks names;
	bool *watched; /* of each name */
	struct zones zones;
	const char *group; /* as zones_group_of says */
	int64_t first_hour;
	uint64_t queries[HOURS], watched_hours[HOURS], blocked[HOURS];
};

/* As Redis has it: "2001:DB8::1" is 2001:db8::1. */
static const char *canonical(struct arena *arena, const char *text)
{
	struct address address;
	char out[ADDRESS_TEXT_MAX];

	if (!client_from_text(&address, text))
		return text;
	address_to_text(&address, out);
	const char *copy = arena_copy(arena, out, strlen(out) + 1);
	return copy ? copy : text;
}

/* --- its names --- */

struct name_look {
	struct view *view;
	const char **names;
	bool *found;
	int64_t hours[HOURS];
	size_t hour_count;
};

static enum td_error look_in_hours(void *context, struct fleet_member *member)
{
	struct name_look *look = context;
	struct view *view = look->view;
	enum td_error error = reader_watched_names(member->reader, view->client, look->names,
		view->names.count, look->hours, look->hour_count, look->found);

	for (size_t i = 0; i < view->names.count && error == TD_OK; i++)
		view->watched[i] = view->watched[i] || look->found[i];
	return error;
}

/* Those of the rules of a zone that have the name itself and were hit, by whomever. */
static enum td_error look_in_rules(void *context, struct fleet_member *member)
{
	struct name_look *look = context;
	struct view *view = look->view;
	const struct options *options = view->context->cli->options;
	struct reader_rank *rows =
		arena_alloc(&view->context->cli->arena, (view->names.count + 1) * sizeof(*rows));
	enum td_error error = rows ? TD_OK : TD_NOMEM;

	for (size_t z = 0; z < options->zone_count && error == TD_OK; z++) {
		for (size_t i = 0; i < view->names.count; i++)
			rows[i] = view->names.rows[i];
		error = reader_scores(member->reader, READER_RULES, options->zones[z].name, rows,
			view->names.count);
		for (size_t i = 0; i < view->names.count && error == TD_OK; i++)
			view->watched[i] = view->watched[i] || rows[i].value > 0;
	}
	return error;
}

static enum td_error look_for_watched(struct view *view)
{
	struct arena *arena = &view->context->cli->arena;
	struct name_look *look = arena_alloc(arena, sizeof(*look));

	if (!look)
		return TD_NOMEM;
	*look = (struct name_look){.view = view};
	look->names = arena_alloc(arena, (view->names.count + 1) * sizeof(*look->names));
	look->found = arena_alloc(arena, view->names.count + 1);
	if (!look->names || !look->found)
		return TD_NOMEM;
	for (size_t i = 0; i < view->names.count; i++)
		look->names[i] = view->names.rows[i].member;
	for (size_t h = 0; h < HOURS; h++)
		if (view->watched_hours[h] || view->blocked[h])
			look->hours[look->hour_count++] = view->first_hour + (int64_t)h;
	enum td_error error = fleet_each(view->fleet, look_in_hours, look);
	return error == TD_OK ? fleet_each(view->fleet, look_in_rules, look) : error;
}

static enum td_error load_names(struct view *view)
{
	struct arena *arena = &view->context->cli->arena;
	enum td_error error = fleet_ranks(view->fleet, arena, READER_CLIENT_NAMES, view->client,
		view->limit, &view->names, NULL);

	if (error != TD_OK)
		return error;
	view->watched = arena_alloc(arena, view->names.count + 1);
	if (!view->watched)
		return TD_NOMEM;
	memset(view->watched, 0, view->names.count + 1);
	/* Nothing that it ever asked was watched: no name of it was. */
	if (reader_field_i64(&view->fields, "watched", 0) <= 0 &&
		reader_field_i64(&view->fields, "blocked", 0) <= 0)
		return TD_OK;
	return look_for_watched(view);
}

/* --- the rest --- */

static enum td_error load_hours(struct view *view)
{
	const struct reader_span span = {view->first_hour, HOURS};
	enum td_error error =
		fleet_hour_client(view->fleet, "queries", view->client, span, view->queries);

	if (error == TD_OK)
		error = fleet_hour_client(
			view->fleet, "watched", view->client, span, view->watched_hours);
	if (error == TD_OK)
		error = fleet_hour_client(
			view->fleet, "blocked", view->client, span, view->blocked);
	return error;
}

/* By the configuration; NULL: in none, or it does not show who it is (a pseudonym, a name). */
static const char *configured_group(const struct options *options, const char *client)
{
	struct address address;

	if (options->group_count == 0 || !client_from_text(&address, client))
		return NULL;
	struct policy_groups *groups = feeds_groups(options);
	uint8_t group = groups ? policy_groups_find(groups, &address, NULL) : 0;
	policy_groups_free(groups);
	return group ? options->groups[group - 1].name : NULL;
}

/* What the daemon beside us has in force, of whatever resolvers the request is: as GET policy says.
 * Of one elsewhere nothing is known. */
static enum td_error load_modes(struct view *view)
{
	struct cli *cli = view->context->cli;
	const struct fleet *fleet = view->fleet;
	bool ours = fleet->whole ||
		    strcmp(fleet->members[0].resolver, cli->options->resolver_name) == 0;
	enum td_error error = zones_load(cli, ours, &view->zones);

	if (error != TD_OK)
		return error;
	view->group = zones_group_of(cli, &view->zones, view->client);
	return TD_OK;
}

/* As the daemon says; where it does not, by the configuration. */
static const char *group_of(const struct view *view)
{
	if (!view->group)
		return configured_group(view->context->cli->options, view->client);
	return *view->group ? view->group : NULL;
}

static enum td_error append_zones(struct view *view, struct strbuf *out)
{
	const struct options *options = view->context->cli->options;
	enum td_error error = TD_OK;

	strbuf_json_key(out, "zones");
	strbuf_append_char(out, '[');
	for (size_t z = 0; z < options->zone_count && error == TD_OK; z++) {
		struct fleet_hit hit;
		error = fleet_client_hits(view->fleet, &view->context->cli->arena,
			options->zones[z].name, view->client, &hit);
		if (error != TD_OK || hit.hits == 0)
			continue;
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "zone", options->zones[z].name);
		strbuf_json_text(out, "mode",
			zones_mode_for(&view->zones, options->zones[z].name, view->group));
		strbuf_json_u64(out, "hits", hit.hits);
		output_json_time(out, "last", hit.last_ms);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
	return error;
}

static uint64_t counter_of(const struct view *view, enum client_counter counter)
{
	int64_t value = reader_field_i64(&view->fields, client_counter_name(counter), 0);

	return value > 0 ? (uint64_t)value : 0;
}

/* The members of a row of GET clients, and all counters. */
static void append_client(const struct view *view, struct strbuf *out)
{
	static const enum client_counter shown[] = {COUNTER_queries, COUNTER_watched,
		COUNTER_blocked, COUNTER_cached, COUNTER_nxdomain};
	const struct reader_fields *fields = &view->fields;
	const struct told_teredo told = told_teredo_of(fields);

	strbuf_json_text(out, "client", view->client);
	strbuf_json_text(out, "name", reader_field_text(fields, "name"));
	strbuf_json_text(out, "forwarder", reader_field_text(fields, "forwarder"));
	told_teredo_json_or_null(&told, out);
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		strbuf_json_u64(out, client_counter_name(shown[i]), counter_of(view, shown[i]));
	output_json_time(out, "first", reader_field_i64(fields, "first_seen", 0));
	output_json_time(out, "last", reader_field_i64(fields, "last_seen", 0));
	strbuf_json_key(out, "counters");
	strbuf_append_char(out, '{');
	for (int c = 0; c < CLIENT_COUNTER_COUNT; c++)
		strbuf_json_u64(out, client_counter_name((enum client_counter)c),
			counter_of(view, (enum client_counter)c));
	strbuf_append_char(out, '}');
	strbuf_json_text(out, "group", group_of(view));
}

static void append_names(const struct view *view, struct strbuf *out)
{
	strbuf_json_u64(out, "name_count", view->names.total);
	strbuf_json_key(out, "names");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < view->names.count; i++) {
		const struct reader_rank *row = &view->names.rows[i];
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "name", row->member);
		strbuf_json_u64(out, "queries", row->value > 0 ? (uint64_t)row->value : 0);
		strbuf_json_bool(out, "watched", view->watched[i]);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}

static void append_counts(struct strbuf *out, const char *key, const uint64_t counts[HOURS])
{
	strbuf_json_key(out, key);
	strbuf_append_char(out, '[');
	for (size_t h = 0; h < HOURS; h++) {
		output_json_next(out);
		strbuf_append_u64(out, counts[h]);
	}
	strbuf_append_char(out, ']');
}

static void append_hours(const struct view *view, struct strbuf *out)
{
	strbuf_json_key(out, "hours");
	strbuf_append_char(out, '{');
	output_json_time(out, "from", view->first_hour * HOUR_MS);
	append_counts(out, "queries", view->queries);
	append_counts(out, "watched", view->watched_hours);
	append_counts(out, "blocked", view->blocked);
	strbuf_append_char(out, '}');
}

void api_client(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct cli *cli = context->cli;
	struct view *view = arena_alloc(&cli->arena, sizeof(*view));

	if (!view) {
		api_fail(reply, 500, "out of memory");
		return;
	}
	*view = (struct view){.context = context,
		.client = canonical(&cli->arena, request->parts[0]),
		.first_hour = cli->now_ms / HOUR_MS - HOURS + 1};
	if (!api_number(request, reply, "names", NAMES_MISSING, 1, NAMES_MAX, &view->limit))
		return;
	view->fleet = api_fleet(context, request, reply);
	if (!view->fleet)
		return;
	enum td_error error = fleet_client(view->fleet, &cli->arena, view->client, &view->fields);
	if (error == TD_OK && view->fields.count == 0) {
		api_fail(
			reply, 404, "this client has not asked anything, or is not known any more");
		return;
	}
	if (error == TD_OK)
		error = load_hours(view);
	if (error == TD_OK)
		error = load_names(view);
	if (error == TD_OK)
		error = load_modes(view);
	if (error == TD_OK) {
		api_begin(context, view->fleet, reply);
		append_client(view, &reply->body);
		error = append_zones(view, &reply->body);
	}
	if (error != TD_OK) {
		api_fleet_failed(context, view->fleet, reply);
		return;
	}
	append_names(view, &reply->body);
	append_hours(view, &reply->body);
	api_end(reply);
}

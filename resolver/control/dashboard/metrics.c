/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET /metrics: collects the facts anew for each scrape. Nothing is kept here from one to the next,
 * as every counter is Redis's or the daemon's own; so several servers may scrape, and a restart of
 * the dashboard is seen by none.
 *
 * What is away makes no error: a scrape that fails says less than one with teredown_redis_up 0. A
 * resolver that fails in the middle is left out as a whole, and counted.
 *
 * Rejected: a series for each client. A network has thousands, and a flood of forged addresses as
 * many as it likes; so the number of names is bounded by an option, and what they leave is one sum.
 */
#include "resolver/control/dashboard/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/control/attributes.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/metrics_text.h"
#include "resolver/control/dashboard/session.h"
#include "resolver/control/fleet.h"
#include "resolver/telemetry/redis/schema.h"

#define PATIENCE_MS 2000 /* with the daemon: a scrape has ten seconds for all */
#define RULES_READ 2000  /* more than a zone has in Redis */

struct collection {
	struct api_context *context;
	struct metrics_facts *facts;
	struct control_answer *status; /* NULL: the daemon beside us does not answer */
	bool denied;                   /* it may run, but is not for us to ask */
};

static struct arena *arena_of(const struct collection *collection)
{
	return &collection->context->cli->arena;
}

static const char *copy_word(struct arena *arena, const char *text, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);

	if (!copy)
		return "";
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

/* --- zones --- */

/* "NAME MODE rules=4 kind=tunnel state=ok" */
static void take_said_zones(const struct collection *collection, struct metrics_resolver *resolver)
{
	struct arena *arena = arena_of(collection);
	char kind[16];

	for (size_t i = 0; i < collection->status->count; i++) {
		const struct control_line *line = &collection->status->lines[i];
		if (strcmp(line->key, "zone") != 0 || resolver->zone_count == METRICS_ZONES_MAX)
			continue;
		size_t name = strcspn(line->value, " ");
		const char *mode = line->value + name + (line->value[name] == ' ');
		attribute_word(line->value, "kind", kind, sizeof(kind));
		resolver->zones[resolver->zone_count++] =
			(struct metrics_zone){.name = copy_word(arena, line->value, name),
				.kind = copy_word(arena, kind, strlen(kind)),
				.mode = copy_word(arena, mode, strcspn(mode, " ")),
				.rules = (uint64_t)attribute_number(line->value, "rules")};
	}
}

/* Of a resolver elsewhere: those of our configuration, whose hits it may have. */
static void take_configured_zones(
	const struct collection *collection, struct metrics_resolver *resolver)
{
	const struct options *options = collection->context->cli->options;

	for (size_t i = 0; i < options->zone_count && i < METRICS_ZONES_MAX; i++) {
		const struct zone_options *zone = &options->zones[i];
		if (zone->kind == ZONE_LOCAL)
			continue;
		resolver->zones[resolver->zone_count++] = (struct metrics_zone){
			.name = zone->name, .kind = zone->kind == ZONE_TUNNEL ? "tunnel" : "list"};
	}
}

static enum td_error read_zone(
	const struct collection *collection, struct reader *reader, struct metrics_zone *zone)
{
	size_t clients = collection->context->cli->options->dashboard_metrics_clients;
	struct arena *arena = arena_of(collection);
	struct reader_ranks rules;
	enum td_error error =
		reader_ranks(reader, arena, READER_RULES, zone->name, RULES_READ, &rules);

	for (size_t i = 0; i < rules.count; i++)
		zone->hits += rules.rows[i].value > 0 ? (uint64_t)rules.rows[i].value : 0;
	zone->has_hits = error == TD_OK;
	if (error != TD_OK || clients == 0 || strcmp(zone->kind, "tunnel") != 0)
		return error;
	error = reader_ranks(reader, arena, READER_ZONE_CLIENTS, zone->name, clients, &zone->top);
	if (error == TD_OK)
		error = reader_ranks(
			reader, arena, READER_ZONE_LAST, zone->name, clients, &zone->last);
	return error;
}

static enum td_error read_zones(const struct collection *collection, struct reader *reader,
	struct metrics_resolver *resolver)
{
	enum td_error error = TD_OK;

	for (size_t i = 0; i < resolver->zone_count && error == TD_OK; i++)
		error = read_zone(collection, reader, &resolver->zones[i]);
	return error;
}

/* When those who hit the zone teredo last were told a server. */
static enum td_error read_told(const struct collection *collection, struct reader *reader,
	struct metrics_resolver *resolver)
{
	const struct metrics_zone *teredo = NULL;

	for (size_t i = 0; i < resolver->zone_count; i++)
		if (strcmp(resolver->zones[i].name, "teredo") == 0)
			teredo = &resolver->zones[i];
	size_t count = teredo ? teredo->last.count : 0;
	struct reader_client_row *rows =
		count ? arena_alloc(arena_of(collection), count * sizeof(*rows)) : NULL;
	if (!rows)
		return count ? TD_NOMEM : TD_OK;
	memset(rows, 0, count * sizeof(*rows));
	for (size_t i = 0; i < count; i++)
		rows[i].client = teredo->last.rows[i].member;
	resolver->told = rows;
	resolver->told_count = count;
	return reader_client_rows(reader, arena_of(collection), rows, count);
}

/* --- resolvers --- */

static bool is_ours(const struct collection *collection, const char *name)
{
	return strcmp(name, collection->context->cli->options->resolver_name) == 0;
}

/* The place of a resolver, with what its daemon says where that is the one beside us. NULL: no
 * memory. */
static struct metrics_resolver *begin_resolver(
	const struct collection *collection, const char *name)
{
	struct metrics_facts *facts = collection->facts;
	struct metrics_resolver *resolver = &facts->resolvers[facts->resolver_count];

	*resolver = (struct metrics_resolver){.name = name};
	resolver->zones =
		arena_alloc(arena_of(collection), METRICS_ZONES_MAX * sizeof(*resolver->zones));
	if (!resolver->zones)
		return NULL;
	if (is_ours(collection, name) && collection->status) {
		resolver->status = collection->status;
		resolver->up = true;
		take_said_zones(collection, resolver);
	} else {
		take_configured_zones(collection, resolver);
	}
	return resolver;
}

static enum td_error read_member(void *context, struct fleet_member *member)
{
	const struct collection *collection = context;
	struct metrics_resolver *resolver = begin_resolver(collection, member->resolver);
	struct reader *reader = member->reader;
	struct arena *arena = arena_of(collection);
	int64_t redis_ms = 0;

	if (!resolver)
		return TD_NOMEM;
	enum td_error error = reader_meta(reader, arena, &resolver->meta);
	if (error == TD_OK)
		error = reader_hash(reader, arena, READER_TOTALS, &resolver->totals);
	if (error == TD_OK)
		error = reader_time(reader, &redis_ms);
	if (error == TD_OK)
		error = read_zones(collection, reader, resolver);
	if (error == TD_OK)
		error = read_told(collection, reader, resolver);
	if (error != TD_OK)
		return error;
	resolver->has_redis = true;
	if (!is_ours(collection, resolver->name) || collection->denied)
		resolver->up |= reader_field_i64(&resolver->meta, "lease_until", 0) > redis_ms;
	collection->facts->resolver_count++;
	return TD_OK;
}

/* Without Redis, or where ours never wrote there: what its daemon says is still told, or that it is
 * not there. A dashboard of a fleet need not have one beside it. */
static void add_ours(const struct collection *collection)
{
	const struct metrics_facts *facts = collection->facts;
	const char *name = collection->context->cli->options->resolver_name;

	for (size_t i = 0; i < facts->resolver_count; i++)
		if (strcmp(facts->resolvers[i].name, name) == 0)
			return;
	if (!collection->status && collection->context->shared->fleet)
		return;
	if (begin_resolver(collection, name))
		collection->facts->resolver_count++;
}

static void read_redis(
	struct collection *collection, const struct api_request *request, struct api_reply *reply)
{
	struct metrics_facts *facts = collection->facts;
	struct fleet *fleet = api_fleet(collection->context, request, reply);

	if (!fleet)
		return;
	facts->resolvers =
		arena_alloc(arena_of(collection), (fleet->count + 1) * sizeof(*facts->resolvers));
	if (!facts->resolvers)
		return;
	enum td_error error = fleet_each(fleet, read_member, collection);
	facts->redis_up = error == TD_OK;
	facts->missing = fleet_missing(fleet) + fleet->beyond;
	if (error != TD_OK)
		api_fleet_failed(collection->context, fleet, reply);
}

/* Whether the request is, among others, about the resolver beside us. */
static bool asks_for_ours(const struct api_context *context, const struct api_request *request)
{
	const char *name = api_parameter(request, "resolver");

	return !name || strcmp(name, "*") == 0 ||
	       strcmp(name, context->cli->options->resolver_name) == 0;
}

static void collect(
	struct collection *collection, const struct api_request *request, struct api_reply *reply)
{
	struct metrics_facts *facts = collection->facts;

	read_redis(collection, request, reply);
	if (!facts->resolvers)
		facts->resolvers = arena_alloc(arena_of(collection), sizeof(*facts->resolvers));
	if (facts->resolvers && asks_for_ours(collection->context, request))
		add_ours(collection);
}

void api_metrics(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct metrics_facts facts = {.redis_on = strcmp(context->cli->options->redis, "off") != 0,
		.now_ms = context->cli->now_ms,
		.dashboard = context->shared};
	static const char *const words[] = {"status"};
	struct collection collection = {.context = context, .facts = &facts};
	struct control_answer status;
	int patience_ms = context->cli->patience_ms;

	access_count(sessions_access(context->shared), &facts.access);
	context->cli->patience_ms = PATIENCE_MS;
	enum control_outcome outcome = cli_ask_silently(context->cli, 1, words, &status);
	collection.status = outcome == CONTROL_OK ? &status : NULL;
	collection.denied = outcome == CONTROL_DENIED;
	context->cli->patience_ms = patience_ms;
	collect(&collection, request, reply);
	if (reply->status != 400 && reply->status != 404) {
		reply->status = 200;
		reply->type = METRICS_TYPE;
		strbuf_clear(&reply->body);
		metrics_write(&reply->body, &facts);
	}
	control_answer_free(&status);
}

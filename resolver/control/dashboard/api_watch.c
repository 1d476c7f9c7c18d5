/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET watch and watch/{zone}: the tunnel zones and whatever else is watched or blocked. The list
 * shows the head of everything; one zone shows its clients a page at a time.
 */
#include <string.h>

#include "resolver/control/dashboard/api.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/watch.h"
#include "resolver/control/told_teredo.h"
#include "resolver/telemetry/redis/schema.h"

#define NAMES_LISTED 20
#define NAMES_SHOWN 500
#define PAGE_DEFAULT 100
#define OFFSET_MAX READER_ROWS_MAX
#define HOUR_MS INT64_C(3600000)

/* Modes are those of the daemon beside us, which belongs to any fleet, even if it wrote nothing yet. */
static bool is_ours(const struct cli *cli, const struct fleet *fleet)
{
	return fleet->whole ||
	       strcmp(fleet->members[0].resolver, cli->options->resolver_name) == 0;
}

static bool is_other(const char *client)
{
	return strcmp(client, SCHEMA_OTHER) == 0;
}

/* --- parts of a zone --- */

static void told_json(const struct watch_client *row, struct strbuf *out)
{
	const struct told_teredo told = {row->told_ms, row->told_last_ms, row->server};

	told_teredo_json_or_null(&told, out);
}

static void fresh_json(const struct watch_zone *zone, struct strbuf *out)
{
	strbuf_json_key(out, "new_clients");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < zone->fresh_count && i < WATCH_NEW_MAX; i++) {
		const struct watch_client *row = &zone->fresh[i];
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "client", row->client);
		strbuf_json_text(out, "name", row->name);
		output_json_time(out, "first", row->first_ms);
		told_json(row, out);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
	strbuf_json_u64(out, "new_count", zone->fresh_count);
}

static void trend_json(const struct watch *watch, const struct watch_zone *zone, struct strbuf *out)
{
	strbuf_json_key(out, "trend");
	strbuf_append_char(out, '{');
	output_json_time(out, "from", watch->first_hour * HOUR_MS);
	strbuf_json_key(out, "counts");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < WATCH_HOURS; i++) {
		output_json_next(out);
		strbuf_append_u64(out, zone->trend[i]);
	}
	strbuf_append_text(out, "]}");
}

static void names_json(const struct watch_zone *zone, size_t most, struct strbuf *out)
{
	strbuf_json_key(out, "names");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < zone->name_count && i < most; i++) {
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "name", zone->names[i].name);
		strbuf_json_u64(out, "hits", zone->names[i].hits);
		strbuf_json_u64(out, "clients", zone->names[i].clients);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
	strbuf_json_u64(out, "name_count", zone->name_count);
}

/* The members of a zone's object but for its clients. */
static void zone_json(
	const struct watch *watch, const struct watch_zone *zone, size_t names, struct strbuf *out)
{
	strbuf_json_text(out, "zone", zone->state->zone);
	strbuf_json_text(out, "kind", zone->state->kind);
	zone_mode_json(zone->state, out);
	strbuf_json_u64(out, "hits", zone->totals.hits);
	strbuf_json_u64(out, "hits_today", zone->today);
	strbuf_json_u64(out, "hits_yesterday", zone->yesterday);
	output_json_time(out, "last", zone->totals.last_ms);
	fresh_json(zone, out);
	trend_json(watch, zone, out);
	names_json(zone, names, out);
}

/* --- the list --- */

/* False: the reply is a problem. */
static bool load(struct api_context *context, struct fleet *fleet, struct api_reply *reply,
	struct watch *watch)
{
	struct cli *cli = context->cli;
	bool ours = is_ours(cli, fleet);
	struct zones zones;

	enum td_error error = zones_load(cli, ours, &zones);
	if (error == TD_OK)
		error = watch_load(context->shared->watch, cli, fleet, &zones, ours, watch);
	if (error == TD_NOMEM)
		api_fail(reply, 500, "%s", error_text(error));
	else if (error != TD_OK)
		api_fleet_failed(context, fleet, reply);
	return error == TD_OK;
}

void api_get_watch(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct fleet *fleet = api_fleet(context, request, reply);
	struct strbuf *out = &reply->body;
	struct watch watch;

	if (!fleet || !load(context, fleet, reply, &watch))
		return;
	api_begin(context, fleet, reply);
	strbuf_json_key(out, "zones");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < watch.count; i++) {
		output_json_next(out);
		strbuf_append_char(out, '{');
		zone_json(&watch, &watch.zones[i], NAMES_LISTED, out);
		strbuf_json_u64(out, "clients", watch.zones[i].totals.clients);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
	strbuf_json_u64(out, "unplaced", watch.unplaced);
	strbuf_json_bool(out, "cut", watch.cut);
	api_end(reply);
}

/* --- one zone --- */

struct page {
	uint64_t offset, limit;
	struct watch_client *rows;
	size_t count;
	uint64_t others; /* hits of clients that a bound took */
	bool cut;
};

static int64_t first_hit(const struct watch_firsts *firsts, const char *client, const char *zone)
{
	for (size_t i = 0; i < firsts->count; i++)
		if (strcmp(firsts->rows[i].client, client) == 0 &&
			strcmp(firsts->rows[i].zone, zone) == 0)
			return firsts->rows[i].ms;
	return 0;
}

static void set_firsts(struct page *page, const struct watch_firsts *firsts, const char *zone)
{
	for (size_t i = 0; i < page->count; i++)
		page->rows[i].first_ms = first_hit(firsts, page->rows[i].client, zone);
	page->cut = page->cut || firsts->cut;
}

/* Most hits first; the member of a bound is none of them, and may stand on another page. */
static enum td_error load_page(
	struct cli *cli, struct fleet *fleet, const char *zone, struct page *page)
{
	struct watch_firsts firsts;
	struct fleet_hits hits;
	size_t most = (size_t)(page->offset + page->limit) + 1, clients = 0;
	int64_t others = 0;

	enum td_error error = fleet_zone_hits(fleet, &cli->arena, zone, most, &hits);
	page->rows = arena_alloc(&cli->arena, (hits.count + 1) * sizeof(*page->rows));
	if (error != TD_OK || !page->rows)
		return error != TD_OK ? error : TD_NOMEM;
	for (size_t i = 0; i < hits.count && page->count < page->limit; i++) {
		const struct fleet_hit *hit = &hits.rows[i];
		if (!is_other(hit->client) && clients++ >= page->offset)
			page->rows[page->count++] = (struct watch_client){
				.client = hit->client, .hits = hit->hits, .last_ms = hit->last_ms};
	}
	error = fleet_score(
		fleet, &cli->arena, READER_ZONE_CLIENTS, zone, SCHEMA_OTHER, &others);
	page->others = others > 0 ? (uint64_t)others : 0;
	if (error == TD_OK)
		error = watch_know_clients(cli, fleet, page->rows, page->count);
	if (error == TD_OK)
		error = watch_firsts_load(cli, fleet, 0, &firsts);
	if (error == TD_OK)
		set_firsts(page, &firsts, zone);
	return error;
}

static void client_json(const struct cli *cli, const struct watch_client *row, struct strbuf *out)
{
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "client", row->client);
	strbuf_json_text(out, "name", row->name);
	strbuf_json_u64(out, "hits", row->hits);
	output_json_time(out, "first", row->first_ms);
	output_json_time(out, "last", row->last_ms);
	strbuf_json_bool(out, "new", row->first_ms > cli->now_ms - 24 * HOUR_MS);
	told_json(row, out);
	strbuf_append_char(out, '}');
}

static void page_json(const struct cli *cli, const struct watch_zone *zone, const struct page *page,
	struct strbuf *out)
{
	strbuf_json_key(out, "clients");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < page->count; i++)
		client_json(cli, &page->rows[i], out);
	strbuf_append_char(out, ']');
	strbuf_json_u64(out, "total", zone->totals.clients);
	strbuf_json_u64(out, "offset", page->offset);
	strbuf_json_u64(out, "others", page->others);
}

static const struct watch_zone *find_zone(const struct watch *watch, const char *name)
{
	for (size_t i = 0; i < watch->count; i++)
		if (strcmp(watch->zones[i].state->zone, name) == 0)
			return &watch->zones[i];
	return NULL;
}

/* Both of the same resolvers, as watch_load. NULL: the reply is a problem. */
static const struct watch_zone *load_zone(struct api_context *context, struct fleet *fleet,
	const char *name, struct api_reply *reply, struct watch *watch, struct page *page)
{
	const struct watch_zone *zone;
	const struct page asked = *page;
	size_t missing;

	do {
		*page = asked;
		if (!load(context, fleet, reply, watch))
			return NULL;
		missing = fleet_missing(fleet);
		zone = find_zone(watch, name);
		if (!zone) {
			api_fail(reply, 404,
				"no zone of that name is watched or blocked, or was hit");
			return NULL;
		}
		if (load_page(context->cli, fleet, zone->state->zone, page) != TD_OK) {
			api_fleet_failed(context, fleet, reply);
			return NULL;
		}
	} while (fleet_missing(fleet) != missing);
	return zone;
}

void api_get_watch_zone(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct cli *cli = context->cli;
	struct page page = {.count = 0};
	struct watch watch;

	if (!api_number(request, reply, "offset", 0, 0, OFFSET_MAX, &page.offset) ||
		!api_number(
			request, reply, "limit", PAGE_DEFAULT, 1, WATCH_CLIENTS_MAX, &page.limit))
		return;
	struct fleet *fleet = api_fleet(context, request, reply);
	if (!fleet)
		return;
	const struct watch_zone *zone =
		load_zone(context, fleet, request->parts[0], reply, &watch, &page);
	if (!zone)
		return;
	api_begin(context, fleet, reply);
	zone_json(&watch, zone, NAMES_SHOWN, &reply->body);
	page_json(cli, zone, &page, &reply->body);
	strbuf_json_u64(&reply->body, "unplaced", watch.unplaced);
	strbuf_json_bool(&reply->body, "cut", watch.cut || page.cut);
	api_end(reply);
}

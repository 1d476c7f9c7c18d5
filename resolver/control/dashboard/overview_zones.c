/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Upstreams, zones, and who hit a tunnel zone last. What the daemon says of them is of this second,
 * so that a change of mode shows at once; what Redis says is looked up every few seconds. All reads
 * are bounded: the figures of a zone as the other pages have them (zones.h), the heads of the
 * last-hit lists, and, for when a client was first seen in a zone, the newest of the events, looked
 * through once for each that is not known yet.
 */
#include "resolver/control/dashboard/overview_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/attributes.h"
#include "resolver/control/dashboard/zones.h"
#include "resolver/control/json_view.h"
#include "resolver/control/told_teredo.h"
#include "resolver/telemetry/redis/schema.h"

#define EVENTS_LOOKED_AT 2000
#define LOOK_AGAIN_MS 60000

void overview_json_attribute(
	struct strbuf *out, const char *key, const char *text, const char *attribute)
{
	const char *value = attribute_rest(text, attribute);
	size_t digits = strspn(value, "0123456789");

	strbuf_json_key(out, key);
	if (digits == 0 || digits > 18 || (value[digits] && value[digits] != ' '))
		strbuf_append_text(out, "null");
	else
		strbuf_append_u64(out, strtoull(value, NULL, 10));
}

static const char *first_word(const char *text, char *out, size_t size)
{
	snprintf(out, size, "%.*s", (int)strcspn(text, " "), text);
	return out;
}

/* --- upstreams --- */

static void add_upstream(
	struct strbuf *out, const char *resolver, const char *address, const char *state)
{
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "resolver", resolver);
	strbuf_json_text(out, "address", address);
	strbuf_json_text(out, "state", state);
}

/* As the daemon says: "9.9.9.9:53 state=ok srtt_us=800 …". */
static void add_status_upstreams(struct overview_facts *facts, struct strbuf *out)
{
	const struct control_answer *status = &facts->status;
	char address[128], state[32];

	for (size_t i = 0; i < status->count; i++) {
		const char *value = status->lines[i].value;
		if (strcmp(status->lines[i].key, "upstream") != 0)
			continue;
		add_upstream(out, facts->context->cli->options->resolver_name,
			first_word(value, address, sizeof(address)),
			attribute_word(value, "state", state, sizeof(state)));
		overview_json_attribute(out, "srtt_us", value, "srtt_us");
		strbuf_append_char(out, '}');
	}
}

/* As Redis knows: "9.9.9.9:53=ok [2001:db8::1]:53=backoff". */
static void add_gauge_upstreams(struct strbuf *out, const char *resolver, const char *states)
{
	char word[160];

	for (; *states; states += strcspn(states, " "), states += *states == ' ') {
		first_word(states, word, sizeof(word));
		char *equals = strrchr(word, '=');
		if (!equals)
			continue;
		*equals = '\0';
		add_upstream(out, resolver, word, equals + 1);
		strbuf_append_text(out, ",\"srtt_us\":null}");
	}
}

static enum td_error add_member_upstreams(void *context, struct fleet_member *member)
{
	struct overview_facts *facts = context;
	struct cli *cli = facts->context->cli;
	struct reader_fields meta;

	if (facts->has_daemon && strcmp(member->resolver, cli->options->resolver_name) == 0)
		return TD_OK;
	enum td_error error = reader_meta(member->reader, &cli->arena, &meta);
	const char *states = reader_field_text(&meta, "gauge_upstreams_state");
	if (error == TD_OK && states)
		add_gauge_upstreams(facts->fresh, member->resolver, states);
	return error;
}

static enum td_error read_upstreams(struct overview_facts *facts, struct strbuf *out)
{
	enum td_error error = TD_OK;

	facts->fresh = out;
	strbuf_append_char(out, '[');
	if (facts->has_daemon && facts->ours)
		add_status_upstreams(facts, out);
	if (facts->fleet && (facts->whole || !facts->has_daemon))
		error = fleet_each(facts->fleet, add_member_upstreams, facts);
	strbuf_append_char(out, ']');
	return error;
}

/* --- zones --- */

static bool is_shown(const struct zone_state *zone)
{
	return strcmp(zone->kind, "local") != 0;
}

static struct known_zone *find_known(struct overview *overview, const char *name)
{
	for (size_t i = 0; i < overview->known_zone_count; i++)
		if (strcmp(overview->known_zones[i].name, name) == 0)
			return &overview->known_zones[i];
	return NULL;
}

static void keep_known(struct overview *overview, const char *name, uint64_t clients, uint64_t hits)
{
	struct known_zone *known = find_known(overview, name);

	if (!known && overview->known_zone_count < POLICY_ZONES_MAX) {
		known = &overview->known_zones[overview->known_zone_count++];
		snprintf(known->name, sizeof(known->name), "%s", name);
	}
	if (known) {
		known->clients = clients;
		known->hits = hits;
	}
}

/* The mode as it is now, the figures as they were read last. */
static void add_zone_json(
	struct strbuf *out, const struct zone_state *zone, const struct known_zone *known)
{
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "zone", zone->zone);
	strbuf_json_text(out, "kind", zone->kind);
	strbuf_json_text(out, "mode", zone->mode);
	output_json_time(out, "until", zone->until_ms);
	if (known) {
		strbuf_json_u64(out, "clients", known->clients);
		strbuf_json_u64(out, "hits", known->hits);
	} else {
		strbuf_append_text(out, ",\"clients\":null,\"hits\":null");
	}
	strbuf_append_char(out, '}');
}

/* --- who tunnels --- */

struct tunneller {
	const char *client, *zone;
	int64_t last_ms;
};

struct tunnellers {
	struct tunneller rows[OVERVIEW_TUNNELLING_MAX];
	size_t count;
};

/* Keeps the newest. */
static void add_tunneller(struct tunnellers *all, const struct tunneller *one)
{
	size_t at = all->count;

	while (at > 0 && all->rows[at - 1].last_ms < one->last_ms)
		at--;
	if (at == OVERVIEW_TUNNELLING_MAX)
		return;
	if (all->count < OVERVIEW_TUNNELLING_MAX)
		all->count++;
	memmove(&all->rows[at + 1], &all->rows[at], (all->count - 1 - at) * sizeof(all->rows[0]));
	all->rows[at] = *one;
}

static enum td_error read_zone(
	struct overview_facts *facts, const struct zone_state *zone, struct tunnellers *all)
{
	struct cli *cli = facts->context->cli;
	struct zone_totals totals;
	struct reader_ranks newest;
	bool has_tunnel = strcmp(zone->kind, "tunnel") == 0;
	enum td_error error = zone_totals_load(cli, facts->fleet, zone->zone, &totals);

	if (error == TD_OK)
		error = fleet_ranks(facts->fleet, &cli->arena, READER_ZONE_LAST, zone->zone,
			OVERVIEW_TUNNELLING_MAX + 1, &newest, NULL);
	if (error != TD_OK)
		return error;
	keep_known(facts->overview, zone->zone, totals.clients, totals.hits);
	for (size_t i = 0; i < newest.count && has_tunnel; i++) {
		const struct tunneller one = {
			newest.rows[i].member, zone->zone, newest.rows[i].value};
		if (strcmp(one.client, SCHEMA_OTHER) != 0)
			add_tunneller(all, &one);
	}
	return TD_OK;
}

/* --- since when --- */

struct event_search {
	struct arena *arena;
	const char *of;
	int64_t first_ms;
};

static enum td_error search_events(void *context, struct fleet_member *member)
{
	struct event_search *search = context;
	struct reader_records records;
	char kind[32], text[320];
	enum td_error error = reader_last_records(
		member->reader, search->arena, READER_EVENTS, EVENTS_LOOKED_AT, &records);

	for (size_t i = 0; i < records.count; i++) {
		const struct reader_record *row = &records.rows[i];
		if (!json_field(row->json, row->json_length, "kind", kind, sizeof(kind)) ||
			strcmp(kind, "new-client") != 0 ||
			!json_field(row->json, row->json_length, "text", text, sizeof(text)) ||
			strcmp(text, search->of) != 0)
			continue;
		int64_t first_ms = json_time(row->json, row->json_length, "ts");
		if (first_ms && (!search->first_ms || first_ms < search->first_ms))
			search->first_ms = first_ms;
	}
	return error;
}

static struct first_hit *find_first_hit(struct overview *overview, const char *of)
{
	for (size_t i = 0; i < OVERVIEW_FIRST_HITS; i++)
		if (strcmp(overview->first_hits[i].of, of) == 0)
			return &overview->first_hits[i];
	struct first_hit *hit = &overview->first_hits[overview->first_hit_next];
	overview->first_hit_next = (overview->first_hit_next + 1) % OVERVIEW_FIRST_HITS;
	*hit = (struct first_hit){.first_ms = 0};
	snprintf(hit->of, sizeof(hit->of), "%s", of);
	return hit;
}

/* When this client was first seen in this zone; 0 where that is not known any more. */
static enum td_error first_hit_ms(
	struct overview_facts *facts, const struct tunneller *row, int64_t *first_ms)
{
	struct event_search search = {.arena = &facts->context->cli->arena};
	char of[320];

	snprintf(of, sizeof(of), "%s in zone %s", row->client, row->zone);
	struct first_hit *hit = find_first_hit(facts->overview, of);
	*first_ms = hit->first_ms;
	if (hit->first_ms || (hit->looked_ms && facts->mono_ms - hit->looked_ms < LOOK_AGAIN_MS))
		return TD_OK;
	hit->looked_ms = facts->mono_ms;
	search.of = of;
	enum td_error error = fleet_each(facts->fleet, search_events, &search);
	*first_ms = hit->first_ms = search.first_ms;
	return error;
}

/* The members of its object but for the mode. */
static enum td_error append_members(
	struct overview_facts *facts, const struct tunneller *row, struct strbuf *out)
{
	struct arena *arena = &facts->context->cli->arena;
	struct reader_fields fields;
	int64_t hits = 0, since_ms = 0;
	enum td_error error = fleet_score(
		facts->fleet, arena, READER_ZONE_CLIENTS, row->zone, row->client, &hits);

	if (error == TD_OK)
		error = fleet_client(facts->fleet, arena, row->client, &fields);
	if (error == TD_OK)
		error = first_hit_ms(facts, row, &since_ms);
	if (error != TD_OK)
		return error;
	const struct told_teredo told = told_teredo_of(&fields);
	if (strcmp(row->zone, "teredo") == 0 && told.since_ms &&
		(!since_ms || told.since_ms < since_ms))
		since_ms = told.since_ms;
	strbuf_json_text(out, "client", row->client);
	strbuf_json_text(out, "name", reader_field_text(&fields, "name"));
	strbuf_json_text(out, "zone", row->zone);
	strbuf_json_u64(out, "hits", hits > 0 ? (uint64_t)hits : 0);
	output_json_time(out, "since", since_ms);
	output_json_time(out, "last", row->last_ms);
	told_teredo_json_or_null(&told, out);
	return TD_OK;
}

static void keep_tunneller(struct overview_facts *facts, const struct zones *zones,
	const struct tunneller *row, struct strbuf *fresh, struct known_tunneller *out)
{
	const char *group = zones_group_of(facts->context->cli, zones, row->client);
	struct strbuf before = out->members;

	snprintf(out->zone, sizeof(out->zone), "%s", row->zone);
	snprintf(out->group, sizeof(out->group), "%s", group ? group : "");
	out->has_group = group != NULL;
	out->members = *fresh;
	*fresh = before;
}

/* A list that was read half leaves the one that was known. */
static enum td_error read_tunnelling(
	struct overview_facts *facts, const struct zones *zones, const struct tunnellers *all)
{
	struct strbuf fresh[OVERVIEW_TUNNELLING_MAX];
	struct overview *overview = facts->overview;
	enum td_error error = TD_OK;
	size_t read = 0;

	for (; read < all->count && error == TD_OK; read++) {
		strbuf_init(&fresh[read]);
		error = append_members(facts, &all->rows[read], &fresh[read]);
	}
	for (size_t i = 0; i < read; i++) {
		struct known_tunneller *known = &overview->tunnellers[i];
		if (error == TD_OK)
			keep_tunneller(facts, zones, &all->rows[i], &fresh[i], known);
		strbuf_deinit(&fresh[i]);
	}
	if (error == TD_OK)
		overview->tunneller_count = all->count;
	return error;
}

static void write_zones(
	struct overview *overview, const struct zones *zones, struct strbuf *out)
{
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < zones->count; i++)
		if (is_shown(&zones->rows[i]))
			add_zone_json(out, &zones->rows[i],
				find_known(overview, zones->rows[i].zone));
	strbuf_append_char(out, ']');
}

static void write_tunnelling(
	struct overview *overview, const struct zones *zones, struct strbuf *out)
{
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < overview->tunneller_count; i++) {
		const struct known_tunneller *known = &overview->tunnellers[i];
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_append(out, known->members.data, known->members.length);
		strbuf_json_text(out, "mode",
			zones_mode_for(zones, known->zone, known->has_group ? known->group : NULL));
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}

/* A piece that could be read whole takes the place of the one before. */
static void keep_piece(struct strbuf *piece, struct strbuf *fresh, enum td_error error)
{
	struct strbuf before = *piece;

	if (error == TD_OK && !fresh->failed) {
		*piece = *fresh;
		*fresh = before;
	}
	strbuf_deinit(fresh);
}

/* The figures of the zones, and who tunnels. */
static enum td_error read_figures(struct overview_facts *facts, const struct zones *zones)
{
	struct tunnellers all = {.count = 0};
	enum td_error error = TD_OK;

	for (size_t i = 0; i < zones->count && error == TD_OK; i++)
		if (is_shown(&zones->rows[i]))
			error = read_zone(facts, &zones->rows[i], &all);
	return error == TD_OK ? read_tunnelling(facts, zones, &all) : error;
}

enum td_error overview_read_zones(struct overview_facts *facts, bool is_due)
{
	struct overview *overview = facts->overview;
	struct strbuf upstreams, shown, tunnelling;
	struct zones zones;
	enum td_error error = zones_load(facts->context->cli, facts->has_daemon, &zones);

	if (error != TD_OK)
		return error;
	strbuf_init(&upstreams);
	strbuf_init(&shown);
	strbuf_init(&tunnelling);
	if (is_due && facts->fleet)
		error = read_figures(facts, &zones);
	write_zones(overview, &zones, &shown);
	keep_piece(&overview->zones, &shown, TD_OK);
	write_tunnelling(overview, &zones, &tunnelling);
	keep_piece(&overview->tunnelling, &tunnelling, TD_OK);
	/* With nobody who could say, they stay as they were known. */
	bool is_said = facts->fleet || (facts->has_daemon && facts->ours);
	if (error == TD_OK && is_said && (is_due || (facts->has_daemon && !facts->whole)))
		error = read_upstreams(facts, &upstreams);
	else
		upstreams.failed = true;
	keep_piece(&overview->upstreams, &upstreams, error);
	return error;
}

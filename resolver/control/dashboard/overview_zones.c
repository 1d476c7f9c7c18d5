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
#include <time.h>

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

static const char *second_word(const char *text, char *out, size_t size)
{
	text += strcspn(text, " ");
	return first_word(text + (*text == ' '), out, size);
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

struct zone_view {
	char name[POLICY_ZONE_NAME_MAX];
	char kind[16], mode[16]; /* mode "": the daemon does not say */
	int64_t until_s;
	bool has_tunnel;
};

struct zone_views {
	struct zone_view rows[POLICY_ZONES_MAX];
	size_t count;
};

static void add_said_zone(struct zone_views *zones, const char *line)
{
	struct zone_view *zone = &zones->rows[zones->count];
	char kind[16];

	attribute_word(line, "kind", kind, sizeof(kind));
	if (zones->count == POLICY_ZONES_MAX || strcmp(kind, "local") == 0)
		return;
	*zone = (struct zone_view){.until_s = 0};
	first_word(line, zone->name, sizeof(zone->name));
	second_word(line, zone->mode, sizeof(zone->mode));
	snprintf(zone->kind, sizeof(zone->kind), "%s", kind);
	zone->has_tunnel = strcmp(kind, "tunnel") == 0;
	zones->count++;
}

/* "ZONE * MODE ORIGIN until=SECONDS": what is said of everybody. */
static void add_said_cell(struct zone_views *zones, const char *line)
{
	char name[POLICY_ZONE_NAME_MAX], group[POLICY_ZONE_NAME_MAX];

	first_word(line, name, sizeof(name));
	second_word(line, group, sizeof(group));
	for (size_t i = 0; i < zones->count && strcmp(group, "*") == 0; i++)
		if (strcmp(zones->rows[i].name, name) == 0)
			zones->rows[i].until_s = attribute_number(line, "until");
}

static void take_configured(const struct options *options, struct zone_views *zones)
{
	static const char *const kinds[] = {
		[ZONE_TUNNEL] = "tunnel", [ZONE_LIST] = "list", [ZONE_LOCAL] = "local"};

	for (size_t i = 0; i < options->zone_count && zones->count < POLICY_ZONES_MAX; i++) {
		const struct zone_options *from = &options->zones[i];
		struct zone_view *zone = &zones->rows[zones->count];
		if (from->kind == ZONE_LOCAL)
			continue;
		*zone = (struct zone_view){.has_tunnel = from->kind == ZONE_TUNNEL};
		snprintf(zone->name, sizeof(zone->name), "%s", from->name);
		snprintf(zone->kind, sizeof(zone->kind), "%s", kinds[from->kind]);
		zones->count++;
	}
}

/* What the daemon has in force, else what the configuration names, without modes. */
static void list_zones(struct overview_facts *facts, struct zone_views *zones)
{
	static const char *const words[] = {"mode"};
	struct cli *cli = facts->context->cli;
	struct control_answer answer;

	zones->count = 0;
	if (facts->has_daemon && cli_ask_silently(cli, 1, words, &answer) == CONTROL_OK) {
		for (size_t i = 0; i < answer.count; i++)
			if (strcmp(answer.lines[i].key, "zone") == 0)
				add_said_zone(zones, answer.lines[i].value);
		for (size_t i = 0; i < answer.count; i++)
			if (strcmp(answer.lines[i].key, "cell") == 0)
				add_said_cell(zones, answer.lines[i].value);
	}
	if (facts->has_daemon)
		control_answer_free(&answer);
	if (zones->count == 0)
		take_configured(cli->options, zones);
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
	struct strbuf *out, const struct zone_view *zone, const struct known_zone *known)
{
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "zone", zone->name);
	strbuf_json_text(out, "kind", zone->kind);
	strbuf_json_text(out, "mode", *zone->mode ? zone->mode : NULL);
	output_json_time(out, "until", zone->until_s * 1000);
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
	struct overview_facts *facts, const struct zone_view *zone, struct tunnellers *all)
{
	struct cli *cli = facts->context->cli;
	struct zone_totals totals;
	struct reader_ranks newest;
	enum td_error error = zone_totals_load(cli, facts->fleet, zone->name, &totals);

	if (error == TD_OK)
		error = fleet_ranks(facts->fleet, &cli->arena, READER_ZONE_LAST, zone->name,
			OVERVIEW_TUNNELLING_MAX + 1, &newest, NULL);
	if (error != TD_OK)
		return error;
	keep_known(facts->overview, zone->name, totals.clients, totals.hits);
	for (size_t i = 0; i < newest.count && zone->has_tunnel; i++) {
		const struct tunneller one = {
			newest.rows[i].member, zone->name, newest.rows[i].value};
		if (strcmp(one.client, SCHEMA_OTHER) != 0)
			add_tunneller(all, &one);
	}
	return TD_OK;
}

/* --- since when --- */

static int64_t parse_time(const char *text)
{
	struct tm parts = {.tm_mday = 1};
	int used = 0;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
		    &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &used) != 6)
		return 0;
	parts.tm_year -= 1900;
	parts.tm_mon--;
	time_t seconds = timegm(&parts);
	return seconds > 0 ? (int64_t)seconds * 1000 : 0;
}

struct event_search {
	struct arena *arena;
	const char *of;
	int64_t first_ms;
};

static enum td_error search_events(void *context, struct fleet_member *member)
{
	struct event_search *search = context;
	struct reader_records records;
	char kind[32], text[320], ts[48];
	enum td_error error = reader_last_records(
		member->reader, search->arena, READER_EVENTS, EVENTS_LOOKED_AT, &records);

	for (size_t i = 0; i < records.count; i++) {
		const struct reader_record *row = &records.rows[i];
		if (!json_field(row->json, row->json_length, "kind", kind, sizeof(kind)) ||
			strcmp(kind, "new-client") != 0 ||
			!json_field(row->json, row->json_length, "text", text, sizeof(text)) ||
			strcmp(text, search->of) != 0 ||
			!json_field(row->json, row->json_length, "ts", ts, sizeof(ts)))
			continue;
		int64_t first_ms = parse_time(ts);
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

static enum td_error add_tunneller_json(
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
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "client", row->client);
	strbuf_json_text(out, "name", reader_field_text(&fields, "name"));
	strbuf_json_text(out, "zone", row->zone);
	strbuf_json_u64(out, "hits", hits > 0 ? (uint64_t)hits : 0);
	output_json_time(out, "since", since_ms);
	output_json_time(out, "last", row->last_ms);
	told_teredo_json_or_null(&told, out);
	strbuf_append_char(out, '}');
	return TD_OK;
}

static enum td_error read_tunnelling(
	struct overview_facts *facts, const struct tunnellers *all, struct strbuf *out)
{
	enum td_error error = TD_OK;

	strbuf_append_char(out, '[');
	for (size_t i = 0; i < all->count && error == TD_OK; i++)
		error = add_tunneller_json(facts, &all->rows[i], out);
	strbuf_append_char(out, ']');
	return error;
}

static void write_zones(
	struct overview *overview, const struct zone_views *zones, struct strbuf *out)
{
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < zones->count; i++)
		add_zone_json(out, &zones->rows[i], find_known(overview, zones->rows[i].name));
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
static enum td_error read_figures(struct overview_facts *facts, const struct zone_views *zones)
{
	struct tunnellers all = {.count = 0};
	struct strbuf tunnelling;
	enum td_error error = TD_OK;

	strbuf_init(&tunnelling);
	for (size_t i = 0; i < zones->count && error == TD_OK; i++)
		error = read_zone(facts, &zones->rows[i], &all);
	if (error == TD_OK)
		error = read_tunnelling(facts, &all, &tunnelling);
	keep_piece(&facts->overview->tunnelling, &tunnelling, error);
	return error;
}

enum td_error overview_read_zones(struct overview_facts *facts, bool is_due)
{
	struct overview *overview = facts->overview;
	struct zone_views *zones = arena_alloc(&facts->context->cli->arena, sizeof(*zones));
	struct strbuf upstreams, shown;
	enum td_error error = TD_OK;

	if (!zones)
		return TD_NOMEM;
	strbuf_init(&upstreams);
	strbuf_init(&shown);
	list_zones(facts, zones);
	if (is_due && facts->fleet)
		error = read_figures(facts, zones);
	write_zones(overview, zones, &shown);
	keep_piece(&overview->zones, &shown, TD_OK);
	/* With nobody who could say, they stay as they were known. */
	bool is_said = facts->fleet || (facts->has_daemon && facts->ours);
	if (error == TD_OK && is_said && (is_due || (facts->has_daemon && !facts->whole)))
		error = read_upstreams(facts, &upstreams);
	else
		upstreams.failed = true;
	keep_piece(&overview->upstreams, &upstreams, error);
	return error;
}

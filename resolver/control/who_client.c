/* SPDX-License-Identifier: BSD-3-Clause */
/* `who CLIENT`: its counters, its hits in policy zones, what it asked, and every address it was
 * told, by way of the names it asked. */
#include <string.h>

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
	strbuf_append_text(out, view->hit_count
					? "\nNames of watched or blocked zones that it asked:\n"
					: "It asked for no name of a watched or blocked zone.\n");
	grid_print(&grid, out, 0, who->cli->colour);
	grid_deinit(&grid);
}

static void client_text(struct who *who, const struct client_view *view)
{
	struct strbuf *out = &who->cli->out;
	struct summary seen = {reader_field_i64(&view->fields, "first_seen", 0),
		reader_field_i64(&view->fields, "last_seen", 0), 0};
	const char *name = reader_field_text(&view->fields, "name");

	who_append_bold(who, view->client);
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
	append_hits(who, view);
	who_append_ranks(who, &view->names, "Names it asked:", "NAME|>QUERIES");
	if (view->pairs.count)
		strbuf_append_text(out, "\nAddresses it was told:\n");
	who_append_pairs(who, &view->pairs, "ADDRESS|NAME ASKED|>TIMES|FIRST|LAST|BY WAY OF");
	strbuf_append_char(out, '\n');
	cli_coverage_text(who->cli, who->fleet, &who->coverage, out);
}

static void client_json(struct who *who, const struct client_view *view)
{
	struct strbuf *out = &who->cli->out;

	strbuf_json_text(out, "client", view->client);
	const char *called = reader_field_text(&view->fields, "name");
	const char *forwarder = reader_field_text(&view->fields, "forwarder");
	if (called)
		strbuf_json_text(out, "name", called);
	if (forwarder)
		strbuf_json_text(out, "forwarder", forwarder);
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
	who_append_ranks_json(who, "names", "name", &view->names);
	who_append_pairs_json(who, &view->pairs);
}

/* found stays false when there is no such client; nothing is printed then. */
enum td_error who_show_client(struct who *who, const char *client, bool *found)
{
	struct client_view view = {.client = client};
	struct arena *arena = &who->cli->arena;
	struct client_pairs client_pairs = {who, client, &view.pairs};

	enum td_error error = fleet_client(who->fleet, arena, client, &view.fields);
	if (error != TD_OK || view.fields.count == 0)
		return error;
	*found = true;
	error = fleet_ranks(
		who->fleet, arena, READER_CLIENT_NAMES, client, READER_ROWS_MAX, &view.names, NULL);
	if (error == TD_OK)
		error = fleet_each(who->fleet, add_client_pairs, &client_pairs);
	if (error == TD_OK)
		error = load_hits(who, &view);
	if (error != TD_OK)
		return error;
	who_sort(&view.pairs);
	(who->cli->json ? client_json : client_text)(who, &view);
	return TD_OK;
}

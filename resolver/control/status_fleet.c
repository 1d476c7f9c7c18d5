/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown status --fleet`: the state of each resolver as its meta hash in Redis tells it. Whether
 * a daemon writes is read off its lease and by the clock of that Redis, so clocks that differ
 * between machines do not matter.
 */
#include "resolver/control/status_fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct resolver_state {
	const char *state;
	const char *version;
	int64_t last_ms, since_ms, schema;
	uint64_t queries, dropped;
};

/* A lease that is gone was given back by a clean stop; one that ran out was not. */
static const char *state_of(const struct reader_fields *meta, int64_t redis_ms)
{
	int64_t lease = reader_field_i64(meta, "lease_until", 0);

	if (meta->count == 0)
		return "never wrote";
	if (lease == 0)
		return "stopped";
	return lease > redis_ms ? "writing" : "silent";
}

static enum td_error load_state(
	struct cli *cli, struct reader *reader, struct resolver_state *state)
{
	struct reader_fields meta;
	int64_t redis_ms;
	enum td_error error = reader_time(reader, &redis_ms);

	if (error == TD_OK)
		error = reader_meta(reader, &cli->arena, &meta);
	if (error != TD_OK)
		return error;
	const char *version = reader_field_text(&meta, "version");
	*state = (struct resolver_state){.state = state_of(&meta, redis_ms),
		.version = version ? version : "",
		.last_ms = reader_field_i64(&meta, "last_batch_at", 0),
		.since_ms = reader_field_i64(&meta, "recording_since", 0),
		.schema = reader_field_i64(&meta, "schema", 0),
		.queries = (uint64_t)reader_field_i64(&meta, "queries", 0)};
	for (size_t i = 0; i < meta.count; i++)
		if (strncmp(meta.rows[i].name, "dropped_", 8) == 0)
			state->dropped += strtoull(meta.rows[i].value, NULL, 10);
	return TD_OK;
}

static void append_row(
	struct grid *grid, const struct fleet_member *member, const struct resolver_state *state)
{
	char schema[24];

	grid_cell(grid, member->resolver);
	grid_cell(grid, state->state);
	grid_cell_time(grid, state->last_ms);
	grid_cell_time(grid, state->since_ms);
	grid_cell_u64(grid, state->queries);
	grid_cell_u64(grid, state->dropped);
	snprintf(schema, sizeof(schema), "%lld", (long long)state->schema);
	grid_cell(grid, state->schema ? schema : "-");
	grid_cell(grid, *state->version ? state->version : "-");
}

static void append_json(
	struct strbuf *out, const struct fleet_member *member, const struct resolver_state *state)
{
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "resolver", member->resolver);
	strbuf_json_text(out, "state", state->state);
	output_json_time(out, "last_batch", state->last_ms);
	output_json_time(out, "recording_since", state->since_ms);
	strbuf_json_u64(out, "queries", state->queries);
	strbuf_json_u64(out, "dropped", state->dropped);
	strbuf_json_u64(out, "schema", (uint64_t)state->schema);
	strbuf_json_text(out, "version", state->version);
	strbuf_append_char(out, '}');
}

struct listing {
	struct cli *cli;
	struct grid grid;
};

static enum td_error add_resolver(void *context, struct fleet_member *member)
{
	struct listing *listing = context;
	struct resolver_state state = {.state = ""};
	enum td_error error = load_state(listing->cli, member->reader, &state);

	if (error != TD_OK)
		return error;
	if (listing->cli->json)
		append_json(&listing->cli->out, member, &state);
	else
		append_row(&listing->grid, member, &state);
	return TD_OK;
}

/* Those that could not be read have their row too. */
static void add_missing(struct listing *listing, const struct fleet *fleet)
{
	static const struct resolver_state unreadable = {.state = "unreadable", .version = ""};

	for (size_t i = 0; i < fleet->count; i++) {
		if (fleet->members[i].reader)
			continue;
		if (listing->cli->json)
			append_json(&listing->cli->out, &fleet->members[i], &unreadable);
		else
			append_row(&listing->grid, &fleet->members[i], &unreadable);
	}
}

int status_fleet(struct cli *cli)
{
	struct fleet *fleet = cli_fleet(cli);
	struct listing listing = {.cli = cli};
	int code;

	if (!fleet)
		return CLI_ERROR;
	grid_init(&listing.grid,
		"RESOLVER|STATE|LAST BATCH|RECORDING SINCE|>QUERIES|>DROPPED|>SCHEMA|VERSION");
	if (cli->json)
		strbuf_append_text(&cli->out, "{\"resolvers\":[");
	enum td_error error = fleet_each(fleet, add_resolver, &listing);
	if (error == TD_OK || fleet->whole) {
		add_missing(&listing, fleet);
		grid_print(&listing.grid, &cli->out, 0, cli->colour);
		strbuf_append_text(&cli->out, cli->json ? "]}\n" : "");
		if (fleet->count == 0 && !cli->json)
			strbuf_append_text(&cli->out,
				"No resolver has recorded anything in this Redis yet.\n");
		code = cli_fleet_code(cli, fleet, fleet->count ? CLI_OK : CLI_NOTHING);
	} else {
		strbuf_clear(&cli->out);
		code = cli_fleet_failed(cli, fleet);
	}
	grid_deinit(&listing.grid);
	fleet_close(&fleet);
	return code;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown status --fleet`: the state of each resolver as its meta hash in Redis tells it. Whether
 * a daemon writes is read off its lease and by the clock of that Redis, so clocks that differ
 * between machines do not matter. What the daemon says of itself are its gauges there, of the time
 * since it started; one that tells none has dashes.
 */
#include "resolver/control/status_fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/latency.h"

struct resolver_state {
	const char *state;
	const char *version;
	int64_t last_ms, since_ms, schema;
	uint64_t queries, dropped;
	bool has_gauges;
	uint64_t unanswered, hits, misses, upstreams, failing;
	struct latency latency[LATENCY_CLASSES]; /* empty of a daemon that tells none */
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

static uint64_t field_u64(const struct reader_fields *meta, const char *name)
{
	int64_t value = reader_field_i64(meta, name, 0);

	return value > 0 ? (uint64_t)value : 0;
}

static void load_gauges(const struct reader_fields *meta, struct resolver_state *state)
{
	state->has_gauges = reader_field_text(meta, "gauge_at") != NULL;
	state->unanswered = reader_fields_sum(meta, "gauge_dropped_");
	state->hits = field_u64(meta, "gauge_cache_hits");
	state->misses = field_u64(meta, "gauge_cache_misses");
	state->upstreams = field_u64(meta, "gauge_upstreams");
	state->failing = field_u64(meta, "gauge_upstreams_failing");
	for (unsigned i = 0; i < LATENCY_CLASSES; i++) {
		char name[64];
		snprintf(name, sizeof(name), "gauge_%s", latency_figure_name(i));
		const char *text = reader_field_text(meta, name);
		latency_from_text(&state->latency[i], text ? text : "");
	}
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
		.queries = field_u64(&meta, "queries"),
		.dropped = reader_fields_sum(&meta, "dropped_")};
	load_gauges(&meta, state);
	return TD_OK;
}

/* Within which 99 of 100 answers were given, of both classes: one figure that a client feels. */
static void add_latency_cell(struct grid *grid, const struct resolver_state *state)
{
	struct latency all = {.sum_us = 0};
	struct strbuf text;

	for (unsigned i = 0; i < LATENCY_CLASSES; i++)
		latency_merge(&all, &state->latency[i]);
	strbuf_init(&text);
	if (latency_count(&all))
		output_duration(&text, latency_quantile_us(&all, 990));
	grid_cell(grid, text.length ? text.data : "-");
	strbuf_deinit(&text);
}

static void add_gauge_cells(struct grid *grid, const struct resolver_state *state)
{
	uint64_t asked = state->hits + state->misses;
	char share[32] = "-", upstreams[64] = "-";

	if (state->has_gauges)
		grid_cell_u64(grid, state->unanswered);
	else
		grid_cell(grid, "-");
	if (state->has_gauges && asked)
		snprintf(share, sizeof(share), "%u %%",
			(unsigned)((double)state->hits * 100 / (double)asked));
	grid_cell(grid, share);
	if (state->has_gauges)
		snprintf(upstreams, sizeof(upstreams), "%llu of %llu",
			(unsigned long long)(state->upstreams - state->failing),
			(unsigned long long)state->upstreams);
	grid_cell(grid, upstreams);
	add_latency_cell(grid, state);
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
	add_gauge_cells(grid, state);
	grid_cell_u64(grid, state->dropped);
	snprintf(schema, sizeof(schema), "%lld", (long long)state->schema);
	grid_cell(grid, state->schema ? schema : "-");
	grid_cell(grid, *state->version ? state->version : "-");
}

static void append_json_latency(
	struct strbuf *out, const struct latency latency[LATENCY_CLASSES])
{
	strbuf_json_key(out, "latency");
	strbuf_append_char(out, '{');
	for (unsigned i = 0; i < LATENCY_CLASSES; i++)
		latency_to_json(out, latency_class_name(i), &latency[i]);
	strbuf_append_char(out, '}');
}

static void append_json_gauges(struct strbuf *out, const struct resolver_state *state)
{
	if (!state->has_gauges)
		return;
	strbuf_json_u64(out, "unanswered", state->unanswered);
	strbuf_json_u64(out, "cache_hits", state->hits);
	strbuf_json_u64(out, "cache_misses", state->misses);
	strbuf_json_u64(out, "upstreams", state->upstreams);
	strbuf_json_u64(out, "upstreams_failing", state->failing);
	append_json_latency(out, state->latency);
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
	append_json_gauges(out, state);
	strbuf_json_u64(out, "schema", (uint64_t)state->schema);
	strbuf_json_text(out, "version", state->version);
	strbuf_append_char(out, '}');
}

struct listing {
	struct cli *cli;
	struct strbuf *json; /* NULL: rows of the grid */
	struct grid grid;
	struct latency latency[LATENCY_CLASSES]; /* of all resolvers */
};

static enum td_error add_resolver(void *context, struct fleet_member *member)
{
	struct listing *listing = context;
	struct resolver_state state = {.state = ""};
	enum td_error error = load_state(listing->cli, member->reader, &state);

	if (error != TD_OK)
		return error;
	for (unsigned i = 0; i < LATENCY_CLASSES; i++)
		latency_merge(&listing->latency[i], &state.latency[i]);
	if (listing->json)
		append_json(listing->json, member, &state);
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
		if (listing->json)
			append_json(listing->json, &fleet->members[i], &unreadable);
		else
			append_row(&listing->grid, &fleet->members[i], &unreadable);
	}
}

static enum td_error list(struct listing *listing, struct fleet *fleet)
{
	enum td_error error = fleet_each(fleet, add_resolver, listing);

	if (error != TD_OK && !fleet->whole)
		return error;
	add_missing(listing, fleet);
	return TD_OK;
}

enum td_error status_fleet_rows(struct cli *cli, struct fleet *fleet, struct strbuf *out)
{
	struct listing listing = {.cli = cli, .json = out};

	return list(&listing, fleet);
}

int status_fleet(struct cli *cli)
{
	struct fleet *fleet = cli_fleet(cli);
	struct listing listing = {.cli = cli, .json = cli->json ? &cli->out : NULL};
	int code;

	if (!fleet)
		return CLI_ERROR;
	grid_init(&listing.grid,
		"RESOLVER|STATE|LAST BATCH|RECORDING SINCE|>QUERIES|>UNANSWERED|>CACHED|"
		"UPSTREAMS|>P99|>DROPPED|>SCHEMA|VERSION");
	if (cli->json)
		strbuf_append_text(&cli->out, "{\"resolvers\":[");
	if (list(&listing, fleet) == TD_OK) {
		grid_print(&listing.grid, &cli->out, 0, cli->colour);
		if (cli->json) {
			strbuf_append_char(&cli->out, ']');
			append_json_latency(&cli->out, listing.latency);
			strbuf_append_text(&cli->out, "}\n");
		}
		if (fleet->count == 0 && !cli->json)
			strbuf_append_text(&cli->out,
				"No resolver has recorded anything in this Redis yet.\n");
		code = cli_fleet_code(cli, fleet, fleet->count ? CLI_OK : CLI_NOTHING);
	} else {
		strbuf_clear(&cli->out);
		code = cli_fleet_failed(cli, fleet);
	}
	grid_deinit(&listing.grid);
	cli_fleet_close(cli, &fleet);
	return code;
}

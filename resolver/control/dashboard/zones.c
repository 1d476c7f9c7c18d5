/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Modes change at run time, so only the daemon knows them; where it is away the zones are those of
 * the configuration and their modes are unknown: to show the configured ones would be a guess that
 * looks like a fact.
 *
 * Hits of a zone are the sum over its clients, as far as all of them can be read, and beyond that
 * the sum over its rules, which holds every hit too and is bounded.
 */
#include "resolver/control/dashboard/zones.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/address.h"
#include "resolver/control/attributes.h"
#include "resolver/control/dashboard/api_command.h"
#include "resolver/telemetry/redis/schema.h"

#define PART_MAX 132 /* the longest is of via */
#define EVERYTHING "*"

static const char *keep(struct cli *cli, const char *text)
{
	return arena_copy(&cli->arena, text, strlen(text) + 1);
}

enum control_outcome zones_ask(struct cli *cli, unsigned count, const char *const request[],
	struct control_answer *answer, const char **words)
{
	FILE *errors = cli->errors;
	char *text = NULL;
	size_t size = 0;

	*words = "";
	cli->errors = open_memstream(&text, &size);
	if (!cli->errors)
		cli->errors = errors;
	enum control_outcome outcome = cli_ask(cli, count, request, answer);
	if (cli->errors != errors)
		fclose(cli->errors);
	cli->errors = errors;
	if (outcome != CONTROL_OK)
		*words = keep(cli, text ? api_plain_words(text) : "");
	if (!*words)
		*words = "";
	free(text);
	return outcome;
}

/* --- the words of the daemon --- */

/* The next blank-separated word; "" where there is none. */
static const char *take_part(const char *text, char out[PART_MAX])
{
	size_t length = strcspn(text, " ");

	snprintf(out, PART_MAX, "%.*s", (int)length, text);
	return text + length + (text[length] == ' ');
}

static const char *keep_attribute(struct cli *cli, const char *text, const char *key)
{
	char word[PART_MAX];

	attribute_word(text, key, word, sizeof(word));
	return *word ? keep(cli, word) : NULL;
}

/* "teredo watch rules=24 kind=tunnel state=ok" */
static bool read_zone(struct cli *cli, const char *text, struct zone_state *out)
{
	char zone[PART_MAX], mode[PART_MAX];

	text = take_part(take_part(text, zone), mode);
	*out = (struct zone_state){.zone = keep(cli, zone),
		.mode = keep(cli, mode),
		.kind = keep_attribute(cli, text, "kind"),
		.state = keep_attribute(cli, text, "state"),
		.rules = attribute_number(text, "rules")};
	return out->zone && out->mode && out->kind && out->state;
}

/* "teredo * block command until=0 since=1763800000 uid=0 user=root" */
static bool read_cell(struct cli *cli, const char *text, struct zone_cell *out)
{
	char zone[PART_MAX], group[PART_MAX], mode[PART_MAX], from[PART_MAX];

	text = take_part(take_part(take_part(take_part(text, zone), group), mode), from);
	*out = (struct zone_cell){.group = keep(cli, group),
		.state = {.zone = keep(cli, zone),
			.mode = keep(cli, mode),
			.from = keep(cli, from),
			.user = keep_attribute(cli, text, "user"),
			.via = keep_attribute(cli, text, "via"),
			.until_ms = attribute_number(text, "until") * 1000,
			.since_ms = attribute_number(text, "since") * 1000}};
	return out->group && out->state.zone && out->state.mode && out->state.from;
}

static struct zone_state *find(const struct zones *zones, const char *zone)
{
	for (size_t i = 0; i < zones->count; i++)
		if (strcmp(zones->rows[i].zone, zone) == 0)
			return &zones->rows[i];
	return NULL;
}

const struct zone_state *zones_find(const struct zones *zones, const char *zone)
{
	return find(zones, zone);
}

/* The mode of a zone for everybody is the zone's; those of groups are kept apart. */
static void take_cell(struct zones *zones, const struct zone_cell *cell)
{
	struct zone_state *zone = find(zones, cell->state.zone);

	if (strcmp(cell->group, EVERYTHING) != 0) {
		zones->cells[zones->cell_count++] = *cell;
		return;
	}
	if (!zone)
		return;
	zone->mode = cell->state.mode;
	zone->from = cell->state.from;
	zone->user = cell->state.user;
	zone->via = cell->state.via;
	zone->until_ms = cell->state.until_ms;
	zone->since_ms = cell->state.since_ms;
}

static bool take_group(struct cli *cli, const char *text, struct zones *zones)
{
	char name[PART_MAX];

	take_part(text, name);
	zones->groups[zones->group_count] = keep(cli, name);
	return zones->groups[zones->group_count++] != NULL;
}

static enum td_error read_answer(
	struct cli *cli, const struct control_answer *answer, struct zones *out)
{
	bool good = true;

	out->rows = arena_alloc(&cli->arena, (answer->count + 1) * sizeof(*out->rows));
	out->cells = arena_alloc(&cli->arena, (answer->count + 1) * sizeof(*out->cells));
	out->groups = arena_alloc(&cli->arena, (answer->count + 1) * sizeof(*out->groups));
	if (!out->rows || !out->cells || !out->groups)
		return TD_NOMEM;
	for (size_t i = 0; i < answer->count && good; i++) {
		const struct control_line *line = &answer->lines[i];
		struct zone_cell cell;
		if (strcmp(line->key, "zone") == 0)
			good = read_zone(cli, line->value, &out->rows[out->count++]);
		if (strcmp(line->key, "group") == 0)
			good = take_group(cli, line->value, out);
		if (strcmp(line->key, "cell") != 0)
			continue;
		good = read_cell(cli, line->value, &cell);
		if (good)
			take_cell(out, &cell);
	}
	return good ? TD_OK : TD_NOMEM;
}

/* --- the configuration --- */

static enum td_error read_options(struct cli *cli, struct zones *out)
{
	static const char *const kinds[] = {
		[ZONE_TUNNEL] = "tunnel", [ZONE_LIST] = "list", [ZONE_LOCAL] = "local"};
	const struct options *options = cli->options;

	out->rows = arena_alloc(&cli->arena, (options->zone_count + 1) * sizeof(*out->rows));
	out->groups = arena_alloc(&cli->arena, (options->group_count + 1) * sizeof(*out->groups));
	if (!out->rows || !out->groups)
		return TD_NOMEM;
	for (size_t i = 0; i < options->zone_count; i++)
		out->rows[out->count++] = (struct zone_state){.zone = options->zones[i].name,
			.kind = kinds[options->zones[i].kind],
			.state = "unknown",
			.rules = -1};
	for (size_t i = 0; i < options->group_count; i++)
		out->groups[out->group_count++] = options->groups[i].name;
	return TD_OK;
}

enum td_error zones_load(struct cli *cli, bool asked, struct zones *out)
{
	const char *const request[] = {"mode"};
	struct control_answer answer;

	*out = (struct zones){.outcome = CONTROL_SILENT,
		.words = "modes are known of the resolver beside the dashboard only"};
	if (!asked)
		return read_options(cli, out);
	out->outcome = zones_ask(cli, 1, request, &answer, &out->words);
	out->known = out->outcome == CONTROL_OK;
	enum td_error error = out->known ? read_answer(cli, &answer, out) : read_options(cli, out);
	control_answer_free(&answer);
	return error;
}

/* --- for one client --- */

/* The daemon says so itself, because it alone knows the MAC address behind an address. */
const char *zones_group_of(struct cli *cli, const struct zones *zones, const char *client)
{
	char text[ADDRESS_TEXT_MAX];
	struct address address;
	struct control_answer answer;

	if (!zones->known)
		return NULL;
	if (zones->group_count == 0)
		return "";
	if (!client_from_text(&address, client))
		return NULL;
	const char *const request[] = {"explain", ".", address_to_text(&address, text)};
	bool known = cli_ask_silently(cli, 3, request, &answer) == CONTROL_OK;
	const char *group = known ? control_answer_value(&answer, "group") : NULL;
	group = known ? keep(cli, group ? group : "") : NULL;
	control_answer_free(&answer);
	return group;
}

const char *zones_mode_for(const struct zones *zones, const char *zone, const char *group)
{
	const struct zone_state *state = zones_find(zones, zone);
	const char *mode = state ? state->mode : NULL;

	for (size_t i = 0; mode && i < zones->cell_count; i++) {
		const struct zone_cell *cell = &zones->cells[i];
		if (strcmp(cell->state.zone, zone) != 0)
			continue;
		if (group && strcmp(cell->group, group) == 0)
			return cell->state.mode;
		if (!group && strcmp(cell->state.mode, mode) != 0)
			return NULL;
	}
	return mode;
}

void zone_mode_json(const struct zone_state *state, struct strbuf *out)
{
	strbuf_json_text(out, "mode", state->mode);
	strbuf_json_text(out, "from", state->from);
	output_json_time(out, "until", state->until_ms);
}

/* --- what Redis holds --- */

static void sum_clients(const struct reader_ranks *ranks, struct zone_totals *out)
{
	for (size_t i = 0; i < ranks->count; i++) {
		bool other = strcmp(ranks->rows[i].member, SCHEMA_OTHER) == 0;
		out->hits += ranks->rows[i].value > 0 ? (uint64_t)ranks->rows[i].value : 0;
		out->clients += !other;
	}
}

static enum td_error sum_rules(
	struct cli *cli, struct fleet *fleet, const char *zone, struct zone_totals *out)
{
	struct reader_ranks rules;
	enum td_error error = fleet_ranks(fleet, &cli->arena, READER_RULES, zone,
		(SCHEMA_RULES_MAX + 1) * (fleet->count + 1), &rules, NULL);

	out->hits = 0;
	for (size_t i = 0; i < rules.count && error == TD_OK; i++)
		out->hits += rules.rows[i].value > 0 ? (uint64_t)rules.rows[i].value : 0;
	return error;
}

/* More clients than were read: of one resolver Redis knows how many, of several at least the most
 * that one has. */
static enum td_error count_beyond(struct cli *cli, struct fleet *fleet, const char *zone,
	uint64_t total, struct zone_totals *out)
{
	int64_t other;
	enum td_error error =
		fleet_score(fleet, &cli->arena, READER_ZONE_CLIENTS, zone, SCHEMA_OTHER, &other);

	out->at_least = fleet->count > 1;
	out->clients = total - (error == TD_OK && other > 0 && total > 0);
	return error == TD_OK ? sum_rules(cli, fleet, zone, out) : error;
}

enum td_error zone_totals_load(
	struct cli *cli, struct fleet *fleet, const char *zone, struct zone_totals *out)
{
	size_t limit = fleet->count > 1 ? ZONE_CLIENTS_READ : ZONE_CLIENTS_FEW;
	struct reader_ranks ranks, last;

	*out = (struct zone_totals){.hits = 0};
	enum td_error error =
		fleet_ranks(fleet, &cli->arena, READER_ZONE_CLIENTS, zone, limit, &ranks, NULL);
	if (error != TD_OK || ranks.count == 0)
		return error;
	sum_clients(&ranks, out);
	if (ranks.total > ranks.count)
		error = count_beyond(cli, fleet, zone, ranks.total, out);
	if (error == TD_OK)
		error = fleet_ranks(fleet, &cli->arena, READER_ZONE_LAST, zone, 1, &last, NULL);
	if (error == TD_OK && last.count)
		out->last_ms = last.rows[0].value;
	return error;
}

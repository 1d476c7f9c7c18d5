/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET policy, policy/rules, policy/test. The first joins what the daemon knows (modes, files) with
 * what Redis knows (hits); each part is there without the other. The other two are the commands.
 */
#include <stdio.h>
#include <string.h>

#include "resolver/control/attributes.h"
#include "resolver/control/command_policy.h"
#include "resolver/control/dashboard/api_command.h"
#include "resolver/control/dashboard/away.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/dashboard/zones.h"

#define ROWS_MAX 10000
#define NUMBER_MAX 24
#define ZONE_MAX 64
#define CLIENT_MAX (ADDRESS_TEXT_MAX + 8)

struct policy {
	struct cli *cli;
	struct fleet *fleet; /* NULL: Redis is away */
	struct zones zones;
	struct control_answer list; /* of the daemon; empty where it is away */
};

/* --- zones --- */

static void sources_json(const struct policy *policy, const char *zone, struct strbuf *out)
{
	char name[ZONE_MAX];

	for (size_t i = 0; i < policy->list.count; i++) {
		const struct control_line *line = &policy->list.lines[i];
		if (strcmp(line->key, "zone") != 0 ||
			strcmp(attribute_word(line->value, "name", name, sizeof(name)), zone) != 0)
			continue;
		policy_list_sources_json(out, &policy->list, i);
		return;
	}
	strbuf_append_text(out, ",\"sources\":[],\"fault\":null");
}

static void number_json(struct strbuf *out, const char *key, bool known, uint64_t value)
{
	if (known)
		strbuf_json_u64(out, key, value);
	else
		strbuf_json_text(out, key, NULL);
}

static enum td_error zone_json(
	const struct policy *policy, const struct zone_state *state, struct strbuf *out)
{
	struct zone_totals totals = {.hits = 0};
	enum td_error error = TD_OK;

	if (policy->fleet)
		error = zone_totals_load(policy->cli, policy->fleet, state->zone, &totals);
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "zone", state->zone);
	strbuf_json_text(out, "kind", state->kind);
	zone_mode_json(state, out);
	output_json_time(out, "since", state->since_ms);
	strbuf_json_text(out, "user", state->user);
	strbuf_json_text(out, "via", state->via);
	number_json(out, "rules", state->rules >= 0, (uint64_t)state->rules);
	number_json(out, "hits", policy->fleet != NULL, totals.hits);
	number_json(out, "clients", policy->fleet != NULL, totals.clients);
	strbuf_json_text(out, "state", state->state);
	sources_json(policy, state->zone, out);
	strbuf_append_char(out, '}');
	return error;
}

/* --- groups --- */

static const struct group_options *find_group(const struct options *options, const char *name)
{
	for (size_t i = 0; i < options->group_count; i++)
		if (strcmp(options->groups[i].name, name) == 0)
			return &options->groups[i];
	return NULL;
}

/* An address, a network, or another client as `teredown top` shows it. */
static void client_text(const struct group_client *client, char out[CLIENT_MAX])
{
	char text[ADDRESS_TEXT_MAX];
	const struct prefix *network = &client->network;

	if (client->client.family != ADDRESS_NONE) {
		snprintf(out, CLIENT_MAX, "%s", address_to_text(&client->client, text));
		return;
	}
	address_to_text(&network->address, text);
	if (network->length == 8 * address_octets(&network->address))
		snprintf(out, CLIENT_MAX, "%s", text);
	else
		snprintf(out, CLIENT_MAX, "%s/%u", text, (unsigned)network->length);
}

static void clients_json(const struct options *options, const char *name, struct strbuf *out)
{
	const struct group_options *group = find_group(options, name);
	char text[CLIENT_MAX];

	strbuf_json_key(out, "clients");
	strbuf_append_char(out, '[');
	for (size_t i = 0; group && i < group->client_count; i++) {
		client_text(&group->clients[i], text);
		output_json_next(out);
		strbuf_json_string(out, text, strlen(text));
	}
	strbuf_append_char(out, ']');
}

/* Zones of which the group has a mode of its own. */
static void group_json(const struct policy *policy, const char *name, struct strbuf *out)
{
	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "group", name);
	clients_json(policy->cli->options, name, out);
	strbuf_json_key(out, "zones");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < policy->zones.cell_count; i++) {
		const struct zone_cell *cell = &policy->zones.cells[i];
		if (strcmp(cell->group, name) != 0 || strcmp(cell->state.from, "zone") == 0 ||
			strcmp(cell->state.from, "always") == 0)
			continue;
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "zone", cell->state.zone);
		zone_mode_json(&cell->state, out);
		output_json_time(out, "since", cell->state.since_ms);
		strbuf_json_text(out, "user", cell->state.user);
		strbuf_json_text(out, "via", cell->state.via);
		strbuf_append_char(out, '}');
	}
	strbuf_append_text(out, "]}");
}

/* --- all of it --- */

static bool asks_ours(const struct cli *cli, const struct api_request *request)
{
	const char *name = api_parameter(request, "resolver");

	return !name || strcmp(name, "*") == 0 || strcmp(name, cli->options->resolver_name) == 0;
}

static enum td_error load(struct policy *policy, bool ours)
{
	const char *const request[] = {"policy", "list"};
	enum td_error error = zones_load(policy->cli, ours, &policy->zones);

	policy->list = (struct control_answer){.words = ""};
	if (error == TD_OK && policy->zones.known)
		cli_ask_silently(policy->cli, 2, request, &policy->list);
	return error;
}

static enum td_error policy_json(const struct policy *policy, struct strbuf *out)
{
	const struct zones *zones = &policy->zones;
	enum td_error error = TD_OK;

	strbuf_json_key(out, "zones");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < zones->count && error == TD_OK; i++)
		error = zone_json(policy, &zones->rows[i], out);
	strbuf_append_char(out, ']');
	strbuf_json_key(out, "groups");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < zones->group_count; i++)
		group_json(policy, zones->groups[i], out);
	strbuf_append_char(out, ']');
	return error;
}

/* "daemon":{"state","words"},"redis":{…}: which of the two is away, if one is. */
static void state_json(
	struct strbuf *out, const char *key, const char *state, const char *words)
{
	strbuf_json_key(out, key);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "state", state);
	strbuf_json_text(out, "words", *words ? words : NULL);
	strbuf_append_char(out, '}');
}

void api_get_policy(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct policy policy = {.cli = context->cli};
	const char *words;

	policy.fleet = away_fleet(context, request, reply, &words);
	if (reply->status != 200)
		return;
	enum td_error error = load(&policy, asks_ours(context->cli, request));
	away_begin(context, policy.fleet, reply);
	if (error == TD_OK)
		error = policy_json(&policy, &reply->body);
	bool alone = away_is_alone(context, policy.fleet, policy.zones.outcome);
	state_json(&reply->body, "daemon", policy.zones.known ? "ok" : alone ? "none" : "away",
		alone ? AWAY_ALONE_WORDS : policy.zones.words);
	state_json(&reply->body, "redis", policy.fleet ? "ok" : "away", words);
	api_end(reply);
	control_answer_free(&policy.list);
	if (error == TD_NOMEM)
		api_fail(reply, 500, "%s", error_text(error));
	else if (error != TD_OK)
		api_fleet_failed(context, policy.fleet, reply);
}

void api_get_policy_rules(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct api_call call = {.command = &command_policy,
		.word = "list",
		.option[CLI_RULES] = "",
		.option[CLI_ZONE] = api_optional(request, "zone"),
		.empty = true};
	char rows_text[NUMBER_MAX];
	uint64_t rows;

	if (!api_number(request, reply, "limit", 50, 1, ROWS_MAX, &rows))
		return;
	snprintf(rows_text, sizeof(rows_text), "%llu", (unsigned long long)rows);
	call.option[CLI_LINES] = rows_text;
	api_run(context, request, reply, &call);
}

void api_get_policy_test(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	struct api_call call = {.command = &command_policy,
		.word = "test",
		.other = api_parameter(request, "name"),
		.option[CLI_TYPE] = api_optional(request, "type"),
		.option[CLI_CLIENT] = api_optional(request, "client"),
		.alone = true};
	const char *ask = api_parameter(request, "ask");

	if (!call.other || !*call.other) {
		api_fail(reply, 400, "the parameter \"name\" is missing");
		return;
	}
	if (ask && strcmp(ask, "0") == 0)
		call.option[CLI_NO_ASK] = "";
	api_run(context, request, reply, &call);
}

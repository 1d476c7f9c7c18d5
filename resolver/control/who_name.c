/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `who NAME`: who asked it, which address each client was told for it, and what logs say of those
 * addresses. The store has the name's addresses and the name's clients; which of them belong
 * together is looked up pair by pair.
 */
#include <string.h>

#include "resolver/control/known.h"
#include "resolver/control/who.h"

struct name_pairs {
	struct who *who;
	struct reader_pairs *all;
};

/* Every pair of these addresses and clients that exists for the name. */
static enum td_error find_name_pairs(struct who *who, struct fleet_member *member,
	const struct reader_ranks *addresses, const struct reader_ranks *clients,
	struct reader_pairs *out)
{
	struct arena *arena = &who->cli->arena;
	size_t possible = addresses->count * clients->count, count = 0;
	size_t room = possible < WHO_ASKS_MAX ? possible : WHO_ASKS_MAX;
	struct reader_pair *rows = arena_alloc(arena, (room + 1) * sizeof(*rows));

	*out = (struct reader_pairs){NULL, 0, false};
	if (!rows)
		return TD_NOMEM;
	for (size_t a = 0; a < addresses->count; a++)
		for (size_t c = 0; c < clients->count && count < room; c++)
			rows[count++] = (struct reader_pair){.address = addresses->rows[a].member,
				.client = clients->rows[c].member,
				.name = who->name};
	enum td_error error = reader_find_pairs(member->reader, arena, rows, count, out);
	out->cut = possible > room || addresses->total > addresses->count ||
		   clients->total > clients->count || who_has_other(clients);
	return error;
}

static enum td_error add_name_pairs(void *context, struct fleet_member *member)
{
	struct name_pairs *name_pairs = context;
	struct who *who = name_pairs->who;
	struct arena *arena = &who->cli->arena;
	struct reader_ranks addresses, clients;
	struct reader_pairs pairs;

	enum td_error error = reader_ranks(member->reader, arena, READER_NAME_ADDRESSES, who->name,
		WHO_ADDRESSES_MAX, &addresses);
	if (error == TD_OK)
		error = reader_ranks(member->reader, arena, READER_NAME_CLIENTS, who->name,
			READER_ROWS_MAX, &clients);
	if (error == TD_OK)
		error = find_name_pairs(who, member, &addresses, &clients, &pairs);
	return error == TD_OK ? fleet_append_pairs(arena, name_pairs->all, &pairs, member) : error;
}

/* Whose name it is, where that is the address of a tunnel: the host behind it. */
static void append_reverse(struct who *who)
{
	struct tunnel tunnel = known_tunnel_of_name(who->name);
	struct strbuf *out = &who->cli->out;

	if (tunnel.kind == TUNNEL_NONE)
		return;
	strbuf_append_text(out, "It is the name of an address of a tunnel:");
	known_append_tunnel(&tunnel, out);
	strbuf_append_text(out, "\n");
}

static void append_known_name(struct who *who)
{
	const char *what = known_name(who->name);
	if (what)
		strbuf_printf(&who->cli->out, "It is %s.\n", what);
	append_reverse(who);
}

static void append_unasked(struct who *who)
{
	struct strbuf *out = &who->cli->out;

	who_append_bold(who, who->name);
	strbuf_append_text(
		out, who->coverage.ever ? " was asked by no client.\n" : ": nothing recorded.\n");
	append_known_name(who);
	cli_coverage_text(who->cli, who->fleet, &who->coverage, out);
	if (!who->coverage.ever)
		return;
	strbuf_append_text(out, "Only this very name was looked for, not names below it. To see "
				"that it is recorded: ");
	cli_query_line(who->cli, out, who->name);
	strbuf_append_char(out, '\n');
	cli_next(who->cli, out, "top names --days 8", "Names that were asked");
}

/* --- loading --- */

struct name_view {
	struct reader_ranks clients;
	struct reader_pairs pairs;
	struct who_facts facts;
	struct who_retries retries;
	struct who_rules rules;
	struct who_series series;
	struct who_drops drops;
	struct reader_histories history;
	struct who_hosts hosts;
};

static enum td_error load_questions(struct who *who, struct name_view *view)
{
	struct arena *arena = &who->cli->arena;
	struct name_pairs name_pairs = {who, &view->pairs};
	const char *const words[] = {who->name};
	const struct who_list self = {.words = words, .count = 1};

	enum td_error error = fleet_ranks(who->fleet, arena, READER_NAME_CLIENTS, who->name,
		READER_ROWS_MAX, &view->clients, NULL);
	if (error == TD_OK)
		error = fleet_each(who->fleet, add_name_pairs, &name_pairs);
	if (error == TD_OK)
		error = who_list_ranks(arena, &view->clients, &view->facts.hosts);
	if (error == TD_OK)
		error = who_rank(arena, &view->pairs, COLUMN_ADDRESS, &view->facts.addresses);
	if (error == TD_OK)
		error = who_load_retries(who, NULL, &self, &view->retries);
	if (error == TD_OK)
		error = who_load_rules(who, &self, &view->pairs, NULL, &view->rules);
	return error;
}

/* Whether other names lead to the address as well: what logs say of it is not of this one alone. */
static enum td_error look_for_others(struct who *who, const char *address, bool *shared)
{
	struct reader_pairs pairs;

	enum td_error error = fleet_address_pairs(
		who->fleet, &who->cli->arena, address, READER_ROWS_MAX, &pairs);
	for (size_t i = 0; error == TD_OK && i < pairs.count; i++)
		*shared = *shared || strcmp(pairs.rows[i].name, who->name) != 0;
	return error;
}

static enum td_error load_logs(struct who *who, struct name_view *view)
{
	struct who_facts *facts = &view->facts;
	struct who_logs *logs = &facts->logs;
	enum td_error error = who_add_proxied(who, who->name, logs);

	if (error == TD_OK)
		error = who_load_series(who, &facts->addresses, &view->series, logs);
	for (size_t i = 0; i < view->series.count && error == TD_OK; i++)
		if (view->series.rows[i].logs.dropped)
			error = look_for_others(
				who, view->series.rows[i].address, &logs->shared);
	if (error == TD_OK && logs->dropped)
		error = who_load_drops(who, NULL, &facts->addresses, &view->drops);
	if (error == TD_OK)
		error = who_name_drops(who, &view->drops, &view->pairs);
	if (error == TD_OK)
		error = who_load_sources(who, facts->sources);
	return error;
}

static enum td_error load_imports(struct who *who, struct name_view *view)
{
	const struct reader_history_wanted wanted = {
		.name = who->name, .limit = READER_ROWS_MAX};
	enum td_error error = TD_OK;

	view->history = (struct reader_histories){NULL, 0, false};
	if (view->facts.sources[WHO_LOG_DNS].files)
		error = who_load_history(who, &wanted, &view->history);
	if (error == TD_OK)
		error = who_load_hosts(who, &view->facts.hosts, &view->hosts);
	return error;
}

static void set_facts(struct who *who, struct name_view *view)
{
	struct who_facts *facts = &view->facts;
	struct summary summary = who_summarize(&view->pairs);

	facts->kind = WHO_NAME;
	facts->subject = who->name;
	for (size_t i = 0; i < view->clients.count; i++)
		facts->lookups += (uint64_t)view->clients.rows[i].value;
	facts->first_ms = summary.first_ms;
	facts->last_ms = summary.last_ms;
	for (size_t i = 0; i < view->retries.count; i++) {
		const struct who_retry *retry = &view->retries.rows[i];
		facts->first_ms = who_earlier(facts->first_ms, retry->first_ms);
		if (retry->last_ms > facts->last_ms)
			facts->last_ms = retry->last_ms;
	}
	facts->now_ms = who->cli->now_ms;
	facts->rules = view->rules.rows;
	facts->rule_count = view->rules.known ? view->rules.count : 0;
	who_set_periods(facts, &view->pairs, &view->retries);
}

/* --- out --- */

static void name_text(struct who *who, const struct name_view *view)
{
	struct strbuf *out = &who->cli->out;
	struct summary summary = who_summarize(&view->pairs);

	if (view->clients.count == 0 && view->pairs.count == 0) {
		append_unasked(who);
		who_append_rules(who, &view->rules);
		who_append_history(who, &view->history);
		return;
	}
	who_append_story(who, &view->facts);
	append_known_name(who);
	if (view->pairs.count) {
		strbuf_append_text(out, "\nAddresses were told for it ");
		output_count(out, summary.count, "time");
		strbuf_append_text(out, ", ");
		who_append_period(who, &summary);
		who_append_pairs(who, &view->pairs, &view->retries,
			"CLIENT|ADDRESS TOLD|>TIMES|EVERY|FIRST|LAST|BY WAY OF");
	} else {
		strbuf_append_text(out, "It is blocked, does not exist, or was asked for other "
					"types than addresses.\n");
	}
	who_append_ranks(
		who, &view->clients, "Queries, whatever was answered:", "CLIENT|>QUERIES");
	who_append_rules(who, &view->rules);
	who_append_series(who, &view->series);
	who_append_drops(who, &view->drops);
	who_append_history(who, &view->history);
	who_append_hosts(who, &view->hosts);
	strbuf_append_char(out, '\n');
	cli_coverage_text(who->cli, who->fleet, &who->coverage, out);
	who_append_sources(who, &view->facts);
}

static void name_json(struct who *who, const struct name_view *view)
{
	const char *what = known_name(who->name);
	const struct who_total totals[] = {{"clients", view->clients.count},
		{"drops", view->drops.count}, {"history", view->history.count},
		{"pairs", view->pairs.count}};

	strbuf_json_text(&who->cli->out, "name", who->name);
	strbuf_json_text(&who->cli->out, "known_name", what);
	strbuf_json_key(&who->cli->out, "tunnel");
	struct tunnel tunnel = known_tunnel_of_name(who->name);
	known_tunnel_json(&tunnel, &who->cli->out);
	who_append_story_json(who, &view->facts);
	who_append_ranks_json(who, "clients", "client", &view->clients);
	who_append_rules_json(who, &view->rules);
	who_append_logs_json(who, &view->facts, &view->series, &view->drops);
	who_append_history_json(who, &view->history);
	who_append_hosts_json(who, &view->hosts);
	who_append_totals_json(who, totals, sizeof(totals) / sizeof(totals[0]));
	who_append_pairs_json(who, &view->pairs, &view->retries);
}

enum td_error who_show_name(struct who *who, bool *found)
{
	struct name_view view = {.pairs = {NULL, 0, false}};

	enum td_error error = load_questions(who, &view);
	if (error == TD_OK)
		error = load_logs(who, &view);
	if (error == TD_OK)
		error = load_imports(who, &view);
	if (error != TD_OK)
		return error;
	who_sort(&view.pairs);
	set_facts(who, &view);
	*found = view.clients.count > 0 || view.pairs.count > 0 || view.history.count > 0;
	(who->cli->json ? name_json : name_text)(who, &view);
	return TD_OK;
}

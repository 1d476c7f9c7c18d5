/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `who ADDRESS`: the clients that were told it, each with the question that led there, and what logs
 * say of it. A known tunnel server that nobody was told is explained all the same: what it is, which
 * names lead there, and whether those were asked. What is known is loaded first and then shown; text
 * and JSON are made of the same.
 */
#include <string.h>

#include "resolver/control/known.h"
#include "resolver/control/who.h"

#define ASKED_MAX 16

/*
 * Names that are known to lead to this address and were asked, whatever was answered: after `block
 * on` nobody is told the address any more, but who asks is what one wants to see.
 */
struct asked {
	const char *name;
	uint64_t clients, queries;
};

static enum td_error find_asked(struct who *who, const struct known_place *place,
	struct asked out[], size_t max, size_t *count)
{
	enum td_error error = TD_OK;

	*count = 0;
	for (size_t i = 0; place && place->names[i] && *count < max && error == TD_OK; i++) {
		struct reader_ranks clients;
		error = fleet_ranks(who->fleet, &who->cli->arena, READER_NAME_CLIENTS,
			place->names[i], READER_ROWS_MAX, &clients, NULL);
		if (clients.count == 0)
			continue;
		struct asked *row = &out[(*count)++];
		*row = (struct asked){place->names[i], clients.total, 0};
		for (size_t c = 0; c < clients.count; c++)
			row->queries += (uint64_t)clients.rows[c].value;
	}
	return error;
}

static void append_asked(struct who *who, const struct asked asked[], size_t count)
{
	struct strbuf *out = &who->cli->out;

	if (count == 0)
		return;
	strbuf_append_text(
		out, "\nNames of such servers that were asked here, whatever was answered:\n");
	for (size_t i = 0; i < count; i++) {
		strbuf_printf(out, "  %s  ", asked[i].name);
		output_count(out, asked[i].queries, "time");
		strbuf_append_text(out, " by ");
		output_count(out, asked[i].clients, "client");
		strbuf_append_char(out, '\n');
	}
	char words[NAME_TEXT_MAX + 8];
	snprintf(words, sizeof(words), "who %s", asked[0].name);
	cli_next(who->cli, out, words, "Which clients");
}

static void append_asked_json(struct who *who, const struct asked asked[], size_t count)
{
	struct strbuf *out = &who->cli->out;

	strbuf_json_key(out, "asked");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "name", asked[i].name);
		strbuf_json_u64(out, "clients", asked[i].clients);
		strbuf_json_u64(out, "queries", asked[i].queries);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}

/* --- loading --- */

struct address_view {
	struct reader_pairs pairs;
	struct asked asked[ASKED_MAX];
	size_t asked_count;
	struct who_facts facts;
	struct who_retries retries;
	struct who_rules rules;
	struct who_series series;
	struct who_drops drops;
	struct reader_histories history;
	struct who_hosts hosts;
};

static enum td_error load_questions(struct who *who, struct address_view *view)
{
	struct arena *arena = &who->cli->arena;
	struct who_facts *facts = &view->facts;
	const char **asked = arena_alloc(arena, ASKED_MAX * sizeof(*asked));
	struct who_list names, known = {.words = asked, .count = view->asked_count};

	if (!asked)
		return TD_NOMEM;
	for (size_t i = 0; i < view->asked_count; i++)
		asked[i] = view->asked[i].name;
	enum td_error error = who_rank(arena, &view->pairs, COLUMN_NAME, &facts->names);
	if (error == TD_OK)
		error = who_rank(arena, &view->pairs, COLUMN_CLIENT, &facts->hosts);
	names = facts->names;
	if (error == TD_OK)
		error = who_list_join(arena, &names, &known);
	if (error == TD_OK)
		error = who_load_retries(who, NULL, &names, &view->retries);
	if (error == TD_OK)
		error = who_load_rules(who, facts->names.count ? &facts->names : &known,
			&view->pairs, NULL, &view->rules);
	return error;
}

static enum td_error load_logs(struct who *who, struct address_view *view)
{
	struct who_facts *facts = &view->facts;
	const char *const words[] = {who->address_words};
	const struct who_list self = {.words = words, .count = 1};

	enum td_error error = who_load_series(who, &self, &view->series, &facts->logs);
	for (size_t i = 0; i < facts->names.count && i < WHO_SERIES_MAX && error == TD_OK; i++)
		error = who_add_proxied(who, facts->names.words[i], &facts->logs);
	if (error == TD_OK && facts->logs.dropped)
		error = who_load_drops(who, NULL, &self, &view->drops);
	if (error == TD_OK)
		error = who_name_drops(who, &view->drops, &view->pairs);
	if (error == TD_OK)
		error = who_load_sources(who, facts->sources);
	return error;
}

static enum td_error load_imports(struct who *who, struct address_view *view)
{
	const struct reader_history_wanted wanted = {
		.address = who->address_words, .limit = READER_ROWS_MAX};
	struct who_list clients = view->facts.hosts;
	const char **dropped = arena_alloc(
		&who->cli->arena, (view->drops.count + 1) * sizeof(*dropped));
	struct who_list others = {.words = dropped, .count = view->drops.count};

	if (!dropped)
		return TD_NOMEM;
	for (size_t i = 0; i < view->drops.count; i++)
		dropped[i] = view->drops.rows[i].client;
	enum td_error error = who_list_join(&who->cli->arena, &clients, &others);
	if (error == TD_OK)
		error = who_load_history(who, &wanted, &view->history);
	if (error == TD_OK)
		error = who_load_hosts(who, &clients, &view->hosts);
	return error;
}

static void set_facts(struct who *who, struct address_view *view)
{
	struct who_facts *facts = &view->facts;
	struct summary summary = who_summarize(&view->pairs);

	facts->kind = WHO_ADDRESS;
	facts->subject = who->address_words;
	facts->lookups = summary.count;
	facts->first_ms = summary.first_ms;
	facts->last_ms = summary.last_ms;
	facts->now_ms = who->cli->now_ms;
	facts->rules = view->rules.rows;
	facts->rule_count = view->rules.known ? view->rules.count : 0;
	who_set_periods(facts, &view->pairs, &view->retries);
}

/* --- text --- */

static void append_untold(struct who *who)
{
	struct strbuf *out = &who->cli->out;

	who_append_bold(who, who->address_words);
	if (who->coverage.ever)
		strbuf_append_text(out, " was told to no client, and is no client itself.\n");
	else
		strbuf_append_text(out, ": nothing recorded.\n");
}

/* What to do when no client was told the address. */
static void append_untold_next(struct who *who, const struct known_place *place, size_t asked)
{
	struct strbuf *out = &who->cli->out;

	if (asked > 0 || !who->coverage.ever)
		return;
	if (place) {
		strbuf_append_text(out, "None of these names has been asked here. Hosts that reach "
					"it may use another resolver, or have "
					"the address built in.\nPoint them at this resolver; to "
					"see that it records: ");
		cli_query_line(who->cli, out, place->names[0]);
		strbuf_append_char(out, '\n');
	} else {
		cli_next(who->cli, out, "top names --days 8",
			"Nothing asked here led there; what was asked");
	}
}

static void append_tables(struct who *who, const struct address_view *view)
{
	who_append_rules(who, &view->rules);
	who_append_series(who, &view->series);
	who_append_drops(who, &view->drops);
	who_append_history(who, &view->history);
	who_append_hosts(who, &view->hosts);
}

static void untold_text(struct who *who, const struct address_view *view)
{
	struct strbuf *out = &who->cli->out;

	append_untold(who);
	known_describe(&who->address, true, out);
	who_append_story(who, &view->facts);
	cli_coverage_text(who->cli, who->fleet, &who->coverage, out);
	who_append_sources(who, &view->facts);
	append_asked(who, view->asked, view->asked_count);
	append_tables(who, view);
	append_untold_next(who, known_place(&who->address), view->asked_count);
}

/* Whether more was asked than the address was told: it is blocked now, say. */
static bool asked_more(const struct address_view *view)
{
	uint64_t queries = 0;

	for (size_t i = 0; i < view->asked_count; i++)
		queries += view->asked[i].queries;
	return queries > view->facts.lookups;
}

/* Nothing is left to be blocked: of every name that is known to lead there the daemon said so. */
static bool is_blocked(const struct who_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		if (rules->rows[i].verdict != VERDICT_BLOCK &&
			rules->rows[i].verdict != VERDICT_LOCAL)
			return false;
	return rules->known;
}

static void address_text(struct who *who, const struct address_view *view)
{
	struct strbuf *out = &who->cli->out;

	if (view->pairs.count == 0) {
		untold_text(who, view);
		return;
	}
	who_append_story(who, &view->facts);
	known_describe(&who->address, false, out);
	strbuf_append_char(out, '\n');
	who_append_pairs(who, &view->pairs, &view->retries,
		"CLIENT|NAME ASKED|>TIMES|EVERY|FIRST|LAST|BY WAY OF");
	if (asked_more(view))
		append_asked(who, view->asked, view->asked_count);
	append_tables(who, view);
	strbuf_append_char(out, '\n');
	cli_coverage_text(who->cli, who->fleet, &who->coverage, out);
	who_append_sources(who, &view->facts);
	if (known_place(&who->address) && !is_blocked(&view->rules))
		cli_next(who->cli, out, "block on", "To answer NXDOMAIN to all tunnel names");
}

static void address_json(struct who *who, const struct address_view *view)
{
	const struct who_total totals[] = {{"clients", view->facts.hosts.count},
		{"names", view->facts.names.count}, {"drops", view->drops.count},
		{"history", view->history.count}, {"pairs", view->pairs.count}};

	known_describe_json(&who->address, &who->cli->out);
	who_append_story_json(who, &view->facts);
	who_append_words_json(who, "clients", &view->facts.hosts);
	who_append_words_json(who, "names", &view->facts.names);
	append_asked_json(who, view->asked, view->asked_count);
	who_append_rules_json(who, &view->rules);
	who_append_logs_json(who, &view->facts, &view->series, &view->drops);
	who_append_history_json(who, &view->history);
	who_append_hosts_json(who, &view->hosts);
	who_append_totals_json(who, totals, sizeof(totals) / sizeof(totals[0]));
	who_append_pairs_json(who, &view->pairs, &view->retries);
}

/* found: there was a pair, a client that asked for a name that leads there, or a log knows of it. */
enum td_error who_show_address(struct who *who, bool *found)
{
	struct address_view view = {.asked_count = 0};

	enum td_error error = fleet_address_pairs(
		who->fleet, &who->cli->arena, who->address_words, READER_ROWS_MAX, &view.pairs);
	if (error == TD_OK)
		error = find_asked(who, known_place(&who->address), view.asked, ASKED_MAX,
			&view.asked_count);
	if (error == TD_OK)
		error = load_questions(who, &view);
	if (error == TD_OK)
		error = load_logs(who, &view);
	if (error == TD_OK)
		error = load_imports(who, &view);
	if (error != TD_OK)
		return error;
	who_sort(&view.pairs);
	set_facts(who, &view);
	*found = view.pairs.count > 0 || view.asked_count > 0 || view.history.count > 0 ||
		 view.facts.logs.dropped || view.facts.logs.passed || view.facts.logs.proxied;
	(who->cli->json ? address_json : address_text)(who, &view);
	return TD_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `who ADDRESS`: the clients that were told it, each with the question that led there. A known
 * tunnel server that nobody was told is explained all the same: what it is, which names lead there,
 * and whether those were asked.
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

static void append_told(struct who *who, const struct reader_pairs *pairs, size_t clients,
	const char **names, size_t name_count)
{
	struct strbuf *out = &who->cli->out;
	struct summary summary = who_summarize(pairs);

	who_append_bold(who, who->address_words);
	strbuf_append_text(out, " was told to ");
	output_count(out, clients, "client");
	strbuf_append_text(out, ", ");
	output_count(out, summary.count, "time");
	strbuf_append_text(out, ", ");
	who_append_period(who, &summary);
	if (name_count == 1) {
		strbuf_append_text(out, "Only one name led there: ");
		who_append_bold(who, names[0]);
		strbuf_append_char(out, '\n');
	} else {
		strbuf_printf(out, "%zu names led there.\n", name_count);
	}
}

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

static void address_text(struct who *who, const struct reader_pairs *pairs,
	const struct asked asked[], size_t asked_count)
{
	struct arena *arena = &who->cli->arena;
	struct strbuf *out = &who->cli->out;
	size_t client_count, name_count;

	if (pairs->count == 0) {
		append_untold(who);
		known_describe(&who->address, true, out);
		cli_coverage_text(who->cli, who->fleet, &who->coverage, out);
		append_asked(who, asked, asked_count);
		append_untold_next(who, known_place(&who->address), asked_count);
		return;
	}
	who_distinct(arena, pairs, true, &client_count);
	const char **names = who_distinct(arena, pairs, false, &name_count);
	append_told(who, pairs, client_count, names, name_count);
	known_describe(&who->address, false, out);
	strbuf_append_char(out, '\n');
	who_append_pairs(who, pairs, "CLIENT|NAME ASKED|>TIMES|FIRST|LAST|BY WAY OF");
	append_asked(who, asked, asked_count);
	strbuf_append_char(out, '\n');
	cli_coverage_text(who->cli, who->fleet, &who->coverage, out);
	if (known_place(&who->address))
		cli_next(who->cli, out, "block on", "To answer NXDOMAIN to all tunnel names");
}

static void address_json(struct who *who, const struct reader_pairs *pairs,
	const struct asked asked[], size_t asked_count)
{
	struct arena *arena = &who->cli->arena;
	size_t count;

	known_describe_json(&who->address, &who->cli->out);
	const char **clients = who_distinct(arena, pairs, true, &count);
	who_append_words_json(who, "clients", clients, count);
	const char **names = who_distinct(arena, pairs, false, &count);
	who_append_words_json(who, "names", names, count);
	append_asked_json(who, asked, asked_count);
	who_append_pairs_json(who, pairs);
}

/* found: there was a pair, or a client that asked for a name that leads there. */
enum td_error who_show_address(struct who *who, bool *found)
{
	struct reader_pairs pairs;
	struct asked asked[ASKED_MAX];
	size_t asked_count = 0;

	enum td_error error = fleet_address_pairs(
		who->fleet, &who->cli->arena, who->address_words, READER_ROWS_MAX, &pairs);
	if (error == TD_OK)
		error = find_asked(who, known_place(&who->address), asked, ASKED_MAX, &asked_count);
	if (error != TD_OK)
		return error;
	who_sort(&pairs);
	*found = pairs.count > 0 || asked_count > 0;
	(who->cli->json ? address_json : address_text)(who, &pairs, asked, asked_count);
	return TD_OK;
}

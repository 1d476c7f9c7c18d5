/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `who NAME`: who asked it, and which address each client was told for it. The store has the name's
 * addresses and the name's clients; which of them belong together is looked up pair by pair.
 */
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

static void append_known_name(struct who *who)
{
	const char *what = known_name(who->name);
	if (what)
		strbuf_printf(&who->cli->out, "It is %s.\n", what);
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

static void name_text(
	struct who *who, const struct reader_ranks *clients, const struct reader_pairs *pairs)
{
	struct strbuf *out = &who->cli->out;
	struct summary summary = who_summarize(pairs);
	uint64_t queries = 0;

	if (clients->count == 0 && pairs->count == 0) {
		append_unasked(who);
		return;
	}
	for (size_t i = 0; i < clients->count; i++)
		queries += (uint64_t)clients->rows[i].value;
	who_append_bold(who, who->name);
	strbuf_append_text(out, " was asked by ");
	output_count(out, clients->total, "client");
	strbuf_append_text(out, ", ");
	output_count(out, queries, "time");
	strbuf_append_text(out, ".\n");
	append_known_name(who);
	if (pairs->count) {
		strbuf_append_text(out, "Addresses were told for it ");
		output_count(out, summary.count, "time");
		strbuf_append_text(out, ", ");
		who_append_period(who, &summary);
		strbuf_append_char(out, '\n');
		who_append_pairs(who, pairs, "CLIENT|ADDRESS TOLD|>TIMES|FIRST|LAST|BY WAY OF");
	} else {
		strbuf_append_text(out, "No address was told for it: it is blocked, does not "
					"exist, or was asked for other types.\n");
	}
	who_append_ranks(who, clients, "Queries, whatever was answered:", "CLIENT|>QUERIES");
	strbuf_append_char(out, '\n');
	cli_coverage_text(who->cli, who->fleet, &who->coverage, out);
}

enum td_error who_show_name(struct who *who, bool *found)
{
	struct reader_ranks clients;
	struct reader_pairs pairs = {NULL, 0, false};
	struct name_pairs name_pairs = {who, &pairs};

	enum td_error error = fleet_ranks(who->fleet, &who->cli->arena, READER_NAME_CLIENTS,
		who->name, READER_ROWS_MAX, &clients, NULL);
	if (error == TD_OK)
		error = fleet_each(who->fleet, add_name_pairs, &name_pairs);
	if (error != TD_OK)
		return error;
	who_sort(&pairs);
	*found = clients.count > 0 || pairs.count > 0;
	if (!who->cli->json) {
		name_text(who, &clients, &pairs);
		return TD_OK;
	}
	const char *what = known_name(who->name);
	strbuf_json_text(&who->cli->out, "name", who->name);
	strbuf_json_text(&who->cli->out, "known_name", what);
	who_append_ranks_json(who, "clients", "client", &clients);
	who_append_pairs_json(who, &pairs);
	return TD_OK;
}

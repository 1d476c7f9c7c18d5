/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown top`: rankings from Redis, once into a pipe, and in a terminal a screen that is live
 * (top_screen.h).
 */
#include <string.h>

#include "config.h"
#include "resolver/control/cli.h"
#include "resolver/control/top_load.h"
#include "resolver/control/top_print.h"
#include "resolver/control/top_screen.h"
#include "resolver/telemetry/redis/reader.h"

#define ROWS_DEFAULT 20
#define ROWS_MAX 10000
#define DAYS_MAX 31

static void explain_empty(
	struct cli *cli, enum top_view view, const struct cli_coverage *coverage, struct strbuf *out)
{
	if (!coverage->ever)
		return;
	if (view == TOP_NAMES && !cli->option[CLI_DAYS]) {
		strbuf_append_text(out, "No name has been asked since midnight UTC.\n");
		cli_next(cli, out, "top names --days 8", "The days before");
	} else if (view == TOP_WATCHED || view == TOP_RULES) {
		strbuf_append_text(
			out, "No client has asked for a name of a watched or blocked zone.\nTry: ");
		cli_query_line(cli, out, "teredo.ipv6.microsoft.com");
		strbuf_append_char(out, '\n');
	} else {
		strbuf_append_text(out,
			"No client has asked anything yet. Point one at this resolver, or try: ");
		cli_query_line(cli, out, "example.com");
		strbuf_append_char(out, '\n');
	}
}

static void append_title(struct cli *cli, const struct fleet *fleet, const struct top_wish *wish)
{
	struct strbuf *out = &cli->out;

	output_style(out, cli->colour, STYLE_BOLD);
	strbuf_append_text(out, top_view_title(wish->view));
	output_style(out, cli->colour, STYLE_PLAIN);
	strbuf_append_text(out, ", ");
	cli_fleet_name(fleet, out);
	if (wish->view == TOP_NAMES)
		strbuf_printf(out,
			wish->days == 1 ? ", today (UTC)" : ", last %zu days (UTC)", wish->days);
	strbuf_append_text(out, ", ");
	output_time(out, cli->now_ms);
	strbuf_append_text(out, "\n\n");
}

static void append_text(struct cli *cli, struct fleet *fleet, const struct top_wish *wish,
	const struct top_table *table, const struct cli_coverage *coverage)
{
	struct strbuf *out = &cli->out;

	append_title(cli, fleet, wish);
	top_print(cli, table);
	if (table->count == 0)
		explain_empty(cli, wish->view, coverage, out);
	else
		strbuf_append_char(out, '\n');
	if (!table->exact)
		strbuf_printf(out,
			"Sums are right; a row that no resolver has among its first %d may be "
			"missing.\n",
			READER_ROWS_MAX);
	cli_coverage_text(cli, fleet, coverage, out);
}

static void append_json(struct cli *cli, struct fleet *fleet, const struct top_wish *wish,
	const struct top_table *table, const struct cli_coverage *coverage)
{
	struct strbuf *out = &cli->out;

	strbuf_append_char(out, '{');
	strbuf_json_text(out, "top", top_view_name(wish->view));
	output_json_time(out, "time", cli->now_ms);
	strbuf_json_key(out, "rows");
	top_print_json(cli, table);
	cli_fleet_json(fleet, out);
	strbuf_json_bool(out, "exact", table->exact);
	output_json_time(out, "recording_since", coverage->since_ms);
	strbuf_append_text(out, "}\n");
}

static int print_once(struct cli *cli, struct fleet *fleet, const struct top_wish *wish)
{
	struct cli_coverage coverage;
	struct top_table table;
	enum td_error error = cli_coverage(cli, fleet, &coverage);

	if (error == TD_OK)
		error = top_load(cli, fleet, NULL, wish, &table);
	if (error != TD_OK)
		return cli_fleet_failed(cli, fleet);
	if (cli->json)
		append_json(cli, fleet, wish, &table, &coverage);
	else
		append_text(cli, fleet, wish, &table, &coverage);
	return table.count ? CLI_OK : CLI_NOTHING;
}

static int top_run(struct cli *cli, int count, char **words)
{
	struct top_wish wish = {.view = count ? top_view_from_text(words[0]) : TOP_CLIENTS};

	if (count > 1 || wish.view == TOP_NOTHING)
		return cli_usage(
			cli, &command_top, "takes one of clients, names, watched, rules");
	if (!cli_number(cli, CLI_LINES, ROWS_DEFAULT, ROWS_MAX, &wish.limit) ||
		!cli_number(cli, CLI_DAYS, 1, DAYS_MAX, &wish.days))
		return CLI_USAGE;
	struct fleet *fleet = cli_fleet(cli);
	if (!fleet)
		return CLI_ERROR;
	if (cli->terminal && !cli->json && !cli->option[CLI_ONCE]) {
		struct top_wish live = wish;
		int code;
		if (!cli->option[CLI_LINES])
			live.limit = ROWS_MAX;
		if (top_screen_run(cli, fleet, &live, &code))
			return code;
	}
	int code = cli_fleet_code(cli, fleet, print_once(cli, fleet, &wish));
	cli_fleet_close(cli, &fleet);
	return code;
}

const struct command command_top = {
	.name = "top",
	.arguments = "[clients|names|watched|rules]",
	.summary = "who asks most, what is asked most, who asks for tunnels",
	.help = "Rankings of what was recorded: clients by queries (the default), names by queries "
		"today, the clients\n"
		"that asked for watched or blocked names, or the rules that they hit. In a terminal it is a live "
		"screen: Enter goes from a client\n"
		"to the names it asked and from a name to its clients, Esc back, s and r sort, / searches, ? tells all keys, q ends;\n"
		"into a pipe it prints once. With --fleet the figures are sums over all "
		"resolvers that record in this Redis.\n\n"
		"Examples:\n"
		"  teredown top\n"
		"  teredown top watched -n 50 --once\n"
		"  teredown top --fleet\n"
		"  teredown top names --days 8 --json | jq '.rows[0]'",
	.takes = 1u << CLI_LINES | 1u << CLI_DAYS | 1u << CLI_ONCE | CLI_READS,
	.run = top_run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown drops`: where dropped packets went, most first, and for each destination the names and
 * clients behind it. What firewalls dropped comes from `teredown ingest`; without it there is
 * nothing to show, and that is what is said.
 */
#include <stdio.h>
#include <string.h>

#include "resolver/control/buckets.h"
#include "resolver/control/cli.h"
#include "resolver/control/drops.h"
#include "resolver/control/export.h"
#include "resolver/control/known.h"
#include "resolver/control/ratio.h"

#define ROWS_DEFAULT 20
#define ROWS_MAX 10000
#define SINCE_DEFAULT "7d"
#define SHOWN 3 /* clients or names of a row */
#define KIND_MAX 32
#define HOUR_MS INT64_C(3600000)

struct report {
	struct cli *cli;
	struct drops drops;
	struct cli_coverage coverage;
	int64_t since_ms, until_ms;
	size_t limit;
};

static size_t shown_rows(const struct report *report)
{
	return report->drops.count < report->limit ? report->drops.count : report->limit;
}

static const char *kind_text(const struct drops_destination *row, char out[KIND_MAX])
{
	snprintf(out, KIND_MAX, "%s%s%s", row->udp3544 ? "UDP 3544" : "",
		row->udp3544 && row->proto41 ? ", " : "", row->proto41 ? "protocol 41" : "");
	return *out ? out : "-";
}

/* "96.3 %" */
static const char *share_text(const struct report *report, uint64_t drops, char out[KIND_MAX])
{
	double share =
		report->drops.total ? 100.0 * (double)drops / (double)report->drops.total : 0;

	snprintf(out, KIND_MAX, "%.1f %%", share);
	return out;
}

/* --- for people --- */

static void append_more(struct strbuf *out, size_t count)
{
	if (count > SHOWN)
		strbuf_printf(out, " and %zu more", count - SHOWN);
}

/* Where no name was asked here. */
static void append_logged(struct strbuf *out, const struct drops_destination *row)
{
	strbuf_append_text(out, row->log_ambiguous ? "(in a log, ambiguous: " : "(in a log: ");
	for (size_t i = 0; i < row->logged_count && i < SHOWN; i++) {
		strbuf_append_text(out, i ? ", " : "");
		strbuf_append_text(out, row->logged[i]);
	}
	append_more(out, row->logged_count);
	strbuf_append_char(out, ')');
}

/* Raw text, which the grid escapes. */
static void append_names(struct strbuf *out, const struct drops_destination *row)
{
	if (row->hard_coded) {
		strbuf_append_text(out, "(no lookup here)");
		return;
	}
	for (size_t i = 0; i < row->name_count && i < SHOWN; i++) {
		strbuf_append_text(out, i ? ", " : "");
		strbuf_append_text(out, row->names[i]);
	}
	append_more(out, row->name_count);
	if (row->name_count == 0 && row->logged_count == 0)
		strbuf_append_text(out, "(name not kept)");
	if (row->others_only)
		strbuf_append_text(out, " (asked by others)");
	if (row->name_count == 0 && row->logged_count)
		append_logged(out, row);
}

static void append_clients(struct strbuf *out, const struct drops_destination *row)
{
	for (size_t i = 0; i < row->client_count && i < SHOWN; i++) {
		strbuf_append_text(out, i ? ", " : "");
		strbuf_append_text(out, row->clients[i].client);
	}
	append_more(out, row->client_count);
}

static void cell_by(struct grid *grid, const struct drops_destination *row,
	void (*append)(struct strbuf *, const struct drops_destination *))
{
	struct strbuf text;

	strbuf_init(&text);
	append(&text, row);
	grid_cell(grid, text.data ? text.data : "");
	grid->text.failed |= text.failed;
	strbuf_deinit(&text);
}

static void add_row(
	const struct report *report, struct grid *grid, const struct drops_destination *row)
{
	char text[KIND_MAX], ratio[RATIO_MAX];

	grid_cell(grid, row->address);
	grid_cell_u64(grid, row->drops);
	grid_cell(grid, share_text(report, row->drops, text));
	grid_cell(grid, kind_text(row, text));
	grid_cell_u64(grid, row->lookups);
	grid_cell(grid, ratio_text(row->drops, row->lookups, ratio));
	cell_by(grid, row, append_names);
	cell_by(grid, row, append_clients);
}

static void add_others(const struct report *report, struct grid *grid)
{
	char text[KIND_MAX];

	if (report->drops.others == 0)
		return;
	grid_cell(grid, "(others)");
	grid_cell_u64(grid, report->drops.others);
	grid_cell(grid, share_text(report, report->drops.others, text));
	for (int i = 0; i < 5; i++)
		grid_cell(grid, "-");
}

static void append_table(struct report *report)
{
	struct cli *cli = report->cli;
	struct grid grid;

	grid_init(&grid, "DESTINATION|>DROPS|>SHARE|TUNNEL|>LOOKUPS|>DROPS/LOOKUP|NAMES|CLIENTS");
	for (size_t i = 0; i < shown_rows(report); i++)
		add_row(report, &grid, &report->drops.rows[i]);
	add_others(report, &grid);
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
	if (report->drops.count > report->limit)
		strbuf_printf(&cli->out, "... and %zu more destinations; -n %zu shows them.\n",
			report->drops.count - report->limit,
			report->drops.count < ROWS_MAX ? report->drops.count : ROWS_MAX);
}

/* The end of the last hour that was asked for, where that is not now. */
static void append_until(const struct report *report, struct strbuf *out)
{
	if (!report->cli->option[CLI_UNTIL])
		return;
	int64_t end = report->drops.hours.first + (int64_t)report->drops.hours.count;
	strbuf_append_text(out, " until ");
	output_time(out, end * HOUR_MS);
}

static void append_title(struct report *report)
{
	struct strbuf *out = &report->cli->out;

	output_style(out, report->cli->colour, STYLE_BOLD);
	output_count(out, report->drops.total, "dropped packet");
	output_style(out, report->cli->colour, STYLE_PLAIN);
	strbuf_append_text(out, " to ");
	output_count(out, report->drops.count, "destination");
	strbuf_append_text(out, " since ");
	output_time(out, report->since_ms);
	append_until(report, out);
	strbuf_append_text(out, ", ");
	cli_fleet_name(report->drops.fleet, out);
	strbuf_append_text(out, "\n\n");
}

/* What the first row is, where that is known, and what the marks mean. */
static void append_notes(struct report *report)
{
	struct strbuf *out = &report->cli->out;
	bool hard_coded = false, others_only = false;
	struct address first;

	for (size_t i = 0; i < shown_rows(report); i++) {
		hard_coded = hard_coded || report->drops.rows[i].hard_coded;
		others_only = others_only || report->drops.rows[i].others_only;
	}
	if (report->drops.count && address_from_text(&first, report->drops.rows[0].address) &&
		known_place(&first)) {
		strbuf_append_text(out, report->drops.rows[0].address);
		strbuf_append_text(out, ": ");
		known_describe(&first, false, out);
	}
	if (hard_coded)
		strbuf_append_text(out,
			"(no lookup here): this resolver told the address to nobody; it is built "
			"into a program, or was asked for elsewhere.\n");
	if (others_only)
		strbuf_append_text(out, "(asked by others): the clients whose packets were dropped "
					"were not told the address here.\n");
	if (report->drops.others)
		strbuf_append_text(out, "(others): a bound of the store was reached in some hours; "
					"clients of rows above may be missing.\n");
	if (report->drops.cut)
		strbuf_append_text(out, "There is more than was read here.\n");
}

static void append_empty(struct report *report)
{
	struct cli *cli = report->cli;

	strbuf_append_text(&cli->out, "No dropped packet is recorded since ");
	output_time(&cli->out, report->since_ms);
	append_until(report, &cli->out);
	strbuf_append_text(&cli->out, ".\n");
	cli_coverage_text(cli, report->drops.fleet, &report->coverage, &cli->out);
	cli_next(cli, &cli->out, "ingest FILE", "Read the log of a firewall");
}

static void show_text(struct report *report)
{
	struct cli *cli = report->cli;
	char words[ADDRESS_TEXT_MAX + 16];

	if (report->drops.total == 0) {
		append_empty(report);
		return;
	}
	append_title(report);
	append_table(report);
	strbuf_append_char(&cli->out, '\n');
	append_notes(report);
	cli_coverage_text(cli, report->drops.fleet, &report->coverage, &cli->out);
	if (report->drops.count == 0)
		return;
	snprintf(words, sizeof(words), "who %s", report->drops.rows[0].address);
	cli_next(cli, &cli->out, words, "Who is behind the first");
	snprintf(words, sizeof(words), "timeline %s", report->drops.rows[0].address);
	cli_next(cli, &cli->out, words, "When");
}

/* --- JSON and CSV --- */

static void words_json(struct strbuf *out, const char *key, const char **words, size_t count)
{
	strbuf_json_key(out, key);
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		output_json_next(out);
		strbuf_json_string(out, words[i], strlen(words[i]));
	}
	strbuf_append_char(out, ']');
}

static void clients_json(struct strbuf *out, const struct drops_destination *row)
{
	strbuf_json_key(out, "clients");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < row->client_count; i++) {
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "client", row->clients[i].client);
		strbuf_json_u64(out, "drops", row->clients[i].drops);
		words_json(out, "names", row->clients[i].names, row->clients[i].name_count);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}

static void destination_json(const struct report *report, const struct drops_destination *row)
{
	struct strbuf *out = &report->cli->out;

	output_json_next(out);
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "address", row->address);
	strbuf_json_u64(out, "drops", row->drops);
	strbuf_json_key(out, "share");
	strbuf_printf(out, "%.4f", (double)row->drops / (double)report->drops.total);
	strbuf_json_u64(out, "udp3544", row->udp3544);
	strbuf_json_u64(out, "proto41", row->proto41);
	strbuf_json_u64(out, "lookups", row->lookups);
	ratio_json(out, "ratio", row->drops, row->lookups);
	strbuf_json_bool(out, "hard_coded", row->hard_coded);
	strbuf_json_bool(out, "others_only", row->others_only);
	words_json(out, "names", row->names, row->name_count);
	words_json(out, "logged", row->logged, row->logged_count);
	strbuf_json_bool(out, "log_ambiguous", row->log_ambiguous);
	clients_json(out, row);
	strbuf_append_char(out, '}');
}

static void show_json(struct report *report)
{
	struct strbuf *out = &report->cli->out;

	strbuf_append_char(out, '{');
	output_json_time(out, "since", report->since_ms);
	output_json_time(out, "until", report->until_ms);
	strbuf_json_u64(out, "drops", report->drops.total);
	strbuf_json_u64(out, "others", report->drops.others);
	strbuf_json_u64(out, "destination_count", report->drops.count);
	strbuf_json_key(out, "destinations");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < shown_rows(report); i++)
		destination_json(report, &report->drops.rows[i]);
	strbuf_append_char(out, ']');
	strbuf_json_bool(out, "cut", report->drops.cut);
	output_json_time(out, "recording_since", report->coverage.since_ms);
	cli_fleet_json(report->drops.fleet, out);
	strbuf_append_text(out, "}\n");
}

static void csv_joined(struct strbuf *out, const char *const *words, size_t count)
{
	struct strbuf text;

	strbuf_init(&text);
	for (size_t i = 0; i < count; i++) {
		strbuf_append_text(&text, i ? " " : "");
		strbuf_append_text(&text, words[i]);
	}
	export_csv_text(out, false, text.data ? text.data : "");
	out->failed |= text.failed;
	strbuf_deinit(&text);
}

static void destination_csv(struct report *report, const struct drops_destination *row)
{
	struct strbuf *out = &report->cli->out;
	const char **clients =
		arena_alloc(&report->cli->arena, (row->client_count + 1) * sizeof(*clients));
	char ratio[RATIO_MAX];

	export_csv_text(out, true, row->address);
	strbuf_printf(out, ",%llu,%.4f,%llu,%llu,%llu,%s,%d", (unsigned long long)row->drops,
		(double)row->drops / (double)report->drops.total, (unsigned long long)row->udp3544,
		(unsigned long long)row->proto41, (unsigned long long)row->lookups,
		row->lookups ? ratio_text(row->drops, row->lookups, ratio) : "", row->hard_coded);
	csv_joined(out, row->names, row->name_count);
	for (size_t i = 0; clients && i < row->client_count; i++)
		clients[i] = row->clients[i].client;
	if (clients)
		csv_joined(out, clients, row->client_count);
	out->failed |= clients == NULL;
	strbuf_append_text(out, "\r\n");
}

static void show_csv(struct report *report)
{
	strbuf_append_text(&report->cli->out, "address,drops,share,udp3544,proto41,lookups,ratio,"
					      "hard_coded,names,clients\r\n");
	for (size_t i = 0; i < shown_rows(report); i++)
		destination_csv(report, &report->drops.rows[i]);
}

/* --- the command --- */

static int answer(struct report *report)
{
	struct cli *cli = report->cli;

	enum td_error error = cli_coverage(cli, report->drops.fleet, &report->coverage);
	if (error == TD_OK)
		error = drops_load(&report->drops, report->limit);
	if (error != TD_OK)
		return cli_fleet_failed(cli, report->drops.fleet);
	if (cli->json)
		show_json(report);
	else if (cli->option[CLI_CSV])
		show_csv(report);
	else
		show_text(report);
	return report->drops.total ? CLI_OK : CLI_NOTHING;
}

/* NULL, or what is wrong. Whole hours, back to the begin of the first. */
static const char *take_times(struct report *report)
{
	struct cli *cli = report->cli;
	const char *since = cli->option[CLI_SINCE] ? cli->option[CLI_SINCE] : SINCE_DEFAULT;
	const char *until = cli->option[CLI_UNTIL];
	struct buckets buckets;

	report->until_ms = cli->now_ms;
	if (!export_time(since, cli->now_ms, &report->since_ms) ||
		(until && !export_time(until, cli->now_ms, &report->until_ms)))
		return "a time is like 2026-11-21, \"2026-11-21 20:52\", 2026-11-21T20:52:11Z, 3h "
		       "or 7d (ago)";
	if (buckets_make(&buckets, &cli->arena, (struct bucket_span){1, 0}, report->since_ms,
		    report->until_ms) != TD_OK)
		return "there is no time between --since and --until, or more than ten years";
	report->drops.hours = buckets.hours;
	report->since_ms = bucket_from_ms(&buckets, 0);
	return NULL;
}

static int drops_run(struct cli *cli, int count, char **words)
{
	struct report report = {.cli = cli, .drops = {.arena = &cli->arena}};

	(void)words;
	if (count != 0)
		return cli_usage(cli, &command_drops, "takes no arguments");
	if (!cli_number(cli, CLI_LINES, ROWS_DEFAULT, ROWS_MAX, &report.limit))
		return CLI_USAGE;
	if (cli->json && cli->option[CLI_CSV])
		return cli_usage(cli, &command_drops, "--json and --csv are two formats: give one");
	const char *fault = take_times(&report);
	if (fault)
		return cli_usage(cli, &command_drops, fault);
	report.drops.fleet = cli_fleet(cli);
	if (!report.drops.fleet)
		return CLI_ERROR;
	int code = cli_fleet_code(cli, report.drops.fleet, answer(&report));
	cli_fleet_close(cli, &report.drops.fleet);
	return code;
}

const struct command command_drops = {
	.name = "drops",
	.arguments = "",
	.summary = "where dropped packets went, with the names and clients behind it",
	.help = "Destinations of what firewalls dropped, as `teredown ingest` read it from their "
		"logs, most packets first: how many,\n"
		"their share of all, whether they were tunnel traffic (UDP 3544, protocol 41), how "
		"often this resolver told the\n"
		"address in that time, how many drops there are for each lookup, the names that "
		"led "
		"there, and the clients whose\n"
		"packets they were. A destination without any lookup here is marked: it is built "
		"into a program, or was asked for\n"
		"elsewhere. --json gives for each client the names for which it was told the "
		"address. Times are taken to full hours.\n\n"
		"Examples:\n"
		"  teredown drops\n"
		"  teredown drops --since 24h -n 5\n"
		"  teredown drops --since 2026-11-14 --until 2026-11-21 --fleet --csv >drops.csv\n"
		"  teredown drops --json | jq -r '.destinations[] | select(.hard_coded) | "
		".address'",
	.takes =
		CLI_READS | CLI_TAKES(LINES) | CLI_TAKES(SINCE) | CLI_TAKES(UNTIL) | CLI_TAKES(CSV),
	.run = drops_run,
};

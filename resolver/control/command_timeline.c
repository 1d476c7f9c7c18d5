/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown timeline`: what it is asked for, and in which form. A word that is a client is shown as
 * one; an address that is a client and was told to others as well is asked for with --address, so
 * that one command gives one chart and one table.
 */
#include <string.h>

#include "resolver/control/export.h"
#include "resolver/control/timeline.h"

#define SINCE_DEFAULT "7d"
#define SPAN_DEFAULT "1h"

struct request {
	struct timeline timeline;
	struct bucket_span span;
	int64_t since_ms, until_ms;
	bool address_only;
	char word[NAME_TEXT_MAX];
};

/* --- what was asked for --- */

/* NULL, or what is wrong. */
static const char *take_times(struct cli *cli, struct request *request)
{
	const char *since = cli->option[CLI_SINCE] ? cli->option[CLI_SINCE] : SINCE_DEFAULT;
	const char *until = cli->option[CLI_UNTIL];
	const char *span = cli->option[CLI_SPAN] ? cli->option[CLI_SPAN] : SPAN_DEFAULT;

	request->until_ms = cli->now_ms;
	if (!export_time(since, cli->now_ms, &request->since_ms) ||
		(until && !export_time(until, cli->now_ms, &request->until_ms)))
		return "a time is like 2026-11-21, \"2026-11-21 20:52\", 2026-11-21T20:52:11Z, 3h "
		       "or 7d (ago)";
	if (!bucket_span_from_text(&request->span, span))
		return "--span takes 1h, 2h, 3h, 4h, 6h, 8h, 12h, or 1d to 31d: Redis keeps counts "
		       "by the hour";
	return NULL;
}

static const char *take_view(struct cli *cli, struct timeline *timeline)
{
	static const char *const divisions[] = {"source", "client", "name"};
	const char *by = cli->option[CLI_BY], *scale = cli->option[CLI_SCALE];
	size_t d = 0;

	while (by && d < 3 && strcmp(by, divisions[d]) != 0)
		d++;
	if (d == 3)
		return "--by takes one of source, client, name";
	timeline->by = (enum timeline_by)d;
	timeline->logarithmic = scale && strcmp(scale, "log") == 0;
	if (scale && !timeline->logarithmic && strcmp(scale, "linear") != 0)
		return "--scale takes one of linear, log";
	if (cli->json && cli->option[CLI_CSV])
		return "--json and --csv are two formats: give one";
	return NULL;
}

static const char *take_word(struct cli *cli, struct request *request, int count, char **words)
{
	const char *address = cli->option[CLI_ADDRESS];
	struct timeline *timeline = &request->timeline;
	struct address parsed;
	struct name name;

	if (count + (address != NULL) != 1)
		return "needs one address, name or client";
	const char *word = address ? address : words[0];
	request->address_only = address != NULL;
	timeline->word = request->word;
	if (address_from_text(&parsed, word)) {
		address_to_text(&parsed, request->word);
		timeline->kind = TIMELINE_ADDRESS;
		return NULL;
	}
	if (address)
		return "--address takes an address";
	if (name_from_text(&name, word, strlen(word)) != TD_OK)
		return "this is neither an address nor a name";
	name_fold(name.wire, name.wire, name.length);
	name_to_text(name.wire, request->word);
	timeline->kind = TIMELINE_NAME;
	return NULL;
}

/* A client that is no address has its key under the word as it was given. */
static enum td_error find_client(struct request *request, const char *given)
{
	struct timeline *timeline = &request->timeline;
	const char *client = timeline->kind == TIMELINE_ADDRESS ? timeline->word : given;
	struct reader_fields fields;

	if (request->address_only)
		return TD_OK;
	enum td_error error = fleet_client(timeline->fleet, &timeline->cli->arena, client, &fields);
	if (error != TD_OK || fields.count == 0)
		return error;
	timeline->kind = TIMELINE_CLIENT;
	timeline->word = client;
	return TD_OK;
}

static const char *check_division(const struct timeline *timeline)
{
	if (timeline->kind == TIMELINE_CLIENT && timeline->by == TIMELINE_BY_CLIENT)
		return "this is one client: --by client is for an address or a name";
	if (timeline->kind == TIMELINE_NAME && timeline->by == TIMELINE_BY_NAME)
		return "this is one name: --by name is for an address or a client";
	return NULL;
}

/* --- the command --- */

static int show(struct timeline *timeline)
{
	struct cli *cli = timeline->cli;

	if (cli->json)
		timeline_show_json(timeline);
	else if (cli->option[CLI_CSV])
		timeline_show_csv(timeline);
	else
		timeline_show_text(timeline);
	return timeline->cell_count ? CLI_OK : CLI_NOTHING;
}

static int answer(struct request *request, const char *given)
{
	struct timeline *timeline = &request->timeline;
	struct cli *cli = timeline->cli;

	enum td_error error = cli_coverage(cli, timeline->fleet, &timeline->coverage);
	if (error == TD_OK)
		error = find_client(request, given);
	const char *fault = check_division(timeline);
	if (error == TD_OK && fault)
		return cli_usage(cli, &command_timeline, fault);
	if (error == TD_OK)
		error = timeline_load(timeline);
	int code = error == TD_OK ? show(timeline) : cli_fleet_failed(cli, timeline->fleet);
	timeline_deinit(timeline);
	return code;
}

static int timeline_run(struct cli *cli, int count, char **words)
{
	struct request request = {.timeline = {.cli = cli}};
	struct timeline *timeline = &request.timeline;

	const char *fault = take_word(cli, &request, count, words);
	fault = fault ? fault : take_times(cli, &request);
	fault = fault ? fault : take_view(cli, timeline);
	if (fault)
		return cli_usage(cli, &command_timeline, fault);
	enum td_error error = buckets_make(
		&timeline->buckets, &cli->arena, request.span, request.since_ms, request.until_ms);
	if (error == TD_INVALID)
		return cli_usage(cli, &command_timeline,
			"there is no time between --since and --until, or more than ten years");
	if (error != TD_OK) {
		cli_error(cli, "%s", error_text(error));
		return CLI_ERROR;
	}
	timeline->fleet = cli_fleet(cli);
	if (!timeline->fleet)
		return CLI_ERROR;
	int code = cli_fleet_code(
		cli, timeline->fleet, answer(&request, count ? words[0] : request.word));
	cli_fleet_close(cli, &timeline->fleet);
	return code;
}

const struct command command_timeline = {
	.name = "timeline",
	.arguments = "ADDRESS|NAME|CLIENT",
	.summary = "lookups, drops and other hits by the hour, as a chart",
	.help = "A row an hour (or --span), a column a source: dns, and what `teredown ingest` "
		"read "
		"of logs: firewall-drop,\n"
		"firewall-pass, proxy, eventlog; below them the sums, and how many drops there are "
		"for each lookup. For a client dns\n"
		"is all it asked, and dns-watched what of that were watched or blocked names. --by "
		"client or name divides lookups\n"
		"of watched names and drops instead: a drop is that of the name for which this "
		"client was told the address.\n"
		"Times are local; a day has 23, 24 or 25 hours. A word that is a client is shown "
		"as "
		"one; --address A takes it\n"
		"as an address that others were told.\n\n"
		"Examples:\n"
		"  teredown timeline 65.55.158.118\n"
		"  teredown timeline teredo.ipv6.microsoft.com --since 30d --span 1d --by client\n"
		"  teredown timeline 192.168.1.40 --since 2026-11-20 --until 2026-11-21 --by name\n"
		"  teredown timeline 65.55.158.118 --scale log --fleet\n"
		"  teredown timeline 65.55.158.118 --csv >timeline.csv",
	.takes = CLI_READS | CLI_TAKES(SINCE) | CLI_TAKES(UNTIL) | CLI_TAKES(SPAN) | CLI_TAKES(BY) |
		 CLI_TAKES(SCALE) | CLI_TAKES(CSV) | CLI_TAKES(ADDRESS),
	.run = timeline_run,
};

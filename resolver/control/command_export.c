/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown export`: pairs and records for other programs. Pairs are read address by address, and
 * written as they are read, so that memory is bounded by the index of addresses and the pairs of
 * one of them. The addresses are collected and sorted first: a cursor of Redis may return one
 * twice, which an exchange format must not, and sorted output can be compared.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/dns/address.h"
#include "resolver/control/cli.h"
#include "resolver/control/export.h"
#include "resolver/telemetry/redis/schema.h"

#define PAGE 500 /* records */

struct export
{
	struct cli *cli;
	struct fleet *fleet;
	enum export_format format;
	struct export_filter filter;
	char address[ADDRESS_TEXT_MAX], client[ADDRESS_TEXT_MAX];
	size_t rows, nameless;
	bool closed; /* nobody reads our output any more */
};

/* --- what was asked for --- */

static bool take_format(struct export *export)
{
	static const char *const names[] = {
		[EXPORT_JSON] = "json", [EXPORT_CSV] = "csv", [EXPORT_COF] = "cof"};
	const char *text = export->cli->option[CLI_FORMAT];

	export->format = EXPORT_JSON;
	for (int i = 0; text && i <= EXPORT_COF; i++)
		if (strcmp(text, names[i]) == 0) {
			export->format = (enum export_format)i;
			return true;
		}
	return !text;
}

static bool take_name(struct export_filter *filter, const char *text)
{
	filter->below = strncmp(text, "*.", 2) == 0;
	if (filter->below)
		text += 2;
	return name_from_text(&filter->name, text, strlen(text)) == TD_OK;
}

/* NULL, or what is wrong. */
static const char *take_filter(struct export *export)
{
	struct cli *cli = export->cli;
	struct export_filter *filter = &export->filter;
	const char *since = cli->option[CLI_SINCE], *until = cli->option[CLI_UNTIL];
	struct address address;

	*filter = (struct export_filter){.since_ms = INT64_MIN, .until_ms = INT64_MAX};
	if (!take_format(export))
		return "the format is one of json, csv, cof";
	if ((since && !export_time(since, cli->now_ms, &filter->since_ms)) ||
		(until && !export_time(until, cli->now_ms, &filter->until_ms)))
		return "a time is like 2026-11-21, \"2026-11-21 20:52\", 2026-11-21T20:52:11Z, 3h "
		       "or 8d (ago)";
	if (cli->option[CLI_NAME] && !take_name(filter, cli->option[CLI_NAME]))
		return "--name takes a name, or *.name for those below it";
	if (cli->option[CLI_ADDRESS]) {
		if (!address_from_text(&address, cli->option[CLI_ADDRESS]))
			return "--address takes an address";
		filter->address = address_to_text(&address, export->address);
	}
	filter->client = cli->option[CLI_CLIENT];
	if (filter->client && address_from_text(&address, filter->client))
		filter->client = address_to_text(&address, export->client);
	return NULL;
}

/* --- pairs --- */

struct address_list {
	struct arena *arena;
	const char **rows;
	size_t count, capacity;
};

static enum td_error add_address(struct address_list *list, const char *address)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 1024;
		const char **rows = realloc(list->rows, capacity * sizeof(*rows));
		if (!rows)
			return TD_NOMEM;
		list->rows = rows;
		list->capacity = capacity;
	}
	list->rows[list->count++] = address;
	return TD_OK;
}

static enum td_error list_addresses(void *context, struct fleet_member *member)
{
	struct address_list *list = context;
	struct reader_ranks page;
	char cursor[READER_CURSOR_SIZE] = "0";
	enum td_error error;

	do {
		error = reader_scan_addresses(member->reader, list->arena, cursor, &page);
		for (size_t i = 0; i < page.count && error == TD_OK; i++)
			error = add_address(list, page.rows[i].member);
	} while (error == TD_OK && strcmp(cursor, "0") != 0);
	return error;
}

static int compare_addresses(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void flush(struct export *export)
{
	export->closed = export->closed || !cli_flush(export->cli);
}

static void write_pairs(struct export *export, struct reader_pairs *pairs)
{
	struct cli *cli = export->cli;
	const char *sensor = export->fleet->whole ? NULL : export->fleet->members[0].resolver;
	size_t kept = 0;

	for (size_t i = 0; i < pairs->count; i++)
		if (export_wants_pair(&export->filter, &pairs->rows[i]))
			pairs->rows[kept++] = pairs->rows[i];
	if (export->format == EXPORT_COF)
		export->nameless += export_cof(&cli->out, pairs->rows, kept, sensor,
			cli->option[CLI_WITH_CLIENTS] != NULL);
	for (size_t i = 0; export->format != EXPORT_COF && i < kept; i++)
		export_pair(&cli->out, export->format, &pairs->rows[i]);
	export->rows += kept;
	flush(export);
}

static enum td_error export_address(struct export *export, const char *address)
{
	struct reader_pairs pairs;
	struct arena arena;

	arena_init(&arena);
	enum td_error error =
		fleet_address_pairs(export->fleet, &arena, address, READER_ROWS_MAX, &pairs);
	if (error == TD_OK)
		write_pairs(export, &pairs);
	arena_deinit(&arena);
	return error;
}

static enum td_error export_pairs(struct export *export)
{
	struct address_list list = {.arena = &export->cli->arena};
	enum td_error error = TD_OK;

	export_pairs_header(&export->cli->out, export->format);
	if (export->filter.address)
		return export_address(export, export->filter.address);
	error = fleet_each(export->fleet, list_addresses, &list);
	if (error == TD_OK)
		error = add_address(&list, SCHEMA_OTHER);
	if (list.count)
		qsort(list.rows, list.count, sizeof(*list.rows), compare_addresses);
	for (size_t i = 0; i < list.count && error == TD_OK && !export->closed; i++)
		if (i == 0 || strcmp(list.rows[i], list.rows[i - 1]) != 0)
			error = export_address(export, list.rows[i]);
	free(list.rows);
	return error;
}

/* --- records --- */

static enum td_error export_stream(void *context, struct fleet_member *member)
{
	struct export *export = context;
	struct reader_records records;
	char last[64] = "0-0";
	enum td_error error;

	do {
		struct arena arena;
		arena_init(&arena);
		error = reader_next_records(member->reader, &arena, READER_TRANSACTIONS, last, 0,
			PAGE, &records);
		for (size_t i = 0; i < records.count && error == TD_OK; i++) {
			const struct reader_record *record = &records.rows[i];
			snprintf(last, sizeof(last), "%s", record->id);
			if (!record->json_length || !export_wants_record(&export->filter, record))
				continue;
			export_record(&export->cli->out, export->format, record);
			export->rows++;
		}
		flush(export);
		arena_deinit(&arena);
	} while (error == TD_OK && records.count > 0 && !export->closed);
	return error;
}

/* --- the command --- */

static int run_export(struct export *export, bool pairs)
{
	struct cli *cli = export->cli;
	enum td_error error;

	if (pairs) {
		error = export_pairs(export);
	} else {
		export_records_header(&cli->out, export->format);
		error = fleet_each(export->fleet, export_stream, export);
	}
	flush(export);
	if (error != TD_OK)
		return cli_fleet_failed(cli, export->fleet);
	if (export->nameless)
		cli_error(cli,
			"%zu pairs are not among them: a bound of the store took their names or "
			"addresses",
			export->nameless);
	return cli_fleet_code(cli, export->fleet, export->rows ? CLI_OK : CLI_NOTHING);
}

static int export_run(struct cli *cli, int count, char **words)
{
	struct export export = {.cli = cli};
	bool pairs = count == 1 && strcmp(words[0], "pairs") == 0;

	if (!pairs && (count != 1 || strcmp(words[0], "transactions") != 0))
		return cli_usage(cli, &command_export, "takes one of pairs, transactions");
	const char *fault = take_filter(&export);
	if (fault)
		return cli_usage(cli, &command_export, fault);
	if (export.format == EXPORT_COF && !pairs)
		return cli_usage(cli, &command_export, "the format cof is for pairs");
	if (cli->option[CLI_WITH_CLIENTS] && export.format != EXPORT_COF)
		return cli_usage(cli, &command_export,
			"--with-clients is for the format cof; the others name them");
	export.fleet = cli_fleet(cli);
	if (!export.fleet)
		return CLI_ERROR;
	int code = run_export(&export, pairs);
	cli_fleet_close(cli, &export.fleet);
	return code;
}

const struct command command_export = {
	.name = "export",
	.arguments = "pairs|transactions",
	.summary = "pairs or records for other programs: JSON, CSV, passive DNS",
	.help = "Writes what was recorded, a row a line: the pairs (client, name, address, first, "
		"last, count), or the records of\n"
		"watched and blocked transactions. Formats: json (the default, everything), csv "
		"(RFC 4180 with a header; text that\n"
		"a spreadsheet would take for a formula begins with an apostrophe), and for pairs "
		"cof, the Common Output Format of\n"
		"passive DNS, which names no client unless --with-clients. A pair is written when "
		"its time and that of --since and\n"
		"--until overlap.\n\n"
		"Examples:\n"
		"  teredown export pairs --format cof --fleet >pairs.cof\n"
		"  teredown export pairs --format csv --since 8d --client 192.168.1.40\n"
		"  teredown export pairs --address 65.55.158.118 | jq -r .client\n"
		"  teredown export transactions --since 2026-11-21 --name '*.ipv6.microsoft.com'",
	.takes = CLI_READS | 1u << CLI_FORMAT | 1u << CLI_SINCE | 1u << CLI_UNTIL |
		 1u << CLI_CLIENT | 1u << CLI_NAME | 1u << CLI_ADDRESS | 1u << CLI_WITH_CLIENTS,
	.run = export_run,
};

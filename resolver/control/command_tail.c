/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown tail`: the records of watched and blocked transactions as they happen, or events, from
 * their stream in Redis. A line for people is made of the fields it knows; a record it cannot read is shown as
 * it is, escaped. When Redis goes away, tail waits and goes on behind the last record it has shown.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/control/cli.h"
#include "resolver/control/export.h"
#include "resolver/control/json_view.h"
#include "resolver/control/known.h"

#define LINES_DEFAULT 10
#define LINES_MAX 10000
#define SLICE 500
#define BLOCK_MS 2000
#define POLL_MS 200            /* between two looks at several resolvers */
#define ROUNDS_BEFORE_REOPEN 5 /* about a second */
#define FIELD_MAX 1100         /* a name in presentation format */

/* --- one record --- */

static bool field(const struct reader_record *record, const char *key, char out[FIELD_MAX])
{
	return json_field(record->json, record->json_length, key, out, FIELD_MAX);
}

static void append_field(
	struct strbuf *out, const struct reader_record *record, const char *before, const char *key)
{
	char text[FIELD_MAX];

	if (field(record, key, text) && text[0]) {
		strbuf_append_text(out, before);
		output_text(out, text);
	}
}

/* "2026-11-21T20:52:11.123456Z" as local time with milliseconds. */
static void append_when(struct strbuf *out, const char *ts)
{
	struct tm parts = {.tm_isdst = 0};
	const char *fraction = strptime(ts, "%Y-%m-%dT%H:%M:%S", &parts);

	if (!fraction) {
		output_text(out, ts);
		return;
	}
	output_time(out, (int64_t)timegm(&parts) * 1000);
	if (*fraction == '.' && strspn(fraction + 1, "0123456789") >= 3)
		strbuf_append(out, fraction, 4);
}

static void append_addresses(struct strbuf *out, const struct reader_record *record)
{
	struct json_span list, item;
	size_t position = 0;
	char text[64];

	if (!json_find(record->json, record->json_length, "addresses", &list))
		return;
	for (const char *before = " -> "; json_each(list, &position, &item); before = ", ") {
		struct address address;
		strbuf_append_text(out, before);
		output_text(out, json_text(item, text, sizeof(text)));
		if (!address_from_text(&address, text))
			continue;
		struct tunnel tunnel = tunnel_decode(&address);
		known_append_tunnel(&tunnel, out);
	}
}

/* "  (upstream 1.2 ms)" */
static void append_source(struct strbuf *out, const struct reader_record *record)
{
	char text[FIELD_MAX];

	if (!field(record, "source", text))
		return;
	append_field(out, record, "  (", "source");
	if (field(record, "duration_us", text)) {
		unsigned long long us = strtoull(text, NULL, 10);
		if (us < 1000)
			strbuf_printf(out, " %llu us", us);
		else
			strbuf_printf(out, " %llu.%llu ms", us / 1000, us % 1000 / 100);
	}
	strbuf_append_char(out, ')');
}

static void append_record(struct cli *cli, const struct reader_record *record, const char *resolver)
{
	struct strbuf *out = &cli->out;
	char ts[FIELD_MAX], query[FIELD_MAX], action[FIELD_MAX];

	if (!field(record, "ts", ts) || !field(record, "query", query)) {
		output_text(out, record->json);
		strbuf_append_char(out, '\n');
		return;
	}
	append_when(out, ts);
	if (resolver) {
		strbuf_append_text(out, "  ");
		output_text(out, resolver);
	}
	append_field(out, record, "  ", "client");
	append_field(out, record, "  ", "type");
	strbuf_append_char(out, ' ');
	output_text(out, query);
	struct tunnel asked = known_tunnel_of_name(query);
	known_append_tunnel(&asked, out);
	bool blocked = field(record, "action", action) && strcmp(action, "block") == 0;
	output_style(out, cli->colour, blocked ? STYLE_RED : STYLE_YELLOW);
	append_field(out, record, "  ", "action");
	output_style(out, cli->colour, STYLE_PLAIN);
	append_field(out, record, " ", "policy");
	append_field(out, record, "  ", "rcode");
	append_addresses(out, record);
	append_source(out, record);
	strbuf_append_char(out, '\n');
}

/* "2026-11-21 20:52:11.123  remediated-back  192.168.1.40 asks again …" */
static void append_event(struct cli *cli, const struct reader_record *record, const char *resolver)
{
	struct strbuf *out = &cli->out;
	char ts[FIELD_MAX], kind[FIELD_MAX];

	if (!field(record, "ts", ts) || !field(record, "kind", kind)) {
		output_text(out, record->json);
		strbuf_append_char(out, '\n');
		return;
	}
	append_when(out, ts);
	if (resolver) {
		strbuf_append_text(out, "  ");
		output_text(out, resolver);
	}
	output_style(
		out, cli->colour, strcmp(kind, "remediated-back") == 0 ? STYLE_RED : STYLE_PLAIN);
	append_field(out, record, "  ", "kind");
	output_style(out, cli->colour, STYLE_PLAIN);
	append_field(out, record, "  ", "text");
	strbuf_append_char(out, '\n');
}

/* --- one resolver or several --- */

/* A place in a stream. */
struct place {
	struct fleet_member *member;
	char last[64]; /* the entry read last */
	bool waiting;  /* it was said that this resolver cannot be read */
};

struct tail {
	struct cli *cli;
	struct fleet *fleet;
	enum reader_stream stream;
	struct place *places; /* one a member */
	struct row {
		const struct reader_record *record;
		const struct place *place;
		char ts[40];
	} * rows;
	size_t count;
};

/* Takes over what was read from a place. */
static enum td_error add_rows(
	struct tail *tail, struct place *place, const struct reader_records *records)
{
	char ts[FIELD_MAX];
	struct row *rows =
		arena_alloc(&tail->cli->arena, (tail->count + records->count + 1) * sizeof(*rows));

	if (!rows)
		return TD_NOMEM;
	if (tail->count)
		memcpy(rows, tail->rows, tail->count * sizeof(*rows));
	tail->rows = rows;
	for (size_t i = 0; i < records->count; i++) {
		const struct reader_record *record = &records->rows[i];
		struct row *row = &tail->rows[tail->count];
		snprintf(place->last, sizeof(place->last), "%s", record->id);
		if (!record->json_length)
			continue;
		field(record, "ts", ts);
		*row = (struct row){.record = record, .place = place};
		snprintf(row->ts, sizeof(row->ts), "%.39s", ts);
		tail->count++;
	}
	return TD_OK;
}

/* By time; those of one moment in the order in which they were read. */
static int compare_rows(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	int order = strcmp(a->ts, b->ts);
	if (order == 0)
		order = a->record < b->record ? -1 : a->record > b->record;
	return order;
}

/* Prints the newest of the rows, most at most, and forgets all. */
static bool print_rows(struct tail *tail, size_t most)
{
	struct cli *cli = tail->cli;

	if (tail->count)
		qsort(tail->rows, tail->count, sizeof(*tail->rows), compare_rows);
	for (size_t i = tail->count > most ? tail->count - most : 0; i < tail->count; i++) {
		const struct row *row = &tail->rows[i];
		const char *resolver = tail->fleet->whole ? row->place->member->resolver : NULL;
		if (cli->json)
			export_record(&cli->out, EXPORT_JSON, row->record);
		else if (tail->stream == READER_EVENTS)
			append_event(cli, row->record, resolver);
		else
			append_record(cli, row->record, resolver);
	}
	tail->count = 0;
	return cli_flush(cli);
}

static void explain_empty(struct cli *cli, struct fleet *fleet)
{
	bool events = cli->option[CLI_EVENTS] != NULL;
	struct cli_coverage coverage;
	struct strbuf out;

	strbuf_init(&out);
	if (cli_coverage(cli, fleet, &coverage) == TD_OK) {
		if (coverage.ever)
			strbuf_append_text(&out,
				events ? "No event has been recorded so far.\n"
				       : "No watched or blocked question has been recorded so "
					 "far.\n");
		cli_coverage_text(cli, fleet, &coverage, &out);
		if (coverage.ever && !events) {
			strbuf_append_text(&out, "To see one: ");
			cli_query_line(cli, &out, "teredo.ipv6.microsoft.com");
			strbuf_append_char(&out, '\n');
		}
	}
	if (!cli->option[CLI_ONCE])
		strbuf_append_text(&out, "Waiting for the first one; Ctrl-C ends.\n");
	if (!out.failed && out.length)
		fputs(out.data, cli->errors);
	strbuf_deinit(&out);
}

/* Waits; true when nobody reads our output any more: seen without writing, so that `teredown tail |
 * head` ends while nothing happens. */
static bool reader_left(struct cli *cli, int wait_ms)
{
	struct pollfd output = {.fd = fileno(cli->file), .events = 0};
	return poll(&output, 1, wait_ms) == 1 && output.revents & POLLERR;
}

/* Redis went away, or was not there yet: said once, until it can be read again. */
static void reopen(struct cli *cli, struct place *place)
{
	struct fleet_member *member = place->member;
	char *url = options_redis_url(cli->options);
	struct redis_access access = options_redis_access(cli->options);

	if (member->reader)
		snprintf(member->words, sizeof(member->words), "%s", reader_words(member->reader));
	if (!place->waiting)
		cli_error(cli, "Redis: %s: %s; waiting until it is back, Ctrl-C ends",
			member->resolver, member->words);
	place->waiting = true;
	reader_close(&member->reader);
	if (url)
		member->reader = reader_open(url, &access, member->resolver, BLOCK_MS + 3000,
			member->words, NULL);
	place->waiting = member->reader == NULL;
	free(url);
}

static void forget_results(struct cli *cli)
{
	arena_deinit(&cli->arena);
	arena_init(&cli->arena);
}

/* What came since; *idle stays true when that is nothing. */
static enum td_error read_next(struct tail *tail, bool *idle)
{
	struct cli *cli = tail->cli;
	int block_ms = tail->fleet->count == 1 ? BLOCK_MS : 0;

	for (size_t i = 0; i < tail->fleet->count; i++) {
		struct place *place = &tail->places[i];
		struct reader_records records = {NULL, 0};
		if (!place->member->reader)
			continue;
		enum td_error error = reader_next_records(place->member->reader, &cli->arena,
			tail->stream, place->last, block_ms, SLICE, &records);
		if (error != TD_OK && error != TD_IO) {
			snprintf(tail->fleet->words, sizeof(tail->fleet->words), "%s",
				reader_words(place->member->reader));
			return error;
		}
		if (error == TD_IO)
			reopen(cli, place);
		error = add_rows(tail, place, &records);
		if (error != TD_OK)
			return error;
		*idle = *idle && records.count == 0;
	}
	return TD_OK;
}

static void reopen_missing(struct tail *tail)
{
	for (size_t i = 0; i < tail->fleet->count; i++)
		if (!tail->places[i].member->reader)
			reopen(tail->cli, &tail->places[i]);
}

/* One resolver is waited for in its stream; several are looked at in turn. */
static int follow(struct tail *tail)
{
	for (unsigned rounds = 1;; rounds++) {
		bool idle = true;
		forget_results(tail->cli);
		tail->rows = NULL;
		if (read_next(tail, &idle) != TD_OK)
			return cli_fleet_failed(tail->cli, tail->fleet);
		if (!print_rows(tail, SIZE_MAX))
			return CLI_OK;
		bool missing = fleet_missing(tail->fleet) > 0;
		bool polled = tail->fleet->count != 1 || missing;
		if (reader_left(tail->cli, idle && polled ? POLL_MS : 0))
			return CLI_OK;
		if (missing && rounds % ROUNDS_BEFORE_REOPEN == 0)
			reopen_missing(tail);
	}
}

struct first_read {
	struct tail *tail;
	size_t lines;
};

static enum td_error read_last(void *context, struct fleet_member *member)
{
	struct first_read *first = context;
	struct tail *tail = first->tail;
	struct reader_records records;
	enum td_error error = reader_last_records(
		member->reader, &tail->cli->arena, tail->stream, first->lines, &records);

	if (error != TD_OK)
		return error;
	return add_rows(tail, &tail->places[member - tail->fleet->members], &records);
}

static int tail_fleet(struct cli *cli, struct fleet *fleet, size_t lines)
{
	struct tail tail = {.cli = cli,
		.fleet = fleet,
		.stream = cli->option[CLI_EVENTS] ? READER_EVENTS : READER_TRANSACTIONS};
	struct first_read first = {&tail, lines};
	enum td_error error = TD_NOMEM;

	tail.places = calloc(fleet->count + 1, sizeof(*tail.places));
	for (size_t i = 0; tail.places && i < fleet->count; i++)
		/* "0-0": of an empty stream everything that comes */
		tail.places[i] = (struct place){.member = &fleet->members[i], .last = "0-0"};
	if (tail.places)
		error = fleet_each(fleet, read_last, &first);
	if (error != TD_OK) {
		free(tail.places);
		return cli_fleet_failed(cli, fleet);
	}
	int code = tail.count ? CLI_OK : CLI_NOTHING;
	if (tail.count == 0)
		explain_empty(cli, fleet);
	bool printed = print_rows(&tail, lines);
	if (cli->option[CLI_ONCE])
		code = cli_fleet_code(cli, fleet, code);
	else
		code = printed ? follow(&tail) : CLI_OK;
	free(tail.places);
	return code;
}

static int tail_run(struct cli *cli, int count, char **words)
{
	size_t lines;

	(void)words;
	if (count > 0)
		return cli_usage(cli, &command_tail, "takes no arguments");
	if (!cli_number(cli, CLI_LINES, LINES_DEFAULT, LINES_MAX, &lines))
		return CLI_USAGE;
	struct fleet *fleet = cli_fleet(cli);
	if (!fleet)
		return CLI_ERROR;
	int code = tail_fleet(cli, fleet, lines);
	cli_fleet_close(cli, &fleet);
	return code;
}

const struct command command_tail = {
	.name = "tail",
	.arguments = "",
	.summary = "watched and blocked transactions, or events, live",
	.help = "Prints the last records of watched and blocked transactions and then each new "
		"one, until Ctrl-C.\n"
		"With --json each line is the record as it was written (see teredownd's "
		"query-log). With --fleet those of\n"
		"all resolvers, in the order of their time. With --events it prints events "
		"instead: a new client that asks for\n"
		"tunnels, a remediated one that is back, Redis lost and found, and others.\n\n"
		"Examples:\n"
		"  teredown tail\n"
		"  teredown tail --events\n"
		"  teredown tail -n 100 --once\n"
		"  teredown tail --json | jq -r .client",
	.takes = CLI_TAKES(LINES) | CLI_TAKES(ONCE) | CLI_TAKES(EVENTS) | CLI_READS,
	.run = tail_run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown tail`: the records of watched and blocked transactions as they happen, from the stream
 * in Redis. A line for people is made of the fields it knows; a record it cannot read is shown as
 * it is, escaped. When Redis goes away, tail waits and goes on behind the last record it has shown.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/control/cli.h"
#include "resolver/control/json_view.h"

#define LINES_DEFAULT 10
#define LINES_MAX 10000
#define SLICE 500
#define BLOCK_MS 2000
#define FIELD_MAX 1100 /* a name in presentation format */

/* --- one record --- */

static bool field(const struct reader_record *record, const char *key, char out[FIELD_MAX])
{
	struct json_span span;

	out[0] = '\0';
	if (!json_find(record->json, record->json_length, key, &span))
		return false;
	json_text(span, out, FIELD_MAX);
	return true;
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
		strbuf_append_text(out, before);
		output_text(out, json_text(item, text, sizeof(text)));
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

static void append_record(struct cli *cli, const struct reader_record *record)
{
	struct strbuf *out = &cli->out;
	char ts[FIELD_MAX], query[FIELD_MAX], action[FIELD_MAX];

	if (!field(record, "ts", ts) || !field(record, "query", query)) {
		output_text(out, record->json);
		strbuf_append_char(out, '\n');
		return;
	}
	append_when(out, ts);
	append_field(out, record, "  ", "client");
	append_field(out, record, "  ", "type");
	strbuf_append_char(out, ' ');
	output_text(out, query);
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

/* The raw record, made one line of plain characters whatever Redis holds. */
static void append_json(struct cli *cli, const struct reader_record *record)
{
	for (size_t i = 0; i < record->json_length; i++) {
		unsigned char c = (unsigned char)record->json[i];
		strbuf_append_char(&cli->out, c >= 0x20 && c < 0x7f ? (char)c : '?');
	}
	strbuf_append_char(&cli->out, '\n');
}

static bool print_records(struct cli *cli, const struct reader_records *records, char last[64])
{
	for (size_t i = 0; i < records->count; i++) {
		if (cli->json && records->rows[i].json_length)
			append_json(cli, &records->rows[i]);
		else if (records->rows[i].json_length)
			append_record(cli, &records->rows[i]);
		snprintf(last, 64, "%s", records->rows[i].id);
	}
	return cli_flush(cli);
}

/* --- following --- */

static void explain_empty(struct cli *cli, struct reader *reader)
{
	struct cli_coverage coverage;
	struct strbuf out;

	strbuf_init(&out);
	if (cli_coverage(cli, reader, &coverage) == TD_OK) {
		if (coverage.ever)
			strbuf_append_text(
				&out, "No watched or blocked question has been recorded so far.\n");
		cli_coverage_text(cli, reader, &coverage, &out);
		if (coverage.ever) {
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

static void pause_second(void)
{
	struct timespec second = {.tv_sec = 1};
	nanosleep(&second, NULL);
}

/* Until Redis can be read again. */
static struct reader *reopen(struct cli *cli, struct reader *gone)
{
	char words[READER_WORDS_MAX];
	char *url = options_redis_url(cli->options);

	cli_error(cli, "Redis: %s; waiting until it is back, Ctrl-C ends", reader_words(gone));
	reader_close(&gone);
	while (url && !gone) {
		pause_second();
		gone = reader_open(url, cli->options->resolver_name, BLOCK_MS + 3000, words, NULL);
	}
	free(url);
	return gone;
}

static void forget_results(struct cli *cli)
{
	arena_deinit(&cli->arena);
	arena_init(&cli->arena);
}

/* Nobody reads our output any more: seen without writing, so that `teredown tail | head` ends while
 * nothing happens. */
static bool reader_left(struct cli *cli)
{
	struct pollfd output = {.fd = fileno(cli->file), .events = 0};
	return poll(&output, 1, 0) == 1 && output.revents & POLLERR;
}

static int follow(struct cli *cli, struct reader **reader, char last[64])
{
	struct reader_records records;

	for (;;) {
		forget_results(cli);
		enum td_error error =
			reader_next_records(*reader, &cli->arena, last, BLOCK_MS, SLICE, &records);
		if (error == TD_IO)
			*reader = reopen(cli, *reader);
		else if (error != TD_OK)
			return cli_reader_failed(cli, *reader);
		if (!*reader)
			return CLI_ERROR;
		if (!print_records(cli, &records, last) || reader_left(cli))
			return CLI_OK;
	}
}

static int tail_run(struct cli *cli, int count, char **words)
{
	struct reader_records records;
	char last[64] = "0-0"; /* an empty stream: everything that comes */
	size_t lines;

	(void)words;
	if (count > 0)
		return cli_usage(cli, &command_tail, "takes no arguments");
	if (!cli_number(cli, CLI_LINES, LINES_DEFAULT, LINES_MAX, &lines))
		return CLI_USAGE;
	struct reader *reader = cli_reader(cli);
	if (!reader)
		return CLI_ERROR;
	int code = CLI_OK;
	enum td_error error = reader_last_records(reader, &cli->arena, lines, &records);
	if (error != TD_OK)
		code = cli_reader_failed(cli, reader);
	else if (records.count == 0)
		explain_empty(cli, reader);
	if (code == CLI_OK && print_records(cli, &records, last))
		code = !cli->option[CLI_ONCE] ? follow(cli, &reader, last)
		       : records.count        ? CLI_OK
					      : CLI_NOTHING;
	reader_close(&reader);
	return code;
}

const struct command command_tail = {
	.name = "tail",
	.arguments = "",
	.summary = "watched and blocked transactions, live",
	.help = "Prints the last records of watched and blocked transactions and then each new "
		"one, until Ctrl-C.\n"
		"With --json each line is the record as it was written (see teredownd's "
		"query-log).\n\n"
		"Examples:\n"
		"  teredown tail\n"
		"  teredown tail -n 100 --once\n"
		"  teredown tail --json | jq -r .client",
	.takes = 1u << CLI_LINES | 1u << CLI_ONCE,
	.run = tail_run,
};

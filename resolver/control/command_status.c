/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown status`: what the daemon says about itself. A row of the table gives a key its group,
 * words and unit; a key that is not in it (of a newer daemon) is shown at the end as it came, so
 * nothing is ever hidden. Values that describe a thing with attributes ("9.9.9.9:53 state=ok
 * srtt_us=800") become a grid, and objects in JSON.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/cli.h"
#include "resolver/control/status_fleet.h"
#include "resolver/telemetry/latency.h"

enum unit { UNIT_TEXT, UNIT_COUNT, UNIT_BYTES, UNIT_SECONDS, UNIT_TIME_US, UNIT_THING, UNIT_LATENCY };

struct status_row {
	const char *key; /* ends with '*': every key that begins so */
	const char *group;
	const char *words; /* NULL: the rest of the key */
	enum unit unit;
};

static const struct status_row rows[] = {
	{"version", "Daemon", "version", UNIT_TEXT},
	{"resolver", "Daemon", "resolver", UNIT_TEXT},
	{"pid", "Daemon", "process", UNIT_COUNT},
	{"uptime_s", "Daemon", "running for", UNIT_SECONDS},
	{"workers", "Daemon", "workers", UNIT_COUNT},
	{"listen", "Daemon", "listens on", UNIT_TEXT},
	{"upstream", "Upstreams", "address|state|srtt_us|rttvar_us|sent|answered|timeouts|failures|hedges|backoffs|silent_s|edns|case|cookies|doubted|spoofed", UNIT_THING},
	{"upstream_from", "Daemon", "upstreams from", UNIT_TEXT},
	{"forward", "Forwarding", "zone|address|state|srtt_us|rttvar_us|sent|answered|timeouts|failures|hedges|backoffs|silent_s|edns", UNIT_THING},
	{"hosts_*", "Forwarding", "hosts, ", UNIT_COUNT},
	{"zone", "Zones", "zone|mode|rules|kind|state", UNIT_THING},
	{"zone_error", "Zones", "cannot be read", UNIT_TEXT},
	{"transfer", "Zones by transfer", "zone|state|since_s|serial|primary|last|octets|took_us|checked_s|next_s|transfers|failures", UNIT_THING},
	{"transfer_error", "Zones by transfer", "last fault", UNIT_TEXT},
	{"compiling", "Zones", "being read", UNIT_TEXT},
	{"policy_generation", "Zones", "came into force", UNIT_COUNT},
	{"received", "Queries", "received", UNIT_COUNT},
	{"answered", "Queries", "answered", UNIT_COUNT},
	{"dropped_*", "Queries", "dropped, ", UNIT_COUNT},
	{"pending", "Queries", "pending", UNIT_COUNT},
	{"tcp_clients", "Queries", "TCP connections", UNIT_COUNT},
	{"tcp_*", "Queries", "TCP ", UNIT_COUNT},
	{"receive_batches", "Queries", "receive batches", UNIT_COUNT},
	{"rebinding", "Queries", "addresses of the inside withheld", UNIT_COUNT},
	{"latency_cached", "Answering took", "at once", UNIT_LATENCY},
	{"latency_forwarded", "Answering took", "waiting for upstream", UNIT_LATENCY},
	{"cache_entries", "Cache", "entries", UNIT_COUNT},
	{"cache_bytes", "Cache", "memory", UNIT_BYTES},
	{"cache_limit", "Cache", "limit", UNIT_BYTES},
	{"cache_hits", "Cache", "hits", UNIT_COUNT},
	{"cache_misses", "Cache", "misses", UNIT_COUNT},
	{"stale_answers", "Cache", "stale answers", UNIT_COUNT},
	{"failure_hits", "Cache", "failures known", UNIT_COUNT},
	{"prefetches", "Cache", "refreshed early", UNIT_COUNT},
	{"prefetches_skipped", "Cache", "not refreshed early", UNIT_COUNT},
	{"coalesced", "Cache", "joined a pending question", UNIT_COUNT},
	{"cache_failing", "Cache", "questions that fail", UNIT_COUNT},
	{"cache_failing_displaced", "Cache", "failures displaced", UNIT_COUNT},
	{"cache_*", "Cache", "", UNIT_COUNT},
	{"upstream_error", "Upstreams", "cannot be connected", UNIT_TEXT},
	{"upstream_*", "Upstream queries", "", UNIT_COUNT},
	{"redis", "Recording", "Redis", UNIT_TEXT},
	{"redis_error", "Recording", "last error", UNIT_TEXT},
	{"redis_since", "Recording", "in this state since", UNIT_TIME_US},
	{"recording_since", "Recording", "recording since", UNIT_TIME_US},
	{"batches_*", "Recording", "batches ", UNIT_COUNT},
	{"queries_*", "Recording", "queries ", UNIT_COUNT},
	{"details_*", "Recording", "details ", UNIT_COUNT},
	{"records_*", "Recording", "records ", UNIT_COUNT},
	{"events_*", "Recording", "events ", UNIT_COUNT},
	{"stream_dropped", "Recording", "stream entries dropped", UNIT_COUNT},
	{"memory", "Recording", "counts outlive a crash", UNIT_TEXT},
	{"memory_bytes", "Recording", "memory log", UNIT_BYTES},
	{"memory_*", "Recording", "memory ", UNIT_COUNT},
	{"clock_steps", "Recording", "clock steps", UNIT_COUNT},
	{"journal_bytes", "Recording", "journal", UNIT_BYTES},
	{"journal_*", "Recording", "journal ", UNIT_COUNT},
	{"forwarders", "Queries", "clients that look like forwarders", UNIT_COUNT},
	{"forwarder", "Forwarders", "client|names|systems", UNIT_THING},
	{"sink", "Records to", "sink|to|state|written|dropped", UNIT_THING},
};

static const char *const groups[] = {"Daemon", "Upstreams", "Forwarding", "Zones", "Zones by transfer", "Queries", "Answering took", "Cache",
	"Upstream queries", "Recording", "Records to", "Forwarders", "Other"};

static const struct status_row other = {"*", "Other", "", UNIT_TEXT};

/* Length of the key's fixed part when row is for it, else 0; "*" alone is for no key here. */
static size_t row_matches(const struct status_row *row, const char *key)
{
	size_t length = strcspn(row->key, "*");
	if (row->key[length] == '*')
		return strncmp(row->key, key, length) == 0 ? length : 0;
	return strcmp(row->key, key) == 0 ? length : 0;
}

static const struct status_row *row_for(const char *key)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (row_matches(&rows[i], key))
			return &rows[i];
	return &other;
}

static bool is_number(const char *text)
{
	size_t length = strspn(text, "0123456789");
	return length > 0 && length < 20 && text[length] == '\0' && (text[0] != '0' || length == 1);
}

/* --- things with attributes: words in the order of the columns, then name=value --- */

/* The value of a column in text, in out; "" when it is not there. position counts the words without
 * '='. */
static void thing_column(
	const char *text, const char *column, size_t column_length, size_t position, char out[128])
{
	out[0] = '\0';
	while (*text) {
		size_t length = strcspn(text, " ");
		const char *equals = memchr(text, '=', length);
		bool named = equals && (size_t)(equals - text) == column_length &&
			     memcmp(text, column, column_length) == 0;
		if (named || (!equals && position == 0)) {
			const char *value = named ? equals + 1 : text;
			size_t size = length - (size_t)(value - text);
			if (size > 127)
				size = 127;
			memcpy(out, value, size);
			out[size] = '\0';
			return;
		}
		if (!equals)
			position--;
		text += length + strspn(text + length, " ");
	}
}

/* Calls for each column of a thing. */
typedef void column_fn(void *context, const char *name, size_t length, const char *value);

static void each_column(const char *columns, const char *text, column_fn *visit, void *context)
{
	char value[128];

	for (size_t position = 0; *columns; position++) {
		size_t length = strcspn(columns, "|");
		thing_column(text, columns, length, position, value);
		visit(context, columns, length, value);
		columns += length + (columns[length] == '|');
	}
}

static void column_to_cell(void *context, const char *name, size_t length, const char *value)
{
	(void)name;
	(void)length;
	grid_cell(context, *value ? value : "-");
}

static void column_to_json(void *context, const char *name, size_t length, const char *value)
{
	struct strbuf *out = context;
	char key[32];

	snprintf(key, sizeof(key), "%.*s", (int)length, name);
	strbuf_json_key(out, key);
	if (is_number(value))
		strbuf_append_text(out, value);
	else
		strbuf_json_string(out, value, strlen(value));
}

/* --- for people --- */

static void append_label(struct strbuf *out, const struct status_row *row, const char *key)
{
	struct strbuf label;
	size_t fixed = strcspn(row->key, "*");

	strbuf_init(&label);
	strbuf_append_text(&label, row->words);
	if (row->key[fixed] == '*')
		output_text(&label, key + fixed);
	for (size_t i = 0; i < label.length; i++)
		if (label.data[i] == '_')
			label.data[i] = ' ';
	strbuf_printf(out, "  %-26s ", label.length ? label.data : "");
	strbuf_deinit(&label);
}

static void append_value(struct cli *cli, const struct status_row *row, const char *value)
{
	struct strbuf *out = &cli->out;
	int64_t number = is_number(value) ? strtoll(value, NULL, 10) : -1;

	if (number < 0 || row->unit == UNIT_TEXT || row->unit == UNIT_COUNT) {
		output_text(out, *value ? value : "-");
	} else if (row->unit == UNIT_BYTES) {
		output_bytes(out, (uint64_t)number);
	} else if (row->unit == UNIT_SECONDS) {
		output_span(out, number);
	} else if (number == 0) {
		strbuf_append_text(out, "not yet");
	} else {
		output_time(out, number / 1000);
		strbuf_append_text(out, " (");
		output_ago(out, cli->now_ms, number / 1000);
		strbuf_append_char(out, ')');
	}
}

/* "at once, p50   18 us": three lines. */
static void append_latency(struct strbuf *out, const struct status_row *row, const char *value)
{
	static const unsigned permille[] = {500, 900, 990};
	struct latency latency;

	latency_from_text(&latency, value);
	for (size_t i = 0; i < sizeof(permille) / sizeof(permille[0]); i++) {
		char label[64];
		snprintf(label, sizeof(label), "%s, p%u", row->words, permille[i] / 10);
		strbuf_printf(out, "  %-26s ", label);
		output_duration(out, latency_quantile_us(&latency, permille[i]));
		strbuf_append_char(out, '\n');
	}
}

/* "hits 300 (75 %)" */
static void append_share(struct strbuf *out, const struct control_answer *answer, const char *key)
{
	uint64_t hits = control_answer_u64(answer, "cache_hits", 0);
	uint64_t all = hits + control_answer_u64(answer, "cache_misses", 0);

	if (strcmp(key, "cache_hits") == 0 && all > 0)
		strbuf_printf(out, " (%u %%)", (unsigned)((double)hits * 100 / (double)all));
}

static void append_grid(
	struct cli *cli, const struct control_answer *answer, const struct status_row *row)
{
	struct grid grid;

	grid_init(&grid, row->words);
	for (size_t i = 0; i < answer->count; i++)
		if (strcmp(answer->lines[i].key, row->key) == 0)
			each_column(row->words, answer->lines[i].value, column_to_cell, &grid);
	grid_print(&grid, &cli->out, 2, false);
	grid_deinit(&grid);
}

/* No error, or no answer that could have taken long. */
static bool says_nothing(const struct status_row *row, const struct control_line *line)
{
	struct latency latency;

	if (row->unit == UNIT_LATENCY)
		return !latency_from_text(&latency, line->value) || latency_count(&latency) == 0;
	return strcmp(line->key, "redis_error") == 0 && !*line->value;
}

static void append_group(struct cli *cli, const struct control_answer *answer, const char *group)
{
	bool titled = false;

	for (size_t i = 0; i < answer->count; i++) {
		const struct control_line *line = &answer->lines[i];
		const struct status_row *row = row_for(line->key);
		if (strcmp(row->group, group) != 0 || says_nothing(row, line))
			continue;
		if (!titled) {
			output_style(&cli->out, cli->colour, STYLE_BOLD);
			strbuf_printf(&cli->out, "%s\n", group);
			output_style(&cli->out, cli->colour, STYLE_PLAIN);
			titled = true;
		}
		if (row->unit == UNIT_THING) {
			append_grid(cli, answer, row);
			return;
		}
		if (row->unit == UNIT_LATENCY) {
			append_latency(&cli->out, row, line->value);
			continue;
		}
		append_label(&cli->out, row, line->key);
		append_value(cli, row, line->value);
		append_share(&cli->out, answer, line->key);
		strbuf_append_char(&cli->out, '\n');
	}
}

/* received = answered + dropped + pending, by the daemon's own figures. */
static void append_balance(struct strbuf *out, const struct control_answer *answer)
{
	uint64_t dropped = 0;

	for (size_t i = 0; i < answer->count; i++)
		if (strncmp(answer->lines[i].key, "dropped_", 8) == 0)
			dropped += strtoull(answer->lines[i].value, NULL, 10);
	uint64_t received = control_answer_u64(answer, "received", 0);
	uint64_t answered = control_answer_u64(answer, "answered", 0);
	uint64_t pending = control_answer_u64(answer, "pending", 0);
	strbuf_printf(out,
		"  balance                    %llu received = %llu answered + %llu dropped + %llu "
		"pending%s\n",
		(unsigned long long)received, (unsigned long long)answered,
		(unsigned long long)dropped, (unsigned long long)pending,
		received == answered + dropped + pending
			? ""
			: "  (does not add up: please report this)");
}

/* What is worth doing next; nothing where all is well. */
static void append_advice(struct cli *cli, const struct control_answer *answer)
{
	const char *redis = control_answer_value(answer, "redis");
	struct strbuf *out = &cli->out;

	if (!control_answer_value(answer, "upstream"))
		strbuf_printf(out,
			"\nThere is no upstream: set `upstream` in %s, then run teredown reload.\n",
			cli->config ? cli->config : options_default_path);
	if (redis && strcmp(redis, "away") == 0)
		strbuf_append_text(out, "\nRedis is away: queries are answered, counts wait in "
					"memory and follow when it is back.\n");
	if (redis && strcmp(redis, "off") == 0)
		strbuf_append_text(
			out, "\nRedis is off: nothing is kept for `top`, `who` and `tail`.\n");
	if (control_answer_u64(answer, "received", 1) == 0) {
		strbuf_append_text(out, "\nNo query has come in yet. Try: ");
		cli_query_line(cli, out, "teredo.ipv6.microsoft.com");
		strbuf_append_char(out, '\n');
	}
}

static void append_for_people(struct cli *cli, const struct control_answer *answer)
{
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		append_group(cli, answer, groups[i]);
		if (strcmp(groups[i], "Queries") == 0 && control_answer_value(answer, "received"))
			append_balance(&cli->out, answer);
	}
	append_advice(cli, answer);
}

/* --- for programs --- */

static void append_json_value(struct strbuf *out, const struct status_row *row, const char *value)
{
	if (row->unit == UNIT_THING) {
		strbuf_append_char(out, '{');
		each_column(row->words, value, column_to_json, out);
		strbuf_append_char(out, '}');
	} else if (is_number(value) && (row->unit != UNIT_TEXT || row == &other)) {
		strbuf_append_text(out, value);
	} else {
		strbuf_json_string(out, value, strlen(value));
	}
}

static bool is_first(const struct control_answer *answer, size_t line)
{
	for (size_t i = 0; i < line; i++)
		if (strcmp(answer->lines[i].key, answer->lines[line].key) == 0)
			return false;
	return true;
}

/* Repeated keys, and those that may repeat, as arrays; times as RFC 3339. */
static void append_json_key(struct strbuf *out, const struct control_answer *answer, size_t first)
{
	const char *key = answer->lines[first].key, *value = answer->lines[first].value;
	const struct status_row *row = row_for(key);
	bool list = row->unit == UNIT_THING || strcmp(key, "listen") == 0;

	if (row->unit == UNIT_TIME_US) {
		output_json_time(out, key, is_number(value) ? strtoll(value, NULL, 10) / 1000 : 0);
		return;
	}
	for (size_t i = first + 1; i < answer->count; i++)
		list = list || strcmp(answer->lines[i].key, key) == 0;
	if (row->unit == UNIT_LATENCY) {
		struct latency latency;
		latency_from_text(&latency, value);
		latency_to_json(out, key, &latency);
		return;
	}
	strbuf_json_key(out, key);
	if (!list) {
		append_json_value(out, row, value);
		return;
	}
	strbuf_append_char(out, '[');
	for (size_t i = first; i < answer->count; i++) {
		if (strcmp(answer->lines[i].key, key) != 0)
			continue;
		output_json_next(out);
		append_json_value(out, row, answer->lines[i].value);
	}
	strbuf_append_char(out, ']');
}

void status_append_json(struct strbuf *out, const struct control_answer *answer)
{
	strbuf_append_char(out, '{');
	for (size_t i = 0; i < answer->count; i++)
		if (is_first(answer, i))
			append_json_key(out, answer, i);
	strbuf_append_char(out, '}');
}

static int status_run(struct cli *cli, int count, char **words)
{
	const char *const request[] = {"status"};
	struct control_answer answer;

	(void)words;
	if (count > 0)
		return cli_usage(cli, &command_status, "takes no arguments");
	if (cli->option[CLI_FLEET] || cli->option[CLI_RESOLVER])
		return status_fleet(cli);
	enum control_outcome outcome = cli_ask(cli, 1, request, &answer);
	if (outcome == CONTROL_OK && cli->json) {
		status_append_json(&cli->out, &answer);
		strbuf_append_char(&cli->out, '\n');
	} else if (outcome == CONTROL_OK) {
		append_for_people(cli, &answer);
	}
	control_answer_free(&answer);
	return outcome == CONTROL_OK ? CLI_OK : CLI_ERROR;
}

const struct command command_status = {
	.name = "status",
	.arguments = "",
	.summary = "how the daemon is doing: queries, cache, upstreams, zones, Redis",
	.help = "Shows what the running daemon says about itself. It works without Redis.\n"
		"With --fleet or --resolver it shows what Redis knows instead, a line for each "
		"resolver: whether its daemon\n"
		"writes, stopped, or fell silent, its last batch, since when it records, what "
		"bounds turned away (DROPPED), and\n"
		"since its start: queries left unanswered, the share that the cache answered, "
		"upstreams that work, and\n"
		"the time within which 99 of 100 answers were given (P99).\n\n"
		"Examples:\n"
		"  teredown status\n"
		"  teredown status --fleet\n"
		"  teredown status --json | jq .answered",
	.takes = CLI_READS,
	.run = status_run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown verify`: whether it helped. For each client that was marked as remediated, what it did
 * since, from the zones' last hits; for one that still asks, whether it is answered, from the
 * newest record of it, or from its counters of that hour where records are off. An exit code for
 * scripts.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "resolver/control/json_view.h"
#include "resolver/control/remediate/remediate.h"
#include "resolver/telemetry/redis/schema.h"

/* Still asking: miredo retries every 100 s, Windows more often; some tries may be missed. */
#define ASKING_MS (15 * INT64_C(60000))
#define FIELD_MAX 300

enum state { STATE_SILENT, STATE_BLOCKED, STATE_ACTIVE, STATE_ANSWERED, STATES };

static const char *const state_words[STATES] = {"silent", "blocked", "active", "answered"};
static const char *const state_text[STATES] = {
	"silent since", "blocked but still asking", "event log says active", "asking and answered"};

struct verdict {
	const struct remedy_mark *mark;
	const char *name;    /* hostile; NULL none */
	int64_t last_ms;     /* last hit, 0 none known */
	int64_t seen_ms;     /* last query of any kind, 0 unknown */
	bool asking, judged; /* judged: what the last hit got is known */
	char judged_at[32];  /* when that hit was, RFC 3339; "" unknown */
	enum state state;
	const char *log_text; /* of the event log, hostile; NULL none */
};

struct verify {
	struct cli *cli;
	struct fleet *fleet;
	struct verdict *rows; /* by client */
	size_t count;
	size_t by_state[STATES];
};

/* --- what is known --- */

static int compare_client(const void *key, const void *row)
{
	return strcmp(key, ((const struct verdict *)row)->mark->client);
}

static struct verdict *find_row(struct verify *verify, const char *client)
{
	return verify->count ? bsearch(client, verify->rows, verify->count, sizeof(*verify->rows),
				       compare_client)
			     : NULL;
}

static bool is_tunnel(const struct cli *cli, const char *zone)
{
	for (size_t z = 0; z < cli->options->zone_count; z++)
		if (cli->options->zones[z].kind == ZONE_TUNNEL &&
			strcmp(cli->options->zones[z].name, zone) == 0)
			return true;
	return false;
}

static enum td_error fill_rows(struct verify *verify)
{
	struct cli *cli = verify->cli;
	struct remedy_hits hits;
	enum td_error error = remedy_read_hits(cli, verify->fleet, &hits);

	for (size_t i = 0; i < verify->count && error == TD_OK; i++) {
		struct verdict *row = &verify->rows[i];
		const struct remedy_hit *hit = remedy_find_hit(&hits, row->mark->client);
		struct reader_fields fields;
		error = fleet_client(verify->fleet, &cli->arena, row->mark->client, &fields);
		const char *name = reader_field_text(&fields, "name");
		row->name = name && *name ? name : NULL;
		row->seen_ms = reader_field_i64(&fields, "last_seen", 0);
		row->last_ms = hit ? hit->last_ms : 0;
		row->asking =
			row->last_ms > row->mark->at_ms && cli->now_ms - row->last_ms < ASKING_MS;
		row->state = row->asking ? STATE_ANSWERED : STATE_SILENT;
	}
	return error;
}

/* Of a resolver the newest are last, and each that follows says it better; of two resolvers the
 * later one. */
static enum td_error judge_by_records(void *context, struct fleet_member *member)
{
	struct verify *verify = context;
	struct reader_records records;
	char client[FIELD_MAX], zone[FIELD_MAX], action[FIELD_MAX], ts[FIELD_MAX];
	enum td_error error = reader_last_records(member->reader, &verify->cli->arena,
		READER_TRANSACTIONS, SCHEMA_STREAM_MAX, &records);

	for (size_t i = 0; i < records.count && error == TD_OK; i++) {
		const struct reader_record *record = &records.rows[i];
		json_field(record->json, record->json_length, "client", client, sizeof(client));
		struct verdict *row = find_row(verify, client);
		if (!row || !row->asking)
			continue;
		json_field(record->json, record->json_length, "policy", zone, sizeof(zone));
		json_field(record->json, record->json_length, "action", action, sizeof(action));
		json_field(record->json, record->json_length, "ts", ts, sizeof(ts));
		if (!is_tunnel(verify->cli, zone) || strcmp(ts, row->judged_at) < 0)
			continue;
		snprintf(row->judged_at, sizeof(row->judged_at), "%.31s", ts);
		row->state = strcmp(action, "block") == 0 ? STATE_BLOCKED : STATE_ANSWERED;
		row->judged = true;
	}
	return error;
}

/* A client's counter of the hour of its last hit. */
static enum td_error add_hour(
	struct fleet_member *member, const struct verdict *row, const char *counter, int64_t *sum)
{
	time_t seconds = (time_t)(row->last_ms / 1000);
	struct reader_rank rank = {row->mark->client, 0};
	char hour[16], of[40];
	struct tm parts;

	if (!gmtime_r(&seconds, &parts) || !strftime(hour, sizeof(hour), "%Y%m%d%H", &parts))
		return TD_OK;
	snprintf(of, sizeof(of), "%s:%s", hour, counter);
	enum td_error error = reader_scores(member->reader, READER_HOUR, of, &rank, 1);
	*sum += rank.value;
	return error;
}

struct hour_sums {
	const struct verdict *row;
	int64_t watched, blocked;
};

static enum td_error add_hours(void *context, struct fleet_member *member)
{
	struct hour_sums *sums = context;
	enum td_error error = add_hour(member, sums->row, "watched", &sums->watched);

	return error == TD_OK ? add_hour(member, sums->row, "blocked", &sums->blocked) : error;
}

static enum td_error judge(struct verify *verify)
{
	enum td_error error = TD_OK;
	bool any = false;

	for (size_t i = 0; i < verify->count; i++)
		any |= verify->rows[i].asking;
	if (any)
		error = fleet_each(verify->fleet, judge_by_records, verify);
	for (size_t i = 0; i < verify->count && error == TD_OK; i++) {
		struct hour_sums sums = {.row = &verify->rows[i]};
		if (!sums.row->asking || sums.row->judged)
			continue;
		error = fleet_each(verify->fleet, add_hours, &sums);
		if (sums.blocked > 0 && sums.watched == 0)
			verify->rows[i].state = STATE_BLOCKED;
	}
	return error;
}

/* --- event logs --- */

/* A computer as its log names it, and a client: by address, by name, or by the name's first label.
 */
static bool is_same_host(const struct verdict *row, const char *computer)
{
	size_t length = strcspn(computer, ".");

	if (strcasecmp(computer, row->mark->client) == 0)
		return true;
	if (!row->name)
		return false;
	size_t whole = strlen(row->name);
	if (whole > 1 && row->name[whole - 1] == '.')
		whole--;
	if (strlen(computer) == whole && strncasecmp(computer, row->name, whole) == 0)
		return true;
	bool one_label = !computer[length] || !memchr(row->name, '.', whole);
	return one_label && strcspn(row->name, ".") == length &&
	       strncasecmp(computer, row->name, length) == 0;
}

static enum td_error add_log(struct verify *verify, const struct reader_field *field)
{
	char text[FIELD_MAX];

	json_field(field->value, strlen(field->value), "state", text, sizeof(text));
	bool active = strcasecmp(text, "active") == 0;
	json_field(field->value, strlen(field->value), "at", text, sizeof(text));
	int64_t at_ms = strtoll(text, NULL, 10);
	json_field(field->value, strlen(field->value), "text", text, sizeof(text));
	for (size_t i = 0; active && i < verify->count; i++) {
		struct verdict *row = &verify->rows[i];
		if (at_ms <= row->mark->at_ms || !is_same_host(row, field->name))
			continue;
		row->log_text = arena_copy(&verify->cli->arena, text, strlen(text) + 1);
		if (!row->log_text)
			return TD_NOMEM;
		if (row->state < STATE_ACTIVE)
			row->state = STATE_ACTIVE;
	}
	return TD_OK;
}

static enum td_error add_logs(void *context, struct fleet_member *member)
{
	struct verify *verify = context;
	struct reader_fields fields;
	enum td_error error =
		reader_hash(member->reader, &verify->cli->arena, READER_EVENTLOG, &fields);

	for (size_t i = 0; i < fields.count && error == TD_OK; i++)
		error = add_log(verify, &fields.rows[i]);
	return error;
}

/* --- printing --- */

/* Since when it is silent: its last hit, or the mark where none is known. */
static int64_t silent_since(const struct verdict *row)
{
	return row->last_ms > 0 ? row->last_ms : row->mark->at_ms;
}

static void append_json(struct verify *verify)
{
	struct strbuf *out = &verify->cli->out;

	strbuf_append_char(out, '{');
	cli_fleet_json(verify->fleet, out);
	strbuf_json_key(out, "clients");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < verify->count; i++) {
		const struct verdict *row = &verify->rows[i];
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "client", row->mark->client);
		strbuf_json_text(out, "name", row->name);
		strbuf_json_text(out, "state", state_words[row->state]);
		output_json_time(out, "remediated", row->mark->at_ms);
		strbuf_json_text(out, "by", row->mark->by);
		strbuf_json_text(out, "method", row->mark->method);
		output_json_time(out, "last_asked", row->last_ms);
		output_json_time(out, "last_seen", row->seen_ms);
		strbuf_json_text(out, "event_log", row->log_text);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
	for (int state = 0; state < STATES; state++)
		strbuf_json_u64(out, state_words[state], verify->by_state[state]);
	strbuf_append_text(out, "}\n");
}

static void append_row(struct verify *verify, struct grid *grid, const struct verdict *row)
{
	struct strbuf words;

	grid_cell(grid, row->mark->client);
	grid_cell(grid, row->name ? row->name : "-");
	grid_cell_time(grid, row->mark->at_ms);
	strbuf_init(&words);
	strbuf_append_text(&words, state_text[row->state]);
	if (row->state == STATE_SILENT) {
		strbuf_append_char(&words, ' ');
		output_time(&words, silent_since(row));
	} else if (row->state == STATE_ACTIVE && *row->log_text) {
		strbuf_printf(&words, ": %s", row->log_text);
	} else if (row->last_ms > 0) {
		strbuf_append_text(&words, ", last ");
		output_ago(&words, verify->cli->now_ms, row->last_ms);
	}
	grid_cell(grid, words.failed ? "?" : words.data);
	strbuf_deinit(&words);
	grid_cell_time(grid, row->seen_ms);
}

static void append_text(struct verify *verify)
{
	struct cli *cli = verify->cli;
	struct strbuf *out = &cli->out;
	size_t bad = verify->count - verify->by_state[STATE_SILENT], unseen = 0;
	struct grid grid;

	grid_init(&grid, "CLIENT|NAME|REMEDIATED|STATE|LAST SEEN");
	for (size_t i = 0; i < verify->count; i++) {
		append_row(verify, &grid, &verify->rows[i]);
		unseen += verify->rows[i].seen_ms <= verify->rows[i].mark->at_ms;
	}
	grid_print(&grid, out, 0, cli->colour);
	grid_deinit(&grid);
	strbuf_append_char(out, '\n');
	output_style(out, cli->colour, bad ? STYLE_RED : STYLE_GREEN);
	if (bad)
		strbuf_printf(out, "%zu of %zu are not quiet", bad, verify->count);
	else
		strbuf_printf(out, "All %zu are quiet", verify->count);
	output_style(out, cli->colour, STYLE_PLAIN);
	strbuf_append_text(out, ".\n");
	if (unseen)
		strbuf_printf(out,
			"%zu asked for nothing at all since they were marked: they may be switched "
			"off, "
			"or use another resolver.\n",
			unseen);
	if (verify->by_state[STATE_BLOCKED])
		strbuf_append_text(out, "Who is blocked and still asks has Teredo or miredo still "
					"running: miredo retries every 100 seconds.\n");
	if (bad)
		cli_next(cli, out, "remediate --powershell >teredo-off.ps1", NULL);
}

static int explain_none(struct verify *verify)
{
	struct cli *cli = verify->cli;
	struct strbuf out;

	strbuf_init(&out);
	if (cli->option[CLI_CLIENT]) {
		output_text(&out, cli->option[CLI_CLIENT]);
		strbuf_append_text(&out, " was not marked as remediated.\n");
	} else {
		strbuf_append_text(&out, "nobody was marked as remediated yet.\n");
	}
	cli_next(cli, &out, "remediate --mark", "After a remediation");
	cli_explain(cli, &out);
	return CLI_NOTHING;
}

/* --- all of it --- */

static enum td_error make_rows(struct verify *verify)
{
	struct cli *cli = verify->cli;
	const char *wanted = cli->option[CLI_CLIENT];
	struct remedy_marks *marks = arena_alloc(&cli->arena, sizeof(*marks));
	struct address address;
	char text[ADDRESS_TEXT_MAX];
	enum td_error error = marks ? remedy_read_marks(cli, verify->fleet, marks) : TD_NOMEM;

	if (error != TD_OK)
		return error;
	verify->rows = arena_alloc(&cli->arena, (marks->count + 1) * sizeof(*verify->rows));
	if (!verify->rows)
		return TD_NOMEM;
	if (wanted && address_from_text(&address, wanted))
		wanted = address_to_text(&address, text);
	for (size_t i = 0; i < marks->count; i++)
		if (!wanted || strcmp(marks->rows[i].client, wanted) == 0)
			verify->rows[verify->count++] = (struct verdict){.mark = &marks->rows[i]};
	return TD_OK;
}

static int answer(struct verify *verify)
{
	enum td_error error = make_rows(verify);

	if (error == TD_OK && verify->count == 0 && !verify->cli->json)
		return explain_none(verify);
	if (error == TD_OK)
		error = fill_rows(verify);
	if (error == TD_OK)
		error = judge(verify);
	if (error == TD_OK)
		error = fleet_each(verify->fleet, add_logs, verify);
	if (error != TD_OK)
		return cli_fleet_failed(verify->cli, verify->fleet);
	for (size_t i = 0; i < verify->count; i++)
		verify->by_state[verify->rows[i].state]++;
	if (verify->cli->json)
		append_json(verify);
	else
		append_text(verify);
	if (verify->count == 0)
		return CLI_NOTHING;
	return verify->by_state[STATE_SILENT] == verify->count ? CLI_OK : CLI_UNMET;
}

static int verify_run(struct cli *cli, int count, char **words)
{
	struct verify verify = {.cli = cli};

	(void)words;
	if (count > 0)
		return cli_usage(cli, &command_verify, "takes options only");
	verify.fleet = cli_fleet(cli);
	if (!verify.fleet)
		return CLI_ERROR;
	int code = cli_fleet_code(cli, verify.fleet, answer(&verify));
	cli_fleet_close(cli, &verify.fleet);
	return code;
}

const struct command command_verify = {
	.name = "verify",
	.arguments = "",
	.summary = "whether remediated hosts are quiet",
	.help = "For each client that teredown remediate --mark recorded: silent since when, "
		"blocked "
		"but still asking, asking and\n"
		"answered, or active as its own event log says (teredown ingest). Still asking "
		"means: "
		"since the mark, and within\n"
		"the last 15 minutes. The exit code is 0 when all are silent, 5 when one is not, 3 "
		"when nobody is marked.\n\n"
		"Examples:\n"
		"  teredown verify\n"
		"  teredown verify --client 192.168.1.40\n"
		"  teredown verify --json | jq -r '.clients[] | select(.state != \"silent\") | "
		".client'",
	.takes = CLI_READS | CLI_TAKES(CLIENT),
	.run = verify_run,
};

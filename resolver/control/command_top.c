/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `teredown top`: rankings from Redis. A frame is built as text and then shown: once into a pipe,
 * every second in a terminal, on the alternate screen and cut to its size, so that scrolling back
 * still shows what was there before.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "resolver/control/cli.h"
#include "resolver/control/rule_hits.h"
#include "resolver/control/told_teredo.h"
#include "resolver/telemetry/redis/schema.h"

#define ROWS_DEFAULT 20
#define ROWS_MAX 10000
#define DAYS_MAX 31
#define REFRESH_MS 1000

struct extent {
	size_t limit, days;
};
struct outcome {
	bool empty;
	bool exact; /* else a row further down could belong higher up */
};

/* A ranking: fills cli->out with rows. */
struct ranking {
	const char *name;
	const char *title;
	enum td_error (*append)(struct cli *cli, struct fleet *fleet, const struct extent *extent,
		struct outcome *outcome);
};

static const char *member_words(const char *member)
{
	return strcmp(member, SCHEMA_OTHER) == 0 ? "(others)" : member;
}

static int64_t wall_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void append_json_open(struct cli *cli, const struct ranking *ranking)
{
	strbuf_append_char(&cli->out, '{');
	strbuf_json_text(&cli->out, "top", ranking->name);
	output_json_time(&cli->out, "time", cli->now_ms);
	strbuf_json_key(&cli->out, "rows");
	strbuf_append_char(&cli->out, '[');
}

/* --- clients --- */

static const char *const client_columns[] = {"queries", "watched", "blocked", "nxdomain", "cached"};
#define CLIENT_COLUMNS (sizeof(client_columns) / sizeof(client_columns[0]))

/* Its name, whether it looks like a forwarder, and since when it knows a Teredo server: never in place of
 * the client. */
static const char *client_words(struct cli *cli, const struct reader_fields *fields)
{
	const char *name = reader_field_text(fields, "name");
	struct strbuf words;

	strbuf_init(&words);
	strbuf_append_text(&words, name ? name : "");
	if (reader_field_text(fields, "forwarder"))
		strbuf_printf(&words, "%s(looks like a forwarder)", words.length ? " " : "");
	told_teredo_words(fields, words.length ? " (" : "(", ")", &words);
	const char *copy =
		words.failed ? NULL : arena_copy(&cli->arena, words.data, words.length + 1);
	strbuf_deinit(&words);
	return copy ? copy : "";
}

static void client_words_json(struct cli *cli, const struct reader_fields *fields)
{
	const char *name = reader_field_text(fields, "name");
	const char *forwarder = reader_field_text(fields, "forwarder");

	if (name)
		strbuf_json_text(&cli->out, "name", name);
	if (forwarder)
		strbuf_json_text(&cli->out, "forwarder", forwarder);
	told_teredo_json(fields, &cli->out);
}

static void client_row(
	struct cli *cli, struct grid *grid, const char *client, const struct reader_fields *fields)
{
	int64_t last = reader_field_i64(fields, "last_seen", 0);

	if (cli->json) {
		output_json_next(&cli->out);
		strbuf_append_char(&cli->out, '{');
		strbuf_json_text(&cli->out, "client", client);
		client_words_json(cli, fields);
		for (size_t c = 0; c < CLIENT_COLUMNS; c++)
			strbuf_json_u64(&cli->out, client_columns[c],
				(uint64_t)reader_field_i64(fields, client_columns[c], 0));
		output_json_time(&cli->out, "last", last);
		strbuf_append_char(&cli->out, '}');
		return;
	}
	grid_cell(grid, member_words(client));
	for (size_t c = 0; c < CLIENT_COLUMNS; c++)
		grid_cell_u64(grid, (uint64_t)reader_field_i64(fields, client_columns[c], 0));
	grid_cell_time(grid, last);
	grid_cell(grid, client_words(cli, fields));
}

static enum td_error append_clients(
	struct cli *cli, struct fleet *fleet, const struct extent *extent, struct outcome *outcome)
{
	struct reader_ranks ranks;
	struct grid grid;
	enum td_error error = fleet_ranks(fleet, &cli->arena, READER_CLIENTS, "queries",
		extent->limit, &ranks, &outcome->exact);

	grid_init(&grid, "CLIENT|>QUERIES|>WATCHED|>BLOCKED|>NXDOMAIN|>CACHED|LAST SEEN|NAME");
	for (size_t i = 0; i < ranks.count && error == TD_OK; i++) {
		struct reader_fields fields;
		error = fleet_client(fleet, &cli->arena, ranks.rows[i].member, &fields);
		if (error == TD_OK)
			client_row(cli, &grid, ranks.rows[i].member, &fields);
	}
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
	outcome->empty = ranks.count == 0;
	return error;
}

/* --- names --- */

/* The list of a day is bounded; where it lost something of a name, that is said. */
static bool is_doubtful(const struct reader_rank *row, const struct reader_rank *most)
{
	return strcmp(row->member, SCHEMA_OTHER) != 0 && most->value > row->value;
}

/* most: the most that each can have been asked; "*other" is what has no name, and certain. */
static void name_rows(
	struct cli *cli, const struct reader_ranks *ranks, const struct reader_rank *most)
{
	struct grid grid;
	bool doubtful = false;

	for (size_t i = 0; i < ranks->count; i++)
		doubtful = doubtful || is_doubtful(&ranks->rows[i], &most[i]);
	grid_init(&grid, doubtful ? ">QUERIES|>AT MOST|NAME" : ">QUERIES|NAME");
	for (size_t i = 0; i < ranks->count; i++) {
		if (cli->json) {
			output_json_next(&cli->out);
			strbuf_append_char(&cli->out, '{');
			strbuf_json_text(&cli->out, "name", ranks->rows[i].member);
			strbuf_json_u64(&cli->out, "queries", (uint64_t)ranks->rows[i].value);
			if (is_doubtful(&ranks->rows[i], &most[i]))
				strbuf_json_u64(&cli->out, "at_most", (uint64_t)most[i].value);
			strbuf_append_char(&cli->out, '}');
		} else {
			grid_cell_u64(&grid, (uint64_t)ranks->rows[i].value);
			if (doubtful && is_doubtful(&ranks->rows[i], &most[i]))
				grid_cell_u64(&grid, (uint64_t)most[i].value);
			else if (doubtful)
				grid_cell(&grid, "");
			grid_cell(&grid, member_words(ranks->rows[i].member));
		}
	}
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
}

static void day_text(const struct cli *cli, size_t days_ago, char out[16])
{
	time_t then = (time_t)(cli->now_ms / 1000) - (time_t)days_ago * 86400;
	struct tm parts;

	gmtime_r(&then, &parts);
	strftime(out, 16, "%Y%m%d", &parts);
}

/* Of several days the whole list of each is read, so that the sums are right below the first rows
 * too. */
static enum td_error append_names(
	struct cli *cli, struct fleet *fleet, const struct extent *extent, struct outcome *outcome)
{
	struct reader_ranks all = {NULL, 0, 0}, day;
	size_t limit = extent->days == 1 ? extent->limit : READER_ROWS_MAX;
	enum td_error error = TD_OK;
	bool exact;

	for (size_t d = 0; d < extent->days && error == TD_OK; d++) {
		char date[16];
		day_text(cli, d, date);
		error = fleet_ranks(
			fleet, &cli->arena, READER_DAY_NAMES, date, limit, &day, &exact);
		outcome->exact = outcome->exact && exact;
		struct reader_rank *rows =
			arena_alloc(&cli->arena, (all.count + day.count + 1) * sizeof(*rows));
		if (!rows)
			return TD_NOMEM;
		if (all.count)
			memcpy(rows, all.rows, all.count * sizeof(*rows));
		if (day.count)
			memcpy(rows + all.count, day.rows, day.count * sizeof(*rows));
		all.rows = rows;
		all.count += day.count;
	}
	fleet_merge_ranks(&all, false);
	if (all.count > extent->limit)
		all.count = extent->limit;
	struct reader_rank *most = arena_alloc(&cli->arena, (all.count + 1) * sizeof(*most));
	if (!most)
		return TD_NOMEM;
	for (size_t i = 0; i < all.count; i++)
		most[i] = (struct reader_rank){all.rows[i].member, 0};
	for (size_t d = 0; d < extent->days && error == TD_OK && all.count; d++) {
		char date[16];
		day_text(cli, d, date);
		error = fleet_at_most(fleet, READER_DAY_NAMES, date, most, all.count);
	}
	name_rows(cli, &all, most);
	outcome->empty = all.count == 0;
	return error;
}

/* --- watched --- */

struct watched_row {
	const char *zone;
	struct fleet_hit hit;
};

static int compare_watched(const void *left, const void *right)
{
	const struct watched_row *a = left, *b = right;
	if (a->hit.hits != b->hit.hits)
		return a->hit.hits < b->hit.hits ? 1 : -1;
	int order = strcmp(a->hit.client, b->hit.client);
	return order ? order : strcmp(a->zone, b->zone);
}

static void watched_rows(struct cli *cli, const struct watched_row *rows, size_t count)
{
	struct grid grid;

	grid_init(&grid, "CLIENT|ZONE|>HITS|LAST HIT");
	for (size_t i = 0; i < count; i++) {
		if (cli->json) {
			output_json_next(&cli->out);
			strbuf_append_char(&cli->out, '{');
			strbuf_json_text(&cli->out, "client", rows[i].hit.client);
			strbuf_json_text(&cli->out, "zone", rows[i].zone);
			strbuf_json_u64(&cli->out, "hits", rows[i].hit.hits);
			output_json_time(&cli->out, "last", rows[i].hit.last_ms);
			strbuf_append_char(&cli->out, '}');
		} else {
			grid_cell(&grid, member_words(rows[i].hit.client));
			grid_cell(&grid, rows[i].zone);
			grid_cell_u64(&grid, rows[i].hit.hits);
			grid_cell_time(&grid, rows[i].hit.last_ms);
		}
	}
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
}

/* The zones are those of our own configuration: Redis has no list of them. */
static enum td_error append_watched(
	struct cli *cli, struct fleet *fleet, const struct extent *extent, struct outcome *outcome)
{
	size_t zones = cli->options->zone_count, limit = extent->limit, count = 0;
	struct watched_row *rows = arena_alloc(&cli->arena, (zones * limit + 1) * sizeof(*rows));
	enum td_error error = rows ? TD_OK : TD_NOMEM;

	for (size_t z = 0; z < zones && error == TD_OK; z++) {
		struct fleet_hits hits;
		error = fleet_zone_hits(
			fleet, &cli->arena, cli->options->zones[z].name, limit, &hits);
		for (size_t i = 0; i < hits.count; i++)
			rows[count++] =
				(struct watched_row){cli->options->zones[z].name, hits.rows[i]};
	}
	if (error != TD_OK)
		return error;
	if (count)
		qsort(rows, count, sizeof(*rows), compare_watched);
	watched_rows(cli, rows, count < limit ? count : limit);
	outcome->empty = count == 0;
	return TD_OK;
}

/* --- rules --- */

static enum td_error append_rules(
	struct cli *cli, struct fleet *fleet, const struct extent *extent, struct outcome *outcome)
{
	struct rule_hits hits;
	enum td_error error = rule_hits_load(cli, fleet, NULL, extent->limit, &hits);

	if (error != TD_OK)
		return error;
	rule_hits_append(cli, &hits);
	outcome->empty = hits.count == 0;
	outcome->exact = hits.exact;
	return TD_OK;
}

static const struct ranking rankings[] = {
	{"clients", "Clients by queries", append_clients},
	{"names", "Names by queries", append_names},
	{"watched", "Clients by hits of watched and blocked zones", append_watched},
	{"rules", "Rules of watched and blocked zones by hits", append_rules},
};

/* --- one frame --- */

static void explain_empty(struct cli *cli, const struct ranking *ranking,
	const struct cli_coverage *coverage, struct strbuf *out)
{
	if (!coverage->ever)
		return;
	if (strcmp(ranking->name, "names") == 0 && !cli->option[CLI_DAYS]) {
		strbuf_append_text(out, "No name has been asked since midnight UTC.\n");
		cli_next(cli, out, "top names --days 8", "The days before");
	} else if (strcmp(ranking->name, "watched") == 0 || strcmp(ranking->name, "rules") == 0) {
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

static void append_title(
	struct cli *cli, const struct fleet *fleet, const struct ranking *ranking, size_t days)
{
	struct strbuf *out = &cli->out;

	output_style(out, cli->colour, STYLE_BOLD);
	strbuf_append_text(out, ranking->title);
	output_style(out, cli->colour, STYLE_PLAIN);
	strbuf_append_text(out, ", ");
	cli_fleet_name(fleet, out);
	if (strcmp(ranking->name, "names") == 0)
		strbuf_printf(out, days == 1 ? ", today (UTC)" : ", last %zu days (UTC)", days);
	strbuf_append_text(out, ", ");
	output_time(out, cli->now_ms);
	strbuf_append_text(out, "\n\n");
}

static void append_end(struct cli *cli, struct fleet *fleet, const struct ranking *ranking,
	const struct cli_coverage *coverage, const struct outcome *outcome)
{
	struct strbuf *out = &cli->out;

	if (cli->json) {
		strbuf_append_char(out, ']');
		cli_fleet_json(fleet, out);
		strbuf_json_bool(out, "exact", outcome->exact);
		output_json_time(out, "recording_since", coverage->since_ms);
		strbuf_append_text(out, "}\n");
		return;
	}
	if (outcome->empty)
		explain_empty(cli, ranking, coverage, out);
	else
		strbuf_append_char(out, '\n');
	if (!outcome->exact)
		strbuf_printf(out,
			"Sums are right; a row that no resolver has among its first %d may be "
			"missing.\n",
			READER_ROWS_MAX);
	cli_coverage_text(cli, fleet, coverage, out);
}

static int append_frame(struct cli *cli, struct fleet *fleet, const struct ranking *ranking,
	const struct extent *extent)
{
	struct cli_coverage coverage;
	struct outcome outcome = {.empty = true, .exact = true};

	arena_deinit(&cli->arena);
	arena_init(&cli->arena);
	cli->now_ms = wall_ms();
	enum td_error error = cli_coverage(cli, fleet, &coverage);
	if (cli->json)
		append_json_open(cli, ranking);
	else
		append_title(cli, fleet, ranking, extent->days);
	if (error == TD_OK)
		error = ranking->append(cli, fleet, extent, &outcome);
	if (error != TD_OK) {
		strbuf_clear(&cli->out);
		return cli_fleet_failed(cli, fleet);
	}
	append_end(cli, fleet, ranking, &coverage, &outcome);
	return outcome.empty ? CLI_NOTHING : CLI_OK;
}

/* --- in a terminal --- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* Cuts the frame to the terminal: lines to its width (escape sequences are not counted), rows to
 * its height. */
static void fit_frame(
	const struct strbuf *frame, struct strbuf *out, unsigned rows, unsigned columns)
{
	unsigned column = 0, row = 1;
	bool escape = false;

	strbuf_append_text(out, "\033[H");
	for (size_t i = 0; i < frame->length && row < rows; i++) {
		char c = frame->data[i];
		if (c == '\n') {
			strbuf_append_text(out, "\033[K\n");
			column = 0;
			row++;
			continue;
		}
		escape = escape || c == '\033';
		if (escape || column < columns)
			strbuf_append_char(out, c);
		column += !escape;
		escape = escape && c != 'm';
	}
	strbuf_append_text(out, "\033[0m\033[Jq ends");
}

static void show_frame(struct cli *cli)
{
	struct winsize size = {.ws_row = 24, .ws_col = 80};
	struct strbuf screen;

	ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	strbuf_init(&screen);
	fit_frame(
		&cli->out, &screen, size.ws_row ? size.ws_row : 24, size.ws_col ? size.ws_col : 80);
	strbuf_clear(&cli->out);
	if (!screen.failed)
		strbuf_append(&cli->out, screen.data, screen.length);
	strbuf_deinit(&screen);
	cli_flush(cli);
}

/* Waits for the next second. False when the person wants to end. */
static bool wait_second(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	char key;

	if (poll(&input, 1, REFRESH_MS) <= 0)
		return !interrupted;
	return !interrupted && read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q';
}

/* Single keys without echo. False where stdin is no terminal. */
static bool enter_screen(struct cli *cli, struct termios *before)
{
	struct sigaction action = {.sa_handler = on_signal};

	if (tcgetattr(STDIN_FILENO, before) != 0)
		return false;
	struct termios raw = *before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	strbuf_append_text(&cli->out, "\033[?1049h\033[?25l");
	return cli_flush(cli);
}

static void leave_screen(struct cli *cli, const struct termios *before)
{
	strbuf_clear(&cli->out);
	strbuf_append_text(&cli->out, "\033[?25h\033[?1049l");
	cli_flush(cli);
	tcsetattr(STDIN_FILENO, TCSANOW, before);
}

/* An empty ranking is no reason to end: rows may come. Redis going away is; the screen is restored
 * before that is said. */
static int refresh(struct cli *cli, struct fleet *fleet, const struct ranking *ranking,
	const struct extent *extent)
{
	struct termios before;
	int code = CLI_OK;

	if (!enter_screen(cli, &before))
		return append_frame(cli, fleet, ranking, extent);
	do {
		struct winsize size = {.ws_row = 24};
		struct extent fitting = *extent;
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
		size_t room = size.ws_row > 8 ? size.ws_row - 6u : 2;
		if (room < fitting.limit)
			fitting.limit = room;
		code = append_frame(cli, fleet, ranking, &fitting);
		if (code == CLI_ERROR)
			break;
		show_frame(cli);
	} while (wait_second());
	leave_screen(cli, &before);
	return code == CLI_ERROR ? cli_fleet_failed(cli, fleet) : CLI_OK;
}

static int top_run(struct cli *cli, int count, char **words)
{
	const struct ranking *ranking = &rankings[0];
	struct extent extent;

	if (count > 1)
		return cli_usage(cli, &command_top, "takes one of clients, names, watched, rules");
	for (size_t i = 0; count == 1 && i <= sizeof(rankings) / sizeof(rankings[0]); i++) {
		if (i == sizeof(rankings) / sizeof(rankings[0]))
			return cli_usage(cli, &command_top, "takes one of clients, names, watched, rules");
		ranking = &rankings[i];
		if (strcmp(words[0], ranking->name) == 0)
			break;
	}
	if (!cli_number(cli, CLI_LINES, ROWS_DEFAULT, ROWS_MAX, &extent.limit) ||
		!cli_number(cli, CLI_DAYS, 1, DAYS_MAX, &extent.days))
		return CLI_USAGE;
	struct fleet *fleet = cli_fleet(cli);
	if (!fleet)
		return CLI_ERROR;
	bool live = cli->terminal && !cli->json && !cli->option[CLI_ONCE];
	if (live && !cli->option[CLI_LINES])
		extent.limit = ROWS_MAX;
	int code = live ? refresh(cli, fleet, ranking, &extent)
			: append_frame(cli, fleet, ranking, &extent);
	code = cli_fleet_code(cli, fleet, code);
	cli_fleet_close(cli, &fleet);
	return code;
}

const struct command command_top = {
	.name = "top",
	.arguments = "[clients|names|watched|rules]",
	.summary = "who asks most, what is asked most, who asks for tunnels",
	.help = "Rankings of what was recorded: clients by queries (the default), names by queries "
		"today, the clients\n"
		"that asked for watched or blocked names, or the rules that they hit. In a terminal it refreshes every second "
		"until q or Ctrl-C;\n"
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

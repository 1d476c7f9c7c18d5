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
#include "resolver/telemetry/schema.h"

#define ROWS_DEFAULT 20
#define ROWS_MAX 10000
#define DAYS_MAX 31
#define REFRESH_MS 1000

/* A ranking: fills cli->out with a frame. CLI_NOTHING when it is empty. */
struct ranking {
	const char *name;
	const char *title;
	enum td_error (*append)(
		struct cli *cli, struct reader *reader, size_t limit, size_t days, bool *empty);
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
	strbuf_json_text(&cli->out, "resolver", cli->options->resolver_name);
	output_json_time(&cli->out, "time", cli->now_ms);
	strbuf_json_key(&cli->out, "rows");
	strbuf_append_char(&cli->out, '[');
}

/* --- clients --- */

static const char *const client_columns[] = {"queries", "watched", "blocked", "nxdomain", "cached"};
#define CLIENT_COLUMNS (sizeof(client_columns) / sizeof(client_columns[0]))

static void client_row(
	struct cli *cli, struct grid *grid, const char *client, const struct reader_fields *fields)
{
	int64_t last = reader_field_i64(fields, "last_seen", 0);

	if (cli->json) {
		output_json_next(&cli->out);
		strbuf_append_char(&cli->out, '{');
		strbuf_json_text(&cli->out, "client", client);
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
}

static enum td_error append_clients(
	struct cli *cli, struct reader *reader, size_t limit, size_t days, bool *empty)
{
	struct reader_ranks ranks;
	struct grid grid;
	enum td_error error =
		reader_ranks(reader, &cli->arena, READER_CLIENTS, "queries", limit, &ranks);

	(void)days;
	grid_init(&grid, "CLIENT|>QUERIES|>WATCHED|>BLOCKED|>NXDOMAIN|>CACHED|LAST SEEN");
	for (size_t i = 0; i < ranks.count && error == TD_OK; i++) {
		struct reader_fields fields;
		error = reader_client(reader, &cli->arena, ranks.rows[i].member, &fields);
		if (error == TD_OK)
			client_row(cli, &grid, ranks.rows[i].member, &fields);
	}
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
	*empty = ranks.count == 0;
	return error;
}

/* --- names --- */

static void name_rows(struct cli *cli, const struct reader_ranks *ranks)
{
	struct grid grid;

	grid_init(&grid, ">QUERIES|NAME");
	for (size_t i = 0; i < ranks->count; i++) {
		if (cli->json) {
			output_json_next(&cli->out);
			strbuf_append_char(&cli->out, '{');
			strbuf_json_text(&cli->out, "name", ranks->rows[i].member);
			strbuf_json_u64(&cli->out, "queries", (uint64_t)ranks->rows[i].value);
			strbuf_append_char(&cli->out, '}');
		} else {
			grid_cell_u64(&grid, (uint64_t)ranks->rows[i].value);
			grid_cell(&grid, member_words(ranks->rows[i].member));
		}
	}
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
}

static int compare_members(const void *left, const void *right)
{
	return strcmp(((const struct reader_rank *)left)->member,
		((const struct reader_rank *)right)->member);
}

static int compare_values(const void *left, const void *right)
{
	const struct reader_rank *a = left, *b = right;
	if (a->value != b->value)
		return a->value < b->value ? 1 : -1;
	return strcmp(a->member, b->member);
}

/* Adds equal members up and puts the largest first. */
static void sum_members(struct reader_ranks *ranks)
{
	size_t kept = 0;

	if (ranks->count == 0)
		return;
	qsort(ranks->rows, ranks->count, sizeof(*ranks->rows), compare_members);
	for (size_t i = 1; i < ranks->count; i++) {
		if (strcmp(ranks->rows[kept].member, ranks->rows[i].member) == 0)
			ranks->rows[kept].value += ranks->rows[i].value;
		else
			ranks->rows[++kept] = ranks->rows[i];
	}
	ranks->count = kept + 1;
	qsort(ranks->rows, ranks->count, sizeof(*ranks->rows), compare_values);
}

/* The whole list of each day is read, so that the sums are right below the first rows too. */
static enum td_error append_names(
	struct cli *cli, struct reader *reader, size_t limit, size_t days, bool *empty)
{
	struct reader_ranks all = {NULL, 0, 0}, day;
	enum td_error error = TD_OK;

	for (size_t d = 0; d < days && error == TD_OK; d++) {
		time_t then = (time_t)(cli->now_ms / 1000) - (time_t)d * 86400;
		char date[16];
		struct tm parts;
		gmtime_r(&then, &parts);
		strftime(date, sizeof(date), "%Y%m%d", &parts);
		error = reader_ranks(reader, &cli->arena, READER_DAY_NAMES, date,
			days == 1 ? limit : READER_ROWS_MAX, &day);
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
	sum_members(&all);
	if (all.count > limit)
		all.count = limit;
	name_rows(cli, &all);
	*empty = all.count == 0;
	return error;
}

/* --- watched --- */

struct watched_row {
	const char *zone;
	struct reader_hit hit;
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

static enum td_error append_watched(
	struct cli *cli, struct reader *reader, size_t limit, size_t days, bool *empty)
{
	size_t zones = cli->options->zone_count, count = 0;
	struct watched_row *rows = arena_alloc(&cli->arena, (zones * limit + 1) * sizeof(*rows));
	enum td_error error = rows ? TD_OK : TD_NOMEM;

	(void)days;
	for (size_t z = 0; z < zones && error == TD_OK; z++) {
		struct reader_hits hits;
		error = reader_zone_hits(
			reader, &cli->arena, cli->options->zones[z].name, limit, &hits);
		for (size_t i = 0; i < hits.count; i++)
			rows[count++] =
				(struct watched_row){cli->options->zones[z].name, hits.rows[i]};
	}
	if (error != TD_OK)
		return error;
	if (count)
		qsort(rows, count, sizeof(*rows), compare_watched);
	watched_rows(cli, rows, count < limit ? count : limit);
	*empty = count == 0;
	return TD_OK;
}

static const struct ranking rankings[] = {
	{"clients", "Clients by queries", append_clients},
	{"names", "Names by queries", append_names},
	{"watched", "Clients by hits of watched and blocked zones", append_watched},
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
	} else if (strcmp(ranking->name, "watched") == 0) {
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

static void append_title(struct cli *cli, const struct ranking *ranking, size_t days)
{
	struct strbuf *out = &cli->out;

	output_style(out, cli->colour, STYLE_BOLD);
	strbuf_append_text(out, ranking->title);
	output_style(out, cli->colour, STYLE_PLAIN);
	strbuf_append_text(out, ", resolver ");
	output_text(out, cli->options->resolver_name);
	if (strcmp(ranking->name, "names") == 0)
		strbuf_printf(out, days == 1 ? ", today (UTC)" : ", last %zu days (UTC)", days);
	strbuf_append_text(out, ", ");
	output_time(out, cli->now_ms);
	strbuf_append_text(out, "\n\n");
}

static int append_frame(struct cli *cli, struct reader *reader, const struct ranking *ranking,
	size_t limit, size_t days)
{
	struct cli_coverage coverage;
	bool empty = true;

	arena_deinit(&cli->arena);
	arena_init(&cli->arena);
	cli->now_ms = wall_ms();
	enum td_error error = cli_coverage(cli, reader, &coverage);
	if (cli->json)
		append_json_open(cli, ranking);
	else
		append_title(cli, ranking, days);
	if (error == TD_OK)
		error = ranking->append(cli, reader, limit, days, &empty);
	if (error != TD_OK) {
		strbuf_clear(&cli->out);
		return cli_reader_failed(cli, reader);
	}
	if (cli->json) {
		strbuf_append_char(&cli->out, ']');
		output_json_time(&cli->out, "recording_since", coverage.since_ms);
		strbuf_append_text(&cli->out, "}\n");
		return empty ? CLI_NOTHING : CLI_OK;
	}
	if (empty)
		explain_empty(cli, ranking, &coverage, &cli->out);
	else
		strbuf_append_char(&cli->out, '\n');
	cli_coverage_text(cli, reader, &coverage, &cli->out);
	return empty ? CLI_NOTHING : CLI_OK;
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
static int refresh(struct cli *cli, struct reader *reader, const struct ranking *ranking,
	size_t limit, size_t days)
{
	struct termios before;
	int code = CLI_OK;

	if (!enter_screen(cli, &before))
		return append_frame(cli, reader, ranking, limit, days);
	do {
		struct winsize size = {.ws_row = 24};
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
		size_t room = size.ws_row > 8 ? size.ws_row - 6u : 2;
		code = append_frame(cli, reader, ranking, room < limit ? room : limit, days);
		if (code == CLI_ERROR)
			break;
		show_frame(cli);
	} while (wait_second());
	leave_screen(cli, &before);
	return code == CLI_ERROR ? cli_reader_failed(cli, reader) : CLI_OK;
}

static int top_run(struct cli *cli, int count, char **words)
{
	const struct ranking *ranking = &rankings[0];
	size_t limit, days;

	if (count > 1)
		return cli_usage(cli, &command_top, "takes one of clients, names, watched");
	for (size_t i = 0; count == 1 && i <= sizeof(rankings) / sizeof(rankings[0]); i++) {
		if (i == sizeof(rankings) / sizeof(rankings[0]))
			return cli_usage(cli, &command_top, "takes one of clients, names, watched");
		ranking = &rankings[i];
		if (strcmp(words[0], ranking->name) == 0)
			break;
	}
	if (!cli_number(cli, CLI_LINES, ROWS_DEFAULT, ROWS_MAX, &limit) ||
		!cli_number(cli, CLI_DAYS, 1, DAYS_MAX, &days))
		return CLI_USAGE;
	struct reader *reader = cli_reader(cli);
	if (!reader)
		return CLI_ERROR;
	bool live = cli->terminal && !cli->json && !cli->option[CLI_ONCE];
	int code = live ? refresh(cli, reader, ranking, cli->option[CLI_LINES] ? limit : ROWS_MAX,
				  days)
			: append_frame(cli, reader, ranking, limit, days);
	reader_close(&reader);
	return code;
}

const struct command command_top = {
	.name = "top",
	.arguments = "[clients|names|watched]",
	.summary = "who asks most, what is asked most, who asks for tunnels",
	.help = "Rankings of what was recorded: clients by queries (the default), names by queries "
		"today, or the clients\n"
		"that asked for watched or blocked names. In a terminal it refreshes every second "
		"until q or Ctrl-C;\n"
		"into a pipe it prints once.\n\n"
		"Examples:\n"
		"  teredown top\n"
		"  teredown top watched -n 50 --once\n"
		"  teredown top names --days 8 --json | jq '.rows[0]'",
	.takes = 1u << CLI_LINES | 1u << CLI_DAYS | 1u << CLI_ONCE,
	.run = top_run,
};

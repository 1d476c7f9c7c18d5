/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The screen of `teredown top`, by ncurses: it draws what top_reader.h reads and top_state.h says.
 * Everything that comes from Redis is escaped to ASCII before it is drawn, as in all commands, so a
 * name can neither move the cursor nor turn the line around.
 */
#include "resolver/control/top_screen.h"

#include "config.h"

#ifndef HAVE_NCURSES

bool top_screen_run(struct cli *cli, struct fleet *fleet, const struct top_wish *wish, int *code)
{
	(void)cli;
	(void)fleet;
	(void)wish;
	(void)code;
	return false;
}

#else

#include <ncurses.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/clock.h"
#include "resolver/control/top_print.h"
#include "resolver/control/top_reader.h"
#include "resolver/control/top_state.h"

#define POLL_MS 100   /* how late a frame may be drawn */
#define STALE_MS 5000 /* from then on its age is said */
#define CELL_WIDTH_MAX 60
#define NOTE_LINES_MAX 6 /* lines above the rows */
#define LINES_AROUND 5   /* title, rankings, an empty one, header, keys */

struct screen {
	struct cli *cli;
	struct top_state state;
	struct top_reader *reader;
	struct top_frame *frame;
	char words[TOP_WORDS_MAX];
	unsigned asked; /* changes that the reader knows of */
	bool paused;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

/* --- texts --- */

/* What a cell shows, in the screen's own scratch text. */
static const char *cell_text(
	struct strbuf *scratch, enum top_kind kind, const struct top_cell *cell)
{
	strbuf_clear(scratch);
	if (kind == TOP_TIME)
		output_time(scratch, (int64_t)cell->number);
	else if (kind == TOP_TEXT)
		output_text(scratch, top_cell_words(cell));
	else if (!cell->empty)
		strbuf_append_u64(scratch, cell->number);
	return scratch->failed || !scratch->data ? "" : scratch->data;
}

static int width_of(const char *text)
{
	size_t length = strlen(text);

	return length > CELL_WIDTH_MAX ? CELL_WIDTH_MAX : (int)length;
}

/* The width of each column, for the rows that are seen; a place for the mark of the order beside
 * each header. The last one takes what is left. */
static void measure(const struct screen *screen, const struct top_table *table, size_t end,
	struct strbuf *scratch, int widths[TOP_COLUMNS_MAX])
{
	for (size_t c = 0; c < table->column_count; c++)
		widths[c] = (int)strlen(table->columns[c].header) + 1;
	for (size_t i = top_state_page(&screen->state)->first; i < end; i++)
		for (size_t c = 0; c < table->column_count; c++) {
			int width = width_of(cell_text(
				scratch, table->columns[c].kind, &table->rows[i].cells[c]));
			widths[c] = width > widths[c] ? width : widths[c];
		}
}

/* Text from column x on, cut to width and to the screen; numbers to the right. */
static void put(int y, int x, int width, bool right, const char *text)
{
	int room = COLS - x, length = (int)strlen(text);

	if (room <= 0)
		return;
	width = width < room ? width : room;
	length = length < width ? length : width;
	mvaddnstr(y, right ? x + width - length : x, text, length);
}

static void put_line(int y, const char *text)
{
	put(y, 0, COLS, false, text);
}

/* --- the parts of the screen --- */

static void draw_title(const struct screen *screen, struct strbuf *line)
{
	const struct top_page *page = top_state_page(&screen->state);
	const struct top_frame *frame = screen->frame;

	strbuf_clear(line);
	strbuf_append_text(line, top_view_title(page->view));
	if (*page->of) {
		strbuf_append_char(line, ' ');
		output_text(line, page->of);
	}
	if (frame) {
		strbuf_append_text(line, ", ");
		output_text(line, frame->title);
		strbuf_append_text(line, ", ");
		output_time(line, frame->wall_ms);
	}
	attron(A_BOLD);
	put_line(0, line->failed ? "" : line->data);
	attroff(A_BOLD);
}

static void draw_rankings(const struct screen *screen)
{
	int x = 0;

	for (int view = 0; view < TOP_RANKINGS; view++) {
		const char *name = top_view_name((enum top_view)view);
		if (screen->state.pages[0].view == (enum top_view)view)
			attron(A_REVERSE);
		mvprintw(1, x, " %d %s ", view + 1, name);
		attroff(A_REVERSE);
		x += (int)strlen(name) + 5;
	}
}

/* Why what is shown is not what is: away, or of another page. "" when it is. */
static void append_state(const struct screen *screen, int64_t now_ms, struct strbuf *out)
{
	const struct top_frame *frame = screen->frame;

	if (*screen->words)
		output_text(out, screen->words);
	else if (!frame || frame->changes != screen->state.changes)
		strbuf_append_text(out, "reading ...");
	else if (screen->paused)
		strbuf_append_text(out, "paused");
	if (frame && now_ms - frame->wall_ms > STALE_MS) {
		strbuf_append_text(out, out->length ? "; this is from " : "from ");
		output_ago(out, now_ms, frame->wall_ms);
	}
}

static void draw_search(const struct screen *screen, int64_t now_ms, struct strbuf *line)
{
	const struct top_page *page = top_state_page(&screen->state);

	strbuf_clear(line);
	append_state(screen, now_ms, line);
	if (*page->search || screen->state.searching) {
		strbuf_append_text(line, line->length ? "; search: " : "search: ");
		output_text(line, page->search);
		strbuf_append_text(line, screen->state.searching ? "_" : "");
	}
	if (line->length && !line->failed)
		put_line(2, line->data);
}

/* The line behind them. */
static int draw_notes(const struct top_table *table)
{
	const char *at = table->notes;
	int y = 3;

	for (; *at && y < 3 + NOTE_LINES_MAX; y++) {
		int length = (int)strcspn(at, "\n");
		mvaddnstr(y, 0, at, length < COLS ? length : COLS);
		at += length + (at[length] == '\n');
	}
	return y;
}

static int notes_height(const struct top_table *table)
{
	int lines = 0;

	for (const char *at = table->notes; *at && lines < NOTE_LINES_MAX; lines++)
		at += strcspn(at, "\n") + 1;
	return lines;
}

static void draw_header(const struct top_table *table, int y, const int widths[TOP_COLUMNS_MAX])
{
	int x = 0;

	attron(A_BOLD);
	for (size_t c = 0; c < table->column_count; c++) {
		char header[32];
		bool sorted = c == table->sorted;
		snprintf(header, sizeof(header), "%s%s", table->columns[c].header,
			!sorted            ? ""
			: table->ascending ? "^"
					   : "v");
		put(y, x, widths[c], table->columns[c].kind == TOP_NUMBER, header);
		x += widths[c] + 2;
	}
	attroff(A_BOLD);
}

static void draw_row(const struct top_table *table, size_t number, int y, bool selected,
	struct strbuf *scratch, const int widths[TOP_COLUMNS_MAX])
{
	int x = 0;

	if (selected) {
		attron(A_REVERSE);
		mvhline(y, 0, ' ', COLS);
	}
	for (size_t c = 0; c < table->column_count; c++) {
		enum top_kind kind = table->columns[c].kind;
		bool last = c + 1 == table->column_count;
		put(y, x, last ? COLS : widths[c], kind == TOP_NUMBER,
			cell_text(scratch, kind, &table->rows[number].cells[c]));
		x += widths[c] + 2;
	}
	attroff(A_REVERSE);
}

static void draw_table(struct screen *screen, struct strbuf *scratch)
{
	const struct top_table *table = &screen->frame->table;
	int widths[TOP_COLUMNS_MAX], room = LINES - LINES_AROUND - notes_height(table);

	screen->state.visible = room > 1 ? (size_t)room : 1;
	top_state_fit(&screen->state, table);
	const struct top_page *page = top_state_page(&screen->state);
	size_t end = page->first + screen->state.visible;
	if (end > table->count)
		end = table->count;
	measure(screen, table, end, scratch, widths);
	int y = draw_notes(table);
	draw_header(table, y++, widths);
	for (size_t i = page->first; i < end; i++)
		draw_row(table, i, y++, i == page->selected, scratch, widths);
	if (!table->count)
		put_line(y, *page->search ? "Nothing has this in it; Esc shows all"
					  : "Nothing has been recorded here yet");
}

static void draw_keys(const struct screen *screen, struct strbuf *line)
{
	strbuf_clear(line);
	if (screen->state.searching)
		strbuf_append_text(line, "Enter keeps the search  Esc drops it");
	else
		strbuf_append_text(line, "q quit  Enter open  Esc back  s sort  r reverse  / "
					 "search  Space pause  ? help");
	if (screen->frame && screen->frame->table.count) {
		const struct top_table *table = &screen->frame->table;
		strbuf_printf(line, "  %zu of %llu", top_state_page(&screen->state)->selected + 1,
			(unsigned long long)table->matching);
		if (!table->exact)
			strbuf_append_text(line, ", some may be missing");
	}
	attron(A_DIM);
	put_line(LINES - 1, line->failed ? "" : line->data);
	attroff(A_DIM);
}

static void draw_help(void)
{
	static const char *const lines[] = {
		"Up Down PgUp PgDn Home End   move",
		"Enter, right arrow           from a client to the names it asked, from a name to "
		"its "
		"clients",
		"Esc, left arrow, Backspace   back; drops the search first",
		"1 2 3 4, Tab                 clients, names, watched, rules",
		"s, r                         sort by the next column; turn the order around",
		"/                            search in names and addresses",
		"Space                        pause; what is shown stays as it is",
		"q, Ctrl-C                    end",
		"",
		"Sums are over all resolvers with --fleet. Figures are those of the last second.",
		"Any key goes back.",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		put_line(3 + (int)i, lines[i]);
}

static void draw(struct screen *screen)
{
	struct strbuf scratch;

	strbuf_init(&scratch);
	erase();
	draw_title(screen, &scratch);
	draw_rankings(screen);
	draw_search(screen, clock_wall_ms(), &scratch);
	if (screen->state.help)
		draw_help();
	else if (screen->frame)
		draw_table(screen, &scratch);
	draw_keys(screen, &scratch);
	refresh();
	strbuf_deinit(&scratch);
}

/* --- keys --- */

static int key_of(int key)
{
	switch (key) {
	case KEY_UP:
		return TOP_KEY_UP;
	case KEY_DOWN:
		return TOP_KEY_DOWN;
	case KEY_PPAGE:
		return TOP_KEY_PAGE_UP;
	case KEY_NPAGE:
		return TOP_KEY_PAGE_DOWN;
	case KEY_HOME:
		return TOP_KEY_HOME;
	case KEY_END:
		return TOP_KEY_END;
	case KEY_ENTER:
	case KEY_RIGHT:
	case '\r':
	case '\n':
		return TOP_KEY_OPEN;
	case KEY_LEFT:
	case 27: /* Esc */
		return TOP_KEY_BACK;
	case KEY_BACKSPACE:
	case 0x7f:
	case '\b':
		return TOP_KEY_ERASE;
	case '\t':
		return TOP_KEY_NEXT;
	default:
		return key;
	}
}

/* --- the loop --- */

/* The table that is shown is the one that keys are about, unless another page is waited for. */
static const struct top_table *shown_table(const struct screen *screen)
{
	return screen->frame && screen->frame->changes == screen->state.changes
		       ? &screen->frame->table
		       : NULL;
}

static void ask(struct screen *screen)
{
	struct top_wish wish;

	if (screen->paused != screen->state.paused) {
		screen->paused = screen->state.paused;
		top_reader_pause(screen->reader, screen->paused);
	}
	if (screen->asked == screen->state.changes)
		return;
	screen->asked = screen->state.changes;
	top_state_wish(&screen->state, &wish);
	top_reader_wish(screen->reader, &wish, screen->asked);
}

static void take(struct screen *screen)
{
	struct top_frame *frame = top_reader_take(screen->reader);

	top_reader_words(screen->reader, screen->words);
	if (!frame)
		return;
	top_frame_free(screen->frame);
	screen->frame = frame;
}

static void loop(struct screen *screen)
{
	screen->state.changes = 1;
	while (!screen->state.ended && !interrupted) {
		ask(screen);
		take(screen);
		draw(screen);
		int key = getch();
		if (key != ERR && key != KEY_RESIZE)
			top_state_key(&screen->state, key_of(key), shown_table(screen));
	}
}

/* They end as `q` does, so that the terminal is as it was. A Redis that closes its connection is no
 * reason to end. */
static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

static SCREEN *open_screen(void)
{
	SCREEN *terminal = newterm(NULL, stdout, stdin);

	if (!terminal)
		return NULL;
	if (!tigetstr("cup") || tigetstr("cup") == (char *)-1) {
		endwin();
		delscreen(terminal);
		return NULL;
	}
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	timeout(POLL_MS);
	return terminal;
}

bool top_screen_run(struct cli *cli, struct fleet *fleet, const struct top_wish *wish, int *code)
{
	struct screen screen = {.cli = cli};
	SCREEN *terminal = open_screen();

	if (!terminal)
		return false;
	catch_signals();
	top_state_init(&screen.state, wish);
	screen.reader = top_reader_new(cli, fleet);
	if (screen.reader)
		loop(&screen);
	endwin();
	delscreen(terminal);
	*code = CLI_OK;
	if (!screen.reader) {
		cli_error(cli, "%s", error_text(TD_NOMEM));
		*code = CLI_ERROR;
	}
	top_reader_free(&screen.reader);
	top_frame_free(screen.frame);
	return true;
}

#endif

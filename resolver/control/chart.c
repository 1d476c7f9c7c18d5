/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bars of text. Block characters divide a cell into eighths, so that a bar of ten cells tells
 * eighty values apart; in other locales a cell is a '#', and what is less than half of one a '.'.
 * A count that is not 0 always leaves a mark. A library for this (ncurses) was rejected: what is
 * printed here has to stay readable in a pipe and in a scrolled terminal.
 */
#include "resolver/control/chart.h"

#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>

#define LABEL_MAX 40
#define GAP 2 /* between columns */
#define NUMBER_MAX 21
#define BAR_MIN 3
#define COLUMN_SMALL 12 /* a number of six digits, a blank and a bar */
#define FOLDED 4        /* empty rows that are one line */

/* --- how wide things are --- */

struct layout {
	size_t label;
	size_t *numbers; /* digits of each column */
	size_t bar;      /* cells; 0: none */
	size_t column;   /* cells of number, blank and bar; of a chart without bars the number's own
			  */
	uint64_t most;
};

static size_t digits(uint64_t value)
{
	size_t count = 1;

	for (; value > 9; value /= 10)
		count++;
	return count;
}

static uint64_t column_sum(const struct chart *chart, size_t column)
{
	uint64_t sum = 0;

	for (size_t row = 0; row < chart->rows; row++)
		sum += chart->counts[row * chart->column_count + column];
	return sum;
}

static bool layout_make(const struct chart *chart, struct layout *out)
{
	char label[LABEL_MAX];
	size_t number = 1;

	*out = (struct layout){.label = 5}; /* "total" */
	out->numbers = calloc(chart->column_count + 1, sizeof(*out->numbers));
	if (!out->numbers)
		return false;
	for (size_t row = 0; row < chart->rows; row++) {
		chart->label(chart->context, row, label);
		if (strlen(label) > out->label)
			out->label = strlen(label);
	}
	for (size_t c = 0; c < chart->column_count; c++) {
		out->numbers[c] = digits(column_sum(chart, c));
		number = out->numbers[c] > number ? out->numbers[c] : number;
	}
	for (size_t i = 0; i < chart->rows * chart->column_count; i++)
		out->most = chart->counts[i] > out->most ? chart->counts[i] : out->most;
	size_t left = chart->width > out->label ? chart->width - out->label : 0;
	out->column = left / chart->column_count > GAP ? left / chart->column_count - GAP : 0;
	out->bar = out->column >= number + 1 + BAR_MIN ? out->column - number - 1 : 0;
	return true;
}

size_t chart_columns_max(unsigned width, size_t label_length)
{
	size_t left = width > label_length ? width - label_length : 0;

	return left / (COLUMN_SMALL + GAP) ? left / (COLUMN_SMALL + GAP) : 1;
}

/* --- bars --- */

/* The binary logarithm of value + 1 in 2^-32, straight between powers of two: bars need no more. */
static uint64_t logarithm(uint64_t value)
{
	if (value == UINT64_MAX)
		return UINT64_C(64) << 32;
	unsigned power = 63 - (unsigned)__builtin_clzll(value + 1);
	uint64_t rest = value + 1 - (UINT64_C(1) << power);
	uint64_t fraction = power >= 32 ? rest >> (power - 32) : rest << (32 - power);

	return (uint64_t)power << 32 | fraction;
}

/* Of units, at least 1 for what is not 0. */
static size_t bar_units(const struct chart *chart, uint64_t most, uint64_t value, size_t units)
{
	if (value == 0 || most == 0)
		return 0;
	double part = chart->logarithmic ? (double)logarithm(value) / (double)logarithm(most)
					 : (double)value / (double)most;
	size_t length = (size_t)(part * (double)units + 0.5);
	return length < 1 ? 1 : length > units ? units : length;
}

/* Returns the cells it took. */
static size_t append_bar(
	const struct chart *chart, const struct layout *layout, uint64_t value, struct strbuf *out)
{
	static const char eighths[8][4] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	size_t units = bar_units(chart, layout->most, value, layout->bar * 8);
	size_t cells = units / 8, rest = units % 8;

	if (!chart->unicode) {
		cells += rest >= 4;
		for (size_t i = 0; i < cells; i++)
			strbuf_append_char(out, '#');
		if (cells == 0 && units)
			strbuf_append_char(out, '.');
		return cells == 0 && units ? 1 : cells;
	}
	for (size_t i = 0; i < cells; i++)
		strbuf_append_text(out, "█");
	strbuf_append_text(out, eighths[rest]);
	return cells + (rest != 0);
}

/* --- lines --- */

static void append_spaces(struct strbuf *out, size_t count)
{
	while (count-- > 0)
		strbuf_append_char(out, ' ');
}

/* Blanks are owed until something follows them, so that no line ends with them. */
static void settle(struct strbuf *out, size_t *owed)
{
	append_spaces(out, *owed);
	*owed = 0;
}

static size_t own_width(const struct chart *chart, const struct layout *layout, size_t c)
{
	size_t header = strlen(chart->columns[c].header);

	if (layout->bar)
		return layout->column;
	return header > layout->numbers[c] ? header : layout->numbers[c];
}

/* A header in its place; what is left of it is owed. */
static void append_word(
	const struct chart *chart, const char *word, size_t width, size_t *owed, struct strbuf *out)
{
	struct strbuf text;

	strbuf_init(&text);
	output_text(&text, word);
	out->failed |= text.failed;
	size_t length = text.length > width ? width : text.length;
	*owed += GAP;
	settle(out, owed);
	output_style(out, chart->colour, STYLE_BOLD);
	if (text.length > width && width > 2) {
		strbuf_append(out, text.data, width - 2);
		strbuf_append_text(out, "..");
	} else if (text.data) {
		strbuf_append(out, text.data, length);
	}
	output_style(out, chart->colour, STYLE_PLAIN);
	strbuf_deinit(&text);
	*owed = width - length;
}

static bool same_group(const struct chart_column *a, const struct chart_column *b)
{
	return a->group == b->group || (a->group && b->group && strcmp(a->group, b->group) == 0);
}

static void append_groups(
	const struct chart *chart, const struct layout *layout, struct strbuf *out)
{
	size_t owed = layout->label;

	for (size_t c = 0; c < chart->column_count;) {
		const struct chart_column *first = &chart->columns[c];
		size_t width = own_width(chart, layout, c++);
		while (c < chart->column_count && same_group(first, &chart->columns[c]))
			width += GAP + own_width(chart, layout, c++);
		append_word(chart, first->group ? first->group : "", width, &owed, out);
	}
	strbuf_append_char(out, '\n');
}

static void append_header(
	const struct chart *chart, const struct layout *layout, struct strbuf *out)
{
	size_t owed = layout->label;
	bool grouped = false;

	for (size_t c = 0; c < chart->column_count; c++)
		grouped = grouped || chart->columns[c].group;
	if (grouped)
		append_groups(chart, layout, out);
	for (size_t c = 0; c < chart->column_count; c++)
		append_word(
			chart, chart->columns[c].header, own_width(chart, layout, c), &owed, out);
	strbuf_append_char(out, '\n');
}

static void append_cell(const struct chart *chart, const struct layout *layout, size_t c,
	uint64_t value, bool bar, size_t *owed, struct strbuf *out)
{
	size_t width = own_width(chart, layout, c);

	*owed += GAP + layout->numbers[c] - digits(value);
	settle(out, owed);
	strbuf_append_u64(out, value);
	*owed = width - layout->numbers[c];
	if (!bar || !layout->bar || value == 0)
		return;
	*owed = 1;
	settle(out, owed);
	output_style(out, chart->colour, chart->columns[c].style);
	size_t cells = append_bar(chart, layout, value, out);
	output_style(out, chart->colour, STYLE_PLAIN);
	*owed = width - layout->numbers[c] - 1 - cells;
}

static bool is_empty(const struct chart *chart, size_t row)
{
	for (size_t c = 0; c < chart->column_count; c++)
		if (chart->counts[row * chart->column_count + c])
			return false;
	return true;
}

static size_t empty_rows(const struct chart *chart, size_t row)
{
	size_t count = 0;

	while (row + count < chart->rows && is_empty(chart, row + count))
		count++;
	return count;
}

static void append_row(
	const struct chart *chart, const struct layout *layout, size_t row, struct strbuf *out)
{
	char label[LABEL_MAX];
	size_t owed;

	chart->label(chart->context, row, label);
	strbuf_append_text(out, label);
	owed = layout->label - strlen(label);
	for (size_t c = 0; c < chart->column_count; c++)
		append_cell(chart, layout, c, chart->counts[row * chart->column_count + c], true,
			&owed, out);
	strbuf_append_char(out, '\n');
}

static void append_sums(const struct chart *chart, const struct layout *layout, struct strbuf *out)
{
	size_t owed = layout->label - strlen("total");

	strbuf_append_text(out, "total");
	for (size_t c = 0; c < chart->column_count; c++)
		append_cell(chart, layout, c, column_sum(chart, c), false, &owed, out);
	strbuf_append_char(out, '\n');
}

void chart_print(const struct chart *chart, struct strbuf *out)
{
	struct layout layout;

	if (!layout_make(chart, &layout)) {
		out->failed = true;
		return;
	}
	append_header(chart, &layout, out);
	for (size_t row = 0; row < chart->rows;) {
		size_t empty = empty_rows(chart, row);
		if (empty < FOLDED) {
			append_row(chart, &layout, row++, out);
			continue;
		}
		output_style(out, chart->colour, STYLE_DIM);
		strbuf_printf(out, "... %zu rows without anything", empty);
		output_style(out, chart->colour, STYLE_PLAIN);
		strbuf_append_char(out, '\n');
		row += empty;
	}
	append_sums(chart, &layout, out);
	free(layout.numbers);
}

/* --- where it is shown --- */

/* A locale object of its own: the program stays in "C", where numbers have no other digits. */
bool chart_locale_is_utf8(void)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);

	if (locale == (locale_t)0)
		return false;
	bool utf8 = strcasecmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
	freelocale(locale);
	return utf8;
}

unsigned chart_terminal_width(int fd)
{
	struct winsize size = {.ws_col = 0};
	const char *columns = getenv("COLUMNS");
	unsigned long width = 0;

	if (ioctl(fd, TIOCGWINSZ, &size) == 0)
		width = size.ws_col;
	if (width == 0 && columns)
		width = strtoul(columns, NULL, 10);
	if (width == 0)
		width = 80;
	return width < 20 ? 20 : width > 1000 ? 1000 : (unsigned)width;
}

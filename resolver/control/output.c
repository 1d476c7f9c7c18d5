/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How commands write. One grid serves all tables, so columns line up without a width being written
 * anywhere, and one escape serves all text: data of strangers (names, log lines) can neither move
 * the cursor nor forge a row.
 */
#include "resolver/control/output.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define COLUMN_WIDTH_MAX 60

void output_text(struct strbuf *out, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;
		if (c >= 0x20 && c < 0x7f)
			strbuf_append_char(out, (char)c);
		else
			strbuf_printf(out, "\\%03u", c);
	}
}

void output_time(struct strbuf *out, int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm parts;
	char text[32];

	if (wall_ms <= 0)
		strbuf_append_text(out, "never");
	else if (localtime_r(&seconds, &parts) &&
		 strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts) > 0)
		strbuf_append_text(out, text);
	else
		strbuf_append_text(out, "a time out of range");
}

void output_span(struct strbuf *out, int64_t seconds)
{
	long long s = seconds < 0 ? 0 : seconds;

	if (s < 60)
		strbuf_printf(out, "%lld s", s);
	else if (s < 3600)
		strbuf_printf(out, "%lld min", s / 60);
	else if (s < 86400)
		strbuf_printf(out, "%lld h %lld min", s / 3600, s % 3600 / 60);
	else
		strbuf_printf(out, "%lld d %lld h", s / 86400, s % 86400 / 3600);
}

void output_duration(struct strbuf *out, uint64_t microseconds)
{
	double us = (double)microseconds;

	if (microseconds < 1000)
		strbuf_printf(out, "%llu us", (unsigned long long)microseconds);
	else if (microseconds < 1000000)
		strbuf_printf(out, "%.1f ms", us / 1000);
	else
		strbuf_printf(out, "%.1f s", us / 1000000);
}

void output_ago(struct strbuf *out, int64_t now_ms, int64_t wall_ms)
{
	if (wall_ms > now_ms + 60000) {
		strbuf_append_text(out, "in the future");
	} else if (now_ms - wall_ms < 2000) {
		strbuf_append_text(out, "just now");
	} else {
		output_span(out, (now_ms - wall_ms) / 1000);
		strbuf_append_text(out, " ago");
	}
}

void output_bytes(struct strbuf *out, uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		strbuf_printf(out, "%u B", (unsigned)bytes);
		return;
	}
	for (; value >= 1024 && unit < 3; unit++)
		value /= 1024;
	strbuf_printf(out, "%.1f %s", value, units[unit]);
}

void output_count(struct strbuf *out, uint64_t count, const char *one)
{
	strbuf_append_u64(out, count);
	strbuf_append_char(out, ' ');
	strbuf_append_text(out, one);
	if (count != 1)
		strbuf_append_char(out, 's');
}

void output_json_next(struct strbuf *out)
{
	char last = out->length ? out->data[out->length - 1] : '[';
	if (last != '[' && last != '{' && last != ':')
		strbuf_append_char(out, ',');
}

void output_json_time(struct strbuf *out, const char *key, int64_t wall_ms)
{
	strbuf_json_key(out, key);
	if (wall_ms <= 0 || wall_ms > INT64_C(250000000000000)) { /* the year 9892 */
		strbuf_append_text(out, "null");
		return;
	}
	strbuf_append_char(out, '"');
	strbuf_append_time(out, wall_ms * 1000);
	strbuf_append_char(out, '"');
}

void output_style(struct strbuf *out, bool colour, enum style style)
{
	static const char *const codes[] = {
		[STYLE_PLAIN] = "\033[0m",
		[STYLE_BOLD] = "\033[1m",
		[STYLE_DIM] = "\033[2m",
		[STYLE_RED] = "\033[31m",
		[STYLE_GREEN] = "\033[32m",
		[STYLE_YELLOW] = "\033[33m",
	};
	if (colour)
		strbuf_append_text(out, codes[style]);
}

/* --- grids --- */

void grid_init(struct grid *grid, const char *headers)
{
	memset(grid, 0, sizeof(*grid));
	strbuf_init(&grid->text);
	for (;;) {
		assert(grid->columns < GRID_COLUMNS_MAX);
		grid->right[grid->columns] = *headers == '>';
		grid->headers[grid->columns++] = headers + (*headers == '>');
		headers = strchr(headers, '|');
		if (!headers)
			return;
		headers++;
	}
}

void grid_deinit(struct grid *grid)
{
	strbuf_deinit(&grid->text);
}

void grid_cell(struct grid *grid, const char *text)
{
	output_text(&grid->text, text);
	strbuf_append_char(&grid->text, '\0');
	grid->cells++;
}

void grid_cell_u64(struct grid *grid, uint64_t value)
{
	strbuf_append_u64(&grid->text, value);
	strbuf_append_char(&grid->text, '\0');
	grid->cells++;
}

void grid_cell_time(struct grid *grid, int64_t wall_ms)
{
	if (wall_ms > 0)
		output_time(&grid->text, wall_ms);
	else
		strbuf_append_char(&grid->text, '-');
	strbuf_append_char(&grid->text, '\0');
	grid->cells++;
}

static void grid_widths(const struct grid *grid, size_t widths[GRID_COLUMNS_MAX])
{
	const char *cell = grid->text.data;

	for (size_t c = 0; c < grid->columns; c++)
		widths[c] = strcspn(grid->headers[c], "|");
	for (size_t i = 0; i < grid->cells; i++) {
		size_t length = strlen(cell), c = i % grid->columns;
		if (length > widths[c])
			widths[c] = length > COLUMN_WIDTH_MAX ? COLUMN_WIDTH_MAX : length;
		cell += length + 1;
	}
}

static void append_spaces(struct strbuf *out, size_t count)
{
	while (count-- > 0)
		strbuf_append_char(out, ' ');
}

/* One cell; the last of a row gets no spaces behind it. */
static void print_cell(
	struct strbuf *out, const char *text, size_t length, size_t width, bool right, bool last)
{
	size_t gap = width > length ? width - length : 0;

	if (right)
		append_spaces(out, gap);
	strbuf_append(out, text, length);
	if (last)
		strbuf_append_char(out, '\n');
	else
		append_spaces(out, (right ? 0 : gap) + 2);
}

void grid_print(const struct grid *grid, struct strbuf *out, unsigned indent, bool colour)
{
	size_t widths[GRID_COLUMNS_MAX];
	const char *cell = grid->text.data;

	if (grid->text.failed)
		out->failed = true;
	if (grid->cells == 0 || grid->text.failed)
		return;
	grid_widths(grid, widths);
	output_style(out, colour, STYLE_BOLD);
	append_spaces(out, indent);
	for (size_t c = 0; c < grid->columns; c++) {
		size_t length = strcspn(grid->headers[c], "|");
		print_cell(out, grid->headers[c], length, widths[c], grid->right[c],
			c + 1 == grid->columns);
	}
	output_style(out, colour, STYLE_PLAIN);
	for (size_t i = 0; i < grid->cells; i++) {
		size_t length = strlen(cell), c = i % grid->columns;
		if (c == 0)
			append_spaces(out, indent);
		print_cell(out, cell, length, widths[c], grid->right[c], c + 1 == grid->columns);
		cell += length + 1;
	}
}

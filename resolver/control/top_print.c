/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of `teredown top` as they go into a pipe. */
#include "resolver/control/top_print.h"

#include <string.h>

#include "resolver/telemetry/redis/schema.h"

const char *top_cell_words(const struct top_cell *cell)
{
	return strcmp(cell->text, SCHEMA_OTHER) == 0 ? "(others)" : cell->text;
}

/* "CLIENT|>QUERIES|LAST SEEN" */
static const char *header_line(struct cli *cli, const struct top_table *table)
{
	struct strbuf line;
	const char *copy = NULL;

	strbuf_init(&line);
	for (size_t c = 0; c < table->column_count; c++)
		strbuf_printf(&line, "%s%s%s", c ? "|" : "",
			table->columns[c].kind == TOP_NUMBER ? ">" : "", table->columns[c].header);
	if (!line.failed && line.length)
		copy = arena_copy(&cli->arena, line.data, line.length + 1);
	strbuf_deinit(&line);
	return copy;
}

static void print_cell(struct grid *grid, enum top_kind kind, const struct top_cell *cell)
{
	if (kind == TOP_TIME)
		grid_cell_time(grid, (int64_t)cell->number);
	else if (kind == TOP_TEXT || cell->empty)
		grid_cell(grid, top_cell_words(cell));
	else
		grid_cell_u64(grid, cell->number);
}

void top_print(struct cli *cli, const struct top_table *table)
{
	const char *headers = header_line(cli, table);
	struct grid grid;

	if (!headers) {
		cli->out.failed = true;
		return;
	}
	grid_init(&grid, headers);
	for (size_t i = 0; i < table->count; i++)
		for (size_t c = 0; c < table->column_count; c++)
			print_cell(&grid, table->columns[c].kind, &table->rows[i].cells[c]);
	grid_print(&grid, &cli->out, 0, cli->colour);
	grid_deinit(&grid);
}

static void json_cell(
	struct strbuf *out, const struct top_column *column, const struct top_cell *cell)
{
	if (!column->key || (cell->empty && column->kind == TOP_NUMBER))
		return;
	if (column->kind == TOP_NUMBER)
		strbuf_json_u64(out, column->key, cell->number);
	else if (column->kind == TOP_TIME)
		output_json_time(out, column->key, (int64_t)cell->number);
	else
		strbuf_json_text(out, column->key, cell->text);
}

void top_print_json(struct cli *cli, const struct top_table *table)
{
	struct strbuf *out = &cli->out;

	strbuf_append_char(out, '[');
	for (size_t i = 0; i < table->count; i++) {
		const struct top_row *row = &table->rows[i];
		output_json_next(out);
		strbuf_append_char(out, '{');
		for (size_t c = 0; c < table->column_count; c++)
			json_cell(out, &table->columns[c], &row->cells[c]);
		if (*row->json) {
			output_json_next(out);
			strbuf_append_text(out, row->json);
		}
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}

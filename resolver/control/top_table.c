/* SPDX-License-Identifier: BSD-3-Clause */
/* Sorting and searching rows that are in memory; a merge sort, because equal rows keep their order.
 */
#include "resolver/control/top_table.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool top_table_init(struct top_table *table, struct arena *arena, size_t count)
{
	*table = (struct top_table){.count = count, .total = count, .exact = true, .notes = ""};
	table->rows = arena_alloc(arena, (count + 1) * sizeof(*table->rows));
	if (!table->rows)
		return false;
	for (size_t i = 0; i < count; i++) {
		table->rows[i] = (struct top_row){.opens = TOP_NOTHING, .json = ""};
		for (size_t c = 0; c < TOP_COLUMNS_MAX; c++)
			table->rows[i].cells[c] = top_cell_text(NULL);
	}
	return true;
}

void top_table_column(
	struct top_table *table, const char *header, const char *key, enum top_kind kind)
{
	table->columns[table->column_count++] = (struct top_column){header, key, kind};
}

struct top_cell top_cell_text(const char *text)
{
	return (struct top_cell){.text = text ? text : "", .empty = !text || !*text};
}

struct top_cell top_cell_number(uint64_t number)
{
	return (struct top_cell){.text = "", .number = number};
}

struct top_cell top_cell_time(int64_t wall_ms)
{
	return (struct top_cell){
		.text = "", .number = wall_ms > 0 ? (uint64_t)wall_ms : 0, .empty = wall_ms <= 0};
}

bool top_kind_descends(enum top_kind kind)
{
	return kind != TOP_TEXT;
}

/* Empty cells come last, whatever the order is. */
static int compare_cells(
	const struct top_cell *a, const struct top_cell *b, enum top_kind kind, bool ascending)
{
	int order;

	if (a->empty || b->empty)
		return a->empty - b->empty;
	if (kind == TOP_TEXT)
		order = strcasecmp(a->text, b->text);
	else
		order = a->number < b->number ? -1 : a->number > b->number;
	return ascending ? order : -order;
}

static void merge(const struct top_table *table, const struct top_row *from, struct top_row *to,
	size_t begin, size_t middle, size_t end)
{
	enum top_kind kind = table->columns[table->sorted].kind;
	size_t left = begin, right = middle, column = table->sorted;

	for (size_t at = begin; at < end; at++) {
		bool take_left =
			left < middle && (right == end || compare_cells(&from[left].cells[column],
								  &from[right].cells[column], kind,
								  table->ascending) <= 0);
		to[at] = from[take_left ? left++ : right++];
	}
}

bool top_table_sort(struct top_table *table, size_t column, bool ascending)
{
	struct top_row *other = table->count ? malloc(table->count * sizeof(*other)) : NULL;
	struct top_row *from = table->rows, *to = other;

	if (table->count && !other)
		return false;
	table->sorted = column;
	table->ascending = ascending;
	for (size_t width = 1; width < table->count; width *= 2) {
		for (size_t begin = 0; begin < table->count; begin += 2 * width) {
			size_t rest = table->count - begin;
			size_t middle = begin + (rest < width ? rest : width);
			size_t end = begin + (rest < 2 * width ? rest : 2 * width);
			merge(table, from, to, begin, middle, end);
		}
		struct top_row *swap = from;
		from = to;
		to = swap;
	}
	if (from != table->rows)
		memcpy(table->rows, from, table->count * sizeof(*from));
	free(other);
	return true;
}

static bool row_has(const struct top_table *table, const struct top_row *row, const char *text)
{
	for (size_t c = 0; c < table->column_count; c++)
		if (table->columns[c].kind == TOP_TEXT && !row->cells[c].empty &&
			strcasestr(row->cells[c].text, text))
			return true;
	return false;
}

void top_table_search(struct top_table *table, const char *text)
{
	size_t kept = 0;

	for (size_t i = 0; i < table->count; i++)
		if (!*text || row_has(table, &table->rows[i], text))
			table->rows[kept++] = table->rows[i];
	table->count = kept;
	table->matching = *text ? kept : table->total;
}

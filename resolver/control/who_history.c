/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * History out of logs of other DNS servers. It stands apart from what this resolver recorded, and
 * what its log leaves open stands apart from what it says: two clients that asked at once may have
 * been confused there.
 */
#include <stdlib.h>
#include <string.h>

#include "resolver/control/who.h"

struct history_load {
	struct who *who;
	const struct reader_history_wanted *wanted;
	struct reader_histories *all;
};

static enum td_error add_history(void *context, struct fleet_member *member)
{
	struct history_load *load = context;
	struct arena *arena = &load->who->cli->arena;
	struct reader_histories more, *all = load->all;

	enum td_error error = reader_history(member->reader, arena, load->wanted, &more);
	if (error != TD_OK || more.count == 0) {
		all->cut = all->cut || more.cut;
		return error;
	}
	struct reader_history *rows = arena_alloc(arena, (all->count + more.count) * sizeof(*rows));
	if (!rows)
		return TD_NOMEM;
	if (all->count)
		memcpy(rows, all->rows, all->count * sizeof(*rows));
	memcpy(rows + all->count, more.rows, more.count * sizeof(*rows));
	for (size_t i = 0; i < more.count; i++)
		rows[all->count + i].resolver = member->resolver;
	all->rows = rows;
	all->count += more.count;
	all->cut = all->cut || more.cut;
	return TD_OK;
}

/* Certain ones first, then by count. */
static int compare_rows(const void *left, const void *right)
{
	const struct reader_history *a = left, *b = right;

	if (a->certain != b->certain)
		return a->certain ? -1 : 1;
	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	int order = strcmp(a->client, b->client);
	order = order ? order : strcmp(a->name, b->name);
	return order ? order : strcmp(a->address, b->address);
}

enum td_error who_load_history(
	struct who *who, const struct reader_history_wanted *wanted, struct reader_histories *out)
{
	struct history_load load = {who, wanted, out};

	*out = (struct reader_histories){NULL, 0, false};
	enum td_error error = fleet_each(who->fleet, add_history, &load);
	if (error == TD_OK && out->count)
		qsort(out->rows, out->count, sizeof(*out->rows), compare_rows);
	return error;
}

static void append_part(
	struct who *who, const struct reader_history *rows, size_t count, const char *title)
{
	struct strbuf *out = &who->cli->out;
	struct grid grid;

	if (count == 0)
		return;
	strbuf_append_text(out, title);
	grid_init(&grid, "CLIENT|NAME|ADDRESS|>TIMES|FIRST|LAST");
	for (size_t i = 0; i < count && i < who->limit; i++) {
		grid_cell(&grid, rows[i].client);
		grid_cell(&grid, rows[i].name);
		grid_cell(&grid, rows[i].address);
		grid_cell_u64(&grid, rows[i].count);
		grid_cell_time(&grid, rows[i].first_ms);
		grid_cell_time(&grid, rows[i].last_ms);
	}
	grid_print(&grid, out, 0, who->cli->colour);
	grid_deinit(&grid);
	if (count > who->limit)
		strbuf_printf(out, "... and %zu more rows; -n %zu shows them.\n",
			count - who->limit, count);
}

void who_append_history(struct who *who, const struct reader_histories *history)
{
	size_t certain = 0;

	while (certain < history->count && history->rows[certain].certain)
		certain++;
	append_part(who, history->rows, certain,
		"\nImported from logs of other DNS servers, not recorded here:\n");
	append_part(who, history->rows + certain, history->count - certain,
		"\nImported, and ambiguous: the log leaves open which of several clients was told "
		"this:\n");
	if (history->cut)
		strbuf_append_text(
			&who->cli->out, "There is more imported history than was read here.\n");
}

void who_append_history_json(struct who *who, const struct reader_histories *history)
{
	struct strbuf *out = &who->cli->out;

	strbuf_json_key(out, "history");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < history->count && i < who->limit; i++) {
		const struct reader_history *row = &history->rows[i];
		output_json_next(out);
		strbuf_append_char(out, '{');
		if (who->fleet->whole)
			strbuf_json_text(out, "resolver", row->resolver);
		strbuf_json_text(out, "address", row->address);
		strbuf_json_text(out, "client", row->client);
		strbuf_json_text(out, "name", row->name);
		strbuf_json_u64(out, "count", row->count);
		output_json_time(out, "first", row->first_ms);
		output_json_time(out, "last", row->last_ms);
		strbuf_json_bool(out, "certain", row->certain);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lists of the zones are merged as they are: what each has for certain, and beside it what it
 * may have lost, where its bound made rules go. One list of all zones in Redis was rejected,
 * because a block list of a million names would push the few rules of a tunnel zone out of it.
 */
#include "resolver/control/rule_hits.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/redis/schema.h"

static bool is_other(const struct rule_hit *row)
{
	return strcmp(row->rule, SCHEMA_OTHER) == 0;
}

static int compare_hits(const void *left, const void *right)
{
	const struct rule_hit *a = left, *b = right;

	if (a->hits != b->hits)
		return a->hits < b->hits ? 1 : -1;
	int order = strcmp(a->zone, b->zone);
	return order ? order : strcmp(a->rule, b->rule);
}

static enum td_error append_rows(
	struct cli *cli, struct fleet *fleet, const char *zone, size_t limit, struct rule_hits *all)
{
	struct reader_ranks ranks;
	bool exact;
	enum td_error error =
		fleet_ranks(fleet, &cli->arena, READER_RULES, zone, limit, &ranks, &exact);

	if (error != TD_OK || ranks.count == 0)
		return error;
	struct reader_rank *most = arena_alloc(&cli->arena, ranks.count * sizeof(*most));
	struct rule_hit *rows =
		arena_alloc(&cli->arena, (all->count + ranks.count) * sizeof(*rows));
	if (!most || !rows)
		return TD_NOMEM;
	for (size_t i = 0; i < ranks.count; i++)
		most[i] = (struct reader_rank){ranks.rows[i].member, 0};
	error = fleet_at_most(fleet, READER_RULES, zone, most, ranks.count);
	if (all->count)
		memcpy(rows, all->rows, all->count * sizeof(*rows));
	all->rows = rows;
	all->exact = all->exact && exact;
	for (size_t i = 0; i < ranks.count; i++)
		rows[all->count++] = (struct rule_hit){zone, ranks.rows[i].member,
			(uint64_t)ranks.rows[i].value, (uint64_t)most[i].value};
	return error;
}

enum td_error rule_hits_load(
	struct cli *cli, struct fleet *fleet, const char *zone, size_t limit, struct rule_hits *out)
{
	const struct options *options = cli->options;
	enum td_error error = TD_OK;

	*out = (struct rule_hits){.exact = true};
	if (zone)
		error = append_rows(cli, fleet, zone, limit, out);
	for (size_t z = 0; !zone && z < options->zone_count && error == TD_OK; z++)
		error = append_rows(cli, fleet, options->zones[z].name, limit, out);
	if (error != TD_OK)
		return error;
	if (out->count)
		qsort(out->rows, out->count, sizeof(*out->rows), compare_hits);
	if (out->count > limit)
		out->count = limit;
	return TD_OK;
}

static bool is_doubtful(const struct rule_hit *row)
{
	return !is_other(row) && row->at_most > row->hits;
}

/* A rule on one name leads to who asked for it. */
static bool is_name(const char *rule)
{
	size_t length = strlen(rule);

	return length && rule[length - 1] == '.' && !strchr(rule, '*') && !strchr(rule, '/');
}

static void fill_row(struct top_table *table, const struct rule_hit *hit, struct top_row *row)
{
	row->cells[0] = top_cell_number(hit->hits);
	row->cells[1] = top_cell_number(hit->at_most);
	row->cells[1].empty = !is_doubtful(hit);
	row->cells[table->column_count - 2] = top_cell_text(hit->zone);
	row->cells[table->column_count - 1] = top_cell_text(hit->rule);
	if (is_name(hit->rule)) {
		row->opens = TOP_NAME;
		row->of = hit->rule;
	}
}

enum td_error rule_hits_table(
	struct cli *cli, const struct rule_hits *hits, struct top_table *table)
{
	bool doubtful = false;

	if (!top_table_init(table, &cli->arena, hits->count))
		return TD_NOMEM;
	for (size_t i = 0; i < hits->count; i++)
		doubtful = doubtful || is_doubtful(&hits->rows[i]);
	top_table_column(table, "HITS", "hits", TOP_NUMBER);
	if (doubtful)
		top_table_column(table, "AT MOST", "at_most", TOP_NUMBER);
	top_table_column(table, "ZONE", "zone", TOP_TEXT);
	top_table_column(table, "RULE", "rule", TOP_TEXT);
	for (size_t i = 0; i < hits->count; i++)
		fill_row(table, &hits->rows[i], &table->rows[i]);
	table->exact = hits->exact;
	return TD_OK;
}

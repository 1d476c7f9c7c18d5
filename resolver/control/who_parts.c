/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables and sums of pairs that the views of `teredown who` share. A pair is one row everywhere;
 * nothing here takes it apart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/who.h"
#include "resolver/telemetry/redis/schema.h"

struct summary who_summarize(const struct reader_pairs *pairs)
{
	struct summary summary = {0, 0, 0};

	for (size_t i = 0; i < pairs->count; i++) {
		const struct reader_pair *pair = &pairs->rows[i];
		if (summary.first_ms == 0 || pair->first_ms < summary.first_ms)
			summary.first_ms = pair->first_ms;
		if (pair->last_ms > summary.last_ms)
			summary.last_ms = pair->last_ms;
		summary.count += pair->count;
	}
	return summary;
}

static int compare_counts(const void *left, const void *right)
{
	const struct reader_pair *a = left, *b = right;
	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	if (a->last_ms != b->last_ms)
		return a->last_ms < b->last_ms ? 1 : -1;
	int order = strcmp(a->client, b->client);
	order = order ? order : strcmp(a->name, b->name);
	order = order ? order : strcmp(a->address, b->address);
	return order ? order : strcmp(a->resolver, b->resolver);
}

void who_sort(struct reader_pairs *pairs)
{
	if (pairs->count)
		qsort(pairs->rows, pairs->count, sizeof(*pairs->rows), compare_counts);
}

static int compare_words(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

const char **who_distinct(
	struct arena *arena, const struct reader_pairs *pairs, bool clients, size_t *count)
{
	const char **words = arena_alloc(arena, (pairs->count + 1) * sizeof(*words));

	*count = 0;
	for (size_t i = 0; words && i < pairs->count; i++)
		words[i] = clients ? pairs->rows[i].client : pairs->rows[i].name;
	if (!words || pairs->count == 0)
		return words;
	qsort(words, pairs->count, sizeof(*words), compare_words);
	for (size_t i = 0; i < pairs->count; i++)
		if (i == 0 || strcmp(words[i], words[*count - 1]) != 0)
			words[(*count)++] = words[i];
	return words;
}

bool who_has_other(const struct reader_ranks *ranks)
{
	for (size_t i = 0; i < ranks->count; i++)
		if (strcmp(ranks->rows[i].member, SCHEMA_OTHER) == 0)
			return true;
	return false;
}

/* --- sentences and tables --- */

void who_append_period(struct who *who, const struct summary *summary)
{
	struct strbuf *out = &who->cli->out;

	strbuf_append_text(out, "first ");
	output_time(out, summary->first_ms);
	strbuf_append_text(out, ", last ");
	output_time(out, summary->last_ms);
	strbuf_append_text(out, " (");
	output_ago(out, who->cli->now_ms, summary->last_ms);
	strbuf_append_text(out, ").\n");
}

void who_append_bold(struct who *who, const char *text)
{
	output_style(&who->cli->out, who->cli->colour, STYLE_BOLD);
	output_text(&who->cli->out, text);
	output_style(&who->cli->out, who->cli->colour, STYLE_PLAIN);
}

/* "… and 7 more; -n 57 shows all." */
static void append_cut(struct who *who, size_t all, bool more)
{
	if (all > who->limit)
		strbuf_printf(&who->cli->out, "... and %zu more rows; -n %zu shows them.\n",
			all - who->limit, all < READER_ROWS_MAX ? all : READER_ROWS_MAX);
	if (more)
		strbuf_append_text(&who->cli->out,
			"There is more than was read here: figures above are of what is shown.\n");
}

void who_append_pairs(struct who *who, const struct reader_pairs *pairs, const char *headers)
{
	char fleet_headers[128];
	struct grid grid;

	snprintf(fleet_headers, sizeof(fleet_headers), "RESOLVER|%s", headers);
	grid_init(&grid, who->fleet->whole ? fleet_headers : headers);
	for (size_t i = 0; i < pairs->count && i < who->limit; i++) {
		const struct reader_pair *pair = &pairs->rows[i];
		if (who->fleet->whole)
			grid_cell(&grid, pair->resolver);
		for (const char *header = headers; header; header = strchr(header, '|')) {
			header += *header == '|';
			header += *header == '>';
			switch (*header) {
			case 'A':
				grid_cell(&grid, pair->address);
				break;
			case 'C':
				grid_cell(&grid, pair->client);
				break;
			case 'N':
				grid_cell(&grid, pair->name);
				break;
			case 'T':
				grid_cell_u64(&grid, pair->count);
				break;
			case 'F':
				grid_cell_time(&grid, pair->first_ms);
				break;
			case 'L':
				grid_cell_time(&grid, pair->last_ms);
				break;
			case 'B':
				grid_cell(
					&grid, *pair->owner && strcmp(pair->owner, pair->name) != 0
						       ? pair->owner
						       : "-");
				break;
			}
		}
	}
	grid_print(&grid, &who->cli->out, 0, who->cli->colour);
	grid_deinit(&grid);
	append_cut(who, pairs->count, pairs->cut);
}

void who_append_pairs_json(struct who *who, const struct reader_pairs *pairs)
{
	struct strbuf *out = &who->cli->out;
	struct summary summary = who_summarize(pairs);

	output_json_time(out, "first", summary.first_ms);
	output_json_time(out, "last", summary.last_ms);
	strbuf_json_u64(out, "count", summary.count);
	strbuf_json_bool(out, "cut", pairs->cut || pairs->count > who->limit);
	strbuf_json_key(out, "pairs");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < pairs->count && i < who->limit; i++) {
		const struct reader_pair *pair = &pairs->rows[i];
		output_json_next(out);
		strbuf_append_char(out, '{');
		if (who->fleet->whole)
			strbuf_json_text(out, "resolver", pair->resolver);
		strbuf_json_text(out, "address", pair->address);
		strbuf_json_text(out, "client", pair->client);
		strbuf_json_text(out, "name", pair->name);
		strbuf_json_text(out, "owner", pair->owner);
		strbuf_json_u64(out, "count", pair->count);
		output_json_time(out, "first", pair->first_ms);
		output_json_time(out, "last", pair->last_ms);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}

void who_append_ranks_json(
	struct who *who, const char *key, const char *member, const struct reader_ranks *ranks)
{
	struct strbuf *out = &who->cli->out;

	strbuf_json_key(out, key);
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < ranks->count && i < who->limit; i++) {
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, member, ranks->rows[i].member);
		strbuf_json_u64(out, "queries", (uint64_t)ranks->rows[i].value);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}

void who_append_words_json(struct who *who, const char *key, const char **words, size_t count)
{
	strbuf_json_key(&who->cli->out, key);
	strbuf_append_char(&who->cli->out, '[');
	for (size_t i = 0; i < count; i++) {
		output_json_next(&who->cli->out);
		strbuf_json_string(&who->cli->out, words[i], strlen(words[i]));
	}
	strbuf_append_char(&who->cli->out, ']');
}

void who_append_ranks(
	struct who *who, const struct reader_ranks *clients, const char *title, const char *headers)
{
	struct grid grid;

	grid_init(&grid, headers);
	for (size_t i = 0; i < clients->count && i < who->limit; i++) {
		const char *member = clients->rows[i].member;
		grid_cell(&grid, strcmp(member, SCHEMA_OTHER) == 0 ? "(others)" : member);
		grid_cell_u64(&grid, (uint64_t)clients->rows[i].value);
	}
	if (clients->count)
		strbuf_printf(&who->cli->out, "\n%s\n", title);
	grid_print(&grid, &who->cli->out, 0, who->cli->colour);
	grid_deinit(&grid);
	append_cut(who, clients->count, clients->total > clients->count);
}

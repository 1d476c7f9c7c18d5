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

/* --- lists of different words --- */

struct ranked {
	const char *word;
	uint64_t count;
};

static int compare_words(const void *left, const void *right)
{
	return strcmp(((const struct ranked *)left)->word, ((const struct ranked *)right)->word);
}

static int compare_ranked(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return compare_words(left, right);
}

/* Takes what a bound of the store took out, adds equal words up, puts the largest first. */
static enum td_error list_ranked(
	struct arena *arena, struct ranked *rows, size_t count, struct who_list *out)
{
	const char **words = arena_alloc(arena, (count + 1) * sizeof(*words));
	size_t kept = 0;

	if (!words)
		return TD_NOMEM;
	if (count)
		qsort(rows, count, sizeof(*rows), compare_words);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].word, SCHEMA_OTHER) == 0)
			out->cut = true;
		else if (kept && strcmp(rows[i].word, rows[kept - 1].word) == 0)
			rows[kept - 1].count += rows[i].count;
		else
			rows[kept++] = rows[i];
	}
	if (kept)
		qsort(rows, kept, sizeof(*rows), compare_ranked);
	for (size_t i = 0; i < kept; i++)
		words[i] = rows[i].word;
	out->words = words;
	out->count = kept;
	return TD_OK;
}

static const char *column_of(const struct reader_pair *pair, enum who_column column)
{
	switch (column) {
	case COLUMN_CLIENT:
		return pair->client;
	case COLUMN_NAME:
		return pair->name;
	case COLUMN_ADDRESS:
		break;
	}
	return pair->address;
}

enum td_error who_rank(struct arena *arena, const struct reader_pairs *pairs,
	enum who_column column, struct who_list *out)
{
	struct ranked *rows = arena_alloc(arena, (pairs->count + 1) * sizeof(*rows));

	*out = (struct who_list){.cut = pairs->cut};
	if (!rows)
		return TD_NOMEM;
	for (size_t i = 0; i < pairs->count; i++)
		rows[i] = (struct ranked){
			column_of(&pairs->rows[i], column), pairs->rows[i].count};
	return list_ranked(arena, rows, pairs->count, out);
}

enum td_error who_list_ranks(
	struct arena *arena, const struct reader_ranks *ranks, struct who_list *out)
{
	struct ranked *rows = arena_alloc(arena, (ranks->count + 1) * sizeof(*rows));

	*out = (struct who_list){.cut = ranks->total > ranks->count};
	if (!rows)
		return TD_NOMEM;
	for (size_t i = 0; i < ranks->count; i++)
		rows[i] = (struct ranked){ranks->rows[i].member, (uint64_t)ranks->rows[i].value};
	return list_ranked(arena, rows, ranks->count, out);
}

enum td_error who_list_join(
	struct arena *arena, struct who_list *list, const struct who_list *more)
{
	size_t count = list->count + more->count;

	list->cut = list->cut || more->cut;
	if (more->count == 0)
		return TD_OK;
	struct ranked *rows = arena_alloc(arena, (count + 1) * sizeof(*rows));

	if (!rows)
		return TD_NOMEM;
	/* Counts that keep the order: the words of list before those of more. */
	for (size_t i = 0; i < list->count; i++)
		rows[i] = (struct ranked){list->words[i], (uint64_t)(2 * count - i) << 20};
	for (size_t i = 0; i < more->count; i++)
		rows[list->count + i] = (struct ranked){more->words[i], count - i};
	return list_ranked(arena, rows, count, list);
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

/* A cell of a pair; the first letter of the header says which. */
static void append_cell(struct grid *grid, char column, const struct reader_pair *pair,
	const struct who_retries *retries)
{
	struct period period;
	char text[32];

	switch (column) {
	case 'A':
		grid_cell(grid, pair->address);
		break;
	case 'C':
		grid_cell(grid, pair->client);
		break;
	case 'N':
		grid_cell(grid, pair->name);
		break;
	case 'T':
		grid_cell_u64(grid, pair->count);
		break;
	case 'E':
		period = who_period(retries, pair->client, pair->name, pair);
		who_period_cell(&period, text, sizeof(text));
		grid_cell(grid, text);
		break;
	case 'F':
		grid_cell_time(grid, pair->first_ms);
		break;
	case 'L':
		grid_cell_time(grid, pair->last_ms);
		break;
	case 'B':
		grid_cell(grid, *pair->owner && strcmp(pair->owner, pair->name) != 0 ? pair->owner
										     : "-");
		break;
	}
}

/* What the signs in the column EVERY mean, of those that are there. */
static void append_legend(
	struct who *who, const struct reader_pairs *pairs, const struct who_retries *retries)
{
	bool seen[PERIOD_TIMES + 1] = {false};
	struct strbuf *out = &who->cli->out;

	for (size_t i = 0; i < pairs->count && i < who->limit; i++) {
		const struct reader_pair *pair = &pairs->rows[i];
		seen[who_period(retries, pair->client, pair->name, pair).source] = true;
	}
	if (seen[PERIOD_TIMES])
		strbuf_append_text(out, "EVERY: the middle one of the intervals in the stream of "
					"transactions.\n");
	if (seen[PERIOD_HOURLY])
		strbuf_append_text(out, "EVERY ~: from the counts of whole hours in which it "
					"asked, all types together.\n");
	if (seen[PERIOD_MEAN])
		strbuf_append_text(
			out, "EVERY avg: from first to last by the count, pauses included.\n");
}

void who_append_pairs(struct who *who, const struct reader_pairs *pairs,
	const struct who_retries *retries, const char *headers)
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
			append_cell(&grid, *header, pair, retries);
		}
	}
	grid_print(&grid, &who->cli->out, 0, who->cli->colour);
	grid_deinit(&grid);
	append_cut(who, pairs->count, pairs->cut);
	append_legend(who, pairs, retries);
}

void who_append_pairs_json(struct who *who, const struct reader_pairs *pairs,
	const struct who_retries *retries)
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
		struct period period = who_period(retries, pair->client, pair->name, pair);
		who_append_period_json(out, &period);
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

void who_append_words_json(struct who *who, const char *key, const struct who_list *words)
{
	strbuf_json_key(&who->cli->out, key);
	strbuf_append_char(&who->cli->out, '[');
	for (size_t i = 0; i < words->count && i < who->limit; i++) {
		output_json_next(&who->cli->out);
		strbuf_json_string(&who->cli->out, words->words[i], strlen(words->words[i]));
	}
	strbuf_append_char(&who->cli->out, ']');
}

void who_append_totals_json(struct who *who, const struct who_total *totals, size_t count)
{
	struct strbuf *out = &who->cli->out;

	strbuf_json_key(out, "totals");
	strbuf_append_char(out, '{');
	for (size_t i = 0; i < count; i++)
		strbuf_json_u64(out, totals[i].list, totals[i].rows);
	strbuf_append_char(out, '}');
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

/* --- the paragraph --- */

/* Periods that include pauses count only where there are no others. */
static void take_period(struct who_facts *facts, struct period period)
{
	if (period.source == PERIOD_UNKNOWN)
		return;
	bool is_mean = period.source == PERIOD_MEAN, has_mean = facts->often.source == PERIOD_MEAN;
	if (facts->often.source == PERIOD_UNKNOWN || (has_mean && !is_mean)) {
		facts->often = facts->seldom = period;
		return;
	}
	if (is_mean && !has_mean)
		return;
	if (period.ms < facts->often.ms)
		facts->often = period;
	if (period.ms > facts->seldom.ms)
		facts->seldom = period;
}

void who_set_periods(struct who_facts *facts, const struct reader_pairs *pairs,
	const struct who_retries *retries)
{
	for (size_t i = 0; i < pairs->count; i++) {
		const struct reader_pair *pair = &pairs->rows[i];
		take_period(facts, who_period(retries, pair->client, pair->name, pair));
	}
	for (size_t i = 0; i < retries->count && pairs->count == 0; i++)
		take_period(facts, retries->rows[i].period);
}

void who_append_story(struct who *who, const struct who_facts *facts)
{
	who_tell(facts, &who->cli->out);
}

void who_append_story_json(struct who *who, const struct who_facts *facts)
{
	struct strbuf text;

	strbuf_init(&text);
	who_tell(facts, &text);
	if (text.length && !text.failed)
		text.data[--text.length] = '\0';
	strbuf_json_text(&who->cli->out, "summary", text.length ? text.data : NULL);
	strbuf_deinit(&text);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A timeline for people, for spreadsheets and for programs. Text of the store (clients, names) is
 * escaped by the chart, the grid, and the writers of CSV and JSON. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "resolver/control/chart.h"
#include "resolver/control/export.h"
#include "resolver/control/ratio.h"
#include "resolver/control/timeline.h"

#define SERIES_MAX 1000             /* of CSV and JSON */
#define CELLS_MAX ((size_t)4 << 20) /* series by rows, there */
#define HEADER_MAX 320
#define LABEL_CELLS 16 /* "2026-11-21 05:00" */

static const char *const kinds[] = {
	[TIMELINE_ADDRESS] = "address", [TIMELINE_NAME] = "name", [TIMELINE_CLIENT] = "client"};
static const char *const divisions[] = {[TIMELINE_BY_SOURCE] = "source",
	[TIMELINE_BY_CLIENT] = "client",
	[TIMELINE_BY_NAME] = "name"};

/* "dns", or "192.168.1.21 dns" */
static void series_header(const struct timeline_series *series, char out[HEADER_MAX])
{
	snprintf(out, HEADER_MAX, "%s%s%s", series->group, *series->group ? " " : "",
		timeline_source_name(series->source));
}

/* As many as there can be in rows of any number. */
static size_t series_most(const struct timeline *timeline)
{
	size_t most = CELLS_MAX / timeline->buckets.count;

	return most < SERIES_MAX ? most : SERIES_MAX;
}

/* --- for people --- */

static void row_label(const void *context, size_t row, char out[BUCKET_LABEL_MAX])
{
	bucket_label(context, row, out);
}

static enum style source_style(int source)
{
	switch (source) {
	case SOURCE_DROP:
		return STYLE_RED;
	case SOURCE_PASS:
	case TIMELINE_WATCHED:
		return STYLE_YELLOW;
	case SOURCE_DNS:
		return STYLE_GREEN;
	default:
		return STYLE_PLAIN;
	}
}

static void append_title(struct timeline *timeline)
{
	const struct bucket_span *span = &timeline->buckets.span;
	struct strbuf *out = &timeline->cli->out;
	time_t end = (time_t)(bucket_to_ms(&timeline->buckets, timeline->buckets.count - 1) / 1000);
	char zone[32] = "";
	struct tm local;

	output_style(out, timeline->cli->colour, STYLE_BOLD);
	output_text(out, timeline->word);
	output_style(out, timeline->cli->colour, STYLE_PLAIN);
	strbuf_printf(out, " (%s), ", kinds[timeline->kind]);
	cli_fleet_name(timeline->fleet, out);
	strbuf_append_text(out, ", a row is ");
	if (span->hours)
		strbuf_printf(out, "%u h", span->hours);
	else
		output_count(out, span->days, "day");
	if (localtime_r(&end, &local) && strftime(zone, sizeof(zone), "%Z", &local)) {
		strbuf_append_text(out, ", times are ");
		output_text(out, zone);
	}
	if (timeline->logarithmic)
		strbuf_append_text(out, ", bars are logarithmic");
	strbuf_append_text(out, "\n\n");
}

static bool append_chart(
	struct timeline *timeline, const struct timeline_series *series, size_t count)
{
	struct arena *arena = &timeline->cli->arena;
	size_t rows = timeline->buckets.count;
	struct chart_column *columns = arena_alloc(arena, (count + 1) * sizeof(*columns));
	uint64_t *counts = arena_alloc(arena, (rows * count + 1) * sizeof(*counts));

	if (!columns || !counts)
		return false;
	for (size_t c = 0; c < count; c++) {
		columns[c] = (struct chart_column){*series[c].group ? series[c].group : NULL,
			timeline_source_name(series[c].source), source_style(series[c].source)};
		for (size_t row = 0; row < rows; row++)
			counts[row * count + c] = series[c].counts[row];
	}
	struct chart chart = {.columns = columns,
		.column_count = count,
		.rows = rows,
		.counts = counts,
		.label = row_label,
		.context = &timeline->buckets,
		.width = chart_terminal_width(timeline->cli->terminal ? STDOUT_FILENO : -1),
		.logarithmic = timeline->logarithmic,
		.unicode = chart_locale_is_utf8(),
		.colour = timeline->cli->colour};
	chart_print(&chart, &timeline->cli->out);
	return true;
}

/* The sums of each group, with whole names; a group's series follow each other. */
static void append_groups(
	struct timeline *timeline, const struct timeline_series *series, size_t count)
{
	struct grid grid;
	char ratio[RATIO_MAX];

	grid_init(&grid, timeline->by == TIMELINE_BY_CLIENT ? "CLIENT|>LOOKUPS|>DROPS|>DROPS/LOOKUP"
							    : "NAME|>LOOKUPS|>DROPS|>DROPS/LOOKUP");
	for (size_t i = 0; i < count;) {
		const char *group = series[i].group;
		uint64_t lookups = 0, drops = 0;
		for (; i < count && series[i].group == group; i++) {
			lookups += series[i].source == SOURCE_DNS ? series[i].sum : 0;
			drops += series[i].source == SOURCE_DROP ? series[i].sum : 0;
		}
		grid_cell(&grid, group);
		grid_cell_u64(&grid, lookups);
		grid_cell_u64(&grid, drops);
		grid_cell(&grid, ratio_text(drops, lookups, ratio));
	}
	strbuf_append_char(&timeline->cli->out, '\n');
	grid_print(&grid, &timeline->cli->out, 0, timeline->cli->colour);
	grid_deinit(&grid);
}

static void append_ratio(struct timeline *timeline)
{
	struct strbuf *out = &timeline->cli->out;
	bool client = timeline->kind == TIMELINE_CLIENT;
	char ratio[RATIO_MAX];

	strbuf_printf(out, "\nDrops to lookups%s: %s (", client ? " of watched names" : "",
		ratio_text(timeline->drops, timeline->lookups, ratio));
	output_count(out, timeline->drops, "drop");
	strbuf_append_text(out, ", ");
	output_count(out, timeline->lookups, "lookup");
	strbuf_append_text(out, ").\n");
}

/* "Nothing of: firewall-pass, proxy." */
static void append_absent(
	struct timeline *timeline, const struct timeline_series *series, size_t count)
{
	struct strbuf *out = &timeline->cli->out;
	bool any = false;

	for (int s = SOURCE_DROP; s < SOURCE_COUNT; s++) {
		bool present = timeline->kind == TIMELINE_CLIENT && s != SOURCE_DROP;
		for (size_t i = 0; i < count; i++)
			present = present || series[i].source == s;
		if (present)
			continue;
		strbuf_append_text(out, any ? ", " : "Nothing of: ");
		strbuf_append_text(out, timeline_source_name(s));
		any = true;
	}
	if (any)
		strbuf_append_text(out, ".\n");
}

static void append_uneven(struct timeline *timeline)
{
	time_t seconds = (time_t)(bucket_from_ms(&timeline->buckets, 0) / 1000);
	struct tm local;

	if (!timeline->buckets.uneven)
		return;
	if (timeline->buckets.span.hours != 1)
		strbuf_append_text(&timeline->cli->out,
			"Rows are approximate: Redis keeps hours of UTC, which lie across full "
			"hours of this zone; a row may hold a part of an hour of its "
			"neighbour.\n");
	else if (localtime_r(&seconds, &local))
		strbuf_printf(&timeline->cli->out,
			"Full hours are approximate: Redis keeps hours of UTC, which begin at %02d "
			"minutes past here, and so do the rows.\n",
			local.tm_min);
}

static void append_notes(struct timeline *timeline)
{
	struct strbuf *out = &timeline->cli->out;

	append_uneven(timeline);
	if (timeline->unwatched)
		strbuf_append_text(out, "Only watched names are counted by the hour: lookups here "
					"are those that told an address of the name.\n");
	if (timeline->shared)
		strbuf_append_text(out,
			"Its addresses were told for other names, too: what logs say of an address "
			"is counted whole; --by client counts only clients that were told it for "
			"this name.\n");
	if (timeline->kind == TIMELINE_ADDRESS && timeline->by != TIMELINE_BY_SOURCE)
		strbuf_append_text(out, "Lookups here are those of watched names that led to it, "
					"by clients that were told it.\n");
	if (timeline->others)
		strbuf_append_text(out, "A bound of the store was reached in some hours: what it "
					"took is not told apart and not shown here.\n");
	if (timeline->cut)
		strbuf_append_text(out, "There is more than was read here.\n");
}

/* A word that a shell would take apart is left out. */
static void append_next(struct timeline *timeline)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-";
	char words[NAME_TEXT_MAX + 8];

	if (timeline->word[strspn(timeline->word, plain)])
		return;
	snprintf(words, sizeof(words), "who %s", timeline->word);
	cli_next(timeline->cli, &timeline->cli->out, words, "Who is behind it");
}

static bool show_text(struct timeline *timeline)
{
	struct strbuf *out = &timeline->cli->out;
	size_t count, most = chart_columns_max(
			      chart_terminal_width(timeline->cli->terminal ? STDOUT_FILENO : -1),
			      LABEL_CELLS);
	struct timeline_series *series = timeline_series(timeline, most, false, &count);

	if (!series)
		return false;
	if (timeline->cell_count == 0) {
		output_text(out, timeline->word);
		strbuf_append_text(out, ": nothing was counted in that time.\n");
		if (timeline->others || timeline->cut)
			append_notes(timeline);
		cli_coverage_text(timeline->cli, timeline->fleet, &timeline->coverage, out);
		if (timeline->coverage.ever)
			append_next(timeline);
		return true;
	}
	append_title(timeline);
	if (!append_chart(timeline, series, count))
		return false;
	if (timeline->by != TIMELINE_BY_SOURCE)
		append_groups(timeline, series, count);
	append_ratio(timeline);
	if (timeline->by == TIMELINE_BY_SOURCE)
		append_absent(timeline, series, count);
	append_notes(timeline);
	cli_coverage_text(timeline->cli, timeline->fleet, &timeline->coverage, out);
	append_next(timeline);
	return true;
}

void timeline_show_text(struct timeline *timeline)
{
	if (!show_text(timeline))
		timeline->cli->out.failed = true;
}

/* --- CSV --- */

void timeline_show_csv(struct timeline *timeline)
{
	struct strbuf *out = &timeline->cli->out;
	size_t count;
	struct timeline_series *series =
		timeline_series(timeline, series_most(timeline), true, &count);
	char text[HEADER_MAX];

	if (!series) {
		out->failed = true;
		return;
	}
	export_csv_text(out, true, "time");
	for (size_t i = 0; i < count; i++) {
		series_header(&series[i], text);
		export_csv_text(out, false, text);
	}
	strbuf_append_text(out, "\r\n");
	for (size_t row = 0; row < timeline->buckets.count; row++) {
		bucket_time(&timeline->buckets, row, text);
		export_csv_text(out, true, text);
		for (size_t i = 0; i < count; i++) {
			strbuf_append_char(out, ',');
			strbuf_append_u64(out, series[i].counts[row]);
		}
		strbuf_append_text(out, "\r\n");
	}
}

/* --- JSON --- */

static void series_json(struct strbuf *out, const struct timeline_series *series, size_t count)
{
	strbuf_json_key(out, "series");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < count; i++) {
		output_json_next(out);
		strbuf_append_char(out, '{');
		if (*series[i].group)
			strbuf_json_text(out, "group", series[i].group);
		strbuf_json_text(out, "source", timeline_source_name(series[i].source));
		strbuf_json_u64(out, "sum", series[i].sum);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}

static void rows_json(struct timeline *timeline, const struct timeline_series *series, size_t count)
{
	struct strbuf *out = &timeline->cli->out;
	char time[BUCKET_LABEL_MAX];

	strbuf_json_key(out, "rows");
	strbuf_append_char(out, '[');
	for (size_t row = 0; row < timeline->buckets.count; row++) {
		output_json_next(out);
		strbuf_append_char(out, '{');
		bucket_time(&timeline->buckets, row, time);
		strbuf_json_text(out, "time", time);
		output_json_time(out, "from", bucket_from_ms(&timeline->buckets, row));
		output_json_time(out, "to", bucket_to_ms(&timeline->buckets, row));
		strbuf_json_key(out, "counts");
		strbuf_append_char(out, '[');
		for (size_t i = 0; i < count; i++) {
			strbuf_append_text(out, i ? "," : "");
			strbuf_append_u64(out, series[i].counts[row]);
		}
		strbuf_append_text(out, "]}");
	}
	strbuf_append_char(out, ']');
}

void timeline_show_json(struct timeline *timeline)
{
	struct strbuf *out = &timeline->cli->out;
	size_t count;
	struct timeline_series *series =
		timeline_series(timeline, series_most(timeline), false, &count);

	if (!series) {
		out->failed = true;
		return;
	}
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "query", timeline->word);
	strbuf_json_text(out, "kind", kinds[timeline->kind]);
	strbuf_json_text(out, "by", divisions[timeline->by]);
	strbuf_json_u64(out, "span_hours", timeline->buckets.span.hours);
	strbuf_json_u64(out, "span_days", timeline->buckets.span.days);
	strbuf_json_bool(out, "approximate", timeline->buckets.uneven);
	strbuf_json_u64(out, "drops", timeline->drops);
	strbuf_json_u64(out, "lookups", timeline->lookups);
	ratio_json(out, "ratio", timeline->drops, timeline->lookups);
	series_json(out, series, count);
	rows_json(timeline, series, count);
	strbuf_json_bool(out, "cut", timeline->cut);
	strbuf_json_bool(out, "others", timeline->others);
	strbuf_json_bool(out, "shared", timeline->shared);
	strbuf_json_bool(out, "unwatched", timeline->unwatched);
	output_json_time(out, "recording_since", timeline->coverage.since_ms);
	cli_fleet_json(timeline->fleet, out);
	strbuf_append_text(out, "}\n");
}

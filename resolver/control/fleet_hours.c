/* SPDX-License-Identifier: BSD-3-Clause */
/* Sums of counts by the hour. A member's counts are read into a scratch array first, and added when
 * all of them have come. */
#include "resolver/control/fleet_hours.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/control/hour_cache.h"

struct series_sum {
	const char *counter; /* NULL: the timeline of an address */
	const char *of;
	struct reader_span span;
	size_t width;
	uint64_t *scratch, *counts;
};

static enum td_error add_series(void *context, struct fleet_member *member)
{
	struct series_sum *sum = context;
	enum td_error error =
		sum->counter ? reader_hour_client(member->reader, sum->counter, sum->of, sum->span,
				       sum->scratch)
			     : reader_timeline(member->reader, sum->of, sum->span, sum->scratch);

	for (size_t i = 0; error == TD_OK && i < sum->span.count * sum->width; i++)
		sum->counts[i] += sum->scratch[i];
	return error;
}

static enum td_error sum_series(struct fleet *fleet, struct series_sum *sum)
{
	size_t size = sum->span.count * sum->width * sizeof(*sum->counts);

	memset(sum->counts, 0, size);
	sum->scratch = malloc(size + 1);
	if (!sum->scratch)
		return TD_NOMEM;
	enum td_error error = fleet_each(fleet, add_series, sum);
	free(sum->scratch);
	return error;
}

enum td_error fleet_timeline(
	struct fleet *fleet, const char *address, struct reader_span span, uint64_t *counts)
{
	struct series_sum sum = {
		.of = address, .span = span, .width = SOURCE_COUNT, .counts = counts};

	return sum_series(fleet, &sum);
}

enum td_error fleet_hour_client(struct fleet *fleet, const char *counter, const char *client,
	struct reader_span span, uint64_t *counts)
{
	struct series_sum sum = {
		.counter = counter, .of = client, .span = span, .width = 1, .counts = counts};

	return sum_series(fleet, &sum);
}

struct row_walk {
	struct hour_cache *cache;
	enum reader_hour_set set;
	struct reader_span span;
	reader_hour_fn *visit;
	void *context;
	bool *cut;
};

static enum td_error walk_rows(void *context, struct fleet_member *member)
{
	const struct row_walk *walk = context;
	bool cut = false;
	enum td_error error =
		walk->cache && walk->set == READER_HOUR_WATCHED_NAMES
			? hour_cache_rows(walk->cache, member->reader, member->resolver,
				  walk->span, walk->visit, walk->context, &cut)
			: reader_hour_rows(member->reader, walk->set, walk->span, walk->visit,
				  walk->context, &cut);

	*walk->cut = *walk->cut || cut;
	return error;
}

enum td_error fleet_hour_rows(struct fleet *fleet, enum reader_hour_set set,
	struct reader_span span, reader_hour_fn *visit, void *context, bool *cut)
{
	struct row_walk walk = {fleet->hours, set, span, visit, context, cut};

	*cut = false;
	return fleet_each(fleet, walk_rows, &walk);
}

struct totals_sum {
	struct reader_span span;
	struct reader_total *scratch, *rows;
};

static enum td_error add_totals(void *context, struct fleet_member *member)
{
	struct totals_sum *sum = context;
	enum td_error error = reader_totals(member->reader, sum->span, sum->scratch);

	for (size_t i = 0; error == TD_OK && i < sum->span.count; i++) {
		sum->rows[i].known = sum->rows[i].known || sum->scratch[i].known;
		for (int c = 0; c < CLIENT_COUNTER_COUNT; c++)
			sum->rows[i].counters[c] += sum->scratch[i].counters[c];
	}
	return error;
}

enum td_error fleet_totals(
	struct fleet *fleet, struct reader_span span, struct reader_total *rows)
{
	struct totals_sum sum = {.span = span, .rows = rows};

	memset(rows, 0, span.count * sizeof(*rows));
	sum.scratch = malloc((span.count + 1) * sizeof(*sum.scratch));
	if (!sum.scratch)
		return TD_NOMEM;
	enum td_error error = fleet_each(fleet, add_totals, &sum);
	free(sum.scratch);
	return error;
}

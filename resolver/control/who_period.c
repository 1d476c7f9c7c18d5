/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Medians, because a host that slept over the night, or asked twice in a row, must not move the
 * figure. What there is too little of gives no period at all.
 */
#include "resolver/control/who_period.h"

#include <stdlib.h>

#define HOUR_MS INT64_C(3600000)
#define SAME_TRY_MS 1000

const char *period_source_name(enum period_source source)
{
	static const char *const names[] = {[PERIOD_UNKNOWN] = "unknown",
		[PERIOD_MEAN] = "mean",
		[PERIOD_HOURLY] = "hours",
		[PERIOD_TIMES] = "times"};
	return names[source];
}

static int compare_times(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
	return (a > b) - (a < b);
}

static int compare_counts(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

/* The place of a share of a sorted array. */
static size_t share(size_t count, unsigned percent)
{
	return (count - 1) * percent / 100;
}

/* Intervals replace the times. */
static size_t make_intervals(int64_t *times, size_t count)
{
	size_t made = 0;
	int64_t begun = times[0];

	for (size_t i = 1; i < count; i++) {
		int64_t at = times[i];
		if (at - begun < SAME_TRY_MS)
			continue;
		times[made++] = at - begun;
		begun = at;
	}
	return made;
}

struct period period_from_times(int64_t *times, size_t count)
{
	if (count <= PERIOD_TIMES_MIN)
		return (struct period){.source = PERIOD_UNKNOWN};
	qsort(times, count, sizeof(*times), compare_times);
	int64_t covered = times[count - 1] - times[0];
	size_t made = make_intervals(times, count);
	if (made < PERIOD_TIMES_MIN)
		return (struct period){.source = PERIOD_UNKNOWN};
	qsort(times, made, sizeof(*times), compare_times);
	return (struct period){.source = PERIOD_TIMES,
		.ms = times[made / 2],
		.low_ms = times[share(made, 5)],
		.high_ms = times[share(made, 95)],
		.evidence = made,
		.covered_ms = covered};
}

struct period period_from_hours(uint64_t *counts, size_t count)
{
	if (count < PERIOD_HOURS_MIN)
		return (struct period){.source = PERIOD_UNKNOWN};
	qsort(counts, count, sizeof(*counts), compare_counts);
	uint64_t middle = counts[count / 2], most = counts[share(count, 95)];
	uint64_t least = counts[share(count, 5)];
	if (least == 0 || most > (uint64_t)HOUR_MS)
		return (struct period){.source = PERIOD_UNKNOWN};
	return (struct period){.source = PERIOD_HOURLY,
		.ms = HOUR_MS / (int64_t)middle,
		.low_ms = HOUR_MS / (int64_t)most,
		.high_ms = HOUR_MS / (int64_t)least,
		.evidence = count,
		.covered_ms = (int64_t)count * HOUR_MS};
}

struct period period_from_mean(int64_t first_ms, int64_t last_ms, uint64_t count)
{
	if (count < PERIOD_COUNT_MIN || count > INT64_MAX || last_ms <= first_ms || first_ms <= 0)
		return (struct period){.source = PERIOD_UNKNOWN};
	int64_t ms = (last_ms - first_ms) / ((int64_t)count - 1);
	if (ms < SAME_TRY_MS)
		return (struct period){.source = PERIOD_UNKNOWN};
	return (struct period){.source = PERIOD_MEAN,
		.ms = ms,
		.evidence = (size_t)count,
		.covered_ms = last_ms - first_ms};
}

static bool is_momentary(const struct period *certain, const struct period *other)
{
	return certain->covered_ms < HOUR_MS && other->covered_ms / 10 > certain->covered_ms;
}

struct period period_better(struct period a, struct period b)
{
	if (a.source == b.source)
		return a.evidence >= b.evidence ? a : b;
	struct period certain = a.source > b.source ? a : b, other = a.source > b.source ? b : a;
	return other.source != PERIOD_UNKNOWN && is_momentary(&certain, &other) ? other : certain;
}

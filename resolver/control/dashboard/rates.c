/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each reading adds what has come since the one before to sums that only grow; a rate is the
 * difference of two points of these sums. So a restart is dealt with once, where it is seen, and
 * not in every place that divides. Rates from Redis go by what the single hours have gained,
 * because the sum of the last 24 falls when an hour leaves it.
 */
#include "resolver/control/dashboard/rates.h"

#include <string.h>

void rates_init(struct rates *rates)
{
	memset(rates, 0, sizeof(*rates));
}

static uint64_t gain(uint64_t before, uint64_t now)
{
	return now > before ? now - before : 0;
}

/* A process that was not there before has counted all of it since. */
static void add_daemon(struct rates *rates, const struct rates_daemon *now)
{
	static const struct rates_daemon none;
	const struct rates_daemon *before = &rates->daemon;

	if (!rates->has_daemon) {
		rates->has_daemon = true;
		rates->daemon = *now;
		return;
	}
	if (now->pid != before->pid || now->uptime_s < before->uptime_s ||
		now->answered < before->answered)
		before = &none;
	rates->sum.answered += gain(before->answered, now->answered);
	rates->sum.hits += gain(before->hits, now->hits);
	rates->sum.misses += gain(before->misses, now->misses);
	rates->daemon = *now;
}

static const struct reader_total *hour_of(const struct rates_store *store, int64_t hour)
{
	if (hour < store->first_hour || hour >= store->first_hour + RATES_HOURS)
		return NULL;
	return &store->hours[hour - store->first_hour];
}

/* Hours behind the newest that was ever read are new; others that were not read the last time, when
 * the clock stood elsewhere, may have been there all the time. */
static void add_hours(struct rates *rates, const struct rates_store *now)
{
	static const struct reader_total none;

	for (int64_t hour = now->first_hour; hour < now->first_hour + RATES_HOURS; hour++) {
		const struct reader_total *before = hour_of(&rates->store, hour);
		const struct reader_total *after = hour_of(now, hour);
		if (!before && hour <= rates->newest_hour)
			continue;
		if (!before)
			before = &none;
		rates->sum.queries +=
			gain(before->counters[COUNTER_queries], after->counters[COUNTER_queries]);
		rates->sum.watched +=
			gain(before->counters[COUNTER_watched], after->counters[COUNTER_watched]);
		rates->sum.blocked +=
			gain(before->counters[COUNTER_blocked], after->counters[COUNTER_blocked]);
		rates->sum.cached +=
			gain(before->counters[COUNTER_cached], after->counters[COUNTER_cached]);
	}
}

static void add_store(struct rates *rates, const struct rates_store *now)
{
	if (rates->has_store && rates->store.sources == now->sources)
		add_hours(rates, now);
	else
		rates->sum.store_series++;
	rates->has_store = true;
	rates->store = *now;
	if (now->first_hour + RATES_HOURS - 1 > rates->newest_hour)
		rates->newest_hour = now->first_hour + RATES_HOURS - 1;
}

void rates_add(struct rates *rates, int64_t mono_ms, const struct rates_daemon *daemon,
	const struct rates_store *store)
{
	if (daemon)
		add_daemon(rates, daemon);
	if (store)
		add_store(rates, store);
	rates->sum.at_ms = mono_ms;
	rates->sum.has_daemon = daemon != NULL;
	rates->sum.has_store = store != NULL;
	rates->points[rates->next] = rates->sum;
	rates->next = (rates->next + 1) % RATES_POINTS;
	rates->count += rates->count < RATES_POINTS;
}

/* The back-th point before the newest. */
static const struct rates_point *point(const struct rates *rates, size_t back)
{
	return &rates->points[(rates->next + RATES_POINTS - 1 - back) % RATES_POINTS];
}

static bool belongs(const struct rates_point *one, const struct rates_point *newest, bool by_store)
{
	if (by_store)
		return one->has_store && one->store_series == newest->store_series;
	return one->has_daemon;
}

/* The oldest point within the window, or the last one before it. NULL: there are not two. */
static const struct rates_point *begin_of(
	const struct rates *rates, int64_t window_ms, bool by_store)
{
	const struct rates_point *newest = point(rates, 0), *found = NULL;

	if (rates->count == 0 || !belongs(newest, newest, by_store))
		return NULL;
	for (size_t back = 1; back < rates->count; back++) {
		const struct rates_point *one = point(rates, back);
		bool outside = newest->at_ms - one->at_ms > window_ms;
		if (newest->at_ms - one->at_ms > RATES_SHARE_MS || (outside && found))
			break;
		if (belongs(one, newest, by_store) && one->at_ms < newest->at_ms)
			found = one;
	}
	return found;
}

static double rate(uint64_t before, uint64_t after, const struct rates_point *begin,
	const struct rates_point *end)
{
	return (double)(after - before) * 1000.0 / (double)(end->at_ms - begin->at_ms);
}

static double share(uint64_t part, uint64_t rest)
{
	return part + rest ? (double)part / (double)(part + rest) : -1;
}

static double hit_rate(const struct rates *rates, bool by_store)
{
	const struct rates_point *end = point(rates, 0);
	const struct rates_point *begin = begin_of(rates, RATES_SHARE_MS, by_store);

	if (!begin)
		return -1;
	if (!by_store)
		return share(end->hits - begin->hits, end->misses - begin->misses);
	uint64_t queries = end->queries - begin->queries, cached = end->cached - begin->cached;
	return share(cached, gain(cached, queries));
}

struct rates_now rates_now(const struct rates *rates, bool by_store)
{
	struct rates_now now = {-1, -1, -1, -1};
	const struct rates_point *end = point(rates, 0);
	const struct rates_point *begin = begin_of(rates, RATES_WINDOW_MS, true);

	if (begin) {
		now.queries_per_s = rate(begin->queries, end->queries, begin, end);
		now.watched_per_s = rate(begin->watched, end->watched, begin, end);
		now.blocked_per_s = rate(begin->blocked, end->blocked, begin, end);
	}
	by_store = by_store || rates->count == 0 || !end->has_daemon;
	begin = begin_of(rates, RATES_WINDOW_MS, false);
	if (!by_store && begin)
		now.queries_per_s = rate(begin->answered, end->answered, begin, end);
	else if (!by_store)
		now.queries_per_s = -1;
	now.cache_hit_rate = hit_rate(rates, by_store);
	return now;
}

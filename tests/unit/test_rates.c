/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates over restarts, counters that fall, clocks that step, Redis that was emptied, and a fleet
 * that loses a resolver and finds it again: never negative, never made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/control/dashboard/rates.h"

#define HOUR INT64_C(497090)

static struct rates rates;
static int64_t mono_ms;
static struct rates_daemon daemon_says;
static struct rates_store store_says;

static int begin(void **state)
{
	(void)state;
	rates_init(&rates);
	mono_ms = 5000;
	daemon_says = (struct rates_daemon){.pid = 10, .uptime_s = 100};
	store_says = (struct rates_store){.sources = 1, .first_hour = HOUR - RATES_HOURS + 1};
	return 0;
}

static uint64_t *counter(int64_t hour, enum client_counter which)
{
	return &store_says.hours[hour - store_says.first_hour].counters[which];
}

static void step(bool with_daemon, bool with_store)
{
	mono_ms += 1000;
	daemon_says.uptime_s++;
	rates_add(&rates, mono_ms, with_daemon ? &daemon_says : NULL,
		with_store ? &store_says : NULL);
}

static void assert_rate(double rate, double expected)
{
	assert_true(rate > expected - 0.001 && rate < expected + 0.001);
}

static void assert_none(double rate)
{
	assert_true(rate < 0);
}

static void test_nothing_is_made_up(void **state)
{
	struct rates_now now = rates_now(&rates, false);

	(void)state;
	assert_none(now.queries_per_s);
	assert_none(now.cache_hit_rate);
	daemon_says.answered = 1000000; /* since it started, not since a second */
	*counter(HOUR, COUNTER_watched) = 5000;
	step(true, true);
	now = rates_now(&rates, false);
	assert_none(now.queries_per_s);
	assert_none(now.watched_per_s);
	step(true, true);
	now = rates_now(&rates, false);
	assert_rate(now.queries_per_s, 0);
	assert_rate(now.watched_per_s, 0);
	assert_none(now.cache_hit_rate); /* of no query */
}

static void test_rates(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		step(true, true);
		daemon_says.answered += 100;
		daemon_says.hits += 75;
		daemon_says.misses += 25;
		*counter(HOUR, COUNTER_queries) += 90;
		*counter(HOUR, COUNTER_cached) += 45;
		*counter(HOUR, COUNTER_watched) += 4;
		*counter(HOUR - 3, COUNTER_blocked) += 2; /* late, but now */
	}
	struct rates_now now = rates_now(&rates, false);
	assert_rate(now.queries_per_s, 100);
	assert_rate(now.cache_hit_rate, 0.75);
	assert_rate(now.watched_per_s, 4);
	assert_rate(now.blocked_per_s, 2);
	now = rates_now(&rates, true);
	assert_rate(now.queries_per_s, 90);
	assert_rate(now.cache_hit_rate, 0.5);
	/* It is the last seconds that count. */
	for (int i = 0; i < 5; i++)
		step(true, true);
	assert_rate(rates_now(&rates, false).queries_per_s, 20);
	step(true, true);
	assert_rate(rates_now(&rates, false).queries_per_s, 0);
	assert_rate(rates_now(&rates, false).cache_hit_rate, 0.75);
}

static void test_daemon_restarts(void **state)
{
	(void)state;
	daemon_says.answered = 1000;
	step(true, false);
	step(true, false);
	daemon_says = (struct rates_daemon){.pid = 11, .uptime_s = 0, .answered = 30};
	step(true, false);
	assert_rate(rates_now(&rates, false).queries_per_s, 15); /* 30 in two seconds */
	/* The number of the process may come again; its age cannot. */
	daemon_says = (struct rates_daemon){.pid = 11, .uptime_s = 0, .answered = 2000};
	rates.daemon.uptime_s = 50;
	step(true, false);
	assert_rate(rates_now(&rates, false).queries_per_s, 2030.0 / 3);
	daemon_says.answered = 5; /* the counter alone fell */
	step(true, false);
	assert_rate(rates_now(&rates, false).queries_per_s, 2035.0 / 4);
}

static void test_daemon_away(void **state)
{
	(void)state;
	daemon_says.answered = 1000;
	*counter(HOUR, COUNTER_queries) = 500;
	step(true, true);
	*counter(HOUR, COUNTER_queries) = 510;
	step(false, true);
	struct rates_now now = rates_now(&rates, false);
	assert_rate(now.queries_per_s, 10); /* Redis knows it all the same */
	step(false, false);
	now = rates_now(&rates, false);
	assert_none(now.queries_per_s);
	assert_none(now.watched_per_s);
	for (int i = 0; i < 9; i++)
		step(false, false);
	daemon_says.answered = 1110; /* in 11 seconds */
	step(true, false);
	mono_ms -= 1000;
	step(true, false);
	assert_true(rates_now(&rates, false).queries_per_s >= 0);
}

static void test_long_ago(void **state)
{
	(void)state;
	step(true, false);
	daemon_says.answered = 1000;
	mono_ms += 99000; /* the page was not looked at */
	step(true, false);
	assert_rate(rates_now(&rates, false).queries_per_s, 10);
	mono_ms += RATES_SHARE_MS;
	step(true, false);
	assert_none(rates_now(&rates, false).queries_per_s);
}

static void test_hour_turns(void **state)
{
	(void)state;
	*counter(HOUR, COUNTER_watched) = 700;
	*counter(HOUR - RATES_HOURS + 1, COUNTER_watched) = 900; /* will leave the window */
	step(false, true);
	memmove(store_says.hours, store_says.hours + 1,
		(RATES_HOURS - 1) * sizeof(store_says.hours[0]));
	memset(&store_says.hours[RATES_HOURS - 1], 0, sizeof(store_says.hours[0]));
	store_says.first_hour++;
	*counter(HOUR, COUNTER_watched) = 702;
	*counter(HOUR + 1, COUNTER_watched) = 3;
	step(false, true);
	assert_rate(rates_now(&rates, false).watched_per_s, 5);
}

/* The clock steps back by three hours and forth again: hours that come into sight are no news. */
static void test_clock_steps(void **state)
{
	(void)state;
	*counter(HOUR, COUNTER_watched) = 20000;
	step(false, true);
	struct rates_store then = store_says;
	memmove(store_says.hours + 3, then.hours, (RATES_HOURS - 3) * sizeof(then.hours[0]));
	store_says.first_hour -= 3;
	for (int i = 0; i < 3; i++)
		store_says.hours[i].counters[COUNTER_watched] = 10000;
	step(false, true);
	assert_rate(rates_now(&rates, false).watched_per_s, 0);
	store_says = then;
	step(false, true);
	assert_rate(rates_now(&rates, false).watched_per_s, 0);
	*counter(HOUR, COUNTER_watched) += 6;
	step(false, true);
	assert_rate(rates_now(&rates, false).watched_per_s, 2);
}

static void test_redis_is_emptied(void **state)
{
	(void)state;
	*counter(HOUR, COUNTER_watched) = 5000;
	step(false, true);
	memset(store_says.hours, 0, sizeof(store_says.hours));
	step(false, true);
	assert_rate(rates_now(&rates, false).watched_per_s, 0);
	*counter(HOUR, COUNTER_watched) = 8;
	step(false, true);
	assert_rate(rates_now(&rates, false).watched_per_s, 4);
}

/* A resolver that comes back brings all that it had counted: that is no rate. */
static void test_fleet_changes(void **state)
{
	(void)state;
	*counter(HOUR, COUNTER_queries) = 100;
	step(false, true);
	step(false, true);
	store_says.sources = 2;
	*counter(HOUR, COUNTER_queries) = 90000;
	step(false, true);
	assert_none(rates_now(&rates, true).queries_per_s);
	*counter(HOUR, COUNTER_queries) += 7;
	step(false, true);
	assert_rate(rates_now(&rates, true).queries_per_s, 7);
}

static void test_ring_goes_round(void **state)
{
	(void)state;
	for (int i = 0; i < 3 * RATES_POINTS + 7; i++) {
		daemon_says.answered += 3;
		daemon_says.hits += 1;
		daemon_says.misses += 3;
		step(true, i % 7 == 0);
	}
	assert_rate(rates_now(&rates, false).queries_per_s, 3);
	assert_rate(rates_now(&rates, false).cache_hit_rate, 0.25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_is_made_up, begin),
		cmocka_unit_test_setup(test_rates, begin),
		cmocka_unit_test_setup(test_daemon_restarts, begin),
		cmocka_unit_test_setup(test_daemon_away, begin),
		cmocka_unit_test_setup(test_long_ago, begin),
		cmocka_unit_test_setup(test_hour_turns, begin),
		cmocka_unit_test_setup(test_clock_steps, begin),
		cmocka_unit_test_setup(test_redis_is_emptied, begin),
		cmocka_unit_test_setup(test_fleet_changes, begin),
		cmocka_unit_test_setup(test_ring_goes_round, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

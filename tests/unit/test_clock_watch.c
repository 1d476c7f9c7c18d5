/* SPDX-License-Identifier: BSD-3-Clause */
/* Steps of the clock told from slewing and sleep, and what was counted by a wrong one moved to
 * where it belongs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "resolver/telemetry/batch.h"
#include "resolver/telemetry/clock_watch.h"
#include "resolver/telemetry/memory/pending_log.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/tally.h"
#include "tests/unit/memory_process.h"

static void a_step_is_told_from_slewing_and_sleep(void **state)
{
	struct clock_watch watch;
	struct now now = {.mono_us = MONO, .wall_us = NOON};
	(void)state;

	clock_watch_init(&watch, &now, 0);
	for (unsigned i = 0; i < 10000; i++) { /* 500 ppm: 5 s in all */
		now.mono_us += US_PER_S;
		now.wall_us += US_PER_S + 500;
		assert_int_equal(clock_watch_look(&watch, &now, 0), 0);
	}
	now.mono_us += US_PER_S;
	now.wall_us += US_PER_S + 3600 * US_PER_S; /* the machine slept for an hour */
	assert_int_equal(clock_watch_look(&watch, &now, 3600 * US_PER_S), 0);
	assert_int_equal(watch.steps, 0);
	now.wall_us += 7200 * US_PER_S;
	assert_int_equal(clock_watch_look(&watch, &now, 3600 * US_PER_S), 7200 * US_PER_S);
	now.wall_us -= 3 * US_PER_S;
	assert_int_equal(clock_watch_look(&watch, &now, 3600 * US_PER_S), -3 * US_PER_S);
	now.wall_us += 2 * US_PER_S;
	assert_int_equal(clock_watch_look(&watch, &now, 3600 * US_PER_S), 0);
	assert_int_equal(watch.steps, 2);
}

static void tallies_from_before_a_step_or_a_sleep(void **state)
{
	struct clock_watch watch;
	struct now now = {.mono_us = MONO, .wall_us = NOON};
	(void)state;

	clock_watch_init(&watch, &now, 0);
	int64_t before = now.wall_us - now.mono_us;
	now.wall_us += 60 * US_PER_S;
	clock_watch_look(&watch, &now, 60 * US_PER_S);
	assert_int_equal(clock_watch_shift(&watch, before), 0);
	assert_int_equal(clock_watch_shift(&watch, before + 60 * US_PER_S), 0);
	/* A worker may give it only after the next look. */
	now.mono_us += US_PER_S;
	now.wall_us += US_PER_S;
	clock_watch_look(&watch, &now, 60 * US_PER_S);
	assert_int_equal(clock_watch_shift(&watch, before), 0);
	before = now.wall_us - now.mono_us;
	now.wall_us += 90 * US_PER_S;
	clock_watch_look(&watch, &now, 60 * US_PER_S);
	assert_int_equal(clock_watch_shift(&watch, before), 90 * US_PER_S);
	assert_int_equal(clock_watch_shift(&watch, before + 90 * US_PER_S), 0);
}

static void an_unset_clock_is_waited_for_but_not_for_ever(void **state)
{
	struct clock_watch watch;
	struct now now = {.mono_us = MONO, .wall_us = 20 * US_PER_S};
	(void)state;

	clock_watch_init(&watch, &now, 0);
	assert_true(clock_watch_must_wait(&watch, &now));
	struct now set = {.mono_us = MONO, .wall_us = CLOCK_UNSET_US};
	assert_false(clock_watch_must_wait(&watch, &set));
	now.mono_us += CLOCK_WAIT_US;
	assert_false(clock_watch_must_wait(&watch, &now));
}

static const struct pending_item *item_of(const struct pending *pending, enum pending_kind kind)
{
	const struct pending_item *item = pending->changed;

	while (item && item->key.kind != kind)
		item = item->list_next;
	return item;
}

static void what_waits_moves_with_the_clock(void **state)
{
	struct pending pending;
	struct tally *tally = tally_new();
	int64_t shift_us = NOON - 30 * US_PER_S; /* it was begun 30 s after 1970 */
	(void)state;

	pending_init(&pending, &test_limits, &test_seed);
	add(tally, 1, 5, 40 * US_PER_S);
	pending_merge(&pending, tally);
	uint64_t queries = pending.queries;
	assert_true(pending_shift(&pending, shift_us));
	assert_int_equal(pending.queries, queries);
	assert_int_equal(item_of(&pending, PENDING_CLIENT)->key.when, NOON_HOUR);
	assert_int_equal(item_of(&pending, PENDING_CLIENT)->first_us, NOON + 10 * US_PER_S);
	assert_int_equal(item_of(&pending, PENDING_TOP)->key.when, NOON_HOUR / 24);
	assert_int_equal(item_of(&pending, PENDING_QUERY)->key.when, NOON_HOUR);
	assert_int_equal(item_of(&pending, PENDING_TIMELINE)->key.when, NOON_HOUR);
	assert_int_equal(item_of(&pending, PENDING_PAIR)->key.when, 0);
	assert_int_equal(item_of(&pending, PENDING_ZONE)->key.zone, 1);

	/* A tally of the same wrong clock, moved by itself, falls on the same items. */
	size_t items = pending.table.count;
	tally_shift(tally, shift_us);
	assert_int_equal(tally->hour, NOON_HOUR);
	pending_merge(&pending, tally);
	assert_int_equal(pending.table.count, items);
	assert_int_equal(pending.queries, 2 * queries);
	tally_free(tally);
	pending_deinit(&pending);
}

static void two_hours_that_become_one_are_added(void **state)
{
	struct pending pending;
	struct tally *tally = tally_new();
	(void)state;

	pending_init(&pending, &test_limits, &test_seed);
	add(tally, 1, 1, NOON - 2 * US_PER_S);
	pending_merge(&pending, tally);
	tally_clear(tally);
	add(tally, 1, 1, NOON + 2 * US_PER_S);
	pending_merge(&pending, tally);
	assert_int_equal(pending.clients.count, 2);
	assert_true(pending_shift(&pending, 60 * US_PER_S));
	assert_int_equal(pending.clients.count, 1);
	assert_int_equal(pending.clients.head->counts[COUNTER_queries], 2);
	tally_free(tally);
	pending_deinit(&pending);
}

/* What is known of a client is of no hour: its key says which word it is. */
static void words_about_a_client_stay_what_they_are(void **state)
{
	struct batch_settings settings = {
		.resolver_name = "r", .version = "1", .boot = "1", .bounds = batch_bounds_default};
	struct now now = {.mono_us = MONO, .wall_us = NOON};
	struct address client = address_v4((const uint8_t[]){10, 9, 0, 1});
	struct pending pending;
	struct batcher batcher;
	(void)state;

	pending_init(&pending, &test_limits, &test_seed);
	assert_true(pending_set_field(&pending, &client, FIELD_NAME, "console"));
	assert_true(pending_shift(&pending, NOON));
	assert_int_equal(pending.details.head->key.when, FIELD_NAME);
	assert_true(batcher_init(&batcher, &settings));
	const struct batch *batch = batch_cut(&batcher, &pending, &now, false);
	assert_non_null(batch);
	size_t at = BATCH_ARGV_HEADER + BATCH_HEADER_COUNT;
	assert_memory_equal(batch->argv[at + 2], "name", 4);
	assert_memory_equal(batch->argv[at + 3], "console", 7);
	batcher_deinit(&batcher);
	pending_deinit(&pending);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_step_is_told_from_slewing_and_sleep),
		cmocka_unit_test(tallies_from_before_a_step_or_a_sleep),
		cmocka_unit_test(an_unset_clock_is_waited_for_but_not_for_ever),
		cmocka_unit_test(what_waits_moves_with_the_clock),
		cmocka_unit_test(two_hours_that_become_one_are_added),
		cmocka_unit_test(words_about_a_client_stay_what_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

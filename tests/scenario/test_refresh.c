/* SPDX-License-Identifier: BSD-3-Clause */
/* Refreshing of popular names before their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/edns.h"
#include "tests/scenario/bed.h"

static void test_popular_name_is_refreshed_before_it_expires(void **state)
{
	struct world_query query = query_of("a.example");

	(void)state;
	learn("a.example", 100, 5);
	world_run_ms(&world, 50000);
	assert_non_null(world_ask(&world, 1, &query));
	world_run_ms(&world, 39999);
	assert_non_null(world_ask(&world, 1, &query));
	assert_int_equal(world.ask_count, 1);
	world_run_ms(&world, 1);
	/* all workers see it at once: one question, and nobody waits */
	for (unsigned i = 0; i < WORLD_WORKERS; i++)
		assert_non_null(world_ask(&world, i, &query));
	world_deliver(&world);
	assert_int_equal(world.ask_count, 2);
	uint64_t prefetches = 0;
	for (unsigned i = 0; i < WORLD_WORKERS; i++) {
		assert_int_equal(query_pending(world.workers[i].engine), 0);
		prefetches += world.workers[i].counters.prefetches;
	}
	assert_int_equal(prefetches, 1);
	unsigned before = world.reply_count;
	world_upstream_address(&world, 1, 100, 6);
	assert_int_equal(world.reply_count, before);
	world_run_ms(&world, 50000); /* the first one has expired */
	const struct world_reply *reply = world_ask(&world, 2, &query);
	struct message_rr rr;
	assert_non_null(reply);
	assert_true(world_record_at(reply, 0, &rr));
	assert_int_equal(reply->bytes[rr.rdata_offset + 3], 6);
	assert_int_equal(rr.ttl, 50);
}

static void test_prefetch_is_off_for_the_unpopular_the_short_and_the_option(void **state)
{
	struct world_query query = query_of("once.example");

	(void)state;
	learn("once.example", 100, 5);
	learn("short.example", 9, 5);
	world_run_ms(&world, 8500);
	query.name = "short.example";
	assert_non_null(world_ask(&world, 0, &query));
	assert_non_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 86500);
	query.name = "once.example";
	assert_non_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	cache_set(world.cache, &(struct cache_settings){.stale_us = US_PER_S});
	assert_non_null(world_ask(&world, 0, &query));
	assert_non_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
}

/* Who comes after the end joins the refreshing question, on whichever worker. */
static void test_waiters_join_a_refresh(void **state)
{
	struct world_query query = query_of("a.example");

	(void)state;
	learn("a.example", 20, 5);
	assert_non_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 18500);
	assert_non_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_run_ms(&world, 1600);
	assert_null(world_ask(&world, 0, &query));
	query.client = 2;
	assert_null(world_ask(&world, 5, &query));
	world_deliver(&world);
	assert_int_equal(world.ask_count, 2);
	unsigned before = world.reply_count;
	world_upstream_address(&world, 1, 20, 6);
	world_deliver(&world);
	assert_int_equal(world.reply_count, before + 2);
	assert_int_equal(world_ede(last_reply()), -1);
}

static void test_refreshes_under_way_are_bounded(void **state)
{
	struct world_query query;
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "n%u.example", i);
		learn(name, 100, 5);
		query = query_of(name);
		assert_non_null(world_ask(&world, 0, &query));
	}
	world_run_ms(&world, 95000);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "n%u.example", i);
		query = query_of(name);
		assert_non_null(world_ask(&world, 0, &query));
	}
	assert_int_equal(world.ask_count, 40 + 12); /* an eighth of 100 places */
	assert_int_equal(world.workers[0].counters.prefetches, 12);
	assert_int_equal(world.workers[0].counters.prefetches_skipped, 28);
	world_upstream_address(&world, 40, 100, 6);
	world_run_ms(&world, 4000); /* told again, half of what was left later */
	assert_non_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 40 + 13);
}

static void test_failed_refresh_leaves_the_answer_and_is_tried_again(void **state)
{
	struct world_query query = query_of("a.example");

	(void)state;
	learn("a.example", 100, 5);
	assert_non_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 90000);
	assert_non_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_upstream_fail(&world, 1, TD_TIMEOUT);
	world_run_ms(&world, 4999);
	assert_non_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_run_ms(&world, 1);
	assert_non_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 3);
	world_upstream_address(&world, 2, 100, 6);
}

/* Somebody wants to know, but no client: one question, nothing counted as a query, and the cache has it. */
static void test_learned_for_nobody(void **state)
{
	struct world_query query = query_of("learned.example");
	struct name name;

	(void)state;
	name_from_text(&name, query.name, strlen(query.name));
	query_learn(world.workers[0].engine, &name, TYPE_A, &world.now);
	query_learn(world.workers[0].engine, &name, TYPE_A, &world.now);
	query_learn(world.workers[1].engine, &name, TYPE_A, &world.now);
	assert_int_equal(world.ask_count, 1);
	assert_int_equal(world.workers[0].counters.received, 0);
	assert_int_equal(query_pending(world.workers[0].engine), 0);
	/* A client that asks meanwhile waits for the same answer. */
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 0, 100, 5);
	assert_int_equal(world.reply_count, 1);
	assert_int_equal(world.record_count, 1);
	assert_non_null(world_ask(&world, 1, &query));
	assert_int_equal(world.ask_count, 1);
	world_assert_balance(&world);
}

/* It is over when the question is not pending any more, whatever came of it. */
static void test_end_of_learning(void **state)
{
	static const char text[] = "learned.example";
	struct cache_key key;
	struct name name;

	(void)state;
	name_from_text(&name, text, strlen(text));
	cache_key_make(world.cache, &key, name.wire, name.length, TYPE_A, 0);
	assert_false(cache_is_pending(world.cache, &key));
	query_learn(world.workers[0].engine, &name, TYPE_A, &world.now);
	assert_true(cache_is_pending(world.cache, &key));
	world_upstream_address(&world, 0, 0, 5); /* not kept */
	assert_false(cache_is_pending(world.cache, &key));
	query_learn(world.workers[0].engine, &name, TYPE_A, &world.now);
	assert_int_equal(world.ask_count, 2);
	world_upstream_fail(&world, 1, TD_TIMEOUT);
	assert_false(cache_is_pending(world.cache, &key));
	query_stop(world.workers[0].engine);
	query_learn(world.workers[0].engine, &name, TYPE_A, &world.now);
	assert_int_equal(world.ask_count, 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_teredo, teardown)
	const struct CMUnitTest tests[] = {
		T(test_popular_name_is_refreshed_before_it_expires),
		T(test_prefetch_is_off_for_the_unpopular_the_short_and_the_option),
		T(test_learned_for_nobody),
		T(test_end_of_learning),
		T(test_waiters_join_a_refresh),
		T(test_refreshes_under_way_are_bounded),
		T(test_failed_refresh_leaves_the_answer_and_is_tried_again),
	};
#undef T
	return cmocka_run_group_tests_name("refresh", tests, NULL, NULL);
}

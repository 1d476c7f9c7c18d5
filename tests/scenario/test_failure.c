/* SPDX-License-Identifier: BSD-3-Clause */
/* Failures that are remembered (RFC 9520): for how long, and what ends them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/edns.h"
#include "tests/scenario/bed.h"

static void test_failure_is_answered_from_memory(void **state)
{
	struct world_query query = query_of("bad.example");

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_rcode(&world, 0, RCODE_SERVFAIL);
	assert_int_equal(world_rcode(last_reply()), RCODE_SERVFAIL);
	world_run_ms(&world, 4999);
	for (unsigned i = 0; i < 100; i++) {
		const struct world_reply *reply = world_ask(&world, i % WORLD_WORKERS, &query);
		assert_non_null(reply);
		assert_int_equal(world_rcode(reply), RCODE_SERVFAIL);
		assert_int_equal(world_ede(reply), EDE_CACHED_ERROR);
	}
	assert_int_equal(world.ask_count, 1);
	assert_int_equal(world.workers[0].counters.failure_hits, 13);
	assert_int_equal(world.records[world.record_count - 1].transaction.source, SOURCE_ERROR);
	query.type = TYPE_AAAA; /* another question is not held */
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_upstream_rcode(&world, 1, RCODE_REFUSED);
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_REFUSED);
}

static void test_failure_is_held_longer_when_it_comes_again(void **state)
{
	static const int64_t length_ms[] = {5000, 10000, 20000, 30000, 30000};
	struct world_query query = query_of("bad.example");

	(void)state;
	for (unsigned i = 0; i < sizeof length_ms / sizeof length_ms[0]; i++) {
		assert_null(world_ask(&world, 0, &query));
		world_upstream_rcode(&world, i, RCODE_SERVFAIL);
		world_run_ms(&world, length_ms[i] - 1);
		assert_non_null(world_ask(&world, 1, &query));
		world_run_ms(&world, 1);
	}
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 5, 1, 6); /* an answer ends it */
	world_run_ms(&world, 86500000);
	assert_null(world_ask(&world, 0, &query));
	world_upstream_rcode(&world, 6, RCODE_SERVFAIL);
	world_run_ms(&world, 5000);
	assert_null(world_ask(&world, 0, &query));
	world_upstream_rcode(&world, 7, RCODE_SERVFAIL);
}

/* A server that is back is noticed within a second. */
static void test_outage_does_not_stick(void **state)
{
	static const enum td_error errors[] = {TD_IO, TD_TIMEOUT};
	struct world_query query = query_of("a.example");

	(void)state;
	world.unreachable = true;
	for (unsigned i = 0; i < 4; i++) {
		assert_null(world_ask(&world, 0, &query));
		world_upstream_fail(&world, i, errors[i % 2]);
		world_run_ms(&world, 999);
		const struct world_reply *reply = world_ask(&world, 1, &query);
		assert_non_null(reply);
		assert_int_equal(world_ede(reply), EDE_CACHED_ERROR);
		world_run_ms(&world, 1);
	}
	world.unreachable = false;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 4, 60, 6);
	assert_non_null(world_ask(&world, 1, &query));
}

/* One name alone meets silence: held for a second, then longer. */
static void test_silence_to_one_name_is_held_longer_when_it_comes_again(void **state)
{
	static const int64_t length_ms[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
	struct world_query query = query_of("slow.example");

	(void)state;
	for (unsigned i = 0; i < sizeof length_ms / sizeof length_ms[0]; i++) {
		assert_null(world_ask(&world, 0, &query));
		world_upstream_fail(&world, i, TD_TIMEOUT);
		world_run_ms(&world, length_ms[i] - 1);
		assert_non_null(world_ask(&world, 1, &query));
		world_run_ms(&world, 1);
	}
}

/* What the outage left unanswered is asked again when it is over: for who waits, and for the cache;
 * what it made of other questions is forgotten. */
static void test_end_of_an_outage(void **state)
{
	struct world_query query = query_of("a.example");

	(void)state;
	learn("a.example", 60, 5);
	world_run_ms(&world, 100000);
	world.unreachable = true;
	assert_stale(world_ask(&world, 0, &query), 5);
	query.name = "new.example";
	assert_null(world_ask(&world, 0, &query));
	query.name = "failed.example";
	assert_null(world_ask(&world, 1, &query));
	world_upstream_fail(&world, 3, TD_TIMEOUT);
	assert_int_equal(world_ede(world_ask(&world, 1, &query)), EDE_CACHED_ERROR);
	world_run_ms(&world, 400);
	query.name = "late.example";
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 5);
	world.unreachable = false;
	query_upstream_back(world.workers[0].engine, &world.now);
	assert_int_equal(world.ask_count, 7); /* the last one was asked just now */
	assert_false(world.asks[1].open || world.asks[2].open);
	assert_true(world.asks[4].open);
	world_upstream_address(&world, 5, 60, 6);
	world_upstream_address(&world, 6, 60, 7);
	assert_int_equal(world_rcode(last_reply()), RCODE_NOERROR);
	query.name = "a.example";
	assert_int_equal(world_ede(world_ask(&world, 0, &query)), -1);
	query.name = "failed.example";
	assert_null(world_ask(&world, 1, &query));
	assert_int_equal(world.ask_count, 8);
}

static void test_other_servers_end_every_failure(void **state)
{
	struct world_query query = query_of("bad.example");

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_rcode(&world, 0, RCODE_SERVFAIL);
	query_upstream_back(world.workers[0].engine, &world.now);
	assert_non_null(world_ask(&world, 0, &query)); /* what a server said is not undone by another's
							  return */
	query_upstream_changed(world.workers[0].engine, &world.now);
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 1, 60, 6);
}

/* Its questions cannot be asked again for want of everything: their clients are told. */
static void test_end_of_an_outage_without_means(void **state)
{
	struct world_query query;
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "n%u.example", i);
		query = query_of(name);
		assert_null(world_ask(&world, 0, &query));
	}
	world_run_ms(&world, 400);
	world.ask_error = TD_NOMEM;
	query_upstream_back(world.workers[0].engine, &world.now);
	assert_int_equal(world.reply_count, 10);
	assert_int_equal(query_pending(world.workers[0].engine), 0);
}

static void test_shortage_of_our_own_is_not_kept(void **state)
{
	static const enum td_error errors[] = {TD_NOMEM, TD_FULL};
	struct world_query query = query_of("a.example");

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		world.ask_error = errors[i];
		assert_null(world_ask(&world, 0, &query));
		assert_int_equal(world_rcode(last_reply()), RCODE_SERVFAIL);
	}
	world.ask_error = TD_OK;
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 1);
	world_upstream_address(&world, 0, 60, 6);
}

/* A rule on the question comes before a failure, as it comes before an answer. */
static void test_blocked_name_is_blocked_though_it_failed(void **state)
{
	struct world_query query = query_of("teredo.test");

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_rcode(&world, 0, RCODE_SERVFAIL);
	assert_int_equal(world.records[0].transaction.action, TRANSACTION_WATCH);
	world_set_mode(&world, MODE_BLOCK);
	assert_int_equal(world_ede(world_ask(&world, 0, &query)), EDE_BLOCKED);
}

/* A malformed answer of the upstream is its failure. */
static void test_malformed_answer_is_a_failure(void **state)
{
	struct world_query query = query_of("loop.example");
	struct compose compose;
	struct name name, target;
	uint8_t buffer[600];

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	name_from_text(&name, "loop.example", 12);
	name_from_text(&target, "pool.example", 12);
	compose_rr_name(&compose, SECTION_ANSWER, &name, TYPE_CNAME, 60, &target);
	compose_rr_name(&compose, SECTION_ANSWER, &target, TYPE_CNAME, 60, &name);
	world_upstream_send(&world, 0, &compose);
	assert_int_equal(world_ede(world_ask(&world, 0, &query)), EDE_CACHED_ERROR);
	assert_int_equal(world.ask_count, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_teredo, teardown)
	const struct CMUnitTest tests[] = {
		T(test_failure_is_answered_from_memory),
		T(test_failure_is_held_longer_when_it_comes_again),
		T(test_outage_does_not_stick),
		T(test_silence_to_one_name_is_held_longer_when_it_comes_again),
		T(test_end_of_an_outage),
		T(test_end_of_an_outage_without_means),
		T(test_other_servers_end_every_failure),
		T(test_shortage_of_our_own_is_not_kept),
		T(test_blocked_name_is_blocked_though_it_failed),
		T(test_malformed_answer_is_a_failure),
	};
#undef T
	return cmocka_run_group_tests_name("failure", tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of a query where there are too many, on a fake network and clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scenario/bed.h"

static const char local_zone[] =
	ZONE_HEAD "localhost A 127.0.0.1\n";

static int setup(void **state)
{
	(void)state;
	world_open(&world, NULL, local_zone);
	return 0;
}

/* Asks count times; how many were answered with data, and how many with TC alone. */
static void ask_often(const struct world_query *query, unsigned worker, unsigned count,
	unsigned *answered, unsigned *slipped)
{
	*answered = *slipped = 0;
	for (unsigned i = 0; i < count; i++) {
		const struct world_reply *reply = world_ask(&world, worker, query);
		if (!reply)
			continue;
		if (world_flags(reply) & DNS_FLAG_TC)
			++*slipped;
		else
			++*answered;
		if (world_flags(reply) & DNS_FLAG_TC)
			assert_int_equal(world_count(reply, 1) + world_count(reply, 2), 0);
		world.reply_count = world.record_count = 0;
	}
}

static void test_rate_of_a_client(void **state)
{
	struct world_query query = {.name = "localhost", .type = TYPE_A, .client = 1};
	const struct worker_counters *counters = &world.workers[0].counters;
	unsigned answered, slipped;

	(void)state;
	ask_often(&query, 0, 100, &answered, &slipped); /* no limit is set */
	assert_int_equal(answered, 100);
	world.policy.rate = (struct rate){.per_second = 5, .slip = 2, .prefix_v6 = 128};
	ask_often(&query, 0, 60, &answered, &slipped);
	assert_int_equal(answered, 10);
	assert_int_equal(slipped, 25);
	assert_int_equal(counters->dropped_rate, 25);
	assert_int_equal(counters->slipped, 25);
	assert_int_equal(counters->answered, 100 + 10 + 25);
	/* Its other sockets, which another worker has, share its rate; over TCP there is none. */
	ask_often(&query, 1, 10, &answered, &slipped);
	assert_int_equal(answered, 0);
	query.tcp = true;
	ask_often(&query, 0, 10, &answered, &slipped);
	assert_int_equal(answered, 10);
	query.tcp = false;
	query.client = 2;
	ask_often(&query, 0, 10, &answered, &slipped);
	assert_int_equal(answered, 10);
	query.client = 1;
	world_advance_ms(&world, 1000);
	ask_often(&query, 0, 20, &answered, &slipped);
	assert_int_equal(answered, 5);
}

static void test_a_reply_to_one_who_asks_too_fast_is_no_longer_than_the_question(void **state)
{
	struct world_query query = {
		.name = "localhost", .type = TYPE_A, .client = 1, .edns_payload = 1232};
	size_t question = 12 + 11 + 4 + 11;

	(void)state;
	world.policy.rate = (struct rate){.per_second = 1, .slip = 1, .prefix_v6 = 128};
	for (unsigned i = 0; i < 10; i++)
		assert_non_null(world_ask(&world, 0, &query));
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_true(world_flags(reply) & DNS_FLAG_TC);
	assert_in_range(reply->length, 12, question);
	assert_int_equal(world.records[world.record_count - 1].transaction.source, SOURCE_LOCAL);
}

static void test_exempt_from_the_rate(void **state)
{
	struct world_query query = {.name = "localhost", .type = TYPE_A, .client = 1};
	struct prefix exempt;
	unsigned answered, slipped;

	(void)state;
	prefix_from_text(&exempt, "192.0.2.1");
	world.policy.rate = (struct rate){.per_second = 5, .prefix_v6 = 128};
	world.policy.rate_exempt = &exempt;
	world.policy.rate_exempt_count = 1;
	ask_often(&query, 0, 100, &answered, &slipped);
	assert_int_equal(answered, 100);
	query.client = 2;
	ask_often(&query, 0, 100, &answered, &slipped);
	assert_int_equal(answered, 10);
}

/* Whoever is refused is told so a few times, without any option; then there is silence. */
static void test_outsiders_are_refused_slowly(void **state)
{
	struct world_query query = {.name = "localhost", .type = TYPE_A, .client = 1};
	unsigned answered, slipped;

	(void)state;
	prefix_from_text(&world.allow, "192.0.2.128/25");
	ask_often(&query, 0, 100, &answered, &slipped);
	assert_int_equal(answered, 20);
	assert_int_equal(slipped, 0);
	assert_int_equal(world.workers[0].counters.dropped_rate, 80);
	query.tcp = true;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_REFUSED);
	query.tcp = false;
	world_advance_ms(&world, 1000);
	ask_often(&query, 0, 100, &answered, &slipped);
	assert_int_equal(answered, 10);
}

/* --- too many wait --- */

static void ask_numbered(unsigned worker, unsigned number, uint8_t client, bool tcp)
{
	struct world_query query = {.type = TYPE_A,
		.id = (uint16_t)number,
		.client = client,
		.edns_payload = 1232,
		.tcp = tcp};
	char name[32];

	snprintf(name, sizeof name, "n%u.example", number);
	query.name = name;
	assert_null(world_ask(&world, worker, &query));
}

static unsigned id_of(unsigned reply)
{
	return (unsigned)world.replies[reply].bytes[0] << 8 | world.replies[reply].bytes[1];
}

/* A hundred may wait: each that comes then is asked for, and the oldest is told so. */
static void test_the_oldest_gives_way(void **state)
{
	const struct worker_counters *counters = &world.workers[0].counters;

	(void)state;
	for (unsigned i = 0; i < 120; i++)
		ask_numbered(0, i, (uint8_t)(i / 50 + 1), i % 2);
	assert_int_equal(world.reply_count, 20);
	assert_int_equal(counters->gave_way, 20);
	assert_int_equal(counters->answered, 20);
	assert_int_equal(query_pending(world.workers[0].engine), 100);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(id_of(i), i);
		assert_int_equal(world_rcode(&world.replies[i]), RCODE_SERVFAIL);
		assert_int_equal(world.records[i].transaction.source, SOURCE_ERROR);
	}
	/* The newest is answered; so is nobody who gave way, a second time. */
	world_upstream_address(&world, 119, 60, 1);
	assert_int_equal(world.reply_count, 21);
	assert_int_equal(id_of(20), 119);
	assert_int_equal(world_rcode(&world.replies[20]), RCODE_NOERROR);
}

/* A client that asks for more than its share gives way to itself, and the others keep their places.
 */
static void test_a_client_gives_way_to_itself(void **state)
{
	(void)state;
	ask_numbered(0, 0, 2, false);
	for (unsigned i = 1; i <= 90; i++)
		ask_numbered(0, i, 1, false);
	assert_int_equal(world.reply_count, 30);
	for (unsigned i = 0; i < 30; i++)
		assert_int_equal(id_of(i), i + 1);
	assert_int_equal(query_pending(world.workers[0].engine), 61);
	/* Places come back with the answers. */
	world_upstream_address(&world, 0, 0, 1);
	world_upstream_address(&world, 90, 0, 1);
	ask_numbered(0, 91, 1, false);
	assert_int_equal(world.workers[0].counters.gave_way, 30);
	assert_int_equal(query_pending(world.workers[0].engine), 60);
}

/* Where upstream takes no further question, the oldest ends for it; its clients are told. */
static void test_the_oldest_question_ends_for_the_newest(void **state)
{
	const struct worker_counters *counters = &world.workers[0].counters;

	(void)state;
	world.ask_max = 10;
	for (unsigned i = 0; i < 10; i++)
		ask_numbered(0, i, 1, false);
	ask_numbered(0, 0, 2, false);
	ask_numbered(1, 0, 3, false); /* another worker's client waits for it as well */
	world_deliver(&world);
	assert_int_equal(world.reply_count, 0);
	ask_numbered(0, 10, 1, false);
	world_deliver(&world);
	assert_int_equal(world.ask_count, 11);
	assert_false(world.asks[0].open);
	assert_true(world.asks[10].open);
	assert_int_equal(world.reply_count, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(id_of(i), 0);
		assert_int_equal(world_rcode(&world.replies[i]), RCODE_SERVFAIL);
	}
	assert_int_equal(counters->gave_way, 2);
	/* It is nobody's any more, so it can be asked again. */
	ask_numbered(1, 0, 3, false);
	assert_int_equal(world.ask_count, 12);
	assert_int_equal(world.asks[11].worker, 1);
}

/* What nobody waits for any more still ends, and its answer is kept. */
static void test_a_question_outlives_who_gave_way(void **state)
{
	struct world_query query = {.name = "n0.example", .type = TYPE_A, .id = 7, .client = 9};

	(void)state;
	for (unsigned i = 0; i < 61; i++)
		ask_numbered(0, i, 1, false);
	assert_int_equal(world.reply_count, 1);
	world_upstream_address(&world, 0, 60, 1);
	assert_int_equal(world.reply_count, 1);
	assert_non_null(world_ask(&world, 0, &query));
}

/* Questions that nobody waits for are bounded too. */
static void test_questions_without_a_client_are_bounded(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++)
		ask_numbered(0, i, 1, false);
	unsigned open = 0;
	for (unsigned i = 0; i < world.ask_count; i++)
		open += world.asks[i].open;
	assert_int_equal(world.ask_count, 200);
	assert_int_equal(open, 100);
	assert_int_equal(query_pending(world.workers[0].engine), 60);
}

/* A client that repeats its query while it is pending gets one answer, not a burst of them. */
static void test_a_repeated_query_is_answered_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++)
		ask_numbered(0, 1, 1, false);
	ask_numbered(0, 2, 1, false);
	assert_int_equal(world.workers[0].counters.dropped_repeated, 4);
	world_upstream_address(&world, 0, 60, 1);
	assert_int_equal(world.reply_count, 1);
	/* Over TCP each query has its answer. */
	ask_numbered(0, 3, 1, true);
	ask_numbered(0, 3, 1, true);
	world_upstream_address(&world, 2, 60, 1);
	assert_int_equal(world.reply_count, 3);
}

/* Silence upstream stops neither the cache nor what needs no upstream. */
static void test_a_silent_upstream_stops_nothing_else(void **state)
{
	struct world_query known = {.name = "known.example", .type = TYPE_A, .client = 1};
	struct world_query local = {.name = "localhost", .type = TYPE_A, .client = 1};
	struct world_query any = {.name = "x.example", .type = TYPE_ANY, .client = 1};

	(void)state;
	assert_null(world_ask(&world, 0, &known));
	world_upstream_address(&world, 0, 3600, 1);
	for (unsigned i = 0; i < 200; i++) {
		ask_numbered(0, i, (uint8_t)(i % 7 + 1), false);
		world.reply_count = world.record_count = 0;
		assert_int_equal(world_rcode(world_ask(&world, 0, &known)), RCODE_NOERROR);
		assert_int_equal(world_rcode(world_ask(&world, 0, &local)), RCODE_NOERROR);
		assert_int_equal(world_rcode(world_ask(&world, 0, &any)), RCODE_NOERROR);
	}
}

/* At the end: what is known is still answered, pending questions get their answers, and no other
 * one is asked. */
static void test_stopping(void **state)
{
	struct world_query local = {.name = "localhost", .type = TYPE_A, .client = 1};

	(void)state;
	ask_numbered(0, 1, 1, false);
	query_stop(world.workers[0].engine);
	ask_numbered(0, 2, 1, false);
	ask_numbered(0, 1, 2, false);
	assert_int_equal(world.ask_count, 1);
	assert_int_equal(world.workers[0].counters.dropped_gone, 2);
	assert_non_null(world_ask(&world, 0, &local));
	world.reply_count = 0;
	world_upstream_address(&world, 0, 60, 1);
	assert_int_equal(world.reply_count, 1);
	assert_int_equal(query_pending(world.workers[0].engine), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_rate_of_a_client),
		T(test_a_reply_to_one_who_asks_too_fast_is_no_longer_than_the_question),
		T(test_exempt_from_the_rate),
		T(test_outsiders_are_refused_slowly),
		T(test_the_oldest_gives_way),
		T(test_a_client_gives_way_to_itself),
		T(test_the_oldest_question_ends_for_the_newest),
		T(test_a_question_outlives_who_gave_way),
		T(test_questions_without_a_client_are_bounded),
		T(test_a_repeated_query_is_answered_once),
		T(test_a_silent_upstream_stops_nothing_else),
		T(test_stopping),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

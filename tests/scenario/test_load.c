/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of a query where there are too many, on a fake network and clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scenario/world.h"

static const char local_zone[] =
	"$TTL 300\n@ SOA localhost. nobody.invalid. 1 3600 600 86400 60\n@ NS localhost.\n"
	"localhost A 127.0.0.1\n";

static struct world world;

static int setup(void **state)
{
	(void)state;
	world_open(&world, NULL, local_zone);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_assert_balance(&world);
	world_close(&world);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_rate_of_a_client),
		T(test_a_reply_to_one_who_asks_too_fast_is_no_longer_than_the_question),
		T(test_exempt_from_the_rate),
		T(test_outsiders_are_refused_slowly),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

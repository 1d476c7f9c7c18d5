/* SPDX-License-Identifier: BSD-3-Clause */
/* Stale answers (RFC 8767), and the age of what waits: every rule with a time in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/edns.h"
#include "tests/scenario/bed.h"

static void test_client_gets_the_stale_answer_after_its_timeout(void **state)
{
	struct world_query query = query_of("a.example");

	(void)state;
	learn("a.example", 60, 5);
	world_run_ms(&world, 100000);
	unsigned before = world.reply_count;
	assert_null(world_ask(&world, 3, &query));
	assert_int_equal(world.ask_count, 2);
	world_run_ms(&world, 1799);
	assert_int_equal(world.reply_count, before);
	world_run_ms(&world, 1);
	assert_int_equal(world.reply_count, before + 1);
	assert_stale(last_reply(), 5);
	assert_int_equal(world.workers[3].counters.stale_answers, 1);
	assert_int_equal(world.workers[3].counters.cache_misses, 1);
	assert_int_equal(query_pending(world.workers[3].engine), 0);
	assert_int_equal(world.records[world.record_count - 1].transaction.duration_us, 1800000);
	/* The question goes on, and what comes of it is for whoever asks next. */
	world_run_ms(&world, 2000);
	world_upstream_address(&world, 1, 60, 6);
	assert_int_equal(world.reply_count, before + 1);
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_int_equal(world_ede(reply), -1);
	assert_int_equal(world.records[world.record_count - 1].transaction.source, SOURCE_CACHE);
}

static void test_fresh_answer_before_the_timeout_wins(void **state)
{
	struct world_query query = query_of("a.example");

	(void)state;
	learn("a.example", 60, 5);
	world_run_ms(&world, 100000);
	assert_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 1799);
	world_upstream_address(&world, 1, 60, 6);
	assert_int_equal(world_ede(last_reply()), -1);
	assert_int_equal(world.records[world.record_count - 1].transaction.source, SOURCE_UPSTREAM);
	world_run_ms(&world, 10000);
	assert_int_equal(world.reply_count, 2);
}

/* One second after the other: each waits its own time, whoever else waits for the same. */
static void test_each_client_has_its_own_timeout(void **state)
{
	struct world_query query = query_of("a.example");

	(void)state;
	learn("a.example", 60, 5);
	world_run_ms(&world, 100000);
	assert_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 1000);
	query.client = 2;
	assert_null(world_ask(&world, 1, &query));
	world_deliver(&world);
	assert_int_equal(world.ask_count, 2);
	world_run_ms(&world, 800);
	assert_int_equal(world.reply_count, 2);
	assert_int_equal(last_reply()->client.peer.address.octets[3], 1);
	world_run_ms(&world, 999);
	assert_int_equal(world.reply_count, 2);
	world_run_ms(&world, 1);
	assert_int_equal(world.reply_count, 3);
	assert_stale(last_reply(), 5);
}

/* The price of a dead server is paid once for a name: who asks while the question is known to take
 * long, or to fail, waits for nothing, on whichever worker. */
static void test_timeout_is_paid_once(void **state)
{
	struct world_query query = query_of("a.example");

	(void)state;
	learn("a.example", 60, 5);
	world_run_ms(&world, 100000);
	assert_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 1800);
	for (unsigned i = 0; i < WORLD_WORKERS; i++)
		assert_stale(world_ask(&world, i, &query), 5);
	assert_int_equal(world.ask_count, 2); /* still that one question */
	world_run_ms(&world, 3200);
	world_upstream_fail(&world, 1, TD_TIMEOUT);
	/* held: not asked for the time of a failure */
	world_run_ms(&world, 999);
	assert_stale(world_ask(&world, 1, &query), 5);
	assert_int_equal(world.ask_count, 2);
	/* then asked again, behind a stale answer at once */
	world_run_ms(&world, 1);
	assert_stale(world_ask(&world, 1, &query), 5);
	assert_stale(world_ask(&world, 2, &query), 5);
	world_deliver(&world);
	assert_int_equal(world.ask_count, 3);
	world_upstream_address(&world, 2, 60, 6);
	const struct world_reply *reply = world_ask(&world, 2, &query);
	assert_int_equal(world_ede(reply), -1);
	/* it works again: when it has expired once more, the fresh answer is worth waiting for */
	world_run_ms(&world, 100000);
	assert_null(world_ask(&world, 2, &query));
	assert_int_equal(world.ask_count, 4);
}

static void test_failure_gives_the_stale_answer_at_once(void **state)
{
	struct world_query query = query_of("a.example");

	(void)state;
	learn("a.example", 60, 5);
	world_run_ms(&world, 100000);
	assert_null(world_ask(&world, 0, &query));
	query.client = 2;
	assert_null(world_ask(&world, 1, &query));
	world_deliver(&world);
	world_run_ms(&world, 20);
	world_upstream_rcode(&world, 1, RCODE_SERVFAIL);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 3);
	assert_stale(&world.replies[1], 5);
	assert_stale(&world.replies[2], 5);
	assert_stale(world_ask(&world, 3, &query), 5);
	assert_int_equal(world.ask_count, 2);
}

static void test_silent_servers_are_not_waited_for(void **state)
{
	struct world_query query = query_of("a.example");

	(void)state;
	learn("a.example", 60, 5);
	world_run_ms(&world, 100000);
	world.unreachable = true;
	assert_stale(world_ask(&world, 0, &query), 5);
	assert_int_equal(world.ask_count, 2); /* asked all the same: that is how it ends */
	world.unreachable = false;
	world_upstream_address(&world, 1, 60, 6);
	assert_int_equal(world_ede(world_ask(&world, 0, &query)), -1);
}

static void test_denials_are_stale_with_a_code_of_their_own(void **state)
{
	struct world_query query = query_of("no.example.org");
	struct compose_soa soa = {.serial = 1, .minimum_s = 20};
	struct compose compose;
	struct message_rr rr;
	struct name apex;
	uint8_t buffer[600];

	(void)state;
	name_from_text(&apex, "example.org", 11);
	name_from_text(&soa.mname, "a", 1);
	name_from_text(&soa.rname, "b", 1);
	for (unsigned i = 0; i < 2; i++) {
		unsigned n = world.ask_count;
		assert_null(world_ask(&world, 0, &query));
		world_upstream_begin(&world, n, &compose, buffer, sizeof buffer,
			i == 0 ? RCODE_NXDOMAIN : RCODE_NOERROR);
		compose_rr_soa(&compose, SECTION_AUTHORITY, &apex, 3600, &soa);
		world_upstream_send(&world, n, &compose);
		world_run_ms(&world, 30000);
		assert_null(world_ask(&world, 0, &query));
		world_upstream_rcode(&world, n + 1, RCODE_SERVFAIL);
		assert_int_equal(
			world_rcode(last_reply()), i == 0 ? RCODE_NXDOMAIN : RCODE_NOERROR);
		assert_int_equal(
			world_ede(last_reply()), i == 0 ? EDE_STALE_NXDOMAIN : EDE_STALE_ANSWER);
		assert_true(world_record_at(last_reply(), 0, &rr));
		assert_int_equal(rr.type, TYPE_SOA);
		assert_int_equal(rr.ttl, 30);
		query.name = "nodata.example.org";
	}
}

/* A name that is blocked by now is blocked, however the answer came. */
static void test_never_stale_for_what_is_blocked_by_now(void **state)
{
	struct world_query query = query_of("alias.example");
	struct compose compose;
	struct name owner, target;
	uint8_t buffer[600];
	const uint8_t v4[4] = {203, 0, 113, 1};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	name_from_text(&owner, "alias.example", 13);
	name_from_text(&target, "teredo.test", 11);
	compose_rr_name(&compose, SECTION_ANSWER, &owner, TYPE_CNAME, 60, &target);
	compose_rr(&compose, SECTION_ANSWER, &target, TYPE_A, 60, v4, sizeof v4);
	world_upstream_send(&world, 0, &compose);
	learn("teredo.test", 60, 5);
	world_run_ms(&world, 100000);
	assert_null(world_ask(&world, 0, &query));
	world_set_mode(&world, MODE_BLOCK);
	world_run_ms(&world, 1800); /* blocked while it waited */
	assert_int_equal(world_rcode(last_reply()), RCODE_NXDOMAIN);
	assert_int_equal(world_ede(last_reply()), EDE_BLOCKED);
	assert_int_equal(world.records[world.record_count - 1].transaction.source, SOURCE_POLICY);
	world.unreachable = true;
	assert_int_equal(world_ede(world_ask(&world, 0, &query)), EDE_BLOCKED);
	query.name = "teredo.test";
	assert_int_equal(world_ede(world_ask(&world, 1, &query)), EDE_BLOCKED);
	assert_int_equal(world.ask_count, 3); /* and nothing is asked for them */
	assert_int_equal(world.workers[0].counters.stale_answers, 0);
}

/* The rules of another generation are matched anew. */
static void test_stale_answer_is_judged_by_the_rules_of_now(void **state)
{
	struct world_query query = query_of("plain.example");
	struct query_policy changed = world.policy;
	struct policy_builder *builder = policy_builder_new();
	struct policy_load load;
	const char text[] = "$TTL 300\n@ SOA localhost. nobody.invalid. 1 3600 600 86400 60\n"
			    "@ NS localhost.\nplain.example CNAME .\n";

	(void)state;
	learn("plain.example", 60, 5);
	world_run_ms(&world, 100000);
	assert_int_equal(policy_builder_zone(builder, "new", ZONE_TUNNEL), TD_OK);
	assert_int_equal(
		policy_builder_rpz(builder, "new", text, sizeof text - 1, NULL, NULL, &load),
		TD_OK);
	struct policy_index *index = policy_builder_finish(&builder);
	changed.view.index = index;
	changed.view.generation = 2;
	changed.view.mode[0][0] = MODE_BLOCK;
	query_set_policy(world.workers[0].engine, &changed);
	world.unreachable = true;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	query_set_policy(world.workers[0].engine, &world.policy);
	policy_index_free(index);
}

static void test_what_was_not_cached_is_never_stale(void **state)
{
	struct world_query query = query_of("zero.example");

	(void)state;
	learn("zero.example", 0, 5);
	assert_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 1800);
	assert_int_equal(world.reply_count, 1);
	world_upstream_fail(&world, 1, TD_TIMEOUT);
	assert_int_equal(world_rcode(last_reply()), RCODE_SERVFAIL);
	assert_int_equal(world_ede(last_reply()), EDE_NO_REACHABLE_AUTHORITY);
}

static void test_stale_has_an_end_and_can_be_off(void **state)
{
	const struct cache_settings hour = {.stale_us = 3600 * US_PER_S, .failure_us = US_PER_S};
	struct world_query query = query_of("a.example");

	(void)state;
	cache_set(world.cache, &hour);
	learn("a.example", 60, 5);
	learn("b.example", 60, 5);
	world_run_ms(&world, 3660000 - 1);
	world.unreachable = true;
	assert_stale(world_ask(&world, 0, &query), 5);
	world_upstream_fail(&world, 2, TD_TIMEOUT);
	world_run_ms(&world, 1001);
	assert_null(world_ask(&world, 0, &query));
	world_upstream_fail(&world, 3, TD_TIMEOUT);
	assert_int_equal(world_rcode(last_reply()), RCODE_SERVFAIL);
	/* off: the engine does not even wait */
	cache_set(world.cache, &(struct cache_settings){.failure_us = US_PER_S});
	world.policy.stale_wait_us = -1;
	world.unreachable = false;
	learn("c.example", 60, 5);
	world_run_ms(&world, 61000);
	query.name = "c.example";
	assert_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 4000);
	unsigned before = world.reply_count;
	world_upstream_fail(&world, world.ask_count - 1, TD_TIMEOUT);
	assert_int_equal(world.reply_count, before + 1);
	assert_int_equal(world_rcode(last_reply()), RCODE_SERVFAIL);
}

static void test_stale_at_once_with_a_timeout_of_zero(void **state)
{
	struct world_query query = query_of("a.example");

	(void)state;
	world.policy.stale_wait_us = 0;
	learn("a.example", 60, 5);
	world_run_ms(&world, 100000);
	assert_stale(world_ask(&world, 0, &query), 5);
	assert_int_equal(world.ask_count, 2);
	assert_stale(world_ask(&world, 1, &query), 5);
	assert_int_equal(world.ask_count, 2);
	world_upstream_address(&world, 1, 60, 6);
	assert_int_equal(world_ede(world_ask(&world, 1, &query)), -1);
}

/* A validated answer was valid then: AD is not told any more. */
static void test_stale_answer_is_not_authentic(void **state)
{
	struct world_query query = query_of("signed.example");
	struct compose compose;
	uint8_t buffer[600];
	const uint8_t v4[4] = {203, 0, 113, 1};

	(void)state;
	query.dnssec_ok = true;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, DNS_FLAG_AD);
	compose_rr(
		&compose, SECTION_ANSWER, &world.asks[0].question.qname, TYPE_A, 60, v4, sizeof v4);
	world_upstream_send(&world, 0, &compose);
	assert_true(world_flags(last_reply()) & DNS_FLAG_AD);
	world_run_ms(&world, 100000);
	world.unreachable = true;
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_stale(reply, 1);
	assert_false(world_flags(reply) & DNS_FLAG_AD);
}

static void test_nothing_stale_to_offer_leaves_the_client_waiting(void **state)
{
	struct world_query query = query_of("new.example");

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 4000);
	world_upstream_address(&world, 0, 60, 6);
	assert_int_equal(world.reply_count, 1);
	assert_int_equal(world_rcode(last_reply()), RCODE_NOERROR);
}

/* --- the age of what waits --- */

/* Whatever happens to a question, its clients do not wait for ever, and who gave up is not sent a
 * burst of answers (DNSBomb). */
static void test_waiting_has_an_end(void **state)
{
	struct world_query query = query_of("new.example");

	(void)state;
	query.tcp = true;
	assert_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 3000);
	for (unsigned i = 0; i < 20; i++) {
		query.tcp = false;
		query.client = (uint8_t)(i + 1);
		assert_null(world_ask(&world, 0, &query));
	}
	world_run_ms(&world, 2499);
	assert_int_equal(world.workers[0].counters.dropped_late, 0);
	world_run_ms(&world, 1);
	assert_int_equal(world.workers[0].counters.dropped_late, 1);
	assert_int_equal(world.unanswered_count, 1); /* the place in its connection comes back */
	world_run_ms(&world, 3000);
	assert_int_equal(world.workers[0].counters.dropped_late, 21);
	assert_int_equal(query_pending(world.workers[0].engine), 0);
	world_upstream_address(&world, 0, 60, 6);
	assert_int_equal(world.reply_count, 0);
	query.id = 9;
	assert_non_null(world_ask(&world, 0, &query)); /* what came is kept all the same */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup_teredo, teardown)
	const struct CMUnitTest tests[] = {
		T(test_client_gets_the_stale_answer_after_its_timeout),
		T(test_fresh_answer_before_the_timeout_wins),
		T(test_each_client_has_its_own_timeout),
		T(test_timeout_is_paid_once),
		T(test_failure_gives_the_stale_answer_at_once),
		T(test_silent_servers_are_not_waited_for),
		T(test_denials_are_stale_with_a_code_of_their_own),
		T(test_never_stale_for_what_is_blocked_by_now),
		T(test_stale_answer_is_judged_by_the_rules_of_now),
		T(test_what_was_not_cached_is_never_stale),
		T(test_stale_has_an_end_and_can_be_off),
		T(test_stale_at_once_with_a_timeout_of_zero),
		T(test_stale_answer_is_not_authentic),
		T(test_nothing_stale_to_offer_leaves_the_client_waiting),
		T(test_waiting_has_an_end),
	};
#undef T
	return cmocka_run_group_tests_name("stale", tests, NULL, NULL);
}

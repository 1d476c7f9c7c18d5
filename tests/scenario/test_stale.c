/* SPDX-License-Identifier: BSD-3-Clause */
/* Every rule with a time in it: stale answers, refreshing, failures; and that one question is asked
 * once, whoever wants to know. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/edns.h"
#include "resolver/cache_walk.h"
#include "tests/scenario/world.h"

static const char tunnel_zone[] =
	"$TTL 300\n@ SOA localhost. nobody.invalid. 1 3600 600 86400 60\n@ NS localhost.\n"
	"teredo.test CNAME .\n";

static struct world world;

static int setup(void **state)
{
	(void)state;
	world_open(&world, tunnel_zone, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_assert_balance(&world);
	world_close(&world);
	return 0;
}

static struct world_query query_of(const char *name)
{
	return (struct world_query){
		.name = name, .type = TYPE_A, .id = 7, .client = 1, .edns_payload = 1232};
}

/* Asks through worker 0 and answers with an address of this TTL. */
static void learn(const char *name, uint32_t ttl_s, uint8_t last_octet)
{
	struct world_query query = query_of(name);

	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, world.ask_count - 1, ttl_s, last_octet);
}

static const struct world_reply *last_reply(void)
{
	return &world.replies[world.reply_count - 1];
}

static void assert_stale(const struct world_reply *reply, uint8_t last_octet)
{
	struct message_rr rr;

	assert_non_null(reply);
	assert_int_equal(world_rcode(reply), RCODE_NOERROR);
	assert_true(world_record_at(reply, 0, &rr));
	assert_int_equal(rr.ttl, 30);
	assert_int_equal(reply->bytes[rr.rdata_offset + 3], last_octet);
	assert_int_equal(world_ede(reply), EDE_STALE_ANSWER);
	assert_int_equal(world.records[world.record_count - 1].transaction.source, SOURCE_STALE);
}

/* --- stale answers (RFC 8767) --- */

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

/* Checklist 10: a name that is blocked by now is blocked, however the answer came. */
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

/* --- prefetch --- */

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

/* --- failures (RFC 9520) --- */

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

/* --- one question in the whole process --- */

/* Checklist 4. */
static void test_identical_questions_over_eight_workers(void **state)
{
	struct world_query query = query_of("many.example");

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		query.id = (uint16_t)i;
		query.client = (uint8_t)(i + 1);
		query.edns_payload = i % 3 ? 1232 : 0;
		assert_null(world_ask(&world, i % WORLD_WORKERS, &query));
	}
	world_deliver(&world);
	assert_int_equal(world.ask_count, 1);
	world_upstream_address(&world, 0, 0, 3);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 200);
	uint64_t answered[256] = {0};
	for (unsigned i = 0; i < 200; i++)
		answered[world.replies[i].client.peer.address.octets[3]]++;
	for (unsigned i = 1; i <= 200; i++)
		assert_int_equal(answered[i], 1);
}

static void test_failure_and_stale_over_eight_workers(void **state)
{
	struct world_query query = query_of("many.example");

	(void)state;
	learn("many.example", 10, 5);
	world_run_ms(&world, 11000);
	for (unsigned i = 0; i < 80; i++) {
		query.client = (uint8_t)(i + 1);
		assert_null(world_ask(&world, i % WORLD_WORKERS, &query));
	}
	world_deliver(&world);
	assert_int_equal(world.ask_count, 2);
	world_run_ms(&world, 1800);
	assert_int_equal(world.reply_count, 81);
	for (unsigned i = 1; i < 81; i++)
		assert_int_equal(world_ede(&world.replies[i]), EDE_STALE_ANSWER);
	world_upstream_rcode(&world, 1, RCODE_SERVFAIL);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 81);
	/* one failure, however many workers were told of it: held for the first length */
	world_run_ms(&world, 5000);
	for (unsigned i = 0; i < WORLD_WORKERS; i++)
		assert_non_null(world_ask(&world, i, &query));
	assert_int_equal(world.ask_count, 3);
	world_upstream_address(&world, 2, 10, 6);
}

/* --- a flush while a question is pending --- */

static void flush_all(void)
{
	const struct cache_filter all = {.name = NULL};
	struct cache_flushed flushed;

	assert_int_equal(cache_flush(world.cache, &all, &flushed), TD_OK);
}

/* Who asks after a flush does not get what was asked before it, whichever worker asked; who asked
 * before gets it at once. */
static void test_flush_while_a_question_is_pending(void **state)
{
	struct world_query query = query_of("moving.example");

	(void)state;
	query.client = 1;
	assert_null(world_ask(&world, 0, &query));
	query.client = 2;
	assert_null(world_ask(&world, 1, &query));
	world_deliver(&world);
	flush_all();
	query.client = 3;
	assert_null(world_ask(&world, 0, &query));
	query.client = 4;
	assert_null(world_ask(&world, 1, &query));
	query.client = 5;
	assert_null(world_ask(&world, 2, &query));
	world_deliver(&world);
	assert_int_equal(world.ask_count, 1);
	world_upstream_address(&world, 0, 60, 1);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 2);
	assert_int_equal(world.replies[0].client.peer.address.octets[3], 1);
	assert_int_equal(world.replies[1].client.peer.address.octets[3], 2);
	assert_int_equal(world.ask_count, 2);
	flush_all(); /* a second one delays nobody again */
	world_upstream_address(&world, 1, 60, 9);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 5);
	for (unsigned i = 2; i < 5; i++) {
		struct message_rr rr;
		assert_true(world_record_at(&world.replies[i], 0, &rr));
		assert_int_equal(world.replies[i].bytes[rr.rdata_offset + 3], 9);
	}
	assert_int_equal(world.ask_count, 2);
}

/* Nor is a failure kept that was found before. */
static void test_flush_while_a_question_fails(void **state)
{
	struct world_query query = query_of("failing.example");

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	flush_all();
	world_upstream_rcode(&world, 0, RCODE_SERVFAIL);
	assert_int_equal(world_rcode(last_reply()), RCODE_SERVFAIL);
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_upstream_rcode(&world, 1, RCODE_SERVFAIL);
	assert_non_null(world_ask(&world, 0, &query));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
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
		T(test_popular_name_is_refreshed_before_it_expires),
		T(test_prefetch_is_off_for_the_unpopular_the_short_and_the_option),
		T(test_waiters_join_a_refresh),
		T(test_refreshes_under_way_are_bounded),
		T(test_failed_refresh_leaves_the_answer_and_is_tried_again),
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
		T(test_identical_questions_over_eight_workers),
		T(test_failure_and_stale_over_eight_workers),
		T(test_flush_while_a_question_is_pending),
		T(test_flush_while_a_question_fails),
	};
#undef T
	return cmocka_run_group_tests_name("stale", tests, NULL, NULL);
}

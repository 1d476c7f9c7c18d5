/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules whose data is a CNAME: the alias and its target's answer, as one reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scenario/bed.h"

#define LABEL62 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghij"
static const char tunnel_zone[] =
	ZONE_HEAD "bad.test 77 CNAME Walled.Garden.example.\n"
		  "*.bad.test CNAME *.garden.example.\n"
		  "chain.test CNAME walled.garden.example.\n"
		  "here.test CNAME localhost.\n"
		  "ping.test CNAME pong.test.\n"
		  "pong.test CNAME ping.test.\n"
		  "*.self.test CNAME www.self.test.\n"
		  "walled.garden.example CNAME .\n" /* the target's own rule is not looked at */
		  "gone.test CNAME .\n"
		  "*.wild.test CNAME *.\n"
		  "given.test A 192.0.2.9\n"
		  "data.test TYPE65280 \\# 4 01020304\n"
		  "*.data.test TXT \"wild\"\n";
static const char local_zone[] = ZONE_HEAD "localhost A 127.0.0.1\n";

static int setup(void **state)
{
	(void)state;
	world_open(&world, tunnel_zone, local_zone);
	world_set_mode(&world, MODE_BLOCK);
	return 0;
}

/* Nobody waits when a test ends. */
static int teardown_idle(void **state)
{
	for (unsigned i = 0; i < WORLD_WORKERS; i++)
		assert_int_equal(query_pending(world.workers[i].engine), 0);
	return teardown(state);
}

static struct world_query question(const char *name, uint16_t type)
{
	return (struct world_query){
		.name = name, .type = type, .id = 7, .client = 1, .edns_payload = 1232};
}

static const char *text_of(const struct name *name)
{
	static char text[NAME_TEXT_MAX];

	name_to_text(name->wire, text);
	return text;
}

/* The reply's records in the form "owner type ttl data", data of CNAMEs and addresses only. */
static const char *records(const struct world_reply *reply)
{
	static char text[4096];
	struct message_rr rr;
	struct name name;
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; world_record_at(reply, i, &rr); i++) {
		if (rr.type == TYPE_OPT)
			continue;
		used += (size_t)snprintf(text + used, sizeof text - used, "%s %u %u",
			text_of(&rr.owner), rr.type, rr.ttl);
		if (rr.type == TYPE_CNAME &&
			message_rdata_name(reply->bytes, reply->length, &rr, 0, &name))
			used += (size_t)snprintf(
				text + used, sizeof text - used, " %s", text_of(&name));
		else if (rr.type == TYPE_A)
			used += (size_t)snprintf(text + used, sizeof text - used, " %u",
				reply->bytes[rr.rdata_offset + 3]);
		used += (size_t)snprintf(text + used, sizeof text - used, "\n");
	}
	return text;
}

static const struct transaction *last_record(void)
{
	assert_true(world.record_count > 0);
	return &world.records[world.record_count - 1].transaction;
}

static void assert_asked(unsigned n, const char *name)
{
	assert_true(world.ask_count > n);
	assert_string_equal(text_of(&world.asks[n].question.qname), name);
}

static void test_target_is_asked_and_told(void **state)
{
	struct world_query query = question("bAd.test", TYPE_A);

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(query_pending(world.workers[0].engine), 1);
	assert_int_equal(world.ask_count, 1);
	assert_asked(0, "walled.garden.example.");
	world_advance_ms(&world, 20);
	world_upstream_address(&world, 0, 100, 5);
	assert_int_equal(world.reply_count, 1);
	const struct world_reply *reply = &world.replies[0];
	assert_memory_equal(reply->bytes + 12, "\3bAd\4test", 10);
	assert_string_equal(records(reply), "bAd.test. 5 77 Walled.Garden.example.\n"
					    "Walled.Garden.example. 1 100 5\n");
	assert_int_equal(world_flags(reply) & (DNS_FLAG_AD | DNS_FLAG_TC), 0);
	assert_int_equal(world_ede(reply), EDE_BLOCKED);
	assert_int_equal(last_record()->source, SOURCE_POLICY);
	assert_int_equal(last_record()->action, TRANSACTION_BLOCK);
	assert_int_equal(last_record()->zone, 11);
	assert_int_equal(last_record()->upstream.port, 0);
	assert_int_equal(last_record()->duration_us, 20000);
	assert_string_equal(world.records[0].rule, "bad.test.");
	assert_string_equal(world.records[0].qname, "bad.test.");

	/* The target is in the cache, under its own name. */
	world_advance_ms(&world, 30000);
	reply = world_ask(&world, 1, &query);
	assert_non_null(reply);
	assert_string_equal(records(reply), "bAd.test. 5 77 Walled.Garden.example.\n"
					    "Walled.Garden.example. 1 70 5\n");
	assert_int_equal(last_record()->source, SOURCE_POLICY);
	assert_string_equal(world.records[1].rule, "bad.test.");
}

/* Who asks for the target itself is subject to its rule, in whatever state the cache is. */
static void test_rule_of_the_target(void **state)
{
	struct world_query query = question("bad.test", TYPE_A);
	struct world_query target = question("walled.garden.example", TYPE_A);

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 0, 100, 5);
	const struct world_reply *reply = world_ask(&world, 0, &target);
	assert_non_null(reply);
	assert_int_equal(world_rcode(reply), RCODE_NXDOMAIN);
}

static void test_watched_is_not_redirected(void **state)
{
	struct world_query query = question("bad.test", TYPE_A);

	(void)state;
	world_set_mode(&world, MODE_WATCH);
	assert_null(world_ask(&world, 0, &query));
	assert_asked(0, "bad.test.");
	world_upstream_address(&world, 0, 100, 5);
	assert_string_equal(records(&world.replies[0]), "bad.test. 1 100 5\n");
	assert_int_equal(last_record()->action, TRANSACTION_WATCH);

	/* What was cached meanwhile is redirected as soon as the mode says so. */
	world_set_mode(&world, MODE_BLOCK);
	assert_null(world_ask(&world, 0, &query));
	assert_asked(1, "walled.garden.example.");
	world_upstream_address(&world, 1, 60, 6);
	assert_string_equal(records(&world.replies[1]), "bad.test. 5 77 Walled.Garden.example.\n"
							"Walled.Garden.example. 1 60 6\n");
}

/* Nobody is told what a name is that leads elsewhere, so its answer need not be kept fresh. */
static void test_redirected_is_not_refreshed(void **state)
{
	struct world_query query = question("bad.test", TYPE_A);

	(void)state;
	world_set_mode(&world, MODE_WATCH);
	learn("walled.garden.example", 1000, 6);
	learn("bad.test", 100, 5);
	assert_non_null(world_ask(&world, 0, &query));
	world_set_mode(&world, MODE_BLOCK);
	world_run_ms(&world, 95000);
	assert_non_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_set_mode(&world, MODE_WATCH);
	world_run_ms(&world, 3000);
	assert_non_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 3);
	world_upstream_address(&world, 2, 100, 5);
}

static void test_cname_and_any_get_the_alias_alone(void **state)
{
	struct world_query query = question("bad.test", TYPE_CNAME);
	const struct world_reply *reply = world_ask(&world, 0, &query);

	(void)state;
	assert_non_null(reply);
	assert_string_equal(records(reply), "bad.test. 5 77 Walled.Garden.example.\n");
	query.type = TYPE_ANY;
	reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_string_equal(records(reply), "bad.test. 5 77 Walled.Garden.example.\n");
	assert_int_equal(world.ask_count, 0);
}

static void test_wildcard_target_is_filled_in(void **state)
{
	struct world_query query = question("www.X.bad.test", TYPE_A);

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_asked(0, "www.x.bad.test.garden.example.");
	world_upstream_address(&world, 0, 100, 5);
	assert_string_equal(records(&world.replies[0]),
		"www.X.bad.test. 5 300 www.X.bad.test.garden.example.\n"
		"www.X.bad.test.garden.example. 1 100 5\n");
	assert_string_equal(world.records[0].rule, "*.bad.test.");
	query.type = TYPE_CNAME;
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_string_equal(
		records(reply), "www.X.bad.test. 5 300 www.X.bad.test.garden.example.\n");
}

/* 255 octets are a name, one more is none. */
static void test_wildcard_target_that_is_too_long(void **state)
{
	char name[300];
	struct world_query query = question(name, TYPE_A);

	(void)state;
	snprintf(name, sizeof name, "%s.%s.%s.%.40s.bad.test", LABEL62, LABEL62, LABEL62, LABEL62);
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.asks[0].question.qname.length, 255);
	world_upstream_address(&world, 0, 100, 5);
	assert_int_equal(world_count(&world.replies[0], 1), 2);

	snprintf(name, sizeof name, "%s.%s.%s.%.41s.bad.test", LABEL62, LABEL62, LABEL62, LABEL62);
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_int_equal(world_rcode(reply), RCODE_YXDOMAIN);
	assert_int_equal(world_count(reply, 1), 0);
	assert_int_equal(last_record()->action, TRANSACTION_BLOCK);
	query.type = TYPE_CNAME;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_YXDOMAIN);
	assert_int_equal(world.ask_count, 1);
}

static void test_denied_target(void **state)
{
	struct world_query query = question("bad.test", TYPE_AAAA);
	struct compose_soa soa = {.serial = 1, .minimum_s = 20};
	struct compose compose;
	struct name apex;
	uint8_t buffer[600];

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, RCODE_NXDOMAIN);
	name_from_text(&apex, "garden.example", 14);
	name_from_text(&soa.mname, "a", 1);
	name_from_text(&soa.rname, "b", 1);
	compose_rr_soa(&compose, SECTION_AUTHORITY, &apex, 3600, &soa);
	world_upstream_send(&world, 0, &compose);
	assert_int_equal(world_rcode(&world.replies[0]), RCODE_NXDOMAIN);
	assert_string_equal(records(&world.replies[0]), "bad.test. 5 77 Walled.Garden.example.\n"
							"Garden.example. 6 20\n");
}

static void test_target_that_fails(void **state)
{
	struct world_query query = question("bad.test", TYPE_A);

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_fail(&world, 0, TD_TIMEOUT);
	assert_int_equal(world_rcode(&world.replies[0]), RCODE_SERVFAIL);
	assert_int_equal(world_ede(&world.replies[0]), EDE_NO_REACHABLE_AUTHORITY);
	assert_string_equal(records(&world.replies[0]), "");
	assert_int_equal(last_record()->action, TRANSACTION_BLOCK);
	/* The failure is held (RFC 9520). */
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_int_equal(world_rcode(reply), RCODE_SERVFAIL);
	assert_int_equal(world_ede(reply), EDE_CACHED_ERROR);
	assert_int_equal(world.ask_count, 1);
}

/* Everybody whose name leads there, and who asks for the target, waits for one question. */
static void test_target_is_asked_once(void **state)
{
	static const char *const names[] = {"bad.test", "chain.test", "bad.test"};
	struct world_query query = question("bad.test", TYPE_A);

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		query.name = names[i % 3];
		query.id = (uint16_t)i;
		query.client = (uint8_t)(i + 1);
		assert_null(world_ask(&world, i % WORLD_WORKERS, &query));
	}
	world_deliver(&world);
	assert_int_equal(world.ask_count, 1);
	world_upstream_address(&world, 0, 100, 5);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 12);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(world_count(&world.replies[i], 1), 2);
}

/* One client, two names that lead to the same, the same id: no repetition of one query. */
static void test_same_id_for_two_names(void **state)
{
	struct world_query query = question("bad.test", TYPE_A);

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	query.name = "chain.test";
	assert_null(world_ask(&world, 0, &query));
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.workers[0].counters.dropped_repeated, 1);
	world_upstream_address(&world, 0, 100, 5);
	assert_int_equal(world.reply_count, 2);
	assert_memory_equal(world.replies[1].bytes + 12, "\5chain\4test", 12);
}

static void answer_with_alias(unsigned n, const char *target_text)
{
	struct compose compose;
	struct name target;
	uint8_t buffer[600];

	name_from_text(&target, target_text, strlen(target_text));
	world_upstream_begin(&world, n, &compose, buffer, sizeof buffer, 0);
	compose_rr_name(
		&compose, SECTION_ANSWER, &world.asks[n].question.qname, TYPE_CNAME, 200, &target);
	compose_rr(&compose, SECTION_ANSWER, &target, TYPE_A, 200, "\300\0\2\1", 4);
	world_upstream_send(&world, n, &compose);
}

/* A name of the answer's chain has a rule: known when the answer is, and the target is asked then.
 */
static void test_rule_on_the_chain(void **state)
{
	struct world_query query = question("www.example", TYPE_A);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		query.id = query.client = (uint8_t)(i + 1);
		assert_null(world_ask(&world, i ? 1 : 0, &query));
	}
	world_deliver(&world);
	answer_with_alias(0, "chain.test");
	world_deliver(&world);
	assert_int_equal(world.reply_count, 0);
	assert_int_equal(query_pending(world.workers[0].engine), 1);
	assert_int_equal(query_pending(world.workers[1].engine), 2);
	assert_int_equal(world.ask_count, 2);
	assert_asked(1, "walled.garden.example.");
	world_upstream_address(&world, 1, 100, 5);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_string_equal(records(&world.replies[i]),
			"www.example. 5 200 chain.test.\n"
			"chain.test. 5 300 walled.garden.example.\n"
			"walled.garden.example. 1 100 5\n");
	assert_string_equal(world.records[0].rule, "chain.test.");
	/* Both are cached by now. */
	assert_non_null(world_ask(&world, 0, &query));
}

/* The client's subnet was given for the name it asked for: neither does it go to the target's servers,
 * nor is what they say kept for everybody. */
static void test_subnet_is_not_for_the_target(void **state)
{
	struct world_query query = question("www.example", TYPE_A);
	struct name zone;

	(void)state;
	name_from_text(&zone, "example", 7);
	world.policy.subnet_zones = &zone;
	world.policy.subnet_zone_count = 1;
	query.subnet = true;
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.asks[0].question.subnet.sent_length, 7);
	answer_with_alias(0, "chain.test");
	assert_asked(1, "walled.garden.example.");
	assert_int_equal(world.asks[1].question.subnet.sent_length, 0);
	world_upstream_address(&world, 1, 100, 5);
	assert_int_equal(world.reply_count, 1);
	assert_int_equal(world_count(&world.replies[0], 1), 3);
}

/* What leads to the name of a rule is told as it is; from there on the rule speaks. */
static void test_other_rules_on_the_chain(void **state)
{
	static const struct {
		const char *target, *reply;
		uint16_t rcode;
	} cases[] = {
		{"gone.test", "q0.example. 5 200 gone.test.\ngone.test. 6 60\n", RCODE_NXDOMAIN},
		{"none.wild.test", "q1.example. 5 200 none.wild.test.\nwild.test. 6 60\n", 0},
		{"given.test", "q2.example. 5 200 given.test.\ngiven.test. 1 300 9\n", 0},
		{"x.bad.test",
			"q3.example. 5 200 x.bad.test.\n"
			"x.bad.test. 5 300 x.bad.test.garden.example.\n"
			"x.bad.test.garden.example. 1 100 4\n",
			0},
	};
	char name[32];
	struct world_query query = question(name, TYPE_A);

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "q%u.example", i);
		assert_null(world_ask(&world, 0, &query));
		answer_with_alias(i, cases[i].target);
	}
	world_upstream_address(&world, 4, 100, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_string_equal(records(&world.replies[i]), cases[i].reply);
		assert_int_equal(world_rcode(&world.replies[i]), cases[i].rcode);
		/* The same out of the cache. */
		snprintf(name, sizeof name, "q%u.example", i);
		const struct world_reply *reply = world_ask(&world, 0, &query);
		assert_non_null(reply);
		assert_string_equal(records(reply), cases[i].reply);
	}
}

/* Who asks for the alias itself does not ask for what it leads to. */
static void test_rule_on_the_target_of_an_alias_that_was_asked_for(void **state)
{
	struct world_query query = question("www.example", TYPE_CNAME);
	struct compose compose;
	struct name target;
	uint8_t buffer[600];

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	name_from_text(&target, "gone.test", 9);
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	compose_rr_name(
		&compose, SECTION_ANSWER, &world.asks[0].question.qname, TYPE_CNAME, 200, &target);
	world_upstream_send(&world, 0, &compose);
	assert_string_equal(records(&world.replies[0]), "www.example. 5 200 gone.test.\n");
	assert_int_equal(last_record()->action, TRANSACTION_NONE);
}

/* All that is needed of a rule was copied: the rules may be others when the answer comes. */
static void test_rules_that_are_gone_when_the_target_is_answered(void **state)
{
	struct world_query query = question("www.example", TYPE_A);
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	answer_with_alias(0, "x.bad.test");
	assert_asked(1, "x.bad.test.garden.example.");
	assert_int_equal(policy_builder_zone(builder, "other", ZONE_LIST), TD_OK);
	policy_index_free(world.index);
	world.index = policy_builder_finish(&builder);
	world.policy.view.index = world.index;
	world.policy.view.generation = 2;
	world_upstream_address(&world, 1, 100, 5);
	assert_string_equal(records(&world.replies[0]),
		"www.example. 5 200 x.bad.test.\nx.bad.test. 5 300 x.bad.test.garden.example.\n"
		"x.bad.test.garden.example. 1 100 5\n");
	assert_string_equal(world.records[0].rule, "*.bad.test.");
	assert_int_equal(world.records[0].transaction.zone, 11);
	/* From now on there is no such rule. */
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_string_equal(
		records(reply), "www.example. 5 200 x.bad.test.\nx.bad.test. 1 200 1\n");
}

/* Over TCP a connection has a place for each query that is pending: it is given back once. */
static void test_tcp(void **state)
{
	struct world_query query = question("www.example", TYPE_A);

	(void)state;
	query.tcp = true;
	assert_null(world_ask(&world, 0, &query));
	answer_with_alias(0, "chain.test");
	assert_int_equal(world.reply_count + world.unanswered_count, 0);
	world_upstream_address(&world, 1, 100, 5);
	assert_int_equal(world.reply_count, 1);
	assert_int_equal(world.unanswered_count, 0);
	assert_true(last_record()->tcp);
}

/* Stopping, no question goes upstream any more: who would move on is gone. */
static void test_stop_before_the_target_is_asked(void **state)
{
	struct world_query query = question("www.example", TYPE_A);

	(void)state;
	query.tcp = true;
	assert_null(world_ask(&world, 0, &query));
	query_stop(world.workers[0].engine);
	answer_with_alias(0, "chain.test");
	assert_int_equal(world.ask_count, 1);
	assert_int_equal(world.unanswered_count, 1);
	assert_int_equal(world.workers[0].counters.dropped_gone, 1);
}

/* Rules do not apply to what rules made: no circle, and one question each. */
static void test_rules_that_lead_to_each_other(void **state)
{
	struct world_query query = question("ping.test", TYPE_A);

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_asked(0, "pong.test.");
	world_upstream_address(&world, 0, 100, 5);
	assert_string_equal(
		records(&world.replies[0]), "ping.test. 5 300 pong.test.\npong.test. 1 100 5\n");
	query.name = "pong.test";
	assert_null(world_ask(&world, 0, &query));
	assert_asked(1, "ping.test.");
	world_upstream_address(&world, 1, 100, 6);
	assert_string_equal(
		records(&world.replies[1]), "pong.test. 5 300 ping.test.\nping.test. 1 100 6\n");
	assert_int_equal(world.ask_count, 2);
}

/* A rule that leads to the question itself is PASSTHRU (the older form), for the name it leads to.
 */
static void test_rule_that_leads_to_itself(void **state)
{
	struct world_query query = question("www.Self.test", TYPE_A);

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_asked(0, "www.self.test.");
	world_upstream_address(&world, 0, 100, 5);
	assert_string_equal(records(&world.replies[0]), "www.Self.test. 1 100 5\n");
	assert_int_equal(last_record()->action, TRANSACTION_NONE);
	assert_int_equal(last_record()->source, SOURCE_UPSTREAM);
	assert_int_equal(world_ede(&world.replies[0]), -1);
	query.name = "other.self.test";
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_string_equal(records(reply), "other.self.test. 5 300 www.self.test.\n"
					    "www.self.test. 1 100 5\n");
	query.name = "www.self.test";
	query.type = TYPE_ANY;
	reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_int_equal(world.ask_count, 1);
}

/* What never leaves does not leave as a target either. */
static void test_target_that_is_local(void **state)
{
	struct world_query query = question("here.test", TYPE_A);
	const struct world_reply *reply = world_ask(&world, 0, &query);

	(void)state;
	assert_non_null(reply);
	assert_string_equal(records(reply), "here.test. 5 300 localhost.\nlocalhost. 1 300 1\n");
	assert_int_equal(world.ask_count, 0);
	assert_int_equal(last_record()->source, SOURCE_POLICY);
}

static void test_stale_target(void **state)
{
	struct world_query query = question("bad.test", TYPE_A);

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 0, 10, 5);
	world_advance_ms(&world, 11000);
	assert_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 1799);
	assert_int_equal(world.reply_count, 1);
	world_run_ms(&world, 2);
	assert_int_equal(world.reply_count, 2);
	assert_string_equal(records(&world.replies[1]), "bad.test. 5 77 Walled.Garden.example.\n"
							"Walled.Garden.example. 1 30 5\n");
	assert_int_equal(world.workers[0].counters.stale_answers, 1);
	/* Nobody else has to find out that it takes so long. */
	assert_non_null(world_ask(&world, 0, &query));
	world_upstream_fail(&world, 1, TD_TIMEOUT);
}

static void test_client_that_has_waited_too_long(void **state)
{
	struct world_query query = question("www.example", TYPE_A);

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_run_ms(&world, 3000);
	answer_with_alias(0, "chain.test");
	world_run_ms(&world, 2499);
	assert_int_equal(query_pending(world.workers[0].engine), 1);
	world_run_ms(&world, 2);
	assert_int_equal(query_pending(world.workers[0].engine), 0);
	assert_int_equal(world.workers[0].counters.dropped_late, 1);
	assert_int_equal(world.reply_count, 0);
	world_upstream_fail(&world, 1, TD_TIMEOUT);
}

/* A reply that does not fit says so, and no more. */
static void test_truncation(void **state)
{
	struct world_query query = question("bad.test", TYPE_TXT);
	uint8_t text[251] = {250}, buffer[2048];
	struct compose compose;

	(void)state;
	query.edns_payload = 0;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	for (unsigned i = 0; i < 4; i++) {
		text[1] = (uint8_t)i;
		compose_rr(&compose, SECTION_ANSWER, &world.asks[0].question.qname, TYPE_TXT, 100,
			text, sizeof text);
	}
	world_upstream_send(&world, 0, &compose);
	assert_true(world_flags(&world.replies[0]) & DNS_FLAG_TC);
	assert_int_equal(world_count(&world.replies[0], 1), 0);
	query.tcp = true;
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_int_equal(world_count(reply, 1), 5);
	assert_int_equal(world.ask_count, 1);
}

/* With DO the target's signatures are passed on; a reply that was rewritten is never authentic. */
static void test_dnssec(void **state)
{
	struct world_query query = question("bad.test", TYPE_A);
	uint8_t signature[40] = {0, TYPE_A, 13, 3}, buffer[600];
	struct compose compose;

	(void)state;
	query.dnssec_ok = true;
	query.flags = DNS_FLAG_AD;
	assert_null(world_ask(&world, 0, &query));
	assert_true(world.asks[0].question.dnssec_ok);
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, DNS_FLAG_AD);
	compose_rr(&compose, SECTION_ANSWER, &world.asks[0].question.qname, TYPE_A, 100,
		"\300\0\2\1", 4);
	compose_rr(&compose, SECTION_ANSWER, &world.asks[0].question.qname, TYPE_RRSIG, 100,
		signature, sizeof signature);
	world_upstream_send(&world, 0, &compose);
	assert_string_equal(records(&world.replies[0]), "bad.test. 5 77 Walled.Garden.example.\n"
							"Walled.Garden.example. 1 100 1\n"
							"Walled.Garden.example. 46 100\n");
	assert_int_equal(world_flags(&world.replies[0]) & DNS_FLAG_AD, 0);
}

/* More questions than there are places: the oldest gives way, and whoever is led elsewhere is
 * answered. */
static void test_no_place_for_the_target(void **state)
{
	struct world_query query = question("www.example", TYPE_A);
	char name[32];

	(void)state;
	world.ask_max = 3;
	assert_null(world_ask(&world, 0, &query));
	query.name = name;
	for (unsigned i = 0; i < 2; i++) {
		snprintf(name, sizeof name, "n%u.example", i);
		query.id = (uint16_t)(100 + i);
		query.client = 2;
		assert_null(world_ask(&world, 0, &query));
	}
	answer_with_alias(0, "chain.test");
	snprintf(name, sizeof name, "late.example");
	query.id = 200;
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.workers[0].counters.gave_way, 1);
	for (unsigned i = 0; i < world.ask_count; i++)
		if (world.asks[i].open)
			world_upstream_address(&world, i, 100, 5);
	assert_int_equal(world.reply_count, 4);
}

/* Local data of any type, and of a wildcard: the question is the owner. */
static void test_local_data_of_any_type(void **state)
{
	struct world_query query = question("data.test", 65280);
	const struct world_reply *reply = world_ask(&world, 0, &query);
	struct message_rr rr;

	(void)state;
	assert_non_null(reply);
	assert_true(world_record_at(reply, 0, &rr));
	assert_int_equal(rr.type, 65280);
	assert_int_equal(rr.rdata_length, 4);
	assert_memory_equal(reply->bytes + rr.rdata_offset, "\1\2\3\4", 4);
	query = question("a.B.data.test", TYPE_TXT);
	reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_string_equal(records(reply), "a.B.data.test. 16 300\n");
	query.type = TYPE_A;
	reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_int_equal(world_count(reply, 1), 0);
	assert_int_equal(world_rcode(reply), RCODE_NOERROR);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown_idle)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_target_is_asked_and_told),
		TEST(test_rule_of_the_target),
		TEST(test_watched_is_not_redirected),
		TEST(test_redirected_is_not_refreshed),
		TEST(test_cname_and_any_get_the_alias_alone),
		TEST(test_wildcard_target_is_filled_in),
		TEST(test_wildcard_target_that_is_too_long),
		TEST(test_denied_target),
		TEST(test_target_that_fails),
		TEST(test_target_is_asked_once),
		TEST(test_same_id_for_two_names),
		TEST(test_rule_on_the_chain),
		TEST(test_subnet_is_not_for_the_target),
		TEST(test_other_rules_on_the_chain),
		TEST(test_rule_on_the_target_of_an_alias_that_was_asked_for),
		TEST(test_rules_that_are_gone_when_the_target_is_answered),
		TEST(test_tcp),
		TEST(test_stop_before_the_target_is_asked),
		TEST(test_rules_that_lead_to_each_other),
		TEST(test_rule_that_leads_to_itself),
		TEST(test_target_that_is_local),
		TEST(test_stale_target),
		TEST(test_client_that_has_waited_too_long),
		TEST(test_truncation),
		TEST(test_dnssec),
		TEST(test_no_place_for_the_target),
		TEST(test_local_data_of_any_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

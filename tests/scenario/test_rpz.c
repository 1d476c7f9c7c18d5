/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules of RPZ on the real query path: by address of the client and of the answer, over which
 * answer they come (fresh, cached, judged by another policy), and whom they concern. Each check
 * asks twice, so that the verdict on a fresh answer and on the cached one are the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scenario/world.h"

#define ZONE_HEAD \
	"$TTL 300\n@ SOA localhost. nobody.invalid. 1 3600 600 86400 60\n@ NS localhost.\n"
static const char tunnel_zone[] = ZONE_HEAD "32.1.113.0.203.rpz-ip CNAME .\n"
					    "32.2.113.0.203.rpz-ip CNAME *.\n"
					    "32.3.113.0.203.rpz-ip CNAME rpz-passthru.\n"
					    "32.4.113.0.203.rpz-ip CNAME rpz-drop.\n"
					    "32.5.113.0.203.rpz-ip CNAME rpz-tcp-only.\n"
					    "32.6.113.0.203.rpz-ip A 192.0.2.99\n"
					    "24.0.113.0.203.rpz-ip TXT \"the rest\"\n"
					    "128.1.zz.db8.2001.rpz-ip CNAME .\n"
					    "32.70.2.0.192.rpz-client-ip CNAME rpz-drop.\n"
					    "32.71.2.0.192.rpz-client-ip CNAME rpz-passthru.\n"
					    "31.72.2.0.192.rpz-client-ip CNAME .\n"
					    "32.74.2.0.192.rpz-client-ip CNAME rpz-tcp-only.\n"
					    "32.75.2.0.192.rpz-client-ip A 192.0.2.98\n"
					    "free.test CNAME rpz-passthru.\n"
					    "bad.test CNAME .\n"
					    "drop.test CNAME rpz-drop.\n"
					    "alias2.test CNAME *.\n";
static const char local_zone[] = ZONE_HEAD "onion CNAME .\n*.onion CNAME .\n";

static struct world world;

static int setup(void **state)
{
	(void)state;
	world_open(&world, tunnel_zone, local_zone);
	world_set_mode(&world, MODE_BLOCK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	world_assert_balance(&world);
	world_close(&world);
	return 0;
}

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	return name;
}

static void add_cname(struct compose *compose, const char *owner, const char *target)
{
	struct name from = name_of(owner), to = name_of(target);

	compose_rr_name(compose, SECTION_ANSWER, &from, TYPE_CNAME, 60, &to);
}

static void add_a(struct compose *compose, const char *owner, uint8_t last_octet)
{
	const uint8_t octets[4] = {203, 0, 113, last_octet};
	struct name name = name_of(owner);

	compose_rr(compose, SECTION_ANSWER, &name, TYPE_A, 60, octets, 4);
}

static void add_rrsig(struct compose *compose, const char *owner)
{
	uint8_t rdata[30] = {0, TYPE_A, 13, 2, [18] = 0};
	struct name name = name_of(owner);

	compose_rr(compose, SECTION_ANSWER, &name, TYPE_RRSIG, 60, rdata, sizeof(rdata));
}

/* The last question, answered with one address. */
static const struct world_reply *answer_with(uint8_t last_octet)
{
	unsigned before = world.reply_count;

	world_upstream_address(&world, world.ask_count - 1, 60, last_octet);
	return world.reply_count > before ? &world.replies[world.reply_count - 1] : NULL;
}

static const struct transaction *last_record(void)
{
	return &world.records[world.record_count - 1].transaction;
}

static const char *last_rule(void)
{
	return world.records[world.record_count - 1].rule;
}

/* --- addresses of the answer --- */

static void check_nxdomain(const struct world_reply *reply, const char *rule)
{
	struct message_rr rr;

	assert_non_null(reply);
	assert_int_equal(world_rcode(reply), RCODE_NXDOMAIN);
	assert_int_equal(world_count(reply, 1), 0);
	assert_true(world_record_at(reply, 0, &rr));
	assert_int_equal(rr.type, TYPE_SOA);
	assert_int_equal(world_ede(reply), EDE_BLOCKED);
	assert_int_equal(last_record()->action, TRANSACTION_BLOCK);
	assert_string_equal(last_rule(), rule);
}

/* The denial of a rule on an address stands at the question: nothing above it is denied. */
static void test_nxdomain_by_address(void **state)
{
	struct world_query query = {
		.name = "www.one.test", .type = TYPE_A, .client = 1, .edns_payload = 1232};
	struct message_rr rr;

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	const struct world_reply *reply = answer_with(1);
	check_nxdomain(reply, "32.1.113.0.203.rpz-ip.");
	assert_true(world_record_at(reply, 0, &rr));
	assert_memory_equal(rr.owner.wire, "\3www\3one\4test", 14);
	check_nxdomain(world_ask(&world, 1, &query), "32.1.113.0.203.rpz-ip.");
	assert_int_equal(world.ask_count, 1);
	query.type = TYPE_AAAA;
	assert_null(world_ask(&world, 0, &query));
	check_nxdomain(answer_with(1), "128.1.zz.db8.2001.rpz-ip.");
	check_nxdomain(world_ask(&world, 2, &query), "128.1.zz.db8.2001.rpz-ip.");
}

static void test_nodata_and_local_data_by_address(void **state)
{
	struct world_query query = {.name = "two.test", .type = TYPE_A, .client = 1};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	for (unsigned i = 0; i < 2; i++) {
		const struct world_reply *reply = i ? world_ask(&world, 0, &query) : answer_with(2);
		assert_int_equal(world_rcode(reply), RCODE_NOERROR);
		assert_int_equal(world_count(reply, 1), 0);
		assert_int_equal(world_count(reply, 2), 1);
	}
	query.name = "six.test";
	assert_null(world_ask(&world, 0, &query));
	for (unsigned i = 0; i < 2; i++) {
		const struct world_reply *reply = i ? world_ask(&world, 0, &query) : answer_with(6);
		struct message_rr rr;
		assert_true(world_record_at(reply, 0, &rr));
		assert_memory_equal(reply->bytes + rr.rdata_offset, "\300\000\002\143", 4);
		assert_memory_equal(rr.owner.wire, "\3six\4test", 10);
	}
	query.name = "seven.test"; /* a rule that has other types only: NODATA */
	assert_null(world_ask(&world, 0, &query));
	for (unsigned i = 0; i < 2; i++) {
		const struct world_reply *reply = i ? world_ask(&world, 0, &query) : answer_with(7);
		assert_int_equal(world_rcode(reply), RCODE_NOERROR);
		assert_int_equal(world_count(reply, 1), 0);
	}
}

static void test_drop_by_address(void **state)
{
	struct world_query query = {.name = "four.test", .type = TYPE_A, .client = 1};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_null(answer_with(4));
	assert_int_equal(world.workers[0].counters.dropped_policy, 1);
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.workers[0].counters.dropped_policy, 2);
	assert_int_equal(world.ask_count, 1);
}

/* Over UDP "come back over TCP", there the truth, which is a hit that blocked nothing. */
static void test_tcp_only_by_address(void **state)
{
	struct world_query query = {.name = "five.test", .type = TYPE_A, .client = 1};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_true(world_flags(answer_with(5)) & DNS_FLAG_TC);
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_true(world_flags(reply) & DNS_FLAG_TC);
	assert_int_equal(world_count(reply, 1), 0);
	query.tcp = true;
	reply = world_ask(&world, 0, &query);
	assert_false(world_flags(reply) & DNS_FLAG_TC);
	assert_int_equal(world_count(reply, 1), 1);
	assert_int_equal(last_record()->action, TRANSACTION_WATCH);
}

static void test_passthru_by_address(void **state)
{
	struct world_query query = {.name = "three.test", .type = TYPE_A, .client = 1};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	for (unsigned i = 0; i < 2; i++) {
		const struct world_reply *reply = i ? world_ask(&world, 0, &query) : answer_with(3);
		assert_int_equal(world_count(reply, 1), 1);
		assert_int_equal(last_record()->action, TRANSACTION_NONE);
	}
}

/* Watched, the answer is the true one; the same cached answer is denied a moment later. */
static void test_watch_then_block(void **state)
{
	struct world_query query = {
		.name = "one.test", .type = TYPE_A, .client = 1, .edns_payload = 1232};

	(void)state;
	world_set_mode(&world, MODE_WATCH);
	assert_null(world_ask(&world, 0, &query));
	for (unsigned i = 0; i < 2; i++) {
		const struct world_reply *reply = i ? world_ask(&world, 0, &query) : answer_with(1);
		assert_int_equal(world_count(reply, 1), 1);
		assert_int_equal(last_record()->action, TRANSACTION_WATCH);
		assert_string_equal(last_rule(), "32.1.113.0.203.rpz-ip.");
	}
	world_set_mode(&world, MODE_BLOCK);
	check_nxdomain(world_ask(&world, 0, &query), "32.1.113.0.203.rpz-ip.");
	world_set_mode(&world, MODE_IGNORE);
	assert_int_equal(world_count(world_ask(&world, 0, &query), 1), 1);
	assert_int_equal(last_record()->action, TRANSACTION_NONE);
}

/* A rule on the question that lets it through ends the search: none on the answer counts. */
static void test_question_before_answer(void **state)
{
	struct world_query query = {.name = "free.test", .type = TYPE_A, .client = 1};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	for (unsigned i = 0; i < 2; i++) {
		const struct world_reply *reply = i ? world_ask(&world, 0, &query) : answer_with(1);
		assert_int_equal(world_count(reply, 1), 1);
	}
	/* And one that denies does not wait for anybody. */
	query.name = "bad.test";
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	assert_int_equal(world.ask_count, 1);
	/* In a zone that watches, it says that this zone has nothing against the answer. */
	world_set_mode(&world, MODE_WATCH);
	query.name = "free.test";
	assert_int_equal(world_count(world_ask(&world, 0, &query), 1), 1);
	assert_int_equal(last_record()->action, TRANSACTION_NONE);
}

/* Of several addresses the longest prefix counts, wherever it stands; all of them are looked at. */
static void test_all_addresses(void **state)
{
	struct world_query query = {.name = "many.test", .type = TYPE_A, .client = 1, .tcp = true};
	struct compose compose;
	uint8_t buffer[4096];

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof(buffer), 0);
	for (unsigned i = 100; i < 200; i++)
		add_a(&compose, "many.test", (uint8_t)i);
	add_a(&compose, "many.test", 2);
	world_upstream_send(&world, 0, &compose);
	assert_int_equal(world_count(&world.replies[0], 1), 0);
	assert_string_equal(last_rule(), "32.2.113.0.203.rpz-ip.");
	assert_int_equal(world_count(world_ask(&world, 0, &query), 1), 0);
}

static void add_mapped(struct compose *compose, const char *owner, uint8_t last_octet)
{
	const uint8_t octets[16] = {
		[10] = 0xff, [11] = 0xff, [12] = 203, [14] = 113, [15] = last_octet};
	struct name name = name_of(owner);

	compose_rr(compose, SECTION_ANSWER, &name, TYPE_AAAA, 60, octets, 16);
}

/* An IPv4-mapped address is one of IPv4. */
static void test_mapped_address(void **state)
{
	struct world_query query = {.name = "mapped.test", .type = TYPE_AAAA, .client = 1};
	struct compose compose;
	uint8_t buffer[600];

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof(buffer), 0);
	add_mapped(&compose, "mapped.test", 1);
	world_upstream_send(&world, 0, &compose);
	assert_int_equal(world_rcode(&world.replies[0]), RCODE_NXDOMAIN);
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
}

/* --- the chain --- */

/* The name first in the chain counts, whatever the order of zones; at its end the name before the
 * addresses. */
static void test_order_in_the_chain(void **state)
{
	struct world_query query = {.name = "start.test", .type = TYPE_A, .client = 1};
	struct query_policy policy = world.policy;
	struct policy_builder *builder = policy_builder_new();
	struct compose compose;
	uint8_t buffer[600];
	static const char *const zones[2] = {ZONE_HEAD "second.test CNAME .\n",
		ZONE_HEAD "first.test CNAME *.\nsecond.test CNAME rpz-drop.\n"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(
			policy_builder_zone(builder, i ? "later" : "earlier", ZONE_LIST), TD_OK);
		assert_int_equal(policy_builder_rpz(builder, "t", zones[i], strlen(zones[i]), NULL,
					 NULL, NULL),
			TD_OK);
		policy.view.mode[0][i] = MODE_BLOCK;
	}
	policy.view.index = policy_builder_finish(&builder);
	policy.view.generation = 2;
	query_set_policy(world.workers[0].engine, &policy);
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof(buffer), 0);
	add_cname(&compose, "start.test", "first.test");
	add_cname(&compose, "first.test", "second.test");
	add_a(&compose, "second.test", 9);
	world_upstream_send(&world, 0, &compose);
	for (unsigned i = 0; i < 2; i++) {
		const struct world_reply *reply =
			i ? world_ask(&world, 0, &query) : &world.replies[0];
		assert_int_equal(world_rcode(reply), RCODE_NOERROR);
		assert_int_equal(world_count(reply, 1), 1); /* the alias that leads there */
		assert_string_equal(last_rule(), "first.test.");
	}
	query_set_policy(world.workers[0].engine, &world.policy);
	policy_index_free((struct policy_index *)policy.view.index);
}

static void test_name_before_address_at_the_end(void **state)
{
	struct world_query query = {.name = "start.test", .type = TYPE_A, .client = 1};
	struct compose compose;
	uint8_t buffer[600];

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof(buffer), 0);
	add_cname(&compose, "start.test", "alias1.test");
	add_cname(&compose, "alias1.test", "alias2.test");
	add_a(&compose, "alias2.test", 1);
	world_upstream_send(&world, 0, &compose);
	assert_int_equal(world_rcode(&world.replies[0]), RCODE_NOERROR);
	assert_string_equal(last_rule(), "alias2.test.");
	world_ask(&world, 0, &query);
	assert_string_equal(last_rule(), "alias2.test.");
}

/* --- clients --- */

/* One cached answer, and for each client its own rule; one of them before that on the question. */
static void test_clients_on_one_answer(void **state)
{
	struct world_query query = {.name = "plain.test", .type = TYPE_AAAA, .client = 1};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_non_null(answer_with(9));
	query.client = 70;
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.workers[0].counters.dropped_policy, 1);
	query.client = 71;
	assert_int_equal(world_count(world_ask(&world, 0, &query), 1), 1);
	assert_int_equal(last_record()->action, TRANSACTION_NONE);
	for (query.client = 72; query.client <= 73; query.client++) {
		assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
		assert_string_equal(last_rule(), "31.72.2.0.192.rpz-client-ip.");
	}
	query.client = 74;
	assert_true(world_flags(world_ask(&world, 0, &query)) & DNS_FLAG_TC);
	query.client = 75;
	query.type = TYPE_A;
	assert_int_equal(world_count(world_ask(&world, 0, &query), 1), 1);
	query.client = 2;
	query.type = TYPE_AAAA;
	assert_int_equal(world_count(world_ask(&world, 0, &query), 1), 1);
	assert_int_equal(world.ask_count, 1);
}

/* The client before the question (5.4): who is let through is let through to what others are
 * denied. */
static void test_client_before_question(void **state)
{
	struct world_query query = {.name = "bad.test", .type = TYPE_A, .client = 71};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world_count(answer_with(1), 1), 1);
	query.client = 1;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	query.client = 71;
	assert_int_equal(world_count(world_ask(&world, 0, &query), 1), 1);
	query.name = "drop.test";
	query.client = 72;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	query.client = 1;
	assert_null(world_ask(&world, 0, &query));
}

/* Such a rule does not wait for an answer either, and holds where there is none. */
static void test_client_rule_does_not_wait(void **state)
{
	struct world_query query = {.name = "slow.test", .type = TYPE_A, .client = 72};

	(void)state;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	assert_int_equal(world.ask_count, 0);
	world_set_mode(&world, MODE_WATCH);
	assert_null(world_ask(&world, 0, &query));
	world_set_mode(&world, MODE_BLOCK);
	world_upstream_fail(&world, 0, TD_TIMEOUT);
	assert_int_equal(world_rcode(&world.replies[world.reply_count - 1]), RCODE_NXDOMAIN);
}

/* --- overrides --- */

static void test_override(void **state)
{
	struct world_query query = {.name = "bad.test", .type = TYPE_A, .client = 1};
	struct query_policy policy = world.policy;
	struct name garden = name_of("garden.example");
	struct message_rr rr;

	(void)state;
	query_set_policy(world.workers[0].engine, &policy);
	policy.view.override[1] = ACTION_NODATA;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NOERROR);
	assert_string_equal(last_rule(), "bad.test.");
	policy.view.override[1] = ACTION_DROP;
	assert_null(world_ask(&world, 0, &query));
	policy.view.override[1] = ACTION_TCP_ONLY;
	assert_true(world_flags(world_ask(&world, 0, &query)) & DNS_FLAG_TC);
	policy.view.override[1] = ACTION_NXDOMAIN;
	query.name = "free.test"; /* a rule of any action */
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	policy.view.override[1] = ACTION_PASSTHRU;
	query.name = "bad.test";
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world_count(answer_with(1), 1), 1);
	assert_int_equal(last_record()->action, TRANSACTION_NONE);
	policy.view.override[1] = ACTION_LOCAL_DATA;
	policy.view.alias[1] = &garden;
	query.type = TYPE_CNAME;
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_true(world_record_at(reply, 0, &rr));
	assert_int_equal(rr.type, TYPE_CNAME);
	assert_int_equal(rr.ttl, 60);
	query_set_policy(world.workers[0].engine, &world.policy);
	query.type = TYPE_A;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
}

/* --- signed answers --- */

static const struct world_reply *answer_signed(const char *owner)
{
	struct compose compose;
	uint8_t buffer[600];

	world_upstream_begin(&world, world.ask_count - 1, &compose, buffer, sizeof(buffer), 0);
	add_a(&compose, owner, 1);
	add_rrsig(&compose, owner);
	world_upstream_send(&world, world.ask_count - 1, &compose);
	return &world.replies[world.reply_count - 1];
}

/* As BIND with break-dnssec no: a signed answer stays as it is for who asks for signatures. */
static void test_keep_dnssec(void **state)
{
	struct world_query query = {.name = "bad.test",
		.type = TYPE_A,
		.client = 1,
		.edns_payload = 1232,
		.dnssec_ok = true};

	(void)state;
	world.policy.keep_dnssec = true;
	assert_null(world_ask(&world, 0, &query)); /* the rule has to wait */
	for (unsigned i = 0; i < 2; i++) {
		const struct world_reply *reply =
			i ? world_ask(&world, 0, &query) : answer_signed("bad.test");
		assert_int_equal(world_rcode(reply), RCODE_NOERROR);
		assert_int_equal(world_count(reply, 1), 2);
		assert_int_equal(world_flags(reply) & DNS_FLAG_OPCODE, 0);
		assert_int_equal(last_record()->action, TRANSACTION_WATCH);
		assert_string_equal(last_rule(), "bad.test.");
	}
	query.dnssec_ok = false;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	world.policy.keep_dnssec = false;
	query.dnssec_ok = true;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
}

/* What is not signed is judged as ever, and so is what has no answer at all. */
static void test_keep_dnssec_of_unsigned(void **state)
{
	struct world_query query = {.name = "bad.test",
		.type = TYPE_A,
		.client = 1,
		.edns_payload = 1232,
		.dnssec_ok = true};

	(void)state;
	world.policy.keep_dnssec = true;
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world_rcode(answer_with(9)), RCODE_NXDOMAIN);
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	query.type = TYPE_AAAA;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_fail(&world, world.ask_count - 1, TD_TIMEOUT);
	assert_int_equal(world_rcode(&world.replies[world.reply_count - 1]), RCODE_NXDOMAIN);
	query.name = "x.onion"; /* never leaves */
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	query.name = "bad.test"; /* nor does ANY */
	query.type = TYPE_ANY;
	query.tcp = true;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	query.name = "drop.test";
	query.type = TYPE_A;
	assert_null(world_ask(&world, 0, &query));
	assert_null(answer_with(9));
	assert_int_equal(world.workers[0].counters.dropped_policy, 1);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_nxdomain_by_address),
		T(test_nodata_and_local_data_by_address),
		T(test_drop_by_address),
		T(test_tcp_only_by_address),
		T(test_passthru_by_address),
		T(test_watch_then_block),
		T(test_question_before_answer),
		T(test_all_addresses),
		T(test_mapped_address),
		T(test_order_in_the_chain),
		T(test_name_before_address_at_the_end),
		T(test_clients_on_one_answer),
		T(test_client_before_question),
		T(test_client_rule_does_not_wait),
		T(test_override),
		T(test_keep_dnssec),
		T(test_keep_dnssec_of_unsigned),
	};
	return cmocka_run_group_tests_name("rpz", tests, NULL, NULL);
}

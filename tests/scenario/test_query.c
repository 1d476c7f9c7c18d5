/* SPDX-License-Identifier: BSD-3-Clause */
/* The path of a query from packet to reply and record, on a fake network and clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/scenario/bed.h"

static const char tunnel_zone[] =
	ZONE_HEAD "teredo.test CNAME .\n*.wild.test CNAME .\nnodata.test CNAME *.\nquiet.test "
		  "CNAME rpz-drop.\n"
		  "stream.test CNAME rpz-tcp-only.\nmade.test A 192.0.2.99\ntarget.test CNAME "
		  ".\nfree.wild.test CNAME rpz-passthru.\n";
static const char local_zone[] =
	ZONE_HEAD "localhost A 127.0.0.1\nonion CNAME .\n*.onion CNAME .\n";

static int setup(void **state)
{
	(void)state;
	world_open(&world, tunnel_zone, local_zone);
	return 0;
}

static void test_miss_then_hit_with_aged_ttl(void **state)
{
	struct world_query query = {
		.name = "WwW.Example.org", .type = TYPE_A, .id = 7, .client = 1};
	struct message_rr rr;

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 1);
	world_upstream_address(&world, 0, 100, 5);
	assert_int_equal(world.reply_count, 1);
	assert_int_equal(world.records[0].transaction.source, SOURCE_UPSTREAM);
	world_advance_ms(&world, 30500);
	query.name = "www.eXample.org";
	query.id = 9;
	const struct world_reply *reply = world_ask(&world, 1, &query);
	assert_non_null(reply);
	assert_int_equal(reply->bytes[1], 9);
	assert_memory_equal(reply->bytes + 12, "\3www\7eXample\3org", 17);
	assert_true(world_record_at(reply, 0, &rr));
	assert_int_equal(rr.ttl, 70);
	assert_memory_equal(rr.owner.wire, "\3www\7eXample\3org", 17);
	assert_int_equal(world.records[1].transaction.source, SOURCE_CACHE);
	assert_int_equal(
		world.records[1].transaction.answer_id, world.records[0].transaction.answer_id);
	world_advance_ms(&world, 69500);
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_upstream_fail(&world, 1, TD_TIMEOUT);
}

static void test_negative_answer_is_cached_for_the_soa_minimum(void **state)
{
	struct world_query query = {.name = "no.example.org", .type = TYPE_A, .id = 7, .client = 1};
	struct compose_soa soa = {.serial = 1, .minimum_s = 20};
	struct compose compose;
	struct name apex;
	uint8_t buffer[600];

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, RCODE_NXDOMAIN);
	name_from_text(&apex, "example.org", 11);
	name_from_text(&soa.mname, "a", 1);
	name_from_text(&soa.rname, "b", 1);
	compose_rr_soa(&compose, SECTION_AUTHORITY, &apex, 3600, &soa);
	world_upstream_send(&world, 0, &compose);
	world_advance_ms(&world, 19000);
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_int_equal(world_rcode(reply), RCODE_NXDOMAIN);
	assert_int_equal(world_count(reply, 2), 1);
	world_advance_ms(&world, 1000);
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 1, 1, 1);
}

static void test_identical_questions_share_one_upstream_question(void **state)
{
	struct world_query query = {.name = "many.example", .type = TYPE_AAAA, .client = 1};

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		query.id = (uint16_t)i;
		query.client = (uint8_t)(i + 1);
		assert_null(world_ask(&world, i % WORLD_WORKERS, &query));
	}
	world_deliver(&world);
	assert_int_equal(world.ask_count, 1);
	world_upstream_address(
		&world, 0, 0, 3); /* TTL 0: shared by those who wait, kept by nobody */
	world_deliver(&world);
	assert_int_equal(world.reply_count, 40);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(world.replies[i].client.peer.address.octets[3],
			world.replies[i].bytes[1] + 1);
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_upstream_fail(&world, 1, TD_IO);
}

static void test_subscription_that_comes_too_late_asks_again(void **state)
{
	struct world_query query = {.name = "late.example", .type = TYPE_A, .client = 1};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	assert_null(world_ask(&world, 1, &query));
	world_upstream_address(&world, 0, 0, 3); /* answered before the letter is read */
	world_deliver(&world);
	assert_int_equal(world.ask_count, 2);
	assert_int_equal(world.asks[1].worker, 1);
	world_upstream_address(&world, 1, 30, 4);
	assert_int_equal(world.reply_count, 2);
}

static void test_failure_reaches_every_waiter(void **state)
{
	struct world_query query = {
		.name = "dead.example", .type = TYPE_A, .client = 1, .edns_payload = 1232};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	query.id++;
	assert_null(world_ask(&world, 0, &query));
	assert_null(world_ask(&world, 1, &query));
	world_deliver(&world);
	world_upstream_fail(&world, 0, TD_TIMEOUT);
	world_deliver(&world);
	assert_int_equal(world.reply_count, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(world_rcode(&world.replies[i]), RCODE_SERVFAIL);
}

static void test_no_upstream_answers_at_once(void **state)
{
	struct world_query query = {.name = "teredo.test", .type = TYPE_A, .client = 1};

	(void)state;
	world.ask_error = TD_IO;
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.reply_count, 1);
	assert_int_equal(world_rcode(&world.replies[0]), RCODE_SERVFAIL);
	assert_int_equal(world.records[0].transaction.action, TRANSACTION_WATCH);
	assert_string_equal(world.records[0].rule, "teredo.test.");
}

static void test_watch_answers_truthfully_and_records(void **state)
{
	struct world_query query = {.name = "Teredo.TEST", .type = TYPE_A, .client = 1};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 0, 60, 1);
	assert_int_equal(world_rcode(&world.replies[0]), RCODE_NOERROR);
	assert_int_equal(world.records[0].transaction.action, TRANSACTION_WATCH);
	assert_int_equal(world.records[0].transaction.zone, 11);
	assert_string_equal(world.records[0].rule, "teredo.test.");
	assert_string_equal(world.records[0].qname, "teredo.test.");
}

static void test_block_denies_with_soa_and_ede_cached_or_not(void **state)
{
	struct world_query query = {
		.name = "teredo.test", .type = TYPE_A, .client = 1, .edns_payload = 4096};
	struct message_rr rr;

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 0, 60, 1);
	world_set_mode(&world, MODE_BLOCK);
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_non_null(reply);
	assert_int_equal(world_rcode(reply), RCODE_NXDOMAIN);
	assert_int_equal(world_count(reply, 1), 0);
	assert_true(world_record_at(reply, 0, &rr));
	assert_int_equal(rr.type, TYPE_SOA);
	assert_int_equal(rr.ttl, 60);
	assert_memory_equal(rr.owner.wire, "\6teredo\4test", 13);
	assert_true(world_record_at(reply, 1, &rr));
	assert_int_equal(rr.type, TYPE_OPT);
	assert_memory_equal(reply->bytes + rr.rdata_offset, "\0\17", 2);
	assert_int_equal(reply->bytes[rr.rdata_offset + 5], EDE_BLOCKED);
	query.name = "a.b.wild.test";
	assert_int_equal(world_rcode(world_ask(&world, 1, &query)), RCODE_NXDOMAIN);
	assert_int_equal(world.records[2].transaction.action, TRANSACTION_BLOCK);
	assert_string_equal(world.records[2].rule, "*.wild.test.");
	assert_int_equal(world.ask_count, 1);
	world_set_mode(&world, MODE_WATCH);
	query.name = "teredo.test";
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NOERROR);
}

static void test_every_action(void **state)
{
	struct world_query query = {.name = "nodata.test", .type = TYPE_A, .client = 1};
	const struct world_reply *reply;

	(void)state;
	world_set_mode(&world, MODE_BLOCK);
	reply = world_ask(&world, 0, &query);
	assert_int_equal(world_rcode(reply), RCODE_NOERROR);
	assert_int_equal(world_count(reply, 1), 0);
	assert_int_equal(world_count(reply, 2), 1);
	query.name = "quiet.test";
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.workers[0].counters.dropped_policy, 1);
	query.name = "stream.test";
	assert_true(world_flags(world_ask(&world, 0, &query)) & DNS_FLAG_TC);
	query.tcp = true;
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 1);
	query.tcp = false;
	query.name = "made.test";
	assert_int_equal(world_count(world_ask(&world, 0, &query), 1), 1);
	query.type = TYPE_AAAA;
	reply = world_ask(&world, 0, &query);
	assert_int_equal(world_count(reply, 1), 0);
	assert_int_equal(world_count(reply, 2), 1);
	query.name = "free.wild.test";
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_upstream_address(&world, 0, 1, 1);
	world_upstream_address(&world, 1, 1, 1);
}

static void add_cname(struct compose *compose, const char *owner, const char *target)
{
	struct name from, to;

	name_from_text(&from, owner, strlen(owner));
	name_from_text(&to, target, strlen(target));
	assert_true(compose_rr_name(compose, SECTION_ANSWER, &from, TYPE_CNAME, 50, &to) > 0);
}

static void add_a(
	struct compose *compose, enum compose_section section, const char *owner, uint8_t last)
{
	const uint8_t v4[4] = {203, 0, 113, last};
	struct name name;

	name_from_text(&name, owner, strlen(owner));
	assert_true(compose_rr(compose, section, &name, TYPE_A, 40, v4, sizeof v4) > 0);
}

static void test_rule_on_the_chain_of_an_answer(void **state)
{
	struct world_query query = {.name = "alias.example", .type = TYPE_A, .client = 1};
	struct compose compose;
	uint8_t buffer[600];

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	add_cname(&compose, "alias.example", "Target.test");
	add_a(&compose, SECTION_ANSWER, "target.test", 1);
	world_upstream_send(&world, 0, &compose);
	assert_string_equal(world.records[0].rule, "target.test.");
	assert_int_equal(world_count(&world.replies[0], 1), 2);
	world_set_mode(&world, MODE_BLOCK);
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
}

static void test_only_the_chain_is_passed_on(void **state)
{
	struct world_query query = {.name = "a.example", .type = TYPE_A, .client = 1};
	struct compose compose;
	struct message_rr rr;
	struct name ns;
	uint8_t buffer[900];

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	add_a(&compose, SECTION_ANSWER, "victim.example", 66);
	add_cname(&compose, "a.example", "b.example");
	add_a(&compose, SECTION_ANSWER, "b.example", 1);
	name_from_text(&ns, "ns.evil", 7);
	compose_rr_name(&compose, SECTION_AUTHORITY, &ns, TYPE_NS, 99, &ns);
	add_a(&compose, SECTION_ADDITIONAL, "bank.example", 66);
	world_upstream_send(&world, 0, &compose);
	const struct world_reply *reply = &world.replies[0];
	assert_int_equal(world_count(reply, 1), 2);
	assert_int_equal(world_count(reply, 2), 0);
	assert_int_equal(world_count(reply, 3), 0);
	assert_true(world_record_at(reply, 1, &rr));
	assert_int_equal(reply->bytes[rr.rdata_offset + 3], 1);
	query.name = "b.example"; /* the target is not cached under its own name */
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_upstream_address(&world, 1, 1, 1);
}

static void test_chain_of_any_order_and_a_loop(void **state)
{
	struct world_query query = {.name = "x.example", .type = TYPE_A, .client = 1};
	struct compose compose;
	uint8_t buffer[900];

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	add_a(&compose, SECTION_ANSWER, "z.example", 9);
	add_cname(&compose, "y.example", "z.example");
	add_cname(&compose, "x.example", "y.example");
	world_upstream_send(&world, 0, &compose);
	assert_int_equal(world_count(&world.replies[0], 1), 3);
	query.name = "loop.example";
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 1, &compose, buffer, sizeof buffer, 0);
	add_cname(&compose, "loop.example", "pool.example");
	add_cname(&compose, "pool.example", "loop.example");
	world_upstream_send(&world, 1, &compose);
	assert_int_equal(world_rcode(&world.replies[1]), RCODE_SERVFAIL);
}

static void test_block_at_the_arrival_of_an_answer(void **state)
{
	struct world_query query = {.name = "alias.example", .type = TYPE_A, .client = 1};
	struct compose compose;
	uint8_t buffer[600];

	(void)state;
	world_set_mode(&world, MODE_BLOCK);
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	add_cname(&compose, "alias.example", "target.test");
	add_a(&compose, SECTION_ANSWER, "target.test", 1);
	world_upstream_send(&world, 0, &compose);
	assert_int_equal(world_rcode(&world.replies[0]), RCODE_NXDOMAIN);
	assert_int_equal(world.records[0].transaction.source, SOURCE_POLICY);
	assert_int_equal(world.records[0].transaction.upstream.address.family, 0);
}

/* What nobody is told need not be kept fresh. */
static void test_silence_is_not_refreshed(void **state)
{
	struct world_query query = {.name = "quiet.test", .type = TYPE_A, .client = 1};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 0, 100, 5);
	assert_non_null(world_ask(&world, 0, &query));
	world_set_mode(&world, MODE_BLOCK);
	world_run_ms(&world, 95000);
	assert_null(world_ask(&world, 0, &query));
	assert_int_equal(world.workers[0].counters.dropped_policy, 1);
	assert_int_equal(world.ask_count, 1);
	world_set_mode(&world, MODE_WATCH);
	world_run_ms(&world, 3000);
	assert_non_null(world_ask(&world, 0, &query));
	assert_int_equal(world.ask_count, 2);
	world_upstream_address(&world, 1, 100, 5);
}

static void test_silence_for_a_pending_query_gives_its_place_back(void **state)
{
	struct world_query query = {
		.name = "alias.example", .type = TYPE_A, .client = 1, .tcp = true};
	struct compose compose;
	uint8_t buffer[600];

	(void)state;
	world_set_mode(&world, MODE_BLOCK);
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	add_cname(&compose, "alias.example", "quiet.test");
	world_upstream_send(&world, 0, &compose);
	assert_int_equal(world.reply_count, 0);
	assert_int_equal(world.unanswered_count, 1);
	assert_int_equal(world.workers[0].counters.dropped_policy, 1);
}

/* The DNAME that an alias was made from belongs to the answer, whether the client validates or not
 * (RFC 6672, 3.1). */
static void test_dname_goes_with_its_alias(void **state)
{
	struct world_query query = {
		.name = "a.b.old.example", .type = TYPE_A, .client = 1, .edns_payload = 1232};
	struct compose compose;
	struct message_rr rr;
	struct name owner = {.length = 13, .wire = "\3old\7example"},
		    rider = {.length = 15, .wire = "\5other\7example"};
	const uint8_t target[] = "\3new\7example";
	uint8_t buffer[600];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		query.dnssec_ok = i == 1;
		assert_null(world_ask(&world, 0, &query));
		world_upstream_begin(&world, i, &compose, buffer, sizeof buffer, 0);
		compose_rr(&compose, SECTION_ANSWER, &rider, TYPE_DNAME, 60, target, sizeof target);
		compose_rr(&compose, SECTION_ANSWER, &owner, TYPE_DNAME, 60, target, sizeof target);
		add_cname(&compose, "a.b.old.example", "a.b.new.example");
		add_a(&compose, SECTION_ANSWER, "a.b.new.example", 1);
		world_upstream_send(&world, i, &compose);
	}
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(world_count(&world.replies[i], 1), 3);
		assert_true(world_record_at(&world.replies[i], 0, &rr));
		assert_int_equal(rr.type, TYPE_DNAME);
		assert_true(name_equal(&rr.owner, &owner));
	}
}

/* Compressed names come out whole in every type that may hold them (RFC 3597, 4), behind however
 * much is before them. */
static void test_names_in_rdata_are_decompressed(void **state)
{
	static const struct {
		uint16_t type;
		const char *rdata, *expected;
		uint8_t size, expected_size;
	} cases[] = {
		{TYPE_MX, "\0\12\4mail\300\14", "\0\12\4mail\1z\7example", 9, 18},
		{21 /* RT */, "\0\12\4mail\300\14", "\0\12\4mail\1z\7example", 9, 18},
		{35 /* NAPTR */, "\0\1\0\2\1s\3sip\0\300\16", "\0\1\0\2\1s\3sip\0\7example", 13,
			20},
		{24 /* SIG */, "\0\1\5\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\300\16sig",
			"\0\1\5\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\7example\0sig", 23, 30},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct world_query query = {
			.name = "z.example", .type = cases[i].type, .client = 1};
		struct compose compose;
		struct message_rr rr;
		uint8_t buffer[600];
		assert_null(world_ask(&world, 0, &query));
		world_upstream_begin(&world, i, &compose, buffer, sizeof buffer, 0);
		compose_rr(&compose, SECTION_ANSWER, &world.asks[i].question.qname, cases[i].type,
			60, cases[i].rdata, cases[i].size);
		world_upstream_send(&world, i, &compose);
		assert_true(world_record_at(&world.replies[i], 0, &rr));
		assert_int_equal(rr.rdata_length, cases[i].expected_size);
		assert_memory_equal(world.replies[i].bytes + rr.rdata_offset, cases[i].expected,
			rr.rdata_length);
	}
}

static void test_compressed_name_before_a_long_rest_is_refused(void **state)
{
	struct world_query query = {.name = "z.example", .type = TYPE_MX, .client = 1, .tcp = true};
	static uint8_t buffer[6000], rdata[5000] = "\0\12\4mail\300\14";
	struct compose compose;

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	compose_rr(&compose, SECTION_ANSWER, &world.asks[0].question.qname, TYPE_MX, 60, rdata,
		sizeof rdata);
	world_upstream_send(&world, 0, &compose);
	assert_int_equal(world_rcode(&world.replies[0]), RCODE_SERVFAIL);
}

static void test_size_limits(void **state)
{
	struct world_query query = {.name = "big.example", .type = TYPE_TXT, .client = 1};
	struct compose compose;
	uint8_t buffer[3000], text[200] = {199};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_begin(&world, 0, &compose, buffer, sizeof buffer, 0);
	for (unsigned i = 0; i < 4; i++)
		compose_rr(&compose, SECTION_ANSWER, &world.asks[0].question.qname, TYPE_TXT, 60,
			text, sizeof text);
	world_upstream_send(&world, 0, &compose);
	assert_true(world_flags(&world.replies[0]) & DNS_FLAG_TC);
	assert_int_equal(world_count(&world.replies[0], 1), 0);
	assert_int_equal(world.records[0].transaction.answer_id, 0);
	query.edns_payload = 100; /* under 512 means 512 */
	assert_true(world_flags(world_ask(&world, 0, &query)) & DNS_FLAG_TC);
	query.edns_payload = 4096;
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_false(world_flags(reply) & DNS_FLAG_TC);
	assert_int_equal(world_count(reply, 3), 1);
	query.edns_payload = 0;
	query.tcp = true;
	reply = world_ask(&world, 0, &query);
	assert_int_equal(world_count(reply, 1), 4);
	assert_int_equal(world_count(reply, 3), 0);
}

static void test_local_names_never_leave(void **state)
{
	struct world_query query = {.name = "localhost", .type = TYPE_A, .client = 1};

	(void)state;
	const struct world_reply *reply = world_ask(&world, 0, &query);
	assert_int_equal(world_count(reply, 1), 1);
	assert_int_equal(world.records[0].transaction.source, SOURCE_LOCAL);
	assert_int_equal(world.records[0].transaction.action, TRANSACTION_NONE);
	query.name = "x.onion";
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
	assert_int_equal(world.ask_count, 0);
}

static void test_refusals(void **state)
{
	struct world_query query = {.name = "any.example", .type = TYPE_ANY, .client = 1};
	struct message_rr rr;

	(void)state;
	assert_true(world_record_at(world_ask(&world, 0, &query), 0, &rr));
	assert_int_equal(rr.type, TYPE_HINFO);
	query.type = TYPE_AXFR;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_REFUSED);
	query.type = TYPE_A;
	query.flags = 2 << 11;
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NOTIMP);
	query.flags = 0;
	assert_int_equal(prefix_from_text(&world.allow, "198.51.100.0/24"), TD_OK);
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_REFUSED);
	query.flags = 2 << 11; /* the opcode comes back, whatever the reason (RFC 1035, 4.1.1) */
	assert_int_equal(
		world_flags(world_ask(&world, 0, &query)) & (DNS_FLAG_OPCODE | DNS_FLAG_RCODE),
		2 << 11 | RCODE_REFUSED);
	assert_int_equal(world.ask_count, 0);
}

static void test_dnssec_ok_and_plain_are_kept_apart(void **state)
{
	struct world_query query = {.name = "s.example", .type = TYPE_A, .client = 1};

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 0, 60, 1);
	query.edns_payload = 1232;
	assert_non_null(world_ask(&world, 0, &query));
	query.dnssec_ok = true;
	assert_null(world_ask(&world, 0, &query));
	assert_true(world.asks[1].question.dnssec_ok);
	world_upstream_address(&world, 1, 60, 1);
	query.flags = DNS_FLAG_CD;
	assert_null(world_ask(&world, 0, &query));
	assert_true(world.asks[2].question.checking_disabled);
	world_upstream_address(&world, 2, 60, 1);
}

static void test_reload_judges_cached_answers_anew(void **state)
{
	struct world_query query = {.name = "teredo.test", .type = TYPE_A, .client = 1};
	struct query_policy empty = world.policy;
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	assert_null(world_ask(&world, 0, &query));
	world_upstream_address(&world, 0, 60, 1);
	world_set_mode(&world, MODE_BLOCK);
	struct policy_index *index = policy_builder_finish(&builder);
	empty.view.index = index;
	empty.view.generation = 2;
	query_set_policy(world.workers[0].engine, &empty);
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NOERROR);
	assert_int_equal(world.records[1].transaction.action, TRANSACTION_NONE);
	query_set_policy(world.workers[0].engine, &world.policy);
	policy_index_free(index);
	assert_int_equal(world_rcode(world_ask(&world, 0, &query)), RCODE_NXDOMAIN);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_miss_then_hit_with_aged_ttl),
		T(test_negative_answer_is_cached_for_the_soa_minimum),
		T(test_identical_questions_share_one_upstream_question),
		T(test_subscription_that_comes_too_late_asks_again),
		T(test_failure_reaches_every_waiter),
		T(test_no_upstream_answers_at_once),
		T(test_watch_answers_truthfully_and_records),
		T(test_block_denies_with_soa_and_ede_cached_or_not),
		T(test_every_action),
		T(test_rule_on_the_chain_of_an_answer),
		T(test_only_the_chain_is_passed_on),
		T(test_chain_of_any_order_and_a_loop),
		T(test_block_at_the_arrival_of_an_answer),
		T(test_silence_is_not_refreshed),
		T(test_silence_for_a_pending_query_gives_its_place_back),
		T(test_dname_goes_with_its_alias),
		T(test_names_in_rdata_are_decompressed),
		T(test_compressed_name_before_a_long_rest_is_refused),
		T(test_size_limits),
		T(test_local_names_never_leave),
		T(test_refusals),
		T(test_dnssec_ok_and_plain_are_kept_apart),
		T(test_reload_judges_cached_answers_anew),
	};
	return cmocka_run_group_tests_name("query", tests, NULL, NULL);
}

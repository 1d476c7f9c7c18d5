/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules on addresses of clients and of answers (draft-vixie-dnsop-dns-rpz-00, 4.1, 4.3): how their
 * owners are read, every action on every trigger, and which of several rules counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/message.h"
#include "tests/unit/policy_rules.h"

/* Addresses from words. */
static size_t addresses_from(const char *text, struct address *out)
{
	char copy[256];
	size_t count = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		assert_true(address_from_text(&out[count++], word));
	return count;
}

/* All that matches these addresses, as expect() writes it. */
static void expect_addresses(const struct policy_index *index, enum policy_trigger trigger,
	const char *text, const char *expected)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct address addresses[8];
	char rule[NAME_TEXT_MAX];
	struct strbuf got;
	size_t count = policy_match_addresses(
		index, trigger, addresses, addresses_from(text, addresses), matches);

	strbuf_init(&got);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(matches[i].trigger, trigger);
		policy_rule_text(index, &matches[i], rule);
		strbuf_printf(&got, "%s%s:%s:%s", i ? " " : "",
			policy_zone_name(index, matches[i].zone),
			policy_action_name((enum policy_action)matches[i].action), rule);
	}
	strbuf_append_char(&got, '\0');
	if (strcmp(got.data, expected) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", text, got.data, expected);
	strbuf_deinit(&got);
}

static void expect_answer(
	const struct policy_index *index, const char *addresses, const char *expected)
{
	expect_addresses(index, TRIGGER_ADDRESS, addresses, expected);
}

static void expect_client(
	const struct policy_index *index, const char *address, const char *expected)
{
	expect_addresses(index, TRIGGER_CLIENT, address, expected);
}

/* --- owners (4.1.1) --- */

static void test_owners(void **state)
{
	struct policy_index *index = one_zone(SOA "24.0.2.0.192.rpz-ip CNAME .\n"
						  "32.1.2.0.192.rpz-ip CNAME *.\n"
						  "1.0.0.0.128.rpz-ip CNAME rpz-drop.\n"
						  "48.zz.101.db8.2001.RPZ-IP CNAME .\n"
						  "128.57.zz.db8.2001.rpz-ip CNAME *.\n"
						  "32.zz.2001.rpz-ip CNAME .\n"
						  "128.8.7.6.5.4.3.2.fd00.rpz-ip CNAME .\n"
						  "128.zz.1.rpz-ip CNAME .\n"
						  "128.1.zz.rpz-ip CNAME .\n"
						  "1.zz.8000.rpz-ip CNAME rpz-drop.\n"
						  "127.zz.2.3.4.5.6.7.fd00.rpz-ip CNAME .\n"
						  "16.zz.ABCD.rpz-ip CNAME .\n");

	(void)state;
	assert_int_equal(policy_zone_rules(index, 0), 12);
	expect_answer(index, "192.0.2.0", "a:nxdomain:24.0.2.0.192.rpz-ip.");
	expect_answer(index, "192.0.2.1", "a:nodata:32.1.2.0.192.rpz-ip.");
	expect_answer(index, "192.0.3.0", "a:drop:1.0.0.0.128.rpz-ip.");
	expect_answer(index, "127.255.255.255", "");
	expect_answer(index, "2001:db8:101:ffff::1", "a:nxdomain:48.zz.101.db8.2001.rpz-ip.");
	expect_answer(index, "2001:db8::57", "a:nodata:128.57.zz.db8.2001.rpz-ip.");
	expect_answer(index, "2001:db8::58", "");
	expect_answer(index, "2001:0:4136:e378::1", "a:nxdomain:32.zz.2001.rpz-ip.");
	expect_answer(index, "fd00:2:3:4:5:6:7:8", "a:nxdomain:128.8.7.6.5.4.3.2.fd00.rpz-ip.");
	expect_answer(index, "1::", "a:nxdomain:128.zz.1.rpz-ip.");
	expect_answer(index, "::1", "a:nxdomain:128.1.zz.rpz-ip.");
	expect_answer(index, "8001::", "a:drop:1.zz.8000.rpz-ip.");
	expect_answer(index, "fd00:7:6:5:4:3:2:1", "a:nxdomain:127.0.2.3.4.5.6.7.fd00.rpz-ip.");
	expect_answer(index, "abcd:1::", "a:nxdomain:16.zz.abcd.rpz-ip.");
	policy_index_free(index);
}

/* What is shown and compared is the one form of RFC 5952, however it was written. */
static void test_other_spellings(void **state)
{
	struct policy_index *index = one_zone(SOA "128.1.0.0.0.0.0.db8.2001.rpz-ip CNAME .\n"
						  "128.2.zz.0.0.0db8.2001.rpz-ip CNAME .\n"
						  "128.3.zz.1.0.0.0.2.rpz-ip CNAME .\n");
	struct policy_builder *builder = policy_builder_new();
	struct complaints complaints = {.count = 0};
	const char *twice = SOA "128.1.zz.db8.2001.rpz-ip CNAME .\n"
				"128.1.0.0.0.0.0.db8.2001.rpz-ip CNAME *.\n";

	(void)state;
	expect_answer(index, "2001:db8::1", "a:nxdomain:128.1.zz.db8.2001.rpz-ip.");
	expect_answer(index, "2001:db8::2", "a:nxdomain:128.2.zz.db8.2001.rpz-ip.");
	expect_answer(index, "2:0:0:0:1:0:0:3", "a:nxdomain:128.3.0.0.1.zz.2.rpz-ip.");
	policy_index_free(index);
	strbuf_init(&complaints.text);
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	assert_int_equal(
		policy_builder_rpz(builder, "f", twice, strlen(twice), complain, &complaints, NULL),
		TD_OK);
	strbuf_append_char(&complaints.text, '\0');
	assert_string_equal(
		complaints.text.data, "f:4: repeated: the first rule for this name stays\n");
	strbuf_deinit(&complaints.text);
	policy_builder_free(builder);
}

/* Each with its line, and the others count. */
static void test_bad_owners(void **state)
{
	static const char *const owners[] = {"24.1.2.0.192", "33.1.2.0.192", "0.0.0.0.0",
		"32.256.2.0.192", "32.01.2.0.192", "032.1.2.0.192", "32.2.0.192", "32.1.1.2.0.192",
		"32..2.0.192", "-1.1.2.0.192", "32.1.2.0.c0", "*.32.1.2.0.192", "x.32.1.2.0.192",
		"129.1.zz.2001", "47.zz.101.db8.2001", "128.zz.1.zz.2001", "128.1.2.3.4.5.6.7",
		"128.1.2.3.4.5.6.7.8.9", "128.zz.1.2.3.4.5.6.7.8", "128.12345.zz.2001",
		"128.g.zz.2001", "64.zzz.2001", "48", "zz", "128.1.zz.2001\\.db8", "48.zz."};
	struct policy_builder *builder = policy_builder_new();
	struct strbuf text;
	unsigned lines = 0;

	(void)state;
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	strbuf_init(&text);
	strbuf_append_text(&text, SOA "rpz-ip CNAME .\nrpz-client-ip TXT x\n");
	lines = 2;
	for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
		strbuf_printf(&text, "%s.rpz-ip CNAME .\n%s.rpz-client-ip A 192.0.2.1\n", owners[i],
			owners[i]);
		lines += 2;
	}
	strbuf_append_text(&text, "32.1.2.0.192.rpz-ip CNAME .\n");
	strbuf_append_char(&text, '\0');
	struct policy_load load = add_rpz(builder, text.data);
	strbuf_deinit(&text);
	assert_int_equal(load.skipped, lines);
	assert_int_equal(load.used, 1);
	policy_builder_free(builder);
}

/* A rule on an address is no rule on a name that looks like it. */
static void test_not_a_name(void **state)
{
	struct policy_index *index = one_zone(SOA "32.1.2.0.192.rpz-ip CNAME .\n"
						  "32.1.2.0.192.rpz-client-ip CNAME .\n"
						  "*.example CNAME .\n"
						  "32.1.2.0.192.rpz-ip.example A 192.0.2.9\n");

	(void)state;
	expect(index, "32.1.2.0.192.rpz-ip.", "");
	expect(index, "32.1.2.0.192.RPZ-IP.", "");
	expect(index, "32.1.2.0.192.rpz-client-ip.", "");
	expect(index, "x.rpz-ip.", "");
	expect(index, "32.1.2.0.192.rpz-ip.example.", "a:local-data:32.1.2.0.192.rpz-ip.example.");
	policy_index_free(index);
}

/* --- triggers and actions (3, 4.1, 4.3) --- */

static void test_every_action(void **state)
{
	static const struct {
		const char *data, *action;
	} actions[] = {{"CNAME .", "nxdomain"}, {"CNAME *.", "nodata"},
		{"CNAME rpz-passthru.", "passthru"}, {"CNAME rpz-drop.", "drop"},
		{"CNAME rpz-tcp-only.", "tcp-only"}, {"A 192.0.2.7", "local-data"},
		{"CNAME garden.example.", "local-data"}};

	(void)state;
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		char text[512], expected[2][80];
		snprintf(text, sizeof(text),
			SOA "24.0.2.0.192.rpz-ip %s\n32.zz.2001.rpz-ip %s\n"
			    "24.0.2.0.192.rpz-client-ip %s\n32.zz.2001.rpz-client-ip %s\n",
			actions[i].data, actions[i].data, actions[i].data, actions[i].data);
		struct policy_index *index = one_zone(text);
		snprintf(expected[0], 80, "a:%s:24.0.2.0.192.rpz-", actions[i].action);
		snprintf(expected[1], 80, "a:%s:32.zz.2001.rpz-", actions[i].action);
		for (unsigned v6 = 0; v6 < 2; v6++) {
			char rule[256];
			snprintf(rule, sizeof(rule), "%sip.", expected[v6]);
			expect_answer(index, v6 ? "2001::9" : "192.0.2.9", rule);
			snprintf(rule, sizeof(rule), "%sclient-ip.", expected[v6]);
			expect_client(index, v6 ? "2001::9" : "192.0.2.9", rule);
		}
		expect_answer(index, "192.0.3.1 2002::1", "");
		expect_client(index, "192.0.3.1", "");
		policy_index_free(index);
	}
}

static void test_local_data(void **state)
{
	struct policy_index *index = one_zone(SOA "24.0.2.0.192.rpz-ip A 10.0.0.1\n"
						  "  A 10.0.0.2\n"
						  "  TXT \"moved\"\n");
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct policy_record record;
	struct address address;
	size_t position = 0;

	(void)state;
	assert_true(address_from_text(&address, "192.0.2.5"));
	assert_int_equal(policy_match_addresses(index, TRIGGER_ADDRESS, &address, 1, matches), 1);
	assert_true(policy_rule_record(index, &matches[0], TYPE_A, &position, &record));
	assert_memory_equal(record.rdata, "\012\000\000\001", 4);
	assert_true(policy_rule_record(index, &matches[0], TYPE_A, &position, &record));
	assert_false(policy_rule_record(index, &matches[0], TYPE_A, &position, &record));
	position = 0;
	assert_true(policy_rule_record(index, &matches[0], TYPE_TXT, &position, &record));
	policy_index_free(index);
}

/* The denial of a rule on an address belongs to the question: the rule has no name of its own. */
static void test_apex(void **state)
{
	struct policy_index *index = one_zone(SOA "24.0.2.0.192.rpz-ip CNAME .\n");
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct name question = folded("www.example.org."), apex;
	struct address address;

	(void)state;
	assert_true(address_from_text(&address, "192.0.2.5"));
	assert_int_equal(policy_match_addresses(index, TRIGGER_ADDRESS, &address, 1, matches), 1);
	policy_rule_apex(index, &matches[0], question.wire, question.length, &apex);
	assert_true(name_equal(&apex, &question));
	policy_index_free(index);
}

/* --- precedence --- */

/* 5.6: the longest prefix, whichever address of the answer it holds. */
static void test_longest_prefix(void **state)
{
	struct policy_index *index = one_zone(SOA "8.0.0.0.10.rpz-ip CNAME .\n"
						  "16.0.0.1.10.rpz-ip CNAME *.\n"
						  "32.3.2.1.10.rpz-ip CNAME rpz-passthru.\n"
						  "24.0.2.0.192.rpz-ip CNAME rpz-drop.\n");

	(void)state;
	expect_answer(index, "10.9.9.9", "a:nxdomain:8.0.0.0.10.rpz-ip.");
	expect_answer(index, "10.1.9.9", "a:nodata:16.0.0.1.10.rpz-ip.");
	expect_answer(index, "10.1.2.3", "a:passthru:32.3.2.1.10.rpz-ip.");
	expect_answer(index, "10.9.9.9 10.1.9.9 198.51.100.1", "a:nodata:16.0.0.1.10.rpz-ip.");
	expect_answer(index, "192.0.2.1 10.1.2.3 10.9.9.9", "a:passthru:32.3.2.1.10.rpz-ip.");
	expect_answer(index, "192.0.2.1 10.1.9.9", "a:drop:24.0.2.0.192.rpz-ip.");
	policy_index_free(index);
}

/* 5.7: of prefixes alike in length the smaller address, in whatever order the answer has them. */
static void test_smallest_address(void **state)
{
	struct policy_index *index = one_zone(SOA "32.2.0.0.10.rpz-ip CNAME .\n"
						  "32.1.0.0.10.rpz-ip CNAME *.\n"
						  "128.2.zz.2001.rpz-ip CNAME .\n"
						  "128.1.zz.2001.rpz-ip CNAME *.\n");

	(void)state;
	expect_answer(index, "10.0.0.2 10.0.0.1", "a:nodata:32.1.0.0.10.rpz-ip.");
	expect_answer(index, "10.0.0.1 10.0.0.2", "a:nodata:32.1.0.0.10.rpz-ip.");
	expect_answer(index, "2001::2 2001::1", "a:nodata:128.1.zz.2001.rpz-ip.");
	expect_answer(index, "2001::2", "a:nxdomain:128.2.zz.2001.rpz-ip.");
	policy_index_free(index);
}

/* 5.6: a prefix of IPv4 is as long as that of the mapped address, so it stands before IPv6. */
static void test_families_compared(void **state)
{
	struct policy_index *index = one_zone(SOA "8.0.0.0.10.rpz-ip CNAME .\n"
						  "96.0.0.ffff.zz.rpz-ip CNAME *.\n");

	(void)state;
	expect_answer(index, "::ffff:10.1.1.1 10.1.1.1", "a:nxdomain:8.0.0.0.10.rpz-ip.");
	expect_answer(index, "::ffff:11.1.1.1 11.1.1.1", "a:nodata:96.0.0.ffff.zz.rpz-ip.");
	policy_index_free(index);
}

/* 5.2: one match a zone, in zone order, with the rules of each zone apart. */
static void test_zone_order(void **state)
{
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	add_zone(builder, "one", ZONE_LIST, SOA "8.0.0.0.10.rpz-ip CNAME .\n");
	add_zone(builder, "two", ZONE_LIST, SOA "x CNAME .\n");
	add_zone(builder, "three", ZONE_LIST,
		SOA "32.1.0.0.10.rpz-ip CNAME *.\n32.1.0.0.10.rpz-client-ip CNAME rpz-drop.\n");
	struct policy_index *index = policy_builder_finish(&builder);
	expect_answer(index, "10.0.0.1",
		"one:nxdomain:8.0.0.0.10.rpz-ip. three:nodata:32.1.0.0.10.rpz-ip.");
	expect_client(index, "10.0.0.1", "three:drop:32.1.0.0.10.rpz-client-ip.");
	assert_true(policy_has_trigger(index, TRIGGER_CLIENT));
	policy_index_free(index);
	index = one_zone(SOA "x CNAME .\n");
	assert_false(policy_has_trigger(index, TRIGGER_CLIENT));
	assert_false(policy_has_trigger(index, TRIGGER_ADDRESS));
	policy_index_free(index);
}

/* What has no place is said. */
static void test_more_zones_than_places(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct name name = folded("x.");
	struct address address;
	char zone[8];

	(void)state;
	for (unsigned i = 0; i < POLICY_MATCHES_MAX + 3; i++) {
		snprintf(zone, sizeof(zone), "z%u", i);
		add_zone(builder, zone, ZONE_LIST, SOA "8.0.0.0.10.rpz-ip CNAME .\nx CNAME .\n");
	}
	struct policy_index *index = policy_builder_finish(&builder);
	assert_true(address_from_text(&address, "10.0.0.1"));
	assert_int_equal(policy_match_addresses(index, TRIGGER_ADDRESS, &address, 1, matches),
		POLICY_MATCHES_MAX);
	assert_int_equal(matches[POLICY_MATCHES_MAX - 1].dropped, 3);
	assert_int_equal(
		policy_match_name(index, name.wire, name.length, matches), POLICY_MATCHES_MAX);
	assert_int_equal(matches[POLICY_MATCHES_MAX - 1].dropped, 3);
	policy_index_free(index);
}

/* --- changed zones --- */

static struct name trigger_named(const char *text)
{
	struct name name = folded(text);

	assert_null(policy_rpz_trigger(&name));
	return name;
}

/* Rules on addresses in a zone that is kept, and in one that is changed and put together anew. */
static void test_kept_and_patched(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct policy_index *index, *kept, *patched;
	struct strbuf text;

	(void)state;
	strbuf_init(&text);
	strbuf_append_text(
		&text, SOA "24.0.2.0.192.rpz-ip CNAME .\n32.1.2.0.192.rpz-client-ip CNAME .\n");
	for (unsigned i = 0; i < 200; i++)
		strbuf_printf(&text, "32.%u.0.0.10.rpz-ip CNAME rpz-drop.\n", i);
	strbuf_append_char(&text, '\0');
	add_zone(builder, "a", ZONE_LIST, text.data);
	strbuf_deinit(&text);
	index = policy_builder_finish(&builder);

	builder = policy_builder_new();
	assert_int_equal(policy_builder_keep(builder, index, "a"), TD_OK);
	kept = policy_builder_finish(&builder);
	builder = policy_builder_new();
	assert_int_equal(policy_builder_patch(builder, index, "a"), TD_OK);
	policy_index_free(index);
	for (unsigned i = 0; i < 150;
		i++) { /* more than a quarter: the rest is put together anew */
		char owner[64];
		snprintf(owner, sizeof(owner), "32.%u.0.0.10.rpz-ip", i);
		struct name name = trigger_named(owner);
		assert_int_equal(
			policy_builder_name_remove(builder, name.wire, false, ACTION_DROP), TD_OK);
	}
	struct name added = trigger_named("64.zz.db8.2001.rpz-client-ip");
	assert_int_equal(
		policy_builder_name(builder, added.wire, false, true, ACTION_NODATA, 0), TD_OK);
	patched = policy_builder_finish(&builder);

	expect_answer(kept, "10.0.0.7", "a:drop:32.7.0.0.10.rpz-ip.");
	expect_client(kept, "2001:db8::1", "");
	expect_answer(patched, "10.0.0.7", "");
	expect_answer(patched, "10.0.0.180", "a:drop:32.180.0.0.10.rpz-ip.");
	expect_answer(patched, "192.0.2.9", "a:nxdomain:24.0.2.0.192.rpz-ip.");
	expect_client(patched, "192.0.2.1", "a:nxdomain:32.1.2.0.192.rpz-client-ip.");
	expect_client(patched, "2001:db8::1", "a:nodata:64.zz.db8.2001.rpz-client-ip.");
	policy_index_free(kept);
	policy_index_free(patched);
}

/* File and line, as of any rule. */
static void test_source(void **state)
{
	struct policy_index *index = one_zone(SOA "x CNAME .\n\n24.0.2.0.192.rpz-ip CNAME .\n");
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct address address;
	const char *source;
	uint32_t line;

	(void)state;
	assert_true(address_from_text(&address, "192.0.2.5"));
	assert_int_equal(policy_match_addresses(index, TRIGGER_ADDRESS, &address, 1, matches), 1);
	assert_true(policy_rule_source(index, &matches[0], &source, &line));
	assert_string_equal(source, "t");
	assert_int_equal(line, 5);
	policy_index_free(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_other_spellings),
		cmocka_unit_test(test_bad_owners),
		cmocka_unit_test(test_not_a_name),
		cmocka_unit_test(test_every_action),
		cmocka_unit_test(test_local_data),
		cmocka_unit_test(test_apex),
		cmocka_unit_test(test_longest_prefix),
		cmocka_unit_test(test_smallest_address),
		cmocka_unit_test(test_families_compared),
		cmocka_unit_test(test_zone_order),
		cmocka_unit_test(test_more_zones_than_places),
		cmocka_unit_test(test_kept_and_patched),
		cmocka_unit_test(test_source),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

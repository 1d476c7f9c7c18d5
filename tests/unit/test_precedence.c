/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which of several rules decides: sentences of draft-vixie-dnsop-dns-rpz-00, section 5 (and 6.1 for
 * overrides), each with its test. How rules are found is in test_policy and test_rpz_address; what
 * the chain of an answer adds is in tests/scenario/test_rpz.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/policy_rules.h"

/* Two zones in order, and who asks for what with which answer. */
struct bed {
	struct policy_view view;
	struct policy_index *index;
};

static void bed_open(struct bed *bed, const char *first, const char *second)
{
	struct policy_builder *builder = policy_builder_new();

	*bed = (struct bed){.index = NULL};
	add_zone(builder, "first", ZONE_LIST, first);
	add_zone(builder, "second", ZONE_LIST, second);
	bed->index = policy_builder_finish(&builder);
	bed->view.index = bed->index;
	bed->view.mode[0][0] = bed->view.mode[0][1] = MODE_BLOCK;
}

static void bed_close(struct bed *bed)
{
	policy_index_free(bed->index);
}

/* The action, the zone that is recorded and the zone that decides (-1: none). */
static void expect_verdict(const struct bed *bed, const char *client_text, const char *name_text,
	const char *address_text, enum policy_action action, int hit, int enforced)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct policy_client client;
	struct address address;
	struct name name = folded(name_text);
	size_t count = policy_match_name(bed->index, name.wire, name.length, matches);

	if (address_text) {
		assert_true(address_from_text(&address, address_text));
		count += policy_match_addresses(
			bed->index, TRIGGER_ADDRESS, &address, 1, matches + count);
	}
	assert_true(address_from_text(&address, client_text));
	policy_client_find(&bed->view, &address, NULL, &client);
	struct policy_verdict verdict = policy_decide(&bed->view, &client, matches, count);
	assert_int_equal(verdict.action, action);
	assert_int_equal(verdict.hit ? verdict.hit->zone : -1, hit);
	assert_int_equal(verdict.enforced ? verdict.enforced->zone : -1, enforced);
}

/* 5.2: of matches in several zones the zone that stands first decides, whatever the triggers. */
static void test_zone_order_before_trigger(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed, SOA "bad.test CNAME *.\n", SOA "32.1.2.0.192.rpz-client-ip CNAME .\n");
	expect_verdict(&bed, "192.0.2.1", "bad.test.", NULL, ACTION_NODATA, 0, 0);
	expect_verdict(&bed, "192.0.2.1", "good.test.", NULL, ACTION_NXDOMAIN, 1, 1);
	expect_verdict(&bed, "192.0.2.2", "bad.test.", NULL, ACTION_NODATA, 0, 0);
	bed_close(&bed);
}

/* 5.3: an exact name stands before a wildcard, a longer wildcard before a shorter one. */
static void test_domain_name_matching(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed,
		SOA "*.test CNAME .\n*.b.test CNAME *.\na.b.test CNAME rpz-drop.\n"
		    "b.test CNAME rpz-passthru.\n",
		SOA);
	expect_verdict(&bed, "192.0.2.1", "a.b.test.", NULL, ACTION_DROP, 0, 0);
	expect_verdict(&bed, "192.0.2.1", "c.b.test.", NULL, ACTION_NODATA, 0, 0);
	expect_verdict(&bed, "192.0.2.1", "c.a.b.test.", NULL, ACTION_NODATA, 0, 0);
	expect_verdict(&bed, "192.0.2.1", "b.test.", NULL, ACTION_NONE, -1, -1);
	expect_verdict(&bed, "192.0.2.1", "c.test.", NULL, ACTION_NXDOMAIN, 0, 0);
	expect_verdict(&bed, "192.0.2.1", "test.", NULL, ACTION_NONE, -1, -1);
	bed_close(&bed);
}

/* 5.4: in one zone the client before the question, the question before the answer's address. */
static void test_trigger_type(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed,
		SOA "32.1.2.0.192.rpz-client-ip CNAME rpz-drop.\nbad.test CNAME *.\n"
		    "24.0.113.0.203.rpz-ip CNAME .\n",
		SOA);
	expect_verdict(&bed, "192.0.2.1", "bad.test.", "203.0.113.1", ACTION_DROP, 0, 0);
	expect_verdict(&bed, "192.0.2.2", "bad.test.", "203.0.113.1", ACTION_NODATA, 0, 0);
	expect_verdict(&bed, "192.0.2.2", "good.test.", "203.0.113.1", ACTION_NXDOMAIN, 0, 0);
	expect_verdict(&bed, "192.0.2.2", "good.test.", "203.0.114.1", ACTION_NONE, -1, -1);
	bed_close(&bed);
}

/* A rule on the question never waits for an answer, so it stands before those on the answer of any
 * zone: the documented difference. */
static void test_question_before_answer_of_any_zone(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed, SOA "24.0.113.0.203.rpz-ip CNAME .\n",
		SOA "bad.test CNAME *.\nfree.test CNAME rpz-passthru.\n");
	expect_verdict(&bed, "192.0.2.1", "bad.test.", NULL, ACTION_NODATA, 1, 1);
	expect_verdict(&bed, "192.0.2.1", "bad.test.", "203.0.113.1", ACTION_NODATA, 1, 1);
	expect_verdict(&bed, "192.0.2.1", "free.test.", "203.0.113.1", ACTION_NONE, -1, -1);
	bed_close(&bed);
}

/* 5.6: among rules by the client's address the longest prefix. */
static void test_longest_client_prefix(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed,
		SOA "16.0.0.0.192.rpz-client-ip CNAME .\n24.0.2.0.192.rpz-client-ip CNAME *.\n"
		    "32.1.2.0.192.rpz-client-ip CNAME rpz-passthru.\n",
		SOA);
	expect_verdict(&bed, "192.0.2.1", "x.test.", NULL, ACTION_NONE, -1, -1);
	expect_verdict(&bed, "192.0.2.2", "x.test.", NULL, ACTION_NODATA, 0, 0);
	expect_verdict(&bed, "192.0.3.2", "x.test.", NULL, ACTION_NXDOMAIN, 0, 0);
	expect_verdict(&bed, "192.1.3.2", "x.test.", NULL, ACTION_NONE, -1, -1);
	bed_close(&bed);
}

/* 3.3, 5: PASSTHRU exempts from all rules that it stands before, of later zones as well. */
static void test_passthru_ends_the_search(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed,
		SOA "32.1.2.0.192.rpz-client-ip CNAME rpz-passthru.\nok.test CNAME rpz-passthru.\n",
		SOA "*.test CNAME .\n24.0.113.0.203.rpz-ip CNAME .\n");
	expect_verdict(&bed, "192.0.2.1", "x.test.", "203.0.113.1", ACTION_NONE, -1, -1);
	expect_verdict(&bed, "192.0.2.2", "ok.test.", "203.0.113.1", ACTION_NONE, -1, -1);
	expect_verdict(&bed, "192.0.2.2", "x.test.", NULL, ACTION_NXDOMAIN, 1, 1);
	expect_verdict(&bed, "192.0.2.2", "x.", "203.0.113.1", ACTION_NXDOMAIN, 1, 1);
	bed_close(&bed);
}

/* 6.1, DISABLED: a zone that watches is recorded and decides nothing; the first hit is the one. */
static void test_watch_goes_on(void **state)
{
	struct bed bed;

	(void)state;
	bed_open(&bed,
		SOA "32.1.2.0.192.rpz-client-ip CNAME .\nbad.test CNAME .\nok.test CNAME "
		    "rpz-passthru.\n"
		    "24.0.113.0.203.rpz-ip CNAME .\n",
		SOA "bad.test CNAME *.\nok.test CNAME rpz-drop.\n");
	bed.view.mode[0][0] = MODE_WATCH;
	expect_verdict(&bed, "192.0.2.1", "bad.test.", NULL, ACTION_NODATA, 1, 1);
	expect_verdict(&bed, "192.0.2.2", "good.test.", "203.0.113.1", ACTION_NONE, 0, -1);
	bed.view.mode[0][1] = MODE_WATCH;
	expect_verdict(&bed, "192.0.2.1", "bad.test.", "203.0.113.1", ACTION_NONE, 0, -1);
	expect_verdict(&bed, "192.0.2.2", "ok.test.", "203.0.113.1", ACTION_NONE, 1, -1);
	/* What a zone lets through is no hit of that zone, by whatever trigger. */
	bed.view.mode[0][1] = MODE_IGNORE;
	expect_verdict(&bed, "192.0.2.2", "ok.test.", "203.0.113.1", ACTION_NONE, -1, -1);
	expect_verdict(&bed, "192.0.2.1", "good.test.", NULL, ACTION_NONE, 0, -1);
	bed.view.mode[0][0] = MODE_IGNORE;
	expect_verdict(&bed, "192.0.2.1", "bad.test.", "203.0.113.1", ACTION_NONE, -1, -1);
	bed_close(&bed);
}

/* Each group has modes of its own, for rules by the client's address too. */
static void test_modes_of_a_group(void **state)
{
	struct policy_client client;
	struct address address;
	struct bed bed;

	(void)state;
	bed_open(&bed, SOA "24.0.2.0.192.rpz-client-ip CNAME .\n", SOA);
	bed.view.mode[5][0] = MODE_IGNORE;
	assert_true(address_from_text(&address, "192.0.2.1"));
	policy_client_find(&bed.view, &address, NULL, &client);
	assert_int_equal(client.count, 1);
	assert_int_equal(policy_decide(&bed.view, &client, NULL, 0).action, ACTION_NXDOMAIN);
	client.group = 5;
	assert_int_equal(policy_decide(&bed.view, &client, NULL, 0).action, ACTION_NONE);
	assert_int_equal(policy_decide(&bed.view, NULL, NULL, 0).action, ACTION_NONE);
	bed_close(&bed);
}

/* 6.1: an override stands in place of every action of its zone, PASSTHRU too, and of no other's. */
static void test_overrides(void **state)
{
	struct name garden = folded("garden.test.");
	struct bed bed;

	(void)state;
	bed_open(&bed, SOA "a.test CNAME .\nok.test CNAME rpz-passthru.\nlocal.test A 192.0.2.1\n",
		SOA "*.test CNAME *.\n");
	bed.view.override[0] = ACTION_DROP;
	expect_verdict(&bed, "192.0.2.1", "a.test.", NULL, ACTION_DROP, 0, 0);
	expect_verdict(&bed, "192.0.2.1", "ok.test.", NULL, ACTION_DROP, 0, 0);
	expect_verdict(&bed, "192.0.2.1", "b.test.", NULL, ACTION_NODATA, 1, 1);
	bed.view.override[0] = ACTION_PASSTHRU;
	expect_verdict(&bed, "192.0.2.1", "a.test.", NULL, ACTION_NONE, -1, -1);
	bed.view.mode[0][0] = MODE_WATCH;
	expect_verdict(&bed, "192.0.2.1", "a.test.", NULL, ACTION_NODATA, 1, 1);
	bed.view.override[0] = ACTION_NXDOMAIN;
	bed.view.mode[0][1] = MODE_IGNORE;
	expect_verdict(&bed, "192.0.2.1", "ok.test.", NULL, ACTION_NONE, 0, -1);
	bed.view.mode[0][0] = MODE_BLOCK;
	bed.view.override[0] = ACTION_LOCAL_DATA;
	bed.view.alias[0] = &garden;
	expect_verdict(&bed, "192.0.2.1", "ok.test.", NULL, ACTION_LOCAL_DATA, 0, 0);
	struct policy_match match = first_match(bed.index, "ok.test.");
	assert_ptr_equal(policy_decide(&bed.view, NULL, &match, 1).alias, &garden);
	bed.view.override[0] = ACTION_NONE;
	match = first_match(bed.index, "local.test.");
	assert_null(policy_decide(&bed.view, NULL, &match, 1).alias);
	bed_close(&bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zone_order_before_trigger),
		cmocka_unit_test(test_domain_name_matching),
		cmocka_unit_test(test_trigger_type),
		cmocka_unit_test(test_question_before_answer_of_any_zone),
		cmocka_unit_test(test_longest_client_prefix),
		cmocka_unit_test(test_passthru_ends_the_search),
		cmocka_unit_test(test_watch_goes_on),
		cmocka_unit_test(test_modes_of_a_group),
		cmocka_unit_test(test_overrides),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* policy: zones that are shared between indexes, rules of names, and where each rule comes from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "lib/dns/message.h"
#include "policy/index.h"
#include "policy/zone_table.h"
#include "tests/unit/policy_rules.h"

/* --- zones that are kept --- */

static struct policy_index *three_zones(void)
{
	struct policy_builder *builder = policy_builder_new();

	add_zone(builder, "a", ZONE_LIST, SOA "x CNAME .\n");
	add_zone(builder, "b", ZONE_TUNNEL, SOA "x CNAME *.\n*.x A 192.0.2.1\n");
	add_patterns(builder, "p*.y\n");
	add_zone(builder, "c", ZONE_LIST, SOA "y CNAME .\n");
	return policy_builder_finish(&builder);
}

static void test_keep(void **state)
{
	struct policy_index *old = three_zones();
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	add_zone(builder, "n", ZONE_LIST, SOA "y CNAME rpz-drop.\n");
	assert_int_equal(policy_builder_keep(builder, old, "c"), TD_OK);
	assert_int_equal(policy_builder_keep(builder, old, "b"), TD_OK);
	assert_int_equal(policy_builder_keep(builder, old, "b"), TD_INVALID);
	assert_int_equal(policy_builder_keep(builder, old, "z"), TD_NOT_FOUND);
	assert_int_equal(policy_builder_keep(builder, NULL, "z"), TD_NOT_FOUND);
	/* What is shared takes no rules. */
	assert_int_equal(
		policy_builder_rpz(builder, "t", SOA, strlen(SOA), NULL, NULL, NULL), TD_INVALID);
	assert_int_equal(
		policy_builder_name(builder, folded("x").wire, true, true, ACTION_NXDOMAIN, 1),
		TD_INVALID);
	assert_false(policy_builder_has(builder, folded("x").wire));
	struct policy_index *index = policy_builder_finish(&builder);
	expect(old, "x.", "a:nxdomain:x. b:nodata:x.");
	policy_index_free(old);

	expect(index, "x.", "b:nodata:x.");
	expect(index, "y.", "n:drop:y. c:nxdomain:y.");
	expect(index, "pq.y.", "b:nxdomain:p*.y.");
	expect(index, "q.x.", "b:local-data:*.x.");
	assert_int_equal(policy_zone_kind(index, 2), ZONE_TUNNEL);
	assert_int_equal(policy_zone_rules(index, 2), 3);
	policy_index_free(index);
}

/* A builder that is given up gives back what it kept. */
static void test_keep_and_give_up(void **state)
{
	struct policy_index *old = three_zones();

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct policy_builder *builder = policy_builder_new();
		assert_int_equal(policy_builder_keep(builder, old, "b"), TD_OK);
		policy_builder_free(builder);
	}
	expect(old, "q.x.", "b:local-data:*.x.");
	policy_index_free(old);
}

/* --- rules of names --- */

static enum td_error add_name(struct policy_builder *builder, const char *text, bool below,
	bool itself, enum policy_action action, unsigned line)
{
	return policy_builder_name(builder, folded(text).wire, below, itself, action, line);
}

static void test_names(void **state)
{
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	assert_int_equal(add_name(builder, "x", true, true, ACTION_NXDOMAIN, 1), TD_INVALID);
	add_zone(builder, "a", ZONE_LIST, NULL);
	assert_int_equal(add_name(builder, "x", false, true, ACTION_NXDOMAIN, 1), TD_OK);
	assert_int_equal(add_name(builder, "x", false, true, ACTION_PASSTHRU, 2), TD_INVALID);
	/* What is new of it is added, what was there stays. */
	assert_int_equal(add_name(builder, "x", true, true, ACTION_PASSTHRU, 3), TD_OK);
	assert_int_equal(add_name(builder, "x", true, true, ACTION_NODATA, 4), TD_INVALID);
	assert_int_equal(add_name(builder, "y", true, false, ACTION_NODATA, 5), TD_OK);
	assert_int_equal(add_name(builder, ".", true, true, ACTION_DROP, 6), TD_OK);
	assert_int_equal(add_name(builder, "z", true, true, ACTION_LOCAL_DATA, 7), TD_INVALID);
	struct policy_index *index = policy_builder_finish(&builder);
	expect(index, "x.", "a:nxdomain:x.");
	expect(index, "q.x.", "a:passthru:*.x.");
	expect(index, "y.", "a:drop:*.");
	expect(index, "q.y.", "a:nodata:*.y.");
	expect(index, ".", "a:drop:.");
	assert_int_equal(policy_zone_rules(index, 0), 5);
	policy_index_free(index);
}

/* --- where a rule comes from --- */

static void expect_source(
	const struct policy_index *index, const char *name, const char *source, unsigned line)
{
	struct policy_match match = first_match(index, name);
	const char *found = "-";
	uint32_t number = 12345;

	assert_true(policy_rule_source(index, &match, &found, &number));
	if (strcmp(found, source) != 0 || number != line)
		fail_msg("%s: %s:%u, not %s:%u", name, found, number, source, line);
}

static void add_source(struct policy_builder *builder, const char *source, const char *text)
{
	assert_int_equal(
		policy_builder_rpz(builder, source, text, strlen(text), NULL, NULL, NULL), TD_OK);
}

static void test_lines(void **state)
{
	struct policy_builder *builder = policy_builder_new();

	(void)state;
	add_zone(builder, "a", ZONE_LIST, NULL);
	add_source(builder, "one",
		SOA "x CNAME .\n*.x CNAME .\n"           /* 3, 4 */
		    "\n\n\n*.y CNAME .\ny CNAME .\n"     /* 8, 9 */
		    "deep.in.w CNAME .\nin.w CNAME .\n"  /* 10, 11 */
		    "l A 192.0.2.1\nl A 192.0.2.2\n"     /* 12 */
		    "*.x.x CNAME .\n*.l A 192.0.2.3\n"   /* 14, 15 */
		    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n" /* 32 */
		    "far CNAME .\n\n\n\n*.far CNAME .\n" /* 33, 37 */
		    "* CNAME .\n");
	add_source(builder, "two", SOA "v CNAME .\n*.in.w CNAME .\nx CNAME .\n");
	assert_int_equal(
		policy_builder_patterns(builder, "three", "#\np*\nx*.far\n", 12, NULL, NULL, NULL),
		TD_OK);
	add_zone(builder, "none", ZONE_LIST, NULL);
	struct policy_index *index = policy_builder_finish(&builder);
	expect_source(index, "x", "one", 3);
	expect_source(index, "q.x", "one", 4);
	expect_source(index, "q.y", "one", 8);
	expect_source(index, "y", "one", 9);
	expect_source(index, "deep.in.w", "one", 10);
	expect_source(index, "in.w", "one", 11);
	expect_source(index, "l", "one", 12);
	expect_source(index, "q.x.x", "one", 14);
	expect_source(index, "q.l", "one", 15);
	expect_source(index, "far", "one", 33);
	expect_source(index, "q.far", "one", 37);
	expect_source(index, "pq", "one", 38);
	expect_source(index, "v", "two", 3);
	expect_source(index, "q.in.w", "two", 4);
	policy_index_free(index);
}

/* A rule that is taken out and put in again is where it was put in last. */
static void test_line_of_rule_put_in_again(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	const struct name name = folded("x");

	(void)state;
	add_zone(builder, "a", ZONE_LIST, SOA);
	assert_int_equal(add_name(builder, "x", false, true, ACTION_NXDOMAIN, 3), TD_OK);
	assert_int_equal(add_name(builder, "x", true, false, ACTION_NXDOMAIN, 4), TD_OK);
	assert_int_equal(
		policy_builder_name_remove(builder, name.wire, true, ACTION_NXDOMAIN), TD_OK);
	assert_int_equal(add_name(builder, "x", true, false, ACTION_NXDOMAIN, 5), TD_OK);
	struct policy_index *index = policy_builder_finish(&builder);
	expect_source(index, "x", "t", 3);
	expect_source(index, "q.x", "t", 5);
	policy_index_free(index);
}

/* Rules that were put in without a text have no line, and those of no source not even that. */
static void test_no_lines(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	const uint8_t address[4] = {192, 0, 2, 1};
	const struct policy_record record = {
		.type = 1, .ttl_s = 60, .rdata = address, .rdata_length = sizeof(address)};
	const char *source;
	uint32_t line;

	(void)state;
	add_zone(builder, "a", ZONE_LOCAL, NULL);
	assert_int_equal(policy_builder_record(builder, folded("x").wire, &record), TD_OK);
	add_zone(builder, "b", ZONE_LOCAL, SOA);
	assert_int_equal(policy_builder_record(builder, folded("y").wire, &record), TD_OK);
	struct policy_index *index = policy_builder_finish(&builder);
	struct policy_match match = first_match(index, "x");
	assert_false(policy_rule_source(index, &match, &source, &line));
	expect_source(index, "y", "t", 0);
	policy_index_free(index);
}

/* Many, near and far, in the order of their names and not: each line is found again. */
static void test_many_lines(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	char name[64];

	(void)state;
	add_zone(builder, "a", ZONE_LIST, SOA);
	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "n%u.d%u.example", i * 7919 % 20000, i % 331);
		unsigned line = i * 3 + i / 100 * 50;
		assert_int_equal(
			add_name(builder, name, i % 3 == 0, true, ACTION_NXDOMAIN, line), TD_OK);
		if (i % 5 == 0 && i % 3)
			assert_int_equal(
				add_name(builder, name, true, false, ACTION_NXDOMAIN, line + 2),
				TD_OK);
	}
	for (unsigned i = 0; i < 331; i++) {
		snprintf(name, sizeof(name), "d%u.example", i);
		assert_int_equal(
			add_name(builder, name, true, true, ACTION_NODATA, 80000 + i), TD_OK);
	}
	struct policy_index *index = policy_builder_finish(&builder);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned line = i * 3 + i / 100 * 50;
		snprintf(name, sizeof(name), "n%u.d%u.example", i * 7919 % 20000, i % 331);
		expect_source(index, name, "t", line);
		snprintf(name, sizeof(name), "q.n%u.d%u.example", i * 7919 % 20000, i % 331);
		expect_source(index, name, "t",
			i % 3 == 0   ? line
			: i % 5 == 0 ? line + 2
				     : 80000 + i % 331);
	}
	policy_index_free(index);
}

/* --- records that come and go --- */

/* The rdata of a CNAME, or an address. */
static struct policy_record record_of(const char *target, struct name *rdata)
{
	struct policy_record record = {.ttl_s = 60, .rdata = rdata->wire};

	if (strcmp(target, "192.0.2.1") == 0) {
		memcpy(rdata->wire, (const uint8_t[]){192, 0, 2, 1}, 4);
		rdata->length = 4;
		record.type = 1;
	} else {
		*rdata = folded(target);
		record.type = 5;
	}
	record.rdata_length = rdata->length;
	return record;
}

static enum td_error add_or_remove(
	struct policy_records *records, bool remove, const char *trigger, const char *target)
{
	struct name name, rdata;
	struct policy_record record = record_of(target, &rdata);

	assert_int_equal(name_from_text(&name, trigger, strlen(trigger)), TD_OK);
	return remove ? policy_records_remove(records, &name, &record)
		      : policy_records_add(records, &name, &record);
}

/* What an incremental transfer does: a zone of records, some taken out, some put in. To take out
 * what is not there changes nothing. */
static void test_records_come_and_go(void **state)
{
	static const char *const first[][2] = {{"A.x", "."}, {"*.x", "*."}, {"y", "192.0.2.1"},
		{"*.y", "rpz-drop."}, {"w", "away.example."}, {"24.0.2.0.192.rpz-ip", "."},
		{"1.rpz-nsip", "."}};
	struct policy_builder *builder = policy_builder_new();
	struct policy_load load;

	(void)state;
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	struct policy_records *records =
		policy_records_begin(builder, "transfer of a", NULL, NULL, &load);
	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
		assert_int_equal(add_or_remove(records, false, first[i][0], first[i][1]), TD_OK);
	policy_records_end(records);
	struct policy_index *old = policy_builder_finish(&builder);

	builder = policy_builder_new();
	assert_int_equal(policy_builder_patch(builder, old, "a"), TD_OK);
	records = policy_records_begin(builder, "transfer of a", NULL, NULL, &load);
	assert_int_equal(add_or_remove(records, true, "a.X", "."), TD_OK);
	assert_int_equal(add_or_remove(records, true, "a.X", "."), TD_OK);
	assert_int_equal(add_or_remove(records, true, "*.x", "."), TD_OK);
	assert_int_equal(add_or_remove(records, true, "*.x", "*."), TD_OK);
	assert_int_equal(add_or_remove(records, false, "*.x", "rpz-passthru."), TD_OK);
	assert_int_equal(add_or_remove(records, true, "y", "192.0.2.1"), TD_OK);
	assert_int_equal(add_or_remove(records, true, "w", "away.example."), TD_OK);
	assert_int_equal(add_or_remove(records, true, "24.0.2.0.192.rpz-ip", "."), TD_OK);
	assert_int_equal(add_or_remove(records, true, "1.rpz-nsip", "."), TD_OK);
	assert_int_equal(add_or_remove(records, false, "v", "."), TD_OK);
	policy_records_end(records);
	struct policy_index *index = policy_builder_finish(&builder);

	expect(old, "a.x.", "a:nxdomain:a.x.");
	expect(old, "y.", "a:local-data:y.");
	assert_true(policy_has_trigger(old, TRIGGER_ADDRESS));
	assert_int_equal(policy_zone_rules(old, 0), 6);
	expect(index, "a.x.", "a:passthru:*.x.");
	expect(index, "y.", "");
	expect(index, "q.y.", "a:drop:*.y.");
	expect(index, "w.", "");
	expect(index, "v.", "a:nxdomain:v.");
	expect_source(index, "v.", "transfer of a", 0);
	assert_false(policy_has_trigger(index, TRIGGER_ADDRESS));
	assert_int_equal(policy_zone_rules(index, 0), 3);
	policy_index_free(old);
	policy_index_free(index);
}

/* --- what a hostile list can do --- */

/* Groups that a look-up of this name, of one label, goes through. */
static unsigned distance_of(const struct policy_zone *zone, const char *text)
{
	struct name name = folded(text);

	return table_probe(zone, label_hash(LABEL_HASH_ROOT, name.wire), NODE_ROOT, name.wire)
		.distance;
}

static bool lies_low(const char *text)
{
	return label_hash(LABEL_HASH_ROOT, folded(text).wire) >> 63 == 0;
}

enum { CLOSE_NAMES = 60000, CLOSE_CHOSEN = 45000 };

/* Three of four names lie in one half of the table; the last one of them is n<last - 1>. */
static struct policy_index *close_names(unsigned *last)
{
	struct policy_builder *builder = policy_builder_new();
	unsigned chosen = 0, others = 0;
	struct strbuf text;
	char name[16];

	strbuf_init(&text);
	strbuf_append_text(&text, SOA);
	for (*last = 0; chosen + others < CLOSE_NAMES; ++*last) {
		snprintf(name, sizeof(name), "n%u", *last);
		bool low = lies_low(name);
		if (low ? chosen == CLOSE_CHOSEN : others == CLOSE_NAMES - CLOSE_CHOSEN)
			continue;
		chosen += low;
		others += !low;
		strbuf_printf(&text, "%s CNAME .\n", name);
	}
	add_zone(builder, "a", ZONE_LIST, text.data);
	strbuf_deinit(&text);
	return policy_builder_finish(&builder);
}

/* They fit as long as the table has room for more than there are, which it gives back in the end. */
static void test_names_close_together(void **state)
{
	unsigned last, farthest = 0;
	struct policy_index *index = close_names(&last);
	char name[16];

	(void)state;
	assert_int_equal(policy_zone_rules(index, 0), CLOSE_NAMES);
	for (unsigned i = 0; i < last; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		unsigned distance = distance_of(index->zones[0], name);
		farthest = distance > farthest ? distance : farthest;
	}
	assert_in_range(farthest, 0, 512);
	policy_index_free(index);
}

/* Nor can they when the zone is put together anew: it stays as it is then, and costs no other. */
static void test_names_close_together_are_patched(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	unsigned last, low_left = 100;
	struct policy_index *old = close_names(&last);
	char name[16];

	(void)state;
	assert_int_equal(policy_builder_patch(builder, old, "a"), TD_OK);
	for (unsigned i = 0; i < last; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		if (lies_low(name) && (!low_left || !low_left--))
			continue;
		policy_builder_name_remove(builder, folded(name).wire, false, ACTION_NXDOMAIN);
	}
	assert_int_equal(policy_builder_rules(builder), CLOSE_CHOSEN - 100);
	struct policy_index *index = policy_builder_finish(&builder);
	assert_non_null(index);
	assert_int_equal(policy_zone_rules(index, 0), CLOSE_CHOSEN - 100);
	policy_index_free(index);
	policy_index_free(old);
}

/* --- zones that are patched again and again --- */

static const struct policy_record *address_record(uint8_t last)
{
	static uint8_t rdata[4] = {192, 0, 2};
	static const struct policy_record record = {
		.type = TYPE_A, .ttl_s = 60, .rdata = rdata, .rdata_length = 4};

	rdata[3] = last;
	return &record;
}

/* One of a name's two records changes: what is left of those before does not add up. */
static void test_patches_leave_nothing(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct name name = folded("x");

	(void)state;
	add_zone(builder, "a", ZONE_LIST, SOA "x A 192.0.2.1\nx A 192.0.2.2\n");
	struct policy_index *index = policy_builder_finish(&builder);
	for (unsigned i = 2; i < 1000; i++) {
		builder = policy_builder_new();
		assert_int_equal(policy_builder_patch(builder, index, "a"), TD_OK);
		assert_int_equal(policy_builder_record_remove(builder, name.wire, false,
					 address_record((uint8_t)(2 + i % 2))),
			TD_OK);
		assert_int_equal(policy_builder_record(builder, name.wire,
					 address_record((uint8_t)(3 - i % 2))),
			TD_OK);
		policy_index_free(index);
		index = policy_builder_finish(&builder);
		assert_in_range(index->zones[0]->records.used, 1, 4096);
	}
	struct policy_match match = first_match(index, "x.");
	struct policy_record record;
	size_t position = 0;
	const uint8_t last[] = {1, 2};
	for (unsigned i = 0; i < 2; i++) {
		assert_true(policy_rule_record(index, &match, TYPE_A, &position, &record));
		assert_int_equal(record.rdata[3], last[i]);
	}
	assert_false(policy_rule_record(index, &match, TYPE_A, &position, &record));
	policy_index_free(index);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep),
		cmocka_unit_test(test_keep_and_give_up),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_line_of_rule_put_in_again),
		cmocka_unit_test(test_no_lines),
		cmocka_unit_test(test_many_lines),
		cmocka_unit_test(test_records_come_and_go),
		cmocka_unit_test(test_names_close_together),
		cmocka_unit_test(test_names_close_together_are_patched),
		cmocka_unit_test(test_patches_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

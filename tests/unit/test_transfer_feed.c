/* SPDX-License-Identifier: BSD-3-Clause */
/* From a copy to rules: a zone that was patched with what changed has the rules of one that was
 * built from all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/transfer_feed.h"
#include "tests/unit/zone_answer.h"

#define ZONE "feed"
#define NAMES 40

struct bed {
	char folder[64];
	struct zone_copy *copy;
	uint32_t serial;
	struct policy_index *index; /* in force */
	uint64_t version;           /* of that */
	char complaints[1024];
};

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof *bed);
	char why[COPY_WHY_SIZE];

	snprintf(bed->folder, sizeof bed->folder, "/tmp/test_transfer_feed.XXXXXX");
	assert_non_null(mkdtemp(bed->folder));
	bed->copy = copy_open(bed->folder, ZONE, &zone_apex, why);
	assert_non_null(bed->copy);
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;
	char path[96];

	policy_index_free(bed->index);
	copy_close(bed->copy);
	snprintf(path, sizeof path, "%s/" ZONE ".zone", bed->folder);
	unlink(path);
	rmdir(bed->folder);
	free(bed);
	return 0;
}

static void begin(struct bed *bed, bool whole)
{
	assert_true(copy_begin(bed->copy, whole));
}

static void put(struct bed *bed, bool removed, const char *name, uint16_t type, const char *rdata,
	uint16_t length)
{
	char text[300];
	struct name owner;

	snprintf(text, sizeof text, "%s.rpz.example", name);
	owner = name_of(text);
	const struct zone_record record = {
		owner.wire, owner.length, type, 60, (const uint8_t *)rdata, length};
	assert_true(copy_add(bed->copy, removed, &record));
}

static void rule(struct bed *bed, bool removed, const char *name)
{
	put(bed, removed, name, TYPE_CNAME, "", 1);
}

static void commit(struct bed *bed)
{
	const struct zone_soa soa = {++bed->serial, 3600, 600, 86400, 60};
	struct copy_snapshot *snapshot;

	assert_true(copy_commit(bed->copy, &soa, 1700000000));
	snapshot = copy_snapshot(bed->copy);
	copy_settle(bed->copy, snapshot->version);
	copy_snapshot_free(snapshot);
}

static void on_report(
	void *context, const char *source, unsigned line, bool skipped, const char *words)
{
	struct bed *bed = context;

	(void)skipped;
	assert_int_equal(line, 0);
	snprintf(bed->complaints, sizeof bed->complaints, "%s %s", source, words);
}

/* What the copy holds, compiled; old: the rules in force, or NULL to build it whole. */
static struct policy_index *compile(
	struct bed *bed, const struct policy_index *old, struct zone_fill *fill)
{
	struct policy_builder *builder = policy_builder_new();
	struct copy_snapshot *snapshot = copy_snapshot(bed->copy);

	*fill = (struct zone_fill){.builder = builder,
		.zone = ZONE,
		.kind = ZONE_LIST,
		.old = old,
		.old_version = old ? bed->version : 0,
		.report = on_report,
		.report_context = bed};
	assert_int_equal(transfer_fill(snapshot, fill), TD_OK);
	copy_snapshot_free(snapshot);
	return policy_builder_finish(&builder);
}

/* The rules of now come into force. */
static void install(struct bed *bed)
{
	struct zone_fill fill;
	struct policy_index *index = compile(bed, bed->index, &fill);

	policy_index_free(bed->index);
	bed->index = index;
	bed->version = copy_version(bed->copy);
}

static void match(const struct policy_index *index, const char *name, char out[NAME_TEXT_MAX + 64])
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct name folded = name_of(name);
	char text[NAME_TEXT_MAX];

	name_fold(folded.wire, folded.wire, folded.length);
	if (policy_match_name(index, folded.wire, folded.length, matches) == 0) {
		snprintf(out, NAME_TEXT_MAX + 64, "-");
		return;
	}
	policy_rule_text(index, &matches[0], text);
	int used = snprintf(out, NAME_TEXT_MAX + 64, "%s %s", text,
		policy_action_name((enum policy_action)matches[0].action));
	if (matches[0].action != ACTION_LOCAL_DATA)
		return;
	struct policy_record record;
	unsigned sum = 0;
	for (size_t position = 0;
		policy_rule_record(index, &matches[0], TYPE_ANY, &position, &record);)
		sum += record.rdata[record.rdata_length - 1] * 7u + record.type;
	snprintf(out + used, 32, " %u", sum);
}

static void assert_match(const struct bed *bed, const char *name, const char *expected)
{
	char text[NAME_TEXT_MAX + 64];

	match(bed->index, name, text);
	assert_string_equal(text, expected);
}

static void test_whole(void **state)
{
	struct bed *bed = *state;

	begin(bed, true);
	rule(bed, false, "Bad.Example");
	rule(bed, false, "*.bad.example");
	put(bed, false, "data.example", TYPE_A, "\300\000\002\001", 4);
	put(bed, false, "pass.bad.example", TYPE_CNAME, "\014rpz-passthru", 14);
	put(bed, false, "empty.example", TYPE_CNAME, "\001*", 3);
	commit(bed);
	install(bed);
	assert_match(bed, "bad.example", "bad.example. nxdomain");
	assert_match(bed, "a.b.bad.example", "*.bad.example. nxdomain");
	assert_match(bed, "pass.bad.example", "pass.bad.example. passthru");
	assert_match(bed, "empty.example", "empty.example. nodata");
	assert_match(bed, "data.example", "data.example. local-data 8");
	assert_match(bed, "good.example", "-");
}

static void test_nothing_yet(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct zone_fill fill = {.builder = builder, .zone = ZONE, .kind = ZONE_LIST};
	struct policy_index *index;

	(void)state;
	assert_int_equal(transfer_fill(NULL, &fill), TD_OK);
	index = policy_builder_finish(&builder);
	assert_int_equal(policy_zone_count(index), 1);
	assert_int_equal(policy_zone_rules(index, 0), 0);
	policy_index_free(index);
}

static void test_no_rule(void **state)
{
	struct bed *bed = *state;

	begin(bed, true);
	rule(bed, false, "ns.example.rpz-nsdname");
	rule(bed, false, "bad.example");
	commit(bed);
	install(bed);
	assert_non_null(strstr(bed->complaints, "transfer of rpz.example. rules by name server"));
	begin(bed, false);
	rule(bed, true, "ns.example.rpz-nsdname");
	rule(bed, true, "bad.example");
	commit(bed);
	install(bed);
	assert_match(bed, "bad.example", "-");
}

/* Only what changed is read. */
static void test_patch_is_small(void **state)
{
	struct bed *bed = *state;
	struct zone_fill fill;
	char name[32];

	begin(bed, true);
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "name%u.example", i);
		rule(bed, false, name);
	}
	commit(bed);
	install(bed);
	begin(bed, false);
	rule(bed, true, "name7.example");
	rule(bed, false, "new.example");
	commit(bed);
	struct policy_index *index = compile(bed, bed->index, &fill);
	assert_int_equal(fill.load.lines, 2);
	assert_int_equal(fill.load.used, 5000);
	policy_index_free(index);
	install(bed);
	assert_match(bed, "name7.example", "-");
	assert_match(bed, "name8.example", "name8.example. nxdomain");
	assert_match(bed, "new.example", "new.example. nxdomain");
	/* A whole zone is not patched. */
	begin(bed, true);
	rule(bed, false, "only.example");
	commit(bed);
	index = compile(bed, bed->index, &fill);
	assert_int_equal(fill.load.lines, 1);
	policy_index_free(index);
	install(bed);
	assert_match(bed, "new.example", "-");
}

/* Rules by address come and go as those by name do. */
static void test_addresses(void **state)
{
	struct bed *bed = *state;
	struct zone_fill fill;

	begin(bed, true);
	rule(bed, false, "32.1.2.0.192.rpz-ip");
	rule(bed, false, "24.0.2.0.192.rpz-client-ip");
	rule(bed, false, "bad.example");
	commit(bed);
	install(bed);
	assert_int_equal(policy_zone_rules(bed->index, 0), 3);
	begin(bed, false);
	rule(bed, true, "32.1.2.0.192.rpz-ip");
	rule(bed, false, "32.2.2.0.192.rpz-ip");
	rule(bed, true, "24.0.2.0.192.rpz-client-ip");
	commit(bed);
	struct policy_index *index = compile(bed, bed->index, &fill);
	assert_int_equal(fill.load.lines, 3);
	assert_int_equal(policy_zone_rules(index, 0), 2);
	policy_index_free(index);
	assert_string_equal(bed->complaints, "");
}

/* Rules of another zone's state are not patched. */
static void test_unknown_state(void **state)
{
	struct bed *bed = *state;
	struct zone_fill fill;

	begin(bed, true);
	rule(bed, false, "a.example");
	commit(bed);
	install(bed);
	begin(bed, false);
	rule(bed, false, "b.example");
	commit(bed);
	bed->version += 100000;
	struct policy_index *index = compile(bed, bed->index, &fill);
	assert_int_equal(fill.load.lines, 2);
	policy_index_free(index);
}

/* --- patched and built are the same --- */

static uint32_t seed = 12345;

static uint32_t roll(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

/* A zone of the test's own: for each name nothing, `CNAME .`, or data, one bit an address. */
static void name_at(unsigned i, char out[64])
{
	snprintf(out, 64, "%s%sn%u.example", i % 3 == 1 ? "*." : "", i % 3 == 2 ? "deep.er." : "",
		i / 3);
}

static void put_state(struct bed *bed, unsigned i, unsigned before, unsigned after)
{
	char name[64];

	name_at(i, name);
	if (before == 8 && after != 8)
		rule(bed, true, name);
	for (unsigned bit = 0; bit < 3; bit++) {
		char rdata[4] = {10, 0, 0, (char)(bit + 1)};
		unsigned old = before < 8 ? before >> bit & 1 : 0;
		unsigned new = after < 8 ? after >> bit & 1 : 0;
		if (old && !new)
			put(bed, true, name, TYPE_A, rdata, 4);
		if (new && !old)
			put(bed, false, name, TYPE_A, rdata, 4);
	}
	if (after == 8 && before != 8)
		rule(bed, false, name);
}

static void compare(struct bed *bed)
{
	struct zone_fill fill;
	struct policy_index *whole = compile(bed, NULL, &fill);
	char a[NAME_TEXT_MAX + 64], b[NAME_TEXT_MAX + 64], name[64], below[80];

	assert_int_equal(policy_zone_rules(whole, 0), policy_zone_rules(bed->index, 0));
	for (unsigned i = 0; i < NAMES; i++) {
		name_at(i, name);
		snprintf(below, sizeof below, "x.%s", name + (name[0] == '*' ? 2 : 0));
		match(whole, below, a);
		match(bed->index, below, b);
		assert_string_equal(a, b);
		match(whole, below + 2, a);
		match(bed->index, below + 2, b);
		assert_string_equal(a, b);
	}
	policy_index_free(whole);
}

static void test_random_changes(void **state)
{
	struct bed *bed = *state;
	unsigned now[NAMES] = {0};

	begin(bed, true);
	for (unsigned i = 0; i < NAMES; i++) {
		now[i] = roll(9);
		put_state(bed, i, 0, now[i]);
	}
	commit(bed);
	install(bed);
	for (unsigned round = 0; round < 200; round++) {
		begin(bed, false);
		for (unsigned k = roll(6); k > 0; k--) {
			unsigned i = roll(NAMES), next = roll(3) ? roll(9) : 0;
			put_state(bed, i, now[i], next);
			now[i] = next;
		}
		commit(bed);
		install(bed);
		compare(bed);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_whole), TEST(test_nothing_yet),
		TEST(test_no_rule), TEST(test_patch_is_small), TEST(test_addresses),
		TEST(test_unknown_state), TEST(test_random_changes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

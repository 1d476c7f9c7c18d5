/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Modes changed by command: the table, its text and its file; and what follows from it, from the
 * configuration, its schedules and the time for each zone and group.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/mode_table.h"
#include "resolver/modes_file.h"
#include "tests/unit/options_file.h"

#define NOW INT64_C(1763726400) /* a Friday, 2025-11-21T12:00:00Z */

static struct mode_change change_of(
	const char *zone, const char *group, enum policy_mode mode, int64_t until_s)
{
	struct mode_change change = {
		.mode = mode, .since_s = NOW, .until_s = until_s, .uid = 7, .user = "eve"};

	snprintf(change.zone, sizeof(change.zone), "%s", zone);
	snprintf(change.group, sizeof(change.group), "%s", group);
	return change;
}

static void set(struct modes *modes, const char *zone, const char *group, enum policy_mode mode,
	int64_t until_s)
{
	struct mode_change change = change_of(zone, group, mode, until_s);

	assert_int_equal(modes_set(modes, &change), TD_OK);
}

static void test_one_for_each(void **state)
{
	struct modes modes;
	struct mode_change ended;

	(void)state;
	modes_init(&modes);
	assert_int_equal(modes_next_end(&modes), INT64_MAX);
	set(&modes, "a", "", MODE_BLOCK, 0);
	set(&modes, "a", "kids", MODE_WATCH, NOW + 60);
	set(&modes, "b", "", MODE_BLOCK, NOW + 30);
	set(&modes, "a", "", MODE_IGNORE, 0);
	assert_int_equal(modes.count, 3);
	assert_int_equal(modes_find(&modes, "a", "")->mode, MODE_IGNORE);
	assert_int_equal(modes_find(&modes, "a", "kids")->mode, MODE_WATCH);
	assert_null(modes_find(&modes, "b", "kids"));
	assert_int_equal(modes_next_end(&modes), NOW + 30);
	assert_false(modes_take_ended(&modes, NOW + 29, &ended));
	assert_true(modes_take_ended(&modes, NOW + 1000, &ended));
	assert_true(modes_take_ended(&modes, NOW + 1000, &ended));
	assert_false(modes_take_ended(&modes, NOW + 1000, &ended));
	assert_int_equal(modes.count, 1);
	modes_deinit(&modes);
}

/* A pause of what somebody blocked ends, and it is blocked again. */
static void test_one_with_an_end_covers(void **state)
{
	struct modes modes, again;
	struct mode_change ended;
	struct strbuf text;
	const char *why;

	(void)state;
	modes_init(&modes);
	modes_init(&again);
	strbuf_init(&text);
	set(&modes, "a", "", MODE_BLOCK, 0);
	set(&modes, "b", "", MODE_BLOCK, 0);
	set(&modes, "a", "", MODE_WATCH, NOW + 60);
	set(&modes, "a", "", MODE_IGNORE, NOW + 30);
	assert_int_equal(modes.count, 3);
	modes_write(&modes, &text);
	assert_int_equal(modes_read(&again, text.data, text.length, &why), TD_OK);
	assert_int_equal(modes_find(&again, "a", "")->mode, MODE_IGNORE);
	assert_true(modes_take_ended(&again, NOW + 30, &ended));
	assert_int_equal(ended.mode, MODE_IGNORE);
	assert_int_equal(modes_find(&again, "a", "")->mode, MODE_BLOCK);
	set(&modes, "a", "", MODE_WATCH, 0);
	assert_int_equal(modes.count, 2);
	assert_int_equal(modes_find(&modes, "a", "")->mode, MODE_WATCH);
	assert_int_equal(modes_next_end(&modes), INT64_MAX);
	strbuf_deinit(&text);
	modes_deinit(&again);
	modes_deinit(&modes);
}

static void test_bound(void **state)
{
	struct modes modes;
	char zone[16];

	(void)state;
	modes_init(&modes);
	for (int i = 0; i < MODES_MAX; i++) {
		snprintf(zone, sizeof(zone), "z%d", i);
		set(&modes, zone, "", MODE_BLOCK, 0);
	}
	struct mode_change more = change_of("more", "", MODE_BLOCK, 0);
	assert_int_equal(modes_set(&modes, &more), TD_FULL);
	set(&modes, "z7", "", MODE_WATCH, 0);
	modes_deinit(&modes);
}

/* --- text --- */

static const char whole[] = "teredown modes 1\n"
			    "a * block 1763726400 0 7 eve\n"
			    "a kids watch 1763726400 1763726460 7 eve\n"
			    "end 2\n";

static void test_text(void **state)
{
	struct modes modes, again;
	struct strbuf text;
	const char *why;

	(void)state;
	modes_init(&modes);
	set(&modes, "a", "", MODE_BLOCK, 0);
	set(&modes, "a", "kids", MODE_WATCH, NOW + 60);
	strbuf_init(&text);
	modes_write(&modes, &text);
	assert_string_equal(text.data, whole);
	modes_init(&again);
	assert_int_equal(modes_read(&again, text.data, text.length, &why), TD_OK);
	assert_int_equal(again.count, 2);
	strbuf_clear(&text);
	modes_write(&again, &text);
	assert_string_equal(text.data, whole);
	strbuf_deinit(&text);
	modes_deinit(&modes);
	modes_deinit(&again);
}

/* On whose behalf a program asked stands behind the rest, where there is somebody. */
static void test_text_with_via(void **state)
{
	static const char lines[] = "teredown modes 1\n"
				    "a * block 1 0 7 eve dashboard/2001:db8::1\n"
				    "b * block 1 0 7 *\n"
				    "end 2\n";
	static const char *const bad[] = {"dashboard", "dashboard/", "/192.0.2.1", "a/b/c", "a/b c",
		"a/\x1b[2J", ""};
	struct modes modes;
	struct strbuf text;
	const char *why;
	char line[96];

	(void)state;
	modes_init(&modes);
	assert_int_equal(modes_read(&modes, lines, strlen(lines), &why), TD_OK);
	assert_string_equal(modes_find(&modes, "a", "")->via, "dashboard/2001:db8::1");
	assert_string_equal(modes_find(&modes, "b", "")->via, "");
	strbuf_init(&text);
	modes_write(&modes, &text);
	assert_string_equal(text.data, lines);
	strbuf_deinit(&text);
	modes_deinit(&modes);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "teredown modes 1\na * block 1 0 7 eve %s\nend 1\n",
			bad[i]);
		assert_int_equal(modes_read(&modes, line, strlen(line), &why), TD_MALFORMED);
	}
}

/* Cut anywhere, or with any octet another, a file is either refused or means what a whole one may.
 */
static void test_damaged_text(void **state)
{
	static const char *const bad[] = {
		"",
		"teredown modes 2\nend 0\n",
		"teredown modes 1\n",
		"teredown modes 1\nend 0\nend 0\n",
		"teredown modes 1\nend 1\n",
		"teredown modes 1\na * block 1 0 7\nend 1\n",
		"teredown modes 1\na * block 1 0 7 x y\nend 1\n",
		"teredown modes 1\na * blocked 1 0 7 x\nend 1\n",
		"teredown modes 1\nA * block 1 0 7 x\nend 1\n",
		"teredown modes 1\n* * block 1 0 7 x\nend 1\n",
		"teredown modes 1\na * block -1 0 7 x\nend 1\n",
		"teredown modes 1\na * block 1 99999999999999999999 7 x\nend 1\n",
		"teredown modes 1\na * block 1 0 4294967296 x\nend 1\n",
		"teredown modes 1\na * block 1 0 7 \x1b[2J\nend 1\n",
		"teredown modes 1\na * block 1 0 7 x\na * watch 1 0 7 x\nend 2\n",
		"teredown modes 1\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa * block 1 0 7 x\nend 1\n",
	};
	struct modes modes;
	const char *why;

	(void)state;
	modes_init(&modes);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(modes_read(&modes, bad[i], strlen(bad[i]), &why), TD_MALFORMED);
		assert_int_equal(modes.count, 0);
		assert_true(why[0]);
	}
	for (size_t size = 0; size < sizeof(whole) - 1; size++)
		assert_int_equal(modes_read(&modes, whole, size, &why), TD_MALFORMED);
	for (size_t at = 0; at < sizeof(whole) - 1; at++) {
		char text[sizeof(whole)];
		memcpy(text, whole, sizeof(whole));
		for (int octet = 0; octet < 256; octet++) {
			text[at] = (char)octet;
			if (modes_read(&modes, text, sizeof(whole) - 1, &why) == TD_OK)
				assert_int_equal(modes.count, 2);
			modes_deinit(&modes);
		}
	}
}

/* --- the file --- */

static void test_file(void **state)
{
	struct modes modes, again;
	struct stat status;
	char why[128];

	(void)state;
	modes_init(&modes);
	modes_init(&again);
	assert_int_equal(modes_file_read(&again, ".", why, sizeof(why)), TD_OK);
	set(&modes, "a", "", MODE_BLOCK, 0);
	assert_true(modes_file_write(&modes, "."));
	assert_int_equal(stat("modes", &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_not_equal(access("modes.new", F_OK), 0);
	assert_int_equal(modes_file_read(&again, ".", why, sizeof(why)), TD_OK);
	assert_int_equal(again.count, 1);
	modes_deinit(&again);
	write_file("modes", "teredown modes 1\na * bl");
	assert_int_equal(modes_file_read(&again, ".", why, sizeof(why)), TD_MALFORMED);
	assert_string_equal(why, "its end is missing");
	assert_true(modes_file_write(&modes, "."));
	modes_remove(&modes, 0);
	assert_true(modes_file_write(&modes, "."));
	assert_int_not_equal(access("modes", F_OK), 0);
	assert_true(modes_file_write(&modes, "."));
	assert_false(modes_file_write(&modes, "./nowhere"));
	assert_int_equal(modes_file_read(&again, "./nowhere", why, sizeof(why)), TD_MALFORMED);
	modes_deinit(&modes);
}

/* What cannot be written leaves the old file: here a folder is in the way of the one beside it. */
static void test_file_that_cannot_be_written(void **state)
{
	struct modes modes, again;
	char why[128];

	(void)state;
	modes_init(&modes);
	modes_init(&again);
	set(&modes, "a", "", MODE_BLOCK, 0);
	assert_true(modes_file_write(&modes, "."));
	assert_int_equal(mkdir("modes.new", 0700), 0);
	set(&modes, "b", "", MODE_BLOCK, 0);
	assert_false(modes_file_write(&modes, "."));
	assert_int_equal(modes_file_read(&again, ".", why, sizeof(why)), TD_OK);
	assert_int_equal(again.count, 1);
	assert_int_equal(rmdir("modes.new"), 0);
	assert_int_equal(unlink("modes"), 0);
	modes_deinit(&modes);
	modes_deinit(&again);
}

/* --- the table --- */

static const char configuration[] =
	NO_RESOLV_CONF "\nzone \"social\" { file = \"/s\" mode = ignore\n"
		       " schedule = { \"fri 10:00-14:00 watch\" } }\n"
		       "group \"gaming\" { clients = { } zone \"teredo\" { mode = watch } }\n"
		       "group \"kids\" { clients = { } zone \"social\" {\n"
		       " schedule = { \"fri 11:00-13:00 block\" } } }\n";

struct bed {
	struct options *options;
	struct modes modes;
};

static int open_bed(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	setenv("TZ", "UTC0", 1);
	tzset();
	bed->options = load_good(configuration);
	*state = bed;
	return 0;
}

static int close_bed(void **state)
{
	struct bed *bed = *state;

	options_free(bed->options);
	modes_deinit(&bed->modes);
	free(bed);
	return 0;
}

static void expect(
	const struct bed *bed, const char *zone, size_t group, int64_t now_s, const char *expected)
{
	struct mode_cell cell = mode_table_cell(bed->options, &bed->modes, zone, group, now_s);
	int64_t until_s = mode_table_until(bed->options, &bed->modes, zone, group, now_s);
	char text[64];

	snprintf(text, sizeof(text), "%s %s %ld", policy_mode_name(cell.mode),
		mode_origin_name(cell.origin), until_s == INT64_MAX ? -1 : (long)(until_s - NOW));
	if (strcmp(text, expected) != 0)
		fail_msg("%s of group %zu at %+ld: %s, expected %s", zone, group,
			(long)(now_s - NOW), text, expected);
}

/* Command before schedule before mode; a group without any of them has the zone's. */
static void test_order(void **state)
{
	struct bed *bed = *state;

	expect(bed, "teredo", 0, NOW, "watch configuration -1");
	expect(bed, "teredo", 1, NOW, "watch configuration -1");
	expect(bed, "teredo", 2, NOW, "watch zone -1");
	set(&bed->modes, "teredo", "", MODE_BLOCK, 0);
	expect(bed, "teredo", 0, NOW, "block command -1");
	expect(bed, "teredo", 1, NOW, "watch configuration -1");
	expect(bed, "teredo", 2, NOW, "block zone -1");
	set(&bed->modes, "teredo", "gaming", MODE_IGNORE, NOW + 600);
	expect(bed, "teredo", 1, NOW, "ignore command 600");
	expect(bed, "teredo", 2, NOW, "block zone -1");
	expect(bed, "no-such-zone", 0, NOW, "ignore configuration -1");
}

static void test_schedules(void **state)
{
	struct bed *bed = *state;

	expect(bed, "social", 0, NOW, "watch schedule 7200");
	expect(bed, "social", 1, NOW, "watch zone 7200");
	expect(bed, "social", 2, NOW, "block schedule 3600");
	expect(bed, "social", 2, NOW + 3600, "watch zone 7200");
	expect(bed, "social", 0, NOW + 7200, "ignore configuration 597600");
	expect(bed, "social", 2, NOW - 7200, "watch zone -3600");
	set(&bed->modes, "social", "", MODE_BLOCK, NOW + 60);
	expect(bed, "social", 0, NOW, "block command 60");
	expect(bed, "social", 1, NOW, "block zone 60");
	expect(bed, "social", 2, NOW + 3600, "block zone 60");
}

static void test_groups_by_name(void **state)
{
	struct bed *bed = *state;
	size_t group;

	assert_true(mode_table_find_group(bed->options, "kids", &group));
	assert_int_equal(group, 2);
	assert_true(mode_table_find_group(bed->options, "", &group));
	assert_int_equal(group, 0);
	assert_false(mode_table_find_group(bed->options, "kid", &group));
	assert_string_equal(mode_table_group_name(bed->options, 1), "gaming");
}

static void test_fill(void **state)
{
	struct bed *bed = *state;
	struct policy_builder *builder = policy_builder_new();
	static uint8_t mode[POLICY_GROUPS_MAX][POLICY_ZONES_MAX];

	assert_int_equal(policy_builder_zone(builder, "social", ZONE_LIST), TD_OK);
	assert_int_equal(policy_builder_zone(builder, "teredo", ZONE_TUNNEL), TD_OK);
	struct policy_index *index = policy_builder_finish(&builder);
	set(&bed->modes, "teredo", "", MODE_BLOCK, 0);
	mode_table_fill(bed->options, &bed->modes, index, NOW, mode);
	assert_int_equal(mode[0][0], MODE_WATCH);
	assert_int_equal(mode[2][0], MODE_BLOCK);
	assert_int_equal(mode[0][1], MODE_BLOCK);
	assert_int_equal(mode[1][1], MODE_WATCH);
	assert_int_equal(mode[2][1], MODE_BLOCK);
	assert_int_equal(mode[3][1], MODE_IGNORE);
	policy_index_free(index);
}

/* With schedules every minute, else at the end of a change. */
static void test_when_to_look_again(void **state)
{
	struct bed *bed = *state;
	struct options *plain = load_good(NO_RESOLV_CONF);

	assert_int_equal(mode_table_next(bed->options, &bed->modes, NOW + 7), NOW + 60);
	assert_int_equal(mode_table_next(bed->options, &bed->modes, NOW), NOW + 60);
	assert_int_equal(mode_table_next(plain, &bed->modes, NOW), INT64_MAX);
	set(&bed->modes, "teredo", "", MODE_BLOCK, NOW + 20);
	assert_int_equal(mode_table_next(bed->options, &bed->modes, NOW + 7), NOW + 20);
	assert_int_equal(mode_table_next(plain, &bed->modes, NOW), NOW + 20);
	options_free(plain);
}

int main(void)
{
#define BED(test) cmocka_unit_test_setup_teardown(test, open_bed, close_bed)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_for_each),
		cmocka_unit_test(test_one_with_an_end_covers),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_with_via),
		cmocka_unit_test(test_damaged_text),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_file_that_cannot_be_written),
		BED(test_order),
		BED(test_schedules),
		BED(test_groups_by_name),
		BED(test_fill),
		BED(test_when_to_look_again),
	};

	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}

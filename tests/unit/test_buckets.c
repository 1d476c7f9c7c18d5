/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows of a timeline over changes of clocks, and the chart. Every expected time is written down as
 * Unix seconds, so that the C library's arithmetic is not checked against itself. Zones come from
 * the system's database; where it lacks one the test says so and is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "resolver/control/buckets.h"
#include "resolver/control/chart.h"
#include "resolver/control/drop_member.h"
#include "resolver/control/ratio.h"
#include "resolver/control/words.h"

static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_deinit(&arena);
	unsetenv("TZ");
	tzset();
	return 0;
}

/* offset_s: what the zone is at that time, to see that the database has it. */
static void use_zone(const char *zone, int64_t at_s, long offset_s)
{
	time_t clock = (time_t)at_s;
	struct tm local;

	setenv("TZ", zone, 1);
	tzset();
	localtime_r(&clock, &local);
	if (local.tm_gmtoff != offset_s) {
		print_message("%s is not in this system's database\n", zone);
		skip();
	}
}

static struct buckets make(const char *span_text, int64_t since_s, int64_t until_s)
{
	struct bucket_span span;
	struct buckets buckets;

	assert_true(bucket_span_from_text(&span, span_text));
	assert_int_equal(
		buckets_make(&buckets, &arena, span, since_s * 1000, until_s * 1000), TD_OK);
	for (size_t i = 0; i < buckets.count; i++) /* no hour is lost, none is in two rows */
		assert_true(bucket_to_ms(&buckets, i) > bucket_from_ms(&buckets, i));
	assert_true(bucket_to_ms(&buckets, buckets.count - 1) >= until_s * 1000);
	assert_true(bucket_from_ms(&buckets, 0) <= since_s * 1000);
	for (size_t h = 0; h < buckets.hours.count; h++) {
		size_t of = buckets.of_hour[h];
		assert_true(buckets.starts[of] <= h && h < buckets.starts[of + 1]);
	}
	return buckets;
}

static size_t hours_in(const struct buckets *buckets, size_t bucket)
{
	return buckets->starts[bucket + 1] - buckets->starts[bucket];
}

static void expect_label(const struct buckets *buckets, size_t bucket, const char *expected)
{
	char label[BUCKET_LABEL_MAX];

	bucket_label(buckets, bucket, label);
	assert_string_equal(label, expected);
}

static void expect_time(const struct buckets *buckets, size_t bucket, const char *expected)
{
	char text[BUCKET_LABEL_MAX];

	bucket_time(buckets, bucket, text);
	assert_string_equal(text, expected);
}

/* --- spans --- */

static void test_spans(void **state)
{
	static const char *const wrong[] = {"", "h", "0h", "5h", "7h", "25h", "48h", "32d", "0d",
		"30m", "1", "1hh", "-1h", " 1h", "+1h", "1.5h", "99999999999999999999d", "1w"};
	struct bucket_span span;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (bucket_span_from_text(&span, wrong[i]))
			fail_msg("\"%s\" was taken", wrong[i]);
	assert_true(bucket_span_from_text(&span, "1h") && span.hours == 1 && span.days == 0);
	assert_true(bucket_span_from_text(&span, "12h") && span.hours == 12);
	assert_true(bucket_span_from_text(&span, "24h") && span.hours == 0 && span.days == 1);
	assert_true(bucket_span_from_text(&span, "31d") && span.days == 31);
}

static void test_out_of_range(void **state)
{
	const struct bucket_span hour = {1, 0};
	struct buckets buckets;

	(void)state;
	use_zone("UTC", 0, 0);
	assert_int_equal(buckets_make(&buckets, &arena, hour, 5000, 5000), TD_INVALID);
	assert_int_equal(buckets_make(&buckets, &arena, hour, 6000, 5000), TD_INVALID);
	assert_int_equal(buckets_make(&buckets, &arena, hour, -1, 5000), TD_INVALID);
	assert_int_equal(buckets_make(&buckets, &arena, hour, INT64_MIN, INT64_MAX), TD_INVALID);
	assert_int_equal(buckets_make(&buckets, &arena, hour, 0, INT64_MAX), TD_INVALID);
	assert_int_equal(
		buckets_make(&buckets, &arena, hour, 0, (int64_t)READER_HOURS_MAX * 3600000 + 1),
		TD_INVALID);
	assert_int_equal(
		buckets_make(&buckets, &arena, hour, 0, (int64_t)READER_HOURS_MAX * 3600000),
		TD_OK);
	assert_int_equal(buckets.count, READER_HOURS_MAX);
	/* A whole hour is not begun by what ends at it. */
	buckets = make("1h", 7200, 10800);
	assert_int_equal(buckets.count, 1);
	expect_time(&buckets, 0, "1970-01-01T02:00:00+00:00");
}

/* --- Berlin: clocks change by an hour, on the hour --- */

#define BERLIN_AUTUMN INT64_C(1792875600) /* 2026-10-24 21:00 UTC, 23:00 CEST */
#define BERLIN_SPRING INT64_C(1774735200) /* 2026-03-28 22:00 UTC, 23:00 CET */

static void test_berlin_autumn(void **state)
{
	(void)state;
	use_zone("Europe/Berlin", BERLIN_AUTUMN, 7200);
	struct buckets hours = make("1h", BERLIN_AUTUMN, BERLIN_AUTUMN + 6 * 3600);
	assert_int_equal(hours.count, 6);
	assert_false(hours.uneven);
	expect_label(&hours, 0, "2026-10-24 23:00");
	expect_label(&hours, 3, "2026-10-25 02:00 CEST");
	expect_label(&hours, 4, "2026-10-25 02:00 CET");
	expect_label(&hours, 5, "2026-10-25 03:00");
	expect_time(&hours, 3, "2026-10-25T02:00:00+02:00");
	expect_time(&hours, 4, "2026-10-25T02:00:00+01:00");
	struct buckets parts = make("3h", BERLIN_AUTUMN, BERLIN_AUTUMN + 6 * 3600);
	assert_int_equal(hours_in(&parts, 0), 3); /* taken back to 21:00 */
	assert_int_equal(hours_in(&parts, 1), 4); /* 0, 1, 2 and 2 again */
	expect_label(&parts, 0, "2026-10-24 21:00");
	expect_label(&parts, 1, "2026-10-25 00:00");
	expect_label(&parts, 2, "2026-10-25 03:00");
	struct buckets days = make("1d", BERLIN_AUTUMN, BERLIN_AUTUMN + 72 * 3600);
	assert_int_equal(days.count, 4);
	assert_int_equal(hours_in(&days, 0), 24);
	assert_int_equal(hours_in(&days, 1), 25);
	assert_int_equal(hours_in(&days, 2), 24);
	expect_label(&days, 1, "2026-10-25 Sun");
	expect_time(&days, 1, "2026-10-25T00:00:00+02:00");
	expect_time(&days, 2, "2026-10-26T00:00:00+01:00");
}

static void test_berlin_spring(void **state)
{
	(void)state;
	use_zone("Europe/Berlin", BERLIN_SPRING, 3600);
	struct buckets hours = make("1h", BERLIN_SPRING, BERLIN_SPRING + 4 * 3600);
	assert_int_equal(hours.count, 4);
	expect_label(&hours, 2, "2026-03-29 01:00");
	expect_label(&hours, 3, "2026-03-29 03:00");
	struct buckets days = make("1d", BERLIN_SPRING, BERLIN_SPRING + 48 * 3600);
	assert_int_equal(days.count, 3);
	assert_int_equal(hours_in(&days, 1), 23);
	expect_label(&days, 1, "2026-03-29 Sun");
	struct buckets parts = make("2h", BERLIN_SPRING, BERLIN_SPRING + 8 * 3600);
	assert_int_equal(hours_in(&parts, 1), 2); /* 0 and 1 */
	assert_int_equal(hours_in(&parts, 2), 1); /* 3 alone */
	expect_time(&parts, 2, "2026-03-29T03:00:00+02:00");
	struct buckets weeks = make("7d", BERLIN_SPRING, BERLIN_SPRING + 15 * 86400);
	assert_int_equal(hours_in(&weeks, 0), 7 * 24 - 1);
	assert_int_equal(hours_in(&weeks, 1), 7 * 24);
	expect_label(&weeks, 1, "2026-04-04 Sat");
}

/* --- zones that are off by half an hour --- */

#define ST_JOHNS_AUTUMN INT64_C(1793502000) /* 2026-11-01 03:00 UTC, 00:30 NDT */
#define ST_JOHNS_SPRING INT64_C(1772944200) /* 2026-03-08 04:30 UTC, 01:00 NST */

static void test_st_johns(void **state)
{
	(void)state;
	use_zone("America/St_Johns", ST_JOHNS_AUTUMN, -9000);
	struct buckets hours = make("1h", ST_JOHNS_AUTUMN, ST_JOHNS_AUTUMN + 4 * 3600);
	assert_true(hours.uneven);
	expect_label(&hours, 0, "2026-11-01 00:30");
	expect_label(&hours, 1, "2026-11-01 01:30 NDT");
	expect_label(&hours, 2, "2026-11-01 01:30 NST");
	expect_label(&hours, 3, "2026-11-01 02:30");
	expect_time(&hours, 1, "2026-11-01T01:30:00-02:30");
	expect_time(&hours, 2, "2026-11-01T01:30:00-03:30");
	struct buckets days = make("1d", ST_JOHNS_AUTUMN, ST_JOHNS_AUTUMN + 36 * 3600);
	assert_true(days.uneven);
	assert_int_equal(hours_in(&days, 0), 25);
	expect_label(&days, 0, "2026-11-01 Sun");
	use_zone("America/St_Johns", ST_JOHNS_SPRING, -12600);
	days = make("1d", ST_JOHNS_SPRING, ST_JOHNS_SPRING + 36 * 3600);
	assert_int_equal(hours_in(&days, 0), 23);
	expect_label(&days, 0, "2026-03-08 Sun");
	hours = make("1h", ST_JOHNS_SPRING, ST_JOHNS_SPRING + 2 * 3600);
	expect_label(&hours, 0, "2026-03-08 00:30");
	expect_label(&hours, 1, "2026-03-08 01:30");
	expect_label(&hours, 2, "2026-03-08 03:30");
}

#define KOLKATA_MIDNIGHT INT64_C(1795199400) /* 2026-11-20 18:30 UTC */

static void test_kolkata(void **state)
{
	(void)state;
	use_zone("Asia/Kolkata", KOLKATA_MIDNIGHT, 19800);
	struct buckets hours = make("1h", KOLKATA_MIDNIGHT, KOLKATA_MIDNIGHT + 3600);
	assert_true(hours.uneven);
	expect_label(&hours, 0, "2026-11-20 23:30"); /* the hour that since lies in */
	expect_label(&hours, 1, "2026-11-21 00:30");
	struct buckets days = make("1d", KOLKATA_MIDNIGHT + 7200, KOLKATA_MIDNIGHT + 90000);
	assert_int_equal(days.count, 2);
	assert_int_equal(hours_in(&days, 0), 24);
	expect_label(&days, 0, "2026-11-21 Sat");
	expect_label(&days, 1, "2026-11-22 Sun");
	expect_time(&days, 0, "2026-11-21T00:00:00+05:30");
	assert_true(bucket_from_ms(&days, 0) == (KOLKATA_MIDNIGHT - 1800) * 1000);
	struct buckets parts = make("6h", KOLKATA_MIDNIGHT + 7200, KOLKATA_MIDNIGHT + 50000);
	expect_label(&parts, 0, "2026-11-21 00:00");
	expect_label(&parts, 1, "2026-11-21 06:00");
	assert_int_equal(hours_in(&parts, 0), 6);
}

#define LORD_HOWE_AUTUMN INT64_C(1775307600) /* 2026-04-04 13:00 UTC, 2026-04-05 00:00 +11 */
#define LORD_HOWE_SPRING INT64_C(1791036000) /* 2026-10-03 14:00 UTC, 2026-10-04 00:30 +10:30 */

/* Clocks change by half an hour there. */
static void test_lord_howe(void **state)
{
	(void)state;
	use_zone("Australia/Lord_Howe", LORD_HOWE_AUTUMN, 39600);
	struct buckets hours = make("1h", LORD_HOWE_AUTUMN, LORD_HOWE_AUTUMN + 4 * 3600);
	assert_int_equal(hours.count, 4);
	assert_true(hours.uneven);
	expect_label(&hours, 0, "2026-04-05 00:00");
	expect_label(&hours, 1, "2026-04-05 01:00");
	expect_label(&hours, 2, "2026-04-05 01:30"); /* 2:00 became 1:30 */
	expect_label(&hours, 3, "2026-04-05 02:30");
	struct buckets days = make("1d", LORD_HOWE_AUTUMN, LORD_HOWE_AUTUMN + 60 * 3600);
	assert_true(hours_in(&days, 0) == 24 || hours_in(&days, 0) == 25);
	expect_label(&days, 0, "2026-04-05 Sun");
	expect_label(&days, 1, "2026-04-06 Mon");
	expect_label(&days, 2, "2026-04-07 Tue");
	use_zone("Australia/Lord_Howe", LORD_HOWE_SPRING, 37800);
	hours = make("1h", LORD_HOWE_SPRING, LORD_HOWE_SPRING + 4 * 3600);
	expect_label(&hours, 0, "2026-10-04 00:30");
	expect_label(&hours, 1, "2026-10-04 01:30");
	expect_label(&hours, 2, "2026-10-04 03:00");
	days = make("1d", LORD_HOWE_SPRING, LORD_HOWE_SPRING + 60 * 3600);
	assert_true(hours_in(&days, 0) == 24 || hours_in(&days, 0) == 23);
	expect_label(&days, 1, "2026-10-05 Mon");
}

/* --- the chart --- */

static void number_label(const void *context, size_t row, char out[40])
{
	(void)context;
	snprintf(out, 40, "row %zu", row);
}

static struct strbuf draw(const struct chart_column *columns, size_t column_count,
	const uint64_t *counts, size_t rows, unsigned width, bool logarithmic, bool unicode)
{
	struct chart chart = {.columns = columns,
		.column_count = column_count,
		.rows = rows,
		.counts = counts,
		.label = number_label,
		.width = width,
		.logarithmic = logarithmic,
		.unicode = unicode};
	struct strbuf out;

	strbuf_init(&out);
	chart_print(&chart, &out);
	assert_false(out.failed);
	return out;
}

static const struct chart_column two[] = {
	{NULL, "dns", STYLE_GREEN}, {NULL, "firewall-drop", STYLE_RED}};

static void test_chart_ascii(void **state)
{
	static const uint64_t counts[] = {10, 90, 0, 1, 5, 0};

	(void)state;
	struct strbuf out = draw(two, 2, counts, 3, 40, false, false);
	assert_string_equal(out.data, "       dns              firewall-drop\n"
				      "row 0  10 #             90 ############\n"
				      "row 1   0                1 .\n"
				      "row 2   5 #              0\n"
				      "total  15               91\n");
	strbuf_deinit(&out);
}

static void test_chart_unicode(void **state)
{
	static const struct chart_column one[] = {{NULL, "x", STYLE_PLAIN}};
	static const uint64_t counts[] = {80, 40, 5, 1, 0};

	(void)state;
	/* A bar has 10 cells: 5 + 2 + 2 + 1 + 10. */
	struct strbuf out = draw(one, 1, counts, 5, 21, false, true);
	assert_string_equal(out.data, "       x\n"
				      "row 0   80 ██████████\n"
				      "row 1   40 █████\n"
				      "row 2    5 ▋\n"
				      "row 3    1 ▏\n"
				      "row 4    0\n"
				      "total  126\n");
	strbuf_deinit(&out);
}

/* The group of columns in a row is said once, over them. */
static void test_chart_groups(void **state)
{
	static const struct chart_column columns[] = {{"192.0.2.1", "dns", STYLE_PLAIN},
		{"192.0.2.1", "firewall-drop", STYLE_PLAIN}, {NULL, "dns", STYLE_PLAIN},
		{"a.very.long.name.example.", "dns", STYLE_PLAIN}};
	static const uint64_t counts[] = {1, 9, 4, 8};

	(void)state;
	struct strbuf out = draw(columns, 4, counts, 1, 65, false, false);
	assert_string_equal(out.data,
		"       192.0.2.1                                    a.very.long..\n"
		"       dns            firewall-drop  dns            dns\n"
		"row 0  1 #            9 ###########  4 #####        8 ##########\n"
		"total  1              9              4              8\n");
	strbuf_deinit(&out);
}

static size_t marks(const char *line)
{
	const char *end = strchr(line, '\n');
	size_t count = 0;

	for (; line < end; line++)
		count += *line == '#';
	return count;
}

/* A tenth is far more than a tenth of the bar, and order is kept. */
static void test_chart_log(void **state)
{
	static const struct chart_column one[] = {{NULL, "x", STYLE_PLAIN}};
	static const uint64_t counts[] = {1, 10, 100, 1000, 1000000, UINT64_MAX / 2};
	size_t before = 0;

	(void)state;
	struct strbuf out = draw(one, 1, counts, 6, 100, true, false);
	const char *line = out.data;
	for (int row = 0; row < 6; row++) {
		line = strchr(line, '\n') + 1;
		assert_true(marks(line) > before);
		before = marks(line);
	}
	assert_true(before > 60);
	strbuf_deinit(&out);
}

static void test_chart_folds_nothing(void **state)
{
	uint64_t counts[200] = {0};

	(void)state;
	counts[0] = 3;
	counts[2 * 99 + 1] = 27;
	struct strbuf out = draw(two, 2, counts, 100, 80, false, false);
	assert_non_null(strstr(out.data, "... 98 rows without anything\n"));
	assert_null(strstr(out.data, "row 50"));
	assert_non_null(strstr(out.data, "row 99"));
	strbuf_deinit(&out);
	counts[2 * 3] = 1; /* two empty rows stay rows */
	out = draw(two, 2, counts, 4, 80, false, false);
	assert_null(strstr(out.data, "without"));
	assert_non_null(strstr(out.data, "row 2"));
	strbuf_deinit(&out);
	out = draw(two, 2, counts, 0, 80, false, false);
	assert_string_equal(out.data, "       dns                                  firewall-drop\n"
				      "total  0                                    0\n");
	strbuf_deinit(&out);
}

/* Without a place for bars the numbers stay, whatever the width; headers cannot write escapes. */
static void test_chart_narrow_and_hostile(void **state)
{
	struct chart_column columns[40];
	uint64_t counts[80];

	(void)state;
	for (int i = 0; i < 40; i++)
		columns[i] = (struct chart_column){
			i % 3 ? "\033]0;x\a" : NULL, "\033[2J\n\xff", STYLE_PLAIN};
	for (int i = 0; i < 80; i++)
		counts[i] = UINT64_MAX / 80;
	for (unsigned width = 1; width < 120; width += 7) {
		struct strbuf out = draw(columns, 40, counts, 2, width, false, true);
		assert_null(strchr(out.data, '\033'));
		assert_non_null(strstr(out.data, "230584300921369395"));
		size_t lines = 0;
		for (const char *at = out.data; (at = strchr(at, '\n')) != NULL; at++)
			lines++;
		assert_int_equal(lines, 5);
		strbuf_deinit(&out);
	}
}

static void test_chart_place(void **state)
{
	(void)state;
	assert_int_equal(chart_columns_max(0, 16), 1);
	assert_int_equal(chart_columns_max(80, 16), 4);
	setenv("COLUMNS", "132", 1);
	assert_int_equal(chart_terminal_width(-1), 132);
	setenv("COLUMNS", "99999999999999", 1);
	assert_int_equal(chart_terminal_width(-1), 1000);
	setenv("COLUMNS", "x", 1);
	assert_int_equal(chart_terminal_width(-1), 80);
	unsetenv("COLUMNS");
	setenv("LC_ALL", "C", 1);
	assert_false(chart_locale_is_utf8());
	setenv("LC_ALL", "C.UTF-8", 1);
	assert_true(chart_locale_is_utf8());
	setenv("LC_ALL", "nowhere", 1);
	assert_false(chart_locale_is_utf8());
	unsetenv("LC_ALL");
}

/* --- members, ratios, words --- */

static void test_members(void **state)
{
	static const char *const wrong[] = {"", " ", "a", "a b", "a b c", "192.0.2.1 x -",
		" 192.0.2.1 -", "192.0.2.1  192.0.2.2 -", "192.0.2.1 192.0.2.2 - -",
		"192.0.2.1 192.0.2.2222222222222222222222222222222222222222222222222 -",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 192.0.2.2 -"};
	struct drop_member drop;
	char client[MEMBER_CLIENT_MAX];
	const char *name;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (drop_member_parse(&drop, wrong[i]))
			fail_msg("\"%s\" was taken", wrong[i]);
	assert_true(drop_member_parse(&drop, "192.0.2.1 2001:DB8:0::1 udp3544"));
	assert_string_equal(drop.address, "2001:db8::1");
	assert_int_equal(drop.kind, DROP_UDP3544);
	assert_true(drop_member_parse(&drop, "192.0.2.1 192.0.2.2 proto41"));
	assert_int_equal(drop.kind, DROP_PROTO41);
	assert_true(drop_member_parse(&drop, "*other *other -") && drop.other);
	assert_true(watched_member_parse("192.0.2.1 a.example.", client, &name));
	assert_string_equal(name, "a.example.");
	assert_true(watched_member_parse("*other", client, &name) && !*name);
	assert_false(watched_member_parse("192.0.2.1 ", client, &name));
	assert_false(watched_member_parse("192.0.2.1", client, &name));
}

static void test_ratio(void **state)
{
	char text[RATIO_MAX];

	(void)state;
	assert_string_equal(ratio_text(18144, 2016, text), "9.0");
	assert_string_equal(ratio_text(0, 5, text), "0.0");
	assert_string_equal(ratio_text(5, 0, text), "-");
	assert_string_equal(ratio_text(UINT64_MAX, 1, text), "18446744073709551616.0");
}

static void test_words(void **state)
{
	struct words words;
	struct word *word, *again;
	char text[16];

	(void)state;
	words_init(&words, &arena, 1000);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "w%d", i);
		assert_int_equal(words_put(&words, text, &word), TD_OK);
		assert_int_equal(word->number, i);
	}
	assert_int_equal(words_put(&words, "w7", &again), TD_OK);
	assert_int_equal(again->number, 7);
	assert_ptr_equal(words.rows[7], again);
	assert_int_equal(words_put(&words, "one more", &word), TD_FULL);
	assert_int_equal(words.count, 1000);
	words_deinit(&words);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_spans),
		TEST(test_out_of_range),
		TEST(test_berlin_autumn),
		TEST(test_berlin_spring),
		TEST(test_st_johns),
		TEST(test_kolkata),
		TEST(test_lord_howe),
		TEST(test_chart_ascii),
		TEST(test_chart_unicode),
		TEST(test_chart_groups),
		TEST(test_chart_log),
		TEST(test_chart_folds_nothing),
		TEST(test_chart_narrow_and_hostile),
		TEST(test_chart_place),
		TEST(test_members),
		TEST(test_ratio),
		TEST(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

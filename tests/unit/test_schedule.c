/* SPDX-License-Identifier: BSD-3-Clause */
/* Modes by the time of the week, minute by minute through whole years of several time zones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/schedule.h"

#define YEAR_2026 INT64_C(1767225600) /* 2026-01-01T00:00:00Z */
/* Written out, so that they need no files of the system. */
#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"

#define MINUTES_MAX (367 * 1440)

static void set_zone(const char *name)
{
	assert_int_equal(setenv("TZ", name, 1), 0);
	tzset();
}

static struct schedule schedule_of(const char *const *texts)
{
	struct schedule schedule = {.count = 0};
	const char *why = "";

	for (; texts[schedule.count]; schedule.count++)
		if (!schedule_rule_from_text(
			    &schedule.rules[schedule.count], texts[schedule.count], &why))
			fail_msg("%s: %s", texts[schedule.count], why);
	return schedule;
}

static int64_t at(int month, int day, int hour, int minute)
{
	struct tm tm = {.tm_year = 126,
		.tm_mon = month - 1,
		.tm_mday = day,
		.tm_hour = hour,
		.tm_min = minute,
		.tm_isdst = -1};

	return mktime(&tm);
}

/* -1: none */
static int mode_at(const struct schedule *schedule, int64_t when)
{
	enum policy_mode mode;

	return schedule_mode(schedule, schedule_minute((time_t)when), &mode) ? (int)mode : -1;
}

static void test_text(void **state)
{
	static const struct {
		const char *text, *same;
	} good[] = {
		{"mon-fri 20:00-07:00 block", "mon-fri 20:00-07:00 block"},
		{"sat,sun 00:00-24:00 watch", "sat-sun 00:00-24:00 watch"},
		{"  Fri-Mon\t22:30-23:00   ignore", "mon,fri-sun 22:30-23:00 ignore"},
		{"08:00-12:00 block", "daily 08:00-12:00 block"},
		{"daily 23:59-00:00 block", "daily 23:59-00:00 block"},
		{"mon-sun 08:00-12:00 block", "daily 08:00-12:00 block"},
		{"wed 08:00-12:00 block", "wed 08:00-12:00 block"},
	};
	struct schedule_rule rule, again;
	char text[SCHEDULE_TEXT_MAX];
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(schedule_rule_from_text(&rule, good[i].text, &why));
		schedule_rule_to_text(&rule, text);
		assert_string_equal(text, good[i].same);
		assert_true(schedule_rule_from_text(&again, text, &why));
		assert_true(again.days == rule.days && again.from == rule.from &&
			    again.to == rule.to && again.mode == rule.mode);
	}
	/* The longest there is. */
	rule = (struct schedule_rule){.days = 0x55, .from = 1200, .to = 1440, .mode = MODE_IGNORE};
	schedule_rule_to_text(&rule, text);
	assert_string_equal(text, "mon,wed,fri,sun 20:00-24:00 ignore");
}

static void test_bad_text(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{"", "times such as 20:00-07:00"},
		{"mon", "times such as 20:00-07:00"},
		{"monday 20:00-07:00 block", "times such as 20:00-07:00"},
		{"mon- 20:00-07:00 block", "days such as mon-fri or sat,sun"},
		{"mon, 20:00-07:00 block", "days such as mon-fri or sat,sun"},
		{"weekend 20:00-07:00 block", "days such as mon-fri or sat,sun"},
		{"mon 8:00-12:00 block", "times such as 20:00-07:00"},
		{"mon 20:60-21:00 block", "times such as 20:00-07:00"},
		{"mon 20:00-24:01 block", "times such as 20:00-07:00"},
		{"mon 20:00 - 21:00 block", "times such as 20:00-07:00"},
		{"mon 20:00-2", "times such as 20:00-07:00"},
		{"mon 24:00-07:00 block", "a span of time, 00:00-24:00 for all day"},
		{"mon 07:00-07:00 block", "a span of time, 00:00-24:00 for all day"},
		{"mon 20:00-07:00", "a mode behind the times"},
		{"mon 20:00-07:00block", "a mode behind the times"},
		{"mon 20:00-07:00 ", "watch, block or ignore behind the times"},
		{"mon 20:00-07:00 allow", "watch, block or ignore behind the times"},
		{"mon 20:00-07:00 block x", "watch, block or ignore behind the times"},
	};
	struct schedule_rule rule;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(schedule_rule_from_text(&rule, bad[i].text, &why));
		assert_string_equal(why, bad[i].why);
	}
}

/* 2026-11-20 is a Friday. */
static void test_over_midnight_and_week(void **state)
{
	static const char *const texts[] = {
		"mon-fri 20:00-07:00 block", "sun 23:00-01:00 watch", NULL};
	struct schedule schedule = schedule_of(texts);

	(void)state;
	set_zone(BERLIN);
	assert_int_equal(mode_at(&schedule, at(11, 20, 19, 59)), -1);
	assert_int_equal(mode_at(&schedule, at(11, 20, 20, 0)), MODE_BLOCK);
	assert_int_equal(mode_at(&schedule, at(11, 21, 6, 59)), MODE_BLOCK);
	assert_int_equal(mode_at(&schedule, at(11, 21, 7, 0)), -1);
	assert_int_equal(mode_at(&schedule, at(11, 21, 20, 0)), -1);
	assert_int_equal(mode_at(&schedule, at(11, 22, 23, 30)), MODE_WATCH);
	assert_int_equal(mode_at(&schedule, at(11, 23, 0, 59)), MODE_WATCH);
	assert_int_equal(mode_at(&schedule, at(11, 23, 1, 0)), -1);
	assert_int_equal(schedule_next_change(&schedule, at(11, 20, 12, 0)), at(11, 20, 20, 0));
	assert_int_equal(schedule_next_change(&schedule, at(11, 21, 3, 0) + 31), at(11, 21, 7, 0));
	assert_int_equal(schedule_next_change(&schedule, at(11, 21, 7, 0)), at(11, 22, 23, 0));
}

/* Of two rules that fit, the first counts; a change from one to another is a change too. */
static void test_first_rule_counts(void **state)
{
	static const char *const texts[] = {
		"mon 12:00-13:00 ignore", "mon 08:00-18:00 block", "daily 00:00-24:00 watch", NULL};
	static const char *const all[] = {"daily 00:00-12:00 block", "12:00-24:00 block", NULL};
	struct schedule schedule = schedule_of(texts), constant = schedule_of(all);
	struct schedule empty = {.count = 0};
	int64_t monday = at(11, 23, 0, 0);

	(void)state;
	assert_int_equal(mode_at(&schedule, monday + 12 * 3600), MODE_IGNORE);
	assert_int_equal(mode_at(&schedule, monday + 13 * 3600), MODE_BLOCK);
	assert_int_equal(mode_at(&schedule, monday + 18 * 3600), MODE_WATCH);
	assert_int_equal(schedule_next_change(&schedule, monday + 9 * 3600), monday + 12 * 3600);
	assert_int_equal(
		schedule_next_change(&schedule, monday + 20 * 3600), monday + 7 * 86400 + 8 * 3600);
	assert_int_equal(schedule_next_change(&constant, monday), INT64_MAX);
	assert_int_equal(schedule_next_change(&empty, monday), INT64_MAX);
}

/* In Berlin, 02:00 is 03:00 on 2026-03-29, and 03:00 is 02:00 again on 2026-10-25. */
static void test_summer_time(void **state)
{
	static const char *const texts[] = {"sun 02:30-04:00 block", NULL};
	struct schedule schedule = schedule_of(texts);
	int64_t spring = at(3, 29, 1, 0) + 3600, autumn = at(10, 25, 1, 0) + 3600;

	(void)state;
	set_zone(BERLIN);
	assert_int_equal(spring, at(3, 29, 3, 0));
	assert_int_equal(mode_at(&schedule, spring - 60), -1);
	assert_int_equal(mode_at(&schedule, spring), MODE_BLOCK);
	assert_int_equal(schedule_next_change(&schedule, spring - 7200), spring);
	assert_int_equal(schedule_next_change(&schedule, spring), spring + 3600);
	assert_int_equal(mode_at(&schedule, autumn + 1740), -1);
	assert_int_equal(mode_at(&schedule, autumn + 1800), MODE_BLOCK);
	assert_int_equal(mode_at(&schedule, autumn + 3600), -1);
	assert_int_equal(mode_at(&schedule, autumn + 5400), MODE_BLOCK);
	assert_int_equal(schedule_next_change(&schedule, autumn), autumn + 1800);
	assert_int_equal(schedule_next_change(&schedule, autumn + 1800), autumn + 3600);
	assert_int_equal(schedule_next_change(&schedule, autumn + 3600), autumn + 5400);
	assert_int_equal(schedule_next_change(&schedule, autumn + 5400), autumn + 3 * 3600);
}

/* --- by brute force --- */

/* What the words mean, by the day and the clock alone. */
static bool is_within(const struct schedule_rule *rule, const struct tm *tm)
{
	int clock = tm->tm_hour * 60 + tm->tm_min;
	bool today = rule->days & 1 << (tm->tm_wday + 6) % 7,
	     yesterday = rule->days & 1 << (tm->tm_wday + 5) % 7;

	if (rule->from < rule->to)
		return today && clock >= rule->from && clock < rule->to;
	return (today && clock >= rule->from) || (yesterday && clock < rule->to);
}

static int expected_mode(const struct schedule *schedule, time_t when)
{
	struct tm tm;

	localtime_r(&when, &tm);
	for (unsigned i = 0; i < schedule->count; i++)
		if (is_within(&schedule->rules[i], &tm))
			return (int)schedule->rules[i].mode;
	return -1;
}

static signed char modes[MINUTES_MAX];

/* A year minute by minute, then the next change from many of its instants. */
static void walk_year(const struct schedule *schedule)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < MINUTES_MAX; i++) {
		time_t when = (time_t)(YEAR_2026 + i * 60);
		modes[i] = (signed char)expected_mode(schedule, when);
		assert_int_equal(mode_at(schedule, when), modes[i]);
	}
	for (int i = MINUTES_MAX - 2; i >= 0; i--) {
		int64_t when = YEAR_2026 + i * 60;
		bool changes = modes[i + 1] != modes[i];
		if (changes)
			next = when + 60;
		if (next != INT64_MAX && (changes || i % 97 == 0))
			assert_int_equal(schedule_next_change(schedule, when + i % 60), next);
	}
}

static void test_a_year(void **state)
{
	static const char *const zones[] = {BERLIN, LORD_HOWE};
	static const char *const schedules[][5] = {
		{"mon-fri 20:00-07:00 block", "sat-sun 22:00-09:00 watch", NULL},
		{"sun 02:10-02:50 block", "sat 23:30-02:30 ignore", "daily 01:30-03:30 watch",
			NULL},
		{"sun 00:00-24:00 block", "mon 00:00-00:01 watch", "wed-thu 12:00-11:59 ignore",
			NULL},
	};

	(void)state;
	for (size_t zone = 0; zone < sizeof(zones) / sizeof(zones[0]); zone++) {
		set_zone(zones[zone]);
		for (size_t i = 0; i < sizeof(schedules) / sizeof(schedules[0]); i++) {
			struct schedule schedule = schedule_of(schedules[i]);
			walk_year(&schedule);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_bad_text),
		cmocka_unit_test(test_over_midnight_and_week),
		cmocka_unit_test(test_first_rule_counts),
		cmocka_unit_test(test_summer_time),
		cmocka_unit_test(test_a_year),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A week is a ring of 10,080 minutes, in which a rule is a span for each of its days. What the mode
 * is follows from the minute alone, so nothing is remembered and nothing can be missed: whoever
 * asks once a minute is right after every step of the clock. When it changes next is found by going
 * from end to end of spans; where the time zone's offset changes on the way, the walk goes on from
 * that instant. Rejected: to count spans in elapsed seconds from their beginning, which makes
 * "until 07:00" end at 06:00 or 08:00 twice a year.
 */
#include "resolver/schedule.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY_MINUTES 1440
#define WEEK_MINUTES (7 * DAY_MINUTES)
#define MINUTE_S 60
#define HORIZON_S (15 * 86400) /* two weeks: what does not change meanwhile never does */
#define ALL_DAYS 0x7f

static const char day_names[7][4] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/* --- text --- */

static bool read_day(const char **text, unsigned *day)
{
	for (*day = 0; *day < 7; (*day)++) {
		if (strncasecmp(*text, day_names[*day], 3) == 0) {
			*text += 3;
			return true;
		}
	}
	return false;
}

/* "mon-fri,sun", around the end of the week too. */
static bool read_days(const char **text, uint8_t *days)
{
	unsigned first, last;

	*days = 0;
	do {
		if (!read_day(text, &first))
			return false;
		last = first;
		if (**text == '-' && (++*text, !read_day(text, &last)))
			return false;
		for (unsigned day = first;; day = (day + 1) % 7) {
			*days |= (uint8_t)(1 << day);
			if (day == last)
				break;
		}
	} while (**text == ',' && ++*text);
	return true;
}

static bool read_clock(const char **text, uint16_t *minutes)
{
	const char *c = *text;

	for (int i = 0; i < 5; i++)
		if (i == 2 ? c[i] != ':' : !isdigit((unsigned char)c[i]))
			return false;
	unsigned hour = (unsigned)(c[0] - '0') * 10 + (unsigned)(c[1] - '0');
	unsigned minute = (unsigned)(c[3] - '0') * 10 + (unsigned)(c[4] - '0');
	*text += 5;
	*minutes = (uint16_t)(hour * 60 + minute);
	return minute < 60 && *minutes <= DAY_MINUTES;
}

static void skip_spaces(const char **text)
{
	*text += strspn(*text, " \t");
}

static bool refuse(const char **why, const char *words)
{
	*why = words;
	return false;
}

bool schedule_rule_from_text(struct schedule_rule *out, const char *text, const char **why)
{
	struct schedule_rule rule = {.days = ALL_DAYS};

	skip_spaces(&text);
	if (strncasecmp(text, "daily", 5) == 0)
		text += 5;
	else if (isalpha((unsigned char)*text) && !read_days(&text, &rule.days))
		return refuse(why, "days such as mon-fri or sat,sun");
	skip_spaces(&text);
	if (!read_clock(&text, &rule.from) || *text++ != '-' || !read_clock(&text, &rule.to))
		return refuse(why, "times such as 20:00-07:00");
	if (rule.from == DAY_MINUTES || rule.from == rule.to)
		return refuse(why, "a span of time, 00:00-24:00 for all day");
	if (*text != ' ' && *text != '\t')
		return refuse(why, "a mode behind the times");
	skip_spaces(&text);
	if (!policy_mode_from_text(&rule.mode, text))
		return refuse(why, "watch, block or ignore behind the times");
	*out = rule;
	return true;
}

/* Runs of days, Monday first. */
static size_t put_days(uint8_t days, char *out)
{
	size_t used = 0;

	if (days == ALL_DAYS)
		return (size_t)snprintf(out, SCHEDULE_TEXT_MAX, "daily");
	for (unsigned day = 0; day < 7; day++) {
		unsigned last = day;
		if (!(days & 1 << day))
			continue;
		while (last < 6 && days & 1 << (last + 1))
			last++;
		used += (size_t)snprintf(out + used, SCHEDULE_TEXT_MAX - used, "%s%s%s%s",
			used ? "," : "", day_names[day], last > day ? "-" : "",
			last > day ? day_names[last] : "");
		day = last;
	}
	return used;
}

void schedule_rule_to_text(const struct schedule_rule *rule, char *out)
{
	size_t used = put_days(rule->days, out);

	snprintf(out + used, SCHEDULE_TEXT_MAX - used, " %02u:%02u-%02u:%02u %s", rule->from / 60u,
		rule->from % 60u, rule->to / 60u, rule->to % 60u, policy_mode_name(rule->mode));
}

/* --- time --- */

static struct tm local_time(time_t when)
{
	struct tm tm;

	if (!localtime_r(&when, &tm))
		gmtime_r(&(time_t){0}, &tm);
	return tm;
}

unsigned schedule_minute(time_t when)
{
	struct tm tm = local_time(when);
	unsigned day = (unsigned)(tm.tm_wday + 6) % 7;

	return day * DAY_MINUTES + (unsigned)(tm.tm_hour * 60 + tm.tm_min);
}

static unsigned span_minutes(const struct schedule_rule *rule)
{
	return rule->to > rule->from ? (unsigned)(rule->to - rule->from)
				     : (unsigned)(rule->to + DAY_MINUTES - rule->from);
}

/* Minutes from one minute of the week to the next time that it is another. */
static unsigned minutes_to(unsigned minute, unsigned other)
{
	return (other + WEEK_MINUTES - minute) % WEEK_MINUTES;
}

static bool rule_fits(const struct schedule_rule *rule, unsigned minute)
{
	for (unsigned day = 0; day < 7; day++) {
		unsigned begin = day * DAY_MINUTES + rule->from;
		if (rule->days & 1 << day && minutes_to(begin, minute) < span_minutes(rule))
			return true;
	}
	return false;
}

bool schedule_mode(const struct schedule *schedule, unsigned minute, enum policy_mode *mode)
{
	for (unsigned i = 0; i < schedule->count; i++) {
		if (!rule_fits(&schedule->rules[i], minute))
			continue;
		*mode = schedule->rules[i].mode;
		return true;
	}
	return false;
}

/* The mode then, or -1 for none. */
static int mode_at(const struct schedule *schedule, int64_t when)
{
	enum policy_mode mode;

	return schedule_mode(schedule, schedule_minute((time_t)when), &mode) ? (int)mode : -1;
}

/* Minutes until a span begins or ends next; 0: there is none. */
static unsigned minutes_to_end(const struct schedule *schedule, unsigned minute)
{
	unsigned least = 0;

	for (unsigned i = 0; i < schedule->count; i++) {
		const struct schedule_rule *rule = &schedule->rules[i];
		for (unsigned day = 0; day < 7; day++) {
			unsigned begin = day * DAY_MINUTES + rule->from;
			unsigned ends[2] = {begin, begin + span_minutes(rule)};
			for (unsigned k = 0; k < 2 && rule->days & 1 << day; k++) {
				unsigned left = minutes_to(minute, ends[k] % WEEK_MINUTES);
				left = left ? left : WEEK_MINUTES;
				least = least == 0 || left < least ? left : least;
			}
		}
	}
	return least;
}

static long offset_at(int64_t when)
{
	return local_time((time_t)when).tm_gmtoff;
}

/* The first whole minute behind `at` with another offset than there; there is one until `end`. */
static int64_t offset_change(int64_t at, int64_t end)
{
	int64_t before = at / MINUTE_S, after = end / MINUTE_S;
	long offset = offset_at(at);

	while (after - before > 1) {
		int64_t middle = before + (after - before) / 2;
		if (offset_at(middle * MINUTE_S) == offset)
			before = middle;
		else
			after = middle;
	}
	return after * MINUTE_S;
}

int64_t schedule_next_change(const struct schedule *schedule, int64_t when)
{
	int64_t at = when - when % MINUTE_S;
	int now = mode_at(schedule, at);

	while (at < when + HORIZON_S) {
		unsigned left = minutes_to_end(schedule, schedule_minute((time_t)at));
		if (left == 0)
			break;
		int64_t next = at + (int64_t)left * MINUTE_S;
		at = offset_at(next) == offset_at(at) ? next : offset_change(at, next);
		if (mode_at(schedule, at) != now)
			return at;
	}
	return INT64_MAX;
}

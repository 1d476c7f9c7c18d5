/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One pass over the hours: localtime_r says of the middle of each in which part of which day it is,
 * and hours in a row of the same part are one bucket. So what a zone does needs no arithmetic here:
 * a repeated hour makes a longer row, a skipped one a shorter, and days that begin at one o'clock
 * are days too. Adding spans to a beginning and asking mktime each time was rejected: a local time
 * that occurs twice or not at all has to be told apart there, and not every year's rules are known.
 */
#include "resolver/control/buckets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOUR_S 3600
#define HOUR_MS INT64_C(3600000)
#define BACK_HOURS 49 /* further than the begin of a day can be, whatever the zone does */
#define SECONDS_MAX INT64_C(253402214400) /* the end of the year 9999 */

bool bucket_span_from_text(struct bucket_span *out, const char *text)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || number < 1 || number > 31 || !*end || end[1])
		return false;
	if (*end == 'd' || (*end == 'h' && number == 24))
		*out = (struct bucket_span){0, *end == 'd' ? (unsigned)number : 1};
	else
		*out = (struct bucket_span){(unsigned)number, 0};
	return *end == 'd' || (*end == 'h' && 24 % number == 0);
}

static bool local_time(int64_t seconds, struct tm *out)
{
	time_t clock = (time_t)seconds;

	return localtime_r(&clock, out) != NULL;
}

/* Days since 1970 of a local date. */
static int64_t day_number(const struct tm *local)
{
	struct tm date = {
		.tm_year = local->tm_year, .tm_mon = local->tm_mon, .tm_mday = local->tm_mday};

	return (int64_t)timegm(&date) / 86400;
}

/* A number that hours of the same bucket share. */
static int64_t part_of(const struct bucket_span *span, int64_t hour, int64_t first_day)
{
	struct tm local;

	if (span->hours == 1 || !local_time(hour * HOUR_S + HOUR_S / 2, &local))
		return hour;
	int64_t day = day_number(&local);
	if (span->hours)
		return day * 24 + local.tm_hour / (int)span->hours;
	return day >= first_day ? (day - first_day) / span->days : -1;
}

static int64_t day_of(int64_t hour)
{
	struct tm local;

	return local_time(hour * HOUR_S + HOUR_S / 2, &local) ? day_number(&local) : 0;
}

/* The first hour of the bucket that hour is in. */
static int64_t begin_of(const struct bucket_span *span, int64_t hour, int64_t first_day)
{
	int64_t part = part_of(span, hour, first_day);

	for (int back = 0; back < BACK_HOURS; back++) {
		if (hour == 0 || part_of(span, hour - 1, first_day) != part)
			break;
		hour--;
	}
	return hour;
}

static void fill(struct buckets *out, int64_t first_day)
{
	int64_t before = 0;
	struct tm local;

	out->count = 0;
	for (size_t i = 0; i < out->hours.count; i++) {
		int64_t hour = out->hours.first + (int64_t)i;
		int64_t part = part_of(&out->span, hour, first_day);
		if (i == 0 || part != before)
			out->starts[out->count++] = i;
		out->of_hour[i] = (uint32_t)out->count - 1;
		before = part;
		if (local_time(hour * HOUR_S, &local) && local.tm_min != 0)
			out->uneven = true;
	}
	out->starts[out->count] = out->hours.count;
}

enum td_error buckets_make(struct buckets *out, struct arena *arena, struct bucket_span span,
	int64_t since_ms, int64_t until_ms)
{
	*out = (struct buckets){.span = span};
	if (since_ms < 0 || until_ms <= since_ms || until_ms / 1000 > SECONDS_MAX)
		return TD_INVALID;
	tzset();
	int64_t first = since_ms / HOUR_MS, last = (until_ms - 1) / HOUR_MS;
	int64_t first_day = day_of(first);
	first = begin_of(&span, first, first_day);
	if (last - first >= (int64_t)READER_HOURS_MAX)
		return TD_INVALID;
	out->hours = (struct reader_span){first, (size_t)(last - first) + 1};
	out->starts = arena_alloc(arena, (out->hours.count + 1) * sizeof(*out->starts));
	out->of_hour = arena_alloc(arena, out->hours.count * sizeof(*out->of_hour));
	if (!out->starts || !out->of_hour)
		return TD_NOMEM;
	fill(out, first_day);
	return TD_OK;
}

int64_t bucket_from_ms(const struct buckets *buckets, size_t bucket)
{
	return (buckets->hours.first + (int64_t)buckets->starts[bucket]) * HOUR_MS;
}

int64_t bucket_to_ms(const struct buckets *buckets, size_t bucket)
{
	return bucket_from_ms(buckets, bucket + 1);
}

/* --- what stands in front of a row --- */

/* The local time that a row is called by: when it begins, or, where hours of UTC lie across, the
 * full hour in the first of them. */
static void named_time(const struct buckets *buckets, size_t bucket, struct tm *out)
{
	int64_t begin = bucket_from_ms(buckets, bucket) / 1000;

	memset(out, 0, sizeof(*out));
	if (!local_time(begin, out) || buckets->span.hours == 1 || out->tm_min == 0)
		return;
	local_time(begin + HOUR_S / 2, out);
	out->tm_min = out->tm_sec = 0;
	out->tm_hour -=
		buckets->span.hours ? out->tm_hour % (int)buckets->span.hours : out->tm_hour;
}

static void plain_label(const struct buckets *buckets, size_t bucket, char out[BUCKET_LABEL_MAX])
{
	static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	struct tm local;
	size_t length;

	named_time(buckets, bucket, &local);
	if (buckets->span.hours) {
		length = strftime(out, BUCKET_LABEL_MAX, "%Y-%m-%d %H:%M", &local);
	} else {
		length = strftime(out, BUCKET_LABEL_MAX, "%Y-%m-%d ", &local);
		if (length && local.tm_wday >= 0 && local.tm_wday < 7)
			memcpy(out + length, days[local.tm_wday], 4);
	}
	if (!length)
		out[0] = '\0';
}

void bucket_label(const struct buckets *buckets, size_t bucket, char out[BUCKET_LABEL_MAX])
{
	char other[BUCKET_LABEL_MAX];
	bool same = false;
	struct tm local;

	plain_label(buckets, bucket, out);
	if (bucket > 0) {
		plain_label(buckets, bucket - 1, other);
		same = strcmp(out, other) == 0;
	}
	if (!same && bucket + 1 < buckets->count) {
		plain_label(buckets, bucket + 1, other);
		same = strcmp(out, other) == 0;
	}
	if (!same)
		return;
	size_t length = strlen(out);
	named_time(buckets, bucket, &local);
	if (!strftime(out + length, BUCKET_LABEL_MAX - length, " %Z", &local))
		out[length] = '\0';
}

void bucket_time(const struct buckets *buckets, size_t bucket, char out[BUCKET_LABEL_MAX])
{
	struct tm local;

	named_time(buckets, bucket, &local);
	size_t length = strftime(out, BUCKET_LABEL_MAX, "%Y-%m-%dT%H:%M:%S", &local);
	long minutes = local.tm_gmtoff / 60, size = labs(minutes);
	snprintf(out + length, BUCKET_LABEL_MAX - length, "%c%02ld:%02ld", minutes < 0 ? '-' : '+',
		size / 60 % 100, size % 60);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Times of logs. Dates become days by arithmetic; only local times need mktime(3), once for each
 * quarter of an hour that a log reaches (every zone's clock is set by whole quarters, on one).
 * In the hour that comes twice when clocks are set back the line before says which one it is: a
 * log does not run backwards by more than a few minutes.
 *
 * What stands in front of a line when it went through syslog is stripped here too, for all formats:
 * RFC 3164 as it is really written, RFC 5424, ISO times, dmesg -T.
 */
#include "resolver/control/ingest/log_private.h"

#include <time.h>

#define DAY_S 86400
#define DAY_MS INT64_C(86400000)
#define QUARTER_S 900
#define BACK_S 300 /* lines of one log are at most this much out of order */

int64_t log_days(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap);
}

static bool is_date(const struct log_civil *civil)
{
	return civil->year >= 1970 && civil->year <= 9999 && civil->month >= 1 &&
	       civil->month <= 12 && civil->day >= 1 &&
	       civil->day <= days_in_month(civil->year, civil->month);
}

static bool same_minute(const struct tm *a, const struct tm *b)
{
	return a->tm_mday == b->tm_mday && a->tm_hour == b->tm_hour && a->tm_min == b->tm_min;
}

/*
 * Both readings of a local time, the earlier first; the same twice where there is only one. The
 * other one is looked for an hour and half an hour (Lord Howe) away: to ask mktime for summer time
 * costs it a search over decades in a zone that has none.
 */
static void find_quarter(const struct log_civil *civil, int64_t found[2])
{
	static const int steps[] = {-3600, -1800, 1800, 3600};
	struct tm wanted = {.tm_year = civil->year - 1900,
		.tm_mon = civil->month - 1,
		.tm_mday = civil->day,
		.tm_hour = civil->hour,
		.tm_min = civil->minute / 15 * 15,
		.tm_isdst = -1};
	struct tm given = wanted, back;
	time_t time = mktime(&given);
	found[0] = found[1] = (int64_t)time;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		time_t other = time + steps[i];
		if (localtime_r(&other, &back) && same_minute(&wanted, &back))
			found[steps[i] > 0] = (int64_t)other;
	}
}

static int64_t resolve_local(struct log_clock *clock, const struct log_civil *civil, int64_t days)
{
	int64_t quarter = days * (DAY_S / QUARTER_S) + civil->hour * 4 + civil->minute / 15;
	int64_t within = civil->minute % 15 * 60 + civil->second;
	if (quarter != clock->quarter) {
		find_quarter(civil, clock->quarter_s);
		clock->quarter = quarter;
	}
	int64_t time = clock->quarter_s[0] + within;
	return time < clock->last_s - BACK_S ? clock->quarter_s[1] + within : time;
}

bool log_time_resolve(struct log_clock *clock, const struct log_civil *civil, int64_t *out_ms)
{
	if (!is_date(civil) || civil->hour > 23 || civil->minute > 59 || civil->second > 60)
		return false;
	int64_t days = log_days(civil->year, civil->month, civil->day), time;
	if (civil->zoned)
		time = days * DAY_S + civil->hour * 3600 + civil->minute * 60 + civil->second -
		       civil->offset_s;
	else
		time = resolve_local(clock, civil, days);
	clock->last_s = time;
	*out_ms = time * 1000 + civil->millisecond;
	return true;
}

/* --- parts of a time --- */

bool log_take_date(struct span *span, struct log_civil *out)
{
	struct span at = *span;
	unsigned char separator = span_at(at, 4);
	if (separator != '-' && separator != '/' && separator != '.')
		return false;
	if (!span_take_digits(&at, 4, &out->year))
		return false;
	at.at++;
	if (!span_take_digits(&at, 2, &out->month) || span_first(at) != separator)
		return false;
	at.at++;
	if (!span_take_digits(&at, 2, &out->day))
		return false;
	*span = at;
	return true;
}

/* Digits behind a point as milliseconds, rounded down. */
static void take_fraction(struct span *span, struct log_civil *out)
{
	unsigned char point = span_first(*span);
	int scale = 100;
	out->millisecond = 0;
	if ((point != '.' && point != ',') || !is_digit(span_at(*span, 1)))
		return;
	for (span->at++; is_digit(span_first(*span)); span->at++, scale /= 10)
		out->millisecond += (*span->at - '0') * scale;
}

bool log_take_clock(struct span *span, struct log_civil *out)
{
	struct span at = *span;
	if (span_at(at, 1) == ':' ? !span_take_digits(&at, 1, &out->hour)
				  : !span_take_digits(&at, 2, &out->hour))
		return false;
	if (!span_take(&at, ":") || !span_take_digits(&at, 2, &out->minute) ||
		!span_take(&at, ":") || !span_take_digits(&at, 2, &out->second))
		return false;
	take_fraction(&at, out);
	*span = at;
	return true;
}

void log_take_zone(struct span *span, struct log_civil *out)
{
	struct span at = *span;
	int hours = 0, minutes = 0;
	out->zoned = true;
	out->offset_s = 0;
	if (span_take(span, "Z") || span_take(span, " UTC") || span_take(span, " GMT"))
		return;
	bool west = span_first(at) == '-';
	if ((west || span_first(at) == '+') && (at.at++, span_take_digits(&at, 2, &hours))) {
		struct span rest = at;
		span_take(&rest, ":");
		if (span_take_digits(&rest, 2, &minutes))
			at = rest;
		if (hours > 23 || minutes > 59)
			hours = minutes = 0;
		out->offset_s = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
		*span = at;
		return;
	}
	out->zoned = false;
}

bool log_take_iso(struct log_clock *clock, struct span *span, int64_t *out_ms)
{
	struct log_civil civil;
	struct span at = *span;
	if (!log_take_date(&at, &civil))
		return false;
	if (!span_take(&at, "T") && !span_take(&at, " "))
		return false;
	if (!log_take_clock(&at, &civil))
		return false;
	log_take_zone(&at, &civil);
	*span = at;
	return log_time_resolve(clock, &civil, out_ms);
}

int log_take_month(struct span *span)
{
	static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	char text[3];
	if (span_length(*span) < 3)
		return 0;
	for (int i = 0; i < 3; i++)
		text[i] = (char)fold((unsigned char)span->at[i]);
	for (int month = 0; month < 12; month++) {
		if (memcmp(months + 3 * month, text, 3) == 0) {
			span->at += 3;
			return month + 1;
		}
	}
	return 0;
}

/* Year of a day since 1970 (H. Hinnant, civil_from_days). */
static int year_of(int64_t days)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	return (int)(year + era * 400 + (of_year >= 306));
}

bool log_time_guess_year(const struct log_clock *clock, struct log_civil *civil)
{
	int64_t latest = clock->reference_ms / DAY_MS + 1;
	if (civil->month < 1 || civil->month > 12)
		return false;
	int year = latest > 0 && latest < 2900000 ? year_of(latest) : 1970;
	for (int back = 0; back <= 8; back++) {
		civil->year = year - back;
		if (civil->day <= days_in_month(civil->year, civil->month) &&
			log_days(civil->year, civil->month, civil->day) <= latest)
			return true;
	}
	return false;
}

bool log_take_epoch(struct span span, int64_t *out_ms)
{
	struct log_civil civil;
	uint64_t value;
	size_t digits = span_length(span);
	if (!span_take_number(&span, INT64_MAX, &value))
		return false;
	digits -= span_length(span);
	if (digits > 11) { /* seconds have 11 digits from the year 5138 on */
		for (; digits > 13; digits--)
			value /= 10;
		*out_ms = (int64_t)value;
		return span_empty(span);
	}
	take_fraction(&span, &civil);
	*out_ms = (int64_t)value * 1000 + civil.millisecond;
	return span_empty(span);
}

/* --- syslog --- */

/* "Nov 22 05:28:30", "Nov 22 2026 05:28:30", "Nov  2 05:28:30.123 UTC". */
static bool take_rfc3164(struct log_clock *clock, struct span *span, int64_t *out_ms)
{
	struct log_civil civil = {0};
	struct span at = *span;
	civil.month = log_take_month(&at);
	if (civil.month == 0 || !span_take(&at, " "))
		return false;
	span_skip_spaces(&at);
	if (is_digit(span_at(at, 1)) ? !span_take_digits(&at, 2, &civil.day)
				     : !span_take_digits(&at, 1, &civil.day))
		return false;
	if (!span_take(&at, " "))
		return false;
	if (span_at(at, 4) == ' ' && span_take_digits(&at, 4, &civil.year))
		at.at++;
	if (!log_take_clock(&at, &civil) ||
		(civil.year == 0 && !log_time_guess_year(clock, &civil)))
		return false;
	log_take_zone(&at, &civil);
	*span = at;
	return log_time_resolve(clock, &civil, out_ms);
}

/* "[Sun Nov 22 05:28:30 2026] ", which dmesg -T writes, and so do some others without brackets. */
static bool take_ctime(struct log_clock *clock, struct span *span, int64_t *out_ms)
{
	struct log_civil civil = {0};
	struct span at = *span;
	bool bracket = span_take(&at, "[");
	if (span_length(at) < 4 || at.at[3] != ' ')
		return false;
	at.at += 4;
	civil.month = log_take_month(&at);
	if (civil.month == 0 || !span_take(&at, " "))
		return false;
	span_skip_spaces(&at);
	if (is_digit(span_at(at, 1)) ? !span_take_digits(&at, 2, &civil.day)
				     : !span_take_digits(&at, 1, &civil.day))
		return false;
	if (!span_take(&at, " ") || !log_take_clock(&at, &civil) || !span_take(&at, " ") ||
		!span_take_digits(&at, 4, &civil.year) || (bracket && !span_take(&at, "]")))
		return false;
	*span = at;
	return log_time_resolve(clock, &civil, out_ms);
}

/* journalctl -o short-full: a day of the week before an ISO time. */
static bool take_weekday_iso(struct log_clock *clock, struct span *span, int64_t *out_ms)
{
	struct span at = *span;
	if (span_at(at, 3) != ' ' || !is_digit(span_at(at, 4)))
		return false;
	at.at += 4;
	if (!log_take_iso(clock, &at, out_ms))
		return false;
	*span = at;
	return true;
}

bool log_take_stamp(struct log_clock *clock, struct span *line, int64_t *out_ms, bool *rfc5424)
{
	struct span at = *line;
	uint64_t priority;
	*rfc5424 = false;
	if (span_take(&at, "<")) {
		if (!span_take_number(&at, 191, &priority) || !span_take(&at, ">"))
			return false;
		*rfc5424 = span_take(&at, "1 ");
	}
	bool read = is_digit(span_first(at))
			    ? log_take_iso(clock, &at, out_ms)
			    : take_rfc3164(clock, &at, out_ms) || take_ctime(clock, &at, out_ms) ||
				      take_weekday_iso(clock, &at, out_ms);
	if (!read)
		return false;
	*line = at;
	return true;
}

/* "-", or elements in brackets, in which quotes and backslashes count. */
static void skip_structured_data(struct span *line)
{
	span_skip_spaces(line);
	if (span_take(line, "-"))
		return;
	while (span_first(*line) == '[') {
		bool quoted = false;
		for (line->at++; !span_empty(*line) && (quoted || *line->at != ']'); line->at++) {
			if (*line->at == '\\' && span_length(*line) > 1)
				line->at++;
			else if (*line->at == '"')
				quoted = !quoted;
		}
		span_take(line, "]");
	}
}

struct span log_take_tag(struct span *line, bool rfc5424)
{
	struct span tag;
	if (rfc5424) {
		span_word(line); /* host */
		tag = span_word(line);
		span_word(line); /* process */
		span_word(line); /* message */
		skip_structured_data(line);
		span_skip_spaces(line);
		return tag;
	}
	for (int word = 0; word < 2; word++) {
		struct span at = *line;
		tag = span_word(&at);
		if (!span_empty(tag) && tag.end[-1] == ':') {
			*line = at;
			span_skip_spaces(line);
			tag.end--;
			return tag;
		}
		if (word == 0)
			*line = at;
	}
	span_skip_spaces(line);
	return (struct span){line->at, line->at};
}

bool log_take_time(struct log_clock *clock, struct span span, int64_t *out_ms)
{
	bool rfc5424;
	span = span_trim(span);
	if (span_length(span) >= 2 && *span.at == '"' && span.end[-1] == '"') {
		span.at++;
		span.end--;
	}
	if (log_take_epoch(span, out_ms))
		return true;
	return log_take_stamp(clock, &span, out_ms, &rfc5424) && span_empty(span);
}

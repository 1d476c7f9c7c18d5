/* SPDX-License-Identifier: BSD-3-Clause */
/* Small numbers are words, as in any text for people; what has to be exact stands beside them in
 * digits. */
#include "resolver/control/say.h"

#include <string.h>

#include "resolver/control/output.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

void say_number(struct strbuf *out, uint64_t number)
{
	static const char *const small[] = {"no", "one", "two", "three", "four", "five", "six",
		"seven", "eight", "nine", "ten", "eleven", "twelve"};

	if (number < sizeof(small) / sizeof(small[0]))
		strbuf_append_text(out, small[number]);
	else
		strbuf_append_u64(out, number);
}

void say_count(struct strbuf *out, uint64_t count, const char *one)
{
	say_number(out, count);
	strbuf_append_char(out, ' ');
	strbuf_append_text(out, one);
	if (count != 1)
		strbuf_append_char(out, 's');
}

static uint64_t rounded(int64_t ms, int64_t unit)
{
	return (uint64_t)((ms + unit / 2) / unit);
}

void say_span(struct strbuf *out, int64_t ms)
{
	if (ms < SECOND)
		strbuf_append_text(out, "less than a second");
	else if (ms < 2 * MINUTE)
		say_count(out, rounded(ms, SECOND), "second");
	else if (ms < 2 * HOUR)
		say_count(out, rounded(ms, MINUTE), "minute");
	else if (ms < 2 * DAY)
		say_count(out, rounded(ms, HOUR), "hour");
	else
		say_count(out, rounded(ms, DAY), "day");
}

void say_period(struct strbuf *out, int64_t ms)
{
	if (rounded(ms, SECOND) <= 1)
		strbuf_append_text(out, "second");
	else if (ms <= 2 * MINUTE)
		say_count(out, rounded(ms, SECOND), "second");
	else
		say_span(out, ms);
}

void say_ratio(struct strbuf *out, uint64_t drops, uint64_t lookups)
{
	double ratio = (double)drops / (double)lookups, back = (double)lookups / (double)drops;
	uint64_t whole = (uint64_t)(ratio + 0.5);

	if (ratio >= 0.95 && ratio > (double)whole * 0.98 && ratio < (double)whole * 1.02) {
		say_count(out, whole, "drop");
		strbuf_append_text(out, " for each lookup");
	} else if (ratio >= 0.95) {
		strbuf_printf(out, "%.1f drops for each lookup", ratio);
	} else {
		strbuf_append_text(out, "one drop for ");
		if (back < 9.95)
			strbuf_printf(out, "%.1f lookups", back);
		else
			strbuf_printf(out, "%.0f lookups", back);
	}
}

void say_name(struct strbuf *out, const char *name)
{
	size_t before = out->length;

	output_text(out, name);
	if (out->failed || out->length <= before + 1 || out->data[out->length - 1] != '.')
		return;
	/* A dot that is a part of the last label is escaped. */
	if (out->length >= before + 2 && out->data[out->length - 2] == '\\')
		return;
	out->length--;
	out->data[out->length] = '\0';
}

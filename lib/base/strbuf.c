/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One growing buffer, doubled when full. The failure is sticky, so a page or a record is composed
 * without a check a line and judged once. Numbers, times and JSON strings are written without
 * printf, because every record of the query log is made of them.
 */
#include "lib/base/strbuf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/decimal.h"

#define CAPACITY_MIN ((size_t)64)
#define DAY_0 INT64_C(-719468) /* 0000-03-01, in days since 1970-01-01 */
#define US_PER_DAY INT64_C(86400000000)

void strbuf_init(struct strbuf *buf)
{
	*buf = (struct strbuf){0};
}

void strbuf_deinit(struct strbuf *buf)
{
	free(buf->data);
	strbuf_init(buf);
}

void strbuf_clear(struct strbuf *buf)
{
	buf->length = 0;
	buf->failed = false;
	if (buf->data)
		buf->data[0] = '\0';
}

char *strbuf_reserve(struct strbuf *buf, size_t size)
{
	if (buf->failed)
		return NULL;
	if (buf->capacity - buf->length > size)
		return buf->data + buf->length;
	size_t capacity = buf->capacity ? buf->capacity : CAPACITY_MIN;
	while (capacity - buf->length <= size && capacity <= SIZE_MAX / 4)
		capacity *= 2;
	char *data = capacity - buf->length > size ? realloc(buf->data, capacity) : NULL;
	if (!data) {
		buf->failed = true;
		return NULL;
	}
	buf->data = data;
	buf->capacity = capacity;
	return data + buf->length;
}

void strbuf_commit(struct strbuf *buf, char *end)
{
	size_t length = (size_t)(end - buf->data);
	/* Something wrote beyond what it had reserved. */
	assert(length >= buf->length && length < buf->capacity);
	buf->length = length;
	*end = '\0';
}

void strbuf_append(struct strbuf *buf, const void *data, size_t size)
{
	char *room = strbuf_reserve(buf, size);
	if (!room)
		return;
	if (size)
		memcpy(room, data, size);
	strbuf_commit(buf, room + size);
}

void strbuf_append_text(struct strbuf *buf, const char *text)
{
	strbuf_append(buf, text, strlen(text));
}

void strbuf_append_char(struct strbuf *buf, char c)
{
	strbuf_append(buf, &c, 1);
}

void strbuf_append_u64(struct strbuf *buf, uint64_t value)
{
	char *room = strbuf_reserve(buf, DECIMAL_MAX);
	if (room)
		strbuf_commit(buf, decimal_put(room, value));
}

void strbuf_printf(struct strbuf *buf, const char *format, ...)
{
	char *room = strbuf_reserve(buf, CAPACITY_MIN - 1);
	if (!room)
		return;
	va_list args;
	va_start(args, format);
	int wanted = vsnprintf(room, buf->capacity - buf->length, format, args);
	va_end(args);
	if (wanted >= 0 && (size_t)wanted >= buf->capacity - buf->length) {
		*room = '\0';
		room = strbuf_reserve(buf, (size_t)wanted);
		if (!room)
			return;
		va_start(args, format);
		wanted = vsnprintf(room, buf->capacity - buf->length, format, args);
		va_end(args);
	}
	if (wanted < 0) {
		*room = '\0';
		buf->failed = true;
		return;
	}
	strbuf_commit(buf, room + wanted);
}

static bool json_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

#define ESCAPE_SIZE 6

static char *put_escaped(char *out, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	const char escape[ESCAPE_SIZE] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

	memcpy(out, escape, sizeof(escape));
	return out + sizeof(escape);
}

static size_t plain_length(const char *text, size_t size)
{
	size_t plain = 0;

	while (plain < size && json_plain((unsigned char)text[plain]))
		plain++;
	return plain;
}

/* Text in quotes, of which the first `plain` bytes need no escape. Room for it is the caller's. */
static char *put_quoted(char *out, const char *text, size_t size, size_t plain)
{
	*out++ = '"';
	if (plain)
		memcpy(out, text, plain);
	out += plain;
	for (size_t i = plain; i < size; i++) {
		if (json_plain((unsigned char)text[i]))
			*out++ = text[i];
		else
			out = put_escaped(out, (unsigned char)text[i]);
	}
	*out++ = '"';
	return out;
}

/* Room for a text with its quotes and two bytes more, taken at once: an answer of the dashboard has
 * a hundred thousand of them. */
static char *reserve_quoted(struct strbuf *buf, size_t size, size_t plain)
{
	if (size > SIZE_MAX / (2 * ESCAPE_SIZE)) {
		buf->failed = true;
		return NULL;
	}
	return strbuf_reserve(buf, plain + ESCAPE_SIZE * (size - plain) + 4);
}

void strbuf_json_string(struct strbuf *buf, const char *text, size_t size)
{
	size_t plain = plain_length(text, size);
	char *out = reserve_quoted(buf, size, plain);

	if (out)
		strbuf_commit(buf, put_quoted(out, text, size, plain));
}

void strbuf_json_key(struct strbuf *buf, const char *key)
{
	char last = buf->length ? buf->data[buf->length - 1] : '{';
	size_t size = strlen(key), plain = plain_length(key, size);
	char *out = reserve_quoted(buf, size, plain);

	if (!out)
		return;
	if (last != '{' && last != '[')
		*out++ = ',';
	out = put_quoted(out, key, size, plain);
	*out++ = ':';
	strbuf_commit(buf, out);
}

void strbuf_json_text(struct strbuf *buf, const char *key, const char *text)
{
	strbuf_json_key(buf, key);
	if (text)
		strbuf_json_string(buf, text, strlen(text));
	else
		strbuf_append_text(buf, "null");
}

void strbuf_json_u64(struct strbuf *buf, const char *key, uint64_t value)
{
	strbuf_json_key(buf, key);
	strbuf_append_u64(buf, value);
}

void strbuf_json_bool(struct strbuf *buf, const char *key, bool value)
{
	strbuf_json_key(buf, key);
	strbuf_append_text(buf, value ? "true" : "false");
}

/*
 * Days since 1970-01-01 to a date, in years that begin on 1 March, so that the leap day is the last
 * of its year. An era is the 146,097 days of 400 years.
 */
static void civil_date(int64_t days, uint64_t *year, unsigned *month, unsigned *day)
{
	uint64_t since_year_0 = (uint64_t)(days - DAY_0);
	uint64_t era = since_year_0 / 146097;
	unsigned of_era = (unsigned)(since_year_0 % 146097);
	unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned month_from_march = (5 * of_year + 2) / 153;
	*day = of_year - (153 * month_from_march + 2) / 5 + 1;
	*month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
	*year = era * 400 + year_of_era + (*month <= 2);
}

void strbuf_append_time(struct strbuf *buf, int64_t wall_us)
{
	/* The form has four digits for the year: what is outside them is shown as the nearest end.
	 */
	const int64_t first = DAY_0 * US_PER_DAY, last = INT64_C(253402300799999999);
	int64_t us = wall_us < first ? first : wall_us > last ? last : wall_us;
	int64_t days = us / US_PER_DAY - (us % US_PER_DAY < 0);
	uint64_t in_day = (uint64_t)(us - days * US_PER_DAY);
	uint64_t second = in_day / 1000000;
	uint64_t year;
	unsigned month, day;
	civil_date(days, &year, &month, &day);
	char text[27], *out = text;
	out = decimal_put_padded(out, year, 4);
	*out++ = '-';
	out = decimal_put_padded(out, month, 2);
	*out++ = '-';
	out = decimal_put_padded(out, day, 2);
	*out++ = 'T';
	out = decimal_put_padded(out, second / 3600, 2);
	*out++ = ':';
	out = decimal_put_padded(out, second / 60 % 60, 2);
	*out++ = ':';
	out = decimal_put_padded(out, second % 60, 2);
	*out++ = '.';
	out = decimal_put_padded(out, in_day % 1000000, 6);
	*out++ = 'Z';
	strbuf_append(buf, text, sizeof(text));
}

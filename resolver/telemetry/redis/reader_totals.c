/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hash of an hour comes first, because counts that arrive late (from a journal, say) are added
 * there and not in the entry of the stream, which is a copy made when the hour closed. Reading the
 * stream alone was rejected for that, and because the hour under way is not in it. Small commands
 * in slices: each takes Redis some microseconds.
 */
#include "resolver/telemetry/redis/reader_totals.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/telemetry/redis/reader_private.h"
#include "resolver/telemetry/redis/schema.h"

#define ENTRIES_ASKED "500" /* of the stream in one call */
#define ID_MAX 48

/* False for what is no count as the script writes it. */
static bool parse_count(const redisReply *reply, uint64_t *out)
{
	if (!reader_is_text(reply) || reply->len == 0 || reply->len > 18 ||
		strspn(reply->str, "0123456789") != reply->len)
		return false;
	*out = strtoull(reply->str, NULL, 10);
	return true;
}

/* --- hashes --- */

static enum td_error ask_hash(struct reader *reader, int64_t hour)
{
	const char *words[2 + CLIENT_COUNTER_COUNT] = {"HMGET"};
	char key[READER_KEY_MAX], text[READER_HOUR_TEXT_MAX];

	reader_hour_text(hour, text);
	if (!reader_make_key(reader, key, KEY_HOUR, reader->resolver, text))
		return TD_TOO_LONG;
	words[1] = key;
	for (int c = 0; c < CLIENT_COUNTER_COUNT; c++)
		words[2 + c] = client_counter_name((enum client_counter)c);
	reader_put(reader, 2 + CLIENT_COUNTER_COUNT, words);
	return TD_OK;
}

static void fill_hash(const redisReply *reply, struct reader_total *row)
{
	for (size_t c = 0; c < CLIENT_COUNTER_COUNT && c < reply->elements; c++)
		if (parse_count(reply->element[c], &row->counters[c]))
			row->known = true;
}

/* All replies of a slice are taken, so that the connection can be used again. */
static enum td_error read_slice(
	struct reader *reader, int64_t first, size_t count, struct reader_total *rows)
{
	enum td_error error = TD_OK;

	for (size_t i = 0; i < count && error == TD_OK; i++)
		error = ask_hash(reader, first + (int64_t)i);
	if (error != TD_OK) /* of the first: all keys are equally long */
		return error;
	for (size_t i = 0; i < count; i++) {
		enum td_error one = TD_OK;
		redisReply *reply = reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &one);
		if (error == TD_OK)
			error = one;
		if (!reply && reader->is_lost)
			return error;
		if (reply)
			fill_hash(reply, &rows[i]);
		freeReplyObject(reply);
	}
	return error;
}

/* --- the stream of closed hours --- */

static bool parse_hour(const redisReply *text, int64_t *hour)
{
	struct tm parts = {.tm_mday = 1};

	if (text->len != 10 || strspn(text->str, "0123456789") != 10 ||
		sscanf(text->str, "%4d%2d%2d%2d", &parts.tm_year, &parts.tm_mon, &parts.tm_mday,
			&parts.tm_hour) != 4)
		return false;
	parts.tm_year -= 1900;
	parts.tm_mon--;
	time_t seconds = timegm(&parts);
	*hour = (int64_t)seconds / 3600;
	return seconds >= 0;
}

static int find_counter(const redisReply *name)
{
	for (int c = 0; c < CLIENT_COUNTER_COUNT; c++)
		if (strcmp(name->str, client_counter_name((enum client_counter)c)) == 0)
			return c;
	return -1;
}

/* The hour stands in the entry itself: where a clock stepped back the id is a later one. */
static void fill_entry(const redisReply *fields, struct reader_span span, const bool *wanted,
	struct reader_total *rows)
{
	struct reader_total total = {.known = true};
	int64_t hour = -1;

	for (size_t i = 0; i + 1 < fields->elements; i += 2) {
		const redisReply *name = fields->element[i], *value = fields->element[i + 1];
		if (!reader_is_text(name) || !reader_is_text(value))
			continue;
		int counter = find_counter(name);
		if (counter >= 0)
			parse_count(value, &total.counters[counter]);
		else if (strcmp(name->str, "hour") == 0 && !parse_hour(value, &hour))
			return;
	}
	if (hour >= span.first && hour < span.first + (int64_t)span.count &&
		wanted[hour - span.first])
		rows[hour - span.first] = total;
}

static bool is_entry(const redisReply *entry)
{
	return entry->type == REDIS_REPLY_ARRAY && entry->elements == 2 &&
	       reader_is_text(entry->element[0]) && entry->element[0]->len < ID_MAX - 1 &&
	       entry->element[1]->type == REDIS_REPLY_ARRAY;
}

/* Entries from the begin of the first hour to the end of the last one. */
static enum td_error read_stream(struct reader *reader, struct reader_span span, const bool *wanted,
	struct reader_total *rows)
{
	char key[READER_KEY_MAX], from[ID_MAX], to[ID_MAX];
	enum td_error error = TD_OK;
	size_t turns = span.count / 500 + 2;

	if (!reader_make_key(reader, key, KEY_HOURS, reader->resolver))
		return TD_TOO_LONG;
	snprintf(from, sizeof(from), "%lld", (long long)span.first * 3600000);
	snprintf(to, sizeof(to), "%lld",
		((long long)span.first + (long long)span.count) * 3600000 - 1);
	for (bool more = true; more && error == TD_OK && turns > 0; turns--) {
		READER_PUT(reader, "XRANGE", key, from, to, "COUNT", ENTRIES_ASKED);
		redisReply *reply =
			reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
		if (!reply)
			return error;
		more = reply->elements == (size_t)strtoul(ENTRIES_ASKED, NULL, 10);
		for (size_t i = 0; i < reply->elements; i++) {
			if (!is_entry(reply->element[i]))
				continue;
			fill_entry(reply->element[i]->element[1], span, wanted, rows);
			snprintf(from, sizeof(from), "(%s", reply->element[i]->element[0]->str);
		}
		freeReplyObject(reply);
	}
	return error;
}

/* Narrowed to what the hashes lack. */
static enum td_error read_missing(
	struct reader *reader, struct reader_span span, struct reader_total *rows)
{
	bool *wanted = calloc(span.count + 1, sizeof(*wanted));
	enum td_error error = TD_OK;
	size_t last = 0;

	if (!wanted)
		return TD_NOMEM;
	for (size_t i = 0; i < span.count; i++) {
		wanted[i] = !rows[i].known;
		last = wanted[i] ? i + 1 : last;
	}
	if (last > 0)
		error = read_stream(reader, (struct reader_span){span.first, last}, wanted, rows);
	free(wanted);
	return error;
}

static bool has_known(const struct reader_total *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (rows[i].known)
			return true;
	return false;
}

/* The newest first: behind three weeks without a hash retention has taken all of them. */
enum td_error reader_totals(
	struct reader *reader, struct reader_span span, struct reader_total *rows)
{
	enum td_error error = TD_OK;
	size_t left = span.count;

	memset(rows, 0, span.count * sizeof(*rows));
	if (!reader_is_span(reader, span))
		return TD_TOO_LONG;
	while (left > 0 && error == TD_OK) {
		size_t slice = left < READER_SLICE ? left : READER_SLICE;
		left -= slice;
		error = read_slice(reader, span.first + (int64_t)left, slice, rows + left);
		if (!has_known(rows + left, slice))
			break;
	}
	return error == TD_OK ? read_missing(reader, span, rows) : error;
}

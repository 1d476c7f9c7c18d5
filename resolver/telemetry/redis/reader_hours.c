/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Series by the hour. The fields of a timeline are asked for by name, a few hours a command, and
 * not scanned: the answer is then as long as the question, a field cannot come twice, and fields
 * that nobody knows cost nothing. Sets of an hour are read from the top, some hours in flight.
 */
#include "resolver/telemetry/redis/reader_hours.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "resolver/telemetry/redis/reader_private.h"
#include "resolver/telemetry/redis/schema.h"

#define HOUR_END INT64_C(70389528) /* the year 10000: a year has four digits */
#define FIELD_MAX 40
#define HOURS_ASKED 6 /* of one HMGET: with five sources 32 words, the most of a command */
#define SETS_ASKED 16 /* in flight: each may bring some hundred kilobytes */

const char *reader_source_name(enum reader_source source)
{
	static const char *const names[] = {
#define X(name, text) [SOURCE_##name] = text,
		HOUR_SOURCES(X)
#undef X
	};
	return names[source];
}

void reader_hour_text(int64_t hour, char out[READER_HOUR_TEXT_MAX])
{
	time_t seconds = (time_t)(hour * 3600);
	struct tm parts;

	gmtime_r(&seconds, &parts);
	strftime(out, READER_HOUR_TEXT_MAX, "%Y%m%d%H", &parts);
}

bool reader_is_span(struct reader *reader, struct reader_span span)
{
	if (span.count <= READER_HOURS_MAX && span.first >= 0 &&
		span.first < HOUR_END - (int64_t)READER_HOURS_MAX)
		return true;
	reader_note(reader, "the hours asked for are out of range");
	return false;
}

/* A count as the script writes it; 0 for anything else. */
static uint64_t count_of(const redisReply *reply)
{
	if (!reader_is_text(reply) || reply->len == 0 || reply->len > 18 ||
		strspn(reply->str, "0123456789") != reply->len)
		return 0;
	return strtoull(reply->str, NULL, 10);
}

/* --- the timeline of an address --- */

static void ask_timeline(struct reader *reader, const char *key, int64_t first, size_t hours)
{
	char fields[HOURS_ASKED * SOURCE_COUNT][FIELD_MAX], hour[READER_HOUR_TEXT_MAX];
	const char *words[2 + HOURS_ASKED * SOURCE_COUNT] = {"HMGET", key};
	int count = 2;

	for (size_t h = 0; h < hours; h++) {
		reader_hour_text(first + (int64_t)h, hour);
		for (int s = 0; s < SOURCE_COUNT; s++) {
			char *field = fields[count - 2];
			snprintf(field, FIELD_MAX, "%s:%s", hour,
				reader_source_name((enum reader_source)s));
			words[count++] = field;
		}
	}
	reader_put(reader, count, words);
}

static size_t hours_at(struct reader_span span, size_t done, size_t most)
{
	return span.count - done < most ? span.count - done : most;
}

static enum td_error take_timeline(
	struct reader *reader, struct reader_span span, size_t from, size_t to, uint64_t *counts)
{
	enum td_error error = TD_OK;

	for (size_t done = from; done < to; done += HOURS_ASKED) {
		size_t fields = hours_at(span, done, HOURS_ASKED) * SOURCE_COUNT;
		redisReply *reply = reader_take_next(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
		if (!reply && reader->is_lost)
			return error;
		for (size_t i = 0; reply && reply->elements == fields && i < fields; i++)
			counts[done * SOURCE_COUNT + i] = count_of(reply->element[i]);
		freeReplyObject(reply);
	}
	return error;
}

enum td_error reader_timeline(
	struct reader *reader, const char *address, struct reader_span span, uint64_t *counts)
{
	const size_t slice = (size_t)READER_SLICE * HOURS_ASKED;
	char key[READER_KEY_MAX];
	enum td_error error = TD_OK;

	memset(counts, 0, span.count * SOURCE_COUNT * sizeof(*counts));
	if (!reader_is_span(reader, span) ||
		!reader_make_key(reader, key, KEY_TIMELINE, reader->resolver, address))
		return TD_TOO_LONG;
	for (size_t done = 0; done < span.count && error == TD_OK; done += slice) {
		size_t end = done + hours_at(span, done, slice);
		for (size_t at = done; at < end; at += HOURS_ASKED)
			ask_timeline(reader, key, span.first + (int64_t)at,
				hours_at(span, at, HOURS_ASKED));
		error = take_timeline(reader, span, done, end, counts);
	}
	return error;
}

/* --- one client, hour by hour --- */

static enum td_error ask_client(
	struct reader *reader, const char *counter, const char *client, int64_t hour)
{
	char key[READER_KEY_MAX], text[READER_HOUR_TEXT_MAX];

	reader_hour_text(hour, text);
	if (!reader_make_key(reader, key, KEY_HOUR_COUNTER, reader->resolver, text, counter))
		return TD_TOO_LONG;
	READER_PUT(reader, "ZSCORE", key, client);
	return TD_OK;
}

enum td_error reader_hour_client(struct reader *reader, const char *counter, const char *client,
	struct reader_span span, uint64_t *counts)
{
	enum td_error error = TD_OK;

	memset(counts, 0, span.count * sizeof(*counts));
	if (!reader_is_span(reader, span))
		return TD_TOO_LONG;
	for (size_t done = 0; done < span.count && error == TD_OK; done += READER_SLICE) {
		size_t end = done + hours_at(span, done, READER_SLICE);
		for (size_t i = done; i < end && error == TD_OK; i++)
			error = ask_client(reader, counter, client, span.first + (int64_t)i);
		if (error != TD_OK) /* of the first: all keys are equally long */
			return error;
		for (size_t i = done; i < end; i++) {
			redisReply *reply =
				reader_take_next(reader, REDIS_REPLY_STRING, REDIS_REPLY_NIL, &error);
			if (!reply && reader->is_lost)
				return error;
			int64_t score = reply ? reader_score(reply) : 0;
			counts[i] = score > 0 ? (uint64_t)score : 0;
			freeReplyObject(reply);
		}
	}
	return error;
}

/* --- sets of an hour --- */

static enum td_error ask_set(struct reader *reader, enum reader_hour_set set, int64_t hour)
{
	char key[READER_KEY_MAX], text[READER_HOUR_TEXT_MAX], last[24];
	const char *name = set == READER_HOUR_DROPS ? "drops" : "watched-names";

	reader_hour_text(hour, text);
	if (!reader_make_key(reader, key, KEY_HOUR_COUNTER, reader->resolver, text, name))
		return TD_TOO_LONG;
	READER_PUT(reader, "ZREVRANGE", key, "0", reader_limit_text(last, READER_HOUR_ROWS_MAX),
		"WITHSCORES");
	return TD_OK;
}

/* Three replies each. */
static enum td_error ask_stamp(struct reader *reader, int64_t hour)
{
	char hash[READER_KEY_MAX], names[READER_KEY_MAX], text[READER_HOUR_TEXT_MAX];

	reader_hour_text(hour, text);
	if (!reader_make_key(reader, hash, KEY_HOUR, reader->resolver, text) ||
		!reader_make_key(reader, names, KEY_HOUR_WATCHED_NAMES, reader->resolver, text))
		return TD_TOO_LONG;
	READER_PUT(reader, "HMGET", hash, "watched", "blocked");
	READER_PUT(reader, "ZCARD", names);
	READER_PUT(reader, "ZSCORE", names, SCHEMA_OTHER);
	return TD_OK;
}

static enum td_error take_stamp(struct reader *reader, struct reader_hour_stamp *out)
{
	enum td_error error = TD_OK;
	redisReply *sums = reader_take_next(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	redisReply *rows = reader_take_next(reader, REDIS_REPLY_INTEGER, REDIS_REPLY_INTEGER, &error);
	redisReply *other = reader_take_next(reader, REDIS_REPLY_STRING, REDIS_REPLY_NIL, &error);

	*out = (struct reader_hour_stamp){.answers = 0};
	for (size_t i = 0; sums && sums->elements == 2 && i < 2; i++)
		out->answers += count_of(sums->element[i]);
	if (rows && rows->integer > 0)
		out->rows = (uint64_t)rows->integer;
	int64_t score = other ? reader_score(other) : 0;
	out->other = score > 0 ? (uint64_t)score : 0;
	freeReplyObject(sums);
	freeReplyObject(rows);
	freeReplyObject(other);
	return error;
}

enum td_error reader_hour_stamps(
	struct reader *reader, struct reader_span span, struct reader_hour_stamp *out)
{
	const size_t slice = READER_SLICE / 3;
	enum td_error error = TD_OK;

	if (!reader_is_span(reader, span))
		return TD_TOO_LONG;
	for (size_t done = 0; done < span.count && error == TD_OK; done += slice) {
		size_t end = done + hours_at(span, done, slice);
		for (size_t i = done; i < end && error == TD_OK; i++)
			error = ask_stamp(reader, span.first + (int64_t)i);
		if (error != TD_OK) /* of the first: all keys are equally long */
			return error;
		for (size_t i = done; i < end && !reader->is_lost; i++) {
			enum td_error one = take_stamp(reader, &out[i]);
			error = error == TD_OK ? one : error;
		}
	}
	return error;
}

static enum td_error visit_set(
	const redisReply *reply, size_t hour, reader_hour_fn *visit, void *context, bool *cut)
{
	enum td_error error = TD_OK;
	size_t rows = reply->elements / 2;

	if (rows > READER_HOUR_ROWS_MAX) {
		rows = READER_HOUR_ROWS_MAX;
		*cut = true;
	}
	for (size_t i = 0; i < rows && error == TD_OK; i++) {
		const redisReply *member = reply->element[2 * i];
		int64_t score = reader_score(reply->element[2 * i + 1]);
		if (!reader_is_text(member) || strlen(member->str) != member->len || score <= 0)
			continue;
		error = visit(context, hour, member->str, (uint64_t)score);
	}
	return error;
}

/* What was asked is taken to the end, so that the connection can be used again. */
static enum td_error take_sets(struct reader *reader, size_t from, size_t to, reader_hour_fn *visit,
	void *context, bool *cut)
{
	enum td_error error = TD_OK;

	for (size_t hour = from; hour < to; hour++) {
		redisReply *reply = reader_take_next(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
		if (!reply && reader->is_lost)
			return error;
		if (reply && error == TD_OK)
			error = visit_set(reply, hour, visit, context, cut);
		freeReplyObject(reply);
	}
	return error;
}

enum td_error reader_hour_rows(struct reader *reader, enum reader_hour_set set,
	struct reader_span span, reader_hour_fn *visit, void *context, bool *cut)
{
	enum td_error error = TD_OK;

	*cut = false;
	if (!reader_is_span(reader, span))
		return TD_TOO_LONG;
	for (size_t done = 0; done < span.count && error == TD_OK; done += SETS_ASKED) {
		size_t end = done + hours_at(span, done, SETS_ASKED);
		for (size_t hour = done; hour < end && error == TD_OK; hour++)
			error = ask_set(reader, set, span.first + (int64_t)hour);
		if (error == TD_OK) /* else of the first: all keys are equally long */
			error = take_sets(reader, done, end, visit, context, cut);
	}
	return error;
}

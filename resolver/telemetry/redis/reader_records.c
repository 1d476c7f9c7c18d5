/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The streams: their end, and what comes behind an entry. The end is read backwards a page at a time:
 * ten thousand entries in one reply would hold up Redis for some 15 ms.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "resolver/telemetry/redis/reader.h"
#include "resolver/telemetry/redis/reader_private.h"
#include "resolver/telemetry/redis/schema.h"

#define PAGE 500

static const redisReply *field_named(const redisReply *fields, const char *name)
{
	for (size_t i = 0; i + 1 < fields->elements; i += 2)
		if (reader_is_text(fields->element[i]) &&
			strcmp(fields->element[i]->str, name) == 0 &&
			reader_is_text(fields->element[i + 1]))
			return fields->element[i + 1];
	return NULL;
}

/* Entries are [id, [field, value, …]]; those without a record are passed over. Rows go behind those
 * that are there. */
static enum td_error fill_records(
	struct arena *arena, const redisReply *entries, struct reader_records *out)
{
	for (size_t i = 0; i < entries->elements; i++) {
		const redisReply *entry = entries->element[i];
		if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
			!reader_is_text(entry->element[0]) ||
			entry->element[1]->type != REDIS_REPLY_ARRAY)
			continue;
		const redisReply *json = field_named(entry->element[1], "json");
		struct reader_record *row = &out->rows[out->count];
		row->id = reader_keep_reply(arena, entry->element[0]);
		row->json = json ? reader_keep_reply(arena, json) : reader_keep(arena, "", 0);
		row->json_length = json ? json->len : 0;
		if (!row->id || !row->json)
			return TD_NOMEM;
		out->count++;
	}
	return TD_OK;
}

static bool make_stream_key(
	struct reader *reader, char key[READER_KEY_MAX], enum reader_stream stream)
{
	return reader_make_key(reader, key,
		stream == READER_EVENTS ? KEY_EVENTS : KEY_TRANSACTIONS, reader->resolver);
}

static void reverse(struct reader_records *records)
{
	for (size_t i = 0; i < records->count / 2; i++) {
		struct reader_record *other = &records->rows[records->count - 1 - i];
		struct reader_record row = records->rows[i];
		records->rows[i] = *other;
		*other = row;
	}
}

/* One page, the newest first, behind what is there; *more is false at the begin of the stream. */
static enum td_error read_back(struct reader *reader, struct arena *arena, const char *key,
	char end[READER_END_SIZE], size_t limit, struct reader_records *out, bool *more)
{
	enum td_error error = TD_OK;
	char count[24];

	READER_PUT(reader, "XREVRANGE", key, end, "-", "COUNT", reader_limit_text(count, limit));
	redisReply *reply = reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	if (!reply)
		return error;
	size_t before = out->count;
	*more = reply->elements == limit;
	if (reply->elements <= limit)
		error = fill_records(arena, reply, out);
	freeReplyObject(reply);
	if (out->count == before)
		*more = false;
	else
		snprintf(end, READER_END_SIZE, "(%s", out->rows[out->count - 1].id);
	return error;
}

enum td_error reader_last_records(struct reader *reader, struct arena *arena,
	enum reader_stream stream, size_t limit, struct reader_records *out)
{
	char key[READER_KEY_MAX], end[READER_END_SIZE] = "+";
	enum td_error error = TD_OK;

	*out = (struct reader_records){NULL, 0};
	if (!make_stream_key(reader, key, stream))
		return TD_TOO_LONG;
	if (limit > READER_ROWS_MAX)
		limit = READER_ROWS_MAX;
	out->rows = reader_rows_new(arena, limit, sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (bool more = true; more && error == TD_OK && out->count < limit;) {
		size_t left = limit - out->count;
		error = read_back(
			reader, arena, key, end, left < PAGE ? left : PAGE, out, &more);
	}
	if (error != TD_OK)
		out->count = 0;
	reverse(out);
	return error;
}

enum td_error reader_earlier_records(struct reader *reader, struct arena *arena,
	enum reader_stream stream, char end[READER_END_SIZE], struct reader_records *out)
{
	char key[READER_KEY_MAX];
	bool more = false;

	*out = (struct reader_records){NULL, 0};
	if (!make_stream_key(reader, key, stream))
		return TD_TOO_LONG;
	out->rows = reader_rows_new(arena, PAGE, sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	enum td_error error = read_back(reader, arena, key, end, PAGE, out, &more);
	if (error != TD_OK)
		out->count = 0;
	if (!more)
		end[0] = '\0';
	return error;
}

static enum td_error take_entries(
	struct arena *arena, const redisReply *entries, struct reader_records *out)
{
	out->rows = reader_rows_new(arena, entries->elements, sizeof(*out->rows));
	return out->rows ? fill_records(arena, entries, out) : TD_NOMEM;
}

enum td_error reader_next_records(struct reader *reader, struct arena *arena,
	enum reader_stream stream, const char *id, int block_ms, size_t limit,
	struct reader_records *out)
{
	char key[READER_KEY_MAX], count[24], block[24];
	enum td_error error = TD_OK;

	*out = (struct reader_records){NULL, 0};
	if (!make_stream_key(reader, key, stream))
		return TD_TOO_LONG;
	reader_limit_text(count, limit);
	if (block_ms > 0)
		READER_PUT(reader, "XREAD", "COUNT", count, "BLOCK",
			reader_limit_text(block, (size_t)block_ms), "STREAMS", key, id);
	else
		READER_PUT(reader, "XREAD", "COUNT", count, "STREAMS", key, id);
	redisReply *reply = reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_NIL, &error);
	if (!reply)
		return error;
	const redisReply *entries = reply->elements == 1 ? reply->element[0] : NULL;
	if (entries && entries->type == REDIS_REPLY_ARRAY && entries->elements == 2 &&
		entries->element[1]->type == REDIS_REPLY_ARRAY)
		error = take_entries(arena, entries->element[1], out);
	freeReplyObject(reply);
	return error;
}

enum td_error reader_extent(
	struct reader *reader, enum reader_stream stream, struct reader_extent *out)
{
	char key[READER_KEY_MAX];
	enum td_error error = TD_OK;

	*out = (struct reader_extent){.length = 0};
	if (!make_stream_key(reader, key, stream))
		return TD_TOO_LONG;
	READER_PUT(reader, "XRANGE", key, "-", "+", "COUNT", "1");
	READER_PUT(reader, "XLEN", key);
	redisReply *first =
		reader_take_next(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	redisReply *length =
		reader_take_next(reader, REDIS_REPLY_INTEGER, REDIS_REPLY_INTEGER, &error);
	const redisReply *entry = first && first->elements == 1 ? first->element[0] : NULL;
	if (entry && entry->type == REDIS_REPLY_ARRAY && entry->elements > 0 &&
		reader_is_text(entry->element[0]))
		snprintf(out->first, sizeof(out->first), "%s", entry->element[0]->str);
	if (length && length->integer > 0)
		out->length = (uint64_t)length->integer;
	freeReplyObject(first);
	freeReplyObject(length);
	return error;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The streams: their end, and what comes behind an entry. */
#include <hiredis/hiredis.h>
#include <string.h>

#include "resolver/telemetry/redis/reader.h"
#include "resolver/telemetry/redis/reader_private.h"
#include "resolver/telemetry/redis/schema.h"

static const redisReply *field_named(const redisReply *fields, const char *name)
{
	for (size_t i = 0; i + 1 < fields->elements; i += 2)
		if (reader_is_text(fields->element[i]) &&
			strcmp(fields->element[i]->str, name) == 0 &&
			reader_is_text(fields->element[i + 1]))
			return fields->element[i + 1];
	return NULL;
}

/* Entries are [id, [field, value, …]]; those without a record are passed over. */
static enum td_error fill_records(
	struct arena *arena, const redisReply *entries, bool reversed, struct reader_records *out)
{
	out->rows = reader_rows_new(arena, entries->elements, sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (size_t i = 0; i < entries->elements; i++) {
		const redisReply *entry =
			entries->element[reversed ? entries->elements - 1 - i : i];
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

enum td_error reader_last_records(struct reader *reader, struct arena *arena,
	enum reader_stream stream, size_t limit, struct reader_records *out)
{
	char key[READER_KEY_MAX], count[24];
	enum td_error error = TD_OK;

	*out = (struct reader_records){NULL, 0};
	if (limit == 0)
		return TD_OK;
	if (!make_stream_key(reader, key, stream))
		return TD_TOO_LONG;
	READER_PUT(reader, "XREVRANGE", key, "+", "-", "COUNT", reader_limit_text(count, limit));
	redisReply *reply = reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	if (!reply)
		return error;
	error = fill_records(arena, reply, true, out);
	freeReplyObject(reply);
	return error;
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
		error = fill_records(arena, entries->element[1], false, out);
	freeReplyObject(reply);
	return error;
}

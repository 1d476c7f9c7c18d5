/* SPDX-License-Identifier: BSD-3-Clause */
/* Sorted sets read from the top: clients, names, addresses, hits of zones. */
#include <hiredis/hiredis.h>

#include "resolver/telemetry/reader.h"
#include "resolver/telemetry/reader_private.h"
#include "resolver/telemetry/schema.h"

/* --- rankings --- */

static bool make_ranking_key(struct reader *reader, char key[READER_KEY_MAX],
	enum reader_ranking ranking, const char *of)
{
	switch (ranking) {
	case READER_CLIENTS:
		return reader_make_key(reader, key, KEY_CLIENTS_COUNTER, reader->resolver, of);
	case READER_DAY_NAMES:
		return reader_make_key(reader, key, KEY_TOP, reader->resolver, of);
	case READER_CLIENT_NAMES:
		return reader_make_key(reader, key, KEY_CLIENT_NAMES, reader->resolver, of);
	case READER_NAME_ADDRESSES:
		return reader_make_key(reader, key, KEY_NAME, reader->resolver, of);
	case READER_NAME_CLIENTS:
		return reader_make_key(reader, key, KEY_NAME_CLIENTS, reader->resolver, of);
	case READER_ZONE_CLIENTS:
		return reader_make_key(reader, key, KEY_WATCH, reader->resolver, of);
	}
	return false;
}

/* Member and score follow each other in the reply. */
static enum td_error fill_ranks(
	struct arena *arena, const redisReply *reply, struct reader_ranks *out)
{
	out->rows = reader_rows_new(arena, reply->elements / 2, sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (size_t i = 0; i + 1 < reply->elements; i += 2) {
		if (!reader_is_text(reply->element[i]))
			continue;
		struct reader_rank *row = &out->rows[out->count];
		row->member = reader_keep_reply(arena, reply->element[i]);
		row->value = reader_score(reply->element[i + 1]);
		if (!row->member)
			return TD_NOMEM;
		out->count++;
	}
	return TD_OK;
}

static enum td_error read_ranks(struct reader *reader, struct arena *arena, const char *key,
	size_t limit, struct reader_ranks *out)
{
	enum td_error error = TD_OK;
	char count[24];

	*out = (struct reader_ranks){NULL, 0, 0};
	if (limit == 0)
		limit = 1;
	READER_PUT(reader, "ZCARD", key);
	READER_PUT(
		reader, "ZREVRANGE", key, "0", reader_limit_text(count, limit - 1), "WITHSCORES");
	redisReply *total = reader_take(reader, REDIS_REPLY_INTEGER, REDIS_REPLY_INTEGER, &error);
	enum td_error second = TD_OK;
	redisReply *rows = reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &second);
	if (total && rows) {
		out->total = total->integer > 0 ? (uint64_t)total->integer : 0;
		error = fill_ranks(arena, rows, out);
	} else if (error == TD_OK) {
		error = second;
	}
	freeReplyObject(total);
	freeReplyObject(rows);
	return error;
}

enum td_error reader_ranks(struct reader *reader, struct arena *arena, enum reader_ranking ranking,
	const char *of, size_t limit, struct reader_ranks *out)
{
	char key[READER_KEY_MAX];

	*out = (struct reader_ranks){NULL, 0, 0};
	if (!make_ranking_key(reader, key, ranking, of))
		return TD_TOO_LONG;
	return read_ranks(reader, arena, key, limit, out);
}

enum td_error reader_resolvers(
	struct reader *reader, struct arena *arena, size_t limit, struct reader_ranks *out)
{
	enum td_error error = TD_OK;
	char count[24];

	*out = (struct reader_ranks){NULL, 0, 0};
	READER_PUT(reader, "SSCAN", KEY_RESOLVERS, "0", "COUNT", reader_limit_text(count, limit));
	redisReply *reply = reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	if (!reply)
		return error;
	const redisReply *names = reply->elements == 2 ? reply->element[1] : NULL;
	size_t found = names && names->type == REDIS_REPLY_ARRAY ? names->elements : 0;
	out->rows = reader_rows_new(arena, found, sizeof(*out->rows));
	if (!out->rows)
		error = TD_NOMEM;
	for (size_t i = 0; out->rows && i < found && out->count < limit; i++) {
		const char *name = reader_is_text(names->element[i])
					   ? reader_keep_reply(arena, names->element[i])
					   : NULL;
		if (name)
			out->rows[out->count++] = (struct reader_rank){name, 0};
	}
	out->total = found;
	freeReplyObject(reply);
	return error;
}

/* --- hits of zones --- */

/* The scores of the replies that wait, one a row. */
static enum td_error take_last_times(struct reader *reader, struct reader_hit *rows, size_t count)
{
	enum td_error error = TD_OK;

	for (size_t i = 0; i < count; i++) {
		redisReply *reply =
			reader_take(reader, REDIS_REPLY_STRING, REDIS_REPLY_NIL, &error);
		if (!reply && !reader->redis)
			return error;
		if (reply)
			rows[i].last_ms = reader_score(reply);
		freeReplyObject(reply);
	}
	return error;
}

enum td_error reader_zone_hits(struct reader *reader, struct arena *arena, const char *zone,
	size_t limit, struct reader_hits *out)
{
	char key[READER_KEY_MAX];
	struct reader_ranks ranks;

	*out = (struct reader_hits){NULL, 0, 0};
	if (!reader_make_key(reader, key, KEY_WATCH, reader->resolver, zone))
		return TD_TOO_LONG;
	enum td_error error = read_ranks(reader, arena, key, limit, &ranks);
	if (error != TD_OK)
		return error;
	out->rows = reader_rows_new(arena, ranks.count, sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (size_t i = 0; i < ranks.count; i++)
		out->rows[i] =
			(struct reader_hit){ranks.rows[i].member, (uint64_t)ranks.rows[i].value, 0};
	if (!reader_make_key(reader, key, KEY_WATCH_LAST, reader->resolver, zone))
		return TD_TOO_LONG;
	for (size_t done = 0; done < ranks.count && error == TD_OK; done += READER_SLICE) {
		size_t slice =
			ranks.count - done < READER_SLICE ? ranks.count - done : READER_SLICE;
		for (size_t i = done; i < done + slice; i++)
			READER_PUT(reader, "ZSCORE", key, out->rows[i].client);
		error = take_last_times(reader, out->rows + done, slice);
	}
	out->count = error == TD_OK ? ranks.count : 0;
	out->total = ranks.total;
	return error;
}

enum td_error reader_client_hits(
	struct reader *reader, const char *zone, const char *client, struct reader_hit *out)
{
	char hits[READER_KEY_MAX], last[READER_KEY_MAX];
	struct reader_hit scores[2] = {{client, 0, 0}, {client, 0, 0}};

	*out = (struct reader_hit){client, 0, 0};
	if (!reader_make_key(reader, hits, KEY_WATCH, reader->resolver, zone) ||
		!reader_make_key(reader, last, KEY_WATCH_LAST, reader->resolver, zone))
		return TD_TOO_LONG;
	READER_PUT(reader, "ZSCORE", hits, client);
	READER_PUT(reader, "ZSCORE", last, client);
	enum td_error error = take_last_times(reader, scores, 2);
	if (error == TD_OK)
		*out = (struct reader_hit){client, (uint64_t)scores[0].last_ms, scores[1].last_ms};
	return error;
}

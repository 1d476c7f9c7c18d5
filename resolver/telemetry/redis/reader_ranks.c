/* SPDX-License-Identifier: BSD-3-Clause */
/* Sorted sets read from the top: clients, names, addresses, hits of zones. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/redis/reader.h"
#include "resolver/telemetry/redis/reader_private.h"
#include "resolver/telemetry/redis/schema.h"

/* --- rankings --- */

static bool make_ranking_key(struct reader *reader, char key[READER_KEY_MAX],
	enum reader_ranking ranking, const char *of)
{
	switch (ranking) {
	case READER_CLIENTS:
		return reader_make_key(reader, key, KEY_CLIENTS_COUNTER, reader->resolver, of);
	case READER_DAY_NAMES:
		return reader_make_key(reader, key, KEY_TOP, reader->resolver, of);
	case READER_DAY_ESTIMATES:
		return reader_make_key(reader, key, KEY_TOP_ESTIMATE, reader->resolver, of);
	case READER_CLIENT_NAMES:
		return reader_make_key(reader, key, KEY_CLIENT_NAMES, reader->resolver, of);
	case READER_NAME_ADDRESSES:
		return reader_make_key(reader, key, KEY_NAME, reader->resolver, of);
	case READER_NAME_CLIENTS:
		return reader_make_key(reader, key, KEY_NAME_CLIENTS, reader->resolver, of);
	case READER_ZONE_CLIENTS:
		return reader_make_key(reader, key, KEY_WATCH, reader->resolver, of);
	case READER_ZONE_LAST:
		return reader_make_key(reader, key, KEY_WATCH_LAST, reader->resolver, of);
	case READER_HOUR:
		return reader_make_key(reader, key, KEY_HOUR, reader->resolver, of);
	case READER_RULES:
		return reader_make_key(reader, key, KEY_RULES, reader->resolver, of);
	case READER_RULE_ESTIMATES:
		return reader_make_key(reader, key, KEY_RULES_ESTIMATE, reader->resolver, of);
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

/* One turn of SSCAN; the cursor is "0" at the end. */
static enum td_error scan_resolvers(struct reader *reader, struct arena *arena,
	char cursor[READER_CURSOR_SIZE], size_t limit, struct reader_ranks *out)
{
	enum td_error error = TD_OK;
	const redisReply *names;

	READER_PUT(reader, "SSCAN", KEY_RESOLVERS, cursor, "COUNT", "1000");
	redisReply *reply = reader_take_page(reader, cursor, &names, &error);
	for (size_t i = 0; i < names->elements && out->count < 2 * limit; i++) {
		const char *name = reader_is_text(names->element[i])
					   ? reader_keep_reply(arena, names->element[i])
					   : NULL;
		if (name)
			out->rows[out->count++] = (struct reader_rank){name, 0};
	}
	freeReplyObject(reply);
	return error;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(((const struct reader_rank *)left)->member,
		((const struct reader_rank *)right)->member);
}

/* SSCAN may return a member twice, so there is room for that, and they are sorted. */
enum td_error reader_resolvers(
	struct reader *reader, struct arena *arena, size_t limit, struct reader_ranks *out)
{
	enum td_error error = TD_OK;
	char cursor[READER_CURSOR_SIZE] = "0";
	size_t kept = 0;

	*out = (struct reader_ranks){NULL, 0, 0};
	if (limit > READER_ROWS_MAX)
		limit = READER_ROWS_MAX;
	out->rows = reader_rows_new(arena, 2 * limit, sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	error = reader_use_common(reader);
	for (bool more = true; error == TD_OK && more;
		more = strcmp(cursor, "0") != 0 && out->count < 2 * limit)
		error = scan_resolvers(reader, arena, cursor, limit, out);
	reader_use_own(reader);
	if (error != TD_OK)
		out->count = 0;
	if (out->count)
		qsort(out->rows, out->count, sizeof(*out->rows), compare_names);
	for (size_t i = 0; i < out->count; i++)
		if (i == 0 || strcmp(out->rows[i].member, out->rows[kept - 1].member) != 0)
			out->rows[kept++] = out->rows[i];
	out->total = kept;
	out->count = kept < limit ? kept : limit;
	return error;
}

/* A command whose reply is a number: 1 or 0. */
static enum td_error take_bool(struct reader *reader, bool *out)
{
	enum td_error error = TD_OK;
	redisReply *reply = reader_take(reader, REDIS_REPLY_INTEGER, REDIS_REPLY_INTEGER, &error);

	*out = reply && reply->integer != 0;
	freeReplyObject(reply);
	return error;
}

enum td_error reader_is_known(struct reader *reader, bool *known)
{
	char key[READER_KEY_MAX];

	*known = false;
	if (!reader_make_key(reader, key, KEY_META, reader->resolver))
		return TD_TOO_LONG;
	READER_PUT(reader, "EXISTS", key);
	enum td_error error = take_bool(reader, known);
	if (error != TD_OK || *known)
		return error;
	error = reader_use_common(reader);
	if (error == TD_OK) {
		READER_PUT(reader, "SISMEMBER", KEY_RESOLVERS, reader->resolver);
		error = take_bool(reader, known);
	}
	reader_use_own(reader);
	return error;
}

/* --- values of some members --- */

static enum td_error take_scores(struct reader *reader, struct reader_rank *rows, size_t count)
{
	enum td_error error = TD_OK;

	for (size_t i = 0; i < count; i++) {
		redisReply *reply =
			reader_take(reader, REDIS_REPLY_STRING, REDIS_REPLY_NIL, &error);
		if (!reply && reader->is_lost)
			return error;
		rows[i].value = reply ? reader_score(reply) : 0;
		freeReplyObject(reply);
	}
	return error;
}

enum td_error reader_scores(struct reader *reader, enum reader_ranking ranking, const char *of,
	struct reader_rank *rows, size_t count)
{
	char key[READER_KEY_MAX];
	enum td_error error = TD_OK;

	if (!make_ranking_key(reader, key, ranking, of))
		return TD_TOO_LONG;
	for (size_t done = 0; done < count && error == TD_OK; done += READER_SLICE) {
		size_t slice = count - done < READER_SLICE ? count - done : READER_SLICE;
		for (size_t i = done; i < done + slice; i++)
			READER_PUT(reader, "ZSCORE", key, rows[i].member);
		error = take_scores(reader, rows + done, slice);
	}
	return error;
}

/* What any member may lack, and what one may that is not in the list. */
static enum td_error read_error(struct reader *reader, enum reader_ranking ranking, const char *of,
	int64_t *missed, int64_t *evicted)
{
	char key[READER_KEY_MAX];
	enum td_error error = TD_OK;

	if (!(ranking == READER_RULES
			    ? reader_make_key(reader, key, KEY_RULES_ERROR, reader->resolver, of)
			    : reader_make_key(reader, key, KEY_TOP_ERROR, reader->resolver, of)))
		return TD_TOO_LONG;
	READER_PUT(reader, "HMGET", key, "missed", "evicted");
	redisReply *reply = reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	if (!reply)
		return error;
	*missed = reply->elements == 2 ? reader_score(reply->element[0]) : 0;
	*evicted = reply->elements == 2 ? reader_score(reply->element[1]) : 0;
	freeReplyObject(reply);
	return TD_OK;
}

static void add_at_most(struct reader_rank *rows, const struct reader_rank *estimates, size_t count,
	int64_t missed, int64_t evicted)
{
	for (size_t i = 0; i < count; i++)
		rows[i].value += missed + (estimates[i].value ? estimates[i].value : evicted);
}

enum td_error reader_at_most(struct reader *reader, enum reader_ranking ranking, const char *of,
	struct reader_rank *rows, size_t count)
{
	enum reader_ranking by = ranking == READER_RULES ? READER_RULE_ESTIMATES : READER_DAY_ESTIMATES;
	struct reader_rank *estimates = malloc((count + 1) * sizeof(*estimates));
	int64_t missed = 0, evicted = 0;

	if (!estimates)
		return TD_NOMEM;
	memcpy(estimates, rows, count * sizeof(*estimates));
	enum td_error error = reader_scores(reader, by, of, estimates, count);
	if (error == TD_OK)
		error = read_error(reader, ranking, of, &missed, &evicted);
	if (error == TD_OK)
		add_at_most(rows, estimates, count, missed, evicted);
	free(estimates);
	return error;
}

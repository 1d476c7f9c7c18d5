/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clients are listed from the newest: one that is seen meanwhile moves to the front, where it has
 * been read already, and pushes the others back, so one may come twice and none is left out but
 * those that changed since the listing began. From the oldest it would be the other way round.
 */
#include "resolver/telemetry/redis/reader_clients.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/redis/reader_connection.h"
#include "resolver/telemetry/redis/reader_private.h"
#include "resolver/telemetry/redis/schema.h"

#define PAGE 1000       /* rows of one ZREVRANGE: half a millisecond of Redis */
#define MEMBER_MAX 1280 /* "<client> <name>" */
#define NAMES_ASKED 100 /* of one ZMSCORE */
#define HOURS_IN_FLIGHT 64

static uint64_t number_of(const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_INTEGER)
		return reply->integer > 0 ? (uint64_t)reply->integer : 0;
	if (!reader_is_text(reply) || reply->len == 0 || reply->len > 18 ||
		strspn(reply->str, "0123456789") != reply->len)
		return 0;
	return strtoull(reply->str, NULL, 10);
}

/* --- who was seen --- */

/* The list of clients has "*other" too, once something was counted under it. */
static void put_other(struct reader *reader, const char *clients)
{
	READER_PUT(reader, "ZSCORE", clients, SCHEMA_OTHER);
}

/* Its last-seen time, or a negative number where it is not in the list. */
static int64_t take_other(struct reader *reader, enum td_error *error)
{
	redisReply *reply = reader_take_next(reader, REDIS_REPLY_STRING, REDIS_REPLY_NIL, error);
	int64_t seen_ms = reply && reply->type == REDIS_REPLY_STRING ? reader_score(reply) : -1;

	freeReplyObject(reply);
	return seen_ms;
}

static uint64_t take_number(struct reader *reader, int type, int other_type, enum td_error *error)
{
	redisReply *reply = reader_take_next(reader, type, other_type, error);
	uint64_t number = reply ? number_of(reply) : 0;

	freeReplyObject(reply);
	return number;
}

enum td_error reader_clients_mark(struct reader *reader, struct reader_clients_mark *out)
{
	char meta[READER_KEY_MAX], clients[READER_KEY_MAX], other[READER_KEY_MAX];
	enum td_error error = TD_OK;

	*out = (struct reader_clients_mark){0, 0, 0};
	if (!reader_make_key(reader, meta, KEY_META, reader->resolver) ||
		!reader_make_key(reader, clients, KEY_CLIENTS, reader->resolver) ||
		!reader_make_key(reader, other, KEY_CLIENT, reader->resolver, SCHEMA_OTHER))
		return TD_TOO_LONG;
	READER_PUT(reader, "HGET", meta, "queries");
	READER_PUT(reader, "HGET", other, "queries");
	READER_PUT(reader, "ZCARD", clients);
	put_other(reader, clients);
	out->queries = take_number(reader, REDIS_REPLY_STRING, REDIS_REPLY_NIL, &error);
	out->other = take_number(reader, REDIS_REPLY_STRING, REDIS_REPLY_NIL, &error);
	out->clients = take_number(reader, REDIS_REPLY_INTEGER, REDIS_REPLY_INTEGER, &error);
	if (take_other(reader, &error) >= 0 && out->clients)
		out->clients--;
	return error;
}

enum td_error reader_clients_since(struct reader *reader, int64_t since_ms, uint64_t *out)
{
	char key[READER_KEY_MAX], since[24];
	enum td_error error = TD_OK;

	*out = 0;
	if (!reader_make_key(reader, key, KEY_CLIENTS, reader->resolver))
		return TD_TOO_LONG;
	snprintf(since, sizeof(since), "%lld", (long long)since_ms);
	READER_PUT(reader, "ZCOUNT", key, since, "+inf");
	put_other(reader, key);
	*out = take_number(reader, REDIS_REPLY_INTEGER, REDIS_REPLY_INTEGER, &error);
	int64_t other_ms = take_other(reader, &error);
	if (other_ms >= 0 && other_ms >= since_ms && *out)
		(*out)--;
	return error;
}

/* Appends a page; *more: it was full, and its last one not too old. */
static enum td_error append_page(struct arena *arena, const redisReply *reply, int64_t since_ms,
	size_t limit, struct reader_ranks *out, bool *more)
{
	*more = reply->elements == (size_t)2 * PAGE;
	for (size_t i = 0; i + 1 < reply->elements; i += 2) {
		int64_t seen_ms = reader_score(reply->element[i + 1]);
		if (seen_ms < since_ms || out->count == limit) {
			*more = false;
			return TD_OK;
		}
		if (!reader_is_text(reply->element[i]) ||
			strlen(reply->element[i]->str) != reply->element[i]->len)
			continue;
		const char *client = reader_keep_reply(arena, reply->element[i]);
		if (!client)
			return TD_NOMEM;
		out->rows[out->count++] = (struct reader_rank){client, seen_ms};
	}
	return TD_OK;
}

/* Room for one page more. */
static bool make_room(struct arena *arena, struct reader_ranks *out, size_t *room)
{
	struct reader_rank *rows;

	if (out->count + PAGE <= *room)
		return true;
	*room = 2 * *room + PAGE;
	rows = arena_alloc(arena, *room * sizeof(*rows));
	if (rows && out->count)
		memcpy(rows, out->rows, out->count * sizeof(*rows));
	if (rows)
		out->rows = rows;
	return rows != NULL;
}

enum td_error reader_clients_seen(struct reader *reader, struct arena *arena, int64_t since_ms,
	size_t limit, struct reader_ranks *out)
{
	struct reader_clients_mark mark;
	char key[READER_KEY_MAX], from[24], to[24];
	size_t room = 0;
	enum td_error error = reader_clients_mark(reader, &mark);

	*out = (struct reader_ranks){NULL, 0, mark.clients};
	if (error == TD_OK && !reader_make_key(reader, key, KEY_CLIENTS, reader->resolver))
		error = TD_TOO_LONG;
	limit = limit > READER_ROWS_MAX ? READER_ROWS_MAX : limit;
	for (size_t at = 0; error == TD_OK && at <= 2 * limit; at += PAGE) {
		bool more = false;
		snprintf(from, sizeof(from), "%zu", at);
		snprintf(to, sizeof(to), "%zu", at + PAGE - 1);
		if (!make_room(arena, out, &room))
			return TD_NOMEM;
		READER_PUT(reader, "ZREVRANGE", key, from, to, "WITHSCORES");
		redisReply *reply =
			reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
		if (!reply)
			break;
		error = append_page(arena, reply, since_ms, limit, out, &more);
		freeReplyObject(reply);
		if (!more)
			break;
	}
	if (error != TD_OK)
		out->count = 0;
	return error;
}

/* --- rows --- */

/* In the order of the fields asked for. */
enum {
	FIELD_QUERIES,
	FIELD_WATCHED,
	FIELD_BLOCKED,
	FIELD_CACHED,
	FIELD_NXDOMAIN,
	FIELD_FIRST,
	FIELD_LAST,
	FIELD_TOLD,
	FIELD_TOLD_LAST,
	FIELD_SERVER,
	FIELD_NAME,
	FIELD_FORWARDER,
	FIELD_COUNT
};

static bool ask_row(struct reader *reader, const char *client)
{
	char key[READER_KEY_MAX];

	if (!reader_make_key(reader, key, KEY_CLIENT, reader->resolver, client))
		return false;
	READER_PUT(reader, "HMGET", key, "queries", "watched", "blocked", "cached", "nxdomain",
		"first_seen", "last_seen", "told_teredo", "told_teredo_last", "told_teredo_server",
		"name", "forwarder");
	return true;
}

static const char *text_of(struct arena *arena, const redisReply *reply, bool *good)
{
	if (!reader_is_text(reply) || reply->len == 0)
		return NULL;
	const char *text = reader_keep_reply(arena, reply);
	*good = *good && text;
	return text;
}

static bool fill_row(struct arena *arena, const redisReply *reply, struct reader_client_row *row)
{
	redisReply *const *field = reply->element;
	bool good = true;

	if (reply->elements != FIELD_COUNT)
		return true;
	for (size_t i = 0; i < FIELD_COUNT; i++)
		row->known = row->known || reader_is_text(field[i]);
	row->queries = number_of(field[FIELD_QUERIES]);
	row->watched = number_of(field[FIELD_WATCHED]);
	row->blocked = number_of(field[FIELD_BLOCKED]);
	row->cached = number_of(field[FIELD_CACHED]);
	row->nxdomain = number_of(field[FIELD_NXDOMAIN]);
	row->first_ms = (int64_t)number_of(field[FIELD_FIRST]);
	row->last_ms = (int64_t)number_of(field[FIELD_LAST]);
	row->told_ms = (int64_t)number_of(field[FIELD_TOLD]);
	row->told_last_ms = (int64_t)number_of(field[FIELD_TOLD_LAST]);
	row->told_server = text_of(arena, field[FIELD_SERVER], &good);
	row->name = text_of(arena, field[FIELD_NAME], &good);
	row->forwarder = text_of(arena, field[FIELD_FORWARDER], &good);
	return good;
}

static void ask_rows(struct reader *reader, const struct reader_client_row *rows, size_t count,
	bool asked[READER_SLICE])
{
	for (size_t i = 0; i < count; i++)
		asked[i] = ask_row(reader, rows[i].client);
}

static enum td_error take_rows(struct reader *reader, struct arena *arena,
	struct reader_client_row *rows, size_t count, const bool asked[READER_SLICE])
{
	enum td_error error = TD_OK;

	for (size_t i = 0; i < count; i++) {
		redisReply *reply = asked[i] ? reader_take_next(reader, REDIS_REPLY_ARRAY,
						       REDIS_REPLY_ARRAY, &error)
					     : NULL;
		if (!reply && reader->is_lost)
			return error;
		if (reply && !fill_row(arena, reply, &rows[i]) && error == TD_OK)
			error = TD_NOMEM;
		freeReplyObject(reply);
	}
	return error;
}

static size_t slice_at(size_t count, size_t done)
{
	return count - done < READER_SLICE ? count - done : READER_SLICE;
}

/* Redis works at the next slice while we read this one; what was asked is taken to the end. */
enum td_error reader_client_rows(
	struct reader *reader, struct arena *arena, struct reader_client_row *rows, size_t count)
{
	bool asked[2][READER_SLICE];
	enum td_error error = TD_OK;

	for (size_t i = 0; i < count; i++)
		rows[i] = (struct reader_client_row){.client = rows[i].client};
	ask_rows(reader, rows, slice_at(count, 0), asked[0]);
	for (size_t done = 0; done < count && !reader->is_lost; done += READER_SLICE) {
		size_t slice = slice_at(count, done), turn = done / READER_SLICE % 2;
		if (done + slice < count)
			ask_rows(reader, rows + done + slice, slice_at(count, done + slice),
				asked[!turn]);
		enum td_error one = take_rows(reader, arena, rows + done, slice, asked[turn]);
		if (error == TD_OK)
			error = one;
	}
	return error;
}

/* --- names that a rule matched --- */

static enum td_error ask_scores(struct reader *reader, const char *client,
	const char *const names[], size_t count, int64_t hour)
{
	char key[READER_KEY_MAX], hour_words[READER_HOUR_TEXT_MAX],
		members[NAMES_ASKED][MEMBER_MAX];
	const char *words[2 + NAMES_ASKED] = {"ZMSCORE", key};
	size_t lengths[2 + NAMES_ASKED];

	reader_hour_text(hour, hour_words);
	if (!reader_make_key(reader, key, KEY_HOUR_WATCHED_NAMES, reader->resolver, hour_words))
		return TD_TOO_LONG;
	for (size_t i = 0; i < count; i++) {
		/* One that is too long is cut, and then found nowhere. */
		snprintf(members[i], MEMBER_MAX, "%s %s", client, names[i]);
		words[2 + i] = members[i];
	}
	for (size_t i = 0; i < 2 + count; i++)
		lengths[i] = strlen(words[i]);
	reader_connection_put_sized(reader->connection, 2 + count, words, lengths);
	return TD_OK;
}

static enum td_error take_scores(struct reader *reader, size_t hours, size_t count, bool found[])
{
	enum td_error error = TD_OK;

	for (size_t h = 0; h < hours; h++) {
		redisReply *reply =
			reader_take_next(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
		if (!reply && reader->is_lost)
			return error;
		for (size_t i = 0; reply && i < count && i < reply->elements; i++)
			found[i] = found[i] || reader_score(reply->element[i]) > 0;
		freeReplyObject(reply);
	}
	return error;
}

enum td_error reader_watched_names(struct reader *reader, const char *client,
	const char *const names[], size_t count, const int64_t hours[], size_t hour_count,
	bool found[])
{
	enum td_error error = TD_OK;

	memset(found, 0, count * sizeof(*found));
	for (size_t n = 0; n < count && error == TD_OK; n += NAMES_ASKED) {
		size_t slice = count - n < NAMES_ASKED ? count - n : NAMES_ASKED;
		for (size_t h = 0; h < hour_count && error == TD_OK; h += HOURS_IN_FLIGHT) {
			size_t end =
				hour_count - h < HOURS_IN_FLIGHT ? hour_count : h + HOURS_IN_FLIGHT;
			for (size_t i = h; i < end && error == TD_OK; i++)
				error = ask_scores(reader, client, names + n, slice, hours[i]);
			if (error == TD_OK)
				error = take_scores(reader, end - h, slice, found + n);
		}
	}
	return error;
}

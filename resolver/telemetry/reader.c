/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queries of the commands, one after the other over a blocking hiredis context: a command asks,
 * prints and ends, so the event loop of the store would only be in the way. Where many small
 * answers are needed (one HGET for each possible pair) they are pipelined in slices, so that
 * neither side buffers without bound.
 *
 * A pair is looked up by its whole key, or read with its whole hash; names and clients of an
 * address are never listed apart and put together again. HSCAN may return a field twice while Redis
 * resizes: rows are sorted and made unique.
 */
#include "resolver/telemetry/reader.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/resp.h"
#include "resolver/telemetry/schema.h"

#define KEY_MAX 1536   /* a name takes up to 1025 */
#define FIELD_MAX 1152 /* client, space, name */
#define SLICE 512      /* commands in one pipeline */
#define ARGS_MAX 10

struct reader {
	redisContext *redis; /* NULL once it failed */
	char *resolver;
	char words[READER_WORDS_MAX];
};

/* --- the connection --- */

static void note(struct reader *reader, const char *words)
{
	snprintf(reader->words, sizeof(reader->words), "%s", words);
}

/* The connection is of no use any more. */
static enum td_error lost(struct reader *reader)
{
	if (!reader->redis)
		return TD_IO;
	note(reader, reader->redis->err == REDIS_ERR_IO && errno == EAGAIN ? "no answer in time"
									   : reader->redis->errstr);
	redisFree(reader->redis);
	reader->redis = NULL;
	return TD_IO;
}

/* The next reply of one of two types, or NULL and *error. */
static redisReply *take(struct reader *reader, int type, int other_type, enum td_error *error)
{
	redisReply *reply = NULL;

	if (!reader->redis || redisGetReply(reader->redis, (void **)&reply) != REDIS_OK || !reply) {
		*error = lost(reader);
		return NULL;
	}
	if (reply->type == type || reply->type == other_type)
		return reply;
	*error = TD_REFUSED;
	note(reader, reply->type == REDIS_REPLY_ERROR ? reply->str : "an unexpected type of reply");
	freeReplyObject(reply);
	return NULL;
}

static void put(struct reader *reader, int count, const char *const arguments[])
{
	if (reader->redis)
		redisAppendCommandArgv(reader->redis, count, (const char **)arguments, NULL);
}

#define PUT(reader, ...)                                                           \
	put(reader, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), \
		(const char *[]){__VA_ARGS__})

/* The status that a command of the login answers; anything else is a failure. */
static enum td_error expect_status(struct reader *reader)
{
	enum td_error error = TD_OK;
	redisReply *reply = take(reader, REDIS_REPLY_STATUS, REDIS_REPLY_STATUS, &error);

	freeReplyObject(reply);
	return error;
}

static enum td_error log_in(struct reader *reader, const struct resp_url *place)
{
	enum td_error error = TD_OK;
	char database[16];

	if (place->password[0]) {
		if (place->user[0])
			PUT(reader, "AUTH", place->user, place->password);
		else
			PUT(reader, "AUTH", place->password);
		error = expect_status(reader);
	}
	if (error == TD_OK && place->database) {
		snprintf(database, sizeof(database), "%u", place->database);
		PUT(reader, "SELECT", database);
		error = expect_status(reader);
	}
	return error;
}

static enum td_error connect_to(struct reader *reader, const struct resp_url *place, int timeout_ms)
{
	struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};

	reader->redis = place->is_unix ? redisConnectUnixWithTimeout(place->path, timeout)
				       : redisConnectWithTimeout(place->host, place->port, timeout);
	if (!reader->redis) {
		note(reader, error_text(TD_NOMEM));
		return TD_NOMEM;
	}
	if (reader->redis->err != 0 || redisSetTimeout(reader->redis, timeout) != REDIS_OK)
		return lost(reader);
	return log_in(reader, place);
}

struct reader *reader_open(
	const char *url, const char *resolver, int timeout_ms, char *words, enum td_error *error)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	enum td_error result = TD_NOMEM;
	struct resp_url place;

	words[0] = '\0';
	if (reader)
		reader->resolver = strdup(resolver);
	if (reader && reader->resolver) {
		result = resp_url_parse(&place, url, reader->words, sizeof(reader->words));
		if (result == TD_OK)
			result = connect_to(reader, &place, timeout_ms);
		explicit_bzero(&place, sizeof(place));
	}
	if (result != TD_OK) {
		snprintf(words, READER_WORDS_MAX, "%s",
			reader ? reader->words : error_text(TD_NOMEM));
		reader_close(&reader);
	}
	if (error)
		*error = result;
	return reader;
}

void reader_close(struct reader **reader)
{
	if (!*reader)
		return;
	if ((*reader)->redis)
		redisFree((*reader)->redis);
	free((*reader)->resolver);
	free(*reader);
	*reader = NULL;
}

const char *reader_words(const struct reader *reader)
{
	return reader->words;
}

/* --- small parts --- */

static bool make_key(struct reader *reader, char key[KEY_MAX], const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool make_key(struct reader *reader, char key[KEY_MAX], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(key, KEY_MAX, format, arguments);
	va_end(arguments);
	if (length >= 0 && length < KEY_MAX)
		return true;
	note(reader, "the key is too long");
	return false;
}

static const char *keep(struct arena *arena, const char *text, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);
	if (copy) {
		memcpy(copy, text, length);
		copy[length] = '\0';
	}
	return copy;
}

static const char *keep_reply(struct arena *arena, const redisReply *reply)
{
	return keep(arena, reply->str, reply->len);
}

static bool is_text(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

/* A score; Redis writes whole numbers without a fraction, a large one with an exponent. */
static int64_t score_of(const redisReply *reply)
{
	if (!is_text(reply))
		return 0;
	double value = strtod(reply->str, NULL);
	return value > -9e15 && value < 9e15 ? (int64_t)value : 0;
}

static const char *limit_text(char out[24], size_t limit)
{
	if (limit > READER_ROWS_MAX)
		limit = READER_ROWS_MAX;
	snprintf(out, 24, "%zu", limit);
	return out;
}

/* An array of count rows, or NULL; a count of 0 gives a pointer too. */
static void *rows_new(struct arena *arena, size_t count, size_t size)
{
	return count > SIZE_MAX / size - 1 ? NULL : arena_alloc(arena, (count + 1) * size);
}

/* --- hashes --- */

static enum td_error read_hash(
	struct reader *reader, struct arena *arena, const char *key, struct reader_fields *out)
{
	enum td_error error = TD_OK;

	PUT(reader, "HGETALL", key);
	redisReply *reply = take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	if (!reply)
		return error;
	out->rows = rows_new(arena, reply->elements / 2, sizeof(*out->rows));
	for (size_t i = 0; out->rows && i + 1 < reply->elements; i += 2) {
		const redisReply *name = reply->element[i], *value = reply->element[i + 1];
		if (!is_text(name) || !is_text(value))
			continue;
		struct reader_field *row = &out->rows[out->count];
		row->name = keep_reply(arena, name);
		row->value = keep_reply(arena, value);
		if (!row->name || !row->value)
			error = TD_NOMEM;
		else
			out->count++;
	}
	if (!out->rows)
		error = TD_NOMEM;
	freeReplyObject(reply);
	return error;
}

enum td_error reader_meta(struct reader *reader, struct arena *arena, struct reader_fields *out)
{
	char key[KEY_MAX];

	*out = (struct reader_fields){NULL, 0};
	if (!make_key(reader, key, KEY_META, reader->resolver))
		return TD_TOO_LONG;
	return read_hash(reader, arena, key, out);
}

enum td_error reader_client(
	struct reader *reader, struct arena *arena, const char *client, struct reader_fields *out)
{
	char key[KEY_MAX];

	*out = (struct reader_fields){NULL, 0};
	if (!make_key(reader, key, KEY_CLIENT, reader->resolver, client))
		return TD_TOO_LONG;
	return read_hash(reader, arena, key, out);
}

const char *reader_field_text(const struct reader_fields *fields, const char *name)
{
	for (size_t i = 0; i < fields->count; i++)
		if (strcmp(fields->rows[i].name, name) == 0)
			return fields->rows[i].value;
	return NULL;
}

int64_t reader_field_i64(const struct reader_fields *fields, const char *name, int64_t missing)
{
	const char *text = reader_field_text(fields, name);
	char *end;

	if (!text || !*text)
		return missing;
	long long value = strtoll(text, &end, 10);
	return *end ? missing : value;
}

/* --- sorted sets --- */

/* Member and score follow each other in the reply. */
static enum td_error fill_ranks(
	struct arena *arena, const redisReply *reply, struct reader_ranks *out)
{
	out->rows = rows_new(arena, reply->elements / 2, sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (size_t i = 0; i + 1 < reply->elements; i += 2) {
		if (!is_text(reply->element[i]))
			continue;
		struct reader_rank *row = &out->rows[out->count];
		row->member = keep_reply(arena, reply->element[i]);
		row->value = score_of(reply->element[i + 1]);
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
	PUT(reader, "ZCARD", key);
	PUT(reader, "ZREVRANGE", key, "0", limit_text(count, limit - 1), "WITHSCORES");
	redisReply *total = take(reader, REDIS_REPLY_INTEGER, REDIS_REPLY_INTEGER, &error);
	enum td_error second = TD_OK;
	redisReply *rows = take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &second);
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

enum td_error reader_top_clients(struct reader *reader, struct arena *arena, const char *counter,
	size_t limit, struct reader_ranks *out)
{
	char key[KEY_MAX];

	*out = (struct reader_ranks){NULL, 0, 0};
	if (!make_key(reader, key, KEY_CLIENTS_COUNTER, reader->resolver, counter))
		return TD_TOO_LONG;
	return read_ranks(reader, arena, key, limit, out);
}

enum td_error reader_top_names(struct reader *reader, struct arena *arena, const char *day,
	size_t limit, struct reader_ranks *out)
{
	char key[KEY_MAX];

	*out = (struct reader_ranks){NULL, 0, 0};
	if (!make_key(reader, key, KEY_TOP, reader->resolver, day))
		return TD_TOO_LONG;
	return read_ranks(reader, arena, key, limit, out);
}

enum td_error reader_client_names(struct reader *reader, struct arena *arena, const char *client,
	size_t limit, struct reader_ranks *out)
{
	char key[KEY_MAX];

	*out = (struct reader_ranks){NULL, 0, 0};
	if (!make_key(reader, key, KEY_CLIENT_NAMES, reader->resolver, client))
		return TD_TOO_LONG;
	return read_ranks(reader, arena, key, limit, out);
}

enum td_error reader_name_addresses(struct reader *reader, struct arena *arena, const char *name,
	size_t limit, struct reader_ranks *out)
{
	char key[KEY_MAX];

	*out = (struct reader_ranks){NULL, 0, 0};
	if (!make_key(reader, key, KEY_NAME, reader->resolver, name))
		return TD_TOO_LONG;
	return read_ranks(reader, arena, key, limit, out);
}

enum td_error reader_name_clients(struct reader *reader, struct arena *arena, const char *name,
	size_t limit, struct reader_ranks *out)
{
	char key[KEY_MAX];

	*out = (struct reader_ranks){NULL, 0, 0};
	if (!make_key(reader, key, KEY_NAME_CLIENTS, reader->resolver, name))
		return TD_TOO_LONG;
	return read_ranks(reader, arena, key, limit, out);
}

enum td_error reader_resolvers(
	struct reader *reader, struct arena *arena, size_t limit, struct reader_ranks *out)
{
	enum td_error error = TD_OK;
	char count[24];

	*out = (struct reader_ranks){NULL, 0, 0};
	PUT(reader, "SSCAN", KEY_RESOLVERS, "0", "COUNT", limit_text(count, limit));
	redisReply *reply = take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	if (!reply)
		return error;
	const redisReply *names = reply->elements == 2 ? reply->element[1] : NULL;
	size_t found = names && names->type == REDIS_REPLY_ARRAY ? names->elements : 0;
	out->rows = rows_new(arena, found, sizeof(*out->rows));
	if (!out->rows)
		error = TD_NOMEM;
	for (size_t i = 0; out->rows && i < found && out->count < limit; i++) {
		const char *name =
			is_text(names->element[i]) ? keep_reply(arena, names->element[i]) : NULL;
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
		redisReply *reply = take(reader, REDIS_REPLY_STRING, REDIS_REPLY_NIL, &error);
		if (!reply && !reader->redis)
			return error;
		if (reply)
			rows[i].last_ms = score_of(reply);
		freeReplyObject(reply);
	}
	return error;
}

enum td_error reader_zone_hits(struct reader *reader, struct arena *arena, const char *zone,
	size_t limit, struct reader_hits *out)
{
	char key[KEY_MAX];
	struct reader_ranks ranks;

	*out = (struct reader_hits){NULL, 0, 0};
	if (!make_key(reader, key, KEY_WATCH, reader->resolver, zone))
		return TD_TOO_LONG;
	enum td_error error = read_ranks(reader, arena, key, limit, &ranks);
	if (error != TD_OK)
		return error;
	out->rows = rows_new(arena, ranks.count, sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (size_t i = 0; i < ranks.count; i++)
		out->rows[i] =
			(struct reader_hit){ranks.rows[i].member, (uint64_t)ranks.rows[i].value, 0};
	if (!make_key(reader, key, KEY_WATCH_LAST, reader->resolver, zone))
		return TD_TOO_LONG;
	for (size_t done = 0; done < ranks.count && error == TD_OK; done += SLICE) {
		size_t slice = ranks.count - done < SLICE ? ranks.count - done : SLICE;
		for (size_t i = done; i < done + slice; i++)
			PUT(reader, "ZSCORE", key, out->rows[i].client);
		error = take_last_times(reader, out->rows + done, slice);
	}
	out->count = error == TD_OK ? ranks.count : 0;
	out->total = ranks.total;
	return error;
}

enum td_error reader_client_hits(
	struct reader *reader, const char *zone, const char *client, struct reader_hit *out)
{
	char hits[KEY_MAX], last[KEY_MAX];
	struct reader_hit scores[2] = {{client, 0, 0}, {client, 0, 0}};

	*out = (struct reader_hit){client, 0, 0};
	if (!make_key(reader, hits, KEY_WATCH, reader->resolver, zone) ||
		!make_key(reader, last, KEY_WATCH_LAST, reader->resolver, zone))
		return TD_TOO_LONG;
	PUT(reader, "ZSCORE", hits, client);
	PUT(reader, "ZSCORE", last, client);
	enum td_error error = take_last_times(reader, scores, 2);
	if (error == TD_OK)
		*out = (struct reader_hit){client, (uint64_t)scores[0].last_ms, scores[1].last_ms};
	return error;
}

/* --- pairs --- */

/* "first last count owner" into row. */
static bool parse_pair_value(struct arena *arena, const char *text, struct reader_pair *row)
{
	char *end;

	row->first_ms = strtoll(text, &end, 10);
	if (end == text || *end != ' ')
		return false;
	text = end + 1;
	row->last_ms = strtoll(text, &end, 10);
	if (end == text || *end != ' ')
		return false;
	text = end + 1;
	row->count = strtoull(text, &end, 10);
	if (end == text || (*end != ' ' && *end != '\0'))
		return false;
	row->owner = keep(arena, *end ? end + 1 : "", *end ? strlen(end + 1) : 0);
	return row->owner != NULL;
}

/* "<client> <qname>" into row. */
static bool parse_pair_field(struct arena *arena, const redisReply *field, struct reader_pair *row)
{
	const char *space = memchr(field->str, ' ', field->len);
	if (!space || space == field->str)
		return false;
	size_t client = (size_t)(space - field->str);
	row->client = keep(arena, field->str, client);
	row->name = keep(arena, space + 1, field->len - client - 1);
	return row->client && row->name;
}

static int compare_pairs(const void *left, const void *right)
{
	const struct reader_pair *a = left, *b = right;
	int order = strcmp(a->name, b->name);
	return order ? order : strcmp(a->client, b->client);
}

static void sort_unique(struct reader_pairs *pairs)
{
	size_t kept = 0;

	if (pairs->count == 0)
		return;
	qsort(pairs->rows, pairs->count, sizeof(*pairs->rows), compare_pairs);
	for (size_t i = 1; i < pairs->count; i++)
		if (compare_pairs(&pairs->rows[kept], &pairs->rows[i]) != 0)
			pairs->rows[++kept] = pairs->rows[i];
	pairs->count = kept + 1;
}

/* One turn of HSCAN; the cursor is "0" at the end. */
static enum td_error scan_pairs(struct reader *reader, struct arena *arena, const char *key,
	const char *address, char cursor[24], size_t limit, struct reader_pairs *out)
{
	enum td_error error = TD_OK;

	PUT(reader, "HSCAN", key, cursor, "COUNT", "1000");
	redisReply *reply = take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	if (!reply)
		return error;
	snprintf(cursor, 24, "0");
	if (reply->elements == 2 && is_text(reply->element[0]) &&
		reply->element[1]->type == REDIS_REPLY_ARRAY) {
		const redisReply *rows = reply->element[1];
		snprintf(cursor, 24, "%s", reply->element[0]->str);
		for (size_t i = 0; i + 1 < rows->elements && !out->cut; i += 2) {
			struct reader_pair row = {.address = address};
			if (!is_text(rows->element[i]) || !is_text(rows->element[i + 1]) ||
				!parse_pair_field(arena, rows->element[i], &row) ||
				!parse_pair_value(arena, rows->element[i + 1]->str, &row))
				continue;
			if (out->count == limit)
				out->cut = true;
			else
				out->rows[out->count++] = row;
		}
	}
	freeReplyObject(reply);
	return error;
}

enum td_error reader_address_pairs(struct reader *reader, struct arena *arena, const char *address,
	size_t limit, struct reader_pairs *out)
{
	char key[KEY_MAX], cursor[24] = "0";
	enum td_error error = TD_OK;

	*out = (struct reader_pairs){NULL, 0, false};
	if (!make_key(reader, key, KEY_PAIR, reader->resolver, address))
		return TD_TOO_LONG;
	PUT(reader, "HLEN", key);
	redisReply *reply = take(reader, REDIS_REPLY_INTEGER, REDIS_REPLY_INTEGER, &error);
	if (!reply)
		return error;
	/* Doubled: fields may come twice, and new ones may arrive while we read. */
	size_t room = reply->integer > 0 ? 2 * (size_t)reply->integer + 16 : 16;
	freeReplyObject(reply);
	if (limit > READER_ROWS_MAX)
		limit = READER_ROWS_MAX;
	if (room > 2 * limit)
		room = 2 * limit;
	out->rows = rows_new(arena, room, sizeof(*out->rows));
	address = keep(arena, address, strlen(address));
	if (!out->rows || !address)
		return TD_NOMEM;
	do
		error = scan_pairs(reader, arena, key, address, cursor, room, out);
	while (error == TD_OK && !out->cut && strcmp(cursor, "0") != 0);
	if (error != TD_OK)
		out->count = 0;
	sort_unique(out);
	if (out->count > limit) {
		out->count = limit;
		out->cut = true;
	}
	return error;
}

static enum td_error put_pair(struct reader *reader, const struct reader_pair *row)
{
	char key[KEY_MAX], field[FIELD_MAX];

	if (!make_key(reader, key, KEY_PAIR, reader->resolver, row->address))
		return TD_TOO_LONG;
	int length = snprintf(field, sizeof(field), "%s %s", row->client, row->name);
	if (length < 0 || (size_t)length >= sizeof(field))
		return TD_TOO_LONG;
	PUT(reader, "HGET", key, field);
	return TD_OK;
}

enum td_error reader_find_pairs(struct reader *reader, struct arena *arena,
	struct reader_pair *rows, size_t count, struct reader_pairs *out)
{
	enum td_error error = TD_OK;

	*out = (struct reader_pairs){rows, 0, false};
	for (size_t done = 0; done < count && reader->redis; done += SLICE) {
		size_t end = count - done < SLICE ? count : done + SLICE;
		bool sent[SLICE];
		for (size_t i = done; i < end; i++)
			sent[i - done] = put_pair(reader, &rows[i]) == TD_OK;
		for (size_t i = done; i < end; i++) {
			redisReply *reply = sent[i - done] ? take(reader, REDIS_REPLY_STRING,
								     REDIS_REPLY_NIL, &error)
							   : NULL;
			struct reader_pair row = rows[i];
			if (reply && reply->type == REDIS_REPLY_STRING &&
				parse_pair_value(arena, reply->str, &row))
				out->rows[out->count++] = row;
			freeReplyObject(reply);
		}
	}
	if (error == TD_OK && !reader->redis)
		error = TD_IO;
	if (error != TD_OK)
		out->count = 0;
	return error;
}

/* --- the stream of transactions --- */

static const redisReply *field_named(const redisReply *fields, const char *name)
{
	for (size_t i = 0; i + 1 < fields->elements; i += 2)
		if (is_text(fields->element[i]) && strcmp(fields->element[i]->str, name) == 0 &&
			is_text(fields->element[i + 1]))
			return fields->element[i + 1];
	return NULL;
}

/* Entries are [id, [field, value, …]]; those without a record are passed over. */
static enum td_error fill_records(
	struct arena *arena, const redisReply *entries, bool reversed, struct reader_records *out)
{
	out->rows = rows_new(arena, entries->elements, sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (size_t i = 0; i < entries->elements; i++) {
		const redisReply *entry =
			entries->element[reversed ? entries->elements - 1 - i : i];
		if (entry->type != REDIS_REPLY_ARRAY || entry->elements != 2 ||
			!is_text(entry->element[0]) || entry->element[1]->type != REDIS_REPLY_ARRAY)
			continue;
		const redisReply *json = field_named(entry->element[1], "json");
		struct reader_record *row = &out->rows[out->count];
		row->id = keep_reply(arena, entry->element[0]);
		row->json = json ? keep_reply(arena, json) : keep(arena, "", 0);
		row->json_length = json ? json->len : 0;
		if (!row->id || !row->json)
			return TD_NOMEM;
		out->count++;
	}
	return TD_OK;
}

enum td_error reader_last_records(
	struct reader *reader, struct arena *arena, size_t limit, struct reader_records *out)
{
	char key[KEY_MAX], count[24];
	enum td_error error = TD_OK;

	*out = (struct reader_records){NULL, 0};
	if (limit == 0)
		return TD_OK;
	if (!make_key(reader, key, KEY_TRANSACTIONS, reader->resolver))
		return TD_TOO_LONG;
	PUT(reader, "XREVRANGE", key, "+", "-", "COUNT", limit_text(count, limit));
	redisReply *reply = take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	if (!reply)
		return error;
	error = fill_records(arena, reply, true, out);
	freeReplyObject(reply);
	return error;
}

enum td_error reader_next_records(struct reader *reader, struct arena *arena, const char *id,
	int block_ms, size_t limit, struct reader_records *out)
{
	char key[KEY_MAX], count[24], block[24];
	enum td_error error = TD_OK;

	*out = (struct reader_records){NULL, 0};
	if (!make_key(reader, key, KEY_TRANSACTIONS, reader->resolver))
		return TD_TOO_LONG;
	limit_text(block, block_ms > 0 ? (size_t)block_ms : 1);
	PUT(reader, "XREAD", "COUNT", limit_text(count, limit), "BLOCK", block, "STREAMS", key, id);
	redisReply *reply = take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_NIL, &error);
	if (!reply)
		return error;
	const redisReply *stream = reply->elements == 1 ? reply->element[0] : NULL;
	if (stream && stream->type == REDIS_REPLY_ARRAY && stream->elements == 2 &&
		stream->element[1]->type == REDIS_REPLY_ARRAY)
		error = fill_records(arena, stream->element[1], false, out);
	freeReplyObject(reply);
	return error;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queries of the commands, one after the other over a connection that waits: a command asks,
 * prints and ends, so the callbacks of the store would only be in the way. Where many small
 * answers are needed they are pipelined in slices, so that neither side buffers without bound.
 *
 * Here: the connection, what all queries share, and hashes. Sorted sets, pairs and streams have
 * files of their own.
 */
#include "resolver/telemetry/redis/reader.h"

#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "resolver/telemetry/redis/reader_private.h"
#include "resolver/telemetry/redis/reader_connection.h"
#include "resolver/telemetry/redis/schema.h"

/* --- the connection --- */

void reader_note(struct reader *reader, const char *words)
{
	snprintf(reader->words, sizeof(reader->words), "%s", words);
}

/* The next reply of one of two types, or NULL and *error. */
redisReply *reader_take(struct reader *reader, int type, int other_type, enum td_error *error)
{
	redisReply *reply = reader_connection_take(reader->connection);

	if (!reply) {
		reader->is_lost = true;
		reader_note(reader, reader_connection_words(reader->connection));
		*error = TD_IO;
		return NULL;
	}
	if (reply->type == type || reply->type == other_type)
		return reply;
	*error = TD_REFUSED;
	reader_note(reader,
		reply->type == REDIS_REPLY_ERROR ? reply->str : "an unexpected type of reply");
	freeReplyObject(reply);
	return NULL;
}

redisReply *reader_take_next(
	struct reader *reader, int type, int other_type, enum td_error *first)
{
	enum td_error error = TD_OK;
	redisReply *reply = reader_take(reader, type, other_type, &error);

	if (*first == TD_OK)
		*first = error;
	return reply;
}

redisReply *reader_take_page(struct reader *reader, char cursor[READER_CURSOR_SIZE],
	const redisReply **rows, enum td_error *error)
{
	static const redisReply none;
	redisReply *reply = reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, error);

	*rows = &none;
	if (!reply)
		return NULL;
	snprintf(cursor, READER_CURSOR_SIZE, "0");
	if (reply->elements == 2 && reader_is_text(reply->element[0]) &&
		reply->element[1]->type == REDIS_REPLY_ARRAY) {
		*rows = reply->element[1];
		snprintf(cursor, READER_CURSOR_SIZE, "%s", reply->element[0]->str);
	}
	return reply;
}

void reader_put(struct reader *reader, int count, const char *const arguments[])
{
	reader_connection_put(reader->connection, (size_t)count, arguments);
}

static enum td_error connect_to(
	struct reader *reader, struct reader_connection **connection, const char *key)
{
	return reader_connection_open(connection, reader->url,
		reader->has_access ? &reader->access : NULL, key, reader->timeout_ms, reader->words,
		sizeof(reader->words));
}

enum td_error reader_use_common(struct reader *reader)
{
	enum td_error error = TD_OK;

	if (strncasecmp(reader->url, "cluster:", 8) != 0)
		return TD_OK;
	if (!reader->common)
		error = connect_to(reader, &reader->common, KEY_RESOLVERS);
	if (error == TD_OK)
		reader->connection = reader->common;
	return error;
}

void reader_use_own(struct reader *reader)
{
	reader->connection = reader->own;
}

struct reader *reader_open(const char *url, const struct redis_access *access, const char *resolver,
	int timeout_ms, char *words, enum td_error *error)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	enum td_error result = TD_NOMEM;
	char key[READER_KEY_MAX];

	words[0] = '\0';
	if (reader) {
		reader->has_access = access != NULL;
		if (access)
			reader->access = *access;
		reader->timeout_ms = timeout_ms;
		reader->resolver = strdup(resolver);
		reader->url = strdup(url);
	}
	if (reader && reader->resolver && reader->url)
		result = reader_make_key(reader, key, KEY_META, resolver)
				 ? connect_to(reader, &reader->own, key)
				 : TD_TOO_LONG;
	if (result == TD_OK)
		reader_use_own(reader);
	if (result != TD_OK) {
		snprintf(words, READER_WORDS_MAX, "%s",
			reader && reader->words[0] ? reader->words : error_text(result));
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
	reader_connection_close(&(*reader)->own);
	reader_connection_close(&(*reader)->common);
	free((*reader)->resolver);
	if ((*reader)->url)
		explicit_bzero((*reader)->url, strlen((*reader)->url));
	free((*reader)->url);
	free(*reader);
	*reader = NULL;
}

const char *reader_words(const struct reader *reader)
{
	return reader->words;
}

/* --- what all queries share --- */

bool reader_make_key(struct reader *reader, char key[READER_KEY_MAX], const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length = vsnprintf(key, READER_KEY_MAX, format, arguments);
	va_end(arguments);
	if (length >= 0 && length < READER_KEY_MAX)
		return true;
	reader_note(reader, "the key is too long");
	return false;
}

const char *reader_keep(struct arena *arena, const char *text, size_t length)
{
	char *copy = arena_alloc(arena, length + 1);
	if (copy) {
		memcpy(copy, text, length);
		copy[length] = '\0';
	}
	return copy;
}

const char *reader_keep_reply(struct arena *arena, const redisReply *reply)
{
	return reader_keep(arena, reply->str, reply->len);
}

bool reader_is_text(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

/* A score; Redis writes whole numbers without a fraction, a large one with an exponent. */
int64_t reader_score(const redisReply *reply)
{
	if (!reader_is_text(reply))
		return 0;
	double value = strtod(reply->str, NULL);
	return value > -9e15 && value < 9e15 ? (int64_t)value : 0;
}

const char *reader_limit_text(char out[24], size_t limit)
{
	if (limit > READER_ROWS_MAX)
		limit = READER_ROWS_MAX;
	snprintf(out, 24, "%zu", limit);
	return out;
}

/* An array of count rows, or NULL; a count of 0 gives a pointer too. */
void *reader_rows_new(struct arena *arena, size_t count, size_t size)
{
	return count > SIZE_MAX / size - 1 ? NULL : arena_alloc(arena, (count + 1) * size);
}

/* --- hashes --- */

static enum td_error read_hash(
	struct reader *reader, struct arena *arena, const char *key, struct reader_fields *out)
{
	enum td_error error = TD_OK;

	READER_PUT(reader, "HGETALL", key);
	redisReply *reply = reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	if (!reply)
		return error;
	out->rows = reader_rows_new(arena, reply->elements / 2, sizeof(*out->rows));
	for (size_t i = 0; out->rows && i + 1 < reply->elements; i += 2) {
		const redisReply *name = reply->element[i], *value = reply->element[i + 1];
		if (!reader_is_text(name) || !reader_is_text(value))
			continue;
		struct reader_field *row = &out->rows[out->count];
		row->name = reader_keep_reply(arena, name);
		row->value = reader_keep_reply(arena, value);
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

enum td_error reader_time(struct reader *reader, int64_t *ms)
{
	enum td_error error = TD_OK;

	*ms = 0;
	READER_PUT(reader, "TIME");
	redisReply *reply = reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	if (reply && reply->elements == 2 && reader_is_text(reply->element[0]) &&
		reader_is_text(reply->element[1]))
		*ms = strtoll(reply->element[0]->str, NULL, 10) * 1000 +
		      strtoll(reply->element[1]->str, NULL, 10) / 1000;
	freeReplyObject(reply);
	return error;
}

enum td_error reader_meta(struct reader *reader, struct arena *arena, struct reader_fields *out)
{
	char key[READER_KEY_MAX];

	*out = (struct reader_fields){NULL, 0};
	if (!reader_make_key(reader, key, KEY_META, reader->resolver))
		return TD_TOO_LONG;
	return read_hash(reader, arena, key, out);
}

enum td_error reader_client(
	struct reader *reader, struct arena *arena, const char *client, struct reader_fields *out)
{
	char key[READER_KEY_MAX];

	*out = (struct reader_fields){NULL, 0};
	if (!reader_make_key(reader, key, KEY_CLIENT, reader->resolver, client))
		return TD_TOO_LONG;
	return read_hash(reader, arena, key, out);
}

enum td_error reader_hash(struct reader *reader, struct arena *arena, enum reader_hash hash,
	struct reader_fields *out)
{
	char key[READER_KEY_MAX];

	*out = (struct reader_fields){NULL, 0};
	if (!reader_make_key(reader, key,
		    hash == READER_EVENTLOG	? KEY_EVENTLOG
		    : hash == READER_INGESTED ? KEY_INGEST
		    : hash == READER_TOTALS   ? KEY_TOTALS
					      : KEY_REMEDIATED,
		    reader->resolver))
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

uint64_t reader_fields_sum(const struct reader_fields *fields, const char *prefix)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < fields->count; i++)
		if (strncmp(fields->rows[i].name, prefix, strlen(prefix)) == 0)
			sum += strtoull(fields->rows[i].value, NULL, 10);
	return sum;
}

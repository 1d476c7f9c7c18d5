/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One chunk at a time: the next is gathered when the last is acknowledged, so that what is lost
 * with a connection is one question, "is it applied?", which the position answers. Several chunks
 * on their way were rejected: reading is quicker than Redis writes, so nothing would be won but a
 * queue.
 *
 * The script goes by EVALSHA, and where Redis lacks it (SCRIPT FLUSH, another server) is loaded.
 */
#include "resolver/telemetry/redis/ingest_store.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/redis/reader_connection.h"
#include "resolver/telemetry/redis/schema.h"

#define KEY_MAX 512
#define FIXED_ARGS 19 /* EVALSHA, SHA-1, 1, the key, the header */
#define S_PER_DAY UINT64_C(86400)
#define SHA_TEXT_SIZE 41
#define SLICE 256   /* commands in one pipeline */
#define PAGE "1000" /* pairs of one HSCAN */

const char ingest_script[] =
#include "resolver/telemetry/redis/ingest.inc"
	;

struct ingest_store {
	struct ingest_store_settings settings;
	struct reader_connection *connection; /* NULL: lost */
	char key[KEY_MAX];
	char sha[SHA_TEXT_SIZE]; /* "" not loaded over this connection yet */
	char words[INGEST_STORE_WORDS_MAX];
};

/* --- the connection --- */

static void note(struct ingest_store *store, const char *words)
{
	snprintf(store->words, sizeof(store->words), "%s", words);
}

enum td_error ingest_store_reopen(struct ingest_store *store)
{
	const struct ingest_store_settings *settings = &store->settings;

	reader_connection_close(&store->connection);
	store->sha[0] = '\0';
	return reader_connection_open(&store->connection, settings->url, settings->access,
		store->key, settings->timeout_ms, store->words, sizeof(store->words));
}

struct ingest_store *ingest_store_open(
	const struct ingest_store_settings *settings, char *words, enum td_error *error)
{
	struct ingest_store *store = calloc(1, sizeof(*store));

	*error = TD_NOMEM;
	if (store) {
		store->settings = *settings;
		int length = snprintf(store->key, KEY_MAX, KEY_INGEST, settings->resolver);
		*error = length < KEY_MAX ? ingest_store_reopen(store) : TD_TOO_LONG;
	}
	if (*error == TD_OK)
		return store;
	snprintf(words, INGEST_STORE_WORDS_MAX, "%s",
		store && store->words[0] ? store->words : error_text(*error));
	ingest_store_close(&store);
	return NULL;
}

void ingest_store_close(struct ingest_store **store)
{
	if (!*store)
		return;
	reader_connection_close(&(*store)->connection);
	free(*store);
	*store = NULL;
}

const char *ingest_store_words(const struct ingest_store *store)
{
	return store->words;
}

/* Errors that another server, or a moment later, does not answer with. */
static bool is_passing(const char *words)
{
	static const char *const begins[] = {"MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "LOADING",
		"MASTERDOWN", "NOREPLICAS", "READONLY", "UNBLOCKED", "BUSY"};

	for (size_t i = 0; i < sizeof(begins) / sizeof(begins[0]); i++)
		if (strncmp(words, begins[i], strlen(begins[i])) == 0)
			return true;
	return false;
}

/* Of the user, by whichever version of Redis. */
static bool is_forbidden(const char *words)
{
	return strstr(words, "NOPERM") || strstr(words, "no permissions") ||
	       strstr(words, "can't run this command") || strstr(words, "can't access");
}

static enum td_error fail(struct ingest_store *store, const char *words)
{
	note(store, words);
	if (is_passing(words)) {
		reader_connection_close(&store->connection);
		return TD_IO;
	}
	return is_forbidden(words) ? TD_UNSUPPORTED : TD_REFUSED;
}

/* The next reply, of a type, or NULL and *error. */
static redisReply *take(struct ingest_store *store, int type, enum td_error *error)
{
	redisReply *reply = store->connection ? reader_connection_take(store->connection) : NULL;

	if (!reply) {
		if (store->connection)
			note(store, reader_connection_words(store->connection));
		reader_connection_close(&store->connection);
		*error = TD_IO;
		return NULL;
	}
	if (reply->type == type)
		return reply;
	*error = reply->type == REDIS_REPLY_ERROR ? fail(store, reply->str)
						  : fail(store, "an unexpected type of reply");
	freeReplyObject(reply);
	return NULL;
}

static void put(struct ingest_store *store, size_t argc, const char *const argv[])
{
	size_t lengths[SLICE + 2];

	for (size_t i = 0; i < argc; i++)
		lengths[i] = strlen(argv[i]);
	if (store->connection)
		reader_connection_put_sized(store->connection, argc, argv, lengths);
}
#define PUT(store, ...)                                                    \
	put(store, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), \
		(const char *[]){__VA_ARGS__})

/* --- sources --- */

static const char *keep(struct arena *arena, const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING ? arena_copy(arena, reply->str, reply->len + 1)
						 : NULL;
}

enum td_error ingest_store_sources(
	struct ingest_store *store, struct arena *arena, struct ingest_rows *out)
{
	enum td_error error = TD_OK;

	*out = (struct ingest_rows){NULL, 0};
	PUT(store, "HGETALL", store->key);
	redisReply *reply = take(store, REDIS_REPLY_ARRAY, &error);
	if (!reply)
		return error;
	out->rows = arena_alloc(arena, (reply->elements / 2 + 1) * sizeof(*out->rows));
	for (size_t i = 0; out->rows && i + 1 < reply->elements; i += 2) {
		struct ingest_row *row = &out->rows[out->count];
		row->id = keep(arena, reply->element[i]);
		row->json = keep(arena, reply->element[i + 1]);
		if (row->id && row->json)
			out->count++;
	}
	freeReplyObject(reply);
	return out->rows ? TD_OK : TD_NOMEM;
}

enum td_error ingest_store_forget(struct ingest_store *store, const char *id)
{
	enum td_error error = TD_OK;

	PUT(store, "HDEL", store->key, id);
	redisReply *reply = take(store, REDIS_REPLY_INTEGER, &error);
	freeReplyObject(reply);
	return error;
}

/* --- a chunk --- */

void ingest_chunk_init(struct ingest_chunk *chunk)
{
	*chunk = (struct ingest_chunk){.source = "", .former = "", .position = "", .oldest = ""};
	strbuf_init(&chunk->text);
}

void ingest_chunk_deinit(struct ingest_chunk *chunk)
{
	strbuf_deinit(&chunk->text);
}

void ingest_chunk_clear(struct ingest_chunk *chunk)
{
	strbuf_clear(&chunk->text);
	chunk->argc = 0;
	chunk->full = false;
}

void ingest_chunk_put(struct ingest_chunk *chunk, const char *text, size_t length)
{
	if (chunk->argc == INGEST_ITEM_ARGS_MAX) {
		chunk->full = true;
		return;
	}
	strbuf_append(&chunk->text, text, length);
	chunk->lengths[chunk->argc++] = length;
}

void ingest_chunk_put_text(struct ingest_chunk *chunk, const char *text)
{
	ingest_chunk_put(chunk, text, strlen(text));
}

void ingest_chunk_put_u64(struct ingest_chunk *chunk, uint64_t value)
{
	size_t before = chunk->text.length;

	if (chunk->argc == INGEST_ITEM_ARGS_MAX) {
		chunk->full = true;
		return;
	}
	strbuf_append_u64(&chunk->text, value);
	chunk->lengths[chunk->argc++] = chunk->text.length - before;
}

struct call {
	size_t argc;
	const char *argv[FIXED_ARGS + INGEST_ITEM_ARGS_MAX];
	size_t lengths[FIXED_ARGS + INGEST_ITEM_ARGS_MAX];
	struct strbuf numbers; /* of the header, each ended by NUL */
};

static void call_text(struct call *call, const char *text)
{
	call->argv[call->argc] = text;
	call->lengths[call->argc++] = strlen(text);
}

/* Its text is set when all numbers are there: a strbuf moves. */
static void call_u64(struct call *call, uint64_t value)
{
	size_t before = call->numbers.length;

	strbuf_append_u64(&call->numbers, value);
	call->argv[call->argc] = NULL;
	call->lengths[call->argc++] = call->numbers.length - before;
	strbuf_append_char(&call->numbers, '\0');
}

static void call_header(struct call *call, const struct ingest_store *store,
	const struct ingest_chunk *chunk, int64_t now_ms, char expected[24])
{
	const struct ingest_store_settings *settings = &store->settings;

	expected[0] = '\0';
	if (chunk->expected >= 0)
		snprintf(expected, 24, "%" PRId64, chunk->expected);
	call_text(call, "EVALSHA");
	call_text(call, store->sha);
	call_text(call, "1");
	call_text(call, store->key);
	call_u64(call, SCHEMA_VERSION);
	call_text(call, chunk->source);
	call_text(call, chunk->former);
	call_text(call, expected);
	call_u64(call, (uint64_t)chunk->offset);
	call_text(call, chunk->position);
	call_u64(call, (uint64_t)now_ms);
	call_u64(call, settings->retention_days * S_PER_DAY);
	call_u64(call, settings->pair_retention_days * S_PER_DAY);
	call_u64(call, settings->addresses_max);
	call_u64(call, SCHEMA_HOUR_DROPS_MAX);
	call_u64(call, SCHEMA_HISTORY_MAX);
	call_u64(call, SCHEMA_EVENTLOG_MAX);
	call_u64(call, SCHEMA_SOURCES_MAX);
	call_text(call, chunk->oldest);
}

static void call_items(struct call *call, const struct ingest_chunk *chunk)
{
	const char *number = call->numbers.data, *text = chunk->text.data;

	for (size_t i = 0; i < call->argc; i++) {
		if (call->argv[i])
			continue;
		call->argv[i] = number;
		number += call->lengths[i] + 1;
	}
	for (size_t i = 0; i < chunk->argc; i++) {
		call->argv[call->argc] = text;
		call->lengths[call->argc++] = chunk->lengths[i];
		text += chunk->lengths[i];
	}
}

static enum td_error load_script(struct ingest_store *store)
{
	enum td_error error = TD_OK;

	PUT(store, "SCRIPT", "LOAD", ingest_script);
	redisReply *reply = take(store, REDIS_REPLY_STRING, &error);
	if (reply)
		snprintf(store->sha, sizeof(store->sha), "%s", reply->str);
	freeReplyObject(reply);
	return error;
}

/* NULL, *error and words where it fails. */
static redisReply *run(struct ingest_store *store, const struct ingest_chunk *chunk, int64_t now_ms,
	enum td_error *error)
{
	struct call *call = calloc(1, sizeof(*call));
	redisReply *reply = NULL;
	char expected[24];

	*error = TD_NOMEM;
	if (call) {
		strbuf_init(&call->numbers);
		call_header(call, store, chunk, now_ms, expected);
		call_items(call, chunk);
	}
	if (call && !call->numbers.failed && !chunk->text.failed && !chunk->full) {
		*error = TD_OK;
		if (store->connection)
			reader_connection_put_sized(
				store->connection, call->argc, call->argv, call->lengths);
		reply = take(store, REDIS_REPLY_ARRAY, error);
	}
	if (call)
		strbuf_deinit(&call->numbers);
	free(call);
	return reply;
}

static bool is_answer(const redisReply *reply)
{
	return reply->elements == 5 && reply->element[0]->type == REDIS_REPLY_STRING &&
	       reply->element[1]->type == REDIS_REPLY_INTEGER &&
	       reply->element[2]->type == REDIS_REPLY_INTEGER &&
	       reply->element[3]->type == REDIS_REPLY_STRING &&
	       reply->element[4]->type == REDIS_REPLY_INTEGER;
}

static enum td_error understand(struct ingest_store *store, const redisReply *reply,
	enum ingest_outcome *outcome, int64_t *found, uint64_t *dropped)
{
	if (!is_answer(reply))
		return fail(store, "an unexpected reply of the script");
	*found = reply->element[1]->integer;
	*dropped += (uint64_t)reply->element[4]->integer;
	*outcome = strcmp(reply->element[0]->str, "refused") == 0 ? INGEST_MOVED : INGEST_APPLIED;
	if (reply->element[2]->integer == 0)
		return TD_OK;
	char words[INGEST_STORE_WORDS_MAX];
	snprintf(words, sizeof(words), "%lld commands failed, the first: %s",
		reply->element[2]->integer, reply->element[3]->str);
	note(store, words);
	return is_forbidden(words) ? TD_UNSUPPORTED : TD_REFUSED;
}

enum td_error ingest_store_write(struct ingest_store *store, const struct ingest_chunk *chunk,
	int64_t now_ms, enum ingest_outcome *outcome, int64_t *found, uint64_t *dropped)
{
	enum td_error error = store->sha[0] ? TD_OK : load_script(store);
	redisReply *reply = error == TD_OK ? run(store, chunk, now_ms, &error) : NULL;

	if (!reply && error == TD_REFUSED && strncmp(store->words, "NOSCRIPT", 8) == 0) {
		error = load_script(store);
		if (error == TD_OK)
			reply = run(store, chunk, now_ms, &error);
	}
	if (reply)
		error = understand(store, reply, outcome, found, dropped);
	freeReplyObject(reply);
	return error;
}

/* --- pairs --- */

struct pair_scan {
	ingest_pair_fn *pair;
	void *context;
};

static void hand_over(const struct pair_scan *scan, size_t index, const redisReply *rows)
{
	for (size_t i = 0; i + 1 < rows->elements; i += 2) {
		const redisReply *field = rows->element[i], *value = rows->element[i + 1];
		if (field->type != REDIS_REPLY_STRING || value->type != REDIS_REPLY_STRING)
			continue;
		const char *space = memchr(field->str, ' ', field->len);
		if (space)
			scan->pair(scan->context, index, field->str, (size_t)(space - field->str),
				strtoll(value->str, NULL, 10));
	}
}

/* Takes a page; cursor becomes "0" at the end. */
static enum td_error take_page(
	struct ingest_store *store, const struct pair_scan *scan, size_t index, char cursor[24])
{
	enum td_error error = TD_OK;
	redisReply *reply = take(store, REDIS_REPLY_ARRAY, &error);

	snprintf(cursor, 24, "0");
	if (reply && reply->elements == 2 && reply->element[0]->type == REDIS_REPLY_STRING &&
		reply->element[1]->type == REDIS_REPLY_ARRAY) {
		snprintf(cursor, 24, "%s", reply->element[0]->str);
		hand_over(scan, index, reply->element[1]);
	}
	freeReplyObject(reply);
	return error;
}

static void ask_page(struct ingest_store *store, const char *address, const char *cursor)
{
	char key[KEY_MAX];

	snprintf(key, sizeof(key), KEY_PAIR, store->settings.resolver, address);
	PUT(store, "HSCAN", key, cursor, "COUNT", PAGE);
}

/* Which of a slice have pairs, as far as the index of addresses tells; all where it does not
 * (ZMSCORE is of Redis 6.2). Most addresses in a firewall's log nobody ever looked up. */
static enum td_error find_known(
	struct ingest_store *store, const char *const addresses[], size_t count, bool known[SLICE])
{
	const char *argv[SLICE + 2] = {"ZMSCORE"};
	char key[KEY_MAX];
	enum td_error error = TD_OK;

	for (size_t i = 0; i < count; i++) {
		argv[i + 2] = addresses[i];
		known[i] = true;
	}
	snprintf(key, sizeof(key), KEY_ADDRESSES, store->settings.resolver);
	argv[1] = key;
	put(store, count + 2, argv);
	redisReply *reply = take(store, REDIS_REPLY_ARRAY, &error);
	for (size_t i = 0; reply && i < count && i < reply->elements; i++)
		known[i] = reply->element[i]->type != REDIS_REPLY_NIL;
	freeReplyObject(reply);
	return error == TD_REFUSED ? TD_OK : error;
}

/* A slice: the first page of each in one go, then what is larger. */
static enum td_error scan_slice(struct ingest_store *store, const char *const addresses[],
	size_t first, size_t count, const struct pair_scan *scan)
{
	char cursors[SLICE][24];
	bool known[SLICE];
	enum td_error error = find_known(store, addresses + first, count, known);

	if (error != TD_OK)
		return error;
	for (size_t i = 0; i < count; i++) {
		snprintf(cursors[i], sizeof(cursors[i]), "0");
		if (known[i])
			ask_page(store, addresses[first + i], "0");
	}
	for (size_t i = 0; i < count; i++) {
		if (!known[i])
			continue;
		enum td_error outcome = take_page(store, scan, first + i, cursors[i]);
		error = error == TD_OK ? outcome : error;
	}
	for (size_t i = 0; i < count && error == TD_OK; i++) {
		while (error == TD_OK && strcmp(cursors[i], "0") != 0) {
			ask_page(store, addresses[first + i], cursors[i]);
			error = take_page(store, scan, first + i, cursors[i]);
		}
	}
	return error;
}

enum td_error ingest_store_pairs(struct ingest_store *store, const char *const addresses[],
	size_t count, ingest_pair_fn *pair, void *context)
{
	const struct pair_scan scan = {pair, context};
	enum td_error error = TD_OK;

	for (size_t first = 0; first < count && error == TD_OK; first += SLICE)
		error = scan_slice(store, addresses, first,
			count - first < SLICE ? count - first : SLICE, &scan);
	return error;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * History stands under its address only, because that is what a firewall log knows. Who asks for a
 * name or a client is answered by looking through the index of addresses: their lengths are asked
 * for in pipelines, and only those that have history are read. An index by client was rejected: it
 * would double what an import writes, for a question that is asked by hand.
 */
#include "resolver/telemetry/redis/reader_imports.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/redis/reader_connection.h"
#include "resolver/telemetry/redis/reader_private.h"
#include "resolver/telemetry/redis/schema.h"

/* --- one row --- */

static bool take_number(const char **text, int64_t *out)
{
	char *end;

	if (**text < '0' || **text > '9')
		return false;
	*out = strtoll(*text, &end, 10);
	*text = end + (*end == ' ');
	return *end == ' ';
}

/* "<first> <last> <count> certain|ambiguous" */
static bool parse_value(const char *text, struct reader_history *row)
{
	int64_t count;

	if (!take_number(&text, &row->first_ms) || !take_number(&text, &row->last_ms) ||
		!take_number(&text, &count))
		return false;
	row->count = (uint64_t)count;
	row->certain = strcmp(text, "certain") == 0;
	return row->certain || strcmp(text, "ambiguous") == 0;
}

static bool is_wanted(const char *wanted, const char *text, size_t length)
{
	return !wanted || (strlen(wanted) == length && memcmp(wanted, text, length) == 0);
}

/* "<client> <name>"; false also when it is another one than is wanted. */
static bool parse_field(struct arena *arena, const redisReply *field,
	const struct reader_history_wanted *wanted, struct reader_history *row)
{
	const char *space = memchr(field->str, ' ', field->len);

	if (!space || space == field->str)
		return false;
	size_t client = (size_t)(space - field->str), name = field->len - client - 1;
	if (!is_wanted(wanted->client, field->str, client) ||
		!is_wanted(wanted->name, space + 1, name))
		return false;
	row->client = reader_keep(arena, field->str, client);
	row->name = reader_keep(arena, space + 1, name);
	return row->client && row->name;
}

/* --- one address --- */

struct search {
	struct reader *reader;
	struct arena *arena;
	const struct reader_history_wanted *wanted;
	struct reader_histories *out;
	size_t capacity, read;
};

static enum td_error add_row(struct search *search, const struct reader_history *row)
{
	struct reader_histories *out = search->out;

	/* Doubled: HSCAN may return a field twice. */
	if (out->count >= 2 * search->wanted->limit) {
		out->cut = true;
		return TD_OK;
	}
	if (out->count == search->capacity) {
		size_t capacity = search->capacity ? 2 * search->capacity : 64;
		struct reader_history *rows =
			reader_rows_new(search->arena, capacity, sizeof(*rows));
		if (!rows)
			return TD_NOMEM;
		if (out->count)
			memcpy(rows, out->rows, out->count * sizeof(*rows));
		out->rows = rows;
		search->capacity = capacity;
	}
	out->rows[out->count++] = *row;
	return TD_OK;
}

/* One turn of HSCAN; the cursor is "0" at the end. */
static enum td_error scan_rows(struct search *search, const char *key, const char *address,
	char cursor[READER_CURSOR_SIZE])
{
	enum td_error error = TD_OK;
	const redisReply *rows;

	READER_PUT(search->reader, "HSCAN", key, cursor, "COUNT", "1000");
	redisReply *reply = reader_take_page(search->reader, cursor, &rows, &error);
	for (size_t i = 0; i + 1 < rows->elements && error == TD_OK; i += 2) {
		const redisReply *field = rows->element[i], *value = rows->element[i + 1];
		struct reader_history row = {.address = address};
		if (reader_is_text(field) && reader_is_text(value) &&
			parse_value(value->str, &row) &&
			parse_field(search->arena, field, search->wanted, &row))
			error = add_row(search, &row);
	}
	search->read += rows->elements / 2;
	freeReplyObject(reply);
	return error;
}

static enum td_error read_address(struct search *search, const char *address)
{
	char key[READER_KEY_MAX], cursor[READER_CURSOR_SIZE] = "0";
	enum td_error error = TD_OK;

	if (!reader_make_key(search->reader, key, KEY_HISTORY, search->reader->resolver, address))
		return TD_TOO_LONG;
	do {
		if (search->read >= READER_HISTORY_READ_MAX) {
			search->out->cut = true;
			return TD_OK;
		}
		error = scan_rows(search, key, address, cursor);
	} while (error == TD_OK && strcmp(cursor, "0") != 0);
	return error;
}

/* --- all addresses --- */

static bool put_length(struct reader *reader, const char *address)
{
	char key[READER_KEY_MAX];

	if (!reader_make_key(reader, key, KEY_HISTORY, reader->resolver, address))
		return false;
	READER_PUT(reader, "HLEN", key);
	return true;
}

/* Keeps of a slice those that have history, at the front; their number is *kept. */
static enum td_error keep_known(
	struct reader *reader, struct reader_rank *rows, size_t count, size_t *kept)
{
	enum td_error error = TD_OK;
	bool sent[READER_SLICE];

	*kept = 0;
	for (size_t i = 0; i < count; i++)
		sent[i] = put_length(reader, rows[i].member);
	for (size_t i = 0; i < count && !reader->is_lost; i++) {
		redisReply *reply = sent[i] ? reader_take(reader, REDIS_REPLY_INTEGER,
						      REDIS_REPLY_INTEGER, &error)
					    : NULL;
		if (reply && reply->integer > 0)
			rows[(*kept)++] = rows[i];
		freeReplyObject(reply);
	}
	return error;
}

static enum td_error read_page(struct search *search, const struct reader_ranks *page)
{
	enum td_error error = TD_OK;

	for (size_t done = 0; done < page->count && error == TD_OK; done += READER_SLICE) {
		size_t slice =
			page->count - done < READER_SLICE ? page->count - done : READER_SLICE;
		struct reader_rank *rows = page->rows + done;
		size_t kept;
		error = keep_known(search->reader, rows, slice, &kept);
		for (size_t i = 0; i < kept && error == TD_OK; i++)
			error = read_address(search, rows[i].member);
	}
	return error;
}

static enum td_error read_all(struct search *search)
{
	char cursor[READER_CURSOR_SIZE] = "0";
	enum td_error error = TD_OK;

	do {
		struct reader_ranks page;
		error = reader_scan_addresses(search->reader, search->arena, cursor, &page);
		if (error == TD_OK)
			error = read_page(search, &page);
	} while (error == TD_OK && strcmp(cursor, "0") != 0 && !search->out->cut);
	return error;
}

static int compare_rows(const void *left, const void *right)
{
	const struct reader_history *a = left, *b = right;
	int order = strcmp(a->address, b->address);

	order = order ? order : strcmp(a->name, b->name);
	return order ? order : strcmp(a->client, b->client);
}

static void sort_unique(struct reader_histories *out, size_t limit)
{
	size_t kept = 0;

	if (out->count)
		qsort(out->rows, out->count, sizeof(*out->rows), compare_rows);
	for (size_t i = 0; i < out->count; i++)
		if (i == 0 || compare_rows(&out->rows[i], &out->rows[kept - 1]) != 0)
			out->rows[kept++] = out->rows[i];
	out->cut = out->cut || kept > limit;
	out->count = kept < limit ? kept : limit;
}

enum td_error reader_history(struct reader *reader, struct arena *arena,
	const struct reader_history_wanted *wanted, struct reader_histories *out)
{
	struct search search = {reader, arena, wanted, out, 0, 0};

	*out = (struct reader_histories){NULL, 0, false};
	enum td_error error =
		wanted->address ? read_address(&search, wanted->address) : read_all(&search);
	if (error != TD_OK)
		out->count = 0;
	sort_unique(out, wanted->limit);
	return error;
}

/* --- what is known of clients --- */

static const char *keep_value(struct arena *arena, const redisReply *reply)
{
	bool has = reply && reply->type == REDIS_REPLY_STRING && reply->len > 0;

	return has ? reader_keep_reply(arena, reply) : NULL;
}

static bool put_name(struct reader *reader, const char *client)
{
	char key[READER_KEY_MAX];
	bool fits = reader_make_key(reader, key, KEY_CLIENT, reader->resolver, client);

	if (fits)
		READER_PUT(reader, "HGET", key, "name");
	return fits;
}

/* A key each. */
static enum td_error take_names(
	struct reader *reader, struct arena *arena, struct reader_value *rows, size_t count)
{
	enum td_error error = TD_OK;
	bool sent[READER_SLICE];

	for (size_t i = 0; i < count; i++)
		sent[i] = put_name(reader, rows[i].of);
	for (size_t i = 0; i < count && !reader->is_lost; i++) {
		redisReply *reply = sent[i] ? reader_take(reader, REDIS_REPLY_STRING,
						      REDIS_REPLY_NIL, &error)
					    : NULL;
		rows[i].value = keep_value(arena, reply);
		freeReplyObject(reply);
	}
	return error;
}

/* Fields of one key: one command. */
static enum td_error take_fields(struct reader *reader, struct arena *arena, const char *key,
	struct reader_value *rows, size_t count)
{
	const char *words[2 + READER_SLICE] = {"HMGET", key};
	size_t lengths[2 + READER_SLICE];
	enum td_error error = TD_OK;

	for (size_t i = 0; i < count; i++)
		words[2 + i] = rows[i].of;
	for (size_t i = 0; i < 2 + count; i++)
		lengths[i] = strlen(words[i]);
	reader_connection_put_sized(reader->connection, 2 + count, words, lengths);
	redisReply *reply = reader_take(reader, REDIS_REPLY_ARRAY, REDIS_REPLY_ARRAY, &error);
	for (size_t i = 0; reply && i < count && i < reply->elements; i++)
		rows[i].value = keep_value(arena, reply->element[i]);
	freeReplyObject(reply);
	return error;
}

enum td_error reader_values(struct reader *reader, struct arena *arena, enum reader_about about,
	struct reader_value *rows, size_t count)
{
	char key[READER_KEY_MAX] = "";
	enum td_error error = TD_OK;

	for (size_t i = 0; i < count; i++)
		rows[i].value = NULL;
	if (about != READER_ABOUT_NAME &&
		!reader_make_key(reader, key,
			about == READER_ABOUT_EVENTLOG ? KEY_EVENTLOG : KEY_REMEDIATED,
			reader->resolver))
		return TD_TOO_LONG;
	for (size_t done = 0; done < count && error == TD_OK; done += READER_SLICE) {
		size_t slice = count - done < READER_SLICE ? count - done : READER_SLICE;
		error = about == READER_ABOUT_NAME
				? take_names(reader, arena, rows + done, slice)
				: take_fields(reader, arena, key, rows + done, slice);
	}
	return error;
}

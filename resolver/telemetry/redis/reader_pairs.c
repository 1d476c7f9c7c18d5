/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pairs (address, client, question). A pair is looked up by its whole key, or read with its whole
 * hash; names and clients of an address are never listed apart and put together again. HSCAN may
 * return a field twice while Redis resizes: rows are sorted and made unique.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/redis/reader.h"
#include "resolver/telemetry/redis/reader_private.h"
#include "resolver/telemetry/redis/schema.h"

#define FIELD_MAX 1152 /* client, space, name */

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
	row->owner = reader_keep(arena, *end ? end + 1 : "", *end ? strlen(end + 1) : 0);
	return row->owner != NULL;
}

/* "<client> <qname>" into row. */
static bool parse_pair_field(struct arena *arena, const redisReply *field, struct reader_pair *row)
{
	const char *space = memchr(field->str, ' ', field->len);
	if (!space || space == field->str)
		return false;
	size_t client = (size_t)(space - field->str);
	row->client = reader_keep(arena, field->str, client);
	row->name = reader_keep(arena, space + 1, field->len - client - 1);
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
	const char *address, char cursor[READER_CURSOR_SIZE], size_t limit,
	struct reader_pairs *out)
{
	enum td_error error = TD_OK;
	const redisReply *rows;

	READER_PUT(reader, "HSCAN", key, cursor, "COUNT", "1000");
	redisReply *reply = reader_take_page(reader, cursor, &rows, &error);
	for (size_t i = 0; i + 1 < rows->elements && !out->cut; i += 2) {
		struct reader_pair row = {.address = address};
		if (!reader_is_text(rows->element[i]) || !reader_is_text(rows->element[i + 1]) ||
			!parse_pair_field(arena, rows->element[i], &row) ||
			!parse_pair_value(arena, rows->element[i + 1]->str, &row))
			continue;
		if (out->count == limit)
			out->cut = true;
		else
			out->rows[out->count++] = row;
	}
	freeReplyObject(reply);
	return error;
}

enum td_error reader_address_pairs(struct reader *reader, struct arena *arena, const char *address,
	size_t limit, struct reader_pairs *out)
{
	char key[READER_KEY_MAX], cursor[READER_CURSOR_SIZE] = "0";
	enum td_error error = TD_OK;

	*out = (struct reader_pairs){NULL, 0, false};
	if (!reader_make_key(reader, key, KEY_PAIR, reader->resolver, address))
		return TD_TOO_LONG;
	READER_PUT(reader, "HLEN", key);
	redisReply *reply = reader_take(reader, REDIS_REPLY_INTEGER, REDIS_REPLY_INTEGER, &error);
	if (!reply)
		return error;
	/* Doubled: fields may come twice, and new ones may arrive while we read. */
	size_t room = reply->integer > 0 ? 2 * (size_t)reply->integer + 16 : 16;
	freeReplyObject(reply);
	if (limit > READER_ROWS_MAX)
		limit = READER_ROWS_MAX;
	if (room > 2 * limit)
		room = 2 * limit;
	out->rows = reader_rows_new(arena, room, sizeof(*out->rows));
	address = reader_keep(arena, address, strlen(address));
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
	char key[READER_KEY_MAX], field[FIELD_MAX];

	if (!reader_make_key(reader, key, KEY_PAIR, reader->resolver, row->address))
		return TD_TOO_LONG;
	int length = snprintf(field, sizeof(field), "%s %s", row->client, row->name);
	if (length < 0 || (size_t)length >= sizeof(field))
		return TD_TOO_LONG;
	READER_PUT(reader, "HGET", key, field);
	return TD_OK;
}

enum td_error reader_find_pairs(struct reader *reader, struct arena *arena,
	struct reader_pair *rows, size_t count, struct reader_pairs *out)
{
	enum td_error error = TD_OK;

	*out = (struct reader_pairs){rows, 0, false};
	for (size_t done = 0; done < count && !reader->is_lost; done += READER_SLICE) {
		size_t end = count - done < READER_SLICE ? count : done + READER_SLICE;
		bool sent[READER_SLICE];
		for (size_t i = done; i < end; i++)
			sent[i - done] = put_pair(reader, &rows[i]) == TD_OK;
		for (size_t i = done; i < end; i++) {
			redisReply *reply = sent[i - done] ? reader_take(reader, REDIS_REPLY_STRING,
								     REDIS_REPLY_NIL, &error)
							   : NULL;
			struct reader_pair row = rows[i];
			if (reply && reply->type == REDIS_REPLY_STRING &&
				parse_pair_value(arena, reply->str, &row))
				out->rows[out->count++] = row;
			freeReplyObject(reply);
		}
	}
	if (error == TD_OK && reader->is_lost)
		error = TD_IO;
	if (error != TD_OK)
		out->count = 0;
	return error;
}

enum td_error reader_scan_addresses(struct reader *reader, struct arena *arena,
	char cursor[READER_CURSOR_SIZE], struct reader_ranks *out)
{
	char key[READER_KEY_MAX];
	enum td_error error = TD_OK;
	const redisReply *rows;

	*out = (struct reader_ranks){NULL, 0, 0};
	if (!reader_make_key(reader, key, KEY_ADDRESSES, reader->resolver))
		return TD_TOO_LONG;
	READER_PUT(reader, "ZSCAN", key, cursor, "COUNT", "1000");
	redisReply *reply = reader_take_page(reader, cursor, &rows, &error);
	if (!reply)
		return error;
	out->rows = reader_rows_new(arena, rows->elements / 2, sizeof(*out->rows));
	for (size_t i = 0; out->rows && i + 1 < rows->elements; i += 2) {
		const char *address = reader_is_text(rows->element[i])
					      ? reader_keep_reply(arena, rows->element[i])
					      : NULL;
		if (address)
			out->rows[out->count++] = (struct reader_rank){address, 0};
	}
	if (!out->rows)
		error = TD_NOMEM;
	freeReplyObject(reply);
	return error;
}

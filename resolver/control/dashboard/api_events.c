/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET events and transactions: the objects of the two streams, newest first. A stream can be
 * written by whoever may write to Redis, so its objects are parsed and written anew: what is no
 * object of JSON is passed over and never reaches a browser. Filters are looked at before that, in
 * the text, because most entries fail them.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/dashboard/api_command.h"
#include "resolver/control/dashboard/handlers.h"
#include "resolver/control/json_view.h"
#include "resolver/telemetry/redis/schema.h"

#define ROWS_DEFAULT 100
#define ROWS_MAX 1000
#define FIELD_MAX 300
#define BYTES_MAX (API_REPLY_MAX / 2)
#define READ_MAX (5 * SCHEMA_STREAM_MAX) /* entries of all resolvers together */

struct filter {
	enum reader_stream stream;
	const char *kind;   /* of an event, or the action of a transaction; NULL: any */
	const char *client; /* NULL: any */
};

struct entry {
	const struct reader_record *record;
	const char *resolver;
	char ts[40];
};

struct listing {
	struct arena *arena;
	struct filter filter;
	size_t depth; /* entries read of each resolver */
	struct entry *rows;
	size_t count;
	bool cut; /* a resolver has older ones that were not read */
};

static const char *field_of(
	const struct reader_record *record, const char *key, char out[FIELD_MAX])
{
	json_field(record->json, record->json_length, key, out, FIELD_MAX);
	return out;
}

/* An event about a client names it in a field, or begins with it. */
static bool is_about(const struct reader_record *record, const char *client)
{
	char text[FIELD_MAX];
	size_t length = strlen(client);

	if (json_field(record->json, record->json_length, "client", text, sizeof(text)))
		return strcmp(text, client) == 0;
	field_of(record, "text", text);
	return strncmp(text, client, length) == 0 && (text[length] == ' ' || !text[length]);
}

static bool is_wanted(const struct filter *filter, const struct reader_record *record)
{
	char text[FIELD_MAX];

	if (record->json_length == 0)
		return false;
	if (filter->kind &&
		strcmp(field_of(record, filter->stream == READER_EVENTS ? "kind" : "action", text),
			filter->kind) != 0)
		return false;
	return !filter->client || is_about(record, filter->client);
}

static enum td_error add_entries(void *context, struct fleet_member *member)
{
	struct listing *listing = context;
	struct reader_records records;
	char ts[FIELD_MAX];
	enum td_error error = reader_last_records(
		member->reader, listing->arena, listing->filter.stream, listing->depth, &records);

	if (error != TD_OK || records.count == 0)
		return error;
	listing->cut = listing->cut || records.count == listing->depth;
	struct entry *rows =
		arena_alloc(listing->arena, (listing->count + records.count) * sizeof(*rows));
	if (!rows)
		return TD_NOMEM;
	if (listing->count)
		memcpy(rows, listing->rows, listing->count * sizeof(*rows));
	listing->rows = rows;
	for (size_t i = records.count; i-- > 0;) {
		const struct reader_record *record = &records.rows[i];
		if (!is_wanted(&listing->filter, record))
			continue;
		struct entry *row = &listing->rows[listing->count++];
		*row = (struct entry){.record = record, .resolver = member->resolver};
		snprintf(row->ts, sizeof(row->ts), "%.39s", field_of(record, "ts", ts));
	}
	return TD_OK;
}

/* Newest first; of one moment, the later in the stream first. */
static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int order = strcmp(b->ts, a->ts);

	order = order ? order : strcmp(a->resolver, b->resolver);
	return order ? order : (a->record < b->record) - (a->record > b->record);
}

/* The object as a library reads and writes it; of a fleet each says whose it is. False: it is none.
 */
static bool append_object(struct strbuf *out, const struct entry *entry, bool whole)
{
	json_t *object = json_loadb(entry->record->json, entry->record->json_length, 0, NULL);
	char *text = NULL;

	if (json_is_object(object) && whole && !json_object_get(object, "resolver"))
		json_object_set_new(object, "resolver", json_string(entry->resolver));
	if (json_is_object(object))
		text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
	if (!text)
		return false;
	output_json_next(out);
	strbuf_append_text(out, text);
	free(text);
	return true;
}

static void append_rows(
	const struct listing *listing, struct fleet *fleet, size_t limit, struct api_reply *reply)
{
	struct strbuf *out = &reply->body;
	size_t rows = 0, at = 0;

	strbuf_json_key(out, "rows");
	strbuf_append_char(out, '[');
	for (; at < listing->count && rows < limit && out->length < BYTES_MAX; at++)
		rows += append_object(out, &listing->rows[at], fleet->whole);
	strbuf_append_char(out, ']');
	strbuf_json_bool(out, "cut", listing->cut || at < listing->count);
}

/* Some more than are shown, because a broken one is passed over; with a filter as far as there are.
 */
static size_t read_depth(const struct filter *filter, const struct fleet *fleet, size_t limit)
{
	size_t each = READ_MAX / (fleet->count + 1);

	if (!filter->kind && !filter->client)
		return limit + 16;
	return each < SCHEMA_STREAM_MAX ? each : SCHEMA_STREAM_MAX;
}

static void get_stream(struct api_context *context, const struct api_request *request,
	struct api_reply *reply, enum reader_stream stream)
{
	struct listing listing = {.arena = &context->cli->arena,
		.filter = {stream, api_optional(request, "kind"), api_optional(request, "client")}};
	uint64_t limit;

	if (!api_number(request, reply, "limit", ROWS_DEFAULT, 1, ROWS_MAX, &limit))
		return;
	struct fleet *fleet = api_fleet(context, request, reply);
	if (!fleet)
		return;
	listing.depth = read_depth(&listing.filter, fleet, (size_t)limit);
	enum td_error error = fleet_each(fleet, add_entries, &listing);
	if (error != TD_OK) {
		api_fleet_failed(context, fleet, reply);
		return;
	}
	if (listing.count)
		qsort(listing.rows, listing.count, sizeof(*listing.rows), compare_entries);
	api_begin(context, fleet, reply);
	append_rows(&listing, fleet, (size_t)limit, reply);
	api_end(reply);
}

void api_get_events(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	get_stream(context, request, reply, READER_EVENTS);
}

void api_get_transactions(
	struct api_context *context, const struct api_request *request, struct api_reply *reply)
{
	get_stream(context, request, reply, READER_TRANSACTIONS);
}

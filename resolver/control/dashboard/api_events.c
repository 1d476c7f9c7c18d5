/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GET events and transactions: the objects of the two streams, newest first. A stream can be
 * written by whoever may write to Redis, so its objects are parsed and written anew: what is no
 * object of JSON is passed over and never reaches a browser. Filters are looked at before that, in
 * the text, because most entries fail them. A stream is walked backwards a page at a time, and only
 * what the answer can have room for is kept: a filter that nobody passes looks at all there is.
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
#define BROKEN_MAX 16 /* kept beside what is shown, because a broken one is passed over */
#define READ_MAX (5 * SCHEMA_STREAM_MAX) /* entries looked at, of all resolvers together */

struct filter {
	enum reader_stream stream;
	const char *kind;   /* of an event, or the action of a transaction; NULL: any */
	const char *client; /* NULL: any */
};

struct entry {
	char *json; /* malloc'd */
	size_t length;
	const char *resolver;
	size_t number; /* in the order of reading: of one resolver the newest first */
	char ts[40];
};

struct listing {
	struct filter filter;
	size_t most;  /* entries that are kept */
	size_t depth; /* entries looked at of each resolver */
	struct entry *rows; /* malloc'd, room for twice as many: what is kept, and one resolver's */
	size_t count, numbers;
	bool cut; /* there are more than were kept */
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

static bool keep_entry(
	struct listing *listing, const struct reader_record *record, const char *resolver)
{
	struct entry *row = &listing->rows[listing->count];
	char ts[FIELD_MAX];

	*row = (struct entry){.json = malloc(record->json_length),
		.length = record->json_length,
		.resolver = resolver,
		.number = listing->numbers++};
	if (!row->json)
		return false;
	memcpy(row->json, record->json, record->json_length);
	snprintf(row->ts, sizeof(row->ts), "%.39s", field_of(record, "ts", ts));
	listing->count++;
	return true;
}

/* Newest first; of one moment, the later in the stream first. */
static int compare_entries(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int order = strcmp(b->ts, a->ts);

	order = order ? order : strcmp(a->resolver, b->resolver);
	return order ? order : (a->number > b->number) - (a->number < b->number);
}

/* Puts the newest first and drops what no answer has room for. */
static void trim(struct listing *listing)
{
	size_t kept = 0, bytes = 0;

	if (listing->count)
		qsort(listing->rows, listing->count, sizeof(*listing->rows), compare_entries);
	while (kept < listing->count && kept < listing->most && bytes < BYTES_MAX)
		bytes += listing->rows[kept++].length;
	listing->cut = listing->cut || kept < listing->count;
	while (listing->count > kept)
		free(listing->rows[--listing->count].json);
}

/* What is wanted of one page; *left counts down what the answer has room for. */
static bool keep_page(struct listing *listing, const struct reader_records *page,
	const char *resolver, size_t *left, size_t *bytes)
{
	for (size_t i = 0; i < page->count && *left && *bytes < BYTES_MAX; i++) {
		const struct reader_record *record = &page->rows[i];
		if (!is_wanted(&listing->filter, record))
			continue;
		if (!keep_entry(listing, record, resolver))
			return false;
		--*left;
		*bytes += record->json_length;
	}
	return true;
}

/* From the newest backwards a page at a time, until there is enough. */
static enum td_error add_entries(void *context, struct fleet_member *member)
{
	struct listing *listing = context;
	size_t before = listing->count, left = listing->most, bytes = 0, looked = 0;
	enum td_error error = TD_OK;
	char end[READER_END_SIZE] = "+";

	while (error == TD_OK && *end && left && bytes < BYTES_MAX && looked < listing->depth) {
		struct reader_records page;
		struct arena arena;
		arena_init(&arena);
		error = reader_earlier_records(
			member->reader, &arena, listing->filter.stream, end, &page);
		looked += page.count;
		if (error == TD_OK && !keep_page(listing, &page, member->resolver, &left, &bytes))
			error = TD_NOMEM;
		arena_deinit(&arena);
	}
	while (error != TD_OK && listing->count > before)
		free(listing->rows[--listing->count].json);
	if (error != TD_OK)
		return error;
	listing->cut = listing->cut || *end;
	trim(listing);
	return TD_OK;
}

/* The object as a library reads and writes it; of a fleet each says whose it is. False: it is none.
 */
static bool append_object(struct strbuf *out, const struct entry *entry, bool whole)
{
	json_t *object = json_loadb(entry->json, entry->length, 0, NULL);
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

static bool begin_listing(struct listing *listing, const struct fleet *fleet, size_t limit)
{
	size_t each = READ_MAX / (fleet->count + 1);

	listing->most = limit + BROKEN_MAX;
	listing->depth = each < SCHEMA_STREAM_MAX ? each : SCHEMA_STREAM_MAX;
	listing->rows = calloc(2 * listing->most, sizeof(*listing->rows));
	return listing->rows != NULL;
}

static void end_listing(struct listing *listing)
{
	while (listing->count)
		free(listing->rows[--listing->count].json);
	free(listing->rows);
}

static void get_stream(struct api_context *context, const struct api_request *request,
	struct api_reply *reply, enum reader_stream stream)
{
	struct listing listing = {
		.filter = {stream, api_optional(request, "kind"), api_optional(request, "client")}};
	uint64_t limit;

	if (!api_number(request, reply, "limit", ROWS_DEFAULT, 1, ROWS_MAX, &limit))
		return;
	struct fleet *fleet = api_fleet(context, request, reply);
	if (!fleet)
		return;
	enum td_error error = begin_listing(&listing, fleet, (size_t)limit)
				      ? fleet_each(fleet, add_entries, &listing)
				      : TD_NOMEM;
	if (error == TD_OK) {
		api_begin(context, fleet, reply);
		append_rows(&listing, fleet, (size_t)limit, reply);
		api_end(reply);
	} else if (error == TD_NOMEM) {
		api_fail(reply, 500, "%s", error_text(error));
	} else {
		api_fleet_failed(context, fleet, reply);
	}
	end_listing(&listing);
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

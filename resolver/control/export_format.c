/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows of `teredown export`. Names come from the network: every octet outside printable ASCII is
 * escaped as \ddd first, then as the format asks, so a name can forge neither a field nor a line.
 *
 * CSV is that of RFC 4180. A spreadsheet would take a text that begins with one of = + - @ for a
 * formula: such a text gets an apostrophe in front, as does one that begins with an apostrophe, so
 * that the first one can always be taken off again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/address.h"
#include "resolver/control/export.h"
#include "resolver/control/json_view.h"
#include "resolver/control/output.h"
#include "resolver/telemetry/redis/schema.h"

#define FIELD_MAX 4096

/* --- CSV --- */

static void csv_next(struct strbuf *out)
{
	if (out->length && out->data[out->length - 1] != '\n')
		strbuf_append_char(out, ',');
}

void export_csv_text(struct strbuf *out, bool first, const char *text)
{
	struct strbuf plain;

	if (!first)
		strbuf_append_char(out, ',');
	strbuf_init(&plain);
	if (*text && strchr("=+-@'", *text))
		strbuf_append_char(&plain, '\'');
	output_text(&plain, text);
	const char *value = plain.data ? plain.data : "";
	bool quoted = strpbrk(value, ",\"") || *value == ' ';
	out->failed |= plain.failed;
	if (quoted)
		strbuf_append_char(out, '"');
	for (; *value; value++) {
		if (*value == '"')
			strbuf_append_char(out, '"');
		strbuf_append_char(out, *value);
	}
	if (quoted)
		strbuf_append_char(out, '"');
	strbuf_deinit(&plain);
}

static void csv_number(struct strbuf *out, uint64_t value)
{
	csv_next(out);
	strbuf_append_u64(out, value);
}

static void csv_time(struct strbuf *out, int64_t wall_ms)
{
	strbuf_append_char(out, ',');
	strbuf_append_time(out, wall_ms * 1000);
}

static const char *type_of(const char *address)
{
	struct address parsed;

	if (!address_from_text(&parsed, address))
		return "";
	return parsed.family == 6 ? "AAAA" : "A";
}

/* --- pairs --- */

void export_pairs_header(struct strbuf *out, enum export_format format)
{
	if (format == EXPORT_CSV)
		strbuf_append_text(
			out, "resolver,address,type,client,name,owner,first,last,count\r\n");
}

static void pair_csv(struct strbuf *out, const struct reader_pair *pair)
{
	export_csv_text(out, true, pair->resolver);
	export_csv_text(out, false, pair->address);
	export_csv_text(out, false, type_of(pair->address));
	export_csv_text(out, false, pair->client);
	export_csv_text(out, false, pair->name);
	export_csv_text(out, false, pair->owner);
	csv_time(out, pair->first_ms);
	csv_time(out, pair->last_ms);
	csv_number(out, pair->count);
	strbuf_append_text(out, "\r\n");
}

static void pair_json(struct strbuf *out, const struct reader_pair *pair)
{
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "resolver", pair->resolver);
	strbuf_json_text(out, "address", pair->address);
	strbuf_json_text(out, "type", type_of(pair->address));
	strbuf_json_text(out, "client", pair->client);
	strbuf_json_text(out, "name", pair->name);
	strbuf_json_text(out, "owner", pair->owner);
	output_json_time(out, "first", pair->first_ms);
	output_json_time(out, "last", pair->last_ms);
	strbuf_json_u64(out, "count", pair->count);
	strbuf_append_text(out, "}\n");
}

void export_pair(struct strbuf *out, enum export_format format, const struct reader_pair *pair)
{
	(format == EXPORT_CSV ? pair_csv : pair_json)(out, pair);
}

/* --- passive DNS --- */

static bool is_other(const char *text)
{
	return strcmp(text, SCHEMA_OTHER) == 0;
}

/* The owner of the address record; an unknown one is the name that was asked. */
static const char *owner_of(const struct reader_pair *pair)
{
	return *pair->owner ? pair->owner : pair->name;
}

static bool says_a_record(const struct reader_pair *pair)
{
	return *type_of(pair->address) && !is_other(owner_of(pair)) && *owner_of(pair);
}

static int compare_owners(const void *left, const void *right)
{
	const struct reader_pair *a = left, *b = right;
	int order = strcmp(owner_of(a), owner_of(b));
	order = order ? order : strcmp(a->name, b->name);
	order = order ? order : strcmp(a->client, b->client);
	return order ? order : strcmp(a->resolver, b->resolver);
}

static void json_i64(struct strbuf *out, const char *key, int64_t value)
{
	strbuf_json_u64(out, key, value > 0 ? (uint64_t)value : 0);
}

static void cof_object(
	struct strbuf *out, const struct reader_pair *sum, const char *sensor, bool with_clients)
{
	strbuf_append_char(out, '{');
	strbuf_json_text(out, "rrname", owner_of(sum));
	strbuf_json_text(out, "rrtype", type_of(sum->address));
	strbuf_json_text(out, "rdata", sum->address);
	json_i64(out, "time_first", sum->first_ms / 1000);
	json_i64(out, "time_last", sum->last_ms / 1000);
	strbuf_json_u64(out, "count", sum->count);
	json_i64(out, "time_first_ms", sum->first_ms);
	json_i64(out, "time_last_ms", sum->last_ms);
	if (with_clients || sensor)
		strbuf_json_text(out, "sensor_id", with_clients ? sum->resolver : sensor);
	if (with_clients) {
		strbuf_json_text(out, "client", sum->client);
		strbuf_json_text(out, "question", sum->name);
	}
	strbuf_append_text(out, "}\n");
}

static void add_pair(struct reader_pair *sum, const struct reader_pair *pair)
{
	if (pair->first_ms < sum->first_ms)
		sum->first_ms = pair->first_ms;
	if (pair->last_ms > sum->last_ms)
		sum->last_ms = pair->last_ms;
	sum->count += pair->count;
}

size_t export_cof(struct strbuf *out, struct reader_pair *rows, size_t count, const char *sensor,
	bool with_clients)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (says_a_record(&rows[i]))
			rows[kept++] = rows[i];
	if (kept)
		qsort(rows, kept, sizeof(*rows), compare_owners);
	for (size_t i = 0, next; i < kept; i = next) {
		struct reader_pair sum = rows[i];
		for (next = i + 1; !with_clients && next < kept &&
				   strcmp(owner_of(&rows[next]), owner_of(&sum)) == 0;
			next++)
			add_pair(&sum, &rows[next]);
		cof_object(out, &sum, sensor, with_clients);
	}
	return count - kept;
}

/* --- records --- */

static const char *const record_fields[] = {"ts", "resolver", "client", "port", "proto", "query",
	"type", "rcode", "action", "policy", "rule", "source", "upstream", "duration_us"};
#define RECORD_FIELDS (sizeof(record_fields) / sizeof(record_fields[0]))

void export_records_header(struct strbuf *out, enum export_format format)
{
	if (format != EXPORT_CSV)
		return;
	for (size_t i = 0; i < RECORD_FIELDS; i++)
		strbuf_printf(out, "%s,", record_fields[i]);
	strbuf_append_text(out, "addresses\r\n");
}

/* Addresses in one field, separated by spaces. */
static void record_addresses(struct strbuf *out, const struct reader_record *record)
{
	struct json_span list, item;
	struct strbuf text;
	size_t position = 0;
	char address[64];

	strbuf_init(&text);
	strbuf_append_text(&text, "");
	if (json_find(record->json, record->json_length, "addresses", &list))
		while (json_each(list, &position, &item))
			strbuf_printf(&text, "%s%s", text.length ? " " : "",
				json_text(item, address, sizeof(address)));
	export_csv_text(out, false, text.data ? text.data : "");
	out->failed |= text.failed;
	strbuf_deinit(&text);
}

static void record_csv(struct strbuf *out, const struct reader_record *record)
{
	char text[FIELD_MAX];

	for (size_t i = 0; i < RECORD_FIELDS; i++) {
		json_field(record->json, record->json_length, record_fields[i], text, sizeof(text));
		export_csv_text(out, i == 0, text);
	}
	record_addresses(out, record);
	strbuf_append_text(out, "\r\n");
}

/* As it was written; one line of plain characters whatever Redis holds. */
static void record_json(struct strbuf *out, const struct reader_record *record)
{
	for (size_t i = 0; i < record->json_length; i++) {
		unsigned char c = (unsigned char)record->json[i];
		strbuf_append_char(out, c >= 0x20 && c < 0x7f ? (char)c : '?');
	}
	strbuf_append_char(out, '\n');
}

void export_record(
	struct strbuf *out, enum export_format format, const struct reader_record *record)
{
	(format == EXPORT_CSV ? record_csv : record_json)(out, record);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who asked for tunnels, out of Redis: hits of the tunnel zones of our own configuration (Redis
 * does not know which zones are of tunnels), joined with marks and with the names of clients. All
 * of a zone is read and sorted here: a look-up for each client and zone would be a round trip each.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "resolver/control/json_view.h"
#include "resolver/control/known.h"
#include "resolver/control/remediate/remediate.h"

#define NAMES_MAX 16 /* of a well-known server */

/* --- hits --- */

static int compare_hits(const void *left, const void *right)
{
	return strcmp(((const struct remedy_hit *)left)->client,
		((const struct remedy_hit *)right)->client);
}

/* Appends what a zone has; "*other" and "*excluded" are no clients. */
static enum td_error add_hits(
	struct cli *cli, struct remedy_hits *out, const struct fleet_hits *zone)
{
	struct remedy_hit *rows =
		arena_alloc(&cli->arena, (out->count + zone->count + 1) * sizeof(*rows));

	if (!rows)
		return TD_NOMEM;
	if (out->count)
		memcpy(rows, out->rows, out->count * sizeof(*rows));
	out->rows = rows;
	for (size_t i = 0; i < zone->count; i++) {
		const struct fleet_hit *hit = &zone->rows[i];
		if (*hit->client && *hit->client != '*')
			rows[out->count++] =
				(struct remedy_hit){hit->client, hit->hits, hit->last_ms};
	}
	if (zone->total > zone->count)
		out->beyond += zone->total - zone->count;
	return TD_OK;
}

/* One row a client. */
static void merge_hits(struct remedy_hits *hits)
{
	size_t kept = 0;

	if (hits->count)
		qsort(hits->rows, hits->count, sizeof(*hits->rows), compare_hits);
	for (size_t i = 0; i < hits->count; i++) {
		struct remedy_hit *row = &hits->rows[i],
				  *last = kept ? &hits->rows[kept - 1] : NULL;
		if (!last || strcmp(last->client, row->client) != 0) {
			hits->rows[kept++] = *row;
			continue;
		}
		last->hits += row->hits;
		if (row->last_ms > last->last_ms)
			last->last_ms = row->last_ms;
	}
	hits->count = kept;
}

enum td_error remedy_read_hits(struct cli *cli, struct fleet *fleet, struct remedy_hits *out)
{
	enum td_error error = TD_OK;

	*out = (struct remedy_hits){NULL, 0, 0};
	for (size_t z = 0; z < cli->options->zone_count && error == TD_OK; z++) {
		struct fleet_hits zone;
		if (cli->options->zones[z].kind != ZONE_TUNNEL)
			continue;
		error = fleet_zone_hits(
			fleet, &cli->arena, cli->options->zones[z].name, READER_ROWS_MAX, &zone);
		if (error == TD_OK)
			error = add_hits(cli, out, &zone);
	}
	if (error == TD_OK)
		merge_hits(out);
	return error;
}

const struct remedy_hit *remedy_find_hit(const struct remedy_hits *hits, const char *client)
{
	const struct remedy_hit key = {.client = client};

	return hits->count ? bsearch(&key, hits->rows, hits->count, sizeof(key), compare_hits)
			   : NULL;
}

/* --- marks --- */

struct marks_sum {
	struct cli *cli;
	struct remedy_marks *out;
};

static const char *keep_field(struct cli *cli, const char *json, const char *key)
{
	char text[128];

	json_field(json, strlen(json), key, text, sizeof(text));
	return arena_copy(&cli->arena, text, strlen(text) + 1);
}

static enum td_error add_marks(void *context, struct fleet_member *member)
{
	struct marks_sum *sum = context;
	struct reader_fields fields;
	enum td_error error =
		reader_hash(member->reader, &sum->cli->arena, READER_REMEDIATED, &fields);

	if (error != TD_OK)
		return error;
	struct remedy_mark *rows =
		arena_alloc(&sum->cli->arena, (sum->out->count + fields.count + 1) * sizeof(*rows));
	if (!rows)
		return TD_NOMEM;
	if (sum->out->count)
		memcpy(rows, sum->out->rows, sum->out->count * sizeof(*rows));
	sum->out->rows = rows;
	for (size_t i = 0; i < fields.count; i++) {
		const char *json = fields.rows[i].value;
		char at[24];
		json_field(json, strlen(json), "at", at, sizeof(at));
		struct remedy_mark mark = {fields.rows[i].name, strtoll(at, NULL, 10),
			keep_field(sum->cli, json, "by"), keep_field(sum->cli, json, "method")};
		if (!mark.by || !mark.method)
			return TD_NOMEM;
		rows[sum->out->count++] = mark;
	}
	return TD_OK;
}

/* By client, the newest first. */
static int compare_marks(const void *left, const void *right)
{
	const struct remedy_mark *a = left, *b = right;
	int order = strcmp(a->client, b->client);

	return order ? order : (b->at_ms > a->at_ms) - (b->at_ms < a->at_ms);
}

enum td_error remedy_read_marks(struct cli *cli, struct fleet *fleet, struct remedy_marks *out)
{
	struct marks_sum sum = {cli, out};
	size_t kept = 0;

	*out = (struct remedy_marks){NULL, 0};
	enum td_error error = fleet_each(fleet, add_marks, &sum);
	if (error != TD_OK)
		return error;
	if (out->count)
		qsort(out->rows, out->count, sizeof(*out->rows), compare_marks);
	for (size_t i = 0; i < out->count; i++)
		if (i == 0 || strcmp(out->rows[i].client, out->rows[kept - 1].client) != 0)
			out->rows[kept++] = out->rows[i];
	out->count = kept;
	return TD_OK;
}

static int compare_mark_client(const void *key, const void *row)
{
	return strcmp(key, ((const struct remedy_mark *)row)->client);
}

const struct remedy_mark *remedy_find_mark(const struct remedy_marks *marks, const char *client)
{
	return marks->count ? bsearch(client, marks->rows, marks->count, sizeof(*marks->rows),
				      compare_mark_client)
			    : NULL;
}

void remedy_zones_json(const struct options *options, struct strbuf *out)
{
	strbuf_append_char(out, '[');
	for (size_t z = 0; z < options->zone_count; z++) {
		if (options->zones[z].kind != ZONE_TUNNEL)
			continue;
		output_json_next(out);
		strbuf_json_string(out, options->zones[z].name, strlen(options->zones[z].name));
	}
	strbuf_append_char(out, ']');
}

/* --- hosts --- */

/* A name without its final dot; NULL when a script must not use it. */
static const char *usable_name(struct cli *cli, const char *name)
{
	size_t length = strlen(name);
	char *copy = arena_copy(&cli->arena, name, length + 1);

	if (copy && length > 1 && copy[length - 1] == '.')
		copy[length - 1] = '\0';
	return copy && remedy_is_host(copy) ? copy : NULL;
}

/* From elsewhere these lead to another host, or to none. */
static bool is_local(const struct address *address)
{
	static const uint8_t loopback[16] = {[15] = 1};

	if (address->family == ADDRESS_V4)
		return address->octets[0] == 127 || address->octets[0] == 0;
	return memcmp(address->octets, loopback, 16) == 0 ||
	       (address->octets[0] == 0xfe && (address->octets[1] & 0xc0) == 0x80);
}

struct name_sum {
	const char *client;
	const char *const *names;
	int64_t queries;
};

static enum td_error add_names(void *context, struct fleet_member *member)
{
	struct name_sum *sum = context;
	struct reader_rank rows[NAMES_MAX];
	size_t count = 0;

	for (; count < NAMES_MAX && sum->names[count]; count++)
		rows[count] = (struct reader_rank){sum->names[count], 0};
	enum td_error error =
		reader_scores(member->reader, READER_CLIENT_NAMES, sum->client, rows, count);
	for (size_t i = 0; i < count && error == TD_OK; i++)
		sum->queries += rows[i].value;
	return error;
}

/* How often the client asked for the names that lead to a well-known server. */
static enum td_error count_names(
	struct fleet *fleet, const char *client, const char *server, int64_t *out)
{
	struct name_sum sum = {.client = client};
	struct address address;

	*out = 0;
	if (!address_from_text(&address, server) || !known_place(&address))
		return TD_OK;
	sum.names = known_place(&address)->names;
	enum td_error error = fleet_each(fleet, add_names, &sum);
	*out = sum.queries;
	return error;
}

/* miredo may be told to ask for a server of Microsoft, so only the other way round is certain. */
static enum td_error look_for_miredo(struct fleet *fleet, struct remedy_host *host)
{
	int64_t miredo, windows = 0;
	enum td_error error = count_names(fleet, host->client, "83.170.6.76", &miredo);

	if (error == TD_OK && miredo > 0)
		error = count_names(fleet, host->client, "65.55.158.118", &windows);
	host->miredo = miredo > 0 && windows == 0;
	return error;
}

static enum td_error fill_host(struct cli *cli, struct fleet *fleet, struct remedy_host *host)
{
	struct reader_fields fields;
	char text[ADDRESS_TEXT_MAX];
	enum td_error error = fleet_client(fleet, &cli->arena, host->client, &fields);

	if (error != TD_OK)
		return error;
	const char *name = reader_field_text(&fields, "name");
	const char *forwarder = reader_field_text(&fields, "forwarder");
	host->name = name && *name ? name : NULL;
	host->forwarder = forwarder && *forwarder;
	host->host = host->name ? usable_name(cli, host->name) : NULL;
	if (!address_from_text(&host->address, host->client))
		host->address = (struct address){.family = 0};
	if (!host->host && host->address.family && !is_local(&host->address)) {
		address_to_text(&host->address, text);
		host->host = arena_copy(&cli->arena, text, strlen(text) + 1);
	}
	return look_for_miredo(fleet, host);
}

static int compare_hosts(const void *left, const void *right)
{
	const struct remedy_host *a = left, *b = right;

	if (a->hits != b->hits)
		return a->hits < b->hits ? 1 : -1;
	return strcmp(a->client, b->client);
}

/* By host; of one host in the order of the rows. */
static int compare_same(const void *left, const void *right)
{
	const struct remedy_host *a = *(struct remedy_host *const *)left,
				 *b = *(struct remedy_host *const *)right;
	int order = strcasecmp(a->host, b->host);

	return order ? order : (a > b) - (a < b);
}

/* A host with several addresses is named once. */
static enum td_error note_repeated(struct cli *cli, struct remedy_hosts *hosts)
{
	struct remedy_host **rows = arena_alloc(&cli->arena, (hosts->count + 1) * sizeof(*rows));
	size_t count = 0;

	if (!rows)
		return TD_NOMEM;
	for (size_t i = 0; i < hosts->count; i++)
		if (hosts->rows[i].host)
			rows[count++] = &hosts->rows[i];
	if (count)
		qsort(rows, count, sizeof(struct remedy_host *), compare_same);
	for (size_t i = 1; i < count; i++)
		rows[i]->again = strcasecmp(rows[i]->host, rows[i - 1]->host) == 0;
	return TD_OK;
}

static bool is_meant(const struct remedy_host *host, const char *client)
{
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	if (!client)
		return true;
	if (address_from_text(&address, client))
		client = address_to_text(&address, text);
	return strcmp(host->client, client) == 0 ||
	       (host->name && strcasecmp(host->name, client) == 0) ||
	       (host->host && strcasecmp(host->host, client) == 0);
}

/* Clients with hits, and those with a mark only. */
static enum td_error join(struct cli *cli, const struct remedy_hits *hits,
	const struct remedy_marks *marks, bool marked, struct remedy_hosts *out)
{
	out->rows = arena_alloc(&cli->arena, (hits->count + marks->count + 1) * sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (size_t i = 0; i < hits->count; i++) {
		const struct remedy_hit *hit = &hits->rows[i];
		out->rows[out->count++] = (struct remedy_host){.client = hit->client,
			.hits = hit->hits,
			.last_ms = hit->last_ms,
			.mark = remedy_find_mark(marks, hit->client)};
	}
	for (size_t i = 0; marked && i < marks->count; i++)
		if (!remedy_find_hit(hits, marks->rows[i].client))
			out->rows[out->count++] = (struct remedy_host){
				.client = marks->rows[i].client, .mark = &marks->rows[i]};
	if (out->count)
		qsort(out->rows, out->count, sizeof(*out->rows), compare_hosts);
	return TD_OK;
}

enum td_error remedy_read_hosts(struct cli *cli, struct fleet *fleet, const char *client,
	bool marked, struct remedy_hosts *out)
{
	struct remedy_hits hits;
	struct remedy_marks marks = {NULL, 0};
	size_t kept = 0;

	*out = (struct remedy_hosts){NULL, 0, 0};
	enum td_error error = remedy_read_hits(cli, fleet, &hits);
	if (error == TD_OK)
		error = remedy_read_marks(cli, fleet, &marks);
	if (error == TD_OK)
		error = join(cli, &hits, &marks, marked, out);
	for (size_t i = 0; i < out->count && error == TD_OK; i++) {
		struct remedy_host host = out->rows[i];
		if (kept == REMEDY_HOSTS_MAX) {
			out->beyond += out->count - i;
			break;
		}
		error = fill_host(cli, fleet, &host);
		if (is_meant(&host, client))
			out->rows[kept++] = host;
	}
	out->count = error == TD_OK ? kept : 0;
	if (error == TD_OK)
		error = note_repeated(cli, out);
	out->beyond += client ? 0 : hits.beyond;
	return error;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What logs of firewalls and proxies say of addresses, beside the lookups. Lookups and drops are
 * compared over the same hours, from the first drop to the last: a log of one day beside a week of
 * lookups would else make a wrong ratio. That a log says nothing means something only if one was
 * read; so the logs that were read are counted by what they can tell.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/drop_member.h"
#include "resolver/control/fleet_hours.h"
#include "resolver/control/json_view.h"
#include "resolver/control/ratio.h"
#include "resolver/control/who.h"

#define DROPS_MAX 200000
#define HOUR_MS INT64_C(3600000)

/* --- timelines --- */

static uint64_t *load_counts(struct who *who, const char *of, enum td_error *error)
{
	uint64_t *counts = calloc(who->hours.count * SOURCE_COUNT + 1, sizeof(*counts));

	*error = counts ? fleet_timeline(who->fleet, of, who->hours, counts) : TD_NOMEM;
	return counts;
}

static uint64_t count_at(const uint64_t *counts, size_t hour, enum reader_source source)
{
	return counts[hour * SOURCE_COUNT + source];
}

static void add_counts(const struct who *who, const uint64_t *counts, struct who_logs *logs)
{
	size_t first = SIZE_MAX, last = 0;

	for (size_t h = 0; h < who->hours.count; h++) {
		logs->told += count_at(counts, h, SOURCE_DNS);
		logs->passed += count_at(counts, h, SOURCE_PASS);
		logs->proxied += count_at(counts, h, SOURCE_PROXY);
		if (count_at(counts, h, SOURCE_DROP) == 0)
			continue;
		logs->dropped += count_at(counts, h, SOURCE_DROP);
		first = first == SIZE_MAX ? h : first;
		last = h;
	}
	if (first == SIZE_MAX)
		return;
	for (size_t h = first; h <= last; h++)
		logs->lookups += count_at(counts, h, SOURCE_DNS);
	logs->first_hour = who->hours.first + (int64_t)first;
	logs->last_hour = who->hours.first + (int64_t)last;
}

static enum td_error load_timeline(struct who *who, const char *address, struct who_logs *logs)
{
	enum td_error error;
	uint64_t *counts = load_counts(who, address, &error);

	*logs = (struct who_logs){.dropped = 0};
	if (error == TD_OK)
		add_counts(who, counts, logs);
	free(counts);
	return error;
}

static void add_logs(struct who_logs *sum, const struct who_logs *logs)
{
	sum->dropped += logs->dropped;
	sum->passed += logs->passed;
	sum->proxied += logs->proxied;
	sum->told += logs->told;
	sum->lookups += logs->lookups;
	sum->first_hour = who_earlier(sum->first_hour, logs->first_hour);
	if (logs->last_hour > sum->last_hour)
		sum->last_hour = logs->last_hour;
}

enum td_error who_load_series(struct who *who, const struct who_list *addresses,
	struct who_series *out, struct who_logs *sum)
{
	size_t most = addresses->count < WHO_SERIES_MAX ? addresses->count : WHO_SERIES_MAX;
	enum td_error error = TD_OK;

	*out = (struct who_series){.count = 0};
	out->rows = arena_alloc(&who->cli->arena, (most + 1) * sizeof(*out->rows));
	if (!out->rows)
		return TD_NOMEM;
	for (; out->count < most && error == TD_OK; out->count++) {
		out->rows[out->count].address = addresses->words[out->count];
		error = load_timeline(
			who, addresses->words[out->count], &out->rows[out->count].logs);
		add_logs(sum, &out->rows[out->count].logs);
	}
	return error;
}

enum td_error who_add_proxied(struct who *who, const char *name, struct who_logs *logs)
{
	enum td_error error;
	uint64_t *counts = load_counts(who, name, &error);

	for (size_t h = 0; error == TD_OK && h < who->hours.count; h++)
		logs->proxied += count_at(counts, h, SOURCE_PROXY);
	free(counts);
	return error;
}

/* --- drops by client and address --- */

struct drop_load {
	struct who *who;
	const char *client;
	const char **addresses; /* sorted; NULL: any */
	size_t address_count;
	struct who_drop *rows; /* malloc'd while they grow */
	size_t count, capacity;
	bool others, cut;
};

static int compare_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static bool is_wanted(const struct drop_load *load, const struct drop_member *drop)
{
	const char *address = drop->address;

	if (load->client && strcmp(drop->client, load->client) != 0)
		return false;
	return !load->addresses || bsearch(&address, load->addresses, load->address_count,
					   sizeof(*load->addresses), compare_text);
}

static enum td_error add_drop(void *context, size_t hour, const char *member, uint64_t count)
{
	struct drop_load *load = context;
	struct arena *arena = &load->who->cli->arena;
	struct drop_member drop;

	if (!drop_member_parse(&drop, member))
		return TD_OK;
	load->others = load->others || drop.other;
	if (drop.other || !is_wanted(load, &drop))
		return TD_OK;
	if (load->count == DROPS_MAX) {
		load->cut = true;
		return TD_OK;
	}
	if (load->count == load->capacity) {
		size_t capacity = load->capacity ? 2 * load->capacity : 256;
		struct who_drop *rows = realloc(load->rows, capacity * sizeof(*rows));
		if (!rows)
			return TD_NOMEM;
		load->rows = rows;
		load->capacity = capacity;
	}
	int64_t at = load->who->hours.first + (int64_t)hour;
	struct who_drop *row = &load->rows[load->count];
	*row = (struct who_drop){.client = arena_copy(arena, drop.client, strlen(drop.client) + 1),
		.address = arena_copy(arena, drop.address, strlen(drop.address) + 1),
		.packets = count,
		.udp3544 = drop.kind == DROP_UDP3544 ? count : 0,
		.proto41 = drop.kind == DROP_PROTO41 ? count : 0,
		.first_hour = at,
		.last_hour = at};
	if (!row->client || !row->address)
		return TD_NOMEM;
	load->count++;
	return TD_OK;
}

static int compare_parties(const void *left, const void *right)
{
	const struct who_drop *a = left, *b = right;
	int order = strcmp(a->client, b->client);
	return order ? order : strcmp(a->address, b->address);
}

static int compare_packets(const void *left, const void *right)
{
	const struct who_drop *a = left, *b = right;

	if (a->packets != b->packets)
		return a->packets < b->packets ? 1 : -1;
	return compare_parties(left, right);
}

static void add_to(struct who_drop *sum, const struct who_drop *row)
{
	sum->packets += row->packets;
	sum->udp3544 += row->udp3544;
	sum->proto41 += row->proto41;
	if (row->first_hour < sum->first_hour)
		sum->first_hour = row->first_hour;
	if (row->last_hour > sum->last_hour)
		sum->last_hour = row->last_hour;
}

/* One row for each client and address. */
static void merge_drops(struct drop_load *load)
{
	size_t kept = 0;

	if (load->count == 0)
		return;
	qsort(load->rows, load->count, sizeof(*load->rows), compare_parties);
	for (size_t i = 1; i < load->count; i++) {
		if (compare_parties(&load->rows[kept], &load->rows[i]) == 0)
			add_to(&load->rows[kept], &load->rows[i]);
		else
			load->rows[++kept] = load->rows[i];
	}
	load->count = kept + 1;
	qsort(load->rows, load->count, sizeof(*load->rows), compare_packets);
}

enum td_error who_load_drops(struct who *who, const char *client, const struct who_list *addresses,
	struct who_drops *out)
{
	struct arena *arena = &who->cli->arena;
	struct drop_load load = {.who = who, .client = client};
	bool cut = false;

	*out = (struct who_drops){.count = 0};
	if (addresses) {
		load.addresses =
			arena_alloc(arena, (addresses->count + 1) * sizeof(*load.addresses));
		if (!load.addresses)
			return TD_NOMEM;
		for (; load.address_count < addresses->count; load.address_count++)
			load.addresses[load.address_count] = addresses->words[load.address_count];
		if (load.address_count)
			qsort(load.addresses, load.address_count, sizeof(*load.addresses),
				compare_text);
	}
	enum td_error error =
		fleet_hour_rows(who->fleet, READER_HOUR_DROPS, who->hours, add_drop, &load, &cut);
	merge_drops(&load);
	out->rows = arena_alloc(arena, (load.count + 1) * sizeof(*out->rows));
	if (error == TD_OK && !out->rows)
		error = TD_NOMEM;
	if (error == TD_OK && load.count) {
		memcpy(out->rows, load.rows, load.count * sizeof(*out->rows));
		out->count = load.count;
	}
	out->others = load.others;
	out->cut = cut || load.cut;
	free(load.rows);
	return error;
}

/* --- which logs were read --- */

static unsigned kinds_of(const char *format)
{
	static const struct {
		const char *format;
		unsigned kinds;
	} rows[] = {{"netfilter", 1u << WHO_LOG_FIREWALL}, {"pf", 1u << WHO_LOG_FIREWALL},
		{"asa", 1u << WHO_LOG_FIREWALL}, {"windows-firewall", 1u << WHO_LOG_FIREWALL},
		{"zeek", 1u << WHO_LOG_FIREWALL}, {"zeek-json", 1u << WHO_LOG_FIREWALL},
		{"squid", 1u << WHO_LOG_PROXY}, {"w3c", 1u << WHO_LOG_PROXY},
		{"combined", 1u << WHO_LOG_PROXY}, {"dnsmasq", 1u << WHO_LOG_DNS},
		{"windows-dns", 1u << WHO_LOG_DNS}, {"eventlog-xml", 1u << WHO_LOG_EVENTS},
		/* its columns say what it is, and they are not kept */
		{"csv", 1u << WHO_LOG_FIREWALL | 1u << WHO_LOG_PROXY}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].format, format) == 0)
			return rows[i].kinds;
	return 0;
}

static int64_t number_field(const char *json, const char *key)
{
	char text[24];

	json_field(json, strlen(json), key, text, sizeof(text));
	return strtoll(text, NULL, 10);
}

static void add_source(struct who_log_source *source, const char *json)
{
	int64_t first = number_field(json, "first"), last = number_field(json, "last");

	source->files++;
	if (first > 0 && (source->first_ms == 0 || first < source->first_ms))
		source->first_ms = first;
	if (last > source->last_ms)
		source->last_ms = last;
}

struct source_load {
	struct arena *arena;
	struct who_log_source *sources;
};

static enum td_error add_sources(void *context, struct fleet_member *member)
{
	const struct source_load *load = context;
	struct reader_fields fields;
	char format[32];

	enum td_error error = reader_hash(member->reader, load->arena, READER_INGESTED, &fields);
	for (size_t i = 0; i < fields.count; i++) {
		const char *json = fields.rows[i].value;
		json_field(json, strlen(json), "format", format, sizeof(format));
		unsigned kinds = kinds_of(format);
		for (int kind = 0; kind < WHO_LOG_KINDS; kind++)
			if (kinds & 1u << kind)
				add_source(&load->sources[kind], json);
	}
	return error;
}

enum td_error who_load_sources(struct who *who, struct who_log_source sources[WHO_LOG_KINDS])
{
	struct source_load load = {&who->cli->arena, sources};

	memset(sources, 0, WHO_LOG_KINDS * sizeof(*sources));
	return fleet_each(who->fleet, add_sources, &load);
}

/* --- out --- */

static int compare_pairs(const void *left, const void *right)
{
	const struct reader_pair *a = left, *b = right;
	int order = strcmp(a->client, b->client);
	return order ? order : strcmp(a->address, b->address);
}

/* The name for which the client was told the address; of several none is guessed. */
static const char *name_behind(
	const struct reader_pair *rows, size_t count, const struct who_drop *drop)
{
	const struct reader_pair key = {.client = drop->client, .address = drop->address};
	const struct reader_pair *found = bsearch(&key, rows, count, sizeof(*rows), compare_pairs);
	const struct reader_pair *end = rows + count;

	if (!found)
		return NULL;
	while (found > rows && compare_pairs(found - 1, &key) == 0)
		found--;
	for (const struct reader_pair *pair = found; pair < end && compare_pairs(pair, &key) == 0;
		pair++)
		if (strcmp(pair->name, found->name) != 0)
			return "";
	return found->name;
}

enum td_error who_name_drops(
	struct who *who, struct who_drops *drops, const struct reader_pairs *pairs)
{
	if (drops->count == 0)
		return TD_OK;
	struct reader_pair *rows =
		arena_alloc(&who->cli->arena, (pairs->count + 1) * sizeof(*rows));
	if (!rows)
		return TD_NOMEM;
	if (pairs->count) {
		memcpy(rows, pairs->rows, pairs->count * sizeof(*rows));
		qsort(rows, pairs->count, sizeof(*rows), compare_pairs);
	}
	for (size_t i = 0; i < drops->count; i++)
		drops->rows[i].name = name_behind(rows, pairs->count, &drops->rows[i]);
	return TD_OK;
}

static bool is_logged(const struct who_logs *logs)
{
	return logs->dropped || logs->passed || logs->proxied;
}

void who_append_series(struct who *who, const struct who_series *series)
{
	struct strbuf *out = &who->cli->out;
	char ratio[RATIO_MAX];
	struct grid grid;
	size_t rows = 0;

	grid_init(&grid, "ADDRESS|>LOOKUPS|>DROPPED|>FOR EACH LOOKUP|>LET THROUGH|>PROXY HITS");
	for (size_t i = 0; i < series->count; i++) {
		const struct who_logs *logs = &series->rows[i].logs;
		if (!is_logged(logs))
			continue;
		rows++;
		grid_cell(&grid, series->rows[i].address);
		grid_cell_u64(&grid, logs->told);
		grid_cell_u64(&grid, logs->dropped);
		grid_cell(&grid,
			logs->dropped ? ratio_text(logs->dropped, logs->lookups, ratio) : "-");
		grid_cell_u64(&grid, logs->passed);
		grid_cell_u64(&grid, logs->proxied);
	}
	if (rows)
		strbuf_append_text(out, "\nLogs beside the lookups, in the hours that are kept:\n");
	grid_print(&grid, out, 0, who->cli->colour);
	grid_deinit(&grid);
}

void who_append_drops(struct who *who, const struct who_drops *drops)
{
	struct strbuf *out = &who->cli->out;
	struct grid grid;

	grid_init(&grid, "CLIENT|ADDRESS|NAME ASKED|>DROPPED|>UDP 3544|>PROTOCOL 41|FROM|TO");
	for (size_t i = 0; i < drops->count && i < who->limit; i++) {
		const struct who_drop *drop = &drops->rows[i];
		grid_cell(&grid, drop->client);
		grid_cell(&grid, drop->address);
		grid_cell(&grid, !drop->name    ? "(no lookup here)"
				 : !*drop->name ? "(several names)"
						: drop->name);
		grid_cell_u64(&grid, drop->packets);
		grid_cell_u64(&grid, drop->udp3544);
		grid_cell_u64(&grid, drop->proto41);
		grid_cell_time(&grid, drop->first_hour * HOUR_MS);
		grid_cell_time(&grid, (drop->last_hour + 1) * HOUR_MS);
	}
	if (drops->count)
		strbuf_append_text(out, "\nPackets that firewalls dropped, in whole hours:\n");
	grid_print(&grid, out, 0, who->cli->colour);
	grid_deinit(&grid);
	if (drops->count > who->limit)
		strbuf_printf(out, "... and %zu more rows; -n %zu shows them.\n",
			drops->count - who->limit, drops->count);
	if (drops->cut || (drops->count && drops->others))
		strbuf_append_text(out, "Whose some of the dropped packets were is not kept.\n");
}

void who_append_sources(struct who *who, const struct who_facts *facts)
{
	static const char *const names[] = {[WHO_LOG_FIREWALL] = "a firewall",
		[WHO_LOG_PROXY] = "a proxy",
		[WHO_LOG_DNS] = "another DNS server",
		[WHO_LOG_EVENTS] = "Windows events"};
	struct strbuf *out = &who->cli->out;

	for (int kind = 0; kind < WHO_LOG_KINDS; kind++) {
		const struct who_log_source *source = &facts->sources[kind];
		if (source->files == 0)
			continue;
		output_count(out, source->files, "log");
		strbuf_printf(out, " of %s read, with lines from ", names[kind]);
		output_time(out, source->first_ms);
		strbuf_append_text(out, " to ");
		output_time(out, source->last_ms);
		strbuf_append_text(out, ".\n");
	}
}

static void append_sources_json(struct strbuf *out, const struct who_log_source *sources)
{
	static const char *const names[] = {[WHO_LOG_FIREWALL] = "firewall",
		[WHO_LOG_PROXY] = "proxy",
		[WHO_LOG_DNS] = "dns",
		[WHO_LOG_EVENTS] = "eventlog"};

	strbuf_json_key(out, "read");
	strbuf_append_char(out, '{');
	for (int kind = 0; kind < WHO_LOG_KINDS; kind++) {
		strbuf_json_key(out, names[kind]);
		strbuf_append_char(out, '{');
		strbuf_json_u64(out, "files", sources[kind].files);
		output_json_time(out, "first", sources[kind].first_ms);
		output_json_time(out, "last", sources[kind].last_ms);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, '}');
}

static void append_drops_json(struct who *who, const struct who_drops *drops)
{
	struct strbuf *out = &who->cli->out;

	strbuf_json_key(out, "drops");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < drops->count && i < who->limit; i++) {
		const struct who_drop *drop = &drops->rows[i];
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "client", drop->client);
		strbuf_json_text(out, "address", drop->address);
		strbuf_json_text(out, "name", drop->name && *drop->name ? drop->name : NULL);
		strbuf_json_bool(out, "several_names", drop->name && !*drop->name);
		strbuf_json_u64(out, "packets", drop->packets);
		strbuf_json_u64(out, "udp3544", drop->udp3544);
		strbuf_json_u64(out, "proto41", drop->proto41);
		output_json_time(out, "from", drop->first_hour * HOUR_MS);
		output_json_time(out, "to", (drop->last_hour + 1) * HOUR_MS);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}

static void append_series_json(struct strbuf *out, const struct who_series *series)
{
	strbuf_json_key(out, "addresses");
	strbuf_append_char(out, '[');
	for (size_t i = 0; i < series->count; i++) {
		const struct who_logs *logs = &series->rows[i].logs;
		output_json_next(out);
		strbuf_append_char(out, '{');
		strbuf_json_text(out, "address", series->rows[i].address);
		strbuf_json_u64(out, "dns", logs->told);
		strbuf_json_u64(out, "firewall_drop", logs->dropped);
		strbuf_json_u64(out, "firewall_pass", logs->passed);
		strbuf_json_u64(out, "proxy", logs->proxied);
		strbuf_json_u64(out, "lookups", logs->lookups);
		ratio_json(out, "drops_per_lookup", logs->dropped, logs->lookups);
		strbuf_append_char(out, '}');
	}
	strbuf_append_char(out, ']');
}

void who_append_logs_json(struct who *who, const struct who_facts *facts,
	const struct who_series *series, const struct who_drops *drops)
{
	struct strbuf *out = &who->cli->out;
	const struct who_logs *logs = &facts->logs;

	strbuf_json_key(out, "logs");
	strbuf_append_char(out, '{');
	strbuf_json_u64(out, "firewall_drop", logs->dropped);
	strbuf_json_u64(out, "firewall_pass", logs->passed);
	strbuf_json_u64(out, "proxy", logs->proxied);
	strbuf_json_u64(out, "lookups", logs->lookups);
	ratio_json(out, "drops_per_lookup", logs->dropped, logs->dropped ? logs->lookups : 0);
	output_json_time(out, "from", logs->first_hour * HOUR_MS);
	output_json_time(out, "to", logs->last_hour ? (logs->last_hour + 1) * HOUR_MS : 0);
	append_sources_json(out, facts->sources);
	append_series_json(out, series);
	append_drops_json(who, drops);
	strbuf_append_char(out, '}');
}

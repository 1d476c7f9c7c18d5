/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cutting batches. Each class of items has a share, so that neither a flood of clients nor one of
 * details starves the others while Redis is slower than what comes in; what a share leaves free
 * goes to the rest. A batch is bounded in items, octets and cost, because Redis serves nobody else
 * while a script runs.
 *
 * Rejected: a list of batches in flight (one at a time keeps order, and a round trip is far shorter
 * than the second in which a tally fills), and formatting at merge time (an item that merges a
 * hundred times is formatted once, when it leaves).
 */
#include "resolver/telemetry/batch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/name.h"
#include "resolver/telemetry/redis/schema.h"

#define SAVED_VERSION 1 /* raised whenever script.lua would read an old batch differently */

/* Of BATCH_COST_MAX; details have the rest. */
#define CLIENTS_SHARE 50
#define TOPS_SHARE 24
#define LINES_SHARE 16
#define LINE_COST 1
#define GAUGES_COST 6

#define ITEM_ARGS_MAX (8 + 2 * CLIENT_COUNTER_COUNT)
#define ROOM_BEHIND ((size_t)32 << 10) /* the last item (two names and addresses) and the hours */
#define HOURS_MAX 24                   /* different hours in one batch */
#define CLOSE_DELAY_US \
	(60 * US_PER_S) /* an hour is closed when nothing of it can be on its way any more */

const struct batch_bounds batch_bounds_default = {
	.clients = SCHEMA_CLIENTS_MAX,
	.client_names = SCHEMA_CLIENT_NAMES_MAX,
	.names = SCHEMA_NAMES_MAX,
	.name_clients = SCHEMA_NAME_CLIENTS_MAX,
	.name_addresses = SCHEMA_NAME_ADDRESSES_MAX,
	.addresses = SCHEMA_ADDRESSES_MAX,
	.pairs = SCHEMA_PAIRS_MAX,
	.hour_names = SCHEMA_HOUR_NAMES_MAX,
	.top = SCHEMA_TOP_MAX,
	.stream = SCHEMA_STREAM_MAX,
};

/* Totals of the hours that a batch's client items belong to. */
struct hours {
	size_t count;
	struct {
		uint32_t hour;
		uint64_t counters[CLIENT_COUNTER_COUNT];
	} hours[HOURS_MAX];
};

/* --- arguments: begin, append to text, end --- */

static void arg_end(struct batch *batch, size_t start)
{
	assert(batch->argc < BATCH_ARGS_MAX);
	batch->lengths[batch->argc++] = batch->text.length - start;
}

static void arg_bytes(struct batch *batch, const char *bytes, size_t length)
{
	size_t start = batch->text.length;

	strbuf_append(&batch->text, bytes, length);
	arg_end(batch, start);
}

static void arg_text(struct batch *batch, const char *text)
{
	arg_bytes(batch, text, strlen(text));
}

static void arg_u64(struct batch *batch, uint64_t value)
{
	size_t start = batch->text.length;

	strbuf_append_u64(&batch->text, value);
	arg_end(batch, start);
}

static void arg_ms(struct batch *batch, int64_t us)
{
	arg_u64(batch, us > 0 ? (uint64_t)(us / US_PER_MS) : 0);
}

static void arg_address(struct batch *batch, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];

	arg_text(batch, address->family == 0 ? SCHEMA_OTHER : address_to_text(address, text));
}

static void arg_name(struct batch *batch, const uint8_t *wire)
{
	char text[NAME_TEXT_MAX];
	size_t length = name_to_text(wire, text);

	arg_bytes(batch, text, length);
}

/* How many are not zero, then each with its name. */
static void arg_counters(struct batch *batch, const uint64_t counters[CLIENT_COUNTER_COUNT])
{
	uint64_t count = 0;

	for (size_t i = 0; i < CLIENT_COUNTER_COUNT; i++)
		count += counters[i] != 0;
	arg_u64(batch, count);
	for (size_t i = 0; i < CLIENT_COUNTER_COUNT; i++) {
		if (counters[i] == 0)
			continue;
		arg_text(batch, client_counter_name(i));
		arg_u64(batch, counters[i]);
	}
}

/* --- items --- */

static bool hours_add(struct hours *hours, const struct pending_item *item)
{
	size_t at = 0;

	while (at < hours->count && hours->hours[at].hour != item->key.when)
		at++;
	if (at == HOURS_MAX)
		return false;
	if (at == hours->count) {
		hours->count++;
		hours->hours[at].hour = item->key.when;
		memset(hours->hours[at].counters, 0, sizeof(hours->hours[at].counters));
	}
	for (size_t i = 0; i < CLIENT_COUNTER_COUNT; i++)
		hours->hours[at].counters[i] += item->counts[i];
	return true;
}

static void put_client(struct batch *batch, const struct pending_item *item)
{
	arg_text(batch, "c");
	arg_address(batch, &item->key.client);
	arg_u64(batch, item->key.when);
	arg_ms(batch, item->first_us);
	arg_ms(batch, item->last_us);
	arg_counters(batch, item->counts);
	batch->queries += item->counts[COUNTER_queries];
}

static void put_top(
	struct batch *batch, const struct pending *pending, const struct pending_item *item)
{
	arg_text(batch, "n");
	arg_u64(batch, item->key.when);
	if (item->key.name_length)
		arg_name(batch, item->key.name);
	else
		arg_text(batch, SCHEMA_OTHER);
	arg_u64(batch, item->counts[PENDING_COUNT_QUERIES]);
	arg_u64(batch, item->key.name_length ? pending_top_weight(pending, item)
					     : pending_top_missed(item));
}

static void put_query(struct batch *batch, const struct pending_item *item)
{
	arg_text(batch, "q");
	arg_address(batch, &item->key.client);
	arg_name(batch, item->key.name);
	arg_u64(batch, item->key.when);
	arg_u64(batch, item->counts[PENDING_COUNT_QUERIES]);
	arg_u64(batch, item->counts[PENDING_COUNT_HITS]);
	arg_ms(batch, item->last_us);
}

static void put_pair(struct batch *batch, const struct pending_item *item)
{
	arg_text(batch, "p");
	arg_address(batch, &item->key.address);
	arg_address(batch, &item->key.client);
	arg_name(batch, item->key.name);
	arg_ms(batch, item->first_us);
	arg_ms(batch, item->last_us);
	arg_u64(batch, item->counts[PENDING_COUNT_QUERIES]);
	arg_name(batch, item->owner ? item->owner : item->key.name);
}

static void put_timeline(struct batch *batch, const struct pending_item *item)
{
	arg_text(batch, "t");
	arg_address(batch, &item->key.address);
	arg_u64(batch, item->key.when);
	arg_text(batch, "dns");
	arg_u64(batch, item->counts[PENDING_COUNT_QUERIES]);
}

static void put_zone(
	struct batch *batch, const struct zone_ids *zones, const struct pending_item *item)
{
	const char *zone = zone_ids_name(zones, item->key.zone);

	arg_text(batch, "z");
	arg_text(batch, zone ? zone : SCHEMA_OTHER);
	arg_address(batch, &item->key.client);
	arg_u64(batch, item->counts[PENDING_COUNT_HITS]);
	arg_ms(batch, item->last_us);
}

static void put_field(struct batch *batch, const struct pending_item *item)
{
	static const char *const names[] = {
		[FIELD_NAME] = "name", [FIELD_FORWARDER] = "forwarder"};
	char text[PENDING_FIELD_MAX + 1];

	arg_text(batch, "m");
	arg_address(batch, &item->key.client);
	arg_text(batch, names[item->key.when]);
	pending_field_text(item, text);
	arg_text(batch, text);
}

/* The hits of "*other" may be any rule's. */
static void put_rule(
	struct batch *batch, const struct zone_ids *zones, const struct pending_item *item)
{
	const char *zone = zone_ids_name(zones, item->key.zone);
	char text[PENDING_FIELD_MAX + 1];

	pending_rule_text(item, text);
	arg_text(batch, "r");
	arg_text(batch, zone ? zone : SCHEMA_OTHER);
	arg_text(batch, item->key.name_length ? text : SCHEMA_OTHER);
	arg_u64(batch, item->counts[PENDING_COUNT_HITS]);
	arg_ms(batch, item->last_us);
}

static void put_told(struct batch *batch, const struct pending_item *item)
{
	char text[PENDING_FIELD_MAX + 1];

	pending_field_text(item, text);
	arg_text(batch, "s");
	arg_address(batch, &item->key.client);
	arg_ms(batch, item->first_us);
	arg_ms(batch, item->last_us);
	arg_text(batch, text);
}

static void put_gauges(struct batch *batch, struct pending *pending)
{
	const struct gauges *gauges = &pending->gauges;

	arg_text(batch, "g");
	arg_text(batch, gauges->upstreams);
	arg_u64(batch, gauges->count);
	for (size_t i = 0; i < gauges->count; i++) {
		arg_text(batch, gauges->values[i].name);
		arg_u64(batch, gauges->values[i].value);
	}
	batch->items++;
	for (size_t i = 0; i < gauges->text_count; i++) {
		arg_text(batch, "w");
		arg_text(batch, gauges->texts[i].name);
		arg_text(batch, gauges->texts[i].text);
		batch->items++;
	}
	batch->cost += GAUGES_COST + gauges->text_count;
	pending->gauges_changed = false;
}

static void put_item(struct batch *batch, const struct pending *pending,
	const struct zone_ids *zones, const struct pending_item *item)
{
	batch->items++;
	switch (item->key.kind) {
	case PENDING_CLIENT:
		put_client(batch, item);
		break;
	case PENDING_TOP:
		put_top(batch, pending, item);
		break;
	case PENDING_QUERY:
		put_query(batch, item);
		break;
	case PENDING_PAIR:
		put_pair(batch, item);
		break;
	case PENDING_TIMELINE:
		put_timeline(batch, item);
		break;
	case PENDING_ZONE:
		put_zone(batch, zones, item);
		break;
	case PENDING_FIELD:
		put_field(batch, item);
		break;
	case PENDING_RULE:
		put_rule(batch, zones, item);
		break;
	case PENDING_TOLD:
		put_told(batch, item);
		break;
	}
}

/* --- cutting --- */

/* As measured with items whose every key is new, by tests/live/test_script.py. */
static size_t cost_of(enum pending_kind kind)
{
	static const uint8_t costs[PENDING_KINDS] = {
		[PENDING_CLIENT] = 6,
		[PENDING_TOP] = 3,
		[PENDING_QUERY] = 4,
		[PENDING_PAIR] = 4,
		[PENDING_TIMELINE] = 2,
		[PENDING_ZONE] = 4,
		[PENDING_FIELD] = 2,
		[PENDING_RULE] = 3,
		[PENDING_TOLD] = 3,
	};

	return costs[kind];
}

static bool has_room(const struct batch *batch)
{
	return batch->items < BATCH_ITEMS_MAX && batch->cost < BATCH_COST_MAX &&
	       batch->text.length < BATCH_BYTES_MAX &&
	       batch->argc + (HOURS_MAX + 1) * ITEM_ARGS_MAX <= BATCH_ARGS_MAX;
}

/* Up to `share` of the cost of a batch. */
static void cut_queue(struct batcher *batcher, struct pending *pending, struct pending_queue *queue,
	size_t share, struct hours *hours)
{
	struct batch *batch = batcher->batch;
	size_t before = batch->cost;

	while (batch->cost - before < share && queue->head && has_room(batch)) {
		if (queue->head->key.kind == PENDING_CLIENT && !hours_add(hours, queue->head))
			return;
		struct pending_item *item = pending_take(pending, queue);
		put_item(batch, pending, batcher->settings.zones, item);
		batch->cost += cost_of(item->key.kind);
		pending_item_free(item);
	}
}

static void put_hours(struct batch *batch, const struct hours *hours)
{
	for (size_t i = 0; i < hours->count; i++) {
		arg_text(batch, "h");
		arg_u64(batch, hours->hours[i].hour);
		arg_counters(batch, hours->hours[i].counters);
	}
}

/* A line has no bound of its own, so memory can run out here: then the line is dropped, and the
 * batch is as if it had not been. */
static void put_line(struct batch *batch, struct pending *pending, const struct pending_line *line)
{
	size_t length = batch->text.length, argc = batch->argc;

	arg_text(batch, line->stream == STREAM_EVENTS ? "e" : "x");
	arg_ms(batch, line->wall_us);
	arg_bytes(batch, line->json, line->length);
	if (batch->text.failed) {
		batch->text.failed = false;
		batch->text.length = length;
		batch->argc = argc;
		pending->lines_dropped++;
		return;
	}
	batch->items++;
	batch->cost += LINE_COST;
}

static void cut_lines(struct batch *batch, struct pending *pending)
{
	while (pending->lines && has_room(batch)) {
		struct pending_line *line = pending_take_line(pending);
		put_line(batch, pending, line);
		free(line);
	}
}

/* The last hour of which everything has been cut: closed by this batch's script. The queue is in the
 * order in which its items came, and a worker may be late with one of the hour before; so all of it
 * is looked at, but only for an hour that is not closed yet. */
static uint64_t hour_to_close(
	struct batcher *batcher, const struct pending *pending, const struct now *now)
{
	int64_t current = (now->wall_us - CLOSE_DELAY_US) / US_PER_HOUR;
	const struct pending_item *item = pending->clients.head;

	if (item && item->key.when < current)
		current = item->key.when;
	for (; item && current - 1 > batcher->closed_hour; item = item->next) {
		if (item->key.when < current)
			current = item->key.when;
	}
	if (current - 1 > batcher->closed_hour)
		batcher->closed_hour = current - 1;
	return current > 0 ? (uint64_t)(current - 1) : 0;
}

static void put_bounds(struct batch *batch, const struct batch_bounds *bounds)
{
	arg_u64(batch, bounds->clients);
	arg_u64(batch, bounds->client_names);
	arg_u64(batch, bounds->names);
	arg_u64(batch, bounds->name_clients);
	arg_u64(batch, bounds->name_addresses);
	arg_u64(batch, bounds->addresses);
	arg_u64(batch, bounds->pairs);
	arg_u64(batch, bounds->hour_names);
	arg_u64(batch, bounds->top);
	arg_u64(batch, bounds->stream);
}

/* Everything before the items; the hour to close is known when they are cut, so it stands behind
 * them, under "k". */
static void put_header(struct batcher *batcher, const struct now *now)
{
	struct batch *batch = batcher->batch;
	const struct batch_settings *settings = &batcher->settings;
	char key[512];

	arg_text(batch, "EVALSHA");
	arg_text(batch, "");
	arg_text(batch, "1");
	snprintf(key, sizeof(key), KEY_APPLIED, settings->resolver_name);
	arg_text(batch, key);
	for (size_t slot = BATCH_ARGV_INSTANCE; slot < BATCH_ARGV_HEADER; slot++)
		arg_text(batch, "");
	arg_text(batch, settings->boot);
	arg_u64(batch, batch->number);
	arg_u64(batch, SCHEMA_VERSION);
	arg_text(batch, settings->version);
	arg_ms(batch, settings->started_us);
	arg_ms(batch, now->wall_us);
	arg_u64(batch, settings->retention_days * UINT64_C(86400));
	arg_u64(batch, settings->pair_retention_days * UINT64_C(86400));
	put_bounds(batch, &settings->bounds);
	assert(batch->argc == BATCH_ARGV_HEADER + BATCH_HEADER_COUNT);
}

/* Fills argv, once the text no longer moves. */
static void freeze(struct batch *batch)
{
	const char *at = batch->text.data;

	for (size_t i = 0; i < batch->argc; i++) {
		batch->argv[i] = at;
		at += batch->lengths[i];
	}
}

/* Room for everything but lines is there before the first item is taken, so that running out of
 * memory cannot lose one. */
static bool begin(struct batch *batch, const char *boot, uint64_t number)
{
	strbuf_clear(&batch->text);
	if (!strbuf_reserve(&batch->text, BATCH_BYTES_MAX + ROOM_BEHIND))
		return false;
	snprintf(batch->boot, sizeof(batch->boot), "%s", boot);
	batch->number = number;
	batch->queries = 0;
	batch->items = 0;
	batch->cost = 0;
	batch->argc = 0;
	return true;
}

bool batcher_init(struct batcher *batcher, const struct batch_settings *settings)
{
	*batcher = (struct batcher){.settings = *settings};
	batcher->batch = malloc(sizeof(*batcher->batch));
	if (!batcher->batch)
		return false;
	strbuf_init(&batcher->batch->text);
	return true;
}

void batcher_deinit(struct batcher *batcher)
{
	if (batcher->batch)
		strbuf_deinit(&batcher->batch->text);
	free(batcher->batch);
	batcher->batch = NULL;
}

/* What the shares left free, without what lines are going to use. */
static size_t left_over(const struct batch *batch, const struct pending *pending)
{
	size_t lines = pending->line_count * LINE_COST;
	size_t taken = batch->cost + (lines < LINES_SHARE ? lines : LINES_SHARE);

	return taken < BATCH_COST_MAX ? BATCH_COST_MAX - taken : 0;
}

struct batch *batch_cut(
	struct batcher *batcher, struct pending *pending, const struct now *now, bool even_if_empty)
{
	struct batch *batch = batcher->batch;
	struct hours hours = {0};

	if (batcher->frozen)
		return batch;
	if ((pending_is_empty(pending) && !even_if_empty) ||
		!begin(batch, batcher->settings.boot, batcher->last_number + 1))
		return NULL;
	put_header(batcher, now);
	/* One that closes an hour brings them again: to a Redis that was emptied, at the latest. */
	if (pending->gauges_changed || (even_if_empty && pending->gauges.count))
		put_gauges(batch, pending);
	cut_queue(batcher, pending, &pending->clients, CLIENTS_SHARE, &hours);
	pending_turn_tops(pending);
	cut_queue(batcher, pending, &pending->tops, TOPS_SHARE, NULL);
	cut_queue(batcher, pending, &pending->details,
		BATCH_COST_MAX - CLIENTS_SHARE - TOPS_SHARE - LINES_SHARE, NULL);
	cut_queue(batcher, pending, &pending->details, left_over(batch, pending), NULL);
	cut_queue(batcher, pending, &pending->clients, left_over(batch, pending), &hours);
	cut_queue(batcher, pending, &pending->tops, left_over(batch, pending), NULL);
	put_hours(batch, &hours);
	arg_text(batch, "k");
	arg_u64(batch, hour_to_close(batcher, pending, now));
	cut_lines(batch, pending);
	freeze(batch);
	batcher->last_number = batch->number;
	batcher->frozen = true;
	return batch;
}

void batch_set_aside(struct batcher *batcher)
{
	batcher->frozen = false;
}

static bool is_slot(size_t index)
{
	return index == BATCH_ARGV_SHA ||
	       (index >= BATCH_ARGV_INSTANCE && index < BATCH_ARGV_HEADER);
}

void batch_save(const struct batch *batch, struct strbuf *out)
{
	uint32_t head[2] = {SAVED_VERSION, (uint32_t)batch->argc};

	strbuf_append(out, head, sizeof(head));
	for (size_t i = 0; i < batch->argc; i++) {
		uint32_t length = is_slot(i) ? 0 : (uint32_t)batch->lengths[i];
		strbuf_append(out, &length, sizeof(length));
	}
	strbuf_append(out, batch->text.data, batch->text.length);
}

/* Lengths are in the machine's own order, like everything else that never leaves it; the sum must
 * be right. */
enum td_error batch_load(struct batch *batch, const void *data, size_t size)
{
	uint32_t head[2], length;
	const char *octets = data;

	if (size < sizeof(head))
		return TD_MALFORMED;
	memcpy(head, octets, sizeof(head));
	if (head[0] != SAVED_VERSION)
		return TD_UNSUPPORTED;
	size_t text = sizeof(head) + (size_t)head[1] * sizeof(length), sum = 0;
	if (head[1] <= BATCH_ARGV_HEADER || head[1] > BATCH_ARGS_MAX || text > size)
		return TD_MALFORMED;
	batch->argc = head[1];
	for (size_t i = 0; i < batch->argc; i++) {
		memcpy(&length, octets + sizeof(head) + i * sizeof(length), sizeof(length));
		batch->lengths[i] = length;
		sum += length;
	}
	if (sum != size - text)
		return TD_MALFORMED;
	strbuf_clear(&batch->text);
	strbuf_append(&batch->text, octets + text, size - text);
	if (batch->text.failed)
		return TD_NOMEM;
	freeze(batch);
	return TD_OK;
}

bool batch_acknowledged(struct batcher *batcher, uint64_t number)
{
	if (!batcher->frozen || batcher->batch->number != number)
		return false;
	batcher->frozen = false;
	batcher->applied_batches++;
	batcher->applied_queries += batcher->batch->queries;
	return true;
}

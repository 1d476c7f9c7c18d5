/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One seeded table for all kinds of items, with the kind as a part of the key, and a queue a class
 * for the order in which batches take them. An item is one allocation: its counts and its key, cut
 * where the name ends.
 *
 * The totals of an hour are not kept here: a batch sums them from the very client items that it
 * carries, so the two can never disagree in Redis. Top names are: their "*other" takes what had to
 * leave the sketch or what a dropped detail could not name, and the sum over a day stays the number
 * of queries.
 *
 * Names come in generations, because a name that was sent is no longer here: were room that it left
 * given to a newcomer, nobody could say what that one had lost before. A generation ends when the
 * one before it has been sent. Until then its names still merge, which only makes them sent later
 * and their error no smaller; only "*other" starts anew, since the floor is the generation's own.
 */
#include "resolver/telemetry/pending.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define KEY_FIXED offsetof(struct pending_key, name)

static_assert(KEY_FIXED == 2 * sizeof(struct address) + 8, "pending_key must not be padded");

struct key_view {
	const struct pending_key *key;
	size_t length;
};

static size_t key_length(const struct pending_key *key)
{
	return KEY_FIXED + key->name_length;
}

static bool key_equal(const void *item, const void *key)
{
	const struct pending_key *mine = &((const struct pending_item *)item)->key;
	const struct key_view *view = key;

	return key_length(mine) == view->length && memcmp(mine, view->key, view->length) == 0;
}

static bool item_is(const void *item, const void *key)
{
	return item == key;
}

/* --- items --- */

size_t pending_counts_of(enum pending_kind kind)
{
	if (kind == PENDING_CLIENT)
		return CLIENT_COUNTER_COUNT;
	return kind == PENDING_TOP ? (size_t)PENDING_TOP_COUNTS : (size_t)PENDING_COUNTS;
}

static struct pending_item *item_new(const struct pending_key *key, uint64_t hash)
{
	size_t counts = pending_counts_of(key->kind) * sizeof(uint64_t);
	size_t fixed = (offsetof(struct pending_item, key) + key_length(key) + 7) & ~(size_t)7;
	struct pending_item *item = malloc(fixed + counts);

	if (!item)
		return NULL;
	item->next = NULL;
	item->hash = hash;
	item->first_us = INT64_MAX;
	item->last_us = 0;
	item->owner = NULL;
	item->list_link = NULL;
	item->changed = false;
	item->logged = false;
	item->counts = memset((char *)item + fixed, 0, counts);
	memcpy(&item->key, key, key_length(key));
	return item;
}

void pending_item_free(struct pending_item *item)
{
	if (!item)
		return;
	free(item->owner);
	free(item);
}

static void item_seen(struct pending_item *item, int64_t first_us, int64_t last_us)
{
	if (first_us < item->first_us)
		item->first_us = first_us;
	if (last_us > item->last_us)
		item->last_us = last_us;
}

/* --- what the log has to learn --- */

static void list_remove(struct pending_item *item)
{
	if (!item->list_link)
		return;
	*item->list_link = item->list_next;
	if (item->list_next)
		item->list_next->list_link = item->list_link;
	item->list_link = NULL;
}

void pending_list_put(struct pending_item **list, struct pending_item *item)
{
	list_remove(item);
	item->list_next = *list;
	item->list_link = list;
	if (*list)
		(*list)->list_link = &item->list_next;
	*list = item;
}

/* Whoever asks for an item is about to change it. */
static struct pending_item *touch(struct pending *pending, struct pending_item *item)
{
	if (!item->changed)
		pending_list_put(&pending->changed, item);
	item->changed = true;
	return item;
}

static void note_new(struct pending *pending, struct pending_item *item)
{
	item->id = ++pending->last_id;
	touch(pending, item);
}

static void note_gone(struct pending *pending, struct pending_item *item)
{
	list_remove(item);
	if (item->logged)
		strbuf_append(&pending->gone, &item->id, sizeof(item->id));
}

/* --- queues --- */

static void queue_init(struct pending_queue *queue)
{
	queue->head = NULL;
	queue->tail = &queue->head;
	queue->count = 0;
}

static void queue_push(struct pending_queue *queue, struct pending_item *item)
{
	*queue->tail = item;
	queue->tail = &item->next;
	queue->count++;
}

static void queue_free(struct pending_queue *queue)
{
	for (struct pending_item *item = queue->head; item;) {
		struct pending_item *next = item->next;
		pending_item_free(item);
		item = next;
	}
	queue_init(queue);
}

static struct pending_queue *queue_of(struct pending *pending, enum pending_kind kind)
{
	return kind == PENDING_CLIENT ? &pending->clients : &pending->details;
}

static size_t limit_of(const struct pending *pending, enum pending_kind kind)
{
	return kind == PENDING_CLIENT ? pending->limits.clients : pending->limits.details;
}

static struct pending_item *find(
	const struct pending *pending, const struct pending_key *key, uint64_t *hash)
{
	struct key_view view = {.key = key, .length = key_length(key)};

	*hash = hash_bytes(&pending->seed, key, view.length);
	return table_find(&pending->table, *hash, key_equal, &view);
}

/* In the table, and in no queue yet. */
static struct pending_item *make(
	struct pending *pending, const struct pending_key *key, uint64_t hash)
{
	struct pending_item *item = item_new(key, hash);

	if (item && table_insert(&pending->table, hash, item) != TD_OK) {
		pending_item_free(item);
		return NULL;
	}
	if (item)
		note_new(pending, item);
	return item;
}

static void discard(struct pending *pending, struct pending_item *item)
{
	table_remove(&pending->table, item->hash, item_is, item);
	note_gone(pending, item);
	pending_item_free(item);
}

/* The item of this key, made if it is new; NULL when its class is full (unless forced) or memory
 * ran out. */
static struct pending_item *upsert(
	struct pending *pending, const struct pending_key *key, bool force)
{
	uint64_t hash;
	struct pending_item *item = find(pending, key, &hash);
	if (item)
		return touch(pending, item);
	struct pending_queue *queue = queue_of(pending, key->kind);
	if (queue->count >= limit_of(pending, key->kind) && !force)
		return NULL;
	item = make(pending, key, hash);
	if (item)
		queue_push(queue, item);
	return item;
}

/* --- names --- */

static struct pending_item *other_of(struct pending *pending, uint32_t day)
{
	struct pending_key key = {.kind = PENDING_TOP, .when = day};
	uint64_t hash;
	struct pending_item *other = find(pending, &key, &hash);

	if (other)
		return touch(pending, other);
	other = make(pending, &key, hash);
	if (other)
		queue_push(&pending->others, other);
	return other;
}

/* The smallest makes room, and its day's "*other" keeps what it counted. */
static bool evict_top(struct pending *pending)
{
	if (pending->sketch.count == 0)
		return false;
	const struct pending_item *least = pending->sketch.heap[0];
	struct pending_item *other = other_of(pending, least->key.when);
	if (!other)
		return false;
	struct pending_item *item = sketch_pop(&pending->sketch);
	other->counts[PENDING_COUNT_QUERIES] += item->counts[PENDING_COUNT_QUERIES];
	if (sketch_estimate(item) > other->counts[PENDING_COUNT_ERROR])
		other->counts[PENDING_COUNT_ERROR] = sketch_estimate(item);
	discard(pending, item);
	return true;
}

/* Nothing was evicted on a day without "*other". */
static uint64_t floor_of(const struct pending *pending, uint32_t day)
{
	struct pending_key key = {.kind = PENDING_TOP, .when = day};
	uint64_t hash;
	const struct pending_item *other = find(pending, &key, &hash);

	return other ? other->counts[PENDING_COUNT_ERROR] : 0;
}

static struct pending_item *new_top(
	struct pending *pending, const struct pending_key *key, uint64_t hash, uint64_t queries)
{
	if (sketch_is_full(&pending->sketch) && !evict_top(pending))
		return NULL;
	struct pending_item *item = make(pending, key, hash);
	if (!item)
		return NULL;
	item->counts[PENDING_COUNT_QUERIES] = queries;
	item->counts[PENDING_COUNT_ERROR] = floor_of(pending, key->when);
	if (sketch_push(&pending->sketch, item))
		return item;
	discard(pending, item);
	return NULL;
}

/* And not of the generation before: an item of a queue has its `next` where others have `place`. */
static bool is_in_sketch(const struct pending *pending, const struct pending_item *item)
{
	return item->place < pending->sketch.count && pending->sketch.heap[item->place] == item;
}

/* NULL when the queries could not be counted under the name. */
static struct pending_item *add_top(
	struct pending *pending, const struct pending_key *key, uint64_t queries)
{
	uint64_t hash;
	struct pending_item *item = find(pending, key, &hash);

	if (!item)
		return new_top(pending, key, hash, queries);
	touch(pending, item)->counts[PENDING_COUNT_QUERIES] += queries;
	if (is_in_sketch(pending, item))
		sketch_raised(&pending->sketch, item);
	return item;
}

static void add_other(struct pending *pending, uint32_t day, uint64_t queries, uint64_t unnamed)
{
	struct pending_item *other = other_of(pending, day);

	if (!other)
		return;
	other->counts[PENDING_COUNT_QUERIES] += queries;
	other->counts[PENDING_COUNT_UNNAMED] += unnamed;
}

/* --- texts --- */

/* Text as labels of a name, which is what an owner and the end of a key are: the log of what is pending
 * need not know. At most PENDING_FIELD_MAX octets of it. */
static size_t text_to_wire(const void *text, size_t size, uint8_t *wire)
{
	const uint8_t *at = text;
	size_t left = size < PENDING_FIELD_MAX ? size : PENDING_FIELD_MAX, length = 0;

	while (left > 0) {
		size_t part = left < NAME_LABEL_MAX ? left : NAME_LABEL_MAX;
		wire[length++] = (uint8_t)part;
		memcpy(wire + length, at, part);
		length += part;
		at += part;
		left -= part;
	}
	wire[length++] = 0;
	return length;
}

static void wire_to_text(const uint8_t *wire, char *out)
{
	while (wire && *wire) {
		memcpy(out, wire + 1, *wire);
		out += *wire;
		wire += 1 + *wire;
	}
	*out = '\0';
}

/* --- merging a tally --- */

/* True when the client has an item of its own, false when it is counted under "*other": it found no
 * room, or (forced) no memory. */
static bool add_client(struct pending *pending, const struct pending_key *key, bool force,
	const uint64_t *counts, int64_t first_us, int64_t last_us)
{
	struct pending_item *item = upsert(pending, key, force);
	bool own = item != NULL;

	if (!item) {
		struct pending_key other = {.kind = PENDING_CLIENT, .when = key->when};
		item = upsert(pending, &other, true);
	}
	if (!item) {
		pending->queries_lost += counts[COUNTER_queries];
		return false;
	}
	for (size_t i = 0; i < CLIENT_COUNTER_COUNT; i++)
		item->counts[i] += counts[i];
	item_seen(item, first_us, last_us);
	pending->queries += counts[COUNTER_queries];
	return own;
}

static bool merge_client(
	struct pending *pending, const struct tally *tally, const struct tally_client *from)
{
	struct pending_key key = {
		.kind = PENDING_CLIENT, .when = (uint32_t)tally->hour, .client = from->address};

	return add_client(pending, &key, false, from->counters, from->first_us, from->last_us);
}

static bool add_detail(
	struct pending *pending, const struct pending_key *key, const struct tally_detail *from)
{
	struct pending_item *item = upsert(pending, key, false);
	if (!item)
		return false;
	item->counts[PENDING_COUNT_QUERIES] += from->queries;
	if (from->action != TRANSACTION_NONE)
		item->counts[PENDING_COUNT_HITS] += from->queries;
	item_seen(item, from->first_us, from->last_us);
	return true;
}

static void set_owner(struct pending_item *item, const uint8_t *owner, size_t length)
{
	if (item->owner && name_wire_length(item->owner, NAME_WIRE_MAX) == length &&
		memcmp(item->owner, owner, length) == 0)
		return;
	uint8_t *copy = malloc(length);
	if (!copy)
		return;
	free(item->owner);
	item->owner = memcpy(copy, owner, length);
}

static bool add_told(struct pending *pending, const struct tally *tally,
	const struct tally_detail *from, struct pending_key *key)
{
	const struct tally_told *told = (const void *)(tally->bytes + from->told);
	struct pending_key timeline = {.kind = PENDING_TIMELINE, .when = (uint32_t)tally->hour};
	bool complete = true;

	key->kind = PENDING_PAIR;
	for (unsigned i = 0; i < from->told_count; i++) {
		key->address = told[i].address;
		struct pending_item *pair = upsert(pending, key, false);
		if (pair) {
			pair->counts[PENDING_COUNT_QUERIES] += from->queries;
			item_seen(pair, from->first_us, from->last_us);
			set_owner(pair, tally->bytes + told[i].owner, told[i].owner_length);
		}
		timeline.address = told[i].address;
		complete = add_detail(pending, &timeline, from) && pair && complete;
	}
	return complete;
}

/* The rule that was hit; one that finds no room, or has no text, is one of the zone's others. */
static bool add_rule(
	struct pending *pending, const struct tally *tally, const struct tally_detail *from)
{
	struct pending_key key = {.kind = PENDING_RULE, .zone = from->zone};

	if (from->rule_length) {
		key.name_length = (uint8_t)text_to_wire(
			tally->bytes + from->rule, from->rule_length, key.name);
		if (add_detail(pending, &key, from))
			return true;
		key.name_length = 0;
		memset(key.name, 0, sizeof(key.name));
	}
	struct pending_item *other = upsert(pending, &key, true);
	if (!other)
		return false;
	other->counts[PENDING_COUNT_QUERIES] += from->queries;
	other->counts[PENDING_COUNT_HITS] += from->queries;
	item_seen(other, from->first_us, from->last_us);
	return true;
}

/* The first address of IPv4 that the reply told; NULL: none. */
static const struct address *told_v4(const struct tally *tally, const struct tally_detail *from)
{
	const struct tally_told *told = (const void *)(tally->bytes + from->told);

	for (unsigned i = 0; i < from->told_count; i++)
		if (told[i].address.family == ADDRESS_V4)
			return &told[i].address;
	return NULL;
}

/* The server told last stands for all of them. */
static void set_server(struct pending_item *item, int64_t last_us, const uint8_t *server)
{
	if (last_us >= item->last_us)
		set_owner(item, server, name_wire_length(server, NAME_WIRE_MAX));
}

/* Answered truthfully while a rule of the zone of Teredo servers matched, by its name or by the address
 * itself, and an address of IPv4 was told: from here on the client knows a server. */
static bool add_told_teredo(struct pending *pending, const struct tally *tally,
	const struct tally_detail *from, struct address client)
{
	const struct pending_key key = {.kind = PENDING_TOLD, .client = client};
	const struct address *server = from->zone == pending->teredo && from->action == TRANSACTION_WATCH
					       ? told_v4(tally, from)
					       : NULL;
	char text[ADDRESS_TEXT_MAX];
	uint8_t wire[NAME_WIRE_MAX];

	if (!server || client.family == ADDRESS_NONE)
		return true;
	struct pending_item *item = upsert(pending, &key, false);
	if (!item)
		return false;
	address_to_text(server, text);
	text_to_wire(text, strlen(text), wire);
	set_server(item, from->last_us, wire);
	item_seen(item, from->first_us, from->last_us);
	return item->owner != NULL;
}

static bool add_hit(struct pending *pending, const struct tally *tally,
	const struct tally_detail *from, struct address client)
{
	struct pending_key zone = {.kind = PENDING_ZONE, .zone = from->zone, .client = client};
	bool complete = add_detail(pending, &zone, from);

	complete = add_rule(pending, tally, from) && complete;
	return add_told_teredo(pending, tally, from, client) && complete;
}

static void merge_detail(struct pending *pending, const struct tally *tally,
	const struct tally_detail *from, struct address client)
{
	struct pending_key key = {.kind = PENDING_QUERY,
		.when = (uint32_t)tally->hour,
		.name_length = from->qname_length,
		.client = client};
	memcpy(key.name, tally->bytes + from->qname, from->qname_length);
	bool complete = add_detail(pending, &key, from);

	key.when = 0;
	complete = add_told(pending, tally, from, &key) && complete;
	if (from->action != TRANSACTION_NONE && from->zone != ZONE_ID_NONE)
		complete = add_hit(pending, tally, from, client) && complete;
	if (!complete)
		pending->details_dropped += from->queries;
}

/* What no detail names is "*other": some of it has no name at all, the rest may be any name's. */
static void merge_tops(struct pending *pending, const struct tally *tally)
{
	struct pending_key key = {.kind = PENDING_TOP, .when = (uint32_t)(tally->hour / 24)};
	uint64_t other = tally->queries, unnamed = tally->details_dropped;

	for (uint32_t i = 0; i < tally->detail_count; i++) {
		const struct tally_detail *from = &tally->details[i];
		key.name_length = from->qname_length;
		memcpy(key.name, tally->bytes + from->qname, from->qname_length);
		struct pending_item *item = add_top(pending, &key, from->queries);
		if (item)
			item_seen(item, from->first_us, from->last_us);
		if (item)
			other -= from->queries;
		else
			unnamed += from->queries;
	}
	if (other || unnamed)
		add_other(pending, key.when, other, unnamed);
}

/* --- public --- */

void pending_init(
	struct pending *pending, const struct pending_limits *limits, const struct hash_seed *seed)
{
	*pending = (struct pending){.seed = *seed, .limits = *limits, .teredo = ZONE_ID_NONE};
	/* The classes have limits of their own; what is forced beyond them ("*other" of an hour)
	 * needs room too. */
	table_init(&pending->table, limits->clients + 2 * limits->tops + limits->details + 65536);
	sketch_init(&pending->sketch, limits->tops);
	queue_init(&pending->others);
	queue_init(&pending->clients);
	queue_init(&pending->tops);
	queue_init(&pending->details);
	strbuf_init(&pending->gone);
	pending->lines_tail = &pending->lines;
}

void pending_drop_items(struct pending *pending)
{
	size_t limit = pending->table.limit;

	for (struct pending_item *item = sketch_pop(&pending->sketch); item;
		item = sketch_pop(&pending->sketch))
		pending_item_free(item);
	queue_free(&pending->others);
	queue_free(&pending->clients);
	queue_free(&pending->tops);
	queue_free(&pending->details);
	pending->changed = pending->unchanged = NULL;
	pending->floor_count = 0;
	pending->queries = 0;
	strbuf_clear(&pending->gone);
	table_deinit(&pending->table);
	table_init(&pending->table, limit);
}

void pending_deinit(struct pending *pending)
{
	pending_drop_items(pending);
	sketch_deinit(&pending->sketch);
	strbuf_deinit(&pending->gone);
	for (struct pending_line *line = pending_take_line(pending); line;
		line = pending_take_line(pending))
		free(line);
	table_deinit(&pending->table);
}

void pending_merge(struct pending *pending, const struct tally *tally)
{
	bool own[TALLY_CLIENTS];

	for (uint32_t i = 0; i < tally->client_count; i++)
		own[i] = tally->clients[i].counters[COUNTER_queries] > 0 &&
			 merge_client(pending, tally, &tally->clients[i]);
	for (uint32_t i = 0; i < tally->detail_count; i++) {
		uint32_t client = tally->details[i].client;
		struct address address =
			own[client] ? tally->clients[client].address : (struct address){0};
		merge_detail(pending, tally, &tally->details[i], address);
	}
	if (tally->queries)
		merge_tops(pending, tally);
	pending->details_dropped += tally->details_dropped;
}

/* Two generations become one: of its errors a name keeps the larger one. */
static void put_top(struct pending *pending, const struct pending_key *key, const uint64_t *counts,
	int64_t first_us, int64_t last_us)
{
	struct pending_item *item = key->name_length
					    ? add_top(pending, key, counts[PENDING_COUNT_QUERIES])
					    : other_of(pending, key->when);

	if (!item) {
		add_other(pending, key->when, counts[PENDING_COUNT_QUERIES],
			counts[PENDING_COUNT_QUERIES]);
		return;
	}
	item_seen(item, first_us, last_us);
	if (key->name_length == 0) {
		item->counts[PENDING_COUNT_QUERIES] += counts[PENDING_COUNT_QUERIES];
		item->counts[PENDING_COUNT_UNNAMED] += counts[PENDING_COUNT_UNNAMED];
	}
	if (counts[PENDING_COUNT_ERROR] > item->counts[PENDING_COUNT_ERROR])
		item->counts[PENDING_COUNT_ERROR] = counts[PENDING_COUNT_ERROR];
	if (key->name_length && is_in_sketch(pending, item))
		sketch_raised(&pending->sketch, item);
}

static void put_detail(struct pending *pending, const struct pending_key *key,
	const uint64_t *counts, int64_t first_us, int64_t last_us, const uint8_t *owner)
{
	struct pending_item *item = upsert(pending, key, true);

	if (!item) {
		pending->details_dropped += counts[PENDING_COUNT_QUERIES];
		return;
	}
	for (size_t i = 0; i < PENDING_COUNTS; i++)
		item->counts[i] += counts[i];
	if (owner && key->kind == PENDING_TOLD)
		set_server(item, last_us, owner);
	else if (owner)
		set_owner(item, owner, name_wire_length(owner, NAME_WIRE_MAX));
	item_seen(item, first_us, last_us);
}

void pending_put(struct pending *pending, const struct pending_key *key, const uint64_t *counts,
	int64_t first_us, int64_t last_us, const uint8_t *owner)
{
	if (key->kind == PENDING_CLIENT)
		add_client(pending, key, true, counts, first_us, last_us);
	else if (key->kind == PENDING_TOP)
		put_top(pending, key, counts, first_us, last_us);
	else
		put_detail(pending, key, counts, first_us, last_us, owner);
}

bool pending_set_field(struct pending *pending, const struct address *client,
	enum pending_field field, const char *text)
{
	struct pending_key key = {.kind = PENDING_FIELD, .when = field, .client = *client};
	struct pending_item *item = upsert(pending, &key, false);
	uint8_t wire[NAME_WIRE_MAX];

	if (!item)
		return false;
	set_owner(item, wire, text_to_wire(text, strlen(text), wire));
	return item->owner != NULL;
}

void pending_field_text(const struct pending_item *item, char out[PENDING_FIELD_MAX + 1])
{
	wire_to_text(item->owner, out);
}

void pending_rule_text(const struct pending_item *item, char out[PENDING_FIELD_MAX + 1])
{
	wire_to_text(item->key.name_length ? item->key.name : NULL, out);
}

void pending_set_gauges(struct pending *pending, const struct gauges *gauges)
{
	pending->gauges = *gauges;
	pending->gauges_changed = true;
}

static bool has_room_for_line(const struct pending *pending, size_t length)
{
	return pending->line_count < pending->limits.lines &&
	       pending->line_bytes + length <= pending->limits.line_bytes;
}

void pending_add_line(struct pending *pending, enum pending_stream stream, int64_t wall_us,
	const char *json, size_t length)
{
	if (length > PENDING_LINE_MAX) {
		pending->lines_dropped++;
		return;
	}
	while (pending->lines && !has_room_for_line(pending, length)) {
		free(pending_take_line(pending));
		pending->lines_dropped++;
	}
	struct pending_line *line = NULL;
	if (has_room_for_line(pending, length))
		line = malloc(sizeof(*line) + length);
	if (!line) {
		pending->lines_dropped++;
		return;
	}
	*line = (struct pending_line){
		.wall_us = wall_us, .stream = stream, .length = (uint32_t)length};
	memcpy(line->json, json, length);
	*pending->lines_tail = line;
	pending->lines_tail = &line->next;
	pending->line_count++;
	pending->line_bytes += length;
}

bool pending_is_empty(const struct pending *pending)
{
	return !pending->clients.head && !pending->tops.head && !pending->details.head &&
	       !pending->lines && pending->sketch.count == 0 && !pending->others.head;
}

/* "*other" leaves the table, so that the next generation begins one of its own. */
static void turn_other(struct pending *pending, struct pending_item *other)
{
	table_remove(&pending->table, other->hash, item_is, other);
	if (pending->floor_count < PENDING_FLOORS) {
		pending->floors[pending->floor_count].day = other->key.when;
		pending->floors[pending->floor_count].floor = other->counts[PENDING_COUNT_ERROR];
		pending->floor_count++;
	}
	other->next = NULL;
	queue_push(&pending->tops, other);
}

void pending_turn_tops(struct pending *pending)
{
	if (pending->tops.head)
		return;
	pending->floor_count = 0;
	for (struct pending_item *other = pending->others.head; other;) {
		struct pending_item *next = other->next;
		turn_other(pending, other);
		other = next;
	}
	queue_init(&pending->others);
	for (size_t i = pending->sketch.count; i > 0; i--) {
		struct pending_item *item = pending->sketch.heap[i - 1];
		item->next = NULL;
		queue_push(&pending->tops, item);
	}
	pending->sketch.count = 0;
}

uint64_t pending_top_weight(const struct pending *pending, const struct pending_item *item)
{
	uint64_t estimate = sketch_estimate(item);

	for (size_t i = 0; i < pending->floor_count; i++) {
		if (pending->floors[i].day == item->key.when && pending->floors[i].floor <= estimate)
			return estimate - pending->floors[i].floor;
	}
	return estimate;
}

uint64_t pending_top_missed(const struct pending_item *other)
{
	return other->counts[PENDING_COUNT_ERROR] + other->counts[PENDING_COUNT_UNNAMED];
}

struct pending_item *pending_take(struct pending *pending, struct pending_queue *queue)
{
	struct pending_item *item = queue->head;
	if (!item)
		return NULL;
	queue->head = item->next;
	if (!queue->head)
		queue->tail = &queue->head;
	queue->count--;
	table_remove(&pending->table, item->hash, item_is, item);
	note_gone(pending, item);
	if (item->key.kind == PENDING_CLIENT)
		pending->queries -= item->counts[COUNTER_queries];
	return item;
}

struct pending_line *pending_take_line(struct pending *pending)
{
	struct pending_line *line = pending->lines;
	if (!line)
		return NULL;
	pending->lines = line->next;
	if (!pending->lines)
		pending->lines_tail = &pending->lines;
	pending->line_count--;
	pending->line_bytes -= line->length;
	return line;
}

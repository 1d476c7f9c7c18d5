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

#include "resolver/telemetry/pending_private.h"

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

void pending_item_seen(struct pending_item *item, int64_t first_us, int64_t last_us)
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

struct pending_item *pending_upsert(
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

struct pending_item *pending_other_of(struct pending *pending, uint32_t day)
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
	struct pending_item *other = pending_other_of(pending, least->key.when);
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

struct pending_item *pending_add_top(
	struct pending *pending, const struct pending_key *key, uint64_t queries)
{
	uint64_t hash;
	struct pending_item *item = find(pending, key, &hash);

	if (!item)
		return new_top(pending, key, hash, queries);
	touch(pending, item)->counts[PENDING_COUNT_QUERIES] += queries;
	if (pending_is_in_sketch(pending, item))
		sketch_raised(&pending->sketch, item);
	return item;
}

void pending_add_other(struct pending *pending, uint32_t day, uint64_t queries, uint64_t unnamed)
{
	struct pending_item *other = pending_other_of(pending, day);

	if (!other)
		return;
	other->counts[PENDING_COUNT_QUERIES] += queries;
	other->counts[PENDING_COUNT_UNNAMED] += unnamed;
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
		if (pending->floors[i].day == item->key.when &&
			pending->floors[i].floor <= estimate)
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

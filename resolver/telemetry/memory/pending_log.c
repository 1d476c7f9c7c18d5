/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writing walks the list of changed items, so a look costs what it changed and not what waits.
 * Reading collects the last state of each item by its number, then puts them into pending in the
 * order of their birth, which is the order in which batches take them.
 *
 * Rejected: logging the tallies and merging them again. Their merge depends on limits, on a sketch
 * and on memory, so a second run could end elsewhere than the first, of which a part was sent.
 */
#include "resolver/telemetry/memory/pending_log.h"

#include <stdlib.h>
#include <string.h>

#include "resolver/telemetry/transaction.h"

#define FLAG_KEY 1
#define FLAG_TIMES 2
#define FLAG_OWNER 4

/* --- numbers and octets --- */

void log_write(struct strbuf *out, uint64_t value)
{
	uint8_t octets[10];
	size_t size = 0;

	for (; value >= 0x80; value >>= 7)
		octets[size++] = (uint8_t)(value | 0x80);
	octets[size++] = (uint8_t)value;
	strbuf_append(out, octets, size);
}

uint64_t log_read(struct log_cursor *cursor)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		const uint8_t *octet = log_read_octets(cursor, 1);
		if (!octet)
			return 0;
		value |= (uint64_t)(*octet & 0x7f) << shift;
		if (!(*octet & 0x80))
			return value;
	}
	cursor->failed = true;
	return 0;
}

const uint8_t *log_read_octets(struct log_cursor *cursor, size_t size)
{
	const uint8_t *at = cursor->at;

	if (cursor->failed || cursor->left < size) {
		cursor->failed = true;
		return NULL;
	}
	cursor->at += size;
	cursor->left -= size;
	return at;
}

static void write_name(struct strbuf *out, const uint8_t *name, size_t length)
{
	log_write(out, length);
	strbuf_append(out, name, length);
}

static size_t octets_of(unsigned family)
{
	if (family == ADDRESS_NONE)
		return 0;
	return family == ADDRESS_V4 ? 4 : sizeof(((struct address *)0)->octets);
}

static void write_address(struct strbuf *out, const struct address *address)
{
	strbuf_append_char(out, (char)address->family);
	strbuf_append(out, address->octets, octets_of(address->family));
}

static void read_address(struct log_cursor *cursor, struct address *address)
{
	const uint8_t *family = log_read_octets(cursor, 1);

	*address = (struct address){0};
	if (!family)
		return;
	address->family = *family;
	if (*family > ADDRESS_EXCLUDED)
		cursor->failed = true;
	const uint8_t *octets = log_read_octets(cursor, octets_of(*family));
	if (octets)
		memcpy(address->octets, octets, octets_of(*family));
}

static bool is_of_a_zone(enum pending_kind kind)
{
	return kind == PENDING_ZONE || kind == PENDING_RULE;
}

/* --- writing --- */

static void write_key(
	struct strbuf *out, const struct pending_key *key, const struct zone_ids *zones)
{
	log_write(out, key->kind);
	log_write(out, key->when);
	write_name(out, key->name, key->name_length);
	write_address(out, &key->client);
	write_address(out, &key->address);
	if (is_of_a_zone(key->kind) && !zones) {
		log_write(out, key->zone);
	} else if (is_of_a_zone(key->kind)) {
		const char *zone = zone_ids_name(zones, key->zone);
		write_name(out, (const uint8_t *)zone, zone ? strlen(zone) : 0);
	}
}

static bool has_owner(const struct pending_item *item)
{
	size_t length = item->key.name_length;

	return item->owner && (name_wire_length(item->owner, NAME_WIRE_MAX) != length ||
				      memcmp(item->owner, item->key.name, length) != 0);
}

static void write_item(
	struct strbuf *out, const struct pending_item *item, const struct zone_ids *zones)
{
	bool times = item->first_us <= item->last_us, owner = has_owner(item);
	size_t counts = pending_counts_of(item->key.kind);

	strbuf_append_char(out, LOG_ITEM);
	log_write(out, item->id);
	log_write(out, (item->logged ? 0u : FLAG_KEY) | (times ? FLAG_TIMES : 0u) |
			       (owner ? FLAG_OWNER : 0u));
	if (!item->logged)
		write_key(out, &item->key, zones);
	for (size_t i = 0; i < counts; i++)
		log_write(out, item->counts[i]);
	if (times) {
		log_write(out, (uint64_t)item->first_us);
		log_write(out, (uint64_t)(item->last_us - item->first_us));
	}
	if (owner)
		write_name(out, item->owner, name_wire_length(item->owner, NAME_WIRE_MAX));
}

static void write_gone(struct strbuf *out, const struct strbuf *gone)
{
	uint64_t id;

	if (gone->length == 0)
		return;
	strbuf_append_char(out, LOG_GONE);
	log_write(out, gone->length / sizeof(id));
	for (size_t at = 0; at < gone->length; at += sizeof(id)) {
		memcpy(&id, gone->data + at, sizeof(id));
		log_write(out, id);
	}
}

bool pending_log_changes(
	struct pending *pending, const struct zone_ids *zones, struct strbuf *out, size_t size_max)
{
	if (pending->gone.failed)
		out->failed = true;
	write_gone(out, &pending->gone);
	strbuf_clear(&pending->gone);
	while (pending->changed && out->length < size_max) {
		struct pending_item *item = pending->changed;
		write_item(out, item, zones);
		item->changed = false;
		item->logged = true;
		pending_list_put(&pending->unchanged, item);
	}
	return pending->changed != NULL;
}

void pending_log_begin_snapshot(struct pending *pending)
{
	strbuf_clear(&pending->gone);
	while (pending->unchanged) {
		pending->unchanged->changed = true;
		pending_list_put(&pending->changed, pending->unchanged);
	}
	for (struct pending_item *item = pending->changed; item; item = item->list_next)
		item->logged = false;
}

/* --- reading --- */

struct saved {
	uint64_t id;
	int64_t first_us, last_us;
	uint64_t counts[CLIENT_COUNTER_COUNT];
	uint8_t *owner;
	struct pending_key key; /* allocated as far as the name reaches */
};

static bool saved_is(const void *item, const void *key)
{
	return ((const struct saved *)item)->id == *(const uint64_t *)key;
}

static uint64_t hash_id(uint64_t id)
{
	return id * UINT64_C(0x9e3779b97f4a7c15) >> 16;
}

static void saved_free(struct saved *saved)
{
	if (!saved)
		return;
	free(saved->owner);
	free(saved);
}

void pending_log_init(struct pending_log *log)
{
	*log = (struct pending_log){0};
	table_init(&log->items, SIZE_MAX / 2);
}

void pending_log_deinit(struct pending_log *log)
{
	while (log->items.count > 0)
		saved_free(table_take_any(&log->items));
	table_deinit(&log->items);
}

static uint16_t read_zone(struct log_cursor *cursor, struct zone_ids *zones)
{
	char name[ZONE_IDS_NAME_SIZE] = "";
	uint64_t length = log_read(cursor);

	if (!zones)
		return (uint16_t)length;
	const uint8_t *octets = log_read_octets(cursor, length);
	if (!octets || length == 0 || length >= sizeof(name))
		return ZONE_ID_NONE;
	memcpy(name, octets, length);
	return zone_ids_add(zones, name);
}

static bool read_key(struct log_cursor *cursor, struct pending_key *key, struct zone_ids *zones)
{
	uint64_t kind = log_read(cursor), when = log_read(cursor), length = log_read(cursor);

	*key = (struct pending_key){
		.kind = (uint8_t)kind, .when = (uint32_t)when, .name_length = (uint8_t)length};
	if (kind >= PENDING_KINDS || length > NAME_WIRE_MAX)
		return false;
	const uint8_t *name = log_read_octets(cursor, length);
	if (!name || (length && name_wire_length(name, length) != length))
		return false;
	memcpy(key->name, name, length);
	read_address(cursor, &key->client);
	read_address(cursor, &key->address);
	if (is_of_a_zone(key->kind))
		key->zone = read_zone(cursor, zones);
	return !cursor->failed;
}

static struct saved *saved_new(struct pending_log *log, uint64_t id, const struct pending_key *key)
{
	struct saved *old = table_remove(&log->items, hash_id(id), saved_is, &id);
	struct saved *saved = malloc(sizeof(*saved));

	saved_free(old);
	if (!saved)
		return NULL;
	*saved = (struct saved){.id = id, .first_us = INT64_MAX};
	size_t size = offsetof(struct saved, key.name) + key->name_length;
	memcpy(&saved->key, key, offsetof(struct pending_key, name) + key->name_length);
	struct saved *smaller = realloc(saved, size);
	saved = smaller ? smaller : saved;
	if (table_insert(&log->items, hash_id(id), saved) == TD_OK)
		return saved;
	saved_free(saved);
	return NULL;
}

static bool read_owner(struct log_cursor *cursor, struct saved *saved)
{
	size_t length = log_read(cursor);
	const uint8_t *octets = log_read_octets(cursor, length);

	if (!octets || length == 0 || length > NAME_WIRE_MAX ||
		name_wire_length(octets, length) != length)
		return false;
	saved->owner = malloc(length);
	if (saved->owner)
		memcpy(saved->owner, octets, length);
	return true;
}

bool pending_log_read_item(
	struct pending_log *log, struct log_cursor *cursor, struct zone_ids *zones)
{
	uint64_t id = log_read(cursor), flags = log_read(cursor);
	struct pending_key key;
	struct saved *saved;

	if (flags & FLAG_KEY) {
		if (!read_key(cursor, &key, zones))
			return false;
		saved = saved_new(log, id, &key);
		log->failed |= !saved;
	} else {
		saved = table_find(&log->items, hash_id(id), saved_is, &id);
	}
	if (!saved)
		return false;
	for (size_t i = 0; i < pending_counts_of(saved->key.kind); i++)
		saved->counts[i] = log_read(cursor);
	if (flags & FLAG_TIMES) {
		saved->first_us = (int64_t)log_read(cursor);
		saved->last_us = saved->first_us + (int64_t)log_read(cursor);
	}
	free(saved->owner); /* the name itself, unless another is given */
	saved->owner = NULL;
	return (!(flags & FLAG_OWNER) || read_owner(cursor, saved)) && !cursor->failed;
}

bool pending_log_read_gone(struct pending_log *log, struct log_cursor *cursor)
{
	for (uint64_t count = log_read(cursor); count > 0 && !cursor->failed; count--) {
		uint64_t id = log_read(cursor);
		saved_free(table_remove(&log->items, hash_id(id), saved_is, &id));
	}
	return !cursor->failed;
}

/* --- into pending --- */

static int by_id(const void *a, const void *b)
{
	uint64_t first = (*(struct saved *const *)a)->id, second = (*(struct saved *const *)b)->id;

	return first < second ? -1 : first > second;
}

static uint32_t moved(uint32_t when, int64_t unit_us, int64_t middle_us, int64_t shift_us)
{
	int64_t at = (middle_us ? middle_us : when * unit_us + unit_us / 2) + shift_us;

	return at > 0 ? (uint32_t)(at / unit_us) : 0;
}

static bool is_of_an_hour(enum pending_kind kind)
{
	return kind == PENDING_CLIENT || kind == PENDING_QUERY || kind == PENDING_TIMELINE;
}

/* The middle of its time says in which hour or day an item belongs: a part of it may belong to a
 * neighbour, which nobody can tell any more. */
static void shift_saved(struct saved *saved, int64_t shift_us)
{
	bool timed = saved->first_us <= saved->last_us;
	int64_t middle_us = timed ? saved->first_us + (saved->last_us - saved->first_us) / 2 : 0;

	if (shift_us == 0)
		return;
	if (saved->key.kind == PENDING_TOP)
		saved->key.when = moved(saved->key.when, 24 * US_PER_HOUR, middle_us, shift_us);
	else if (is_of_an_hour(saved->key.kind))
		saved->key.when = moved(saved->key.when, US_PER_HOUR, middle_us, shift_us);
	if (timed) {
		saved->first_us += shift_us;
		saved->last_us += shift_us;
	}
}

void pending_log_restore(struct pending_log *log, struct pending *pending, int64_t shift_us)
{
	size_t count = log->items.count, position = 0;
	struct saved **sorted = malloc((count + 1) * sizeof(struct saved *));

	for (size_t i = 0; sorted && i < count; i++)
		sorted[i] = table_next(&log->items, &position);
	if (sorted)
		qsort(sorted, count, sizeof(struct saved *), by_id);
	for (size_t i = 0; i < count; i++) {
		struct saved *saved = sorted ? sorted[i] : table_next(&log->items, &position);
		shift_saved(saved, shift_us);
		pending_put(pending, &saved->key, saved->counts, saved->first_us, saved->last_us,
			saved->owner);
	}
	free(sorted);
}

bool pending_shift(struct pending *pending, int64_t shift_us)
{
	struct pending_log log;
	struct strbuf octets;

	strbuf_init(&octets);
	pending_log_init(&log);
	pending_log_begin_snapshot(pending);
	pending_log_changes(pending, NULL, &octets, SIZE_MAX);
	struct log_cursor cursor = {.at = (const uint8_t *)octets.data, .left = octets.length};
	bool good = !octets.failed;
	while (good && cursor.left > 0) {
		const uint8_t *letter = log_read_octets(&cursor, 1);
		good = *letter == LOG_ITEM && pending_log_read_item(&log, &cursor, NULL);
	}
	good = good && !log.failed;
	if (good) {
		pending_drop_items(pending);
		pending_log_restore(&log, pending, shift_us);
	}
	pending_log_begin_snapshot(pending);
	strbuf_deinit(&octets);
	pending_log_deinit(&log);
	return good;
}

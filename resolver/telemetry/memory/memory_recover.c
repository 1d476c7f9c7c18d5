/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * First the log, then the tallies that it does not name. The one record that may count for nothing
 * is a last one that says a batch was frozen: if the journal lacks that batch it was never sent,
 * and its items wait as before.
 */
#include "resolver/telemetry/memory/memory_recover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "resolver/telemetry/memory/memory_log.h"
#include "resolver/telemetry/memory/pending_log.h"
#include "resolver/telemetry/memory/region.h"
#include "resolver/telemetry/whole_file.h"

#define TALLIES_MAX 4096
#define HELD_MAX ((size_t)1 << 20)

struct recovery {
	const struct memory_place *place;
	struct zone_ids *zones;
	struct journal *journal;
	const struct clock_watch *clock;
	struct pending_log items;
	char boot[JOURNAL_ID_SIZE];
	bool begun; /* the header was read */
	uint64_t details_dropped, queries_lost;
	int64_t offset_us;
	bool has_offset;
	uint64_t merged[TALLIES_MAX]; /* generation + 1 of the last tally merged in each slot */
	struct memory_held *held;
};

/* --- sections --- */

static bool read_id(struct log_cursor *cursor, char out[JOURNAL_ID_SIZE])
{
	const uint8_t *octets = log_read_octets(cursor, JOURNAL_ID_SIZE - 1);

	if (!octets)
		return false;
	memcpy(out, octets, JOURNAL_ID_SIZE - 1);
	out[JOURNAL_ID_SIZE - 1] = '\0';
	return true;
}

/* Of another boot of the machine only a folder that is not on tmpfs can be, half written then. */
static bool read_header(struct recovery *it, struct log_cursor *cursor)
{
	uint64_t version = log_read(cursor), counters = log_read(cursor);

	if (version != MEMORY_VERSION || counters != CLIENT_COUNTER_COUNT) {
		log_error("memory: %s/" MEMORY_LOG_NAME " was written by another version, its "
			  "counts are lost",
			it->place->path);
		return false;
	}
	if (!read_id(cursor, it->boot))
		return false;
	const uint8_t *kernel = log_read_octets(cursor, MEMORY_KERNEL_LENGTH);
	it->begun = kernel && memcmp(kernel, it->place->kernel, MEMORY_KERNEL_LENGTH) == 0;
	if (kernel && !it->begun)
		log_error("memory: %s is from before the machine was started again, what it holds "
			  "cannot be trusted and is left out",
			it->place->path);
	return it->begun;
}

static bool read_state(struct recovery *it, struct log_cursor *cursor)
{
	it->details_dropped = log_read(cursor);
	it->queries_lost = log_read(cursor);
	const uint8_t *octets = log_read_octets(cursor, sizeof(it->offset_us));
	if (octets)
		memcpy(&it->offset_us, octets, sizeof(it->offset_us));
	it->has_offset = octets != NULL;
	return it->has_offset;
}

static bool read_tally(struct recovery *it, struct log_cursor *cursor)
{
	uint64_t slot = log_read(cursor), generation = log_read(cursor);

	if (cursor->failed || slot >= TALLIES_MAX)
		return false;
	it->merged[slot] = generation + 1;
	return true;
}

static bool read_settled(struct recovery *it, struct log_cursor *cursor)
{
	char boot[JOURNAL_ID_SIZE];

	if (!read_id(cursor, boot))
		return false;
	struct memory_held *held = memory_held_find(it->held, boot, log_read(cursor));
	if (held)
		memory_held_remove(&it->held, held);
	return !cursor->failed;
}

static bool read_held(struct recovery *it, struct log_cursor *cursor)
{
	struct journal_key key = {0};

	if (!read_id(cursor, key.boot))
		return false;
	key.number = log_read(cursor);
	key.queries = log_read(cursor);
	size_t length = log_read(cursor);
	const uint8_t *octets = length <= HELD_MAX ? log_read_octets(cursor, length) : NULL;
	return octets && memory_held_add(&it->held, &key, octets, length);
}

static bool read_section(struct recovery *it, uint8_t letter, struct log_cursor *cursor)
{
	switch (letter) {
	case MEMORY_HEADER:
		return read_header(it, cursor);
	case MEMORY_STATE:
		return read_state(it, cursor);
	case MEMORY_TALLY:
		return read_tally(it, cursor);
	case MEMORY_FROZEN:
		log_read(cursor);
		return !cursor->failed;
	case MEMORY_HELD:
		return read_held(it, cursor);
	case MEMORY_SETTLED:
		return read_settled(it, cursor);
	case LOG_ITEM:
		return pending_log_read_item(&it->items, cursor, it->zones);
	case LOG_GONE:
		return pending_log_read_gone(&it->items, cursor);
	default:
		return false;
	}
}

/* --- the log --- */

/* A record of frozen items begins with its number, so that this need not read the others. */
static bool was_not_sent(const struct recovery *it, const uint8_t *body, size_t length)
{
	struct log_cursor cursor = {.at = body, .left = length};
	const uint8_t *letter = log_read_octets(&cursor, 1);

	if (!letter || *letter != MEMORY_FROZEN)
		return false;
	uint64_t number = log_read(&cursor);
	return !cursor.failed && !journal_has(it->journal, it->boot, number);
}

static bool read_body(struct recovery *it, const uint8_t *body, size_t length)
{
	struct log_cursor cursor = {.at = body, .left = length};

	while (cursor.left > 0) {
		const uint8_t *letter = log_read_octets(&cursor, 1);
		if (!it->begun && *letter != MEMORY_HEADER)
			return false;
		if (!read_section(it, *letter, &cursor))
			return false;
	}
	return true;
}

static void read_records(struct recovery *it, const uint8_t *octets, size_t size)
{
	size_t at = 0, length, next_length;
	const uint8_t *body = memory_log_next(octets, size, &at, &length);

	while (body) {
		const uint8_t *next = memory_log_next(octets, size, &at, &next_length);
		if (!next && was_not_sent(it, body, length))
			return;
		if (!read_body(it, body, length)) {
			if (it->begun)
				log_error("memory: %s/" MEMORY_LOG_NAME
					  " is damaged, a part of its counts is lost",
					it->place->path);
			return;
		}
		body = next;
		length = next_length;
	}
}

static void read_log(struct recovery *it)
{
	uint8_t *octets;
	size_t size;
	enum td_error error = whole_file_read(
		it->place->dir_fd, MEMORY_LOG_NAME, SIZE_MAX, &octets, &size);

	if (error == TD_OK)
		read_records(it, octets, size);
	else if (error != TD_NOT_FOUND)
		log_error("memory: %s/" MEMORY_LOG_NAME " cannot be read (%s), its counts are lost",
			it->place->path, error == TD_IO ? strerror(errno) : error_text(error));
	free(octets);
	if (error == TD_OK && !it->begun)
		memory_place_set_aside(it->place, MEMORY_LOG_NAME);
}

/* --- the tallies --- */

/* Zones have the numbers of that process. */
static void translate_zones(struct recovery *it, const struct region *region, struct tally *tally)
{
	for (uint32_t i = 0; i < tally->detail_count; i++) {
		uint16_t zone = tally->details[i].zone;
		if (zone >= ZONE_IDS_MAX || region->header->zones[zone][0] == '\0')
			tally->details[i].zone = ZONE_ID_NONE;
		else
			tally->details[i].zone =
				zone_ids_add(it->zones, region->header->zones[zone]);
	}
}

static void take_tally(
	struct recovery *it, const struct region *region, size_t slot, struct pending *pending)
{
	struct tally *tally = &region->tallies[slot];
	int64_t slept_us = atomic_load(&region->header->slept_us);

	if (slot < TALLIES_MAX && it->merged[slot] == tally->generation + 1)
		return;
	if (!tally_mend(tally)) {
		log_error("memory: %s/" MEMORY_TALLIES_NAME ": one of %zu is damaged, its %llu "
			  "answered queries are lost",
			it->place->path, region->count, (unsigned long long)tally->queries);
		return;
	}
	if (tally->queries == 0)
		return;
	translate_zones(it, region, tally);
	int64_t shift_us = clock_watch_shift_from(it->clock, tally->clock_us - slept_us);
	if (shift_us)
		tally_shift(tally, shift_us);
	pending_merge(pending, tally);
}

static void take_tallies(struct recovery *it, struct pending *pending)
{
	struct region region;
	uint64_t lost;
	enum td_error error = region_read(&region, it->place->dir_fd, MEMORY_TALLIES_NAME, &lost);

	if (error == TD_NOT_FOUND)
		return;
	if (error != TD_OK) {
		log_error("memory: %s/" MEMORY_TALLIES_NAME ": %s; %llu answered queries in it are "
			  "lost",
			it->place->path,
			error == TD_UNSUPPORTED ? "another version wrote it" : "it cannot be read",
			(unsigned long long)lost);
		memory_place_set_aside(it->place, MEMORY_TALLIES_NAME);
		return;
	}
	bool belongs = it->begun && strcmp(region.header->boot, it->boot) == 0;
	for (size_t slot = 0; belongs && slot < region.count; slot++)
		take_tally(it, &region, slot, pending);
	region_close(&region);
}

/* --- batches that the journal had refused --- */

/* Whoever was killed behind the journal's word and before the log's had both. */
static bool place_one(struct recovery *it, const struct memory_held *held)
{
	return journal_has(it->journal, held->key.boot, held->key.number) ||
	       journal_append(it->journal, &held->key, held->octets, held->length, 0) == TD_OK;
}

static void place_held(struct recovery *it)
{
	for (struct memory_held *held = it->held; held;) {
		struct memory_held *next = held->next;
		if (place_one(it, held))
			memory_held_remove(&it->held, held);
		held = next;
	}
}

uint64_t memory_recover(const struct memory_place *place, struct pending *pending,
	struct zone_ids *zones, struct journal *journal, const struct clock_watch *clock,
	struct memory_held **held)
{
	struct recovery *it = calloc(1, sizeof(*it));
	uint64_t before = pending->queries;

	if (!it)
		return 0;
	it->place = place;
	it->zones = zones;
	it->journal = journal;
	it->clock = clock;
	pending_log_init(&it->items);
	read_log(it);
	if (it->items.failed)
		log_error("memory: too little memory for all that waited, a part of it is lost");
	int64_t shift_us = it->has_offset ? clock_watch_shift_from(clock, it->offset_us) : 0;
	pending_log_restore(&it->items, pending, shift_us);
	pending_log_deinit(&it->items);
	pending->details_dropped += it->details_dropped;
	pending->queries_lost += it->queries_lost;
	take_tallies(it, pending);
	place_held(it);
	*held = it->held;
	free(it);
	return pending->queries - before;
}

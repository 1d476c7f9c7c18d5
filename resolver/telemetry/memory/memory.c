/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two files' order. The log names the boot whose tallies belong to it. A start writes the next
 * log whole (what it recovered, under its own boot) and renames it over the old one: that moment
 * decides. Before it, the next start recovers the old files again; behind it, the old tallies are
 * of another boot than the log and nobody reads them.
 *
 *   body    sections until its end, each begins with a letter
 *   header  'h' version, counters of a client, boot 16, kernel's boot 36     first record only
 *   state   's' details dropped, queries lost, clock offset
 *   tally   't' slot, generation
 *   frozen  'f' number
 *   held    'b' boot 16, number, queries, length, octets
 *   settled 'a' boot 16, number
 *   and those of pending_log.h
 *
 * Rejected: a database in shared memory (its own pointers and locks would have to survive a kill at
 * any instruction), and writing counts to the journal each second (a disk write a second for
 * nothing, in the life of a small flash).
 */
#include "resolver/telemetry/memory/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/telemetry/memory/memory_log.h"
#include "resolver/telemetry/memory/memory_place.h"
#include "resolver/telemetry/memory/memory_recover.h"
#include "resolver/telemetry/memory/pending_log.h"
#include "resolver/telemetry/memory/region.h"

#define RECORD_MAX ((size_t)1 << 20) /* of a snapshot */
#define SLACK ((size_t)256 << 10)    /* a log of so many octets is not worth cutting back */
#define RETRY_US (10 * US_PER_S)

struct memory {
	struct pending *pending;
	struct zone_ids *zones;
	const struct clock_watch *clock;
	char boot[JOURNAL_ID_SIZE];
	struct region region;
	struct memory_place place; /* dir_fd -1: plain memory */
	struct memory_log log;
	size_t header_bytes, snapshot_bytes;
	struct strbuf record;
	bool begun;  /* record has sections that wait for the commit */
	bool broken; /* the log holds nothing, since a write failed */
	int64_t retry_us;
	struct memory_held *held;
	uint64_t healed, failures;
};

static bool is_on(const struct memory *memory)
{
	return memory->log.fd >= 0;
}

/* --- sections --- */

static void begin(struct memory *memory)
{
	if (!memory->begun)
		memory_log_begin(&memory->record);
	memory->begun = true;
}

static void put_id(struct strbuf *out, const char *id)
{
	char padded[JOURNAL_ID_SIZE] = {0};

	snprintf(padded, sizeof(padded), "%s", id);
	strbuf_append(out, padded, JOURNAL_ID_SIZE - 1);
}

static void put_header(struct memory *memory)
{
	begin(memory);
	strbuf_append_char(&memory->record, MEMORY_HEADER);
	log_write(&memory->record, MEMORY_VERSION);
	log_write(&memory->record, CLIENT_COUNTER_COUNT);
	put_id(&memory->record, memory->boot);
	strbuf_append(&memory->record, memory->place.kernel, MEMORY_KERNEL_LENGTH);
}

static void put_state(struct memory *memory)
{
	int64_t offset_us = clock_watch_offset(memory->clock);

	begin(memory);
	strbuf_append_char(&memory->record, MEMORY_STATE);
	log_write(&memory->record, memory->pending->details_dropped);
	log_write(&memory->record, memory->pending->queries_lost);
	strbuf_append(&memory->record, &offset_us, sizeof(offset_us));
}

static void put_held(struct memory *memory, const struct memory_held *held)
{
	begin(memory);
	strbuf_append_char(&memory->record, MEMORY_HELD);
	put_id(&memory->record, held->key.boot);
	log_write(&memory->record, held->key.number);
	log_write(&memory->record, held->key.queries);
	log_write(&memory->record, held->length);
	strbuf_append(&memory->record, held->octets, held->length);
}

/* --- writing --- */

/* The log must not say what is no longer so: emptied, it says nothing. */
static void fail(struct memory *memory, const char *what)
{
	memory->failures++;
	if (!memory->broken)
		log_warning("memory: %s: %s: %s; counting goes on, but what waits for Redis would "
			    "not outlive a crash",
			memory->place.path, what, strerror(errno));
	memory->broken = true;
	memory->begun = false;
	if (memory_log_cut(&memory->log, memory->header_bytes) != TD_OK)
		unlinkat(memory->place.dir_fd, MEMORY_LOG_NAME, 0);
}

static bool write_record(struct memory *memory, struct memory_log *log)
{
	memory->begun = false;
	return memory_log_append(log, &memory->record) == TD_OK;
}

static bool write_snapshot(struct memory *memory, struct memory_log *log)
{
	bool more = true;

	put_header(memory);
	if (!write_record(memory, log))
		return false;
	memory->header_bytes = log->bytes;
	put_state(memory);
	for (const struct memory_held *held = memory->held; held; held = held->next)
		put_held(memory, held);
	pending_log_begin_snapshot(memory->pending);
	while (more) {
		begin(memory);
		more = pending_log_changes(
			memory->pending, memory->zones, &memory->record, RECORD_MAX);
		if (!write_record(memory, log))
			return false;
	}
	return true;
}

/* A new log in place of the old one, which stays as it is when this fails. */
static bool replace_log(struct memory *memory)
{
	size_t header_bytes = memory->header_bytes;
	int dir_fd = memory->place.dir_fd;
	struct memory_log log;

	memory->begun = false;
	bool good = memory_log_create(&log, dir_fd, MEMORY_LOG_NAME ".new") == TD_OK &&
		    write_snapshot(memory, &log) &&
		    renameat(dir_fd, MEMORY_LOG_NAME ".new", dir_fd, MEMORY_LOG_NAME) == 0;
	int error = errno;
	if (good) {
		memory_log_close(&memory->log);
		memory->log = log;
		memory->snapshot_bytes = log.bytes;
	} else {
		memory_log_close(&log);
		unlinkat(dir_fd, MEMORY_LOG_NAME ".new", 0);
		memory->header_bytes = header_bytes;
	}
	memory->begun = false;
	errno = error;
	return good;
}

static bool has_items(const struct memory *memory)
{
	return memory->pending->changed || memory->pending->unchanged;
}

/* --- what the collector says --- */

void memory_merged(struct memory *memory, const struct tally *tally)
{
	if (!is_on(memory))
		return;
	begin(memory);
	strbuf_append_char(&memory->record, MEMORY_TALLY);
	log_write(&memory->record, (uint64_t)(tally - memory->region.tallies));
	log_write(&memory->record, tally->generation);
}

void memory_commit(struct memory *memory)
{
	if (!is_on(memory) || memory->broken) {
		memory->begun = false;
		return;
	}
	if (memory->pending->gone.length > 0 || memory->pending->changed || memory->begun) {
		put_state(memory);
		pending_log_changes(memory->pending, memory->zones, &memory->record, SIZE_MAX);
		if (!write_record(memory, &memory->log))
			fail(memory, "write");
	}
}

void memory_frozen(struct memory *memory, uint64_t number)
{
	if (!is_on(memory) || memory->pending->gone.length == 0)
		return;
	begin(memory);
	strbuf_append_char(&memory->record, MEMORY_FROZEN);
	log_write(&memory->record, number);
	memory_commit(memory);
}

void memory_hold(
	struct memory *memory, const struct journal_key *key, const void *octets, size_t length)
{
	if (!is_on(memory) || memory_held_find(memory->held, key->boot, key->number))
		return;
	struct memory_held *held = memory_held_add(&memory->held, key, octets, length);
	if (!held) {
		errno = ENOMEM;
		fail(memory, "a batch");
		return;
	}
	if (memory->broken)
		return;
	put_held(memory, held);
	memory_commit(memory);
}

void memory_release(struct memory *memory, const char *boot, uint64_t number)
{
	struct memory_held *held = memory_held_find(memory->held, boot, number);

	if (!held)
		return;
	begin(memory);
	strbuf_append_char(&memory->record, MEMORY_SETTLED);
	put_id(&memory->record, boot);
	log_write(&memory->record, number);
	memory_held_remove(&memory->held, held); /* boot may be its own */
	memory_commit(memory);
}

const struct memory_held *memory_next_held(const struct memory *memory)
{
	const struct memory_held *held = memory->held;

	while (held && strcmp(held->key.boot, memory->boot) == 0)
		held = held->next;
	return held;
}

/* --- keeping it small --- */

static void cut_back(struct memory *memory)
{
	if (memory_log_cut(&memory->log, memory->header_bytes) != TD_OK) {
		fail(memory, "ftruncate");
		return;
	}
	memory->snapshot_bytes = 0;
	memory->broken = false;
}

static void begin_anew(struct memory *memory, const struct now *now)
{
	if (now->mono_us < memory->retry_us)
		return;
	memory->retry_us = now->mono_us + RETRY_US;
	if (!replace_log(memory))
		return;
	memory->broken = false;
	log_info("memory: %s takes counts again", memory->place.path);
}

void memory_settle(struct memory *memory, const struct now *now)
{
	if (!is_on(memory))
		return;
	atomic_store_explicit(
		&memory->region.header->slept_us, memory->clock->slept_us, memory_order_relaxed);
	size_t most = memory->snapshot_bytes * 2 + SLACK;
	if (memory->broken)
		begin_anew(memory, now);
	else if (memory->log.bytes > SLACK && !has_items(memory) && !memory->held)
		cut_back(memory);
	else if (memory->log.bytes > most && now->mono_us >= memory->retry_us &&
		 !replace_log(memory))
		memory->retry_us = now->mono_us + RETRY_US;
}

void memory_rewrite(struct memory *memory)
{
	if (!is_on(memory) || memory->broken)
		return;
	if (!replace_log(memory))
		fail(memory, "write");
}

/* --- opening and closing --- */

static void go_plain(struct memory *memory)
{
	if (memory->place.dir_fd >= 0)
		memory_place_empty(&memory->place);
	memory_log_close(&memory->log);
	region_close(&memory->region);
	memory_place_close(&memory->place);
}

/* The log first: from then on the old tallies belong to nobody. */
static bool make_files(struct memory *memory, size_t tallies)
{
	if (!replace_log(memory)) {
		log_warning("memory: %s: %s; counts are in plain memory, which a crash loses",
			memory->place.path, strerror(errno));
		return false;
	}
	if (region_create(&memory->region, memory->place.dir_fd, MEMORY_TALLIES_NAME, tallies,
		    memory->boot, memory->place.kernel) == TD_OK)
		return true;
	log_warning("memory: %s: no room for %zu KiB of counts (%s); they are in plain memory, "
		    "which a crash loses",
		memory->place.path, tallies * sizeof(struct tally) >> 10, strerror(errno));
	return false;
}

struct memory *memory_open(const struct memory_settings *settings, struct pending *pending,
	struct zone_ids *zones, struct journal *journal, const struct clock_watch *clock)
{
	struct memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return NULL;
	memory->pending = pending;
	memory->zones = zones;
	memory->clock = clock;
	memory->log.fd = -1;
	memory->place.dir_fd = memory->place.lock_fd = -1;
	strbuf_init(&memory->record);
	snprintf(memory->boot, sizeof(memory->boot), "%s", settings->boot);
	if (journal && settings->dir[0] != '\0' &&
		memory_place_open(&memory->place, settings->dir, journal_instance(journal))) {
		memory->healed = memory_recover(
			&memory->place, pending, zones, journal, clock, &memory->held);
		if (make_files(memory, settings->tallies))
			zone_ids_keep(zones, memory->region.header->zones);
		else
			go_plain(memory);
	}
	if (!is_on(memory) && !region_open_plain(&memory->region, settings->tallies)) {
		memory_close(&memory);
		return NULL;
	}
	if (memory->healed)
		log_info("memory: %llu answered queries are recovered that the daemon before this "
			 "one had not sent",
			(unsigned long long)memory->healed);
	return memory;
}

bool memory_close(struct memory **memory)
{
	struct memory *it = *memory;

	if (!it)
		return false;
	bool left = is_on(it) && !it->broken && (has_items(it) || it->held);
	if (is_on(it))
		zone_ids_keep(it->zones, NULL);
	if (is_on(it) && !left)
		memory_place_empty(&it->place);
	while (it->held)
		memory_held_remove(&it->held, it->held);
	memory_log_close(&it->log);
	region_close(&it->region);
	memory_place_close(&it->place);
	strbuf_deinit(&it->record);
	free(it);
	*memory = NULL;
	return left;
}

struct tally *memory_tally(const struct memory *memory, size_t index)
{
	return &memory->region.tallies[index];
}

void memory_status(const struct memory *memory, struct memory_status *out)
{
	*out = (struct memory_status){
		.on = is_on(memory) && !memory->broken,
		.bytes = is_on(memory) ? memory->log.bytes : 0,
		.healed = memory->healed,
		.failures = memory->failures,
	};
}

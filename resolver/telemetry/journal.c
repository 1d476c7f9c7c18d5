/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments: files that are only appended to, the oldest deleted whole; in memory an entry for each
 * batch in them, and where it stands. Everything is found again from the records alone; what was
 * acknowledged is a record of its own, written later and never synchronised by itself, because
 * Redis knows better (journal_compare). journal_files has the files, journal_record the octets.
 *
 * What the disk refused and Redis acknowledged is a last segment without a file, compared and sent
 * again like the others. It goes to the disk before any newer batch: there, too, the batches of a
 * boot stand in the order of their numbers, the only one in which Redis takes them.
 *
 * Rejected: one preallocated ring of octets, whose end has to be found by guessing after a crash
 * and which overwrites in place; and an index file, a second truth.
 */
#include "resolver/telemetry/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "resolver/telemetry/journal_files.h"
#include "resolver/telemetry/journal_record.h"

/* Acknowledged batches of older boots are forgotten: see forget_old_boots. */
#define BOOTS_KEPT 16

/* Of a batch on disk, without its octets. */
#define BATCH_FIXED (JOURNAL_HEADER_SIZE + JOURNAL_BATCH_SIZE)

enum entry_state { ENTRY_WAITING, ENTRY_DONE, ENTRY_FORGOTTEN, ENTRY_STATES };

struct entry {
	struct journal_key key;
	char store[JOURNAL_ID_SIZE]; /* that acknowledged it last, "" none did */
	enum entry_state state;
	bool due;
	uint32_t offset, length; /* of the whole record */
	char *record;            /* where it is in no file, else NULL */
};

struct segment {
	struct segment *next; /* newer */
	uint64_t sequence;
	size_t bytes;
	struct entry *entries;
	size_t count, capacity;
};

struct journal {
	struct journal_settings settings;
	struct journal_files files;   /* the active one is the last segment, where there is one */
	struct segment *first, *last; /* of files, `unwritten` behind them; last NULL: no file */
	struct segment unwritten;
	char store[JOURNAL_ID_SIZE]; /* compared or heard of last */
	struct strbuf record;
	struct journal_key appended; /* last */
	size_t bytes, batches;
	size_t states[ENTRY_STATES], due; /* how many entries are so */
	uint64_t waiting_queries, missing, damaged, dropped;
};

const struct journal_settings journal_settings_default = {
	.fsync = JOURNAL_FSYNC_SECOND,
	.segment_bytes = (size_t)1 << 20,
	.kept_bytes = (size_t)16 << 20,
	.kept_batches = 10000,
	.bytes_max = (size_t)64 << 20,
	.unwritten_bytes = (size_t)4 << 20,
	.unwritten_batches = 1000,
};

static void set_id(char out[JOURNAL_ID_SIZE], const char *id)
{
	snprintf(out, JOURNAL_ID_SIZE, "%s", id);
}

/* --- entries --- */

static struct entry *find_in(struct segment *segment, const char *boot, uint64_t number)
{
	for (size_t i = segment->count; i-- > 0;) {
		struct entry *entry = &segment->entries[i];
		if (entry->key.number == number && strcmp(entry->key.boot, boot) == 0)
			return entry;
	}
	return NULL;
}

/* The newest are looked at first: that is what is acknowledged nearly always. */
static struct entry *find_entry(const struct journal *journal, const char *boot, uint64_t number)
{
	struct entry *entry = journal->last ? find_in(journal->last, boot, number) : NULL;

	for (struct segment *segment = journal->first; segment && !entry; segment = segment->next)
		entry = find_in(segment, boot, number);
	return entry;
}

static void count_entry(struct journal *journal, const struct entry *entry, bool add)
{
	size_t one = add ? 1 : SIZE_MAX; /* or -1 */

	journal->states[entry->state] += one;
	if (entry->due)
		journal->due += one;
	if (entry->state == ENTRY_WAITING)
		journal->waiting_queries += add ? entry->key.queries : -entry->key.queries;
}

static void set_entry(
	struct journal *journal, struct entry *entry, enum entry_state state, bool due)
{
	count_entry(journal, entry, false);
	entry->state = state;
	entry->due = due;
	count_entry(journal, entry, true);
}

/* Makes room for one more, so that adding cannot fail after the write. */
static bool reserve_entry(struct segment *segment)
{
	if (segment->count < segment->capacity)
		return true;
	size_t capacity = segment->capacity ? segment->capacity * 2 : 16;
	struct entry *entries = realloc(segment->entries, capacity * sizeof(*entries));
	if (!entries)
		return false;
	segment->entries = entries;
	segment->capacity = capacity;
	return true;
}

static struct entry *add_entry(struct journal *journal, struct segment *segment,
	const struct journal_key *key, size_t offset, size_t length)
{
	struct entry *entry = &segment->entries[segment->count++];

	*entry =
		(struct entry){.key = *key, .offset = (uint32_t)offset, .length = (uint32_t)length};
	count_entry(journal, entry, true);
	return entry;
}

/* --- segments --- */

static struct segment *push_segment(struct journal *journal, uint64_t sequence)
{
	struct segment *segment = calloc(1, sizeof(*segment));

	if (!segment)
		return NULL;
	segment->sequence = sequence;
	segment->next = &journal->unwritten;
	if (journal->last)
		journal->last->next = segment;
	else
		journal->first = segment;
	journal->last = segment;
	return segment;
}

static void pop_segment(struct journal *journal)
{
	struct segment *segment = journal->first;

	journal->bytes -= segment->bytes;
	journal->batches -= segment->count;
	for (size_t i = 0; i < segment->count; i++)
		count_entry(journal, &segment->entries[i], false);
	journal->first = segment->next;
	if (journal->first == &journal->unwritten)
		journal->last = NULL;
	free(segment->entries);
	free(segment);
}

static bool is_needed(const struct segment *segment)
{
	for (size_t i = 0; i < segment->count; i++) {
		if (segment->entries[i].state == ENTRY_WAITING || segment->entries[i].due)
			return true;
	}
	return false;
}

/* False when it cannot be deleted. */
static bool delete_first(struct journal *journal)
{
	if (!journal_files_delete(&journal->files, journal->first->sequence))
		return false;
	pop_segment(journal);
	return true;
}

/* Deletes the oldest files, as far as the bounds of what is kept ask for it and none waits. */
static void trim(struct journal *journal)
{
	while (journal->last && (journal->bytes > journal->settings.kept_bytes ||
					journal->batches > journal->settings.kept_batches)) {
		bool active = journal->first == journal->last && journal->files.active >= 0;
		if (active || is_needed(journal->first) || !delete_first(journal))
			return;
	}
}

/* --- writing --- */

static bool begin_segment(struct journal *journal)
{
	struct journal_files *files = &journal->files;

	if (!journal_files_begin(files))
		return false;
	if (push_segment(journal, files->last_sequence))
		return true;
	journal_files_fail(files, "a file cannot be made");
	journal_files_end(files);
	journal_files_delete(files, files->last_sequence);
	return false;
}

/* False when no record can be appended. */
static bool make_room(struct journal *journal)
{
	const struct journal_settings *settings = &journal->settings;
	struct journal_files *files = &journal->files;

	if (files->active >= 0 && (journal->last->bytes >= settings->segment_bytes ||
					  journal->last->count >= settings->kept_batches / 8 + 1))
		journal_files_end(files);
	return files->active >= 0 || begin_segment(journal);
}

static bool write_record(struct journal *journal)
{
	const struct strbuf *record = &journal->record;
	struct segment *segment = journal->last;

	if (!journal_files_append(&journal->files, record->data, record->length, segment->bytes))
		return false;
	segment->bytes += record->length;
	journal->bytes += record->length;
	return true;
}

/* The record in journal->record, of this batch: its entry is the last one of the last segment. */
static enum td_error write_batch(struct journal *journal, const struct journal_key *key)
{
	trim(journal);
	if (journal->bytes + journal->record.length > journal->settings.bytes_max)
		return TD_FULL;
	if (!make_room(journal))
		return TD_IO;
	if (!reserve_entry(journal->last))
		return TD_NOMEM;
	size_t offset = journal->last->bytes;
	if (!write_record(journal))
		return TD_IO;
	add_entry(journal, journal->last, key, offset, journal->record.length);
	journal->batches++;
	return TD_OK;
}

static void set_done(struct journal *journal, struct entry *entry, const char *store)
{
	bool known = entry->state == ENTRY_DONE && strcmp(entry->store, store) == 0;

	set_entry(journal, entry, ENTRY_DONE, false);
	set_id(entry->store, store);
	if (known || entry->record)
		return;
	if (journal_record_put_done(&journal->record, &entry->key, store) && make_room(journal))
		write_record(journal);
}

/* --- what the disk refused --- */

static void remove_unwritten(struct journal *journal)
{
	struct segment *unwritten = &journal->unwritten;
	struct entry *oldest = &unwritten->entries[0];

	count_entry(journal, oldest, false);
	unwritten->bytes -= oldest->length;
	free(oldest->record);
	memmove(oldest, oldest + 1, --unwritten->count * sizeof(*oldest));
}

static enum td_error write_oldest(struct journal *journal)
{
	const struct entry *oldest = &journal->unwritten.entries[0];

	if (oldest->state == ENTRY_FORGOTTEN)
		return TD_OK;
	strbuf_clear(&journal->record);
	strbuf_append(&journal->record, oldest->record, oldest->length);
	if (journal->record.failed)
		return TD_NOMEM;
	enum td_error error = write_batch(journal, &oldest->key);
	if (error != TD_OK)
		return error;
	struct entry *entry = &journal->last->entries[journal->last->count - 1];
	set_done(journal, entry, oldest->store);
	set_entry(journal, entry, oldest->state, oldest->due);
	return TD_OK;
}

static enum td_error write_unwritten(struct journal *journal)
{
	enum td_error error = TD_OK;

	while (journal->unwritten.count > 0 && (error = write_oldest(journal)) == TD_OK)
		remove_unwritten(journal);
	return error;
}

/* False when memory ran out. */
static bool add_unwritten(struct journal *journal, const struct journal_key *key, const char *store)
{
	struct segment *unwritten = &journal->unwritten;
	size_t length = journal->record.length;
	char *record = malloc(length);

	if (!record || !reserve_entry(unwritten)) {
		free(record);
		return false;
	}
	memcpy(record, journal->record.data, length);
	struct entry *entry = add_entry(journal, unwritten, key, 0, length);
	entry->record = record;
	unwritten->bytes += length;
	set_done(journal, entry, store);
	return true;
}

static bool has_room_unwritten(const struct journal *journal)
{
	const struct journal_settings *settings = &journal->settings;

	return journal->unwritten.count < settings->unwritten_batches &&
	       journal->unwritten.bytes + journal->record.length <= settings->unwritten_bytes;
}

/* The oldest give way. False when there can be no room. */
static bool make_room_unwritten(struct journal *journal)
{
	while (journal->unwritten.count > 0 && !has_room_unwritten(journal)) {
		journal->dropped += journal->unwritten.entries[0].state != ENTRY_FORGOTTEN;
		remove_unwritten(journal);
	}
	return has_room_unwritten(journal);
}

/* --- what the collector says --- */

enum td_error journal_append(struct journal *journal, const struct journal_key *key,
	const void *data, size_t length, int64_t mono_us)
{
	if (strcmp(journal->appended.boot, key->boot) == 0 &&
		journal->appended.number == key->number)
		return TD_OK;
	if (length > JOURNAL_BODY_MAX - JOURNAL_BATCH_SIZE)
		return TD_FULL;
	enum td_error error = write_unwritten(journal);
	if (error == TD_OK && !journal_record_put_batch(&journal->record, key, data, length))
		error = TD_NOMEM;
	if (error == TD_OK)
		error = write_batch(journal, key);
	if (error != TD_OK)
		return error;
	journal->appended = *key;
	journal_files_recovered(&journal->files);
	journal_files_batch_written(&journal->files, mono_us);
	return TD_OK;
}

static void forget_other_stores(struct journal *journal, const char *store)
{
	for (struct segment *segment = journal->first; segment; segment = segment->next) {
		for (size_t i = 0; i < segment->count; i++) {
			struct entry *entry = &segment->entries[i];
			if (entry->store[0] != '\0' && strcmp(entry->store, store) != 0)
				set_entry(journal, entry, ENTRY_FORGOTTEN, false);
		}
	}
}

bool journal_acknowledge(
	struct journal *journal, const char *boot, uint64_t number, const char *store)
{
	if (store[0] != '\0' && strcmp(journal->store, store) != 0) {
		set_id(journal->store, store);
		forget_other_stores(journal, store);
	}
	struct entry *entry = find_entry(journal, boot, number);
	if (entry)
		set_done(journal, entry, store);
	return entry != NULL;
}

void journal_keep(struct journal *journal, const struct journal_key *key, const void *data,
	size_t length, const char *store)
{
	if (length > JOURNAL_BODY_MAX - JOURNAL_BATCH_SIZE ||
		!journal_record_put_batch(&journal->record, key, data, length) ||
		!make_room_unwritten(journal) || !add_unwritten(journal, key, store))
		journal->dropped++;
}

bool journal_has(const struct journal *journal, const char *boot, uint64_t number)
{
	return find_entry(journal, boot, number) != NULL;
}

void journal_drop(struct journal *journal, const char *boot, uint64_t number)
{
	struct entry *entry = find_entry(journal, boot, number);

	if (!entry)
		return;
	set_done(journal, entry, "");
	set_entry(journal, entry, ENTRY_FORGOTTEN, false);
}

void journal_forget_kept(struct journal *journal)
{
	journal_files_end(&journal->files);
	while (journal->last && !is_needed(journal->first) && delete_first(journal))
		;
	for (struct segment *segment = journal->first; segment; segment = segment->next)
		for (size_t i = 0; i < segment->count; i++)
			if (segment->entries[i].state == ENTRY_DONE && !segment->entries[i].due)
				set_entry(journal, &segment->entries[i], ENTRY_FORGOTTEN, false);
}

/* --- comparing with a store, sending again --- */

static uint64_t applied_of(const struct journal_applied *applied, size_t count, const char *boot)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(applied[i].boot, boot) == 0)
			return applied[i].number;
	}
	return 0;
}

/* True when the store had acknowledged it and lost it. */
static bool compare_entry(struct journal *journal, struct entry *entry, uint64_t applied)
{
	if (entry->state == ENTRY_FORGOTTEN)
		return false;
	if (entry->key.number <= applied) {
		set_done(journal, entry, journal->store);
		return false;
	}
	if (entry->state == ENTRY_WAITING) {
		set_entry(journal, entry, ENTRY_WAITING, true);
		return false;
	}
	bool lost = journal->store[0] != '\0' && strcmp(entry->store, journal->store) == 0;
	set_entry(journal, entry, lost ? ENTRY_DONE : ENTRY_FORGOTTEN, lost);
	return lost;
}

/* Numbers between what the store has and a batch that is due, which nobody holds any more. */
static uint64_t missing_before(
	const struct entry *entry, const struct journal_key *before, uint64_t applied)
{
	uint64_t last = applied;

	if (strcmp(before->boot, entry->key.boot) == 0 && before->number > last)
		last = before->number;
	return entry->due && entry->key.number > last ? entry->key.number - last - 1 : 0;
}

uint64_t journal_compare(struct journal *journal, const char *store,
	const struct journal_applied *applied, size_t count)
{
	struct journal_key before = {.boot = ""};
	uint64_t lost = 0;

	set_id(journal->store, store);
	journal->missing = 0;
	for (struct segment *segment = journal->first; segment; segment = segment->next) {
		/* A record of what is done may begin a segment here, but no entry moves. */
		for (size_t i = 0; i < segment->count; i++) {
			struct entry *entry = &segment->entries[i];
			uint64_t has = applied_of(applied, count, entry->key.boot);
			lost += compare_entry(journal, entry, has);
			if (store[0] != '\0') /* an emptied one lacks nothing */
				journal->missing += missing_before(entry, &before, has);
			before = entry->key;
		}
	}
	trim(journal);
	return lost;
}

/* The record of an entry in journal->record. TD_NOMEM: not now; TD_MALFORMED: it is not as it was
 * written. */
static enum td_error read_entry(
	struct journal *journal, const struct segment *segment, const struct entry *entry)
{
	struct strbuf *buffer = &journal->record;
	struct journal_record record;
	struct journal_key key;

	strbuf_clear(buffer);
	if (!strbuf_reserve(buffer, entry->length))
		return TD_NOMEM;
	if (entry->record) {
		memcpy(buffer->data, entry->record, entry->length);
		return TD_OK;
	}
	enum td_error error = journal_files_read_part(&journal->files, segment->sequence,
		entry->offset, buffer->data, entry->length);
	if (error != TD_OK)
		return error;
	bool whole = journal_record_read(&record, (const uint8_t *)buffer->data, entry->length) &&
		     journal_record_is_whole(&record) && journal_record_get_batch(&record, &key);
	return whole ? TD_OK : TD_MALFORMED;
}

/* As read_entry; what is malformed is forgotten. */
static enum td_error take_due(struct journal *journal, const struct segment *segment,
	struct entry *entry, struct journal_key *key, struct strbuf *out)
{
	enum td_error error = read_entry(journal, segment, entry);

	if (error == TD_MALFORMED) {
		journal->files.failures++;
		log_error("journal: %s: batch %" PRIu64 " of boot %s cannot be read any more; its "
			  "%" PRIu64 " queries are lost",
			journal->files.dir, entry->key.number, entry->key.boot, entry->key.queries);
		set_entry(journal, entry, ENTRY_FORGOTTEN, false);
	}
	if (error != TD_OK)
		return error;
	*key = entry->key;
	strbuf_clear(out);
	strbuf_append(out, journal->record.data + BATCH_FIXED, entry->length - BATCH_FIXED);
	return out->failed ? TD_NOMEM : TD_OK;
}

bool journal_next_due(struct journal *journal, struct journal_key *key, struct strbuf *out)
{
	for (struct segment *segment = journal->first; segment && journal->due > 0;
		segment = segment->next) {
		for (size_t i = 0; i < segment->count; i++) {
			struct entry *entry = &segment->entries[i];
			enum td_error error = TD_MALFORMED;
			if (entry->due)
				error = take_due(journal, segment, entry, key, out);
			if (error != TD_MALFORMED)
				return error == TD_OK;
		}
	}
	return false;
}

/* --- reading what earlier boots left --- */

static void load_done(
	struct journal *journal, const struct journal_key *key, const char *store)
{
	struct entry *entry = find_entry(journal, key->boot, key->number);

	if (!entry)
		return;
	set_entry(journal, entry, store[0] ? ENTRY_DONE : ENTRY_FORGOTTEN, false);
	set_id(entry->store, store);
}

/* False when memory ran out. */
static bool load_record(struct journal *journal, struct segment *segment,
	const struct journal_record *record, size_t offset)
{
	struct journal_key key;
	char store[JOURNAL_ID_SIZE];

	if (journal_record_get_done(record, &key, store)) {
		load_done(journal, &key, store);
	} else if (journal_record_get_batch(record, &key)) {
		if (!reserve_entry(segment))
			return false;
		add_entry(journal, segment, &key, offset, JOURNAL_HEADER_SIZE + record->length);
		journal->batches++;
	}
	return true;
}

/* False when memory ran out. Counts the octets that are no whole record. */
static bool load_records(
	struct journal *journal, struct segment *segment, const uint8_t *octets, size_t size)
{
	size_t at = 0, damaged = 0;

	while (at < size) {
		struct journal_record record;
		if (!journal_record_read(&record, octets + at, size - at)) {
			at++;
			damaged++;
			continue;
		}
		size_t length = JOURNAL_HEADER_SIZE + record.length;
		if (!journal_record_is_whole(&record))
			damaged += length;
		else if (!load_record(journal, segment, &record, at))
			return false;
		at += length;
	}
	if (damaged)
		log_warning("journal: %s/%016" PRIx64 ".log: %zu of its %zu octets are torn or "
			    "damaged, the other batches are used",
			journal->files.dir, segment->sequence, damaged, size);
	journal->damaged += damaged;
	return true;
}

static bool load_segment(struct journal *journal, uint64_t sequence)
{
	size_t size;
	uint8_t *octets = journal_files_read(
		&journal->files, sequence, journal->settings.bytes_max + JOURNAL_BODY_MAX, &size);

	if (!octets)
		return true;
	struct segment *segment = push_segment(journal, sequence);
	bool loaded = segment != NULL;
	if (segment) {
		segment->bytes = size;
		journal->bytes += size;
		loaded = load_records(journal, segment, octets, size);
	}
	free(octets);
	return loaded;
}

static size_t find_boot(char boots[][JOURNAL_ID_SIZE], size_t count, const char *boot)
{
	size_t at = 0;

	while (at < count && strcmp(boots[at], boot) != 0)
		at++;
	return at;
}

/*
 * `applied` in Redis holds the newest 64 boots: of an older one it would look as if Redis had lost
 * it. So acknowledged batches of all but the newest boots are done with.
 */
static void forget_old_boots(struct journal *journal)
{
	char boots[BOOTS_KEPT][JOURNAL_ID_SIZE];
	size_t count = 0;

	for (struct segment *segment = journal->first; segment; segment = segment->next) {
		for (size_t i = 0; i < segment->count; i++) {
			const char *boot = segment->entries[i].key.boot;
			if (find_boot(boots, count, boot) < count)
				continue;
			if (count == BOOTS_KEPT)
				memmove(boots[0], boots[1], sizeof(boots) - sizeof(boots[0]));
			else
				count++;
			set_id(boots[count - 1], boot);
		}
	}
	for (struct segment *segment = journal->first; segment; segment = segment->next) {
		for (size_t i = 0; i < segment->count; i++) {
			struct entry *entry = &segment->entries[i];
			if (entry->state == ENTRY_DONE &&
				find_boot(boots, count, entry->key.boot) == count)
				set_entry(journal, entry, ENTRY_FORGOTTEN, false);
		}
	}
}

static bool load_all(struct journal *journal)
{
	size_t count;
	uint64_t *list = journal_files_list(&journal->files, &count);
	bool loaded = list != NULL;

	for (size_t i = 0; i < count && loaded; i++)
		loaded = load_segment(journal, list[i]);
	free(list);
	if (!loaded)
		return false;
	forget_old_boots(journal);
	trim(journal);
	return true;
}

/* --- opening --- */

struct journal *journal_open(const struct journal_settings *settings)
{
	struct journal *journal = calloc(1, sizeof(*journal));

	if (!journal) {
		log_error("journal: %s", error_text(TD_NOMEM));
		return NULL;
	}
	journal->settings = *settings;
	journal->first = &journal->unwritten;
	strbuf_init(&journal->record);
	if (!journal_files_open(&journal->files, settings->dir, settings->fsync)) {
		journal_close(&journal);
		return NULL;
	}
	if (!load_all(journal)) {
		log_error("journal: %s cannot be read", journal->files.dir);
		journal_close(&journal);
	}
	return journal;
}

void journal_close(struct journal **journal)
{
	struct journal *it = *journal;

	if (!it)
		return;
	write_unwritten(it);
	journal_files_close(&it->files);
	while (it->last)
		pop_segment(it);
	while (it->unwritten.count > 0)
		remove_unwritten(it);
	free(it->unwritten.entries);
	strbuf_deinit(&it->record);
	free(it);
	*journal = NULL;
}

const char *journal_instance(const struct journal *journal)
{
	return journal->files.instance;
}

void journal_tick(struct journal *journal, int64_t mono_us)
{
	journal_files_tick(&journal->files, mono_us);
}

void journal_hurry(struct journal *journal)
{
	if (journal->files.fsync == JOURNAL_FSYNC_BATCH)
		journal->files.fsync = JOURNAL_FSYNC_SECOND;
}

void journal_status(const struct journal *journal, struct journal_status *out)
{
	*out = (struct journal_status){
		.waiting_batches = journal->states[ENTRY_WAITING],
		.waiting_queries = journal->waiting_queries,
		.due_batches = journal->due,
		.missing_batches = journal->missing,
		.kept_batches = journal->states[ENTRY_DONE],
		.bytes = journal->bytes,
		.failures = journal->files.failures,
		.damaged = journal->damaged,
		.dropped = journal->dropped,
	};
}

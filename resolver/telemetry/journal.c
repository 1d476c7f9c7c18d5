/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Segments: files that are only appended to, the oldest deleted whole. A start never appends to a
 * file of an earlier one, so a torn tail needs no repair: it is not read, and goes with its file.
 * Everything is found again from the records alone; what was acknowledged is a record of its own,
 * written later and never synchronised by itself, because Redis knows better (journal_compare).
 *
 *   record   magic 4 | type 2 | version 2 | length 4 | CRC of body 4 | CRC of these 4 | body
 *   batch    boot 16 | number 8 | queries 8 | the octets
 *   done     boot 16 | number 8 | store 16
 *
 * Integers are little endian. With a CRC of its own, a header says where the next record begins
 * even if the body is damaged; behind a damaged header the next one is looked for octet by octet.
 *
 * Rejected: one preallocated ring of octets, whose end has to be found by guessing after a crash
 * and which overwrites in place; and an index file, a second truth.
 */
#include "resolver/telemetry/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/crc32c.h"
#include "lib/base/log.h"

#define MAGIC 0x314a4454u /* "TDJ1" */
#define VERSION 1
#define HEADER_SIZE ((size_t)20)
#define ID_LENGTH (JOURNAL_ID_SIZE - 1)
#define BATCH_FIXED ((size_t)(ID_LENGTH + 16))
#define DONE_SIZE ((size_t)(2 * ID_LENGTH + 8))
#define BODY_MAX ((size_t)1 << 20)
#define SYNC_US US_PER_S
#define BOOTS_KEPT                                                                    \
	16 /* acknowledged batches of older boots are forgotten: see forget_old_boots \
	    */

enum record_type { RECORD_BATCH = 1, RECORD_DONE = 2 };

enum entry_state { ENTRY_WAITING, ENTRY_DONE, ENTRY_FORGOTTEN, ENTRY_STATES };

struct entry {
	struct journal_key key;
	char store[JOURNAL_ID_SIZE]; /* that acknowledged it last, "" none did */
	enum entry_state state;
	bool due;
	uint32_t offset, length; /* of the whole record */
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
	char dir[PATH_MAX - 32];
	char instance[JOURNAL_ID_SIZE];
	char store[JOURNAL_ID_SIZE];
	int lock;
	int active; /* descriptor of the last segment, -1: the next record begins one */
	uint64_t last_sequence;
	struct segment *first, *last;
	struct strbuf record;
	struct journal_key appended; /* last */
	size_t bytes, batches;
	size_t states[ENTRY_STATES], due; /* how many entries are so */
	uint64_t waiting_queries, missing;
	int64_t synced_us;
	bool dirty, failing;
	uint64_t failures, damaged;
};

const struct journal_settings journal_settings_default = {
	.fsync = JOURNAL_FSYNC_SECOND,
	.segment_bytes = (size_t)1 << 20,
	.kept_bytes = (size_t)16 << 20,
	.kept_batches = 10000,
	.bytes_max = (size_t)64 << 20,
};

/* --- integers --- */

static void put_le(uint8_t *out, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t get_le(const uint8_t *from, size_t size)
{
	uint64_t value = 0;

	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)from[i] << 8 * i;
	return value;
}

static void get_id(char out[JOURNAL_ID_SIZE], const uint8_t *from)
{
	memcpy(out, from, ID_LENGTH);
	out[ID_LENGTH] = '\0';
}

static void set_id(char out[JOURNAL_ID_SIZE], const char *id)
{
	snprintf(out, JOURNAL_ID_SIZE, "%s", id);
}

/* --- failures --- */

static void fail(struct journal *journal, const char *what)
{
	journal->failures++;
	if (!journal->failing)
		log_warning("journal: %s: %s: %s; batches are sent all the same, but would not "
			    "outlive a crash",
			journal->dir, what, strerror(errno));
	journal->failing = true;
}

static void works_again(struct journal *journal)
{
	if (journal->failing)
		log_info("journal: %s takes batches again", journal->dir);
	journal->failing = false;
}

/* --- records --- */

struct record {
	unsigned type, version;
	size_t length; /* of the body */
	uint32_t crc;
	const uint8_t *body;
};

static void record_begin(struct strbuf *out)
{
	static const uint8_t room[HEADER_SIZE];

	strbuf_clear(out);
	strbuf_append(out, room, sizeof(room));
}

static void append_le(struct strbuf *out, uint64_t value)
{
	uint8_t octets[8];

	put_le(octets, value, sizeof(octets));
	strbuf_append(out, octets, sizeof(octets));
}

static void append_id(struct strbuf *out, const char *id)
{
	char padded[ID_LENGTH] = {0};

	memcpy(padded, id, strnlen(id, ID_LENGTH));
	strbuf_append(out, padded, sizeof(padded));
}

/* False when memory ran out. */
static bool record_end(struct strbuf *out, enum record_type type)
{
	if (out->failed)
		return false;
	uint8_t *header = (uint8_t *)out->data;
	size_t length = out->length - HEADER_SIZE;
	put_le(header, MAGIC, 4);
	put_le(header + 4, type, 2);
	put_le(header + 6, VERSION, 2);
	put_le(header + 8, length, 4);
	put_le(header + 12, crc32c(0, header + HEADER_SIZE, length), 4);
	put_le(header + 16, crc32c(0, header, 16), 4);
	return true;
}

/* A header that is whole, with its body inside size octets. */
static bool record_read(struct record *out, const uint8_t *octets, size_t size)
{
	if (size < HEADER_SIZE || get_le(octets, 4) != MAGIC ||
		get_le(octets + 16, 4) != crc32c(0, octets, 16))
		return false;
	out->type = (unsigned)get_le(octets + 4, 2);
	out->version = (unsigned)get_le(octets + 6, 2);
	out->length = get_le(octets + 8, 4);
	out->crc = (uint32_t)get_le(octets + 12, 4);
	out->body = octets + HEADER_SIZE;
	return out->length <= size - HEADER_SIZE;
}

static bool record_is_whole(const struct record *record)
{
	return crc32c(0, record->body, record->length) == record->crc;
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

static void add_entry(struct journal *journal, struct segment *segment,
	const struct journal_key *key, size_t offset, size_t length)
{
	segment->entries[segment->count] =
		(struct entry){.key = *key, .offset = (uint32_t)offset, .length = (uint32_t)length};
	count_entry(journal, &segment->entries[segment->count++], true);
	journal->batches++;
}

/* --- segments --- */

static void segment_path(const struct journal *journal, uint64_t sequence, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, "%s/%016" PRIx64 ".log", journal->dir, sequence);
}

static struct segment *push_segment(struct journal *journal, uint64_t sequence)
{
	struct segment *segment = calloc(1, sizeof(*segment));

	if (!segment)
		return NULL;
	segment->sequence = sequence;
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
	if (!journal->first)
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
	char path[PATH_MAX];

	segment_path(journal, journal->first->sequence, path);
	if (unlink(path) != 0 && errno != ENOENT) {
		fail(journal, "an old file cannot be deleted");
		return false;
	}
	pop_segment(journal);
	return true;
}

/* Deletes the oldest files, as far as the bounds of what is kept ask for it and none waits. */
static void trim(struct journal *journal)
{
	while (journal->first && (journal->bytes > journal->settings.kept_bytes ||
					 journal->batches > journal->settings.kept_batches)) {
		bool active = journal->first == journal->last && journal->active >= 0;
		if (active || is_needed(journal->first) || !delete_first(journal))
			return;
	}
}

static void sync_folder(struct journal *journal)
{
	if (journal->settings.fsync == JOURNAL_FSYNC_NEVER)
		return;
	int fd = open(journal->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fsync(fd) != 0)
		fail(journal, "fsync");
	close(fd);
}

static void sync_active(struct journal *journal, int64_t mono_us)
{
	if (!journal->dirty || journal->active < 0)
		return;
	if (fdatasync(journal->active) != 0)
		fail(journal, "fdatasync");
	journal->dirty = false;
	journal->synced_us = mono_us;
}

static void end_active(struct journal *journal)
{
	if (journal->active < 0)
		return;
	if (journal->settings.fsync != JOURNAL_FSYNC_NEVER)
		sync_active(journal, journal->synced_us);
	close(journal->active);
	journal->active = -1;
}

static bool begin_active(struct journal *journal)
{
	char path[PATH_MAX];

	segment_path(journal, journal->last_sequence + 1, path);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		fail(journal, "a file cannot be made");
		return false;
	}
	if (!push_segment(journal, journal->last_sequence + 1)) {
		fail(journal, "memory");
		close(fd);
		unlink(path);
		return false;
	}
	journal->last_sequence++;
	journal->active = fd;
	sync_folder(journal);
	return true;
}

/* --- writing --- */

/* What was written of a record that did not fit would look like damage: it is cut off again. */
static bool write_record(struct journal *journal)
{
	struct segment *segment = journal->last;
	const struct strbuf *record = &journal->record;
	size_t done = 0;

	while (done < record->length) {
		ssize_t written =
			write(journal->active, record->data + done, record->length - done);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			break;
		done += (size_t)written;
	}
	if (done == record->length) {
		segment->bytes += done;
		journal->bytes += done;
		journal->dirty = true;
		return true;
	}
	fail(journal, "a batch cannot be written");
	if (ftruncate(journal->active, (off_t)segment->bytes) != 0)
		end_active(journal);
	return false;
}

static bool make_room(struct journal *journal)
{
	const struct journal_settings *settings = &journal->settings;

	if (journal->active >= 0 && (journal->last->bytes >= settings->segment_bytes ||
					    journal->last->count >= settings->kept_batches / 8 + 1))
		end_active(journal);
	if (journal->active < 0 && !begin_active(journal))
		return false;
	return true;
}

static void sync_as_asked(struct journal *journal, int64_t mono_us)
{
	if (journal->settings.fsync == JOURNAL_FSYNC_BATCH)
		sync_active(journal, mono_us);
	else
		journal_tick(journal, mono_us);
}

enum td_error journal_append(struct journal *journal, const struct journal_key *key,
	const void *data, size_t length, int64_t mono_us)
{
	if (strcmp(journal->appended.boot, key->boot) == 0 &&
		journal->appended.number == key->number)
		return TD_OK;
	trim(journal);
	if (length > BODY_MAX - BATCH_FIXED ||
		journal->bytes + HEADER_SIZE + BATCH_FIXED + length > journal->settings.bytes_max)
		return TD_FULL;
	record_begin(&journal->record);
	append_id(&journal->record, key->boot);
	append_le(&journal->record, key->number);
	append_le(&journal->record, key->queries);
	strbuf_append(&journal->record, data, length);
	if (!record_end(&journal->record, RECORD_BATCH))
		return TD_NOMEM;
	if (!make_room(journal))
		return TD_IO;
	if (!reserve_entry(journal->last))
		return TD_NOMEM;
	size_t offset = journal->last->bytes;
	if (!write_record(journal))
		return TD_IO;
	add_entry(journal, journal->last, key, offset, journal->record.length);
	journal->appended = *key;
	works_again(journal);
	sync_as_asked(journal, mono_us);
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

static void set_done(struct journal *journal, struct entry *entry, const char *store)
{
	bool known = entry->state == ENTRY_DONE && strcmp(entry->store, store) == 0;

	set_entry(journal, entry, ENTRY_DONE, false);
	set_id(entry->store, store);
	if (known)
		return;
	record_begin(&journal->record);
	append_id(&journal->record, entry->key.boot);
	append_le(&journal->record, entry->key.number);
	append_id(&journal->record, store);
	if (record_end(&journal->record, RECORD_DONE) && make_room(journal))
		write_record(journal);
}

void journal_acknowledge(
	struct journal *journal, const char *boot, uint64_t number, const char *store)
{
	if (store[0] != '\0' && strcmp(journal->store, store) != 0) {
		set_id(journal->store, store);
		forget_other_stores(journal, store);
	}
	struct entry *entry = find_entry(journal, boot, number);
	if (entry)
		set_done(journal, entry, store);
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
	end_active(journal);
	while (journal->first && !is_needed(journal->first) && delete_first(journal))
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
	static const uint8_t filler[4096];
	struct record record;
	char path[PATH_MAX];

	strbuf_clear(&journal->record);
	while (journal->record.length < entry->length)
		strbuf_append(&journal->record, filler, sizeof(filler));
	if (journal->record.failed)
		return TD_NOMEM;
	segment_path(journal, segment->sequence, path);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? TD_NOMEM
									     : TD_MALFORMED;
	ssize_t length = pread(fd, journal->record.data, entry->length, entry->offset);
	close(fd);
	bool whole =
		length == (ssize_t)entry->length &&
		record_read(&record, (const uint8_t *)journal->record.data, entry->length) &&
		record_is_whole(&record) && record.length >= BATCH_FIXED;
	return whole ? TD_OK : TD_MALFORMED;
}

/* As read_entry; what is malformed is forgotten. */
static enum td_error take_due(struct journal *journal, const struct segment *segment, struct entry *entry,
	struct journal_key *key, struct strbuf *out)
{
	size_t fixed = HEADER_SIZE + BATCH_FIXED;
	enum td_error error = read_entry(journal, segment, entry);

	if (error == TD_MALFORMED) {
		journal->failures++;
		log_error("journal: %s: batch %" PRIu64 " of boot %s cannot be read any more; its "
			  "%" PRIu64 " queries are lost",
			journal->dir, entry->key.number, entry->key.boot, entry->key.queries);
		set_entry(journal, entry, ENTRY_FORGOTTEN, false);
	}
	if (error != TD_OK)
		return error;
	*key = entry->key;
	strbuf_clear(out);
	strbuf_append(out, journal->record.data + fixed, entry->length - fixed);
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

static bool load_batch(struct journal *journal, struct segment *segment,
	const struct record *record, size_t offset)
{
	struct journal_key key;

	if (record->length < BATCH_FIXED)
		return true;
	get_id(key.boot, record->body);
	key.number = get_le(record->body + ID_LENGTH, 8);
	key.queries = get_le(record->body + ID_LENGTH + 8, 8);
	if (!reserve_entry(segment))
		return false;
	add_entry(journal, segment, &key, offset, HEADER_SIZE + record->length);
	return true;
}

static void load_done(struct journal *journal, const struct record *record)
{
	char boot[JOURNAL_ID_SIZE], store[JOURNAL_ID_SIZE];

	if (record->length != DONE_SIZE)
		return;
	get_id(boot, record->body);
	get_id(store, record->body + ID_LENGTH + 8);
	struct entry *entry = find_entry(journal, boot, get_le(record->body + ID_LENGTH, 8));
	if (!entry)
		return;
	set_entry(journal, entry, store[0] ? ENTRY_DONE : ENTRY_FORGOTTEN, false);
	set_id(entry->store, store);
}

/* False when memory ran out. Counts the octets that are no whole record. */
static bool load_records(
	struct journal *journal, struct segment *segment, const uint8_t *octets, size_t size)
{
	size_t at = 0, damaged = 0;

	while (at < size) {
		struct record record;
		if (!record_read(&record, octets + at, size - at)) {
			at++;
			damaged++;
			continue;
		}
		size_t length = HEADER_SIZE + record.length;
		if (!record_is_whole(&record))
			damaged += length;
		else if (record.version == VERSION && record.type == RECORD_DONE)
			load_done(journal, &record);
		else if (record.version == VERSION && record.type == RECORD_BATCH &&
			 !load_batch(journal, segment, &record, at))
			return false;
		at += length;
	}
	if (damaged)
		log_warning("journal: %s/%016" PRIx64 ".log: %zu of its %zu octets are torn or "
			    "damaged, the other batches are used",
			journal->dir, segment->sequence, damaged, size);
	journal->damaged += damaged;
	return true;
}

static uint8_t *read_file(const char *path, size_t most, size_t *size)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	uint8_t *octets = NULL;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
		(uint64_t)status.st_size <= most) {
		octets = malloc((size_t)status.st_size + 1);
		ssize_t length = octets ? read(fd, octets, (size_t)status.st_size) : -1;
		*size = length > 0 ? (size_t)length : 0;
	}
	close(fd);
	return octets;
}

static bool load_segment(struct journal *journal, uint64_t sequence)
{
	char path[PATH_MAX];
	size_t size;

	segment_path(journal, sequence, path);
	uint8_t *octets = read_file(path, journal->settings.bytes_max + BODY_MAX, &size);
	if (!octets) {
		log_error("journal: %s cannot be read, it is left alone", path);
		return true;
	}
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

/* The number of a segment from its name; false when it is none. */
static bool parse_name(const char *name, uint64_t *sequence)
{
	char *end;

	if (strlen(name) != 20 || strcmp(name + 16, ".log") != 0 ||
		strspn(name, "0123456789abcdef") != 16)
		return false;
	*sequence = strtoull(name, &end, 16);
	return true;
}

static int by_sequence(const void *a, const void *b)
{
	uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

	return first < second ? -1 : first > second;
}

/* NULL when memory ran out or the folder cannot be read. */
static uint64_t *list_segments(const char *path, size_t *count)
{
	size_t capacity = 64;
	uint64_t *list = malloc(capacity * sizeof(*list)), sequence;
	DIR *dir = opendir(path);

	*count = 0;
	for (struct dirent *entry = dir ? readdir(dir) : NULL; entry && list;
		entry = readdir(dir)) {
		if (!parse_name(entry->d_name, &sequence))
			continue;
		if (*count == capacity) {
			uint64_t *more = realloc(list, 2 * capacity * sizeof(*list));
			if (!more)
				break;
			list = more;
			capacity *= 2;
		}
		list[(*count)++] = sequence;
	}
	if (list && dir)
		qsort(list, *count, sizeof(*list), by_sequence);
	if (!dir) {
		free(list);
		list = NULL;
	} else {
		closedir(dir);
	}
	return list;
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
	uint64_t *list = list_segments(journal->dir, &count);
	bool loaded = list != NULL;

	for (size_t i = 0; i < count && loaded; i++) {
		journal->last_sequence = list[i];
		loaded = load_segment(journal, list[i]);
	}
	free(list);
	if (!loaded)
		return false;
	forget_old_boots(journal);
	trim(journal);
	return true;
}

/* --- opening --- */

static bool is_id(const char *text)
{
	return strlen(text) == ID_LENGTH && strspn(text, "0123456789abcdef") == ID_LENGTH;
}

static bool read_instance(struct journal *journal)
{
	uint64_t random;
	ssize_t length = pread(journal->lock, journal->instance, ID_LENGTH, 0);

	journal->instance[length > 0 ? length : 0] = '\0';
	if (is_id(journal->instance))
		return true;
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return false;
	snprintf(journal->instance, JOURNAL_ID_SIZE, "%016" PRIx64, random);
	/* On a full disk the instance is new at each start, which costs a lease's time. */
	if (pwrite(journal->lock, journal->instance, ID_LENGTH, 0) != (ssize_t)ID_LENGTH)
		fail(journal, "the instance id cannot be written");
	return true;
}

static bool take_lock(struct journal *journal)
{
	char path[PATH_MAX];

	if (mkdir(journal->dir, 0700) != 0 && errno != EEXIST) {
		log_error("journal: %s: %s", journal->dir, strerror(errno));
		return false;
	}
	snprintf(path, sizeof(path), "%s/lock", journal->dir);
	journal->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (journal->lock < 0) {
		log_error("journal: %s: %s", path, strerror(errno));
		return false;
	}
	if (flock(journal->lock, LOCK_EX | LOCK_NB) != 0) {
		log_error("journal: %s: another process has it", path);
		return false;
	}
	return read_instance(journal);
}

struct journal *journal_open(const struct journal_settings *settings)
{
	struct journal *journal = calloc(1, sizeof(*journal));

	if (!journal) {
		log_error("journal: %s", error_text(TD_NOMEM));
		return NULL;
	}
	journal->settings = *settings;
	journal->lock = journal->active = -1;
	strbuf_init(&journal->record);
	int length = snprintf(journal->dir, sizeof(journal->dir), "%s", settings->dir);
	journal->settings.dir = journal->dir;
	if (length < 0 || (size_t)length >= sizeof(journal->dir)) {
		log_error("journal: the path is too long");
		journal_close(&journal);
		return NULL;
	}
	if (!take_lock(journal)) {
		journal_close(&journal);
		return NULL;
	}
	if (!load_all(journal)) {
		log_error("journal: %s cannot be read", journal->dir);
		journal_close(&journal);
	}
	return journal;
}

void journal_close(struct journal **journal)
{
	struct journal *it = *journal;

	if (!it)
		return;
	end_active(it);
	if (it->lock >= 0)
		close(it->lock);
	while (it->first)
		pop_segment(it);
	strbuf_deinit(&it->record);
	free(it);
	*journal = NULL;
}

const char *journal_instance(const struct journal *journal)
{
	return journal->instance;
}

void journal_tick(struct journal *journal, int64_t mono_us)
{
	if (journal->settings.fsync == JOURNAL_FSYNC_SECOND &&
		mono_us - journal->synced_us >= SYNC_US)
		sync_active(journal, mono_us);
}

void journal_hurry(struct journal *journal)
{
	if (journal->settings.fsync == JOURNAL_FSYNC_BATCH)
		journal->settings.fsync = JOURNAL_FSYNC_SECOND;
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
		.failures = journal->failures,
		.damaged = journal->damaged,
	};
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frozen batches on disk. Each is written before it is sent; at the next start those that Redis
 * lacks are sent first, under their old boot id and number. Acknowledged ones are kept for a while,
 * because a failover or an old append-only file may lose them again. Bounded in octets and batches.
 *
 * What a batch says is no concern of the journal: it keeps octets under (boot, number), and the
 * marker of the store that acknowledged them. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "resolver/telemetry/telemetry.h"

#define JOURNAL_ID_SIZE 17 /* 16 characters and a NUL: a boot, an instance or a store */

struct journal_settings {
	const char *dir; /* made if it is missing, its parent not; the string is copied */
	enum journal_fsync fsync;
	size_t segment_bytes; /* a file is not written any further once it has so many */
	size_t kept_bytes;    /* while there are more, the oldest acknowledged ones go, a file at a
				 time */
	size_t kept_batches;
	size_t bytes_max; /* nothing is taken beyond: only what waits for Redis comes this far */
	size_t unwritten_bytes, unwritten_batches; /* in memory, see journal_keep */
};
extern const struct journal_settings journal_settings_default; /* without dir */

struct journal_key {
	char boot[JOURNAL_ID_SIZE];
	uint64_t number;
	uint64_t queries;
};

/* The last batch of a boot that Redis has. */
struct journal_applied {
	char boot[JOURNAL_ID_SIZE];
	uint64_t number;
};

struct journal_status {
	uint64_t waiting_batches, waiting_queries; /* not acknowledged */
	uint64_t due_batches;                      /* to be sent (again), see journal_compare */
	uint64_t missing_batches; /* that the store compared last had lost, and the journal lacks
				     too */
	uint64_t kept_batches;    /* acknowledged, on disk or not */
	uint64_t bytes;           /* on disk */
	uint64_t failures;        /* writes and reads that failed, ever */
	uint64_t damaged;         /* octets that could not be read at the start */
	uint64_t dropped;         /* acknowledged ones that journal_keep had no room for, ever */
};

struct journal;

/*
 * Reads what earlier boots left. NULL and a logged error when the folder cannot be used, or another
 * process (or another journal of this one) has it open.
 */
struct journal *journal_open(const struct journal_settings *settings);
void journal_close(struct journal **journal); /* writes out; journal may point to NULL */

/* The folder's own random id, the same at every start: who holds the journal is its one owner. */
const char *journal_instance(const struct journal *journal);

/*
 * Writes a batch to the disk, as fsync says. TD_FULL beyond bytes_max, TD_IO when the disk refuses
 * (logged once until it works again): then it is not in the journal. TD_OK also when it is there.
 */
enum td_error journal_append(struct journal *journal, const struct journal_key *key,
	const void *data, size_t length, int64_t mono_us);

/* The store of this marker has it ("": it could not tell). A marker that differs from the last one
 * is a new store: what others acknowledged is forgotten. False when the journal lacks the batch. */
bool journal_acknowledge(
	struct journal *journal, const char *boot, uint64_t number, const char *store);

/* A batch that it had refused, and that this store has: kept in memory until journal_append, or the
 * end, can write it. Meanwhile it is like any other, but a crash loses it. The oldest give way. */
void journal_keep(struct journal *journal, const struct journal_key *key, const void *data,
	size_t length, const char *store);

/*
 * What a store holds, asked when it was connected: it has every batch up to the number given for
 * its boot, and none of a boot that is not given. All it lacks becomes due, except those that a
 * store of another marker acknowledged: their history was deleted on purpose, and they are
 * forgotten. Returns how many acknowledged ones it had lost and will get again.
 */
uint64_t journal_compare(struct journal *journal, const char *store,
	const struct journal_applied *applied, size_t count);

/* The oldest that is due, with its octets in out; false when none is, or when it cannot be read now
 * for want of memory or descriptors. It stays due until it is acknowledged or dropped. */
bool journal_next_due(struct journal *journal, struct journal_key *key, struct strbuf *out);

/* True when it has the batch, in whatever state. */
bool journal_has(const struct journal *journal, const char *boot, uint64_t number);

/* Forgets a batch that nobody can use. */
void journal_drop(struct journal *journal, const char *boot, uint64_t number);

/* Forgets the batches that were acknowledged, and deletes the files that hold nothing else: they will
 * not be sent again, whatever Redis loses. */
void journal_forget_kept(struct journal *journal);

/* Once a second or so: fsync by the second. */
void journal_tick(struct journal *journal, int64_t mono_us);

/* From now on fsync comes when a file ends: for writing much at the end. */
void journal_hurry(struct journal *journal);

void journal_status(const struct journal *journal, struct journal_status *out);

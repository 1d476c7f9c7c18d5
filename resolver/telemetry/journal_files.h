/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The folder of a journal: its lock, and numbered files of which the newest is appended to. What
 * stands in them is no concern of this part. What fails is counted, and logged once until something
 * works again. One thread.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "resolver/telemetry/journal.h"

struct journal_files {
	char dir[PATH_MAX - 32];
	char instance[JOURNAL_ID_SIZE];
	enum journal_fsync fsync;
	int lock;
	int active;             /* descriptor of the newest file, -1: none is written */
	uint64_t last_sequence; /* the highest number there is or was */
	int64_t synced_us;
	bool dirty, failing;
	uint64_t failures;
};

/* Makes the folder unless it is there, and takes its lock. False, with words in the log, when it
 * cannot be used or another process has it. To be closed either way. */
bool journal_files_open(struct journal_files *files, const char *dir, enum journal_fsync fsync);
void journal_files_close(struct journal_files *files); /* writes out */

/* The numbers of the files that are there, in their order; malloc'd. NULL when memory ran out or
 * the folder cannot be read. */
uint64_t *journal_files_list(struct journal_files *files, size_t *count);

/* A whole file of at most so many octets, malloc'd; NULL, with words in the log, when it cannot be
 * read. */
uint8_t *journal_files_read(
	const struct journal_files *files, uint64_t sequence, size_t most, size_t *size);

/* Part of a file. TD_NOMEM: not now, for want of memory or descriptors; TD_MALFORMED: it is not
 * there. */
enum td_error journal_files_read_part(const struct journal_files *files, uint64_t sequence,
	size_t offset, void *out, size_t length);

/* False when it cannot be deleted; one that is gone already is no failure. */
bool journal_files_delete(struct journal_files *files, uint64_t sequence);

/* Begins the file last_sequence. */
bool journal_files_begin(struct journal_files *files);

/* The active file is written out and not appended to any more. */
void journal_files_end(struct journal_files *files);

/* Appends to the active file of so many octets. False: it has these still, or is active no more. */
bool journal_files_append(
	struct journal_files *files, const void *data, size_t length, size_t bytes);

/* As fsync says: to the disk after every batch, or when a second has gone by. */
void journal_files_batch_written(struct journal_files *files, int64_t mono_us);
void journal_files_tick(struct journal_files *files, int64_t mono_us);

/* What failed, said with errno; and that it works again. */
void journal_files_fail(struct journal_files *files, const char *what);
void journal_files_recovered(struct journal_files *files);

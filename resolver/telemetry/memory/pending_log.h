/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is pending, as octets and back: the part of memory.h that knows items. Every item has a
 * number; the log says once which key it stands for, then only its counts, as absolute values, and
 * at the end that it is gone. So reading needs no rule of merging, and a change of those rules
 * (bounds, sketches) between two versions cannot change a sum. One thread.
 *
 *   item  'i' number, flags, [key], counts, [first, last], [owner]
 *   gone  'g' count, numbers
 *
 * Numbers are of variable length, seven bits an octet, the lowest first.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/strbuf.h"
#include "lib/base/table.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/zone_ids.h"

#define LOG_ITEM 'i'
#define LOG_GONE 'g'

/* Reads octets; past the end everything is 0 and failed is set. */
struct log_cursor {
	const uint8_t *at;
	size_t left;
	bool failed;
};

uint64_t log_read(struct log_cursor *cursor);
const uint8_t *log_read_octets(struct log_cursor *cursor, size_t size); /* NULL: failed */
void log_write(struct strbuf *out, uint64_t value);

/*
 * zones NULL, here and in reading: a zone is its number, which means something to this process
 * only.
 *
 * Appends what became gone and what changed, until out is about size_max octets long; true when
 * there is more. What was appended counts as written: if that fails, begin a snapshot.
 */
bool pending_log_changes(
	struct pending *pending, const struct zone_ids *zones, struct strbuf *out, size_t size_max);

/* Everything counts as changed, and no item as known. */
void pending_log_begin_snapshot(struct pending *pending);

/* The items of a log while it is read. */
struct pending_log {
	struct table items; /* by number */
	bool failed;        /* out of memory */
};

void pending_log_init(struct pending_log *log);
void pending_log_deinit(struct pending_log *log);

/* The rest of a section, behind its letter. zones gets the names it meets. False when malformed. */
bool pending_log_read_item(
	struct pending_log *log, struct log_cursor *cursor, struct zone_ids *zones);
bool pending_log_read_gone(struct pending_log *log, struct log_cursor *cursor);

/* Puts every item into pending, oldest first, all times moved by shift_us. */
void pending_log_restore(struct pending_log *log, struct pending *pending, int64_t shift_us);

/* The clock was wrong by so much: moves all items. False, and nothing moved, when memory runs out.
 */
bool pending_shift(struct pending *pending, int64_t shift_us);

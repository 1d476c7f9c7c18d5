/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last good copy of a transferred zone, on disk: what blocks before the network does, and what
 * rules are compiled from, so that a million records are in memory once, as rules. A file is a head
 * (whose zone it is) and segments: the zone whole, then changes to it, appended as they come.
 *
 *   state-dir/zones/NAME.zone        state-dir/zones/NAME.part   a whole zone that is arriving
 *
 * A segment's head is written when its records stand behind it, and both are checksummed: what was
 * cut off by a crash is not there. Written by the main thread, which never waits for the disk to
 * have it: whoever compiles a snapshot sees to that (copy_sync), and copy_settle then puts a new
 * file in the place of the old one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/name.h"
#include "resolver/transfer_stream.h"

#define COPY_WHY_SIZE 200
#define COPY_SEGMENTS_MAX 1000
#define COPY_VERSION_EMPTY 1 /* of a copy that holds nothing */

/* Records that came together. */
struct copy_segment {
	uint64_t offset, length; /* of the records in the file */
	uint64_t records;
	uint64_t version; /* of the copy with it */
	uint32_t from;    /* the serial that changes are made to */
	struct zone_soa soa;
	bool whole;
};

/* What the file holds at one moment; immutable but for its users. */
struct copy_snapshot {
	int fd;
	struct name apex;
	uint64_t version; /* of the last segment */
	size_t count;
	struct copy_segment segments[];
};

struct zone_copy;

/*
 * Opens the copy of zone `name` in folder, which is made where it is missing. What cannot be used
 * is said in why ("": nothing is wrong, there may be no copy yet) and thrown away. NULL: out of
 * memory.
 */
struct zone_copy *copy_open(
	const char *folder, const char *name, const struct name *apex, char why[COPY_WHY_SIZE]);
void copy_close(struct zone_copy *copy); /* NULL is fine; snapshots live on */

/* The SOA of what it holds, and when that was last known to be current (wall clock, seconds).
 * False: it holds nothing. */
bool copy_soa(const struct zone_copy *copy, struct zone_soa *soa, int64_t *checked_s);

/* A number that no other state of any copy of this process has; it rises. */
uint64_t copy_version(const struct zone_copy *copy);

/* Whether changes may be appended, or the zone had better come whole. */
bool copy_takes_changes(const struct zone_copy *copy);

/* Begins a segment; one that had begun is dropped. False: in why, as all of these. */
bool copy_begin(struct zone_copy *copy, bool whole);
bool copy_add(struct zone_copy *copy, bool removed, const struct zone_record *record);
bool copy_commit(struct zone_copy *copy, const struct zone_soa *soa, int64_t now_s);
void copy_abort(struct zone_copy *copy);
const char *copy_why(const struct zone_copy *copy);

/* It is current still. */
void copy_checked(struct zone_copy *copy, int64_t now_s);

/* Whoever compiles has said that snapshot `version` is on the disk. */
void copy_settle(struct zone_copy *copy, uint64_t version);

/* What it holds now; NULL: out of memory, or it holds nothing. */
struct copy_snapshot *copy_snapshot(const struct zone_copy *copy);
void copy_snapshot_free(struct copy_snapshot *snapshot); /* NULL is fine */

/* --- any thread --- */

/* Waits until the snapshot is on the disk. */
bool copy_sync(const struct copy_snapshot *snapshot);

/* A record of the copy. trigger: the owner without the zone's name, the root behind it. */
typedef enum td_error copy_record_fn(void *context, bool removed, const struct name *trigger,
	uint16_t type, uint32_t ttl_s, const uint8_t *rdata, uint16_t rdata_length);

/*
 * Calls for each record of one segment, in their order. TD_IO, TD_MALFORMED (the file is not what
 * was written), TD_NOMEM, or what the call returned.
 */
enum td_error copy_read(const struct copy_snapshot *snapshot, const struct copy_segment *segment,
	copy_record_fn *call, void *context);

/* The same for the zone as it is after all segments: each record once, none of those removed. */
enum td_error copy_read_all(
	const struct copy_snapshot *snapshot, copy_record_fn *call, void *context);

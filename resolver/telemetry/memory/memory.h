/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Counts that outlive the process. Two files in one private folder on tmpfs: the tallies that
 * workers fill (region.h), and a log of what was merged from them and is pending (pending_log.h).
 * Together with the journal of frozen batches they hold every answered query at every instant, each
 * once; the next process finds it there. A clean stop removes them, a power cut too.
 *
 *   merge: the log takes what changed and which tallies are in it, as one record; only then are
 *   they cleared. A tally that the log names by its generation is not merged again.
 *
 *   freeze: the log takes which items left, before the journal takes the batch. As long as that
 *   record is the last and the journal lacks the batch, it was never sent: then they stayed.
 *
 *   hold: what the journal refuses (a full disk) the log takes whole, before it is sent.
 *
 * When the log cannot be written, it is emptied, warned about once and begun anew as soon as there
 * is room; until then a crash loses what is pending, and nothing is counted twice. Without a folder
 * it is all plain memory. One thread, after memory_open.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/strbuf.h"
#include "resolver/telemetry/clock_watch.h"
#include "resolver/telemetry/journal.h"
#include "resolver/telemetry/memory/memory_held.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/tally.h"
#include "resolver/telemetry/zone_ids.h"

struct memory_settings {
	const char *dir;  /* "auto": under /run/teredown or /dev/shm; "" : plain memory */
	const char *boot; /* of this process */
	size_t tallies;
};

struct memory_status {
	bool on;           /* and not failing */
	uint64_t bytes;    /* of the log */
	uint64_t healed;   /* answered queries that an earlier process had left, and no batch had */
	uint64_t failures; /* writes that failed, ever */
};

struct memory;

/*
 * Recovers what an earlier process of this state directory left: into pending, what was frozen into
 * the journal, where there is room. NULL only when out of memory; if there is no folder, no journal
 * (NULL) or no room, that is logged and it is plain memory. pending, zones, journal and clock
 * outlive it. zones belongs to this thread during the call.
 */
struct memory *memory_open(const struct memory_settings *settings, struct pending *pending,
	struct zone_ids *zones, struct journal *journal, const struct clock_watch *clock);

/* Nothing is left on tmpfs unless something is still pending or held. True when it is. */
bool memory_close(struct memory **memory);

/* 0 … tallies-1; empty. They live as long as the memory. */
struct tally *memory_tally(const struct memory *memory, size_t index);

/* This tally was merged into pending; it is cleared only after the next commit. */
void memory_merged(struct memory *memory, const struct tally *tally);
void memory_commit(struct memory *memory);

/* Items were cut into a batch of this number, which will now be written to the journal. */
void memory_frozen(struct memory *memory, uint64_t number);

/* The journal refused it: before it is sent. Nothing happens if it is held already. */
void memory_hold(
	struct memory *memory, const struct journal_key *key, const void *octets, size_t length);

/* It is in the journal after all, or in Redis. */
void memory_release(struct memory *memory, const char *boot, uint64_t number);

/* The oldest of another boot, NULL when there is none: to be sent before anything else. */
const struct memory_held *memory_next_held(const struct memory *memory);

/* Once a look, when all is committed: keeps the log small, begins one anew after a failure. */
void memory_settle(struct memory *memory, const struct now *now);

/* Everything pending was changed at once (pending_shift). */
void memory_rewrite(struct memory *memory);

void memory_status(const struct memory *memory, struct memory_status *out);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbered batches. A bounded part of what is pending is cut out and frozen, as the arguments of
 * one script call, under the next number of this boot; the same octets are sent until they are
 * acknowledged, then the next is cut. The script applies each number once, so a lost reply costs a
 * repetition and never a count. A passive machine: it knows no socket and no clock.
 *
 * A frozen batch is its boot, its number, `text` and `lengths`; batch_save and batch_load carry it
 * through the journal, where it has to be before it is sent for the first time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/base/strbuf.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/zone_ids.h"

#define BOOT_TEXT_SIZE 17 /* 16 hexadecimal digits and a NUL */

/*
 * Redis serves nobody else while a script runs, so a batch is bounded by what its items cost there,
 * in units of about 10 us each: a call takes about 2 ms, and the promise is 5.
 */
#define BATCH_COST_MAX 150
#define BATCH_ITEMS_MAX 100
#define BATCH_BYTES_MAX ((size_t)64 << 10) /* of arguments, when the last item begins */
#define BATCH_ARGS_MAX 4000

/*
 * argv of a batch: EVALSHA, the script's SHA-1, 1, the key `applied`, the lease, the header, then
 * the items. Lease, header and items are what script.lua expects; it describes them. The SHA-1 and
 * the lease are slots: empty in a frozen batch, filled by whoever sends it, who need not be the one
 * who cut it, nor have the same resolver name: the key is the sender's too.
 */
enum {
	BATCH_ARGV_COMMAND,
	BATCH_ARGV_SHA,
	BATCH_ARGV_KEYS,
	BATCH_ARGV_APPLIED,
	BATCH_ARGV_INSTANCE,
	BATCH_ARGV_SENDER,
	BATCH_ARGV_LEASE,
	BATCH_ARGV_HEADER
};
#define BATCH_HEADER_COUNT 18

struct batch_bounds {
	uint32_t clients, client_names, names, name_clients, name_addresses, addresses, pairs,
		hour_names, top, stream;
};
extern const struct batch_bounds batch_bounds_default; /* SCHEMA_*_MAX */

struct batch_settings {
	const char *resolver_name; /* the three strings and zones outlive the batcher */
	const char *version;
	char boot[BOOT_TEXT_SIZE];
	const struct zone_ids *zones;
	int64_t started_us;
	unsigned retention_days, pair_retention_days;
	struct batch_bounds bounds;
};

struct batch {
	char boot[BOOT_TEXT_SIZE];
	uint64_t number;
	uint64_t queries; /* answered queries that it counts */
	size_t items, cost;
	size_t argc;
	const char *argv[BATCH_ARGS_MAX];
	size_t lengths[BATCH_ARGS_MAX];
	struct strbuf text; /* the arguments, back to back */
};

struct batcher {
	struct batch_settings settings;
	uint64_t last_number; /* cut so far */
	int64_t closed_hour;  /* the last one of which everything has been cut */
	bool frozen;          /* `batch` waits for its acknowledgement */
	struct batch *batch;
	uint64_t applied_batches, applied_queries; /* acknowledged */
};

/* False when out of memory. */
bool batcher_init(struct batcher *batcher, const struct batch_settings *settings);
void batcher_deinit(struct batcher *batcher);

/*
 * The batch to send: the frozen one, else a new one cut from pending; NULL when nothing is pending,
 * unless even_if_empty (it closes an hour, or carries gauges alone). It belongs to the batcher and
 * stays as it is until acknowledged.
 */
struct batch *batch_cut(struct batcher *batcher, struct pending *pending, const struct now *now,
	bool even_if_empty);

/* The frozen batch is another's business from now on: the next can be cut. */
void batch_set_aside(struct batcher *batcher);

/* Appends a batch to out; failure is out's. */
void batch_save(const struct batch *batch, struct strbuf *out);

/* What batch_save wrote; boot, number and queries are the caller's to set. TD_UNSUPPORTED: another
 * version wrote it; TD_MALFORMED, TD_NOMEM. text must have been initialised. */
enum td_error batch_load(struct batch *batch, const void *data, size_t size);

/* True when this was the frozen batch, which is then done with. */
bool batch_acknowledged(struct batcher *batcher, uint64_t number);

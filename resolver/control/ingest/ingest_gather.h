/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Adding up what a chunk of a log says: packets and requests by hour, client, address and kind, so
 * that a million lines become some hundred items. Bounded by what the items of a chunk cost Redis,
 * since it serves nobody else while they are written. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/hash.h"
#include "lib/base/table.h"
#include "lib/dns/address.h"
#include "resolver/telemetry/redis/ingest_store.h"

#define MS_PER_HOUR INT64_C(3600000)

/* Columns of a timeline, as ingest.lua calls them. */
enum gather_column { COLUMN_DROP, COLUMN_PASS, COLUMN_PROXY, COLUMN_EVENTLOG };

enum gather_tunnel { TUNNEL_NONE, TUNNEL_UDP3544, TUNNEL_PROTO41 };

/* A sum; what it does not need is zero. */
struct gather_cell {
	struct gather_key {
		uint8_t what;   /* enum gather_what */
		uint8_t detail; /* column, tunnel; of history: 1 certain */
		uint32_t hour;  /* since 1970 */
		struct address client, address;
	} key;
	uint64_t count;
	int64_t first_ms, last_ms;
	size_t name_length;
	char name[]; /* DNS name, or of an event: computer, NUL, JSON; with a NUL behind it */
};

#define GATHER_HOURS_MAX 32

enum gather_what { GATHER_TIMELINE, GATHER_NAME, GATHER_DROP, GATHER_HISTORY, GATHER_EVENT };

struct gather {
	struct table cells;
	struct arena arena;
	struct hash_seed seed;
	unsigned cost;
	uint32_t hours[GATHER_HOURS_MAX]; /* of drops, each a key of its own */
	size_t hour_count;
	uint64_t sum; /* of all counts */
	bool failed;  /* out of memory */
};

/* What one entry of a log may add, at most. */
#define GATHER_NAMES_MAX 8 /* clients of one answer */

void gather_init(struct gather *gather, const struct hash_seed *seed);
void gather_deinit(struct gather *gather);
void gather_clear(struct gather *gather);
bool gather_is_empty(const struct gather *gather);

/* False: the chunk has to be written before another entry is added. */
bool gather_has_room(const struct gather *gather);

/* Each takes the time in Unix ms, not before 1970, and the count, at most GATHER_COUNT_MAX. Of a
 * client and an address the texts are what address_to_text makes of them; family 0 is "-". */
#define GATHER_COUNT_MAX UINT64_C(1000000000000)
void gather_timeline(struct gather *gather, const struct address *address, int64_t at_ms,
	enum gather_column column, uint64_t count);
/* A proxy's requests of which only the name is known. */
void gather_name(struct gather *gather, const char *name, int64_t at_ms, uint64_t count);
void gather_drop(struct gather *gather, const struct address *client, const struct address *address,
	int64_t at_ms, enum gather_tunnel tunnel, uint64_t count);
void gather_history(struct gather *gather, const struct address *client, const char *name,
	const struct address *address, int64_t at_ms, bool certain);
/* The newest of a computer stays. */
void gather_event(struct gather *gather, const char *computer, int64_t at_ms, const char *json);

/* Appends all cells as items. */
void gather_write(const struct gather *gather, struct ingest_chunk *chunk);

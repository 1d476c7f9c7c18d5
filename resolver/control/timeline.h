/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of `teredown timeline`: what is counted of an address, a name or a client, hour by
 * hour, and how it is shown. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "lib/dns/name.h"
#include "resolver/control/buckets.h"
#include "resolver/control/cli.h"
#include "resolver/control/fleet_hours.h"
#include "resolver/control/pair_index.h"
#include "resolver/control/words.h"

enum timeline_kind { TIMELINE_ADDRESS, TIMELINE_NAME, TIMELINE_CLIENT };
enum timeline_by { TIMELINE_BY_SOURCE, TIMELINE_BY_CLIENT, TIMELINE_BY_NAME };

/* Sources of logs, and what a client asked of watched and blocked zones: a part of its dns. */
#define TIMELINE_WATCHED ((int)SOURCE_COUNT)
#define TIMELINE_SOURCES (TIMELINE_WATCHED + 1)

struct timeline_series {
	const char *group; /* the client or name, not escaped; "" by source */
	int source;        /* enum reader_source or TIMELINE_WATCHED */
	uint64_t sum;
	uint64_t *counts; /* of each bucket */
};

struct timeline_cell {
	uint32_t group, bucket;
	int source;
	uint64_t count;
};

struct timeline {
	struct cli *cli;
	struct fleet *fleet;
	struct cli_coverage coverage;
	enum timeline_kind kind;
	enum timeline_by by;
	const char *word; /* as keys have it */
	struct buckets buckets;
	bool logarithmic;
	/* What was read. */
	struct words groups;
	struct timeline_cell *cells;
	size_t cell_count, cell_capacity;
	uint64_t lookups, drops;
	/* What has to be said about it. */
	bool cut;       /* there is more than was read */
	bool others;    /* a bound of the store took who did it: some rows cannot be told apart */
	bool shared;    /* an address of the name was told for other names, too */
	bool unwatched; /* lookups of the name are those that told an address */
};

/* Reads all; what it appends is freed by timeline_deinit. */
enum td_error timeline_load(struct timeline *timeline);
void timeline_deinit(struct timeline *timeline);

/*
 * The series: of each group those sources that have something, groups with the most first, what is
 * beyond most series under "(others)". By source all that have something, and dns; with
 * every_source those without anything, too. The array is the arena's; NULL: out of memory.
 */
struct timeline_series *timeline_series(
	struct timeline *timeline, size_t most, bool every_source, size_t *count);

/* "dns", …, "dns-watched" */
const char *timeline_source_name(int source);

void timeline_show_text(struct timeline *timeline);
void timeline_show_csv(struct timeline *timeline);
void timeline_show_json(struct timeline *timeline);

/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading what memory.c wrote in an earlier process. */
#pragma once

#include <stdint.h>

#include "resolver/telemetry/clock_watch.h"
#include "resolver/telemetry/journal.h"
#include "resolver/telemetry/memory/memory_held.h"
#include "resolver/telemetry/memory/memory_place.h"
#include "resolver/telemetry/pending.h"
#include "resolver/telemetry/zone_ids.h"

#define MEMORY_VERSION 1
enum memory_section {
	MEMORY_HEADER = 'h',
	MEMORY_STATE = 's',
	MEMORY_TALLY = 't',
	MEMORY_FROZEN = 'f',
	MEMORY_HELD = 'b',
	MEMORY_SETTLED = 'a'
};

/*
 * Puts what is in the folder into pending; frozen batches that the journal lacks go there, and
 * where it refuses them, into *held (malloc'd). Changes no file of the folder, but for setting
 * aside what another version wrote. Returns how many answered queries came into pending.
 */
uint64_t memory_recover(const struct memory_place *place, struct pending *pending,
	struct zone_ids *zones, struct journal *journal, const struct clock_watch *clock,
	struct memory_held **held);

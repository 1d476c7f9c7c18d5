/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker and the collector share: tallies that go there full and come back empty, records,
 * and a bell. The rings carry the things themselves, so whoever holds a tally is its only user and
 * nothing is locked.
 *
 * The bell is a system call only when the collector said that it sleeps; while it works it looks
 * again by itself.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/base/ring.h"
#include "resolver/telemetry/tally.h"

#define HANDOVER_TALLIES 8 /* one is filled; the others let the collector be late */

struct bell {
	int fd;             /* eventfd; readable when it rang */
	atomic_bool asleep; /* set by the collector before it sleeps, cleared by whoever rings */
};

struct handover {
	struct ring full;    /* worker → collector: struct tally * */
	struct ring empty;   /* collector → worker: struct tally * */
	struct ring records; /* worker → collector: struct record */
	/* What a record refused by the full ring would have become: lines of the query log, and
	 * dnstap messages. Written by the worker. */
	_Atomic uint64_t lines_lost, taps_lost;
	atomic_bool urged;   /* the bell rang because `records` was half full, and the collector has
				not looked yet */
	struct tally *rest; /* at the end: what the worker could not hand over, or NULL; set when
			       its thread is gone */
};

bool bell_init(struct bell *bell);
void bell_deinit(struct bell *bell);

/* Any thread, after giving something: wakes the collector if it sleeps. */
void bell_ring(struct bell *bell);
/* Wakes it in any case. */
void bell_ring_hard(struct bell *bell);

/* Collector: says that it will sleep. What was given before this is seen by the look that must
 * follow. */
void bell_sleep(struct bell *bell);
void bell_wake(struct bell *bell); /* does not sleep after all */

/* The HANDOVER_TALLIES tallies, which outlive it, lie in `empty` at first. False when out of memory;
 * deinit is fine then. */
bool handover_init(struct handover *handover, struct tally *tallies, size_t records_bytes);
void handover_deinit(struct handover *handover);

/* A tally into or out of one of the two rings, each of which has room for all; NULL when there is
 * none. */
void handover_give(struct ring *ring, struct tally *tally);
struct tally *handover_take(struct ring *ring);

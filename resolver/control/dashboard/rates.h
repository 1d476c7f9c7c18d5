/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rates out of counters that are read about once a second: what the daemon says of itself, and what
 * Redis has of the last hours. Passive: clocks are passed in. A rate is never negative and never
 * made up: a daemon that started anew counts from 0, a Redis that was emptied or that lacks a
 * resolver begins a new series, and until there are two readings of one series there is none.
 *
 * Which hour it is follows from the wall clock, and may step; how much time has gone by does not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/telemetry/redis/reader_totals.h"

#define RATES_POINTS 320
#define RATES_HOURS 24        /* of one reading */
#define RATES_WINDOW_MS 5000  /* a rate is of so long a time, or of the last two readings */
#define RATES_SHARE_MS 300000 /* the share of the cache */

struct rates_daemon {
	uint64_t pid, uptime_s; /* tell one process from the next */
	uint64_t answered, hits, misses;
};

struct rates_store {
	uint64_t sources; /* another number: the hours are of other resolvers than before */
	int64_t first_hour;
	struct reader_total hours[RATES_HOURS]; /* from first_hour */
};

/* What was counted since the beginning, at one moment. */
struct rates_point {
	int64_t at_ms; /* monotonic */
	bool has_daemon, has_store;
	unsigned store_series;
	uint64_t answered, hits, misses;
	uint64_t queries, watched, blocked, cached;
};

struct rates {
	struct rates_point points[RATES_POINTS]; /* a ring */
	size_t count, next;
	struct rates_point sum; /* up to now */
	bool has_daemon, has_store;
	struct rates_daemon daemon; /* the last that were read */
	struct rates_store store;
	int64_t newest_hour; /* that was ever read */
};

/* Those that cannot be told are negative. */
struct rates_now {
	double queries_per_s, watched_per_s, blocked_per_s;
	double cache_hit_rate; /* 0 … 1 */
};

void rates_init(struct rates *rates);

/* A reading; NULL for what could not be read. */
void rates_add(struct rates *rates, int64_t mono_ms, const struct rates_daemon *daemon,
	const struct rates_store *store);

/* Queries and the share of the cache as the daemon tells them, else as Redis does; all of Redis
 * with by_store, which is about a fleet. */
struct rates_now rates_now(const struct rates *rates, bool by_store);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the pages of watched zones show: for each zone who hits it, since when, by which names, and
 * a week by the hour. Results live in the arena of the command line. One thread; the caches are
 * shared.
 */
#pragma once

#include "resolver/control/dashboard/name_zones.h"
#include "resolver/control/dashboard/zones.h"
#include "resolver/control/hour_cache.h"
#include "resolver/control/samples.h"

#define WATCH_HOURS 168
#define WATCH_CLIENTS_MAX 1000 /* rows of one answer */
#define WATCH_NEW_MAX 100      /* new clients of a zone that are named */

/* Kept from one request to the next, for all threads. */
struct watch_cache {
	struct hour_cache *hours;
	struct name_zones *names;
	struct sample_cache *samples; /* of who asks for periods, api_command.c */
};
/* NULL: out of memory. */
struct watch_cache *watch_cache_new(void);
void watch_cache_free(struct watch_cache **cache); /* a NULL inside is fine */

struct watch_name {
	const char *name;
	uint64_t hits, clients;
};

struct watch_client {
	const char *client;
	const char *name;              /* its host name; NULL none */
	int64_t first_ms;              /* its first hit, where the events still tell it; 0 */
	int64_t told_ms, told_last_ms; /* a Teredo server; 0 never */
	const char *server;
	uint64_t hits;
	int64_t last_ms;
};

struct watch_zone {
	const struct zone_state *state;
	struct zone_totals totals;
	uint64_t today, yesterday; /* hits, in local days */
	uint64_t *trend;           /* hits of each of the WATCH_HOURS */
	struct watch_name *names;  /* of these hours, most hits first */
	size_t name_count;
	struct watch_client *fresh; /* first hit within 24 hours, newest first */
	size_t fresh_count;
};

struct watch {
	int64_t first_hour; /* since 1970 */
	struct watch_zone *zones;
	size_t count;
	uint64_t unplaced; /* hits of these hours of which the zone or the name is not known */
	bool cut;          /* there is more than was read */
};

/* Of all zones that are watched or blocked, are for tunnels, or were hit; ours is false of another
 * resolver than the daemon's. All figures are of the same resolvers: those that can be read when it
 * returns. TD_IO, TD_REFUSED, TD_NOMEM. */
enum td_error watch_load(struct watch_cache *cache, struct cli *cli, struct fleet *fleet,
	const struct zones *zones, bool ours, struct watch *out);

/* Sets name and what a Teredo server was told, of each row's client. */
enum td_error watch_know_clients(
	struct cli *cli, struct fleet *fleet, struct watch_client *rows, size_t count);

/* First hits of clients in zones, as far as the events reach: within the hours before now. */
struct watch_first {
	const char *client, *zone;
	int64_t ms;
};
struct watch_firsts {
	struct watch_first *rows; /* newest first, of a client and zone one */
	size_t count;
	bool cut; /* events do not reach back that far */
};
enum td_error watch_firsts_load(
	struct cli *cli, struct fleet *fleet, int64_t since_ms, struct watch_firsts *out);

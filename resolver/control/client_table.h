/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All clients of one resolver, or their sums over a fleet, kept from one question to the next for
 * the dashboard and the screen of `teredown top`, so that sorting by any column, searching and
 * paging ask Redis for what has changed only. Any thread may call; one at a time reads Redis,
 * without holding the lock, and the others are answered from what is there.
 *
 * It holds as many clients as `clients-max` lets Redis hold; what a fleet has beyond that is
 * counted. Who was forgotten or folded into "*other" leaves it with the next complete reading,
 * which follows at once when the number of clients or the sum of their queries does not fit, but
 * takes no more than a twentieth of the time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "resolver/control/fleet.h"
#include "resolver/telemetry/redis/reader_clients.h"

#define CLIENT_TABLES_MAX 8        /* of one process: what is asked for least recently makes room */
#define CLIENT_TABLE_FRESH_MS 2000 /* so long it is shown without asking Redis */

enum client_column {
	CLIENT_BY_QUERIES,
	CLIENT_BY_WATCHED,
	CLIENT_BY_BLOCKED,
	CLIENT_BY_CACHED,
	CLIENT_BY_NXDOMAIN,
	CLIENT_BY_LAST,
	CLIENT_BY_CLIENT, /* addresses by their number, others behind them by their text */
	CLIENT_BY_NAME,   /* without regard to case; who has none comes last, whatever the order */
	CLIENT_COLUMN_COUNT
};
/* "queries", …; false for another word. */
bool client_column_from_text(const char *text, enum client_column *out);

struct client_query {
	enum client_column column;
	bool ascending;
	const char
		*search; /* "" for all: a part of the client or its name, without regard to case */
	size_t offset, limit;
};

struct client_page {
	struct reader_client_row *rows; /* with their texts in the arena */
	size_t count;
	uint64_t total, matching; /* "*other" among them */
	uint64_t beyond;          /* clients for which there was no room */
	int64_t as_of_ms;         /* wall clock: when Redis was read last */
	bool stale;               /* it could not be read since */
	bool failed; /* and this very call found that: the fleet is of no use any more */
};

struct client_tables;

/* seed: of hashes; most: clients of one table. NULL: out of memory. */
struct client_tables *client_tables_new(struct hash_seed seed, size_t most);
void client_tables_free(struct client_tables **tables);

/*
 * A page of the clients of fleet, read anew as far as they are not fresh. mono_ms and wall_ms are
 * the clocks. TD_IO, TD_REFUSED: Redis could not be read and there is nothing from before either;
 * fleet_words says why. With a page that is stale TD_OK is returned too. TD_NOMEM.
 */
enum td_error client_table_page(struct client_tables *tables, struct fleet *fleet,
	const struct client_query *query, int64_t mono_ms, int64_t wall_ms, struct arena *arena,
	struct client_page *out);

/* The same from what is there: for a time when there is no fleet. name is what client_table_name
 * gave. False: nothing was read before. */
bool client_table_last_page(struct client_tables *tables, const char *name,
	const struct client_query *query, struct arena *arena, struct client_page *out);

/* Under what the clients of a fleet are kept: its resolver, or "*" for all. */
const char *client_table_name(const struct fleet *fleet);

/* How many were seen at since_ms or later, as of the last reading within fresh_ms; else it is read.
 * As client_table_page. */
enum td_error client_table_since(struct client_tables *tables, struct fleet *fleet,
	int64_t since_ms, int64_t fresh_ms, int64_t mono_ms, int64_t wall_ms, uint64_t *out);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many clients at once, for tables that show all of them: who was seen, and the fields of a row.
 * Every command is a small one and they go in slices, so that a hundred thousand clients do not
 * hold up Redis. As in reader.h: one thread, TD_IO, TD_REFUSED, TD_NOMEM, TD_TOO_LONG; results live
 * in the arena of the caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/arena.h"
#include "lib/base/error.h"
#include "resolver/telemetry/redis/reader.h"

/* Figures of which one differs when anything of the clients has changed: a query, a new client, or one
 * that was folded into "*other" or forgotten. */
struct reader_clients_mark {
	uint64_t queries; /* that were counted in all */
	uint64_t clients; /* that are known, "*other" not among them */
	uint64_t other;   /* queries of "*other" */
};
enum td_error reader_clients_mark(struct reader *reader, struct reader_clients_mark *out);

/* Those last seen at since_ms or later (0: all), with that time, the newest first. While counts
 * come in one may come twice. At most limit; total is of all. */
enum td_error reader_clients_seen(struct reader *reader, struct arena *arena, int64_t since_ms,
	size_t limit, struct reader_ranks *out);

/* How many were last seen at since_ms or later, without "*other". */
enum td_error reader_clients_since(struct reader *reader, int64_t since_ms, uint64_t *out);

/* What a table shows of a client. Times are Unix ms, 0 unknown; texts are NULL where there is none,
 * and not checked. */
struct reader_client_row {
	const char *client; /* set by the caller */
	bool known;
	uint64_t queries, watched, blocked, cached, nxdomain;
	int64_t first_ms, last_ms;
	int64_t told_ms, told_last_ms;
	const char *told_server, *name, *forwarder;
};
enum td_error reader_client_rows(
	struct reader *reader, struct arena *arena, struct reader_client_row *rows, size_t count);

/* Sets found[i] where one of these hours says that a rule watched or blocked names[i] when this
 * client asked it. hours are counted from 1970. */
enum td_error reader_watched_names(struct reader *reader, const char *client,
	const char *const names[], size_t count, const int64_t hours[], size_t hour_count,
	bool found[]);

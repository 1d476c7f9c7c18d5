/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The servers of one worker, in groups by the names they are asked about: a struct upstream for
 * each group of a route_table; other than the default one they are made when the first question
 * comes for them. The worker's thread
 * only.
 *
 * A new table takes effect at once for new questions. A group whose servers and settings stayed
 * stays as it is; of another the servers that stay keep what is known of them. Questions that are
 * open end with the servers they were put to.
 */
#pragma once

#include "resolver/upstream/route_table.h"
#include "resolver/upstream/upstream.h"

struct routes;

/* The settings of all groups; servers of it are not looked at. NULL: out of memory. */
struct routes *routes_new(struct event_base *base, const struct upstream_config *settings);
void routes_free(struct routes *routes); /* open requests end without a call; NULL is fine */

/*
 * The table and settings from now on; before the first call there is no server. The table outlives
 * its use; the one before is not used any more when this returns. True when some names have other
 * servers than before.
 */
bool routes_set(struct routes *routes, const struct route_table *table,
	const struct upstream_config *settings);

/* As upstream_ask; the name of the question in any case. Ended by upstream_cancel. */
struct upstream_request *routes_ask(struct routes *routes, const struct upstream_question *question,
	upstream_done_fn *done, void *context, enum td_error *error);

/* The group that would be asked; NULL where none was made yet. */
struct upstream *routes_upstream(struct routes *routes, const struct upstream_question *question);

/* Gives back what open questions of an earlier table held on to. To be called now and then. */
void routes_sweep(struct routes *routes);

/* upstream_came_back, of any group. */
bool routes_came_back(struct routes *routes);

/* Over all groups, those of earlier tables too. */
struct upstream_counters routes_counters(const struct routes *routes);

/* A server and what is known of it. */
struct route_server {
	size_t group; /* of the table */
	struct server_state state;
};

/* The default group; NULL: there was no memory for it. */
const struct upstream *routes_default(const struct routes *routes);

/*
 * The servers of all other groups, in the table's order. Returns how many there are and writes at
 * most max; those of a group that was never asked are as at the beginning.
 */
size_t routes_servers(const struct routes *routes, struct route_server *out, size_t max);

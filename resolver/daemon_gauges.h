/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's own figures, summed over what workers tell: for `status`, and as gauges for Redis's
 * meta, which are told every ten seconds and at a stop. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/daemon.h"
#include "resolver/telemetry/latency.h"
#include "resolver/upstream/upstream.h"

#define DAEMON_FIGURES_MAX 160

struct daemon_figure {
	const char *name; /* static storage */
	uint64_t value;
	const char *text; /* for status, in place of the value; NULL: the value */
	enum { FIGURE_STATUS = 1, FIGURE_GAUGE = 2, FIGURE_BOTH = 3 } where;
};

/* Of a broadcast whose messages brought a status back. Returns how many of out are filled; texts
 * may point into telemetry. */
size_t daemon_figures(const struct daemon *daemon, const struct broadcast *broadcast,
	const struct telemetry_status *telemetry, struct daemon_figure out[DAEMON_FIGURES_MAX]);
void daemon_latency(const struct daemon *daemon, const struct broadcast *broadcast,
	struct latency out[LATENCY_CLASSES]);
struct server_state daemon_server(
	const struct daemon *daemon, const struct broadcast *broadcast, size_t server);

/* Begins to tell gauges, unless Redis is off. False: out of memory, logged. */
bool daemon_gauges_start(struct daemon *daemon);

/* Tells those of such a broadcast; broadcast_done_fn. */
void daemon_gauges_tell(struct daemon *daemon, struct broadcast *broadcast);

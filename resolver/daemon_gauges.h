/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sums of what workers tell, for `status` and for the gauges in Redis's meta, which are told every
 * ten seconds and at a stop. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/counters.h"
#include "resolver/daemon.h"
#include "resolver/upstream/upstream.h"

struct daemon_totals {
	struct worker_counters counters;
	struct upstream_counters upstream;
	uint64_t pending, tcp_clients;
};

/* Of a broadcast whose messages brought a status back. */
void daemon_totals(
	const struct daemon *daemon, const struct broadcast *broadcast, struct daemon_totals *out);
struct server_state daemon_server(
	const struct daemon *daemon, const struct broadcast *broadcast, size_t server);

/* Begins to tell them, unless Redis is off. False: out of memory, logged. */
bool daemon_gauges_start(struct daemon *daemon);

/* Tells those of such a broadcast; broadcast_done_fn. */
void daemon_gauges_tell(struct daemon *daemon, struct broadcast *broadcast);

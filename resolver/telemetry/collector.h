/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one thread beside the workers: merges their tallies, sends batches to Redis, writes the query
 * log. Its own event loop; nothing it waits for is waited for by anyone else, except by
 * collector_stop.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "resolver/telemetry/redis/forget.h"
#include "resolver/telemetry/gauges.h"
#include "resolver/telemetry/handover.h"
#include "resolver/telemetry/telemetry.h"
#include "resolver/telemetry/zone_ids.h"

struct collector;

/* handovers, whose rings may be made later, zones and bell outlive the collector; config during the
 * call. Recovers what an earlier process left (memory.h). NULL and a logged error. */
struct collector *collector_new(const struct telemetry_config *config, struct handover *handovers,
	size_t count, struct zone_ids *zones, struct bell *bell);

/* The HANDOVER_TALLIES tallies of a worker, empty; they live as long as the collector. */
struct tally *collector_tallies(const struct collector *collector, size_t worker);

/* Starts the thread. */
enum td_error collector_start(struct collector *collector);

/* After the workers ended: takes what is left, sends for at most timeout_ms, ends the thread and
 * frees. */
void collector_stop(struct collector **collector, int timeout_ms);

/* Any thread. */
void collector_event(struct collector *collector, const char *kind, const char *text);
void collector_gauges(struct collector *collector, const struct gauges *gauges);
void collector_reopen(struct collector *collector);
void collector_status(struct collector *collector, struct telemetry_status *out);

/* Any thread; see forget.h. TD_UNSUPPORTED: Redis is off. */
enum td_error collector_forget(struct collector *collector, const char *client);
void collector_forget_status(struct collector *collector, struct forget_status *out);

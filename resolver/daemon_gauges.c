/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Workers are asked by the message that `status` sends, so nothing here waits, and a worker that is
 * late is not asked again before it has answered. Figures that the telling itself would change (the
 * journal's size, batches applied) are left out: an idle daemon has then nothing new to tell, and
 * nothing is written.
 */
#include "resolver/daemon_gauges.h"

#include <event2/event.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "resolver/telemetry/gauges.h"

#define GAUGES_INTERVAL_S 10

/* --- sums --- */

void daemon_totals(
	const struct daemon *daemon, const struct broadcast *broadcast, struct daemon_totals *out)
{
	*out = (struct daemon_totals){0};
	for (unsigned w = 0; w < daemon->worker_count; w++) {
		const struct worker_status *status = &broadcast->messages[w].status;
#define X(name) out->counters.name += status->counters.name;
		WORKER_COUNTERS(X)
#undef X
#define X(name) out->upstream.name += status->upstream.name;
		UPSTREAM_COUNTERS(X)
#undef X
		out->pending += status->pending;
		out->tcp_clients += status->tcp_clients;
	}
}

/* Each worker has its own view of a server: sums, and the mean of the round trips. */
struct server_state daemon_server(
	const struct daemon *daemon, const struct broadcast *broadcast, size_t server)
{
	struct server_state sum = broadcast->messages[0].status.servers[server];

	for (unsigned w = 1; w < daemon->worker_count; w++) {
		const struct server_state *more = &broadcast->messages[w].status.servers[server];
		sum.sent += more->sent;
		sum.answered += more->answered;
		sum.timed_out += more->timed_out;
		if (more->srtt_us)
			sum.srtt_us =
				sum.srtt_us ? (sum.srtt_us + more->srtt_us) / 2 : more->srtt_us;
		if (more->backoff_until_us > sum.backoff_until_us)
			sum.backoff_until_us = more->backoff_until_us;
	}
	return sum;
}

/* --- gauges --- */

static void add_counters(
	const struct daemon *daemon, const struct broadcast *broadcast, struct gauges *gauges)
{
	struct daemon_totals totals;

	daemon_totals(daemon, broadcast, &totals);
#define X(name) gauges_add(gauges, #name, totals.counters.name);
	WORKER_COUNTERS(X)
#undef X
#define X(name) gauges_add(gauges, #name, totals.upstream.name);
	UPSTREAM_COUNTERS(X)
#undef X
	gauges_add(gauges, "pending", totals.pending);
	gauges_add(gauges, "tcp_clients", totals.tcp_clients);
	gauges_add(gauges, "workers", daemon->worker_count);
}

static void add_upstreams(
	const struct daemon *daemon, const struct broadcast *broadcast, struct gauges *gauges)
{
	size_t count = broadcast->messages[0].status.server_count, failing = 0;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	int64_t now_us = ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
	for (size_t i = 0; i < count; i++) {
		struct server_state server = daemon_server(daemon, broadcast, i);
		bool backoff = server.backoff_until_us > now_us;
		gauges_add_upstream(gauges, &server.endpoint, backoff ? "backoff" : "ok");
		failing += backoff;
	}
	gauges_add(gauges, "upstreams", count);
	gauges_add(gauges, "upstreams_failing", failing);
}

static void add_cache(const struct daemon *daemon, struct gauges *gauges)
{
	struct cache_status cache;

	cache_status(daemon->cache, &cache);
	gauges_add(gauges, "cache_entries", cache.entries);
	gauges_add(gauges, "cache_bytes", cache.bytes);
	gauges_add(gauges, "cache_limit", cache.limit);
	gauges_add(gauges, "cache_evicted", cache.evicted);
	gauges_add(gauges, "cache_expired", cache.expired);
}

static void add_telemetry(const struct daemon *daemon, struct gauges *gauges)
{
	struct telemetry_status status;

	telemetry_status(daemon->telemetry, &status);
	gauges_add(gauges, "memory", status.memory_on);
	gauges_add(gauges, "memory_failures", status.memory_failures);
	gauges_add(gauges, "journal", status.journal_on);
	gauges_add(gauges, "journal_failures", status.journal_failures);
	gauges_add(gauges, "journal_dropped", status.journal_dropped);
	gauges_add(gauges, "queries_healed", status.queries_healed);
	gauges_add(gauges, "clock_steps", status.clock_steps);
	gauges_add(gauges, "details_dropped", status.details_dropped);
	gauges_add(gauges, "records_dropped", status.records_dropped);
	gauges_add(gauges, "stream_dropped", status.stream_dropped);
	gauges_add(gauges, "events_dropped", status.events_dropped);
	gauges_add(gauges, "forwarders", status.suspects_ever);
}

void daemon_gauges_tell(struct daemon *daemon, struct broadcast *broadcast)
{
	struct gauges gauges = {0};

	daemon->gathering = false;
	if (!daemon->gauges)
		return;
	add_counters(daemon, broadcast, &gauges);
	add_upstreams(daemon, broadcast, &gauges);
	add_cache(daemon, &gauges);
	add_telemetry(daemon, &gauges);
	telemetry_gauges(daemon->telemetry, &gauges);
}

static void on_interval(evutil_socket_t fd, short what, void *context)
{
	struct daemon *daemon = context;

	(void)fd;
	(void)what;
	if (daemon->gathering || daemon->stopping)
		return;
	daemon->gathering = daemon_broadcast(daemon, WORKER_STATUS, daemon_gauges_tell, NULL);
}

bool daemon_gauges_start(struct daemon *daemon)
{
	static const struct timeval interval = {.tv_sec = GAUGES_INTERVAL_S};

	if (strcmp(daemon->options->redis, "off") == 0)
		return true;
	daemon->gauges = event_new(daemon->base, -1, EV_PERSIST, on_interval, daemon);
	if (!daemon->gauges || event_add(daemon->gauges, &interval) != 0) {
		log_error("not enough memory");
		return false;
	}
	on_interval(-1, 0, daemon);
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One table of figures: each row says whether `status`, Redis or both are told. Figures that the
 * telling itself would change (the journal's size, batches applied) are no gauges: an idle daemon
 * has then nothing new to tell, and nothing is written.
 *
 * For gauges workers are asked by the message that `status` sends, so nothing here waits, and a
 * worker that is late is not asked again before it has answered.
 */
#include "resolver/daemon_gauges.h"

#include <event2/event.h>
#include <string.h>

#include "lib/base/log.h"
#include "resolver/counters.h"
#include "resolver/daemon_site.h"
#include "resolver/telemetry/gauges.h"
#include "resolver/upstream/server_status.h"

#define GAUGES_INTERVAL_S 10

/* --- sums --- */

struct totals {
	struct worker_counters counters;
	struct upstream_counters upstream;
	uint64_t pending, tcp_clients;
};

static struct totals sum_workers(const struct daemon *daemon, const struct broadcast *broadcast)
{
	struct totals sum = {.pending = 0};

	for (unsigned w = 0; w < daemon->worker_count; w++) {
		const struct worker_status *status = &broadcast->messages[w].status;
#define X(name) sum.counters.name += status->counters.name;
		WORKER_COUNTERS(X)
#undef X
#define X(name) sum.upstream.name += status->upstream.name;
		UPSTREAM_COUNTERS(X)
#undef X
		sum.pending += status->pending;
		sum.tcp_clients += status->tcp_clients;
	}
	return sum;
}

void daemon_latency(const struct daemon *daemon, const struct broadcast *broadcast,
	struct latency out[LATENCY_CLASSES])
{
	memset(out, 0, LATENCY_CLASSES * sizeof out[0]);
	for (unsigned w = 0; w < daemon->worker_count; w++)
		for (unsigned i = 0; i < LATENCY_CLASSES; i++)
			latency_merge(&out[i],
				&broadcast->messages[w].status.counters.latency[i]);
}

struct server_state daemon_server(
	const struct daemon *daemon, const struct broadcast *broadcast, size_t server)
{
	struct server_state sum = broadcast->messages[0].status.servers[server];

	for (unsigned w = 1; w < daemon->worker_count; w++)
		server_status_merge(&sum, &broadcast->messages[w].status.servers[server]);
	return sum;
}

/* --- the table --- */

static const char *store_words(const struct telemetry_status *telemetry)
{
	if (!telemetry->store_on)
		return "off";
	return telemetry->store_connected ? "connected" : "away";
}

size_t daemon_figures(const struct daemon *daemon, const struct broadcast *broadcast,
	const struct telemetry_status *telemetry, struct daemon_figure out[DAEMON_FIGURES_MAX])
{
	const struct totals totals = sum_workers(daemon, broadcast);
	struct cache_status cache;

	cache_sweep_failures(daemon->cache, daemon_mono_us());
	cache_status(daemon->cache, &cache);
	const struct daemon_figure figures[] = {
#define X(name) {#name, totals.counters.name, NULL, FIGURE_BOTH},
		WORKER_COUNTERS(X)
#undef X
		{"pending", totals.pending, NULL, FIGURE_BOTH},
#define X(name) {#name, totals.upstream.name, NULL, FIGURE_BOTH},
		UPSTREAM_COUNTERS(X)
#undef X
		{"tcp_clients", totals.tcp_clients, NULL, FIGURE_BOTH},
		{"workers", daemon->worker_count, NULL, FIGURE_GAUGE},
		{"policy_generation", daemon->rules->generation, NULL, FIGURE_BOTH},
		{"cache_entries", cache.entries, NULL, FIGURE_BOTH},
		{"cache_bytes", cache.bytes, NULL, FIGURE_BOTH},
		{"cache_limit", cache.limit, NULL, FIGURE_BOTH},
		{"cache_evicted", cache.evicted, NULL, FIGURE_BOTH},
		{"cache_expired", cache.expired, NULL, FIGURE_BOTH},
		{"cache_refreshed", cache.refreshed, NULL, FIGURE_BOTH},
		{"cache_flushed", cache.flushed, NULL, FIGURE_BOTH},
		{"cache_outdated", cache.outdated, NULL, FIGURE_BOTH},
		{"cache_failing", cache.failing, NULL, FIGURE_BOTH},
		{"cache_failing_displaced", cache.failing_displaced, NULL, FIGURE_BOTH},
		{"redis", 0, store_words(telemetry), FIGURE_STATUS},
		{"redis_error", 0, telemetry->store_error, FIGURE_STATUS},
		{"redis_since", (uint64_t)telemetry->store_since_us, NULL, FIGURE_STATUS},
		{"recording_since", (uint64_t)telemetry->recording_since_us, NULL, FIGURE_STATUS},
		{"batches_applied", telemetry->batches_applied, NULL, FIGURE_STATUS},
		{"batches_waiting", telemetry->batches_waiting, NULL, FIGURE_STATUS},
		{"queries_applied", telemetry->queries_applied, NULL, FIGURE_STATUS},
		{"queries_waiting", telemetry->queries_waiting, NULL, FIGURE_STATUS},
		{"journal", telemetry->journal_on, NULL, FIGURE_GAUGE},
		{"journal_waiting", telemetry->journal_waiting, NULL, FIGURE_STATUS},
		{"journal_bytes", telemetry->journal_bytes, NULL, FIGURE_STATUS},
		{"journal_failures", telemetry->journal_failures, NULL, FIGURE_BOTH},
		{"journal_dropped", telemetry->journal_dropped, NULL, FIGURE_BOTH},
		{"batches_replayed", telemetry->batches_replayed, NULL, FIGURE_STATUS},
		{"memory", telemetry->memory_on, telemetry->memory_on ? "on" : "off", FIGURE_BOTH},
		{"memory_bytes", telemetry->memory_bytes, NULL, FIGURE_STATUS},
		{"memory_failures", telemetry->memory_failures, NULL, FIGURE_BOTH},
		{"queries_healed", telemetry->queries_healed, NULL, FIGURE_BOTH},
		{"clock_steps", telemetry->clock_steps, NULL, FIGURE_BOTH},
		{"details_dropped", telemetry->details_dropped, NULL, FIGURE_BOTH},
		{"records_dropped", telemetry->records_dropped, NULL, FIGURE_BOTH},
		{"stream_dropped", telemetry->stream_dropped, NULL, FIGURE_BOTH},
		{"events_dropped", telemetry->events_dropped, NULL, FIGURE_BOTH},
		{"records_written", telemetry->records_written, NULL, FIGURE_STATUS},
		{"forwarders", telemetry->suspects_ever, NULL, FIGURE_BOTH},
	};

	_Static_assert(sizeof figures <= DAEMON_FIGURES_MAX * sizeof *out, "too many figures");
	memcpy(out, figures, sizeof figures);
	return sizeof figures / sizeof figures[0];
}

/* --- gauges --- */

static void add_figures(
	const struct daemon *daemon, const struct broadcast *broadcast, struct gauges *gauges)
{
	struct daemon_figure figures[DAEMON_FIGURES_MAX];
	struct telemetry_status telemetry;

	telemetry_status(daemon->telemetry, &telemetry);
	size_t count = daemon_figures(daemon, broadcast, &telemetry, figures);
	for (size_t i = 0; i < count; i++)
		if (figures[i].where & FIGURE_GAUGE)
			gauges_add(gauges, figures[i].name, figures[i].value);
}

static void add_latency(
	const struct daemon *daemon, const struct broadcast *broadcast, struct gauges *gauges)
{
	struct latency latency[LATENCY_CLASSES];
	char text[LATENCY_TEXT_MAX];

	daemon_latency(daemon, broadcast, latency);
	for (unsigned i = 0; i < LATENCY_CLASSES; i++)
		gauges_add_text(
			gauges, latency_figure_name(i), latency_to_text(&latency[i], text));
}

/* Returns whether it fails. */
static bool add_upstream(const struct server_state *server, bool loop, struct gauges *gauges)
{
	bool backoff = server->health == SERVER_DOWN;

	gauges_add_upstream(gauges, &server->endpoint, loop ? "loop" : backoff ? "backoff" : "ok");
	return backoff || loop;
}

static void add_upstreams(
	const struct daemon *daemon, const struct broadcast *broadcast, struct gauges *gauges)
{
	const struct worker_status *status = &broadcast->messages[0].status;
	size_t failing = 0;

	for (size_t i = 0; i < status->server_count; i++) {
		const struct server_state server = daemon_server(daemon, broadcast, i);
		bool loop = loop_watch_is_looping(daemon->loops, &server.endpoint);

		failing += add_upstream(&server, loop, gauges);
	}
	for (size_t i = 0; i < status->forward_count; i++) {
		const struct server_state server = daemon_site_server(daemon, broadcast, i);

		failing += add_upstream(&server, false, gauges);
	}
	gauges_add(gauges, "upstreams", status->server_count + status->forward_count);
	gauges_add(gauges, "upstreams_failing", failing);
}

void daemon_gauges_tell(struct daemon *daemon, struct broadcast *broadcast)
{
	struct gauges gauges = {0};

	daemon->gathering = false;
	daemon_cache_note(daemon, broadcast);
	if (!daemon->gauges)
		return;
	add_figures(daemon, broadcast, &gauges);
	add_upstreams(daemon, broadcast, &gauges);
	add_latency(daemon, broadcast, &gauges);
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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Most families are rows of a table: a metric, its labels, and the figure it is made of. A figure
 * is what the daemon beside us says now, or the gauge that it left in Redis, ten seconds old at
 * most; so a fleet has the same series as one resolver. What nobody says has no sample, rather than
 * a 0.
 *
 * All counters begin with the daemon's start but those out of `totals`, which begin with the
 * recording: both are counters to Prometheus, which sees a restart as what it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "resolver/control/attributes.h"
#include "resolver/control/dashboard/metrics.h"
#include "resolver/control/dashboard/metrics_text.h"

#define OTHER "*other"

struct writer {
	struct strbuf *out;
	const struct metrics_facts *facts;
};

/* --- figures --- */

/* A decimal number and nothing else. */
static bool to_number(const char *text, uint64_t *value)
{
	size_t digits = text ? strspn(text, "0123456789") : 0;

	if (digits == 0 || digits > 19 || text[digits])
		return false;
	*value = strtoull(text, NULL, 10);
	return true;
}

static const char *figure_text(const struct metrics_resolver *resolver, const char *name)
{
	char field[80];
	const char *text = resolver->status ? control_answer_value(resolver->status, name) : NULL;

	if (text)
		return text;
	snprintf(field, sizeof(field), "gauge_%s", name);
	return reader_field_text(&resolver->meta, field);
}

bool metrics_figure(const struct metrics_resolver *resolver, const char *name, uint64_t *value)
{
	return to_number(figure_text(resolver, name), value);
}

/* --- families of one figure each --- */

enum figure_from { FROM_FIGURE, FROM_META, FROM_META_MS, FROM_TOTALS, FROM_STATUS };

struct row {
	const char *metric;
	enum metric_type type;
	const char *help;
	const char *figure;
	enum figure_from from;
	const char *label, *value; /* NULL: none */
};

/* Rows of one metric follow each other; the help of the first is told. */
#define C METRIC_COUNTER
#define G METRIC_GAUGE
static const struct row rows[] = {
	{"teredown_received_total", C, "Queries received.", "received", FROM_FIGURE, NULL, NULL},
	{"teredown_answered_total", C, "Replies sent.", "answered", FROM_FIGURE, NULL, NULL},
	{"teredown_pending", G, "Queries that wait for their answer.", "pending", FROM_FIGURE, NULL,
		NULL},
#define DROPPED(reason)                                                                 \
	{                                                                               \
		"teredown_dropped_total", C, "Queries without a reply, by the reason.", \
			"dropped_" reason, FROM_FIGURE, "reason", reason                \
	}
	DROPPED("malformed"),
	DROPPED("proxy"),
	DROPPED("rate"),
	DROPPED("policy"),
	DROPPED("repeated"),
	DROPPED("overload"),
	DROPPED("send"),
	DROPPED("gone"),
	DROPPED("late"),
#define SOURCE(word, field)                                                                 \
	{                                                                                   \
		"teredown_queries_total", C,                                                \
			"Answered queries in Redis, by where the answer came from.", field, \
			FROM_TOTALS, "source", word                                         \
	}
	SOURCE("cache", "cached"),
	SOURCE("upstream", "forwarded"),
	SOURCE("local", "local"),
	SOURCE("policy", "blocked"),
#define OUTCOME(field)                                                                        \
	{                                                                                     \
		"teredown_outcomes_total", C, "Answered queries in Redis, by their outcome.", \
			field, FROM_TOTALS, "outcome", field                                  \
	}
	OUTCOME("noerror"),
	OUTCOME("nodata"),
	OUTCOME("nxdomain"),
	OUTCOME("servfail"),
	OUTCOME("refused"),
	OUTCOME("other"),
	{"teredown_watched_total", C, "Answers told truthfully while a rule in watch mode matched.",
		"watched", FROM_TOTALS, NULL, NULL},
	{"teredown_blocked_total", C, "Answers that a rule in block mode made.", "blocked",
		FROM_TOTALS, NULL, NULL},
	{"teredown_truncated_total", C, "Answers sent with TC.", "truncated", FROM_TOTALS, NULL,
		NULL},
	{"teredown_tcp_queries_total", C, "Answered queries that came over TCP.", "tcp",
		FROM_TOTALS, NULL, NULL},
#define EVENT(kind)                                                                           \
	{                                                                                     \
		"teredown_events_total", C,                                                   \
			"Events by kind; new-client is the first hit of a client in a zone.", \
			"event_" kind, FROM_TOTALS, "kind", kind                              \
	}
	EVENT("new-client"),
	EVENT("remediated-back"),
	EVENT("mode"),
	EVENT("start"),
	EVENT("store-lost"),
	EVENT("store-found"),
	EVENT("forwarder"),
	EVENT("clock"),
	{"teredown_cache_hits_total", C, "Questions answered from the cache.", "cache_hits",
		FROM_FIGURE, NULL, NULL},
	{"teredown_cache_misses_total", C, "Questions that the cache had no good answer for.",
		"cache_misses", FROM_FIGURE, NULL, NULL},
	{"teredown_cache_stale_answers_total", C,
		"Expired answers that were told for want of a better.", "stale_answers",
		FROM_FIGURE, NULL, NULL},
	{"teredown_cache_entries", G, "Answers in the cache.", "cache_entries", FROM_FIGURE, NULL,
		NULL},
	{"teredown_cache_bytes", G, "Memory of the cache.", "cache_bytes", FROM_FIGURE, NULL, NULL},
	{"teredown_cache_limit_bytes", G, "Memory that the cache may have.", "cache_limit",
		FROM_FIGURE, NULL, NULL},
	{"teredown_cache_evicted_total", C, "Answers that made room in the cache.", "cache_evicted",
		FROM_FIGURE, NULL, NULL},
	{"teredown_coalesced_total", C, "Questions that joined one that was pending.", "coalesced",
		FROM_FIGURE, NULL, NULL},
	{"teredown_prefetches_total", C, "Questions asked anew before their answer expired.",
		"prefetches", FROM_FIGURE, NULL, NULL},
#define UPSTREAM(word)                                                                          \
	{                                                                                       \
		"teredown_upstream_exchanges_total", C,                                         \
			"What was exchanged with upstream servers, by kind.", "upstream_" word, \
			FROM_FIGURE, "kind", word                                               \
	}
	UPSTREAM("udp"),
	UPSTREAM("tcp"),
	UPSTREAM("answers"),
	UPSTREAM("mismatched"),
	UPSTREAM("doubted"),
	UPSTREAM("spoofed"),
	UPSTREAM("timeouts"),
	UPSTREAM("errors"),
	UPSTREAM("hedges"),
	UPSTREAM("hedges_won"),
	UPSTREAM("hedges_refused"),
	UPSTREAM("copies"),
	UPSTREAM("probes"),
	{"teredown_tcp_clients", G, "TCP connections of clients.", "tcp_clients", FROM_FIGURE, NULL,
		NULL},
	{"teredown_tcp_accepted_total", C, "TCP connections taken.", "tcp_accepted", FROM_FIGURE,
		NULL, NULL},
	{"teredown_tcp_refused_total", C, "TCP connections over the limit.", "tcp_refused",
		FROM_FIGURE, NULL, NULL},
	{"teredown_workers", G, "Threads that answer.", "workers", FROM_FIGURE, NULL, NULL},
	{"teredown_policy_generation", G, "How often rules came into force since the start.",
		"policy_generation", FROM_FIGURE, NULL, NULL},
	{"teredown_uptime_seconds", G, "How long the daemon runs.", "uptime_s", FROM_STATUS, NULL,
		NULL},
	{"teredown_batches_applied_total", C, "Batches of counts that Redis has acknowledged.",
		"batches_applied", FROM_STATUS, NULL, NULL},
	{"teredown_batches_waiting", G, "Batches of counts that Redis has not acknowledged.",
		"batches_waiting", FROM_STATUS, NULL, NULL},
	{"teredown_queries_waiting", G, "Answered queries that are not counted in Redis yet.",
		"queries_waiting", FROM_STATUS, NULL, NULL},
	{"teredown_journal_waiting", G, "Batches in the journal that Redis has not acknowledged.",
		"journal_waiting", FROM_STATUS, NULL, NULL},
	{"teredown_journal_bytes", G, "Size of the journal.", "journal_bytes", FROM_STATUS, NULL,
		NULL},
	{"teredown_journal_failures_total", C, "Writes to the journal that failed.",
		"journal_failures", FROM_FIGURE, NULL, NULL},
#define LOST(word)                                                                          \
	{                                                                                   \
		"teredown_lost_total", C,                                                   \
			"What had no room in the daemon: details, lines of the query log, " \
			"entries of streams, events.",                                      \
			word "_dropped", FROM_FIGURE, "what", word                          \
	}
	LOST("details"),
	LOST("records"),
	LOST("stream"),
	LOST("events"),
	{"teredown_recorded_queries_total", C,
		"Answered queries counted in Redis since recording began.", "queries", FROM_META,
		NULL, NULL},
	{"teredown_recording_since_timestamp_seconds", G, "When recording began.",
		"recording_since", FROM_META_MS, NULL, NULL},
	{"teredown_last_batch_timestamp_seconds", G, "When the last batch that Redis has was cut.",
		"last_batch_at", FROM_META_MS, NULL, NULL},
	{"teredown_redis_memory_used_bytes", G, "Memory of Redis, as it said with the last batch.",
		"memory_used", FROM_META, NULL, NULL},
	{"teredown_redis_memory_max_bytes", G,
		"Memory that Redis may have; 0: as much as there is.", "memory_max", FROM_META,
		NULL, NULL},
	{"teredown_redis_pressure", G, "0: room for all; 1: no new detail is kept; 2: nothing new.",
		"pressure", FROM_META, NULL, NULL},
};
#undef C
#undef G

/* Counters that are 0 are absent from the totals of a recording. */
static bool row_value(
	const struct metrics_resolver *resolver, const struct row *row, uint64_t *value)
{
	const char *text = NULL;

	*value = 0;
	switch (row->from) {
	case FROM_FIGURE:
		return metrics_figure(resolver, row->figure, value);
	case FROM_STATUS:
		text = resolver->status ? control_answer_value(resolver->status, row->figure)
					: NULL;
		return to_number(text, value);
	case FROM_META:
	case FROM_META_MS:
		return to_number(reader_field_text(&resolver->meta, row->figure), value);
	case FROM_TOTALS:
		text = reader_field_text(&resolver->totals, row->figure);
		return to_number(text, value) || (!text && resolver->has_redis);
	}
	return false;
}

static void write_row(struct writer *writer, const struct row *row)
{
	for (size_t i = 0; i < writer->facts->resolver_count; i++) {
		const struct metrics_resolver *resolver = &writer->facts->resolvers[i];
		const struct metric_label labels[] = {
			{"resolver", resolver->name}, {row->label ? row->label : "", row->value}};
		uint64_t value;
		if (!row_value(resolver, row, &value))
			continue;
		if (row->from == FROM_META_MS && value)
			metrics_sample_us(writer->out, row->metric, labels, 2, value * 1000);
		else
			metrics_sample(writer->out, row->metric, labels, 2, value);
	}
}

static void write_rows(struct writer *writer)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (i == 0 || strcmp(rows[i].metric, rows[i - 1].metric) != 0)
			metrics_family(writer->out, rows[i].metric, rows[i].type, rows[i].help);
		write_row(writer, &rows[i]);
	}
}

/* --- what is up --- */

static const struct metrics_resolver *each_resolver(const struct writer *writer, size_t i)
{
	return i < writer->facts->resolver_count ? &writer->facts->resolvers[i] : NULL;
}

static void write_up(struct writer *writer)
{
	const struct metric_label build[] = {{"version", PACKAGE_VERSION}};
	const struct metrics_resolver *resolver;

	metrics_family(writer->out, "teredown_build_info", METRIC_GAUGE,
		"1; the version of the dashboard that says this.");
	metrics_sample(writer->out, "teredown_build_info", build, 1, 1);
	metrics_family(writer->out, "teredown_redis_up", METRIC_GAUGE,
		"1: Redis answers the dashboard. None where nothing is recorded.");
	if (writer->facts->redis_on)
		metrics_sample(writer->out, "teredown_redis_up", NULL, 0, writer->facts->redis_up);
	metrics_family(writer->out, "teredown_resolvers_unreadable", METRIC_GAUGE,
		"Resolvers whose records could not be read.");
	metrics_sample(
		writer->out, "teredown_resolvers_unreadable", NULL, 0, writer->facts->missing);
	metrics_family(writer->out, "teredown_daemon_up", METRIC_GAUGE,
		"1: teredownd answers, or writes to Redis.");
	for (size_t i = 0; (resolver = each_resolver(writer, i)); i++) {
		const struct metric_label labels[] = {{"resolver", resolver->name}};
		metrics_sample(writer->out, "teredown_daemon_up", labels, 1, resolver->up);
	}
	metrics_family(writer->out, "teredown_daemon_info", METRIC_GAUGE,
		"1; the version of a teredownd.");
	for (size_t i = 0; (resolver = each_resolver(writer, i)); i++) {
		const char *version = resolver->status
					      ? control_answer_value(resolver->status, "version")
					      : reader_field_text(&resolver->meta, "version");
		const struct metric_label labels[] = {
			{"resolver", resolver->name}, {"version", version}};
		if (version)
			metrics_sample(writer->out, "teredown_daemon_info", labels, 2, 1);
	}
	metrics_family(writer->out, "teredown_redis_connected", METRIC_GAUGE,
		"1: teredownd writes its counts to Redis; 0: they wait.");
	for (size_t i = 0; (resolver = each_resolver(writer, i)); i++) {
		const char *word =
			resolver->status ? control_answer_value(resolver->status, "redis") : NULL;
		const struct metric_label labels[] = {{"resolver", resolver->name}};
		if (word && strcmp(word, "off") != 0)
			metrics_sample(writer->out, "teredown_redis_connected", labels, 1,
				strcmp(word, "connected") == 0);
	}
}

/* --- latency --- */

static void write_latency(struct writer *writer)
{
	const struct metrics_resolver *resolver;

	metrics_family(writer->out, "teredown_answer_duration_seconds", METRIC_HISTOGRAM,
		"From the read of a query until its reply left: cached at once, forwarded after "
		"waiting for upstream.");
	for (size_t i = 0; (resolver = each_resolver(writer, i)); i++) {
		for (unsigned class = 0; class < LATENCY_CLASSES; class ++) {
			const struct metric_label labels[] = {
				{"resolver", resolver->name}, {"class", latency_class_name(class)}};
			const char *text = figure_text(resolver, latency_figure_name(class));
			struct latency latency;
			if (text && latency_from_text(&latency, text))
				metrics_histogram(writer->out, "teredown_answer_duration_seconds",
					labels, 2, &latency);
		}
	}
}

/* --- upstream servers --- */

struct server {
	const char *resolver;
	char address[160], state[32];
	const char *line; /* of status; NULL: not known more than that */
};

typedef void server_fn(struct writer *writer, const struct server *server, const char *metric);

static void visit_status_servers(struct writer *writer, const struct metrics_resolver *resolver,
	server_fn *visit, const char *metric)
{
	for (size_t i = 0; i < resolver->status->count; i++) {
		const struct control_line *line = &resolver->status->lines[i];
		struct server server = {.resolver = resolver->name, .line = line->value};
		if (strcmp(line->key, "upstream") != 0)
			continue;
		snprintf(server.address, sizeof(server.address), "%.*s",
			(int)strcspn(line->value, " "), line->value);
		attribute_word(line->value, "state", server.state, sizeof(server.state));
		visit(writer, &server, metric);
	}
}

/* "9.9.9.9:53=ok [2001:db8::1]:53=backoff" */
static void visit_gauge_servers(struct writer *writer, const struct metrics_resolver *resolver,
	server_fn *visit, const char *metric)
{
	const char *text = reader_field_text(&resolver->meta, "gauge_upstreams_state");

	for (unsigned n = 0; text && *text && n < 64; n++) {
		struct server server = {.resolver = resolver->name};
		size_t length = strcspn(text, " ");
		snprintf(server.address, sizeof(server.address), "%.*s", (int)length, text);
		char *equals = strrchr(server.address, '=');
		text += length + (text[length] == ' ');
		if (!equals)
			continue;
		*equals = '\0';
		snprintf(server.state, sizeof(server.state), "%s", equals + 1);
		visit(writer, &server, metric);
	}
}

static void visit_servers(struct writer *writer, server_fn *visit, const char *metric)
{
	const struct metrics_resolver *resolver;

	for (size_t i = 0; (resolver = each_resolver(writer, i)); i++)
		(resolver->status ? visit_status_servers : visit_gauge_servers)(
			writer, resolver, visit, metric);
}

static void write_server_state(
	struct writer *writer, const struct server *server, const char *metric)
{
	const struct metric_label labels[] = {{"resolver", server->resolver},
		{"server", server->address}, {"state", server->state}};

	metrics_sample(writer->out, metric, labels, 3, 1);
}

static void write_server_figure(
	struct writer *writer, const struct server *server, const char *metric)
{
	static const struct {
		const char *metric, *attribute;
	} figures[] = {{"teredown_upstream_sent_total", "sent"},
		{"teredown_upstream_answered_total", "answered"},
		{"teredown_upstream_timeouts_total", "timeouts"},
		{"teredown_upstream_failures_total", "failures"},
		{"teredown_upstream_round_trip_seconds", "srtt_us"}};
	const struct metric_label labels[] = {
		{"resolver", server->resolver}, {"server", server->address}};
	char word[32];
	uint64_t value;

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		if (strcmp(metric, figures[i].metric) != 0 || !server->line)
			continue;
		attribute_word(server->line, figures[i].attribute, word, sizeof(word));
		if (!to_number(word, &value))
			continue;
		if (strcmp(figures[i].attribute, "srtt_us") == 0)
			metrics_sample_us(writer->out, metric, labels, 2, value);
		else
			metrics_sample(writer->out, metric, labels, 2, value);
	}
}

static void write_servers(struct writer *writer)
{
	static const struct {
		const char *metric;
		enum metric_type type;
		const char *help;
		server_fn *visit;
	} families[] = {{"teredown_upstream_info", METRIC_GAUGE,
				"1; an upstream server and its state (ok, slow, failing, backoff, "
				"returning, loop).",
				write_server_state},
		{"teredown_upstream_sent_total", METRIC_COUNTER, "Questions sent to a server.",
			write_server_figure},
		{"teredown_upstream_answered_total", METRIC_COUNTER, "Answers of a server.",
			write_server_figure},
		{"teredown_upstream_timeouts_total", METRIC_COUNTER,
			"Questions that a server did not answer in time.", write_server_figure},
		{"teredown_upstream_failures_total", METRIC_COUNTER,
			"SERVFAIL, REFUSED and failed sockets of a server.", write_server_figure},
		{"teredown_upstream_round_trip_seconds", METRIC_GAUGE,
			"Smoothed round trip of a server.", write_server_figure}};

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		metrics_family(writer->out, families[i].metric, families[i].type, families[i].help);
		visit_servers(writer, families[i].visit, families[i].metric);
	}
}

/* --- zones and clients --- */

typedef void zone_fn(struct writer *writer, const struct metrics_resolver *resolver,
	const struct metrics_zone *zone);

static void visit_zones(struct writer *writer, zone_fn *visit)
{
	const struct metrics_resolver *resolver;

	for (size_t i = 0; (resolver = each_resolver(writer, i)); i++)
		for (size_t z = 0; z < resolver->zone_count; z++)
			visit(writer, resolver, &resolver->zones[z]);
}

static void write_zone_info(struct writer *writer, const struct metrics_resolver *resolver,
	const struct metrics_zone *zone)
{
	const struct metric_label labels[] = {{"resolver", resolver->name}, {"zone", zone->name},
		{"kind", zone->kind}, {"mode", zone->mode}};

	if (zone->mode)
		metrics_sample(writer->out, "teredown_zone_info", labels, 4, 1);
}

static void write_zone_rules(struct writer *writer, const struct metrics_resolver *resolver,
	const struct metrics_zone *zone)
{
	const struct metric_label labels[] = {{"resolver", resolver->name}, {"zone", zone->name}};

	if (zone->mode)
		metrics_sample(writer->out, "teredown_zone_rules", labels, 2, zone->rules);
}

static void write_zone_hits(struct writer *writer, const struct metrics_resolver *resolver,
	const struct metrics_zone *zone)
{
	const struct metric_label labels[] = {{"resolver", resolver->name}, {"zone", zone->name}};

	if (zone->has_hits)
		metrics_sample(writer->out, "teredown_zone_hits_total", labels, 2, zone->hits);
}

/* What no client of the list has stands under "*other". */
static void write_client_hits(struct writer *writer, const struct metrics_resolver *resolver,
	const struct metrics_zone *zone)
{
	struct metric_label labels[] = {
		{"resolver", resolver->name}, {"zone", zone->name}, {"client", OTHER}};
	uint64_t named = 0;

	if (!zone->top.count)
		return;
	for (size_t i = 0; i < zone->top.count; i++) {
		uint64_t hits = (uint64_t)zone->top.rows[i].value;
		labels[2].value = zone->top.rows[i].member;
		if (zone->top.rows[i].value < 0 || strcmp(labels[2].value, OTHER) == 0)
			continue;
		named += hits;
		metrics_sample(writer->out, "teredown_client_hits", labels, 3, hits);
	}
	labels[2].value = OTHER;
	metrics_sample(writer->out, "teredown_client_hits", labels, 3,
		zone->hits > named ? zone->hits - named : 0);
}

static void write_client_last(struct writer *writer, const struct metrics_resolver *resolver,
	const struct metrics_zone *zone)
{
	for (size_t i = 0; i < zone->last.count; i++) {
		const struct metric_label labels[] = {{"resolver", resolver->name},
			{"zone", zone->name}, {"client", zone->last.rows[i].member}};
		if (zone->last.rows[i].value > 0 && strcmp(labels[2].value, OTHER) != 0)
			metrics_sample_us(writer->out, "teredown_client_last_hit_timestamp_seconds",
				labels, 3, (uint64_t)zone->last.rows[i].value * 1000);
	}
}

static void write_told(struct writer *writer)
{
	const struct metrics_resolver *resolver;

	metrics_family(writer->out, "teredown_client_told_teredo_timestamp_seconds", METRIC_GAUGE,
		"When a client was first told the address of a Teredo server.");
	for (size_t i = 0; (resolver = each_resolver(writer, i)); i++) {
		for (size_t t = 0; t < resolver->told_count; t++) {
			const struct reader_client_row *row = &resolver->told[t];
			const struct metric_label labels[] = {{"resolver", resolver->name},
				{"client", row->client}, {"name", row->name}};
			if (row->told_ms > 0)
				metrics_sample_us(writer->out,
					"teredown_client_told_teredo_timestamp_seconds", labels, 3,
					(uint64_t)row->told_ms * 1000);
		}
	}
}

static void write_zones(struct writer *writer)
{
	metrics_family(writer->out, "teredown_zone_info", METRIC_GAUGE,
		"1; a policy zone and the mode it is in for everybody.");
	visit_zones(writer, write_zone_info);
	metrics_family(writer->out, "teredown_zone_rules", METRIC_GAUGE, "Rules of a zone.");
	visit_zones(writer, write_zone_rules);
	metrics_family(writer->out, "teredown_zone_hits_total", METRIC_COUNTER,
		"Watched and blocked answers, by the zone whose rule matched.");
	visit_zones(writer, write_zone_hits);
	metrics_family(writer->out, "teredown_client_hits", METRIC_GAUGE,
		"Hits so far of the clients with the most in a tunnel zone, and of all others.");
	visit_zones(writer, write_client_hits);
	metrics_family(writer->out, "teredown_client_last_hit_timestamp_seconds", METRIC_GAUGE,
		"When those clients that hit a tunnel zone last did so.");
	visit_zones(writer, write_client_last);
	write_told(writer);
}

/* --- ourselves --- */

static void write_access(struct writer *writer)
{
	const struct access_counts *counts = &writer->facts->access;
	const struct {
		const char *name, *help;
		enum metric_type type;
		uint64_t value;
	} figures[] = {
		{"teredown_dashboard_sessions", "Open sessions.", METRIC_GAUGE, counts->open},
		{"teredown_dashboard_sessions_pushed_out_total",
			"Sessions that ended because there were too many.", METRIC_COUNTER,
			counts->pushed_out},
		{"teredown_dashboard_wrong_tokens_total", "Tries to sign in with a wrong token.",
			METRIC_COUNTER, counts->wrong},
		{"teredown_dashboard_sign_ins_turned_away_total",
			"Tries to sign in that came too soon after others.", METRIC_COUNTER,
			counts->turned_away},
		{"teredown_dashboard_changes_refused_total",
			"Changes asked for without a session, without its CSRF token, or from "
			"elsewhere.",
			METRIC_COUNTER, counts->refused},
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
		metrics_family(writer->out, figures[i].name, figures[i].type, figures[i].help);
		metrics_sample(writer->out, figures[i].name, NULL, 0, figures[i].value);
	}
}

static void write_dashboard(struct writer *writer)
{
	const struct dashboard *dashboard = writer->facts->dashboard;

	if (!dashboard)
		return;
#define FIGURE(metric, type, help, figure)                                     \
	metrics_family(writer->out, "teredown_dashboard_" metric, type, help); \
	metrics_sample(writer->out, "teredown_dashboard_" metric, NULL, 0,     \
		atomic_load((_Atomic uint64_t *)(uintptr_t)&dashboard->figures.figure));
	FIGURE("requests_total", METRIC_COUNTER, "Requests that the dashboard answered.", requests)
	FIGURE("refused_total", METRIC_COUNTER, "Of these, refused ones.", refused)
	FIGURE("connections", METRIC_GAUGE, "Open connections of the dashboard.", connections)
	FIGURE("streams", METRIC_GAUGE, "Of these, pages that follow what happens.", streams)
	FIGURE("overloaded_total", METRIC_COUNTER,
		"Of the refused ones, those for which too many waited already.", overloaded)
	FIGURE("connections_evicted_total", METRIC_COUNTER,
		"Connections that were closed to make room for others.", evicted)
	FIGURE("connections_slow_total", METRIC_COUNTER,
		"Connections that were closed because a request or a reply took too long.", slow)
	FIGURE("streams_refused_total", METRIC_COUNTER,
		"Streams that were refused because there were enough.", streams_refused)
	FIGURE("streams_dropped_total", METRIC_COUNTER,
		"Streams that were closed because nobody read them.", streams_dropped)
#undef FIGURE
	write_access(writer);
}

void metrics_write(struct strbuf *out, const struct metrics_facts *facts)
{
	struct writer writer = {.out = out, .facts = facts};

	write_up(&writer);
	write_rows(&writer);
	write_latency(&writer);
	write_servers(&writer);
	write_zones(&writer);
	write_dashboard(&writer);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A group of servers of one worker, and the requests to it that nobody waits for: copies of
 * clients' questions and probes (see server.h). What becomes of one request is
 * upstream_request.c's.
 */
#include "resolver/upstream/upstream.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/dns/message.h"
#include "resolver/upstream/upstream_private.h"

/* --- what nobody waits for --- */

static void upstream_ask_alone(struct upstream *upstream, enum exchange_kind kind,
	const struct upstream_question *question, unsigned server, int64_t now_us)
{
	struct upstream_request *request = upstream_request_new(upstream, NULL, NULL);

	if (!request)
		return;
	enum exchange_step step = exchange_start_alone(&request->exchange, kind, question,
		&upstream->group, server, &upstream->random, now_us);

	if (upstream_request_step(request, step, TD_IO, now_us) != TD_OK)
		upstream_request_drop(request);
}

static void upstream_copy(
	struct upstream *upstream, const struct upstream_request *request, int64_t now_us)
{
	const struct exchange *exchange = &request->exchange;
	int server =
		server_explore(&upstream->group, exchange->tries[exchange->slot].server, now_us);

	if (server < 0)
		return;
	upstream->counters.upstream_copies++;
	upstream_ask_alone(upstream, EXCHANGE_COPY, &exchange->question, (unsigned)server, now_us);
}

static void on_probe(evutil_socket_t fd, short what, void *context)
{
	static const struct upstream_question root_servers = {
		.qname = {.length = 1, .wire = {0}}, .qtype = TYPE_NS};
	struct upstream *upstream = context;
	int64_t now_us = upstream_mono_us();
	int server;

	(void)fd, (void)what;
	while ((server = server_probe(&upstream->group, now_us)) >= 0) {
		upstream->counters.upstream_probes++;
		upstream_ask_alone(
			upstream, EXCHANGE_PROBE, &root_servers, (unsigned)server, now_us);
	}
	upstream->group.attention = server_group_probe_us(&upstream->group) != INT64_MAX;
	upstream_watch(upstream, now_us);
}

/* --- public --- */

/* Whoever answers over TLS has proved more than letter case and a cookie could. */
static void server_init(
	struct server_state *server, const struct upstream_config *config, size_t number)
{
	enum server_transport transport = config->servers[number].transport;

	server->endpoint = config->servers[number].endpoint;
	server->transport = transport;
	server->trust.vary_case = transport == SERVER_UDP && config->randomize_case;
	server->trust.use_cookies = transport == SERVER_UDP && config->cookies;
}

/* The same server, under the same rules. */
static bool may_inherit(const struct server_state *server, const struct server_state *from)
{
	return endpoint_equal(&server->endpoint, &from->endpoint) &&
	       server->transport == from->transport &&
	       server->trust.vary_case == from->trust.vary_case &&
	       server->trust.use_cookies == from->trust.use_cookies;
}

/* A silent one among them is probed on. */
static void upstream_inherit(struct upstream *upstream, const struct server_group *from)
{
	struct server_group *group = &upstream->group;

	for (size_t i = 0; i < group->count; i++)
		for (size_t k = 0; k < from->count; k++)
			if (may_inherit(&group->servers[i], &from->servers[k]))
				group->servers[i] = from->servers[k];
	group->attention = server_group_probe_us(group) != INT64_MAX;
	upstream_watch(upstream, upstream_mono_us());
}

struct upstream *upstream_new(struct event_base *base, const struct upstream_config *config)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));

	if (!upstream)
		return NULL;
	upstream->base = base;
	ports_init(&upstream->ports, base, &upstream->random, upstream_request_on_port,
		&upstream->counters.upstream_mismatched);
	upstream->timeout_us = config->timeout_ms * US_PER_MS;
	upstream->requests_max = config->requests_max;
	upstream->loops = config->loops;
	upstream->tap = config->tap;
	upstream->tap_context = config->tap_context;
	upstream->group.strict = config->strict;
	upstream->group.hedge = config->hedge;
	server_group_begin(&upstream->group);
	upstream->group.count = config->server_count;
	if (upstream->group.count > UPSTREAM_SERVERS_MAX)
		upstream->group.count = UPSTREAM_SERVERS_MAX;
	for (size_t i = 0; i < upstream->group.count; i++)
		server_init(&upstream->group.servers[i], config, i);
	evtimer_assign(&upstream->probe, base, on_probe, upstream);
	upstream->streams = streams_new(&(struct streams_config){.base = base,
		.random = &upstream->random,
		.servers = config->servers,
		.server_count = upstream->group.count,
		.tls = config->tls,
		.idle_timeout_ms = config->idle_timeout_ms,
		.calls = &upstream_request_stream_calls,
		.context = upstream});
	if (!upstream->streams) {
		upstream_free(upstream);
		return NULL;
	}
	if (config->inherit)
		upstream_inherit(upstream, &config->inherit->group);
	return upstream;
}

void upstream_free(struct upstream *upstream)
{
	if (!upstream)
		return;
	while (upstream->open)
		upstream_request_drop(upstream->open);
	while (upstream->free) {
		struct upstream_request *request = upstream->free;

		upstream->free = request->next;
		free(request);
	}
	event_del(&upstream->probe);
	ports_deinit(&upstream->ports);
	streams_free(upstream->streams);
	free(upstream);
}

static void upstream_read_loops(struct upstream *upstream)
{
	unsigned generation = upstream->loops ? loop_watch_generation(upstream->loops) : 0;

	if (generation == upstream->loops_read)
		return;
	upstream->loops_read = generation;
	for (size_t i = 0; i < upstream->group.count; i++) {
		struct server_state *server = &upstream->group.servers[i];

		server->looping = loop_watch_is_looping(upstream->loops, &server->endpoint);
	}
}

struct upstream_request *upstream_ask(struct upstream *upstream,
	const struct upstream_question *question, upstream_done_fn *done, void *context,
	enum td_error *error)
{
	assert(done);
	if (upstream->pending >= upstream->requests_max) {
		*error = TD_FULL;
		return NULL;
	}
	struct upstream_request *request = upstream_request_new(upstream, done, context);

	if (!request) {
		*error = TD_NOMEM;
		return NULL;
	}
	int64_t now_us = upstream_mono_us();

	upstream_read_loops(upstream);
	enum exchange_step step = exchange_start(&request->exchange, question, &upstream->group,
		now_us + upstream->timeout_us, &upstream->random, now_us);

	*error = upstream_request_step(request, step, TD_IO, now_us);
	if (*error != TD_OK) {
		upstream_request_drop(request);
		return NULL;
	}
	upstream_copy(upstream, request, now_us);
	return request;
}

void upstream_cancel(struct upstream_request *request)
{
	upstream_request_drop(request);
}

const struct upstream_counters *upstream_counters(struct upstream *upstream)
{
	upstream->counters.upstream_hedges = upstream->group.hedges;
	upstream->counters.upstream_hedges_won = upstream->group.hedges_won;
	upstream->counters.upstream_hedges_refused = upstream->group.hedges_refused;
	return &upstream->counters;
}

size_t upstream_pending(const struct upstream *upstream)
{
	return upstream->pending;
}

bool upstream_is_silent(const struct upstream *upstream)
{
	for (size_t i = 0; i < upstream->group.count; i++)
		if (upstream->group.servers[i].health == SERVER_UP &&
			!upstream->group.servers[i].looping)
			return false;
	return true;
}

bool upstream_came_back(struct upstream *upstream)
{
	bool was_silent = upstream->was_silent;

	upstream->was_silent = upstream_is_silent(upstream);
	return was_silent && !upstream->was_silent;
}

const struct server_state *upstream_servers(const struct upstream *upstream, size_t *count)
{
	*count = upstream->group.count;
	return upstream->group.servers;
}

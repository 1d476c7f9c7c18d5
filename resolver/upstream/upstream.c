/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets and timers for exchanges: UDP on ports that ports.c chooses; connections, of stream.c,
 * for servers of TCP and TLS and for what UDP cut.
 *
 * A request has a transport for each of its exchange's tries, and one timer. Requests that nobody
 * waits for are copies of clients' questions and probes (see server.h).
 */
#include "resolver/upstream/upstream.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/dns/message.h"
#include "lib/dns/wire.h"
#include "resolver/upstream/ports.h"
#include "resolver/upstream/random.h"
#include "resolver/upstream/server_status.h"
#include "resolver/upstream/stream.h"

#define UDP_BUFFER_SIZE 4096
#define UDP_READS_A_WAKE 64 /* then others have their turn, whatever an attacker sends */
#define FREE_REQUESTS_MAX 256
#define TROUBLE_SAID_US (600 * US_PER_S) /* between messages that say the same of a server */
#define TROUBLE_NEW_US (10 * US_PER_S)   /* … and something else */
#define SPOOFING_SAID_US (60 * US_PER_S) /* of one worker */

/* Of one of the exchange's tries. */
struct transport {
	struct upstream_request *request;
	unsigned slot;
	struct port *port;             /* over UDP, or NULL */
	struct stream_question stream; /* over a connection */
};

struct upstream_request {
	struct upstream *upstream;
	struct upstream_request *next;
	struct upstream_request **link; /* what points to this request in the list of open ones */
	upstream_done_fn *done;         /* NULL: nobody waits */
	void *context;
	struct event deadline;
	struct transport transports[EXCHANGE_TRIES_MAX];
	uint8_t *kept; /* the exchange's kept reply */
	size_t kept_size;
	struct exchange exchange;
};

struct upstream {
	struct event_base *base;
	struct server_group group;
	int64_t timeout_us;
	size_t requests_max;
	struct loop_watch *loops;
	bool was_silent;     /* when upstream_came_back was asked */
	unsigned loops_read; /* the generation that the servers' states follow */
	upstream_tap_fn *tap;
	void *tap_context;
	size_t pending; /* open, but for those that nobody waits for */
	struct upstream_request *open;
	struct upstream_request *free;
	size_t free_count;
	struct upstream_counters counters;
	struct random_pool random;
	struct ports ports;
	struct streams *streams;
	int64_t said_us[UPSTREAM_SERVERS_MAX]; /* when a server's trouble was logged */
	struct event probe;
	int64_t spoofing_said_us; /* when it may be said again */
	uint8_t buffer[UDP_BUFFER_SIZE];
};

static int64_t mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

static struct timeval timeval_from_us(int64_t us)
{
	if (us < 0)
		us = 0;
	return (struct timeval){.tv_sec = us / US_PER_S, .tv_usec = us % US_PER_S};
}

/* --- a request's life --- */

static void on_deadline(evutil_socket_t fd, short what, void *context);

static struct upstream_request *request_alloc(struct upstream *upstream)
{
	struct upstream_request *request = malloc(sizeof(*request));

	if (!request)
		return NULL;
	request->upstream = upstream;
	evtimer_assign(&request->deadline, upstream->base, on_deadline, request);
	for (unsigned i = 0; i < EXCHANGE_TRIES_MAX; i++)
		request->transports[i] = (struct transport){.request = request, .slot = i};
	return request;
}

static struct upstream_request *request_new(
	struct upstream *upstream, upstream_done_fn *done, void *context)
{
	struct upstream_request *request = upstream->free;

	if (request) {
		upstream->free = request->next;
		upstream->free_count--;
	} else {
		request = request_alloc(upstream);
		if (!request)
			return NULL;
	}
	request->done = done;
	request->context = context;
	request->kept = NULL;
	request->kept_size = 0;

	request->next = upstream->open;
	request->link = &upstream->open;
	if (request->next)
		request->next->link = &request->next;
	upstream->open = request;
	upstream->pending += done != NULL;
	return request;
}

static void transport_close(struct transport *transport)
{
	if (transport->port)
		port_close(transport->port);
	transport->port = NULL;
	stream_cancel(&transport->stream);
}

/* Its packet was answered: its port is good for another, as its connection is. */
static void transport_answered(struct transport *transport)
{
	if (transport->port)
		port_put(transport->port);
	transport->port = NULL;
	if (stream_is_asked(&transport->stream))
		stream_answered(&transport->stream);
}

/* Takes the request out of the open ones. The kept reply stays with the caller. */
static void request_retire(struct upstream_request *request)
{
	struct upstream *upstream = request->upstream;

	event_del(&request->deadline);
	for (unsigned i = 0; i < EXCHANGE_TRIES_MAX; i++)
		transport_close(&request->transports[i]);
	*request->link = request->next;
	if (request->next)
		request->next->link = request->link;
	upstream->pending -= request->done != NULL;
	if (upstream->free_count >= FREE_REQUESTS_MAX) {
		free(request);
		return;
	}
	request->next = upstream->free;
	upstream->free = request;
	upstream->free_count++;
}

static void request_drop(struct upstream_request *request)
{
	free(request->kept);
	request_retire(request);
}

/*
 * Ends the request first, so that done may ask again or cancel others; nothing of ours is touched
 * after done.
 */
static void request_finish(struct upstream_request *request, enum td_error error,
	const uint8_t *reply, size_t size, int server)
{
	const struct endpoint *endpoint =
		server >= 0 ? &request->upstream->group.servers[server].endpoint : NULL;
	upstream_done_fn *done = request->done;
	void *context = request->context;
	uint8_t *kept = request->kept;

	request_retire(request);
	done(context, error, reply, size, endpoint);
	free(kept);
}

static void request_fail(struct upstream_request *request, enum td_error error)
{
	if (!request->done)
		request_drop(request);
	else if (request->kept)
		request_finish(request, TD_OK, request->kept, request->kept_size,
			request->exchange.kept_server);
	else
		request_finish(request, error, NULL, 0, -1);
}

static void request_keep(struct upstream_request *request, const uint8_t *reply, size_t size)
{
	free(request->kept);
	request->kept = malloc(size);
	request->kept_size = size;
	if (request->kept)
		memcpy(request->kept, reply, size);
}

/* --- sending --- */

static enum td_error request_wait(struct upstream_request *request, int64_t now_us)
{
	struct timeval left = timeval_from_us(request->exchange.deadline_us - now_us);

	return event_add(&request->deadline, &left) == 0 ? TD_OK : TD_NOMEM;
}

static const struct exchange_try *transport_try(const struct transport *transport)
{
	return &transport->request->exchange.tries[transport->slot];
}

static struct server_state *transport_server(const struct transport *transport)
{
	return &transport->request->upstream->group.servers[transport_try(transport)->server];
}

static void tap(const struct upstream *upstream, const struct upstream_packet *packet)
{
	if (upstream->tap)
		upstream->tap(upstream->tap_context, packet);
}

static void tap_question(const struct transport *transport, const uint8_t *octets, size_t length)
{
	tap(transport->request->upstream,
		&(struct upstream_packet){.server = &transport_server(transport)->endpoint,
			.octets = octets,
			.length = length,
			.tcp = transport_try(transport)->over_tcp});
}

/*
 * A cookie is for one address of ours; which one it is now is looked up once a second. The packet
 * must not tell a server that the client it knew from there is now here.
 */
static void transport_bind_cookie(struct transport *transport, int64_t now_us)
{
	struct server_trust *trust = &transport_server(transport)->trust;
	struct sockaddr_storage storage;
	socklen_t length = sizeof(storage);
	struct endpoint local;

	if (!transport_try(transport)->packet.cookie_length || now_us < trust->local_again_us)
		return;
	trust->local_again_us = now_us + US_PER_S;
	if (getsockname(transport->port->fd, (struct sockaddr *)&storage, &length) == 0 &&
		endpoint_from_sockaddr(&local, (struct sockaddr *)&storage) &&
		trust_bind_local(trust, &local.address))
		exchange_recompose(&transport->request->exchange, now_us);
}

/* A port that serves again may have an error waiting that an earlier question left. */
static enum td_error port_send(const struct port *port, const struct packet *packet)
{
	for (int i = 0; i < 2; i++) {
		if (send(port->fd, packet->octets, packet->length, 0) >= 0)
			return TD_OK;
		if (errno != ECONNREFUSED)
			break;
	}
	return TD_IO;
}

static enum td_error transport_send_udp(struct transport *transport, int64_t now_us)
{
	struct upstream *upstream = transport->request->upstream;
	const struct exchange_try *try = transport_try(transport);
	enum td_error error = ports_take(&upstream->ports, try->server,
		&transport_server(transport)->endpoint, transport, now_us, &transport->port);

	if (error != TD_OK)
		return error;
	upstream->counters.upstream_udp++;
	transport_bind_cookie(transport, now_us);
	error = port_send(transport->port, &try->packet);
	if (error == TD_OK)
		tap_question(transport, try->packet.octets, try->packet.length);
	return error;
}

/* TD_NOMEM: there is no room for it here. TD_IO: the server cannot be reached. */
static enum td_error transport_send_stream(struct transport *transport)
{
	struct upstream_request *request = transport->request;
	struct exchange_try *try = &request->exchange.tries[transport->slot];
	enum td_error error = stream_ask(request->upstream->streams, try->server,
		&transport->stream, &try->packet, transport);

	return error == TD_FULL ? TD_NOMEM : error;
}

static void on_probe(evutil_socket_t fd, short what, void *context);

/* After anything that an exchange was told: a server may be silent since. */
static void upstream_watch(struct upstream *upstream, int64_t now_us)
{
	if (!upstream->group.attention)
		return;
	upstream->group.attention = false;
	struct timeval left = timeval_from_us(server_group_probe_us(&upstream->group) - now_us);

	event_add(&upstream->probe, &left);
}

/*
 * Does what the exchange says until it waits (TD_OK) or is over: cause is the reason then, unless a
 * socket fails. A shortage of our own ends the request at once: no server is to blame, and the next
 * one would meet the same.
 */
static enum td_error request_step(struct upstream_request *request, enum exchange_step step,
	enum td_error cause, int64_t now_us)
{
	struct upstream *upstream = request->upstream;

	while (step == EXCHANGE_SEND_UDP || step == EXCHANGE_SEND_TCP) {
		struct transport *transport = &request->transports[request->exchange.slot];

		transport_close(transport);
		enum td_error error = step == EXCHANGE_SEND_UDP
					      ? transport_send_udp(transport, now_us)
					      : transport_send_stream(transport);

		if (error == TD_OK) {
			step = EXCHANGE_WAIT;
			break;
		}
		upstream->counters.upstream_errors++;
		if (error == TD_NOMEM)
			return error;
		cause = error;
		transport_close(transport);
		step = exchange_transport_failed(&request->exchange, transport->slot, now_us);
		upstream_watch(upstream, now_us);
	}
	return step == EXCHANGE_WAIT ? request_wait(request, now_us) : cause;
}

/* The same in an event, where the end is told to the owner. What nobody waits for ends with
 * whatever it met. */
static void request_continue(struct upstream_request *request, enum exchange_step step,
	enum td_error cause, int64_t now_us)
{
	upstream_watch(request->upstream, now_us);
	if (!request->done) {
		request_drop(request);
		return;
	}
	enum td_error error = request_step(request, step, cause, now_us);

	if (error != TD_OK)
		request_fail(request, error);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
	struct upstream_request *request = context;
	const struct exchange *exchange = &request->exchange;
	int64_t now_us = mono_us();
	bool unreachable = exchange->tries[exchange->slot].unreachable;

	(void)fd, (void)what;
	/* libevent counts from when its loop woke last, which may be long before we set the timer. */
	if (now_us < exchange->deadline_us && request_wait(request, now_us) == TD_OK)
		return;
	request->upstream->counters.upstream_timeouts += !exchange->hedging && !unreachable;
	request_continue(request, exchange_timeout(&request->exchange, now_us),
		unreachable ? TD_IO : TD_TIMEOUT, now_us);
}

static void transport_broken(struct transport *transport)
{
	struct upstream_request *request = transport->request;
	int64_t now_us = mono_us();

	request->upstream->counters.upstream_errors++;
	transport_close(transport);
	request_continue(request,
		exchange_transport_failed(&request->exchange, transport->slot, now_us), TD_IO,
		now_us);
}

static void upstream_note_spoofing(
	struct upstream *upstream, const struct endpoint *server, int64_t now_us)
{
	char text[ENDPOINT_TEXT_MAX];

	upstream->counters.upstream_spoofed++;
	if (now_us < upstream->spoofing_said_us)
		return;
	upstream->spoofing_said_us = now_us + SPOOFING_SAID_US;
	log_warning("spoofing suspected: more than %d packets that answer nothing came for one "
		    "question to %s",
		TRUST_STRANGE_MAX, endpoint_to_text(server, text));
}

static void transport_note_input(
	struct transport *transport, const struct upstream_packet *seen, int64_t now_us)
{
	struct upstream *upstream = transport->request->upstream;
	enum exchange_last last = transport->request->exchange.last;

	if (last == EXCHANGE_STRANGE) {
		upstream_note_spoofing(upstream, seen->server, now_us);
		return;
	}
	upstream->counters.upstream_answers++;
	upstream->counters.upstream_doubted += last == EXCHANGE_DOUBTED;
	tap(upstream, seen);
	if (last == EXCHANGE_BELIEVED)
		transport_answered(transport);
}

/* True when the request has moved on or is gone; false: it still waits. */
static bool transport_input(struct transport *transport, uint8_t *packet, size_t size)
{
	struct upstream_request *request = transport->request;
	struct upstream *upstream = request->upstream;
	struct exchange *exchange = &request->exchange;
	int64_t now_us = mono_us();
	struct upstream_packet seen = {.server = &transport_server(transport)->endpoint,
		.octets = packet,
		.length = size,
		.reply = true,
		.tcp = transport_try(transport)->over_tcp,
		.took_us = now_us - transport_try(transport)->sent_us};
	enum exchange_step step = exchange_input(exchange, transport->slot, packet, size, now_us);

	upstream->counters.upstream_mismatched += exchange->last == EXCHANGE_STRANGE;
	if (step == EXCHANGE_IGNORED)
		return false;
	transport_note_input(transport, &seen, now_us);
	packet_restore_question(&exchange->question, packet, size);
	if (exchange->keep)
		request_keep(request, packet, size);
	if (step != EXCHANGE_DONE || !request->done) {
		transport_close(transport);
		request_continue(request, step, TD_IO, now_us);
		return true;
	}
	upstream_watch(upstream, now_us);
	request_finish(request, TD_OK, packet, size, exchange->tries[transport->slot].server);
	return true;
}

/* --- UDP --- */

/* More than we offered to take: what is cut off has to be fetched over TCP. */
static size_t packet_mark_cut(uint8_t *buffer, size_t size)
{
	if (size <= UDP_BUFFER_SIZE)
		return size;
	wire_put_u16(
		buffer, UDP_BUFFER_SIZE, 2, (uint16_t)(buffer[2] << 8 | buffer[3]) | DNS_FLAG_TC);
	return UDP_BUFFER_SIZE;
}

/* What ICMP says of a port ends nothing: it only brings the deadline nearer. */
static void transport_unreachable(struct transport *transport)
{
	struct upstream_request *request = transport->request;
	int64_t now_us = mono_us();

	request->upstream->counters.upstream_errors++;
	exchange_unreachable(&request->exchange, transport->slot, now_us);
	request_wait(request, now_us); /* if that fails, the deadline stays as it was */
}

static void on_port_readable(struct port *port)
{
	struct transport *transport = port->owner;
	uint8_t *buffer = transport->request->upstream->buffer;

	for (int i = 0; i < UDP_READS_A_WAKE; i++) {
		ssize_t got = port_receive(port, buffer, UDP_BUFFER_SIZE);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got < 0) {
			transport_unreachable(transport);
			continue;
		}
		if (transport_input(transport, buffer, packet_mark_cut(buffer, (size_t)got)))
			return;
	}
}

/* --- connections --- */

static void on_stream_sent(void *owner, const uint8_t *octets, size_t length)
{
	struct transport *transport = owner;
	struct upstream_request *request = transport->request;
	struct upstream *upstream = request->upstream;

	if (transport_server(transport)->transport == SERVER_TLS)
		upstream->counters.upstream_tls++;
	else
		upstream->counters.upstream_tcp++;
	exchange_sent(&request->exchange, transport->slot, mono_us());
	tap_question(transport, octets, length);
}

static void on_stream_reply(void *owner, uint8_t *octets, size_t length)
{
	transport_input(owner, octets, length);
}

static void on_stream_failed(void *owner)
{
	transport_broken(owner);
}

/* Said when it changes, and now and then while it lasts. */
static void on_stream_state(void *context, size_t number, const char *words)
{
	struct upstream *upstream = context;
	struct server_state *server = &upstream->group.servers[number];
	bool changed = strcmp(server->trouble, words ? words : "") != 0;
	char shown[SERVER_SHOWN_MAX];
	int64_t now_us = mono_us();

	if (changed)
		snprintf(server->trouble, sizeof(server->trouble), "%s", words ? words : "");
	if (!words || (upstream->said_us[number] != 0 &&
			      now_us - upstream->said_us[number] <
				      (changed ? TROUBLE_NEW_US : TROUBLE_SAID_US)))
		return;
	upstream->said_us[number] = now_us;
	log_warning("upstream %s: %s", server_status_address(server, shown), words);
}

static void on_stream_event(void *context, enum stream_event event)
{
	struct upstream_counters *counters = &((struct upstream *)context)->counters;
	uint64_t *const counted[] = {[STREAM_OPENED] = &counters->upstream_connections,
		[STREAM_RESUMED] = &counters->upstream_resumed,
		[STREAM_FAILED] = &counters->upstream_unconnected,
		[STREAM_REPEATED] = &counters->upstream_repeated,
		[STREAM_STRANGE] = &counters->upstream_mismatched,
		[STREAM_FULL] = &counters->upstream_full};

	++*counted[event];
}

static const struct stream_calls stream_calls = {.sent = on_stream_sent,
	.reply = on_stream_reply,
	.failed = on_stream_failed,
	.state = on_stream_state,
	.count = on_stream_event};

/* --- what nobody waits for --- */

static void upstream_ask_alone(struct upstream *upstream, enum exchange_kind kind,
	const struct upstream_question *question, unsigned server, int64_t now_us)
{
	struct upstream_request *request = request_new(upstream, NULL, NULL);

	if (!request)
		return;
	enum exchange_step step = exchange_start_alone(&request->exchange, kind, question,
		&upstream->group, server, &upstream->random, now_us);

	if (request_step(request, step, TD_IO, now_us) != TD_OK)
		request_drop(request);
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
	int64_t now_us = mono_us();
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
	upstream_watch(upstream, mono_us());
}

struct upstream *upstream_new(struct event_base *base, const struct upstream_config *config)
{
	struct upstream *upstream = calloc(1, sizeof(*upstream));

	if (!upstream)
		return NULL;
	upstream->base = base;
	ports_init(&upstream->ports, base, &upstream->random, on_port_readable,
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
		.calls = &stream_calls,
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
		request_drop(upstream->open);
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
	struct upstream_request *request = request_new(upstream, done, context);

	if (!request) {
		*error = TD_NOMEM;
		return NULL;
	}
	int64_t now_us = mono_us();

	upstream_read_loops(upstream);
	enum exchange_step step = exchange_start(&request->exchange, question, &upstream->group,
		now_us + upstream->timeout_us, &upstream->random, now_us);

	*error = request_step(request, step, TD_IO, now_us);
	if (*error != TD_OK) {
		request_drop(request);
		return NULL;
	}
	upstream_copy(upstream, request, now_us);
	return request;
}

void upstream_cancel(struct upstream_request *request)
{
	request_drop(request);
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

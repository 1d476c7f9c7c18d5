/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One question upstream: its sockets and its timer, driven by what the exchange says.
 *
 * A request has a transport for each of its exchange's tries: UDP on a port that ports.c chooses,
 * or a place on a connection of stream.c, for servers of TCP and TLS and for what UDP cut.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/log.h"
#include "lib/dns/message.h"
#include "lib/dns/wire.h"
#include "resolver/upstream/server_status.h"
#include "resolver/upstream/upstream_private.h"

#define UDP_READS_A_WAKE 64 /* then others have their turn, whatever an attacker sends */
#define FREE_REQUESTS_MAX 256
#define TROUBLE_SAID_US (600 * US_PER_S) /* between messages that say the same of a server */
#define TROUBLE_NEW_US (10 * US_PER_S)   /* … and something else */
#define SPOOFING_SAID_US (60 * US_PER_S) /* of one worker */

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

struct upstream_request *upstream_request_new(
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

void upstream_request_drop(struct upstream_request *request)
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
		upstream_request_drop(request);
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
	struct timeval left = upstream_timeval(request->exchange.deadline_us - now_us);

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

void upstream_watch(struct upstream *upstream, int64_t now_us)
{
	if (!upstream->group.attention)
		return;
	upstream->group.attention = false;
	struct timeval left = upstream_timeval(server_group_probe_us(&upstream->group) - now_us);

	event_add(&upstream->probe, &left);
}

enum td_error upstream_request_step(struct upstream_request *request, enum exchange_step step,
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
		upstream_request_drop(request);
		return;
	}
	enum td_error error = upstream_request_step(request, step, cause, now_us);

	if (error != TD_OK)
		request_fail(request, error);
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
	struct upstream_request *request = context;
	const struct exchange *exchange = &request->exchange;
	int64_t now_us = upstream_mono_us();
	bool unreachable = exchange->tries[exchange->slot].unreachable;

	(void)fd, (void)what;
	/* libevent counts from when its loop woke last, which may be long before we set the timer.
	 */
	if (now_us < exchange->deadline_us && request_wait(request, now_us) == TD_OK)
		return;
	request->upstream->counters.upstream_timeouts += !exchange->hedging && !unreachable;
	request_continue(request, exchange_timeout(&request->exchange, now_us),
		unreachable ? TD_IO : TD_TIMEOUT, now_us);
}

static void transport_broken(struct transport *transport)
{
	struct upstream_request *request = transport->request;
	int64_t now_us = upstream_mono_us();

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
	int64_t now_us = upstream_mono_us();
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
	int64_t now_us = upstream_mono_us();

	request->upstream->counters.upstream_errors++;
	exchange_unreachable(&request->exchange, transport->slot, now_us);
	request_wait(request, now_us); /* if that fails, the deadline stays as it was */
}

void upstream_request_on_port(struct port *port)
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
	exchange_sent(&request->exchange, transport->slot, upstream_mono_us());
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
	int64_t now_us = upstream_mono_us();

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

const struct stream_calls upstream_request_stream_calls = {.sent = on_stream_sent,
	.reply = on_stream_reply,
	.failed = on_stream_failed,
	.state = on_stream_state,
	.count = on_stream_event};

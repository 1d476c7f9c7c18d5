/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sockets and timers for exchanges: UDP on ports that ports.c chooses, TCP for what UDP cut.
 * bufferevents are not used for TCP: one question and one reply need neither buffers nor
 * watermarks. Nor is a connection kept open: truncated answers are few.
 *
 * A silent server is asked again with a copy of a client's question that no client waits for (a
 * probe).
 */
#include "resolver/upstream/upstream.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
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

#define UDP_BUFFER_SIZE 4096
#define UDP_READS_A_WAKE 64 /* then others have their turn, whatever an attacker sends */
#define FREE_REQUESTS_MAX 256
#define SPOOFING_SAID_US (60 * US_PER_S) /* of one worker */

struct tcp_transfer {
	size_t sent;
	size_t have; /* octets received, the two of the length included */
	uint8_t length[2];
	uint8_t *reply; /* allocated when the length is known */
	size_t reply_size;
};

struct upstream_request {
	struct upstream *upstream;
	struct upstream_request *next;
	struct upstream_request **link; /* what points to this request in the list of open ones */
	upstream_done_fn *done;         /* NULL: a probe */
	void *context;
	struct port *port;  /* of the packet in flight over UDP; event is its deadline then */
	int fd;             /* of the TCP connection, -1: none; event is both then */
	struct event event; /* in use while there is either */
	struct exchange exchange;
	struct tcp_transfer tcp;
	uint8_t *kept; /* the exchange's kept reply */
	size_t kept_size;
};

struct upstream {
	struct event_base *base;
	struct server_state servers[UPSTREAM_SERVERS_MAX];
	size_t server_count;
	int64_t timeout_us;
	size_t requests_max;
	struct loop_watch *loops;
	unsigned loops_read; /* the generation that the servers' states follow */
	upstream_tap_fn *tap;
	void *tap_context;
	size_t pending; /* open, probes not counted */
	struct upstream_request *open;
	struct upstream_request *free;
	size_t free_count;
	struct upstream_counters counters;
	struct random_pool random;
	struct ports ports;
	int64_t spoofing_said_us; /* when it may be said again */
	uint8_t buffer[UDP_BUFFER_SIZE];
};

static int64_t mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

/* --- a request's life --- */

static struct upstream_request *request_new(
	struct upstream *upstream, upstream_done_fn *done, void *context)
{
	struct upstream_request *request = upstream->free;

	if (request) {
		upstream->free = request->next;
		upstream->free_count--;
	} else {
		request = malloc(sizeof(*request));
		if (!request)
			return NULL;
	}
	request->upstream = upstream;
	request->done = done;
	request->context = context;
	request->port = NULL;
	request->fd = -1;
	request->tcp = (struct tcp_transfer){0};
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

static void request_close(struct upstream_request *request)
{
	if (request->port || request->fd >= 0)
		event_del(&request->event);
	if (request->port)
		port_close(request->port);
	if (request->fd >= 0)
		close(request->fd);
	request->port = NULL;
	request->fd = -1;
}

/* The packet in flight was answered: its port is good for another. */
static void request_put_port(struct upstream_request *request)
{
	if (!request->port)
		return;
	event_del(&request->event);
	port_put(request->port);
	request->port = NULL;
}

/* Takes the request out of the open ones. Its replies stay with the caller. */
static void request_retire(struct upstream_request *request)
{
	struct upstream *upstream = request->upstream;

	request_close(request);
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
	free(request->tcp.reply);
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
		server >= 0 ? &request->upstream->servers[server].endpoint : NULL;
	upstream_done_fn *done = request->done;
	void *context = request->context;
	uint8_t *kept = request->kept;
	uint8_t *tcp_reply = request->tcp.reply;

	request_retire(request);
	done(context, error, reply, size, endpoint);
	free(kept);
	free(tcp_reply);
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

/* --- sockets --- */

/*
 * Waits until the packet's deadline: for events of the TCP connection, or for the deadline alone.
 */
static enum td_error request_wait(
	struct upstream_request *request, short events, event_callback_fn call, int64_t now_us)
{
	int64_t left_us = request->exchange.deadline_us - now_us;

	if (left_us < 0)
		left_us = 0;
	struct timeval left = {.tv_sec = left_us / US_PER_S, .tv_usec = left_us % US_PER_S};

	event_assign(&request->event, request->upstream->base, request->fd, events, call, request);
	return event_add(&request->event, &left) == 0 ? TD_OK : TD_NOMEM;
}

static struct server_state *request_server(struct upstream_request *request)
{
	return &request->exchange.servers[request->exchange.server];
}

static void tap(const struct upstream *upstream, const struct upstream_packet *packet)
{
	if (upstream->tap)
		upstream->tap(upstream->tap_context, packet);
}

static void tap_question(struct upstream_request *request)
{
	const struct exchange *exchange = &request->exchange;

	tap(request->upstream,
		&(struct upstream_packet){.server = &request_server(request)->endpoint,
			.octets = exchange->packet.octets,
			.length = exchange->packet.length,
			.tcp = exchange->over_tcp});
}

static void on_deadline(evutil_socket_t fd, short what, void *context);
static void on_tcp(evutil_socket_t fd, short what, void *context);

/*
 * A cookie is for one address of ours; which one it is now is looked up once a second. The packet
 * must not tell a server that the client it knew from there is now here.
 */
static void request_bind_cookie(struct upstream_request *request, int64_t now_us)
{
	struct server_trust *trust = &request_server(request)->trust;
	struct sockaddr_storage storage;
	socklen_t length = sizeof(storage);
	struct endpoint local;

	if (!request->exchange.packet.cookie_length || now_us < trust->local_again_us)
		return;
	trust->local_again_us = now_us + US_PER_S;
	if (getsockname(request->port->fd, (struct sockaddr *)&storage, &length) == 0 &&
		endpoint_from_sockaddr(&local, (struct sockaddr *)&storage) &&
		trust_bind_local(trust, &local.address))
		exchange_recompose(&request->exchange, now_us);
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

static enum td_error request_send_udp(struct upstream_request *request, int64_t now_us)
{
	struct upstream *upstream = request->upstream;
	struct server_state *server = request_server(request);
	enum td_error error = ports_take(&upstream->ports, (size_t)(server - upstream->servers),
		&server->endpoint, request, now_us, &request->port);

	if (error != TD_OK)
		return error;
	upstream->counters.upstream_udp++;
	request_bind_cookie(request, now_us);
	error = request_wait(request, 0, on_deadline, now_us);
	if (error == TD_OK)
		error = port_send(request->port, &request->exchange.packet);
	if (error == TD_OK)
		tap_question(request);
	return error;
}

/* TD_NOMEM: this machine is short of something. TD_IO: the server cannot be reached. */
static enum td_error request_connect(struct upstream_request *request)
{
	struct sockaddr_storage storage;
	socklen_t length = endpoint_to_sockaddr(&request_server(request)->endpoint, &storage);

	request->fd = socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (request->fd < 0)
		return errno == EAFNOSUPPORT ? TD_IO : TD_NOMEM;
	if (connect(request->fd, (struct sockaddr *)&storage, length) == 0 || errno == EINPROGRESS)
		return TD_OK;
	close(request->fd);
	request->fd = -1;
	return TD_IO;
}

static enum td_error request_send_tcp(struct upstream_request *request, int64_t now_us)
{
	free(request->tcp.reply);
	request->tcp = (struct tcp_transfer){0};
	enum td_error error = request_connect(request);

	if (error != TD_OK)
		return error;
	request->upstream->counters.upstream_tcp++;
	return request_wait(request, EV_WRITE, on_tcp, now_us);
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
		request_close(request);
		enum td_error error = step == EXCHANGE_SEND_UDP ? request_send_udp(request, now_us)
								: request_send_tcp(request, now_us);

		if (error == TD_OK)
			return TD_OK;
		upstream->counters.upstream_errors++;
		if (error == TD_NOMEM)
			return error;
		cause = error;
		step = exchange_transport_failed(&request->exchange, now_us);
	}
	return cause;
}

/* The same in an event, where the end is told to the owner. A probe ends with whatever it met. */
static void request_continue(struct upstream_request *request, enum exchange_step step,
	enum td_error cause, int64_t now_us)
{
	if (!request->done) {
		request_drop(request);
		return;
	}
	enum td_error error = request_step(request, step, cause, now_us);

	if (error != TD_OK)
		request_fail(request, error);
}

static void request_timed_out(struct upstream_request *request)
{
	struct upstream *upstream = request->upstream;
	int64_t now_us = mono_us();

	bool unreachable = request->exchange.unreachable;

	upstream->counters.upstream_timeouts += !unreachable;
	request_continue(request, exchange_timeout(&request->exchange, now_us),
		unreachable ? TD_IO : TD_TIMEOUT, now_us);
}

static void request_broken(struct upstream_request *request)
{
	struct upstream *upstream = request->upstream;
	int64_t now_us = mono_us();

	upstream->counters.upstream_errors++;
	request_continue(
		request, exchange_transport_failed(&request->exchange, now_us), TD_IO, now_us);
}

static void request_wait_more(
	struct upstream_request *request, short events, event_callback_fn call)
{
	enum td_error error = request_wait(request, events, call, mono_us());

	if (error != TD_OK)
		request_fail(request, error);
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

/* True when the request has moved on or is gone; false: it still waits. */
static bool request_input(struct upstream_request *request, uint8_t *packet, size_t size)
{
	struct upstream *upstream = request->upstream;
	struct exchange *exchange = &request->exchange;
	int64_t now_us = mono_us();
	struct upstream_packet seen = {.server = &request_server(request)->endpoint,
		.octets = packet,
		.length = size,
		.reply = true,
		.tcp = exchange->over_tcp,
		.took_us = now_us - exchange->sent_us};
	enum exchange_step step = exchange_input(exchange, packet, size, now_us);

	if (exchange->last == EXCHANGE_STRANGE) {
		upstream->counters.upstream_mismatched++;
		if (step == EXCHANGE_WAIT)
			return false;
		upstream_note_spoofing(upstream, seen.server, now_us);
	} else {
		upstream->counters.upstream_answers++;
		upstream->counters.upstream_doubted += exchange->last == EXCHANGE_DOUBTED;
		tap(upstream, &seen);
	}
	if (exchange->last == EXCHANGE_BELIEVED)
		request_put_port(request);
	packet_restore_question(&exchange->question, packet, size);
	if (exchange->keep)
		request_keep(request, packet, size);
	if (step == EXCHANGE_DONE && request->done)
		request_finish(request, TD_OK, packet, size, exchange->server);
	else
		request_continue(request, step, TD_IO, now_us);
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
static void request_unreachable(struct upstream_request *request)
{
	int64_t now_us = mono_us();
	int64_t before_us = request->exchange.deadline_us;

	request->upstream->counters.upstream_errors++;
	exchange_unreachable(&request->exchange, now_us);
	int64_t left_us = request->exchange.deadline_us - now_us;

	if (request->exchange.deadline_us == before_us || left_us < 0)
		return;
	struct timeval left = {.tv_sec = left_us / US_PER_S, .tv_usec = left_us % US_PER_S};

	event_add(&request->event, &left); /* if that fails, the deadline stays as it was */
}

static void on_port_readable(struct port *port)
{
	struct upstream_request *request = port->owner;
	uint8_t *buffer = request->upstream->buffer;

	for (int i = 0; i < UDP_READS_A_WAKE; i++) {
		ssize_t got = port_receive(port, buffer, UDP_BUFFER_SIZE);

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (got < 0) {
			request_unreachable(request);
			continue;
		}
		if (request_input(request, buffer, packet_mark_cut(buffer, (size_t)got)))
			return;
	}
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
	(void)fd, (void)what;
	request_timed_out(context);
}

/* --- TCP: two octets of length before each message (RFC 1035, 4.2.2) --- */

enum transfer { TRANSFER_BLOCKED, TRANSFER_COMPLETE, TRANSFER_BROKEN };

static enum transfer transfer_result(void)
{
	return errno == EAGAIN || errno == EINTR ? TRANSFER_BLOCKED : TRANSFER_BROKEN;
}

static enum transfer tcp_send(struct upstream_request *request)
{
	const struct exchange *exchange = &request->exchange;
	struct tcp_transfer *tcp = &request->tcp;
	uint8_t message[2 + PACKET_MAX];
	struct wire_writer writer = wire_writer_init(message, sizeof(message));

	wire_write_u16(&writer, exchange->packet.length);
	wire_write_bytes(&writer, exchange->packet.octets, exchange->packet.length);
	ssize_t sent =
		send(request->fd, &message[tcp->sent], writer.position - tcp->sent, MSG_NOSIGNAL);

	if (sent < 0)
		return transfer_result();
	tcp->sent += (size_t)sent;
	return tcp->sent == writer.position ? TRANSFER_COMPLETE : TRANSFER_BLOCKED;
}

static bool tcp_begin_reply(struct tcp_transfer *tcp)
{
	struct wire_reader reader = wire_reader_init(tcp->length, sizeof(tcp->length));

	tcp->reply_size = wire_read_u16(&reader);
	if (tcp->reply_size < DNS_HEADER_SIZE)
		return false;
	tcp->reply = malloc(tcp->reply_size);
	return tcp->reply != NULL;
}

static enum transfer tcp_receive(struct upstream_request *request)
{
	struct tcp_transfer *tcp = &request->tcp;
	size_t prefix = sizeof(tcp->length);

	while (tcp->have < prefix || tcp->have < prefix + tcp->reply_size) {
		ssize_t got =
			tcp->have < prefix
				? recv(request->fd, &tcp->length[tcp->have], prefix - tcp->have, 0)
				: recv(request->fd, &tcp->reply[tcp->have - prefix],
					  prefix + tcp->reply_size - tcp->have, 0);

		if (got < 0)
			return transfer_result();
		if (got == 0)
			return TRANSFER_BROKEN;
		tcp->have += (size_t)got;
		if (tcp->have == prefix && !tcp_begin_reply(tcp))
			return TRANSFER_BROKEN;
	}
	return TRANSFER_COMPLETE;
}

static void on_tcp_readable(struct upstream_request *request)
{
	struct tcp_transfer *tcp = &request->tcp;

	switch (tcp_receive(request)) {
	case TRANSFER_BROKEN:
		request_broken(request);
		return;
	case TRANSFER_COMPLETE:
		if (request_input(request, tcp->reply, tcp->reply_size))
			return;
		free(tcp->reply);
		*tcp = (struct tcp_transfer){.sent = tcp->sent};
		break;
	case TRANSFER_BLOCKED:
		break;
	}
	request_wait_more(request, EV_READ, on_tcp);
}

static void on_tcp_writable(struct upstream_request *request)
{
	enum transfer result = tcp_send(request);

	if (result == TRANSFER_COMPLETE)
		tap_question(request);
	if (result == TRANSFER_BROKEN)
		request_broken(request);
	else
		request_wait_more(
			request, result == TRANSFER_COMPLETE ? EV_READ : EV_WRITE, on_tcp);
}

static void on_tcp(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	if (what & EV_TIMEOUT)
		request_timed_out(context);
	else if (what & EV_WRITE)
		on_tcp_writable(context);
	else
		on_tcp_readable(context);
}

/* --- public --- */

/* Whoever answers over TLS has proved more than letter case and a cookie could. */
static void server_init(
	struct server_state *server, const struct upstream_config *config, size_t number)
{
	bool in_clear = config->servers[number].transport != SERVER_TLS;

	server->endpoint = config->servers[number].endpoint;
	server->trust.vary_case = in_clear && config->randomize_case;
	server->trust.use_cookies = in_clear && config->cookies;
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
	upstream->server_count = config->server_count;
	if (upstream->server_count > UPSTREAM_SERVERS_MAX)
		upstream->server_count = UPSTREAM_SERVERS_MAX;
	for (size_t i = 0; i < upstream->server_count; i++)
		server_init(&upstream->servers[i], config, i);
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
	ports_deinit(&upstream->ports);
	free(upstream);
}

/* Asks this server alone, for as long as one packet may take. */
static void upstream_probe(struct upstream *upstream, const struct upstream_question *question,
	struct server_state *server, int64_t now_us)
{
	struct upstream_request *request = request_new(upstream, NULL, NULL);

	if (!request)
		return;
	int64_t give_up_us = now_us + server_timeout_us(server);
	enum exchange_step step = exchange_start(
		&request->exchange, question, server, 1, give_up_us, &upstream->random, now_us);

	server_probed(server, give_up_us);
	if (request_step(request, step, TD_IO, now_us) != TD_OK)
		request_drop(request);
}

/* Without a healthy server the question itself finds out who is back. */
static void upstream_probe_due(
	struct upstream *upstream, const struct upstream_question *question, int64_t now_us)
{
	size_t healthy = 0;

	for (size_t i = 0; i < upstream->server_count; i++)
		healthy += upstream->servers[i].backoffs_in_row == 0;
	if (healthy == 0 || healthy == upstream->server_count)
		return;
	for (size_t i = 0; i < upstream->server_count; i++) {
		if (server_probe_due(&upstream->servers[i], now_us))
			upstream_probe(upstream, question, &upstream->servers[i], now_us);
	}
}

static void upstream_read_loops(struct upstream *upstream)
{
	unsigned generation = upstream->loops ? loop_watch_generation(upstream->loops) : 0;

	if (generation == upstream->loops_read)
		return;
	upstream->loops_read = generation;
	for (size_t i = 0; i < upstream->server_count; i++)
		upstream->servers[i].looping =
			loop_watch_is_looping(upstream->loops, &upstream->servers[i].endpoint);
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
	upstream_probe_due(upstream, question, now_us);
	enum exchange_step step = exchange_start(&request->exchange, question, upstream->servers,
		upstream->server_count, now_us + upstream->timeout_us, &upstream->random, now_us);

	*error = request_step(request, step, TD_IO, now_us);
	if (*error == TD_OK)
		return request;
	request_drop(request);
	return NULL;
}

void upstream_cancel(struct upstream_request *request)
{
	request_drop(request);
}

const struct upstream_counters *upstream_counters(const struct upstream *upstream)
{
	return &upstream->counters;
}

size_t upstream_pending(const struct upstream *upstream)
{
	return upstream->pending;
}

bool upstream_is_silent(const struct upstream *upstream)
{
	for (size_t i = 0; i < upstream->server_count; i++)
		if (upstream->servers[i].backoffs_in_row == 0)
			return false;
	return true;
}

const struct server_state *upstream_servers(const struct upstream *upstream, size_t *count)
{
	*count = upstream->server_count;
	return upstream->servers;
}

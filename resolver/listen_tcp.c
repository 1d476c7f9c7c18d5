/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection is a slot in a fixed array, named in a pending query's reply path by slot and serial
 * number, so that an answer that comes after its client left finds nobody rather than somebody
 * else. A bufferevent does the buffering; reading stops while a connection has too many queries
 * pending or too many octets unsent. Its own timeouts are not used: they begin anew with every
 * octet, so a client that sends or takes one now and then would stay for ever. Who may come and who
 * has to leave is tcp_clients.c, asked at each step and by one timer for all.
 */
#include "resolver/listen_tcp.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/dns/proxy.h"
#include "resolver/tcp_clients.h"

#define LISTENERS_MAX 64
#define PENDING_MAX 100        /* queries of one connection */
#define UNSENT_MAX (64 << 10)  /* octets of one connection, before the last reply */
#define READ_AHEAD_MAX (66 << 10)
#define BUFFERED_MAX (32 << 20) /* octets of all connections together, either way */
#define BUFFERED_USUAL 4096     /* what one may hold even then */
#define ACCEPTS_A_TURN 16
#define ACCEPT_PAUSE_MS 100 /* when the system has nothing left for another connection */

#define SWEEPS_A_TIMEOUT 4 /* how exact the timeouts are */

struct connection {
	struct tcp_server *server;
	struct bufferevent *stream; /* NULL: the slot is free */
	struct endpoint peer;
	struct endpoint origin; /* for whom the peer speaks */
	bool proxied;           /* the peer is a proxy, and its header has not come yet */
	uint32_t slot, serial;
	uint32_t listener; /* index of the address that was asked */
	unsigned pending;
	unsigned queries; /* so far */
	size_t to_take;   /* octets that the client has to take before its time begins anew */
	bool ended;       /* the client has sent all it wants to */
	bool closing;     /* we take no more: it has sent something that is not DNS, or enough */
};

struct tcp_server {
	struct tcp_server_config config;
	struct event *listeners[LISTENERS_MAX];
	size_t listener_count;
	struct event *resume; /* of accepting, after a pause */
	struct event *sweep;  /* who is overdue */
	struct tcp_clients *clients;
	struct connection *connections;
	size_t buffered; /* octets of all connections, either way */
	bool stopped;
	struct query_slot slot;
	uint8_t reply[DNS_MESSAGE_MAX];
};

static size_t unsent(const struct connection *connection)
{
	return evbuffer_get_length(bufferevent_get_output(connection->stream));
}

static size_t unread(const struct connection *connection)
{
	return evbuffer_get_length(bufferevent_get_input(connection->stream));
}

/* Keeps the sum of what is buffered. A client that takes what it was sent gets time for the rest. */
static void on_output(
	struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *context)
{
	struct connection *connection = context;
	struct tcp_server *server = connection->server;

	server->buffered += info->n_added - info->n_deleted;
	if (info->n_deleted == 0)
		return;
	if (info->n_deleted < connection->to_take) {
		connection->to_take -= info->n_deleted;
		return;
	}
	connection->to_take = evbuffer_get_length(buffer);
	if (connection->to_take)
		tcp_clients_set(server->clients, connection->slot, TCP_WRITING,
			server->config.clock().mono_us);
}

static void on_input(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *context)
{
	struct connection *connection = context;

	(void)buffer;
	connection->server->buffered += info->n_added - info->n_deleted;
}

static void connection_close(struct connection *connection)
{
	connection->server->buffered -= unsent(connection) + unread(connection);
	evbuffer_remove_cb(bufferevent_get_input(connection->stream), on_input, connection);
	evbuffer_remove_cb(bufferevent_get_output(connection->stream), on_output, connection);
	bufferevent_disable(connection->stream, EV_READ | EV_WRITE);
	bufferevent_free(connection->stream); /* later, where a call of ours is due */
	connection->stream = NULL;
	connection->serial++;
	tcp_clients_leave(connection->server->clients, connection->slot);
}

static void connection_evict(struct tcp_server *server, unsigned slot)
{
	server->config.counters->tcp_closed++;
	connection_close(&server->connections[slot]);
}

/* What it does now. The idle time begins where a query is done with, not at every octet of one. */
static void connection_note(struct connection *connection, const struct now *now)
{
	struct tcp_clients *clients = connection->server->clients;
	enum tcp_state before = tcp_clients_state(clients, connection->slot);
	enum tcp_state state = unsent(connection)    ? TCP_WRITING
			       : connection->pending ? TCP_PENDING
						     : TCP_IDLE;

	if (state == before)
		return;
	connection->to_take = unsent(connection);
	tcp_clients_set(clients, connection->slot, state, now->mono_us);
}

static bool connection_is_full(const struct connection *connection)
{
	return connection->pending >= PENDING_MAX || unsent(connection) > UNSENT_MAX;
}

/* The memory for all is used up, and this one has more than a query or a few replies of it. */
static bool connection_is_greedy(const struct connection *connection)
{
	return connection->server->buffered > BUFFERED_MAX &&
	       unsent(connection) + unread(connection) > BUFFERED_USUAL;
}

static void connection_send(struct connection *connection, const uint8_t *reply, size_t length)
{
	uint8_t prefix[2] = {(uint8_t)(length >> 8), (uint8_t)length};
	struct evbuffer *output = bufferevent_get_output(connection->stream);

	evbuffer_add(output, prefix, sizeof prefix);
	evbuffer_add(output, reply, length);
}

/* True when its reply has left. */
static bool connection_query(
	struct connection *connection, const uint8_t *packet, size_t size, const struct now *now)
{
	struct tcp_server *server = connection->server;
	struct query_client client = {.peer = connection->peer,
		.origin = connection->origin,
		.path = {.listener = connection->listener,
			.connection = connection->slot + 1,
			.serial = connection->serial}};
	connection->queries++;
	connection->pending++; /* before a pending query of its own gives way to this one */
	size_t length = query_handle(server->config.engine, packet, size, &client, now,
		&server->slot, server->reply, sizeof server->reply);

	if (length) {
		connection_send(connection, server->reply, length);
		query_sent(server->config.engine, &server->slot, now);
	}
	if (!server->slot.waits)
		connection->pending--;
	if (tcp_clients_state(server->clients, connection->slot) == TCP_IDLE)
		tcp_clients_set(server->clients, connection->slot, TCP_IDLE, now->mono_us);
	return length > 0;
}

/* One whole message out of the input. False when there is none; *bad when the stream cannot be DNS.
 */
static bool next_message(struct evbuffer *input, const uint8_t **packet, size_t *size, bool *bad)
{
	uint8_t prefix[2];

	*bad = false;
	if (evbuffer_copyout(input, prefix, sizeof prefix) < (ssize_t)sizeof prefix)
		return false;
	*size = (size_t)prefix[0] << 8 | prefix[1];
	if (*size == 0) {
		*bad = true;
		return false;
	}
	if (evbuffer_get_length(input) < *size + sizeof prefix)
		return false;
	*packet = evbuffer_pullup(input, (ssize_t)(*size + sizeof prefix));
	if (*packet)
		*packet += sizeof prefix;
	return *packet != NULL;
}

/* The PROXY header at the beginning of a connection. False while it is not there as a whole; *bad
 * when it cannot be one. */
static bool take_proxy_header(
	struct connection *connection, struct evbuffer *input, bool *bad)
{
	struct query_client client = {.peer = connection->peer};
	size_t length, size = evbuffer_get_length(input);
	const uint8_t *data =
		evbuffer_pullup(input, size < PROXY_HEADER_MAX ? (ssize_t)size : PROXY_HEADER_MAX);

	if (!data)
		return false;
	enum td_error error = query_read_proxy(
		&client, data, size < PROXY_HEADER_MAX ? size : PROXY_HEADER_MAX, &length);
	*bad = error == TD_MALFORMED;
	if (*bad)
		query_drop_proxied(connection->server->config.engine);
	if (error != TD_OK)
		return false;
	connection->origin = client.origin;
	connection->proxied = false;
	evbuffer_drain(input, length);
	return true;
}

/*
 * Nothing more comes and nothing more goes: the end. Where it is we who end it, the client is told so
 * and what it still sends is thrown away until it ends too, or has been idle for too long: a socket
 * closed with octets unread resets the connection, and the last replies with it.
 */
static bool connection_end(struct connection *connection)
{
	if (!(connection->ended || connection->closing) || connection->pending > 0 ||
		unsent(connection) > 0)
		return false;
	if (connection->ended) {
		connection_close(connection);
		return true;
	}
	shutdown(bufferevent_getfd(connection->stream), SHUT_WR);
	return false;
}

/* Answers the queries that are there as a whole, as far as the connection's bounds allow. */
static void connection_process(struct connection *connection, const struct now *now)
{
	struct tcp_server *server = connection->server;
	struct evbuffer *input = bufferevent_get_input(connection->stream);
	const uint8_t *packet;
	size_t size;
	unsigned replies = 0;
	bool bad = false;

	bool ready = !connection->proxied || take_proxy_header(connection, input, &bad);
	while (ready && !connection->closing && !server->stopped &&
		!connection_is_full(connection) && next_message(input, &packet, &size, &bad)) {
		replies += connection_query(connection, packet, size, now);
		evbuffer_drain(input, size + 2);
		connection->closing = connection->queries >= server->config.queries_max;
	}
	if (replies)
		query_took(server->config.engine, replies, server->config.mono() - now->mono_us);
	connection->closing |= bad;
	if (server->stopped || connection->closing)
		evbuffer_drain(input, evbuffer_get_length(input));
}

static void connection_read(struct connection *connection)
{
	struct tcp_server *server = connection->server;
	struct now now = server->config.clock();

	connection_process(connection, &now);
	server->config.turn(server->config.turn_context, &now);
	if (connection_end(connection))
		return;
	connection_note(connection, &now);
	if (connection_is_greedy(connection))
		connection_evict(server, connection->slot);
	else if (connection_is_full(connection))
		bufferevent_disable(connection->stream, EV_READ);
	else if (!connection->ended)
		bufferevent_enable(connection->stream, EV_READ);
}

static void on_read(struct bufferevent *stream, void *context)
{
	(void)stream;
	connection_read(context);
}

static void on_written(struct bufferevent *stream, void *context)
{
	(void)stream;
	connection_read(context);
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
	struct connection *connection = context;

	if ((what & BEV_EVENT_EOF) && !(what & BEV_EVENT_ERROR)) {
		connection->ended = true; /* half-closed: what is pending is still answered */
		bufferevent_disable(stream, EV_READ);
		connection_end(connection);
		return;
	}
	connection_close(connection);
}

static void on_sweep(evutil_socket_t fd, short what, void *context)
{
	struct tcp_server *server = context;
	struct now now = server->config.clock();
	unsigned slot;

	(void)fd;
	(void)what;
	while (tcp_clients_overdue(server->clients, now.mono_us, &slot))
		connection_evict(server, slot);
}

/* A place for this client: a proxy may have all of them, since it has a connection for each of its
 * own clients. NULL: none. */
static struct connection *connection_place(
	struct tcp_server *server, const struct endpoint *peer, const struct now *now)
{
	bool bounded = !query_is_proxy(server->config.engine, &peer->address);
	enum tcp_admission admission;
	unsigned slot;

	while ((admission = tcp_clients_admit(server->clients, &peer->address, bounded,
			now->mono_us, &slot)) == TCP_CLOSE_FIRST)
		connection_evict(server, slot);
	return admission == TCP_ADMITTED ? &server->connections[slot] : NULL;
}

static void connection_begin(struct connection *connection, struct bufferevent *stream)
{
	connection->stream = stream;
	connection->pending = connection->queries = 0;
	connection->to_take = 0;
	connection->ended = connection->closing = false;
	evbuffer_add_cb(bufferevent_get_input(stream), on_input, connection);
	evbuffer_add_cb(bufferevent_get_output(stream), on_output, connection);
	bufferevent_setcb(stream, on_read, on_written, on_event, connection);
	bufferevent_setwatermark(stream, EV_READ, 0, READ_AHEAD_MAX);
	bufferevent_enable(stream, EV_READ | EV_WRITE);
}

static void connection_open(struct tcp_server *server, int fd, const struct endpoint *peer,
	uint32_t listener, const struct now *now)
{
	struct connection *connection = connection_place(server, peer, now);
	struct bufferevent *stream =
		connection ? bufferevent_socket_new(server->config.base, fd, BEV_OPT_CLOSE_ON_FREE)
			   : NULL;

	if (!stream) {
		if (connection)
			tcp_clients_leave(
				server->clients, (unsigned)(connection - server->connections));
		server->config.counters->tcp_refused++;
		close(fd);
		return;
	}
	connection->server = server;
	connection->peer = *peer;
	connection->origin = *peer;
	connection->proxied = query_is_proxy(server->config.engine, &peer->address);
	connection->slot = (uint32_t)(connection - server->connections);
	connection->listener = listener;
	server->config.counters->tcp_accepted++;
	connection_begin(connection, stream);
}

static void on_resume(evutil_socket_t fd, short what, void *context)
{
	struct tcp_server *server = context;

	(void)fd;
	(void)what;
	for (size_t i = 0; i < server->listener_count && !server->stopped; i++)
		event_add(server->listeners[i], NULL);
}

/* A client that cannot be accepted stays in the backlog, and would wake the loop again at once. */
static void pause_accepting(struct tcp_server *server)
{
	struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};

	for (size_t i = 0; i < server->listener_count; i++)
		event_del(server->listeners[i]);
	event_add(server->resume, &pause);
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static uint32_t listener_index(const struct tcp_server *server, evutil_socket_t listener)
{
	uint32_t index = 0;

	while (index < server->listener_count &&
		event_get_fd(server->listeners[index]) != listener)
		index++;
	return index;
}

/* One client that waits to come in. -1: none, or none that the system has a descriptor for. */
static int take_client(struct tcp_server *server, int listener, struct endpoint *peer)
{
	struct sockaddr_storage sa;
	socklen_t length = sizeof sa;
	unsigned slot;
	int fd = accept4(listener, (struct sockaddr *)&sa, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0 && is_shortage(errno) && tcp_clients_idlest(server->clients, &slot)) {
		connection_evict(server, slot);
		length = sizeof sa;
		fd = accept4(listener, (struct sockaddr *)&sa, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
	if (fd < 0 && is_shortage(errno))
		pause_accepting(server);
	if (fd >= 0 && !endpoint_from_sockaddr(peer, (struct sockaddr *)&sa)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static void on_accept(evutil_socket_t listener, short what, void *context)
{
	struct tcp_server *server = context;
	struct now now = server->config.clock();

	(void)what;
	for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
		struct endpoint peer;
		int fd = take_client(server, listener, &peer);
		if (fd < 0)
			return;
		connection_open(server, fd, &peer, listener_index(server, listener), &now);
	}
}

static bool server_open(struct tcp_server *server)
{
	const struct tcp_server_config *config = &server->config;
	const struct tcp_clients_config clients = {.max = config->connections_max,
		.per_address_max = config->connections_per_client_max,
		.idle_us = config->idle_timeout_ms * US_PER_MS,
		.write_us = config->idle_timeout_ms * US_PER_MS,
		.seed = config->seed};
	unsigned sweep_ms = config->idle_timeout_ms / SWEEPS_A_TIMEOUT;
	struct timeval sweep = {.tv_sec = sweep_ms / 1000, .tv_usec = sweep_ms % 1000 * 1000};

	server->connections = calloc(config->connections_max, sizeof server->connections[0]);
	server->clients = tcp_clients_new(&clients);
	server->resume = evtimer_new(config->base, on_resume, server);
	server->sweep = event_new(config->base, -1, EV_PERSIST, on_sweep, server);
	return server->connections && server->clients && server->resume && server->sweep &&
	       event_add(server->sweep, &sweep) == 0;
}

struct tcp_server *tcp_server_new(const struct tcp_server_config *config)
{
	struct tcp_server *server = calloc(1, sizeof *server);

	if (!server)
		return NULL;
	server->config = *config;
	if (server_open(server))
		return server;
	tcp_server_free(server);
	return NULL;
}

enum td_error tcp_server_listen(struct tcp_server *server, struct listen_socket *socket)
{
	struct event *event;

	if (server->listener_count == LISTENERS_MAX)
		return TD_FULL;
	event = event_new(
		server->config.base, socket->tcp, EV_READ | EV_PERSIST, on_accept, server);
	if (!event || event_add(event, NULL) != 0) {
		if (event)
			event_free(event);
		return TD_NOMEM;
	}
	server->listeners[server->listener_count++] = event;
	socket->tcp = -1;
	return TD_OK;
}

void tcp_server_stop(struct tcp_server *server)
{
	server->stopped = true;
	event_del(server->resume);
	for (size_t i = 0; i < server->listener_count; i++)
		event_del(server->listeners[i]);
	/* What comes now is read and thrown away: closing a socket with octets unread resets the
	 * connection, and the replies on their way with it. */
	for (unsigned i = 0; i < server->config.connections_max; i++) {
		struct connection *connection = &server->connections[i];
		if (!connection->stream || connection->ended)
			continue;
		evbuffer_drain(bufferevent_get_input(connection->stream), READ_AHEAD_MAX);
		bufferevent_enable(connection->stream, EV_READ);
	}
}

void tcp_server_free(struct tcp_server *server)
{
	if (!server)
		return;
	for (unsigned i = 0; server->connections && i < server->config.connections_max; i++)
		if (server->connections[i].stream)
			connection_close(&server->connections[i]);
	for (size_t i = 0; i < server->listener_count; i++) {
		close(event_get_fd(server->listeners[i]));
		event_free(server->listeners[i]);
	}
	if (server->resume)
		event_free(server->resume);
	if (server->sweep)
		event_free(server->sweep);
	tcp_clients_free(server->clients);
	free(server->connections);
	free(server);
}

bool tcp_server_unsent(const struct tcp_server *server)
{
	for (unsigned i = 0; i < server->config.connections_max; i++) {
		struct bufferevent *stream = server->connections[i].stream;
		int unacknowledged = 0;
		if (!stream)
			continue;
		if (evbuffer_get_length(bufferevent_get_output(stream)) > 0)
			return true;
		if (ioctl(bufferevent_getfd(stream), SIOCOUTQ, &unacknowledged) == 0 &&
			unacknowledged > 0)
			return true;
	}
	return false;
}

size_t tcp_server_connections(const struct tcp_server *server)
{
	return tcp_clients_count(server->clients);
}

enum td_error tcp_server_respond(struct tcp_server *server, const struct query_client *client,
	const uint8_t *reply, size_t length)
{
	struct connection *connection = &server->connections[client->path.connection - 1];

	if (!connection->stream || connection->serial != client->path.serial)
		return TD_NOT_FOUND;
	if (connection->pending > 0)
		connection->pending--;
	if (length) {
		struct now now = connection->server->config.clock();
		connection_send(connection, reply, length);
		connection_note(connection, &now);
		return TD_OK;
	}
	/* Later, since its next query must not come in the middle of an answer's delivery. */
	bufferevent_trigger(connection->stream, EV_READ,
		BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
	return TD_OK;
}

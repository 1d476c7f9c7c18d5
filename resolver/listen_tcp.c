/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection is a slot in a fixed array, named in a pending query's reply path by slot and serial
 * number, so that an answer that comes after its client left finds nobody rather than somebody
 * else. A bufferevent does the buffering; reading stops while a connection has too many queries
 * pending or too many octets unsent.
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

#define LISTENERS_MAX 64
#define PENDING_MAX 100        /* queries of one connection */
#define UNSENT_MAX (256 << 10) /* octets */
#define READ_AHEAD_MAX (66 << 10)
#define ACCEPTS_A_TURN 16
#define ACCEPT_PAUSE_MS 100 /* when the system has nothing left for another connection */

struct connection {
	struct tcp_server *server;
	struct bufferevent *stream; /* NULL: the slot is free */
	struct endpoint peer;
	struct endpoint origin; /* for whom the peer speaks */
	bool proxied;           /* the peer is a proxy, and its header has not come yet */
	uint32_t slot, serial;
	uint32_t listener; /* index of the address that was asked */
	unsigned pending;
	bool closing;    /* the client has sent all it wants to, or something that is not DNS */
	bool processing; /* on_read is on the stack */
};

struct tcp_server {
	struct tcp_server_config config;
	struct event *listeners[LISTENERS_MAX];
	size_t listener_count;
	struct event *resume; /* of accepting, after a pause */
	struct connection *connections;
	size_t open;
	bool stopped;
	struct query_slot slot;
	uint8_t reply[DNS_MESSAGE_MAX];
};

static void connection_close(struct connection *connection)
{
	bufferevent_free(connection->stream);
	connection->stream = NULL;
	connection->serial++;
	connection->server->open--;
}

static bool connection_is_full(const struct connection *connection)
{
	return connection->pending >= PENDING_MAX ||
	       evbuffer_get_length(bufferevent_get_output(connection->stream)) > UNSENT_MAX;
}

static void connection_send(struct connection *connection, const uint8_t *reply, size_t length)
{
	uint8_t prefix[2] = {(uint8_t)(length >> 8), (uint8_t)length};
	struct evbuffer *output = bufferevent_get_output(connection->stream);

	evbuffer_add(output, prefix, sizeof prefix);
	evbuffer_add(output, reply, length);
}

static void connection_query(
	struct connection *connection, const uint8_t *packet, size_t size, const struct now *now)
{
	struct tcp_server *server = connection->server;
	struct query_client client = {.peer = connection->peer,
		.origin = connection->origin,
		.path = {.listener = connection->listener,
			.connection = connection->slot + 1,
			.serial = connection->serial}};
	connection->pending++; /* before a pending query of its own gives way to this one */
	size_t length = query_handle(server->config.engine, packet, size, &client, now,
		&server->slot, server->reply, sizeof server->reply);

	if (length) {
		connection_send(connection, server->reply, length);
		query_sent(server->config.engine, &server->slot, now);
	}
	if (!server->slot.waits)
		connection->pending--;
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

/* Closed by the client and nothing more to send: the end. */
static bool connection_is_done(const struct connection *connection)
{
	return connection->closing && connection->pending == 0 &&
	       evbuffer_get_length(bufferevent_get_output(connection->stream)) == 0;
}

static void connection_read(struct connection *connection)
{
	struct tcp_server *server = connection->server;
	struct evbuffer *input = bufferevent_get_input(connection->stream);
	struct now now = server->config.clock();
	const uint8_t *packet;
	size_t size;
	bool bad = false;

	connection->processing = true;
	bool ready = !connection->proxied || take_proxy_header(connection, input, &bad);
	while (ready && !server->stopped && !connection_is_full(connection) &&
		next_message(input, &packet, &size, &bad)) {
		connection_query(connection, packet, size, &now);
		evbuffer_drain(input, size + 2);
	}
	connection->processing = false;
	if (server->stopped || (bad && connection->proxied))
		evbuffer_drain(input, evbuffer_get_length(input));
	server->config.turn(server->config.turn_context, &now);
	connection->closing |= bad;
	if (connection_is_done(connection))
		connection_close(connection);
	else if (bad || connection_is_full(connection))
		bufferevent_disable(connection->stream, EV_READ);
	else if (!connection->closing)
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
		connection->closing = true; /* half-closed: what is pending is still answered */
		bufferevent_disable(stream, EV_READ);
		if (connection_is_done(connection))
			connection_close(connection);
		return;
	}
	connection_close(connection);
}

/* A proxy may have all connections: it has one for each of its own clients. */
static struct connection *free_slot(struct tcp_server *server, const struct endpoint *peer)
{
	struct connection *found = NULL;
	unsigned same = 0;

	for (unsigned i = 0; i < server->config.connections_max; i++) {
		struct connection *connection = &server->connections[i];
		if (!connection->stream)
			found = connection;
		else if (address_equal(&connection->peer.address, &peer->address))
			same++;
	}
	return same < server->config.connections_per_client_max ||
			       query_is_proxy(server->config.engine, &peer->address)
		       ? found
		       : NULL;
}

static void connection_open(struct tcp_server *server, int fd, const struct endpoint *peer,
	uint32_t listener)
{
	struct connection *connection = free_slot(server, peer);
	struct timeval idle = {.tv_sec = server->config.idle_timeout_ms / 1000,
		.tv_usec = server->config.idle_timeout_ms % 1000 * 1000};
	struct bufferevent *stream =
		connection ? bufferevent_socket_new(server->config.base, fd, BEV_OPT_CLOSE_ON_FREE)
			   : NULL;

	if (!stream) {
		server->config.counters->tcp_refused++;
		close(fd);
		return;
	}
	connection->server = server;
	connection->stream = stream;
	connection->peer = *peer;
	connection->origin = *peer;
	connection->proxied = query_is_proxy(server->config.engine, &peer->address);
	connection->slot = (uint32_t)(connection - server->connections);
	connection->listener = listener;
	connection->pending = 0;
	connection->closing = false;
	server->open++;
	server->config.counters->tcp_accepted++;
	bufferevent_setcb(stream, on_read, on_written, on_event, connection);
	bufferevent_setwatermark(stream, EV_READ, 0, READ_AHEAD_MAX);
	bufferevent_set_timeouts(stream, &idle, &idle);
	bufferevent_enable(stream, EV_READ | EV_WRITE);
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

static void on_accept(evutil_socket_t listener, short what, void *context)
{
	struct tcp_server *server = context;

	(void)what;
	for (unsigned i = 0; i < ACCEPTS_A_TURN; i++) {
		struct sockaddr_storage sa;
		struct endpoint peer;
		socklen_t length = sizeof sa;
		int fd = accept4(
			listener, (struct sockaddr *)&sa, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && is_shortage(errno))
			pause_accepting(server);
		if (fd < 0)
			return;
		if (endpoint_from_sockaddr(&peer, (struct sockaddr *)&sa))
			connection_open(server, fd, &peer, listener_index(server, listener));
		else
			close(fd);
	}
}

struct tcp_server *tcp_server_new(const struct tcp_server_config *config)
{
	struct tcp_server *server = calloc(1, sizeof *server);

	if (!server)
		return NULL;
	server->config = *config;
	server->connections = calloc(config->connections_max, sizeof server->connections[0]);
	server->resume = evtimer_new(config->base, on_resume, server);
	if (!server->connections || !server->resume) {
		if (server->resume)
			event_free(server->resume);
		free(server->connections);
		free(server);
		return NULL;
	}
	return server;
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
		if (!connection->stream || connection->closing)
			continue;
		evbuffer_drain(bufferevent_get_input(connection->stream), READ_AHEAD_MAX);
		bufferevent_enable(connection->stream, EV_READ);
	}
}

void tcp_server_free(struct tcp_server *server)
{
	if (!server)
		return;
	for (unsigned i = 0; i < server->config.connections_max; i++)
		if (server->connections[i].stream)
			connection_close(&server->connections[i]);
	for (size_t i = 0; i < server->listener_count; i++) {
		close(event_get_fd(server->listeners[i]));
		event_free(server->listeners[i]);
	}
	event_free(server->resume);
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
	return server->open;
}

enum td_error tcp_server_respond(struct tcp_server *server, const struct query_client *client,
	const uint8_t *reply, size_t length)
{
	struct connection *connection = &server->connections[client->path.connection - 1];

	if (!connection->stream || connection->serial != client->path.serial)
		return TD_NOT_FOUND;
	if (connection->pending > 0)
		connection->pending--;
	if (length)
		connection_send(connection, reply, length);
	else if (!connection->processing) /* later, since its next query must not come in the middle
					     of an answer's delivery */
		bufferevent_trigger(connection->stream, EV_READ,
			BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
	return TD_OK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A question first waits in its server's list, and open connections take from it what they have
 * room for. So asking, opening, an answer that makes room and a connection that was lost all end in
 * the same step (server_serve), and nothing is lost between them.
 *
 * A server may close a connection whenever it likes (RFC 7766, 6.2.3), also between our question
 * and its answer. What it owes is asked again on another connection. That is no sign against the
 * server unless a connection does not open, or closes twice without a single answer. How many
 * answers came before it closed is remembered as how many questions it takes at once, so that one
 * that closes after each answer is not sent a hundred.
 *
 * A connection may be dead without anybody saying so (a NAT that forgot it). One that has been
 * silent for STREAM_SILENCE_US, with a question under way, gets no more of them until it is heard
 * again, and is closed once nobody waits for what it owes.
 *
 * Connections are closed by their timer only, never from within stream_cancel or a callback: the
 * reader may be further up on the stack.
 */
#include "resolver/upstream/stream.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"
#include "lib/dns/message.h"
#include "resolver/upstream/pipeline.h"
#include "resolver/upstream/server.h"
#include "resolver/upstream/stream_message.h"

#define STREAM_SILENCE_US US_PER_S
#define STREAM_REFUSED_MAX_US (10 * US_PER_S)
#define STREAM_AGAIN_US US_PER_S /* between attempts for more connections than there are */

TAILQ_HEAD(question_list, stream_question);

struct stream_connection {
	struct stream_server *server;
	TAILQ_ENTRY(stream_connection) entry;
	struct bufferevent *stream;
	struct event timer; /* of its state: being opened, idle, to be closed */
	struct pipeline pipeline;
	bool open;
	bool retiring; /* takes no more questions, and closes with its last answer */
	bool asked_keepalive;
	unsigned answered;
	unsigned strange; /* replies in a row that nobody waited for */
	unsigned idle_ms;
	int64_t silent_us; /* mono, when the first was sent after octets came last; 0: none was */
};

struct stream_server {
	struct streams *streams;
	size_t number;
	struct server_address address;
	struct tls_server *tls;
	TAILQ_HEAD(, stream_connection) connections;
	unsigned connection_count, opening_count;
	unsigned depth;    /* questions in flight on one connection */
	int64_t more_us;   /* mono: when another connection may be tried beside those there are */
	unsigned refusals; /* handshakes in a row that failed */
	int64_t again_us;  /* mono: no connection before */
	struct question_list waiting, failing;
	unsigned waiting_count;
};

struct streams {
	struct event_base *base;
	struct random_pool *random;
	const struct tls_context *tls;
	const struct stream_calls *calls;
	void *context;
	unsigned idle_timeout_ms;
	size_t server_count;
	struct stream_server servers[UPSTREAM_SERVERS_MAX];
};

static int64_t mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

static void server_count(const struct stream_server *server, enum stream_event event)
{
	server->streams->calls->count(server->streams->context, event);
}

static void server_tell(const struct stream_server *server, const char *words)
{
	server->streams->calls->state(server->streams->context, server->number, words);
}

/* --- questions --- */

static void question_wait(struct stream_question *question, bool first)
{
	struct stream_server *server = question->server;

	question->place = STREAM_WAITING;
	question->connection = NULL;
	if (first)
		TAILQ_INSERT_HEAD(&server->waiting, question, entry);
	else
		TAILQ_INSERT_TAIL(&server->waiting, question, entry);
	server->waiting_count++;
}

static void question_stop_waiting(struct stream_question *question)
{
	TAILQ_REMOVE(&question->server->waiting, question, entry);
	question->server->waiting_count--;
	question->place = STREAM_NOWHERE;
}

static void question_fail(struct stream_question *question)
{
	question->place = STREAM_FAILING;
	question->connection = NULL;
	TAILQ_INSERT_TAIL(&question->server->failing, question, entry);
}

/* Its owner may ask others in the call, and cancel any. */
static void server_tell_failing(struct stream_server *server)
{
	struct stream_question *question;

	while ((question = TAILQ_FIRST(&server->failing))) {
		TAILQ_REMOVE(&server->failing, question, entry);
		question->place = STREAM_NOWHERE;
		server->streams->calls->failed(question->owner);
	}
}

/* --- connections --- */

static bool connection_is_silent(const struct stream_connection *connection)
{
	return connection->silent_us != 0 && mono_us() - connection->silent_us >= STREAM_SILENCE_US;
}

static bool connection_has_room(const struct stream_connection *connection)
{
	return connection->open && !connection->retiring &&
	       connection->pipeline.count < connection->server->depth &&
	       !connection_is_silent(connection);
}

static void connection_set_timer(struct stream_connection *connection)
{
	unsigned wait_ms = connection->open ? connection->idle_ms : STREAM_CONNECT_MS;

	if (connection->open && connection->pipeline.live > 0) {
		event_del(&connection->timer);
		return;
	}
	if (connection->open && (connection->retiring || connection_is_silent(connection)))
		wait_ms = 0;
	const struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};

	event_add(&connection->timer, &wait);
}

/* Ids that no answer has freed: the server does not answer everything, and room runs out. */
static void connection_retire_if_stuck(struct stream_connection *connection)
{
	unsigned given_up = connection->pipeline.count - connection->pipeline.live;

	if (2 * given_up >= connection->server->depth && given_up > 0)
		connection->retiring = true;
}

static void connection_send(struct stream_connection *connection, struct stream_question *question)
{
	struct stream_server *server = connection->server;
	struct streams *streams = server->streams;
	const struct stream_message how = {.padded = server->address.transport == SERVER_TLS,
		.keepalive = !connection->asked_keepalive};
	uint8_t message[STREAM_MESSAGE_MAX];

	question->id = pipeline_free_id(&connection->pipeline, random_u16(streams->random));
	packet_set_id(question->packet, question->id);
	pipeline_add(&connection->pipeline, question->id, question);
	connection->asked_keepalive = true;
	question->place = STREAM_SENT;
	question->connection = connection;
	if (connection->silent_us == 0)
		connection->silent_us = mono_us();
	size_t length = stream_message_compose(message, question->packet, &how);

	/* What cannot be written for want of memory is never answered. */
	bufferevent_write(connection->stream, message, length);
	streams->calls->sent(question->owner, message + 2, length - 2);
	connection_set_timer(connection);
}

static void connection_free(struct stream_connection *connection)
{
	struct stream_server *server = connection->server;

	TAILQ_REMOVE(&server->connections, connection, entry);
	server->connection_count--;
	server->opening_count -= !connection->open;
	event_del(&connection->timer);
	if (connection->open && server->tls)
		tls_stream_close(connection->stream);
	if (connection->stream)
		bufferevent_free(connection->stream);
	free(connection);
}

static void on_read(struct bufferevent *stream, void *context);
static void on_event(struct bufferevent *stream, short what, void *context);
static void on_timer(evutil_socket_t fd, short what, void *context);

static struct bufferevent *stream_new(struct stream_server *server)
{
	if (server->address.transport != SERVER_TLS)
		return bufferevent_socket_new(
			server->streams->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	return server->tls ? tls_server_stream(server->tls, server->streams->base) : NULL;
}

static bool stream_connect(struct bufferevent *stream, const struct endpoint *endpoint)
{
	struct sockaddr_storage storage;
	socklen_t length = endpoint_to_sockaddr(endpoint, &storage);
	const int on = 1;

	errno = 0;
	if (bufferevent_socket_connect(stream, (struct sockaddr *)&storage, (int)length) != 0)
		return false;
	evutil_socket_t fd = bufferevent_getfd(stream);

	fcntl(fd, F_SETFD, FD_CLOEXEC);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	bufferevent_enable(stream, EV_READ | EV_WRITE);
	return true;
}

static bool is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* TD_IO: the server cannot be reached. TD_NOMEM: this machine is short of something. */
static enum td_error connection_new(struct stream_server *server)
{
	struct stream_connection *connection = calloc(1, sizeof(*connection));

	if (!connection)
		return TD_NOMEM;
	connection->server = server;
	connection->idle_ms = server->streams->idle_timeout_ms;
	event_assign(&connection->timer, server->streams->base, -1, 0, on_timer, connection);
	TAILQ_INSERT_TAIL(&server->connections, connection, entry);
	server->connection_count++;
	server->opening_count++;
	connection->stream = stream_new(server);
	if (!connection->stream) {
		connection_free(connection);
		return TD_NOMEM;
	}
	bufferevent_setcb(connection->stream, on_read, NULL, on_event, connection);
	if (!stream_connect(connection->stream, &server->address.endpoint)) {
		int error = errno ? errno : ENETUNREACH;

		server_count(server, STREAM_FAILED);
		server_tell(server, strerror(error));
		connection_free(connection);
		return is_shortage(error) ? TD_NOMEM : TD_IO;
	}
	connection_set_timer(connection);
	return TD_OK;
}

/* --- the one step after whatever happened --- */

static struct stream_connection *server_find_room(const struct stream_server *server)
{
	struct stream_connection *connection;

	TAILQ_FOREACH(connection, &server->connections, entry)
	{
		if (connection_has_room(connection))
			return connection;
	}
	return NULL;
}

/* A server that refuses a further connection is not asked for one without end. */
static bool server_may_open(const struct stream_server *server)
{
	int64_t now_us = mono_us();

	if (now_us < server->again_us)
		return false;
	return server->connection_count == 0 ||
	       (server->connection_count < STREAM_CONNECTIONS_MAX && now_us >= server->more_us);
}

/* Sends what there is room for, and opens connections for the rest. Why the last one failed. */
static enum td_error server_send_waiting(struct stream_server *server)
{
	enum td_error error = TD_OK;

	while (server->waiting_count > 0) {
		struct stream_connection *connection = server_find_room(server);
		struct stream_question *question = TAILQ_FIRST(&server->waiting);

		if (!connection)
			break;
		question_stop_waiting(question);
		connection_send(connection, question);
	}
	while (error == TD_OK && server->waiting_count > server->opening_count * server->depth &&
		server_may_open(server))
		error = connection_new(server);
	return error;
}

/* Where there is no connection and none is being opened, nobody will take what waits. */
static void server_fail_waiting(struct stream_server *server)
{
	while (server->connection_count == 0 && server->waiting_count > 0) {
		struct stream_question *question = TAILQ_FIRST(&server->waiting);

		question_stop_waiting(question);
		question_fail(question);
	}
}

/* Not within stream_ask: calls owners. */
static void server_serve(struct stream_server *server)
{
	server_send_waiting(server);
	server_fail_waiting(server);
	server_tell_failing(server);
}

/* --- what happens to connections --- */

/*
 * A certificate that was refused is so the next time, until somebody does something about it. The
 * first time may have other reasons, such as a session that the server has forgotten.
 */
static void server_refuse(struct stream_server *server)
{
	int64_t wait_us = US_PER_S;

	for (unsigned i = 1; i < server->refusals && wait_us < STREAM_REFUSED_MAX_US; i++)
		wait_us *= 2;
	if (wait_us > STREAM_REFUSED_MAX_US)
		wait_us = STREAM_REFUSED_MAX_US;
	if (server->refusals++ > 0)
		server->again_us = mono_us() + wait_us;
}

static void say_why(struct stream_connection *connection, short what, char *words, size_t size)
{
	struct stream_server *server = connection->server;
	int error = EVUTIL_SOCKET_ERROR();

	if (server->tls && tls_server_failure(server->tls, connection->stream, words, size)) {
		server_refuse(server);
		return;
	}
	if (what & BEV_EVENT_TIMEOUT)
		snprintf(words, size, "no connection within %d s", STREAM_CONNECT_MS / 1000);
	else if (what & BEV_EVENT_EOF || error == 0)
		snprintf(words, size, "it closes new connections");
	else
		snprintf(words, size, "%s", strerror(error));
}

/* The unanswered questions of a connection that was open. */
static void connection_return_questions(struct stream_connection *connection)
{
	struct stream_server *server = connection->server;
	struct stream_question *question;
	unsigned answered = connection->answered;

	if (connection->pipeline.live > 0 && answered > 0)
		server->depth = answered < PIPELINE_MAX ? answered : PIPELINE_MAX;
	while ((question = pipeline_take(&connection->pipeline))) {
		if (answered == 0 && question->repeated) {
			question_fail(question);
			continue;
		}
		question->repeated |= answered == 0;
		server_count(server, STREAM_REPEATED);
		question_wait(question, true);
	}
}

static void connection_lost(struct stream_connection *connection, short what)
{
	struct stream_server *server = connection->server;
	bool opened = connection->open;
	char words[SERVER_TROUBLE_MAX];

	if (opened) {
		connection_return_questions(connection);
	} else {
		server->more_us = mono_us() + STREAM_AGAIN_US;
		server_count(server, STREAM_FAILED);
		say_why(connection, what, words, sizeof(words));
		server_tell(server, words);
	}
	connection_free(connection);
	/* A new attempt at once would fail as this one did. */
	if (!opened)
		server_fail_waiting(server);
	server_serve(server);
}

static void connection_opened(struct stream_connection *connection)
{
	struct stream_server *server = connection->server;

	connection->open = true;
	server->opening_count--;
	server->refusals = 0;
	server_count(server, STREAM_OPENED);
	if (server->tls && tls_stream_is_resumed(connection->stream))
		server_count(server, STREAM_RESUMED);
	server_tell(server, NULL);
	connection_set_timer(connection);
	server_serve(server);
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
	(void)stream;
	if (what & BEV_EVENT_CONNECTED)
		connection_opened(context);
	else
		connection_lost(context, what);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct stream_connection *connection = context;
	struct stream_server *server = connection->server;

	(void)fd, (void)what;
	if (!connection->open) {
		connection_lost(connection, BEV_EVENT_TIMEOUT);
	} else if (connection->pipeline.live == 0) {
		connection_free(connection);
		server_serve(server);
	}
}

/* --- replies --- */

/* The server may say how long it keeps the connection. We keep it no longer than we like. */
static void connection_heed_keepalive(
	struct stream_connection *connection, const uint8_t *octets, size_t length)
{
	uint16_t tenths;

	if (!stream_message_keepalive(octets, length, &tenths))
		return;
	if (tenths == 0)
		connection->retiring = true;
	else if (tenths * 100U < connection->idle_ms)
		connection->idle_ms = tenths * 100U;
}

/* False: more was said that nobody asked for than is to be borne. */
static bool connection_take(struct stream_connection *connection, uint8_t *octets, size_t length)
{
	struct stream_server *server = connection->server;
	uint16_t id = (uint16_t)(octets[0] << 8 | octets[1]);
	unsigned answered = connection->answered;
	void *found;

	if (!pipeline_find(&connection->pipeline, id, &found)) {
		server_count(server, STREAM_STRANGE);
		return ++connection->strange < STREAM_STRANGE_MAX;
	}
	connection_heed_keepalive(connection, octets, length);
	if (!found) {
		pipeline_remove(&connection->pipeline, id);
		return true;
	}
	struct stream_question *question = found;

	server->streams->calls->reply(question->owner, octets, length);
	if (connection->answered == answered)
		return ++connection->strange < STREAM_STRANGE_MAX;
	connection->strange = 0;
	return true;
}

/* Takes whole messages out of the buffer. False: what comes is no message. */
static bool connection_read(struct stream_connection *connection)
{
	struct evbuffer *input = bufferevent_get_input(connection->stream);
	uint8_t size[2];

	while (evbuffer_copyout(input, size, sizeof(size)) == sizeof(size)) {
		size_t length = (size_t)size[0] << 8 | size[1];

		if (length < DNS_HEADER_SIZE) {
			server_count(connection->server, STREAM_STRANGE);
			return false;
		}
		if (evbuffer_get_length(input) < 2 + length)
			return true;
		uint8_t *message = evbuffer_pullup(input, (ssize_t)(2 + length));

		if (!message || !connection_take(connection, message + 2, length))
			return false;
		evbuffer_drain(input, 2 + length);
	}
	return true;
}

static void on_read(struct bufferevent *stream, void *context)
{
	struct stream_connection *connection = context;

	(void)stream;
	connection->silent_us = 0;
	if (!connection_read(connection)) {
		connection_lost(connection, BEV_EVENT_ERROR);
		return;
	}
	if (connection->pipeline.live > 0)
		connection->silent_us = mono_us();
	connection_set_timer(connection);
	server_serve(connection->server);
}

/* --- public --- */

static bool server_init(struct stream_server *server, struct streams *streams,
	const struct server_address *address, size_t number)
{
	server->streams = streams;
	server->number = number;
	server->address = *address;
	server->depth = PIPELINE_MAX;
	TAILQ_INIT(&server->connections);
	TAILQ_INIT(&server->waiting);
	TAILQ_INIT(&server->failing);
	if (address->transport != SERVER_TLS || !streams->tls)
		return true;
	server->tls = tls_server_new(streams->tls, &server->address);
	return server->tls != NULL;
}

struct streams *streams_new(const struct streams_config *config)
{
	struct streams *streams = calloc(1, sizeof(*streams));

	if (!streams)
		return NULL;
	streams->base = config->base;
	streams->random = config->random;
	streams->tls = config->tls;
	streams->calls = config->calls;
	streams->context = config->context;
	streams->idle_timeout_ms = config->idle_timeout_ms;
	for (size_t i = 0; i < config->server_count && i < UPSTREAM_SERVERS_MAX; i++) {
		streams->server_count++;
		if (!server_init(&streams->servers[i], streams, &config->servers[i], i)) {
			streams_free(streams);
			return NULL;
		}
	}
	return streams;
}

void streams_free(struct streams *streams)
{
	if (!streams)
		return;
	for (size_t i = 0; i < streams->server_count; i++) {
		struct stream_server *server = &streams->servers[i];

		while (!TAILQ_EMPTY(&server->connections))
			connection_free(TAILQ_FIRST(&server->connections));
		tls_server_free(server->tls);
	}
	free(streams);
}

enum td_error stream_ask(struct streams *streams, size_t server_number,
	struct stream_question *question, struct packet *packet, void *owner)
{
	assert(server_number < streams->server_count && !stream_is_asked(question));
	struct stream_server *server = &streams->servers[server_number];

	if (server->waiting_count >= STREAM_WAITING_MAX) {
		server_count(server, STREAM_FULL);
		return TD_FULL;
	}
	*question = (struct stream_question){.server = server, .packet = packet, .owner = owner};
	question_wait(question, false);
	enum td_error error = server_send_waiting(server);

	if (server->connection_count > 0)
		return TD_OK;
	question_stop_waiting(question);
	return error == TD_OK ? TD_IO : error;
}

void stream_cancel(struct stream_question *question)
{
	struct stream_connection *connection = question->connection;

	switch (question->place) {
	case STREAM_NOWHERE:
		return;
	case STREAM_WAITING:
		question_stop_waiting(question);
		return;
	case STREAM_FAILING:
		TAILQ_REMOVE(&question->server->failing, question, entry);
		question->place = STREAM_NOWHERE;
		return;
	case STREAM_SENT:
		break;
	}
	question->place = STREAM_NOWHERE;
	pipeline_give_up(&connection->pipeline, question->id);
	connection_retire_if_stuck(connection);
	connection_set_timer(connection);
}

void stream_answered(struct stream_question *question)
{
	struct stream_connection *connection = question->connection;
	struct stream_server *server = connection->server;

	assert(question->place == STREAM_SENT);
	question->place = STREAM_NOWHERE;
	pipeline_remove(&connection->pipeline, question->id);
	if (++connection->answered > server->depth)
		server->depth = PIPELINE_MAX;
}

size_t streams_open(const struct streams *streams)
{
	size_t open = 0;

	for (size_t i = 0; i < streams->server_count; i++)
		open += streams->servers[i].connection_count - streams->servers[i].opening_count;
	return open;
}

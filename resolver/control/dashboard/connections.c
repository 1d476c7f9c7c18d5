/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * evhttp (2.1) tells neither when a connection was opened nor when it went, only asks for its
 * bufferevent; so each is held by a reference of ours, and one that evhttp has let go (it has no
 * callbacks any more) is found by the timer that looks after the others, or when room is needed. A
 * connection is ended by shutting its socket down: evhttp sees the end of it and does the rest.
 *
 * Rejected: to take evhttp's timeout for the whole request (it starts anew with each read), and to
 * close the newest connection when there are too many (whoever opens 512 would keep everyone out).
 */
#include "resolver/control/dashboard/connections.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "resolver/control/dashboard/dashboard.h"

#define LOOK_MS 250 /* between two looks at all of them */

struct connection {
	struct connections *all;
	struct bufferevent *stream; /* a reference */
	enum connection_state state;
	int64_t since_ms; /* monotonic: in this state */
	size_t owed;      /* of a reply, with CONNECTION_WRITING */
	bool ended;       /* its socket was shut down */
};

struct connections {
	struct dashboard *dashboard;
	struct event *timer;
	size_t count;
	struct connection *open[2 * CONNECTIONS_MAX]; /* in no order; some were shut down */
};

static bool is_gone(const struct connection *connection)
{
	bufferevent_data_cb reads = NULL, writes = NULL;
	bufferevent_event_cb events = NULL;

	bufferevent_getcb(connection->stream, &reads, &writes, &events, NULL);
	return !reads && !writes && !events;
}

static void release(struct connections *all, size_t i)
{
	struct connection *connection = all->open[i];

	bufferevent_decref(connection->stream);
	free(connection);
	all->open[i] = all->open[--all->count];
	all->dashboard->figures.connections = all->count;
}

static void release_gone(struct connections *all)
{
	for (size_t i = all->count; i-- > 0;)
		if (is_gone(all->open[i]))
			release(all, i);
}

static void end(struct connection *connection)
{
	evutil_socket_t fd = bufferevent_getfd(connection->stream);

	connection->ended = true;
	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
}

static bool is_too_slow(const struct connection *connection, int64_t now_ms)
{
	int64_t age_ms = now_ms - connection->since_ms;

	switch (connection->state) {
	case CONNECTION_READING:
		return age_ms > CONNECTION_REQUEST_MS;
	case CONNECTION_IDLE:
		return age_ms > CONNECTION_IDLE_MS;
	case CONNECTION_WRITING:
		return age_ms > CONNECTION_REPLY_MS;
	case CONNECTION_ANSWERING:
	case CONNECTION_STREAMING:
		break;
	}
	return false;
}

static void on_look(evutil_socket_t fd, short what, void *argument)
{
	struct connections *all = argument;
	int64_t now_ms = dashboard_mono_ms();

	(void)fd;
	(void)what;
	release_gone(all);
	for (size_t i = 0; i < all->count; i++) {
		struct connection *connection = all->open[i];
		if (connection->ended || !is_too_slow(connection, now_ms))
			continue;
		all->dashboard->figures.slow += connection->state != CONNECTION_IDLE;
		end(connection);
	}
	if (all->count == 0)
		event_del(all->timer);
}

/* Whether evhttp takes what comes; else it lets it lie. */
static bool is_read(enum connection_state state)
{
	return state == CONNECTION_READING || state == CONNECTION_IDLE;
}

/* The first octet of a request on a connection that was kept; or more than one that is read can
 * be, such as the length of a chunk without an end. A mark alone would not do there: libevent
 * calls who does not take what lies above it again and again. */
static void on_input(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *argument)
{
	struct connection *connection = argument;

	if (info->n_added > 0 && is_gone(connection))
		bufferevent_disable(connection->stream, EV_READ);
	if (is_read(connection->state) && !connection->ended &&
		evbuffer_get_length(buffer) > CONNECTION_INPUT_MAX)
		end(connection);
	if (info->n_added == 0 || connection->state != CONNECTION_IDLE)
		return;
	connection->state = CONNECTION_READING;
	connection->since_ms = dashboard_mono_ms();
}

static bool can_go(const struct connection *connection)
{
	return !connection->ended && connection->state != CONNECTION_ANSWERING &&
	       connection->state != CONNECTION_STREAMING;
}

/* What it has not taken of its reply. */
static size_t left_of(const struct connection *connection)
{
	size_t left = evbuffer_get_length(bufferevent_get_output(connection->stream));

	if (connection->ended || connection->state != CONNECTION_WRITING)
		return 0;
	return left < connection->owed ? left : connection->owed;
}

/* The one whose reply goes for longest, but for this one; *sum is what all have left. */
static struct connection *find_slowest(
	struct connections *all, const struct connection *but, size_t *sum)
{
	struct connection *slowest = NULL;

	*sum = 0;
	for (size_t i = 0; i < all->count; i++) {
		struct connection *connection = all->open[i];
		size_t left = connection == but ? 0 : left_of(connection);
		*sum += left;
		if (left && (!slowest || connection->since_ms < slowest->since_ms))
			slowest = connection;
	}
	return slowest;
}

static struct connection *find(struct connections *all, const struct bufferevent *stream)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->open[i]->stream == stream)
			return all->open[i];
	return NULL;
}

void connections_owe(struct connections *all, const struct bufferevent *stream, size_t size)
{
	struct connection *own = find(all, stream), *slowest;
	size_t sum;

	while ((slowest = find_slowest(all, own, &sum)) && sum + size > CONNECTIONS_OUTPUT_MAX) {
		all->dashboard->figures.evicted++;
		end(slowest);
	}
	if (own)
		own->owed = size;
}

/* Ends the one that has waited longest, where there are too many. */
static void make_room(struct connections *all)
{
	struct connection *oldest = NULL;
	size_t count = 0;

	if (all->count < CONNECTIONS_MAX)
		return;
	release_gone(all);
	for (size_t i = 0; i < all->count; i++) {
		struct connection *connection = all->open[i];
		count += !connection->ended;
		if (can_go(connection) && (!oldest || connection->since_ms < oldest->since_ms))
			oldest = connection;
	}
	if (count < CONNECTIONS_MAX || !oldest)
		return;
	all->dashboard->figures.evicted++;
	end(oldest);
}

void connections_add(struct connections *all, struct bufferevent *stream)
{
	struct connection *connection = NULL;

	make_room(all);
	if (all->count < sizeof(all->open) / sizeof(all->open[0]))
		connection = calloc(1, sizeof(*connection));
	if (!connection)
		return;
	*connection =
		(struct connection){.all = all, .stream = stream, .since_ms = dashboard_mono_ms()};
	bufferevent_incref(stream);
	evbuffer_add_cb(bufferevent_get_input(stream), on_input, connection);
	all->open[all->count++] = connection;
	all->dashboard->figures.connections = all->count;
	if (!event_pending(all->timer, EV_TIMEOUT, NULL)) {
		const struct timeval each = {0, LOOK_MS * 1000};
		event_add(all->timer, &each);
	}
}

void connections_set(
	struct connections *all, const struct bufferevent *stream, enum connection_state state)
{
	struct connection *connection = find(all, stream);

	if (!connection)
		return;
	connection->state = state;
	connection->since_ms = dashboard_mono_ms();
	connection->owed = 0;
	bufferevent_setwatermark(
		connection->stream, EV_READ, 0, is_read(state) ? 0 : CONNECTION_INPUT_MAX);
}

struct connections *connections_new(struct dashboard *dashboard, struct event_base *base)
{
	struct connections *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->dashboard = dashboard;
	all->timer = event_new(base, -1, EV_PERSIST, on_look, all);
	if (!all->timer) {
		free(all);
		return NULL;
	}
	return all;
}

void connections_free(struct connections *all)
{
	if (!all)
		return;
	while (all->count)
		release(all, all->count - 1);
	event_free(all->timer);
	free(all);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop around one query engine. Two mailboxes, one eventfd: messages of the main thread,
 * letters of other workers. Both clocks are read once for each batch or event, and handed down.
 */
#include "resolver/worker.h"

#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/listen_tcp.h"
#include "resolver/listen_udp.h"
#include "resolver/notify.h"
#include "resolver/telemetry/record.h"

#define TICK_MS 250 /* how long a quiet worker keeps counts to itself, and does not see that servers
			are back */
#define DRAIN_POLL_MS 10
#define LISTENERS_MAX 64
#define TCP_QUERIES_MAX 20000 /* of one connection */

struct worker {
	struct worker_config config;
	struct worker_counters counters;
	pthread_t thread;
	bool started;
	struct event_base *base;
	struct event *wake, *tick, *drain;
	struct event *due;    /* the engine's next */
	int64_t due_armed_us; /* when it will come; INT64_MAX: it will not */
	int wake_fd;
	struct mailbox messages; /* from the main thread */
	struct mailbox letters;  /* from workers */
	struct query_engine *engine;
	struct routes *routes;
	struct udp_batch *batch;
	struct udp_listener *udp[LISTENERS_MAX];
	size_t udp_count;
	struct tcp_server *tcp;
	struct worker_message *stop; /* the message to answer at the end */
	int64_t drain_until_us;
};

static struct now read_clock(void)
{
	struct timespec mono, wall;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct now){.mono_us = mono.tv_sec * US_PER_S + mono.tv_nsec / 1000,
		.wall_us = wall.tv_sec * US_PER_S + wall.tv_nsec / 1000};
}

static int64_t read_mono(void)
{
	struct timespec mono;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	return mono.tv_sec * US_PER_S + mono.tv_nsec / 1000;
}

/* The timer comes no later than the engine wants it; one that comes early is set again then. */
static void arm_due(struct worker *worker, const struct now *now)
{
	int64_t due_us = query_next_due(worker->engine);

	if (due_us >= worker->due_armed_us)
		return;
	int64_t left_us = due_us > now->mono_us ? due_us - now->mono_us : 0;
	struct timeval left = {.tv_sec = left_us / US_PER_S, .tv_usec = left_us % US_PER_S};

	if (event_add(worker->due, &left) == 0)
		worker->due_armed_us = due_us;
}

static void turn(void *context, const struct now *now)
{
	struct worker *worker = context;

	telemetry_turn(worker->config.telemetry, now);
	arm_due(worker, now);
}

static void wake(struct worker *worker)
{
	uint64_t one = 1;
	ssize_t written;

	do
		written = write(worker->wake_fd, &one, sizeof one);
	while (written < 0); /* a counter full of wakes cannot happen: each is read before it counts
				to 2^64 */
}

/* --- the engine's io --- */

static void on_upstream_done(void *context, enum td_error error, const uint8_t *reply, size_t size,
	const struct endpoint *server);

struct pending_ask {
	struct worker *worker;
	struct query_flight *flight;
	struct upstream_request *request;
};

static void *io_ask(void *context, const struct upstream_question *question,
	struct query_flight *flight, enum td_error *error)
{
	struct worker *worker = context;
	struct pending_ask *ask = malloc(sizeof *ask);

	if (!ask) {
		*error = TD_NOMEM;
		return NULL;
	}
	*ask = (struct pending_ask){worker, flight, NULL};
	ask->request = routes_ask(worker->routes, question, on_upstream_done, ask, error);
	if (!ask->request) {
		free(ask);
		return NULL;
	}
	return ask;
}

static void io_cancel(void *context, void *handle)
{
	struct pending_ask *ask = handle;

	(void)context;
	upstream_cancel(ask->request);
	free(ask);
}

static void on_upstream_done(void *context, enum td_error error, const uint8_t *reply, size_t size,
	const struct endpoint *server)
{
	struct pending_ask *ask = context;
	struct worker *worker = ask->worker;
	struct query_flight *flight = ask->flight;
	struct now now = read_clock();

	free(ask);
	query_answered(worker->engine, flight, error, reply, size, server, &now);
	turn(worker, &now);
}

static bool io_unreachable(void *context, const struct upstream_question *question)
{
	const struct worker *worker = context;
	const struct upstream *upstream = routes_upstream(worker->routes, question);

	return upstream && upstream_is_silent(upstream);
}

static enum td_error io_respond(
	void *context, const struct query_client *client, const uint8_t *reply, size_t length)
{
	struct worker *worker = context;

	if (client->path.connection)
		return tcp_server_respond(worker->tcp, client, reply, length);
	if (length == 0)
		return TD_OK;
	return udp_listener_respond(worker->udp[client->path.listener], client, reply, length);
}

static void io_mail(void *context, unsigned to, struct query_letter *letter)
{
	struct worker *worker = context;
	struct worker *peer = worker->config.peers[to];

	if (mailbox_post(&peer->letters, &letter->letter))
		wake(peer);
}

static void on_upstream_packet(void *context, const struct upstream_packet *packet)
{
	struct worker *worker = context;
	struct now now = read_clock();
	struct record_packet record = {
		.kind = packet->reply ? RECORD_UPSTREAM_REPLY : RECORD_UPSTREAM_QUERY,
		.server = *packet->server,
		.tcp = packet->tcp,
		.octets = packet->octets,
		.length = packet->length,
		.duration_us = (uint32_t)packet->took_us};

	telemetry_forwarded(worker->config.telemetry, &record, &now);
}

static size_t io_notify(void *context, const struct query_policy *policy, const uint8_t *packet,
	size_t size, const struct query_client *client, const struct now *now, uint8_t *reply,
	size_t capacity)
{
	struct worker *worker = context;
	enum notify_result result;
	size_t length = notify_answer(policy->notify, worker->config.notifies, packet, size,
		&client->origin.address, (uint64_t)(now->wall_us / US_PER_S), reply, capacity,
		&result);

	worker->counters.notifies += result == NOTIFY_TAKEN;
	worker->counters.notifies_refused += result == NOTIFY_REFUSED;
	return length;
}

static void io_record(void *context, const struct transaction *transaction, const struct now *now)
{
	struct worker *worker = context;

	telemetry_answer(worker->config.telemetry, transaction, now);
}

/* --- letters --- */

/* Without memory for them, none is told. */
static void fill_forwards(const struct worker *worker, struct worker_status *status)
{
	size_t count = routes_servers(worker->routes, NULL, 0);

	free(status->forwards);
	status->forwards = count ? calloc(count, sizeof status->forwards[0]) : NULL;
	status->forward_count =
		status->forwards ? routes_servers(worker->routes, status->forwards, count) : 0;
}

static void fill_status(struct worker *worker, struct worker_status *status)
{
	const struct upstream *upstream = routes_default(worker->routes);

	status->counters = worker->counters;
	status->upstream = routes_counters(worker->routes);
	status->pending = query_pending(worker->engine);
	status->tcp_clients = tcp_server_connections(worker->tcp);
	status->server_count = 0;
	if (upstream) {
		const struct server_state *servers =
			upstream_servers(upstream, &status->server_count);
		memcpy(status->servers, servers, status->server_count * sizeof servers[0]);
	}
	fill_forwards(worker, status);
}

static void begin_stop(struct worker *worker, struct worker_message *message, const struct now *now)
{
	struct timeval poll = {.tv_usec = DRAIN_POLL_MS * 1000};

	worker->stop = message;
	worker->drain_until_us = now->mono_us + worker->config.drain_ms * US_PER_MS;
	query_stop(worker->engine);
	tcp_server_stop(worker->tcp);
	event_add(worker->drain, &poll);
}

/* True when some names have other servers than before. */
static bool set_routes(struct worker *worker, const struct site *site)
{
	struct upstream_config settings = worker->config.upstream;

	settings.timeout_ms = site->upstream_timeout_ms;
	settings.strict = site->upstream_strict;
	settings.hedge = site->upstream_hedge;
	return routes_set(worker->routes, site->routes, &settings);
}

static void obey(struct worker *worker, struct worker_message *message, const struct now *now)
{
	switch (message->request) {
	case WORKER_SET_POLICY:
		query_set_policy(worker->engine, message->policy);
		if (set_routes(worker, message->policy->site))
			query_upstream_changed(worker->engine, now);
		if (message->identity)
			telemetry_set_identity(worker->config.telemetry, message->identity);
		break;
	case WORKER_STATUS:
		fill_status(worker, &message->status);
		break;
	case WORKER_LEARN:
		query_learn(worker->engine, message->name, message->type, now);
		break;
	case WORKER_STOP:
		begin_stop(worker, message, now);
		return;
	}
	worker->config.reply(worker->config.reply_context, message);
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
	struct worker *worker = context;
	struct now now = read_clock();
	struct letter *letter, *next;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) < 0)
		return;
	for (letter = mailbox_take(&worker->letters); letter; letter = next) {
		next = letter->next;
		query_receive(worker->engine, (struct query_letter *)letter, &now);
	}
	for (letter = mailbox_take(&worker->messages); letter; letter = next) {
		next = letter->next;
		obey(worker, (struct worker_message *)letter, &now);
	}
	turn(worker, &now);
}

static void on_tick(evutil_socket_t fd, short what, void *context)
{
	struct worker *worker = context;
	struct now now = read_clock();

	(void)fd;
	(void)what;
	routes_sweep(worker->routes);
	if (routes_came_back(worker->routes))
		query_upstream_back(worker->engine, &now);
	turn(worker, &now);
}

static void on_due(evutil_socket_t fd, short what, void *context)
{
	struct worker *worker = context;
	struct now now = read_clock();

	(void)fd;
	(void)what;
	worker->due_armed_us = INT64_MAX;
	query_tick(worker->engine, &now);
	turn(worker, &now);
}

static void on_drain(evutil_socket_t fd, short what, void *context)
{
	struct worker *worker = context;
	struct now now = read_clock();

	(void)fd;
	(void)what;
	bool done = query_pending(worker->engine) == 0 && !tcp_server_unsent(worker->tcp);
	if (done || now.mono_us >= worker->drain_until_us)
		event_base_loopbreak(worker->base);
}

/* --- life --- */

/*
 * Whoever asks after this is told at once by the system that nobody listens. Left open until all is
 * flushed, the sockets would take queries that nobody reads.
 */
static void close_listeners(struct worker *worker)
{
	for (size_t i = 0; i < worker->udp_count; i++)
		udp_listener_free(worker->udp[i]);
	worker->udp_count = 0;
	tcp_server_free(worker->tcp);
	worker->tcp = NULL;
}

static void *worker_main(void *context)
{
	struct worker *worker = context;
	struct timeval tick = {.tv_usec = TICK_MS * 1000};
	char name[16];

	snprintf(name, sizeof name, "worker-%u", worker->config.index % 100);
	pthread_setname_np(pthread_self(), name);
	event_add(worker->wake, NULL);
	event_add(worker->tick, &tick);
	event_base_dispatch(worker->base);
	for (size_t i = 0; i < worker->udp_count; i++)
		udp_listener_drain(worker->udp[i]);
	struct now now = read_clock();
	telemetry_flush(worker->config.telemetry, &now);
	if (!worker->stop)
		return NULL;
	fill_status(worker, &worker->stop->status);
	close_listeners(worker);
	worker->config.reply(worker->config.reply_context, worker->stop);
	return NULL;
}

static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

static bool open_engine(struct worker *worker)
{
	struct query_config query = worker->config.query;

	query.worker = worker->config.index;
	query.cache = worker->config.cache;
	query.counters = &worker->counters;
	query.io = (struct query_io){.context = worker,
		.ask = io_ask,
		.cancel = io_cancel,
		.unreachable = io_unreachable,
		.respond = io_respond,
		.mail = io_mail,
		.notify = io_notify,
		.record = io_record};
	worker->engine = query_engine_new(&query);
	if (worker->config.tap) {
		worker->config.upstream.tap = on_upstream_packet;
		worker->config.upstream.tap_context = worker;
	}
	worker->routes = routes_new(worker->base, &worker->config.upstream);
	if (!worker->engine || !worker->routes)
		return false;
	query_set_policy(worker->engine, worker->config.policy);
	set_routes(worker, worker->config.policy->site);
	return true;
}

static bool open_listeners(
	struct worker *worker, struct listen_socket *sockets, size_t address_count)
{
	struct tcp_server_config tcp = {.base = worker->base,
		.engine = worker->engine,
		.counters = &worker->counters,
		.connections_max = worker->config.tcp_connections_max,
		.connections_per_client_max = worker->config.tcp_connections_per_client_max,
		.queries_max = TCP_QUERIES_MAX,
		.idle_timeout_ms = worker->config.tcp_idle_timeout_ms,
		.seed = worker->config.query.seed,
		.clock = read_clock,
		.mono = read_mono,
		.turn = turn,
		.turn_context = worker};
	struct udp_listener_config udp = {.base = worker->base,
		.engine = worker->engine,
		.counters = &worker->counters,
		.clock = read_clock,
		.mono = read_mono,
		.turn = turn,
		.turn_context = worker};

	worker->batch = udp_batch_new();
	worker->tcp = tcp_server_new(&tcp);
	if (!worker->batch || !worker->tcp || address_count > LISTENERS_MAX)
		return false;
	udp.batch = worker->batch;
	for (size_t i = 0; i < address_count; i++) {
		udp.index = (unsigned)i;
		worker->udp[i] = udp_listener_new(&udp, &sockets[i]);
		if (!worker->udp[i])
			return false;
		worker->udp_count++;
		if (tcp_server_listen(worker->tcp, &sockets[i]) != TD_OK)
			return false;
	}
	return true;
}

struct worker *worker_new(
	const struct worker_config *config, struct listen_socket *sockets, size_t address_count)
{
	struct worker *worker = calloc(1, sizeof *worker);

	if (!worker)
		return NULL;
	worker->config = *config;
	mailbox_init(&worker->messages);
	mailbox_init(&worker->letters);
	worker->wake_fd = eventfd(0, EFD_CLOEXEC);
	worker->base = base_new();
	if (worker->wake_fd >= 0 && worker->base) {
		worker->wake = event_new(
			worker->base, worker->wake_fd, EV_READ | EV_PERSIST, on_wake, worker);
		worker->tick = event_new(worker->base, -1, EV_PERSIST, on_tick, worker);
		worker->drain = event_new(worker->base, -1, EV_PERSIST, on_drain, worker);
		worker->due = event_new(worker->base, -1, 0, on_due, worker);
		worker->due_armed_us = INT64_MAX;
	}
	if (!worker->wake || !worker->tick || !worker->drain || !worker->due || !open_engine(worker) ||
		!open_listeners(worker, sockets, address_count)) {
		log_error("worker %u: not enough memory or file descriptors", config->index);
		worker_free(worker);
		return NULL;
	}
	return worker;
}

enum td_error worker_start(struct worker *worker)
{
	worker->started = pthread_create(&worker->thread, NULL, worker_main, worker) == 0;
	return worker->started ? TD_OK : TD_NOMEM;
}

void worker_post(struct worker *worker, struct worker_message *message)
{
	message->worker = worker->config.index;
	if (mailbox_post(&worker->messages, &message->letter))
		wake(worker);
}

static void discard_letters(struct worker *worker)
{
	struct letter *next;

	for (struct letter *letter = mailbox_take(&worker->letters); letter; letter = next) {
		next = letter->next;
		free(((struct query_letter *)letter)->answer);
		free(letter);
	}
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	if (worker->started)
		pthread_join(worker->thread, NULL);
	discard_letters(worker);
	query_engine_free(worker->engine);
	routes_free(worker->routes);
	close_listeners(worker);
	udp_batch_free(worker->batch);
	if (worker->wake)
		event_free(worker->wake);
	if (worker->tick)
		event_free(worker->tick);
	if (worker->drain)
		event_free(worker->drain);
	if (worker->due)
		event_free(worker->due);
	if (worker->base)
		event_base_free(worker->base);
	if (worker->wake_fd >= 0)
		close(worker->wake_fd);
	free(worker);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A timer of the loop submits one job a second to a pool of one thread, if the last one is done;
 * what it wrote goes to all streams. So nothing is shared and nothing locked. A Redis that hangs
 * makes overviews come late, and a comment in between tells each client (and the kernel) that the
 * stream is alive.
 *
 * A stream whose client went away is found when evhttp has taken the request off its connection;
 * one that does not read, by what waits in its buffer.
 */
#include "resolver/control/dashboard/live.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/control/dashboard/context.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/exchange.h"
#include "resolver/control/dashboard/pool.h"

#define CHECK_MS 5000     /* how long a stream may outlive its session */
#define HEARTBEAT_MS 3000 /* of silence, then a comment */

struct live {
	struct pool_job job; /* first: there is one */
	struct dashboard *dashboard;
	live_may_follow_fn *may_follow;
	void *context;
	int64_t checked_ms; /* monotonic: when that was asked for all streams */
	struct pool *pool;
	struct event *timer, *done;
	bool alone;    /* nobody has listened since the last job */
	bool building; /* the job is with the pool, which has what follows */
	bool anew;     /* events from now on only */
	struct strbuf next, events;

	struct strbuf overview; /* as it was told last; "" before the first */
	int64_t built_ms;       /* monotonic: when that was */
	int64_t sent_ms;        /* monotonic: when all were told something */
	size_t count;
	struct evhttp_request *streams[LIVE_STREAMS_MAX];
};

/* --- the thread --- */

struct sampler {
	struct api_context *context;
	struct live_events *events;
};

static void end_sampler(void *own)
{
	struct sampler *sampler = own;

	if (!sampler)
		return;
	api_context_free(sampler->context);
	live_events_free(sampler->events);
	free(sampler);
}

static void *start_sampler(void *shared)
{
	struct sampler *sampler = calloc(1, sizeof(*sampler));

	if (!sampler)
		return NULL;
	sampler->context = api_context_new(shared);
	sampler->events = live_events_new();
	if (sampler->context && sampler->events)
		return sampler;
	end_sampler(sampler);
	return NULL;
}

/* What came while nobody listened is not new to who does now. False: out of memory. */
static bool find_place(struct sampler *sampler, bool anew)
{
	if (anew) {
		live_events_free(sampler->events);
		sampler->events = live_events_new();
	}
	return sampler->events != NULL;
}

/* A line each for the name of the event and its data: JSON of ours has no line ends but the last.
 */
static void append_overview(struct strbuf *out, struct strbuf *object)
{
	while (object->length && object->data[object->length - 1] == '\n')
		object->data[--object->length] = '\0';
	if (object->failed || !object->length || memchr(object->data, '\n', object->length))
		return;
	strbuf_append_text(out, "event: overview\ndata: ");
	strbuf_append(out, object->data, object->length);
	strbuf_append_text(out, "\n\n");
}

static void sample(void *own, struct pool_job *job)
{
	struct sampler *sampler = own;
	struct live *live = (struct live *)job;
	struct api_reply reply;

	strbuf_clear(&live->next);
	strbuf_clear(&live->events);
	if (!sampler || !api_context_begin(sampler->context, &reply))
		return;
	live_build(sampler->context, &reply);
	if (reply.status == 200)
		append_overview(&live->next, &reply.body);
	strbuf_deinit(&reply.body);
	if (api_context_begin(sampler->context, &reply) && find_place(sampler, live->anew))
		live_read_events(sampler->events, sampler->context, &live->events);
	strbuf_deinit(&reply.body);
}

/* --- the loop --- */

static void forget(struct live *live, size_t i)
{
	live->streams[i] = live->streams[--live->count];
	live->dashboard->figures.streams = live->count;
}

static size_t unread(struct evhttp_request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);

	return evbuffer_get_length(
		bufferevent_get_output(evhttp_connection_get_bufferevent(connection)));
}

/* evhttp frees a request that has lost its connection when it is ended. */
static void end_stream(struct live *live, size_t i)
{
	struct evhttp_request *request = live->streams[i];
	struct evhttp_connection *connection = evhttp_request_get_connection(request);

	forget(live, i);
	if (connection)
		evhttp_connection_free(connection);
	else
		evhttp_send_reply_end(request);
}

static void send_text(struct evhttp_request *request, const char *text, size_t size)
{
	struct evbuffer *chunk = evbuffer_new();

	if (!chunk)
		return;
	evbuffer_add(chunk, text, size);
	evhttp_send_reply_chunk(request, chunk);
	evbuffer_free(chunk);
}

static void tell_all(struct live *live, const char *text, size_t size)
{
	live->sent_ms = dashboard_mono_ms();
	for (size_t i = 0; i < live->count; i++)
		send_text(live->streams[i], text, size);
}

static bool goes_on(struct live *live, struct evhttp_request *request, bool check)
{
	if (!evhttp_request_get_connection(request))
		return false;
	if (unread(request) > LIVE_UNREAD_MAX) {
		live->dashboard->figures.streams_dropped++;
		return false;
	}
	return !check || live->may_follow(live->context, request);
}

/* Once a second, before anything is told. */
static void drop_some(struct live *live)
{
	int64_t now_ms = dashboard_mono_ms();
	bool check = now_ms - live->checked_ms >= CHECK_MS;

	if (check)
		live->checked_ms = now_ms;
	for (size_t i = live->count; i-- > 0;)
		if (!goes_on(live, live->streams[i], check))
			end_stream(live, i);
}

static void submit(struct live *live)
{
	if (live->building)
		return;
	live->anew = live->alone;
	live->alone = false;
	live->building = pool_submit(live->pool, &live->job);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct live *live = argument;

	(void)fd;
	(void)what;
	drop_some(live);
	if (dashboard_mono_ms() - live->sent_ms > HEARTBEAT_MS)
		tell_all(live, ": alive\n\n", 9);
	if (live->count > 0) {
		submit(live);
		return;
	}
	live->alone = true;
	event_del(live->timer);
}

static void on_done(evutil_socket_t fd, short what, void *argument)
{
	struct live *live = argument;

	(void)fd;
	(void)what;
	if (!pool_collect(live->pool))
		return;
	live->building = false;
	if (!live->next.failed && live->next.length) {
		const struct strbuf before = live->overview;
		live->overview = live->next;
		live->next = before;
		live->built_ms = dashboard_mono_ms();
		tell_all(live, live->overview.data, live->overview.length);
	}
	if (!live->events.failed && live->events.length)
		tell_all(live, live->events.data, live->events.length);
}

/* What was told a moment ago; so that a crowd of pages that open costs no more than one. */
static void greet(struct live *live, struct evhttp_request *request)
{
	send_text(request, "retry: 2000\n\n", 13);
	if (live->built_ms && dashboard_mono_ms() - live->built_ms <= LIVE_EVERY_MS)
		send_text(request, live->overview.data, live->overview.length);
	else
		submit(live);
}

static void add_headers(struct evhttp_request *request)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

	exchange_add_headers(request);
	evhttp_add_header(headers, "Content-Type", "text/event-stream");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Accel-Buffering", "no");
}

void live_send_head(struct evhttp_request *request)
{
	add_headers(request);
	evhttp_send_reply(request, 200, NULL, NULL);
}

bool live_follow(struct live *live, struct evhttp_request *request)
{
	const struct timeval every = {LIVE_EVERY_MS / 1000, LIVE_EVERY_MS % 1000 * 1000};

	for (size_t i = live->count; i-- > 0;)
		if (!evhttp_request_get_connection(live->streams[i]))
			end_stream(live, i);
	if (live->count == LIVE_STREAMS_MAX) {
		live->dashboard->figures.streams_refused++;
		return false;
	}
	add_headers(request);
	evhttp_send_reply_start(request, 200, NULL);
	greet(live, request);
	live->streams[live->count++] = request;
	live->dashboard->figures.streams = live->count;
	if (!event_pending(live->timer, EV_TIMEOUT, NULL)) {
		live->sent_ms = dashboard_mono_ms();
		event_add(live->timer, &every);
	}
	return true;
}

/* --- life --- */

struct live *live_new(struct dashboard *dashboard, struct event_base *base,
	live_may_follow_fn *may_follow, void *context)
{
	const struct pool_work work = {dashboard, start_sampler, sample, end_sampler};
	struct live *live = calloc(1, sizeof(*live));

	if (!live)
		return NULL;
	live->dashboard = dashboard;
	live->may_follow = may_follow;
	live->context = context;
	strbuf_init(&live->next);
	strbuf_init(&live->events);
	strbuf_init(&live->overview);
	live->pool = pool_new(&work, 1, 1);
	live->timer = event_new(base, -1, EV_PERSIST, on_timer, live);
	if (live->pool)
		live->done = event_new(
			base, pool_descriptor(live->pool), EV_READ | EV_PERSIST, on_done, live);
	if (!live->done || !live->timer || event_add(live->done, NULL) != 0)
		live_stop(&live, 1000);
	return live;
}

bool live_stop(struct live **live, int timeout_ms)
{
	struct live *stopped = *live;
	struct pool_job *left;

	*live = NULL;
	if (!stopped)
		return true;
	if (stopped->done)
		event_free(stopped->done);
	if (stopped->timer)
		event_free(stopped->timer);
	for (size_t i = stopped->count; i-- > 0;)
		if (!evhttp_request_get_connection(stopped->streams[i]))
			end_stream(stopped, i);
	if (!pool_stop(&stopped->pool, timeout_ms, &left))
		return false;
	strbuf_deinit(&stopped->next);
	strbuf_deinit(&stopped->events);
	strbuf_deinit(&stopped->overview);
	free(stopped);
	return true;
}

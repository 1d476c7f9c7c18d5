/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a request that evhttp has read to the one who answers it. The order is fixed: what is
 * refused for its form, then for the Host it was meant for, then the route, then who may, and only
 * then anything that costs.
 *
 * evhttp keeps a request whose client went away until it is answered, and then drops the reply; so
 * the pool's work is never interrupted and nothing has to be called back.
 */
#include "resolver/control/dashboard/http.h"

#include <netinet/tcp.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/queue.h>

#include "lib/base/log.h"
#include "resolver/control/dashboard/assets.h"
#include "resolver/control/dashboard/connections.h"
#include "resolver/control/dashboard/context.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/exchange.h"
#include "resolver/control/dashboard/host.h"
#include "resolver/control/dashboard/live.h"
#include "resolver/control/dashboard/secure.h"
#include "resolver/control/dashboard/session.h"

#define HEADERS_MAX 16384
#define BODY_MAX (8 * API_BODY_MAX) /* from here on evhttp refuses, in words of its own */
#define TIMEOUT_S 90 /* of one read or write; connections.h has the ones that count */

struct http {
	struct dashboard *dashboard;
	struct event_base *base;
	struct evhttp *server;
	struct pool *pool;
	struct event *done;          /* the pool has something */
	struct api_context *context; /* of what is answered in the loop */
	struct connections *connections;
	struct secure *secure; /* NULL: no TLS */
};

/* --- the pool's threads --- */

static void *start_thread(void *shared)
{
	return api_context_new(shared);
}

static void run_job(void *own, struct pool_job *job)
{
	struct exchange *exchange = (struct exchange *)job;

	strbuf_init(&exchange->reply.body);
	if (own && api_context_begin(own, &exchange->reply))
		exchange_answer(exchange, own);
	else
		api_fail(&exchange->reply, 500, "out of memory");
}

static void end_thread(void *own)
{
	api_context_free(own);
}

/* --- connections --- */

static struct bufferevent *open_stream(struct event_base *base, void *argument)
{
	struct http *http = argument;
	struct bufferevent *stream =
		http->secure ? secure_stream(http->secure, base)
			     : bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	if (stream)
		connections_add(http->connections, stream);
	return stream;
}

/* NULL: the client has gone. */
static struct bufferevent *stream_of(struct evhttp_request *request)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);

	return connection ? evhttp_connection_get_bufferevent(connection) : NULL;
}

static void set_state(
	struct http *http, struct evhttp_request *request, enum connection_state state)
{
	struct bufferevent *stream = stream_of(request);

	if (stream)
		connections_set(http->connections, stream, state);
}

/* The reply has gone; the next request may have begun behind the last one. */
static void on_complete(struct evhttp_request *request, void *argument)
{
	struct bufferevent *stream = stream_of(request);

	if (stream)
		set_state(argument, request,
			evbuffer_get_length(bufferevent_get_input(stream)) ? CONNECTION_READING
									   : CONNECTION_IDLE);
}

/* --- replies --- */

/* Before each reply. */
static void count(struct http *http, struct evhttp_request *request, int status)
{
	struct dashboard_figures *figures = &http->dashboard->figures;

	set_state(http, request, CONNECTION_WRITING);
	evhttp_request_set_on_complete_cb(request, on_complete, http);
	figures->requests++;
	if ((status >= 400 && status < 500) || status == 503)
		figures->refused++;
}

static void refuse(struct http *http, struct evhttp_request *request, int status, const char *words)
{
	count(http, request, status);
	exchange_send_problem(request, status, words);
}

static void send_exchange(struct exchange *exchange)
{
	struct bufferevent *stream = stream_of(exchange->http_request);

	count(exchange->http, exchange->http_request, exchange->reply.status);
	if (stream)
		connections_owe(exchange->http->connections, stream, exchange_size(exchange));
	exchange_send(exchange);
	exchange_free(exchange);
}

static void on_done(evutil_socket_t fd, short what, void *argument)
{
	struct http *http = argument;

	(void)fd;
	(void)what;
	for (struct pool_job *job = pool_collect(http->pool), *next; job; job = next) {
		next = job->next;
		send_exchange((struct exchange *)job);
	}
}

/* --- requests --- */

static const char *header(struct evhttp_request *request, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(request), name);
}

static size_t count_headers(struct evhttp_request *request, const char *name)
{
	size_t found = 0;

	for (struct evkeyval *at = evhttp_request_get_input_headers(request)->tqh_first; at;
		at = at->next.tqe_next)
		found += strcasecmp(at->key, name) == 0;
	return found;
}

static evutil_socket_t socket_of(struct evhttp_request *request)
{
	return bufferevent_getfd(stream_of(request));
}

static bool endpoint_of(evutil_socket_t fd, bool peer, struct endpoint *out)
{
	struct sockaddr_storage storage;
	socklen_t length = sizeof(storage);
	struct sockaddr *address = (struct sockaddr *)&storage;

	if (fd < 0 ||
		(peer ? getpeername(fd, address, &length) : getsockname(fd, address, &length)) != 0)
		return false;
	return endpoint_from_sockaddr(out, address);
}

/* Whoever stands in front of us might see the end of such a request elsewhere than we do, and take
 * what is left for somebody else's: evhttp does not read the body of a HEAD, nor one in a coding
 * that it does not know. */
static bool is_end_in_doubt(struct evhttp_request *request)
{
	const char *coding = header(request, "Transfer-Encoding");
	size_t said = count_headers(request, "Content-Length") +
		      count_headers(request, "Transfer-Encoding");

	return said > 1 || (coding && strcasecmp(coding, "chunked") != 0) ||
	       (said && evhttp_request_get_command(request) == EVHTTP_REQ_HEAD);
}

/* cookie: room for the one that came. */
static int check_session(struct http *http, struct evhttp_request *request,
	const struct route *route, char cookie[ACCESS_ID_TEXT_SIZE], const char **words)
{
	struct endpoint peer = {.port = 0};
	char from[ADDRESS_TEXT_MAX];

	endpoint_of(socket_of(request), true, &peer);
	access_cookie_id(sessions_access(http->dashboard), header(request, "Cookie"), cookie);
	const struct session_question question = {
		.method = route->method,
		.path = route->path,
		.cookie = cookie,
		.csrf = header(request, "X-CSRF-Token"),
		.origin = header(request, "Origin"),
		.referer = header(request, "Referer"),
		.fetch_site = header(request, "Sec-Fetch-Site"),
		.content_type = header(request, "Content-Type"),
		.host = header(request, "Host"),
		.from = address_to_text(&peer.address, from),
		.from_loopback = host_is_loopback(&peer.address),
		.changes = route->flags & ROUTE_CHANGES,
		.open = route->flags & ROUTE_OPEN,
		.open_local = route->flags & ROUTE_LOCAL,
	};

	return session_check(http->dashboard, &question, words);
}

/* What a handler sees of the request. */
static void fill_request(struct exchange *exchange, struct evhttp_request *request)
{
	struct evbuffer *body = evhttp_request_get_input_buffer(request);
	ev_ssize_t size = evbuffer_copyout(body, exchange->body, API_BODY_MAX);

	memcpy(exchange->request.parameters, exchange->target.parameters,
		sizeof(exchange->request.parameters));
	exchange->request.parameter_count = exchange->target.parameter_count;
	exchange->request.body = exchange->body;
	exchange->request.body_size = size > 0 ? (size_t)size : 0;
	exchange->body[exchange->request.body_size] = '\0';
	exchange->request.from = exchange->from;
	exchange->request.cookie = exchange->cookie;
	exchange->takes_gzip = exchange_takes_gzip(request);
}

/* Answered: the exchange is gone, or with the pool. */
static void answer(struct http *http, struct evhttp_request *request, struct exchange *exchange)
{
	fill_request(exchange, request);
	if (exchange->route->flags & ROUTE_INLINE) {
		run_job(http->context, &exchange->job);
		send_exchange(exchange);
		return;
	}
	set_state(http, request, CONNECTION_ANSWERING);
	if (pool_submit(http->pool, &exchange->job))
		return;
	exchange_free(exchange);
	http->dashboard->figures.overloaded++;
	refuse(http, request, 503, "too many requests wait already");
}

static void follow(struct http *http, struct evhttp_request *request)
{
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD) {
		count(http, request, 200);
		live_send_head(request);
		return;
	}
	set_state(http, request, CONNECTION_STREAMING);
	if (live_follow(http->dashboard->live, request))
		http->dashboard->figures.requests++;
	else
		refuse(http, request, 503, "too many pages follow already");
}

/* A file of the page, whatever the route says: its name has a dot, and pages and the API have none
 * in their first part. */
static const struct asset *find_asset(const struct target *target)
{
	return target->segment_count == 1 ? assets_find(target->segments[0]) : NULL;
}

static void send_asset(struct http *http, struct evhttp_request *request, const struct asset *asset)
{
	const char *method = exchange_method(request);

	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
		refuse(http, request, 405, "this address takes GET and HEAD");
		return;
	}
	count(http, request, 200);
	exchange_send_asset(request, asset);
}

/* The route, or NULL after a reply that says why there is none. */
static const struct route *find_route(
	struct http *http, struct evhttp_request *request, struct exchange *exchange)
{
	char allowed[64], words[API_VALUE_MAX + 64];
	const struct route *route = route_find(
		&exchange->target, exchange_method(request), exchange->request.parts, allowed);

	if (!route && !*allowed) {
		refuse(http, request, 404, "there is nothing at this address");
		return NULL;
	}
	if (!route) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", allowed);
		snprintf(words, sizeof(words), "this address takes %s", allowed);
		refuse(http, request, 405, words);
		return NULL;
	}
	const char *stranger = route->asset ? NULL : route_stranger(route, &exchange->target);
	if (stranger) {
		snprintf(words, sizeof(words), "%s: there is no parameter of this name here",
			stranger);
		refuse(http, request, 400, words);
		return NULL;
	}
	return route;
}

/* True: go on. False: it was answered, and the exchange can be freed. */
static bool prepare(struct http *http, struct evhttp_request *request, struct exchange *exchange)
{
	struct endpoint peer = {.port = 0}, own = {.port = 0};
	const char *words;

	if (is_end_in_doubt(request)) {
		evhttp_add_header(
			evhttp_request_get_output_headers(request), "Connection", "close");
		refuse(http, request, 400,
			"where the request ends is said twice, or in a way that is not known here");
		return false;
	}
	if (!target_parse(&exchange->target, evhttp_request_get_uri(request), &words)) {
		refuse(http, request, 400, words);
		return false;
	}
	endpoint_of(socket_of(request), true, &peer);
	endpoint_of(socket_of(request), false, &own);
	address_to_text(&peer.address, exchange->from);
	if (evbuffer_get_length(evhttp_request_get_input_buffer(request)) > API_BODY_MAX) {
		refuse(http, request, 413, "the body of a request has 8192 octets at most");
		return false;
	}
	if (count_headers(request, "Host") != 1) {
		refuse(http, request, 400, "a request has one Host header");
		return false;
	}
	struct dashboard_options *held = dashboard_options_hold(http->dashboard);
	bool ours =
		host_is_ours(held->options, header(request, "Host"), &own, http->dashboard->tls);
	dashboard_options_drop(held);
	if (!ours) {
		refuse(http, request, 421,
			"the dashboard is not called by this name: add it to dashboard-hosts");
		return false;
	}
	const struct asset *asset = find_asset(&exchange->target);
	if (asset) {
		send_asset(http, request, asset);
		return false;
	}
	exchange->route = find_route(http, request, exchange);
	if (!exchange->route)
		return false;
	int status = check_session(http, request, exchange->route, exchange->cookie, &words);
	if (status)
		refuse(http, request, status, words);
	return status == 0;
}

static void on_request(struct evhttp_request *request, void *argument)
{
	struct http *http = argument;
	struct exchange *exchange;

	if (!exchange_method(request)) {
		refuse(http, request, 405, "this method is not known here");
		return;
	}
	exchange = calloc(1, sizeof(*exchange));
	if (!exchange) {
		refuse(http, request, 503, "out of memory");
		return;
	}
	exchange->http = http;
	exchange->http_request = request;
	if (!prepare(http, request, exchange)) {
		exchange_free(exchange);
	} else if (exchange->route->asset) {
		send_asset(http, request, assets_find(exchange->route->asset));
		exchange_free(exchange);
	} else if (exchange->route->flags & ROUTE_STREAM) {
		exchange_free(exchange);
		follow(http, request);
	} else {
		answer(http, request, exchange);
	}
}

/* Whether a stream may go on: its session may have ended. */
static bool may_follow(void *context, struct evhttp_request *request)
{
	static const struct route route = {.method = "GET", .path = "/api/v1/live"};
	char cookie[ACCESS_ID_TEXT_SIZE];
	const char *words;

	return check_session(context, request, &route, cookie, &words) == 0;
}

/* --- listening --- */

static bool listen_on(struct http *http, const struct endpoint *endpoint)
{
	struct sockaddr_storage address;
	socklen_t length = endpoint_to_sockaddr(endpoint, &address);
	char text[ENDPOINT_TEXT_MAX];
	unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE;

	if (endpoint->address.family == ADDRESS_V6)
		flags |= LEV_OPT_BIND_IPV6ONLY;
	struct evconnlistener *listener = evconnlistener_new_bind(
		http->base, NULL, NULL, flags, 128, (struct sockaddr *)&address, (int)length);
	/* Connections inherit it. Else the last part of an answer waits for the other end's delayed
	 * acknowledgement of what came before: 40 ms. */
	if (listener)
		setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &(int){1},
			sizeof(int));
	if (listener && evhttp_bind_listener(http->server, listener))
		return true;
	log_error("cannot listen on %s: %s; dashboard-listen says where the dashboard is open",
		endpoint_to_text(endpoint, text),
		evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	if (listener)
		evconnlistener_free(listener);
	return false;
}

static void set_up_server(struct http *http)
{
	evhttp_set_gencb(http->server, on_request, http);
	evhttp_set_bevcb(http->server, open_stream, http);
	evhttp_set_max_headers_size(http->server, HEADERS_MAX);
	evhttp_set_max_body_size(http->server, BODY_MAX);
	evhttp_set_timeout(http->server, TIMEOUT_S);
	evhttp_set_default_content_type(http->server, NULL);
	evhttp_set_allowed_methods(http->server,
		EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_DELETE |
			EVHTTP_REQ_PUT | EVHTTP_REQ_PATCH | EVHTTP_REQ_OPTIONS);
}

/* Of the configuration; *fine is false when there is one and it cannot be used. */
static struct secure *make_secure(const struct options *options, bool *fine)
{
	char why[512];

	*fine = true;
	if (!options->dashboard_certificate[0])
		return NULL;
	struct secure *secure = secure_new(
		options->dashboard_certificate, options->dashboard_key, why, sizeof(why));
	if (!secure)
		log_error("%s", why);
	*fine = secure != NULL;
	return secure;
}

static bool start(struct http *http)
{
	const struct pool_work work = {http->dashboard, start_thread, run_job, end_thread};
	const struct options *options = http->dashboard->options->options;
	bool fine;

	http->secure = make_secure(options, &fine);
	if (!fine)
		return false;
	http->dashboard->tls = http->secure != NULL;
	http->connections = connections_new(http->dashboard, http->base);
	http->context = api_context_new(http->dashboard);
	http->server = evhttp_new(http->base);
	http->pool = pool_new(&work, HTTP_THREADS, HTTP_WAITING_MAX);
	if (http->connections)
		http->dashboard->live = live_new(http->dashboard, http->base, may_follow, http);
	if (!http->context || !http->server || !http->pool || !http->dashboard->live) {
		log_error("the dashboard cannot start: out of memory or threads");
		return false;
	}
	http->done = event_new(
		http->base, pool_descriptor(http->pool), EV_READ | EV_PERSIST, on_done, http);
	if (!http->done || event_add(http->done, NULL) != 0)
		return false;
	set_up_server(http);
	for (size_t i = 0; i < options->dashboard_listen_count; i++)
		if (!listen_on(http, &options->dashboard_listen[i]))
			return false;
	return true;
}

struct http *http_new(struct dashboard *dashboard, struct event_base *base)
{
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return NULL;
	http->dashboard = dashboard;
	http->base = base;
	if (!start(http))
		http_stop(&http, 1000);
	return http;
}

void http_reload(struct http *http, const struct options *options)
{
	bool fine;
	struct secure *secure = make_secure(options, &fine);

	if (!fine || (secure != NULL) != (http->secure != NULL)) {
		log_warning("the certificate in use stays%s",
			fine ? ": to begin or to end with TLS takes a restart of the dashboard"
			     : "");
		secure_free(secure);
		return;
	}
	secure_free(http->secure);
	http->secure = secure;
}

/* Requests that will not be answered: evhttp frees those whose client is still there. */
static void forget_jobs(struct pool_job *left)
{
	for (struct pool_job *job = left, *next; job; job = next) {
		struct exchange *exchange = (struct exchange *)job;
		next = job->next;
		if (!evhttp_request_get_connection(exchange->http_request))
			evhttp_request_free(exchange->http_request);
		exchange_free(exchange);
	}
}

bool http_stop(struct http **http, int timeout_ms)
{
	struct http *stopped = *http;
	struct pool_job *left;

	*http = NULL;
	if (!stopped)
		return true;
	if (stopped->done)
		event_free(stopped->done);
	int64_t begin_ms = dashboard_mono_ms();
	bool ended = pool_stop(&stopped->pool, timeout_ms, &left);
	forget_jobs(left);
	int left_ms = timeout_ms - (int)(dashboard_mono_ms() - begin_ms);
	ended = live_stop(&stopped->dashboard->live, left_ms > 0 ? left_ms : 0) && ended;
	if (!ended)
		return false;
	if (stopped->server)
		evhttp_free(stopped->server);
	connections_free(stopped->connections);
	secure_free(stopped->secure);
	api_context_free(stopped->context);
	free(stopped);
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams in one process: an overview that is larger than what may wait, for a client that reads
 * and for one that does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/bufferevent.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "resolver/control/dashboard/connections.h"
#include "resolver/control/dashboard/dashboard.h"
#include "resolver/control/dashboard/live.h"

#define OVERVIEW_SIZE (8 << 20) /* more than the kernel takes for a client that does not read */
#define DEADLINE_MS 20000
#define KERNEL_MAX (128 << 20) /* octets: more than both ends of a connection keep for it */

static atomic_bool hanging;
static atomic_int overview_size;
static atomic_int places; /* where events begin, so far */

/* In place of the real ones. */
void live_build(struct api_context *context, struct api_reply *reply)
{
	(void)context;
	while (hanging)
		usleep(1000);
	strbuf_append_char(&reply->body, '{');
	for (int i = 0; i < overview_size / 16; i++)
		strbuf_append_text(&reply->body, "0123456789abcdef");
	strbuf_append_text(&reply->body, "}\n");
}

struct live_events *live_events_new(void)
{
	places++;
	return malloc(1);
}

void live_events_free(struct live_events *events)
{
	free(events);
}

void live_read_events(struct live_events *events, struct api_context *context, struct strbuf *out)
{
	(void)events;
	(void)context;
	strbuf_append_text(out, "event: event\ndata: {}\n\n");
}

static struct dashboard shared;
static struct event_base *base;
static struct evhttp *server;
static struct connections *connections;
static uint16_t port;

static struct bufferevent *open_stream(struct event_base *of, void *argument)
{
	struct bufferevent *stream = bufferevent_socket_new(of, -1, BEV_OPT_CLOSE_ON_FREE);

	(void)argument;
	connections_add(connections, stream);
	return stream;
}

static void on_request(struct evhttp_request *request, void *argument)
{
	(void)argument;
	connections_set(connections,
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(request)),
		CONNECTION_STREAMING);
	assert_true(live_follow(shared.live, request));
}

static bool may_follow(void *context, struct evhttp_request *request)
{
	(void)context;
	return request != NULL;
}

static int set_up(void **state)
{
	struct sockaddr_in address;
	socklen_t size = sizeof(address);
	(void)state;

	signal(SIGPIPE, SIG_IGN);
	shared.options = calloc(1, sizeof(*shared.options));
	shared.options->options = options_load_without_passwords("/dev/null");
	shared.options->holders = 1;
	pthread_mutex_init(&shared.options_mutex, NULL);
	pthread_mutex_init(&shared.gate.mutex, NULL);
	base = event_base_new();
	server = evhttp_new(base);
	connections = connections_new(&shared, base);
	shared.live = live_new(&shared, base, may_follow, NULL);
	evhttp_set_gencb(server, on_request, NULL);
	evhttp_set_bevcb(server, open_stream, NULL);
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(server, "127.0.0.1", 0);
	if (!bound ||
		getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &size))
		return 1;
	port = ntohs(address.sin_port);
	return shared.live == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	if (!live_stop(&shared.live, DEADLINE_MS))
		return 1;
	evhttp_free(server);
	connections_free(connections);
	event_base_free(base);
	dashboard_options_drop(shared.options);
	return 0;
}

static evutil_socket_t follow(void)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	evutil_socket_t fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
	evutil_make_socket_nonblocking(fd);
	return fd;
}

/* The reader takes what there is, and counts overviews; the other one lets it lie. */
static void test_who_does_not_read(void **state)
{
	static char chunk[1 << 20];
	evutil_socket_t reader = follow(), sleeper = follow();
	int64_t end_ms = dashboard_mono_ms() + DEADLINE_MS;
	size_t got = 0;
	(void)state;

	overview_size = OVERVIEW_SIZE;
	while ((shared.figures.streams_dropped < 1 || got < 3u * OVERVIEW_SIZE) &&
		dashboard_mono_ms() < end_ms) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		ssize_t size = read(reader, chunk, sizeof(chunk));
		got += size > 0 ? (size_t)size : 0;
		if (size < 0)
			usleep(1000);
	}
	assert_int_equal(shared.figures.streams_dropped, 1);
	assert_int_equal(shared.figures.streams, 1);
	assert_true(got >= 3u * OVERVIEW_SIZE);
	close(reader);
	close(sleeper);
	while (shared.figures.connections && dashboard_mono_ms() < end_ms)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(shared.figures.connections, 0);
}

/* Redis hangs: the stream says that it is alive all the same. */
static void test_heartbeat(void **state)
{
	evutil_socket_t reader = follow();
	int64_t end_ms = dashboard_mono_ms() + DEADLINE_MS;
	char text[65536] = "";
	size_t got = 0;
	(void)state;

	overview_size = 16;
	hanging = true;
	while (!strstr(text, ": alive") && dashboard_mono_ms() < end_ms) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		ssize_t size = read(reader, text + got, sizeof(text) - 1 - got);
		got += size > 0 ? (size_t)size : 0;
		text[got] = '\0';
		if (size < 0)
			usleep(1000);
	}
	hanging = false;
	assert_non_null(strstr(text, ": alive"));
	close(reader);
}

static void until_nobody_follows(void)
{
	int64_t end_ms = dashboard_mono_ms() + DEADLINE_MS;

	while (shared.figures.streams && dashboard_mono_ms() < end_ms)
		event_base_loop(base, EVLOOP_ONCE);
	assert_int_equal(shared.figures.streams, 0);
}

static void until_told(evutil_socket_t fd, const char *words)
{
	int64_t end_ms = dashboard_mono_ms() + DEADLINE_MS;
	char text[65536] = "";
	size_t got = 0;

	while (!strstr(text, words) && dashboard_mono_ms() < end_ms) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		ssize_t size = read(fd, text + got, sizeof(text) - 1 - got);
		got += size > 0 ? (size_t)size : 0;
		text[got] = '\0';
		if (size < 0)
			usleep(1000);
	}
	assert_non_null(strstr(text, words));
}

/* What came while nobody followed is told to nobody as new; who comes second misses nothing. */
static void test_events_of_before(void **state)
{
	(void)state;

	overview_size = 16;
	until_nobody_follows();
	int before = places;
	evutil_socket_t first = follow();
	until_told(first, "event: event");
	assert_int_equal(places, before + 1);
	evutil_socket_t second = follow();
	until_told(second, "event: event");
	assert_int_equal(places, before + 1);
	close(first);
	close(second);
	until_nobody_follows();
	first = follow();
	until_told(first, "event: event");
	assert_int_equal(places, before + 2);
	close(first);
}

/* Nothing asks what a client sends behind its request, and it is not kept. */
static void test_who_sends_on(void **state)
{
	static char chunk[1 << 16];
	evutil_socket_t sender = follow();
	int64_t begin_ms = dashboard_mono_ms(), taken_ms = begin_ms;
	size_t taken = 0;
	(void)state;

	while (taken < KERNEL_MAX && dashboard_mono_ms() - taken_ms < 500) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		ssize_t size = write(sender, chunk, sizeof(chunk));
		taken += size > 0 ? (size_t)size : 0;
		taken_ms = size > 0 ? dashboard_mono_ms() : taken_ms;
	}
	assert_true(taken > CONNECTION_INPUT_MAX && taken < KERNEL_MAX);
	assert_int_equal(shared.figures.streams, 1);
	close(sender);
	until_nobody_follows();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heartbeat),
		cmocka_unit_test(test_events_of_before),
		cmocka_unit_test(test_who_sends_on),
		cmocka_unit_test(test_who_does_not_read),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections of the dashboard whose other ends read nothing: what waits for them is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "resolver/control/dashboard/connections.h"
#include "resolver/control/dashboard/dashboard.h"

#define REPLY ((size_t)8 << 20)
#define FIT (CONNECTIONS_OUTPUT_MAX / REPLY)
#define MANY (2 * FIT)

static struct dashboard dashboard;
static struct event_base *base;
static struct connections *connections;
static struct bufferevent *streams[MANY];
static int others[MANY];
static char *reply;

static int begin(void **state)
{
	int pair[2];

	(void)state;
	dashboard.figures.evicted = 0;
	base = event_base_new();
	connections = connections_new(&dashboard, base);
	reply = calloc(1, REPLY);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		streams[i] = bufferevent_socket_new(base, pair[0], BEV_OPT_CLOSE_ON_FREE);
		others[i] = pair[1];
		connections_add(connections, streams[i]);
	}
	return base && connections && reply ? 0 : -1;
}

static int finish(void **state)
{
	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		bufferevent_free(streams[i]);
		close(others[i]);
	}
	connections_free(connections);
	event_base_loop(base, EVLOOP_NONBLOCK); /* what was freed goes with the next turn */
	event_base_free(base);
	free(reply);
	return 0;
}

static void send_to(size_t i)
{
	connections_set(connections, streams[i], CONNECTION_WRITING);
	connections_owe(connections, streams[i], REPLY);
	bufferevent_write(streams[i], reply, REPLY);
}

static bool is_ended(size_t i)
{
	char octet;

	return recv(others[i], &octet, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
}

/* Whose reply goes for longest makes room for the next one. */
static void test_replies_are_bounded(void **state)
{
	(void)state;
	for (size_t i = 0; i < FIT; i++)
		send_to(i);
	assert_int_equal(dashboard.figures.evicted, 0);
	usleep(2000);
	connections_set(connections, streams[0], CONNECTION_WRITING); /* begins anew */
	connections_owe(connections, streams[0], REPLY);
	send_to(FIT);
	assert_int_equal(dashboard.figures.evicted, 1);
	assert_false(is_ended(0));
	assert_true(is_ended(1));
	for (size_t i = 2; i <= FIT; i++)
		assert_false(is_ended(i));
	for (size_t i = FIT + 1; i < MANY; i++)
		send_to(i);
	assert_int_equal(dashboard.figures.evicted, MANY - FIT);
	assert_false(is_ended(MANY - 1));
}

/* What was taken, and a file, of which no copy is made, are not counted; nor is a stream. */
static void test_what_was_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < FIT; i++) {
		connections_set(connections, streams[i], CONNECTION_WRITING);
		if (i % 2)
			connections_owe(connections, streams[i], REPLY); /* and it has gone */
		else
			bufferevent_write(streams[i], reply, REPLY);
	}
	for (size_t i = 0; i < FIT; i++)
		send_to(FIT + i);
	assert_int_equal(dashboard.figures.evicted, 0);
	connections_set(connections, streams[FIT], CONNECTION_STREAMING); /* bounded elsewhere */
	send_to(0);
	assert_int_equal(dashboard.figures.evicted, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_replies_are_bounded, begin, finish),
		cmocka_unit_test_setup_teardown(test_what_was_taken, begin, finish),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

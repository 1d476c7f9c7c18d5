/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's groups of servers, and what becomes of them when the table changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <string.h>

#include "lib/dns/message.h"
#include "resolver/upstream/routes.h"
#include "tests/unit/fake_server.h"

#define WATCHDOG_S 20

struct fixture {
	struct event_base *base;
	struct fake fakes[3];
	struct server_address servers[3];
	struct routes *routes;
	struct route_table *table, *before;
	unsigned done, failed;
	struct endpoint from;
};

static void answer(struct fake *fake, uint8_t *packet, size_t size)
{
	wire_put_u16(packet, size, 2, DNS_FLAG_QR | DNS_FLAG_RD | DNS_FLAG_RA);
	fake_send(fake, packet, size);
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
	struct fake *fake = context;

	(void)fd, (void)what;
	answer(fake, fake->pending, fake->pending_size);
}

static void answer_later(struct fake *fake, uint8_t *packet, size_t size)
{
	static const struct timeval later = {.tv_usec = 100000};

	memcpy(fake->pending, packet, size);
	fake->pending_size = size;
	fake->timer = evtimer_new(fake->base, on_late, fake);
	event_add(fake->timer, &later);
}

static const struct upstream_config settings = {.timeout_ms = 5000, .requests_max = 100};

static int setup(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	fixture.base = event_base_new();
	for (size_t i = 0; i < 3; i++) {
		if (!fake_open(&fixture.fakes[i], fixture.base, "127.0.0.1"))
			return -1;
		fixture.fakes[i].on_packet = answer;
		fixture.servers[i] = server_address_plain(&fixture.fakes[i].endpoint);
	}
	fixture.routes = routes_new(fixture.base, &settings);
	*state = &fixture;
	return fixture.routes ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	routes_free(fixture->routes);
	route_table_free(fixture->table);
	for (size_t i = 0; i < 3; i++)
		fake_close(&fixture->fakes[i]);
	event_base_free(fixture->base);
	return 0;
}

/* The default group has the servers of these numbers ("01"), "corp.example" the others; "": no
 * section. Returns what routes_set says. */
static bool set_table(struct fixture *fixture, const char *upstream, const char *corp)
{
	struct server_address servers[2][3];
	const char *lists[2] = {upstream, corp}, *other;

	for (size_t list = 0; list < 2; list++)
		for (size_t i = 0; i < strlen(lists[list]); i++)
			servers[list][i] = fixture->servers[lists[list][i] - '0'];
	fixture->before = fixture->table;
	fixture->table = route_table_new(servers[0], strlen(upstream));
	assert_non_null(fixture->table);
	if (*corp)
		assert_int_equal(route_table_add(fixture->table, "corp.example", servers[1],
					 strlen(corp), &other),
			TD_OK);
	bool changed = routes_set(fixture->routes, fixture->table, &settings);
	route_table_free(fixture->before);
	return changed;
}

static void on_done(void *context, enum td_error error, const uint8_t *reply, size_t size,
	const struct endpoint *server)
{
	struct fixture *fixture = context;

	(void)reply, (void)size;
	fixture->done++;
	fixture->failed += error != TD_OK;
	if (error == TD_OK)
		fixture->from = *server;
	event_base_loopbreak(fixture->base);
}

static void begin(struct fixture *fixture, const char *name)
{
	struct upstream_question question = {.qtype = TYPE_A};
	enum td_error error;

	assert_int_equal(name_from_text(&question.qname, name, strlen(name)), TD_OK);
	assert_non_null(routes_ask(fixture->routes, &question, on_done, fixture, &error));
}

static void wait_for(struct fixture *fixture, unsigned done)
{
	static const struct timeval watchdog = {.tv_sec = WATCHDOG_S};

	event_base_loopexit(fixture->base, &watchdog);
	while (fixture->done < done) {
		event_base_dispatch(fixture->base);
		assert_false(event_base_got_exit(fixture->base));
	}
	assert_int_equal(fixture->failed, 0);
}

/* The number of the server that answers the name. */
static size_t who(struct fixture *fixture, const char *name)
{
	size_t number = 0;

	begin(fixture, name);
	wait_for(fixture, fixture->done + 1);
	while (!endpoint_equal(&fixture->from, &fixture->servers[number].endpoint))
		number++;
	return number;
}

static const struct server_state *state_of(const struct fixture *fixture, size_t number)
{
	size_t count;
	const struct server_state *states =
		upstream_servers(routes_default(fixture->routes), &count);

	assert_true(number < count);
	return &states[number];
}

static void name_has_its_group(void **state)
{
	struct fixture *fixture = *state;
	struct route_server servers[4];

	set_table(fixture, "0", "1");
	assert_int_equal(routes_servers(fixture->routes, servers, 4), 1);
	assert_int_equal(servers[0].group, 1);
	assert_int_equal(servers[0].state.sent, 0);
	assert_true(endpoint_equal(&servers[0].state.endpoint, &fixture->servers[1].endpoint));
	assert_int_equal(who(fixture, "www.example"), 0);
	assert_int_equal(who(fixture, "WWW.Corp.Example"), 1);
	assert_int_equal(routes_servers(fixture->routes, servers, 4), 1);
	assert_int_equal(servers[0].state.answered, 1);
	assert_int_equal(routes_counters(fixture->routes).upstream_udp, 2);
}

static void server_that_stays_is_known(void **state)
{
	struct fixture *fixture = *state;

	set_table(fixture, "0", "1");
	who(fixture, "www.example");
	const struct upstream *same = routes_default(fixture->routes);
	set_table(fixture, "0", "2");
	assert_ptr_equal(routes_default(fixture->routes), same);
	assert_int_equal(who(fixture, "www.corp.example"), 2);
	int64_t srtt_us = state_of(fixture, 0)->srtt_us;
	assert_true(srtt_us > 0);
	set_table(fixture, "20", "");
	assert_int_equal(state_of(fixture, 1)->srtt_us, srtt_us);
	assert_int_equal(state_of(fixture, 1)->answered, 1);
	assert_int_equal(state_of(fixture, 0)->answered, 0);
	/* What those counted that are gone is not lost. */
	assert_int_equal(routes_counters(fixture->routes).upstream_udp, 2);
}

static void open_questions_end_where_they_are(void **state)
{
	struct fixture *fixture = *state;

	fixture->fakes[0].on_packet = answer_later;
	set_table(fixture, "0", "");
	begin(fixture, "www.example");
	while (fixture->fakes[0].packets == 0)
		event_base_loop(fixture->base, EVLOOP_ONCE);
	set_table(fixture, "1", "");
	assert_int_equal(who(fixture, "other.example"), 1);
	set_table(fixture, "2", "");
	routes_sweep(fixture->routes);
	wait_for(fixture, 2);
	assert_true(endpoint_equal(&fixture->from, &fixture->servers[0].endpoint));
	routes_sweep(fixture->routes);
	assert_int_equal(routes_counters(fixture->routes).upstream_answers, 2);
}

/* A server that leads back to us is asked no more, but for the section that names it. */
static void loop_ends_at_a_section(void **state)
{
	struct fixture *fixture = *state;
	const struct hash_seed secret = {1, 2};
	struct upstream_config watched = settings;
	struct server_address both[2] = {fixture->servers[0], fixture->servers[1]};
	struct endpoint asked;
	const char *other;
	struct name marker;

	watched.loops = loop_watch_new(&secret);
	loop_watch_set_servers(watched.loops, &both[0].endpoint, 1, 0);
	assert_true(loop_watch_next(watched.loops, 0, &asked, &marker));
	assert_true(loop_watch_seen(watched.loops, marker.wire, marker.length, 1));
	fixture->table = route_table_new(both, 2);
	assert_int_equal(
		route_table_add(fixture->table, "corp.example", both, 1, &other), TD_OK);
	routes_set(fixture->routes, fixture->table, &watched);
	assert_int_equal(who(fixture, "www.example"), 1);
	assert_int_equal(who(fixture, "www.corp.example"), 0);
	routes_free(fixture->routes);
	fixture->routes = NULL;
	loop_watch_free(watched.loops);
}

/* Only other servers are a reason to ask anew. */
static void change_is_told(void **state)
{
	struct fixture *fixture = *state;

	assert_false(set_table(fixture, "0", "1")); /* there was nobody to be asked before */
	assert_false(set_table(fixture, "0", "1"));
	assert_true(set_table(fixture, "0", "2"));
	assert_true(set_table(fixture, "01", "2"));
	assert_true(set_table(fixture, "01", ""));
	assert_true(set_table(fixture, "01", "2"));
	assert_false(set_table(fixture, "01", "2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(name_has_its_group, setup, teardown),
		cmocka_unit_test_setup_teardown(server_that_stays_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(open_questions_end_where_they_are, setup, teardown),
		cmocka_unit_test_setup_teardown(loop_ends_at_a_section, setup, teardown),
		cmocka_unit_test_setup_teardown(change_is_told, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

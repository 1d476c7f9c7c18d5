/* SPDX-License-Identifier: BSD-3-Clause */
/* Which port a question leaves from: fresh ones, ports that are used again, and idle ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>

#include "resolver/upstream/ports.h"
#include "tests/unit/fake_server.h"

static void on_port_unused(struct port *port)
{
	(void)port;
	fail();
}

/*
 * As many ports as questions, until there are PORTS_FRESH_A_SECOND in one second; then each serves
 * a few, and it starts anew.
 */
static void test_ports(void **state)
{
	(void)state;
	struct event_base *base = event_base_new();
	struct random_pool random = {0};
	struct fake fake;
	struct ports ports;
	struct port *port, *other;
	uint64_t unexpected = 0;

	assert_true(fake_open(&fake, base, "127.0.0.1"));
	ports_init(&ports, base, &random, on_port_unused, &unexpected);
	for (int i = 0; i < PORTS_FRESH_A_SECOND; i++) {
		assert_int_equal(ports_take(&ports, 0, &fake.endpoint, &fake, 10, &port), TD_OK);
		assert_int_equal(port->uses, 1);
		port_put(port);
		assert_null(ports.idle[0]);
	}
	for (unsigned i = 1; i <= PORT_USES_MAX; i++) {
		assert_int_equal(ports_take(&ports, 0, &fake.endpoint, &fake, 20, &port), TD_OK);
		assert_int_equal(port->uses, i);
		port_put(port);
	}
	assert_null(ports.idle[0]);

	/* One server's port is not another's, and a port in use is nobody else's. */
	ports_take(&ports, 0, &fake.endpoint, &fake, 20, &port);
	ports_take(&ports, 0, &fake.endpoint, &fake, 20, &other);
	assert_ptr_not_equal(port, other);
	port_put(port);
	port_close(other);
	ports_take(&ports, 1, &fake.endpoint, &fake, 20, &other);
	assert_ptr_not_equal(port, other);
	assert_ptr_equal(ports.idle[0], port);

	/*
	 * What comes to an idle port is thrown away; a port put back in a quiet second is closed.
	 */
	struct sockaddr_storage self;
	socklen_t length = sizeof(self);

	getsockname(port->fd, (struct sockaddr *)&self, &length);
	sendto(fake.udp, "late", 4, 0, (struct sockaddr *)&self, length);
	event_base_loop(base, EVLOOP_NONBLOCK);
	assert_int_equal(unexpected, 1);
	port_put(other);
	assert_non_null(ports.idle[1]);
	ports_take(&ports, 1, &fake.endpoint, &fake, 20 + 1000000, &other);
	port_put(other);
	assert_null(ports.idle[1]);

	/* The sweep closes what nobody used. */
	assert_non_null(ports.idle[0]);
	event_free(fake.udp_event);
	event_free(fake.tcp_event);
	fake.udp_event = fake.tcp_event = NULL;
	event_base_loop(base, EVLOOP_ONCE);
	assert_null(ports.idle[0]);
	ports_deinit(&ports);
	fake_close(&fake);
	event_base_free(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
	};

	return cmocka_run_group_tests_name("ports", tests, NULL, NULL);
}

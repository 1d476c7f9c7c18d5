/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of asking servers of TCP and TLS, on a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/exchange_bed.h"

static void setup_streams(
	struct fixture *f, enum server_transport first, enum server_transport second)
{
	setup(f);
	f->group.servers[0].transport = first;
	f->group.servers[1].transport = second;
}

static enum exchange_step break_off(struct fixture *f)
{
	return exchange_transport_failed(&f->exchange, f->exchange.slot, f->now);
}

/* Never over UDP; longer than a packet there, then once more over another connection. */
static void test_asked_over_its_transport(void **state)
{
	static const enum server_transport transports[] = {SERVER_TCP, SERVER_TLS};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		setup_streams(&f, transports[i], SERVER_UDP);
		int64_t began = f.now;

		assert_int_equal(start(&f, 1), EXCHANGE_SEND_TCP);
		assert_int_equal(f.exchange.deadline_us, began + 1500 * MS);
		assert_int_equal(time_out(&f), EXCHANGE_SEND_TCP);
		assert_int_equal(f.exchange.deadline_us, began + 4500 * MS);
		assert_int_equal(time_out(&f), EXCHANGE_SEND_TCP);
		assert_int_equal(f.exchange.deadline_us, began + 5000 * MS);
		assert_int_equal(time_out(&f), EXCHANGE_FAILED);
		assert_int_equal(f.group.servers[0].timed_out, 3);
		assert_int_equal(f.group.servers[0].health, SERVER_DOWN);
	}
}

/* The round trip is that of the question, whatever the connection took. */
static void test_round_trip_without_connecting(void **state)
{
	struct fixture f;

	(void)state;
	setup_streams(&f, SERVER_TLS, SERVER_UDP);
	assert_int_equal(start(&f, 1), EXCHANGE_SEND_TCP);
	f.now += 400 * MS;
	exchange_sent(&f.exchange, f.exchange.slot, f.now);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_int_equal(f.group.servers[0].srtt_us, 20 * MS);
	assert_int_equal(f.group.servers[0].answered, 1);
}

/* A server that cannot be connected is silent; one whose TCP only fails to fetch more is not. */
static void test_failed_connections(void **state)
{
	struct fixture f;

	(void)state;
	setup_streams(&f, SERVER_TLS, SERVER_UDP);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(start(&f, 1), EXCHANGE_SEND_TCP);
		f.now += 10 * MS;
		assert_int_equal(break_off(&f), EXCHANGE_FAILED);
	}
	assert_int_equal(f.group.servers[0].health, SERVER_DOWN);
	assert_int_equal(f.group.servers[0].failed, 2);

	setup_streams(&f, SERVER_UDP, SERVER_UDP);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(start(&f, 1), EXCHANGE_SEND_UDP);
		f.now += 10 * MS;
		assert_int_equal(reply(&f, DNS_FLAG_TC), EXCHANGE_SEND_TCP);
		f.now += 10 * MS;
		assert_int_equal(break_off(&f), EXCHANGE_FAILED);
	}
	assert_int_equal(f.group.servers[0].health, SERVER_UP);
}

/* From one that cannot be connected to the next, each in its own way. */
static void test_next_server(void **state)
{
	struct fixture f;

	(void)state;
	setup_streams(&f, SERVER_TLS, SERVER_UDP);
	assert_int_equal(start(&f, 2), EXCHANGE_SEND_TCP);
	assert_int_equal(break_off(&f), EXCHANGE_SEND_UDP);
	assert_int_equal(f.exchange.tries[f.exchange.slot].server, 1);
	setup_streams(&f, SERVER_UDP, SERVER_TLS);
	assert_int_equal(start(&f, 2), EXCHANGE_SEND_UDP);
	assert_int_equal(break_off(&f), EXCHANGE_SEND_TCP);
	assert_int_equal(f.exchange.tries[f.exchange.slot].server, 1);
}

/* An answer over TCP that says it is cut is no answer, and no reason to try UDP. */
static void test_cut_over_tcp(void **state)
{
	struct fixture f;

	(void)state;
	setup_streams(&f, SERVER_TLS, SERVER_UDP);
	assert_int_equal(start(&f, 1), EXCHANGE_SEND_TCP);
	assert_int_equal(reply(&f, DNS_FLAG_TC), EXCHANGE_FAILED);
	assert_int_equal(f.exchange.kept_server, -1);
}

static void test_without_edns(void **state)
{
	struct fixture f;

	(void)state;
	setup_streams(&f, SERVER_TCP, SERVER_UDP);
	assert_int_equal(start(&f, 1), EXCHANGE_SEND_TCP);
	assert_false(f.exchange.tries[f.exchange.slot].packet.without_edns);
	assert_int_equal(reply(&f, RCODE_FORMERR), EXCHANGE_SEND_TCP);
	assert_true(f.exchange.tries[f.exchange.slot].packet.without_edns);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
}

/* Copies and probes go the same way. */
static void test_nobody_waits(void **state)
{
	struct fixture f;

	(void)state;
	setup_streams(&f, SERVER_TLS, SERVER_UDP);
	f.group.count = 1;
	assert_int_equal(exchange_start_alone(&f.exchange, EXCHANGE_PROBE, &f.question, &f.group, 0,
				 &f.random, f.now),
		EXCHANGE_SEND_TCP);
	assert_int_equal(f.exchange.deadline_us, f.now + 1500 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked_over_its_transport),
		cmocka_unit_test(test_round_trip_without_connecting),
		cmocka_unit_test(test_failed_connections),
		cmocka_unit_test(test_next_server),
		cmocka_unit_test(test_cut_over_tcp),
		cmocka_unit_test(test_without_edns),
		cmocka_unit_test(test_nobody_waits),
	};

	return cmocka_run_group_tests_name("exchange_stream", tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A second server where the first is late, and questions that nobody waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/exchange_bed.h"

static void setup_hedge(struct fixture *f, size_t servers)
{
	setup(f);
	f->group.hedge = true;
	f->group.count = servers;
	f->group.hedge_tokens = 5000;
	for (size_t i = 0; i < servers; i++) {
		f->group.servers[i].srtt_us = 20 * MS;
		f->group.servers[i].rttvar_us = 20 * MS;
		f->group.servers[i].answered_us = f->now;
	}
}

/* Later than usual: another is asked, the first is listened to, the first good answer counts. */
static void test_hedge(void **state)
{
	(void)state;
	struct fixture f;

	for (unsigned winner = 0; winner < 2; winner++) {
		setup_hedge(&f, 2);
		assert_int_equal(start(&f, 2), EXCHANGE_SEND_UDP);
		int64_t begin = f.now;

		assert_int_equal(f.exchange.deadline_us, begin + 100 * MS);
		reply_make(&f, 0);
		assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
		assert_int_equal(sent(&f)->server, 1);
		assert_int_equal(f.exchange.deadline_us, begin + 500 * MS);
		assert_int_equal(f.group.servers[0].timed_out, 0);
		f.now += 5 * MS;
		if (winner == 1)
			reply_make(&f, 0);
		assert_int_equal(input_to(&f, winner), EXCHANGE_DONE);
		assert_int_equal(sent(&f)->server, winner);
		assert_int_equal(f.group.hedges, 1);
		assert_int_equal(f.group.hedges_won, winner);
		assert_int_equal(f.group.servers[1].hedges, 1);
		assert_int_equal(f.group.servers[0].silences, winner);
	}
}

/* A mismatch in either place ends no wait; nor does the failure of one while the other may answer. */
static void test_hedge_failure(void **state)
{
	(void)state;
	struct fixture f;

	setup_hedge(&f, 3);
	start(&f, 3);
	reply_make(&f, RCODE_SERVFAIL);
	time_out(&f);
	assert_int_equal(input_to(&f, 1), EXCHANGE_IGNORED);
	assert_int_equal(input_to(&f, 0), EXCHANGE_WAIT);
	assert_true(f.exchange.keep);
	assert_true(f.exchange.deadline_us > f.now);
	reply_make(&f, 0);
	assert_int_equal(input_to(&f, 1), EXCHANGE_DONE);
	assert_int_equal(f.group.servers[2].sent, 0);

	setup_hedge(&f, 2);
	start(&f, 2);
	time_out(&f);
	reply_make(&f, RCODE_SERVFAIL);
	assert_int_equal(input_to(&f, 1), EXCHANGE_WAIT);
	assert_int_equal(
		exchange_transport_failed(&f.exchange, 0, f.now), EXCHANGE_FAILED);
	assert_int_equal(f.exchange.kept_server, 1);
}

/* Without a token the first is waited for to its end; with `hedge` off there is no such moment. */
static void test_hedge_refused(void **state)
{
	(void)state;
	struct fixture f;

	setup_hedge(&f, 2);
	f.group.hedge_tokens = 0;
	start(&f, 2);
	int64_t begin = f.now;

	assert_int_equal(time_out(&f), EXCHANGE_WAIT);
	assert_int_equal(f.exchange.deadline_us, begin + 400 * MS);
	assert_int_equal(f.group.hedges_refused, 1);
	assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->server, 1);

	setup_hedge(&f, 2);
	f.group.hedge = false;
	start(&f, 2);
	assert_int_equal(f.exchange.deadline_us, f.now + 400 * MS);
}

/* A dead server under load: everybody who waits for it goes elsewhere, whatever the tokens. */
static void test_hedge_dead(void **state)
{
	(void)state;
	static struct fixture f;
	static struct exchange waiting[200];

	setup_hedge(&f, 2);
	f.group.hedge_tokens = 3000;
	int64_t begin = f.now;

	for (int i = 0; i < 200; i++) {
		next_id(&f);
		exchange_start(&waiting[i], &f.question, &f.group, f.now + 5000 * MS, &f.random,
			f.now);
		f.now += MS / 2;
	}
	for (int i = 0; i < 200; i++) {
		next_id(&f);
		f.now = waiting[i].deadline_us;
		if (waiting[i].tries[0].server == 1)
			continue;
		assert_int_equal(exchange_timeout(&waiting[i], f.now), EXCHANGE_SEND_UDP);
		assert_int_equal(waiting[i].tries[1].server, 1);
		f.exchange = waiting[i];
		reply_make(&f, 0);
		assert_int_equal(exchange_input(&waiting[i], 1, f.reply, f.reply_size, f.now),
			EXCHANGE_DONE);
	}
	assert_int_equal(f.group.hedges_refused, 0);
	assert_int_equal(f.group.servers[0].health, SERVER_UP); /* all sent before the first sign */
	f.now = begin + 201 * MS;
	f.group.servers[1].srtt_us = 20 * MS;
	start(&f, 2);
	assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
	reply_make(&f, 0);
	input(&f);
	assert_int_equal(f.group.servers[0].health, SERVER_DOWN);
	start(&f, 2);
	assert_int_equal(sent(&f)->server, 1);
}

/* --- alone: copies and probes --- */

static void test_alone(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	f.group.count = 3;
	next_id(&f);
	assert_int_equal(exchange_start_alone(&f.exchange, EXCHANGE_COPY, &f.question, &f.group, 2,
				 &f.random, f.now),
		EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->server, 2);
	assert_int_equal(time_out(&f), EXCHANGE_FAILED);
	assert_int_equal(f.group.servers[2].silences, 1);
	assert_int_equal(f.group.servers[0].sent + f.group.servers[1].sent, 0);

	f.group.servers[2].health = SERVER_DOWN;
	exchange_start_alone(
		&f.exchange, EXCHANGE_PROBE, &f.question, &f.group, 2, &f.random, f.now);
	assert_int_equal(packet_u16(&f, 10), 0); /* without EDNS, in turn */
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_int_equal(f.group.servers[2].health, SERVER_RETURNING);
	exchange_start_alone(
		&f.exchange, EXCHANGE_COPY, &f.question, &f.group, 2, &f.random, f.now);
	assert_int_equal(reply(&f, RCODE_SERVFAIL), EXCHANGE_DONE);
	assert_int_equal(f.group.servers[2].health, SERVER_UP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hedge),
		cmocka_unit_test(test_hedge_failure),
		cmocka_unit_test(test_hedge_refused),
		cmocka_unit_test(test_hedge_dead),
		cmocka_unit_test(test_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

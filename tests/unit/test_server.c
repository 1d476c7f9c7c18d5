/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of upstream servers, on a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "resolver/upstream/server.h"

#define MS US_PER_MS

struct fixture {
	struct server_state servers[4];
	int64_t now;
};

static void setup(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->now = 1000 * US_PER_S;
}

static void test_slow_server_costs_two_seconds_at_most(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	assert_int_equal(server_timeout_us(&f.servers[0]), 400 * MS);
	server_answered(&f.servers[0], 0);
	assert_in_range(server_timeout_us(&f.servers[0]), 200 * MS, 400 * MS);
	for (int i = 0; i < 100; i++)
		server_answered(&f.servers[0], 4000 * MS);
	assert_int_equal(server_timeout_us(&f.servers[0]), 1000 * MS);
}

static void test_srtt(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	server_answered(&f.servers[0], 80 * MS);
	assert_int_equal(f.servers[0].srtt_us, 80 * MS);
	server_answered(&f.servers[0], 160 * MS);
	assert_int_equal(f.servers[0].srtt_us, 90 * MS);
	assert_int_equal(server_timeout_us(&f.servers[0]), 480 * MS);
	for (int i = 0; i < 1000; i++)
		server_answered(&f.servers[0], -5);
	assert_in_range(f.servers[0].srtt_us, 1, 10);
}

static void test_backoff_grows(void **state)
{
	(void)state;
	struct fixture f;
	struct server_state *s = &f.servers[0];
	static const int64_t seconds[] = {1, 2, 4, 8, 16, 30, 30, 30};

	setup(&f);
	server_timed_out(s, f.now - 400 * MS, f.now);
	assert_false(server_probe_due(s, f.now + 100 * US_PER_S));
	for (size_t i = 0; i < sizeof(seconds) / sizeof(*seconds); i++) {
		server_timed_out(s, f.now, f.now + 400 * MS);
		f.now += 400 * MS;
		assert_int_equal(s->backoff_until_us, f.now + seconds[i] * US_PER_S);
		/* Stragglers, sent before it began, change nothing. */
		server_timed_out(s, f.now - 1, f.now + 10);
		assert_int_equal(s->backoff_until_us, f.now + seconds[i] * US_PER_S);
		assert_false(server_probe_due(s, s->backoff_until_us - 1));
		assert_true(server_probe_due(s, s->backoff_until_us));
		f.now = s->backoff_until_us;
	}
	server_probed(s, f.now + 400 * MS);
	assert_false(server_probe_due(s, f.now));
	server_answered(s, 10 * MS);
	assert_int_equal(s->backoff_until_us, 0);
	assert_false(server_probe_due(s, f.now + 100 * US_PER_S));
	server_timed_out(s, f.now, f.now + 1);
	assert_int_equal(s->backoff_until_us, 0);
}

static void test_choose(void **state)
{
	(void)state;
	struct fixture f;
	uint8_t packets[4] = {0};

	setup(&f);
	assert_int_equal(server_choose(f.servers, 0, packets, f.now), -1);
	assert_int_equal(server_choose(f.servers, 3, packets, f.now), 0);
	packets[0] = 1;
	assert_int_equal(server_choose(f.servers, 3, packets, f.now), 1);
	packets[1] = packets[2] = 1;
	assert_int_equal(server_choose(f.servers, 3, packets, f.now), 0);
	packets[0] = EXCHANGE_PACKETS_MAX;
	assert_int_equal(server_choose(f.servers, 3, packets, f.now), 1);

	memset(packets, 0, sizeof(packets));
	f.servers[0].backoff_until_us = f.now + 5;
	assert_int_equal(server_choose(f.servers, 3, packets, f.now), 1);
	packets[1] = 2, packets[2] = 1; /* rather again than one that is backed off */
	assert_int_equal(server_choose(f.servers, 3, packets, f.now), 2);
	packets[1] = packets[2] = EXCHANGE_PACKETS_MAX;
	assert_int_equal(server_choose(f.servers, 3, packets, f.now), 0);

	memset(packets, 0, sizeof(packets));
	f.servers[1].backoff_until_us = f.now + 3;
	f.servers[2].backoff_until_us = f.now + 4;
	assert_int_equal(server_choose(f.servers, 3, packets, f.now), 1);
	assert_int_equal(server_choose(f.servers, 3, packets, f.now + 5), 0);
	memset(packets, EXCHANGE_PACKETS_MAX, sizeof(packets));
	assert_int_equal(server_choose(f.servers, 3, packets, f.now), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_server_costs_two_seconds_at_most),
		cmocka_unit_test(test_srtt),
		cmocka_unit_test(test_backoff_grows),
		cmocka_unit_test(test_choose),
	};

	return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}

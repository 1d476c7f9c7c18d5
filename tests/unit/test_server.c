/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of upstream servers, on a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "resolver/upstream/server_status.h"

#define MS US_PER_MS

struct fixture {
	struct server_group group;
	uint8_t packets[UPSTREAM_SERVERS_MAX];
	int64_t now;
};

static void setup(struct fixture *f, size_t count)
{
	memset(f, 0, sizeof(*f));
	f->now = 1000 * US_PER_S;
	f->group.count = count;
}

/* Asks number i, which answers after so long. */
static void answer_after(struct fixture *f, int i, int64_t round_trip_us)
{
	struct server_state *server = &f->group.servers[i];

	server_asked(server, f->now);
	f->now += round_trip_us;
	server_answered(server, round_trip_us, f->now);
}

static void silent_for(struct fixture *f, int i, int64_t wait_us)
{
	struct server_state *server = &f->group.servers[i];
	int64_t sent_us = f->now;

	server_asked(server, f->now);
	f->now += wait_us;
	server_was_silent(&f->group, server, sent_us, f->now);
}

static int choose(const struct fixture *f)
{
	return server_choose(&f->group, f->packets);
}

/* --- round trips --- */

/* RFC 6298, 2.2 and 2.3. */
static void test_round_trip(void **state)
{
	(void)state;
	struct fixture f;
	struct server_state *s = &f.group.servers[0];

	setup(&f, 1);
	assert_int_equal(server_timeout_us(s), 400 * MS);
	assert_int_equal(server_usual_us(s), 200 * MS);
	answer_after(&f, 0, 80 * MS);
	assert_int_equal(s->srtt_us, 80 * MS);
	assert_int_equal(s->rttvar_us, 40 * MS);
	assert_int_equal(server_usual_us(s), 240 * MS);
	assert_int_equal(server_timeout_us(s), 540 * MS);
	answer_after(&f, 0, 160 * MS);
	assert_int_equal(s->srtt_us, 90 * MS);
	assert_int_equal(s->rttvar_us, 50 * MS);
	for (int i = 0; i < 1000; i++)
		server_answered(s, 0, f.now);
	assert_in_range(s->srtt_us, 1, 10);
	assert_int_equal(server_usual_us(s), 50 * MS);
	assert_in_range(server_timeout_us(s), 300 * MS, 301 * MS);
	for (int i = 0; i < 100; i++)
		server_answered(s, 4000 * MS, f.now);
	assert_int_equal(server_usual_us(s), 500 * MS);
	assert_int_equal(server_timeout_us(s), 1000 * MS);
	int64_t srtt_us = s->srtt_us;

	server_answered(s, -1, f.now); /* over TCP */
	assert_int_equal(s->srtt_us, srtt_us);
}

/* --- whom to ask --- */

static void test_order_of_unmeasured(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f, 0);
	assert_int_equal(choose(&f), -1);
	setup(&f, 3);
	assert_int_equal(choose(&f), 0);
	f.packets[0] = 1;
	assert_int_equal(choose(&f), 1);
	f.packets[1] = f.packets[2] = 1;
	assert_int_equal(choose(&f), 0);
	f.packets[0] = EXCHANGE_PACKETS_MAX;
	assert_int_equal(choose(&f), 1);
	memset(f.packets, EXCHANGE_PACKETS_MAX, sizeof(f.packets));
	assert_int_equal(choose(&f), -1);
}

static void test_fastest(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f, 3);
	answer_after(&f, 0, 60 * MS);
	answer_after(&f, 1, 20 * MS);
	assert_int_equal(choose(&f), 1); /* and not the one that nobody measured */
	answer_after(&f, 2, 18 * MS);
	assert_int_equal(choose(&f), 1); /* no difference to anybody: their order */
	f.group.servers[2].srtt_us = 11 * MS;
	assert_int_equal(choose(&f), 2);
	f.packets[2] = 1;
	assert_int_equal(choose(&f), 1);
	f.packets[1] = 1;
	assert_int_equal(choose(&f), 0);
}

static void test_strict(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f, 3);
	f.group.strict = true;
	answer_after(&f, 0, 400 * MS);
	answer_after(&f, 1, 20 * MS);
	answer_after(&f, 2, 2 * MS);
	assert_int_equal(choose(&f), 0);
	f.packets[0] = 1;
	assert_int_equal(choose(&f), 1);
	f.packets[0] = 0;
	f.group.servers[0].health = SERVER_DOWN;
	assert_int_equal(choose(&f), 1);
}

static void test_down_is_last(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f, 3);
	f.group.servers[0].health = SERVER_DOWN;
	assert_int_equal(choose(&f), 1);
	f.packets[1] = 2, f.packets[2] = 1; /* rather again than one that is silent */
	assert_int_equal(choose(&f), 2);
	f.packets[1] = f.packets[2] = EXCHANGE_PACKETS_MAX;
	assert_int_equal(choose(&f), 0);

	memset(f.packets, 0, sizeof(f.packets));
	f.group.servers[1].health = f.group.servers[2].health = SERVER_DOWN;
	assert_int_equal(choose(&f), 0);
	f.group.servers[2].health = SERVER_RETURNING;
	assert_int_equal(choose(&f), 2);
}

/* One that only fails is asked after others, until it has a good answer. */
static void test_failing(void **state)
{
	(void)state;
	struct fixture f;
	struct server_state *s = &f.group.servers[0];

	setup(&f, 2);
	for (int i = 0; i < 4; i++)
		server_failed(s);
	assert_int_equal(choose(&f), 0);
	server_failed(s);
	assert_int_equal(choose(&f), 1);
	assert_int_equal(s->health, SERVER_UP);
	server_succeeded(s);
	assert_int_equal(choose(&f), 0);
	assert_int_equal(s->failed, 5);
}

/* --- silence --- */

/* Neither one lost packet, nor many at once, nor slow names among others. */
static void test_no_silence(void **state)
{
	(void)state;
	struct fixture f;
	struct server_state *s = &f.group.servers[0];

	setup(&f, 2);
	answer_after(&f, 0, 10 * MS);
	f.now += MS;
	int64_t sent_us = f.now;

	f.now += 60 * MS;
	for (int i = 0; i < 100; i++)
		server_was_silent(&f.group, s, sent_us + i, f.now);
	assert_int_equal(s->silences, 1);
	assert_int_equal(s->health, SERVER_UP);
	answer_after(&f, 0, 10 * MS);
	assert_int_equal(s->silences, 0);
	assert_int_equal(server_group_probe_us(&f.group), INT64_MAX);
	for (int i = 0; i < 100; i++) {
		int64_t late_us = f.now;

		answer_after(&f, 0, 10 * MS);
		server_was_silent(&f.group, s, late_us - 300 * MS, f.now);
	}
	assert_int_equal(s->health, SERVER_UP);
	assert_int_equal(s->downs, 0);
}

/* The time that was waited in vain counts as a round trip, unless the server was dead. */
static void test_slow_is_measured(void **state)
{
	(void)state;
	struct fixture f;
	struct server_state *s = &f.group.servers[0];

	setup(&f, 2);
	answer_after(&f, 1, 20 * MS);
	for (int i = 0; i < 10; i++)
		answer_after(&f, 0, 2 * MS);
	for (int i = 0; i < 20 && choose(&f) == 0; i++) {
		silent_for(&f, 0, 60 * MS);
		assert_int_equal(s->health, SERVER_UP);
		server_probe_answered(&f.group, s, 2 * MS, f.now);
		if (i == 2)
			answer_after(&f, 0, 2 * MS);
	}
	assert_int_equal(choose(&f), 1);

	setup(&f, 2);
	answer_after(&f, 0, 2 * MS);
	for (int i = 0; i < 5; i++)
		silent_for(&f, 0, 60 * MS);
	assert_int_equal(s->health, SERVER_DOWN);
	assert_int_equal(s->srtt_us, 2 * MS);
	answer_after(&f, 0, 2 * MS);
	assert_int_equal(s->srtt_us, 2 * MS);
}

static void test_down_and_back(void **state)
{
	(void)state;
	struct fixture f;
	struct server_state *s = &f.group.servers[0];

	setup(&f, 2);
	answer_after(&f, 0, 10 * MS);
	silent_for(&f, 0, 60 * MS);
	assert_int_equal(s->health, SERVER_UP);
	assert_int_equal(server_group_probe_us(&f.group), f.now); /* at once */
	assert_true(f.group.attention);
	assert_int_equal(server_probe(&f.group, f.now), 0);
	assert_int_equal(server_probe(&f.group, f.now), -1);
	silent_for(&f, 0, 300 * MS); /* the probe */
	assert_int_equal(s->health, SERVER_DOWN);
	assert_int_equal(s->downs, 1);
	assert_int_equal(choose(&f), 1);

	/* Dead for ten minutes: never less than a probe a half second, nor more. */
	unsigned probes = 0;
	int64_t end_us = f.now + 600 * US_PER_S;

	while (f.now < end_us) {
		int64_t due_us = server_group_probe_us(&f.group);

		assert_in_range(due_us, f.now, f.now + SERVER_PROBE_MS * MS);
		f.now = due_us;
		assert_int_equal(server_probe(&f.group, f.now), 0);
		probes++;
	}
	assert_in_range(probes, 1195, 1205);

	server_probe_answered(&f.group, s, 1 * MS, f.now);
	assert_int_equal(s->health, SERVER_RETURNING);
	assert_int_equal(choose(&f), 1);
	assert_int_equal(server_explore(&f.group, 1, f.now), 0);
	assert_int_equal(server_explore(&f.group, 1, f.now + 1), -1);
	answer_after(&f, 0, 10 * MS);
	assert_int_equal(s->health, SERVER_UP);
	assert_int_equal(choose(&f), 0);
	assert_int_equal(server_group_probe_us(&f.group), INT64_MAX);
}

/* It knows the root and nothing else: no client has to do with it. */
static void test_returns_in_vain(void **state)
{
	(void)state;
	struct fixture f;
	struct server_state *s = &f.group.servers[0];

	setup(&f, 2);
	for (int round = 0; round < 5; round++) {
		s->health = SERVER_DOWN;
		server_probe_answered(&f.group, s, 1 * MS, f.now);
		assert_int_equal(server_explore(&f.group, 1, f.now), 0);
		silent_for(&f, 0, 400 * MS);
		assert_int_equal(s->health, SERVER_DOWN);
		assert_true(server_group_probe_us(&f.group) <= f.now + SERVER_PROBE_MS * MS);
	}
	assert_int_equal(choose(&f), 1);
}

/* The same of a server in use: it answers each probe, and no question. */
static void test_answers_probes_alone(void **state)
{
	(void)state;
	struct fixture f;
	struct server_state *s = &f.group.servers[0];

	setup(&f, 2);
	f.group.strict = true;
	answer_after(&f, 0, 2 * MS);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(s->health, SERVER_UP);
		silent_for(&f, 0, 60 * MS);
		if (i < 3)
			server_probe_answered(&f.group, s, 2 * MS, f.now);
	}
	assert_int_equal(s->health, SERVER_DOWN);
	assert_int_equal(choose(&f), 1);
	server_probe_answered(&f.group, s, 2 * MS, f.now);
	assert_int_equal(s->health, SERVER_RETURNING);
	answer_after(&f, 0, 2 * MS);
	silent_for(&f, 0, 60 * MS);
	assert_int_equal(s->health, SERVER_UP);
}

/* With nobody else, an answered probe is enough; and so is any answer. */
static void test_all_down(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f, 2);
	for (int i = 0; i < 2; i++) {
		silent_for(&f, i, 60 * MS);
		silent_for(&f, i, 60 * MS);
		assert_int_equal(f.group.servers[i].health, SERVER_DOWN);
	}
	assert_int_equal(choose(&f), 0);
	server_probe_answered(&f.group, &f.group.servers[1], 1 * MS, f.now);
	assert_int_equal(f.group.servers[1].health, SERVER_UP);
	assert_int_equal(choose(&f), 1);
	answer_after(&f, 0, 10 * MS);
	assert_int_equal(f.group.servers[0].health, SERVER_UP);
}

/* --- hedges and copies --- */

static void test_hedge_bound(void **state)
{
	(void)state;
	struct fixture f;
	unsigned hedges = 0;

	setup(&f, 2);
	answer_after(&f, 0, 10 * MS);
	answer_after(&f, 1, 10 * MS);
	f.packets[0] = 1;
	for (int i = 0; i < 1000; i++) {
		server_group_asked(&f.group);
		hedges += server_hedge(&f.group, &f.group.servers[0], f.packets, false, f.now) == 1;
	}
	assert_in_range(hedges, 95, 100);
	for (int i = 0; i < 1000; i++)
		server_group_asked(&f.group);
	hedges = 0;
	for (int i = 0; i < 100; i++)
		hedges += server_hedge(&f.group, &f.group.servers[0], f.packets, false, f.now) == 1;
	assert_int_equal(hedges, 10);

	server_group_begin(&f.group);
	assert_int_equal(
		server_hedge(&f.group, &f.group.servers[0], f.packets, false, f.now), 1);

	/* Silent as a whole: without limit, but never to one that is silent too. */
	for (int i = 0; i < 4; i++)
		server_asked(&f.group.servers[0], f.now);
	f.now += 60 * MS;
	assert_true(server_is_silent(&f.group.servers[0], f.now));
	for (int i = 0; i < 100; i++)
		assert_int_equal(
			server_hedge(&f.group, &f.group.servers[0], f.packets, false, f.now), 1);
	for (int i = 0; i < 4; i++)
		server_asked(&f.group.servers[1], f.now);
	f.now += 60 * MS;
	assert_int_equal(server_hedge(&f.group, &f.group.servers[0], f.packets, false, f.now), -1);
}

/* Once a second, in turn, until the slow one is seen to be fast. */
static void test_explore(void **state)
{
	(void)state;
	struct fixture f;
	unsigned copies[3] = {0};

	setup(&f, 3);
	assert_int_equal(server_explore(&f.group, 0, f.now), 1); /* never measured */
	assert_int_equal(server_explore(&f.group, 0, f.now), 2);
	answer_after(&f, 0, 40 * MS);
	answer_after(&f, 1, 300 * MS);
	answer_after(&f, 2, 300 * MS);
	int64_t end_us = f.now + 60 * US_PER_S;

	for (; f.now < end_us && choose(&f) == 0; f.now += 10 * MS) {
		server_group_asked(&f.group);
		int to = server_explore(&f.group, 0, f.now);

		if (to < 0)
			continue;
		copies[to]++;
		server_answered(&f.group.servers[to], to == 2 ? 5 * MS : 300 * MS, f.now);
	}
	assert_int_equal(choose(&f), 2);
	assert_int_equal(copies[0], 0);
	assert_in_range(copies[1], copies[2] - 1, copies[2] + 1);
	assert_in_range(copies[2], 5, 25);

	/* However seldom clients ask: one question of ten. */
	memset(copies, 0, sizeof(copies));
	for (int i = 0; i < 100; i++) {
		f.now += 10 * US_PER_S;
		server_group_asked(&f.group);
		copies[1] += server_explore(&f.group, 0, f.now) >= 0;
	}
	assert_in_range(copies[1], 9, 10);

	f.group.strict = true;
	f.now += 10 * US_PER_S;
	assert_int_equal(server_explore(&f.group, 0, f.now), -1);
	f.group.count = 1;
	assert_int_equal(server_explore(&f.group, 0, f.now), -1);
}

/* --- in words --- */

static void test_status(void **state)
{
	(void)state;
	struct fixture f;
	char text[SERVER_STATUS_TEXT_MAX];
	struct server_state *s = f.group.servers;

	setup(&f, 3);
	answer_after(&f, 0, 20 * MS);
	answer_after(&f, 1, 100 * MS);
	assert_string_equal(server_status_word(&s[0], s, 3, false), "ok");
	assert_string_equal(server_status_word(&s[1], s, 3, false), "slow");
	assert_string_equal(server_status_word(&s[1], s, 3, true), "ok");
	assert_string_equal(server_status_word(&s[2], s, 3, false), "ok");
	s[0].edns_works = true;
	s[0].sent = 3, s[0].timed_out = 1, s[0].failed = 2, s[0].hedges = 4, s[0].downs = 5;
	assert_string_equal(server_status_text(&s[0], "ok", f.now, text),
		"state=ok srtt_us=20000 rttvar_us=10000 sent=3 answered=1 timeouts=1 failures=2 "
		"hedges=4 backoffs=5 silent_s=0 edns=yes case=off cookies=off doubted=0 spoofed=0");
	s[0].failures_in_row = 5;
	assert_string_equal(server_status_word(&s[0], s, 3, false), "failing");
	s[0].health = SERVER_RETURNING;
	assert_string_equal(server_status_word(&s[0], s, 3, false), "returning");
	silent_for(&f, 0, 60 * MS);
	assert_string_equal(server_status_word(&s[0], s, 3, false), "backoff");
	f.now += 3 * US_PER_S;
	s[0].down_us = f.now - 3 * US_PER_S;
	assert_non_null(strstr(
		server_status_text(&s[0], "backoff", f.now, text), "state=backoff"));
	assert_non_null(strstr(text, "silent_s=3"));
}

/* The latest news of whether it is up, the sum of the counts, round trips by their weight. */
static void test_merge(void **state)
{
	(void)state;
	struct server_state a = {.srtt_us = 100, .rttvar_us = 10, .answered = 3, .sent = 4};
	struct server_state b = {.srtt_us = 200, .rttvar_us = 50, .answered = 1, .sent = 2};
	struct server_state none = {.health = SERVER_UP};

	a.health = SERVER_DOWN, a.silence_us = 5;
	b.answered_us = 9;
	server_status_merge(&a, &b);
	assert_int_equal(a.health, SERVER_UP);
	assert_int_equal(a.srtt_us, 125);
	assert_int_equal(a.rttvar_us, 20);
	assert_int_equal(a.sent, 6);
	b.health = SERVER_DOWN;
	server_status_merge(&a, &b); /* no news */
	assert_int_equal(a.health, SERVER_UP);
	b.silence_us = 10;
	server_status_merge(&a, &b);
	server_status_merge(&a, &none);
	assert_int_equal(a.health, SERVER_DOWN);
	server_status_merge(&none, &a);
	assert_int_equal(none.health, SERVER_DOWN);
	assert_int_equal(none.srtt_us, a.srtt_us);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_order_of_unmeasured),
		cmocka_unit_test(test_fastest),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_down_is_last),
		cmocka_unit_test(test_failing),
		cmocka_unit_test(test_no_silence),
		cmocka_unit_test(test_slow_is_measured),
		cmocka_unit_test(test_down_and_back),
		cmocka_unit_test(test_returns_in_vain),
		cmocka_unit_test(test_answers_probes_alone),
		cmocka_unit_test(test_all_down),
		cmocka_unit_test(test_hedge_bound),
		cmocka_unit_test(test_explore),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}

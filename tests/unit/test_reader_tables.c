/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Totals of the hours and tables of clients, over a real redis-server that is filled by hand after
 * the schema: hours that only the stream knows any more, clients in several pages, values that are
 * none. Where redis-server is not installed the tests are skipped, and say so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/telemetry/redis/reader_clients.h"
#include "resolver/telemetry/redis/reader_totals.h"
#include "tests/unit/redis_server.h"

#define TIMEOUT_MS 10000
#define HOUR INT64_C(497090) /* 2026-09-16 02:00 UTC */

static struct reader *open_reader(void)
{
	char words[READER_WORDS_MAX];
	enum td_error error;

	if (!redis)
		skip();
	put("FLUSHALL");
	struct reader *reader = reader_open(url, NULL, "gw1", TIMEOUT_MS, words, &error);
	assert_non_null(reader);
	return reader;
}

/* --- totals --- */

static void add_entry(const char *id, const char *hour, int queries)
{
	put("XADD teredown:{gw1}:hours %s hour %s ts 1 queries %d watched 1 bogus 5", id, hour,
		queries);
}

static void test_totals(void **state)
{
	struct reader *reader = open_reader();
	struct reader_total rows[6];

	(void)state;
	add_entry("1789514000000-0", "2026091523", 11); /* HOUR - 3, by the hash too */
	add_entry("1789516800000-0", "2026091600", 12); /* HOUR - 2 */
	add_entry("1789520400001-7", "2026091600", 99); /* the clock stepped: the newest counts */
	add_entry("1789520400001-8", "nonsense", 77);
	put("HSET teredown:{gw1}:hour:2026091523 queries 1000 blocked 3 servfail x tcp -1");
	put("HSET teredown:{gw1}:hour:2026091602 queries 5 cached 4");
	assert_int_equal(reader_totals(reader, (struct reader_span){HOUR - 4, 6}, rows), TD_OK);
	assert_false(rows[0].known);
	assert_int_equal(rows[1].counters[COUNTER_queries], 1000); /* not the copy's 11 */
	assert_int_equal(rows[1].counters[COUNTER_blocked], 3);
	assert_int_equal(rows[1].counters[COUNTER_watched], 0);
	assert_int_equal(rows[1].counters[COUNTER_servfail], 0);
	assert_int_equal(rows[1].counters[COUNTER_tcp], 0);
	assert_int_equal(rows[2].counters[COUNTER_queries], 99);
	assert_int_equal(rows[2].counters[COUNTER_watched], 1);
	assert_false(rows[3].known);
	assert_int_equal(rows[3].counters[COUNTER_queries], 0);
	assert_int_equal(rows[4].counters[COUNTER_queries], 5);
	assert_int_equal(rows[4].counters[COUNTER_cached], 4);
	assert_false(rows[5].known);
	reader_close(&reader);
}

/* More hours than go in one slice, and more entries than in one call. */
static void test_many_hours(void **state)
{
	enum { HOURS = 1300 };
	struct reader_total *rows = calloc(HOURS, sizeof(*rows));
	struct reader *reader = open_reader();

	(void)state;
	assert_non_null(rows);
	for (int i = 0; i < HOURS; i += 2) {
		time_t seconds = (time_t)((HOUR - HOURS + i) * 3600);
		struct tm parts;
		char hour[16], id[32];
		gmtime_r(&seconds, &parts);
		strftime(hour, sizeof(hour), "%Y%m%d%H", &parts);
		snprintf(id, sizeof(id), "%lld000-0", (long long)seconds);
		add_entry(id, hour, i + 1);
	}
	assert_int_equal(
		reader_totals(reader, (struct reader_span){HOUR - HOURS, HOURS}, rows), TD_OK);
	for (int i = 0; i < HOURS; i++)
		assert_int_equal(rows[i].counters[COUNTER_queries], i % 2 == 0 ? i + 1 : 0);
	assert_int_equal(reader_totals(reader, (struct reader_span){-5, 2}, rows), TD_TOO_LONG);
	reader_close(&reader);
	free(rows);
}

static void test_wrong_type(void **state)
{
	struct reader *reader = open_reader();
	struct reader_total rows[3];

	(void)state;
	put("SET teredown:{gw1}:hour:2026091601 text");
	assert_int_equal(
		reader_totals(reader, (struct reader_span){HOUR - 2, 3}, rows), TD_REFUSED);
	/* The replies were taken to the end. */
	put("DEL teredown:{gw1}:hour:2026091601");
	put("HSET teredown:{gw1}:hour:2026091602 queries 5");
	assert_int_equal(reader_totals(reader, (struct reader_span){HOUR - 2, 3}, rows), TD_OK);
	assert_int_equal(rows[2].counters[COUNTER_queries], 5);
	reader_close(&reader);
}

/* --- clients --- */

static void client_text(int number, char out[24])
{
	snprintf(out, 24, "10.0.%d.%d", number / 250, number % 250);
}

static void add_clients(int count)
{
	for (int i = 0; i < count; i++) {
		char client[24];
		client_text(i, client);
		put("ZADD teredown:{gw1}:clients %lld %s", INT64_C(1700000000000) + i * 1000,
			client);
	}
}

static void test_clients_seen(void **state)
{
	enum { CLIENTS = 2350 };
	struct reader *reader = open_reader();
	struct reader_clients_mark mark;
	struct reader_ranks seen;
	struct arena arena;
	uint64_t since;
	char client[24];

	(void)state;
	arena_init(&arena);
	add_clients(CLIENTS);
	put("HSET teredown:{gw1}:meta queries 12345");
	put("HSET teredown:{gw1}:client:*other queries 7");
	assert_int_equal(reader_clients_mark(reader, &mark), TD_OK);
	assert_int_equal(mark.queries, 12345);
	assert_int_equal(mark.clients, CLIENTS);
	assert_int_equal(mark.other, 7);
	assert_int_equal(reader_clients_seen(reader, &arena, 0, 100000, &seen), TD_OK);
	assert_int_equal(seen.count, CLIENTS);
	for (int i = 0; i < CLIENTS; i++) {
		client_text(CLIENTS - 1 - i, client);
		assert_string_equal(seen.rows[i].member, client);
	}
	int64_t middle = INT64_C(1700000000000) + (CLIENTS - 1500) * 1000;
	assert_int_equal(reader_clients_seen(reader, &arena, middle, 100000, &seen), TD_OK);
	assert_int_equal(seen.count, 1500);
	assert_int_equal(reader_clients_seen(reader, &arena, 0, 7, &seen), TD_OK);
	assert_int_equal(seen.count, 7);
	assert_int_equal(seen.total, CLIENTS);
	assert_int_equal(reader_clients_since(reader, middle, &since), TD_OK);
	assert_int_equal(since, 1500);
	put("ZADD teredown:{gw1}:clients %lld *other", (long long)middle);
	assert_int_equal(reader_clients_since(reader, middle, &since), TD_OK);
	assert_int_equal(since, 1500);
	assert_int_equal(reader_clients_mark(reader, &mark), TD_OK);
	assert_int_equal(mark.clients, CLIENTS);
	put("FLUSHALL");
	assert_int_equal(reader_clients_seen(reader, &arena, 0, 7, &seen), TD_OK);
	assert_int_equal(seen.count, 0);
	arena_deinit(&arena);
	reader_close(&reader);
}

static void test_client_rows(void **state)
{
	enum { CLIENTS = 1100 };
	static struct reader_client_row rows[CLIENTS];
	static char clients[CLIENTS][24];
	struct reader *reader = open_reader();
	struct arena arena;

	(void)state;
	arena_init(&arena);
	for (int i = 0; i < CLIENTS; i++) {
		client_text(i, clients[i]);
		rows[i].client = clients[i];
		if (i % 3 == 0)
			put("HSET teredown:{gw1}:client:%s queries %d last_seen 1700000000000",
				clients[i], i);
	}
	put("HSET teredown:{gw1}:client:10.0.0.0 queries 7 watched 6 blocked 5 cached 4 nxdomain 3 "
	    "first_seen 1 told_teredo 11 told_teredo_last 12 told_teredo_server 65.55.158.118 "
	    "name %s forwarder %s",
		"a<b>", "many names");
	put("HSET teredown:{gw1}:client:10.0.0.3 queries -1 watched 1e9 blocked x name %s", "");
	assert_int_equal(reader_client_rows(reader, &arena, rows, CLIENTS), TD_OK);
	assert_true(rows[0].known);
	assert_int_equal(rows[0].queries, 7);
	assert_int_equal(rows[0].watched + rows[0].blocked + rows[0].cached + rows[0].nxdomain, 18);
	assert_int_equal(rows[0].told_ms, 11);
	assert_int_equal(rows[0].told_last_ms, 12);
	assert_string_equal(rows[0].told_server, "65.55.158.118");
	assert_string_equal(rows[0].name, "a<b>");
	assert_string_equal(rows[0].forwarder, "many names");
	assert_false(rows[1].known);
	assert_null(rows[1].name);
	assert_int_equal(rows[3].queries + rows[3].watched + rows[3].blocked, 0);
	assert_null(rows[3].name);
	for (int i = 6; i < CLIENTS; i++)
		assert_int_equal(rows[i].queries, i % 3 == 0 ? i : 0);
	arena_deinit(&arena);
	reader_close(&reader);
}

static void test_watched_names(void **state)
{
	enum { NAMES = 230 };
	static char texts[NAMES][32];
	static const char *names[NAMES];
	static bool found[NAMES];
	const int64_t hours[] = {HOUR, HOUR - 2};
	struct reader *reader = open_reader();

	(void)state;
	for (int i = 0; i < NAMES; i++) {
		snprintf(texts[i], sizeof(texts[i]), "n%d.example.", i);
		names[i] = texts[i];
	}
	put("ZADD teredown:{gw1}:hour:2026091602:watched-names 3 %s 2 %s", "192.0.2.7 n5.example.",
		"192.0.2.8 n6.example.");
	put("ZADD teredown:{gw1}:hour:2026091600:watched-names 1 %s", "192.0.2.7 n229.example.");
	put("ZADD teredown:{gw1}:hour:2026091601:watched-names 1 %s", "192.0.2.7 n8.example.");
	assert_int_equal(
		reader_watched_names(reader, "192.0.2.7", names, NAMES, hours, 2, found), TD_OK);
	for (int i = 0; i < NAMES; i++)
		assert_int_equal(found[i], i == 5 || i == 229);
	assert_int_equal(
		reader_watched_names(reader, "192.0.2.7", names, NAMES, hours, 0, found), TD_OK);
	assert_false(found[5]);
	reader_close(&reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_many_hours),
		cmocka_unit_test(test_wrong_type),
		cmocka_unit_test(test_clients_seen),
		cmocka_unit_test(test_client_rows),
		cmocka_unit_test(test_watched_names),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}

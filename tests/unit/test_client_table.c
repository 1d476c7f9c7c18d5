/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of all clients, over a real redis-server that is filled by hand after the schema: what
 * is read again and what is not (by Redis's own count of commands), counts that come late, clients
 * that go, sums over a fleet, every order, and Redis that goes away. Where redis-server is not
 * installed the tests are skipped, and say so.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/control/client_table.h"
#include "tests/unit/redis_server.h"

#define TIMEOUT_MS 10000
#define T0 INT64_C(1700000000000)

static const struct hash_seed seed = {1, 2};
static struct client_tables *tables;
static struct fleet *fleet;
static struct arena arena;
static int64_t mono_ms;
static struct client_page page;

static void open_fleet(const char *resolver)
{
	char words[READER_WORDS_MAX];
	enum td_error error;

	fleet_close(&fleet);
	fleet = fleet_open(url, NULL, resolver, TIMEOUT_MS, words, &error);
	assert_non_null(fleet);
}

static int begin(void **state)
{
	(void)state;
	if (!redis)
		return 0;
	put("FLUSHALL");
	put("SADD teredown:resolvers gw1 gw2");
	arena_init(&arena);
	tables = client_tables_new(seed, 20000);
	mono_ms = 1000000;
	open_fleet("gw1");
	return tables ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	if (!redis)
		return 0;
	client_tables_free(&tables);
	fleet_close(&fleet);
	arena_deinit(&arena);
	return 0;
}

/* As the script writes a batch: the client's counters, its last-seen time, and the sum. */
static void count(int resolver, const char *client, int queries, int64_t seen_ms)
{
	put("HINCRBY teredown:{gw%d}:client:%s queries %d", resolver, client, queries);
	put("HINCRBY teredown:{gw%d}:meta queries %d", resolver, queries);
	if (strcmp(client, "*other") == 0)
		return;
	put("HSET teredown:{gw%d}:client:%s last_seen %lld", resolver, client, (long long)seen_ms);
	put("ZADD teredown:{gw%d}:clients %lld %s", resolver, (long long)seen_ms, client);
}

static void set(const char *client, const char *field, const char *value)
{
	put("HSET teredown:{gw1}:client:%s %s %s", client, field, value);
}

static enum td_error ask_page(
	enum client_column column, bool ascending, const char *search, size_t offset, size_t limit)
{
	const struct client_query query = {column, ascending, search, offset, limit};

	return client_table_page(tables, fleet, &query, mono_ms, T0, &arena, &page);
}

static void all(void)
{
	assert_int_equal(ask_page(CLIENT_BY_QUERIES, false, "", 0, 1000), TD_OK);
}

static void wait_until_stale(void)
{
	mono_ms += CLIENT_TABLE_FRESH_MS;
}

static const struct reader_client_row *row_of(const char *client)
{
	for (size_t i = 0; i < page.count; i++)
		if (strcmp(page.rows[i].client, client) == 0)
			return &page.rows[i];
	return NULL;
}

/* How often a command ran since the statistics were reset. */
static long calls_of(const char *command)
{
	char key[64];
	redisReply *reply = redisCommand(redis, "INFO commandstats");
	assert_non_null(reply);
	snprintf(key, sizeof(key), "cmdstat_%s:calls=", command);
	const char *at = strstr(reply->str, key);
	long calls = at ? strtol(at + strlen(key), NULL, 10) : 0;
	freeReplyObject(reply);
	return calls;
}

static void reset_calls(void)
{
	put("CONFIG RESETSTAT");
}

static void need_redis(void)
{
	if (!redis)
		skip();
}

/* --- what is read --- */

static void test_only_what_changed(void **state)
{
	(void)state;
	need_redis();
	for (int i = 0; i < 300; i++) {
		char client[24];
		snprintf(client, sizeof(client), "10.0.0.%d", i);
		count(1, client, i + 1, T0 + (int64_t)i * 60000);
	}
	all();
	assert_int_equal(page.count, 300);
	assert_int_equal(page.total, 300);
	assert_int_equal(page.as_of_ms, T0);
	assert_false(page.stale);
	reset_calls();
	all(); /* fresh */
	assert_int_equal(calls_of("zcard") + calls_of("hmget"), 0);
	wait_until_stale();
	all(); /* nothing has changed */
	assert_int_equal(calls_of("hmget"), 0);
	count(1, "10.0.0.5", 1000, T0 + 300 * 60000);
	wait_until_stale();
	reset_calls();
	all();
	assert_int_equal(row_of("10.0.0.5")->queries, 1006);
	assert_string_equal(page.rows[0].client, "10.0.0.5");
	assert_in_range(calls_of("hmget"), 1, 5);
}

/* Counts of a client that was seen long ago: its last-seen time is not among the newest. */
static void test_late_counts(void **state)
{
	(void)state;
	need_redis();
	count(1, "10.0.0.1", 5, T0);
	count(1, "10.0.0.2", 7, T0 + 3600000);
	all();
	count(1, "10.0.0.1", 100, T0 + 1000);
	wait_until_stale();
	all(); /* finds that the sum does not fit */
	mono_ms += 60000;
	all();
	assert_int_equal(row_of("10.0.0.1")->queries, 105);
}

static void test_who_goes(void **state)
{
	(void)state;
	need_redis();
	count(1, "10.0.0.1", 5, T0);
	count(1, "10.0.0.2", 7, T0 + 3600000);
	all();
	assert_int_equal(page.total, 2);
	/* Folded, as the script does: the sum stays the same. */
	put("ZREM teredown:{gw1}:clients 10.0.0.1");
	put("DEL teredown:{gw1}:client:10.0.0.1");
	put("HINCRBY teredown:{gw1}:client:*other queries 5");
	wait_until_stale();
	all();
	mono_ms += 60000;
	all();
	assert_null(row_of("10.0.0.1"));
	assert_int_equal(row_of("*other")->queries, 5);
	assert_int_equal(page.total, 2);
	/* Forgotten: "*other" is listed instead, so that neither the sum nor the number changes. */
	put("ZREM teredown:{gw1}:clients 10.0.0.2");
	put("ZADD teredown:{gw1}:clients 1 *other");
	put("DEL teredown:{gw1}:client:10.0.0.2");
	put("HINCRBY teredown:{gw1}:client:*other queries 7");
	wait_until_stale();
	all(); /* at once */
	assert_null(row_of("10.0.0.2"));
	assert_int_equal(row_of("*other")->queries, 12);
	put("FLUSHALL");
	wait_until_stale();
	all();
	mono_ms += 60000;
	all();
	assert_int_equal(page.total, 0);
}

static void test_fleet(void **state)
{
	(void)state;
	need_redis();
	count(1, "10.0.0.1", 5, T0);
	set("10.0.0.1", "name", "old");
	set("10.0.0.1", "first_seen", "1000");
	count(2, "10.0.0.1", 6, T0 + 5000);
	put("HSET teredown:{gw2}:client:10.0.0.1 name new first_seen 2000 told_teredo 7 "
	    "told_teredo_last 8 told_teredo_server 192.0.2.1");
	count(2, "10.0.0.2", 1, T0);
	count(1, "*other", 3, T0);
	count(2, "*other", 4, T0);
	open_fleet(NULL);
	all();
	assert_int_equal(page.total, 3);
	const struct reader_client_row *row = row_of("10.0.0.1");
	assert_int_equal(row->queries, 11);
	assert_int_equal(row->first_ms, 1000);
	assert_int_equal(row->last_ms, T0 + 5000);
	assert_int_equal(row->told_ms, 7);
	assert_string_equal(row->told_server, "192.0.2.1");
	assert_string_equal(row->name, "new");
	assert_int_equal(row_of("*other")->queries, 7);
	/* What one resolver says anew is added to what the other had said. */
	count(2, "10.0.0.1", 100, T0 + 9000);
	wait_until_stale();
	all();
	assert_int_equal(row_of("10.0.0.1")->queries, 111);
	uint64_t since;
	assert_int_equal(
		client_table_since(tables, fleet, T0 + 1, 1000, mono_ms, T0, &since), TD_OK);
	assert_int_equal(since, 1);
	/* One that cannot be read is set aside with all that it said. */
	put("DEL teredown:{gw2}:clients");
	put("SET teredown:{gw2}:clients text");
	wait_until_stale();
	all();
	assert_int_equal(fleet_missing(fleet), 1);
	assert_int_equal(row_of("10.0.0.1")->queries, 5);
	assert_null(row_of("10.0.0.2"));
}

static void test_bound(void **state)
{
	(void)state;
	need_redis();
	client_tables_free(&tables);
	tables = client_tables_new(seed, 10);
	for (int i = 0; i < 30; i++) {
		char client[24];
		snprintf(client, sizeof(client), "10.0.0.%d", i);
		count(1, client, 1, T0 + i);
	}
	all();
	assert_int_equal(page.total, 11);
	assert_int_equal(page.beyond, 19);
}

/* Redis may hold more of them than are ever listed. */
static void test_more_than_are_listed(void **state)
{
	(void)state;
	need_redis();
	put("EVAL %s 0", "for i = 1, 100006 do "
			 "redis.call('ZADD', 'teredown:{gw1}:clients', 1700000000000 + i, 'id-' .. i) "
			 "end "
			 "redis.call('ZADD', 'teredown:{gw1}:clients', 1, '*other')");
	count(1, "id-100006", 3, T0 + 100006);
	all();
	assert_int_equal(page.total, 1); /* of the others there is nothing but the time */
	assert_int_equal(page.beyond, 6);
}

/* --- orders, search, pages --- */

static void expect_order(enum client_column column, bool ascending, const char *words)
{
	char order[256] = "";

	assert_int_equal(ask_page(column, ascending, "", 0, 100), TD_OK);
	for (size_t i = 0; i < page.count; i++) {
		strcat(order, i ? " " : "");
		strcat(order, page.rows[i].client);
	}
	assert_string_equal(order, words);
}

static void fill_orders(void)
{
	count(1, "10.0.0.10", 5, T0 + 3);
	count(1, "10.0.0.9", 50, T0 + 2);
	count(1, "2001:db8::1", 20, T0 + 1);
	count(1, "id-lab", 20, T0 + 4);
	count(1, "*other", 30, T0);
	set("10.0.0.10", "name", "Zebra.example");
	set("id-lab", "name", "alpha.example");
	set("10.0.0.9", "watched", "3");
	set("2001:db8::1", "blocked", "4");
	set("id-lab", "cached", "9");
	set("10.0.0.10", "nxdomain", "2");
}

static void test_orders(void **state)
{
	(void)state;
	need_redis();
	fill_orders();
	expect_order(CLIENT_BY_QUERIES, false, "10.0.0.9 *other 2001:db8::1 id-lab 10.0.0.10");
	expect_order(CLIENT_BY_QUERIES, true, "10.0.0.10 2001:db8::1 id-lab *other 10.0.0.9");
	expect_order(CLIENT_BY_CLIENT, true, "10.0.0.9 10.0.0.10 2001:db8::1 id-lab *other");
	expect_order(CLIENT_BY_CLIENT, false, "id-lab 2001:db8::1 10.0.0.10 10.0.0.9 *other");
	expect_order(CLIENT_BY_NAME, true, "id-lab 10.0.0.10 10.0.0.9 2001:db8::1 *other");
	expect_order(CLIENT_BY_NAME, false, "10.0.0.10 id-lab 10.0.0.9 2001:db8::1 *other");
	expect_order(CLIENT_BY_WATCHED, false, "10.0.0.9 10.0.0.10 2001:db8::1 *other id-lab");
	expect_order(CLIENT_BY_BLOCKED, false, "2001:db8::1 10.0.0.9 10.0.0.10 *other id-lab");
	expect_order(CLIENT_BY_CACHED, false, "id-lab 10.0.0.9 10.0.0.10 2001:db8::1 *other");
	expect_order(CLIENT_BY_NXDOMAIN, false, "10.0.0.10 10.0.0.9 2001:db8::1 *other id-lab");
	expect_order(CLIENT_BY_LAST, false, "id-lab 10.0.0.10 10.0.0.9 2001:db8::1 *other");
}

static void test_search(void **state)
{
	(void)state;
	need_redis();
	fill_orders();
	assert_int_equal(ask_page(CLIENT_BY_CLIENT, true, "EXAMPLE", 0, 100), TD_OK);
	assert_int_equal(page.matching, 2);
	assert_int_equal(page.total, 5);
	assert_int_equal(ask_page(CLIENT_BY_CLIENT, true, "10.0.0.", 1, 1), TD_OK);
	assert_int_equal(page.matching, 2);
	assert_int_equal(page.count, 1);
	assert_string_equal(page.rows[0].client, "10.0.0.10");
	assert_int_equal(ask_page(CLIENT_BY_CLIENT, true, "", 77, 10), TD_OK);
	assert_int_equal(page.count, 0);
	assert_int_equal(page.matching, 5);
	assert_int_equal(ask_page(CLIENT_BY_CLIENT, true, "*other", 0, 10), TD_OK);
	assert_int_equal(page.count, 1);
	assert_int_equal(ask_page(CLIENT_BY_CLIENT, true, "%s", 0, 10), TD_OK);
	assert_int_equal(page.count, 0);
}

static void test_columns(void **state)
{
	enum client_column column;

	(void)state;
	assert_true(client_column_from_text("name", &column));
	assert_int_equal(column, CLIENT_BY_NAME);
	assert_false(client_column_from_text("", &column));
	assert_false(client_column_from_text("queries ", &column));
}

/* --- Redis goes away --- */

static void test_away(void **state)
{
	const struct client_query query = {CLIENT_BY_QUERIES, false, "", 0, 10};

	(void)state;
	need_redis();
	assert_false(client_table_last_page(tables, "gw1", &query, &arena, &page));
	count(1, "10.0.0.1", 5, T0);
	all();
	put("CLIENT KILL TYPE normal SKIPME yes");
	wait_until_stale();
	all();
	assert_true(page.stale);
	assert_true(page.failed);
	assert_int_equal(page.count, 1);
	assert_int_equal(page.as_of_ms, T0);
	all(); /* not tried again at once */
	assert_true(page.stale);
	assert_false(page.failed);
	assert_true(client_table_last_page(tables, "gw1", &query, &arena, &page));
	assert_true(page.stale);
	assert_int_equal(page.count, 1);
	open_fleet("gw1");
	wait_until_stale();
	all();
	assert_false(page.stale);
	/* With nothing from before there is nothing to show. */
	put("CLIENT KILL TYPE normal SKIPME yes");
	client_tables_free(&tables);
	tables = client_tables_new(seed, 10);
	assert_int_equal(ask_page(CLIENT_BY_QUERIES, false, "", 0, 10), TD_IO);
	assert_true(page.failed);
}

/* --- threads --- */

static void *ask_often(void *context)
{
	const struct client_query query = {CLIENT_BY_NAME, true, "10", 0, 50};
	struct fleet *own;
	struct arena mine;
	char words[READER_WORDS_MAX];
	enum td_error error;

	(void)context;
	own = fleet_open(url, NULL, "gw1", TIMEOUT_MS, words, &error);
	for (int i = 0; own && i < 60; i++) {
		struct client_page got;
		arena_init(&mine);
		error = client_table_page(tables, own, &query,
			mono_ms + (int64_t)i * CLIENT_TABLE_FRESH_MS, T0, &mine, &got);
		bool good = error == TD_OK && got.count == 50;
		arena_deinit(&mine);
		if (!good)
			break;
		if (i == 59) {
			fleet_close(&own);
			return (void *)1;
		}
	}
	fleet_close(&own);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[4];

	(void)state;
	need_redis();
	for (int i = 0; i < 200; i++) {
		char client[24];
		snprintf(client, sizeof(client), "10.0.0.%d", i);
		count(1, client, i, T0 + i);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, NULL), 0);
	for (int i = 0; i < 200; i++)
		count(1, "10.0.0.7", 1, T0 + 1000 + i);
	for (int i = 0; i < 4; i++) {
		void *good;
		pthread_join(threads[i], &good);
		assert_non_null(good);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_only_what_changed, begin, end),
		cmocka_unit_test_setup_teardown(test_more_than_are_listed, begin, end),
		cmocka_unit_test_setup_teardown(test_late_counts, begin, end),
		cmocka_unit_test_setup_teardown(test_who_goes, begin, end),
		cmocka_unit_test_setup_teardown(test_fleet, begin, end),
		cmocka_unit_test_setup_teardown(test_bound, begin, end),
		cmocka_unit_test_setup_teardown(test_orders, begin, end),
		cmocka_unit_test_setup_teardown(test_search, begin, end),
		cmocka_unit_test(test_columns),
		cmocka_unit_test_setup_teardown(test_away, begin, end),
		cmocka_unit_test_setup_teardown(test_threads, begin, end),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, start_server, stop_server);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading what `teredown ingest` and `teredown remediate` left in Redis, against a real
 * redis-server filled by hand, and `teredown who` over it. Skipped where there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/telemetry/redis/reader_imports.h"
#include "tests/unit/redis_server.h"

#define TIMEOUT_MS 10000
#define P "teredown:{gw1}:"

static struct arena arena;

static void put_history(const char *address, const char *client_name, const char *value)
{
	put("ZADD " P "addresses 1 %s", address);
	put("HSET " P "history:%s %b %b", address, client_name, strlen(client_name), value,
		strlen(value));
}

static struct reader *open_filled(void)
{
	char words[READER_WORDS_MAX];

	if (!redis)
		skip();
	put("FLUSHALL");
	put("ZADD " P "addresses 1 192.0.2.90 2 192.0.2.91");
	put_history("198.51.100.1", "192.0.2.1 a.example.", "1000 9000 7 certain");
	put_history("198.51.100.1", "192.0.2.2 a.example.", "1000 9000 5 ambiguous");
	put_history("198.51.100.1", "192.0.2.1 b.example.", "1000 9000 3 certain");
	put_history("198.51.100.2", "192.0.2.1 a.example.", "2000 3000 1 certain");
	struct reader *reader = reader_open(url, NULL, "gw1", TIMEOUT_MS, words, NULL);
	assert_non_null(reader);
	arena_init(&arena);
	return reader;
}

static void close_reader(struct reader *reader)
{
	arena_deinit(&arena);
	reader_close(&reader);
}

static size_t count_history(struct reader *reader, const char *address, const char *client,
	const char *name, size_t limit, bool cut)
{
	const struct reader_history_wanted wanted = {address, client, name, limit};
	struct reader_histories history;

	assert_int_equal(reader_history(reader, &arena, &wanted, &history), TD_OK);
	assert_int_equal(history.cut, cut);
	return history.count;
}

static void test_history(void **state)
{
	struct reader *reader = open_filled();
	const struct reader_history_wanted all = {.limit = 10};
	struct reader_histories history;

	(void)state;
	assert_int_equal(reader_history(reader, &arena, &all, &history), TD_OK);
	assert_int_equal(history.count, 4);
	assert_string_equal(history.rows[0].address, "198.51.100.1");
	assert_string_equal(history.rows[0].client, "192.0.2.1");
	assert_string_equal(history.rows[0].name, "a.example.");
	assert_int_equal(history.rows[0].first_ms, 1000);
	assert_int_equal(history.rows[0].last_ms, 9000);
	assert_int_equal(history.rows[0].count, 7);
	assert_true(history.rows[0].certain);
	assert_false(history.rows[1].certain);
	assert_string_equal(history.rows[3].address, "198.51.100.2");
	assert_int_equal(count_history(reader, "198.51.100.1", NULL, NULL, 10, false), 3);
	assert_int_equal(count_history(reader, "198.51.100.1", "192.0.2.1", NULL, 10, false), 2);
	assert_int_equal(count_history(reader, NULL, "192.0.2.1", "a.example.", 10, false), 2);
	assert_int_equal(count_history(reader, NULL, "192.0.2", NULL, 10, false), 0);
	assert_int_equal(count_history(reader, "198.51.100.9", NULL, NULL, 10, false), 0);
	assert_int_equal(count_history(reader, NULL, NULL, NULL, 2, true), 2);
	close_reader(reader);
}

/* What does not fit the schema is passed over. */
static void test_strange_history(void **state)
{
	static const char *const values[] = {"", "1", "1 2 3", "1 2 3 maybe", "a 2 3 certain",
		"1 2 -3 certain", "1 2 3 certain more", "1  2 3 certain", " 1 2 3 certain"};
	struct reader *reader = open_filled();
	char field[64];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		snprintf(field, sizeof(field), "192.0.2.%zu c.example.", i);
		put_history("198.51.100.3", field, values[i]);
	}
	put_history("198.51.100.3", "nospace", "1 2 3 certain");
	put_history("198.51.100.3", " c.example.", "1 2 3 certain");
	put_history("198.51.100.3", "192.0.2.1 *other", "1 2 3 certain");
	assert_int_equal(count_history(reader, "198.51.100.3", NULL, NULL, 100, false), 1);
	assert_int_equal(count_history(reader, NULL, NULL, NULL, 100, false), 5);
	close_reader(reader);
}

static void test_many(void **state)
{
	struct reader *reader = open_filled();
	char field[64];

	(void)state;
	for (int i = 0; i < 3000; i++) {
		snprintf(field, sizeof(field), "192.0.2.1 n%d.example.", i);
		put_history("198.51.100.4", field, "1 2 3 certain");
		snprintf(field, sizeof(field), "203.0.113.%d", i);
		put("ZADD " P "addresses 1 %s", field);
	}
	assert_int_equal(count_history(reader, "198.51.100.4", NULL, NULL, 5000, false), 3000);
	assert_int_equal(count_history(reader, NULL, NULL, NULL, 5000, false), 3004);
	assert_int_equal(count_history(reader, NULL, NULL, "n2999.example.", 5000, false), 1);
	assert_int_equal(count_history(reader, "198.51.100.4", NULL, NULL, 50, true), 50);
	close_reader(reader);
}

static void test_values(void **state)
{
	struct reader *reader = open_filled();
	struct reader_value rows[1200];

	(void)state;
	put("HSET " P "client:192.0.2.7 name desk.example.");
	put("HSET " P "eventlog desk %s", "{\"at\":1}");
	for (size_t i = 0; i < 1200; i++)
		rows[i] = (struct reader_value){"192.0.2.8", "stale"};
	rows[1100].of = "192.0.2.7";
	assert_int_equal(reader_values(reader, &arena, READER_ABOUT_NAME, rows, 1200), TD_OK);
	for (size_t i = 0; i < 1200; i++)
		if (i != 1100)
			assert_null(rows[i].value);
	assert_string_equal(rows[1100].value, "desk.example.");
	rows[0].of = "desk";
	assert_int_equal(reader_values(reader, &arena, READER_ABOUT_EVENTLOG, rows, 1200), TD_OK);
	assert_string_equal(rows[0].value, "{\"at\":1}");
	assert_int_equal(reader_values(reader, &arena, READER_ABOUT_REMEDIATION, rows, 1), TD_OK);
	assert_null(rows[0].value);
	put("SET " P "remediated x"); /* of another type */
	assert_int_equal(
		reader_values(reader, &arena, READER_ABOUT_REMEDIATION, rows, 2), TD_REFUSED);
	assert_int_equal(reader_values(reader, &arena, READER_ABOUT_EVENTLOG, rows, 1), TD_OK);
	close_reader(reader);
}

/* Nothing of what a stranger wrote reaches a terminal raw, whatever it is. */
static void test_hostile(void **state)
{
	static const char evil[] = "a\033[2J\nforged.";
	struct reader *reader = open_filled();
	char field[64];

	(void)state;
	close_reader(reader);
	snprintf(field, sizeof(field), "192.0.2.1 %s", evil);
	put("HSET " P "meta schema 2 recording_since 1700000000000");
	put("HSET " P "client:192.0.2.1 queries 1 first_seen 1 last_seen 2 name %b", evil,
		strlen(evil));
	put("HSET " P "pair:198.51.100.1 %b %s", field, strlen(field), "1 2 3 -");
	put_history("198.51.100.1", field, "1 2 3 ambiguous");
	put("HSET " P "eventlog 192.0.2.1 %s",
		"{\"at\":1700000000000,\"state\":\"\\u001b[31m\",\"event\":{},\"text\":[1]}");
	put("HSET " P "remediated 192.0.2.1 %s", "{\"at\":17,\"by\":\"\\u001b\",\"method\":7");
	put("HSET " P "ingest x %s y %s z %s", "not json", "{\"format\":\"dnsmasq\"}",
		"{\"format\":\"squid\",\"first\":\"9999999999999999999999\",\"last\":-5}");
	for (int json = 0; json < 2; json++) {
		assert_int_equal(run("who", "198.51.100.1", json ? "--json" : NULL, NULL), CLI_OK);
		assert_null(strchr(said, '\033'));
		assert_null(strstr(said, "\nforged"));
		assert_non_null(strstr(said, "forged"));
		assert_int_equal(run("who", "192.0.2.1", json ? "--json" : NULL, NULL), CLI_OK);
		assert_null(strchr(said, '\033'));
		assert_null(strstr(said, "\nforged"));
		assert_non_null(strstr(said, json ? "\"eventlog\":{\"at\"" : "EVENT LOG SAYS"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_history),
		cmocka_unit_test(test_strange_history),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reading Redis: against a real redis-server on a socket in a temporary folder, filled by hand
 * after the schema. The core of it: two names share an address, two clients asked one each, and no
 * view may show a client with the other's name. Where redis-server is not installed the tests are
 * skipped, and say so.
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

#include "resolver/telemetry/redis/reader.h"
#include "resolver/telemetry/redis/redis_address.h"
#include "tests/unit/redis_server.h"

#define TIMEOUT_MS 10000
#define P "teredown:{gw1}:"

static const char microsoft[] = "teredo.ipv6.microsoft.com.";
static const char example[] = "www.example.com.";

static void put_client(const char *client, const char *name, int queries)
{
	put("HSET " P "client:%s queries %d watched 3 noerror %d first_seen 1000 last_seen 9000",
		client, queries, queries);
	put("ZADD " P "clients:queries %d %s", queries, client);
	put("ZADD " P "client:%s:names %d %s", client, queries, name);
	put("ZADD " P "name:%s:clients %d %s", name, queries, client);
}

/* 192.0.2.1 asked microsoft, 192.0.2.2 asked example; both names led to 65.55.158.118. */
static void fill(void)
{
	put("FLUSHALL");
	put("SADD teredown:resolvers gw1 gw2");
	put("HSET " P "meta schema 1 recording_since 1700000000000 dropped_pairs 2 dropped_top 1");
	put_client("192.0.2.1", microsoft, 7);
	put_client("192.0.2.2", example, 5);
	put("HSET " P "pair:65.55.158.118 %b %s", "192.0.2.1 teredo.ipv6.microsoft.com.",
		(size_t)36, "1700000001000 1700000009000 7 t.nsatc.net.");
	put("HSET " P "pair:65.55.158.118 %b %s", "192.0.2.2 www.example.com.", (size_t)26,
		"1700000002000 1700000003000 4 www.example.com.");
	put("ZADD " P "name:%s 1700000009000 65.55.158.118", microsoft);
	put("ZADD " P "name:%s 1700000003000 65.55.158.118 1700000002500 203.0.113.9", example);
	put("HSET " P "pair:203.0.113.9 %b %s", "192.0.2.2 www.example.com.", (size_t)26,
		"1700000002000 1700000002500 1 www.example.com.");
	put("ZADD " P "watch:teredo 3 192.0.2.1 1 192.0.2.2");
	put("ZADD " P "watch:teredo:last 1700000009000 192.0.2.1");
}

/* A reader over fresh data; skips where there is no server. */
static struct reader *open_filled(void)
{
	char words[READER_WORDS_MAX];

	if (!redis)
		skip();
	fill();
	struct reader *reader = reader_open(url, NULL, "gw1", TIMEOUT_MS, words, NULL);
	assert_non_null(reader);
	return reader;
}

/* --- the reader --- */

static void test_meta(void **state)
{
	struct reader *reader = open_filled();
	struct reader_fields fields;
	struct reader_ranks names;
	struct arena arena;

	(void)state;
	arena_init(&arena);
	assert_int_equal(reader_meta(reader, &arena, &fields), TD_OK);
	assert_int_equal(reader_field_i64(&fields, "recording_since", 0), 1700000000000);
	assert_int_equal(reader_field_i64(&fields, "nothing", -5), -5);
	assert_null(reader_field_text(&fields, "nothing"));
	put("HSET " P "meta bad 12x");
	assert_int_equal(reader_meta(reader, &arena, &fields), TD_OK);
	assert_int_equal(reader_field_i64(&fields, "bad", -5), -5);
	assert_int_equal(reader_resolvers(reader, &arena, 10, &names), TD_OK);
	assert_int_equal(names.count, 2);
	arena_deinit(&arena);
	reader_close(&reader);
}

static void test_never_wrote(void **state)
{
	struct reader *reader = open_filled();
	struct reader_fields fields;
	struct reader_ranks ranks;
	struct reader_pairs pairs;
	struct reader_records records;
	struct arena arena;
	char words[READER_WORDS_MAX];

	(void)state;
	reader_close(&reader);
	reader = reader_open(url, NULL, "nobody", TIMEOUT_MS, words, NULL);
	arena_init(&arena);
	assert_int_equal(reader_meta(reader, &arena, &fields), TD_OK);
	assert_int_equal(fields.count, 0);
	assert_int_equal(
		reader_ranks(reader, &arena, READER_CLIENTS, "queries", 10, &ranks), TD_OK);
	assert_int_equal(ranks.count, 0);
	assert_int_equal(reader_address_pairs(reader, &arena, "65.55.158.118", 10, &pairs), TD_OK);
	assert_int_equal(pairs.count, 0);
	assert_false(pairs.cut);
	assert_int_equal(
		reader_last_records(reader, &arena, READER_TRANSACTIONS, 10, &records), TD_OK);
	assert_int_equal(records.count, 0);
	arena_deinit(&arena);
	reader_close(&reader);
}

static void test_ranks(void **state)
{
	struct reader *reader = open_filled();
	struct reader_ranks ranks;
	struct arena arena;

	(void)state;
	arena_init(&arena);
	assert_int_equal(
		reader_ranks(reader, &arena, READER_CLIENTS, "queries", 10, &ranks), TD_OK);
	assert_int_equal(ranks.count, 2);
	assert_string_equal(ranks.rows[0].member, "192.0.2.1");
	assert_int_equal(ranks.rows[0].value, 7);
	assert_int_equal(reader_ranks(reader, &arena, READER_CLIENTS, "queries", 1, &ranks), TD_OK);
	assert_int_equal(ranks.count, 1);
	assert_int_equal(ranks.total, 2);
	assert_int_equal(
		reader_ranks(reader, &arena, READER_NAME_ADDRESSES, example, 10, &ranks), TD_OK);
	assert_string_equal(ranks.rows[0].member, "65.55.158.118");
	assert_true(ranks.rows[0].value == INT64_C(1700000003000));
	put("ZADD " P "top:20231114 9007199254740993 big.example. inf forever.example.");
	assert_int_equal(
		reader_ranks(reader, &arena, READER_DAY_NAMES, "20231114", 10, &ranks), TD_OK);
	assert_int_equal(ranks.rows[0].value, 0); /* not a number that can be shown */
	arena_deinit(&arena);
	reader_close(&reader);
}

static void test_scores(void **state)
{
	struct reader *reader = open_filled();
	struct reader_rank rows[1100];
	struct reader_ranks ranks;
	struct arena arena;

	(void)state;
	arena_init(&arena);
	assert_int_equal(
		reader_ranks(reader, &arena, READER_ZONE_CLIENTS, "teredo", 10, &ranks), TD_OK);
	assert_int_equal(ranks.count, 2);
	assert_string_equal(ranks.rows[0].member, "192.0.2.1");
	assert_int_equal(ranks.rows[0].value, 3);
	for (size_t i = 0; i < 1100; i++)
		rows[i] = (struct reader_rank){i % 2 ? "192.0.2.2" : "192.0.2.1", -1};
	assert_int_equal(reader_scores(reader, READER_ZONE_LAST, "teredo", rows, 1100), TD_OK);
	assert_true(rows[1098].value == INT64_C(1700000009000));
	assert_int_equal(rows[1099].value, 0);
	assert_int_equal(reader_scores(reader, READER_ZONE_CLIENTS, "6to4", rows, 2), TD_OK);
	assert_int_equal(rows[0].value, 0);
	put("SET " P "watch:wrong x");
	assert_int_equal(reader_scores(reader, READER_ZONE_CLIENTS, "wrong", rows, 3), TD_REFUSED);
	assert_int_equal(reader_scores(reader, READER_ZONE_CLIENTS, "teredo", rows, 1), TD_OK);
	assert_int_equal(rows[0].value, 3);
	arena_deinit(&arena);
	reader_close(&reader);
}

static void test_address_pairs(void **state)
{
	struct reader *reader = open_filled();
	struct reader_pairs pairs;
	struct arena arena;

	(void)state;
	arena_init(&arena);
	assert_int_equal(reader_address_pairs(reader, &arena, "65.55.158.118", 100, &pairs), TD_OK);
	assert_int_equal(pairs.count, 2);
	assert_false(pairs.cut);
	assert_string_equal(pairs.rows[0].client, "192.0.2.1");
	assert_string_equal(pairs.rows[0].name, microsoft);
	assert_string_equal(pairs.rows[0].owner, "t.nsatc.net.");
	assert_true(pairs.rows[0].first_ms == INT64_C(1700000001000));
	assert_true(pairs.rows[0].last_ms == INT64_C(1700000009000));
	assert_int_equal(pairs.rows[0].count, 7);
	assert_string_equal(pairs.rows[1].client, "192.0.2.2");
	assert_string_equal(pairs.rows[1].name, example);
	assert_int_equal(reader_address_pairs(reader, &arena, "65.55.158.118", 1, &pairs), TD_OK);
	assert_int_equal(pairs.count, 1);
	assert_true(pairs.cut);
	arena_deinit(&arena);
	reader_close(&reader);
}

/* More than one turn of HSCAN: every pair once. */
static void test_many_pairs(void **state)
{
	struct reader *reader = open_filled();
	struct reader_pairs pairs;
	struct arena arena;
	uint64_t sum = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		char field[64], value[64];
		snprintf(field, sizeof(field), "10.0.%d.%d n%d.example.", i / 250, i % 250, i);
		snprintf(value, sizeof(value), "1 2 %d o.example.", i);
		put("HSET " P "pair:198.51.100.1 %b %b", field, strlen(field), value,
			strlen(value));
	}
	arena_init(&arena);
	assert_int_equal(
		reader_address_pairs(reader, &arena, "198.51.100.1", READER_ROWS_MAX, &pairs),
		TD_OK);
	assert_int_equal(pairs.count, 5000);
	assert_false(pairs.cut);
	for (size_t i = 0; i < pairs.count; i++)
		sum += pairs.rows[i].count;
	assert_int_equal(sum, 5000 * 4999 / 2);
	arena_deinit(&arena);
	reader_close(&reader);
}

static void test_find_pairs(void **state)
{
	struct reader *reader = open_filled();
	struct reader_pair rows[1100];
	struct reader_pairs pairs;
	struct arena arena;

	(void)state;
	for (size_t i = 0; i < 1100; i++)
		rows[i] = (struct reader_pair){
			.address = "65.55.158.118", .client = "192.0.2.2", .name = microsoft};
	rows[3].client = "192.0.2.1";
	rows[1050].name = example;
	arena_init(&arena);
	assert_int_equal(reader_find_pairs(reader, &arena, rows, 1100, &pairs), TD_OK);
	assert_int_equal(pairs.count, 2);
	assert_string_equal(pairs.rows[0].client, "192.0.2.1");
	assert_int_equal(pairs.rows[0].count, 7);
	assert_string_equal(pairs.rows[1].name, example);
	assert_int_equal(reader_find_pairs(reader, &arena, rows, 0, &pairs), TD_OK);
	assert_int_equal(pairs.count, 0);
	arena_deinit(&arena);
	reader_close(&reader);
}

/* What does not fit the schema is passed over, the rest is read. */
static void test_strange_data(void **state)
{
	struct reader *reader = open_filled();
	struct reader_pairs pairs;
	struct reader_ranks ranks;
	struct arena arena;

	(void)state;
	put("HSET " P "pair:65.55.158.118 nospace %s", "1");
	put("HSET " P "pair:65.55.158.118 %b %s", " leading", (size_t)8, "1");
	put("HSET " P "pair:65.55.158.118 %b %s", "192.0.2.3 short.", (size_t)16, "17");
	put("HSET " P "pair:65.55.158.118 %b %s", "192.0.2.4 words.", (size_t)16, "a b c d");
	put("HSET " P "pair:65.55.158.118 %b %s", "192.0.2.5 noowner.", (size_t)18, "1 2 3");
	arena_init(&arena);
	assert_int_equal(reader_address_pairs(reader, &arena, "65.55.158.118", 100, &pairs), TD_OK);
	assert_int_equal(pairs.count, 3);
	put("SET " P "clients:queries wrong");
	assert_int_equal(
		reader_ranks(reader, &arena, READER_CLIENTS, "queries", 10, &ranks), TD_REFUSED);
	assert_int_equal(ranks.count, 0);
	assert_non_null(strstr(reader_words(reader), "WRONGTYPE"));
	/* The connection is still in step. */
	assert_int_equal(
		reader_ranks(reader, &arena, READER_CLIENTS, "watched", 10, &ranks), TD_OK);
	char name[3000];
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(
		reader_ranks(reader, &arena, READER_NAME_CLIENTS, name, 10, &ranks), TD_TOO_LONG);
	arena_deinit(&arena);
	reader_close(&reader);
}

static void test_records(void **state)
{
	struct reader *reader = open_filled();
	struct reader_records records;
	struct arena arena;

	(void)state;
	for (int i = 1; i <= 5; i++)
		put("XADD " P "transactions %d-0 ts %d json {\"txn\":%d}", i, i, i);
	put("XADD " P "transactions 6-0 other field");
	arena_init(&arena);
	assert_int_equal(
		reader_last_records(reader, &arena, READER_TRANSACTIONS, 3, &records), TD_OK);
	assert_int_equal(records.count, 3);
	assert_string_equal(records.rows[0].id, "4-0");
	assert_string_equal(records.rows[0].json, "{\"txn\":4}");
	assert_string_equal(records.rows[2].id, "6-0");
	assert_int_equal(records.rows[2].json_length, 0);
	assert_int_equal(reader_next_records(reader, &arena, READER_TRANSACTIONS, "4-0", 1, 10,
				 &records),
		TD_OK);
	assert_int_equal(records.count, 2);
	assert_string_equal(records.rows[0].json, "{\"txn\":5}");
	assert_int_equal(reader_next_records(reader, &arena, READER_TRANSACTIONS, "6-0", 0, 10,
				 &records),
		TD_OK);
	assert_int_equal(records.count, 0);
	arena_deinit(&arena);
	reader_close(&reader);
}

/* More than come in one reply: none twice, none left out, in order. */
static void test_many_records(void **state)
{
	struct reader *reader = open_filled();
	struct reader_records records;
	struct arena arena;
	char id[24];

	(void)state;
	put("DEL " P "transactions");
	put("EVAL %s 0", "for i = 1, 1300 do redis.call('XADD', 'teredown:{gw1}:transactions', "
			 "i .. '-0', 'ts', i, 'json', '{}') end");
	arena_init(&arena);
	for (size_t limit = 1000; limit <= 2000; limit += 250) {
		assert_int_equal(reader_last_records(
					 reader, &arena, READER_TRANSACTIONS, limit, &records),
			TD_OK);
		assert_int_equal(records.count, limit < 1300 ? limit : 1300);
		for (size_t i = 0; i < records.count; i++) {
			snprintf(id, sizeof(id), "%zu-0", 1300 - records.count + i + 1);
			assert_string_equal(records.rows[i].id, id);
		}
	}
	put("DEL " P "transactions");
	arena_deinit(&arena);
	reader_close(&reader);
}

static void test_cannot_open(void **state)
{
	char words[READER_WORDS_MAX];
	enum td_error error;

	(void)state;
	assert_null(reader_open("unix:/nonexistent/redis.sock", NULL, "gw1", 1000, words, &error));
	assert_int_equal(error, TD_IO);
	assert_true(words[0] != '\0');
	assert_null(reader_open("http://user:secret@host", NULL, "gw1", 1000, words, &error));
	assert_int_equal(error, TD_INVALID);
	assert_null(strstr(words, "secret"));
}

static int64_t mono_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Readers that share a patience wait in vain once, and not once each. */
static void test_patience(void **state)
{
	struct redis_patience patience = {300};
	const struct redis_access access = {.patience = &patience};
	char words[READER_WORDS_MAX];
	struct reader *readers[8];
	int64_t time_ms;

	(void)state;
	if (!redis)
		skip();
	for (int i = 0; i < 8; i++) {
		readers[i] = reader_open(url, &access, "gw1", TIMEOUT_MS, words, NULL);
		assert_non_null(readers[i]);
		assert_int_equal(reader_time(readers[i], &time_ms), TD_OK);
	}
	assert_int_equal(patience.left_ms, 300); /* what is answered costs nothing */
	hang_server(true);
	int64_t began_ms = mono_ms();
	for (int i = 0; i < 8; i++)
		assert_int_equal(reader_time(readers[i], &time_ms), TD_IO);
	int64_t took_ms = mono_ms() - began_ms;
	hang_server(false);
	assert_int_equal(patience.left_ms, 0);
	assert_true(took_ms < TIMEOUT_MS);
	for (int i = 0; i < 8; i++)
		reader_close(&readers[i]);
}

static void test_refused(void **state)
{
	char words[READER_WORDS_MAX];
	enum td_error error;
	struct arena arena;
	struct reader_fields fields;
	struct reader *reader = open_filled();

	(void)state;
	reader_close(&reader);
	put("CONFIG SET requirepass secret");
	reader = reader_open(url, NULL, "gw1", TIMEOUT_MS, words, &error);
	assert_non_null(reader); /* a unix socket alone carries no password */
	arena_init(&arena);
	assert_int_equal(reader_meta(reader, &arena, &fields), TD_REFUSED);
	assert_non_null(strstr(reader_words(reader), "NOAUTH"));
	arena_deinit(&arena);
	reader_close(&reader);
	put("CONFIG SET requirepass %b", "", (size_t)0);
}

/* --- the commands over it --- */

/* The row of a table that begins with client. */
static bool has_row(const char *text, const char *client, const char *name)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		size_t length = strcspn(line, "\n");
		if (strncmp(line, client, strlen(client)) == 0 &&
			memmem(line, length, name, strlen(name)))
			return true;
	}
	return false;
}

static void test_who_address(void **state)
{
	struct reader *reader = open_filled();

	(void)state;
	reader_close(&reader);
	assert_int_equal(RUN("who", "65.55.158.118"), CLI_OK);
	assert_true(has_row(said, "192.0.2.1 ", microsoft));
	assert_true(has_row(said, "192.0.2.2 ", example));
	assert_false(has_row(said, "192.0.2.1 ", example));
	assert_false(has_row(said, "192.0.2.2 ", microsoft));
	assert_non_null(strstr(said, "65.55.158.118: two names led there: teredo.ipv6.microsoft.com and www.example.com. Asked by two hosts (192.0.2.1 and 192.0.2.2)"));
	assert_non_null(strstr(said, "Recording since"));
	assert_non_null(strstr(said, "3 times a bound was reached"));
	assert_int_equal(RUN("who", "203.0.113.9"), CLI_OK);
	assert_true(has_row(said, "192.0.2.2 ", example));
	assert_non_null(strstr(said, "www.example.com, and only that name. Asked by one host (192.0.2.2) (1 answer, "));
	assert_null(strstr(said, "192.0.2.1"));
	assert_int_equal(RUN("who", "65.55.158.118", "--json"), CLI_OK);
	assert_non_null(
		strstr(said, "\"client\":\"192.0.2.1\",\"name\":\"teredo.ipv6.microsoft.com.\""));
	assert_non_null(strstr(said, "\"client\":\"192.0.2.2\",\"name\":\"www.example.com.\""));
	assert_null(strstr(said, "\"client\":\"192.0.2.2\",\"name\":\"teredo"));
	assert_null(strstr(said, "\"client\":\"192.0.2.1\",\"name\":\"www"));
	assert_non_null(strstr(said, "\"found\":true"));
}

static void test_who_name(void **state)
{
	struct reader *reader = open_filled();

	(void)state;
	reader_close(&reader);
	assert_int_equal(RUN("who", "TEREDO.ipv6.Microsoft.com"), CLI_OK);
	assert_true(has_row(said, "192.0.2.1 ", "65.55.158.118"));
	assert_null(strstr(said, "192.0.2.2"));
	assert_non_null(strstr(said, "teredo.ipv6.microsoft.com was asked by one host (192.0.2.1)"));
	assert_int_equal(RUN("who", "www.example.com."), CLI_OK);
	assert_true(has_row(said, "192.0.2.2 ", "65.55.158.118"));
	assert_true(has_row(said, "192.0.2.2 ", "203.0.113.9"));
	assert_null(strstr(said, "192.0.2.1"));
	/* Asked by both now, told to one: the other is listed with its queries and without an
	 * address. */
	put("ZADD " P "name:%s:clients 2 192.0.2.2", microsoft);
	assert_int_equal(RUN("who", microsoft), CLI_OK);
	assert_false(has_row(said, "192.0.2.2 ", "65.55.158.118"));
	assert_true(has_row(said, "192.0.2.2 ", "2"));
	assert_non_null(strstr(said, "was asked by two hosts (192.0.2.1 and 192.0.2.2)"));
}

static void test_who_client(void **state)
{
	struct reader *reader = open_filled();

	(void)state;
	reader_close(&reader);
	/* It asked the other name as well, was told nothing for it. */
	put("ZADD " P "client:192.0.2.2:names 1 %s", microsoft);
	assert_int_equal(RUN("who", "192.0.2.2"), CLI_OK);
	assert_true(has_row(said, "65.55.158.118 ", example));
	assert_true(has_row(said, "203.0.113.9 ", example));
	assert_false(has_row(said, "65.55.158.118 ", microsoft));
	assert_true(has_row(said, "teredo ", "1"));
	assert_non_null(strstr(said, "queries 5, watched 3"));
}

static void test_who_nothing(void **state)
{
	struct reader *reader = open_filled();

	(void)state;
	reader_close(&reader);
	put("DEL " P "pair:65.55.158.118 " P "name:teredo.ipv6.microsoft.com.:clients");
	assert_int_equal(RUN("who", "65.55.158.118"), CLI_NOTHING);
	assert_non_null(strstr(said, "a Teredo server of Microsoft"));
	assert_non_null(strstr(said, "teredo.ipv6.microsoft.com."));
	assert_non_null(strstr(said, "Recording since"));
	assert_non_null(strstr(said, "@127.0.0.1 -p 10953 teredo.ipv6.microsoft.com."));
	assert_int_equal(RUN("who", "nothing.example"), CLI_NOTHING);
	assert_non_null(strstr(said, "nothing.example. was asked by no client"));
	put("FLUSHALL");
	put("SADD teredown:resolvers gw2");
	assert_int_equal(RUN("who", "65.55.158.118"), CLI_NOTHING);
	assert_non_null(strstr(said, "Resolver \"gw1\" has not recorded anything"));
	assert_non_null(strstr(said, "gw2"));
	assert_non_null(strstr(said, "teredownd is not running"));
	assert_non_null(strstr(said, "a Teredo server of Microsoft"));
}

static void test_top(void **state)
{
	struct reader *reader = open_filled();

	(void)state;
	reader_close(&reader);
	assert_int_equal(RUN("top"), CLI_OK);
	assert_true(has_row(said, "192.0.2.1 ", " 7 "));
	assert_true(strstr(said, "192.0.2.1") < strstr(said, "192.0.2.2"));
	assert_int_equal(RUN("top", "watched"), CLI_OK);
	assert_true(has_row(said, "192.0.2.1 ", "teredo"));
	assert_int_equal(RUN("top", "names"), CLI_NOTHING);
	assert_non_null(strstr(said, "since midnight UTC"));
	assert_int_equal(RUN("top", "--json"), CLI_OK);
	assert_non_null(strstr(said, "{\"client\":\"192.0.2.1\",\"queries\":7,\"watched\":3,"));
}

static void test_tail(void **state)
{
	struct reader *reader = open_filled();

	(void)state;
	reader_close(&reader);
	assert_int_equal(RUN("tail", "--once"), CLI_NOTHING);
	assert_non_null(strstr(said, "No watched or blocked question"));
	put("XADD " P "transactions * ts 1 json %s",
		"{\"ts\":\"2026-11-21T20:52:11.123456Z\",\"client\":\"192.0.2.7\",\"query\":"
		"\"a\\u001bb.example.\",\"type\":\"A\","
		"\"rcode\":\"NXDOMAIN\",\"action\":\"block\",\"policy\":\"teredo\",\"source\":"
		"\"policy\",\"duration_us\":42,"
		"\"addresses\":[]}");
	put("XADD " P "transactions * ts 1 json %s", "not json \033[31m");
	assert_int_equal(RUN("tail", "--once"), CLI_OK);
	assert_non_null(strstr(
		said, "192.0.2.7  A a\\027b.example.  block teredo  NXDOMAIN  (policy 42 us)\n"));
	assert_non_null(strstr(said, "not json \\027[31m\n"));
	assert_null(strchr(said, '\033'));
	assert_int_equal(RUN("tail", "--once", "--json"), CLI_OK);
	assert_non_null(strstr(said, "\"query\":\"a\\u001bb.example.\""));
	assert_null(strchr(said, '\033'));
}

/* Control characters in whatever Redis holds never reach the output. */
static void test_hostile_names(void **state)
{
	static const char evil[] = "a\033[2J\nforged 192.0.2.99.";
	struct reader *reader = open_filled();
	static const char *const commands[] = {"192.0.2.1", "65.55.158.118", "www.example.com"};
	char field[128];

	(void)state;
	reader_close(&reader);
	put("ZADD " P "client:192.0.2.1:names 3 %b", evil, strlen(evil));
	put("ZADD " P "name:%s:clients 9 %b", example, evil, strlen(evil));
	snprintf(field, sizeof(field), "192.0.2.1 %s", evil);
	put("HSET " P "pair:65.55.158.118 %b %b", field, strlen(field), "1 2 3 \033owner",
		(size_t)12);
	put("ZADD " P "name:%b 1 %b", evil, strlen(evil), evil, strlen(evil));
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(RUN("who", commands[i]), CLI_OK);
		assert_non_null(strstr(said, "a\\027[2J\\010forged"));
		assert_null(strchr(said, '\033'));
		assert_null(strstr(said, "\nforged"));
	}
	put("SADD teredown:resolvers %b", evil, strlen(evil));
	put("DEL " P "meta");
	assert_int_equal(RUN("top", "watched"), CLI_OK);
	assert_null(strchr(said, '\033'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meta),
		cmocka_unit_test(test_never_wrote),
		cmocka_unit_test(test_ranks),
		cmocka_unit_test(test_scores),
		cmocka_unit_test(test_address_pairs),
		cmocka_unit_test(test_many_pairs),
		cmocka_unit_test(test_find_pairs),
		cmocka_unit_test(test_strange_data),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_many_records),
		cmocka_unit_test(test_cannot_open),
		cmocka_unit_test(test_patience),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_who_address),
		cmocka_unit_test(test_who_name),
		cmocka_unit_test(test_who_client),
		cmocka_unit_test(test_who_nothing),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_tail),
		cmocka_unit_test(test_hostile_names),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}

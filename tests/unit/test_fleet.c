/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sums over resolvers, against a real redis-server filled by hand. The core of it: rankings whose
 * heads differ from resolver to resolver, compared with the sums that the test adds up itself; and
 * a resolver whose data cannot be read does not hide the others. Where redis-server is not
 * installed the tests are skipped, and say so.
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

#include "resolver/control/fleet.h"
#include "tests/unit/redis_server.h"

#define TIMEOUT_MS 10000
#define RESOLVERS 3

static struct fleet *open_fleet(const char *resolver)
{
	char words[READER_WORDS_MAX];
	enum td_error error;
	struct fleet *fleet = fleet_open(url, NULL, resolver, TIMEOUT_MS, words, &error);

	assert_non_null(fleet);
	return fleet;
}

static void empty(void)
{
	if (!redis)
		skip();
	put("FLUSHALL");
	put("SADD teredown:resolvers gw2 gw1 gw3");
}

/* --- opening --- */

static void test_members(void **state)
{
	char words[READER_WORDS_MAX];
	enum td_error error;

	(void)state;
	empty();
	struct fleet *fleet = open_fleet(NULL);
	assert_true(fleet->whole);
	assert_int_equal(fleet->count, 3);
	assert_string_equal(fleet->members[0].resolver, "gw1");
	assert_string_equal(fleet->members[2].resolver, "gw3");
	fleet_close(&fleet);
	fleet = open_fleet("gw2");
	assert_false(fleet->whole);
	assert_int_equal(fleet->count, 1);
	fleet_close(&fleet);
	for (int i = 0; i < FLEET_MAX + 5; i++)
		put("SADD teredown:many r%d", i);
	put("RENAME teredown:many teredown:resolvers");
	fleet = open_fleet(NULL);
	assert_int_equal(fleet->count, FLEET_MAX);
	assert_int_equal(fleet->beyond, 5);
	assert_int_equal(fleet_missing(fleet), 0);
	fleet_close(&fleet);
	put("DEL teredown:resolvers");
	fleet = open_fleet(NULL);
	assert_int_equal(fleet->count, 0);
	fleet_close(&fleet);
	assert_null(fleet_open("unix:/nonexistent", NULL, NULL, 1000, words, &error));
	assert_int_equal(error, TD_IO);
	assert_true(words[0] != '\0');
}

/* --- rankings --- */

/* A small generator, so that a run can be repeated. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

struct expected {
	char member[24];
	int64_t sum;
};

static int compare_expected(const void *left, const void *right)
{
	const struct expected *a = left, *b = right;
	if (a->sum != b->sum)
		return a->sum < b->sum ? 1 : -1;
	return strcmp(a->member, b->member);
}

/* Each resolver ranks the clients in another order, so that no head is that of the sum. */
static void fill_clients(struct expected rows[], int count, uint32_t seed)
{
	for (int i = 0; i < count; i++) {
		snprintf(rows[i].member, sizeof(rows[i].member), "10.0.%d.%d", i / 250, i % 250);
		rows[i].sum = 0;
		for (int r = 1; r <= RESOLVERS; r++) {
			int value = (int)(next_random(&seed) % 1000);
			if (value < 300)
				continue;
			put("ZADD teredown:{gw%d}:clients:queries %d %s", r, value, rows[i].member);
			rows[i].sum += value;
		}
	}
	qsort(rows, (size_t)count, sizeof(*rows), compare_expected);
}

static void test_sums_are_exact(void **state)
{
	enum { CLIENTS = 400 };
	struct expected *rows = calloc(CLIENTS, sizeof(*rows));
	struct reader_ranks ranks;
	struct arena arena;
	bool exact;

	(void)state;
	assert_non_null(rows);
	for (uint32_t seed = 1; seed <= 5; seed++) {
		empty();
		fill_clients(rows, CLIENTS, seed);
		struct fleet *fleet = open_fleet(NULL);
		for (size_t limit = 1; limit <= 256; limit *= 4) {
			arena_init(&arena);
			assert_int_equal(fleet_ranks(fleet, &arena, READER_CLIENTS, "queries",
						 limit, &ranks, &exact),
				TD_OK);
			assert_true(exact);
			assert_int_equal(ranks.count, limit);
			for (size_t i = 0; i < limit; i++) {
				assert_string_equal(ranks.rows[i].member, rows[i].member);
				assert_int_equal(ranks.rows[i].value, rows[i].sum);
			}
			arena_deinit(&arena);
		}
		fleet_close(&fleet);
	}
	free(rows);
}

static void test_newest_time(void **state)
{
	struct reader_ranks ranks;
	struct arena arena;

	(void)state;
	empty();
	put("ZADD teredown:{gw1}:name:a.example. 1700000001000 192.0.2.1 1700000009000 192.0.2.2");
	put("ZADD teredown:{gw2}:name:a.example. 1700000005000 192.0.2.1");
	struct fleet *fleet = open_fleet(NULL);
	arena_init(&arena);
	assert_int_equal(
		fleet_ranks(fleet, &arena, READER_NAME_ADDRESSES, "a.example.", 1, &ranks, NULL),
		TD_OK);
	assert_int_equal(ranks.count, 1);
	assert_string_equal(ranks.rows[0].member, "192.0.2.2");
	assert_int_equal(
		fleet_ranks(fleet, &arena, READER_NAME_ADDRESSES, "a.example.", 10, &ranks, NULL),
		TD_OK);
	assert_int_equal(ranks.count, 2);
	assert_int_equal(ranks.total, 2);
	assert_true(ranks.rows[1].value == INT64_C(1700000005000));
	arena_deinit(&arena);
	fleet_close(&fleet);
}

/* --- clients, hits, pairs --- */

static void test_client(void **state)
{
	struct reader_fields fields;
	struct fleet_hit hit;
	struct fleet_hits hits;
	struct arena arena;

	(void)state;
	empty();
	put("HSET teredown:{gw1}:client:192.0.2.1 queries 5 watched 2 first_seen 100 last_seen "
	    "900");
	put("HSET teredown:{gw3}:client:192.0.2.1 queries 7 first_seen 50 last_seen 300 name old");
	put("ZADD teredown:{gw1}:watch:teredo 2 192.0.2.1");
	put("ZADD teredown:{gw3}:watch:teredo 5 192.0.2.1 1 192.0.2.9");
	put("ZADD teredown:{gw3}:watch:teredo:last 800 192.0.2.1");
	put("ZADD teredown:{gw1}:watch:teredo:last 700 192.0.2.1");
	struct fleet *fleet = open_fleet(NULL);
	arena_init(&arena);
	assert_int_equal(fleet_client(fleet, &arena, "192.0.2.1", &fields), TD_OK);
	assert_int_equal(reader_field_i64(&fields, "queries", 0), 12);
	assert_int_equal(reader_field_i64(&fields, "watched", 0), 2);
	assert_int_equal(reader_field_i64(&fields, "first_seen", 0), 50);
	assert_int_equal(reader_field_i64(&fields, "last_seen", 0), 900);
	assert_string_equal(reader_field_text(&fields, "name"), "old");
	assert_int_equal(fleet_client(fleet, &arena, "192.0.2.77", &fields), TD_OK);
	assert_int_equal(fields.count, 0);
	assert_int_equal(fleet_client_hits(fleet, &arena, "teredo", "192.0.2.1", &hit), TD_OK);
	assert_int_equal(hit.hits, 7);
	assert_int_equal(hit.last_ms, 800);
	assert_int_equal(fleet_zone_hits(fleet, &arena, "teredo", 10, &hits), TD_OK);
	assert_int_equal(hits.count, 2);
	assert_int_equal(hits.rows[0].hits, 7);
	assert_int_equal(hits.rows[0].last_ms, 800);
	assert_int_equal(hits.rows[1].last_ms, 0);
	arena_deinit(&arena);
	fleet_close(&fleet);
}

static void put_pair(int resolver, const char *field, const char *value)
{
	put("HSET teredown:{gw%d}:pair:198.51.100.1 %b %b", resolver, field, strlen(field), value,
		strlen(value));
}

static void test_pairs_name_their_resolver(void **state)
{
	struct reader_pairs pairs;
	struct arena arena;

	(void)state;
	empty();
	put_pair(1, "192.0.2.1 a.example.", "1 2 3 a.example.");
	put_pair(2, "192.0.2.1 a.example.", "4 5 6 a.example.");
	struct fleet *fleet = open_fleet(NULL);
	arena_init(&arena);
	assert_int_equal(fleet_address_pairs(fleet, &arena, "198.51.100.1", 10, &pairs), TD_OK);
	assert_int_equal(pairs.count, 2);
	assert_string_equal(pairs.rows[0].resolver, "gw1");
	assert_int_equal(pairs.rows[0].count, 3);
	assert_string_equal(pairs.rows[1].resolver, "gw2");
	assert_int_equal(pairs.rows[1].count, 6);
	arena_deinit(&arena);
	fleet_close(&fleet);
}

/* --- faults --- */

static void test_one_fails(void **state)
{
	struct reader_ranks ranks;
	struct arena arena;

	(void)state;
	empty();
	put("ZADD teredown:{gw1}:clients:queries 5 192.0.2.1");
	put("SET teredown:{gw2}:clients:queries broken");
	put("ZADD teredown:{gw3}:clients:queries 6 192.0.2.1");
	struct fleet *fleet = open_fleet(NULL);
	arena_init(&arena);
	assert_int_equal(
		fleet_ranks(fleet, &arena, READER_CLIENTS, "queries", 10, &ranks, NULL), TD_OK);
	assert_int_equal(ranks.count, 1);
	assert_int_equal(ranks.rows[0].value, 11);
	assert_int_equal(fleet_missing(fleet), 1);
	assert_null(fleet->members[1].reader);
	assert_non_null(strstr(fleet->members[1].words, "WRONGTYPE"));
	fleet_close(&fleet);
	fleet = open_fleet("gw2");
	assert_int_equal(fleet_ranks(fleet, &arena, READER_CLIENTS, "queries", 10, &ranks, NULL),
		TD_REFUSED);
	assert_non_null(strstr(fleet_words(fleet), "WRONGTYPE"));
	fleet_close(&fleet);
	arena_deinit(&arena);
}

/* --- the commands over it --- */

static void fill_small(void)
{
	empty();
	for (int r = 1; r <= RESOLVERS; r++) {
		put("HSET teredown:{gw%d}:meta schema 1 recording_since 170000000%d000 queries %d "
		    "last_batch_at 1700000009000 version 1.%d dropped_pairs %d",
			r, r, r * 10, r, r);
		put("ZADD teredown:{gw%d}:clients:queries %d 192.0.2.1", r, r * 10);
		put("HSET teredown:{gw%d}:client:192.0.2.1 queries %d first_seen 1 last_seen 2", r,
			r * 10);
	}
	put("HSET teredown:{gw1}:meta lease_until 99999999999999 gauge_at 1700000009000 "
	    "gauge_dropped_send 4 gauge_dropped_overload 3 gauge_cache_hits 3 "
	    "gauge_cache_misses 1 gauge_upstreams 2 gauge_upstreams_failing 1");
	put("HSET teredown:{gw1}:meta gauge_latency_cached %s gauge_latency_forwarded %s",
		"0 0 0 0 90 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1350",
		"0 0 0 0 0 0 0 0 0 0 0 0 0 10 0 0 0 0 0 0 0 0 0 150000");
	put("HSET teredown:{gw3}:meta gauge_at 1700000009000 gauge_latency_cached %s "
	    "gauge_latency_forwarded broken",
		"0 0 0 0 10 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 150");
	put("HSET teredown:{gw2}:meta lease_until 1");
	put_pair(1, "192.0.2.1 a.example.", "1700000000000 1700000000001 3 a.example.");
	put_pair(3, "192.0.2.1 a.example.", "1700000000000 1700000000001 4 a.example.");
}

static void test_commands(void **state)
{
	(void)state;
	fill_small();
	assert_int_equal(RUN("top", "--fleet"), CLI_OK);
	assert_non_null(strstr(said, "3 resolvers"));
	assert_non_null(strstr(said, "192.0.2.1       60"));
	assert_non_null(strstr(said, "All are recording since"));
	assert_int_equal(RUN("top"), CLI_OK);
	assert_non_null(strstr(said, "resolver gw1"));
	assert_non_null(strstr(said, "192.0.2.1       10"));
	assert_int_equal(RUN("top", "--resolver", "gw3", "--json"), CLI_OK);
	assert_non_null(strstr(said, "\"queries\":30"));
	assert_non_null(strstr(said, "\"resolver\":\"gw3\""));
	assert_int_equal(RUN("who", "198.51.100.1", "--fleet"), CLI_OK);
	assert_non_null(strstr(said, "gw1       192.0.2.1  a.example."));
	assert_non_null(strstr(said, "gw3       192.0.2.1  a.example."));
	assert_non_null(strstr(said, "7 answers"));
	assert_int_equal(RUN("who", "192.0.2.1", "-f", "--json"), CLI_OK);
	assert_non_null(strstr(said, "\"queries\":60"));
	assert_non_null(strstr(said, "\"resolvers\":[\"gw1\",\"gw2\",\"gw3\"],\"missing\":[]"));
	assert_int_equal(RUN("top", "-f", "-r", "gw1"), CLI_ERROR);
	assert_non_null(strstr(said, "give one option"));
	assert_int_equal(RUN("top", "-r", "gw9"), CLI_NOTHING);
	assert_non_null(strstr(said, "\"gw9\" has not recorded anything"));
	assert_non_null(strstr(said, "gw1, gw2, gw3. Name one of them with --resolver"));
}

static void test_status(void **state)
{
	(void)state;
	fill_small();
	assert_int_equal(RUN("status", "--fleet"), CLI_OK);
	assert_non_null(strstr(said, "gw1       writing"));
	assert_non_null(strstr(said, "gw2       silent"));
	assert_non_null(strstr(said, "gw3       stopped"));
	assert_non_null(strstr(said, "      7    75 %  1 of 2"));
	assert_non_null(strstr(said, "      -       -  -  "));
	assert_non_null(strstr(said, "  1 of 2     19.0 ms"));
	put("DEL teredown:{gw2}:meta");
	put("SET teredown:{gw2}:meta broken");
	assert_int_equal(RUN("status", "--fleet", "--json"), CLI_PARTIAL);
	assert_non_null(strstr(said, "{\"resolver\":\"gw2\",\"state\":\"unreadable\""));
	assert_non_null(strstr(said, "\"resolver\":\"gw1\",\"state\":\"writing\""));
	assert_non_null(strstr(said, "\"dropped\":1,\"unanswered\":7,\"cache_hits\":3,"
				     "\"cache_misses\":1,\"upstreams\":2,"
				     "\"upstreams_failing\":1,"
				     "\"latency\":{\"cached\":{\"count\":90,\"sum_us\":1350,"));
	/* A sum of what can be read. */
	assert_non_null(strstr(said, "],\"latency\":{\"cached\":{\"count\":100,\"sum_us\":1500,"));
	assert_non_null(strstr(said, "\"forwarded\":{\"count\":10,\"sum_us\":150000,"));
	assert_non_null(strstr(said, "resolver gw2 cannot be read and is missing here: WRONGTYPE"));
	assert_int_equal(RUN("top", "--fleet"), CLI_PARTIAL);
	assert_non_null(strstr(said, "2 resolvers"));
	assert_int_equal(RUN("status", "-r", "gw3"), CLI_OK);
	assert_non_null(strstr(said, "gw3       stopped"));
	assert_null(strstr(said, "gw1"));
}

static void put_record(int resolver, const char *ts)
{
	char json[256];

	snprintf(json, sizeof(json),
		"{\"ts\":\"%s\",\"client\":\"192.0.2.7\",\"query\":\"a.example.\",\"type\":\"A\","
		"\"action\":\"watch\"}",
		ts);
	put("XADD teredown:{gw%d}:transactions * ts 1 json %s", resolver, json);
}

static void test_tail(void **state)
{
	(void)state;
	empty();
	put_record(2, "2026-11-21T20:52:13.000000Z");
	put_record(1, "2026-11-21T20:52:11.000000Z");
	put_record(1, "2026-11-21T20:52:14.000000Z");
	put_record(3, "2026-11-21T20:52:12.000000Z");
	assert_int_equal(RUN("tail", "--fleet", "--once", "-n", "3"), CLI_OK);
	const char *first = strstr(said, "gw3"), *second = strstr(said, "gw2");
	const char *third = strstr(said, "gw1");
	assert_true(first && second && third && first < second && second < third);
	assert_null(strstr(third + 1, "gw1"));
	assert_int_equal(RUN("tail", "-r", "gw3", "--once", "--json"), CLI_OK);
	assert_non_null(strstr(said, "20:52:12"));
	assert_null(strstr(said, "20:52:13"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_sums_are_exact),
		cmocka_unit_test(test_newest_time),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_pairs_name_their_resolver),
		cmocka_unit_test(test_one_fails),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_tail),
	};

	return cmocka_run_group_tests(tests, start_server, stop_server);
}

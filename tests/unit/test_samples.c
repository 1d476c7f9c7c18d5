/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Samples of the stream that are kept between two questions, over a real redis-server: they are
 * what the stream has now, whatever came, was trimmed or forgotten, and only what is new is read.
 * Where redis-server is not installed the tests are skipped, and say so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "resolver/control/memo.h"
#include "resolver/control/samples.h"
#include "tests/unit/redis_server.h"

#define TIMEOUT_MS 10000
#define MIB ((size_t)1 << 20)
#define STREAM "teredown:{gw1}:transactions"
#define THREADS 4

static void add(int id, const char *json)
{
	put("XADD " STREAM " %d-1 json %b", id, json, strlen(json));
}

static void add_usual(int id)
{
	char json[256];

	snprintf(json, sizeof(json),
		"{\"ts\":\"2026-11-21T20:00:%02d.250000Z\",\"resolver\":\"gw1\",\"client\":"
		"\"192.0.2.%d\",\"query\":\"n%d.example.\",\"type\":\"A\",\"answers\":[]}",
		id % 60, id % 7, id);
	add(id, json);
}

static int fill(void **state)
{
	(void)state;
	if (!redis)
		return 0;
	put("FLUSHALL");
	for (int id = 1; id <= 1200; id++)
		add_usual(id);
	return 0;
}

static struct reader *open_reader(void)
{
	char words[READER_WORDS_MAX];
	struct reader *reader = reader_open(url, NULL, "gw1", TIMEOUT_MS, words, NULL);

	assert_non_null(reader);
	return reader;
}

static void same_row(const struct samples *a, const struct samples *b, size_t i)
{
	const struct sample_row *left = &a->rows[i], *right = &b->rows[i];

	assert_int_equal(left->id.ms, right->id.ms);
	assert_int_equal(left->ms, right->ms);
	if (left->ms == 0)
		return;
	assert_string_equal(a->texts.data + left->client, b->texts.data + right->client);
	assert_string_equal(a->texts.data + left->name, b->texts.data + right->name);
	assert_string_equal(left->type, right->type);
}

/* They are those that are read without a cache; how many is returned. */
static size_t check(struct sample_cache *cache, struct reader *reader)
{
	struct samples *kept, *read;

	assert_int_equal(samples_take(cache, reader, "gw1", &kept), TD_OK);
	assert_int_equal(samples_take(NULL, reader, "gw1", &read), TD_OK);
	assert_int_equal(kept->count, read->count);
	for (size_t i = 0; i < kept->count; i++)
		same_row(kept, read, i);
	size_t count = kept->count;
	samples_release(cache, &kept);
	samples_release(NULL, &read);
	return count;
}

/* What came is read, and nothing twice. */
static void test_only_what_is_new(void **state)
{
	(void)state;
	if (!redis)
		skip();
	struct sample_cache *cache = sample_cache_new(MIB);
	struct reader *reader = open_reader();

	assert_int_equal(check(cache, reader), 1200);
	assert_int_equal(check(cache, reader), 1200);
	assert_int_equal(sample_cache_figures(cache).read, 1200);
	for (int id = 1201; id <= 2300; id++)
		add_usual(id);
	assert_int_equal(check(cache, reader), 2300);
	assert_int_equal(sample_cache_figures(cache).read, 2300);
	struct samples *samples;
	assert_int_equal(samples_take(cache, reader, "gw1", &samples), TD_OK);
	const struct sample_row *last = &samples->rows[2299];
	assert_string_equal(samples->texts.data + last->client, "192.0.2.4");
	assert_string_equal(samples->texts.data + last->name, "n2300.example.");
	assert_string_equal(last->type, "A");
	assert_int_equal(last->ms, INT64_C(1795291220250));
	samples_release(cache, &samples);
	reader_close(&reader);
	sample_cache_free(&cache);
}

/* Trimmed at its begin, a client forgotten in its middle, emptied, and begun anew. */
static void test_what_goes(void **state)
{
	(void)state;
	if (!redis)
		skip();
	struct sample_cache *cache = sample_cache_new(MIB);
	struct reader *reader = open_reader();

	check(cache, reader);
	put("XTRIM " STREAM " MAXLEN 700");
	add_usual(1201);
	assert_int_equal(check(cache, reader), 701);
	assert_int_equal(sample_cache_figures(cache).read, 1201);
	put("XDEL " STREAM " 900-1 1000-1");
	assert_int_equal(check(cache, reader), 699);
	put("XDEL " STREAM " 950-1");
	add_usual(1202); /* as many as before */
	add_usual(1203);
	assert_int_equal(check(cache, reader), 700);
	put("UNLINK " STREAM);
	assert_int_equal(check(cache, reader), 0);
	add_usual(5);
	assert_int_equal(check(cache, reader), 1);
	reader_close(&reader);
	sample_cache_free(&cache);
}

/* Entries without a record, a time, or a client count as entries and are no samples. */
static void test_broken(void **state)
{
	static const char *const lines[] = {"", "{}", "null",
		"{\"ts\":\"x\",\"client\":\"1\",\"query\":\"a.\"}",
		"{\"client\":\"192.0.2.1\",\"query\":\"a.\"}",
		"{\"ts\":\"2026-11-21T20:00:00Z\",\"client\":\"",
		"{\"ts\":12,\"client\":[],\"query\":{}}"};

	(void)state;
	if (!redis)
		skip();
	struct sample_cache *cache = sample_cache_new(MIB);
	struct reader *reader = open_reader();
	struct samples *samples;

	check(cache, reader);
	for (int i = 0; i < (int)(sizeof(lines) / sizeof(lines[0])); i++)
		add(2000 + i, lines[i]);
	put("XADD " STREAM " 2100-1 other field");
	assert_int_equal(check(cache, reader), 1208);
	add_usual(2200);
	assert_int_equal(check(cache, reader), 1209);
	assert_int_equal(sample_cache_figures(cache).read, 1209);
	assert_int_equal(samples_take(cache, reader, "gw1", &samples), TD_OK);
	for (size_t i = 1200; i < 1208; i++)
		assert_int_equal(samples->rows[i].ms, 0);
	samples_release(cache, &samples);
	reader_close(&reader);
	sample_cache_free(&cache);
}

static void test_bound(void **state)
{
	(void)state;
	if (!redis)
		skip();
	struct sample_cache *none = sample_cache_new(4096);
	struct reader *reader = open_reader();

	for (int i = 0; i < 2; i++) {
		assert_int_equal(check(none, reader), 1200);
		assert_int_equal(sample_cache_figures(none).bytes, 0);
	}
	reader_close(&reader);
	sample_cache_free(&none);
}

static void *take_often(void *context)
{
	struct reader *reader = open_reader();

	for (int i = 0; i < 20; i++) {
		struct samples *samples;
		assert_int_equal(samples_take(context, reader, "gw1", &samples), TD_OK);
		assert_int_equal(samples->count, 1200);
		assert_string_equal(
			samples->texts.data + samples->rows[1199].name, "n1200.example.");
		samples_release(context, &samples);
	}
	reader_close(&reader);
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	if (!redis)
		skip();
	struct sample_cache *cache = sample_cache_new(MIB);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_often, cache), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	sample_cache_free(&cache);
}

static void test_memo(void **state)
{
	struct memo memo;
	uint32_t value;

	(void)state;
	memo_init(&memo);
	assert_false(memo_find(&memo, 1, &value));
	for (uint64_t key = 1; key <= 5000; key++)
		assert_true(memo_put(&memo, key * 977, (uint32_t)(key / 2)));
	for (uint64_t key = 1; key <= 5000; key++) {
		assert_true(memo_find(&memo, key * 977, &value));
		assert_int_equal(value, key / 2);
		assert_false(memo_find(&memo, key * 977 + 1, &value));
	}
	memo_deinit(&memo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memo),
		cmocka_unit_test_setup(test_only_what_is_new, fill),
		cmocka_unit_test_setup(test_what_goes, fill),
		cmocka_unit_test_setup(test_broken, fill),
		cmocka_unit_test_setup(test_bound, fill),
		cmocka_unit_test_setup(test_threads, fill),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}

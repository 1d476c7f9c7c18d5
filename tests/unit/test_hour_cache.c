/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Watched names of hours that are kept between two questions, over a real redis-server that is
 * filled by hand after the schema: what is kept must never be told from what is read, and stays
 * within its bound. Where redis-server is not installed the tests are skipped, and say so.
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

#include <pthread.h>

#include "resolver/control/hour_cache.h"
#include "tests/unit/redis_server.h"

#define TIMEOUT_MS 10000
#define FIRST INT64_C(497000)
#define HOURS 10
#define MIB ((size_t)1 << 20)
#define THREADS 4

/* As the script does it: the sums of the hour and the row in one call. */
static void add(size_t hour, const char *member, int count)
{
	char words[16];

	hour_words(FIRST + (int64_t)hour, words);
	put("HINCRBY teredown:{gw1}:hour:%s watched %d", words, count);
	put("ZINCRBY teredown:{gw1}:hour:%s:watched-names %d %b", words, count, member,
		strlen(member));
}

static int fill(void **state)
{
	(void)state;
	if (!redis)
		return 0;
	put("FLUSHALL");
	for (size_t hour = 0; hour < HOURS; hour++) {
		if (hour == 3)
			continue;
		add(hour, "192.0.2.1 a.example.", (int)hour + 1);
		add(hour, "192.0.2.2 b.example.", 1);
	}
	return 0;
}

/* --- what a walk says --- */

struct heard {
	uint64_t counts[HOURS], rows;
	char members[4096];
};

static enum td_error hear(void *context, size_t hour, const char *member, uint64_t count)
{
	struct heard *heard = context;
	size_t used = strlen(heard->members);

	assert_true(hour < HOURS);
	heard->counts[hour] += count;
	heard->rows++;
	snprintf(heard->members + used, sizeof(heard->members) - used, "%zu %s %llu\n", hour,
		member, (unsigned long long)count);
	return TD_OK;
}

static struct reader *open_reader(void)
{
	char words[READER_WORDS_MAX];
	struct reader *reader = reader_open(url, NULL, "gw1", TIMEOUT_MS, words, NULL);

	assert_non_null(reader);
	return reader;
}

static void walk(struct hour_cache *cache, struct reader *reader, struct heard *heard)
{
	bool cut;

	*heard = (struct heard){.rows = 0};
	assert_int_equal(hour_cache_rows(cache, reader, "gw1", (struct reader_span){FIRST, HOURS},
				 hear, heard, &cut),
		TD_OK);
	assert_false(cut);
}

/* The same as Redis itself says. */
static void check(struct hour_cache *cache, struct reader *reader)
{
	struct heard kept, read = {.rows = 0};
	bool cut;

	walk(cache, reader, &kept);
	assert_int_equal(reader_hour_rows(reader, READER_HOUR_WATCHED_NAMES,
				 (struct reader_span){FIRST, HOURS}, hear, &read, &cut),
		TD_OK);
	assert_string_equal(kept.members, read.members);
}

static void test_kept(void **state)
{
	(void)state;
	if (!redis)
		skip();
	struct hour_cache *cache = hour_cache_new(MIB);
	struct reader *reader = open_reader();
	struct heard heard;

	walk(cache, reader, &heard);
	assert_int_equal(heard.rows, 2 * (HOURS - 1));
	assert_int_equal(heard.counts[9], 11);
	assert_int_equal(heard.counts[3], 0);
	assert_int_equal(hour_cache_figures(cache).read, HOURS - 1);
	check(cache, reader);
	struct hour_cache_figures figures = hour_cache_figures(cache);
	assert_int_equal(figures.read, HOURS - 1);
	assert_int_equal(figures.kept, HOURS - 1);
	assert_int_equal(figures.hours, HOURS - 1);
	reader_close(&reader);
	hour_cache_free(&cache);
}

struct numbered {
	uint64_t numbers[2]; /* of either member */
	size_t rows;
};

static enum td_error hear_number(void *context, size_t hour, const char *member, uint64_t count)
{
	struct numbered *numbered = context;
	uint64_t *number = &numbered->numbers[strstr(member, "b.example.") != NULL];

	(void)hour;
	(void)count;
	assert_true(hour_cache_member(member) > 0);
	assert_true(*number == 0 || *number == hour_cache_member(member));
	*number = hour_cache_member(member);
	numbered->rows++;
	return TD_OK;
}

/* A member has one number in all hours, of two resolvers too; another one has it never. */
static void test_numbers(void **state)
{
	(void)state;
	if (!redis)
		skip();
	struct hour_cache *cache = hour_cache_new(MIB), *none = hour_cache_new(0);
	struct reader_span span = {FIRST, HOURS};
	struct reader *reader = open_reader();
	struct numbered kept = {.rows = 0}, first = {.rows = 0}, second = {.rows = 0};
	bool cut;

	assert_int_equal(hour_cache_rows(cache, reader, "gw1", span, hear_number, &kept, &cut), 0);
	assert_int_equal(hour_cache_rows(cache, reader, "gw2", span, hear_number, &kept, &cut), 0);
	assert_int_equal(kept.rows, 4 * (HOURS - 1));
	assert_true(kept.numbers[0] != kept.numbers[1]);
	/* What is not kept is made anew, maybe in the same place. */
	assert_int_equal(hour_cache_rows(none, reader, "gw1", span, hear_number, &first, &cut), 0);
	assert_int_equal(hour_cache_rows(none, reader, "gw1", span, hear_number, &second, &cut), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(first.numbers[i] != second.numbers[0]);
		assert_true(first.numbers[i] != second.numbers[1]);
	}
	reader_close(&reader);
	hour_cache_free(&none);
	hour_cache_free(&cache);
}

/* Counts that come late, a client that is forgotten, an hour that lost its rows. */
static void test_changes_show(void **state)
{
	char words[16];

	(void)state;
	if (!redis)
		skip();
	struct hour_cache *cache = hour_cache_new(MIB);
	struct reader *reader = open_reader();
	struct heard heard;

	walk(cache, reader, &heard);
	add(2, "192.0.2.1 a.example.", 5);
	check(cache, reader);
	assert_int_equal(hour_cache_figures(cache).read, HOURS);
	hour_words(FIRST + 4, words); /* as forget.lua does: one row becomes the others' */
	put("ZREM teredown:{gw1}:hour:%s:watched-names %b", words, "192.0.2.1 a.example.",
		strlen("192.0.2.1 a.example."));
	put("ZINCRBY teredown:{gw1}:hour:%s:watched-names 5 *other", words);
	check(cache, reader);
	walk(cache, reader, &heard);
	assert_null(strstr(heard.members, "4 192.0.2.1"));
	hour_words(FIRST + 5, words);
	put("UNLINK teredown:{gw1}:hour:%s:watched-names", words);
	check(cache, reader);
	put("FLUSHALL");
	walk(cache, reader, &heard);
	assert_int_equal(heard.rows, 0);
	reader_close(&reader);
	hour_cache_free(&cache);
}

/* The sums of the present hour are there, its names come with the next batch: a row may grow then,
 * and none of the figures with it. */
static void test_half_a_batch(void **state)
{
	char words[16];

	(void)state;
	if (!redis)
		skip();
	struct hour_cache *cache = hour_cache_new(MIB);
	struct reader *reader = open_reader();
	struct heard heard;

	hour_words(FIRST + HOURS - 1, words);
	put("HINCRBY teredown:{gw1}:hour:%s watched 7", words);
	walk(cache, reader, &heard);
	assert_int_equal(heard.counts[HOURS - 1], 11);
	put("ZINCRBY teredown:{gw1}:hour:%s:watched-names 7 %b", words, "192.0.2.1 a.example.",
		strlen("192.0.2.1 a.example."));
	walk(cache, reader, &heard);
	assert_int_equal(heard.counts[HOURS - 1], 18);
	reader_close(&reader);
	hour_cache_free(&cache);
}

static void test_bound(void **state)
{
	(void)state;
	if (!redis)
		skip();
	struct hour_cache *none = hour_cache_new(0), *few = hour_cache_new(8192);
	struct reader *reader = open_reader();

	for (int i = 0; i < 3; i++) {
		check(none, reader);
		check(few, reader);
		assert_int_equal(hour_cache_figures(none).bytes, 0);
		assert_in_range(hour_cache_figures(few).bytes, 1, 8192);
	}
	assert_int_equal(hour_cache_figures(none).kept, 0);
	assert_in_range(hour_cache_figures(few).hours, 1, HOURS - 2);
	reader_close(&reader);
	hour_cache_free(&few);
	hour_cache_free(&none);
}

/* Threads that take away what others walk over. */
static void *walk_often(void *context)
{
	struct reader *reader = open_reader();
	struct heard heard;

	for (int i = 0; i < 40; i++) {
		walk(context, reader, &heard);
		assert_int_equal(heard.counts[0], 2);
		assert_int_equal(heard.counts[9], 11);
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
	struct hour_cache *cache = hour_cache_new(8192);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, walk_often, cache), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_in_range(hour_cache_figures(cache).bytes, 1, 8192);
	hour_cache_free(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_kept, fill),
		cmocka_unit_test_setup(test_numbers, fill),
		cmocka_unit_test_setup(test_changes_show, fill),
		cmocka_unit_test_setup(test_half_a_batch, fill),
		cmocka_unit_test_setup(test_bound, fill),
		cmocka_unit_test_setup(test_threads, fill),
	};
	return cmocka_run_group_tests(tests, start_server, stop_server);
}

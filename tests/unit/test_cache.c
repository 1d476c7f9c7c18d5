/* SPDX-License-Identifier: BSD-3-Clause */
/* The cache's bounds, ageing, and marks of pending questions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/dns/compose.h"
#include "resolver/cache.h"

static const struct hash_seed seed = {3, 4};

static struct answer *make_answer(const char *text, uint32_t ttl_s, size_t padding, int64_t now_us)
{
	static uint8_t buffer[8192], rdata[4096];
	struct upstream_question question = {.qtype = TYPE_TXT};
	struct answer_limits limits = {.ttl_max_s = 86400, .negative_ttl_max_s = 3600};
	struct compose compose;
	enum td_error error;

	assert_int_equal(name_from_text(&question.qname, text, strlen(text)), TD_OK);
	compose_begin(&compose, buffer, sizeof buffer, 0, DNS_FLAG_QR, question.qname.wire,
		question.qname.length, TYPE_TXT, CLASS_IN);
	compose_rr(&compose, SECTION_ANSWER, &question.qname, TYPE_TXT, ttl_s, rdata, padding);
	struct answer *answer = answer_from_reply(
		buffer, compose_finish(&compose), &question, &limits, now_us, 1, &error);
	assert_non_null(answer);
	return answer;
}

static void make_key(struct cache *cache, struct cache_key *key, const char *text)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	cache_key_make(cache, key, name.wire, name.length, TYPE_TXT, 0);
}

static void put(
	struct cache *cache, const char *text, uint32_t ttl_s, size_t padding, int64_t now_us)
{
	struct cache_key key;

	make_key(cache, &key, text);
	cache_put(cache, &key, make_answer(text, ttl_s, padding, now_us), now_us);
}

static enum cache_result look(
	struct cache *cache, const char *text, int64_t now_us, struct cache_hit *hit)
{
	static uint8_t out[8192];
	struct cache_key key;
	unsigned owner;

	make_key(cache, &key, text);
	return cache_lookup(cache, &key, now_us, false, 0, out, sizeof out, hit, &owner);
}

static void test_expiry(void **state)
{
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct cache_status status;
	struct cache_hit hit;

	(void)state;
	put(cache, "a.example", 10, 20, 0);
	assert_int_equal(look(cache, "a.example", 10 * US_PER_S - 1, &hit), CACHE_HIT);
	assert_int_equal(look(cache, "a.example", 10 * US_PER_S, &hit), CACHE_MISS);
	put(cache, "zero.example", 0, 20, 0);
	assert_int_equal(look(cache, "zero.example", 0, &hit), CACHE_MISS);
	cache_status(cache, &status);
	assert_int_equal(status.entries, 0);
	assert_int_equal(status.bytes, 0);
	assert_int_equal(status.expired, 1);
	cache_free(cache);
}

static void test_size_is_bounded_and_what_is_asked_stays(void **state)
{
	struct cache *cache = cache_new(64 << 10, 1, &seed);
	struct cache_status status;
	struct cache_hit hit;
	char name[32];

	(void)state;
	put(cache, "popular.example", 3600, 100, 0);
	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof name, "scan%u.example", i);
		put(cache, name, 3600, 100, 0);
		assert_int_equal(look(cache, "popular.example", 0, &hit), CACHE_HIT);
	}
	cache_status(cache, &status);
	assert_true(status.bytes <= 64 << 10);
	assert_true(status.entries > 50 && status.evicted == 2001 - status.entries);
	assert_int_equal(look(cache, "scan0.example", 0, &hit), CACHE_MISS);
	cache_free(cache);
}

static void test_replacement(void **state)
{
	struct cache *cache = cache_new(1 << 20, 8, &seed);
	struct cache_status status;
	struct cache_hit hit;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		put(cache, "same.example", 60 + i, 50, 0);
	cache_status(cache, &status);
	assert_int_equal(status.entries, 1);
	assert_int_equal(look(cache, "same.example", 68 * US_PER_S, &hit), CACHE_HIT);
	cache_free(cache);
}

static void test_marks(void **state)
{
	struct cache *cache = cache_new(1 << 20, 2, &seed);
	struct cache_key key;
	struct cache_hit hit;
	uint8_t out[512];
	unsigned owner = 99;

	(void)state;
	make_key(cache, &key, "q.example");
	assert_int_equal(
		cache_lookup(cache, &key, 0, true, 5, out, sizeof out, &hit, &owner), CACHE_MISS);
	assert_int_equal(cache_lookup(cache, &key, 0, true, 6, out, sizeof out, &hit, &owner),
		CACHE_PENDING);
	assert_int_equal(owner, 5);
	cache_release(cache, &key);
	assert_int_equal(
		cache_lookup(cache, &key, 0, true, 6, out, sizeof out, &hit, &owner), CACHE_MISS);
	cache_free(cache);
}

static void test_marks_are_bounded(void **state)
{
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct cache_status status;
	struct cache_hit hit;
	struct cache_key key;
	unsigned owner, full = 0;
	uint8_t out[512];
	char name[32];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(name, sizeof name, "m%u.example", i);
		make_key(cache, &key, name);
		full += cache_lookup(cache, &key, 0, true, 1, out, sizeof out, &hit, &owner) ==
			CACHE_FULL;
	}
	cache_status(cache, &status);
	assert_int_equal(status.pending, 4096);
	assert_int_equal(full, 5000 - 4096);
	assert_int_equal(status.pending_refused, full);
	cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_size_is_bounded_and_what_is_asked_stays),
		cmocka_unit_test(test_replacement),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_marks_are_bounded),
	};
	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}

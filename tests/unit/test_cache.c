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
	put(cache, "b.example", 10, 20, 0);
	look(cache, "b.example", 10 * US_PER_S, &hit);
	cache_status(cache, &status);
	uint64_t empty = status.bytes; /* the table's */
	put(cache, "a.example", 10, 20, 0);
	assert_int_equal(look(cache, "a.example", 10 * US_PER_S - 1, &hit), CACHE_HIT);
	assert_int_equal(look(cache, "a.example", 10 * US_PER_S, &hit), CACHE_MISS);
	put(cache, "zero.example", 0, 20, 0);
	assert_int_equal(look(cache, "zero.example", 0, &hit), CACHE_MISS);
	cache_status(cache, &status);
	assert_int_equal(status.entries, 0);
	assert_int_equal(status.bytes, empty);
	assert_int_equal(status.expired, 2);
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
	assert_int_equal(status.refreshed, 9);
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

static const struct cache_settings settings = {
	.stale_us = 3600 * US_PER_S, .failure_us = 5 * US_PER_S, .prefetch = true};

static void test_stale_after_expiry_until_its_end(void **state)
{
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct cache_settings off = settings;
	struct cache_status status;
	struct cache_hit hit;

	(void)state;
	cache_set(cache, &settings);
	put(cache, "a.example", 10, 20, 0);
	assert_int_equal(look(cache, "a.example", 10 * US_PER_S - 1, &hit), CACHE_HIT);
	assert_int_equal(look(cache, "a.example", 10 * US_PER_S, &hit), CACHE_STALE);
	assert_false(hit.failing);
	assert_int_equal(look(cache, "a.example", 3610 * US_PER_S - 1, &hit), CACHE_STALE);
	assert_int_equal(look(cache, "a.example", 3610 * US_PER_S, &hit), CACHE_MISS);
	cache_status(cache, &status);
	assert_int_equal(status.entries, 0);
	put(cache, "a.example", 10, 20, 0);
	off.stale_us = 0; /* a reload turned it off */
	cache_set(cache, &off);
	assert_int_equal(look(cache, "a.example", 10 * US_PER_S, &hit), CACHE_MISS);
	cache_free(cache);
}

static void test_stale_message(void **state)
{
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct answer *answer = make_answer("s.example", 10, 20, 0);
	struct cache_key key;
	struct cache_hit hit;
	uint8_t out[512];
	unsigned owner;

	(void)state;
	cache_set(cache, &settings);
	make_key(cache, &key, "s.example");
	answer->flags |= DNS_FLAG_AD;
	cache_put(cache, &key, answer, 0);
	assert_int_equal(cache_lookup(cache, &key, 0, false, 0, out, sizeof out, &hit, &owner),
		CACHE_HIT);
	assert_true(hit.flags & DNS_FLAG_AD);
	assert_int_equal(cache_lookup(cache, &key, 500 * US_PER_S, false, 0, out, sizeof out, &hit,
				 &owner),
		CACHE_STALE);
	assert_false(hit.flags & DNS_FLAG_AD);
	/* header, question of 11 + 4, owner as a pointer, type, class */
	assert_memory_equal(out + 12 + 15 + 2 + 4, "\0\0\0\36", 4);
	assert_int_equal(cache_lookup(cache, &key, 500 * US_PER_S, false, 0, out, 30, &hit, &owner),
		CACHE_STALE);
	assert_true(hit.truncated);
	cache_free(cache);
}

/* Who wants to ask is not kept from it by an expired answer. */
static void test_stale_entry_is_claimed_and_replaced(void **state)
{
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct cache_status status;
	struct cache_key key;
	struct cache_hit hit;
	uint8_t out[512];
	unsigned owner;

	(void)state;
	cache_set(cache, &settings);
	put(cache, "a.example", 10, 20, 0);
	make_key(cache, &key, "a.example");
	assert_int_equal(
		cache_lookup(cache, &key, 20 * US_PER_S, true, 3, out, sizeof out, &hit, &owner),
		CACHE_MISS);
	assert_int_equal(
		cache_lookup(cache, &key, 20 * US_PER_S, true, 4, out, sizeof out, &hit, &owner),
		CACHE_PENDING);
	assert_int_equal(owner, 3);
	put(cache, "a.example", 10, 20, 20 * US_PER_S);
	assert_int_equal(look(cache, "a.example", 25 * US_PER_S, &hit), CACHE_HIT);
	/* TTL 0: not kept, and what was true before is no better */
	put(cache, "a.example", 0, 20, 30 * US_PER_S);
	assert_int_equal(look(cache, "a.example", 30 * US_PER_S, &hit), CACHE_MISS);
	cache_status(cache, &status);
	assert_int_equal(status.entries, 0);
	cache_free(cache);
}

static void test_refresh_is_due_in_the_last_tenth_of_what_is_asked_again(void **state)
{
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct cache_settings off = settings;
	struct cache_hit hit;

	(void)state;
	cache_set(cache, &settings);
	put(cache, "a.example", 100, 20, 0);
	assert_int_equal(look(cache, "a.example", 50 * US_PER_S, &hit), CACHE_HIT);
	assert_int_equal(look(cache, "a.example", 90 * US_PER_S - 1, &hit), CACHE_HIT);
	assert_int_equal(look(cache, "a.example", 90 * US_PER_S, &hit), CACHE_HIT_DUE);
	assert_int_equal(look(cache, "a.example", 90 * US_PER_S, &hit), CACHE_HIT);
	assert_int_equal(look(cache, "a.example", 95 * US_PER_S, &hit), CACHE_HIT_DUE);
	/* asked once only, at its end: not popular until it is asked again */
	put(cache, "b.example", 100, 20, 0);
	assert_int_equal(look(cache, "b.example", 95 * US_PER_S, &hit), CACHE_HIT);
	assert_int_equal(look(cache, "b.example", 95 * US_PER_S, &hit), CACHE_HIT_DUE);
	put(cache, "short.example", 9, 20, 0);
	assert_int_equal(look(cache, "short.example", 1, &hit), CACHE_HIT);
	assert_int_equal(look(cache, "short.example", 9 * US_PER_S - 1, &hit), CACHE_HIT);
	off.prefetch = false;
	cache_set(cache, &off);
	put(cache, "a.example", 100, 20, 0);
	assert_int_equal(look(cache, "a.example", 1, &hit), CACHE_HIT);
	assert_int_equal(look(cache, "a.example", 99 * US_PER_S, &hit), CACHE_HIT);
	cache_free(cache);
}

static void test_claim_beside_an_entry(void **state)
{
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct cache_key key;
	unsigned owner = 99;

	(void)state;
	put(cache, "a.example", 100, 20, 0);
	make_key(cache, &key, "a.example");
	assert_int_equal(cache_claim(cache, &key, 2, &owner), CACHE_MISS);
	assert_int_equal(cache_claim(cache, &key, 3, &owner), CACHE_PENDING);
	assert_int_equal(owner, 2);
	cache_release(cache, &key);
	assert_int_equal(cache_claim(cache, &key, 3, &owner), CACHE_MISS);
	cache_free(cache);
}

static enum cache_result claim(
	struct cache *cache, const char *text, int64_t now_us, struct cache_hit *hit)
{
	struct cache_key key;
	uint8_t out[512];
	unsigned owner;

	make_key(cache, &key, text);
	enum cache_result result =
		cache_lookup(cache, &key, now_us, true, 0, out, sizeof out, hit, &owner);
	if (result == CACHE_MISS)
		cache_release(cache, &key);
	return result;
}

static void test_failure_is_held_doubled_and_ended(void **state)
{
	const struct failure servfail = {.error = TD_REFUSED, .rcode = RCODE_SERVFAIL};
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct cache_key key;
	struct cache_hit hit;

	(void)state;
	make_key(cache, &key, "f.example");
	cache_fail(cache, &key, &servfail, CACHE_FAILURE_NAME, 0); /* off, as a new cache is */
	assert_int_equal(look(cache, "f.example", 0, &hit), CACHE_MISS);
	cache_set(cache, &settings);
	cache_fail(cache, &key, &servfail, CACHE_FAILURE_NAME, 0);
	assert_int_equal(look(cache, "f.example", 5 * US_PER_S - 1, &hit), CACHE_FAILED);
	assert_int_equal(claim(cache, "f.example", 5 * US_PER_S - 1, &hit), CACHE_FAILED);
	assert_int_equal(hit.failure.error, TD_REFUSED);
	assert_int_equal(hit.failure.rcode, RCODE_SERVFAIL);
	assert_int_equal(claim(cache, "f.example", 5 * US_PER_S, &hit), CACHE_MISS);
	cache_fail(cache, &key, &servfail, CACHE_FAILURE_NAME, 10 * US_PER_S);
	assert_int_equal(look(cache, "f.example", 20 * US_PER_S - 1, &hit), CACHE_FAILED);
	assert_int_equal(look(cache, "f.example", 20 * US_PER_S, &hit), CACHE_MISS);
	for (unsigned i = 0; i < 5; i++)
		cache_fail(cache, &key, &servfail, CACHE_FAILURE_NAME, 20 * US_PER_S);
	assert_int_equal(look(cache, "f.example", 50 * US_PER_S - 1, &hit), CACHE_FAILED);
	assert_int_equal(look(cache, "f.example", 50 * US_PER_S, &hit), CACHE_MISS);
	put(cache, "f.example", 0, 20, 50 * US_PER_S); /* answered, though not to be kept */
	cache_fail(cache, &key, &servfail, CACHE_FAILURE_NAME, 60 * US_PER_S);
	assert_int_equal(look(cache, "f.example", 65 * US_PER_S, &hit), CACHE_MISS);
	cache_free(cache);
}

/* Nobody reachable: held for a second, however often it comes. */
static void test_failure_of_an_outage_ends_soon(void **state)
{
	const struct failure silent = {.error = TD_TIMEOUT, .rcode = RCODE_SERVFAIL};
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct cache_key key;
	struct cache_hit hit;

	(void)state;
	cache_set(cache, &settings);
	make_key(cache, &key, "f.example");
	for (unsigned i = 0; i < 4; i++)
		cache_fail(cache, &key, &silent, CACHE_FAILURE_OUTAGE, 0);
	assert_int_equal(look(cache, "f.example", US_PER_S - 1, &hit), CACHE_FAILED);
	assert_int_equal(look(cache, "f.example", US_PER_S, &hit), CACHE_MISS);
	/* silence to this name alone begins as short, and is held longer when it comes again */
	cache_fail(cache, &key, &silent, CACHE_FAILURE_SILENCE, 0);
	cache_fail(cache, &key, &silent, CACHE_FAILURE_SILENCE, 0);
	assert_int_equal(look(cache, "f.example", 4 * US_PER_S - 1, &hit), CACHE_FAILED);
	assert_int_equal(look(cache, "f.example", 4 * US_PER_S, &hit), CACHE_MISS);
	cache_fail(cache, &key, &silent, CACHE_FAILURE_SILENCE, 0);
	cache_forget_failures(cache, true);
	assert_int_equal(look(cache, "f.example", 0, &hit), CACHE_MISS);
	const struct failure servfail = {.error = TD_REFUSED, .rcode = RCODE_SERVFAIL};
	cache_fail(cache, &key, &servfail, CACHE_FAILURE_NAME, 0);
	cache_forget_failures(cache, true);
	assert_int_equal(look(cache, "f.example", 0, &hit), CACHE_FAILED);
	cache_forget_failures(cache, false);
	assert_int_equal(look(cache, "f.example", 0, &hit), CACHE_MISS);
	cache_free(cache);
}

/* Who waited in vain for the time of a client tells the others; they may ask, and need not wait. */
static void test_slow_question_is_known_and_not_held(void **state)
{
	const struct failure slow = {.error = TD_TIMEOUT, .rcode = RCODE_SERVFAIL};
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct cache_key key;
	struct cache_hit hit;

	(void)state;
	cache_set(cache, &settings);
	put(cache, "f.example", 10, 20, 0);
	make_key(cache, &key, "f.example");
	cache_fail(cache, &key, &slow, CACHE_FAILURE_SLOW, 20 * US_PER_S);
	assert_int_equal(look(cache, "f.example", 20 * US_PER_S, &hit), CACHE_STALE);
	assert_true(hit.failing && !hit.failure.held);
	assert_int_equal(claim(cache, "f.example", 20 * US_PER_S, &hit), CACHE_MISS);
	cache_fail(cache, &key, &slow, CACHE_FAILURE_NAME, 20 * US_PER_S);
	cache_fail(cache, &key, &slow, CACHE_FAILURE_SLOW, 21 * US_PER_S); /* ends nothing */
	assert_int_equal(look(cache, "f.example", 25 * US_PER_S - 1, &hit), CACHE_STALE);
	assert_true(hit.failing && hit.failure.held);
	cache_free(cache);
}

static void test_stale_answer_tells_of_a_failure(void **state)
{
	const struct failure servfail = {.error = TD_REFUSED, .rcode = RCODE_SERVFAIL};
	struct cache *cache = cache_new(1 << 20, 1, &seed);
	struct cache_status status;
	struct cache_key key;
	struct cache_hit hit;

	(void)state;
	cache_set(cache, &settings);
	put(cache, "f.example", 10, 20, 0);
	make_key(cache, &key, "f.example");
	cache_fail(cache, &key, &servfail, CACHE_FAILURE_NAME, 5 * US_PER_S); /* of a refresh */
	assert_int_equal(look(cache, "f.example", 6 * US_PER_S, &hit), CACHE_HIT);
	cache_fail(cache, &key, &servfail, CACHE_FAILURE_NAME, 20 * US_PER_S);
	assert_int_equal(look(cache, "f.example", 20 * US_PER_S, &hit), CACHE_STALE);
	assert_true(hit.failing && hit.failure.held);
	assert_int_equal(claim(cache, "f.example", 20 * US_PER_S, &hit), CACHE_FAILED);
	assert_int_equal(look(cache, "f.example", 30 * US_PER_S, &hit), CACHE_STALE);
	assert_true(hit.failing && !hit.failure.held);
	cache_status(cache, &status);
	assert_int_equal(status.failing, 1);
	put(cache, "f.example", 10, 20, 31 * US_PER_S);
	assert_int_equal(look(cache, "f.example", 42 * US_PER_S, &hit), CACHE_STALE);
	assert_false(hit.failing);
	cache_free(cache);
}

/* Live entries go last: what has expired makes room first, even if it was asked. */
static void test_expired_entries_make_room_first(void **state)
{
	struct cache *cache = cache_new(64 << 10, 1, &seed);
	struct cache_status status;
	struct cache_hit hit;
	char name[32];

	(void)state;
	cache_set(cache, &settings);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "old%u.example", i);
		put(cache, name, 10, 100, 0);
		look(cache, name, 1, &hit);
	}
	unsigned live = 0;
	do {
		snprintf(name, sizeof name, "live%u.example", live++);
		put(cache, name, 3600, 100, 20 * US_PER_S);
		cache_status(cache, &status);
	} while (status.evicted < 40);
	for (unsigned i = 0; i < live; i++) {
		snprintf(name, sizeof name, "live%u.example", i);
		assert_int_equal(look(cache, name, 20 * US_PER_S, &hit), CACHE_HIT);
	}
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
		cmocka_unit_test(test_stale_after_expiry_until_its_end),
		cmocka_unit_test(test_stale_message),
		cmocka_unit_test(test_stale_entry_is_claimed_and_replaced),
		cmocka_unit_test(test_refresh_is_due_in_the_last_tenth_of_what_is_asked_again),
		cmocka_unit_test(test_claim_beside_an_entry),
		cmocka_unit_test(test_failure_is_held_doubled_and_ended),
		cmocka_unit_test(test_failure_of_an_outage_ends_soon),
		cmocka_unit_test(test_slow_question_is_known_and_not_held),
		cmocka_unit_test(test_stale_answer_tells_of_a_failure),
		cmocka_unit_test(test_expired_entries_make_room_first),
	};
	return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}

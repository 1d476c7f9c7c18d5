/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks over the whole cache: nothing is missed while entries move, come and go; flushing is exact,
 * also beside other threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/clock.h"
#include "resolver/cache_rate.h"
#include "resolver/cache_walk.h"
#include "tests/unit/cache_trace.h"

#define OCTETS 120
#define LIFE_US (3600 * US_PER_S)

static const struct hash_seed seed = {9, 10};

static void put(
	struct cache *cache, const char *text, uint16_t qtype, uint8_t flags, uint32_t epoch)
{
	struct cache_key key;
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	cache_key_make(cache, &key, name.wire, name.length, qtype, flags);
	struct answer *answer = trace_answer(&key, OCTETS, 0, LIFE_US);
	answer->epoch = epoch;
	answer->positive = true;
	cache_put(cache, &key, answer, 0);
}

static bool has(struct cache *cache, const char *text, uint16_t qtype, uint8_t flags)
{
	struct cache_key key;
	struct cache_hit hit;
	struct name name;
	uint8_t out[512];
	unsigned owner;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	cache_key_make(cache, &key, name.wire, name.length, qtype, flags);
	return cache_lookup(cache, &key, 0, false, 0, out, sizeof out, &hit, &owner) == CACHE_HIT;
}

/* text NULL: everything. */
static struct cache_flushed flush(struct cache *cache, const char *text, bool below, uint16_t qtype)
{
	struct cache_filter filter = {.below = below, .qtype = qtype};
	struct cache_flushed flushed;
	struct name name;

	if (text) {
		assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
		filter.name = name.wire;
		filter.length = name.length;
	}
	assert_int_equal(cache_flush(cache, &filter, &flushed), TD_OK);
	return flushed;
}

static void fill(struct cache *cache)
{
	static const char *const names[] = {"example.org", "www.example.org", "a.www.example.org",
		"notexample.org", "example.com", "org"};
	uint32_t epoch = cache_epoch(cache);

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		for (uint8_t flags = 0; flags < 4; flags++) {
			put(cache, names[i], TYPE_A, flags, epoch);
			put(cache, names[i], TYPE_AAAA, flags, epoch);
		}
}

static void a_flush_takes_what_is_meant_and_nothing_else(void **state)
{
	struct cache *cache = cache_new(1 << 20, 4, &seed);
	struct cache_status status;

	(void)state;
	fill(cache);
	assert_int_equal(flush(cache, "www.example.org", false, TYPE_A).entries, 4);
	assert_false(has(cache, "www.example.org", TYPE_A, CACHE_DNSSEC_OK));
	assert_true(has(cache, "www.example.org", TYPE_AAAA, 0));
	assert_true(has(cache, "a.www.example.org", TYPE_A, 0));
	fill(cache);
	assert_int_equal(flush(cache, "www.example.org", false, 0).entries, 8);
	fill(cache);
	assert_int_equal(flush(cache, "example.org", true, 0).entries, 24);
	assert_false(has(cache, "example.org", TYPE_A, 0));
	assert_false(has(cache, "a.www.example.org", TYPE_AAAA, 3));
	assert_true(has(cache, "notexample.org", TYPE_A, 0));
	assert_true(has(cache, "org", TYPE_A, 0));
	fill(cache);
	assert_int_equal(flush(cache, NULL, false, TYPE_AAAA).entries, 24);
	assert_int_equal(flush(cache, NULL, false, 0).entries, 24);
	cache_status(cache, &status);
	assert_int_equal(status.entries, 0);
	assert_int_equal(status.flushed, 4 + 8 + 24 + 24 + 24);
	assert_int_equal(status.evicted, 0);
	fill(cache);
	assert_int_equal(flush(cache, ".", true, 0).entries, 48);
	cache_free(cache);
}

static void a_flush_takes_failures(void **state)
{
	const struct cache_settings settings = {.failure_us = 5 * US_PER_S};
	const struct failure servfail = {.error = TD_REFUSED, .rcode = RCODE_SERVFAIL};
	struct cache *cache = cache_new(1 << 20, 4, &seed);
	struct cache_status status;
	struct cache_key key;

	(void)state;
	cache_set(cache, &settings);
	for (uint32_t i = 0; i < 100; i++) {
		trace_key(cache, &key, i);
		cache_fail(cache, &key, &servfail, false, 0);
	}
	assert_int_equal(flush(cache, "example.org", true, 0).failures, 0);
	struct cache_flushed flushed = flush(cache, "example", true, 0);
	assert_int_equal(flushed.failures, 100);
	assert_int_equal(flushed.entries, 0);
	cache_status(cache, &status);
	assert_int_equal(status.failing, 0);
	cache_free(cache);
}

/* What is over is neither counted nor shown. */
static void failures_that_are_over_are_swept(void **state)
{
	const struct cache_settings settings = {.failure_us = 5 * US_PER_S};
	const struct failure servfail = {.error = TD_REFUSED, .rcode = RCODE_SERVFAIL};
	const struct cache_filter all = {.name = NULL};
	struct cache *cache = cache_new(1 << 20, 4, &seed);
	uint16_t types[64];
	struct cache_key key;

	(void)state;
	cache_set(cache, &settings);
	for (uint32_t i = 0; i < 20; i++) {
		trace_key(cache, &key, i);
		cache_fail(cache, &key, &servfail, CACHE_FAILURE_NAME, i < 10 ? 0 : US_PER_S);
	}
	cache_sweep_failures(cache, 5 * US_PER_S + FAILURE_MEMORY_US - 1);
	assert_int_equal(cache_find_failures(cache, &all, types, 64), 20);
	cache_sweep_failures(cache, 5 * US_PER_S + FAILURE_MEMORY_US);
	assert_int_equal(cache_find_failures(cache, &all, types, 64), 10);
	assert_int_equal(flush(cache, ".", true, 0).failures, 10);
	cache_fail(cache, &key, &servfail, CACHE_FAILURE_NAME, 0); /* asked before that */
	assert_int_equal(cache_find_failures(cache, &all, types, 64), 0);
	cache_free(cache);
}

/* What was asked upstream before the flush is not kept when it comes after it. */
static void what_was_on_its_way_does_not_come_back(void **state)
{
	struct cache *cache = cache_new(1 << 20, 4, &seed);
	struct cache_status status;
	uint32_t before = cache_epoch(cache);

	(void)state;
	flush(cache, "example.org", false, 0);
	put(cache, "example.org", TYPE_A, 0, before);
	assert_false(has(cache, "example.org", TYPE_A, 0));
	put(cache, "example.org", TYPE_A, 0, cache_epoch(cache));
	assert_true(has(cache, "example.org", TYPE_A, 0));
	put(cache, "example.org", TYPE_A, 0, before); /* nor does it harm what is newer */
	assert_true(has(cache, "example.org", TYPE_A, 0));
	cache_status(cache, &status);
	assert_int_equal(status.outdated, 2);
	cache_free(cache);
}

/* --- walks --- */

static uint32_t number_of(const struct cache_copy *copy)
{
	char digits[9] = {0};

	memcpy(digits, copy->answer->bytes + DNS_HEADER_SIZE + 2, 8);
	return (uint32_t)strtoul(digits, NULL, 16);
}

/* Entries move from the small queue to the main one and round it, come and are evicted, between all
 * the slices of two walks; what stays is seen by both. */
static void a_walk_misses_nothing_that_stays(void **state)
{
	enum { STAY = 2000, COME = 20000 };
	static uint8_t seen[2][STAY + COME];
	static bool gone[STAY];
	unsigned stayed = 0;
	struct cache *cache = cache_new(3 << 20, 4, &seed);
	struct cache_walk *walks[2];
	struct cache_copy copies[CACHE_SLICE];
	uint32_t next = STAY;
	bool going = true;
	size_t count;

	(void)state;
	for (uint32_t i = 0; i < STAY; i++)
		trace_ask(cache, i, OCTETS, 0);
	for (unsigned i = 0; i < 2; i++)
		assert_non_null(walks[i] = cache_walk_new(cache));
	while (going) {
		going = false;
		for (unsigned w = 0; w < 2; w++) {
			going |= cache_walk_copy(walks[w], copies, &count);
			for (size_t i = 0; i < count; i++) {
				seen[w][number_of(&copies[i])] = 1;
				free(copies[i].answer);
			}
		}
		for (unsigned i = 0; i < 200 && next < STAY + COME; i++)
			trace_ask(cache, next++, OCTETS, 0);
		for (uint32_t i = 0; i < STAY; i++)
			gone[i] |= !trace_has(cache, i, 0);
	}
	for (uint32_t i = 0; i < STAY; i++) {
		if (gone[i])
			continue;
		assert_true(seen[0][i] && seen[1][i]);
		stayed++;
	}
	assert_true(stayed > STAY / 2);
	for (unsigned i = 0; i < 2; i++)
		cache_walk_free(walks[i]);
	cache_free(cache);
}

static void a_walk_can_be_given_up(void **state)
{
	struct cache *cache = cache_new(1 << 20, 4, &seed);
	struct cache_copy copies[CACHE_SLICE];
	size_t count;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		trace_ask(cache, i, OCTETS, 0);
	struct cache_walk *walk = cache_walk_new(cache);
	assert_true(cache_walk_copy(walk, copies, &count));
	assert_int_equal(count, CACHE_SLICE);
	for (size_t i = 0; i < count; i++)
		free(copies[i].answer);
	cache_walk_free(walk);
	cache_walk_free(NULL);
	for (uint32_t i = 0; i < 10000; i++)
		trace_ask(cache, i, OCTETS, 0);
	assert_int_equal(flush(cache, NULL, false, 0).entries > 1000, 1);
	cache_free(cache);
}

static void kinds_are_counted(void **state)
{
	struct cache *cache = cache_new(1 << 20, 4, &seed);
	struct cache_key key;

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		trace_key(cache, &key, i);
		struct answer *answer = trace_answer(&key, OCTETS, 0, i < 4 ? US_PER_S : LIFE_US);
		answer->positive = i < 7;
		answer->flags = i == 9 ? RCODE_NXDOMAIN : RCODE_NOERROR;
		cache_put(cache, &key, answer, 0);
	}
	struct cache_kinds kinds = cache_count(cache, 2 * US_PER_S);
	assert_int_equal(kinds.stale, 4);
	assert_int_equal(kinds.positive, 3);
	assert_int_equal(kinds.nodata, 2);
	assert_int_equal(kinds.nxdomain, 1);
	cache_free(cache);
}

static void an_entry_is_found_with_its_variants(void **state)
{
	struct cache *cache = cache_new(1 << 20, 4, &seed);
	struct cache_copy copies[6];
	struct name name;
	bool more;

	(void)state;
	fill(cache);
	has(cache, "example.org", TYPE_AAAA, CACHE_DNSSEC_OK);
	assert_int_equal(name_from_text(&name, "example.org", 11), TD_OK);
	struct cache_filter filter = {.name = name.wire, .length = name.length, .qtype = TYPE_AAAA};
	assert_int_equal(cache_find(cache, &filter, copies, 6, &more), 4);
	assert_false(more);
	unsigned flags = 0;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(copies[i].qtype, TYPE_AAAA);
		assert_int_equal(copies[i].hits, copies[i].flags == CACHE_DNSSEC_OK);
		flags |= 1u << copies[i].flags;
		free(copies[i].answer);
	}
	assert_int_equal(flags, 15);
	filter.qtype = 0;
	assert_int_equal(cache_find(cache, &filter, copies, 6, &more), 6);
	assert_true(more);
	for (size_t i = 0; i < 6; i++)
		free(copies[i].answer);
	cache_free(cache);
}

static void the_last_minute_is_told(void **state)
{
	struct cache_rate rate = {.next = 0};
	struct cache_sample out, now = {.at_us = 1};

	(void)state;
	assert_false(cache_rate_minute(&rate, &now, &out));
	for (unsigned s = 1; s <= 301; s++) { /* ten hits and a miss a second */
		now = (struct cache_sample){s * US_PER_S, 10 * s, s};
		if (s % 10 == 1 || s % 10 == 3) /* the second is too soon */
			cache_rate_note(&rate, &now);
		bool known = cache_rate_minute(&rate, &now, &out);
		assert_int_equal(known, s > 30);
		if (s < 62)
			continue;
		assert_in_range(out.at_us, 55 * US_PER_S, 65 * US_PER_S);
		assert_int_equal(out.hits, 10 * (out.at_us / US_PER_S));
		assert_int_equal(out.misses, out.at_us / US_PER_S);
	}
	now.at_us += 300 * US_PER_S; /* nobody looked for minutes */
	assert_false(cache_rate_minute(&rate, &now, &out));
}

/* --- threads --- */

struct crowd {
	struct cache *cache;
	atomic_bool ending;
	atomic_uint asked;
};

/* A worker: what it finds it was told after the last flush it knew of, or before this one ended. */
static void *ask_on(void *context)
{
	struct crowd *crowd = context;

	for (uint32_t i = 0; !atomic_load(&crowd->ending); i++) {
		struct cache_key key;
		uint32_t epoch = cache_epoch(crowd->cache);
		if (!trace_has(crowd->cache, i % 3000, 0)) {
			trace_key(crowd->cache, &key, i % 3000);
			struct answer *answer = trace_answer(&key, OCTETS, 0, LIFE_US);
			answer->epoch = epoch;
			cache_put(crowd->cache, &key, answer, 0);
		}
		atomic_fetch_add(&crowd->asked, 1);
	}
	return NULL;
}

static void what_is_found_after_a_flush_is_newer(void **state)
{
	struct crowd crowd = {.cache = cache_new(512 << 10, 4, &seed)};
	struct cache_copy copies[CACHE_SLICE];
	pthread_t threads[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_on, &crowd), 0);
	for (unsigned round = 0; round < 20; round++) {
		struct cache_walk *walk;
		size_t count;
		unsigned before = atomic_load(&crowd.asked);
		while (atomic_load(&crowd.asked) < before + 1000)
			sched_yield();
		flush(crowd.cache, NULL, false, 0);
		uint32_t epoch = cache_epoch(crowd.cache);
		walk = cache_walk_new(crowd.cache);
		while (cache_walk_copy(walk, copies, &count))
			for (size_t i = 0; i < count; i++) {
				assert_int_equal(copies[i].answer->epoch, epoch);
				free(copies[i].answer);
			}
		cache_walk_free(walk);
	}
	atomic_store(&crowd.ending, true);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cache_free(crowd.cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flush_takes_what_is_meant_and_nothing_else),
		cmocka_unit_test(a_flush_takes_failures),
		cmocka_unit_test(failures_that_are_over_are_swept),
		cmocka_unit_test(what_was_on_its_way_does_not_come_back),
		cmocka_unit_test(a_walk_misses_nothing_that_stays),
		cmocka_unit_test(a_walk_can_be_given_up),
		cmocka_unit_test(kinds_are_counted),
		cmocka_unit_test(an_entry_is_found_with_its_variants),
		cmocka_unit_test(the_last_minute_is_told),
		cmocka_unit_test(what_is_found_after_a_flush_is_newer),
	};
	return cmocka_run_group_tests_name("cache_walk", tests, NULL, NULL);
}

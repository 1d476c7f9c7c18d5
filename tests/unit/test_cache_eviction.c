/* SPDX-License-Identifier: BSD-3-Clause */
/* Who leaves a full cache, and what it takes: scans, ghosts, what has expired, memory, limits. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "lib/base/clock.h"
#include "resolver/cache_queues.h"
#include "tests/unit/cache_trace.h"

#define NAMES 20000
#define SCAN 100000
#define OCTETS 120

static const struct hash_seed seed = {7, 8};

static uint64_t entries_of(struct cache *cache)
{
	struct cache_status status;

	cache_status(cache, &status);
	return status.entries;
}

static uint32_t room_of(size_t bytes)
{
	struct cache *cache = cache_new(bytes, 4, &seed);

	for (uint32_t i = 0; i < bytes / 100; i++)
		trace_ask(cache, i, OCTETS, 0);
	uint32_t room = (uint32_t)entries_of(cache);
	cache_free(cache);
	return room;
}

/* The rate over `queries` queries of clients, in per mille, with `scan` scanned names for each. */
struct rate {
	unsigned cache, lru;
};

static struct rate rate_of(
	struct cache *cache, struct model *lru, struct zipf *zipf, unsigned queries, uint32_t *scan)
{
	unsigned cache_hits = 0, lru_hits = 0;

	for (unsigned i = 0; i < queries; i++) {
		uint32_t number = zipf_next(zipf);
		cache_hits += trace_ask(cache, number, OCTETS, 0);
		lru_hits += model_ask(lru, number);
		if (scan) {
			trace_ask(cache, NAMES + *scan, OCTETS, 0);
			model_ask(lru, NAMES + *scan);
			++*scan;
		}
	}
	return (struct rate){cache_hits * 1000 / queries, lru_hits * 1000 / queries};
}

static void a_scan_does_not_push_out_what_is_asked(void **state)
{
	size_t bytes = 1 << 20;
	struct cache *cache = cache_new(bytes, 4, &seed);
	struct model lru;
	struct zipf zipf;
	uint32_t scan = 0;

	(void)state;
	zipf_init(&zipf, NAMES, 1.0, 88172645463325252);
	model_init(&lru, NAMES + SCAN, room_of(bytes), false);
	rate_of(cache, &lru, &zipf, 200000, NULL);
	struct rate quiet = rate_of(cache, &lru, &zipf, 50000, NULL);
	struct rate beside = rate_of(cache, &lru, &zipf, 50000, &scan);
	for (uint32_t i = 0; i < SCAN; i++) {
		trace_ask(cache, NAMES + i, OCTETS, 0);
		model_ask(&lru, NAMES + i);
	}
	struct rate after = rate_of(cache, &lru, &zipf, 2000, NULL);
	assert_true(quiet.cache > quiet.lru + 30);
	assert_true(beside.cache + 10 > quiet.cache);
	assert_true(beside.cache > beside.lru + 100);
	assert_true(after.cache + 30 > quiet.cache);
	assert_true(after.cache > after.lru + 100);
	model_deinit(&lru);
	zipf_deinit(&zipf);
	cache_free(cache);
}

/* What left the small queue and comes back soon is not put behind the scan again. */
static void what_comes_back_stays(void **state)
{
	struct cache *cache = cache_new(256 << 10, 1, &seed);
	uint32_t scan = NAMES, room = room_of(256 << 10);

	(void)state;
	while (scan < NAMES + 2000)
		trace_ask(cache, scan++, OCTETS, 0);
	trace_ask(cache, 2, OCTETS, 0);
	for (unsigned i = 0; i < room + 50; i++)
		trace_ask(cache, scan++, OCTETS, 0);
	assert_false(trace_ask(cache, 2, OCTETS, 0));
	for (unsigned i = 0; i < 4 * room; i++)
		trace_ask(cache, scan++, OCTETS, 0);
	assert_true(trace_has(cache, 2, 0));
	cache_free(cache);
}

/* --- the queues alone --- */

static struct queue_item *item_new(struct cache_queues *queues, uint64_t hash, uint32_t expires_s)
{
	struct queue_item *item = calloc(1, sizeof *item);

	assert_non_null(item);
	item->hash = hash;
	item->size = 100;
	item->expires_s = expires_s;
	queues_add(queues, item, false);
	return item;
}

static void what_expired_goes_before_what_did_not(void **state)
{
	struct cache_queues queues;

	(void)state;
	queues_init(&queues, 1 << 20);
	struct queue_item *living = item_new(&queues, 1, 100);
	struct queue_item *dead = item_new(&queues, 2, 10);
	struct queue_item *asked = item_new(&queues, 3, 100);
	struct queue_item *dead_asked = item_new(&queues, 4, 10);
	asked->hits = dead_asked->hits = 1;
	struct queue_item *const order[] = {dead, dead_asked, living, asked};
	for (size_t i = 0; i < 4; i++) {
		assert_ptr_equal(queues_evict(&queues, 50), order[i]);
		free(order[i]);
	}
	assert_null(queues_evict(&queues, 50));
	assert_int_equal(queues.small_bytes + queues.main_bytes, 0);
	queues_deinit(&queues);
}

/* However popular all of them are, a choice ends after a few steps. */
static void a_choice_is_bounded(void **state)
{
	struct cache_queues queues;
	unsigned moved = 0;

	(void)state;
	queues_init(&queues, 1 << 20);
	for (unsigned i = 0; i < 1000; i++)
		item_new(&queues, i, 100)->hits = 1000;
	free(queues_evict(&queues, 0));
	for (struct queue_item *item = queues.main.next; item != &queues.main; item = item->next)
		moved++;
	assert_true(moved > 0 && moved < QUEUES_STEPS_MAX);
	for (struct queue_item *item; (item = queues_evict(&queues, 0));)
		free(item);
	queues_deinit(&queues);
}

/* --- memory --- */

static size_t in_use(void)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
#else
	return 0;
#endif
}

/* What is counted is what malloc says is taken. */
static void the_limit_is_memory_that_is_used(void **state)
{
	size_t bytes = 8 << 20;

	(void)state;
	size_t before = in_use();
	if (before == 0) /* not glibc's malloc */
		skip();
	struct cache *cache = cache_new(bytes, 4, &seed);
	for (uint32_t i = 0; i < 100000; i++)
		trace_ask(cache, i, 40 + i * 2654435761u % 700, 0);
	size_t used = in_use() - before;
	assert_true(used > bytes - bytes / 20 && used < bytes + bytes / 20);
	cache_free(cache);
}

/* --- memory of the process --- */

static size_t resident(void)
{
	unsigned long size = 0, pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%lu %lu", &size, &pages) != 2)
		pages = 0;
	if (file)
		fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static struct cache *churned;

static void *churn(void *context)
{
	uint32_t first = *(const uint32_t *)context;

	for (uint32_t i = 0; i < 60000; i++)
		trace_ask(churned, first + i, 60 + i * 2654435761u % 400 + (i % 50 ? 0 : 1500), 0);
	return NULL;
}

/* In a process of its own: threads that evict each other's answers, of all sizes. 0: as much as the
 * limit says, within a tenth. */
static int churn_in_threads(void)
{
	static const uint32_t firsts[] = {0, 1u << 20, 2u << 20, 3u << 20};
	size_t bytes = 16 << 20, before;
	pthread_t threads[4];

#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1); /* as main does */
#endif
	before = resident();
	churned = cache_new(bytes, 16, &seed);
	for (size_t i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, churn, (void *)&firsts[i]) != 0)
			return 2;
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return resident() - before > bytes + bytes / 10 || resident() - before < bytes / 2;
}

static void the_process_takes_what_the_limit_says(void **state)
{
	int status = -1;

	(void)state;
	if (in_use() == 0)
		skip();
	pid_t child = fork();
	if (child == 0)
		_exit(churn_in_threads());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void the_limit_can_change(void **state)
{
	struct cache *cache = cache_new(4 << 20, 4, &seed);
	struct cache_status status;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++)
		trace_ask(cache, i, OCTETS, 0);
	uint64_t before = entries_of(cache);
	cache_resize(cache, 1 << 20, 0);
	cache_status(cache, &status);
	assert_int_equal(status.limit, 1 << 20);
	assert_true(status.bytes <= 1 << 20);
	assert_true(status.entries > before / 5 && status.entries < before / 3);
	assert_int_equal(status.evicted, 20000 - status.entries);
	cache_resize(cache, 4 << 20, 0);
	for (uint32_t i = 20000; i < 40000; i++)
		trace_ask(cache, i, OCTETS, 0);
	assert_true(entries_of(cache) > before - before / 20);
	cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_scan_does_not_push_out_what_is_asked),
		cmocka_unit_test(what_comes_back_stays),
		cmocka_unit_test(what_expired_goes_before_what_did_not),
		cmocka_unit_test(a_choice_is_bounded),
		cmocka_unit_test(the_limit_is_memory_that_is_used),
		cmocka_unit_test(the_process_takes_what_the_limit_says),
		cmocka_unit_test(the_limit_can_change),
	};
	return cmocka_run_group_tests_name("cache_eviction", tests, NULL, NULL);
}

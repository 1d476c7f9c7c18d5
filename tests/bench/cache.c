/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the cache is worth: hit rates of Zipf traces with and without scans, beside LRU and CLOCK
 * with as many entries; time of a look-up and of an insert into a full cache; resident memory of a
 * churned cache beside its limit.
 *
 *   tests/bench/cache            all of it
 *   tests/bench/cache lookups N  N look-ups of cached names and nothing else, for callgrind
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/unit/cache_trace.h"

#define NAMES 200000
#define SCAN 1000000
#define NUMBERS (NAMES + SCAN)
#define OCTETS 120
#define SHARDS 16

static const struct hash_seed seed = {5, 6};

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct rates {
	uint64_t asked, cache, lru, clock;
};

struct site {
	struct cache *cache;
	struct model lru, clock;
	struct zipf zipf;
	uint32_t scanned;
};

static void ask(struct site *site, uint32_t number, struct rates *rates)
{
	bool hits[] = {trace_ask(site->cache, number, OCTETS, 0), model_ask(&site->lru, number),
		model_ask(&site->clock, number)};

	if (!rates)
		return;
	rates->asked++;
	rates->cache += hits[0];
	rates->lru += hits[1];
	rates->clock += hits[2];
}

/* Clients and a scanner side by side: `scan` scanned names for each 100 queries of clients; only
 * the clients' hits count. */
static void run(struct site *site, unsigned queries, unsigned scan, struct rates *rates)
{
	for (unsigned i = 0; i < queries; i++) {
		ask(site, zipf_next(&site->zipf), rates);
		if (i % 100 == 0)
			for (unsigned j = 0; j < scan; j++)
				ask(site, NAMES + site->scanned++ % SCAN, NULL);
	}
}

static uint32_t room_of(size_t bytes)
{
	struct cache *cache = cache_new(bytes, SHARDS, &seed);
	struct cache_status status;

	for (uint32_t i = 0; i < bytes / 100; i++)
		trace_ask(cache, i, OCTETS, 0);
	cache_status(cache, &status);
	cache_free(cache);
	return (uint32_t)status.entries;
}

static void print_rates(const char *what, const struct rates *rates)
{
	double asked = (double)rates->asked / 100;

	printf("%-44s %6.2f %6.2f %6.2f\n", what, (double)rates->cache / asked,
		(double)rates->lru / asked, (double)rates->clock / asked);
}

static void compare(double exponent, size_t bytes)
{
	uint32_t room = room_of(bytes);
	struct site site = {.cache = cache_new(bytes, SHARDS, &seed)};
	struct rates rates = {0};
	char what[64];

	zipf_init(&site.zipf, NAMES, exponent, 88172645463325252);
	model_init(&site.lru, NUMBERS, room, false);
	model_init(&site.clock, NUMBERS, room, true);
	run(&site, 2000000, 0, NULL);
	run(&site, 1000000, 0, &rates);
	snprintf(what, sizeof what, "Zipf %.1f, %u of %u names", exponent, room, NAMES);
	print_rates(what, &rates);
	rates = (struct rates){0};
	run(&site, 1000000, 100, &rates);
	print_rates("  a scanned name for each query", &rates);
	rates = (struct rates){0};
	for (unsigned i = 0; i < SCAN; i++)
		ask(&site, NAMES + i, NULL);
	run(&site, 20000, 0, &rates);
	print_rates("  the 20,000 queries after a million scanned", &rates);
	model_deinit(&site.lru);
	model_deinit(&site.clock);
	zipf_deinit(&site.zipf);
	cache_free(site.cache);
}

static void look(unsigned long count)
{
	struct cache *cache = cache_new(64 << 20, SHARDS, &seed);
	double start;

	for (uint32_t i = 0; i < 10000; i++)
		trace_ask(cache, i, OCTETS, 0);
	start = now_s();
	for (unsigned long i = 0; i < count; i++)
		if (!trace_has(cache, (uint32_t)(i * 7919 % 10000), 0))
			abort();
	printf("look-up, key made anew: %.0f ns\n", (now_s() - start) * 1e9 / (double)count);
	cache_free(cache);
}

static size_t resident(void)
{
	unsigned long size = 0, pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	if (!file || fscanf(file, "%lu %lu", &size, &pages) != 2)
		abort();
	fclose(file);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Answers of changing sizes, so that malloc has to fit them where others were. */
static void churn(size_t bytes)
{
	size_t before = resident();
	struct cache *cache = cache_new(bytes, SHARDS, &seed);
	struct cache_status status;
	double start = now_s();
	uint32_t count = (uint32_t)(bytes / 50);

	for (uint32_t i = 0; i < count; i++)
		trace_ask(cache, i, 60 + i * 2654435761u % 400 + (i % 50 == 0 ? 1500 : 0), 0);
	double took = now_s() - start;
	cache_status(cache, &status);
	printf("cache of %zu KB: counted %.1f %%, resident %.1f %%; insert with eviction %.0f ns\n",
		bytes >> 10, 100.0 * (double)status.bytes / (double)bytes,
		100.0 * (double)(resident() - before) / (double)bytes, took * 1e9 / count);
	cache_free(cache);
	malloc_trim(0);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "lookups") == 0) {
		look(strtoul(argv[2], NULL, 10));
		return 0;
	}
	printf("%-44s %6s %6s %6s\n", "hit rate, %", "cache", "LRU", "CLOCK");
	compare(0.8, 4 << 20);
	compare(1.0, 4 << 20);
	compare(1.0, 1 << 20);
	look(5000000);
	churn(4 << 20);
	churn(64 << 20);
	return 0;
}

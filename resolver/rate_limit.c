/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generic cell rate algorithm: a client's whole state is one time, up to which what it has
 * asked so far is paid for. A query costs one interval; a client whose time lies further ahead than
 * its burst allows asks too fast. A time that has passed says nothing, so an entry ages by itself
 * and can be taken by anybody.
 *
 * That makes an entry one 64-bit word, changed by compare-and-swap:
 *
 *   tag (20 bits) | limited queries since the last slip (4) | time in us, modulo 2^40 (40)
 *
 * Eight entries are a set, one cache line; the client's hash chooses the set and is the tag. Two
 * clients that are taken for one are one in a hundred thousand and change with the seed. Times are
 * compared modulo 2^40 (12.7 days): a debt beyond the burst cannot be, so it is one of the past.
 *
 * Rejected: buckets of tokens that a timer fills (work for clients that are gone), a lock for a
 * part of the table (a second one for each hit), and hashed counters without tags (whoever knows
 * which addresses collide limits others).
 */
#include "resolver/rate_limit.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"

#define WAYS 8
#define CACHE_LINE 64
#define SETS (RATE_CLIENTS / WAYS)
#define TIME_BITS 40
#define TIME_MASK ((UINT64_C(1) << TIME_BITS) - 1)
#define SLIP_MASK UINT64_C(15)
#define TAG_SHIFT 44

struct rate_limit {
	struct hash_seed seed;
	_Atomic uint64_t (*cells)[WAYS]; /* SETS of them, each within a cache line */
	void *memory;                    /* of the cells: zero pages until they are used */
};

/* What a client may do, in time. */
struct allowance {
	uint64_t interval_us; /* that a query costs */
	uint64_t window_us;   /* that it may owe */
};

static struct allowance allowance_of(const struct rate *rate)
{
	struct allowance out = {
		.interval_us = US_PER_S / rate->per_second, .window_us = RATE_BURST_S * US_PER_S};

	if (out.window_us < RATE_BURST_MIN * out.interval_us)
		out.window_us = RATE_BURST_MIN * out.interval_us;
	return out;
}

static uint64_t cell_make(uint64_t tag, uint64_t slipped, uint64_t time_us)
{
	return tag << TAG_SHIFT | slipped << TIME_BITS | (time_us & TIME_MASK);
}

/* How far ahead of now the client's time is; 0 when it is past. */
static uint64_t cell_debt(uint64_t cell, int64_t now_us, uint64_t window_us)
{
	uint64_t debt = (cell - (uint64_t)now_us) & TIME_MASK;

	return debt <= window_us ? debt : 0;
}

static uint64_t client_hash(
	const struct rate_limit *limit, const struct address *client, unsigned prefix_v6)
{
	uint8_t key[17] = {client->family};
	size_t length = address_octets(client);

	memcpy(key + 1, client->octets, sizeof key - 1);
	for (size_t bit = prefix_v6; length == 16 && bit < 128; bit = (bit | 7) + 1)
		key[1 + bit / 8] &= (uint8_t)(0xff00 >> bit % 8);
	return hash_bytes(&limit->seed, key, 1 + length);
}

/* The client's entry; else the one of its set that owes least. */
static _Atomic uint64_t *find(
	struct rate_limit *limit, uint64_t hash, uint64_t tag, int64_t now_us, uint64_t window_us)
{
	_Atomic uint64_t *set = limit->cells[hash % SETS], *least = set;
	uint64_t least_debt = UINT64_MAX;

	for (unsigned i = 0; i < WAYS; i++) {
		uint64_t cell = atomic_load_explicit(&set[i], memory_order_relaxed);
		uint64_t debt = cell ? cell_debt(cell, now_us, window_us) : 0;
		if (cell >> TAG_SHIFT == tag)
			return &set[i];
		if (debt < least_debt) {
			least = &set[i];
			least_debt = debt;
		}
	}
	return least;
}

struct rate_limit *rate_limit_new(const struct hash_seed *seed)
{
	struct rate_limit *limit = calloc(1, sizeof *limit);
	char *memory = calloc(1, SETS * sizeof limit->cells[0] + CACHE_LINE);

	if (!limit || !memory) {
		free(limit);
		free(memory);
		return NULL;
	}
	limit->seed = *seed;
	limit->memory = memory;
	memory += -(uintptr_t)memory % CACHE_LINE;
	limit->cells = (_Atomic uint64_t(*)[WAYS])(void *)memory;
	return limit;
}

void rate_limit_free(struct rate_limit *limit)
{
	if (!limit)
		return;
	free(limit->memory);
	free(limit);
}

enum rate_verdict rate_limit_take(struct rate_limit *limit, const struct rate *rate,
	const struct address *client, int64_t now_us, uint64_t *forgotten)
{
	struct allowance allowance = allowance_of(rate);
	uint64_t hash = client_hash(limit, client, rate->prefix_v6);
	uint64_t tag = hash >> TAG_SHIFT | 1; /* an empty cell has tag 0 */
	_Atomic uint64_t *cell = find(limit, hash, tag, now_us, allowance.window_us);
	uint64_t old = atomic_load_explicit(cell, memory_order_relaxed), next;
	enum rate_verdict verdict;

	do {
		bool known = old >> TAG_SHIFT == tag;
		uint64_t debt = cell_debt(old, now_us, allowance.window_us);
		uint64_t slipped = known ? old >> TIME_BITS & SLIP_MASK : 0;
		if (!known && old && debt)
			++*forgotten;
		debt = known ? debt : 0;
		verdict = RATE_PASS;
		if (debt + allowance.interval_us <= allowance.window_us) {
			debt += allowance.interval_us;
		} else {
			verdict = rate->slip && ++slipped >= rate->slip ? RATE_SLIP : RATE_DROP;
			slipped = verdict == RATE_SLIP ? 0 : slipped & SLIP_MASK;
		}
		next = cell_make(tag, slipped, (uint64_t)now_us + debt);
	} while (!atomic_compare_exchange_weak_explicit(
		cell, &old, next, memory_order_relaxed, memory_order_relaxed));
	return verdict;
}

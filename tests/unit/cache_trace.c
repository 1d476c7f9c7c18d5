/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory that is lacking ends the program: this is a test. */
#include "tests/unit/cache_trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"

static void *reserve(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		abort();
	return memory;
}

void zipf_init(struct zipf *zipf, uint32_t count, double exponent, uint64_t seed)
{
	double sum = 0;

	*zipf = (struct zipf){
		.sums = reserve(count, sizeof(double)), .count = count, .state = seed};
	for (uint32_t i = 0; i < count; i++)
		zipf->sums[i] = sum += pow(i + 1.0, -exponent);
}

void zipf_deinit(struct zipf *zipf)
{
	free(zipf->sums);
}

/* xorshift64* */
static double uniform(struct zipf *zipf)
{
	zipf->state ^= zipf->state >> 12;
	zipf->state ^= zipf->state << 25;
	zipf->state ^= zipf->state >> 27;
	return (double)(zipf->state * UINT64_C(0x2545f4914f6cdd1d) >> 11) / 9007199254740992.0;
}

uint32_t zipf_next(struct zipf *zipf)
{
	double wanted = uniform(zipf) * zipf->sums[zipf->count - 1];
	uint32_t low = 0, high = zipf->count - 1;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (zipf->sums[middle] < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* --- models --- */

void model_init(struct model *model, uint32_t numbers, uint32_t room, bool clock)
{
	*model = (struct model){.numbers = numbers, .room = room, .clock = clock};
	model->next = reserve(numbers + 1, sizeof *model->next);
	model->previous = reserve(numbers + 1, sizeof *model->previous);
	model->state = reserve(numbers + 1, 1);
	model->next[numbers] = model->previous[numbers] = numbers;
}

void model_deinit(struct model *model)
{
	free(model->next);
	free(model->previous);
	free(model->state);
}

static void model_append(struct model *model, uint32_t number)
{
	uint32_t newest = model->previous[model->numbers];

	model->next[newest] = number;
	model->previous[number] = newest;
	model->next[number] = model->numbers;
	model->previous[model->numbers] = number;
}

static void model_unlink(struct model *model, uint32_t number)
{
	model->next[model->previous[number]] = model->next[number];
	model->previous[model->next[number]] = model->previous[number];
}

static void model_evict(struct model *model)
{
	for (;;) {
		uint32_t oldest = model->next[model->numbers];
		model_unlink(model, oldest);
		if (!model->clock || !(model->state[oldest] & 2)) {
			model->state[oldest] = 0;
			model->held--;
			return;
		}
		model->state[oldest] = 1;
		model_append(model, oldest);
	}
}

bool model_ask(struct model *model, uint32_t number)
{
	if (model->state[number]) {
		model->state[number] |= 2;
		if (!model->clock) {
			model_unlink(model, number);
			model_append(model, number);
		}
		return true;
	}
	if (model->held == model->room)
		model_evict(model);
	model->state[number] = 1;
	model->held++;
	model_append(model, number);
	return false;
}

/* --- the cache --- */

void trace_key(const struct cache *cache, struct cache_key *key, uint32_t number)
{
	uint8_t name[NAME_WIRE_MAX];
	int length = snprintf((char *)name + 1, sizeof name - 1, "n%08x", number);

	name[0] = (uint8_t)length;
	memcpy(name + 1 + length, "\7example", 9);
	cache_key_make(cache, key, name, (size_t)length + 10, TYPE_A, 0);
}

struct answer *trace_answer(
	const struct cache_key *key, size_t octets, int64_t now_us, int64_t expires_us)
{
	struct answer *answer = reserve(1, sizeof *answer + octets);

	answer->stored_us = now_us;
	answer->expires_us = expires_us;
	answer->length = (uint16_t)octets;
	memcpy(answer->bytes + DNS_HEADER_SIZE, key->octets, key->length - 1u);
	return answer;
}

bool trace_has(struct cache *cache, uint32_t number, int64_t now_us)
{
	static uint8_t out[DNS_MESSAGE_MAX];
	struct cache_key key;
	struct cache_hit hit;
	unsigned owner;

	trace_key(cache, &key, number);
	return cache_lookup(cache, &key, now_us, false, 0, out, sizeof out, &hit, &owner) ==
	       CACHE_HIT;
}

bool trace_ask(struct cache *cache, uint32_t number, size_t octets, int64_t now_us)
{
	struct cache_key key;

	if (trace_has(cache, number, now_us))
		return true;
	trace_key(cache, &key, number);
	cache_put(cache, &key,
		trace_answer(&key, octets, now_us, now_us + INT64_C(86400) * US_PER_S), now_us);
	return false;
}

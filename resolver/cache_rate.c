/* SPDX-License-Identifier: BSD-3-Clause */
/* A decaying mean was rejected: nobody can check one against what was asked. */
#include "resolver/cache_rate.h"

#include <stdlib.h>

#include "lib/base/clock.h"

#define APART_MIN_US (5 * US_PER_S)
#define MINUTE_US (60 * US_PER_S)
#define OFF_MAX_US (30 * US_PER_S)

void cache_rate_note(struct cache_rate *rate, const struct cache_sample *sample)
{
	const struct cache_sample *last =
		&rate->samples[(rate->next + CACHE_SAMPLES - 1) % CACHE_SAMPLES];

	if (last->at_us != 0 && sample->at_us - last->at_us < APART_MIN_US)
		return;
	rate->samples[rate->next] = *sample;
	rate->next = (rate->next + 1) % CACHE_SAMPLES;
}

/* How far from a minute ago. */
static int64_t off_us(const struct cache_sample *sample, const struct cache_sample *now)
{
	return llabs(now->at_us - sample->at_us - MINUTE_US);
}

bool cache_rate_minute(
	const struct cache_rate *rate, const struct cache_sample *now, struct cache_sample *out)
{
	const struct cache_sample *best = NULL;

	for (unsigned i = 0; i < CACHE_SAMPLES; i++) {
		const struct cache_sample *sample = &rate->samples[i];
		if (sample->at_us != 0 && off_us(sample, now) <= OFF_MAX_US &&
			(!best || off_us(sample, now) < off_us(best, now)))
			best = sample;
	}
	if (!best)
		return false;
	*out = (struct cache_sample){
		now->at_us - best->at_us, now->hits - best->hits, now->misses - best->misses};
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How the cache did in the last minute: a few samples of what the workers have counted, taken when
 * they are asked for their figures anyway (every ten seconds with Redis). Passive; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CACHE_SAMPLES 8

struct cache_sample {
	int64_t at_us; /* mono */
	uint64_t hits, misses;
};

struct cache_rate {
	struct cache_sample samples[CACHE_SAMPLES]; /* a ring; at_us 0: none */
	unsigned next;
};

/* A sample sooner than 5 s after the last one is passed over. */
void cache_rate_note(struct cache_rate *rate, const struct cache_sample *sample);

/* What was counted since the sample nearest to a minute ago, with the time since then in at_us.
 * False: none is 30 to 90 s old. */
bool cache_rate_minute(
	const struct cache_rate *rate, const struct cache_sample *now, struct cache_sample *out);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What clients ask, made up: names by a Zipf distribution, scans of names that nobody asks twice,
 * and what LRU and CLOCK would have made of it, as models that hold numbers instead of answers.
 * Repeats exactly for the same seed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/cache.h"

struct zipf {
	double *sums; /* [count] */
	uint32_t count;
	uint64_t state;
};

/* Of so many names the n-th is asked in proportion to 1 / n^exponent. */
void zipf_init(struct zipf *zipf, uint32_t count, double exponent, uint64_t seed);
void zipf_deinit(struct zipf *zipf);
uint32_t zipf_next(struct zipf *zipf); /* 0 … count-1 */

/* A cache of `room` numbers below `numbers`. */
struct model {
	uint32_t *next,
		*previous; /* of a list whose head is `numbers`; next of the head: the oldest */
	uint8_t *state;    /* 0: absent; bit 0: held; bit 1: asked since */
	uint32_t numbers, room, held;
	bool clock; /* CLOCK, else LRU */
};

void model_init(struct model *model, uint32_t numbers, uint32_t room, bool clock);
void model_deinit(struct model *model);
bool model_ask(struct model *model, uint32_t number); /* was it a hit? it is held now */

/* The same of the cache itself: looks the number's name up, puts an answer of `octets` where it is
 * missing. */
bool trace_ask(struct cache *cache, uint32_t number, size_t octets, int64_t now_us);
/* Looks only. */
bool trace_has(struct cache *cache, uint32_t number, int64_t now_us);

/* The key of a number's name, and an answer to it that expires at expires_us. */
void trace_key(const struct cache *cache, struct cache_key *key, uint32_t number);
struct answer *trace_answer(
	const struct cache_key *key, size_t octets, int64_t now_us, int64_t expires_us);

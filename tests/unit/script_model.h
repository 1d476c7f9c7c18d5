/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model of the script in Redis: it applies the batches of one boot to a plain map, each number
 * once. Tests keep a second map of what is true.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "resolver/telemetry/batch.h"

#define MAP_SLOTS (1u << 18)

/* From text to a number; zeroed is empty. */
struct map {
	struct {
		char *key;
		uint64_t value;
	} slots[MAP_SLOTS];
	size_t count;
};

/* Its number, 0 at first. */
uint64_t *map_at(struct map *map, const char *key);

void map_add(struct map *map, uint64_t value, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void map_free(struct map *map); /* the map itself as well, which was calloc'd */
void assert_maps_equal(struct map *truth, struct map *model);

struct redis {
	struct map *map;
	uint64_t applied;
	uint64_t queries;
	size_t items, duplicates, lines;
	uint64_t closed_hour;
};

/* One call of the script: EVALSHA sha 1 key header items. */
void redis_call(struct redis *redis, const struct batch *batch);

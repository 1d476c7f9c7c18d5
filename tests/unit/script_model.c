/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/script_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"

static const struct hash_seed seed = {.k0 = 1, .k1 = 2};

/* --- a map from text to a number --- */

uint64_t *map_at(struct map *map, const char *key)
{
	size_t at = hash_bytes(&seed, key, strlen(key)) & (MAP_SLOTS - 1);

	while (map->slots[at].key && strcmp(map->slots[at].key, key) != 0)
		at = (at + 1) & (MAP_SLOTS - 1);
	if (!map->slots[at].key) {
		assert_true(++map->count < MAP_SLOTS / 2);
		map->slots[at].key = strdup(key);
	}
	return &map->slots[at].value;
}

void map_add(struct map *map, uint64_t value, const char *format, ...)
{
	char key[4096];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(key, sizeof(key), format, arguments);
	va_end(arguments);
	*map_at(map, key) += value;
}

void map_free(struct map *map)
{
	for (size_t i = 0; i < MAP_SLOTS; i++)
		free(map->slots[i].key);
	free(map);
}

void assert_maps_equal(struct map *truth, struct map *model)
{
	for (size_t i = 0; i < MAP_SLOTS; i++) {
		if (!truth->slots[i].key)
			continue;
		if (*map_at(model, truth->slots[i].key) != truth->slots[i].value)
			fail_msg("%s: %" PRIu64 " counted, %" PRIu64 " true", truth->slots[i].key,
				*map_at(model, truth->slots[i].key), truth->slots[i].value);
	}
	assert_int_equal(model->count, truth->count);
}

/* --- the model of the script --- */

struct cursor {
	const struct batch *batch;
	size_t at;
	char text[16][4096];
};

static const char *take(struct cursor *cursor, unsigned slot)
{
	assert_true(cursor->at < cursor->batch->argc);
	size_t length = cursor->batch->lengths[cursor->at];
	size_t kept =
		length < sizeof(cursor->text[slot]) - 1 ? length : sizeof(cursor->text[slot]) - 1;
	memcpy(cursor->text[slot], cursor->batch->argv[cursor->at], kept);
	cursor->text[slot][kept] = '\0';
	cursor->at++;
	return cursor->text[slot];
}

static uint64_t take_number(struct cursor *cursor)
{
	const char *text = take(cursor, 15);
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	assert_true(text[0] != '\0' && *end == '\0');
	return value;
}

static void apply_counters(struct redis *redis, struct cursor *cursor, const char *what)
{
	for (uint64_t left = take_number(cursor); left > 0; left--) {
		const char *name = take(cursor, 9);
		uint64_t value = take_number(cursor);
		map_add(redis->map, value, "%s %s", what, name);
		if (what[0] == 'c' && strcmp(name, "queries") == 0)
			redis->queries += value;
	}
}

static void apply_told(struct redis *redis, struct cursor *cursor)
{
	char key[128];

	take(cursor, 1);
	uint64_t first = take_number(cursor), last = take_number(cursor);
	take(cursor, 2);
	assert_true(first <= last);
	snprintf(key, sizeof(key), "sf %.60s", cursor->text[1]);
	uint64_t *earliest = map_at(redis->map, key);
	*earliest = *earliest && *earliest < first ? *earliest : first;
	snprintf(key, sizeof(key), "sl %.60s", cursor->text[1]);
	uint64_t *latest = map_at(redis->map, key);
	*latest = *latest > last ? *latest : last;
	struct address server;
	assert_true(address_from_text(&server, cursor->text[2]));
}

static void apply_item(struct redis *redis, struct cursor *cursor)
{
	const char *kind = take(cursor, 0);
	char what[4096];
	uint64_t count;

	redis->items++;
	switch (kind[0]) {
	case 'c':
		snprintf(what, sizeof(what), "c %.60s ", take(cursor, 1));
		strcat(what, take(cursor, 2));
		assert_true(take_number(cursor) <= take_number(cursor)); /* first, last */
		apply_counters(redis, cursor, what);
		return;
	case 'h':
		snprintf(what, sizeof(what), "h %.60s", take(cursor, 1));
		apply_counters(redis, cursor, what);
		return;
	case 'q':
		take(cursor, 1);
		take(cursor, 2);
		take(cursor, 3);
		map_add(redis->map, take_number(cursor), "q %s %s %s", cursor->text[1],
			cursor->text[2], cursor->text[3]);
		map_add(redis->map, take_number(cursor), "qh %s %s %s", cursor->text[1],
			cursor->text[2], cursor->text[3]);
		take_number(cursor);
		return;
	case 'p':
		take(cursor, 1);
		take(cursor, 2);
		take(cursor, 3);
		assert_true(take_number(cursor) <= take_number(cursor));
		count = take_number(cursor);
		take(cursor, 4);
		map_add(redis->map, count, "p %s %s %s %s", cursor->text[1], cursor->text[2],
			cursor->text[3], cursor->text[4]);
		return;
	case 't':
		take(cursor, 1);
		take(cursor, 2);
		assert_string_equal(take(cursor, 3), "dns");
		map_add(redis->map, take_number(cursor), "t %s %s", cursor->text[1],
			cursor->text[2]);
		return;
	case 'z':
		take(cursor, 1);
		take(cursor, 2);
		map_add(redis->map, take_number(cursor), "z %s %s", cursor->text[1],
			cursor->text[2]);
		take_number(cursor);
		return;
	case 'r':
		take(cursor, 1);
		take(cursor, 2);
		map_add(redis->map, take_number(cursor), "r %s %s", cursor->text[1],
			cursor->text[2]);
		take_number(cursor);
		return;
	case 's':
		apply_told(redis, cursor);
		return;
	case 'n':
		take(cursor, 1);
		take(cursor, 2);
		map_add(redis->map, take_number(cursor), "d %s %s", cursor->text[1],
			cursor->text[2]);
		take_number(cursor);
		return;
	case 'x':
	case 'e':
		take_number(cursor);
		take(cursor, 1);
		redis->lines++;
		return;
	case 'k':
		redis->closed_hour = take_number(cursor);
		redis->items--;
		return;
	default:
		fail_msg("an item of unknown kind %s", kind);
	}
}

void redis_call(struct redis *redis, const struct batch *batch)
{
	struct cursor cursor = {.batch = batch, .at = BATCH_ARGV_HEADER + 1};
	uint64_t number = take_number(&cursor);

	assert_int_equal(number, batch->number);
	if (number <= redis->applied) {
		redis->duplicates++;
		return;
	}
	assert_int_equal(number, redis->applied + 1);
	redis->applied = number;
	cursor.at = BATCH_ARGV_HEADER + BATCH_HEADER_COUNT;
	while (cursor.at < batch->argc)
		apply_item(redis, &cursor);
}

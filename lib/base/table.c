/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Linear probing, at most three quarters full: a lookup touches one or two neighbouring cache
 * lines, and the stored hash spares nearly every look at a foreign item. Deletion shifts the run
 * back instead of leaving tombstones, so a table that is filled and emptied for months stays as
 * fast as a new one. Chaining was rejected: a link in every item and a cache miss a step.
 */
#include "lib/base/table.h"

#include <stdlib.h>

#define CAPACITY_MIN ((size_t)16)

void table_init(struct table *table, size_t limit)
{
	*table = (struct table){.limit = limit ? limit : 1};
}

void table_deinit(struct table *table)
{
	free(table->slots);
	table_init(table, table->limit);
}

/* The first free slot of a hash; there is always one. */
static struct table_slot *free_slot(struct table_slot *slots, size_t capacity, uint64_t hash)
{
	size_t at = (size_t)hash & (capacity - 1);
	while (slots[at].item)
		at = (at + 1) & (capacity - 1);
	return &slots[at];
}

static bool set_capacity(struct table *table, size_t capacity)
{
	struct table_slot *slots = calloc(capacity, sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < table->capacity; i++) {
		if (table->slots[i].item)
			*free_slot(slots, capacity, table->slots[i].hash) = table->slots[i];
	}
	free(table->slots);
	table->slots = slots;
	table->capacity = capacity;
	table->take_from = 0;
	return true;
}

static bool table_grow(struct table *table)
{
	return set_capacity(table, table->capacity ? table->capacity * 2 : CAPACITY_MIN);
}

/* The slot of a key, or capacity. */
static size_t find_slot(
	const struct table *table, uint64_t hash, table_equal_fn *equal, const void *key)
{
	if (table->count == 0)
		return table->capacity;
	size_t mask = table->capacity - 1;
	for (size_t at = (size_t)hash & mask; table->slots[at].item; at = (at + 1) & mask) {
		if (table->slots[at].hash == hash && equal(table->slots[at].item, key))
			return at;
	}
	return table->capacity;
}

/* Frees a slot and closes the gap: what follows moves back unless it would come before its own
 * first slot. */
static void *empty_slot(struct table *table, size_t gap)
{
	size_t mask = table->capacity - 1;
	void *item = table->slots[gap].item;
	for (size_t at = (gap + 1) & mask; table->slots[at].item; at = (at + 1) & mask) {
		size_t home = (size_t)table->slots[at].hash & mask;
		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		table->slots[gap] = table->slots[at];
		gap = at;
	}
	table->slots[gap] = (struct table_slot){0};
	table->count--;
	return item;
}

void *table_find(const struct table *table, uint64_t hash, table_equal_fn *equal, const void *key)
{
	size_t at = find_slot(table, hash, equal, key);
	return at < table->capacity ? table->slots[at].item : NULL;
}

enum td_error table_insert(struct table *table, uint64_t hash, void *item)
{
	if (table->count >= table->limit) {
		table->dropped++;
		return TD_FULL;
	}
	if (table->count >= table->capacity / 4 * 3 && !table_grow(table))
		return TD_NOMEM;
	*free_slot(table->slots, table->capacity, hash) =
		(struct table_slot){.hash = hash, .item = item};
	table->count++;
	return TD_OK;
}

void *table_remove(struct table *table, uint64_t hash, table_equal_fn *equal, const void *key)
{
	size_t at = find_slot(table, hash, equal, key);
	return at < table->capacity ? empty_slot(table, at) : NULL;
}

void *table_take_any(struct table *table)
{
	if (table->count == 0)
		return NULL;
	while (!table->slots[table->take_from].item)
		table->take_from = (table->take_from + 1) & (table->capacity - 1);
	return empty_slot(table, table->take_from);
}

bool table_shrink(struct table *table)
{
	size_t capacity = CAPACITY_MIN;

	while (table->count >= capacity / 4 * 3)
		capacity *= 2;
	return capacity < table->capacity && set_capacity(table, capacity);
}

void *table_next(const struct table *table, size_t *position)
{
	while (*position < table->capacity) {
		void *item = table->slots[(*position)++].item;
		if (item)
			return item;
	}
	return NULL;
}

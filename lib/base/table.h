/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded hash table of pointers: open addressing, linear probing, backward-shift deletion.
 * The caller hashes (seeded, see hash.h), owns the items, and says what equal means. The table
 * grows by doubling up to its limit; what the limit turns away is counted in `dropped`.
 * One thread, or the caller's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"

struct table_slot {
	uint64_t hash;
	void *item; /* NULL: the slot is free */
};

struct table {
	struct table_slot *slots;
	size_t capacity; /* slots, a power of two, 0 before the first insert */
	size_t count;
	size_t limit;     /* most items held at once, at least 1 */
	uint64_t dropped; /* inserts refused by the limit */
	size_t take_from; /* slot where table_take_any goes on looking */
};

/* True when item has this key. */
typedef bool table_equal_fn(const void *item, const void *key);

void table_init(struct table *table, size_t limit);

/* Frees the slots, not the items. */
void table_deinit(struct table *table);

/* The item, or NULL. */
void *table_find(const struct table *table, uint64_t hash, table_equal_fn *equal, const void *key);

/* The key must not be present. TD_FULL at the limit (counted), TD_NOMEM; the caller keeps item then. */
enum td_error table_insert(struct table *table, uint64_t hash, void *item);

/* Takes the item out and returns it, or NULL. */
void *table_remove(struct table *table, uint64_t hash, table_equal_fn *equal, const void *key);

/* Any item of a table that is not empty, taken out; NULL when empty. Emptying a table this way is linear. */
void *table_take_any(struct table *table);

/* Gives memory back that so few items do not need. True when it did; without memory for the new slots it stays as it is. */
bool table_shrink(struct table *table);

/* Steps through the items in no order: start with *position = 0; NULL at the end. No changes meanwhile. */
void *table_next(const struct table *table, size_t *position);

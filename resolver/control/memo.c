/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open addressing, at most half full. The keys are numbers that we gave out ourselves, so that a
 * seed is not needed; lib/base/table keeps a hash and a pointer for each item, which would be
 * twice the memory and an allocation for a number.
 */
#include "resolver/control/memo.h"

#include <stdlib.h>

#define CAPACITY_MIN 1024

void memo_init(struct memo *memo)
{
	*memo = (struct memo){.count = 0};
}

void memo_deinit(struct memo *memo)
{
	free(memo->keys);
	free(memo->values);
	memo_init(memo);
}

/* Where the key is, or would be. */
static size_t slot_of(const struct memo *memo, uint64_t key)
{
	size_t slot = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (memo->capacity - 1);

	while (memo->keys[slot] && memo->keys[slot] != key)
		slot = (slot + 1) & (memo->capacity - 1);
	return slot;
}

bool memo_find(const struct memo *memo, uint64_t key, uint32_t *value)
{
	if (memo->capacity == 0)
		return false;
	size_t slot = slot_of(memo, key);
	*value = memo->values[slot];
	return memo->keys[slot] == key;
}

static bool grow(struct memo *memo)
{
	struct memo larger = {.capacity = memo->capacity ? 2 * memo->capacity : CAPACITY_MIN};

	larger.keys = calloc(larger.capacity, sizeof(*larger.keys));
	larger.values = calloc(larger.capacity, sizeof(*larger.values));
	if (!larger.keys || !larger.values) {
		memo_deinit(&larger);
		return false;
	}
	for (size_t i = 0; i < memo->capacity; i++)
		if (memo->keys[i])
			memo_put(&larger, memo->keys[i], memo->values[i]);
	memo_deinit(memo);
	*memo = larger;
	return true;
}

bool memo_put(struct memo *memo, uint64_t key, uint32_t value)
{
	if (2 * memo->count >= memo->capacity && !grow(memo))
		return false;
	size_t slot = slot_of(memo, key);
	memo->keys[slot] = key;
	memo->values[slot] = value;
	memo->count++;
	return true;
}

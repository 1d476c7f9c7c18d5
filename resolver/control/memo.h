/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What was found out of a number, so that it is found out once: a walk over hours meets each member
 * in many of them (hour_cache_member). One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memo {
	uint64_t *keys; /* 0: free */
	uint32_t *values;
	size_t count, capacity;
};

void memo_init(struct memo *memo);
void memo_deinit(struct memo *memo);

/* key is not 0. False: nothing is known of it. */
bool memo_find(const struct memo *memo, uint64_t key, uint32_t *value);

/* The key must not be known. False when out of memory: it stays unknown. */
bool memo_put(struct memo *memo, uint64_t key, uint32_t value);

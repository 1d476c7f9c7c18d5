/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SipHash-1-3 with a secret seed: whoever chooses the keys (names, addresses) cannot choose the
 * buckets. The seed comes from the composition root; tests pass a fixed one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct hash_seed {
	uint64_t k0, k1;
};

/* SipHash-2-4, for values that others get to see: who lacks the seed learns nothing from them. */
uint64_t hash_bytes_shown(const struct hash_seed *seed, const void *data, size_t size);

uint64_t hash_bytes(const struct hash_seed *seed, const void *data, size_t size);

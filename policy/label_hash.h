/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: the hash of a name, label by label from the root. A label costs one or two
 * wide multiplications whose halves are folded (the idea of Wang Yi's wyhash), a fifth of SipHash.
 * There is no seed: see zone.c for what stands against names chosen to collide.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#define LABEL_HASH_ROOT UINT64_C(0x9216d5d98979fb1b)
#define LABEL_HASH_A UINT64_C(0xa0761d6478bd642f)
#define LABEL_HASH_B UINT64_C(0xe7037ed1a0b428db)

static inline uint64_t label_hash_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t label_hash_load(const uint8_t *at, size_t size)
{
	uint64_t word = 0;

	memcpy(&word, at, size);
	return word;
}

/* label: its length, then its octets. */
static inline uint64_t label_hash(uint64_t parent, const uint8_t *label)
{
	const uint8_t *at = label + 1;
	size_t left = label[0];
	uint64_t hash = parent ^ left * LABEL_HASH_B, a, b;

	for (; left > 16; left -= 16, at += 16)
		hash = label_hash_fold(
			label_hash_load(at, 8) ^ LABEL_HASH_A, label_hash_load(at + 8, 8) ^ hash);
	/* What is left is read from both ends; the middle twice where it is short. */
	if (left >= 8) {
		a = label_hash_load(at, 8);
		b = label_hash_load(at + left - 8, 8);
	} else if (left >= 4) {
		a = label_hash_load(at, 4);
		b = label_hash_load(at + left - 4, 4);
	} else {
		a = left ? (uint64_t)at[0] << 16 | (uint64_t)at[left / 2] << 8 | at[left - 1] : 0;
		b = 0;
	}
	return label_hash_fold(
		label_hash_fold(a ^ LABEL_HASH_A, b ^ hash) ^ LABEL_HASH_B, hash ^ LABEL_HASH_A);
}

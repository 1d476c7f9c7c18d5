/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SipHash-1-3 (Aumasson and Bernstein, 2012), one round a word and three to finish: the strength
 * that Rust and Python give their tables. SipHash-2-4 costs half as much again for keys of
 * 20 to 40 octets and buys nothing where the attacker never sees a hash; unkeyed hashes (FNV,
 * xxHash) let a client choose its bucket.
 */
#include "lib/base/hash.h"

#include <endian.h>
#include <string.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word, unsigned rounds)
{
	s->v3 ^= word;
	for (unsigned i = 0; i < rounds; i++)
		sip_round(s);
	s->v0 ^= word;
}

static inline uint64_t load_le64(const uint8_t *bytes)
{
	uint64_t word;
	memcpy(&word, bytes, sizeof(word));
	return le64toh(word);
}

/* The last 0 to 7 bytes, little-endian. */
static inline uint64_t load_rest(const uint8_t *bytes, size_t count)
{
	uint64_t word = 0;
	while (count-- > 0)
		word = word << 8 | bytes[count];
	return word;
}

static inline uint64_t sip_hash(const struct hash_seed *seed, const void *data, size_t size,
	unsigned rounds, unsigned last_rounds)
{
	const uint8_t *bytes = data;
	size_t left = size;
	struct sip s = {
		.v0 = seed->k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = seed->k1 ^ UINT64_C(0x646f72616e646f6d),
		.v2 = seed->k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = seed->k1 ^ UINT64_C(0x7465646279746573),
	};
	for (; left >= 8; left -= 8, bytes += 8)
		sip_word(&s, load_le64(bytes), rounds);
	sip_word(&s, (uint64_t)size << 56 | load_rest(bytes, left), rounds);
	s.v2 ^= 0xff;
	for (unsigned i = 0; i < last_rounds; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_bytes(const struct hash_seed *seed, const void *data, size_t size)
{
	return sip_hash(seed, data, size, 1, 3);
}

uint64_t hash_bytes_shown(const struct hash_seed *seed, const void *data, size_t size)
{
	return sip_hash(seed, data, size, 2, 4);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside policy/ only: how the edges of a zone's tree are found; inline, since a look-up is little
 * else. zone_table.c says how they lie. */
#pragma once

#include <endian.h>

#include "policy/label_hash.h"
#include "policy/zone_private.h"

static inline size_t group_of(uint64_t hash, size_t groups)
{
	return (size_t)(((hash >> 32) * (uint64_t)groups) >> 32);
}

static inline uint8_t tag_of(uint64_t hash)
{
	return (uint8_t)(hash & 0xff ? hash & 0xff : 1);
}

static inline size_t group_after(size_t group, size_t groups)
{
	return group + 1 == groups ? 0 : group + 1;
}

/* The top bit of each octet that is 0, no other bit. */
static inline uint64_t octets_zero(uint64_t word)
{
	const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);

	return ~(((word & low) + low) | word | low);
}

static inline uint64_t group_tags(const struct policy_zone *zone, size_t group)
{
	uint64_t tags;

	memcpy(&tags, zone->tags + group * TABLE_GROUP, sizeof(tags));
	return le64toh(tags);
}

/* Labels with their lengths. Longer ones are compared in pieces of eight octets, the last of which
 * may overlap the one before; a call of memcmp costs more than all of that. */
static inline bool label_is(const uint8_t *a, const uint8_t *b)
{
	size_t length = a[0], at;

	if (b[0] != length)
		return false;
	if (length < 4)
		return !length || (a[1] == b[1] && a[1 + length / 2] == b[1 + length / 2] &&
					  a[length] == b[length]);
	if (length < 8)
		return label_hash_load(a + 1, 4) == label_hash_load(b + 1, 4) &&
		       label_hash_load(a + length - 3, 4) == label_hash_load(b + length - 3, 4);
	for (at = 1; at + 8 <= length; at += 8)
		if (label_hash_load(a + at, 8) != label_hash_load(b + at, 8))
			return false;
	return label_hash_load(a + length - 7, 8) == label_hash_load(b + length - 7, 8);
}

static inline bool node_is(
	const struct policy_zone *zone, uint32_t number, uint32_t parent, const uint8_t *label)
{
	const struct node *node = node_at(zone, number);

	return node_parent(node) == parent && label_is(node->label, label);
}

/* Where a probe ended: at the node, or at a group with a free slot, where it would belong. */
struct probe {
	size_t group;
	unsigned distance; /* groups from where it began */
	uint32_t node;     /* NODE_ROOT: not found */
};

/* Ends because a sixteenth of the slots is free. */
static inline struct probe table_probe(
	const struct policy_zone *zone, uint64_t hash, uint32_t parent, const uint8_t *label)
{
	struct probe probe = {.group = group_of(hash, zone->groups), .node = NODE_ROOT};
	uint64_t wanted = tag_of(hash) * UINT64_C(0x0101010101010101);

	for (;; probe.group = group_after(probe.group, zone->groups), probe.distance++) {
		uint64_t tags = group_tags(zone, probe.group);
		for (uint64_t same = octets_zero(tags ^ wanted); same; same &= same - 1) {
			size_t slot =
				probe.group * TABLE_GROUP + (unsigned)__builtin_ctzll(same) / 8;
			if (!node_is(zone, zone->slots[slot], parent, label))
				continue;
			probe.node = zone->slots[slot];
			return probe;
		}
		if (octets_zero(tags))
			return probe;
	}
}

/*
 * The node in the first slot of this tag on the way: most likely the one, if there is one at all.
 * NODE_ROOT: there is certainly none.
 */
static inline uint32_t table_guess(const struct policy_zone *zone, uint64_t hash)
{
	uint64_t wanted = tag_of(hash) * UINT64_C(0x0101010101010101);

	for (size_t group = group_of(hash, zone->groups);;
		group = group_after(group, zone->groups)) {
		uint64_t tags = group_tags(zone, group), same = octets_zero(tags ^ wanted);
		if (same)
			return zone->slots[group * TABLE_GROUP +
					   (unsigned)__builtin_ctzll(same) / 8];
		if (octets_zero(tags))
			return NODE_ROOT;
	}
}

/* The child of a node, NODE_ROOT: there is none. */
static inline uint32_t edge_find(
	const struct policy_zone *zone, uint64_t hash, uint32_t parent, const uint8_t *label)
{
	return zone->groups ? table_probe(zone, hash, parent, label).node : NODE_ROOT;
}

/* The label that the last `depth` labels of a name begin with. */
static inline const uint8_t *path_label(const struct name_path *path, unsigned depth)
{
	return path->wire + path->at[path->count - depth];
}

/* The hash of those labels; asked for one after the other. */
static inline uint64_t path_hash(struct name_path *path, unsigned depth)
{
	if (depth > path->hashed) {
		path->hash[depth] = label_hash(path->hash[depth - 1], path_label(path, depth));
		path->hashed = depth;
	}
	return path->hash[depth];
}

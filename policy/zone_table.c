/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The edges of a zone's tree: a node by its parent and label.
 *
 * Slots are in groups of eight. The tags of a group are looked at in one go; a group with a free
 * slot ends the search, so seven slots of eight can be taken (fifteen of sixteen after changes).
 * Nodes are never taken out (a node without rules does no harm), so there are no slots that were
 * free once.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/zone_table.h"

#define GROUPS_FIRST 8
#define CACHE_LINE 64
/* Groups between a node and its place. Chance does not get beyond some dozens. */
#define DISTANCE_MAX 512
/* A table that does not lie in the processor's first cache is worth being fetched ahead, for this
 * many labels. */
#define AHEAD_GROUPS 2048
#define AHEAD_MAX 3

static void table_put(struct policy_zone *zone, size_t group, uint64_t hash, uint32_t node)
{
	uint64_t free_slots = octets_zero(group_tags(zone, group));
	size_t slot = group * TABLE_GROUP + (unsigned)__builtin_ctzll(free_slots) / 8;

	zone->tags[slot] = tag_of(hash);
	zone->slots[slot] = node;
}

/* Hashes of nodes that have children, as they come up again and again when a table is filled. */
struct parent_hashes {
	uint32_t node[256];
	uint64_t hash[256];
};

static uint64_t node_hash(
	const struct policy_zone *zone, uint32_t number, struct parent_hashes *known)
{
	if (number == NODE_ROOT)
		return LABEL_HASH_ROOT;
	size_t place = number * UINT32_C(0x9e3779b1) >> 24;
	if (known->node[place] == number)
		return known->hash[place];
	const struct node *node = node_at(zone, number);
	uint64_t hash = label_hash(node_hash(zone, node_parent(node), known), node->label);
	known->node[place] = number;
	known->hash[place] = hash;
	return hash;
}

/* Fills an empty table from the nodes, which lie one behind the other. False, and not all of them are
 * there, where one would lie farther from its place than that. */
static bool table_fill(struct policy_zone *zone, size_t distance_max)
{
	struct parent_hashes known = {.node = {0}};
	size_t at = node_size(0), distance; /* behind the root */

	while (at < zone->nodes.used) {
		const struct node *node = node_at(zone, (uint32_t)at);
		uint64_t hash = label_hash(node_hash(zone, node_parent(node), &known), node->label);
		size_t group = group_of(hash, zone->groups);
		for (distance = 0; !octets_zero(group_tags(zone, group)); distance++)
			group = group_after(group, zone->groups);
		if (distance > distance_max)
			return false;
		table_put(zone, group, hash, (uint32_t)at);
		at += node_size(node->label[0]);
	}
	return true;
}

/* A group of slots, and one of tags, lies in one line of the processor's caches. */
bool table_blocks(size_t groups, void **tags, void **slots)
{
	size_t size = (groups * TABLE_GROUP + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;

	*tags = aligned_alloc(CACHE_LINE, size);
	*slots = aligned_alloc(CACHE_LINE, size * sizeof(uint32_t));
	if (*tags && *slots)
		return true;
	free(*tags);
	free(*slots);
	*tags = *slots = NULL;
	return false;
}

/* TD_NOMEM: the table is the one it was. TD_FULL: a node would lie farther than that; the table is
 * good for nothing. */
static enum td_error table_resize(struct policy_zone *zone, size_t groups, size_t distance_max)
{
	void *tags, *slots;

	if (groups > UINT32_MAX / TABLE_GROUP || !table_blocks(groups, &tags, &slots))
		return TD_NOMEM;
	memset(tags, 0, groups * TABLE_GROUP);
	free(zone->tags);
	free(zone->slots);
	zone->tags = tags;
	zone->slots = slots;
	zone->groups = groups;
	return table_fill(zone, distance_max) ? TD_OK : TD_FULL;
}

static size_t groups_for(size_t nodes)
{
	return (nodes + nodes / 7) / TABLE_GROUP + 1;
}

enum td_error zone_reserve(struct policy_zone *zone, size_t nodes)
{
	size_t groups = groups_for(zone->node_count + nodes);

	if (groups <= zone->groups)
		return TD_OK;
	return table_resize(zone, groups, SIZE_MAX);
}

/* A table for as many nodes as there are has room for a sixteenth more, so that a few changes do
 * not fill another one. */
static bool table_is_full(const struct policy_zone *zone)
{
	size_t slots = zone->groups * TABLE_GROUP;

	return zone->node_count + 1 >= slots - slots / 16;
}

static bool node_new(struct policy_zone *zone, uint32_t parent, const uint8_t *label, uint32_t *out)
{
	if (!pool_take(&zone->nodes, node_size(label[0]), out))
		return false;
	struct node *node = node_at(zone, *out);
	memcpy(node->parent, &parent, sizeof(parent));
	node->actions = 0;
	node->line = 0;
	memcpy(node->label, label, (size_t)1 + label[0]);
	return true;
}

enum td_error edge_add(struct policy_zone *zone, uint64_t hash, uint32_t parent,
	const uint8_t *label, uint32_t *child)
{
	if (table_is_full(zone) &&
		table_resize(zone, zone->groups + zone->groups / 2 + GROUPS_FIRST, SIZE_MAX) != TD_OK)
		return TD_NOMEM;
	struct probe probe = table_probe(zone, hash, parent, label);
	*child = probe.node;
	if (probe.node != NODE_ROOT)
		return TD_OK;
	if (probe.distance > DISTANCE_MAX)
		return TD_FULL;
	if (!node_new(zone, parent, label, child))
		return TD_NOMEM;
	table_put(zone, probe.group, hash, *child);
	zone->node_count++;
	return TD_OK;
}

static unsigned ahead_depths(const struct policy_zone *zone, const struct name_path *path)
{
	if (zone->groups < AHEAD_GROUPS)
		return 0;
	return path->count < AHEAD_MAX ? path->count : AHEAD_MAX;
}

void edges_prefetch(const struct policy_zone *zone, struct name_path *path)
{
	unsigned depths = ahead_depths(zone, path);

	for (unsigned depth = 1; depth <= depths; depth++) {
		size_t group = group_of(path_hash(path, depth), zone->groups);
		__builtin_prefetch(zone->tags + group * TABLE_GROUP);
		__builtin_prefetch(zone->slots + group * TABLE_GROUP);
	}
}

void nodes_prefetch(const struct policy_zone *zone, struct name_path *path)
{
	unsigned depths = ahead_depths(zone, path);

	for (unsigned depth = 1; depth <= depths; depth++) {
		uint32_t guess = table_guess(zone, path_hash(path, depth));
		if (guess == NODE_ROOT)
			break;
		__builtin_prefetch(node_at(zone, guess));
	}
}

bool edges_trim(struct policy_zone *zone)
{
	size_t groups = groups_for(zone->node_count), before = zone->groups;

	if (before <= groups + groups / 4 || table_resize(zone, groups, DISTANCE_MAX) != TD_FULL)
		return true;
	/* Names that were chosen to lie close together need the room they had. */
	return table_resize(zone, before, SIZE_MAX) == TD_OK;
}

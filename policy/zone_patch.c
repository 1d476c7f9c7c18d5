/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A zone that is a little different from another: a copy of its memory, in which nothing points
 * anywhere, and rules taken out of it by name.
 *
 * A node stays when its rules are gone, as it would as an ancestor; look-ups go through it and find
 * nothing. When a quarter is so, the zone is put together anew from its rules, which costs as much
 * as reading them and a good deal less than parsing them.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/dns/message.h"
#include "policy/zone_private.h"

#define SPARSE_LEAST 64 /* rules and records taken out that are not worth a thought */

/* False: out of memory. An empty block stays none. */
static bool block_copy(void **out, const void *block, size_t size)
{
	*out = NULL;
	if (!size)
		return true;
	*out = malloc(size);
	if (*out)
		memcpy(*out, block, size);
	return *out != NULL;
}

static bool pool_copy(struct pool *out, const struct pool *pool)
{
	void *bytes;
	bool good = block_copy(&bytes, pool->bytes, pool->used);

	*out = (struct pool){bytes, good ? pool->used : 0, good ? pool->used : 0};
	return good;
}

static bool edges_copy(struct policy_zone *to, const struct policy_zone *zone)
{
	size_t count = zone->groups * TABLE_GROUP;
	void *tags, *slots;

	if (!count)
		return true;
	if (!table_blocks(zone->groups, &tags, &slots))
		return false;
	to->tags = memcpy(tags, zone->tags, count);
	to->slots = memcpy(slots, zone->slots, count * sizeof(*zone->slots));
	to->groups = zone->groups;
	to->node_count = zone->node_count;
	return true;
}

static bool patterns_copy(struct policy_zone *to, const struct policy_zone *zone)
{
	void *patterns, *atoms;
	bool good = block_copy(
		&patterns, zone->patterns, zone->pattern_count * sizeof(*zone->patterns));

	/* One more than there are: a lone `*` has none, and there is an array all the same. */
	good &= block_copy(&atoms, zone->atoms, zone->atom_capacity * sizeof(*zone->atoms));
	to->patterns = patterns;
	to->pattern_count = to->pattern_capacity = zone->pattern_count;
	to->atoms = atoms;
	to->atom_count = zone->atom_count;
	to->atom_capacity = zone->atom_capacity;
	return good;
}

static bool data_copy(struct policy_zone *to, const struct policy_zone *zone)
{
	void *data;
	bool good = block_copy(&data, zone->data, zone->data_capacity * sizeof(*zone->data));

	to->data = data;
	to->data_count = zone->data_count;
	to->data_capacity = zone->data_capacity;
	return good && pool_copy(&to->records, &zone->records);
}

/* What is NULL where memory ran out is not looked at: the copy is freed. */
struct policy_zone *zone_clone(const struct policy_zone *zone)
{
	struct policy_zone *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return NULL;
	atomic_init(&copy->users, 1);
	copy->kind = zone->kind;
	memcpy(copy->name, zone->name, sizeof(copy->name));
	copy->rules = zone->rules;
	copy->removed = zone->removed;
	copy->filter = zone->filter;
	if (pool_copy(&copy->nodes, &zone->nodes) && edges_copy(copy, zone) &&
		patterns_copy(copy, zone) && data_copy(copy, zone) &&
		origins_copy(&copy->origins, &zone->origins))
		return copy;
	zone_release(copy);
	return NULL;
}

/* --- taking out --- */

void zone_rule_remove(struct policy_zone *zone, uint32_t rule)
{
	struct node *node = node_at(zone, rule_place(rule) >> 1);

	if (node_action(node, rule & 1) == ACTION_LOCAL_DATA)
		zone_records_drop(zone, rule);
	node->actions &= (uint8_t) ~(ACTION_MASK << (rule & 1 ? ACTION_WILD_SHIFT : 0));
	zone_line_forget(node, rule);
	zone->rules--;
	zone->removed++;
}

/* --- putting together anew --- */

bool zone_is_sparse(const struct policy_zone *zone)
{
	return zone->removed > SPARSE_LEAST && zone->removed > zone->rules / 3;
}

static bool records_move(
	struct policy_zone *to, uint32_t rule, const struct policy_zone *zone, uint32_t from)
{
	struct policy_record record;
	size_t position = 0;

	while (zone_record_next(zone, from, TYPE_ANY, &position, &record))
		if (zone_record_add(to, rule, &record) != TD_OK)
			return false;
	return true;
}

static bool rule_move(
	struct policy_zone *to, uint32_t node, const struct policy_zone *zone, uint32_t from)
{
	enum policy_action action = zone_rule_action(zone, from);
	uint32_t rule;

	return zone_rule_put(to, node, from & 1, action, zone_rule_line(zone, from), &rule) ==
		       TD_OK &&
	       records_move(to, rule, zone, from);
}

/* The rules of a node, the one that was read first first. */
static bool node_move(struct policy_zone *to, const struct policy_zone *zone, uint32_t from)
{
	uint32_t exact = zone_rule_find(zone, from, false), wild = zone_rule_find(zone, from, true);
	struct name name = {.length = 0};
	uint32_t node;

	if (exact == RULE_NONE && wild == RULE_NONE)
		return true;
	zone_node_name(zone, from, &name);
	if (zone_node_add(to, name.wire, &node) != TD_OK)
		return false;
	bool turned = exact != RULE_NONE && wild != RULE_NONE &&
		      zone_rule_line(zone, wild) < zone_rule_line(zone, exact);
	return (!turned || rule_move(to, node, zone, wild)) &&
	       (exact == RULE_NONE || rule_move(to, node, zone, exact)) &&
	       (turned || wild == RULE_NONE || rule_move(to, node, zone, wild));
}

static bool nodes_move(struct policy_zone *to, const struct policy_zone *zone)
{
	for (size_t at = 0; at < zone->nodes.used;
		at += node_size(node_at(zone, (uint32_t)at)->label[0]))
		if (!node_move(to, zone, (uint32_t)at))
			return false;
	return true;
}

static bool patterns_move(struct policy_zone *to, const struct policy_zone *zone)
{
	if (!patterns_copy(to, zone))
		return false;
	for (size_t i = 0; i < to->pattern_count; i++) {
		struct name name = {.length = 0};
		zone_node_name(zone, zone->patterns[i].node, &name);
		if (zone_node_add(to, name.wire, &to->patterns[i].node) != TD_OK)
			return false;
		zone_filter_note(to, to->patterns[i].node);
	}
	to->rules += to->pattern_count;
	return true;
}

struct policy_zone *zone_compact(struct policy_zone *zone)
{
	struct policy_zone *dense = zone_new(zone->name, zone->kind);

	origins_seal(&zone->origins);
	if (dense && zone_reserve(dense, zone->node_count) == TD_OK &&
		origins_copy_sources(&dense->origins, &zone->origins) && nodes_move(dense, zone) &&
		patterns_move(dense, zone))
		return dense;
	zone_release(dense);
	return NULL;
}

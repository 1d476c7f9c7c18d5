/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside policy/ only, for what knows zones from inside: nodes and rule numbers as they lie. */
#pragma once

#include <string.h>

#include "policy/zone.h"

/* A node's offset has to fit a rule's number: enough for some 25 million names. */
#define POOL_MAX ((size_t)1 << 29)

#define TABLE_GROUP 8 /* slots */

#define RULE_KIND_SHIFT 30
enum rule_kind { RULE_NAME, RULE_PATTERN };

#define ACTION_MASK 0x07    /* of the name itself */
#define ACTION_WILD_SHIFT 3 /* of all below it */
#define NODE_HAS_PATTERNS 0x40

/* Lies at any offset, so all its members are octets. */
struct node {
	uint8_t parent[sizeof(uint32_t)];
	uint8_t actions;
	uint8_t line;    /* zone_origin.c */
	uint8_t label[]; /* its length, then its octets */
};

static inline struct node *node_at(const struct policy_zone *zone, uint32_t node)
{
	return (struct node *)(void *)(zone->nodes.bytes + node);
}

static inline uint32_t node_parent(const struct node *node)
{
	uint32_t parent;

	memcpy(&parent, node->parent, sizeof(parent));
	return parent;
}

static inline size_t node_size(size_t label_length)
{
	return offsetof(struct node, label) + 1 + label_length;
}

static inline enum policy_action node_action(const struct node *node, bool wildcard)
{
	return (enum policy_action)(
		node->actions >> (wildcard ? ACTION_WILD_SHIFT : 0) & ACTION_MASK);
}

static inline uint32_t rule_number(enum rule_kind kind, uint32_t place)
{
	return (uint32_t)kind << RULE_KIND_SHIFT | place;
}

static inline enum rule_kind rule_kind(uint32_t rule)
{
	return (enum rule_kind)(rule >> RULE_KIND_SHIFT);
}

static inline uint32_t rule_place(uint32_t rule)
{
	return rule & ((UINT32_C(1) << RULE_KIND_SHIFT) - 1);
}

static inline uint32_t rule_of_name(uint32_t node, bool wildcard)
{
	return rule_number(RULE_NAME, node << 1 | wildcard);
}

/* The offset of size new octets; false when out of memory or numbers. */
bool pool_take(struct pool *pool, size_t size, uint32_t *offset);

/* A smaller block that cannot be had leaves the larger one. */
void pool_trim(struct pool *pool);

/* --- zone_table.c --- */

/*
 * Fetches what a walk along the path will look at: its steps depend on each other, but where their
 * edges are does not; and then, what these most likely lead to. Worth it for large zones only.
 */
void edges_prefetch(const struct policy_zone *zone, struct name_path *path);
void nodes_prefetch(const struct policy_zone *zone, struct name_path *path);

/* The child of a node, made where missing. TD_NOMEM, TD_FULL. */
enum td_error edge_add(struct policy_zone *zone, uint64_t hash, uint32_t parent,
	const uint8_t *label, uint32_t *child);

/* Memory for the tags and slots of so many groups. False: out of memory. */
bool table_blocks(size_t groups, void **tags, void **slots);

/* A table with little room to spare; one that cannot be made smaller serves as it is. False: out of
 * memory, and the table is good for nothing. */
bool edges_trim(struct policy_zone *zone);

/* Like zone_rule_add; the line counted through all sources. */
enum td_error zone_rule_put(struct policy_zone *zone, uint32_t node, bool wildcard,
	enum policy_action action, uint32_t line, uint32_t *rule);

/* --- zone_data.c --- */

/* Forgets the records of a rule. */
void zone_records_drop(struct policy_zone *zone, uint32_t rule);

/* --- zone_origin.c --- */

/* Remembers the line (zone_line) of a rule on a name that was just added. False: out of memory. */
bool zone_line_note(struct policy_zone *zone, uint32_t rule, uint32_t line);

/* The line of a rule, counted through all sources. */
uint32_t zone_rule_line(const struct policy_zone *zone, uint32_t rule);

/* A rule on a name was taken out of this node. */
void zone_line_forget(struct node *node, uint32_t rule);

/* False: out of memory; what was copied is to be freed all the same. The second takes the sources
 * alone. */
bool origins_copy(struct origins *to, const struct origins *origins);
bool origins_copy_sources(struct origins *to, const struct origins *origins);
void origins_seal(struct origins *origins);
void origins_free(struct origins *origins);

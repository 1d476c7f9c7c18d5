/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One zone: a tree of labels below the root, its edges in one hash table.
 *
 * A node is a name that has a rule, or an ancestor of one. Its key is (parent, label), so looking a
 * name up walks from its top-level label down, one probe a label, and ends at the first label
 * without a node: a name nothing is known of costs one or two probes however long it is. Wildcards
 * are met on the way, the longest last. Keys are compared octet by octet; the hash only finds the
 * place.
 *
 * - table: groups of eight slots; tags[slot] (one octet of the hash, 0 = free), of which eight are
 *   looked at in one go, and slots[slot] (the node): a probe that misses stays in the tags
 * - node: parent, label, in place the actions for the name and for all below it, and the line
 *   (zone_origin.c)
 * - data: local data by rule, in a small table of its own (zone_data.c)
 *
 * So the usual pair "x CNAME ." and "*.x CNAME ." of a block list costs one node of seven octets
 * and the label, and 1.15 slots of five, and no malloc. Whole names in a table of suffixes were
 * rejected: every ancestor of the question has to be probed then, and names repeat what they share.
 *
 * The hash of a name is that of its parent with one more label, the same in every zone, so that a
 * question is hashed once for all of them. It is quick rather than secret. Who writes the rules
 * could choose names whose hashes meet; therefore a name is refused that would lie too far from its
 * place, and only the zone that has such names suffers.
 *
 * A rule's number: the node and whether it is the wildcard; or the place in `patterns`.
 */
#include "policy/zone.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "policy/zone_table.h"

#define POOL_FIRST 4096

/* --- memory --- */

bool pool_take(struct pool *pool, size_t size, uint32_t *offset)
{
	if (size > POOL_MAX - pool->used)
		return false;
	if (pool->used + size > pool->capacity) {
		size_t capacity = pool->capacity ? pool->capacity * 2 : POOL_FIRST;
		while (capacity < pool->used + size)
			capacity *= 2;
		uint8_t *bytes = realloc(pool->bytes, capacity);
		if (!bytes)
			return false;
		pool->bytes = bytes;
		pool->capacity = capacity;
	}
	*offset = (uint32_t)pool->used;
	pool->used += size;
	return true;
}

void pool_trim(struct pool *pool)
{
	if (!pool->used || pool->used == pool->capacity)
		return;
	uint8_t *bytes = realloc(pool->bytes, pool->used);
	if (bytes) {
		pool->bytes = bytes;
		pool->capacity = pool->used;
	}
}

enum td_error array_grow(void **items, size_t *capacity, size_t needed, size_t size)
{
	if (needed <= *capacity)
		return TD_OK;
	size_t larger = *capacity ? *capacity * 2 : 16;
	while (larger < needed)
		larger *= 2;
	void *grown = larger > SIZE_MAX / size ? NULL : realloc(*items, larger * size);
	if (!grown)
		return TD_NOMEM;
	*items = grown;
	*capacity = larger;
	return TD_OK;
}

struct policy_zone *zone_new(const char *name, enum policy_zone_kind kind)
{
	struct policy_zone *zone = calloc(1, sizeof(*zone));
	const struct node root = {.actions = 0};
	uint32_t place;

	if (!zone)
		return NULL;
	atomic_init(&zone->users, 1);
	zone->kind = kind;
	memcpy(zone->name, name, strlen(name) + 1);
	if (!pool_take(&zone->nodes, node_size(0), &place)) {
		zone_release(zone);
		return NULL;
	}
	assert(place == NODE_ROOT);
	memcpy(node_at(zone, NODE_ROOT), &root, sizeof(root));
	node_at(zone, NODE_ROOT)->label[0] = 0;
	return zone;
}

void zone_release(struct policy_zone *zone)
{
	if (!zone || atomic_fetch_sub(&zone->users, 1) > 1)
		return;
	free(zone->nodes.bytes);
	free(zone->records.bytes);
	free(zone->tags);
	free(zone->slots);
	free(zone->data);
	free(zone->patterns);
	free(zone->places);
	free(zone->atoms);
	zone_addresses_deinit(&zone->addresses);
	origins_free(&zone->origins);
	free(zone);
}

/* --- names --- */

void name_path_init(struct name_path *path, const uint8_t *folded)
{
	path->wire = folded;
	path->count = 0;
	path->hashed = 0;
	path->hash[0] = LABEL_HASH_ROOT;
	for (size_t at = 0; folded[at]; at += (size_t)1 + folded[at])
		path->at[path->count++] = (uint8_t)at;
}

static void filter_set(uint64_t *words, uint64_t bit)
{
	words[bit / 64] |= UINT64_C(1) << bit % 64;
}

void zone_filter_note(struct policy_zone *zone, uint32_t number)
{
	const struct node *node = node_at(zone, number);

	if (number == NODE_ROOT)
		zone->filter.root = true;
	else if (node_parent(node) == NODE_ROOT)
		filter_set(zone->filter.top, label_hash(LABEL_HASH_ROOT, node->label) % FILTER_TOP);
}

enum td_error zone_path_add(struct policy_zone *zone, struct name_path *path, uint32_t *node)
{
	enum td_error error = TD_OK;

	*node = NODE_ROOT;
	for (unsigned depth = 1; !error && depth <= path->count; depth++)
		error = edge_add(zone, path_hash(path, depth), *node, path_label(path, depth), node);
	if (path->count > 1)
		filter_set(zone->filter.second, path_hash(path, 2) % FILTER_SECOND);
	return error;
}

enum td_error zone_node_add(struct policy_zone *zone, const uint8_t *folded, uint32_t *node)
{
	struct name_path path;

	name_path_init(&path, folded);
	edges_prefetch(zone, &path);
	return zone_path_add(zone, &path, node);
}

bool zone_node_find(const struct policy_zone *zone, struct name_path *path, uint32_t *node)
{
	*node = NODE_ROOT;
	for (unsigned depth = 1; depth <= path->count; depth++) {
		*node = edge_find(zone, path_hash(path, depth), *node, path_label(path, depth));
		if (*node == NODE_ROOT)
			return false;
	}
	return true;
}

void zone_node_name(const struct policy_zone *zone, uint32_t node, struct name *out)
{
	size_t length = out->length;

	for (; node != NODE_ROOT; node = node_parent(node_at(zone, node))) {
		const uint8_t *label = node_at(zone, node)->label;
		assert(length + 1 + label[0] < NAME_WIRE_MAX);
		memcpy(out->wire + length, label, (size_t)1 + label[0]);
		length += (size_t)1 + label[0];
	}
	out->wire[length++] = 0;
	out->length = (uint8_t)length;
}

/* --- rules --- */

uint32_t zone_rule_node(const struct policy_zone *zone, uint32_t rule, bool *wildcard)
{
	uint32_t place = rule_place(rule);

	*wildcard = rule_kind(rule) == RULE_NAME && place & 1;
	return rule_kind(rule) == RULE_NAME ? place >> 1 : zone->patterns[place].node;
}

uint32_t zone_rule_find(const struct policy_zone *zone, uint32_t node, bool wildcard)
{
	return node_action(node_at(zone, node), wildcard) != ACTION_NONE
		       ? rule_of_name(node, wildcard)
		       : RULE_NONE;
}

enum td_error zone_rule_put(struct policy_zone *zone, uint32_t node, bool wildcard,
	enum policy_action action, uint32_t line, uint32_t *rule)
{
	*rule = rule_of_name(node, wildcard);
	if (!zone_line_note(zone, *rule, line))
		return TD_NOMEM;
	node_at(zone, node)->actions |= (uint8_t)(action << (wildcard ? ACTION_WILD_SHIFT : 0));
	zone_filter_note(zone, node);
	zone->rules++;
	return TD_OK;
}

enum td_error zone_rule_add(struct policy_zone *zone, uint32_t node, bool wildcard,
	enum policy_action action, unsigned line, uint32_t *rule)
{
	return zone_rule_put(zone, node, wildcard, action, zone_line(zone, line), rule);
}

enum td_error zone_rule_offer(struct policy_zone *zone, uint32_t node, bool wildcard,
	enum policy_action action, unsigned line, bool *added)
{
	uint32_t rule;

	if (zone_rule_find(zone, node, wildcard) != RULE_NONE)
		return TD_OK;
	*added = true;
	return zone_rule_add(zone, node, wildcard, action, line, &rule);
}

enum policy_action zone_rule_action(const struct policy_zone *zone, uint32_t rule)
{
	uint32_t place = rule_place(rule);

	if (rule_kind(rule) == RULE_PATTERN)
		return (enum policy_action)zone->patterns[place].action;
	return node_action(node_at(zone, place >> 1), place & 1);
}

size_t zone_rule_text(const struct policy_zone *zone, uint32_t rule, char *out)
{
	struct name name = {.length = 0};
	struct masked masked;
	bool wildcard;

	if (rule_kind(rule) == RULE_PATTERN)
		return pattern_to_text(zone, &zone->patterns[rule_place(rule)], out);
	uint32_t node = zone_rule_node(zone, rule, &wildcard);
	if (wildcard) {
		memcpy(name.wire, "\001*", 2);
		name.length = 2;
	}
	zone_node_name(zone, node, &name);
	if (masked_find(&name, &masked))
		return masked_to_text(&masked, out);
	/* Rules on addresses end in capitals. */
	name_fold(name.wire, name.wire, name.length);
	return name_to_text(name.wire, out);
}

/* --- finishing --- */

static int place_compare(const void *a, const void *b)
{
	const struct pattern_place *x = a, *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->pattern < y->pattern ? -1 : x->pattern > y->pattern;
}

static bool places_make(struct policy_zone *zone)
{
	if (!zone->pattern_count)
		return true;
	zone->places = calloc(zone->pattern_count, sizeof(*zone->places));
	if (!zone->places)
		return false;
	for (size_t i = 0; i < zone->pattern_count; i++) {
		zone->places[i] = (struct pattern_place){zone->patterns[i].node, (uint32_t)i};
		node_at(zone, zone->patterns[i].node)->actions |= NODE_HAS_PATTERNS;
	}
	qsort(zone->places, zone->pattern_count, sizeof(*zone->places), place_compare);
	return true;
}

bool zone_seal(struct policy_zone *zone)
{
	if (!places_make(zone) || !zone_addresses_seal(zone) || !edges_trim(zone))
		return false;
	pool_trim(&zone->nodes);
	pool_trim(&zone->records);
	origins_seal(&zone->origins);
	return true;
}

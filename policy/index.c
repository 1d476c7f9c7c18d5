/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index: a tree of labels below the root, its edges in one hash table.
 *
 * A node is a name that has a rule, or an ancestor of one. Its key is (parent, label), so looking a
 * name up walks from its top-level label down, one probe a label, and ends at the first label
 * without a node: a name nothing is known of costs one or two probes however long it is. Wildcards
 * are met on the way, the longest last. Keys are compared octet by octet; the hash only finds the
 * place.
 *
 * - table: tags[slot] (one octet of the hash, 0 = free) and slots[slot] (the node): a probe that
 *   misses stays in the tags
 * - node: parent, label, and in place the actions of the first zone that has a rule here, for the
 *   name and for all below it
 * - more: rules of further zones and local data, found by a small table of their own
 *
 * So the usual pair "x CNAME ." and "*.x CNAME ." of a block list costs one node of seven octets
 * and the label, and 1.3 slots of five, and no malloc. Whole names in a table of suffixes were
 * rejected: every ancestor of the question has to be hashed and probed then, and names repeat what
 * they share. A seed drawn at start was not needed, since who writes the rules does not need
 * collisions to do harm; the hash is good (SipHash), so probes depend on the load only.
 *
 * A rule's number: the node and whether it is the wildcard; or the place in `more`; or the place in
 * `patterns`.
 */
#include "policy/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/dns/message.h"

/* A node's offset has to fit a rule's number: enough for some 25 million names. */
#define POOL_MAX ((size_t)1 << 29)
#define POOL_FIRST 4096
#define CAPACITY_FIRST 64
#define NO_ZONE 0xff

#define RULE_KIND_SHIFT 30
enum rule_kind { RULE_IN_NODE, RULE_MORE, RULE_PATTERN };

#define ACTION_MASK 0x07    /* of the name itself */
#define ACTION_WILD_SHIFT 3 /* of all below it */
#define NODE_HAS_PATTERNS 0x40
#define NODE_HAS_MORE 0x80

/* Lies at any offset, so all its members are octets. */
struct node {
	uint8_t parent[sizeof(uint32_t)];
	uint8_t zone; /* of the actions in place, NO_ZONE: none */
	uint8_t actions;
	uint8_t label[]; /* its length, then its octets */
};

struct record {
	uint32_t next; /* 0: the last one */
	uint32_t ttl_s;
	uint16_t type;
	uint16_t length;
	uint8_t rdata[];
};

/* --- memory --- */

/* The offset of size new octets; false when out of memory or numbers. */
static bool pool_take(struct pool *pool, size_t size, uint32_t *offset)
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

/* A smaller block that cannot be had leaves the larger one. */
static void pool_trim(struct pool *pool)
{
	if (!pool->used || pool->used == pool->capacity)
		return;
	uint8_t *bytes = realloc(pool->bytes, pool->used);
	if (bytes) {
		pool->bytes = bytes;
		pool->capacity = pool->used;
	}
}

enum td_error index_array_grow(void **items, size_t *capacity, size_t needed, size_t size)
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

static struct node *node_at(const struct policy_index *index, uint32_t node)
{
	return (struct node *)(void *)(index->nodes.bytes + node);
}

static uint32_t node_parent(const struct node *node)
{
	uint32_t parent;

	memcpy(&parent, node->parent, sizeof(parent));
	return parent;
}

static struct record *record_at(const struct policy_index *index, uint32_t record)
{
	return (struct record *)(void *)(index->records.bytes + record);
}

static size_t node_size(size_t label_length)
{
	return offsetof(struct node, label) + 1 + label_length;
}

static bool node_new(
	struct policy_index *index, uint32_t parent, const uint8_t *label, uint32_t *out)
{
	if (!pool_take(&index->nodes, node_size(label[0]), out))
		return false;
	struct node *node = node_at(index, *out);
	memcpy(node->parent, &parent, sizeof(parent));
	node->zone = NO_ZONE;
	node->actions = 0;
	memcpy(node->label, label, (size_t)1 + label[0]);
	return true;
}

struct policy_index *index_new(void)
{
	struct policy_index *index = calloc(1, sizeof(*index));
	uint32_t root, unused;

	if (!index)
		return NULL;
	/* Record 0 and rule 0 stand for none. */
	index->more_count = 1;
	if (!node_new(index, NODE_ROOT, (const uint8_t *)"", &root) ||
		!pool_take(&index->records, sizeof(struct record), &unused)) {
		policy_index_free(index);
		return NULL;
	}
	assert(root == NODE_ROOT);
	return index;
}

void policy_index_free(struct policy_index *index)
{
	if (!index)
		return;
	free(index->nodes.bytes);
	free(index->records.bytes);
	free(index->tags);
	free(index->slots);
	free(index->more);
	free(index->more_slots);
	free(index->patterns);
	free(index->places);
	free(index->atoms);
	free(index);
}

/* --- the table --- */

static uint64_t child_hash(uint32_t parent, const uint8_t *label)
{
	const struct hash_seed seed = {UINT64_C(0x7465726564776e21), parent};

	return hash_bytes(&seed, label + 1, label[0]);
}

static size_t slot_of(uint64_t hash, size_t capacity)
{
	return (size_t)(((hash >> 32) * (uint64_t)capacity) >> 32);
}

static uint8_t tag_of(uint64_t hash)
{
	return (uint8_t)(hash & 0xff ? hash & 0xff : 1);
}

static size_t slot_after(size_t slot, size_t capacity)
{
	return slot + 1 == capacity ? 0 : slot + 1;
}

/*
 * The slot of this child, or the free one where it belongs. Ends because a quarter of the slots is
 * free.
 */
static size_t slot_find(
	const struct policy_index *index, uint64_t hash, uint32_t parent, const uint8_t *label)
{
	size_t slot = slot_of(hash, index->capacity);
	uint8_t tag = tag_of(hash);

	for (; index->tags[slot]; slot = slot_after(slot, index->capacity)) {
		if (index->tags[slot] != tag)
			continue;
		const struct node *node = node_at(index, index->slots[slot]);
		if (node_parent(node) == parent && node->label[0] == label[0] &&
			!memcmp(node->label + 1, label + 1, label[0]))
			break;
	}
	return slot;
}

static bool child_find(
	const struct policy_index *index, uint32_t parent, const uint8_t *label, uint32_t *child)
{
	if (!index->capacity)
		return false;
	size_t slot = slot_find(index, child_hash(parent, label), parent, label);
	*child = index->slots[slot];
	return index->tags[slot] != 0;
}

/* Fills an empty table from the nodes, which lie one behind the other. */
static void table_fill(struct policy_index *index)
{
	size_t at = node_size(0); /* behind the root */

	while (at < index->nodes.used) {
		const struct node *node = node_at(index, (uint32_t)at);
		uint64_t hash = child_hash(node_parent(node), node->label);
		size_t slot = slot_of(hash, index->capacity);
		while (index->tags[slot])
			slot = slot_after(slot, index->capacity);
		index->tags[slot] = tag_of(hash);
		index->slots[slot] = (uint32_t)at;
		at += node_size(node->label[0]);
	}
}

static bool table_resize(struct policy_index *index, size_t capacity)
{
	uint8_t *tags = capacity > UINT32_MAX ? NULL : calloc(capacity, sizeof(*tags));
	uint32_t *slots = tags ? calloc(capacity, sizeof(*slots)) : NULL;

	if (!slots) {
		free(tags);
		return false;
	}
	free(index->tags);
	free(index->slots);
	index->tags = tags;
	index->slots = slots;
	index->capacity = capacity;
	table_fill(index);
	return true;
}

static size_t capacity_for(size_t nodes)
{
	return nodes + nodes / 3 + 2;
}

enum td_error index_reserve(struct policy_index *index, size_t nodes)
{
	size_t capacity = capacity_for(index->node_count + nodes);

	if (capacity <= index->capacity)
		return TD_OK;
	return table_resize(index, capacity) ? TD_OK : TD_NOMEM;
}

static enum td_error child_add(
	struct policy_index *index, uint32_t parent, const uint8_t *label, uint32_t *child)
{
	uint64_t hash = child_hash(parent, label);

	if (capacity_for(index->node_count + 1) > index->capacity &&
		!table_resize(index, index->capacity ? index->capacity * 2 : CAPACITY_FIRST))
		return TD_NOMEM;
	size_t slot = slot_find(index, hash, parent, label);
	if (index->tags[slot]) {
		*child = index->slots[slot];
		return TD_OK;
	}
	if (!node_new(index, parent, label, child))
		return TD_NOMEM;
	index->tags[slot] = tag_of(hash);
	index->slots[slot] = *child;
	index->node_count++;
	return TD_OK;
}

static void labels_cut(struct name_labels *labels, const uint8_t *wire)
{
	labels->wire = wire;
	labels->count = 0;
	for (size_t at = 0; wire[at]; at += (size_t)1 + wire[at])
		labels->at[labels->count++] = (uint8_t)at;
}

enum td_error index_node_add(struct policy_index *index, const uint8_t *folded, uint32_t *node)
{
	struct name_labels labels;

	labels_cut(&labels, folded);
	*node = NODE_ROOT;
	for (unsigned i = labels.count; i-- > 0;) {
		enum td_error error = child_add(index, *node, folded + labels.at[i], node);
		if (error)
			return error;
	}
	return TD_OK;
}

bool index_node_find(const struct policy_index *index, const uint8_t *folded, uint32_t *node)
{
	struct name_labels labels;

	labels_cut(&labels, folded);
	*node = NODE_ROOT;
	for (unsigned i = labels.count; i-- > 0;) {
		if (!child_find(index, *node, folded + labels.at[i], node))
			return false;
	}
	return true;
}

/* --- rules --- */

static uint32_t rule_number(enum rule_kind kind, uint32_t place)
{
	return (uint32_t)kind << RULE_KIND_SHIFT | place;
}

static enum rule_kind rule_kind(uint32_t rule)
{
	return (enum rule_kind)(rule >> RULE_KIND_SHIFT);
}

static uint32_t rule_place(uint32_t rule)
{
	return rule & ((UINT32_C(1) << RULE_KIND_SHIFT) - 1);
}

static uint32_t rule_in_node(uint32_t node, bool wildcard)
{
	return rule_number(RULE_IN_NODE, node << 1 | wildcard);
}

static enum policy_action node_action(const struct node *node, bool wildcard)
{
	return (enum policy_action)(
		node->actions >> (wildcard ? ACTION_WILD_SHIFT : 0) & ACTION_MASK);
}

/* Where a rule on names stands. */
static uint32_t rule_node(const struct policy_index *index, uint32_t rule, bool *wildcard)
{
	uint32_t place = rule_place(rule);

	if (rule_kind(rule) == RULE_IN_NODE) {
		*wildcard = place & 1;
		return place >> 1;
	}
	*wildcard = index->more[place].wildcard;
	return index->more[place].node;
}

/* The slot of this node, or the free one where it belongs. There is a free one. */
static struct more_slot *more_slot_find(struct more_slot *slots, size_t capacity, uint32_t node)
{
	size_t slot = slot_of(node * UINT64_C(0x9e3779b97f4a7c15), capacity);

	while (slots[slot].first && slots[slot].node != node)
		slot = slot_after(slot, capacity);
	return &slots[slot];
}

static bool more_slots_grow(struct policy_index *index)
{
	size_t capacity =
		index->more_slot_capacity ? index->more_slot_capacity * 2 : CAPACITY_FIRST;

	if (capacity_for(index->more_slot_count + 1) <= index->more_slot_capacity)
		return true;
	struct more_slot *slots = capacity > UINT32_MAX ? NULL : calloc(capacity, sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < index->more_slot_capacity; i++)
		if (index->more_slots[i].first)
			*more_slot_find(slots, capacity, index->more_slots[i].node) =
				index->more_slots[i];
	free(index->more_slots);
	index->more_slots = slots;
	index->more_slot_capacity = capacity;
	return true;
}

/* The first further rule of a node, 0: none. */
static uint32_t more_first(const struct policy_index *index, uint32_t node)
{
	if (!(node_at(index, node)->actions & NODE_HAS_MORE))
		return 0;
	return more_slot_find(index->more_slots, index->more_slot_capacity, node)->first;
}

uint32_t index_rule_find(const struct policy_index *index, uint32_t node, bool wildcard)
{
	const struct node *at = node_at(index, node);
	size_t zone = index->zone_count - 1;

	if (at->zone == zone && node_action(at, wildcard) != ACTION_NONE)
		return rule_in_node(node, wildcard);
	for (uint32_t i = more_first(index, node); i && index->more[i].zone == zone;
		i = index->more[i].next)
		if (index->more[i].wildcard == wildcard)
			return rule_number(RULE_MORE, i);
	return RULE_NONE;
}

static enum td_error more_rule_add(struct policy_index *index, uint32_t node, bool wildcard,
	enum policy_action action, uint32_t *rule)
{
	void *items = index->more;

	if (index->more_count > rule_place(UINT32_MAX) ||
		index_array_grow(
			&items, &index->more_capacity, index->more_count + 1, sizeof(*index->more)))
		return TD_NOMEM;
	index->more = items;
	if (!more_slots_grow(index))
		return TD_NOMEM;
	struct more_slot *slot = more_slot_find(index->more_slots, index->more_slot_capacity, node);
	/* In front of the others: those of the zone being read stay together there. */
	index->more[index->more_count] = (struct more_rule){
		.node = node,
		.next = slot->first,
		.zone = (uint8_t)(index->zone_count - 1),
		.action = (uint8_t)action,
		.wildcard = wildcard,
	};
	index->more_slot_count += !slot->first;
	*slot = (struct more_slot){node, (uint32_t)index->more_count};
	node_at(index, node)->actions |= NODE_HAS_MORE;
	*rule = rule_number(RULE_MORE, (uint32_t)index->more_count++);
	return TD_OK;
}

enum td_error index_rule_add(struct policy_index *index, uint32_t node, bool wildcard,
	enum policy_action action, uint32_t *rule)
{
	struct node *at = node_at(index, node);
	uint8_t zone = (uint8_t)(index->zone_count - 1);
	enum td_error error = TD_OK;

	if (action != ACTION_LOCAL_DATA && (at->zone == NO_ZONE || at->zone == zone)) {
		at->zone = zone;
		at->actions |= (uint8_t)(action << (wildcard ? ACTION_WILD_SHIFT : 0));
		*rule = rule_in_node(node, wildcard);
	} else {
		error = more_rule_add(index, node, wildcard, action, rule);
	}
	if (!error)
		index->zones[zone].rules++;
	return error;
}

enum policy_action index_rule_action(const struct policy_index *index, uint32_t rule)
{
	uint32_t place = rule_place(rule);

	switch (rule_kind(rule)) {
	case RULE_IN_NODE:
		return node_action(node_at(index, place >> 1), place & 1);
	case RULE_MORE:
		return (enum policy_action)index->more[place].action;
	case RULE_PATTERN:
		break;
	}
	return ACTION_NXDOMAIN;
}

/* --- local data --- */

/* May record stand beside those from first on? *last is the last of them, 0 where there is none. */
static enum td_error records_check(const struct policy_index *index, uint32_t first,
	const struct policy_record *record, uint32_t *last)
{
	unsigned count = 0;

	*last = 0;
	for (uint32_t i = first; i; i = record_at(index, i)->next) {
		const struct record *other = record_at(index, i);
		if (other->type == record->type && other->length == record->rdata_length &&
			!memcmp(other->rdata, record->rdata, record->rdata_length))
			return TD_INVALID;
		if (other->type == TYPE_CNAME || record->type == TYPE_CNAME)
			return TD_REFUSED;
		if (++count == INDEX_RECORDS_MAX)
			return TD_FULL;
		*last = i;
	}
	return TD_OK;
}

enum td_error index_record_add(
	struct policy_index *index, uint32_t rule, const struct policy_record *record)
{
	struct more_rule *owner = &index->more[rule_place(rule)];
	uint32_t last, added;

	assert(rule_kind(rule) == RULE_MORE && owner->action == ACTION_LOCAL_DATA);
	enum td_error error = records_check(index, owner->records, record, &last);
	if (error)
		return error;
	/* Rounded up, so that the next one is aligned. */
	size_t size = (offsetof(struct record, rdata) + record->rdata_length + 3) & ~(size_t)3;
	if (!pool_take(&index->records, size, &added))
		return TD_NOMEM;
	struct record *at = record_at(index, added);
	at->next = 0;
	at->ttl_s = record->ttl_s;
	at->type = record->type;
	at->length = record->rdata_length;
	if (record->rdata_length)
		memcpy(at->rdata, record->rdata, record->rdata_length);
	if (last)
		record_at(index, last)->next = added;
	else
		owner->records = added;
	return TD_OK;
}

/* *position is the record returned last, so that a call at the end stays at the end. */
bool policy_rule_record(const struct policy_index *index, const struct policy_match *match,
	uint16_t type, size_t *position, struct policy_record *out)
{
	uint32_t rule = match->rule, at;

	if (rule_kind(rule) != RULE_MORE)
		return false;
	if (*position)
		at = record_at(index, (uint32_t)*position)->next;
	else
		at = index->more[rule_place(rule)].records;
	for (; at; at = record_at(index, at)->next) {
		const struct record *record = record_at(index, at);
		*position = at;
		if (type != TYPE_ANY && type != record->type)
			continue;
		*out = (struct policy_record){
			.type = record->type,
			.ttl_s = record->ttl_s,
			.rdata = record->rdata,
			.rdata_length = record->length,
		};
		return true;
	}
	return false;
}

/* --- finishing --- */

static int place_compare(const void *a, const void *b)
{
	const struct pattern_place *x = a, *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->pattern < y->pattern ? -1 : x->pattern > y->pattern;
}

static bool places_make(struct policy_index *index)
{
	if (!index->pattern_count)
		return true;
	index->places = calloc(index->pattern_count, sizeof(*index->places));
	if (!index->places)
		return false;
	for (size_t i = 0; i < index->pattern_count; i++) {
		index->places[i] = (struct pattern_place){index->patterns[i].node, (uint32_t)i};
		node_at(index, index->patterns[i].node)->actions |= NODE_HAS_PATTERNS;
	}
	qsort(index->places, index->pattern_count, sizeof(*index->places), place_compare);
	return true;
}

static void more_trim(struct policy_index *index)
{
	struct more_rule *fewer =
		index->more ? realloc(index->more, index->more_count * sizeof(*fewer)) : NULL;

	if (fewer) {
		index->more = fewer;
		index->more_capacity = index->more_count;
	}
}

bool index_seal(struct policy_index *index)
{
	size_t capacity = capacity_for(index->node_count);

	if (!places_make(index))
		return false;
	/* A table with little room to spare is not worth filling again; one that cannot be made
	 * smaller serves as it is. */
	if (index->capacity > capacity + capacity / 4)
		(void)table_resize(index, capacity);
	pool_trim(&index->nodes);
	pool_trim(&index->records);
	more_trim(index);
	return true;
}

/* --- looking up --- */

struct candidate {
	uint32_t rule;
	uint8_t action;
};

/* What is known so far, by zone; only the candidates whose bit is set are filled. */
struct search {
	struct name_labels name;
	uint64_t named, patterned;
	struct candidate by_name[POLICY_ZONES_MAX];
	uint32_t by_pattern[POLICY_ZONES_MAX];
};

/* Later ones are longer, so they replace earlier ones. */
static void search_name_rule(
	struct search *search, uint8_t zone, uint32_t rule, enum policy_action action)
{
	search->named |= UINT64_C(1) << zone;
	search->by_name[zone] = (struct candidate){rule, (uint8_t)action};
}

static void search_node_rules(
	struct search *search, const struct policy_index *index, uint32_t node, bool wildcard)
{
	const struct node *at = node_at(index, node);
	enum policy_action action = node_action(at, wildcard);

	if (action != ACTION_NONE)
		search_name_rule(search, at->zone, rule_in_node(node, wildcard), action);
	for (uint32_t i = more_first(index, node); i; i = index->more[i].next) {
		const struct more_rule *more = &index->more[i];
		if (more->wildcard == wildcard)
			search_name_rule(search, more->zone, rule_number(RULE_MORE, i),
				(enum policy_action)more->action);
	}
}

/* The first place of this node. */
static size_t place_find(const struct policy_index *index, uint32_t node)
{
	size_t low = 0, high = index->pattern_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (index->places[middle].node < node)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Of the patterns of one zone the one listed first counts. */
static void search_node_patterns(
	struct search *search, const struct policy_index *index, uint32_t node)
{
	if (!(node_at(index, node)->actions & NODE_HAS_PATTERNS))
		return;
	for (size_t i = place_find(index, node);
		i < index->pattern_count && index->places[i].node == node; i++) {
		uint32_t number = index->places[i].pattern;
		const struct pattern *pattern = &index->patterns[number];
		uint64_t bit = UINT64_C(1) << pattern->zone;
		if (search->patterned & bit && search->by_pattern[pattern->zone] < number)
			continue;
		if (!pattern_matches(index, pattern, &search->name))
			continue;
		search->patterned |= bit;
		search->by_pattern[pattern->zone] = number;
	}
}

static size_t search_result(
	const struct search *search, struct policy_match out[POLICY_MATCHES_MAX])
{
	uint64_t zones = search->named | search->patterned;
	size_t count = 0;

	for (; zones && count < POLICY_MATCHES_MAX; zones &= zones - 1) {
		unsigned zone = (unsigned)__builtin_ctzll(zones);
		bool named = search->named >> zone & 1;
		out[count++] = (struct policy_match){
			.zone = (uint8_t)zone,
			.trigger = TRIGGER_QUESTION,
			.action = named ? search->by_name[zone].action : ACTION_NXDOMAIN,
			.rule = named ? search->by_name[zone].rule
				      : rule_number(RULE_PATTERN, search->by_pattern[zone]),
		};
	}
	return count;
}

size_t policy_match_name(const struct policy_index *index, const uint8_t *folded, size_t length,
	struct policy_match out[POLICY_MATCHES_MAX])
{
	struct search search;
	uint32_t node = NODE_ROOT;
	unsigned left;

	assert(length && length <= NAME_WIRE_MAX);
	search.named = search.patterned = 0;
	labels_cut(&search.name, folded);
	for (left = search.name.count;; left--) {
		search_node_rules(&search, index, node, left > 0);
		search_node_patterns(&search, index, node);
		if (!left || !child_find(index, node, folded + search.name.at[left - 1], &node))
			break;
	}
	return search_result(&search, out);
}

bool policy_name_is_known(const struct policy_index *index, const uint8_t *folded)
{
	uint32_t node;

	return index_node_find(index, folded, &node);
}

/* --- rules for people and for answers --- */

static void node_name(const struct policy_index *index, uint32_t node, struct name *out)
{
	size_t length = out->length;

	for (; node != NODE_ROOT; node = node_parent(node_at(index, node))) {
		const uint8_t *label = node_at(index, node)->label;
		assert(length + 1 + label[0] < NAME_WIRE_MAX);
		memcpy(out->wire + length, label, (size_t)1 + label[0]);
		length += (size_t)1 + label[0];
	}
	out->wire[length++] = 0;
	out->length = (uint8_t)length;
}

size_t policy_rule_text(
	const struct policy_index *index, const struct policy_match *match, char *out)
{
	struct name name = {.length = 0};
	uint32_t rule = match->rule;
	bool wildcard;

	if (rule_kind(rule) == RULE_PATTERN)
		return pattern_to_text(index, &index->patterns[rule_place(rule)], out);
	uint32_t node = rule_node(index, rule, &wildcard);
	if (wildcard) {
		memcpy(name.wire, "\001*", 2);
		name.length = 2;
	}
	node_name(index, node, &name);
	return name_to_text(name.wire, out);
}

void policy_rule_apex(const struct policy_index *index, const struct policy_match *match,
	const uint8_t *folded_question, size_t length, struct name *out)
{
	uint32_t rule = match->rule;
	struct name question = {.length = (uint8_t)length};
	bool wildcard;
	uint32_t node;

	assert(length && length <= NAME_WIRE_MAX);
	memcpy(question.wire, folded_question, length);
	if (rule_kind(rule) == RULE_PATTERN)
		node = index->patterns[rule_place(rule)].node;
	else
		node = rule_node(index, rule, &wildcard);
	out->length = 0;
	node_name(index, node, out);
	/* A rule that matched a name of the answer need not be above the question. */
	if (node == NODE_ROOT || !name_is_within(&question, out))
		*out = question;
}

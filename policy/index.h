/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: the compiled rules, while they are collected (one thread) and afterwards
 * (immutable, any thread). index.c opens with the layout.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/name.h"
#include "policy/policy.h"

#define INDEX_PATTERNS_MAX 4096 /* in all zones: those without a fixed end are tried one by one */
#define INDEX_RECORDS_MAX 100   /* of one rule */
#define RULE_NONE UINT32_MAX
#define NODE_ROOT 0

/* Bytes that grow in one piece and are addressed by their offset. */
struct pool {
	uint8_t *bytes;
	size_t used, capacity;
};

/*
 * One atom of a pattern: an octet of a label, or one of these. A pattern is labels from left to
 * right, each closed by ATOM_END; the labels that stand for any number of labels are not among
 * them.
 */
#define ATOM_STAR 0x100 /* any run of octets, none too */
#define ATOM_END 0x101

struct pattern {
	uint32_t node;  /* the fixed end, NODE_ROOT where there is none */
	uint32_t atoms; /* first one in the index's atoms */
	uint16_t atom_count;
	uint8_t labels;
	uint8_t zone;
	bool open_start, open_end; /* one or more labels before, behind */
};

/* A name cut at its labels, for walking from the root down. */
struct name_labels {
	const uint8_t *wire;
	unsigned count;
	uint8_t at[NAME_WIRE_MAX / 2 + 1]; /* offsets, leftmost first */
};

struct index_zone {
	char name[POLICY_ZONE_NAME_MAX];
	enum policy_zone_kind kind;
	size_t rules;
};

/* A rule that found no room in its node: a further zone of the same name, or local data. */
struct more_rule {
	uint32_t node;
	uint32_t next;    /* of the same node, 0: none */
	uint32_t records; /* local data: first record, 0: none */
	uint8_t zone;
	uint8_t action;
	bool wildcard;
};

struct more_slot {
	uint32_t node;
	uint32_t first; /* its first more_rule, 0: the slot is free */
};

struct pattern_place {
	uint32_t node, pattern;
};

struct policy_index {
	struct pool nodes;
	struct pool records;
	uint8_t *tags;          /* by slot: 0 = free, else eight bits of the hash */
	uint32_t *slots;        /* by slot: the node */
	size_t capacity;        /* slots */
	size_t node_count;      /* the root not counted */
	struct more_rule *more; /* number 0 is not used */
	size_t more_count, more_capacity;
	struct more_slot *more_slots; /* a table by node, for nodes that have any */
	size_t more_slot_count, more_slot_capacity;
	struct pattern *patterns; /* in the order of the lists */
	size_t pattern_count, pattern_capacity;
	struct pattern_place *places; /* the patterns by node; made when the index is finished */
	uint16_t *atoms;
	size_t atom_count, atom_capacity;
	struct index_zone zones[POLICY_ZONES_MAX];
	size_t zone_count;
};

/* --- index.c --- */

/* An index with its root and nothing else; NULL: out of memory. */
struct policy_index *index_new(void);

/* Room for so many more nodes, so that loading does not grow the table step by step. TD_NOMEM. */
enum td_error index_reserve(struct policy_index *index, size_t nodes);

/* The node of a folded name, made with all its ancestors where missing. TD_NOMEM. */
enum td_error index_node_add(struct policy_index *index, const uint8_t *folded, uint32_t *node);

/* The node of a folded name. False when there is none. */
bool index_node_find(const struct policy_index *index, const uint8_t *folded, uint32_t *node);

/* The rule of the zone opened last at this node, or RULE_NONE. */
uint32_t index_rule_find(const struct policy_index *index, uint32_t node, bool wildcard);

/* Adds a rule to the zone opened last, which has none here yet (index_rule_find). TD_NOMEM. */
enum td_error index_rule_add(struct policy_index *index, uint32_t node, bool wildcard,
	enum policy_action action, uint32_t *rule);

enum policy_action index_rule_action(const struct policy_index *index, uint32_t rule);

/*
 * Adds a record to a rule whose action is local data. TD_FULL at INDEX_RECORDS_MAX, TD_INVALID when
 * the same record is there, TD_REFUSED when a CNAME would stand beside other data, TD_NOMEM.
 */
enum td_error index_record_add(
	struct policy_index *index, uint32_t rule, const struct policy_record *record);

/* Makes room for needed items of size bytes in all. TD_NOMEM; the array then stays as it is. */
enum td_error index_array_grow(void **items, size_t *capacity, size_t needed, size_t size);

/* Gives back what growing took too much and makes the pattern places. False: out of memory. */
bool index_seal(struct policy_index *index);

/* --- patterns.c --- */

/* Adds the pattern in text to the zone opened last. TD_NOMEM; on any other fault *why says in words
 * what is wrong. */
enum td_error pattern_add(
	struct policy_index *index, const char *text, size_t size, const char **why);
bool pattern_matches(const struct policy_index *index, const struct pattern *pattern,
	const struct name_labels *name);
size_t pattern_to_text(const struct policy_index *index, const struct pattern *pattern, char *out);

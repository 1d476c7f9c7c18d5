/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: the compiled rules of one zone. Filled by one thread; sealed, it never
 * changes again, any thread may look into it, and several indexes may share it. zone.c opens with
 * the layout.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/name.h"
#include "policy/policy.h"
#include "policy/zone_addresses.h"

#define ZONE_RECORDS_MAX 100 /* of one rule */
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
	uint32_t atoms; /* first one in the zone's atoms */
	uint16_t atom_count;
	uint8_t labels;
	uint8_t action;            /* enum policy_action */
	uint32_t line;             /* zone_line */
	bool open_start, open_end; /* one or more labels before, behind */
};

struct pattern_place {
	uint32_t node, pattern;
};

/* Local data of a rule: an entry of a table by rule. */
struct data_slot {
	uint32_t rule;
	uint32_t first; /* record; 0: the slot is free */
};

/*
 * A name cut at its labels, for walking from the root down, and the hashes of its ends: hash[n] is
 * that of its last n labels. They are the same in all zones, so each is computed once and not
 * before a zone gets that far.
 */
struct name_path {
	const uint8_t *wire;
	unsigned count;                    /* labels */
	unsigned hashed;                   /* hash[0] to hash[hashed] are known */
	uint8_t at[NAME_WIRE_MAX / 2 + 1]; /* offsets of the labels, leftmost first */
	uint64_t hash[NAME_WIRE_MAX / 2 + 2];
};

/* Where rules come from; zone_origin.c. A line is counted through all sources. */
struct line_source {
	char *text;
	uint32_t first; /* line 0 of it */
};

struct line_mark {
	uint32_t node, line;
};

struct line_listed {
	uint32_t rule, line;
};

struct origins {
	struct line_source *sources;
	size_t source_count, source_capacity;
	struct line_mark *marks;
	size_t mark_count, mark_capacity;
	struct line_listed *listed; /* by rule, once sealed */
	size_t listed_count, listed_capacity;
	uint32_t first, last;         /* of the source being read; last seen */
	uint32_t walked, walked_node; /* line of the last node that has one, and that node */
};

/*
 * Which names can have a rule at all, by what they end in. Bits that stand for others too, and for
 * rules that are gone, do no harm: they cost a walk.
 */
#define FILTER_TOP 256
#define FILTER_SECOND 4096

struct zone_filter {
	uint64_t second[FILTER_SECOND / 64]; /* by hash: the last two labels are known */
	uint64_t top[FILTER_TOP / 64];       /* by hash: the last one has a rule or a pattern */
	bool root;                           /* the root has one */
};

struct policy_zone {
	/* What a name that is not here looks at. */
	uint8_t *tags;   /* by slot: 0 = free, else bits of the hash */
	uint32_t *slots; /* by slot: the node */
	size_t groups;   /* of TABLE_GROUP slots */
	struct pool nodes;
	size_t node_count;        /* the root not counted */
	struct pattern *patterns; /* in the order of the lists */
	size_t pattern_count, pattern_capacity;
	struct pattern_place *places; /* the patterns by node; made when the zone is sealed */
	uint16_t *atoms;
	size_t atom_count, atom_capacity;
	struct pool records;
	struct data_slot *data;
	size_t data_count, data_capacity;
	struct zone_addresses addresses;
	struct origins origins;
	size_t rules;
	size_t removed; /* rules, and records of rules that stayed, whose octets are still there */
	struct zone_filter filter;
	atomic_uint users; /* indexes it is part of; touched when these are made and freed */
	enum policy_zone_kind kind;
	char name[POLICY_ZONE_NAME_MAX];
};

/* --- zone.c, zone_table.c, zone_data.c, zone_match.c --- */

/* A zone with its root and nothing else, for one user; name is valid. NULL: out of memory. */
struct policy_zone *zone_new(const char *name, enum policy_zone_kind kind);

/* One user less; the last one frees it. NULL is fine. */
void zone_release(struct policy_zone *zone);

/* Room for so many more nodes, so that loading does not grow the table step by step. TD_NOMEM. */
enum td_error zone_reserve(struct policy_zone *zone, size_t nodes);

/*
 * The node of a folded name, made with all its ancestors where missing. TD_NOMEM; TD_FULL where the
 * names were chosen so that their hashes meet.
 */
enum td_error zone_node_add(struct policy_zone *zone, const uint8_t *folded, uint32_t *node);
enum td_error zone_path_add(struct policy_zone *zone, struct name_path *path, uint32_t *node);

/* The node of a name. False when there is none. */
bool zone_node_find(const struct policy_zone *zone, struct name_path *path, uint32_t *node);

/* A node has a rule or a pattern. */
void zone_filter_note(struct policy_zone *zone, uint32_t node);

/* The rule at this node, or RULE_NONE. */
uint32_t zone_rule_find(const struct policy_zone *zone, uint32_t node, bool wildcard);

/*
 * Adds a rule where there is none yet (zone_rule_find), from this line of the source named last, 0
 * where that has no lines. TD_NOMEM.
 */
enum td_error zone_rule_add(struct policy_zone *zone, uint32_t node, bool wildcard,
	enum policy_action action, unsigned line, uint32_t *rule);

/* The same, which is fine where there is one; *added is set where there was none. */
enum td_error zone_rule_offer(struct policy_zone *zone, uint32_t node, bool wildcard,
	enum policy_action action, unsigned line, bool *added);

enum policy_action zone_rule_action(const struct policy_zone *zone, uint32_t rule);

/*
 * Adds a record to a rule whose action is local data. TD_FULL at ZONE_RECORDS_MAX, TD_INVALID when
 * the same record is there, TD_REFUSED when a CNAME would stand beside other data, TD_NOMEM.
 */
enum td_error zone_record_add(
	struct policy_zone *zone, uint32_t rule, const struct policy_record *record);

/* Takes a record out of a rule; the TTL is not looked at. TD_NOT_FOUND. */
enum td_error zone_record_remove(
	struct policy_zone *zone, uint32_t rule, const struct policy_record *record);

/* Like policy_rule_record. */
bool zone_record_next(const struct policy_zone *zone, uint32_t rule, uint16_t type,
	size_t *position, struct policy_record *out);

/* Makes room for needed items of size bytes in all. TD_NOMEM; the array then stays as it is. */
enum td_error array_grow(void **items, size_t *capacity, size_t needed, size_t size);

/* Gives back what growing took too much and makes the pattern places. False: out of memory. */
bool zone_seal(struct policy_zone *zone);

/* The path of a folded name, which has to stay. */
void name_path_init(struct name_path *path, const uint8_t *folded);

/* The rule for this name, the best one: exact, longest wildcard, pattern listed first. RULE_NONE.
 */
uint32_t zone_match_name(
	const struct policy_zone *zone, struct name_path *path, enum policy_action *action);

/* Where a rule on names or a pattern stands; a pattern at its fixed end. */
uint32_t zone_rule_node(const struct policy_zone *zone, uint32_t rule, bool *wildcard);

/* Appends the name of a node to out. */
void zone_node_name(const struct policy_zone *zone, uint32_t node, struct name *out);

/* Like policy_rule_text. */
size_t zone_rule_text(const struct policy_zone *zone, uint32_t rule, char *out);

/* --- zone_patch.c --- */

/* A copy that rules can be added to and taken out of, for one user. NULL: out of memory. */
struct policy_zone *zone_clone(const struct policy_zone *zone);

/* Takes out a rule on a name, its records too. */
void zone_rule_remove(struct policy_zone *zone, uint32_t rule);

/* Whether so much was taken out that the zone is worth putting together anew. */
bool zone_is_sparse(const struct policy_zone *zone);

/* The same rules without what was left of others, not sealed, for one user. NULL: out of memory. */
struct policy_zone *zone_compact(struct policy_zone *zone);

/* --- zone_origin.c --- */

/* The rules added from now on come from this source; text is copied. TD_NOMEM. */
enum td_error zone_source_add(struct policy_zone *zone, const char *text);

/* A line of that source, counted through all of them. */
uint32_t zone_line(struct policy_zone *zone, unsigned line);

/* Like policy_rule_source. */
bool zone_rule_source(
	const struct policy_zone *zone, uint32_t rule, const char **source, uint32_t *line);

/* --- patterns.c --- */

struct policy_builder;

/* Adds the pattern in text to the zone opened last. TD_NOMEM; on any other fault *why says in words
 * what is wrong. */
enum td_error pattern_add(struct policy_builder *builder, const char *text, size_t size,
	enum policy_action action, unsigned line, const char **why);
bool pattern_matches(const struct policy_zone *zone, const struct pattern *pattern,
	const struct name_path *name);
size_t pattern_to_text(const struct policy_zone *zone, const struct pattern *pattern, char *out);

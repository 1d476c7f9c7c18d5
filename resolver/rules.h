/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set of rules as compiled: the index, and for each of its zones where it came from, in which
 * state that was, and what was wrong with it. Immutable once compiled but for the count of its
 * users; made by compile.h. A set outlives several policies, which differ in modes only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"
#include "resolver/file_mark.h"
#include "resolver/options.h"

#define RULES_FAULT_SIZE 320

/* A file of a zone. */
struct zone_source {
	char *path;
	enum zone_format format;
	bool required;         /* that it is missing is a fault */
	struct file_mark mark; /* as it was when it was read, or when that was tried */
	bool fresh; /* it may have been written again with the same mark: it is read again */
	struct policy_load load; /* of this file */
};

struct rules_zone {
	char name[POLICY_ZONE_NAME_MAX];
	struct zone_source *sources;
	size_t source_count;
	uint64_t version;        /* of what a feed gave (compile.h); 0: it is read from files */
	struct policy_load load; /* of all sources */
	int64_t read_us;         /* wall clock: when these rules were read */
	/* Why the rules are not what the sources say now: they are those of an earlier reading, or
	 * there are none. "": they are. */
	char fault[RULES_FAULT_SIZE];
	int64_t fault_us; /* wall clock: since when */
	bool empty;       /* nothing was ever read */
};

struct rules {
	struct policy_index *index;
	uint64_t generation;      /* main thread: set as they come into force */
	struct rules_zone *zones; /* by position in the index */
	size_t zone_count;
	size_t rule_count, skipped; /* over all zones */
	unsigned users; /* main thread: policies made from it that still exist, and compilations
			   that take zones from it */
};

void zone_sources_free(struct zone_source *sources, size_t count);
/* NULL: out of memory, or count is 0 */
struct zone_source *zone_sources_copy(const struct zone_source *sources, size_t count);

/* The zone of this name; NULL: none. rules may be NULL. */
const struct rules_zone *rules_zone_find(const struct rules *rules, const char *name);

/* "ok"; "old": its rules are of an earlier reading; "empty": it never could be read. */
const char *rules_zone_state(const struct rules_zone *zone);

/* Frees what nobody uses. NULL is fine. */
void rules_free(struct rules *rules);

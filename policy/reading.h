/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: one text being read into the zone opened last, whatever its format: where
 * its rules go, and what is said of its lines. One thread. reading.c says why rules wait.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"
#include "policy/zone.h"

/* Which names a rule is for; both bits: the name and all below it. */
#define RULE_ITSELF 1u
#define RULE_BELOW 2u

#define READING_AHEAD 16 /* rules */

struct waiting_rule {
	bool again; /* for the name of the rule before; path, wire and length are those of another
		     */
	uint8_t where, action;
	unsigned line;
	size_t length;
	struct name_path path;
	uint8_t wire[NAME_WIRE_MAX];
};

struct reading {
	struct policy_builder *builder;
	struct policy_zone *zone; /* rules go here */
	const char *source;
	policy_report_fn *report; /* may be NULL */
	void *context;
	struct policy_load *load;   /* never NULL */
	struct policy_load unasked; /* stands in where the caller gave no load */
	const char *repeated; /* is said of a rule that adds nothing; NULL: it is counted only */
	struct waiting_rule waiting[READING_AHEAD]; /* a ring */
	unsigned first, count;
	const struct waiting_rule *named; /* the last one with a name of its own */
	uint32_t node;                    /* of the rule that was added last */
	enum td_error node_error, error;
};

/* TD_INVALID when no zone is open, TD_NOMEM. Clears load. The reading must stay where it is. */
enum td_error reading_begin(struct reading *reading, struct policy_builder *builder,
	const char *source, policy_report_fn *report, void *context, struct policy_load *load);

/*
 * Adds a rule for a name (folded, of that length) where there is none yet, soon; the action is not
 * ACTION_LOCAL_DATA. It is counted then, and what is to be said of it is said of this line.
 * TD_NOMEM, of this rule or one before.
 */
enum td_error reading_rule(struct reading *reading, const uint8_t *folded, size_t length,
	unsigned where, enum policy_action action, unsigned line);

/* The rules that wait, now: at the end, and before the zone is looked at or added to by another
 * way. TD_NOMEM as above. */
enum td_error reading_flush(struct reading *reading);

/* Reports a line and counts it as skipped, for this reason or as not of the format. Rules that wait
 * have their turn before. */
void reading_fault(
	struct reading *reading, unsigned line, enum policy_fault fault, const char *words);
void reading_skip(struct reading *reading, unsigned line, const char *words);

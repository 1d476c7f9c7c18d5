/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside policy/ only: the rules of a policy zone, from its records. One thread. */
#pragma once

#include "lib/dns/text.h"
#include "policy/reading.h"

struct rpz_rules {
	struct reading reading;
	unsigned line; /* of the record */
};

/* As reading_begin. */
enum td_error rpz_rules_begin(struct rpz_rules *rules, struct policy_builder *builder,
	const char *source, policy_report_fn *report, void *context, struct policy_load *load);

/* The action that the target of a CNAME (text, in any case) stands for; ACTION_NONE: none. */
enum policy_action rpz_action_find(const char *target, size_t length);

/* Says why the record is none of ours, and counts it. */
void rpz_skip(struct rpz_rules *rules, const char *words);

/*
 * TD_NOMEM. The first: for a name, or all below it. The others: for a trigger (folded, without what
 * is above the zone, with its `*.`); a record may be of any type, and what cannot be a rule is
 * skipped.
 */
enum td_error rpz_rule_add(struct rpz_rules *rules, const struct name *folded, bool wildcard,
	enum policy_action action);
enum td_error rpz_trigger_add(
	struct rpz_rules *rules, const struct name *trigger, enum policy_action action);
enum td_error rpz_record_add(
	struct rpz_rules *rules, const struct name *trigger, const struct text_rr *rr);

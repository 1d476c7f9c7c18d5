/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside policy/ only: what the readers of zones and pattern lists share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "policy/index.h"
#include "policy/input.h"
#include "policy/policy.h"

struct policy_builder {
	struct policy_index *index;
	struct policy_zone *zone; /* opened last; NULL: none, or one that was kept as it is */
};

/* One text being read into the zone opened last. */
struct reading {
	struct policy_builder *builder;
	struct policy_zone *zone; /* rules go here */
	const char *source;
	policy_report_fn *report; /* may be NULL */
	void *context;
	struct policy_load *load;   /* never NULL */
	struct policy_load unasked; /* stands in where the caller gave no load */
};

/* TD_INVALID when no zone is open, TD_NOMEM. Clears load. The reading must stay where it is. */
enum td_error reading_begin(struct reading *reading, struct policy_builder *builder,
	const char *source, policy_report_fn *report, void *context, struct policy_load *load);

/* The readers of zones and pattern lists, as policy_builder_read. */
enum td_error rpz_read_input(struct policy_builder *builder, const char *source,
	struct input *input, policy_report_fn *report, void *context, struct policy_load *load);
enum td_error patterns_read_input(struct policy_builder *builder, const char *source,
	struct input *input, policy_report_fn *report, void *context, struct policy_load *load);

/* Reports a line and counts it as skipped, for this reason or as not of the format. */
void reading_fault(
	struct reading *reading, unsigned line, enum policy_fault fault, const char *words);
void reading_skip(struct reading *reading, unsigned line, const char *words);

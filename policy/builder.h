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

/* The readers of zones and pattern lists, as policy_builder_read. */
enum td_error rpz_read_input(struct policy_builder *builder, const char *source,
	struct input *input, policy_report_fn *report, void *context, struct policy_load *load);
enum td_error patterns_read_input(struct policy_builder *builder, const char *source,
	struct input *input, policy_report_fn *report, void *context, struct policy_load *load);

/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside policy/ only: zones in their order. */
#pragma once

#include "policy/zone.h"

#define INDEX_PATTERNS_MAX 4096 /* in all zones: those without a fixed end are tried one by one */

/* The filters of all zones, turned round: a bit a zone. */
struct index_filter {
	uint64_t root;
	uint64_t top[FILTER_TOP];
	uint64_t second[FILTER_SECOND];
};

struct policy_index {
	size_t zone_count;
	struct policy_zone *zones[POLICY_ZONES_MAX];
	/* A bit for each zone that has rules on addresses, so that the others cost nothing. */
	uint64_t client_zones, answer_zones;
	struct index_filter filter;
};

/* Makes the sets of zones; all of these are sealed. */
void index_seal(struct policy_index *index);

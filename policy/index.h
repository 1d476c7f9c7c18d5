/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside policy/ only: zones in their order. */
#pragma once

#include "policy/zone.h"

#define INDEX_PATTERNS_MAX 4096 /* in all zones: those without a fixed end are tried one by one */

struct policy_index {
	size_t zone_count;
	struct policy_zone *zones[POLICY_ZONES_MAX];
	/* A bit for each zone that has rules on addresses, so that the others cost nothing. */
	uint64_t client_zones, answer_zones;
};

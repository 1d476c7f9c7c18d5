/* SPDX-License-Identifier: BSD-3-Clause */
/* Taking a set of rules apart, and looking into it. */
#include "resolver/rules.h"

#include <stdlib.h>
#include <string.h>

void zone_sources_free(struct zone_source *sources, size_t count)
{
	for (size_t i = 0; sources && i < count; i++)
		free(sources[i].path);
	free(sources);
}

struct zone_source *zone_sources_copy(const struct zone_source *sources, size_t count)
{
	struct zone_source *copy = count ? calloc(count, sizeof(*copy)) : NULL;

	for (size_t i = 0; copy && i < count; i++) {
		copy[i] = sources[i];
		copy[i].path = strdup(sources[i].path);
		if (copy[i].path)
			continue;
		zone_sources_free(copy, i);
		copy = NULL;
	}
	return copy;
}

const struct rules_zone *rules_zone_find(const struct rules *rules, const char *name)
{
	for (size_t i = 0; rules && i < rules->zone_count; i++)
		if (strcmp(rules->zones[i].name, name) == 0)
			return &rules->zones[i];
	return NULL;
}

const char *rules_zone_state(const struct rules_zone *zone)
{
	if (!zone->fault[0])
		return "ok";
	return zone->empty ? "empty" : "old";
}

void rules_free(struct rules *rules)
{
	if (!rules)
		return;
	for (size_t i = 0; i < rules->zone_count; i++)
		zone_sources_free(rules->zones[i].sources, rules->zones[i].source_count);
	free(rules->zones);
	policy_index_free(rules->index);
	free(rules);
}

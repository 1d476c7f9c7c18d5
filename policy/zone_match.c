/* SPDX-License-Identifier: BSD-3-Clause */
/* What a name meets in one zone: a walk from the root down. */
#include "policy/zone_table.h"

/* The first place of this node. */
static size_t place_find(const struct policy_zone *zone, uint32_t node)
{
	size_t low = 0, high = zone->pattern_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (zone->places[middle].node < node)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Of the patterns that match the one listed first counts; best is the number of one, or none. */
static uint32_t node_pattern(
	const struct policy_zone *zone, const struct name_path *path, uint32_t node, uint32_t best)
{
	for (size_t i = place_find(zone, node);
		i < zone->pattern_count && zone->places[i].node == node; i++) {
		uint32_t number = zone->places[i].pattern;
		if (number < best && pattern_matches(zone, &zone->patterns[number], path))
			return number;
	}
	return best;
}

uint32_t zone_match_name(
	const struct policy_zone *zone, struct name_path *path, enum policy_action *action)
{
	uint32_t node = NODE_ROOT, rule = RULE_NONE, pattern = RULE_NONE;

	nodes_prefetch(zone, path);
	/* Wildcards further down are longer, so they replace those above. */
	for (unsigned depth = 0;; depth++) {
		const struct node *at = node_at(zone, node);
		bool wildcard = depth < path->count;
		if (node_action(at, wildcard) != ACTION_NONE) {
			*action = node_action(at, wildcard);
			rule = rule_of_name(node, wildcard);
		}
		if (at->actions & NODE_HAS_PATTERNS)
			pattern = node_pattern(zone, path, node, pattern);
		if (!wildcard)
			break;
		node = edge_find(
			zone, path_hash(path, depth + 1), node, path_label(path, depth + 1));
		if (node == NODE_ROOT)
			break;
	}
	if (rule != RULE_NONE || pattern == RULE_NONE)
		return rule;
	*action = (enum policy_action)zone->patterns[pattern].action;
	return rule_number(RULE_PATTERN, pattern);
}

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

static bool lets_through(const struct policy_zone *zone, uint32_t pattern)
{
	return zone->patterns[pattern].action == ACTION_PASSTHRU;
}

/* Those that let through are the exceptions of an Adblock list, and come before all other rules. */
static bool comes_first(const struct policy_zone *zone, uint32_t number, uint32_t other)
{
	if (other == RULE_NONE || lets_through(zone, number) != lets_through(zone, other))
		return other == RULE_NONE || lets_through(zone, number);
	return number < other;
}

/* Of the patterns that match the one listed first counts; best is the number of one, or none. */
static uint32_t node_pattern(
	const struct policy_zone *zone, const struct name_path *path, uint32_t node, uint32_t best)
{
	for (size_t i = place_find(zone, node);
		i < zone->pattern_count && zone->places[i].node == node; i++) {
		uint32_t number = zone->places[i].pattern;
		if (comes_first(zone, number, best) &&
			pattern_matches(zone, &zone->patterns[number], path))
			best = number;
	}
	return best;
}

#define GUESSES_MAX 4

/* The nodes that a walk most likely meets; none is there behind `count` where it is not the most.
 */
struct guesses {
	unsigned count;
	uint32_t node[GUESSES_MAX];
};

/*
 * A step of a walk needs the node before it only to be sure, so the tags are looked at for all of
 * them first. A name that is not here ends at them, and the nodes of one that is are fetched at
 * once.
 */
static void guess(const struct policy_zone *zone, struct name_path *path, struct guesses *out)
{
	unsigned most = path->count < GUESSES_MAX ? path->count : GUESSES_MAX;

	out->count = 0;
	if (!zone->groups)
		return;
	for (; out->count < most; out->count++) {
		uint32_t node = table_guess(zone, path_hash(path, out->count + 1));
		if (node == NODE_ROOT)
			return;
		__builtin_prefetch(node_at(zone, node));
		out->node[out->count] = node;
	}
}

/* The child of a node on the way; NODE_ROOT: there is none. */
static uint32_t step(const struct policy_zone *zone, struct name_path *path,
	const struct guesses *guesses, unsigned depth, uint32_t parent)
{
	const uint8_t *label;

	if (depth > guesses->count && guesses->count < GUESSES_MAX)
		return NODE_ROOT;
	label = path_label(path, depth);
	if (depth <= guesses->count && node_is(zone, guesses->node[depth - 1], parent, label))
		return guesses->node[depth - 1];
	return edge_find(zone, path_hash(path, depth), parent, label);
}

uint32_t zone_match_name(
	const struct policy_zone *zone, struct name_path *path, enum policy_action *action)
{
	uint32_t node = NODE_ROOT, rule = RULE_NONE, pattern = RULE_NONE;
	struct guesses guesses;

	guess(zone, path, &guesses);
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
		node = step(zone, path, &guesses, depth + 1, node);
		if (node == NODE_ROOT)
			break;
	}
	if (pattern == RULE_NONE || (rule != RULE_NONE && !lets_through(zone, pattern)))
		return rule;
	*action = (enum policy_action)zone->patterns[pattern].action;
	return rule_number(RULE_PATTERN, pattern);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules on addresses, looked up. The tables are made of the zone's tree when it is complete, so
 * that a zone that was changed in place or put together anew needs nothing of its own: the nodes
 * below the three labels that such rules have, whose names say which prefix or mask is meant. All other
 * zones have none of these labels, and look at nothing.
 */
#include "policy/zone_addresses.h"

#include <stdlib.h>

#include "policy/rpz_address.h"
#include "policy/zone_private.h"

/* The node of a label below the root; NODE_ROOT: there is none. */
static uint32_t top_find(const struct policy_zone *zone, const char *label)
{
	struct name_path path;
	struct name name;
	uint32_t node;

	rpz_address_top(label, &name);
	name_path_init(&path, name.wire);
	return zone_node_find(zone, &path, &node) ? node : NODE_ROOT;
}

/* The node below the root that this one stands below. */
static uint32_t top_of(const struct policy_zone *zone, uint32_t node)
{
	uint32_t parent;

	while ((parent = node_parent(node_at(zone, node))) != NODE_ROOT)
		node = parent;
	return node;
}

static bool rule_note(const struct policy_zone *zone, uint32_t node, struct prefixes **table)
{
	struct name name = {.length = 0};
	enum policy_trigger trigger;
	struct prefix prefix;

	if (node_action(node_at(zone, node), false) == ACTION_NONE)
		return true;
	zone_node_name(zone, node, &name);
	if (!rpz_address_find(&name, &trigger, &prefix))
		return true;
	if (!*table)
		*table = prefixes_new();
	return *table && prefixes_add(*table, &prefix, rule_of_name(node, false)) == TD_OK;
}

static bool masked_note(
	const struct policy_zone *zone, uint32_t node, struct zone_addresses *addresses)
{
	void *items = addresses->masked;
	struct name name = {.length = 0};
	struct masked what;

	if (node_action(node_at(zone, node), false) == ACTION_NONE)
		return true;
	zone_node_name(zone, node, &name);
	if (!masked_find(&name, &what))
		return true;
	if (array_grow(&items, &addresses->masked_capacity, addresses->masked_count + 1,
		    sizeof(*addresses->masked)))
		return false;
	addresses->masked = items;
	addresses->masked[addresses->masked_count++] =
		(struct masked_rule){what, rule_of_name(node, false)};
	return true;
}

bool zone_addresses_seal(struct policy_zone *zone)
{
	struct zone_addresses *addresses = &zone->addresses;
	const uint32_t client = top_find(zone, RPZ_CLIENT_LABEL),
		       answer = top_find(zone, RPZ_ANSWER_LABEL),
		       masked = top_find(zone, MASKED_LABEL);
	const uint32_t tops[] = {client, answer, masked};
	size_t at = NODE_ROOT;

	/* Whatever stands below a node was made after it. */
	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++)
		if (tops[i] != NODE_ROOT && (at == NODE_ROOT || tops[i] < at))
			at = tops[i];
	if (at == NODE_ROOT)
		return true;
	for (; at < zone->nodes.used; at += node_size(node_at(zone, (uint32_t)at)->label[0])) {
		uint32_t top = top_of(zone, (uint32_t)at);
		if ((top == client && !rule_note(zone, (uint32_t)at, &addresses->client)) ||
			(top == answer && !rule_note(zone, (uint32_t)at, &addresses->answer)) ||
			(top == masked && !masked_note(zone, (uint32_t)at, addresses)))
			return false;
	}
	if (addresses->client)
		prefixes_seal(addresses->client);
	if (addresses->answer)
		prefixes_seal(addresses->answer);
	return true;
}

void zone_addresses_deinit(struct zone_addresses *addresses)
{
	prefixes_free(addresses->client);
	prefixes_free(addresses->answer);
	free(addresses->masked);
}

/* Few masks: a zone has MASKED_MAX at most. */
static bool find_masked(const struct zone_addresses *addresses, const struct address *of,
	size_t count, uint32_t *rule)
{
	for (size_t m = 0; m < addresses->masked_count; m++)
		for (size_t i = 0; i < count; i++)
			if (masked_matches(&addresses->masked[m].what, &of[i])) {
				*rule = addresses->masked[m].rule;
				return true;
			}
	return false;
}

bool zone_addresses_find(const struct zone_addresses *addresses, enum policy_trigger trigger,
	const struct address *of, size_t count, uint32_t *rule)
{
	const struct prefixes *table =
		trigger == TRIGGER_CLIENT ? addresses->client : addresses->answer;

	if (table && prefixes_find_longest(table, of, count, rule))
		return true;
	return trigger == TRIGGER_ADDRESS && find_masked(addresses, of, count, rule);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zones in their order. Each is compiled by itself (zone.c), so that a change of one costs nothing
 * of the others: a new index is a list of pointers, and shares what stayed the same with the one
 * before. One tree for all zones was rejected for that reason; what it saved, to hash a question
 * once, is kept by hashes that are the same in every zone. And most zones are passed over: two
 * tables of 256 and 4096 sets of zones say by these hashes which of them know the last two labels
 * of a name, or have a rule further up. A block list that is large enough is in each set; it is the
 * many small zones that cost nothing.
 */
#include "policy/index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "policy/zone_table.h"

void policy_index_free(struct policy_index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->zone_count; i++)
		zone_release(index->zones[i]);
	free(index);
}

/* What finds no room is counted. */
static void match_add(struct policy_match *out, size_t *count, const struct policy_match *match)
{
	if (*count == POLICY_MATCHES_MAX)
		out[*count - 1].dropped++;
	else
		out[(*count)++] = *match;
}

/* Adds a bit of the zone wherever one is set. */
static void filter_turn(uint64_t *out, const uint64_t *words, size_t count, uint64_t zone)
{
	for (size_t i = 0; i < count; i++)
		for (uint64_t bits = words[i]; bits; bits &= bits - 1)
			out[i * 64 + (unsigned)__builtin_ctzll(bits)] |= zone;
}

void index_seal(struct policy_index *index)
{
	struct index_filter *out = &index->filter;

	for (size_t i = 0; i < index->zone_count; i++) {
		const struct zone_filter *filter = &index->zones[i]->filter;
		uint64_t zone = UINT64_C(1) << i;
		const struct zone_addresses *addresses = &index->zones[i]->addresses;
		out->root |= filter->root ? zone : 0;
		filter_turn(out->top, filter->top, FILTER_TOP / 64, zone);
		filter_turn(out->second, filter->second, FILTER_SECOND / 64, zone);
		index->client_zones |= zone_addresses_has(addresses, TRIGGER_CLIENT) ? zone : 0;
		index->answer_zones |= zone_addresses_has(addresses, TRIGGER_ADDRESS) ? zone : 0;
	}
}

/* The zones that may have a rule for a name. */
static uint64_t zones_for(const struct policy_index *index, struct name_path *path)
{
	uint64_t zones = index->filter.root;

	if (path->count > 0)
		zones |= index->filter.top[path_hash(path, 1) % FILTER_TOP];
	if (path->count > 1)
		zones |= index->filter.second[path_hash(path, 2) % FILTER_SECOND];
	return zones;
}

size_t policy_match_name(const struct policy_index *index, const uint8_t *folded, size_t length,
	struct policy_match out[POLICY_MATCHES_MAX])
{
	struct name_path path;
	size_t count = 0;

	assert(length && length <= NAME_WIRE_MAX);
	name_path_init(&path, folded);
	uint64_t zones = zones_for(index, &path);
	for (uint64_t ahead = zones; ahead; ahead &= ahead - 1)
		edges_prefetch(index->zones[__builtin_ctzll(ahead)], &path);
	for (; zones; zones &= zones - 1) {
		unsigned i = (unsigned)__builtin_ctzll(zones);
		enum policy_action action;
		uint32_t rule = zone_match_name(index->zones[i], &path, &action);
		if (rule != RULE_NONE)
			match_add(out, &count,
				&(struct policy_match){.zone = (uint8_t)i,
					.action = (uint8_t)action,
					.trigger = TRIGGER_QUESTION,
					.rule = rule});
	}
	return count;
}

bool policy_has_trigger(const struct policy_index *index, enum policy_trigger trigger)
{
	return (trigger == TRIGGER_CLIENT ? index->client_zones : index->answer_zones) != 0;
}

size_t policy_match_addresses(const struct policy_index *index, enum policy_trigger trigger,
	const struct address *addresses, size_t count, struct policy_match out[POLICY_MATCHES_MAX])
{
	uint64_t zones = trigger == TRIGGER_CLIENT ? index->client_zones : index->answer_zones;
	size_t found = 0;

	for (zones = count ? zones : 0; zones; zones &= zones - 1) {
		unsigned i = (unsigned)__builtin_ctzll(zones);
		const struct policy_zone *zone = index->zones[i];
		uint32_t rule;
		if (zone_addresses_find(&zone->addresses, trigger, addresses, count, &rule))
			match_add(out, &found,
				&(struct policy_match){.zone = (uint8_t)i,
					.action = (uint8_t)zone_rule_action(zone, rule),
					.trigger = (uint8_t)trigger,
					.rule = rule});
	}
	return found;
}

bool policy_name_is_known(const struct policy_index *index, const uint8_t *folded)
{
	struct name_path path;
	uint32_t node;

	name_path_init(&path, folded);
	for (size_t i = 0; i < index->zone_count; i++)
		if (zone_node_find(index->zones[i], &path, &node))
			return true;
	return false;
}

/* --- rules for people and for answers --- */

static const struct policy_zone *zone_of(
	const struct policy_index *index, const struct policy_match *match)
{
	assert(match->zone < index->zone_count);
	return index->zones[match->zone];
}

size_t policy_rule_text(
	const struct policy_index *index, const struct policy_match *match, char *out)
{
	return zone_rule_text(zone_of(index, match), match->rule, out);
}

bool policy_rule_source(const struct policy_index *index, const struct policy_match *match,
	const char **source, uint32_t *line)
{
	return zone_rule_source(zone_of(index, match), match->rule, source, line);
}

void policy_rule_apex(const struct policy_index *index, const struct policy_match *match,
	const uint8_t *folded_question, size_t length, struct name *out)
{
	const struct policy_zone *zone = zone_of(index, match);
	struct name question = {.length = (uint8_t)length};
	bool wildcard;

	assert(length && length <= NAME_WIRE_MAX);
	memcpy(question.wire, folded_question, length);
	uint32_t node = zone_rule_node(zone, match->rule, &wildcard);
	out->length = 0;
	zone_node_name(zone, node, out);
	/* A rule that matched a name of the answer need not be above the question. */
	if (node == NODE_ROOT || !name_is_within(&question, out))
		*out = question;
}

bool policy_rule_record(const struct policy_index *index, const struct policy_match *match,
	uint16_t type, size_t *position, struct policy_record *out)
{
	return zone_record_next(zone_of(index, match), match->rule, type, position, out);
}

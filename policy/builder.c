/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Collects zones. The rules go straight into the zone that will serve them, so that nothing is
 * stored twice while a million names load; what makes it a builder is that nobody else sees the
 * index before policy_builder_finish.
 */
#include "policy/builder.h"

#include <stdlib.h>
#include <string.h>

#include "lib/dns/message.h"

struct policy_builder *policy_builder_new(void)
{
	struct policy_builder *builder = calloc(1, sizeof(*builder));

	if (!builder)
		return NULL;
	builder->index = calloc(1, sizeof(*builder->index));
	if (!builder->index) {
		free(builder);
		return NULL;
	}
	return builder;
}

void policy_builder_free(struct policy_builder *builder)
{
	if (!builder)
		return;
	policy_index_free(builder->index);
	free(builder);
}

/* The zone being filled is complete. */
static bool builder_close_zone(struct policy_builder *builder)
{
	struct policy_zone **zone;

	if (!builder->zone)
		return true;
	builder->zone = NULL;
	zone = &builder->index->zones[builder->index->zone_count - 1];
	if (zone_is_sparse(*zone)) {
		struct policy_zone *dense = zone_compact(*zone);
		/* One that cannot be had leaves the other, which is as good, and larger. */
		if (dense) {
			zone_release(*zone);
			*zone = dense;
		}
	}
	return zone_seal(*zone);
}

/* Whether another zone of this name can follow. */
static enum td_error builder_check(const struct policy_builder *builder, const char *name)
{
	size_t length = strlen(name), same;

	if (length == 0 || length >= POLICY_ZONE_NAME_MAX ||
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length ||
		policy_zone_find(builder->index, name, &same))
		return TD_INVALID;
	return builder->index->zone_count == POLICY_ZONES_MAX ? TD_FULL : TD_OK;
}

enum td_error policy_builder_zone(
	struct policy_builder *builder, const char *name, enum policy_zone_kind kind)
{
	struct policy_index *index = builder->index;
	enum td_error error = builder_check(builder, name);

	if (error)
		return error;
	struct policy_zone *zone = builder_close_zone(builder) ? zone_new(name, kind) : NULL;
	if (!zone)
		return TD_NOMEM;
	builder->zone = index->zones[index->zone_count++] = zone;
	return TD_OK;
}

/* The zone of this name of another index, where one can be put here. */
static enum td_error builder_find(const struct policy_builder *builder,
	const struct policy_index *old, const char *name, struct policy_zone **zone)
{
	enum td_error error = builder_check(builder, name);
	size_t place;

	if (error)
		return error;
	if (!old || !policy_zone_find(old, name, &place))
		return TD_NOT_FOUND;
	*zone = old->zones[place];
	return TD_OK;
}

enum td_error policy_builder_keep(
	struct policy_builder *builder, const struct policy_index *old, const char *name)
{
	struct policy_index *index = builder->index;
	struct policy_zone *zone;
	enum td_error error = builder_find(builder, old, name, &zone);

	if (error)
		return error;
	if (!builder_close_zone(builder))
		return TD_NOMEM;
	atomic_fetch_add(&zone->users, 1);
	index->zones[index->zone_count++] = zone;
	return TD_OK;
}

enum td_error policy_builder_patch(
	struct policy_builder *builder, const struct policy_index *old, const char *name)
{
	struct policy_index *index = builder->index;
	struct policy_zone *zone;
	enum td_error error = builder_find(builder, old, name, &zone);

	if (error)
		return error;
	zone = builder_close_zone(builder) ? zone_clone(zone) : NULL;
	if (!zone)
		return TD_NOMEM;
	builder->zone = index->zones[index->zone_count++] = zone;
	return TD_OK;
}

void policy_builder_drop(struct policy_builder *builder, const char *name)
{
	struct policy_index *index = builder->index;
	size_t last = index->zone_count - 1;

	if (index->zone_count == 0 || strcmp(index->zones[last]->name, name) != 0)
		return;
	zone_release(index->zones[last]);
	index->zones[last] = NULL;
	index->zone_count = last;
	builder->zone = NULL;
}

enum td_error policy_builder_name(struct policy_builder *builder, const uint8_t *folded, bool below,
	bool itself, enum policy_action action, unsigned line)
{
	struct policy_zone *zone = builder->zone;
	bool added = false;
	uint32_t node;

	if (!zone || action == ACTION_NONE || action == ACTION_LOCAL_DATA)
		return TD_INVALID;
	enum td_error error = zone_node_add(zone, folded, &node);
	if (!error && itself)
		error = zone_rule_offer(zone, node, false, action, line, &added);
	if (!error && below)
		error = zone_rule_offer(zone, node, true, action, line, &added);
	if (error)
		return error;
	return added ? TD_OK : TD_INVALID;
}

enum td_error policy_builder_record(
	struct policy_builder *builder, const uint8_t *folded, const struct policy_record *record)
{
	struct policy_zone *zone = builder->zone;
	uint32_t node, rule;

	if (!zone)
		return TD_REFUSED;
	enum td_error error = zone_node_add(zone, folded, &node);
	if (error)
		return error;
	rule = zone_rule_find(zone, node, false);
	if (rule == RULE_NONE)
		error = zone_rule_add(zone, node, false, ACTION_LOCAL_DATA, 0, &rule);
	else if (zone_rule_action(zone, rule) != ACTION_LOCAL_DATA)
		error = TD_REFUSED;
	return error ? error : zone_record_add(zone, rule, record);
}

/* The rule on this name or all below it. */
static uint32_t builder_rule(
	const struct policy_builder *builder, const uint8_t *folded, bool below)
{
	struct name_path path;
	uint32_t node;

	name_path_init(&path, folded);
	return builder->zone && zone_node_find(builder->zone, &path, &node)
		       ? zone_rule_find(builder->zone, node, below)
		       : RULE_NONE;
}

enum td_error policy_builder_name_remove(struct policy_builder *builder, const uint8_t *folded,
	bool below, enum policy_action action)
{
	uint32_t rule = builder_rule(builder, folded, below);

	if (rule == RULE_NONE || zone_rule_action(builder->zone, rule) != action)
		return TD_NOT_FOUND;
	zone_rule_remove(builder->zone, rule);
	return TD_OK;
}

enum td_error policy_builder_record_remove(struct policy_builder *builder, const uint8_t *folded,
	bool below, const struct policy_record *record)
{
	uint32_t rule = builder_rule(builder, folded, below);
	struct policy_record left;
	size_t position = 0;

	if (rule == RULE_NONE || zone_rule_action(builder->zone, rule) != ACTION_LOCAL_DATA)
		return TD_NOT_FOUND;
	enum td_error error = zone_record_remove(builder->zone, rule, record);
	if (!error && !zone_record_next(builder->zone, rule, TYPE_ANY, &position, &left))
		zone_rule_remove(builder->zone, rule);
	return error;
}

size_t policy_builder_rules(const struct policy_builder *builder)
{
	return builder->zone ? builder->zone->rules : 0;
}

bool policy_builder_has(struct policy_builder *builder, const uint8_t *folded)
{
	return builder_rule(builder, folded, false) != RULE_NONE;
}

struct policy_index *policy_builder_finish(struct policy_builder **builder)
{
	bool sealed = builder_close_zone(*builder);
	struct policy_index *index = (*builder)->index;

	free(*builder);
	*builder = NULL;
	if (sealed) {
		index_seal(index);
		return index;
	}
	policy_index_free(index);
	return NULL;
}

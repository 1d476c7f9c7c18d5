/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Collects zones. The rules go straight into the index that will serve them, so that nothing is
 * stored twice while a million names load; what makes it a builder is that nobody else sees the
 * index before policy_builder_finish.
 */
#include "policy/builder.h"

#include <stdlib.h>
#include <string.h>

struct policy_builder *policy_builder_new(void)
{
	struct policy_builder *builder = calloc(1, sizeof(*builder));

	if (!builder)
		return NULL;
	builder->index = index_new();
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

static bool zone_name_is_valid(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < POLICY_ZONE_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

enum td_error policy_builder_zone(
	struct policy_builder *builder, const char *name, enum policy_zone_kind kind)
{
	struct policy_index *index = builder->index;
	size_t same;

	if (!zone_name_is_valid(name) || policy_zone_find(index, name, &same))
		return TD_INVALID;
	if (index->zone_count == POLICY_ZONES_MAX)
		return TD_FULL;
	struct index_zone *zone = &index->zones[index->zone_count++];
	memcpy(zone->name, name, strlen(name) + 1);
	zone->kind = kind;
	return TD_OK;
}

enum td_error policy_builder_record(struct policy_builder *builder, const uint8_t *folded,
	const struct policy_record *record)
{
	struct policy_index *index = builder->index;
	uint32_t node, rule;
	enum td_error error = index_node_add(index, folded, &node);

	if (error)
		return error;
	rule = index_rule_find(index, node, false);
	if (rule == RULE_NONE)
		error = index_rule_add(index, node, false, ACTION_LOCAL_DATA, &rule);
	else if (index_rule_action(index, rule) != ACTION_LOCAL_DATA)
		error = TD_REFUSED;
	return error ? error : index_record_add(index, rule, record);
}

bool policy_builder_has(struct policy_builder *builder, const uint8_t *folded)
{
	uint32_t node;

	return index_node_find(builder->index, folded, &node) &&
	       index_rule_find(builder->index, node, false) != RULE_NONE;
}

struct policy_index *policy_builder_finish(struct policy_builder **builder)
{
	struct policy_index *index = (*builder)->index;

	free(*builder);
	*builder = NULL;
	if (index_seal(index))
		return index;
	policy_index_free(index);
	return NULL;
}

bool reading_begin(struct reading *reading, struct policy_builder *builder, const char *source,
	policy_report_fn *report, void *context, struct policy_load *load)
{
	*reading = (struct reading){
		.builder = builder,
		.source = source,
		.report = report,
		.context = context,
		.load = load ? load : &reading->unasked,
	};
	*reading->load = (struct policy_load){0};
	return builder->index->zone_count > 0;
}

void reading_skip(struct reading *reading, unsigned line, const char *words)
{
	reading->load->skipped++;
	if (reading->report)
		reading->report(reading->context, reading->source, line, true, words);
}

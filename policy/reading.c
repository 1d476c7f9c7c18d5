/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rule that was read is added some lines later. In a zone of a million names, most of what a new
 * one looks at is in no cache of the processor, and waiting for that took longer than all the rest;
 * so the places of its edges are fetched when it is read, the nodes these most likely lead to when
 * half of its time is over, and it finds them there. Rules are added in their order, and nothing is
 * said of a later line before they are.
 */
#include "policy/reading.h"

#include <string.h>

#include "policy/builder.h"
#include "policy/zone_private.h"

enum td_error reading_begin(struct reading *reading, struct policy_builder *builder,
	const char *source, policy_report_fn *report, void *context, struct policy_load *load)
{
	*reading = (struct reading){
		.builder = builder,
		.zone = builder->zone,
		.source = source,
		.report = report,
		.context = context,
		.load = load ? load : &reading->unasked,
	};
	*reading->load = (struct policy_load){0};
	return builder->zone ? zone_source_add(builder->zone, source) : TD_INVALID;
}

/* --- what is said --- */

static void report(
	struct reading *reading, unsigned line, enum policy_fault fault, const char *words)
{
	reading->load->skipped++;
	reading->load->faults[fault]++;
	if (reading->report)
		reading->report(reading->context, reading->source, line, true, words);
}

void reading_fault(
	struct reading *reading, unsigned line, enum policy_fault fault, const char *words)
{
	(void)reading_flush(reading); /* whose fault stays, for the next call that has one */
	report(reading, line, fault, words);
}

void reading_skip(struct reading *reading, unsigned line, const char *words)
{
	reading_fault(reading, line, FAULT_FORM, words);
}

/* --- rules --- */

static void count_rule(struct reading *reading, const struct waiting_rule *rule, bool added)
{
	if (added)
		reading->load->used++;
	else if (reading->repeated)
		report(reading, rule->line, FAULT_FORM, reading->repeated);
	else
		reading->load->repeated++;
}

static void add_first(struct reading *reading)
{
	struct waiting_rule *rule = &reading->waiting[reading->first];
	struct policy_zone *zone = reading->zone;
	enum policy_action action = (enum policy_action)rule->action;
	bool added = false;

	reading->first = (reading->first + 1) % READING_AHEAD;
	reading->count--;
	if (!rule->again)
		reading->node_error = zone_path_add(zone, &rule->path, &reading->node);
	enum td_error error = reading->node_error;
	if (!error && rule->where & RULE_ITSELF)
		error = zone_rule_offer(zone, reading->node, false, action, rule->line, &added);
	if (!error && rule->where & RULE_BELOW)
		error = zone_rule_offer(zone, reading->node, true, action, rule->line, &added);
	if (error == TD_FULL)
		report(reading, rule->line, FAULT_FULL,
			"names that were chosen to be slow to find");
	else if (error)
		reading->error = error;
	else
		count_rule(reading, rule, added);
}

enum td_error reading_flush(struct reading *reading)
{
	while (reading->count && !reading->error)
		add_first(reading);
	return reading->error;
}

/* The rule that has waited half of its time. */
static void fetch_nodes(struct reading *reading)
{
	if (reading->count <= READING_AHEAD / 2)
		return;
	unsigned place = reading->first + reading->count - 1 - READING_AHEAD / 2;
	struct waiting_rule *rule = &reading->waiting[place % READING_AHEAD];
	if (!rule->again)
		nodes_prefetch(reading->zone, &rule->path);
}

enum td_error reading_rule(struct reading *reading, const uint8_t *folded, size_t length,
	unsigned where, enum policy_action action, unsigned line)
{
	const struct waiting_rule *named = reading->named;
	bool again = named && named->length == length && !memcmp(named->wire, folded, length);

	if (reading->count == READING_AHEAD)
		add_first(reading);
	struct waiting_rule *rule =
		&reading->waiting[(reading->first + reading->count++) % READING_AHEAD];
	rule->again = again;
	rule->where = (uint8_t)where;
	rule->action = (uint8_t)action;
	rule->line = line;
	if (!again) {
		rule->length = length;
		memcpy(rule->wire, folded, length);
		name_path_init(&rule->path, rule->wire);
		edges_prefetch(reading->zone, &rule->path);
		reading->named = rule;
	}
	fetch_nodes(reading);
	return reading->error;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a record of a policy zone asks for (draft-vixie-dnsop-dns-rpz), whether it came as a line of
 * a file (rpz.c) or by a transfer: an action, local data, or nothing that can be done here.
 */
#include "policy/rpz_rules.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/dns/message.h"

static const char rule_repeated[] = "repeated: the first rule for this name stays";

enum td_error rpz_rules_begin(struct rpz_rules *rules, struct policy_builder *builder,
	const char *source, policy_report_fn *report, void *context, struct policy_load *load)
{
	enum td_error error =
		reading_begin(&rules->reading, builder, source, report, context, load);

	rules->reading.repeated = rule_repeated;
	return error;
}

/* --- actions --- */

static const struct {
	const char *text; /* as the target of a CNAME */
	const char *wire;
	uint8_t wire_length;
	enum policy_action action;
} actions[] = {
	{".", "", 1, ACTION_NXDOMAIN},
	{"*.", "\001*", 3, ACTION_NODATA},
	{"rpz-passthru.", "\014rpz-passthru", 14, ACTION_PASSTHRU},
	{"rpz-drop.", "\010rpz-drop", 10, ACTION_DROP},
	{"rpz-tcp-only.", "\014rpz-tcp-only", 14, ACTION_TCP_ONLY},
};
#define ACTIONS (sizeof(actions) / sizeof(actions[0]))

enum policy_action rpz_action_find(const char *target, size_t length)
{
	for (size_t i = 0; i < ACTIONS; i++)
		if (strlen(actions[i].text) == length &&
			!strncasecmp(target, actions[i].text, length))
			return actions[i].action;
	return ACTION_NONE;
}

/*
 * What a CNAME asks for: an action, or local data; ACTION_NONE and words where it cannot be done. A
 * CNAME to the trigger itself is the older form of PASSTHRU.
 */
static enum policy_action action_from_cname(
	const struct text_rr *rr, const struct name *trigger, const char **why)
{
	size_t last = 0;
	uint8_t target[NAME_WIRE_MAX];

	if (!rr->rdata_length ||
		name_wire_length(rr->rdata, rr->rdata_length) != rr->rdata_length) {
		*why = "not a domain name behind CNAME";
		return ACTION_NONE;
	}
	name_fold(target, rr->rdata, rr->rdata_length);
	for (size_t i = 0; i < ACTIONS; i++)
		if (rr->rdata_length == actions[i].wire_length &&
			!memcmp(target, actions[i].wire, rr->rdata_length))
			return actions[i].action;
	if (rr->rdata_length == trigger->length && !memcmp(target, trigger->wire, trigger->length))
		return ACTION_PASSTHRU;
	for (size_t at = 0; target[at]; at += (size_t)1 + target[at])
		last = at;
	if (target[last] > 4 && !memcmp(target + last + 1, "rpz-", 4))
		*why = "not a known action";
	return *why ? ACTION_NONE : ACTION_LOCAL_DATA;
}

/* --- rules --- */

void rpz_skip(struct rpz_rules *rules, const char *words)
{
	reading_skip(&rules->reading, rules->line, words);
}

/* A trigger as the name of a rule, and whether that is for all below it. */
static struct name trigger_apex(const struct name *trigger, bool *wildcard)
{
	struct name apex;

	*wildcard = trigger->wire[0] == 1 && trigger->wire[1] == '*';
	apex.length = (uint8_t)(trigger->length - (*wildcard ? 2 : 0));
	memcpy(apex.wire, trigger->wire + (*wildcard ? 2 : 0), apex.length);
	return apex;
}

enum td_error rpz_rule_add(struct rpz_rules *rules, const struct name *folded, bool wildcard,
	enum policy_action action)
{
	return reading_rule(&rules->reading, folded->wire, folded->length,
		wildcard ? RULE_BELOW : RULE_ITSELF, action, rules->line);
}

enum td_error rpz_trigger_add(
	struct rpz_rules *rules, const struct name *trigger, enum policy_action action)
{
	bool wildcard;
	const struct name folded = trigger_apex(trigger, &wildcard);

	return rpz_rule_add(rules, &folded, wildcard, action);
}

static enum td_error record_add(struct rpz_rules *rules, uint32_t rule, const struct text_rr *rr)
{
	const struct policy_record record = {
		.type = rr->type,
		.ttl_s = message_ttl_s(rr->ttl_s),
		.rdata = rr->rdata,
		.rdata_length = rr->rdata_length,
	};
	enum td_error error = zone_record_add(rules->reading.zone, rule, &record);

	if (error == TD_INVALID)
		rpz_skip(rules, "repeated: this record stands above already");
	else if (error == TD_REFUSED)
		rpz_skip(rules, "a CNAME cannot stand beside other records of its name");
	else if (error == TD_FULL)
		rpz_skip(rules, "too many records for one name: at most 100");
	return error == TD_NOMEM ? error : TD_OK;
}

static enum td_error local_data_add(
	struct rpz_rules *rules, const struct name *trigger, const struct text_rr *rr)
{
	struct policy_zone *zone = rules->reading.zone;
	uint32_t node, rule;
	bool wildcard;
	const struct name folded = trigger_apex(trigger, &wildcard);

	enum td_error error = reading_flush(&rules->reading);
	if (!error)
		error = zone_node_add(zone, folded.wire, &node);
	if (error)
		return error;
	rule = zone_rule_find(zone, node, wildcard);
	if (rule == RULE_NONE) {
		error = zone_rule_add(zone, node, wildcard, ACTION_LOCAL_DATA, rules->line, &rule);
		if (error)
			return error;
		rules->reading.load->used++;
	} else if (zone_rule_action(zone, rule) != ACTION_LOCAL_DATA) {
		rpz_skip(rules, rule_repeated);
		return TD_OK;
	}
	return record_add(rules, rule, rr);
}

/* Signatures and proofs speak of the zone as it was transferred; they are no rules. */
static bool type_is_dnssec(uint16_t type)
{
	return type == TYPE_RRSIG || type == TYPE_NSEC || type == TYPE_NSEC3;
}

/* Where nothing else of this program needs their names. */
enum { TYPE_DNSKEY = 48, TYPE_NSEC3PARAM = 51 };

/*
 * Types that would cut the tree of names, stand for the zone itself (the draft, 3.6), or exist in
 * questions and packets only.
 */
static bool type_is_refused(uint16_t type)
{
	return type == TYPE_NS || type == TYPE_SOA || type == TYPE_DNAME || type == TYPE_OPT ||
	       type == TYPE_DS || type == TYPE_DNSKEY || type == TYPE_NSEC3PARAM || type == 0 ||
	       (type >= 128 && type <= 255);
}

enum td_error rpz_record_add(
	struct rpz_rules *rules, const struct name *trigger, const struct text_rr *rr)
{
	enum policy_action action = ACTION_LOCAL_DATA;
	const char *why = NULL;

	if (type_is_dnssec(rr->type))
		return TD_OK;
	if (type_is_refused(rr->type))
		why = "records of this type cannot be local data";
	else if (rr->type == TYPE_CNAME)
		action = action_from_cname(rr, trigger, &why);
	if (why) {
		rpz_skip(rules, why);
		return TD_OK;
	}
	return action == ACTION_LOCAL_DATA ? local_data_add(rules, trigger, rr)
					   : rpz_trigger_add(rules, trigger, action);
}

/* --- records --- */

struct policy_records {
	struct rpz_rules rules;
	struct text_rr rr; /* being read */
	struct name folded;
};

struct policy_records *policy_records_begin(struct policy_builder *builder, const char *source,
	policy_report_fn *report, void *context, struct policy_load *load)
{
	struct policy_records *records = calloc(1, sizeof(*records));

	if (records && !rpz_rules_begin(&records->rules, builder, source, report, context, load))
		return records;
	free(records);
	return NULL;
}

static void records_take(struct policy_records *records, const struct name *trigger,
	const struct policy_record *record)
{
	records->rules.reading.load->lines++;
	records->folded.length = trigger->length;
	name_fold(records->folded.wire, trigger->wire, trigger->length);
	records->rr.type = record->type;
	records->rr.ttl_s = record->ttl_s;
	records->rr.rdata = (uint8_t *)(uintptr_t)record->rdata; /* is only read */
	records->rr.rdata_length = record->rdata_length;
}

enum td_error policy_records_add(struct policy_records *records, const struct name *trigger,
	const struct policy_record *record)
{
	enum td_error error;
	const char *why;

	records_take(records, trigger, record);
	why = policy_rpz_trigger(&records->folded);
	if (why) {
		rpz_skip(&records->rules, why);
		return TD_OK;
	}
	error = rpz_record_add(&records->rules, &records->folded, &records->rr);
	/* The next one may take it out again. */
	return error ? error : reading_flush(&records->rules.reading);
}

enum td_error policy_records_remove(struct policy_records *records, const struct name *trigger,
	const struct policy_record *record)
{
	struct policy_builder *builder = records->rules.reading.builder;
	enum policy_action action = ACTION_LOCAL_DATA;
	const char *why = NULL;
	enum td_error error;

	records_take(records, trigger, record);
	if (policy_rpz_trigger(&records->folded))
		return TD_OK;
	bool below = records->folded.wire[0] == 1 && records->folded.wire[1] == '*';
	const uint8_t *name = records->folded.wire + (below ? 2 : 0);
	if (record->type == TYPE_CNAME)
		action = action_from_cname(&records->rr, &records->folded, &why);
	if (action == ACTION_LOCAL_DATA)
		error = policy_builder_record_remove(builder, name, below, record);
	else
		error = policy_builder_name_remove(builder, name, below, action);
	return error == TD_NOT_FOUND ? TD_OK : error;
}

void policy_records_end(struct policy_records *records)
{
	free(records);
}

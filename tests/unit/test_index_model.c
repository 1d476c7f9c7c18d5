/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * policy: the index against a list of rules that is searched from end to end. Generations of
 * several zones, each kept, patched or compiled anew, with names that somebody chose to do harm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/message.h"
#include "tests/unit/policy_rules.h"

#define ZONES 4
#define RULES_MAX 700 /* of a zone */
#define GENERATIONS 30
#define ROUNDS 4

struct rule {
	struct name name; /* folded */
	bool below;
	enum policy_action action;
	unsigned source, line; /* line 0: of local data */
	unsigned records;      /* of local data: a bit for each of eight addresses */
};

struct model_zone {
	struct rule rules[RULES_MAX]; /* sorted by name and below */
	size_t count;
};

struct model {
	uint64_t random;
	unsigned source; /* being read */
	struct model_zone zones[ZONES];
	size_t matched, missed, removed;
};

static unsigned random_below(struct model *model, unsigned bound)
{
	model->random ^= model->random << 13;
	model->random ^= model->random >> 7;
	model->random ^= model->random << 17;
	return (unsigned)((model->random >> 20) % bound);
}

/* --- names --- */

static void label_append(struct name *name, size_t length, const uint8_t *octets)
{
	if (name->length + length + 2 > NAME_WIRE_MAX)
		return;
	name->wire[name->length++] = (uint8_t)length;
	memcpy(name->wire + name->length, octets, length);
	name->length = (uint8_t)(name->length + length);
}

/* Few octets, so that names meet; those that text escapes, and those that look like a length. */
static void label_random(struct model *model, struct name *name)
{
	static const uint8_t octets[] = {'a', 'b', 'a', '.', 0, '*', 255, '\\', 1, 3, 'A', 'Z'};
	uint8_t label[NAME_LABEL_MAX];
	size_t length = 1 + random_below(model, 2);

	if (random_below(model, 12) == 0)
		length = random_below(model, 2) ? NAME_LABEL_MAX : 1 + random_below(model, 62);
	for (size_t i = 0; i < length; i++)
		label[i] = octets[random_below(model, length > 8 ? 2 : sizeof(octets))];
	label_append(name, length, label);
}

/* With capitals; the root, deep ones and such of 255 octets among them. */
static struct name name_random(struct model *model, unsigned labels_max)
{
	struct name name = {.length = 0};
	unsigned labels = 1 + random_below(model, labels_max);

	if (random_below(model, 25) == 0)
		labels = 127;
	else if (random_below(model, 500) == 0)
		labels = 0;
	for (unsigned i = 0; i < labels; i++)
		label_random(model, &name);
	name.wire[name.length++] = 0;
	return name;
}

static struct name name_below(struct model *model, const struct name *parent)
{
	struct name name = {.length = 0};

	label_random(model, &name);
	if (name.length + parent->length > NAME_WIRE_MAX)
		return *parent;
	memcpy(name.wire + name.length, parent->wire, parent->length);
	name.length = (uint8_t)(name.length + parent->length);
	return name;
}

static void fold(struct name *name)
{
	name_fold(name->wire, name->wire, name->length);
}

/* --- the list --- */

static int rule_compare(const struct rule *rule, const struct name *name, bool below)
{
	size_t shorter = rule->name.length < name->length ? rule->name.length : name->length;
	int order = memcmp(rule->name.wire, name->wire, shorter);

	if (order)
		return order;
	if (rule->name.length != name->length)
		return rule->name.length < name->length ? -1 : 1;
	return (int)rule->below - (int)below;
}

/* The place where it is or belongs. */
static size_t rule_place(const struct model_zone *zone, const struct name *name, bool below)
{
	size_t low = 0, high = zone->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (rule_compare(&zone->rules[middle], name, below) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct rule *rule_find(struct model_zone *zone, const struct name *name, bool below)
{
	size_t i = rule_place(zone, name, below);

	return i < zone->count && rule_compare(&zone->rules[i], name, below) == 0 ? &zone->rules[i]
										  : NULL;
}

static void rule_insert(struct model_zone *zone, const struct rule *rule)
{
	size_t i = rule_place(zone, &rule->name, rule->below);

	memmove(&zone->rules[i + 1], &zone->rules[i], (zone->count - i) * sizeof(*rule));
	zone->rules[i] = *rule;
	zone->count++;
}

static void rule_erase(struct model_zone *zone, struct rule *rule)
{
	size_t i = (size_t)(rule - zone->rules);

	memmove(rule, rule + 1, (zone->count - i - 1) * sizeof(*rule));
	zone->count--;
}

/* The rule for a name: itself, else the longest above. */
static const struct rule *rule_best(struct model_zone *zone, const struct name *name)
{
	const struct rule *best = rule_find(zone, name, false);

	for (size_t at = 0; !best && name->wire[at];) {
		struct name end = {.length = 0};
		at += (size_t)1 + name->wire[at];
		end.length = (uint8_t)(name->length - at);
		memcpy(end.wire, name->wire + at, end.length);
		best = rule_find(zone, &end, true);
	}
	return best;
}

/* --- both are told the same --- */

static void address_record(unsigned number, uint8_t octets[4], struct policy_record *record)
{
	memcpy(octets, (const uint8_t[]){192, 0, 2, (uint8_t)number}, 4);
	*record = (struct policy_record){
		.type = TYPE_A, .ttl_s = 60, .rdata = octets, .rdata_length = 4};
}

static void add_record(struct model *model, struct policy_builder *builder, struct model_zone *zone,
	const struct name *name)
{
	struct rule *rule = rule_find(zone, name, false);
	unsigned number = random_below(model, 8);
	struct policy_record record;
	uint8_t octets[4];

	address_record(number, octets, &record);
	enum td_error error = policy_builder_record(builder, name->wire, &record);
	if (rule && rule->action != ACTION_LOCAL_DATA) {
		assert_int_equal(error, TD_REFUSED);
	} else if (rule) {
		assert_int_equal(error, rule->records >> number & 1 ? TD_INVALID : TD_OK);
		rule->records |= 1U << number;
	} else {
		assert_int_equal(error, TD_OK);
		rule_insert(zone, &(struct rule){.name = *name,
					  .action = ACTION_LOCAL_DATA,
					  .source = model->source,
					  .records = 1U << number});
	}
}

static void add_name(struct model *model, struct policy_builder *builder, struct model_zone *zone,
	const struct name *name, unsigned line)
{
	enum policy_action action = ACTION_NXDOMAIN + random_below(model, 5);
	unsigned which = 1 + random_below(model, 3);
	bool added = false;

	for (unsigned below = 0; below < 2; below++) {
		if (!(which >> below & 1) || rule_find(zone, name, below))
			continue;
		added = true;
		rule_insert(zone, &(struct rule){.name = *name,
					  .below = below,
					  .action = action,
					  .source = model->source,
					  .line = line});
	}
	assert_int_equal(
		policy_builder_name(builder, name->wire, which >> 1, which & 1, action, line),
		added ? TD_OK : TD_INVALID);
}

static void add_some(struct model *model, struct policy_builder *builder, struct model_zone *zone,
	unsigned count)
{
	unsigned line = 1;

	while (count-- > 0 && zone->count < RULES_MAX - 2) {
		struct name name = name_random(model, 4);
		if (zone->count && random_below(model, 4) == 0)
			name = name_below(model,
				&zone->rules[random_below(model, (unsigned)zone->count)].name);
		fold(&name);
		if (random_below(model, 5) == 0)
			add_record(model, builder, zone, &name);
		else
			add_name(model, builder, zone, &name, line);
		line += random_below(model, 40) == 0 ? random_below(model, 5000)
						     : random_below(model, 4);
	}
}

static void remove_record(
	struct policy_builder *builder, struct model_zone *zone, struct rule *rule, unsigned number)
{
	struct policy_record record;
	uint8_t octets[4];
	bool there = rule->records >> number & 1;

	address_record(number, octets, &record);
	record.ttl_s = 7;
	assert_int_equal(
		policy_builder_record_remove(builder, rule->name.wire, rule->below, &record),
		there ? TD_OK : TD_NOT_FOUND);
	rule->records &= ~(1U << number);
	if (!rule->records)
		rule_erase(zone, rule);
}

static void remove_some(struct model *model, struct policy_builder *builder,
	struct model_zone *zone, unsigned count)
{
	for (; count-- > 0 && zone->count; model->removed++) {
		struct rule *rule = &zone->rules[random_below(model, (unsigned)zone->count)];
		if (rule->action == ACTION_LOCAL_DATA && random_below(model, 3)) {
			remove_record(builder, zone, rule, random_below(model, 8));
			continue;
		}
		enum policy_action other =
			rule->action == ACTION_DROP ? ACTION_NODATA : ACTION_DROP;
		assert_int_equal(
			policy_builder_name_remove(builder, rule->name.wire, rule->below, other),
			TD_NOT_FOUND);
		assert_int_equal(policy_builder_name_remove(
					 builder, rule->name.wire, rule->below, rule->action),
			TD_OK);
		struct name name = rule->name;
		bool below = rule->below;
		enum policy_action action = rule->action;
		rule_erase(zone, rule);
		assert_int_equal(policy_builder_name_remove(builder, name.wire, below, action),
			TD_NOT_FOUND);
	}
}

/* What is added from now on is from a source of that number. */
static void begin_source(struct model *model, struct policy_builder *builder)
{
	char name[32];

	snprintf(name, sizeof(name), "source %u", model->source);
	assert_int_equal(
		policy_builder_rpz(builder, name, SOA, strlen(SOA), NULL, NULL, NULL), TD_OK);
}

static struct policy_index *generation(struct model *model, const struct policy_index *old)
{
	struct policy_builder *builder = policy_builder_new();

	for (unsigned i = 0; i < ZONES; i++) {
		struct model_zone *zone = &model->zones[i];
		unsigned how = random_below(model, 8);
		char name[8];
		snprintf(name, sizeof(name), "z%u", i);
		model->source++;
		if (!old || how == 0) {
			zone->count = 0;
			assert_int_equal(policy_builder_zone(builder, name, ZONE_LIST), TD_OK);
			begin_source(model, builder);
			add_some(model, builder, zone, 300);
		} else if (how < 3) {
			assert_int_equal(policy_builder_keep(builder, old, name), TD_OK);
		} else {
			assert_int_equal(policy_builder_patch(builder, old, name), TD_OK);
			remove_some(model, builder, zone, random_below(model, how == 3 ? 400 : 20));
			begin_source(model, builder);
			add_some(model, builder, zone, random_below(model, how == 4 ? 300 : 20));
			remove_some(model, builder, zone, random_below(model, 5));
		}
	}
	return policy_builder_finish(&builder);
}

/* --- and asked the same --- */

static void compare_records(
	const struct policy_index *index, const struct policy_match *match, const struct rule *rule)
{
	struct policy_record record;
	unsigned found = 0;
	size_t position = 0;

	while (policy_rule_record(index, match, TYPE_ANY, &position, &record)) {
		assert_int_equal(record.type, TYPE_A);
		assert_int_equal(record.ttl_s, 60);
		found |= 1U << record.rdata[3];
	}
	assert_int_equal(found, rule->records);
}

static void compare_source(
	const struct policy_index *index, const struct policy_match *match, const struct rule *rule)
{
	char expected[32];
	const char *source;
	uint32_t line;

	snprintf(expected, sizeof(expected), "source %u", rule->source);
	assert_true(policy_rule_source(index, match, &source, &line));
	assert_string_equal(source, expected);
	assert_int_equal(line, rule->line);
}

static void compare_rule(
	const struct policy_index *index, const struct policy_match *match, const struct rule *rule)
{
	char text[NAME_TEXT_MAX], expected[NAME_TEXT_MAX + 2] = "*.", *name = expected;

	if (rule->below && rule->name.length > 1)
		name += 2;
	else if (rule->below)
		name += 1;
	name_to_text(rule->name.wire, name);
	policy_rule_text(index, match, text);
	assert_string_equal(text, expected);
	assert_int_equal(match->action, rule->action);
	compare_records(index, match, rule);
	compare_source(index, match, rule);
}

static void compare(struct model *model, const struct policy_index *index, struct name name)
{
	struct policy_match matches[POLICY_MATCHES_MAX];
	size_t count, at = 0;

	fold(&name);
	count = policy_match_name(index, name.wire, name.length, matches);
	for (unsigned i = 0; i < ZONES; i++) {
		const struct rule *rule = rule_best(&model->zones[i], &name);
		if (!rule)
			continue;
		assert_true(at < count);
		assert_int_equal(matches[at].zone, i);
		compare_rule(index, &matches[at++], rule);
	}
	assert_int_equal(at, count);
	*(count ? &model->matched : &model->missed) += 1;
}

static void compare_all(struct model *model, const struct policy_index *index)
{
	for (unsigned i = 0; i < ZONES; i++) {
		const struct model_zone *zone = &model->zones[i];
		assert_int_equal(policy_zone_rules(index, i), zone->count);
		for (size_t j = 0; j < zone->count; j += 3) {
			compare(model, index, zone->rules[j].name);
			compare(model, index, name_below(model, &zone->rules[j].name));
		}
	}
	for (unsigned i = 0; i < 300; i++)
		compare(model, index, name_random(model, 6));
}

static void test_against_list(void **state)
{
	static struct model model;

	(void)state;
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		struct policy_index *index = NULL;
		model.random = round * UINT64_C(0x9e3779b97f4a7c15);
		for (unsigned i = 0; i < GENERATIONS; i++) {
			struct policy_index *next = generation(&model, index);
			policy_index_free(index);
			index = next;
			compare_all(&model, index);
		}
		policy_index_free(index);
	}
	/* The generator makes names that meet, and enough of them go. */
	assert_true(model.matched > 30000);
	assert_true(model.missed > 5000);
	assert_true(model.removed > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which line each rule comes from, for one octet a node.
 *
 * Sources (files, one behind the other) are numbered through: line n of a source is `first` of that
 * source and n. Nodes lie in the order in which they were made, so the line at which one got its
 * first rule is that of the node before it and a little more: that little is in the node. Marks in
 * between, by the offset of a node, keep the way short that has to be added up, and stand where a
 * step is too large. A node's second rule is usually a line or two behind its first, which takes
 * two bits. What fits nowhere (a rule for a name that is an ancestor of one listed above) is listed
 * by its rule.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "policy/zone_private.h"

/* Of node.line: the step from the node before, and where the rules are, as seen from there. */
#define STEP_MASK 0x0f
#define STEP_MARK 0x0f /* the line is at a mark for this node */
#define NAME_SHIFT 4
#define WILD_SHIFT 6
#define PLACE_MASK 0x03
#define PLACE_LISTED 0x03

#define MARK_EVERY 1024 /* octets of nodes */

static bool mark_add(struct origins *origins, uint32_t node, uint32_t line)
{
	void *marks = origins->marks;
	enum td_error error = array_grow(
		&marks, &origins->mark_capacity, origins->mark_count + 1, sizeof(*origins->marks));

	origins->marks = marks;
	if (!error)
		origins->marks[origins->mark_count++] = (struct line_mark){node, line};
	return !error;
}

static bool list_add(struct origins *origins, uint32_t rule, uint32_t line)
{
	void *listed = origins->listed;
	enum td_error error = array_grow(&listed, &origins->listed_capacity,
		origins->listed_count + 1, sizeof(*origins->listed));

	origins->listed = listed;
	if (!error)
		origins->listed[origins->listed_count++] = (struct line_listed){rule, line};
	return !error;
}

void origins_free(struct origins *origins)
{
	for (size_t i = 0; i < origins->source_count; i++)
		free(origins->sources[i].text);
	free(origins->sources);
	free(origins->marks);
	free(origins->listed);
}

/* Of a source without lines it makes no difference how often it is named. */
static bool source_goes_on(const struct origins *origins, const char *text)
{
	return origins->source_count && origins->last == origins->first &&
	       strcmp(origins->sources[origins->source_count - 1].text, text) == 0;
}

enum td_error zone_source_add(struct policy_zone *zone, const char *text)
{
	struct origins *origins = &zone->origins;

	if (source_goes_on(origins, text))
		return TD_OK;
	void *sources = origins->sources;
	enum td_error error = array_grow(&sources, &origins->source_capacity,
		origins->source_count + 1, sizeof(*origins->sources));
	char *copy = error ? NULL : strdup(text);

	origins->sources = sources;
	if (!copy)
		return TD_NOMEM;
	origins->first = origins->source_count ? origins->last + 1 : 0;
	origins->last = origins->first;
	origins->sources[origins->source_count++] = (struct line_source){copy, origins->first};
	return TD_OK;
}

uint32_t zone_line(struct policy_zone *zone, unsigned line)
{
	struct origins *origins = &zone->origins;
	uint32_t number = origins->first + line;

	/* Four thousand million lines: none of the rest is known. */
	if (number < origins->first)
		number = origins->first;
	if (number > origins->last)
		origins->last = number;
	return number;
}

/* The node made last gets its first rule. */
static bool line_begin(struct origins *origins, struct node *node, uint32_t number, uint32_t line)
{
	uint32_t last_mark = origins->mark_count ? origins->marks[origins->mark_count - 1].node : 0;
	uint32_t step = line - origins->walked;

	if (!origins->mark_count || step >= STEP_MARK || number - last_mark > MARK_EVERY) {
		if (!mark_add(origins, number, line))
			return false;
		step = STEP_MARK;
	}
	node->line = (uint8_t)step;
	origins->walked = line;
	origins->walked_node = number;
	return true;
}

bool zone_line_note(struct policy_zone *zone, uint32_t rule, uint32_t line)
{
	struct origins *origins = &zone->origins;
	uint32_t number = rule_place(rule) >> 1, place;
	struct node *node = node_at(zone, number);

	if (number > origins->walked_node && !line_begin(origins, node, number, line))
		return false;
	place = line - origins->walked;
	if (number == NODE_ROOT || number != origins->walked_node || place >= PLACE_LISTED) {
		place = PLACE_LISTED;
		if (!list_add(origins, rule, line))
			return false;
	}
	node->line |= (uint8_t)(place << (rule & 1 ? WILD_SHIFT : NAME_SHIFT));
	return true;
}

void zone_line_forget(struct node *node, uint32_t rule)
{
	node->line &= (uint8_t) ~(PLACE_MASK << (rule & 1 ? WILD_SHIFT : NAME_SHIFT));
}

/* Of one rule, taken out and put in again, the last one counts: it is the furthest down. */
static int listed_compare(const void *a, const void *b)
{
	const struct line_listed *x = a, *y = b;

	if (x->rule != y->rule)
		return x->rule < y->rule ? -1 : 1;
	return x->line > y->line ? -1 : x->line < y->line;
}

void origins_seal(struct origins *origins)
{
	size_t kept = 0;

	if (!origins->listed_count)
		return;
	qsort(origins->listed, origins->listed_count, sizeof(*origins->listed), listed_compare);
	for (size_t i = 0; i < origins->listed_count; i++)
		if (!kept || origins->listed[kept - 1].rule != origins->listed[i].rule)
			origins->listed[kept++] = origins->listed[i];
	origins->listed_count = kept;
}

static bool array_copy(void **out, const void *items, size_t count, size_t size)
{
	*out = count ? malloc(count * size) : NULL;
	if (*out)
		memcpy(*out, items, count * size);
	return *out || !count;
}

bool origins_copy_sources(struct origins *to, const struct origins *origins)
{
	*to = (struct origins){.first = origins->first, .last = origins->last};
	to->sources =
		origins->source_count ? calloc(origins->source_count, sizeof(*to->sources)) : NULL;
	if (!to->sources)
		return !origins->source_count;
	to->source_capacity = origins->source_count;
	for (size_t i = 0; i < origins->source_count; i++) {
		char *text = strdup(origins->sources[i].text);
		if (!text)
			return false;
		to->sources[to->source_count++] =
			(struct line_source){text, origins->sources[i].first};
	}
	return true;
}

bool origins_copy(struct origins *to, const struct origins *origins)
{
	void *marks, *listed;

	if (!origins_copy_sources(to, origins))
		return false;
	bool good = array_copy(&marks, origins->marks, origins->mark_count, sizeof(*to->marks));
	good &= array_copy(&listed, origins->listed, origins->listed_count, sizeof(*to->listed));
	to->marks = marks;
	to->mark_count = to->mark_capacity = origins->mark_count;
	to->listed = listed;
	to->listed_count = to->listed_capacity = origins->listed_count;
	to->walked = origins->walked;
	to->walked_node = origins->walked_node;
	return good;
}

/* --- looking up --- */

static int listed_compare_rule(const void *rule, const void *item)
{
	const uint32_t *x = rule;
	const struct line_listed *y = item;

	return *x < y->rule ? -1 : *x > y->rule;
}

static uint32_t listed_line(const struct origins *origins, uint32_t rule)
{
	const struct line_listed *found = bsearch(
		&rule, origins->listed, origins->listed_count, sizeof(*found), listed_compare_rule);

	assert(found);
	return found->line;
}

/* The last mark that is not behind the node. */
static const struct line_mark *mark_before(const struct origins *origins, uint32_t node)
{
	size_t low = 0, high = origins->mark_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (origins->marks[middle].node <= node)
			low = middle + 1;
		else
			high = middle;
	}
	assert(low > 0);
	return &origins->marks[low - 1];
}

static uint32_t node_line(const struct policy_zone *zone, uint32_t wanted)
{
	const struct line_mark *mark = mark_before(&zone->origins, wanted);
	uint32_t line = mark->line;

	for (uint32_t at = mark->node; at < wanted;) {
		at += (uint32_t)node_size(node_at(zone, at)->label[0]);
		line += node_at(zone, at)->line & STEP_MASK;
	}
	return line;
}

uint32_t zone_rule_line(const struct policy_zone *zone, uint32_t rule)
{
	if (rule_kind(rule) == RULE_PATTERN)
		return zone->patterns[rule_place(rule)].line;
	uint32_t node = rule_place(rule) >> 1;
	unsigned place =
		node_at(zone, node)->line >> (rule & 1 ? WILD_SHIFT : NAME_SHIFT) & PLACE_MASK;
	return place == PLACE_LISTED ? listed_line(&zone->origins, rule)
				     : node_line(zone, node) + place;
}

bool zone_rule_source(
	const struct policy_zone *zone, uint32_t rule, const char **source, uint32_t *line)
{
	const struct origins *origins = &zone->origins;
	size_t i = origins->source_count;

	if (!i)
		return false;
	uint32_t number = zone_rule_line(zone, rule);
	while (i > 1 && origins->sources[i - 1].first > number)
		i--;
	*source = origins->sources[i - 1].text;
	*line = number - origins->sources[i - 1].first;
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Modes, zones and the decision. Matching (index.c) says which rules apply and stays true as long
 * as the rules do; deciding says what follows from them under the modes of the moment. Keeping the
 * two apart lets the matches be kept with a cache entry while modes change, and makes the decision
 * a walk over at most eight small structs.
 */
#include "policy/policy.h"

#include <assert.h>
#include <string.h>

#include "policy/index.h"

static const char *const mode_names[] = {
	[MODE_IGNORE] = "ignore",
	[MODE_WATCH] = "watch",
	[MODE_BLOCK] = "block",
};
#define MODE_COUNT (sizeof(mode_names) / sizeof(mode_names[0]))

static const char *const action_names[] = {
	[ACTION_NONE] = "none",
	[ACTION_NXDOMAIN] = "nxdomain",
	[ACTION_NODATA] = "nodata",
	[ACTION_PASSTHRU] = "passthru",
	[ACTION_DROP] = "drop",
	[ACTION_TCP_ONLY] = "tcp-only",
	[ACTION_LOCAL_DATA] = "local-data",
};
#define ACTION_COUNT (sizeof(action_names) / sizeof(action_names[0]))

const char *policy_mode_name(enum policy_mode mode)
{
	return (size_t)mode < MODE_COUNT ? mode_names[mode] : "unknown";
}

bool policy_mode_from_text(enum policy_mode *out, const char *text)
{
	for (size_t i = 0; i < MODE_COUNT; i++) {
		if (strcmp(mode_names[i], text) != 0)
			continue;
		*out = (enum policy_mode)i;
		return true;
	}
	return false;
}

const char *policy_action_name(enum policy_action action)
{
	return (size_t)action < ACTION_COUNT ? action_names[action] : "unknown";
}

size_t policy_zone_count(const struct policy_index *index)
{
	return index->zone_count;
}

const char *policy_zone_name(const struct policy_index *index, size_t zone)
{
	assert(zone < index->zone_count);
	return index->zones[zone]->name;
}

enum policy_zone_kind policy_zone_kind(const struct policy_index *index, size_t zone)
{
	assert(zone < index->zone_count);
	return index->zones[zone]->kind;
}

size_t policy_zone_rules(const struct policy_index *index, size_t zone)
{
	assert(zone < index->zone_count);
	return index->zones[zone]->rules;
}

bool policy_zone_find(const struct policy_index *index, const char *name, size_t *zone)
{
	for (size_t i = 0; i < index->zone_count; i++) {
		if (strcmp(index->zones[i]->name, name) != 0)
			continue;
		*zone = i;
		return true;
	}
	return false;
}

void policy_client_find(const struct policy_view *view, const struct address *client,
	const struct address *mac, struct policy_client *out)
{
	out->group = view->groups ? policy_groups_find(view->groups, client, mac) : 0;
	out->count = (uint8_t)policy_match_addresses(
		view->index, TRIGGER_CLIENT, client, 1, out->matches);
}

/* --- deciding --- */

/* All that matches, in order, and what was found on the way. */
struct walk {
	const struct policy_view *view;
	const struct policy_match *client, *client_end, *match, *end;
	uint64_t passed; /* zones that watch, and let this through */
	unsigned group;
};

static struct walk walk_begin(const struct policy_view *view, const struct policy_client *client,
	const struct policy_match *matches, size_t count)
{
	struct walk walk = {.view = view, .match = matches, .end = matches + count};

	if (client) {
		walk.client = client->matches;
		walk.client_end = client->matches + client->count;
		walk.group = client->group;
	}
	return walk;
}

/* NULL at the end. */
static const struct policy_match *walk_next(struct walk *walk)
{
	const struct policy_match *match = walk->match;

	if (walk->client != walk->client_end &&
		(match == walk->end || match->trigger > TRIGGER_QUESTION ||
			walk->client->zone <= match->zone))
		return walk->client++;
	return match == walk->end ? NULL : walk->match++;
}

static bool is_local(const struct walk *walk, const struct policy_match *match)
{
	assert(match->zone < walk->view->index->zone_count);
	return walk->view->index->zones[match->zone]->kind == ZONE_LOCAL;
}

/* MODE_IGNORE as well where its zone has let this through already. */
static enum policy_mode match_mode(const struct walk *walk, const struct policy_match *match)
{
	if (is_local(walk, match))
		return MODE_BLOCK;
	if (walk->passed >> match->zone & 1)
		return MODE_IGNORE;
	return (enum policy_mode)walk->view->mode[walk->group][match->zone];
}

static enum policy_action match_action(
	const struct policy_view *view, const struct policy_match *match)
{
	uint8_t override = view->override[match->zone];

	return (enum policy_action)(override == ACTION_NONE ? match->action : override);
}

/* In a zone that watches: a hit, unless the zone lets it through. */
static void verdict_watch(
	struct policy_verdict *verdict, struct walk *walk, const struct policy_match *match)
{
	if (match_action(walk->view, match) == ACTION_PASSTHRU)
		walk->passed |= UINT64_C(1) << match->zone;
	else if (!verdict->hit)
		verdict->hit = match;
}

/*
 * Local data is how the resolver answers, not something it caught: no hit of its own, an earlier
 * watched one stays.
 */
static void verdict_enforce(
	struct policy_verdict *verdict, const struct walk *walk, const struct policy_match *match)
{
	verdict->action = match_action(walk->view, match);
	verdict->enforced = match;
	if (walk->view->override[match->zone] == ACTION_LOCAL_DATA)
		verdict->alias = walk->view->alias[match->zone];
	if (!is_local(walk, match))
		verdict->hit = match;
}

/*
 * A denial of our own hides nobody's tunnel: what stands behind it is recorded as far as it would deny
 * as well. The reply is the same.
 */
static void verdict_look_behind(struct policy_verdict *verdict, struct walk *walk)
{
	const struct policy_match *match;

	while ((match = walk_next(walk))) {
		enum policy_mode mode = match_mode(walk, match);
		if (mode == MODE_BLOCK) {
			if (match_action(walk->view, match) == ACTION_NXDOMAIN)
				verdict_enforce(verdict, walk, match);
			return;
		}
		if (mode == MODE_WATCH)
			verdict_watch(verdict, walk, match);
	}
}

static void trace_add(struct policy_trace *trace, const struct walk *walk,
	const struct policy_match *match, enum policy_outcome outcome)
{
	trace->steps[trace->count++] = (struct policy_step){
		.match = match, .action = match_action(walk->view, match), .outcome = outcome};
}

static enum policy_outcome outcome_of(
	const struct walk *walk, const struct policy_match *match, enum policy_mode mode)
{
	if (mode == MODE_IGNORE)
		return OUTCOME_IGNORED;
	if (mode == MODE_BLOCK)
		return OUTCOME_WON;
	return match_action(walk->view, match) == ACTION_PASSTHRU ? OUTCOME_EXEMPT
								  : OUTCOME_WATCHED;
}

/* trace is NULL but for those who want to know why; the compiler leaves it out of policy_decide. */
static inline struct policy_verdict decide(struct walk *walk, struct policy_trace *trace)
{
	struct policy_verdict verdict = {.action = ACTION_NONE};
	const struct policy_match *match;

	while ((match = walk_next(walk))) {
		enum policy_mode mode = match_mode(walk, match);
		if (trace)
			trace_add(trace, walk, match, outcome_of(walk, match, mode));
		if (mode == MODE_WATCH)
			verdict_watch(&verdict, walk, match);
		if (mode != MODE_BLOCK)
			continue;
		if (match_action(walk->view, match) == ACTION_PASSTHRU)
			return verdict;
		verdict_enforce(&verdict, walk, match);
		if (verdict.action == ACTION_NXDOMAIN && is_local(walk, match)) {
			struct walk behind = *walk;
			verdict_look_behind(&verdict, &behind);
		}
		return verdict;
	}
	return verdict;
}

struct policy_verdict policy_decide(const struct policy_view *view,
	const struct policy_client *client, const struct policy_match *matches, size_t count)
{
	if (count == 0 && (!client || client->count == 0)) /* nearly always */
		return (struct policy_verdict){.action = ACTION_NONE};
	struct walk walk = walk_begin(view, client, matches, count);
	return decide(&walk, NULL);
}

struct policy_verdict policy_explain(const struct policy_view *view,
	const struct policy_client *client, const struct policy_match *matches, size_t count,
	struct policy_trace *trace)
{
	struct walk walk = walk_begin(view, client, matches, count);
	const struct policy_match *match;

	trace->count = 0;
	struct policy_verdict verdict = decide(&walk, trace);
	while ((match = walk_next(&walk)))
		trace_add(trace, &walk, match, OUTCOME_BEHIND);
	for (size_t i = 0; i < trace->count; i++)
		if (trace->steps[i].match == verdict.hit && trace->steps[i].outcome != OUTCOME_WON)
			trace->steps[i].outcome = OUTCOME_RECORDED;
	return verdict;
}

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

static enum policy_mode match_mode(const struct policy_view *view, const struct policy_client *client,
	const struct policy_match *match)
{
	assert(match->zone < view->index->zone_count);
	if (view->index->zones[match->zone]->kind == ZONE_LOCAL)
		return MODE_BLOCK;
	return (enum policy_mode)view->mode[client ? client->group : 0][match->zone];
}

void policy_client_find(const struct policy_view *view, const struct address *client,
	const struct address *mac, struct policy_client *out)
{
	out->group = view->groups ? policy_groups_find(view->groups, client, mac) : 0;
	out->count = 0;
}

/*
 * Local data is how the resolver answers, not something it caught: no hit of its own, an earlier
 * watched one stays.
 */
static void verdict_enforce(struct policy_verdict *verdict, const struct policy_view *view,
	const struct policy_match *match)
{
	verdict->action = (enum policy_action)match->action;
	verdict->enforced = match;
	if (view->index->zones[match->zone]->kind != ZONE_LOCAL)
		verdict->hit = match;
}

/*
 * A denial of our own hides nobody's tunnel: what stands behind it is recorded as far as it would deny
 * as well. The reply is the same.
 */
static void verdict_look_behind(struct policy_verdict *verdict, const struct policy_view *view,
	const struct policy_client *client, const struct policy_match *matches, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		enum policy_mode mode = match_mode(view, client, &matches[i]);
		if (mode == MODE_BLOCK) {
			if (matches[i].action == ACTION_NXDOMAIN)
				verdict_enforce(verdict, view, &matches[i]);
			return;
		}
		if (mode == MODE_WATCH && matches[i].action != ACTION_PASSTHRU && !verdict->hit)
			verdict->hit = &matches[i];
	}
}

struct policy_verdict policy_decide(const struct policy_view *view,
	const struct policy_client *client, const struct policy_match *matches, size_t count)
{
	struct policy_verdict verdict = {.action = ACTION_NONE};

	for (size_t i = 0; i < count; i++) {
		const struct policy_match *match = &matches[i];
		enum policy_mode mode = match_mode(view, client, match);
		if (mode == MODE_BLOCK && match->action == ACTION_PASSTHRU)
			return verdict;
		if (mode == MODE_BLOCK) {
			verdict_enforce(&verdict, view, match);
			if (match->action == ACTION_NXDOMAIN &&
				view->index->zones[match->zone]->kind == ZONE_LOCAL)
				verdict_look_behind(&verdict, view, client, &matches[i + 1],
					count - i - 1);
			return verdict;
		}
		if (mode == MODE_WATCH && match->action != ACTION_PASSTHRU && !verdict.hit)
			verdict.hit = match;
	}
	return verdict;
}

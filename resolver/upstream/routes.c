/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A struct upstream never changes its servers: exchanges refer to them by their place. A changed
 * group gets another one, which inherits; the old one is kept in a list until its last question
 * has ended. So nothing that is under way needs to know of a reload.
 */
#include "resolver/upstream/routes.h"

#include <stdlib.h>
#include <string.h>

/* In a table's list of groups, then, while questions are open, in the list of old ones. */
struct group {
	struct group *next;
	struct upstream *upstream;
};

struct routes {
	struct event_base *base;
	struct upstream_config settings;
	const struct route_table *table; /* NULL: none yet */
	struct group **groups;           /* by the table's group; NULL: not asked yet */
	size_t count;
	struct group *old;
	struct upstream_counters ended; /* of those that are gone */
};

static void counters_add(struct upstream_counters *sum, const struct upstream_counters *more)
{
#define X(name) sum->name += more->name;
	UPSTREAM_COUNTERS(X)
#undef X
}

static void group_end(struct routes *routes, struct group *group)
{
	counters_add(&routes->ended, upstream_counters(group->upstream));
	upstream_free(group->upstream);
	free(group);
}

/* NULL is fine. */
static void group_retire(struct routes *routes, struct group *group)
{
	if (group && upstream_pending(group->upstream)) {
		group->next = routes->old;
		routes->old = group;
	} else if (group) {
		group_end(routes, group);
	}
}

struct routes *routes_new(struct event_base *base, const struct upstream_config *settings)
{
	struct routes *routes = calloc(1, sizeof(*routes));

	if (!routes)
		return NULL;
	routes->base = base;
	routes->settings = *settings;
	return routes;
}

void routes_free(struct routes *routes)
{
	if (!routes)
		return;
	for (size_t i = 0; i < routes->count; i++)
		if (routes->groups[i])
			group_end(routes, routes->groups[i]);
	while (routes->old) {
		struct group *old = routes->old;

		routes->old = old->next;
		group_end(routes, old);
	}
	free(routes->groups);
	free(routes);
}

void routes_sweep(struct routes *routes)
{
	struct group **link = &routes->old;

	while (*link) {
		struct group *old = *link;

		if (upstream_pending(old->upstream)) {
			link = &old->next;
			continue;
		}
		*link = old->next;
		group_end(routes, old);
	}
}

bool routes_came_back(struct routes *routes)
{
	bool back = false;

	for (size_t i = 0; i < routes->count; i++)
		if (routes->groups[i] && upstream_came_back(routes->groups[i]->upstream))
			back = true;
	return back;
}

/* --- groups --- */

/* NULL: out of memory. */
static struct group *group_open(struct routes *routes, size_t number, const struct group *inherit)
{
	const struct route_group *of = route_table_group(routes->table, number);
	struct upstream_config config = routes->settings;
	struct group *group = calloc(1, sizeof(*group));

	if (!group)
		return NULL;
	config.servers = of->servers;
	config.server_count = of->server_count;
	config.inherit = inherit ? inherit->upstream : NULL;
	/* Who sends us everything else would give the question back, and rightly so. */
	if (number > 0)
		config.loops = NULL;
	group->upstream = upstream_new(routes->base, &config);
	if (group->upstream)
		return group;
	free(group);
	return NULL;
}

static bool same_title(const struct route_group *a, const struct route_group *b)
{
	if (!a->title || !b->title)
		return a->title == b->title;
	return strcmp(a->title, b->title) == 0;
}

static bool same_settings(const struct upstream_config *a, const struct upstream_config *b)
{
	return a->timeout_ms == b->timeout_ms && a->strict == b->strict && a->hedge == b->hedge;
}

/* The group as it was under the table before, or another one that inherits from it. */
static struct group *take_over(struct routes *routes, size_t number,
	const struct route_table *before, struct group **old, size_t old_count, bool settings)
{
	const struct route_group *wanted = route_table_group(routes->table, number);

	for (size_t i = 0; i < old_count; i++) {
		const struct route_group *was = route_table_group(before, i);

		if (!old[i] || !same_title(wanted, was))
			continue;
		if (!settings || !route_groups_equal(wanted, was))
			return group_open(routes, number, old[i]);
		struct group *kept = old[i];
		old[i] = NULL;
		return kept;
	}
	return NULL;
}

static void on_changed(void *context, const struct name *zone)
{
	(void)zone;
	*(bool *)context = true;
}

static bool have_changed(const struct route_table *before, const struct route_table *after)
{
	bool changed = !route_groups_equal(
		route_table_group(before, 0), route_table_group(after, 0));

	route_table_compare(before, after, on_changed, &changed);
	return changed;
}

/* Where there is no memory for the groups nothing can be asked. */
bool routes_set(struct routes *routes, const struct route_table *table,
	const struct upstream_config *settings)
{
	const struct route_table *before = routes->table;
	struct group **old = routes->groups;
	size_t old_count = routes->count;
	bool same = same_settings(&routes->settings, settings);

	routes->settings = *settings;
	routes->table = table;
	routes->groups = calloc(route_table_count(table), sizeof(struct group *));
	routes->count = routes->groups ? route_table_count(table) : 0;
	for (size_t i = 0; i < routes->count; i++)
		routes->groups[i] = take_over(routes, i, before, old, old_count, same);
	if (routes->count && !routes->groups[0])
		routes->groups[0] = group_open(routes, 0, NULL);
	for (size_t i = 0; i < old_count; i++)
		group_retire(routes, old[i]);
	free(old);
	routes_sweep(routes);
	return before && have_changed(before, table);
}

static size_t group_of(const struct routes *routes, const struct upstream_question *question)
{
	uint8_t folded[NAME_WIRE_MAX];
	size_t zone_length;

	name_fold(folded, question->qname.wire, question->qname.length);
	return route_table_find(routes->table, folded, question->qname.length, &zone_length);
}

struct upstream *routes_upstream(struct routes *routes, const struct upstream_question *question)
{
	const struct group *group =
		routes->count ? routes->groups[group_of(routes, question)] : NULL;

	return group ? group->upstream : NULL;
}

struct upstream_request *routes_ask(struct routes *routes, const struct upstream_question *question,
	upstream_done_fn *done, void *context, enum td_error *error)
{
	size_t group = routes->count ? group_of(routes, question) : 0;

	if (routes->count && !routes->groups[group])
		routes->groups[group] = group_open(routes, group, NULL);
	if (!routes->count || !routes->groups[group]) {
		*error = TD_NOMEM;
		return NULL;
	}
	return upstream_ask(routes->groups[group]->upstream, question, done, context, error);
}

/* --- for `status` --- */

struct upstream_counters routes_counters(const struct routes *routes)
{
	struct upstream_counters sum = routes->ended;

	for (size_t i = 0; i < routes->count; i++)
		if (routes->groups[i])
			counters_add(&sum, upstream_counters(routes->groups[i]->upstream));
	for (const struct group *old = routes->old; old; old = old->next)
		counters_add(&sum, upstream_counters(old->upstream));
	return sum;
}

const struct upstream *routes_default(const struct routes *routes)
{
	return routes->count && routes->groups[0] ? routes->groups[0]->upstream : NULL;
}

size_t routes_servers(const struct routes *routes, struct route_server *out, size_t max)
{
	size_t total = 0;

	for (size_t i = 1; i < routes->count; i++) {
		const struct route_group *group = route_table_group(routes->table, i);
		const struct server_state *states = NULL;
		size_t count = 0;

		if (routes->groups[i])
			states = upstream_servers(routes->groups[i]->upstream, &count);
		for (size_t k = 0; k < group->server_count; k++, total++) {
			if (total >= max)
				continue;
			out[total] = (struct route_server){.group = i};
			struct server_state *state = &out[total].state;
			if (k < count) {
				*state = states[k];
			} else {
				state->endpoint = group->servers[k].endpoint;
				state->transport = group->servers[k].transport;
			}
		}
	}
	return total;
}

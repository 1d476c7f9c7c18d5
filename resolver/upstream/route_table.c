/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Zones in a hash table. A name is looked up end by end, the longest first; which numbers of labels
 * zones have is noted in a bitmap, so a name costs one probe for each length there is, mostly one
 * or two, and none where there is no section. Rejected: a tree of labels, which is no faster for so
 * few zones.
 *
 * The hash needs no secret: who writes the sections does not attack.
 */
#include "resolver/upstream/route_table.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/table.h"
#include "lib/dns/reverse.h"

#define ZONES_MAX ((size_t)ROUTE_SECTIONS_MAX * REVERSE_ZONES_MAX)
#define LABELS_MAX 128
#define RANK_WHOLE 255 /* the zone is just what was named */

struct route_zone {
	struct name name; /* folded */
	uint16_t group;
	uint8_t rank; /* of a network that ends within the zone's last label: its length */
};

struct route_table {
	struct table zones;
	uint64_t lengths[LABELS_MAX / 64]; /* a bit for each number of labels of a zone */
	size_t count;
	struct route_group groups[1 + ROUTE_SECTIONS_MAX];
};

/* What a title stands for. */
struct title_zones {
	bool network;
	struct prefix prefix;
	struct name name;
	unsigned count;
	uint8_t rank;
};

static const struct hash_seed seed = {UINT64_C(0x74657265646f776e), UINT64_C(0x726f75746573)};

static uint64_t zone_hash(const uint8_t *wire, size_t length)
{
	return hash_bytes(&seed, wire, length);
}

static bool zone_is(const void *item, const void *key)
{
	const struct route_zone *zone = item;
	const struct name *name = key;

	return zone->name.length == name->length &&
	       memcmp(zone->name.wire, name->wire, name->length) == 0;
}

static struct route_zone *zone_find(const struct route_table *table, const struct name *name)
{
	return table_find(&table->zones, zone_hash(name->wire, name->length), zone_is, name);
}

/* --- titles --- */

static bool title_read(struct title_zones *zones, const char *title)
{
	struct name name;

	*zones = (struct title_zones){.rank = RANK_WHOLE, .count = 1};
	if (strchr(title, '/')) {
		zones->network = true;
		if (prefix_from_text(&zones->prefix, title) != TD_OK)
			return false;
		zones->count = reverse_zone_count(&zones->prefix);
		if (zones->count > 1)
			zones->rank = zones->prefix.length;
		return true;
	}
	if (name_from_text(&name, title, strlen(title)) != TD_OK || name.length <= 1)
		return false;
	zones->name.length = name.length;
	name_fold(zones->name.wire, name.wire, name.length);
	return true;
}

static void title_zone(const struct title_zones *zones, unsigned number, struct name *out)
{
	if (zones->network)
		reverse_zone(&zones->prefix, number, out);
	else
		*out = zones->name;
}

/* --- building --- */

static bool group_fill(struct route_group *group, const char *title,
	const struct server_address *servers, size_t count)
{
	*group = (struct route_group){.server_count = count};
	if (title && !(group->title = strdup(title)))
		return false;
	if (count == 0)
		return true;
	group->servers = calloc(count, sizeof(*servers));
	if (!group->servers)
		return false;
	memcpy(group->servers, servers, count * sizeof(*servers));
	return true;
}

static void group_clear(struct route_group *group)
{
	free(group->title);
	free(group->servers);
}

struct route_table *route_table_new(const struct server_address *servers, size_t count)
{
	struct route_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table_init(&table->zones, ZONES_MAX);
	table->count = 1;
	if (group_fill(&table->groups[0], NULL, servers, count))
		return table;
	route_table_free(table);
	return NULL;
}

void route_table_free(struct route_table *table)
{
	if (!table)
		return;
	for (void *zone = table_take_any(&table->zones); zone; zone = table_take_any(&table->zones))
		free(zone);
	table_deinit(&table->zones);
	for (size_t i = 0; i < table->count; i++)
		group_clear(&table->groups[i]);
	free(table);
}

/* The section that has one of these zones by the same right; NULL: there is none. */
static const char *find_rival(const struct route_table *table, const struct title_zones *zones)
{
	struct name name;

	for (unsigned i = 0; i < zones->count; i++) {
		title_zone(zones, i, &name);
		const struct route_zone *zone = zone_find(table, &name);
		if (zone && zone->rank == zones->rank)
			return table->groups[zone->group].title;
	}
	return NULL;
}

static bool zone_put(
	struct route_table *table, const struct name *name, uint16_t group, uint8_t rank)
{
	struct route_zone *zone = zone_find(table, name);
	unsigned labels = name_label_count(name->wire);

	if (zone) {
		if (zone->rank < rank)
			zone->group = group, zone->rank = rank;
		return true;
	}
	zone = malloc(sizeof(*zone));
	if (!zone)
		return false;
	*zone = (struct route_zone){.name = *name, .group = group, .rank = rank};
	if (table_insert(&table->zones, zone_hash(name->wire, name->length), zone) != TD_OK) {
		free(zone);
		return false;
	}
	table->lengths[labels / 64] |= UINT64_C(1) << labels % 64;
	return true;
}

enum td_error route_table_add(struct route_table *table, const char *title,
	const struct server_address *servers, size_t count, const char **other)
{
	struct title_zones zones;
	struct name name;

	if (!title_read(&zones, title))
		return TD_INVALID;
	if (table->count > ROUTE_SECTIONS_MAX)
		return TD_FULL;
	*other = find_rival(table, &zones);
	if (*other)
		return TD_REFUSED;
	if (!group_fill(&table->groups[table->count], title, servers, count)) {
		group_clear(&table->groups[table->count]);
		return TD_NOMEM;
	}
	table->count++;
	for (unsigned i = 0; i < zones.count; i++) {
		title_zone(&zones, i, &name);
		if (!zone_put(table, &name, (uint16_t)(table->count - 1), zones.rank))
			return TD_NOMEM;
	}
	return TD_OK;
}

/* --- looking up --- */

size_t route_table_find(
	const struct route_table *table, const uint8_t *folded, size_t length, size_t *zone_length)
{
	struct name name;
	size_t at = 0;

	*zone_length = 0;
	if (table->zones.count == 0)
		return 0;
	for (unsigned labels = name_label_count(folded); labels > 0; labels--) {
		if (table->lengths[labels / 64] >> labels % 64 & 1) {
			name.length = (uint8_t)(length - at);
			memcpy(name.wire, folded + at, name.length);
			const struct route_zone *zone = zone_find(table, &name);
			if (zone) {
				*zone_length = name.length;
				return zone->group;
			}
		}
		at += (size_t)1 + folded[at];
	}
	return 0;
}

size_t route_table_count(const struct route_table *table)
{
	return table->count;
}

const struct route_group *route_table_group(const struct route_table *table, size_t group)
{
	return &table->groups[group];
}

const struct name *route_table_zone(const struct route_table *table, size_t group, size_t *position)
{
	const struct route_zone *zone;

	do
		zone = table_next(&table->zones, position);
	while (zone && zone->group != group);
	return zone ? &zone->name : NULL;
}

bool route_groups_equal(const struct route_group *a, const struct route_group *b)
{
	if (a->server_count != b->server_count)
		return false;
	for (size_t i = 0; i < a->server_count; i++)
		if (!server_address_equal(&a->servers[i], &b->servers[i]))
			return false;
	return true;
}

/* The zones of a for which b has others; `both`: also those which both have. */
static void compare(const struct route_table *a, const struct route_table *b, bool both,
	route_changed_fn *changed, void *context)
{
	const struct route_zone *zone;
	size_t position = 0;

	while ((zone = table_next(&a->zones, &position))) {
		const struct route_zone *other = zone_find(b, &zone->name);

		if (!other || (both && !route_groups_equal(
					       &a->groups[zone->group], &b->groups[other->group])))
			changed(context, &zone->name);
	}
}

void route_table_compare(const struct route_table *before, const struct route_table *after,
	route_changed_fn *changed, void *context)
{
	compare(before, after, true, changed, context);
	compare(after, before, false, changed, context);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Two look-ups that most names leave at their first probe. */
#include "resolver/site.h"

static bool stands_above(const struct site_place *place, const struct policy_index *index,
	const uint8_t *folded, size_t length, const struct policy_match *match)
{
	struct name apex;

	if (match->trigger != TRIGGER_QUESTION || policy_zone_kind(index, match->zone) != ZONE_LOCAL)
		return false;
	if (place->host)
		return true;
	policy_rule_apex(index, match, folded, length, &apex);
	return place->zone_length > 0 && place->zone_length >= apex.length;
}

struct site_place site_find(const struct site *site, const uint8_t *folded, size_t length)
{
	struct site_place place = {0};

	if (!site)
		return place;
	place.group = route_table_find(site->routes, folded, length, &place.zone_length);
	place.never = place.zone_length > 0 &&
		      route_table_group(site->routes, place.group)->server_count == 0;
	if (site->hosts)
		place.host = hosts_find(site->hosts, folded, length, &place.rule);
	return place;
}

size_t site_overrule(const struct site_place *place, const struct policy_index *index,
	const uint8_t *folded, size_t length, struct policy_match *matches, size_t count)
{
	size_t kept = 0;

	if (!place->host && place->zone_length == 0)
		return count;
	for (size_t i = 0; i < count; i++)
		if (!stands_above(place, index, folded, length, &matches[i]))
			matches[kept++] = matches[i];
	return kept;
}

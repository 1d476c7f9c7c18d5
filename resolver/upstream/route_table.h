/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which servers are asked about which names: the sections `forward "ZONE"` of the configuration as
 * an immutable snapshot. The longest zone that contains a name counts; group 0 is the option
 * `upstream`, for names in no section. Built by one thread, then looked up by any.
 *
 * A section's title is a domain name, or a network, which stands for the reverse zones that are
 * together all of its addresses: "10.1.0.0/16", "172.16.0.0/12", "2001:db8::/32".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/name.h"
#include "resolver/upstream/server_address.h"

#define ROUTE_SECTIONS_MAX 256
#define ROUTE_TITLE_MAX NAME_TEXT_MAX

struct route_group {
	char *title; /* as the configuration has it; of group 0 NULL */
	struct server_address *servers;
	size_t server_count; /* 0: never asked about; answered that there is no such name */
};

struct route_table; /* const: finished */

/* The default group, with these servers. NULL: out of memory. */
struct route_table *route_table_new(const struct server_address *servers, size_t count);
void route_table_free(struct route_table *table); /* NULL is fine */

/*
 * Adds a section. TD_OK; TD_INVALID (the title is neither a domain below the root nor a network),
 * TD_REFUSED (*other is the section that names a zone of it already), TD_FULL, TD_NOMEM. Then
 * nothing was added. Where two networks meet in one zone ("10.0.0.0/9", "10.1.0.0/16") it is the
 * longer one's.
 */
enum td_error route_table_add(struct route_table *table, const char *title,
	const struct server_address *servers, size_t count, const char **other);

/* The group of this folded name; *zone_length: octets of its zone, the end of the name (0: group 0,
 * which has none). */
size_t route_table_find(
	const struct route_table *table, const uint8_t *folded, size_t length, size_t *zone_length);

size_t route_table_count(const struct route_table *table); /* groups, at least 1 */
const struct route_group *route_table_group(const struct route_table *table, size_t group);

/* Zone after zone of a group: start with *position = 0; NULL at the end. */
const struct name *route_table_zone(
	const struct route_table *table, size_t group, size_t *position);

/* The same servers in the same order. */
bool route_groups_equal(const struct route_group *a, const struct route_group *b);

/* Called for each zone for which `after` names other servers than `before`. The default group is
 * not looked at. */
typedef void route_changed_fn(void *context, const struct name *zone);
void route_table_compare(const struct route_table *before, const struct route_table *after,
	route_changed_fn *changed, void *context);

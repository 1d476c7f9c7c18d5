/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this site says of names before anybody is asked: names of hosts files, and the sections
 * `forward`, which say whom to ask. An immutable snapshot that goes to the workers with the policy.
 *
 * Both are what somebody wrote about single names and zones, so they stand above the zones that are
 * local everywhere (special-use names, reverse zones of private networks): a hosts file may name
 * x.home.arpa, and `forward "168.192.in-addr.arpa"` asks where that zone is kept. The longer of a
 * section and such a zone counts, a section where they are equal. Rules that block stand above
 * both: whoever blocks a name means it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/hosts.h"
#include "resolver/upstream/route_table.h"

struct site {
	struct hosts *hosts;        /* NULL: none */
	struct route_table *routes; /* never NULL */
	unsigned upstream_timeout_ms;
	bool upstream_strict, upstream_hedge; /* as in struct upstream_config */
	uint64_t generation; /* rises with each one made */
	unsigned users;      /* policies made with it that still exist; of the main thread */
};

/* What it says of one name. */
struct site_place {
	bool host;                /* a host's: answered from here */
	struct policy_match rule; /* a host's: of site->hosts->index */
	size_t group;             /* of site->routes */
	size_t zone_length; /* octets of the section's zone at the end of the name, 0: in none */
	bool never;         /* the section names no server: there is no such name */
};

/* Any thread. The name is folded. site may be NULL: it says nothing. */
struct site_place site_find(const struct site *site, const uint8_t *folded, size_t length);

/*
 * Takes the rules of zones of local data off matches of the question that the place stands above.
 * Returns how many are left.
 */
size_t site_overrule(const struct site_place *place, const struct policy_index *index,
	const uint8_t *folded, size_t length, struct policy_match *matches, size_t count);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: the rules of one zone on addresses, of clients and of answers. The rules
 * themselves stand in the zone's tree under names of their own (rpz_address.h); here is how an
 * address finds them, made when the zone is sealed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/policy.h"
#include "policy/prefixes.h"

struct policy_zone;

struct zone_addresses {
	struct prefixes *client, *answer; /* rules by address; NULL: none, or not sealed yet */
};

/* Makes the tables of a zone. False: out of memory. */
bool zone_addresses_seal(struct policy_zone *zone);

void zone_addresses_deinit(struct zone_addresses *addresses);

/* The table for TRIGGER_CLIENT or TRIGGER_ADDRESS; NULL: the zone has no such rule. */
static inline const struct prefixes *zone_addresses_table(
	const struct zone_addresses *addresses, enum policy_trigger trigger)
{
	return trigger == TRIGGER_CLIENT ? addresses->client : addresses->answer;
}

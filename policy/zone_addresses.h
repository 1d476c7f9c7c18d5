/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: the rules of one zone on addresses, of clients and of answers. The rules
 * themselves stand in the zone's tree under names of their own (rpz_address.h, masked.h); here is how
 * an address finds them, made when the zone is sealed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/masked.h"
#include "policy/policy.h"
#include "policy/prefixes.h"

struct policy_zone;

struct masked_rule {
	struct masked what;
	uint32_t rule;
};

struct zone_addresses {
	struct prefixes *client, *answer; /* rules by address; NULL: none, or not sealed yet */
	struct masked_rule *masked;       /* of answers, in the order of the lists */
	size_t masked_count, masked_capacity;
	unsigned masked_read; /* while lists are read */
};

/* Makes the tables of a zone. False: out of memory. */
bool zone_addresses_seal(struct policy_zone *zone);

void zone_addresses_deinit(struct zone_addresses *addresses);

/* Whether there are any, of TRIGGER_CLIENT or TRIGGER_ADDRESS. */
static inline bool zone_addresses_has(
	const struct zone_addresses *addresses, enum policy_trigger trigger)
{
	return trigger == TRIGGER_CLIENT ? addresses->client != NULL
					 : addresses->answer || addresses->masked_count;
}

/*
 * The rule for these addresses: by the longest prefix (prefixes_find_longest), else by the first mask
 * that matches one of them.
 */
bool zone_addresses_find(const struct zone_addresses *addresses, enum policy_trigger trigger,
	const struct address *of, size_t count, uint32_t *rule);

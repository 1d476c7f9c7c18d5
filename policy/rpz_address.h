/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: triggers of RPZ that are addresses
 * (draft-vixie-dnsop-dns-rpz-00, 4.1.1, 4.2, 4.3).
 *
 * `24.0.2.0.192.rpz-ip` is 192.0.2.0/24, `48.zz.101.db8.2001.rpz-ip` is 2001:db8:101::/48: the
 * length, then the address from its end, `zz` for a run of zero words.
 *
 * Such a trigger becomes a name of its own in the zone's tree, so that local data, repeated lines
 * and changes by transfer work as they do for names: always the same one for one prefix, however it
 * was spelled, and with the last label in capitals. Questions are folded before they are looked up,
 * so no question ever matches it.
 */
#pragma once

#include <stdbool.h>

#include "lib/dns/address.h"
#include "lib/dns/name.h"
#include "policy/policy.h"

#define RPZ_ANSWER_LABEL "RPZ-IP"
#define RPZ_CLIENT_LABEL "RPZ-CLIENT-IP"

/* The name of one of these labels. */
void rpz_address_top(const char *label, struct name *out);

/*
 * Reads a folded trigger (relative to its zone, the root behind it). *trigger is TRIGGER_ADDRESS or
 * TRIGGER_CLIENT. NULL, or what is wrong with it.
 */
const char *rpz_address_read(
	const struct name *name, enum policy_trigger *trigger, struct prefix *prefix);

/* The name in the tree. */
void rpz_address_name(enum policy_trigger trigger, const struct prefix *prefix, struct name *out);

/* Whether a name of the tree is one of these; which, where it is. */
bool rpz_address_find(const struct name *name, enum policy_trigger *trigger, struct prefix *prefix);

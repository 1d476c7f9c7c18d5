/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which group a client is in. Filled by one thread, then sealed; from then on immutable and for any
 * thread. Groups have numbers from 1; 0 is everybody who is in none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/address.h"

struct policy_groups;

struct policy_groups *policy_groups_new(void);         /* NULL: out of memory */
void policy_groups_free(struct policy_groups *groups); /* NULL is fine */

/*
 * A network of a group, or one address (full length). TD_INVALID: this is neither IPv4 nor IPv6, or
 * the length does not fit; TD_NOMEM.
 */
enum td_error policy_groups_add_prefix(
	struct policy_groups *groups, const struct prefix *prefix, uint8_t group);

/* A client by a MAC address or a forwarder's label (ADDRESS_MAC, ADDRESS_LABEL). TD_INVALID:
 * another kind; TD_NOMEM. */
enum td_error policy_groups_add_client(
	struct policy_groups *groups, const struct address *client, uint8_t group);

/*
 * Makes it ready; nothing can be added afterwards. Of a client or a network that was added more
 * than once, one stays. False: out of memory.
 */
bool policy_groups_seal(struct policy_groups *groups);

/* Whether a MAC address can make a difference, so that it is worth being looked for. */
bool policy_groups_have_macs(const struct policy_groups *groups);

/*
 * The group of a client: by its MAC address (mac may be NULL or none), by its label, else by the
 * longest network that holds it. A client that is a network itself (ADDRESS_PREFIX_V4 and V6, of
 * whom a forwarder tells no more) is in a group that has all of it. 0: in none.
 */
uint8_t policy_groups_find(const struct policy_groups *groups, const struct address *client,
	const struct address *mac);

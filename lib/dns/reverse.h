/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of addresses and of networks in in-addr.arpa (RFC 1035, 3.5) and ip6.arpa (RFC 3596, 2.5).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "lib/dns/name.h"

/* A prefix within an octet (IPv4) or a nibble (IPv6) is as many zones as it leaves numbers there.
 */
#define REVERSE_ZONES_MAX 128

/* The name of an address of family 4 or 6, folded. */
void reverse_name(const struct address *address, struct name *out);

/* The address that this folded wire name is the name of. False for any other name, one of a network too. */
bool reverse_to_address(const uint8_t *wire, size_t length, struct address *out);

/* How many zones are together all names of this prefix: 1 to REVERSE_ZONES_MAX, 1 where it ends
 * with an octet or a nibble. */
unsigned reverse_zone_count(const struct prefix *prefix);

/* The zone of this number below that count, folded. */
void reverse_zone(const struct prefix *prefix, unsigned number, struct name *out);

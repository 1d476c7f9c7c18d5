/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DNS rebinding: a name of the outside that suddenly has an address of the inside turns a visitor's
 * browser into a door. Which addresses are of the inside, and which names may have them. Pure
 * functions, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/name.h"

#define REBINDING_ZONE "rebinding" /* as whose rules they are recorded */

struct rebinding_rules {
	bool on;
	const struct name *allow; /* folded; these and all below them may have any address */
	size_t allow_count;
	uint16_t zone; /* telemetry's number for what is withheld */
};

/*
 * The first network of the inside that a record's RDATA tells: an address (A, AAAA) or a hint
 * (SVCB, HTTPS; RFC 9460). As text, "192.168.0.0/16", in static storage; NULL: none. An IPv4
 * address that an IPv6 address stands for counts as itself. RDATA that is malformed tells none.
 */
const char *rebinding_network(uint16_t type, const uint8_t *rdata, size_t length);

/* The same of all records in the answer section of a message. */
const char *rebinding_network_in(const uint8_t *message, size_t length);

/* Whether this question, folded, may be answered with addresses of the inside. */
bool rebinding_allows(const struct rebinding_rules *rules, const uint8_t *qname, size_t length);

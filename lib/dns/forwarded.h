/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a forwarder says in EDNS options about the client it asks for: Client Subnet (RFC 7871), and
 * the options of dnsmasq: 65001 (--add-mac), 65073 (--add-mac=base64, --add-mac=text) and 65074
 * (--add-cpe-id). Anybody can say so: the caller decides whom to believe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"

#define EDNS_OPTION_MAC 65001
#define EDNS_OPTION_DEVICE_ID 65073
#define EDNS_OPTION_CPE_ID 65074

struct forwarded {
	/* By Client Subnet an address (all bits given) or a prefix, IPv4-mapped ones as those of
	 * IPv4; else by 65074 a label; else none. */
	struct address client;
	struct address mac; /* or none */
};

/* True when it says nothing, as one of zeros. */
static inline bool forwarded_is_none(const struct forwarded *forwarded)
{
	return (forwarded->client.family | forwarded->mac.family) == ADDRESS_NONE;
}

/*
 * The options of an OPT record, as edns_parse found them. What is not well formed (a length that
 * does not fit, bits set behind the prefix, a MAC address in no known form) is as if it were not
 * there; of two of a kind the first counts. A label that is too long, or has other characters than
 * a label may have, is represented by 16 hexadecimal digits.
 */
void forwarded_read(const uint8_t *options, size_t size, struct forwarded *out);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What IPv6-in-IPv4 tunnels write into addresses: Teredo (RFC 4380, 2001:0000::/32), 6to4 (RFC 3056, 2002::/16),
 * ISATAP (RFC 5214, interface identifier 0000:5efe or 0200:5efe). Flags of a Teredo address are reported and
 * never checked (RFC 5991 randomises them).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"

enum tunnel_kind { TUNNEL_NONE, TUNNEL_TEREDO, TUNNEL_6TO4, TUNNEL_ISATAP };

struct tunnel {
	enum tunnel_kind kind;
	struct address server; /* Teredo: the server */
	struct address client; /* Teredo: the mapped client; 6to4, ISATAP: the tunnel's IPv4 end */
	uint16_t port;         /* Teredo: the mapped UDP port */
	uint16_t flags;        /* Teredo */
};

/* Decodes address; kind is TUNNEL_NONE for any other address. A 6to4 address with an ISATAP identifier is 6to4. */
struct tunnel tunnel_decode(const struct address *address);

/* The Teredo address of these parts; the 6to4 prefix 2002:V4ADDR::/48 of an IPv4 address. */
struct address tunnel_encode_teredo(const struct tunnel *parts);
struct prefix tunnel_encode_6to4(const struct address *v4);

/* True for the 6to4 relay anycast prefix 192.88.99.0/24 (RFC 3068, deprecated by RFC 7526). */
bool tunnel_is_6to4_relay(const struct address *address);

/* "teredo", "6to4", "isatap", "none". */
const char *tunnel_kind_name(enum tunnel_kind kind);

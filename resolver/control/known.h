/* SPDX-License-Identifier: BSD-3-Clause */
/* What is publicly known about addresses and names of tunnels, so that an empty answer can still be
 * a useful one. */
#pragma once

#include <stdbool.h>

#include "lib/base/strbuf.h"
#include "lib/dns/address.h"
#include "lib/dns/tunnel.h"

struct known_place {
	const char *address; /* or a prefix */
	const char *what;    /* completes "It is …" */
	const char *const
		*names; /* absolute names that lead there, most common first; NULL at the end */
};

/* NULL when nothing is known. */
const struct known_place *known_place(const struct address *address);

/* Completes "It is …", for a folded name with its final dot; NULL when nothing is known. */
const char *known_name(const char *name);

/*
 * Sentences about an address, each ended by a newline: its place in the table (names, too, when
 * wanted), and what a Teredo, 6to4 or ISATAP address has inside. Nothing is appended (and false
 * returned) when there is nothing to say.
 */
bool known_describe(const struct address *address, bool names, struct strbuf *out);

/* The same as JSON: "known":{"what":…,"names":[…]} and
 * "tunnel":{"kind":…,"server":…,"client":…,"port":…,"flags":…}, null where nothing is known. */
void known_describe_json(const struct address *address, struct strbuf *out);

/* What a tunnel wrote into an address, to stand behind it: " [Teredo: server 192.0.2.1, client
 * 192.0.2.45 port 40000, flags 0x8000]", " [6to4: 192.0.2.4]", " [ISATAP: 192.0.2.4]"; nothing for
 * TUNNEL_NONE. */
void known_append_tunnel(const struct tunnel *tunnel, struct strbuf *out);

/* The object of "tunnel", or null. */
void known_tunnel_json(const struct tunnel *tunnel, struct strbuf *out);

/* Of the address that this name in presentation format is the name of (ip6.arpa). */
struct tunnel known_tunnel_of_name(const char *name);

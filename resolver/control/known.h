/* SPDX-License-Identifier: BSD-3-Clause */
/* What is publicly known about addresses and names of tunnels, so that an empty answer can still be
 * a useful one. */
#pragma once

#include <stdbool.h>

#include "lib/base/strbuf.h"
#include "lib/dns/address.h"

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

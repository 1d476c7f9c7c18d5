/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Inside policy/ only: addresses by some of their bits, wherever those are, which no prefix can
 * say: an ISATAP interface identifier behind any prefix (RFC 5214, 6.1) is
 * `@::5efe:0:0/::fdff:ffff:0:0`.
 *
 * Like the prefixes of RPZ (rpz_address.h) such a rule stands in its zone's tree under a name of
 * its own, one for one rule however it was spelled, with the last label in capitals, which no
 * question matches.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/dns/address.h"
#include "lib/dns/name.h"

#define MASKED_LABEL "MASKED"
#define MASKED_MAX 64 /* in one zone, because they are tried one by one */

/* Both of one family; no bit is set in address that is not in mask. */
struct masked {
	struct address address, mask;
};

/* Reads size octets behind the `@`. NULL, or what is wrong with them. */
const char *masked_read(const char *text, size_t size, struct masked *out);

bool masked_matches(const struct masked *masked, const struct address *address);

/* The name in the tree, and back: false for any other name. */
void masked_name(const struct masked *masked, struct name *out);
bool masked_find(const struct name *name, struct masked *out);

/* With its `@`; out holds NAME_TEXT_MAX. Returns the length. */
size_t masked_to_text(const struct masked *masked, char *out);

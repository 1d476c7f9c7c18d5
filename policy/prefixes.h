/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A table of address prefixes, IPv4 and IPv6, each with a number; the longest one that holds an
 * address is found. Filled by one thread, then sealed; from then on immutable and for any thread.
 * An IPv4-mapped address is one of IPv6 here: who wants the other unmaps it (address_v6_unmapped).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/dns/address.h"

struct prefixes;

struct prefixes *prefixes_new(void);           /* NULL: out of memory */
void prefixes_free(struct prefixes *prefixes); /* NULL is fine */

/*
 * Adds a prefix, whose host bits are 0. TD_INVALID: its address is not of family 4 or 6, or the
 * length is out of range; TD_NOMEM.
 */
enum td_error prefixes_add(struct prefixes *prefixes, const struct prefix *prefix, uint32_t value);

/*
 * Makes the table ready; nothing can be added afterwards. Of a prefix that was added more than once
 * the first one stays; returns how many were dropped so.
 */
size_t prefixes_seal(struct prefixes *prefixes);

/*
 * The number of the longest prefix that holds the address; false when there is none, or the address
 * is of another family. prefixes may be NULL: an empty table.
 */
bool prefixes_find(const struct prefixes *prefixes, const struct address *address, uint32_t *value);

/*
 * The number of the longest prefix that holds one of these addresses, of two of one length that
 * with the smaller address. A prefix of IPv4 counts as 96 longer, as that of the IPv4-mapped
 * address.
 */
bool prefixes_find_longest(const struct prefixes *prefixes, const struct address *addresses,
	size_t count, uint32_t *value);

size_t prefixes_count(const struct prefixes *prefixes);
size_t prefixes_memory(const struct prefixes *prefixes); /* octets, without malloc's overhead */

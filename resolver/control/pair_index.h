/* SPDX-License-Identifier: BSD-3-Clause */
/* Pairs of some addresses, to be asked which names led one client to one of them. Never the names
 * of an address with the clients of another name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "resolver/control/fleet.h"

struct pair_index {
	struct reader_pair *rows; /* by address, client, name; once each */
	size_t count;
	bool cut; /* an address has more than were read */
};

/* Reads the pairs of these addresses. Rows are the arena's. */
enum td_error pair_index_load(struct pair_index *out, struct fleet *fleet, struct arena *arena,
	const char *const *addresses, size_t count);

/* The rows of an address, or with a client those of this client, one after the other; NULL and 0:
 * none. */
const struct reader_pair *pair_index_find(
	const struct pair_index *index, const char *address, const char *client, size_t *count);

/* Whether this client was told the address for this name; a NULL client is anyone. */
bool pair_index_has(
	const struct pair_index *index, const char *address, const char *client, const char *name);

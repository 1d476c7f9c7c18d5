/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far drops are explained by what was told: a drop of a client towards an address is joined
 * when that client had been told that address (a field of pair:<address>) by the end of the hour of
 * the drop. Addresses whose pairs were read are remembered, in bounded memory. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/error.h"
#include "lib/base/hash.h"
#include "resolver/control/ingest/ingest_gather.h"
#include "resolver/telemetry/redis/ingest_store.h"

struct join;

struct join_totals {
	uint64_t drops, joined; /* packets */
	uint64_t addresses;     /* different ones that drops went to */
	uint64_t strange;       /* of these, nobody ever looked up here */
	bool at_least; /* there were more addresses than are remembered: those two are lower
			  bounds */
};

/* forget_strange: an address that is not known yet may be a moment later (a log that is followed).
 * NULL: out of memory. */
struct join *join_new(const struct hash_seed *seed, bool forget_strange);
void join_free(struct join **join);

/* Adds the drops of a chunk. Fails as ingest_store_pairs does, and then nothing is added. */
enum td_error join_add(struct join *join, struct ingest_store *store, const struct gather *gather);

const struct join_totals *join_totals(const struct join *join);

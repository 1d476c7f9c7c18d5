/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NOTIFY (RFC 1996): a primary says that a zone has changed. It arrives at the workers' sockets, is
 * answered there, and what it says is one mark for the main thread, which then asks the primaries:
 * however many come, they cost no memory and, within a second, one question (transfer.h).
 *
 * Taken is what comes from the address of one of the zone's primaries, with its key where one is
 * set. Nothing in it is believed but that it is worth asking.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "lib/dns/tsig.h"
#include "policy/policy.h"
#include "resolver/options.h"

/* A zone that has primaries. */
struct notify_zone {
	struct name apex; /* folded */
	struct address primaries[ZONE_PRIMARIES_MAX];
	size_t primary_count;
	bool has_key;
	struct tsig_key key;
};

/* Those of the options, in their order; immutable, part of a policy. */
struct notify_zones {
	size_t count;
	struct notify_zone zones[];
};

/* What was heard, by the zone's place in the list: the number of the primary and one; 0: nothing.
 * Written by workers, taken by the main thread. Outlives all policies; after a reload a mark may be
 * for another zone, which is then asked for without need. */
struct notify_box {
	atomic_uchar heard[POLICY_ZONES_MAX];
	int wake_fd; /* an eventfd that is written to when something was heard; -1: none */
};

enum notify_result {
	NOTIFY_NONE,    /* it is no NOTIFY */
	NOTIFY_REFUSED, /* not for a zone and from a primary of ours, or not signed as it has to be
			 */
	NOTIFY_TAKEN,
};

/* NULL with *failed unset: no zone has primaries; with it set: out of memory. notify_zones_free. */
struct notify_zones *notify_zones_new(const struct options *options, bool *failed);
void notify_zones_free(struct notify_zones *zones); /* NULL is fine */

/*
 * A packet of a client whose opcode is none that is answered. The length of the reply in reply; 0:
 * it gets none of its own, whatever *result says. zones may be NULL. Any thread.
 */
size_t notify_answer(const struct notify_zones *zones, struct notify_box *box,
	const uint8_t *packet, size_t size, const struct address *from, uint64_t now_s,
	uint8_t *reply, size_t capacity, enum notify_result *result);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast one client may ask over UDP, whose sender is whoever the packet says. One table for all
 * workers: the kernel spreads a client's sockets over them, so a table each would multiply the
 * limit by their number, or divide it for a client with one socket. It is bounded, allocates
 * nothing after its start and takes no lock; any thread may ask.
 *
 * A client may ask two seconds' worth at once (and at least RATE_BURST_MIN queries), then so many a
 * second. While it is limited, asking does not prolong that.
 */
#pragma once

#include <stdint.h>

#include "lib/base/hash.h"
#include "lib/dns/address.h"

#define RATE_MAX 100000 /* queries a second */
#define RATE_SLIP_MAX 15
#define RATE_BURST_MIN 10
#define RATE_BURST_S 2
#define RATE_CLIENTS 65536 /* remembered at once, eight to a cache line */

struct rate {
	uint32_t per_second; /* 1 … RATE_MAX; 0: no limit */
	uint32_t slip;       /* each slip-th limited query may be told to come over TCP; 0: none */
	uint8_t prefix_v6;   /* so many bits of an IPv6 address are one client; of IPv4 all are */
};

enum rate_verdict {
	RATE_PASS,
	RATE_SLIP, /* too fast; this one is told to come over TCP */
	RATE_DROP, /* too fast */
};

struct rate_limit;

struct rate_limit *rate_limit_new(const struct hash_seed *seed); /* NULL: out of memory */
void rate_limit_free(struct rate_limit *limit);

/*
 * One query of this client at now_us (mono; the clocks of different threads may differ a little).
 * Where the table has no room for a client, another that is limited may be forgotten, which
 * *forgotten counts.
 */
enum rate_verdict rate_limit_take(struct rate_limit *limit, const struct rate *rate,
	const struct address *client, int64_t now_us, uint64_t *forgotten);

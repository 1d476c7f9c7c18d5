/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What one worker counts about itself, plain integers of its own thread; `status` asks every worker
 * for a copy between two events, so each copy is consistent: received = answered + sum of dropped_*
 * + pending, and the latencies' counts sum up to answered.
 */
#pragma once

#include <stdint.h>

#include "resolver/telemetry/latency.h"

#define WORKER_COUNTERS(X)                                                                         \
	X(received)          /* queries taken from a socket */                                     \
	X(answered)          /* replies given to the system */                                     \
	X(dropped_malformed) /* under 12 octets, or a reply where a query belongs */               \
	X(dropped_proxy)     /* from a proxy, without a PROXY header that can be read */           \
	X(dropped_rate)      /* from clients that ask too fast */                                  \
	X(dropped_policy)    /* the DROP action of a zone */                                       \
	X(dropped_repeated)  /* over UDP, of a query that is pending still */                      \
	X(dropped_overload)  /* no memory for another question to wait */                          \
	X(dropped_send)      /* the system did not take the reply */                               \
	X(dropped_gone)      /* the TCP client had closed its connection, or the daemon stopped */ \
	X(dropped_late)      /* waited for longer than any answer takes */                         \
	X(cache_hits)                                                                              \
	X(cache_misses)       /* no answer that is still good; stale ones and failures are some */ \
	X(stale_answers)      /* expired ones that were told, for want of a better (RFC 8767) */   \
	X(failure_hits)       /* questions not asked because they failed a moment ago */           \
	X(prefetches)         /* questions asked anew before their answer expires */               \
	X(prefetches_skipped) /* not asked: too many are under way */                              \
	X(gave_way)        /* answered: SERVFAIL, the longest pending where there were too many */ \
	X(slipped)         /* answered: clients that ask too fast, told to come over TCP */        \
	X(rate_forgotten)  /* clients that asked too fast, and whose place was needed */           \
	X(rebinding)       /* answered without the addresses of the inside that upstream told */   \
	X(matches_left)    /* rules for a question beyond the eight that are kept of it */          \
	X(notifies)        /* answered: primaries that told of a new zone */                       \
	X(notifies_refused) /* answered: who is no primary, or did not sign */                     \
	X(coalesced)       /* questions that joined one already pending */                         \
	X(receive_batches) /* calls of recvmmsg that returned queries */                           \
	X(tcp_accepted)                                                                            \
	X(tcp_refused) /* connections over the limit */                                            \
	X(tcp_closed)  /* by us: idle or slow for too long, or in favour of a new one */

struct worker_counters {
#define X(name) uint64_t name;
	WORKER_COUNTERS(X)
#undef X
	struct latency latency[LATENCY_CLASSES];
};

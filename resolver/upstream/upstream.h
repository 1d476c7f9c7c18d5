/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop around exchanges, one for each worker: connected UDP sockets on random ports (bound by
 * us over the whole range 1024-65535, see ports.h), random ids, TCP for truncated answers, timers
 * of libevent. Belongs to its worker's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/clock.h"
#include "lib/base/error.h"
#include "lib/dns/address.h"
#include "resolver/upstream/exchange.h"
#include "resolver/upstream/loop_watch.h"
#include "resolver/upstream/server_address.h"

struct event_base;
struct upstream;
struct upstream_request;

#define UPSTREAM_COUNTERS(X)                                                        \
	X(upstream_udp)         /* packets sent over UDP */                         \
	X(upstream_tcp)         /* questions sent over TCP */                       \
	X(upstream_tls)         /* questions sent over TLS */                       \
	X(upstream_connections) /* opened, TCP and TLS */                           \
	X(upstream_resumed)     /* of these, with a TLS session of before */        \
	X(upstream_unconnected) /* connections that did not open */                 \
	X(upstream_repeated)    /* questions whose connection was closed */         \
	X(upstream_full)        /* questions no connection had room for */          \
	X(upstream_answers)     /* replies that matched */                          \
	X(upstream_mismatched)  /* packets ignored: id, question, or not a reply */ \
	X(upstream_doubted)     /* replies not believed: letter case, cookie */     \
	X(upstream_spoofed)     /* questions with many mismatched packets */        \
	X(upstream_timeouts)                                                        \
	X(upstream_errors)         /* sockets that failed */                        \
	X(upstream_hedges)         /* second servers asked, the first being late */ \
	X(upstream_hedges_won)     /* those that answered before it */              \
	X(upstream_hedges_refused) /* late firsts waited for: too many hedges */    \
	X(upstream_copies)         /* of questions, to see how a server does */     \
	X(upstream_probes)         /* questions of our own to silent servers */

struct upstream_counters {
#define X(name) uint64_t name;
	UPSTREAM_COUNTERS(X)
#undef X
};

/* A packet as it left for a server, or a reply that matched. */
struct upstream_packet {
	const struct endpoint *server;
	const uint8_t *octets;
	size_t length;
	bool reply, tcp;
	int64_t took_us; /* a reply: since its question was sent */
};
typedef void upstream_tap_fn(void *context, const struct upstream_packet *packet);

struct upstream_config {
	const struct server_address *servers; /* copied */
	size_t server_count;                  /* 0 is allowed: every request fails at once */
	bool strict;                   /* servers are asked in their order, not the fastest first */
	bool hedge;                    /* a second one is asked when the first is late */
	unsigned timeout_ms;           /* for the whole request, e.g. 5000 */
	unsigned idle_timeout_ms;      /* of TCP and TLS connections */
	const struct tls_context *tls; /* outlives it; NULL where no server is one of TLS */
	size_t requests_max;           /* at once; more fail with TD_FULL */
	bool randomize_case;           /* of questions over UDP and TCP (trust.h) */
	bool cookies;                  /* RFC 7873 */
	struct loop_watch *loops;      /* which servers lead back to us; NULL: nobody looks */
	upstream_tap_fn *tap;          /* is shown every packet; NULL: nobody wants to see them */
	void *tap_context;
	const struct upstream *inherit; /* what it knows of servers that are among these is known
					   here too; NULL: nothing is. During the call only. */
};

/* NULL: out of memory. The base is used until upstream_free. */
struct upstream *upstream_new(struct event_base *base, const struct upstream_config *config);

/* Requests that are open end without a call. */
void upstream_free(struct upstream *upstream);

/*
 * Called once for each upstream_ask that returned a request, never from within it. TD_OK: reply is
 * the matching message (TC never set), valid during the call, from server; it may be the SERVFAIL
 * or REFUSED of one server where the others gave nothing better. TD_TIMEOUT, TD_IO, TD_NOMEM: reply
 * and server are NULL. May ask again, and cancel other requests.
 */
typedef void upstream_done_fn(void *context, enum td_error error, const uint8_t *reply, size_t size,
	const struct endpoint *server);

/*
 * Starts a question. On failure NULL, *error says why, and done is not called: TD_FULL, TD_NOMEM,
 * or TD_IO when no server can be reached (no route) or there is none.
 */
struct upstream_request *upstream_ask(struct upstream *upstream,
	const struct upstream_question *question, upstream_done_fn *done, void *context,
	enum td_error *error);

/* Ends a request without a call. */
void upstream_cancel(struct upstream_request *request);

const struct upstream_counters *upstream_counters(struct upstream *upstream);

/* Requests that are open. Copies and probes, which nobody waits for, are not counted. */
size_t upstream_pending(const struct upstream *upstream);

/* True when no server answers: each is backed off, or was and has said nothing since. */
bool upstream_is_silent(const struct upstream *upstream);

/* To be asked now and then: true when one answers, and none did when it was asked before. */
bool upstream_came_back(struct upstream *upstream);

/* The servers' states, for `status`. */
const struct server_state *upstream_servers(const struct upstream *upstream, size_t *count);

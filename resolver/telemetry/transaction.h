/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One answered query, as the worker knows it at the moment the reply leaves. Everything shown or counted
 * later (log line, pairs, counters) is made from this and from the reply's own bytes, so two transactions cannot mix.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "lib/dns/forwarded.h"

/* Counters of a client, in Redis fields of the same names. Sum of a client's outcomes (noerror … refused, other) = queries. */
#define CLIENT_COUNTERS(X) \
	X(queries)   /* answered queries, whatever the answer */ \
	X(watched)   /* answered truthfully, a rule in watch mode matched */ \
	X(blocked)   /* a rule in block mode made the answer */ \
	X(cached)    /* answered from the cache */ \
	X(forwarded) /* answered from an upstream's reply */ \
	X(local)     /* answered here: special-use names, refusals, errors in the query */ \
	X(noerror)   /* RCODE 0 with an answer */ \
	X(nodata)    /* RCODE 0 without one */ \
	X(nxdomain) \
	X(servfail) \
	X(refused) \
	X(other)     /* any other RCODE */ \
	X(truncated) /* sent with TC */ \
	X(tcp)       /* came over TCP */

enum client_counter {
#define X(name) COUNTER_##name,
	CLIENT_COUNTERS(X)
#undef X
	CLIENT_COUNTER_COUNT
};

/* "queries", …; static storage. */
const char *client_counter_name(enum client_counter counter);

enum transaction_source { SOURCE_CACHE, SOURCE_STALE, SOURCE_UPSTREAM, SOURCE_POLICY, SOURCE_LOCAL, SOURCE_ERROR };
enum transaction_action { TRANSACTION_NONE, TRANSACTION_WATCH, TRANSACTION_BLOCK }; /* "none" "watch" "block" */

const char *transaction_source_name(enum transaction_source source);
const char *transaction_action_name(enum transaction_action action);

#define ZONE_ID_NONE 0xffff

struct transaction {
	struct endpoint client; /* who is told; from telemetry_answer on, its address is who it counts as (identity.h) */
	struct address address; /* from there on: the address it came from, where that is another and may be known; else none */
	const struct forwarded *given; /* what a trusted forwarder said of its client, or NULL; read during the call only */
	uint16_t id;   /* of the client's query */
	bool tcp;
	const uint8_t *qname; /* folded wire name, NULL when the question could not be read */
	uint8_t qname_length;
	uint16_t qtype;
	const uint8_t *reply; /* the very bytes that leave, header included */
	size_t reply_length;
	enum transaction_source source;
	enum transaction_action action;
	uint16_t zone;   /* from telemetry_zone_id(), or ZONE_ID_NONE */
	const char *rule; /* presentation text of the rule that was hit, or NULL; read during the call only */
	struct endpoint upstream; /* family 0 unless source is upstream */
	const uint8_t *query; /* the client's own bytes, where they are asked for; else NULL */
	size_t query_length;
	struct endpoint server; /* where they came in, as far as it is known */
	uint32_t duration_us;
	/*
	 * Same non-zero value = same question asked and same addresses told as in an earlier transaction, to whomever: the worker's
	 * table then need not look at the reply again. A cache entry keeps the value it got at its birth. 0: the reply tells no address.
	 * An answer that is not cached has a value of its own.
	 */
	uint64_t answer_id;
};

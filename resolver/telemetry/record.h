/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transaction as it lies in a worker's record ring: the fields, the question, the rule and the
 * reply's own bytes in one piece, so that formatting can happen later and elsewhere.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/ring.h"
#include "resolver/telemetry/transaction.h"

enum record_kind {
	RECORD_ANSWER,         /* a reply left for a client */
	RECORD_UPSTREAM_QUERY, /* a query left for an upstream server; the message stands for
				  `reply` */
	RECORD_UPSTREAM_REPLY, /* its reply came */
};

/* Of a packet to or from an upstream server are filled: kind, wall_us, upstream, duration_us, reply
 * and tcp. */
struct record {
	int64_t wall_us; /* when the reply left */
	struct endpoint client, upstream;
	struct endpoint server; /* where the query came in, or none; only if the query was kept */
	struct address address; /* where the client came from, or none */
	uint32_t duration_us;
	uint32_t reply_length; /* of the reply that left */
	uint32_t reply_kept; /* octets of it that follow: fewer only where the ring could not take a
				reply near 64 kB */
	uint16_t id, qtype, zone, rule_length;
	uint8_t qname_length;  /* 0: the question could not be read */
	uint16_t query_length; /* 0: the query was not kept */
	uint8_t kind, source, action;
	bool tcp;
	uint8_t bytes[]; /* reply, qname, rule, query */
};

#define RECORD_QUERY_MAX 4096 /* a longer query is not kept */

/* Worker. False when the ring is full; the ring counted it. */
bool record_write(struct ring *ring, const struct transaction *transaction, int64_t wall_us);

/* Worker. The same for a packet to or from an upstream server. */
struct record_packet {
	enum record_kind kind;
	struct endpoint server;
	bool tcp;
	const uint8_t *octets;
	size_t length;
	uint32_t duration_us; /* of a reply, since its query */
};
bool record_write_packet(struct ring *ring, const struct record_packet *packet, int64_t wall_us);

/* The parts of a record that is length octets long, as the ring gave it. */
const uint8_t *record_reply(const struct record *record);
const uint8_t *record_qname(const struct record *record);
const char *record_rule(const struct record *record); /* rule_length octets, no NUL */
const uint8_t *record_query(const struct record *record);

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

struct record {
	int64_t wall_us; /* when the reply left */
	struct endpoint client, upstream;
	struct address address; /* where the client came from, or none */
	uint32_t duration_us;
	uint32_t reply_length; /* of the reply that left */
	uint32_t reply_kept; /* octets of it that follow: fewer only where the ring could not take a
				reply near 64 kB */
	uint16_t id, qtype, zone, rule_length;
	uint8_t qname_length; /* 0: the question could not be read */
	uint8_t source, action;
	bool tcp;
	uint8_t bytes[]; /* reply, qname, rule */
};

/* Worker. False when the ring is full; the ring counted it. */
bool record_write(struct ring *ring, const struct transaction *transaction, int64_t wall_us);

/* The parts of a record that is length octets long, as the ring gave it. */
const uint8_t *record_reply(const struct record *record);
const uint8_t *record_qname(const struct record *record);
const char *record_rule(const struct record *record); /* rule_length octets, no NUL */

/* SPDX-License-Identifier: BSD-3-Clause */
/* Answered queries for tests that count: a reply, and the transaction of a client that got it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/dns/name.h"
#include "resolver/telemetry/transaction.h"

struct answer {
	struct name qname;
	uint8_t reply[2048];
	size_t length;
};

/* For type A: so many addresses from 192.0.2.first on, behind a CNAME when the owner is not qname.
 */
void make_reply(struct answer *answer, const char *qname, unsigned rcode, const char *owner,
	unsigned first, unsigned addresses);

/* The name's own address 192.0.2.address; 0: no data. */
void make_answer(struct answer *answer, const char *qname, unsigned address);

/* From the cache, to the client 10.x.y.z of this number. It points into answer. */
struct transaction transaction_of(const struct answer *answer, uint32_t client, uint64_t answer_id);

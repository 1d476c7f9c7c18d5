/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For the tests of exchanges: a group of servers, one exchange, a clock and random bits of our own,
 * so that each packet's id is one higher than the one before.
 */
#pragma once

#include "lib/base/clock.h"
#include "lib/dns/message.h"
#include "resolver/upstream/exchange.h"

#define MS US_PER_MS

struct fixture {
	struct server_group group;
	struct upstream_question question;
	struct exchange exchange;
	int64_t now;
	uint16_t id; /* the last one given */
	struct random_pool random;
	uint8_t reply[1024];
	size_t reply_size;
};

/* Four servers over UDP, of which start takes the first, and a question for an address. */
void setup(struct fixture *f);

/* The try that was sent last, or that ended it. */
const struct exchange_try *sent(const struct fixture *f);

/* What the pool gives next: an id one higher than before, then zeros. */
void next_id(struct fixture *f);

enum exchange_step start(struct fixture *f, size_t servers);

/* A reply to the packet in flight: the question as sent, flags with QR added, no records. */
void reply_make(struct fixture *f, uint16_t flags);

/* f->reply comes for the last try, or for that of a slot. */
enum exchange_step input(struct fixture *f);
enum exchange_step input_to(struct fixture *f, unsigned slot);

/* The same 20 ms later, with a reply that is made so. */
enum exchange_step reply(struct fixture *f, uint16_t flags);

/* The deadline comes. */
enum exchange_step time_out(struct fixture *f);

uint16_t packet_u16(const struct fixture *f, size_t offset);

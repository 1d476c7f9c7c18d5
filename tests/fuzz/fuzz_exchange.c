/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An exchange under any sequence of packets, timeouts and failures. The input is a list of events:
 * an octet that says what happens, one that says what to spoil, then the packet's own octets for a
 * raw one. Whatever comes, it ends, sends at most three packets to a server and transport, and
 * takes no packet for an answer whose id is wrong.
 */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/dns/message.h"
#include "resolver/upstream/exchange.h"
#include "tests/fuzz/fuzz.h"

#define SERVERS 3

struct run {
	struct server_group group;
	struct exchange exchange;
	unsigned sent[SERVERS][2]; /* over UDP, over TCP */
	uint16_t id;               /* the last one given */
	struct random_pool random;
	int64_t now;
};

/* The same run for the same input: ids are counted, other random bits are zero. */
static void run_next_id(struct run *run)
{
	run->id++;
	memset(&run->random, 0, sizeof(run->random));
	run->random.left = sizeof(run->random.bytes);
	memcpy(&run->random.bytes[run->random.left - sizeof(run->id)], &run->id, sizeof(run->id));
}

static void run_note(struct run *run, enum exchange_step step)
{
	const struct exchange *exchange = &run->exchange;

	if (step != EXCHANGE_SEND_UDP && step != EXCHANGE_SEND_TCP)
		return;
	const struct exchange_try *try = &exchange->tries[exchange->slot];
	unsigned *sent = &run->sent[try->server][step == EXCHANGE_SEND_TCP];

	FUZZ_CHECK(++*sent <= EXCHANGE_PACKETS_MAX);
	FUZZ_CHECK(try->packet.length > 0 && try->packet.length <= PACKET_MAX);
	FUZZ_CHECK(exchange->deadline_us <= exchange->give_up_us);
	FUZZ_CHECK(exchange->deadline_us > run->now);
	FUZZ_CHECK(try->open && !try->overdue);
}

/* A slot that is listened to. */
static unsigned run_slot(const struct run *run, unsigned from)
{
	for (unsigned i = 0; i < EXCHANGE_TRIES_MAX; i++) {
		unsigned slot = (from + i) % EXCHANGE_TRIES_MAX;

		if (run->exchange.tries[slot].open)
			return slot;
	}
	FUZZ_CHECK(false);
	return 0;
}

/* A reply to the packet of a slot, with one octet of it spoiled, or cut. */
static enum exchange_step run_reply(
	struct run *run, unsigned slot, uint8_t flags, uint8_t spoil)
{
	struct exchange *exchange = &run->exchange;
	const struct packet asked = exchange->tries[slot].packet;
	uint8_t packet[PACKET_MAX];
	size_t size = asked.length;

	memcpy(packet, asked.octets, size);
	packet[2] |= 0x80 | (flags >> 3 & 2);
	packet[3] = flags & 7;
	if (spoil >= 128)
		size = spoil - 128u < size ? spoil - 128u : size;
	else if (spoil >= 64)
		packet[spoil % size] ^= 0x55;

	bool right_id = size >= 2 && memcmp(packet, asked.octets, 2) == 0;
	enum exchange_step step = exchange_input(exchange, slot, packet, size, run->now);

	FUZZ_CHECK(right_id || step == EXCHANGE_IGNORED);
	FUZZ_CHECK(step != EXCHANGE_DONE || !(packet[2] & 2));
	return step;
}

static enum exchange_step run_event(struct run *run, struct wire_reader *input)
{
	uint8_t kind = wire_read_u8(input);
	uint8_t detail = wire_read_u8(input);
	size_t length = detail < wire_left(input) ? detail : wire_left(input);

	run_next_id(run);
	run->now += detail * US_PER_MS;
	if (run->now >= run->exchange.deadline_us)
		kind &= 0x3f;
	unsigned slot = run_slot(run, kind & 3);

	switch (kind >> 6) {
	case 0:
		if (run->now < run->exchange.deadline_us)
			run->now = run->exchange.deadline_us;
		return exchange_timeout(&run->exchange, run->now);
	case 1:
		return exchange_transport_failed(&run->exchange, slot, run->now);
	case 2:
		return exchange_input(&run->exchange, slot, wire_read_bytes(input, length), length,
			run->now);
	default:
		return run_reply(run, slot, kind & 0x17, detail);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_reader input = wire_reader_init(data, size);
	struct run run = {.now = US_PER_S};
	struct upstream_question question = {.qname = {.length = 5, .wire = "\003abc"}, .qtype = 1};
	uint8_t kind = wire_read_u8(&input);

	run.group.count = kind % (SERVERS + 1);
	run.group.strict = kind >> 6 & 1;
	run.group.hedge = kind >> 7;
	run.group.hedge_tokens = 5000;
	run_next_id(&run);
	enum exchange_step step = exchange_start(
		&run.exchange, &question, &run.group, 6 * US_PER_S, &run.random, run.now);

	run_note(&run, step);
	while (step != EXCHANGE_DONE && step != EXCHANGE_FAILED) {
		step = run_event(&run, &input); /* timeouts only, once the input is used up */
		run_note(&run, step);
	}
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One question put to upstream servers: a passive machine that knows the rules (whom to ask next,
 * when to give up, which reply counts) and neither sockets nor clocks. The loop around it does what
 * `step` says and reports back.
 *
 *   exchange_start → SEND_UDP → (reply that matches) → DONE
 *                        │  └─ TC set → SEND_TCP → DONE
 *                        └─ deadline → SEND_UDP to the next server … → FAILED
 *
 * At most EXCHANGE_PACKETS_MAX packets per question, server and transport; a packet that does not
 * match never ends the wait (RFC 5452). Fields of struct exchange are for reading.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/name.h"
#include "resolver/upstream/server.h"

#define UPSTREAM_QUERY_MAX (12 + NAME_WIRE_MAX + 4 + 11) /* header, question, our OPT */

struct upstream_question {
	struct name qname; /* as it is to be sent */
	uint16_t qtype;
	bool dnssec_ok;         /* DO */
	bool checking_disabled; /* CD */
};

enum exchange_step {
	EXCHANGE_WAIT,     /* nothing to do before deadline_us */
	EXCHANGE_SEND_UDP, /* send the packet to the server from a random port */
	EXCHANGE_SEND_TCP, /* the same over TCP */
	EXCHANGE_DONE,     /* the reply given last is the answer */
	EXCHANGE_FAILED,   /* nothing better will come: the kept reply is the answer, if any */
};

struct exchange {
	struct upstream_question question;
	struct server_state *servers;
	size_t server_count;
	int server;                            /* index of the one being asked */
	uint8_t packets[UPSTREAM_SERVERS_MAX]; /* sent over UDP; the maximum: it is done with */
	bool over_tcp;
	bool without_edns;
	/*
	 * Set by exchange_input: the reply given last is no good answer (SERVFAIL and the like) but
	 * the best so far. The caller keeps a copy.
	 */
	bool keep;
	int kept_server; /* who gave the kept reply, -1: there is none */
	uint8_t kept_rank;
	uint16_t id; /* of the packet in flight */
	int64_t sent_us, deadline_us, give_up_us;
	uint8_t packet[UPSTREAM_QUERY_MAX];
	size_t packet_length;
};

/* Starts it; it ends at give_up_us. id_random: 16 random bits, here and for each later packet. */
enum exchange_step exchange_start(struct exchange *exchange,
	const struct upstream_question *question, struct server_state *servers, size_t server_count,
	int64_t give_up_us, uint16_t id_random, int64_t now_us);

/*
 * A packet came from the server and port that was asked. EXCHANGE_WAIT when it does not match (id,
 * QR, opcode, question without regard to case); that is the only reason for it.
 */
enum exchange_step exchange_input(struct exchange *exchange, const uint8_t *packet, size_t size,
	uint16_t id_random, int64_t now_us);

/* The deadline passed; the transport failed (port unreachable, refused, closed early). */
enum exchange_step exchange_timeout(struct exchange *exchange, uint16_t id_random, int64_t now_us);
enum exchange_step exchange_transport_failed(
	struct exchange *exchange, uint16_t id_random, int64_t now_us);

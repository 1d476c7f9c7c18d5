/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One question put to upstream servers: a passive machine that knows the rules (whom to ask next,
 * when to give up, which reply counts) and neither sockets nor clocks. The loop around it does what
 * `step` says and reports back.
 *
 *   exchange_start → SEND_UDP → (reply that matches) → DONE
 *                        │  ├─ TC set → SEND_TCP → DONE
 *                        │  └─ not to be believed (trust.h) → SEND_TCP → DONE
 *                        └─ deadline → SEND_UDP to the next server … → FAILED
 *
 * At most EXCHANGE_PACKETS_MAX packets per question, server and transport; a packet that does not
 * match never ends the wait (RFC 5452). Fields of struct exchange are for reading.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/upstream/packet.h"
#include "resolver/upstream/random.h"
#include "resolver/upstream/server.h"

enum exchange_step {
	EXCHANGE_WAIT,     /* nothing to do before deadline_us */
	EXCHANGE_SEND_UDP, /* send the packet to the server from a random port */
	EXCHANGE_SEND_TCP, /* the same over TCP */
	EXCHANGE_DONE,     /* the reply given last is the answer */
	EXCHANGE_FAILED,   /* nothing better will come: the kept reply is the answer, if any */
};

/* What the packet given last was. */
enum exchange_last {
	EXCHANGE_STRANGE, /* no reply */
	EXCHANGE_DOUBTED, /* a reply that lacks what only the server knows */
	EXCHANGE_BELIEVED,
};

struct exchange {
	struct upstream_question question;
	struct server_state *servers;
	size_t server_count;
	int server;                            /* index of the one being asked */
	uint8_t packets[UPSTREAM_SERVERS_MAX]; /* sent over UDP; the maximum: it is done with */
	uint8_t tcp_packets[UPSTREAM_SERVERS_MAX];
	bool over_tcp;
	bool tcp_for_trust;   /* over TCP, because what came over UDP was not believed */
	bool badcookie;       /* the server has asked once for another cookie */
	bool cookie_withheld; /* the packet in flight goes without, to see whether that helps */
	unsigned strange;     /* packets that came for the one in flight and were no reply to it */
	bool unreachable; /* the network said so of the packet in flight */
	enum exchange_last last;
	/*
	 * Set by exchange_input: the reply given last is no good answer (SERVFAIL and the like) but
	 * the best so far. The caller keeps a copy.
	 */
	bool keep;
	int kept_server; /* who gave the kept reply, -1: there is none */
	uint8_t kept_rank;
	int64_t sent_us, deadline_us, give_up_us;
	struct random_pool *random;
	struct packet packet; /* in flight */
};

/*
 * Starts it; it ends at give_up_us. Ids, letter case and cookies of its packets come from random,
 * which outlives it.
 */
enum exchange_step exchange_start(struct exchange *exchange,
	const struct upstream_question *question, struct server_state *servers, size_t server_count,
	int64_t give_up_us, struct random_pool *random, int64_t now_us);

/*
 * A packet came from the server and port that was asked. EXCHANGE_WAIT when it is strange; that is
 * the only reason for it. A strange packet leads to TCP when too many came (trust.h).
 */
enum exchange_step exchange_input(
	struct exchange *exchange, const uint8_t *packet, size_t size, int64_t now_us);

/* The packet in flight composed anew, before it has left. */
void exchange_recompose(struct exchange *exchange, int64_t now_us);

/*
 * A message of the network says that the UDP port is closed. Anybody can send such a message
 * (TuDoor), so the reply is still waited for, only not for long: deadline_us may be nearer now.
 */
void exchange_unreachable(struct exchange *exchange, int64_t now_us);

/* The deadline passed; the transport failed (no route, refused, closed early). */
enum exchange_step exchange_timeout(struct exchange *exchange, int64_t now_us);
enum exchange_step exchange_transport_failed(struct exchange *exchange, int64_t now_us);

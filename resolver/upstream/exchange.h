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
 * A *try* is one packet and the wait for its reply, in a slot. When a server is later than usual
 * another is asked beside it (a hedge), and after a timeout the next one; the tries before are
 * listened to still, up to EXCHANGE_TRIES_MAX, and the first good answer wins. At most
 * EXCHANGE_PACKETS_MAX packets per question, server and transport; a packet that does not match
 * never ends the wait (RFC 5452). A server of TCP or TLS is asked with SEND_TCP alone. Fields of
 * struct exchange are for reading.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/upstream/packet.h"
#include "resolver/upstream/random.h"
#include "resolver/upstream/server.h"

#define EXCHANGE_TRIES_MAX 3

enum exchange_step {
	EXCHANGE_WAIT,     /* nothing to do before deadline_us */
	EXCHANGE_IGNORED,  /* the packet given last is strange: nothing has changed */
	EXCHANGE_SEND_UDP, /* send the packet of tries[slot] from a random port; what the slot had
			      before is over */
	EXCHANGE_SEND_TCP, /* the same over TCP, or TLS where the server is one of TLS */
	EXCHANGE_DONE,     /* the reply given last is the answer */
	EXCHANGE_FAILED,   /* nothing better will come: the kept reply is the answer, if any */
};

/* What the packet given last was. */
enum exchange_last {
	EXCHANGE_STRANGE, /* no reply */
	EXCHANGE_DOUBTED, /* a reply that lacks what only the server knows */
	EXCHANGE_BELIEVED,
};

enum exchange_kind {
	EXCHANGE_QUESTION,
	EXCHANGE_COPY,  /* of one, to one server, once, to see how it does */
	EXCHANGE_PROBE, /* a question of our own: whether the server is there */
};

struct exchange_try {
	bool open; /* a reply may come */
	bool over_tcp;
	bool hedge;
	bool overdue;         /* it had its time; listened to still */
	bool tcp_for_trust;   /* over TCP, because what came over UDP was not believed */
	bool cookie_withheld; /* the packet goes without, to see whether that helps */
	bool unreachable;     /* the network said so of it */
	uint8_t server;
	unsigned strange; /* packets that came for it and were no reply */
	int64_t sent_us, timeout_us;
	struct packet packet;
};

struct exchange {
	struct upstream_question question;
	struct server_group *group;
	struct random_pool *random;
	enum exchange_kind kind;
	unsigned slot;                         /* what the step is about: sent, or done by */
	uint8_t packets[UPSTREAM_SERVERS_MAX]; /* sent over UDP; the maximum: it is done with */
	uint8_t tcp_packets[UPSTREAM_SERVERS_MAX];
	bool hedging;   /* the deadline is when the first try is late */
	bool badcookie; /* a server has asked once for another cookie */
	enum exchange_last last;
	/*
	 * Set by exchange_input: the reply given last is no good answer (SERVFAIL and the like) but
	 * the best so far. The caller keeps a copy.
	 */
	bool keep;
	int kept_server; /* who gave the kept reply, -1: there is none */
	uint8_t kept_rank;
	int64_t deadline_us, give_up_us;
	struct exchange_try tries[EXCHANGE_TRIES_MAX];
};

/*
 * Starts it; it ends at give_up_us. The group, and random, from which ids, letter case and cookies
 * of its packets come, outlive it.
 */
enum exchange_step exchange_start(struct exchange *exchange,
	const struct upstream_question *question, struct server_group *group, int64_t give_up_us,
	struct random_pool *random, int64_t now_us);

/* The same to this server alone, one packet, for as long as that may take. Not EXCHANGE_QUESTION.
 */
enum exchange_step exchange_start_alone(struct exchange *exchange, enum exchange_kind kind,
	const struct upstream_question *question, struct server_group *group, unsigned server,
	struct random_pool *random, int64_t now_us);

/*
 * A packet came from the server and port that the slot's try asked. EXCHANGE_IGNORED when it is
 * strange; that is the only reason for it. A strange packet leads to TCP when too many came
 * (trust.h). Else the slot's try is over, whatever is next.
 */
enum exchange_step exchange_input(struct exchange *exchange, unsigned slot, const uint8_t *packet,
	size_t size, int64_t now_us);

/* The packet to be sent composed anew, before it has left. */
void exchange_recompose(struct exchange *exchange, int64_t now_us);

/*
 * A message of the network says that the UDP port of the slot's try is closed. Anybody can send
 * such a message (TuDoor), so the reply is still waited for, only not for long, and another server
 * is asked at once where that may be: deadline_us may be nearer now.
 */
void exchange_unreachable(struct exchange *exchange, unsigned slot, int64_t now_us);

/* The packet of the slot's try, which waited for a connection, left: the round trip begins. */
void exchange_sent(struct exchange *exchange, unsigned slot, int64_t now_us);

/* The deadline passed. */
enum exchange_step exchange_timeout(struct exchange *exchange, int64_t now_us);

/* The transport of the slot's try failed (no route, refused, closed early). */
enum exchange_step exchange_transport_failed(
	struct exchange *exchange, unsigned slot, int64_t now_us);

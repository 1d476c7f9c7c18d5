/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Asking many hosts whether a Teredo server listens there: a passive machine that knows what to
 * send to whom and when, and what the answers mean; neither sockets nor clocks. The loop around it
 * does what probe_next says and reports what came.
 *
 *   solicit ──answer──→ solicit with the cone bit, for the second address → done
 *      │ ├─ICMP────────→ refused
 *      └─silence, tries times → one with the cone bit → done, inconclusive
 *
 * One packet at a time is on its way to a host, and all of them leave at one rate. An answer
 * belongs to a host by its nonce, wherever it comes from: 64 random bits for each packet. An answer
 * counts while anything is still to be done, however late, also from a host that was given up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "lib/base/arena.h"
#include "lib/base/hash.h"
#include "lib/base/table.h"
#include "lib/dns/address.h"
#include "lib/dns/teredo.h"

#define PROBE_TARGETS_MAX 65536
#define PROBE_TRIES_MAX 10
#define PROBE_CONE_TRIES 2
#define PROBE_PACKETS_MAX (PROBE_TRIES_MAX + PROBE_CONE_TRIES)
#define PROBE_RATE_MAX 1000

struct probe_plan {
	unsigned tries;      /* 1 … PROBE_TRIES_MAX */
	unsigned rate;       /* packets a second to all hosts together, 1 … PROBE_RATE_MAX */
	int64_t wait_us;     /* after each packet */
	int64_t deadline_us; /* mono; when all ends; INT64_MAX: never */
	struct hash_seed seed;
};

enum probe_state {
	PROBE_UNTESTED,     /* nothing was sent */
	PROBE_INCONCLUSIVE, /* silence, or what proves nothing */
	PROBE_REFUSED,      /* by ICMP: nobody listens, or a firewall says no */
	PROBE_ANSWERS,      /* a Teredo server listens */
};

enum probe_phase { PROBE_SOLICIT, PROBE_SECOND, PROBE_LAST, PROBE_DONE };

struct probe_target;
TAILQ_HEAD(probe_queue, probe_target);

struct probe_packet {
	uint64_t nonce; /* its octets in the order of memory */
	int64_t sent_us;
	struct probe_target *target;
	bool cone, answered;
};

/* For reading, but for the machine. */
struct probe_target {
	struct endpoint endpoint;
	enum probe_state state;

	/* ANSWERS */
	struct teredo_answer answer;
	struct endpoint from;   /* where the answer came from */
	int64_t round_trip_us;  /* of that answer */
	bool late;              /* it came after the wait was over */
	bool cone_answered;     /* and so was the solicitation with the cone bit: */
	struct endpoint second; /* from here; no family: from the same address */

	/* what ICMP said last */
	bool icmp_told;
	uint8_t icmp_type, icmp_code;
	struct address icmp_from;

	void *owner;             /* the caller's */
	int local_error;         /* errno of a packet that could not be sent */
	unsigned invalid;        /* datagrams that were no answers */
	enum teredo_fault fault; /* of the last of them */

	/* the machine's */
	enum probe_phase phase;
	unsigned sent, plain_sent, cone_sent;
	int64_t due_us;
	struct probe_queue *queue; /* NULL: in none */
	TAILQ_ENTRY(probe_target) link;
	struct probe_packet packets[PROBE_PACKETS_MAX];
};

/* Stays where it is: its queues point into it. */
struct probe {
	struct probe_plan plan;
	struct arena arena;
	struct table nonces, endpoints;
	struct probe_queue fresh, ready, waiting; /* waiting: in the order of due_us */
	int64_t next_send_us;
	size_t targets, answering, finished;
	uint64_t strays; /* datagrams of nobody's */
};

void probe_init(struct probe *probe, const struct probe_plan *plan);
void probe_deinit(struct probe *probe);

/* The target of an endpoint (IPv4), new or known; lives as long as the probe. NULL with TD_FULL or
 * TD_NOMEM in *error. */
struct probe_target *probe_add(
	struct probe *probe, const struct endpoint *endpoint, enum td_error *error);

enum probe_act { PROBE_SEND, PROBE_WAIT, PROBE_END };

struct probe_step {
	enum probe_act act;
	struct probe_target *target; /* SEND: to its endpoint */
	uint8_t packet[TEREDO_SOLICITATION_MAX];
	size_t size;
	int64_t until_us; /* WAIT: call again then, or after what came */
};

/* What to do now. nonce: fresh random octets, used when something is to be sent. */
void probe_next(struct probe *probe, const uint8_t nonce[TEREDO_NONCE_SIZE], int64_t now_us,
	struct probe_step *out);

/* The packet given last could not be sent to target: errno of the reason. The target is done. */
void probe_send_failed(struct probe *probe, struct probe_target *target, int reason);

/* A datagram came. TEREDO_FINE: it was an answer, or another copy of one. */
enum teredo_fault probe_input(struct probe *probe, const struct endpoint *source,
	const uint8_t *data, size_t size, int64_t now_us);

/* An ICMP error (type and code of RFC 792) came from a host or router about what was sent to
 * destination. */
void probe_icmp(struct probe *probe, const struct endpoint *destination, uint8_t type, uint8_t code,
	const struct address *from);

/* Ends it: the next step is END. What was found so far stays. */
void probe_stop(struct probe *probe);

/* Whether ICMP says that the host is there and refuses, or that a firewall does (as against: that
 * there is no way to it). */
bool probe_icmp_refuses(uint8_t type, uint8_t code);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of the upstream servers of one group, shared by all exchanges of a worker: how long
 * each takes to answer, whether it answers at all, what it can; and from that, whom to ask. Pure
 * arithmetic; time is passed in.
 *
 *   up ── two signs of silence, one after the other ──→ down ── answers a probe ──→ returning
 *    ↑                                                   ↑ └──────────────────────────┐ │
 *    │                                                   └── a copy meets silence ────┼─┤
 *    └── answers anything a client asked, or a copy of it ─────────────────────────────┴─┘
 *
 * A server that is down or returning is asked by clients when no other is left. Probes are sent to
 * it all the time it is down; they and copies of clients' questions are what nobody waits for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "resolver/upstream/server_address.h"
#include "resolver/upstream/trust.h"

#define UPSTREAM_SERVERS_MAX 16
#define SERVER_TROUBLE_MAX 160 /* words, with their NUL */
#define EXCHANGE_PACKETS_MAX 3 /* of one question to one server over UDP */
#define SERVER_PROBE_MS 500    /* between probes of a silent server */

enum server_health { SERVER_UP, SERVER_RETURNING, SERVER_DOWN };

struct server_state {
	struct endpoint endpoint;
	enum server_transport transport;   /* how its questions go */
	char trouble[SERVER_TROUBLE_MAX]; /* why it could not be connected last, "": it could */
	enum server_health health;
	int64_t srtt_us;   /* smoothed round trip (RFC 6298), 0: not measured yet */
	int64_t rttvar_us; /* its mean deviation */

	int64_t answered_us;      /* mono, as all times here: the last answer, 0: none yet */
	int64_t silent_since_us;  /* the first packet that was sent since then, 0: none */
	unsigned unanswered;      /* how many were sent since then */
	int64_t silence_us;       /* when the last sign of silence was noted */
	unsigned silences;        /* signs of silence in a row */
	int64_t question_us;      /* the last answer to a client's question or a copy of one */
	int64_t loss_us;          /* when the last question in vain was noted */
	unsigned losses;          /* questions in vain, one after the other, since question_us */
	int64_t late_us;          /* what a client waited in vain before; counts if it is alive */
	unsigned failures_in_row; /* answers in a row that were SERVFAIL, REFUSED or their like */
	int64_t down_us;          /* since when it is down */

	int64_t probe_us;    /* when the next probe is due, 0: none is */
	unsigned probes;     /* sent since it was heard last */
	int64_t copied_us;   /* when a copy of a client's question was sent last */
	int64_t measured_us; /* when the round trip was measured last */

	bool without_edns;     /* it refused EDNS, or was silent to it, and answered well without */
	bool edns_works;       /* it answered a query with EDNS: its silence has other reasons */
	int64_t edns_again_us; /* when to offer EDNS to it again */
	struct server_trust trust; /* what its replies have to repeat */
	bool looping; /* it leads back to us (loop_watch.h): it is not asked */

	uint64_t sent, answered, timed_out;
	uint64_t failed; /* answers that were none: SERVFAIL, REFUSED; sockets that failed */
	uint64_t hedges; /* questions it got because another was late */
	uint64_t downs;  /* how often it was found silent */
};

/* Servers that a question may be put to, in the configured order. Zeros are a good beginning. */
struct server_group {
	struct server_state servers[UPSTREAM_SERVERS_MAX];
	size_t count;
	bool strict;      /* asked in the configured order; otherwise the fastest first */
	bool hedge;       /* a second one is asked when the first is late */
	int hedge_tokens; /* thousandths of a hedge */
	int64_t explored_us; /* when a copy was sent to look at a server that is up */
	unsigned unexplored; /* questions since then */
	bool attention; /* a probe became due sooner than before; whoever sends them clears it */
	uint64_t hedges, hedges_won, hedges_refused;
};

/*
 * The server to ask next: fewer than EXCHANGE_PACKETS_MAX packets were sent to it. One that is up
 * before one that is not, the fewest packets, one that gives answers before one that only fails;
 * among equals the order, or the fastest: the first whose round trip is not much above the best.
 * -1: none is left.
 */
int server_choose(const struct server_group *group, const uint8_t *packets);

/* True for one whose last answers were failures, all of them. */
bool server_fails(const struct server_state *server);

/* Up to which round trip a server is as good as one of this round trip. */
int64_t server_band_us(int64_t round_trip_us);

/* How long the first packet of a question waits: 300 ms to 1 s. */
int64_t server_timeout_us(const struct server_state *server);

/*
 * When a server is later than usual: its smoothed round trip and four deviations, 50 to 500 ms.
 */
int64_t server_usual_us(const struct server_state *server);

/* A packet leaves for it. */
void server_asked(struct server_state *server, int64_t now_us);

/* It answered a client's question, or a copy. Below 0: the round trip is not to be counted. */
void server_answered(struct server_state *server, int64_t round_trip_us, int64_t now_us);

/* Its answer was SERVFAIL, REFUSED …, or a good one. */
void server_failed(struct server_state *server);
void server_succeeded(struct server_state *server);

/*
 * Nothing came for the packet of sent_us as long as it was waited for. A sign of silence, when
 * nothing else came since either; packets that were under way when one was noted add nothing. The
 * first sign makes a probe due, the second ends what clients have to do with it; so do four
 * questions in vain, one after the other, of a server that answers nothing but probes.
 */
void server_was_silent(
	struct server_group *group, struct server_state *server, int64_t sent_us, int64_t now_us);

/* True when several packets, for longer than its usual time, met silence. */
bool server_is_silent(const struct server_state *server, int64_t now_us);

/* Before the first question: it has ten hedges. */
void server_group_begin(struct server_group *group);

/* A question is put to the group: earns it the tenth of a hedge. */
void server_group_asked(struct server_group *group);

/*
 * Whether another is to be asked because this one is late: then who (that is up, and was not asked
 * before), else -1. Without limit while it is silent as a whole or cannot be reached, else for a
 * tenth of the questions.
 */
int server_hedge(struct server_group *group, const struct server_state *late,
	const uint8_t *packets, bool unreachable, int64_t now_us);

/*
 * Who is to get a copy of the question that is put to server number asked: one that returns, one
 * that was not measured, now and then (once a second, and of each tenth question at most) one that
 * was not measured for long; not with strict. -1: nobody.
 */
int server_explore(struct server_group *group, int asked, int64_t now_us);

/* --- probes: a question of our own, whose answer says only that the server is there --- */

/* When the next one is due, over all servers; INT64_MAX: none. */
int64_t server_group_probe_us(const struct server_group *group);

/* A server that is to be probed now, and the time of its next probe; -1: none. */
int server_probe(struct server_group *group, int64_t now_us);

/* It answered one. It returns, or is up where no other is. */
void server_probe_answered(struct server_group *group, struct server_state *server,
	int64_t round_trip_us, int64_t now_us);

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is known of an upstream server, shared by all exchanges of a worker: how long it takes to
 * answer, whether it does, what it can. Pure arithmetic; time is passed in.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/dns/address.h"
#include "resolver/upstream/trust.h"

#define UPSTREAM_SERVERS_MAX 16
#define EXCHANGE_PACKETS_MAX 3 /* of one question to one server over UDP */

struct server_state {
	struct endpoint endpoint;
	int64_t srtt_us;          /* smoothed round trip, 0: not measured yet */
	int64_t backoff_set_us;   /* when the present back-off began */
	int64_t backoff_until_us; /* mono; asked last before that time */
	unsigned backoffs_in_row;
	unsigned timeouts_in_row;
	bool without_edns;     /* it refused EDNS, or was silent to it, and answered well without */
	bool edns_works;       /* it answered a query with EDNS: its silence has other reasons */
	int64_t edns_again_us; /* when to offer EDNS to it again */
	struct server_trust trust; /* what its replies have to repeat */
	bool looping; /* it leads back to us (loop_watch.h): it is not asked */
	uint64_t sent, answered, timed_out;
};

/*
 * The server to ask next: fewer than EXCHANGE_PACKETS_MAX packets were sent to it, not backed off,
 * the fewest packets, configured order among equals. When all that are left are backed off: the one
 * whose back-off ends first. -1: none is left.
 */
int server_choose(
	const struct server_state *servers, size_t count, const uint8_t *packets, int64_t now_us);

/*
 * How long the first packet of a question waits: 300 ms to 1 s. Two such waits make a back-off, so
 * a dead server costs 2 s at most.
 */
int64_t server_timeout_us(const struct server_state *server);

void server_answered(struct server_state *server, int64_t round_trip_us);

/*
 * Nothing came for the packet of sent_us. From the second in a row: a back-off of 1, 2, 4 … 30 s.
 */
void server_timed_out(struct server_state *server, int64_t sent_us, int64_t now_us);

/* True for a silent server whose back-off is over, so that it is time to see whether it is back. */
bool server_probe_due(const struct server_state *server, int64_t now_us);

/* A probe was sent: until it is answered, or until_us, others need not try. */
void server_probed(struct server_state *server, int64_t until_us);

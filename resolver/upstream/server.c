/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The arithmetic of upstream servers.
 *
 * A server that is silent is backed off and seen to again by probes, not by clients: the price of a
 * dead server is paid once. Counting lost packets as a share of all was rejected: one number of
 * silences in a row is enough to tell a dead server from a lost packet, and needs no window.
 */
#include "resolver/upstream/server.h"

#include "lib/base/clock.h"

#define TIMEOUT_UNMEASURED_US (400 * US_PER_MS)
#define TIMEOUT_SLACK_US \
	(300 * US_PER_MS) /* above twice the round trip: a server may have to ask others */
#define TIMEOUT_MAX_US (1000 * US_PER_MS)
#define BACKOFF_TIMEOUTS 2
#define BACKOFF_FIRST_US US_PER_S
#define BACKOFF_MAX_US (30 * US_PER_S)

/* True when a is to be asked before b, a standing earlier in the configuration. */
static bool server_precedes(const struct server_state *a, uint8_t a_packets,
	const struct server_state *b, uint8_t b_packets, int64_t now_us)
{
	bool a_off = a->backoff_until_us > now_us;
	bool b_off = b->backoff_until_us > now_us;

	if (a_off != b_off)
		return b_off;
	if (a_packets != b_packets)
		return a_packets < b_packets;
	return !a_off || a->backoff_until_us <= b->backoff_until_us;
}

int server_choose(
	const struct server_state *servers, size_t count, const uint8_t *packets, int64_t now_us)
{
	int best = -1;

	for (size_t i = 0; i < count; i++) {
		if (packets[i] >= EXCHANGE_PACKETS_MAX)
			continue;
		if (best < 0 || !server_precedes(&servers[best], packets[best], &servers[i],
					packets[i], now_us))
			best = (int)i;
	}
	return best;
}

int64_t server_timeout_us(const struct server_state *server)
{
	if (server->srtt_us == 0)
		return TIMEOUT_UNMEASURED_US;
	int64_t timeout = 2 * server->srtt_us + TIMEOUT_SLACK_US;

	return timeout < TIMEOUT_MAX_US ? timeout : TIMEOUT_MAX_US;
}

void server_answered(struct server_state *server, int64_t round_trip_us)
{
	if (round_trip_us < 1)
		round_trip_us = 1;
	if (server->srtt_us == 0)
		server->srtt_us = round_trip_us;
	else
		server->srtt_us += (round_trip_us - server->srtt_us) / 8;
	server->answered++;
	server->timeouts_in_row = 0;
	server->backoffs_in_row = 0;
	server->backoff_until_us = 0;
}

void server_timed_out(struct server_state *server, int64_t sent_us, int64_t now_us)
{
	server->timed_out++;
	server->timeouts_in_row++;
	if (server->timeouts_in_row < BACKOFF_TIMEOUTS)
		return;
	/* Packets that were under way when the back-off began say nothing new. */
	if (server->backoffs_in_row > 0 && sent_us < server->backoff_set_us)
		return;

	int64_t length = BACKOFF_FIRST_US;

	for (unsigned i = 0; i < server->backoffs_in_row && length < BACKOFF_MAX_US; i++)
		length *= 2;
	server->backoff_set_us = now_us;
	server->backoff_until_us = now_us + (length < BACKOFF_MAX_US ? length : BACKOFF_MAX_US);
	server->backoffs_in_row++;
}

bool server_probe_due(const struct server_state *server, int64_t now_us)
{
	return server->backoffs_in_row > 0 && server->backoff_until_us <= now_us;
}

void server_probed(struct server_state *server, int64_t until_us)
{
	server->backoff_until_us = until_us;
}

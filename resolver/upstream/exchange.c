/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of asking upstream, without sockets and clocks (the idea is djbdns' dns_transmit:
 * start, input, timeout).
 *
 * One packet is in flight at a time. Asking two servers at once would be faster when the first is
 * dead, and was rejected: it doubles what every question costs and tells two operators what was
 * asked; the back-off bounds the price of a dead server instead. A reply that says "I cannot"
 * (SERVFAIL, REFUSED …) is kept while another server may know better; the caller holds its bytes,
 * so that an exchange stays small.
 */
#include "resolver/upstream/exchange.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/dns/message.h"

#define TIMEOUT_REPEATED_MAX_US (1500 * US_PER_MS)
#define TIMEOUT_TCP_US (1500 * US_PER_MS)
#define LEFT_MIN_US (10 * US_PER_MS) /* no packet is worth sending for less */
#define EDNS_AGAIN_US (900 * US_PER_S)

/* --- sending --- */

/* True when the server is known to need it, or two packets with EDNS met silence. */
static bool server_wants_plain(struct server_state *server, uint8_t packets, int64_t now_us)
{
	if (server->without_edns && now_us >= server->edns_again_us)
		server->without_edns = false;
	return server->without_edns || (packets == EXCHANGE_PACKETS_MAX - 1 && !server->edns_works);
}

static bool exchange_has_more(const struct exchange *exchange)
{
	for (size_t i = 0; i < exchange->server_count; i++) {
		if (exchange->packets[i] < EXCHANGE_PACKETS_MAX)
			return true;
	}
	return false;
}

/* The last packet of all may as well be waited for to the end, unless a reply is at hand. */
static void exchange_set_deadline(struct exchange *exchange, int64_t wait_us, int64_t now_us)
{
	bool last = exchange->kept_server < 0 && !exchange_has_more(exchange);

	exchange->sent_us = now_us;
	exchange->deadline_us = now_us + wait_us;
	if (last || exchange->deadline_us > exchange->give_up_us)
		exchange->deadline_us = exchange->give_up_us;
}

static void exchange_prepare(struct exchange *exchange, bool over_tcp, bool without_edns)
{
	struct packet_form form = {
		.id = random_u16(exchange->random), .without_edns = without_edns};

	exchange->over_tcp = over_tcp;
	packet_compose(&exchange->packet, &exchange->question, &form);
	exchange->servers[exchange->server].sent++;
}

static enum exchange_step exchange_send_udp(
	struct exchange *exchange, bool without_edns, int64_t now_us)
{
	uint8_t *packets = &exchange->packets[exchange->server];
	int64_t wait_us = server_timeout_us(&exchange->servers[exchange->server]) << *packets;

	++*packets;
	exchange_prepare(exchange, false, without_edns);
	exchange_set_deadline(exchange,
		wait_us < TIMEOUT_REPEATED_MAX_US ? wait_us : TIMEOUT_REPEATED_MAX_US, now_us);
	return EXCHANGE_SEND_UDP;
}

/* Whatever TCP brings, this server will not be asked over UDP again: it has answered there. */
static enum exchange_step exchange_send_tcp(
	struct exchange *exchange, bool without_edns, int64_t now_us)
{
	exchange->packets[exchange->server] = EXCHANGE_PACKETS_MAX;
	exchange_prepare(exchange, true, without_edns);
	exchange_set_deadline(exchange, TIMEOUT_TCP_US, now_us);
	return EXCHANGE_SEND_TCP;
}

static enum exchange_step exchange_next(struct exchange *exchange, int64_t now_us)
{
	if (exchange->give_up_us - now_us < LEFT_MIN_US)
		return EXCHANGE_FAILED;
	exchange->server =
		server_choose(exchange->servers, exchange->server_count, exchange->packets, now_us);
	if (exchange->server < 0)
		return EXCHANGE_FAILED;
	return exchange_send_udp(exchange,
		server_wants_plain(&exchange->servers[exchange->server],
			exchange->packets[exchange->server], now_us),
		now_us);
}

enum exchange_step exchange_start(struct exchange *exchange,
	const struct upstream_question *question, struct server_state *servers, size_t server_count,
	int64_t give_up_us, struct random_pool *random, int64_t now_us)
{
	exchange->question = *question;
	exchange->servers = servers;
	exchange->server_count =
		server_count < UPSTREAM_SERVERS_MAX ? server_count : UPSTREAM_SERVERS_MAX;
	memset(exchange->packets, 0, sizeof(exchange->packets));
	exchange->keep = false;
	exchange->kept_server = -1;
	exchange->kept_rank = 0;
	exchange->give_up_us = give_up_us;
	exchange->random = random;
	return exchange_next(exchange, now_us);
}

/* --- replies --- */

/*
 * How much a reply that is no answer says, 0: it is an answer. SERVFAIL speaks of the name, REFUSED
 * and its like of us.
 */
static uint8_t reply_rank(uint16_t flags)
{
	switch (flags & DNS_FLAG_RCODE) {
	case RCODE_SERVFAIL:
		return 2;
	case RCODE_FORMERR:
	case RCODE_NOTIMP:
	case RCODE_REFUSED:
		return 1;
	default:
		return 0;
	}
}

/*
 * Keeps the reply if it is the best so far (rank 0: it is not fit to be kept). From now on no
 * server is asked a second time.
 */
static enum exchange_step exchange_next_server(
	struct exchange *exchange, uint8_t rank, int64_t now_us)
{
	for (size_t i = 0; i < exchange->server_count; i++) {
		if (exchange->packets[i] > 0)
			exchange->packets[i] = EXCHANGE_PACKETS_MAX;
	}
	if (rank > exchange->kept_rank) {
		if (!exchange_has_more(exchange))
			return EXCHANGE_DONE;
		exchange->keep = true;
		exchange->kept_rank = rank;
		exchange->kept_server = exchange->server;
	}
	return exchange_next(exchange, now_us);
}

static void exchange_note_answer(struct exchange *exchange, int64_t now_us)
{
	struct server_state *server = &exchange->servers[exchange->server];

	if (!exchange->packet.without_edns) {
		server->edns_works = true;
	} else if (!server->without_edns) {
		server->without_edns = true;
		server->edns_works = false;
		server->edns_again_us = now_us + EDNS_AGAIN_US;
	}
}

enum exchange_step exchange_input(
	struct exchange *exchange, const uint8_t *packet, size_t size, int64_t now_us)
{
	uint16_t flags;

	exchange->keep = false;
	if (packet_match(&exchange->packet, packet, size, &flags) == PACKET_STRANGE)
		return EXCHANGE_WAIT;
	if (exchange->over_tcp)
		exchange->servers[exchange->server].answered++;
	else
		server_answered(&exchange->servers[exchange->server], now_us - exchange->sent_us);
	if (packet_refuses_edns(&exchange->packet, flags)) {
		if (exchange->over_tcp)
			return exchange_send_tcp(exchange, true, now_us);
		if (exchange->packets[exchange->server] < EXCHANGE_PACKETS_MAX)
			return exchange_send_udp(exchange, true, now_us);
	}

	uint8_t rank = reply_rank(flags);

	if (rank > 0)
		return exchange_next_server(exchange, flags & DNS_FLAG_TC ? 0 : rank, now_us);
	exchange_note_answer(exchange, now_us);
	if (!(flags & DNS_FLAG_TC))
		return EXCHANGE_DONE;
	if (!exchange->over_tcp)
		return exchange_send_tcp(exchange, exchange->packet.without_edns, now_us);
	return exchange_next(exchange, now_us);
}

enum exchange_step exchange_timeout(struct exchange *exchange, int64_t now_us)
{
	exchange->keep = false;
	if (!exchange->over_tcp)
		server_timed_out(&exchange->servers[exchange->server], exchange->sent_us, now_us);
	if (exchange->kept_server >= 0)
		exchange->packets[exchange->server] = EXCHANGE_PACKETS_MAX;
	return exchange_next(exchange, now_us);
}

enum exchange_step exchange_transport_failed(struct exchange *exchange, int64_t now_us)
{
	exchange->packets[exchange->server] = EXCHANGE_PACKETS_MAX;
	return exchange_timeout(exchange, now_us);
}

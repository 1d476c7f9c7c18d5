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
#define UNREACHABLE_WAIT_US (200 * US_PER_MS)
#define EDNS_AGAIN_US (900 * US_PER_S)

/* --- sending --- */

/* What a packet carries, from all to nothing that an old server could choke on. */
enum form { FORM_COOKIE, FORM_EDNS, FORM_PLAIN };

/*
 * Plain when the server is known to need it, or two packets with EDNS met silence. The second goes
 * without a cookie, unless the server is known to bear it.
 */
static enum form server_form(struct server_state *server, uint8_t packets, int64_t now_us)
{
	if (server->without_edns && now_us >= server->edns_again_us)
		server->without_edns = false;
	if (server->without_edns || (packets == EXCHANGE_PACKETS_MAX - 1 && !server->edns_works))
		return FORM_PLAIN;
	return packets > 0 && !server->trust.cookie_tolerated ? FORM_EDNS : FORM_COOKIE;
}

static enum form exchange_form(const struct exchange *exchange)
{
	if (exchange->packet.without_edns)
		return FORM_PLAIN;
	return exchange->cookie_withheld ? FORM_EDNS : FORM_COOKIE;
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

static void exchange_compose(struct exchange *exchange, enum form form, int64_t now_us)
{
	struct packet_form out;

	out.id = random_u16(exchange->random);
	out.without_edns = form == FORM_PLAIN;
	trust_fill(&exchange->servers[exchange->server].trust, &out,
		exchange->question.qname.length, form == FORM_COOKIE, exchange->random, now_us);
	packet_compose(&exchange->packet, &exchange->question, &out);
}

static void exchange_prepare(
	struct exchange *exchange, bool over_tcp, enum form form, int64_t now_us)
{
	exchange->over_tcp = over_tcp;
	exchange->tcp_for_trust = false;
	exchange->cookie_withheld = form == FORM_EDNS;
	exchange->strange = 0;
	exchange->unreachable = false;
	exchange_compose(exchange, form, now_us);
	exchange->servers[exchange->server].sent++;
}

static enum exchange_step exchange_send_udp(
	struct exchange *exchange, enum form form, int64_t now_us)
{
	uint8_t *packets = &exchange->packets[exchange->server];
	int64_t wait_us = server_timeout_us(&exchange->servers[exchange->server]) << *packets;

	++*packets;
	exchange_prepare(exchange, false, form, now_us);
	exchange_set_deadline(exchange,
		wait_us < TIMEOUT_REPEATED_MAX_US ? wait_us : TIMEOUT_REPEATED_MAX_US, now_us);
	return EXCHANGE_SEND_UDP;
}

static enum exchange_step exchange_next(struct exchange *exchange, int64_t now_us);

static enum exchange_step exchange_send_tcp(
	struct exchange *exchange, enum form form, int64_t now_us)
{
	if (exchange->tcp_packets[exchange->server]++ >= EXCHANGE_PACKETS_MAX)
		return exchange_next(exchange, now_us);
	exchange_prepare(exchange, true, form, now_us);
	exchange_set_deadline(exchange, TIMEOUT_TCP_US, now_us);
	return EXCHANGE_SEND_TCP;
}

/* It answers, so it will not be asked over UDP again, whatever comes over TCP. */
static enum exchange_step exchange_turn_to_tcp(
	struct exchange *exchange, enum form form, int64_t now_us)
{
	exchange->packets[exchange->server] = EXCHANGE_PACKETS_MAX;
	return exchange_send_tcp(exchange, form, now_us);
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
		server_form(&exchange->servers[exchange->server],
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
	for (size_t i = 0; i < UPSTREAM_SERVERS_MAX; i++)
		exchange->packets[i] = i < exchange->server_count && servers[i].looping
					       ? EXCHANGE_PACKETS_MAX
					       : 0;
	memset(exchange->tcp_packets, 0, sizeof(exchange->tcp_packets));
	exchange->keep = false;
	exchange->badcookie = false;
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
static uint8_t reply_rank(uint16_t rcode)
{
	switch (rcode) {
	case RCODE_SERVFAIL:
		return 2;
	case RCODE_FORMERR:
	case RCODE_NOTIMP:
	case RCODE_REFUSED:
	case RCODE_BADVERS:
	case RCODE_BADCOOKIE:
		return 1;
	default:
		return 0;
	}
}

/* A client has no use for what is cut, or speaks of our OPT record. */
static bool reply_worth_keeping(const struct packet_reply *reply)
{
	return !(reply->flags & DNS_FLAG_TC) && reply->rcode < RCODE_BADVERS;
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
		if (exchange->cookie_withheld)
			trust_cookie_not_needed(&server->trust, now_us);
	} else if (!server->without_edns) {
		server->without_edns = true;
		server->edns_works = false;
		server->edns_again_us = now_us + EDNS_AGAIN_US;
	}
}

/* What came over UDP is not believed: over TCP nobody off the path can answer. */
static enum exchange_step exchange_doubt(struct exchange *exchange, int64_t now_us)
{
	struct server_trust *trust = &exchange->servers[exchange->server].trust;
	uint8_t packets = exchange->packets[exchange->server];

	if (trust_tcp_possible(trust, now_us)) {
		enum exchange_step step =
			exchange_send_tcp(exchange, exchange_form(exchange), now_us);

		exchange->tcp_for_trust = step == EXCHANGE_SEND_TCP;
		return step;
	}
	if (packets < EXCHANGE_PACKETS_MAX)
		return exchange_send_udp(exchange, exchange_form(exchange), now_us);
	return exchange_next(exchange, now_us);
}

/*
 * Many packets that are no reply: somebody tries ids. That does not end the wait where there is no
 * other way to ask.
 */
static enum exchange_step exchange_take_strange(struct exchange *exchange, int64_t now_us)
{
	struct server_trust *trust = &exchange->servers[exchange->server].trust;

	exchange->last = EXCHANGE_STRANGE;
	if (exchange->over_tcp || ++exchange->strange != TRUST_STRANGE_MAX + 1)
		return EXCHANGE_WAIT;
	trust->spoofed++;
	if (exchange->packets[exchange->server] == EXCHANGE_PACKETS_MAX &&
		!trust_tcp_possible(trust, now_us))
		return EXCHANGE_WAIT;
	return exchange_doubt(exchange, now_us);
}

/* With the new cookie, then over TCP, where cookies do not matter (RFC 7873, 5.3). */
static enum exchange_step exchange_renew_cookie(struct exchange *exchange, int64_t now_us)
{
	bool again = exchange->badcookie;

	exchange->badcookie = true;
	if (exchange->over_tcp)
		return exchange_next_server(exchange, 0, now_us);
	if (again || exchange->packets[exchange->server] >= EXCHANGE_PACKETS_MAX)
		return exchange_turn_to_tcp(exchange, FORM_COOKIE, now_us);
	return exchange_send_udp(exchange, FORM_COOKIE, now_us);
}

/* EXCHANGE_WAIT: this server was asked often enough. */
static enum exchange_step exchange_leave_out(struct exchange *exchange, int64_t now_us)
{
	enum form form = exchange->packet.cookie_length ? FORM_EDNS : FORM_PLAIN;

	if (exchange->over_tcp)
		return exchange_turn_to_tcp(exchange, form, now_us);
	if (exchange->packets[exchange->server] < EXCHANGE_PACKETS_MAX)
		return exchange_send_udp(exchange, form, now_us);
	return EXCHANGE_WAIT;
}

/* What follows from a reply that is believed. */
static enum exchange_step exchange_take_reply(
	struct exchange *exchange, const struct packet_reply *reply, int64_t now_us)
{
	uint8_t rank = reply_rank(reply->rcode);

	if (packet_refuses_edns(&exchange->packet, reply->rcode)) {
		enum exchange_step step = exchange_leave_out(exchange, now_us);

		if (step != EXCHANGE_WAIT)
			return step;
	}
	if (rank > 0)
		return exchange_next_server(
			exchange, reply_worth_keeping(reply) ? rank : 0, now_us);
	exchange_note_answer(exchange, now_us);
	if (!(reply->flags & DNS_FLAG_TC))
		return EXCHANGE_DONE;
	if (!exchange->over_tcp)
		return exchange_turn_to_tcp(exchange, exchange_form(exchange), now_us);
	return exchange_next(exchange, now_us);
}

enum exchange_step exchange_input(
	struct exchange *exchange, const uint8_t *packet, size_t size, int64_t now_us)
{
	struct server_state *server = &exchange->servers[exchange->server];
	struct packet_reply reply;

	exchange->keep = false;
	if (!packet_match(&exchange->packet, packet, size, &reply))
		return exchange_take_strange(exchange, now_us);
	enum trust_verdict verdict =
		trust_judge(&server->trust, &exchange->packet, &reply, exchange->over_tcp, now_us);

	exchange->last = verdict == TRUST_DOUBT ? EXCHANGE_DOUBTED : EXCHANGE_BELIEVED;
	if (exchange->over_tcp) {
		exchange->packets[exchange->server] = EXCHANGE_PACKETS_MAX;
		server->answered++;
	} else {
		server_answered(server, now_us - exchange->sent_us);
	}
	switch (verdict) {
	case TRUST_DOUBT:
		return exchange_doubt(exchange, now_us);
	case TRUST_BADCOOKIE:
		return exchange_renew_cookie(exchange, now_us);
	default:
		return exchange_take_reply(exchange, &reply, now_us);
	}
}

void exchange_recompose(struct exchange *exchange, int64_t now_us)
{
	exchange_compose(exchange, exchange_form(exchange), now_us);
}

void exchange_unreachable(struct exchange *exchange, int64_t now_us)
{
	exchange->unreachable = true;
	if (exchange->deadline_us > now_us + UNREACHABLE_WAIT_US)
		exchange->deadline_us = now_us + UNREACHABLE_WAIT_US;
}

/* TCP was only to make sure: the server may be asked over UDP again, from another port. */
static void exchange_note_tcp_failed(struct exchange *exchange, int64_t now_us)
{
	if (exchange->tcp_for_trust)
		trust_tcp_failed(&exchange->servers[exchange->server].trust, now_us);
}

enum exchange_step exchange_timeout(struct exchange *exchange, int64_t now_us)
{
	exchange->keep = false;
	if (!exchange->over_tcp)
		server_timed_out(&exchange->servers[exchange->server], exchange->sent_us, now_us);
	else
		exchange_note_tcp_failed(exchange, now_us);
	if (exchange->kept_server >= 0)
		exchange->packets[exchange->server] = EXCHANGE_PACKETS_MAX;
	return exchange_next(exchange, now_us);
}

enum exchange_step exchange_transport_failed(struct exchange *exchange, int64_t now_us)
{
	if (!exchange->tcp_for_trust)
		exchange->packets[exchange->server] = EXCHANGE_PACKETS_MAX;
	return exchange_timeout(exchange, now_us);
}

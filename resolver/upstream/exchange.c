/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The rules of asking upstream, without sockets and clocks (the idea is djbdns' dns_transmit:
 * start, input, timeout).
 *
 * One server is asked at a time while it answers as it usually does. Asking two at once would be
 * faster when the first is dead, and was rejected: it doubles what every question costs and tells
 * two operators what was asked; a hedge costs that only where the first is late. A reply that says
 * "I cannot" (SERVFAIL, REFUSED …) is kept while another server may know better; the caller holds
 * its bytes, so that an exchange stays small.
 */
#include "resolver/upstream/exchange.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/dns/message.h"

#define TIMEOUT_REPEATED_MAX_US (1500 * US_PER_MS)
#define TIMEOUT_TCP_US (1500 * US_PER_MS)
#define TIMEOUT_TCP_REPEATED_US (3000 * US_PER_MS)
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

static enum form try_form(const struct exchange_try *try)
{
	if (try->packet.without_edns)
		return FORM_PLAIN;
	return try->cookie_withheld ? FORM_EDNS : FORM_COOKIE;
}

static struct server_state *try_server(
	const struct exchange *exchange, const struct exchange_try *try)
{
	return &exchange->group->servers[try->server];
}

static bool exchange_has_more(const struct exchange *exchange)
{
	for (size_t i = 0; i < exchange->group->count; i++) {
		if (exchange->packets[i] < EXCHANGE_PACKETS_MAX)
			return true;
	}
	return false;
}

/*
 * Whether what becomes of the try tells how the server is: not where TCP only fetches what UDP has
 * cut off.
 */
static bool try_tells(const struct exchange *exchange, const struct exchange_try *try)
{
	return !try->over_tcp || try_server(exchange, try)->transport != SERVER_UDP;
}

/* It had its time. */
static void try_end_wait(struct exchange *exchange, struct exchange_try *try, int64_t now_us)
{
	struct server_state *server = try_server(exchange, try);

	try->overdue = true;
	server->timed_out++;
	if (try_tells(exchange, try))
		server_was_silent(exchange->group, server, try->sent_us, now_us);
	else if (try->tcp_for_trust)
		trust_tcp_failed(&server->trust, now_us);
}

static bool try_is_late(
	const struct exchange *exchange, const struct exchange_try *try, int64_t now_us)
{
	if (try->overdue || !try_tells(exchange, try))
		return false;
	return try->unreachable ||
	       now_us - try->sent_us >= server_usual_us(try_server(exchange, try));
}

/*
 * The others lost. That says something about those that were later than usual; none of it is a
 * timeout.
 */
static enum exchange_step exchange_done(struct exchange *exchange, unsigned winner, int64_t now_us)
{
	exchange->slot = winner;
	exchange->group->hedges_won += exchange->tries[winner].hedge;
	for (unsigned i = 0; i < EXCHANGE_TRIES_MAX; i++) {
		struct exchange_try *try = &exchange->tries[i];

		if (try->open && try_is_late(exchange, try, now_us))
			server_was_silent(
				exchange->group, try_server(exchange, try), try->sent_us, now_us);
		try->open = false;
	}
	return EXCHANGE_DONE;
}

/* A free slot, or the one that was waited for longest. */
static unsigned exchange_slot(const struct exchange *exchange)
{
	unsigned slot = 0;

	for (unsigned i = 0; i < EXCHANGE_TRIES_MAX; i++) {
		if (!exchange->tries[i].open)
			return i;
		if (exchange->tries[i].sent_us < exchange->tries[slot].sent_us)
			slot = i;
	}
	return slot;
}

/* When the last of those that are not overdue has had its time; false: there is none. */
static bool exchange_wait(struct exchange *exchange)
{
	bool any = false;

	for (unsigned i = 0; i < EXCHANGE_TRIES_MAX; i++) {
		const struct exchange_try *try = &exchange->tries[i];

		if (!try->open || try->overdue)
			continue;
		if (!any || try->timeout_us > exchange->deadline_us)
			exchange->deadline_us = try->timeout_us;
		any = true;
	}
	return any;
}

/*
 * The deadline of a try that leaves now. The last packet of all may as well be waited for to the
 * end, unless a reply is at hand; the first may be late before its time is over.
 */
static void exchange_set_deadline(
	struct exchange *exchange, struct exchange_try *try, int64_t wait_us, bool hedging)
{
	bool last = exchange->kept_server < 0 && !exchange_has_more(exchange);
	int64_t usual_us = server_usual_us(try_server(exchange, try));

	try->timeout_us = try->sent_us + wait_us;
	if (last || try->timeout_us > exchange->give_up_us)
		try->timeout_us = exchange->give_up_us;
	exchange->deadline_us = try->timeout_us;
	exchange->hedging =
		hedging && usual_us < wait_us && try->sent_us + usual_us < try->timeout_us;
	if (exchange->hedging)
		exchange->deadline_us = try->sent_us + usual_us;
}

static void try_compose(
	const struct exchange *exchange, struct exchange_try *try, enum form form, int64_t now_us)
{
	struct packet_form out;

	out.id = random_u16(exchange->random);
	out.without_edns = form == FORM_PLAIN;
	trust_fill(&try_server(exchange, try)->trust, &out, exchange->question.qname.length,
		form == FORM_COOKIE, exchange->random, now_us);
	packet_compose(&try->packet, &exchange->question, &out);
}

static struct exchange_try *exchange_prepare(struct exchange *exchange, unsigned slot, int server,
	bool over_tcp, enum form form, int64_t now_us)
{
	struct exchange_try *try = &exchange->tries[slot];

	exchange->slot = slot;
	try->open = true;
	try->over_tcp = over_tcp;
	try->overdue = try->hedge = try->tcp_for_trust = try->unreachable = false;
	try->cookie_withheld = form == FORM_EDNS;
	try->strange = 0;
	try->server = (uint8_t)server;
	try->sent_us = now_us;
	try_compose(exchange, try, form, now_us);
	server_asked(try_server(exchange, try), now_us);
	return try;
}

static enum exchange_step exchange_send_udp(
	struct exchange *exchange, unsigned slot, int server, enum form form, int64_t now_us)
{
	uint8_t *packets = &exchange->packets[server];
	int64_t wait_us = server_timeout_us(&exchange->group->servers[server]) << *packets;
	bool first = exchange->hedging;

	++*packets;
	exchange_set_deadline(exchange,
		exchange_prepare(exchange, slot, server, false, form, now_us),
		wait_us < TIMEOUT_REPEATED_MAX_US ? wait_us : TIMEOUT_REPEATED_MAX_US, first);
	return EXCHANGE_SEND_UDP;
}

static enum exchange_step exchange_go_on(struct exchange *exchange, int64_t now_us);

/* In place of the slot's try, to the same server. */
static enum exchange_step exchange_send_tcp(
	struct exchange *exchange, unsigned slot, enum form form, int64_t now_us)
{
	uint8_t server = exchange->tries[slot].server;

	if (exchange->tcp_packets[server]++ >= EXCHANGE_PACKETS_MAX) {
		exchange->tries[slot].open = false;
		return exchange_go_on(exchange, now_us);
	}
	exchange_set_deadline(exchange,
		exchange_prepare(exchange, slot, server, true, form, now_us), TIMEOUT_TCP_US,
		false);
	return EXCHANGE_SEND_TCP;
}

/* It answers, so it will not be asked over UDP again, whatever comes over TCP. */
static enum exchange_step exchange_turn_to_tcp(
	struct exchange *exchange, unsigned slot, enum form form, int64_t now_us)
{
	exchange->packets[exchange->tries[slot].server] = EXCHANGE_PACKETS_MAX;
	return exchange_send_tcp(exchange, slot, form, now_us);
}

/*
 * To a server of TCP or TLS. It may have to be connected first, and nothing is lost on the way: so
 * the first time is longer than that of a packet over UDP, and is asked again for the sake of
 * connections that have died unnoticed.
 */
static enum exchange_step exchange_send_stream(
	struct exchange *exchange, unsigned slot, int server, enum form form, int64_t now_us)
{
	bool first = exchange->hedging, again = exchange->packets[server] > 0;

	exchange->packets[server]++;
	exchange_set_deadline(exchange,
		exchange_prepare(exchange, slot, server, true, form, now_us),
		again ? TIMEOUT_TCP_REPEATED_US : TIMEOUT_TCP_US, first);
	return EXCHANGE_SEND_TCP;
}

static enum exchange_step exchange_send_to(
	struct exchange *exchange, unsigned slot, int server, enum form form, int64_t now_us)
{
	return exchange->group->servers[server].transport == SERVER_UDP
		       ? exchange_send_udp(exchange, slot, server, form, now_us)
		       : exchange_send_stream(exchange, slot, server, form, now_us);
}

static enum exchange_step exchange_send(struct exchange *exchange, int server, int64_t now_us)
{
	return exchange_send_to(exchange, exchange_slot(exchange), server,
		server_form(&exchange->group->servers[server], exchange->packets[server], now_us),
		now_us);
}

static enum exchange_step exchange_next(struct exchange *exchange, int64_t now_us)
{
	if (exchange->give_up_us - now_us < LEFT_MIN_US)
		return EXCHANGE_FAILED;
	int server = server_choose(exchange->group, exchange->packets);

	return server < 0 ? EXCHANGE_FAILED : exchange_send(exchange, server, now_us);
}

/* A try ended without an answer: others may be under way. */
static enum exchange_step exchange_go_on(struct exchange *exchange, int64_t now_us)
{
	exchange->hedging = false;
	return exchange_wait(exchange) ? EXCHANGE_WAIT : exchange_next(exchange, now_us);
}

static void exchange_begin(struct exchange *exchange, enum exchange_kind kind,
	const struct upstream_question *question, struct server_group *group,
	struct random_pool *random)
{
	exchange->question = *question;
	exchange->group = group;
	exchange->random = random;
	exchange->kind = kind;
	exchange->keep = exchange->hedging = exchange->badcookie = false;
	memset(exchange->tcp_packets, 0, sizeof(exchange->tcp_packets));
	exchange->kept_server = -1;
	exchange->kept_rank = 0;
	for (unsigned i = 0; i < EXCHANGE_TRIES_MAX; i++)
		exchange->tries[i].open = false;
}

enum exchange_step exchange_start(struct exchange *exchange,
	const struct upstream_question *question, struct server_group *group, int64_t give_up_us,
	struct random_pool *random, int64_t now_us)
{
	exchange_begin(exchange, EXCHANGE_QUESTION, question, group, random);
	for (size_t i = 0; i < UPSTREAM_SERVERS_MAX; i++)
		exchange->packets[i] = group->servers[i].looping ? EXCHANGE_PACKETS_MAX : 0;
	exchange->give_up_us = give_up_us;
	exchange->hedging = group->hedge && group->count > 1;
	server_group_asked(group);
	return exchange_next(exchange, now_us);
}

enum exchange_step exchange_start_alone(struct exchange *exchange, enum exchange_kind kind,
	const struct upstream_question *question, struct server_group *group, unsigned server,
	struct random_pool *random, int64_t now_us)
{
	struct server_state *state = &group->servers[server];
	enum form form = server_form(state, 0, now_us);

	/* A server that never answered may be silent to EDNS: every other probe is without. */
	if (kind == EXCHANGE_PROBE && !state->edns_works && state->probes % 2 == 0)
		form = FORM_PLAIN;
	exchange_begin(exchange, kind, question, group, random);
	memset(exchange->packets, EXCHANGE_PACKETS_MAX, sizeof(exchange->packets));
	exchange->packets[server] = 0;
	exchange->give_up_us = now_us + (state->transport == SERVER_UDP ? server_timeout_us(state)
									: TIMEOUT_TCP_US);
	return exchange_send_to(exchange, 0, (int)server, form, now_us);
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

static bool exchange_is_open(const struct exchange *exchange)
{
	for (unsigned i = 0; i < EXCHANGE_TRIES_MAX; i++) {
		if (exchange->tries[i].open && !exchange->tries[i].overdue)
			return true;
	}
	return false;
}

/*
 * Keeps the reply if it is the best so far (rank 0: it is not fit to be kept). From now on no
 * server is asked a second time.
 */
static enum exchange_step exchange_take_failure(
	struct exchange *exchange, unsigned slot, uint8_t rank, int64_t now_us)
{
	for (size_t i = 0; i < exchange->group->count; i++) {
		if (exchange->packets[i] > 0)
			exchange->packets[i] = EXCHANGE_PACKETS_MAX;
	}
	if (rank > exchange->kept_rank) {
		if (!exchange_has_more(exchange) && !exchange_is_open(exchange))
			return exchange_done(exchange, slot, now_us);
		exchange->keep = true;
		exchange->kept_rank = rank;
		exchange->kept_server = exchange->tries[slot].server;
	}
	return exchange_go_on(exchange, now_us);
}

static void try_note_edns(
	const struct exchange *exchange, const struct exchange_try *try, int64_t now_us)
{
	struct server_state *server = try_server(exchange, try);

	if (!try->packet.without_edns) {
		server->edns_works = true;
		if (try->cookie_withheld)
			trust_cookie_not_needed(&server->trust, now_us);
	} else if (!server->without_edns) {
		server->without_edns = true;
		server->edns_works = false;
		server->edns_again_us = now_us + EDNS_AGAIN_US;
	}
}

static void try_note_reply(
	const struct exchange *exchange, const struct exchange_try *try, int64_t now_us)
{
	int64_t took_us = now_us - try->sent_us;

	if (exchange->kind == EXCHANGE_PROBE)
		server_probe_answered(exchange->group, try_server(exchange, try), took_us, now_us);
	else
		server_answered(
			try_server(exchange, try), try_tells(exchange, try) ? took_us : -1, now_us);
}

/* What came over UDP is not believed: over TCP nobody off the path can answer. */
static enum exchange_step exchange_doubt(struct exchange *exchange, unsigned slot, int64_t now_us)
{
	struct exchange_try *try = &exchange->tries[slot];

	if (trust_tcp_possible(&try_server(exchange, try)->trust, now_us)) {
		enum exchange_step step = exchange_send_tcp(exchange, slot, try_form(try), now_us);

		try->tcp_for_trust = step == EXCHANGE_SEND_TCP;
		return step;
	}
	if (exchange->packets[try->server] < EXCHANGE_PACKETS_MAX)
		return exchange_send_udp(exchange, slot, try->server, try_form(try), now_us);
	try->open = false;
	return exchange_go_on(exchange, now_us);
}

/*
 * Many packets that are no reply: somebody tries ids. That does not end the wait where there is no
 * other way to ask.
 */
static enum exchange_step exchange_take_strange(
	struct exchange *exchange, unsigned slot, int64_t now_us)
{
	struct exchange_try *try = &exchange->tries[slot];
	struct server_trust *trust = &try_server(exchange, try)->trust;

	exchange->last = EXCHANGE_STRANGE;
	if (try->over_tcp || ++try->strange != TRUST_STRANGE_MAX + 1)
		return EXCHANGE_IGNORED;
	trust->spoofed++;
	if (exchange->packets[try->server] == EXCHANGE_PACKETS_MAX &&
		!trust_tcp_possible(trust, now_us))
		return EXCHANGE_IGNORED;
	return exchange_doubt(exchange, slot, now_us);
}

/* With the new cookie, then over TCP, where cookies do not matter (RFC 7873, 5.3). */
static enum exchange_step exchange_renew_cookie(
	struct exchange *exchange, unsigned slot, int64_t now_us)
{
	struct exchange_try *try = &exchange->tries[slot];
	bool again = exchange->badcookie;

	exchange->badcookie = true;
	if (try->over_tcp)
		return exchange_take_failure(exchange, slot, 0, now_us);
	if (again || exchange->packets[try->server] >= EXCHANGE_PACKETS_MAX)
		return exchange_turn_to_tcp(exchange, slot, FORM_COOKIE, now_us);
	return exchange_send_udp(exchange, slot, try->server, FORM_COOKIE, now_us);
}

/* EXCHANGE_WAIT: this server was asked often enough. */
static enum exchange_step exchange_leave_out(
	struct exchange *exchange, unsigned slot, int64_t now_us)
{
	struct exchange_try *try = &exchange->tries[slot];
	enum form form = try->packet.cookie_length ? FORM_EDNS : FORM_PLAIN;

	if (try->over_tcp)
		return exchange_turn_to_tcp(exchange, slot, form, now_us);
	if (exchange->packets[try->server] < EXCHANGE_PACKETS_MAX)
		return exchange_send_udp(exchange, slot, try->server, form, now_us);
	return EXCHANGE_WAIT;
}

/* What follows from a reply that is believed. */
static enum exchange_step exchange_take_reply(
	struct exchange *exchange, unsigned slot, const struct packet_reply *reply, int64_t now_us)
{
	struct exchange_try *try = &exchange->tries[slot];
	uint8_t rank = reply_rank(reply->rcode);

	if (packet_refuses_edns(&try->packet, reply->rcode)) {
		enum exchange_step step = exchange_leave_out(exchange, slot, now_us);

		if (step != EXCHANGE_WAIT)
			return step;
	}
	if (rank > 0) {
		server_failed(try_server(exchange, try));
		return exchange_take_failure(
			exchange, slot, reply_worth_keeping(reply) ? rank : 0, now_us);
	}
	server_succeeded(try_server(exchange, try));
	try_note_edns(exchange, try, now_us);
	if (!(reply->flags & DNS_FLAG_TC))
		return exchange_done(exchange, slot, now_us);
	if (!try->over_tcp)
		return exchange_turn_to_tcp(exchange, slot, try_form(try), now_us);
	return exchange_go_on(exchange, now_us);
}

enum exchange_step exchange_input(struct exchange *exchange, unsigned slot, const uint8_t *packet,
	size_t size, int64_t now_us)
{
	struct exchange_try *try = &exchange->tries[slot];
	struct packet_reply reply;

	exchange->keep = false;
	if (!packet_match(&try->packet, packet, size, &reply))
		return exchange_take_strange(exchange, slot, now_us);
	enum trust_verdict verdict = trust_judge(
		&try_server(exchange, try)->trust, &try->packet, &reply, try->over_tcp, now_us);

	exchange->last = verdict == TRUST_DOUBT ? EXCHANGE_DOUBTED : EXCHANGE_BELIEVED;
	try->open = false;
	try_note_reply(exchange, try, now_us);
	if (try->over_tcp)
		exchange->packets[try->server] = EXCHANGE_PACKETS_MAX;
	switch (verdict) {
	case TRUST_DOUBT:
		return exchange_doubt(exchange, slot, now_us);
	case TRUST_BADCOOKIE:
		return exchange_renew_cookie(exchange, slot, now_us);
	default:
		return exchange_take_reply(exchange, slot, &reply, now_us);
	}
}

void exchange_recompose(struct exchange *exchange, int64_t now_us)
{
	struct exchange_try *try = &exchange->tries[exchange->slot];

	try_compose(exchange, try, try_form(try), now_us);
}

void exchange_unreachable(struct exchange *exchange, unsigned slot, int64_t now_us)
{
	struct exchange_try *try = &exchange->tries[slot];

	try->unreachable = true;
	if (try->timeout_us > now_us + UNREACHABLE_WAIT_US)
		try->timeout_us = now_us + UNREACHABLE_WAIT_US;
	if (exchange->hedging)
		exchange->deadline_us = now_us;
	else
		exchange_wait(exchange);
}

void exchange_sent(struct exchange *exchange, unsigned slot, int64_t now_us)
{
	exchange->tries[slot].sent_us = now_us;
}

/* The first try is later than usual. */
static enum exchange_step exchange_hedge(struct exchange *exchange, int64_t now_us)
{
	const struct exchange_try *late = &exchange->tries[exchange->slot];
	int other = server_hedge(exchange->group, try_server(exchange, late), exchange->packets,
		late->unreachable, now_us);

	exchange->hedging = false;
	if (other < 0) {
		exchange->deadline_us = late->timeout_us;
		return EXCHANGE_WAIT;
	}
	enum exchange_step step = exchange_send(exchange, other, now_us);

	exchange->tries[exchange->slot].hedge = true;
	return step;
}

enum exchange_step exchange_timeout(struct exchange *exchange, int64_t now_us)
{
	exchange->keep = false;
	if (exchange->hedging)
		return exchange_hedge(exchange, now_us);
	/* A loop that keeps its clock for a turn may call a little early. */
	int64_t due_us = now_us > exchange->deadline_us ? now_us : exchange->deadline_us;

	for (unsigned i = 0; i < EXCHANGE_TRIES_MAX; i++) {
		struct exchange_try *try = &exchange->tries[i];

		if (!try->open || try->overdue || try->timeout_us > due_us)
			continue;
		try_end_wait(exchange, try, now_us);
		if (exchange->kept_server >= 0)
			exchange->packets[try->server] = EXCHANGE_PACKETS_MAX;
	}
	return exchange_next(exchange, now_us);
}

enum exchange_step exchange_transport_failed(
	struct exchange *exchange, unsigned slot, int64_t now_us)
{
	struct exchange_try *try = &exchange->tries[slot];
	struct server_state *server = try_server(exchange, try);

	exchange->keep = false;
	if (try->tcp_for_trust)
		trust_tcp_failed(&server->trust, now_us);
	else
		exchange->packets[try->server] = EXCHANGE_PACKETS_MAX;
	try->open = false;
	server->failed++;
	if (try_tells(exchange, try))
		server_was_silent(exchange->group, server, try->sent_us, now_us);
	return exchange_go_on(exchange, now_us);
}

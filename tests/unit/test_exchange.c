/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of asking upstream, on a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/dns/message.h"
#include "resolver/upstream/exchange.h"

#define MS US_PER_MS

struct fixture {
	struct server_group group;
	struct upstream_question question;
	struct exchange exchange;
	int64_t now;
	uint16_t id; /* the last one given */
	struct random_pool random;
	uint8_t reply[1024];
	size_t reply_size;
};

static void setup(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(name_from_text(&f->question.qname, "www.Example.com.", 16), TD_OK);
	f->question.qtype = TYPE_A;
	f->now = 1000 * US_PER_S;
	f->id = 100;
	for (uint8_t i = 0; i < 4; i++) {
		uint8_t octets[4] = {192, 0, 2, i};

		f->group.servers[i].endpoint =
			(struct endpoint){.address = address_v4(octets), .port = 53};
	}
}

/* The try that was sent last, or that ended it. */
static const struct exchange_try *sent(const struct fixture *f)
{
	return &f->exchange.tries[f->exchange.slot];
}

/* What the pool gives next: an id one higher than before, then zeros. */
static void next_id(struct fixture *f)
{
	f->id++;
	memset(&f->random, 0, sizeof(f->random));
	f->random.left = sizeof(f->random.bytes);
	memcpy(&f->random.bytes[f->random.left - sizeof(f->id)], &f->id, sizeof(f->id));
}

static enum exchange_step start(struct fixture *f, size_t servers)
{
	next_id(f);
	f->group.count = servers;
	return exchange_start(&f->exchange, &f->question, &f->group, f->now + 5000 * MS, &f->random,
		f->now);
}

/* A reply to the packet in flight: the question as sent, flags with QR added, no records. */
static void reply_make(struct fixture *f, uint16_t flags)
{
	size_t size = DNS_HEADER_SIZE + f->question.qname.length + 4u;

	memcpy(f->reply, sent(f)->packet.octets, size);
	wire_put_u16(f->reply, size, 2, flags | DNS_FLAG_QR | DNS_FLAG_RD | DNS_FLAG_RA);
	wire_put_u16(f->reply, size, 10, 0);
	f->reply_size = size;
}

static enum exchange_step input(struct fixture *f)
{
	next_id(f);
	return exchange_input(&f->exchange, f->exchange.slot, f->reply, f->reply_size, f->now);
}

static enum exchange_step input_to(struct fixture *f, unsigned slot)
{
	next_id(f);
	return exchange_input(&f->exchange, slot, f->reply, f->reply_size, f->now);
}

static enum exchange_step reply(struct fixture *f, uint16_t flags)
{
	reply_make(f, flags);
	f->now += 20 * MS;
	return input(f);
}

static enum exchange_step time_out(struct fixture *f)
{
	f->now = f->exchange.deadline_us;
	next_id(f);
	return exchange_timeout(&f->exchange, f->now);
}

static uint16_t packet_u16(const struct fixture *f, size_t offset)
{
	struct wire_reader reader =
		wire_reader_init(sent(f)->packet.octets, sent(f)->packet.length);

	wire_read_bytes(&reader, offset);
	return wire_read_u16(&reader);
}

/* --- the packet --- */

static void test_packet(void **state)
{
	(void)state;
	struct fixture f;
	static const uint8_t opt[] = {0, 0, 41, 1232 >> 8, 1232 & 0xff, 0, 0, 0x80, 0, 0, 0};

	setup(&f);
	f.question.dnssec_ok = true;
	f.question.checking_disabled = true;
	assert_int_equal(start(&f, 1), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->packet.length, 12 + 17 + 4 + 11);
	assert_int_equal(packet_u16(&f, 0), 101);
	assert_int_equal(packet_u16(&f, 2), DNS_FLAG_RD | DNS_FLAG_AD | DNS_FLAG_CD);
	assert_int_equal(packet_u16(&f, 4), 1);
	assert_int_equal(packet_u16(&f, 10), 1);
	assert_memory_equal(sent(&f)->packet.octets + 12, f.question.qname.wire, 17);
	assert_memory_equal(sent(&f)->packet.octets + 33, opt, sizeof(opt));

	f.question.dnssec_ok = false;
	f.question.checking_disabled = false;
	start(&f, 1);
	assert_int_equal(packet_u16(&f, 2), DNS_FLAG_RD | DNS_FLAG_AD);
	assert_int_equal(packet_u16(&f, 40), 0);
}

static void test_packet_longest_name(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	f.question.qname.length = 255;
	memset(f.question.qname.wire, 'x', 254);
	f.question.qname.wire[0] = f.question.qname.wire[64] = f.question.qname.wire[128] = 63;
	f.question.qname.wire[192] = 61;
	f.question.qname.wire[254] = 0;
	assert_int_equal(start(&f, 1), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->packet.length, PACKET_MAX - 4 - COOKIE_MAX - 4 - SUBNET_SENT_MAX);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
}

/* --- which packet is the reply --- */

static void test_match(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_int_equal(sent(&f)->server, 0);
	assert_int_equal(f.group.servers[0].srtt_us, 20 * MS);
	assert_int_equal(f.group.servers[0].answered, 1);
	assert_true(f.group.servers[0].edns_works);
}

static void test_match_case_and_trailing(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	reply_make(&f, 0);
	f.reply[13] ^= 0x20;
	f.reply[17] ^= 0x20;
	memset(f.reply + f.reply_size, 0xff, 40);
	f.reply_size += 40;
	assert_int_equal(input(&f), EXCHANGE_DONE);

	start(&f, 1);
	assert_int_equal(reply(&f, RCODE_NXDOMAIN), EXCHANGE_DONE);
}

/* However many: what happens to their number is another test's. */
static void ignored(struct fixture *f)
{
	f->exchange.tries[f->exchange.slot].strange = 0;
	assert_int_equal(input(f), EXCHANGE_IGNORED);
	assert_int_equal(f->exchange.last, EXCHANGE_STRANGE);
}

/* Each octet of header and question that must match, changed alone; then cut at every length. */
static void test_mismatch(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 2);
	int64_t deadline = f.exchange.deadline_us;
	size_t size = DNS_HEADER_SIZE + 17 + 4;

	for (size_t i = 0; i < size; i++) {
		if (i == 3 || (i >= 6 && i < 12))
			continue; /* flags of no matter here, and counts of the other sections */
		reply_make(&f, 0);
		f.reply[i] ^= i == 2 ? 0x80 : 0x11;
		ignored(&f);
	}
	reply_make(&f, 0x0800); /* opcode */
	ignored(&f);
	for (size_t cut = 0; cut < size; cut++) {
		reply_make(&f, 0);
		f.reply_size = cut;
		ignored(&f);
	}
	for (unsigned i = 0; i < 65536; i++) {
		reply_make(&f, 0);
		wire_put_u16(f.reply, f.reply_size, 0, (uint16_t)i);
		if (i != packet_id(&sent(&f)->packet))
			ignored(&f);
	}
	assert_int_equal(f.exchange.deadline_us, deadline);
	assert_int_equal(f.group.servers[0].answered, 0);
	assert_int_equal(f.group.servers[0].silences, 0);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
}

/* A question of two names, or none, is no reply, unless none comes with FORMERR. */
static void test_mismatch_count(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	reply_make(&f, 0);
	wire_put_u16(f.reply, f.reply_size, 4, 2);
	assert_int_equal(input(&f), EXCHANGE_IGNORED);
	wire_put_u16(f.reply, f.reply_size, 4, 0);
	assert_int_equal(input(&f), EXCHANGE_IGNORED);
	reply_make(&f, RCODE_SERVFAIL);
	wire_put_u16(f.reply, f.reply_size, 4, 0);
	assert_int_equal(input(&f), EXCHANGE_IGNORED);
}

/* The reply to an earlier packet counts where that one came from, and nowhere else. */
static void test_late_reply(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	reply_make(&f, 0);
	assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
	assert_int_equal(f.exchange.slot, 1);
	assert_int_equal(input(&f), EXCHANGE_IGNORED);
	assert_int_equal(input_to(&f, 0), EXCHANGE_DONE);
	assert_int_equal(f.exchange.slot, 0);
}

/* A loop may call a little before the deadline: that is the deadline. */
static void test_early_deadline(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	f.now = f.exchange.deadline_us - 100;
	next_id(&f);
	assert_int_equal(exchange_timeout(&f.exchange, f.now), EXCHANGE_SEND_UDP);
	assert_int_equal(f.group.servers[0].timed_out, 1);
	assert_int_equal(f.group.servers[0].silences, 1);
	assert_true(f.exchange.tries[0].overdue);
}

/* Three are listened to; the fourth takes the place of the oldest. */
static void test_tries_bound(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 4);
	for (unsigned slot = 1; slot < 5; slot++) {
		assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
		assert_int_equal(f.exchange.slot, slot % EXCHANGE_TRIES_MAX);
	}
	reply_make(&f, 0);
	assert_int_equal(input_to(&f, 2), EXCHANGE_IGNORED);
	assert_int_equal(input(&f), EXCHANGE_DONE);
}

/* --- hedges --- */

static void setup_hedge(struct fixture *f, size_t servers)
{
	setup(f);
	f->group.hedge = true;
	f->group.count = servers;
	f->group.hedge_tokens = 5000;
	for (size_t i = 0; i < servers; i++) {
		f->group.servers[i].srtt_us = 20 * MS;
		f->group.servers[i].rttvar_us = 20 * MS;
		f->group.servers[i].answered_us = f->now;
	}
}

/* Later than usual: another is asked, the first is listened to, the first good answer counts. */
static void test_hedge(void **state)
{
	(void)state;
	struct fixture f;

	for (unsigned winner = 0; winner < 2; winner++) {
		setup_hedge(&f, 2);
		assert_int_equal(start(&f, 2), EXCHANGE_SEND_UDP);
		int64_t begin = f.now;

		assert_int_equal(f.exchange.deadline_us, begin + 100 * MS);
		reply_make(&f, 0);
		assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
		assert_int_equal(sent(&f)->server, 1);
		assert_int_equal(f.exchange.deadline_us, begin + 500 * MS);
		assert_int_equal(f.group.servers[0].timed_out, 0);
		f.now += 5 * MS;
		if (winner == 1)
			reply_make(&f, 0);
		assert_int_equal(input_to(&f, winner), EXCHANGE_DONE);
		assert_int_equal(sent(&f)->server, winner);
		assert_int_equal(f.group.hedges, 1);
		assert_int_equal(f.group.hedges_won, winner);
		assert_int_equal(f.group.servers[1].hedges, 1);
		assert_int_equal(f.group.servers[0].silences, winner);
	}
}

/* A mismatch in either place ends no wait; nor does the failure of one while the other may answer. */
static void test_hedge_failure(void **state)
{
	(void)state;
	struct fixture f;

	setup_hedge(&f, 3);
	start(&f, 3);
	reply_make(&f, RCODE_SERVFAIL);
	time_out(&f);
	assert_int_equal(input_to(&f, 1), EXCHANGE_IGNORED);
	assert_int_equal(input_to(&f, 0), EXCHANGE_WAIT);
	assert_true(f.exchange.keep);
	assert_true(f.exchange.deadline_us > f.now);
	reply_make(&f, 0);
	assert_int_equal(input_to(&f, 1), EXCHANGE_DONE);
	assert_int_equal(f.group.servers[2].sent, 0);

	setup_hedge(&f, 2);
	start(&f, 2);
	time_out(&f);
	reply_make(&f, RCODE_SERVFAIL);
	assert_int_equal(input_to(&f, 1), EXCHANGE_WAIT);
	assert_int_equal(
		exchange_transport_failed(&f.exchange, 0, f.now), EXCHANGE_FAILED);
	assert_int_equal(f.exchange.kept_server, 1);
}

/* Without a token the first is waited for to its end; with `hedge` off there is no such moment. */
static void test_hedge_refused(void **state)
{
	(void)state;
	struct fixture f;

	setup_hedge(&f, 2);
	f.group.hedge_tokens = 0;
	start(&f, 2);
	int64_t begin = f.now;

	assert_int_equal(time_out(&f), EXCHANGE_WAIT);
	assert_int_equal(f.exchange.deadline_us, begin + 400 * MS);
	assert_int_equal(f.group.hedges_refused, 1);
	assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->server, 1);

	setup_hedge(&f, 2);
	f.group.hedge = false;
	start(&f, 2);
	assert_int_equal(f.exchange.deadline_us, f.now + 400 * MS);
}

/* A dead server under load: everybody who waits for it goes elsewhere, whatever the tokens. */
static void test_hedge_dead(void **state)
{
	(void)state;
	static struct fixture f;
	static struct exchange waiting[200];

	setup_hedge(&f, 2);
	f.group.hedge_tokens = 3000;
	int64_t begin = f.now;

	for (int i = 0; i < 200; i++) {
		next_id(&f);
		exchange_start(&waiting[i], &f.question, &f.group, f.now + 5000 * MS, &f.random,
			f.now);
		f.now += MS / 2;
	}
	for (int i = 0; i < 200; i++) {
		next_id(&f);
		f.now = waiting[i].deadline_us;
		if (waiting[i].tries[0].server == 1)
			continue;
		assert_int_equal(exchange_timeout(&waiting[i], f.now), EXCHANGE_SEND_UDP);
		assert_int_equal(waiting[i].tries[1].server, 1);
		f.exchange = waiting[i];
		reply_make(&f, 0);
		assert_int_equal(exchange_input(&waiting[i], 1, f.reply, f.reply_size, f.now),
			EXCHANGE_DONE);
	}
	assert_int_equal(f.group.hedges_refused, 0);
	assert_int_equal(f.group.servers[0].health, SERVER_UP); /* all sent before the first sign */
	f.now = begin + 201 * MS;
	f.group.servers[1].srtt_us = 20 * MS;
	start(&f, 2);
	assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
	reply_make(&f, 0);
	input(&f);
	assert_int_equal(f.group.servers[0].health, SERVER_DOWN);
	start(&f, 2);
	assert_int_equal(sent(&f)->server, 1);
}

/* --- alone: copies and probes --- */

static void test_alone(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	f.group.count = 3;
	next_id(&f);
	assert_int_equal(exchange_start_alone(&f.exchange, EXCHANGE_COPY, &f.question, &f.group, 2,
				 &f.random, f.now),
		EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->server, 2);
	assert_int_equal(time_out(&f), EXCHANGE_FAILED);
	assert_int_equal(f.group.servers[2].silences, 1);
	assert_int_equal(f.group.servers[0].sent + f.group.servers[1].sent, 0);

	f.group.servers[2].health = SERVER_DOWN;
	exchange_start_alone(
		&f.exchange, EXCHANGE_PROBE, &f.question, &f.group, 2, &f.random, f.now);
	assert_int_equal(packet_u16(&f, 10), 0); /* without EDNS, in turn */
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_int_equal(f.group.servers[2].health, SERVER_RETURNING);
	exchange_start_alone(
		&f.exchange, EXCHANGE_COPY, &f.question, &f.group, 2, &f.random, f.now);
	assert_int_equal(reply(&f, RCODE_SERVFAIL), EXCHANGE_DONE);
	assert_int_equal(f.group.servers[2].health, SERVER_UP);
}

/* --- whom to ask, how often, how long --- */

static void test_no_server(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	assert_int_equal(start(&f, 0), EXCHANGE_FAILED);
}

static void test_packets_one_server(void **state)
{
	(void)state;
	struct fixture f;
	int64_t begin;

	setup(&f);
	begin = f.now;
	assert_int_equal(start(&f, 1), EXCHANGE_SEND_UDP);
	assert_int_equal(f.exchange.deadline_us, begin + 400 * MS);
	assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
	assert_int_equal(f.exchange.deadline_us, begin + 1200 * MS);
	assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
	assert_int_equal(f.exchange.deadline_us, begin + 5000 * MS);
	assert_int_equal(time_out(&f), EXCHANGE_FAILED);
	assert_int_equal(f.group.servers[0].sent, 3);
	assert_int_equal(f.group.servers[0].timed_out, 3);
	assert_true(f.exchange.kept_server < 0);
}

static void test_packets_order(void **state)
{
	(void)state;
	struct fixture f;
	static const int order[] = {0, 1, 2, 0, 1, 2, 0, 1, 2};
	enum exchange_step step;
	size_t packets = 0;
	unsigned asked[3] = {0};

	setup(&f);
	for (step = start(&f, 3); step == EXCHANGE_SEND_UDP; step = time_out(&f)) {
		if (packets < 3) /* later ones depend on back-offs */
			assert_int_equal(sent(&f)->server, order[packets]);
		asked[sent(&f)->server]++;
		packets++;
	}
	assert_int_equal(step, EXCHANGE_FAILED);
	for (int i = 0; i < 3; i++)
		assert_in_range(asked[i], 1, 3);
	assert_true(f.now <= f.exchange.give_up_us);
}

/* The price of a dead first server: 400 ms, once; then the one that was measured is faster. */
static void test_dead_server(void **state)
{
	(void)state;
	struct fixture f;
	int64_t waited = 0;

	setup(&f);
	for (int question = 0; question < 20; question++) {
		int64_t begin = f.now;

		start(&f, 2);
		if (sent(&f)->server == 0)
			assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
		assert_int_equal(sent(&f)->server, 1);
		waited += f.now - begin;
		assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	}
	assert_int_equal(waited, 400 * MS);
	assert_int_equal(f.group.servers[0].sent, 1);
}

static void test_port_unreachable(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 2);
	assert_int_equal(exchange_transport_failed(&f.exchange, f.exchange.slot, f.now), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->server, 1);
	assert_int_equal(exchange_transport_failed(&f.exchange, f.exchange.slot, f.now), EXCHANGE_FAILED);
	assert_int_equal(f.group.servers[0].sent, 1);
	start(&f, 2);
	exchange_transport_failed(&f.exchange, f.exchange.slot, f.now);
	assert_int_equal(f.group.servers[0].health, SERVER_DOWN);
}

static void test_total_time(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	f.group.count = 2;
	exchange_start(&f.exchange, &f.question, &f.group, f.now + 300 * MS, &f.random, f.now);
	assert_int_equal(f.exchange.deadline_us, f.now + 300 * MS);
	assert_int_equal(time_out(&f), EXCHANGE_FAILED);
	assert_int_equal(
		exchange_start(&f.exchange, &f.question, &f.group, f.now + 1, &f.random, f.now),
		EXCHANGE_FAILED);
}

/* --- replies that are no answers --- */

static void test_servfail_next_server(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 2);
	assert_int_equal(reply(&f, RCODE_SERVFAIL), EXCHANGE_SEND_UDP);
	assert_true(f.exchange.keep);
	assert_int_equal(f.exchange.kept_server, 0);
	assert_int_equal(sent(&f)->server, 1);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_false(f.exchange.keep);
	assert_int_equal(f.group.servers[0].silences, 0);
}

/*
 * REFUSED, then SERVFAIL from the last: the second is better and is handed over at once. The other
 * way round the first stays.
 */
static void test_best_reply(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 2);
	assert_int_equal(reply(&f, RCODE_REFUSED), EXCHANGE_SEND_UDP);
	assert_int_equal(reply(&f, RCODE_SERVFAIL), EXCHANGE_DONE);
	assert_int_equal(sent(&f)->server, 1);

	start(&f, 3);
	assert_int_equal(reply(&f, RCODE_SERVFAIL), EXCHANGE_SEND_UDP);
	assert_true(f.exchange.keep);
	assert_int_equal(reply(&f, RCODE_REFUSED), EXCHANGE_SEND_UDP);
	assert_false(f.exchange.keep);
	assert_int_equal(reply(&f, RCODE_REFUSED), EXCHANGE_FAILED);
	assert_false(f.exchange.keep);
	assert_int_equal(f.exchange.kept_server, 0);
}

static void test_servfail_alone(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	assert_int_equal(reply(&f, RCODE_SERVFAIL), EXCHANGE_DONE);
	start(&f, 1);
	assert_int_equal(reply(&f, RCODE_SERVFAIL | DNS_FLAG_TC), EXCHANGE_FAILED);
	assert_true(f.exchange.kept_server < 0);
}

/* With a reply in hand nobody is asked twice. */
static void test_kept_then_silence(void **state)
{
	(void)state;
	struct fixture f;
	int64_t begin;

	setup(&f);
	start(&f, 2);
	reply(&f, RCODE_SERVFAIL);
	begin = f.now;
	assert_int_equal(time_out(&f), EXCHANGE_FAILED);
	assert_int_equal(f.now - begin, 400 * MS);
	assert_int_equal(f.exchange.kept_server, 0);
	assert_int_equal(f.group.servers[1].sent, 1);
}

/* --- EDNS --- */

static void test_formerr_without_edns(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 2);
	assert_int_equal(reply(&f, RCODE_FORMERR), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->server, 0);
	assert_int_equal(packet_u16(&f, 10), 0);
	assert_int_equal(sent(&f)->packet.length, 33);
	assert_false(f.group.servers[0].without_edns);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_true(f.group.servers[0].without_edns);

	start(&f, 2); /* remembered */
	assert_int_equal(packet_u16(&f, 10), 0);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	f.now = f.group.servers[0].edns_again_us;
	start(&f, 2); /* but not for ever */
	assert_int_equal(packet_u16(&f, 10), 1);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_false(f.group.servers[0].without_edns);
}

static void test_header_alone_without_edns(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	reply_make(&f, RCODE_NOTIMP);
	wire_put_u16(f.reply, f.reply_size, 4, 0);
	f.reply_size = DNS_HEADER_SIZE;
	assert_int_equal(input(&f), EXCHANGE_SEND_UDP);
	assert_true(sent(&f)->packet.without_edns);
	wire_put_u16(f.reply, f.reply_size, 0, packet_id(&sent(&f)->packet));
	assert_int_equal(input(&f), EXCHANGE_IGNORED); /* no second time */
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
}

static void test_formerr_twice(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 2);
	assert_int_equal(reply(&f, RCODE_FORMERR), EXCHANGE_SEND_UDP);
	assert_int_equal(reply(&f, RCODE_FORMERR), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->server, 1);
	assert_false(sent(&f)->packet.without_edns);
	assert_false(f.group.servers[0].without_edns);
}

/* Silence may mean that EDNS is not understood; not from a server that has answered it before. */
static void test_silence_without_edns(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	time_out(&f);
	assert_false(sent(&f)->packet.without_edns);
	time_out(&f);
	assert_true(sent(&f)->packet.without_edns);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_true(f.group.servers[0].without_edns);

	setup(&f);
	start(&f, 1);
	reply(&f, 0);
	start(&f, 1);
	time_out(&f);
	time_out(&f);
	assert_false(sent(&f)->packet.without_edns);
}

/* --- TCP --- */

static void test_truncated(void **state)
{
	(void)state;
	struct fixture f;
	uint16_t id;

	setup(&f);
	start(&f, 2);
	id = packet_id(&sent(&f)->packet);
	assert_int_equal(reply(&f, DNS_FLAG_TC), EXCHANGE_SEND_TCP);
	assert_int_equal(sent(&f)->server, 0);
	assert_int_not_equal(packet_id(&sent(&f)->packet), id);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_int_equal(f.group.servers[0].answered, 2);
}

static void test_truncated_tcp_fails(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 2);
	reply(&f, DNS_FLAG_TC);
	assert_int_equal(exchange_transport_failed(&f.exchange, f.exchange.slot, f.now), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->server, 1);
	assert_int_equal(f.group.servers[0].silences, 0);
	assert_int_equal(reply(&f, DNS_FLAG_TC), EXCHANGE_SEND_TCP);
	assert_int_equal(sent(&f)->server, 1);
	assert_int_equal(time_out(&f), EXCHANGE_FAILED);
}

static void test_truncated_over_tcp(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 2);
	reply(&f, DNS_FLAG_TC);
	assert_int_equal(reply(&f, DNS_FLAG_TC), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->server, 1);
}

static void test_formerr_over_tcp(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	reply(&f, DNS_FLAG_TC);
	assert_int_equal(reply(&f, RCODE_FORMERR), EXCHANGE_SEND_TCP);
	assert_true(sent(&f)->packet.without_edns);
	assert_int_equal(reply(&f, RCODE_FORMERR), EXCHANGE_DONE);
}

/* --- what is not believed (the rules themselves: test_trust.c) --- */

static void setup_varied(struct fixture *f)
{
	setup(f);
	for (int i = 0; i < 4; i++)
		f->group.servers[i].trust.vary_case = true;
}

/* A right reply but for one letter. */
static enum exchange_step reply_other_case(struct fixture *f, uint16_t flags)
{
	reply_make(f, flags);
	f->reply[DNS_HEADER_SIZE + 1] ^= 0x20;
	f->now += 20 * MS;
	return input(f);
}

static void test_other_case_over_tcp(void **state)
{
	(void)state;
	struct fixture f;

	setup_varied(&f);
	start(&f, 2);
	assert_int_equal(reply_other_case(&f, 0), EXCHANGE_SEND_TCP);
	assert_int_equal(sent(&f)->server, 0);
	assert_int_equal(f.exchange.last, EXCHANGE_DOUBTED);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_false(trust_case_lost(&f.group.servers[0].trust, f.now)); /* so it was a forgery */

	start(&f, 2);
	assert_int_equal(reply_other_case(&f, 0), EXCHANGE_SEND_TCP);
	assert_int_equal(reply_other_case(&f, 0), EXCHANGE_DONE);
	assert_true(trust_case_lost(&f.group.servers[0].trust, f.now));
	start(&f, 2);
	assert_int_equal(reply_other_case(&f, 0), EXCHANGE_DONE);
}

/* Without TCP: two replies more, each to a packet of its own. */
static void test_other_case_without_tcp(void **state)
{
	(void)state;
	struct fixture f;

	setup_varied(&f);
	start(&f, 1);
	assert_int_equal(reply_other_case(&f, 0), EXCHANGE_SEND_TCP);
	assert_int_equal(exchange_transport_failed(&f.exchange, f.exchange.slot, f.now), EXCHANGE_SEND_UDP);
	uint16_t id = packet_id(&sent(&f)->packet);

	assert_int_equal(reply_other_case(&f, 0), EXCHANGE_SEND_UDP);
	assert_int_not_equal(packet_id(&sent(&f)->packet), id);
	assert_int_equal(reply_other_case(&f, 0), EXCHANGE_DONE);
	assert_true(trust_case_lost(&f.group.servers[0].trust, f.now));
	assert_int_equal(f.group.servers[0].trust.doubted, 3);
	assert_int_equal(f.group.servers[0].sent, 4);
}

static void send_strange(struct fixture *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		reply_make(f, 0);
		f->reply[0] ^= 0x40;
		assert_int_equal(input(f), EXCHANGE_IGNORED);
	}
	reply_make(f, 0);
	f->reply[0] ^= 0x40;
}

/* Somebody tries ids: the question goes over TCP; when that fails, from another port. */
static void test_many_strange(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	send_strange(&f, TRUST_STRANGE_MAX);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE); /* so many do not matter */

	start(&f, 1);
	send_strange(&f, TRUST_STRANGE_MAX);
	assert_int_equal(input(&f), EXCHANGE_SEND_TCP);
	assert_int_equal(f.exchange.last, EXCHANGE_STRANGE);
	assert_int_equal(f.group.servers[0].trust.spoofed, 1);
	assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
	send_strange(&f, TRUST_STRANGE_MAX);
	assert_int_equal(input(&f), EXCHANGE_SEND_UDP);
	send_strange(&f, 1000); /* nothing is left but to wait */
	assert_int_equal(f.group.servers[0].trust.spoofed, 3);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
}

/* A message that the port is closed ends nothing, and is not waited on for long. */
static void test_unreachable(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	exchange_unreachable(&f.exchange, f.exchange.slot, f.now);
	assert_true(f.exchange.deadline_us - f.now <= 250 * MS);
	f.now += 150 * MS;
	exchange_unreachable(&f.exchange, f.exchange.slot, f.now);
	assert_true(f.exchange.deadline_us > f.now);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_int_equal(f.group.servers[0].timed_out, 0);

	start(&f, 1);
	exchange_unreachable(&f.exchange, f.exchange.slot, f.now);
	assert_int_equal(time_out(&f), EXCHANGE_SEND_UDP);
	assert_false(sent(&f)->unreachable);
}

/* BADVERS stands in the OPT record; its lower bits are those of NOERROR. */
static void test_badvers(void **state)
{
	(void)state;
	struct fixture f;

	setup(&f);
	start(&f, 1);
	reply_make(&f, 0);
	memcpy(f.reply + f.reply_size, sent(&f)->packet.octets + f.reply_size, 11);
	f.reply[f.reply_size + 5] = 1; /* upper bits of the rcode */
	f.reply_size += 11;
	wire_put_u16(f.reply, f.reply_size, 10, 1);
	assert_int_equal(input(&f), EXCHANGE_SEND_UDP);
	assert_true(sent(&f)->packet.without_edns);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_true(f.group.servers[0].without_edns);
}

/* --- cookies --- */

static void setup_cookies(struct fixture *f)
{
	setup(f);
	for (int i = 0; i < 4; i++)
		f->group.servers[i].trust.use_cookies = true;
}

/* The reply gets an OPT record with this cookie: of the packet in flight, and the server's part. */
static void reply_add_cookie(struct fixture *f, uint8_t rcode_upper, uint8_t server, size_t length)
{
	const struct packet *packet = &sent(f)->packet;
	struct wire_writer writer = wire_writer_init(f->reply, sizeof(f->reply));
	uint8_t part[COOKIE_SERVER_MAX];

	memset(part, server, sizeof(part));
	wire_put_u16(f->reply, f->reply_size, 10, 1);
	writer.position = f->reply_size;
	wire_write_bytes(&writer, "\0\0\51\4\320", 5);
	wire_write_u8(&writer, rcode_upper);
	wire_write_bytes(&writer, "\0\0\0", 3);
	wire_write_u16(&writer, (uint16_t)(4 + 8 + length));
	wire_write_u16(&writer, 10);
	wire_write_u16(&writer, (uint16_t)(8 + length));
	wire_write_bytes(&writer, packet->octets + packet->cookie_offset, 8);
	wire_write_bytes(&writer, part, length);
	f->reply_size = writer.position;
}

static enum exchange_step reply_cookie(struct fixture *f, uint8_t server)
{
	reply_make(f, 0);
	reply_add_cookie(f, 0, server, 16);
	f->now += 20 * MS;
	return input(f);
}

static enum exchange_step reply_badcookie(struct fixture *f, uint8_t server)
{
	reply_make(f, RCODE_BADCOOKIE & 15);
	reply_add_cookie(f, RCODE_BADCOOKIE >> 4, server, 16);
	f->now += 20 * MS;
	return input(f);
}

static uint8_t cookie_sent(const struct fixture *f)
{
	const struct packet *packet = &sent(f)->packet;

	assert_int_equal(packet->cookie_length, 24);
	return packet->octets[packet->cookie_offset + 8];
}

static void test_badcookie(void **state)
{
	(void)state;
	struct fixture f;

	setup_cookies(&f);
	start(&f, 2);
	assert_int_equal(sent(&f)->packet.cookie_length, 8);
	assert_int_equal(reply_badcookie(&f, 7), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->server, 0);
	assert_int_equal(cookie_sent(&f), 7);
	assert_int_equal(reply_badcookie(&f, 8), EXCHANGE_SEND_TCP);
	assert_int_equal(cookie_sent(&f), 8);
	assert_int_equal(reply_cookie(&f, 9), EXCHANGE_DONE);
	start(&f, 2);
	assert_int_equal(cookie_sent(&f), 9);
	reply_badcookie(&f, 1);
	reply_badcookie(&f, 2);
	assert_int_equal(reply_badcookie(&f, 3), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->server, 1);
}

/* A server that spoke cookies and now sends none is asked over TCP (RFC 7873, 5.3). */
static void test_cookie_missing(void **state)
{
	(void)state;
	struct fixture f;

	setup_cookies(&f);
	start(&f, 1);
	assert_int_equal(reply_cookie(&f, 7), EXCHANGE_DONE);
	start(&f, 1);
	assert_int_equal(reply(&f, 0), EXCHANGE_SEND_TCP);
	assert_int_equal(reply_cookie(&f, 7), EXCHANGE_DONE);
	start(&f, 1);
	assert_int_equal(cookie_sent(&f), 7);
	reply(&f, RCODE_FORMERR); /* of one that cannot see our cookie */
	assert_true(sent(&f)->over_tcp);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	start(&f, 1);
	assert_int_equal(sent(&f)->packet.cookie_length, 0);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
}

/* Refused, or not answered: first without the cookie, then without EDNS; what helped is kept to. */
static void test_cookie_not_borne(void **state)
{
	(void)state;
	struct fixture f;

	setup_cookies(&f);
	start(&f, 1);
	assert_int_equal(reply(&f, RCODE_FORMERR), EXCHANGE_SEND_UDP);
	assert_int_equal(sent(&f)->packet.cookie_length, 0);
	assert_false(sent(&f)->packet.without_edns);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_true(trust_cookies_lost(&f.group.servers[0].trust, f.now));
	assert_false(f.group.servers[0].without_edns);

	setup_cookies(&f);
	start(&f, 1);
	reply(&f, RCODE_FORMERR);
	assert_int_equal(reply(&f, RCODE_FORMERR), EXCHANGE_SEND_UDP);
	assert_true(sent(&f)->packet.without_edns);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_true(f.group.servers[0].without_edns);

	setup_cookies(&f);
	start(&f, 1);
	time_out(&f);
	assert_int_equal(sent(&f)->packet.cookie_length, 0);
	assert_int_equal(reply(&f, 0), EXCHANGE_DONE);
	assert_true(trust_cookies_lost(&f.group.servers[0].trust, f.now));
	f.now += TRUST_AGAIN_US;
	start(&f, 1);
	assert_int_equal(sent(&f)->packet.cookie_length, 8);
	reply(&f, 0); /* borne, so silence means something else */
	start(&f, 1);
	time_out(&f);
	assert_int_equal(sent(&f)->packet.cookie_length, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packet),
		cmocka_unit_test(test_packet_longest_name),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_match_case_and_trailing),
		cmocka_unit_test(test_mismatch),
		cmocka_unit_test(test_mismatch_count),
		cmocka_unit_test(test_late_reply),
		cmocka_unit_test(test_early_deadline),
		cmocka_unit_test(test_tries_bound),
		cmocka_unit_test(test_hedge),
		cmocka_unit_test(test_hedge_failure),
		cmocka_unit_test(test_hedge_refused),
		cmocka_unit_test(test_hedge_dead),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_no_server),
		cmocka_unit_test(test_packets_one_server),
		cmocka_unit_test(test_packets_order),
		cmocka_unit_test(test_dead_server),
		cmocka_unit_test(test_port_unreachable),
		cmocka_unit_test(test_total_time),
		cmocka_unit_test(test_servfail_next_server),
		cmocka_unit_test(test_best_reply),
		cmocka_unit_test(test_servfail_alone),
		cmocka_unit_test(test_kept_then_silence),
		cmocka_unit_test(test_formerr_without_edns),
		cmocka_unit_test(test_header_alone_without_edns),
		cmocka_unit_test(test_formerr_twice),
		cmocka_unit_test(test_silence_without_edns),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_truncated_tcp_fails),
		cmocka_unit_test(test_truncated_over_tcp),
		cmocka_unit_test(test_formerr_over_tcp),
		cmocka_unit_test(test_other_case_over_tcp),
		cmocka_unit_test(test_other_case_without_tcp),
		cmocka_unit_test(test_many_strange),
		cmocka_unit_test(test_unreachable),
		cmocka_unit_test(test_badvers),
		cmocka_unit_test(test_badcookie),
		cmocka_unit_test(test_cookie_missing),
		cmocka_unit_test(test_cookie_not_borne),
	};

	return cmocka_run_group_tests_name("exchange", tests, NULL, NULL);
}

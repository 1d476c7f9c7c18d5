/* SPDX-License-Identifier: BSD-3-Clause */
/* The rules of asking upstream, on a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/exchange_bed.h"

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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

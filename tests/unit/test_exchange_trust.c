/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP for what was cut, and for what is not believed (the rules themselves: test_trust.c); cookies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/exchange_bed.h"

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

	return cmocka_run_group_tests(tests, NULL, NULL);
}

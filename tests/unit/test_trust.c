/* SPDX-License-Identifier: BSD-3-Clause */
/* What a server has to repeat, and what happens to one that cannot, on a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/dns/message.h"
#include "resolver/upstream/trust.h"

struct fixture {
	struct server_trust trust;
	struct random_pool random;
	struct upstream_question question;
	struct packet_form form;
	struct packet sent;
	struct packet_reply reply;
	uint8_t server_cookie[COOKIE_SERVER_MAX];
	int64_t now;
};

static void setup(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	assert_int_equal(name_from_text(&f->question.qname, "www.example.com.", 16), TD_OK);
	f->question.qtype = TYPE_A;
	f->trust.vary_case = f->trust.use_cookies = true;
	f->now = 1000 * US_PER_S;
	memset(f->server_cookie, 7, sizeof f->server_cookie);
}

static void send_packet(struct fixture *f)
{
	trust_fill(&f->trust, &f->form, f->question.qname.length, true, &f->random, f->now);
	packet_compose(&f->sent, &f->question, &f->form);
	f->reply = (struct packet_reply){.has_question = true, .case_kept = true};
}

static enum trust_verdict judge(struct fixture *f, bool tcp)
{
	return trust_judge(&f->trust, &f->sent, &f->reply, tcp, f->now);
}

static void reply_cookie(struct fixture *f, uint8_t length)
{
	f->reply.cookie = PACKET_COOKIE_RIGHT;
	f->reply.server_cookie = f->server_cookie;
	f->reply.server_cookie_length = length;
}

static enum trust_verdict other_case(struct fixture *f, bool tcp)
{
	send_packet(f);
	f->reply.case_kept = false;
	return judge(f, tcp);
}

/* The server has sent a cookie: it is expected from now on. */
static void make_friends(struct fixture *f)
{
	send_packet(f);
	reply_cookie(f, 16);
	assert_int_equal(judge(f, false), TRUST_BELIEVE);
	assert_int_equal(f->trust.server_cookie_length, 16);
}

/* --- letter case --- */

/* Nothing that comes over UDP switches it off, as long as TCP may answer. */
static void test_case_forged(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(other_case(&f, false), TRUST_DOUBT);
		assert_true(trust_tcp_possible(&f.trust, f.now));
		assert_false(trust_case_lost(&f.trust, f.now));
	}
	assert_int_equal(f.trust.doubted, 1000);
}

static void test_case_lost_over_tcp(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	assert_int_equal(other_case(&f, true), TRUST_BELIEVE);
	assert_true(trust_case_lost(&f.trust, f.now));
	send_packet(&f);
	assert_false(f.sent.case_varied);
	f.reply.case_kept = false;
	assert_int_equal(judge(&f, false), TRUST_BELIEVE);
	f.now += TRUST_AGAIN_US;
	send_packet(&f);
	assert_true(f.sent.case_varied);
	assert_false(trust_case_lost(&f.trust, f.now));
}

/* Three in a row, TCP being closed; one good reply between begins the count anew. */
static void test_case_strikes(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	other_case(&f, false);
	trust_tcp_failed(&f.trust, f.now);
	assert_false(trust_tcp_possible(&f.trust, f.now));
	assert_int_equal(other_case(&f, false), TRUST_DOUBT);
	send_packet(&f);
	assert_int_equal(judge(&f, false), TRUST_BELIEVE);
	assert_int_equal(other_case(&f, false), TRUST_DOUBT);
	assert_int_equal(other_case(&f, false), TRUST_DOUBT);
	assert_int_equal(other_case(&f, false), TRUST_BELIEVE);
	assert_true(trust_case_lost(&f.trust, f.now));

	setup(&f);
	trust_tcp_failed(&f.trust, f.now);
	other_case(&f, false);
	other_case(&f, false);
	f.now += TRUST_TCP_AGAIN_US; /* time to try TCP again */
	assert_int_equal(other_case(&f, false), TRUST_DOUBT);
}

/* A set bit for every second letter, over many packets. */
static void test_case_is_random(void **state)
{
	struct fixture f;
	unsigned turned[17] = {0};

	(void)state;
	setup(&f);
	for (int i = 0; i < 4000; i++) {
		send_packet(&f);
		for (size_t at = 0; at < 17; at++)
			turned[at] +=
				f.sent.octets[DNS_HEADER_SIZE + at] != f.question.qname.wire[at];
	}
	for (size_t at = 0; at < 17; at++) {
		bool letter = f.question.qname.wire[at] >= 'a';

		assert_in_range(turned[at], letter ? 1750 : 0, letter ? 2250 : 0);
	}
}

/* --- cookies --- */

static void test_cookie_is_kept(void **state)
{
	struct fixture f;
	uint8_t ours[COOKIE_CLIENT_SIZE];

	(void)state;
	setup(&f);
	make_friends(&f);
	memcpy(ours, f.trust.cookie, sizeof ours);
	send_packet(&f);
	assert_int_equal(f.sent.cookie_length, 24);
	assert_memory_equal(f.sent.octets + f.sent.cookie_offset, ours, sizeof ours);
	assert_memory_equal(f.sent.octets + f.sent.cookie_offset + 8, f.server_cookie, 16);
	f.now += COOKIE_LIFE_US;
	send_packet(&f);
	assert_int_equal(f.sent.cookie_length, 8);
	assert_memory_not_equal(f.sent.octets + f.sent.cookie_offset, ours, sizeof ours);
}

/* Wrong, or none where one was sent before: doubted, and forgotten only when TCP says the same. */
static void test_cookie_faults(void **state)
{
	struct fixture f;

	(void)state;
	for (int wrong = 0; wrong < 2; wrong++) {
		setup(&f);
		make_friends(&f);
		send_packet(&f);
		f.reply.cookie = wrong ? PACKET_COOKIE_WRONG : PACKET_COOKIE_NONE;
		for (int i = 0; i < 100; i++)
			assert_int_equal(judge(&f, false), TRUST_DOUBT);
		assert_false(trust_cookies_lost(&f.trust, f.now));
		assert_int_equal(f.trust.server_cookie_length, 16);
		assert_int_equal(judge(&f, true), TRUST_BELIEVE);
		assert_true(trust_cookies_lost(&f.trust, f.now));
		send_packet(&f);
		assert_int_equal(f.sent.cookie_length, 0);
		f.now += TRUST_AGAIN_US;
		send_packet(&f);
		assert_int_equal(f.sent.cookie_length, 8);
	}
}

/* A wrong one is wrong from the first packet on; none is none. */
static void test_cookie_first(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	send_packet(&f);
	f.reply.cookie = PACKET_COOKIE_WRONG;
	assert_int_equal(judge(&f, false), TRUST_DOUBT);
	f.reply.cookie = PACKET_COOKIE_NONE;
	assert_int_equal(judge(&f, false), TRUST_BELIEVE);
}

static void test_badcookie(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	send_packet(&f);
	reply_cookie(&f, 32);
	f.reply.rcode = RCODE_BADCOOKIE;
	assert_int_equal(judge(&f, false), TRUST_BADCOOKIE);
	send_packet(&f);
	assert_int_equal(f.sent.cookie_length, COOKIE_MAX);
	f.reply.rcode = RCODE_BADCOOKIE; /* without our cookie it is somebody else's */
	assert_int_equal(judge(&f, false), TRUST_DOUBT);
}

/* A reply to a packet from before our cookie changed does not bring the old server's part back. */
static void test_cookie_late(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	send_packet(&f);
	reply_cookie(&f, 16);
	f.trust.cookie_until_us = 0;
	struct packet before = f.sent;
	struct packet_reply late = f.reply;

	send_packet(&f);
	assert_int_equal(trust_judge(&f.trust, &before, &late, false, f.now), TRUST_BELIEVE);
	assert_int_equal(f.trust.server_cookie_length, 0);
}

/* Another address of ours, another cookie (RFC 9018, 3). */
static void test_cookie_local(void **state)
{
	struct fixture f;
	uint8_t ours[COOKIE_CLIENT_SIZE];
	struct address here = address_v4((uint8_t[]){192, 0, 2, 1});
	struct address there = address_v4((uint8_t[]){198, 51, 100, 1});

	(void)state;
	setup(&f);
	send_packet(&f);
	assert_false(trust_bind_local(&f.trust, &here)); /* the first packet needs no second look */
	memcpy(ours, f.trust.cookie, sizeof ours);
	assert_false(trust_bind_local(&f.trust, &here));
	assert_true(trust_bind_local(&f.trust, &there));
	send_packet(&f);
	assert_int_equal(f.sent.cookie_length, 8);
	assert_memory_not_equal(f.trust.cookie, ours, sizeof ours);
}

/* --- the rest --- */

/* A header alone, after the server has shown that it knows EDNS. */
static void test_header_alone(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.trust.use_cookies = false;
	send_packet(&f);
	f.reply = (struct packet_reply){.rcode = RCODE_FORMERR, .case_kept = true};
	assert_int_equal(judge(&f, false), TRUST_BELIEVE);
	send_packet(&f);
	judge(&f, false);
	f.reply = (struct packet_reply){.rcode = RCODE_FORMERR, .case_kept = true};
	assert_int_equal(judge(&f, false), TRUST_DOUBT);
	assert_int_equal(judge(&f, true), TRUST_BELIEVE);
	assert_int_equal(judge(&f, false), TRUST_BELIEVE);
}

/* Options off: nothing is sent, nothing demanded. */
static void test_off(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.trust.vary_case = f.trust.use_cookies = false;
	send_packet(&f);
	assert_memory_equal(f.sent.octets + 12, f.question.qname.wire, 17);
	assert_int_equal(f.sent.cookie_length, 0);
	f.reply.case_kept = false;
	assert_int_equal(judge(&f, false), TRUST_BELIEVE);
	trust_cookie_not_needed(&f.trust, f.now);
	assert_false(trust_cookies_lost(&f.trust, f.now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_case_forged),
		cmocka_unit_test(test_case_lost_over_tcp),
		cmocka_unit_test(test_case_strikes),
		cmocka_unit_test(test_case_is_random),
		cmocka_unit_test(test_cookie_is_kept),
		cmocka_unit_test(test_cookie_faults),
		cmocka_unit_test(test_cookie_first),
		cmocka_unit_test(test_badcookie),
		cmocka_unit_test(test_cookie_late),
		cmocka_unit_test(test_cookie_local),
		cmocka_unit_test(test_header_alone),
		cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}

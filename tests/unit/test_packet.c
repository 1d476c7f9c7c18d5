/* SPDX-License-Identifier: BSD-3-Clause */
/* What leaves for a server, octet by octet, and what counts as its reply. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/message.h"
#include "lib/dns/wire.h"
#include "resolver/upstream/packet.h"

#define QUESTION_SIZE (DNS_HEADER_SIZE + 17 + 4)

struct fixture {
	struct upstream_question question;
	struct packet_form form;
	struct packet packet;
	uint8_t reply[512];
	size_t reply_size;
	struct packet_reply out;
};

static void setup(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	assert_int_equal(name_from_text(&f->question.qname, "www.Example.com.", 16), TD_OK);
	f->question.qtype = TYPE_A;
	f->form.id = 0x1234;
	packet_compose(&f->packet, &f->question, &f->form);
}

/* The question as sent, flags with QR added, no records. */
static void reply_make(struct fixture *f, uint16_t flags)
{
	f->reply_size = f->packet.question_end;
	memcpy(f->reply, f->packet.octets, f->reply_size);
	wire_put_u16(f->reply, f->reply_size, 2, flags | DNS_FLAG_QR | DNS_FLAG_RD | DNS_FLAG_RA);
	wire_put_u16(f->reply, f->reply_size, 10, 0);
}

static bool match(struct fixture *f)
{
	return packet_match(&f->packet, f->reply, f->reply_size, &f->out);
}

/* --- composing --- */

static void test_compose(void **state)
{
	static const uint8_t header[] = {0x12, 0x34, 1, 0x30, 0, 1, 0, 0, 0, 0, 0, 1};
	static const uint8_t opt[] = {0, 0, 41, 1232 >> 8, 1232 & 0xff, 0, 0, 0x80, 0, 0, 0};
	struct fixture f;

	(void)state;
	setup(&f);
	f.question.dnssec_ok = true;
	f.question.checking_disabled = true;
	packet_compose(&f.packet, &f.question, &f.form);
	assert_int_equal(f.packet.length, QUESTION_SIZE + sizeof opt);
	assert_int_equal(f.packet.question_end, QUESTION_SIZE);
	assert_int_equal(packet_id(&f.packet), 0x1234);
	assert_memory_equal(f.packet.octets, header, sizeof header);
	assert_memory_equal(f.packet.octets + 12, f.question.qname.wire, 17);
	assert_memory_equal(f.packet.octets + 29, "\0\1\0\1", 4);
	assert_memory_equal(f.packet.octets + QUESTION_SIZE, opt, sizeof opt);
}

static void test_compose_plain(void **state)
{
	static const uint8_t header[] = {0x12, 0x34, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, 0};
	struct fixture f;

	(void)state;
	setup(&f);
	f.form.without_edns = true;
	packet_compose(&f.packet, &f.question, &f.form);
	assert_int_equal(f.packet.length, QUESTION_SIZE);
	assert_memory_equal(f.packet.octets, header, sizeof header);
}

static void test_compose_longest_name(void **state)
{
	struct fixture f;
	uint8_t *wire = f.question.qname.wire;

	(void)state;
	setup(&f);
	f.question.qname.length = 255;
	memset(wire, 'x', 254);
	wire[0] = wire[64] = wire[128] = 63;
	wire[192] = 61;
	wire[254] = 0;
	packet_compose(&f.packet, &f.question, &f.form);
	assert_int_equal(f.packet.length, PACKET_MAX - 4 - COOKIE_MAX - 4 - SUBNET_SENT_MAX);
	reply_make(&f, 0);
	assert_true(match(&f));
}

/* A bit for each octet of the name, length octets included; only letters turn. */
static void test_compose_case(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.form.vary_case = true;
	f.form.case_bits[0] = 0x6d; /* 1 0 1 1 0 1 1 0 */
	f.form.case_bits[1] = 0x13; /* 1 1 0 0 1 0 0 0 */
	packet_compose(&f.packet, &f.question, &f.form);
	assert_true(f.packet.case_varied);
	for (size_t i = 0; i < 17; i++) {
		uint8_t plain = f.question.qname.wire[i];
		bool turned = f.form.case_bits[i / 8] >> i % 8 & 1;
		bool letter = (plain | 0x20) >= 'a' && (plain | 0x20) <= 'z';

		assert_int_equal(f.packet.octets[12 + i], turned && letter ? plain ^ 0x20 : plain);
	}
	reply_make(&f, 0);
	assert_true(match(&f) && f.out.case_kept);
	packet_restore_question(&f.question, f.reply, f.reply_size);
	assert_memory_equal(f.reply + 12, f.question.qname.wire, 17);
	assert_memory_equal(f.reply + 29, "\0\1\0\1", 4);
}

static const uint8_t cookie[COOKIE_MAX] = "clientCKserver part of full length, 32..";

static void test_compose_cookie(void **state)
{
	struct fixture f;
	static const uint8_t opt[] = {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 44, 0, 10, 0, 40};

	(void)state;
	setup(&f);
	f.form.cookie = cookie;
	f.form.cookie_length = COOKIE_MAX;
	packet_compose(&f.packet, &f.question, &f.form);
	assert_int_equal(f.packet.length, QUESTION_SIZE + sizeof opt + COOKIE_MAX);
	assert_memory_equal(f.packet.octets + QUESTION_SIZE, opt, sizeof opt);
	assert_int_equal(f.packet.cookie_offset, QUESTION_SIZE + sizeof opt);
	assert_memory_equal(f.packet.octets + f.packet.cookie_offset, cookie, COOKIE_MAX);
	f.form.without_edns = true;
	packet_compose(&f.packet, &f.question, &f.form);
	assert_int_equal(f.packet.length, QUESTION_SIZE);
	assert_int_equal(f.packet.cookie_length, 0);
}

/* --- matching --- */

static void test_match(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	reply_make(&f, RCODE_NXDOMAIN);
	assert_true(match(&f));
	assert_int_equal(f.out.rcode, RCODE_NXDOMAIN);
	memset(f.reply + f.reply_size, 0xff, 40);
	f.reply_size += 40;
	assert_true(match(&f));
}

/* Any one letter, in either direction; no octet that is not a letter. */
static void test_match_case(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (size_t i = DNS_HEADER_SIZE; i < QUESTION_SIZE; i++) {
		uint8_t folded = f.packet.octets[i] | 0x20;
		bool letter = folded >= 'a' && folded <= 'z';

		reply_make(&f, 0);
		f.reply[i] ^= 0x20;
		assert_int_equal(match(&f), letter);
		assert_false(f.out.case_kept);
	}
}

/* Every bit of id and question, QR and opcode, alone; then cut at every length. */
static void test_mismatch(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (size_t i = 0; i < QUESTION_SIZE; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			bool matters = i < 2 || i == 4 || i == 5 || i >= DNS_HEADER_SIZE ||
				       (i == 2 && bit >= 3);

			if (!matters || (i >= DNS_HEADER_SIZE && bit == 5))
				continue;
			reply_make(&f, 0);
			f.reply[i] ^= (uint8_t)(1u << bit);
			assert_false(match(&f));
		}
	}
	for (size_t cut = 0; cut < QUESTION_SIZE; cut++) {
		reply_make(&f, 0);
		f.reply_size = cut;
		assert_false(match(&f));
	}
}

/* Two questions are never a reply; none is, when it refuses the EDNS that was sent. */
static void test_match_no_question(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (uint16_t rcode = 0; rcode < 16; rcode++) {
		bool refuses = rcode == RCODE_FORMERR || rcode == RCODE_NOTIMP;

		reply_make(&f, rcode);
		wire_put_u16(f.reply, f.reply_size, 4, 2);
		assert_false(match(&f));
		wire_put_u16(f.reply, f.reply_size, 4, 0);
		f.reply_size = DNS_HEADER_SIZE;
		assert_int_equal(match(&f), refuses);
		assert_false(f.out.has_question);
	}
	f.form.without_edns = true;
	packet_compose(&f.packet, &f.question, &f.form);
	reply_make(&f, RCODE_FORMERR);
	wire_put_u16(f.reply, f.reply_size, 4, 0);
	assert_false(match(&f));
}

/* --- the reply's OPT record --- */

/* An OPT record with these options behind the reply, after one other record of the section. */
static void reply_add_opt(struct fixture *f, uint8_t rcode_upper, const void *options, size_t size)
{
	struct wire_writer writer = wire_writer_init(f->reply, sizeof f->reply);

	writer.position = f->reply_size;
	wire_write_bytes(&writer, "\1x\300\14\0\1\0\1\0\0\0\0\0\4abcd", 18);
	wire_write_bytes(&writer, "\0\0\51\4\320", 5);
	wire_write_u8(&writer, rcode_upper);
	wire_write_bytes(&writer, "\0\0\0", 3);
	wire_write_u16(&writer, (uint16_t)size);
	wire_write_bytes(&writer, options, size);
	f->reply_size = writer.position;
	wire_put_u16(f->reply, f->reply_size, 10, 2);
}

static void cookie_reply(struct fixture *f, const uint8_t *octets, uint16_t length)
{
	uint8_t options[5 + 4 + 300] = {
		0, 15, 0, 1, 'x', 0, 10, (uint8_t)(length >> 8), (uint8_t)length};

	memcpy(options + 9, octets, length);
	reply_make(f, 0);
	reply_add_opt(f, 0, options, 9u + length);
	assert_true(match(f));
}

static void setup_cookie(struct fixture *f)
{
	setup(f);
	f->form.cookie = cookie;
	f->form.cookie_length = COOKIE_CLIENT_SIZE;
	packet_compose(&f->packet, &f->question, &f->form);
}

/* Our part and 8 to 32 octets of the server's, or ours alone; all else is wrong (RFC 7873, 5.3). */
static void test_cookie(void **state)
{
	struct fixture f;
	uint8_t octets[64];

	(void)state;
	setup_cookie(&f);
	memcpy(octets, cookie, COOKIE_MAX);
	for (uint16_t length = 0; length < sizeof octets; length++) {
		bool right = length == 8 || (length >= 16 && length <= 40);

		cookie_reply(&f, octets, length);
		assert_int_equal(f.out.cookie, right ? PACKET_COOKIE_RIGHT : PACKET_COOKIE_WRONG);
		if (!right)
			continue;
		assert_int_equal(f.out.server_cookie_length, length - 8);
		assert_memory_equal(f.out.server_cookie, cookie + 8, length - 8u);
	}
	for (unsigned bit = 0; bit < 64; bit++) {
		memcpy(octets, cookie, COOKIE_MAX);
		octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cookie_reply(&f, octets, 24);
		assert_int_equal(f.out.cookie, PACKET_COOKIE_WRONG);
	}
}

/* Cut anywhere behind the question it is a reply still, and tells less. */
static void test_cookie_cut(void **state)
{
	struct fixture f;

	(void)state;
	setup_cookie(&f);
	cookie_reply(&f, cookie, 24);
	size_t whole = f.reply_size;

	for (size_t size = QUESTION_SIZE; size < whole; size++) {
		f.reply_size = size;
		assert_true(match(&f));
		assert_int_equal(f.out.cookie, PACKET_COOKIE_NONE);
	}
	f.reply_size = whole;
	wire_put_u16(f.reply, f.reply_size, 10, 0xffff); /* more records than there are */
	assert_true(match(&f));
	assert_int_equal(f.out.cookie, PACKET_COOKIE_RIGHT);
}

/* One that was not asked for tells nothing. */
static void test_cookie_unasked(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	cookie_reply(&f, cookie, 24);
	assert_int_equal(f.out.cookie, PACKET_COOKIE_NONE);
}

static void test_extended_rcode(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	reply_make(&f, RCODE_BADCOOKIE & 15);
	reply_add_opt(&f, RCODE_BADCOOKIE >> 4, "", 0);
	assert_true(match(&f));
	assert_int_equal(f.out.rcode, RCODE_BADCOOKIE);
	f.form.without_edns = true;
	packet_compose(&f.packet, &f.question, &f.form);
	assert_true(match(&f));
	assert_int_equal(f.out.rcode, RCODE_BADCOOKIE & 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compose),
		cmocka_unit_test(test_compose_plain),
		cmocka_unit_test(test_compose_longest_name),
		cmocka_unit_test(test_compose_case),
		cmocka_unit_test(test_compose_cookie),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_match_case),
		cmocka_unit_test(test_mismatch),
		cmocka_unit_test(test_match_no_question),
		cmocka_unit_test(test_cookie),
		cmocka_unit_test(test_cookie_cut),
		cmocka_unit_test(test_cookie_unasked),
		cmocka_unit_test(test_extended_rcode),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}

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
	uint16_t flags; /* as packet_match told them */
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

static enum packet_match match(struct fixture *f)
{
	return packet_match(&f->packet, f->reply, f->reply_size, &f->flags);
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
	assert_int_equal(f.packet.length, PACKET_MAX);
	reply_make(&f, 0);
	assert_int_equal(match(&f), PACKET_REPLY);
}

/* --- matching --- */

static void test_match(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	reply_make(&f, RCODE_NXDOMAIN);
	assert_int_equal(match(&f), PACKET_REPLY);
	assert_int_equal(f.flags & DNS_FLAG_RCODE, RCODE_NXDOMAIN);
	memset(f.reply + f.reply_size, 0xff, 40);
	f.reply_size += 40;
	assert_int_equal(match(&f), PACKET_REPLY);
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
		assert_int_equal(match(&f), letter ? PACKET_OTHER_CASE : PACKET_STRANGE);
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
			assert_int_equal(match(&f), PACKET_STRANGE);
		}
	}
	for (size_t cut = 0; cut < QUESTION_SIZE; cut++) {
		reply_make(&f, 0);
		f.reply_size = cut;
		assert_int_equal(match(&f), PACKET_STRANGE);
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
		assert_int_equal(match(&f), PACKET_STRANGE);
		wire_put_u16(f.reply, f.reply_size, 4, 0);
		f.reply_size = DNS_HEADER_SIZE;
		assert_int_equal(match(&f), refuses ? PACKET_REPLY : PACKET_STRANGE);
	}
	f.form.without_edns = true;
	packet_compose(&f.packet, &f.question, &f.form);
	reply_make(&f, RCODE_FORMERR);
	wire_put_u16(f.reply, f.reply_size, 4, 0);
	assert_int_equal(match(&f), PACKET_STRANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compose),
		cmocka_unit_test(test_compose_plain),
		cmocka_unit_test(test_compose_longest_name),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_match_case),
		cmocka_unit_test(test_mismatch),
		cmocka_unit_test(test_match_no_question),
	};

	return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Solicitations and advertisements of RFC 4380: what is written, what is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/teredo.h"
#include "tests/unit/teredo_reply.h"

static const uint8_t nonce[TEREDO_NONCE_SIZE] = {1, 2, 3, 4, 5, 6, 7, 8};

static enum teredo_fault read_reply(const struct teredo_reply *reply, struct teredo_answer *answer)
{
	uint8_t packet[TEREDO_REPLY_MAX];
	size_t size = teredo_reply_write(packet, reply);

	return teredo_answer_read(packet, size, answer);
}

/* Octet by octet after RFC 4380, 5.1.1, RFC 8200, 3 and RFC 4861, 4.1; checksums by hand. */
static void solicitation_is_exact(void **state)
{
	static const uint8_t expected[] = {0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8,
		0,                            /* authentication */
		0x60, 0, 0, 0, 0, 8, 58, 255, /* IPv6 */
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* source */
		0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, /* all routers */
		133, 0, 0x7d, 0x37, 0, 0, 0, 0};
	uint8_t plain[TEREDO_SOLICITATION_MAX], cone[TEREDO_SOLICITATION_MAX];
	(void)state;

	assert_int_equal(teredo_solicit(plain, nonce, false), sizeof(expected));
	assert_memory_equal(plain, expected, sizeof(expected));
	assert_int_equal(teredo_solicit(cone, nonce, true), sizeof(expected));
	assert_int_equal(cone[13 + 8 + 8], 0x80);
	/* One bit of one 16-bit word more in the sum, so one less in its complement. */
	unsigned before = (unsigned)plain[55] << 8 | plain[56],
		 after = (unsigned)cone[55] << 8 | cone[56];
	assert_int_equal((before + 0xffff - 0x8000) % 0xffff, after % 0xffff);
}

static void answer_is_read(void **state)
{
	struct teredo_answer answer;
	char text[ADDRESS_TEXT_MAX], endpoint[ENDPOINT_TEXT_MAX];
	(void)state;

	assert_int_equal(
		read_reply(&(struct teredo_reply){.nonce = nonce, .confirmation = 1}, &answer),
		TEREDO_FINE);
	assert_true(answer.has_nonce);
	assert_memory_equal(answer.nonce, nonce, sizeof(nonce));
	assert_int_equal(answer.confirmation, 1);
	assert_string_equal(endpoint_to_text(&answer.origin, endpoint), "198.51.100.7:50000");
	assert_string_equal(address_to_text(&answer.prefix.address, text), "2001:0:4137:9e76::");
	assert_int_equal(answer.prefix.length, 64);
	assert_string_equal(address_to_text(&answer.router, text), "fe80::8000:f227:bec8:6189");
	assert_int_equal(answer.mtu, 1280);
	assert_false(answer.cone);
}

static void parts_may_be_missing(void **state)
{
	struct teredo_answer answer;
	(void)state;

	assert_int_equal(read_reply(&(struct teredo_reply){.nonce = nonce,
					    .client_id = 200,
					    .without_mtu = true,
					    .cone = true},
				 &answer),
		TEREDO_FINE);
	assert_true(answer.has_nonce);
	assert_memory_equal(answer.nonce, nonce, sizeof(nonce));
	assert_int_equal(answer.mtu, 0);
	assert_true(answer.cone);
	assert_int_equal(
		read_reply(&(struct teredo_reply){.without_origin = true}, &answer), TEREDO_FINE);
	assert_false(answer.has_nonce);
	assert_int_equal(answer.origin.address.family, ADDRESS_NONE);
}

static void prefix_has_no_host_bits(void **state)
{
	static const struct {
		uint8_t length;
		const char *prefix;
	} cases[] = {{32, "2001::"}, {33, "2001::"}, {34, "2001:0:4000::"}, {48, "2001:0:4137::"},
		{63, "2001:0:4137:9e76::"}, {62, "2001:0:4137:9e74::"},
		{128, "2001:0:4137:9e76::"}};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct teredo_answer answer;
		char text[ADDRESS_TEXT_MAX];
		struct teredo_reply reply = {.nonce = nonce, .prefix_length = cases[i].length};
		assert_int_equal(read_reply(&reply, &answer), TEREDO_FINE);
		assert_int_equal(answer.prefix.length, cases[i].length);
		assert_string_equal(address_to_text(&answer.prefix.address, text), cases[i].prefix);
	}
}

static void faults_are_told_apart(void **state)
{
	static const struct {
		struct teredo_reply reply;
		enum teredo_fault fault;
	} cases[] = {
		{{.nonce = nonce, .spoil = 1}, TEREDO_CHECKSUM},
		{{.nonce = nonce, .hop_limit = 254}, TEREDO_BROKEN},
		{{.nonce = nonce, .code = 1}, TEREDO_BROKEN},
		{{.nonce = nonce, .prefix_length = 129}, TEREDO_BROKEN},
		{{.nonce = nonce, .empty_option = 1}, TEREDO_BROKEN},
		{{.nonce = nonce, .without_prefix = true}, TEREDO_NO_PREFIX},
		{{.nonce = nonce, .type = 133}, TEREDO_NOT_ADVERTISEMENT},
		{{.nonce = nonce, .type = 129}, TEREDO_NOT_ADVERTISEMENT},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct teredo_answer answer;
		assert_int_equal(read_reply(&cases[i].reply, &answer), cases[i].fault);
		assert_true(answer.has_nonce); /* so it is known to whom it belongs */
	}
}

static void other_packets_are_none(void **state)
{
	static const uint8_t text[] =
		"HTTP/1.1 400 Bad Request\r\n\r\n and so on, for more than forty octets";
	uint8_t packet[TEREDO_REPLY_MAX];
	struct teredo_answer answer;
	struct teredo_reply reply = {.nonce = nonce};
	size_t size = teredo_reply_write(packet, &reply);
	(void)state;

	assert_int_equal(teredo_answer_read(text, sizeof(text), &answer), TEREDO_NOT_IPV6);
	assert_int_equal(teredo_answer_read(NULL, 0, &answer), TEREDO_SHORT);
	packet[13 + 8 + 24 + 15] ^= 1; /* the last octet of the destination */
	assert_int_equal(teredo_answer_read(packet, size, &answer), TEREDO_NOT_FOR_US);
	/* What we sent, sent back to us. */
	size = teredo_solicit(packet, nonce, false);
	assert_int_equal(teredo_answer_read(packet, size, &answer), TEREDO_NOT_ADVERTISEMENT);
}

/* Cut anywhere it is no answer; longer (a trailer, RFC 6081) it is. */
static void length_is_checked(void **state)
{
	uint8_t packet[TEREDO_REPLY_MAX] = {0};
	struct teredo_answer answer;
	struct teredo_reply reply = {.nonce = nonce, .client_id = 3};
	size_t size = teredo_reply_write(packet, &reply);
	(void)state;

	for (size_t cut = 0; cut < size; cut++)
		assert_int_not_equal(teredo_answer_read(packet, cut, &answer), TEREDO_FINE);
	assert_int_equal(teredo_answer_read(packet, size, &answer), TEREDO_FINE);
	assert_int_equal(teredo_answer_read(packet, size + 7, &answer), TEREDO_FINE);
}

/* A bit that flips is noticed, but for those that belong to no sum: then what they say differs. (A
 * longer client identifier moves the nonce.) */
static void flipped_bits_are_noticed(void **state)
{
	uint8_t packet[TEREDO_REPLY_MAX];
	struct teredo_answer answer, flipped;
	struct teredo_reply reply = {.nonce = nonce};
	size_t size = teredo_reply_write(packet, &reply);
	(void)state;

	assert_int_equal(teredo_answer_read(packet, size, &answer), TEREDO_FINE);
	for (size_t bit = 0; bit < 8 * size; bit++) {
		size_t octet = bit / 8;
		packet[octet] ^= (uint8_t)(1 << bit % 8);
		enum teredo_fault fault = teredo_answer_read(packet, size, &flipped);
		packet[octet] ^= (uint8_t)(1 << bit % 8);
		bool in_flow_label = octet >= 21 && octet < 25;
		if (fault != TEREDO_FINE || in_flow_label)
			continue;
		if (memcmp(flipped.nonce, answer.nonce, sizeof(nonce)) == 0 &&
			flipped.confirmation == answer.confirmation &&
			endpoint_equal(&flipped.origin, &answer.origin))
			fail_msg("a flip of bit %zu in octet %zu is not noticed", bit % 8, octet);
	}
}

/* RFC 4380, 5.3.1 and 2.3. */
static void private_sources_are_dropped(void **state)
{
	static const struct {
		const char *address;
		bool dropped;
	} cases[] = {{"10.1.2.3", true}, {"172.16.0.1", true}, {"172.31.255.255", true},
		{"192.168.0.1", true}, {"127.0.0.1", true}, {"169.254.1.1", true},
		{"0.0.0.0", true}, {"192.88.99.1", true}, {"224.0.0.1", true},
		{"255.255.255.255", true}, {"2001:db8::1", true}, {"172.15.0.1", false},
		{"172.32.0.1", false}, {"65.55.158.118", false}, {"198.51.100.7", false},
		{"11.0.0.1", false}, {"223.255.255.254", false}};
	(void)state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address;
		assert_true(address_from_text(&address, cases[i].address));
		assert_int_equal(teredo_source_is_dropped(&address), cases[i].dropped);
	}
}

static void words_for_all(void **state)
{
	(void)state;
	for (int fault = 0; fault < TEREDO_FAULT_COUNT; fault++)
		assert_true(strlen(teredo_fault_words((enum teredo_fault)fault)) > 0);
	assert_non_null(teredo_fault_words(TEREDO_FAULT_COUNT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(solicitation_is_exact),
		cmocka_unit_test(answer_is_read),
		cmocka_unit_test(parts_may_be_missing),
		cmocka_unit_test(prefix_has_no_host_bits),
		cmocka_unit_test(faults_are_told_apart),
		cmocka_unit_test(other_packets_are_none),
		cmocka_unit_test(length_is_checked),
		cmocka_unit_test(flipped_bits_are_noticed),
		cmocka_unit_test(private_sources_are_dropped),
		cmocka_unit_test(words_for_all),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

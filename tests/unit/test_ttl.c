/* SPDX-License-Identifier: BSD-3-Clause */
/* How long an answer is kept, and what clients are told of it: clamps, zero, the top bit, denials,
 * counting down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/dns/compose.h"
#include "resolver/answer.h"

static const struct answer_limits wide = {.ttl_max_s = 86400, .negative_ttl_max_s = 10800};
static uint8_t buffer[1024];

static void begin(struct compose *compose, struct upstream_question *question, uint16_t rcode)
{
	*question = (struct upstream_question){.qtype = TYPE_A};
	assert_int_equal(name_from_text(&question->qname, "www.example.org", 15), TD_OK);
	compose_begin(compose, buffer, sizeof buffer, 0, (uint16_t)(DNS_FLAG_QR | rcode),
		question->qname.wire, question->qname.length, TYPE_A, CLASS_IN);
}

static struct answer *finish(struct compose *compose, const struct upstream_question *question,
	const struct answer_limits *limits)
{
	enum td_error error;
	struct answer *answer = answer_from_reply(
		buffer, compose_finish(compose), question, limits, US_PER_S, 1, &error);

	assert_non_null(answer);
	return answer;
}

/* Of two records with these TTLs. */
static struct answer *positive(uint32_t ttl_s, uint32_t other_s, const struct answer_limits *limits)
{
	struct upstream_question question;
	struct compose compose;

	begin(&compose, &question, RCODE_NOERROR);
	compose_rr(&compose, SECTION_ANSWER, &question.qname, TYPE_A, ttl_s, "\300\0\2\1", 4);
	compose_rr(&compose, SECTION_ANSWER, &question.qname, TYPE_A, other_s, "\300\0\2\2", 4);
	return finish(&compose, &question, limits);
}

static struct answer *denial(
	uint32_t soa_ttl_s, uint32_t minimum_s, const struct answer_limits *limits)
{
	struct upstream_question question;
	struct compose_soa soa = {.minimum_s = minimum_s};
	struct compose compose;
	struct name zone;

	assert_int_equal(name_from_text(&zone, "example.org", 11), TD_OK);
	soa.mname = soa.rname = zone;
	begin(&compose, &question, RCODE_NXDOMAIN);
	compose_rr_soa(&compose, SECTION_AUTHORITY, &zone, soa_ttl_s, &soa);
	return finish(&compose, &question, limits);
}

/* The TTL that a client is told of the first record. */
static uint32_t told_s(const struct answer *answer, int64_t now_us)
{
	uint8_t message[1024];
	bool truncated;
	size_t length = answer_write(answer, now_us, message, sizeof message, &truncated);
	struct wire_reader reader = wire_reader_init(message, length);
	struct message_rr rr;
	struct name name;
	uint16_t qtype, qclass;

	message_read_header(&reader);
	message_read_question(&reader, &name, &qtype, &qclass);
	assert_true(message_read_rr(&reader, &rr));
	return rr.ttl;
}

/* Kept for so long, and told so at first. */
static void expect(struct answer *answer, uint32_t kept_s)
{
	assert_int_equal(answer->expires_us - answer->stored_us, kept_s * US_PER_S);
	assert_true(told_s(answer, answer->stored_us) >= kept_s);
	free(answer);
}

static void the_least_ttl_counts(void **state)
{
	(void)state;
	expect(positive(300, 60, &wide), 60);
	expect(positive(60, 300, &wide), 60);
}

static void caps_apply(void **state)
{
	const struct answer_limits narrow = {
		.ttl_min_s = 30, .ttl_max_s = 100, .negative_ttl_max_s = 50};

	(void)state;
	expect(positive(0x7fffffff, 0x7fffffff, &wide), 86400);
	expect(positive(5, 5, &narrow), 30);
	expect(positive(200, 5, &narrow), 30);
	expect(positive(200, 200, &narrow), 100);
	struct answer *capped = positive(200, 200, &narrow);
	assert_int_equal(told_s(capped, US_PER_S), 100);
	free(capped);
	expect(denial(600, 600, &narrow), 50);
	expect(denial(5, 600, &narrow), 5); /* a denial is not prolonged */
	const struct answer_limits crossed = {.ttl_min_s = 3600, .ttl_max_s = 10};
	expect(positive(5, 5, &crossed), 10);
}

/* RFC 2181, 8; and nothing prolongs it. */
static void zero_and_the_top_bit_are_not_kept(void **state)
{
	const struct answer_limits least = {.ttl_min_s = 30, .ttl_max_s = 100};

	(void)state;
	expect(positive(0, 300, &least), 0);
	expect(positive(0x80000000, 300, &wide), 0);
	expect(positive(UINT32_MAX, UINT32_MAX, &least), 0);
	expect(denial(0x80000001, 600, &wide), 0);
	expect(denial(600, 0, &wide), 0);
}

static void a_denial_is_kept_for_the_lesser_of_two(void **state)
{
	(void)state;
	expect(denial(300, 20, &wide), 20);
	expect(denial(20, 300, &wide), 20);
	expect(denial(0x7fffffff, 0x7fffffff, &wide), 10800);
}

static void ttls_count_down(void **state)
{
	struct answer *answer = positive(60, 60, &wide);

	(void)state;
	assert_int_equal(told_s(answer, US_PER_S), 60);
	assert_int_equal(told_s(answer, 2 * US_PER_S - 1), 60);
	assert_int_equal(told_s(answer, 2 * US_PER_S), 59);
	assert_int_equal(told_s(answer, 60 * US_PER_S), 1);
	assert_int_equal(told_s(answer, 600 * US_PER_S), 0);
	assert_int_equal(told_s(answer, 0), 60); /* a moment before it came: never more */
	free(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_ttl_counts),
		cmocka_unit_test(caps_apply),
		cmocka_unit_test(zero_and_the_top_bit_are_not_kept),
		cmocka_unit_test(a_denial_is_kept_for_the_lesser_of_two),
		cmocka_unit_test(ttls_count_down),
	};
	return cmocka_run_group_tests_name("ttl", tests, NULL, NULL);
}

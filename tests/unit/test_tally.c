/* SPDX-License-Identifier: BSD-3-Clause */
/* The flat tally: exact counters, details taken from the reply's bytes, bounds, clearing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lib/dns/message.h"
#include "lib/dns/name.h"
#include "resolver/telemetry/tally.h"
#include "tests/unit/answers.h"

static const struct hash_seed seed = {.k0 = 0x0123456789abcdef, .k1 = 0xfedcba9876543210};

#define NOON INT64_C(1700049600000000) /* 2023-11-15 12:00:00 UTC */

static struct name name_of(const char *text)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	return name;
}

static uint64_t sum(const struct tally *tally, enum client_counter counter)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < tally->client_count; i++)
		total += tally->clients[i].counters[counter];
	return total;
}

static int setup(void **state)
{
	*state = tally_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	tally_free(*state);
	return 0;
}

static void counts_each_outcome(void **state)
{
	struct tally *tally = *state;
	static const struct {
		unsigned rcode, addresses;
		enum transaction_source source;
		enum transaction_action action;
		enum client_counter outcome, origin;
	} cases[] = {
		{RCODE_NOERROR, 1, SOURCE_CACHE, TRANSACTION_NONE, COUNTER_noerror, COUNTER_cached},
		{RCODE_NOERROR, 0, SOURCE_STALE, TRANSACTION_NONE, COUNTER_nodata, COUNTER_cached},
		{RCODE_NXDOMAIN, 0, SOURCE_UPSTREAM, TRANSACTION_WATCH, COUNTER_nxdomain,
			COUNTER_forwarded},
		{RCODE_NXDOMAIN, 0, SOURCE_POLICY, TRANSACTION_BLOCK, COUNTER_nxdomain,
			COUNTER_blocked},
		{RCODE_SERVFAIL, 0, SOURCE_ERROR, TRANSACTION_NONE, COUNTER_servfail,
			COUNTER_local},
		{RCODE_REFUSED, 0, SOURCE_LOCAL, TRANSACTION_NONE, COUNTER_refused, COUNTER_local},
		{RCODE_NOTIMP, 0, SOURCE_ERROR, TRANSACTION_NONE, COUNTER_other, COUNTER_local},
		{RCODE_NOERROR, 0, SOURCE_ERROR, TRANSACTION_NONE, COUNTER_other,
			COUNTER_local}, /* BADVERS */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer answer;
		make_reply(&answer, "a.example.", cases[i].rcode, "a.example.", 1,
			cases[i].addresses);
		struct transaction transaction = transaction_of(&answer, (uint32_t)i, 0);
		transaction.source = cases[i].source;
		transaction.action = cases[i].action;
		transaction.tcp = i == 0;
		tally_add(tally, &seed, &transaction, NOON);
		const uint64_t *counters = tally->clients[i + 1].counters;
		assert_int_equal(counters[COUNTER_queries], 1);
		assert_int_equal(counters[cases[i].outcome], 1);
		assert_int_equal(counters[cases[i].origin], 1);
		assert_int_equal(counters[COUNTER_watched], cases[i].action == TRANSACTION_WATCH);
		assert_int_equal(counters[COUNTER_tcp], i == 0);
	}
	assert_int_equal(sum(tally, COUNTER_queries), 8);
	assert_int_equal(sum(tally, COUNTER_noerror) + sum(tally, COUNTER_nodata) +
				 sum(tally, COUNTER_nxdomain) + sum(tally, COUNTER_servfail) +
				 sum(tally, COUNTER_refused) + sum(tally, COUNTER_other),
		8);
	assert_int_equal(sum(tally, COUNTER_cached) + sum(tally, COUNTER_forwarded) +
				 sum(tally, COUNTER_local) + sum(tally, COUNTER_blocked),
		8);
}

static void counts_truncated_as_no_nodata(void **state)
{
	struct tally *tally = *state;
	struct answer answer;
	make_answer(&answer, "a.example.", 0);
	answer.reply[2] |= DNS_FLAG_TC >> 8;
	struct transaction transaction = transaction_of(&answer, 1, 0);

	tally_add(tally, &seed, &transaction, NOON);
	assert_int_equal(tally->clients[1].counters[COUNTER_truncated], 1);
	assert_int_equal(tally->clients[1].counters[COUNTER_noerror], 1);
	assert_int_equal(tally->clients[1].counters[COUNTER_nodata], 0);
}

static void keeps_what_was_told_with_its_owner(void **state)
{
	struct tally *tally = *state;
	struct answer answer;
	make_reply(&answer, "www.example.", RCODE_NOERROR, "T.Cdn.Example.", 1, 3);
	struct transaction transaction = transaction_of(&answer, 1, 77);

	tally_add(tally, &seed, &transaction, NOON + 5);
	tally_add(tally, &seed, &transaction, NOON + 9);
	tally_add(tally, &seed, &transaction, NOON + 2); /* the wall clock stepped back */
	assert_int_equal(tally->detail_count, 1);
	const struct tally_detail *detail = &tally->details[0];
	assert_int_equal(detail->queries, 3);
	assert_int_equal(detail->first_us, NOON + 5);
	assert_int_equal(detail->last_us, NOON + 9);
	assert_int_equal(detail->told_count, 3);

	const struct tally_told *told = (const void *)(tally->bytes + detail->told);
	struct name owner = name_of("t.cdn.example.");
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(told[i].address.family, 4);
		assert_int_equal(told[i].address.octets[3], i + 1);
		assert_int_equal(told[i].owner_length, owner.length);
		assert_memory_equal(tally->bytes + told[i].owner, owner.wire, owner.length);
	}
	assert_int_equal(told[1].owner, told[0].owner); /* stored once */
}

/* Another rule is another detail; the same rule's text is stored once; what is no hit has none. */
static void keeps_the_rule_of_a_hit(void **state)
{
	struct tally *tally = *state;
	struct answer a, b;
	make_answer(&a, "a.example.", 1);
	make_answer(&b, "b.example.", 2);
	struct transaction first = transaction_of(&a, 1, 5), second = transaction_of(&b, 1, 6);
	first.action = second.action = TRANSACTION_WATCH;
	first.zone = second.zone = 3;
	first.rule = second.rule = "*.example.";
	struct transaction other = first, none = first;
	other.rule = "*.exampl.";
	none.action = TRANSACTION_NONE;
	none.zone = ZONE_ID_NONE;

	for (unsigned i = 0; i < 2; i++) {
		tally_add(tally, &seed, &first, NOON);
		tally_add(tally, &seed, &second, NOON);
		tally_add(tally, &seed, &other, NOON);
		tally_add(tally, &seed, &none, NOON);
	}
	assert_int_equal(tally->detail_count, 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(tally->details[i].queries, 2);
	assert_int_equal(tally->details[0].rule_length, 10);
	assert_memory_equal(tally->bytes + tally->details[0].rule, "*.example.", 10);
	assert_int_equal(tally->details[1].rule, tally->details[0].rule);
	assert_int_equal(tally->details[2].rule_length, 9);
	assert_memory_equal(tally->bytes + tally->details[2].rule, "*.exampl.", 9);
	assert_int_equal(tally->details[3].rule_length, 0);
}

static void same_answer_to_two_clients_is_two_details(void **state)
{
	struct tally *tally = *state;
	struct answer answer, other;
	make_answer(&answer, "a.example.", 1);
	make_reply(&other, "b.example.", RCODE_NXDOMAIN, "b.example.", 1, 0);
	struct transaction first = transaction_of(&answer, 1, 5),
			   second = transaction_of(&answer, 2, 5);
	struct transaction watched = first, missing = transaction_of(&other, 1, 0);
	watched.action = TRANSACTION_WATCH;
	watched.zone = 3;
	struct transaction missing_again = missing;

	const struct transaction *all[] = {
		&first, &second, &watched, &missing, &first, &missing_again};
	for (size_t i = 0; i < 6; i++)
		tally_add(tally, &seed, all[i], NOON);
	assert_int_equal(tally->detail_count, 4);
	static const uint64_t queries[] = {2, 1, 1, 2};
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(tally->details[i].queries, queries[i]);
	assert_int_equal(tally->details[2].zone, 3);
	assert_int_equal(tally->details[0].client, tally->details[2].client);
	assert_int_not_equal(tally->details[0].client, tally->details[1].client);
}

static void v4_and_v6_of_equal_octets_differ(void **state)
{
	struct tally *tally = *state;
	struct answer answer;
	make_answer(&answer, "a.example.", 0);
	struct transaction v4 = transaction_of(&answer, 1, 0), v6 = v4;
	v6.client.address.family = 6;

	tally_add(tally, &seed, &v4, NOON);
	tally_add(tally, &seed, &v6, NOON);
	assert_int_equal(tally->client_count, 3);
}

static void more_clients_than_fit_are_other(void **state)
{
	struct tally *tally = *state;
	struct answer answer;
	const uint32_t clients = TALLY_CLIENTS + 500;
	make_answer(&answer, "a.example.", 1);

	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < clients; i++) {
			struct transaction transaction = transaction_of(&answer, i, 9);
			tally_add(tally, &seed, &transaction, NOON);
		}
	}
	assert_int_equal(tally->client_count, TALLY_CLIENTS);
	assert_int_equal(tally->queries, 2 * clients);
	assert_int_equal(sum(tally, COUNTER_queries), 2 * clients);
	assert_int_equal(tally->clients[0].counters[COUNTER_queries], 2 * 501);
	assert_int_equal(tally->clients[0].address.family, 0);
	assert_true(tally_wants_handover(tally));
}

static void more_details_than_fit_are_dropped_and_counted(void **state)
{
	struct tally *tally = *state;
	struct answer answer;
	const uint64_t answers = TALLY_DETAILS + 100;
	make_answer(&answer, "a.example.", 0);

	for (uint64_t i = 1; i <= answers; i++) {
		struct transaction transaction = transaction_of(&answer, 1, i);
		tally_add(tally, &seed, &transaction, NOON);
		assert_int_equal(tally_wants_handover(tally), i >= TALLY_DETAILS / 4 * 3);
	}
	assert_int_equal(tally->details_dropped, 100);
	assert_int_equal(sum(tally, COUNTER_queries), answers);
}

static void full_bytes_roll_back(void **state)
{
	struct tally *tally = *state;
	struct answer answer;
	uint64_t id = 0;
	make_reply(&answer, "a.example.", RCODE_NOERROR, "cdn.example.", 1, 60);

	while (tally->details_dropped == 0) {
		struct transaction transaction = transaction_of(&answer, 1, ++id);
		tally_add(tally, &seed, &transaction, NOON);
		assert_true(tally->bytes_used <= TALLY_BYTES);
	}
	assert_int_equal(tally->detail_count, id - 1);
	uint32_t used = tally->bytes_used;
	struct answer small;
	make_reply(&small, "b.example.", RCODE_NXDOMAIN, "b.example.", 1, 0);
	struct transaction transaction = transaction_of(&small, 1, 0);
	tally_add(tally, &seed, &transaction,
		NOON); /* a small one still fits where the large did not */
	assert_int_equal(tally->bytes_used, used + small.qname.length);
}

static void a_reply_cut_short_is_survived(void **state)
{
	struct tally *tally = *state;
	struct answer answer;
	make_reply(&answer, "a.example.", RCODE_NOERROR, "b.example.", 1, 4);

	for (size_t length = 0; length <= answer.length; length++) {
		struct transaction transaction = transaction_of(&answer, 1, 1000 + length);
		transaction.reply_length = length;
		tally_add(tally, &seed, &transaction, NOON);
	}
	assert_int_equal(sum(tally, COUNTER_queries), answer.length + 1);
	assert_int_equal(tally->details[tally->detail_count - 1].told_count, 4);
}

static void without_a_question_only_counters(void **state)
{
	struct tally *tally = *state;
	struct answer answer;
	make_reply(&answer, "a.example.", RCODE_FORMERR, "a.example.", 1, 0);
	struct transaction transaction = transaction_of(&answer, 1, 0);
	transaction.qname = NULL;
	transaction.qname_length = 0;

	tally_add(tally, &seed, &transaction, NOON);
	assert_int_equal(tally->queries, 1);
	assert_int_equal(tally->detail_count, 0);
	assert_int_equal(tally->details_dropped, 0);
}

static void cleared_is_empty_and_usable(void **state)
{
	struct tally *tally = *state;
	struct answer answer;
	make_reply(&answer, "a.example.", RCODE_NOERROR, "a.example.", 1, 2);

	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 3000; i++) {
			struct transaction transaction =
				transaction_of(&answer, i % 1000, 1 + i % 7);
			tally_add(tally, &seed, &transaction, NOON + (int64_t)round * US_PER_HOUR);
		}
		assert_int_equal(sum(tally, COUNTER_queries), 3000);
		assert_int_equal(tally->client_count, 1001);
		assert_int_equal(tally->hour, NOON / US_PER_HOUR + round);
		tally_clear(tally);
		assert_int_equal(tally->queries, 0);
	}
	for (size_t i = 0; i < TALLY_SLOTS(TALLY_CLIENTS); i++)
		assert_int_equal(tally->client_slots[i].entry, 0);
	for (size_t i = 0; i < TALLY_SLOTS(TALLY_DETAILS); i++)
		assert_int_equal(tally->detail_slots[i].entry, 0);
}

static void knows_its_hour(void **state)
{
	struct tally *tally = *state;
	struct answer answer;
	make_answer(&answer, "a.example.", 0);
	struct transaction transaction = transaction_of(&answer, 1, 0);

	assert_true(tally_is_hour(tally, NOON - 1));
	tally_add(tally, &seed, &transaction, NOON + 1);
	assert_true(tally_is_hour(tally, NOON));
	assert_true(tally_is_hour(tally, NOON + US_PER_HOUR - 1));
	assert_false(tally_is_hour(tally, NOON + US_PER_HOUR));
	assert_false(tally_is_hour(tally, NOON - 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(counts_each_outcome),
		TEST(counts_truncated_as_no_nodata),
		TEST(keeps_what_was_told_with_its_owner),
		TEST(keeps_the_rule_of_a_hit),
		TEST(same_answer_to_two_clients_is_two_details),
		TEST(v4_and_v6_of_equal_octets_differ),
		TEST(more_clients_than_fit_are_other),
		TEST(more_details_than_fit_are_dropped_and_counted),
		TEST(full_bytes_roll_back),
		TEST(a_reply_cut_short_is_survived),
		TEST(without_a_question_only_counters),
		TEST(cleared_is_empty_and_usable),
		TEST(knows_its_hour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

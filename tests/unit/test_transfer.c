/* SPDX-License-Identifier: BSD-3-Clause */
/* A look at the primaries: the zone whole, its changes, and every fault on the way. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/transfer_bed.h"

/* --- a look --- */

static void test_first(void **state)
{
	struct bed *bed = bed_of(1, NULL, 0);

	(void)state;
	assert_state(bed, TRANSFER_NEVER);
	pass(bed, 0);
	connected(bed);
	give(bed, "7");
	assert_state(bed, TRANSFER_REFRESHING);
	pass(bed, 2 * US_PER_S);
	give(bed, "7 a|b|7");
	assert_done(bed, "call 1 SOA? AXFR? whole +a +b commit 7");
	assert_state(bed, TRANSFER_REFRESHING);
	installed(bed, NULL);
	assert_done(bed, "checked");
	assert_state(bed, TRANSFER_CURRENT);
	assert_int_equal(bed->status.soa.serial, 7);
	assert_int_equal(bed->status.form, FORM_AXFR);
	assert_int_equal(bed->status.records, 2);
	assert_int_equal(bed->status.took_us, 2 * US_PER_S);
	assert_int_equal(bed->status.transfers, 1);
	assert_int_equal(due_s(bed), 3600);
}

static void test_current(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	assert_int_equal(bed->status.checked_us, WALL_S * US_PER_S);
	assert_int_equal(due_s(bed), 3600);
	pass(bed, 3599 * US_PER_S);
	assert_done(bed, "");
	pass(bed, US_PER_S);
	assert_done(bed, "call 1");
}

static void test_changes(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	pass(bed, 3600 * US_PER_S);
	connected(bed);
	give(bed, "6");
	give(bed, "6 5 a 6 b 6");
	assert_done(bed, "call 1 SOA? IXFR? changes -a +b commit 6");
	installed(bed, NULL);
	assert_state(bed, TRANSFER_CURRENT);
	assert_int_equal(bed->status.form, FORM_IXFR);
	assert_int_equal(bed->status.soa.serial, 6);
}

/* One octet at a time. */
static void test_dribble(void **state)
{
	struct bed *bed = bed_of(1, NULL, 0);

	(void)state;
	pass(bed, 0);
	connected(bed);
	answer_of(&bed->answer, bed->id, bed->qtype, "7");
	const uint8_t length[2] = {0, (uint8_t)bed->answer.size};
	give_octets(bed, length, 1);
	give_octets(bed, length + 1, 1);
	for (size_t i = 0; i < bed->answer.size; i++)
		give_octets(bed, bed->answer.octets + i, 1);
	assert_done(bed, "call 1 SOA? AXFR?");
}

/* --- changes that cannot be had --- */

static void test_fall_back_on_rcode(void **state)
{
	static const uint8_t rcodes[] = {1, 2, 4, 5, 9};

	(void)state;
	for (size_t i = 0; i < sizeof rcodes; i++) {
		struct bed *bed = current(1);
		pass(bed, 3600 * US_PER_S);
		connected(bed);
		give(bed, "6");
		give_rcode(bed, rcodes[i]);
		connected(bed);
		give(bed, "6 z 6");
		assert_done(bed, "call 1 SOA? IXFR? call 1 AXFR? whole +z commit 6");
	}
}

static void test_fall_back(void **state)
{
	static const char *const answers[] = {
		"6 4 a 6 b 6", "6 5 a 4 b 6", "6 5 a 6 b 7", "5", "a", "6 5 a 6 b 6 c"};

	(void)state;
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		struct bed *bed = current(1);
		pass(bed, 3600 * US_PER_S);
		connected(bed);
		give(bed, "6");
		bed->log[0] = '\0';
		give(bed, answers[i]);
		assert_non_null(strstr(bed->log, "call 1"));
		connected(bed);
		assert_non_null(strstr(bed->log, "AXFR?"));
	}
}

static void test_fall_back_on_cut(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	pass(bed, 3600 * US_PER_S);
	connected(bed);
	give(bed, "6");
	give(bed, "6 5 a");
	lost(bed);
	connected(bed);
	assert_done(bed, "call 1 SOA? IXFR? changes -a call 1 AXFR?");
	lost(bed); /* and that too: the zone stays */
	assert_state(bed, TRANSFER_RETRYING);
	assert_int_equal(bed->status.soa.serial, 5);
}

/* The copy takes no more changes. */
static void test_no_changes_wanted(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	bed->no_changes = true;
	pass(bed, 3600 * US_PER_S);
	connected(bed);
	give(bed, "6");
	assert_done(bed, "call 1 SOA? AXFR?");
}

/* Changes that do not fit what we have: the zone comes whole, though the serial is ours. */
static void test_changes_do_not_fit(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	pass(bed, 3600 * US_PER_S);
	connected(bed);
	give(bed, "6");
	give(bed, "6 5 a 6 b 6");
	bed->log[0] = '\0';
	installed(bed, "no such rule");
	pass(bed, TRANSFER_NOTIFY_GAP_US);
	connected(bed);
	give(bed, "6");
	give(bed, "6 a 6");
	assert_done(bed, "call 1 SOA? AXFR? whole +a commit 6");
	installed(bed, NULL);
	assert_int_equal(status_of(bed)->soa.serial, 6);
	assert_string_equal(bed->status.error, "");
}

/* Nor is a zone that came whole and could not be put into force one to make changes to. */
static void test_whole_does_not_fit(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	bed->no_changes = true;
	pass(bed, 3600 * US_PER_S);
	connected(bed);
	give(bed, "6");
	give(bed, "6 a 6");
	installed(bed, "the disk is broken");
	bed->log[0] = '\0';
	bed->no_changes = false;
	pass(bed, 600 * US_PER_S);
	connected(bed);
	give(bed, "7");
	assert_done(bed, "call 1 SOA? AXFR?");
}

/* --- faults --- */

static void test_primaries_in_order(void **state)
{
	struct bed *bed = current(3);

	(void)state;
	pass(bed, 3600 * US_PER_S);
	lost(bed);
	connected(bed);
	give_rcode(bed, 5);
	connected(bed);
	give(bed, "6");
	give(bed, "6 5 a 6 b 6");
	assert_done(bed, "call 1 call 2 SOA? call 3 SOA? IXFR? changes -a +b commit 6");
	installed(bed, NULL);
	assert_int_equal(status_of(bed)->primary.address.octets[3], 3);
	pass(bed, 3600 * US_PER_S);
	assert_done(bed, "checked call 1");
}

static void test_retry(void **state)
{
	struct bed *bed = current(2);

	(void)state;
	pass(bed, 3600 * US_PER_S);
	lost(bed);
	lost(bed);
	assert_done(bed, "call 1 call 2");
	assert_state(bed, TRANSFER_RETRYING);
	assert_int_equal(bed->status.since_us, bed->now.wall_us);
	assert_string_equal(bed->status.error, "192.0.2.2:53: cannot be connected: reset");
	assert_int_equal(due_s(bed), 600);
	int64_t since_us = bed->status.since_us;
	pass(bed, 600 * US_PER_S);
	lost(bed);
	lost(bed);
	assert_state(bed, TRANSFER_RETRYING);
	assert_int_equal(bed->status.since_us, since_us);
	assert_int_equal(bed->status.failures, 2);
	pass(bed, 600 * US_PER_S);
	connected(bed);
	give(bed, "5");
	assert_state(bed, TRANSFER_CURRENT);
	assert_string_equal(bed->status.error, "");
}

/* A zone that never came is asked for soon, then less and less often. */
static void test_first_retries(void **state)
{
	static const int64_t waits_s[] = {5, 10, 20, 40, 80, 160, 300, 300};
	struct bed *bed = bed_of(1, NULL, 0);

	(void)state;
	pass(bed, 0);
	for (size_t i = 0; i < sizeof waits_s / sizeof waits_s[0]; i++) {
		lost(bed);
		assert_int_equal(due_s(bed), waits_s[i]);
		assert_state(bed, TRANSFER_RETRYING);
		pass(bed, waits_s[i] * US_PER_S);
	}
}

static void test_times_out(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	pass(bed, 3600 * US_PER_S);
	pass(bed, TRANSFER_CONNECT_US);
	assert_state(bed, TRANSFER_RETRYING);
	pass(bed, 600 * US_PER_S);
	connected(bed);
	pass(bed, TRANSFER_MESSAGE_US);
	assert_state(bed, TRANSFER_RETRYING);
	assert_non_null(strstr(bed->status.error, "no answer in time"));
}

/* Octets that never make a message are no progress. */
static void test_slow_message(void **state)
{
	struct bed *bed = bed_of(1, NULL, 0);

	(void)state;
	pass(bed, 0);
	connected(bed);
	give(bed, "7");
	give(bed, "7 a");
	for (int64_t s = 0; s < 29; s++) {
		pass(bed, US_PER_S);
		give_octets(bed, "\001", 1);
	}
	assert_state(bed, TRANSFER_REFRESHING);
	pass(bed, US_PER_S);
	assert_state(bed, TRANSFER_RETRYING);
}

/* Messages that come often enough, and never end. */
static void test_endless(void **state)
{
	struct bed *bed = bed_of(1, NULL, 0);
	int64_t began_us = bed->now.mono_us;

	(void)state;
	pass(bed, 0);
	connected(bed);
	give(bed, "7");
	give(bed, "7 a");
	while (status_of(bed)->state == TRANSFER_REFRESHING) {
		bed->log[0] = '\0';
		pass(bed, 20 * US_PER_S);
		if (status_of(bed)->state == TRANSFER_REFRESHING)
			give(bed, "b");
		assert_true(bed->now.mono_us - began_us <= TRANSFER_WHOLE_US + 20 * US_PER_S);
	}
	assert_state(bed, TRANSFER_RETRYING);
}

static void test_too_large(void **state)
{
	struct bed *bed = bed_of(1, NULL, 0);

	(void)state;
	pass(bed, 0);
	connected(bed);
	give(bed, "7");
	give(bed, "7 a");
	for (unsigned i = 0; i < 5000 && status_of(bed)->state == TRANSFER_REFRESHING; i++) {
		bed->log[0] = '\0';
		give(bed, "b c d e f g");
	}
	assert_state(bed, TRANSFER_RETRYING);
	assert_non_null(strstr(bed->status.error, "zone-transfer-max"));
}

static void test_not_authoritative(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	pass(bed, 3600 * US_PER_S);
	connected(bed);
	answer_of(&bed->answer, bed->id, bed->qtype, "6");
	bed->answer.octets[2] = 0x80;
	const uint8_t length[2] = {0, (uint8_t)bed->answer.size};
	give_octets(bed, length, 2);
	give_octets(bed, bed->answer.octets, bed->answer.size);
	assert_non_null(strstr(status_of(bed)->error, "no authority"));
}

static void test_disk_full(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	bed->refuse_record = true;
	pass(bed, 3600 * US_PER_S);
	connected(bed);
	give(bed, "6");
	give(bed, "6 5 a 6 b 6");
	assert_state(bed, TRANSFER_RETRYING);
	assert_string_equal(
		bed->status.error, "192.0.2.1:53: the zone cannot be kept: the disk is full");
	bed->refuse_record = false;
	bed->refuse_commit = true;
	pass(bed, 600 * US_PER_S);
	connected(bed);
	give(bed, "6");
	give(bed, "6 5 a 6 b 6");
	assert_state(bed, TRANSFER_RETRYING);
	assert_int_equal(bed->status.soa.serial, 5);
}

static void test_no_descriptors(void **state)
{
	struct bed *bed = bed_of(2, NULL, 0);

	(void)state;
	bed->refuse_connect = true;
	pass(bed, 0);
	assert_done(bed, "call 1 call 2");
	assert_state(bed, TRANSFER_RETRYING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_current),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_dribble),
		cmocka_unit_test(test_fall_back_on_rcode),
		cmocka_unit_test(test_fall_back),
		cmocka_unit_test(test_fall_back_on_cut),
		cmocka_unit_test(test_no_changes_wanted),
		cmocka_unit_test(test_changes_do_not_fit),
		cmocka_unit_test(test_whole_does_not_fit),
		cmocka_unit_test(test_primaries_in_order),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_first_retries),
		cmocka_unit_test(test_times_out),
		cmocka_unit_test(test_slow_message),
		cmocka_unit_test(test_endless),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_not_authoritative),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, end_transfer);
}

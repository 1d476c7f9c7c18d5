/* SPDX-License-Identifier: BSD-3-Clause */
/* A zone that follows its primaries, on a clock and a network of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/transfer.h"
#include "tests/unit/zone_answer.h"

#define WALL_S INT64_C(1700000000)

struct bed {
	struct transfer *transfer;
	struct transfer_settings settings;
	struct now now;
	struct transfer_status status;
	char log[2048]; /* what was done: "call 1 ask SOA …" */
	uint16_t id;    /* of the question asked last */
	uint16_t qtype;
	bool no_changes, refuse_commit, refuse_record, refuse_connect;
	unsigned random; /* the part of what spreads times, in percent */
	struct zone_answer answer;
};

static void put(struct bed *bed, const char *words)
{
	size_t used = strlen(bed->log);

	snprintf(bed->log + used, sizeof bed->log - used, "%s%s", used ? " " : "", words);
}

static const char *on_connect(void *context, const struct endpoint *primary)
{
	struct bed *bed = context;
	char words[16];

	snprintf(words, sizeof words, "call %u", primary->address.octets[3]);
	put(bed, words);
	return bed->refuse_connect ? "no network" : NULL;
}

static void on_send(void *context, const uint8_t *octets, size_t size)
{
	struct bed *bed = context;

	assert_int_equal(octets[0] << 8 | octets[1], size - 2);
	bed->id = (uint16_t)(octets[2] << 8 | octets[3]);
	bed->qtype = octets[2 + 12 + zone_apex.length + 1];
	put(bed, bed->qtype == TYPE_SOA ? "SOA?" : bed->qtype == TYPE_AXFR ? "AXFR?" : "IXFR?");
}

static void on_close(void *context)
{
	(void)context;
}

static uint32_t on_random(void *context, uint32_t bound)
{
	struct bed *bed = context;

	return (uint32_t)((uint64_t)(bound - 1) * bed->random / 100);
}

static bool on_begin(void *context, bool whole)
{
	put(context, whole ? "whole" : "changes");
	return true;
}

static bool on_record(void *context, bool removed, const struct zone_record *record)
{
	struct bed *bed = context;
	const char text[3] = {removed ? '-' : '+', (char)record->owner[1], '\0'};

	put(bed, text);
	return !bed->refuse_record;
}

static bool on_takes_changes(void *context)
{
	return !((struct bed *)context)->no_changes;
}

static const char *on_why(void *context)
{
	(void)context;
	return "the disk is full";
}

static void on_abort(void *context)
{
	(void)context;
}

static bool on_commit(void *context, const struct zone_soa *soa, const struct now *now)
{
	char words[24];

	(void)now;
	snprintf(words, sizeof words, "commit %u", soa->serial);
	put(context, words);
	return !((struct bed *)context)->refuse_commit;
}

static void on_checked(void *context, const struct now *now)
{
	(void)now;
	put(context, "checked");
}

static const struct transfer_io io = {.connect = on_connect,
	.send = on_send,
	.close = on_close,
	.random = on_random,
	.begin = on_begin,
	.record = on_record,
	.takes_changes = on_takes_changes,
	.why = on_why,
	.abort = on_abort,
	.commit = on_commit,
	.checked = on_checked};

static struct endpoint endpoint_of(uint8_t number)
{
	const uint8_t octets[4] = {192, 0, 2, number};

	return (struct endpoint){.address = address_v4(octets), .port = 53};
}

static struct bed *bed_of(unsigned primaries, const struct zone_soa *have, int64_t checked_s)
{
	static struct bed bed;
	struct transfer_io with = io;

	if (bed.transfer)
		transfer_free(bed.transfer);
	memset(&bed, 0, sizeof bed);
	with.context = &bed;
	bed.now = (struct now){.mono_us = 1000 * US_PER_S, .wall_us = WALL_S * US_PER_S};
	bed.settings = (struct transfer_settings){
		.apex = zone_apex, .primary_count = primaries, .octets_max = 100000};
	for (uint8_t i = 0; i < primaries; i++)
		bed.settings.primaries[i] = endpoint_of((uint8_t)(i + 1));
	bed.transfer = transfer_new(&bed.settings, &with, have, checked_s, &bed.now);
	assert_non_null(bed.transfer);
	return &bed;
}

static const struct zone_soa at_5 = {5, 3600, 600, 86400, 60};

static void pass(struct bed *bed, int64_t us)
{
	bed->now.mono_us += us;
	bed->now.wall_us += us;
	transfer_tick(bed->transfer, &bed->now);
}

static const struct transfer_status *status_of(struct bed *bed)
{
	transfer_status(bed->transfer, &bed->now, &bed->status);
	return &bed->status;
}

/* What was done since the last call. */
#define assert_done(bed, words)                         \
	do {                                            \
		assert_string_equal((bed)->log, words); \
		(bed)->log[0] = '\0';                   \
	} while (0)

#define assert_state(bed, expected) assert_int_equal(status_of(bed)->state, expected)

static void give_octets(struct bed *bed, const void *octets, size_t size)
{
	transfer_input(bed->transfer, octets, size, &bed->now);
}

/* The answer, as messages divided by '|'. */
static void give(struct bed *bed, const char *messages)
{
	char copy[512], *rest;

	snprintf(copy, sizeof copy, "%s", messages);
	for (char *part = strtok_r(copy, "|", &rest); part; part = strtok_r(NULL, "|", &rest)) {
		uint8_t length[2];
		answer_of(&bed->answer, bed->id, bed->qtype, part);
		length[0] = (uint8_t)(bed->answer.size >> 8);
		length[1] = (uint8_t)bed->answer.size;
		give_octets(bed, length, 2);
		give_octets(bed, bed->answer.octets, bed->answer.size);
	}
}

/* The same with this rcode. */
static void give_rcode(struct bed *bed, uint8_t rcode)
{
	answer_of(&bed->answer, bed->id, bed->qtype, "1");
	bed->answer.octets[3] = rcode;
	const uint8_t length[2] = {0, (uint8_t)bed->answer.size};
	give_octets(bed, length, 2);
	give_octets(bed, bed->answer.octets, bed->answer.size);
}

static void connected(struct bed *bed)
{
	transfer_connected(bed->transfer, &bed->now);
}

static void lost(struct bed *bed)
{
	transfer_lost(bed->transfer, "reset", &bed->now);
}

static void installed(struct bed *bed, const char *why)
{
	transfer_installed(bed->transfer, why, &bed->now);
}

static int64_t due_s(const struct bed *bed)
{
	return (transfer_next_due(bed->transfer) - bed->now.mono_us) / US_PER_S;
}

/* A zone that is current, by its first look. */
static struct bed *current(unsigned primaries)
{
	struct bed *bed = bed_of(primaries, &at_5, WALL_S - 100);

	pass(bed, 0);
	connected(bed);
	give(bed, "5");
	assert_done(bed, "call 1 SOA? checked");
	assert_state(bed, TRANSFER_CURRENT);
	return bed;
}

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

/* --- serials --- */

static void test_serial_goes_back(void **state)
{
	struct bed *bed = current(2);

	(void)state;
	pass(bed, 3600 * US_PER_S);
	connected(bed);
	give(bed, "4");
	connected(bed);
	give(bed, "3");
	assert_done(bed, "call 1 SOA? call 2 SOA?");
	assert_state(bed, TRANSFER_RETRYING);
	assert_string_equal(bed->status.error, "192.0.2.2:53: its serial 3 is older than ours, 5");
	assert_int_equal(bed->status.soa.serial, 5);
}

/* One primary is behind, the other is not: that is all that is needed. */
static void test_one_is_behind(void **state)
{
	struct bed *bed = current(2);

	(void)state;
	pass(bed, 3600 * US_PER_S);
	connected(bed);
	give(bed, "4");
	connected(bed);
	give(bed, "5");
	assert_done(bed, "call 1 SOA? call 2 SOA? checked");
	assert_state(bed, TRANSFER_CURRENT);
}

static void test_serial_goes_back_on_demand(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	transfer_refresh(bed->transfer, &bed->now);
	pass(bed, 0);
	connected(bed);
	give(bed, "4");
	give(bed, "4 a 4");
	assert_done(bed, "call 1 SOA? AXFR? whole +a commit 4");
	installed(bed, NULL);
	assert_int_equal(status_of(bed)->soa.serial, 4);
	pass(bed, 3600 * US_PER_S);
	connected(bed);
	bed->log[0] = '\0';
	give(bed, "3"); /* once, not for ever */
	assert_done(bed, "");
}

static void test_serial_wraps(void **state)
{
	const struct zone_soa have = {4294967295u, 3600, 600, 86400, 60};
	struct bed *bed = bed_of(1, &have, WALL_S);

	(void)state;
	pass(bed, 0);
	connected(bed);
	give(bed, "3");
	give(bed, "3 4294967295 a 3 b 3");
	assert_done(bed, "call 1 SOA? IXFR? changes -a +b commit 3");
}

/* The zone that comes is older than what was told. */
static void test_older_zone_comes(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	bed->no_changes = true;
	pass(bed, 3600 * US_PER_S);
	connected(bed);
	give(bed, "6");
	give(bed, "4 a 4");
	assert_done(bed, "call 1 SOA? AXFR? whole +a");
	assert_state(bed, TRANSFER_RETRYING);
}

/* --- times --- */

static void test_silly_times(void **state)
{
	const struct zone_soa nothing = {5, 0, 0, 0, 0},
			      forever = {5, UINT32_MAX, UINT32_MAX, UINT32_MAX, 0};
	struct bed *bed = bed_of(1, &nothing, WALL_S);

	(void)state;
	pass(bed, 0);
	lost(bed);
	assert_int_equal(due_s(bed), TRANSFER_RETRY_MIN_S);
	bed = bed_of(1, &forever, WALL_S);
	pass(bed, 0);
	lost(bed);
	assert_int_equal(due_s(bed), TRANSFER_RETRY_MAX_S);
	assert_false(transfer_is_expired(bed->transfer, &bed->now));
	pass(bed, (TRANSFER_EXPIRE_MAX_S + 1) * US_PER_S);
	assert_true(transfer_is_expired(bed->transfer, &bed->now));
}

static void test_spread(void **state)
{
	struct bed *bed = bed_of(1, &at_5, WALL_S);

	(void)state;
	bed->random = 100;
	pass(bed, 0);
	connected(bed);
	give(bed, "5");
	assert_int_equal(due_s(bed), 3600 - 360);
}

static void test_expires(void **state)
{
	struct bed *bed = bed_of(1, &at_5, WALL_S - 86000);

	(void)state;
	pass(bed, 0);
	lost(bed);
	assert_state(bed, TRANSFER_RETRYING);
	pass(bed, 401 * US_PER_S);
	assert_state(bed, TRANSFER_EXPIRED);
	assert_int_equal(bed->status.since_us, (WALL_S - 86000 + 86400) * US_PER_S);
	pass(bed, 600 * US_PER_S);
	connected(bed);
	give(bed, "5");
	assert_state(bed, TRANSFER_CURRENT);
}

/* A copy of the future is as old as now. */
static void test_clock_was_ahead(void **state)
{
	struct bed *bed = bed_of(1, &at_5, WALL_S + 1000000);

	(void)state;
	pass(bed, 0);
	lost(bed);
	pass(bed, 86401 * US_PER_S);
	assert_state(bed, TRANSFER_EXPIRED);
}

/* --- who asks for a look --- */

static void test_notify(void **state)
{
	struct bed *bed = current(2);
	struct endpoint second = endpoint_of(2);

	(void)state;
	pass(bed, 5 * US_PER_S);
	transfer_notify(bed->transfer, &second.address, &bed->now);
	pass(bed, 0);
	connected(bed);
	assert_done(bed, "call 2 SOA?");
	give(bed, "5");
	assert_done(bed, "checked");
	assert_int_equal(status_of(bed)->notifies, 1);
	pass(bed, 3600 * US_PER_S);
	assert_done(bed, "call 1");
}

/* Whoever sends many does not make us ask often, and the last one counts. */
static void test_many_notifies(void **state)
{
	struct bed *bed = current(1);
	struct endpoint first = endpoint_of(1);

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		transfer_notify(bed->transfer, &first.address, &bed->now);
		pass(bed, US_PER_MS);
	}
	assert_done(bed, "");
	pass(bed, US_PER_S);
	assert_done(bed, "call 1");
	transfer_notify(bed->transfer, &first.address, &bed->now);
	connected(bed);
	give(bed, "5");
	assert_done(bed, "SOA? checked");
	pass(bed, US_PER_S);
	assert_done(bed, "call 1");
}

static void test_refresh(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	transfer_refresh(bed->transfer, &bed->now);
	pass(bed, 0);
	connected(bed);
	transfer_refresh(bed->transfer, &bed->now); /* while it is being asked */
	give(bed, "5");
	assert_done(bed, "call 1 SOA? checked");
	pass(bed, US_PER_S);
	assert_done(bed, "call 1");
}

/* What comes when nothing is expected. */
static void test_out_of_turn(void **state)
{
	struct bed *bed = current(1);

	(void)state;
	connected(bed);
	lost(bed);
	installed(bed, NULL);
	give_octets(bed, "\000\001x", 3);
	assert_done(bed, "");
	assert_state(bed, TRANSFER_CURRENT);
}

static int end(void **state)
{
	(void)state;
	struct bed *bed = bed_of(1, NULL, 0);
	transfer_free(bed->transfer);
	return 0;
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
		cmocka_unit_test(test_serial_goes_back),
		cmocka_unit_test(test_one_is_behind),
		cmocka_unit_test(test_serial_goes_back_on_demand),
		cmocka_unit_test(test_serial_wraps),
		cmocka_unit_test(test_older_zone_comes),
		cmocka_unit_test(test_silly_times),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_expires),
		cmocka_unit_test(test_clock_was_ahead),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_many_notifies),
		cmocka_unit_test(test_refresh),
		cmocka_unit_test(test_out_of_turn),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}

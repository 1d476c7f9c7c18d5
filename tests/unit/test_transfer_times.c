/* SPDX-License-Identifier: BSD-3-Clause */
/* When a zone is looked for, and which serial is the newer one. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/transfer_bed.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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

	return cmocka_run_group_tests(tests, NULL, end_transfer);
}

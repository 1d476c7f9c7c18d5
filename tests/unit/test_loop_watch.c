/* SPDX-License-Identifier: BSD-3-Clause */
/* Servers that lead back to us, on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "resolver/upstream/loop_watch.h"

#define START_US (1000 * US_PER_S)

struct bed {
	struct loop_watch *watch;
	struct endpoint servers[3];
	struct endpoint asked; /* of the last probe */
	struct name marker;
};

static struct endpoint server_at(const char *text)
{
	struct endpoint endpoint;

	assert_int_equal(endpoint_from_text(&endpoint, text, 53), TD_OK);
	return endpoint;
}

static int setup(void **state)
{
	static struct bed bed;
	const struct hash_seed secret = {1, 2};

	memset(&bed, 0, sizeof bed);
	bed.watch = loop_watch_new(&secret);
	bed.servers[0] = server_at("192.0.2.1");
	bed.servers[1] = server_at("192.0.2.1:54");
	bed.servers[2] = server_at("[2001:db8::1]:53");
	loop_watch_set_servers(bed.watch, bed.servers, 3, START_US);
	*state = &bed;
	return 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;

	loop_watch_free(bed->watch);
	return 0;
}

static bool next(struct bed *bed, int64_t now_us)
{
	return loop_watch_next(bed->watch, now_us, &bed->asked, &bed->marker);
}

static void probe_all(struct bed *bed, int64_t now_us, unsigned expected)
{
	unsigned count = 0;

	while (next(bed, now_us))
		count++;
	assert_int_equal(count, expected);
}

static bool seen(struct bed *bed, int64_t now_us)
{
	return loop_watch_seen(bed->watch, bed->marker.wire, bed->marker.length, now_us);
}

static bool looping(struct bed *bed, unsigned server)
{
	return loop_watch_is_looping(bed->watch, &bed->servers[server]);
}

static void every_server_is_asked_at_once(void **state)
{
	struct bed *bed = *state;
	struct name first;

	assert_true(next(bed, START_US));
	first = bed->marker;
	assert_int_equal(first.length, LOOP_NAME_LENGTH);
	assert_true(loop_is_marker(first.wire, first.length));
	assert_true(next(bed, START_US));
	assert_false(name_equal(&first, &bed->marker));
	assert_true(next(bed, START_US));
	assert_false(next(bed, START_US));
	assert_false(next(bed, START_US + LOOP_NOW_AND_THEN_US - 1));
	probe_all(bed, START_US + LOOP_NOW_AND_THEN_US, 3);
}

static void what_comes_back_is_a_loop(void **state)
{
	struct bed *bed = *state;
	unsigned generation;
	uint64_t found;

	assert_true(next(bed, START_US));
	generation = loop_watch_generation(bed->watch);
	assert_true(seen(bed, START_US + 1));
	assert_true(looping(bed, 0));
	assert_false(looping(bed, 1)); /* another port is another server */
	assert_false(looping(bed, 2));
	assert_int_not_equal(loop_watch_generation(bed->watch), generation);
	generation = loop_watch_generation(bed->watch);
	assert_true(seen(bed, START_US + 2)); /* asked twice: nothing new */
	assert_int_equal(loop_watch_generation(bed->watch), generation);
	assert_int_equal(loop_watch_count(bed->watch, &found), 1);
	assert_int_equal(found, 1);
}

static void it_is_asked_again_until_nothing_comes(void **state)
{
	struct bed *bed = *state;
	struct name before;
	int64_t now_us = START_US;

	probe_all(bed, now_us, 3);
	for (int turn = 0; turn < 3; turn++) { /* the server asked last */
		assert_true(seen(bed, now_us + 1));
		probe_all(bed, now_us + LOOP_AGAIN_US - 1, 0);
		now_us += LOOP_AGAIN_US;
		before = bed->marker;
		assert_true(next(bed, now_us));
		assert_int_equal(bed->asked.address.family, ADDRESS_V6);
		assert_false(name_equal(&before, &bed->marker));
		assert_true(looping(bed, 2));
	}
	assert_false(next(bed, now_us + LOOP_WINDOW_US - 1));
	assert_true(looping(bed, 2));
	assert_false(next(bed, now_us + LOOP_WINDOW_US));
	assert_false(looping(bed, 2));
}

static void late_or_forged_ones_do_not_count(void **state)
{
	struct bed *bed = *state;
	struct name name;

	assert_true(next(bed, START_US));
	name = bed->marker;
	assert_false(seen(bed, START_US + LOOP_WINDOW_US));
	name.wire[1] = name.wire[1] == '0' ? '1' : '0';
	assert_false(loop_watch_seen(bed->watch, name.wire, name.length, START_US));
	assert_false(loop_watch_seen(bed->watch, bed->marker.wire + 17, 15, START_US));
	assert_false(looping(bed, 0));
	/* One of an earlier probe neither. */
	name = bed->marker;
	probe_all(bed, START_US + LOOP_NOW_AND_THEN_US, 3);
	assert_false(loop_watch_seen(
		bed->watch, name.wire, name.length, START_US + LOOP_NOW_AND_THEN_US));
}

static void a_server_that_asks_us_is_asked_soon(void **state)
{
	struct bed *bed = *state;
	struct address stranger = server_at("192.0.2.99").address;

	probe_all(bed, START_US, 3);
	loop_watch_heard(bed->watch, &stranger, START_US + LOOP_AGAIN_US);
	probe_all(bed, START_US + LOOP_AGAIN_US, 0);
	loop_watch_heard(bed->watch, &bed->servers[2].address, START_US + 1);
	loop_watch_heard(bed->watch, &bed->servers[2].address, START_US + 2);
	probe_all(bed, START_US + LOOP_AGAIN_US - 1, 0);
	probe_all(bed, START_US + LOOP_AGAIN_US, 1);
	assert_int_equal(bed->asked.address.family, ADDRESS_V6);
	probe_all(bed, START_US + LOOP_AGAIN_US, 0);
}

static void servers_may_change(void **state)
{
	struct bed *bed = *state;
	struct endpoint after[] = {server_at("192.0.2.7"), bed->servers[0], bed->servers[0]};

	assert_true(next(bed, START_US));
	assert_true(seen(bed, START_US));
	probe_all(bed, START_US, 2);
	loop_watch_set_servers(bed->watch, after, 3, START_US + 5);
	assert_true(looping(bed, 0)); /* known before; asked again at once, since it looped */
	probe_all(bed, START_US + 5, 2);
	assert_true(address_equal(&bed->asked.address, &bed->servers[0].address));
	after[2] = bed->servers[2]; /* one that did not loop is not */
	loop_watch_set_servers(bed->watch, after, 3, START_US + 6);
	probe_all(bed, START_US + 6, 2);
	loop_watch_set_servers(bed->watch, NULL, 0, START_US + 6);
	assert_false(looping(bed, 0));
	probe_all(bed, START_US + LOOP_NOW_AND_THEN_US, 0);
}

static void table_has_a_bound(void **state)
{
	struct bed *bed = *state;
	static struct endpoint many[LOOP_SERVERS_MAX + 10];

	for (size_t i = 0; i < LOOP_SERVERS_MAX + 10; i++) {
		many[i] = bed->servers[0];
		many[i].port = (uint16_t)(1000 + i);
	}
	loop_watch_set_servers(bed->watch, many, LOOP_SERVERS_MAX + 10, START_US);
	probe_all(bed, START_US, LOOP_SERVERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_server_is_asked_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_comes_back_is_a_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(
			it_is_asked_again_until_nothing_comes, setup, teardown),
		cmocka_unit_test_setup_teardown(late_or_forged_ones_do_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_server_that_asks_us_is_asked_soon, setup, teardown),
		cmocka_unit_test_setup_teardown(servers_may_change, setup, teardown),
		cmocka_unit_test_setup_teardown(table_has_a_bound, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

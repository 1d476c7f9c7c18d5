/* SPDX-License-Identifier: BSD-3-Clause */
/* Zones by transfer in a loop: what becomes of them where descriptors, the network or a zone are
 * missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/notify.h"
#include "resolver/transfer_copy.h"
#include "resolver/transfer_loop.h"
#include "tests/unit/zone_answer.h"

#define ZONE "feed"

struct bed {
	char state_dir[64], folder[80], path[96];
	struct options options;
	struct zone_options zone;
	struct endpoint primary;
	struct event_base *base;
	struct transfers *transfers;
};

static void on_changed(void *context)
{
	(void)context;
}

static void make_copy(const struct bed *bed)
{
	const struct zone_soa soa = {7, 3600, 600, 86400, 60};
	struct name owner = name_of("bad.example.rpz.example");
	const struct zone_record record = {
		owner.wire, owner.length, TYPE_CNAME, 60, (const uint8_t *)"", 1};
	char why[COPY_WHY_SIZE];
	struct zone_copy *copy = copy_open(bed->folder, ZONE, &zone_apex, why);

	assert_non_null(copy);
	assert_true(copy_begin(copy, true));
	assert_true(copy_add(copy, false, &record));
	assert_true(copy_commit(copy, &soa, 1700000000));
	copy_settle(copy, copy_version(copy));
	copy_close(copy);
}

static int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof *bed);
	const uint8_t broadcast[4] = {255, 255, 255, 255};

	snprintf(bed->state_dir, sizeof bed->state_dir, "/tmp/test_transfer_loop.XXXXXX");
	assert_non_null(mkdtemp(bed->state_dir));
	snprintf(bed->folder, sizeof bed->folder, "%s/zones", bed->state_dir);
	snprintf(bed->path, sizeof bed->path, "%s/" ZONE ".zone", bed->folder);
	/* Nothing can be connected to it: told at once, as without a network. */
	bed->primary = (struct endpoint){.address = address_v4(broadcast), .port = 53};
	snprintf(bed->zone.name, sizeof bed->zone.name, ZONE);
	bed->zone.primaries = &bed->primary;
	bed->zone.primary_count = 1;
	bed->zone.zone_name = zone_apex;
	bed->options.state_dir = bed->state_dir;
	bed->options.zones = &bed->zone;
	bed->options.zone_count = 1;
	bed->options.zone_transfer_max = 1 << 20;
	make_copy(bed);
	bed->base = event_base_new();
	bed->transfers = transfers_new(on_changed, bed);
	assert_true(transfers_follow(bed->transfers, &bed->options));
	*state = bed;
	return 0;
}

static int teardown(void **state)
{
	struct bed *bed = *state;

	transfers_free(bed->transfers);
	event_base_free(bed->base);
	unlink(bed->path);
	rmdir(bed->folder);
	rmdir(bed->state_dir);
	free(bed);
	return 0;
}

/* The names that the zone blocks by what the feed gives, -1: it cannot be filled. */
static int fill(struct bed *bed, uint64_t *version, void *snapshot)
{
	const struct zone_feed *feed = transfers_feed(bed->transfers);
	struct zone_fill fill = {.builder = policy_builder_new(), .zone = ZONE, .kind = ZONE_LIST};
	enum td_error error = feed->fill(feed->context, snapshot, &fill);
	struct policy_index *index = error ? NULL : policy_builder_finish(&fill.builder);
	int rules = index ? (int)policy_zone_rules(index, 0) : -1;

	assert_true(index || fill.why[0]);
	assert_true(*version > COPY_VERSION_EMPTY);
	policy_index_free(index);
	policy_builder_free(fill.builder);
	feed->release(feed->context, snapshot);
	return rules;
}

/* A zone that cannot be looked at is none that is empty. */
static void test_no_descriptors(void **state)
{
	struct bed *bed = *state;
	const struct zone_feed *feed = transfers_feed(bed->transfers);
	struct rlimit before, none;
	uint64_t version;
	void *snapshot;

	assert_true(feed->snapshot(feed->context, ZONE, &snapshot, &version));
	assert_int_equal(fill(bed, &version, snapshot), 1);
	getrlimit(RLIMIT_NOFILE, &before);
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_NOFILE, &none);
	assert_true(feed->snapshot(feed->context, ZONE, &snapshot, &version));
	setrlimit(RLIMIT_NOFILE, &before);
	assert_int_equal(fill(bed, &version, snapshot), -1);
}

static void test_no_network(void **state)
{
	struct bed *bed = *state;
	struct transfer_status status;

	transfers_start(bed->transfers, bed->base);
	do { /* until its timer has run */
		assert_int_equal(event_base_loop(bed->base, EVLOOP_ONCE), 0);
		assert_non_null(transfers_status(bed->transfers, 0, &status));
	} while (status.checks == 0);
	assert_int_equal(status.failures, 1);
	assert_string_equal(
		status.error, "255.255.255.255:53: cannot be connected: Network is unreachable");
}

/* A mark that a worker made for a zone that a reload took away meanwhile must not stay: the worker
 * wakes nobody for a zone whose mark stands. */
static void test_mark_of_nobody(void **state)
{
	struct bed *bed = *state;
	struct notify_box *box = transfers_box(bed->transfers);
	const uint64_t one = 1;

	transfers_start(bed->transfers, bed->base);
	box->heard[0] = box->heard[1] = 1;
	assert_int_equal(write(box->wake_fd, &one, sizeof one), sizeof one);
	for (unsigned i = 0; i < 10; i++)
		event_base_loop(bed->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(box->heard[0], 0);
	assert_int_equal(box->heard[1], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_network, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mark_of_nobody, setup, teardown)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

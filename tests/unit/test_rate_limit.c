/* SPDX-License-Identifier: BSD-3-Clause */
/* How fast a client may ask, on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "lib/base/clock.h"
#include "resolver/rate_limit.h"

#define START (INT64_C(1000) * US_PER_S)

static struct rate_limit *limit;
static uint64_t forgotten;

static int setup(void **state)
{
	const struct hash_seed seed = {1, 2};

	(void)state;
	forgotten = 0;
	limit = rate_limit_new(&seed);
	return limit ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	rate_limit_free(limit);
	return 0;
}

static struct address v4(uint32_t number)
{
	const uint8_t octets[4] = {
		10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};

	return address_v4(octets);
}

static enum rate_verdict take(const struct rate *rate, const struct address *client, int64_t now_us)
{
	return rate_limit_take(limit, rate, client, now_us, &forgotten);
}

/* How many of count queries at one moment pass. */
static unsigned passed(
	const struct rate *rate, const struct address *client, int64_t now_us, unsigned count)
{
	unsigned out = 0;

	for (unsigned i = 0; i < count; i++)
		out += take(rate, client, now_us) == RATE_PASS;
	return out;
}

static void test_a_burst_and_then_the_rate(void **state)
{
	const struct rate rate = {.per_second = 100, .prefix_v6 = 128};
	struct address client = v4(1);
	unsigned total = 0;

	(void)state;
	assert_int_equal(passed(&rate, &client, START, 1000), 200);
	assert_int_equal(passed(&rate, &client, START + US_PER_S / 2, 1000), 50);
	/* Ten seconds of a thousand a second: being limited neither prolongs nor shortens it. */
	for (int i = 1; i <= 10000; i++)
		total += passed(&rate, &client, START + US_PER_S / 2 + i * 1000, 1);
	assert_int_equal(total, 1000);
	assert_int_equal(passed(&rate, &client, START + 100 * US_PER_S, 1000), 200);
}

static void test_a_steady_client_is_never_limited(void **state)
{
	const struct rate rate = {.per_second = 7, .prefix_v6 = 128};
	struct address client = v4(1);

	(void)state;
	for (int64_t i = 0; i < 1000; i++)
		assert_int_equal(take(&rate, &client, START + i * US_PER_S / 7), RATE_PASS);
}

static void test_a_slow_rate_has_a_burst_of_ten(void **state)
{
	const struct rate rate = {.per_second = 1, .prefix_v6 = 128};
	struct address client = v4(1);

	(void)state;
	assert_int_equal(passed(&rate, &client, START, 100), 10);
	assert_int_equal(passed(&rate, &client, START + 3 * US_PER_S, 100), 3);
}

static void test_the_highest_rate(void **state)
{
	const struct rate rate = {.per_second = RATE_MAX, .prefix_v6 = 128};
	struct address client = v4(1);

	(void)state;
	assert_int_equal(passed(&rate, &client, START, 3 * RATE_MAX), 2 * RATE_MAX);
	assert_int_equal(passed(&rate, &client, START + US_PER_S / 10, RATE_MAX), RATE_MAX / 10);
}

static void test_slip(void **state)
{
	struct rate rate = {.per_second = 1, .slip = 2, .prefix_v6 = 128};
	struct address client = v4(1), other = v4(2);

	(void)state;
	passed(&rate, &client, START, 10);
	passed(&rate, &other, START, 10);
	for (unsigned i = 0; i < 10; i++) { /* each for itself, though they take turns */
		enum rate_verdict verdict = i % 2 ? RATE_SLIP : RATE_DROP;
		assert_int_equal(take(&rate, &client, START), verdict);
		assert_int_equal(take(&rate, &other, START), verdict);
	}
	rate.slip = 1;
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(take(&rate, &client, START), RATE_SLIP);
	rate.slip = 0;
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(take(&rate, &client, START), RATE_DROP);
	rate.slip = RATE_SLIP_MAX;
	unsigned slipped = 0;
	for (unsigned i = 0; i < 10 * RATE_SLIP_MAX; i++)
		slipped += take(&rate, &client, START) == RATE_SLIP;
	assert_int_equal(slipped, 10);
}

static void test_who_one_client_is(void **state)
{
	struct rate rate = {.per_second = 1, .prefix_v6 = 56};
	struct address first, near, far;

	(void)state;
	address_from_text(&first, "2001:db8:0:100::1");
	address_from_text(&near, "2001:db8:0:1ff:ffff::2");
	address_from_text(&far, "2001:db8:0:200::1");
	assert_int_equal(passed(&rate, &first, START, 10), 10);
	assert_int_equal(passed(&rate, &near, START, 10), 0);
	assert_int_equal(passed(&rate, &far, START, 10), 10);
	rate.prefix_v6 = 61; /* within an octet: 2001:db8:0:100-107 */
	address_from_text(&first, "2001:db8:1:107::1");
	address_from_text(&near, "2001:db8:1:100::2");
	address_from_text(&far, "2001:db8:1:108::2");
	assert_int_equal(passed(&rate, &first, START, 10), 10);
	assert_int_equal(passed(&rate, &near, START, 10), 0);
	assert_int_equal(passed(&rate, &far, START, 10), 10);
	rate.prefix_v6 = 128;
	address_from_text(&near, "2001:db8:1:107::2");
	assert_int_equal(passed(&rate, &near, START, 10), 10);
	/* An IPv4 address is one client, whatever the bits of IPv6 are. */
	rate.prefix_v6 = 32;
	first = v4(1);
	far = v4(2);
	assert_int_equal(passed(&rate, &first, START, 10), 10);
	assert_int_equal(passed(&rate, &far, START, 10), 10);
}

/* Forged senders fill the table: it stays of its size, says what it forgot, and those who have not
 * asked too fast are not limited. */
static void test_more_clients_than_places(void **state)
{
	const struct rate rate = {.per_second = 1, .prefix_v6 = 128};

	(void)state;
	for (uint32_t i = 0; i < 4 * RATE_CLIENTS; i++) {
		struct address client = v4(i);
		assert_int_equal(take(&rate, &client, START), RATE_PASS);
	}
	assert_in_range(forgotten, 3 * RATE_CLIENTS - 1000, 4 * RATE_CLIENTS);
	/* Once their time has passed, a place is nobody's: nothing is forgotten. */
	forgotten = 0;
	for (uint32_t i = 0; i < RATE_CLIENTS; i++) {
		struct address client = v4(i + 5 * RATE_CLIENTS);
		take(&rate, &client, START + (int64_t)i * 20 + 60 * US_PER_S);
	}
	assert_in_range(forgotten, 0, RATE_CLIENTS / 3);
}

static void test_one_who_asks_too_fast_stays_known_among_many(void **state)
{
	const struct rate rate = {.per_second = 10, .prefix_v6 = 128};
	struct address fast = v4(1);
	unsigned total = 0;

	(void)state;
	total = passed(&rate, &fast, START, 100);
	for (uint32_t i = 0; i < 4 * RATE_CLIENTS; i++) {
		struct address client = v4(i + 2);
		take(&rate, &client, START);
	}
	total += passed(&rate, &fast, START, 100);
	assert_int_equal(total, 20);
}

static void test_a_long_silence(void **state)
{
	const struct rate rate = {.per_second = 10, .prefix_v6 = 128};
	struct address client = v4(1);

	(void)state;
	assert_int_equal(passed(&rate, &client, START, 100), 20);
	assert_int_equal(passed(&rate, &client, START + (INT64_C(1) << 39), 100), 20);
	assert_int_equal(passed(&rate, &client, START + (INT64_C(1) << 42), 100), 20);
}

#define THREADS 4
#define QUERIES 100000

static void *ask_often(void *context)
{
	const struct rate rate = {.per_second = 1000, .prefix_v6 = 128};
	struct address client = v4(7);
	uint64_t mine = 0;

	for (unsigned i = 0; i < QUERIES; i++)
		*(unsigned *)context +=
			rate_limit_take(limit, &rate, &client, START, &mine) == RATE_PASS;
	return NULL;
}

static void test_workers_share_one_limit(void **state)
{
	pthread_t threads[THREADS];
	unsigned each[THREADS] = {0}, total = 0;

	(void)state;
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, ask_often, &each[i]);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		total += each[i];
	}
	/* Two that come first at once may each take a place; no more than that. */
	assert_in_range(total, 2000, 2 * 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_a_burst_and_then_the_rate),
		T(test_a_steady_client_is_never_limited),
		T(test_a_slow_rate_has_a_burst_of_ten),
		T(test_the_highest_rate),
		T(test_slip),
		T(test_who_one_client_is),
		T(test_more_clients_than_places),
		T(test_one_who_asks_too_fast_stays_known_among_many),
		T(test_a_long_silence),
		T(test_workers_share_one_limit),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

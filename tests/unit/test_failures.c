/* SPDX-License-Identifier: BSD-3-Clause */
/* Failures by themselves: lengths, memory, bound; their part in the cache is tested there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/hash.h"
#include "resolver/failures.h"

static const struct failure refused = {.error = TD_REFUSED, .rcode = 5};

static struct failure_key key_of(const char *text)
{
	const struct hash_seed seed = {1, 2};

	return (struct failure_key){
		hash_bytes(&seed, text, strlen(text)), (const uint8_t *)text, strlen(text)};
}

static void note(struct failures *failures, const char *text, int64_t now_s)
{
	const struct failure_key key = key_of(text);

	failures_note(failures, &key, &refused, 5 * US_PER_S, 30 * US_PER_S, now_s * US_PER_S);
}

/* -1: forgotten, 0: known, 1: held. */
static int state_of(struct failures *failures, const char *text, int64_t now_s)
{
	const struct failure_key key = key_of(text);
	struct failure failure;

	if (!failures_find(failures, &key, now_s * US_PER_S, &failure))
		return -1;
	assert_int_equal(failure.error, TD_REFUSED);
	assert_int_equal(failure.rcode, 5);
	return failure.held;
}

static void test_lengths(void **state)
{
	static const int64_t length_s[] = {5, 10, 20, 30, 30};
	struct failures failures;
	int64_t now_s = 100;

	(void)state;
	failures_init(&failures, 10);
	assert_int_equal(state_of(&failures, "a", now_s), -1);
	for (unsigned i = 0; i < sizeof length_s / sizeof length_s[0]; i++) {
		note(&failures, "a", now_s);
		assert_int_equal(state_of(&failures, "a", now_s + length_s[i] - 1), 1);
		now_s += length_s[i];
		assert_int_equal(state_of(&failures, "a", now_s), 0);
	}
	assert_int_equal(state_of(&failures, "a", now_s + 29), 0);
	assert_int_equal(state_of(&failures, "a", now_s + 30), -1);
	assert_int_equal(failures.table.count, 0);
	note(&failures, "a", now_s + 30);
	assert_int_equal(state_of(&failures, "a", now_s + 35), 0); /* the first length again */
	failures_deinit(&failures);
}

static void test_a_first_length_above_the_limit_stands(void **state)
{
	const struct failure_key key = key_of("a");
	struct failures failures;
	struct failure failure;

	(void)state;
	failures_init(&failures, 10);
	for (unsigned i = 0; i < 3; i++)
		failures_note(&failures, &key, &refused, 300 * US_PER_S, 30 * US_PER_S, 0);
	assert_true(failures_find(&failures, &key, 300 * US_PER_S - 1, &failure) && failure.held);
	assert_true(failures_find(&failures, &key, 300 * US_PER_S, &failure) && !failure.held);
	failures_deinit(&failures);
}

static void test_success_ends_it(void **state)
{
	const struct failure_key key = key_of("a");
	struct failures failures;

	(void)state;
	failures_init(&failures, 10);
	note(&failures, "a", 0);
	note(&failures, "b", 0);
	failures_forget(&failures, &key);
	failures_forget(&failures, &key);
	assert_int_equal(state_of(&failures, "a", 0), -1);
	assert_int_equal(state_of(&failures, "b", 0), 1);
	note(&failures, "a", 0);
	assert_int_equal(state_of(&failures, "a", 5), 0);
	failures_deinit(&failures);
}

static void test_bound(void **state)
{
	struct failures failures;
	char text[16];

	(void)state;
	failures_init(&failures, 100);
	for (unsigned i = 0; i < 250; i++) {
		snprintf(text, sizeof text, "n%u", i);
		note(&failures, text, 0);
	}
	assert_int_equal(failures.table.count, 100);
	assert_int_equal(failures.displaced, 150);
	assert_int_equal(state_of(&failures, "n149", 0), -1);
	assert_int_equal(state_of(&failures, "n150", 0), 1);
	assert_int_equal(state_of(&failures, "n249", 0), 1);
	failures_deinit(&failures);
}

static bool begins_with_n(void *context, const uint8_t *octets, size_t length)
{
	(void)context;
	return length > 0 && octets[0] == 'n';
}

static void test_chosen_ones_are_forgotten(void **state)
{
	struct failures failures;

	(void)state;
	failures_init(&failures, 100);
	note(&failures, "n1", 0);
	note(&failures, "m1", 0);
	note(&failures, "n2", 0);
	assert_int_equal(failures_forget_chosen(&failures, begins_with_n, NULL), 2);
	assert_int_equal(state_of(&failures, "n1", 0), -1);
	assert_int_equal(state_of(&failures, "m1", 0), 1);
	assert_int_equal(failures_forget_chosen(&failures, NULL, NULL), 1);
	assert_int_equal(failures.table.count, 0);
	failures_deinit(&failures);
}

static void test_silence_is_forgotten(void **state)
{
	static const enum td_error errors[] = {TD_REFUSED, TD_TIMEOUT, TD_IO, TD_MALFORMED};
	const char *const names[] = {"refused", "timeout", "io", "malformed"};
	struct failures failures;
	struct failure found;

	(void)state;
	failures_init(&failures, 10);
	for (unsigned i = 0; i < 4; i++) {
		const struct failure_key key = key_of(names[i]);
		const struct failure failure = {.error = errors[i]};
		failures_note(&failures, &key, &failure, US_PER_S, 0, 0);
	}
	failures_forget_silence(&failures);
	for (unsigned i = 0; i < 4; i++) {
		const struct failure_key key = key_of(names[i]);
		assert_int_equal(failures_find(&failures, &key, 0, &found), i == 0 || i == 3);
	}
	failures_deinit(&failures);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_a_first_length_above_the_limit_stands),
		cmocka_unit_test(test_success_ends_it),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_chosen_ones_are_forgotten),
		cmocka_unit_test(test_silence_is_forgotten),
	};
	return cmocka_run_group_tests_name("failures", tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors shared out: within the limit, with something for everybody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "resolver/descriptors.h"

static void test_enough(void **state)
{
	const struct descriptor_shares wanted = {512, 16384};
	struct descriptor_shares shares;

	(void)state;
	assert_true(descriptors_share(524288, 4, 2, &wanted, &shares));
	assert_int_equal(shares.tcp_clients, 512);
	assert_int_equal(shares.questions, 16384);
	assert_true(descriptors_share(UINT64_MAX, 64, 64, &wanted, &shares)); /* RLIM_INFINITY */
	assert_int_equal(shares.questions, 16384);
}

static void test_never_more_than_there_are(void **state)
{
	static const uint64_t limits[] = {1024, 4096, 20000, 65536};
	static const unsigned workers[] = {1, 2, 8, 16};
	static const struct descriptor_shares wanted[] = {
		{512, 16384}, {65536, 16384}, {1, 1000000}, {65536, 16}};

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		const struct descriptor_shares *want = &wanted[i % 4];
		unsigned count = workers[i / 4 % 4];
		uint64_t limit = limits[i / 16];
		struct descriptor_shares shares;
		bool all = descriptors_share(limit, count, 2, want, &shares);
		assert_int_equal(all, shares.tcp_clients == want->tcp_clients);
		assert_in_range(shares.tcp_clients, 1, want->tcp_clients);
		assert_in_range(shares.questions, 16, want->questions);
		if (shares.questions > 16)
			assert_true(count * (shares.tcp_clients + UINT64_C(3) * shares.questions) +
					    200 <=
				    limit);
	}
}

static void test_a_quarter_is_left_for_questions(void **state)
{
	const struct descriptor_shares wanted = {20000, 16384};
	struct descriptor_shares shares;

	(void)state;
	assert_false(descriptors_share(20000, 1, 2, &wanted, &shares));
	assert_in_range(shares.tcp_clients, 14700, 14900);
	assert_in_range(shares.questions, 1600, 1660);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enough),
		cmocka_unit_test(test_never_more_than_there_are),
		cmocka_unit_test(test_a_quarter_is_left_for_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

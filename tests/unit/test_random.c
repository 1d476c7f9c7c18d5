/* SPDX-License-Identifier: BSD-3-Clause */
/* Random numbers below a bound, and octets that are used once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "resolver/upstream/random.h"

static void test_random_below(void **state)
{
	(void)state;
	struct random_pool pool = {0};
	unsigned cells[3] = {0};
	uint8_t big[5000] = {0};
	size_t zeros = 0;

	for (int i = 0; i < 3000; i++)
		cells[random_below(&pool, 3)]++;
	for (int i = 0; i < 3; i++)
		assert_in_range(cells[i], 800, 1200);
	assert_int_equal(random_below(&pool, 1), 0);
	random_bytes(&pool, big, sizeof(big));
	for (size_t i = 0; i < sizeof(big); i++)
		zeros += big[i] == 0;
	assert_in_range(zeros, 1, 80);
	for (size_t i = pool.left; i < sizeof(pool.bytes); i++)
		assert_int_equal(pool.bytes[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_below),
	};

	return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}

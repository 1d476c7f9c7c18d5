/* SPDX-License-Identifier: BSD-3-Clause */
/* What of a client's subnet goes upstream, and what comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/subnet.h"

struct octets {
	size_t size;
	uint8_t data[24];
};

static void expect(const struct octets *given, const struct octets *sent, unsigned scope)
{
	struct subnet subnet;

	assert_true(subnet_read(given->data, given->size, &subnet));
	assert_int_equal(subnet.sent_length, sent->size);
	assert_memory_equal(subnet.sent, sent->data, sent->size);
	assert_int_equal(subnet.given_length, given->size);
	assert_memory_equal(subnet.given, given->data, 3);
	assert_int_equal(subnet.given[3], scope);
	assert_memory_equal(subnet.given + 4, given->data + 4, given->size - 4);
}

static void test_cut(void **state)
{
	(void)state;
	/* 192.0.2.129/32, /25 and /24 are sent as 192.0.2.0/24, 192.0.0.0/13 as it is. */
	expect(&(struct octets){8, {0, 1, 32, 0, 192, 0, 2, 129}},
		&(struct octets){7, {0, 1, 24, 0, 192, 0, 2}}, 24);
	expect(&(struct octets){8, {0, 1, 25, 0, 192, 0, 2, 128}},
		&(struct octets){7, {0, 1, 24, 0, 192, 0, 2}}, 24);
	expect(&(struct octets){7, {0, 1, 24, 0, 192, 0, 2}},
		&(struct octets){7, {0, 1, 24, 0, 192, 0, 2}}, 24);
	expect(&(struct octets){6, {0, 1, 13, 0, 192, 8}},
		&(struct octets){6, {0, 1, 13, 0, 192, 8}}, 13);
	expect(&(struct octets){20,
		       {0, 2, 128, 0, 0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
		&(struct octets){11, {0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 1, 2, 3}}, 56);
	expect(&(struct octets){9, {0, 2, 33, 0, 0x20, 1, 0xd, 0xb8, 0x80}},
		&(struct octets){9, {0, 2, 33, 0, 0x20, 1, 0xd, 0xb8, 0x80}}, 33);
	/* Nobody, in either way to say so. */
	expect(&(struct octets){4, {0, 1, 0, 0}}, &(struct octets){4, {0, 1, 0, 0}}, 0);
	expect(&(struct octets){4, {0, 0, 0, 0}}, &(struct octets){4, {0, 0, 0, 0}}, 0);
}

static void test_malformed(void **state)
{
	static const struct octets cases[] = {{0, {0}}, {3, {0, 1, 0}}, {4, {0, 1, 24, 0}},
		{6, {0, 1, 24, 0, 192, 0}}, {8, {0, 1, 24, 0, 192, 0, 2, 0}},
		{7, {0, 1, 24, 24, 192, 0, 2}}, {9, {0, 1, 33, 0, 192, 0, 2, 1, 0}},
		{7, {0, 1, 23, 0, 192, 0, 3}}, {5, {0, 3, 8, 0, 1}}, {5, {0, 0, 8, 0, 1}},
		{4, {0, 3, 0, 0}}};
	struct subnet subnet;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		subnet.sent_length = 1;
		if (subnet_read(cases[i].data, cases[i].size, &subnet))
			fail_msg("case %zu is taken", i);
		assert_int_equal(subnet.sent_length, 0);
	}
}

static void test_answers(void **state)
{
	static const uint8_t given[] = {0, 1, 32, 0, 192, 0, 2, 129};
	uint8_t reply[] = {0, 1, 24, 16, 192, 0, 2};
	struct subnet subnet;

	(void)state;
	assert_true(subnet_read(given, sizeof given, &subnet));
	assert_true(subnet_answers(&subnet, reply, sizeof reply));
	assert_false(subnet_answers(&subnet, reply, sizeof reply - 1));
	for (size_t i = 0; i < sizeof reply; i++) { /* the scope alone is upstream's to choose */
		reply[i] ^= 1;
		assert_int_equal(subnet_answers(&subnet, reply, sizeof reply), i == 3);
		reply[i] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_cut),
		cmocka_unit_test(test_malformed), cmocka_unit_test(test_answers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The longest prefix that holds an address, against a loop over all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/prefixes.h"

static struct prefix prefix_of(const char *text)
{
	struct prefix prefix;

	assert_int_equal(prefix_from_text(&prefix, text), TD_OK);
	return prefix;
}

static struct prefixes *table_of(const char *const *texts, size_t count)
{
	struct prefixes *prefixes = prefixes_new();

	for (size_t i = 0; i < count; i++) {
		struct prefix prefix = prefix_of(texts[i]);
		assert_int_equal(prefixes_add(prefixes, &prefix, (uint32_t)i), TD_OK);
	}
	assert_int_equal(prefixes_seal(prefixes), 0);
	return prefixes;
}

/* The number, -1: none. */
static long find(const struct prefixes *prefixes, const char *text)
{
	struct address address;
	uint32_t value;

	assert_true(address_from_text(&address, text));
	return prefixes_find(prefixes, &address, &value) ? (long)value : -1;
}

static void test_longest(void **state)
{
	static const char *const texts[] = {"10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", "10.1.2.0/24",
		"10.200.0.0/13", "192.0.2.0/31", "2001:db8::/32", "2001::/32", "2001:db8::1",
		"2001:db8:0:8000::/49"};
	struct prefixes *prefixes = table_of(texts, sizeof(texts) / sizeof(texts[0]));

	(void)state;
	assert_int_equal(find(prefixes, "10.1.2.3"), 2);
	assert_int_equal(find(prefixes, "10.1.2.4"), 3);
	assert_int_equal(find(prefixes, "10.1.3.0"), 0);
	assert_int_equal(find(prefixes, "10.2.0.0"), 1);
	assert_int_equal(find(prefixes, "10.207.255.255"), 4);
	assert_int_equal(find(prefixes, "10.208.0.0"), 1);
	assert_int_equal(find(prefixes, "10.255.255.255"), 1);
	assert_int_equal(find(prefixes, "11.0.0.0"), -1);
	assert_int_equal(find(prefixes, "9.255.255.255"), -1);
	assert_int_equal(find(prefixes, "192.0.2.1"), 5);
	assert_int_equal(find(prefixes, "192.0.2.2"), -1);
	assert_int_equal(find(prefixes, "2001:db8::1"), 8);
	assert_int_equal(find(prefixes, "2001:db8::2"), 6);
	assert_int_equal(find(prefixes, "2001:db8:0:8000::"), 9);
	assert_int_equal(find(prefixes, "2001:0:1::"), 7);
	assert_int_equal(find(prefixes, "2001:1::"), -1);
	prefixes_free(prefixes);
}

/* Families do not mix, whatever the octets; length 0 holds all of its own. */
static void test_families(void **state)
{
	static const char *const texts[] = {"0.0.0.0/0", "::ffff:0:0/96", "255.255.255.255"};
	struct prefixes *prefixes = table_of(texts, 3);
	struct address mac = address_mac((const uint8_t[6]){0});
	uint32_t value;

	(void)state;
	assert_int_equal(find(prefixes, "0.0.0.0"), 0);
	assert_int_equal(find(prefixes, "255.255.255.254"), 0);
	assert_int_equal(find(prefixes, "255.255.255.255"), 2);
	assert_int_equal(find(prefixes, "::"), -1);
	assert_int_equal(find(prefixes, "::ffff:192.0.2.1"), 1);
	assert_false(prefixes_find(prefixes, &mac, &value));
	prefixes_free(prefixes);
}

static void test_empty(void **state)
{
	struct prefixes *prefixes = table_of(NULL, 0);

	(void)state;
	assert_int_equal(find(prefixes, "192.0.2.1"), -1);
	assert_int_equal(find(NULL, "192.0.2.1"), -1);
	assert_int_equal(prefixes_count(prefixes), 0);
	prefixes_free(prefixes);
	prefixes_free(NULL);
}

static void test_refused(void **state)
{
	struct prefixes *prefixes = prefixes_new();
	struct prefix prefix = prefix_of("192.0.2.0/24");

	(void)state;
	prefix.length = 33;
	assert_int_equal(prefixes_add(prefixes, &prefix, 1), TD_INVALID);
	prefix.address.family = ADDRESS_MAC;
	prefix.length = 8;
	assert_int_equal(prefixes_add(prefixes, &prefix, 1), TD_INVALID);
	prefixes_free(prefixes);
}

static void test_repeated(void **state)
{
	struct prefixes *prefixes = prefixes_new();
	struct prefix prefix = prefix_of("192.0.2.0/24");

	(void)state;
	for (uint32_t i = 0; i < 50; i++)
		assert_int_equal(prefixes_add(prefixes, &prefix, 50 - i), TD_OK);
	assert_int_equal(prefixes_seal(prefixes), 49);
	assert_int_equal(find(prefixes, "192.0.2.9"), 50);
	assert_int_equal(prefixes_count(prefixes), 1);
	prefixes_free(prefixes);
}

/* --- against a loop --- */

static uint64_t random_state;

static uint32_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16);
}

/* Few different octets, so that prefixes lie within one another and addresses hit. */
static struct address random_address(void)
{
	static const uint8_t octets[] = {0, 1, 0x7f, 0x80, 0xfe, 0xff};
	struct address address = {.family = random_next() % 2 ? ADDRESS_V4 : ADDRESS_V6};

	for (size_t i = 0; i < address_octets(&address); i++)
		address.octets[i] =
			i % 4 < 2 ? octets[random_next() % sizeof(octets)] : (uint8_t)random_next();
	return address;
}

static struct prefix random_prefix(void)
{
	struct prefix prefix = {.address = random_address()};
	size_t octets = address_octets(&prefix.address);

	prefix.length = (uint8_t)(random_next() % (octets * 8 + 1));
	for (size_t bit = prefix.length; bit < octets * 8; bit++)
		prefix.address.octets[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	return prefix;
}

/* The address of a prefix, its last one, or the one behind that. */
static struct address address_near(const struct prefix *prefix)
{
	struct address address = prefix->address;
	size_t octets = address_octets(&address);
	unsigned kind = random_next() % 3;

	for (size_t bit = prefix->length; kind && bit < octets * 8; bit++)
		address.octets[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	for (size_t i = octets; kind == 2 && i-- > 0 && ++address.octets[i] == 0;)
		;
	return address;
}

static const struct prefix *longest(
	const struct prefix *all, size_t count, const struct address *address)
{
	const struct prefix *best = NULL;

	for (size_t i = 0; i < count; i++)
		if (prefix_contains(&all[i], address) && (!best || all[i].length > best->length))
			best = &all[i];
	return best;
}

static void test_against_a_loop(void **state)
{
	static struct prefix all[400];

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		struct prefixes *prefixes = prefixes_new();
		size_t count = round * 2 + 1, different = count;

		random_state = UINT64_C(0x9e3779b97f4a7c15) + round;
		for (size_t i = 0; i < count; i++) {
			all[i] = random_prefix();
			assert_int_equal(prefixes_add(prefixes, &all[i], (uint32_t)i), TD_OK);
		}
		different -= prefixes_seal(prefixes);
		assert_int_equal(prefixes_count(prefixes), different);
		for (unsigned i = 0; i < 400; i++) {
			struct address address = i % 2 ? random_address()
						       : address_near(&all[random_next() % count]);
			const struct prefix *best = longest(all, count, &address);
			uint32_t value = UINT32_MAX;
			assert_int_equal(prefixes_find(prefixes, &address, &value), best != NULL);
			if (best) /* the first of those alike */
				assert_int_equal(value, best - all);
		}
		prefixes_free(prefixes);
	}
}

/* A hundred thousand addresses in 2 MB, IPv6 in 3. */
static void test_compact(void **state)
{
	struct prefixes *prefixes[2] = {prefixes_new(), prefixes_new()};
	uint32_t value;

	(void)state;
	for (uint32_t i = 0; i < 100000; i++) {
		struct prefix prefix = {.address = {.family = ADDRESS_V4}, .length = 32};
		for (unsigned family = 0; family < 2; family++) {
			memcpy(prefix.address.octets,
				(uint8_t[4]){10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i},
				4);
			assert_int_equal(prefixes_add(prefixes[family], &prefix, i), TD_OK);
			prefix.address.family = ADDRESS_V6;
		}
	}
	for (unsigned family = 0; family < 2; family++) {
		assert_int_equal(prefixes_seal(prefixes[family]), 0);
		assert_in_range(prefixes_memory(prefixes[family]), 1, family ? 3000000 : 2000000);
	}
	for (uint32_t i = 0; i < 100000; i++) {
		struct address address = address_v4(
			(uint8_t[4]){10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i});
		assert_true(prefixes_find(prefixes[0], &address, &value));
		assert_int_equal(value, i);
	}
	prefixes_free(prefixes[0]);
	prefixes_free(prefixes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_against_a_loop),
		cmocka_unit_test(test_compact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

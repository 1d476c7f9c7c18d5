/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/dns/reverse: names of addresses and networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/dns/reverse.h"

static struct prefix prefix_of(const char *text)
{
	struct prefix prefix;

	assert_int_equal(prefix_from_text(&prefix, text), TD_OK);
	return prefix;
}

static void assert_name(const struct name *name, const char *expected)
{
	char text[NAME_TEXT_MAX];

	assert_int_equal(name_wire_length(name->wire, name->length), name->length);
	name_to_text(name->wire, text);
	assert_string_equal(text, expected);
}

static void assert_zone(const char *prefix, unsigned count, unsigned number, const char *expected)
{
	struct prefix of = prefix_of(prefix);
	struct name name;

	assert_int_equal(reverse_zone_count(&of), count);
	reverse_zone(&of, number, &name);
	assert_name(&name, expected);
}

static void address_has_a_name(void **state)
{
	struct address address;
	struct name name;

	(void)state;
	assert_true(address_from_text(&address, "192.0.2.7"));
	reverse_name(&address, &name);
	assert_name(&name, "7.2.0.192.in-addr.arpa.");
	assert_true(address_from_text(&address, "2001:db8::ab"));
	reverse_name(&address, &name);
	assert_name(&name, "b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6."
			   "arpa.");
}

static void network_is_zones(void **state)
{
	(void)state;
	assert_zone("10.0.0.0/8", 1, 0, "10.in-addr.arpa.");
	assert_zone("10.1.0.0/16", 1, 0, "1.10.in-addr.arpa.");
	assert_zone("172.16.0.0/12", 16, 0, "16.172.in-addr.arpa.");
	assert_zone("172.16.0.0/12", 16, 15, "31.172.in-addr.arpa.");
	assert_zone("0.0.0.0/0", 1, 0, "in-addr.arpa.");
	assert_zone("128.0.0.0/1", 128, 127, "255.in-addr.arpa.");
	assert_zone("192.0.2.8/29", 8, 7, "15.2.0.192.in-addr.arpa.");
	assert_zone("192.0.2.8", 1, 0, "8.2.0.192.in-addr.arpa.");
	assert_zone("2001:db8::/32", 1, 0, "8.b.d.0.1.0.0.2.ip6.arpa.");
	assert_zone("2001:db8::/31", 2, 1, "9.b.d.0.1.0.0.2.ip6.arpa.");
	assert_zone("fc00::/7", 2, 1, "d.f.ip6.arpa.");
	assert_zone("::/0", 1, 0, "ip6.arpa.");
}

/* An address is in the prefix exactly when its name is within one of the zones. */
static void zones_are_the_prefix(void **state)
{
	static const uint8_t lengths[2][9] = {
		{1, 7, 8, 11, 16, 21, 24, 25, 32}, {1, 3, 4, 7, 31, 32, 61, 64, 127}};

	(void)state;
	srand(7);
	for (unsigned n = 0; n < 4000; n++) {
		bool v6 = n % 2;
		struct prefix prefix = {.length = lengths[v6][(n / 2) % 9]};
		uint8_t octets[16], other[16];
		struct name name, zone;
		bool within = false;

		for (size_t i = 0; i < 16; i++)
			octets[i] = (uint8_t)rand();
		memcpy(other, octets, 16);
		for (unsigned bit = prefix.length; bit < 128; bit++)
			octets[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		prefix.address = v6 ? address_v6(octets) : address_v4(octets);
		/* One bit more or less near the prefix's end. */
		unsigned flip = (unsigned)rand() % (v6 ? 128 : 32);
		other[flip / 8] ^= (uint8_t)(0x80 >> flip % 8);
		struct address address = v6 ? address_v6(other) : address_v4(other);
		reverse_name(&address, &name);
		for (unsigned i = 0; i < reverse_zone_count(&prefix); i++) {
			reverse_zone(&prefix, i, &zone);
			within |= name_is_within(&name, &zone);
		}
		assert_int_equal(within, prefix_contains(&prefix, &address));
	}
}

static bool read_back(const char *text, struct address *out)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	name_fold(name.wire, name.wire, name.length);
	return reverse_to_address(name.wire, name.length, out);
}

static void name_has_its_address(void **state)
{
	(void)state;
	srand(11);
	for (unsigned n = 0; n < 4000; n++) {
		struct address address, back;
		struct name name;
		uint8_t octets[16];

		for (size_t i = 0; i < 16; i++)
			octets[i] = (uint8_t)(n % 3 ? rand() : rand() % 12);
		address = n % 2 ? address_v6(octets) : address_v4(octets);
		reverse_name(&address, &name);
		assert_true(reverse_to_address(name.wire, name.length, &back));
		assert_true(address_equal(&address, &back));
	}
}

static void other_names_have_none(void **state)
{
	static const char *const names[] = {
		".",
		"arpa.",
		"in-addr.arpa.",
		"ip6.arpa.",
		"2.0.192.in-addr.arpa.",
		"1.7.2.0.192.in-addr.arpa.",
		"256.2.0.192.in-addr.arpa.",
		"07.2.0.192.in-addr.arpa.",
		"0007.2.0.192.in-addr.arpa.",
		"x.2.0.192.in-addr.arpa.",
		"7.2.0.192.in-addr.arpa.example.",
		"7.2.0.192.ip6.arpa.",
		"0.0.0.0.1.0.0.2.ip6.arpa.",
		"g.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
		"ba.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
		"\\000.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
		"0.b.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.",
		"www.example.",
	};
	struct address address;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (read_back(names[i], &address))
			fail_msg("%s is the name of an address", names[i]);
	assert_true(read_back("7.2.0.192.IN-ADDR.arpa.", &address));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_has_a_name),
		cmocka_unit_test(network_is_zones),
		cmocka_unit_test(zones_are_the_prefix),
		cmocka_unit_test(name_has_its_address),
		cmocka_unit_test(other_names_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

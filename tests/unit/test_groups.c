/* SPDX-License-Identifier: BSD-3-Clause */
/* Which group a client is in: by its MAC address, its label, the longest network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"

static void add(struct policy_groups *groups, const char *text, uint8_t group)
{
	struct prefix prefix;
	struct address client;

	if (prefix_from_text(&prefix, text) == TD_OK)
		assert_int_equal(policy_groups_add_prefix(groups, &prefix, group), TD_OK);
	else if (client_from_text(&client, text))
		assert_int_equal(policy_groups_add_client(groups, &client, group), TD_OK);
	else
		fail_msg("%s", text);
}

static struct policy_groups *some_groups(void)
{
	struct policy_groups *groups = policy_groups_new();

	assert_non_null(groups);
	add(groups, "10.1.2.3", 3);
	add(groups, "10.0.0.0/8", 1);
	add(groups, "10.1.2.0/24", 2);
	add(groups, "2001:db8::/32", 4);
	add(groups, "2001:db8:1::/48", 5);
	add(groups, "02:00:5e:10:00:01", 6);
	add(groups, "id-kitchen", 7);
	assert_true(policy_groups_seal(groups));
	return groups;
}

static unsigned find_with(
	const struct policy_groups *groups, const char *text, const char *mac_text)
{
	struct address client, mac = {0};

	assert_true(client_from_text(&client, text));
	if (mac_text)
		assert_true(client_from_text(&mac, mac_text));
	return policy_groups_find(groups, &client, &mac);
}

static unsigned find(const struct policy_groups *groups, const char *text)
{
	return find_with(groups, text, NULL);
}

static void test_longest_network(void **state)
{
	struct policy_groups *groups = some_groups();

	(void)state;
	assert_int_equal(find(groups, "10.1.2.3"), 3);
	assert_int_equal(find(groups, "10.1.2.4"), 2);
	assert_int_equal(find(groups, "10.1.3.0"), 1);
	assert_int_equal(find(groups, "11.0.0.0"), 0);
	assert_int_equal(find(groups, "2001:db8:1::7"), 5);
	assert_int_equal(find(groups, "2001:db8:2::7"), 4);
	assert_int_equal(find(groups, "2001:db9::"), 0);
	policy_groups_free(groups);
}

/* A MAC address wins over any network; one of no group leaves it to the network. */
static void test_mac_first(void **state)
{
	struct policy_groups *groups = some_groups();

	(void)state;
	assert_true(policy_groups_have_macs(groups));
	assert_int_equal(find_with(groups, "10.1.2.3", "02:00:5e:10:00:01"), 6);
	assert_int_equal(find_with(groups, "203.0.113.1", "02:00:5e:10:00:01"), 6);
	assert_int_equal(find_with(groups, "10.1.2.3", "02:00:5e:10:00:02"), 3);
	assert_int_equal(find(groups, "02:00:5e:10:00:01"), 6);
	assert_int_equal(find(groups, "id-kitchen"), 7);
	assert_int_equal(find(groups, "id-cellar"), 0);
	assert_int_equal(find_with(groups, "id-cellar", "02:00:5e:10:00:01"), 6);
	struct address none = {0};
	assert_int_equal(policy_groups_find(groups, &none, NULL), 0);
	policy_groups_free(groups);
}

/* Of a client a forwarder tells a network only: it is in a group that has all of it. */
static void test_client_that_is_a_network(void **state)
{
	struct policy_groups *groups = some_groups();

	(void)state;
	assert_int_equal(find(groups, "10.1.2.0/24"), 2);
	assert_int_equal(find(groups, "10.1.2.0/25"), 2);
	assert_int_equal(find(groups, "10.1.2.0/23"), 1);
	assert_int_equal(find(groups, "10.0.0.0/7"), 0);
	assert_int_equal(find(groups, "2001:db8:1::/56"), 5);
	assert_int_equal(find(groups, "2001:db8::/40"), 4);
	policy_groups_free(groups);
}

static void test_refused(void **state)
{
	struct policy_groups *groups = policy_groups_new();
	struct address address = address_excluded();
	struct prefix prefix = {.address = {.family = ADDRESS_V4}, .length = 33};

	(void)state;
	assert_int_equal(policy_groups_add_client(groups, &address, 1), TD_INVALID);
	assert_int_equal(policy_groups_add_prefix(groups, &prefix, 1), TD_INVALID);
	assert_true(policy_groups_seal(groups));
	assert_false(policy_groups_have_macs(groups));
	assert_int_equal(find(groups, "10.1.2.3"), 0);
	policy_groups_free(groups);
}

/* Against a loop over all networks, many of which lie within one another. */
static void test_many_networks(void **state)
{
	enum { COUNT = 500 };
	struct prefix prefixes[COUNT];
	struct policy_groups *groups = policy_groups_new();
	uint32_t random = 12345;

	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		struct prefix *prefix = &prefixes[i];
		random = random * 1664525 + 1013904223;
		uint8_t octets[4] = {10, (uint8_t)(random >> 30), (uint8_t)(random >> 28 & 3), 0};
		prefix->length = (uint8_t)(random >> 8 & 31);
		prefix->address = address_v4(octets);
		for (unsigned bit = prefix->length; bit < 32; bit++)
			prefix->address.octets[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		assert_int_equal(policy_groups_add_prefix(groups, prefix, prefix->length), TD_OK);
	}
	assert_true(policy_groups_seal(groups));
	for (unsigned i = 0; i < 4096; i++) {
		uint8_t octets[4] = {10, (uint8_t)(i >> 10), (uint8_t)(i >> 6 & 15), (uint8_t)i};
		struct address address = address_v4(octets);
		unsigned bits = i % 25, best = 0;
		struct address network = address_prefix(&address, bits), first = address;
		for (unsigned bit = bits; bit < 32; bit++)
			first.octets[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
		for (size_t k = 0; k < COUNT; k++)
			if (prefixes[k].length <= bits && prefixes[k].length > best &&
				prefix_contains(&prefixes[k], &first))
				best = prefixes[k].length;
		assert_int_equal(policy_groups_find(groups, &network, NULL), best);
	}
	policy_groups_free(groups);
}

/* The mode is that of the client's group. */
static void test_modes(void **state)
{
	struct policy_builder *builder = policy_builder_new();
	struct policy_groups *groups = some_groups();
	struct policy_view view = {.groups = groups};
	static const char text[] = "@ SOA localhost. nobody.invalid. 1 2 3 4 5\nx CNAME .\n";
	struct policy_match matches[POLICY_MATCHES_MAX];
	struct policy_client client;
	struct address address;

	(void)state;
	assert_int_equal(policy_builder_zone(builder, "a", ZONE_LIST), TD_OK);
	assert_int_equal(
		policy_builder_rpz(builder, "t", text, strlen(text), NULL, NULL, NULL), TD_OK);
	struct policy_index *index = policy_builder_finish(&builder);
	view.index = index;
	view.mode[0][0] = MODE_BLOCK;
	view.mode[1][0] = MODE_WATCH;
	assert_int_equal(policy_match_name(index, (const uint8_t *)"\1x", 3, matches), 1);
	assert_true(policy_knows_clients(&view, 1) && policy_knows_macs(&view));
	assert_false(policy_knows_clients(&view, 0));
	assert_true(address_from_text(&address, "10.9.9.9"));
	policy_client_find(&view, &address, NULL, &client);
	struct policy_verdict verdict = policy_decide(&view, &client, matches, 1);
	assert_int_equal(verdict.action, ACTION_NONE);
	assert_ptr_equal(verdict.hit, &matches[0]);
	assert_int_equal(policy_decide(&view, NULL, matches, 1).action, ACTION_NXDOMAIN);
	assert_true(address_from_text(&address, "10.1.2.3"));
	policy_client_find(&view, &address, NULL, &client);
	assert_null(policy_decide(&view, &client, matches, 1).hit);
	policy_index_free(index);
	policy_groups_free(groups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_network),
		cmocka_unit_test(test_mac_first),
		cmocka_unit_test(test_client_that_is_a_network),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_many_networks),
		cmocka_unit_test(test_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

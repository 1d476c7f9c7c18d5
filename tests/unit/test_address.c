/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses, prefixes, endpoints and tunnel addresses. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/address.h"
#include "lib/dns/tunnel.h"

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static struct address address_of(const char *text)
{
	struct address address;
	assert_true(address_from_text(&address, text));
	return address;
}

/* RFC 5952, 4, and what stands near its rules. */
static void text_is_canonical(void **state)
{
	static const char *const pairs[][2] = {
		{"192.0.2.1", "192.0.2.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"1::", "1::"},
		{"2001:0DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
		{"0:0:1:2:3:4:5:6", "::1:2:3:4:5:6"},
		{"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
		{"0:1:0:1:0:1:0:1", "0:1:0:1:0:1:0:1"},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1"},
		{"::192.0.2.1", "::c000:201"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"64:ff9b::10.0.0.1", "64:ff9b::a00:1"},
		{"abcd:f12:12:1::", "abcd:f12:12:1::"},
	};
	char text[ADDRESS_TEXT_MAX];
	const struct address none = {0};
	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct address address = address_of(pairs[i][0]);
		assert_string_equal(address_to_text(&address, text), pairs[i][1]);
	}
	assert_string_equal(address_to_text(&none, text), "-");
	assert_int_equal(address_octets(&none), 0);
}

/* inet_ntop is the oracle where it follows RFC 5952; sparse addresses have many runs of zeros. */
static void text_equals_inet_ntop(void **state)
{
	uint64_t random = 9;
	(void)state;
	for (int round = 0; round < 50000; round++) {
		uint8_t octets[16];
		char ours[ADDRESS_TEXT_MAX], theirs[INET6_ADDRSTRLEN];
		uint64_t kept = next_random(&random) & next_random(&random);
		for (int i = 0; i < 16; i++)
			octets[i] = kept >> i & 1 ? (uint8_t)next_random(&random) : 0;
		struct address v4 = address_v4(octets), v6 = address_v6(octets), again;
		assert_string_equal(address_to_text(&v4, ours),
			inet_ntop(AF_INET, octets, theirs, sizeof(theirs)));
		inet_ntop(AF_INET6, octets, theirs, sizeof(theirs));
		address_to_text(&v6, ours);
		if (!strchr(theirs, '.'))
			assert_string_equal(ours, theirs);
		assert_true(address_from_text(&again, ours));
		assert_memory_equal(&again, &v6, sizeof(v6));
	}
}

static void bad_text_is_refused(void **state)
{
	static const char *const bad[] = {"", " ", "1.2.3", "1.2.3.4 ", " 1.2.3.4", "1.2.3.256",
		"1.2.3.4.5", "01.2.3.4", "1.2.3.-4", ":", ":::", "1::2::3", "1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9", "g::", "12345::", "::1%1", "[::1]", "::1/128", "localhost",
		"0x7f000001"};
	struct address address = {.family = 9};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(address_from_text(&address, bad[i]));
	assert_int_equal(address.family, 9);
}

static void prefixes_are_read(void **state)
{
	static const char *const bad[] = {"192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/",
		"192.0.2.0/-1", "192.0.2.0/+1", "192.0.2.0/1x", "192.0.2.0/ 24", "/24", "",
		"2001:db8::/129", "2001:db8::1/64", "0.0.0.1/0", "10.0.0.0/8/8",
		"192.0.2.0/99999999999999999999", "fe80::%1/64", "192.0.2.128/24"};
	struct prefix prefix;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(prefix_from_text(&prefix, bad[i]), TD_INVALID);
	assert_int_equal(prefix_from_text(&prefix, "192.0.2.1"), TD_OK);
	assert_int_equal(prefix.length, 32);
	assert_int_equal(prefix_from_text(&prefix, "::1"), TD_OK);
	assert_int_equal(prefix.length, 128);
	assert_int_equal(prefix_from_text(&prefix, "192.0.2.128/25"), TD_OK);
	assert_int_equal(prefix.length, 25);
}

static bool contains(const char *prefix_text, const char *address_text)
{
	struct prefix prefix;
	struct address address = address_of(address_text);
	assert_int_equal(prefix_from_text(&prefix, prefix_text), TD_OK);
	return prefix_contains(&prefix, &address);
}

static void prefixes_contain_to_the_bit(void **state)
{
	const struct prefix everything_v4 = {.address = {.family = 4}};
	const struct address none = {0};
	(void)state;
	assert_true(contains("0.0.0.0/0", "255.1.2.3"));
	assert_false(contains("0.0.0.0/0", "::1"));
	assert_false(contains("::/0", "1.2.3.4"));
	assert_true(contains("192.168.0.0/16", "192.168.255.255"));
	assert_false(contains("192.168.0.0/16", "192.169.0.0"));
	assert_true(contains("172.16.0.0/12", "172.31.255.255"));
	assert_false(contains("172.16.0.0/12", "172.32.0.0"));
	assert_true(contains("192.0.2.1", "192.0.2.1"));
	assert_false(contains("192.0.2.1", "192.0.2.0"));
	assert_true(contains("fc00::/7", "fdff::1"));
	assert_false(contains("fc00::/7", "fe00::1"));
	assert_true(contains("2001:db8::1/128", "2001:db8::1"));
	assert_false(contains("2001:db8::1/128", "2001:db8::"));
	assert_false(prefix_contains(&everything_v4, &none));
}

/* Every length against a comparison bit by bit. */
static void prefix_contains_equals_model(void **state)
{
	uint64_t random = 21;
	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct address address = {.family = 6};
		struct prefix prefix = {
			.address = {.family = 6}, .length = (uint8_t)(next_random(&random) % 129)};
		for (unsigned bit = 0; bit < 128; bit++) {
			if (next_random(&random) >> 63)
				address.octets[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
			if (bit < prefix.length)
				prefix.address.octets[bit / 8] |=
					address.octets[bit / 8] & 0x80 >> bit % 8;
		}
		assert_true(prefix_contains(&prefix, &address));
		unsigned flipped = (unsigned)(next_random(&random) % 128);
		address.octets[flipped / 8] ^= (uint8_t)(0x80 >> flipped % 8);
		assert_int_equal(prefix_contains(&prefix, &address), flipped >= prefix.length);
	}
}

static void endpoints_are_read(void **state)
{
	static const struct {
		const char *text, *expected;
	} good[] = {
		{"192.0.2.1", "192.0.2.1:53"},
		{"192.0.2.1:5353", "192.0.2.1:5353"},
		{"2001:db8::1", "[2001:db8::1]:53"},
		{"[2001:db8::1]", "[2001:db8::1]:53"},
		{"[2001:db8::1]:65535", "[2001:db8::1]:65535"},
		{"fe80::1%2", "[fe80::1]:53"},
		{"[fe80::1%2]:54", "[fe80::1]:54"},
		{"::", "[::]:53"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
			"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:53"},
	};
	static const char *const bad[] = {"", ":53", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:x",
		"192.0.2.1:-1", "192.0.2.1:53:53", "[192.0.2.1]:53", "[2001:db8::1",
		"[2001:db8::1]53", "[2001:db8::1]:", "[]", "[]:53", "2001:db8::1%2", "fe80::1%",
		"fe80::1%eth0", "fe80::1%4294967296", "192.0.2.1%1", "[::1]]:53", "localhost:53"};
	struct endpoint endpoint;
	char text[ENDPOINT_TEXT_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(endpoint_from_text(&endpoint, good[i].text, 53), TD_OK);
		assert_string_equal(endpoint_to_text(&endpoint, text), good[i].expected);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(endpoint_from_text(&endpoint, bad[i], 53), TD_INVALID);
	assert_int_equal(endpoint_from_text(&endpoint, "fe80::1%2", 53), TD_OK);
	assert_int_equal(endpoint.scope_id, 2);
}

static void endpoints_pass_through_sockaddr(void **state)
{
	static const char *const texts[] = {"192.0.2.1:1", "[2001:db8::1]:65535", "fe80::1%7"};
	struct sockaddr_storage storage;
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct endpoint endpoint, again;
		assert_int_equal(endpoint_from_text(&endpoint, texts[i], 53), TD_OK);
		memset(&storage, 0xff, sizeof(storage));
		memset(&again, 0xff, sizeof(again));
		socklen_t length = endpoint_to_sockaddr(&endpoint, &storage);
		assert_int_equal(length, endpoint.address.family == 4
						 ? sizeof(struct sockaddr_in)
						 : sizeof(struct sockaddr_in6));
		assert_true(endpoint_from_sockaddr(&again, (struct sockaddr *)&storage));
		assert_true(endpoint_equal(&endpoint, &again));
		assert_memory_equal(&endpoint, &again, sizeof(again));
	}
}

static void mapped_sockaddr_is_ipv4(void **state)
{
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(99), .sin6_scope_id = 3};
	struct sockaddr other = {.sa_family = AF_UNIX};
	struct endpoint endpoint, expected;
	(void)state;
	inet_pton(AF_INET6, "::ffff:192.0.2.9", &in6.sin6_addr);
	assert_true(endpoint_from_sockaddr(&endpoint, (struct sockaddr *)&in6));
	assert_int_equal(endpoint_from_text(&expected, "192.0.2.9:99", 0), TD_OK);
	assert_memory_equal(&endpoint, &expected, sizeof(expected));
	assert_false(endpoint_from_sockaddr(&endpoint, &other));
}

static void endpoints_differ_in_each_part(void **state)
{
	static const char *const texts[] = {
		"[fe80::1%1]:1", "[fe80::1%2]:1", "[fe80::1%1]:2", "[fe80::2%1]:1", "1.1.1.1:1"};
	struct endpoint a, b;
	(void)state;
	for (size_t i = 0; i < 5; i++) {
		for (size_t k = 0; k < 5; k++) {
			assert_int_equal(endpoint_from_text(&a, texts[i], 53), TD_OK);
			assert_int_equal(endpoint_from_text(&b, texts[k], 53), TD_OK);
			assert_int_equal(endpoint_equal(&a, &b), i == k);
		}
	}
}

/* What identifies a client can be read back from how it is written, and from nothing else. */
static void clients_pass_through_text(void **state)
{
	static const char *const good[] = {"192.0.2.1", "2001:db8::1", "02:00:5e:10:00:ff",
		"192.0.2.0/24", "0.0.0.0/0", "10.1.2.3/32", "2001:db8:1::/48",
		"1111:2222:3333:4444:5555:6666:7777:8800/120", "anon-0123456789abcdef", "id-a",
		"id-0123456789ab.-_Z", "*excluded"};
	static const char *const bad[] = {"", "-", "*other", "02:00:5e:10:00", "02:00:5e:10:00:0g",
		"02-00-5e-10-00-01", "192.0.2.1/24", "2001:db8::/121", "2001:db8::1/128", "anon-",
		"anon-0123456789abcde", "anon-0123456789abcdeg", "id-", "id-a b", "id-\xc3\xa4",
		"id-0123456789abcdefg", "example.com"};
	char text[ADDRESS_TEXT_MAX];
	struct address client, before = address_of("192.0.2.1");
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(client_from_text(&client, good[i]));
		assert_string_equal(address_to_text(&client, text), good[i]);
		assert_int_equal(address_is_ip(&client), i < 2);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		client = before;
		assert_false(client_from_text(&client, bad[i]));
		assert_true(address_equal(&client, &before));
	}
}

static void prefixes_are_cut(void **state)
{
	static const struct {
		const char *address;
		unsigned length;
		const char *prefix;
	} cases[] = {
		{"192.0.2.255", 24, "192.0.2.0/24"},
		{"192.0.2.255", 25, "192.0.2.128/25"},
		{"192.0.2.255", 40, "192.0.2.255/32"},
		{"192.0.2.255", 0, "0.0.0.0/0"},
		{"2001:db8:ffff:ffff::1", 61, "2001:db8:ffff:fff8::/61"},
		{"2001:db8::ffff", 128, "2001:db8::ff00/120"},
	};
	char text[ADDRESS_TEXT_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address = address_of(cases[i].address);
		struct address prefix = address_prefix(&address, cases[i].length);
		assert_string_equal(address_to_text(&prefix, text), cases[i].prefix);
	}
	struct address none = address_excluded(), cut = address_prefix(&none, 8);
	assert_int_equal(cut.family, ADDRESS_NONE);
}

static void assert_address(const struct address *address, const char *expected)
{
	char text[ADDRESS_TEXT_MAX];
	assert_string_equal(address_to_text(address, text), expected);
}

static void teredo_is_decoded(void **state)
{
	struct address address = address_of("2001:0:506:708:282a:3d75:fefd:fcfb");
	struct tunnel tunnel = tunnel_decode(&address);
	(void)state;
	assert_int_equal(tunnel.kind, TUNNEL_TEREDO);
	assert_address(&tunnel.server, "5.6.7.8");
	assert_address(&tunnel.client, "1.2.3.4");
	assert_int_equal(tunnel.port, 49802);
	assert_int_equal(tunnel.flags, 0x282a);
	struct address again = tunnel_encode_teredo(&tunnel);
	assert_true(address_equal(&again, &address));
	/* The example of RFC 4380 as commonly printed: server 65.54.227.120, client 192.0.2.45,
	 * port 40000. */
	address = address_of("2001:0000:4136:e378:8000:63bf:3fff:fdd2");
	tunnel = tunnel_decode(&address);
	assert_address(&tunnel.server, "65.54.227.120");
	assert_address(&tunnel.client, "192.0.2.45");
	assert_int_equal(tunnel.port, 40000);
	assert_int_equal(tunnel.flags, 0x8000);
}

static void other_tunnels_are_decoded(void **state)
{
	static const struct {
		const char *address;
		enum tunnel_kind kind;
		const char *client;
	} cases[] = {
		{"2002:c000:204::1", TUNNEL_6TO4, "192.0.2.4"},
		{"2002:c000:204::5efe:1.2.3.4", TUNNEL_6TO4, "192.0.2.4"},
		{"fe80::5efe:192.0.2.5", TUNNEL_ISATAP, "192.0.2.5"},
		{"2001:db8::200:5efe:192.0.2.6", TUNNEL_ISATAP, "192.0.2.6"},
		{"2001:db8::100:5efe:192.0.2.6", TUNNEL_NONE, "-"},
		{"2001:db8::201:5efe:192.0.2.6", TUNNEL_NONE, "-"},
		{"2001:1::1", TUNNEL_NONE, "-"},
		{"2003::", TUNNEL_NONE, "-"},
		{"192.0.2.1", TUNNEL_NONE, "-"},
		{"32.1.0.0", TUNNEL_NONE, "-"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address = address_of(cases[i].address);
		struct tunnel tunnel = tunnel_decode(&address);
		assert_int_equal(tunnel.kind, cases[i].kind);
		assert_address(&tunnel.client, cases[i].client);
		if (tunnel.kind != TUNNEL_6TO4)
			continue;
		struct prefix prefix = tunnel_encode_6to4(&tunnel.client);
		assert_int_equal(prefix.length, 48);
		assert_true(prefix_contains(&prefix, &address));
	}
}

static void relays_and_names(void **state)
{
	struct address relay = address_of("192.88.99.255"), other = address_of("192.88.98.1");
	(void)state;
	assert_true(tunnel_is_6to4_relay(&relay));
	assert_false(tunnel_is_6to4_relay(&other));
	assert_string_equal(tunnel_kind_name(TUNNEL_TEREDO), "teredo");
	assert_string_equal(tunnel_kind_name(TUNNEL_6TO4), "6to4");
	assert_string_equal(tunnel_kind_name(TUNNEL_ISATAP), "isatap");
	assert_string_equal(tunnel_kind_name(TUNNEL_NONE), "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_canonical),
		cmocka_unit_test(text_equals_inet_ntop),
		cmocka_unit_test(bad_text_is_refused),
		cmocka_unit_test(prefixes_are_read),
		cmocka_unit_test(prefixes_contain_to_the_bit),
		cmocka_unit_test(prefix_contains_equals_model),
		cmocka_unit_test(endpoints_are_read),
		cmocka_unit_test(endpoints_pass_through_sockaddr),
		cmocka_unit_test(mapped_sockaddr_is_ipv4),
		cmocka_unit_test(endpoints_differ_in_each_part),
		cmocka_unit_test(clients_pass_through_text),
		cmocka_unit_test(prefixes_are_cut),
		cmocka_unit_test(teredo_is_decoded),
		cmocka_unit_test(other_tunnels_are_decoded),
		cmocka_unit_test(relays_and_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

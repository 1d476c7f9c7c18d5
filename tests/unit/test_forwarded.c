/* SPDX-License-Identifier: BSD-3-Clause */
/* lib/dns: what forwarders (EDNS options) and proxies (PROXY v2) say of their clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/dns/forwarded.h"
#include "lib/dns/proxy.h"

#define BYTES(text) text, sizeof(text) - 1

static void assert_forwarded(const char *options, size_t size, const char *client, const char *mac)
{
	struct forwarded forwarded;
	char text[ADDRESS_TEXT_MAX];
	forwarded_read((const uint8_t *)options, size, &forwarded);
	assert_string_equal(address_to_text(&forwarded.client, text), client);
	assert_string_equal(address_to_text(&forwarded.mac, text), mac);
}

static void subnet_is_an_address_or_a_prefix(void **state)
{
	(void)state;
	assert_forwarded(BYTES("\0\x8\0\x8\0\1\x20\0\xc0\0\2\7"), "192.0.2.7", "-");
	assert_forwarded(BYTES("\0\x8\0\x7\0\1\x18\0\xc0\0\2"), "192.0.2.0/24", "-");
	assert_forwarded(BYTES("\0\x8\0\x7\0\1\x11\0\xc0\0\x80"), "192.0.128.0/17", "-");
	assert_forwarded(
		BYTES("\0\x8\0\xb\0\2\x38\0\x20\1\xd\xb8\0\1\2"), "2001:db8:1:200::/56", "-");
	assert_forwarded(BYTES("\0\x8\0\x14\0\2\x80\0\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7"),
		"2001:db8::7", "-");
}

#define MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff"

static void mapped_subnet_is_one_of_ipv4(void **state)
{
	(void)state;
	assert_forwarded(BYTES("\0\x8\0\x14\0\2\x80\0" MAPPED "\xc0\0\2\7"), "192.0.2.7", "-");
	assert_forwarded(BYTES("\0\x8\0\x13\0\2\x78\0" MAPPED "\xc0\0\2"), "192.0.2.0/24", "-");
	assert_forwarded(BYTES("\0\x8\0\x11\0\2\x61\0" MAPPED "\x80"), "128.0.0.0/1", "-");
	assert_forwarded(BYTES("\0\x8\0\x10\0\2\x60\0" MAPPED), "-", "-"); /* no bits of IPv4 */
	/* One bit less, and nothing says any more that it is mapped. */
	assert_forwarded(BYTES("\0\x8\0\x10\0\2\x5f\0\0\0\0\0\0\0\0\0\0\0\xff\xfe"),
		"::fffe:0:0/95", "-");
}

static void broken_subnets_say_nothing(void **state)
{
	(void)state;
	assert_forwarded(BYTES("\0\x8\0\0"), "-", "-");
	assert_forwarded(BYTES("\0\x8\0\4\0\1\0\0"), "-", "-");              /* no bits */
	assert_forwarded(BYTES("\0\x8\0\x7\0\1\x20\0\xc0\0\2"), "-", "-");   /* an octet missing */
	assert_forwarded(BYTES("\0\x8\0\x8\0\1\x18\0\xc0\0\2\7"), "-", "-"); /* one too many */
	assert_forwarded(BYTES("\0\x8\0\x7\0\1\x17\0\xc0\0\3"), "-", "-");   /* a bit behind */
	assert_forwarded(BYTES("\0\x8\0\x8\0\1\x20\x20\xc0\0\2\7"), "-", "-"); /* a scope */
	assert_forwarded(BYTES("\0\x8\0\x9\0\1\x28\0\xc0\0\2\7\7"), "-", "-");
	assert_forwarded(BYTES("\0\x8\0\x8\0\3\x20\0\xc0\0\2\7"), "-", "-");
	assert_forwarded(BYTES("\0\x8\0\x9\0\1\x20\0\xc0\0\2\7"), "-", "-"); /* beyond the end */
}

static void mac_has_three_forms(void **state)
{
	(void)state;
	assert_forwarded(BYTES("\xfd\xe9\0\6\2\0\x5e\x10\0\xff"), "-", "02:00:5e:10:00:ff");
	assert_forwarded(BYTES("\xfe\x31\0\x8"
			       "AgBeEAD/"),
		"-", "02:00:5e:10:00:ff");
	assert_forwarded(BYTES("\xfe\x31\0\x11"
			       "02:00:5E:10:00:ff"),
		"-", "02:00:5e:10:00:ff");
	assert_forwarded(BYTES("\xfd\xe9\0\5\2\0\x5e\x10\0"), "-", "-");
	assert_forwarded(BYTES("\xfe\x31\0\x8"
			       "AgBeEAD="),
		"-", "-");
	assert_forwarded(BYTES("\xfe\x31\0\x8"
			       "AgBeEA\0/"),
		"-", "-");
	assert_forwarded(BYTES("\xfe\x31\0\x11"
			       "02:00:5E:10:00-ff"),
		"-", "-");
	/* The first counts. */
	assert_forwarded(BYTES("\xfd\xe9\0\6\2\0\x5e\x10\0\1\xfd\xe9\0\6\2\0\x5e\x10\0\2"), "-",
		"02:00:5e:10:00:01");
}

static void label_stands_in_for_an_address(void **state)
{
	(void)state;
	assert_forwarded(BYTES("\xfe\x32\0\3"
			       "gw1"),
		"id-gw1", "-");
	assert_forwarded(BYTES("\xfe\x32\0\3"
			       "gw1\0\x8\0\x8\0\1\x20\0\xc0\0\2\7\xfd\xe9\0\6\2\0\x5e\x10\0\1"),
		"192.0.2.7", "02:00:5e:10:00:01");
	assert_forwarded(BYTES("\xfe\x32\0\0"), "-", "-");

	static const char *const odd[] = {"\xfe\x32\0\3"
					  "a b",
		"\xfe\x32\0\3"
		"a\nb",
		"\xfe\x32\0\x11"
		"0123456789abcdefg"};
	char seen[3][ADDRESS_TEXT_MAX];
	for (size_t i = 0; i < 3; i++) {
		struct forwarded forwarded;
		forwarded_read((const uint8_t *)odd[i], i < 2 ? 7 : 21, &forwarded);
		address_to_text(&forwarded.client, seen[i]);
		assert_int_equal(strlen(seen[i]), 3 + 16);
	}
	assert_string_not_equal(seen[0], seen[1]);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_BODY "\xc0\0\2\7\x7f\0\0\1\x10\x92\0\x35"

static enum td_error read_header(const char *data, size_t size, struct proxy_header *out)
{
	return proxy_read((const uint8_t *)data, size, out);
}

static void proxy_names_its_client(void **state)
{
	struct proxy_header header;
	char text[ENDPOINT_TEXT_MAX];
	(void)state;
	assert_int_equal(
		read_header(BYTES(SIGNATURE "\x21\x12\0\x0c" V4_BODY "rest"), &header), TD_OK);
	assert_int_equal(header.length, 28);
	assert_false(header.local);
	assert_string_equal(endpoint_to_text(&header.source, text), "192.0.2.7:4242");
	/* TLVs are stepped over. */
	assert_int_equal(
		read_header(BYTES(SIGNATURE "\x21\x11\0\x11" V4_BODY "\xe0\0\2xxrest"), &header),
		TD_OK);
	assert_int_equal(header.length, 33);
	assert_int_equal(
		read_header(BYTES(SIGNATURE "\x21\x21\0\x24"
					    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7"
					    "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1\x10\x92\0\x35"),
			&header),
		TD_OK);
	assert_string_equal(endpoint_to_text(&header.source, text), "[2001:db8::7]:4242");
	assert_int_equal(
		read_header(BYTES(SIGNATURE "\x21\x21\0\x24" MAPPED "\x7f\0\0\1"
					    "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7\x10\x92\0\x35"),
			&header),
		TD_OK);
	assert_string_equal(endpoint_to_text(&header.source, text), "127.0.0.1:4242");
}

static void proxy_may_speak_for_itself(void **state)
{
	struct proxy_header header;
	(void)state;
	assert_int_equal(read_header(BYTES(SIGNATURE "\x20\0\0\0"), &header), TD_OK);
	assert_true(header.local);
	assert_int_equal(header.length, 16);
	assert_int_equal(read_header(BYTES(SIGNATURE "\x20\x12\0\x0c" V4_BODY), &header), TD_OK);
	assert_true(header.local);
	assert_int_equal(read_header(BYTES(SIGNATURE "\x21\0\0\2xx"), &header), TD_OK);
	assert_true(header.local);
	assert_int_equal(read_header(BYTES(SIGNATURE "\x21\x31\0\2xx"), &header), TD_OK);
	assert_true(header.local);
}

static void proxy_header_is_strict(void **state)
{
	static const char good[] = SIGNATURE "\x21\x12\0\x0c" V4_BODY;
	static const struct {
		const char *what, *data;
		size_t size;
	} strange[] = {
		{"version 1", BYTES(SIGNATURE "\x11\x12\0\x0c" V4_BODY)},
		{"an unknown command", BYTES(SIGNATURE "\x22\x12\0\x0c" V4_BODY)},
		{"an unknown family", BYTES(SIGNATURE "\x21\x42\0\x0c" V4_BODY)},
		{"an unknown transport", BYTES(SIGNATURE "\x21\x13\0\x0c" V4_BODY)},
		{"IPv4 an octet short", BYTES(SIGNATURE "\x21\x12\0\x0b" V4_BODY)},
		{"IPv6 as long as IPv4", BYTES(SIGNATURE "\x21\x22\0\x0c" V4_BODY)},
		/* Refused before it is all there. */
		{"longer than the bound", BYTES(SIGNATURE "\x21\x12\3\xf1")},
	};
	struct proxy_header header;
	char bad[sizeof(good)];
	(void)state;
	for (size_t size = 0; size < sizeof(good) - 1; size++)
		assert_int_equal(read_header(good, size, &header), TD_TRUNCATED);
	for (size_t i = 0; i < 12; i++) {
		memcpy(bad, good, sizeof(good));
		bad[i] ^= 1;
		assert_int_equal(read_header(bad, i + 1, &header), TD_MALFORMED);
	}
	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
		if (read_header(strange[i].data, strange[i].size, &header) != TD_MALFORMED)
			fail_msg("taken: %s", strange[i].what);
	}
	assert_int_equal(read_header(BYTES(SIGNATURE "\x21\x12\3\xf0"), &header), TD_TRUNCATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subnet_is_an_address_or_a_prefix),
		cmocka_unit_test(mapped_subnet_is_one_of_ipv4),
		cmocka_unit_test(broken_subnets_say_nothing),
		cmocka_unit_test(mac_has_three_forms),
		cmocka_unit_test(label_stands_in_for_an_address),
		cmocka_unit_test(proxy_names_its_client),
		cmocka_unit_test(proxy_may_speak_for_itself),
		cmocka_unit_test(proxy_header_is_strict),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

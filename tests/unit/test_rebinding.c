/* SPDX-License-Identifier: BSD-3-Clause */
/* Which addresses are of the inside, and which names may have them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <arpa/inet.h>

#include <cmocka.h>

#include "lib/dns/message.h"
#include "resolver/rebinding.h"

static const char *network_of(const char *text)
{
	uint8_t octets[16];
	bool v6 = strchr(text, ':') != NULL;

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, octets), 1);
	return rebinding_network(v6 ? TYPE_AAAA : TYPE_A, octets, v6 ? 16 : 4);
}

static void assert_network(const char *address, const char *network)
{
	const char *found = network_of(address);

	if (network)
		assert_string_equal(found ? found : "none", network);
	else
		assert_null(found);
}

/* The first and the last address of each network, and those beside them. */
static void test_v4(void **state)
{
	static const struct {
		const char *before, *first, *last, *after, *network;
	} rows[] = {
		{"255.255.255.254", "0.0.0.0", "0.255.255.255", "1.0.0.0", "0.0.0.0/8"},
		{"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0", "10.0.0.0/8"},
		{"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0", "100.64.0.0/10"},
		{"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0", "127.0.0.0/8"},
		{"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0",
			"169.254.0.0/16"},
		{"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0", "172.16.0.0/12"},
		{"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0",
			"192.168.0.0/16"},
		{"255.255.255.254", "255.255.255.255", "255.255.255.255", "8.8.8.8",
			"255.255.255.255"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_network(rows[i].before, NULL);
		assert_network(rows[i].first, rows[i].network);
		assert_network(rows[i].last, rows[i].network);
		assert_network(rows[i].after, NULL);
	}
}

static void test_v6(void **state)
{
	(void)state;
	assert_network("::", "::");
	assert_network("::1", "::1");
	assert_network("::2", "0.0.0.0/8");
	assert_network("fbff:ffff::1", NULL);
	assert_network("fc00::", "fc00::/7");
	assert_network("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fc00::/7");
	assert_network("fe00::1", NULL);
	assert_network("fe80::1", "fe80::/10");
	assert_network("febf::1", "fe80::/10");
	assert_network("fec0::1", "fec0::/10");
	assert_network("ff00::1", NULL);
	assert_network("64:ff9b:1::808:808", "64:ff9b:1::/48");
	assert_network("64:ff9b:2::a00:1", NULL);
	assert_network("2001:db8::a00:1", NULL);
	assert_network("2001:0:c0a8:1::1", NULL);
}

/* An IPv4 address in each of the forms in which IPv6 knows it. */
static void test_embedded(void **state)
{
	(void)state;
	assert_network("::ffff:192.168.1.1", "192.168.0.0/16");
	assert_network("::ffff:8.8.8.8", NULL);
	assert_network("::10.0.0.1", "10.0.0.0/8");
	assert_network("::8.8.8.8", NULL);
	assert_network("::ffff:0:127.0.0.1", "127.0.0.0/8");
	assert_network("::ffff:0:8.8.8.8", NULL);
	assert_network("64:ff9b::172.20.0.1", "172.16.0.0/12");
	assert_network("64:ff9b::8.8.8.8", NULL);
	assert_network("2002:a9fe:a9fe::1", "169.254.0.0/16");
	assert_network("2002:808:808::1", NULL);
}

/* Priority 1, target ".", mandatory key 0, port, the hints given. */
static const char *svcb_network(const uint8_t *parameters, size_t size)
{
	uint8_t rdata[256] = {0, 1, 0};

	memcpy(rdata + 3, parameters, size);
	return rebinding_network(TYPE_HTTPS, rdata, 3 + size);
}

static void test_hints(void **state)
{
	static const uint8_t outside[] = {
		0, 1, 0, 3, 2, 'h', '2', 0, 3, 0, 2, 1, 187, 0, 4, 0, 8, 8, 8, 8, 8, 9, 9, 9, 9};
	static const uint8_t second[] = {0, 4, 0, 8, 8, 8, 8, 8, 10, 0, 0, 1};
	static const uint8_t v6[] = {0, 1, 0, 3, 2, 'h', '2', 0, 6, 0, 16, 0xfd, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 1};
	static const uint8_t odd[] = {0, 4, 0, 3, 10, 0, 0};
	static const uint8_t other[] = {0, 5, 0, 4, 10, 0, 0, 1};

	(void)state;
	assert_null(svcb_network(outside, sizeof outside));
	assert_string_equal(svcb_network(second, sizeof second), "10.0.0.0/8");
	assert_string_equal(svcb_network(v6, sizeof v6), "fc00::/7");
	assert_null(svcb_network(odd, sizeof odd));
	assert_null(svcb_network(other, sizeof other));
	for (size_t size = 0; size < sizeof second; size++)
		assert_null(svcb_network(second, size)); /* cut short */
	assert_null(rebinding_network(TYPE_SVCB, (const uint8_t *)"\0\1\77x", 4));
	assert_null(rebinding_network(TYPE_SVCB, (const uint8_t *)"\0", 1));
	assert_null(rebinding_network(TYPE_SVCB, NULL, 0));
}

static void test_other_types(void **state)
{
	(void)state;
	assert_null(rebinding_network(TYPE_TXT, (const uint8_t *)"\12\0\0\1", 4));
	assert_null(rebinding_network(TYPE_A, (const uint8_t *)"\12\0\0", 3));
	assert_null(rebinding_network(TYPE_AAAA, (const uint8_t *)"\12\0\0\1", 4));
}

static bool allows(const struct rebinding_rules *rules, const char *text)
{
	struct name name;

	assert_int_equal(name_from_text(&name, text, strlen(text)), TD_OK);
	return rebinding_allows(rules, name.wire, name.length);
}

static void test_allow(void **state)
{
	struct name names[2];
	struct rebinding_rules rules = {.on = true, .allow = names, .allow_count = 2};

	(void)state;
	name_from_text(&names[0], "corp.example.", 13);
	name_from_text(&names[1], "plex.direct.", 12);
	assert_true(allows(&rules, "corp.example."));
	assert_true(allows(&rules, "a.b.corp.example."));
	assert_true(allows(&rules, "x.plex.direct."));
	assert_false(allows(&rules, "xcorp.example."));
	assert_false(allows(&rules, "example."));
	assert_false(allows(&rules, "corp.example.net."));
	assert_false(allows(&rules, "."));
	assert_false(allows(&rules, "x\\004corp\\007example."));
	names[1] = (struct name){.length = 1};
	assert_true(allows(&rules, "anything.at.all."));
	rules.allow_count = 0;
	assert_false(allows(&rules, "corp.example."));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4),
		cmocka_unit_test(test_v6),
		cmocka_unit_test(test_embedded),
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_other_types),
		cmocka_unit_test(test_allow),
	};

	return cmocka_run_group_tests_name("rebinding", tests, NULL, NULL);
}

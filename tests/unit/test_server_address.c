/* SPDX-License-Identifier: BSD-3-Clause */
/* Servers as the configuration names them: every form, and what is said of a wrong one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/base64.h"
#include "resolver/upstream/server_address.h"

#define PIN "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define PIN2 "HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static void test_forms(void **state)
{
	static const struct {
		const char *text, *printed, *shown;
		enum server_transport transport;
		const char *name;
		unsigned pins;
	} cases[] = {
		{"9.9.9.9", "9.9.9.9:53", "9.9.9.9:53", SERVER_UDP, "", 0},
		{"9.9.9.9:5353", "9.9.9.9:5353", "9.9.9.9:5353", SERVER_UDP, "", 0},
		{"2620:fe::fe", "[2620:fe::fe]:53", "[2620:fe::fe]:53", SERVER_UDP, "", 0},
		{"fe80::1%lo", "[fe80::1%1]:53", "[fe80::1%1]:53", SERVER_UDP, "", 0},
		{"tcp://9.9.9.9", "tcp://9.9.9.9:53", "tcp://9.9.9.9:53", SERVER_TCP, "", 0},
		{"TCP://[::1]:54", "tcp://[::1]:54", "tcp://[::1]:54", SERVER_TCP, "", 0},
		{"tls://9.9.9.9#dns.quad9.net", "tls://9.9.9.9:853#dns.quad9.net",
			"tls://9.9.9.9:853", SERVER_TLS, "dns.quad9.net", 0},
		{"tls://[::1]:8853#a.example.", "tls://[::1]:8853#a.example", "tls://[::1]:8853",
			SERVER_TLS, "a.example", 0},
		{"tls://1.1.1.1#1.1.1.1", "tls://1.1.1.1:853#1.1.1.1", "tls://1.1.1.1:853",
			SERVER_TLS, "1.1.1.1", 0},
		{"tls://fe80::1%lo#2001:db8::1", "tls://[fe80::1%1]:853#2001:db8::1",
			"tls://[fe80::1%1]:853", SERVER_TLS, "2001:db8::1", 0},
		{"tls://10.0.0.1#pin-sha256=" PIN, "tls://10.0.0.1:853#pin-sha256=" PIN,
			"tls://10.0.0.1:853", SERVER_TLS, "", 1},
		{"tls://10.0.0.1#PIN-SHA256=" PIN "#x#pin-sha256=" PIN2,
			"tls://10.0.0.1:853#x#pin-sha256=" PIN "#pin-sha256=" PIN2,
			"tls://10.0.0.1:853", SERVER_TLS, "x", 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server_address server, again;
		char text[SERVER_ADDRESS_TEXT_MAX];
		const char *why;

		assert_int_equal(server_address_from_text(&server, cases[i].text, &why), TD_OK);
		assert_null(why);
		assert_int_equal(server.transport, cases[i].transport);
		assert_string_equal(server.name, cases[i].name);
		assert_int_equal(server.pin_count, cases[i].pins);
		assert_string_equal(
			server_address_show(&server, text, sizeof(text)), cases[i].shown);
		assert_string_equal(
			server_address_to_text(&server, text, sizeof(text)), cases[i].printed);
		assert_int_equal(server_address_from_text(&again, text, &why), TD_OK);
		assert_true(server_address_equal(&server, &again));
	}
}

static void test_faults(void **state)
{
	static const char many[] = "tls://1.1.1.1#pin-sha256=" PIN "#pin-sha256=" PIN
				   "#pin-sha256=" PIN "#pin-sha256=" PIN "#pin-sha256=" PIN;
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "is not an address"},
		{"dns.quad9.net", "is not an address"},
		{"tls://dns.quad9.net", "is not an address"},
		{"9.9.9.9:0", "is not an address"},
		{"9.9.9.9:99999", "is not an address"},
		{"tcp://", "is not an address"},
		{"fe80::1%nosuchinterface0", "is not an address"},
		{"fe80::1%a", "is not an address"},
		{"https://9.9.9.9/dns-query", "is of a kind that is not known"},
		{"quic://9.9.9.9", "is of a kind that is not known"},
		{"9.9.9.9#dns.quad9.net", "has a # though no certificate is checked"},
		{"127.0.0.1#5353", "a port behind a colon"},
		{"tcp://9.9.9.9#x", "has a # though no certificate is checked"},
		{"tls://9.9.9.9", "expected tls://ADDRESS#NAME"},
		{"tls://9.9.9.9#", "no name of a server"},
		{"tls://9.9.9.9##x", "no name of a server"},
		{"tls://9.9.9.9#x y", "no name of a server"},
		{"tls://9.9.9.9#a..b", "no name of a server"},
		{"tls://9.9.9.9#.", "no name of a server"},
		{"tls://9.9.9.9#*.quad9.net", "no name of a server"},
		{"tls://9.9.9.9#a#b", "has two names"},
		{"tls://9.9.9.9#pin-sha256=", "has a pin"},
		{"tls://9.9.9.9#pin-sha256=AAAA", "has a pin"},
		/* A bit behind the last octet, a letter that is none, no padding. */
		{"tls://9.9.9.9#pin-sha256=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",
			"has a pin"},
		{"tls://9.9.9.9#pin-sha256=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh*=",
			"has a pin"},
		{"tls://9.9.9.9#pin-sha256=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8A",
			"has a pin"},
		{many, "has too many pins"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct server_address server = {.pin_count = 77};
		const char *why = NULL;

		assert_int_equal(
			server_address_from_text(&server, cases[i].text, &why), TD_INVALID);
		assert_non_null(why);
		if (!strstr(why, cases[i].why))
			fail_msg("%s: %s", cases[i].text, why);
		assert_non_null(strstr(why, "expected "));
		assert_int_equal(server.pin_count, 77);
	}
}

static void test_bounds(void **state)
{
	char text[400] = "tls://192.0.2.1#", out[SERVER_ADDRESS_TEXT_MAX];
	struct server_address server;
	const char *why;
	size_t start = strlen(text);

	(void)state;
	for (size_t i = 0; i < 253; i++)
		text[start + i] = i % 64 == 63 ? '.' : 'a';
	assert_int_equal(server_address_from_text(&server, text, &why), TD_OK);
	for (unsigned i = 0; i < 4; i++) {
		size_t used = strlen(text);

		snprintf(text + used, sizeof(text) - used, "#pin-sha256=%s", PIN);
		if (i == 0)
			assert_int_equal(server_address_from_text(&server, text, &why), TD_OK);
	}
	server.pin_count = 4;
	server_address_to_text(&server, out, sizeof(out));
	assert_true(strlen(out) < sizeof(out) - 1);
	assert_string_equal(out + strlen(out) - 44, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
	/* A buffer that is too small is not left. */
	server_address_to_text(&server, out, 20);
	assert_int_equal(strlen(out), 19);
	text[start + 253] = 'a';
	text[start + 254] = '\0';
	assert_int_equal(server_address_from_text(&server, text, &why), TD_INVALID);
	memset(text + start, 'a', 64);
	text[start + 64] = '\0';
	assert_int_equal(server_address_from_text(&server, text, &why), TD_INVALID);
}

static void test_equal(void **state)
{
	static const char *const all[] = {"192.0.2.1", "192.0.2.2", "192.0.2.1:54",
		"tcp://192.0.2.1", "tls://192.0.2.1:53#a", "tls://192.0.2.1:53#b",
		"tls://192.0.2.1:53#pin-sha256=" PIN, "tls://192.0.2.1:53#pin-sha256=" PIN2,
		"tls://192.0.2.1:53#a#pin-sha256=" PIN};
	const size_t count = sizeof(all) / sizeof(all[0]);
	struct server_address a, b;
	const char *why;

	(void)state;
	for (size_t i = 0; i < count * count; i++) {
		assert_int_equal(server_address_from_text(&a, all[i / count], &why), TD_OK);
		assert_int_equal(server_address_from_text(&b, all[i % count], &why), TD_OK);
		assert_int_equal(server_address_equal(&a, &b), i / count == i % count);
	}
	assert_int_equal(server_address_from_text(&a, "tls://192.0.2.1#A.example", &why), TD_OK);
	assert_int_equal(
		server_address_from_text(&b, "tls://192.0.2.1:853#a.EXAMPLE", &why), TD_OK);
	assert_true(server_address_equal(&a, &b));
	a = server_address_plain(&b.endpoint);
	assert_int_equal(a.transport, SERVER_UDP);
	assert_true(endpoint_equal(&a.endpoint, &b.endpoint));
}

/* RFC 4648, 10. */
static void test_base64(void **state)
{
	static const struct {
		const char *octets, *text;
	} cases[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
	uint8_t octets[8];
	char text[16];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(
			base64_encode((const uint8_t *)cases[i].octets, i, text), cases[i].text);
		assert_true(base64_decode(cases[i].text, strlen(cases[i].text), octets, i));
		assert_memory_equal(octets, cases[i].octets, i);
		assert_false(base64_decode(cases[i].text, strlen(cases[i].text), octets, i + 3));
	}
	assert_false(base64_decode("Zm9=", 4, octets, 2)); /* a bit too many */
	assert_false(base64_decode("Zg=a", 4, octets, 1));
	assert_false(base64_decode("Z===", 4, octets, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests_name("server_address", tests, NULL, NULL);
}

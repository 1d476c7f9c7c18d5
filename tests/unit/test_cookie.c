/* SPDX-License-Identifier: BSD-3-Clause */
/* Cookies by the test vectors of RFC 9018, appendix A, and what makes one bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/dns/cookie.h"

static void hex(const char *text, uint8_t *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; text[2 * i]; i++)
		out[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
				   (strchr(digits, text[2 * i + 1]) - digits));
}

static struct cookie_secrets secrets_of(const char *first, const char *second)
{
	struct cookie_secrets secrets = {.count = second ? 2 : 1};
	uint8_t octets[COOKIE_SECRET_SIZE];

	hex(first, octets);
	secrets.secrets[0] = cookie_secret(octets);
	if (second) {
		hex(second, octets);
		secrets.secrets[1] = cookie_secret(octets);
	}
	return secrets;
}

static struct address address_of(const char *text)
{
	struct address address;

	assert_true(client_from_text(&address, text));
	return address;
}

static enum cookie_state check(const struct cookie_secrets *secrets, const char *option,
	const char *client, uint32_t now_s, uint8_t reply[COOKIE_SIZE])
{
	struct address address = address_of(client);
	uint8_t octets[64];

	hex(option, octets);
	memset(reply, 0xaa, COOKIE_SIZE);
	return cookie_check(secrets, octets, strlen(option) / 2, &address, now_s, reply);
}

static void assert_cookie(const uint8_t *cookie, const char *expected)
{
	uint8_t octets[COOKIE_SIZE];

	hex(expected, octets);
	assert_memory_equal(cookie, octets, COOKIE_SIZE);
}

#define SECRET "e5e973e5a6b2a43f48e7dc849e37bfcf"
#define FIRST "2464c4abcf10c957010000005cf79f111f8130c3eee29480"
#define FIRST_S 1559731985u

static void vectors_of_rfc_9018(void **state)
{
	struct cookie_secrets secrets = secrets_of(SECRET, NULL);
	struct cookie_secrets rolled =
		secrets_of("445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715");
	uint8_t reply[COOKIE_SIZE];

	(void)state;
	/* A.1: a client learns one. */
	assert_int_equal(check(&secrets, "2464c4abcf10c957", "198.51.100.100", FIRST_S, reply),
		COOKIE_CLIENT_ONLY);
	assert_cookie(reply, FIRST);
	/* A.2: it is renewed after 40 minutes. */
	assert_int_equal(check(&secrets, FIRST, "198.51.100.100", 0x5cf7a871, reply), COOKIE_GOOD);
	assert_cookie(reply, "2464c4abcf10c957010000005cf7a871d4a564a1442aca77");
	/* A.3: the reserved octets count as they came, and are made as zeros. */
	assert_int_equal(check(&secrets, "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
				 "203.0.113.203", 0x5cf78f71 + 100, reply),
		COOKIE_GOOD);
	check(&secrets, "fc93fc62807ddb86", "203.0.113.203", 0x5cf7a9ac, reply);
	assert_cookie(reply, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e");
	/* A.4: over IPv6, made with the secret before. */
	assert_int_equal(check(&rolled, "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
				 "2001:db8:220:1:59de:d0f4:8769:82b8", 0x5cf7c609, reply),
		COOKIE_GOOD);
	assert_cookie(reply, "22681ab97d52c298010000005cf7c609a6bb79d16625507a");
}

static void fresh_cookie_comes_back(void **state)
{
	struct cookie_secrets secrets = secrets_of(SECRET, NULL);
	uint8_t reply[COOKIE_SIZE];

	(void)state;
	for (uint32_t age_s = 0; age_s < COOKIE_RENEW_S; age_s += 599) {
		assert_int_equal(check(&secrets, FIRST, "198.51.100.100", FIRST_S + age_s, reply),
			COOKIE_GOOD);
		assert_cookie(reply, FIRST);
	}
}

static void age_has_bounds(void **state)
{
	struct cookie_secrets secrets = secrets_of(SECRET, NULL);
	static const struct {
		int32_t age_s;
		enum cookie_state state;
	} cases[] = {{COOKIE_LIFE_S, COOKIE_GOOD}, {COOKIE_LIFE_S + 1, COOKIE_BAD},
		{-COOKIE_AHEAD_S, COOKIE_GOOD}, {-COOKIE_AHEAD_S - 1, COOKIE_BAD}};
	uint8_t reply[COOKIE_SIZE], again[COOKIE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint32_t now_s = FIRST_S + (uint32_t)cases[i].age_s;
		assert_int_equal(
			check(&secrets, FIRST, "198.51.100.100", now_s, reply), cases[i].state);
		/* A new one in any case, as if there had been none. */
		check(&secrets, "2464c4abcf10c957", "198.51.100.100", now_s, again);
		assert_memory_equal(reply, again, COOKIE_SIZE);
	}
}

static void bad_ones(void **state)
{
	struct cookie_secrets secrets = secrets_of(SECRET, NULL);
	struct cookie_secrets other = secrets_of("445536bcd2513298075a5d379663c962", NULL);
	uint8_t reply[COOKIE_SIZE];
	char text[] = FIRST;

	(void)state;
	assert_int_equal(check(&secrets, FIRST, "198.51.100.101", FIRST_S, reply), COOKIE_BAD);
	assert_int_equal(check(&secrets, FIRST, "2001:db8::1", FIRST_S, reply), COOKIE_BAD);
	assert_int_equal(check(&other, FIRST, "198.51.100.100", FIRST_S, reply), COOKIE_BAD);
	for (size_t i = 0; i < sizeof text - 1; i++) { /* no digit may differ */
		char before = text[i];
		text[i] = before == '0' ? '1' : '0';
		assert_int_equal(
			check(&secrets, text, "198.51.100.100", FIRST_S, reply), COOKIE_BAD);
		text[i] = before;
	}
	/* Of other lengths that RFC 7873 allows. */
	assert_int_equal(check(&secrets, "2464c4abcf10c957010000005cf79f11", "198.51.100.100",
				 FIRST_S, reply),
		COOKIE_BAD);
	assert_int_equal(
		check(&secrets, FIRST "00000000", "198.51.100.100", FIRST_S, reply), COOKIE_BAD);
	assert_cookie(reply, FIRST);
}

static void none_without_secrets(void **state)
{
	struct cookie_secrets none = {0};
	uint8_t reply[COOKIE_SIZE];

	(void)state;
	assert_int_equal(check(&none, FIRST, "198.51.100.100", FIRST_S, reply), COOKIE_NONE);
	for (size_t i = 0; i < COOKIE_SIZE; i++)
		assert_int_equal(reply[i], 0xaa);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(vectors_of_rfc_9018),
		cmocka_unit_test(fresh_cookie_comes_back), cmocka_unit_test(age_has_bounds),
		cmocka_unit_test(bad_ones), cmocka_unit_test(none_without_secrets)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

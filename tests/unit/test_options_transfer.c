/* SPDX-License-Identifier: BSD-3-Clause */
/* Zones by transfer and their keys, as a configuration says them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/options.h"
#include "tests/unit/options_file.h"

#define SECRET "c2VjcmV0IG9mIGEga2V5" /* "secret of a key" */

/* The configuration with a key whose secret is in a file, which holds that. */
static const char *with_key(const char *secret, const char *more)
{
	static char text[4096];
	char folder[1024];

	assert_non_null(getcwd(folder, sizeof(folder)));
	write_file("secret", secret);
	snprintf(text, sizeof(text),
		NO_RESOLV_CONF "\nkey \"Feed.Example\" { secret-file = \"%s/secret\" }\n%s", folder,
		more);
	return text;
}

#ifdef HAVE_TLS

static void test_key(void **state)
{
	(void)state;
	struct options *o = load_good(with_key(SECRET "\nsomething else\n",
		"zone \"feed\" { primary = { \"192.0.2.1\", \"[2001:db8::1]:5353\" } zone-name = "
		"\"RPZ.example\" key = \"Feed.Example\" mode = block }\n"));
	const struct zone_options *zone = &o->zones[o->zone_count - 1];
	assert_int_equal(o->key_count, 1);
	assert_int_equal(o->keys[0].key.algorithm, TSIG_SHA256);
	assert_int_equal(o->keys[0].key.secret_length, 15);
	assert_memory_equal(o->keys[0].key.secret, "secret of a key", 15);
	assert_memory_equal(o->keys[0].key.name.wire, "\004feed\007example", 14);
	assert_int_equal(zone->primary_count, 2);
	assert_int_equal(zone->primaries[0].port, 53);
	assert_int_equal(zone->primaries[1].port, 5353);
	assert_memory_equal(zone->zone_name.wire, "\003rpz\007example", 13);
	char *text = printed(o);
	assert_null(strstr(text, SECRET));
	assert_null(strstr(text, "secret of"));
	assert_non_null(strstr(text, "\tprimary = { \"192.0.2.1:53\", \"[2001:db8::1]:5353\" }\n"));
	assert_round_trip(o);
	free(text);
	options_free(o);
}

static void test_algorithms(void **state)
{
	(void)state;
	for (unsigned i = 0; tsig_algorithm_words[i]; i++) {
		char more[200];
		snprintf(more, sizeof(more),
			"key \"second\" { algorithm = %s secret-file = \"/dev/null\" }\n",
			tsig_algorithm_words[i]);
		write_file("t.conf", with_key(SECRET, more));
		struct options *o = options_load_without_passwords("t.conf");
		assert_non_null(o);
		assert_int_equal(o->keys[1].key.algorithm, i);
		assert_int_equal(o->keys[0].key.secret_length, 0); /* was not to be read */
		options_free(o);
	}
}

static void test_bad_secrets(void **state)
{
	static const char *const secrets[] = {
		"", "\n", "not base64!\n", "abc\n", "YWJj*\n", "=\n", "====\n"};
	char long_secret[1000];

	(void)state;
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		assert_null(load(with_key(secrets[i], "")));
		assert_non_null(strstr(said, "t.conf:2: key \"Feed.Example\": secret-file: "));
		assert_non_null(strstr(said, "its first line is no secret, expected 1 to 512 "
					     "octets in base64"));
	}
	memset(long_secret, 'A', 688);
	long_secret[688] = '\0';
	assert_null(load(with_key(long_secret, "")));
	assert_null(strstr(said, "AAAA"));
	unlink("secret");
	write_file("t.conf", NO_RESOLV_CONF "\nkey \"k\" { secret-file = \"/no/such/file\" }\n");
	assert_null(load_path("t.conf"));
	assert_non_null(strstr(said, "t.conf:2: key \"k\": secret-file: \"/no/such/file\": cannot "
				     "be opened: No such file or directory"));
}

static void test_bad_keys(void **state)
{
	(void)state;
	expect_fault("key \"k\" { algorithm = md5 secret-file = \"/dev/null\" }",
		"t.conf:1: key \"k\": algorithm: is not known, expected hmac-sha1, hmac-sha224, "
		"hmac-sha256, hmac-sha384 or hmac-sha512\nt.conf:1: key \"k\": secret-file: "
		"\"/dev/null\": its first line is no secret, expected 1 to 512 octets in base64\n");
	expect_fault("key \"k\" { }",
		"t.conf:1: key \"k\": no file with the secret is named, expected secret-file = "
		"\"/PATH\"\n");
	expect_fault("key \"k\" { secret-file = relative }",
		"t.conf:1: key \"k\": no file with the secret is named, expected secret-file = "
		"\"/PATH\"\n");
	expect_fault("key \"a..b\" { }",
		"t.conf:1: key \"a..b\": this is no name of a key, expected a domain name\n"
		"t.conf:1: key \"a..b\": no file with the secret is named, expected secret-file = "
		"\"/PATH\"\n");
}

#endif

static void test_bad_zones(void **state)
{
	(void)state;
	expect_fault("zone \"feed\" { primary = \"primary.example\" }",
		"t.conf:1: zone \"feed\": primary: \"primary.example\" is no address, expected one "
		"such as 192.0.2.1 or [2001:db8::1]:53\n");
	expect_fault("zone \"feed\" { primary = \"192.0.2.1\" file = \"x\" }",
		"t.conf:1: zone \"feed\": file: \"x\" stands beside primary, expected one of the "
		"two\n");
	expect_fault("zone \"feed\" { primary = \"192.0.2.1\" format = patterns }",
		"t.conf:1: zone \"feed\": format: \"patterns\" stands beside primary, expected "
		"rpz\n");
	expect_fault("zone \"feed\" { primary = \"192.0.2.1\" key = \"none\" }",
		"t.conf:1: zone \"feed\": key: \"none\" is not there, expected the name of a "
		"section key\n");
	expect_fault("zone \"feed\" { primary = \"192.0.2.1\" zone-name = \"a..b\" }",
		"t.conf:1: zone \"feed\": zone-name: \"a..b\" is no domain name\n");
	expect_fault("zone \"feed\" { file = \"x\" zone-name = \"rpz.example\" }",
		"t.conf:1: zone \"feed\": zone-name: \"rpz.example\" is for zones that come by "
		"transfer, expected primary as well\n");
	expect_fault("zone \"feed\" { primary = { \"192.0.2.1\", \"192.0.2.2\", \"192.0.2.3\", "
		     "\"192.0.2.4\", \"192.0.2.5\", \"192.0.2.6\", \"192.0.2.7\", \"192.0.2.8\", "
		     "\"192.0.2.9\" } }",
		"t.conf:1: zone \"feed\": primary: \"192.0.2.1\" and the others are too many, "
		"expected at most 8\n");
}

static void test_without_key(void **state)
{
	(void)state;
	struct options *o = load_good(
		NO_RESOLV_CONF "zone \"feed\" { primary = \"192.0.2.1\" } zone-transfer-max = 1M");
	const struct zone_options *zone = &o->zones[o->zone_count - 1];
	assert_null(zone->key);
	assert_memory_equal(zone->zone_name.wire, "\004feed", 6);
	assert_int_equal(o->zone_transfer_max, 1 << 20);
	assert_round_trip(o);
	options_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef HAVE_TLS
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_algorithms),
		cmocka_unit_test(test_bad_secrets),
		cmocka_unit_test(test_bad_keys),
#endif
		cmocka_unit_test(test_bad_zones),
		cmocka_unit_test(test_without_key),
	};

	(void)with_key;
	return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}

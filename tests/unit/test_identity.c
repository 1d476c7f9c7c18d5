/* SPDX-License-Identifier: BSD-3-Clause */
/* resolver/telemetry: who a client counts as: prefixes, MAC addresses, pseudonyms, exclusion, keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "resolver/telemetry/identity.h"
#include "resolver/telemetry/identity_key.h"

#define DAY_US INT64_C(86400000000)

static struct address address_of(const char *text)
{
	struct address address;
	assert_true(client_from_text(&address, text));
	return address;
}

static struct transaction transaction_of(const char *client)
{
	struct transaction t = {.client = {.address = address_of(client), .port = 4242},
		.zone = 3,
		.rule = "rule",
		.answer_id = 9};
	static const uint8_t qname[] = "\3www\4bank\7example";
	t.qname = qname;
	t.qname_length = sizeof(qname);
	return t;
}

struct fixture {
	struct identity_config config;
	struct identity_shared *shared;
	struct identity_rules *rules;
	struct identity *identity;
};

static void open_fixture(struct fixture *f, const struct identity_config *config)
{
	f->shared = identity_shared_new(&(struct hash_seed){1, 2});
	assert_non_null(f->shared);
	f->config = *config;
	f->config.shared = f->shared;
	f->rules = identity_rules_new(&f->config);
	f->identity = malloc(sizeof(*f->identity));
	assert_non_null(f->rules);
	assert_non_null(f->identity);
	identity_init(f->identity, f->rules);
}

static void close_fixture(struct fixture *f)
{
	free(f->identity);
	identity_rules_free(f->rules);
	identity_shared_free(f->shared);
}

/* Whom the client counts as, and what stands beside it. */
static void assert_identity(
	struct fixture *f, struct transaction t, const char *client, const char *address)
{
	char text[ADDRESS_TEXT_MAX];
	identity_apply(f->identity, &t);
	assert_string_equal(address_to_text(&t.client.address, text), client);
	assert_string_equal(address_to_text(&t.address, text), address);
}

static void off_changes_nothing(void **state)
{
	struct fixture f;
	(void)state;
	open_fixture(&f, &(struct identity_config){0});
	assert_false(identity_is_on(f.rules));
	assert_identity(&f, transaction_of("192.0.2.7"), "192.0.2.7", "-");
	close_fixture(&f);
}

static void prefix_hides_the_host(void **state)
{
	const struct identity_config config = {
		.anonymize = ANONYMIZE_PREFIX, .anonymize_v4 = 20, .anonymize_v6 = 48};
	struct fixture f;
	(void)state;
	open_fixture(&f, &config);
	assert_true(identity_is_on(f.rules));
	for (int i = 0; i < 2; i++) { /* decided, and remembered */
		assert_identity(&f, transaction_of("192.0.2.7"), "192.0.0.0/20", "-");
		assert_identity(&f, transaction_of("2001:db8:1:2::3"), "2001:db8:1::/48", "-");
	}
	struct transaction t = transaction_of("192.0.2.7");
	struct forwarded given = {.client = address_of("198.51.255.0/24")};
	t.given = &given;
	given.mac = address_of("02:00:00:00:00:01");
	assert_identity(&f, t, "198.51.240.0/20", "-");
	given.client = address_of("198.51.0.0/16");
	assert_identity(&f, t, "198.51.0.0/16", "-");
	close_fixture(&f);
}

static void pseudonyms_hang_on_the_key(void **state)
{
	const struct identity_config config = {.anonymize = ANONYMIZE_HASH};
	char first[ADDRESS_TEXT_MAX], again[ADDRESS_TEXT_MAX], other[ADDRESS_TEXT_MAX];
	struct fixture f;
	(void)state;
	open_fixture(&f, &config);
	identity_set_key(f.shared, &(struct hash_seed){3, 4});
	struct transaction t[4];
	for (int i = 0; i < 4; i++)
		t[i] = transaction_of(i == 2 ? "192.0.2.8" : "192.0.2.7");
	for (int i = 0; i < 3; i++)
		identity_apply(f.identity, &t[i]);
	address_to_text(&t[0].client.address, first);
	assert_int_equal(strlen(first), 21);
	assert_memory_equal(first, "anon-", 5);
	assert_string_equal(first, address_to_text(&t[1].client.address, again));
	assert_string_not_equal(first, address_to_text(&t[2].client.address, other));
	assert_int_equal(t[0].address.family, ADDRESS_NONE);
	identity_set_key(f.shared, &(struct hash_seed){3, 5});
	identity_apply(f.identity, &t[3]);
	assert_string_not_equal(first, address_to_text(&t[3].client.address, again));
	close_fixture(&f);
}

static void rules_by_client_hide_it_too(void **state)
{
	static const char *const shown[][3] = {/* as it is, off, anonymous */
		{"32.7.2.0.192.rpz-client-ip.", "32.7.2.0.192.rpz-client-ip.", "rpz-client-ip."},
		{"24.0.2.0.192.rpz-ip.", "24.0.2.0.192.rpz-ip.", "24.0.2.0.192.rpz-ip."},
		{"bad.example.", "bad.example.", "bad.example."}};
	struct identity_config config = {.anonymize = ANONYMIZE_OFF};
	struct fixture f;
	(void)state;
	for (int mode = 0; mode < 3; mode++) {
		config.anonymize = mode == 0   ? ANONYMIZE_OFF
				   : mode == 1 ? ANONYMIZE_PREFIX
					       : ANONYMIZE_HASH;
		config.anonymize_v4 = 24;
		open_fixture(&f, &config);
		for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
			struct transaction t = transaction_of("192.0.2.7");
			t.rule = shown[i][0];
			identity_apply(f.identity, &t);
			assert_string_equal(t.rule, shown[i][mode ? 2 : 1]);
		}
		close_fixture(&f);
	}
}

static void excluded_leave_a_count(void **state)
{
	static const char *const exclude[] = {
		"192.0.2.0/28", "2001:db8::1", "bank.example", "02:00:00:00:00:09"};
	const struct identity_config config = {.exclude = exclude, .exclude_count = 4};
	struct fixture f;
	(void)state;
	open_fixture(&f, &config);
	struct transaction t = transaction_of("192.0.2.15");
	identity_apply(f.identity, &t);
	assert_int_equal(t.client.address.family, ADDRESS_EXCLUDED);
	assert_int_equal(t.client.port, 0);
	assert_null(t.qname);
	assert_int_equal(t.qname_length, 0);
	assert_null(t.rule);
	assert_int_equal(t.zone, ZONE_ID_NONE);
	assert_int_equal(t.address.family, ADDRESS_NONE);

	assert_identity(&f, transaction_of("192.0.2.16"), "*excluded", "-"); /* the name */
	assert_identity(&f, transaction_of("2001:db8::1"), "*excluded", "-");
	t = transaction_of("192.0.2.16");
	t.qname = (const uint8_t *)"\7mybank-\7example"; /* no label of it is excluded */
	t.qname_length = 17;
	assert_identity(&f, t, "192.0.2.16", "-");
	t.qname = (const uint8_t *)"\4bank\7example";
	t.qname_length = 14;
	assert_identity(&f, t, "*excluded", "-");
	t = transaction_of("192.0.2.99");
	t.qname = NULL;
	t.qname_length = 0;
	assert_identity(&f, t, "192.0.2.99", "-");
	t.given = &(struct forwarded){.mac = address_of("02:00:00:00:00:09")};
	assert_identity(&f, t, "*excluded", "-");
	close_fixture(&f);
}

/* Whatever a client is otherwise: also by what is known of its address, and by a network around the
 * prefix that a forwarder gave. */
static void excluded_by_what_is_known(void **state)
{
	static const char *const exclude[] = {
		"02:00:00:00:00:09", "10.1.0.0/16", "2001:db8:1::/48", "10.3.3.0/24"};
	const struct identity_config config = {.exclude = exclude, .exclude_count = 4};
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 9}, other[6] = {2, 0, 0, 0, 0, 8};
	struct fixture f;
	(void)state;
	open_fixture(&f, &config);
	struct address source = address_of("192.0.2.9"), neighbour = address_of("192.0.2.8");
	assert_identity(&f, transaction_of("192.0.2.9"), "192.0.2.9", "-");
	assert_true(identity_set_neighbour(f.shared, &source, mac));
	assert_true(identity_set_neighbour(f.shared, &neighbour, other));
	assert_identity(&f, transaction_of("192.0.2.9"), "*excluded", "-");
	assert_identity(&f, transaction_of("192.0.2.8"), "192.0.2.8", "-");

	struct transaction t = transaction_of("192.0.2.1");
	struct forwarded given = {.client = source};
	t.given = &given;
	assert_identity(&f, t, "*excluded", "-");
	given.client = address_of("10.1.2.0/24");
	assert_identity(&f, t, "*excluded", "-");
	given.client = address_of("2001:db8:1:2::/64");
	assert_identity(&f, t, "*excluded", "-");
	given.client = address_of("10.3.0.0/16"); /* more than what is excluded */
	assert_identity(&f, t, "10.3.0.0/16", "192.0.2.1");
	close_fixture(&f);
}

/* What was remembered under the rules before is forgotten; pseudonyms stay. */
static void rules_are_changed(void **state)
{
	static const char *const exclude[] = {"192.0.2.7"};
	const struct identity_config config = {.anonymize = ANONYMIZE_HASH};
	char before[ADDRESS_TEXT_MAX];
	struct fixture f;
	(void)state;
	open_fixture(&f, &config);
	identity_set_key(f.shared, &(struct hash_seed){3, 4});
	struct transaction t = transaction_of("192.0.2.7");
	identity_apply(f.identity, &t);
	address_to_text(&t.client.address, before);
	f.config.exclude = exclude;
	f.config.exclude_count = 1;
	struct identity_rules *rules = identity_rules_new(&f.config);
	assert_non_null(rules);
	identity_set_rules(f.identity, rules);
	assert_identity(&f, transaction_of("192.0.2.7"), "*excluded", "-");
	identity_set_rules(f.identity, f.rules);
	identity_rules_free(rules);
	assert_identity(&f, transaction_of("192.0.2.7"), before, "-");
	close_fixture(&f);
}

static void mac_joins_addresses(void **state)
{
	const struct identity_config config = {.client = CLIENT_IS_MAC};
	const uint8_t one[6] = {2, 0, 0, 0, 0, 1}, two[6] = {2, 0, 0, 0, 0, 2};
	struct address a = address_of("192.0.2.7"), b = address_of("2001:db8::7");
	struct fixture f;
	(void)state;
	open_fixture(&f, &config);
	assert_identity(&f, transaction_of("192.0.2.7"), "192.0.2.7", "-");
	assert_true(identity_set_neighbour(f.shared, &a, one));
	assert_true(identity_set_neighbour(f.shared, &b, one));
	assert_identity(&f, transaction_of("192.0.2.7"), "02:00:00:00:00:01", "192.0.2.7");
	assert_identity(&f, transaction_of("2001:db8::7"), "02:00:00:00:00:01", "2001:db8::7");
	assert_true(identity_set_neighbour(f.shared, &a, two));
	assert_identity(&f, transaction_of("192.0.2.7"), "02:00:00:00:00:02", "192.0.2.7");
	assert_identity(&f, transaction_of("192.0.2.8"), "192.0.2.8", "-");
	close_fixture(&f);
}

static void neighbours_are_bounded(void **state)
{
	struct identity_shared *shared = identity_shared_new(&(struct hash_seed){1, 2});
	struct address address = address_of("10.0.0.0"), mac;
	const uint8_t octets[6] = {2};
	(void)state;
	for (unsigned i = 0; i <= NEIGHBOURS_MAX; i++) {
		address.octets[2] = (uint8_t)(i >> 8);
		address.octets[3] = (uint8_t)i;
		assert_int_equal(
			identity_set_neighbour(shared, &address, octets), i < NEIGHBOURS_MAX);
	}
	assert_false(identity_find_neighbour(shared, &address, &mac));
	address = address_of("10.0.31.255");
	assert_true(identity_find_neighbour(shared, &address, &mac));
	identity_shared_free(shared);
}

static void prefix_joins_privacy_addresses(void **state)
{
	const struct identity_config config = {.client = CLIENT_IS_PREFIX, .prefix_v6 = 64};
	struct fixture f;
	(void)state;
	open_fixture(&f, &config);
	assert_identity(&f, transaction_of("2001:db8:0:1:a:b:c:d"), "2001:db8:0:1::/64",
		"2001:db8:0:1:a:b:c:d");
	assert_identity(&f, transaction_of("192.0.2.1"), "192.0.2.1", "-");
	close_fixture(&f);
}

/* What a forwarder gives, by what a client is to be. */
static void given_comes_before_the_source(void **state)
{
	struct fixture f;
	struct transaction t = transaction_of("192.0.2.1");
	struct forwarded given = {0};
	(void)state;
	t.given = &given;
	open_fixture(&f, &(struct identity_config){0});
	given.client = address_of("10.0.0.5");
	assert_identity(&f, t, "10.0.0.5", "192.0.2.1");
	given.mac = address_of("02:00:00:00:00:05");
	assert_identity(&f, t, "10.0.0.5", "192.0.2.1");
	given.client = address_of("10.0.0.0/24");
	assert_identity(&f, t, "02:00:00:00:00:05", "192.0.2.1");
	given.mac = (struct address){0};
	assert_identity(&f, t, "10.0.0.0/24", "192.0.2.1");
	given.client = address_of("id-branch");
	assert_identity(&f, t, "id-branch", "192.0.2.1");
	close_fixture(&f);

	open_fixture(&f, &(struct identity_config){.client = CLIENT_IS_MAC});
	given.client = address_of("10.0.0.5");
	given.mac = address_of("02:00:00:00:00:05");
	assert_identity(&f, t, "02:00:00:00:00:05", "192.0.2.1");
	close_fixture(&f);
}

static void entries_of_exclude_are_checked(void **state)
{
	static const char *const good[] = {"192.0.2.1", "10.0.0.0/8", "2001:db8::/32",
		"example.com", "a.b.", "02:00:5e:10:00:01", "anon-0123456789abcdef"};
	static const char *const bad[] = {"", ".", "10.0.0.1/8", "10.0.0.0/33", "a..b", "1:2",
		"*.example.com", "*other", "two words"};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(identity_exclude_check(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(identity_exclude_check(bad[i]));
	assert_null(identity_rules_new(
		&(struct identity_config){.exclude = &bad[1], .exclude_count = 1}));
}

static void key_lasts_and_is_renewed(void **state)
{
	char dir[] = "/tmp/teredown-key-XXXXXX", path[64];
	struct hash_seed first, again;
	struct stat status;
	bool renewed;
	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/anonymize.key", dir);
	assert_int_equal(identity_key_load(dir, 1, 100 * DAY_US, &first, &renewed), TD_OK);
	assert_true(renewed);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(identity_key_load(dir, 1, 101 * DAY_US - 1, &again, &renewed), TD_OK);
	assert_false(renewed);
	assert_memory_equal(&first, &again, sizeof(first));
	assert_int_equal(identity_key_load(dir, 0, 999 * DAY_US, &again, &renewed), TD_OK);
	assert_memory_equal(&first, &again, sizeof(first));
	assert_int_equal(identity_key_load(dir, 1, 101 * DAY_US, &again, &renewed), TD_OK);
	assert_true(renewed);
	assert_memory_not_equal(&first, &again, sizeof(first));

	/* A clock that was years ahead, one that is not set, one that is right. */
	assert_int_equal(identity_key_load(dir, 1, 30000 * DAY_US, &first, &renewed), TD_OK);
	assert_true(renewed);
	assert_int_equal(identity_key_load(dir, 1, 0, &again, &renewed), TD_OK);
	assert_false(renewed);
	assert_int_equal(identity_key_load(dir, 1, 20779 * DAY_US, &again, &renewed), TD_OK);
	assert_true(renewed);
	assert_memory_not_equal(&first, &again, sizeof(first));

	FILE *file = fopen(path, "w");
	fputs("nonsense\n", file);
	fclose(file);
	log_setup("test", LOG_LEVEL_ERROR);
	assert_int_equal(identity_key_load(dir, 0, 0, &first, &renewed), TD_OK);
	assert_true(renewed);
	unlink(path);
	rmdir(dir);
	assert_int_equal(identity_key_load("/nonexistent", 0, 0, &first, &renewed), TD_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(off_changes_nothing),
		cmocka_unit_test(prefix_hides_the_host),
		cmocka_unit_test(pseudonyms_hang_on_the_key),
		cmocka_unit_test(rules_by_client_hide_it_too),
		cmocka_unit_test(excluded_leave_a_count),
		cmocka_unit_test(excluded_by_what_is_known),
		cmocka_unit_test(rules_are_changed),
		cmocka_unit_test(mac_joins_addresses),
		cmocka_unit_test(neighbours_are_bounded),
		cmocka_unit_test(prefix_joins_privacy_addresses),
		cmocka_unit_test(given_comes_before_the_source),
		cmocka_unit_test(entries_of_exclude_are_checked),
		cmocka_unit_test(key_lasts_and_is_renewed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

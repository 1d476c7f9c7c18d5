/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What signing in to the dashboard is made of, each part alone: hashes, the token and its file,
 * sessions, and tries to sign in. Time is made up.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "resolver/control/dashboard/session_table.h"
#include "resolver/control/dashboard/sign_in.h"
#include "tests/unit/access_bed.h"

#define HOUR_MS (INT64_C(3600) * 1000)
#define START_MS INT64_C(1000000)

/* --- hashes --- */

static void expect_hex(const uint8_t octets[DIGEST_SIZE], const char *expected)
{
	char text[DIGEST_TEXT_SIZE];

	assert_string_equal(digest_to_text(octets, text), expected);
}

/* FIPS 180-4's "abc"; RFC 4231, 4.2 and 4.3, whose keys are shorter and so end with zeros. */
static void test_digest(void **state)
{
	uint8_t key[DIGEST_SIZE] = {0}, out[DIGEST_SIZE], back[DIGEST_SIZE];
	char text[DIGEST_TEXT_SIZE];

	(void)state;
	digest_sha256("abc", 3, out);
	expect_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	memset(key, 0x0b, 20);
	digest_hmac(key, "Hi There", 8, out);
	expect_hex(out, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	memset(key, 0, sizeof(key));
	memcpy(key, "Jefe", 4);
	digest_hmac(key, "what do ya want for nothing?", 28, out);
	expect_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");

	digest_to_text(out, text);
	assert_true(digest_from_text(text, back) && digest_equal(out, back, sizeof(out)));
	for (size_t i = 0; i < sizeof(out); i++) {
		back[i] ^= 1;
		assert_false(digest_equal(out, back, sizeof(out)));
		back[i] ^= 1;
	}
	text[5] = 'A';
	assert_false(digest_from_text(text, back));
	text[5] = 'a';
	text[DIGEST_TEXT_SIZE - 2] = '\0';
	assert_false(digest_from_text(text, back) || digest_from_text("", back));
}

/* --- the token --- */

static void test_token_text(void **state)
{
	uint8_t octets[TOKEN_OCTETS];
	char text[TOKEN_TEXT_SIZE], upper[TOKEN_TEXT_SIZE + 8], again[TOKEN_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (uint8_t)(7 * i);
	token_to_text(octets, text);
	assert_int_equal(strlen(text), TOKEN_TEXT_SIZE - 1);
	snprintf(upper, sizeof(upper), "  %s\r\n", text);
	for (char *c = upper; *c; c++)
		*c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
	assert_true(token_from_person(upper, again));
	assert_string_equal(again, text);
	assert_false(token_from_person("", again));
	assert_false(token_from_person(text + 1, again));
	snprintf(upper, sizeof(upper), "%s2", text);
	assert_false(token_from_person(upper, again));
	snprintf(upper, sizeof(upper), "%s x", text);
	assert_false(token_from_person(upper, again));
	upper[3] = '1';
	assert_false(token_from_person(upper, again));
}

static void test_token_file(void **state)
{
	static const char *const damaged[] = {"", "teredown dashboard token 1\n",
		"teredown dashboard token 1\n\n", "teredown dashboard token 1\n$y$j9T$abc",
		"teredown dashboard token 1\nnothing\n", "teredown dashboard token 1\n$y$j9T$\n",
		"teredown dashboard token 1\n$y$j9T$a$b\n",
		"teredown dashboard token 2\n$y$j9T$a$b\n",
		"teredown dashboard token 1\n$y$j9T$a b\n",
		"teredown dashboard token 1\n$y$j9T$a$b\n$y$j9T$a$b\n"};
	struct fixture *fixture = *state;
	uint8_t salt[TOKEN_OCTETS] = {1};
	char hash[TOKEN_HASH_SIZE], read[TOKEN_HASH_SIZE];
	struct stat status;

	assert_int_equal(token_file_read(fixture->folder, read), TD_NOT_FOUND);
	assert_true(token_hash("secret", salt, hash));
	assert_int_equal(strncmp(hash, "$y$", 3), 0);
	assert_null(strstr(hash, "secret"));
	assert_true(token_file_write(fixture->folder, hash));
	assert_int_equal(stat(path_of(fixture, TOKEN_FILE), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(token_file_read(fixture->folder, read), TD_OK);
	assert_string_equal(read, hash);
	assert_true(token_matches("secret", read));
	assert_false(token_matches("secreT", read) || token_matches("", read));
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		write_file(fixture, TOKEN_FILE, damaged[i]);
		assert_int_equal(token_file_read(fixture->folder, read), TD_MALFORMED);
	}
	assert_false(token_file_write("/nonexistent", hash));
	assert_false(token_matches("secret", "*0") || token_matches("*0", "*0"));
}

/* --- sessions --- */

static void make_id(uint8_t id[DIGEST_SIZE], unsigned number)
{
	memset(id, 0, DIGEST_SIZE);
	memcpy(id, &number, sizeof(number));
}

static void test_sessions_end(void **state)
{
	static struct session_table table;
	uint8_t key[DIGEST_SIZE] = {9}, id[DIGEST_SIZE], other[DIGEST_SIZE];
	int64_t left_ms, now_ms = START_MS;

	(void)state;
	make_id(id, 1);
	make_id(other, 2);
	session_table_init(&table, key);
	assert_false(session_table_touch(&table, id, now_ms, NULL));
	session_table_begin(&table, id, now_ms);
	assert_memory_not_equal(table.sessions[0].hash, id, DIGEST_SIZE);
	assert_true(session_table_touch(&table, id, now_ms, &left_ms));
	assert_int_equal(left_ms, SESSION_IDLE_MS);
	assert_false(session_table_touch(&table, other, now_ms, NULL));

	assert_int_equal(session_table_count(&table, now_ms + SESSION_IDLE_MS - 1), 1);
	assert_int_equal(session_table_count(&table, now_ms + SESSION_IDLE_MS), 0);
	for (; now_ms < START_MS + SESSION_LIFE_MS; now_ms += 7 * HOUR_MS)
		assert_true(session_table_touch(&table, id, now_ms, &left_ms));
	assert_int_equal(left_ms, 7 * HOUR_MS); /* of the seven days */
	assert_int_equal(session_table_count(&table, START_MS + SESSION_LIFE_MS - 1), 1);
	assert_false(session_table_touch(&table, id, START_MS + SESSION_LIFE_MS, NULL));
	assert_int_equal(table.expired, 1);

	session_table_begin(&table, id, now_ms);
	session_table_begin(&table, other, now_ms);
	assert_true(session_table_end(&table, id));
	assert_false(session_table_end(&table, id));
	assert_true(session_table_touch(&table, other, now_ms, NULL));
	session_table_clear(&table);
	assert_false(session_table_touch(&table, other, now_ms, NULL));
	assert_int_equal(table.ended, 2);
}

static void test_sessions_bound(void **state)
{
	static struct session_table table;
	uint8_t key[DIGEST_SIZE] = {9}, id[DIGEST_SIZE];

	(void)state;
	session_table_init(&table, key);
	for (unsigned i = 0; i < SESSIONS_MAX; i++) {
		make_id(id, i);
		session_table_begin(&table, id, START_MS + i);
	}
	make_id(id, 0);
	assert_true(session_table_touch(&table, id, START_MS + SESSIONS_MAX, NULL));
	make_id(id, SESSIONS_MAX);
	session_table_begin(&table, id, START_MS + SESSIONS_MAX + 1);
	assert_int_equal(table.pushed_out, 1);
	assert_int_equal(session_table_count(&table, START_MS + SESSIONS_MAX + 1), SESSIONS_MAX);
	make_id(id, 0);
	assert_true(session_table_touch(&table, id, START_MS + SESSIONS_MAX + 2, NULL));
	make_id(id, 1);
	assert_false(session_table_touch(&table, id, START_MS + SESSIONS_MAX + 2, NULL));
}

static void test_csrf(void **state)
{
	static struct session_table table, restarted;
	uint8_t key[DIGEST_SIZE] = {9}, id[DIGEST_SIZE], other[DIGEST_SIZE];
	uint8_t first[DIGEST_SIZE], second[DIGEST_SIZE];

	(void)state;
	session_table_init(&table, key);
	key[0]++;
	session_table_init(&restarted, key);
	make_id(id, 1);
	make_id(other, 2);
	session_table_csrf(&table, id, first);
	assert_memory_not_equal(first, id, DIGEST_SIZE);
	session_table_csrf(&table, other, second);
	assert_memory_not_equal(first, second, DIGEST_SIZE);
	session_table_csrf(&restarted, id, second);
	assert_memory_not_equal(first, second, DIGEST_SIZE);
	session_table_csrf(&table, id, second);
	assert_memory_equal(first, second, DIGEST_SIZE);
}

/* --- tries --- */

static struct address address_of(const char *text)
{
	struct address address = {0};

	assert_true(address_from_text(&address, text));
	return address;
}

static int64_t try_from(struct sign_in_limit *limit, const char *text, int64_t now_ms)
{
	struct address address = address_of(text);

	return sign_in_try(limit, &address, now_ms);
}

static void test_waits_grow(void **state)
{
	static struct sign_in_limit limit;
	int64_t now_ms = START_MS, wait_ms = 0, before_ms = 0;
	struct address address = address_of("192.0.2.99");

	(void)state;
	sign_in_init(&limit, now_ms);
	for (unsigned i = 0; i < SIGN_IN_FREE; i++)
		assert_int_equal(try_from(&limit, "192.0.2.1", now_ms), 0);
	for (unsigned i = 0; i < 12; i++) {
		wait_ms = try_from(&limit, "192.0.2.2", now_ms);
		assert_true(wait_ms >= before_ms && wait_ms > 0);
		assert_int_equal(try_from(&limit, "192.0.2.3", now_ms + wait_ms - 1), 1);
		now_ms += wait_ms;
		assert_int_equal(try_from(&limit, "192.0.2.4", now_ms), 0);
		before_ms = wait_ms;
	}
	assert_int_equal(wait_ms, SIGN_IN_WAIT_MAX_MS);
	assert_int_equal(limit.turned_away, 24);
	assert_int_equal(try_from(&limit, "192.0.3.1", now_ms), 0);
	assert_true(try_from(&limit, "192.0.2.1", now_ms + SIGN_IN_WAIT_MAX_MS - 1) > 0);
	assert_int_equal(try_from(&limit, "192.0.2.1", now_ms + SIGN_IN_WAIT_MAX_MS), 0);
	sign_in_succeeded(&limit, &address, now_ms + SIGN_IN_WAIT_MAX_MS);
	assert_int_equal(try_from(&limit, "192.0.2.1", now_ms + SIGN_IN_WAIT_MAX_MS), 0);
}

static void test_one_network(void **state)
{
	static struct sign_in_limit limit;
	char text[64];

	(void)state;
	sign_in_init(&limit, START_MS);
	for (unsigned i = 0; i < SIGN_IN_FREE; i++) {
		snprintf(text, sizeof(text), "2001:db8:0:1::%x", i + 1);
		assert_int_equal(try_from(&limit, text, START_MS), 0);
	}
	assert_int_equal(try_from(&limit, "2001:db8:0:1:ffff::1", START_MS), 1000);
	assert_int_equal(try_from(&limit, "2001:db8:0:2::1", START_MS), 0);
	assert_int_equal(try_from(&limit, "2001:db8:0:1::1", START_MS + SIGN_IN_FORGET_MS), 0);
	assert_int_equal(try_from(&limit, "2001:db8:0:1::1", START_MS + SIGN_IN_FORGET_MS), 0);
}

/* Many networks in turns have the bucket's tries; loopback has its own. */
static void test_all_networks(void **state)
{
	static struct sign_in_limit limit;
	unsigned admitted = 0;
	char text[64];

	(void)state;
	sign_in_init(&limit, START_MS);
	for (unsigned i = 0; i < 3000; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.1", i / 250, i % 250);
		admitted += try_from(&limit, text, START_MS + i) == 0;
	}
	assert_in_range(admitted, SIGN_IN_BUCKET, SIGN_IN_BUCKET + 2);
	assert_in_range(try_from(&limit, "10.99.0.1", START_MS + 3000), 1, SIGN_IN_REFILL_MS);
	assert_int_equal(try_from(&limit, "127.0.0.1", START_MS + 3000), 0);
	assert_int_equal(try_from(&limit, "::1", START_MS + 3000), 0);
	int64_t later_ms = START_MS + 3000 + 10 * SIGN_IN_REFILL_MS;
	for (admitted = 0; try_from(&limit, "10.99.0.1", later_ms) == 0; admitted++)
		;
	assert_int_equal(admitted, SIGN_IN_FREE);
}

static void test_full_of_networks(void **state)
{
	static struct sign_in_limit limit;
	int64_t now_ms = START_MS;
	char text[64];

	(void)state;
	sign_in_init(&limit, now_ms);
	for (unsigned i = 0; i < SIGN_IN_FREE; i++)
		assert_int_equal(try_from(&limit, "192.0.2.1", now_ms), 0);
	for (unsigned i = 0; i < SIGN_IN_NETWORKS_MAX + 5; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.1", i / 250, i % 250);
		limit.bucket_ms = SIGN_IN_REFILL_MS;
		assert_int_equal(try_from(&limit, text, now_ms), 0);
	}
	assert_int_equal(limit.forgotten, 6);
	limit.bucket_ms = SIGN_IN_REFILL_MS;
	assert_int_equal(try_from(&limit, "192.0.2.1", now_ms), 1000); /* not the one that waits */
}

static void test_taken_back(void **state)
{
	static struct sign_in_limit limit;
	struct address address = address_of("192.0.2.1");

	(void)state;
	sign_in_init(&limit, START_MS);
	for (unsigned i = 0; i < 10 * SIGN_IN_BUCKET; i++) {
		assert_int_equal(sign_in_try(&limit, &address, START_MS), 0);
		sign_in_take_back(&limit, &address, START_MS);
	}
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_digest),
		T(test_token_text),
		T(test_token_file),
		T(test_sessions_end),
		T(test_sessions_bound),
		T(test_csrf),
		T(test_waits_grow),
		T(test_one_network),
		T(test_all_networks),
		T(test_full_of_networks),
		T(test_taken_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

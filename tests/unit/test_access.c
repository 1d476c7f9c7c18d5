/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may change something by the dashboard: hashes, the token and its file, sessions, tries to
 * sign in, what is admitted, and the journal. Time is made up but for what the whole (access.h)
 * does.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "resolver/control/dashboard/access.h"
#include "resolver/control/dashboard/changes.h"
#include "resolver/control/dashboard/session_table.h"
#include "resolver/control/dashboard/sign_in.h"

#define HOUR_MS (INT64_C(3600) * 1000)
#define START_MS INT64_C(1000000)

struct fixture {
	char folder[64];
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/teredown-access-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {TOKEN_FILE, TOKEN_FILE ".new", CHANGES_FILE,
		CHANGES_FILE ".1", CHANGES_STRANGERS_FILE, CHANGES_STRANGERS_FILE ".1"};
	struct fixture *fixture = *state;
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", fixture->folder, names[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(fixture->folder), 0);
	free(fixture);
	return 0;
}

static const char *path_of(const struct fixture *fixture, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", fixture->folder, name);
	return path;
}

static void write_file(const struct fixture *fixture, const char *name, const char *text)
{
	FILE *file = fopen(path_of(fixture, name), "we");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
	assert_int_equal(fclose(file), 0);
}

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

/* --- the whole --- */

static struct access *open_access(const struct fixture *fixture, bool secure, char *made)
{
	const struct access_config config = {
		.state_dir = fixture->folder, .secure = secure, .makes = true};
	char words[256];
	struct access *access = access_new(&config, made, words, sizeof(words));

	assert_non_null(access);
	assert_string_equal(words, "");
	return access;
}

static void sign_in(struct access *access, const char *token, char id[ACCESS_ID_TEXT_SIZE])
{
	int wait_s;

	assert_int_equal(access_sign_in(access, token, "192.0.2.1", id, &wait_s), ACCESS_SIGNED_IN);
}

#define CROWD 8

struct crowd {
	struct access *access;
	const char *token;
	pthread_barrier_t start;
	atomic_uint next, signed_in, too_soon;
};

static bool is_signed_in(struct access *access, const char *id)
{
	struct access_view view;

	access_view(access, id, &view);
	return view.signed_in;
}

static void test_first_token(void **state)
{
	struct fixture *fixture = *state;
	char made[TOKEN_TEXT_SIZE], again[TOKEN_TEXT_SIZE], id[ACCESS_ID_TEXT_SIZE], words[256];
	struct access *access = open_access(fixture, false, made);
	int wait_s;

	assert_int_equal(strlen(made), TOKEN_TEXT_SIZE - 1);
	sign_in(access, made, id);
	assert_true(is_signed_in(access, id));
	access_free(access);

	access = open_access(fixture, false, again);
	assert_string_equal(again, "");
	assert_false(is_signed_in(access, id));
	sign_in(access, made, id);
	assert_true(access_new_token(fixture->folder, again, words, sizeof(words)));
	assert_string_not_equal(again, made);
	assert_true(is_signed_in(access, id));
	access_look(access);
	assert_false(is_signed_in(access, id));
	assert_int_equal(access_sign_in(access, made, "192.0.2.1", id, &wait_s), ACCESS_WRONG);
	assert_string_equal(id, "");
	sign_in(access, again, id);

	/* Not waited for where it matters. */
	assert_true(access_new_token(fixture->folder, made, words, sizeof(words)));
	assert_false(access_confirms(access, id));
	sign_in(access, made, id);
	unlink(path_of(fixture, TOKEN_FILE));
	assert_false(access_confirms(access, id));
	assert_int_equal(access_sign_in(access, made, "192.0.2.1", id, &wait_s), ACCESS_NO_TOKEN);
	access_free(access);
}

static void test_without_a_token(void **state)
{
	struct fixture *fixture = *state;
	struct access_config config = {.state_dir = "/nonexistent/teredown", .makes = true};
	char made[TOKEN_TEXT_SIZE], words[256], id[ACCESS_ID_TEXT_SIZE];
	int wait_s;
	struct access *access = access_new(&config, made, words, sizeof(words));

	assert_non_null(access);
	assert_string_equal(made, "");
	assert_non_null(strstr(words, "/nonexistent/teredown/dashboard.token cannot be written"));
	assert_int_equal(access_sign_in(access, "x", "192.0.2.1", id, &wait_s), ACCESS_NO_TOKEN);
	access_free(access);

	config = (struct access_config){.state_dir = fixture->folder};
	access = access_new(&config, made, words, sizeof(words));
	assert_string_equal(made, "");
	assert_non_null(strstr(words, "--new-token"));
	assert_int_equal(access_sign_in(access, "x", "192.0.2.1", id, &wait_s), ACCESS_NO_TOKEN);
	assert_true(access_new_token(fixture->folder, made, words, sizeof(words)));
	sign_in(access, made, id);
	access_free(access);

	write_file(fixture, TOKEN_FILE, "rubbish\n");
	assert_null(access_new(&config, made, words, sizeof(words)));
	assert_non_null(strstr(words, "dashboard.token is damaged"));
	assert_non_null(strstr(words, "--new-token"));
}

static void test_wrong_tokens(void **state)
{
	struct fixture *fixture = *state;
	char made[TOKEN_TEXT_SIZE], near[TOKEN_TEXT_SIZE], id[ACCESS_ID_TEXT_SIZE];
	struct access *access = open_access(fixture, false, made);
	struct access_counts counts;
	int wait_s;

	memcpy(near, made, sizeof(near));
	near[50] = near[50] == 'a' ? 'b' : 'a';
	for (unsigned i = 0; i < SIGN_IN_FREE; i++)
		assert_int_equal(
			access_sign_in(access, i % 2 ? near : "x", "192.0.2.1", id, &wait_s),
			ACCESS_WRONG);
	assert_int_equal(access_sign_in(access, made, "192.0.2.77", id, &wait_s), ACCESS_TOO_SOON);
	assert_int_equal(wait_s, 1);
	assert_int_equal(
		access_sign_in(access, made, "::ffff:192.0.2.1", id, &wait_s), ACCESS_TOO_SOON);
	assert_int_equal(access_sign_in(access, made, "192.0.3.1", id, &wait_s), ACCESS_SIGNED_IN);
	access_count(access, &counts);
	assert_int_equal(counts.wrong, SIGN_IN_FREE);
	assert_int_equal(counts.turned_away, 2);
	assert_int_equal(counts.open, 1);
	access_free(access);
}

static void *sign_in_aside(void *argument)
{
	struct crowd *crowd = argument;
	char from[32], id[ACCESS_ID_TEXT_SIZE];
	int wait_s;

	snprintf(from, sizeof(from), "127.0.%u.1", atomic_fetch_add(&crowd->next, 1) % 200);
	pthread_barrier_wait(&crowd->start);
	switch (access_sign_in(crowd->access, crowd->token, from, id, &wait_s)) {
	case ACCESS_SIGNED_IN:
		crowd->signed_in++;
		break;
	case ACCESS_TOO_SOON:
		crowd->too_soon += wait_s == 1;
		break;
	default:
		break;
	}
	return NULL;
}

/* Two tokens are hashed at once; others are told to come again, which is no failed try. Whether so
 * many meet is up to the machine, so it is tried often. */
static void test_two_at_once(void **state)
{
	struct fixture *fixture = *state;
	char made[TOKEN_TEXT_SIZE];
	struct crowd crowd = {.access = open_access(fixture, false, made), .token = made};
	pthread_t threads[CROWD];
	unsigned rounds = 0;

	for (; rounds < 50 && crowd.too_soon == 0; rounds++) {
		pthread_barrier_init(&crowd.start, NULL, CROWD);
		for (size_t i = 0; i < CROWD; i++)
			assert_int_equal(
				pthread_create(&threads[i], NULL, sign_in_aside, &crowd), 0);
		for (size_t i = 0; i < CROWD; i++)
			pthread_join(threads[i], NULL);
		pthread_barrier_destroy(&crowd.start);
	}
	assert_in_range(crowd.too_soon, 1, CROWD - 2);
	assert_int_equal(crowd.signed_in + crowd.too_soon, rounds * CROWD);
	access_free(crowd.access);
}

/* --- admitting --- */

static int status_of(struct access *access, enum access_rule rule, const struct access_facts *facts)
{
	struct access_refusal refusal;

	return access_admits(access, rule, facts, &refusal) ? 200 : refusal.status;
}

static void test_admits(void **state)
{
	struct fixture *fixture = *state;
	char made[TOKEN_TEXT_SIZE], id[ACCESS_ID_TEXT_SIZE], other[ACCESS_ID_TEXT_SIZE];
	struct access *access = open_access(fixture, false, made);
	struct access_view view, others;

	sign_in(access, made, id);
	sign_in(access, made, other);
	access_view(access, id, &view);
	access_view(access, other, &others);
	assert_string_not_equal(view.csrf, others.csrf);
	const struct access_facts good = {.method = "POST",
		.path = "/api/v1/policy/mode",
		.from = "192.0.2.1",
		.host = "gw1:8053",
		.id = id,
		.csrf = view.csrf,
		.content_type = "application/json",
		.origin = "http://gw1:8053",
		.fetch_site = "same-origin"};
	struct access_facts facts = good;

#define EXPECT(member, value, status)                                                 \
	do {                                                                          \
		facts = good;                                                         \
		facts.member = (value);                                               \
		assert_int_equal(status_of(access, ACCESS_CHANGE, &facts), (status)); \
	} while (0)
	EXPECT(method, "POST", 200);
	EXPECT(id, "", 401);
	EXPECT(id, "0123456789abcdef", 401);
	EXPECT(id, other, 403);
	EXPECT(csrf, NULL, 403);
	EXPECT(csrf, "", 403);
	EXPECT(csrf, others.csrf, 403);
	EXPECT(csrf, id, 403);
	EXPECT(origin, NULL, 200);
	EXPECT(origin, "https://gw1:8053", 200); /* a proxy speaks TLS for us */
	EXPECT(origin, "http://gw1", 403);
	EXPECT(origin, "http://gw1:8054", 403);
	EXPECT(origin, "http://gw1:80533", 403);
	EXPECT(origin, "http://evil.example/http://gw1:8053", 403);
	EXPECT(origin, "http://evil@gw1:8053", 403);
	EXPECT(origin, "null", 403);
	EXPECT(origin, "", 403);
	EXPECT(host, NULL, 403);
	EXPECT(fetch_site, NULL, 200);
	EXPECT(fetch_site, "none", 200);
	EXPECT(fetch_site, "cross-site", 403);
	EXPECT(fetch_site, "same-site", 403);
	EXPECT(content_type, NULL, 415);
	EXPECT(content_type, "text/plain", 415);
	EXPECT(content_type, "application/jsonp", 415);
	EXPECT(content_type, "application/x-www-form-urlencoded", 415);
	EXPECT(content_type, "Application/JSON; charset=utf-8", 200);
	facts = good;
	facts.origin = NULL;
	facts.referer = "http://gw1:8053/policy?zone=teredo";
	assert_int_equal(status_of(access, ACCESS_CHANGE, &facts), 200);
	facts.referer = "http://evil.example/gw1:8053";
	assert_int_equal(status_of(access, ACCESS_CHANGE, &facts), 403);
	facts = (struct access_facts){.method = "DELETE", .path = "/", .id = id, .csrf = view.csrf};
	assert_int_equal(status_of(access, ACCESS_CHANGE, &facts), 200);
#undef EXPECT

	facts = (struct access_facts){.method = "GET", .id = id};
	assert_int_equal(status_of(access, ACCESS_READING, &facts), 200);
	facts.id = "";
	assert_int_equal(status_of(access, ACCESS_READING, &facts), 401);
	assert_int_equal(status_of(access, ACCESS_FREE, &facts), 200);
	facts = good;
	facts.id = facts.csrf = "";
	assert_int_equal(status_of(access, ACCESS_SIGN_IN, &facts), 200);
	facts.origin = "http://evil.example";
	assert_int_equal(status_of(access, ACCESS_SIGN_IN, &facts), 403);
	assert_true(access_sign_out(access, id));
	assert_false(access_sign_out(access, id));
	assert_int_equal(status_of(access, ACCESS_CHANGE, &good), 401);
	access_free(access);
}

static void test_cookies(void **state)
{
	struct fixture *fixture = *state;
	char made[TOKEN_TEXT_SIZE], id[ACCESS_ID_TEXT_SIZE], found[ACCESS_ID_TEXT_SIZE];
	char cookie[ACCESS_COOKIE_MAX], header[512];
	struct access *access = open_access(fixture, false, made);

	memset(id, 'a', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	assert_non_null(strstr(access_cookie(access, id, cookie), "=aaa"));
	assert_non_null(strstr(cookie, "; Path=/; HttpOnly; SameSite=Strict"));
	assert_null(strstr(cookie, "Secure"));
	assert_null(strstr(cookie, "Max-Age"));
	assert_non_null(strstr(access_cookie(access, "", cookie), "Max-Age=0"));
	snprintf(header, sizeof(header),
		"x_teredown_session=1; a=teredown_session=2;teredown_session=%s ; z", id);
	assert_string_equal(access_cookie_id(access, header, found), id);
	assert_string_equal(access_cookie_id(access, NULL, found), "");
	assert_string_equal(access_cookie_id(access, "teredown_session=abc", found), "");
	assert_string_equal(access_cookie_id(access, "teredown_session", found), "");
	access_free(access);

	access = open_access(fixture, true, made);
	snprintf(header, sizeof(header), "teredown_session=%s", id);
	assert_string_equal(access_cookie_id(access, header, found), "");
	snprintf(header, sizeof(header), "__Host-teredown_session=%s", id);
	assert_string_equal(access_cookie_id(access, header, found), id);
	assert_non_null(strstr(access_cookie(access, id, cookie), "; Secure"));
	assert_int_equal(strncmp(cookie, "__Host-", 7), 0);
	access_free(access);
}

/* --- the journal --- */

static bool add(const struct fixture *fixture, int64_t wall_ms, const char *what, const char *words,
	bool stranger)
{
	const struct change change = {.wall_ms = wall_ms,
		.from = "192.0.2.1",
		.what = what,
		.result = stranger ? "refused" : "done",
		.words = words,
		.stranger = stranger};

	return changes_add(fixture->folder, &change);
}

/* Their words, newest first. */
static json_t *read_journal(const struct fixture *fixture, size_t limit)
{
	struct strbuf out;

	strbuf_init(&out);
	assert_true(changes_read(fixture->folder, limit, &out));
	json_t *rows = json_loads(out.data, 0, NULL);
	assert_true(json_is_array(rows));
	strbuf_deinit(&out);
	return rows;
}

static void expect_words(const struct fixture *fixture, size_t limit, const char *expected)
{
	json_t *rows = read_journal(fixture, limit), *row;
	char text[512] = "";
	size_t i;

	json_array_foreach(rows, i, row)
	{
		strncat(text, json_string_value(json_object_get(row, "words")), 64);
		strncat(text, " ", 2);
	}
	assert_string_equal(text, expected);
	json_decref(rows);
}

static void test_journal(void **state)
{
	struct fixture *fixture = *state;
	struct stat status;

	expect_words(fixture, 10, "");
	assert_true(add(fixture, 1000, "{\"a\":1}", "one", false));
	assert_true(add(fixture, 3000, "{}", "three", false));
	assert_true(add(fixture, 2000, "{}", "two", true));
	assert_true(add(fixture, 4000, "{}", "four", true));
	expect_words(fixture, 10, "four three two one ");
	expect_words(fixture, 2, "four three ");
	expect_words(fixture, 0, "");
	assert_int_equal(stat(path_of(fixture, CHANGES_FILE), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);

	/* A line that was torn, and one that is something else. */
	int fd = open(path_of(fixture, CHANGES_FILE), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "{\"time\":\"2026-", 14), 14);
	close(fd);
	expect_words(fixture, 10, "four three two one ");
	assert_true(add(fixture, 5000, "{}", "five", false));
	expect_words(fixture, 10, "five four three two one ");
	fd = open(path_of(fixture, CHANGES_FILE), O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "null\n\n[1]\n{\"time\":5}\n\0\xff\n", 24), 24);
	close(fd);
	expect_words(fixture, 10, "five four three two one ");

	assert_true(add(fixture, 6000, "{}", "<b>\x1b[31m\n\xff", false));
	json_t *rows = read_journal(fixture, 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "words")),
		"<b>\x1b[31m\n\xc3\xbf");
	json_decref(rows);
}

/* However much strangers do, what was done is there; and neither grows without end. */
static void test_journal_bound(void **state)
{
	struct fixture *fixture = *state;
	char words[1200];
	struct stat status;

	memset(words, 'w', sizeof(words) - 1);
	words[sizeof(words) - 1] = '\0';
	assert_true(add(fixture, 1000, "{}", "done", false));
	for (int64_t i = 0; i < 3 * CHANGES_SIZE_MAX / 1000; i++)
		assert_true(add(fixture, 2000 + i, "{}", words, true));
	assert_int_equal(stat(path_of(fixture, CHANGES_STRANGERS_FILE), &status), 0);
	assert_true(status.st_size <= CHANGES_SIZE_MAX);
	assert_int_equal(stat(path_of(fixture, CHANGES_STRANGERS_FILE ".1"), &status), 0);
	assert_in_range(status.st_size, CHANGES_SIZE_MAX - 2000, CHANGES_SIZE_MAX);
	json_t *rows = read_journal(fixture, 1000000);
	json_t *last = json_array_get(rows, json_array_size(rows) - 1);
	assert_in_range(json_array_size(rows), 900, 2000);
	assert_string_equal(json_string_value(json_object_get(last, "words")), "done");
	json_decref(rows);
}

static void test_journal_fails(void **state)
{
	struct fixture *fixture = *state;
	struct strbuf out;

	assert_true(add(fixture, 1000, "{}", "zero", true));
	assert_int_equal(symlink(CHANGES_STRANGERS_FILE, path_of(fixture, CHANGES_FILE)), 0);
	assert_false(add(fixture, 1000, "{}", "one", false));
	strbuf_init(&out);
	assert_false(changes_read(fixture->folder, 10, &out));
	strbuf_deinit(&out);
	unlink(path_of(fixture, CHANGES_FILE));
	assert_int_equal(mkfifo(path_of(fixture, CHANGES_FILE), 0600), 0);
	assert_false(add(fixture, 1000, "{}", "one", false));
	const struct change change = {.from = "", .what = "{}", .result = "done", .words = ""};
	assert_false(changes_add("/nonexistent", &change));
}

/* What the loop refused is written later, a bounded number of them. */
static void test_refusals_are_noted(void **state)
{
	struct fixture *fixture = *state;
	char made[TOKEN_TEXT_SIZE];
	struct access *access = open_access(fixture, false, made);
	const struct access_facts facts = {.method = "POST",
		.path = "/api/v1/policy/mode\"}\n{",
		.from = "192.0.2.1",
		.id = ""};

	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(status_of(access, ACCESS_CHANGE, &facts), 401);
	expect_words(fixture, 10, "");
	access_look(access);
	json_t *rows = read_journal(fixture, 1000);
	json_t *what = json_object_get(json_array_get(rows, 0), "what");
	assert_in_range(json_array_size(rows), 1, 16);
	assert_string_equal(
		json_string_value(json_object_get(what, "path")), "/api/v1/policy/mode\"}{");
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(rows, 0), "result")), "refused");
	json_decref(rows);
	access_free(access);
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
		T(test_first_token),
		T(test_without_a_token),
		T(test_wrong_tokens),
		T(test_two_at_once),
		T(test_admits),
		T(test_cookies),
		T(test_journal),
		T(test_journal_bound),
		T(test_journal_fails),
		T(test_refusals_are_noted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may change something by the dashboard, as a whole: the first token, wrong ones, several at
 * once, what is admitted, and cookies. Here time is the clock's.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "resolver/control/dashboard/sign_in.h"
#include "tests/unit/access_bed.h"

/* --- signing in --- */

static void sign_in(struct access *access, const char *token, char id[ACCESS_ID_TEXT_SIZE])
{
	int wait_s;

	assert_int_equal(access_sign_in(access, token, "192.0.2.1", id, &wait_s), ACCESS_SIGNED_IN);
}

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

#define CROWD 8

struct crowd {
	struct access *access;
	const char *token;
	pthread_barrier_t start;
	atomic_uint next, signed_in, too_soon;
};

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

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_first_token),
		T(test_without_a_token),
		T(test_wrong_tokens),
		T(test_two_at_once),
		T(test_admits),
		T(test_cookies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
